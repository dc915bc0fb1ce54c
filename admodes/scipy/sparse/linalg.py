"""scipy.sparse.linalg: linear equations with a sparse matrix, by its LU factorisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ...core.dispatch import canonical, highest, primitive
from ...core.domain import A, case
from ...core.registry import OPS, Via
from ...ops.linalg.pieces import T
from ...ops.matrices import Stored, along
from ..rows import as_argument, as_result, computed, own

__all__ = ["spsolve"]

# M y = b  →  dy = M⁻¹ (db − dM y);  b̄ = M⁻ᵀ ȳ,  M̄_ij = −b̄_i y_j for the stored numbers


def _solve(b: Any, data: Any, stored: Stored) -> Any:
    """By SuperLU; the vectors or columns b, or K of these, share a factorisation."""
    kind = sp.csc_array if stored.transposed else sp.csr_array
    matrix = kind((data, stored.indices, stored.indptr), shape=stored.extents).tocsc()
    dtype = computed(np.result_type(data, b))
    return spl.splu(matrix.astype(dtype)).solve(b.astype(dtype))


def _columns(b: Any, ndim: int, data: Any, stored: Stored) -> Any:
    """The solution for directions of b."""
    if b.ndim == ndim:
        return solution(b, data, stored)
    if ndim == 1:
        return T(solution(T(b), data, stored))
    k, n, p = b.shape
    y = solution(np.reshape(np.moveaxis(b, 0, -1), (n, p * k)), data, stored)
    return np.moveaxis(np.reshape(y, (n, p, k)), -1, 0)


def _changed(t: Any, y: Any, stored: Stored) -> Any:
    """Ṁ y for directions t of the stored numbers."""
    rows, columns = stored.coordinates
    terms = t * y[columns] if y.ndim == 1 else t[..., None] * y[columns]
    return summed(terms, rows, stored.extents[0], -y.ndim)


def summed(terms: Any, rows: Any, n: int, axis: int) -> Any:
    """The terms along an axis, each added to its row."""
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return along(terms, np.ones(rows.size, terms.dtype), Stored(order, starts, (n, rows.size)), axis)


def _pull_numbers(u: Any, y: Any, b: Any, data: Any, stored: Stored) -> Any:
    g = _columns(u, y.ndim, data, stored.T)
    rows, columns = stored.coordinates
    if y.ndim == 1:
        return -(g[..., rows] * y[columns])
    return -np.sum(g[..., rows, :] * y[columns], axis=-1)


_N = A(5, within=lambda x: x / 6 + np.array([2.0, 0.0, 2.0, 0.0, 2.0]))
_M = Stored(np.array([0, 2, 1, 0, 2], np.int32), np.array([0, 2, 3, 5], np.int32), (3, 3))
_ROW = own(
    Via(
        _solve,
        [
            as_result(lambda t, y, b, data, stored: _columns(t, y.ndim, data, stored)),
            as_result(lambda t, y, b, data, stored: -_columns(_changed(t, y, stored), y.ndim, data, stored)),
        ],
        [
            as_argument(0, lambda u, y, b, data, stored: _columns(u, y.ndim, data, stored.T)),
            as_argument(1, _pull_numbers),
        ],
        name="scipy.sparse.linalg.spsolve",
        domain=[case(A(3), _N, _M), case(A(3, 2), _N, _M.T)],
        flops=lambda y, b, data, stored: 10.0 * np.size(data) + 4.0 * np.size(data) * np.size(y) / np.shape(y)[0],
    )
)
solution: Any = primitive(_ROW)


def spsolve(A: Any, b: Any, permc_spec: str | None = None, use_umfpack: bool = True) -> Any:
    """The solution x of A x = b for a sparse matrix A.

    Parameters
    ----------
    A : square sparse matrix of SciPy's, or of traced numbers (`admodes.scipy.sparse.csr_array`).
    b : right-hand side, a vector (n,) or columns (n, p), dense.
    permc_spec, use_umfpack : as in SciPy; without effect on traced values, which SuperLU solves for.

    Returns
    -------
    x, of the shape of b.

    Raises
    ------
    TypeError : traced values and a matrix that is not sparse.

    Source: scipy.sparse.linalg.spsolve; Li, "An Overview of SuperLU", ACM Trans. Math. Softw. 31 (2005).

    >>> from admodes import grad
    >>> A = sp.csc_array([[2.0, 0.0], [1.0, 4.0]])
    >>> grad(lambda b: spsolve(A, b)[1])(np.ones(2))
    array([-0.125,  0.25 ])
    """
    if sp.issparse(A):
        if highest(b) is None:
            return spl.spsolve(A, b, permc_spec, use_umfpack)
        rows = A.tocsr()
        data, stored = rows.data, Stored(rows.indices, rows.indptr, rows.shape)
    elif hasattr(A, "stored"):
        data, stored = A.data, A.stored
    else:
        raise TypeError(f"scipy.sparse.linalg.spsolve: A is a {type(A).__name__}, no sparse matrix; np.linalg.solve?")
    return solution(canonical(b), data, stored)


OPS[spsolve] = _ROW
