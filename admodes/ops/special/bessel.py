"""Bessel functions and their kin: C′_v = (C_(v−1) ∓ C_(v+1))/2, DLMF 10.6.1 and 10.29.1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import NONZERO, POSITIVE, REAL, SMALL_INTEGERS, A, OnlyReal, case
from ...core.registry import UNKNOWN
from ..ties import jump
from .rows import ORDER, SCALED, SQRT_2, SQRT_PI, horner, independent, real_only, row, several, ufunc


def _falling(fn: Any) -> Callable[..., Any]:
    return lambda y, v, z: (fn(v - 1, z) - fn(v + 1, z)) / 2


def _rising(fn: Any, sign: float = 1.0) -> Callable[..., Any]:
    return lambda y, v, z: sign * (fn(v - 1, z) + fn(v + 1, z)) / 2


def _spherical(fn: Any, before: float, after: float) -> Callable[..., Any]:
    """f′ₙ = (± n fₙ₋₁ ± (n + 1) fₙ₊₁)/(2n + 1), DLMF 10.51.1 and 10.51.4."""
    return lambda y, n, z: (before * n * fn(np.maximum(n - 1, 0), z) + after * (n + 1) * fn(n + 1, z)) / (2 * n + 1)


def _struve_term(v: Any, z: Any) -> Any:
    return np.power(z / 2, v) * sc.rgamma(v + 1.5) / SQRT_PI


def _kelvin_second(w: Any, x: Any) -> Any:
    """w″ of w = ber + i bei = J₀(s), s = x e^(3πi/4): w″ = i w − w′/x = i(w − J₂(s))/2."""
    return 0.5j * (w - sc.jv(2, x * complex(-1, 1) / SQRT_2))


def _airye(y: Any, x: Any) -> tuple[Any, ...]:
    """Ai and Ai′ carry e^(2x√x/3), Bi and Bi′ its reciprocal; where x < 0 the scale of Bi is 1."""
    a, da, b, db = y
    root = np.sqrt(np.where(x >= 0, x, 0.0))
    return da + root * a, x * a + root * da, db - root * b, x * b - root * db


def _one_minus_j0(x: Any, sign: float) -> Any:
    """(1 − J₀(x))/x for sign −1 and (I₀(x) − 1)/x for sign +1; near 0 the series Σ sign^(k+1) (x²/4)ᵏ/(k!)²/x."""
    near = np.abs(x) < 1
    away, small = np.where(near, 1.0, x), np.where(near, x, 0.0)
    series = tuple(sign**k / (4 ** (k + 1) * math.factorial(k + 1) ** 2) for k in range(10))
    value = sc.j0(away) if sign < 0 else sc.i0(away)
    return np.where(near, small * horner(series, small * small), sign * (value - 1) / away)


# fmt: off
row("jv",            [UNKNOWN, _falling(sc.jv)],                                         ORDER, POSITIVE)
row("yv",            [UNKNOWN, _falling(sc.yv)],                                         ORDER, POSITIVE)
row("yn",            [UNKNOWN, _falling(sc.yn)],                                         SMALL_INTEGERS, POSITIVE)
row("jve",           [UNKNOWN, real_only("jve", _falling(sc.jve))], SCALED)
row("yve",           [UNKNOWN, real_only("yve", _falling(sc.yve))], SCALED)
row("iv",            [UNKNOWN, _rising(sc.iv)],                                          ORDER, POSITIVE)
row("ive", [UNKNOWN, real_only("ive", lambda y, v, x: (sc.ive(v - 1, x) + sc.ive(v + 1, x)) / 2 - jump(x) * y)],
            SCALED)
row("kv",            [UNKNOWN, _rising(sc.kv, -1.0)],                                    ORDER, POSITIVE)
row("kn",            [UNKNOWN, _rising(sc.kn, -1.0)],                                    SMALL_INTEGERS, POSITIVE)
row("kve", [UNKNOWN, lambda y, v, z: y - (sc.kve(v - 1, z) + sc.kve(v + 1, z)) / 2], ORDER, POSITIVE)
row("hankel1",       [UNKNOWN, _falling(sc.hankel1)],                                    ORDER, POSITIVE)
row("hankel2",       [UNKNOWN, _falling(sc.hankel2)],                                    ORDER, POSITIVE)
row("hankel1e", [UNKNOWN, lambda y, v, z: (sc.hankel1e(v - 1, z) - sc.hankel1e(v + 1, z)) / 2 - 1j * y], ORDER,
                 POSITIVE)
row("hankel2e", [UNKNOWN, lambda y, v, z: (sc.hankel2e(v - 1, z) - sc.hankel2e(v + 1, z)) / 2 + 1j * y], ORDER,
                 POSITIVE)
row("j0",            [lambda y, x: -sc.j1(x)],                                           REAL)
row("j1",            [lambda y, x: (sc.j0(x) - sc.jv(2, x)) / 2],                        REAL)
row("y0",            [lambda y, x: -sc.y1(x)],                                           POSITIVE)
row("y1",            [lambda y, x: sc.y0(x) - y / x],                                    POSITIVE)
row("i0",            [lambda y, x: sc.i1(x)],                                            REAL)
row("i1",            [lambda y, x: (sc.i0(x) + sc.iv(2, x)) / 2],                        REAL)
row("i0e",           [lambda y, x: sc.i1e(x) - jump(x) * y],                             NONZERO)
row("i1e",           [lambda y, x: (sc.i0e(x) + sc.ive(2, x)) / 2 - jump(x) * y],        NONZERO)
row("k0",            [lambda y, x: -sc.k1(x)],                                           POSITIVE)
row("k1",            [lambda y, x: -sc.k0(x) - y / x],                                   POSITIVE)
row("k0e",           [lambda y, x: y - sc.k1e(x)],                                       POSITIVE)
row("k1e",           [lambda y, x: y - sc.k0e(x) - y / x],                               POSITIVE)
for _name, _before, _after in (("jn", 1.0, -1.0), ("yn", 1.0, -1.0), ("in", 1.0, 1.0), ("kn", -1.0, -1.0)):
    for _d in ("", "_d"):
        _fn = ufunc(f"_spherical_{_name}{_d}")
        row(f"_spherical_{_name}{_d}", [UNKNOWN, _spherical(_fn, _before, _after)],      SMALL_INTEGERS, POSITIVE)
row("struve", [UNKNOWN, lambda y, v, z: (sc.struve(v - 1, z) - sc.struve(v + 1, z) + _struve_term(v, z)) / 2], ORDER,
               POSITIVE)
row("modstruve", [UNKNOWN, lambda y, v, z: (sc.modstruve(v - 1, z) + sc.modstruve(v + 1, z) + _struve_term(v, z)) / 2],
                  ORDER, POSITIVE)
row("ber",           [lambda y, x: sc.berp(x)],                                          REAL)
row("bei",           [lambda y, x: sc.beip(x)],                                          REAL)
row("berp",          [lambda y, x: np.real(_kelvin_second(sc.ber(x) + 1j * sc.bei(x), x))],  REAL)
row("beip",          [lambda y, x: np.imag(_kelvin_second(sc.ber(x) + 1j * sc.bei(x), x))],  REAL)
row("ker",           [lambda y, x: sc.kerp(x)],                                          POSITIVE)
row("kei",           [lambda y, x: sc.keip(x)],                                          POSITIVE)
row("kerp",          [lambda y, x: -sc.kei(x) - y / x],                                  POSITIVE)
row("keip",          [lambda y, x: sc.ker(x) - y / x],                                   POSITIVE)
several("kelvin",    [lambda y, x: (y[2], y[3], _kelvin_second(y[0], x), 1j * y[1] - y[3] / x)],  POSITIVE)
several("airy",      [lambda y, z: (y[1], z * y[0], y[3], z * y[2])],                    REAL)
several("airye", [real_only("airye", _airye)], OnlyReal([case(A(3, within=POSITIVE)), case(A(within=POSITIVE))]))
several("itairy", [lambda y, x: (sc.airy(x)[0], sc.airy(x)[2], sc.airy(-x)[0], sc.airy(-x)[2])], POSITIVE, apart=True)
independent("itj0y0",  [lambda y, x: sc.j0(x), lambda y, x: sc.y0(x)],                    POSITIVE)
independent("iti0k0",  [lambda y, x: sc.i0(x), lambda y, x: sc.k0(x)],                    POSITIVE)
independent("it2j0y0", [lambda y, x: _one_minus_j0(x, -1.0), lambda y, x: -sc.y0(x) / x], POSITIVE)
independent("it2i0k0", [lambda y, x: _one_minus_j0(x, 1.0),  lambda y, x: -sc.k0(x) / x], POSITIVE)
row("itstruve0",     [lambda y, x: sc.struve(0, x)],                                     POSITIVE)
row("it2struve0",    [lambda y, x: -sc.struve(0, x) / x],                                POSITIVE)
row("itmodstruve0",  [lambda y, x: sc.modstruve(0, x)],                                  POSITIVE)
row("besselpoly", [lambda y, a, k, v: sc.besselpoly(a, k + 1, v - 1) - sc.besselpoly(a, k + 1, v + 1), UNKNOWN,
                   UNKNOWN], POSITIVE, SMALL_INTEGERS, SMALL_INTEGERS)
several("pbdv",      [UNKNOWN, lambda y, v, x: (y[1], (x * x / 4 - v - 0.5) * y[0])],    ORDER, REAL)
several("pbvv",      [UNKNOWN, lambda y, v, x: (y[1], (x * x / 4 - v - 0.5) * y[0])],    ORDER, POSITIVE)
several("pbwa",      [UNKNOWN, lambda y, a, x: (y[1], (a - x * x / 4) * y[0])],          ORDER, POSITIVE)
# fmt: on
