"""Shapes of directions: a tangent or cotangent of an array of shape s has shape s, or (K, *s) for K directions at once.

`spread` and `gather` are the two halves of broadcasting, and each other's transposes; axes are counted from the end, so
that leading directions do not move them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def align(t: Any, x_ndim: int, y_ndim: int) -> Any:
    """Insert the axes that broadcasting adds to x, behind the leading direction axes of t.

    t has shape (..., *x.shape), where ... is () or (K,); the result broadcasts against y.shape.
    """
    lead = t.ndim - x_ndim
    if lead == 0 or x_ndim == y_ndim:
        return t
    return t.reshape(t.shape[:lead] + (1,) * (y_ndim - x_ndim) + t.shape[lead:])


def spread(t: Any, shape: tuple[int, ...], lead: tuple[int, ...]) -> Any:
    """Broadcast an aligned direction to the result's shape: (*lead, *shape)."""
    full = lead + shape
    return t if t.shape == full else np.broadcast_to(t, full)


def gather(u: Any, shape: tuple[int, ...], lead: int) -> Any:
    """The transpose of `spread`: sum u of shape (*lead, *result) back to (*lead, *shape)."""
    extra = u.ndim - lead - len(shape)
    axes = tuple(range(lead, lead + extra)) + tuple(
        lead + extra + i for i, n in enumerate(shape) if n == 1 and u.shape[lead + extra + i] != 1
    )
    if axes:
        u = np.sum(u, axis=axes)
    full = u.shape[:lead] + shape
    return u if u.shape == full else np.reshape(u, full)


def cast(g: Any, dtype: np.dtype[Any]) -> Any:
    """g in the dtype of the array it belongs to; a real array's direction is the real part."""
    if g.dtype == dtype:
        return g
    if g.dtype.kind == "c" and dtype.kind != "c":
        g = np.real(g)
    return g if g.dtype == dtype else g.astype(dtype)


def inexact(y: Any) -> np.dtype[Any]:
    """The dtype of a direction of y: its own, where that is one of real or complex numbers."""
    dtype = np.result_type(y)
    return dtype if dtype.kind in "fc" else np.result_type(dtype, np.float32)


def lead_shape(t: Any, x: Any) -> tuple[int, ...]:
    """() for one direction t of x, (K,) for K directions."""
    return t.shape[: t.ndim - np.ndim(x)]


def trailing(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes of an ndim-dimensional array, counted from the end, so that leading directions do not move them."""
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = axis if np.iterable(axis) else (axis,)
    if not ndim:
        axes = [a for a in axes if a not in (0, -1)]  # NumPy lets an array without axes be reduced along its first
    return tuple(trailing_axis(a, ndim) for a in axes)


def trailing_axis(axis: int, ndim: int) -> int:
    """One axis counted from the end; out of range raises as NumPy does."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis - ndim if axis >= 0 else axis


def along_axis(a: Any, axis: int | None) -> tuple[Any, int]:
    """An array and the axis a function goes along: all elements for None, and a scalar has one axis, as in NumPy."""
    if axis is None:
        return np.reshape(a, -1), 0
    return (np.reshape(a, 1) if not a.ndim and axis in (0, -1) else a), axis
