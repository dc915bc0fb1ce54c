"""Colourings: columns (rows, vertices) of one colour share one direction, and every entry can still be told apart.

`colour_columns` for forward mode, `colour_rows` for reverse mode, `colour_symmetric` for Hessians,
`colour_bidirectional` for both modes at once, `colour_graph` for a bare graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy import sparse

from . import greedy
from .bidirectional import cheapest_split
from .bounds import greedy_bound, lower_bound
from .decompression import Decompression, by_columns, by_either, by_rows, by_substitution, by_symmetry
from .graph import (
    Adjacency,
    Intersection,
    lists,
    structure,
    symmetric_structure,
    with_diagonal,
    without_diagonal,
)
from .order import ORDERS, Order, arranged


def colour_columns(pattern: Any, order: Order = "natural") -> Colouring:
    """Columns in groups of which no two have an entry in the same row: one push a group, for forward mode.

    Parameters
    ----------
    pattern : (m, n), scipy.sparse (every stored entry counts) or array-like (its nonzeros count).
    order : “natural”, “largest-first”, “smallest-last”, “incidence-degree”, a permutation of the columns, or a function
        of one's own that gives one; see `order.arranged`.

    Returns
    -------
    Colouring of kind “columns”; a column without entries has colour −1, and no part in any seed.

    Raises
    ------
    TypeError, ValueError : no matrix, an unknown order.

    Source: Curtis, Powell and Reid 1974; Coleman and Moré 1983; as a partial distance-2 colouring of the bipartite
    graph of rows and columns Gebremedhin, Manne and Pothen 2005, Algorithm 3.2.

    >>> tridiagonal = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)
    >>> colouring = colour_columns(tridiagonal)
    >>> print(colouring)
    3 colours for 6 columns (at least 3, greedy at most 5)
    >>> colouring.colours
    array([0, 1, 2, 0, 1, 2])
    >>> colouring.seeds(int)
    array([[1, 0, 0, 1, 0, 0],
           [0, 1, 0, 0, 1, 0],
           [0, 0, 1, 0, 0, 1]])
    """
    found = structure(pattern)
    return Colouring("columns", found, _columns(found, order))


def colour_rows(pattern: Any, order: Order = "natural") -> Colouring:
    """Rows in groups of which no two have an entry in the same column: one pull a group, for reverse mode.

    As `colour_columns` of the transposed pattern; `order` names or permutes rows.

    >>> print(colour_rows([[1, 1, 1, 1], [0, 0, 0, 0]]))
    1 colour for 2 rows (at least 1, greedy at most 1)
    """
    found = structure(pattern)
    return Colouring("rows", found, _columns(sparse.csr_array(found.T), order))


def _columns(pattern: Any, order: Order) -> Any:
    """The greedy partial distance-2 colouring of the columns of a structure."""
    rows_of = lists(sparse.csr_array(pattern.T))
    colours = greedy.partial_distance_2(rows_of, pattern.shape[0], arranged(order, Intersection(pattern)))
    return np.array(colours, dtype=np.intp)


def colour_symmetric(pattern: Any, method: str = "star", order: Order = "natural") -> Colouring:
    """Columns of a symmetric matrix in groups, of which each entry may be read as (i, j) or as (j, i): for Hessians.

    Parameters
    ----------
    pattern : (n, n), symmetric; see `colour_columns`.
    method : “star”, every entry is read directly; “acyclic”, fewer colours, entries by substitution: sums along the
        two-coloured trees, in which rounding errors add up too.
    order : as for `colour_columns`, by degrees in the adjacency graph.

    Returns
    -------
    Colouring of kind “star” or “acyclic”.

    Raises
    ------
    TypeError, ValueError : no symmetric matrix (it says where), an unknown method or order.

    Source: Coleman and Moré 1984; Gebremedhin, Tarafdar, Manne and Pothen 2007, Algorithms 4.1 (star), 3.1 (acyclic).

    >>> tridiagonal = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)
    >>> colour_symmetric(tridiagonal, "star").count, colour_symmetric(tridiagonal, "acyclic").count
    (3, 2)
    >>> arrow = np.eye(6)
    >>> arrow[0] = arrow[:, 0] = 1
    >>> colour_symmetric(arrow).count
    2
    """
    methods = {"star": greedy.star, "acyclic": greedy.acyclic}
    if method not in methods:
        raise ValueError(f"method={method!r} is unknown: use “star” (direct) or “acyclic” (by substitution).")
    found = symmetric_structure(pattern)
    return Colouring(method, found, _vertices(found, methods[method], order))


def colour_graph(adjacency: Any, distance: int = 1, order: Order = "natural") -> Colouring:
    """Vertices of a graph in groups of which no two are within a distance, 1 or 2, of each other.

    Parameters
    ----------
    adjacency : (n, n), symmetric; its diagonal does not count.
    distance : 1, neighbours differ; 2, the neighbours of a vertex differ from each other too.
    order : as for `colour_columns`, by degrees at that distance.

    Returns
    -------
    Colouring of kind “distance-1”, which determines no matrix, or “distance-2”, which is a colouring of columns too.

    Raises
    ------
    TypeError, ValueError : no symmetric matrix, another distance, an unknown order.

    >>> ring = np.roll(np.eye(6), 1, axis=0) + np.roll(np.eye(6), -1, axis=0)
    >>> colour_graph(ring, 1).count, colour_graph(ring, 2).count
    (2, 3)
    """
    if distance not in (1, 2):
        raise ValueError(f"distance={distance!r}: a graph is coloured at distance 1 or 2.")
    found = symmetric_structure(adjacency)
    if distance == 1:
        return Colouring("distance-1", found, _vertices(found, greedy.distance_1, order))
    return Colouring("distance-2", found, _columns(with_diagonal(found), order))


def _vertices(symmetric: Any, colour: Callable[[list[list[int]], list[int]], list[int]], order: Order) -> Any:
    """A greedy colouring of the adjacency graph."""
    neighbours = lists(without_diagonal(symmetric))
    return np.array(colour(neighbours, arranged(order, Adjacency(symmetric))), dtype=np.intp)


def colour_bidirectional(pattern: Any, order: Order = "natural") -> BidirectionalColouring:
    """Columns and rows coloured so that a push or a pull determines each entry: never more colours than one mode alone.

    Parameters
    ----------
    pattern : (m, n); see `colour_columns`.
    order : a name or a function; for columns and rows alike.

    Returns
    -------
    BidirectionalColouring, of which `columns` and `rows` are Colourings; −1 in them is a line that is not needed.

    Raises
    ------
    TypeError, ValueError : no matrix, an unknown order.

    Source: the problem is that of Hossain and Steihaug 1998 and of Coleman and Verma 1998, a star bicolouring in the
    words of Gebremedhin, Manne and Pothen 2005; the search for the split is derived here (see `bidirectional.py`).

    >>> arrow = np.eye(6)
    >>> arrow[0] = arrow[:, 0] = 1
    >>> colouring = colour_bidirectional(arrow)
    >>> print(colouring)
    3 colours: 2 for 6 columns, 1 for 1 of 6 rows (greedy at most 6)
    """
    if not callable(order) and (not isinstance(order, str) or order not in ORDERS):
        raise ValueError(f"order={order!r:.60} must name an order of columns and rows: one of {', '.join(ORDERS)}.")
    found = structure(pattern)
    columns, rows = cheapest_split(found, partial(_columns, order=order))
    return BidirectionalColouring(found, Colouring("columns", found, columns), Colouring("rows", found, rows))


def decompress(colouring: Colouring | BidirectionalColouring, *compressed: Any) -> Any:
    """The matrix with the colouring's pattern whose products with the seeds are given.

    Parameters
    ----------
    colouring : any of the colourings that determine a matrix.
    compressed : one array, (colours, m) from the pushes of column seeds, (colours, n) from the pulls of row seeds; for
        a bidirectional colouring both, the pushes first. Directions lead.

    Returns
    -------
    scipy.sparse.csr_array, with the dtype of `compressed`, its entries in the order of `colouring.pattern`.

    Raises
    ------
    ValueError : another number of arrays or another shape; a distance-1 colouring, which determines no matrix.

    The places are found at the first call and kept in `colouring.decompression`, whose `dense` makes a dense matrix.

    >>> A = np.array([[1, 2, 0, 0], [3, 4, 5, 0], [0, 6, 7, 8], [0, 0, 9, 10]])
    >>> colouring = colour_columns(A)
    >>> compressed = colouring.seeds(int) @ A.T
    >>> compressed
    array([[ 1,  3,  8, 10],
           [ 2,  4,  6,  0],
           [ 0,  5,  7,  9]])
    >>> decompress(colouring, compressed).toarray()
    array([[ 1,  2,  0,  0],
           [ 3,  4,  5,  0],
           [ 0,  6,  7,  8],
           [ 0,  0,  9, 10]])
    """
    return colouring.decompression.sparse(*compressed)


@dataclass(frozen=True, eq=False)
class Colouring:
    """Colours of the columns, rows or vertices of a pattern.

    kind : “columns”, “rows”, “star”, “acyclic”, “distance-1” or “distance-2”.
    pattern : the boolean csr_array (m, n), sorted, each entry once.
    colours : of each column (of each row for “rows”) 0 … count − 1, or −1 where no direction is spent on it.

    A Colouring of colours of one's own is checked where it is decompressed: an entry they do not determine is an error.
    """

    kind: str
    pattern: Any
    colours: Any

    def __post_init__(self) -> None:
        size = self.pattern.shape[self.kind != "rows"]
        if np.shape(self.colours) != (size,):
            raise ValueError(
                f"colours has shape {np.shape(self.colours)}: a pattern {self.pattern.shape} needs ({size},)."
            )

    @cached_property
    def count(self) -> int:
        """How many colours: how many pushes or pulls."""
        return int(self.colours.max(initial=-1)) + 1

    @cached_property
    def groups(self) -> list[Any]:
        """The members of each colour, ascending."""
        order = np.argsort(self.colours, kind="stable")
        return np.split(order, np.searchsorted(self.colours[order], np.arange(self.count + 1)))[1:-1]

    def seeds(self, dtype: Any = float, start: int = 0, stop: int | None = None) -> Any:
        """The directions of the colours start … stop − 1 (all of them), shape (stop − start, n): 1 at its members.

        For “rows” the shape is (stop − start, m).  Directions lead, as everywhere.
        """
        stop = self.count if stop is None else stop
        if not 0 <= start <= stop <= self.count:
            raise ValueError(f"start={start}, stop={stop} are no range of the {self.count} colours.")
        seeds = np.zeros((stop - start, self.colours.size), dtype=dtype)
        members = np.flatnonzero((self.colours >= start) & (self.colours < stop))
        seeds[self.colours[members] - start, members] = 1
        return seeds

    @cached_property
    def decompression(self) -> Decompression:
        """Where each entry is read in the compressed products; found at the first use.

        Raises
        ------
        ValueError : a distance-1 colouring, or colours that do not determine the pattern's entries.
        """
        if self.kind not in _READING:
            raise ValueError(f"a {self.kind} colouring determines no matrix: use colour_columns or colour_symmetric.")
        return _READING[self.kind](self.pattern, self.colours, self.count)

    def __str__(self) -> str:
        what = {"columns": "columns", "rows": "rows"}.get(self.kind, f"vertices, {self.kind}")
        low, high = lower_bound(self.pattern, self.kind), greedy_bound(self.pattern, self.kind)
        return f"{_colours(self.count)} for {self.colours.size:,} {what} (at least {low:,}, greedy at most {high:,})"

    __repr__ = __str__


_READING = {
    "columns": by_columns,
    "rows": by_rows,
    "star": by_symmetry,
    "acyclic": by_substitution,
    "distance-2": by_columns,
}


@dataclass(frozen=True, eq=False)
class BidirectionalColouring:
    """Colours of columns, for pushes, and of rows, for pulls, that together determine every entry.

    pattern : the boolean csr_array (m, n).
    columns, rows : Colourings of kinds “columns” and “rows”; either may have no colour at all, neither determines the
        whole pattern by itself unless the other is empty.
    """

    pattern: Any
    columns: Colouring
    rows: Colouring
    kind = "bidirectional"

    @property
    def count(self) -> int:
        """How many colours on both sides: how many pushes and pulls."""
        return self.columns.count + self.rows.count

    @cached_property
    def decompression(self) -> Decompression:
        """Where each entry is read, among the pushes or the pulls; found at the first use."""
        counts = self.columns.count, self.rows.count
        return by_either(self.pattern, self.columns.colours, self.rows.colours, counts)

    def __str__(self) -> str:
        sides = ", ".join(f"{side.count:,} for {_used(side)} {side.kind}" for side in (self.columns, self.rows))
        return f"{_colours(self.count)}: {sides} (greedy at most {greedy_bound(self.pattern, self.kind):,})"

    __repr__ = __str__


def _colours(count: int) -> str:
    """A number of colours in words."""
    return f"{count:,} colour{'s' if count != 1 else ''}"


def _used(side: Colouring) -> str:
    """How many lines of a side are coloured, of how many."""
    used, size = int(np.count_nonzero(side.colours >= 0)), side.colours.size
    return f"{size:,}" if used == size else f"{used:,} of {size:,}"
