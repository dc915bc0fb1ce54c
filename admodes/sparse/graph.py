"""The graphs behind a sparsity pattern: its structure, its symmetric adjacency, and which columns meet in a row.

Two columns conflict where a row holds an entry of both: the column intersection graph, the square of the bipartite
graph of rows and columns seen from the columns (Gebremedhin, Manne and Pothen 2005, section 3).
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

# Conflicts a vertex, on average, beyond which the intersection graph is walked row by row and never stored.
_WIDE = 400


def structure(pattern: Any) -> Any:
    """A pattern as a boolean csr_array, sorted, each entry once, its arrays not shared with the argument.

    Of a sparse matrix every *stored* entry counts, also a stored zero: one entry too many costs at most a colour, one
    too few makes a derivative wrong.  Of a dense array the nonzeros count.

    Raises
    ------
    TypeError : something that is not a matrix.  ValueError : not two axes.
    """
    if not sparse.issparse(pattern):
        pattern = _dense(pattern)
    if pattern.ndim != 2:
        raise ValueError(f"pattern has {pattern.ndim} axes, not two: give the sparsity of a matrix, shape (m, n).")
    found = sparse.csr_array(sparse.coo_array(pattern), copy=True)
    found.data = np.ones(found.indices.size, dtype=bool)
    found.sum_duplicates()
    return found


def _dense(pattern: Any) -> Any:
    """An array-like of numbers or booleans as a sparse array of its nonzeros."""
    array = np.asarray(pattern)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"pattern is {type(pattern).__name__} of dtype {array.dtype}: give a scipy.sparse matrix or an array of "
            "booleans."
        )
    if array.ndim != 2:
        raise ValueError(f"pattern has {array.ndim} axes, not two: give the sparsity of a matrix, shape (m, n).")
    return sparse.coo_array(array != 0)


def symmetric_structure(pattern: Any) -> Any:
    """The structure of a symmetric pattern.

    Raises
    ------
    ValueError : the pattern is not square, or has an entry (i, j) and none at (j, i); it says where.
    """
    found = structure(pattern)
    m, n = found.shape
    if m != n:
        raise ValueError(
            f"pattern is {m} × {n}: a symmetric colouring needs a square pattern; colour_columns takes any."
        )
    one_sided = sparse.coo_array(found.astype(np.int8) - found.T.astype(np.int8))
    one_sided.eliminate_zeros()
    if one_sided.nnz:
        i, j = int(one_sided.row[0]), int(one_sided.col[0])
        here, there = ((i, j), (j, i)) if one_sided.data[0] > 0 else ((j, i), (i, j))
        raise ValueError(
            f"pattern is not symmetric: it has an entry at {here} and none at {there} ({one_sided.nnz // 2} such "
            "entries). Give pattern + pattern.T, or use colour_columns."
        )
    return found


def without_diagonal(square: Any) -> Any:
    """The adjacency graph of a symmetric pattern: its entries off the diagonal."""
    rows, columns = coordinates(square)
    off = rows != columns
    return sparse.csr_array((square.data[off], (rows[off], columns[off])), shape=square.shape)


def with_diagonal(square: Any) -> Any:
    """Closed neighbourhoods: vertices at distance ≤ 2 are those that share a row of adjacency + identity."""
    return structure(square + sparse.eye_array(square.shape[0], dtype=bool, format="csr"))


def coordinates(pattern: Any) -> tuple[Any, Any]:
    """Row and column of every entry, in the order in which a csr_array keeps them."""
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    return rows, pattern.indices.astype(np.intp)


def lists(pattern: Any) -> list[list[int]]:
    """The columns of every row as Python lists, over which a greedy loop is fastest."""
    starts, indices = pattern.indptr.tolist(), pattern.indices.tolist()
    return [indices[a:b] for a, b in pairwise(starts)]


class Adjacency:
    """A graph given by its edges: a symmetric pattern, whose diagonal does not count."""

    wide = False

    def __init__(self, symmetric: Any) -> None:
        self._edges = without_diagonal(symmetric)
        self.size = self._edges.shape[0]

    @cached_property
    def degrees(self) -> Any:
        """How many neighbours each vertex has."""
        return np.diff(self._edges.indptr).astype(np.intp)

    def neighbours(self, v: int) -> Any:
        """The vertices that share an edge with v."""
        a, b = self._edges.indptr[v : v + 2]
        return self._edges.indices[a:b]


class Intersection:
    """The column intersection graph of a pattern: columns are neighbours where a row holds both.

    With a long row the graph has far more edges than the pattern has entries (a full row makes it complete), so that it
    is stored only where rows are short: `wide` says that it is not.
    """

    def __init__(self, pattern: Any) -> None:
        self._rows, self._columns = pattern, sparse.csr_array(pattern.T)
        self.size = pattern.shape[1]
        lengths = np.diff(pattern.indptr).astype(np.float64)
        self.complete = bool(self.size and np.any(lengths == self.size))
        self.wide = bool(lengths @ lengths > _WIDE * max(self.size, 1))

    @cached_property
    def _edges(self) -> Any:
        return without_diagonal(self._columns @ self._rows)

    @cached_property
    def degrees(self) -> Any:
        """How many columns each column meets in some row: its distance-2 degree in the bipartite graph."""
        if self.complete:
            return np.full(self.size, self.size - 1, dtype=np.intp)
        if not self.wide:
            return np.diff(self._edges.indptr).astype(np.intp)
        return np.array([self.neighbours(v).size for v in range(self.size)], dtype=np.intp)

    def neighbours(self, v: int) -> Any:
        """The columns that meet column v in some row."""
        if not self.wide:
            a, b = self._edges.indptr[v : v + 2]
            return self._edges.indices[a:b]
        met = np.zeros(self.size, dtype=bool)
        for i in self._columns.indices[self._columns.indptr[v] : self._columns.indptr[v + 1]]:
            met[self._rows.indices[self._rows.indptr[i] : self._rows.indptr[i + 1]]] = True
        met[v] = False
        return np.flatnonzero(met)


Graph = Adjacency | Intersection
