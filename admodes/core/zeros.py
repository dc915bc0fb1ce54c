"""A zero stays zero: where a partial is infinite or nan and what it multiplies is exactly 0, the product is 0.

Products that look at each factor would cost every operation two passes more.  So a sweep multiplies as NumPy does, and
only where its results hold a nan, which no other product could hide, it is made once more, `keeping` zeros: each
elementwise row then gives way to its twin `strong`, whose products are `strong_product`.

Source: "strong zero", W. Moses and V. Churavy, Enzyme; ForwardDiff's NaN-safe mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_KEEPING: ContextVar[bool] = ContextVar("keeping", default=False)


def keeps_zeros() -> bool:
    """Whether the sweeps that begin in this context keep zeros."""
    return _KEEPING.get()


@contextmanager
def keeping() -> Iterator[None]:
    """In this context sweeps keep zeros."""
    token = _KEEPING.set(True)
    try:
        yield
    finally:
        _KEEPING.reset(token)


def lost(tangents: Iterable[Any]) -> bool:
    """Whether an array, traced or plain, or one of those in a list of them, holds a nan; None holds nothing."""
    for t in tangents:
        kind = type(t)
        if kind is np.ndarray:
            if t.dtype.kind not in "fc":
                continue
            # One pass at the speed of memory: nan where an element is; else a number, or inf.
            square = t.dot(t) if t.ndim == 1 else np.vdot(t, t)
            if square != square:
                return True
        elif kind is list or kind is tuple:
            if lost(t):
                return True
        elif kind is not float and hasattr(t, "transform"):
            if lost((t.value,)):
                return True
        elif t is not None and t != t:
            return True
    return False


def strong_product(a: Any, b: Any) -> Any:
    """a · b, and 0 where either is exactly 0, whatever the other is."""
    with np.errstate(all="ignore"):
        y = np.multiply(a, b)
        return np.where(np.equal(a, 0) | np.equal(b, 0), y.dtype.type(0), y)[()]
