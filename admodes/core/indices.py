"""Indices as NumPy reads them: which entries are arrays, which take a view."""

from __future__ import annotations

from typing import Any

import numpy as np

# What NumPy does not read as an array of indices or as a mask.
BASIC = frozenset({int, slice, type(None), type(Ellipsis)})


def as_tuple(index: Any) -> tuple[Any, ...]:
    """An index as NumPy reads it: a tuple, its lists and other sequences turned into arrays."""
    items = index if isinstance(index, tuple) else (index,)
    return tuple(i if type(i) in BASIC else _entry(i) for i in items)


def _entry(i: Any) -> Any:
    """An entry of an index: of a list, range, buffer … NumPy makes an array, of True a mask without axes."""
    if type(i) is bool:
        return np.bool_(i)
    sequence = isinstance(i, list) or (not hasattr(i, "dtype") and hasattr(type(i), "__len__"))
    return np.asarray(i, dtype=None if len(i) else int) if sequence else i


def is_basic(index: Any) -> bool:
    """Whether an index takes a view: integers, slices, new axes."""
    items = index if type(index) is tuple else (index,)
    return all(i is None or i is Ellipsis or type(i) in (int, slice) or issubclass(type(i), np.integer) for i in items)


def has_ellipsis(index: Any) -> bool:
    return index is Ellipsis or (type(index) is tuple and any(i is Ellipsis for i in index))
