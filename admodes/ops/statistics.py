"""Order statistics and moments: sort and partition, median and quantiles, weighted means, covariance.

A quantile is linear in the sorted elements: between the two that enclose it, at a place that follows from q and the
number of elements.  Near a point without ties the order is constant, so the derivative goes to those two elements.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..core.directions import trailing
from ..core.dispatch import canonical, primitive
from ..core.domain import POSITIVE, A, OnlyReal, along_one, case
from ..core.registry import Composite, Passive, add
from ..core.tracing import Tracer
from .reduction import to_last

# ---------------------------------------------------------------------------------------------------
# Sorted elements
# ---------------------------------------------------------------------------------------------------


def _no_fields(order: Any) -> None:
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")


def _sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    _no_fields(order)
    if axis is None:
        a, axis = np.ravel(a), -1
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind="stable"), axis=axis)


def _partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None) -> Any:
    _no_fields(order)
    if axis is None:
        a, axis = np.ravel(a), -1
    return np.take_along_axis(a, np.argpartition(a, kth, axis=axis, kind=kind), axis=axis)


add(Composite(np.sort, _sort, domain=along_one(case(A(2, 3), axis=None))))
add(
    Composite(
        np.sort_complex,
        lambda a: np.sort(np.astype(a, a.dtype if a.dtype.kind == "c" else np.result_type(a.dtype, np.complex128))),
        domain=[case(A(4, dtype="c"))],
    )
)
add(
    Composite(
        np.partition,
        _partition,
        domain=[case(A(5), 2), case(A(2, 4), [1, 3], axis=-1), case(A(4, 2), 1, axis=0), case(A(2, 3), 2, axis=None)],
    )
)

# ---------------------------------------------------------------------------------------------------
# Quantiles
# ---------------------------------------------------------------------------------------------------

# The methods whose place among n sorted elements is (n + 1 − α − β) q + α − 1, cut to 0 … n − 1: their α and β
# (Hyndman and Fan, Sample quantiles in statistical packages, 1996).  In q the others are constant between jumps.
CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


ELEMENTS = {"inverted_cdf", "closest_observation", "lower", "higher", "nearest"}  # each gives one of the elements


def _jumping_place(q: Any, n: Any, method: str) -> Any:
    """The place among n sorted elements that NumPy takes: its quantile of the numbers 0 … n − 1."""
    place = np.zeros(np.broadcast_shapes(np.shape(q), np.shape(n)))
    for count in np.unique(n)[np.unique(n) > 0].tolist():
        here = np.reshape(np.quantile(np.arange(float(count)), np.ravel(q), method=method), np.shape(q))
        place = np.where(np.equal(n, count), here, place)
    return place


jumping_place = primitive(Passive(_jumping_place, arrays=2, name="quantile_place", zero=True))


def _place(q: Any, n: Any, method: str) -> Any:
    if method not in CONTINUOUS:
        return jumping_place(q, n, method)
    alpha, beta = CONTINUOUS[method]
    return np.clip((n + 1 - alpha - beta) * q + (alpha - 1), 0, np.maximum(n - 1, 0))


def _quantile_of(a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any, skip_nan: bool) -> Any:
    """The quantiles q, of any shape; their axes stand first in the result."""
    a, q = canonical(a), canonical(q)
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError("quantiles must be in the range [0, 1] (percentiles in [0, 100])")
    rows, kept = to_last(a, axis)
    if not rows.shape[-1]:
        raise ValueError("a quantile of no elements is not defined")
    if weights is None:
        y = _enclosed(rows, q, method, skip_nan)
    else:
        chosen = weighted_choice(rows, q, to_last(weights_of(weights, a, axis), axis)[0], method, skip_nan)
        y = rows[_at(rows, chosen)]
    return np.reshape(y, np.shape(q) + kept) if keepdims else y


def _enclosed(rows: Any, q: Any, method: str, skip_nan: bool) -> Any:
    """Quantiles along the last axis: first + weight · (second − first) of the two elements that enclose each."""
    size, missing = rows.shape[-1], np.isnan(rows)
    n = np.sum(~missing, axis=-1) if skip_nan and np.any(missing) else size
    place = _place(np.reshape(q, np.shape(q) + (1,) * (rows.ndim - 1)), n, method)
    place = np.broadcast_to(place, np.shape(q) + rows.shape[:-1])
    below = np.astype(np.floor(place), np.intp)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    order = _order(rows, below, above)
    first, second = (rows[_at(rows, order[_at(rows, k)])] for k in (below, above))
    dtype = rows.dtype if type(q) in (int, float) or method in ELEMENTS else np.result_type(rows, q)
    weight = np.astype(place - below, dtype)
    step = np.where(np.isinf(second) & (weight == 0), 0, second - first)  # 0 · ∞ is not wanted
    return _with_nan(first + step * weight, np.equal(n, 0) if skip_nan else np.any(missing, axis=-1), skip_nan)


def _with_nan(y: Any, absent: Any, skip_nan: bool) -> Any:
    if not np.any(absent):
        return y
    if skip_nan:
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=2)
    return np.where(absent, np.nan, y)


def _order(rows: Any, below: Any, above: Any) -> Any:
    """Positions of the sorted elements; only those that are asked for need be right."""
    if isinstance(below, Tracer) or isinstance(above, Tracer):  # known only when the recorded program runs
        return np.argsort(rows, axis=-1, kind="stable")
    return np.argpartition(rows, np.unique(np.concatenate([np.ravel(below), np.ravel(above)])), axis=-1)


def _at(rows: Any, k: Any) -> tuple[Any, ...]:
    """The index of element k (*q, *batch) of each of the rows (*batch, n)."""
    return (*np.ogrid[tuple(slice(m) for m in rows.shape[:-1])], k)


def _weighted_choice(rows: Any, q: Any, weights: Any, method: str, skip_nan: bool) -> Any:
    """Positions of the weighted quantiles: the elements that NumPy gives."""
    y = (np.nanquantile if skip_nan else np.quantile)(rows, q, axis=-1, method=method, weights=weights)
    y = np.asarray(y)[..., None]
    return np.argmax((rows == y) | np.isnan(rows) & np.isnan(y), axis=-1)


weighted_choice = primitive(Passive(_weighted_choice, arrays=3, name="weighted_choice"))


def _quantile(
    a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile_of(a, q, axis, method, keepdims, weights, skip_nan=False)


def _nanquantile(
    a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile_of(a, q, axis, method, keepdims, weights, skip_nan=True)


def _of_hundred(quantile: Any) -> Any:
    def percentile(
        a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: bool = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        return quantile(a, canonical(q) / 100, axis, method=method, keepdims=keepdims, weights=weights)

    return percentile


def _middle(quantile: Any) -> Any:
    def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
        return quantile(a, 0.5, axis, keepdims=keepdims)

    return median


QUANTILES = OnlyReal([
    case(A(5), A(within=((0.3, 0.45),))), case(A(2, 5), [0.1, 0.6], axis=-1),
    case(A(2, 5), 0.35, axis=(0, 1), keepdims=True), case(A(5), 0.7, method="lower"),
    case(A(4, 2), 0.6, axis=0, method="hazen"), case(A(2, 5), [[0.3], [0.9]]), case(A(0, 3), 0.4, axis=1),
])  # fmt: skip
add(Composite(np.quantile, _quantile, domain=QUANTILES))
add(Composite(np.nanquantile, _nanquantile, domain=QUANTILES))
add(
    Composite(
        np.percentile,
        _of_hundred(_quantile),
        domain=OnlyReal(
            [
                case(A(5), A(within=((20.0, 45.0),))),
                case(A(2, 5), [20, 60.0], axis=-1),
                case(A(4), 50.0, method="lower"),
            ]
        ),
    )
)
add(
    Composite(
        np.nanpercentile,
        _of_hundred(_nanquantile),
        domain=OnlyReal(
            [
                case(A(5), A(within=((20.0, 45.0),))),
                case(A(2, 5), [20, 60.0], axis=-1),
                case(A(4), 50.0, method="lower"),
            ]
        ),
    )
)
add(
    Composite(
        np.median,
        _middle(_quantile),
        domain=OnlyReal(along_one(case(A(2, 3, 2), axis=(0, 2), keepdims=True), case(A(2, 3)))),
    )
)
add(
    Composite(
        np.nanmedian,
        _middle(_nanquantile),
        domain=OnlyReal(along_one(case(A(2, 3, 2), axis=(0, 2), keepdims=True), case(A(2, 3)))),
    )
)

# ---------------------------------------------------------------------------------------------------
# Weighted means and moments
# ---------------------------------------------------------------------------------------------------


def weights_of(weights: Any, a: Any, axis: Any) -> Any:
    """Weights in the shape of a: given so, or in the shape of the axes alone."""
    weights = canonical(weights)
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = [k + a.ndim for k in trailing(axis, a.ndim)]
    if weights.shape != tuple(a.shape[k] for k in axes):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    in_order = np.transpose(weights, tuple(int(k) for k in np.argsort(axes)))
    return np.broadcast_to(np.reshape(in_order, [n if k in axes else 1 for k, n in enumerate(a.shape)]), a.shape)


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    a = canonical(a)
    if weights is None:
        y = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full(np.shape(y), a.size / max(np.size(y), 1), dtype=np.result_type(y))
    else:
        w = weights_of(weights, a, axis)
        total = np.sum(w, axis=axis, dtype=np.result_type(a.dtype, w.dtype), keepdims=keepdims)
        if np.any(total == 0):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        y = np.sum(a * w, axis=axis, keepdims=keepdims) / total
    return (y, total) if returned else y


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """Σ w (x − x̄)(x − x̄)ᴴ / (Σw − ddof Σ(w a) / Σw), the variables in the rows."""
    x = _rows(m, rowvar)
    if y is not None:
        x = np.concatenate([x, _rows(y, rowvar or np.ndim(y) < 2)], axis=0)
    x = np.astype(x, np.dtype(dtype or np.result_type(x.dtype, np.float64)))
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = _cov_weights(x.shape[1], fweights, aweights)
    total = x.shape[1] if w is None else np.sum(w)
    mean = np.mean(x, axis=1) if w is None else np.sum(x * w, axis=1) / total
    each = 1 if aweights is None else np.sum(w * canonical(aweights)) / total
    freedom = total - ddof * each
    if freedom <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        freedom = 0.0
    centred = x - mean[:, None]
    weighted = centred if w is None else centred * w
    return np.squeeze((centred @ np.conjugate(weighted.T)) * np.true_divide(1, freedom))


def _rows(m: Any, rowvar: bool) -> Any:
    m = canonical(m)
    if m.ndim > 2:
        raise ValueError("np.cov: an array has more than 2 dimensions")
    m = np.reshape(m, (1, -1)) if m.ndim < 2 else m
    return m if rowvar or m.shape[0] == 1 else m.T


def _cov_weights(n: int, fweights: Any, aweights: Any) -> Any:
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None and np.shape(w) != (n,):
            raise ValueError(f"np.cov: {name} must have the shape ({n},), one weight an observation; got {np.shape(w)}")
        if w is not None and np.any(canonical(w) < 0):
            raise ValueError(f"{name} cannot be negative")
    if fweights is not None and np.any(np.asarray(fweights) != np.around(fweights)):
        raise TypeError("fweights must be integer")
    given = [np.astype(canonical(w), np.float64) for w in (fweights, aweights) if w is not None]
    return given[0] * given[1] if len(given) == 2 else given[0] if given else None


def _excess(c: Any) -> Any:
    """By how much rounding carries a correlation beyond ±1."""
    cut = np.clip(np.real(c), -1, 1) + (1j * np.clip(np.imag(c), -1, 1) if np.iscomplexobj(c) else 0)
    return cut - c


excess = primitive(Passive(_excess, arrays=1, name="excess"))


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = _cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviation[:, None] / deviation[None, :]
    return c + excess(c)


add(
    Composite(
        np.average,
        _average,
        domain=[
            case(A(4)),
            case(A(2, 3), axis=1, weights=A(3, within=POSITIVE, dtype="f")),
            case(A(2, 3), weights=A(2, 3, within=POSITIVE, dtype="f"), returned=True),
            case(A(2, 3), axis=0, keepdims=True),
        ],
    )
)
add(
    Composite(
        np.cov,
        _cov,
        domain=[
            case(A(2, 4)),
            case(A(4)),
            case(A(4), A(4)),
            case(A(4, 2), rowvar=False, bias=True),
            case(A(2, 4), aweights=A(4, within=POSITIVE, dtype="f")),
            case(A(2, 4), fweights=[1, 2, 1, 3], ddof=0),
        ],
    )
)
add(Composite(np.corrcoef, _corrcoef, domain=[case(A(2, 4)), case(A(4), A(4)), case(A(4, 2), rowvar=False)]))


# ---------------------------------------------------------------------------------------------------
# Sets of values: each value is one of the elements
# ---------------------------------------------------------------------------------------------------


def _distinct(ar: Any, axis: int | None, equal_nan: bool) -> tuple[Any, Any, Any]:
    """Of the distinct values: where each stands first, where each element went, how often each is there."""
    return np.unique(ar, True, True, True, axis=axis, equal_nan=equal_nan)[1:]


distinct = primitive(Passive(_distinct, arrays=1, name="unique", shape_from_values=True))


def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    ar = canonical(ar)
    extras = distinct(ar, axis, equal_nan)
    values = np.ravel(ar)[extras[0]] if axis is None else np.take(ar, extras[0], axis=axis)
    asked = [
        extra for extra, wanted in zip(extras, (return_index, return_inverse, return_counts), strict=True) if wanted
    ]
    return (values, *asked) if asked else values


def _unique_all(x: Any) -> Any:
    kind = type(np.unique_all(np.zeros(1)))
    index, inverse, counts = distinct(x, None, False)
    return kind(np.ravel(x)[index], index, np.reshape(inverse, x.shape), counts)


def _unique_counts(x: Any) -> Any:
    values, _, _, counts = _unique_all(x)
    return type(np.unique_counts(np.zeros(1)))(values, counts)


def _unique_inverse(x: Any) -> Any:
    values, _, inverse, _ = _unique_all(x)
    return type(np.unique_inverse(np.zeros(1)))(values, inverse)


def _intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The values are those of the first array."""
    one, two = np.ravel(canonical(ar1)), np.ravel(canonical(ar2))
    first, places = common(one, two, assume_unique)
    y = np.astype(one[first], np.result_type(one.dtype, two.dtype))
    return (y, first, places) if return_indices else y


def _common(one: Any, two: Any, assume_unique: bool) -> Any:
    return np.intersect1d(one, two, assume_unique, return_indices=True)[1:]


common = primitive(Passive(_common, arrays=2, name="intersect1d", shape_from_values=True))


def _setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    one = np.ravel(canonical(ar1)) if assume_unique else _unique(ar1)
    return np.compress(~np.isin(one, ar2, assume_unique=True), one)


def _setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    both = [_setdiff1d(ar1, ar2, assume_unique), _setdiff1d(ar2, ar1, assume_unique)]
    return np.sort(np.concatenate(both))


# fmt: off
add(Composite(np.unique,         _unique,
    domain=OnlyReal([case(A(4)), case(A(2, 3)), case(A(3, 2), axis=0)])))
add(Composite(np.unique_values,  lambda x: _unique(x, equal_nan=False), domain=OnlyReal([case(A(4))])))
add(Composite(np.unique_counts,  _unique_counts, domain=OnlyReal([case(A(4))])))
add(Composite(np.unique_inverse, _unique_inverse, domain=OnlyReal([case(A(2, 3))])))
add(Composite(np.unique_all,     _unique_all, domain=OnlyReal([case(A(2, 3))])))
add(Composite(np.union1d,        lambda ar1, ar2: _unique(np.concatenate([np.ravel(canonical(a)) for a in (ar1, ar2)])),
    domain=OnlyReal([case(A(3), A(2))])))
add(Composite(np.intersect1d,    _intersect1d, domain=OnlyReal([case(A(3), A(2)), case(A(2), [0.5])])))
add(Composite(np.setdiff1d,      _setdiff1d, domain=OnlyReal([case(A(3), A(2))])))
add(Composite(np.setxor1d,       _setxor1d, domain=OnlyReal([case(A(3), A(2))])))
# fmt: on
