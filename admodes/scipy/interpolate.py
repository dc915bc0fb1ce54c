"""scipy.interpolate: splines, differentiated by where they are read and by their values or coefficients.

A spline is linear in its values.  The pull of reading one is the transposed design matrix, and that of finding the
coefficients a solve with the transposed collocation matrix, both sparse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate as si
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ..core.dispatch import canonical, highest, primitive
from ..core.domain import A, OnlyReal, case, spaced
from ..core.registry import OPS, Composite, Via, add
from .rows import as_argument, as_result, own
from .sparse import csr_array
from .sparse.linalg import spsolve

__all__ = ["BSpline", "CubicSpline", "make_interp_spline"]


def _doubles(x: Any) -> Any:
    """x in double precision, in which SciPy computes splines."""
    x = canonical(x)
    x = x if hasattr(x, "dtype") else np.asarray(x)[()]
    dtype = np.dtype(complex if x.dtype.kind == "c" else float)
    return x if x.dtype == dtype else np.astype(x, dtype)


def _first_to_last(c: Any, ndim: int) -> Any:
    """The leading direction of c, where there is one, as its last axis: the first is the coefficients'."""
    return c if c.ndim == ndim else np.moveaxis(c, 0, -1)


def _last_to_first(y: Any, lead: bool) -> Any:
    return np.moveaxis(y, -1, 0) if lead else y


def _beside(t: Any, trailing: int) -> Any:
    """A number for each place, beside values with further axes."""
    return np.reshape(t, t.shape + (1,) * trailing)


# ---------------------------------------------------------------------------------------------------
# B-splines:  y = B(x) c, and ∂ᵛ of it
# ---------------------------------------------------------------------------------------------------


def _read(c: Any, x: Any, t: Any, k: int, nu: int, extrapolate: bool) -> Any:
    return si.BSpline(t, c, k, extrapolate)(x, nu).astype(np.result_type(c, x), copy=False)


def _spread(u: Any, x: Any, t: Any, k: int, nu: int, extrapolate: bool) -> Any:
    """B⁽ᵛ⁾(x)ᵀ u, u of shape (*x.shape, …).  c′_i = k (c_{i+1} − c_i)/(t_{i+k+1} − t_{i+1}) leads from ν to ν − 1."""
    n = len(t) - k - 1
    u = np.reshape(u, (x.size, -1))
    return np.reshape(_spread_columns(u, x.ravel(), t, k, nu, extrapolate), (n, -1)).astype(u.dtype, copy=False)


def _spread_columns(u: Any, x: Any, t: Any, k: int, nu: int, extrapolate: bool) -> Any:
    n = len(t) - k - 1
    if nu > k:
        return np.zeros((n, u.shape[1]), u.dtype)
    if nu:
        inner = _spread_columns(u, x, t[1:-1], k - 1, nu - 1, extrapolate)
        gaps = t[k + 1 : -1] - t[1 : -k - 1]
        w = inner * np.where(gaps > 0, k / np.where(gaps > 0, gaps, 1), 0.0)[:, None]
        return np.pad(w, ((1, 0), (0, 0))) - np.pad(w, ((0, 1), (0, 0)))
    if not extrapolate:
        inside = (x >= t[k]) & (x <= t[n])
        u, x = np.where(inside[:, None], u, 0.0), np.where(inside, x, t[k])
    return si.BSpline.design_matrix(np.asarray(x, float), t, k, extrapolate=extrapolate).T @ u


def _read_push(t_: Any, y: Any, c: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    lead = t_.ndim > c.ndim
    return _last_to_first(read(_first_to_last(t_, c.ndim), x, knots=knots, k=k, nu=nu, extrapolate=extrapolate), lead)


def _read_push_place(t_: Any, y: Any, c: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    return _beside(t_, c.ndim - 1) * read(c, x, knots=knots, k=k, nu=nu + 1, extrapolate=extrapolate)


def _read_pull(u: Any, y: Any, c: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    lead = u.ndim > y.ndim
    u = np.moveaxis(u, 0, -1) if lead else u
    g = spread_back(u, x, knots=knots, k=k, nu=nu, extrapolate=extrapolate)
    return _last_to_first(np.reshape(g, (*c.shape, -1) if lead else c.shape), lead)


def _read_pull_place(u: Any, y: Any, c: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    slopes = read(c, x, knots=knots, k=k, nu=nu + 1, extrapolate=extrapolate)
    return np.sum(u * slopes, axis=tuple(range(1 - c.ndim, 0)))


def _spread_push(t_: Any, y: Any, u: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    """The columns of K directions stand beside each other."""
    lead = t_.ndim > u.ndim
    g = spread_back(np.moveaxis(t_, 0, -1) if lead else t_, x, knots=knots, k=k, nu=nu, extrapolate=extrapolate)
    return np.moveaxis(np.reshape(g, (*y.shape, -1)), -1, 0) if lead else g


def _spread_push_place(t_: Any, y: Any, u: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    changed = _beside(t_, u.ndim - x.ndim) * u
    return _spread_push(changed, y, u, x, knots=knots, k=k, nu=nu + 1, extrapolate=extrapolate)


def _spread_pull(v: Any, y: Any, u: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    lead = v.ndim > y.ndim
    g = read(_first_to_last(v, y.ndim), x, knots=knots, k=k, nu=nu, extrapolate=extrapolate)
    return _last_to_first(np.reshape(g, (*u.shape, -1) if lead else u.shape), lead)


def _spread_pull_place(v: Any, y: Any, u: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    slopes = _spread_pull(v, y, u, x, knots=knots, k=k, nu=nu + 1, extrapolate=extrapolate)
    return np.sum(u * slopes, axis=tuple(range(x.ndim - u.ndim, 0)))


def _evaluate_read(c: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    return _read(c, x, knots, k, nu, extrapolate)


def _evaluate_spread(u: Any, x: Any, *, knots: Any, k: int, nu: int, extrapolate: bool) -> Any:
    return _spread(u, np.asarray(x), knots, k, nu, extrapolate)


_T = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 2.5, 3.0, 3.0, 3.0, 3.0])
_AT = A(3, within=((0.2, 0.9), (1.2, 2.3)))
_PLAIN = {"knots": _T, "k": 3, "nu": 0, "extrapolate": True}
_FLOPS = 40.0
read: Any = primitive(
    own(
        Via(
            _evaluate_read,
            [as_result(_read_push), as_result(_read_push_place)],
            [as_argument(0, _read_pull), as_argument(1, _read_pull_place)],
            name="scipy.interpolate.BSpline-read",
            domain=OnlyReal([case(A(6), _AT, **_PLAIN), case(A(6, 2), _AT, **{**_PLAIN, "nu": 1})]),
            flops=lambda y, c, x, **_: _FLOPS * np.size(x) + 8 * np.size(y),
        )
    )
)
spread_back: Any = primitive(
    own(
        Via(
            _evaluate_spread,
            [as_result(_spread_push), as_result(_spread_push_place)],
            [as_argument(0, _spread_pull), as_argument(1, _spread_pull_place)],
            name="scipy.interpolate.BSpline-spread",
            domain=OnlyReal([case(A(3), _AT, **_PLAIN), case(A(3, 2), _AT, **{**_PLAIN, "nu": 1})]),
            flops=lambda y, u, x, **_: _FLOPS * np.size(x) + 8 * np.size(u),
        )
    )
)


class BSpline:
    """A spline by its knots and coefficients: Σ_i c_i B_{i,k}(x), with traced coefficients, read at traced places.

    t : the knots, plain numbers.
    c : the coefficients, along `axis`.
    k : the degree.
    extrapolate : whether the first and last polynomial go on outside; else nan.
    axis : that of the coefficients.

    Source: scipy.interpolate.BSpline; de Boor, "A Practical Guide to Splines" (revised ed., 2001), chapters IX and X.

    >>> from admodes import grad
    >>> t = np.array([0.0, 0.0, 1.0, 2.0, 2.0])
    >>> grad(lambda c: BSpline(t, c, 1)(0.25))(np.ones(3))
    array([0.75, 0.25, 0.  ])
    """

    def __init__(self, t: Any, c: Any, k: int, extrapolate: bool = True, axis: int = 0) -> None:
        if highest(t) is not None:
            raise TypeError("scipy.interpolate.BSpline: the knots t are traced; only c and x have a rule.")
        if extrapolate not in (True, False):
            raise ValueError(f"scipy.interpolate.BSpline: extrapolate={extrapolate!r} has no rule; True or False.")
        self.t, self.k = np.ascontiguousarray(t, float), int(k)
        self.c, self.axis, self.extrapolate = _doubles(c), axis, bool(extrapolate)

    def __call__(self, x: Any, nu: int = 0, extrapolate: bool | None = None) -> Any:
        """The values at x, or those of the nu-th derivative; extrapolate as for the spline."""
        extrapolate = self.extrapolate if extrapolate is None else bool(extrapolate)
        if highest((self.c, x)) is None:
            return si.BSpline(self.t, self.c, self.k, extrapolate, self.axis)(x, nu)
        x = _doubles(x)
        n = len(self.t) - self.k - 1
        c = np.moveaxis(self.c, self.axis, 0)[:n]
        y = read(c, x, knots=self.t, k=self.k, nu=nu, extrapolate=extrapolate)
        axis = self.axis % self.c.ndim
        return np.moveaxis(y, range(np.ndim(x)), range(axis, axis + np.ndim(x))) if axis else y

    def derivative(self, nu: int = 1) -> BSpline:
        """The nu-th derivative, a spline of degree k − nu."""
        t, c, k = self.t, np.moveaxis(self.c, self.axis, 0), self.k
        for _ in range(nu):
            gaps = t[k + 1 : -1] - t[1 : -k - 1]
            w = np.where(gaps > 0, k / np.where(gaps > 0, gaps, 1), 0.0)
            n = len(t) - k - 1
            c = (c[1:n] - c[: n - 1]) * np.reshape(w, (-1,) + (1,) * (c.ndim - 1))
            t, k = t[1:-1], k - 1
        return BSpline(t, np.moveaxis(c, 0, self.axis), k, self.extrapolate, self.axis)


def _bspline(t: Any, c: Any, x: Any, k: int = 3, nu: int = 0) -> Any:
    return BSpline(t, c, k)(x, nu)


OPS[BSpline] = add(
    Composite(
        _bspline,
        lambda c, x, nu=0: _bspline(_T, c, x, 3, nu),
        name="scipy.interpolate.BSpline",
        evaluate=lambda c, x, nu=0: si.BSpline(_T, c, 3)(x, nu),
        arrays=2,
        domain=OnlyReal([case(A(6), _AT), case(A(6, 2), _AT, nu=2)]),
    )
)
primitive(OPS[BSpline])

# ---------------------------------------------------------------------------------------------------
# The spline through values:  M c = y
# ---------------------------------------------------------------------------------------------------

Ends = Any


def _coefficients(y: Any, x: Any, knots: Any, k: int, ends: Ends) -> Any:
    return si.make_interp_spline(x, y, k, knots, ends).c


def _collocation(x: Any, t: Any, k: int, ends: Ends) -> tuple[Any, int]:
    """The matrix with M c = (conditions at the left, values, conditions at the right), and how many are at the left."""
    n = len(t) - k - 1
    blocks: tuple[list[Any], list[Any]] = ([], [])
    for side, given in enumerate(_conditions(ends, n - len(x))):
        for order, _ in given:
            row = _spread_columns(np.ones((1, 1)), np.array([x[-side]]), t, k, order, True)
            blocks[side].append(sp.csr_array(row.T))
    design = si.BSpline.design_matrix(np.asarray(x, float), t, k)
    return sp.vstack([*blocks[0], design, *blocks[1]]).tocsc(), len(blocks[0])


def _conditions(ends: Ends, count: int) -> Any:
    """(order, value) at the left end, and at the right."""
    if ends is None or ends == "not-a-knot" or not count:
        return [], []
    both = (ends, ends) if isinstance(ends, str) else ends
    words = {"natural": [(2, 0.0)], "clamped": [(1, 0.0)], "not-a-knot": []}
    return tuple([] if e is None else words[e] if isinstance(e, str) else list(e) for e in both)


def _widened(ends: Ends, trailing: tuple[int, ...]) -> Ends:
    """Conditions of the value 0 for so many further axes."""
    if ends is None or isinstance(ends, str):
        return ends
    return tuple(
        e if e is None or isinstance(e, str) else [(order, np.zeros(trailing)) for order, _ in e] for e in ends
    )


def _found(y: Any, *, x: Any, knots: Any, k: int, ends: Ends) -> Any:
    return _coefficients(y, x, knots, k, ends).astype(np.result_type(y, np.float32), copy=False)


def _found_back(u: Any, *, x: Any, knots: Any, k: int, ends: Ends) -> Any:
    matrix, left = _collocation(x, knots, k, ends)
    flat = np.reshape(u, (u.shape[0], -1)).astype(float)
    g = spl.splu(matrix).solve(np.ascontiguousarray(flat), trans="T")[left : left + len(x)]
    return np.reshape(g, (len(x), *u.shape[1:])).astype(u.dtype, copy=False)


def _along_last(rule: Any, t_: Any, x_: Any, ends: Ends, **given: Any) -> Any:
    lead = t_.ndim > x_.ndim
    t_ = _first_to_last(t_, x_.ndim)
    return _last_to_first(rule(t_, ends=_widened(ends, t_.shape[1:]), **given), lead)


def _found_rules(rule: Any) -> Any:
    return lambda t_, y, x_, ends, **given: _along_last(rule, t_, x_, ends, **given)


_X = np.array([0.0, 0.7, 1.5, 2.0, 3.1, 4.0])
_THROUGH = [
    {"x": _X, "knots": si.make_interp_spline(_X, _X, k, bc_type=e).t, "k": k, "ends": e}
    for k, e in ((3, None), (2, None), (3, ([(2, 0.0)], [(1, 0.5)])), (1, None))
]
through: Any = primitive(
    own(
        Via(
            _found,
            [as_result(_found_rules(lambda *args, **given: through(*args, **given)))],
            [as_argument(0, _found_rules(lambda *args, **given: through_back(*args, **given)))],
            name="scipy.interpolate.make_interp_spline-coefficients",
            domain=OnlyReal([case(A(6), **given) for given in _THROUGH] + [case(A(6, 2), **_THROUGH[0])]),
            flops=lambda y, *_, k, **__: 10.0 * k * np.size(y),
        )
    )
)
_NATURAL = {**_THROUGH[2], "ends": ([(2, 0.0)], [(1, 0.0)])}
through_back: Any = primitive(
    own(
        Via(
            _found_back,
            [as_result(_found_rules(lambda *args, **given: through_back(*args, **given)))],
            [as_argument(0, _found_rules(lambda *args, **given: through(*args, **given)))],
            name="scipy.interpolate.make_interp_spline-transposed",
            domain=OnlyReal([case(A(6), **_THROUGH[0]), case(A(8), **_NATURAL)]),
            flops=lambda y, *_, k, **__: 10.0 * k * np.size(y),
        )
    )
)


def make_interp_spline(
    x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> Any:
    """The spline of degree k through values.

    Parameters
    ----------
    x : increasing places, plain numbers.
    y : values, along `axis`.
    k : the degree.
    t : the knots; SciPy's choice where they are left out.
    bc_type : conditions at the ends: None ("not-a-knot"), "natural", "clamped", or a pair of lists of (order, value).
    axis : that of the values.
    check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    A `BSpline`.

    Raises
    ------
    TypeError : traced x, knots or conditions.
    ValueError : "periodic" and traced values.

    Source: scipy.interpolate.make_interp_spline; de Boor, "A Practical Guide to Splines" (revised ed., 2001), XIII.

    >>> from admodes import grad
    >>> x = np.arange(4.0)
    >>> grad(lambda y: make_interp_spline(x, y, k=1)(1.5))(x)
    array([0. , 0.5, 0.5, 0. ])
    """
    if highest((x, t, bc_type)) is not None:
        raise TypeError(
            "scipy.interpolate.make_interp_spline: x, t or bc_type is traced; it has a rule by y alone. CubicSpline "
            "has one by x too."
        )
    if highest(y) is None:
        found = si.make_interp_spline(x, y, k, t, bc_type, axis, check_finite)
        return BSpline(found.t, found.c, found.k, found.extrapolate, found.axis) if found.extrapolate is True else found
    if isinstance(bc_type, str) and bc_type not in ("not-a-knot", "natural", "clamped"):
        raise ValueError(f"scipy.interpolate.make_interp_spline: bc_type={bc_type!r} has no rule for traced values.")
    x, y = np.asarray(x, float), np.moveaxis(_doubles(y), axis, 0)
    t = si.make_interp_spline(x, np.zeros(len(x)), k, t, _widened(_pairs(bc_type), ())).t
    return BSpline(t, np.moveaxis(through(y, x=x, knots=t, k=k, ends=_pairs(bc_type)), 0, axis), k, True, axis)


def _pairs(ends: Ends) -> Ends:
    """Conditions with words in place of lists where SciPy takes these; those of one word as of two."""
    return None if isinstance(ends, str) and ends == "not-a-knot" else ends


OPS[make_interp_spline] = add(
    Composite(
        make_interp_spline,
        lambda y, at, k=3, bc_type=None: make_interp_spline(_X, y, k, bc_type=bc_type)(at),
        name="scipy.interpolate.make_interp_spline",
        evaluate=lambda y, at, k=3, bc_type=None: si.make_interp_spline(_X, y, k, bc_type=bc_type)(at),
        arrays=2,
        domain=OnlyReal(
            [
                case(A(6), _AT),
                case(A(6, 2), _AT, 5),
                case(A(6), _AT, bc_type="natural"),
                case(A(6), _AT, bc_type="clamped"),
            ]
        ),
    )
)
primitive(OPS[make_interp_spline])

# ---------------------------------------------------------------------------------------------------
# Cubic splines, by their knots too
# ---------------------------------------------------------------------------------------------------


class CubicSpline:
    """The cubic spline through values, twice continuously differentiable; x, y and where it is read may be traced.

    x : increasing places.
    y : values, along `axis`.
    axis : that of the values.
    bc_type : conditions at the ends: "not-a-knot", "natural", "clamped", "periodic", or a pair of such words or of
        (order, value) with the order 1 or 2.
    extrapolate : whether the first and last cubic go on outside, else nan; None for True, of periodic ones "periodic".

    Source: scipy.interpolate.CubicSpline; de Boor, "A Practical Guide to Splines" (revised ed., 2001), chapter IV.

    >>> from admodes import grad
    >>> x = np.arange(4.0)
    >>> grad(lambda y: CubicSpline(x, y)(1.5))(x**3)
    array([-0.0625,  0.5625,  0.5625, -0.0625])
    >>> grad(CubicSpline(x, x**3))(1.5).round(9)
    np.float64(6.75)
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> None:
        if highest((x, y, bc_type)) is None:
            plain = si.CubicSpline(x, y, axis, bc_type, extrapolate)
            self.x, self.c, self.axis, self.extrapolate = plain.x, plain.c, plain.axis, plain.extrapolate
            return
        x, y = (_doubles(v) for v in (x, y))
        self.axis = axis % y.ndim
        if extrapolate is None:
            extrapolate = "periodic" if isinstance(bc_type, str) and bc_type == "periodic" else True
        self.x, self.c, self.extrapolate = x, cubics(x, np.moveaxis(y, axis, 0), bc_type), extrapolate

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The values at x, or those of the nu-th derivative, nu ≥ 0; extrapolate as for the spline."""
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if highest((self.c, self.x, x)) is None:
            return si.PPoly.construct_fast(self.c, self.x, extrapolate, self.axis)(x, nu)
        y = piecewise(self.c, self.x, _doubles(x), nu, extrapolate)
        ndim = np.ndim(x)
        return np.moveaxis(y, range(ndim), range(self.axis, self.axis + ndim)) if self.axis else y

    def derivative(self, nu: int = 1) -> CubicSpline:
        """The nu-th derivative, in pieces of degree 3 − nu."""
        new = object.__new__(CubicSpline)
        new.x, new.axis, new.extrapolate, c = self.x, self.axis, self.extrapolate, self.c
        for _ in range(nu):
            powers = np.arange(c.shape[0] - 1.0, 0.0, -1.0)
            c = c[:-1] * np.reshape(powers, (-1,) + (1,) * (c.ndim - 1)) if c.shape[0] > 1 else 0.0 * c
        new.c = c
        return new

    def integrate(self, a: Any, b: Any) -> Any:
        """The integral from a to b; outside of the knots the first and last piece go on, whatever extrapolate says."""
        powers = np.reshape(np.arange(self.c.shape[0], 0.0, -1.0), (-1,) + (1,) * (self.c.ndim - 1))
        c = self.c / powers
        wide = np.reshape(np.diff(self.x), (-1,) + (1,) * (c.ndim - 2))
        whole: Any = 0.0
        for part in c:
            whole = (whole + part) * wide
        start = np.concatenate([np.zeros_like(whole[:1]), np.cumsum(whole, axis=0)[:-1]])
        c = np.concatenate([c, start[None]])
        ends = [piecewise(c, self.x, _doubles(end), 0, True) for end in (a, b)]
        return ends[1] - ends[0]


def cubics(x: Any, y: Any, bc_type: Any) -> Any:
    """The coefficients (4, n − 1, …) of the pieces, highest power first, from the slopes s at the knots.

    Continuity of the second derivative:  h_i s_{i−1} + 2(h_{i−1} + h_i) s_i + h_{i−1} s_{i+1}
                                          = 3(h_i m_{i−1} + h_{i−1} m_i),  m the slopes of the chords.
    """
    n = x.shape[0]
    if n < 2 or y.shape[0] != n:
        raise ValueError(f"scipy.interpolate.CubicSpline: x of shape {x.shape} and values of shape {y.shape}")
    h = np.diff(x)
    if np.any(h <= 0):
        raise ValueError("scipy.interpolate.CubicSpline: x must be strictly increasing")
    column = (slice(None),) + (None,) * (y.ndim - 1)
    wide = h[column]
    m = np.diff(y, axis=0) / wide
    s = _slopes(n, h, wide, m, y, bc_type)
    t = (s[:-1] + s[1:] - 2 * m) / wide
    return np.stack([t / wide, (m - s[:-1]) / wide - t, s[:-1], y[:-1]])


def _slopes(n: int, h: Any, wide: Any, m: Any, y: Any, bc_type: Any) -> Any:
    if isinstance(bc_type, str) and bc_type == "periodic":
        if n < 4:
            raise ValueError("scipy.interpolate.CubicSpline: a traced periodic spline needs four values at least")
        before, after = np.roll(h, 1), h
        i = np.arange(n - 1)
        places = (np.concatenate([i, i, i]), np.concatenate([(i - 1) % (n - 1), i, (i + 1) % (n - 1)]))
        numbers = np.concatenate([after, 2 * (before + after), before])
        r = 3 * (wide * np.roll(m, 1, axis=0) + np.roll(wide, 1, axis=0) * m)
        s = _solved(numbers, places, n - 1, r)
        return np.concatenate([s, s[:1]])
    ends = [bc_type, bc_type] if isinstance(bc_type, str) else list(bc_type)
    known = {"clamped": (1, 0.0), "natural": (2, 0.0)}
    ends = [known.get(e, e) if isinstance(e, str) else e for e in ends]
    if n == 2:
        ends = [(1, m[0]) if isinstance(e, str) else e for e in ends]
    if n == 3 and all(isinstance(e, str) for e in ends):  # one parabola
        bend = (m[1] - m[0]) / (wide[0] + wide[1])
        return np.stack([m[0] - bend * wide[0], m[0] + bend * wide[0], m[1] + bend * wide[1]])
    i = np.arange(1, n - 1)
    rows, columns = [i, i, i], [i - 1, i, i + 1]
    numbers = [h[1:], 2 * (h[:-1] + h[1:]), h[:-1]]
    inner = 3 * (wide[1:] * m[:-1] + wide[:-1] * m[1:])
    sides = []
    for end, first, second, sign in ((ends[0], 0, 1, 1), (ends[1], n - 1, n - 2, -1)):
        a, b = (0, 1) if sign > 0 else (-1, -2)  # the last interval and the one before it
        if isinstance(end, str):
            if end != "not-a-knot":
                raise ValueError(f"scipy.interpolate.CubicSpline: bc_type={end!r} is not known")
            both = wide[a] + wide[b]
            numbers += [h[b][None], (h[a] + h[b])[None]]
            side = ((wide[a] + 2 * both) * wide[b] * m[a] + wide[a] ** 2 * m[b]) / both
        elif end[0] == 1:
            numbers += [np.ones(1, h.dtype), np.zeros(1, h.dtype)]
            side = np.broadcast_to(canonical(end[1]), m[0].shape)
        elif end[0] == 2:
            numbers += [2 * h[a][None], h[a][None]]
            side = 3 * m[a] * wide[a] - sign * 0.5 * end[1] * wide[a] ** 2
        else:
            raise ValueError(f"scipy.interpolate.CubicSpline: the order of a condition is {end[0]}; it must be 1 or 2")
        rows += [np.array([first]), np.array([first])]
        columns += [np.array([first]), np.array([second])]
        sides.append(side[None])
    r = np.concatenate([sides[0], inner, sides[1]])
    return _solved(np.concatenate(numbers), (np.concatenate(rows), np.concatenate(columns)), n, r)


def _solved(numbers: Any, places: Any, n: int, r: Any) -> Any:
    """The slopes: few numbers a row, plain or traced."""
    matrix = csr_array((numbers, places), (n, n))
    flat = np.reshape(r, (n, -1)) if r.ndim > 1 else r
    return np.reshape(spsolve(matrix, flat), r.shape)


def piecewise(c: Any, x: Any, at: Any, nu: int, extrapolate: Any) -> Any:
    """Σ_k c[k, i] (at − x_i)^(K−k), or its nu-th derivative, i the piece that `at` is in."""
    if nu < 0:
        raise ValueError(f"scipy.interpolate.CubicSpline: nu is {nu}; give nu ≥ 0, or take integrate(a, b).")
    if isinstance(extrapolate, str):
        span = x[-1] - x[0]
        at = at - span * np.floor((at - x[0]) / span)
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, x.shape[0] - 2)
    d = np.reshape(at - x[i], np.shape(at) + (1,) * (c.ndim - 2))
    degree, y = c.shape[0] - 1, None
    for k in range(degree - nu + 1):
        factor = float(np.prod(np.arange(degree - k - nu + 1, degree - k + 1)))
        term = c[k][i] if factor == 1 else factor * c[k][i]
        y = term if y is None else y * d + term
    y = c[0][i] * d * 0.0 if y is None else y + 0.0 * d
    if extrapolate is False:
        outside = np.logical_or(np.less(at, x[0]), np.greater(at, x[-1]))
        y = np.where(np.reshape(outside, np.shape(d)), np.nan, y)
    return y


def _cubic(x: Any, y: Any, at: Any, nu: int = 0, bc_type: Any = "not-a-knot") -> Any:
    return CubicSpline(x, y, bc_type=bc_type)(at, nu)


OPS[CubicSpline] = add(
    Composite(
        _cubic,
        _cubic,
        name="scipy.interpolate.CubicSpline",
        evaluate=lambda x, y, at, nu=0, bc_type="not-a-knot": si.CubicSpline(x, y, bc_type=bc_type)(at, nu),
        arrays=3,
        domain=OnlyReal([
            case(spaced(5), A(5), _AT), case(spaced(4), A(4, 2), _AT, 1), case(spaced(3), A(3), _AT),
            case(spaced(2), A(2), _AT, bc_type="natural"), case(spaced(5), A(5), _AT, bc_type="clamped"),
            case(spaced(5), A(5), _AT, 2, ((1, 0.5), (2, -0.3))), case(np.arange(6.0), A(6), _AT, 3),
        ]),
    )
)  # fmt: skip
primitive(OPS[CubicSpline])
