"""Indexing: x[...] and its transpose, the scatter that adds cotangents back into place.

With a direction axis in front, x[index] becomes t[:, index].  Where advanced indices stand apart
(x[i, :, j]) NumPy moves their axes to the front, so the direction axis is moved back.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..core.directions import along_axis, cast, trailing_axis
from ..core.dispatch import apply, canonical, highest, primitive
from ..core.domain import A, case
from ..core.indices import BASIC, as_tuple
from ..core.registry import Composite, Op, Passive, add
from ..core.tracing import Tracer

I, J = np.array([2, 0, 2, -1]), np.array([[0], [1]])
MASK = np.array([[True, False, True], [False, False, True]])
# Every kind of index NumPy knows, with the shape of the array it is applied to.
INDICES: list[tuple[tuple[int, ...], Any]] = [
    ((4,), 1), ((4,), -1), ((4,), slice(1, None)), ((4,), slice(None, None, -2)), ((4, 3), (slice(3, 0, -1), 1)),
    ((2, 3), ()), ((), ()), ((), (None, ...)), ((2, 3), ...), ((2, 3, 2), (..., 0)),
    ((2, 3), (None, slice(None), None, 1)), ((4,), slice(2, 2)), ((0, 3), (slice(None), 1)), ((2, 3), MASK),
    ((2, 3), np.array([False, True])), ((), np.True_), ((2, 3), (slice(None), np.array([True, False, True]))),
    ((2, 3), np.zeros((2, 3), bool)), ((2, 3), True), ((4,), I), ((4, 2), I), ((3, 4), (slice(None), I)),
    ((4, 4), (I, I)), ((4, 4), (I, 1)), ((4, 2), (I, J)), ((4,), [2, 0, 2]), ((4, 2), ([3, 3], [0, 0])), ((4,), []),
    ((4, 2), J), ((2, 4, 3), (0, slice(None), [2, 2])), ((4, 3, 4), (I, slice(None), I)),
    ((4, 3, 4), (I, slice(1, None), 2)), ((4, 2, 4), (I, None, slice(None), I)),
    ((3, 4, 4), (slice(None, None, -1), I, I)), ((2, 3, 4), (np.array([True, False]), slice(None), [1])),
    ((2, 3, 4), (slice(None), MASK[1], 0)), ((4, 2, 3), (I, ..., np.array(1))),
    ((3, 2, 2), (np.int64(1), ..., [0, 0])), ((2, 3, 2), (MASK, [0, 1, 1])),
]  # fmt: skip


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


def _never_repeats(i: Any) -> bool:
    """Whether an entry of an index is known to name no place twice: a whole number, a range of places, or a mask."""
    return type(i) in BASIC or isinstance(i, bool | np.generic) or (isinstance(i, np.ndarray) and i.dtype == bool)


def add_into(buffer: np.ndarray, index: tuple[Any, ...], u: np.ndarray, lead: int, zeros: bool = False) -> None:
    """buffer[index] += u behind `lead` leading axes; repeated indices add up. zeros: the buffer holds nothing else."""
    if lead:
        first = advanced_axes(index)
        if first:
            u = np.moveaxis(u, range(lead), range(first, first + lead))
        index = (slice(None),) * lead + index
    if all(map(_never_repeats, index)):
        if zeros:
            buffer[index] = u
        else:
            buffer[index] += u
    elif u.size <= 64 or buffer.dtype.char not in "efdFD":  # bincount sums doubles
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
    add_into(out, index, u, lead, zeros=True)
    return out


class _Index(Op):
    """x[index]: reads directions as it reads values; the transpose scatters."""

    moves = True

    def __init__(self) -> None:
        super().__init__(operator.getitem, name="getitem", domain=[case(A(*shape), index) for shape, index in INDICES])
        self.pushes, self.pulls = (self._push,), (self._pull,)

    @staticmethod
    def _push(t: Any, y: Any, x: Any, index: Any) -> Any:
        return read(t, as_tuple(index), t.ndim - x.ndim)

    @staticmethod
    def _pull(u: Any, y: Any, x: Any, index: Any) -> Any:
        return cast(scatter(u, as_tuple(index), x.shape, y.ndim), x.dtype)

    @staticmethod
    def accumulate(buffer: np.ndarray, zeros: bool, u: Any, y: Any, x: Any, index: Any) -> None:
        add_into(buffer, as_tuple(index), cast(u, buffer.dtype), u.ndim - y.ndim, zeros)

    def added(self, buffer: Any, own: bool, u: Any, y: Any, x: Any, index: Any) -> Any:
        lead, at = u.ndim - y.ndim, as_tuple(index)
        if buffer is None:
            return self._pull(u, y, x, index)
        if not own:
            buffer = COPY.evaluate(buffer, ...)
        if lead and advanced_axes(at):
            return buffer + self._pull(u, y, x, index)
        return ADDED.evaluate(buffer, cast(u, x.dtype), (slice(None),) * lead + at)


class _Copy(_Index):
    """x[index] of an array that is to be changed in place: what is read is copied, of directions too."""

    def __init__(self) -> None:
        super().__init__()
        self.evaluate, self.pure = self._copied, INDEX

    def _copied(self, x: Any, index: Any) -> Any:
        if isinstance(x, Tracer):
            return apply(self, (x, index), {})
        y = x[index]
        return y.copy(order="K") if type(y) is np.ndarray else y

    @staticmethod
    def _push(t: Any, y: Any, x: Any, index: Any) -> Any:
        return COPY.evaluate(t, (slice(None),) * (t.ndim - x.ndim) + as_tuple(index))


class _Added(Op):
    """x with u added at index, of an array that nobody else holds: y is x, changed."""

    def __init__(self) -> None:
        super().__init__(np.add, name="add", arrays=2)
        self.evaluate = self._changed
        self.pushes = self.pulls = (self._changed, self._changed, None)  # pushed and pulled together, below

    def _changed(self, x: Any, u: Any, index: Any) -> Any:
        if isinstance(x, Tracer):
            return apply(self, (x, u, index), {})
        if type(x) is not np.ndarray or highest((u, index)) is not None:
            return x + scatter(u, index, x.shape, np.ndim(u))
        add_into(x, index, u, 0)
        return x

    def push_all(self, tangents: dict[int, Any], y: Any, args: Any, _: Any) -> Any:
        x, u, index = args
        if 1 not in tangents:
            return tangents[0]
        t = tangents[1]
        lead = t.ndim - np.ndim(u)
        base = tangents[0] if 0 in tangents else np.zeros(t.shape[:lead] + x.shape, y.dtype)
        if lead and advanced_axes(index):
            return base + scatter(t, index, x.shape, np.ndim(u))
        return self._changed(base, cast(t, y.dtype), (slice(None),) * lead + index)

    @staticmethod
    def pull_in_place(v: Any, y: Any, args: Any, own: bool) -> list[Any]:
        _, u, index = args
        there = COPY.evaluate(v, (slice(None),) * (v.ndim - y.ndim) + index)
        return [v if own else COPY.evaluate(v, ...), cast(there, u.dtype), None]


class _Scatter(Op):
    """The transpose of x[index], and so read back by it."""

    moves = True

    def __init__(self) -> None:
        domain = [
            case(A(4), (I,), (4,), 1), case(A(4, 3), (I, slice(None), I), (4, 3, 4), 2),
            case(A(2), (slice(1, None),), (3,), 1),
        ]  # fmt: skip
        super().__init__(_scatter, name="scatter", domain=domain)
        self.pushes, self.pulls = (self._push,), (self._pull,)

    @staticmethod
    def _push(t: Any, y: Any, u: Any, index: Any, shape: Any, ndim: int) -> Any:
        return scatter(t, index, shape, ndim)

    @staticmethod
    def _pull(v: Any, y: Any, u: Any, index: Any, shape: Any, ndim: int) -> Any:
        return read(v, index, v.ndim - len(shape))


INDEX = add(_Index())
INDEX.own = COPY = _Copy()
ADDED = _Added()
SCATTER = add(_Scatter())
scatter = primitive(SCATTER)


# ---------------------------------------------------------------------------------------------------
# In terms of indexing
# ---------------------------------------------------------------------------------------------------


def _take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    a, indices = canonical(a), canonical(indices)
    a, axis = along_axis(a, axis)
    axis = trailing_axis(axis, a.ndim) + a.ndim
    taken = a.shape[:axis] + np.shape(indices) + a.shape[axis + 1 :]
    if not a.size and 0 in taken:  # NumPy looks at no index where there is nothing to take
        return np.reshape(a, taken)
    if mode != "raise":
        indices = np.mod(indices, a.shape[axis]) if mode == "wrap" else np.clip(indices, 0, a.shape[axis] - 1)
    return a[(slice(None),) * axis + (indices,)]


def along(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """The index of take_along_axis and put_along_axis: `indices` along the axis, every place along the others."""
    if np.ndim(indices) != len(shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    axis = trailing_axis(axis, len(shape)) + len(shape)
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    return tuple(indices if k == axis else g for k, g in enumerate(grid))


def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    arr, indices = canonical(arr), canonical(indices)
    if axis is None:
        return np.ravel(arr)[indices]
    return arr[along(arr.shape, indices, axis)]


def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    return np.take(canonical(a), np.flatnonzero(condition), axis=axis)


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


DIAGONALS = [
    case(A(3, 3)), case(A(2, 3), offset=1), case(A(3, 2), offset=-1), case(A(2, 3, 2), axis1=-1, axis2=0),
    case(A(2, 2, 2), 1, 1, 2), case(A(2, 3), offset=-1),
]  # fmt: skip
add(
    Composite(
        np.take,
        _take,
        domain=[
            case(A(3, 4), [0, 2, 0]),
            case(A(3, 4), [[1], [-1]], axis=1),
            case(A(3), [4, -1], mode="wrap", axis=0),
            case(A(3, 2), 1, axis=-2),
            case(A(), [0, -1], axis=0),
        ],
    )
)
add(
    Composite(
        np.take_along_axis,
        _take_along_axis,
        domain=[
            case(A(2, 3), np.array([[0, 0, 2], [1, 1, 1]]), axis=1),
            case(A(3, 2), np.array([[0, 1]]), axis=0),
            case(A(2, 3), I, axis=None),
        ],
    )
)
add(
    Composite(
        np.compress,
        _compress,
        domain=[
            case([True, False, True], A(3)),
            case([True, False], A(2, 3), axis=0),
            case([True, False, True], A(2, 3), axis=-1),
        ],
    )
)
add(Composite(np.diagonal, _diagonal, domain=DIAGONALS))
add(
    Composite(
        np.diag, _diag, domain=[case(A(3)), case(A(3), k=1), case(A(2), k=-2), case(A(3, 4)), case(A(3, 4), k=-1)]
    )
)
add(Composite(np.diagflat, lambda v, k=0: np.diag(np.ravel(canonical(v)), k), domain=[case(A(2, 2)), case(A(3), k=-1)]))
add(
    Composite(
        np.extract,
        lambda condition, arr: np.ravel(canonical(arr))[np.flatnonzero(condition)],
        domain=[case(MASK, A(2, 3)), case([True, False], A(2))],
    )
)

for _fn in (
    np.argmax, np.argmin, np.argsort, np.argpartition, np.count_nonzero,
    np.searchsorted, np.any, np.all, np.digitize, np.isin, np.lexsort, np.nanargmax, np.nanargmin,
    np.ravel_multi_index, np.unravel_index,
):  # fmt: skip
    add(Passive(_fn))
for _fn in (np.nonzero, np.flatnonzero, np.argwhere):
    add(Passive(_fn, shape_from_values=True))
