"""scipy.integrate: integrals of samples, and of a function by its derivative under the integral sign."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.domain import A, case, spaced
from ..core.registry import Composite
from .rows import mirrors

__all__ = ["cumulative_trapezoid", "simpson", "trapezoid"]

_ALONG = [
    case(A(4)), case(A(2, 3), axis=0), case(A(5), spaced(5)), case(A(2, 4), spaced(4)), case(A(3, 2), dx=0.5, axis=0),
]  # fmt: skip


@mirrors(Composite, arrays=2, dtype=lambda y, *_, **__: y.dtype, domain=_ALONG)
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of samples by the trapezoidal rule.

    Parameters
    ----------
    y : samples, of any shape.
    x : where they stand; equally spaced by dx where it is left out.
    dx : the spacing.
    axis : along which is integrated.

    Returns
    -------
    An array of the shape of y without the axis.

    Source: scipy.integrate.trapezoid; NIST Digital Library of Mathematical Functions, 3.5(i).

    >>> from admodes import grad
    >>> grad(trapezoid)(np.array([1.0, 2.0, 3.0]))
    array([0.5, 1. , 0.5])
    """
    return np.trapezoid(y, x, dx, axis)


@mirrors(Composite, arrays=2, domain=[*_ALONG, case(A(4), spaced(4), initial=0), case(A(2, 3), initial=0, axis=0)])
def cumulative_trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """The running integral of samples by the trapezoidal rule.

    Parameters
    ----------
    y : samples, of any shape.
    x : where they stand; equally spaced by dx where it is left out.
    dx : the spacing.
    axis : along which is integrated.
    initial : 0 to begin the result with it; None for one value less than there are samples.

    Returns
    -------
    An array of the shape of y, one shorter along the axis where initial is None.

    Raises
    ------
    ValueError : another initial.

    Source: scipy.integrate.cumulative_trapezoid; NIST Digital Library of Mathematical Functions, 3.5(i).

    >>> from admodes import jacfwd
    >>> jacfwd(cumulative_trapezoid)(np.array([1.0, 2.0, 3.0]))
    array([[0.5, 0.5, 0. ],
           [0.5, 1. , 0.5]])
    """
    if initial is not None and initial != 0:
        raise ValueError(f"scipy.integrate.cumulative_trapezoid: initial is {initial!r}; it must be 0 or None.")
    y = np.moveaxis(y, axis, -1)
    d = dx if x is None else _steps(x, y, axis)
    total = np.cumsum(d * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)
    if initial is not None:
        total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    return np.moveaxis(total, -1, axis)


def _steps(x: Any, y: Any, axis: int) -> Any:
    """The spacings along the last axis, to which the one of integration has been moved."""
    return np.diff(x if x.ndim == 1 else np.moveaxis(x, axis, -1))


def _simpson_dtype(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The correction of an even number of samples is in double precision."""
    n = y.shape[axis]
    return y.dtype if x is None and (n % 2 or n == 2) else np.result_type(y.dtype, float)


@mirrors(
    Composite,
    arrays=2,
    dtype=_simpson_dtype,
    domain=[*_ALONG, case(A(2)), case(A(6), spaced(6)), case(A(3)), case(A(2, 5), axis=1)],
)
def simpson(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of samples by Simpson's rule; the last interval of an odd number of them by Cartwright's correction.

    Parameters
    ----------
    y : samples, of any shape.
    x : where they stand; equally spaced by dx where it is left out.
    dx : the spacing.
    axis : along which is integrated.

    Returns
    -------
    An array of the shape of y without the axis.

    Source: scipy.integrate.simpson; Cartwright, "Simpson's Rule Cumulative Integration with MS Excel and
    Irregularly-spaced Data", Journal of Mathematical Sciences and Mathematics Education 12 (2017), equation 8.

    >>> from admodes import grad
    >>> grad(simpson)(np.array([1.0, 2.0, 3.0])) * 3
    array([1., 4., 1.])
    """
    y = np.moveaxis(y, axis, -1)
    n = y.shape[-1]
    h = np.full(n - 1, dx, y.dtype) if x is None else _steps(x, y, axis)
    if n == 2:
        return np.sum(h * (y[..., 0:1] + y[..., 1:2]) / 2.0, axis=-1)
    odd = n if n % 2 else n - 1
    left, right = h[..., 0 : odd - 2 : 2], h[..., 1 : odd - 1 : 2]
    first, middle, last = y[..., 0 : odd - 2 : 2], y[..., 1 : odd - 1 : 2], y[..., 2:odd:2]
    both, ratio = left + right, left / right
    total = np.sum(
        both / 6.0 * (first * (2.0 - 1.0 / ratio) + middle * (both * (both / (left * right))) + last * (2.0 - ratio)),
        axis=-1,
    )
    if n % 2 == 0:
        p, q = h[..., -1], h[..., -2]
        total = total + (
            (2 * p * p + 3 * p * q) / (6 * (p + q)) * y[..., -1]
            + (p * p + 3 * p * q) / (6 * q) * y[..., -2]
            - p * p * p / (6 * q * (q + p)) * y[..., -3]
        )
    return total
