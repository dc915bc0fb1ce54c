"""Arrays that are plain until a traced value is stored in them (see `creation`, which makes them)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from .dispatch import Trace, highest
from .errors import AFTER, HELD, Detached
from .registry import Op
from .tracing import LIBRARIES, Flat, Tracer
from .views import owner, share


class Ground(Trace):
    """The level below all transforms, where operations are NumPy's own."""

    def __init__(self) -> None:
        self.level = 0
        self.closed = False

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return natively(op.evaluate, args, params)

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self.process(op, args, params)

    def overwritten(self, x: Any) -> None:
        """Called before a traced value is stored in x."""
        if type(x.index) is Blank:
            x = x.index
        if x.index is LENT:
            raise Detached("storing a traced value into an array from outside the function", REMEDY)
        if getattr(x, "node", None) is True:
            raise Detached(f"storing a traced value into {HELD}", AFTER)


GROUND = Ground()
LENT = object()
REMEDY = "Make it in the function: a = np.copy(a) before that line."


class Blank(Tracer):
    """An array that f made: NumPy's own in all it does, until a traced value is stored and it becomes a traced one.

    `index` says whose memory it is: None its own, a `Blank` that of another, LENT that of an array from outside f,
    which takes no traced values.  `node` is True where f also holds it otherwise: read as other numbers (x.view()), or
    its memory itself.
    """

    __slots__ = ()
    index: Any
    node: Any

    def __init__(self, value: ndarray, owner: Any = None) -> None:
        self.value = value
        self.transform = GROUND
        self.index = owner

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        asker = sys._getframe(1)
        kept = asker.f_globals.get("__name__", "").partition(".")[0] not in LIBRARIES
        if copy is not True and (kept or asker.f_code is np.lib.stride_tricks.as_strided.__code__):
            self._held(self.value)
        return np.array(self.value, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **params: Any) -> Any:
        if traced((inputs, params)):
            return Tracer.__array_ufunc__(self, ufunc, method, *inputs, **params)
        return natively(getattr(ufunc, method), inputs, params)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if traced((args, kwargs)):
            return Tracer.__array_function__(self, func, types, args, kwargs)
        return natively(func, args, kwargs)

    def __iter__(self) -> Iterator[Any]:
        if not self.value.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self.value)))

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __repr__(self) -> str:
        return repr(self.value)

    @property
    def base(self) -> Any:
        whole, root = self.value.base, self.index
        if type(root) is Blank and root.value is whole:
            return root
        return None if whole is None else self._held(whole)

    @property
    def data(self) -> Any:
        return self._held(self.value.data)

    @property
    def ctypes(self) -> Any:
        return self._held(self.value.ctypes)

    def _held(self, memory: Any) -> Any:
        """The memory itself, which f would not see change once a traced value is stored."""
        (self.index if type(self.index) is Blank else self).node = True
        return memory

    @property
    def flat(self) -> Any:
        return BlankFlat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        BlankFlat(self)[:] = values


class BlankFlat(Flat):
    """x.flat of a Blank."""

    def __setitem__(self, index: Any, values: Any) -> None:
        if type(self.base) is Blank and not traced((index, values)):
            self.base.value.flat[plainly(index)] = plainly(values)
        else:
            super().__setitem__(index, values)


def _forward_methods() -> None:
    """Give Blank the methods, operators and attributes of ndarray, each as NumPy has it."""
    own = {*vars(Blank), *vars(object), "__array_finalize__", "__array_wrap__", "__array_interface__"}
    own |= {
        "__array_struct__",
        "__array_priority__",
        "__array_namespace__",
        "__buffer__",
        "__dlpack__",
        "__class_getitem__",
    }
    again = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__reduce__", "__reduce_ex__"}
    for name in set(dir(ndarray)) - own | again:
        native = getattr(ndarray, name)
        setattr(Blank, name, _method(name, native) if callable(native) else _attribute(name))


def _method(name: str, native: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Blank, *args: Any, **kwargs: Any) -> Any:
        if traced((args, kwargs)):
            return getattr(Tracer, name)(self, *args, **kwargs)
        return natively(native, (self, *args), kwargs)

    return method


def _attribute(name: str) -> property:
    def read(self: Blank) -> Any:
        return given(getattr(self.value, name), (self,))

    def write(self: Blank, new: Any) -> None:
        if traced(new):  # x.real = v or x.imag = v
            whole = self.value.dtype.kind != "c"
            self[...] = new if whole else new + 1j * self.value.imag if name == "real" else self.value.real + 1j * new
            return
        array = self.value.view()  # what shares its memory keeps its own shape
        setattr(array, name, plainly(new))
        self.value = array

    return property(read, write)


_forward_methods()


def traced(tree: Any) -> bool:
    """Whether a value of a transform is among these."""
    trace = highest(tree)
    return trace is not None and trace.level > 0


def natively(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function of NumPy on plain arrays."""
    return given(fn(*plainly(args), **plainly(kwargs)), (args, kwargs))


def _arrays(tree: Any) -> Iterator[Any]:
    """The arrays among arguments, those that f made and others."""
    if type(tree) is Blank or type(tree) is ndarray:
        yield tree
    elif isinstance(tree, tuple | list | dict):
        for x in tree.values() if isinstance(tree, dict) else tree:
            yield from _arrays(x)


def plainly(tree: Any) -> Any:
    """Arguments with the arrays behind Blanks, to be read or written."""
    kind = type(tree)
    if kind is Blank:
        return tree.value
    if kind is tuple or kind is list:
        return kind([plainly(x) for x in tree])
    if kind is dict:
        return {k: plainly(x) for k, x in tree.items()}
    return tree


def given(y: Any, arguments: Any) -> Any:
    """A result of NumPy as f is to have it: of floats a Blank, linked to the argument whose memory it is."""
    kind = type(y)
    if kind is ndarray:
        outside = not y.flags.writeable or (y.base is not None and type(owner(y)) is not ndarray)
        for source in _arrays(arguments):
            if type(source) is ndarray:
                outside |= y is source or (y.base is not None and np.may_share_memory(y, source))
            elif y is source.value:
                return source
            elif y.base is not None and np.may_share_memory(y, source.value):
                return _view(y, source.index if type(source.index) is Blank else source)
        if y.dtype.kind not in "fc":
            return y
        return Blank(y, LENT) if outside else Blank(y if y.base is None or y.flags.forc else y.copy(order="K"))
    if kind is list or isinstance(y, tuple):
        parts = [given(x, arguments) for x in y]
        return y._make(parts) if hasattr(y, "_make") else kind(parts)
    return y


def _view(y: ndarray, root: Blank) -> Any:
    if y.dtype != root.value.dtype and not _is_part(y, root.value):
        root.node = True
        return y
    view = Blank(y, root)
    share(view, root)
    return view


def _is_part(y: ndarray, whole: ndarray) -> bool:
    """Whether a view is of real parts alone or of imaginary parts alone: x.real, x.T.imag[0]."""
    if whole.dtype.kind != "c" or y.dtype != whole.real.dtype:
        return False
    return all(n == 1 or step % whole.itemsize == 0 for n, step in zip(y.shape, y.strides, strict=True))


def settled(x: Any) -> Any:
    """A result of f as it leaves the transform: a Blank as the array behind it."""
    return x.value if type(x) is Blank else x
