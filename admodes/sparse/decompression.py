"""From compressed products back to the matrix: where each entry stands, found once, read many times.

With seeds S_c = Σ e_j over the columns j of colour c, a push yields the row B[c, i] = Σ_j A[i, j] over these columns;
with seeds over rows, a pull yields B[c, j] = Σ_i A[i, j].  An entry is read where it stands alone in its sum.  In the
trees of an acyclic colouring the others follow by substitution, from the leaves to the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from .graph import coordinates

# Unknowns a level, on average, from which one array operation a level is faster than one loop over all unknowns.
_BROAD = 50


@dataclass(frozen=True, eq=False)
class Decompression:
    """Where each entry of a pattern is read, in the order in which a csr_array keeps its entries.

    pattern : the boolean csr_array.
    shapes : of the compressed arrays, in the order in which they are given.
    takes : for each of them, the flat index of the entries read from it.
    puts : for each of them, the numbers of these entries; a slice where it serves all of them.
    substitution : of an acyclic colouring; the first array is then its solution, not the compressed array itself.
    """

    pattern: Any
    shapes: tuple[tuple[int, int], ...]
    takes: tuple[Any, ...]
    puts: tuple[Any, ...]
    substitution: Substitution | None = None

    def data(self, *compressed: Any) -> Any:
        """The entries, shape (nnz,), in the order of the pattern's csr_array."""
        arrays = self._checked(compressed)
        if self.substitution is not None:
            return self.substitution.solve(arrays[0]).take(self.takes[0])
        if len(arrays) == 1:
            return arrays[0].ravel().take(self.takes[0])
        data = np.empty(self.pattern.nnz, dtype=np.result_type(*arrays))
        for array, take, put in zip(arrays, self.takes, self.puts, strict=True):
            data[put] = array.ravel().take(take)
        return data

    def sparse(self, *compressed: Any) -> Any:
        """The matrix as a csr_array. Its index arrays are copies, since methods of a csr_array may change them."""
        data = self.data(*compressed)
        indices, indptr = self.pattern.indices.copy(), self.pattern.indptr.copy()
        found = sparse.csr_array((data, indices, indptr), shape=self.pattern.shape)
        found.has_canonical_format = True
        return found

    def dense(self, *compressed: Any, out: Any = None) -> Any:
        """The matrix as an array; `out` takes it where given, C-contiguous, its other elements left as they are."""
        data = self.data(*compressed)
        if out is None:
            out = np.zeros(self.pattern.shape, dtype=data.dtype)
        elif out.shape != self.pattern.shape or not out.flags.c_contiguous:
            raise ValueError(f"out of shape {out.shape} must be C-contiguous and of shape {self.pattern.shape}.")
        out.reshape(-1)[self.places] = data
        return out

    @cached_property
    def places(self) -> Any:
        """The flat index of every entry in the dense matrix, row by row."""
        rows, columns = coordinates(self.pattern)
        return rows * self.pattern.shape[1] + columns

    def _checked(self, compressed: tuple[Any, ...]) -> list[Any]:
        """The compressed arrays, if they have the shapes that belong to the colouring."""
        arrays = [np.asarray(array) for array in compressed]
        shapes = tuple(array.shape for array in arrays)
        if shapes != self.shapes:
            told = [" and ".join(map(str, each)) or "nothing" for each in (shapes, self.shapes)]
            raise ValueError(
                f"compressed has shape {told[0]}, the colouring needs {told[1]}: a row for each colour, "
                "of as many numbers as a product with its seed has."
            )
        return arrays


# ---------------------------------------------------------------------------------------------------
# Direct: every entry stands alone in one of its sums
# ---------------------------------------------------------------------------------------------------


def by_columns(pattern: Any, colours: Any, count: int) -> Decompression:
    """Entry (i, j) read at B[colour of j, i]; Curtis, Powell and Reid 1974."""
    rows, columns = coordinates(pattern)
    take, alone = _sums(rows, colours[columns], pattern.shape[0])
    _all_read(pattern, alone)
    return Decompression(pattern, ((count, pattern.shape[0]),), (take,), (slice(None),))


def by_rows(pattern: Any, colours: Any, count: int) -> Decompression:
    """Entry (i, j) read at B[colour of i, j]."""
    rows, columns = coordinates(pattern)
    take, alone = _sums(columns, colours[rows], pattern.shape[1])
    _all_read(pattern, alone)
    return Decompression(pattern, ((count, pattern.shape[1]),), (take,), (slice(None),))


def by_either(pattern: Any, column_colours: Any, row_colours: Any, counts: tuple[int, int]) -> Decompression:
    """Entry (i, j) read from the pushes where it stands alone in them, from the pulls elsewhere.

    Source: Hossain and Steihaug 1998; Coleman and Verma 1998 (direct determination).
    """
    (m, n), (rows, columns) = pattern.shape, coordinates(pattern)
    pushed, by_push = _sums(rows, column_colours[columns], m)
    pulled, by_pull = _sums(columns, row_colours[rows], n)
    _all_read(pattern, by_push | by_pull)
    puts = np.flatnonzero(by_push), np.flatnonzero(~by_push)
    return Decompression(pattern, ((counts[0], m), (counts[1], n)), (pushed[puts[0]], pulled[puts[1]]), puts)


def by_symmetry(pattern: Any, colours: Any, count: int) -> Decompression:
    """Entry (i, j) read at B[colour of j, i], or as (j, i) at B[colour of i, j]: the hub's colour knows its spokes.

    Both of a pair are read at one place, the first in B of those that serve, so that the result is exactly symmetric.

    Source: Coleman and Moré 1984; Gebremedhin, Manne and Pothen 2005, Theorem 4.6.
    """
    n, (rows, columns) = pattern.shape[0], coordinates(pattern)
    here, alone = _sums(rows, colours[columns], n)
    there, alone_there = _sums(columns, colours[rows], n)
    _all_read(pattern, alone | alone_there)
    nowhere = count * n
    take = np.minimum(np.where(alone, here, nowhere), np.where(alone_there, there, nowhere))
    return Decompression(pattern, ((count, n),), (take,), (slice(None),))


def _sums(lines: Any, colours: Any, size: int) -> tuple[Any, Any]:
    """The flat place in B of the sum that each entry is a term of, and whether it is the only one."""
    place = colours * size + lines
    order = np.argsort(place, kind="stable")
    ranked = place[order]
    differs = np.ones(ranked.size + 1, dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=differs[1:-1])
    alone = np.empty(ranked.size, dtype=bool)
    alone[order] = differs[1:] & differs[:-1]
    return place, alone & (colours >= 0)


def _all_read(pattern: Any, read: Any) -> None:
    """An entry that no sum gives away would be a wrong number: say so."""
    if not read.all():
        rows, columns = coordinates(pattern)
        at = int(np.flatnonzero(~read)[0])
        raise ValueError(
            f"the colours do not determine the entry ({rows[at]}, {columns[at]}): it shares its sums with other "
            "entries, or has none. Take colours that the functions of this module have found for this pattern."
        )


# ---------------------------------------------------------------------------------------------------
# Substitution: the two-coloured trees
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Substitution:
    """The order in which the sums of an acyclic colouring are solved, from the leaves of the trees to their roots.

    sums : the flat places in B of the sums, children before their parents.
    parents : for each of them but the roots, the number of its parent; the roots come last.
    levels : ends of the runs of sums that are equally far from their root, deepest first.
    """

    sums: Any
    parents: Any
    levels: Any

    def solve(self, compressed: Any) -> Any:
        """x_e = B_e − Σ x over the children of e; the unknown of a sum is the edge to its parent, a root has none."""
        values = compressed.ravel().take(self.sums)
        broad = self.parents.size > _BROAD * self.levels.size
        return self._by_levels(values) if broad else self._one_by_one(values)

    def _by_levels(self, values: Any) -> Any:
        start = 0
        for end in self.levels.tolist():
            # The copy tells NumPy that what it writes is not what it reads; without it, it copies all values.
            np.subtract.at(values, self.parents[start:end], values[start:end].copy())
            start = end
        return values

    def _one_by_one(self, values: Any) -> Any:
        numbers = values.tolist()
        for k, parent in enumerate(self._parents):
            numbers[parent] -= numbers[k]
        values[:] = numbers
        return values

    @cached_property
    def _parents(self) -> list[int]:
        return self.parents.tolist()


def by_substitution(pattern: Any, colours: Any, count: int) -> Decompression:
    """Diagonal entries stand alone; an edge is the last unknown of a sum once the edges farther out are known.

    The sums B[c, i] are the vertices of a graph in which the entry (i, j) joins B[colour of j, i] with
    B[colour of i, j]. It is a forest exactly where no cycle has two colours alone.

    Source: Coleman and Cai 1986; the order of evaluation as in Gebremedhin, Pothen, Tarafdar and Walther 2009.
    """
    n, (rows, columns) = pattern.shape[0], coordinates(pattern)
    if np.any(colours[rows] < 0):
        raise ValueError("an entry's vertex has no colour: acyclic colourings colour every vertex.")
    off = rows != columns
    if np.any(colours[rows[off]] == colours[columns[off]]):
        raise ValueError("two neighbours share a colour: the colours are not acyclic for this pattern.")
    places, vertices = np.unique(colours[columns] * n + rows, return_inverse=True)
    mirrored = np.searchsorted(places, colours[rows] * n + columns)
    upper = rows < columns
    order, parents, depths = _forest(vertices[upper], mirrored[upper], places.size)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    inner = int(np.count_nonzero(depths))
    solved = parents[vertices] == mirrored
    take = np.where(solved, rank[vertices], rank[mirrored])
    ends = np.flatnonzero(np.diff(depths[order[:inner]], append=0)) + 1
    substitution = Substitution(places[order], rank[parents[order[:inner]]], ends)
    return Decompression(pattern, ((count, n),), (take,), (slice(None),), substitution)


def _forest(a: Any, b: Any, size: int) -> tuple[Any, Any, Any]:
    """Vertices by falling depth, their parents (−1 at a root) and depths, in the forest of the edges a – b.

    The root of a tree is its vertex of highest degree: the hub of a star, so that its spokes are read directly.
    """
    graph = sparse.csr_array((np.ones(a.size, dtype=np.int8), (a, b)), shape=(size, size))
    trees, tree = csgraph.connected_components(graph, directed=False)
    if a.size != size - trees:
        raise ValueError("the colours are not acyclic for this pattern: a cycle has two colours alone.")
    by_tree = np.lexsort((-np.bincount(np.concatenate([a, b]), minlength=size), tree))
    roots = by_tree[np.searchsorted(tree[by_tree], np.arange(trees))]
    # One more vertex, joined to every root, makes the forest a tree, which one breadth-first search walks.
    ends = np.concatenate([a, np.full(trees, size)]), np.concatenate([b, roots])
    joined = sparse.csr_array((np.ones(a.size + trees, dtype=np.int8), ends), shape=(size + 1, size + 1))
    outward, before = csgraph.breadth_first_order(joined, size, directed=False)
    parents = before[:size].astype(np.intp)
    parents[roots] = -1
    depths = _depths(outward[1:].tolist(), parents.tolist())
    return outward[:0:-1].astype(np.intp), parents, depths


def _depths(outward: list[int], parents: list[int]) -> Any:
    """How far each vertex is from its root; `outward` has parents before their children."""
    depths = [0] * len(parents)
    for v in outward:
        if parents[v] >= 0:
            depths[v] = depths[parents[v]] + 1
    return np.array(depths, dtype=np.intp)
