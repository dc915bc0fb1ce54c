"""The ufuncs of scipy.special: the table of derivatives of DLMF and Abramowitz & Stegun, loaded with scipy.special.

Partials are closed forms in functions that have rows themselves, so they may be differentiated again.  An argument by
which no closed form is known (an order, a number of degrees of freedom) is UNKNOWN: differentiating by it raises.
Where a closed form cancels (x near 0, x large) a series takes its place, chosen by np.where on safe arguments.

A ufunc that the installed SciPy does not have is left out.  Some public functions are thin wrappings of ufuncs with a
leading underscore (zeta, lambertw, spherical_jn …): these have rows too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special as sc
from scipy.special import _ufuncs

from ..domain import NONZERO, POSITIVE, REAL, SMALL_INTEGERS, UNIT, A, Apart, OnlyReal, case
from ..errors import MissingRule
from ..registry import (
    UNKNOWN,
    Composite,
    Elementwise,
    Op,
    Passive,
    Refused,
    Unknown,
    add,
    align,
    cast,
    gather,
    refusal,
    spread,
)
from ..tracing import primitive
from .elementwise import TRANSCENDENTAL

# Where the tests sample an argument, beside the intervals of `domain`.
PROBABILITY = ((0.1, 0.9),)
BELOW_ONE = ((-2.0, 0.8),)
ORDER = ((0.3, 2.7),)
# An order, and a real argument: these functions are not analytic.
SCALED = OnlyReal(
    [
        case(1.3, A(3, within=POSITIVE)),
        case(np.array([[0.5], [2.0]]), A(3, within=POSITIVE)),
        case(0, A(within=POSITIVE)),
    ]
)

# A constant of the same dtype leaves float32 arrays in float32: Python floats do.
SQRT_PI, SQRT_2PI, SQRT_2 = math.sqrt(math.pi), math.sqrt(2 * math.pi), math.sqrt(2)
LN2, LN10, DEGREE = math.log(2), math.log(10), math.pi / 180

Partials = Sequence[Any]


def ufunc(name: str) -> Any:
    """The ufunc of this name, or None where the installed SciPy has none."""
    found = (getattr(library, name, None) for library in (sc, _ufuncs))
    return next((fn for fn in found if isinstance(fn, np.ufunc)), None)


def row(name: str, partials: Partials, *domain: Any, apart: bool = False) -> None:
    """One line of the table."""
    fn = ufunc(name)
    if fn is not None:
        add(Elementwise(fn, partials, domain=_sampled(partials, domain, apart), flops=TRANSCENDENTAL))


def _sampled(partials: Partials, domain: Any, apart: bool) -> Any:
    """The domain of a row: an argument without a derivative is sampled from three numbers of its interval."""
    if isinstance(domain[0], OnlyReal):
        return domain[0]
    pairs = zip(partials, domain, strict=True)
    fixed = tuple(_three(within) if p is None or isinstance(p, Unknown) else within for p, within in pairs)
    return Apart(fixed) if apart else fixed


def _three(within: Any) -> Any:
    return within if np.ndim(within) == 1 else (within[0][0], sum(within[0]) / 2, within[0][1])


class Several(Op):
    """Elementwise with several results y_k: partials[i](y, *args) gives ∂y_k/∂args[i] for every k.

    push: p_k · spread(t)        pull: gather(Σ_k p_k · u_k)
    """

    def __init__(self, fn: Callable[..., Any], partials: Partials, **spec: Any) -> None:
        super().__init__(fn, arrays=len(partials), flops=TRANSCENDENTAL, **spec)
        rules = [(refusal(fn, i),) * 2 if isinstance(p, Unknown) else self._rules(i, p) for i, p in enumerate(partials)]
        self.pushes = tuple(push for push, _ in rules)
        self.pulls = tuple(pull for _, pull in rules)

    @staticmethod
    def _rules(i: int, partials: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
        def push(t: Any, y: Any, *args: Any) -> Any:
            lead = t.shape[: t.ndim - args[i].ndim]
            t = align(t, args[i].ndim, y[0].ndim)
            pairs = zip(partials(y, *args), y, strict=True)
            return tuple(cast(spread(p * t, part.shape, lead), part.dtype) for p, part in pairs)

        def pull(u: Any, y: Any, *args: Any) -> Any:
            x, lead = args[i], u[0].ndim - y[0].ndim
            g = sum(cast(p * part, np.result_type(p, part)) for p, part in zip(partials(y, *args), u, strict=True))
            return cast(gather(g, x.shape, lead), x.dtype)

        return push, pull


def several(name: str, partials: Partials, *domain: Any, apart: bool = False) -> None:
    """One line of the table, of a function with several results."""
    fn = ufunc(name)
    if fn is not None:
        add(Several(fn, partials, domain=_sampled(partials, domain, apart)))


def independent(name: str, partials: Partials, *domain: Any) -> None:
    """One line of the table, of a function of one argument whose results have partials of their own, p(y_k, x).

    Each result is an operation by itself: where one of them has a pole, the others still have a derivative.
    """
    fn = ufunc(name)

    def result(k: int) -> Callable[..., Any]:
        op = Elementwise(lambda x: fn(x)[k], [partials[k]], name=f"special.{name}[{k}]", flops=TRANSCENDENTAL)
        return primitive(op)

    if fn is not None:
        results = [result(k) for k in range(len(partials))]
        add(Composite(fn, lambda x: tuple(f(x) for f in results), domain=domain))


def horner(coefficients: Sequence[float], x: Any) -> Any:
    """c₀ + c₁x + c₂x² + …"""
    total: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = c + x * total
    return total


def real_only(name: str, partial: Callable[..., Any]) -> Callable[..., Any]:
    """A partial of a function that is not analytic (an |Im z| in it): of a complex argument it raises."""

    def checked(y: Any, *args: Any) -> Any:
        if any(np.iscomplexobj(x) for x in args):
            raise MissingRule(f"scipy.special.{name}", "of a complex argument it is not analytic")
        return partial(y, *args)

    return checked


# ---------------------------------------------------------------------------------------------------
# The gamma family
# ---------------------------------------------------------------------------------------------------

# ψ′ ~ 1/z + 1/(2z²) + Σ_k B₂ₖ/z²ᵏ⁺¹
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def _trigamma(y: Any, z: Any) -> Any:
    """ψ′(x) = ζ(2, x); of a complex argument by recurrence, ψ′(z) = 1/z² + ψ′(z + 1), and reflection."""
    if not np.iscomplexobj(z):
        return _ufuncs._zeta(2.0, z)
    left = np.real(z) < 0.5
    w = np.where(left, 1 - z, z)
    total: Any = 0.0
    for _ in range(14):
        total = total + 1 / (w * w)
        w = w + 1
    q = 1 / (w * w)
    total = total + 1 / w + q / 2 + horner(BERNOULLI, q) * q / w
    return np.where(left, (np.pi / np.sin(np.pi * np.where(left, z, 0.5))) ** 2 - total, total)


def _rgamma_slope(y: Any, z: Any) -> Any:
    """−ψ(z)/Γ(z); for Re z < ½ by reflection, Γ(1−z)(cos πz − ψ(1−z) sin πz/π), which holds at the poles of Γ too."""
    left = np.real(z) < 0.5
    a, b = np.where(left, z, 0.25), np.where(left, 1.0, z)
    mirrored = sc.gamma(1 - a) * (np.cos(np.pi * a) - sc.psi(1 - a) * np.sin(np.pi * a) / np.pi)
    return np.where(left, mirrored, -sc.psi(b) * y)


def _gamma_density(a: Any, x: Any) -> Any:
    """x^(a−1) e^(−x)/Γ(a), by which the incomplete gamma functions grow."""
    return np.exp(sc.xlogy(a - 1, x) - x - sc.gammaln(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    """x^(a−1) (1−x)^(b−1)/B(a, b)."""
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


# fmt: off
row("gamma",         [lambda y, z: y * sc.psi(z)],                                       POSITIVE)
row("gammaln",       [lambda y, x: sc.psi(x)],                                           POSITIVE)
row("loggamma",      [lambda y, z: sc.psi(z)],                                           POSITIVE)
row("rgamma",        [_rgamma_slope],                                                    REAL)
row("psi",           [_trigamma],                                                        POSITIVE)
row("_zeta", [UNKNOWN, lambda y, s, q: -s * _ufuncs._zeta(s + 1, q)],
              OnlyReal([case(2.5, A(3, within=POSITIVE)), case(np.array([[3], [5]]), A(3, within=POSITIVE))]))
row("beta", [lambda y, a, b: y * (sc.psi(a) - sc.psi(a + b)), lambda y, a, b: y * (sc.psi(b) - sc.psi(a + b))],
             POSITIVE, POSITIVE)
row("betaln", [lambda y, a, b: sc.psi(a) - sc.psi(a + b), lambda y, a, b: sc.psi(b) - sc.psi(a + b)], POSITIVE,
               POSITIVE)
row("binom",         [lambda y, n, k: y * (sc.psi(n + 1) - sc.psi(n - k + 1)),
                      lambda y, n, k: y * (sc.psi(n - k + 1) - sc.psi(k + 1))],          ((3.2, 6.0),), ORDER)
row("poch", [lambda y, z, m: y * (sc.psi(z + m) - sc.psi(z)), lambda y, z, m: y * sc.psi(z + m)], POSITIVE, POSITIVE)
row("gammainc",      [UNKNOWN, lambda y, a, x: _gamma_density(a, x)],                    POSITIVE, POSITIVE)
row("gammaincc",     [UNKNOWN, lambda y, a, x: -_gamma_density(a, x)],                   POSITIVE, POSITIVE)
row("gammaincinv",   [UNKNOWN, lambda x, a, p: 1 / _gamma_density(a, x)],                POSITIVE, PROBABILITY)
row("gammainccinv",  [UNKNOWN, lambda x, a, p: -1 / _gamma_density(a, x)],               POSITIVE, PROBABILITY)
row("betainc", [UNKNOWN, UNKNOWN, lambda y, a, b, x: _beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
row("betaincc", [UNKNOWN, UNKNOWN, lambda y, a, b, x: -_beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
row("betaincinv", [UNKNOWN, UNKNOWN, lambda x, a, b, p: 1 / _beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
row("betainccinv", [UNKNOWN, UNKNOWN, lambda x, a, b, p: -1 / _beta_density(a, b, x)], POSITIVE, POSITIVE, PROBABILITY)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# The error function and the normal distribution
# ---------------------------------------------------------------------------------------------------

FAR = 20.0
# (2n + 1)!!, of the asymptotic series of erfcx, dawsn and wofz: 1 + 3q + 15q² + …
ODD_FACTORIALS = tuple(float(math.prod(range(1, 2 * n + 2, 2))) for n in range(10))


def _erfcx_slope(y: Any, z: Any) -> Any:
    """2zy − 2/√π, which cancels for large z: there −(1 − 3/(2z²) + 15/(2z²)² − …)/(√π z²)."""
    far = np.real(z) > FAR
    w = np.where(far, z, FAR)
    q = 1 / (w * w)
    return np.where(far, -q * horner(ODD_FACTORIALS, -q / 2) / SQRT_PI, 2 * z * y - 2 / SQRT_PI)


def _dawsn_slope(y: Any, z: Any) -> Any:
    """1 − 2zy; for large real z it is −(1 + 3/(2z²) + …)/(2z²)."""
    if np.iscomplexobj(z):
        return 1 - 2 * z * y
    far = np.abs(z) > FAR
    q = 1 / np.square(np.where(far, z, FAR))
    return np.where(far, -q * horner(ODD_FACTORIALS, q / 2) / 2, 1 - 2 * z * y)


def _wofz_slope(y: Any, z: Any) -> Any:
    """−2zy + 2i/√π; for large z in the upper half-plane it is −i(1 + 3/(2z²) + …)/(√π z²)."""
    far = np.logical_and(np.abs(z) > FAR, np.imag(z) >= 0)
    w = np.where(far, z, FAR)
    q = 1 / (w * w)
    return np.where(far, -1j * q * horner(ODD_FACTORIALS, q / 2) / SQRT_PI, 2j / SQRT_PI - 2 * z * y)


def _normal_density(x: Any) -> Any:
    return np.exp(-x * x / 2) / SQRT_2PI


def _log_ndtr_slope(y: Any, x: Any) -> Any:
    """φ(x)/Φ(x); on the left √(2/π)/erfcx(−x/√2), where both are tiny."""
    left = np.real(x) < 0
    tail = math.sqrt(2 / math.pi) / sc.erfcx(-np.where(left, x, 0.0) / SQRT_2)
    right = np.where(left, 0.0, x)
    return np.where(left, tail, _normal_density(right) / sc.ndtr(right))


def _ndtri_exp_slope(x: Any, y: Any) -> Any:
    """Φ(x)/φ(x), the reciprocal of the above, for x = Φ⁻¹(e^y)."""
    return 1 / _log_ndtr_slope(y, x)


def _voigt(y: Any, x: Any, sigma: Any, gamma: Any) -> tuple[Any, Any]:
    """z = (x + iγ)/(σ√2) and w′(z)/(σ√2π), of V = Re w(z)/(σ√2π)."""
    z = (x + 1j * gamma) / (sigma * SQRT_2)
    return z, _wofz_slope(sc.wofz(z), z) / (sigma * SQRT_2PI)


def _voigt_x(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    _, slope = _voigt(y, x, sigma, gamma)
    return np.real(slope) / (sigma * SQRT_2)


def _voigt_gamma(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    _, slope = _voigt(y, x, sigma, gamma)
    return -np.imag(slope) / (sigma * SQRT_2)


def _voigt_sigma(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    z, slope = _voigt(y, x, sigma, gamma)
    return -(y + np.real(slope * z)) / sigma


# fmt: off
row("erf",           [lambda y, z: 2 / SQRT_PI * np.exp(-z * z)],                        REAL)
row("erfc",          [lambda y, z: -2 / SQRT_PI * np.exp(-z * z)],                       REAL)
row("erfcx",         [_erfcx_slope],                                                     REAL)
row("erfi",          [lambda y, z: 2 / SQRT_PI * np.exp(z * z)],                         REAL)
row("erfinv",        [lambda x, y: SQRT_PI / 2 * np.exp(x * x)],                         UNIT)
row("erfcinv",       [lambda x, y: -SQRT_PI / 2 * np.exp(x * x)],                        ((0.1, 1.9),))
row("dawsn",         [_dawsn_slope],                                                     REAL)
row("wofz",          [_wofz_slope],                                                      REAL)
row("voigt_profile", [_voigt_x, _voigt_sigma, _voigt_gamma],                             REAL, POSITIVE, POSITIVE)
row("ndtr",          [lambda y, x: _normal_density(x)],                                  REAL)
row("log_ndtr",      [_log_ndtr_slope],                                                  REAL)
row("ndtri",         [lambda x, p: SQRT_2PI * np.exp(x * x / 2)],                        PROBABILITY)
row("ndtri_exp",     [_ndtri_exp_slope],                                                 ((-3.0, -0.1),))
row("owens_t",       [lambda y, h, a: -np.exp(-h * h / 2) * sc.erf(a * h / SQRT_2) / (2 * SQRT_2PI),
                      lambda y, h, a: np.exp(-h * h * (1 + a * a) / 2) / (2 * np.pi * (1 + a * a))],  REAL, REAL)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Logarithms, exponentials, and what statistics makes of them
# ---------------------------------------------------------------------------------------------------

# exprel(x) = (eˣ − 1)/x = Σ xⁿ/(n + 1)!, so exprel′ = Σ (n + 1) xⁿ/(n + 2)!
EXPREL_SLOPE = tuple((n + 1) / math.factorial(n + 2) for n in range(18))
# log(1 + w)/w = Σ (−w)ⁿ/(n + 1)
LOG1PREL = tuple((-1) ** n / (n + 1) for n in range(24))


def _exprel_slope(y: Any, x: Any) -> Any:
    """(eˣ − y)/x, and its series near 0."""
    near = np.abs(x) < 0.5
    away = np.where(near, 1.0, x)
    return np.where(near, horner(EXPREL_SLOPE, np.where(near, x, 0.0)), (np.exp(x) - y) / away)


def _power_slope(log: Any, lmbda: Any) -> Any:
    """∂/∂λ of (x^λ − 1)/λ = log x · exprel(λ log x), given log x."""
    t = lmbda * log
    return log * log * _exprel_slope(sc.exprel(t), t)


def _log1prel(w: Any) -> Any:
    """log(1 + w)/w, which is 1 at 0."""
    near = np.abs(w) < 0.1
    away = np.where(near, 1.0, w)
    return np.where(near, horner(LOG1PREL, np.where(near, w, 0.0)), np.log1p(away) / away)


def _huber_delta(y: Any, delta: Any, r: Any) -> Any:
    size = np.abs(r)
    return np.where(size <= delta, 0.0, size - delta)


def _pseudo_huber_delta(y: Any, delta: Any, r: Any) -> Any:
    """δ(s − 1)²/s with s = √(1 + w), w = (r/δ)², and s − 1 = w/(1 + s)."""
    w = np.square(r / delta)
    s = np.sqrt(1 + w)
    return delta * np.square(w / (1 + s)) / s


def _tukey_slope(y: Any, x: Any, lmbda: Any) -> Any:
    """The quantile Q(p) = (p^λ − (1−p)^λ)/λ has Q′ = p^(λ−1) + (1−p)^(λ−1); outside the support y is 0 or 1."""
    inside = np.logical_and(y > 0, y < 1)
    p = np.where(inside, y, 0.5)
    return np.where(inside, 1 / (np.power(p, lmbda - 1) + np.power(1 - p, lmbda - 1)), 0.0)


def _tukey_shape(y: Any, x: Any, lmbda: Any) -> Any:
    """−(∂Q/∂λ)/Q′."""
    p = np.where(np.logical_and(y > 0, y < 1), y, 0.5)
    return (_power_slope(np.log1p(-p), lmbda) - _power_slope(np.log(p), lmbda)) * _tukey_slope(y, x, lmbda)


# fmt: off
row("expit",         [lambda y, x: y * sc.expit(-x)],                                    REAL)
row("log_expit",     [lambda y, x: sc.expit(-x)],                                        REAL)
row("logit",         [lambda y, p: 1 / (p * (1 - p))],                                   PROBABILITY)
# Both arguments 0: 0 · log 0 counts as 0, and so does its derivative by the second.
row("xlogy", [lambda y, a, b: np.log(b), lambda y, a, b: a / np.where(np.logical_and(a == 0, b == 0), 1.0, b)],
              POSITIVE, POSITIVE)
row("xlog1py", [lambda y, a, b: np.log1p(b),
                lambda y, a, b: a / np.where(np.logical_and(a == 0, b == -1), 1.0, 1 + b)], POSITIVE, POSITIVE)
row("entr",          [lambda y, x: -np.log(x) - 1],                                      POSITIVE)
row("rel_entr",      [lambda y, a, b: np.log(a / b) + 1, lambda y, a, b: -a / b],        POSITIVE, POSITIVE)
row("kl_div",        [lambda y, a, b: np.log(a / b),     lambda y, a, b: 1 - a / b],     POSITIVE, POSITIVE)
row("huber", [_huber_delta, lambda y, d, r: np.where(np.abs(r) <= d, r, d * np.sign(r))], ((0.2, 0.5),), NONZERO)
row("pseudo_huber", [_pseudo_huber_delta, lambda y, d, r: r / np.sqrt(1 + np.square(r / d))], POSITIVE, REAL)
row("exprel",        [_exprel_slope],                                                    REAL)
row("boxcox", [lambda y, x, a: np.power(x, a - 1), lambda y, x, a: _power_slope(np.log(x), a)], POSITIVE, REAL)
row("boxcox1p", [lambda y, x, a: np.power(1 + x, a - 1), lambda y, x, a: _power_slope(np.log1p(x), a)], POSITIVE, REAL)
row("inv_boxcox",    [lambda x, y, a: np.power(x, 1 - a),
                      lambda x, y, a: -_power_slope(np.log(x), a) * np.power(x, 1 - a)],           ((0.1, 0.6),), UNIT)
row("inv_boxcox1p",  [lambda x, y, a: np.power(1 + x, 1 - a),
                      lambda x, y, a: -_power_slope(np.log1p(x), a) * np.power(1 + x, 1 - a)],     ((0.1, 0.6),), UNIT)
row("tklmbda",       [_tukey_slope, _tukey_shape],                                       ((-0.8, 0.8),), ((-0.9, 0.9),))
row("powm1", [lambda y, x, a: a * np.power(x, np.where(a == 0, 1, a - 1)), lambda y, x, a: (y + 1) * np.log(x)],
              POSITIVE, REAL)
row("cbrt",          [lambda y, x: 1 / (3 * y * y)],                                     NONZERO)
row("exp2",          [lambda y, x: LN2 * y],                                             REAL)
row("exp10",         [lambda y, x: LN10 * y],                                            REAL)
row("expm1",         [lambda y, z: y + 1],                                               REAL)
row("log1p",         [lambda y, z: 1 / (1 + z)],                                         POSITIVE)
row("cosm1",         [lambda y, x: -np.sin(x)],                                          REAL)
row("sindg",         [lambda y, x: DEGREE * sc.cosdg(x)],                                REAL)
row("cosdg",         [lambda y, x: -DEGREE * sc.sindg(x)],                               REAL)
row("tandg",         [lambda y, x: DEGREE * (1 + y * y)],                                REAL)
row("cotdg",         [lambda y, x: -DEGREE * (1 + y * y)],                               NONZERO)
row("radian",        [DEGREE, DEGREE / 60, DEGREE / 3600],                               REAL, REAL, REAL)
row("_lambertw", [lambda y, z, k, tol: np.exp(-y) / (1 + y), None, None], POSITIVE, (0, 1), ((1e-8, 1e-8),))
row("wrightomega",   [lambda y, z: y / (1 + y)],                                         REAL)
row("spence",        [lambda y, z: -_log1prel(z - 1)],                                   POSITIVE)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Integrals of elementary functions
# ---------------------------------------------------------------------------------------------------


def _sinhc(x: Any) -> Any:
    """sinh(x)/x."""
    return np.sinc(1j * x / np.pi) if np.iscomplexobj(x) else (sc.exprel(x) + sc.exprel(-x)) / 2


def _expn_slope(y: Any, n: Any, x: Any) -> Any:
    """−E_(n−1)(x), where E₀ = e⁻ˣ/x and E₋₁ = e⁻ˣ(1 + 1/x)/x."""
    return -np.where(np.greater(n, 0), sc.expn(np.maximum(n - 1, 0), x), np.exp(-x) * (1 + 1 / x) / x)


def _modfresnelp(y: Any, x: Any) -> tuple[Any, Any]:
    """F(x) = ∫ₓ^∞ e^(it²) dt and K(x) = e^(−i(x² + π/4)) F/√π."""
    return -np.exp(1j * x * x), -2j * x * y[1] - complex(1, -1) / (SQRT_2 * SQRT_PI)


def _modfresnelm(y: Any, x: Any) -> tuple[Any, Any]:
    """The conjugates."""
    return -np.exp(-1j * x * x), 2j * x * y[1] - complex(1, 1) / (SQRT_2 * SQRT_PI)


# fmt: off
row("expn",          [UNKNOWN, _expn_slope],                                             SMALL_INTEGERS, POSITIVE)
row("exp1",          [lambda y, z: -np.exp(-z) / z],                                     POSITIVE)
row("expi",          [lambda y, z: np.exp(z) / z],                                       POSITIVE)
independent("sici",   [lambda y, z: np.sinc(z / np.pi), lambda y, z: np.cos(z) / z],      POSITIVE)
independent("shichi", [lambda y, z: _sinhc(z),          lambda y, z: np.cosh(z) / z],     POSITIVE)
several("fresnel",   [lambda y, z: (np.sin(np.pi / 2 * z * z), np.cos(np.pi / 2 * z * z))],  REAL)
several("modfresnelp", [_modfresnelp],                                                   ((0.3, 1.5),))
several("modfresnelm", [_modfresnelm],                                                   ((0.3, 1.5),))
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Bessel functions and their kin: C′_v = (C_(v−1) ∓ C_(v+1))/2, DLMF 10.6.1 and 10.29.1
# ---------------------------------------------------------------------------------------------------


def _falling(fn: Any) -> Callable[..., Any]:
    return lambda y, v, z: (fn(v - 1, z) - fn(v + 1, z)) / 2


def _rising(fn: Any, sign: float = 1.0) -> Callable[..., Any]:
    return lambda y, v, z: sign * (fn(v - 1, z) + fn(v + 1, z)) / 2


def _spherical(fn: Any, before: float, after: float) -> Callable[..., Any]:
    """f′ₙ = (± n fₙ₋₁ ± (n + 1) fₙ₊₁)/(2n + 1), DLMF 10.51.1 and 10.51.4."""
    return lambda y, n, z: (before * n * fn(np.maximum(n - 1, 0), z) + after * (n + 1) * fn(n + 1, z)) / (2 * n + 1)


def _struve_term(v: Any, z: Any) -> Any:
    return np.power(z / 2, v) * sc.rgamma(v + 1.5) / SQRT_PI


def _kelvin_second(w: Any, x: Any) -> Any:
    """w″ of w = ber + i bei = J₀(s), s = x e^(3πi/4): w″ = i w − w′/x = i(w − J₂(s))/2."""
    return 0.5j * (w - sc.jv(2, x * complex(-1, 1) / SQRT_2))


def _airye(y: Any, x: Any) -> tuple[Any, ...]:
    """Ai and Ai′ carry e^(2x√x/3), Bi and Bi′ its reciprocal; where x < 0 the scale of Bi is 1."""
    a, da, b, db = y
    root = np.sqrt(np.where(x > 0, x, 0.0))
    return da + root * a, x * a + root * da, db - root * b, x * b - root * db


def _one_minus_j0(x: Any, sign: float) -> Any:
    """(1 − J₀(x))/x for sign −1 and (I₀(x) − 1)/x for sign +1; near 0 the series Σ sign^(k+1) (x²/4)ᵏ/(k!)²/x."""
    near = np.abs(x) < 1
    away, small = np.where(near, 1.0, x), np.where(near, x, 0.0)
    series = tuple(sign**k / (4 ** (k + 1) * math.factorial(k + 1) ** 2) for k in range(10))
    value = sc.j0(away) if sign < 0 else sc.i0(away)
    return np.where(near, small * horner(series, small * small), sign * (value - 1) / away)


# fmt: off
row("jv",            [UNKNOWN, _falling(sc.jv)],                                         ORDER, POSITIVE)
row("yv",            [UNKNOWN, _falling(sc.yv)],                                         ORDER, POSITIVE)
row("yn",            [UNKNOWN, _falling(sc.yn)],                                         SMALL_INTEGERS, POSITIVE)
row("jve",           [UNKNOWN, real_only("jve", _falling(sc.jve))], SCALED)
row("yve",           [UNKNOWN, real_only("yve", _falling(sc.yve))], SCALED)
row("iv",            [UNKNOWN, _rising(sc.iv)],                                          ORDER, POSITIVE)
row("ive", [UNKNOWN, real_only("ive", lambda y, v, x: (sc.ive(v - 1, x) + sc.ive(v + 1, x)) / 2 - np.sign(x) * y)],
            SCALED)
row("kv",            [UNKNOWN, _rising(sc.kv, -1.0)],                                    ORDER, POSITIVE)
row("kn",            [UNKNOWN, _rising(sc.kn, -1.0)],                                    SMALL_INTEGERS, POSITIVE)
row("kve", [UNKNOWN, lambda y, v, z: y - (sc.kve(v - 1, z) + sc.kve(v + 1, z)) / 2], ORDER, POSITIVE)
row("hankel1",       [UNKNOWN, _falling(sc.hankel1)],                                    ORDER, POSITIVE)
row("hankel2",       [UNKNOWN, _falling(sc.hankel2)],                                    ORDER, POSITIVE)
row("hankel1e", [UNKNOWN, lambda y, v, z: (sc.hankel1e(v - 1, z) - sc.hankel1e(v + 1, z)) / 2 - 1j * y], ORDER,
                 POSITIVE)
row("hankel2e", [UNKNOWN, lambda y, v, z: (sc.hankel2e(v - 1, z) - sc.hankel2e(v + 1, z)) / 2 + 1j * y], ORDER,
                 POSITIVE)
row("j0",            [lambda y, x: -sc.j1(x)],                                           REAL)
row("j1",            [lambda y, x: (sc.j0(x) - sc.jv(2, x)) / 2],                        REAL)
row("y0",            [lambda y, x: -sc.y1(x)],                                           POSITIVE)
row("y1",            [lambda y, x: sc.y0(x) - y / x],                                    POSITIVE)
row("i0",            [lambda y, x: sc.i1(x)],                                            REAL)
row("i1",            [lambda y, x: (sc.i0(x) + sc.iv(2, x)) / 2],                        REAL)
row("i0e",           [lambda y, x: sc.i1e(x) - np.sign(x) * y],                          NONZERO)
row("i1e",           [lambda y, x: (sc.i0e(x) + sc.ive(2, x)) / 2 - np.sign(x) * y],     NONZERO)
row("k0",            [lambda y, x: -sc.k1(x)],                                           POSITIVE)
row("k1",            [lambda y, x: -sc.k0(x) - y / x],                                   POSITIVE)
row("k0e",           [lambda y, x: y - sc.k1e(x)],                                       POSITIVE)
row("k1e",           [lambda y, x: y - sc.k0e(x) - y / x],                               POSITIVE)
for _name, _before, _after in (("jn", 1.0, -1.0), ("yn", 1.0, -1.0), ("in", 1.0, 1.0), ("kn", -1.0, -1.0)):
    for _d in ("", "_d"):
        _fn = ufunc(f"_spherical_{_name}{_d}")
        row(f"_spherical_{_name}{_d}", [UNKNOWN, _spherical(_fn, _before, _after)],      SMALL_INTEGERS, POSITIVE)
row("struve", [UNKNOWN, lambda y, v, z: (sc.struve(v - 1, z) - sc.struve(v + 1, z) + _struve_term(v, z)) / 2], ORDER,
               POSITIVE)
row("modstruve", [UNKNOWN, lambda y, v, z: (sc.modstruve(v - 1, z) + sc.modstruve(v + 1, z) + _struve_term(v, z)) / 2],
                  ORDER, POSITIVE)
row("ber",           [lambda y, x: sc.berp(x)],                                          REAL)
row("bei",           [lambda y, x: sc.beip(x)],                                          REAL)
row("berp",          [lambda y, x: np.real(_kelvin_second(sc.ber(x) + 1j * sc.bei(x), x))],  REAL)
row("beip",          [lambda y, x: np.imag(_kelvin_second(sc.ber(x) + 1j * sc.bei(x), x))],  REAL)
row("ker",           [lambda y, x: sc.kerp(x)],                                          POSITIVE)
row("kei",           [lambda y, x: sc.keip(x)],                                          POSITIVE)
row("kerp",          [lambda y, x: -sc.kei(x) - y / x],                                  POSITIVE)
row("keip",          [lambda y, x: sc.ker(x) - y / x],                                   POSITIVE)
several("kelvin",    [lambda y, x: (y[2], y[3], _kelvin_second(y[0], x), 1j * y[1] - y[3] / x)],  POSITIVE)
several("airy",      [lambda y, z: (y[1], z * y[0], y[3], z * y[2])],                    REAL)
several("airye", [real_only("airye", _airye)], OnlyReal([case(A(3, within=POSITIVE)), case(A(within=POSITIVE))]))
several("itairy", [lambda y, x: (sc.airy(x)[0], sc.airy(x)[2], sc.airy(-x)[0], sc.airy(-x)[2])], POSITIVE, apart=True)
independent("itj0y0",  [lambda y, x: sc.j0(x), lambda y, x: sc.y0(x)],                    POSITIVE)
independent("iti0k0",  [lambda y, x: sc.i0(x), lambda y, x: sc.k0(x)],                    POSITIVE)
independent("it2j0y0", [lambda y, x: _one_minus_j0(x, -1.0), lambda y, x: -sc.y0(x) / x], POSITIVE)
independent("it2i0k0", [lambda y, x: _one_minus_j0(x, 1.0),  lambda y, x: -sc.k0(x) / x], POSITIVE)
row("itstruve0",     [lambda y, x: sc.struve(0, x)],                                     POSITIVE)
row("it2struve0",    [lambda y, x: -sc.struve(0, x) / x],                                POSITIVE)
row("itmodstruve0",  [lambda y, x: sc.modstruve(0, x)],                                  POSITIVE)
row("besselpoly", [lambda y, a, k, v: sc.besselpoly(a, k + 1, v - 1) - sc.besselpoly(a, k + 1, v + 1), UNKNOWN,
                   UNKNOWN], POSITIVE, SMALL_INTEGERS, SMALL_INTEGERS)
several("pbdv",      [UNKNOWN, lambda y, v, x: (y[1], (x * x / 4 - v - 0.5) * y[0])],    ORDER, REAL)
several("pbvv",      [UNKNOWN, lambda y, v, x: (y[1], (x * x / 4 - v - 0.5) * y[0])],    ORDER, POSITIVE)
several("pbwa",      [UNKNOWN, lambda y, a, x: (y[1], (a - x * x / 4) * y[0])],          ORDER, POSITIVE)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Mathieu functions: y″ + (a − 2q cos 2x) y = 0, x in degrees; the modified ones with cosh and −, x as it is
# ---------------------------------------------------------------------------------------------------


def _mathieu(eigenvalue: Any) -> Callable[..., Any]:
    """Results y and dy/dx with x in radians, though the argument is in degrees."""

    def partial(y: Any, m: Any, q: Any, x: Any) -> tuple[Any, Any]:
        return DEGREE * y[1], DEGREE * (2 * q * np.cos(2 * DEGREE * x) - eigenvalue(m, q)) * y[0]

    return partial


def _modified_mathieu(eigenvalue: Any) -> Callable[..., Any]:
    return lambda y, m, q, x: (y[1], (eigenvalue(m, q) - 2 * q * np.cosh(2 * x)) * y[0])


# fmt: off
several("mathieu_cem",     [UNKNOWN, UNKNOWN, _mathieu(sc.mathieu_a)],                   SMALL_INTEGERS, POSITIVE, REAL)
several("mathieu_sem",     [UNKNOWN, UNKNOWN, _mathieu(sc.mathieu_b)],                   SMALL_INTEGERS, POSITIVE, REAL)
several("mathieu_modcem1", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_a)], SMALL_INTEGERS, POSITIVE, POSITIVE)
several("mathieu_modcem2", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_a)], SMALL_INTEGERS, POSITIVE, POSITIVE)
several("mathieu_modsem1", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_b)], SMALL_INTEGERS, POSITIVE, POSITIVE)
several("mathieu_modsem2", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_b)], SMALL_INTEGERS, POSITIVE, POSITIVE)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Spheroidal wave functions: (1 − x²) s″ − 2x s′ + (λ − c²x² − m²/(1 − x²)) s = 0; oblate radial: x → ix, c → −ic
# ---------------------------------------------------------------------------------------------------


def _prolate(y: Any, m: Any, c: Any, value: Any, x: Any, square: float = 1.0) -> tuple[Any, Any]:
    """s′ and s″ from s, s′ and the characteristic value λ; square −1: c² counts as −c² (oblate, angular)."""
    w = 1 - x * x
    return y[1], (2 * x * y[1] - (value - square * c * c * x * x - m * m / w) * y[0]) / w


def _oblate_radial(y: Any, m: Any, c: Any, value: Any, x: Any) -> tuple[Any, Any]:
    """(x² + 1) R″ + 2x R′ − (λ − c²x² − m²/(x² + 1)) R = 0."""
    w = 1 + x * x
    return y[1], ((value - c * c * x * x - m * m / w) * y[0] - 2 * x * y[1]) / w


def _oblate_angular(y: Any, m: Any, c: Any, value: Any, x: Any) -> tuple[Any, Any]:
    return _prolate(y, m, c, value, x, -1.0)


def _spheroidal(name: str, equation: Callable[..., Any], characteristic: Any, where: Any) -> None:
    """Two rows: the function that finds λ itself and the one that is given it."""
    several(name, [*(UNKNOWN,) * 3, lambda y, m, n, c, x: equation(y, m, c, characteristic(m, n, c), x)],
            (0, 1), SMALL_INTEGERS, POSITIVE, where)  # fmt: skip
    calls = [case(m, n, c, characteristic(m, n, c), A(3, within=where)) for m, n, c in ((0, 2, 0.5), (1, 3, 1.5))]
    several(f"{name}_cv", [*(UNKNOWN,) * 4, lambda y, m, n, c, value, x: equation(y, m, c, value, x)], OnlyReal(calls))


_spheroidal("pro_ang1", _prolate, sc.pro_cv, UNIT)
_spheroidal("pro_rad1", _prolate, sc.pro_cv, ((1.2, 3.0),))
_spheroidal("obl_ang1", _oblate_angular, sc.obl_cv, UNIT)
_spheroidal("obl_rad1", _oblate_radial, sc.obl_cv, POSITIVE)
for _name in ("pro_rad2", "pro_rad2_cv", "obl_rad2", "obl_rad2_cv"):
    add(Refused(ufunc(_name), "SciPy's value and derivative of it contradict each other"))


# ---------------------------------------------------------------------------------------------------
# Elliptic integrals and functions, of the parameter m
# ---------------------------------------------------------------------------------------------------


def _k_slope(m: Any) -> Any:
    """dK/dm = (E − (1 − m)K)/(2m(1 − m)), as K = (π/2) ₂F₁(½, ½; 1; m): smooth at m = 0."""
    return np.pi / 8 * sc.hyp2f1(1.5, 1.5, 2.0, m)


def _e_slope(m: Any) -> Any:
    """dE/dm = (E − K)/(2m), as E = (π/2) ₂F₁(−½, ½; 1; m)."""
    return -np.pi / 8 * sc.hyp2f1(0.5, 1.5, 2.0, m)


# Gauss-Legendre on (0, 1): 24 nodes integrate the smooth integrands below, |m| ≤ 0.1, to the last digit.
NODES, WEIGHTS = (0.5 * (np.polynomial.legendre.leggauss(24)[0] + 1), 0.5 * np.polynomial.legendre.leggauss(24)[1])


def _near_zero(phi: Any, m: Any, power: float, whole: Any) -> Any:
    """∫₀^φ sin²θ (1 − m sin²θ)^power dθ for small m: with φ = kπ + r, 2k times that to π/2, and a quadrature."""
    k = np.round(phi / np.pi)
    r = phi - np.pi * k
    s = np.square(np.sin(r[..., None] * NODES))
    return 2 * k * whole + r * np.sum(WEIGHTS * s * np.power(1 - m[..., None] * s, power), axis=-1)


def _by_m(phi: Any, m: Any, power: float, slope: Callable[[Any], Any], closed: Callable[..., Any], scale: float) -> Any:
    """scale · ∫ sin²θ (1 − m sin²θ)^power dθ: by quadrature for |m| < 0.1, else in closed form."""
    phi, m = np.broadcast_arrays(phi, m)
    near = np.abs(m) < 0.1
    small, large = np.where(near, m, 0.0), np.where(near, 0.5, m)
    quadrature = scale * _near_zero(phi, small, power, slope(small) / scale)
    return np.where(near, quadrature, closed(np.where(near, 0.5, phi), large))


def _f_closed(phi: Any, m: Any) -> Any:
    """∂F/∂m = E/(2m(1 − m)) − F/(2m) − sin 2φ/(4(1 − m)Δ)."""
    root = np.sqrt(1 - m * np.square(np.sin(phi)))
    f, e = sc.ellipkinc(phi, m), sc.ellipeinc(phi, m)
    return e / (2 * m * (1 - m)) - f / (2 * m) - np.sin(2 * phi) / (4 * (1 - m) * root)


def _f_by_m(y: Any, phi: Any, m: Any) -> Any:
    """∂F/∂m = ½ ∫ sin²θ (1 − m sin²θ)^(−3/2) dθ."""
    return _by_m(phi, m, -1.5, _k_slope, _f_closed, 0.5)


def _e_by_m(y: Any, phi: Any, m: Any) -> Any:
    """∂E/∂m = −½ ∫ sin²θ (1 − m sin²θ)^(−1/2) dθ = (E − F)/(2m)."""
    return _by_m(phi, m, -0.5, _e_slope, lambda p, q: (sc.ellipeinc(p, q) - sc.ellipkinc(p, q)) / (2 * q), -0.5)


def _root(phi: Any, m: Any) -> Any:
    return np.sqrt(1 - m * np.square(np.sin(phi)))


def _ellipj_m(y: Any, u: Any, m: Any) -> tuple[Any, ...]:
    """F(φ, m) = u gives ∂φ/∂m = −dn · ∂F/∂m; sn = sin φ, cn = cos φ, dn² = 1 − m sn²."""
    sn, cn, dn, phi = y
    slope = -dn * _f_by_m(u, phi, m)
    return cn * slope, -sn * slope, -(sn * sn + 2 * m * sn * cn * slope) / (2 * dn), slope


def _agm_slope(y: Any, a: Any, b: Any) -> Any:
    """agm(a, b) = πa/(2K), K of m = 1 − (b/a)²: ∂/∂a = y/a − y (K′/K) 2b²/a³."""
    p = np.square(b / a)
    return y / a * (1 - 2 * p * _k_slope(1 - p) / sc.ellipkm1(p))


def _elliprd(x: Any, y: Any, z: Any) -> Any:
    """R_D by duplication and the series of order 5 in what is left of the differences (Carlson 1995, algorithm 4).

    The closed forms of its derivatives cancel where two arguments are equal; the algorithm itself does not.
    """
    dtype = np.result_type(x, y, z)
    x, y, z = (np.asarray(v, dtype) if type(v) in (int, float) else v for v in (x, y, z))
    total: Any = 0.0
    scale = 3.0
    for _ in range(14):
        a, b, c = np.sqrt(x), np.sqrt(y), np.sqrt(z)
        shift = a * b + a * c + b * c
        total = total + scale / (c * (z + shift))
        x, y, z, scale = (x + shift) / 4, (y + shift) / 4, (z + shift) / 4, scale / 4
    mean = (x + y + 3 * z) / 5
    p, q = 1 - x / mean, 1 - y / mean
    r = -(p + q) / 3
    e2, e3, e4, e5 = p * q - 6 * r * r, (3 * p * q - 8 * r * r) * r, 3 * (p * q - r * r) * r * r, p * q * r**3
    series = 1 - 3 / 14 * e2 + e3 / 6 + 9 / 88 * e2 * e2 - 3 / 22 * e4 - 9 / 52 * e2 * e3 + 3 / 26 * e5
    return total + scale / 3 * series / (mean * np.sqrt(mean))


# Carlson's R_F has ∂/∂x = −R_D(y, z, x)/6, and R_C(x, y) = R_F(x, y, y).
# fmt: off
row("ellipk",        [lambda y, m: _k_slope(m)],                                         BELOW_ONE)
row("ellipkm1",      [lambda y, p: -_k_slope(1 - p)],                                    POSITIVE)
row("ellipe",        [lambda y, m: _e_slope(m)],                                         BELOW_ONE)
row("ellipkinc",     [lambda y, phi, m: 1 / _root(phi, m), _f_by_m],                     REAL, BELOW_ONE)
row("ellipeinc",     [lambda y, phi, m: _root(phi, m), _e_by_m],                         REAL, BELOW_ONE)
several("ellipj", [lambda y, u, m: (y[1] * y[2], -y[0] * y[2], -m * y[0] * y[1], y[2]), _ellipj_m], REAL, PROBABILITY)
row("elliprf",       [lambda y, a, b, c: -sc.elliprd(b, c, a) / 6, lambda y, a, b, c: -sc.elliprd(a, c, b) / 6,
                      lambda y, a, b, c: -sc.elliprd(a, b, c) / 6],                      POSITIVE, POSITIVE, POSITIVE)
row("elliprc", [lambda y, a, b: -sc.elliprd(b, b, a) / 6, lambda y, a, b: -sc.elliprd(a, b, b) / 3], POSITIVE, POSITIVE)
row("elliprg",       [lambda y, a, b, c: (sc.elliprf(a, b, c) - a * sc.elliprd(b, c, a) / 3) / 4,
                      lambda y, a, b, c: (sc.elliprf(a, b, c) - b * sc.elliprd(a, c, b) / 3) / 4,
                      lambda y, a, b, c: (sc.elliprf(a, b, c) - c * sc.elliprd(a, b, c) / 3) / 4],
                     POSITIVE, POSITIVE, POSITIVE)
row("agm",           [_agm_slope, lambda y, a, b: _agm_slope(y, b, a)],                  POSITIVE, POSITIVE)
# fmt: on
add(Composite(sc.elliprd, _elliprd, domain=(POSITIVE, POSITIVE, POSITIVE)))


# ---------------------------------------------------------------------------------------------------
# Hypergeometric functions: the derivative raises every parameter by one
# ---------------------------------------------------------------------------------------------------

# fmt: off
row("hyp0f1",        [UNKNOWN, lambda y, v, z: sc.hyp0f1(v + 1, z) / v],                 POSITIVE, REAL)
row("hyp1f1", [UNKNOWN, UNKNOWN, lambda y, a, b, z: a / b * sc.hyp1f1(a + 1, b + 1, z)], POSITIVE, POSITIVE, REAL)
row("hyp2f1", [UNKNOWN, UNKNOWN, UNKNOWN, lambda y, a, b, c, z: a * b / c * sc.hyp2f1(a + 1, b + 1, c + 1, z)],
               POSITIVE, POSITIVE, POSITIVE, ((-0.8, 0.8),))
row("hyperu", [UNKNOWN, UNKNOWN, lambda y, a, b, x: -a * sc.hyperu(a + 1, b + 1, x)], POSITIVE, POSITIVE, POSITIVE)
row("wright_bessel", [UNKNOWN, UNKNOWN, lambda y, a, b, x: sc.wright_bessel(a, b + a, x)], POSITIVE, POSITIVE, POSITIVE)
row("log_wright_bessel", [UNKNOWN, UNKNOWN, lambda y, a, b, x: np.exp(sc.log_wright_bessel(a, b + a, x) - y)],
                      POSITIVE, POSITIVE, POSITIVE)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Orthogonal polynomials: the derivative is of the family with a higher weight, one degree lower
# ---------------------------------------------------------------------------------------------------


def _degree(n: Any) -> Any:
    """n − 1, but 0 for n = 0, where a factor n stands before it."""
    return np.where(np.equal(n, 0), 0, n - 1)


def _gegenbauer(n: Any, alpha: Any, x: Any) -> Any:
    """C^(α)_(n−1)(x), which is 0 for n = 0."""
    return np.where(np.equal(n, 0), 0.0, sc.eval_gegenbauer(_degree(n), alpha, x))


def _jacobi(y: Any, n: Any, a: Any, b: Any, x: Any) -> Any:
    return np.where(np.equal(n, 0), 0.0, (n + a + b + 1) / 2 * sc.eval_jacobi(_degree(n), a + 1.0, b + 1.0, x))


def _laguerre(n: Any, alpha: Any, x: Any) -> Any:
    return -np.where(np.equal(n, 0), 0.0, sc.eval_genlaguerre(_degree(n), alpha + 1.0, x))


def _lpmv(y: Any, m: Any, v: Any, x: Any) -> Any:
    """(1 − x²) P′ = (v + 1) x P_v − (v − m + 1) P_(v+1), DLMF 14.10.5."""
    return ((v + 1) * x * y - (v - m + 1) * sc.lpmv(m, v + 1, x)) / (1 - x * x)


# fmt: off
row("eval_chebyt",      [UNKNOWN, lambda y, n, x: n * sc.eval_chebyu(_degree(n), x)],            SMALL_INTEGERS, REAL)
row("eval_chebyu",      [UNKNOWN, lambda y, n, x: 2 * _gegenbauer(n, 2.0, x)],                   SMALL_INTEGERS, REAL)
row("eval_chebyc",      [UNKNOWN, lambda y, n, x: n * sc.eval_chebys(_degree(n), x)],            SMALL_INTEGERS, REAL)
row("eval_chebys",      [UNKNOWN, lambda y, n, x: _gegenbauer(n, 2.0, x / 2)],                   SMALL_INTEGERS, REAL)
row("eval_sh_chebyt",   [UNKNOWN, lambda y, n, x: 2 * n * sc.eval_sh_chebyu(_degree(n), x)],     SMALL_INTEGERS, REAL)
row("eval_sh_chebyu",   [UNKNOWN, lambda y, n, x: 4 * _gegenbauer(n, 2.0, 2 * x - 1)],           SMALL_INTEGERS, REAL)
row("eval_legendre",    [UNKNOWN, lambda y, n, x: _gegenbauer(n, 1.5, x)],                       SMALL_INTEGERS, REAL)
row("eval_sh_legendre", [UNKNOWN, lambda y, n, x: 2 * _gegenbauer(n, 1.5, 2 * x - 1)],           SMALL_INTEGERS, REAL)
row("eval_gegenbauer", [UNKNOWN, UNKNOWN, lambda y, n, a, x: 2 * a * _gegenbauer(n, a + 1.0, x)], SMALL_INTEGERS,
                      POSITIVE, REAL)
row("eval_jacobi", [UNKNOWN, UNKNOWN, UNKNOWN, _jacobi], SMALL_INTEGERS, POSITIVE, POSITIVE, REAL)
row("eval_sh_jacobi", [UNKNOWN, UNKNOWN, UNKNOWN,
                      lambda y, n, p, q, x: n * sc.eval_sh_jacobi(_degree(n), p + 2.0, q + 1.0, x)],
                      SMALL_INTEGERS, ((3.0, 4.0),), ((1.0, 2.0),), REAL)
row("eval_laguerre",    [UNKNOWN, lambda y, n, x: _laguerre(n, 0.0, x)],                         SMALL_INTEGERS, REAL)
row("eval_genlaguerre", [UNKNOWN, UNKNOWN, lambda y, n, a, x: _laguerre(n, a, x)], SMALL_INTEGERS, POSITIVE, REAL)
row("eval_hermite",     [UNKNOWN, lambda y, n, x: 2 * n * sc.eval_hermite(_degree(n), x)],       SMALL_INTEGERS, REAL)
row("eval_hermitenorm", [UNKNOWN, lambda y, n, x: n * sc.eval_hermitenorm(_degree(n), x)],       SMALL_INTEGERS, REAL)
row("lpmv", [UNKNOWN, UNKNOWN, _lpmv], (0, 1), SMALL_INTEGERS, UNIT)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Distribution functions: the derivative in x is the density, that of a quantile its reciprocal
# ---------------------------------------------------------------------------------------------------


def _binomial(k: Any, n: Any, p: Any) -> Any:
    """−∂/∂p of P(X ≤ k) = I_(1−p)(n − k, k + 1); for k = n the probability is 1."""
    k = np.floor(k)
    certain = np.equal(k, n)
    return np.where(certain, 0.0, _beta_density(k + 1, np.where(certain, 1, n - k), p))


def _f_density(n: Any, d: Any, x: Any) -> Any:
    """I_w(n/2, d/2) with w = nx/(d + nx), dw/dx = nd/(d + nx)²."""
    s = d + n * x
    return _beta_density(n / 2, d / 2, n * x / s) * n * d / (s * s)


def _t_density(df: Any, t: Any) -> Any:
    return np.exp(-(df + 1) / 2 * np.log1p(t * t / df) - sc.betaln(0.5, df / 2)) / np.sqrt(df)


def _chi2_density(x: Any, df: Any, nc: Any) -> Any:
    """Noncentral χ²: ½ e^(−nc/2) · density of χ²(df) · ₀F₁(df/2; nc·x/4)."""
    return np.exp(-nc / 2) * _gamma_density(df / 2, x / 2) * sc.hyp0f1(df / 2, nc * x / 4) / 2


def _chi2_nc(y: Any, x: Any, df: Any, nc: Any) -> Any:
    """A Poisson mixture: ∂/∂nc = ½ (the same with df + 2, less itself)."""
    return (sc.chndtr(x, df + 2, nc) - y) / 2


def _ncf_density(n: Any, d: Any, nc: Any, x: Any) -> Any:
    """Noncentral F: e^(−nc/2) · density of F(n, d) · ₁F₁((n + d)/2; n/2; nc·nx/(2(d + nx)))."""
    return np.exp(-nc / 2) * _f_density(n, d, x) * sc.hyp1f1((n + d) / 2, n / 2, nc * n * x / (2 * (d + n * x)))


def _ncf_nc(y: Any, n: Any, d: Any, nc: Any, x: Any) -> Any:
    """½ (the same with n + 2 at the same w, less itself)."""
    return (sc.ncfdtr(n + 2, d, nc, n * x / (n + 2)) - y) / 2


def _nct_density(df: Any, nc: Any, t: Any) -> Any:
    """Noncentral t, Johnson, Kotz & Balakrishnan (31.15), by two ₁F₁ of z = nc² t²/(2(df + t²))."""
    s = df + t * t
    z = nc * nc * t * t / (2 * s)
    scale = np.exp(df / 2 * np.log(df / s) + sc.gammaln(df + 1) - nc * nc / 2 - df * LN2 - sc.gammaln(df / 2))
    odd = SQRT_2 * nc * t * sc.hyp1f1(df / 2 + 1, 1.5, z) / (s * sc.gamma((df + 1) / 2))
    return scale * (odd + sc.hyp1f1((df + 1) / 2, 0.5, z) / (np.sqrt(s) * sc.gamma(df / 2 + 1)))


def _kolmogorov_slope(x: Any) -> Any:
    """K′ of K(x) = 2 Σ (−1)^(k−1) e^(−2k²x²), and for small x of 1 − (√2π/x) Σ e^(−(2k−1)²π²/8x²)."""
    small = x < 0.8
    a, b = np.where(small, x, 0.5), np.where(small, 1.0, x)
    c = [(2 * k - 1) ** 2 * np.pi**2 / 8 for k in range(1, 5)]
    left = sum(np.exp(-ck / (a * a)) * (1 / (a * a) - 2 * ck / a**4) for ck in c) * SQRT_2PI
    right = sum((-1) ** k * 8 * k * k * b * np.exp(-2 * k * k * b * b) for k in range(1, 8))
    return np.where(small, left, right)


def _normal_slope(z: Any) -> Any:
    """dΦ⁻¹/dp at p = Φ(z)."""
    return SQRT_2PI * np.exp(z * z / 2)


# fmt: off
COUNTS = (3, 4)
row("bdtr",      [UNKNOWN, UNKNOWN, lambda y, k, n, p: -_binomial(k, n, p)],             (1, 2), COUNTS, PROBABILITY)
row("bdtrc",     [UNKNOWN, UNKNOWN, lambda y, k, n, p: _binomial(k, n, p)],              (1, 2), COUNTS, PROBABILITY)
row("bdtri",     [UNKNOWN, UNKNOWN, lambda p, k, n, y: -1 / _binomial(k, n, p)],         (1, 2), COUNTS, PROBABILITY)
row("nbdtr",     [UNKNOWN, UNKNOWN, lambda y, k, n, p: _beta_density(n, k + 1, p)],      (1, 2), COUNTS, PROBABILITY)
row("nbdtrc",    [UNKNOWN, UNKNOWN, lambda y, k, n, p: -_beta_density(n, k + 1, p)],     (1, 2), COUNTS, PROBABILITY)
row("nbdtri",    [UNKNOWN, UNKNOWN, lambda p, k, n, y: 1 / _beta_density(n, k + 1, p)],  (1, 2), COUNTS, PROBABILITY)
row("pdtr",      [UNKNOWN, lambda y, k, m: -_gamma_density(np.floor(k) + 1, m)],         SMALL_INTEGERS, POSITIVE)
row("pdtrc",     [UNKNOWN, lambda y, k, m: _gamma_density(np.floor(k) + 1, m)],          SMALL_INTEGERS, POSITIVE)
row("pdtri",     [UNKNOWN, lambda m, k, y: -1 / _gamma_density(np.floor(k) + 1, m)],     SMALL_INTEGERS, PROBABILITY)
row("chdtr",     [UNKNOWN, lambda y, v, x: _gamma_density(v / 2, x / 2) / 2],            POSITIVE, POSITIVE)
row("chdtrc",    [UNKNOWN, lambda y, v, x: -_gamma_density(v / 2, x / 2) / 2],           POSITIVE, POSITIVE)
row("chdtri",    [UNKNOWN, lambda x, v, p: -2 / _gamma_density(v / 2, x / 2)],           POSITIVE, PROBABILITY)
row("gdtr", [lambda y, a, b, x: x * _gamma_density(b, a * x), UNKNOWN,
             lambda y, a, b, x: a * _gamma_density(b, a * x)], POSITIVE, POSITIVE, POSITIVE)
row("gdtrc", [lambda y, a, b, x: -x * _gamma_density(b, a * x), UNKNOWN,
              lambda y, a, b, x: -a * _gamma_density(b, a * x)], POSITIVE, POSITIVE, POSITIVE)
row("gdtrix", [lambda x, a, b, p: -x / a, UNKNOWN, lambda x, a, b, p: 1 / (a * _gamma_density(b, a * x))], POSITIVE,
               POSITIVE, PROBABILITY)
row("gdtria", [lambda a, p, b, x: 1 / (x * _gamma_density(b, a * x)), UNKNOWN, lambda a, p, b, x: -a / x], PROBABILITY,
               POSITIVE, POSITIVE)
row("fdtr",      [UNKNOWN, UNKNOWN, lambda y, n, d, x: _f_density(n, d, x)],             POSITIVE, POSITIVE, POSITIVE)
row("fdtrc",     [UNKNOWN, UNKNOWN, lambda y, n, d, x: -_f_density(n, d, x)],            POSITIVE, POSITIVE, POSITIVE)
row("fdtri", [UNKNOWN, UNKNOWN, lambda x, n, d, p: 1 / _f_density(n, d, x)], POSITIVE, POSITIVE, PROBABILITY)
row("stdtr",     [UNKNOWN, lambda y, df, t: _t_density(df, t)],                          POSITIVE, REAL)
row("stdtrit",   [UNKNOWN, lambda t, df, p: 1 / _t_density(df, t)],                      ((1.0, 3.0),), PROBABILITY)
row("chndtr",    [lambda y, x, df, nc: _chi2_density(x, df, nc), UNKNOWN, _chi2_nc],     POSITIVE, POSITIVE, POSITIVE)
row("chndtrix",  [lambda x, p, df, nc: 1 / _chi2_density(x, df, nc), UNKNOWN,
                  lambda x, p, df, nc: -_chi2_nc(p, x, df, nc) / _chi2_density(x, df,
                      nc)], PROBABILITY, POSITIVE, POSITIVE)
row("chndtrinc", [lambda nc, x, df, p: -_chi2_density(x, df, nc) / _chi2_nc(p, x, df, nc), UNKNOWN,
                  lambda nc, x, df, p: 1 / _chi2_nc(p, x, df, nc)], ((4.0, 6.0),), ((1.0, 2.0),), ((0.2, 0.5),))
row("ncfdtr",    [UNKNOWN, UNKNOWN, _ncf_nc, lambda y, n, d, nc, x: _ncf_density(n, d, nc, x)],  *(POSITIVE,) * 4)
row("ncfdtri",   [UNKNOWN, UNKNOWN, lambda x, n, d, nc, p: -_ncf_nc(p, n, d, nc, x) / _ncf_density(n, d, nc, x),
                  lambda x, n, d, nc, p: 1 / _ncf_density(n, d, nc, x)], ((1.0, 3.0),), ((1.0,
                      3.0),), POSITIVE, PROBABILITY)
row("ncfdtrinc", [UNKNOWN, UNKNOWN, lambda nc, n, d, p, x: 1 / _ncf_nc(p, n, d, nc, x),
                  lambda nc, n, d, p, x: -_ncf_density(n, d, nc, x) / _ncf_nc(p, n, d, nc, x)], ((2.0, 3.0),), ((2.0,
                      3.0),), ((0.2, 0.4),), ((3.0, 4.0),), apart=True)
row("nctdtr",    [UNKNOWN, UNKNOWN, lambda y, df, nc, t: _nct_density(df, nc, t)],       POSITIVE, REAL, REAL)
row("nctdtrit", [UNKNOWN, UNKNOWN, lambda t, df, nc, p: 1 / _nct_density(df, nc, t)], ((1.0, 3.0),), UNIT, PROBABILITY)
row("nrdtrimn", [lambda y, p, sd, x: -sd * _normal_slope((x - y) / sd), lambda y, p, sd, x: (y - x) / sd, 1],
                 PROBABILITY, POSITIVE, REAL)
row("nrdtrisd",  [lambda y, m, p, x: -y / (x - m), lambda y, m, p, x: -y * y / (x - m) * _normal_slope((x - m) / y),
                  lambda y, m, p, x: y / (x - m)], ((-2.0, -1.0),), ((0.6, 0.9),), ((1.0, 2.0),))
row("kolmogorov", [lambda y, x: _kolmogorov_slope(x)],                                    ((0.5, 1.5),))
row("kolmogi",   [lambda x, p: 1 / _kolmogorov_slope(x)],                                 PROBABILITY)
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Derivative zero, and functions of which no derivative is known by any argument
# ---------------------------------------------------------------------------------------------------

PASSIVE = ("gammasgn", "round")
REFUSED = (
    "bdtrik", "bdtrin", "btdtria", "btdtrib", "chdtriv", "chndtridf", "elliprj", "fdtridfd", "gdtrib", "mathieu_a",
    "mathieu_b", "nbdtrik", "nbdtrin", "ncfdtridfd", "ncfdtridfn", "nctdtridf", "nctdtrinc", "obl_cv", "pdtrik",
    "pro_cv", "smirnov", "smirnovi", "stdtridf", "zetac", "_riemann_zeta",
)  # fmt: skip

for _name in PASSIVE:
    add(Passive(ufunc(_name), zero=True))
for _name in REFUSED:
    if ufunc(_name) is not None:
        add(Refused(ufunc(_name), "no derivative in closed form is known by any of its arguments"))
