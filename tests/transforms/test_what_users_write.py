"""What a user may write in a function to be differentiated: NumPy's idioms, dtypes, sizes, complex numbers."""

import functools
import gc

import numpy as np
import optree
import pytest
from checks import NESTINGS, jacobian_by_differences

from admodes import grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, linearize, value_and_grad, vjp

rng = np.random.default_rng(1)
W = rng.normal(size=(3, 4))
X = rng.normal(size=4)
JACOBIANS = [jacfwd, jacrev, jacobian]
jacobians = pytest.mark.parametrize("jac", JACOBIANS, ids=lambda j: j.__name__)


def f(x):
    return np.tanh(W @ x)


# ---------------------------------------------------------------------------------------------------
# Control flow and idioms
# ---------------------------------------------------------------------------------------------------


def newton_root(a):
    """√a by Newton's method until it stands: a while loop on traced values."""
    x = a
    while abs(x * x - a) > 1e-13 * a:
        x = 0.5 * (x + a / x)
    return x


def test_loops_and_branches_on_traced_values():
    for a in (2.0, 0.3):
        assert grad(newton_root)(a) == pytest.approx(0.5 / np.sqrt(a), rel=1e-10)
        assert jvp(newton_root, (a,), (1.0,))[1] == pytest.approx(0.5 / np.sqrt(a), rel=1e-10)

    def g(x):
        total = 0.0
        for i, v in enumerate(x):
            if v > 0:
                total += v**2 * i
            elif v < -1:
                total -= v
        return total

    x = np.array([0.5, 2.0, -0.5, -3.0, 1.0])
    expected = [0, 4, 0, -1, 8]
    np.testing.assert_array_equal(grad(g)(x), expected)
    np.testing.assert_array_equal(jacfwd(g)(x), expected)


def test_choices_by_comparison():
    x = np.array([-2.0, 0.5, 3.0])

    def g(x):
        return np.sum(np.where(x > 0, x**2, -x)) + max(x[0], x[2]) + sorted([x[2], x[1]])[0]

    np.testing.assert_array_equal(grad(g)(x), [-1, 2, 7])
    np.testing.assert_array_equal(jacfwd(g)(x), [-1, 2, 7])


@jacobians
def test_arrays_built_from_traced_scalars(jac):
    def g(x):
        rows = np.array([[x[0] * x[1], np.sin(x[2])], [1.0, x[0]]])
        return rows @ np.array([x[1], 2.0])

    x = np.array([0.3, 1.7, -0.4])
    np.testing.assert_allclose(jac(g)(x), jacobian_by_differences(g, x), rtol=1e-8, atol=1e-9)


@jacobians
def test_plain_matrix_times_an_array_of_traced_scalars(jac):
    A = rng.normal(size=(2, 2))

    def g(x):
        v = np.array([x[0] ** 2, x[0] * x[1]])
        return A @ v, np.dot(A, v), np.sin(v) * 2.0, v + A, A - v, np.sum(v), v.sum(), np.concatenate([v, x])

    x = np.array([1.3, -0.7])
    dv = np.array([[2 * x[0], 0], [x[1], x[0]]])
    Av, dot, sine, plus, minus, total, method, joined = jac(g)(x)
    np.testing.assert_allclose(Av, A @ dv)
    np.testing.assert_allclose(dot, A @ dv)
    np.testing.assert_allclose(sine, 2 * np.cos([x[0] ** 2, x[0] * x[1]])[:, None] * dv)
    np.testing.assert_allclose(plus, np.broadcast_to(dv, (2, 2, 2)))
    np.testing.assert_allclose(minus, -np.broadcast_to(dv, (2, 2, 2)))
    np.testing.assert_allclose(total, dv.sum(axis=0))
    np.testing.assert_allclose(method, dv.sum(axis=0))
    np.testing.assert_allclose(joined, np.vstack([dv, np.eye(2)]))


@jacobians
def test_nested_lists_as_results(jac):
    def g(x):
        return np.array([[x[0], 2.0], [x[0] * x[1], x[1]]])

    x = np.array([3.0, 5.0])
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0], expected[1, 0], expected[1, 1, 1] = 1, [5, 3], 1
    np.testing.assert_array_equal(jac(g)(x), expected)


def test_list_results_are_trees():
    assert jacfwd(lambda x: [x**2, 3 * x])(2.0) == [4.0, 3.0]


def test_generators_and_closures():
    scale = np.array([1.0, 2.0, 3.0])

    def g(x):
        return sum(s * v**2 for s, v in zip(scale, x, strict=True))

    np.testing.assert_array_equal(grad(g)(np.ones(3)), 2 * scale)
    np.testing.assert_array_equal(jacfwd(g)(np.ones(3)), 2 * scale)


# ---------------------------------------------------------------------------------------------------
# Dtypes, sizes, and arrays of one's own
# ---------------------------------------------------------------------------------------------------


def test_float32_stays_float32():
    x = X.astype(np.float32)

    def g(x):
        return np.sum(np.tanh(2.0 * x) ** 2 + 1) / 3

    y, ydot = jvp(g, (x,), (x,))
    assert y.dtype == ydot.dtype == np.float32
    value, gradient = value_and_grad(g)(x)
    assert value.dtype == gradient.dtype == np.float32
    for transform in (*JACOBIANS, hessian, *(functools.partial(hessian, mode=m) for m in NESTINGS)):
        assert transform(g)(x).dtype == np.float32
    assert hvp(g, (x,), (x,)).dtype == np.float32
    assert linearize(lambda x: np.sin(x), x)[1].dense().dtype == np.float32
    # a float64 tangent is taken in the dtype of its primal
    assert jvp(g, (x,), (X,))[1].dtype == np.float32
    assert grad(lambda s: s * 2.0)(np.float32(3)).dtype == np.float32


def test_mixed_dtypes():
    a, b = np.ones(2, np.float32), np.ones(2)
    ga, gb = grad(lambda a, b: np.sum(a * b), argnums=(0, 1))(a, b)
    assert (ga.dtype, gb.dtype) == (np.float32, np.float64)


def test_python_numbers_are_floats():
    assert grad(lambda x: x**2)(3) == 6
    assert type(grad(lambda x: x**2)(3)) is np.float64
    assert jvp(lambda x: x**2, (3,), (1,)) == (9, 6)
    assert jacobian(lambda x: x**2)(3) == 6
    assert hessian(lambda x: x**3)(2) == 12


@jacobians
def test_empty_arrays(jac):
    assert jac(lambda x: x**2)(np.zeros(0)).shape == (0, 0)
    assert jac(lambda x: np.sum(x))(np.zeros((0, 3))).shape == (0, 3)
    assert jac(lambda x: x[:0])(X).shape == (0, 4)


def test_empty_arrays_in_products():
    assert grad(lambda x: np.sum(x**2))(np.zeros((2, 0))).shape == (2, 0)
    assert jvp(np.sin, (np.zeros(0),), (np.zeros(0),))[1].shape == (0,)
    assert vjp(np.sin, np.zeros(0))[1](np.zeros((3, 0)))[0].shape == (3, 0)
    assert hessian(lambda x: np.sum(x**2))(np.zeros(0)).shape == (0, 0)
    assert linearize(np.sin, np.zeros(0))[1].dense().shape == (0, 0)


def test_0d_arrays():
    x = np.array(0.5)
    assert grad(np.sin)(x) == np.cos(0.5)
    assert jacfwd(np.sin)(x) == np.cos(0.5)
    assert np.shape(jacrev(lambda x: x * np.ones((2, 1)))(x)) == (2, 1)
    assert hessian(np.sin)(x) == -np.sin(0.5)


def test_what_does_not_matter_has_derivative_zero():
    x, y = np.ones(2), np.ones((2, 3), np.float32)
    gx, gy = grad(lambda x, y: np.sum(x**2), argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(gx, [2, 2])
    np.testing.assert_array_equal(gy, np.zeros((2, 3)))
    assert gy.dtype == np.float32
    np.testing.assert_array_equal(grad(lambda x: 3.0)(x), [0, 0])
    np.testing.assert_array_equal(jvp(lambda x: np.arange(3.0), (x,), (x,))[1], np.zeros(3))
    np.testing.assert_array_equal(vjp(lambda x: np.arange(3.0), x)[1](np.ones(3))[0], [0, 0])
    for jac in JACOBIANS:
        np.testing.assert_array_equal(jac(lambda x: np.floor(x))(x), np.zeros((2, 2)))
        np.testing.assert_array_equal(jac(lambda x: np.ones(3))(x), np.zeros((3, 2)))


def arrays_of(*results):
    for r in results:
        if isinstance(r, np.ndarray):
            yield r
        elif isinstance(r, tuple | list):
            yield from arrays_of(*r)
        elif isinstance(r, dict):
            yield from arrays_of(*r.values())


@pytest.mark.parametrize(
    ("g", "args"),
    [
        (lambda a, b: np.sum(a + b), (np.ones(3), np.ones(3))),
        (lambda a, b: np.sum(a) + np.sum(b), (np.ones((2, 2)), np.ones(3))),
        (lambda a, b: np.sum(a), (np.ones(3), np.ones(3))),
        (lambda a, b: np.sum(np.concatenate([a, b])), (np.ones(3), np.ones(3))),
        (lambda a, b: np.dot(a, b), (np.ones(3), np.ones(3))),
        (lambda a, b: np.sum(a[::-1].reshape(3, 1) * b), (np.ones(3), np.ones(3))),
        (lambda a, b: np.sum(np.stack([a, b]).T), (np.ones(3), np.ones(3))),
    ],
)
def test_results_may_be_written_to_and_share_no_memory(g, args):
    args = tuple(a.copy() for a in args)
    u = np.float64(1.0)
    _, pullback = vjp(g, *args)
    results = [
        *arrays_of(grad(g, argnums=(0, 1))(*args)),
        *arrays_of(pullback(u)),
        *arrays_of(pullback(np.ones(2))),
        *arrays_of(*(jac(g, argnums=(0, 1))(*args) for jac in JACOBIANS)),
    ]
    assert results
    for i, r in enumerate(results):
        assert r.flags.writeable
        for other in (*results[:i], *args):
            assert not np.shares_memory(r, other)
        r[...] = 7.0  # and each is usable
    again = grad(g, argnums=(0, 1))(*args)
    np.testing.assert_array_equal(again[0], jacfwd(g, argnums=0)(*args))


@pytest.mark.parametrize(
    "g", [lambda x: x, lambda x: x[:2], lambda x: x.T, lambda x: (x, x), lambda x: {"a": x.ravel()}]
)
def test_identities_give_arrays_of_their_own(g):
    """Even f(x) = x: neither the value, nor tangents, nor cotangents share memory with what came in or with another."""
    x, t = np.ones((3, 3)), np.ones((3, 3))
    y, ydot = jvp(g, (x,), (t,))
    parts = [*arrays_of(y), *arrays_of(ydot)]
    value, pullback = vjp(g, x)
    u = g(np.ones((3, 3)))
    parts += [*arrays_of(value), *arrays_of(pullback(u)), *arrays_of(pullback(u))]
    for i, r in enumerate(parts):
        assert r.flags.writeable
        for other in (x, t, *arrays_of(u), *parts[:i]):
            assert not np.shares_memory(r, other)


# ---------------------------------------------------------------------------------------------------
# Complex numbers
# ---------------------------------------------------------------------------------------------------


def test_gradient_by_a_complex_argument():
    """grad of a real f at z = x + iy is ∂f/∂x − i ∂f/∂y: for |z|² it is 2x − 2iy, the conjugate of 2z."""
    z = np.array([1.0 + 2.0j, -0.5 + 0.3j])
    np.testing.assert_allclose(grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * np.conj(z))
    np.testing.assert_allclose(grad(lambda z: np.sum(np.real(z)))(z), np.ones(2))
    np.testing.assert_allclose(grad(lambda z: np.sum(np.imag(z)))(z), -1j * np.ones(2))

    def g(z):
        return np.sum(np.real(np.exp(z) * np.conj(z)) + np.imag(z**2))

    h = 1e-6
    by_x = [(g(z + h * e) - g(z - h * e)) / (2 * h) for e in np.eye(2)]
    by_y = [(g(z + 1j * h * e) - g(z - 1j * h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(grad(g)(z), np.array(by_x) - 1j * np.array(by_y), rtol=1e-8)


def test_complex_directions():
    """A push is real-linear: f(z + ht) ≈ f(z) + h·jvp; a pull of a C-linear map is its plain transpose."""
    z, t = np.array([1.0 + 2.0j, 0.4j]), np.array([0.3 - 1.0j, 2.0 + 0.0j])
    A = rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))

    def g(z):
        return A @ np.sin(z) * np.conj(z)

    h = 1e-6
    np.testing.assert_allclose(jvp(g, (z,), (t,))[1], (g(z + h * t) - g(z - h * t)) / (2 * h), rtol=1e-7)
    u = np.array([1.0 - 2.0j, 0.5j])
    np.testing.assert_allclose(vjp(lambda z: A @ z, z)[1](u)[0], A.T @ u)
    # Re(uᵀ dy) = Re(z̄ᵀ dz) for every f, holomorphic or not
    zbar = vjp(g, z)[1](u)[0]
    assert np.real(u @ jvp(g, (z,), (t,))[1]) == pytest.approx(np.real(zbar @ t), rel=1e-12)


def test_complex_scalars_as_directions():
    assert jvp(lambda z: z * z, (1.0 + 2.0j,), (1.0j,)) == (-3 + 4j, -4 + 2j)
    _, pullback = vjp(lambda z: z * z, 1.0 + 2.0j)
    for u in (1.0j, np.complex128(1.0j), np.array(1.0j)):
        assert pullback(u) == (-4 + 2j,)
    _, pullback = vjp(np.sin, 0.5)
    for u in (2, np.float32(2.0), np.float16(2.0)):
        assert pullback(u)[0] == pytest.approx(2 * np.cos(0.5), rel=1e-15)


def test_real_argument_through_complex_values():
    x = np.array([0.3, 1.2])

    def g(x):
        return np.sum(np.abs(np.exp(1j * x) + x) ** 2)

    d = grad(g)(x)
    assert d.dtype == np.float64
    np.testing.assert_allclose(d, jacobian_by_differences(g, x), rtol=1e-8)
    np.testing.assert_allclose(jacfwd(g)(x), d, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float32"])
def test_directions_of_whole_numbers_count_as_floats(dtype):
    x, ones = np.array([0.5, 2.0]), np.ones(2, dtype)
    tangent, (cotangent,) = jvp(np.sin, (x,), (ones,))[1], vjp(np.sin, x)[1](ones)
    np.testing.assert_array_equal([tangent, cotangent], [np.cos(x)] * 2)


@pytest.mark.parametrize("method", [jacfwd, jacrev])
def test_blocks_of_a_result_returned_twice_are_two_arrays(method):
    first, second, third = method(lambda x: (y := x * 2, y, x))(np.ones(2))
    first[:] = 7
    np.testing.assert_array_equal(second, 2 * np.eye(2))
    np.testing.assert_array_equal(third, np.eye(2))


# Memory -------------------------------------------------------------------------------------------


def assigned(x):
    y = np.zeros_like(x)
    y[1:] = x[1:] * 2
    y[:-1] += x[1:]
    z = y.reshape(-1, 1).T
    z[0, 1] = x[0]
    return np.sum(y * z[0])


NOTHING_LEFT = {
    "grad": lambda f, x: grad(f)(x),
    "jacfwd": lambda f, x: jacfwd(f)(x),
    "jacrev": lambda f, x: jacrev(f)(x),
    "hessian": lambda f, x: hessian(f)(x),
    "jvp": lambda f, x: jvp(f, (x,), (x,)),
    "vjp": lambda f, x: vjp(f, x)[1](1.0),
}


@pytest.mark.parametrize("f", [lambda x: np.sum(x[1:] ** 2), lambda x: np.array([x[0], x[1]]).sum(), assigned])
@pytest.mark.parametrize("name", NOTHING_LEFT)
def test_arrays_go_with_the_transform(name, f):
    """No cycle keeps them until the garbage collector comes by."""
    x = np.arange(1.0, 6.0)
    NOTHING_LEFT[name](f, x)
    gc.collect()
    gc.disable()
    try:
        NOTHING_LEFT[name](f, x)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("argnums", [(0, -2), (0, 0), (1, 0, -1), [-1, 1], (0, 1, 0, -2)])
def test_an_argument_named_twice_has_its_derivative_twice(argnums):
    def f(a, b):
        return np.sum(a["x"] * b**2) + a["y"] ** 3

    args = {"x": np.array([1.0, 2.0]), "y": np.float64(2.0)}, np.array([3.0, 4.0])
    each = grad(f, argnums=(0, 1))(*args)
    for way in (grad, jacfwd, jacrev):
        found = way(f, argnums=argnums)(*args)
        for i, g in zip(argnums, found, strict=True):
            for a, b in zip(optree.tree_leaves(g), optree.tree_leaves(each[i]), strict=True):
                np.testing.assert_allclose(a, b)
    twice = hessian(lambda a, b: np.sum(a * b**2), argnums=(1, -1))(np.ones(2), args[1])
    np.testing.assert_allclose(twice, np.broadcast_to(2 * np.eye(2), (2, 2, 2, 2)))
    (one, two) = grad(lambda a: np.sum(a**2), argnums=(0, -1))(args[1])
    np.testing.assert_array_equal([one, two], [2 * args[1]] * 2)
