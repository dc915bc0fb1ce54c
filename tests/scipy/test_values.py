"""Traced values go by our own rules, so their primal is held against SciPy's, over options, borders and corners; and on
plain values SciPy's own function runs."""

import inspect
import itertools

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.sparse
import scipy.spatial.distance
import scipy.special
import scipy.stats

import admodes
from admodes import Detached, MissingRule, grad, hessian, jacfwd, jacrev, jvp
from admodes.scipy import integrate, interpolate, linalg, ndimage, signal, sparse, special, stats
from admodes.scipy.spatial import distance

rng = np.random.default_rng(12)


def traced(f, *xs):
    """The primal of f under forward mode."""
    return jvp(f, xs, xs)[0]


def agree(f, g, *xs, tolerance=1e-12):
    """f of traced arguments as SciPy's g of plain ones."""
    np.testing.assert_allclose(traced(f, *xs), g(*xs), rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------

BORDERS = ["reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap"]


@pytest.mark.parametrize("mode", BORDERS)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_filters_at_every_border_and_origin(name, mode):
    ours, theirs = getattr(ndimage, name), getattr(scipy.ndimage, name)
    for n, m in itertools.product((1, 2, 3, 7), (1, 2, 3, 4, 5)):
        x, w = rng.normal(size=n), rng.normal(size=m)
        for origin in range(-(m // 2), m - m // 2):
            given = {"mode": mode, "cval": 0.3, "origin": origin}
            try:
                theirs(x, w, **given)
            except ValueError:
                continue
            agree(lambda x: ours(x, w, **given), lambda x: theirs(x, w, **given), x)
    x, w = rng.normal(size=(4, 5)), rng.normal(size=(3, 2))
    agree(lambda x: ours(x, w, mode=mode), lambda x: theirs(x, w, mode=mode), x)


@pytest.mark.parametrize("mode", BORDERS)
def test_gaussian_filter_at_every_border(mode):
    for n, order in itertools.product((1, 2, 7), range(4)):
        given = {"order": order, "mode": mode, "cval": 0.3}
        x = rng.normal(size=n)
        agree(lambda x: ndimage.gaussian_filter(x, 1.3, **given),
              lambda x: scipy.ndimage.gaussian_filter(x, 1.3, **given), x)  # fmt: skip


@pytest.mark.parametrize("mode", [mode for mode in BORDERS if mode != "grid-constant"])
@pytest.mark.parametrize("order", range(6))
def test_map_coordinates_far_outside(mode, order):
    for n, prefilter in itertools.product((1, 2, 3, 7, 30, 80), (True, False)):
        x = rng.normal(size=n)
        at = np.concatenate([rng.uniform(-2 * n - 3, 3 * n + 3, 40), rng.integers(-n, 2 * n, 8)])[None]
        given = {"order": order, "mode": mode, "cval": 0.4, "prefilter": prefilter}
        agree(lambda x: ndimage.map_coordinates(x, at, **given),
              lambda x: scipy.ndimage.map_coordinates(x, at, **given), x, tolerance=1e-11)  # fmt: skip


def test_images_refuse_what_has_no_rule():
    x = np.ones((3, 3))
    for f, told in (
        (lambda x: ndimage.map_coordinates(x, np.ones((2, 1)), mode="grid-constant"), "grid-constant"),
        (lambda x: ndimage.map_coordinates(x, np.ones((1, 2))), "coordinates of shape"),
        (lambda x: ndimage.correlate(x, np.ones(3)), "weights of shape"),
        (lambda x: ndimage.correlate(x, np.ones((3, 3)), mode="odd"), "mode='odd'"),
        (lambda x: distance.pdist(x, "jaccard"), "jaccard"),
        (lambda x: signal.convolve(x, np.ones(3)), "as many axes"),
        (lambda x: linalg.solve(x, np.ones(3), assume_a="banded"), "banded"),
        (lambda x: linalg.solve(np.ones((2, 3, 3)) * x, np.ones(3)), "stacks of matrices"),
        (lambda x: linalg.toeplitz(x), "for vectors"),
        (lambda x: interpolate.make_interp_spline(np.arange(3.0), x, k=1, bc_type="periodic"), "periodic"),
    ):
        with pytest.raises(ValueError, match=told):
            traced(f, x)


def test_flat_code_of_what_values_decide():
    """How far a Gaussian reaches, which rows are exchanged, which piece a place is in: at other values all anew."""
    x = rng.normal(size=12)
    smooth = admodes.compile(lambda s: ndimage.gaussian_filter(x, s))
    for s in (0.4, 1.0, 2.3):
        np.testing.assert_allclose(smooth(s), scipy.ndimage.gaussian_filter(x, s), rtol=1e-12)
    solved = admodes.compile(lambda a: linalg.lu_solve(linalg.lu_factor(a), x[:4]))
    for _ in range(4):
        a = rng.normal(size=(4, 4))
        np.testing.assert_allclose(solved(a), np.linalg.solve(a, x[:4]), rtol=1e-9)
    knots = np.arange(12.0)
    for read in (
        lambda at: interpolate.CubicSpline(knots, x)(at),
        lambda at: interpolate.make_interp_spline(knots, x)(at),
        lambda at: ndimage.map_coordinates(x, at[None], mode="nearest"),
    ):
        flat = admodes.compile(read)
        for _ in range(4):
            at = rng.uniform(0, 11, 5)
            np.testing.assert_allclose(flat(at), read(at), rtol=1e-9)
    tail = admodes.compile(lambda z: stats.triang.logpdf(z, 0.4))
    for _ in range(4):
        z = rng.uniform(-0.5, 1.5, 5)
        np.testing.assert_allclose(tail(z), scipy.stats.triang.logpdf(z, 0.4), rtol=1e-9)


def test_constants_of_borders_may_be_traced():
    x, at = rng.normal(size=5), np.array([[-3.0, 1.2, 9.0]])
    for ours, theirs in (
        (lambda c: ndimage.map_coordinates(x, at, cval=c), lambda c: scipy.ndimage.map_coordinates(x, at, cval=c)),
        (lambda c: ndimage.correlate(x, x[:3], mode="constant", cval=c),
         lambda c: scipy.ndimage.correlate(x, x[:3], mode="constant", cval=c)),
    ):  # fmt: skip
        agree(ours, theirs, np.float64(0.3))
        np.testing.assert_allclose(jacfwd(ours)(0.3), theirs(1.3) - theirs(0.3), atol=1e-12)


# ---------------------------------------------------------------------------------------------------
# Signals
# ---------------------------------------------------------------------------------------------------

MODES = ["full", "same", "valid"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions_of_every_shape(name, method, mode):
    ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
    shapes = [((n,), (m,)) for n, m in itertools.product((1, 2, 5, 6), repeat=2)]
    for a, v in [*shapes, ((4, 5), (2, 3)), ((2, 3), (4, 3)), ((3, 1, 2), (1, 1, 2))]:
        for kind in (float, complex):
            x, y = rng.normal(size=a).astype(kind), rng.normal(size=v).astype(kind) * (1 + (kind is complex) * 1j)
            agree(lambda x: ours(x, y, mode, method), lambda x: theirs(x, y, mode, method), x)
            agree(lambda y: ours(x, y, mode, method), lambda y: theirs(x, y, mode, method), y)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [None, 0, 1, (0, 1), [-1]])
def test_fftconvolve_along_axes(axes, mode):
    other = {0: (2, 3), 1: (4, 2), None: (2, 3)}.get(axes if axes is None or isinstance(axes, int) else None, (2, 3))
    other = (4, 2) if axes == [-1] else other
    x, y = rng.normal(size=(4, 3)), rng.normal(size=other)
    agree(lambda x: signal.fftconvolve(x, y, mode, axes), lambda x: scipy.signal.fftconvolve(x, y, mode, axes), x)


def test_filters_of_every_length():
    for nb, na, n in itertools.product((1, 2, 5), (1, 2, 4), (1, 3, 8)):
        b, a, x = rng.normal(size=nb), rng.normal(size=na) / 5 + np.eye(1, na)[0] * 2, rng.normal(size=n)
        agree(signal.lfilter, scipy.signal.lfilter, b, a, x)
        zi = rng.normal(size=max(nb, na) - 1)
        for part in (0, 1):
            agree(lambda *v: signal.lfilter(*v[:3], zi=v[3])[part],
                  lambda *v: scipy.signal.lfilter(*v[:3], zi=v[3])[part], b, a, x, zi)  # fmt: skip
    x = rng.normal(size=(5, 2))
    agree(lambda x: signal.lfilter(b, a, x, axis=0), lambda x: scipy.signal.lfilter(b, a, x, axis=0), x)
    agree(lambda x: signal.lfilter(b, a, x, 0), lambda x: scipy.signal.lfilter(b, a, x, 0), x + 1j)


# ---------------------------------------------------------------------------------------------------
# Splines
# ---------------------------------------------------------------------------------------------------

X = np.array([0.0, 0.7, 1.5, 2.0, 3.1, 4.0])
AT = np.array([-0.5, 0.0, 0.3, 1.5, 2.2, 4.0, 4.5])
ENDS = ["not-a-knot", "natural", "clamped", ("natural", "clamped"), ((1, 0.5), (2, -0.3)), ("not-a-knot", (2, 1.0))]


@pytest.mark.parametrize("ends", ENDS, ids=str)
@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_cubic_splines_with_every_end(n, ends):
    y = rng.normal(size=n)
    for nu, extrapolate in itertools.product(range(5), (True, False)):

        def ours(y):
            return interpolate.CubicSpline(X[:n], y, bc_type=ends)(AT, nu, extrapolate)

        def theirs(y):
            return scipy.interpolate.CubicSpline(X[:n], y, bc_type=ends)(AT, nu, extrapolate)

        agree(ours, theirs, y, tolerance=1e-10)
        agree(lambda x: interpolate.CubicSpline(x, y, bc_type=ends)(AT, nu, extrapolate),
              lambda x: scipy.interpolate.CubicSpline(x, y, bc_type=ends)(AT, nu, extrapolate), X[:n],
              tolerance=1e-10)  # fmt: skip


def test_cubic_splines_around_a_circle():
    x = np.linspace(0, 2 * np.pi, 7)

    def ours(a):
        y = np.sin(x[:-1] + a)
        return interpolate.CubicSpline(x, np.concatenate([y, y[:1]]), bc_type="periodic")(AT * 3)

    def theirs(a):
        y = np.sin(x[:-1] + a)
        return scipy.interpolate.CubicSpline(x, np.concatenate([y, y[:1]]), bc_type="periodic")(AT * 3)

    agree(ours, theirs, np.array(0.3))
    np.testing.assert_allclose(jacfwd(ours)(0.3), (theirs(0.3 + 1e-6) - theirs(0.3 - 1e-6)) / 2e-6, atol=1e-9)


def test_a_cubic_spline_has_its_derivative_its_integral_and_its_axis():
    y = rng.normal(size=(2, 6))
    s = scipy.interpolate.CubicSpline(X, y, axis=1)
    agree(lambda y: interpolate.CubicSpline(X, y, axis=1)(AT), lambda _: s(AT), y)
    agree(lambda y: interpolate.CubicSpline(X, y, axis=1).derivative(2)(AT), lambda _: s.derivative(2)(AT), y)
    agree(lambda y: interpolate.CubicSpline(X, y, axis=1).integrate(0.2, 3.3), lambda _: s.integrate(0.2, 3.3), y)
    slope = grad(lambda b: interpolate.CubicSpline(X, y[0]).integrate(0.2, b))(3.3)
    np.testing.assert_allclose(slope, scipy.interpolate.CubicSpline(X, y[0])(3.3))


@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 5])
def test_b_splines_of_every_degree(k):
    t = np.concatenate([np.zeros(k), [0.0, 0.8, 1.0, 2.5, 4.0], np.full(k, 4.0)])
    c = rng.normal(size=(len(t) - k - 1, 2))
    for nu, extrapolate in itertools.product(range(k + 2), (True, False)):
        agree(lambda c: interpolate.BSpline(t, c, k, extrapolate)(AT, nu),
              lambda c: scipy.interpolate.BSpline(t, c, k, extrapolate)(AT, nu), c)  # fmt: skip
    inside = AT[2:5]
    J = jacrev(lambda c: interpolate.BSpline(t, c[:, 0], k)(inside))(c)
    np.testing.assert_allclose(J, jacfwd(lambda c: interpolate.BSpline(t, c[:, 0], k)(inside))(c), atol=1e-13)
    if k:
        agree(lambda c: interpolate.BSpline(t, c, k).derivative()(inside),
              lambda c: scipy.interpolate.BSpline(t, c, k).derivative()(inside), c)  # fmt: skip


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("ends", [None, "natural", "clamped", "not-a-knot", ([(1, 0.5)], [(2, -0.3)])], ids=str)
def test_interpolating_splines_with_every_end(k, ends):
    if k != 3 and ends not in (None, "not-a-knot"):
        return
    y = rng.normal(size=6)
    agree(lambda y: interpolate.make_interp_spline(X, y, k, bc_type=ends)(AT),
          lambda y: scipy.interpolate.make_interp_spline(X, y, k, bc_type=ends)(AT), y)  # fmt: skip

    def f(y):
        return interpolate.make_interp_spline(X, y, k, bc_type=ends)(AT)

    np.testing.assert_allclose(jacrev(f)(y), jacfwd(f)(y), atol=1e-12)


# ---------------------------------------------------------------------------------------------------
# Distributions
# ---------------------------------------------------------------------------------------------------

DISTRIBUTIONS = [getattr(stats, name) for name in stats.__all__ if isinstance(getattr(stats, name), stats.Distribution)]
EVERYWHERE = np.array(
    [-np.inf, -40.0, -3.0, -1.0, -0.2, 0.0, 0.3, 0.5, 0.9, 1.0, 1.5, 2.0, 4.0, 9.0, 60.0, np.inf, np.nan]
)


@pytest.mark.filterwarnings("ignore")  # of infinities, in SciPy's formulas and ours
@pytest.mark.parametrize("one", DISTRIBUTIONS, ids=repr)
def test_distributions_everywhere(one):
    """Outside of the support and at its ends, at infinities and nan, with parameters that are none."""
    for shapes in itertools.product((0.7, 1.0, 2.6, -1.0), repeat=len(one.shapes)):
        if one.name in ("binom", "nbinom"):
            shapes = (4 * np.sign(shapes[0]), *shapes[1:])
        for rest in [(0.0,), (0.4,)] if one.whole else [(0.0, 1.0), (0.4, 1.7), (0.0, -1.0), (0.0, 0.0)]:
            for method in one.methods:
                ours, theirs = getattr(one, method), getattr(getattr(scipy.stats, one.name), method)
                density = method not in ("cdf", "logcdf")
                where = EVERYWHERE[np.isfinite(EVERYWHERE)] if one.whole or density else EVERYWHERE
                want = theirs(where, *shapes, *rest)
                if method == "logcdf":  # SciPy's is 0 beyond the support of what is no distribution
                    want = np.where(np.isnan(getattr(scipy.stats, one.name).cdf(where, *shapes, *rest)), np.nan, want)
                # A parameter is traced, so that all goes by our own formulas.
                got = traced(lambda loc: ours(where, *shapes, loc, *rest[1:]), np.float64(rest[0]))
                np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-13, err_msg=f"{method}{shapes}{rest}")


@pytest.mark.parametrize("one", DISTRIBUTIONS, ids=repr)
def test_a_distribution_says_what_it_takes(one):
    for method in one.methods:
        function = getattr(one, method)
        doc, names = inspect.getdoc(function), list(inspect.signature(function).parameters)
        assert all(name in doc for name in names)
        theirs = inspect.signature(getattr(getattr(scipy.stats, one.name), method)).parameters
        assert names[0] in theirs
        with pytest.raises(TypeError, match=f"{one.name}.{method} has no parameter moments="):
            function(1.0, moments=2)
    shapes = getattr(scipy.stats, one.name).shapes
    assert list(one.shapes) == ([s.strip() for s in shapes.split(",")] if shapes else [])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("one", [d for d in DISTRIBUTIONS if not d.whole], ids=repr)
def test_outside_of_the_support_derivatives_are_zero(one):
    """By all parameters, in both modes, without a warning; far out on the line they are finite."""
    shapes = [0.6] * len(one.shapes)
    for method in one.methods:
        f = getattr(one, method)
        for x in (-30.0, 60.0):
            low, high = (end(*shapes) if callable(end) else end for end in one._support)
            for derivative in (jacfwd, jacrev):
                slopes = derivative(lambda v: f(v[0], *shapes, *v[1:]))(np.array([x, 0.2, 1.3]))
                assert np.isfinite(slopes).all() or method == "logcdf"
                if not low < (x - 0.2) / 1.3 < high:
                    np.testing.assert_array_equal(slopes, 0.0)


def test_distances_of_a_point_to_itself():
    """The derivative of |x − x| is 0, so that a kernel of distances is differentiated on its diagonal."""
    x = rng.normal(size=(4, 2))

    def f(x):
        return np.sum(np.exp(-distance.cdist(x, x)) * np.arange(16.0).reshape(4, 4))

    steps = 1e-6 * np.eye(8).reshape(8, 4, 2)
    right = np.reshape([(f(x + e) - f(x - e)) / 2e-6 for e in steps], (4, 2))
    np.testing.assert_allclose(grad(f)(x), right, atol=1e-7)
    np.testing.assert_allclose(jacfwd(f)(x), right, atol=1e-7)


def test_a_frozen_distribution():
    for f in (lambda s: stats.norm(0.3, scale=s).logpdf(1.0), lambda s: stats.norm.logpdf(1.0, 0.3, scale=s)):
        agree(f, lambda s: scipy.stats.norm(0.3, s).logpdf(1.0), np.array(0.7))
    with pytest.raises(AttributeError, match="has no 'ppf' for traced values"):
        stats.norm(0.0, 1.0).ppf(0.5)


def test_a_shape_without_a_closed_form_is_named():
    with pytest.raises(MissingRule, match=r"gammainc.*argument 0"):
        grad(lambda a: stats.gamma.cdf(1.0, a))(2.0)


def test_normal_in_several_dimensions():
    root, mean, x = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(4, 3))
    cov = root @ root.T + np.eye(3)
    for method in ("logpdf", "pdf"):
        ours, theirs = getattr(stats.multivariate_normal, method), getattr(scipy.stats.multivariate_normal, method)
        agree(lambda m: ours(x, m, cov), lambda m: theirs(x, m, cov), mean)
        agree(lambda c: ours(x, mean, c), lambda c: theirs(x, mean, c), cov)
        agree(lambda x: ours(x), lambda x: theirs(x, np.zeros(3)), x[0])
        agree(lambda s: ours(x, mean, s), lambda s: theirs(x, mean, s), np.array(2.0))
        agree(lambda s: ours(x, mean, s), lambda s: theirs(x, mean, s), np.array([1.0, 2.0, 3.0]))
    entropies = stats.multivariate_normal.entropy, scipy.stats.multivariate_normal.entropy
    agree(lambda c: entropies[0](mean, c), lambda c: entropies[1](mean, c), cov)
    with pytest.raises(TypeError, match="whose rank would change"):
        grad(lambda c: stats.multivariate_normal.pdf(x[0], mean, c, allow_singular=True))(cov)
    both = grad(lambda c: np.sum(stats.multivariate_normal(mean, c).logpdf(x)))(cov)
    np.testing.assert_array_equal(np.triu(both, 1), 0.0)  # the lower triangle alone is read, as in SciPy
    inverse = np.linalg.inv(cov)
    right = 0.5 * sum(inverse @ np.outer(v, v) @ inverse - inverse for v in x - mean)
    np.testing.assert_allclose(np.tril(both), np.tril(2 * right) - np.diag(np.diag(right)))


# ---------------------------------------------------------------------------------------------------
# Integrals
# ---------------------------------------------------------------------------------------------------


def test_integrals_of_samples():
    for n, axis in itertools.product(range(2, 8), (0, -1)):
        y = rng.normal(size=(n, 2) if axis == 0 else (2, n))
        x = np.cumsum(rng.uniform(0.5, 1.0, n))
        for name in ("trapezoid", "simpson", "cumulative_trapezoid"):
            ours, theirs = getattr(integrate, name), getattr(scipy.integrate, name)
            agree(lambda y: ours(y, axis=axis), lambda y: theirs(y, axis=axis), y)
            agree(lambda y: ours(y, x=x, axis=axis), lambda y: theirs(y, x=x, axis=axis), y)
            agree(lambda x: ours(y, x=x, axis=axis), lambda x: theirs(y, x=x, axis=axis), x)
    with pytest.raises(ValueError, match="initial is 2"):
        traced(lambda y: integrate.cumulative_trapezoid(y, initial=2), np.ones(3))


def test_quad_by_its_ends_its_arguments_and_what_it_reads():
    """∫₀ᵇ sin(p x) dx = (1 − cos p b)/p."""

    def closed(v):
        p, b = v
        return (1 - np.cos(p * b)) / p

    ways = (
        lambda v: integrate.quad(lambda x, p: np.sin(p * x), 0.0, v[1], (v[0],))[0],
        lambda v: integrate.quad(lambda x: np.sin(v[0] * x), 0.0, v[1])[0],
        lambda v: -integrate.quad(lambda x: np.sin(v[0] * x), v[1], 0.0)[0],
    )
    v = np.array([0.7, 1.9])
    for f in ways:
        np.testing.assert_allclose(f(v), closed(v), rtol=1e-12)
        np.testing.assert_allclose(grad(f)(v), grad(closed)(v), rtol=1e-11)
        np.testing.assert_allclose(jacfwd(f)(v), grad(closed)(v), rtol=1e-11)
        np.testing.assert_allclose(hessian(f)(v), hessian(closed)(v), rtol=1e-10)
        np.testing.assert_allclose(jacrev(jacrev(f))(v), hessian(closed)(v), rtol=1e-10)
        np.testing.assert_allclose(admodes.compile(grad(f))(v), grad(closed)(v), rtol=1e-11)


def test_quad_to_infinity_within_quad():
    """Γ(p) = ∫₀^∞ x^(p−1) e⁻ˣ dx, and a double integral."""

    def f(p):
        return integrate.quad(lambda x: x ** (p - 1) * np.exp(-x), 0.0, np.inf)[0]

    np.testing.assert_allclose(grad(f)(2.5), scipy.special.gamma(2.5) * scipy.special.psi(2.5), rtol=1e-7)

    def double(p):
        return integrate.quad(lambda x: integrate.quad(lambda y: np.exp(p * x * y), 0.0, x)[0], 0.0, 1.0)[0]

    h = 1e-5
    np.testing.assert_allclose(grad(double)(0.5), (double(0.5 + h) - double(0.5 - h)) / (2 * h), rtol=1e-8)
    y, error = integrate.quad(lambda x: x, 0.0, 1.0)
    assert (y, error) == scipy.integrate.quad(lambda x: x, 0.0, 1.0)
    assert isinstance(traced(lambda p: integrate.quad(lambda x: p * x, 0.0, 1.0)[0], 2.0), float)


def test_quad_refuses_more_than_a_number():
    with pytest.raises(TypeError, match="one real number"):
        grad(lambda p: integrate.quad(lambda x: np.stack([p, x]), 0.0, 1.0)[0])(1.0)
    with pytest.raises(TypeError, match="one real number"):
        grad(lambda p: integrate.quad(lambda x: p * 1j, 0.0, 1.0)[0])(1.0)


# ---------------------------------------------------------------------------------------------------
# Sparse matrices of traced numbers
# ---------------------------------------------------------------------------------------------------


def test_sparse_matrices_of_traced_numbers():
    rows, columns, d = np.array([2, 0, 1, 2, 0, 0]), np.array([0, 0, 1, 2, 2, 2]), rng.normal(size=6)
    plain = scipy.sparse.csr_array((d, (rows, columns)), (3, 3))
    x, X = rng.normal(size=3), rng.normal(size=(3, 2))

    def of(f):
        return lambda d: f(sparse.csr_array((d, (rows, columns)), (3, 3)))

    for f in (lambda A: A @ x, lambda A: x @ A, lambda A: A @ X, lambda A: X.T @ A, lambda A: A.T @ x,
              lambda A: A.toarray()):  # fmt: skip
        agree(of(f), lambda _: f(plain), d)

    def compressed(d):
        return sparse.csr_array((d, plain.indices, plain.indptr)) @ x

    agree(compressed, lambda d: plain @ x, plain.data)
    assert isinstance(sparse.csr_array((d, (rows, columns))), scipy.sparse.csr_array)
    M = plain + 4 * scipy.sparse.eye_array(3)
    solve = sparse.linalg.spsolve
    agree(lambda b: solve(M, b), lambda b: scipy.linalg.solve(M.toarray(), b), X)
    assert jacrev(lambda b: solve(M, b))(x).shape == (3, 3)
    with pytest.raises(TypeError, match="no sparse matrix"):
        grad(lambda b: solve(np.eye(3), b)[0])(x)


# ---------------------------------------------------------------------------------------------------
# Plain values and options
# ---------------------------------------------------------------------------------------------------


def test_on_plain_values_scipys_own_runs():
    a, b = rng.normal(size=(4, 4)) + 4 * np.eye(4), rng.normal(size=4)
    pairs = [
        (linalg.solve(a, b), scipy.linalg.solve(a, b)),
        (linalg.expm(a), scipy.linalg.expm(a)),
        (linalg.logm(-a), scipy.linalg.logm(-a)),
        (linalg.cho_solve(linalg.cho_factor(a @ a.T), b), scipy.linalg.cho_solve(scipy.linalg.cho_factor(a @ a.T), b)),
        (special.softmax(b), scipy.special.softmax(b)),
        (signal.lfilter([1.0, 2.0], [1.0, 0.5], b), scipy.signal.lfilter([1.0, 2.0], [1.0, 0.5], b)),
        (ndimage.gaussian_filter(a, 1.0), scipy.ndimage.gaussian_filter(a, 1.0)),
        (distance.cdist(a, a), scipy.spatial.distance.cdist(a, a)),
        (stats.norm.logpdf(b), scipy.stats.norm.logpdf(b)),
        (interpolate.CubicSpline(X, np.sin(X))(b), scipy.interpolate.CubicSpline(X, np.sin(X))(b)),
        (interpolate.BSpline(np.arange(8.0), b, 3)(3.5), scipy.interpolate.BSpline(np.arange(8.0), b, 3)(3.5)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


def test_an_option_without_a_rule_is_refused_by_name():
    with pytest.raises(TypeError, match=r"scipy.ndimage.convolve has an option axes=, of which admodes.scipy.ndimage"):
        ndimage.convolve(np.ones(3), np.ones(3), axes=0)
    with pytest.raises(
        TypeError, match=r"scipy.ndimage.correlate has an option output=.*It takes input, weights, mode"
    ):
        ndimage.correlate(np.ones(3), np.ones(3), output=float)
    with pytest.raises(TypeError, match=r"admodes.scipy.linalg.expm has no parameter speed="):
        linalg.expm(np.eye(2), speed=2)


def test_a_complex_logarithm_of_a_real_matrix():
    with pytest.raises(ValueError, match=r"logm\(A.astype\(complex\)\)"):
        traced(linalg.logm, -np.eye(2))
    agree(lambda a: linalg.logm(a.astype(complex)), scipy.linalg.logm, -np.diag([1.0, 2.0]))


def test_arrays_by_keyword_and_lists_of_traced_values():
    a = np.array([[2.0, 1.0], [0.5, 3.0]])
    agree(lambda s: linalg.solve(a=a, b=[s, 2 * s]), lambda s: scipy.linalg.solve(a, [s, 2 * s]), np.float64(1.5))
    agree(
        lambda s: linalg.expm([[s, 0.0], [1.0, s]]), lambda s: scipy.linalg.expm([[s, 0.0], [1.0, s]]), np.float64(0.5)
    )
    agree(lambda s: linalg.block_diag([s, 1.0], s), lambda s: scipy.linalg.block_diag([s, 1.0], s), np.float64(0.5))
    with pytest.raises(Detached):
        grad(lambda n: special.polygamma(n, 1.0))(1.0)


def test_no_module_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'optimize'; there are integrate, interpolate"):
        _ = admodes.scipy.optimize
    assert {"linalg", "stats"} <= set(dir(admodes.scipy))


def test_dirichlet():
    alpha, x = np.array([1.5, 0.8, 2.5]), np.array([[0.2, 0.5], [0.3, 0.1], [0.5, 0.4]])
    for method in ("logpdf", "pdf"):
        ours, theirs = getattr(stats.dirichlet, method), getattr(scipy.stats.dirichlet, method)
        agree(lambda a: ours(x, a), lambda a: theirs(x, a), alpha)
        agree(lambda x: ours(x, alpha), lambda x: theirs(x, alpha), x[:2])
        agree(lambda x: ours(x, alpha), lambda x: theirs(x, alpha), x[:2, 0])
        agree(getattr(stats.dirichlet(alpha), method), getattr(scipy.stats.dirichlet(alpha), method), x[:2, 0])
        with pytest.raises(ValueError, match="simplex"):
            grad(lambda a: ours(2.0 * x[:, 0], a))(alpha)


def test_survival_far_out():
    for z in (3.0, 20.0, 40.0):
        for method in ("sf", "logsf"):
            agree(getattr(stats.norm, method), getattr(scipy.stats.norm, method), np.array(z))
