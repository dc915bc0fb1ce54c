"""Functions that leave elements out or take some more than once: resize, delete, insert, pad, sliding windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.directions import trailing
from ..core.dispatch import canonical
from ..core.domain import A, case
from ..core.registry import Composite, add
from .shape import as_shape

# Rearrangements: NumPy itself, run on the places of the elements, says where each goes --------------------


def places(shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of the elements of an array, in C order."""
    return np.arange(int(np.prod(shape))).reshape(shape)


def rearranged(x: Any, at: Any) -> Any:
    """The array of the elements at these places."""
    return np.ravel(x)[at]


def _resize(a: Any, new_shape: Any) -> Any:
    a = canonical(a)
    if not a.size:
        return np.zeros(new_shape, a.dtype)
    return rearranged(a, np.resize(places(a.shape), new_shape))


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    arr = canonical(arr)
    return rearranged(arr, np.delete(places(arr.shape), obj, axis))


def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, values = canonical(arr), canonical(values)
    if np.result_type(values).kind == "c" and arr.dtype.kind != "c":
        raise TypeError("np.insert: complex values cannot be inserted into a real array; take their real part")
    new = arr.size + places(np.shape(values))
    at = np.insert(places(arr.shape), obj, new, axis)
    return np.concatenate([np.ravel(arr), np.astype(np.ravel(values), arr.dtype)])[at]


def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """The box of the elements that are not zero."""
    filt = canonical(filt)
    axes = {a + filt.ndim for a in trailing(axis, filt.ndim)}
    known = np.argwhere(filt)
    if not len(known):
        return filt[tuple(slice(0, 0) if k in axes else slice(None) for k in range(filt.ndim))]
    low, high = known.min(axis=0), known.max(axis=0) + 1
    ends = trim.lower()
    return filt[
        tuple(
            slice(int(low[k]) if "f" in ends else None, int(high[k]) if "b" in ends else None)
            if k in axes
            else slice(None)
            for k in range(filt.ndim)
        )
    ]


add(Composite(np.resize, _resize, domain=[case(A(2, 3), (2, 4)), case(A(4), 2), case(A(), (2,)), case(A(3), (0,))]))
add(
    Composite(
        np.delete,
        _delete,
        domain=[
            case(A(4), 1),
            case(A(2, 4), [0, -1], axis=1),
            case(A(4, 2), slice(1, 3), axis=0),
            case(A(2, 3), 2),
            case(A(3), [True, False, True]),
        ],
    )
)
add(
    Composite(
        np.insert,
        _insert,
        domain=[
            case(A(4), 1, A()),
            case(A(2, 3), 1, A(2), axis=1),
            case(A(4), [0, 2, 2], A(3)),
            case(A(3, 2), -1, A(2), axis=0),
        ],
    )
)
add(Composite(np.trim_zeros, _trim_zeros, domain=[case(A(3)), case(A(3), "f")])).by_values = True


# Padding ------------------------------------------------------------------------------------------------


def _pad(
    array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0, end_values: Any = 0,
    stat_length: Any = None, reflect_type: str = "even",
) -> Any:  # fmt: skip
    """Axis by axis, each on the array padded so far."""
    array = canonical(array)
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, (0, 0))) for k in range(array.ndim)]
        pad_width = [(w, w) if np.ndim(w) == 0 else w for w in pad_width]
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    if mode in ("edge", "wrap", "symmetric", "reflect") and (reflect_type == "even" or mode in ("edge", "wrap")):
        return rearranged(array, np.pad(places(array.shape), pad_width, mode))
    if mode in ("symmetric", "reflect"):
        for axis, width in enumerate(widths):
            array = _mapped(np.pad(np.eye(array.shape[axis]), (width, (0, 0)), mode, reflect_type="odd"), array, axis)
        return array
    return _pad_ends(array, widths, mode, constant_values, end_values, stat_length)


def _pad_ends(array: Any, widths: Any, mode: str, constant_values: Any, end_values: Any, stat_length: Any) -> Any:
    """Modes that put something new before and after."""
    pairs = (array.ndim, 2)
    values = np.broadcast_to(canonical(constant_values if mode == "constant" else end_values), pairs)
    lengths = np.broadcast_to(np.asarray(0 if stat_length is None else stat_length), pairs).tolist()
    dtype = array.dtype
    for axis, width in enumerate(widths):
        if mode in _STATISTICS and stat_length is not None and min(lengths[axis]) < 1:
            raise ValueError("stat_length of 0 yields no value for padding")
        ends = []
        for side in (0, 1):
            shape = [width[side] if k == axis else n for k, n in enumerate(array.shape)]
            if mode == "constant":
                end = np.broadcast_to(values[axis, side], shape)
            elif mode == "linear_ramp":
                end = _ramp(values[axis, side], array, axis, side, width[side])
            elif mode in _STATISTICS:
                n = array.shape[axis] if stat_length is None else min(lengths[axis][side], array.shape[axis])
                part = _cut(array, axis, slice(0, n) if side == 0 else slice(array.shape[axis] - n, None))
                end = np.broadcast_to(_STATISTICS[mode](part, axis=axis, keepdims=True), shape)
            else:
                raise TypeError(f"np.pad has no derivative rule for mode={mode!r}")
            ends.append(np.astype(end, dtype))
        array = np.concatenate([ends[0], array, ends[1]], axis=axis)
    return array


_STATISTICS = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}


def _cut(array: Any, axis: int, part: Any) -> Any:
    return array[(slice(None),) * axis + (part,)]


def _ramp(end: Any, array: Any, axis: int, side: int, width: int) -> Any:
    """From the end value to the edge in equal steps, the edge itself left out."""
    edge = _cut(array, axis, slice(0, 1) if side == 0 else slice(array.shape[axis] - 1, None))
    k = np.arange(width) if side == 0 else np.arange(width)[::-1]
    share = np.reshape(k / max(width, 1), [-1 if a == axis else 1 for a in range(array.ndim)])
    return end * (1 - share) + edge * share


def _mapped(matrix: Any, array: Any, axis: int) -> Any:
    """A matrix applied along one axis."""
    return np.moveaxis(np.moveaxis(array, axis, -1) @ np.astype(matrix, array.dtype).T, -1, axis)


add(
    Composite(
        np.pad,
        _pad,
        domain=[
            case(A(3), 2),
            case(A(2, 3), ((1, 0), (0, 2))),
            case(A(2, 3), (1, 2), constant_values=4.0),
            case(A(0, 2), 1),
        ],
    )
)


def _windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Sliding windows, by indexing; the windows are last."""
    sizes = as_shape(window_shape)
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in as_shape(axis)]
    for a, m in zip(axes, sizes, strict=True):
        starts = np.arange(x.shape[a] - m + 1)
        x = np.moveaxis(x[(slice(None),) * a + (starts[:, None] + np.arange(m),)], a + 1, -1)
    return x


add(
    Composite(
        np.lib.stride_tricks.sliding_window_view,
        _windows,
        domain=[case(A(5), 3), case(A(4, 3), (2, 2)), case(A(4, 3), 2, axis=0), case(A(3, 4), 2, axis=-1)],
    )
)
