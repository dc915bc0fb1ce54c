"""The implicit function theorem as a row made for one problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import pytree
from ..core.blank import traced
from ..core.dispatch import apply, highest, pack
from ..core.errors import NotConverged
from ..core.registry import Each, Op
from ..core.tracing import Tracer
from ..core.views import ground
from ..transforms.arguments import replaced
from ..transforms.around import NOTHING, Around
from ..transforms.closures import closed_over
from ..transforms.recording import Recording
from .linear import LinearSolver, System, along

# A user's search: solver(residual, z0) -> z, on vectors.
Solver = Callable[[Callable[[Any], Any], Any], Any]

# Ours: search(equations, q) -> z at plain q.
Search = Callable[["Equations", Sequence[Any]], Any]

# Newton steps after the solver, which bring its tolerance to that of rounding; without one more they would not.
POLISH = 3


@dataclass(frozen=True)
class Information:
    """How well an implicit function and its derivative are known (by `full_output=True`).

    residual : the largest |g(z, *params)| at the solution.
    error : the largest entry of the next Newton step, an estimate of the error of z.
    condition : of ∂g/∂z: estimated in the 1-norm where a matrix is factored, else (GMRES, a solver of the user's) a
        bound from below in the 2-norm, from the products made.
    derivative_error : how far that step would move the derivative along params, relative to it: an estimate of the
        part of the derivative's error that comes from the solver's tolerance.
    """

    residual: float
    error: float
    condition: float
    derivative_error: float


class Equations:
    """g(z, *params) = 0 on raveled arrays: z a vector of n numbers, q the traced leaves of params and of closures.

    Other functions of the same arguments may come along for the search (`helpers`).
    """

    def __init__(
        self,
        caller: str,
        g: Callable[..., Any],
        z0: Any,
        params: tuple[Any, ...],
        helpers: Sequence[Callable[..., Any]],
    ) -> None:
        self.caller = caller
        leaves, self.structure = pytree.flatten(z0)
        self.start = [_start(caller, x) for x in leaves]
        self.n = sum(int(x.size) for x in self.start)
        captured, self._rebuild = closed_over((g, *helpers))
        flat, self._q_structure = pytree.flatten((params, captured))
        self.flat = [pack(x) for x in flat]
        self.moving = [k for k, x in enumerate(self.flat) if isinstance(x, Tracer) and x.dtype.kind in "fc"]
        # What the functions store outside of themselves is looked for where a derivative would be lost.
        self.around = Around((g, *helpers), [ground(x) for x in captured]) if traced(self.flat) else NOTHING
        if any(np.iscomplexobj(x) for x in self.flat):
            raise TypeError(f"{caller}: a parameter is complex; pass its real and imaginary part as two real ones")

    def parameters(self) -> list[Any]:
        """The traced leaves, which stay with the caller: see `closures`."""
        q = [self.flat[k] for k in self.moving]
        self.flat = replaced(self.flat, self.moving, [None] * len(q))
        return q

    @property
    def z0(self) -> Any:
        return np.concatenate([np.reshape(x, -1) for x in self.start])

    def call(self, which: int, z: Any, q: Sequence[Any]) -> Any:
        """The result of a function at a vector z: 0 is g, the helpers follow."""
        flat = replaced(self.flat, self.moving, q)
        params, captured = pytree.unflatten(self._q_structure, flat)
        with self.around.alone():
            return self.around.call(self._rebuild, captured, lambda fs: fs[which](self.tree(z), *params))

    def g(self, z: Any, *q: Any) -> Any:
        """The residual as a vector."""
        out, _ = pytree.flatten(self.call(0, z, q))
        r = np.concatenate([np.reshape(y, -1) for y in out]) if len(out) != 1 else np.reshape(out[0], -1)
        if r.shape != (self.n,):
            raise ValueError(
                f"{self.caller}: the equations give {r.size} numbers for {self.n} unknowns; there must be as many of "
                "one as of the other"
            )
        return r

    def tree(self, z: Any) -> Any:
        """A vector in the structure and the shapes of z0."""
        parts, start = [], 0
        for x in self.start:
            parts.append(np.reshape(z[start : start + x.size], x.shape) if x.shape else z[start])
            start += x.size
        return pytree.unflatten(self.structure, parts)


class Problem:
    """Equations, and the linear systems with their Jacobian matrix."""

    def __init__(
        self,
        caller: str,
        g: Callable[..., Any],
        z0: Any,
        params: tuple[Any, ...],
        linear_solver: LinearSolver,
        helpers: Sequence[Callable[..., Any]] = (),
    ) -> None:
        self.equations = Equations(caller, g, z0, params, helpers)
        self.caller, self.g = caller, self.equations.g
        self.system = System(self.g, self.equations.n, linear_solver)

    def solution(self, search: Search, solver: Solver | None, full_output: bool = False) -> Any:
        """z in the structure of z0, by the user's solver or by our search; differentiable by all it depends on."""
        if solver is not None:
            search = _by_user(solver)
        if full_output and self.equations.moving:
            raise TypeError(f"{self.caller}: full_output=True is for plain arguments, outside of a transform")
        with self.equations.around.searching(self.caller):
            z = _Implicit(self, search).evaluate(*self.equations.parameters())
        tree = self.equations.tree(z)
        return (tree, self.information(z)) if full_output else tree

    def polished(self, z: Any, q: Sequence[Any]) -> Any:
        """z after a few Newton steps; an error where these do not come to rest."""
        if not np.isfinite(z).all():
            raise NotConverged(f"{self.caller}: the solver ended at values that are not finite: {z[:3]}…")
        before = np.inf
        for _ in range(POLISH):
            step = self.system.solve(False, self.g(z, *q), z, q)
            size = float(np.max(np.abs(step) / (1 + np.abs(z)), initial=0.0))
            if not size < before / 2:
                break
            z, before = z - step, size
        if not before < 1e-6:
            raise NotConverged(
                f"{self.caller}: no solution was found from z0; the last Newton step was {before:.1e} relative to z, "
                f"the residual {np.max(np.abs(self.g(z, *q))):.1e}. Start nearer to a solution, or pass solver=."
            )
        return z

    def information(self, z: Any) -> Information:
        """At plain arguments: every float parameter is moved by its own size."""
        mine = self.equations
        mine.moving = [k for k, x in enumerate(mine.flat) if isinstance(x, float | np.floating) or _is_float_array(x)]
        q = [np.asarray(x, dtype=float)[()] for x in mine.parameters()]
        step = self.system.solve(False, self.g(z, *q), z, q)

        def derivative(z: Any) -> Any:
            moved = along(lambda *q: self.g(z, *q), q, [1 + np.abs(x) for x in q], ()) if q else np.zeros(mine.n)
            return -self.system.solve(False, moved, z, q)

        here, there = derivative(z), derivative(z - step)
        scale = float(np.max(np.abs(here), initial=0.0)) or 1.0
        return Information(
            residual=float(np.max(np.abs(self.g(z, *q)), initial=0.0)),
            error=float(np.max(np.abs(step), initial=0.0)),
            condition=self.system.condition,
            derivative_error=float(np.max(np.abs(here - there), initial=0.0)) / scale,
        )


class _Implicit(Op):
    """z(q), the solution of one problem."""

    def __init__(self, problem: Problem, search: Search) -> None:
        super().__init__(_solution, name=problem.caller, arrays=None)
        self.problem, self.search = problem, search
        self.pushes = self.pulls = Each()

    def evaluate(self, *q: Any) -> Any:
        if highest(q) is not None:
            return apply(self, q, {})
        equations = self.problem.equations
        with equations.around.again():
            z = np.reshape(np.asarray(self.search(equations, q), dtype=float), equations.n)
            return self.problem.polished(z, q) if q else z

    def push_all(self, given: dict[int, Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """ż = −A⁻¹ (∂g/∂q q̇)."""
        moving = sorted(given)
        t = given[moving[0]]
        lead = t.shape[: t.ndim - np.ndim(args[moving[0]])]

        def of_q(*some: Any) -> Any:
            full = replaced(args, moving, some)
            return self.problem.g(y, *full)

        with self.problem.equations.around.again():
            change = along(of_q, [args[k] for k in moving], [given[k] for k in moving], lead)
            return -self.problem.system.solve(False, change, y, args)

    def pull_all(self, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """q̄ = −(∂g/∂q)ᵀ A⁻ᵀ z̄."""
        with self.problem.equations.around.again():
            w = self.problem.system.solve(True, u, y, args)
            return Recording(lambda *q: self.problem.g(y, *q), tuple(args)).pull([-w], u.shape[:-1])


def _solution(*q: Any) -> Any:
    """The name under which programs show an implicit function."""


def _is_float_array(x: Any) -> bool:
    return type(x) is np.ndarray and x.dtype.kind == "f"


def _by_user(solver: Solver) -> Search:
    return lambda equations, q: solver(lambda z: equations.g(z, *q), equations.z0)


def _start(caller: str, x: Any) -> Any:
    """A leaf of z0: where the search starts, so a traced one counts as its value."""
    x = np.asarray(ground(x))
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{caller}: z0 has dtype {x.dtype}; the unknowns are real numbers")
    return x.astype(float)
