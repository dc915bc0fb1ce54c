"""Reverse mode: a tape.  The forward pass appends one entry an operation; pulling walks it backwards.

Overwriting a plain array after the tape has recorded it never changes a derivative silently: an array of at most
64 KiB is copied when it is recorded, and a larger one is hashed, so that `pull` raises `OverwrittenValue` where it was
changed.  `w.flags.writeable = False` saves both for a large constant (and for views of it).

The same tape pushes tangents forward (`Tape.push`), so that one recording serves J·v and Jᵀ·u.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import float64, ndarray

from .directions import inexact
from .dispatch import Trace, canonical, differentiated, highest, is_memory
from .errors import MissingRule, OverwrittenValue
from .fingerprint import fingerprint
from .forward import plus
from .moving import elsewhere, random, spoil
from .pieces import agreed, derived, differ, only, points_near
from .registry import OPS, Op
from .tracing import Tracer
from .views import clone, duplicate
from .zeros import by_columns, keeps_zeros, kept, lost, strong_product

# Plain arrays of at most this many bytes are copied when they are recorded; larger ones are hashed.
COPIED_BYTES = 1 << 16

# The kinds of entries, in the first place of each.
INPUT, UNARY, BINARY, GENERAL = range(4)


# What else holds memory that may change: an index may be one of these.
_MEMORY = (ndarray, array, memoryview, bytearray)


class Var(Tracer):
    """A value and the number of the tape's entry that made it."""

    __slots__ = ()

    def __init__(self, value: Any, transform: Tape, index: int) -> None:
        self.value = value
        self.transform = transform
        self.index = index


class Tape(Trace):
    """One reverse-mode transform: the record of its operations, in the order they were carried out.

    An entry is a tuple, its kind first: one array and two make up most tapes, and have no lists to build or to walk.
    (INPUT, value)                                      an argument of the transform, or a constant
    (UNARY, op, parent, y, x)                           one array
    (BINARY, op, parent, parent, y, a, b)               two arrays; a parent of -1 is a constant
    (GENERAL, op, positions, parents, y, args, params)  any other, see `Entry`
    (A tuple takes a quarter of the time of an object with slots to make.)  `general_form` gives each as an `Entry`.
    """

    __slots__ = ("entries", "kept")
    derives = True

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[Any, ...]] = []
        self.kept: dict[Any, Guarded] = {}  # place in memory -> large array under watch

    # Recording ------------------------------------------------------------------------------------

    def input(self, value: Any) -> Var:
        """A new argument of the transform."""
        if type(value) is ndarray and value.nbytes <= COPIED_BYTES:
            value = duplicate(value)
        elif type(value) is not float64:
            value = self.keep(value, FIRST)
        self.entries.append((INPUT, value))
        return Var(value, self, len(self.entries) - 1)

    def keep(self, a: Any, turn: int = 0) -> Any:
        """A plain array as it is now: a copy, or the array itself under watch.

        What is no plain array (a memmap, a buffer of another library) may become a view of its memory here.
        turn: the entry before which a pull compares the array; 0 for the one that is about to be recorded.
        """
        if type(a) is not ndarray:
            a = canonical(a)
            if type(a) is not ndarray:
                differentiated(a)
                return clone(a)  # a change in place may make another value of a traced one
        if a.nbytes <= COPIED_BYTES:
            return a.copy(order="K")
        if may_change(a):
            now, turn = fingerprint(a), turn or len(self.entries)
            place = a.__array_interface__["data"][0], a.shape, a.strides, a.dtype
            known = self.kept.get(place)
            if known is None:
                self.kept[place] = Guarded(a, now, turn)
            elif known.mark == now:
                known.turn = turn
            else:
                return a.copy(order="K")  # a buffer used again; a pull will say that its first content is gone
        return a

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Var:
        y = self.strip(op, args, params)
        self.entries.append((INPUT, y))
        return Var(y, self, len(self.entries) - 1)

    def keep_parameter(self, a: Any) -> Any:
        """`keep` for a parameter, which may be a tuple or list with arrays in it (an index)."""
        kind = type(a)
        if kind is ndarray:
            return self.keep(a)
        if isinstance(a, Tracer):  # of a transform below; an array to isinstance
            return self.keep(a)
        if isinstance(a, _MEMORY):
            return self.keep(np.asarray(a))
        if kind is tuple or kind is list:
            return kind(self.keep_parameter(x) for x in a)
        return a

    def unary(self, op: Op, x: Any) -> Any:
        value = x.value
        y = op.evaluate(value)
        if op.pushes[0] is None:
            return y
        entries = self.entries
        entries.append((UNARY, op, x.index, y, value))
        return Var(y, self, len(entries) - 1)

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        i = j = -1
        if type(a) is Var and a.transform is self:
            i, a = a.index, a.value
        elif type(a) is ndarray and a.nbytes <= COPIED_BYTES:  # as `keep` does, without a call
            a = a.copy(order="K")
        elif type(a) is not float:
            a = self.keep(a)
        if type(b) is Var and b.transform is self:
            j, b = b.index, b.value
        elif type(b) is ndarray and b.nbytes <= COPIED_BYTES:
            b = b.copy(order="K")
        elif type(b) is not float:
            b = self.keep(b)
        y = op.evaluate(a, b)
        entries = self.entries
        entries.append((BINARY, op, i, j, y, a, b))
        return Var(y, self, len(entries) - 1)

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values, positions, parents = [], [], []
        arrays = len(args) if op.arrays is None else op.arrays
        for i, a in enumerate(args):
            if type(a) is Var and a.transform is self:
                if i >= len(op.pushes):
                    raise MissingRule(f"np.{op.name}", f"argument {i} is traced, and no derivative by it is known")
                if op.pushes[i] is not None:
                    positions.append(i)
                    parents.append(a.index)
                values.append(a.value)
            else:
                values.append(self.keep(a) if i < arrays else self.keep_parameter(a))
        if params:
            params = {k: self.keep_parameter(v) for k, v in params.items()}
        y = op.evaluate(*values, **params)
        if not positions:
            return y
        entries = self.entries
        entries.append((GENERAL, op, positions, parents, y, values, params))
        index = len(entries) - 1
        if isinstance(y, tuple):
            parts = []
            for k, part in enumerate(y):
                entries.append((GENERAL, _PART, (0,), (index,), part, (y, k), {}))
                parts.append(Var(part, self, len(entries) - 1))
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)
        return Var(y, self, index)

    def square_of_root(self, y: Any) -> Any:
        entry = self.entries[y.index]
        kind, op = entry[0], entry[1]
        if kind == INPUT:
            return None
        if op.square is None:
            if kind != GENERAL or op.fn is not np.reshape:
                return None
            entry = self.entries[entry[3][0]]
            op = entry[1]
            if entry[0] == INPUT or op.square is None or not op.square.any_shape:
                return None
        _, positions, parents, _, args, params = general_form(entry)
        under: list[Any] = [0.0] * len(args)
        for k, parent in zip(positions, parents, strict=True):
            under[k] = Var(args[k], self, parent)
        return self.process(op.square, (y, *under), params)

    # Sweeping -------------------------------------------------------------------------------------

    def pull(
        self, seeds: Sequence[tuple[int, Any]], inputs: int, observer: Callable[[Any, Any], None] | None = None
    ) -> list[Any]:
        """Cotangents of the first `inputs` entries, None where nothing reaches them.

        seeds: (entry, cotangent of its value), a cotangent of shape (*lead, *value.shape).
        observer: told of each entry that is pulled, its value and the value's whole cotangent.
        """
        watched = sorted(self.kept.values(), key=lambda one: one.turn) if self.kept else ()
        plain = None if keeps_zeros() else self.sweep(self.entries, seeds, inputs, observer, watched)
        if plain is not None and not lost(plain):
            return plain
        found: list[Any] = kept(
            plain,
            lambda: self.sweep(_keeping(self.entries), seeds, inputs, observer, watched),
            self._doubtful,
            lambda found: self._settled(
                found,
                inputs,
                [index for index, _ in seeds],
                lambda entries, wanted: self.sweep(entries, [(k, only(wanted.get(k), u)) for k, u in seeds], inputs),
            ),
        )
        return found

    def _doubtful(self) -> bool:
        """Whether a zero that is kept may move: any, in a derivative of a derivative."""
        return self.second or self._keeps_doubtful()

    def _keeps_doubtful(self) -> bool:
        """Whether a row that keeps zeros keeps one that may move."""
        for e in self.entries:
            if e[0] != INPUT and e[1].doubt is not None:
                op, positions, _, y, args, _ = general_form(e)
                if op.doubt([k in positions for k in range(len(args))], y, *args):
                    return True
        return False

    def _settled(
        self,
        found: list[Any],
        inputs: int,
        outputs: Sequence[int],
        sweep: Callable[[list[tuple[Any, ...]], dict[int, Any]], list[Any]],
    ) -> list[Any]:
        """What a sweep that kept doubtful zeros, or met ties, has `found`: nan where that hangs on a convention.

        sweep(entries, wanted) makes it; `wanted` tells of outputs which of their elements matter.
        """
        infinite = not self._keeps_doubtful()
        pieces = list(self._pieces(inputs)) if self._tied() else []
        if not pieces:
            return _spoil(found, sweep(_moving(self.entries, inputs), {}), infinite)
        ys = [[general_form(entries[k]).y for entries in pieces] for k in outputs]
        apart = {k: differ(y[0], y[1:]) for k, y in zip(outputs, ys, strict=True)}
        settled = agreed(
            [_spoil(sweep(_keeping(entries), {}), sweep(_moving(entries, inputs), {}), infinite) for entries in pieces]
        )
        return _spoil(settled, sweep(_moving(self.entries, inputs), apart), infinite)

    def _tied(self) -> bool:
        """Whether ties can be settled here: this transform is the lowest."""
        tied = False
        for e in self.entries:
            op, positions, _, y, args, _ = general_form(e)
            if op is None:
                continue
            if derived((y, *args)):
                return False
            tied = tied or (op.jumps and bool(op.doubt([k in positions for k in range(len(args))], y, *args)))
        return tied

    def _pieces(self, inputs: int) -> Iterator[list[tuple[Any, ...]]]:
        """The entries as within pieces of the function (see `pieces`); of changed arrays with earlier values."""
        forms = [general_form(e) for e in self.entries]
        changed = {id(e.y) for e in forms if e.op is not None and e.op.pure is not None and e.y is e.args[0]}
        with np.errstate(all="ignore"):
            for near in points_near([e[1] for e in self.entries[:inputs]]):
                entries: list[tuple[Any, ...]] = []
                for index, e in enumerate(forms):
                    op, positions, parents, y, args, params = e
                    if op is None:
                        if index >= inputs:
                            near.append(y)
                        entries.append(e.recorded())
                        continue
                    op = op.pure or op
                    there, here = [*args], [*args]
                    for k, parent in zip(positions, parents, strict=True):
                        there[k], here[k] = near[parent], general_form(entries[parent]).y
                    near.append(op.evaluate(*there, **params))
                    row = op.piece(there, params)
                    if row is not op or id(y) in changed or any(a is not b for a, b in zip(here, args, strict=True)):
                        y = row.evaluate(*here, **params)
                    entries.append((GENERAL, row, positions, parents, y, here, params))
                yield entries

    def sweep(
        self,
        entries: Sequence[tuple[Any, ...]],
        seeds: Sequence[tuple[int, Any]],
        inputs: int,
        observer: Callable[[Any, Any], None] | None = None,
        watched: Sequence[Guarded] = (),
    ) -> list[Any]:
        """`pull` by entries with rows of one kind; each array under watch is compared just before it is read,
        so that it comes from memory once."""
        cotangents: list[Any] = [None] * len(entries)
        owned = bytearray(len(entries))  # whether a cotangent is a buffer of this sweep, to be added into
        last = -1
        for index, u in seeds:
            cotangents[index] = _sum(cotangents[index], u)
            last = max(last, index)
        waiting = [*watched]
        turn = waiting[-1].turn if waiting else -1
        for index in range(last, inputs - 1, -1):
            if index <= turn:
                turn = _compare(waiting, index)
            u = cotangents[index]
            if u is None:
                continue
            cotangents[index] = None
            entry = entries[index]
            kind = entry[0]
            if observer is not None and kind != INPUT:
                observer(general_form(entry).y, u)
            # Below, _add stands behind its first test: most entries are used once, and a call costs as much as a rule.
            if kind == UNARY:
                _, op, i, y, x = entry
                g = op.pulls[0](u, y, x)
                if cotangents[i] is None:
                    cotangents[i] = g
                else:
                    _add(cotangents, owned, i, g)
            elif kind == BINARY:
                _, op, i, j, y, a, b = entry
                if i >= 0:
                    pull = op.pulls[0]
                    if pull is not None:
                        g = pull(u, y, a, b)
                        if cotangents[i] is None:
                            cotangents[i] = g
                        else:
                            _add(cotangents, owned, i, g)
                if j >= 0:
                    pull = op.pulls[1]
                    if pull is not None:
                        g = pull(u, y, a, b)
                        if cotangents[j] is None:
                            cotangents[j] = g
                        else:
                            _add(cotangents, owned, j, g)
            elif kind == GENERAL:
                _pull_general(general_form(entry), u, cotangents, owned, bool(owned[index]))
        _compare(waiting, 0)
        if observer is not None:
            for index in range(inputs):
                observer(general_form(entries[index]).y, cotangents[index])
        return cotangents[:inputs]

    def push(self, seeds: Sequence[Any], outputs: Sequence[int]) -> list[Any]:
        """Tangents of the entries `outputs`, None where no input reaches them; seeds: one tangent an input."""
        for one in self.kept.values():
            one.compare()
        plain = None if keeps_zeros() else self._push(self.entries, seeds, outputs)
        if plain is not None and not lost(plain):
            return plain
        found: list[Any] = kept(
            plain,
            lambda: self._push(_keeping(self.entries), seeds, outputs),
            self._doubtful,
            lambda found: self._settled(
                found,
                len(seeds),
                outputs,
                lambda entries, wanted: [
                    only(wanted.get(k), t) for k, t in zip(outputs, self._push(entries, seeds, outputs), strict=True)
                ],
            ),
        )
        return found

    def _push(self, entries: Sequence[tuple[Any, ...]], seeds: Sequence[Any], outputs: Sequence[int]) -> list[Any]:
        first, last = len(seeds), max(outputs, default=-1)
        entries = entries[first : last + 1]
        uses = self._uses(entries, outputs, last)
        tangents: list[Any] = [*seeds, *([None] * (last + 1 - first))]

        def taken(parent: int) -> Any:
            """The tangent of an entry, which goes with its last use."""
            t = tangents[parent]
            uses[parent] -= 1
            if not uses[parent]:
                tangents[parent] = None
            return t

        for index, entry in enumerate(entries, first):
            if entry[0] == UNARY:
                _, op, i, y, x = entry
                t = taken(i)
                tangents[index] = None if t is None else op.pushes[0](t, y, x)
                continue
            if entry[0] == BINARY and entry[1].push_all is None:
                _, op, i, j, y, a, b = entry
                total = None
                for k, parent in enumerate((i, j)):
                    t = taken(parent) if parent >= 0 else None
                    if t is not None and op.pushes[k] is not None:
                        total = plus(total, op.pushes[k](t, y, a, b))
                tangents[index] = total
                continue
            op, positions, parents, y, args, params = general_form(entry)
            given = {
                i: t
                for i, t in zip(positions, map(taken, parents), strict=True)
                if t is not None and op.pushes[i] is not None
            }
            total = None
            if given and op.push_all is not None:
                total = op.push_all(given, y, args, params)
            else:
                for i, t in given.items():
                    total = plus(total, op.pushes[i](t, y, *args, **params))
            tangents[index] = total
        return [tangents[index] for index in outputs]

    @staticmethod
    def _uses(entries: Sequence[tuple[Any, ...]], outputs: Sequence[int], last: int) -> list[int]:
        """How often each entry up to the last is read, by later ones and as an output."""
        uses = [0] * (last + 1)
        for entry in entries:
            for parent in (entry[2],) if entry[0] == UNARY else general_form(entry).parents:
                uses[parent] += 1
        for index in outputs:
            uses[index] += 1
        return uses

    def operations(self, output: int) -> Iterator[Op]:
        """What led from the inputs to entry `output`, the last operation first."""
        wanted = {output}
        for index in range(output, -1, -1):
            op, _, parents, *_ = general_form(self.entries[index])
            if index in wanted and op is not None:
                wanted.update(parents)
                yield op


# The turn of an array that is compared before all entries.
FIRST = 1 << 62


class Guarded:
    """A large array and its fingerprint; holding it keeps its memory from being used again.

    turn: the last entry that has it, before which a pull compares it.
    """

    __slots__ = ("array", "mark", "turn")

    def __init__(self, array: ndarray, mark: Any, turn: int) -> None:
        self.array = array
        self.mark = mark
        self.turn = turn

    def compare(self) -> None:
        """Raise if it was overwritten after it was recorded."""
        if fingerprint(self.array) != self.mark:
            raise OverwrittenValue(self.array)


def may_change(a: Any) -> bool:
    """Whether an array, or one whose memory it is a view of, can be written to."""
    while is_memory(a):
        if a.flags.writeable:
            return True
        a = a.base
    return a is not None and type(a) is not bytes


def _compare(waiting: list[Guarded], index: int) -> int:
    """Compare the arrays whose turn is at an entry or after it; the turn of the next."""
    while waiting and waiting[-1].turn >= index:
        waiting.pop().compare()
    return waiting[-1].turn if waiting else -1


class Entry(NamedTuple):
    """Any entry of a tape: y = op(*args, **params), where the args at `positions` are the entries `parents`."""

    op: Any  # a row; None: an input, or a constant
    positions: Sequence[int]
    parents: Sequence[int]
    y: Any
    args: Sequence[Any]
    params: dict[str, Any]

    def recorded(self) -> tuple[Any, ...]:
        """As it stands on a tape."""
        return (INPUT, self.y) if self.op is None else (GENERAL, *self)


def general_form(entry: tuple[Any, ...]) -> Entry:
    """An entry of a tape, of whichever kind."""
    kind = entry[0]
    if kind == INPUT:
        return Entry(None, (), (), entry[1], (), {})
    if kind == UNARY:
        _, op, i, y, x = entry
        return Entry(op, (0,), (i,), y, (x,), {})
    if kind == BINARY:
        _, op, i, j, y, a, b = entry
        positions = tuple(k for k, parent in enumerate((i, j)) if parent >= 0)
        return Entry(op, positions, tuple(parent for parent in (i, j) if parent >= 0), y, (a, b), {})
    return Entry(*entry[1:])


def _keeping(entries: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Entries with the rows that keep zeros."""
    return [e if e[0] == INPUT else (e[0], e[1].strong, *e[2:]) for e in entries]


def _moving(tape: Sequence[tuple[Any, ...]], inputs: int) -> list[tuple[Any, ...]]:
    """Entries with the rows that keep only zeros that do not move; `inputs` of them are arguments."""
    entries: list[tuple[Any, ...]] = []
    values: list[Any] = []  # of each entry, for other arguments
    for e in tape:
        op, positions, parents, y, args, params = general_form(e)
        if op is None:
            values.append(random(y) if len(values) < inputs else y)
            entries.append(e)
            continue
        args = [*args]
        for k, parent in zip(positions, parents, strict=True):
            args[k] = values[parent]
        values.append(elsewhere(op, y, args, params))
        entries.append((e[0], op.moved(values[-1], args), *e[2:]))
    return entries


def _spoil(found: list[Any], others: list[Any], infinite: bool) -> list[Any]:
    return [(_spoil if type(g) is list else spoil)(g, other, infinite) for g, other in zip(found, others, strict=True)]


def _add(cotangents: list[Any], owned: bytearray, parent: int, g: Any) -> None:
    """Add a cotangent to one that is there already, into its buffer if this sweep made it."""
    earlier = cotangents[parent]
    if owned[parent] and type(g) is type(earlier) is ndarray:
        earlier += g
    else:
        cotangents[parent] = total = _sum(earlier, g)
        owned[parent] = type(total) is ndarray


def _pull_general(entry: Entry, u: Any, cotangents: list[Any], owned: bytearray, own: bool) -> None:
    """own: u is a buffer of this sweep, which nothing needs after this entry."""
    op, positions, parents, y, args, params = entry
    parts = u
    if type(u) is list:
        parts = u if op.checked is None else op.checked(u, y)
        u = _filled(y, parts)
    if op.pull_in_place is not None:
        cotangents_of_args = op.pull_in_place(u, y, args, own)
        pulled = [cotangents_of_args[i] for i in positions]
        if not positions[0] and cotangents[parents[0]] is None:
            owned[parents[0]] = 1
    elif op.pull_all is not None:
        cotangents_of_args = op.pull_all(u, y, args, params)
        pulled = [cotangents_of_args[i] for i in positions]
    elif op.accumulate is not None:
        (parent,) = parents  # a scatter: into a buffer of zeros, or into the one that is there
        buffer, x = cotangents[parent], args[0]
        if _traced(u, buffer, y, args):
            assert op.added is not None
            cotangents[parent], owned[parent] = op.added(buffer, bool(owned[parent]), u, y, *args), 1
            return
        zeros = buffer is None
        if zeros:
            buffer = np.zeros(u.shape[: u.ndim - y.ndim] + x.shape, dtype=x.dtype)
        elif not owned[parent]:
            buffer = np.array(buffer)
        cotangents[parent], owned[parent] = buffer, 1
        op.accumulate(buffer, zeros, u, y, *args)
        return
    else:
        pulled = [
            op.pulls[i](u, y, *args, **params) if op.pulls[i] else _derived(op, i, parts, y, args, params)
            for i in positions
        ]
    for parent, g in zip(parents, pulled, strict=True):
        if cotangents[parent] is None:
            cotangents[parent] = g
        else:
            _add(cotangents, owned, parent, g)


def _traced(u: Any, earlier: Any, y: Any, args: Sequence[Any]) -> bool:
    """Whether a transform below has to see the scatter of u at the index in args: y is traced where it is."""
    if isinstance(u, Tracer) or isinstance(earlier, Tracer):
        return True
    return isinstance(y, Tracer) and highest(tuple(args[1:])) is not None


def _derived(op: Op, i: int, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """`reverse_push`, by columns where the row goes by them."""

    def pull(u: Any, y: Any, *args: Any, **params: Any) -> Any:
        return reverse_push(op, i, u, y, args, params)

    rule = by_columns(pull, i, True, OPS[strong_product].evaluate) if op.by_columns else pull
    return rule(u, y, *args, **params)


def reverse_push(op: Op, i: int, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The pull of argument i derived from its push, which is linear in t: taped at t = 0 and reversed.

    Of several results those whose cotangent is None are left out.
    """
    push = op.pushes[i]
    assert push is not None
    return transposed(lambda t: push(t, y, *args, **params), [args[i]], u, y)[0]


def transposed(linear: Callable[..., Any], to: Sequence[Any], u: Any, of: Any) -> list[Any]:
    """Lᵀ u for a linear function L, which takes directions of the arrays `to` and gives one of `of`, one array or a
    tuple: taped at zero and reversed.  Several parts of u may be None, where there is nothing."""
    pairs_of = zip(u, of, strict=True) if isinstance(of, tuple) else [(u, of)]
    first_u, first = next((v, part) for v, part in pairs_of if v is not None)
    lead = first_u.shape[: first_u.ndim - np.ndim(first)]
    zeros = [np.zeros(lead + np.shape(x), dtype=inexact(x)) for x in to]
    tape = Tape()
    out = linear(*[tape.input(t) for t in zeros])
    pairs = zip(out, u, strict=True) if isinstance(out, tuple) else [(out, u)]
    seeds = [(o.index, s) for o, s in pairs if s is not None and type(o) is Var and o.transform is tape]
    tape.closed = True
    # The sweep around decides: a nan among u may be meant.
    entries = _keeping(tape.entries) if keeps_zeros() else tape.entries
    found = tape.sweep(entries, seeds, len(zeros))
    return [zero if g is None else g for zero, g in zip(zeros, found, strict=True)]


def _sum(a: Any, b: Any) -> Any:
    """a + b, where None is nothing and a list holds the cotangents of several results."""
    if a is None or b is None:
        return b if a is None else a
    return [_sum(x, y) for x, y in zip(a, b, strict=True)] if type(a) is list else a + b


def _filled(y: tuple[Any, ...], cotangents: list[Any]) -> tuple[Any, ...]:
    """Cotangents of an operation with several results, zeros for those that nothing reaches."""
    known, u = next((part, u) for part, u in zip(y, cotangents, strict=True) if u is not None)
    lead = u.shape[: u.ndim - known.ndim]
    return tuple(
        np.zeros(lead + part.shape, dtype=part.dtype) if u is None else u for part, u in zip(y, cotangents, strict=True)
    )


def _part(y: tuple[Any, ...], k: int) -> Any:
    return y[k]


def _place(u: Any, _: Any, y: tuple[Any, ...], k: int) -> list[Any]:
    return [u if j == k else None for j in range(len(y))]


class _Part(Op):
    """One result of an operation that has several."""

    def __init__(self) -> None:
        super().__init__(_part)
        self.pushes = (lambda t, _, y, k: t[k],)
        self.pulls = (_place,)


_PART = _Part()
