"""A kernel: which of its values go to memory, and in which loop nests.

Results and sums do; so does what would otherwise be computed again and again: costly values that are read at several
indices, broadcast, or used by several nests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ...ops.index import SCATTER
from ..primitives import CONTRACTED
from ..recording import Instruction, Value
from .affine import Form, Need, bounds, identity, placed, scattered, shown
from .complexes import as_real
from .joins import JOINS, parts_of, place_of, spaces_of
from .nodes import Apply, Constant, Puller, entry_of, gathers_into, is_native, is_short, reduced
from .rows import REDUCTIONS, ROWS, Reduction
from .text import kind_of

# Work beside an addition: from COSTLY on a value is not computed again for each row, and WORTH_STORING of it in all not
# anew.  In products of matrices each is read in every row.
COSTLY, WORTH_STORING, COSTLY_IN_PRODUCTS = 8.0, 24.0, 2.0


@dataclass(frozen=True)
class Root:
    """What a nest leaves in memory: `node` at each of its indices, or at `place` in a larger array, or reduced over the
    axes of the nest in `axes`; or what it `adds` to what is `offset` elements behind `place`: in fresh zeros, or where
    there is no offset in what is there."""

    value: Value
    slot: int
    node: Any
    reduction: Reduction | None = None
    axes: tuple[int, ...] = ()
    place: Form | None = None
    offset: Any = None
    adds: bool = False
    flag: int | None = None  # the slot of the byte that says whether a nan was among these

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

    Complex numbers are then taken apart (see `complexes`): `source`, `given` and `results` are what there was.
    """

    instructions: tuple[Instruction, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[Value, ...]
    scratch: tuple[Value, ...] = ()
    nests: tuple[Nest, ...] = field(default=())
    checked: dict[int, int] = field(default_factory=dict)  # by slot: index arrays, and of how many elements an axis
    tells: bool = True  # whether a nan among the outputs is told of

    def __post_init__(self) -> None:
        self.source, self.given, self.results = self.instructions, self.inputs, self.outputs
        self.instructions, self.inputs, self.outputs = as_real(self.source, self.given, self.results)
        self.made = {v: i for i in self.instructions for v in i.outs}
        self.sparse = sparse_sums(self.instructions, self.outputs)
        self.stored = dict.fromkeys(self.outputs)
        for i in self.instructions:
            if self._is_reduction(i.outs[0]) or i.outs[0] in self.sparse:
                self.stored[i.outs[0]] = None
        while not self._planned():
            pass

    @property
    def work(self) -> int:
        """Elements times operations."""
        return sum(prod(nest.shape) for nest in self.nests) * len(self.instructions)

    def _planned(self) -> bool:
        """Plan with what is stored by now; False where more must be."""
        ordered = [v for i in self.instructions for v in i.outs if v in self.stored]
        self.scratch = tuple(v for v in ordered if v not in self.outputs)
        slots: dict[Any, int] = {}
        for x in (*self.inputs, *self.outputs, *self.scratch):
            slots[x if isinstance(x, Value) else id(x)] = len(slots)
        self.flag = len(slots) if any(map(self._tells, self.outputs)) else None
        nests, pullers = [], []
        try:
            for shape, group in self._groups(ordered):
                here = {v for v in group if not self._is_join(v)}
                puller = Puller(self.made, slots, here, identity(shape))
                roots = [root for v in group for root in self._roots(v, slots[v], puller, shape)]
                nests.append(Nest(shape, tuple(roots)))
                pullers.append((shape, puller))
                for v in group:
                    self._add_sparse(v, slots, nests, pullers)
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

    def _add_sparse(self, v: Value, slots: dict[Any, int], nests: list[Nest], pullers: list[Any]) -> None:
        """The nests that add scatters to a value, those of one shape in one."""
        shapes: dict[tuple[int, ...], list[Instruction]] = {}
        for i in self.sparse[v].scatters if v in self.sparse else ():
            shapes.setdefault(i.args[0].shape, []).append(i)
        for shape, scatters in shapes.items():
            puller = Puller(self.made, slots, set(), identity(shape))
            roots = [
                Root(v, slots[v], puller.node(i.args[0], puller.space), place=placed(i), adds=True) for i in scatters
            ]
            nests.append(Nest(shape, tuple(roots)))
            pullers.append((shape, puller))

    def _roots(self, v: Value, slot: int, puller: Puller, shape: tuple[int, ...]) -> list[Root]:
        """What a nest leaves of a value: one part, or of arrays put together those of its shape."""
        if not self._is_join(v):
            return [self._root(v, slot, puller)]
        i, kind = self.made[v], kind_of(v.dtype) or ""
        return [
            Root(v, slot, puller.spread(x, kind, shape), place=place_of(i, start, puller.space), flag=self._flag(v))
            for x, start, _ in parts_of(i)
            if x.shape == shape
        ]

    def _root(self, v: Value, slot: int, puller: Puller) -> Root:
        i = self.made[v]
        if v in self.sparse:
            kind = kind_of(v.dtype) or ""
            base = puller.spread(self.sparse[v].base, kind, v.shape)
            return Root(v, slot, Apply(kind, kind, ROWS[np.add].write, (base, Constant(kind, 0.0))))
        if gathers_into(i):
            place, offset = puller.scattering(i)
            node = puller.spread(i.args[0], kind_of(v.dtype) or "", i.args[0].shape)  # which may be a number
            return Root(v, slot, node, place=place, offset=offset, adds=True)
        if self._is_reduction(v):
            found = reduced(i)
            assert found is not None
            return Root(v, slot, puller.node(i.args[0], puller.space), *found)
        return Root(v, slot, puller.node(v, puller.space) if v in puller.here else None, flag=self._flag(v))

    def _tells(self, v: Value) -> bool:
        """Whether a nan among the elements of an output is told of: those that are stored and not added to."""
        return self.tells and v.ndim > 0 and not self._is_reduction(v) and v not in self.sparse

    def _flag(self, v: Value) -> int | None:
        return self.flag if v in self.outputs and self._tells(v) else None

    @property
    def told(self) -> frozenset[int]:
        """Which results have their nan told of; numbers do where the others are looked at."""
        return frozenset(k for k, v in enumerate(self.outputs) if self.tells and (not v.ndim or self._tells(v)))

    def _is_reduction(self, v: Value) -> bool:
        """Whether a value is put together from those at all indices of a nest."""
        i = self.made[v]
        return (i.op.fn in REDUCTIONS and not is_short(i)) or gathers_into(i)

    def _is_join(self, v: Value) -> bool:
        return self.made[v].op.fn in JOINS

    def _spaces(self, v: Value) -> list[tuple[int, ...]]:
        """The index spaces of the nests that make a stored value."""
        if self._is_join(v):
            return spaces_of(self.made[v])
        return [tuple(self.made[v].args[0].shape if self._is_reduction(v) else v.shape)]

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
                parts = x in self.made and (self._is_reduction(x) or self._is_join(x) or x in self.sparse)
                inner = {x: not parts} if x in self.stored else reads.get(x, {})
                aligned = aligned or self._is_in_space_of(i, x)
                for w, before in inner.items():
                    found[w] = found.get(w, True) and before and aligned
            reads[out] = found
            if out in self.stored:
                spaces = self._spaces(out)
                after = [level[w] + (0 if a and self._spaces(w) == spaces else 1) for w, a in found.items()]
                level[out] = max(after, default=0)
                for space in spaces:
                    groups.setdefault((level[out], space), []).append(out)
        return [(key[1], group) for key, group in sorted(groups.items(), key=lambda item: item[0][0])]

    def _is_in_space_of(self, i: Instruction, x: Value) -> bool:
        """Whether an instruction runs over the indices of an argument, not of its result."""
        out = i.outs[0]
        if self._is_join(out):
            return self._spaces(out) == [x.shape]
        return self._is_reduction(out) and x is i.args[0]

    def _costly(self, pullers: Sequence[tuple[tuple[int, ...], Puller]]) -> list[Value]:
        """Values that are not to be computed as often as the nests now would."""
        times: dict[Value, int] = {}
        spread: dict[Value, float] = {}  # and from which work on they are stored
        for shape, puller in pullers:
            contracts = any(self.made[v].op is CONTRACTED for v in puller.here)
            dear = COSTLY_IN_PRODUCTS if contracts else COSTLY
            axes = {k for k, n in enumerate(shape) if n > 1}
            for v, maps in puller.maps.items():
                if v in puller.here and not self._is_reduction(v):
                    continue
                times[v] = times.get(v, 0) + len(maps)
                if any(axes - {var[0] for _, terms in at for var, _ in terms} for at in maps):
                    spread[v] = min(dear, spread.get(v, COSTLY))
        found = []
        work: dict[Value, float] = {}
        own: dict[Value, float] = {}  # with that of values which wait for what is made of them alone
        users: dict[Value, list[Value]] = {}
        for i in self.instructions:
            for x in i.uses:
                users.setdefault(x, []).append(i.outs[0])
        waiting: set[Value] = set()
        for i in self.instructions:
            v = i.outs[0]
            work[v] = work_of(i) + sum(0.0 if x in self.stored else work.get(x, 0.0) for x in set(i.uses))
            own[v] = max([work_of(i), *(own[x] for x in i.uses if x in waiting)])
            if v in self.stored or v not in times:
                continue
            repeated = times[v] > 1 and (own[v] >= COSTLY or (times[v] - 1) * work[v] > WORTH_STORING)
            if repeated or (v in spread and v.size > 1 and work[v] >= spread[v]):
                then = users.get(v, [])
                if len(then) == 1 and v not in spread and then[0].size == v.size and times.get(then[0]) == times[v]:
                    waiting.add(v)  # the last of a chain is stored, not each link
                    continue
                found.append(v)
                work[v] = 0.0
        return found


@dataclass(frozen=True)
class SparseSum:
    """A dense value, and the scatters of few elements that are added to it."""

    base: Any
    scatters: tuple[Instruction, ...]


# Scatters from which on they are added where they go, and how many times larger their result is than each.
MANY, LARGER = 3, 8


def sparse_sums(instructions: Sequence[Instruction], outputs: Sequence[Value]) -> dict[Value, SparseSum]:
    """The sums of many scatters of few elements, each to its place: in a pass over all elements every one would ask of
    each whether it is there.

    To the other elements of a sum a scatter adds 0.0, which turns −0.0 into 0.0; two scatters that do not meet, one of
    which is beside any element, do so everywhere.  So 0.0 is added to the dense value first.
    """
    made = {v: i for i in instructions for v in i.outs}
    uses = Counter(v for i in instructions for v in i.uses)
    uses.update(outputs)
    found: dict[Value, SparseSum] = {}
    inside: set[Value] = set()
    for i in reversed(instructions):
        if i.op.fn is not np.add or i.outs[0] in inside or i.outs[0].dtype.char not in "df":
            continue
        chain: list[Instruction] = []
        base: Any = i.outs[0]
        while True:
            parts = _dense_and_sparse(made.get(base) if isinstance(base, Value) else None, made, uses)
            if parts is None or (chain and uses[base] != 1):
                break
            inside.add(base)
            base, scatter = parts
            chain.append(scatter)
        scatters = tuple(reversed(chain))
        if len(scatters) >= MANY and any(_apart(scatters[0], other) for other in scatters[1:]):
            found[i.outs[0]] = SparseSum(base, scatters)
    return found


def _dense_and_sparse(
    i: Instruction | None, made: dict[Value, Instruction], uses: Any
) -> tuple[Any, Instruction] | None:
    """The arguments of an addition of a scatter of few elements."""
    if i is None or i.op.fn is not np.add:
        return None
    out = i.outs[0]
    for dense, sparse in (i.args, i.args[::-1]):
        scatter = made.get(sparse) if isinstance(sparse, Value) else None
        if scatter is None or scatter.op is not SCATTER or uses[sparse] != 1 or sparse.shape != out.shape:
            continue
        u = scatter.args[0]
        if (
            isinstance(u, Value)
            and u.size * LARGER <= out.size
            and u.dtype == out.dtype
            and placed(scatter) is not None
        ):
            return dense, scatter
    return None


def _apart(a: Instruction, b: Instruction) -> bool:
    """Whether no element of one scatter meets one of another."""
    for one, other in zip(scattered(a) or (), scattered(b) or (), strict=True):
        (low, high), (start, end) = bounds(one), bounds(other)
        if high < start or end < low:
            return True
    return False


def entry_like(i: Instruction) -> bool:
    """Whether each element of the result comes from those at the same place."""
    return entry_of(i) is not None or i.op.fn in (np.where, np.astype)


def work_of(i: Instruction) -> float:
    """Beside an addition."""
    entry = entry_of(i)
    if entry is None:
        return 0.0 if shown(i) is not None else 1.0
    return entry.work
