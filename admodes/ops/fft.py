"""Discrete Fourier transforms: each is a linear map, stated with its plain transpose (no conjugation).

With P the padding or truncation to n elements and F the symmetric matrix e^(−2πi jk/n), scaled as `norm` says:

    fft  = F P          transpose Pᵀ F              (ifft: F with e^(+2πi jk/n))
    rfft = R F P        transpose Pᵀ F Rᵀ           R keeps the elements 0 … n//2, so Rᵀ pads with zeros
    irfft: y_j = Σ_k w_k Re(x_k e^(2πi jk/n))       transpose w_k Σ_j u_j e^(2πi jk/n)
    hfft, ihfft are irfft and rfft with the sign of the exponent exchanged.

The weights w_k of the non-redundant half are 2, but 1 at k = 0 and, for even n, at k = n/2: these elements have no
mirror image, and the imaginary part that a real transform ignores there has the derivative zero.

Flops, of the split-radix order: 5 n log₂ n for a complex transform of n elements, half of that for a real one.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.directions import trailing, trailing_axis
from ..core.domain import A, OnlyReal, case
from ..core.registry import Linear, Passive, add

# ---------------------------------------------------------------------------------------------------
# One axis: transposes transpose(u, norm, axis, m), where m is the extent of the argument along the axis
# ---------------------------------------------------------------------------------------------------

Transpose = Callable[[Any, Any, int, int], Any]

# The norm that scales the inverse exponent as `norm` scales the forward one.
OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _fit(u: Any, n: int, axis: int) -> Any:
    """Cut off or fill with zeros, to n elements along an axis counted from the end."""
    have = u.shape[axis]
    if have >= n:
        return u if have == n else u[(..., slice(n), *(slice(None),) * (-1 - axis))]
    zeros = np.zeros(tuple(n - have if k == u.ndim + axis else m for k, m in enumerate(u.shape)), u.dtype)
    return np.concatenate([u, zeros], axis=axis)


def _weighted(u: Any, n: int, axis: int, inner: float = 2) -> Any:
    """w_k u_k for the non-redundant half of n elements; with inner ½ u_k / w_k."""
    w = np.full(n // 2 + 1, inner, np.finfo(u.dtype).dtype)
    w[0] = 1
    if n % 2 == 0:
        w[-1] = 1
    return u * w.reshape(-1, *(1,) * (-1 - axis))


def _fft(u: Any, norm: Any, axis: int, m: int) -> Any:
    return _fit(np.fft.fft(u, axis=axis, norm=norm), m, axis)


def _ifft(u: Any, norm: Any, axis: int, m: int) -> Any:
    return _fit(np.fft.ifft(u, axis=axis, norm=norm), m, axis)


def _rfft(u: Any, norm: Any, axis: int, m: int, n: int) -> Any:
    """Σ_k Re(u_k e^(−2πi jk/n)), of the half alone: hfft without the weights."""
    return _fit(np.fft.hfft(_weighted(u, n, axis, 0.5), n, axis, norm), m, axis)


def _ihfft(u: Any, norm: Any, axis: int, m: int, n: int) -> Any:
    return _fit(np.fft.irfft(_weighted(u, n, axis, 0.5), n, axis, norm), m, axis)


def _hfft(u: Any, norm: Any, axis: int, m: int) -> Any:
    n = u.shape[axis]
    return _fit(_weighted(np.fft.rfft(np.real(u), n, axis, norm), n, axis), m, axis)


def _irfft(u: Any, norm: Any, axis: int, m: int) -> Any:
    """Σ_j u_j e^(+2πi jk/n) is the conjugate of rfft, for real u."""
    n = u.shape[axis]
    return _fit(np.conjugate(_weighted(np.fft.rfft(np.real(u), n, axis, OPPOSITE[norm]), n, axis)), m, axis)


# Odd and even n, padded and cut off, every norm, an axis of 1, several directions of the batch, nothing to transform.
LINES = [
    case(A(4)),
    case(A(5), norm="ortho"),
    case(A(3), 6, norm="forward"),
    case(A(5), 3, norm="backward"),
    case(A(6), n=4),
    case(A(3, 4, 2), axis=1, norm="forward"),
    case(A(3, 2), 1, -2),
    case(A(0, 3), axis=1),
]
HALVES = [*LINES[1:5], case(A(3, 4, 2), axis=1, norm="forward"), case(A(3, 2), n=5, axis=0), case(A(0, 3), axis=1)]


def _flops(n: int, y: Any, axis: int, scale: float) -> float:
    """scale · n log₂ n for each line of y along the axis."""
    return scale * n * math.log2(max(n, 1)) * np.size(y) / max(np.shape(y)[axis], 1)


def _line(fn: Any, transpose: Callable[..., Any], scale: float = 5.0, full: bool = False) -> None:
    """The row of a transform along one axis; `full` where its transpose needs n, which the result does not tell.

    Those take real arrays only.  irfft and hfft take complex ones, of half the extent.
    """
    domain = OnlyReal(LINES) if full else LINES if fn in (np.fft.fft, np.fft.ifft) else HALVES

    def extent(x: Any, n: Any, axis: int) -> int:
        return int(x.shape[axis] if n is None else operator.index(n))

    def function(t: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        return fn(t, n, trailing_axis(axis, x.ndim), norm)

    def back(u: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        k = trailing_axis(axis, x.ndim)
        return transpose(u, norm, k, x.shape[k], *((extent(x, n, k),) if full else ()))

    def flops(y: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> float:
        return _flops(extent(x, n, axis) if full else np.shape(y)[axis], y, axis, scale)

    add(Linear(fn, function, back, flops=flops, domain=domain))


_line(np.fft.fft, _fft)
_line(np.fft.ifft, _ifft)
_line(np.fft.rfft, _rfft, 2.5, full=True)
_line(np.fft.irfft, _irfft, 2.5)
_line(np.fft.hfft, _hfft, 2.5)
_line(np.fft.ihfft, _ihfft, 2.5, full=True)


# ---------------------------------------------------------------------------------------------------
# Several axes: one transform after the other, transposed in the opposite order
# ---------------------------------------------------------------------------------------------------


def _plan(x: Any, s: Any, axes: Any, half: bool) -> tuple[list[int], tuple[int, ...]]:
    """The extents and axes NumPy transforms to, axes counted from the end; half: the last axis holds n//2 + 1 of n."""
    if axes is None:
        axes = range(-x.ndim, 0) if s is None else range(-len(s), 0)
    axes = trailing(tuple(axes), x.ndim)
    given = [None] * len(axes) if s is None else list(s)
    sizes = [x.shape[k] if n is None or n == -1 else operator.index(n) for n, k in zip(given, axes, strict=True)]
    if half and given[-1] is None:
        sizes[-1] = 2 * (sizes[-1] - 1)
    return sizes, axes


# As for one axis; an axis that is named twice is transformed twice.
GRIDS = [
    case(A(3, 4)),
    case(A(2, 3, 5), axes=(0, 2), norm="ortho"),
    case(A(3, 4), s=(4, 2), axes=(1, 0), norm="forward"),
    case(A(3, 2, 2), s=(-1, 5), axes=(-1, 0)),
    case(A(4, 3), axes=(0, 0)),
    case(A(2, 0, 3), axes=(0, -1)),
]


# A step of a transform: the transpose, its axis, its extent n, and whether the transpose needs n.
Step = tuple[Callable[..., Any], int, int, bool]


def _steps(rule: Callable[..., Any], sizes: Sequence[int], axes: Sequence[int]) -> list[Step]:
    """fftn, ifftn: the last axis first."""
    return [(rule, k, n, False) for k, n in reversed(list(zip(axes, sizes, strict=True)))]


def _rfft_steps(sizes: Sequence[int], axes: Sequence[int]) -> list[Step]:
    return [(_rfft, axes[-1], sizes[-1], True), *_steps(_fft, sizes[:-1], axes[:-1])]


def _irfft_steps(sizes: Sequence[int], axes: Sequence[int]) -> list[Step]:
    return [*_steps(_ifft, sizes[:-1], axes[:-1])[::-1], (_irfft, axes[-1], sizes[-1], False)]


def _transposed(u: Any, x: Any, steps: list[Step], norm: Any) -> Any:
    """The transposes of the steps, last step first; each gives back the extent its axis had before."""
    extents = list(x.shape)
    before = []
    for rule, k, n, _ in steps:
        before.append(extents[k])
        extents[k] = n // 2 + 1 if rule is _rfft else n
    for (rule, k, n, full), m in zip(reversed(steps), reversed(before), strict=True):
        u = rule(u, norm, k, m, n) if full else rule(u, norm, k, m)
    return u


def _grid(fn: Any, steps: Callable[..., list[Step]], default: Any, half: bool = False, scale: float = 5.0) -> None:
    """The row of a transform along several axes; half: it is irfftn or irfft2."""
    calls = GRIDS if default else [*GRIDS, case(A(2, 3, 3))]
    domain = OnlyReal(calls) if steps is _rfft_steps else calls

    def function(t: Any, x: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        sizes, axes = _plan(x, s, axes, half)
        return fn(t, sizes, axes, norm)

    def transpose(u: Any, x: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        return _transposed(u, x, steps(*_plan(x, s, axes, half)), norm)

    def flops(y: Any, x: Any, s: Any = None, axes: Any = default, norm: Any = None) -> float:
        sizes, axes = _plan(x, s, axes, half)
        lines = np.size(y) / max(math.prod(np.shape(y)[k] for k in set(axes)), 1)
        total = math.prod(sizes)
        return scale * lines * total * math.log2(max(total, 1))

    add(Linear(fn, function, transpose, flops=flops, domain=domain))


_grid(np.fft.fftn, lambda sizes, axes: _steps(_fft, sizes, axes), None)
_grid(np.fft.fft2, lambda sizes, axes: _steps(_fft, sizes, axes), (-2, -1))
_grid(np.fft.ifftn, lambda sizes, axes: _steps(_ifft, sizes, axes), None)
_grid(np.fft.ifft2, lambda sizes, axes: _steps(_ifft, sizes, axes), (-2, -1))
_grid(np.fft.rfftn, _rfft_steps, None, scale=2.5)
_grid(np.fft.rfft2, _rfft_steps, (-2, -1), scale=2.5)
_grid(np.fft.irfftn, _irfft_steps, None, half=True, scale=2.5)
_grid(np.fft.irfft2, _irfft_steps, (-2, -1), half=True, scale=2.5)


# ---------------------------------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------------------------------

SHIFTS = [case(A(4)), case(A(5)), case(A(3, 4)), case(A(3, 4, 5), axes=(0, -1)), case(A(3, 4), axes=1), case(A(0, 2))]
# fmt: off
add(Linear(np.fft.fftshift,  lambda t, x, axes=None: np.fft.fftshift(t, trailing(axes, x.ndim)),
                             lambda u, x, axes=None: np.fft.ifftshift(u, trailing(axes, x.ndim)), moves=True, domain=SHIFTS))
add(Linear(np.fft.ifftshift, lambda t, x, axes=None: np.fft.ifftshift(t, trailing(axes, x.ndim)),
                             lambda u, x, axes=None: np.fft.fftshift(u, trailing(axes, x.ndim)), moves=True, domain=SHIFTS))
# fmt: on
for _fn in (np.fft.fftfreq, np.fft.rfftfreq):
    add(Passive(_fn, static=True))
