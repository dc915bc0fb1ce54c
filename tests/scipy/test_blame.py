"""A traced value that is given to a function of SciPy, which does not dispatch: the error names it, and ours."""

import re

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.sparse.linalg
import scipy.spatial.distance
import scipy.special
import scipy.stats

import admodes
from admodes import Detached

M = np.array([[2.0, 0.3], [0.1, 3.0]])
X = np.array([0.2, 0.35, 1.0, 2.0, 0.7])
T = np.arange(5.0)

WAYS = {
    "forward": lambda f: admodes.jacfwd(f)(X),
    "reverse": lambda f: admodes.jacrev(f)(X),
    "traced": lambda f: admodes.trace(f, X),
    "nested": lambda f: admodes.jacfwd(admodes.jacrev(f))(X),
}

# What goes through by itself, element by element, since SciPy's code is NumPy's alone there.
BY_ELEMENT = {
    "linalg.block_diag", "linalg.toeplitz", "special.softmax", "signal.convolve", "signal.correlate",
    "integrate.trapezoid", "integrate.simpson", "integrate.cumulative_trapezoid",
}  # fmt: skip

MIRRORED = {
    "linalg.solve": lambda x: scipy.linalg.solve(M * x[0], T[:2]),
    "linalg.solve_banded": lambda x: scipy.linalg.solve_banded((1, 0), M * x[0], T[:2]),
    "linalg.solve_triangular": lambda x: scipy.linalg.solve_triangular(M * x[0], T[:2]),
    "linalg.cho_factor": lambda x: scipy.linalg.cho_factor(M * x[0])[0],
    "linalg.cho_solve": lambda x: scipy.linalg.cho_solve((M, False), x[:2]),
    "linalg.lu_factor": lambda x: scipy.linalg.lu_factor(M * x[0])[0],
    "linalg.lu_solve": lambda x: scipy.linalg.lu_solve((M, np.array([0, 1])), x[:2]),
    "linalg.expm": lambda x: scipy.linalg.expm(M * x[0]),
    "linalg.logm": lambda x: scipy.linalg.logm(M * x[0]),
    "linalg.sqrtm": lambda x: scipy.linalg.sqrtm(M * x[0]),
    "linalg.circulant": lambda x: scipy.linalg.circulant(x),
    "linalg.solve_sylvester": lambda x: scipy.linalg.solve_sylvester(M * x[0], M, M),
    "linalg.solve_discrete_lyapunov": lambda x: scipy.linalg.solve_discrete_lyapunov(M * x[0] / 9, M),
    "special.logsumexp": lambda x: scipy.special.logsumexp(x),
    "special.log_softmax": lambda x: scipy.special.log_softmax(x),
    "special.polygamma": lambda x: scipy.special.polygamma(1, x),
    **{
        f"special.spherical_{kind}": lambda x, kind=kind: getattr(scipy.special, f"spherical_{kind}")(1, x)
        for kind in ("jn", "yn", "in", "kn")
    },
    "special.multigammaln": lambda x: scipy.special.multigammaln(x + 3, 2),
    "signal.fftconvolve": lambda x: scipy.signal.fftconvolve(x, x),
    "signal.lfilter": lambda x: scipy.signal.lfilter([1.0], [1.0, 0.5], x),
    "ndimage.convolve": lambda x: scipy.ndimage.convolve(x, np.ones(3)),
    "ndimage.correlate": lambda x: scipy.ndimage.correlate(x, np.ones(3)),
    "ndimage.gaussian_filter": lambda x: scipy.ndimage.gaussian_filter(x, 1.0),
    "spatial.distance.cdist": lambda x: scipy.spatial.distance.cdist(x[:, None], x[:, None]),
    "spatial.distance.pdist": lambda x: scipy.spatial.distance.pdist(x[:, None]),
}
MIRRORED |= {
    "integrate.quad": lambda x: scipy.integrate.quad(lambda t: t * x[0], 0, 1)[0],
    "ndimage.map_coordinates": lambda x: scipy.ndimage.map_coordinates(x, [[0.5, 1.0]]),
    "sparse.linalg.spsolve": lambda x: scipy.sparse.linalg.spsolve(scipy.sparse.csc_array(M), x[:2]),
    "sparse.csr_array": lambda x: scipy.sparse.csr_array((x[:2], ([0, 1], [1, 0]))) @ T[:2],
    "interpolate.CubicSpline": lambda x: scipy.interpolate.CubicSpline(T, x)(0.5),
    "interpolate.BSpline": lambda x: scipy.interpolate.BSpline(np.arange(9.0), x, 3)(3.5),
    "interpolate.make_interp_spline": lambda x: scipy.interpolate.make_interp_spline(T, x)(0.5),
}


def of_a_distribution(name, method):
    ours = getattr(admodes.scipy.stats, name)
    if method == "entropy":
        return lambda x: scipy.stats.multivariate_normal.entropy(cov=x[0])
    if name == "multivariate_normal":
        return lambda x: getattr(scipy.stats.multivariate_normal, method)(x, np.zeros(5))
    if name == "dirichlet":
        return lambda x: getattr(scipy.stats.dirichlet, method)([0.4, 0.6], x[:2])
    theirs = getattr(getattr(scipy.stats, name), method)
    if ours.whole:
        return lambda x: theirs(1 if name == "geom" else 0, *[4][: len(ours.shapes) - 1], x[0])
    return lambda x: theirs(x, *(0.6 for _ in ours.shapes))


MIRRORED |= {
    name: of_a_distribution(*name.split(".")[1:]) for name in admodes.scipy.functions() if name.startswith("stats.")
}
OTHERS = {
    "linalg.inv": (lambda x: scipy.linalg.inv(M * x[0]), "np.linalg.inv"),
    "linalg.eigh": (lambda x: scipy.linalg.eigh(M * x[0])[0], "np.linalg.eigh"),
    "fft.fft": (lambda x: np.real(scipy.fft.fft(x)), "np.fft.fft"),
    "fft.dct": (lambda x: scipy.fft.dct(x), "admodes.custom_op"),
    "ndimage.zoom": (lambda x: scipy.ndimage.zoom(x, 2), "admodes.custom_op"),
    "signal.sosfilt": (lambda x: scipy.signal.sosfilt(np.ones((1, 6)), x), "admodes.custom_op"),
    "signal.welch": (lambda x: scipy.signal.welch(x, nperseg=2)[1], "admodes.custom_op"),
    "cluster.vq.whiten": (lambda x: scipy.cluster.vq.whiten(x[:, None]), "admodes.custom_op"),
    "stats.zscore": (lambda x: scipy.stats.zscore(x), "admodes.custom_op"),
    "integrate.solve_ivp": (
        lambda x: scipy.integrate.solve_ivp(lambda t, y: -x[0] * y, (0, 1), [1.0]).y[:, -1], "admodes.odeint",
    ),
    "integrate.quad_vec": (
        lambda x: scipy.integrate.quad_vec(lambda t: t * x, 0, 1)[0], "admodes.scipy.integrate.quad",
    ),
    "integrate.odeint": (
        lambda x: scipy.integrate.odeint(lambda y, t: -x[0] * y, [1.0], [0, 1.0]), "admodes.odeint",
    ),
    "optimize.brentq": (lambda x: scipy.optimize.brentq(lambda z: z * z - x[0], 0, 3), "admodes.root"),
    "optimize.fsolve": (lambda x: scipy.optimize.fsolve(lambda z: z * z - x[0], 1.0), "admodes.root"),
    "optimize.minimize": (
        lambda x: scipy.optimize.minimize(lambda z: np.sum((z - x[0]) ** 2), np.ones(2)).x, "admodes.minimize",
    ),
    "optimize.least_squares": (
        lambda x: scipy.optimize.least_squares(lambda z: z - x[0], [1.0]).x, "admodes.minimize",
    ),
    "interpolate.interp1d": (lambda x: scipy.interpolate.interp1d(T, x)(0.5), "np.interp"),
    "sparse.linalg.cg": (lambda x: scipy.sparse.linalg.cg(M, x[:2])[0], "admodes.scipy.sparse.linalg.spsolve"),
}  # fmt: skip


def of(name):
    return rf"\bscipy\.{re.escape(name)}(\.__init__)? does not dispatch"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MIRRORED)
def test_ours_is_named(name, way):
    with pytest.raises(Detached, match=rf"test_blame.py, line \d+.*{of(name)}.*Write admodes\.scipy\.{name}\."):
        WAYS[way](MIRRORED[name])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("way", ["forward", "reverse"])
def test_the_remedy_is_named(name, way):
    f, remedy = OTHERS[name]
    with pytest.raises(Detached, match=f"{of(name)}.*Write .*{re.escape(remedy)}"):
        WAYS[way](f)


def test_every_mirrored_name_is_tried():
    assert {*MIRRORED, *BY_ELEMENT} == set(admodes.scipy.functions())


def test_an_error_of_scipys_own_is_left_alone():
    """f works with traced scalars in an object array, and elsewhere gives SciPy a plain matrix without an inverse."""

    def f(x):
        y = np.array([x[0], x[1]])
        return np.sum(y * scipy.linalg.solve(np.zeros((2, 2)), np.ones(2)))

    with pytest.raises(np.linalg.LinAlgError):
        admodes.grad(f)(X)
