"""Squares of roots: |z|², hypot(a, b)², a norm squared and sqrt(u)² are polynomials, whose derivatives no kink touches.

Each transform tells of a value what it is the root of (`Trace.under`), as long as it knows.  The square of that is
carried out by the row `Op.square` of the root, which has the value of y² and the derivative of what is under the root.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import LeakedTracer
from .registry import Op
from .tracing import Tracer, apply, binary, highest

NUMBERS = frozenset({int, float, np.int64, np.float64})


def square(op: Op, x: Any) -> Any:
    """np.square(x)."""
    if not isinstance(x, Tracer):
        return op.evaluate(x)
    trace = x.transform
    if trace.closed:
        raise LeakedTracer
    y = trace.square_of_root(x)
    return trace.unary(op, x) if y is None else y


def product(op: Op, a: Any, b: Any) -> Any:
    """a · b, which may be y · y."""
    if a is not b:
        return binary(op, a, b)
    trace = a.transform
    if trace.closed:
        raise LeakedTracer
    y = trace.square_of_root(a)
    return trace.binary(op, a, a) if y is None else y


def power(op: Op, a: Any, b: Any) -> Any:
    """a to the power b, which may be 2."""
    if type(b) not in NUMBERS or b != 2 or not isinstance(a, Tracer):
        return binary(op, a, b)
    trace = a.transform
    if trace.closed:
        raise LeakedTracer
    y = trace.square_of_root(a)
    return trace.binary(op, a, b) if y is None else y


def value(square: Op, y: Any, xs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """y² as a transform below sees it: by the same row, if it differentiates."""
    trace = highest((y, xs))
    return apply(square, (y, *xs), params) if trace is not None and trace.derives else y**2
