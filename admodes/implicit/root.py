"""Roots: z with g(z, *params) = 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.errors import NotConverged
from ..core.lending import by_value
from ..transforms.dense import jacfwd
from .linear import DENSE_SIZE, LinearSolver
from .rule import Equations, Problem, Solver


def root(
    g: Callable[..., Any],
    z0: Any,
    *params: Any,
    solver: Solver | None = None,
    linear_solver: LinearSolver = "auto",
    full_output: bool = False,
) -> Any:
    """z with g(z, *params) = 0, differentiable by params (and by what g closes over), in both modes, to every order.

    Parameters
    ----------
    g : a function in plain NumPy; g(z, *params) has as many numbers as z.
    z0 : where the search starts, an array or a tree of arrays. The derivative by it is zero.
    *params : arrays or trees of arrays.
    solver : solver(residual, z0) -> z on vectors, for your own search; None: `scipy.optimize.root`, by Powell's hybrid
        method with our Jacobian up to 300 unknowns, by Newton–Krylov above. It is never differentiated through.
    linear_solver : for the systems with A = ∂g/∂z: "dense" (LU), "sparse" (a coloured Jacobian and SuperLU), "gmres"
        (matrix-free), or your own solver(A, b), A a LinearOperator; "auto" takes the first up to 300 unknowns, the
        second where at most a tenth of A may be nonzero, else the third.
    full_output : also return an `Information` (residual, errors, condition); outside of transforms only.

    Returns
    -------
    z, in the structure of z0; or (z, information).

    Raises
    ------
    NotConverged : no root was found. SingularJacobian : A is singular there (a bifurcation, a double root); an
    `IllConditioned` warning where it nearly is. ValueError : g has another number of equations than z has unknowns.
    TypeError : complex numbers; under a transform, g stores numbers outside of itself (in a list, an attribute, a
    variable), or an array that it stores in is read afterwards: no derivative can follow these. Return them.

    Source: the implicit function theorem; Kolter, Duvenaud and Johnson, "Deep Implicit Layers" (2020), chapter 2. The
    derivative costs one linear solve, and no memory that grows with the solver's iterations.

    >>> import numpy as np
    >>> from admodes import grad, root
    >>> z = lambda x: root(lambda z, x: x**2 + z**2 - 1, 0.5, x)  # the upper half of the circle
    >>> z(0.6), grad(z)(0.6)  # z = 0.8, and dz/dx = −x/z
    (np.float64(0.8), np.float64(-0.75))
    """
    problem = Problem("root", lambda *args: by_value(g, args, {}), z0, params, linear_solver)
    return problem.solution(_scipy_root, solver, full_output)


def _scipy_root(equations: Equations, q: Sequence[Any]) -> Any:
    from scipy.optimize import root as scipy_root

    z0 = equations.z0

    def residual(z: Any) -> Any:
        return equations.g(z, *q)

    if z0.size <= DENSE_SIZE:
        found = scipy_root(residual, z0, jac=jacfwd(residual), method="hybr", options={"xtol": 1e-13})
        if not found.success and np.max(np.abs(residual(found.x))) > 1e-9 * (1 + np.max(np.abs(residual(z0)))):
            found = scipy_root(residual, z0, jac=jacfwd(residual), method="lm", options={"xtol": 1e-14, "ftol": 1e-14})
    else:
        found = scipy_root(residual, z0, method="krylov", options={"fatol": 1e-10})
    size = float(np.max(np.abs(residual(found.x)), initial=0.0))
    if not size <= 1e-6 * (1 + float(np.max(np.abs(residual(z0)), initial=0.0))):
        message = " ".join(found.message.split())
        raise NotConverged(
            f"root: no root was found from z0; the residual is {size:.1e} where SciPy ended ({message}) "
            "Start nearer to one, or pass solver=."
        )
    return found.x
