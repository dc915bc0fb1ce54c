"""In which order to eliminate: lowest degrees, the optimum over all vertex sequences, the optimum over edges."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Vertex = Any  # hashable

MOST_EXHAUSTIVE = 20  # intermediates: the search holds all subsets of so many
MOST_STATES = 100_000  # graphs that the search over edge eliminations may meet


class Graph(Protocol):
    """What the choice of an order, and a picture, read of a `LinearizedGraph`."""

    vertices: tuple[Vertex, ...]
    edges: dict[tuple[Vertex, Vertex], Any]
    inputs: tuple[Vertex, ...]
    outputs: tuple[Vertex, ...]
    intermediates: tuple[Vertex, ...]
    live: set[Vertex]
    labels: dict[Vertex, str]


def few(vertices: Sequence[Vertex]) -> str:
    shown = ", ".join(map(repr, vertices[:5])) or "none"
    return shown + (f" and {len(vertices) - 5} more" if len(vertices) > 5 else "")


class Remaining:
    """The graph under elimination: preds[j] = {i: c_ji}, and the successors of each vertex.

    For an order of one's own: `degree(v)` is what eliminating v takes now, and `eliminate(v)` does it. `partials` are
    other ones than the graph's, on the same edges.
    """

    def __init__(self, graph: Graph, partials: Mapping[tuple[Vertex, Vertex], Any] | None = None) -> None:
        live = graph.live
        self.preds: dict[Vertex, dict[Vertex, Any]] = {v: {} for v in live}
        self.succs: dict[Vertex, dict[Vertex, None]] = {v: {} for v in live}
        self.outputs = set(graph.outputs)
        for (i, j), c in (graph.edges if partials is None else partials).items():
            if i in live and j in live:
                self.preds[j][i] = 1.0 if c is None else c
                self.succs[i][j] = None

    def degree(self, v: Vertex) -> int:
        """The Markowitz degree: the multiplications that the elimination of v takes."""
        return len(self.preds[v]) * len(self.succs[v])

    def eliminate(self, v: Vertex) -> int:
        """Lead all paths past v; an output keeps the edges into it.  Returns the additions."""
        into = self.preds[v]
        after, self.succs[v] = self.succs[v], {}
        if v not in self.outputs:
            del self.preds[v]
            for i in into:
                del self.succs[i][v]
        return sum(self._lead(into, k, self.preds[k].pop(v)) for k in after)

    def _lead(self, into: dict[Vertex, Any], k: Vertex, c: Any) -> int:
        """c_ki += c · c_vi for the predecessors i of v; how many of these partials were there before."""
        row, additions = self.preds[k], 0
        for i, d in into.items():
            if i in row:
                row[i] += c * d
                additions += 1
            else:
                row[i] = c * d
                self.succs[i][k] = None
        return additions


def lowest_degree(graph: Graph, offset: Mapping[Vertex, int]) -> Iterator[Vertex]:
    """Always the vertex of the lowest degree less its offset; the earlier in the program of equals."""
    remaining = Remaining(graph)
    waiting = {v: k for k, v in enumerate(graph.intermediates)}
    queue = [(remaining.degree(v) - offset[v], k) for v, k in waiting.items()]
    heapq.heapify(queue)
    while queue:
        key, k = heapq.heappop(queue)
        v = graph.intermediates[k]
        if v not in waiting or key != remaining.degree(v) - offset[v]:
            continue  # an entry that has aged; a younger one stands for v
        del waiting[v]
        around = (*remaining.preds[v], *remaining.succs[v])
        remaining.eliminate(v)
        for w in waiting.keys() & around:
            heapq.heappush(queue, (remaining.degree(w) - offset[w], waiting[w]))
        yield v


# ---------------------------------------------------------------------------------------------------
# The optimum over all sequences of vertices
# ---------------------------------------------------------------------------------------------------


def components(graph: Graph) -> list[list[Vertex]]:
    """The intermediates in parts that no edge connects.

    After any eliminations, the neighbours of v are those it reaches through eliminated vertices, all of them in v's own
    part. So the parts do not touch each other's costs, and each is searched alone.
    """
    part = {v: [v] for v in graph.intermediates}
    for i, j in graph.edges:
        if i in part and j in part and part[i] is not part[j]:
            small, large = sorted((part[i], part[j]), key=len)
            large += small
            part.update(dict.fromkeys(small, large))
    found = {id(vertices): vertices for vertices in part.values()}
    place = {v: k for k, v in enumerate(graph.intermediates)}
    return [sorted(vertices, key=place.__getitem__) for vertices in found.values()]


def cheapest(graph: Graph) -> Iterator[Vertex]:
    """A sequence of the fewest multiplications.

    The graph that is left does not depend on the order in which a set S of vertices was eliminated, so with
    C(S) the fewest multiplications for S, C(S) = min over v in S of C(S − v) + degree of v after S − v.
    """
    parts = components(graph)
    widest = max(map(len, parts), default=0)
    if widest > MOST_EXHAUSTIVE:
        raise ValueError(
            f"order='exhaustive' searches all subsets of the intermediate vertices, for at most {MOST_EXHAUSTIVE} that "
            f"are connected; this graph has {widest}. Use 'relative-markowitz' or 'markowitz', or a smaller program."
        )
    remaining = Remaining(graph)
    for part in parts:
        yield from _cheapest_part(part, remaining)


def _cheapest_part(part: list[Vertex], remaining: Remaining) -> Iterator[Vertex]:
    k = len(part)
    above = _neighbours(part, [remaining.preds[v] for v in part], set())
    below = _neighbours(part, [remaining.succs[v] for v in part], remaining.outputs)

    def degree(v: int, sets: Any) -> Any:
        return np.multiply(above[v, sets], below[v, sets], dtype=np.int64)

    masks = np.arange(1 << k)
    size = np.bitwise_count(masks)
    best = np.full(1 << k, np.iinfo(np.int64).max)
    best[0] = 0
    for level in range(1, k + 1):
        sets = masks[size == level]
        for v in range(k):
            with_v = sets[sets >> v & 1 == 1]
            before = with_v ^ (1 << v)
            best[with_v] = np.minimum(best[with_v], best[before] + degree(v, before))
    done, sequence = (1 << k) - 1, []
    while done:
        v = min(_bits(done), key=lambda v: best[done ^ 1 << v] + degree(v, done ^ 1 << v))
        sequence.append(part[v])
        done ^= 1 << v
    return reversed(sequence)


def _bits(mask: int) -> list[int]:
    return [v for v in range(mask.bit_length()) if mask >> v & 1]


def _neighbours(part: list[Vertex], near: Sequence[Iterable[Vertex]], lasting: set[Vertex]) -> np.ndarray:
    """counts[v, S]: how many neighbours v has on one side once the set S is eliminated, S the bits of an integer.

    Neighbours within the part are bits of one word; those outside, and outputs of the part, which stay neighbours
    when they are eliminated, are bits of further words.
    """
    place = {v: k for k, v in enumerate(part)}
    outside = list(dict.fromkeys(w for ws in near for w in ws if w not in place or w in lasting))
    inner = _words(near, place)
    reach = _closures(inner)
    counted = sum(1 << k for w, k in place.items() if w not in lasting)
    counts = np.bitwise_count(reach & counted).astype(np.int32)
    for start in range(0, len(outside), 31):
        block = {w: k for k, w in enumerate(outside[start : start + 31])}
        counts += np.bitwise_count(_carried(_words(near, block), reach))
    return counts


def _words(near: Sequence[Iterable[Vertex]], bit: Mapping[Vertex, int]) -> list[int]:
    """For each vertex its neighbours among those that have a bit."""
    return [sum(1 << bit[w] for w in ws if w in bit) for ws in near]


def _closures(inner: list[int]) -> np.ndarray:
    """reach[v, S]: the neighbours of v, as bits, once the set S is eliminated; inner[v] those at the start."""
    k = len(inner)
    reach = np.zeros((k, 1 << k), np.int32)
    reach[:, 0] = inner
    for u in range(k):  # the sets with u as the highest vertex, from those without
        low, high = slice(0, 1 << u), slice(1 << u, 2 << u)
        through = np.where(reach[:, low] >> u & 1, reach[u, low], 0)
        reach[:, high] = (reach[:, low] | through) & ~(1 << u)
    return reach


def _carried(words: list[int], reach: np.ndarray) -> np.ndarray:
    """[v, S]: the bits of `words` that v has or reaches through S."""
    found = np.zeros_like(reach)
    found[:, 0] = words
    for u in range(len(words)):
        low, high = slice(0, 1 << u), slice(1 << u, 2 << u)
        found[:, high] = found[:, low] | np.where(reach[:, low] >> u & 1, found[u, low], 0)
    return found


# ---------------------------------------------------------------------------------------------------
# Edge elimination
# ---------------------------------------------------------------------------------------------------


def fewest_by_edges(graph: Graph) -> int:
    """The fewest multiplications by edge eliminations: Dijkstra's search over the graphs that they lead to."""
    start = frozenset((i, j) for i, j in graph.edges if i in graph.live and j in graph.live)
    inputs, outputs = frozenset(graph.inputs), frozenset(graph.outputs)
    costs, queue, number = {start: 0}, [(0, 0, start)], itertools.count(1)
    while True:
        cost, _, edges = heapq.heappop(queue)
        if all(i in inputs for i, _ in edges):
            return cost
        for price, after in _edge_eliminations(edges, inputs, outputs) if cost == costs[edges] else ():
            if after not in costs or cost + price < costs[after]:
                costs[after] = cost + price
                heapq.heappush(queue, (cost + price, next(number), after))
        if len(costs) > MOST_STATES:
            raise ValueError(
                f"optimal_edge_multiplications: more than {MOST_STATES:,} graphs to search for "
                f"{len(graph.intermediates)} intermediates; use multiplications('exhaustive'), which searches "
                "vertex eliminations only, or a heuristic order."
            )


def _edge_eliminations(edges: frozenset[Any], inputs: frozenset[Any], outputs: frozenset[Any]) -> Iterator[Any]:
    """Every graph that one edge elimination leads to, with its multiplications."""
    preds: dict[Vertex, set[Vertex]] = {}
    succs: dict[Vertex, set[Vertex]] = {}
    for i, j in edges:
        preds.setdefault(j, set()).add(i)
        succs.setdefault(i, set()).add(j)
    for j in succs.keys() - inputs:
        for k in succs[j]:
            last = len(succs[j]) == 1 and j not in outputs
            gone = {(i, j) for i in preds[j]} if last else set()
            yield len(preds[j]), edges - {(j, k)} - gone | {(i, k) for i in preds[j]}
        for i in preds[j] if j not in outputs else ():
            gone = {(j, k) for k in succs[j]} if len(preds[j]) == 1 else set()
            yield len(succs[j]), edges - {(i, j)} - gone | {(i, k) for k in succs[j]}
