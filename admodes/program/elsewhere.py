"""Programs on other arrays than NumPy's: the instructions carried out in a namespace that has NumPy's names.

`jax.numpy`, `cupy` and array-api-compat's `torch` are such namespaces.  Nothing of NumPy's runs on their arrays, which
may be on another device or be traced by a compiler; the constants of a program go over once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..core import pytree
from ..core.dispatch import is_memory
from ..core.indices import as_tuple
from ..core.registry import Op
from ..core.zeros import strong_product
from ..ops.assignment import SETITEM
from ..ops.elementwise import SLOPE
from ..ops.index import INDEX, SCATTER
from ..ops.linalg.norms import LARGEST, LENGTH, P_LENGTH, SIGNED_POWER
from ..ops.ties import LARGER, PART, SMALLER
from .code.names import public_name
from .recording import GUARD, SEED, Instruction, Value, leaves, mapped
from .straightline import GuardFailed, StraightLine

# What the array API standard calls otherwise than NumPy does.
STANDARD = {
    "absolute": "abs", "power": "pow", "conjugate": "conj", "concatenate": "concat", "transpose": "permute_dims",
    "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift",
    "remainder": "remainder", "fabs": "abs", "float_power": "pow", "rint": "round", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip


def function_on(program: StraightLine, xp: Any) -> Callable[..., Any]:
    """The program as a function of arrays of a namespace; see `Program.function`."""
    steps = [(i, _counterpart(i, xp)) for i in program.instructions]
    constants: dict[int, Any] = {}

    def over(x: Any) -> Any:
        if not is_memory(x) and not isinstance(x, np.generic):
            return x
        if id(x) not in constants:
            constants[id(x)] = x, xp.asarray(x)  # x is held, so that its id stays its own
        return constants[id(x)][1]

    def function(*args: Any) -> Any:
        given, structure = pytree.flatten(args)
        if structure != program.in_structure:
            raise TypeError(f"{program.name}: called with arguments of another structure than it was traced for")
        arrays = program.given(given)
        for x, v in zip(arrays, program.inputs, strict=True):
            if tuple(np.shape(x) if isinstance(x, int | float) else x.shape) != v.shape:
                raise TypeError(f"{program.name}: the argument {v.name} was traced with the shape {v.shape}")
        known: dict[Value, Any] = {v: xp.asarray(x) for v, x in zip(program.inputs, arrays, strict=True)}

        def of(x: Any) -> Any:
            return known[x] if isinstance(x, Value) else over(x)

        holds: Any = True
        for i, run in steps:
            if i.op is GUARD:
                holds = _guarded(xp, known[i.args[0]], i.args[1], holds)
                continue
            y = run(*mapped(i.args, of), **mapped(i.params, of))
            known.update(zip(i.outs, y if isinstance(i.out, tuple) else (y,), strict=True))
        out = [of(y) for y in program.outputs]
        if holds is not True:
            out = [xp.where(holds, y, np.nan) for y in out]
        return pytree.unflatten(program.out_structure, out)

    function.__name__ = program.name
    return function


def _guarded(xp: Any, x: Any, assumed: Any, holds: Any) -> Any:
    """Whether all guards hold so far: known at once, or, under a compiler's tracing, a value of its own."""
    same = xp.all(x == xp.asarray(assumed))
    try:
        if not bool(same):
            raise GuardFailed
    except TypeError:  # a traced array has no truth yet
        return same if holds is True else xp.logical_and(holds, same)
    return holds


def _counterpart(i: Instruction, xp: Any) -> Callable[..., Any]:
    """What carries out an instruction in a namespace."""
    special = _SPECIAL.get(i.op) or _SPECIAL.get(i.op.fn)
    if special is not None:
        return lambda *args, **params: special(xp, *args, **params)
    path = (public_name(i.op) or "").split(".")[1:]
    found = xp
    for name in path:
        found = getattr(found, name, None) or getattr(found, STANDARD.get(name, name), None)
    if not path or found is None:
        raise NotImplementedError(
            f"program.function: the operation {_called(i.op)} has no counterpart in {getattr(xp, '__name__', xp)!s}; "
            "write the function without it, or run the program on NumPy's arrays."
        )
    return found if not i.op.sequence else lambda *args, **params: found(args, **params)


def _called(op: Op) -> str:
    return public_name(op) or op.name


def _scattered(xp: Any, u: Any, index: Any, shape: tuple[int, ...], ndim: int) -> Any:
    """Zeros with u added at an index: by JAX's `at`, or in place."""
    lead = len(u.shape) - ndim
    y = xp.zeros((*u.shape[:lead], *shape), dtype=u.dtype)
    full = (slice(None),) * lead + as_tuple(index)
    if hasattr(y, "at"):
        return y.at[full].add(u)
    if all(isinstance(k, int | type(None) | type(Ellipsis)) for k in leaves(full)):
        y[full] = u
    elif hasattr(getattr(xp, "add", None), "at"):
        xp.add.at(y, full, u)
    else:
        raise NotImplementedError(f"program.function: {getattr(xp, '__name__', xp)!s} cannot add at repeated indices")
    return y


def _put(xp: Any, x: Any, index: Any, value: Any) -> Any:
    """x with a value at an index."""
    if hasattr(x, "at"):
        return x.at[index].set(value)
    y = xp.asarray(x, copy=True)
    y[index] = value
    return y


def _length(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return xp.sqrt(xp.sum(xp.abs(x) ** 2, axis=axes, keepdims=True))


def _p_length(xp: Any, x: Any, axes: tuple[int, ...], p: float) -> Any:
    return xp.sum(xp.abs(x) ** p, axis=axes, keepdims=True) ** (1 / p)


def _slope(xp: Any, a: Any, y: Any) -> Any:
    return xp.where(y == 0, 0.0, a / xp.where(y == 0, 1.0, y))


def _halves(first: str, xp: Any, a: Any, b: Any) -> Any:
    return xp.where(getattr(xp, first)(a, b), 1.0, xp.where(a == b, 0.5, 0.0))


def _part(xp: Any, x: Any, y: Any, n: Any) -> Any:
    return xp.where((x == y) | xp.isnan(x) & xp.isnan(y), 1 / n, 0.0)


def _largest(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    unit = xp.max(xp.abs(x), axis=axes, keepdims=True)
    return xp.where(xp.isfinite(unit) & (unit > 0), unit, 1.0)


def _strong(xp: Any, a: Any, b: Any) -> Any:
    """a · b, 0 where a factor is."""
    return xp.where((a == 0) | (b == 0), 0.0, a * b)


def _cast(xp: Any, x: Any, dtype: Any) -> Any:
    dtype = getattr(xp, np.dtype(dtype).name)
    return xp.astype(x, dtype) if hasattr(xp, "astype") else x.astype(dtype)


_SPECIAL: dict[Any, Callable[..., Any]] = {
    SEED: lambda xp, x: x,
    INDEX: lambda xp, x, index: x[index],
    SCATTER: _scattered,
    SETITEM: _put,
    LENGTH: _length,
    P_LENGTH: _p_length,
    np.add.reduce: lambda xp, x, axis=0, **params: xp.sum(x, axis=axis, **params),
    SLOPE: _slope,
    LARGER: partial(_halves, "greater"),
    SMALLER: partial(_halves, "less"),
    PART: _part,
    LARGEST: _largest,
    SIGNED_POWER: lambda xp, x, q: xp.copysign(xp.abs(x) ** q, x),
    strong_product: _strong,
    np.astype: _cast,
    GUARD: lambda xp, x, assumed: None,
}
