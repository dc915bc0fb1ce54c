"""Products with the Jacobian, the Hessian and the Gauss–Newton matrix as SciPy LinearOperators.

For `gmres`, `cg`, `lsqr`, `svds`, `eigsh`, and for `jac=` and `hess=` of `scipy.optimize`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..core import pytree
from ..core.types import Tree
from ..transforms.recording import Recording

if TYPE_CHECKING:
    from .linearized import GaussNewton, HessianOperator, Linearized

Y = TypeVar("Y")


def linearize(f: Callable[..., Y], *primals: Tree) -> tuple[Y, Linearized]:
    """f and its Jacobian as a matrix-free `scipy.sparse.linalg.LinearOperator` on raveled arrays.

    Parameters
    ----------
    f : a function in plain NumPy, of arrays or trees of arrays; it runs once, on a tape.
    *primals : its arguments, the point to linearise at.

    Returns
    -------
    (y, J) : J.shape is (size of y, size of the arguments); J @ v pushes, J.T @ u pulls, with a matrix of K columns K
        directions at once; J.dense() is the matrix. Several leaves are raveled and concatenated. Complex v or u for
        real arrays are two products, of the real and of the imaginary part.

    Raises
    ------
    TypeError : an integer array to differentiate by; J.T @ u of a complex result of real arguments; J.dense(), and
        J.T @ u of a complex result, of complex arguments at which f is not complex-differentiable.
    OverwrittenValue : J @ v or J.T @ u, where a large array that f met has been overwritten since (see `vjp`).

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), sections 3.1 and 3.2: tangents ẏ = F′(x) ẋ
    and adjoints x̄ = ȳ F′(x).

    >>> import numpy as np
    >>> y, J = linearize(lambda x: np.array([x[0] * x[1], x[0] ** 2]), np.array([2.0, 3.0]))
    >>> J @ np.array([1.0, 0.0])
    array([3., 4.])
    >>> J.T @ np.array([1.0, 0.0])
    array([3., 2.])
    """
    from .linearized import Linearized  # loads scipy.sparse.linalg

    recording = Recording(f, primals)
    return recording.value(), Linearized(recording)


def hessian_operator(f: Callable[..., Any], *primals: Tree) -> HessianOperator:
    """The Hessian of a scalar function as a symmetric LinearOperator on raveled arrays.

    Parameters
    ----------
    f : a function in plain NumPy that returns a real scalar; its gradient runs once, on a tape.
    *primals : its arguments, the point at which the Hessian is taken.

    Returns
    -------
    H : H.shape is (n, n), n the size of the arguments; H @ v is a push through one taped gradient, K columns at once;
        H.gradient is the gradient at the point; H.dense() is the matrix.

    Raises
    ------
    TypeError : f returns no real scalar; an integer or complex array to differentiate by.

    Source: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).

    >>> import numpy as np
    >>> H = hessian_operator(lambda x: x[0] ** 2 * x[1], np.array([1.0, 2.0]))
    >>> H @ np.array([1.0, 0.0])
    array([4., 2.])
    >>> H.gradient
    array([4., 1.])
    """
    from .linearized import HessianOperator

    _real(primals, "hessian_operator")
    return HessianOperator(f, primals)


def gauss_newton(f: Callable[..., Any], *primals: Tree, loss: Callable[..., Any] | None = None) -> GaussNewton:
    """The Gauss–Newton matrix Jᵀ J of residuals f, or Jᵀ W J with W the Hessian of a loss at f(x), matrix-free.

    Parameters
    ----------
    f : returns residuals (or, with a loss, predictions): one array.
    *primals : its arguments, the point at which J and W are taken.
    loss : a scalar function of f's result; None for half the sum of squares, whose W is the identity.

    Returns
    -------
    G : symmetric LinearOperator (n, n) on raveled arguments; G @ v is one push and one pull; G.jacobian is J.

    Raises
    ------
    TypeError : an integer or complex array to differentiate by, a complex result; a loss that returns no scalar.

    Source: Schraudolph, "Fast curvature matrix-vector products", Neural Computation 14 (2002).

    >>> import numpy as np
    >>> G = gauss_newton(lambda x: np.array([x[0] * x[1], x[1]]), np.array([2.0, 3.0]))
    >>> G @ np.array([1.0, 0.0])
    array([9., 6.])
    """
    from .linearized import GaussNewton, HessianOperator

    _real(primals, "gauss_newton")
    y, J = linearize(f, *primals)
    _real((y,), "gauss_newton")
    return GaussNewton(J, None if loss is None else HessianOperator(loss, (y,)))


def _real(arrays: tuple[Any, ...], name: str) -> None:
    """An error for complex numbers, of which neither matrix is a linear map."""
    if any(np.iscomplexobj(x) for x in pytree.flatten(arrays)[0]):
        raise TypeError(f"{name}: an array is complex; take its real and imaginary part as separate real arguments.")
