"""Norms and condition numbers."""

from __future__ import annotations

import math
import operator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core.directions import cast, trailing
from ...core.dispatch import canonical, primitive
from ...core.domain import A, case
from ...core.registry import OPS, Composite, Elementwise, Op, Passive, Via, add, in_place_of_zeros
from ...core.zeros import strong_product
from ..elementwise import slope
from .pieces import NORMS, real_part

# Of some axes, which stay with extent 1:  y = (Σ |x|ᵖ)^(1/p)  →  dy = Σ Re(g dx),  g = conj(x)/|x| · (|x|/y)^(p−1)


def _length(x: Any, axes: tuple[int, ...]) -> Any:
    if len(axes) == x.ndim:
        return np.linalg.norm(x, keepdims=True)
    squares = (np.conjugate(x) * x).real if x.dtype.kind == "c" else x * x
    return np.sqrt(np.add.reduce(squares, axis=axes, keepdims=True))


def _length_slope(y: Any, x: Any, **_: Any) -> Any:
    return slope(np.conjugate(x) if x.dtype.kind == "c" else x, y)


def _p_length(x: Any, axes: tuple[int, ...], p: float) -> Any:
    return np.add.reduce(np.abs(x) ** p, axis=axes, keepdims=True) ** (1 / p)


def _largest(x: Any, axes: tuple[int, ...]) -> Any:
    """A scale of x, so that no power of it overflows: of its own it has no influence."""
    unit = np.max(np.abs(x), axis=axes, keepdims=True, initial=0)
    return np.where(np.isfinite(unit) & (unit > 0), unit, 1).astype(x.dtype)


# sign(x) |x|^q by a rule of its own: one by |x| would take the slope of that at 0, where this one's is infinite for q < 1.
LARGEST: Op = Passive(_largest, arrays=1, name="largest", zero=True)
SIGNED_POWER: Op = Elementwise(
    lambda x, q: np.copysign(np.abs(x) ** q, x),
    [lambda y, x, q: q * np.abs(x) ** (q - 1), None],
    name="signed_power",
)
largest, signed_power = primitive(LARGEST), primitive(SIGNED_POWER)


def _p_slope(y: Any, x: Any, p: float, axes: tuple[int, ...]) -> Any:
    if x.dtype.kind == "c":
        size = np.abs(x)
        return slope(np.conjugate(x), size) * slope(size, y) ** (p - 1)
    unit = largest(x, axes=axes)
    if p < 1:  # infinite at zeros of x; where y is 0 the slope is 0 as that of any norm
        return slope(signed_power(x / unit, p - 1) * (y / unit) ** (1 - p) * y, y)
    return signed_power(x / unit, p - 1) * slope(unit, y) ** (p - 1)


class _Norm(Via):
    """slope(y, x, axes, p): the partials, whose products with dx are summed."""

    def __init__(self, fn: Any, slope: Any, power: float, domain: Any, product: Any = operator.mul) -> None:
        def push(t: Any, y: Any, x: Any, **params: Any) -> Any:
            parts = real_part(product(slope(y, x, **params), t))
            return np.sum(parts, axis=trailing(params["axes"], x.ndim), keepdims=True)

        def pull(u: Any, y: Any, x: Any, **params: Any) -> Any:
            return cast(product(slope(y, x, **params), u), x.dtype)

        def flops(y: Any, x: Any, **_: Any) -> float:
            return power * np.size(x)

        super().__init__(fn, [push], [pull], name="linalg.norm", params=["axes", "p"], domain=domain, flops=flops)
        self.slope = slope

    @cached_property
    def strong(self) -> Op:
        return self._keeping(self.slope)

    def moved(self, y: Any, args: Any) -> Op:
        def slope(here: Any, x: Any, **params: Any) -> Any:
            return in_place_of_zeros(self.slope(y, *args, **params), self.slope(here, x, **params))

        return self._keeping(slope)

    def _keeping(self, slope: Any) -> Op:
        twin = _Norm(self.fn, slope, 0, None, OPS[strong_product].evaluate)
        twin.evaluate, twin.square, twin.any_shape = self.evaluate, self.square, self.any_shape
        return twin


LENGTHS = [case(A(2, 3), axes=(0, 1)), case(A(2, 3), axes=(1,)), case(A(), axes=())]
LENGTH: Op = add(_Norm(_length, _length_slope, 2, LENGTHS))
P_LENGTH: Op = add(_Norm(_p_length, _p_slope, 12, [case(A(2, 3), axes=(0, 1), p=3), case(A(2, 3), axes=(1,), p=1.5)]))
length, p_length = primitive(LENGTH), primitive(P_LENGTH)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = canonical(x)
    every = tuple(range(x.ndim))
    if axis is None and ord is None:
        y, axes = length(x, axes=every), every
    else:
        axes = every if axis is None else tuple(k + x.ndim for k in trailing(axis, x.ndim))
        if not 0 < len(axes) < 3:
            raise ValueError("Improper number of dimensions to norm.")
        if len(set(axes)) < len(axes):
            raise ValueError("Duplicate axes given.")
        y = _vector_norm_of(x, ord, axes) if len(axes) == 1 else _matrix_norm_of(x, ord, axes)
    shape = [1 if k in axes else n for k, n in enumerate(x.shape)]
    return np.reshape(y, shape if keepdims else [n for k, n in enumerate(x.shape) if k not in axes])


def _vector_norm_of(x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord is None or ord == 2:
        return length(x, axes=axes)
    if ord == 0:
        return np.sum(np.where(x != 0, 1, np.zeros((), real_part(x).dtype)), axis=axes)
    if ord == 1 or (ord == np.inf and not x.shape[axes[0]]):
        return np.sum(np.abs(x), axis=axes)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axes)
    return p_length(x, axes=axes, p=float(ord))


def _matrix_norm_of(x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    if ord in (None, "fro", "f"):
        return length(x, axes=axes)
    if ord not in (1, -1, 2, -2, np.inf, -np.inf, "nuc"):
        raise ValueError("Invalid norm order for matrices.")
    m = np.moveaxis(x, axes, (-2, -1))
    if not (m.shape[-2] and m.shape[-1]) and ord in (1, 2, np.inf, "nuc"):
        return np.sum(np.abs(m), axis=(-2, -1))
    if ord == "nuc":
        return np.sum(np.linalg.svdvals(m), axis=-1)
    parts = np.linalg.svdvals(m) if abs(ord) == 2 else np.sum(np.abs(m), axis=-2 if abs(ord) == 1 else -1)
    return (np.max if ord > 0 else np.min)(parts, axis=-1)


def _vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Of any number of axes, as one vector."""
    x = canonical(x)
    axes = tuple(k + x.ndim for k in trailing(axis, x.ndim))
    rest = tuple(k for k in range(x.ndim) if k not in axes)
    flat = np.reshape(np.transpose(x, rest + axes), [*(x.shape[k] for k in rest), math.prod(x.shape[k] for k in axes)])
    y = _norm(flat, ord, -1)
    return np.reshape(y, [1 if k in axes else n for k, n in enumerate(x.shape)]) if keepdims else y


def _cond(x: Any, p: Any = None) -> Any:
    """s₁/sₙ, or |A| |A⁻¹| in another norm, which for a singular matrix raises LinAlgError."""
    if 0 in x.shape[-2:]:
        raise LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = np.linalg.svdvals(x)
        first, last = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        with np.errstate(all="ignore"):
            return first / last
    return _norm(x, p, (-2, -1)) * _norm(np.linalg.inv(x), p, (-2, -1))


add(Composite(np.linalg.norm, _norm, domain=NORMS))
add(
    Composite(
        np.linalg.vector_norm,
        _vector_norm,
        domain=[
            case(A(3)),
            case(A(2, 3), axis=1, ord=3),
            case(A(2, 3), keepdims=True),
            case(A(2, 3), axis=(0, 1), ord=1),
            case(A(4), ord=np.inf),
        ],
    )
)
add(
    Composite(
        np.linalg.matrix_norm,
        lambda x, keepdims=False, ord="fro": _norm(x, ord, (-2, -1), keepdims),
        domain=[case(A(2, 3)), case(A(2, 3, 3), ord=2), case(A(2, 3), ord="nuc", keepdims=True), case(A(3, 2), ord=1)],
    )
)
add(
    Composite(
        np.linalg.cond, _cond, domain=[case(A(3, 3)), case(A(3, 3), 1), case(A(3, 3), "fro"), case(A(2, 3, 3), -2)]
    )
)
add(Passive(np.linalg.matrix_rank))
