"""The one place that dispatches: an operation goes to the highest transform among its arguments, a `Trace`.

NumPy's protocols, the Python operators and the array methods (see `tracing`) all end in `apply`; or, for what is
elementwise, in `unary` and `binary`, its short ways.  A transform's level, a number from one counter, keeps nested
transforms apart.  What stands for an array (a list, an array of objects) becomes one by `canonical`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .errors import Deferred, Detached, LeakedTracer
from .layout import placed
from .registry import Op
from .views import Cell, ground, link, overlapping, relaid, seen_through

OBJECT = np.dtype(object)
PLAIN_REMEDY = "Write the result to a new name: y = np.add(a, x), a = a + x; or make a traced: a = np.zeros_like(x)."

_levels = itertools.count(1)


def next_level() -> int:
    """A number above those of all transforms begun so far, in any thread."""
    return next(_levels)


class Trace:
    """One transform under way: it evaluates an operation on values and remembers what its mode needs."""

    __slots__ = ("closed", "level", "second")
    tracer: type[Cell]
    derives = False  # whether it differentiates

    def __init__(self) -> None:
        self.level = next(_levels)
        self.closed = False
        self.second = False  # whether derivatives of its values are taken, so that its own are second ones

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Evaluate op on the arguments' values; the result is traced."""
        raise NotImplementedError

    def unary(self, op: Op, x: Cell) -> Any:
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

    def whole(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The result of op's own function, where a rule in terms of other functions is not to stand for it; else
        NotImplemented."""
        return NotImplemented

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """A traced value that does not depend on this transform's arguments (zeros_like), to be assigned into."""
        raise NotImplementedError

    def lift(self, seed: Any) -> Any:
        """A plain seed of a transform above, as a value of this one where it must see the work done on it."""
        return seed

    def values(self, tree: Any) -> Any:
        """The tree with this transform's tracers replaced by their values."""
        kind = type(tree)
        if isinstance(tree, Cell):
            return tree.value if tree.transform is self else tree
        if kind is tuple or kind is list:
            return kind(self.values(x) for x in tree)
        if kind is dict:
            return {k: self.values(x) for k, x in tree.items()}
        return tree


def differentiated(x: Any) -> None:
    """Tell the transforms under x that a derivative is taken by it."""
    while isinstance(x, Cell):
        x.transform.second = True
        x = x.value


def apply(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Carry op out under the highest transform among its arguments."""
    trace = None
    level = 0
    for a in args:
        if isinstance(a, Cell):
            if a.transform.level > level:
                trace = a.transform
                level = trace.level
        elif (type(a) is ndarray and a.dtype is OBJECT) or type(a) is list or type(a) is tuple:
            if op.changes is not None and type(args[op.changes]) is ndarray:
                return change_plain(op.name, op.evaluate, op.changes, args, params)
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
            if isinstance(a, Cell) and getattr(a, "place", None) is not None:
                a.memory.lay(a)
    result = op.apply(trace, args, params)
    if op.asked is not None:
        result = placed(op, result, args, params)
    if isinstance(result, Cell):
        x = link(result, args)
        if x is not None:
            result = seen_through(
                x, result, lambda g: op.evaluate(*(g if a is x else ground(a) for a in args), **params)
            )
    elif type(result) in (tuple, list):
        for i, part in enumerate(result):
            if isinstance(part, Cell):
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


def change_plain(name: str, fn: Callable[..., Any], at: int, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Let NumPy itself change the plain array args[at]: one of objects takes traced scalars, others what is whole."""
    if getattr(args[at], "dtype", None) is not OBJECT and not are_whole((args, params)):
        raise Detached(f"np.{name} of a plain array and traced values", PLAIN_REMEDY)
    return fn(*as_objects(args), **as_objects(params))


def are_whole(tree: Any) -> bool:
    """Whether the traced values in a tree are whole numbers and truths, which a program takes for granted."""
    if isinstance(tree, Cell):
        return tree.dtype.kind in "biu"
    if isinstance(tree, tuple | list | dict):
        return all(map(are_whole, tree.values() if isinstance(tree, dict) else tree))
    return not is_memory(tree) or tree.dtype is not OBJECT


def as_objects(tree: Any) -> Any:
    """The tree with traced arrays as arrays of traced scalars, those of whole numbers as they are."""
    if isinstance(tree, Cell):
        return np.asarray(tree, dtype=None if are_whole(tree) else object)
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([as_objects(x) for x in tree])
    return {k: as_objects(x) for k, x in tree.items()} if kind is dict else tree


def unary(op: Op, x: Cell) -> Any:
    """`apply` for an operator or function of one array."""
    if op.view:
        return apply(op, (x,), {})
    trace = x.transform
    if trace.closed:
        raise LeakedTracer
    return trace.unary(op, x)


def binary(op: Op, a: Any, b: Any) -> Any:
    """`apply` for an operator or function of two arrays, at least one of them traced."""
    if isinstance(a, Cell):
        trace = a.transform
        if isinstance(b, Cell):
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


def _numpy_complex(z: complex, x: Cell) -> Any:
    """A Python complex beside doubles as NumPy's: 1j * np.float64(2) would be Python's, np.float64 being a float."""
    return np.complex128(z) if x.dtype.char in "dD" else z


def squared(op: Op, x: Cell, b: Any) -> Any:
    """x², as the product x · b or the power x ** b; of a root by what is under it (see `roots`)."""
    y = square_of_root(x)
    return x.transform.binary(op, x, b) if y is None else y


def square_of_root(x: Any) -> Any:
    """x² by what x is known to be the root of; else None."""
    if not isinstance(x, Cell):
        return None
    if x.transform.closed:
        raise LeakedTracer
    return x.transform.square_of_root(x)


def highest(tree: Any) -> Trace | None:
    """The trace of the highest level in a tree of tuples, lists and dicts."""
    if isinstance(tree, Cell):
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


def primitive(op: Op) -> Callable[..., Any]:
    """Make a function of our own dispatch as NumPy's do, and give it back."""
    fn = op.evaluate

    def function(*args: Any, **params: Any) -> Any:
        traced = any(isinstance(a, Cell) for a in args) or highest((args, params)) is not None
        return apply(op, args, params) if traced else fn(*args, **params)

    op.evaluate = function
    return function


# ---------------------------------------------------------------------------------------------------
# What stands for an array
# ---------------------------------------------------------------------------------------------------


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
    if isinstance(a, Cell):
        return a if a.transform.level else a.value.copy(order="K")  # what f made is as it is now (see `blank`)
    if is_memory(a):
        a = plain(a)
    elif kind is list or kind is tuple:
        if highest(a) is not None:
            return gathered(a)
    elif defers(kind):
        raise Deferred(a)
    return packed(np.asarray(a))


def in_floats(x: Any) -> Any:
    """An argument, of integers as floats: in a derivative they wrap around, and their logarithms have few digits."""
    return x.astype(float) if getattr(x, "dtype", OBJECT).kind in "iub" else x


def gathered(tree: Any) -> Any:
    """What np.array would make of nested lists and tuples with traced values among their leaves."""
    leaves: list[Any] = []
    shape = _flattened(tree, leaves)
    if len({np.shape(x) for x in leaves}) > 1:
        raise ValueError(
            "a list of traced values of different shapes makes no array: "
            + ", ".join(sorted({str(np.shape(x)) for x in leaves}))
            + ". Write np.concatenate to join them, or keep the list; or bring them to one shape."
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


def ordinary(kind: type) -> bool:
    """Whether arrays of this class do what plain ones do: it changes nothing that an array has but how it is made."""
    found = _ORDINARY.get(kind)
    if found is None:
        bases = kind.__mro__[: kind.__mro__.index(ndarray)]
        found = all(b is np.memmap or (vars(b).keys() & _OF_ARRAYS) <= _MAKING for b in bases)
        _ORDINARY[kind] = found
    return found


_ORDINARY: dict[type, bool] = {ndarray: True}
_OF_ARRAYS = frozenset(dir(ndarray))
_MAKING = frozenset(
    {"__new__", "__init__", "__init_subclass__", "__array_finalize__", "__array_wrap__", "__array_priority__",
     "__doc__", "__class_getitem__", "__reduce__", "__setstate__"}
)  # fmt: skip


def plain(a: ndarray) -> ndarray:
    """An array of a subclass as a plain one, where that does not change what operations mean."""
    if isinstance(a, np.matrix) or type(a).__module__.startswith("numpy.ma"):
        raise TypeError(
            f"{type(a).__name__} arrays have operations of their own (products, masks), for which there are "
            "no derivative "
            "rules. Use plain arrays: np.asarray(matrix) and @; np.where(mask, ...) and where= for masks."
        )
    if not ordinary(type(a)):
        raise Deferred(a)
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


def elements(x: Any) -> np.ndarray:
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
