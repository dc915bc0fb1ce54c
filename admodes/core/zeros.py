"""A zero stays zero: where a partial is infinite or nan and what it multiplies is exactly 0, the product is 0.

Products that look at each factor would cost every operation two passes more.  So a sweep multiplies as NumPy does, and
only where its results hold a nan, which no other product could hide, it is made once more, `keeping` zeros: each
row then gives way to its twin `strong`, whose products are `strong_product`: of an elementwise row that with its
partial, of a contraction each one of its sum, of any other linear map those with its columns.

A zero of a nested transform may be one that moves: of sqrt(u)² at u = 0 the factor √u is 0 here alone, and its product
with the infinite slope has a limit that no factor tells.  See `moving`.

Source: "strong zero", W. Moses and V. Churavy, Enzyme; ForwardDiff's NaN-safe mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np


class Keeping:
    """Sweeps that keep zeros, and whether they met a derivative that is not determined, of which no factor is."""

    __slots__ = ("undetermined",)

    def __init__(self) -> None:
        self.undetermined = False


_KEEPING: ContextVar[Keeping | None] = ContextVar("keeping", default=None)


def keeps_zeros() -> bool:
    """Whether the sweeps that begin in this context keep zeros."""
    return _KEEPING.get() is not None


@contextmanager
def keeping() -> Iterator[Keeping]:
    """In this context sweeps keep zeros."""
    this, around = Keeping(), _KEEPING.get()
    token = _KEEPING.set(this)
    try:
        yield this
    finally:
        _KEEPING.reset(token)
        if around is not None:
            around.undetermined |= this.undetermined


def undetermined() -> None:
    """Say that a derivative was met that does not exist (at a tie): its nan is to stay, for what multiplies it may be 0
    because of the other factor's own limit."""
    this = _KEEPING.get()
    if this is not None:
        this.undetermined = True


def kept(plain: Any, sweep: Callable[[], Any], doubtful: Callable[[], bool], settled: Callable[[Any], Any]) -> Any:
    """The result of `sweep`, which keeps zeros, for that of a plain one that holds a nan.

    plain: that result, and None where zeros are kept from the beginning, there being no plain sweep.
    doubtful: whether the sweep kept a zero that moves (see `moving`); then settled(result) takes its place.
    """
    if plain is None:
        result = sweep()
        return settled(result) if doubtful() else result
    with keeping() as this:
        result = sweep()
        if this.undetermined:
            return plain
        return settled(result) if doubtful() else result


def lost(tangents: Iterable[Any]) -> bool:
    """Whether an array, traced or plain, or one of those in a list of them, holds a nan; None holds nothing."""
    for t in tangents:
        kind = type(t)
        if kind is np.ndarray:
            if t.dtype.kind not in "fc":
                continue
            # One pass at the speed of memory: nan where an element is; else a number, or inf.  The sum of a few numbers
            # takes less; nan where two are inf and -inf too, it costs these a second look.
            if t.size <= 8:
                total = sum((t if t.ndim == 1 else t.ravel()).tolist())
            elif t.ndim == 1:
                total = t.dot(t)
            elif t.flags.c_contiguous:
                total = np.vdot(t, t)
            else:
                row = t.ravel(order="K")  # no copy of a transposed array, as vdot would make
                total = row.dot(row)
            if total != total:
                return True
        elif kind is float or kind is np.float64:
            if t != t:
                return True
        elif kind is list or kind is tuple:
            if lost(t):
                return True
        elif hasattr(t, "transform"):
            if lost((t.value,)):
                return True
        elif t is not None and t != t:
            return True
    return False


def lost_numbers(ys: Sequence[Any]) -> bool:
    """`lost`, of plain real numbers alone."""
    try:
        return math.isnan(math.fsum(ys))
    except (OverflowError, ValueError):  # a sum beyond all numbers, inf beside -inf
        return lost(ys)


def singular(x: Any) -> bool:
    """Whether an array, traced or plain, holds inf or nan."""
    while hasattr(x, "transform"):
        x = x.value
    return not np.isfinite(x).all()


SINGULAR_PRODUCTS = 10**7  # of more products than these a linear map is not written out


def by_columns(rule: Callable[..., Any], i: int, pulls: bool, product: Callable[..., Any]) -> Callable[..., Any]:
    """The push of argument i, or the pull, by its matrix where what it is given holds inf or nan: the sum of products
    of the elements with what the rule makes of the unit vectors."""

    def columns(t: Any, y: Any, *args: Any, **params: Any) -> Any:
        given, made = (y, args[i]) if pulls else (args[i], y)
        if isinstance(given, tuple | list):
            parts = [k for k, part in enumerate(t) if part is not None]
        else:
            given, t, parts = (given,), (t,), []
        ts = [t[k] for k in parts or (0,)]
        if not any(map(singular, ts)) or not _few(ts, made) or any(np.result_type(x).kind != "f" for x in given):
            return rule(t if parts else t[0], y, *args, **params)
        total: Any = None
        for k in parts or (0,):
            x, n = given[k], np.size(given[k])
            lead = t[k].shape[: t[k].ndim - np.ndim(x)]
            unit = np.reshape(np.eye(n, dtype=np.result_type(x)), (n, *np.shape(x)))
            units = [_unit_of(part, q == k, n, unit, t[q]) for q, part in enumerate(given)] if parts else unit
            one = _weighted(np.reshape(t[k], (*lead, n)), rule(units, y, *args, **params), product)
            total = one if total is None else total + one
        return total

    return columns


def _few(ts: Sequence[Any], made: Any) -> bool:
    return sum(map(np.size, ts)) * sum(map(np.size, made if isinstance(made, tuple | list) else (made,))) <= (
        SINGULAR_PRODUCTS
    )


def _unit_of(part: Any, this: bool, n: int, unit: Any, t: Any) -> Any:
    """A cotangent of one of several results: the unit vectors of this one, zeros of those that have any."""
    return unit if this else None if t is None else np.zeros((n, *np.shape(part)), np.result_type(part))


def _weighted(weights: Any, found: Any, product: Callable[..., Any]) -> Any:
    """Σₖ wₖ · found[k] for weights of shape (*lead, n), of each of several results."""

    def of(part: Any) -> Any:
        spread = np.reshape(weights, (*weights.shape, *(1,) * (part.ndim - 1)))
        return np.sum(product(spread, part), axis=weights.ndim - 1)

    if not isinstance(found, tuple | list):
        return of(found)
    parts = [None if part is None else of(part) for part in found]
    return found._make(parts) if hasattr(found, "_make") else type(found)(parts)


def strong_product(a: Any, b: Any) -> Any:
    """a · b, and 0 where either is exactly 0, whatever the other is."""
    with np.errstate(all="ignore"):
        y = np.multiply(a, b)
        return np.where(np.equal(a, 0) | np.equal(b, 0), y.dtype.type(0), y)[()]


def spoiled(x: Any, where: Any) -> Any:
    """x, and nan `where` it is not determined."""
    return np.where(where, np.nan, x).astype(np.result_type(x), copy=False)[()]
