"""Powers, traces, and products of several matrices."""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core.dispatch import canonical
from ...core.domain import A, case
from ...core.registry import OPS, Composite, add
from ...core.tracing import Tracer
from .pieces import well


def _matrix_power(a: Any, n: int) -> Any:
    """By repeated squaring; a⁰ is the identity, of derivative zero."""
    try:
        n = operator.index(n)
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    square, power, n = np.linalg.inv(a) if n < 0 else a, None, abs(n)
    while n:
        if n % 2:
            power = square if power is None else power @ square
        n //= 2
        if n:
            square = square @ square
    return power


def _trace(x: Any, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x if dtype is None else np.astype(x, dtype), offset, -2, -1)


@lru_cache(maxsize=256)
def _cheapest(dims: tuple[int, ...]) -> Any:
    """The bracketing of a product of matrices, dims[i] × dims[i+1], of fewest multiplications, as nested pairs.

    Dynamic programming (Cormen et al., Introduction to Algorithms, section 15.2).
    """
    n = len(dims) - 1
    best: dict[tuple[int, int], tuple[int, Any]] = {(i, i + 1): (0, i) for i in range(n)}
    for width in range(2, n + 1):
        for i in range(n - width + 1):
            j = i + width
            best[i, j] = min(
                (
                    (best[i, k][0] + best[k, j][0] + dims[i] * dims[k] * dims[j], (best[i, k][1], best[k, j][1]))
                    for k in range(i + 1, j)
                ),
                key=lambda choice: choice[0],
            )
    return best[0, n][1]


def _lowest(arrays: Any) -> Any:
    """The transform below all others."""
    x = next(a for a in arrays if isinstance(a, Tracer))
    while isinstance(x.value, Tracer):
        x = x.value
    return x.transform


def _multi_dot(arrays: Any) -> Any:
    """The product of two or more arrays; the first and the last may be vectors."""
    arrays = [canonical(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    row, column = arrays[0].ndim == 1, arrays[-1].ndim == 1
    arrays[0] = arrays[0][None, :] if row else arrays[0]
    arrays[-1] = arrays[-1][:, None] if column else arrays[-1]
    if any(a.ndim != 2 for a in arrays):
        raise LinAlgError("np.linalg.multi_dot takes matrices, and vectors in the first and last place")

    recorder = _lowest(arrays)

    def product(order: Any) -> Any:
        if not isinstance(order, tuple):
            return arrays[order]
        a, b = product(order[0]), product(order[1])
        if isinstance(a, Tracer) or isinstance(b, Tracer):
            return a @ b
        return recorder.strip(OPS[np.matmul], (a, b), {})  # of constants: work all the same, to be counted

    y = product(_cheapest((*(a.shape[0] for a in arrays), arrays[-1].shape[1])))
    return y[(0,) * row + (slice(None),) * (not row) + ((0,) if column else ())]


# fmt: off
add(Composite(np.linalg.matrix_power, _matrix_power,
    domain=[case(A(3, 3), 3), case(A(2, 2), 0), case(A(2, 2), 1), case(well(2, 3, 3), -2), case(A(2, 2), 6)]))
add(Composite(np.linalg.multi_dot,    _multi_dot, arrays=0,
    domain=[case([A(2, 3), A(3, 4), A(4, 2)]), case([A(3), A(3, 2), A(2)]), case([A(2, 3), A(3)])]))
add(Composite(np.linalg.trace,        _trace, domain=[case(A(3, 3)), case(A(2, 2, 3), offset=1)]))
add(Composite(np.linalg.diagonal,     lambda x, offset=0: np.diagonal(x, offset, -2, -1),
    domain=[case(A(3, 3)), case(A(2, 2, 3), offset=1), case(A(2, 3, 2), offset=-1)]))
# fmt: on
