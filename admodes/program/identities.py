"""Algebraic identities: what an instruction equals that takes less, as a table of rules by function.

A rule takes an instruction whose arguments are known to be as simple as can be, and gives a value (or a constant) that
the result equals, a simpler instruction, or None where it does not apply.  None changes a result beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.registry import OPS
from ..ops.index import INDEX
from .recording import Instruction, Value, identical


@dataclass(frozen=True)
class Case:
    """An instruction, its arguments as they are by now, and the instructions that made values before it."""

    instruction: Instruction
    args: tuple[Any, ...]
    made: dict[Value, Instruction]

    @property
    def out(self) -> Value:
        return self.instruction.outs[0]

    @property
    def inner(self) -> Instruction | None:
        """What made the first argument, where that is the same function, of one value alone."""
        x = self.args[0]
        found = self.made.get(x) if isinstance(x, Value) else None
        same = found is not None and found.op.fn is self.instruction.op.fn and len(found.uses) == 1
        return found if same else None


Rule = Callable[[Case], Any]


def simplified(instruction: Instruction, args: tuple[Any, ...], made: dict[Value, Instruction]) -> Any:
    """A value that the instruction equals, a simpler instruction, or None."""
    if len(instruction.outs) != 1 or not args:
        return None
    case, op = Case(instruction, args, made), instruction.op
    for rule in RULES.get(op) or RULES.get(op.fn, ()):
        found = rule(case)
        if found is not None:
            return found
    return _narrowed(case) if op.arity == 2 and isinstance(op.fn, np.ufunc) and op.fn.signature is None else None


# ---------------------------------------------------------------------------------------------------
# Arithmetic
# ---------------------------------------------------------------------------------------------------


_NEUTRAL = {np.multiply: 1, np.divide: 1, np.subtract: 0, np.power: 1}


def _without_neutral(case: Case) -> Any:
    """x · 1, x / 1, x − 0, x ** 1: the other argument where one is neutral; on the left it counts for × alone.

    Not for complex numbers: (∞ + 0i)·1 is ∞ + nan i.
    """
    fn, args, out = case.instruction.op.fn, case.args, case.out
    if out.dtype.kind == "c" and fn is not np.subtract:
        return None
    for place in (1, 0) if fn is np.multiply else (1,):
        other = args[1 - place]
        unchanged = isinstance(other, Value) and (other.shape, other.dtype) == (out.shape, out.dtype)
        if unchanged and _is(args[place], _NEUTRAL[fn]):
            return other
    return None


def _is(x: Any, number: int) -> bool:
    """Whether a constant is `number` throughout (0 means +0.0, as x − (−0.0) is x + 0.0)."""
    if isinstance(x, Value) or not isinstance(x, np.ndarray | np.generic | int | float):
        return False
    return bool(np.all(np.equal(x, number))) and not (number == 0 and np.any(np.signbit(np.asarray(x, dtype=float))))


def _narrow(x: Any, other: Any, out: Value, made: dict[Value, Instruction]) -> Any:
    """What was broadcast, where the ufunc broadcasts it too."""
    inner = made.get(x) if isinstance(x, Value) else None
    if inner is None or inner.op.fn is not np.broadcast_to or np.shape(other) != out.shape:
        return x
    return inner.args[0] if isinstance(inner.args[0], Value) else x


def _number(x: Any, other: Any, out: Value) -> Any:
    """A constant array of one number throughout as that number, where the other argument has the result's shape."""
    if not (isinstance(x, np.ndarray) and x.size and isinstance(other, Value) and other.shape == out.shape):
        return x
    if x.dtype != out.dtype or other.dtype != out.dtype or x.dtype.char not in "efd":
        return x  # a Python float holds no long double
    first = x.flat[0]
    return float(first) if identical(x, np.full_like(x, first)) else x


def _axes(instruction: Instruction, ndim: int) -> np.ndarray:
    axes = instruction.params.get("axes", instruction.args[1] if len(instruction.args) > 1 else None)
    return np.arange(ndim)[::-1] if axes is None else np.array([a % ndim for a in axes], dtype=int)


def _swapped(instruction: Instruction) -> list[int]:
    return [int(a) for a in (*instruction.args[1:], *instruction.params.values())]


def _power(case: Case) -> Any:
    """x ** 0 is 1, of nan too, and x ** 2 the square, where both are of one dtype."""
    (x, n), out = case.args, case.out
    if type(n) not in (int, float) or out.dtype.kind != "f" or n not in (0, 2) or x.dtype != out.dtype:
        return None
    if n == 0:
        return np.ones(out.shape, out.dtype)[()]
    return Instruction(OPS[np.square], (x,), {}, out, case.instruction.backward)


def _twice(case: Case) -> Any:
    """−(−x)."""
    return case.inner.args[0] if case.inner is not None else None


def _narrowed(case: Case) -> Any:
    """Arrays that are broadcast before a ufunc does it, and constant arrays of one number throughout."""
    (a, b), out = case.args, case.out
    a = _narrow(a, b, out, case.made)
    b = _narrow(b, a, out, case.made)
    args = _number(a, b, out), _number(b, a, out)
    unchanged = all(new is old for new, old in zip(args, case.args, strict=True))
    return None if unchanged else replace(case.instruction, args=args)


# ---------------------------------------------------------------------------------------------------
# Shapes
# ---------------------------------------------------------------------------------------------------


def _unchanged(case: Case) -> Any:
    """A change to the same shape and dtype."""
    x, out = case.args[0], case.out
    return x if isinstance(x, Value) and (x.shape, x.dtype) == (out.shape, out.dtype) else None


def _conjugate(case: Case) -> Any:
    """Of a real number, the number."""
    return _unchanged(case) if case.out.dtype.kind != "c" else None


def _reshaped_again(case: Case) -> Any:
    """A reshape of a reshape."""
    inner, i = case.inner, case.instruction
    if inner is None or not (row_major(i) and row_major(inner)):
        return None
    if inner.args[0].shape == case.out.shape:
        return inner.args[0]
    return replace(i, args=(inner.args[0], *case.args[1:]), view=inner.view and i.view)


def _turned_back(case: Case) -> Any:
    """A transpose of a transpose, back to where it was."""
    inner, ndim = case.inner, case.out.ndim
    if inner is None or _axes(inner, ndim)[_axes(case.instruction, ndim)].tolist() != list(range(ndim)):
        return None
    return inner.args[0]


def _swapped_back(case: Case) -> Any:
    inner, ndim = case.inner, case.out.ndim
    if inner is None or {a % ndim for a in _swapped(case.instruction)} != {a % ndim for a in _swapped(inner)}:
        return None
    return inner.args[0]


def _all_of_it(case: Case) -> Any:
    """A slice of all of an array."""
    x, index = case.args
    whole = isinstance(x, Value) and x.shape == case.out.shape
    return x if whole and all(map(_whole, index if isinstance(index, tuple) else (index,))) else None


def _whole(index: Any) -> bool:
    """Whether an index that leaves the extent of its axis what it is takes the elements in order."""
    return index is Ellipsis or (isinstance(index, slice) and index.step in (None, 1) and index.start in (None, 0))


def row_major(reshape: Instruction) -> bool:
    """Whether a reshape reads and writes in the order of C."""
    return reshape.params.get("order", "C") == "C"


# By the row, or by the function.
RULES: dict[Any, tuple[Rule, ...]] = {
    np.multiply: (_without_neutral,),
    np.divide: (_without_neutral,),
    np.subtract: (_without_neutral,),
    np.power: (_without_neutral, _power),
    np.negative: (_twice,),
    np.positive: (_unchanged,),
    np.conjugate: (_conjugate,),
    np.real: (_unchanged,),
    np.astype: (_unchanged,),
    np.reshape: (_unchanged, _reshaped_again),
    np.broadcast_to: (_unchanged,),
    np.squeeze: (_unchanged,),
    np.expand_dims: (_unchanged,),
    np.transpose: (_turned_back,),
    np.swapaxes: (_swapped_back,),
    INDEX: (_all_of_it,),
}
