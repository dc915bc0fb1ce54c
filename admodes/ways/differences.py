"""Derivatives from values alone: divided differences, one-sided and central, and the complex step.

One-sided (f(x + h) − f(x)) / h with h = √ε·max(1, |x|) loses half of the digits, central differences with h = ∛ε·max(1,
|x|) a third.  The complex step, Im f(x + ih) / h, loses none, where f is made of analytic functions alone.

Source: Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import pytree

ONE_SIDED, CENTRAL, COMPLEX = "one-sided", "central", "complex step"

# Any step will do whose square vanishes beside 1 and that is no denormal number.
COMPLEX_STEP = {4: 1e-15, 8: 1e-100}


def raveled_function(f: Callable[..., Any], primals: tuple[Any, ...]) -> tuple[Callable[[Any], Any], Any]:
    """f as a function of one vector, and the vector of its primals."""
    leaves, structure = pytree.flatten(primals)
    leaves = [np.asarray(x) for x in leaves]
    kind = np.result_type(np.float32, *leaves)
    if len(primals) == 1 and len(leaves) == 1 and pytree.flatten(primals[0])[1] is None:
        shape = leaves[0].shape
        return lambda z: _vector(f(z.reshape(shape).copy()[()])), leaves[0].reshape(-1).astype(kind)

    def function(z: Any) -> Any:
        parts, start = [], 0
        for x in leaves:
            part = z[start : start + x.size].reshape(x.shape)
            dtype = x.dtype if x.dtype.kind == "f" and z.dtype.kind != "c" else z.dtype
            parts.append(part.astype(dtype)[()])  # a copy, which f may change
            start += x.size
        return _vector(f(*pytree.unflatten(structure, parts)))

    return function, np.concatenate([x.reshape(-1).astype(kind) for x in leaves])


def _vector(result: Any) -> Any:
    parts = [np.reshape(y, -1) for y in pytree.flatten(result)[0]]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def columns(f: Callable[..., Any], primals: tuple[Any, ...], scheme: str, count: int | None = None) -> Any:
    """The Jacobian of raveled f, (m, n), column by column; count: only so many of the first columns."""
    function, x = raveled_function(f, primals)
    count = x.size if count is None else count
    fixed = function(x) if scheme == ONE_SIDED else None
    found = [_divided(function, x, j, scheme, fixed) for j in range(count)]
    return np.stack(found, axis=-1) if found else np.zeros((0, 0))


def _divided(function: Callable[[Any], Any], x: Any, j: int, scheme: str, fixed: Any) -> Any:
    e = np.zeros_like(x)
    e[j] = 1
    return along(function, x, e, scheme, fixed, max(1.0, abs(float(x[j]))))


def along(function: Callable[[Any], Any], x: Any, v: Any, scheme: str, fixed: Any = None, size: float = 1.0) -> Any:
    """The derivative of a function of a vector along v, at steps for numbers of a size."""
    eps = float(np.finfo(x.dtype).eps)
    if scheme == COMPLEX:
        h = COMPLEX_STEP[x.dtype.itemsize]
        return np.imag(function(x + 1j * h * v)) / h
    if scheme == CENTRAL:
        h = _representable(x.dtype, size, size * eps ** (1 / 3))
        return (function(x + h * v) - function(x - h * v)) / (2 * h)
    h = _representable(x.dtype, size, size * eps**0.5)
    return (function(x + h * v) - (function(x) if fixed is None else fixed)) / h


def _representable(dtype: Any, size: float, h: float) -> float:
    """A step such that size + h − size is h to the last bit."""
    return float(dtype.type(size + h) - dtype.type(size))


def evaluations(scheme: str, count: int) -> int:
    """How often f is called for derivatives along so many directions."""
    return {ONE_SIDED: count + 1, CENTRAL: 2 * count, COMPLEX: count}[scheme]
