"""What NumPy's creation functions, its classes, np.r_ and np.mgrid give f of traced values (see `creation`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from .blank import Blank, given, natively, traced
from .dispatch import canonical, gathered
from .errors import Detached
from .iteration import Vectorized, nditer
from .tracing import Tracer
from .views import ground, laid_in_memory


def _converted(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None, ndmin: int = 0, **_: Any
) -> Any:
    """np.array, np.asarray … of a traced value, or of lists that hold one: itself where it is as asked, else a copy."""
    listed = isinstance(a, list | tuple)
    x = a if isinstance(a, Tracer) else gathered(a) if listed else canonical(a)
    own = x is not a
    if listed and order != "F":
        order = "C"
    if type(ground(x)) is not ndarray:  # a scalar
        x, own = np.copy(x), True
    if dtype is not None and x.dtype != dtype:
        x, own = np.astype(x, np.dtype(dtype)), True
    flags = laid_in_memory(x).flags
    lies = (flags.c_contiguous or order != "C") and (flags.f_contiguous or order != "F")
    if copy is False and not (lies and not own):
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if not lies or (copy and not own):
        x = x.copy(order or "K")
    return np.reshape(x, (1,) * (ndmin - x.ndim) + x.shape) if ndmin > x.ndim else x


def _contiguous(order: str) -> Callable[..., Any]:
    return lambda a, dtype=None, **_: _converted(a, dtype, order, ndmin=1)


def _array(a: Any, dtype: Any = None, *, copy: bool | None = True, order: str = "K", **params: Any) -> Any:
    return _converted(a, dtype, order, copy=copy, **params)


def _require(a: Any, dtype: Any = None, requirements: Any = None, **_: Any) -> Any:
    asked = {name.upper()[0] for name in requirements or ()}
    y = _converted(a, dtype, order := next((name for name in "CF" if name in asked), "A"))
    return y if all(y.flags[name] for name in asked & {"O", "W"}) else y.copy(order)


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **_: Any) -> Any:
    fill_value = _converted(fill_value, dtype)
    return _filled(np.zeros(shape, fill_value.dtype, order), fill_value)


def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None
) -> Any:
    plain = laid_in_memory(a) if isinstance(a, Tracer) else a
    return _filled(np.zeros_like(plain, dtype, order, subok, shape), fill_value)


def _filled(y: ndarray, value: Any) -> Any:
    array = Blank(y) if y.dtype.kind in "fc" else y
    # NumPy cuts off the fractions, which leaves a constant.
    array[...] = np.astype(canonical(value), y.dtype) if y.dtype.kind in "biu" else value
    return array


def _from_iterable(iterable: Any, dtype: Any, count: int = -1, **params: Any) -> Any:
    items = list(iterable)[: None if count < 0 else count]
    return _converted(items, dtype) if traced(items) else given(np.fromiter(items, dtype, count, **params), [])


def _ndarray(shape: Any, dtype: Any = float, buffer: Any = None, offset: int = 0, *rest: Any, **params: Any) -> Any:
    if buffer is not None or rest or params:
        return ndarray(shape, dtype, buffer, offset, *rest, **params)
    return given(np.zeros(shape, dtype), [])


OF_TRACED: dict[str, Callable[..., Any]] = {
    "array": _array,
    **dict.fromkeys(("asarray", "asanyarray", "asarray_chkfinite"), _converted),
    "ascontiguousarray": _contiguous("C"),
    "asfortranarray": _contiguous("F"),
    "require": _require,
    "full": _full,
    "full_like": _full_like,
    "fromiter": _from_iterable,
}


def _number(name: str) -> Callable[..., Any]:
    """np.float64(x), np.int64(x) …: a cast."""
    kind = getattr(np, name)

    def cast(x: Any = 0, *rest: Any) -> Any:
        if not traced(x):
            return kind(x, *rest)
        return np.astype(x if isinstance(x, Tracer) else gathered(x), np.dtype(kind))[()]

    return cast


_NUMBERS = (
    "float64", "float32", "float16", "longdouble", "double", "single", "complex128", "complex64", "int64", "int32",
    "int16", "int8", "int_", "intp", "uint8", "uint64", "bool_", "bool",
)  # fmt: skip
CLASSES: dict[str, Callable[..., Any]] = {
    "ndarray": _ndarray,
    "vectorize": Vectorized,
    "nditer": nditer,
    **{name: _number(name) for name in _NUMBERS},
}


class Grid:
    """np.mgrid and np.ogrid as f is to have them."""

    def __init__(self, numpys: Any) -> None:
        self.numpys = numpys

    def __getitem__(self, key: Any) -> Any:
        return natively(self.numpys.__getitem__, (key,), {})


class Joined(Grid):
    """np.r_ and np.c_ as f is to have them."""

    def __init__(self, numpys: Any, axis: int, column: bool) -> None:
        super().__init__(numpys)
        self.axis, self.column = axis, column

    def __getitem__(self, key: Any) -> Any:
        if not traced(key):
            return super().__getitem__(key)
        items = key if isinstance(key, tuple) else (key,)
        if isinstance(items[0], str):
            raise Detached(f"np.{'c_' if self.column else 'r_'} with an order in words", "Write np.concatenate.")
        return np.concatenate([self._part(item) for item in items], axis=self.axis)

    def _part(self, item: Any) -> Any:
        if not traced(item):
            return super().__getitem__(item)
        x = np.atleast_1d(gathered(item) if isinstance(item, list | tuple) else item)
        return np.transpose(np.atleast_2d(x)) if self.column and x.ndim == 1 else x


INDEXED = {
    "r_": Joined(np.r_, 0, column=False),
    "c_": Joined(np.c_, -1, column=True),
    "mgrid": Grid(np.mgrid),
    "ogrid": Grid(np.ogrid),
}
