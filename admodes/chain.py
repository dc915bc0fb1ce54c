"""A composition as a chain of local Jacobians, multiplied in any order.

J = J_{L−1} … J_1 J_0 for f_{L−1} ∘ … ∘ f_0.  Each factor stays on a tape of its own and is applied without being
formed; an elementwise layer is a diagonal and costs n, not n².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .bracketing import ACCUMULATE, ADJOINT, MULTIPLY, TANGENT, Bracketing, optimal_bracketing
from .registry import Elementwise
from .transforms import Recording, blocks_by_pulls, blocks_by_pushes, directions, private, unit_directions


class JacobianChain:
    """The local Jacobians of a composition, and their product in any order.

    Parameters
    ----------
    layers : functions f_0, f_1, …, each of one array (of any shape) to one array; f_0 is applied first.
    x : the argument of f_0.

    Each layer runs once, on a tape of its own. `print(chain)` shows the factors: a layer whose operations are all
    elementwise on arrays of one shape is a diagonal.

    Raises
    ------
    TypeError, ValueError : no layer, a layer that is no function, fails on the result before it, or returns a tree.

    Source: seed 003, 13.3.1: algorithm 5 (`jvp`) and algorithm 6 (`vjp`), for one vector or a collection of them.

    >>> import numpy as np
    >>> W = np.array([[1.0, 2.0, 3.0]])
    >>> chain = JacobianChain([np.square, lambda x: W @ x], np.array([1.0, 2.0, 3.0]))
    >>> chain.jacobian("reverse")
    array([[ 2.,  8., 18.]])
    >>> chain.cost("forward"), chain.cost("reverse")
    (18, 6)
    """

    def __init__(self, layers: Sequence[Callable[..., Any]], x: Any) -> None:
        layers = list(layers)
        if not layers:
            raise ValueError("JacobianChain: there is no layer")
        self.factors: list[Factor] = []
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
        rows = [f"  layer {i}: {f.m} × {f.n}, {f.kind}, {f.edges:,} multiply-adds a product"
                for i, f in enumerate(self.factors)]  # fmt: skip
        head = f"JacobianChain {self.shape[0]} × {self.shape[1]}:"
        return "\n".join([head, *rows])

    def jvp(self, v: Any) -> Any:
        """J·v for a tangent of the shape of x, or of shape (K, *x.shape) for K at once: algorithm 5 of seed 003."""
        (t,), lead = directions([self.factors[0].x], [v], "tangent", "argument")
        for factor in self.factors:
            t = factor.push(t, lead)
        return private([t], taken=[v])[0]

    def vjp(self, u: Any) -> Any:
        """Jᵀ·u for a cotangent of the shape of the result, or K of them at once: algorithm 6 of seed 003."""
        (g,), lead = directions([self.factors[-1].y], [u], "cotangent", "result")
        for factor in reversed(self.factors):
            g = factor.pull(g, lead)
        return private([g], taken=[u])[0]

    def jacobian(self, order: Any = "reverse") -> Any:
        """The product of all factors, of shape (*result.shape, *x.shape).

        order : "forward" (unit tangents through all layers), "reverse" (unit cotangents), "optimal" (as `bracketing`
            says), or a bracketing of the layers 0 … L−1 as nested tuples, ((0, 1), 2): the factors' matrices are formed
            and multiplied in that order.

        Raises
        ------
        ValueError : an order that is none of these.
        """
        first, last = self.factors[0], self.factors[-1]
        if isinstance(order, str) and order == "forward":
            units = unit_directions([first.x], 0, first.n)[0]
            J = np.reshape(self.jvp(units), (first.n, last.m)).T
        elif isinstance(order, str) and order == "reverse":
            J = self.vjp(unit_directions([last.y], 0, last.m)[0])
        elif isinstance(order, str) and order == "optimal":
            J = self._evaluated(self.bracketing().tree)[0].full()
        else:
            J = self._product(self._checked(order)).full()
        return np.reshape(J, last.y.shape + first.x.shape)

    def cost(self, order: Any = "reverse") -> int:
        """Multiply-adds of `jacobian(order)`, from the dimensions and the structure of the factors.

        A product of a factor with one vector costs its edges: n for a diagonal, m·n otherwise. "forward": n₀ · Σ edges;
        "reverse": m_L · Σ edges. A bracketing: forming each factor (edges · min(m, n); n for a diagonal), and m·k·n
        for a product of matrices, the size of the other where one is a diagonal.
        """
        edges = sum(f.edges for f in self.factors)
        if isinstance(order, str):
            if order == "forward":
                return self.shape[1] * edges
            if order == "reverse":
                return self.shape[0] * edges
            if order == "optimal":
                return self._evaluated(self.bracketing().tree, count_only=True)[1]
        return self._price(self._checked(order))[1]

    def bracketing(self, **options: Any) -> Bracketing:
        """The cheapest order by `optimal_bracketing`, from the factors' dimensions and edges.

        A diagonal counts as a matrix of n edges, so the plan's cost is a bound that `cost("optimal")` may undercut.
        """
        return optimal_bracketing([(f.m, f.n, f.edges) for f in self.factors], **options)

    # Explicit bracketings -------------------------------------------------------------------------

    def _checked(self, order: Any) -> Any:
        """The bracketing itself, if it holds the layers 0 … L−1 in their order."""
        leaves: list[Any] = []
        stack = [order]
        while stack:
            node = stack.pop()
            if isinstance(node, tuple | list) and len(node) == 2:
                stack += [node[1], node[0]]
            elif isinstance(node, int | np.integer):
                leaves.append(int(node))
            else:
                raise ValueError(
                    f'order={order!r}: it must be "forward", "reverse", "optimal", or a bracketing of nested '
                    "pairs of layer "
                    f"numbers such as ((0, 1), 2); {node!r} is none."
                )
        if leaves != list(range(len(self))):
            raise ValueError(
                f"order={order!r} brackets the layers {leaves}; it must hold 0 … {len(self) - 1}, each once "
                "and in order."
            )
        return order

    def _product(self, order: Any) -> Matrix:
        if isinstance(order, int | np.integer):
            return self.factors[order].matrix()
        first, second = order
        return self._product(second) @ self._product(first)

    def _price(self, order: Any) -> tuple[Shape, int]:
        if isinstance(order, int | np.integer):
            f = self.factors[order]
            return Shape(f.m, f.n, f.diagonal), f.n if f.diagonal else f.edges * min(f.m, f.n)
        (right, a), (left, b) = self._price(order[0]), self._price(order[1])
        return left @ right, a + b + left.cost(right)

    # The plan of `bracketing` ----------------------------------------------------------------------

    def _evaluated(self, tree: Any, count_only: bool = False) -> tuple[Any, int]:
        """The matrix that a plan gives, and the multiply-adds it takes."""
        kind = tree[0]
        if kind == ACCUMULATE:
            f = self.factors[tree[1]]
            cost = f.n if f.diagonal else f.edges * (f.n if tree[2] == TANGENT else f.m)
            return (Shape(f.m, f.n, f.diagonal) if count_only else f.matrix(tree[2])), cost
        if kind == MULTIPLY:
            (left, a), (right, b) = (self._evaluated(part, count_only) for part in tree[1:])
            return left @ right, a + b + _shape(left).cost(_shape(right))
        part, cost = self._evaluated(tree[1], count_only)
        first, last = tree[2]
        passed = self.factors[first : last + 1]
        s = _shape(part)
        diagonal = s.diagonal and all(f.diagonal for f in passed)
        rows = 1 if diagonal else s.n if kind == TANGENT else s.m
        cost += rows * sum(f.edges for f in passed)
        if count_only:
            shape = (passed[-1].m, s.n) if kind == TANGENT else (s.m, passed[0].n)
            return Shape(*shape, diagonal), cost
        if diagonal:
            for f in passed if kind == TANGENT else passed[::-1]:
                part = f.matrix() @ part
            return part, cost
        return self._carried(part.full(), kind, passed), cost

    @staticmethod
    def _carried(matrix: Any, kind: str, passed: list[Factor]) -> Matrix:
        """A sub-chain's matrix carried through further factors, its columns as tangents or its rows as cotangents."""
        if kind == TANGENT:
            t = np.reshape(matrix.T, (matrix.shape[1], *passed[0].x.shape))
            for f in passed:
                t = f.push(t, (matrix.shape[1],))
            return Matrix(np.reshape(t, (matrix.shape[1], passed[-1].m)).T, False)
        assert kind == ADJOINT
        u = np.reshape(matrix, (matrix.shape[0], *passed[-1].y.shape))
        for f in reversed(passed):
            u = f.pull(u, (matrix.shape[0],))
        return Matrix(np.reshape(u, (matrix.shape[0], passed[0].n)), False)


def _record(f: Callable[..., Any], i: int, x: Any) -> Recording:
    """Layer i at x on a tape; an error there tells the layer and the shape it was given."""
    shape = np.shape(x)
    try:
        recording = Recording(f, (x,))
    except (ValueError, IndexError) as error:
        raise ValueError(f"JacobianChain: layer {i} does not take an array of shape {shape}: {error}") from error
    if recording.out_structure is not None:
        raise TypeError(f"JacobianChain: layer {i} returned a tree; a layer returns one array")
    if recording.values[0].dtype.kind not in "fc":
        raise TypeError(f"JacobianChain: layer {i} returned {recording.values[0].dtype}; a layer returns floats")
    return recording


class Factor:
    """The local Jacobian of one layer: m × n, a diagonal or dense, applied by pushes and pulls over its tape."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.x, self.y = recording.leaves[0], recording.values[0]
        self.n, self.m = int(self.x.size), int(self.y.size)
        self.diagonal = _is_elementwise(recording)

    @property
    def kind(self) -> str:
        return "diagonal" if self.diagonal else "dense"

    @property
    def edges(self) -> int:
        """Multiply-adds of one product with a vector."""
        return self.n if self.diagonal else self.m * self.n

    def push(self, t: Any, lead: tuple[int, ...]) -> Any:
        return self.recording.push([t], lead)[0]

    def pull(self, u: Any, lead: tuple[int, ...]) -> Any:
        return self.recording.pull([u], lead)[0]

    def matrix(self, mode: str = "") -> Matrix:
        """The local Jacobian, by pushes or pulls, whichever are fewer unless `mode` says; of a diagonal n numbers."""
        if self.diagonal:
            return Matrix(np.reshape(self.push(np.ones(self.x.shape, self.x.dtype), ()), -1), True)
        forward = mode == TANGENT or (not mode and self.n <= self.m)
        blocks = (blocks_by_pushes if forward else blocks_by_pulls)(self.recording, None)
        return Matrix(np.reshape(blocks[0][0], (self.m, self.n)), False)


def _is_elementwise(recording: Recording) -> bool:
    """Whether every operation from input to output is elementwise on arrays of one shape."""
    shape = recording.leaves[0].shape
    if not recording.traced(recording.outputs[0]) or recording.values[0].shape != shape:
        return False
    return all(
        isinstance(op, Elementwise) and np.shape(y) == shape and all(np.shape(args[i]) == shape for i in positions)
        for op, positions, y, args in recording.tape.operations()
    )


class Matrix(NamedTuple):
    """A matrix, or the diagonal of one."""

    entries: Any
    diagonal: bool

    def __matmul__(self, other: Matrix) -> Matrix:
        if self.diagonal:
            rows = self.entries if other.diagonal else self.entries[:, None]
            return Matrix(rows * other.entries, other.diagonal)
        return Matrix(self.entries * other.entries if other.diagonal else self.entries @ other.entries, False)

    def full(self) -> Any:
        return np.diag(self.entries) if self.diagonal else self.entries


class Shape(NamedTuple):
    """Rows and columns of a matrix, and whether it is a diagonal."""

    m: int
    n: int
    diagonal: bool

    def __matmul__(self, other: Shape) -> Shape:
        return Shape(self.m, other.n, self.diagonal and other.diagonal)

    def cost(self, other: Shape) -> int:
        """Multiply-adds of self @ other."""
        if self.diagonal:
            return other.n if other.diagonal else other.m * other.n
        return self.m * self.n if other.diagonal else self.m * self.n * other.n


def _shape(x: Matrix | Shape) -> Shape:
    if isinstance(x, Shape):
        return x
    m, n = (x.entries.size, x.entries.size) if x.diagonal else x.entries.shape
    return Shape(m, n, x.diagonal)
