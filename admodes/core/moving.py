"""Zeros that move, in second derivatives: nan where a result depends on how they would.

A factor c that is 0 for all arguments makes c · g constant, and 0 · ∞ = 0 is its derivative.  A factor a(x) that is 0
at this x alone leaves a · ∞ undetermined.  A first derivative is 0 there by convention, as |x|′ at 0 is; its own
derivative would take for known what the convention hides.  So where a sweep meets such a product in the work of another
transform it is made a third time.  The tape is evaluated once more, for random arguments and along the branches taken:
a zero that is none then moves, and its other value takes its place as a factor.  What is not finite now has hung on a
convention, and is nan.  A zero that nothing moves stays: a constant, a seed, what a mask or an index leaves out.

Source: J. T. Schwartz, "Fast probabilistic algorithms for verification of polynomial identities" (J. ACM 1980), for the
random numbers that tell a zero of structure from one of values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .forward import Dual, Forward
from .registry import OPS, Contraction, Elementwise, Linear, LinearAll, Op, in_place_of_zeros
from .zeros import spoiled, strong_product


class Remembering(Forward):
    """Forward mode that remembers of a root what is under it, for derivatives of this one (see `roots`)."""

    __slots__ = ()

    def unary(self, op: Op, x: Any) -> Any:
        return self._done(op, (x,), {}, super().unary(op, x))

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        return self._done(op, (a, b), {}, super().binary(op, a, b))

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self._done(op, args, params, super().process(op, args, params))

    def _done(self, op: Op, args: tuple[Any, ...], params: dict[str, Any], y: Any) -> Any:
        if op.square is not None:
            if type(y) is Dual:
                under = [(a.value, a.tangent) if type(a) is Dual and a.transform is self else None for a in args]
                y.origin = y.value, op.square, under, params
        elif op.fn is np.reshape and hasattr(args[0], "origin"):
            value, square, *under = args[0].origin
            if square.any_shape and value is args[0].value:
                y.origin = y.value, square, *under
        return y

    def square_of_root(self, y: Any) -> Any:
        value, square, under, params = getattr(y, "origin", (None, None, (), {}))
        if square is None or value is not y.value:
            return None
        return self.process(square, (y, *(0.0 if x is None else Dual(x[0], x[1], self) for x in under)), params)


class Careful(Remembering):
    """Forward mode that keeps zeros, if `strong`, and tells the observer, if there is one, of values and tangents.

    doubtful: whether it kept a zero that may move.
    """

    __slots__ = ("doubtful", "observer", "strong")

    def __init__(self, lead: tuple[int, ...], strong: bool, observer: Callable[[Any, Any], None] | None) -> None:
        super().__init__(lead)
        self.strong, self.observer, self.doubtful = strong, observer, False

    def unary(self, op: Op, x: Any) -> Any:
        return super().unary(op.strong if self.strong else op, x)

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        return super().binary(op.strong if self.strong else op, a, b)

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return super().process(op.strong if self.strong else op, args, params)

    def _done(self, op: Op, args: tuple[Any, ...], params: dict[str, Any], y: Any) -> Any:
        y = super()._done(op, args, params, y)
        if self.strong and op.doubt is not None:
            traced = [type(a) is Dual and a.transform is self for a in args]
            self.doubtful |= bool(op.doubt(traced, self.values(y), *self.values(args)))
        if self.observer is not None:
            for part in y if isinstance(y, tuple) else (y,):
                if type(part) is Dual and part.transform is self:
                    self.observer(part.value, part.tangent)
        return y


def elsewhere(op: Op, y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The result of an operation for other arguments, as far as it tells which of its zeros move."""
    with np.errstate(all="ignore"):
        linear = op.moves or isinstance(op, Contraction | Linear | LinearAll)
        op = op.pure or op
        if linear or (isinstance(op, Elementwise) and (type(op.fn) is np.ufunc or op.fn is strong_product)):
            other = op.evaluate(*args, **params)
            return tuple(map(_finite, other)) if isinstance(other, tuple) else _finite(other)
        return tuple(map(random, y)) if isinstance(y, tuple) else in_place_of_zeros(random(y), y)


def _finite(x: Any) -> Any:
    """x, and random numbers where it is not finite."""
    return np.where(np.isfinite(x), x, random(x))[()]


def random(x: Any) -> Any:
    """Random numbers of the shape and kind of x."""
    at = np.random.default_rng(np.size(x)).uniform(0.5, 1.5, np.shape(x))
    return np.asarray(at, x.dtype)[()]


def spoil(x: Any, other: Any, infinite: bool) -> Any:
    """x, and nan where the array `other` is not finite, but for where both are `infinite`; None holds nothing."""
    if x is None or other is None:
        return x
    gone = np.logical_not(np.isfinite(other))
    if infinite:
        gone = np.logical_and(gone, np.logical_not(np.logical_and(np.isinf(x), np.isinf(other))))
    return OPS[spoiled].evaluate(x, gone)
