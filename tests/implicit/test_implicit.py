"""Implicit functions against closed forms: both modes, second order, K directions, compiled; what is refused."""

import re
import tracemalloc

import numpy as np
import pytest
from checks import NESTINGS

import admodes as ad

RNG = np.random.default_rng(0)
A = RNG.standard_normal((4, 4)) / 4
X = RNG.standard_normal(4)
LINEAR = ["auto", "dense", "sparse", "gmres", lambda A, b: np.linalg.solve(A @ np.eye(len(b)), b)]


def agrees(f, right, *args, rtol=1e-8, argument=0):
    """f and its Jacobian by forward mode, reverse mode, K at once and compiled code, against those of a closed form."""
    np.testing.assert_allclose(f(*args), right(*args), rtol=rtol, atol=1e-12)
    J = ad.jacfwd(right, argument)(*args)
    for way in (ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(way(f, argument)(*args), J, rtol=rtol, atol=1e-10)
        np.testing.assert_allclose(way(f, argument, chunk=1)(*args), J, rtol=rtol, atol=1e-10)
        compiled = ad.compile(way(f, argument))
        for _ in range(2):
            np.testing.assert_allclose(compiled(*args), J, rtol=rtol, atol=1e-10)


def agrees_twice(f, right, *args, rtol=1e-7, argument=0):
    H = ad.hessian(lambda *args: np.sum(np.sin(right(*args))), argument)(*args)
    for mode in NESTINGS:
        found = ad.hessian(lambda *args: np.sum(np.sin(f(*args))), argument, mode=mode)(*args)
        np.testing.assert_allclose(found, H, rtol=rtol, atol=1e-9, err_msg=mode)


# ---------------------------------------------------------------------------------------------------
# Roots
# ---------------------------------------------------------------------------------------------------


def circle(x):
    """Deep implicit layers, the circle x² + z² = 1: the slides forget the minus sign of dz/dx = −x/z."""
    return ad.root(lambda z, x: x**2 + z**2 - 1, np.full(np.shape(x), 0.5), x)


def test_circle():
    x = np.array([0.6, -0.2, 0.0])
    agrees(circle, lambda x: np.sqrt(1 - x**2), x)
    agrees_twice(circle, lambda x: np.sqrt(1 - x**2), x)
    assert ad.grad(circle)(0.6) == pytest.approx(-0.75, rel=1e-12)


@pytest.mark.parametrize("solver", LINEAR, ids=["auto", "dense", "sparse", "gmres", "own"])
def test_a_linear_system(solver):
    def f(M, b):
        return ad.root(lambda z, M, b: M @ z - b, np.zeros(4), M, b, linear_solver=solver)

    M = np.eye(4) + A
    for argument in (0, 1):
        agrees(f, np.linalg.solve, M, X, argument=argument)
    agrees_twice(f, np.linalg.solve, M, X, argument=1)
    agrees_twice(f, np.linalg.solve, M, X, argument=0)


def test_closures_count_as_parameters():
    def f(a, b):
        return ad.root(lambda z: z**3 + a * z - b, 1.0)

    def right(a, b):  # Cardano
        s = np.sqrt(b * b / 4 + a**3 / 27)
        return np.cbrt(b / 2 + s) + np.cbrt(b / 2 - s)

    for argument in (0, 1):
        agrees(f, right, 1.0, 3.0, argument=argument)


def test_trees():
    def f(p):
        z = ad.root(
            lambda z, p: {"u": z["u"] + z["v"] - p[0], "v": z["u"] - z["v"] - p[1]},
            {"u": np.zeros(2), "v": np.zeros(2)},
            p,
        )
        return z["u"] * z["v"]

    p = RNG.standard_normal((2, 2))
    agrees(f, lambda p: (p[0] + p[1]) * (p[0] - p[1]) / 4, p)


@pytest.mark.parametrize(("solver", "n"), [("auto", 400), ("gmres", 50)])
def test_nonlinear_heat(solver, n):
    """Steady heat with a conductivity that grows with the temperature: sparse by colouring, and matrix-free."""
    h = 1 / (n + 1)

    def equations(z, source):
        full = np.concatenate([np.zeros(1), z, np.zeros(1)])
        conductivity = 1 + (full[1:] + full[:-1]) / 2
        flux = conductivity * np.diff(full) / h
        return np.diff(flux) / h + source * np.ones(n)

    def kirchhoff(s):  # with w = z + z²/2 the equation is w'' = −s
        x = np.linspace(h, 1 - h, n)
        return -1 + np.sqrt(1 + 2 * (s * x * (1 - x) / 2))

    def solved(s):
        return ad.root(equations, np.full(n, 0.1), s, solver=lambda r, z: kirchhoff(2.0), linear_solver=solver)

    # The discrete system itself, dense: A ż = −∂g/∂s.
    z = solved(2.0)
    A, b = ad.jacfwd(lambda z: equations(z, 2.0))(z), ad.jacfwd(lambda s: equations(z, s))(2.0)
    t = ad.jvp(solved, (2.0,), (1.0,))[1]
    np.testing.assert_allclose(t, -np.linalg.solve(A, b), rtol=1e-8)
    np.testing.assert_allclose(t, ad.jvp(kirchhoff, (2.0,), (1.0,))[1], rtol=h**2)  # the discrete solution, O(h²)
    u = np.sin(np.arange(n))
    assert ad.vjp(solved, 2.0)[1](u)[0] == pytest.approx(u @ t, rel=1e-8)


CALLED = {"dense": "_dense", "sparse": "_sparse", "gmres": "_by"}


@pytest.mark.parametrize(
    ("f", "n", "kind"),
    [
        (lambda z, x: np.tanh(z) / 3 + x, 300, "dense"),
        (lambda z, x: np.concatenate([z[1:], z[:1]]) / 3 + np.sin(z) / 5 + x, 400, "sparse"),
        (lambda z, x: np.tanh(z + np.mean(z)) / 3 + x, 400, "gmres"),
    ],
)
def test_auto_solves_dense_sparse_or_matrix_free(f, n, kind, monkeypatch):
    from admodes.implicit.linear import System

    used = []
    for name, method in CALLED.items():
        made = getattr(System, method)
        monkeypatch.setattr(System, method, lambda *a, made=made, name=name: used.append(name) or made(*a))
    x = RNG.standard_normal(n)
    u = RNG.standard_normal(n)

    def solved(x):
        return ad.fixed_point(f, np.zeros(n), x)

    g = ad.vjp(solved, x)[1](u)[0]
    assert set(used) == {kind}
    z = solved(x)
    J = np.eye(n) - ad.jacfwd(lambda z: f(z, x))(z)
    np.testing.assert_allclose(g, np.linalg.solve(J.T, u), rtol=1e-8, atol=1e-10)  # ∂f/∂x = I


def test_information():
    z, information = ad.root(lambda z, x: x**2 + z**2 - 1, 0.5, 0.6, full_output=True)
    assert z == pytest.approx(0.8)
    assert information.residual < 1e-12
    assert information.condition == pytest.approx(1.0)
    _, loose = ad.root(
        lambda z, x: x**2 + z**2 - 1, 0.5, 0.6, solver=lambda r, z: np.array([0.8 + 1e-4]), full_output=True
    )
    assert 0.5e-4 < loose.error < 2e-4
    assert 0.5e-4 < loose.derivative_error < 3e-4
    with pytest.raises(TypeError, match="full_output=True is for plain arguments"):
        ad.grad(lambda x: ad.root(lambda z, x: z - x, 0.0, x, full_output=True)[0])(1.0)


# ---------------------------------------------------------------------------------------------------
# Fixed points
# ---------------------------------------------------------------------------------------------------


def test_neumann_series():
    """z = M z + b: (I − M)⁻¹ b is the sum of all Mᵏ b."""

    def f(M, b):
        return ad.fixed_point(lambda z, M, b: M @ z + b, np.zeros(4), M, b)

    M = A / 2
    series = sum(np.linalg.matrix_power(M, k) @ X for k in range(80))
    np.testing.assert_allclose(f(M, X), series, rtol=1e-12)
    for argument in (0, 1):
        agrees(f, lambda M, b: np.linalg.solve(np.eye(4) - M, b), M, X, argument=argument)


def layer(z, W, U, b, x):
    return np.tanh(W @ z + U @ x + b)


def test_deep_equilibrium_layer():
    """z = tanh(W z + U x + b), against the layer unrolled to rest."""
    U, b = RNG.standard_normal((4, 4)), RNG.standard_normal(4)

    def f(W, U, b, x):
        return ad.fixed_point(layer, np.zeros(4), W, U, b, x)

    def unrolled(W, U, b, x):
        z = np.zeros(4)
        for _ in range(200):
            z = layer(z, W, U, b, x)
        return z

    for argument in range(4):
        agrees(f, unrolled, A, U, b, X, argument=argument)
    agrees_twice(f, unrolled, A, U, b, X, argument=2)


def test_where_iteration_does_not_contract():
    f = ad.grad(lambda x: ad.fixed_point(lambda z, x: np.array([4 * x - 3 * z[0]]), np.zeros(1), x)[0])
    assert f(2.0) == pytest.approx(1.0)


def test_memory_does_not_grow_with_the_iterations():
    def peak(rate):
        W, x = np.eye(100) * rate, np.ones(100)
        tracemalloc.start()
        ad.grad(lambda W: np.sum(ad.fixed_point(lambda z, W: W @ z + x, np.zeros(100), W)))(W)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(0.1)
    assert peak(0.95) < 1.2 * peak(0.1)


# ---------------------------------------------------------------------------------------------------
# Minima
# ---------------------------------------------------------------------------------------------------


def test_quadratic_argmin():
    Q = np.eye(4) + A @ A.T

    def f(b):
        return ad.minimize(lambda z, b: z @ Q @ z / 2 - b @ z, np.zeros(4), b)

    agrees(f, lambda b: np.linalg.solve(Q, b), X)
    agrees_twice(f, lambda b: np.linalg.solve(Q, b), X)


@pytest.mark.parametrize(
    ("f", "z0", "right"),
    [
        (lambda z, a: (a - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2, [0.0, 0.0], lambda a: np.stack([a, a**2])),
        (lambda z, a: 0.26 * (z @ z) - 0.48 * z[0] * z[1] - a * z[0], [1.0, 2.0],
         lambda a: np.linalg.solve(np.array([[0.52, -0.48], [-0.48, 0.52]]), np.stack([a, 0 * a]))),
        (lambda z, a: (1.5 * a - z[0] + z[0] * z[1]) ** 2 + (2.25 * a - z[0] + z[0] * z[1] ** 2) ** 2
         + (2.625 * a - z[0] + z[0] * z[1] ** 3) ** 2, [2.5, 0.3], lambda a: np.stack([3 * a, 0.5 + 0 * a])),
    ],
    ids=["Rosenbrock", "Matyas", "Beale"],
)  # fmt: skip
def test_test_functions_of_optimisation(f, z0, right):
    agrees(lambda a: ad.minimize(f, np.array(z0), a), right, np.float64(1.0))


def test_least_squares():
    """argmin ‖M z − b‖²: the pseudo-inverse, by M and by b; and a line through points whose noise is not small."""

    def f(M, b):
        return ad.minimize(lambda z, M, b: np.sum((M @ z - b) ** 2), np.zeros(3), M, b)

    M, b = RNG.standard_normal((6, 3)), RNG.standard_normal(6)
    for argument in (0, 1):
        agrees(f, lambda M, b: np.linalg.solve(M.T @ M, M.T @ b), M, b, argument=argument)
    agrees_twice(f, lambda M, b: np.linalg.solve(M.T @ M, M.T @ b), M, b, argument=0)


def test_a_constraint_that_is_no_plane():
    """The point of the unit sphere nearest to a: a/|a|; with the multiplier |a| − 1 the KKT matrix is not that of f."""

    def f(a):
        return ad.minimize(lambda z, a: np.sum((z - a) ** 2), X / 2, a, equality=lambda z, a: z @ z - 1)

    a = X + 0.3
    agrees(f, lambda a: a / np.sqrt(a @ a), a)
    agrees_twice(f, lambda a: a / np.sqrt(a @ a), a)


def test_equality_constraints():
    """The point of a plane nearest to a: a projection."""
    normal = np.array([1.0, 2.0, 2.0, 0.0]) / 3

    def f(a, offset):
        return ad.minimize(lambda z, a, offset: np.sum((z - a) ** 2), np.zeros(4), a, offset,
                           equality=lambda z, a, offset: normal @ z - offset)  # fmt: skip

    def right(a, offset):
        return a - (normal @ a - offset) * normal

    for argument in (0, 1):
        agrees(f, right, X, np.float64(0.7), argument=argument)


# ---------------------------------------------------------------------------------------------------
# Differential equations
# ---------------------------------------------------------------------------------------------------

TIMES = np.array([0.0, 0.3, 1.0])


def exponential(M, terms=30):
    term = total = np.eye(len(M))
    for k in range(1, terms):
        term = term @ M / k
        total = total + term
    return total


def test_linear_ode():
    """y' = M y: y(t) = exp(M t) y0."""

    def f(y0, t, M):
        return ad.odeint(lambda y, t, M: M @ y, y0, t, M)

    def right(y0, t, M):
        return np.stack([exponential(M * (time - t[0])) @ y0 for time in t])

    for argument in (0, 1, 2):
        agrees(f, right, X, TIMES, A, argument=argument)
    agrees_twice(f, right, X, TIMES, A, argument=0, rtol=1e-6)
    agrees_twice(lambda M: f(X, TIMES, M), lambda M: right(X, TIMES, M), A, rtol=1e-6)


def test_backwards_in_time_and_numbers():
    def f(rate):
        return ad.odeint(lambda y, t, rate: -rate * y * t, 1.0, np.array([2.0, 1.0, 0.0]), rate)

    agrees(f, lambda rate: np.exp(-rate * (np.array([2.0, 1.0, 0.0]) ** 2 - 4) / 2), np.float64(0.5))
    assert ad.odeint(lambda y, t: y, 1.0, np.array([0.0])).tolist() == [1.0]


def test_stiff_van_der_pol():
    """μ = 100, over the slow part: reverse agrees with forward, where integrating y backwards would diverge."""

    def f(mu):
        def rate(y, t, mu):
            return np.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])

        times = np.array([0.0, 20.0])
        return ad.odeint(rate, np.array([2.0, 0.0]), times, mu, method="Radau", rtol=1e-8, atol=1e-10)[-1]

    forward = ad.jvp(f, (100.0,), (1.0,))[1]
    np.testing.assert_allclose(ad.jacrev(f)(100.0), forward, rtol=1e-4)
    np.testing.assert_allclose((f(101.0) - f(99.0)) / 2, forward, rtol=1e-3)


def test_lorenz_up_to_a_horizon():
    def f(rho):
        def rate(y, t, rho):
            return np.stack([10 * (y[1] - y[0]), y[0] * (rho - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]])

        return ad.odeint(rate, np.ones(3), np.array([0.0, 2.0]), rho)[-1]

    forward = ad.jvp(f, (28.0,), (1.0,))[1]
    np.testing.assert_allclose(ad.jacrev(f)(28.0), forward, rtol=1e-6)
    np.testing.assert_allclose((f(28.0 + 1e-5) - f(28.0 - 1e-5)) / 2e-5, forward, rtol=1e-5)


def test_implicit_midpoint():
    """A step of the implicit midpoint rule for a pendulum, by `root`, keeps the area of phase space."""

    def step(s, h=0.1):
        def equations(new, s):
            middle = (new + s) / 2
            return new - s - h * np.stack([middle[1], -np.sin(middle[0])])

        return ad.root(equations, np.zeros(2), s)

    s = np.array([0.5, 0.2])
    assert np.linalg.det(ad.jacrev(step)(s)) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(ad.jacrev(step)(s), ad.jacfwd(step)(s), rtol=1e-12)


# ---------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------


def root_of(g, start=1.0, *more, **options):
    return lambda x: ad.root(g, start, x, *more, **options)


def flow_of(f, times=TIMES, **options):
    return lambda x: ad.odeint(f, 1.0, times, x, **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (root_of(lambda z, x: z**2 + x), ad.NotConverged, "no root was found"),
        (root_of(lambda z, x: (z - x) ** 2), ad.SingularJacobian, "bifurcation"),
        (root_of(lambda z, x: (z - 1) * (z - x), 0.9), ad.SingularJacobian, "bifurcation"),
        (root_of(lambda z, x: np.stack([z, z]) - x), ValueError, "2 numbers for 1 unknowns"),
        (root_of(lambda z, x: z - x, linear_solver="magic"), ValueError, "linear_solver='magic'"),
        (root_of(lambda z, x: z - x, 1j), TypeError, "complex128; the unknowns are real"),
        (root_of(lambda z, x, _: z - x, 1.0, 1j), TypeError, "a parameter is complex"),
        (lambda x: ad.fixed_point(lambda z, x: np.stack([z, z]), 1.0, x), ValueError, "must agree in structure"),
        (lambda x: ad.fixed_point(lambda z, x: z**2 + 1 + x, 1.0, x), ad.NotConverged, "came to rest"),
        (lambda x: ad.minimize(lambda z, x: np.cos(z) * x, 0.0, x), ad.NotConverged, "no minimum"),
        (flow_of(lambda y, t, x: x, TIMES[[0, 2, 1]]), ValueError, "rise or that fall"),
        (flow_of(lambda y, t, x: x, method="Euler"), ValueError, "method='Euler'"),
        (flow_of(lambda y, t, x: x * y**2, TIMES * 9), ad.NotConverged, "gave up at t ="),
        (flow_of(lambda y, t, x: np.stack([x, x])), ValueError, "they must agree"),
    ],
)
def test_errors(call, error, message):
    with np.errstate(all="ignore"), pytest.raises(error, match=message):
        ad.grad(lambda x: np.sum(call(x)))(1.0)


@pytest.mark.parametrize("solver", LINEAR[3:], ids=["gmres", "own"])
def test_ill_conditioned_without_a_matrix(solver):
    """A bound from below by the products made: it judges like the estimate of a factorisation."""
    D = np.array([1.0, 2.0, 1e-13, 4.0])

    def solved(x):
        return ad.root(lambda z, x: D * (z - x), np.zeros(4), x, linear_solver=solver)

    with pytest.warns(ad.IllConditioned, match=r"condition number of about 4\.0e\+13"):
        ad.jacrev(solved)(np.ones(4))
    _, information = ad.root(
        lambda z, x: (D + 1) * (z - x),
        np.zeros(4),
        np.array([0.0, 0.0, 1.0, 0.0]),
        linear_solver=solver,
        full_output=True,
    )
    assert 1 <= information.condition <= 5 * (1 + 1e-12)


def test_gmres_that_fails_says_the_condition():
    singular = np.ones((400, 400))
    with pytest.raises((ad.NotConverged, ad.SingularJacobian), match="condition number") as caught:
        ad.jacrev(lambda x: ad.root(lambda z, x: singular @ (z - x), np.ones(400), x, linear_solver="gmres"))(
            np.ones(400)
        )
    assert float(re.search(r"condition number[^0-9]*([0-9.e+]+|inf)", str(caught.value))[1].rstrip(".")) > 1e12


def test_ill_conditioned():
    with pytest.warns(ad.IllConditioned, match=r"condition number of about 1\.0e\+13"):
        ad.jacrev(lambda x: ad.root(lambda z, x: np.array([1.0, 1e-13]) * (z - x), np.zeros(2), x))(np.ones(2))


# ---------------------------------------------------------------------------------------------------
# Parameters are taken by value, as arguments of transforms are
# ---------------------------------------------------------------------------------------------------


def _residual(z, a, b):
    b *= 2
    r = z - a[0] * b[0]
    a += 1
    return r


def _contraction(z, a, b):
    b *= 0.5
    z = z * 0.5 + a[0] * b[0]
    a += 1
    return z


def _objective(z, a, b):
    b += 1
    y = np.sum((z - a[:2] * b[:2]) ** 2)
    a *= 2
    z *= 0
    return y


def _constraint(z, a, b):
    b += 1
    return z[0] + z[1] - b[0]


def _rate(y, t, a, b):
    b *= -1
    y *= a[0] * b[0]
    a += 1
    return y


T = np.array([0.0, 1.0])
TAKES = {
    "root": (lambda g, a, b: ad.root(g, 0.3, a, b), _residual),
    "fixed_point": (lambda f, a, b: ad.fixed_point(f, 0.3, a, b), _contraction),
    "minimize": (lambda f, a, b: ad.minimize(f, np.zeros(2), a, b), _objective),
    "odeint": (lambda f, a, b: ad.odeint(f, 1.0, T, a, b), _rate),
}
WAYS_OF_ALL = {
    "plain": lambda f, a, b: f(a, b),
    "forward": lambda f, a, b: ad.jacfwd(lambda c: f(np.concatenate([c, a[3:]]), b))(a[:3]),
    "reverse": lambda f, a, b: ad.jacrev(f)(a, b),
    "of both": lambda f, a, b: ad.jacrev(f, argnums=(0, 1))(a, b)[1],
}


@pytest.mark.parametrize("size", [3, 5000])  # a copy is lent, or a view that cannot be written to
@pytest.mark.parametrize("way", WAYS_OF_ALL)
@pytest.mark.parametrize("name", [*TAKES, "constrained"])
def test_what_a_function_writes_to_its_parameters_stays_in_it(name, way, size):
    take, changing = TAKES[name if name in TAKES else "minimize"]
    copying = lambda *args: changing(*(np.array(x) if isinstance(x, float) else x * 1.0 for x in args))  # noqa: E731
    if name == "constrained":

        def take(f, a, b):
            other = _constraint if f is changing else lambda z, a, b: _constraint(z, a, b * 1.0)
            return ad.minimize(f, np.zeros(2), a, b, equality=other)

    a, b = np.ones(size), np.full(size, 0.5)
    for _ in range(2):
        found = WAYS_OF_ALL[way](lambda a, b: take(changing, a, b), a, b)
        assert np.array_equal(a, np.ones(size))
        assert np.array_equal(b, np.full(size, 0.5))
        np.testing.assert_allclose(found, WAYS_OF_ALL[way](lambda a, b: take(copying, a, b), a, b), rtol=1e-8)


def _moved(z, p):
    z *= 0.5
    z += p * np.cos(z)
    return z


def test_a_function_may_store_traced_values_in_the_unknowns_and_the_state():
    """They are its own, by value."""
    p = np.array([0.1, 0.2])
    takes = [
        lambda f: lambda p: ad.fixed_point(f, np.zeros(2), p),
        lambda f: lambda p: ad.root(f, np.ones(2), p),
        lambda f: lambda p: ad.minimize(lambda z, p: np.sum((f(z, p) - p) ** 2), np.ones(2), p),
        lambda f: lambda p: ad.odeint(lambda y, t, p: f(y, p), np.ones(2), T, p)[-1],
    ]
    for take in takes:
        g, right = take(_moved), take(lambda z, p: 0.5 * z + p * np.cos(0.5 * z))
        for way in (ad.jacfwd, ad.jacrev, lambda g: ad.compile(ad.jacrev(g))):
            np.testing.assert_allclose(way(g)(p), ad.jacfwd(right)(p), rtol=1e-6, atol=1e-8)
