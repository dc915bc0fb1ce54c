"""scipy.signal: convolution and correlation in any number of axes, and linear recursive filters.

Convolution is linear in either argument; its pull is the valid part of a convolution with the other one turned round.
Values are those of SciPy's method, "direct" or "fft".
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import scipy.signal as ss

from ..core.domain import A, case
from ..core.registry import Composite, Via
from ..core.tracing import primitive
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


def _convolved(a: Any, v: Any, mode: str = "full", method: str = "direct") -> Any:
    """SciPy's, of two arrays, or of one and each of K along a leading axis of the other."""
    if a.ndim == v.ndim:
        return ss.convolve(a, v, mode, method)
    if method == "direct":
        return np.stack(
            [ss.convolve(a, r, mode, method) for r in v]
            if a.ndim < v.ndim
            else [ss.convolve(r, v, mode, method) for r in a]
        )
    ndim = min(a.ndim, v.ndim)
    shapes = zip(a.shape[-ndim:], v.shape[-ndim:], strict=True)
    a, v = (x if x.ndim > ndim else x[None] for x in (a, v))
    return ss.fftconvolve(a, v, axes=range(-ndim, 0))[(..., *(_part(n, m, mode) for n, m in shapes))]


def _restored(u: Any, shape: tuple[int, ...], other: tuple[int, ...], mode: str) -> Any:
    """The cotangent of a part as one of the full convolution."""
    widths = [(0, 0)] * (u.ndim - len(shape))
    for n, m in zip(shape, other, strict=True):
        part = _part(n, m, mode)
        widths.append((part.start, n + m - 1 - part.stop))
    return np.pad(u, widths) if any(w != (0, 0) for w in widths) else u


def _pulled(u: Any, shape: tuple[int, ...], other: Any, method: str) -> Any:
    """Σ_k u_k v_{k−i}: the transpose of the full convolution with v."""
    turned = np.flip(other)
    return convolution(u, turned, "valid", method)


def _pull_first(u: Any, y: Any, a: Any, v: Any, mode: str = "full", method: str = "direct") -> Any:
    return _pulled(_restored(u, a.shape, v.shape, mode), a.shape, v, method)


def _pull_second(u: Any, y: Any, a: Any, v: Any, mode: str = "full", method: str = "direct") -> Any:
    return _pulled(_restored(u, a.shape, v.shape, mode), v.shape, a, method)


def _flops(y: Any, a: Any, v: Any, mode: str = "full", method: str = "direct") -> float:
    if method == "direct":
        return 2.0 * np.size(y) * min(np.size(a), np.size(v))
    n = math.prod(p + q - 1 for p, q in zip(np.shape(a)[::-1], np.shape(v)[::-1], strict=False))
    return 7.5 * n * math.log2(max(n, 2)) + 3 * n


convolution: Any = primitive(
    own(
        Via(
            _convolved,
            [
                as_result(lambda t, y, a, v, mode="full", method="direct": convolution(t, v, mode, method)),
                as_result(lambda t, y, a, v, mode="full", method="direct": convolution(a, t, mode, method)),
            ],
            [as_argument(0, _pull_first), as_argument(1, _pull_second)],
            name="scipy.signal.convolve-1",
            domain=[
                case(A(5), A(3)), case(A(5), A(3), "valid"), case(A(2), A(4), "same"), case(A(3, 4), A(2, 2), "same"),
                case(A(3, 4), A(2, 2), "full", "fft"), case(A(2), A(5), "valid", "fft"),
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
    return convolution(a, v, mode, _method(a, v, mode, method))


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
    if axes is None:
        return convolution(a, v, mode, "fft")
    axes = [axis % a.ndim for axis in np.atleast_1d(axes).tolist()]
    apart = [axis for axis in range(a.ndim) if axis not in axes]
    stack = np.broadcast_shapes(*(tuple(x.shape[axis] for axis in apart) for x in (a, v)))
    a, v = (np.transpose(x, [*apart, *axes]) for x in (a, v))
    a, v = (np.broadcast_to(x, stack + x.shape[len(apart) :]) for x in (a, v))
    rows = [convolution(a[i], v[i], mode, "fft") for i in np.ndindex(stack)]
    y = np.reshape(np.stack(rows), stack + rows[0].shape)
    return np.transpose(y, np.argsort([*apart, *axes]))


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
    return convolution(a, v, mode, _method(a, v, mode, method))


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
                case(A(5), A(3, within=lambda a: a / 6 + np.eye(1, 3)[0])), case(A(2, 4), A(1, within=((0.5, 2.0),))),
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
        case(A(2), A(3, within=lambda a: a / 6 + np.eye(1, 3)[0]), A(6)),
        case(A(3), A(2, within=lambda a: a / 6 + np.eye(1, 2)[0]), A(5, 2), axis=0),
        case(A(4), A(1, within=((0.5, 2.0),)), A(3)),
    ],
)  # fmt: skip
def lfilter(b: Any, a: Any, x: Any, axis: int = -1) -> Any:
    """A signal through a linear filter: Σ_k a_k y_{n−k} = Σ_k b_k x_{n−k}, from rest.

    Parameters
    ----------
    b, a : coefficients of the numerator and the denominator, vectors; a[0] is not zero.
    x : real or complex signal, of any shape.
    axis : along which it is filtered.

    Returns
    -------
    y, of the shape of x.

    Source: scipy.signal.lfilter; Oppenheim and Schafer, "Discrete-Time Signal Processing" (3rd ed., 2010), 6.3.

    >>> from admodes import grad
    >>> grad(lambda r: lfilter([1.0], np.array([1.0, -r]), np.array([1.0, 0.0, 0.0]))[2])(0.5)  # r²
    np.float64(1.0)
    """
    b, a, x = np.atleast_1d(b), np.atleast_1d(a), np.moveaxis(x, axis, -1)
    return np.moveaxis(_causal(b, recursive(x, a)), -1, axis)
