"""Sums, products, means, extremes and their running versions.

Every reduction takes dtype=, where= and initial= as NumPy means them: the first two change its argument, the last
its result (`_Options`), so that a rule knows only axis= and keepdims=.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..core.directions import along_axis, lead_shape, trailing, trailing_axis
from ..core.dispatch import canonical
from ..core.domain import A, OnlyReal, along_axes, along_one, case
from ..core.registry import OPS, Composite, Linear, Op, add, broadcast, size_of
from .ties import Extreme, expand


def _unreduce(u: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """The transpose of a sum over axes: constant along them."""
    if axis is None and u.ndim == 0:
        return broadcast(u, x.shape)
    removed = 0 if keepdims else len(trailing(axis, x.ndim))
    lead = u.ndim - (x.ndim - removed)
    return broadcast(expand(u, x, axis, keepdims, lead), u.shape[:lead] + x.shape)


def _sum(a: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
    return np.add.reduce(a, axis=axis, keepdims=keepdims, **options)


def _count(x: Any, axis: Any) -> int:
    n = 1
    for a in trailing(axis, x.ndim):
        n *= x.shape[a]
    return n


def chosen(a: Any, dtype: Any, where: Any, neutral: Any) -> Any:
    """The argument of a reduction in its dtype, with the elements that where= leaves out made neutral."""
    if dtype is not None:
        a = np.astype(a, np.dtype(dtype))
    return a if where is True else np.where(where, a, neutral)


def counted(a: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    """How many elements a reduction takes: a number, or an array where where= chooses them."""
    if where is True:
        return _count(a, axis)
    return np.sum(np.broadcast_to(where, a.shape), axis=axis, keepdims=keepdims)


class _Options(Op):
    """A reduction with dtype=, where= and initial=, in terms of the same reduction without them."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        rest = {k: params[k] for k in ("dtype", "where", "initial") if k in params}
        if not rest:
            return super().apply(trace, args, params)
        y = self.underived(trace, args, params)
        if y is not NotImplemented:
            return y
        return self.with_options(args[0], {k: v for k, v in params.items() if k not in rest}, **rest)

    def with_options(
        self, a: Any, own: dict[str, Any], dtype: Any = None, where: Any = True, initial: Any = None
    ) -> Any:
        raise NotImplementedError


class _Sum(_Options, Linear):
    def with_options(
        self, a: Any, own: dict[str, Any], dtype: Any = None, where: Any = True, initial: Any = None
    ) -> Any:
        y = np.sum(chosen(a, dtype, where, 0), **own)
        return y if initial is None else y + initial


class _Mean(_Options, Linear):
    def with_options(
        self, a: Any, own: dict[str, Any], dtype: Any = None, where: Any = True, initial: Any = None
    ) -> Any:
        if where is True:
            return np.mean(chosen(a, dtype, True, 0), **own)
        known = counted(a, own.get("axis"), own.get("keepdims", False), where)
        y = np.sum(chosen(a, dtype, where, 0), **own)
        return y / known.astype(y.dtype)


class _Running(_Options, Linear):
    def with_options(
        self, a: Any, own: dict[str, Any], dtype: Any = None, where: Any = True, initial: Any = None
    ) -> Any:
        return self.fn(chosen(a, dtype, True, 0), **own)


CHOICE = np.array([[True, False, True], [True, True, False]])
SUMS = along_axes(
    case(A(2, 3), where=CHOICE, axis=1), case(A(2, 3), axis=0, initial=2.0), case(A(2, 3), -1), case(A(0, 3)),
    case(A(0, 3), axis=0),
)  # fmt: skip
MEANS = along_axes(
    case(A(2, 3), where=CHOICE, axis=1),
    case(A(2, 3), where=CHOICE, axis=0, keepdims=True),
    case(A(2, 3), -1),
)
# Of one axis, all elements or none.
RUNNING = along_one(case(A(2, 3)), case(A()), case(A(), axis=-1), case(A(1)), case(A(5)), case(A(0)))

# fmt: off
add(_Sum(np.sum,
    lambda t, x, axis=None, keepdims=False: np.sum(t, axis=trailing(axis, x.ndim), keepdims=keepdims),
    lambda u, x, axis=None, keepdims=False: _unreduce(u, x, axis, keepdims),
    evaluate=_sum, flops=lambda y, x, **_: size_of(x), domain=SUMS,
    params=["axis", "keepdims", "dtype", "where", "initial"]))
add(_Mean(np.mean,
    lambda t, x, axis=None, keepdims=False: np.mean(t, axis=trailing(axis, x.ndim), keepdims=keepdims),
    lambda u, x, axis=None, keepdims=False: _unreduce(u / _count(x, axis), x, axis, keepdims),
    flops=lambda y, x, **_: size_of(x), domain=MEANS, params=["axis", "keepdims", "dtype", "where"]))
# fmt: on


def _cumsum(t: Any, x: Any, axis: int | None = None) -> Any:
    if axis is None or not x.ndim:
        return np.cumsum(np.reshape(t, lead_shape(t, x) + (x.size,)), axis=-1)
    return np.cumsum(t, axis=trailing_axis(axis, x.ndim))


def _cumsum_transpose(u: Any, x: Any, axis: int | None = None) -> Any:
    """Running sums from the other end."""
    flat = axis is None or not x.ndim
    k = -1 if axis is None or flat else trailing_axis(axis, x.ndim)
    g = np.flip(np.cumsum(np.flip(u, axis=k), axis=k), axis=k)
    return np.reshape(g, u.shape[: u.ndim - 1] + x.shape) if flat else g


add(_Running(np.cumsum, _cumsum, _cumsum_transpose, flops=1.0, domain=RUNNING, params=["axis", "dtype"]))


# Extremes: the derivative goes to the largest element, in equal shares where several are ---------------


class _Extreme(_Options, Extreme):
    def with_options(
        self, a: Any, own: dict[str, Any], dtype: Any = None, where: Any = True, initial: Any = None
    ) -> Any:
        if initial is None:
            if where is True:
                return self.fn(a, **own)
            raise ValueError(
                f"reduction operation '{self.name}' does not have an identity, so to use where= give initial="
            )
        pairwise = np.maximum if self.fn is np.max else np.minimum
        if not _count(a, own.get("axis")):
            return np.sum(a, **own) + initial
        return pairwise(self.fn(chosen(a, None, where, initial), **own), initial)


EXTREMES = along_axes(
    case(A(2, 3), where=CHOICE, axis=1, initial=0.1),
    case(A(2, 3), axis=0, initial=0.1),
    case(A(2, 3), -1),
)

for _fn in (np.max, np.min):
    add(
        _Extreme(
            _fn, flops=lambda y, x, **_: size_of(x), domain=EXTREMES, params=["axis", "keepdims", "where", "initial"],
        )
    )  # fmt: skip
OPS[np.amax], OPS[np.amin] = OPS[np.max], OPS[np.min]


# Products: by pairwise halving, so that zeros are right at every order -----------------------------------


def to_last(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """The reduced axes as one last axis, and the shape that keepdims would keep."""
    axes = [k + a.ndim for k in trailing(axis, a.ndim)]
    kept = [k for k in range(a.ndim) if k not in axes]
    shape = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    moved = np.transpose(a, kept + axes)
    return np.reshape(moved, tuple(a.shape[k] for k in kept) + (_count(a, axis),)), shape


def _prod(
    a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    x, shape = to_last(_counting(chosen(a, dtype, where, 1)), axis)
    while x.shape[-1] > 1:
        n = x.shape[-1]
        pairs = x[..., : n // 2] * x[..., n // 2 : 2 * (n // 2)]
        x = np.concatenate([pairs, x[..., n - 1 :]], axis=-1) if n % 2 else pairs
    y = x[..., 0] if x.shape[-1] else np.sum(x, axis=-1) + 1
    y = np.reshape(y, shape) if keepdims else y
    return y if initial is None else y * initial


def _counting(a: Any) -> Any:
    """Booleans as integers, as in NumPy's sums and products."""
    return a * 1 if a.dtype.kind == "b" else a


def _cumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running products by doubling: after step k each element holds the product of its last 2ᵏ."""
    a = _counting(chosen(a, dtype, True, 1))
    a, axis = along_axis(a, axis)
    x = np.moveaxis(a, axis, -1)
    step = 1
    while step < x.shape[-1]:
        x = np.concatenate([x[..., :step], x[..., step:] * x[..., :-step]], axis=-1)
        step *= 2
    return np.moveaxis(x, -1, axis)


add(
    Composite(
        np.prod,
        _prod,
        domain=along_axes(
            case(A(2, 3), where=CHOICE, axis=1),
            case(A(5), initial=2.0),
            case(A(0, 3)),
            case(A(0, 3), axis=0),
        ),
    )
)
add(Composite(np.cumprod, _cumprod, domain=RUNNING))


def _cumulative(running: Any, first: int) -> Any:
    """np.cumulative_sum and np.cumulative_prod, which may begin with the empty sum or product."""

    def body(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        if axis is None and x.ndim > 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        x = np.atleast_1d(x)
        axis = 0 if axis is None else axis
        y = running(x, axis=axis, dtype=dtype)
        if not include_initial:
            return y
        start = np.full([1 if k == axis % y.ndim else n for k, n in enumerate(y.shape)], first, dtype=y.dtype)
        return np.concatenate([start, y], axis=axis)

    return body


CUMULATIVE = [case(A(4)), case(A(2, 3), axis=-1, include_initial=True), case(A(2, 3), axis=0), case(A(0, 3), axis=1)]
add(Composite(np.cumulative_sum, _cumulative(np.cumsum, 0), domain=CUMULATIVE))
add(Composite(np.cumulative_prod, _cumulative(np.cumprod, 1), domain=CUMULATIVE))


# In terms of the rows above ------------------------------------------------------------------------------


def _var(
    a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False, *,
    where: Any = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    if correction is not None and ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    a = chosen(a, dtype, True, 0)
    if mean is None:
        mean = np.mean(a, axis=axis, keepdims=True, where=where)
    squares = np.sum(_squares(a - mean), axis=axis, keepdims=keepdims, where=where)
    freedom = _freedom(counted(a, axis, keepdims, where), ddof if correction is None else correction)
    return squares / freedom.astype(squares.dtype)


def _squares(z: Any) -> Any:
    """|z|², without the kink of the absolute value."""
    return np.real(z) ** 2 + np.imag(z) ** 2 if z.dtype.kind == "c" else z * z


def _freedom(known: Any, ddof: Any) -> Any:
    """Degrees of freedom, of the kind that gives nan or inf, not an error, where there are none."""
    return np.maximum(known - ddof, 0)


def _std(
    a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False, *,
    where: Any = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    return np.sqrt(_var(a, axis, dtype, ddof, keepdims, where=where, mean=mean, correction=correction))


def _ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = canonical(a)
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    one = [1 if k == axis % a.ndim else m for k, m in enumerate(a.shape)]
    ends = [np.broadcast_to(e, one) if e is not None and np.ndim(e) == 0 else e for e in (prepend, append)]
    if prepend is not None or append is not None:
        a = np.concatenate([canonical(e) for e in (ends[0], a, ends[1]) if e is not None], axis=axis)
    x = np.moveaxis(a, axis, -1)
    for _ in range(n):
        x = x[..., 1:] != x[..., :-1] if x.dtype.kind == "b" else x[..., 1:] - x[..., :-1]
    return np.moveaxis(x, -1, axis)


def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x = np.ravel(canonical(ary))
    parts = [to_begin, x[1:] - x[:-1], to_end]
    return np.concatenate([np.astype(np.ravel(canonical(p)), x.dtype) for p in parts if p is not None])


SPREADS = [
    case(A(4)), case(A(2, 3), axis=None, keepdims=True), case(A(2, 3), axis=0, ddof=1), case(A(2, 3, 2), axis=(0, -1)),
    case(A(2, 3), where=CHOICE, axis=1), case(A(4), correction=1), case(A(0, 3), axis=1),
]  # fmt: skip
add(Composite(np.var, _var, domain=SPREADS))
add(Composite(np.std, _std, domain=SPREADS))
add(Composite(np.ptp, _ptp, domain=along_axes()))
add(
    Composite(
        np.diff,
        _diff,
        domain=along_one(
            case(A(2, 4), n=2),
            case(A(3), n=0),
            case(A(3), prepend=A(), append=A(2)),
            case(A(2, 3), axis=0, append=A(1, 3)),
        ),
    )
)
add(
    Composite(
        np.ediff1d, _ediff1d, domain=[case(A(4)), case(A(2, 2)), case(A(3), to_end=A(2), to_begin=A(1)), case(A(1))]
    )
)


# Where nan stands for an element that is not there ----------------------------------------------------------


def without_nan(a: Any, value: Any) -> Any:
    return np.where(np.isnan(a), value, a)


def _nan_reduction(reduce: Any, neutral: Any) -> Any:
    """nansum and nanprod."""

    def body(
        a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Any:
        return reduce(without_nan(a, neutral), axis, dtype, keepdims=keepdims, initial=initial, where=where)

    return body


def _nan_extreme(reduce: Any, beyond: float) -> Any:
    """nanmax and nanmin: elements that are not there lie beyond all others; nan where there is no other."""

    def body(a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
        y = reduce(without_nan(a, beyond), axis=axis, keepdims=keepdims, initial=initial, where=where)
        none = np.all(np.isnan(a), axis=axis, keepdims=keepdims)
        if initial is not None or not np.any(none):
            return y
        warnings.warn("All-NaN axis encountered", RuntimeWarning, stacklevel=2)
        return np.where(none, np.nan, y)

    return body


def _nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    return np.mean(a, axis, dtype, keepdims=keepdims, where=~np.isnan(a) & where)


def _nanvar(
    a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False, *,
    where: Any = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    known = ~np.isnan(a) & where
    return _var(without_nan(a, 0), axis, dtype, ddof, keepdims, where=known, mean=mean, correction=correction)


def _nanstd(
    a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False, *,
    where: Any = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    return np.sqrt(_nanvar(a, axis, dtype, ddof, keepdims, where=where, mean=mean, correction=correction))


# fmt: off
add(Composite(np.nansum,     _nan_reduction(np.sum, 0), domain=SUMS))
add(Composite(np.nanprod,    _nan_reduction(np.prod, 1), domain=along_axes()))
add(Composite(np.nanmax,     _nan_extreme(np.max, -np.inf), domain=OnlyReal(EXTREMES)))
add(Composite(np.nanmin,     _nan_extreme(np.min, np.inf), domain=OnlyReal(EXTREMES)))
add(Composite(np.nanmean,    _nanmean, domain=MEANS))
add(Composite(np.nanvar,     _nanvar, domain=SPREADS))
add(Composite(np.nanstd,     _nanstd, domain=SPREADS))
add(Composite(np.nancumsum,  lambda a, axis=None, dtype=None: np.cumsum(without_nan(a, 0), axis, dtype),
    domain=RUNNING))
add(Composite(np.nancumprod, lambda a, axis=None, dtype=None: np.cumprod(without_nan(a, 1), axis, dtype),
    domain=RUNNING))
# fmt: on


def _by_ufunc(fn: Any, array: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any, where: Any) -> Any:
    """ufunc.reduce by the reduction of its own name; max and min have no dtype=."""
    array = chosen(array, dtype, True, 0)
    return fn(array, axis=axis, keepdims=keepdims, initial=initial, where=where)


# The reductions of ufuncs, whose axis is 0 unless given.
for _ufunc, _reduced in ((np.add, np.sum), (np.multiply, np.prod), (np.maximum, np.max), (np.minimum, np.min)):
    OPS[(_ufunc, "reduce")] = Composite(
        _ufunc.reduce,
        lambda array, axis=0, dtype=None, keepdims=False, initial=None, where=True, fn=_reduced: _by_ufunc(
            fn, array, axis, dtype, keepdims, initial, where
        ),
        name=f"{_ufunc.__name__}.reduce",
        domain=[
            case(A(3)),
            case(A(2, 3)),
            case(A(2, 3), axis=-1, keepdims=True),
            case(A(2, 3, 2), axis=(0, 2)),
            case(A(2, 3), axis=None),
        ],
    )
    OPS[(_ufunc, "reduce")].asked = _ufunc.reduce
for _ufunc, _running in ((np.add, np.cumsum), (np.multiply, np.cumprod)):
    OPS[(_ufunc, "accumulate")] = Composite(
        _ufunc.accumulate, lambda array, axis=0, dtype=None, fn=_running: fn(array, axis=axis, dtype=dtype),
        name=f"{_ufunc.__name__}.accumulate", domain=[case(A(3)), case(A(2, 3)), case(A(2, 3), axis=-1), case(A(0, 2))],
    )  # fmt: skip
    OPS[(_ufunc, "accumulate")].asked = _ufunc.accumulate
