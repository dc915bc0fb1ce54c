"""Factorisations that are used again: Cholesky, and LU with exchanges of rows."""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
import scipy.linalg as sl

from ...core.dispatch import canonical, primitive
from ...core.domain import A, case, well_conditioned
from ...core.registry import Composite, Passive, Via
from ...ops.linalg.pieces import H, T, cube, from_triangle
from ...sparse.dependence import opaque
from ..rows import computed, mirrors, own
from .equations import columns, triangular
from .pieces import definite, square, well


@mirrors(Composite, arrays=1, domain=[case(definite(3, 3)), case(definite(3, 3), lower=True), case(definite(1, 1))])
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The Cholesky factor of a positive definite matrix, for `cho_solve`.

    Parameters
    ----------
    a : Hermitian positive definite matrix, of which one triangle is read.
    lower : whether the lower triangle is read and written; else the upper one.
    overwrite_a, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    (c, lower): c holds the factor in its triangle; the other one is that of a, as LAPACK leaves it, or zero where SciPy
        makes it so (from 1.18 on).

    Source: scipy.linalg.cho_factor; Murray, "Differentiation of the Cholesky decomposition" (2016).

    >>> from admodes import grad
    >>> grad(lambda a: np.log(np.diagonal(cho_factor(a)[0])).sum())(2 * np.eye(2))  # ½ log det
    array([[0.25, 0.  ],
           [0.  , 0.25]])
    """
    square("scipy.linalg.cho_factor", a)
    a = np.astype(a, computed(a.dtype))
    factor = np.linalg.cholesky(from_triangle(a, "L" if lower else "U"))
    read = np.tri(a.shape[0], dtype=bool)
    other = a if _leaves_the_other_triangle() else np.zeros(a.shape, a.dtype)
    return np.where(read if lower else T(read), factor if lower else H(factor), other), lower


@functools.cache
def _leaves_the_other_triangle() -> bool:
    return bool(sl.cho_factor(np.array([[2.0, 1.0], [1.0, 2.0]]))[0][1, 0])


@mirrors(
    Composite,
    arrays=0,
    domain=[
        case((well(3, 3), False), A(3)), case((well(3, 3), True), A(3, 2)), case((well(1, 1), False), A(1)),
    ],
)  # fmt: skip
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """The solution x of a x = b from the Cholesky factor of a: two triangular solves.

    Parameters
    ----------
    c_and_lower : (c, lower), as `cho_factor` gives them.
    b : right-hand side, a vector (n,) or columns (n, p).
    overwrite_b, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    x, of the shape of b.

    Source: scipy.linalg.cho_solve; Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), A.4.

    >>> from admodes import grad
    >>> y = np.array([1.0, 2.0])
    >>> grad(lambda s: y @ cho_solve(cho_factor(s * np.eye(2)), y))(2.0).round(12)  # −|y|²/s²
    np.float64(-1.25)
    """
    c, lower = c_and_lower
    c, b = canonical(c), canonical(b)
    square("scipy.linalg.cho_solve", c)
    first, second = (c, np.conjugate(c)) if lower else (np.conjugate(c), c)
    z = triangular(first, b, transposed=not lower, lower=lower)
    return triangular(second, z, transposed=lower, lower=lower)


# P A = L U  →  L⁻¹ P dA U⁻¹ = L⁻¹ dL + dU U⁻¹: strictly lower and upper triangular


def _lu(a: Any) -> Any:
    """The factors in one matrix, and the exchanges of rows, as numbers of its dtype."""
    lu, exchanges = sl.lu_factor(a)
    return lu, exchanges.astype(lu.dtype)


def _lu_push(t: Any, y: Any, a: Any) -> Any:
    lu, exchanges = y
    t = np.take(t, order(exchanges), axis=-2)
    left = columns(lambda r: triangular(lu, r, lower=True, unit=True), t, a)
    f = T(columns(lambda r: triangular(lu, r, transposed=True), T(left), a))
    unit = np.tril(lu, -1) + np.eye(a.shape[0], dtype=lu.dtype)
    return unit @ np.tril(f, -1) + np.triu(f) @ np.triu(lu), np.zeros(t.shape[:-1], lu.dtype)


def _order(exchanges: Any) -> Any:
    """The rows of P: what exchanging row i with row exchanges[i], one after the other, makes of 0, 1, 2, …"""
    rows = np.arange(len(exchanges))
    for i, j in enumerate(np.real(exchanges).astype(int)):
        rows[[i, j]] = rows[[j, i]]
    return rows


order: Any = primitive(Passive(_order, name="scipy.linalg.lu-order", arrays=1))
_whole_numbers: Any = primitive(
    Passive(lambda p: np.real(p).astype(np.int32), name="scipy.linalg.lu-exchanges", arrays=1)
)
factors: Any = primitive(
    own(
        Via(
            _lu,
            [_lu_push],
            name="scipy.linalg.lu_factor-1",
            domain=[case(well(3, 3)), case(well(1, 1))],
            flops=lambda y, a: cube(a) * 2 / 3,
        ),
        opaque,
    )
)


@mirrors(
    Composite, arrays=1, domain=[case(well(3, 3)), case(A(3, 3, within=lambda x: np.flip(well_conditioned(x), 0)))]
)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The LU factorisation of a square matrix with exchanges of rows, for `lu_solve`.

    Parameters
    ----------
    a : square matrix.
    overwrite_a, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    (lu, piv): U in the upper triangle, L below it; row i was exchanged with row piv[i].  piv is plain.

    Source: scipy.linalg.lu_factor; Golub and Van Loan, "Matrix Computations" (4th ed., 2013), section 3.4.

    >>> from admodes import grad
    >>> grad(lambda a: lu_factor(a)[0][1, 1])(np.array([[2.0, 1.0], [1.0, 3.0]]))
    array([[ 0.25, -0.5 ],
           [-0.5 ,  1.  ]])
    """
    square("scipy.linalg.lu_factor", a)
    lu, exchanges = factors(a)
    return lu, _whole_numbers(exchanges)


_PIVOTS = np.array([2, 1, 2], dtype=np.int32)


@mirrors(
    Composite,
    arrays=0,
    domain=[
        case((well(3, 3), _PIVOTS), A(3)), case((well(3, 3), _PIVOTS), A(3, 2), 1),
        case((well(3, 3), _PIVOTS), A(3), 2),
    ],
)  # fmt: skip
def lu_solve(
    lu_and_piv: Any, b: Any, trans: Literal[0, 1, 2] = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution x of a x = b from the LU factorisation of a: two triangular solves.

    Parameters
    ----------
    lu_and_piv : (lu, piv), as `lu_factor` gives them.
    b : right-hand side, a vector (n,) or columns (n, p).
    trans : 0 for a x = b, 1 for aᵀ x = b, 2 for aᴴ x = b.
    overwrite_b, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    x, of the shape of b.

    Source: scipy.linalg.lu_solve; Golub and Van Loan, "Matrix Computations" (4th ed., 2013), section 3.4.

    >>> from admodes import grad
    >>> kept = lu_factor(np.array([[2.0, 1.0], [1.0, 3.0]]))
    >>> grad(lambda b: lu_solve(kept, b)[0])(np.ones(2))
    array([ 0.6, -0.2])
    """
    lu, exchanges = lu_and_piv
    lu, b = canonical(lu), canonical(b)
    square("scipy.linalg.lu_solve", lu)
    rows = order(exchanges)
    if trans == 0:
        return triangular(lu, triangular(lu, b[rows], lower=True, unit=True))
    lu = np.conjugate(lu) if trans == 2 else lu
    z = triangular(lu, triangular(lu, b, transposed=True), transposed=True, lower=True, unit=True)
    return z[np.argsort(rows)]
