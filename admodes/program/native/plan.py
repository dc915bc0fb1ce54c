"""A kernel: which of its values go to memory, and in which loop nests.

Results and sums do; so does what would otherwise be computed again and again: costly values that are read at several
indices, broadcast, or used by several nests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..recording import Instruction, Value
from .affine import Form, Need, identity, shown
from .nodes import Puller, entry_of, gathers_into, is_native, is_short, reduced
from .rows import REDUCTIONS, Reduction

# Work beside an addition: from COSTLY on a value is not computed again for each row, and WORTH_STORING of it in all not
# anew.
COSTLY, WORTH_STORING = 8.0, 24.0


@dataclass(frozen=True)
class Root:
    """What a nest leaves in memory: `node` at each of its indices, or reduced over the axes of the nest in `axes`, or
    added to what is `offset` elements behind `place`."""

    value: Value
    slot: int
    node: Any
    reduction: Reduction | None = None
    axes: tuple[int, ...] = ()
    place: Form | None = None
    offset: Any = None

    @property
    def nodes(self) -> tuple[Any, ...]:
        return (self.node,) if self.offset is None else (self.node, self.offset)


@dataclass(frozen=True)
class Nest:
    """Loops over an index space, and what they leave in memory."""

    shape: tuple[int, ...]
    roots: tuple[Root, ...]


@dataclass
class Kernel:
    """Instructions that run as one native function.

    inputs : the values and constant arrays that it reads
    outputs : the values that are used outside
    """

    instructions: tuple[Instruction, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[Value, ...]
    scratch: tuple[Value, ...] = ()
    nests: tuple[Nest, ...] = field(default=())
    checked: dict[int, int] = field(default_factory=dict)  # by slot: index arrays, and of how many elements an axis

    def __post_init__(self) -> None:
        self.made = {v: i for i in self.instructions for v in i.outs}
        self.stored = dict.fromkeys(self.outputs)
        for i in self.instructions:
            if self._is_reduction(i.outs[0]):
                self.stored[i.outs[0]] = None
        while not self._planned():
            pass

    def _planned(self) -> bool:
        """Plan with what is stored by now; False where more must be."""
        ordered = [v for i in self.instructions for v in i.outs if v in self.stored]
        self.scratch = tuple(v for v in ordered if v not in self.outputs)
        slots: dict[Any, int] = {}
        for x in (*self.inputs, *self.outputs, *self.scratch):
            slots[x if isinstance(x, Value) else id(x)] = len(slots)
        nests, pullers = [], []
        try:
            for shape, group in self._groups(ordered):
                puller = Puller(self.made, slots, set(group), identity(shape))
                roots = tuple(self._root(v, slots[v], puller) for v in group)
                nests.append(Nest(shape, roots))
                pullers.append((shape, puller))
        except Need as need:
            self.stored[need.value] = None
            return False
        more = self._costly(pullers)
        self.stored |= dict.fromkeys(more)
        self.checked = {}
        for _, puller in pullers:
            for slot, n in puller.checked.items():
                self.checked[slot] = min(n, self.checked.get(slot, n))
        self.nests = tuple(nests)
        return not more

    def _root(self, v: Value, slot: int, puller: Puller) -> Root:
        i = self.made[v]
        if gathers_into(i):
            place, offset = puller.scattering(i)
            return Root(v, slot, puller.node(i.args[0], puller.space), place=place, offset=offset)
        if self._is_reduction(v):
            found = reduced(i)
            assert found is not None
            return Root(v, slot, puller.node(i.args[0], puller.space), *found)
        return Root(v, slot, puller.node(v, puller.space) if v in puller.here else None)

    def _is_reduction(self, v: Value) -> bool:
        """Whether a value is put together from those at all indices of a nest."""
        i = self.made[v]
        return (i.op.fn in REDUCTIONS and not is_short(i)) or gathers_into(i)

    def _space(self, v: Value) -> tuple[int, ...]:
        """The index space of the nest that makes a stored value."""
        return tuple(self.made[v].args[0].shape if self._is_reduction(v) else v.shape)

    def _groups(self, ordered: Sequence[Value]) -> list[tuple[tuple[int, ...], list[Value]]]:
        """The stored values by nests: one waits for another nest unless it reads that at the same indices alone."""
        reads: dict[Value, dict[Value, bool]] = {}  # the stored values a value is computed from; whether in place
        level: dict[Value, int] = {}
        groups: dict[tuple[int, tuple[int, ...]], list[Value]] = {}
        for i in self.instructions:
            out = i.outs[0]
            plain = is_native(i) and i.op.fn not in REDUCTIONS and not isinstance(i.args[0], tuple) and entry_like(i)
            found: dict[Value, bool] = {}
            for x in i.uses:
                aligned = x.shape == out.shape and plain
                inner = {x: not self._is_reduction(x)} if x in self.stored else reads.get(x, {})
                if self._is_reduction_of(i, x):
                    aligned = True  # in the space of its argument
                for w, before in inner.items():
                    found[w] = found.get(w, True) and before and aligned
            reads[out] = found
            if out in self.stored:
                space = self._space(out)
                after = [level[w] + (0 if a and self._space(w) == space else 1) for w, a in found.items()]
                level[out] = max(after, default=0)
                groups.setdefault((level[out], space), []).append(out)
        return [(key[1], group) for key, group in sorted(groups.items(), key=lambda item: item[0][0])]

    def _is_reduction_of(self, i: Instruction, x: Value) -> bool:
        return self._is_reduction(i.outs[0]) and x is i.args[0]

    def _costly(self, pullers: Sequence[tuple[tuple[int, ...], Puller]]) -> list[Value]:
        """Values that are not to be computed as often as the nests now would."""
        times: dict[Value, int] = {}
        spread: set[Value] = set()
        for shape, puller in pullers:
            axes = {k for k, n in enumerate(shape) if n > 1}
            for v, maps in puller.maps.items():
                if v in puller.here and not self._is_reduction(v):
                    continue
                times[v] = times.get(v, 0) + len(maps)
                if any(axes - {var[0] for _, terms in at for var, _ in terms} for at in maps):
                    spread.add(v)
        found = []
        work: dict[Value, float] = {}
        for i in self.instructions:
            v = i.outs[0]
            work[v] = work_of(i) + sum(0.0 if x in self.stored else work.get(x, 0.0) for x in set(i.uses))
            if v in self.stored or v not in times:
                continue
            own = work_of(i)
            repeated = times[v] > 1 and (own >= COSTLY or (times[v] - 1) * work[v] > WORTH_STORING)
            if repeated or (v in spread and v.size > 1 and work[v] >= COSTLY):
                found.append(v)
                work[v] = 0.0
        return found


def entry_like(i: Instruction) -> bool:
    """Whether each element of the result comes from those at the same place."""
    return entry_of(i) is not None or i.op.fn in (np.where, np.astype)


def work_of(i: Instruction) -> float:
    """Beside an addition."""
    entry = entry_of(i)
    if entry is None:
        return 0.0 if shown(i) is not None else 1.0
    return entry.work
