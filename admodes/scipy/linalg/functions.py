"""Functions of matrices: exponential, logarithm, square root."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from ...core.directions import align, spread
from ...core.directions import lead_shape as leading
from ...core.dispatch import primitive
from ...core.domain import A, case
from ...core.registry import Via
from ...ops.linalg.pieces import T, cube
from ...sparse.dependence import stacked
from ..rows import as_argument, as_result, computed, mirrors, one_by_one, own
from .matrix_equations import solve_sylvester
from .pieces import definite, square

# The derivative L of f in direction E stands in f([[A, E], [0, A]]) = [[f(A), L(A, E)], [0, f(A)]] (Higham, "Functions
# of Matrices", 2008, theorem 3.6), and its transpose is L(Aᵀ, U).  By A, L is a corner of the L of the block matrix.


def _beside(a: Any, e: Any) -> Any:
    """[[a, e], [0, a]], for each of the directions e."""
    a = np.broadcast_to(a, e.shape)
    zero = np.zeros_like(a)
    return np.concatenate([np.concatenate([a, e], axis=-1), np.concatenate([zero, a], axis=-1)], axis=-2)


def _corner(x: Any) -> Any:
    n = x.shape[-1] // 2
    return x[..., :n, n:]


class _Derivative(Via):
    """The derivative L(A, E) of a function of matrices, linear in E."""

    def __init__(self, name: str, at: Any, domain: Any, flops: float) -> None:
        super().__init__(
            at,
            [as_result(self._by_matrix), as_result(lambda t, y, a, e: self.of(a, t))],
            [None, as_argument(1, lambda u, y, a, e: self.of(T(a), u))],
            name=name,
            domain=domain,
            flops=lambda y, a, e: flops * cube(e),
        )
        self.of: Any = primitive(own(self, stacked))

    def _by_matrix(self, t: Any, y: Any, a: Any, e: Any) -> Any:
        lead = leading(t, a)
        t = spread(align(t, a.ndim, y.ndim), y.shape, lead)
        e = np.broadcast_to(e, t.shape)
        zero = np.zeros_like(t)
        twice = np.concatenate([np.concatenate([t, zero], axis=-1), np.concatenate([zero, t], axis=-1)], axis=-2)
        return _corner(self.of(_beside(a, e), twice))


def _exponential_derivative(a: Any, e: Any) -> Any:
    dtype = computed(np.result_type(a, e))
    a, e = a.astype(dtype), e.astype(dtype)
    if a.ndim == e.ndim == 2:
        y = sl.expm_frechet(a, e, compute_expm=False)
    else:
        y = _corner(sl.expm(_beside(a, np.broadcast_to(e, np.broadcast_shapes(a.shape, e.shape)))))
    return y.astype(dtype, copy=False)


_EXPM = _Derivative(
    "scipy.linalg.expm_frechet",
    _exponential_derivative,
    [case(A(3, 3), A(3, 3)), case(A(2, 2), A(2, 2, 2)), case(A(2, 2, 2), A(2, 2, 2))],
    60.0,
)


@mirrors(
    Via,
    [as_result(lambda t, y, a: _EXPM.of(a, t))],
    [as_argument(0, lambda u, y, a: _EXPM.of(T(a), u))],
    domain=[case(A(3, 3)), case(A(2, 2, 2)), case(A(1, 1))],
    flops=lambda y, a: 20 * cube(a),
    pattern=stacked,
)
def expm(A: Any) -> Any:
    """The exponential of a matrix, Σ Aᵏ/k!; its derivative by the algorithm of Al-Mohy and Higham.

    Parameters
    ----------
    A : square matrix, or a stack of them.

    Returns
    -------
    e^A, of the shape of A.

    Source: scipy.linalg.expm and expm_frechet; Al-Mohy and Higham, "Computing the Fréchet derivative of the matrix
    exponential", SIAM J. Matrix Anal. Appl. 30 (2009), algorithm 6.4.

    >>> from admodes import grad
    >>> grad(lambda w: expm(w * np.array([[0.0, -1.0], [1.0, 0.0]]))[1, 0])(0.0)  # sin w
    np.float64(1.0)
    """
    return sl.expm(A)


def _no_wider(name: str, a: Any, y: Any) -> Any:
    """An error where the result is complex of a real matrix: what is traced, or compiled, cannot change its dtype."""
    if y.dtype.kind == "c" and np.result_type(a).kind != "c":
        raise ValueError(
            f"scipy.linalg.{name}: a traced real matrix with eigenvalues on the negative real axis has a complex "
            f"result. Give a complex matrix: {name}(A.astype(complex))."
        )
    return y


def _log(a: Any) -> Any:
    return one_by_one(sl.logm, a)


def _logarithm_derivative(a: Any, e: Any) -> Any:
    """In double precision, of which SciPy's algorithm loses half."""
    block = _beside(a, np.broadcast_to(e, np.broadcast_shapes(a.shape, e.shape)))
    y = _no_wider("logm", block, _corner(_log(block.astype(np.result_type(block, float)))))
    return y.astype(block.dtype, copy=False)


_LOGM = _Derivative(
    "scipy.linalg.logm-derivative",
    _logarithm_derivative,
    [case(definite(3, 3), A(3, 3)), case(definite(2, 2), A(2, 2, 2))],
    200.0,
)


@mirrors(
    Via,
    [as_result(lambda t, y, a: _LOGM.of(a, t))],
    [as_argument(0, lambda u, y, a: _LOGM.of(T(a), u))],
    domain=[case(definite(3, 3)), case(definite(1, 1))],
    flops=lambda y, a: 60 * cube(a),
    pattern=stacked,
)
def logm(A: Any) -> Any:
    """The logarithm of a matrix: the principal solution Y of e^Y = A.

    Parameters
    ----------
    A : square matrix without eigenvalues on the negative real axis.

    Returns
    -------
    log A, of the shape of A.

    Raises
    ------
    ValueError : a traced real matrix whose logarithm is complex.

    Source: scipy.linalg.logm; Al-Mohy, Higham and Relton, "Computing the Fréchet derivative of the matrix logarithm
    and estimating the condition number", SIAM J. Sci. Comput. 35 (2013).

    >>> from admodes import grad
    >>> grad(lambda s: logm(s * np.eye(2))[0, 0])(2.0).round(6)
    np.float64(0.5)
    """
    return _no_wider("logm", A, sl.logm(A))


# Y² = A  →  Y dY + dY Y = dA


@mirrors(
    Via,
    [as_result(lambda t, y, a: solve_sylvester(y, y, t))],
    [as_argument(0, lambda u, y, a: solve_sylvester(T(y), T(y), u))],
    domain=[case(definite(3, 3)), case(definite(1, 1))],
    flops=lambda y, a: 28 * cube(a),
)
def sqrtm(A: Any) -> Any:
    """The square root of a matrix: the principal solution Y of Y Y = A.

    Parameters
    ----------
    A : square matrix without eigenvalues on the negative real axis.

    Returns
    -------
    Y, of the shape of A.

    Raises
    ------
    ValueError : a traced real matrix whose root is complex.

    Source: scipy.linalg.sqrtm; Higham, "Functions of Matrices" (2008), section 6.1.

    >>> from admodes import grad
    >>> grad(lambda s: sqrtm(s * np.eye(2))[0, 0])(4.0)
    np.float64(0.25)
    """
    square("scipy.linalg.sqrtm", A)
    return _no_wider("sqrtm", A, sl.sqrtm(A))
