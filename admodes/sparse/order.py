"""The order in which a greedy colouring takes its vertices, on which the number of colours depends.

Degrees are those of the graph that is coloured: of the adjacency graph for a symmetric pattern, of the column
intersection graph (distance-2 degrees) for columns or rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ..core.types import Array
from .graph import Graph, Intersection

OrderName = Literal["natural", "largest-first", "smallest-last", "incidence-degree"]
Order: TypeAlias = OrderName | Sequence[int] | Array | Callable[[Graph], Sequence[int]]
ORDERS = get_args(OrderName)
_GONE = np.int64(2) ** 62


def arranged(order: Order, graph: Graph) -> list[int]:
    """The vertices of a graph in an order.

    Parameters
    ----------
    order : one of
        “natural”: as numbered;
        “largest-first”: by falling degree (Welsh and Powell 1967);
        “smallest-last”: the last is the vertex of least degree, before it the one of least degree among the rest, and
        so on (Matula and Beck 1983). A greedy colouring in which neighbours differ, and no more is asked, then has at
        most 1 + d colours, where d, the degeneracy, is the largest of these degrees;
        “incidence-degree”: next comes the vertex with most neighbours among those taken (Coleman and Moré 1983);
        a permutation of the vertices; or a function of the graph that gives one, from its `size`, `degrees` and
        `neighbours(v)`.

    Raises
    ------
    ValueError : an unknown name, or numbers that are no permutation.

    Source: Gebremedhin, Nguyen, Patwary and Pothen 2013 (ColPack), section 5; Coleman and Moré 1983 for columns.

    >>> from admodes.sparse.graph import Intersection, structure
    >>> arrow = structure([[1, 1, 1], [1, 1, 0], [1, 0, 1]])
    >>> arranged("natural", Intersection(arrow)), arranged([2, 0, 1], Intersection(arrow))
    ([0, 1, 2], [2, 0, 1])
    >>> arranged(lambda graph: np.argsort(graph.degrees), Intersection(structure([[1, 1, 0], [0, 1, 1]])))
    [0, 2, 1]
    """
    if not isinstance(order, str):
        return _permutation(order(graph) if callable(order) else order, graph.size)
    if order not in ORDERS:
        raise ValueError(
            f"order={order!r} is unknown: use one of {', '.join(ORDERS)}, a permutation of the vertices, or a function."
        )
    # Where all vertices are neighbours all degrees stay equal, and every order is of every kind.
    if order == "natural" or (isinstance(graph, Intersection) and graph.complete):
        return list(range(graph.size))
    if order == "largest-first":
        return np.argsort(-graph.degrees, kind="stable").tolist()
    if order == "smallest-last":
        return least_first(graph, graph.degrees)[::-1]
    return least_first(graph, np.zeros(graph.size, dtype=np.intp))


def _permutation(order: Any, size: int) -> list[int]:
    """The caller's own order, checked."""
    try:
        vertices = [operator.index(v) for v in order]
    except TypeError:
        raise ValueError(f"order={order!r:.60} is neither a name ({', '.join(ORDERS)}) nor a permutation.") from None
    if sorted(vertices) != list(range(size)):
        missing = sorted(set(range(size)) - set(vertices))[:3]
        what = f"{missing} missing" if missing else f"{len(vertices)} numbers"
        raise ValueError(f"order is no permutation of the {size} vertices 0 … {size - 1}: {what}.")
    return vertices


def least_first(graph: Graph, keys: Any) -> list[int]:
    """Vertices by least key, where a vertex that is taken lowers the keys of its neighbours by one.

    With the degrees as keys it takes the vertex of least degree in what remains; with zeros, the one with most
    neighbours already taken.
    """
    return _by_scanning(graph, keys) if graph.wide else _by_buckets(graph, keys)


def _by_scanning(graph: Graph, keys: Any) -> list[int]:
    """One pass over all keys a vertex: for graphs in which a vertex has about as many neighbours."""
    keys = keys.astype(np.int64)
    taken: list[int] = []
    for _ in range(graph.size):
        v = int(keys.argmin())
        taken.append(v)
        keys[graph.neighbours(v)] -= 1
        keys[v] = _GONE
    return taken


def _by_buckets(graph: Graph, keys: Any) -> list[int]:
    """A bucket for each key; a vertex stays in the buckets it has left, where its key tells that it is stale."""
    offset = int(graph.degrees.max(initial=0))
    key = (keys + offset).tolist()
    buckets: list[list[int]] = [[] for _ in range(max(key, default=0) + 1)]
    for v in reversed(range(graph.size)):
        buckets[key[v]].append(v)
    taken: list[int] = []
    low = 0
    while len(taken) < graph.size:
        while not buckets[low]:
            low += 1
        v = buckets[low].pop()
        if key[v] != low:
            continue
        taken.append(v)
        key[v] = -1
        for w in graph.neighbours(v).tolist():
            if key[w] >= 0:
                key[w] -= 1
                buckets[key[w]].append(w)
        low = max(low - 1, 0)
    return taken
