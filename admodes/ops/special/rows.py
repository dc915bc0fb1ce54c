"""How a row of scipy.special is stated, where it is sampled, and the constants of its formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special as sc
from scipy.special import _ufuncs

from ...core.directions import align, cast, gather, spread
from ...core.dispatch import primitive
from ...core.domain import POSITIVE, A, Apart, OnlyReal, case
from ...core.errors import MissingRule
from ...core.registry import Composite, Elementwise, Op, Unknown, add, refusal
from ..elementwise import TRANSCENDENTAL

# Where the tests sample an argument, beside the intervals of `domain`.
PROBABILITY = ((0.1, 0.9),)
BELOW_ONE = ((-2.0, 0.8),)
ORDER = ((0.3, 2.7),)
# An order, and a real argument: these functions are not analytic.
SCALED = OnlyReal(
    [
        case(1.3, A(3, within=POSITIVE)),
        case(np.array([[0.5], [2.0]]), A(3, within=POSITIVE)),
        case(0, A(within=POSITIVE)),
    ]
)

# A constant of the same dtype leaves float32 arrays in float32: Python floats do.
SQRT_PI, SQRT_2PI, SQRT_2 = math.sqrt(math.pi), math.sqrt(2 * math.pi), math.sqrt(2)
LN2, LN10, DEGREE = math.log(2), math.log(10), math.pi / 180

Partials = Sequence[Any]


def ufunc(name: str) -> Any:
    """The ufunc of this name, or None where the installed SciPy has none."""
    found = (getattr(library, name, None) for library in (sc, _ufuncs))
    return next((fn for fn in found if isinstance(fn, np.ufunc)), None)


def row(name: str, partials: Partials, *domain: Any, apart: bool = False) -> None:
    """One line of the table."""
    fn = ufunc(name)
    if fn is not None:
        if len(partials) > 1:
            partials = [_of_whole_numbers(p) if callable(p) and not isinstance(p, Unknown) else p for p in partials]
        add(Elementwise(fn, partials, domain=_sampled(partials, domain, apart), flops=TRANSCENDENTAL))


def _sampled(partials: Partials, domain: Any, apart: bool) -> Any:
    """The domain of a row: an argument without a derivative is sampled from three numbers of its interval."""
    if isinstance(domain[0], OnlyReal):
        return domain[0]
    pairs = zip(partials, domain, strict=True)
    fixed = tuple(_three(within) if p is None or isinstance(p, Unknown) else within for p, within in pairs)
    return Apart(fixed) if apart else fixed


def _three(within: Any) -> Any:
    return within if np.ndim(within) == 1 else (within[0][0], sum(within[0]) / 2, within[0][1])


class Several(Op):
    """Elementwise with several results y_k: partials[i](y, *args) gives ∂y_k/∂args[i] for every k.

    push: p_k · spread(t)        pull: gather(Σ_k p_k · u_k)
    """

    def __init__(self, fn: Callable[..., Any], partials: Partials, **spec: Any) -> None:
        super().__init__(fn, arrays=len(partials), flops=TRANSCENDENTAL, **spec)
        rules = [(refusal(fn, i),) * 2 if isinstance(p, Unknown) else self._rules(i, p) for i, p in enumerate(partials)]
        self.pushes = tuple(push for push, _ in rules)
        self.pulls = tuple(pull for _, pull in rules)

    @staticmethod
    def _rules(i: int, partials: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
        def push(t: Any, y: Any, *args: Any) -> Any:
            lead = t.shape[: t.ndim - args[i].ndim]
            t = align(t, args[i].ndim, y[0].ndim)
            pairs = zip(partials(y, *args), y, strict=True)
            return tuple(cast(spread(p * t, part.shape, lead), part.dtype) for p, part in pairs)

        def pull(u: Any, y: Any, *args: Any) -> Any:
            x, lead = args[i], u[0].ndim - y[0].ndim
            g = sum(cast(p * part, np.result_type(p, part)) for p, part in zip(partials(y, *args), u, strict=True))
            return cast(gather(g, x.shape, lead), x.dtype)

        return push, pull


def _of_whole_numbers(partial: Callable[..., Any]) -> Callable[..., Any]:
    """A partial for integers of every size: the order n − 1 of an unsigned n = 0, or n + 1 of an int8, wraps around."""

    def of(y: Any, *args: Any) -> Any:
        return partial(y, *[x.astype(np.int64) if _is_narrow(x) else x for x in args])

    return of


def _is_narrow(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "iub" and x.dtype != np.int64


def several(name: str, partials: Partials, *domain: Any, apart: bool = False) -> None:
    """One line of the table, of a function with several results."""
    fn = ufunc(name)
    if fn is not None:
        add(Several(fn, partials, domain=_sampled(partials, domain, apart)))


def independent(name: str, partials: Partials, *domain: Any) -> None:
    """One line of the table, of a function of one argument whose results have partials of their own, p(y_k, x).

    Each result is an operation by itself: where one of them has a pole, the others still have a derivative.
    """
    fn = ufunc(name)

    def result(k: int) -> Callable[..., Any]:
        op = Elementwise(lambda x: fn(x)[k], [partials[k]], name=f"special.{name}[{k}]", flops=TRANSCENDENTAL)
        return primitive(op)

    if fn is not None:
        results = [result(k) for k in range(len(partials))]
        add(Composite(fn, lambda x: tuple(f(x) for f in results), domain=domain))


def horner(coefficients: Sequence[float], x: Any) -> Any:
    """c₀ + c₁x + c₂x² + …"""
    total: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = c + x * total
    return total


def real_only(name: str, partial: Callable[..., Any]) -> Callable[..., Any]:
    """A partial of a function that is not analytic (an |Im z| in it): of a complex argument it raises."""

    def checked(y: Any, *args: Any) -> Any:
        if any(np.iscomplexobj(x) for x in args):
            raise MissingRule(f"scipy.special.{name}", "of a complex argument it is not analytic")
        return partial(y, *args)

    return checked
