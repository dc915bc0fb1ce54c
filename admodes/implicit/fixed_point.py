"""Fixed points: z = f(z, *params), as a deep equilibrium layer computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import pytree
from ..core.errors import NotConverged
from ..core.lending import by_value
from .linear import LinearSolver
from .rule import Equations, Problem, Solver

MOST_ITERATIONS = 1000


def fixed_point(
    f: Callable[..., Any],
    z0: Any,
    *params: Any,
    solver: Solver | None = None,
    linear_solver: LinearSolver = "auto",
    full_output: bool = False,
) -> Any:
    """z with z = f(z, *params), differentiable by params (and by what f closes over), in both modes, to every order.

    Parameters
    ----------
    f : a function in plain NumPy; f(z, *params) has the structure and the shapes of z.
    solver : solver(residual, z0) -> z on vectors, residual(z) = z − f(z); None: plain iteration while it contracts,
        then Newton–Krylov (`scipy.optimize.newton_krylov`). The iterations are not kept.
    z0, *params, linear_solver, full_output : as in `root`, with ∂g/∂z = I − ∂f/∂z.

    Returns
    -------
    z, in the structure of z0; or (z, information).

    Raises
    ------
    As `root`.

    Source: Bai, Kolter and Koltun, "Deep Equilibrium Models" (2019), theorem 1.

    >>> import numpy as np
    >>> from admodes import fixed_point, grad
    >>> float(grad(lambda x: fixed_point(lambda z, x: 0.5 * z + x, 0.0, x))(3.0))
    2.0
    """

    def g(z: Any, *params: Any) -> Any:
        return _minus(z, by_value(f, (z, *params), {}))

    problem = Problem("fixed_point", g, z0, params, linear_solver)
    return problem.solution(_iterated, solver, full_output)


def _minus(z: Any, image: Any) -> Any:
    zs, structure = pytree.flatten(z)
    images, other = pytree.flatten(image)
    shapes, image_shapes = [np.shape(x) for x in zs], [np.shape(x) for x in images]
    if structure != other or shapes != image_shapes:
        raise ValueError(
            f"fixed_point: f gives arrays of shapes {image_shapes} where z has {shapes}; they must agree in structure "
            "and shapes"
        )
    return pytree.unflatten(structure, [a - b for a, b in zip(zs, images, strict=True)])


def _iterated(equations: Equations, q: Sequence[Any]) -> Any:
    from scipy.optimize import NoConvergence, newton_krylov

    def residual(z: Any) -> Any:
        return equations.g(z, *q)

    z = equations.z0
    start, before = z, np.inf
    for k in range(MOST_ITERATIONS):
        change = residual(z)
        size = float(np.max(np.abs(change), initial=0.0))
        if size <= 1e-14 * (1 + float(np.max(np.abs(z), initial=0.0))):
            return z
        if not size < 1e6 or (k % 50 == 49 and size > 0.5 * before):
            break
        if k % 50 == 49:
            before = size
        z = z - change
    if not np.isfinite(z).all():
        z = start
    try:
        return newton_krylov(residual, z, f_tol=1e-11, maxiter=MOST_ITERATIONS)
    except NoConvergence as last:
        z = np.ravel(last.args[0])
        size = float(np.max(np.abs(residual(z))))
        if not size <= 1e-6:
            raise NotConverged(
                f"fixed_point: neither iteration nor Newton–Krylov came to rest from z0; |z − f(z)| is {size:.1e}. "
                "Start nearer to the fixed point, or pass solver=."
            ) from None
        return z
