"""Between which numbers of colours a greedy colouring must end, whatever the order."""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import Adjacency, Intersection, structure, symmetric_structure, with_diagonal

KINDS = ("columns", "rows", "bidirectional", "star", "acyclic", "distance-1", "distance-2")


def greedy_bound(pattern: Any, kind: str = "columns") -> int:
    """The most colours that a greedy colouring of a kind may take, in any order: 1 + the largest degree.

    The degree counts the vertices whose colours a vertex may be denied: its neighbours in the column (row) intersection
    graph; those at distance 1 for “distance-1”; those at distance ≤ 2 for “distance-2”, and for “star” and “acyclic”
    too, which deny only colours found there.  “bidirectional” takes no more than the better of rows and columns.

    Raises
    ------
    ValueError : an unknown kind, or a pattern that is not symmetric where the kind asks for it.

    Source: Gebremedhin, Manne and Pothen 2005, section 3 (the greedy distance-2 bound).

    >>> tridiagonal = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)
    >>> greedy_bound(tridiagonal), greedy_bound(tridiagonal, "distance-1")
    (5, 3)
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown: use one of {', '.join(KINDS)}.")
    if kind in ("columns", "rows"):
        return _bound(Intersection(structure(pattern if kind == "columns" else structure(pattern).T)))
    if kind == "bidirectional":
        return min(greedy_bound(pattern, "columns"), greedy_bound(pattern, "rows"))
    symmetric = symmetric_structure(pattern)
    return _bound(Adjacency(symmetric) if kind == "distance-1" else Intersection(with_diagonal(symmetric)))


def _bound(graph: Adjacency | Intersection) -> int:
    """1 + the largest degree; without a vertex no colour."""
    return 1 + int(graph.degrees.max()) if graph.size else 0


def lower_bound(pattern: Any, kind: str = "columns") -> int:
    """A number of colours that no colouring of a kind can stay below.

    For columns the longest row, since its columns all differ; for rows the longest column; for distance-2 the largest
    closed neighbourhood.  For the other kinds one, where there is an entry, and two, where an edge joins two vertices.

    >>> lower_bound(np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1))
    3
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown: use one of {', '.join(KINDS)}.")
    found = structure(pattern if kind != "rows" else structure(pattern).T)
    if kind == "bidirectional":
        return min(1, found.nnz)
    if kind in ("columns", "rows"):
        return int(np.diff(found.indptr).max(initial=0))
    degree = int(Adjacency(found).degrees.max(initial=0))
    return min(found.shape[0], 1 + (degree if kind == "distance-2" else min(degree, 1)))
