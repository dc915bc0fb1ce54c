"""What a colouring is, by definition: slow oracles for tests, not coded with efficiency in mind.

Nothing here is shared with the code that it checks: dense matrices, every path and every cycle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .colouring import BidirectionalColouring, Colouring


def is_valid(colouring: Colouring | BidirectionalColouring) -> bool:
    """Whether a colouring is what its kind says, by definition.

    >>> from admodes.sparse.colouring import colour_columns
    >>> pattern = np.eye(3) + np.eye(3, k=1)
    >>> is_valid(colour_columns(pattern))
    True
    >>> is_valid(Colouring("columns", colour_columns(pattern).pattern, np.zeros(3, dtype=int)))
    False
    """
    A = colouring.pattern.toarray()
    if isinstance(colouring, BidirectionalColouring):
        return is_bicolouring(A, colouring.columns.colours, colouring.rows.colours)
    oracles = {
        "columns": is_structurally_orthogonal,
        "rows": lambda A, colours: is_structurally_orthogonal(A.T, colours),
        "star": is_star,
        "acyclic": is_acyclic,
        "distance-1": is_proper,
        "distance-2": is_distance_2,
    }
    return oracles[colouring.kind](A, colouring.colours)


def is_structurally_orthogonal(A: Any, colours: Any) -> bool:
    """Every column with an entry has a colour, and no row holds entries of two columns of one colour.

    Source: Curtis, Powell and Reid 1974.
    """
    m, n = A.shape
    if len(colours) != n:
        return False
    for i in range(m):
        found = [colours[j] for j in range(n) if A[i, j]]
        if min(found, default=0) < 0 or len(set(found)) < len(found):
            return False
    return True


def is_bicolouring(A: Any, column_colours: Any, row_colours: Any) -> bool:
    """Every entry stands alone in its row among the columns of its column's colour, or the same by its row's colour.

    Source: Hossain and Steihaug 1998; Coleman and Verma 1998.
    """
    m, n = A.shape
    return all(
        _alone(A, i, j, column_colours) or _alone(A.T, j, i, row_colours)
        for i, j in itertools.product(range(m), range(n))
        if A[i, j]
    )


def is_symmetrically_orthogonal(A: Any, colours: Any) -> bool:
    """Every entry (i, j) stands alone in row i among the columns of j's colour, or (j, i) in row j among those of i's.

    Source: Coleman and Moré 1984; what direct recovery of a symmetric matrix needs.
    """
    n = len(A)
    pairs = ((i, j) for i in range(n) for j in range(n) if A[i, j])
    return all(_alone(A, i, j, colours) or _alone(A, j, i, colours) for i, j in pairs)


def _alone(A: Any, i: int, j: int, colours: Any) -> bool:
    """Whether (i, j) is the only entry of row i in the columns of j's colour."""
    return bool(colours[j] >= 0) and not any(A[i, k] and colours[k] == colours[j] for k in range(A.shape[1]) if k != j)


def is_proper(A: Any, colours: Any) -> bool:
    """Every vertex has a colour, and neighbours differ: a distance-1 colouring."""
    n = len(A)
    return bool(np.all(np.asarray(colours) >= 0)) and not any(
        A[i, j] and colours[i] == colours[j] for i in range(n) for j in range(i)
    )


def is_distance_2(A: Any, colours: Any) -> bool:
    """A distance-1 colouring in which the ends of every path on three vertices differ."""
    return is_proper(A, colours) and all(colours[path[0]] != colours[path[-1]] for path in paths(A, 3))


def is_star(A: Any, colours: Any) -> bool:
    """A distance-1 colouring in which every path on four vertices has three colours.

    Source: Gebremedhin, Manne and Pothen 2005, Definition 4.5.
    """
    return is_proper(A, colours) and all(len({colours[v] for v in path}) >= 3 for path in paths(A, 4))


def is_acyclic(A: Any, colours: Any) -> bool:
    """A distance-1 colouring in which every cycle has three colours: no two colours span a cycle.

    A graph without cycles can be taken apart by removing vertices of degree ≤ 1 again and again.
    """
    if not is_proper(A, colours):
        return False
    for two in itertools.combinations(set(map(int, colours)), 2):
        left = {v for v in range(len(A)) if colours[v] in two}
        while loose := {v for v in left if sum(bool(A[v, w]) for w in left if w != v) <= 1}:
            left -= loose
        if left:
            return False
    return True


def paths(A: Any, length: int) -> Iterator[tuple[int, ...]]:
    """All paths on `length` distinct vertices of the graph of A."""
    grown: list[tuple[int, ...]] = [(v,) for v in range(len(A))]
    for _ in range(length - 1):
        grown = [(*path, w) for path in grown for w in range(len(A)) if A[path[-1], w] and w not in path]
    yield from grown
