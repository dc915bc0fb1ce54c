"""Second derivatives: `hessian` in four nestings or coloured, and `hvp`, the Hessian times a direction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .transforms import Argnums, grad, jacfwd, jacrev, jvp

_NESTINGS = {
    "forward-over-reverse": (jacfwd, jacrev),
    "reverse-over-forward": (jacrev, jacfwd),
    "forward-over-forward": (jacfwd, jacfwd),
    "reverse-over-reverse": (jacrev, jacrev),
}


def hessian(f: Callable[..., Any], argnums: Argnums = 0, mode: str = "forward-over-reverse") -> Callable[..., Any]:
    """The Hessian: a Jacobian of the Jacobian, in one of four nestings of the two modes.

    Parameters
    ----------
    mode : "forward-over-reverse" (n pushes through one gradient: the cheapest for a scalar f of many inputs),
        "reverse-over-forward", "forward-over-forward" or "reverse-over-reverse".

    Returns
    -------
    A function of f's arguments; for x of shape s and a result of shape r an array of shape (*r, *s, *s).

    Raises
    ------
    ValueError : an unknown mode.

    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    if mode not in _NESTINGS:
        raise ValueError(f"hessian: mode={mode!r} is not one of {', '.join(_NESTINGS)}")
    outer, inner = _NESTINGS[mode]
    return functools.wraps(f)(outer(inner(f, argnums), argnums))


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """H·t, the Hessian of a scalar function times a direction, without the Hessian: forward over reverse.

    Parameters
    ----------
    primals, tangents : tuples, as for `jvp`; a tangent of shape (K, *s) gives K products at once.

    Returns
    -------
    An array (or tree) like the primal; a tuple of them where there are several primals.

    Raises
    ------
    TypeError : f returns no real scalar; tangents that do not fit.

    >>> import numpy as np
    >>> hvp(lambda x: (x**3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([6., 0.])
    """
    product = jvp(grad(f, argnums=tuple(range(len(primals)))), primals, tangents)[1]
    return product[0] if len(primals) == 1 else product
