"""Minima: z(params) = argmin over z of f(z, *params), free or under equality constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.errors import NotConverged
from ..core.lending import by_value
from ..transforms.dense import grad, jacfwd
from .linear import DENSE_SIZE, LinearSolver
from .rule import Equations, Problem, Solver


def minimize(
    f: Callable[..., Any],
    z0: Any,
    *params: Any,
    equality: Callable[..., Any] | None = None,
    solver: Solver | None = None,
    linear_solver: LinearSolver = "auto",
    full_output: bool = False,
) -> Any:
    """argmin over z of f(z, *params), differentiable by params (and by what f closes over), in both modes.

    Parameters
    ----------
    f : a function in plain NumPy with a real scalar result.
    equality : h(z, *params) = 0 is demanded, one array. The optimality conditions are then the KKT system
        ∇f + (∂h/∂z)ᵀ λ = 0, h = 0 in z and the multipliers λ.
    solver : solver(gradient, z0) -> z on vectors (of z and λ together, under constraints); None: SciPy's BFGS, or SLSQP
        under constraints, with our derivatives.
    z0, *params, linear_solver, full_output : as in `root`, with g = ∇f (or the KKT system).

    Returns
    -------
    z, in the structure of z0; or (z, information).

    Raises
    ------
    As `root`; SingularJacobian where the minimum is not isolated (a singular Hessian, dependent constraints).
    NotConverged, too, for a stationary point that is no minimum.

    Source: Gould et al., "On differentiating parameterized argmin and argmax problems" (2016); Nocedal and Wright,
    "Numerical Optimization" (2006), section 18.1, for the KKT matrix.

    >>> import numpy as np
    >>> from admodes import jacrev, minimize
    >>> jacrev(lambda a: minimize(lambda z, a: np.sum((z - a) ** 2), np.zeros(2), a))(np.array([1.0, 2.0]))
    array([[1., 0.],
           [0., 1.]])
    """
    if equality is None:
        helpers = [lambda *args: by_value(f, args, {})]
        problem = Problem("minimize", lambda *args: grad(f)(*args), z0, params, linear_solver, helpers)
        return problem.solution(_free, solver, full_output)

    def objective(z: Any, *params: Any) -> Any:
        return by_value(f, (z, *params), {})

    def constraint(z: Any, *params: Any) -> Any:
        return by_value(equality, (z, *params), {})

    def kkt(unknowns: Any, *params: Any) -> Any:
        z, multipliers = unknowns

        def lagrangian(z: Any) -> Any:
            return objective(z, *params) + np.sum(multipliers * np.ravel(constraint(z, *params)))

        return grad(lagrangian)(z), constraint(z, *params)

    count = np.size(constraint(z0, *params))
    helpers = [
        lambda unknowns, *params: objective(unknowns[0], *params),
        lambda unknowns, *params: constraint(unknowns[0], *params),
    ]
    problem = Problem("minimize", kkt, (z0, np.zeros(count)), params, linear_solver, helpers)
    found = problem.solution(_constrained, solver, full_output)
    return (found[0][0], found[1]) if full_output else found[0]


def _free(equations: Equations, q: Sequence[Any]) -> Any:
    from scipy.optimize import minimize as scipy_minimize

    def f(z: Any) -> float:
        return float(equations.call(1, z, q))

    def slope(z: Any) -> Any:
        return equations.g(z, *q)

    z = scipy_minimize(f, equations.z0, jac=slope, method="BFGS", options={"gtol": 1e-9}).x
    if equations.n <= DENSE_SIZE:
        H = jacfwd(slope)(z)
        lowest = float(np.linalg.eigvalsh((H + H.T) / 2)[0])
        if lowest < -1e-8 * (1 + float(np.abs(H).max())):
            raise NotConverged(
                f"minimize: SciPy ended at a point that is no minimum (the Hessian has the eigenvalue {lowest:.1e}). "
                "Start elsewhere, or pass solver=; for a stationary point of any kind use root(grad(f), z0, …)."
            )
    return z


def _constrained(equations: Equations, q: Sequence[Any]) -> Any:
    """z by SLSQP, then the multipliers that fit it best."""
    from scipy.optimize import minimize as scipy_minimize

    n = equations.n - equations.start[-1].size
    rest = np.zeros(equations.n - n)

    def of(which: int) -> Callable[[Any], Any]:
        return lambda z: np.ravel(equations.call(which, np.concatenate([z, rest]), q))

    f, h = of(1), of(2)
    slope = grad(lambda z: f(z)[0])
    found = scipy_minimize(
        lambda z: float(f(z)[0]),
        equations.z0[:n],
        jac=slope,
        constraints={"type": "eq", "fun": h, "jac": jacfwd(h)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    slopes = jacfwd(h)(found.x)
    multipliers = np.linalg.lstsq(slopes.T, -slope(found.x), rcond=None)[0]
    return np.concatenate([found.x, multipliers])
