"""Elementwise functions: the table of derivatives of a calculus text.

A row: the function, its partials p(y, x) or p(y, a, b), where each argument is sampled in tests, its flops an
element.  y is the result, so that exp′ is y and tanh′ is 1 − y².

Kinks: |x|′ = 0 at 0; maximum, minimum, fmax and fmin share ties equally.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ..core.changes import replace
from ..core.directions import align, cast, gather
from ..core.dispatch import in_floats, primitive
from ..core.domain import ABOVE_ONE, NONZERO, POSITIVE, REAL, SMALL_INTEGERS, UNIT, A, case
from ..core.registry import (
    OPS,
    Composite,
    Elementwise,
    Linear,
    Op,
    Passive,
    Via,
    add,
    in_place_of_zeros,
    size_of,
)
from ..core.tracing import Tracer
from ..core.zeros import spoiled, strong_product
from .ties import Larger, Modulus, larger, or_alone, smaller

# Flops of one transcendental function, the convention of every count in this package; + − × ÷ √ count 1.
TRANSCENDENTAL = 10.0

LN2, LN10, DEGREE = np.log(2.0), np.log(10.0), np.pi / 180.0


def _squares(a: Any, b: Any) -> int:
    """x**2 is the product x·x, and is computed so."""
    return int(isinstance(b, int | float | np.number) and b == 2)


# Multiplications an element.
PRODUCTS = {np.multiply: 1, np.divide: 1, np.square: 1, np.power: _squares}


def row(fn: Any, partials: list[Any], *domain: Any, flops: Any = 1.0, evaluate: Any = None, alias: Any = ()) -> None:
    """One line of the table."""
    each = PRODUCTS.get(fn, 0)
    add(Elementwise(fn, partials, domain=domain, flops=flops, evaluate=evaluate, products=each), *alias)


# ---------------------------------------------------------------------------------------------------
# Arithmetic
# ---------------------------------------------------------------------------------------------------


def _inverse(y: Any, a: Any, b: Any) -> Any:
    """1/b, where Python raises for 0.0 and NumPy gives inf."""
    return np.divide(1.0, b) if type(b) in (int, float) and not b else 1 / b


def power_slope(y: Any, a: Any, b: Any) -> Any:
    """∂(a^b)/∂a = b·a^(b−1), and 0 where b = 0."""
    if type(b) in (int, float):
        return b * (a if b == 2 else a ** (b - 1)) if b else np.zeros_like(a)
    if isinstance(b, Tracer):
        return _with_slope_by(b, y, a)
    b = in_floats(b)
    return b * a ** np.where(b == 0, 1, b - 1)


def _with_slope_by(b: Any, y: Any, a: Any) -> Any:
    """b·a^(b−1) for an exponent that is differentiated: 0·0⁻¹ and 1·0⁰ have no slope by b."""
    zero = np.less(np.abs(a), np.finfo(y.dtype).tiny)
    none, one = zero & np.equal(b, 0), zero & np.equal(b, 1)
    p = b * a ** np.where(none, 1, b - 1)
    return p + slope(np.zeros_like(p), np.where(none, b, np.where(one, b - 1, 1)))


def _power_exponent(y: Any, a: Any, b: Any) -> Any:
    """∂(a^b)/∂b = log(a)·a^b, and 0 where a = 0 (0^b is constant for b > 0)."""
    a = in_floats(a)
    p = y * np.log(np.where(a == 0, 1, a))
    if isinstance(a, Tracer):  # of 0ᵇ it is 0 by convention: that hides no infinite slope of its own
        return p + slope(np.zeros_like(p), np.where(np.equal(a, 0) & np.less_equal(b, 1), a, 1))
    return p


def _above(b: Any, y: Any) -> Any:
    """b, where it is −∞ a small number: the slopes of logaddexp(−∞, −∞) are 0, like those of logsumexp."""
    return np.maximum(b, np.finfo(y.dtype).min / 2)


def _along(x: Any, a: Any, b: Any) -> Any:
    """x / (a² + b²), without squares, which overflow."""
    r = np.hypot(a, b)
    return x / r / r


# a / y of a length y and what it is the length of, 0 at the tip y = 0, where it has no derivative: nan, in every mode.
# (A mask alone would make it constant there, and |z|² = |z|·|z| would lose its curvature.)


def _slope(a: Any, y: Any) -> Any:
    return np.where(y == 0, 0, a / np.where(y == 0, 1, y)).astype(np.result_type(a, y), copy=False)[()]


def _off_the_tip(t: Any, y: Any, strong: bool) -> Any:
    """t / y; at the tip nan, and 0 for t = 0 if `strong`."""
    tip = np.equal(y, 0)
    return np.where(_lost(tip, t, strong), np.nan, t / np.where(tip, 1, y))


def _lost(where: Any, t: Any, strong: bool) -> Any:
    return np.logical_and(where, np.not_equal(t, 0)) if strong else np.broadcast_to(where, t.shape)


class _Slope(Via):
    """`strong`: what does not move at the tip has slope 0; seen(v): a slope v as it stands in the direction −v ẏ / y."""

    def __init__(self, strong: bool = False, seen: Callable[[Any], Any] = lambda v: v) -> None:
        times = OPS[strong_product].evaluate if strong else operator.mul

        def push_length(t: Any, v: Any, a: Any, y: Any) -> Any:
            return cast(_off_the_tip(times(-seen(v), align(t, np.ndim(y), v.ndim)), y, strong), v.dtype)

        def pull_length(u: Any, v: Any, a: Any, y: Any) -> Any:
            return cast(gather(_off_the_tip(times(-seen(v), u), y, strong), y.shape, u.ndim - v.ndim), y.dtype)

        super().__init__(
            _slope,
            [lambda t, v, a, y: cast(_off_the_tip(t, y, strong), v.dtype), push_length],
            [lambda u, v, a, y: cast(_off_the_tip(u, y, strong), a.dtype), pull_length],
            name="slope",
            domain=[case(A(2, 3), A(2, 1, within=NONZERO)), case(A(3), A(3, within=NONZERO))],
            flops=1.0,
        )

    @cached_property
    def strong(self) -> Op:
        return self._keeping(lambda v: v)

    def moved(self, y: Any, args: Any) -> Op:
        return self._keeping(lambda v: in_place_of_zeros(y, v))

    def _keeping(self, seen: Callable[[Any], Any]) -> Op:
        twin = _Slope(True, seen)
        twin.evaluate = self.evaluate
        return twin

    def doubt(self, traced: Any, v: Any, a: Any, y: Any) -> Any:
        return np.any(np.equal(y, 0))


SLOPE = add(_Slope())
slope = primitive(SLOPE)


class _StrongProduct(Elementwise):
    """A product of a derivative that keeps zeros: whether these move matters where it is differentiated itself."""

    def doubt(self, traced: Any, y: Any, a: Any, b: Any) -> Any:
        pairs = ((a, b), (b, a))
        return any(
            np.any(np.logical_and(np.equal(x, 0), np.logical_not(np.isfinite(other))))
            for moves, (x, other) in zip(traced, pairs, strict=True)
            if moves
        )


def _phase(y: Any, z: Any) -> Any:
    """conj(z)/|z|, which unlike the sign of a real number is not constant."""
    return slope(np.conjugate(z), y)


def _same_sign(y: Any, a: Any, b: Any) -> Any:
    return np.where(np.signbit(a) == np.signbit(b), 1.0, -1.0)


def _arc(real: Callable[[Any], Any], complexes: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """The slope of an inverse function: by x where that is real; else by y, which knows the side of a branch cut that
    z lies on, as 1 − z² does not (the sign of a zero is lost in it)."""
    return lambda y, x: complexes(y) if x.dtype.kind == "c" else real(x)


def _quotient(y: Any, a: Any, b: Any) -> Any:
    """−q of a = q b + y, the whole number that y goes with: a / b may be rounded up to the next one."""
    return -np.rint((a - y) / b)


def _power_flops(y: Any, a: Any, b: Any) -> float:
    """NumPy takes a number that is one of these exponents as a square, a root, a reciprocal …: one operation."""
    simple = isinstance(b, int | float | np.number) and b in (-1, 0, 0.5, 1, 2)
    return float(size_of(y)) * (1.0 if simple else TRANSCENDENTAL)


# fmt: off
row(np.add,          [1, 1],                                                   REAL, REAL, evaluate=operator.add)
row(np.subtract,     [1, -1],                                                  REAL, REAL, evaluate=operator.sub)
row(np.multiply,     [lambda y, a, b: b,       lambda y, a, b: a],             REAL, REAL, evaluate=operator.mul)
row(np.divide,       [_inverse,                lambda y, a, b: -y / b],        REAL, NONZERO, evaluate=operator.truediv)
row(np.power,        [power_slope,             _power_exponent],               POSITIVE, REAL, evaluate=operator.pow, flops=_power_flops)
row(np.float_power,  [power_slope,             _power_exponent],               POSITIVE, REAL, flops=TRANSCENDENTAL)
row(np.remainder,    [1,                       _quotient],                     REAL, ABOVE_ONE, evaluate=operator.mod)
row(np.fmod,         [1,                       _quotient],                     REAL, ABOVE_ONE)
row(np.negative,     [-1],                                                     REAL, evaluate=operator.neg)
row(np.positive,     [1],                                                      REAL)
row(np.reciprocal,   [lambda y, x: -y * y],                                    NONZERO)
row(np.square,       [lambda y, x: 2 * x],                                     REAL)
row(np.sqrt,         [lambda y, x: 0.5 / y],                                   POSITIVE)
row(np.cbrt,         [lambda y, x: 1 / (3 * y * y)],                           POSITIVE, flops=TRANSCENDENTAL)
add(Modulus(np.absolute, _phase,                                               domain=(NONZERO,), evaluate=operator.abs))
add(Modulus(np.fabs,     _phase,                                               domain=(NONZERO,)))
row(np.hypot,        [lambda y, a, b: slope(np.broadcast_to(a, y.shape), y), lambda y, a, b: slope(np.broadcast_to(b, y.shape), y)], NONZERO, NONZERO, flops=4)
add(Larger(np.maximum,  larger,                                                domain=(REAL, REAL)))
add(Larger(np.minimum,  smaller,                                               domain=(REAL, REAL)))
add(Larger(np.fmax,     or_alone(larger),                                      domain=(REAL, REAL)))
add(Larger(np.fmin,     or_alone(smaller),                                     domain=(REAL, REAL)))
row(np.copysign,     [_same_sign, None],                                       NONZERO, NONZERO)
row(np.heaviside,    [None, lambda y, x, h: x == 0],                           NONZERO, REAL)
row(np.ldexp,        [lambda y, x, n: np.ldexp(1.0, n), None],                 REAL, SMALL_INTEGERS)

# Exponentials and logarithms -----------------------------------------------------------------------
T = TRANSCENDENTAL
row(np.exp,          [lambda y, x: y],                                         REAL, flops=T)
row(np.exp2,         [lambda y, x: LN2 * y],                                   REAL, flops=T)
row(np.expm1,        [lambda y, x: np.exp(x)],                                 REAL, flops=T)
row(np.log,          [lambda y, x: 1 / x],                                     POSITIVE, flops=T)
row(np.log2,         [lambda y, x: 1 / (LN2 * x)],                             POSITIVE, flops=T)
row(np.log10,        [lambda y, x: 1 / (LN10 * x)],                            POSITIVE, flops=T)
row(np.log1p,        [lambda y, x: 1 / (1 + x)],                               POSITIVE, flops=T)
row(np.logaddexp,    [lambda y, a, b: np.exp(-np.logaddexp(0, _above(b, y) - a)),
                      lambda y, a, b: np.exp(-np.logaddexp(0, _above(a, y) - b))],     REAL, REAL, flops=2 * T)
row(np.logaddexp2,   [lambda y, a, b: np.exp2(-np.logaddexp2(0, _above(b, y) - a)),
                      lambda y, a, b: np.exp2(-np.logaddexp2(0, _above(a, y) - b))],   REAL, REAL, flops=2 * T)

# Trigonometric and hyperbolic functions ------------------------------------------------------------
row(np.sin,          [lambda y, x: np.cos(x)],                                 REAL, flops=T)
row(np.cos,          [lambda y, x: -np.sin(x)],                                REAL, flops=T)
row(np.tan,          [lambda y, x: 1 + y * y],                                 UNIT, flops=T)
row(np.arcsin,       [_arc(lambda x: 1 / np.sqrt(1 - x * x), lambda y: 1 / np.cos(y))],          UNIT, flops=T)
row(np.arccos,       [_arc(lambda x: -1 / np.sqrt(1 - x * x), lambda y: -1 / np.sin(y))],        UNIT, flops=T)
row(np.arctan,       [lambda y, x: 1 / (1 + x * x)],                           REAL, flops=T)
row(np.arctan2,      [lambda y, a, b: _along(b, a, b), lambda y, a, b: -_along(a, a, b)],        NONZERO, NONZERO, flops=T)
row(np.sinh,         [lambda y, x: np.cosh(x)],                                REAL, flops=T)
row(np.cosh,         [lambda y, x: np.sinh(x)],                                REAL, flops=T)
row(np.tanh,         [lambda y, x: 1 - y * y],                                 REAL, flops=T)
row(np.arcsinh,      [_arc(lambda x: 1 / np.hypot(x, 1), lambda y: 1 / np.cosh(y))],         REAL, flops=T)
row(np.arccosh,      [_arc(lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)), lambda y: 1 / np.sinh(y))],  ABOVE_ONE, flops=T)
row(np.arctanh,      [lambda y, x: 1 / (1 - x * x)],                           UNIT, flops=T)
row(np.deg2rad,      [DEGREE],                                                 REAL, alias=[np.radians])
row(np.rad2deg,      [1 / DEGREE],                                             REAL, alias=[np.degrees])

OPS[np.positive].moves = True

# Parts of a complex number; p with dy = Re(p·dz) ---------------------------------------------------
row(np.real,         [1],                                                      REAL, flops=0)
row(np.imag,         [np.complex64(-1j)],                                     REAL, flops=0)
# fmt: on
add(
    Linear(
        np.conjugate,
        lambda t, x: np.conjugate(t),
        lambda u, x: np.conjugate(u),
        domain=(REAL,),
    )
)


def _sinc_slope(y: Any, x: Any) -> Any:
    """sinc′(x) = (cos πx − sinc x)/x; its series, with z = πx, near 0."""
    z = np.pi * x
    near = np.abs(z) < 0.5
    q = z * z
    series = np.pi * z * (-1 / 3 + q * (1 / 30 - q * (1 / 840 - q * (1 / 45360 - q * (1 / 3991680 - q / 518918400)))))
    away = np.where(near, 1.0, x)
    return np.where(near, series, (np.cos(z) - y) / away)


def _i0_slope(y: Any, x: Any) -> Any:
    """I₀′ = I₁, which SciPy has in double precision at most."""
    from scipy.special import i1

    return i1(np.astype(x, np.float64) if x.dtype.char == "g" else x)


row(np.sinc, [_sinc_slope], REAL, flops=TRANSCENDENTAL)
row(np.i0, [_i0_slope], REAL, flops=TRANSCENDENTAL)
row(np.nextafter, [1, None], REAL, REAL)


primitive(add(_StrongProduct(strong_product, [lambda y, a, b: b, lambda y, a, b: a], domain=(REAL, REAL), flops=1.0)))
primitive(
    add(
        Via(
            spoiled,
            [lambda t, y, x, where: OPS[spoiled].evaluate(t, where), None],
            [lambda u, y, x, where: OPS[spoiled].evaluate(u, where), None],
            name="spoiled",
            domain=[case(A(3), np.zeros(3, bool))],
        )
    )
)


# ---------------------------------------------------------------------------------------------------
# In terms of other rows
# ---------------------------------------------------------------------------------------------------


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """min(max(a, a_min), a_max); an element equal to a bound shares the derivative with it."""
    a = np.asarray(a) if not isinstance(a, Tracer) and isinstance(a, int | float) else a
    a_min, a_max = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if a_min is not None:
        a = np.maximum(a, a_min)
    return a if a_max is None else np.minimum(a, a_max)


def _angle(z: Any, deg: bool = False) -> Any:
    y = np.arctan2(np.imag(z), np.real(z))
    return np.rad2deg(y) if deg else y


add(Composite(np.clip, _clip, domain=(REAL, ((-1.0, -0.5),), ((0.5, 1.0),))))
add(Composite(np.angle, _angle, domain=(NONZERO,)))
add(Composite(np.divmod, lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)), domain=(REAL, ABOVE_ONE)))
add(Composite(np.modf, lambda x: (x - np.trunc(x), np.trunc(x)), domain=(REAL,)))


def _frexp(x: Any) -> Any:
    """x = m · 2ᵉ; the exponent is constant between the powers of two."""
    e = exponent(x)
    return np.ldexp(x, -e), e


exponent = primitive(Passive(lambda x: np.frexp(x)[1], name="frexp", arrays=1))
add(Composite(np.frexp, _frexp, domain=(NONZERO,)))


def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Where an element is replaced, the derivative is that of the number in its place."""
    if x.dtype.kind == "c":
        return _nan_to_num(np.real(x), copy, nan, posinf, neginf) + 1j * _nan_to_num(
            np.imag(x), copy, nan, posinf, neginf
        )
    if x.dtype.kind != "f":
        return x
    limits = np.finfo(x.dtype)
    y = np.where(np.isnan(x), nan, x)
    y = np.where(np.isposinf(x), limits.max if posinf is None else posinf, y)
    y = np.where(np.isneginf(x), limits.min if neginf is None else neginf, y)
    if not copy:
        replace(x, y)
        return x
    return y


def _real_if_close(a: Any, tol: float = 100) -> Any:
    if a.dtype.kind != "c":
        return a
    limit = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return np.real(a) if np.all(np.abs(np.imag(a)) < limit) else a


add(Composite(np.nan_to_num, _nan_to_num, domain=(REAL,)))
add(Composite(np.real_if_close, _real_if_close, domain=(REAL,))).by_values = True


# ---------------------------------------------------------------------------------------------------
# Derivative zero, or none
# ---------------------------------------------------------------------------------------------------

for _fn in (
    np.floor, np.ceil, np.trunc, np.rint, np.floor_divide, np.spacing, np.round, np.around, np.fix,
):  # fmt: skip
    add(Passive(_fn, zero=True))


class _Sign(Passive):
    """The sign of a real number is constant between jumps; that of a complex one is z / |z|, 0 and of derivative 0 at 0."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        z = args[0]
        if z.dtype.kind != "c":
            return super().apply(trace, args, params)
        r = np.abs(z)
        return np.where(r == 0, 0.0, z / np.where(r == 0, 1.0, r))


add(_Sign(np.sign, zero=True))
for _fn in (
    np.signbit, np.isnan, np.isinf, np.isfinite, np.less, np.less_equal, np.greater, np.greater_equal, np.equal,
    np.not_equal, np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.isclose, np.allclose,
    np.array_equal, np.array_equiv, np.iscomplex, np.isreal, np.isposinf, np.isneginf, np.isnat,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift, np.bitwise_count,
    np.gcd, np.lcm, np.packbits, np.unpackbits,
):  # fmt: skip
    add(Passive(_fn))
for _fn in (np.iscomplexobj, np.isrealobj):
    add(Passive(_fn, static=True))
