"""The gamma family."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc
from scipy.special import _ufuncs

from ...core.domain import POSITIVE, REAL, A, OnlyReal, case
from ...core.registry import UNKNOWN
from .rows import ORDER, PROBABILITY, horner, row

# ψ′ ~ 1/z + 1/(2z²) + Σ_k B₂ₖ/z²ᵏ⁺¹
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def _trigamma(y: Any, z: Any) -> Any:
    """ψ′(x) = ζ(2, x); of a complex argument by recurrence, ψ′(z) = 1/z² + ψ′(z + 1), and reflection."""
    if not np.iscomplexobj(z):
        return _ufuncs._zeta(2.0, z)
    left = np.real(z) < 0.5
    w = np.where(left, 1 - z, z)
    total: Any = 0.0
    for _ in range(14):
        total = total + 1 / (w * w)
        w = w + 1
    q = 1 / (w * w)
    total = total + 1 / w + q / 2 + horner(BERNOULLI, q) * q / w
    return np.where(left, (np.pi / np.sin(np.pi * np.where(left, z, 0.5))) ** 2 - total, total)


def _rgamma_slope(y: Any, z: Any) -> Any:
    """−ψ(z)/Γ(z); for Re z < ½ by reflection, Γ(1−z)(cos πz − ψ(1−z) sin πz/π), which holds at the poles of Γ too."""
    left = np.real(z) < 0.5
    a, b = np.where(left, z, 0.25), np.where(left, 1.0, z)
    mirrored = sc.gamma(1 - a) * (np.cos(np.pi * a) - sc.psi(1 - a) * np.sin(np.pi * a) / np.pi)
    return np.where(left, mirrored, -sc.psi(b) * y)


def gamma_density(a: Any, x: Any) -> Any:
    """x^(a−1) e^(−x)/Γ(a), by which the incomplete gamma functions grow."""
    return np.exp(sc.xlogy(a - 1, x) - x - sc.gammaln(a))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """x^(a−1) (1−x)^(b−1)/B(a, b)."""
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


# fmt: off
row("gamma",         [lambda y, z: y * sc.psi(z)],                                       POSITIVE)
row("gammaln",       [lambda y, x: sc.psi(x)],                                           POSITIVE)
row("loggamma",      [lambda y, z: sc.psi(z)],                                           POSITIVE)
row("rgamma",        [_rgamma_slope],                                                    REAL)
row("psi",           [_trigamma],                                                        POSITIVE)
row("_zeta", [UNKNOWN, lambda y, s, q: -s * _ufuncs._zeta(s + 1, q)],
              OnlyReal([case(2.5, A(3, within=POSITIVE)), case(np.array([[3], [5]]), A(3, within=POSITIVE))]))
row("beta", [lambda y, a, b: y * (sc.psi(a) - sc.psi(a + b)), lambda y, a, b: y * (sc.psi(b) - sc.psi(a + b))],
             POSITIVE, POSITIVE)
row("betaln", [lambda y, a, b: sc.psi(a) - sc.psi(a + b), lambda y, a, b: sc.psi(b) - sc.psi(a + b)], POSITIVE,
               POSITIVE)
row("binom",         [lambda y, n, k: y * (sc.psi(n + 1) - sc.psi(n - k + 1)),
                      lambda y, n, k: y * (sc.psi(n - k + 1) - sc.psi(k + 1))],          ((3.2, 6.0),), ORDER)
row("poch", [lambda y, z, m: y * (sc.psi(z + m) - sc.psi(z)), lambda y, z, m: y * sc.psi(z + m)], POSITIVE, POSITIVE)
row("gammainc",      [UNKNOWN, lambda y, a, x: gamma_density(a, x)],                    POSITIVE, POSITIVE)
row("gammaincc",     [UNKNOWN, lambda y, a, x: -gamma_density(a, x)],                   POSITIVE, POSITIVE)
row("gammaincinv",   [UNKNOWN, lambda x, a, p: 1 / gamma_density(a, x)],                POSITIVE, PROBABILITY)
row("gammainccinv",  [UNKNOWN, lambda x, a, p: -1 / gamma_density(a, x)],               POSITIVE, PROBABILITY)
row("betainc", [UNKNOWN, UNKNOWN, lambda y, a, b, x: beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
row("betaincc", [UNKNOWN, UNKNOWN, lambda y, a, b, x: -beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
row("betaincinv", [UNKNOWN, UNKNOWN, lambda x, a, b, p: 1 / beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
row("betainccinv", [UNKNOWN, UNKNOWN, lambda x, a, b, p: -1 / beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
# fmt: on
