"""scipy.integrate: integrals of samples, and of a function by its derivative under the integral sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.integrate as sg

from ..core import pytree
from ..core.dispatch import apply, highest, in_floats, pack, primitive
from ..core.domain import POSITIVE, A, OnlyReal, case, spaced
from ..core.registry import OPS, Composite, Each, Op, add
from ..core.tracing import Tracer
from ..transforms.arguments import replaced
from ..transforms.closures import closed_over
from ..transforms.recording import Recording, push_forward
from .rows import mirrors

__all__ = ["cumulative_trapezoid", "quad", "simpson", "trapezoid"]

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
    x = in_floats(x)
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


# ---------------------------------------------------------------------------------------------------
# Integrals of functions:  d ∫ₐᵇ f(x, q) dx = ∫ₐᵇ ∂f/∂q dq dx + f(b, q) db − f(a, q) da
# ---------------------------------------------------------------------------------------------------


class _Integral(Op):
    """One integral as a function of its ends and of all that f depends on; f gives a number, or a vector."""

    def __init__(self, f: Callable[..., Any], how: dict[str, Any]) -> None:
        super().__init__(_integral, name="scipy.integrate.quad", arrays=None, evaluate=self.at)
        self.f, self.how = f, how
        self.error = 0.0
        self.pushes = self.pulls = Each()
        self.push_all, self.pull_all = self.pushed, self.pulled

    def at(self, a: Any, b: Any, *q: Any) -> Any:
        if highest((a, b, q)) is not None:
            return apply(self, (a, b, *q), {})

        def integrand(x: float) -> Any:
            return self.f(np.float64(x), *q)

        ends = float(a), float(b)
        if np.ndim(integrand(_inside(*ends))):
            how = {k: v for k, v in self.how.items() if v is not None}
            return sg.quad_vec(integrand, *ends, norm="max", **how)[0]
        y, self.error, *_ = sg.quad(integrand, *ends, **self.how)
        return np.float64(y)

    def _end(self, x: Any, q: Sequence[Any]) -> Any:
        """f at an end; 0 where that is infinite, which is where it stays."""
        return self.f(x, *q) if np.isfinite(x) else 0.0

    def pushed(self, given: dict[int, Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        a, b, *q = args
        some = min(given)
        lead = given[some].shape[: given[some].ndim - np.ndim(args[some])]
        total: Any = np.zeros(lead + np.shape(y))
        for k, sign in ((0, -1.0), (1, 1.0)):
            if k in given:
                total = total + sign * np.reshape(given[k], lead + (1,) * np.ndim(y)) * self._end(args[k], q)
        moving = [k - 2 for k in given if k > 1]
        if not moving:
            return total
        count = len(q)

        def rate(x: Any, *rest: Any) -> Any:
            q, directions = rest[:count], list(rest[count:])

            def f(*some: Any) -> Any:
                return self.f(x, *replaced(q, moving, some))

            chosen = [q[k] for k in moving]
            structure = pytree.flatten(tuple(chosen))[1]
            return push_forward(f, structure, chosen, directions, lead)[2][0]

        return total + _Integral(rate, self.how).at(a, b, *q, *(given[k + 2] for k in moving))

    def pulled(self, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        a, b, *q = args
        lead = u.shape[: u.ndim - np.ndim(y)]
        axes = tuple(range(len(lead), u.ndim))
        ends = [np.reshape(sign * np.sum(u * self._end(x, q), axis=axes), lead) for x, sign in ((a, -1.0), (b, 1.0))]
        if not q:
            return ends

        def slope(x: Any, u: Any, *q: Any) -> Any:
            pulled = Recording(lambda *q: self.f(x, *q), q).pull([u], lead)
            return np.concatenate([np.reshape(g, -1) for g in pulled])

        flat = _Integral(slope, self.how).at(a, b, u, *q)
        sizes = np.cumsum([int(np.prod(lead)) * int(np.size(x)) for x in q])[:-1]
        parts = [np.reshape(g, lead + np.shape(x)) for g, x in zip(np.split(flat, sizes), q, strict=True)]
        return [*ends, *parts]


def _integral(a: Any, b: Any, *q: Any) -> Any:
    """The name under which programs show an integral."""


def _inside(a: float, b: float) -> float:
    """A place between two ends, either of which may be infinite."""
    if np.isfinite(a) and np.isfinite(b):
        return (a + b) / 2
    return a + 1 if np.isfinite(a) else b - 1 if np.isfinite(b) else 0.0


def quad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    *,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
) -> tuple[Any, float]:
    """The integral of func from a to b; differentiated by both ends, by args and by what func reads from around it.

    The derivative is an integral of its own, of the derivative of func (Leibniz's rule), found to the same tolerances.

    Parameters
    ----------
    func : func(x, *args) gives a real number, for a number x.
    a, b : the ends, which may be infinite.
    args : further arguments of func, a tuple, which may be arrays and traced.
    epsabs, epsrel : the tolerances, absolute and relative.
    limit : at most so many intervals.
    points : where the integrand is not smooth, plain numbers.

    Returns
    -------
    (the integral, an estimate of its error).

    Raises
    ------
    TypeError : func gives a complex number.

    Source: scipy.integrate.quad; Piessens et al., "QUADPACK" (1983); Flanders, "Differentiation under the integral
    sign", American Mathematical Monthly 80 (1973).

    >>> from admodes import grad
    >>> grad(lambda p: quad(lambda x: np.exp(-p * x), 0.0, np.inf)[0])(2.0).round(9)  # −1/p²
    np.float64(-0.25)
    """
    args = args if isinstance(args, tuple) else (args,)
    how = {"epsabs": epsabs, "epsrel": epsrel, "limit": limit, "points": points}
    captured, rebuild = closed_over((func,))
    if highest((a, b, args)) is None and not captured:
        found: tuple[Any, float] = sg.quad(func, a, b, args, **how)[:2]
        return found
    flat, structure = pytree.flatten((args, captured))
    flat = [pack(x) for x in flat]
    moving = [k for k, x in enumerate(flat) if isinstance(x, Tracer) and x.dtype.kind == "f"]

    def f(x: Any, *q: Any) -> Any:
        args, captured = pytree.unflatten(structure, replaced(flat, moving, q))
        y = rebuild(captured)[0](x, *args)
        if np.ndim(y) or np.iscomplexobj(y):
            raise TypeError(
                f"scipy.integrate.quad: func gave an array of shape {np.shape(y)} and dtype {np.result_type(y)}; it is "
                "to give one real number. Integrate real and imaginary part, or each element, by itself."
            )
        return y

    op = _Integral(f, how)
    y = op.at(*(_double(x) for x in (a, b, *(flat[k] for k in moving))))
    return y, float(op.error)


def _double(x: Any) -> Any:
    if not isinstance(x, Tracer):
        return np.float64(x)
    return x if x.dtype == np.float64 else np.astype(x, np.float64)


def _gaussian(x: Any, p: Any) -> Any:
    return np.exp(-p[0] * x * x) * np.cos(p[1] * x)


OPS[quad] = add(
    Composite(
        quad,
        lambda a, b, p: quad(_gaussian, a, b, (p,))[0],
        name="scipy.integrate.quad",
        evaluate=lambda a, b, p: np.float64(sg.quad(_gaussian, a, b, (p,))[0]),
        arrays=3,
        domain=OnlyReal(
            [case(A(), A(within=((0.5, 1.5),)), A(2, within=POSITIVE)), case(0.0, np.inf, A(2, within=POSITIVE))]
        ),
    )
)
primitive(OPS[quad])
