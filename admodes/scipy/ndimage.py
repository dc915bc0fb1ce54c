"""scipy.ndimage: filters with every mode at the borders, and samples between the elements of an image.

A filter is the image, continued beyond its borders by an index, correlated with the weights (`signal.convolution`): the
transpose of the index folds the continuation back.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy.interpolate as si
import scipy.ndimage as sn
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ..core.dispatch import canonical, primitive
from ..core.domain import A, OnlyReal, case
from ..core.registry import Composite, Linear
from ..ops.special.rows import horner
from .rows import mirrors, own
from .signal import convolution

__all__ = ["convolve", "correlate", "gaussian_filter", "map_coordinates"]

Border = Literal[
    "reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap"
]  # fmt: skip


def _continued(i: Any, n: int, mode: str) -> Any:
    """The places in 0 … n − 1 that stand at the places i of the continuation."""
    if mode == "nearest":
        return np.clip(i, 0, n - 1)
    if mode in ("wrap", "grid-wrap"):
        return i % n
    if mode == "mirror":
        j = i % max(2 * n - 2, 1)
        return np.minimum(j, 2 * n - 2 - j)
    j = i % (2 * n)
    return np.minimum(j, 2 * n - 1 - j)


_MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap")


def _padded(name: str, x: Any, widths: Sequence[tuple[int, int]], modes: Sequence[str], cval: Any) -> Any:
    """x with so many elements before and behind, axis by axis."""
    for axis, ((before, behind), mode) in enumerate(zip(widths, modes, strict=True)):
        if mode not in _MODES:
            raise ValueError(f"scipy.ndimage.{name}: mode={mode!r} is not one of {', '.join(_MODES)}")
        if not before and not behind:
            continue
        n = x.shape[axis]
        if mode in ("constant", "grid-constant"):
            edges = [x.shape[:axis] + (count,) + x.shape[axis + 1 :] for count in (before, behind)]
            first, last = (np.astype(np.broadcast_to(canonical(cval), edge), x.dtype) for edge in edges)
        else:
            places = (np.arange(-before, 0), np.arange(n, n + behind))
            first, last = (np.take(x, _continued(i, n, mode), axis=axis) for i in places)
        x = np.concatenate([first, x, last], axis=axis)
    return x


def _filtered(name: str, x: Any, w: Any, mode: Any, cval: Any, origin: Any, turned: bool) -> Any:
    """Σ_j w_j x_{i + j − centre}; `turned` for a convolution, whose origin has the other sign."""
    if np.ndim(x) != np.ndim(w):
        raise ValueError(f"scipy.ndimage.{name}: weights of shape {np.shape(w)} for an image of shape {np.shape(x)}")
    modes = [mode] * x.ndim if isinstance(mode, str) else list(mode)
    origins = [origin] * x.ndim if np.ndim(origin) == 0 else list(origin)
    widths = []
    for n, shift in zip(w.shape, origins, strict=True):
        before = n // 2 + shift
        if turned:
            before = _before_turned(n, shift)
        widths.append((before, n - 1 - before))
    return convolution(
        _padded(name, x, widths, modes, cval), w if turned else np.flip(w), mode="valid", method="image", ndim=x.ndim
    )


def _before_turned(n: int, shift: int) -> int:
    """How far the weights of a convolution reach before an element."""
    origin = -shift - (n % 2 == 0)
    return n // 2 + origin


def _dtype(x: Any, w: Any, **_: Any) -> Any:
    """That of the image; its complex one where the weights are complex."""
    return np.result_type(x.dtype, np.complex64) if np.iscomplexobj(w) else x.dtype


_FILTERS = [
    case(A(5), A(3)), case(A(5), A(2), mode="constant", cval=0.5), case(A(4), A(3), mode="nearest", origin=1),
    case(A(3, 4), A(2, 3), mode="wrap"), case(A(3, 3), A(3, 3), mode="mirror"), case(A(2), A(5), mode="reflect"),
    case(A(5), A(4), mode="mirror", origin=-1),
]  # fmt: skip


@mirrors(Composite, arrays=2, dtype=_dtype, domain=_FILTERS)
def correlate(input: Any, weights: Any, *, mode: Border = "reflect", cval: float = 0.0, origin: Any = 0) -> Any:
    """An image correlated with (the conjugate of) weights, continued beyond its borders.

    Parameters
    ----------
    input : real or complex array.
    weights : array with as many axes.
    mode : how the image goes on: "reflect" or "grid-mirror" (d c b a | a b c d | d c b a), "mirror"
        (d c b | a b c d | c b a), "nearest", "wrap" or "grid-wrap", "constant" or "grid-constant".
    cval : the constant.
    origin : by how much the weights are moved, a number or one an axis.

    Returns
    -------
    An array of the shape of input.

    Source: scipy.ndimage.correlate.

    >>> from admodes import grad
    >>> grad(lambda w: correlate(np.array([1.0, 2.0, 4.0]), w)[0])(np.array([1.0, 1.0, 1.0]))
    array([1., 1., 2.])
    """
    return _filtered("correlate", input, np.conjugate(weights), mode, cval, origin, False)


@mirrors(Composite, arrays=2, dtype=_dtype, domain=_FILTERS)
def convolve(input: Any, weights: Any, *, mode: Border = "reflect", cval: float = 0.0, origin: Any = 0) -> Any:
    """An image convolved with weights, continued beyond its borders.

    Parameters
    ----------
    input : real or complex array.
    weights : array with as many axes.
    mode : how the image goes on: "reflect" or "grid-mirror" (d c b a | a b c d | d c b a), "mirror"
        (d c b | a b c d | c b a), "nearest", "wrap" or "grid-wrap", "constant" or "grid-constant".
    cval : the constant.
    origin : by how much the weights are moved, a number or one an axis.

    Returns
    -------
    An array of the shape of input.

    Source: scipy.ndimage.convolve.

    >>> from admodes import grad
    >>> grad(lambda w: convolve(np.array([1.0, 2.0, 4.0]), w)[0])(np.array([1.0, 1.0, 1.0]))
    array([2., 1., 1.])
    """
    return _filtered("convolve", input, weights, mode, cval, origin, True)


def _gaussian(sigma: Any, order: int, radius: int) -> Any:
    """The weights of SciPy's Gaussian filter: φ(k) = exp(−k²/2σ²), normalised, times a polynomial for a derivative.

    (q φ)′ = (q′ − q k/σ²) φ, applied `order` times to q = 1.
    """
    k = np.arange(-radius, radius + 1.0)
    phi = np.exp(-0.5 / (sigma * sigma) * k**2)
    phi = phi / np.sum(phi)
    q: list[Any] = [1.0]
    for _ in range(order):
        up = [-c / (sigma * sigma) for c in q]
        down = [c * j for j, c in enumerate(q)][1:]
        q = [(down[j] if j < len(down) else 0.0) + (up[j - 1] if j else 0.0) for j in range(len(q) + 1)]
    return phi * sum(c * k**j for j, c in enumerate(q)) if order else phi


@mirrors(
    Composite,
    arrays=2,
    domain=OnlyReal([
        case(A(6), 0.7), case(A(5), 1.0, mode="constant", cval=0.5), case(A(4, 3), (0.6, 0.4), mode="wrap"),
        case(A(6), 0.8, order=1, mode="nearest"), case(A(4, 4), 0.5, (2, 1), mode="mirror"), case(A(4), 1.0, radius=2),
        case(A(5), A(within=((0.55, 0.8),)), truncate=3.0), case(A(3, 3), 0.5, axes=0),
    ]),
)  # fmt: skip
def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    *,
    mode: Border = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    """An image smoothed by a Gaussian, or by derivatives of it, axis by axis.

    Parameters
    ----------
    input : real array.
    sigma : the standard deviation, a number or one an axis; may be traced (how far the weights reach is constant).
    order : 0 for the Gaussian, k for its k-th derivative; a number or one an axis.
    mode : how the image goes on: "reflect" or "grid-mirror" (d c b a | a b c d | d c b a), "mirror"
        (d c b | a b c d | c b a), "nearest", "wrap" or "grid-wrap", "constant" or "grid-constant".
    cval : the constant.
    truncate : the weights reach over so many standard deviations.
    radius : or over so many elements.
    axes : along which is smoothed; all by default.

    Returns
    -------
    An array of the shape of input.

    Source: scipy.ndimage.gaussian_filter; Lindeberg, "Scale-Space Theory in Computer Vision" (1994), chapter 3.

    >>> from admodes import grad
    >>> grad(lambda x: gaussian_filter(x, 1.0, radius=1)[0])(np.array([1.0, 2.0, 4.0])).round(3)
    array([0.726, 0.274, 0.   ])
    """
    along = list(range(input.ndim)) if axes is None else [a % input.ndim for a in np.atleast_1d(axes).tolist()]
    given = [[v] * len(along) if np.ndim(v) == 0 else list(v) for v in (sigma, order, radius)]
    modes = [mode] * len(along) if isinstance(mode, str) else list(mode)
    x = input
    for axis, s, k, r, m in zip(along, *given, modes, strict=True):
        if not s > 1e-15:
            continue
        reach = int(truncate * s + 0.5) if r is None else int(r)
        w = np.reshape(_gaussian(s, k, reach), [-1 if a == axis else 1 for a in range(x.ndim)])
        widths, each = [(0, 0)] * x.ndim, ["nearest"] * x.ndim
        widths[axis], each[axis] = (reach, reach), m
        x = _padded("gaussian_filter", x, widths, each, cval)
        x = convolution(x, np.astype(w, x.dtype), mode="valid", method="image", ndim=x.ndim)
    return x


# ---------------------------------------------------------------------------------------------------
# Between the elements:  y = Σ_i c_i β(x − i), c the coefficients of the spline through the image
# ---------------------------------------------------------------------------------------------------


@functools.cache
def _pieces(order: int) -> Any:
    """The weights of the neighbours i₀ − ⌊order/2⌋ + j of x as polynomials in x − i₀: rows j, lowest power first.

    i₀ is ⌊x⌋ for odd orders, the nearest whole number for even ones: there the polynomials of β change.
    """
    spline = si.PPoly.from_spline(si.BSpline.basis_element(np.arange(order + 2.0) - (order + 1) / 2, extrapolate=False))
    rows = []
    for j in range(order + 1):
        piece, offset = order - j, j - order // 2  # x − i runs through this piece, from its left end on
        c = spline.c[:, order + piece][::-1]
        shift = -offset - spline.x[order + piece]
        powers = [np.polynomial.polynomial.polypow([shift, 1.0], p) for p in range(order + 1)]
        row = np.zeros(order + 1)
        for p in range(order + 1):
            row[: p + 1] += c[p] * powers[p]
        rows.append(row)
    return np.array(rows)


# How SciPy continues the coefficients: where it filters, and where it reads.
_FILTER_BORDER = {"constant": "mirror", "wrap": "mirror", "nearest": "reflect"}
_INDEX_BORDER = {"constant": "mirror", "wrap": "mirror"}


@functools.lru_cache(maxsize=32)
def _collocation(n: int, order: int, mode: str) -> Any:
    """The factorised matrix of the values of a spline of n coefficients at the elements."""
    node = _pieces(order)[:, 0]  # the weights at x = i₀
    i, offsets = np.arange(n)[:, None], np.arange(order + 1) - order // 2
    columns = _continued(i + offsets, n, _FILTER_BORDER.get(mode, mode))
    values = np.broadcast_to(node, columns.shape)
    matrix = sp.csc_array((values.ravel(), (np.repeat(np.arange(n), order + 1), columns.ravel())), (n, n))
    return spl.splu(matrix)


def _spline_filter(x: Any, order: int, mode: str, axis: int) -> Any:
    """The coefficients along an axis counted from the end, as SciPy finds them."""
    doubles = x.astype(complex if x.dtype.kind == "c" else float, copy=False)
    return sn.spline_filter1d(doubles, order, axis, doubles.dtype, mode).astype(x.dtype, copy=False)


def _spline_filter_back(u: Any, order: int, mode: str, axis: int) -> Any:
    """By the filter's own matrix where there are few elements: there SciPy's condition at the border is not exact, by a
    power of the filter's pole, 0.43ⁿ at most."""
    n = u.shape[axis]
    moved = np.moveaxis(u, axis, 0)
    flat = np.ascontiguousarray(moved.reshape(n, -1), float)
    if n <= 64:
        g = _spline_filter(np.eye(n), order, mode, 0).T @ flat
    else:
        g = _collocation(n, order, mode).solve(flat, trans="T")
    return np.moveaxis(g.reshape(moved.shape), 0, axis).astype(u.dtype, copy=False)


_LINES = OnlyReal([
    case(A(6), 3, "mirror", -1), case(A(3, 5), 2, "grid-wrap", -1), case(A(4, 2), 5, "reflect", -2),
    case(A(70), 3, "reflect", -1), case(A(1), 3, "mirror", -1),
])  # fmt: skip
filtered: Any = primitive(
    own(
        Linear(
            _spline_filter,
            lambda t, x, order, mode, axis: filtered(t, order, mode, axis),
            lambda u, x, order, mode, axis: filtered_back(u, order, mode, axis),
            name="scipy.ndimage.spline_filter1d",
            domain=_LINES,
            flops=lambda y, x, order, *_: 4.0 * (order // 2) * np.size(x),
        )
    )
)
filtered_back: Any = primitive(
    own(
        Linear(
            _spline_filter_back,
            lambda t, u, order, mode, axis: filtered_back(t, order, mode, axis),
            lambda v, u, order, mode, axis: filtered(v, order, mode, axis),
            name="scipy.ndimage.spline_filter1d-transposed",
            domain=_LINES,
            flops=lambda y, x, order, *_: 4.0 * (order // 2) * np.size(x),
        )
    )
)

_SAMPLED = ((0.2, 0.9), (1.1, 1.4), (1.6, 1.9))
_OUT = A(1, 4, within=((-1.4, -1.1), (-0.9, -0.6), (4.1, 4.4), (1.1, 1.4)))


@mirrors(
    Composite,
    arrays=2,
    dtype=lambda x, *_, **__: x.dtype,
    domain=OnlyReal([
        case(A(4, 3), A(2, 5, within=_SAMPLED)), case(A(5), A(1, 2, 2, within=_SAMPLED), order=1),
        case(A(5), A(1, 4, within=_SAMPLED), order=2, mode="reflect"), case(A(5), _OUT, mode="mirror"),
        case(A(5), _OUT, mode="nearest"), case(A(5), _OUT, cval=0.5, order=1), case(A(5), _OUT, mode="grid-wrap"),
        case(A(5), _OUT, mode="wrap", order=4), case(A(5), _OUT, mode="reflect", order=5, prefilter=False),
        case(A(3, 3, 3), A(3, 2, within=_SAMPLED), order=1),
    ]),
)  # fmt: skip
def map_coordinates(
    input: Any,
    coordinates: Any,
    *,
    order: int = 3,
    mode: Border = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """An image between its elements, by a spline through them; differentiated by the image and by the coordinates.

    Parameters
    ----------
    input : real array.
    coordinates : (input.ndim, …), where it is read, in units of its elements.
    order : of the spline, 0 to 5; the derivative by the coordinates is the spline's, from the right where it jumps.
    mode : how the image goes on: "reflect" or "grid-mirror" (d c b a | a b c d | d c b a), "mirror"
        (d c b | a b c d | c b a), "nearest", "grid-wrap", "wrap" (of period n − 1), "constant"; "grid-constant" has no
        rule.
    cval : the constant.
    prefilter : whether the image is to be turned into coefficients, or is coefficients already.

    Returns
    -------
    An array of the shape of coordinates without the first axis.

    Raises
    ------
    ValueError : coordinates of a wrong shape; another order or mode.

    Source: scipy.ndimage.map_coordinates; Thévenaz, Blu and Unser, "Interpolation revisited", IEEE Trans. Med. Imaging
    19 (2000).

    >>> from admodes import grad
    >>> image = np.array([[0.0, 1.0], [2.0, 5.0]])
    >>> grad(lambda x: map_coordinates(image, x, order=1)[0])(np.array([[0.5], [0.5]])).ravel()
    array([3., 2.])
    """
    if mode not in _MODES or mode == "grid-constant" or order not in range(6):
        raise ValueError(f"scipy.ndimage.map_coordinates: mode={mode!r} with order={order} has no rule.")
    if np.ndim(coordinates) < 2 or coordinates.shape[0] != np.ndim(input):
        raise ValueError(
            f"scipy.ndimage.map_coordinates: coordinates of shape {coordinates.shape} for an image of shape "
            f"{np.shape(input)}; they are an array (ndim, …), the place along each axis first."
        )
    c, pad = np.astype(input, np.result_type(input.dtype, float)), 0
    coordinates = np.astype(coordinates, np.result_type(coordinates.dtype, float))
    if prefilter and order > 1:
        if mode == "nearest":
            pad = 12
            c = _padded("map_coordinates", c, [(pad, pad)] * c.ndim, ["nearest"] * c.ndim, 0.0)
        for axis in range(-c.ndim, 0):
            c = filtered(c, order, mode, axis)
    indices, weights, outside = [], [], np.zeros(coordinates.shape[1:], bool)
    for n, x in zip(c.shape, coordinates, strict=True):
        x = x + pad if pad else x
        if mode == "constant":
            beyond = np.logical_or(np.less(x, 0), np.greater(x, n - 1))
            outside, x = np.logical_or(outside, beyond), np.where(beyond, 0.0, x)
        elif mode == "wrap":
            x = x + _turns(x, n - 1) if n > 1 else 0.0 * x
        base = np.floor(x) if order % 2 else np.floor(x + 0.5)
        y = x - base
        places = np.astype(base, int)[None] + np.reshape(np.arange(order + 1) - order // 2, (-1,) + (1,) * y.ndim)
        indices.append(_continued(places, n, _INDEX_BORDER.get(mode, mode)))
        weights.append(np.stack([horner(row.tolist(), y) + 0.0 * y for row in _pieces(order)]))
    total = c[tuple(_open(indices))]
    for w in weights:
        total = np.sum(np.reshape(w, w.shape[:1] + (1,) * (total.ndim - w.ndim) + w.shape[1:]) * total, axis=0)
    return np.where(outside, cval, total) if mode == "constant" else total


def _turns(x: Any, period: int) -> Any:
    """What brings x into 0 … period, where both ends stay; from below to the upper one, from above to the lower."""
    up, down = np.floor(-x / period) + 1, -np.floor(x / period)
    return period * np.where(np.less(x, 0), up, np.where(np.greater(x, period), down, 0.0))


def _open(indices: Any) -> Any:
    """Index arrays (order + 1, …), one an axis, each along an axis of its own before those of the places."""
    count = len(indices)
    for k, i in enumerate(indices):
        yield np.reshape(i, (1,) * k + i.shape[:1] + (1,) * (count - 1 - k) + i.shape[1:])
