"""The first estimate of `jacobian`: a plan is made only where it may save more than it costs, and once a function."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from admodes import JacobianChain, cost, grad, jacfwd, jacobian, jacrev, trace
from admodes.ways import jacobians
from admodes.ways.meter import FirstEstimate, Meter, Metered, first_run
from admodes.ways.model import current

rng = np.random.default_rng(4)


def filtered(y):
    """The log-likelihood of a local level, by many short steps."""

    def f(p):
        level, variance, total = 0.0 * p[0], 1.0 + 0.0 * p[0], 0.0
        for value in y:
            variance = variance + np.exp(p[0])
            s = variance + np.exp(p[1])
            e = value - level
            total = total - 0.5 * (np.log(s) + e * e / s)
            level, variance = level + variance / s * e, variance - variance * variance / s
        return total

    return f


def tridiagonal(x):
    return x[1:] * np.sin(x[:-1])


@pytest.fixture
def planned(monkeypatch):
    """The functions that exact counts were made for."""
    seen = []

    def watched(f, *rest):
        seen.append(f)
        return predict(f, *rest)

    predict = jacobians.predict
    monkeypatch.setattr(jacobians, "predict", watched)
    return seen


def test_no_plan_is_made_where_the_jacobian_is_had_sooner(planned):
    runs = []
    f = filtered(rng.normal(size=50))

    def counted(p):
        runs.append(1)
        return f(p)

    p = np.array([0.1, -0.2])
    np.testing.assert_allclose(jacobian(counted)(p), jacfwd(f)(p), rtol=1e-12)
    assert len(runs) == 2  # to count, and to differentiate
    jacobian(counted)(p)
    assert len(runs) == 3
    assert not planned
    assert jacobian(counted).plan(p).choice in ("forward", "reverse")  # asked for, it is made
    assert planned == [counted]


@pytest.mark.parametrize(("shape", "expected"), [((300, 2), "forward"), ((2, 300), "reverse"), ((300, 300), "forward")])
def test_the_first_estimate_of_dense_modes(shape, expected):
    A = rng.normal(size=shape) / shape[1]
    f = lambda x: np.tanh(A @ x)  # noqa: E731
    first = first_run(f, 0, (np.ones(shape[1]),), {}).estimate()
    assert set(first.seconds) == {"forward", "reverse"}
    assert first.choice == expected
    one, two = (first_run(f, 0, (np.ones(shape[1]),), {}, chunk).estimate().seconds for chunk in (1, 2))
    assert all(one[mode] > two[mode] for mode in one)  # a pass for each direction


def test_the_first_estimate_knows_what_is_derived_over_a_tape():
    """As many columns as rows; the pull of a factorisation is its push on a tape and back."""
    first = first_run(lambda x: np.linalg.eigh(x + x.T)[1], 0, (np.diag(np.arange(3.0)),), {}).estimate().seconds
    assert first["reverse"] > 1.5 * first["forward"]
    linear = first_run(lambda x: np.reshape(x, (2, 2)), 0, (np.ones(4),), {}).estimate().seconds
    assert linear["reverse"] < 1.5 * linear["forward"]


def test_what_is_small_is_chosen_without_a_look_at_prices(monkeypatch):
    def f(x):
        return np.sum(np.sin(x) * x)

    def wide(x):
        return np.sum(np.outer(np.ones(1000), x))

    def looked():
        raise AssertionError

    monkeypatch.setattr("admodes.ways.meter.current", looked)
    run = first_run(f, 0, (np.ones(45),), {})
    assert (run.n, run.meter.largest, run.choice) == (45, 45, "forward")
    assert first_run(f, 0, (np.ones(46),), {}).choice == "reverse"  # one pass
    assert first_run(lambda x: x * np.ones(5000), 0, (2.0,), {}).choice == "forward"
    for larger in (
        first_run(lambda x: np.sin(x) * x, 0, (np.ones(46),), {}),
        first_run(lambda x: np.sin(x) * x, 0, (np.ones(45),), {}, 2),  # in several passes
        first_run(wide, 0, (np.ones(3),), {}),
        first_run(lambda z: np.abs(z) ** 2, 0, (np.ones(3) * 1j,), {}),  # for which there is reverse mode alone
    ):
        with pytest.raises(AssertionError):
            _ = larger.choice


def test_of_two_about_as_cheap_the_first_estimate_takes_forward_mode():
    assert FirstEstimate({"forward": 1.1, "reverse": 1.0}, 0.0).choice == "forward"
    assert FirstEstimate({"forward": 1.2, "reverse": 1.0}, 0.0).choice == "reverse"
    assert FirstEstimate({"reverse": 1.0}, 0.0).choice == "reverse"


def test_the_first_estimate_is_by_the_prices_of_the_model(monkeypatch):
    """Costly functions are priced as such, once; a direction more takes a product."""
    cheap, costly = (
        first_run(f, 0, (np.ones((50, 50)),), {}, 1).estimate().seconds["reverse"]
        for f in (lambda x: np.sum(np.sqrt(x), axis=(0, 1)), lambda x: np.sum(np.power(x, 1.7), axis=(0, 1)))
    )
    assert costly > cheap
    slow = replace(current(), entry=dict.fromkeys(current().entry, 1.0))
    monkeypatch.setattr("admodes.ways.meter.current", lambda: slow)
    assert first_run(np.sin, 0, (np.ones(3),), {}).estimate().seconds["forward"] > 1


def test_the_first_estimate_knows_the_modes_that_there_are():
    x, z = np.ones(3), np.ones(3) * 1j
    assert set(first_run(lambda z: np.abs(z) ** 2, 0, (z,), {}).estimate().seconds) == {"reverse"}
    assert set(first_run(np.sin, 0, (z,), {}, None, True).estimate().seconds) == {"forward", "reverse"}
    assert set(first_run(lambda x: np.exp(1j * x), 0, (x,), {}).estimate().seconds) == {"forward"}
    np.testing.assert_allclose(jacobian(lambda x: np.exp(1j * x))(x), np.diag(1j * np.exp(1j * x)))


def test_a_large_sparse_jacobian_is_planned_once_a_function(planned):
    x = np.linspace(1.0, 2.0, 2000)
    f = lambda x: tridiagonal(x)  # noqa: E731
    for _ in range(3):
        np.testing.assert_allclose(jacobian(f)(x), jacfwd(f)(x))
    assert planned == [f]
    jacobian(f)(x.astype(np.float32))
    jacobian(f, chunk=5)(x)
    assert len(planned) == 3  # another dtype, another chunk
    jacobian(lambda x: tridiagonal(x))(x)
    assert len(planned) == 4  # another function


def test_what_is_learnt_goes_with_the_function():
    f = lambda x: tridiagonal(x)  # noqa: E731
    jacobian(f)(np.ones(1000))
    assert f in jacobians._LEARNT
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("f", [np.tanh, np.ones(3).dot], ids=["ufunc", "bound method"])
def test_a_function_that_cannot_be_looked_up_learns_for_one_object(f):
    np.testing.assert_allclose(jacobian(f)(np.ones(3)), jacfwd(f)(np.ones(3)))


def test_counting_runs_what_the_transforms_run():
    """Assignment, several results, branches, integers, object arrays, nested transforms, custom layers."""

    def f(x):
        y = np.zeros_like(x)
        y[1:] = x[:-1] * 2
        y += np.array([x[0], x[1] ** 2, x[2]])
        if x[0] > 0:
            y = y[np.argsort(y)]
        w, v = np.linalg.eigh(np.outer(y, y) + np.diag([1.0, 2.0, 3.0]))
        low, high = np.modf(y)[0], np.floor(x)
        return {"a": w + low + high, "b": grad(lambda y: np.sum(y**3))(y), "c": [v[0] ** 2]}

    x = np.array([0.3, 0.2, 0.7])
    meter = Meter()
    found, plain = f(Metered(x, meter)), f(x)
    for key in ("a", "b"):
        np.testing.assert_allclose(found[key].value, plain[key])
    assert meter.operations > 20
    J, expected = jacobian(f)(x), jacfwd(f)(x)
    np.testing.assert_allclose(J["c"][0], expected["c"][0])


def test_counting_is_seen_by_no_transform_around():
    def whole(w):
        return jacobian(lambda x: np.sin(w * x))(np.ones(3))

    def forward(w):
        return jacfwd(lambda x: np.sin(w * x))(np.ones(3))

    assert cost(whole, 2.0).flops == cost(forward, 2.0).flops
    assert len(trace(whole, 2.0)) == len(trace(forward, 2.0))
    np.testing.assert_allclose(jacrev(whole)(2.0), jacfwd(forward)(2.0))


def test_layers_that_branch_otherwise_at_another_point():
    """Their chain has other dimensions there: it is bracketed anew."""
    U, V, W = rng.normal(size=(200, 3)), rng.normal(size=(3, 200)), rng.normal(size=(200, 200))

    def narrow_or_not(x):
        return U @ (V @ x) if x[0] > 0 else np.tanh(W @ x)

    layers = [lambda x: W @ x, lambda x: V @ x if x[0] > 0 else V @ x * x[:3], lambda y: U @ y, narrow_or_not]
    for mode in ("auto", "bracketing"):
        J = jacobian(layers, mode=mode)
        for x in (np.ones(200), -np.ones(200), np.ones(200), rng.normal(size=200)):
            expected = JacobianChain(layers, x).jacobian("reverse")
            np.testing.assert_allclose(J(x), expected, rtol=1e-9, atol=1e-9)


def test_layers_with_another_number_of_edges_at_another_point():
    layers = [np.sin, lambda x: x[1:] * x[:-1] if x[0] > 0 else x[1:] + 1.0]
    J = jacobian(layers, mode="bracketing")
    for x in (np.ones(4), -np.ones(4)):
        np.testing.assert_allclose(J(x), JacobianChain(layers, x).jacobian("reverse"))
