"""Recording: f runs once on symbols, and every NumPy call under any transform becomes an instruction.

Symbols are the lowest level, so the pushes and pulls of the transforms above are recorded like the function itself.
Booleans and integers computed from a symbol are symbols too: nothing that depends on the inputs is baked in.  Where
plain Python must know a value at once (`if x > 0`, a mask that decides a shape) a guard records what was assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Detached, LeakedTracer
from ..registry import OPS, Op, Passive
from ..tracing import Trace, Tracer, canonical

_READS = {op for fn, op in OPS.items() if getattr(op, "name", "") in ("getitem", "scatter")}


class Value:
    """One value of a program: its shape and dtype, and a name where the user's code gives one."""

    __slots__ = ("adjoint_of", "dtype", "name", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "") -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.adjoint_of: Value | None = None

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
    view: bool = False  # the result shares memory with the first argument
    buffer: int | None = None  # the workspace array that takes the result
    into: int | None = None  # the argument whose memory takes the result

    @property
    def outs(self) -> tuple[Value, ...]:
        return self.out if isinstance(self.out, tuple) else (self.out,)

    @property
    def uses(self) -> list[Value]:
        """The values among the arguments."""
        return [v for v in leaves((self.args, self.params)) if isinstance(v, Value)]


def leaves(tree: Any) -> list[Any]:
    """The leaves of tuples, lists, dicts and slices."""
    if isinstance(tree, tuple | list):
        return [x for part in tree for x in leaves(part)]
    if isinstance(tree, dict):
        return [x for part in tree.values() for x in leaves(part)]
    if isinstance(tree, slice):
        return [tree.start, tree.stop, tree.step]
    return [tree]


def mapped(tree: Any, fn: Any) -> Any:
    """The tree with fn applied to its leaves."""
    if isinstance(tree, tuple | list):
        return type(tree)(mapped(x, fn) for x in tree)
    if isinstance(tree, dict):
        return {k: mapped(x, fn) for k, x in tree.items()}
    if isinstance(tree, slice):
        return slice(fn(tree.start), fn(tree.stop), fn(tree.step))
    return fn(tree)


def same(a: Any, b: Any) -> bool:
    """Whether a value is still what was assumed."""
    return bool(np.array_equal(a, b))


# A guard: its arguments are a value and what was assumed of it.
GUARD = Op(same, name="guard", arrays=2)


def _overlaps(y: np.ndarray, x: Any) -> bool:
    return isinstance(x, np.ndarray) and bool(np.may_share_memory(y, x))


class Symbol(Tracer):
    """A value under recording, with its place in the program."""

    __slots__ = ()

    def __init__(self, value: Any, transform: Recorder, node: Value) -> None:
        self.value = value
        self.transform = transform
        self.node = node

    def __bool__(self) -> bool:
        return bool(self.transform.assume(self))

    def __int__(self) -> int:
        return int(np.int64(self.transform.assume(np.trunc(self) if self.dtype.kind == "f" else self)))

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self.shape:
            raise TypeError("only integer scalar values can be used as an index")
        return int(self.transform.assume(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.dtype.kind in "iub":  # a plain array indexed by it, say: the program takes these values for granted
            return np.asarray(self.transform.assume(self), dtype=dtype)
        return super().__array__(dtype, copy)

    def __float__(self) -> float:
        raise Detached("float(x) of a value under tracing", "Use x itself and functions of numpy.")


class Recorder(Trace):
    """The transform that evaluates and writes down."""

    __slots__ = ("constants", "instructions", "pulling")

    def __init__(self) -> None:
        super().__init__()
        self.instructions: list[Instruction] = []
        self.constants: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.pulling = False

    def input(self, x: Any, name: str) -> Symbol:
        return Symbol(x, self, Value(np.shape(x), np.result_type(x), name))

    def node(self, tree: Any) -> Any:
        """The tree with symbols replaced by their places; arrays as they are now."""

        return mapped(tree, self._place)

    def _place(self, x: Any) -> Any:
        if isinstance(x, Symbol) and x.transform is self:
            return x.node
        if type(x) is not np.ndarray:
            return x
        known = self.constants.get(id(x))
        if known is None or not same(known[1], x):
            known = self.constants[id(x)] = (x, x.copy())  # holding x keeps its id from being used again
        return known[1]

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        arrays = len(args) if op.arrays is None else op.arrays
        args = tuple(canonical(a) if i < arrays else a for i, a in enumerate(args))
        if op in _READS:
            args = (args[0], self._known_masks(args[1]), *args[2:])
        return self.record(op, args, params)

    def strip(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        assert isinstance(op, Passive)
        if op.static:
            return super().strip(op, args, params)
        if op.shape_from_values:
            return op.evaluate(*mapped(args, self._known), **mapped(params, self._known))
        return self.record(op, args, params)

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self.record(op, args, params)

    def record(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if self.closed:
            raise LeakedTracer
        values = self.values(args)
        y = op.evaluate(*values, **(self.values(params) if params else params))
        if isinstance(y, list):  # a result that a user's own function gave as a list
            y = tuple(y)
        symbols = tuple(self._symbol(part) for part in y) if isinstance(y, tuple) else self._symbol(y)
        out = tuple(s.node for s in symbols) if isinstance(symbols, tuple) else symbols.node
        view = isinstance(y, np.ndarray) and (not y.flags.writeable or _overlaps(y, values[0]))
        self.instructions.append(Instruction(op, self.node(args), self.node(params), out, self.pulling, view))
        return y._make(symbols) if hasattr(y, "_make") else symbols

    def _symbol(self, y: Any) -> Symbol:
        y = y if isinstance(y, np.ndarray | np.generic | Tracer) else np.asarray(y)[()]
        return Symbol(y, self, Value(y.shape, y.dtype))

    def assume(self, x: Symbol) -> Any:
        """The value of x, which from here on the program takes for granted."""
        known = np.array(x.value)[()] if not isinstance(x.value, Tracer) else x.value
        self.instructions.append(Instruction(GUARD, (x.node, known), {}, (), self.pulling))
        return known

    def _known(self, x: Any) -> Any:
        return self.assume(x) if isinstance(x, Symbol) and x.transform is self else x

    def _known_masks(self, index: Any) -> Any:
        return mapped(index, lambda i: self._known(i) if isinstance(i, Symbol) and i.dtype.kind == "b" else i)

    def backward(self) -> None:
        self.pulling = True

    def adjoint(self, y: Any, u: Any) -> None:
        if isinstance(y, Symbol) and isinstance(u, Symbol) and u.node.adjoint_of is None and not u.node.name:
            u.node.adjoint_of = y.node
