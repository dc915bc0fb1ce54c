"""Linear systems with the matrix A(z, q) = ∂g/∂z: dense, sparse by colouring, or matrix-free; differentiable.

x = A⁻¹ b is itself an implicit function, of A(z, q) x − b = 0, so that derivatives of every order follow from the two
rules here:  ẋ = A⁻¹ (ḃ − (∂(A x)/∂(z, q)) (ż, q̇))  and, with w = A⁻ᵀ x̄,  b̄ = w,  (z̄, q̄) = −(∂(A x)/∂(z, q))ᵀ w.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ..core import pytree
from ..core.dispatch import apply, highest
from ..core.errors import IllConditioned, NotConverged, PatternTooDense, SingularJacobian
from ..core.registry import Each, Op
from ..operators.products import linearize
from ..sparse.pattern import jacobian_pattern
from ..sparse.plan import sparse_jacobian_plan
from ..transforms.arguments import replaced
from ..transforms.dense import jacfwd
from ..transforms.recording import Recording, push_forward

LinearSolver = Literal["auto", "dense", "sparse", "gmres"] | Callable[[Any, Any], Any]

# Up to this size A is a dense matrix; above it is sparse where at most SPARSE_SHARE of its entries may be nonzero.
DENSE_SIZE = 300
SPARSE_SHARE = 0.1
# Beyond this condition number a derivative has lost most of its digits, and a warning says so.
ILL_CONDITIONED = 1e12


class System:
    """A(z, q) = ∂g/∂z, where g(z, *q) takes and gives vectors of n numbers."""

    def __init__(self, g: Callable[..., Any], n: int, solver: LinearSolver) -> None:
        if not callable(solver) and solver not in ("auto", "dense", "sparse", "gmres"):
            raise ValueError(
                f"linear_solver={solver!r}: it must be 'auto', 'dense', 'sparse', 'gmres', or a function of a "
                "LinearOperator and a right-hand side"
            )
        self.g, self.n, self.solver = g, n, solver
        self.condition = np.nan  # of the last factorisation, estimated in the 1-norm; without one a bound from below
        self._size: float | None = None  # ‖∂g/∂z‖₂, where it is not factored
        self._plan: Any = None
        self._factored: tuple[list[Any], Any] | None = None

    def product(self, transposed: bool, x: Any, z: Any, *q: Any) -> Any:
        """A x, or Aᵀ x, of one vector or of each row of x."""
        lead = x.shape[:-1]
        if transposed:
            return Recording(lambda z: self.g(z, *q), (z,)).pull([x], lead)[0]
        return push_forward(lambda z: self.g(z, *q), pytree.ONE_ARGUMENT, [z], [x], lead)[2][0]

    def solve(self, transposed: bool, b: Any, z: Any, q: Sequence[Any]) -> Any:
        """A⁻¹ b, or A⁻ᵀ b, of one vector or of each row of b; its arguments may be traced."""
        return _Solve(self, transposed).evaluate(b, z, *q)

    def factored(self, z: Any, q: Sequence[Any]) -> Callable[[bool, Any], Any]:
        """solve(transposed, columns) at a plain point; the last factorisation is kept."""
        point = [z, *q]
        if self._factored is not None and all(map(np.array_equal, self._factored[0], point)):
            return self._factored[1]
        self._size = None
        if callable(self.solver):
            found = self._by(self.solver, z, q)
        elif self.solver == "dense" or (self.solver == "auto" and self.n <= DENSE_SIZE):
            found = self._dense(z, q)
        elif self.solver == "sparse" or (self.solver == "auto" and self._is_sparse(z, q)):
            found = self._sparse(z, q)
        else:
            found = self._by(_gmres, z, q)
        self._factored = [np.array(x) for x in point], found
        return found

    def _dense(self, z: Any, q: Sequence[Any]) -> Callable[[bool, Any], Any]:
        from scipy.linalg import lapack

        A = jacfwd(lambda z: self.g(z, *q))(z)
        lu, pivots, info = lapack.dgetrf(A)
        reciprocal = 0.0 if info else lapack.dgecon(lu, np.abs(A).sum(0).max())[0]
        self._judge(np.inf if reciprocal == 0 else 1 / reciprocal)
        return lambda transposed, b: lapack.dgetrs(lu, pivots, b, trans=int(transposed))[0]

    def _is_sparse(self, z: Any, q: Sequence[Any]) -> bool:
        try:
            return bool(jacobian_pattern(lambda z: self.g(z, *q), z).nnz <= SPARSE_SHARE * self.n**2)
        except PatternTooDense:
            return False

    def _sparse(self, z: Any, q: Sequence[Any]) -> Callable[[bool, Any], Any]:
        from scipy.sparse import csc_array, csc_matrix
        from scipy.sparse.linalg import LinearOperator, onenormest, splu

        if self._plan is None:
            self._plan = sparse_jacobian_plan(self.g, z, *q)
        A = csc_array(self._plan(z, *q))
        try:
            lu = splu(csc_matrix(A))
        except RuntimeError:  # SuperLU: "Factor is exactly singular"
            self._judge(np.inf)
            raise
        inverse = LinearOperator(A.shape, lu.solve, lambda b: lu.solve(b, "T"), dtype=float)
        self._judge(float(np.abs(A).sum(0).max() * onenormest(inverse)))
        return lambda transposed, b: lu.solve(b, "T" if transposed else "N")

    def _by(self, solver: Callable[[Any, Any], Any], z: Any, q: Sequence[Any]) -> Callable[[bool, Any], Any]:
        J = linearize(lambda z: self.g(z, *q), z)[1]

        def solve(transposed: bool, b: Any) -> Any:
            A = J.T if transposed else J
            return np.stack([np.asarray(solver(A, column)) for column in b.T], axis=1)

        self._size = _norm(J)
        return solve

    def applied(self, transposed: bool, b: Any, z: Any, q: Sequence[Any]) -> Any:
        """The solutions of columns b at a plain point; without a factorisation they tell the condition."""
        x = self.factored(z, q)(transposed, b)
        moving = np.any(b, 0)
        if self._size is not None and np.any(moving):
            stretch = np.linalg.norm(x[:, moving], axis=0) / np.linalg.norm(b[:, moving], axis=0)
            self._judge(self._size * float(np.max(stretch)))
        return x

    def _judge(self, condition: float) -> None:
        self.condition = condition
        if not condition < 1 / (np.finfo(float).eps * self.n):
            raise SingularJacobian(condition)
        if condition > ILL_CONDITIONED:
            warnings.warn(
                f"∂g/∂z has a condition number of about {condition:.1e} at the solution: of the derivative about "
                f"{max(0, 15 - int(np.log10(condition)))} digits are right.",
                IllConditioned,
                stacklevel=2,
            )


def _gmres(A: Any, b: Any) -> Any:
    from scipy.sparse.linalg import gmres

    x, failed = gmres(A, b, rtol=1e-13, atol=0.0, restart=min(A.shape[0], 400), maxiter=10)
    rest = b - A @ x
    residual = float(np.linalg.norm(rest))
    if failed and residual > 1e-8 * np.linalg.norm(b):
        # σ_min ≤ ‖A x‖/‖x‖ of every x, and ‖Aᵀ r‖/‖r‖ of every r: small where r is what the range of A does not reach.
        stretched = [(x, A @ x), (rest, A.T @ rest)]
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = _norm(A) * max(float(np.linalg.norm(v) / np.linalg.norm(Av)) for v, Av in stretched if np.any(v))
        raise NotConverged(
            f"GMRES did not solve the linear system with ∂g/∂z of size {A.shape[0]}: the residual is {residual:.1e}, "
            f"and the condition number is at least {bound:.1e}. "
            "Pass linear_solver=, a function of a LinearOperator and a right-hand side (with a preconditioner, say), "
            'or "dense".'
        )
    return x


def _norm(A: Any, steps: int = 8) -> float:
    """‖A‖₂ from below, within some percent, by the power method on AᵀA.

    With any x it bounds the condition number from below, ‖A‖ ‖A⁻¹‖ ≥ ‖A‖ ‖x‖ / ‖A x‖, where no matrix is made.
    """
    x = np.random.default_rng(0).normal(size=A.shape[0])
    for _ in range(steps):
        x = A.T @ (A @ (x / np.linalg.norm(x)))
        if not np.any(x):
            return 0.0
    return float(np.sqrt(np.linalg.norm(x)))


class _Solve(Op):
    """x = A(z, q)⁻¹ b or A⁻ᵀ b; arguments (b, z, *q), b of shape (n,) or (rows, n)."""

    def __init__(self, system: System, transposed: bool) -> None:
        super().__init__(_solve, name="linear solve", arrays=None, flops=_operations)
        self.system, self.transposed = system, transposed
        self.pushes = self.pulls = Each()

    def evaluate(self, b: Any, z: Any, *q: Any) -> Any:
        if highest((b, z, q)) is not None:
            return apply(self, (b, z, *q), {})
        rows = np.reshape(b, (-1, self.system.n))
        return np.reshape(self.system.applied(self.transposed, rows.T, z, q).T, np.shape(b))

    def product(self, x: Any, z: Any, *q: Any) -> Any:
        return self.system.product(self.transposed, x, z, *q)

    def push_all(self, given: dict[int, Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        moving = sorted(k for k in given if k)
        right = given.get(0)
        if moving:
            t = given[moving[0]]
            lead = t.shape[: t.ndim - np.ndim(args[moving[0]])]

            def of_point(*point: Any) -> Any:
                full = replaced(args, moving, point)
                return self.product(y, *full[1:])

            change = along(of_point, [args[k] for k in moving], [given[k] for k in moving], lead)
            right = -change if right is None else right - change
        return self._rows(self.transposed, right, args)

    def pull_all(self, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        w = self._rows(not self.transposed, u, args)
        lead = u.shape[: u.ndim - y.ndim]
        return [w, *Recording(lambda *point: self.product(y, *point), tuple(args[1:])).pull([-w], lead)]

    def _rows(self, transposed: bool, right: Any, args: Sequence[Any]) -> Any:
        _, z, *q = args
        rows = np.reshape(right, (-1, self.system.n))
        return np.reshape(self.system.solve(transposed, rows, z, q), right.shape)


def _operations(y: Any, b: Any, z: Any, *q: Any) -> float:
    """A dense factorisation, and two triangular solves a row."""
    n = int(np.shape(z)[0])
    return 2 / 3 * n**3 + 2 * n * int(np.size(b))


def _solve(b: Any, z: Any, *q: Any) -> Any:
    """The name under which programs show a linear solve."""


def along(f: Callable[..., Any], primals: list[Any], tangents: list[Any], lead: tuple[int, ...]) -> Any:
    """The tangent of f(*primals), one array."""
    return push_forward(f, pytree.flatten(tuple(primals))[1], primals, tangents, lead)[2][0]
