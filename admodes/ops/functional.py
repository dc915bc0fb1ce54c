"""Functions that choose among arrays or take functions: select, choose, piecewise, apply_along_axis.

The functions they are given run on traced values like any other code.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dispatch import canonical
from ..core.domain import A, case
from ..core.registry import AnyName, Composite, add
from .shape import sequence


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    out = canonical(default)
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        condition = canonical(condition)
        if np.result_type(condition).kind != "b":
            raise TypeError("invalid entry in condlist: should be boolean ndarray")
        out = np.where(condition, canonical(choice), out)
    return out


def _choose(a: Any, choices: Any, mode: str = "raise") -> Any:
    """Element by element from one of the arrays."""
    a, arrays = np.asarray(a), [canonical(c) for c in sequence(choices)]
    n = len(arrays)
    if mode == "raise":
        if np.any((a < 0) | (a >= n)):
            raise ValueError("invalid entry in choice array")
    elif mode in ("wrap", "clip"):
        a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    else:
        raise ValueError(f"np.choose: mode={mode!r} is not one of 'raise', 'wrap', 'clip'")
    shape = np.broadcast_shapes(a.shape, *(np.shape(c) for c in arrays))
    stacked = np.stack([np.broadcast_to(c, shape) for c in arrays], dtype=np.result_type(*arrays))
    return np.take_along_axis(stacked, np.broadcast_to(a, shape)[None], axis=0)[0]


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function on the elements where its condition holds; one more function for all the rest."""
    x = canonical(x) if np.ndim(x) else np.reshape(x, ())
    first = condlist[0] if not np.isscalar(condlist) and len(np.shape(condlist)) else condlist
    if np.isscalar(condlist) or (not isinstance(first, list | np.ndarray) and np.ndim(first) == 0 and x.ndim != 0):
        condlist = [condlist]
    conditions = [np.broadcast_to(np.asarray(c, dtype=bool), x.shape) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    elif len(funclist) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    return _pieces(np.zeros_like(x), x, conditions, funclist, args, kw)


def _pieces(y: Any, x: Any, conditions: Any, functions: Any, args: Any, kw: Any) -> Any:
    for condition, f in zip(conditions, functions, strict=True):
        if condition.any():
            y[condition] = f(x[condition], *args, **kw) if callable(f) else f
    return y


def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = canonical(arr)
    axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    batch = rows.shape[:-1]
    results = [canonical(func1d(rows[at], *args, **kwargs)) for at in itertools.product(*(range(n) for n in batch))]
    if not results:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    inner = np.shape(results[0])
    out = np.reshape(np.stack(results), batch + inner)
    return np.moveaxis(out, range(len(batch), out.ndim), range(axis, axis + len(inner)))


def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    val = canonical(a)
    n = val.ndim
    for axis in np.atleast_1d(axes).tolist():
        axis = axis + n if axis < 0 else axis
        res = canonical(func(val, axis))
        if res.ndim != val.ndim:
            res = np.expand_dims(res, axis)
            if res.ndim != val.ndim:
                raise ValueError("function is not returning an array of the correct shape")
        val = res
    return val


def _any_parameters(op: Composite) -> Composite:
    op.params = AnyName()
    op.asked = None  # it calls functions of the user's, which is done once
    return op


add(
    Composite(
        np.select,
        _select,
        arrays=0,
        domain=[
            case([np.array([True, False, False]), np.array([True, True, False])], [A(3), A(3)], A()),
            case([np.array([True, False])], [A(2)], 0.5),
        ],
    )
)
add(
    Composite(
        np.choose,
        _choose,
        domain=[case([0, 1, 0], [A(3), A(3)]), case([[0], [1]], (A(3), A())), case([2, -1], [A(2), A(2)], mode="wrap")],
    )
)
PIECES = [
    case(A(3), [[True, False, True]], [np.sin, lambda x: x * x]), case(A(), [True], [np.sin]),
    case(A(2, 2), [np.eye(2) > 0, np.eye(2) < 1], [np.exp, 2.0]),
]  # fmt: skip
ROWS = [case(np.cumsum, 0, A(3, 2)), case(np.sum, -1, A(2, 3)), case(lambda row: row[0] * row, 1, A(2, 3))]
add(_any_parameters(Composite(np.piecewise, _piecewise, arrays=None, domain=PIECES)))
add(_any_parameters(Composite(np.apply_along_axis, _apply_along_axis, arrays=None, domain=ROWS)))
add(
    Composite(
        np.apply_over_axes,
        _apply_over_axes,
        arrays=None,
        domain=[case(np.sum, A(2, 3, 2), [0, 2]), case(np.mean, A(2, 3), -1)],
    )
)
