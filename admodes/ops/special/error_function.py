"""The error function and the normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import POSITIVE, REAL, UNIT
from .rows import PROBABILITY, SQRT_2, SQRT_2PI, SQRT_PI, horner, row

FAR = 20.0
# (2n + 1)!!, of the asymptotic series of erfcx, dawsn and wofz: 1 + 3q + 15q² + …
ODD_FACTORIALS = tuple(float(math.prod(range(1, 2 * n + 2, 2))) for n in range(10))


def _erfcx_slope(y: Any, z: Any) -> Any:
    """2zy − 2/√π, which cancels for large z: there −(1 − 3/(2z²) + 15/(2z²)² − …)/(√π z²)."""
    far = np.real(z) > FAR
    w = np.where(far, z, FAR)
    q = 1 / (w * w)
    return np.where(far, -q * horner(ODD_FACTORIALS, -q / 2) / SQRT_PI, 2 * z * y - 2 / SQRT_PI)


def _dawsn_slope(y: Any, z: Any) -> Any:
    """1 − 2zy; for large real z it is −(1 + 3/(2z²) + …)/(2z²)."""
    if np.iscomplexobj(z):
        return 1 - 2 * z * y
    far = np.abs(z) > FAR
    q = 1 / np.square(np.where(far, z, FAR))
    return np.where(far, -q * horner(ODD_FACTORIALS, q / 2) / 2, 1 - 2 * z * y)


def _wofz_slope(y: Any, z: Any) -> Any:
    """−2zy + 2i/√π; for large z in the upper half-plane it is −i(1 + 3/(2z²) + …)/(√π z²)."""
    far = np.logical_and(np.abs(z) > FAR, np.imag(z) >= 0)
    w = np.where(far, z, FAR)
    q = 1 / (w * w)
    return np.where(far, -1j * q * horner(ODD_FACTORIALS, q / 2) / SQRT_PI, 2j / SQRT_PI - 2 * z * y)


def _normal_density(x: Any) -> Any:
    return np.exp(-x * x / 2) / SQRT_2PI


def _log_ndtr_slope(y: Any, x: Any) -> Any:
    """φ(x)/Φ(x); on the left √(2/π)/erfcx(−x/√2), where both are tiny."""
    left = np.real(x) < 0
    tail = math.sqrt(2 / math.pi) / sc.erfcx(-np.where(left, x, 0.0) / SQRT_2)
    right = np.where(left, 0.0, x)
    return np.where(left, tail, _normal_density(right) / sc.ndtr(right))


def _ndtri_exp_slope(x: Any, y: Any) -> Any:
    """Φ(x)/φ(x), the reciprocal of the above, for x = Φ⁻¹(e^y)."""
    return 1 / _log_ndtr_slope(y, x)


def _voigt(y: Any, x: Any, sigma: Any, gamma: Any) -> tuple[Any, Any]:
    """z = (x + iγ)/(σ√2) and w′(z)/(σ√2π), of V = Re w(z)/(σ√2π)."""
    z = (x + 1j * gamma) / (sigma * SQRT_2)
    return z, _wofz_slope(sc.wofz(z), z) / (sigma * SQRT_2PI)


def _voigt_x(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    _, slope = _voigt(y, x, sigma, gamma)
    return np.real(slope) / (sigma * SQRT_2)


def _voigt_gamma(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    _, slope = _voigt(y, x, sigma, gamma)
    return -np.imag(slope) / (sigma * SQRT_2)


def _voigt_sigma(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    z, slope = _voigt(y, x, sigma, gamma)
    return -(y + np.real(slope * z)) / sigma


# fmt: off
row("erf",           [lambda y, z: 2 / SQRT_PI * np.exp(-z * z)],                        REAL)
row("erfc",          [lambda y, z: -2 / SQRT_PI * np.exp(-z * z)],                       REAL)
row("erfcx",         [_erfcx_slope],                                                     REAL)
row("erfi",          [lambda y, z: 2 / SQRT_PI * np.exp(z * z)],                         REAL)
row("erfinv",        [lambda x, y: SQRT_PI / 2 * np.exp(x * x)],                         UNIT)
row("erfcinv",       [lambda x, y: -SQRT_PI / 2 * np.exp(x * x)],                        ((0.1, 1.9),))
row("dawsn",         [_dawsn_slope],                                                     REAL)
row("wofz",          [_wofz_slope],                                                      REAL)
row("voigt_profile", [_voigt_x, _voigt_sigma, _voigt_gamma],                             REAL, POSITIVE, POSITIVE)
row("ndtr",          [lambda y, x: _normal_density(x)],                                  REAL)
row("log_ndtr",      [_log_ndtr_slope],                                                  REAL)
row("ndtri",         [lambda x, p: SQRT_2PI * np.exp(x * x / 2)],                        PROBABILITY)
row("ndtri_exp",     [_ndtri_exp_slope],                                                 ((-3.0, -0.1),))
row("owens_t",       [lambda y, h, a: -np.exp(-h * h / 2) * sc.erf(a * h / SQRT_2) / (2 * SQRT_2PI),
                      lambda y, h, a: np.exp(-h * h * (1 + a * a) / 2) / (2 * np.pi * (1 + a * a))],  REAL, REAL)
# fmt: on
