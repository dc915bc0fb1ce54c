"""Sums, products, means, extremes and their running versions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import OPS, Composite, Linear, Via, add, broadcast, lead_shape, size_of, trailing, trailing_axis


def expand(u: Any, x: Any, axis: Any, keepdims: bool, lead: int) -> Any:
    """Put back the axes of x that a reduction removed, with extent 1, behind the directions."""
    if keepdims or not x.ndim:
        return u
    axes = {a + x.ndim for a in trailing(axis, x.ndim)}
    return np.reshape(u, u.shape[:lead] + tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def _unreduce(u: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """The transpose of a sum over axes: constant along them."""
    if axis is None and u.ndim == 0:
        return broadcast(u, x.shape)
    removed = 0 if keepdims else len(trailing(axis, x.ndim))
    lead = u.ndim - (x.ndim - removed)
    return broadcast(expand(u, x, axis, keepdims, lead), u.shape[:lead] + x.shape)


def _sum(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.add.reduce(a, axis=axis, keepdims=keepdims)


def _count(x: Any, axis: Any) -> int:
    n = 1
    for a in trailing(axis, x.ndim):
        n *= x.shape[a]
    return n


# fmt: off
add(Linear(np.sum,
    lambda t, x, axis=None, keepdims=False: np.sum(t, axis=trailing(axis, x.ndim), keepdims=keepdims),
    lambda u, x, axis=None, keepdims=False: _unreduce(u, x, axis, keepdims),
    evaluate=_sum, flops=lambda y, x, **_: size_of(x)))
add(Linear(np.mean,
    lambda t, x, axis=None, keepdims=False: np.mean(t, axis=trailing(axis, x.ndim), keepdims=keepdims),
    lambda u, x, axis=None, keepdims=False: _unreduce(u / _count(x, axis), x, axis, keepdims),
    flops=lambda y, x, **_: size_of(x)))
# fmt: on


def _cumsum(t: Any, x: Any, axis: int | None = None) -> Any:
    if axis is None:
        return np.cumsum(np.reshape(t, lead_shape(t, x) + (x.size,)), axis=-1)
    return np.cumsum(t, axis=trailing_axis(axis, x.ndim))


def _cumsum_transpose(u: Any, x: Any, axis: int | None = None) -> Any:
    """Running sums from the other end."""
    k = -1 if axis is None else trailing_axis(axis, x.ndim)
    g = np.flip(np.cumsum(np.flip(u, axis=k), axis=k), axis=k)
    return np.reshape(g, u.shape[: u.ndim - 1] + x.shape) if axis is None else g


add(Linear(np.cumsum, _cumsum, _cumsum_transpose, flops=1.0))


# Extremes: the derivative goes to the largest element, in equal shares where several are ---------------


def _share(y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    chosen = (x == expand(y, x, axis, keepdims, 0)) * x.dtype.type(1)
    return chosen / np.sum(chosen, axis=trailing(axis, x.ndim), keepdims=True)


def _extreme_push(t: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sum(_share(y, x, axis, keepdims) * t, axis=trailing(axis, x.ndim), keepdims=keepdims)


def _extreme_pull(u: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _share(y, x, axis, keepdims) * expand(u, x, axis, keepdims, u.ndim - y.ndim)


for _fn in (np.max, np.min):
    add(Via(_fn, [_extreme_push], [_extreme_pull], flops=lambda y, x, **_: size_of(x)))
OPS[np.amax], OPS[np.amin] = OPS[np.max], OPS[np.min]


# Products: by pairwise halving, so that zeros are right at every order -----------------------------------


def _to_last(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """The reduced axes as one last axis, and the shape that keepdims would keep."""
    axes = [k + a.ndim for k in trailing(axis, a.ndim)]
    kept = [k for k in range(a.ndim) if k not in axes]
    shape = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    moved = np.transpose(a, kept + axes)
    return np.reshape(moved, tuple(a.shape[k] for k in kept) + (_count(a, axis),)), shape


def _prod(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    x, shape = _to_last(a, axis)
    while x.shape[-1] > 1:
        n = x.shape[-1]
        pairs = x[..., : n // 2] * x[..., n // 2 : 2 * (n // 2)]
        x = np.concatenate([pairs, x[..., n - 1 :]], axis=-1) if n % 2 else pairs
    y = x[..., 0] if x.shape[-1] else np.sum(x, axis=-1) + 1.0
    return np.reshape(y, shape) if keepdims else y


def _cumprod(a: Any, axis: int | None = None) -> Any:
    """Running products by doubling: after step k each element holds the product of its last 2ᵏ."""
    if axis is None:
        a, axis = np.ravel(a), 0
    x = np.moveaxis(a, axis, -1)
    step = 1
    while step < x.shape[-1]:
        x = np.concatenate([x[..., :step], x[..., step:] * x[..., :-step]], axis=-1)
        step *= 2
    return np.moveaxis(x, -1, axis)


add(Composite(np.prod, _prod))
add(Composite(np.cumprod, _cumprod))


# In terms of the rows above ------------------------------------------------------------------------------


def _var(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None) -> Any:
    centred = a - np.mean(a, axis=axis, keepdims=True)
    squares = np.real(centred * np.conjugate(centred)) if a.dtype.kind == "c" else centred * centred
    return np.sum(squares, axis=axis, keepdims=keepdims) / (_count(a, axis) - (ddof if correction is None else correction))


def _std(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None) -> Any:
    return np.sqrt(_var(a, axis, ddof, keepdims, correction=correction))


def _ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if axis is not None and np.ndim(weights) < np.ndim(a):
        weights = np.reshape(weights, [np.shape(a)[k] if k == axis % np.ndim(a) else 1 for k in range(np.ndim(a))])
    weights = np.broadcast_to(weights, np.shape(a))
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / np.sum(weights, axis=axis, keepdims=keepdims)


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    one = [1 if k == axis % a.ndim else m for k, m in enumerate(a.shape)]
    ends = [np.broadcast_to(e, one) if e is not None and np.ndim(e) == 0 else e for e in (prepend, append)]
    if prepend is not None or append is not None:
        a = np.concatenate([e for e in (ends[0], a, ends[1]) if e is not None], axis=axis)
    x = np.moveaxis(a, axis, -1)
    for _ in range(n):
        x = x[..., 1:] - x[..., :-1]
    return np.moveaxis(x, -1, axis)


add(Composite(np.var, _var))
add(Composite(np.std, _std))
add(Composite(np.ptp, _ptp))
add(Composite(np.average, _average))
add(Composite(np.diff, _diff))
add(Composite(np.nansum, lambda a, axis=None, keepdims=False: np.sum(_without_nan(a, 0), axis=axis, keepdims=keepdims)))
add(Composite(np.nanprod, lambda a, axis=None, keepdims=False: np.prod(_without_nan(a, 1), axis=axis, keepdims=keepdims)))
add(Composite(np.nanmax, lambda a, axis=None, keepdims=False: np.max(_without_nan(a, -np.inf), axis=axis, keepdims=keepdims)))
add(Composite(np.nanmin, lambda a, axis=None, keepdims=False: np.min(_without_nan(a, np.inf), axis=axis, keepdims=keepdims)))


def _without_nan(a: Any, value: float) -> Any:
    return np.where(np.isnan(a), value, a)


def _nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    known = np.sum(~np.isnan(a), axis=axis, keepdims=keepdims)
    return np.nansum(a, axis=axis, keepdims=keepdims) / known


def _nanvar(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    centred = a - np.nanmean(a, axis=axis, keepdims=True)
    known = np.sum(~np.isnan(a), axis=axis, keepdims=keepdims)
    return np.nansum(centred * centred, axis=axis, keepdims=keepdims) / (known - ddof)


add(Composite(np.nanmean, _nanmean))
add(Composite(np.nanvar, _nanvar))
add(Composite(np.nanstd, lambda a, axis=None, ddof=0, keepdims=False: np.sqrt(_nanvar(a, axis, ddof, keepdims))))

# The reductions of ufuncs, whose axis is 0 unless given.
for _ufunc, _reduced in ((np.add, np.sum), (np.multiply, np.prod), (np.maximum, np.max), (np.minimum, np.min)):
    OPS[(_ufunc, "reduce")] = Composite(
        _ufunc.reduce,
        lambda array, axis=0, keepdims=False, fn=_reduced: fn(array, axis=axis, keepdims=keepdims),
        name=f"{_ufunc.__name__}.reduce",
    )
for _ufunc, _running in ((np.add, np.cumsum), (np.multiply, np.cumprod)):
    OPS[(_ufunc, "accumulate")] = Composite(
        _ufunc.accumulate, lambda array, axis=0, fn=_running: fn(array, axis=axis), name=f"{_ufunc.__name__}.accumulate"
    )
