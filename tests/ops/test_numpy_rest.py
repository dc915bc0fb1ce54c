"""Reductions, statistics, polynomials, rearrangements and the functions that take functions, as plain NumPy snippets.

Each runs in both modes and is held against NumPy's own value, finite differences and, for second derivatives, finite
differences of its Jacobian.
"""

import copy

import numpy as np
import optree
import pytest

from admodes import jacfwd, jacrev, jvp, vjp
from admodes.core.dispatch import packed
from admodes.program import compile as compiled

RNG = np.random.default_rng(0)
V = np.array([0.3, -1.2, 2.5, 0.9, -0.4])
W = np.array([1.1, 0.4, 2.0, 0.7, 1.6])
M = RNG.normal(size=(3, 4))
N = RNG.normal(size=(3, 4))
C = RNG.normal(size=(2, 3, 4))
S = RNG.normal(size=(3, 3))
Z = RNG.normal(size=4) + 1j * RNG.normal(size=4)
ZM = RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3))
HOLE = np.array([[0.5, np.nan, -1.0, 2.0], [1.5, 0.2, np.nan, np.nan], [0.1, -0.7, 0.4, 3.0]])
MASK = np.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
INDEX = np.array([[2, 0, 1, 1], [0, 0, 2, 3], [1, 3, 3, 2]])
ZEROS = np.array([[1.5, 0.0, -2.0, 0.5], [0.0, 3.0, 0.0, 1.0], [2.0, -1.0, 0.5, 4.0]])
QUANTILES = np.array([0.13, 0.5, 0.87])
METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip


def changed(change):
    """A snippet that changes a new array in place and returns it."""

    def f(x, *rest):
        y = x + 0 * sum(np.sum(r) for r in rest)  # traced whichever argument is
        change(y, *rest)
        return y

    return f


def flat(f):
    """f with all its floating results in one real vector."""

    def g(*args):
        y = f(*args)
        parts = []
        for part in y if isinstance(y, tuple | list) else [y]:
            if isinstance(part, np.ndarray) and part.dtype == object:
                part = np.stack([np.reshape(e, ()) for e in part.ravel().tolist()])
            part = np.ravel(part)
            if part.dtype.kind == "c":
                parts += [np.real(part), np.imag(part)]
            elif part.dtype.kind == "f":
                parts.append(part)
        return np.concatenate(parts)

    return g


def as_real(x):
    """A complex array as a real one with a last axis of 2."""
    return np.stack([x.real, x.imag], axis=-1) if x.dtype.kind == "c" else x


def from_real(f, args):
    """f of the real forms of its arguments."""
    kinds = [np.asarray(a).dtype.kind == "c" for a in args]

    def g(*reals):
        return f(*(r[..., 0] + 1j * r[..., 1] if k else r for r, k in zip(reals, kinds, strict=True)))

    return g, [as_real(np.asarray(a)) for a in args]


def differences(f, args, k, h=1e-6):
    """Central differences of f by argument k; elements that are nan count as constant."""
    x = args[k]
    out = np.zeros((f(*args).size, *x.shape))
    for at in np.ndindex(x.shape):
        if np.isfinite(x[at]):
            ends = []
            for step in (h, -h):
                moved = x.copy()
                moved[at] += step
                ends.append(f(*args[:k], moved, *args[k + 1 :]))
            out[(slice(None), *at)] = (ends[0] - ends[1]) / (2 * h)
    return out


def same_value(a, b):
    if isinstance(a, tuple | list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same_value(x, y)
        return
    if isinstance(a, np.ndarray) and a.dtype == object:  # np.array of traced scalars
        return
    assert np.shape(a) == np.shape(b)
    assert np.result_type(a) == np.result_type(b)
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def verify(f, *args, second=True, h=1e-6):
    """Value, both modes, finite differences by every floating argument, and the second derivative."""
    args = [np.asarray(a) for a in args]
    numbers = tuple(k for k, a in enumerate(args) if a.dtype.kind in "fc")
    value = f(*args)
    same_value(jvp(lambda *xs: f(*xs), tuple(args), tuple(np.zeros_like(a) for a in args))[0], value)
    g, reals = from_real(flat(f), args)
    for k in numbers:
        forward, reverse = jacfwd(g, k)(*reals), jacrev(g, k)(*reals)
        np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-9)
        expected = differences(g, reals, k, h)
        np.testing.assert_allclose(forward, expected, rtol=2e-5, atol=2e-6)
        if second:

            def slope(x, k=k):
                return np.ravel(jacrev(g, k)(*reals[:k], x, *reals[k + 1 :]))

            bent = jacfwd(slope)(reals[k])
            np.testing.assert_allclose(bent, differences(slope, [reals[k]], 0, h), rtol=1e-4, atol=1e-5)
            again = jacrev(lambda x, k=k: np.ravel(jacfwd(g, k)(*reals[:k], x, *reals[k + 1 :])))(reals[k])
            np.testing.assert_allclose(bent, again, rtol=1e-8, atol=1e-8)


REDUCTIONS = {
    "sum": (lambda x: np.sum(x) ** 2, M),
    "sum axis": (lambda x: np.sum(x, 1) ** 2, M),
    "sum axes": (lambda x: np.sum(x, axis=(0, -1), keepdims=True) ** 2, C),
    "sum no axes": (lambda x: np.sum(x, axis=()) ** 2, M),
    "sum where": (lambda x: np.sum(x, where=MASK, axis=0, initial=2.5) ** 2, M),
    "sum where broadcasts": (lambda x: np.sum(x, where=MASK[0], axis=1) ** 2, M),
    "sum dtype": (lambda x: np.sum(x, dtype=np.complex128) ** 2, M),
    "sum positional": (lambda x: np.sum(x, 0, None, None, True) ** 2, M),
    "sum traced initial": (lambda x, i: np.sum(x + 0 * i, initial=i) ** 2, V, 1.5),
    "sum complex": (lambda z: np.sum(z, 0) ** 2, ZM),
    "sum method": (lambda x: x.sum(axis=1, keepdims=True) * x, M),
    "sum empty": (lambda x: np.sum(x[:0]) + x, V),
    "prod": (lambda x: np.prod(x), V),
    "prod zeros": (lambda x: np.prod(x, axis=1), ZEROS),
    "prod axes": (lambda x: np.prod(x, axis=(0, 2), keepdims=True), C),
    "prod where": (lambda x: np.prod(x, axis=0, where=MASK, initial=2.0), M),
    "prod complex": (lambda z: np.prod(z), Z),
    "prod dtype": (lambda x: x.prod(dtype=complex), V),
    "cumsum": (lambda x: np.cumsum(x) ** 2, M),
    "cumsum axis": (lambda x: np.cumsum(x, axis=-2) ** 2, C),
    "cumsum dtype": (lambda x: x.cumsum(0, dtype=complex) ** 2, M),
    "cumprod": (lambda x: np.cumprod(x), V),
    "cumprod zeros": (lambda x: np.cumprod(x, axis=1), ZEROS),
    "cumprod dtype": (lambda x: x.cumprod(axis=0, dtype=complex), M),
    "cumulative_sum": (lambda x: np.cumulative_sum(x, axis=1, include_initial=True) ** 2, M),
    "cumulative_prod": (lambda x: np.cumulative_prod(x, include_initial=True), V),
    "mean": (lambda x: np.mean(x) ** 2, M),
    "mean axes": (lambda x: x.mean(axis=(0, 1)) ** 2, C),
    "mean where": (lambda x: np.mean(x, axis=1, where=MASK, keepdims=True) ** 2, M),
    "mean dtype": (lambda x: np.mean(x, dtype=complex) ** 2, V),
    "var": (lambda x: np.var(x), M),
    "var axis ddof": (lambda x: np.var(x, axis=1, ddof=1), M),
    "var correction": (lambda x: np.var(x, axis=(0, 1), correction=1), C),
    "var where": (lambda x: np.var(x, axis=1, where=MASK, ddof=1, keepdims=True), M),
    "var mean": (lambda x: np.var(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)), M),
    "var other mean": (lambda x, m: np.var(x, mean=np.reshape(m, (1,))), V, 0.4),
    "var complex": (lambda z: np.var(z), Z),
    "var positional": (lambda x: x.var(0, None, None, 1, True), M),
    "std": (lambda x: np.std(x, axis=0), M),
    "std ddof where": (lambda x: np.std(x, ddof=1, where=MASK), M),
    "std method": (lambda x: x.std(ddof=1), V),
    "max": (lambda x: np.max(x) ** 2, M),
    "max axes": (lambda x: x.max(axis=(1, 2), keepdims=True) ** 2, C),
    "max initial": (lambda x: np.max(x, axis=0, initial=0.1) ** 2, M),
    "max traced initial": (lambda x, i: np.max(x + 0 * i, axis=0, initial=i) ** 2, M, 0.1),
    "max where": (lambda x: np.max(x, axis=1, where=MASK, initial=-9.0) ** 2, M),
    "max empty": (lambda x: np.max(x[:0], initial=x[1]) ** 2, V),
    "min": (lambda x: np.amin(x, axis=1) ** 2, M),
    "min where": (lambda x: x.min(initial=9.0, where=MASK) ** 2, M),
    "ptp": (lambda x: np.ptp(x, axis=1, keepdims=True) ** 2, M),
    "nansum": (lambda x: np.nansum(x, axis=1) ** 2, HOLE),
    "nansum where": (lambda x: np.nansum(x, axis=0, where=MASK, initial=1.0, keepdims=True) ** 2, HOLE),
    "nanprod": (lambda x: np.nanprod(x, axis=0), HOLE),
    "nanmean": (lambda x: np.nanmean(x, axis=1, keepdims=True) ** 2, HOLE),
    "nanmean where": (lambda x: np.nanmean(x, where=MASK) ** 2, HOLE),
    "nanvar": (lambda x: np.nanvar(x, axis=1, ddof=1), HOLE),
    "nanvar where": (lambda x: np.nanvar(x, where=MASK, correction=1), HOLE),
    "nanstd": (lambda x: np.nanstd(x, axis=1), HOLE),
    "nanmax": (lambda x: np.nanmax(x, axis=1) ** 2, HOLE),
    "nanmin": (lambda x: np.nanmin(x, axis=0, keepdims=True) ** 2, HOLE),
    "nancumsum": (lambda x: np.nancumsum(x, axis=1) ** 2, HOLE),
    "nancumprod": (lambda x: np.nancumprod(x), HOLE),
    "reduce": (lambda x: np.add.reduce(x, 1, None, None, True, 2.0, MASK) ** 2, M),
    "reduce prod": (lambda x: np.multiply.reduce(x, axis=(0, 1), where=MASK), M),
    "reduce max": (lambda x: np.maximum.reduce(x, initial=0.2) ** 2, M),
    "accumulate": (lambda x: np.multiply.accumulate(x, axis=1), M),
    "diff": (lambda x: np.diff(x) ** 2, V),
    "diff n axis": (lambda x: np.diff(x, 2, 0) ** 2, M),
    "diff ends": (lambda x, a: np.diff(x, prepend=a, append=x[:1]) ** 2, V, 0.3),
    "diff n=0": (lambda x: np.diff(x, n=0) ** 2, V),
    "ediff1d": (lambda x: np.ediff1d(x, to_end=x[:2], to_begin=1.0) ** 2, V),
}  # fmt: skip

STATISTICS = {
    **{f"quantile {m}": (lambda x, m=m: np.quantile(x, QUANTILES, axis=1, method=m) ** 2, C) for m in METHODS},
    **{f"nanquantile {m}": (lambda x, m=m: np.nanquantile(x, QUANTILES, axis=1, method=m) ** 2, HOLE) for m in METHODS},
    "median": (lambda x: np.median(x) ** 2, V),
    "median even": (lambda x: np.median(x, axis=1, keepdims=True) ** 2, M),
    "median axes": (lambda x: np.median(x, axis=(0, 2)) ** 2, C),
    "quantile 0-d": (lambda x: np.quantile(x, 0.3) ** 2, V),
    "quantile 2-d q": (lambda x: np.quantile(x, [[0.1, 0.4], [0.6, 1.0]], axis=0, keepdims=True) ** 2, M),
    "quantile of q": (lambda x, q: np.quantile(x, q) ** 2, V, QUANTILES - 0.05),
    "quantile of q hazen": (lambda x, q: np.quantile(x, q, method="hazen", axis=1) ** 2, M, 0.41),
    "quantile weights": (
        lambda x: np.quantile(x, QUANTILES, weights=np.arange(1.0, 6.0), method="inverted_cdf") ** 2, V,
    ),
    "quantile axis weights": (
        lambda x: np.quantile(x, 0.4, axis=1, weights=W[:4], method="inverted_cdf", keepdims=True) ** 2, M,
    ),
    "percentile": (lambda x: np.percentile(x, [12.5, 50, 77], axis=0) ** 2, M),
    "percentile positional": (lambda x: np.percentile(x, 33, 1, None, False, "midpoint", True) ** 2, M),
    "nanmedian": (lambda x: np.nanmedian(x, axis=1) ** 2, HOLE),
    "nanmedian all": (lambda x: np.nanmedian(x) ** 2, HOLE),
    "nanpercentile": (lambda x: np.nanpercentile(x, [20, 80], axis=0) ** 2, HOLE),
    "sort": (lambda x: np.sort(x) ** 2, V),
    "sort axis": (lambda x: np.sort(x, axis=0) ** 2, M),
    "sort flat": (lambda x: np.sort(x, axis=None) ** 2, M),
    "sort complex": (lambda z: np.sort(z) ** 2, Z),
    "sort_complex": (lambda x: np.sort_complex(x) ** 2, V),
    "partition": (lambda x: np.partition(x, 2) ** 2, V),
    "argsort": (lambda x, y: y[np.argsort(x)] * x ** 2, V, W),
    "lexsort": (lambda x: x[np.lexsort((x,))] ** 2, V),
    "average": (lambda x: np.average(x, axis=0) ** 2, M),
    "average weights": (lambda x, w: np.average(x, axis=1, weights=w) ** 2, M, W[:4]),
    "average same shape": (lambda x, w: np.average(x, weights=w), M, np.abs(N)),
    "average axes": (lambda x, w: np.average(x, (2, 0), weights=w, keepdims=True), C, np.arange(1.0, 9).reshape(4, 2)),
    "average returned": (lambda x, w: np.average(x, 0, w, True), M, W[:3]),
    "average returned plain": (lambda x: np.average(x, 0, returned=True), M),
    "average list": (lambda w: np.average([1.0, 2.0, 4.0], weights=w), W[:3]),
    "cov": (lambda x: np.cov(x), M),
    "cov 1-d": (lambda x: np.cov(x), V),
    "cov y": (lambda x, y: np.cov(x, y, bias=True), V, W),
    "cov columns": (lambda x: np.cov(x, rowvar=False, ddof=0), M),
    "cov y columns": (lambda x, y: np.cov(x, y, rowvar=False), M, N),
    "cov weights": (lambda x, w: np.cov(x, aweights=w, fweights=np.array([1, 2, 1, 3])), M, W[:4]),
    "cov aweights ddof": (lambda x, w: np.cov(x, aweights=w, ddof=0), M, W[:4]),
    "cov complex": (lambda z: np.cov(z), ZM),
    "corrcoef": (lambda x: np.corrcoef(x), M),
    "corrcoef y": (lambda x, y: np.corrcoef(x, y), V, W),
    "corrcoef columns": (lambda x: np.corrcoef(x[:, :2], rowvar=False), M),
    "bincount": (lambda w: np.bincount([0, 2, 2, 1, 5], weights=w, minlength=7) ** 2, V),
    "unique": (lambda x: np.unique(x) ** 2, V),
    "unique rest": (lambda x: np.unique(x, return_index=True, return_inverse=True, return_counts=True)[0] ** 2, V),
    "unique axis": (lambda x: np.unique(x, axis=0) ** 2, M),
    "unique_values": (lambda x: np.sort(np.unique_values(x)) ** 2, V),
    "unique_counts": (lambda x: np.unique_counts(x).values ** 2, V),
    "unique_inverse": (lambda x: np.unique_inverse(x).values ** 2, V),
    "unique_all": (lambda x: np.unique_all(x).values ** 2, V),
    "union1d": (lambda x, y: np.union1d(x, y) ** 2, V, W),
    "setdiff1d": (lambda x, y: np.setdiff1d(x, y) ** 2, V, W),
    "setxor1d": (lambda x, y: np.setxor1d(x, y) ** 2, V, W),
    "intersect1d": (lambda x: np.intersect1d(x, x[1:3]) ** 2, V),
}  # fmt: skip

POLYNOMIALS = {
    "polyval": (lambda p, x: np.polyval(p, x), V, M[0]),
    "polyval list": (lambda x: np.polyval([1, -2, 3], x), V),
    "polyval integers": (lambda p: np.polyval(p, np.array([1, 2])), V),
    "polyadd": (lambda p, q: np.polyadd(p, q) ** 2, V, W[:3]),
    "polysub": (lambda p: np.polysub([1, 2, 3, 4, 5, 6], p) ** 2, V),
    "polymul": (lambda p, q: np.polymul(p, q), V, W[:3]),
    "polydiv": (lambda p, q: np.polydiv(p, q), V, W[:3]),
    "polydiv short": (lambda p, q: np.polydiv(p, q)[1] ** 2, W[:2], V),
    "polyder": (lambda p: np.polyder(p, 2) ** 2, V),
    "polyint": (lambda p, k: np.polyint(p, 2, k) ** 2, V, W[:2]),
    "poly": (lambda r: np.poly(r), V),
    "poly complex": (lambda z: np.poly(z), Z),
    "poly matrix": (lambda a: np.poly(a), S @ S.T + np.diag([1.0, 2, 3])),
    "roots": (lambda p: np.roots(p), np.array([1.0, -6.0, 11.0, -6.1])),
    "roots at zero": (lambda p: np.roots(np.concatenate([np.zeros(1), p, np.zeros(2)])), np.array([2.0, 0.0, 3.0])),
    "vander": (lambda x: np.vander(x), V),
    "vander zero": (lambda x: np.vander(x, 3, increasing=True), np.array([0.0, 1.0, -2.0])),
    "polyfit": (lambda x, y: np.polyfit(x, y, 2), np.linspace(0, 1, 5) ** 1.3, V),
    "polyfit w": (lambda y, w: np.polyfit(np.arange(5.0), y, 1, w=w), V, W),
    "polyfit 2-d": (lambda y: np.polyfit(np.arange(3.0), y, 1), M),
    "polyfit cov": (lambda y: np.polyfit(np.arange(5.0), y, 1, cov=True), V),
    "polyfit unscaled": (lambda x, y: np.polyfit(x, y, 1, cov="unscaled")[1], np.arange(5.0), V),
    "polyfit full": (lambda y: np.polyfit(np.arange(5.0), y, 1, full=True)[:2], V),
    "poly1d": (lambda p, x: np.poly1d(p)(x), V, 1.3),
    "interp": (lambda x, xp, fp: np.interp(x, xp, fp), np.array([0.5, 2.2, -1.0, 9]), np.array([0.0, 1, 3, 4]), V[:4]),
    "interp ends": (lambda x, left: np.interp(x + 0 * left, [0.0, 1.0], [1.0, 2.0], left=left, right=x[0]), V, 7.0),
    "interp period": (lambda x, xp, fp: np.interp(x, xp, fp, period=4), V + 0.05, np.array([0.1, 2, 1.1, 7.3]), W[:4]),
    "interp 0-d": (lambda x: np.interp(x, [0.0, 1.0, 3.0], [1.0, 2.0, 7.0]) ** 2, 1.7),
    "interp one sample": (lambda x, fp: np.interp(x, [0.2], fp), V, W[:1]),
    "interp complex": (lambda x, fp: np.interp(x, np.arange(4.0), fp), np.array([0.5, 2.2]), Z),
    "trapezoid": (lambda y: np.trapezoid(y, dx=0.3) ** 2, V),
    "trapezoid x": (lambda y, x: np.trapezoid(y, x, axis=0) ** 2, M, np.array([0.0, 0.4, 1.5])),
    "trapezoid x 2-d": (lambda y, x: np.trapezoid(y, x=x) ** 2, M, N),
    "trapezoid dx": (lambda y, dx: np.trapezoid(y, dx=dx) ** 2, V, 0.3),
    "gradient": (lambda f: np.gradient(f), V),
    "gradient axes": (lambda f: np.gradient(f), M),
    "gradient step": (lambda f, h: np.gradient(f, h, edge_order=2), V, 0.3),
    "gradient coordinates": (lambda f, x: np.gradient(f, x), V, np.cumsum(W)),
    "gradient order 2": (lambda f, x: np.gradient(f, x, axis=1, edge_order=2), M, np.cumsum(W[:4])),
    "gradient mixed": (lambda f, x: np.gradient(f, 0.5, x, axis=(0, 2)), RNG.normal(size=(3, 2, 4)), np.cumsum(W[:4])),
    "unwrap": (lambda p: np.unwrap(p) ** 2, np.array([0.0, 3.0, -3.0, 2.0, -2.5])),
    "unwrap period": (lambda p, t: np.unwrap(p + 0 * t, period=t) ** 2, np.array([0.1, 3.0, 0.3, 3.9]), 4.0),
    "linspace": (lambda a, b: np.linspace(a, b, 5) ** 2, 0.3, 2.0),
    "linspace step": (lambda a: np.linspace(a, [1.0, 2.0], 4, endpoint=False, retstep=True, axis=1), W[:2]),
    "linspace one": (lambda a: np.linspace(a, 3.0, 1) ** 2, 0.3),
    "logspace": (lambda a, b: np.logspace(a, b, 4, base=b), 0.3, 2.0),
    "logspace bases": (lambda a, b: np.logspace(a, 1.0, 4, base=b), 0.3, W[:2]),
    "geomspace": (lambda a, b: np.geomspace(a, b, 5), 0.3, 20.0),
    "geomspace negative": (lambda a: np.geomspace(a, [-1.0, -2.0], 5, axis=1), -W[:2]),
    "i0": (lambda x: np.i0(x), V),
    "frexp": (lambda x: np.frexp(x)[0] ** 2, V),
    "nan_to_num": (lambda x: np.nan_to_num(x, nan=3.0) ** 2, HOLE),
    "nan_to_num traced": (
        lambda x: np.nan_to_num(np.where(x > 0, [np.inf, -np.inf, np.nan, 1, 2], x), nan=x[0], posinf=2.0) * x, V,
    ),
    "nan_to_num complex": (lambda z: np.nan_to_num(z) ** 2, Z),
    "real_if_close": (lambda x: np.real_if_close(x + 0j) ** 2, V),
    "real_if_close not": (lambda z: np.real_if_close(z) ** 2, Z),
}  # fmt: skip

PADS = {
    **{f"pad {m}": (lambda x, m=m: np.pad(x, ((1, 2), (2, 3)), m) ** 2, M) for m in
       ("edge", "reflect", "symmetric", "wrap", "linear_ramp", "mean", "maximum", "minimum", "median", "constant")},
    **{f"pad odd {m}": (lambda x, m=m: np.pad(x, (2, 5), m, reflect_type="odd") ** 2, V[:3])
       for m in ("reflect", "symmetric")},
    "pad odd 2-d": (lambda x: np.pad(x, [(1, 0), (2, 4)], "reflect", reflect_type="odd") ** 2, M),
    "pad values": (lambda x, v: np.pad(x + 0 * v, 1, constant_values=v) ** 2, M, 0.3),
    "pad pairs": (lambda x: np.pad(x, ((1, 2),), constant_values=((1.0, 2.0), (3.0, 4.0))) ** 2, M),
    "pad ramp": (lambda x, v: np.pad(x + 0 * v, 3, "linear_ramp", end_values=(v, 2.0)) ** 2, V, 0.3),
    "pad stat_length": (lambda x: np.pad(x, 2, "mean", stat_length=((2, 3), (1, 9))) ** 2, M),
    "pad dict": (lambda x: np.pad(x, {1: (1, 2)}, "edge") ** 2, M),
    "pad complex": (lambda z: np.pad(z, 2, "reflect") ** 2, Z),
}  # fmt: skip

MOVES = {
    **PADS,
    "roll": (lambda x: np.roll(x, 2) * x, M),
    "roll axes": (lambda x: np.roll(x, (1, -1), axis=(0, 1)) * x, M),
    "rot90": (lambda x: np.rot90(x) ** 2, M),
    "rot90 k axes": (lambda x: np.rot90(x, -1, (2, 0)) ** 2, C),
    "tile": (lambda x: np.tile(x, (2, 1, 3)) ** 2, M),
    "tile scalar": (lambda x: np.tile(x, 2) ** 2, M),
    "repeat": (lambda x: np.repeat(x, 2) ** 2, M),
    "repeat counts": (lambda x: x.repeat([1, 0, 2], axis=0) ** 2, M),
    "block": (lambda x, y: np.block([[x, y], [y, x]]) ** 2, M, N),
    "block scalars": (lambda x: np.block([[x[0], 1.0], [x[1], x[2]]]) ** 2, V),
    "insert": (lambda x: np.insert(x, 2, 7.0) ** 2, V),
    "insert traced": (lambda x, v: np.insert(x, [1, 3], v, axis=1) ** 2, M, W[:2]),
    "insert row": (lambda x, v: np.insert(x, 1, v, axis=0) ** 2, M, W[:4]),
    "insert column": (lambda x, v: np.insert(x, 1, v, axis=1) ** 2, M, W[:3]),
    "insert slice": (lambda x: np.insert(x, slice(0, 4, 2), x[3]) ** 2, V),
    "delete": (lambda x: np.delete(x, 1) ** 2, V),
    "delete axis": (lambda x: np.delete(x, [0, -1], axis=1) ** 2, M),
    "delete mask": (lambda x: np.delete(x, MASK[0], 1) ** 2, M),
    "append": (lambda x, y: np.append(x, y) ** 2, M, V),
    "append axis": (lambda x: np.append(x, [[1.0, 2.0, 3.0, 4.0]], axis=0) ** 2, M),
    "resize": (lambda x: np.resize(x, (2, 7)) ** 2, V),
    "resize smaller": (lambda x: np.resize(x, 3) ** 2, M),
    "trim_zeros": (lambda x: np.trim_zeros(np.concatenate([np.zeros(2), x, x * 0])) ** 2, V),
    "trim_zeros front": (lambda x: np.trim_zeros(np.pad(x, 2), "f") ** 2, V),
    "meshgrid": (lambda x, y: np.meshgrid(x, y)[0] * np.meshgrid(x, y)[1], V, W[:3]),
    "meshgrid ij": (lambda x, y, z: np.meshgrid(x, y, z, indexing="ij", sparse=True), V, W[:3], W[:2]),
    "meshgrid list": (lambda x: np.meshgrid([1.0, 2.0], x), V),
    "broadcast_arrays": (lambda x, y: np.multiply(*np.broadcast_arrays(x, y)), V, M[:, :1]),
    "ix_": (lambda x: M[np.ix_([0, 2], [1, 3])] * np.ix_(x[:2], x[2:4])[0], V),
    "atleast": (lambda x, y: [a * 2 for a in np.atleast_2d(x, y)], V, 0.3),
    "atleast_3d": (lambda x: np.atleast_3d(x) ** 2, M),
    "vstack": (lambda x, y: np.vstack([x, y, [1.0, 2, 3, 4, 5]]) ** 2, V, W),
    "vstack array": (lambda x: np.vstack(x) ** 2, C),
    "hstack": (lambda x, y: np.hstack((x, y)) ** 2, V, W),
    "hstack dtype": (lambda x: np.hstack((x, x), dtype=complex) ** 2, V),
    "dstack": (lambda x, y: np.dstack([x, y]) ** 2, M, N),
    "column_stack": (lambda x, y: np.column_stack([x, y]) ** 2, V, W),
    "stack": (lambda x, y: np.stack([x, y], -1) ** 2, M, N),
    "concatenate": (lambda x, y: np.concatenate([x, y], 1) ** 2, M, N),
    "concatenate flat": (lambda x, y: np.concatenate((x, y), axis=None) ** 2, M, V),
    "concatenate dtype": (lambda x: np.concatenate([x, x], dtype=complex) ** 2, V),
    "concat": (lambda x, y: np.concat([x, y]) ** 2, V, W),
    "split": (lambda x: np.split(x, 2, axis=1)[1] ** 2, M),
    "array_split": (lambda x: np.array_split(x, 3), V),
    "hsplit": (lambda x: np.hsplit(x, [1, 3]), M),
    "vsplit": (lambda x: np.vsplit(x, 3), M),
    "dsplit": (lambda x: np.dsplit(x, 2)[0] ** 2, C),
    "unstack": (lambda x: np.unstack(x, axis=1), M),
    "permute_dims": (lambda x: np.permute_dims(x, (2, 0, 1)) ** 2, C),
    "rollaxis": (lambda x: np.rollaxis(x, 2) ** 2, C),
    "tril": (lambda x: np.tril(x, -1) ** 2 + np.triu(x, 1), S),
    "tril 1-d": (lambda x: np.tril(x) ** 2, V),
    "tril_indices": (lambda x: x[np.tril_indices_from(x)] ** 2 * np.sum(x[np.triu_indices(3, 1)]), S),
    "diag": (lambda x: np.diag(np.diag(x, 1), -1) ** 2, M),
    "diagflat": (lambda x: np.diagflat(x, 1) ** 2, M[:, :2]),
    "diagonal": (lambda x: x.diagonal(1, 1, 2) ** 2, C),
    "trace": (lambda x: np.trace(x, 1, 0, 2) ** 2, C),
    "trace dtype": (lambda x: x.trace(dtype=complex) ** 2, S),
    "take": (lambda x: np.take(x, [[0, -1], [2, 2]], axis=1) ** 2, M),
    "take flat wrap": (lambda x: np.take(x, [1, 17, -30], mode="wrap") ** 2, M),
    "take clip": (lambda x: x.take([1, 17], axis=-1, mode="clip") ** 2, M),
    "take_along_axis": (lambda x: np.take_along_axis(x, INDEX % 3, axis=0) ** 2, M),
    "take_along_axis broadcasts": (lambda x: np.take_along_axis(x, INDEX[:1, :2], axis=1) ** 2, M),
    "compress": (lambda x: np.compress([True, False, True], x, axis=0) ** 2, M),
    "compress method": (lambda x: x.compress([False, True, True, False, True]) ** 2, V),
    "extract": (lambda x: np.extract(x > 0, x) ** 2, M),
    "flatnonzero": (lambda x: np.ravel(x)[np.flatnonzero(x > 0.2)] ** 2, M),
    "choose": (lambda x, y: np.choose(INDEX[0] % 3, [x[:4], y[:4], 5.0]) * x[:4], V, W),
    "choose wrap": (lambda x: np.choose(INDEX, (x, -x), mode="wrap") * x, M),
    "select": (lambda x: np.select([x > 1, x > 0], [x ** 2, np.sin(x)], default=-x), V),
    "select broadcast": (lambda x, d: np.select([M > 0], [x[:4]], d) ** 2, V, 0.3),
    "piecewise": (lambda x: np.piecewise(x, [x < 0, x > 1], [lambda t: t ** 2, 3.0, np.sin]), V),
    "piecewise arguments": (
        lambda x: np.piecewise(x, [x < 0], [lambda t, a, b=1: a * t ** 3 + b, lambda t, a, b=1: t], 2.0, b=3), V,
    ),
    "piecewise 0-d": (lambda x: np.piecewise(x, [x < 0, x >= 0], [np.cos, np.sin]), 0.7),
    "where": (lambda x, y: np.where(x > y, x ** 2, x * y), V, W),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda r, k: np.sum(r) * r[:k], 1, x, 2), M),
    "apply_along_axis scalar": (lambda x: np.apply_along_axis(np.prod, 0, x), M),
    "apply_along_axis matrix": (lambda x: np.apply_along_axis(lambda r: np.outer(r, r), 1, x), C),
    "apply_over_axes": (lambda x: np.apply_over_axes(np.prod, x, [0, -1]), C),
    "vectorize": (lambda x: np.vectorize(lambda a, b: a * np.sin(a) + b)(x, 2.0), V),
    "vectorize signature": (lambda x: np.vectorize(lambda a: a / np.sum(a), signature="(n)->(n)")(x), np.abs(M)),
    "fromfunction": (lambda a: np.fromfunction(lambda i, j: a * i + j, (2, 3)) ** 2, 0.3),
    "einsum implicit": (lambda x, y: np.einsum("ij,jk", x, y.T), M, N),
    "einsum implicit order": (lambda x: np.einsum("ba", x) ** 2, M),
    "einsum ellipsis": (lambda x, y: np.einsum("...i,...i", x, y), C, M[0]),
    "einsum ellipsis output": (lambda x, y: np.einsum("i...,ij->j...", x, y), C, RNG.normal(size=(2, 2))),
    "einsum diagonal": (lambda x: np.einsum("ii->i", x) ** 2, S),
    "einsum trace": (lambda x: np.einsum("ii", x) ** 2, S),
    "einsum repeated": (lambda x, y: np.einsum("iij,jk->ik", x, y), RNG.normal(size=(2, 2, 3)), M),
    "einsum list form": (lambda x, y: np.einsum(x, [0, 1], y, [2, 1], [0, 2]), M, N),
    "einsum list implicit": (lambda x, y: np.einsum(x, [0, 1], y, [2, 1]), M, N),
    "einsum list ellipsis": (lambda x: np.einsum(x, [Ellipsis, 0], [0, Ellipsis]) ** 2, C),
    "einsum one": (lambda x, y: np.einsum("ij,ij->ij", x, y), M[:1], N),
    "einsum three": (lambda x, y, v: np.einsum("ij,kj,j->ik", x, y, v, optimize=True), M, N, W[:4]),
    "einsum chain": (lambda x: np.einsum("ij,jk,kl", x, x, x, optimize="greedy"), S),
    "einsum scalar": (lambda x, a: np.einsum(",i->i", a, x) ** 2, V, 0.3),
    "einsum sum": (lambda x: np.einsum("ij->j", x) ** 2, M),
    "einsum complex": (lambda z, x: np.einsum("ij,j->i", z, x), ZM, W[:3]),
    "einsum dtype": (lambda x: np.einsum("i,i->i", x, x, dtype=complex), V),
    "tensordot": (lambda x, y: np.tensordot(x, y, 1), M, RNG.normal(size=(4, 2))),
    "tensordot axes": (lambda x, y: np.tensordot(x, y, ([0, 2], [1, 0])), C, RNG.normal(size=(4, 2))),
    "tensordot negative": (lambda x, y: np.tensordot(x, y, axes=((-1,), (0,))), C, RNG.normal(size=(4, 2))),
    "tensordot int axes": (lambda x, y: np.tensordot(x, y, (1, 1)), M, N),
    "tensordot outer": (lambda x, y: np.tensordot(x, y, 0), V, W),
    "cross": (lambda x, y: np.cross(x, y), M[:, :3], N[:, :3]),
    "cross axes": (lambda x, y: np.cross(x, y, axisa=0, axisb=0, axisc=1), M, N),
    "vdot": (lambda x, z: np.vdot(x, z), ZM, ZM[::-1] * 1j),
    "vecdot": (lambda x, z: np.vecdot(x, z), ZM, ZM[::-1] * 1j),
    "vecdot axis": (lambda x, y: np.vecdot(x, y, axis=0), M, N),
    "matvec": (lambda x, y: np.matvec(x, y), C, W[:4]),
    "vecmat": (lambda x, y: np.vecmat(x, y), Z[:3], M),
    "inner outer kron": (lambda x, y: np.kron(x, y) * np.ravel(np.outer(x, y)) + np.inner(x, x), V, W[:3]),
    "convolve": (lambda x, y: np.convolve(x, y, "same"), V, W[:3]),
    "correlate": (lambda x, y: np.correlate(x, y, "full"), Z, Z[:2] * 1j),
    "aliases": (lambda x: np.pow(np.acos(x / 4), 2) + np.atan2(x, 2.0) + np.asinh(x), V),
    "nextafter": (lambda x: np.nextafter(x, 9.0) ** 2, V),
    "astype": (lambda x: np.astype(x, complex) ** 2 + x.astype(complex), V),
    "astype no copy": (lambda x: np.astype(x, float, copy=False) ** 2, V),
}  # fmt: skip

BUILDING = {
    "asarray": (lambda x: np.asarray(x) ** 2, V),
    "array": (lambda x: np.array(x) ** 2, M),
    "asanyarray": (lambda x: np.sin(np.asanyarray(x)), V),
    "ascontiguousarray": (lambda x: np.exp(np.ascontiguousarray(x)), V),
    "array of scalars": (lambda x: np.array([x[0] * x[1], np.sin(x[2]), 1.0]), V),
    "array nested": (lambda x: np.array([[x[0], 2.0], [np.cos(x[1]), x[2]]]) @ np.array([x[3], 1.0]), V),
    "array of rows": (lambda x: np.array([x, x ** 2, np.ones(5)]) ** 2, V),
    "array deeper": (lambda x: np.array([[[x[0]], [x[1]]], [[x[2] * x[3]], [3.0]]]) ** 2, V),
    "full": (lambda x: np.full(3, x) ** 2, 0.7),
    "full_like": (lambda x: np.full_like(x, x[0]) * x, V),
    "python sum": (lambda x: sum(x[i] * x[i - 1] for i in range(5)), V),
    "sum of list": (lambda x: np.sum([x[0], x[1] * x[2]]) ** 2, V),
    "mean of list": (lambda x: np.mean([x[:2], x[1:3] * x[2]], axis=0) ** 2, V),
    "max of list": (lambda x: np.max([x[0], x[1] * x[2]]) ** 2, V),
    "ndenumerate": (lambda x: np.array([v * (k[0] + 1) for k, v in np.ndenumerate(x)]), V),
}  # fmt: skip

METHODS_OF_ARRAYS = {
    "T": (lambda x: x.T @ x, M),
    "mT": (lambda x: x.mT @ x, C),
    "reshape": (lambda x: x.reshape(2, -1) @ x.reshape((-1, 2)), M),
    "reshape order": (lambda x: x.reshape(4, 3, order="F") ** 2, M),
    "transpose": (lambda x: x.transpose(1, 0) @ x, M),
    "transpose tuple": (lambda x: x.transpose((2, 0, 1)) ** 2, C),
    "copy": (lambda x: x.copy() * x, M),
    "copy.copy": (lambda x: copy.copy(x) * x, M),
    "deepcopy": (lambda x: copy.deepcopy(x) * x, M),
    "flat": (lambda x: np.array([v ** 2 for v in x.flat]), M),
    "flat index": (lambda x: x.flat[5] * x.flat[1:3], M),
    "flat assignment": (changed(lambda y, v: y.flat.__setitem__([1, 4], v)), M, W[:2]),
    "flat all": (changed(lambda y, v: setattr(y, "flat", v)), M, W[:2]),
    "flatten": (lambda x: x.flatten("F") ** 2, M),
    "ravel": (lambda x: x.ravel() ** 2, M),
    "ravel K": (lambda x: x.T.ravel("K") ** 2, M),
    "astype": (lambda x: x.astype(np.float64) * x.astype("c16"), M),
    "clip": (lambda x: x.clip(-0.5, 0.5) * x, M),
    "clip one": (lambda x: x.clip(min=-0.5) * x, M),
    "dot": (lambda x, y: x.dot(y), M, W[:4]),
    "squeeze": (lambda x: x[None].squeeze(0) ** 2, M),
    "swapaxes": (lambda x: x.swapaxes(0, 2) ** 2, C),
    "conj": (lambda z: z.conj() * z.conjugate().real + z.imag, Z),
    "item": (lambda x: x.item(2) * x[1].item(), V),
    "tolist": (lambda x: np.array(x.tolist()) ** 2, M),
    "sort": (changed(lambda y: y.sort()), M),
    "sort axis": (changed(lambda y: y.sort(axis=0)), M),
    "partition": (changed(lambda y: y.partition(2)), V),
    "fill": (changed(lambda y, v: y[:1].fill(v)), M, 0.3),
    "put": (changed(lambda y, v: y.put([0, -1], v)), M, W[:2]),
    "searchsorted": (lambda x: x * np.sort(x).searchsorted(0.5), V),
    "argmax": (lambda x: x[x.argmax()] * x[x.argmin()], V),
    "nonzero": (lambda x: x[(x > 0).nonzero()] ** 2, V),
    "choose": (lambda x: x * INDEX[0, :1].choose([1.0, 2.0, 3.0]), V),
    "round": (lambda x: x.round(1) * x, V),
    "floor": (lambda x: np.floor(x) * x + x // 1, V),
    "divmod": (lambda x: divmod(x, 0.7)[1] ** 2 + divmod(x, 0.7)[0], V),
    "iteration": (lambda x: np.stack([row * row[0] for row in x]), M),
    "len": (lambda x: x * len(x) * x.size * x.ndim, V),
}  # fmt: skip

IN_PLACE = {
    "copyto": (changed(lambda y, v: np.copyto(y, v)), M, W[:4]),
    "copyto where": (changed(lambda y, v: np.copyto(y, v, where=MASK)), M, N),
    "put": (changed(lambda y, v: np.put(y, [1, -1, 3], v)), M, W[:2]),
    "put wrap": (changed(lambda y, v: np.put(y, [1, 14], v, mode="wrap")), M, 0.3),
    "place": (changed(lambda y, v: np.place(y, MASK, v)), M, W[:2]),
    "putmask": (changed(lambda y, v: np.putmask(y, MASK, v)), M, V),
    "putmask full": (changed(lambda y, v: np.putmask(y, MASK, v ** 2)), M, N),
    "fill_diagonal": (changed(lambda y, v: np.fill_diagonal(y, v)), S, 0.3),
    "fill_diagonal wrap": (changed(lambda y, v: np.fill_diagonal(y, v, wrap=True)), RNG.normal(size=(5, 2)), W[:2]),
    "fill_diagonal 3-d": (changed(lambda y, v: np.fill_diagonal(y, v)), RNG.normal(size=(2, 2, 2)), 0.3),
    "put_along_axis": (changed(lambda y, v: np.put_along_axis(y, INDEX[:, :1], v, axis=1)), M, W[:3, None]),
    "put_along_axis flat": (changed(lambda y, v: np.put_along_axis(y, INDEX[0, :2], v, None)), M, 0.4),
    "view sees it": (changed(lambda y, v: np.copyto(y[0], v)), M, W[:4]),
    "out": (changed(lambda y: np.cumsum(y, out=y)), V),
    "sum out": (changed(lambda y: np.sum(y[:, :3], axis=1, out=y[:, 3])), M),
    "median out": (changed(lambda y: np.median(y, axis=1, out=y[:, 0])), M),
}  # fmt: skip

TABLES = {
    "reductions": REDUCTIONS,
    "statistics": STATISTICS,
    "polynomials": POLYNOMIALS,
    "moves": MOVES,
    "building": BUILDING,
    "methods": METHODS_OF_ARRAYS,
    "in place": IN_PLACE,
}
CASES = [pytest.param(*case, id=f"{area}: {name}") for area, table in TABLES.items() for name, case in table.items()]


@pytest.mark.parametrize("case", [(c.values[0], c.values[1:]) for c in CASES], ids=[c.id for c in CASES])
def test_snippet(case):
    f, args = case
    verify(f, *args)


# Compiled programs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [c.values for c in CASES[::4]], ids=[c.id for c in CASES[::4]])
def test_compiled(case):
    """The recorded program gives what running the derivative does, at another point too."""
    f, *args = case
    args = [np.asarray(a) for a in args]
    g, reals = from_real(flat(f), args)
    program = compiled(jacrev(g))
    for point in (reals[0], reals[0] * 0.99):
        np.testing.assert_allclose(program(point, *reals[1:]), jacrev(g)(point, *reals[1:]), rtol=1e-10, atol=1e-12)


# Single precision -----------------------------------------------------------------------------------------


# Where Python's operators work on the elements, a Python float does not widen float32, as it does in np.array.
BY_ELEMENT = ("moves: vectorize", "building: array nested", "methods: item", "methods: tolist")
TYPED = [c for c in CASES if c.id not in BY_ELEMENT]


@pytest.mark.parametrize("case", [c.values for c in TYPED], ids=[c.id for c in TYPED])
def test_dtype(case):
    """float32 arguments give the dtypes that NumPy gives; tangents and cotangents have those of what they belong to."""
    f, *args = case
    args = [a.astype({"f": np.float32, "c": np.complex64}[a.dtype.kind]) for a in map(np.asarray, args)]
    value = [v for v in optree.tree_leaves(f(*args)) if np.asarray(v).dtype.kind in "fc"]

    def kept(*xs):
        found = [y for y in optree.tree_leaves(f(*xs)) if np.result_type(y).kind in "fcO"]
        return [y if np.result_type(y).kind != "O" else packed(y) for y in found]

    y, tangent = jvp(kept, tuple(args), tuple(args))
    dtypes = [np.result_type(v) for v in value]
    assert [np.result_type(v) for v in y] == dtypes
    assert [np.result_type(t) for t in tangent] == dtypes
    y, pull = vjp(kept, *args)
    assert [np.result_type(v) for v in y] == dtypes
    assert [np.result_type(g) for g in pull([np.ones_like(v) for v in y])] == [np.result_type(a) for a in args]


# Ties, nan and memory ---------------------------------------------------------------------------------------


def test_ties():
    x = np.array([2.0, 1.0, 2.0, 0.0])
    np.testing.assert_array_equal(jacrev(np.max)(x), [0.5, 0, 0.5, 0])
    assert np.sum(jacrev(np.median)(x)) == 1
    np.testing.assert_array_equal(np.sum(jacfwd(np.sort)(x), axis=0), np.ones(4))


def test_nan_wins_a_maximum_and_gets_its_derivative():
    np.testing.assert_array_equal(jacrev(np.max)(np.array([1.0, np.nan, 3.0])), [0, 1, 0])


def test_a_copy_is_independent_and_a_view_is_not():
    def f(x):
        y = x * 1
        y.flatten()[0] = 7.0
        copy.copy(y)[0] = 8.0
        y.ravel()[1] = 9.0
        return y

    np.testing.assert_array_equal(f(V)[:2], [V[0], 9.0])
    np.testing.assert_array_equal(jacrev(f)(V), np.diag([1.0, 0, 1, 1, 1]))
