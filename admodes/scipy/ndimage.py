"""scipy.ndimage: filters with every mode at the borders, and samples between the elements of an image.

A filter is the image, continued beyond its borders by an index, correlated with the weights (`signal.convolution`): the
transpose of the index folds the continuation back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..core.domain import A, OnlyReal, case
from ..core.registry import Composite
from ..core.views import ground
from .rows import mirrors
from .signal import convolution

__all__ = ["convolve", "correlate", "gaussian_filter"]

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
        if mode in ("constant", "grid-constant"):
            pads = [(0, 0)] * x.ndim
            pads[axis] = before, behind
            x = np.pad(x, pads, constant_values=cval)
        else:
            n = x.shape[axis]
            x = np.take(x, _continued(np.arange(-before, n + behind), n, mode), axis=axis)
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
    return convolution(_padded(name, x, widths, modes, cval), w if turned else np.flip(w), "valid", "direct")


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
        if not ground(s) > 1e-15:
            continue
        reach = int(truncate * float(ground(s)) + 0.5) if r is None else int(r)
        w = np.reshape(_gaussian(s, k, reach), [-1 if a == axis else 1 for a in range(x.ndim)])
        widths, each = [(0, 0)] * x.ndim, ["nearest"] * x.ndim
        widths[axis], each[axis] = (reach, reach), m
        x = convolution(_padded("gaussian_filter", x, widths, each, cval), np.astype(w, x.dtype), "valid", "direct")
    return x
