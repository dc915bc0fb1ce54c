"""Polynomials by their coefficients, and what is done on a grid: interpolation, slopes, integrals, sequences.

Coefficients run from the highest power down, as in np.polyval.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.directions import trailing
from ..core.dispatch import canonical, in_floats, primitive
from ..core.domain import POSITIVE, A, OnlyReal, case, spaced
from ..core.registry import Composite, Passive, add

# ---------------------------------------------------------------------------------------------------
# Polynomials
# ---------------------------------------------------------------------------------------------------


def _coefficients(p: Any) -> Any:
    return np.atleast_1d(canonical(p.coeffs if isinstance(p, np.poly1d) else p))


def _polyval(p: Any, x: Any) -> Any:
    """Horner's rule."""
    p, x = _coefficients(p), canonical(x)
    y = np.zeros(np.shape(x), np.result_type(x))
    for k in range(p.shape[0]):
        y = y * x + p[k]
    return y


def _of_one_length(a1: Any, a2: Any) -> tuple[Any, Any]:
    a, b = _coefficients(a1), _coefficients(a2)
    n = max(a.size, b.size)
    return np.pad(a, (n - a.size, 0)), np.pad(b, (n - b.size, 0))


def _trimmed(p: Any) -> Any:
    """Without leading zeros, as np.poly1d keeps a polynomial."""
    places = np.flatnonzero(p)
    return p[int(places[0]) :] if len(places) else np.zeros(1)


def _polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(_trimmed(_coefficients(a1)), _trimmed(_coefficients(a2)))


def _polydiv(u: Any, v: Any) -> Any:
    """Quotient and remainder, by long division in NumPy's own steps: how many leading zeros of the remainder go follows
    from the rounding."""
    u, v = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    scale = 1.0 / v[0]
    m, n = u.size - 1, v.size - 1
    q, r = [], np.astype(u, np.result_type(u.dtype, v.dtype))
    for k in range(m - n + 1):
        q.append(scale * r[k])
        r = r - np.pad(q[-1] * v, (k, m - n - k))
    first = int(np.argmin([*np.isclose(r[:-1], 0, rtol=1e-14), False]))
    return (np.stack(q) if q else np.zeros(1, r.dtype)), r[first:]


def _polyder(p: Any, m: int = 1) -> Any:
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _coefficients(p)
    for _ in range(m):
        p = p[:-1] * np.arange(p.size - 1, 0, -1)
    return p


def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = _coefficients(p)
    constants = np.zeros(m) if k is None else np.atleast_1d(canonical(k))
    if constants.shape[0] == 1 < m:
        constants = np.broadcast_to(constants, (m,))
    if constants.shape[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.concatenate([p / np.arange(p.size, 0, -1), constants[i : i + 1]])
    return p


def _poly(seq_of_zeros: Any) -> Any:
    """The coefficients of Π (x − zₖ); of a square matrix: its characteristic polynomial."""
    zeros = np.atleast_1d(canonical(seq_of_zeros))
    if zeros.dtype.char != np.mintypecode(zeros.dtype.char):  # half precision
        zeros = np.astype(zeros, np.mintypecode(zeros.dtype.char))
    if zeros.ndim == 2:
        zeros = np.linalg.eigvals(zeros)
    elif zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    a: Any = np.ones(1, zeros.dtype)
    for i in range(zeros.shape[0]):
        a = np.concatenate([a, np.zeros(1, a.dtype)]) - np.concatenate([np.zeros(1, a.dtype), a * zeros[i]])
    if a.dtype.kind == "c" and np.all(np.sort(zeros) == np.sort(np.conjugate(zeros))):
        a = np.real(a)
    return a


def _roots(p: Any) -> Any:
    """Eigenvalues of the companion matrix; zeros at the end stand for roots 0."""
    p = _coefficients(p)
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    places = np.flatnonzero(p)
    if not len(places):
        return np.zeros(0)
    at_zero = p.size - int(places[-1]) - 1
    p = p[int(places[0]) : int(places[-1]) + 1]
    p = p if p.dtype.kind in "fc" else np.astype(p, np.float64)
    if p.size < 2:
        return np.zeros(at_zero)
    below = np.eye(p.size - 1, k=-1, dtype=p.dtype)
    companion = np.concatenate([(-p[1:] / p[0])[None, :], below[1:]], axis=0)
    roots = np.linalg.eigvals(companion)
    if companion.dtype.kind != "c" and roots.dtype.kind == "c" and not np.any(np.imag(roots)):
        roots = np.real(roots)  # NumPy's eigenvalues are complex of every matrix from 2.5 on, its roots are not
    return np.concatenate([roots, np.zeros(at_zero, roots.dtype)]) if at_zero else roots


def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers by running products, so that 0⁰ is 1 with derivative zero."""
    x = canonical(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    x = np.astype(x, np.promote_types(x.dtype, int))
    n = x.shape[0] if N is None else N
    columns = [np.ones(x.shape, x.dtype)]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    powers = np.stack(columns[:n], axis=1) if n else np.zeros((x.shape[0], 0), x.dtype)
    return powers if increasing else np.flip(powers, axis=1)


def _polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """Least squares on the Vandermonde matrix, its columns scaled to length 1 as NumPy scales them."""
    x, y = canonical(x) + 0.0, canonical(y) + 0.0
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise TypeError(f"expected 1D non-empty x and 1D or 2D y of the same length, got {x.shape} and {y.shape}")
    rcond = x.shape[0] * np.finfo(x.dtype).eps if rcond is None else rcond
    A, b = _vander(x, int(deg) + 1), y
    if w is not None:
        w = canonical(w) + 0.0
        if w.ndim != 1 or w.shape != x.shape:
            raise TypeError("expected a 1-d array for weights, of the same length as x")
        A, b = A * w[:, None], b * (w[:, None] if b.ndim == 2 else w)
    scale = np.sqrt(np.sum(np.real(A * np.conjugate(A)), axis=0))
    c, residuals, rank, s = np.linalg.lstsq(A / scale, b, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    return c, _fit_covariance(A / scale, scale, x.shape[0] - int(deg) - 1, residuals, b, cov)


def _fit_covariance(A: Any, scale: Any, freedom: int, residuals: Any, b: Any, cov: Any) -> Any:
    base = np.linalg.inv(A.T @ A) / (scale[:, None] * scale[None, :])
    factor = 1 if isinstance(cov, str) and cov == "unscaled" else residuals / freedom
    if freedom <= 0 and not isinstance(cov, str):
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    return base * factor if b.ndim == 1 else base[:, :, None] * factor


# fmt: off
add(Composite(np.polyval, _polyval, domain=[case(A(3), A()), case(A(4), A(2, 3)), case(A(1), A(2)), case(A(3), A(0))]))
add(Composite(np.polyadd, lambda a1, a2: np.add(*_of_one_length(a1, a2)), domain=[case(A(3), A(2)), case(A(2), A(4)), case(A(3), A())]))
add(Composite(np.polysub, lambda a1, a2: np.subtract(*_of_one_length(a1, a2)),
    domain=[case(A(3), A(2)), case(A(2), A(4)), case(A(3), A())]))
add(Composite(np.polymul, _polymul, domain=[case(A(3), A(2)), case(A(2), A(4)), case(A(1), A(3))]))
add(Composite(np.polydiv, _polydiv,
    domain=[case(A(4), [2.0, 0.7]), case(A(2), A(3, within=POSITIVE)), case(A(3), [0.5])]))
add(Composite(np.polyder, _polyder, domain=[case(A(4)), case(A(4), 2), case(A(3), m=0)]))
add(Composite(np.polyint, _polyint, domain=[case(A(3)), case(A(3), 2), case(A(2), m=2, k=A(2)), case(A(2), k=A())]))
add(Composite(np.poly,    _poly, domain=[case(A(3)), case(A(1))]))
add(Composite(np.roots,   _roots, domain=[case(A(4, within=lambda x: np.array([1.0, 0.0, -16.0, 1.0]) + x / 50))]))
add(Composite(np.vander,  _vander, domain=[case(A(3)), case(A(3), N=2), case(A(3), N=4, increasing=True)]))
add(Composite(np.polyfit, _polyfit,
    domain=[
        case(spaced(5), A(5), 2), case(spaced(4), A(4, 2), 1),
        case(spaced(5), A(5), 1, w=A(5, within=POSITIVE, dtype="f")),
    ]))
# fmt: on

# ---------------------------------------------------------------------------------------------------
# On a grid
# ---------------------------------------------------------------------------------------------------


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear; at a knot the derivative is that of the piece to its right."""
    x, xp, fp = (canonical(a) + np.float64(0) for a in (x, xp, fp))  # NumPy computes in double precision
    if period is not None:
        x, xp, fp, left, right = _unrolled(x, xp, fp, period)
    if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError("fp and xp are not of the same length.")
    n = xp.shape[0]
    if not n:
        raise ValueError("array of sample points is empty")
    if n > 1:
        j = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 2)
        y = fp[j] + (fp[j + 1] - fp[j]) / (xp[j + 1] - xp[j]) * (x - xp[j])
    else:
        y = fp[0] + 0 * x
    y = np.where(x < xp[0], fp[0] if left is None else left, y)
    return np.where(x > xp[-1], fp[-1] if right is None else right, y)


def _unrolled(x: Any, xp: Any, fp: Any, period: Any) -> Any:
    """One period of the samples, in order, with a neighbour on either side."""
    if period == 0:
        raise ValueError("period must be a non-zero value")
    period = np.abs(period)
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = xp[order], fp[order]
    xp = np.concatenate([xp[-1:] - period, xp, xp[0:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[0:1]]), None, None


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = np.moveaxis(canonical(y), axis, -1)
    if x is None:
        d = canonical(dx)
    else:
        x = canonical(x)
        d = np.diff(x) if x.ndim == 1 else np.diff(np.moveaxis(x, axis, -1), axis=-1)
    return np.sum(d * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order differences inside, of first or second order at the ends, along each axis."""
    f = in_floats(canonical(f))
    axes = [k + f.ndim for k in trailing(axis, f.ndim)]
    spacings = [in_floats(canonical(v)) for v in varargs] or [1.0]
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    if any(f.shape[k] < edge_order + 1 for k in axes):
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements "
            "are required."
        )
    out = tuple(_slope(f, _steps(h, f.shape[k]), k, edge_order) for h, k in zip(spacings, axes, strict=True))
    return out[0] if len(axes) == 1 else out


def _steps(h: Any, n: int) -> Any:
    """The n − 1 steps of an axis, from one step or from the coordinates."""
    if np.ndim(h) == 0:
        return np.broadcast_to(h, (n - 1,))
    if np.ndim(h) != 1 or h.shape[0] != n:
        raise ValueError("distances must be either scalars or 1d, of the length of the axis")
    return np.diff(h)


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    f = np.moveaxis(f, axis, -1)
    a, b = h[:-1], h[1:]
    inner = -b / (a * (a + b)) * f[..., :-2] + (b - a) / (a * b) * f[..., 1:-1] + a / (b * (a + b)) * f[..., 2:]
    ends = [_end(f, h, edge_order), _end(np.flip(f, -1), -np.flip(h), edge_order)]
    slope = np.concatenate([ends[0][..., None], inner, ends[1][..., None]], axis=-1)
    return np.astype(np.moveaxis(slope, -1, axis), f.dtype)


def _end(f: Any, h: Any, edge_order: int) -> Any:
    """The slope at the first element."""
    if edge_order == 1:
        return (f[..., 1] - f[..., 0]) / h[0]
    a, b = h[0], h[1]
    return -(2 * a + b) / (a * (a + b)) * f[..., 0] + (a + b) / (a * b) * f[..., 1] - a / (b * (a + b)) * f[..., 2]


def _turns(p: Any, discont: Any, axis: int, period: Any) -> Any:
    """How many periods np.unwrap adds to each element."""
    return np.round((np.unwrap(p, discont, axis, period=period) - p) / period)


turns = primitive(Passive(_turns, arrays=1, name="unwrap", zero=True))


def _unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    return p + turns(p, discont, axis, period) * period


add(
    Composite(
        np.interp,
        _interp,
        arrays=3,
        domain=OnlyReal(
            [
                case(A(4), spaced(5), A(5)),
                case(A(), spaced(3), A(3)),
                case(A(2, 2), spaced(4), A(4), left=0.5, right=-1.0),
                case(A(3), spaced(4), A(4), period=4.5),
            ]
        ),
    )
)
add(
    Composite(
        np.trapezoid,
        _trapezoid,
        domain=[
            case(A(4)),
            case(A(2, 3), A(3)),
            case(A(2, 3), dx=A()),
            case(A(3, 2), axis=0),
            case(A(3, 2), x=A(3, 2), axis=0),
            case(A(0)),
        ],
    )
)
add(
    Composite(
        np.gradient,
        _gradient,
        arrays=None,
        domain=[
            case(A(4)),
            case(A(3, 4)),
            case(A(4), A(within=POSITIVE, dtype="f")),
            case(A(4), spaced(4), edge_order=2),
            case(A(3, 4), 2.0, spaced(4)),
            case(A(3, 4), axis=-1),
        ],
    )
)
add(Composite(np.unwrap, _unwrap, domain=OnlyReal([case(A(4)), case(A(2, 3), axis=0), case(A(5), period=1.5)])))

# ---------------------------------------------------------------------------------------------------
# Sequences between two values
# ---------------------------------------------------------------------------------------------------


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    start, stop = canonical(start) * 1.0, canonical(stop) * 1.0
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    parts = num - 1 if endpoint else num
    span = stop - start
    k = np.reshape((np.arange(num) / max(parts, 1)).astype(span.dtype), (num,) + (1,) * np.ndim(span))
    y = start * (1 - k) + stop * k if num > 1 else start + 0 * k * span
    y = np.moveaxis(y, 0, axis)
    y = y if dtype is None else np.astype(y, np.dtype(dtype))
    return (y, span / parts if parts > 0 else np.nan * span) if retstep else y


def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    base = canonical(base)
    if np.ndim(base):
        n = max(np.ndim(start), np.ndim(stop), np.ndim(base))
        start, stop, base = (
            np.reshape(canonical(a), (1,) * (n - np.ndim(a)) + np.shape(a)) for a in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    y = np.power(base, _linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else np.astype(y, np.dtype(dtype))


def _geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """start · (stop/start)ᵏ, k from 0 to 1."""
    start, stop = canonical(start) * 1.0, canonical(stop) * 1.0
    if np.any(start * stop == 0):
        raise ValueError("Geometric sequence cannot include zero")
    ratio = np.log(stop / start)
    k = _linspace(np.zeros(np.shape(ratio)), np.ones(np.shape(ratio)), num, endpoint)
    y = np.moveaxis(start * np.exp(k * ratio), 0, axis)
    return y if dtype is None else np.astype(y, np.dtype(dtype))


add(
    Composite(
        np.linspace,
        _linspace,
        domain=[
            case(A(), A(), 4),
            case(A(2), A(), 3, endpoint=False),
            case(A(2), A(2), 3, axis=-1),
            case(A(), A(), 3, retstep=True),
            case(A(), A(), 1),
        ],
    )
)
add(
    Composite(
        np.logspace,
        _logspace,
        domain=[
            case(A(), A(), 4),
            case(A(2), A(), 3, endpoint=False),
            case(A(), A(), 3, base=A(within=POSITIVE)),
            case(A(2), A(2), 3, axis=-1),
        ],
    )
)
add(
    Composite(
        np.geomspace,
        _geomspace,
        domain=[
            case(A(within=POSITIVE), A(within=POSITIVE), 4),
            case(A(2, within=POSITIVE), A(within=POSITIVE), 3, endpoint=False, axis=-1),
        ],
    )
)
