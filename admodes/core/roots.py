"""Squares of roots: |z|², hypot(a, b)², a norm squared and sqrt(u)² are polynomials, whose derivatives no kink touches.

Each transform tells of a value what it is the root of (`Trace.under`), as long as it knows.  The square of that is
carried out by the row `Op.square` of the root, which has the value of y² and the derivative of what is under the root.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dispatch import apply, binary, highest, square_of_root, squared
from .registry import Op

NUMBERS = frozenset({int, float, np.int64, np.float64})


def product(op: Op, a: Any, b: Any) -> Any:
    """a · b, which may be y · y."""
    return squared(op, a, a) if a is b else binary(op, a, b)


def power(op: Op, a: Any, b: Any) -> Any:
    """a to the power b, which may be even."""
    if type(b) not in NUMBERS or b % 2 or b < 2:
        return binary(op, a, b)
    if b == 2:
        return squared(op, a, b)
    square = square_of_root(a)
    return binary(op, a, b) if square is None else binary(op, square, type(b)(b // 2))


def value(square: Op, y: Any, xs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """y² as a transform below sees it: by the same row, if it differentiates."""
    trace = highest((y, xs))
    return apply(square, (y, *xs), params) if trace is not None and trace.derives else y**2
