"""Matrices that keep their structure through products: diagonal, sparse or dense, and what each product costs.

A product costs Σ_k nnz(A[:, k]) · nnz(B[k, :]) multiply-adds: m·k·n of dense matrices, m·n with a diagonal, and of
sparse ones the number of products of two entries.  Nothing else is multiplied when it is carried out.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core.tracing import Tracer
from ..ops.index import scatter
from ..transforms.directions import chunk_for, joined

DIAGONAL, SPARSE, DENSE = "diagonal", "sparse", "dense"
# A matrix of at most this share of entries is held as sparse; above it indices and gathers cost more than they save.
SPARSE_DENSITY = 0.5


class Structure:
    """Where an m × n matrix may be nonzero, and how it is held for that.

    diagonal : held as n numbers.
    pattern : where entries may be nonzero, a boolean csr_array, sorted; None for everywhere. Held as sparse, by its
        entries in the pattern's order, where at most SPARSE_DENSITY of all may be nonzero; else as an array.

    A product's pattern is the boolean product of the patterns: it depends on the factors, not on the bracketing.
    """

    def __init__(self, m: int, n: int, diagonal: bool = False, pattern: Any = None) -> None:
        self.m, self.n = m, n
        self.pattern: Any = None if pattern is None or diagonal or pattern.nnz == m * n else pattern
        sparse = self.pattern is not None and self.pattern.nnz <= SPARSE_DENSITY * m * n
        self.kind = DIAGONAL if diagonal else SPARSE if sparse else DENSE

    def __repr__(self) -> str:
        return f"<{self.kind} {self.m} × {self.n}, {self.size:,} entries>"

    @property
    def shape(self) -> tuple[int, int]:
        return self.m, self.n

    @property
    def size(self) -> int:
        """How many numbers are held."""
        if self.kind == SPARSE:
            return int(self.pattern.nnz)
        return self.n if self.kind == DIAGONAL else self.m * self.n

    @cached_property
    def coordinates(self) -> tuple[Any, Any]:
        """Row and column of every number held, in its order."""
        if self.kind == DIAGONAL:
            return (np.arange(self.n),) * 2
        if self.kind == DENSE:
            return np.repeat(np.arange(self.m), self.n), np.tile(np.arange(self.n), self.m)
        return _coordinates(self.pattern)

    def places(self, rows: Any, columns: Any) -> Any:
        """Which of the numbers held stands at each row and column."""
        flat = rows * self.n + columns
        if self.kind == SPARSE:
            own = self.coordinates
            return np.searchsorted(own[0] * self.n + own[1], flat)
        return rows if self.kind == DIAGONAL else flat

    # Products -----------------------------------------------------------------------------------------

    def __matmul__(self, other: Structure) -> Structure:
        """The structure of the product."""
        if self.kind == DIAGONAL or other.kind == DIAGONAL:
            pattern = self.pattern if other.kind == DIAGONAL else other.pattern
            return Structure(self.m, other.n, self.kind == other.kind, pattern)
        return Structure(self.m, other.n, pattern=_boolean_product(self, other))

    def cost(self, other: Structure) -> int:
        """Multiply-adds of self @ other."""
        kinds = self.kind, other.kind
        if SPARSE in kinds:
            return int(np.dot(self.column_counts, other.row_counts))
        if DIAGONAL in kinds:
            return self.n if self.kind == other.kind else self.m * other.n
        return self.m * self.n * other.n

    @cached_property
    def column_counts(self) -> Any:
        """How many numbers are held of every column."""
        return np.bincount(self.coordinates[1], minlength=self.n) if self.kind == SPARSE else self._each(self.n, self.m)

    @cached_property
    def row_counts(self) -> Any:
        """How many numbers are held of every row."""
        return np.bincount(self.coordinates[0], minlength=self.m) if self.kind == SPARSE else self._each(self.m, self.n)

    def _each(self, lines: int, length: int) -> Any:
        return np.full(lines, 1 if self.kind == DIAGONAL else length)

    # Directions that make the whole matrix ---------------------------------------------------------------

    @cached_property
    def column_colours(self) -> Any:
        """The tangent that makes each column: of a diagonal one for all, of a sparse matrix one a colour; −1: none."""
        if self.kind != SPARSE:
            return np.arange(self.n) if self.kind == DENSE else np.zeros(self.n, dtype=int)
        from ..sparse.colouring import colour_columns

        return colour_columns(self.pattern).colours

    @cached_property
    def row_colours(self) -> Any:
        """The adjoint that makes each row."""
        if self.kind != SPARSE:
            return np.arange(self.m) if self.kind == DENSE else np.zeros(self.m, dtype=int)
        from ..sparse.colouring import colour_rows

        return colour_rows(self.pattern).colours

    @property
    def columns(self) -> int:
        """How many tangents make the matrix."""
        return _directions(self.kind, self.n) or int(self.column_colours.max(initial=-1)) + 1

    @property
    def rows(self) -> int:
        """How many adjoints make the matrix."""
        return _directions(self.kind, self.m) or int(self.row_colours.max(initial=-1)) + 1

    @property
    def least(self) -> tuple[int, int]:
        """No fewer tangents, and no fewer adjoints, than this: the fullest row and the fullest column."""
        return int(self.row_counts.max(initial=0)), int(self.column_counts.max(initial=0))


def _directions(kind: str, lines: int) -> int:
    """How many directions make a matrix that needs no colouring; 0 for one that does."""
    return {DENSE: lines, DIAGONAL: 1}.get(kind, 0)


def _coordinates(pattern: Any) -> tuple[Any, Any]:
    """Row and column of every entry of a csr_array."""
    return np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices.astype(np.intp)


def _boolean_product(left: Structure, right: Structure) -> Any:
    """The pattern of a product; None for a full one."""
    if left.pattern is None and right.pattern is None:
        return None
    from scipy import sparse

    if left.pattern is not None and right.pattern is not None:
        found = sparse.csr_array(left.pattern @ right.pattern)
        found.sort_indices()
        return found
    if left.pattern is None:  # every column that has an entry becomes full
        return sparse.csr_array(np.tile(np.bincount(right.pattern.indices, minlength=right.n) > 0, (left.m, 1)))
    return sparse.csr_array(np.tile(np.diff(left.pattern.indptr)[:, None] > 0, (1, right.n)))


class SubChains:
    """The structure of the product of the factors i … j, for all of them; each is found once."""

    def __init__(self, factors: Sequence[Structure]) -> None:
        self.known = {(i, i): factor for i, factor in enumerate(factors)}

    def __call__(self, i: int, j: int) -> Structure:
        k = j
        while (i, k) not in self.known:
            k -= 1
        for last in range(k + 1, j + 1):
            self.known[i, last] = self.known[last, last] @ self.known[i, last - 1]
        return self.known[i, j]


# ---------------------------------------------------------------------------------------------------
# Matrices: numbers, possibly traced, in a structure
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Matrix:
    """Numbers in a structure: of a dense one `entries` is the array (m, n), else the numbers held, in their order."""

    structure: Structure
    entries: Any

    def times(self, other: Matrix, made: Structure) -> Matrix:
        """self @ other, held as `made`, the structure of the product."""
        kinds = self.structure.kind, other.structure.kind
        if DIAGONAL in kinds:
            found = self._scaled(other)
        elif kinds == (SPARSE, SPARSE):
            return self._by_entries(other, made)
        else:
            found = Matrix(Structure(made.m, made.n), self._densely(other))
        return found.held_as(made)

    def _scaled(self, other: Matrix) -> Matrix:
        """Rows scaled by a diagonal on the left, or columns by one on the right."""
        if self.structure.kind == DIAGONAL:
            return Matrix(other.structure, _lines(self.entries, other.structure, 0) * other.entries)
        return Matrix(self.structure, self.entries * _lines(other.entries, self.structure, 1))

    def _densely(self, other: Matrix) -> Any:
        """The array (m, n) of a product with at least one dense part."""
        m, n = self.structure.m, other.structure.n
        if self.structure.kind == SPARSE:
            return _combined(self.entries, *self.structure.coordinates, other.entries, m)
        if other.structure.kind == SPARSE:
            rows, columns = other.structure.coordinates
            return _combined(other.entries, columns, rows, self.entries.T, n).T
        return self.entries @ other.entries

    def _by_entries(self, other: Matrix, made: Structure) -> Matrix:
        """Σ_k A[i, k] B[k, j]: one product for each pair of entries that share a k, added up where they belong."""
        (rows, inner), (_, columns) = self.structure.coordinates, other.structure.coordinates
        counts = other.structure.row_counts[inner]
        parts = []
        for block in _blocks(counts):
            left = np.repeat(block, counts[block])
            right = other.structure.pattern.indptr[inner[left]] + _within(counts[block])
            products = self.entries[left] * other.entries[right]
            parts.append(scatter(products, (made.places(rows[left], columns[right]),), (made.size,), 1))
        sums = functools.reduce(operator.add, parts)
        return Matrix(made, np.reshape(sums, made.shape) if made.kind == DENSE else sums)

    def held_as(self, made: Structure) -> Matrix:
        """The same matrix in another structure, which has room for all its nonzeros."""
        if made.kind == self.structure.kind:
            return Matrix(made, self.entries)
        if made.kind == DENSE:
            rows, columns = self.structure.coordinates
            return Matrix(made, scatter(self.entries, (rows, columns), made.shape, 1))
        return Matrix(made, self.full()[made.coordinates])

    def full(self) -> Any:
        """The array (m, n)."""
        return self.held_as(Structure(*self.structure.shape)).entries

    def csr(self) -> Any:
        """The matrix as a scipy.sparse.csr_array; of a sparse one every entry of the pattern is stored."""
        from scipy import sparse

        if isinstance(self.entries, Tracer):
            raise TypeError(
                "sparse=True under another transform: a scipy.sparse matrix cannot carry a derivative further; take "
                "the dense array, sparse=False."
            )
        if self.structure.kind == DENSE:
            return sparse.csr_array(self.entries)
        columns = self.structure.coordinates[1]
        starts = np.concatenate([[0], np.cumsum(self.structure.row_counts)])
        return sparse.csr_array((self.entries, columns.copy(), starts), shape=self.structure.shape)

    # Directions ------------------------------------------------------------------------------------------

    def tangents(self, made: Structure) -> Any:
        """A·S, its columns as rows (directions lead): the seeds S add up the columns that `made` gives one colour."""
        if made.kind == DENSE:
            return self.full().T
        return self._summed(made.column_colours, made.columns, 1)

    def adjoints(self, made: Structure) -> Any:
        """Sᵀ·A: the rows that `made` gives one colour added up."""
        if made.kind == DENSE:
            return self.full()
        return self._summed(made.row_colours, made.rows, 0)

    def _summed(self, colours: Any, count: int, axis: int) -> Any:
        """Lines along an axis added up by colour, as rows (count, length of a line)."""
        if count == self.structure.shape[axis] and np.array_equal(colours, np.arange(count)):
            full = self.full()
            return full.T if axis else full
        at, along = self.structure.coordinates[axis], self.structure.coordinates[1 - axis]
        used = np.flatnonzero(colours[at] >= 0)
        entries = np.reshape(self.entries, (-1,))[used]
        return scatter(entries, (colours[at[used]], along[used]), (count, self.structure.shape[1 - axis]), 1)


def from_tangents(rows: Any, made: Structure) -> Matrix:
    """The matrix whose products with the seeds of its column colours are the rows: every entry is read once."""
    if made.kind == DENSE:
        return Matrix(made, rows.T)
    at, columns = made.coordinates
    return Matrix(made, rows[made.column_colours[columns], at])


def from_adjoints(rows: Any, made: Structure) -> Matrix:
    """The same for the seeds of row colours."""
    if made.kind == DENSE:
        return Matrix(made, rows)
    at, columns = made.coordinates
    return Matrix(made, rows[made.row_colours[at], columns])


def _lines(diagonal: Any, structure: Structure, axis: int) -> Any:
    """The factor of each number held, from a diagonal that scales the rows (axis 0) or the columns (axis 1)."""
    if structure.kind == DIAGONAL:
        return diagonal
    if structure.kind == SPARSE:
        return diagonal[structure.coordinates[axis]]
    return diagonal if axis else diagonal[:, None]


def _combined(entries: Any, rows: Any, columns: Any, dense: Any, m: int) -> Any:
    """Row i is Σ A[i, k] · (row k of dense) over the entries of A; so many columns at once as the memory takes."""
    n = dense.shape[1]
    step = chunk_for(n, entries.size)
    parts = []
    for start in range(0, n, step):
        block = dense[:, start : start + step]
        parts.append([scatter(entries[:, None] * block[columns], (rows,), (m, block.shape[1]), 2)])
    return joined(parts, axis=1)[0]


def _blocks(counts: Any) -> list[Any]:
    """The numbers 0, 1, … of the counts in runs whose counts add up to what the memory takes, or are a single one."""
    ends = np.cumsum(counts)
    run = ends // chunk_for(int(ends[-1]) if ends.size else 1, 1)
    return np.split(np.arange(counts.size), np.flatnonzero(np.diff(run)) + 1)


def _within(counts: Any) -> Any:
    """0 … c − 1 for each count c, one run after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - counts, counts)
