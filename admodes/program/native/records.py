"""The records of a table: which word computes an instruction, where its arguments are and where the result goes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...core.indices import as_tuple
from ...core.registry import OPS, Op
from ...ops.assignment import SETITEM
from ...ops.index import INDEX, SCATTER
from ..algebra import SUM_BY_PRODUCT
from ..primitives import ADD_AT, COPIED, SCATTERED, SET_AT, SUBTRACT_AT, SUMMED_OUTER, SUMMED_ROWS
from ..primitives import ROWS as ROWS_OF
from ..recording import GUARD, SEED, Instruction, Value, leaves
from ..straightline import StraightLine
from .affine import VIEWS, strides_of
from .affine import is_basic as has_no_arrays
from .group import mean_as_sum
from .joins import JOINS, axis_of, parts_of
from .nodes import computed_in, entry_of, is_native, is_number, kind_of_argument, reduced
from .products import PRODUCTS, is_small_product
from .rows import REDUCTIONS, ROWS, power_as
from .spots import Memory, Spot, walk
from .text import SIZES, Writer, castable, kind_of
from .words import Fold, Gather, Map, Product, Word, Write

# Elements up to which NumPy does no better, and up to which arrays are copied or begun.
MOST_ELEMENTS, MOST_COPIED = 1 << 13, 1 << 16

# Multiply-adds up to which BLAS is no faster on a product.
MOST_TERMS = 1 << 16

# Elements that are summed one after the other, as NumPy sums by blocks.
BLOCK = 128

CONSTANTS, SCRATCH, FIRST = 0, 1, 2

IN_PLACE = {ADD_AT: np.add, SUBTRACT_AT: np.subtract, SET_AT: None}
FILLED = {np.zeros_like: 0, np.ones_like: 1}
MARKED = {GUARD, SEED, ROWS_OF}
OF_OURS = {*IN_PLACE, SETITEM, SCATTER, SCATTERED, INDEX, COPIED, SUMMED_ROWS, SUMMED_OUTER, SUM_BY_PRODUCT}
OF_NUMPY = {*VIEWS, *FILLED, *JOINS, *PRODUCTS, *REDUCTIONS, np.where, np.astype, np.mean}


class Refused(Exception):
    """An instruction that no word does."""


class Lives:
    """Of each value whose memory it may show in a table, and of that until when it is read, and whether it changes."""

    def __init__(self, program: StraightLine) -> None:
        self.root: dict[Value, Value] = {}
        self.last: dict[Value, int] = {}  # by root
        self.used: dict[Value, int] = {}
        self.changed: set[Value] = set()
        for k, i in enumerate(program.instructions):
            for v in i.uses:
                self.used[v] = k
            source = i.args[i.into] if i.into is not None else i.source if i.args and _may_show(i) else None
            for v in i.outs:
                self.root[v] = self.root.get(source, source) if isinstance(source, Value) else v
            if i.op in IN_PLACE:
                self.changed.add(self.root[i.outs[0]])
        for v in program.outputs:
            if isinstance(v, Value):
                self.used[v] = len(program.instructions)
        for v, k in self.used.items():
            root = self.root.get(v, v)
            self.last[root] = max(self.last.get(root, 0), k)
        self.ends: dict[int, list[Value]] = {}  # by instruction: roots that nothing reads behind it
        for k, i in enumerate(program.instructions):
            for v in i.outs:
                if v not in self.used and self.root[v] is v:
                    self.last.setdefault(v, k)
        for v, k in self.last.items():
            self.ends.setdefault(k, []).append(v)

    def changes(self, v: Value) -> bool:
        """Whether the memory that a value shows changes in place."""
        return self.root[v] in self.changed


def may_be_written(i: Instruction) -> bool:
    """Whether an instruction looks like one for a table."""
    op, fn, out = i.op, i.op.fn, i.out
    if op in MARKED:
        return True
    if isinstance(out, tuple) or kind_of(out.dtype) is None:
        return False
    if op in OF_OURS or fn in OF_NUMPY:
        return out.size <= MOST_COPIED
    return entry_of(i) is not None and out.size <= MOST_ELEMENTS


class Writing:
    """Writes the records of instructions that follow one another.

    inputs : what they read from outside; records : words with their functions and the fields behind their addresses
    """

    def __init__(self, body: Sequence[Instruction], lives: Lives) -> None:
        self.body = body
        self.lives = lives
        self.inputs: dict[Value, Spot] = {}
        self.records: list[tuple[tuple[Word, Write | None], list[int]]] = []
        self.constants = bytearray()
        self.known: dict[Any, Spot] = {}
        self.spots: dict[Value, Spot] = {}
        self.work = 0
        self.top = 0
        self.spare: dict[int, list[int]] = {}
        self.held: dict[Value, list[Memory]] = {}  # by root
        self.passing: list[Memory] = []
        self.computed: dict[Any, str] = {}  # by operation and kinds of what is known to be elementwise
        self.guards: list[Instruction] = []
        self.holds: Spot | None = None  # whether all guards do

    # -- memory -------------------------------------------------------------------------------------

    def fresh(self, kind: str, shape: tuple[int, ...]) -> Spot:
        """New memory, for the one instruction that is being written."""
        size = prod(shape) * SIZES[kind]
        size = -(-size // 64) * 64 if size > 32 else -(-size // 8) * 8
        spare = self.spare.setdefault(size, [])
        if not spare:
            spare.append(self.top)
            self.top += size
        self.passing.append(Memory(SCRATCH, spare.pop(), size, True))
        return Spot(self.passing[-1], kind, shape, strides_of(shape))

    def made(self, v: Value) -> Spot:
        """New memory for a value, which is there from then on."""
        self.spots[v] = spot = self.kept(v, _kind(v), v.shape)
        return spot

    def kept(self, v: Value, kind: str, shape: tuple[int, ...]) -> Spot:
        """New memory, for as long as that of a value is read."""
        spot = self.fresh(kind, shape)
        self.held.setdefault(self.lives.root.get(v, v), []).append(self.passing.pop())
        return spot

    def freed(self, k: int) -> None:
        """Memory that nothing reads behind instruction k is for others."""
        gone = self.passing
        self.passing = []
        for v in self.lives.ends.get(k, ()):
            gone += self.held.pop(v, ())
        for memory in gone:
            self.spare[memory.nbytes].append(memory.at)

    def spot(self, x: Any, kind: str = "") -> Spot:
        """Where an argument is."""
        if isinstance(x, Value):
            found = self.spots.get(x)
            if found is None:
                found = Spot(Memory(FIRST + len(self.inputs), 0, x.nbytes), _kind(x), x.shape, strides_of(x.shape))
                self.spots[x] = self.inputs[x] = found
            return found
        if not isinstance(x, np.ndarray | np.generic):
            x = np.array(x, kind)
        if x.size > MOST_ELEMENTS:
            raise Refused
        x = np.asarray(x, order="C")
        key = x.dtype.char, x.shape, x.tobytes()
        if key not in self.known:
            self.constants += bytes(-len(self.constants) % 8)
            memory = Memory(CONSTANTS, len(self.constants), x.nbytes)
            self.constants += x.tobytes()
            self.known[key] = Spot(memory, _kind(x), x.shape, strides_of(x.shape))
        return self.known[key]

    # -- words --------------------------------------------------------------------------------------

    def map(self, name: Any, write: Write, computed: str, args: Sequence[Spot], out: Spot) -> None:
        """out[…] = write(*args[…])."""
        size = out.size
        if size > (MOST_COPIED if name is np.positive else MOST_ELEMENTS):
            raise Refused
        if not size:
            return
        spots = [*(x.broadcast(out.shape) for x in args), out]
        chooses = name is np.where
        kinds = "".join(x.kind for x in spots)
        self.work += size
        if size == 1:
            self.records.append(((Map(name, kinds, computed, (), chooses), write), [n for x in spots for n in x.place]))
            return
        found = walk(out.shape, tuple(x.strides for x in spots))
        if found is None:
            raise Refused
        inner = tuple(right for _, right in found.strides)
        near = inner[-1] == 1 and all(s in (0, 1) for s in inner)
        word = Map(name, kinds, computed, inner[:-1] if near else None, chooses)
        for starts in zip(*found.starts, strict=True):
            fields = list(found.extents)
            for x, start, (down, right) in zip(spots, starts, found.strides, strict=True):
                size = SIZES[x.kind]
                base, at = x.place
                fields += [base, at + start * size, down * size, right * size]
            self.records.append(((word, write), fields))

    def copy(self, x: Spot, out: Spot) -> None:
        """out[…] = x, in the kind of out."""
        if not castable(x.kind, out.kind):
            raise Refused
        self.map(np.positive, _same, out.kind, [x], out)

    def copied(self, x: Spot) -> Spot:
        new = self.fresh(x.kind, x.shape)
        self.copy(x, new)
        return new

    def fold(self, fn: Any, x: Spot, axes: tuple[int, ...], out: Spot, neutral: Any = None) -> None:
        """A reduction; out has the axes that are kept, and perhaps those of one element."""
        kept = [a for a in range(len(x.shape)) if a not in axes]
        x = x.at(0, tuple(x.strides[a] for a in (*kept, *axes)), tuple(x.shape[a] for a in (*kept, *axes)))
        shape = x.shape[: len(kept)]
        count = prod(x.shape[len(kept) :])
        if x.size > MOST_ELEMENTS or not count:
            raise Refused
        if (flat := _flattened(x, len(kept))) is None:
            x = self.copied(x)
            flat = _flattened(x, len(kept))
            assert flat is not None
        out = out.at(0, strides_of(shape), shape)
        (down, right), rows = flat, prod(shape)
        while count > BLOCK and fn not in (np.max, np.min, np.any, np.all):
            whole = count // BLOCK
            rest = count - whole * BLOCK
            parts = self.fresh(out.kind, (rows, whole + bool(rest)))
            for first, n, length in ((0, whole, BLOCK), (whole, 1, rest)):
                for r in range(rows) if length else ():
                    start = r * down + first * BLOCK * right
                    spot = x.at(start, (BLOCK * right, right), (n, length))
                    self._folded(fn, spot, parts.at(r * parts.strides[0] + first, (1,), (n,)), neutral)
            x, (down, right), count = parts.at(0, (0, 0), (rows, parts.shape[1])), parts.strides, parts.shape[1]
        self._folded(fn, x.at(0, (down, right), (rows, count)), out.at(0, (1,), (rows,)), neutral)

    def _folded(self, fn: Any, x: Spot, out: Spot, neutral: Any) -> None:
        found = REDUCTIONS[fn]
        a, b = SIZES[x.kind], SIZES[out.kind]
        fields = [*x.shape, *x.place, *(s * a for s in x.strides), *out.place, out.strides[0] * b]
        start = found.neutral(out.kind) if neutral is None else neutral
        word = Fold((fn, repr(start)), start, x.kind + out.kind, x.strides[1] == 1)
        self.work += x.size
        self.records.append(((word, found.write), fields))

    def product(self, a: Spot, b: Spot, out: Spot, signed: bool = False) -> None:
        """A product of vectors and matrices; signed: see `Product`."""
        if len(a.shape) > 2 or len(b.shape) > 2:
            raise Refused
        rows, terms = a.shape if len(a.shape) == 2 else (1, *a.shape)
        columns = b.shape[1] if len(b.shape) == 2 else 1
        left = a.strides if len(a.shape) == 2 else (0, *a.strides)
        right = b.strides if len(b.shape) == 2 else (*b.strides, 0)
        size = SIZES[out.kind]
        along = columns > 1 and right[1] == 1
        word = Product(out.kind, along, not along and left[1] == right[0] == 1, signed)
        fields = [rows, columns, terms]
        for x, strides in ((a, left), (b, right), (out, (columns, 1))):
            fields += [*x.place, *(s * size for s in strides)]
        self.work += rows * columns * terms
        self.records.append(((word, None), fields))

    # -- instructions -------------------------------------------------------------------------------

    def instruction(self, k: int) -> None:
        """The records of instruction k; raises Refused."""
        i = self.body[k]
        if i.buffer is not None or (i.into is not None and i.op not in IN_PLACE):
            raise Refused
        if i.op is GUARD:
            self._guard(i)
        else:
            for j in mean_as_sum(i):
                self._one(j)
        self.freed(k)

    def written(self, k: int, stop: int) -> int:
        """Write instructions k to stop, as far as there are words for them; the place of the first that has none."""
        for n in range(k, stop):
            records = len(self.records)
            try:
                self.instruction(n)
            except Refused:
                del self.records[records:]
                self.passing = []
                return n
        return stop

    def _one(self, i: Instruction) -> None:
        if i.op is ROWS_OF:
            stack = self.spot(i.args[0])
            for k, row in enumerate(i.outs):
                self._shown(i, row, stack.indexed((k,)))
            return
        if isinstance(i.out, tuple) or kind_of(i.out.dtype) is None:
            raise Refused
        v, fn = i.out, i.op.fn
        if not v.size:
            self.made(v)
        elif i.op in OF_OURS:
            self._of_ours(i, v)
        elif i.op is SEED:
            self.spots[v] = self.spot(i.args[0])
        elif fn in VIEWS:
            self._view(i)
        elif fn in FILLED and len(i.args) == 1 and not i.params:
            self.copy(self.spot(FILLED[fn], _kind(v)), self.made(v))
        elif fn in JOINS:
            self._join(i)
        elif fn in PRODUCTS and _is_product(i):
            self.product(self.spot(i.args[0]), self.spot(i.args[1]), self.made(v))
        elif fn in REDUCTIONS and _is_of_number(i):
            self.fold(fn, self.spot(i.args[0]), (), self.made(v))
        elif fn in REDUCTIONS and is_native(i):
            found = reduced(i)
            assert found is not None
            self.fold(fn, self.spot(i.args[0]), found[1], self.made(v))
        elif (kinds := _kinds(i)) in self.computed:
            self.applied(i.op, i.args, self.made(v), self.computed[kinds])
        elif is_native(i):
            self._elementwise(i)
            if kinds is not None:
                self.computed[kinds] = computed_in(i, _entry(i)) or ""
        else:
            raise Refused

    def _of_ours(self, i: Instruction, v: Value) -> None:
        """An operation that is no function of NumPy's."""
        if i.op in IN_PLACE:
            a, value, index = i.args
            self._changed(IN_PLACE[i.op], self._to_change(a), value, index, v)
        elif i.op is SETITEM:
            a, index, value = i.args
            out = self.made(v)
            self.copy(self.spot(a, out.kind), out)
            self._changed(None, out, value, index, v)
        elif i.op is SCATTER:
            self._scatter(i)
        elif i.op is SCATTERED:
            self._scattered(i)
        elif i.op is INDEX and not has_no_arrays(_entries(i.args[1])):
            self._gather(i)
        elif i.op is INDEX:
            self._view(i)
        elif i.op is COPIED:
            self.copy(self.spot(i.args[0]), self.made(v))
        elif i.op is SUM_BY_PRODUCT:
            self.product(self.spot(i.args[0]), self.spot(i.args[1]), self.made(v))
        elif i.op is SUMMED_ROWS and v.dtype.char in "df":
            self.fold(np.sum, self.spot(i.args[0]), (0,), self.made(v), -0.0)
        elif i.op is SUMMED_OUTER and v.size * i.args[0].shape[0] <= MOST_TERMS:
            us, vs = map(self.spot, i.args)
            self.product(us.at(0, us.strides[::-1], us.shape[::-1]), vs, self.made(v), True)
        else:
            raise Refused

    def _elementwise(self, i: Instruction) -> None:
        v, fn = i.outs[0], i.op.fn
        kind = _kind(v)
        if fn is np.where:
            args = [self.spot(i.args[0], "?"), *(self.spot(x, kind) for x in i.args[1:])]
            self.map(np.where, _chosen, kind, args, self.made(v))
            return
        if fn is np.astype:
            self.copy(self.spot(i.args[0]), self.made(v))
            return
        self.applied(i.op, i.args, self.made(v), computed_in(i, _entry(i)) or "")

    def applied(self, op: Op, args: Sequence[Any], out: Spot, computed: str) -> None:
        """An elementwise operation."""
        entry = ROWS.get(op) or ROWS[op.fn]
        name: Any = op
        write, args = entry.write, list(args)
        power = power_as(float(args[1])) if op.fn is np.power and is_number(args[1]) else None
        if power is not None:
            (name, write), args = power, args[:1]
        spots = [self.spot(x, kind_of_argument(x, computed)) for x in args]
        self.map(name, write, computed, spots, out)

    def _view(self, i: Instruction) -> None:
        source = self.spot(i.args[0])
        if i.op is INDEX:
            found: Spot | None = source.indexed(as_tuple(i.args[1]))
        else:
            found = source.seen(i)
        if found is not None:
            self._shown(i, i.outs[0], found)
        elif i.op.fn in (np.reshape, np.ravel) and "order" not in i.params and len(i.args) < 3:
            new = self.made(i.outs[0])
            self.copy(source, new.at(0, strides_of(source.shape), source.shape))
        else:
            raise Refused

    def _shown(self, i: Instruction, v: Value, found: Spot) -> None:
        """A value as a view, or as a copy of one where flat code has that and the memory changes later."""
        if found.shape != v.shape or found.size > MOST_COPIED:
            raise Refused
        if not i.aliases and self.lives.changes(v):
            new = self.made(v)
            self.copy(found, new)
        else:
            self.spots[v] = found

    def _to_change(self, a: Value) -> Spot:
        """An array that is changed in place: what is not the table's own is copied."""
        spot = self.spot(a)
        if spot.memory.own:
            return spot
        new = self.kept(a, spot.kind, spot.shape)
        self.copy(spot, new)
        return new

    def _changed(self, fn: Any, a: Spot, value: Any, index: Any, v: Value) -> None:
        """a[index] = value, or += and −=."""
        index = _entries(index)
        x = self.spot(value, a.kind)
        if not has_no_arrays(index):
            self._set(a, x, index, v)
            return
        there = a.indexed(index)
        if fn is not None and x.kind != a.kind:
            raise Refused
        more = max(0, len(x.shape) - len(there.shape))  # leading axes of one element
        x = x.at(0, x.strides[more:], x.shape[more:])
        if x.memory is a.memory and x.size > 1:
            x = self.copied(x)
        if fn is None:
            self.copy(x, there)
        else:
            self.map(OPS[fn], ROWS[fn].write, a.kind, [there, x], there)
        self.spots[v] = a

    def _set(self, a: Spot, x: Spot, index: tuple[Any, ...], v: Value) -> None:
        """a[index] = x at index arrays; of an element that is named twice the last stays, as with NumPy."""
        places = _places(index, a.shape)
        if places is None or not a.whole or len(x.shape) > places.ndim:
            raise Refused
        x = x.broadcast(places.shape)
        if x.memory is a.memory or x.kind != a.kind or (places.ndim != 1 and any(x.strides)):
            new = self.fresh(a.kind, x.shape)
            self.copy(x, new)
            x = new
        on = 0 if not any(x.strides) else x.strides[0] if places.ndim == 1 else 1
        self._far("set", x.at(0, (on,), (places.size,)), places, a)
        self.spots[v] = a

    def _zeros(self, v: Value) -> Spot:
        out = self.made(v)
        self.copy(self.spot(0, out.kind), out)
        return out

    def _scatter(self, i: Instruction) -> None:
        u, index, shape, ndim = i.args
        index, lead = _entries(index), u.shape[: u.ndim - ndim]
        if has_no_arrays(index):
            out = self._zeros(i.outs[0])
            self.copy(self.spot(u), out.indexed((slice(None),) * len(lead) + index))
        else:
            places, spot = _places(index, shape), self.spot(u)
            if places is not None and lead:  # those of each direction, whose axis stays the first
                first = np.arange(prod(lead)).reshape(lead + (1,) * places.ndim) * prod(shape)
                places = first + places
            if places is None or places.shape != spot.shape or u.dtype != i.outs[0].dtype or u.dtype.char not in "df":
                raise Refused
            out = self._zeros(i.outs[0])
            spot = spot if len(spot.shape) == 1 else self._whole(spot)
            self._far("add", spot, places, out)
        self.spots[i.outs[0]] = out

    def _scattered(self, i: Instruction) -> None:
        index, v = _entries(i.params["index"]), i.outs[0]
        op, shape = OPS[i.params["op"]], np.broadcast_shapes(*(np.shape(x) for x in i.args))
        inner = Instruction(op, i.args, {}, Value(shape, v.dtype))
        if not has_no_arrays(index) or not is_native(inner):
            raise Refused
        out = self._zeros(v)
        self.applied(op, i.args, out.indexed(index), computed_in(inner, _entry(inner)) or "")
        self.spots[v] = out

    def _gather(self, i: Instruction) -> None:
        x, v = self.spot(i.args[0]), i.outs[0]
        places = _places(as_tuple(i.args[1]), x.shape)
        if places is None or places.shape != v.shape:
            raise Refused
        out = self.made(v)
        self._far("", x if x.whole else self._whole(x), places, out)
        self.spots[v] = out

    def _whole(self, x: Spot) -> Spot:
        """A copy with the elements one behind the other, as one axis."""
        return self.copied(x).at(0, (1,), (x.size,))

    def _far(self, there: str, x: Spot, places: np.ndarray, out: Spot) -> None:
        """What is read at places, or set or added there."""
        if places.size > MOST_ELEMENTS:
            raise Refused
        size = SIZES[out.kind]
        on = x.strides[0] if there else 1
        fields = [places.size, *x.place, on * size, *self.spot(places.ravel() * size).place, *out.place]
        self.work += places.size
        if places.size:
            self.records.append(((Gather(out.kind, there), None), fields))

    def _join(self, i: Instruction) -> None:
        v = i.outs[0]
        if i.params.keys() - {"axis"} or type(i.params.get("axis", 0)) is not int or not v.ndim:
            raise Refused
        if any(not isinstance(x, Value | np.ndarray) or x.dtype != v.dtype for x in i.args):
            raise Refused
        out = self.made(v)
        for x, start, end in parts_of(i):
            place: Any = start if i.op.fn is np.stack else slice(start, end)
            self.copy(self.spot(x), out.indexed((slice(None),) * axis_of(i) + (place,)))
        self.spots[v] = out

    def _guard(self, i: Instruction) -> None:
        x, known = i.args
        if not isinstance(x, Value) or x.shape != () or not isinstance(known, bool | np.bool_):
            raise Refused
        spot = self.spot(x)
        if self.holds is None:
            self.holds = self.fresh("?", ())
            self.passing.pop()
            self.copy(self.spot(True, "?"), self.holds)
        kept = _kept if known else _kept_not
        self.map(kept, kept, "?", [self.holds, spot], self.holds)
        self.guards.append(i)


def _is_of_number(i: Instruction) -> bool:
    """Whether a reduction is one of an array without axes: a sum makes 0.0 of −0.0 there too."""
    x, out = i.args[0], i.outs[0]
    return isinstance(x, Value) and not x.ndim and x.dtype == out.dtype and out.dtype.char in "df" and len(i.args) == 1


def _is_product(i: Instruction) -> bool:
    """Whether an instruction is a product of few elements, or of none."""
    return is_small_product(i, MOST_TERMS) or (
        all(isinstance(x, Value) and x.ndim == 1 and not x.size and x.dtype == i.outs[0].dtype for x in i.args)
        and i.outs[0].dtype.char in "df"
    )


def _kind(x: Any) -> str:
    found = kind_of(x.dtype)
    if found is None:
        raise Refused
    return found


def _entry(i: Instruction) -> Any:
    found = entry_of(i)
    assert found is not None
    return found


def _same(to: Writer, kind: str, x: str) -> str:
    return x


def _chosen(to: Writer, kind: str, condition: str, a: str, b: str) -> str:
    return to.select(condition, kind, a, b)


def _kept(to: Writer, kind: str, a: str, b: str) -> str:
    return to.binary("and", "?", a, b)


def _kept_not(to: Writer, kind: str, a: str, b: str) -> str:
    return to.binary("and", "?", a, to.binary("xor", "?", b, to.constant("?", True)))


def _kinds(i: Instruction) -> Any:
    """What decides whether an elementwise operation has a word: None where more than kinds does."""
    if i.params or not isinstance(i.op.fn, np.ufunc):
        return None
    kinds: list[Any] = [i.op, i.outs[0].dtype.char]
    for x in i.args:
        if isinstance(x, Value) and x.size:
            kinds.append(x.dtype.char)
        elif type(x) is float:
            kinds.append(float)
        else:
            return None
    return tuple(kinds)


def _entries(index: Any) -> tuple[Any, ...]:
    """The entries of an index; raises Refused where these depend on values."""
    if any(isinstance(x, Value) for x in leaves(index)):
        raise Refused
    return as_tuple(index)


def _may_show(i: Instruction) -> bool:
    """Whether a table may have the result where the source is."""
    return i.op is INDEX or i.op is SEED or i.op is ROWS_OF or i.op.fn in VIEWS


def _flattened(x: Spot, kept: int) -> tuple[int, int] | None:
    """The strides of x as rows of what is kept, and columns; None where it has none."""
    found = []
    for strides, shape in ((x.strides[:kept], x.shape[:kept]), (x.strides[kept:], x.shape[kept:])):
        pairs = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
        if any(s != n * t for (_, s), (n, t) in itertools.pairwise(pairs)):
            return None
        found.append(pairs[-1][1] if pairs else 0)
    return found[0], found[1]


def _places(index: tuple[Any, ...], shape: tuple[int, ...]) -> np.ndarray | None:
    """Where in an array, in the order of C, the elements at an index are; None of a large one."""
    if prod(shape) > MOST_COPIED:
        return None
    return np.arange(prod(shape)).reshape(shape)[index]
