"""Products with matrices that are no arrays: SciPy's sparse matrices and LinearOperators.

A sparse matrix leaves A @ x to x where np.asanyarray(x) is a single object (see `Tracer.__array__`); the push of
the product is the product, its pull that with the transpose.  The stored numbers of a sparse matrix are an argument of
the operation like any array, so that overwriting them later is noticed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.dispatch import primitive
from ..core.domain import A, case
from ..core.operators import PARTNERS
from ..core.registry import OPS, Linear, add
from ..core.tracing import Tracer


@dataclass(frozen=True, eq=False)
class Stored:
    """A sparse matrix without its numbers: rows in compressed form, to be read as they are or transposed."""

    indices: Any
    indptr: Any
    shape: tuple[int, int]
    transposed: bool = False

    @property
    def T(self) -> Stored:
        return Stored(self.indices, self.indptr, self.shape, not self.transposed)

    @property
    def extents(self) -> tuple[int, int]:
        """Rows and columns as read."""
        return self.shape[::-1] if self.transposed else self.shape

    @property
    def coordinates(self) -> tuple[Any, Any]:
        """Row and column, as read, of every number."""
        lines = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        return (self.indices, lines) if self.transposed else (lines, self.indices)

    def times(self, numbers: Any, x: Any) -> Any:
        from scipy.sparse import csc_array, csr_array

        kind = csc_array if self.transposed else csr_array
        return kind((numbers, self.indices, self.indptr), shape=self.extents) @ x


@dataclass(frozen=True, eq=False)
class Applied:
    """A LinearOperator, which is known by what it does; it has no numbers of its own."""

    operator: Any

    @property
    def T(self) -> Applied:
        return Applied(self.operator.T)

    @property
    def extents(self) -> tuple[int, int]:
        rows, columns = self.operator.shape
        return rows, columns

    def times(self, _: None, x: Any) -> Any:
        return self.operator @ x


def _along(x: Any, numbers: Any, matrix: Any, axis: int) -> Any:
    """The matrix times x along one axis, counted from the end: Σ_j A[i, j] x[…, j, …]."""
    if axis == -x.ndim and x.ndim < 3:
        return matrix.times(numbers, x)
    moved = np.moveaxis(x, axis, 0)
    y = matrix.times(numbers, np.reshape(moved, (moved.shape[0], -1)))
    return np.moveaxis(np.reshape(y, (y.shape[0], *moved.shape[1:])), 0, axis)


def _flops(y: Any, x: Any, numbers: Any, matrix: Any, axis: int) -> float:
    rows, columns = matrix.extents
    return 2.0 * (rows * columns if numbers is None else np.size(numbers)) * np.size(x) / max(columns, 1)


# [[1, 0, 2], [0, 0, 3]] and its transpose.
_M = Stored(np.array([0, 2, 2], dtype=np.int32), np.array([0, 2, 3], dtype=np.int32), (2, 3))
_N = np.array([1.0, 2.0, 3.0])
_CASES = [case(A(3), _N, _M, -1), case(A(2, 2), _N, _M.T, -2), case(A(4, 3), _N, _M, -1)]
ALONG = add(
    Linear(
        _along,
        lambda t, x, numbers, matrix, axis: along(t, numbers, matrix, axis),
        lambda u, x, numbers, matrix, axis: along(u, numbers, matrix.T, axis),
        name="sparse_matmul",
        arrays=2,
        flops=_flops,
        domain=_CASES,
    )
)
along: Callable[..., Any] = primitive(ALONG)


def _linear(a: Any) -> tuple[Any, Any] | None:
    """The numbers and the rest of a sparse matrix or a LinearOperator; None for anything else."""
    sparse, interface = sys.modules.get("scipy.sparse"), sys.modules.get("scipy.sparse.linalg")
    if sparse is not None and sparse.issparse(a) and a.ndim == 2:
        rows = a.tocsr()
        return rows.data, Stored(rows.indices, rows.indptr, rows.shape)
    if interface is not None and isinstance(a, interface.LinearOperator):
        return None, Applied(a)
    return None


def product(a: Any, b: Any) -> Any:
    """a @ b, one of them traced and the other a matrix; NotImplemented where it is none."""
    traced, matrix = (a, b) if isinstance(a, Tracer) else (b, a)
    found = _linear(matrix)
    if found is None:
        return NotImplemented
    numbers, rest = found
    if traced is a:
        rest = rest.T
    axis = -1 if traced is a else -min(traced.ndim, 2)
    if traced.ndim not in (1, 2) or traced.shape[axis] != rest.extents[1]:
        shapes = f"{np.shape(a) if traced is a else a.shape} and {np.shape(b) if traced is b else b.shape}"
        raise ValueError(f"matmul: the shapes {shapes} of a matrix and a traced array do not fit")
    return along(traced, numbers, rest, axis)


def _times(a: Any, b: Any) -> Any:
    """a * b, which is the matrix product where NumPy's matrices are meant: of spmatrix and LinearOperator."""
    matrix = b if isinstance(a, Tracer) else a
    sparse = sys.modules.get("scipy.sparse")
    elementwise = sparse is not None and isinstance(matrix, sparse.sparray)
    return NotImplemented if elementwise or not np.ndim(a if matrix is b else b) else product(a, b)


PARTNERS[OPS[np.matmul]] = product
PARTNERS[OPS[np.multiply]] = _times
