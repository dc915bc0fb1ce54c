"""Fancy indices: which element of an array each element of x[i, 1:, j] is, for arrays i, j of whole numbers.

Indices below zero count from the end, as in NumPy.  A kernel looks at all of an index array before it starts; where an
index is out of range NumPy runs instead, and raises.  Besides, what is read is kept within the array, so that not even
an index that another thread changes meanwhile leads out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ops.index import INDEX, SCATTER
from ..recording import Instruction, Value
from .affine import strides_of
from .text import WHOLE, Writer, kind_of


@dataclass(frozen=True)
class Gathering:
    """The axes of an array in those of x[index].

    shape : of the array
    arrays : (axis, index array); they are broadcast together to `broadcast`, whose axes begin at `first` in the result
    slices : (axis, start, step, axis of the result); None there for a single index
    """

    shape: tuple[int, ...]
    arrays: tuple[tuple[int, Any], ...]
    slices: tuple[tuple[int, int, int, int | None], ...]
    first: int
    broadcast: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        return strides_of(self.shape)


def gathering(i: Instruction) -> Gathering | None:
    """Of an index, or of a scatter, by arrays of whole numbers; None for others."""
    if i.op is INDEX:
        x, index = i.args
        return _parsed(_entries(index), x.shape, i.outs[0].shape) if isinstance(x, Value | np.ndarray) else None
    if i.op is SCATTER:
        u, index, _, ndim = i.args
        if isinstance(u, Value | np.ndarray):
            lead = u.ndim - ndim
            return _parsed((slice(None),) * lead + _entries(index), i.outs[0].shape, u.shape, lead)
    return None


def _entries(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def index_values(i: Instruction) -> list[Value]:
    """The values among the index arrays."""
    found = gathering(i)
    return [] if found is None else [x for _, x in found.arrays if isinstance(x, Value)]


def _is_array(x: Any) -> bool:
    return isinstance(x, Value | np.ndarray)


def _is_whole(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def _is_plain(x: slice) -> bool:
    return all(part is None or _is_whole(part) for part in (x.start, x.stop, x.step))


def _parsed(index: tuple[Any, ...], shape: tuple[int, ...], result: tuple[int, ...], lead: int = 0) -> Gathering | None:
    """lead: how many axes stay first in a scatter, where NumPy would put those of arrays that stand apart."""
    given = [x for x in index if _is_array(x)]
    if not given or any((kind_of(x.dtype) or "d") not in WHOLE or not x.size for x in given):
        return None
    for x in index:
        if not (x is None or x is Ellipsis or _is_array(x) or _is_whole(x) or (isinstance(x, slice) and _is_plain(x))):
            return None
    places = [k for k, x in enumerate(index) if _is_array(x) or _is_whole(x)]
    together = places[-1] - places[0] + 1 == len(places)
    if lead and not together:
        return None
    broadcast = np.broadcast_shapes(*(x.shape for x in given))
    rest = len(shape) - sum(1 for x in index if x is not None and x is not Ellipsis)
    at = next((k for k, x in enumerate(index) if x is Ellipsis), len(index))
    expanded = (*index[:at], *(slice(None),) * rest, *index[at + 1 :])
    first = None if together else 0
    out = 0 if together else len(broadcast)
    axis = 0
    arrays: list[tuple[int, Any]] = []
    slices: list[tuple[int, int, int, int | None]] = []
    extents: dict[int, int] = {}
    for x in expanded:
        if x is None:
            extents[out] = 1
            out += 1
            continue
        n = shape[axis]
        if isinstance(x, slice):
            start, stop, step = x.indices(n)
            extents[out] = len(range(start, stop, step))
            slices.append((axis, start, step, out))
            out += 1
        else:
            if first is None:
                first = out
                out += len(broadcast)
            if _is_array(x):
                arrays.append((axis, x))
            elif -n <= x < n:
                slices.append((axis, int(x) % n, 0, None))
            else:
                return None
        axis += 1
    assert first is not None
    extents |= {first + k: n for k, n in enumerate(broadcast)}
    if tuple(extents[k] for k in range(out)) != result:
        return None
    return Gathering(shape, tuple(arrays), tuple(slices), first, broadcast)


def wrapped(n: int) -> Any:
    """What writes an index of an axis of n elements as one from 0 to n − 1."""

    def write(to: Writer, kind: str, i: str) -> str:
        below = to.compare("olt", kind, i, to.constant(kind, 0))
        i = to.select(below, kind, to.binary("add", kind, i, to.constant(kind, n)), i)
        return to.intrinsic("umin", kind, i, to.constant(kind, n - 1))

    return write
