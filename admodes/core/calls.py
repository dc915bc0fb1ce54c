"""How functions of NumPy may be called: arrays by keyword or in one sequence, out=, where=, dtype=, like=, and the
methods of ufuncs.  Each becomes the plain call of a row, and what is to be written is written by `changes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from .changes import put, replace, write
from .dispatch import (
    OBJECT,
    PLAIN_REMEDY,
    apply,
    are_whole,
    as_objects,
    canonical,
    gathered,
    highest,
    is_memory,
)
from .errors import Detached, MissingRule, missing_parameter
from .names import public_name
from .registry import NO_VALUE, OPS, Op, Passive
from .views import Cell


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


def _positional(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Bring array arguments that were given by keyword into their places."""
    given = list(args)
    for name in op.names[len(args) : op.arrays]:
        if name not in params:
            break
        given.append(params[name])
    return tuple(given), {k: v for k, v in params.items() if k not in op.names[len(args) : len(given)]}


def store(out: Any, result: Any, name: str) -> Any:
    """Carry out `out=`: write a result into a traced array, as NumPy would into a plain one."""
    if not isinstance(out, Cell):
        if type(out) is ndarray and out.dtype is OBJECT:
            out[...] = as_objects(result)
            return out
        if is_memory(out) and (highest(result) is None or (out.dtype.kind in "biu" and are_whole(result))):
            np.copyto(out, as_objects(result), casting="same_kind")
            return out
        raise Detached(f"np.{name} with out= (or an operator such as a += x on a plain array a)", PLAIN_REMEDY)
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
    if dtype is None and any(is_memory(out) for out in outs):  # NumPy says itself where it cannot be cast
        kinds = [type(x) if type(x) in (int, float, complex) else canonical(x).dtype for x in inputs]
        ufunc.resolve_dtypes((*kinds, *(None if out is None else out.dtype for out in outs)))
    if dtype is not None:
        inputs = tuple(map(canonical, inputs))
        with np.errstate(all="ignore"):
            ufunc(*(np.ones((), np.result_type(x)) for x in inputs), dtype=dtype)  # NumPy's error, where it has one
    trace = highest(inputs) if dtype is not None and isinstance(op, Passive) else None
    if trace is not None:  # the dtype of the result, which of a comparison is not that of its arguments
        result = trace.strip(op, inputs, {**own, "dtype": dtype})
    else:
        if dtype is not None:
            inputs = tuple(np.astype(x, dtype) if isinstance(x, Cell) else np.asarray(x, dtype) for x in inputs)
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


# Creation functions with like=, which dispatch by it alone.
CREATED_LIKE = {
    np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.zeros, np.ones, np.empty, np.full,
    np.eye, np.identity, np.tri, np.arange, np.fromiter,
}  # fmt: skip


def created_like(x: Cell, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
    itself = isinstance(args[0], Cell) and fn in (np.asarray, np.asanyarray)
    y = args[0] if itself else gathered(args[0])
    dtype = kwargs.get("dtype", args[1] if len(args) > 1 else None)
    return y if dtype is None or np.dtype(dtype) == y.dtype else np.astype(y, np.dtype(dtype))
