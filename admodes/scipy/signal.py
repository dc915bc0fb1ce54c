"""scipy.signal: convolution and correlation in any number of axes, and linear recursive filters.

Convolution is linear in either argument; its pull is the valid part of a convolution with the other one turned round.
Values are those of SciPy's method, "direct" or "fft".
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import scipy.ndimage as sn
import scipy.signal as ss

from ..core.directions import align, gather, lead_shape, spread
from ..core.dispatch import canonical, primitive
from ..core.domain import A, case
from ..core.registry import Composite, Via
from ..sparse.dependence import Walk, opaque
from ..sparse.indexsets import mixed
from .rows import as_argument, as_result, common, mirrors, own

__all__ = ["convolve", "correlate", "fftconvolve", "lfilter"]

Mode = Literal["full", "same", "valid"]
Method = Literal["auto", "direct", "fft"]


# ---------------------------------------------------------------------------------------------------
# Convolution:  y_k = Σ_i a_i v_{k−i}, over the last axes
# ---------------------------------------------------------------------------------------------------


def _part(n: int, m: int, mode: str) -> slice:
    """Where the result of a mode stands in the full convolution along one axis."""
    if mode == "full":
        return slice(0, n + m - 1)
    if mode == "same":
        return slice((m - 1) // 2, (m - 1) // 2 + n)
    return slice(min(n, m) - 1, max(n, m))


# Axes before those that are convolved, `ndim` of them, are stacks, which broadcast.


def _convolved(a: Any, v: Any, mode: str = "full", method: str = "direct", ndim: int = 1) -> Any:
    """SciPy's, of each of a stack."""
    if method == "image":
        return _of_images(a, v, ndim)
    if a.ndim == v.ndim == ndim:
        return ss.convolve(a, v, mode, method)
    if method == "fft":
        parts = [_part(n, m, mode) for n, m in zip(a.shape[-ndim:], v.shape[-ndim:], strict=True)]
        count = max(a.ndim, v.ndim)
        a, v = (np.reshape(x, (1,) * (count - x.ndim) + x.shape) for x in (a, v))
        return ss.fftconvolve(a, v, axes=range(-ndim, 0))[(..., *parts)]
    stack = np.broadcast_shapes(a.shape[:-ndim], v.shape[:-ndim])
    a, v = (np.broadcast_to(x, stack + x.shape[-ndim:]) for x in (a, v))
    rows = [ss.convolve(a[i], v[i], mode, method) for i in np.ndindex(stack)]
    return np.reshape(rows, stack + np.shape(rows[0])) if rows else _none(a, v, mode, ndim)


def _of_images(a: Any, v: Any, ndim: int) -> Any:
    """The valid part as filters of images compute it: by SciPy's own, or, of few elements, one multiple at a time."""
    if math.prod(a.shape[-ndim:]) < math.prod(v.shape[-ndim:]):
        a, v = v, a
    inner = v.shape[-ndim:]
    size = tuple(n - m + 1 for n, m in zip(a.shape[-ndim:], inner, strict=True))
    if v.ndim == ndim and math.prod(size) > 8 and math.prod(inner) > 1 and np.result_type(a, v).char in "fdFD":
        long = [axis for axis, m in enumerate(inner) if m > 1]
        turned = np.conj(np.flip(v))  # which SciPy's takes the conjugate of
        if len(long) == 1:
            y = sn.correlate1d(a, turned.ravel(), long[0] - ndim, np.result_type(a, v), mode="constant")
        else:
            kernel = np.reshape(turned, (1,) * (a.ndim - ndim) + v.shape)
            y = sn.correlate(a, kernel, np.result_type(a, v), "constant")
        return y[(..., *_window(tuple(m // 2 for m in inner), size))]
    turned = np.flip(v, axis=tuple(range(-ndim, 0)))
    if math.prod(size) < math.prod(inner):
        axes = tuple(range(-ndim, 0))
        rows = [np.sum(a[(..., *_window(at, inner))] * turned, axis=axes) for at in np.ndindex(size)]
        return np.reshape(np.stack(rows, axis=-1), (*np.shape(rows[0]), *size))
    total: Any = 0.0
    for at in np.ndindex(inner):
        total = total + turned[(..., *(slice(k, k + 1) for k in at))] * a[(..., *_window(at, size))]
    return total


def _window(at: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(k, k + n) for k, n in zip(at, size, strict=True))


def _none(a: Any, v: Any, mode: str, ndim: int) -> Any:
    """The results of an empty stack."""
    shapes = zip(a.shape[-ndim:], v.shape[-ndim:], strict=True)
    inner = [part.stop - part.start for part in (_part(n, m, mode) for n, m in shapes)]
    return np.zeros((*a.shape[:-ndim], *inner), np.result_type(a, v))


def _push(i: int) -> Any:
    def push(t: Any, y: Any, *args: Any, ndim: int = 1, **how: Any) -> Any:
        lead = lead_shape(t, args[i])
        t = align(t, args[i].ndim, y.ndim)
        given = (t, args[1]) if i == 0 else (args[0], t)
        return spread(convolution(*given, ndim=ndim, **how), y.shape, lead)

    return as_result(push)


def _pull(i: int) -> Any:
    """The cotangent of a part as one of the full convolution, and of that Σ_k u_k v_{k−i}."""

    def pull(u: Any, y: Any, *args: Any, mode: str = "full", method: str = "direct", ndim: int = 1) -> Any:
        widths = [(0, 0)] * (u.ndim - ndim)
        for n, m in zip(args[0].shape[-ndim:], args[1].shape[-ndim:], strict=True):
            part = _part(n, m, mode)
            widths.append((part.start, n + m - 1 - part.stop))
        full = np.pad(u, widths) if mode != "full" else u
        turned = np.flip(args[1 - i], axis=tuple(range(-ndim, 0)))
        g = convolution(full, turned, mode="valid", method=method, ndim=ndim)
        return gather(g, args[i].shape, u.ndim - y.ndim)

    return as_argument(i, pull)


def _flops(y: Any, a: Any, v: Any, mode: str = "full", method: str = "direct", ndim: int = 1) -> float:
    n, m = (math.prod(np.shape(x)[-ndim:]) for x in (a, v))
    if method != "fft":
        return 2.0 * np.size(y) * min(n, m)
    full = math.prod(p + q - 1 for p, q in zip(np.shape(a)[-ndim:], np.shape(v)[-ndim:], strict=True))
    return (7.5 * full * math.log2(max(full, 2)) + 3 * full) * max(np.size(a) / max(n, 1), np.size(v) / max(m, 1))


convolution: Any = primitive(
    own(
        Via(
            _convolved,
            [_push(0), _push(1)],
            [_pull(0), _pull(1)],
            name="scipy.signal.convolve-1",
            domain=[
                case(A(5), A(3)), case(A(5), A(3), mode="valid"), case(A(2), A(4), mode="same"),
                case(A(3, 4), A(2, 2), mode="same", ndim=2), case(A(2, 4), A(2), mode="same"),
                case(A(3, 4), A(2, 2), method="fft", ndim=2), case(A(2), A(2, 1, 5), mode="valid", method="fft"),
                case(A(2, 1, 3), A(3, 2)), case(A(5, 6), A(2, 3), mode="valid", method="image", ndim=2),
                case(A(12), A(4), mode="valid", method="image"), case(A(2, 3), A(2), mode="valid", method="image"),
            ],
            flops=_flops,
        )
    )
)  # fmt: skip


def _method(a: Any, v: Any, mode: str, method: str) -> str:
    """The method that SciPy chooses from the shapes."""
    if method != "auto":
        return method
    return str(ss.choose_conv_method(np.zeros(a.shape, a.dtype), np.zeros(v.shape, v.dtype), mode))


def _checked(name: str, a: Any, v: Any) -> tuple[Any, Any]:
    if np.ndim(a) != np.ndim(v) or not np.ndim(a):
        raise ValueError(
            f"scipy.signal.{name}: traced arrays of shapes {np.shape(a)} and {np.shape(v)}; give both as many axes, "
            "one at least. (A product with a number is a * v.)"
        )
    return a, v


_CASES = [
    case(A(5), A(3)), case(A(3), A(5), mode="valid"), case(A(4), A(3), mode="same"), case(A(3, 4), A(2, 3), "same"),
    case(A(3, 2, 2), A(2, 2, 1), mode="valid"), case(A(2, 3), A(2, 2), method="direct"),
]  # fmt: skip


@mirrors(Composite, arrays=2, domain=[*_CASES, case(A(2, 3), A(2, 2), method="fft")])
def convolve(in1: Any, in2: Any, mode: Mode = "full", method: Method = "auto") -> Any:
    """The convolution of two arrays with as many axes.

    Parameters
    ----------
    in1, in2 : real or complex arrays.
    mode : "full", "same" (as large as in1, the middle of the full one) or "valid" (where they overlap wholly).
    method : "direct", "fft", or "auto" for the faster one.

    Returns
    -------
    An array with as many axes.

    Raises
    ------
    ValueError : traced arrays with different numbers of axes.

    Source: scipy.signal.convolve; Oppenheim and Schafer, "Discrete-Time Signal Processing" (3rd ed., 2010), 2.3.

    >>> from admodes import grad
    >>> grad(lambda h: convolve(np.array([1.0, 2.0]), h)[1])(np.array([3.0, 4.0]))
    array([2., 1.])
    """
    a, v = _checked("convolve", in1, in2)
    return convolution(a, v, mode=mode, method=_method(a, v, mode, method), ndim=a.ndim)


@mirrors(Composite, arrays=2, domain=[*_CASES[:-1], case(A(3, 4), A(3, 2), axes=1), case(A(4, 3), A(1, 3), axes=[-1])])
def fftconvolve(in1: Any, in2: Any, mode: Mode = "full", axes: Any = None) -> Any:
    """The convolution of two arrays by the fast Fourier transform.

    Parameters
    ----------
    in1, in2 : real or complex arrays with as many axes.
    mode : "full", "same" (as large as in1, the middle of the full one) or "valid" (where they overlap wholly).
    axes : the axes that are convolved, all by default; along the others the arrays broadcast.

    Returns
    -------
    An array with as many axes.

    Raises
    ------
    ValueError : traced arrays with different numbers of axes.

    Source: scipy.signal.fftconvolve; Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier
    series", Mathematics of Computation 19 (1965).

    >>> from admodes import grad
    >>> grad(lambda h: fftconvolve(np.array([1.0, 2.0]), h)[1])(np.array([3.0, 4.0])).round(12)
    array([2., 1.])
    """
    a, v = _checked("fftconvolve", in1, in2)
    along = list(range(a.ndim)) if axes is None else [axis % a.ndim for axis in np.atleast_1d(axes).tolist()]
    order = [*(axis for axis in range(a.ndim) if axis not in along), *along]
    y = convolution(np.transpose(a, order), np.transpose(v, order), mode=mode, method="fft", ndim=len(along))
    return np.transpose(y, np.argsort(order))


@mirrors(Composite, arrays=2, domain=_CASES)
def correlate(in1: Any, in2: Any, mode: Mode = "full", method: Method = "auto") -> Any:
    """The correlation of two arrays with as many axes: the convolution with the conjugate of in2 turned round.

    Parameters
    ----------
    in1, in2 : real or complex arrays.
    mode : "full", "same" (as large as in1, the middle of the full one) or "valid" (where they overlap wholly).
    method : "direct", "fft", or "auto" for the faster one.

    Returns
    -------
    An array with as many axes.

    Raises
    ------
    ValueError : traced arrays with different numbers of axes.

    Source: scipy.signal.correlate; Oppenheim and Schafer, "Discrete-Time Signal Processing" (3rd ed., 2010), 2.9.

    >>> from admodes import grad
    >>> grad(lambda h: correlate(np.array([1.0, 2.0, 5.0]), h, "valid")[0])(np.array([3.0, 4.0]))
    array([1., 2.])
    """
    a, v = _checked("correlate", in1, in2)
    v = np.flip(np.conjugate(v))
    return convolution(a, v, mode=mode, method=_method(a, v, mode, method), ndim=a.ndim)


# ---------------------------------------------------------------------------------------------------
# Recursive filters:  Σ_k a_k y_{n−k} = Σ_k b_k x_{n−k}, along the last axis
# ---------------------------------------------------------------------------------------------------

# With w = x/a, the recursive half alone, y = b ∗ w, cut to the length of x:
# dy = db ∗ w + b ∗ dw,  dw = (dx − da ∗ w)/a;  the transpose of 1/a is the same filter run backwards.


def _recursive(x: Any, a: Any) -> Any:
    """w = x/a: Σ_k a_k w_{n−k} = x_n."""
    x, a = common(x, a)
    return ss.lfilter(np.ones(1, a.dtype), a, x)


def _causal(h: Any, x: Any) -> Any:
    """Σ_k h_k x_{n−k} along the last axis of x, of each of K filters h, or of one."""
    n = x.shape[-1]
    total: Any = 0.0
    for k in range(min(h.shape[-1], n)):
        late = np.concatenate([np.zeros_like(x[..., :k]), x[..., : n - k]], axis=-1) if k else x
        tap = h[..., k]
        total = total + np.reshape(tap, tap.shape + (1,) * x.ndim) * late
    return total


def _near_one(a: Any) -> Any:
    """A denominator near 1."""
    return a / 6 + np.eye(1, a.size)[0]


def _pattern_along(walk: Walk, instruction: Any, y: Any) -> Any:
    """Within a line; where the filter itself varies, everything."""
    x, a = instruction.args
    if walk.rows(a) is not None or walk.dropping:
        return opaque(walk, instruction, y)
    return mixed(walk.rows(x), x.shape, y.shape, (-1,))


recursive: Any = primitive(
    own(
        Via(
            _recursive,
            [
                as_result(lambda t, y, x, a: recursive(t, a)),
                as_result(lambda t, y, x, a: -recursive(_causal(t, y), a)),
            ],
            [as_argument(0, lambda u, y, x, a: np.flip(recursive(np.flip(u, axis=-1), a), axis=-1)), None],
            name="scipy.signal.lfilter-recursive",
            domain=[
                case(A(5), A(3, within=_near_one)), case(A(2, 4), A(1, within=((0.5, 2.0),))),
            ],
            flops=lambda y, x, a: 2 * np.size(y) * np.size(a),
        ),
        _pattern_along,
    )
)  # fmt: skip


@mirrors(
    Composite,
    arrays=3,
    domain=[
        case(A(2), A(3, within=_near_one), A(6)),
        case(A(3), A(2, within=_near_one), A(5, 2), axis=0),
        case(A(4), A(1, within=((0.5, 2.0),)), A(3)),
        case(A(2), A(3, within=_near_one), A(4), zi=A(2)), case(A(4), A(2, within=_near_one), A(2, 2), zi=A(2, 3)),
    ],
)  # fmt: skip
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A signal through a linear filter: Σ_k a_k y_{n−k} = Σ_k b_k x_{n−k}, from rest or from a state.

    Parameters
    ----------
    b, a : coefficients of the numerator and the denominator, vectors; a[0] is not zero.
    x : real or complex signal, of any shape.
    axis : along which it is filtered.
    zi : the state before, max(len(a), len(b)) − 1 numbers along the axis.

    Returns
    -------
    y, of the shape of x; with zi the pair of y and the state after.

    Source: scipy.signal.lfilter; Oppenheim and Schafer, "Discrete-Time Signal Processing" (3rd ed., 2010), 6.3.

    >>> from admodes import grad
    >>> grad(lambda r: lfilter([1.0], np.array([1.0, -r]), np.array([1.0, 0.0, 0.0]))[2])(0.5)  # r²
    np.float64(1.0)
    """
    b, a, x = np.atleast_1d(b), np.atleast_1d(a), np.moveaxis(x, axis, -1)
    if zi is None:
        return np.moveaxis(_causal(b, recursive(x, a)), -1, axis)
    b, a, zi = b / a[0], a / a[0], np.moveaxis(canonical(zi), axis, -1)
    n, order = x.shape[-1], max(a.shape[0], b.shape[0]) - 1
    zi = np.broadcast_to(zi, (*x.shape[:-1], order))
    late = np.concatenate([zi[..., :n], np.zeros((*x.shape[:-1], max(n - order, 0)), zi.dtype)], axis=-1)
    y = _causal(b, recursive(x, a)) + recursive(late, a)
    left = np.concatenate([zi[..., n:], np.zeros((*x.shape[:-1], min(n, order)), zi.dtype)], axis=-1)
    after = [left[..., k] + _left(b, x, k, n) - _left(a, y, k, n) for k in range(order)]
    zf = np.stack(after, axis=-1) if after else zi
    return np.moveaxis(y, -1, axis), np.moveaxis(zf, -1, axis)


def _left(h: Any, x: Any, k: int, n: int) -> Any:
    """What the last elements will add to the k-th after the end: Σ_i h_{k+1+i} x_{n−1−i}."""
    count = min(h.shape[0] - k - 1, n)
    return np.flip(x[..., n - count :], axis=-1) @ h[k + 1 : k + 1 + count] if count > 0 else 0.0
