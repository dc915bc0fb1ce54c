"""Complex numbers in kernels: each value as two of real numbers, its parts, which lie in memory by turns.

The formulas are NumPy's, nan and infinities included: products without recovering infinities, quotients by Smith's
method, exp as C's cexp has it.  What is not in the table stays NumPy's.

Source: Smith, "Algorithm 116: Complex division" (Communications of the ACM, 1962); ISO C99, annex G.6.3.1, for cexp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.registry import OPS
from ...ops.elementwise import SLOPE
from ...ops.index import INDEX, SCATTER
from ..recording import Instruction, Value
from .affine import scattered
from .joins import JOINS
from .nodes import is_known, is_native, is_number

# The real and the imaginary part of an operand.
Pair = tuple[Any, Any]

# What makes parts of a result: the real and the imaginary one, or the one that a real result is.
Rule = Callable[..., Any]

PARTS = {"D": "d", "F": "f"}

# What does to complex numbers what it does to each of their parts; views and scatters beside these.
BY_PARTS = {np.sum, np.where, np.astype, *JOINS}


def is_complex(x: Any) -> bool:
    """Whether an operand is of complex numbers."""
    dtype = getattr(x, "dtype", None)
    return isinstance(x, complex) if dtype is None else dtype.kind == "c"


def is_complex_native(i: Instruction) -> bool:
    """Whether kernels compute an instruction with complex operands or results."""
    if isinstance(i.out, tuple) or not i.outs or i.into is not None or i.buffer is not None:
        return False
    if not any(map(is_complex, (*i.args, i.out))) or not _is_known(i.out):
        return False
    if rule_of(i) is not None:
        return not i.params and all(map(_is_known, i.args))
    if not is_complex(i.out) or not (i.op.fn in BY_PARTS or (i.op is SCATTER and scattered(i) is not None)):
        return False
    if i.op.fn is np.where and is_complex(i.args[0]):
        return False
    return is_native(_part(i, tuple(map(_like, i.args)), Value(i.out.shape, _part_of(i.out.dtype))))


def rule_of(i: Instruction) -> tuple[Rule, float] | None:
    """How an elementwise instruction is written, and its work beside an addition."""
    return RULES.get(i.op) or RULES.get(i.op.fn)


def _is_known(x: Any) -> bool:
    if is_complex(x):
        return isinstance(x, complex) or (x.dtype.char in PARTS and x.dtype.isnative and x.size > 0)
    return is_known(x)


def _like(x: Any) -> Any:
    """What stands for a part of an operand."""
    if not is_complex(x):
        return x
    return Value(x.shape, _part_of(x.dtype)) if isinstance(x, Value | np.ndarray) else 0.0


def _part(i: Instruction, args: tuple[Any, ...], out: Value) -> Instruction:
    """What an instruction does to a part."""
    params = {**i.params, "dtype": out.dtype} if "dtype" in i.params else i.params
    return Instruction(i.op, args, params, out, i.backward)


def as_real(
    instructions: tuple[Instruction, ...], inputs: tuple[Any, ...], outputs: tuple[Value, ...]
) -> tuple[tuple[Instruction, ...], tuple[Any, ...], tuple[Value, ...]]:
    """The same on the parts of complex numbers; complex inputs and outputs have a last axis for the two parts."""
    if not any(is_complex(x) for i in instructions for x in (*i.args, *i.outs)):
        return instructions, inputs, outputs
    parts = _Parts()
    read = tuple(parts.read(x) if is_complex(x) else x for x in inputs)
    for i in instructions:
        parts.rewrite(i)
    written = tuple(parts.joined(v) if is_complex(v) else v for v in outputs)
    return tuple(parts.body), read, written


class _Parts:
    """Instructions of real numbers, and the parts of what was complex."""

    def __init__(self) -> None:
        self.body: list[Instruction] = []
        self.pairs: dict[Any, Pair] = {}
        self.backward = False

    def emit(self, op: Any, *args: Any, out: Value, **params: Any) -> Value:
        self.body.append(Instruction(op, args, params, out, self.backward))
        return out

    def read(self, x: Any) -> Value:
        """A complex input as the real array that it is in memory."""
        both = Value((*x.shape, 2), _part_of(x.dtype))
        re, im = (self.emit(INDEX, both, (..., k), out=Value(x.shape, both.dtype)) for k in (0, 1))
        self.pairs[_key(x)] = re, im
        return both

    def joined(self, v: Value) -> Value:
        """A complex output as the real array that it is in memory."""
        return self.emit(OPS[np.stack], *self.pairs[v], out=Value((*v.shape, 2), _part_of(v.dtype)), axis=-1)

    def pair(self, x: Any) -> Pair:
        """The parts of an operand; of a real one the second is 0."""
        if not is_complex(x):
            return x, 0.0
        return self.pairs[_key(x)] if isinstance(x, Value | np.ndarray) else (x.real, x.imag)

    def rewrite(self, i: Instruction) -> None:
        """An instruction on the parts; one of real numbers as it is."""
        if not any(is_complex(x) for x in (*i.args, *i.outs)):
            self.body.append(i)
            return
        self.backward = i.backward
        rule = rule_of(i)
        if rule is not None:
            found = rule[0](Formula(self, i), *map(self.pair, i.args))
            if is_complex(i.outs[0]):
                self.pairs[i.outs[0]] = found
            return
        self.pairs[i.outs[0]] = self._by_parts(i, 0), self._by_parts(i, 1)

    def _by_parts(self, i: Instruction, k: int) -> Value:
        """What an instruction does to one of the parts."""
        out = Value(i.outs[0].shape, _part_of(i.outs[0].dtype))
        if i.op.fn is np.where:
            args = (i.args[0], *(self.pair(x)[k] for x in i.args[1:]))
        elif i.op.fn in JOINS:
            args = tuple(self._whole(x, k, out.dtype) for x in i.args)
        else:
            args = (self._whole(i.args[0], k, out.dtype), *i.args[1:])
        self.body.append(_part(i, args, out))
        return out

    def _whole(self, x: Any, k: int, dtype: np.dtype[Any]) -> Any:
        """A part as an array of the shape of x."""
        part = self.pair(x)[k]
        return self.emit(OPS[np.add], 0.0, 0.0, out=Value(x.shape, dtype)) if is_number(part) else part


def _key(x: Any) -> Any:
    return x if isinstance(x, Value) else id(x)


def _part_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(PARTS[dtype.char])


# ---------------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------------


class Formula:
    """Writes the parts of one result: NumPy's functions by name, of its shape."""

    def __init__(self, parts: _Parts, i: Instruction) -> None:
        self.parts, self.result = parts, i.outs[0]
        operand = next((x for x in (*i.outs, *i.args) if is_complex(x) and hasattr(x, "dtype")), self.result)
        self.single = operand.dtype.char == "F"
        self.dtype = np.dtype(np.float32 if self.single else np.float64)

    def __getattr__(self, name: str) -> Any:
        op = OPS[getattr(np, name)]

        def write(*args: Any) -> Value:
            return self.parts.emit(op, *args, out=Value(self.result.shape, self.dtype))

        return write

    def truth(self, fn: Any, *args: Any) -> Value:
        return self.parts.emit(OPS[fn], *args, out=Value(self.result.shape, np.dtype(bool)))

    def finish(self, fn: Any, *args: Any) -> Value:
        """The real result."""
        return self.parts.emit(OPS[fn], *args, out=self.result)


def _negative(to: Formula, a: Pair) -> Pair:
    return to.negative(a[0]), to.negative(a[1])


def _product(to: Formula, a: Pair, b: Pair) -> Pair:
    return (
        to.subtract(to.multiply(a[0], b[0]), to.multiply(a[1], b[1])),
        to.add(to.multiply(a[0], b[1]), to.multiply(a[1], b[0])),
    )


def _quotient(to: Formula, a: Pair, b: Pair) -> Pair:
    """With r = d/c for |c| ≥ |d|: (x + iy)/(c + id) = (x + yr + i(y − xr)) / (c + dr); else the same with the parts of
    each exchanged; and by zero the parts over 0."""
    (x, y), (c, d) = a, b
    if is_number(d) and d == 0:  # r is 0 with the sign of c
        r, scale = to.copysign(0.0, c), to.reciprocal(c)
        re = to.multiply(to.add(x, to.multiply(y, r)), scale)
        im = to.multiply(to.subtract(y, to.multiply(x, r)), scale)
        zero = to.truth(np.equal, c, 0.0)
    else:
        upper = to.truth(np.greater_equal, to.absolute(c), to.absolute(d))
        c, d = to.where(upper, c, d), to.where(upper, d, c)
        first, second = to.where(upper, x, y), to.where(upper, y, x)
        r = to.divide(d, c)
        scale = to.reciprocal(to.add(c, to.multiply(d, r)))
        turned = to.multiply(first, r)
        re = to.multiply(to.add(first, to.multiply(second, r)), scale)
        im = to.multiply(to.where(upper, to.subtract(second, turned), to.subtract(turned, second)), scale)
        zero = to.truth(np.logical_and, to.truth(np.equal, c, 0.0), to.truth(np.equal, d, 0.0))
    return to.where(zero, to.multiply(x, np.inf), re), to.where(zero, to.multiply(y, np.inf), im)


def _reciprocal(to: Formula, a: Pair) -> Pair:
    """With r = y/x for |y| ≤ |x|: 1/(x + iy) = (1 − ir)/(x + yr); else (r − i)/(xr + y) with r = x/y."""
    x, y = a
    upper = to.truth(np.less_equal, to.absolute(y), to.absolute(x))
    c, d = to.where(upper, x, y), to.where(upper, y, x)
    r = to.divide(d, c)
    below = to.add(c, to.multiply(d, r))
    return (
        to.divide(to.where(upper, 1.0, r), below),
        to.divide(to.where(upper, to.negative(r), -1.0), below),
    )


def _square(to: Formula, a: Pair) -> Pair:
    across = to.multiply(a[0], a[1])
    return to.subtract(to.multiply(a[0], a[0]), to.multiply(a[1], a[1])), to.add(across, across)


def _exp(to: Formula, a: Pair) -> Pair:
    """eˣ(cos y + i sin y). Where eˣ alone overflows, a part of the exponent is a factor of the product."""
    x, y = a
    most = 88.0 if to.single else 709.0
    over = to.truth(np.greater, x, most)
    factor = to.where(over, float(np.exp(to.dtype.type(most))), 1.0)
    size = to.exp(to.where(over, to.subtract(x, most), x))
    re, im = (to.multiply(to.multiply(turn, factor), size) for turn in (to.cos(y), to.sin(y)))
    turns = to.truth(np.isfinite, y)
    re = to.where(to.truth(np.logical_or, turns, to.truth(np.not_equal, to.absolute(x), np.inf)), re, size)
    im = to.where(to.truth(np.logical_or, turns, to.truth(np.not_equal, x, -np.inf)), im, to.copysign(0.0, y))
    return re, to.where(to.truth(np.equal, y, 0.0), y, im)


def _slope(to: Formula, a: Pair, y: Pair) -> Pair:
    """a / y, 0 where y is."""
    tip = to.truth(np.equal, y[0], 0.0)
    if not (is_number(y[1]) and y[1] == 0):
        tip = to.truth(np.logical_and, tip, to.truth(np.equal, y[1], 0.0))
    re, im = _quotient(to, a, (to.where(tip, 1.0, y[0]), y[1]))
    return to.where(tip, 0.0, re), to.where(tip, 0.0, im)


def _each(fn: Any) -> Rule:
    """The same function of both parts."""

    def write(to: Formula, *args: Pair) -> Pair:
        one = getattr(to, fn.__name__)
        return one(*(a[0] for a in args)), one(*(a[1] for a in args))

    return write


def _truths(fn: Any, put_together: Any) -> Rule:
    """A truth of both parts."""

    def write(to: Formula, *args: Pair) -> Value:
        both = (to.truth(fn, *(a[k] for a in args)) for k in (0, 1))
        return to.finish(put_together, *both)

    return write


# By function or row: the rule, and its work beside an addition.
RULES: dict[Any, tuple[Rule, float]] = {
    np.add: (_each(np.add), 2.0),
    np.subtract: (_each(np.subtract), 2.0),
    np.negative: (_negative, 2.0),
    np.positive: (_each(np.positive), 2.0),
    np.conjugate: (lambda to, a: (to.positive(a[0]), to.negative(a[1])), 2.0),
    np.multiply: (_product, 4.0),
    np.square: (_square, 4.0),
    np.divide: (_quotient, 20.0),
    np.reciprocal: (_reciprocal, 20.0),
    SLOPE: (_slope, 20.0),
    np.exp: (_exp, 60.0),
    np.absolute: (lambda to, a: to.finish(np.hypot, *a), 10.0),
    np.real: (lambda to, a: to.finish(np.positive, a[0]), 1.0),
    np.imag: (lambda to, a: to.finish(np.positive, a[1]), 1.0),
    np.equal: (_truths(np.equal, np.logical_and), 2.0),
    np.not_equal: (_truths(np.not_equal, np.logical_or), 2.0),
    np.isnan: (_truths(np.isnan, np.logical_or), 2.0),
    np.isinf: (_truths(np.isinf, np.logical_or), 2.0),
    np.isfinite: (_truths(np.isfinite, np.logical_and), 2.0),
}
