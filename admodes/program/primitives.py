"""Operations that passes put into programs: several of NumPy's at once, or one in the memory of an argument."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from ..core.registry import OPS, Op
from .recording import Instruction, Value
from .rolling.loop import Loop


class KernelFacts(NamedTuple):
    """What is known of a native kernel beside its row.

    instructions : what it computes
    ir : its code, as LLVM has it
    results : the parameters that take memory for results, and which of the results that is
    scratch : how many doubles it needs meanwhile, in its parameter w
    loop : what it runs again and again, where it does
    table : whether its instructions follow one another through memory
    told : of which results it notes a nan (see `native.calls.NANS`)
    """

    instructions: tuple[Instruction, ...]
    ir: str
    results: dict[str, int]
    scratch: int
    loop: Loop | None = None
    table: bool = False
    told: frozenset[int] = frozenset()


KERNELS: weakref.WeakKeyDictionary[Op, KernelFacts] = weakref.WeakKeyDictionary()


class Place(NamedTuple):
    """An array of the workspace, as a parameter of a kernel that leaves a result there."""

    number: int


def placed(i: Instruction) -> set[Value]:
    """The results that are in the workspace."""
    if i.op in KERNELS:
        return {i.outs[n] for name, n in KERNELS[i.op].results.items() if name in i.params}
    return set(i.outs) if i.buffer is not None else set()


def add_at(a: Any, u: Any, index: Any) -> Any:
    """a with u added at index, in the memory of a."""
    a[index] += u
    return a


def subtract_at(a: Any, u: Any, index: Any) -> Any:
    """a with u subtracted at index, in the memory of a."""
    a[index] -= u
    return a


def set_at(a: Any, v: Any, index: Any) -> Any:
    """a with v at index, in the memory of a."""
    a[index] = v
    return a


def copied(x: Any) -> Any:
    """A view as an array of its own."""
    return x.copy()


def scattered(*args: Any, op: Any, index: Any, shape: Any, dtype: Any) -> Any:
    """Zeros with the result of a ufunc at index."""
    y = np.zeros(shape, dtype)
    op(*args, out=y[index])
    return y


def _flops(y: Any, *args: Any, op: Any, **_: Any) -> float:
    return OPS[op].count(Value(np.broadcast_shapes(*map(np.shape, args)), y.dtype), args, {})


def rows(stack: Any) -> Any:
    """The rows of a stack, as views."""
    return tuple(stack)


def summed_rows(stack: Any) -> Any:
    """Σₜ stack[t], in order; a sum of −0.0 alone is −0.0, as with +."""
    return np.add.reduce(stack, axis=0, initial=-0.0)


def summed_outer(us: Any, vs: Any) -> Any:
    """Σₜ uₜ vₜᵀ, zeros with the sign that + gives them: a sum is −0.0 only where every term is."""
    y = us.T @ vs
    if not y.all():
        negative = np.copysign(1.0, us).T @ np.copysign(1.0, vs) == -len(us)
        y[negative & (y == 0)] = -0.0
    return y


def contracted(terms: Any, axis: int) -> Any:
    """The sum over an axis, of the products that a matrix product adds up."""
    return terms.sum(axis=axis)


ADD_AT = Op(add_at, name="add_at", arrays=2, flops=lambda y, a, u, index: np.size(u))
SUBTRACT_AT = Op(subtract_at, name="subtract_at", arrays=2, flops=lambda y, a, u, index: np.size(u))
SET_AT = Op(set_at, name="set_at", arrays=2)
COPIED = Op(copied, name="copied")
SCATTERED = Op(scattered, name="scattered", arrays=None, flops=_flops)
ROWS = Op(rows, name="rows")
SUMMED_ROWS = Op(summed_rows, name="summed_rows", flops=lambda y, stack: stack.size - y.size)
SUMMED_OUTER = Op(summed_outer, name="summed_outer", arrays=2, flops=lambda y, us, vs: (2 * us.shape[0] - 1) * y.size)
CONTRACTED = Op(contracted, name="contracted", flops=lambda y, terms, axis: terms.size - y.size)
