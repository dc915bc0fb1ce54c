"""A composition as a chain of local Jacobians, multiplied in any order.

J = J_{L−1} … J_1 J_0 for f_{L−1} ∘ … ∘ f_0.  Each factor stays on a tape of its own and is applied without being
formed; an elementwise layer is a diagonal, held as n numbers, and costs n a direction, not n².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from . import pytree
from .bracketing import ACCUMULATE, MULTIPLY, TANGENT, Bracketing, Link, cheapest, limits
from .program import Cost, cost
from .registry import Elementwise, cast
from .transforms import Recording, chunk_for, directions, private, unit_directions


class JacobianChain:
    """The local Jacobians of a composition, and their product in any order.

    Parameters
    ----------
    layers : functions f_0, f_1, …, each of one float array (of any shape) to one float array; f_0 is applied first.
    x : the argument of f_0.

    Each layer runs once, on a tape of its own. `print(chain)` shows the factors. A layer whose result depends on its
    argument by elementwise operations (and np.where) on arrays of one shape alone is a diagonal.

    Work is in multiply-adds, the unit of `admodes.cost`. One direction through a layer costs its *edges*: n for a
    diagonal; else what one push (one pull, in reverse) is counted to multiply, which for W @ x are its m·n entries and
    for x.sum() none. The partials that a push multiplies by, such as 1 − tanh², come with the function's value and
    are not counted. Work that does not grow with the number of directions (the factorisation in np.linalg.solve) stands
    in `counted`, not in `cost`.

    Raises
    ------
    TypeError : a layer that is no function, or returns a tree, integers or complex numbers; x likewise.
    ValueError : no layer, an empty array, a layer that fails on the shape of the result before it.

    Source: seed 003, 13.3.1: algorithm 5 (`jvp`) and algorithm 6 (`vjp`), for one vector or a collection of them.

    >>> import numpy as np
    >>> W = np.array([[1.0, 2.0, 3.0]])
    >>> chain = JacobianChain([np.square, lambda x: W @ x], np.array([1.0, 2.0, 3.0]))
    >>> chain
    JacobianChain 1 × 3
    layer       m ×       n  structure        edges
        0       3 ×       3  diagonal             3
        1       1 ×       3  dense                3
    >>> chain.jacobian("reverse")
    array([[ 2.,  8., 18.]])
    >>> chain.cost("forward"), chain.cost("reverse")
    (18, 6)
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
            self.factors.append(Factor(_record(f, i, x)))
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
        head += [f"{'layer':>5} {'m':>7} × {'n':>7}  {'structure':<9} {'edges':>12}"]
        rows = [f"{i:>5} {f.m:>7} × {f.n:>7}  {f.structure:<9} {_told(f.link)}" for i, f in enumerate(self.factors)]
        return "\n".join([*head, *rows])

    # Products with vectors ---------------------------------------------------------------------------

    def jvp(self, v: Any) -> Any:
        """J·v for a tangent of the shape of x, or of shape (K, *x.shape) for K at once: algorithm 5 of seed 003.

        >>> import numpy as np
        >>> JacobianChain([np.square, np.sum], np.array([1.0, 2.0])).jvp(np.array([[1.0, 0.0], [0.0, 1.0]]))
        array([2., 4.])
        """
        (t,), lead = directions([self.factors[0].x], [v], "tangent", "argument")
        for factor in self.factors:
            t = factor.push(t, lead)
        return private([t], taken=[v])[0]

    def vjp(self, u: Any) -> Any:
        """Jᵀ·u for a cotangent of the shape of the result, or K of them at once: algorithm 6 of seed 003.

        >>> import numpy as np
        >>> JacobianChain([np.square, np.sum], np.array([1.0, 2.0])).vjp(1.0)
        array([2., 4.])
        """
        (g,), lead = directions([self.factors[-1].y], [u], "cotangent", "result")
        for factor in reversed(self.factors):
            g = factor.pull(g, lead)
        return private([g], taken=[u])[0]

    # The whole Jacobian ------------------------------------------------------------------------------

    def jacobian(self, order: Any = "reverse") -> Any:
        """The product of all factors, of shape (*result.shape, *x.shape).

        Parameters
        ----------
        order : "forward" (unit tangents through all layers), "reverse" (unit cotangents), "optimal" (the plan of
            `bracketing`), a plan that `bracketing` made, or a bracketing of the layers 0 … L−1 as nested pairs,
            ((0, 1), 2): the factors' matrices are formed and multiplied in that order, diagonals as vectors.

        Raises
        ------
        ValueError : an order that is none of these.

        >>> import numpy as np
        >>> chain = JacobianChain([np.square, np.cumsum, np.exp], np.zeros(2) + 1)
        >>> np.array_equal(chain.jacobian(((0, 1), 2)), chain.jacobian((0, (1, 2))))
        True
        """
        seeds, run = self._seeded(order)
        return private([run(seeds)], taken=seeds)[0]

    def cost(self, order: Any = "reverse") -> int:
        """Multiply-adds of `jacobian(order)`, from the dimensions, the edges and the structure of the factors.

        "forward": n₀ · Σ edges; "reverse": m_L · Σ edges; "optimal": the cost of the plan. A bracketing: the local
        Jacobian of each layer, edges · min(m, n), or n for a diagonal; and for each product of an m × k by a k × n
        matrix m·k·n, m·n if one of them is a diagonal, n if both are.

        >>> import numpy as np
        >>> W = np.ones((4, 4))
        >>> chain = JacobianChain([lambda x: W @ x, np.tanh, lambda x: W[0] @ x], np.zeros(4))
        >>> chain.cost("forward"), chain.cost("reverse"), chain.cost(((0, 1), 2))  # 64 + 4 + 4 and 16 + 16
        (96, 24, 104)
        """
        if _is(order, "forward"):
            return self.shape[1] * sum(f.push_edges for f in self.factors)
        if _is(order, "reverse"):
            return self.shape[0] * sum(f.pull_edges for f in self.factors)
        stack: list[Shape] = []
        total = 0
        for node in self._nodes(order):
            work, made = self._priced(node, stack)
            stack.append(made)
            total += work
        return total

    def counted(self, order: Any = "reverse") -> Cost:
        """The work of `jacobian(order)` as carried out: its run on the unit directions, traced and counted.

        `counted(order).multiply_adds` equals `cost(order)`, which is predicted from the factors.

        >>> import numpy as np
        >>> chain = JacobianChain([np.square, lambda x: np.ones((2, 3)) @ x], np.ones(3))
        >>> chain.counted("optimal").multiply_adds == chain.cost("optimal") == chain.bracketing().cost
        True
        """
        seeds, run = self._seeded(order)
        return cost(run, seeds)

    def bracketing(self, memory: int | None = None, workers: int = 1) -> Bracketing:
        """The cheapest order, by the search of `optimal_bracketing` on the factors' dimensions, edges and structure.

        Parameters
        ----------
        memory : the most edges that the tape of one adjoint may hold; None for no limit.
        workers : machines that work side by side; the cost is then the makespan.

        A diagonal is accumulated by one direction, of ones, and stays n numbers in products with other diagonals.

        >>> import numpy as np
        >>> chain = JacobianChain([np.square, np.tanh, lambda x: np.ones((2, 3)) @ x], np.ones(3))
        >>> print(chain.bracketing())
        Bracketing of 3 factors, 2 × 3
        homogeneous tangent                      36
        homogeneous adjoint                      24
        preaccumulation                          27
        optimal                                  24
        F2·F1·F0  carry F1·F0 by tangents through F2  18
        └─ F1·F0  carry F0 by tangents through F1  3
           └─ F0  accumulate by tangents  3
        """
        return cheapest([f.link for f in self.factors], True, *limits(memory, workers))

    # Orders as nodes, parts before what is made of them ------------------------------------------------

    def _nodes(self, order: Any) -> list[tuple[Any, ...]]:
        if _is(order, "optimal"):
            order = self.bracketing()
        if isinstance(order, Bracketing):
            return [step.node for step in self._own(order).steps]
        return [
            (ACCUMULATE, node, self.factors[node].link.cheaper()) if isinstance(node, int) else (MULTIPLY,)
            for node in _postorder(order, len(self))
        ]

    def _own(self, plan: Bracketing) -> Bracketing:
        if plan.factors != tuple((f.m, f.n, f.push_edges) for f in self.factors):
            raise ValueError("order is a Bracketing of another chain; make it by chain.bracketing()")
        return plan

    def _priced(self, node: tuple[Any, ...], stack: list[Shape]) -> tuple[int, Shape]:
        """Multiply-adds of one node and the shape it makes, of those that it takes from the stack."""
        if node[0] == ACCUMULATE:
            f = self.factors[node[1]]
            return f.link.accumulation(node[2]), Shape(f.m, f.n, f.diagonal)
        part = stack.pop()
        if node[0] == MULTIPLY:
            right = stack.pop()
            return part.cost(right), part @ right
        first, last = node[2]
        passed = self.factors[first : last + 1]
        diagonal = part.diagonal and all(f.diagonal for f in passed)
        if node[0] == TANGENT:
            columns = 1 if diagonal else part.n
            return columns * sum(f.push_edges for f in passed), Shape(passed[-1].m, part.n, diagonal)
        rows = 1 if diagonal else part.m
        return rows * sum(f.pull_edges for f in passed), Shape(part.m, passed[0].n, diagonal)

    # Carrying them out ---------------------------------------------------------------------------------

    def _seeded(self, order: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """The unit directions that an order begins with, and the run that makes the Jacobian of them."""
        first, last = self.factors[0], self.factors[-1]
        shape = last.y.shape + first.x.shape
        if _is(order, "forward"):
            return [_identity(first.x)], lambda seeds: np.reshape(_pushed(self.factors, seeds[0]).T, shape)
        if _is(order, "reverse"):
            return [_identity(last.y)], lambda seeds: np.reshape(_pulled(self.factors, seeds[0]), shape)
        nodes = self._nodes(order)
        seeds = [self.factors[node[1]].units(node[2]) for node in nodes if node[0] == ACCUMULATE]
        return seeds, lambda seeds: np.reshape(self._run(nodes, seeds).full(), shape)

    def _run(self, nodes: Sequence[tuple[Any, ...]], seeds: Sequence[Any]) -> Matrix:
        stack: list[Matrix] = []
        left = iter(seeds)
        for node in nodes:
            if node[0] == ACCUMULATE:
                factor = self.factors[node[1]]
                made = _carried(Matrix(next(left), factor.diagonal), node[2], [factor])
            elif node[0] == MULTIPLY:
                made = stack.pop() @ stack.pop()
            else:
                first, last = node[2]
                made = _carried(stack.pop(), node[0], self.factors[first : last + 1])
            stack.append(made)
        return stack.pop()


def _pushed(factors: Sequence[Factor], rows: Any) -> Any:
    """Rows as tangents through factors, the first of them first."""

    def sweep(rows: Any) -> Any:
        k = rows.shape[0]
        t = np.reshape(rows, (k, *factors[0].x.shape))
        for factor in factors:
            t = factor.push(t, (k,))
        return np.reshape(t, (k, factors[-1].m))

    return _in_chunks(sweep, factors, rows)


def _pulled(factors: Sequence[Factor], rows: Any) -> Any:
    """Rows as cotangents back through factors, the last of them first."""

    def sweep(rows: Any) -> Any:
        k = rows.shape[0]
        u = np.reshape(rows, (k, *factors[-1].y.shape))
        for factor in reversed(factors):
            u = factor.pull(u, (k,))
        return np.reshape(u, (k, factors[0].n))

    return _in_chunks(sweep, factors, rows)


def _in_chunks(sweep: Callable[[Any], Any], factors: Sequence[Factor], rows: Any) -> Any:
    """So many rows at once as bounds the memory."""
    k = rows.shape[0]
    step = chunk_for(k, max(max(f.m, f.n) for f in factors))
    if step == k:
        return sweep(rows)
    return np.concatenate([sweep(rows[start : start + step]) for start in range(0, k, step)])


def _carried(matrix: Matrix, mode: str, factors: Sequence[Factor]) -> Matrix:
    """A matrix through further factors: its columns as tangents or its rows as cotangents; all diagonals: one row."""
    through = _pushed if mode == TANGENT else _pulled
    if matrix.diagonal and all(f.diagonal for f in factors):
        return Matrix(through(factors, matrix.entries), True)
    full = matrix.full()
    return Matrix(through(factors, full.T).T if mode == TANGENT else through(factors, full), False)


def _is(order: Any, name: str) -> bool:
    return isinstance(order, str) and order == name


def _postorder(order: Any, layers: int) -> list[Any]:
    """Layer numbers, and None for each product behind its two parts, the one nearer to the input first."""
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
                f'order={order!r}: it must be "forward", "reverse", "optimal", a Bracketing, or a bracketing in nested '
                f"pairs of layer numbers such as ((0, 1), 2); {node!r} is none."
            )
    found.reverse()
    leaves = [node for node in found if node is not None]
    if leaves != list(range(layers)):
        raise ValueError(
            f"order={order!r} brackets the layers {leaves}; it must hold 0 … {layers - 1}, each once and in order."
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
    """The local Jacobian of one layer: m × n, a diagonal or dense, applied by pushes and pulls over its tape."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.x, self.y = recording.leaves[0], recording.values[0]
        self.n, self.m = int(self.x.size), int(self.y.size)
        self.diagonal = _is_elementwise(recording)

    @property
    def structure(self) -> str:
        return "diagonal" if self.diagonal else "dense"

    @cached_property
    def partials(self) -> Any:
        """The numbers on the diagonal, by one push of ones."""
        return self.recording.push([np.ones(self.x.shape, self.x.dtype)], ())[0]

    def push(self, t: Any, lead: tuple[int, ...]) -> Any:
        """Tangents (*lead, *x.shape) carried through the layer."""
        return cast(self.partials * t, self.y.dtype) if self.diagonal else self.recording.push([t], lead)[0]

    def pull(self, u: Any, lead: tuple[int, ...]) -> Any:
        """Cotangents (*lead, *y.shape) carried back through the layer."""
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
        return Link(self.m, self.n, self.push_edges, self.pull_edges, self.diagonal)

    def units(self, mode: str) -> Any:
        """The directions that give the whole local Jacobian, as rows: of a diagonal one, of ones."""
        x = self.x if mode == TANGENT else self.y
        if self.diagonal:
            return np.ones((1, self.n), x.dtype)
        return _identity(x)


def _identity(x: Any) -> Any:
    """All unit directions of an array, raveled, as rows."""
    return np.reshape(unit_directions([x], 0, int(x.size))[0], (int(x.size), int(x.size)))


def _told(link: Link) -> str:
    """The edges of a factor: one number where tangents and adjoints cost the same."""
    return f"{link.push:>12,}" + (f" (adjoint {link.pull:,})" if link.pull != link.push else "")


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


# ---------------------------------------------------------------------------------------------------
# Matrices that may be diagonals
# ---------------------------------------------------------------------------------------------------


class Matrix(NamedTuple):
    """A matrix, or the diagonal of one, as an array of one row."""

    entries: Any
    diagonal: bool

    def __matmul__(self, other: Matrix) -> Matrix:
        if self.diagonal and not other.diagonal:
            return Matrix(self.entries.T * other.entries, False)
        if other.diagonal:
            return Matrix(self.entries * other.entries, self.diagonal)
        return Matrix(self.entries @ other.entries, False)

    def full(self) -> Any:
        return np.diag(self.entries[0]) if self.diagonal else self.entries


class Shape(NamedTuple):
    """Rows and columns of a matrix, and whether it is a diagonal."""

    m: int
    n: int
    diagonal: bool

    def __matmul__(self, other: Shape) -> Shape:
        return Shape(self.m, other.n, self.diagonal and other.diagonal)

    def cost(self, other: Shape) -> int:
        """Multiply-adds of self @ other."""
        if self.diagonal and other.diagonal:
            return self.n
        return self.m * other.n * (1 if self.diagonal or other.diagonal else self.n)
