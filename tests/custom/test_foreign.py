"""`custom_op(…, difference=…)`: functions that are no NumPy, differentiated by differences and marked as such."""

import dataclasses
import json
import math

import numpy as np
import pytest
from checks import NESTINGS
from scipy import optimize

import admodes
from admodes import compare, compile, cost, custom_op, grad, hessian, jacfwd, jacobian, jacrev, jvp, vjp
from admodes.custom.differences import SCHEMES

rng = np.random.default_rng(5)
X, B = rng.uniform(0.3, 1.2, 3), np.float64(0.7)

# What a derivative of first and of second order is off by, relative to numbers of size 1.
FIRST = {"central": 1e-9, "forward": 1e-6, "complex": 1e-14}
SECOND = {"central": 1e-6, "forward": 2e-4, "complex": 1e-9}


def several(a, b):
    return np.stack([a @ a * b, b**3 * a[0]]) if isinstance(b, admodes.core.tracing.Tracer) else np.array(
        [a @ a * b, b**3 * a[0]]
    )  # fmt: skip


def agrees(op, like, scheme, *args):
    for i in range(len(args)):
        expected = jacfwd(like, argnums=i)(*args)
        for way in (jacfwd, jacrev, jacobian):
            np.testing.assert_allclose(way(op, argnums=i)(*args), expected, atol=FIRST[scheme])
            np.testing.assert_allclose(compile(way(op, argnums=i))(*args), expected, atol=FIRST[scheme])
        for mode in NESTINGS:
            np.testing.assert_allclose(
                hessian(lambda *x: np.sum(np.sin(op(*x))), argnums=i, mode=mode)(*args),
                hessian(lambda *x: np.sum(np.sin(like(*x))), argnums=i)(*args),
                atol=SECOND[scheme],
            )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_orders_and_modes(scheme):
    agrees(custom_op(lambda a: np.exp(a) / np.exp(a).sum(), difference=scheme),
           lambda a: np.exp(a) / np.exp(a).sum(), scheme, X)  # fmt: skip
    agrees(custom_op(several, difference=scheme), several, scheme, X, B)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_elementwise(scheme):
    def like(a, b):
        return np.sin(a) * b**2

    op = custom_op(lambda a, b: np.sin(a) * b**2, difference=scheme, elementwise=True)
    agrees(op, like, scheme, rng.normal(size=(2, 3)), X)
    agrees(op, like, scheme, X, B)


def test_third_order():
    sine = custom_op(math.sin, difference="central")
    assert grad(grad(grad(sine)))(0.3) == pytest.approx(-math.cos(0.3), abs=1e-5)


def test_directions_at_once_are_single_ones():
    op = custom_op(several, difference="central")
    T, U = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    np.testing.assert_allclose(
        jvp(lambda a: op(a, B), (X,), (T,))[1], [jvp(lambda a: op(a, B), (X,), (t,))[1] for t in T], rtol=1e-12
    )
    pull = vjp(lambda a: op(a, B), X)[1]
    np.testing.assert_allclose(pull(U)[0], [pull(u)[0] for u in U], rtol=1e-12)


def test_how_often_the_function_runs():
    """A push twice, a pull twice an input that is asked for, element by element twice for all of them; complex once."""
    calls = []

    def counted(a, b):
        calls.append(1)
        return np.sin(a) * b

    big = np.ones(1000)
    for scheme, factor in (("central", 2), ("complex", 1)):
        for elementwise, pulled in ((False, 3), (True, 1)):
            op = custom_op(counted, difference=scheme, elementwise=elementwise)
            grad(lambda a, op=op: np.sum(op(a, big[:3])))(X)  # the first use, which is tried
            for run, count in (
                (lambda op=op: jvp(lambda a: op(a, B), (X,), (X,)), 1),
                (lambda op=op: grad(lambda a: np.sum(op(a, B)))(X), pulled),
                (lambda op=op: grad(lambda b: np.sum(op(big, b)))(B), 1),  # and not by the thousand that are constant
            ):
                calls.clear()
                run()
                assert len(calls) == 1 + factor * count


def test_functions_that_are_no_numpy():
    def pressure(volume, temperature):
        """By a solver."""
        return optimize.brentq(lambda p: p * volume - temperature - 0.1 * p**2 * volume**2, 0.0, 2.0 / volume)

    table = np.cumsum(np.linspace(0.0, 1.0, 11))
    lookup = custom_op(lambda x: np.interp(x, np.linspace(0, 1, 11), table), difference="central", elementwise=True)
    np.testing.assert_allclose(np.diag(jacrev(lookup)(np.array([0.15, 0.55]))), [2.0, 6.0])
    op = custom_op(pressure, difference="central")
    for point in ((1.0, 0.5), (1.5, 0.7)):
        for i in range(2):
            h = 1e-4
            ahead, behind = (tuple(x + s * h * (k == i) for k, x in enumerate(point)) for s in (1, -1))
            slope = (pressure(*ahead) - pressure(*behind)) / (2 * h)
            assert grad(op, argnums=i)(*point) == pytest.approx(slope, rel=1e-5)
            assert jacfwd(op, argnums=i)(*point) == pytest.approx(slope, rel=1e-5)


def test_the_step_is_for_functions_with_noise():
    noisy = custom_op(lambda x: np.round(np.sin(x), 8), difference="central")
    smoothed = custom_op(lambda x: np.round(np.sin(x), 8), difference="central", step=1e-2)
    assert abs(grad(noisy)(0.5) - np.cos(0.5)) > 1e-5
    assert grad(smoothed)(0.5) == pytest.approx(np.cos(0.5), abs=2e-5)


@dataclasses.dataclass
class Model:
    w: object
    name: str


def test_constants_and_trees():
    seen = []

    def f(model, x, kind, *, power=1):
        seen.append((type(model), kind, power))
        return {"y": model.w @ x**power, "kind": len(kind)}

    op = custom_op(f, difference="complex")
    model = Model(rng.normal(size=(2, 3)), "m")
    for power in (1, 2):
        jacobian = jacrev(lambda x, power=power: op(model, x, "text", power=power)["y"])(X)
        np.testing.assert_allclose(jacobian, model.w * power * X ** (power - 1))
    by_model = grad(lambda w: np.sum(op(Model(w, "m"), X, "text")["y"]))(model.w)
    np.testing.assert_allclose(by_model, np.tile(X, (2, 1)))
    assert set(seen) == {(Model, "text", 1), (Model, "text", 2)}
    np.testing.assert_allclose(grad(lambda x: op(model, x=x, kind="text")["y"].sum())(X), model.w.sum(axis=0))


def test_one_is_not_one_point_nought():
    """Equal constants of other types are other constants."""
    op = custom_op(lambda x, k: x * (2 if isinstance(k, int) else 3), difference="central")
    for k, slope in ((1, 2), (1.0, 3), (1, 2), (True, 2)):
        assert grad(lambda x, k=k: op(x, k))(0.5) == pytest.approx(slope)


def test_single_precision():
    op = custom_op(np.sin, difference="central")
    x = X.astype(np.float32)
    assert jacrev(op)(x).dtype == np.float32
    np.testing.assert_allclose(np.diag(jacrev(op)(x)), np.cos(X), atol=1e-4)


def test_a_direction_of_zeros_and_no_direction():
    op = custom_op(np.sin, difference="central")
    np.testing.assert_array_equal(jvp(op, (X,), (0 * X,))[1], 0 * X)
    assert jacrev(op)(np.zeros(0)).shape == (0, 0)


@pytest.mark.parametrize("f", [lambda x: np.abs(x) * 2, lambda x: np.real(x) * 2, lambda x: np.where(x > 0, x, 0).real])
def test_complex_step_of_a_function_that_is_not_analytic(f):
    with pytest.raises(ValueError, match="not analytic"):
        grad(lambda x: np.sum(custom_op(f, difference="complex")(x)))(X)


def test_what_cannot_be():
    with pytest.raises(ValueError, match="difference='backward'; it is one of central, forward, complex"):
        custom_op(np.sin, difference="backward")
    with pytest.raises(TypeError, match=r"exactly one way.* got push, difference"):
        custom_op(np.sin, difference="central", push=lambda t, y, x: t)
    for words in ({"step": 1e-3}, {"elementwise": True}):
        with pytest.raises(TypeError, match="belong to difference="):
            custom_op(np.sin, partial=1.0, **words)
    for elementwise in (False, True):
        op = custom_op(np.sin, difference="central", elementwise=elementwise)
        with pytest.raises(TypeError, match="argument 0 is complex"):
            jvp(op, (X + 1j,), (X + 1j,))
    with pytest.raises(TypeError, match="real number"):
        grad(custom_op(lambda x: math.sin(complex(x)), difference="complex"))(0.5)
    with pytest.raises(ValueError, match="element by element"):
        grad(custom_op(np.sum, difference="central", elementwise=True))(X)


# Marks ---------------------------------------------------------------------------------------------------


def lookup(x):
    return np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 4.0])


def test_cost_marks_it():
    op = custom_op(lookup, difference="central", elementwise=True)
    counted = cost(grad(lambda x: np.sum(op(x) ** 2)), X)
    assert counted.approximate == {"lookup": "central differences", "derivative of lookup": "central differences"}
    assert "not exact: lookup, its derivative by central differences" in str(counted)
    assert cost(lambda x: np.sin(x), X).approximate == {}
    assert counted.by_operation["derivative of lookup"].flops == 2 * counted.by_operation["lookup"].flops


def test_compare_marks_it(steady_clock):
    op = custom_op(lookup, difference="forward")
    found = compare(lambda x: np.sum(op(x) ** 2), X, max_seconds=2)
    told = "not exact: the derivative of lookup is by one-sided differences"
    assert any(told in remark for remark in found.remarks)
    assert told in str(found)
    assert any(told in remark for remark in json.loads(found.to_json())["remarks"])
    assert not any("not exact" in remark for remark in compare(np.sum, X, max_seconds=1).remarks)
