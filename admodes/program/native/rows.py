"""How elementwise operations are written in kernels: a table by NumPy's function, or by the row where it is our own.

An entry takes a `Writer`, the kind that is computed in, and the arguments in that kind.  + − × ÷ √, comparisons,
selections and copies are NumPy's to the bit; what comes from libm or libmvec is within 4 ulp of the exact result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.registry import OPS
from ...ops.elementwise import SLOPE
from ...ops.ties import LARGER, PART, SMALLER
from ..primitives import contracted
from .series import cos, exp, sin, tanh
from .text import FLOATING, Writer

Write = Callable[..., str]


@dataclass(frozen=True)
class Entry:
    """write(to, kind, *args); `kinds` it is written for; `result` is the kind of the result where that is another;
    `common`: the arguments are taken to their own common kind, not to the result's."""

    write: Write
    kinds: str = FLOATING
    common: bool = False
    work: float = 1.0  # beside an addition


def _binary(floating: str, whole: str = "", truth: str = "") -> Entry:
    def write(to: Writer, kind: str, a: str, b: str) -> str:
        return to.binary(floating if kind in FLOATING else truth if kind == "?" else whole, kind, a, b)

    return Entry(write, ("df" if floating else "") + ("qi" if whole else "") + ("?" if truth else ""))


def _intrinsic(name: str) -> Entry:
    return Entry(lambda to, kind, x: to.intrinsic(name, kind, x))


def _function(name: str, work: float = 10.0) -> Entry:
    return Entry(lambda to, kind, *args: to.function(name, kind, *args), work=work)


def _comparison(predicate: str) -> Entry:
    return Entry(lambda to, kind, a, b: to.compare(predicate, kind, a, b), "dfqi?", common=True)


def _classified(write: Write) -> Entry:
    return Entry(write, "df", common=True)


def _logical(operation: str) -> Entry:
    def write(to: Writer, kind: str, a: str, b: str) -> str:
        return to.binary(operation, "?", to.cast(a, kind, "?"), to.cast(b, kind, "?"))

    return Entry(write, "dfqi?", common=True)


def _negative(to: Writer, kind: str, x: str) -> str:
    if kind in FLOATING:
        return to.add(f"fneg {to.type(kind)} {x}")
    return to.binary("sub", kind, to.constant(kind, 0), x)


def _absolute(to: Writer, kind: str, x: str) -> str:
    if kind in FLOATING:
        return to.intrinsic("fabs", kind, x)
    below = to.compare("olt", kind, x, to.constant(kind, 0))
    return to.select(below, kind, _negative(to, kind, x), x)


def _extreme(predicate: str, ignore: bool) -> Write:
    """max and min; of nan and a number the nan, or the number where nan is ignored."""

    def write(to: Writer, kind: str, a: str, b: str) -> str:
        first = to.compare(predicate, kind, a, b)
        if kind in FLOATING:
            nan = b if ignore else a
            first = to.binary("or", "?", first, to.compare("uno", kind, nan, nan))
        return to.select(first, kind, a, b)

    return write


def _sign(to: Writer, kind: str, x: str) -> str:
    zero, one, minus = (to.constant(kind, c) for c in (0, 1, -1))
    y = to.select(to.compare("olt", kind, x, zero), kind, minus, zero)
    y = to.select(to.compare("ogt", kind, x, zero), kind, one, y)
    return y if kind not in FLOATING else to.select(to.compare("uno", kind, x, x), kind, x, y)


def _heaviside(to: Writer, kind: str, x: str, h: str) -> str:
    zero, one = to.constant(kind, 0), to.constant(kind, 1)
    y = to.select(to.compare("olt", kind, x, zero), kind, zero, one)
    y = to.select(to.compare("oeq", kind, x, zero), kind, h, y)
    return to.select(to.compare("uno", kind, x, x), kind, x, y)


def _isinf(to: Writer, kind: str, x: str) -> str:
    return to.compare("oeq", kind, to.intrinsic("fabs", kind, x), to.constant(kind, np.inf))


def _isfinite(to: Writer, kind: str, x: str) -> str:
    return to.compare("olt", kind, to.intrinsic("fabs", kind, x), to.constant(kind, np.inf))


def _signbit(to: Writer, kind: str, x: str) -> str:
    whole = "q" if kind == "d" else "i"
    bits = to.add(f"bitcast {to.type(kind)} {x} to {to.type(whole)}")
    return to.compare("olt", whole, bits, to.constant(whole, 0))


def _remainder(to: Writer, kind: str, a: str, b: str) -> str:
    """a − b⌊a/b⌋ as NumPy has it: the sign of b, a zero too."""
    zero = to.constant(kind, 0)
    y = to.binary("frem", kind, a, b)
    other = to.binary("xor", "?", to.compare("olt", kind, b, zero), to.compare("olt", kind, y, zero))
    moved = to.select(other, kind, to.binary("fadd", kind, y, b), y)
    return to.select(to.compare("oeq", kind, y, zero), kind, to.intrinsic("copysign", kind, zero, b), moved)


def _logaddexp(exp: str, scale: float | None, at_equal: float) -> Write:
    """max(a, b) + log(1 + exp(−|a − b|)); inf where both are."""

    def write(to: Writer, kind: str, a: str, b: str) -> str:
        d = to.binary("fsub", kind, a, b)
        small = to.function(exp, kind, _negative(to, kind, to.intrinsic("fabs", kind, d)))
        rest = to.function("log1p", kind, small)
        if scale is not None:
            rest = to.binary("fmul", kind, rest, to.constant(kind, scale))
        top = to.select(to.compare("ogt", kind, d, to.constant(kind, 0)), kind, a, b)
        y = to.binary("fadd", kind, top, rest)
        y = to.select(to.compare("uno", kind, d, d), kind, d, y)
        same = to.binary("fadd", kind, a, to.constant(kind, at_equal))
        return to.select(to.compare("oeq", kind, a, b), kind, same, y)

    return write


def _power(to: Writer, kind: str, a: str, b: str) -> str:
    return to.function("pow", kind, a, b)


def whole_power(to: Writer, kind: str, a: str, n: int) -> str:
    """aⁿ by squaring, n ≥ 1: at most ⌈(n − 1)/2⌉ ulp off."""
    y = ""
    while n:
        if n & 1:
            y = a if not y else to.binary("fmul", kind, y, a)
        n >>= 1
        a = to.binary("fmul", kind, a, a) if n else a
    return y


# The largest exponent that is multiplied out.
MOST_MULTIPLIED = 8


def _slope(to: Writer, kind: str, a: str, y: str) -> str:
    """a / y, 0 where y is."""
    zero = to.constant(kind, 0)
    tip = to.compare("oeq", kind, y, zero)
    quotient = to.binary("fdiv", kind, a, to.select(tip, kind, to.constant(kind, 1), y))
    return to.select(tip, kind, zero, quotient)


def _halves(above: str) -> Write:
    def write(to: Writer, kind: str, a: str, b: str) -> str:
        zero, half, one = (to.constant(kind, v) for v in (0, 0.5, 1))
        shared = to.select(to.compare("oeq", kind, a, b), kind, half, zero)
        return to.select(to.compare(above, kind, a, b), kind, one, shared)

    return write


def _part(to: Writer, kind: str, x: str, y: str, n: str) -> str:
    """1 / n where x is y, or both are nan."""
    both = to.binary("and", "?", to.compare("uno", kind, x, x), to.compare("uno", kind, y, y))
    same = to.binary("or", "?", to.compare("oeq", kind, x, y), both)
    return to.select(same, kind, to.binary("fdiv", kind, to.constant(kind, 1), n), to.constant(kind, 0))


def _same(to: Writer, kind: str, x: str) -> str:
    return x


def _times(a: float, b: float) -> Entry:
    """x · (a / b), the quotient in the precision of x."""

    def write(to: Writer, kind: str, x: str) -> str:
        return to.binary("fmul", kind, x, to.constant(kind, np.dtype(kind).type(a) / np.dtype(kind).type(b)))

    return Entry(write)


def _not(to: Writer, kind: str, x: str) -> str:
    return to.binary("xor", "?", to.cast(x, kind, "?"), to.constant("?", True))


def _invert(to: Writer, kind: str, x: str) -> str:
    return to.binary("xor", kind, x, to.constant(kind, -1))


ROWS: dict[Any, Entry] = {
    np.add: _binary("fadd", "add", "or"),
    np.subtract: _binary("fsub", "sub"),
    np.multiply: _binary("fmul", "mul", "and"),
    np.divide: Entry(lambda to, kind, a, b: to.binary("fdiv", kind, a, b), work=8.0),
    np.negative: Entry(_negative, "dfqi"),
    np.positive: Entry(_same, "dfqi"),
    np.absolute: Entry(_absolute, "dfqi"),
    np.fabs: Entry(_absolute),
    np.square: Entry(lambda to, kind, x: to.binary("fmul" if kind in FLOATING else "mul", kind, x, x), "dfqi"),
    np.reciprocal: Entry(lambda to, kind, x: to.binary("fdiv", kind, to.constant(kind, 1), x), work=8.0),
    np.sqrt: Entry(lambda to, kind, x: to.intrinsic("sqrt", kind, x), work=8.0),
    np.maximum: Entry(_extreme("oge", False), "dfqi?"),
    np.minimum: Entry(_extreme("ole", False), "dfqi?"),
    np.fmax: Entry(_extreme("oge", True), "dfqi?"),
    np.fmin: Entry(_extreme("ole", True), "dfqi?"),
    np.copysign: Entry(lambda to, kind, a, b: to.intrinsic("copysign", kind, a, b)),
    np.sign: Entry(_sign, "dfqi"),
    np.heaviside: Entry(_heaviside),
    np.floor: _intrinsic("floor"),
    np.ceil: _intrinsic("ceil"),
    np.trunc: _intrinsic("trunc"),
    np.fix: _intrinsic("trunc"),
    np.rint: _intrinsic("rint"),
    np.fmod: Entry(lambda to, kind, a, b: to.binary("frem", kind, a, b), work=20.0),
    np.remainder: Entry(_remainder, work=20.0),
    np.deg2rad: _times(np.pi, 180.0),
    np.rad2deg: _times(180.0, np.pi),
    SLOPE: Entry(_slope, work=4.0),
    LARGER: Entry(_halves("ogt")),
    SMALLER: Entry(_halves("olt")),
    PART: Entry(_part, work=8.0),
    # Transcendental functions
    np.exp: Entry(exp, work=10.0),
    np.tanh: Entry(tanh, work=10.0),
    np.sin: Entry(sin, work=10.0),
    np.cos: Entry(cos, work=10.0),
    **{
        getattr(np, name): _function(called)
        for name, called in {
            "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10",
            "log1p": "log1p", "tan": "tan", "arcsin": "asin", "arccos": "acos",
            "arctan": "atan", "arctan2": "atan2", "sinh": "sinh", "cosh": "cosh",
            "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "cbrt": "cbrt", "hypot": "hypot",
        }.items()
    },
    np.power: Entry(_power, work=20.0),
    np.float_power: Entry(_power, "d", work=20.0),
    np.logaddexp: Entry(_logaddexp("exp", None, float(np.log(2.0))), work=20.0),
    np.logaddexp2: Entry(_logaddexp("exp2", float(np.log2(np.e)), 1.0), work=20.0),
    # Truths
    np.less: _comparison("olt"), np.less_equal: _comparison("ole"), np.greater: _comparison("ogt"),
    np.greater_equal: _comparison("oge"), np.equal: _comparison("oeq"), np.not_equal: _comparison("une"),
    np.logical_and: _logical("and"), np.logical_or: _logical("or"), np.logical_xor: _logical("xor"),
    np.logical_not: Entry(_not, "dfqi?", common=True),
    np.bitwise_and: _binary("", "and", "and"), np.bitwise_or: _binary("", "or", "or"),
    np.bitwise_xor: _binary("", "xor", "xor"), np.invert: Entry(_invert, "qi?"),
    np.isnan: _classified(lambda to, kind, x: to.compare("uno", kind, x, x)),
    np.isinf: _classified(_isinf), np.isfinite: _classified(_isfinite), np.signbit: _classified(_signbit),
    np.isposinf: _classified(lambda to, kind, x: to.compare("oeq", kind, x, to.constant(kind, np.inf))),
    np.isneginf: _classified(lambda to, kind, x: to.compare("oeq", kind, x, to.constant(kind, -np.inf))),
}  # fmt: skip


@dataclass(frozen=True)
class Reduction:
    """How elements are put together: the neutral element, and the operation of two."""

    neutral: Callable[[str], Any]
    write: Write
    kinds: str = FLOATING


def _lowest(kind: str) -> Any:
    return -np.inf if kind in FLOATING else False if kind == "?" else np.iinfo(kind).min


def _highest(kind: str) -> Any:
    return np.inf if kind in FLOATING else True if kind == "?" else np.iinfo(kind).max


REDUCTIONS: dict[Any, Reduction] = {
    np.sum: Reduction(lambda kind: 0, ROWS[np.add].write, "dfqi"),
    contracted: Reduction(lambda kind: 0, ROWS[np.add].write),
    np.prod: Reduction(lambda kind: 1, ROWS[np.multiply].write, "dfqi"),
    np.max: Reduction(_lowest, ROWS[np.maximum].write, "dfqi?"),
    np.min: Reduction(_highest, ROWS[np.minimum].write, "dfqi?"),
    np.any: Reduction(lambda kind: False, lambda to, kind, a, b: to.binary("or", kind, a, b), "?"),
    np.all: Reduction(lambda kind: True, lambda to, kind, a, b: to.binary("and", kind, a, b), "?"),
}


def power_as(exponent: float) -> tuple[Any, Write] | None:
    """Small whole powers are multiplied out, as NumPy has it the square, the root and the reciprocal: what tells one
    from others, and how it is written; None for other exponents."""
    if exponent.is_integer() and 1 <= exponent <= MOST_MULTIPLIED:
        n = int(exponent)
        return (np.power, n), lambda to, kind, a: whole_power(to, kind, a, n)
    other = {0.5: np.sqrt, -1.0: np.reciprocal}.get(exponent)
    return None if other is None else (OPS[other], ROWS[other].write)
