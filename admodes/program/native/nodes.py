"""What a loop nest computes, as a graph of nodes: each is a value of the program at certain indices.

Nothing is stored on the way: a value is computed anew where it is read at other indices, so that slices, broadcasts
and scatters of slices cost nothing.  What is read from memory is a `Load`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ops.index import INDEX, SCATTER
from ..recording import Instruction, Value
from .affine import ZERO, Form, Map, Need, Var, bounds, by_axes, combined, scattered, shown, strides_of
from .gathers import Gathering, gathering, wrapped
from .joins import JOINS, is_join, part_at
from .rows import REDUCTIONS, ROWS, Entry, power_as
from .text import FLOATING, castable, kind_of

# A reduction over so few elements is written out.
FEW = 4

_serial = itertools.count()


def _next() -> int:
    return next(_serial)


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    kind: str
    number: Any
    serial: int = field(default_factory=_next)


@dataclass(frozen=True, eq=False, slots=True)
class Load:
    kind: str
    slot: int
    place: Form
    serial: int = field(default_factory=_next)


@dataclass(frozen=True, eq=False, slots=True)
class Gather:
    """What is `offset` elements behind a place."""

    kind: str
    slot: int
    place: Form
    offset: Any
    serial: int = field(default_factory=_next)


@dataclass(frozen=True, eq=False, slots=True)
class Apply:
    """write(to, computed, *args), the arguments cast to the kind that is computed in."""

    kind: str
    computed: str
    write: Callable[..., str]
    args: tuple[Any, ...]
    serial: int = field(default_factory=_next)


@dataclass(frozen=True, eq=False, slots=True)
class Cast:
    kind: str
    arg: Any
    serial: int = field(default_factory=_next)


@dataclass(frozen=True, eq=False, slots=True)
class Choose:
    """np.where."""

    kind: str
    condition: Any
    a: Any
    b: Any
    serial: int = field(default_factory=_next)


@dataclass(frozen=True, eq=False, slots=True)
class Inside:
    """arg where every variable is in its range, else zero."""

    kind: str
    where: tuple[Var, ...]
    arg: Any
    serial: int = field(default_factory=_next)


# ---------------------------------------------------------------------------------------------------
# What can be written
# ---------------------------------------------------------------------------------------------------


def entry_of(i: Instruction) -> Entry | None:
    return ROWS.get(i.op) or ROWS.get(i.op.fn)


def computed_in(i: Instruction, entry: Entry) -> str | None:
    """The kind that an elementwise instruction computes in; None where kernels do not."""
    out = i.outs[0]
    if not entry.common:
        return kind_of(out.dtype)
    arrays = [x.dtype if isinstance(x, Value | np.ndarray | np.generic) else x for x in i.args]
    return kind_of(np.result_type(*arrays))


def is_number(x: Any) -> bool:
    """A constant of one element."""
    if isinstance(x, bool | int | float) and not isinstance(x, np.generic):
        return not isinstance(x, int) or abs(x) < 1 << 62
    return isinstance(x, np.generic | np.ndarray) and x.ndim == 0 and kind_of(x.dtype) is not None


def is_known(x: Any) -> bool:
    """Whether an argument is an array or number that kernels read."""
    return is_number(x) or (isinstance(x, Value | np.ndarray) and kind_of(x.dtype) is not None and x.size > 0)


def kind_of_argument(x: Any, computed: str) -> str:
    """A Python number is of the kind of its neighbours."""
    return kind_of(x.dtype) or "" if isinstance(x, Value | np.ndarray | np.generic) else computed


def is_native(i: Instruction) -> bool:
    """Whether kernels compute an instruction: an elementwise one, a selection, a cast, an index, a scatter, a join or a
    reduction, on dtypes that they know."""
    if isinstance(i.out, tuple) or not i.outs or i.into is not None or i.buffer is not None:
        return False
    out = kind_of(i.out.dtype)
    if out is None or not i.out.size:
        return False
    if i.op is INDEX:
        return is_known(i.args[0]) and gathering(i) is not None
    if i.op.fn in JOINS:
        return is_join(i)
    if i.op is SCATTER:
        same = isinstance(i.args[0], Value | np.ndarray) and i.args[0].dtype == i.out.dtype
        return same and (scattered(i) is not None or (out in FLOATING and gathering(i) is not None))
    if not all(map(is_known, i.args[: 3 if i.op.fn is np.where else 1])):
        return False
    if i.op.fn is np.astype:
        old = kind_of(i.args[0].dtype) if isinstance(i.args[0], Value) else None
        return old is not None and castable(old, out) and not i.params.keys() - {"dtype"} and len(i.args) == 1
    if i.op.fn is np.where:
        return len(i.args) == 3 and not i.params and all(_fits(x, out) for x in i.args[1:])
    if i.op.fn in REDUCTIONS:
        return reduced(i) is not None
    entry = entry_of(i)
    if entry is None or i.params or not all(map(is_known, i.args)):
        return False
    computed = computed_in(i, entry)
    return computed is not None and computed in entry.kinds and all(_fits(x, computed) for x in i.args)


def _fits(x: Any, computed: str) -> bool:
    if not isinstance(x, Value | np.ndarray | np.generic):
        return computed in FLOATING or isinstance(x, bool) or (isinstance(x, int) and computed != "?")
    return castable(kind_of(x.dtype) or "", computed)


def gathers_into(i: Instruction) -> bool:
    """Whether an instruction adds to elements wherever index arrays say."""
    return i.op is SCATTER and scattered(i) is None


def reduced(i: Instruction) -> tuple[Any, tuple[int, ...]] | None:
    """The reduction of an instruction and its axes; None where kernels do not have it."""
    x, out = i.args[0], i.outs[0]
    if not isinstance(x, Value) or not x.ndim or len(i.args) > 2 or i.params.keys() - {"axis", "keepdims"}:
        return None
    kind = kind_of(x.dtype)
    found = REDUCTIONS[i.op.fn]
    made = kind_of(out.dtype)
    if kind is None or made is None or made not in found.kinds or not castable(kind, made):
        return None
    if kind == "?" and i.op.fn in (np.max, np.min, np.prod):
        return None
    axis = i.params.get("axis", i.args[1] if len(i.args) == 2 else None)
    axes = tuple(range(x.ndim)) if axis is None else tuple(a % x.ndim for a in np.atleast_1d(axis).tolist())
    return (found, axes) if axes else None


def is_short(i: Instruction) -> bool:
    """Whether a reduction is over so few elements that it is written out."""
    return reduced_size(i) <= FEW


def reduced_size(i: Instruction) -> int:
    found = reduced(i)
    assert found is not None
    n = 1
    for a in found[1]:
        n *= i.args[0].shape[a]
    return n


# ---------------------------------------------------------------------------------------------------
# Nodes
# ---------------------------------------------------------------------------------------------------

# What makes a node: it asks for values at indices, and is given their nodes.
Making = Generator[tuple[Any, Map], Any, Any]


class Puller:
    """Makes the nodes of one nest.

    made: the instructions of the kernel, by what they make
    slots: where values and constant arrays are in memory, in the order of C
    here: the stored values that this nest itself computes
    """

    def __init__(self, made: dict[Value, Instruction], slots: dict[Any, int], here: set[Value], space: Map) -> None:
        self.made = made
        self.slots = slots
        self.here = here
        self.space = space
        self.known: dict[Any, Any] = {}
        self.maps: dict[Value, set[Map]] = {}  # where each value is computed
        self.checked: dict[int, int] = {}  # slots of index arrays -> elements of the shortest axis that they index

    def node(self, x: Any, at: Map) -> Any:
        """The node of a value at indices. Its arguments come first, whatever the depth, without recursion."""
        waiting = [(_key(x, at), self._node(x, at))] if _key(x, at) not in self.known else []
        found = self.known.get(_key(x, at))
        while waiting:
            key, making = waiting[-1]
            try:
                wanted = making.send(found)
            except StopIteration as done:
                found = self.known[key] = done.value
                waiting.pop()
                continue
            found = self.known.get(_key(*wanted))
            if found is None:
                waiting.append((_key(*wanted), self._node(*wanted)))
        return found

    def _node(self, x: Any, at: Map) -> Making:
        slot = self.slots.get(x if isinstance(x, Value) else id(x))
        if slot is not None and not (isinstance(x, Value) and x in self.here and at == self.space):
            place = combined(0, list(zip(at, strides_of(x.shape), strict=True)))
            return Load(kind_of(x.dtype) or "", slot, place)
        i = self.made[x]
        view = shown(i)
        if view is not None:
            return (yield from self._seen(i, view, at))
        self.maps.setdefault(x, set()).add(at)
        return (yield from self._computed(i, at))

    def _seen(self, i: Instruction, view: tuple[int, tuple[int, ...]], at: Map) -> Making:
        """A view: its source where it shows it."""
        source, out = i.args[0], i.outs[0]
        forms = by_axes(*view, out.shape, source.shape)
        if forms is not None:
            inner = tuple(combined(start, [(at[var[0]], c) for var, c in terms]) for start, terms in forms)
            return (yield source, inner)
        slot = self.slots.get(source)
        if slot is None or source in self.here:
            raise Need(source)
        return Load(kind_of(source.dtype) or "", slot, combined(view[0], list(zip(at, view[1], strict=True))))

    def _argument(self, x: Any, at: Map, shape: tuple[int, ...], computed: str) -> Making:
        """An argument that is broadcast to a shape, at indices of that."""
        if is_number(x):
            kind = kind_of_argument(x, computed)
            return Constant(kind, x.item() if isinstance(x, np.generic | np.ndarray) else x)
        behind = at[len(shape) - x.ndim :]
        return (yield x, tuple(ZERO if n == 1 else f for f, n in zip(behind, x.shape, strict=True)))

    def _computed(self, i: Instruction, at: Map) -> Making:
        """What an instruction computes, at indices of its result."""
        shape, kind = i.outs[0].shape, kind_of(i.outs[0].dtype) or ""
        if i.op is SCATTER:
            return (yield from self._scattered(i, at))
        if i.op is INDEX:
            return (yield from self._gathered(i, at))
        if i.op.fn is np.astype:
            return Cast(kind, (yield from self._argument(i.args[0], at, shape, kind)))
        if i.op.fn is np.where:
            condition = yield from self._argument(i.args[0], at, shape, "?")
            a = yield from self._argument(i.args[1], at, shape, kind)
            return Choose(kind, condition, a, (yield from self._argument(i.args[2], at, shape, kind)))
        if i.op.fn in REDUCTIONS:
            return (yield from self._written_out(i, at))
        if i.op.fn in JOINS:
            found = part_at(i, at)
            if found is None:
                raise Need(i.outs[0])
            part = yield from self._argument(found[0], found[1], found[0].shape, kind)
            return Cast(kind, part)
        entry = entry_of(i)
        assert entry is not None
        computed = computed_in(i, entry) or ""
        args = []
        for x in i.args:
            args.append((yield from self._argument(x, at, shape, computed)))
        power = power_as(float(i.args[1])) if i.op.fn is np.power and is_number(i.args[1]) else None
        return (
            Apply(kind, computed, entry.write, tuple(args))
            if power is None
            else Apply(kind, kind, power[1], (args[0],))
        )

    def _gathered(self, i: Instruction, at: Map) -> Making:
        """The elements of an array in memory at an index by arrays."""
        x, kind, found = i.args[0], kind_of(i.outs[0].dtype) or "", gathering(i)
        assert found is not None
        slot = self.slots.get(x if isinstance(x, Value) else id(x))
        if slot is None or (isinstance(x, Value) and x in self.here):
            raise Need(x)
        return Gather(kind, slot, place_in(found, at), (yield from self._offset(found, at)))

    def _offset(self, found: Gathering, at: Map) -> Making:
        """How many elements index arrays lead on."""
        total: Any = None
        strides = found.strides
        behind = at[found.first : found.first + len(found.broadcast)]
        for axis, x in found.arrays:
            self._check(x, found.shape[axis])
            index = Cast("q", (yield from self._argument(x, behind, found.broadcast, "q")))
            one = Apply("q", "q", wrapped(found.shape[axis]), (index,))
            if strides[axis] != 1:
                one = Apply("q", "q", ROWS[np.multiply].write, (one, Constant("q", strides[axis])))
            total = one if total is None else Apply("q", "q", ROWS[np.add].write, (total, one))
        return total

    def _check(self, x: Any, n: int) -> None:
        """Note that all of an index array, or of what it is a view of, is to be in range."""
        if is_number(x):
            return
        while isinstance(x, Value) and x not in self.slots:
            x = self.made[x].args[0]
        slot = self.slots[x if isinstance(x, Value) else id(x)]
        self.checked[slot] = min(n, self.checked.get(slot, n))

    def scattering(self, i: Instruction) -> tuple[Form, Any]:
        """Of a scatter by index arrays the place of each element in the result, and how many elements behind that."""
        found = gathering(i)
        assert found is not None
        return place_in(found, self.space), self._driven(self._offset(found, self.space))

    def spread(self, x: Any, kind: str, shape: tuple[int, ...]) -> Any:
        """An argument that is broadcast to the shape of the nest, in a kind."""
        return Cast(kind, self._driven(self._argument(x, self.space, shape, kind)))

    def _driven(self, making: Making) -> Any:
        """What is made once all that it asks for is."""
        try:
            wanted = next(making)
            while True:
                wanted = making.send(self.node(*wanted))
        except StopIteration as done:
            return done.value

    def _written_out(self, i: Instruction, at: Map) -> Making:
        """A reduction over few elements, one after the other."""
        found = reduced(i)
        assert found is not None
        reduction, axes = found
        x, kind = i.args[0], kind_of(i.outs[0].dtype) or ""
        kept = [a for a in range(x.ndim) if a not in axes]
        behind = [at[a] for a in kept] if len(at) == x.ndim else list(at)
        is_sum = kind in FLOATING and reduction.neutral(kind) == 0
        y: Any = Constant(kind, 0.0) if is_sum else None  # 0 + (−0) is 0
        for place in np.ndindex(*(x.shape[a] for a in axes)):
            inner: list[Form] = [ZERO] * x.ndim
            for a, form in zip(kept, behind, strict=True):
                inner[a] = form
            for a, k in zip(axes, place, strict=True):
                inner[a] = (int(k), ())
            one = Cast(kind, (yield x, tuple(inner)))
            y = one if y is None else Apply(kind, kind, reduction.write, (y, one))
        return y

    def _scattered(self, i: Instruction, at: Map) -> Making:
        """Zero, or the argument where the indices are among those that are written."""
        u, out = i.args[0], i.outs[0]
        kind = kind_of(out.dtype) or ""
        places = scattered(i)
        assert places is not None
        inner: list[Form] = [ZERO] * u.ndim
        where: dict[int, Var] = {}  # axis of the nest -> the variable in its range
        for form, (start, terms) in zip(at, places, strict=True):
            moved = combined(-start, [(form, 1)])
            if terms:
                (k, _, n), c = terms[0]
                moved = inner[k] = combined(0, [(moved, c)])
            if not _held(moved, n if terms else 1, where, out):
                return Constant(kind, 0)
        kept = (_renamed(form, where) for form in inner)
        node = yield u, tuple(ZERO if n == 1 else f for f, n in zip(kept, u.shape, strict=True))
        return Inside(kind, tuple(where.values()), node) if where else node


def place_in(found: Gathering, at: Map) -> Form:
    """Where in the array single indices and slices lead."""
    strides = found.strides
    parts: list[tuple[Form, int]] = [((start, ()), strides[axis]) for axis, start, _, _ in found.slices]
    parts += [(at[out], step * strides[axis]) for axis, _, step, out in found.slices if out is not None]
    return combined(0, parts)


def _key(x: Any, at: Map) -> tuple[Any, Map]:
    return (x if isinstance(x, Value) else id(x)), at


def _held(form: Form, n: int, where: dict[int, Var], out: Value) -> bool:
    """Note in `where` what makes 0 ≤ form < n; False where nothing does."""
    least, most = bounds(form)
    if least >= 0 and most < n:
        return True
    if most < 0 or least >= n:
        return False
    if len(form[1]) != 1 or abs(form[1][0][1]) != 1:
        raise Need(out)
    (axis, a, b), c = form[1][0]
    first, last = sorted((c * (0 - form[0]), c * (n - 1 - form[0])))
    _, lower, upper = where.get(axis, (axis, a, b))
    where[axis] = axis, max(a, lower, first), min(b, upper, last + 1)
    return where[axis][1] < where[axis][2]


def _renamed(form: Form, where: dict[int, Var]) -> Form:
    return form[0], tuple(sorted((where.get(var[0], var), c) for var, c in form[1]))
