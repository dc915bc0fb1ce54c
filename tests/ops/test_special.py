"""scipy.special: every ufunc is in a class, limits and far ends are right, and what has no derivative says so by name.

The checks that every row of the registry passes (test_ops.py) are not repeated here, but for those set apart.
"""

import math

import numpy as np
import pytest
import scipy.special as sc

from admodes import grad, hessian, jacfwd, jacrev, jvp, special, vjp
from admodes.core import registry
from admodes.core.domain import Apart, uniform
from admodes.core.errors import MissingRule
from admodes.core.registry import OPS, UNKNOWN, Elementwise, Passive, Refused

registry.lookup(sc.gamma)

UFUNCS = {name: fn for name, fn in vars(sc).items() if isinstance(fn, np.ufunc)}


def derivatives(f, x, order):
    """f, f′, … f⁽ᵒ⁾ at a number, by nesting forward mode."""
    found = [f]
    for _ in range(order):
        found.append(lambda x, f=found[-1]: jvp(f, (x,), (1.0,))[1])
    return [g(x) for g in found]


# ---------------------------------------------------------------------------------------------------
# Classes
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UFUNCS)
def test_every_ufunc_is_in_a_class(name):
    op = OPS.get(UFUNCS[name])
    assert op is not None, f"scipy.special.{name} is in no class: give it a row in ops/special"
    assert isinstance(op, Passive) == (name in ("gammasgn", "round"))


def test_most_ufuncs_are_differentiable():
    refused = [name for name, fn in UFUNCS.items() if isinstance(OPS[fn], Refused)]
    assert len(UFUNCS) - len(refused) >= 200


def unknown_arguments():
    for name, fn in UFUNCS.items():
        op = OPS[fn]
        if isinstance(op, Elementwise):
            # SciPy itself refuses floating numbers elsewhere.
            floating = [any(loop[i] == "d" for loop in fn.types) for i in range(fn.nin)]
            yield from ((name, i) for i, p in enumerate(op.partials) if p is UNKNOWN and floating[i])


@pytest.mark.filterwarnings("ignore:non-integer arg n:DeprecationWarning")
@pytest.mark.parametrize(("name", "i"), list(unknown_arguments()))
def test_unknown_arguments_raise_by_name(name, i):
    """In both modes, never a gradient of zero."""
    fn = UFUNCS[name]
    args = [1] * fn.nin

    def f(x):
        return np.real(fn(*args[:i], x, *args[i + 1 :]))

    with np.errstate(all="ignore"):
        for derivative in (lambda: jvp(f, (2.0,), (1.0,)), lambda: grad(f)(2.0)):
            with pytest.raises(MissingRule, match=rf"special\.{fn.__name__} .*argument {i}"):
                derivative()


@pytest.mark.parametrize("name", [name for name, fn in UFUNCS.items() if isinstance(OPS[fn], Refused)])
def test_refused_functions_raise_by_name(name):
    fn = UFUNCS[name]
    for i in range(fn.nin):
        with pytest.raises(MissingRule, match=rf"special\.{name} "):
            grad(lambda x: fn(*[x if i == k else 0.5 for k in range(fn.nin)]))(0.5)


@pytest.mark.parametrize("name", ["jve", "yve", "ive"])
def test_functions_that_are_not_analytic_refuse_complex_arguments(name):
    def f(z):
        return np.real(UFUNCS[name](1, z))

    with pytest.raises(MissingRule, match=f"{name} .*not analytic"):
        grad(f)(1 + 1j)


def test_unknown_argument_is_fine_as_a_constant():
    np.testing.assert_allclose(grad(lambda x: sc.jv(2.5, x))(1.0), sc.jvp(2.5, 1.0))


def test_derivative_zero():
    assert grad(lambda x: sc.gammasgn(x) * x)(-0.5) == -1
    np.testing.assert_array_equal(jacfwd(sc.round)(np.array([1.2, 2.7])), np.zeros((2, 2)))


# ---------------------------------------------------------------------------------------------------
# Rows set apart: SciPy's values have few digits, so differences take a long step
# ---------------------------------------------------------------------------------------------------

APART = {op.name: op for op in OPS.values() if isinstance(op.domain, Apart)}
DIGITS = {"special.itairy": 1e-3, "special.ncfdtrinc": 5e-3}


@pytest.mark.parametrize("name", APART)
def test_rows_apart(name):
    op = APART[name]
    rng = np.random.default_rng(3)
    args = [rng.choice(w, 5) if np.ndim(w) == 1 else uniform(rng, (5,), w) for w in op.domain]
    for i, within in enumerate(op.domain):
        if np.ndim(within) == 1:
            continue

        def f(x):
            return np.stack(np.atleast_2d(*[op.fn(*args[:i], x, *args[i + 1 :])]))

        y, t = jvp(f, (args[i],), (np.ones(5),))
        expected = (f(args[i] + 1e-3) - f(args[i] - 1e-3)) / 2e-3
        np.testing.assert_allclose(t, expected, rtol=DIGITS[name], atol=DIGITS[name])
        u = rng.normal(size=y.shape)
        np.testing.assert_allclose(vjp(f, args[i])[1](u)[0], np.sum(u * t, axis=0), rtol=1e-12)


# ---------------------------------------------------------------------------------------------------
# Limits and far ends
# ---------------------------------------------------------------------------------------------------

TAYLOR = {  # f⁽ᵏ⁾(x₀): what the series of the function say, at points where the closed forms are 0/0
    "i0": (np.i0, 0.0, [1, 0, 1 / 2, 0, 3 / 8]),
    "special.i0": (sc.i0, 0.0, [1, 0, 1 / 2, 0, 3 / 8]),
    "i1": (sc.i1, 0.0, [0, 1 / 2, 0, 3 / 8]),
    "j0": (sc.j0, 0.0, [1, 0, -1 / 2, 0, 3 / 8]),
    "j1": (sc.j1, 0.0, [0, 1 / 2, 0, -3 / 8]),
    "sinc": (np.sinc, 0.0, [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5]),
    "exprel": (sc.exprel, 0.0, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    "spence": (sc.spence, 1.0, [0, -1, 1 / 2, -2 / 3, 3 / 2]),
    "rgamma at a pole of gamma": (sc.rgamma, -2.0, [0, 2, 2 * 2 * (np.euler_gamma - 1.5)]),
    "ellipk": (sc.ellipk, 0.0, [np.pi / 2, np.pi / 8, np.pi / 2 * 9 / 32]),
    "ellipe": (sc.ellipe, 0.0, [np.pi / 2, -np.pi / 8, -np.pi / 2 * 3 / 32]),
    "Si": (lambda x: sc.sici(x)[0], 0.0, [0, 1, 0, -1 / 3, 0]),
    "Shi": (lambda x: sc.shichi(x)[0], 0.0, [0, 1, 0, 1 / 3, 0]),
    "bei": (sc.bei, 0.0, [0, 0, 1 / 2, 0, 0]),
    "ber": (sc.ber, 0.0, [1, 0, 0, 0, -3 / 8]),
    "lambertw": (lambda x: np.real(sc.lambertw(x)), 0.0, [0, 1, -2, 9]),
    "boxcox by its power": (lambda a: sc.boxcox(2.0, a), 0.0, [math.log(2) ** (k + 1) / (k + 1) for k in range(4)]),
    "inv_boxcox by its power": (lambda a: sc.inv_boxcox(0.5, a), 0.0, [math.exp(0.5), -math.exp(0.5) / 8]),
    "expit": (sc.expit, 0.0, [1 / 2, 1 / 4, 0, -1 / 8]),
    "airy": (lambda x: sc.airy(x)[0], 0.0, [0.355028053887817239, -0.258819403792806798, 0, 0.355028053887817239]),
    "∂F/∂m at m = 0": (lambda m: sc.ellipkinc(1.0, m), 0.0, [1, (1 - math.sin(2) / 2) / 4]),
    "∂E/∂m at m = 0": (lambda m: sc.ellipeinc(4.0, m), 0.0, [4, -(4 - math.sin(8) / 2) / 4]),
    "agm of equals": (lambda a: sc.agm(a, 2.0), 2.0, [2, 1 / 2, -1 / 16]),
    "elliprf of equals": (lambda a: sc.elliprf(a, 4.0, 4.0), 4.0, [1 / 2, -1 / 48, 3 / 640]),
    "eval_legendre at 1": (lambda x: sc.eval_legendre(3, x), 1.0, [1, 6, 15]),
    "degree 0": (lambda x: sc.eval_hermite(0, x) + sc.eval_jacobi(0, 1.0, 1.0, x), 0.3, [2, 0, 0]),
    "kolmogorov": (sc.kolmogorov, 1.0, [sc.kolmogorov(1.0), -1.071948558356941]),
    "xlogy of zeros": (lambda y: sc.xlogy(0.0, y), 0.0, [0, 0]),
    "gammainc(1, x)": (lambda x: sc.gammainc(1.0, x), 0.0, [0, 1]),
}


@pytest.mark.parametrize("name", TAYLOR)
def test_where_closed_forms_are_zero_by_zero(name):
    f, x, expected = TAYLOR[name]
    with np.errstate(divide="ignore", invalid="ignore"):  # Ci and Chi, which come with Si and Shi, have a pole at 0
        found = derivatives(f, x, len(expected) - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


FAR = {  # f′/expected = 1: where the usual closed form has lost its digits
    "erfcx": (sc.erfcx, 1e6, -1 / (math.sqrt(math.pi) * 1e12)),
    "dawsn": (sc.dawsn, -1e6, -1 / 2e12),
    "wofz": (lambda x: np.imag(sc.wofz(x)), 1e6, -1 / (math.sqrt(math.pi) * 1e12)),
    "log_ndtr, left": (sc.log_ndtr, -1e5, 1e5 + 1e-5),
    "log_ndtr, right": (sc.log_ndtr, 10.0, math.exp(-50) / math.sqrt(2 * math.pi)),
    "ndtri_exp": (lambda y: sc.ndtri_exp(y), -1e8, 1 / math.sqrt(2e8)),
    "expit": (sc.expit, 50.0, math.exp(-50)),
    "log_expit": (sc.log_expit, -800.0, 1.0),
    "pseudo_huber by δ": (lambda d: sc.pseudo_huber(d, 1e-3), 1.0, 2.5e-13),
}


@pytest.mark.parametrize("name", FAR)
def test_far_ends_keep_their_digits(name):
    f, x, expected = FAR[name]
    np.testing.assert_allclose(grad(f)(x), expected, rtol=2e-6)


@pytest.mark.parametrize("x", [19.99, 20.01])
def test_series_meets_the_closed_form(x):
    """To second order, on both sides of where one takes over from the other: y″ = 2y + 2x y′ and its like."""
    y, first, second = derivatives(sc.erfcx, x, 2)
    np.testing.assert_allclose(second, 2 * y + 2 * x * first, rtol=1e-7)
    y, first, second = derivatives(sc.dawsn, x, 2)
    np.testing.assert_allclose(second, -2 * y - 2 * x * first, rtol=1e-7)


def test_complex_trigamma():
    """ψ′(1 + i) (A&S table 6.8 gives ψ only; ψ′ by its series), and the reflection formula on the left."""
    z = 1 + 1j
    k = np.arange(200000)
    tail = 1 / (z + k.size - 0.5)  # midpoint rule from the last term on
    np.testing.assert_allclose(jvp(sc.psi, (z,), (1 + 0j,))[1], np.sum(1 / (z + k) ** 2) + tail, rtol=1e-10)
    z = -3.3 + 0.2j
    both = jvp(sc.psi, (z,), (1 + 0j,))[1] + jvp(sc.psi, (1 - z,), (1 + 0j,))[1]
    np.testing.assert_allclose(both, (np.pi / np.sin(np.pi * z)) ** 2, rtol=1e-12)


def test_elliptic_integrals_beyond_a_quarter_period():
    """Around the |m| = 0.1 where the quadrature ends, for angles of several periods and both signs."""
    for phi in (-7.0, -1.0, 2.0, 11.0):
        for m in (-0.1001, -0.0999, 0.0, 0.0999, 0.1001, 0.7):
            for f in (sc.ellipkinc, sc.ellipeinc):
                h = 1e-4
                expected = (8 * (f(phi, m + h) - f(phi, m - h)) - (f(phi, m + 2 * h) - f(phi, m - 2 * h))) / (12 * h)
                np.testing.assert_allclose(grad(lambda m: f(phi, m))(m), expected, rtol=1e-9)


def test_support_of_the_tukey_lambda_distribution():
    """Beyond ±1/λ the distribution function is constant."""
    np.testing.assert_array_equal([grad(lambda x: sc.tklmbda(x, 2.0))(x) for x in (-0.7, 0.7)], 0)


def test_binomial_at_certainty():
    assert grad(lambda p: sc.bdtr(3, 3, p))(0.4) == 0


# ---------------------------------------------------------------------------------------------------
# admodes.special
# ---------------------------------------------------------------------------------------------------

a = np.array([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7]])
b = np.array([[1.0, 0.5, 0.0], [2.0, 0.1, 3.0]])
OPTIONS = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}, {"b": b, "axis": 1}, {"b": b[1]}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_logsumexp_is_scipys(options):
    np.testing.assert_allclose(special.logsumexp(a, **options), sc.logsumexp(a, **options), rtol=1e-14)

    def f(a):
        return np.sum(np.sin(special.logsumexp(a, **options)))

    admodes_gradient = grad(f)(a)
    h = 1e-5
    differences = np.array([(f(a + h * e.reshape(2, 3)) - f(a - h * e.reshape(2, 3))) / (2 * h) for e in np.eye(6)])
    np.testing.assert_allclose(admodes_gradient, differences.reshape(2, 3), atol=1e-9)
    np.testing.assert_allclose(jacfwd(f)(a), admodes_gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(hessian(f)(a), jacfwd(jacfwd(f))(a), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "x", [[], [-np.inf, -np.inf], [np.inf, 0.0], [1000.0, 1000.0], [-2000.0], 3.0, [1, 2]], ids=str
)
def test_logsumexp_at_the_edges(x):
    np.testing.assert_array_equal(special.logsumexp(x), sc.logsumexp(x))


def test_logsumexp_with_a_sign():
    for weights in ([1.0, -3.0, 1.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]):
        got = special.logsumexp(np.zeros(3), b=weights, return_sign=True)
        np.testing.assert_allclose(got, sc.logsumexp(np.zeros(3), b=weights, return_sign=True), atol=1e-15)
    assert np.isnan(special.logsumexp(np.zeros(2), b=[1.0, -2.0]))
    g = grad(lambda a: special.logsumexp(a, b=np.array([1.0, -3.0]), return_sign=True)[0])(np.zeros(2))
    np.testing.assert_allclose(g, [-0.5, 1.5])


def test_logsumexp_by_its_weights():
    """∂/∂b_j = e^(a_j)/Σ b e^a, where b_j = 0 too; a weightless term may be as large as it likes."""
    weights = np.array([0.0, 1.0, 1.0])
    np.testing.assert_allclose(grad(lambda b: special.logsumexp(np.zeros(3), b=b))(weights), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(special.logsumexp([2000.0, 1.0, 1.0], b=weights), 1 + math.log(2))
    g = grad(lambda a: special.logsumexp(a, b=weights))(np.array([2000.0, 1.0, 1.0]))
    np.testing.assert_allclose(g, [0, 0.5, 0.5])


def test_elements_of_probability_zero():
    x = np.array([0.0, -np.inf, 0.0])
    np.testing.assert_array_equal(grad(special.logsumexp)(x), [0.5, 0, 0.5])
    np.testing.assert_array_equal(grad(special.logsumexp)(np.full(2, -np.inf)), [0, 0])
    assert np.isfinite(hessian(special.logsumexp)(x)).all()
    np.testing.assert_allclose(jacrev(special.softmax)(x), [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]])
    assert np.isfinite(jacrev(special.log_softmax)(x)).all()


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_is_scipys(name, axis):
    f, theirs = getattr(special, name), getattr(sc, name)
    np.testing.assert_allclose(f(a, axis), theirs(a, axis), rtol=1e-14)
    assert f(a.astype(np.float32), axis).dtype == np.float32
    J, h = jacrev(lambda a: f(a, axis))(a), 1e-5
    steps = h * np.eye(6).reshape(6, 2, 3)
    differences = [(theirs(a + step, axis) - theirs(a - step, axis)) / (2 * h) for step in steps]
    np.testing.assert_allclose(J, np.moveaxis(differences, 0, -1).reshape(2, 3, 2, 3), atol=1e-9)
    np.testing.assert_allclose(jacfwd(lambda a: f(a, axis))(a), J, atol=1e-15)


def test_polygamma_multigammaln_softplus():
    x = np.array([0.5, 1.5, 4.0])
    for n in (0, 1, 3, np.array([0, 1, 2])):
        np.testing.assert_allclose(special.polygamma(n, x), sc.polygamma(n, x), rtol=1e-14)
        expected = np.diag(sc.polygamma(np.add(n, 1), x))
        np.testing.assert_allclose(jacfwd(lambda x: special.polygamma(n, x))(x), expected, rtol=1e-12)
    np.testing.assert_allclose(special.multigammaln(x + 2, 3), sc.multigammaln(x + 2, 3))
    np.testing.assert_allclose(grad(lambda a: special.multigammaln(a, 2))(2.0), sc.psi(2.0) + sc.psi(1.5))
    np.testing.assert_allclose(grad(special.softplus)(0.3), sc.expit(0.3))
    with pytest.raises(ValueError, match="every a must exceed"):
        special.multigammaln(0.5, 2)
    with pytest.raises(ValueError, match=r"d is 1\.5"):
        special.multigammaln(3.0, 1.5)
    with pytest.raises(TypeError, match="complex"):
        special.logsumexp(np.array([1j]))


@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("name", ["jn", "yn", "in", "kn"])
def test_spherical_bessel_functions(name, derivative):
    f, theirs = getattr(special, f"spherical_{name}"), getattr(sc, f"spherical_{name}")
    x = np.array([0.5, 2.0]) if name == "kn" else np.array([-2.0, -0.5, 0.5, 2.0])
    for n in (0, 1, 4):
        np.testing.assert_allclose(f(n, x, derivative), theirs(n, x, derivative), rtol=1e-13)
        np.testing.assert_allclose(f(n, x + 1j, derivative), theirs(n, x + 1j, derivative), rtol=1e-13)
        h = 1e-5
        slope = (theirs(n, x + h, derivative) - theirs(n, x - h, derivative)) / (2 * h)
        np.testing.assert_allclose(np.diag(jacrev(lambda x: f(n, x, derivative))(x)), slope, rtol=1e-7)


def test_public_wrappings_of_ufuncs_differentiate():
    """zeta and lambertw are Python functions around ufuncs; they let traced values through."""
    np.testing.assert_allclose(grad(lambda q: sc.zeta(2.0, q))(1.5), -2 * sc.zeta(3.0, 1.5))
    w = sc.lambertw(0.7)
    np.testing.assert_allclose(grad(lambda x: np.real(sc.lambertw(x)))(0.7), (np.exp(-w) / (1 + w)).real)
    with pytest.raises(MissingRule, match="zeta"):
        grad(lambda s: sc.zeta(s))(2.0)
