"""Recording: f runs once on symbols, and every NumPy call under any transform becomes an instruction.

Symbols are the lowest level, so the pushes and pulls of the transforms above are recorded like the function itself.
Booleans and integers computed from a symbol are symbols too: nothing that depends on the inputs is baked in.  Where
plain Python must know a value at once (`if x > 0`, a mask that decides a shape) a guard records what was assumed.
"""

from __future__ import annotations

import copy
import gc
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.blank import settled
from ..core.creation import users_statement
from ..core.dispatch import Trace, canonical, is_memory
from ..core.errors import Detached, LeakedTracer, noted
from ..core.registry import OPS, Op, Passive
from ..core.tracing import Tracer
from ..core.views import ground
from ..ops.assignment import SETITEM
from ..ops.index import ADDED, INDEX, SCATTER
from .whole import EXACT

_READS = {INDEX, SCATTER}

# Constants of at most this many bytes are told apart by their content, larger ones by their identity.
SMALL_BYTES = 1 << 16


class Value:
    """One value of a program: its shape and dtype, and a name where the user's code gives one."""

    __slots__ = ("adjoint", "adjoint_of", "called", "dtype", "name", "shape", "tangent", "tangent_of")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "") -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.called = ""  # the user's variable that held it
        self.adjoint_of: Value | None = None  # the value whose cotangent this is
        self.adjoint: Any = None  # the value, or the constant, that is the cotangent of this one
        self.tangent_of: Value | None = None  # the value whose tangent this is
        self.tangent: Any = None  # the value, or the constant, that is the tangent of this one

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for extent in self.shape:
            n *= extent
        return n

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.name or 'value'}: {self.dtype}{list(self.shape)}"


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """out = op(*args, **params); arguments are `Value`s, constants, or tuples with values in them (an index)."""

    op: Op
    args: tuple[Any, ...]
    params: dict[str, Any]
    out: Value | tuple[Value, ...]
    backward: bool = False
    view: bool = False  # the result shared memory with `source`
    buffer: int | None = None  # the workspace array that takes the result
    into: int | None = None  # the argument whose memory takes the result

    @property
    def outs(self) -> tuple[Value, ...]:
        return self.out if isinstance(self.out, tuple) else (self.out,)

    @property
    def source(self) -> Any:
        """The argument whose memory the result may show: the first that is an array (einsum's text is none)."""
        return self.args[0] if type(self.args[0]) is not str else self.args[1]

    @property
    def aliases(self) -> bool:
        """Whether the result may share memory with its source: a reshape does where the strides allow it."""
        return self.view or self.op.fn is np.reshape

    @property
    def fresh(self) -> bool:
        """Whether the result is memory of the program's own, that it may write to and give away."""
        return not self.aliases and self.into is None and trusted(self.op)

    @property
    def uses(self) -> list[Value]:
        """The values among the arguments."""
        found = []
        for x in (*self.args, *self.params.values()) if self.params else self.args:
            if type(x) is Value:
                found.append(x)
            elif type(x) in NESTED:
                found += [v for v in leaves(x) if type(v) is Value]
        return found


# What may hold values: an index, the arrays of a sequence.
NESTED = frozenset({tuple, list, dict, slice})


def leaves(tree: Any) -> list[Any]:
    """The leaves of tuples, lists, dicts and slices."""
    if type(tree) not in NESTED:
        return [tree]
    if type(tree) is slice:
        return [tree.start, tree.stop, tree.step]
    found = []
    for x in tree.values() if type(tree) is dict else tree:
        if type(x) in NESTED:
            found += leaves(x)
        else:
            found.append(x)
    return found


def mapped(tree: Any, fn: Any) -> Any:
    """The tree with fn applied to its leaves."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([mapped(x, fn) if type(x) in NESTED else fn(x) for x in tree])
    if kind is dict:
        return {k: mapped(x, fn) for k, x in tree.items()}
    return slice(fn(tree.start), fn(tree.stop), fn(tree.step)) if kind is slice else fn(tree)


def content(x: np.ndarray) -> tuple[Any, ...] | None:
    """What tells a small array from others, None of one that is told by its identity."""
    if x.nbytes > SMALL_BYTES or x.dtype.hasobject:
        return None
    return x.shape, x.dtype.str, x.flags.c_contiguous, x.tobytes()


def same(a: Any, b: Any) -> bool:
    """Whether a value is still what was assumed."""
    return bool(np.array_equal(a, b))


def identical(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree bit by bit: nan is nan, and −0.0 is not 0.0."""
    if (a.shape, a.dtype) != (b.shape, b.dtype) or a.dtype.hasobject:
        return False
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (a, b))
    return bool((a == b).all())


# A guard: its arguments are a value and what was assumed of it; where= is the statement that asked for it.
GUARD = Op(same, name="guard", arrays=2)
# The seed of a transform: a constant that stands in the program as a value, so that the work done on it is seen.
SEED = Op(lambda seed: seed, name="seed")
MARKS = (GUARD, SEED)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector, which would walk over a growing program again and again for nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


# ---------------------------------------------------------------------------------------------------
# Functions of the user's own
# ---------------------------------------------------------------------------------------------------

_detached: weakref.WeakKeyDictionary[Op, Op] = weakref.WeakKeyDictionary()


def trusted(op: Op) -> bool:
    """Whether it is known what memory the result has; a user's own function may give an argument, or a global."""
    module = getattr(op.fn, "__module__", None) or ""
    return isinstance(op.fn, np.ufunc) or module.partition(".")[0] in ("numpy", "scipy", "admodes", "_operator")


def detached(op: Op) -> Op:
    """The row of a user's function with results that share no memory with the arguments or each other."""
    if op not in _detached:

        def evaluate(*args: Any, **params: Any) -> Any:
            y = op.evaluate(*args, **params)
            taken = [x for x in leaves((args, params)) if is_memory(x)]
            if not isinstance(y, tuple | list):
                return _apart(y, taken)
            parts = [_apart(part, [*taken, *y[:k]]) for k, part in enumerate(y)]
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)

        _detached[op] = row = copy.copy(op)
        row.evaluate = evaluate
    return _detached[op]


def _apart(y: Any, taken: Any) -> Any:
    if not is_memory(y):
        return y
    y = np.asarray(y)
    return y.copy() if any(is_memory(x) and np.may_share_memory(x, y) for x in taken) else y


# ---------------------------------------------------------------------------------------------------
# The transform
# ---------------------------------------------------------------------------------------------------


class ChangesArgument(TypeError):
    """A function that changes an argument of its in place does more than return what a program would compute."""

    def __init__(self) -> None:
        super().__init__(
            "the function changes an argument of its (an array in place, what a dict, list or object holds), and a "
            "program only returns results. Change a copy of it in the function, or return the new values too."
        )


class Foreign(Detached):
    """A traced value of another transform, which is no argument of the function under tracing."""

    def __init__(self) -> None:
        super().__init__(
            "writing down a program that uses a traced value from outside, which is none of its arguments,",
            "Pass that value as an argument of the traced function too.",
        )


def _overlaps(y: Any, values: list[Any]) -> bool:
    """Whether y may show memory of the first array, which is `Instruction.source`."""
    x = values[0] if type(values[0]) is not str else values[1]
    return is_memory(y) and is_memory(x) and bool(np.may_share_memory(y, x))


def _may_show(op: Op, values: list[Any], params: dict[str, Any]) -> bool:
    """Whether the result of a scalar would be a view of an array without axes, as the program may have one there."""
    if not isinstance(values[0], np.generic) or isinstance(op.fn, np.ufunc):
        return False
    arrays = [np.asarray(values[0]), *values[1:]]
    return _overlaps(op.evaluate(*arrays, **params), arrays)


def _text(x: Any, how: str, spec: str) -> str:
    """What is written for a value, by format, str or repr."""
    x = np.asarray(ground(x))[()]
    return format(x, spec) if how == "format" else str(x) if how == "str" else repr(x)


# A text may be computed with (len(f"{x:.0f}")), which nothing tells from one that is printed.
SAME_TEXT = Passive(lambda x, how, spec, text: np.bool_(_text(x, how, spec) == text), name="same_text", arrays=1)


class Symbol(Tracer):
    """A value under recording, with its place in the program."""

    __slots__ = ()

    def __init__(self, value: Any, transform: Recorder, node: Value) -> None:
        self.value = value
        self.transform = transform
        self.node = node

    @property
    def flags(self) -> Any:
        self.transform.seen = True
        return super().flags

    @property
    def strides(self) -> Any:
        self.transform.seen = True
        return super().strides

    def __bool__(self) -> bool:
        return bool(self.transform.assume(self if self.dtype.kind == "b" else np.not_equal(self, 0)))

    def __int__(self) -> int:
        return int(np.int64(self.transform.assume(np.trunc(self) if self.dtype.kind == "f" else self)))

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self.shape:
            return super().__index__()
        return int(self.transform.assume(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.dtype.kind in "iub":  # a plain array indexed by it, say: the program takes these values for granted
            return np.asarray(self.transform.assume(self), dtype=dtype)
        return super().__array__(dtype, copy)

    # Texts are those of the plain value, which f would write where it is not traced.

    def __format__(self, spec: str) -> str:
        return self._written("format", spec)

    def __str__(self) -> str:
        return self._written("str")

    def __repr__(self) -> str:
        return super().__repr__() if self.transform.closed else self._written("repr")

    def _written(self, how: str, spec: str = "") -> str:
        """A text that the program takes for granted, as it does a branch."""
        text = _text(self, how, spec)
        if not self.transform.closed:
            bool(self.transform.strip(SAME_TEXT, (self, how, spec, text), {}))
        return text

    def astype(self, dtype: Any, *args: Any, **params: Any) -> Any:
        if np.dtype(dtype).kind in "SU":  # a plain array, of texts
            return np.asarray(self.transform.assume(self)).astype(dtype, *args, **params)
        return super().astype(dtype, *args, **params)

    def __float__(self) -> float:
        # np.arange(n) asks for it; one that is to be stored is not taken for granted where f may run again, watched
        if self.transform.counts(self.node) or (self.dtype.kind in "iub" and not noted.curable):
            return float(self.transform.assume(self))
        return super().__float__()


class Recorder(Trace):
    """The transform that evaluates and writes down."""

    __slots__ = ("captured", "constants", "contents", "instructions", "names", "pulling", "seen", "strict")

    def __init__(self, strict: bool = True, captured: Sequence[tuple[str, np.ndarray]] = ()) -> None:
        super().__init__()
        self.strict = strict  # else a traced value from outside counts as the plain value that it has
        self.instructions: list[Instruction] = []
        self.constants: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # id -> a large array and its copy
        self.contents: dict[tuple[Any, ...], np.ndarray] = {}  # shape, dtype, bytes -> a small array
        self.names = {content(x) or id(x): name for name, x in captured}
        self.captured: dict[int, str] = {}  # the id of the copy that stands in the program -> the user's name for it
        self.pulling = False
        self.seen = False  # whether the order in memory of an array was asked for

    def input(self, x: Any, name: str) -> Symbol:
        return Symbol(x, self, Value(np.shape(x), np.result_type(x), name))

    def node(self, tree: Any) -> Any:
        """The tree with symbols replaced by their places; arrays as they are now."""
        return mapped(tree, self._place)

    def _place(self, x: Any) -> Any:
        if isinstance(x, Tracer):
            if type(x) is Symbol and x.transform is self:
                return x.node
            if self.strict:
                raise Foreign
            x = ground(x)
        if not is_memory(x):
            return x
        key = content(x)
        if key is not None:  # equal content once: a tape copies what it meets
            if key not in self.contents:
                self.contents[key] = self._copied(x, key)
            return self.contents[key]
        known = self.constants.get(id(x))
        if known is None or not identical(known[1], x):
            known = self.constants[id(x)] = (x, self._copied(x, id(x)))  # holding x keeps its id from being used again
        return known[1]

    def _copied(self, x: np.ndarray, key: Any) -> np.ndarray:
        copied = x.copy(order="K")  # the order of its elements may decide how sums are rounded
        if key in self.names:
            self.captured[id(copied)] = self.names[key]
        return copied

    def unary(self, op: Op, x: Any) -> Any:
        return self.record(op, (x,), {})

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        return self.record(op, (canonical(a), canonical(b)), {})

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if op is ADDED:
            x, u, index = args
            return self.record(OPS[np.add], (x, self.record(SCATTER, (u, index, x.shape, np.ndim(u)), {})), {})
        arrays = len(args) if op.arrays is None else op.arrays
        if op in _READS:
            args = (args[0], self._known_extents(args[1]), *args[2:])
        elif len(args) > arrays and op is not SETITEM and op.pure is not SETITEM:
            args = (*args[:arrays], *mapped(args[arrays:], self._known_parameter))
        if params:
            params = mapped(params, self._known_parameter)
        return self.record(op, tuple(canonical(a) if i < arrays else a for i, a in enumerate(args)), params)

    def strip(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if isinstance(op, Passive) and op.static:
            return super().strip(op, args, params)
        if params:
            params = mapped(params, self._known_parameter)
        if not isinstance(op.fn, np.ufunc) and len(args) > 1:
            args = (args[0], *mapped(args[1:], lambda x: self._known_parameter(x) if np.ndim(x) == 0 else x))
        found = self.record(op, args, params)
        return mapped(found, self._known) if isinstance(op, Passive) and op.shape_from_values else found

    def whole(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """One call, where nothing traced among the arguments may carry a derivative (see `whole`)."""
        if op in EXACT or op.changes is not None or not all(map(self._underivable, leaves((args, params)))):
            return NotImplemented
        arrays = len(args) if op.arrays is None else op.arrays
        args = (*args[:arrays], *mapped(args[arrays:], self._known_number))
        params = mapped(params, self._known_number)
        if not args:  # the arrays of np.select
            first = op.names[0]
            args, params = (params[first],), {k: v for k, v in params.items() if k != first}
        given = self.values(mapped(args, settled))
        y = op.evaluate(*given, **self.values(params))
        parts = y if isinstance(y, tuple | list) else (y,)
        held = [x for x in leaves(given) if is_memory(x)]
        if any(type(part) in NESTED or any(np.may_share_memory(part, x) for x in held) for part in parts):
            return NotImplemented
        return self.record(op, args, params)

    def _known_number(self, x: Any) -> Any:
        """A single one that is no array argument may decide shapes."""
        return self._known(x) if isinstance(x, Symbol) and not x.shape else x

    def _underivable(self, x: Any) -> bool:
        """Whether an argument is plain, or of whole numbers or truths."""
        if isinstance(x, Tracer):
            return x.transform is self and x.dtype.kind in "iub"
        if is_memory(x):
            return not x.dtype.hasobject
        return not callable(x) or isinstance(x, np.ufunc | type)

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self.record(op, args, params)

    def lift(self, seed: Any) -> Any:
        symbol = self._symbol(seed)
        self.instructions.append(Instruction(SEED, (self._place(seed),), {}, symbol.node, self.pulling, view=True))
        return symbol

    def record(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if self.closed:
            raise LeakedTracer
        if not trusted(op):
            op = detached(op)
        values, places = self._split(mapped(args, settled))
        if params:
            params = mapped(params, settled)
        given = self.values(params) if params else params
        y = op.evaluate(*values, **given)
        held = y
        if op.pure is not None:  # the program says what is computed, not where
            op = op.pure
            if op is INDEX and is_memory(y):
                held = op.evaluate(*values)
        named = self.node(params) if params else params
        if isinstance(y, tuple | list):
            parts = tuple([self._symbol(part) for part in y])
            out = tuple([s.node for s in parts])
            self.instructions.append(Instruction(op, places, named, out, self.pulling))
            return y._make(parts) if hasattr(y, "_make") else parts
        symbol = self._symbol(y)
        view = (is_memory(y) and not y.flags.writeable) or _may_show(op, values, given)
        view = view or (op is not SETITEM and (_overlaps(held, values) or (is_memory(y) and not y.size)))
        self.instructions.append(Instruction(op, places, named, symbol.node, self.pulling, view))
        return symbol

    def _split(self, args: tuple[Any, ...]) -> tuple[list[Any], tuple[Any, ...]]:
        """Of every argument the value and the place."""
        values, places = [], []
        for x in args:
            if type(x) is Symbol and x.transform is self:
                values.append(x.value)
                places.append(x.node)
            elif type(x) in NESTED:
                values.append(self.values(x) if self.strict else mapped(self.values(x), ground))
                places.append(mapped(x, self._place))
            else:
                values.append(x if self.strict else ground(x))
                places.append(self._place(x))
        return values, tuple(places)

    def _symbol(self, y: Any) -> Symbol:
        y = y if isinstance(y, np.ndarray | np.generic | Tracer) else np.asarray(y)[()]
        return Symbol(y, self, Value(y.shape, y.dtype))

    def assume(self, x: Symbol) -> Any:
        """The value of x, which from here on the program takes for granted."""
        known = np.array(x.value)[()] if not isinstance(x.value, Tracer) else x.value
        self.instructions.append(Instruction(GUARD, (x.node, known), {"where": users_statement()}, (), self.pulling))
        return known

    def counts(self, node: Value) -> bool:
        """Whether a value comes from whole numbers and truths alone, and so has no derivative."""
        wanted = {node}
        for instruction in reversed(self.instructions):
            if not wanted.isdisjoint(instruction.outs):
                wanted.difference_update(instruction.outs)
                wanted.update(instruction.uses)
        return all(v.dtype.kind in "iub" for v in wanted)

    def _known(self, x: Any) -> Any:
        """A symbol as its value, guarded."""
        return self.assume(x) if isinstance(x, Symbol) and x.transform is self else x

    def _known_parameter(self, x: Any) -> Any:
        """An integer or boolean may decide shapes where it is no array argument."""
        if isinstance(x, Symbol) and x.dtype.kind in "iub":
            known = self._known(x)
            return known.item() if issubclass(type(known), np.generic) else known
        return x

    def _known_extents(self, index: Any) -> Any:
        """An index with what decides the result's shape guarded: masks, and the ends of slices."""
        if isinstance(index, tuple | list):
            return type(index)(self._known_extents(i) for i in index)
        if isinstance(index, slice):
            return mapped(index, lambda i: operator.index(i) if isinstance(i, Symbol) else i)
        return self._known(index) if isinstance(index, Symbol) and index.dtype.kind == "b" else index

    def observe(self) -> Callable[[Any, Any], None]:
        """What follows, and the seeds that were just planted, is the backward part."""
        self.pulling = True
        k = len(self.instructions)
        while k and self.instructions[k - 1].op is SEED:
            k -= 1
            self.instructions[k] = replace(self.instructions[k], backward=True)
        return adjoint

    def observe_tangents(self) -> Callable[[Any, Any], None]:
        return tangent


def adjoint(y: Any, u: Any) -> None:
    """Note that u is the cotangent of y, where both are symbols, under whatever transforms."""
    y, u = _symbol_under(y), _symbol_under(u)
    if not isinstance(y, Symbol) or u is None:
        return
    if isinstance(u, Symbol):
        if u.node.adjoint_of is None and not u.node.name:
            u.node.adjoint_of = y.node
        u = u.node
    if y.node.adjoint is None:
        y.node.adjoint = u


def tangent(y: Any, t: Any) -> None:
    """Note that t is the tangent of y, where y is a symbol, under whatever transforms."""
    y, t = _symbol_under(y), _symbol_under(t)
    if not isinstance(y, Symbol):
        return
    if isinstance(t, Symbol):
        if t.node.tangent_of is None and not t.node.name and t.node is not y.node:
            t.node.tangent_of = y.node
        t = t.node
    if y.node.tangent is None:
        y.node.tangent = t


def _symbol_under(x: Any) -> Any:
    """The traced value of the lowest transform under x."""
    while isinstance(x, Tracer) and isinstance(x.value, Tracer):
        x = x.value
    return x
