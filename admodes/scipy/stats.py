"""scipy.stats: densities and distribution functions of the commonest distributions, by NumPy and the ufuncs of SciPy.

Outside the support the density is 0 and the distribution function 0 or 1, with derivative zero; at a parameter that
SciPy does not take everything is nan.  All is computed in double precision, as SciPy does.  By a shape parameter whose
derivative has no closed form (a of the incomplete gamma function, the degrees of freedom of t) a distribution function
raises MissingRule; the densities have all derivatives.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special as sc
import scipy.stats as st

from ..core.dispatch import canonical
from ..core.domain import A, OnlyReal, case, positive_definite
from ..core.registry import Composite
from ..core.views import ground
from .linalg import solve_triangular
from .rows import mirror

LOG_2, LOG_PI, LOG_2PI = math.log(2), math.log(math.pi), math.log(2 * math.pi)
SQRT_2, INF = math.sqrt(2), math.inf

# Where the tests sample the variable, a shape, loc and scale.
_LINE, _HALF, _UNIT = ((-2.0, 4.0),), ((4.0, 6.0),), ((1.0, 1.5),)
_LOC, _SCALE, _WIDE = ((0.5, 0.9),), ((0.6, 1.4),), ((1.6, 2.2),)
_SHAPE = ((1.4, 2.8),)

_METHODS = {
    "logpdf": "The logarithm of the density",
    "pdf": "The density",
    "logpmf": "The logarithm of the probability",
    "pmf": "The probability",
    "cdf": "The distribution function",
    "logcdf": "The logarithm of the distribution function",
    "sf": "The survival function, 1 − cdf,",
    "logsf": "The logarithm of the survival function, 1 − cdf,",
}


def _doubles(*arrays: Any) -> list[Any]:
    """Numbers and arrays, traced or not, in double precision."""
    found = []
    for x in arrays:
        x = canonical(x)
        x = x if hasattr(x, "dtype") else np.asarray(x)[()]
        found.append(x if x.dtype == np.float64 else np.astype(x, np.float64))
    return found


class Distribution:
    """A distribution of SciPy's, whose methods take traced values.

    name : as in scipy.stats.
    shapes : the names of its parameters before loc and scale.
    parts : by method, a function of the standardised variable and the shapes: "log", the logarithm of the density,
        "cdf", "logcdf" where there is one with more digits than log(cdf), "sf" and "logsf" where they are known.
    support : the ends of the standardised support, numbers, or functions of the shapes.
    within : where the tests sample it, or `samples`, calls of their own.
    closed : the shapes by which its distribution function has a derivative in closed form.
    whole : whether it lives on whole numbers, and has loc but no scale.
    valid : of the shapes, whether they are parameters of it; left out, they must be positive.
    open : whether the lower end of the support is outside of it.

    Source: Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" (2nd ed., 1994 and 1995).

    >>> from admodes import grad
    >>> grad(lambda loc: norm.logpdf(2.0, loc, 1.0))(0.5)
    np.float64(1.5)
    """

    def __init__(
        self,
        name: str,
        shapes: str,
        parts: dict[str, Callable[..., Any]],
        support: tuple[Any, Any],
        within: Any,
        closed: Sequence[str] = (),
        whole: bool = False,
        valid: Callable[..., Any] | None = None,
        samples: Sequence[Any] = (),
        open: bool = False,
    ) -> None:
        self.name, self.shapes, self.whole, self.open = name, tuple(shapes.split()), whole, open
        self._parts, self._support, self._valid = parts, support, valid
        densities = ("logpmf", "pmf") if whole else ("logpdf", "pdf")
        self.methods = (*densities, "cdf", "logcdf", *(name for name in ("sf", "logsf") if name in parts))
        scale = () if whole else ("scale",)
        self._defaults = {"loc": 0, **dict.fromkeys(scale, 1)}
        first = "k" if whole else "x"
        parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in (first, *self.shapes)]
        parameters += [
            inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=v) for n, v in self._defaults.items()
        ]
        for method in self.methods:
            body: Any = self._body(method)
            body.__signature__ = inspect.Signature(parameters)
            body.__name__, body.__qualname__ = method, f"{name}.{method}"
            body.__doc__ = self._doc(method, first)
            theirs = getattr(getattr(st, name), method)
            known = self.shapes if method in densities else closed
            op = Composite(
                body,
                body,
                name=f"scipy.stats.{name}.{method}",
                arrays=len(parameters),
                evaluate=theirs,
                domain=self._domain(within, known, samples),
            )
            setattr(self, method, mirror(op, body, theirs))
        self.__doc__ = (
            f"scipy.stats.{name} with {', '.join(self.methods)} for traced values.\n\n"
            f"Called with {', '.join((*self.shapes, *self._defaults))}, it is the distribution with these fixed."
        )

    def __repr__(self) -> str:
        return f"admodes.scipy.stats.{self.name}"

    def __call__(self, *args: Any, **params: Any) -> Frozen:
        return Frozen(self, args, params)

    def _body(self, method: str) -> Callable[..., Any]:
        def body(x: Any, *args: Any, **params: Any) -> Any:
            named = (*self.shapes, *self._defaults)
            given = {**self._defaults, **dict(zip(named, args, strict=False)), **params}
            x, *rest = _doubles(x, *(given[n] for n in named))
            shapes, (loc, *scale) = rest[: len(self.shapes)], rest[len(self.shapes) :]
            z = x - loc if self.whole else (x - loc) / scale[0]
            return self._at(method, z, shapes, 1.0 if self.whole else scale[0])

        return body

    def _at(self, method: str, z: Any, shapes: list[Any], scale: Any) -> Any:
        """At the standardised variable; where it is outside, the part is taken at a place inside."""
        low, high = (end(*shapes) if callable(end) else end for end in self._support)
        ok = np.greater(scale, 0)
        if self._valid is not None:
            ok = np.logical_and(ok, self._valid(*shapes))
        else:
            for shape in shapes:
                ok = np.logical_and(ok, np.greater(shape, 0))
        nan = np.isnan(z)
        below = (np.less_equal if self.open else np.less)(z, low)
        below = np.logical_or(below, np.equal(z, -INF))
        above = np.logical_or(np.greater(z, high), np.equal(z, INF))
        if self.whole and method in ("pmf", "logpmf"):
            below = np.logical_or(below, np.not_equal(z, np.floor(z)))
        inside = np.logical_and(ok, ~(below | above | nan))
        z = np.where(inside, z, self._inside(low, high))
        shapes = [np.where(ok, shape, 1.0 if self._valid is None else 0.5) for shape in shapes]
        if method in ("logpdf", "logpmf", "pdf", "pmf"):
            scale = np.where(ok, scale, 1.0)
            y = self._parts["log"](z, *shapes) - (0.0 if self.whole else np.log(scale))
            y = np.where(inside, y, -np.inf) if method[0] == "l" else np.where(inside, np.exp(y), 0.0)
        elif method in ("sf", "logsf"):
            ends = (0.0, 1.0) if method == "sf" else (-np.inf, 0.0)
            y = np.where(inside, self._parts[method](z, *shapes), np.where(above, *ends))
        elif method == "logcdf" and "logcdf" in self._parts:
            y = np.where(inside, self._parts["logcdf"](z, *shapes), np.where(above, 0.0, -np.inf))
        elif method == "logcdf":
            F = self._parts["cdf"](z, *shapes)
            positive = np.logical_and(inside, np.greater(F, 0))
            y = np.where(positive, np.log(np.where(positive, F, 1.0)), np.where(above, 0.0, -np.inf))
        else:
            y = np.where(inside, self._parts["cdf"](z, *shapes), np.where(above, 1.0, 0.0))
        return np.where(np.logical_or(~ok, nan), np.nan, y)[()]

    @staticmethod
    def _inside(low: Any, high: Any) -> Any:
        if np.ndim(low) == np.ndim(high) == 0 and not np.isfinite(low) and not np.isfinite(high):
            return 0.5
        return np.where(np.isfinite(high), (low + np.where(np.isfinite(high), high, 1.0)) / 2, low + 1.5)

    def _doc(self, method: str, first: str) -> str:
        shapes = f"    {', '.join(self.shapes)} : its shapes.\n" if self.shapes else ""
        scale = "" if self.whole else ", scale"
        return (
            f"{_METHODS[method]} of the {self.name} distribution.\n\n"
            f"    Parameters\n    ----------\n    {first} : where, of any shape.\n{shapes}"
            f"    loc{scale} : by how much it is moved{'' if self.whole else ', and stretched'}.\n\n"
            "    Returns\n    -------\n    An array of the shape to which all broadcast, in double precision.\n\n"
            f"    Source: scipy.stats.{self.name}.\n    "
        )

    def _domain(self, within: Any, known: Sequence[str], samples: Sequence[Any]) -> Any:
        """One call with everything given, by all of which it is differentiated that has a derivative."""
        if samples:
            return OnlyReal([*samples])
        shapes = [A(within=_SHAPE) if name in known else 1.9 for name in self.shapes]
        scale = _WIDE if within is _UNIT else _SCALE
        calls = [case(A(3, within=within), *shapes, A(within=_LOC), A(within=scale))]
        if within is _LINE:
            calls.append(case(A(2, 1, within=within), *shapes, scale=A(2, within=scale)))
        return OnlyReal(calls)


class Frozen:
    """A distribution with its parameters fixed.

    distribution : which.
    args, params : its shapes, loc and scale, by position and by name.

    Source: scipy.stats, "Freezing a distribution".

    >>> from admodes import grad
    >>> grad(lambda s: norm(0.0, s).logpdf(0.0))(2.0)
    np.float64(-0.5)
    """

    def __init__(self, distribution: Any, args: tuple[Any, ...], params: dict[str, Any]) -> None:
        self.distribution, self.args, self.params = distribution, args, params

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        if method not in self.distribution.methods:
            raise AttributeError(
                f"{self.distribution} has no {method!r} for traced values, but {', '.join(self.distribution.methods)}"
            )
        return lambda x: getattr(self.distribution, method)(x, *self.args, **self.params)


def _line(name: str, shapes: str, closed: Sequence[str] = (), **parts: Any) -> Distribution:
    return Distribution(name, shapes, parts, (-INF, INF), _LINE, closed)


def _half(
    name: str, shapes: str, closed: Sequence[str] = (), low: float = 0.0, open: bool = False, **parts: Any
) -> Distribution:
    return Distribution(name, shapes, parts, (low, INF), _HALF, closed, open=open)


def _normal(z: Any) -> Any:
    return -z * z / 2.0 - LOG_2PI / 2.0


def _f_log(z: Any, n: Any, d: Any) -> Any:
    powers = sc.xlogy(d / 2, d) + sc.xlogy(n / 2, n) + sc.xlogy(n / 2 - 1, z)
    return powers - (n + d) / 2 * np.log(d + n * z) - sc.betaln(n / 2, d / 2)


def _logistic(z: Any) -> Any:
    """−z − 2 log(1 + e⁻ᶻ), which is even in z."""
    return -z - 2.0 * np.logaddexp(0.0, -z)


def _laplace_cdf(z: Any) -> Any:
    half = np.exp(-np.abs(z)) / 2.0
    return np.where(np.greater(z, 0), 1.0 - half, half)


def _triangle_log(z: Any, c: Any) -> Any:
    rising = np.logical_or(np.less(z, c), np.equal(c, 1))
    up = z / np.where(rising, c, 1.0)
    down = (1.0 - z) / np.where(rising, 1.0, 1.0 - c)
    return LOG_2 + np.log(np.where(rising, up, down))


def _triangle_cdf(z: Any, c: Any) -> Any:
    rising = np.logical_or(np.less(z, c), np.equal(c, 1))
    return np.where(rising, z * z / np.where(rising, c, 1.0), 1.0 - (1.0 - z) ** 2 / np.where(rising, 1.0, 1.0 - c))


# fmt: off
norm = _line("norm", "", log=_normal, cdf=lambda z: sc.ndtr(z), logcdf=lambda z: sc.log_ndtr(z),
             sf=lambda z: sc.ndtr(-z), logsf=lambda z: sc.log_ndtr(-z))
cauchy = _line("cauchy", "", log=lambda z: -LOG_PI - np.log1p(z * z), cdf=lambda z: 0.5 + np.arctan(z) / np.pi)
laplace = _line("laplace", "", log=lambda z: -np.abs(z) - LOG_2, cdf=_laplace_cdf)
logistic = _line("logistic", "", log=_logistic, cdf=lambda z: sc.expit(z), logcdf=lambda z: sc.log_expit(z))
gumbel_r = _line("gumbel_r", "", log=lambda z: -z - np.exp(-z), cdf=lambda z: np.exp(-np.exp(-z)),
                 logcdf=lambda z: -np.exp(-z))
gumbel_l = _line("gumbel_l", "", log=lambda z: z - np.exp(z), cdf=lambda z: -np.expm1(-np.exp(z)))
t = _line("t", "df", cdf=lambda z, df: sc.stdtr(df, z),
          log=lambda z, df: -(df + 1) / 2 * np.log1p(z * z / df) - np.log(df) / 2 - sc.betaln(0.5, df / 2))
expon = _half("expon", "", log=lambda z: -z, cdf=lambda z: -np.expm1(-z))
gamma = _half("gamma", "a", log=lambda z, a: sc.xlogy(a - 1, z) - z - sc.gammaln(a), cdf=lambda z, a: sc.gammainc(a, z))
chi2 = _half("chi2", "df", cdf=lambda z, df: sc.chdtr(df, z),
             log=lambda z, df: sc.xlogy(df / 2 - 1, z) - z / 2 - sc.gammaln(df / 2) - LOG_2 * df / 2)
f = _half("f", "dfn dfd", log=_f_log, cdf=lambda z, n, d: sc.fdtr(n, d, z))
lognorm = _half("lognorm", "s", ("s",), open=True, cdf=lambda z, s: sc.ndtr(np.log(z) / s),
                log=lambda z, s: _normal(np.log(z) / s) - np.log(s * z), logcdf=lambda z, s: sc.log_ndtr(np.log(z) / s))
weibull_min = _half("weibull_min", "c", ("c",), cdf=lambda z, c: -np.expm1(-(z**c)),
                    log=lambda z, c: np.log(c) + sc.xlogy(c - 1, z) - z**c)
pareto = _half("pareto", "b", ("b",), 1.0, log=lambda z, b: np.log(b) - (b + 1) * np.log(z),
               cdf=lambda z, b: 1 - z ** (-b))
rayleigh = _half("rayleigh", "", log=lambda z: np.log(z) - z * z / 2, cdf=lambda z: -np.expm1(-z * z / 2))
halfnorm = _half("halfnorm", "", log=lambda z: _normal(z) + LOG_2, cdf=lambda z: sc.erf(z / SQRT_2))
halfcauchy = _half("halfcauchy", "", log=lambda z: LOG_2 - LOG_PI - np.log1p(z * z),
                   cdf=lambda z: 2 / np.pi * np.arctan(z))
invgamma = _half("invgamma", "a", open=True, log=lambda z, a: -(a + 1) * np.log(z) - sc.gammaln(a) - 1 / z,
                 cdf=lambda z, a: sc.gammaincc(a, 1 / z))
uniform = Distribution("uniform", "", {"log": lambda z: 0.0 * z, "cdf": lambda z: z}, (0.0, 1.0), _UNIT)
beta = Distribution(
    "beta", "a b",
    {"log": lambda z, a, b: sc.xlog1py(b - 1, -z) + sc.xlogy(a - 1, z) - sc.betaln(a, b),
     "cdf": lambda z, a, b: sc.betainc(a, b, z)},
    (0.0, 1.0), _UNIT,
)
triang = Distribution(
    "triang", "c", {"log": _triangle_log, "cdf": _triangle_cdf}, (0.0, 1.0), _UNIT, ("c",),
    valid=lambda c: np.logical_and(np.greater_equal(c, 0), np.less_equal(c, 1)),
    samples=[case(A(3, within=((0.9, 1.1),)), A(within=((0.4, 0.7),)), A(within=_LOC), A(within=((2.5, 3.0),)))],
)


def _counts(name: str, shapes: str, high: Any, valid: Any, samples: Any, **parts: Any) -> Distribution:
    names = tuple(shapes.split())
    return Distribution(name, shapes, parts, (parts.pop("low", 0.0), high), None, names, True, valid, samples)


def _probability(p: Any) -> Any:
    return np.logical_and(np.greater_equal(p, 0), np.less_equal(p, 1))


_K, _P = np.array([0.0, 1.0, 3.0]), A(within=((0.2, 0.8),))
poisson = _counts("poisson", "mu", INF, lambda mu: np.greater_equal(mu, 0), [case(_K, A(3, within=_SHAPE))],
                  log=lambda k, mu: sc.xlogy(k, mu) - sc.gammaln(k + 1) - mu,
                  cdf=lambda k, mu: sc.pdtr(np.floor(k), mu))
bernoulli = _counts("bernoulli", "p", 1.0, _probability, [case(np.array([0.0, 1.0]), _P)],
                    log=lambda k, p: sc.xlogy(k, p) + sc.xlog1py(1 - k, -p),
                    cdf=lambda k, p: np.where(np.less(k, 1), 1 - p, 1.0))
geom = _counts("geom", "p", INF, _probability, [case(_K[1:], _P)], low=1.0,
               log=lambda k, p: sc.xlog1py(k - 1, -p) + np.log(p),
               cdf=lambda k, p: -np.expm1(np.log1p(-p) * np.floor(k)))
binom = _counts("binom", "n p", lambda n, p: n, lambda n, p: np.logical_and(np.greater_equal(n, 0), _probability(p)),
                [case(_K, 4, _P)],
                log=lambda k, n, p: (sc.gammaln(n + 1) - sc.gammaln(k + 1) - sc.gammaln(n - k + 1) + sc.xlogy(k, p)
                                     + sc.xlog1py(n - k, -p)),
                cdf=lambda k, n, p: sc.bdtr(np.floor(k), n.astype(int), p))
nbinom = _counts("nbinom", "n p", INF, lambda n, p: np.logical_and(np.greater(n, 0), _probability(p)),
                 [case(_K, 4, _P)],
                 log=lambda k, n, p: (sc.gammaln(n + k) - sc.gammaln(k + 1) - sc.gammaln(n) + n * np.log(p)
                                      + sc.xlog1py(k, -p)),
                 cdf=lambda k, n, p: sc.betainc(n, np.floor(k) + 1, p))
# fmt: on

__all__ = [
    "bernoulli", "beta", "binom", "cauchy", "chi2", "dirichlet", "expon", "f", "gamma", "geom", "gumbel_l", "gumbel_r",
    "halfcauchy", "halfnorm", "invgamma", "laplace", "logistic", "lognorm", "multivariate_normal", "nbinom", "norm",
    "pareto", "poisson", "rayleigh", "t", "triang", "uniform", "weibull_min",
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------
# The normal distribution in several dimensions
# ---------------------------------------------------------------------------------------------------


def _root_of_covariance(mean: Any, cov: Any) -> tuple[Any, int]:
    """L, with cov = L Lᵀ, and the number of dimensions."""
    (cov,) = _doubles(1.0 if cov is None else cov)
    d = np.size(mean) if mean is not None else np.shape(cov)[0] if np.ndim(cov) else 1
    if np.ndim(cov) == 0:
        cov = cov * np.eye(d)
    elif np.ndim(cov) == 1:
        cov = cov[:, None] * np.eye(d)
    if np.shape(cov) != (d, d):
        raise ValueError(f"scipy.stats.multivariate_normal: cov of shape {np.shape(cov)} for {d} dimensions")
    return np.linalg.cholesky(cov), d


def _multivariate(x: Any, mean: Any, cov: Any, allow_singular: bool) -> Any:
    """−½ (|L⁻¹(x − m)|² + 2 Σ log L_ii + d log 2π) with cov = L Lᵀ."""
    if allow_singular:
        raise TypeError("multivariate_normal: allow_singular=True has no derivative by cov, whose rank would change")
    (x,) = _doubles(x)
    if mean is None and cov is not None and np.ndim(cov):
        mean = np.zeros(np.shape(cov)[0])
    elif mean is None:
        mean = np.zeros(np.shape(x)[-1] if np.ndim(x) else 1)
    mean = np.reshape(_doubles(mean)[0], -1)
    L, d = _root_of_covariance(mean, cov)
    if np.ndim(x) == 0:
        x = np.reshape(x, (1,))
    elif np.ndim(x) == 1 and d == 1:
        x = x[:, None]
    centred = np.reshape(x - mean, (-1, d))
    z = solve_triangular(L, centred.T, lower=True)
    y = -0.5 * np.sum(z * z, axis=0) - np.sum(np.log(np.diagonal(L))) - 0.5 * d * LOG_2PI
    return np.reshape(y, np.shape(x)[:-1])[()]


class MultivariateNormal:
    """The normal distribution in d dimensions, whose methods take traced values.

    Source: scipy.stats.multivariate_normal; Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006),
    A.2.

    >>> from admodes import grad
    >>> grad(lambda m: multivariate_normal.logpdf(np.array([1.0, 2.0]), m, np.eye(2)))(np.zeros(2))
    array([1., 2.])
    """

    name = "multivariate_normal"
    methods = ("logpdf", "pdf", "entropy")

    def __init__(self, logpdf: Any, pdf: Any, entropy: Any) -> None:
        self.logpdf, self.pdf, self.entropy = logpdf, pdf, entropy

    def __call__(self, mean: Any = None, cov: Any = 1) -> Frozen:
        """With its parameters fixed."""
        return Frozen(self, (mean, cov), {})

    def __repr__(self) -> str:
        return "admodes.scipy.stats.multivariate_normal"


def _named(name: str, body: Callable[..., Any], arrays: int, doc: str, calls: Sequence[Any]) -> Any:
    """The public function of a method of one of SciPy's distributions, 'dirichlet.pdf'."""
    distribution, method = name.split(".")
    theirs = getattr(getattr(st, distribution), method)
    body.__doc__, body.__name__ = doc, method
    domain = OnlyReal([*calls])
    op = Composite(body, body, name=f"scipy.stats.{name}", arrays=arrays, evaluate=theirs, domain=domain)
    return mirror(op, body, theirs)


_COV = (
    "    mean : (d,), zeros where it is left out.\n"
    "    cov : the covariance, positive definite: (d, d), its diagonal, or one number for it.\n"
)


def _normals(method: str) -> Any:
    def body(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        y = _multivariate(x, mean, cov, allow_singular)
        return np.exp(y) if method == "pdf" else y

    doc = (
        f"{_METHODS[method]} of the normal distribution in d dimensions.\n\n"
        f"    Parameters\n    ----------\n    x : (…, d), where.\n{_COV}"
        "    allow_singular : False.\n\n"
        "    Returns\n    -------\n    An array of the shape of x without the last axis.\n    "
    )
    calls = [case(A(2, 3), A(3), A(3, 3, within=positive_definite))]
    return _named(f"multivariate_normal.{method}", body, 3, doc, calls)


def _entropy(mean: Any = None, cov: Any = 1) -> Any:
    """½ (d + d log 2π + log det cov)."""
    L, d = _root_of_covariance(mean, cov)
    return 0.5 * d * (1.0 + LOG_2PI) + np.sum(np.log(np.diagonal(L)))


multivariate_normal = MultivariateNormal(
    _normals("logpdf"),
    _normals("pdf"),
    _named(
        "multivariate_normal.entropy",
        _entropy,
        2,
        "The entropy of the normal distribution in d dimensions.\n\n"
        f"    Parameters\n    ----------\n{_COV}\n"
        "    Returns\n    -------\n    A number.\n    ",
        [case(np.zeros(3), A(3, 3, within=positive_definite)), case(cov=A(2, 2, within=positive_definite))],
    ),
)


# ---------------------------------------------------------------------------------------------------
# The Dirichlet distribution
# ---------------------------------------------------------------------------------------------------


def _on_simplex(x: Any, alpha: Any) -> Any:
    """log Γ(Σ α) − Σ log Γ(α) + Σ (α − 1) log x, where the last x may be left out: they sum to 1."""
    plain = st.dirichlet.logpdf(ground(x), ground(alpha))  # which raises where x is not on the simplex
    x, alpha = _doubles(x, alpha)
    if np.shape(x)[0] < np.shape(alpha)[0]:
        x = np.concatenate([x, 1.0 - np.sum(x, axis=0, keepdims=True)])
    powers = np.sum(sc.xlogy(alpha - 1.0, x.T), axis=-1)
    return np.astype(powers + sc.gammaln(np.sum(alpha)) - np.sum(sc.gammaln(alpha)), plain.dtype)


class Dirichlet:
    """The Dirichlet distribution, whose methods take traced values.

    Source: scipy.stats.dirichlet; Kotz, Balakrishnan and Johnson, "Continuous Multivariate Distributions" (2000), 49.

    >>> from admodes import grad
    >>> grad(lambda a: dirichlet.logpdf(np.array([0.25, 0.75]), a))(np.ones(2)).round(3)
    array([-0.386,  0.712])
    """

    name = "dirichlet"
    methods = ("logpdf", "pdf")

    def __init__(self) -> None:
        self.logpdf, self.pdf = map(_dirichlets, self.methods)

    def __call__(self, alpha: Any) -> Frozen:
        """With its parameters fixed."""
        return Frozen(self, (alpha,), {})

    def __repr__(self) -> str:
        return "admodes.scipy.stats.dirichlet"


def _dirichlets(method: str) -> Any:
    def body(x: Any, alpha: Any) -> Any:
        y = _on_simplex(x, alpha)
        return np.exp(y) if method == "pdf" else y

    doc = (
        f"{_METHODS[method]} of the Dirichlet distribution.\n\n"
        "    Parameters\n    ----------\n    x : (d,) or (d, n), where, on the simplex; or without the last row.\n"
        "    alpha : (d,), its parameters.\n\n"
        "    Returns\n    -------\n    A number, or (n,).\n    "
    )
    inside = ((0.2, 0.3),)
    calls = [case(A(2, within=inside), A(3, within=_SHAPE)), case(A(2, 4, within=inside), A(3, within=_SHAPE))]
    return _named(f"dirichlet.{method}", body, 2, doc, calls)


dirichlet = Dirichlet()
