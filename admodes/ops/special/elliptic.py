"""Elliptic integrals and functions, of the parameter m."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import POSITIVE, REAL
from ...core.registry import Composite, add
from .rows import BELOW_ONE, PROBABILITY, row, several


def _k_slope(m: Any) -> Any:
    """dK/dm = (E − (1 − m)K)/(2m(1 − m)), as K = (π/2) ₂F₁(½, ½; 1; m): smooth at m = 0."""
    return np.pi / 8 * sc.hyp2f1(1.5, 1.5, 2.0, m)


def _e_slope(m: Any) -> Any:
    """dE/dm = (E − K)/(2m), as E = (π/2) ₂F₁(−½, ½; 1; m)."""
    return -np.pi / 8 * sc.hyp2f1(0.5, 1.5, 2.0, m)


# Gauss-Legendre on (0, 1): 24 nodes integrate the smooth integrands below, |m| ≤ 0.1, to the last digit.
NODES, WEIGHTS = (0.5 * (np.polynomial.legendre.leggauss(24)[0] + 1), 0.5 * np.polynomial.legendre.leggauss(24)[1])


def _near_zero(phi: Any, m: Any, power: float, whole: Any) -> Any:
    """∫₀^φ sin²θ (1 − m sin²θ)^power dθ for small m: with φ = kπ + r, 2k times that to π/2, and a quadrature."""
    k = np.round(phi / np.pi)
    r = phi - np.pi * k
    s = np.square(np.sin(r[..., None] * NODES))
    return 2 * k * whole + r * np.sum(WEIGHTS * s * np.power(1 - m[..., None] * s, power), axis=-1)


def _by_m(phi: Any, m: Any, power: float, slope: Callable[[Any], Any], closed: Callable[..., Any], scale: float) -> Any:
    """scale · ∫ sin²θ (1 − m sin²θ)^power dθ: by quadrature for |m| < 0.1, else in closed form."""
    phi, m = np.broadcast_arrays(phi, m)
    near = np.abs(m) < 0.1
    small, large = np.where(near, m, 0.0), np.where(near, 0.5, m)
    quadrature = scale * _near_zero(phi, small, power, slope(small) / scale)
    return np.where(near, quadrature, closed(np.where(near, 0.5, phi), large))


def _f_closed(phi: Any, m: Any) -> Any:
    """∂F/∂m = E/(2m(1 − m)) − F/(2m) − sin 2φ/(4(1 − m)Δ)."""
    root = np.sqrt(1 - m * np.square(np.sin(phi)))
    f, e = sc.ellipkinc(phi, m), sc.ellipeinc(phi, m)
    return e / (2 * m * (1 - m)) - f / (2 * m) - np.sin(2 * phi) / (4 * (1 - m) * root)


def _f_by_m(y: Any, phi: Any, m: Any) -> Any:
    """∂F/∂m = ½ ∫ sin²θ (1 − m sin²θ)^(−3/2) dθ."""
    return _by_m(phi, m, -1.5, _k_slope, _f_closed, 0.5)


def _e_by_m(y: Any, phi: Any, m: Any) -> Any:
    """∂E/∂m = −½ ∫ sin²θ (1 − m sin²θ)^(−1/2) dθ = (E − F)/(2m)."""
    return _by_m(phi, m, -0.5, _e_slope, lambda p, q: (sc.ellipeinc(p, q) - sc.ellipkinc(p, q)) / (2 * q), -0.5)


def _root(phi: Any, m: Any) -> Any:
    return np.sqrt(1 - m * np.square(np.sin(phi)))


def _ellipj_m(y: Any, u: Any, m: Any) -> tuple[Any, ...]:
    """F(φ, m) = u gives ∂φ/∂m = −dn · ∂F/∂m; sn = sin φ, cn = cos φ, dn² = 1 − m sn²."""
    sn, cn, dn, phi = y
    slope = -dn * _f_by_m(u, phi, m)
    return cn * slope, -sn * slope, -(sn * sn + 2 * m * sn * cn * slope) / (2 * dn), slope


def _agm_slope(y: Any, a: Any, b: Any) -> Any:
    """agm(a, b) = πa/(2K), K of m = 1 − (b/a)²: ∂/∂a = y/a − y (K′/K) 2b²/a³."""
    p = np.square(b / a)
    return y / a * (1 - 2 * p * _k_slope(1 - p) / sc.ellipkm1(p))


def _elliprd(x: Any, y: Any, z: Any) -> Any:
    """R_D by duplication and the series of order 5 in what is left of the differences (Carlson 1995, algorithm 4).

    The closed forms of its derivatives cancel where two arguments are equal; the algorithm itself does not.
    """
    dtype = np.result_type(x, y, z)
    x, y, z = (np.asarray(v, dtype) if type(v) in (int, float) else v for v in (x, y, z))
    total: Any = 0.0
    scale = 3.0
    for _ in range(14):
        a, b, c = np.sqrt(x), np.sqrt(y), np.sqrt(z)
        shift = a * b + a * c + b * c
        total = total + scale / (c * (z + shift))
        x, y, z, scale = (x + shift) / 4, (y + shift) / 4, (z + shift) / 4, scale / 4
    mean = (x + y + 3 * z) / 5
    p, q = 1 - x / mean, 1 - y / mean
    r = -(p + q) / 3
    e2, e3, e4, e5 = p * q - 6 * r * r, (3 * p * q - 8 * r * r) * r, 3 * (p * q - r * r) * r * r, p * q * r**3
    series = 1 - 3 / 14 * e2 + e3 / 6 + 9 / 88 * e2 * e2 - 3 / 22 * e4 - 9 / 52 * e2 * e3 + 3 / 26 * e5
    return total + scale / 3 * series / (mean * np.sqrt(mean))


# Carlson's R_F has ∂/∂x = −R_D(y, z, x)/6, and R_C(x, y) = R_F(x, y, y).
# fmt: off
row("ellipk",        [lambda y, m: _k_slope(m)],                                         BELOW_ONE)
row("ellipkm1",      [lambda y, p: -_k_slope(1 - p)],                                    POSITIVE)
row("ellipe",        [lambda y, m: _e_slope(m)],                                         BELOW_ONE)
row("ellipkinc",     [lambda y, phi, m: 1 / _root(phi, m), _f_by_m],                     REAL, BELOW_ONE)
row("ellipeinc",     [lambda y, phi, m: _root(phi, m), _e_by_m],                         REAL, BELOW_ONE)
several("ellipj", [lambda y, u, m: (y[1] * y[2], -y[0] * y[2], -m * y[0] * y[1], y[2]), _ellipj_m], REAL, PROBABILITY)
row("elliprf",       [lambda y, a, b, c: -sc.elliprd(b, c, a) / 6, lambda y, a, b, c: -sc.elliprd(a, c, b) / 6,
                      lambda y, a, b, c: -sc.elliprd(a, b, c) / 6],                      POSITIVE, POSITIVE, POSITIVE)
row("elliprc", [lambda y, a, b: -sc.elliprd(b, b, a) / 6, lambda y, a, b: -sc.elliprd(a, b, b) / 3], POSITIVE, POSITIVE)
row("elliprg",       [lambda y, a, b, c: (sc.elliprf(a, b, c) - a * sc.elliprd(b, c, a) / 3) / 4,
                      lambda y, a, b, c: (sc.elliprf(a, b, c) - b * sc.elliprd(a, c, b) / 3) / 4,
                      lambda y, a, b, c: (sc.elliprf(a, b, c) - c * sc.elliprd(a, b, c) / 3) / 4],
                     POSITIVE, POSITIVE, POSITIVE)
row("agm",           [_agm_slope, lambda y, a, b: _agm_slope(y, b, a)],                  POSITIVE, POSITIVE)
# fmt: on
add(Composite(sc.elliprd, _elliprd, domain=(POSITIVE, POSITIVE, POSITIVE)))
