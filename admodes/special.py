"""Functions of scipy.special that do not let NumPy dispatch, named and shaped as SciPy's: traced values pass through.

The ufuncs of scipy.special (gamma, erf, jv …) need no counterpart here: call SciPy's own on traced values.
No exponential here overflows, and an element of −inf (a probability of zero) has the derivative zero, not nan.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import layers
from .core.dispatch import canonical, primitive
from .core.registry import Passive
from .core.tracing import Tracer

__all__ = [
    "log_softmax",
    "logsumexp",
    "multigammaln",
    "polygamma",
    "softmax",
    "softplus",
    "spherical_in",
    "spherical_jn",
    "spherical_kn",
    "spherical_yn",
]

Axis = int | tuple[int, ...] | None


def logsumexp(a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log Σ b eᵃ over `axis`, all axes by default, in one pass that cannot overflow.

    Parameters
    ----------
    a : real array of any shape.
    axis : the axis, or axes, of the sum; None for all.
    b : weights that broadcast against a; they may be negative with return_sign, and 0 takes an element out.
    keepdims : whether the reduced axes stay, with extent 1.
    return_sign : give (log |Σ b eᵃ|, sign) instead; without it a negative sum is nan, as in SciPy.

    Returns
    -------
    An array of the shape of a without the axes, or the pair.  ∂/∂a is b eᵃ/Σ b eᵃ: the softmax where b is 1.

    Raises
    ------
    TypeError : complex a.

    Source: scipy.special.logsumexp; CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, the third form of softmax.

    >>> from admodes import grad
    >>> logsumexp(np.array([1000.0, 1000.0])).round(4)
    np.float64(1000.6931)
    >>> grad(logsumexp)(np.array([0.0, -np.inf, 0.0]))
    array([0.5, 0. , 0.5])
    """
    a = _real_array("logsumexp", a)
    if b is not None:
        b = _real_array("logsumexp", b)
        a = np.broadcast_to(a, np.broadcast_shapes(np.shape(a), np.shape(b)))
    top = _shift(a, b, axis)
    shifted = a - top
    if b is not None:  # an element of weight 0 is not in the sum, nor in its largest term: keep its exponential finite
        limit = math.log(np.finfo(np.result_type(shifted)).max) - 1
        shifted = np.where(np.equal(b, 0), np.minimum(shifted, limit), shifted)
    terms = np.exp(shifted) if b is None else b * np.exp(shifted)
    total = np.sum(terms, axis=axis, keepdims=True)
    sign = np.sign(total)
    y = _log_or_empty(np.abs(total) if return_sign else total) + top
    if not keepdims:
        y, sign = np.squeeze(y, axis=axis)[()], np.squeeze(sign, axis=axis)[()]
    return (y, sign) if return_sign else y


def _largest(a: Any, b: Any, axis: Axis) -> Any:
    """The largest a of a weight that is not 0, along axis; 0 where there is none or it is infinite."""
    top = np.max(a if b is None else np.where(np.equal(b, 0), -np.inf, a), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, np.zeros_like(top))


# The shift cancels out of the sum, so it counts as a constant.
_shift = primitive(Passive(_largest, name="logsumexp-shift", arrays=2))


def _log_or_empty(total: Any) -> Any:
    """log, and −inf with derivative zero where nothing is in the sum; nan where it is negative."""
    empty, negative = np.equal(total, 0), np.less(total, 0)
    y = np.log(np.where(np.logical_or(empty, negative), 1.0, total))
    return np.where(empty, -np.inf, np.where(negative, np.nan, y))


def _real_array(name: str, x: Any) -> Any:
    """x as an array, traced or not; complex numbers are refused."""
    x = canonical(x)
    dtype = np.result_type(x)
    if dtype.kind == "c":
        raise TypeError(f"{name}: the argument is {dtype}; only real arrays have a rule here. Take np.real first.")
    return x if isinstance(x, Tracer) else np.asarray(x, dtype if dtype.kind == "f" else float)


def softmax(x: Any, axis: Axis = None) -> Any:
    """e^{x_j}/Σ_i e^{x_i} over `axis`, over all axes by default: `layers.softmax` with SciPy's default.

    Parameters
    ----------
    x : real array of any shape.
    axis : the axis, or axes, of the classes; None for all.

    Returns
    -------
    An array of the shape of x.

    Raises
    ------
    AxisError, ValueError : no such axis; nothing along it.

    Source: scipy.special.softmax.

    >>> softmax(np.array([[0.0, 0.0], [0.0, -np.inf]])).round(3)
    array([[0.333, 0.333],
           [0.333, 0.   ]])
    """
    return layers.softmax(canonical(x), axis)


def log_softmax(x: Any, axis: Axis = None) -> Any:
    """x_j − log Σ_i e^{x_i} over `axis`, over all axes by default: `layers.log_softmax` with SciPy's default.

    Parameters
    ----------
    x : real array of any shape.
    axis : the axis, or axes, of the classes; None for all.

    Returns
    -------
    An array of the shape of x.

    Raises
    ------
    AxisError, ValueError : no such axis; nothing along it.

    Source: scipy.special.log_softmax.

    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return layers.log_softmax(canonical(x), axis)


def softplus(x: Any) -> Any:
    """log(1 + eˣ), elementwise; its derivative is the logistic function.

    Parameters
    ----------
    x : real array of any shape, or a number.

    Returns
    -------
    An array of the shape of x.

    Source: scipy.special.softplus.

    >>> softplus(0.0).round(4), softplus(1000.0)
    (np.float64(0.6931), np.float64(1000.0))
    """
    return np.logaddexp(0.0, canonical(x))


def polygamma(n: Any, x: Any) -> Any:
    """ψ⁽ⁿ⁾(x), the n-th derivative of the digamma function: (−1)ⁿ⁺¹ n! ζ(n + 1, x), whose derivative is ψ⁽ⁿ⁺¹⁾.

    Parameters
    ----------
    n : integers ≥ 0; constant: a traced n raises Detached.
    x : real, of any shape that broadcasts with n.

    Returns
    -------
    An array of the shape that n and x broadcast to.

    Source: scipy.special.polygamma; NIST Digital Library of Mathematical Functions, 5.15.

    >>> polygamma(1, 1.0).round(6)  # π²/6
    np.float64(1.644934)
    """
    import scipy.special as sc

    n = np.asarray(n, dtype=float)
    x = canonical(x)
    order = np.where(n == 0, 1.0, n)
    value = (-1.0) ** (order + 1) * sc.gamma(order + 1) * sc.zeta(order + 1, x)
    return np.where(n == 0, sc.psi(x), value) if np.any(n == 0) else value


def multigammaln(a: Any, d: int) -> Any:
    """log Γ_d(a), the multivariate gamma function: (d(d − 1)/4) log π + Σ_{j<d} log Γ(a − j/2), elementwise in a.

    Parameters
    ----------
    a : real array of any shape, every element above (d − 1)/2.
    d : the dimension, a positive integer.

    Returns
    -------
    An array of the shape of a.

    Raises
    ------
    ValueError : d is no positive integer; an element of a that is too small.

    Source: scipy.special.multigammaln.

    >>> multigammaln(2.5, 1).round(6)  # log Γ(2.5)
    np.float64(0.284683)
    """
    import scipy.special as sc

    if d != int(d) or d < 1:
        raise ValueError(f"multigammaln: d is {d}, the dimension; give a positive integer.")
    a = canonical(a)
    if np.any(np.less_equal(a, (d - 1) / 2)):
        raise ValueError(f"multigammaln: every a must exceed (d − 1)/2 = {(d - 1) / 2}; give larger a, or a smaller d.")
    terms: Any = sum(sc.gammaln(a - j / 2) for j in range(int(d)))
    return terms + d * (d - 1) / 4 * math.log(math.pi)


def _spherical(name: str, n: Any, z: Any, derivative: bool, parity: int | None) -> Any:
    """SciPy's ufunc for Re z ≥ 0; for Re z < 0, f_n(−z) = ±(−1)ⁿ f_n(z), and f′ has the other parity."""
    from scipy.special import _ufuncs

    fn = getattr(_ufuncs, f"_spherical_{name}{'_d' if derivative else ''}")
    n, z = np.asarray(n, dtype=int), canonical(z)
    if parity is None:
        return fn(n, z)
    left = np.less(np.real(z), 0)
    sign = np.where(left, parity * (-1.0) ** n * (-1 if derivative else 1), 1.0)
    return sign * fn(n, np.where(left, -z, z))


def spherical_jn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function j_n(z), or its derivative.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant: a traced n raises Detached.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_jn; NIST Digital Library of Mathematical Functions, 10.47 and 10.51.

    >>> spherical_jn(0, np.array([0.0, np.pi])).round(6)
    array([1., 0.])
    """
    return _spherical("jn", n, z, derivative, 1)


def spherical_yn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the second kind, y_n(z), or its derivative.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant: a traced n raises Detached.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_yn; NIST Digital Library of Mathematical Functions, 10.47 and 10.51.

    >>> spherical_yn(0, 1.0).round(6)  # −cos 1
    np.float64(-0.540302)
    """
    return _spherical("yn", n, z, derivative, -1)


def spherical_in(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function i_n(z), or its derivative.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant: a traced n raises Detached.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_in; NIST Digital Library of Mathematical Functions, 10.47 and 10.51.

    >>> spherical_in(0, 1.0).round(6)  # sinh 1
    np.float64(1.175201)
    """
    return _spherical("in", n, z, derivative, 1)


def spherical_kn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function of the second kind, k_n(z), or its derivative.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant: a traced n raises Detached.
    z : real or complex, of any shape that broadcasts with n, Re z > 0.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_kn; NIST Digital Library of Mathematical Functions, 10.47 and 10.51.

    >>> spherical_kn(0, 1.0).round(6)  # π/(2e)
    np.float64(0.577864)
    """
    return _spherical("kn", n, z, derivative, None)
