"""Models as people write them with SciPy: gradients and Hessians by every mode, compiled too, against finite
differences of SciPy's own values."""

import numpy as np
import pytest
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.spatial.distance
import scipy.stats

import admodes
from admodes import grad, hessian, jacfwd, jacrev
from admodes.scipy import integrate, interpolate, linalg, ndimage, signal, sparse, stats
from admodes.scipy.spatial import distance

rng = np.random.default_rng(4)
POINTS, TARGETS = rng.uniform(0, 3, (12, 2)), rng.normal(size=12)


def gaussian_process(theta):
    """The negative log marginal likelihood (Rasmussen and Williams, algorithm 2.1)."""
    length, amplitude, noise = np.exp(theta[0]), np.exp(theta[1]), np.exp(theta[2])
    squares = distance.cdist(POINTS / length, POINTS / length, "sqeuclidean")
    kernel = amplitude * np.exp(-squares / 2) + noise * np.eye(len(POINTS))
    factor = linalg.cho_factor(kernel, lower=True)
    alpha = linalg.cho_solve(factor, TARGETS)
    return TARGETS @ alpha / 2 + np.log(np.diagonal(factor[0])).sum()


SIGNAL = rng.normal(size=40)
BLURRED = scipy.signal.fftconvolve(SIGNAL, [0.2, 0.5, 0.3], "same") + 0.01 * rng.normal(size=40)


def deconvolution(h):
    """Which filter blurred it, least squares."""
    return np.sum((signal.fftconvolve(SIGNAL, h, "same") - BLURRED) ** 2)


def recursive_filter(c):
    """A second-order section fitted to an output."""
    return np.sum((signal.lfilter(c[:3], np.concatenate([np.ones(1), c[3:]]), SIGNAL) - BLURRED) ** 2)


def kalman_steady_state(v):
    """The trace of a stationary covariance."""
    a = np.array([[0.5, 0.2], [-0.3, 0.4]]) * v[0]
    q = np.diag(np.exp(v[1:]))
    return np.trace(linalg.solve_discrete_lyapunov(a, q))


OBSERVED = scipy.stats.gamma.rvs(2.0, scale=1.5, size=30, random_state=1)
HEAVY = scipy.stats.t.rvs(3.0, loc=0.5, size=30, random_state=2)


def likelihood_of_gamma(v):
    return -np.sum(stats.gamma.logpdf(OBSERVED, np.exp(v[0]), scale=np.exp(v[1])))


def likelihood_of_t(v):
    return -np.sum(stats.t(np.exp(v[0]), v[1], np.exp(v[2])).logpdf(HEAVY))


def censored(v):
    """Lifetimes of which the long ones are known to be long."""
    seen, late = OBSERVED[OBSERVED < 4], np.count_nonzero(OBSERVED >= 4)
    c, scale = np.exp(v[0]), np.exp(v[1])
    survived = np.log1p(-stats.weibull_min.cdf(4.0, c, scale=scale))
    return -np.sum(stats.weibull_min.logpdf(seen, c, scale=scale)) - late * survived


IMAGE = scipy.ndimage.gaussian_filter(rng.normal(size=(18, 20)), 2.0) * 10
GRID = np.mgrid[3:15, 3:17].astype(float)


def registration(v):
    """An image turned and moved onto another."""
    c, s = np.cos(v[0]), np.sin(v[0])
    rows, columns = GRID[0] - 8.5, GRID[1] - 9.5
    at = np.stack([c * rows - s * columns + 8.5 + v[1], s * rows + c * columns + 9.5 + v[2]])
    moved = ndimage.map_coordinates(IMAGE, at, order=3, mode="nearest")
    return np.mean((moved - IMAGE[3:15, 3:17]) ** 2)


KNOTS = np.linspace(0.0, 3.0, 6)
PLACES = np.sort(rng.uniform(0.1, 2.9, 25))
NOISY = np.sin(PLACES) + 0.05 * rng.normal(size=25)


def spline_fit(y):
    """A smoothing spline by its values at the knots."""
    s = interpolate.CubicSpline(KNOTS, y, bc_type="natural")
    rough = integrate.trapezoid(s(np.linspace(0, 3, 31), 2) ** 2, dx=0.1)
    return np.sum((s(PLACES) - NOISY) ** 2) + 1e-2 * rough


def warped_time(v):
    """Where a spline is read, and through what."""
    s = interpolate.make_interp_spline(KNOTS, np.cos(KNOTS * v[0]), bc_type="clamped")
    return np.sum(s(PLACES * np.exp(-(v[1] ** 2)) + 0.05) ** 2)


def heat(k):
    """A steady temperature by finite volumes: sparse equations whose numbers are parameters."""
    n = 8
    k = np.exp(np.concatenate([k, k[:1], k]))[: n + 1]
    i = np.arange(n)
    rows = np.concatenate([i, i[1:], i[:-1]])
    columns = np.concatenate([i, i[:-1], i[1:]])
    data = np.concatenate([k[:-1] + k[1:], -k[1:-1], -k[1:-1]])
    temperature = sparse.linalg.spsolve(sparse.csr_array((data, (rows, columns)), (n, n)), np.ones(n))
    return temperature @ temperature


def markov(v):
    """A chain in continuous time, by the exponential of its generator."""
    rates = np.exp(v)
    q = np.stack([np.stack([-rates[0], rates[0], 0 * rates[0]]), np.stack([rates[1], -rates[1] - rates[2], rates[2]]),
                  np.stack([0 * rates[0], rates[0], -rates[0]])])  # fmt: skip
    p = linalg.expm(q * 0.7)
    return -np.log(p[0, 2]) - np.log(p[1, 1])


def expected_payoff(v):
    """An option's value as an integral over a lognormal density."""

    def payoff(x):
        return (x - 1.0) * stats.lognorm.pdf(x, np.exp(v[0]), scale=np.exp(v[1]))

    return integrate.quad(payoff, 1.0, 12.0)[0]


MODELS = {
    gaussian_process: [0.1, 0.2, -1.0],
    deconvolution: [0.1, 0.6, 0.2],
    recursive_filter: [0.2, 0.4, 0.1, -0.3, 0.1],
    kalman_steady_state: [0.9, 0.1, -0.4],
    likelihood_of_gamma: [0.5, 0.3],
    likelihood_of_t: [1.2, 0.3, 0.1],
    censored: [0.4, 0.9],
    registration: [0.05, 0.3, -0.4],
    spline_fit: list(np.sin(KNOTS) + 0.1),
    warped_time: [0.9, 0.4],
    heat: [0.1, -0.2, 0.3, 0.2],
    markov: [0.1, -0.3, 0.4],
    expected_payoff: [-0.7, 0.2],
}


def differences(f, v, h=1e-5):
    """Of f by a step to either side, and by half of that, extrapolated; f runs on plain values, SciPy's own."""
    steps = np.eye(v.size)
    rough, fine = ([(f(v + s * e) - f(v - s * e)) / (2 * s) for e in steps] for s in (2 * h, h))
    return (4 * np.array(fine) - np.array(rough)) / 3


@pytest.mark.parametrize("f", MODELS, ids=lambda f: f.__name__)
def test_gradients_of_models(f):
    v = np.array(MODELS[f])
    right = differences(f, v, 1e-3)
    near = {"rtol": 1e-6, "atol": 1e-8 * max(1.0, np.abs(right).max())}
    for derivative in (grad(f), jacfwd(f), admodes.compile(grad(f)), admodes.compile(jacfwd(f))):
        np.testing.assert_allclose(derivative(v), right, **near)
    flat = admodes.compile(grad(f))
    flat(v)
    other = v * 1.01 + 0.003
    np.testing.assert_allclose(flat(other), grad(f)(other), rtol=1e-9, atol=near["atol"])
    np.testing.assert_allclose(admodes.trace(f, v)(v), f(v), rtol=1e-10)


@pytest.mark.parametrize("f", MODELS, ids=lambda f: f.__name__)
def test_hessians_of_models(f):
    v = np.array(MODELS[f])
    right = differences(grad(f), v, 1e-3)
    near = {"rtol": 1e-5, "atol": 1e-7 * max(1.0, np.abs(right).max())}
    for way in (hessian(f), jacrev(jacrev(f)), admodes.compile(hessian(f))):
        np.testing.assert_allclose(way(v), right, **near)


def test_counts_of_a_model():
    """Work is counted from shapes: a gradient of a Gaussian process costs a few factorisations."""
    theta = np.array(MODELS[gaussian_process])
    value, slope = admodes.cost(gaussian_process, theta), admodes.cost(grad(gaussian_process), theta)
    assert value.flops > 12**3 / 3
    assert slope.flops < 8 * value.flops


def test_a_sparse_jacobian_of_a_smoother():
    """Each smoothed element depends on its neighbours; the plan's values are those of forward mode."""
    x = rng.normal(size=20)

    def f(x):
        return ndimage.gaussian_filter(x**2, 0.7, truncate=3.0)

    plan = admodes.sparse_jacobian_plan(f, x)
    np.testing.assert_allclose(plan(x).toarray(), jacfwd(f)(x), atol=1e-14)
