"""Stores of single elements, gathered: k of them into an array of n cost O(k + n), not O(k·n).

A traced value never changes, so each `y[i] = v` would copy y.  The first of them, while y shares its memory with
nobody, makes y a `Filling`: later stores go into a dict, the element's place to its value, and `y[i]` is answered from
there.  Whatever else is asked of y settles it first: all stores become one operation, y with y[places] = values, in
tapes and programs too.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .tracing import Tracer, canonical, put
from .views import Cell, become, clone, forget, ground, relaid


class Filling(Tracer):
    """An array into which single elements are being stored; `stores` is its `Stores`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in ("memory", "place"):
            raise AttributeError(name)
        settle(self)
        return getattr(self, name)

    # What a loop that fills asks for.
    @property
    def shape(self) -> tuple[int, ...]:
        return self.stores.base.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        settle(self)
        self.shape = shape

    @property
    def ndim(self) -> int:
        return self.stores.base.ndim

    @property
    def size(self) -> int:
        return self.stores.base.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stores.base.dtype

    def __len__(self) -> int:
        return len(self.stores.base)

    def __setitem__(self, index: Any, value: Any) -> None:
        place = _place(index, self.stores.shape)
        if place is None or not self.stores.add(place, value):
            settle(self)
            self[index] = value

    def __getitem__(self, index: Any) -> Any:
        place = _place(index, self.stores.shape)
        if place is None:
            settle(self)
            return self[index]
        return self.stores.element(place, index)

    # Python looks these up in the class, and other kinds of traced values have their own.
    def __bool__(self) -> bool:
        settle(self)
        return bool(self)

    def __int__(self) -> int:
        settle(self)
        return int(self)

    def __index__(self) -> int:
        settle(self)
        return operator.index(self)

    def __float__(self) -> float:
        settle(self)
        return float(self)

    def __complex__(self) -> complex:
        settle(self)
        return complex(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        settle(self)
        return self.__array__(dtype, copy)

    def __iter__(self) -> Any:
        settle(self)
        return iter(self)


class Stores:
    """The array as it was, and what was stored since: the places of elements, counted in the order of C, and values."""

    __slots__ = ("base", "shape", "values")

    def __init__(self, base: Tracer) -> None:
        self.base = base
        self.shape = base.shape
        self.values: dict[int, Any] = {}

    def add(self, place: int, value: Any) -> bool:
        """Take a store, if it is that of one number which the array can hold."""
        value = canonical(value)
        if isinstance(value, Tracer) and type(ground(value)) is np.ndarray:
            value = clone(value)  # an array without axes may change
        if np.ndim(value) or (np.result_type(value).kind == "c" and self.base.dtype.kind != "c"):
            return False
        self.values[place] = value
        return True

    def element(self, place: int, index: Any) -> Any:
        """The element as it is now."""
        if place not in self.values:
            base = self.base
            return base[index] if base.transform.level else base.value[index]
        value = self.values[place]
        dtype = self.base.dtype
        if isinstance(value, Tracer):
            return value if value.dtype == dtype else np.astype(value, dtype)
        return dtype.type(value)

    def settled(self) -> Any:
        """The array with all that was stored, by one operation."""
        places = np.fromiter(self.values, dtype=np.intp, count=len(self.values))
        at = tuple(np.unravel_index(places, self.shape))
        values = list(self.values.values())
        if len(values) == 1:
            return put(self.base, tuple(int(i[0]) for i in at), values[0])
        return put(self.base, at, np.stack(values) if any(isinstance(v, Tracer) for v in values) else np.array(values))


def begin(x: Any, index: Any, value: Any) -> bool:
    """Store one element into an array that shares its memory with nobody; whether it was that."""
    g = ground(x)
    place = _place(index, g.shape)
    if place is None:
        return False
    stores = Stores(clone(x))
    if not stores.add(place, value):
        return False
    forget(x, Filling)
    x.stores = stores
    return True


def settle(x: Any) -> None:
    """Let x be the array with all that was stored."""
    stores = x.stores
    del x.stores
    become(x, relaid(stores.settled(), ground(stores.base)))


def _place(index: Any, shape: tuple[int, ...]) -> int | None:
    """The place of an element in the order of C; None where the index is not that of one element, or out of bounds."""
    items = index if type(index) is tuple else (index,)
    if len(items) != len(shape) or not shape:
        return None
    place = 0
    for i, n in zip(items, shape, strict=True):
        if type(i) is not int and not issubclass(type(i), np.integer):
            return None
        if not -n <= i < n:
            return None
        place = place * n + (int(i) if i >= 0 else int(i) + n)
    return place


Cell.begin = staticmethod(begin)
