"""Ties: |x| at 0 and a maximum of equal arguments lie on two smooth pieces, whose slopes a first derivative averages.

These slopes jump there.  To a mask the jump is constant, and max(x, −x)² would lose its curvature; so it has a row of its
own here, whose derivative at a tie is nan, in every mode.  Where that comes out of a sweep, the sweep is made within each
piece (`core.pieces`), of which every row gives its own: `Op.piece`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..core.directions import cast, trailing
from ..core.dispatch import primitive
from ..core.registry import Elementwise, Op, Via
from ..core.tracing import Tracer

# ---------------------------------------------------------------------------------------------------
# Slopes that jump
# ---------------------------------------------------------------------------------------------------


class Jump(Elementwise):
    """A slope that jumps where `tied`; `strong`: there too it has no derivative of its own where nothing moves."""

    jumps = True

    def __init__(self, fn: Any, arrays: int, tied: Callable[..., Any], strong: bool = False, name: str = "") -> None:
        self.tied, self._strong = tied, strong
        super().__init__(fn, [0.0] * arrays, name=name)

    def _state(self, times: Any) -> None:
        def lost(t: Any, y: Any, *args: Any) -> Any:
            at = self.tied(*args)
            return np.where(np.logical_and(at, np.not_equal(t, 0)) if self._strong else at, np.nan, np.zeros(t.shape))

        super()._state(lambda p: lost)

    @cached_property
    def strong(self) -> Op:
        twin = Jump(self.fn, self.arity, self.tied, True, self.name)
        twin.evaluate = self.evaluate
        return twin

    def moved(self, y: Any, args: Sequence[Any]) -> Op:
        return self.strong

    def doubt(self, traced: Any, y: Any, *args: Any) -> Any:
        return np.any(self.tied(*args))

    def piece(self, args: Sequence[Any], params: dict[str, Any]) -> Op:
        return _Settled(self, self.evaluate(*args))


class _Settled(Elementwise):
    """A slope that jumps, within one piece: `there` at the ties, and constant."""

    def __init__(self, op: Jump, there: Any) -> None:
        def evaluate(*args: Any) -> Any:
            y = op.evaluate(*args)
            return cast(np.where(op.tied(*args), there, y), y.dtype)[()]

        super().__init__(op.fn, [0.0] * op.arity, name=op.name, evaluate=evaluate)

    def _state(self, times: Any) -> None:
        super()._state(lambda p: lambda t, *_: np.zeros(t.shape))


def _halves(above: Any, equal: Any, a: Any, b: Any, half: Any) -> Any:
    return np.add(above(a, b), equal(a, b), dtype=np.int8) * half


def _shared(above: Any, equal: Any, name: str) -> tuple[Jump, Callable[..., Any]]:
    """1 where above(a, b), ½ where a = b, else 0: the row, and the partial of a maximum or minimum."""

    def share(a: Any, b: Any) -> Any:
        return _halves(above, equal, a, b, np.result_type(a, b).type(0.5))

    op = Jump(share, 2, np.equal, name=name)
    of = primitive(op)

    def partial(y: Any, a: Any, b: Any) -> Any:
        if a is b:  # x beside itself, which meets nothing
            return y.dtype.type(0.5)
        if isinstance(a, Tracer) or isinstance(b, Tracer):
            return cast(of(a, b), y.dtype)
        return _halves(above, equal, a, b, y.dtype.type(0.5))

    return op, partial


def or_alone(slope: Callable[..., Any]) -> Callable[..., Any]:
    """The partial of fmax or fmin by that of maximum or minimum: beside a nan the other one is taken."""

    return lambda y, a, b: np.where(np.isnan(b), y.dtype.type(1), slope(y, a, b))


def _same(x: Any, y: Any) -> Any:
    return (x == y) | np.isnan(x) & np.isnan(y)  # NumPy lets a nan win


def _part(x: Any, y: Any, n: Any) -> Any:
    return np.where(_same(x, y), 1 / n, 0).astype(x.dtype, copy=False)[()]


class _Part(Jump):
    """1/n where x is the extreme y, as n elements along an axis are."""

    def __init__(self) -> None:
        super().__init__(_part, 3, lambda x, y, n: np.logical_and(_same(x, y), np.greater(n, 1)), name="part")

    def piece(self, args: Sequence[Any], params: dict[str, Any]) -> Op:
        x, y, n = args
        along = tuple(k for k in range(x.ndim) if np.shape(n)[k] < x.shape[k])
        return _Settled(self, self.evaluate(x, y, np.sum(_same(x, y), axis=along, keepdims=True)))


# Not the row of np.sign, whose derivative is 0 everywhere: that of the sign itself is what is asked for there.
jump = primitive(Jump(np.sign, 1, lambda x: np.equal(x, 0), name="sign"))
LARGER, larger = _shared(operator.gt, operator.ge, "larger")
SMALLER, smaller = _shared(operator.lt, operator.le, "smaller")
PART = _Part()
part = primitive(PART)


# ---------------------------------------------------------------------------------------------------
# Functions with such slopes
# ---------------------------------------------------------------------------------------------------


def _within(op: Elementwise, tied: Callable[..., Any], args: Sequence[Any]) -> Op:
    """The row of the piece in which `args` lie."""
    near = op.evaluate(*args)

    def settled(p: Any) -> Callable[..., Any]:
        there = p(near, *args)
        return lambda y, *x: cast(np.where(tied(*x), there, p(y, *x)), y.dtype)[()]

    return Elementwise(op.fn, [settled(p) for p in op.partials], name=op.name, evaluate=op.evaluate)


class Modulus(Elementwise):
    """|x|; phase(y, z) is the slope of a complex number."""

    def __init__(self, fn: Any, phase: Callable[..., Any], **row: Any) -> None:
        super().__init__(fn, [lambda y, x: phase(y, x) if x.dtype.kind == "c" else jump(x)], **row)

    def piece(self, args: Sequence[Any], params: dict[str, Any]) -> Op:
        return self if np.iscomplexobj(args[0]) else _within(self, lambda x: np.equal(x, 0), args)


class Larger(Elementwise):
    """The larger of two numbers, or the smaller; slope(y, a, b) is the partial of the first."""

    def __init__(self, fn: Any, slope: Callable[..., Any], **row: Any) -> None:
        super().__init__(fn, [slope, lambda y, a, b: slope(y, b, a)], **row)

    def piece(self, args: Sequence[Any], params: dict[str, Any]) -> Op:
        return _within(self, np.equal, args)


def _shares(y: Any, x: Any, axis: Any) -> Any:
    """Of the extreme y of x along an axis: equal parts where x is y."""
    same = x == y
    if x.dtype.kind in "fc" and np.isnan(y).any():
        same = _same(x, y)
    if isinstance(x, Tracer):
        return part(x, y, np.sum(same, axis=trailing(axis, x.ndim), keepdims=True))
    share = same * x.dtype.type(1)
    return share * (1 / np.sum(share, axis=trailing(axis, x.ndim), keepdims=True))


class Extreme(Via):
    """The largest or smallest along an axis.  shares(y, x, axis): how its elements share the derivative."""

    def __init__(self, fn: Any, shares: Callable[..., Any] = _shares, **row: Any) -> None:
        def push(t: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            share = shares(expand(y, x, axis, keepdims, 0), x, axis)
            return np.sum(share * t, axis=trailing(axis, x.ndim), keepdims=keepdims)

        def pull(u: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            share = shares(expand(y, x, axis, keepdims, 0), x, axis)
            return share * expand(u, x, axis, keepdims, u.ndim - y.ndim)

        super().__init__(fn, [push], [pull], **row)

    def piece(self, args: Sequence[Any], params: dict[str, Any]) -> Op:
        (x,), axis = args, params.get("axis")
        y = expand(self.evaluate(x, **params), x, axis, params.get("keepdims", False), 0)
        there = _shares(y, x, axis)

        def shares(y: Any, x: Any, axis: Any) -> Any:
            share = _shares(y, x, axis)
            return np.where(np.equal(share, 0) | np.equal(share, 1), share, there)

        return Extreme(self.fn, shares, name=self.name, params=self.params, evaluate=self.evaluate)


def expand(u: Any, x: Any, axis: Any, keepdims: bool, lead: int) -> Any:
    """Put back the axes of x that a reduction removed, with extent 1, behind the directions."""
    if keepdims or not x.ndim:
        return u
    axes = {a + x.ndim for a in trailing(axis, x.ndim)}
    return np.reshape(u, u.shape[:lead] + tuple(1 if i in axes else n for i, n in enumerate(x.shape)))
