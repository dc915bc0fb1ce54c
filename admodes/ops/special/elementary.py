"""Logarithms, exponentials, what statistics makes of them, and integrals of elementary functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import NONZERO, POSITIVE, REAL, SMALL_INTEGERS, UNIT
from ...core.registry import UNKNOWN
from ..elementwise import power_slope
from .rows import DEGREE, LN2, LN10, PROBABILITY, SQRT_2, SQRT_PI, horner, independent, row, several

# ---------------------------------------------------------------------------------------------------
# Logarithms, exponentials, and what statistics makes of them
# ---------------------------------------------------------------------------------------------------

# exprel(x) = (eˣ − 1)/x = Σ xⁿ/(n + 1)!, so exprel′ = Σ (n + 1) xⁿ/(n + 2)!
EXPREL_SLOPE = tuple((n + 1) / math.factorial(n + 2) for n in range(18))
# log(1 + w)/w = Σ (−w)ⁿ/(n + 1)
LOG1PREL = tuple((-1) ** n / (n + 1) for n in range(24))


def _exprel_slope(y: Any, x: Any) -> Any:
    """(eˣ − y)/x, and its series near 0."""
    near = np.abs(x) < 0.5
    away = np.where(near, 1.0, x)
    return np.where(near, horner(EXPREL_SLOPE, np.where(near, x, 0.0)), (np.exp(x) - y) / away)


def _power_slope(log: Any, lmbda: Any) -> Any:
    """∂/∂λ of (x^λ − 1)/λ = log x · exprel(λ log x), given log x."""
    t = lmbda * log
    return log * log * _exprel_slope(sc.exprel(t), t)


def _log1prel(w: Any) -> Any:
    """log(1 + w)/w, which is 1 at 0."""
    near = np.abs(w) < 0.1
    away = np.where(near, 1.0, w)
    return np.where(near, horner(LOG1PREL, np.where(near, w, 0.0)), np.log1p(away) / away)


def _huber_delta(y: Any, delta: Any, r: Any) -> Any:
    size = np.abs(r)
    return np.where(size <= delta, 0.0, size - delta)


def _pseudo_huber_delta(y: Any, delta: Any, r: Any) -> Any:
    """δ(s − 1)²/s with s = √(1 + w), w = (r/δ)², and s − 1 = w/(1 + s)."""
    w = np.square(r / delta)
    s = np.sqrt(1 + w)
    return delta * np.square(w / (1 + s)) / s


def _tukey_slope(y: Any, x: Any, lmbda: Any) -> Any:
    """The quantile Q(p) = (p^λ − (1−p)^λ)/λ has Q′ = p^(λ−1) + (1−p)^(λ−1); outside the support y is 0 or 1."""
    inside = np.logical_and(y > 0, y < 1)
    p = np.where(inside, y, 0.5)
    return np.where(inside, 1 / (np.power(p, lmbda - 1) + np.power(1 - p, lmbda - 1)), 0.0)


def _tukey_shape(y: Any, x: Any, lmbda: Any) -> Any:
    """−(∂Q/∂λ)/Q′."""
    p = np.where(np.logical_and(y > 0, y < 1), y, 0.5)
    return (_power_slope(np.log1p(-p), lmbda) - _power_slope(np.log(p), lmbda)) * _tukey_slope(y, x, lmbda)


# fmt: off
row("expit",         [lambda y, x: y * sc.expit(-x)],                                    REAL)
row("log_expit",     [lambda y, x: sc.expit(-x)],                                        REAL)
row("logit",         [lambda y, p: 1 / (p * (1 - p))],                                   PROBABILITY)
# Both arguments 0: 0 · log 0 counts as 0, and so does its derivative by the second.
row("xlogy", [lambda y, a, b: np.log(b), lambda y, a, b: a / np.where(np.logical_and(a == 0, b == 0), 1.0, b)],
              POSITIVE, POSITIVE)
row("xlog1py", [lambda y, a, b: np.log1p(b),
                lambda y, a, b: a / np.where(np.logical_and(a == 0, b == -1), 1.0, 1 + b)], POSITIVE, POSITIVE)
row("entr",          [lambda y, x: -np.log(x) - 1],                                      POSITIVE)
row("rel_entr",      [lambda y, a, b: np.log(a / b) + 1, lambda y, a, b: -a / b],        POSITIVE, POSITIVE)
row("kl_div",        [lambda y, a, b: np.log(a / b),     lambda y, a, b: 1 - a / b],     POSITIVE, POSITIVE)
row("huber", [_huber_delta, lambda y, d, r: np.where(np.abs(r) <= d, r, d * np.sign(r))], ((0.2, 0.5),), NONZERO)
row("pseudo_huber", [_pseudo_huber_delta, lambda y, d, r: r / np.sqrt(1 + np.square(r / d))], POSITIVE, REAL)
row("exprel",        [_exprel_slope],                                                    REAL)
row("boxcox", [lambda y, x, a: np.power(x, a - 1), lambda y, x, a: _power_slope(np.log(x), a)], POSITIVE, REAL)
row("boxcox1p", [lambda y, x, a: np.power(1 + x, a - 1), lambda y, x, a: _power_slope(np.log1p(x), a)], POSITIVE, REAL)
row("inv_boxcox",    [lambda x, y, a: np.power(x, 1 - a),
                      lambda x, y, a: -_power_slope(np.log(x), a) * np.power(x, 1 - a)],           ((0.1, 0.6),), UNIT)
row("inv_boxcox1p",  [lambda x, y, a: np.power(1 + x, 1 - a),
                      lambda x, y, a: -_power_slope(np.log1p(x), a) * np.power(1 + x, 1 - a)],     ((0.1, 0.6),), UNIT)
row("tklmbda",       [_tukey_slope, _tukey_shape],                                       ((-0.8, 0.8),), ((-0.9, 0.9),))
row("powm1",         [power_slope, lambda y, x, a: (y + 1) * np.log(x)],                 POSITIVE, REAL)
row("cbrt",          [lambda y, x: 1 / (3 * y * y)],                                     NONZERO)
row("exp2",          [lambda y, x: LN2 * y],                                             REAL)
row("exp10",         [lambda y, x: LN10 * y],                                            REAL)
row("expm1",         [lambda y, z: np.exp(z)],                                           REAL)
row("log1p",         [lambda y, z: 1 / (1 + z)],                                         POSITIVE)
row("cosm1",         [lambda y, x: -np.sin(x)],                                          REAL)
row("sindg",         [lambda y, x: DEGREE * sc.cosdg(x)],                                REAL)
row("cosdg",         [lambda y, x: -DEGREE * sc.sindg(x)],                               REAL)
row("tandg",         [lambda y, x: DEGREE * (1 + y * y)],                                REAL)
row("cotdg",         [lambda y, x: -DEGREE * (1 + y * y)],                               NONZERO)
row("radian",        [DEGREE, DEGREE / 60, DEGREE / 3600],                               REAL, REAL, REAL)
row("_lambertw", [lambda y, z, k, tol: np.exp(-y) / (1 + y), None, None], POSITIVE, (0, 1), ((1e-8, 1e-8),))
row("wrightomega",   [lambda y, z: y / (1 + y)],                                         REAL)
row("spence",        [lambda y, z: -_log1prel(z - 1)],                                   POSITIVE)
# fmt: on

# ---------------------------------------------------------------------------------------------------
# Integrals of elementary functions
# ---------------------------------------------------------------------------------------------------


def _sinhc(x: Any) -> Any:
    """sinh(x)/x."""
    return np.sinc(1j * x / np.pi) if np.iscomplexobj(x) else (sc.exprel(x) + sc.exprel(-x)) / 2


def _expn_slope(y: Any, n: Any, x: Any) -> Any:
    """−E_(n−1)(x), where E₀ = e⁻ˣ/x and E₋₁ = e⁻ˣ(1 + 1/x)/x."""
    return -np.where(np.greater(n, 0), sc.expn(np.maximum(n - 1, 0), x), np.exp(-x) * (1 + 1 / x) / x)


def _modfresnelp(y: Any, x: Any) -> tuple[Any, Any]:
    """F(x) = ∫ₓ^∞ e^(it²) dt and K(x) = e^(−i(x² + π/4)) F/√π."""
    return -np.exp(1j * x * x), -2j * x * y[1] - complex(1, -1) / (SQRT_2 * SQRT_PI)


def _modfresnelm(y: Any, x: Any) -> tuple[Any, Any]:
    """The conjugates."""
    return -np.exp(-1j * x * x), 2j * x * y[1] - complex(1, 1) / (SQRT_2 * SQRT_PI)


# fmt: off
row("expn",          [UNKNOWN, _expn_slope],                                             SMALL_INTEGERS, POSITIVE)
row("exp1",          [lambda y, z: -np.exp(-z) / z],                                     POSITIVE)
row("expi",          [lambda y, z: np.exp(z) / z],                                       POSITIVE)
independent("sici",   [lambda y, z: np.sinc(z / np.pi), lambda y, z: np.cos(z) / z],      POSITIVE)
independent("shichi", [lambda y, z: _sinhc(z),          lambda y, z: np.cosh(z) / z],     POSITIVE)
several("fresnel",   [lambda y, z: (np.sin(np.pi / 2 * z * z), np.cos(np.pi / 2 * z * z))],  REAL)
several("modfresnelp", [_modfresnelp],                                                   ((0.3, 1.5),))
several("modfresnelm", [_modfresnelm],                                                   ((0.3, 1.5),))
# fmt: on
