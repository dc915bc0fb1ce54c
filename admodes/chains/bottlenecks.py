"""The narrow places of a recorded function, and its recording cut there: a Jacobian of low rank as the product it is.

Where every path from the argument to the result passes one value of r numbers, J = U·V with V of r rows.  Cut there,
the function is two factors of a chain, which are kept apart or multiplied, as the search over bracketings finds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ..core.dispatch import apply
from ..core.reverse import FIRST, Entry, Guarded, Tape, Var, general_form
from ..core.tracing import Tracer
from ..core.types import Shaped
from ..transforms.recording import Recording


class Stretch(Recording):
    """The part of a recording, of one array to one array, between two entries of its tape that all paths pass."""

    def __init__(self, whole: Recording, first: int, last: int) -> None:
        self.in_structure, self.out_structure = whole.in_structure, whole.out_structure
        entries = [general_form(entry) for entry in whole.tape.entries[: last + 1]]
        kept = path(entries, first, last)
        number = {index: k for k, index in enumerate(kept)}
        self.leaves = [entries[first].y]
        self.tape = Tape()
        self.tape.kept = {place: Guarded(one.array, one.mark, FIRST) for place, one in whole.tape.kept.items()}
        parts = [entries[first]._replace(op=None), *(_renumbered(entries[index], number) for index in kept[1:])]
        self.tape.entries = [entry.recorded() for entry in parts]
        self.tape.closed = True
        self.outputs = [Var(entries[last].y, self.tape, len(kept) - 1)]
        self.values = [entries[last].y]


def path(entries: list[Entry], first: int, last: int) -> list[int]:
    """The entries on the paths from `first` to `last`, both among them."""
    reached = {first}
    for index in range(first + 1, last + 1):
        if any(parent in reached for parent in entries[index].parents):
            reached.add(index)
    used = {last}
    for index in range(last, first, -1):
        if index in used:
            used.update(entries[index].parents)
    return sorted(reached & used)


def _renumbered(entry: Entry, number: dict[int, int]) -> Entry:
    """An entry with the parents that are on the path alone, by their new numbers."""
    on = [(at, number[parent]) for at, parent in zip(entry.positions, entry.parents, strict=True) if parent in number]
    return entry._replace(positions=[at for at, _ in on], parents=[parent for _, parent in on])


def is_constant(recording: Recording) -> bool:
    """Whether no operation leads from the argument to the result: it is plain, or traced by itself (zeros_like)."""
    y = recording.outputs[0]
    if not recording.traced(y):
        return True
    return not path([general_form(entry) for entry in recording.tape.entries[: y.index + 1]], 0, y.index)


def split(recording: Recording) -> list[Recording]:
    """A recording of one array to one array as stretches between its bottlenecks, from the argument on.

    Cut at the value with the fewest numbers, if these are fewer than both the argument's and the result's; then either
    side likewise.  A recording without a bottleneck is returned as it is.
    """
    y = recording.outputs[0]
    if is_constant(recording):
        return [recording]
    entries = [general_form(entry) for entry in recording.tape.entries[: y.index + 1]]
    ends = _cuts(entries, 0, y.index)
    if len(ends) == 2:
        return [recording]
    return [Stretch(recording, first, last) for first, last in pairwise(ends)]


def _cuts(entries: list[Entry], first: int, last: int) -> list[int]:
    """The entries to cut at, with the two ends."""
    places = _passed(entries, first, last)
    narrowest = min(places, key=lambda index: _size(entries[index].y))  # of equals the first, so that ends stay ends
    if _size(entries[narrowest].y) >= min(_size(entries[first].y), _size(entries[last].y)):
        return [first, last]
    return [*_cuts(entries, first, narrowest)[:-1], *_cuts(entries, narrowest, last)]


def _passed(entries: list[Entry], first: int, last: int) -> list[int]:
    """The entries of real floats that all paths pass: no earlier one on a path is used behind them."""
    on = path(entries, first, last)
    until = {parent: index for index in on for parent in entries[index].parents}  # the last use: on is sorted
    found, open_to = [], first
    for index in on:
        if open_to <= index and _is_real(entries[index].y):
            found.append(index)
        open_to = max(open_to, until.get(index, index))
    return found


def _size(y: Shaped) -> int:
    return int(y.size)


def _is_real(y: Any) -> bool:
    return not isinstance(y, tuple) and y.dtype.kind == "f"


# ---------------------------------------------------------------------------------------------------
# Running a recording again
# ---------------------------------------------------------------------------------------------------


def rerun(recording: Recording) -> Callable[[Any], Any] | None:
    """The recorded operations as a function of the argument, in the branches that were taken.

    None for a recording under another transform: the values that it holds as constants may depend on that one's.
    """
    y = recording.outputs[0]
    if is_constant(recording):
        value = recording.values[0]
        return None if isinstance(value, Tracer) else lambda x: value
    entries = [general_form(entry) for entry in recording.tape.entries[: y.index + 1]]
    on = path(entries, 0, y.index)
    if any(isinstance(value, Tracer) for index in on for value in _values(entries[index])):
        return None

    def run(x: Any) -> Any:
        made = {0: x}
        for index in on[1:]:
            entry = entries[index]
            given = list(entry.args)
            for at, parent in zip(entry.positions, entry.parents, strict=True):
                given[at] = made.get(parent, given[at])
            part = _is_part(entries, index)
            made[index] = given[0][given[1]] if part else apply(entry.op, tuple(given), entry.params)
        return made[y.index]

    return run


def _is_part(entries: list[Entry], index: int) -> bool:
    """Whether an entry is one of the results of an operation that has several."""
    return isinstance(entries[entries[index].parents[0]].y, tuple)


def _values(entry: Entry) -> list[Any]:
    """All values in an entry, those in tuples and lists of parameters too."""
    found, stack = [], [entry.y, entry.args, list(entry.params.values())]
    while stack:
        value = stack.pop()
        if isinstance(value, tuple | list):
            stack += value
        else:
            found.append(value)
    return found
