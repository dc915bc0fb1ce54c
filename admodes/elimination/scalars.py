"""`linearized_graph`: the graph of a program, every element of every value a vertex."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import pytree
from ..core.dispatch import apply
from ..core.forward import Dual, Forward
from ..core.registry import Contraction, Elementwise, Linear, Op
from ..core.tracing import Tracer
from ..program.passes import optimise
from ..program.program import Program, record
from ..program.recording import GUARD, Instruction, Symbol, Value, mapped
from ..transforms.directions import chunk_for, unit_directions
from .graph import LinearizedGraph, Order

# What may be asked of a machinery that works scalar by scalar.
MOST_VERTICES = 20_000
MOST_EDGES = 2_000_000


def linearized_graph(f: Callable[..., Any], *args: Any) -> LinearizedGraph:
    """The linearised computational graph of f at its arguments, scalar by scalar.

    f is run once and written down (`trace`). Every element of a value that depends on the arguments is a vertex; the
    partials on its edges come from unit tangents pushed through that one instruction, by the rule in the registry.
    An operation on arrays is one step: a sum of n numbers is a vertex with n edges, and so is an element of a product
    of matrices. Elements that are only moved (views, reshapes, indexing, stacking) cost no arithmetic and keep the
    vertex they had. An edge stands for a dependence that the rule states, also where its partial happens to be zero at
    this point, so the counts do not change with the values as long as the same branches are taken; only the
    zeros of a constant matrix are left out.

    Parameters
    ----------
    f : a function in plain NumPy.
    *args : arrays or trees of arrays of real floats; f is differentiated by all of them. Other arguments go into a
        closure: linearized_graph(lambda x: f(x, table), x).

    Returns
    -------
    LinearizedGraph : `.accumulate(order)` is the Jacobian, m × n, results and arguments raveled and concatenated in the
    order of their trees. As in Griewank & Walther the vertices are integers, 1 − n … 0 the inputs, 1, 2, … the rest.

    Raises
    ------
    TypeError : integer, complex or traced arguments; complex values on the way.
    ValueError : more than 20,000 vertices or 2,000,000 edges.

    Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., chapter 2 (numbering) and chapter 9.

    >>> def f(x):
    ...     p = x[0] * x[1]
    ...     return np.array([np.cos(p), p + x[1]])
    >>> graph = linearized_graph(f, np.array([2.0, 0.5]))
    >>> graph
    LinearizedGraph: 2 inputs, 1 intermediate, 2 outputs, 5 edges
    vertex  kind    operation  predecessors
    -1      input   x[0]
    0       input   x[1]
    1               multiply   -1: 0.5, 0: 2
    2       output  cos        1: -0.841471
    3       output  add        1: 1, 0: 1
    >>> graph.accumulate("reverse")
    array([[-0.42073549, -1.68294197],
           [ 0.5       ,  3.        ]])
    >>> graph.multiplications("reverse")
    4
    """
    program, scalars = _recorded(f, args)
    return scalars.graph(program.outputs)


def accumulation(f: Callable[..., Any], *args: Any, order: Order = "annealed") -> Program:
    """The Jacobian of f by elimination in an order, as a program: flat code for any arguments of these shapes.

    Its first part is f, beside the partial of each operation by the rule in the registry; then the vertices of
    `linearized_graph(f, *args)` are eliminated one by one, each multiplication written out.

    Parameters
    ----------
    f, *args : as of `linearized_graph`.
    order : as of `LinearizedGraph.order`: a name, a sequence of vertices or a function of the graph.

    Returns
    -------
    Program : of the arguments, giving the Jacobian m × n; `.source` is its code, products with ±1 and 0 left out. A
    branch of f on its values is a guard, as in `trace`.

    Raises
    ------
    As `linearized_graph` and `LinearizedGraph.order`.

    Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., section 10.1; Forth et al., "Jacobian code generated
    by source transformation and vertex elimination can be as efficient as hand-coding", ACM TOMS 30 (2004).

    >>> program = accumulation(lambda x: np.sin(x[0] * x[1]), np.array([2.0, 0.5]), order="reverse")
    >>> print(program.source[program.source.index("def") :].strip())
    def jacobian_of_lambda(x0):
        t0 = x0[0]
        t1 = x0[1]
        t2 = t0 * t1
        t3 = np.cos(t2)
        t4 = t3 * t1
        t5 = t3 * t0
        t6 = np.stack((t4, t5), axis=0)
        t7 = t6.reshape((1, 2))
        del t6
        return t7,
    >>> program(np.array([2.0, 0.5]))
    array([[0.27015115, 1.08060461]])
    """
    program, scalars = _recorded(f, args)
    graph = scalars.graph(program.outputs)
    sequence = graph.order(order)

    def jacobian(*args: Any) -> Any:
        symbolic = _Symbolic(scalars.places)
        symbolic.run(program, pytree.flatten(args)[0])
        shift = symbolic.inputs - 1
        partials = {(i - shift, j - shift): c for (i, j), c in symbolic.edges.items()}
        return graph.eliminated(partials, sequence)

    jacobian.__name__ = f"jacobian_of_{getattr(f, '__name__', 'f').strip('<>')}"
    return optimise(record(jacobian, args, {}))


def _recorded(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Program, _Scalars]:
    """f as a program, and what it computes at its arguments, scalar by scalar."""
    leaves, structure = pytree.flatten(args)
    leaves = [_real_leaf(x, i) for i, x in enumerate(leaves)]
    program = record(f, tuple(pytree.unflatten(structure, leaves)), {})
    scalars = _Scalars()
    scalars.run(program, leaves)
    return program, scalars


def _real_leaf(x: Any, i: int) -> Any:
    if isinstance(x, Tracer):
        raise TypeError(
            f"linearized_graph: argument leaf {i} is traced by a transform around it; the graph holds plain numbers. "
            "Call linearized_graph outside of the transform."
        )
    x = pytree.differentiable(x, "linearized_graph: argument leaf {}".format, i)
    if x.dtype.kind == "c":
        raise TypeError(f"linearized_graph: argument leaf {i} is complex; pass its real and imaginary parts.")
    return x


class _Scalars:
    """A program run instruction by instruction, with the vertex of every element of every value.

    While it is built the inputs are 0 … n − 1 and other vertices follow; an element that does not depend on the inputs
    has the vertex −1.
    """

    def __init__(self) -> None:
        self.inputs = 0
        self.labels: list[str] = []  # of every vertex
        self.values: dict[Value, Any] = {}
        self.vertices: dict[Value, np.ndarray] = {}  # of the values that depend on the inputs, raveled
        self.edges: dict[tuple[int, int], Any] = {}
        self.probes: dict[Any, tuple[list[Any], list[Any]]] = {}
        self.places: list[list[tuple[Any, Any] | None]] = []  # of partials, for each push that is not elementwise

    def run(self, program: Program, leaves: Sequence[Any]) -> None:
        """Every instruction, from the inputs' values."""
        for v, x in zip(program.inputs, leaves, strict=True):
            self.add_input(v, x)
        for instruction in program.instructions:
            if instruction.op is GUARD:
                self.guard(instruction)
            else:
                self.step(instruction)

    def guard(self, instruction: Instruction) -> None:
        """The branch was taken by the values that are here."""

    def add_input(self, v: Value, x: Any) -> None:
        self.values[v] = x
        if v.size:
            self.vertices[v] = np.array([self.new(_element(v, index)) for index in np.ndindex(v.shape)], int)
        self.inputs += v.size

    def new(self, label: str) -> int:
        if len(self.labels) == MOST_VERTICES:
            raise _too_large(f"{MOST_VERTICES:,} scalar vertices")
        self.labels.append(label)
        return len(self.labels) - 1

    def step(self, instruction: Instruction) -> None:
        """Evaluate an instruction, and give the elements of its results vertices and edges."""
        op, active = instruction.op, [v for v in dict.fromkeys(instruction.uses) if v in self.vertices]
        if not active:
            results = _parts(self.evaluated(op, self._plain(instruction.args), self._plain(instruction.params)))
            entries: list[list[Any]] = [[] for _ in results]
        elif isinstance(op, Elementwise):
            results, entries = self._diagonal(instruction, active)
        else:
            results, entries = self._columns(instruction, active)
        for v, y, found in zip(instruction.outs, results, entries, strict=True):
            self.values[v] = y
            rows = _rows(v.size, found)
            if any(rows):
                self.vertices[v] = self._place(op, v, rows)

    def evaluated(self, op: Op, args: Any, params: Any) -> Any:
        return op.evaluate(*args, **params)

    def _plain(self, tree: Any) -> Any:
        return mapped(tree, lambda x: self.values[x] if isinstance(x, Value) else x)

    def _pushed(
        self, instruction: Instruction, tangents: Mapping[Value, Any], lead: tuple[int, ...]
    ) -> tuple[list[Any], list[Any]]:
        """The results of an instruction, and their tangents, None where there are none."""
        trace = Forward(lead)
        duals = {v: Dual(self.values[v], t, trace) for v, t in tangents.items()}
        given = mapped(instruction.args, lambda x: duals.get(x, self.values[x]) if isinstance(x, Value) else x)
        results = _parts(instruction.op.apply(trace, given, self._plain(instruction.params)))
        trace.closed = True
        mine = [isinstance(y, Dual) and y.transform is trace for y in results]
        values = [y.value if dual else y for y, dual in zip(results, mine, strict=True)]
        return values, [y.tangent if dual else None for y, dual in zip(results, mine, strict=True)]

    def _diagonal(self, instruction: Instruction, active: list[Value]) -> tuple[list[Any], list[list[Any]]]:
        """Elementwise: y[i] depends on the elements that broadcasting puts beside it; a push of ones gives p."""
        entries = []
        for v in active:
            (y,), (p,) = self._pushed(instruction, {v: np.ones(v.shape, v.dtype)[()]}, ())
            if p is not None:
                beside = np.broadcast_to(self.vertices[v].reshape(v.shape), y.shape)
                entries.append((np.arange(y.size), beside.ravel(), np.ravel(p) if np.ndim(p) else [p]))
        return [y], [entries]

    def _columns(self, instruction: Instruction, active: list[Value]) -> tuple[list[Any], list[list[Any]]]:
        """Any other rule: one column of the local Jacobian for each unit tangent.

        A second push, of nan in place of 1, marks the partials that are there and happen to be zero. A rule computes
        ẏ = Σ p_k ẋ_k, and 0 · nan and a + nan are nan: with ẋ_k = nan that becomes nan which is computed from ẋ_k,
        whatever p_k is. Of a contraction of one value with constants, zeros are never there.

        Why not otherwise: the values alone lose edges (np.max of 40 numbers keeps 1, the inverse of a triangular
        6 × 6 matrix 441 of 1,296). Index sets by row, those of sparse patterns, find the same edges in 33 of 37
        functions tried, but take three times as long, and of factors and eigenvalues they have a full matrix where the
        rule gives or reads a triangle: 1,296 edges for 756 of a Cholesky factor. The second push adds about 5%.
        """
        sources = np.concatenate([self.vertices[v] for v in active])
        size = sum(v.size for v in instruction.outs)
        if len(sources) * size > MOST_VERTICES**2:
            raise _too_large(f"{MOST_VERTICES**2:,} pairs of elements in one operation, {instruction.op.name}")
        entries: list[list[Any]] = [[] for _ in instruction.outs]
        step = chunk_for(len(sources), max(size, len(sources)))
        for start in range(0, len(sources), step):
            units, nans = self._probes(active, start, min(step, len(sources) - start))
            lead = units[0].shape[:1]
            values, partials = self._pushed(instruction, dict(zip(active, units, strict=True)), lead)
            places = self.nonzero(instruction, partials, dict(zip(active, nans, strict=True)), lead)
            for found, partial, place in zip(entries, partials, places, strict=True):
                if place is not None:
                    direction, element = place
                    found.append((element, sources[start + direction], np.reshape(partial, (*lead, -1))[place]))
        return values, entries

    def nonzero(
        self, instruction: Instruction, partials: list[Any], nans: Mapping[Value, Any], lead: tuple[int, ...]
    ) -> list[tuple[Any, Any] | None]:
        """Directions and elements of the partials that are there, for each result."""
        marks = partials
        if not (isinstance(instruction.op, Contraction) and len(instruction.uses) == 1):
            try:
                with np.errstate(all="ignore"):
                    marks = self._pushed(instruction, nans, lead)[1]
            except ValueError:  # of functions of SciPy that take no nan; each element may then depend on all
                marks = [None if p is None else np.full(np.shape(p), np.nan) for p in partials]
        found = [
            None if p is None else np.nonzero(np.reshape((p != 0) | np.isnan(mark), (*lead, -1)))
            for p, mark in zip(partials, marks, strict=True)
        ]
        self.places.append(found)
        return found

    def _probes(self, active: list[Value], start: int, k: int) -> tuple[list[Any], list[Any]]:
        """Unit tangents start … start + k of the values, and the same with nan for 1."""
        key = (*((v.shape, v.dtype) for v in active), start, k)
        if key not in self.probes:
            if len(self.probes) == 8:
                self.probes.clear()
            units = unit_directions(active, start, k)
            self.probes[key] = units, [np.where(t == 1, t.dtype.type(np.nan), t) for t in units]
        return self.probes[key]

    def _place(self, op: Op, v: Value, rows: list[dict[int, Any]]) -> np.ndarray:
        """The vertices of a result: new ones, but none for constants and for what was only moved."""
        if v.dtype.kind == "c":
            raise TypeError(
                f"linearized_graph: {op.name} gives a complex value that depends on the arguments; the graph is one of "
                "real scalars. Write the function in real and imaginary parts."
            )
        moves = isinstance(op, Linear) or op.moves
        return np.array([self._vertex(op.name, row, moves) for row in rows], int)

    def _vertex(self, name: str, row: dict[int, Any], moves: bool) -> int:
        if not row:
            return -1
        if moves and len(row) == 1:
            ((source, c),) = row.items()
            if c == 1:
                return source
        v = self.new(name)
        self.edges.update(((source, v), c) for source, c in row.items())
        if len(self.edges) > MOST_EDGES:
            raise _too_large(f"{MOST_EDGES:,} edges")
        return v

    def graph(self, outputs: Sequence[Any]) -> LinearizedGraph:
        """The graph, its vertices numbered 1 − n … 0 for the inputs and from 1 on for the rest."""
        shift, rows = self.inputs - 1, [v for y in outputs for v in self._output(y)]
        graph = LinearizedGraph(
            {(i - shift, j - shift): c for (i, j), c in self.edges.items()},
            inputs=range(-shift, 1),
            outputs=[v - shift for v in rows],
            labels={v - shift: label for v, label in enumerate(self.labels)},
        )
        kinds = [y.dtype for y in outputs if isinstance(y, Value) and y.dtype.kind == "f"]
        graph._dtype = np.result_type(*kinds) if kinds else np.float64
        return graph

    def _output(self, y: Any) -> list[int]:
        """The vertices of an output; a vertex without edges for each element that is constant."""
        found = self.vertices.get(y) if isinstance(y, Value) else None
        vertices = [-1] * int(np.prod(y.shape)) if found is None else found.tolist()
        return [self.new("constant") if v < 0 else v for v in vertices]


class _Symbolic(_Scalars):
    """The same with traced values: vertices and edges as at the plain ones, whose `places` it is given."""

    def __init__(self, places: Sequence[list[tuple[Any, Any] | None]]) -> None:
        super().__init__()
        self._known = iter(places)

    def guard(self, instruction: Instruction) -> None:
        x = self.values[instruction.args[0]]
        if isinstance(x, Symbol):
            x.transform.assume(x)

    def evaluated(self, op: Op, args: Any, params: Any) -> Any:
        return apply(op, args, params)

    def nonzero(
        self, instruction: Instruction, partials: list[Any], nans: Mapping[Value, Any], lead: tuple[int, ...]
    ) -> list[tuple[Any, Any] | None]:
        """As they were; that there are no others is a guard, where it depends on values (a median, say)."""
        places = next(self._known)
        if not isinstance(instruction.op, Contraction):
            for partial, place in zip(partials, places, strict=True):
                if isinstance(partial, Symbol):
                    rest = np.ones((*lead, partial.size // lead[0]), bool)
                    rest[place] = False
                    if rest.any():
                        others = np.any(np.reshape(partial, rest.shape)[rest] != 0)
                        others.transform.assume(others)
        return places


def _element(v: Value, index: tuple[int, ...]) -> str:
    return f"{v.name}[{', '.join(map(str, index))}]" if index else v.name


def _parts(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple | list) else [y]


def _rows(size: int, entries: Iterable[Any]) -> list[dict[int, Any]]:
    """For each element of a result {vertex: partial}; partials by one vertex, met twice as in x·x, add up."""
    rows: list[dict[int, Any]] = [{} for _ in range(size)]
    for elements, sources, partials in entries:
        numbers = partials.tolist() if isinstance(partials, np.ndarray) else partials
        for k, v, c in zip(elements.tolist(), sources.tolist(), numbers, strict=True):
            if v >= 0:
                rows[k][v] = rows[k][v] + c if v in rows[k] else c
    return rows


def _too_large(what: str) -> ValueError:
    return ValueError(
        f"linearized_graph: the program has more than {what}. Elimination works scalar by scalar; take jacobian(f), or "
        "the graph of a smaller part of the program."
    )
