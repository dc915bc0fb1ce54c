"""What each row of the registry does to index sets: one rule a kind of row, and for the rest all depends on all.

A rule takes the walk, an instruction and its (first) result, and gives the index sets of the result's elements, or a
list of these where there are several results.  `walk.rows(x)` are the index sets of an argument, None where it depends
on no input; `walk.known(x)` is its value, where `walk.knows(x)`: constants, and at one point everything.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..core.contract import split_subscripts
from ..core.indices import as_tuple
from ..core.registry import OPS, Contraction, Elementwise, Linear, LinearAll, Op, Passive, Via
from ..core.zeros import spoiled
from ..ops.contraction import CONVOLVE_FULL
from ..ops.elementwise import SLOPE
from ..ops.index import SCATTER
from ..ops.linalg.equations import LEAST_SQUARES
from ..ops.linalg.norms import LENGTH, P_LENGTH
from ..ops.linalg.pieces import OVER
from ..ops.matrices import ALONG
from ..program.recording import GUARD, SEED, Instruction, Value, leaves, mapped
from .indexsets import (
    below,
    cells,
    check_size,
    everything,
    grouped,
    mixed,
    nothing,
    numbers,
    outside,
    spread,
    take,
    union,
    united,
)

Rule = Callable[["Walk", Instruction, Value], Any]

# The values of a factor are looked at where its nonzeros take part in at most so many products.
MOST_PRODUCTS = 1 << 25


class Unbounded(Exception):
    """A partial that is not finite: what was left out before it, as zero, may count after all (0 · ∞)."""


# ---------------------------------------------------------------------------------------------------
# The walk over a program
# ---------------------------------------------------------------------------------------------------


class Walk:
    """Index sets and known values of a program's values, instruction by instruction.

    values : what is known: constants, and with `point` everything.
    constant : the values that are known whatever the inputs are.
    dropping : partials that are zero at the point are left out, not only branches that were not taken.
    """

    def __init__(self, columns: int, values: dict[Value, Any], dropping: bool) -> None:
        self.columns = columns
        self.values = values
        self.local = bool(values)
        self.dropping = dropping and self.local
        self.constant: set[Value] = set()
        self.sets: dict[Value, Any] = {}

    def rows(self, x: Any) -> Any:
        """The index sets of an argument; None where it depends on no input."""
        return self.sets.get(x) if type(x) is Value else None

    def knows(self, x: Any, point: bool = True) -> bool:
        """Whether all values in an argument are known; without `point`, whatever the inputs are."""
        return all(v in (self.values if point else self.constant) for v in leaves(x) if type(v) is Value)

    def known(self, x: Any) -> Any:
        """An argument of which all is known, as it is."""
        return mapped(x, lambda v: self.values[v] if type(v) is Value else v)

    def factor(self, x: Any) -> Any:
        """The value of a factor, whose zeros are left out; None where it may be anything."""
        return self.known(x) if self.knows(x, point=self.dropping) else None

    def guard(self, x: Value, known: Any) -> None:
        """What the program takes for granted it may rely on."""
        self.values[x] = known
        self.constant.add(x)

    def carry(self, instruction: Instruction) -> None:
        """The index sets and, where they are known, the values of an instruction's results."""
        self._evaluate(instruction)
        outs = instruction.outs
        free = all(self.rows(v) is None for v in instruction.uses) or self.constant.issuperset(outs)
        if free or isinstance(instruction.op, Passive):
            return
        rule = rule_of(instruction.op) or opaque
        found = rule(self, instruction, outs[0]) if sum(v.size for v in outs) else None
        for v, rows in zip(outs, found if isinstance(found, list) else [found] * len(outs), strict=True):
            if rows is not None and v.dtype.kind in "fc":
                self.sets[v] = rows

    def _evaluate(self, instruction: Instruction) -> None:
        op, uses = instruction.op, instruction.uses
        if all(v in self.constant for v in uses):
            self.constant.update(instruction.outs)
            args = self.known(instruction.args)
        elif op in FILLS:  # zeros_like and its kin look at the shape alone
            self.constant.update(instruction.outs)
            x = instruction.args[0]
            args = (np.zeros(x.shape, x.dtype), *instruction.args[1:])
        elif self.local:
            args = self.known(instruction.args)
        else:
            return
        with np.errstate(all="ignore"):
            found = op.evaluate(*args, **self.known(instruction.params))
        results = found if isinstance(instruction.out, tuple) else [found]
        self.values.update(zip(instruction.outs, map(_array, results), strict=True))


def _array(y: Any) -> Any:
    return y if isinstance(y, np.ndarray | np.generic) else np.asarray(y)[()]


def rule_of(op: Op) -> Rule | None:
    """By the row, else by its kind; None for a user's own function, of which nothing is known.

    Every row of the library's own has a rule, `opaque` where it mixes everything: the tests see to that.
    """
    if op in RULES:
        return RULES[op]
    if isinstance(op, Linear):
        return moved if op.moves else None
    kind = next((KINDS[kind] for kind in type(op).__mro__ if kind in KINDS), None)
    if kind is None and isinstance(op.fn, np.ufunc) and op.fn.signature is None and not isinstance(op, Via):
        return several
    return kind


# ---------------------------------------------------------------------------------------------------
# Elementwise
# ---------------------------------------------------------------------------------------------------

# Factors of a partial: where they are zero, so is the partial.  x · y, x / y (by y), xᵃ (by x).
_MULTIPLY, _DIVIDE, _POWERS = OPS[np.multiply], OPS[np.divide], [OPS[np.power], OPS[np.float_power]]
FACTORS = {(_MULTIPLY, 0): 1, (_MULTIPLY, 1): 0, (_DIVIDE, 1): 0} | {(power, 0): 1 for power in _POWERS}
CHOOSING = {OPS[fn] for fn in (np.maximum, np.minimum, np.fmax, np.fmin)}


def elementwise(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """Each element depends on the elements that broadcasting puts beside it, where the partial may be nonzero."""
    parts = []
    partials = getattr(instruction.op, "partials", (1,) * len(instruction.args))
    for i, (x, p) in enumerate(zip(instruction.args, partials, strict=False)):
        rows = walk.rows(x)
        if rows is not None and p is not None:
            parts.append(spread(rows, x.shape, y.shape, _chosen(walk, instruction, i, p, y)))
    return union(parts)


def _chosen(walk: Walk, instruction: Instruction, i: int, p: Any, y: Value) -> Any:
    """Where the partial by argument i is not zero; None where that is not known."""
    op, args = instruction.op, instruction.args
    if walk.local and (walk.dropping or op in CHOOSING):
        found = _partial(walk, instruction, p, y)
        return None if found is None else np.broadcast_to(found != 0, y.shape)
    place = FACTORS.get((op, i))
    factor = None if place is None else walk.factor(args[place])
    return None if factor is None else np.broadcast_to(np.not_equal(factor, 0), y.shape)


def _partial(walk: Walk, instruction: Instruction, p: Any, y: Value) -> Any:
    """The partial at the point; None where none is stated."""
    if callable(p):
        with np.errstate(all="ignore"):
            p = p(walk.values[y], *map(_array, walk.known(instruction.args)), **walk.known(instruction.params))
    elif not isinstance(p, int | float):
        return None
    if walk.dropping and not np.all(np.isfinite(p)):
        raise Unbounded
    return p


def several(walk: Walk, instruction: Instruction, _: Value) -> Any:
    """Elementwise, with several results."""
    if walk.dropping:
        raise Unbounded  # no partial of it is looked at
    return [_beside(walk, instruction, y) for y in instruction.outs]


def _beside(walk: Walk, instruction: Instruction, y: Value) -> Any:
    sources = [x for x in instruction.args if walk.rows(x) is not None]
    return union([spread(walk.rows(x), x.shape, y.shape) for x in sources])


def over(walk: Walk, instruction: Instruction, _: Value) -> Any:
    """x / gap, gap broadcast to x."""
    return several(walk, instruction, _)[0]


def where(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """Both branches, or of a known condition the one taken."""
    condition, *branches = instruction.args
    taken = np.broadcast_to(walk.known(condition), y.shape) if walk.knows(condition) else None
    parts = []
    for x, mask in zip(branches, (taken, None if taken is None else ~taken.astype(bool)), strict=True):
        if walk.rows(x) is not None:
            parts.append(spread(walk.rows(x), x.shape, y.shape, mask))
    return union(parts)


# ---------------------------------------------------------------------------------------------------
# Linear
# ---------------------------------------------------------------------------------------------------


def moved(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """What a function that only moves elements does to their numbers, it does to their index sets."""
    x, *rest = instruction.args
    if not walk.knows((rest, instruction.params)):
        return opaque(walk, instruction, y)
    places = instruction.op.evaluate(numbers(x.shape), *walk.known(rest), **walk.known(instruction.params))
    return take(walk.rows(x), places)


def same(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """Element by element the same."""
    return walk.rows(instruction.args[0])


def summed(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """The transpose of a sum tells of each element which result it goes into."""
    x = instruction.args[0]
    return _into(walk.rows(x), _heads(instruction, y), numbers(x.shape), y.size)


def _heads(instruction: Instruction, y: Value) -> Any:
    x, *rest = instruction.args
    pull: Any = SUM.pulls[0]
    return pull(numbers(y.shape), None, numbers(x.shape), *rest, **instruction.params)


def _into(rows: Any, heads: Any, tails: Any, count: int) -> Any:
    return grouped(rows, heads, tails, count) if rows.shape[0] else nothing(count, rows.shape[1])


def extreme(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """The largest may be any; at a point it is known which share the derivative."""
    x, *rest = instruction.args
    heads, tails = _heads(instruction, y), numbers(x.shape)
    if walk.local:
        pull: Any = instruction.op.pulls[0]
        ones = np.ones(y.shape, y.dtype)[()]
        with np.errstate(all="ignore"):
            chosen = pull(ones, walk.values[y], _array(walk.known(x)), *rest, **instruction.params) != 0
        heads, tails = heads[chosen], tails[chosen]
    return _into(walk.rows(x), heads, tails, y.size)


def running(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """Running sums by doubling: after step k each element has united its last 2ᵏ."""
    x, *rest = instruction.args
    axis = instruction.params.get("axis", rest[0] if rest else None) if x.shape else None
    rows, places = walk.rows(x), numbers(x.shape) if axis is not None else numbers((x.size,))
    places = np.moveaxis(places, -1 if axis is None else axis, -1)
    step = 1
    while step < places.shape[-1]:
        before = np.full(rows.shape[0], -1)
        before[places[..., step:]] = places[..., :-step]
        rows = union([rows, take(rows, before)])
        step *= 2
    return rows


def transformed(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """Fourier transforms mix the axes that they run along."""
    x = instruction.args[0]
    return mixed(walk.rows(x), x.shape, y.shape, _axes(instruction, len(x.shape)))


def _axes(instruction: Instruction, ndim: int) -> tuple[int, ...]:
    """The axes that a function of numpy.fft names, or takes if none is named."""
    given = dict(zip(instruction.op.names[1:], instruction.args[1:], strict=False)) | instruction.params
    if "axis" in instruction.op.names:
        return (given.get("axis", -1),)
    axes, s = given.get("axes", (-2, -1) if instruction.op in PLANAR else None), given.get("s")
    if axes is None:
        axes = range(-ndim if s is None else -len(s), 0)
    return tuple(axes)


def joined(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """The same join of numbers that run on from array to array."""
    places, parts, start = [], [], 0
    for x in instruction.args:
        rows = walk.rows(x)
        shape = np.shape(x) if type(x) is not Value else x.shape
        if rows is None:
            places.append(np.full(shape, -1))
            continue
        places.append(numbers(shape) + start)
        parts.append(rows)
        start += rows.shape[0]
    return take(below(parts), instruction.op.evaluate(*places, **instruction.params))


# ---------------------------------------------------------------------------------------------------
# Reading and writing by an index
# ---------------------------------------------------------------------------------------------------


def read(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """x[index]: the index sets at the same places; where the index may change, all that it may take."""
    x, index = instruction.args
    if walk.knows(index):
        return take(walk.rows(x), numbers(x.shape)[walk.known(index)])
    index, axes = _open(walk, index, len(x.shape))
    if axes is None or not x.size:
        return opaque(walk, instruction, y)
    return take(united(walk.rows(x), x.shape, axes), cells(x.shape, axes)[index])


def _open(walk: Walk, index: Any, ndim: int) -> tuple[Any, Any]:
    """An index with 0 for what may change, and the axes that this stands for; None for a mask that may change."""
    given = [_of_one_shape(i) if not walk.knows(i) else i for i in (index if isinstance(index, tuple) else (index,))]
    items = [walk.known(i) if walk.knows(i) else i for i in as_tuple(tuple(given))]
    spans = [_span(i) for i in items]
    axis, axes, found = 0, [], []
    for item, span in zip(items, spans, strict=True):
        if type(item) is Value:
            if item.dtype.kind == "b":
                return None, None
            axes.append(axis)
            item = np.zeros(item.shape, int)[()]
        found.append(item)
        axis += ndim - sum(spans) if item is Ellipsis else span
    return tuple(found), axes


def _of_one_shape(item: Any) -> Any:
    """A list with numbers that may change, as an array of them."""
    if not isinstance(item, list):
        return item
    like = np.asarray(mapped(item, lambda v: np.zeros(v.shape, v.dtype) if type(v) is Value else v))
    return Value(like.shape, like.dtype)


def _span(item: Any) -> int:
    """How many axes an item of an index stands for, an ellipsis apart."""
    if item is None or item is Ellipsis:
        return 0
    mask = not isinstance(item, slice | Value) and np.asarray(item).dtype.kind == "b"
    return int(np.ndim(item)) if mask else 1


def scattered(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """The transpose of x[index]: each element goes to its place, or to any that it may go to."""
    u, index, *_ = instruction.args
    if not walk.knows(index):
        return _written(walk, u, index, y) if u.size else nothing(y.size, walk.columns)
    heads = numbers(y.shape)[walk.known(index)].ravel()
    places = np.full(y.size, -1)
    places[heads] = np.arange(heads.size)
    if np.array_equal(places[heads], np.arange(heads.size)):  # no place twice
        return take(walk.rows(u), places)
    return grouped(walk.rows(u), heads, numbers((heads.size,)), y.size)


def written(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """x with x[index] = v: the same assignment of numbers; where the index may change, x or what it may write."""
    x, index, v = instruction.args
    rows, new = walk.rows(x), walk.rows(v)
    if not walk.knows(index):
        return union([rows, None if new is None else _written(walk, v, index, y)])
    base = np.full(y.shape, -1) if rows is None else numbers(y.shape)
    start = 0 if rows is None else y.size
    value = -1 if new is None else numbers(v.shape) + start
    places = instruction.op.evaluate(base, walk.known(index), value)
    return take(below([r for r in (rows, new) if r is not None]), places)


def _written(walk: Walk, v: Value, index: Any, y: Value) -> Any:
    """What may be written where an index may change: the index sets of v along the axes that do not change."""
    rows = walk.rows(v)
    index, axes = _open(walk, index, len(y.shape))
    if axes is None or not y.size:
        return everything(rows, y.size)
    there = cells(y.shape, axes)
    heads = there[index]
    tails = np.broadcast_to(numbers(v.shape).reshape(v.shape[max(0, v.ndim - heads.ndim) :]), heads.shape)
    return take(grouped(rows, heads, tails, math.prod(outside(y.shape, axes))), there)


# ---------------------------------------------------------------------------------------------------
# Sums of products
# ---------------------------------------------------------------------------------------------------


# A letter of an einsum is an index with an extent.  Given indices `at` for its letters, an array has the elements
# x[_index(letters, x.shape, at)], numbered as numbers(x.shape) says: one for each combination of the letters that `at`
# lists, with a letter that stands twice (a diagonal) the same in both places.  What links two arrays is then two such
# arrays of numbers over the same combinations.


def contracted(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """y[o] depends on x[k] where the letters of o and k agree and the known factors are not zero between them."""
    op = instruction.op
    assert isinstance(op, Contraction)
    sets = split_subscripts(op.subscripts(*map(_stand_in, instruction.args), **instruction.params))
    operands = instruction.args[-len(sets.inputs) :]
    extent = _extents(sets.inputs, operands)
    if not all(extent.values()):
        return nothing(y.size, walk.columns)
    parts = []
    for i, (x, letters) in enumerate(zip(operands, sets.inputs, strict=True)):
        if walk.rows(x) is not None:
            others = [(walk.factor(z), s) for j, (z, s) in enumerate(zip(operands, sets.inputs, strict=True)) if j != i]
            parts.append(_contracted(walk, x, letters, others, sets.output, extent))
    return union(parts)


def _stand_in(x: Any) -> Any:
    return np.broadcast_to(0.0, x.shape) if type(x) is Value else x


def _extents(inputs: Sequence[str], operands: Sequence[Any]) -> dict[str, int]:
    extent: dict[str, int] = {}
    for letters, x in zip(inputs, operands, strict=True):
        for letter, n in zip(letters, x.shape if type(x) is Value else np.shape(x), strict=True):
            extent[letter] = n if extent.get(letter, 1) == 1 else extent[letter]
    return extent


def _combinations(letters: str, extent: dict[str, int]) -> dict[str, Any]:
    """All combinations of some letters as an open grid: the indices of each run along an axis of its own."""
    return dict(zip(letters, np.indices([extent[c] for c in letters], sparse=True), strict=True))


def _index(letters: str, shape: tuple[int, ...], at: dict[str, Any]) -> tuple[Any, ...]:
    """The index into an array with these letters; where its extent is 1 it is broadcast, so that 0 is the place."""
    return tuple(0 if n == 1 else at[c] for c, n in zip(letters, shape, strict=True))


def _contracted(
    walk: Walk, x: Value, letters: str, others: list[tuple[Any, str]], output: str, extent: dict[str, int]
) -> Any:
    if walk.dropping and not all(a is not None and np.all(np.isfinite(a)) for a, _ in others):
        raise Unbounded
    for a, s in others:
        if a is not None and not np.all(a):
            found = _through(walk, x, letters, a, s, output, extent)
            if found is not None:
                return found
    # Of other factors nothing is known: unite over the letters that are summed, then repeat along those that x lacks.
    own = dict.fromkeys(letters)
    shared, summed_over = "".join(c for c in own if c in output), "".join(c for c in own if c not in output)
    inner = tuple(extent[c] for c in shared)
    at = _combinations(shared + summed_over, extent)
    heads, tails = numbers(inner)[_index(shared, inner, at)], numbers(x.shape)[_index(letters, x.shape, at)]
    if summed_over:
        rows = grouped(walk.rows(x), heads, tails, math.prod(inner))
    else:
        rows = take(walk.rows(x), np.broadcast_to(tails, inner))
    places = numbers(inner)[_index(shared, inner, _combinations(output, extent))]
    return take(rows, np.broadcast_to(places, tuple(extent[c] for c in output)))


def _through(walk: Walk, x: Value, letters: str, a: Any, s: str, output: str, extent: dict[str, int]) -> Any:
    """Through the nonzeros of one factor a; None where these are too many to be laid out one by one."""
    shape = tuple(extent[c] for c in output)
    every = "".join(dict.fromkeys(s))
    kept = "".join(c for c in every if c in letters or c in output)
    free = "".join(dict.fromkeys(c for c in letters + output if c not in s))
    nonzero, full = np.not_equal(a, 0), tuple(extent[c] for c in every)
    if nonzero.shape != full:  # a diagonal, or an extent of 1 that broadcasts
        nonzero = np.broadcast_to(nonzero[_index(s, nonzero.shape, _combinations(every, extent))], full)
    nonzero = nonzero.any(axis=tuple(k for k, c in enumerate(every) if c not in kept))
    if not nonzero.any():
        return nothing(math.prod(shape), walk.columns)
    if np.count_nonzero(nonzero) * math.prod(extent[c] for c in free) > MOST_PRODUCTS:
        return None
    # The nonzeros run along the first axis, each letter that a lacks along one of its own.
    at = _combinations(free, extent)
    for c, indices in zip(kept, np.nonzero(nonzero) if kept else (), strict=True):
        at[c] = indices.reshape(-1, *(1 for _ in free))
    heads, tails = numbers(shape)[_index(output, shape, at)], numbers(x.shape)[_index(letters, x.shape, at)]
    return grouped(walk.rows(x), heads, tails, math.prod(shape))


def convolved(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """y_k = Σ_i a_i v_{k−i}."""
    parts = []
    for x, other in (instruction.args, instruction.args[::-1]):
        rows = walk.rows(x)
        if rows is not None:
            a = walk.factor(other)
            if walk.dropping and not np.all(np.isfinite(a)):
                raise Unbounded
            shifts = np.arange(np.shape(other)[0] if type(other) is not Value else other.size)
            shifts = shifts if a is None else shifts[np.not_equal(a, 0)]
            check_size(rows.shape[0] * shifts.size)
            tails = numbers((rows.shape[0], 1))
            parts.append(grouped(rows, tails + shifts, tails, y.size))
    return union(parts)


def stored(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """A sparse matrix along an axis: through the numbers that it holds; a LinearOperator mixes the axis."""
    x, entries, matrix, axis = instruction.args
    if entries is None:
        _undropped(walk)
        return mixed(walk.rows(x), x.shape, y.shape, (axis,))
    known = walk.factor(entries)
    if walk.dropping and not (known is not None and np.all(np.isfinite(known))):
        raise Unbounded
    kept = slice(None) if known is None else np.flatnonzero(known)
    (i, j), lines = (c[kept] for c in matrix.coordinates), y.size // max(y.shape[axis], 1)
    check_size(i.size * lines)
    heads, tails = (np.moveaxis(numbers(v.shape), axis, 0).reshape(-1, lines) for v in (y, x))
    return _into(walk.rows(x), heads[i].ravel(), tails[j].ravel(), y.size)


# ---------------------------------------------------------------------------------------------------
# All others
# ---------------------------------------------------------------------------------------------------


def opaque(walk: Walk, instruction: Instruction, _: Value) -> Any:
    """Every element of every result depends on all that any argument depends on."""
    _undropped(walk)
    sources = [rows for v in dict.fromkeys(instruction.uses) if (rows := walk.rows(v)) is not None]
    return [everything(below(sources), y.size) for y in instruction.outs]


def _undropped(walk: Walk) -> None:
    if walk.dropping:
        raise Unbounded  # its partials are not looked at


def stacked(walk: Walk, instruction: Instruction, _: Value) -> Any:
    """Functions of matrices, the last two axes; those of a stack stay apart."""
    _undropped(walk)
    arrays = [x for x in instruction.args if hasattr(x, "shape")]
    stack = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    parts = []
    for x in arrays:
        if walk.rows(x) is not None and x.size:
            matrices = united(walk.rows(x), x.shape, range(-min(2, len(x.shape)), 0))
            parts.append(spread(matrices, x.shape[:-2], stack))
    found = union(parts)
    return [take(found, np.repeat(numbers(stack), math.prod(y.shape[len(stack) :]))) for y in instruction.outs]


def solved(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """A⁻¹ B: as a function of matrices of A, and column by column of B."""
    _undropped(walk)
    a, b = instruction.args
    parts = []
    if walk.rows(b) is not None and b.size:
        axis = -1 if len(b.shape) == 1 else -2
        columns = united(walk.rows(b), b.shape, [axis])
        parts.append(spread(columns, outside(b.shape, [axis]), y.shape))
    if walk.rows(a) is not None and a.size:
        matrices = united(walk.rows(a), a.shape, (-2, -1))
        inner = (1,) * min(2, len(np.shape(b) if type(b) is not Value else b.shape))
        parts.append(spread(matrices, a.shape[:-2] + inner, y.shape))
    return union(parts)


def normed(walk: Walk, instruction: Instruction, y: Value) -> Any:
    """Norms of some axes, which stay with extent 1."""
    _undropped(walk)
    x = instruction.args[0]
    if not x.size:
        return nothing(y.size, walk.columns)
    return mixed(walk.rows(x), x.shape, y.shape, instruction.params["axes"])


# ---------------------------------------------------------------------------------------------------
# The rules by row and by kind
# ---------------------------------------------------------------------------------------------------


def _rows_of(fns: Iterable[Any], rule: Rule) -> dict[Op, Rule]:
    return {OPS[fn]: rule for fn in fns}


SUM = OPS[np.sum]
FILLS = {OPS[fn] for fn in (np.zeros_like, np.ones_like, np.empty_like)}
TRANSFORMS = [
    getattr(np.fft, kind + size) for kind in ("fft", "ifft", "rfft", "irfft") for size in ("", "2", "n")
] + [np.fft.hfft, np.fft.ihfft]  # fmt: skip
PLANAR = {OPS[fn] for fn in (np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2)}  # of the last two axes
OF_MATRICES = [
    getattr(np.linalg, name)
    for name in ("inv", "pinv", "det", "slogdet", "cholesky", "qr", "eigh", "eig", "svd", "svdvals")
]
RULES: dict[Op, Rule] = (
    _rows_of([np.conjugate, np.astype], same)
    | _rows_of([np.sum, np.mean], summed)
    | _rows_of([np.max, np.min], extreme)
    | _rows_of([np.cumsum], running)
    | _rows_of(TRANSFORMS, transformed)
    | _rows_of(OF_MATRICES, stacked)
    | _rows_of([np.linalg.solve], solved)
    | _rows_of([np.where], where)
    | _rows_of([operator.getitem], read)
    | _rows_of([operator.setitem], written)
    | {
        OPS[spoiled]: elementwise,
        SCATTER: scattered,
        CONVOLVE_FULL: convolved,
        LENGTH: normed,
        P_LENGTH: normed,
        OVER: over,
        SLOPE: over,
        LEAST_SQUARES: opaque,
    }
    | {ALONG: stored, LEAST_SQUARES: opaque, SEED: same, GUARD: same}
)
KINDS: dict[type[Op], Rule] = {Elementwise: elementwise, Contraction: contracted, LinearAll: joined}
