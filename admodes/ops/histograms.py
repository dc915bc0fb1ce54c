"""Histograms: sums over bins of weights, in which they are linear, and of ones.

In the data the sums are piecewise constant.  The edges of a given number of bins lie evenly between the smallest and
the largest value, and move with these two; a density is divided by their distances.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..core.dispatch import canonical, highest, primitive
from ..core.domain import A, OnlyReal, case, spaced
from ..core.registry import Composite, Passive, add
from .index import scatter

# ---------------------------------------------------------------------------------------------------
# Bins
# ---------------------------------------------------------------------------------------------------


def _cells(a: Any, bins: Any, span: Any) -> Any:
    """Of each value its bin, from 1 to n; 0 below them all, n + 1 above.  The last one has both its ends."""
    edges = np.histogram_bin_edges(a, bins, span)
    return np.searchsorted(edges, a, side="right") - (a == edges[-1])


def _number(a: Any, rule: str, span: Any) -> int:
    """How many bins one of NumPy's rules makes of these values."""
    return len(np.histogram_bin_edges(a, rule, span)) - 1


cells_of = primitive(Passive(_cells, arrays=2, name="histogram_cells"))
number_of = primitive(Passive(_number, arrays=1, name="histogram_number"))


def _edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    a = np.ravel(canonical(a))
    if isinstance(bins, str):
        if weights is not None:
            raise TypeError("Automated estimation of the number of bins is not supported for weighted data")
        bins = int(number_of(a, bins, range))
    if np.ndim(bins):
        return canonical(bins)
    if highest((a, range)) is None:
        return np.histogram_bin_edges(a, bins, range)
    low, high = range if range is not None else (np.min(a), np.max(a)) if a.size else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    dtype = np.result_type(low, high, a)
    dtype = dtype if dtype.kind in "fc" else np.result_type(dtype, float)
    return np.linspace(low, high, operator.index(bins) + 1, dtype=dtype)


# ---------------------------------------------------------------------------------------------------
# Sums over bins
# ---------------------------------------------------------------------------------------------------

length_of = primitive(Passive(lambda places: len(np.bincount(places)), arrays=1, name="bincount_length"))
counts_of = primitive(Passive(lambda places, size: np.bincount(places, minlength=size), arrays=1, name="bincount"))


def _sums(places: Any, size: int, weights: Any) -> Any:
    return counts_of(places, size) if weights is None else scatter(weights, (places,), (size,), 1)


def _flat(weights: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """The weights of the values of an array of this shape, on one axis; None where there are none."""
    if weights is None:
        return None
    weights = canonical(weights)
    if np.shape(weights) != shape:
        raise ValueError(f"the weights have the shape {np.shape(weights)}, what they weigh has {shape}")
    if dtype is not None:
        kind = np.result_type(weights)
        if not np.can_cast(kind, dtype):
            raise TypeError(f"Cannot cast array data from {kind!r} to {np.dtype(dtype)!r} according to the rule 'safe'")
        weights = np.astype(weights, dtype)
    return np.ravel(weights)


def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    places = canonical(x)
    return _sums(places, max(int(length_of(places)), minlength), _flat(weights, np.shape(places), float))


def _histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    a = canonical(a)
    edges, flat = _edges(a, bins, range, weights), _flat(weights, np.shape(a))
    sums = _sums(cells_of(np.ravel(a), bins, range), len(edges) + 1, flat)[1:-1]
    return (sums / np.astype(np.diff(edges), float) / np.sum(sums) if density else sums), edges


def _length(bins: Any) -> int:
    return len(bins) if isinstance(bins, str | list | tuple) or np.ndim(bins) else 0


def _histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    points = canonical(sample)
    if not hasattr(sample, "shape") or points.ndim != 2:
        points = np.transpose(np.atleast_2d(points))
    count, dims = points.shape
    asked = list(bins) if _length(bins) else [bins] * dims
    spans = [None] * dims if range is None else list(range)
    if len(asked) != dims or len(spans) != dims:
        raise ValueError(f"bins and range must have one entry for each of the {dims} dimensions of the sample x")
    values = [x if span is None else np.astype(x, float) for x, span in zip(points.T, spans, strict=True)]
    axes = list(zip(values, asked, spans, strict=True))
    edges = [_edges(*axis) for axis in axes]
    shape = tuple(len(e) + 1 for e in edges)
    places: Any = 0
    for n, axis in zip(shape, axes, strict=True):
        places = places * n + cells_of(*axis)
    sums = np.reshape(_sums(places, math.prod(shape), _flat(weights, (count,), float)), shape)
    sums = np.astype(sums[(slice(1, -1),) * dims], float)
    if density:
        total = np.sum(sums)
        for k, e in enumerate(edges):
            sums = sums / np.reshape(np.diff(e), (-1,) + (1,) * (dims - 1 - k))
        sums = sums / total
    return sums, edges


def _histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    if _length(bins) > 2:  # the edges of both
        bins = [bins, bins]
    sums, (first, second) = _histogramdd([x, y], bins, range, density, weights)
    return sums, first, second


W = A(5, within=((0.5, 2.0),))
PLACES, SPAN = np.array([0.3, 1.2, 0.4, 1.9, 3.0]), (0.0, 3.0)
# fmt: off
add(Composite(np.bincount,    _bincount, domain=OnlyReal([case([0, 2, 0, 1], A(4)),
    case([1, 1], weights=A(2), minlength=4)])))
add(Composite(np.histogram_bin_edges, _edges, domain=OnlyReal([case(A(4)), case(A(2, 3), 3), case(A(4), "sqrt"),
    case(A(4), 2, (-4.0, 4.0))])))
add(Composite(np.histogram,   _histogram, domain=OnlyReal([case(spaced(5), 3), case(spaced(5), 3, density=True),
    case(PLACES, 3, weights=W), case(PLACES, 2, SPAN, True, W), case(PLACES, spaced(4), density=True, weights=W)])))
add(Composite(np.histogram2d, _histogram2d, arrays=2, domain=OnlyReal([case(PLACES, PLACES[::-1], 2, weights=W),
    case(PLACES, PLACES, [[0, 1, 3], 2], [SPAN, SPAN], True, W), case(PLACES, spaced(5), [0, 1, 2, 3], weights=W)])))
_dd = add(Composite(np.histogramdd, _histogramdd, arrays=0, domain=OnlyReal([case(PLACES[:, None], 2, weights=W),
    case([spaced(5), PLACES, PLACES[::-1]], (2, 3, [0, 2, 4]), density=True, weights=W)])))
# fmt: on
_dd.asked = None  # of its two results one is a list
