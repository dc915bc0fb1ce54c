"""Changes in place: what `x[index] = value` and NumPy's functions that write do to a traced array and all its views.

The memory that views share, and where each lies in it, are in `views`; here one rule writes through any of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from .dispatch import apply, canonical
from .indices import as_tuple, has_ellipsis, is_basic
from .registry import OPS
from .views import (
    OVERLAPPING,
    Cell,
    Memory,
    Place,
    become,
    clone,
    ground,
    is_whole,
    laid,
    laid_in_memory,
    memory_of,
    overlapping,
    place_in,
    place_of,
    positions,
    relaid,
    seated,
    written,
    written_at,
)


def put(x: Any, index: Any, value: Any) -> Any:
    """The array that x[index] = value would leave in x."""
    return apply(OPS[operator.setitem], (x, index, canonical(value)), {})


def write(x: Cell, index: Any, value: Any) -> None:
    """x[index] = value, seen through every view of the same memory."""
    if getattr(x, "memory", None) is None and not hasattr(x, "written") and _several(index, x):
        if not x.transform.level:
            x.transform.overwritten(x)
        g = ground(x)
        _ = x.flags  # as in `changeable`
        become(x, relaid(put(x, index, value), g))
        x.written = True
        return
    _write(x, *changeable(x), index, value)


def _write(x: Cell, memory: Memory | None, here: Place, index: Any, value: Any) -> None:
    if type(x) is not Cell.stale and not x.transform.level:
        x.transform.overwritten(x)
    memory, value = memory or memory_of(x), canonical(value)
    if memory.take(here, index, value):
        return
    memory.settle()
    base = ground(memory.contents)
    whole = is_whole(here, base)
    if (
        not whole
        and index is Ellipsis
        and here.shape
        and 0 not in here.shape
        and x.memory is not getattr(value, "memory", None)
    ):
        memory.change(written(memory.contents, here, value, memory.put))
        return
    g = base if whole else seated(base, here)
    if getattr(value, "memory", None) is memory and _in_numpys_order(index, g, laid_in_memory(value)):
        index = np.asarray(index) if isinstance(index, Cell) else index
        change(x, lambda a, v: a.__setitem__(index, v), value)
        return
    if whole:
        new = memory.put(memory.contents, index, value)
    elif is_basic(index):
        seen = g[index if has_ellipsis(index) else (*as_tuple(index), ...)]
        if not seen.size:
            seen[...] = np.zeros(np.shape(value))  # which raises where the shapes do not fit
            return
        new = written(memory.contents, place_of(seen, base), value, memory.put)
    else:
        at, part = positions(base, here)
        if not base.ndim and not np.size(np.zeros(here.shape)[index]):
            return
        getitem = OPS[operator.getitem]
        new = written_at(memory.contents, tuple(apply(getitem, (i, index), {}) for i in at), part, value, memory.put)
    memory.change(new)


def _several(index: Any, x: Cell) -> bool:
    """Whether an index takes a part of an array of its own by slices; single elements wait (see `Memory.take`)."""
    if type(index) is not slice and index is not Ellipsis and (type(index) is not int or x.ndim < 2):
        return False
    g = ground(x)
    return type(g) is ndarray and g.flags.forc and g.flags.writeable


def _in_numpys_order(index: Any, x: ndarray, value: ndarray) -> bool:
    """Whether NumPy copies no value that overlaps x[index], so that what it writes first is read again: it does not for
    one mask of all elements, and not for one axis where the strides have the same sign."""
    if is_basic(index):
        seen = x[index]
        step, other = (seen.strides[0], value.strides[-1]) if np.ndim(seen) == 1 and value.ndim else (0, 0)
        return step != other and step * other > 0 and value.shape[-1] > 1
    return getattr(index, "dtype", None) == np.dtype(bool) and np.ndim(index) == x.ndim > 0


def change(x: Cell, fn: Callable[[Any, Any], None], source: Any) -> None:
    """Change x as fn(x, source) would, a function of NumPy's.

    fn runs on numbers that stand for the elements, in memory laid out and shared as that of x and the source; the
    elements then go where their numbers went.
    """
    memory, here = changeable(x)
    memory = memory or memory_of(x)
    source = canonical(source)
    memory.settle()
    shared = (source is x or getattr(source, "memory", None) is memory) and source.dtype == here.dtype
    base = ground(memory.contents)
    if not shared:  # or they are the parts of complex numbers, and cast to them, which copies
        base, here = seated(base, here), here._replace(offset=0)
    if here.dtype != base.dtype:
        raise TypeError("two views of the parts of a complex array, in one change in place: copy one of them")
    numbers = numbered(base, 0)
    count = numbers.size
    before = numbers.copy()
    given = seated(numbers, scaled(place_in(source, memory), base)) if shared else numbered(ground(source), count)
    fn(seated(numbers, scaled(here, base)), given)
    moved = np.flatnonzero(numbers != before)
    if not moved.size:
        return
    at = np.unravel_index(moved, before.shape) if before.ndim else ()
    origin = numbers[at]
    old = clone(memory.contents) if shared else x
    if origin.min() >= count:
        value = np.reshape(source, -1)[origin - count]
    elif origin.max() < count:
        value = np.reshape(old, -1)[origin]
    else:
        value = np.concatenate([np.reshape(old, -1), np.reshape(source, -1)])[origin]
    if shared:
        memory.change(memory.put(memory.contents, at, value))
    else:
        write(x, at, value)


def numbered(a: Any, first: int) -> np.ndarray:
    """The numbers from `first` on as an array laid out as a is."""
    numbers = np.arange(first, first + np.size(a)).reshape(np.shape(a))
    return laid(numbers, tuple(s // a.itemsize * numbers.itemsize for s in getattr(a, "strides", ())))


def scaled(place: Place, base: np.ndarray) -> Place:
    """A place in the memory of base, where that holds numbers."""
    wide = np.dtype(np.intp).itemsize
    return place._replace(
        offset=place.offset // base.itemsize * wide,
        strides=tuple(s // base.itemsize * wide for s in place.strides),
        dtype=np.dtype(np.intp),
    )


def replace(x: Cell, new: Any) -> None:
    """x[...] = new, for a new array of the same shape that no one else changes.

    x becomes it where that is all there is to it; what is constant to the transform of x is stored, and so recorded.
    """
    own = isinstance(new, Cell) and new.transform is x.transform
    if own and x.transform.level and getattr(x, "memory", None) is None and _takes(ground(x), new):
        _ = x.flags  # as in `changeable`
        become(x, relaid(new, ground(x)))
        return
    memory, here = changeable(x)
    fits = own and new.shape == here.shape and new.dtype == here.dtype
    if fits and memory is not None and type(x) is Cell.stale and is_whole(here, ground(memory.contents)):
        memory.waiting.clear()
        memory.change(new, given_away=True)
    else:
        _write(x, memory, here, ..., new)


def _takes(g: Any, new: Any) -> bool:
    """Whether an array can be written to, and as a whole becomes another."""
    fits = type(g) is ndarray and new.shape == g.shape and new.dtype == g.dtype
    return fits and g.flags.writeable and not overlapping(g)


def changeable(x: Cell) -> tuple[Memory | None, Place]:
    """The memory of a traced array, if it shares it, and its place there; an error where it is read-only."""
    memory: Memory | None = getattr(x, "memory", None)
    if memory is not None and memory is not OVERLAPPING:
        here, base = place_in(x, memory), ground(memory.contents)
        _ = memory.contents.flags  # a program is told: which arrays show what is changed depends on the order in memory
    else:
        base = ground(x)
        if type(base) is not ndarray:
            raise TypeError(
                f"a traced scalar ({type(base).__name__}) cannot be changed in place, like NumPy's scalars."
            )
        here, _ = place_of(base, base), x.flags
    if not here.writeable:
        raise ValueError("assignment destination is read-only")
    if memory is OVERLAPPING:
        raise TypeError(
            "the function changes an argument in place that shares memory with another of its arguments. A transform "
            "takes each by its value, so the change would not be seen in the other. Pass a copy: f(a, b.copy())."
        )
    if not base.flags.forc and overlapping(base):
        raise TypeError("an argument whose elements overlap in memory is changed in place; change a copy: x = x.copy()")
    return memory, here
