"""The linearised computational graph: vertices, local partials, and the Jacobian by any order of elimination."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..core.figures import svg
from ..core.tables import Column, Record, Table, Tabular, whole, written
from . import interchange
from .annealing import annealed
from .bound import least_multiplications
from .orders import (
    MOST_EXHAUSTIVE,
    Remaining,
    Vertex,
    cheapest,
    components,
    few,
    fewest_by_edges,
    lowest_degree,
)

OrderName = Literal["forward", "reverse", "markowitz", "relative-markowitz", "annealed", "exhaustive"]
Order = OrderName | Sequence[Vertex] | Callable[["LinearizedGraph"], Iterable[Vertex]]

ORDERS = get_args(OrderName)
_AT_ONCE = ORDERS[:4]  # those that `compare` shows unasked
MOST_DRAWN = 60  # vertices, unasked

_VERTICES = (
    Column("vertex", side="<"),
    Column("kind", side="<"),
    Column("operation", side="<"),
    Column("predecessors", side="<"),
)


class LinearizedGraph(Tabular):
    """A linearised computational graph: local partials on the edges of a directed acyclic graph.

    Parameters
    ----------
    edges : {(i, j): ∂v_j/∂v_i}, or pairs (i, j) alone for a graph that is only counted. Vertices are any hashables.
    inputs, outputs : the vertices that are the columns and the rows of the Jacobian, in order; None: those without
        predecessors, those without successors, in the order in which the edges name them. An output may have
        successors, or be named twice; an input has no predecessors. A vertex without edges is allowed: a zero column
        or row.
    labels : {vertex: what to print beside it}.

    Attributes
    ----------
    inputs, outputs : tuples of vertices.
    intermediates : what there is to eliminate, in topological order: every vertex that is no input, lies on a path from
        an input to an output, and has successors. The rest is dead code and costs nothing.
    edges : {(i, j): partial} as given; the partial None where there was none.
    live : the vertices on a path from an input to an output.

    Raises
    ------
    ValueError : a cycle, an input with predecessors or named twice.  TypeError : an edge that is no pair, a partial
    that is no real number.

    Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed. (2008), chapters 9 and 10; Naumann, "Optimal
    accumulation of Jacobian matrices by elimination methods on the dual computational graph", Math. Program. 99 (2004).

    >>> graph = LinearizedGraph({("x", "a"): 3.0, ("a", "b"): 2.0, ("b", "y"): 5.0, ("b", "z"): 7.0})
    >>> graph.accumulate("forward")
    array([[30.],
           [42.]])
    >>> print(graph.compare())
    order               multiplications  additions  fill-in
    forward                           3          0        3
    reverse                           4          0        4
    markowitz                         3          0        3
    relative-markowitz                3          0        3
    exhaustive                        3          0        3
    """

    def __init__(
        self,
        edges: Mapping[tuple[Vertex, Vertex], float] | Iterable[tuple[Vertex, Vertex]],
        inputs: Iterable[Vertex] | None = None,
        outputs: Iterable[Vertex] | None = None,
        labels: Mapping[Vertex, str] | None = None,
    ) -> None:
        self.edges = _checked_edges(edges)
        self.structural = not isinstance(edges, Mapping)  # without partials: to be counted, not accumulated
        vertices = dict.fromkeys(v for edge in self.edges for v in edge)
        targets, sources = {j for _, j in self.edges}, {i for i, _ in self.edges}
        self.inputs = tuple([v for v in vertices if v not in targets] if inputs is None else inputs)
        self.outputs = tuple([v for v in vertices if v not in sources] if outputs is None else outputs)
        self.labels = dict(labels or {})
        self._dtype: Any = np.result_type(np.float64, *{type(c) for c in self.edges.values() if c is not None})
        _check_inputs(self.inputs, targets)
        vertices |= dict.fromkeys((*self.inputs, *self.outputs))
        self.vertices = tuple(_topological(tuple(vertices), self.edges))
        self.live = self._between()
        inner = {i for i, j in self.edges if i in self.live and j in self.live}.difference(self.inputs)
        self.intermediates = tuple(v for v in self.vertices if v in inner)

    def _between(self) -> set[Vertex]:
        """The vertices on a path from an input to an output."""
        above, below = self._inputs_of(), self._outputs_of()
        return {v for v in self.vertices if above[v] and below[v]}

    def _inputs_of(self) -> dict[Vertex, int]:
        """For each vertex the inputs it depends on, as the bits of an integer."""
        return _reach(self.vertices, self.inputs, self.edges)

    def _outputs_of(self) -> dict[Vertex, int]:
        """For each vertex the outputs that depend on it."""
        return _reach(self.vertices[::-1], dict.fromkeys(self.outputs), ((j, i) for i, j in self.edges))

    @classmethod
    def from_edges(
        cls,
        edges: Any,
        inputs: Iterable[Vertex] | None = None,
        outputs: Iterable[Vertex] | None = None,
        labels: Mapping[Vertex, str] | None = None,
    ) -> LinearizedGraph:
        """The graph of edges in any of the forms in which one has them.

        Parameters
        ----------
        edges : {(i, j): partial}; or triples (i, j, partial), parallel ones added up as parallel paths are; or pairs
            (i, j), for a graph that is only counted; or a `networkx.DiGraph`, whose edges all have an attribute
            "partial" or none has, and whose nodes may have a "label".
        inputs, outputs, labels : as for the class; of a networkx graph None takes its attributes of these names.

        Raises
        ------
        As the class; TypeError too where some edges have a partial and some have none.

        >>> LinearizedGraph.from_edges([("x", "a", 3.0), ("a", "y", 2.0), ("x", "a", 1.0)]).accumulate("reverse")
        array([[8.]])
        """
        return cls(*interchange.read_edges(edges, inputs, outputs, labels))

    @classmethod
    def from_csv(cls, path: Any) -> LinearizedGraph:
        """The graph in a file that `to_csv` wrote, or one of the same columns: kind, from, to, partial.

        Parameters
        ----------
        path : of the file. A line of kind "input" names its vertex under "to", one of kind "output" under "from".

        Raises
        ------
        ValueError : a line that is none of these; as the class.
        """
        return cls(*interchange.read_csv(path))

    def to_edges(self) -> list[tuple[Vertex, ...]]:
        """Triples (i, j, partial), or pairs (i, j) where there are no partials, as `from_edges` takes them.

        >>> LinearizedGraph({("x", "y"): 2.0}).to_edges()
        [('x', 'y', 2.0)]
        """
        return [edge if c is None else (*edge, c) for edge, c in self.edges.items()]

    def to_networkx(self) -> Any:
        """A `networkx.DiGraph` that `from_edges` takes back: edges with "partial", nodes with "label", and "inputs" and
        "outputs" of the graph.

        Raises
        ------
        ImportError : networkx is not installed.
        """
        return interchange.to_networkx(self)

    def to_csv(self, path: Any = None) -> str:
        """Lines kind, from, to, partial: first the inputs, then the edges, then the outputs, each in order.

        Parameters
        ----------
        path : of a file to write them to as well.

        Vertices are written as text, of which `from_csv` reads whole numbers back as integers; labels are left out.
        """
        return written(interchange.as_csv(self), path)

    # -----------------------------------------------------------------------------------------------

    def accumulate(self, order: Order = "relative-markowitz") -> np.ndarray:
        """The Jacobian, m outputs × n inputs: J[i, j] = ∂ output i / ∂ input j.

        Parameters
        ----------
        order : "forward", "reverse", "markowitz", "relative-markowitz", "annealed" or "exhaustive"; the intermediate
            vertices in a sequence of one's own; or a function of the graph that gives one; see `order`.

        Raises
        ------
        ValueError : an unknown order; a graph without partials; "exhaustive" for a graph too large for it.

        >>> LinearizedGraph({(0, 1): 2.0, (1, 2): 3.0}).accumulate("reverse")
        array([[6.]])
        """
        jacobian = self.eliminate(order).jacobian
        if jacobian is None:
            raise ValueError(
                "this graph was built from edges without partials, so it has no Jacobian; build it from a mapping "
                "{(i, j): partial}. multiplications() counts without them."
            )
        return jacobian

    def eliminate(self, order: Order = "relative-markowitz") -> Elimination:
        """Eliminate all intermediate vertices in an order: the Jacobian, and the work counted on the way.

        Parameters
        ----------
        order : "forward", "reverse", "markowitz", "relative-markowitz", "annealed" or "exhaustive"; or the intermediate
            vertices in a sequence, or a function of the graph that gives one; see `order`.

        Errors as for `accumulate`; a graph without partials has `.jacobian` None.

        >>> LinearizedGraph({(0, 1): 2.0, (1, 2): 3.0, (0, 2): 1.0}).eliminate("forward")
        Elimination(order='forward', sequence=(1,), multiplications=1, additions=1, fill_in=0)
        """
        sequence = self.order(order)
        remaining = Remaining(self)
        products = additions = 0
        for v in sequence:
            products += remaining.degree(v)
            additions += remaining.eliminate(v)
        jacobian = None
        if not self.structural:
            jacobian = np.zeros((len(self.outputs), len(self.inputs)), self._dtype)
            for place, c in self._left(remaining):
                jacobian[place] = c
        return Elimination(_name(order), sequence, products, additions, products - additions, jacobian)

    def eliminated(self, partials: Mapping[tuple[Vertex, Vertex], Any], sequence: Sequence[Vertex]) -> Any:
        """The Jacobian for other partials on the same edges, traced ones, say.

        Parameters
        ----------
        partials : {(i, j): ∂v_j/∂v_i}, numbers or traced scalars.
        sequence : the intermediate vertices, as `order` gives them.
        """
        remaining = Remaining(self, partials)
        for v in sequence:
            remaining.eliminate(v)
        entries = np.full((len(self.outputs), len(self.inputs)), self._dtype.type(0), object)
        for place, c in self._left(remaining):
            entries[place] = c
        return np.reshape(np.stack(entries.ravel().tolist()), entries.shape).astype(self._dtype)

    def count(self, order: Order = "relative-markowitz") -> int:
        """How many multiplications the accumulation takes in an order; partials are not needed.

        Parameters
        ----------
        order : "forward", "reverse", "markowitz", "relative-markowitz", "annealed" or "exhaustive"; or the intermediate
            vertices in a sequence, or a function of the graph that gives one; see `order`.

        >>> LinearizedGraph([(0, 1), (1, 2), (1, 3)]).count("forward")
        2
        """
        return self.eliminate(order).multiplications

    multiplications = count

    def order(self, order: Order = "relative-markowitz") -> tuple[Vertex, ...]:
        """The vertices in the sequence in which an order eliminates them.

        Parameters
        ----------
        order :
            "forward" : topological order, which is sparse forward mode.
            "reverse" : the opposite, sparse reverse mode.
            "markowitz" : always the vertex of the lowest Markowitz degree at that time, the first of equals
                (Griewank & Reese, "On the calculation of Jacobian matrices by the Markowitz rule", 1991).
            "relative-markowitz" : the lowest Markowitz degree less the product of the numbers of inputs above and of
                outputs below the vertex, which is what it would cost last (Griewank & Walther, chapter 10).
            "annealed" : the best of a search that moves one vertex at a time (see `annealing`), about a second for a
                hundred vertices; faster with the extra `native`.
            "exhaustive" : a sequence with the fewest multiplications of all; for graphs of at most 20 intermediates
                connected with each other.
            a sequence : every intermediate vertex once.
            a function : of this graph, that gives such a sequence; `Remaining(graph)` is a graph to eliminate on.

        Raises
        ------
        ValueError : an unknown order, a sequence that is no permutation of `intermediates`, a graph too large.

        >>> graph = LinearizedGraph([(0, 1), (1, 2), (2, 3)])
        >>> graph.order("reverse"), graph.order(lambda graph: sorted(graph.intermediates))
        ((2, 1), (1, 2))
        """
        if not isinstance(order, str):
            return self._given(tuple(order(self) if callable(order) else order))
        makers: dict[str, Callable[[], Iterable[Vertex]]] = {
            "forward": lambda: self.intermediates,
            "reverse": lambda: self.intermediates[::-1],
            "markowitz": lambda: lowest_degree(self, dict.fromkeys(self.intermediates, 0)),
            "relative-markowitz": lambda: lowest_degree(self, self._last_degrees()),
            "annealed": lambda: annealed(self, self.order("relative-markowitz")),
            "exhaustive": lambda: cheapest(self),
        }
        if order not in makers:
            raise ValueError(
                f"order={order!r} is none of {', '.join(map(repr, ORDERS))}, nor a sequence of vertices or a function."
            )
        return tuple(makers[order]())

    sequence = order

    def lower_bound(self) -> int:
        """A number of multiplications that no sequence of vertices undercuts.

        The predecessors of v, whenever it is eliminated, separate it from the inputs, so they are at least as many as
        there are paths from inputs to v that share no vertex but v (Menger); its successors likewise. The bound is the
        sum of the products of both numbers.

        >>> graph = LinearizedGraph([(0, 1), (1, 2), (1, 3)])
        >>> graph.lower_bound(), graph.count("reverse")
        (2, 2)
        """
        return least_multiplications(self)

    def compare(self, *more: Order) -> Orders:
        """Every order beside the others; printing it gives a table. "exhaustive" is left out where it cannot be had.

        Parameters
        ----------
        *more : further orders beside "forward", "reverse", "markowitz", "relative-markowitz" and "exhaustive":
            "annealed", below which stands the lower bound; sequences, or functions of the graph, which stand there by
            their names; see `order`.

        >>> graph = LinearizedGraph([("x", "a"), ("a", "b"), ("b", "y"), ("b", "z")])
        >>> print(graph.compare("annealed"))
        order               multiplications  additions  fill-in
        forward                           3          0        3
        reverse                           4          0        4
        markowitz                         3          0        3
        relative-markowitz                3          0        3
        exhaustive                        3          0        3
        annealed                          3          0        3
        no order takes fewer than 3 multiplications
        """
        names = [*_AT_ONCE, "exhaustive"] if self._exhaustible() else _AT_ONCE
        bound = self.lower_bound() if "annealed" in more else None
        return Orders({_name(order): self.eliminate(order) for order in (*names, *more)}, bound)

    def optimal_edge_multiplications(self) -> int:
        """The fewest multiplications of any sequence of *edge* eliminations, for tiny graphs.

        An edge (i, j) is front-eliminated by leading i past j, c_ki += c_kj·c_ji for every successor k of j, and (j, k)
        back-eliminated by c_ki += c_kj·c_ji for every predecessor i of j; a vertex without predecessors or without
        successors then goes with its edges. A vertex is eliminated by all its edges on one side, so this is never more
        than "exhaustive", and may be less. Into an output that has successors no edge is front-eliminated.

        Raises
        ------
        ValueError : the search meets more than 100,000 graphs.

        Source: Naumann, "Optimal accumulation of Jacobian matrices …" (2004); Griewank & Walther,
        chapter 10. The search is Dijkstra's for the shortest path in the metagraph.

        >>> LinearizedGraph([(0, 1), (1, 2), (1, 3)]).optimal_edge_multiplications()
        2
        """
        return fewest_by_edges(self)

    # -----------------------------------------------------------------------------------------------

    def _given(self, sequence: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
        missing = [v for v in self.intermediates if v not in set(sequence)]
        extra = list((Counter(sequence) - Counter(self.intermediates)).elements())
        if missing or extra:
            raise ValueError(
                f"order: a sequence names every intermediate vertex once, in any order; missing {few(missing)}, "
                f"too many {few(extra)}. See .intermediates."
            )
        return sequence

    def _last_degrees(self) -> dict[Vertex, int]:
        """(inputs above) · (outputs below) of each vertex: its degree if it is eliminated last."""
        above, below = self._inputs_of(), self._outputs_of()
        return {v: above[v].bit_count() * below[v].bit_count() for v in self.intermediates}

    def _exhaustible(self) -> bool:
        return all(len(part) <= MOST_EXHAUSTIVE for part in components(self))

    def _left(self, remaining: Remaining) -> Iterator[tuple[tuple[int, int], Any]]:
        """The nonzero entries of the Jacobian, with their places: partials of the edges that are left."""
        column = {v: k for k, v in enumerate(self.inputs)}
        for row, y in enumerate(self.outputs):
            if y in column:
                yield (row, column[y]), 1
            for x, c in remaining.preds.get(y, {}).items():
                yield (row, column[x]), c

    def table(self) -> Table:
        """The sizes, and every vertex with its predecessors and partials."""
        sizes = (len(self.inputs), "input"), (len(self.intermediates), "intermediate"), (len(self.outputs), "output")
        head = ", ".join(f"{n:,} {name}{'s' * (n != 1)}" for n, name in (*sizes, (len(self.edges), "edge")))
        into: dict[Vertex, list[str]] = {v: [] for v in self.vertices}
        for (i, j), c in self.edges.items():
            into[j].append(str(i) if c is None else f"{i}: {c:.6g}")
        outputs, inputs = set(self.outputs), set(self.inputs)
        kinds = {v: "output" if v in outputs else "input" if v in inputs else "" for v in self.vertices}
        records: list[Record] = [
            {"vertex": v, "kind": kinds[v], "operation": self.labels.get(v, ""), "predecessors": ", ".join(into[v])}
            for v in self.vertices
        ]
        return Table(_VERTICES, records, f"LinearizedGraph: {head}")

    def picture(self) -> str:
        """The graph, as far as it can be looked at."""
        return svg(self.draw()) if len(self.vertices) <= MOST_DRAWN else ""

    def draw(self, path: Any = None) -> Any:
        """The graph with matplotlib: inputs on the left, an arrow an edge with its partial, outputs on the right.

        Parameters
        ----------
        path : where to save the picture; its suffix says how (.svg, .png, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        >>> figure = LinearizedGraph({("x", "y"): 2.0}).draw()
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['x', 'y', '', '2']
        """
        from .picture import draw

        return draw(self, path)


@dataclass(frozen=True, eq=False)
class Elimination:
    """One accumulation: the order, the sequence of vertices, the work, and the Jacobian.

    multiplications : products of two partials. Each is either added to a partial that stands there (`additions`) or
        becomes a new edge (`fill_in`).
    jacobian : (m, n), or None for a graph without partials.
    """

    order: str
    sequence: tuple[Vertex, ...]
    multiplications: int
    additions: int
    fill_in: int
    jacobian: np.ndarray | None = None

    def __repr__(self) -> str:
        sequence = self.sequence if len(self.sequence) <= 20 else f"<{len(self.sequence):,} vertices>"
        return (
            f"Elimination(order={self.order!r}, sequence={sequence}, multiplications={self.multiplications}, "
            f"additions={self.additions}, fill_in={self.fill_in})"
        )


_ORDERS = (
    Column("order", side="<"),
    Column("multiplications", whole),
    Column("additions", whole),
    Column("fill_in", whole, head="fill-in"),
)


@dataclass(frozen=True, repr=False)
class Orders(Tabular):
    """Eliminations by the name of their order; prints as a table.

    bound : multiplications that no order undercuts; None where that was not asked for.
    """

    by_order: dict[str, Elimination]
    bound: int | None = None

    def __getitem__(self, order: str) -> Elimination:
        return self.by_order[order]

    def table(self) -> Table:
        """A row an order."""
        names = ("multiplications", "additions", "fill_in")
        found = list(self.by_order.items())
        least = min(range(len(found)), key=lambda k: found[k][1].multiplications, default=None)
        records = [{"order": order, **{name: getattr(e, name) for name in names}} for order, e in found]
        notes = [] if self.bound is None else [f"no order takes fewer than {self.bound:,} multiplications"]
        return Table(_ORDERS, records, notes=notes, best=least)


def _name(order: Order) -> str:
    """What an order is called in tables."""
    return order if isinstance(order, str) else getattr(order, "__name__", "given")


# ---------------------------------------------------------------------------------------------------
# Checks and order of the vertices
# ---------------------------------------------------------------------------------------------------


def _checked_edges(edges: Any) -> dict[tuple[Vertex, Vertex], Any]:
    """{(i, j): partial}, the partial None where there is none."""
    given = edges.items() if isinstance(edges, Mapping) else ((edge, None) for edge in edges)
    return {_pair(edge): c if c is None and not isinstance(edges, Mapping) else _real(c, edge) for edge, c in given}


def _pair(edge: Any) -> tuple[Vertex, Vertex]:
    if not isinstance(edge, tuple | list) or len(edge) != 2 or not all(isinstance(v, Hashable) for v in edge):
        raise TypeError(f"the edge {edge!r} is no pair (i, j) of vertices, from i to j.")
    return edge[0], edge[1]


def _real(c: Any, edge: Any) -> Any:
    """A partial as a Python float, or with all its digits."""
    if isinstance(c, np.longdouble):
        return c
    if not isinstance(c, float | int | np.floating | np.integer):
        raise TypeError(f"the partial of the edge {edge!r} is {c!r}; partials are real numbers.")
    return float(c)


def _check_inputs(inputs: tuple[Vertex, ...], targets: set[Vertex]) -> None:
    for v in inputs:
        if v in targets:
            raise ValueError(f"the input {v!r} has predecessors; an input is computed from nothing.")
    twice = [v for v, times in Counter(inputs).items() if times > 1]
    if twice:
        raise ValueError(f"inputs named twice: {few(twice)}; each input is one column of the Jacobian.")


def _topological(vertices: tuple[Vertex, ...], edges: Iterable[tuple[Vertex, Vertex]]) -> Iterator[Vertex]:
    """The vertices, each after its predecessors; otherwise as they come.  Kahn's algorithm."""
    place = {v: k for k, v in enumerate(vertices)}
    succs: dict[Vertex, list[Vertex]] = {v: [] for v in vertices}
    waiting = dict.fromkeys(vertices, 0)
    for i, j in edges:
        succs[i].append(j)
        waiting[j] += 1
    ready = [place[v] for v in vertices if not waiting[v]]
    done = 0
    while ready:
        v = vertices[heapq.heappop(ready)]
        done += 1
        yield v
        for w in succs[v]:
            waiting[w] -= 1
            if not waiting[w]:
                heapq.heappush(ready, place[w])
    if done < len(vertices):
        raise ValueError(f"the edges form a cycle through {few([v for v in vertices if waiting[v]])}")


def _reach(vertices: Iterable[Vertex], marked: Iterable[Vertex], edges: Iterable[tuple[Vertex, Vertex]]) -> Any:
    """For each vertex the marked ones that lead to it, itself included; the vertices come in topological order."""
    found = dict.fromkeys(vertices, 0)
    for k, v in enumerate(marked):
        found[v] |= 1 << k
    succs: dict[Vertex, list[Vertex]] = {v: [] for v in found}
    for i, j in edges:
        succs[i].append(j)
    for v, bits in found.items():
        for w in succs[v]:
            found[w] |= bits
    return found
