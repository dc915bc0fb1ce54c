"""Indexing: x[...] and its transpose, the scatter that adds cotangents back into place.

With a direction axis in front, x[index] becomes t[:, index].  Where advanced indices stand apart
(x[i, :, j]) NumPy moves their axes to the front, so the direction axis is moved back.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..registry import Composite, Op, Passive, add, cast
from ..tracing import Tracer, apply, canonical, primitive


def as_tuple(index: Any) -> tuple[Any, ...]:
    """An index as NumPy reads it: a tuple, its lists turned into arrays."""
    items = index if isinstance(index, tuple) else (index,)
    return tuple(np.asarray(i, dtype=None if len(i) else int) if isinstance(i, list) else i for i in items)


def is_array(item: Any) -> bool:
    return isinstance(item, np.ndarray | bool | np.bool_) or (hasattr(item, "dtype") and getattr(item, "ndim", 0) > 0)


def advanced_axes(index: tuple[Any, ...]) -> int:
    """How many axes the advanced indices give the result, if they stand apart and so come first; else 0."""
    if not any(is_array(i) for i in index):
        return 0
    places = [k for k, i in enumerate(index) if is_array(i) or isinstance(i, int | np.integer)]
    if places[-1] - places[0] + 1 == len(places):
        return 0
    shapes = [(i.nonzero()[0].shape if i.dtype == bool else i.shape) for i in index if isinstance(i, np.ndarray)]
    return len(np.broadcast_shapes(*shapes))


def read(t: Any, index: tuple[Any, ...], lead: int) -> Any:
    """t[index] behind `lead` leading axes."""
    full = (slice(None),) * lead + index
    out = apply(INDEX, (t, full), {}) if any(isinstance(i, Tracer) for i in index) else t[full]
    if not lead:
        return out
    first = advanced_axes(index)
    return np.moveaxis(out, range(first, first + lead), range(lead)) if first else out


def add_into(buffer: np.ndarray, index: tuple[Any, ...], u: np.ndarray, lead: int) -> None:
    """buffer[index] += u behind `lead` leading axes; repeated indices add up."""
    if lead:
        first = advanced_axes(index)
        if first:
            u = np.moveaxis(u, range(lead), range(first, first + lead))
        index = (slice(None),) * lead + index
    arrays = [i for i in index if is_array(i)]
    if all(not isinstance(i, np.ndarray) or i.dtype == bool for i in arrays):
        buffer[index] += u
    elif u.size <= 64 or buffer.dtype.kind not in "fc":
        np.add.at(buffer, index, u)
    else:
        where = np.arange(buffer.size).reshape(buffer.shape)[index].ravel()
        weights = np.broadcast_to(u, np.shape(buffer[index])).ravel()
        parts = [weights] if buffer.dtype.kind == "f" else [weights.real, weights.imag]
        sums = [np.bincount(where, weights=w, minlength=buffer.size).reshape(buffer.shape) for w in parts]
        buffer += (sums[0] if len(sums) == 1 else sums[0] + 1j * sums[1]).astype(buffer.dtype, copy=False)


def _scatter(u: Any, index: tuple[Any, ...], shape: tuple[int, ...], ndim: int) -> Any:
    """Zeros of `shape` with u added at `index`: the transpose of x[index], whose result has `ndim` axes."""
    lead = u.ndim - ndim
    out = np.zeros(u.shape[:lead] + shape, dtype=u.dtype)
    add_into(out, index, u, lead)
    return out


class _Index(Op):
    """x[index]: reads directions as it reads values; the transpose scatters."""

    def __init__(self) -> None:
        super().__init__(operator.getitem, name="getitem")
        self.pushes, self.pulls = (self._push,), (self._pull,)

    @staticmethod
    def _push(t: Any, y: Any, x: Any, index: Any) -> Any:
        return read(t, as_tuple(index), t.ndim - x.ndim)

    @staticmethod
    def _pull(u: Any, y: Any, x: Any, index: Any) -> Any:
        return cast(scatter(u, as_tuple(index), x.shape, y.ndim), x.dtype)

    @staticmethod
    def accumulate(buffer: np.ndarray, u: Any, y: Any, x: Any, index: Any) -> None:
        add_into(buffer, as_tuple(index), cast(u, buffer.dtype), u.ndim - y.ndim)


class _Scatter(Op):
    """The transpose of x[index], and so read back by it."""

    def __init__(self) -> None:
        super().__init__(_scatter, name="scatter")
        self.pushes, self.pulls = (self._push,), (self._pull,)

    @staticmethod
    def _push(t: Any, y: Any, u: Any, index: Any, shape: Any, ndim: int) -> Any:
        return scatter(t, index, shape, ndim)

    @staticmethod
    def _pull(v: Any, y: Any, u: Any, index: Any, shape: Any, ndim: int) -> Any:
        return read(v, index, v.ndim - len(shape))


INDEX = add(_Index())
scatter = primitive(add(_Scatter()))


# ---------------------------------------------------------------------------------------------------
# In terms of indexing
# ---------------------------------------------------------------------------------------------------


def _take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if mode != "raise":
        indices = np.mod(indices, a.shape[axis]) if mode == "wrap" else np.clip(indices, 0, a.shape[axis] - 1)
    if axis is None:
        return np.ravel(a)[indices]
    return a[(slice(None),) * (axis % a.ndim) + (indices,)]


def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        return np.ravel(arr)[indices]
    axis %= arr.ndim
    grid = np.ogrid[tuple(slice(n) for n in indices.shape)]
    return arr[tuple(indices if k == axis else g for k, g in enumerate(grid))]


def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    return np.take(a, np.flatnonzero(condition), axis=axis)


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    n = max(0, min(a.shape[-2] + min(offset, 0), a.shape[-1] - max(offset, 0)))
    i = np.arange(n)
    return a[..., i - min(offset, 0), i + max(offset, 0)]


def _diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return np.diagonal(v, k)
    n = v.shape[0] + abs(k)
    i = np.arange(v.shape[0])
    return scatter(v, (i - min(k, 0), i + max(k, 0)), (n, n), 1)


def _sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    """The sorted elements: a reordering, constant near a point without ties."""
    if axis is None:
        a, axis = np.ravel(a), -1
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind="stable"), axis=axis)


add(Composite(np.take, _take))
add(Composite(np.take_along_axis, _take_along_axis))
add(Composite(np.compress, _compress))
add(Composite(np.diagonal, _diagonal))
add(Composite(np.diag, _diag))
add(Composite(np.diagflat, lambda v, k=0: np.diag(np.ravel(canonical(v)), k)))
add(Composite(np.sort, _sort))
add(Composite(np.extract, lambda condition, arr: np.ravel(arr)[np.flatnonzero(condition)]))

for _fn in (
    np.argmax, np.argmin, np.argsort, np.argpartition, np.count_nonzero,
    np.searchsorted, np.any, np.all, np.digitize, np.isin, np.lexsort, np.nanargmax, np.nanargmin,
):  # fmt: skip
    add(Passive(_fn))
for _fn in (np.nonzero, np.flatnonzero, np.argwhere):
    add(Passive(_fn, shape_from_values=True))
