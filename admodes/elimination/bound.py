"""How many multiplications every sequence of vertices takes at least: vertex cuts above and below each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .orders import Graph


def least_multiplications(graph: Graph) -> int:
    """The sum over v of (disjoint paths from the inputs to v) · (disjoint paths from v to the outputs)."""
    edges = [(i, j) for i, j in graph.edges if i in graph.live and j in graph.live]
    above = _Cuts(edges, graph.inputs)
    below = _Cuts([(j, i) for i, j in edges], graph.outputs)
    return sum(above(v) * below(v) for v in graph.intermediates)


class _Cuts:
    """The most paths from sources to a vertex that share no other vertex, by a flow through split vertices."""

    def __init__(self, edges: list[tuple[Any, Any]], sources: Iterable[Any]) -> None:
        from scipy.sparse import csr_array

        places: dict[Any, int] = {}
        for pair in edges:
            for v in pair:
                places.setdefault(v, len(places))
        self.places, n = places, len(places)
        self.sources = frozenset(sources)
        # Vertex k comes in at 2k and goes on at 2k + 1, one path at most; 2n is before all sources.
        arrows = [(2 * k, 2 * k + 1) for k in range(n)]
        arrows += [(2 * places[i] + 1, 2 * places[j]) for i, j in edges]
        arrows += [(2 * n, 2 * places[v]) for v in self.sources if v in places]
        rows, columns = np.array(arrows, dtype=np.int32).T
        self.flow = csr_array((np.ones(len(arrows), np.int32), (rows, columns)), shape=(2 * n + 1, 2 * n + 1))

    def __call__(self, v: Any) -> int:
        from scipy.sparse.csgraph import maximum_flow

        n = len(self.places)
        found = int(maximum_flow(self.flow, 2 * n, 2 * self.places[v]).flow_value)
        return found - (v in self.sources)  # the way of no edge from an output to itself
