"""Distribution functions: the derivative in x is the density, that of a quantile its reciprocal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import POSITIVE, REAL, SMALL_INTEGERS, UNIT
from ...core.registry import UNKNOWN
from .gamma import beta_density, gamma_density
from .rows import LN2, PROBABILITY, SQRT_2, SQRT_2PI, row


def _binomial(k: Any, n: Any, p: Any) -> Any:
    """−∂/∂p of P(X ≤ k) = I_(1−p)(n − k, k + 1); for k = n the probability is 1."""
    k = np.floor(k)
    certain = np.equal(k, n)
    return np.where(certain, 0.0, beta_density(k + 1, np.where(certain, 1, n - k), p))


def _f_density(n: Any, d: Any, x: Any) -> Any:
    """I_w(n/2, d/2) with w = nx/(d + nx), dw/dx = nd/(d + nx)²."""
    s = d + n * x
    return beta_density(n / 2, d / 2, n * x / s) * n * d / (s * s)


def _t_density(df: Any, t: Any) -> Any:
    return np.exp(-(df + 1) / 2 * np.log1p(t * t / df) - sc.betaln(0.5, df / 2)) / np.sqrt(df)


def _chi2_density(x: Any, df: Any, nc: Any) -> Any:
    """Noncentral χ²: ½ e^(−nc/2) · density of χ²(df) · ₀F₁(df/2; nc·x/4)."""
    return np.exp(-nc / 2) * gamma_density(df / 2, x / 2) * sc.hyp0f1(df / 2, nc * x / 4) / 2


def _chi2_nc(y: Any, x: Any, df: Any, nc: Any) -> Any:
    """A Poisson mixture: ∂/∂nc = ½ (the same with df + 2, less itself)."""
    return (sc.chndtr(x, df + 2, nc) - y) / 2


def _ncf_density(n: Any, d: Any, nc: Any, x: Any) -> Any:
    """Noncentral F: e^(−nc/2) · density of F(n, d) · ₁F₁((n + d)/2; n/2; nc·nx/(2(d + nx)))."""
    return np.exp(-nc / 2) * _f_density(n, d, x) * sc.hyp1f1((n + d) / 2, n / 2, nc * n * x / (2 * (d + n * x)))


def _ncf_nc(y: Any, n: Any, d: Any, nc: Any, x: Any) -> Any:
    """½ (the same with n + 2 at the same w, less itself)."""
    return (sc.ncfdtr(n + 2, d, nc, n * x / (n + 2)) - y) / 2


def _nct_density(df: Any, nc: Any, t: Any) -> Any:
    """Noncentral t, Johnson, Kotz & Balakrishnan (31.15), by two ₁F₁ of z = nc² t²/(2(df + t²))."""
    s = df + t * t
    z = nc * nc * t * t / (2 * s)
    scale = np.exp(df / 2 * np.log(df / s) + sc.gammaln(df + 1) - nc * nc / 2 - df * LN2 - sc.gammaln(df / 2))
    odd = SQRT_2 * nc * t * sc.hyp1f1(df / 2 + 1, 1.5, z) / (s * sc.gamma((df + 1) / 2))
    return scale * (odd + sc.hyp1f1((df + 1) / 2, 0.5, z) / (np.sqrt(s) * sc.gamma(df / 2 + 1)))


def _kolmogorov_slope(x: Any) -> Any:
    """K′ of K(x) = 2 Σ (−1)^(k−1) e^(−2k²x²), and for small x of 1 − (√2π/x) Σ e^(−(2k−1)²π²/8x²)."""
    least, small = x < 0.02, x < 0.8  # below 0.02, and for x < 0, K is 0 in double precision
    a, b = np.where(small & ~least, x, 0.5), np.where(small, 1.0, x)
    c = [(2 * k - 1) ** 2 * np.pi**2 / 8 for k in range(1, 5)]
    left = sum(np.exp(-ck / (a * a)) * (1 / (a * a) - 2 * ck / a**4) for ck in c) * SQRT_2PI
    right = sum((-1) ** k * 8 * k * k * b * np.exp(-2 * k * k * b * b) for k in range(1, 8))
    return np.where(least, 0.0, np.where(small, left, right))


def _normal_slope(z: Any) -> Any:
    """dΦ⁻¹/dp at p = Φ(z)."""
    return SQRT_2PI * np.exp(z * z / 2)


# fmt: off
COUNTS = (3, 4)
row("bdtr",      [UNKNOWN, UNKNOWN, lambda y, k, n, p: -_binomial(k, n, p)],             (1, 2), COUNTS, PROBABILITY)
row("bdtrc",     [UNKNOWN, UNKNOWN, lambda y, k, n, p: _binomial(k, n, p)],              (1, 2), COUNTS, PROBABILITY)
row("bdtri",     [UNKNOWN, UNKNOWN, lambda p, k, n, y: -1 / _binomial(k, n, p)],         (1, 2), COUNTS, PROBABILITY)
row("nbdtr",     [UNKNOWN, UNKNOWN, lambda y, k, n, p: beta_density(n, k + 1, p)],      (1, 2), COUNTS, PROBABILITY)
row("nbdtrc",    [UNKNOWN, UNKNOWN, lambda y, k, n, p: -beta_density(n, k + 1, p)],     (1, 2), COUNTS, PROBABILITY)
row("nbdtri",    [UNKNOWN, UNKNOWN, lambda p, k, n, y: 1 / beta_density(n, k + 1, p)],  (1, 2), COUNTS, PROBABILITY)
row("pdtr",      [UNKNOWN, lambda y, k, m: -gamma_density(np.floor(k) + 1, m)],         SMALL_INTEGERS, POSITIVE)
row("pdtrc",     [UNKNOWN, lambda y, k, m: gamma_density(np.floor(k) + 1, m)],          SMALL_INTEGERS, POSITIVE)
row("pdtri",     [UNKNOWN, lambda m, k, y: -1 / gamma_density(np.floor(k) + 1, m)],     SMALL_INTEGERS, PROBABILITY)
row("chdtr",     [UNKNOWN, lambda y, v, x: gamma_density(v / 2, x / 2) / 2],            POSITIVE, POSITIVE)
row("chdtrc",    [UNKNOWN, lambda y, v, x: -gamma_density(v / 2, x / 2) / 2],           POSITIVE, POSITIVE)
row("chdtri",    [UNKNOWN, lambda x, v, p: -2 / gamma_density(v / 2, x / 2)],           POSITIVE, PROBABILITY)
row("gdtr", [lambda y, a, b, x: x * gamma_density(b, a * x), UNKNOWN,
             lambda y, a, b, x: a * gamma_density(b, a * x)], POSITIVE, POSITIVE, POSITIVE)
row("gdtrc", [lambda y, a, b, x: -x * gamma_density(b, a * x), UNKNOWN,
              lambda y, a, b, x: -a * gamma_density(b, a * x)], POSITIVE, POSITIVE, POSITIVE)
row("gdtrix", [lambda x, a, b, p: -x / a, UNKNOWN, lambda x, a, b, p: 1 / (a * gamma_density(b, a * x))], POSITIVE,
               POSITIVE, PROBABILITY)
row("gdtria", [lambda a, p, b, x: 1 / (x * gamma_density(b, a * x)), UNKNOWN, lambda a, p, b, x: -a / x], PROBABILITY,
               POSITIVE, POSITIVE)
row("fdtr",      [UNKNOWN, UNKNOWN, lambda y, n, d, x: _f_density(n, d, x)],             POSITIVE, POSITIVE, POSITIVE)
row("fdtrc",     [UNKNOWN, UNKNOWN, lambda y, n, d, x: -_f_density(n, d, x)],            POSITIVE, POSITIVE, POSITIVE)
row("fdtri", [UNKNOWN, UNKNOWN, lambda x, n, d, p: 1 / _f_density(n, d, x)], POSITIVE, POSITIVE, PROBABILITY)
row("stdtr",     [UNKNOWN, lambda y, df, t: _t_density(df, t)],                          POSITIVE, REAL)
row("stdtrit",   [UNKNOWN, lambda t, df, p: 1 / _t_density(df, t)],                      ((1.0, 3.0),), PROBABILITY)
row("chndtr",    [lambda y, x, df, nc: _chi2_density(x, df, nc), UNKNOWN, _chi2_nc],     POSITIVE, POSITIVE, POSITIVE)
row("chndtrix",  [lambda x, p, df, nc: 1 / _chi2_density(x, df, nc), UNKNOWN,
                  lambda x, p, df, nc: -_chi2_nc(p, x, df, nc) / _chi2_density(x, df,
                      nc)], PROBABILITY, POSITIVE, POSITIVE)
row("chndtrinc", [lambda nc, x, df, p: -_chi2_density(x, df, nc) / _chi2_nc(p, x, df, nc), UNKNOWN,
                  lambda nc, x, df, p: 1 / _chi2_nc(p, x, df, nc)], ((4.0, 6.0),), ((1.0, 2.0),), ((0.2, 0.5),))
row("ncfdtr",    [UNKNOWN, UNKNOWN, _ncf_nc, lambda y, n, d, nc, x: _ncf_density(n, d, nc, x)],  *(POSITIVE,) * 4)
row("ncfdtri",   [UNKNOWN, UNKNOWN, lambda x, n, d, nc, p: -_ncf_nc(p, n, d, nc, x) / _ncf_density(n, d, nc, x),
                  lambda x, n, d, nc, p: 1 / _ncf_density(n, d, nc, x)], ((1.0, 3.0),), ((1.0,
                      3.0),), POSITIVE, PROBABILITY)
row("ncfdtrinc", [UNKNOWN, UNKNOWN, lambda nc, n, d, p, x: 1 / _ncf_nc(p, n, d, nc, x),
                  lambda nc, n, d, p, x: -_ncf_density(n, d, nc, x) / _ncf_nc(p, n, d, nc, x)], ((2.0, 3.0),), ((2.0,
                      3.0),), ((0.2, 0.4),), ((3.0, 4.0),), apart=True)
row("nctdtr",    [UNKNOWN, UNKNOWN, lambda y, df, nc, t: _nct_density(df, nc, t)],       POSITIVE, REAL, REAL)
row("nctdtrit", [UNKNOWN, UNKNOWN, lambda t, df, nc, p: 1 / _nct_density(df, nc, t)], ((1.0, 3.0),), UNIT, PROBABILITY)
row("nrdtrimn", [lambda y, p, sd, x: -sd * _normal_slope((x - y) / sd), lambda y, p, sd, x: (y - x) / sd, 1],
                 PROBABILITY, POSITIVE, REAL)
row("nrdtrisd",  [lambda y, m, p, x: -y / (x - m), lambda y, m, p, x: -y * y / (x - m) * _normal_slope((x - m) / y),
                  lambda y, m, p, x: y / (x - m)], ((-2.0, -1.0),), ((0.6, 0.9),), ((1.0, 2.0),))
row("kolmogorov", [lambda y, x: _kolmogorov_slope(x)],                                    ((0.5, 1.5),))
row("kolmogi",   [lambda x, p: 1 / _kolmogorov_slope(x)],                                 PROBABILITY)
# fmt: on
