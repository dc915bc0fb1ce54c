"""Equations whose unknown is a matrix: Sylvester's and Lyapunov's."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.linalg as sl

from ...core.directions import align, gather
from ...core.domain import A, case
from ...core.registry import Via
from ...ops.linalg.pieces import H, T, cube
from ..rows import as_argument, as_result, common, mirrors, one_by_one
from .pieces import well

# A X + X B = Q  →  A dX + dX B = dQ − dA X − X dB;  Q̄ solves the same with Aᵀ and Bᵀ


def _sylvester(a: Any, b: Any, q: Any) -> Any:
    """SciPy's; of a stack of right-hand sides the Schur forms serve all.  (SciPy's is wrong of real beside complex.)"""
    if np.ndim(q) == 2:
        a, b, q = common(a, b, q)
        return sl.solve_sylvester(a, b, q)
    kind = "complex" if np.result_type(a, b, q).kind == "c" else "real"
    (r, u), (s, v) = sl.schur(a, output=kind), sl.schur(np.conj(T(b)), output=kind)
    (trsyl,) = sl.get_lapack_funcs(("trsyl",), (r, s, q))
    f = np.conj(T(u)) @ q @ v
    turned = "C" if kind == "complex" else "T"

    def one(f: Any) -> Any:
        y, scale, _ = trsyl(r, s, f, tranb=turned)
        return y / scale

    return u @ one_by_one(one, f) @ np.conj(T(v))


def _sylvester_push_left(t: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return -solve_sylvester(a, b, align(t, 2, y.ndim) @ y)


def _sylvester_push_right(t: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return -solve_sylvester(a, b, y @ align(t, 2, y.ndim))


def _sylvester_pull_left(u: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return gather(-(solve_sylvester(T(a), T(b), u) @ T(y)), a.shape, u.ndim - y.ndim)


def _sylvester_pull_right(u: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return gather(-(T(y) @ solve_sylvester(T(a), T(b), u)), b.shape, u.ndim - y.ndim)


@mirrors(
    Via,
    [
        as_result(_sylvester_push_left),
        as_result(_sylvester_push_right),
        as_result(lambda t, y, a, b, q: solve_sylvester(a, b, t)),
    ],
    [
        as_argument(0, _sylvester_pull_left),
        as_argument(1, _sylvester_pull_right),
        as_argument(2, lambda u, y, a, b, q: solve_sylvester(T(a), T(b), u)),
    ],
    arrays=3,
    domain=[
        case(well(3, 3), well(2, 2), A(3, 2)), case(well(1, 1), well(2, 2), A(1, 2)),
        case(well(2, 2), well(2, 2), A(2, 1, 2, 2)),
    ],
    corrected=True,
    flops=lambda y, a, b, q: 25 * (cube(a) + cube(b)) + 5 * np.size(q) * (np.shape(a)[0] + np.shape(b)[0]),
)  # fmt: skip
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution X of a X + X b = q.

    Parameters
    ----------
    a : square matrix (m, m).
    b : square matrix (n, n); no eigenvalue of a is minus one of b.
    q : right-hand side (m, n), or a stack of them.

    Returns
    -------
    X, of the shape of q.  (SciPy's own is wrong where a is real with complex eigenvalues and b or q complex; here all
    are taken for complex then.)

    Source: scipy.linalg.solve_sylvester; Bartels and Stewart, "Solution of the matrix equation AX + XB = C",
    Communications of the ACM 15 (1972), algorithm 432.

    >>> from admodes import grad
    >>> grad(lambda q: solve_sylvester(np.eye(2), 3 * np.eye(2), q).sum())(np.ones((2, 2)))
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return _sylvester(a, b, q)


# A X Aᴴ − X + Q = 0  →  A dX Aᴴ − dX + (dQ + dA X Aᴴ + A X dAᴴ) = 0;  Q̄ solves Aᵀ Q̄ Ā − Q̄ + X̄ = 0


def _lyapunov_push(t: Any, y: Any, a: Any, q: Any, method: Any = None) -> Any:
    t = align(t, 2, y.ndim)
    return solve_discrete_lyapunov(a, t @ y @ H(a) + a @ y @ H(t), method)


@mirrors(
    Via,
    [as_result(_lyapunov_push), as_result(lambda t, y, a, q, method=None: solve_discrete_lyapunov(a, t, method))],
    [None, as_argument(1, lambda u, y, a, q, method=None: solve_discrete_lyapunov(T(a), u, method))],
    arrays=2,
    domain=[
        case(A(3, 3, within=lambda x: x / 8), A(3, 3)),
        case(A(2, 2, within=lambda x: x / 6), A(2, 2, 2), method="bilinear"),
    ],
    corrected=True,
    flops=lambda y, a, q, method=None: 2 / 3 * float(np.size(a)) ** 3 if np.shape(a)[0] < 10 else 60 * cube(a),
)
def solve_discrete_lyapunov(a: Any, q: Any, method: Literal[None, "direct", "bilinear"] = None) -> Any:
    """The solution X of a X aᴴ − X + q = 0: the steady state of a covariance that a carries and q feeds.

    Parameters
    ----------
    a : square matrix (n, n), with no two eigenvalues λ μ̄ = 1.
    q : matrix (n, n), or a stack of them.
    method : "direct", as one linear system of n² unknowns, "bilinear", as a continuous equation, or None, the first
        for n < 10.

    Returns
    -------
    X, of the shape of q.

    Source: scipy.linalg.solve_discrete_lyapunov; Gajić and Qureshi, "Lyapunov Matrix Equation in System Stability and
    Control" (1995), chapter 3.

    >>> from admodes import grad
    >>> grad(lambda r: solve_discrete_lyapunov(r * np.eye(1), np.eye(1))[0, 0])(0.5).round(4)  # 1/(1 − r²)
    np.float64(1.7778)
    """
    a, q = common(a, q)
    return one_by_one(lambda q: sl.solve_discrete_lyapunov(a, q, method=method), q)
