"""scipy.sparse: sparse matrices whose numbers may be traced, their products, and equations with them.

`A @ x` of a sparse matrix of SciPy's and a traced x needs nothing from here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ...core.dispatch import canonical, highest, primitive
from ...core.domain import A, case
from ...core.registry import OPS, Composite, add
from ...ops.matrices import Stored
from . import linalg
from .linalg import spsolve as spsolve
from .linalg import summed

__all__ = ["csr_array", "linalg"]


class SparseMatrix:
    """A sparse matrix with traced numbers: `A @ x`, `x @ A`, `A.T`, `A.toarray()`, `spsolve(A, b)`."""

    __array_ufunc__ = None

    def __init__(self, data: Any, stored: Stored) -> None:
        self.data, self.stored = data, stored

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.stored.extents

    @property
    def T(self) -> SparseMatrix:
        """The transpose, of the same numbers."""
        return SparseMatrix(self.data, self.stored.T)

    def __matmul__(self, x: Any) -> Any:
        return product(self.data, canonical(x), self.stored)

    def __rmatmul__(self, x: Any) -> Any:
        y = self.T @ np.transpose(canonical(x))
        return np.transpose(y)

    def toarray(self) -> Any:
        """The same as an array."""
        out = np.zeros_like(self.data, shape=self.shape)
        np.add.at(out, self.stored.coordinates, self.data)
        return out


def product(data: Any, x: Any, stored: Stored) -> Any:
    """Σ_j A[i, j] x[j]: the numbers times what their columns meet, summed by rows with a matrix of ones."""
    rows, columns = stored.coordinates
    terms = data * x[columns] if x.ndim == 1 else data[:, None] * x[columns]
    return summed(terms, rows, stored.extents[0], -x.ndim)


def csr_array(arg: Any, shape: tuple[int, int] | None = None) -> Any:
    """A sparse matrix of numbers that may be traced.

    Parameters
    ----------
    arg : (data, indices, indptr), compressed rows, or (data, (row, column)), coordinates, which may repeat.
    shape : rows and columns; the smallest that holds them where it is left out.

    Returns
    -------
    SciPy's csr_array of plain numbers; of traced ones a matrix with `A @ x`, `x @ A`, `A.T`, `A.toarray()`, for
    `admodes.scipy.sparse.linalg.spsolve`.

    Source: scipy.sparse.csr_array; Saad, "Iterative Methods for Sparse Linear Systems" (2nd ed., 2003), 3.4.

    >>> from admodes import grad
    >>> grad(lambda d: (csr_array((d, ([0, 1], [1, 0]))) @ np.array([2.0, 3.0])).sum())(np.ones(2))
    array([3., 2.])
    """
    if highest(arg) is None:
        return sp.csr_array(arg, shape=shape)
    data = canonical(arg[0])
    if len(arg) == 3:
        indices, indptr = (np.asarray(part) for part in arg[1:])
        shape = shape or (indptr.size - 1, int(indices.max(initial=-1)) + 1)
        return SparseMatrix(data, Stored(indices, indptr, shape))
    rows, columns = (np.asarray(part) for part in arg[1])
    shape = shape or (int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1)
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    return SparseMatrix(data[order], Stored(columns[order], starts, shape))


_ROWS, _COLUMNS = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 0, 2])


def _matmul(data: Any, x: Any) -> Any:
    return csr_array((data, (_ROWS, _COLUMNS)), (3, 3)) @ x


OPS[csr_array] = add(
    Composite(_matmul, _matmul, name="scipy.sparse.csr_array", arrays=2, domain=[case(A(5), A(3)), case(A(5), A(3, 2))])
)
primitive(OPS[csr_array])
