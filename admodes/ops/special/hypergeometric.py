"""Hypergeometric functions and orthogonal polynomials: the derivative is of the same family."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import POSITIVE, REAL, SMALL_INTEGERS, UNIT
from ...core.registry import UNKNOWN
from .rows import row

# ---------------------------------------------------------------------------------------------------
# Hypergeometric functions: the derivative raises every parameter by one
# ---------------------------------------------------------------------------------------------------

# fmt: off
row("hyp0f1",        [UNKNOWN, lambda y, v, z: sc.hyp0f1(v + 1, z) / v],                 POSITIVE, REAL)
row("hyp1f1", [UNKNOWN, UNKNOWN, lambda y, a, b, z: a / b * sc.hyp1f1(a + 1, b + 1, z)], POSITIVE, POSITIVE, REAL)
row("hyp2f1", [UNKNOWN, UNKNOWN, UNKNOWN, lambda y, a, b, c, z: a * b / c * sc.hyp2f1(a + 1, b + 1, c + 1, z)],
               POSITIVE, POSITIVE, POSITIVE, ((-0.8, 0.8),))
row("hyperu", [UNKNOWN, UNKNOWN, lambda y, a, b, x: -a * sc.hyperu(a + 1, b + 1, x)], POSITIVE, POSITIVE, POSITIVE)
row("wright_bessel", [UNKNOWN, UNKNOWN, lambda y, a, b, x: sc.wright_bessel(a, b + a, x)], POSITIVE, POSITIVE, POSITIVE)
row("log_wright_bessel", [UNKNOWN, UNKNOWN, lambda y, a, b, x: np.exp(sc.log_wright_bessel(a, b + a, x) - y)],
                      POSITIVE, POSITIVE, POSITIVE)
# fmt: on

# ---------------------------------------------------------------------------------------------------
# Orthogonal polynomials: the derivative is of the family with a higher weight, one degree lower
# ---------------------------------------------------------------------------------------------------


def _degree(n: Any) -> Any:
    """n − 1, but 0 for n = 0, where a factor n stands before it."""
    return np.where(np.equal(n, 0), 0, n - 1)


def _gegenbauer(n: Any, alpha: Any, x: Any) -> Any:
    """C^(α)_(n−1)(x), which is 0 for n = 0."""
    return np.where(np.equal(n, 0), 0.0, sc.eval_gegenbauer(_degree(n), alpha, x))


def _jacobi(y: Any, n: Any, a: Any, b: Any, x: Any) -> Any:
    return np.where(np.equal(n, 0), 0.0, (n + a + b + 1) / 2 * sc.eval_jacobi(_degree(n), a + 1.0, b + 1.0, x))


def _laguerre(n: Any, alpha: Any, x: Any) -> Any:
    return -np.where(np.equal(n, 0), 0.0, sc.eval_genlaguerre(_degree(n), alpha + 1.0, x))


def _lpmv(y: Any, m: Any, v: Any, x: Any) -> Any:
    """(1 − x²) P′ = (v + 1) x P_v − (v − m + 1) P_(v+1), DLMF 14.10.5."""
    return ((v + 1) * x * y - (v - m + 1) * sc.lpmv(m, v + 1, x)) / (1 - x * x)


# fmt: off
row("eval_chebyt",      [UNKNOWN, lambda y, n, x: n * sc.eval_chebyu(_degree(n), x)],            SMALL_INTEGERS, REAL)
row("eval_chebyu",      [UNKNOWN, lambda y, n, x: 2 * _gegenbauer(n, 2.0, x)],                   SMALL_INTEGERS, REAL)
row("eval_chebyc",      [UNKNOWN, lambda y, n, x: n * sc.eval_chebys(_degree(n), x)],            SMALL_INTEGERS, REAL)
row("eval_chebys",      [UNKNOWN, lambda y, n, x: _gegenbauer(n, 2.0, x / 2)],                   SMALL_INTEGERS, REAL)
row("eval_sh_chebyt",   [UNKNOWN, lambda y, n, x: 2 * n * sc.eval_sh_chebyu(_degree(n), x)],     SMALL_INTEGERS, REAL)
row("eval_sh_chebyu",   [UNKNOWN, lambda y, n, x: 4 * _gegenbauer(n, 2.0, 2 * x - 1)],           SMALL_INTEGERS, REAL)
row("eval_legendre",    [UNKNOWN, lambda y, n, x: _gegenbauer(n, 1.5, x)],                       SMALL_INTEGERS, REAL)
row("eval_sh_legendre", [UNKNOWN, lambda y, n, x: 2 * _gegenbauer(n, 1.5, 2 * x - 1)],           SMALL_INTEGERS, REAL)
row("eval_gegenbauer", [UNKNOWN, UNKNOWN, lambda y, n, a, x: 2 * a * _gegenbauer(n, a + 1.0, x)], SMALL_INTEGERS,
                      POSITIVE, REAL)
row("eval_jacobi", [UNKNOWN, UNKNOWN, UNKNOWN, _jacobi], SMALL_INTEGERS, POSITIVE, POSITIVE, REAL)
row("eval_sh_jacobi", [UNKNOWN, UNKNOWN, UNKNOWN,
                      lambda y, n, p, q, x: n * sc.eval_sh_jacobi(_degree(n), p + 2.0, q + 1.0, x)],
                      SMALL_INTEGERS, ((3.0, 4.0),), ((1.0, 2.0),), REAL)
row("eval_laguerre",    [UNKNOWN, lambda y, n, x: _laguerre(n, 0.0, x)],                         SMALL_INTEGERS, REAL)
row("eval_genlaguerre", [UNKNOWN, UNKNOWN, lambda y, n, a, x: _laguerre(n, a, x)], SMALL_INTEGERS, POSITIVE, REAL)
row("eval_hermite",     [UNKNOWN, lambda y, n, x: 2 * n * sc.eval_hermite(_degree(n), x)],       SMALL_INTEGERS, REAL)
row("eval_hermitenorm", [UNKNOWN, lambda y, n, x: n * sc.eval_hermitenorm(_degree(n), x)],       SMALL_INTEGERS, REAL)
row("lpmv", [UNKNOWN, UNKNOWN, _lpmv], (0, 1), SMALL_INTEGERS, UNIT)
# fmt: on
