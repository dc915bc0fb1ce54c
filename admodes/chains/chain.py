"""A composition as a chain of local Jacobians, multiplied in any order.

J = J_{L−1} … J_1 J_0 for f_{L−1} ∘ … ∘ f_0.  Each factor stays on a tape of its own and is applied without being
formed; an elementwise layer is a diagonal, held as n numbers, and costs n a direction, not n²; a sparse one is held as
its entries; one that passes through few numbers is cut there into two factors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..core import pytree
from ..core.directions import cast
from ..core.errors import PatternTooDense
from ..core.plain import printable
from ..core.registry import Elementwise
from ..core.tables import Column, Record, Table, Tabular, columns, whole
from ..core.words import size
from ..ops.index import scatter
from ..program import Cost, cost
from ..program.program import Program, record
from ..transforms.directions import chunk_for, directions, in_chunks, private, unit_directions
from ..transforms.recording import Recording
from .bottlenecks import is_constant, rerun, split
from .bracketing import ACCUMULATE, ADJOINT, MULTIPLY, TANGENT, Bracketing, Link
from .search import cheapest, limits
from .structure import DENSE, SPARSE, Matrix, Structure, from_adjoints, from_tangents

# The way to the product of the factors: by name, a plan, or a bracketing as nested pairs of their numbers.
OrderName = Literal["forward", "reverse", "optimal", "auto"]
Order = OrderName | Bracketing | tuple[Any, Any] | int


class JacobianChain:
    """The local Jacobians of a composition, and their product in any order.

    Parameters
    ----------
    layers : functions f_0, f_1, …, each of one float array (of any shape) to one float array; f_0 is applied first.
    x : the argument of f_0.

    Each layer runs once, on a tape of its own. `print(chain)` shows the factors, which keep their structure:

    - diagonal: from argument to result lead elementwise operations (and np.where) alone, on arrays of one shape.
    - sparse: `jacobian_pattern` finds at most half of all entries. As many directions as colours make it, and products
      multiply entries alone: they are sparse as long as the boolean product of the patterns is no denser than that.
    - low rank: a layer of which every path passes a value of fewer numbers, r, than it takes and returns, such as
      x ↦ U φ(V x), is cut there into two factors (`split`), r × n and m × r, and so on. Nothing forces their product to
      be multiplied out: the factors of an order are these parts, and the search finds where to begin. A layer that is a
      low-rank product of another kind is given as two layers.
    - dense: all others. Under another transform, where a zero may have a derivative, no pattern is sought.

    Work is in multiply-adds, the unit of `admodes.cost`. One direction through a layer costs its *edges*: n for a
    diagonal; else what one push (one pull, in reverse) is counted to multiply, which for W @ x are its m·n entries and
    for x.sum() none. The partials that a push multiplies by, such as 1 − tanh², come with the function's value and
    are not counted. Work that does not grow with the number of directions (the factorisation in np.linalg.solve) stands
    in `counted`, not in `cost`.

    Raises
    ------
    TypeError : a layer that is no function, or returns a tree, integers or complex numbers; x likewise.
    ValueError : no layer, an empty array, a layer that fails on the shape of the result before it.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.1: algorithm 5 (`jvp`) and
    algorithm 6 (`vjp`), for one vector or a collection of them.

    >>> import numpy as np
    >>> W = np.array([[1.0, 2.0, 3.0]])
    >>> chain = JacobianChain([np.square, lambda x: W @ x], np.array([1.0, 2.0, 3.0]))
    >>> chain
    JacobianChain 1 × 3
    layer  m  n  structure  edges
        0  3  3  diagonal       3
        1  1  3  dense          3
    >>> chain.jacobian("reverse")
    array([[ 2.,  8., 18.]])
    >>> chain.cost("forward"), chain.cost("reverse")
    (18, 6)
    >>> JacobianChain([lambda x: x[1:] - x[:-1], lambda x: W.T @ np.tanh(W @ x)], np.ones(4))
    JacobianChain 3 × 4
    factor  m  n  structure  edges
         0  3  4  sparse         0  6 entries
         1  1  3  dense          3  of layer 1
         2  3  1  dense          4  of layer 1
    """

    def __init__(self, layers: Sequence[Callable[..., Any]], x: Any) -> None:
        layers = list(layers)
        if not layers:
            raise ValueError("JacobianChain: there is no layer; give at least one function")
        self.factors: list[Factor] = []
        if pytree.flatten(x)[1] is not None:
            raise TypeError(f"JacobianChain: x is a {type(x).__name__}, a tree; give one array of floats")
        for i, f in enumerate(layers):
            if not callable(f):
                raise TypeError(f"JacobianChain: layer {i} is a {type(f).__name__}, not a function")
            self.factors += [Factor(part, i) for part in split(_record(f, i, x))]
            x = self.factors[-1].y
        self.value = x.copy() if isinstance(x, np.ndarray) else x

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the Jacobian of the raveled composition."""
        return self.factors[-1].m, self.factors[0].n

    def __len__(self) -> int:
        return len(self.factors)

    def __repr__(self) -> str:
        head = [f"JacobianChain {self.shape[0]} × {self.shape[1]}"]
        rows = [(self._noun, "m", "n", "structure", "edges", "")]
        for i, f in enumerate(self.factors):
            rows.append((str(i), f"{f.m:,}", f"{f.n:,}", f.structure, f"{f.push_edges:,}", self._noted(f)))
        return printable("\n".join([*head, *columns(rows, ">>><><")]))

    @property
    def _noun(self) -> str:
        """What the numbers of an order stand for."""
        return "layer" if self.factors[-1].layer + 1 == len(self) else "factor"

    def _noted(self, factor: Factor) -> str:
        """The edges of an adjoint where they are others, the entries of a sparse factor, the layer of a part."""
        notes = [f"adjoint {factor.pull_edges:,}"] if factor.pull_edges != factor.push_edges else []
        notes += [f"{factor.form.size:,} entries"] if factor.form.kind == SPARSE else []
        whole = sum(f.layer == factor.layer for f in self.factors) == 1
        return ", ".join(notes if whole else [*notes, f"of layer {factor.layer}"])

    # Products with vectors ---------------------------------------------------------------------------

    def jvp(self, v: Any) -> Any:
        """J·v for a tangent of the shape of x, or of shape (K, *x.shape) for K at once: Murphy's algorithm 5.

        >>> import numpy as np
        >>> JacobianChain([np.square, np.sum], np.array([1.0, 2.0])).jvp(np.array([[1.0, 0.0], [0.0, 1.0]]))
        array([2., 4.])
        """
        (t,), lead = directions([self.factors[0].x], [v], "tangent", "argument")
        for factor in self.factors:
            t = factor.push(t, lead)
        return private([t], taken=[v])[0]

    def vjp(self, u: Any) -> Any:
        """Jᵀ·u for a cotangent of the shape of the result, or K of them at once: Murphy's algorithm 6.

        >>> import numpy as np
        >>> JacobianChain([np.square, np.sum], np.array([1.0, 2.0])).vjp(1.0)
        array([2., 4.])
        """
        (g,), lead = directions([self.factors[-1].y], [u], "cotangent", "result")
        for factor in reversed(self.factors):
            g = factor.pull(g, lead)
        return private([g], taken=[u])[0]

    # The whole Jacobian ------------------------------------------------------------------------------

    def jacobian(self, order: Order = "reverse", sparse: bool = False) -> Any:
        """The product of all factors, of shape (*result.shape, *x.shape).

        Parameters
        ----------
        order : "forward" (unit tangents through all layers), "reverse" (unit cotangents), "optimal" (the plan of
            `bracketing`), "auto" (the cheapest of `plan`), a plan that `bracketing` made, or a bracketing of the
            factors 0 … L−1 as nested pairs, ((0, 1), 2): the factors' matrices are formed and multiplied in that order,
            diagonals as vectors, sparse ones as their entries.
        sparse : a scipy.sparse.csr_array instead, of shape (m, n), raveled. It stores the entries of the product's
            pattern where that is sparse, and the nonzeros where it is dense.

        Raises
        ------
        ValueError : an order that is none of these.  TypeError : sparse under another transform.

        >>> import numpy as np
        >>> chain = JacobianChain([np.square, np.cumsum, np.exp], np.zeros(2) + 1)
        >>> np.array_equal(chain.jacobian(((0, 1), 2)), chain.jacobian((0, (1, 2))))
        True
        >>> differences = JacobianChain([lambda x: x[1:] - x[:-1], np.square], np.arange(50.0))
        >>> differences.jacobian("optimal", sparse=True)[:2, :3].toarray()
        array([[-2.,  2.,  0.],
               [ 0., -2.,  2.]])
        """
        seeds, run = self._seeded(order)
        matrix = run(seeds)
        if sparse:
            return matrix.held_as(self._whole()).csr()
        shape = self.factors[-1].y.shape + self.factors[0].x.shape
        return private([np.reshape(matrix.full(), shape)], taken=seeds)[0]

    def cost(self, order: Order = "reverse") -> int:
        """Multiply-adds of `jacobian(order)`, from the dimensions, the edges and the structure of the factors.

        order : as for `jacobian`.
        "forward": n₀ · Σ edges; "reverse": m_L · Σ edges; "optimal": the cost of the plan; "auto": that of the cheapest
        of `plan`. A bracketing: the local
        Jacobian of each factor, edges · min(m, n), n for a diagonal, and edges · colours for a sparse one; and for each
        product A·B the products of two entries, Σ_k nnz(A[:, k]) · nnz(B[k, :]): m·k·n of dense matrices, m·n if one of
        them is a diagonal, n if both are.

        >>> import numpy as np
        >>> W = np.ones((4, 4))
        >>> chain = JacobianChain([lambda x: W @ x, np.tanh, lambda x: W[0] @ x], np.zeros(4))
        >>> chain.cost("forward"), chain.cost("reverse"), chain.cost(((0, 1), 2))  # 64 + 4 + 4 and 16 + 16
        (96, 24, 104)
        """
        if _is(order, "auto"):
            return self.cost(self._cheapest())
        if _is(order, "forward"):
            return self.shape[1] * sum(f.push_edges for f in self.factors)
        if _is(order, "reverse"):
            return self.shape[0] * sum(f.pull_edges for f in self.factors)
        stack: list[Structure] = []
        total = 0
        for node in self._nodes(order):
            work, made = self._priced(node, stack)
            stack.append(made)
            total += work
        return total

    def counted(self, order: Order = "reverse") -> Cost:
        """The work of `jacobian(order)` as carried out: its run on the unit directions, traced and counted.

        `counted(order).multiply_adds` equals `cost(order)`, which is predicted from the factors (but for an einsum of
        three arrays and more, which may take a shorter path with more directions at once); order: "forward",
        "reverse", "optimal", "auto", or a plan, as for `jacobian`.

        >>> import numpy as np
        >>> chain = JacobianChain([np.square, lambda x: np.ones((2, 3)) @ x], np.ones(3))
        >>> chain.counted("optimal").multiply_adds == chain.cost("optimal") == chain.bracketing().cost
        True
        """
        return self.traced(order).cost

    def traced(self, order: Order = "reverse") -> Program:
        """The run of `jacobian(order)` on the unit directions, written down; order: "forward", "reverse", "optimal",
        "auto", or a plan, as for `jacobian`.
        """
        seeds, run = self._seeded(order)
        return record(lambda seeds: run(seeds).full(), (seeds,), {}, strict=False)

    def plan(self) -> ChainPlan:
        """What each way to the Jacobian costs, and which is the cheapest; print it.

        The ways: "forward", "reverse", "optimal", and every factor accumulated and the matrices multiplied one after
        the other from the input or from the output. Each is carried out once, traced and counted. The cheapest is that
        of the fewest multiply-adds; of equals the first, since one sweep takes fewer steps than a product.

        >>> import numpy as np
        >>> W = np.ones((4, 4))
        >>> print(JacobianChain([lambda x: W @ x, np.tanh, lambda x: W[0] @ x], np.zeros(4)).plan())
        JacobianChain 1 × 4  multiply-adds  flops  bytes   peak
        forward                         96    176    864  544 B
        reverse                         24     40    360  232 B
        optimal                         24     40    360  232 B
        from the input                 104    184  1,160  680 B
        from the output                 92    172    968  616 B
        reverse: 24 multiply-adds, as few as the optimal bracketing; from the output takes 3.833 times as many
        """
        counts = {name: self.counted(order) for name, order in self._ways().items()}
        return ChainPlan(self.shape, {name: self.cost(order) for name, order in self._ways().items()}, counts)

    def _ways(self) -> dict[str, Any]:
        """The orders that `plan` compares, by name."""
        ways: dict[str, Any] = {name: name for name in ("forward", "reverse", "optimal")}
        if len(self) > 1:
            first, *later = range(len(self))
            *earlier, last = range(len(self))
            ways["from the input"] = functools.reduce(_inner_first, later, first)
            ways["from the output"] = functools.reduce(_outer_first, reversed(earlier), last)
        return ways

    def bracketing(self, memory: int | None = None, workers: int = 1) -> Bracketing:
        """The cheapest order, by the search of `optimal_bracketing` on the factors' dimensions, edges and structure.

        Parameters
        ----------
        memory : the most edges that the tape of one adjoint may hold; None for no limit.
        workers : machines that work side by side; the cost is then the makespan.

        A diagonal is accumulated by one direction, of ones, and stays n numbers in products with other diagonals; a
        sparse factor by one direction a colour, and a sub-chain whose product is sparse is carried by its colours.

        >>> import numpy as np
        >>> chain = JacobianChain([np.square, np.tanh, lambda x: np.ones((2, 3)) @ x], np.ones(3))
        >>> print(chain.bracketing())
        Bracketing of 3 factors, 2 × 3
        order                multiply-adds  times the best
        homogeneous tangent             36             1.5
        homogeneous adjoint             24               1
        preaccumulation                 27            1.12
        optimal                         24               1
        F2·F1·F0  carry F1·F0 by tangents through F2  18
        └─ F1·F0  carry F0 by tangents through F1  3
           └─ F0  accumulate by tangents  3
        """
        return cheapest([f.link for f in self.factors], True, *limits(memory, workers))

    def _cheapest(self) -> Any:
        """The order that "auto" stands for."""
        costs = {name: self.cost(order) for name, order in self._ways().items()}
        return self._ways()[min(costs, key=lambda name: costs[name])]

    @cached_property
    def _optimal(self) -> Bracketing:
        """The cheapest order without limits, searched for once."""
        return self.bracketing()

    # Orders as nodes, parts before what is made of them ------------------------------------------------

    def _nodes(self, order: Any) -> list[tuple[Any, ...]]:
        if _is(order, "optimal"):
            order = self._optimal
        if isinstance(order, Bracketing):
            return [step.node for step in self._own(order).steps]
        return [
            (ACCUMULATE, node, self.factors[node].link.cheaper()) if isinstance(node, int) else (MULTIPLY,)
            for node in _postorder(order, len(self), self._noun)
        ]

    @property
    def dimensions(self) -> tuple[tuple[int, int, int], ...]:
        """Rows, columns and edges of every factor, by which a `Bracketing` knows the chains it is for."""
        return tuple((f.m, f.n, f.push_edges) for f in self.factors)

    def _own(self, plan: Bracketing) -> Bracketing:
        if plan.factors != self.dimensions:
            raise ValueError("order is a Bracketing of another chain; make it by chain.bracketing()")
        return plan

    def _priced(self, node: tuple[Any, ...], stack: list[Structure]) -> tuple[int, Structure]:
        """Multiply-adds of one node and the structure it makes, of those that it takes from the stack."""
        if node[0] == ACCUMULATE:
            f = self.factors[node[1]]
            return f.link.accumulation(node[2]), f.form
        part = stack.pop()
        if node[0] == MULTIPLY:
            right = stack.pop()
            return part.cost(right), part @ right
        passed = self._passed(node)
        made = _through(part, node[0], passed)
        if node[0] == TANGENT:
            return made.columns * sum(f.push_edges for f in passed), made
        return made.rows * sum(f.pull_edges for f in passed), made

    def _passed(self, node: tuple[Any, ...]) -> Sequence[Factor]:
        """The factors that a sub-chain is carried through."""
        first, last = node[2]
        return self.factors[first : last + 1]

    # Carrying them out ---------------------------------------------------------------------------------

    def _seeded(self, order: Any) -> tuple[list[Any], Callable[[list[Any]], Matrix]]:
        """The unit directions that an order begins with, and the run that makes the Jacobian of them."""
        if _is(order, "auto"):
            order = self._cheapest()
        first, last, made = self.factors[0], self.factors[-1], Structure(*self.shape)
        if _is(order, "forward"):
            return [_identity(first.x)], lambda seeds: _swept(seeds[0], TANGENT, self.factors, made)
        if _is(order, "reverse"):
            return [_identity(last.y)], lambda seeds: _swept(seeds[0], ADJOINT, self.factors, made)
        nodes = self._nodes(order)
        seeds = [self.factors[node[1]].units(node[2]) for node in nodes if node[0] == ACCUMULATE]
        return seeds, lambda seeds: self._run(nodes, seeds)

    def _whole(self) -> Structure:
        """The structure of the product of all factors."""
        return _through(self.factors[0].form, TANGENT, self.factors[1:])

    def _run(self, nodes: Sequence[tuple[Any, ...]], seeds: Sequence[Any]) -> Matrix:
        stack: list[Matrix] = []
        left = iter(seeds)
        for node in nodes:
            if node[0] == ACCUMULATE:
                factor = self.factors[node[1]]
                made = _swept(next(left), node[2], [factor], factor.form)
            elif node[0] == MULTIPLY:
                part, right = stack.pop(), stack.pop()
                made = part.times(right, part.structure @ right.structure)
            else:
                made = _carried(stack.pop(), node[0], self._passed(node))
            stack.append(made)
        return stack.pop()


def _pushed(factors: Sequence[Factor], rows: Any) -> Any:
    """Rows as tangents through factors, the first of them first."""
    if not rows.shape[0]:
        return np.zeros((0, factors[-1].m), factors[-1].y.dtype)

    def sweep(first: int, k: int) -> list[Any]:
        t = np.reshape(rows[first : first + k], (k, *factors[0].x.shape))
        for factor in factors:
            t = factor.push(t, (k,))
        return [np.reshape(t, (k, factors[-1].m))]

    return in_chunks(len(rows), _step(factors, len(rows)), sweep)[0]


def _pulled(factors: Sequence[Factor], rows: Any) -> Any:
    """Rows as cotangents back through factors, the last of them first."""
    if not rows.shape[0]:
        return np.zeros((0, factors[0].n), factors[0].x.dtype)

    def sweep(first: int, k: int) -> list[Any]:
        u = np.reshape(rows[first : first + k], (k, *factors[-1].y.shape))
        for factor in reversed(factors):
            u = factor.pull(u, (k,))
        return [np.reshape(u, (k, factors[0].n))]

    return in_chunks(len(rows), _step(factors, len(rows)), sweep)[0]


def _step(factors: Sequence[Factor], rows: int) -> int:
    """How many rows at once bound the memory."""
    return chunk_for(rows, max(max(f.m, f.n) for f in factors))


@dataclass(frozen=True, repr=False)
class ChainPlan(Tabular):
    """The ways to a chain's Jacobian, by name: their predicted multiply-adds and their counted work."""

    shape: tuple[int, int]
    multiply_adds: dict[str, int]
    counted: dict[str, Cost]

    @property
    def choice(self) -> str:
        """The cheapest, which `jacobian("auto")` takes."""
        return min(self.multiply_adds, key=lambda name: self.multiply_adds[name])

    def table(self) -> Table:
        """A row a way."""
        m, n = self.shape
        head = Column("order", side="<", head=f"JacobianChain {m} × {n}")
        counts = (Column("multiply_adds", whole, head="multiply-adds"), Column("flops", whole), Column("bytes", whole))
        records: list[Record] = [
            {
                "order": name,
                "multiply_adds": self.multiply_adds[name],
                "flops": work.flops,
                "bytes": work.bytes,
                "operations": work.operations,
                "peak_bytes": work.peak_bytes,
            }
            for name, work in self.counted.items()
        ]
        peak = Column("peak_bytes", size, head="peak")
        return Table((head, *counts, peak), records, notes=[self._why()], best=list(self.counted).index(self.choice))

    def _why(self) -> str:
        """The choice, and how far the others are behind."""
        least = self.multiply_adds[self.choice]
        text = f"{self.choice}: {least:,} multiply-adds"
        if self.choice != "optimal":
            text += ", as few as the optimal bracketing"
        behind = [name for name in self.multiply_adds if self.multiply_adds[name] > least > 0]
        if behind:
            second = min(behind, key=lambda name: self.multiply_adds[name])
            text += f"; {second} takes {self.multiply_adds[second] / least:.4g} times as many"
        return text


def _through(part: Structure, mode: str, factors: Sequence[Factor]) -> Structure:
    """The structure of a matrix carried through factors."""
    for factor in factors if mode == TANGENT else reversed(factors):
        part = factor.form @ part if mode == TANGENT else part @ factor.form
    return part


def _carried(matrix: Matrix, mode: str, factors: Sequence[Factor]) -> Matrix:
    """A matrix through further factors: its columns as tangents or its rows as cotangents, by colours of the result."""
    made = _through(matrix.structure, mode, factors)
    return _swept(matrix.tangents(made) if mode == TANGENT else matrix.adjoints(made), mode, factors, made)


def _swept(rows: Any, mode: str, factors: Sequence[Factor], made: Structure) -> Matrix:
    """The matrix that directions make."""
    if mode == TANGENT:
        return from_tangents(_pushed(factors, rows), made)
    return from_adjoints(_pulled(factors, rows), made)


def _inner_first(done: Any, i: int) -> Any:
    return done, i


def _outer_first(done: Any, i: int) -> Any:
    return i, done


def _is(order: Any, name: str) -> bool:
    return isinstance(order, str) and order == name


def _postorder(order: Any, factors: int, noun: str) -> list[Any]:
    """Factor numbers, and None for each product behind its two parts, the one nearer to the input first."""
    found: list[Any] = []
    stack = [order]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple | list) and len(node) == 2:
            found.append(None)
            stack += node
        elif isinstance(node, int | np.integer) and not isinstance(node, bool):
            found.append(int(node))
        else:
            raise ValueError(
                f'order={order!r}: it must be "forward", "reverse", "optimal", "auto", a Bracketing, or a bracketing '
                f"in nested pairs of {noun} numbers such as ((0, 1), 2); {node!r} is none."
            )
    found.reverse()
    leaves = [node for node in found if node is not None]
    if leaves != list(range(factors)):
        raise ValueError(
            f"order={order!r} brackets the {noun}s {leaves}; it must hold 0 … {factors - 1}, each once and in order."
        )
    return found


def _record(f: Callable[..., Any], i: int, x: Any) -> Recording:
    """Layer i at x on a tape; an error there tells the layer and the shape it was given."""
    given = f"an array of shape {np.shape(x)}" + (f", which layer {i - 1} returned" if i else "")
    try:
        recording = Recording(f, (x,))
    except (ValueError, IndexError) as error:
        raise ValueError(f"JacobianChain: layer {i} does not take {given}: {error}") from error
    except Exception as error:
        error.add_note(f"JacobianChain: layer {i} was given {given}")
        raise
    if recording.out_structure is not None:
        raise TypeError(f"JacobianChain: layer {i} returned a tree; a layer returns one array")
    for array, what in ((recording.leaves[0], "took"), (recording.values[0], "returned")):
        if array.dtype.kind != "f":
            raise TypeError(
                f"JacobianChain: layer {i} {what} {array.dtype}; the arrays between layers are real floats. "
                "Convert integers, x.astype(float); take complex numbers as their real and imaginary parts."
            )
        if not array.size:
            raise ValueError(f"JacobianChain: layer {i} {what} an empty array, of shape {array.shape}")
    return recording


class Factor:
    """The local Jacobian of one layer, or of a part of it: m × n, in its structure, applied by pushes and pulls."""

    def __init__(self, recording: Recording, layer: int = 0) -> None:
        self.recording, self.layer = recording, layer
        self.x, self.y = recording.leaves[0], recording.values[0]
        self.n, self.m = int(self.x.size), int(self.y.size)
        self.diagonal = _is_elementwise(recording)

    @cached_property
    def form(self) -> Structure:
        """How the matrix is held; the pattern is found when it is first asked for, and kept where it is sparse."""
        if self.diagonal:
            return Structure(self.m, self.n, diagonal=True)
        found = Structure(self.m, self.n, pattern=_pattern(self.recording))
        return found if found.kind == SPARSE else Structure(self.m, self.n)

    @property
    def structure(self) -> str:
        return self.form.kind

    @cached_property
    def partials(self) -> Any:
        """The numbers on the diagonal, by one push of ones."""
        return self.recording.push([np.ones(self.x.shape, self.x.dtype)], ())[0]

    @cached_property
    def constant(self) -> bool:
        """Whether the result does not depend on the argument."""
        return is_constant(self.recording)

    def push(self, t: Any, lead: tuple[int, ...]) -> Any:
        """Tangents (*lead, *x.shape) carried through the layer."""
        if self.constant:
            return _nothing(t, lead, self.y)
        return cast(self.partials * t, self.y.dtype) if self.diagonal else self.recording.push([t], lead)[0]

    def pull(self, u: Any, lead: tuple[int, ...]) -> Any:
        """Cotangents (*lead, *y.shape) carried back through the layer."""
        if self.constant:
            return _nothing(u, lead, self.x)
        return cast(self.partials * u, self.x.dtype) if self.diagonal else self.recording.pull([u], lead)[0]

    @cached_property
    def push_edges(self) -> int:
        """Multiply-adds of one tangent."""
        return _edges(self.push, self.x)

    @cached_property
    def pull_edges(self) -> int:
        """Multiply-adds of one adjoint."""
        return _edges(self.pull, self.y)

    @property
    def link(self) -> Link:
        sparse = self.form if self.form.kind == SPARSE else None
        return Link(self.m, self.n, self.push_edges, self.pull_edges, self.diagonal, sparse)

    def units(self, mode: str) -> Any:
        """The directions that give the whole local Jacobian, as rows: a unit each, or a colour, of a diagonal ones."""
        x = self.x if mode == TANGENT else self.y
        if self.form.kind == DENSE:
            return _identity(x)
        tangent = mode == TANGENT
        colours, count = (
            (self.form.column_colours, self.form.columns) if tangent else (self.form.row_colours, self.form.rows)
        )
        return (colours == np.arange(count)[:, None]).astype(x.dtype)


def _identity(x: Any) -> Any:
    """All unit directions of an array, raveled, as rows."""
    return np.reshape(unit_directions([x], 0, int(x.size))[0], (int(x.size), int(x.size)))


def _nothing(t: Any, lead: tuple[int, ...], x: Any) -> Any:
    """Zero directions of x made of the directions t, so that the sweep that goes on with them is traced and counted."""
    shape = (*lead, *x.shape)
    none = cast(np.reshape(t, (-1,))[:0], x.dtype)
    return np.reshape(scatter(none, (np.zeros(0, int),), (math.prod(shape),), 1), shape)


def _pattern(recording: Recording) -> Any:
    """Where the Jacobian may be nonzero; None if nearly everywhere, or under another transform, where none can know."""
    run = rerun(recording)
    if run is None:
        return None
    from ..sparse.pattern import jacobian_pattern

    try:
        return jacobian_pattern(run, recording.leaves[0])
    except PatternTooDense:
        return None


def _edges(apply: Callable[..., Any], x: Any) -> int:
    """Multiply-adds of one more direction."""
    one, two = (cost(lambda t, k=k: apply(t, (k,)), np.zeros((k, *x.shape), x.dtype)).multiply_adds for k in (1, 2))
    return round(two - one)


def _is_elementwise(recording: Recording) -> bool:
    """Whether the result comes from the input by elementwise operations alone, on arrays of one shape.

    Such operations never shrink a shape, so where the last result has the shape of the input, all between have it.
    """
    x, y = recording.leaves[0], recording.outputs[0]
    if not recording.traced(y) or y.shape != x.shape:
        return False
    return all(isinstance(op, Elementwise) or op.fn is np.where for op in recording.tape.operations(y.index))
