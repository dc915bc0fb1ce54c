"""Traced values: plain NumPy code runs on them.

A `Tracer` stands for an array under one transform.  It has what an array has: NumPy's protocols, the Python operators
(see `operators`), the methods, and each looks the operation up in the registry and hands it to `dispatch`.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from .calls import CREATED_LIKE, call, created_like, ufunc_call, ufunc_method
from .changes import change, write
from .dispatch import OBJECT, apply, binary, canonical, defers, elements, is_memory, unary
from .errors import Deferred, Detached, LeakedTracer, MissingRule, noted
from .names import public_name, without_row
from .registry import OPS, lookup
from .views import Cell, become, ground, laid_in_memory, relaid

_OF_ARRAYS = ndarray.__array_function__


class TracedArray(ndarray):
    """What isinstance takes a traced array for, so that `isinstance(x, np.ndarray)` goes the way of plain arrays."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        raise TypeError("type(x)(...) of a traced array makes no array; write np.zeros_like(x), np.stack or np.array.")


class Tracer(Cell):
    """An array under one transform: the value and what the transform keeps with it.

    `value` is a NumPy array or scalar, or a tracer of a lower level where transforms are nested.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        raise TypeError(
            "a traced value is no key (of functools.lru_cache, a dict, a set): it stands for many values, and what is "
            "kept by it would outlive its transform. Use the undecorated function, f.__wrapped__, or plain keys."
        )

    # NumPy's protocols --------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **params: Any) -> Any:
        op = OPS.get(ufunc) or lookup(ufunc)
        if op is None:
            raise without_row(ufunc)
        try:
            if method == "__call__":
                if params:
                    return ufunc_call(ufunc, inputs, params)
                if op.lane == 2:
                    return binary(op, inputs[0], inputs[1])
                if op.lane == 1:
                    trace = self.transform
                    if trace.closed:
                        raise LeakedTracer
                    return trace.unary(op, self)
                if op.arity == 1:
                    trace = self.transform
                    if trace.closed:
                        raise LeakedTracer
                    y = trace.square_of_root(self)
                    return trace.unary(op, self) if y is None else y
                if op.squares is not None:
                    return op.squares(op, *inputs)
                return apply(op, inputs, params)
            return ufunc_method(ufunc, method, inputs, params)
        except Deferred:
            if any(hasattr(x, "__array_ufunc__") and defers(type(x)) and not isinstance(x, Tracer) for x in inputs):
                return NotImplemented  # NumPy asks the other operand then
            raise

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(types) > 1 and not all(issubclass(t, Tracer) or t.__array_function__ is _OF_ARRAYS for t in types):
            return NotImplemented
        op = OPS.get(func) or lookup(func)
        if op is None:
            if func in CREATED_LIKE:
                return created_like(self, func, args, kwargs)
            raise MissingRule(public_name(func))
        if op.arity == 1 and not kwargs and len(args) == 1:
            return unary(op, args[0])
        return call(op, args, kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if dtype is not None and np.dtype(dtype) != OBJECT:
            raise Detached(
                f"conversion to a plain array of dtype {np.dtype(dtype)}",
                "Leave out the dtype, or build the array with np.stack, np.concatenate or np.array([...]); for code "
                "that is compiled write an admodes.custom_op.",
            )
        asker = _asker(sys._getframe(1))
        module = asker.f_globals.get("__name__", "")
        if module == "scipy.sparse._base" and asker.f_code.co_name == "_matmul_dispatch":
            out = np.empty((), dtype=object)  # a sparse matrix leaves A @ x to x where x makes a single object
            out[()] = self
            return out
        if asker.f_code is np.lib.stride_tricks.as_strided.__code__ or asker.f_code.co_name == "squareform":
            raise Detached(
                f"{asker.f_code.co_name}, which reads memory where a traced array has none,",
                "Index by positions (c[i - j]), or use np.lib.stride_tricks.sliding_window_view.",
            )
        if module.startswith("numpy.ma."):
            raise Detached("a masked array, which has operations of its own,", "Use np.where(mask, x, ...) and where=.")
        if module.startswith("numpy.testing"):
            return np.asarray(ground(self))
        noted.detached = True
        users = module.partition(".")[0] not in LIBRARIES or module in ENTRIES
        # The parts of complex objects are out of reach: NumPy takes them for real, where it was not asked for objects.
        hidden = self.dtype.kind == "c" and (users or dtype is None)
        if hidden or (users and noted.curable):
            raise Detached(
                "np.array or np.asarray, which of traced values makes an array of Python objects,",
                "Write np.stack([...]) or np.block([[...], [...]]), x in place of np.asarray(x), W @ x of W.dot(x).",
            )
        out = elements(self)
        out.flags.writeable = not self.ndim  # np.asarray(x) would be x itself; what is written to these would be lost
        return out

    # What an array tells of itself ----------------------------------------------------------------

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class by which isinstance judges: an array's, or that of NumPy's scalars."""
        kind: type = self.value.__class__
        return TracedArray if kind is ndarray else kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        if getattr(self, "place", None) is not None:
            self.memory.lay(self)
        y = np.reshape(self, shape)
        if not np.may_share_memory(ground(y), ground(self)):
            raise AttributeError("this shape needs a copy of the elements; write x = x.reshape(shape)")
        become(self, y)

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def T(self) -> Any:
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return np.real(self)

    @real.setter
    def real(self, value: Any) -> None:
        write(self.real, ..., value)

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("cannot set imaginary part of an array of real numbers; convert it: x.astype(complex)")
        write(self.imag, ..., value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r}, level={self.transform.level})"

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else repr(self)

    # Where plain Python wants a plain value -------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        raise Detached(
            "float(x), '%f' % x, a function of the math module, or storing x in a plain float array",
            "Use x itself and functions of numpy; build arrays with np.stack, np.concatenate or np.array([...]); write "
            "f'{x:.3f}' to print it.",
        )

    def __index__(self) -> int:
        raise TypeError(
            f"range(x), items[x] and a[:x] take whole numbers, and x is a traced {self.dtype}{list(self.shape)}. Write "
            "int(x), which counts as constant between its jumps; what only ever is a count, do not differentiate by: "
            "give it as another argument, which argnums does not name."
        )

    def __trunc__(self) -> int:
        return int(self)

    def __floor__(self) -> int:
        return int(np.floor(self))

    def __ceil__(self) -> int:
        return int(np.ceil(self))

    def __round__(self, digits: int | None = None) -> Any:
        """Constant between its jumps, like np.round."""
        return int(np.rint(self)) if digits is None else np.round(self, digits)

    def __complex__(self) -> complex:
        raise Detached(
            "complex(x), or storing x in a plain complex array",
            "Use x itself, or x + 0j; build arrays with np.stack, np.concatenate or np.array([...]).",
        )

    def item(self, *index: Any) -> Any:
        """One element: of several indices, a tuple of these, or its number in the order of C."""
        if not index:
            return np.reshape(self, ())
        at = index[0] if len(index) == 1 else index
        if not isinstance(at, tuple):
            if not -self.size <= at < self.size:
                raise IndexError(f"index {at} is out of bounds for size {self.size}")
            at = np.unravel_index(at % self.size, self.shape)
        return self[tuple(int(i) for i in at)]

    def tolist(self) -> Any:
        return self if not self.shape else [x.tolist() if x.shape else x for x in self]

    # Methods whose parameters differ from the function's ------------------------------------------

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **params: Any) -> Any:
        return np.clip(self, min, max, out=out, **params)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def flatten(self, order: str = "C") -> Any:
        return np.copy(np.ravel(self, order=order))

    def copy(self, order: str = "C") -> Any:
        return np.copy(self, order=order) if type(ground(self)) is ndarray else np.positive(self)

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        as_it_is = dtype is None or dtype is ndarray or np.dtype(dtype) == self.dtype
        if not as_it_is or type not in (None, ndarray):
            raise TypeError(
                f"x.view({dtype!r}): a traced array stands for a value, not for memory to be read as another dtype. "
                "Convert with x.astype(dtype); the parts of a complex array are x.real and x.imag."
            )
        return self[...] if is_memory(ground(self)) else self

    def __copy__(self) -> Any:
        return self.copy("K")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy("K")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise Detached(
            "pickling x (for another process, a file, a copy by pickle.loads(pickle.dumps(x)))",
            "Let each process differentiate its own part: call grad, jvp or vjp inside the function that is sent; "
            "within one process, write x.copy().",
        )

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        def assign(x: Any, value: Any) -> None:
            x.flat = value

        change(self, assign, values)

    @property
    def flags(self) -> Any:
        return laid_in_memory(self).flags

    @property
    def strides(self) -> tuple[int, ...]:
        return laid_in_memory(self).strides

    def compress(self, condition: Any, axis: int | None = None) -> Any:
        return np.compress(condition, self, axis=axis)

    def choose(self, choices: Any, mode: str = "raise") -> Any:
        return np.choose(self, choices, mode=mode)

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        dtype = np.dtype(dtype)
        if not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"Cannot cast array data from {self.dtype!r} to {dtype!r} by the rule {casting!r}")
        y = np.astype(self, dtype, copy=copy)
        return y if order == "K" or y is self else relaid(y, np.array(ground(y), order=order))

    def conj(self) -> Any:
        return np.conjugate(self) if self.dtype.kind == "c" else self

    def conjugate(self) -> Any:
        return self.conj()

    # Changes in place -----------------------------------------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        write(self, index, value)

    def fill(self, value: Any) -> None:
        self[...] = value

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        np.put(self, indices, values, mode=mode)

    def sort(self, axis: int = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> None:
        self[...] = np.sort(self, axis=axis, kind=kind, order=order, stable=stable)

    def partition(self, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None) -> None:
        self[...] = np.partition(self, kth, axis=axis, kind=kind, order=order)

    # Indexing -------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return apply(OPS[operator.getitem], (self, index), {})

    def __invert__(self) -> Any:
        return apply(OPS[np.invert], (self,), {})


LIBRARIES = ("numpy", "scipy", "admodes")


# Of these a module that converts arguments and hands them on to functions of the user's own: L @ x of a LinearOperator.
HANDS_ON = "scipy.sparse.linalg._interface"


# And those of np.r_ and np.c_, which are no functions, and of np.full: they do not dispatch.
ENTRIES = (HANDS_ON, np.r_.__class__.__module__, np.full.__globals__["__name__"])


def _asker(frame: Any) -> Any:
    """The frame of the code that asks for an array."""
    while frame.f_code.co_name == "__array__":
        frame = frame.f_back
    return frame


class Stale(Tracer):
    """A view whose memory was written to since it was last read; what a loop that fills asks of it is answered from
    the memory, and whatever else brings it up to date."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        self.memory.read(self)
        return getattr(self, name)

    def __getitem__(self, index: Any) -> Any:
        part = self.memory.part(self.place, index)
        if part is not NotImplemented:
            return part
        if type(self) is Stale:
            self.memory.read(self)
        return self[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        memory, place = self.memory, getattr(self, "place", None)
        if place is None:  # it was read after this method was looked up, y.__setitem__(0, f(y))
            self[index] = value
            return
        if isinstance(value, Tracer) and memory.holds(value, place, index):
            return
        value = canonical(value)
        if type(self) is not Stale or not place.writeable or not memory.take(place, index, value):
            write(self, index, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return TracedArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.place.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self.memory.read(self)
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.place.shape)

    @property
    def size(self) -> int:
        return math.prod(self.place.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.place.dtype

    def __len__(self) -> int:
        if not self.place.shape:
            raise TypeError("len() of unsized object")
        return self.place.shape[0]

    def __iter__(self) -> Iterator[Any]:
        self.memory.read(self)
        return iter(self)

    # Python looks these up in the class, and other kinds of traced values have their own.
    def __bool__(self) -> bool:
        self.memory.read(self)
        return bool(self)

    def __int__(self) -> int:
        self.memory.read(self)
        return int(self)

    def __index__(self) -> int:
        self.memory.read(self)
        return operator.index(self)

    def __float__(self) -> float:
        self.memory.read(self)
        return float(self)

    def __complex__(self) -> complex:
        self.memory.read(self)
        return complex(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self.memory.read(self)
        return self.__array__(dtype, copy)


Cell.stale = Stale


class Flat:
    """x.flat: the elements in C order; to read, to assign to, to iterate over."""

    def __init__(self, base: Tracer) -> None:
        self.base = base
        self.next = 0

    def __len__(self) -> int:
        return self.base.size

    def __iter__(self) -> Flat:
        return self

    def __next__(self) -> Any:
        if self.next == len(self):
            raise StopIteration
        self.next += 1
        return self[self.next - 1]

    def __getitem__(self, index: Any) -> Any:
        """A copy of the elements, as NumPy gives here."""
        if type(index) is int and self.base.shape:
            return self.base[tuple(map(int, np.unravel_index(index % max(len(self), 1), self.base.shape)))]
        places = np.arange(len(self))[index]
        return np.ravel(self.base)[places]

    def __setitem__(self, index: Any, values: Any) -> None:
        """The values are repeated, or cut, to the number of elements, as NumPy does here."""

        def assign(x: Any, value: Any) -> None:
            x.flat[index] = value

        change(self.base, assign, values)

    def copy(self) -> Any:
        return self[:]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.ravel(self.base).__array__(dtype)


# What an array has because it is memory; a traced value is none.
MEMORY = (
    "base", "byteswap", "ctypes", "data", "dump", "dumps", "getfield", "setfield", "setflags", "to_device", "tobytes",
    "tofile",
)  # fmt: skip


def _no_memory(name: str) -> property:
    def refuse(self: Tracer) -> Any:
        raise AttributeError(
            f"a traced array has no attribute {name!r}: it stands for a value, not for memory. Convert with "
            "x.astype(dtype), copy with x.copy(); for the plain value return it as aux (has_aux=True)."
        )

    return property(refuse)


for _name in MEMORY:
    setattr(Tracer, _name, _no_memory(_name))
