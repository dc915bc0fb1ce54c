"""Arrays and lists of traced scalars, which people write first: np.exp(np.array([x[0], 1.0])), np.mean([...])."""

import copy
import functools
import math

import numpy as np
import pytest
from scipy import special

import admodes as ad
from admodes.core.errors import Detached

X = np.array([0.2, 0.35])


def changed(a, change):
    """The array that a change in place leaves."""
    change(a)
    return a


USES = {
    "exp": lambda x: np.exp(np.array([x[0], 1.0])),
    "inv": lambda x: np.linalg.inv(np.array([[x[0] + 1, x[1]], [x[1], 2.0]])),
    "det": lambda x: np.linalg.det(np.array([[x[0] + 1, x[1]], [x[1], 2.0]])),
    "solve": lambda x: np.linalg.solve(np.array([[x[0] + 1, x[1]], [x[1], 2.0]]), np.ones(2)),
    "slogdet": lambda x: np.linalg.slogdet(np.array([[x[0] + 1, x[1]], [x[1], 2.0]]))[1],
    "chol": lambda x: np.linalg.cholesky(np.array([[x[0] + 1, x[1]], [x[1], 2.0]])),
    "eigh": lambda x: np.linalg.eigh(np.array([[x[0] + 1, x[1]], [x[1], 2.0]]))[0],
    "fft": lambda x: np.abs(np.fft.fft(np.array([x[0], x[1], 1.0]))) ** 2,
    "erf": lambda x: special.erf(np.array([x[0], 1.0])),
    "isfinite": lambda x: x * np.isfinite(np.array([x[0], 1.0])),
    "interp": lambda x: np.interp(0.3, np.array([0.0, x[0], 1.0]), np.array([x[1], 2.0, 3.0])),
    "cov": lambda x: np.cov(np.array([[x[0], x[1], 1.0], [2.0, x[0], x[1]]])),
    "percentile": lambda x: np.percentile(np.array([x[0], x[1], 1.0]), 30),
    "mean": lambda x: np.mean(np.array([x[0], x[1], 1.0])),
    "std": lambda x: np.std(np.array([x[0], x[1], 1.0])),
    "meanlist": lambda x: np.mean([v**2 for v in x]),
    "stdlist": lambda x: np.std([v**2 for v in x]),
    "fftas": lambda x: np.abs(np.fft.fft(np.asarray(x))[0]) ** 2,
    "like": lambda x: np.array([x[0] ** 2, 1.0], like=x),
    "eyelike": lambda x: np.eye(2, like=x) * x,
    "zeroslike": lambda x: changed(np.zeros(3, like=x), lambda a: a.__setitem__(0, x[0])),
    "arangelike": lambda x: np.arange(2.0, like=x) * x,
    "oneslike": lambda x: np.ones(2, like=x) * x,
    "fulllike": lambda x: np.full(2, x[0], like=x),
    "asarraylike": lambda x: np.asarray([x[0], x[1]], like=x),
    "identlike": lambda x: np.identity(2, like=x) @ x,
    "select": lambda x: np.select([True], [x[0] ** 2]),
    "nested": lambda x: np.array([[x, 2 * x], [x * x, np.ones(2)]]),
    "lists": lambda x: np.linalg.norm([x[0], x[1]]),
    "explist": lambda x: np.exp([x[0], 1.0]),
    "sumlist": lambda x: np.sum([x[0], x[1] ** 2]),
    "invlist": lambda x: np.linalg.inv([[x[0] + 1, x[1]], [x[1], 2.0]]),
    "fftlist": lambda x: np.abs(np.fft.fft([x[0], x[1], 1.0])) ** 2,
    "maxlist": lambda x: np.max([x[0], x[1] ** 2, 0.1]),
    "stacklist": lambda x: np.stack([x[0], 1.0]),
    "vstack": lambda x: np.vstack([[x[0], 1.0], [2.0, x[1]]]),
    "concat": lambda x: np.concatenate([[x[0], 1.0], [2.0, x[1]]]),
    "float64": lambda x: np.float64(x[0]) ** 2,
    "astype": lambda x: (x.astype(object) ** 2).sum(),
    "ofobjects": lambda x: (np.array([x[0], x[1]], dtype=object) ** 2).sum(),
    "sumofobjects": lambda x: np.sum(x * x, dtype=object),
    "zerosofobjects": lambda x: changed(np.zeros_like(x, dtype=object), lambda a: a.fill(x[0] * x[1]))[1],
    "whole": lambda x: np.int64(11 * x[0]) * x[1] + np.int64([7 * x[0], 11 * x[1]]) @ x,
    "truth": lambda x: np.bool_(x[0]) * x,
    "int64": lambda x: sum(x[i] for i in np.arange(np.int64(2))),
    "pysum": lambda x: sum(x),
    "pymax": lambda x: max(x),
    "pymin": lambda x: min(x[0], x[1] ** 2),
    "sorted": lambda x: sorted(x)[0],
    "abs": lambda x: abs(x[0]),
    "rnd": lambda x: round(x[0], 1) + x[1],
    "divmod": lambda x: divmod(x[0], 0.15)[1],
    "prod": lambda x: math.prod(x),
    "fstr": lambda x: [f"{x[0]:.3f} {x[0]} {x}", x][1],
    "deepcopy": lambda x: copy.deepcopy(x) * 2,
    "vectorize": lambda x: np.vectorize(lambda v: v**2)(x),
    "vectorize2": lambda x: np.vectorize(lambda v: v**2 if v > 0.3 else 0.0)(x),
    "fromiter": lambda x: np.fromiter((v**2 for v in x), float),
    "r_": lambda x: np.r_[x, 1.0, x[0]],
    "c_": lambda x: np.c_[x, x * x],
    "mgrid": lambda x: np.mgrid[0:2, 0:2] * x,
    "cplx": lambda x: np.array([x[0] + 1j * x[1], 1.0]).real,
    "cplximag": lambda x: np.imag(np.array([x[0] + 1j * x[1], 1.0])),
    "cplxnorm": lambda x: np.linalg.norm(np.array([x[0] + 1j * x[1], 1.0])),
    "sign": lambda x: x * np.sign(np.array([x[0], x[1]])),
    "imag": lambda x: np.array([x[0], x[1]]).imag + x,
    "put": lambda x: changed(np.array([x[0], x[1]]), lambda a: np.put(a, [0], x[1] * 3)),
    "append": lambda x: np.append([x[0]], [x[1], 1.0]),
    "where": lambda x: np.where([True, False], [x[0], 1.0], [2.0, x[1]]),
    "dot": lambda x: np.dot([x[0], 1.0], [2.0, x[1]]),
    "cross": lambda x: np.cross([x[0], 1.0, 2.0], [x[1], 3.0, 1.0]),
    "outer": lambda x: np.outer([x[0], 1.0], [1.0, x[1]]),
    "polyval": lambda x: np.polyval([x[0], x[1], 1.0], 2.0),
    "diff": lambda x: np.diff([x[0], x[1] ** 2, 1.0]),
    "cumsum": lambda x: np.cumsum([x[0], x[1]]),
    "atleast": lambda x: np.atleast_1d(x[0]),
    "median": lambda x: np.median([x[0], x[1], 0.1]),
    "argmax": lambda x: x[np.argmax([x[0], x[1]])],
    "einsum": lambda x: np.einsum("i,i", [x[0], 1.0], [x[1], 2.0]),
    "isclose": lambda x: x * np.isclose([x[0]], 0.2),
    "linspace": lambda x: np.linspace(x[0], 1.0, 3),
    "clip": lambda x: np.clip([x[0], x[1]], 0.3, 1.0),
    "kron": lambda x: np.kron([x[0], 1.0], [1.0, x[1]]),
    "meshgrid": lambda x: np.meshgrid([x[0], 1.0], [x[1], 2.0])[0],
    "trapz": lambda x: np.trapezoid([x[0], x[1]]),
    "diag": lambda x: np.diag([x[0], x[1]]),
    "tile": lambda x: np.tile([x[0], 1.0], 2),
    "array_float": lambda x: np.array([x[0], x[1]], dtype=float),
    "asarray_float": lambda x: np.asarray(x, dtype=float) ** 2,
    "asarray_f": lambda x: np.asarray(x, float) * 2,
}
WAYS = {
    "forward": ad.jacfwd,
    "reverse": ad.jacrev,
    "compiled": lambda f: ad.compile(ad.jacrev(f)),
    "compiled f": lambda f: ad.jacfwd(ad.compile(f)),
    "plan": lambda f: lambda x: ad.sparse_jacobian_plan(f, x)(x).toarray(),
    "traced": lambda f: lambda x: ad.trace(ad.jacfwd(f), x)(x),
    "nested": lambda f: ad.jacfwd(lambda x: ad.vjp(f, x)[0]),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("f", USES.values(), ids=USES)
def test_they_are_arrays(f, way):
    eps = 1e-6
    differences = [(np.asarray(f(X + e)) - np.asarray(f(X - e))) / (2 * eps) for e in eps * np.eye(2)]
    np.testing.assert_allclose(np.ravel(way(f)(X)), np.ravel(np.stack(differences, -1)), atol=1e-7)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_assertions_of_numpy_compare_values(way):
    def f(x):
        np.testing.assert_allclose(x, X)
        np.testing.assert_array_equal(x > 0, [True, True])
        np.testing.assert_almost_equal(x[0], 0.2)
        np.testing.assert_equal(x, X)
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(x, 2 * X)
        return x * x

    assert np.allclose(way(f)(X), 2 * np.diag(X))


@pytest.mark.parametrize("way", [ad.jacfwd, ad.jacrev, lambda f: ad.compile(ad.jacrev(f))])
def test_what_cannot_work_says_what_to_write(way):
    with pytest.raises(TypeError, match=r"lru_cache.*__wrapped__"):
        way(functools.lru_cache(lambda v: v * 2))(X)
    with pytest.raises(TypeError, match=r"no key"):
        way(lambda x: {x[0]: 1.0}[x[0]])(X)
    with pytest.raises(Detached, match=r"math module.*functions of numpy"):
        way(lambda x: math.sin(x[0]))(X)
    with pytest.raises(Detached, match=r"np.stack"), ad.no_rerun():
        way(lambda x: np.array([x[0] + 1j, 1.0]).real)(X)


def test_where_no_second_run_is_wanted_arrays_of_objects_are_taken_as_before():
    with ad.no_rerun():
        assert np.allclose(ad.jacfwd(lambda x: np.array([x[0], x[1]]) * x)(X), 2 * np.diag(X))


def test_f_runs_twice_at_first_and_once_from_then_on():
    runs = []

    def f(x):
        runs.append(1)
        return np.exp(np.array([x[0], 1.0]))

    for expected in (2, 3, 4):
        ad.jacfwd(f)(X)
        assert len(runs) == expected


def test_numpy_is_as_before_afterwards():
    before = type(np), type(np.linalg), type(np.fft), np.array, np.exp
    ad.jacfwd(lambda x: np.exp([x[0], 1.0]))(X)
    assert before == (type(np), type(np.linalg), type(np.fft), np.array, np.exp)


@pytest.mark.parametrize("way", [ad.jacfwd, ad.jacrev])
def test_a_large_array_through_asarray_is_no_array_of_objects(way):
    x = np.ones(20000)
    assert np.allclose(ad.grad(lambda x: np.sum(np.asarray(x) ** 2))(x), 2.0)
    assert ad.trace(lambda x: np.asarray(x) * 2.0, x).cost.operations < 4


def test_an_asarray_that_is_not_looked_up_in_numpy_loses_no_write():
    def f(x, asarray=np.asarray):
        y = x * 2
        asarray(y)[1:] = 1.0
        return y

    np.testing.assert_array_equal(ad.jacfwd(f)(X), np.diag([2.0, *np.zeros(X.size - 1)]))


@pytest.mark.parametrize("way", [ad.jacfwd, ad.jacrev], ids=["forward", "reverse"])
def test_the_dot_method_of_a_plain_array(way):
    """W.dot(x) reaches no protocol: NumPy asks for objects, and they are a traced array again in the result."""
    W = np.arange(6.0).reshape(2, 3)
    for _ in range(2):
        np.testing.assert_array_equal(way(lambda x: W.dot(x))(np.ones(3)), W)
    np.testing.assert_array_equal(way(lambda x: W.dot(np.outer(x, x)).dot(np.ones(3)))(np.ones(3)), way(
        lambda x: W @ np.outer(x, x) @ np.ones(3))(np.ones(3)))  # fmt: skip
