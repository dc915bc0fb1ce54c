"""scipy.special: the functions that are no ufuncs, by the compositions of `admodes.special`.

The ufuncs (gamma, erf, jv …) need no counterpart: call SciPy's own on traced values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import special
from ..core.domain import POSITIVE, A, OnlyReal, case
from ..core.registry import Composite
from ..special import Axis
from .rows import mirrors

__all__ = [
    "log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax", "spherical_in", "spherical_jn", "spherical_kn",
    "spherical_yn",
]  # fmt: skip

_ALONG = OnlyReal([case(A(3)), case(A(2, 3), axis=0), case(A(2, 3), axis=(0, 1)), case(A(2, 3, 2), axis=-2)])
_ORDERS = OnlyReal([case(1, A(3, within=POSITIVE)), case(np.array([[0], [2]]), A(3, within=POSITIVE), derivative=True)])
_WEIGHTED = [
    case(A(2, 3), 1, A(2, 3, within=POSITIVE)),
    case(A(2, 3), axis=0, keepdims=True),
    case(A(3), b=np.array([1.0, -3.0, 1.0]), return_sign=True),
]


@mirrors(Composite, domain=OnlyReal([*_ALONG, *_WEIGHTED]))
def logsumexp(a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log Σ b eᵃ over `axis`, all axes by default, in one pass that cannot overflow: `admodes.special.logsumexp`.

    Parameters
    ----------
    a : real array of any shape.
    axis : the axis, or axes, of the sum; None for all.
    b : weights that broadcast against a.
    keepdims : whether the reduced axes stay, with extent 1.
    return_sign : give (log |Σ b eᵃ|, sign) instead.

    Returns
    -------
    An array of the shape of a without the axes, or the pair.

    Source: scipy.special.logsumexp.

    >>> from admodes import grad
    >>> grad(logsumexp)(np.array([0.0, -np.inf, 0.0]))
    array([0.5, 0. , 0.5])
    """
    return special.logsumexp(a, axis, b, keepdims, return_sign)


@mirrors(Composite, domain=_ALONG)
def softmax(x: Any, axis: Axis = None) -> Any:
    """e^{x_j}/Σ_i e^{x_i} over `axis`, over all axes by default: `admodes.special.softmax`.

    Parameters
    ----------
    x : real array of any shape.
    axis : the axis, or axes, of the classes; None for all.

    Returns
    -------
    An array of the shape of x.

    Source: scipy.special.softmax.

    >>> from admodes import jacfwd
    >>> jacfwd(softmax)(np.zeros(2))
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    return special.softmax(x, axis)


@mirrors(Composite, domain=_ALONG)
def log_softmax(x: Any, axis: Axis = None) -> Any:
    """x_j − log Σ_i e^{x_i} over `axis`, over all axes by default: `admodes.special.log_softmax`.

    Parameters
    ----------
    x : real array of any shape.
    axis : the axis, or axes, of the classes; None for all.

    Returns
    -------
    An array of the shape of x.

    Source: scipy.special.log_softmax.

    >>> from admodes import jacfwd
    >>> jacfwd(log_softmax)(np.zeros(2))
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    return special.log_softmax(x, axis)


@mirrors(
    Composite,
    arrays=2,
    domain=OnlyReal([case(1, A(3, within=POSITIVE)), case(np.array([[0], [2]]), A(3, within=POSITIVE))]),
)
def polygamma(n: Any, x: Any) -> Any:
    """ψ⁽ⁿ⁾(x), the n-th derivative of the digamma function: `admodes.special.polygamma`.

    Parameters
    ----------
    n : integers ≥ 0; constant.
    x : real, of any shape that broadcasts with n.

    Returns
    -------
    An array of the shape that n and x broadcast to.

    Source: scipy.special.polygamma.

    >>> from admodes import grad
    >>> grad(lambda x: polygamma(0, x))(1.0).round(6)  # π²/6
    np.float64(1.644934)
    """
    return special.polygamma(n, x)


@mirrors(
    Composite,
    dtype=lambda *_, **__: float,
    domain=OnlyReal([case(A(3, within=((2.2, 4.0),)), 3), case(A(within=POSITIVE), 1)]),
)
def multigammaln(a: Any, d: int) -> Any:
    """log Γ_d(a), the multivariate gamma function: `admodes.special.multigammaln`.

    Parameters
    ----------
    a : real array of any shape, every element above (d − 1)/2.
    d : the dimension, a positive integer.

    Returns
    -------
    An array of the shape of a.

    Source: scipy.special.multigammaln.

    >>> from admodes import grad
    >>> grad(lambda a: multigammaln(a, 1))(1.0).round(4)  # ψ(1) = −γ
    np.float64(-0.5772)
    """
    return special.multigammaln(a, d)


@mirrors(Composite, arrays=2, domain=_ORDERS)
def spherical_jn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function j_n(z), or its derivative: `admodes.special.spherical_jn`.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_jn.

    >>> from admodes import grad
    >>> bool(np.isclose(grad(lambda z: spherical_jn(1, z))(1.5), spherical_jn(1, 1.5, derivative=True)))
    True
    """
    return special.spherical_jn(n, z, derivative)


@mirrors(Composite, arrays=2, domain=_ORDERS)
def spherical_yn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the second kind, y_n(z), or its derivative: `admodes.special.spherical_yn`.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_yn.

    >>> from admodes import grad
    >>> bool(np.isclose(grad(lambda z: spherical_yn(1, z))(1.5), spherical_yn(1, 1.5, derivative=True)))
    True
    """
    return special.spherical_yn(n, z, derivative)


@mirrors(Composite, arrays=2, domain=_ORDERS)
def spherical_in(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function i_n(z), or its derivative: `admodes.special.spherical_in`.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_in.

    >>> from admodes import grad
    >>> bool(np.isclose(grad(lambda z: spherical_in(1, z))(1.5), spherical_in(1, 1.5, derivative=True)))
    True
    """
    return special.spherical_in(n, z, derivative)


@mirrors(Composite, arrays=2, domain=_ORDERS)
def spherical_kn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function of the second kind, k_n(z), or its derivative.

    Parameters
    ----------
    n : integers ≥ 0, the order; constant.
    z : real or complex, of any shape that broadcasts with n.
    derivative : give the derivative by z instead.

    Returns
    -------
    An array of the shape that n and z broadcast to.

    Source: scipy.special.spherical_kn.

    >>> from admodes import grad
    >>> bool(np.isclose(grad(lambda z: spherical_kn(1, z))(1.5), spherical_kn(1, 1.5, derivative=True)))
    True
    """
    return special.spherical_kn(n, z, derivative)
