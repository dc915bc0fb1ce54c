"""Traced values: plain NumPy code runs on them, and every operation reaches one place, `apply`.

A `Tracer` stands for an array under one transform.  NumPy's protocols, the Python operators and the
array methods all look the operation up in the registry and hand it to the highest transform among
the arguments; its level, a number from one counter, keeps nested transforms apart.
"""

from __future__ import annotations

import itertools
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .errors import Deferred, Detached, LeakedTracer, MissingRule, missing_parameter, noted
from .indices import as_tuple, has_ellipsis, is_basic
from .layout import placed
from .registry import NO_VALUE, OPS, Op, Passive, lookup, public_name
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
    link,
    memory_of,
    overlapping,
    place_in,
    place_of,
    positions,
    relaid,
    seated,
    seen_through,
    written,
    written_at,
)

OBJECT = np.dtype(object)
_levels = itertools.count(1)


def next_level() -> int:
    """A number above those of all transforms begun so far, in any thread."""
    return next(_levels)


class Trace:
    """One transform under way: it evaluates an operation on values and remembers what its mode needs."""

    __slots__ = ("closed", "level")
    tracer: type[Tracer]
    derives = False  # whether it differentiates

    def __init__(self) -> None:
        self.level = next_level()
        self.closed = False

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Evaluate op on the arguments' values; the result is traced."""
        raise NotImplementedError

    def unary(self, op: Op, x: Tracer) -> Any:
        """`process` for one array and no parameters."""
        return self.process(op, (x,), {})

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        """`process` for two arrays and no parameters."""
        return self.process(op, (a, b), {})

    def square_of_root(self, y: Any) -> Any:
        """y², where y is known to be a root, by the derivative of what is under it; else None (see `roots`)."""
        return None

    def observe(self) -> Callable[[Any, Any], None] | None:
        """What is to be told of a sweep that a tape above now begins: of each value, and of its cotangent."""
        return None

    def observe_tangents(self) -> Callable[[Any, Any], None] | None:
        """What is to be told of forward mode above: of each value, and of its tangent."""
        return None

    def strip(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Evaluate a function without derivative on the values of this transform's tracers."""
        return op.evaluate(*self.values(args), **self.values(params))

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """A traced value that does not depend on this transform's arguments (zeros_like), to be assigned into."""
        raise NotImplementedError

    def lift(self, seed: Any) -> Any:
        """A plain seed of a transform above, as a value of this one where it must see the work done on it."""
        return seed

    def values(self, tree: Any) -> Any:
        """The tree with this transform's tracers replaced by their values."""
        kind = type(tree)
        if isinstance(tree, Tracer):
            return tree.value if tree.transform is self else tree
        if kind is tuple or kind is list:
            return kind(self.values(x) for x in tree)
        if kind is dict:
            return {k: self.values(x) for k, x in tree.items()}
        return tree


# ---------------------------------------------------------------------------------------------------
# Dispatch
# ---------------------------------------------------------------------------------------------------


def apply(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Carry op out under the highest transform among its arguments."""
    trace = None
    level = 0
    for a in args:
        if isinstance(a, Tracer):
            if a.transform.level > level:
                trace = a.transform
                level = trace.level
        elif (type(a) is ndarray and a.dtype is OBJECT) or type(a) is list or type(a) is tuple:
            if op.changes is not None and type(args[op.changes]) is ndarray:
                return _changed_objects(op, args, params)
            collected = collected_lists(op, args)
            if collected is not args:
                return apply(op, collected, params)
    if trace is None:
        trace = highest((args, params))
        if trace is None:
            return op.evaluate(*args, **params)
    if trace.closed:
        raise LeakedTracer
    if op.asked is not None:
        for a in args:
            if isinstance(a, Tracer) and getattr(a, "place", None) is not None:
                a.memory.lay(a)
    result = op.apply(trace, args, params)
    if op.asked is not None:
        result = placed(op, result, args, params)
    if isinstance(result, Tracer):
        x = link(result, args)
        if x is not None:
            result = seen_through(
                x, result, lambda g: op.evaluate(*(g if a is x else ground(a) for a in args), **params)
            )
    elif type(result) in (tuple, list):
        for i, part in enumerate(result):
            if isinstance(part, Tracer):
                x = link(part, (*args, *result[:i]))
                if x is not None:
                    x.memory.lay(x)
                    return apply(op, args, params)
    return result


def collected_lists(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments with arrays of objects, and lists that hold traced values in place of an array, as traced arrays."""
    arrays = len(args) if op.arrays is None else op.arrays
    new = []
    for i, a in enumerate(args):
        if type(a) is ndarray and a.dtype is OBJECT:
            a = packed(a)
        elif i < arrays and (type(a) is list or type(a) is tuple) and highest(a) is not None:
            a = gathered(a)
        new.append(a)
    return tuple(new) if any(a is not b for a, b in zip(args, new, strict=True)) else args


def _changed_objects(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Let NumPy itself change a plain array, of objects if it is to take traced scalars."""
    if args[op.changes].dtype is not OBJECT:  # type: ignore[index]
        raise Detached(f"np.{op.name} of a plain array and traced values", _PLAIN_REMEDY)
    return op.evaluate(*_objects(args), **_objects(params))


def _objects(tree: Any) -> Any:
    """The tree with traced arrays as arrays of traced scalars."""
    if isinstance(tree, Tracer):
        return np.asarray(tree)
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([_objects(x) for x in tree])
    return {k: _objects(x) for k, x in tree.items()} if kind is dict else tree


def unary(op: Op, x: Tracer) -> Any:
    """`apply` for an operator or function of one array."""
    if op.view:
        return apply(op, (x,), {})
    trace = x.transform
    if trace.closed:
        raise LeakedTracer
    return trace.unary(op, x)


def binary(op: Op, a: Any, b: Any) -> Any:
    """`apply` for an operator or function of two arrays, at least one of them traced."""
    if isinstance(a, Tracer):
        trace = a.transform
        if isinstance(b, Tracer):
            if b.transform.level > trace.level:
                trace = b.transform
        elif type(b) is not float:
            if type(b) is ndarray:
                if b.dtype is OBJECT:
                    return binary(op, a, packed(b))
            elif type(b) is complex:
                b = _numpy_complex(b, a)
            elif type(b) is list or type(b) is tuple:
                return binary(op, a, canonical(b))
    else:
        if type(a) is not float:
            if type(a) is ndarray:
                if a.dtype is OBJECT:
                    return binary(op, packed(a), b)
            elif type(a) is complex:
                a = _numpy_complex(a, b)
            elif type(a) is list or type(a) is tuple:
                return binary(op, canonical(a), b)
        trace = b.transform
    if trace.closed:
        raise LeakedTracer
    return trace.binary(op, a, b)


def _numpy_complex(z: complex, x: Tracer) -> Any:
    """A Python complex beside doubles as NumPy's: 1j * np.float64(2) would be Python's, np.float64 being a float."""
    return np.complex128(z) if x.dtype.char in "dD" else z


def squared(op: Op, x: Tracer, b: Any) -> Any:
    """x², as the product x · b or the power x ** b; of a root by what is under it (see `roots`)."""
    trace = x.transform
    if trace.closed:
        raise LeakedTracer
    y = trace.square_of_root(x)
    return trace.binary(op, x, b) if y is None else y


def highest(tree: Any) -> Trace | None:
    """The trace of the highest level in a tree of tuples, lists and dicts."""
    if isinstance(tree, Tracer):
        return tree.transform
    if is_memory(tree) and tree.dtype == OBJECT:
        tree = tree.ravel().tolist()
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, tuple | list):
        return None
    found = None
    for x in tree:
        trace = highest(x)
        if trace is not None and (found is None or trace.level > found.level):
            found = trace
    return found


def call(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """`apply` for a function called as NumPy lets one call it: arrays by keyword, arrays in one sequence."""
    if op.arrays is not None and len(args) > op.arrays and op.names:
        if len(args) > len(op.names):
            raise TypeError(f"np.{op.name} takes {len(op.names)} positional arguments, got {len(args)}")
        params = {**dict(zip(op.names[op.arrays :], args[op.arrays :], strict=False)), **params}
        args = args[: op.arrays]
    if params:
        params = {k: v for k, v in params.items() if v is not NO_VALUE}
        out = params.pop("out", None)
        if out is not None:
            return store(out[0] if isinstance(out, tuple) else out, call(op, args, params), op.name)
        if op.arrays and len(args) < op.arrays:
            args, params = _positional(op, args, params)
        if not isinstance(op, Passive):
            for k, v in params.items():
                if k not in op.params and v is not None:
                    raise missing_parameter(op.name, k, v)
            params = {k: v for k, v in params.items() if k in op.params}
    if op.sequence:
        if not args:
            raise TypeError(f"np.{op.name} takes its arrays as one sequence, the first positional argument")
        if len(args) > len(op.names):
            raise TypeError(f"np.{op.name} takes {len(op.names)} positional arguments, got {len(args)}")
        extra = dict(zip(op.names[1:], args[1:], strict=False))
        return apply(op, tuple(canonical(x) for x in args[0]), {**extra, **params})
    return apply(op, args, params)


def primitive(op: Op) -> Callable[..., Any]:
    """Make a function of our own dispatch as NumPy's do, and give it back."""
    fn = op.evaluate

    def function(*args: Any, **params: Any) -> Any:
        traced = any(isinstance(a, Tracer) for a in args) or highest((args, params)) is not None
        return apply(op, args, params) if traced else fn(*args, **params)

    op.evaluate = function
    return function


def _positional(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Bring array arguments that were given by keyword into their places."""
    given = list(args)
    for name in op.names[len(args) : op.arrays]:
        if name not in params:
            break
        given.append(params[name])
    return tuple(given), {k: v for k, v in params.items() if k not in op.names[len(args) : len(given)]}


_SCALARS = frozenset(
    {float, int, complex, bool, str, np.float64, np.float32, np.int64, np.bool_, np.complex128, type(None)}
)


def canonical(a: Any) -> Any:
    """An array argument as array, scalar or tracer; lists become arrays, of tracers where they hold some."""
    kind = type(a)
    if kind is ndarray:
        return packed(a) if a.dtype is OBJECT else a
    if kind in _SCALARS:
        return a
    if isinstance(a, Tracer):
        return a if a.transform.level else a.value.copy(order="K")  # what f made is as it is now (see `blank`)
    if is_memory(a):
        a = plain(a)
    elif kind is list or kind is tuple:
        if highest(a) is not None:
            return gathered(a)
    elif defers(kind):
        raise Deferred(a)
    return packed(np.asarray(a))


def gathered(tree: Any) -> Any:
    """What np.array would make of nested lists and tuples with traced values among their leaves."""
    leaves: list[Any] = []
    shape = _flattened(tree, leaves)
    if len({np.shape(x) for x in leaves}) > 1:
        raise ValueError(
            "a list of traced values of different shapes makes no array: "
            + ", ".join(sorted({str(np.shape(x)) for x in leaves}))
            + ". Join them with np.concatenate, or bring them to one shape."
        )
    return np.reshape(np.stack(leaves), (*shape, *np.shape(leaves[0])))


def _flattened(tree: Any, leaves: list[Any]) -> tuple[int, ...]:
    """Append the leaves of nested sequences to a list; the extents of the nesting."""
    if type(tree) is not list and type(tree) is not tuple:
        leaves.append(canonical(tree))
        return ()
    inner = {_flattened(x, leaves) for x in tree}
    if len(inner) > 1:
        raise ValueError(f"a list whose parts are nested differently makes no array: {sorted(inner)}")
    return (len(tree), *inner.pop()) if inner else (0,)


OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "pow": np.power,
    "mod": np.remainder,
    "matmul": np.matmul,
}


def defers(kind: type) -> bool:
    """Whether NumPy leaves an operation with an array to this class: it states how ufuncs act on it, or operators."""
    if issubclass(kind, ndarray | np.generic | int | float | complex | Sequence):
        return getattr(kind, "__array_ufunc__", ndarray.__array_ufunc__) is not ndarray.__array_ufunc__
    return hasattr(kind, "__array_ufunc__") or any(hasattr(kind, f"__r{symbol}__") for symbol in OPERATORS)


def is_memory(a: Any) -> bool:
    """Whether a is an array of NumPy's own, which isinstance says of traced arrays too."""
    return issubclass(type(a), ndarray)


def plain(a: ndarray) -> ndarray:
    """An array of a subclass as a plain one, where that does not change what operations mean."""
    if defers(type(a)):
        raise Deferred(a)
    if isinstance(a, np.matrix) or type(a).__module__.startswith("numpy.ma"):
        raise TypeError(
            f"{type(a).__name__} arrays have operations of their own (products, masks), for which there are "
            "no derivative "
            "rules. Use plain arrays: np.asarray(matrix) and @; np.where(mask, ...) and where= for masks."
        )
    return np.asarray(a)


def packed(a: Any) -> Any:
    """`pack`, where an object array without traced scalars is an error, not a number of operations on objects."""
    new = pack(a)
    if new is a and type(a) is ndarray and a.dtype is OBJECT:
        raise TypeError(
            "an array of Python objects without a traced value among them met a traced value. Where it came "
            "from traced "
            "ones (np.imag, np.sign or np.round of np.array([x[0], x[1]]) give plain numbers), build the array with "
            "np.stack; else convert it: a.astype(float)."
        )
    return new


def elements(x: Tracer) -> np.ndarray:
    """A traced array as an array of objects, its elements, laid out as NumPy has it."""
    g = ground(x)
    out = np.empty(x.shape, dtype=object)
    if x.ndim and not overlapping(g):
        strides = [s // g.itemsize * out.itemsize for s in g.strides]
        spans = [(n - 1) * s for n, s in zip(g.shape, strides, strict=True)] if g.size else []
        before = -sum(span for span in spans if span < 0) // out.itemsize
        room = np.empty(before + sum(span for span in spans if span > 0) // out.itemsize + 1, dtype=object)
        out = np.lib.stride_tricks.as_strided(room[before:], g.shape, strides)
    for index in np.ndindex(x.shape):
        out[index] = x[index] if index else x
    return out


def pack(a: Any) -> Any:
    """An object array of traced scalars as one traced array; all else as it is.

    np.array([x[0], np.sin(x[1])]) does not dispatch: NumPy makes an object array of the elements.
    """
    if type(a) is not np.ndarray or a.dtype is not OBJECT or highest(a) is None:
        return a
    y = np.reshape(np.stack([np.reshape(e, ()) for e in a.ravel().tolist()]), a.shape)
    return y if a.flags.c_contiguous else relaid(y, np.empty_like(a, dtype=y.dtype))


# ---------------------------------------------------------------------------------------------------
# The traced value
# ---------------------------------------------------------------------------------------------------


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

    value: Any
    transform: Any
    origin: Any

    # NumPy's protocols --------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **params: Any) -> Any:
        op = OPS.get(ufunc) or lookup(ufunc)
        if op is None:
            raise MissingRule(public_name(ufunc))
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
                "Leave out the dtype, or build the array with np.stack, np.concatenate or np.array([...]).",
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
        if module.startswith("numpy.testing"):
            return np.asarray(ground(self))
        noted.detached = True
        users = module.partition(".")[0] not in LIBRARIES or module in (HANDS_ON, JOINS)
        # The parts of complex objects are out of reach: NumPy takes them for real.
        if users and (noted.curable or self.dtype.kind == "c"):
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
        return self[index] if index else np.reshape(self, ())

    def tolist(self) -> Any:
        return self if not self.shape else [x.tolist() if x.shape else x for x in self]

    # Methods whose parameters differ from the function's ------------------------------------------

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
            "within one process copy with x.copy().",
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
# And that of np.r_ and np.c_, which are no functions and so do not dispatch.
JOINS = np.r_.__class__.__module__


def _asker(frame: Any) -> Any:
    """The frame of the code that asks for an array."""
    while frame.f_code.co_name == "__array__":
        frame = frame.f_back
    return frame


# Creation functions with like=, which dispatch by it alone.
CREATED_LIKE = {
    np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.zeros, np.ones, np.empty, np.full,
    np.eye, np.identity, np.tri, np.arange, np.fromiter,
}  # fmt: skip


def created_like(x: Tracer, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """np.zeros(3, like=x) and its kin: a traced array, to be filled; np.array([...], like=x) of traced values too."""
    if fn is np.fromiter:
        args = (list(args[0]), *args[1:])
    if highest((args, kwargs)) is None:
        y = fn(*args, **kwargs)
        if y.dtype.kind not in "fc":
            return y
        new = np.zeros_like(x, shape=y.shape, dtype=y.dtype)
        return put(new, ..., y) if y.any() else new
    if fn is np.full:
        shape, value, dtype = (*args, *kwargs.values(), None)[:3]
        return np.astype(np.broadcast_to(canonical(value), shape), dtype or np.result_type(value)).copy()
    if fn not in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.fromiter):
        raise Detached(f"np.{fn.__name__} with a traced argument", "Give it plain numbers.")
    y = gathered(args[0])
    dtype = kwargs.get("dtype", args[1] if len(args) > 1 else None)
    y = y if dtype is None or np.dtype(dtype) == y.dtype else np.astype(y, np.dtype(dtype))
    return y.copy() if fn is np.array and y is args[0] else y


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
        memory, place = self.memory, self.place
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


# ---------------------------------------------------------------------------------------------------
# Changes in place
# ---------------------------------------------------------------------------------------------------


def put(x: Any, index: Any, value: Any) -> Any:
    """The array that x[index] = value would leave in x."""
    return apply(OPS[operator.setitem], (x, index, canonical(value)), {})


def write(x: Tracer, index: Any, value: Any) -> None:
    """x[index] = value, seen through every view of the same memory."""
    memory, here = changeable(x)
    if type(x) is not Stale and not x.transform.level:
        x.transform.overwritten(x)
    memory = memory or memory_of(x)
    value = canonical(value)
    if memory.take(here, index, value):
        return
    memory.settle()
    base = ground(memory.contents)
    whole = is_whole(here, base)
    g = base if whole else seated(base, here)
    if getattr(value, "memory", None) is memory and _in_numpys_order(index, g, laid_in_memory(value)):
        index = np.asarray(index) if isinstance(index, Tracer) else index
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


def _in_numpys_order(index: Any, x: ndarray, value: ndarray) -> bool:
    """Whether NumPy copies no value that overlaps x[index], so that what it writes first is read again: it does not for
    one mask of all elements, and not for one axis where the strides have the same sign."""
    if is_basic(index):
        seen = x[index]
        step, other = (seen.strides[0], value.strides[-1]) if np.ndim(seen) == 1 and value.ndim else (0, 0)
        return step != other and step * other > 0 and value.shape[-1] > 1
    return getattr(index, "dtype", None) == np.dtype(bool) and np.ndim(index) == x.ndim > 0


def change(x: Tracer, fn: Callable[[Any, Any], None], source: Any) -> None:
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


def replace(x: Tracer, new: Any) -> None:
    """x[...] = new, for a new array of the same shape that no one else changes."""
    alone = getattr(x, "memory", None) is None and x.transform.level and isinstance(new, Tracer)
    if alone and _takes(ground(x), new):
        _ = x.flags  # as in `changeable`
        become(x, relaid(new, ground(x)))
        return
    memory, here = changeable(x)
    fits = isinstance(new, Tracer) and new.shape == here.shape and new.dtype == here.dtype
    if fits and memory is not None and type(x) is Stale and is_whole(here, ground(memory.contents)):
        memory.waiting.clear()
        memory.change(new, given_away=True)
    else:
        write(x, ..., new)


def _takes(g: Any, new: Any) -> bool:
    """Whether an array can be written to, and as a whole becomes another."""
    fits = type(g) is ndarray and new.shape == g.shape and new.dtype == g.dtype
    return fits and g.flags.writeable and not overlapping(g)


def changeable(x: Tracer) -> tuple[Memory | None, Place]:
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
    if overlapping(base):
        raise TypeError("an argument whose elements overlap in memory is changed in place; change a copy: x = x.copy()")
    return memory, here


_PLAIN_REMEDY = "Write the result to a new name: y = np.add(a, x), a = a + x; or make a traced: a = np.zeros_like(x)."


def store(out: Any, result: Any, name: str) -> Any:
    """Carry out `out=`: write a result into a traced array, as NumPy would into a plain one."""
    if not isinstance(out, Tracer):
        if type(out) is ndarray and out.dtype is OBJECT:
            out[...] = _objects(result)
            return out
        raise Detached(f"np.{name} with out= (or an operator such as a += x on a plain array a)", _PLAIN_REMEDY)
    shape = np.shape(result)
    if shape == out.shape:
        replace(out, result)
    elif len(shape) <= len(out.shape) and np.broadcast_shapes(shape, out.shape) == out.shape:
        write(out, ..., result)  # as NumPy's ufuncs broadcast
    else:
        raise ValueError(f"np.{name}: the result has shape {shape}, which does not fit into out of shape {out.shape}.")
    return out


def ufunc_call(ufunc: np.ufunc, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """A ufunc with parameters: out=, where= and dtype= as NumPy means them."""
    params = dict(params)
    outs = params.pop("out", None) or ()
    where, dtype = params.pop("where", True), params.pop("dtype", None)
    op = OPS[ufunc]
    own = {k: params.pop(k) for k in tuple(params) if k in op.params}  # axis= of vecdot, say
    for k, v in params.items():
        if (k, v) not in (("casting", "same_kind"), ("order", "K"), ("subok", True), ("subok", False)):
            raise missing_parameter(ufunc.__name__, k, v)
    if dtype is not None:
        inputs = tuple(
            np.astype(x, dtype) if isinstance(x, Tracer) else np.asarray(x, dtype) for x in map(canonical, inputs)
        )
    result = call(op, inputs, own) if own else ufunc(*inputs)
    if where is not True:
        if not outs or outs[0] is None:
            raise MissingRule(f"np.{ufunc.__name__}", "where= without out= leaves the other elements undefined")
        result = np.where(where, result, outs[0])
    if not outs:
        return result
    results = result if isinstance(result, tuple) else (result,)
    stored = [r if o is None else store(o, r, ufunc.__name__) for o, r in zip(outs, results, strict=True)]
    return stored[0] if len(stored) == 1 else tuple(stored)


def ufunc_method(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """ufunc.reduce, .accumulate, .reduceat, .outer, .at: rows of their own, under the key (ufunc or None, method)."""
    outs = params.pop("out", None) or (None,)
    op = OPS.get((ufunc, method))
    if op is None:
        op = OPS.get((None, method))
        if op is None or (ufunc.nin != 2 and (method != "at" or ufunc.nin != 1)) or ufunc.nout != 1:
            raise MissingRule(f"{public_name(ufunc)}.{method}")
        inputs = (ufunc, *inputs)
    result = call(op, inputs, params)
    return result if outs[0] is None else store(outs[0], result, f"{ufunc.__name__}.{method}")
