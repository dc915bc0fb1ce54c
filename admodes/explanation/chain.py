"""A function of one array as a chain of Jacobians: the product, its bracketings, and what each block costs.

The function is cut at every value that all paths pass, and what lies between two of them is a layer of a
`JacobianChain`.  A bracketing costs what `JacobianChain.cost` says: local Jacobians, and a product a pair of brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..chains.chain import JacobianChain
from ..program.recording import Value, mapped
from .story import Story
from .sweeps import carried_out
from .walk import Graph

# Factors of a chain of which all bracketings are shown: there are 132 of 7.
MOST_FACTORS = 7
# Entries of the largest block that is formed for the page.
MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Product:
    """One product of two blocks, and its multiply-adds: factors first … middle, times middle + 1 … last."""

    first: int
    middle: int
    last: int
    cost: int


@dataclass(frozen=True)
class Order:
    """One bracketing: as it is written, its products in the order in which they are formed, and what it costs."""

    text: str
    products: tuple[Product, ...]
    cost: int


@dataclass(frozen=True)
class Chain:
    """The factors of a function, the blocks that products of neighbours form, and all bracketings, cheapest first.

    blocks : of factors first … last; accumulation : multiply-adds of each local Jacobian; sweeps : of the whole
    Jacobian by one mode alone, and of the cheapest order of all, in which parts may be carried through.
    """

    chain: JacobianChain
    blocks: dict[tuple[int, int], Any]
    accumulation: tuple[int, ...]
    orders: tuple[Order, ...]
    sweeps: dict[str, int]


def chain_of(story: Story) -> Chain | None:
    """The chain of a function of one array to one array; None where it is none, or too long or too large to show."""
    p = story.problem
    if len(p.active) != 1 or len(p.results) != 1 or p.results[0].dtype.kind != "f":
        return None
    cuts = _cuts(story.graph, p.program.outputs[0])
    if len(cuts) > MOST_FACTORS:  # layers as the user's variables have them
        named = set(story.variables)
        cuts = [(v, k) for v, k in cuts[:-1] if v in named] + cuts[-1:]
    if not 2 <= len(cuts) <= MOST_FACTORS:
        return None
    starts = [(p.program.inputs[p.active[0]], -1), *cuts[:-1]]
    layers = [_layer(story.graph, v, k, w, j) for (v, k), (w, j) in zip(starts, cuts, strict=True)]
    chain = JacobianChain(layers, p.xs[0])
    sizes = [chain.factors[0].n, *(f.m for f in chain.factors)]
    if len(chain) > MOST_FACTORS or max(sizes) ** 2 > MOST_ENTRIES:
        return None
    forms = {(i, i): f.form for i, f in enumerate(chain.factors)}
    blocks = {(i, i): f.push(np.eye(f.n).reshape(f.n, *f.x.shape), (f.n,)).reshape(f.n, f.m).T
              for i, f in enumerate(chain.factors)}  # fmt: skip
    for width in range(1, len(chain)):
        for i in range(len(chain) - width):
            forms[i, i + width] = forms[i + 1, i + width] @ forms[i, i]
            blocks[i, i + width] = blocks[i + 1, i + width] @ blocks[i, i]
    accumulation = tuple(f.link.accumulation(f.link.cheaper()) for f in chain.factors)

    def price(i: int, k: int, j: int) -> int:
        return int(forms[k + 1, j].cost(forms[i, k]))

    orders = []
    for tree in _trees(0, len(chain) - 1):
        products = tuple(Product(i, k, j, price(i, k, j)) for i, k, j in _products(tree))
        orders.append(Order(_written(tree), products, sum(accumulation) + sum(one.cost for one in products)))
    orders.sort(key=lambda order: order.cost)
    sweeps = {name: chain.cost(name) for name in ("forward", "reverse", "optimal")}
    return Chain(chain, blocks, accumulation, tuple(orders), sweeps)


def _cuts(graph: Graph, result: Any) -> list[tuple[Value, int]]:
    """The values that all that follows depends on alone, and the instructions that make them; the result last."""
    last: dict[Value, int] = {}
    for edge in graph.edges:
        if edge.local is not None:
            last[edge.source] = edge.instruction
    found = []
    open_until = max((last.get(v, -1) for v in graph.program.inputs), default=-1)  # the last use of all made so far
    for k in graph.steps:
        outs = [graph.program.instructions[k].outs[j] for j in graph.outs(k)]
        if open_until <= k and len(outs) == 1 and outs[0].dtype.kind == "f" and outs[0].size:
            found.append((outs[0], k))
            if outs[0] is result:
                return found
        open_until = max([open_until, *(last.get(v, -1) for v in outs)])
    return []


def _layer(graph: Graph, source: Value, after: int, result: Value, until: int) -> Callable[[Any], Any]:
    """The operations between two values as a function of the first, all else held at the point."""

    def layer(x: Any) -> Any:
        known = {v: y for v, y in graph.known.items() if v not in graph.active} | {source: x}
        for k in graph.steps:
            if after < k <= until and graph.outs(k):
                instruction = graph.program.instructions[k]
                y = carried_out(instruction, _given(instruction.args, known), _given(instruction.params, known))
                known.update(zip(instruction.outs, y if isinstance(y, tuple | list) else (y,), strict=True))
        return known[result]

    return layer


def _given(tree: Any, known: dict[Value, Any]) -> Any:
    return mapped(tree, lambda x: known[x] if isinstance(x, Value) else x)


@cache
def _trees(i: int, j: int) -> tuple[Any, ...]:
    """All bracketings of factors i … j, as nested pairs."""
    if i == j:
        return (i,)
    return tuple((a, b) for k in range(i, j) for a in _trees(i, k) for b in _trees(k + 1, j))


def _span(tree: Any) -> tuple[int, int]:
    return (tree, tree) if isinstance(tree, int) else (_span(tree[0])[0], _span(tree[1])[1])


def _products(tree: Any) -> Iterator[tuple[int, int, int]]:
    """Of each product its first factor, the last of its right block, its last; parts before what they make."""
    if not isinstance(tree, int):
        yield from _products(tree[0])
        yield from _products(tree[1])
        (i, k), (_, j) = _span(tree[0]), _span(tree[1])
        yield i, k, j


def _written(tree: Any, outer: bool = True) -> str:
    """A bracketing as it is written, the factor nearest to the result first: (J₃J₂)J₁."""
    if isinstance(tree, int):
        return f"J{str(tree + 1).translate(_SUBSCRIPTS)}"
    inner = _written(tree[1], False) + _written(tree[0], False)
    return inner if outer else f"({inner})"


_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
