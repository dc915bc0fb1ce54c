"""Transforms within transforms, in threads, over long programs, and after exceptions."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from admodes import grad, hessian, jacfwd, jacobian, jacrev, jvp, linearize, value_and_grad, vjp

MODES = ["forward", "reverse"]


def forward(f):
    """d/dx by forward mode."""
    return lambda x: jvp(f, (x,), (1.0,))[1]


def reverse(f):
    """d/dx by reverse mode."""
    return lambda x: vjp(f, x)[1](1.0)[0]


D = {"forward": forward, "reverse": reverse}
outer_and_inner = pytest.mark.parametrize(("outer", "inner"), [(D[a], D[b]) for a in MODES for b in MODES])


# ---------------------------------------------------------------------------------------------------
# Perturbation confusion
# ---------------------------------------------------------------------------------------------------


@outer_and_inner
def test_perturbation_confusion(outer, inner):
    """d/dx [x · d/dy (x + y)] = 1; a tangent that both levels shared would give 2 (Siskind and Pearlmutter, 2005)."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1


@outer_and_inner
def test_inner_derivative_that_depends_on_the_outer_variable(outer, inner):
    # d/dx [x · d/dy (x y²)|_{y = x}] = d/dx [2x³] = 6x²
    assert outer(lambda x: x * inner(lambda y: x * y * y)(x))(3.0) == 54
    # d/dx d/dy (x² y)|_{y = 1} = 2x; the constant of the inner level is the variable of the outer
    assert outer(lambda x: inner(lambda y: x * x * y)(1.0))(3.0) == 6
    # the inner function does not depend on its variable at all
    assert outer(lambda x: x + inner(lambda y: x * x)(1.0))(3.0) == 1


@outer_and_inner
def test_inner_function_kept_for_later(outer, inner):
    """A derivative function made inside the outer level and called there with several points."""

    def f(x):
        d = inner(lambda y: np.sin(x * y))
        return d(1.0) + d(x) * 2

    def exact(x):  # x cos(x·1) + 2 x cos(x²)
        return np.cos(x) - x * np.sin(x) + 2 * np.cos(x * x) - 4 * x * x * np.sin(x * x)

    assert outer(f)(0.7) == pytest.approx(exact(0.7), rel=1e-13)


@outer_and_inner
def test_confusion_in_vectors(outer, inner):
    """The same with arrays, where the inner level meets the outer variable through a matrix product."""
    A = np.array([[1.0, 2.0], [3.0, 4.0]])

    def f(x):
        v = np.array([x, 2 * x])
        return np.sum(v * inner(lambda y: np.sum((A @ v) * y))(1.0))

    # Σv = 3x, Σ(A v) = 5x + 11x: f = 48x², f′ = 96x
    assert outer(f)(0.5) == pytest.approx(48)


def test_hypergradient():
    """grad of a function that takes a gradient step inside: x₁ = x₀ − η ∇φ(x₀), d/dη ½‖x₁‖²."""
    x0 = np.array([1.0, -2.0])

    def loss(eta):
        x1 = x0 - eta * grad(lambda x: np.sum(x**4) / 4)(x0)
        return 0.5 * np.sum(x1**2)

    eta = 0.05
    x1 = x0 - eta * x0**3
    for d in (grad(loss), jacfwd(loss)):
        assert d(eta) == pytest.approx(-np.sum(x1 * x0**3), rel=1e-13)


# ---------------------------------------------------------------------------------------------------
# Deep nesting
# ---------------------------------------------------------------------------------------------------


def test_grad_of_grad_of_grad():
    d = np.sin
    expected = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]
    for exact in expected:
        d = grad(d)
        assert d(0.7) == pytest.approx(exact(0.7), rel=1e-14)


@pytest.mark.parametrize("order", [(a, b, c) for a in MODES for b in MODES for c in MODES], ids="-".join)
def test_third_derivative_in_all_eight_nestings(order):
    def f(x):
        return np.exp(x) * np.sin(x) / (1 + x * x)

    d = f
    for mode in order:
        d = D[mode](d)
    reference = jacfwd(jacfwd(jacfwd(f)))(0.4)
    assert d(0.4) == pytest.approx(reference, rel=1e-12)
    h = 1e-4  # and by differences of the second derivative
    second = jacfwd(jacfwd(f))
    assert d(0.4) == pytest.approx((second(0.4 + h) - second(0.4 - h)) / (2 * h), rel=1e-6)


def test_jvp_of_vjp_of_jvp():
    """∂³f/∂x³ · t · t · u for f = Σ x⁵: 60 x² per element."""
    x, t, u = np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.array([2.0, 5.0])

    def first(x):
        return jvp(lambda x: x**5, (x,), (t,))[1]  # 5x⁴ t

    def second(x):
        return vjp(first, x)[1](u)[0]  # 20 x³ t u

    value, third = jvp(second, (x,), (t,))
    np.testing.assert_allclose(value, 20 * x**3 * t * u)
    np.testing.assert_allclose(third, 60 * x**2 * t * u * t)


def test_pullback_with_traced_cotangent():
    """Jᵀu is linear in u; its derivative by u is Jᵀ, its derivative by a parameter of u follows too."""
    A, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2])
    _, pullback = vjp(lambda x: np.tanh(A @ x), x)
    J = (1 - np.tanh(A @ x) ** 2)[:, None] * A
    np.testing.assert_allclose(jacfwd(lambda u: pullback(u)[0])(np.ones(2)), J.T)
    np.testing.assert_allclose(jacrev(lambda u: pullback(u)[0])(np.ones(2)), J.T)
    assert grad(lambda s: np.sum(pullback(s * np.ones(2))[0]))(2.0) == pytest.approx(J.sum())


def test_tangents_that_are_traced():
    A, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2])
    J = (1 - np.tanh(A @ x) ** 2)[:, None] * A
    for jac in (jacfwd, jacrev):
        np.testing.assert_allclose(jac(lambda t: jvp(lambda x: np.tanh(A @ x), (x,), (t,))[1])(np.ones(2)), J)


@pytest.mark.parametrize("jac", [jacfwd, jacrev, jacobian], ids=lambda j: j.__name__)
def test_jacobians_of_jacobians_of_gradients(jac):
    """A third derivative tensor with K directions at every level: ∂³ Σ x_i² x_j = …"""

    def f(x):
        return np.sum(x**2) * np.sum(x)

    x = np.array([0.3, -0.7, 1.1])
    third = jac(jac(grad(f)))(x)
    eye = np.eye(3)
    expected = 2 * (eye[:, :, None] + eye[:, None, :] + eye[None, :, :]) * np.ones((3, 3, 3))
    np.testing.assert_allclose(third, expected, atol=1e-13)


def test_linearize_inside_a_transform_and_levels_of_several_tapes():
    """A pullback made at one level and used within another, and a LinearOperator of an inner function."""

    def f(x):
        y, pullback = vjp(lambda v: v**3, np.array([1.0, 2.0]))
        return np.sum(pullback(np.array([1.0, 1.0]) * x)[0]) + np.sum(y)

    assert grad(f)(2.0) == 15
    _, op = linearize(lambda v: v * grad(lambda w: np.sum(w**3))(v), np.array([1.0, 2.0]))
    np.testing.assert_allclose(op.dense(), np.diag([9.0, 36.0]))


def test_value_and_grad_inside():
    def f(x):
        value, gradient = value_and_grad(lambda y: np.sum(y**2 * x))(x)
        return value + np.sum(gradient)  # Σx³ + 2Σx²

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(grad(f)(x), 3 * x**2 + 4 * x)
    np.testing.assert_allclose(jacfwd(f)(x), 3 * x**2 + 4 * x)


# ---------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------


def energy(x):
    y = x
    for _ in range(20):
        y = np.tanh(y + np.roll(y, 1))
    return np.sum(y**2)


def test_many_threads_each_with_its_own_derivatives():
    xs = [np.linspace(0.1, 1.0, 20) * (i + 1) / 7 for i in range(24)]
    expected = [(grad(energy)(x), hessian(energy)(x)) for x in xs]
    start = threading.Barrier(8)

    def work(i):
        if i < 8:
            start.wait()
        return grad(energy)(xs[i]), hessian(energy)(xs[i])

    with ThreadPoolExecutor(8) as pool:
        for (g, H), (g0, H0) in zip(pool.map(work, range(len(xs))), expected, strict=True):
            np.testing.assert_array_equal(g, g0)
            np.testing.assert_array_equal(H, H0)


def test_threads_that_share_one_pullback():
    x = np.linspace(0.1, 1.0, 50)
    _, pullback = vjp(lambda x: np.tanh(x) * np.roll(np.sin(x), 3) + x, x)
    us = np.random.default_rng(0).normal(size=(64, 50))
    expected = pullback(us)[0]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda u: pullback(u)[0], us))
    np.testing.assert_allclose(results, expected, rtol=1e-14, atol=1e-15)


def test_threads_that_share_one_linear_operator():
    x = np.linspace(0.1, 1.0, 30)
    _, op = linearize(lambda x: np.sin(x) * np.sum(x), x)
    dense = op.dense()
    vs = np.random.default_rng(0).normal(size=(32, 30))
    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_allclose(list(pool.map(lambda v: op @ v, vs)), vs @ dense.T, rtol=1e-12)
        np.testing.assert_allclose(list(pool.map(lambda v: op.T @ v, vs)), vs @ dense, rtol=1e-12)


def test_a_thread_inside_a_function():
    """Work that f hands to another thread belongs to f's transform: levels are not kept in thread-local state."""

    def f(x):
        with ThreadPoolExecutor(2) as pool:
            a, b = pool.map(lambda g: g(x), [np.sin, lambda v: grad(np.cos)(v) * v])
        return a + b

    x = 0.6
    assert grad(f)(x) == pytest.approx(np.cos(x) - np.sin(x) - x * np.cos(x), rel=1e-14)
    assert jacfwd(f)(x) == pytest.approx(np.cos(x) - np.sin(x) - x * np.cos(x), rel=1e-14)


# ---------------------------------------------------------------------------------------------------
# Long programs
# ---------------------------------------------------------------------------------------------------


def long_product(steps):
    def f(x):
        y = x
        for _ in range(steps):
            y = y * 1.0000001
        return y

    return f


def check_long_tape(steps):
    slope = 1.0000001**steps
    f = long_product(steps)
    assert grad(f)(1.0) == pytest.approx(slope, rel=1e-9)
    y, pullback = vjp(f, 1.0)
    assert pullback(2.0)[0] == pytest.approx(2 * slope, rel=1e-9)
    del y, pullback  # freeing a chain of a million entries must not recurse either
    gc.collect()


def test_a_tape_of_a_hundred_thousand_operations():
    check_long_tape(100_000)
    assert jvp(long_product(100_000), (1.0,), (1.0,))[1] == pytest.approx(1.0000001**100_000, rel=1e-9)


def test_second_derivatives_of_a_long_chain():
    def f(x):
        y = x
        for _ in range(5_000):
            y = y + 1e-4 * y * y
        return y

    reference = jacfwd(jacfwd(f))(0.1)
    assert grad(grad(f))(0.1) == pytest.approx(reference, rel=1e-10)
    assert jacfwd(grad(f))(0.1) == pytest.approx(reference, rel=1e-10)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_tape_of_a_million_operations():
    check_long_tape(1_000_000)


def test_a_value_used_very_often():
    """One node with 20,000 children: its adjoint is their sum."""

    def f(x):
        return sum(x * float(i) for i in range(20_000))

    assert grad(f)(1.0) == sum(range(20_000))
    assert jvp(f, (1.0,), (1.0,))[1] == sum(range(20_000))


# ---------------------------------------------------------------------------------------------------
# After exceptions
# ---------------------------------------------------------------------------------------------------


def test_exceptions_inside_leave_nothing_behind():
    class Mine(Exception):
        pass

    def fails(x):
        y = np.sin(x) * x
        if x > 0:
            raise Mine
        return y

    for transform in (grad, jacfwd, jacrev, jacobian, hessian, value_and_grad):
        with pytest.raises(Mine):
            transform(fails)(1.0)
        assert transform(fails)(-1.0) is not None
    for run in (lambda: jvp(fails, (1.0,), (1.0,)), lambda: vjp(fails, 1.0), lambda: linearize(fails, 1.0)):
        with pytest.raises(Mine):
            run()
    assert grad(fails)(-1.0) == pytest.approx(np.sin(-1) - np.cos(-1), rel=1e-14)


def test_an_inner_exception_that_the_function_handles():
    def f(x):
        try:
            inner = grad(lambda y: np.sum(np.ones(3) * y))(x)  # a scalar times a vector, summed: fine
            grad(lambda y: y * np.ones(3))(x)  # not a scalar: raises
        except TypeError:
            return x * x * inner
        raise AssertionError

    assert grad(f)(2.0) == 12
    assert jacfwd(f)(2.0) == 12


def test_generators_across_calls():
    """A generator suspended inside one derivative and exhausted in it; a second one starts anew."""

    def powers(x):
        y = x
        while True:
            yield y
            y = y * x

    def f(x):
        source = powers(x)
        return sum(next(source) for _ in range(4))

    assert grad(f)(2.0) == 1 + 4 + 12 + 32
    assert grad(f)(1.0) == 10


def test_closures_over_plain_state():
    seen = []

    def f(x):
        seen.append(float(np.asarray(1.0)))
        return x * len(seen)

    assert [grad(f)(1.0) for _ in range(3)] == [1, 2, 3]
