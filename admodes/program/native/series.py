"""exp, tanh, sin and cos of vectors, written out: range reduction, and the series near zero.

Source: Muller, "Elementary Functions" (3rd ed., 2016), chapters 3 (evaluating polynomials: Estrin) and 11 (range
reduction: Cody and Waite).
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, pi

import numpy as np

from .text import Writer

# log 2 in two parts, its reciprocal, and what moves whole numbers into the lowest bits: 1.5 · 2⁵².
LOG2, LOG2_REST, PER_LOG2 = (
    float.fromhex("0x1.62e42fefa39efp-1"),
    float.fromhex("0x1.abc9e3b39803fp-56"),
    1 / np.log(2.0),
)
ROUNDING = 1.5 * 2.0**52


def _written_out(to: Writer, kind: str) -> bool:
    """Whether these functions are: for vectors where products and sums are fused; no call then spills registers."""
    return kind == "d" and to.lanes > 1 and to.text.machine.fused


def _near_zero(to: Writer, x: str) -> tuple[str, str]:
    """k and exp r − 1 of x = k log 2 + r, r at most ½ log 2 in size: the series of exp r up to r¹³ is off by 4e−18."""

    def c(value: float) -> str:
        return to.constant("d", value)

    def fma(a: str, b: str, d: str) -> str:
        return to.intrinsic("fma", "d", a, b, d)

    k = to.binary("fsub", "d", fma(x, c(PER_LOG2), c(ROUNDING)), c(ROUNDING))
    r = fma(k, c(-LOG2_REST), fma(k, c(-LOG2), x))
    r2 = to.binary("fmul", "d", r, r)
    r4 = to.binary("fmul", "d", r2, r2)
    pairs = [fma(c(1 / factorial(n + 1)), r, c(1 / factorial(n))) for n in range(2, 14, 2)]
    fours = [fma(high, r2, low) for low, high in zip(pairs[::2], pairs[1::2], strict=True)]
    series = fma(fma(fours[2], r4, fours[1]), r4, fours[0])
    return k, fma(r2, series, r)


def _two_to(to: Writer, moved: str) -> str:
    """2ᵏ, of k + ROUNDING."""
    bits = to.add(f"bitcast {to.type('d')} {moved} to {to.type('q')}")
    exponent = to.binary("add", "q", bits, to.constant("q", 1023))
    shifted = to.binary("shl", "q", exponent, to.constant("q", 52))
    return to.add(f"bitcast {to.type('q')} {shifted} to {to.type('d')}")


def exp(to: Writer, kind: str, x: str) -> str:
    """exp x = 2ᵏ exp r, within 1 ulp. 2ᵏ is taken in two factors, so that results beyond the range become inf, and
    small ones subnormal."""
    if not _written_out(to, kind):
        return to.function("exp", kind, x)
    most, least, one = (to.constant(kind, v) for v in (710.0, -746.0, 1.0))
    kept = to.select(to.compare("olt", kind, x, most), kind, x, most)
    kept = to.select(to.compare("ogt", kind, kept, least), kind, kept, least)
    k, rest = _near_zero(to, kept)
    y = to.binary("fadd", kind, rest, one)
    rounding = to.constant(kind, ROUNDING)
    half = to.intrinsic("fma", kind, k, to.constant(kind, 0.5), rounding)
    other = to.binary("fsub", kind, k, to.binary("fsub", kind, half, rounding))
    y = to.binary("fmul", kind, y, _two_to(to, half))
    y = to.binary("fmul", kind, y, _two_to(to, to.binary("fadd", kind, other, rounding)))
    return to.select(to.compare("uno", kind, x, x), kind, x, y)


# tanh is 1 from here on.
SATURATED = 22.0


def tanh(to: Writer, kind: str, x: str) -> str:
    """tanh |x| = e / (e + 2), e = exp 2|x| − 1 = 2ᵏ (exp r − 1) + (2ᵏ − 1), within 2.4 ulp: near zero k is 0 and
    nothing cancels.  The sign is that of x."""
    if not _written_out(to, kind):
        return to.function("tanh", kind, x)
    most, two = to.constant(kind, SATURATED), to.constant(kind, 2.0)
    size = to.intrinsic("fabs", kind, x)
    kept = to.select(to.compare("olt", kind, size, most), kind, size, most)
    k, rest = _near_zero(to, to.binary("fmul", kind, kept, two))
    power = _two_to(to, to.binary("fadd", kind, k, to.constant(kind, ROUNDING)))
    e = to.intrinsic("fma", kind, power, rest, to.binary("fsub", kind, power, to.constant(kind, 1.0)))
    y = to.binary("fdiv", kind, e, to.binary("fadd", kind, e, two))
    y = to.intrinsic("copysign", kind, y, x)
    return to.select(to.compare("uno", kind, x, x), kind, x, y)


# ½ π in three parts, which products of whole numbers and the fused sum take exactly; and the size of arguments up to
# which its multiples are near enough, beyond which the library has the function.
HALF_PI = (pi / 2, 6.123233995736766e-17, -1.4973849048591698e-33)
FARTHEST = 2.0**30


def _series(to: Writer, r2: str, coefficients: list[float]) -> str:
    """Σ cₙ r²ⁿ, eight terms at most, by pairs."""
    power, terms = r2, [to.constant("d", c) for c in coefficients]
    while len(terms) > 1:
        odd = terms[-1:] if len(terms) % 2 else []
        terms = [to.intrinsic("fma", "d", b, power, a) for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
        power = to.binary("fmul", "d", power, power) if len(terms) > 1 else power
    return terms[0]


def _quadrant(to: Writer, x: str) -> tuple[str, str, str]:
    """sin r and cos r of x = k π/2 + r, and the bits of k: once for the sine and the cosine of one value. For one of
    them alone the vector library takes half the time.

    The series up to r¹⁷ and r¹⁶ are off by 2e−18.
    """
    found = to.text.quadrants.get((id(to.lines), x))
    if found is not None:
        return found[1]
    moved = to.intrinsic("fma", "d", x, to.constant("d", 2 / pi), to.constant("d", ROUNDING))
    k = to.binary("fsub", "d", moved, to.constant("d", ROUNDING))
    r = x
    for part in HALF_PI:
        r = to.intrinsic("fma", "d", k, to.constant("d", -part), r)
    r2 = to.binary("fmul", "d", r, r)
    odd = _series(to, r2, [(-1.0) ** (n + 1) / factorial(2 * n + 3) for n in range(8)])
    even = _series(to, r2, [(-1.0) ** n / factorial(2 * n + 4) for n in range(7)])
    sine = to.intrinsic("fma", "d", to.binary("fmul", "d", r2, r), odd, r)
    near = to.intrinsic("fma", "d", r2, to.constant("d", -0.5), to.constant("d", 1.0))
    cosine = to.intrinsic("fma", "d", to.binary("fmul", "d", r2, r2), even, near)
    bits = to.add(f"bitcast {to.type('d')} {moved} to {to.type('q')}")
    to.text.quadrants[id(to.lines), x] = to.lines, (sine, cosine, bits)
    return sine, cosine, bits


def _circular(name: str, further: int) -> Callable[[Writer, str, str], str]:
    def write(to: Writer, kind: str, x: str) -> str:
        if not _written_out(to, kind) or x not in to.text.circular:
            return to.function(name, kind, x)
        sine, cosine, bits = _quadrant(to, x)
        if further:
            bits = to.binary("add", "q", bits, to.constant("q", further))
        one, two = (to.binary("and", "q", bits, to.constant("q", n)) for n in (1, 2))
        y = to.select(to.compare("one", "q", one, to.constant("q", 0)), kind, cosine, sine)
        sign = to.binary("shl", "q", two, to.constant("q", 62))
        turned = to.binary("xor", "q", to.add(f"bitcast {to.type(kind)} {y} to {to.type('q')}"), sign)
        y = to.add(f"bitcast {to.type('q')} {turned} to {to.type(kind)}")
        if not further:  # −0.0 keeps its sign
            y = to.select(to.compare("oeq", kind, x, to.constant(kind, 0.0)), kind, x, y)
        return _far(to, name, kind, x, y)

    return write


def _far(to: Writer, name: str, kind: str, x: str, y: str) -> str:
    """y, and for arguments beyond what the series are for what the library has, which is asked where there are any."""
    size = to.intrinsic("fabs", kind, x)
    far = to.compare("ogt", kind, size, to.constant(kind, FARTHEST))
    of, label, result = to.type(kind), to.text.name().removeprefix("%"), to.text.name()
    to.text.entry.append(f"  {result} = alloca {of}")
    to.lines.append(f"  store {of} {y}, ptr {result}")
    mask = to.add(f"bitcast {to.type('?')} {far} to i{to.lanes}")
    some = to.add(f"icmp ne i{to.lanes} {mask}, 0")
    to.lines += [f"  br i1 {some}, label %far{label}, label %near{label}", f"far{label}:"]
    other = to.select(far, kind, to.function(name, kind, x), y)
    to.lines += [f"  store {of} {other}, ptr {result}", f"  br label %near{label}", f"near{label}:"]
    return to.add(f"load {of}, ptr {result}")


sin, cos = _circular("sin", 0), _circular("cos", 1)
