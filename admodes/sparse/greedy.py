"""The greedy loops: each vertex in turn gets the least colour that its neighbourhood allows.

A set of colours is a Python integer, bit c for colour c: the union of two sets is one operation, and the least colour
outside a set is the lowest zero bit.  So one pass over the entries of the pattern suffices where the textbook algorithm
walks every path of length two, and a full row costs no more than its entries.
"""

from __future__ import annotations

from collections.abc import Iterable

UNCOLOURED = -1


def partial_distance_2(lines: list[list[int]], across: int, order: Iterable[int]) -> list[int]:
    """Colours such that no line across holds a colour twice.

    `lines[v]` are the lines across (of `across`) that vertex v has an entry in: the rows of a column.  A vertex without
    entries needs no colour.

    Source: Gebremedhin, Manne and Pothen 2005, Algorithm 3.2, with the forbidden colours kept by line.
    """
    present = [0] * across
    colours = [UNCOLOURED] * len(lines)
    for v in order:
        line = lines[v]
        if not line:
            continue
        forbidden = 0
        for i in line:
            forbidden |= present[i]
        bit = ~forbidden & (forbidden + 1)
        colours[v] = bit.bit_length() - 1
        for i in line:
            present[i] |= bit
    return colours


def distance_1(neighbours: list[list[int]], order: Iterable[int]) -> list[int]:
    """Colours that differ along every edge."""
    bits = [0] * len(neighbours)
    for v in order:
        forbidden = 0
        for w in neighbours[v]:
            forbidden |= bits[w]
        bits[v] = ~forbidden & (forbidden + 1)
    return _colours(bits)


def star(neighbours: list[list[int]], order: Iterable[int]) -> list[int]:
    """Colours that differ along every edge, and of which every path on four vertices has three.

    The edges between two colours then form stars.  Colouring v completes a two-coloured path on four vertices

        v – w – x – y : x has two neighbours of the colour of w, so w is a spoke of its star; its colour is forbidden;
        w – v – w′ – x : w and w′ share a colour, so v becomes a hub; the colours around w and w′ are forbidden.

    Source: Gebremedhin, Tarafdar, Manne and Pothen 2007, Algorithm 4.1, which keeps the stars themselves; here each
    vertex keeps the colours around it, those around it twice, and those of the hubs whose spoke it is.
    """
    size = len(neighbours)
    bits, around, twice, hubs = [0] * size, [0] * size, [0] * size, [0] * size
    for v in order:
        forbidden, repeated = around[v], twice[v]
        for w in neighbours[v]:
            forbidden |= hubs[w] | around[w] if bits[w] & repeated else hubs[w]
        bit = bits[v] = ~forbidden & (forbidden + 1)
        for w in neighbours[v]:
            if bits[w] & repeated:
                hubs[w] |= bit
            if not around[w] & bit:
                around[w] |= bit
            elif twice[w] & bit:
                hubs[v] |= bits[w]
            else:
                twice[w] |= bit
                for x in neighbours[w] if bits[w] else ():
                    if bits[x] == bit:
                        hubs[x] |= bits[w]
    return _colours(bits)


def acyclic(neighbours: list[list[int]], order: Iterable[int]) -> list[int]:
    """Colours that differ along every edge, and of which every cycle has three.

    The edges between two colours then form trees.  A colour c closes a two-coloured cycle at v where two neighbours of
    v, alike in colour, are in one tree of their colour and c.  The trees are kept as disjoint sets of pairs (vertex,
    other colour): an edge vw joins (v, colour of w) with (w, colour of v).

    Source: Gebremedhin, Tarafdar, Manne and Pothen 2007, Algorithm 3.1.
    """
    size = len(neighbours)
    bits, repeated = [0] * size, [0] * size
    around = [0] * size
    pairs: list[dict[int, int]] = [{} for _ in range(size)]
    trees = _DisjointSets()
    for v in order:
        forbidden = around[v]
        met: set[int] = set()
        for w in neighbours[v]:
            if bits[w] & repeated[v]:
                for other, pair in pairs[w].items():
                    tree = trees.find(pair)
                    if tree in met:
                        forbidden |= other
                    met.add(tree)
        bit = bits[v] = ~forbidden & (forbidden + 1)
        for w in neighbours[v]:
            repeated[w] |= around[w] & bit
            around[w] |= bit
            if bits[w]:
                trees.join(trees.member(pairs[v], bits[w]), trees.member(pairs[w], bit))
    return _colours(bits)


class _DisjointSets:
    """Numbers joined into sets, by halving of paths and without ranks."""

    def __init__(self) -> None:
        self.parent: list[int] = []

    def member(self, pairs: dict[int, int], colour: int) -> int:
        """The number of a vertex's pair with a colour; a new one is a set of its own."""
        if colour not in pairs:
            pairs[colour] = len(self.parent)
            self.parent.append(len(self.parent))
        return pairs[colour]

    def find(self, a: int) -> int:
        """The number that stands for the set of a."""
        parent = self.parent
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        return a

    def join(self, a: int, b: int) -> None:
        """One set of two."""
        self.parent[self.find(a)] = self.find(b)


def _colours(bits: list[int]) -> list[int]:
    """The number of the one bit set in each."""
    return [bit.bit_length() - 1 for bit in bits]
