"""Operations of a user's own: `custom_op` and `register`, by each way to state a derivative."""

import math

import numpy as np
import pytest

import admodes
from admodes import custom_op, grad, hessian, jacfwd, jacrev, jvp, register, vjp
from admodes.core.registry import OPS
from admodes.program import cost

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(2, 3)), rng.normal(size=3)
NESTINGS = ["forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"]


def plain(fn):
    """fn, refusing anything but plain arrays: an operation's own code never sees traced values."""

    def checked(*args, **params):
        assert all(type(a) in (np.ndarray, np.float64, np.float32, float) for a in args)
        return fn(*args, **params)

    return checked


def agrees(op, like, *args):
    """Values, both modes, K directions and second order of an operation against those of a function in NumPy."""
    np.testing.assert_allclose(op(*args), like(*args), rtol=1e-14)
    for i, x in enumerate(args):
        for jac in (jacfwd, jacrev):
            expected = jac(like, argnums=i)(*args)
            for chunk in (None, 1, 2):
                np.testing.assert_allclose(jac(op, argnums=i, chunk=chunk)(*args), expected, rtol=1e-12, atol=1e-14)
        for mode in NESTINGS:
            np.testing.assert_allclose(
                hessian(lambda *a: np.sum(np.sin(op(*a))), argnums=i, mode=mode)(*args),
                hessian(lambda *a: np.sum(np.sin(like(*a))), argnums=i, mode=mode)(*args),
                rtol=1e-11,
                atol=1e-13,
            )
        T = rng.normal(size=(4, *np.shape(x)))
        tangents = [np.zeros((4, *np.shape(a))) for a in args]
        tangents[i] = T
        pushed = jvp(op, args, tuple(tangents))[1]
        np.testing.assert_allclose(pushed, jvp(like, args, tuple(tangents))[1], rtol=1e-12, atol=1e-14)


# By a partial -------------------------------------------------------------------------------------------


def test_partial():
    agrees(custom_op(plain(np.sin), partial=lambda y, x: np.cos(x)), np.sin, X)
    agrees(custom_op(plain(np.exp), partial=lambda y, x: y), np.exp, X)  # of the result


def test_partial_that_is_a_number():
    agrees(custom_op(plain(lambda x: 3.0 * x), partial=3.0), lambda x: 3.0 * x, X)


def test_partials_of_several_arguments_that_broadcast():
    op = custom_op(plain(lambda a, b: a * b * b), partial=[lambda y, a, b: b * b, lambda y, a, b: 2 * a * b])
    agrees(op, lambda a, b: a * b * b, X, Y)
    agrees(op, lambda a, b: a * b * b, Y, X)
    agrees(op, lambda a, b: a * b * b, X, np.float64(0.7))


def test_partial_none_means_derivative_zero():
    op = custom_op(lambda a, b: a * np.sign(b), partial=[lambda y, a, b: np.sign(b), None])
    ga, gb = grad(lambda a, b: np.sum(op(a, b)), argnums=(0, 1))(Y, Y + 5)
    np.testing.assert_array_equal(ga, np.ones(3))
    np.testing.assert_array_equal(gb, np.zeros(3))
    np.testing.assert_array_equal(jvp(lambda b: op(Y, b), (Y,), (Y,))[1], np.zeros(3))


def test_what_is_stated_is_what_is_used():
    op = custom_op(np.sin, partial=7.0)
    assert grad(op)(1.0) == 7
    assert jvp(op, (1.0,), (2.0,))[1] == 14


def test_function_that_is_no_numpy():
    """math.erf knows nothing of arrays or tracers."""
    erf = custom_op(lambda x: np.vectorize(math.erf)(x), partial=lambda y, x: 2 / np.sqrt(np.pi) * np.exp(-(x * x)))
    np.testing.assert_allclose(grad(lambda x: np.sum(erf(x)))(Y), 2 / np.sqrt(np.pi) * np.exp(-(Y**2)), rtol=1e-14)
    np.testing.assert_allclose(
        hessian(lambda x: np.sum(erf(x)))(Y), np.diag(-4 * Y / np.sqrt(np.pi) * np.exp(-(Y**2))), rtol=1e-13, atol=1e-16
    )


# By a transpose -----------------------------------------------------------------------------------------


def test_transpose():
    op = custom_op(
        plain(lambda x: np.cumsum(x, axis=-1)), transpose=lambda u, x: np.flip(np.cumsum(np.flip(u, -1), -1), -1)
    )
    agrees(op, lambda x: np.cumsum(x, axis=-1), X)


def test_transpose_with_parameters():
    op = custom_op(lambda x, k: k * x[::-1], transpose=lambda u, x, k: k * u[::-1])
    agrees(lambda x: op(x, 3.0), lambda x: 3.0 * x[::-1], Y)
    by_name = custom_op(lambda x, *, k: k * x[::-1], transpose=lambda u, x, *, k: k * u[::-1])
    agrees(lambda x: by_name(x, k=3.0), lambda x: 3.0 * x[::-1], Y)


def test_transpose_that_changes_the_shape_and_works_on_k_at_once():
    A = rng.normal(size=(4, 3))
    seen = []

    def transpose(u, x):
        seen.append(u.ndim)
        return u @ A

    op = custom_op(plain(lambda x: x @ A.T), transpose=transpose, batched=True)
    agrees(op, lambda x: x @ A.T, Y)
    assert 2 in seen  # K directions in one call


# By a push ----------------------------------------------------------------------------------------------


def test_push():
    op = custom_op(plain(np.linalg.inv), push=lambda t, y, a: -y @ t @ y)
    agrees(op, np.linalg.inv, rng.normal(size=(3, 3)) + 3 * np.eye(3))


def test_push_is_called_a_direction_at_a_time_unless_batched():
    seen = []

    def push(t, y, x):
        seen.append(np.shape(t))
        return 2 * x * t

    for batched, shapes in ((False, [(3,)] * 5), (True, [(5, 3)])):
        op = custom_op(lambda x: x * x, push=push, batched=batched)
        jvp(op, (Y,), (Y,))  # the first use, when it is tried for being linear
        seen.clear()
        np.testing.assert_allclose(jvp(op, (Y,), (np.ones((5, 3)),))[1], np.tile(2 * Y, (5, 1)))
        assert seen == shapes
        agrees(op, lambda x: x * x, Y)


def test_pushes_of_several_arguments():
    op = custom_op(plain(np.matmul), push=[lambda t, y, a, b: t @ b, lambda t, y, a, b: a @ t])
    agrees(op, np.matmul, rng.normal(size=(2, 3)), rng.normal(size=(3, 4)))
    only_first = custom_op(plain(np.matmul), push=[lambda t, y, a, b: t @ b, None])
    np.testing.assert_array_equal(grad(lambda b: np.sum(only_first(X, b)))(np.ones((3, 2))), np.zeros((3, 2)))


def test_pull_is_the_transpose_of_the_push_stated():
    """⟨u, J t⟩ = ⟨Jᵀ u, t⟩ for a push that is no gradient of anything."""
    M = rng.normal(size=(3, 3))
    op = custom_op(lambda x: x**2, push=lambda t, y, x: M @ t)
    t, u = rng.normal(size=3), rng.normal(size=3)
    assert u @ jvp(op, (Y,), (t,))[1] == pytest.approx(vjp(op, Y)[1](u)[0] @ t, rel=1e-13)


# As a composite -----------------------------------------------------------------------------------------


def test_composite():
    op = custom_op(lambda x: np.log1p(np.exp(x)), composite=lambda x: np.logaddexp(0.0, x))
    agrees(op, lambda x: np.logaddexp(0.0, x), X)


def test_composite_of_two_arguments_and_a_parameter():
    op = custom_op(lambda a, b, n=2: (a * b) ** n, composite=lambda a, b, n=2: (a * b) ** n)
    agrees(op, lambda a, b: (a * b) ** 2, X, Y)
    agrees(lambda a: op(a, Y, n=3), lambda a: (a * Y) ** 3, X)


# The decorator, the function and its count ----------------------------------------------------------------


def test_decorator():
    @custom_op(partial=lambda y, x: 2 * x)
    def square(x):
        """x²"""
        return x * x

    assert square.__name__ == "square"
    assert square.__doc__ == "x²"
    assert square(3.0) == 9
    assert grad(square)(3.0) == 6
    agrees(square, np.square, X)


def test_nested_levels():
    op = custom_op(lambda x: x**3, partial=lambda y, x: 3 * x * x)
    assert grad(grad(grad(op)))(2.0) == 6
    assert jvp(lambda x: grad(op)(x), (2.0,), (1.0,))[1] == 12
    assert grad(lambda x: jvp(op, (x,), (1.0,))[1])(2.0) == 12


def test_lists_of_traced_scalars_reach_it():
    op = custom_op(plain(lambda x: x**2), partial=lambda y, x: 2 * x)
    np.testing.assert_allclose(
        jacrev(lambda x: op(np.array([x[0], x[0] * x[1]])))(np.array([2.0, 3.0])), [[4, 0], [36, 24]]
    )


def test_flops_are_counted():
    op = custom_op(lambda x: np.exp(x), partial=lambda y, x: y, flops=12.0)
    assert cost(op, np.ones(5)).flops == 60


def test_float32_stays():
    op = custom_op(lambda x: np.sin(x), partial=lambda y, x: np.cos(x).astype(np.float64))
    x = X.astype(np.float32)
    assert jvp(op, (x,), (x,))[1].dtype == np.float32
    assert vjp(op, x)[1](x)[0].dtype == np.float32


# register -----------------------------------------------------------------------------------------------


@pytest.fixture
def cbrt():
    """np.cbrt without its row, which is put back at the end."""
    row = OPS.pop(np.cbrt)
    yield np.cbrt
    OPS[np.cbrt] = row


def test_register_a_ufunc(cbrt):
    for run in (lambda: grad(cbrt)(8.0), lambda: jvp(cbrt, (8.0,), (1.0,))):
        with pytest.raises(admodes.errors.MissingRule, match=r"np\.cbrt .*admodes\.register\(np\.cbrt"):
            run()
    register(cbrt, partial=lambda y, x: 1 / (3 * y * y))
    assert grad(cbrt)(8.0) == pytest.approx(1 / 12)
    agrees(cbrt, lambda x: x ** (1 / 3), np.abs(X) + 0.1)


@pytest.mark.parametrize(
    ("rule", "slope"),
    [
        ({"push": lambda t, y, x: t / (3 * y * y)}, 1 / 12),
        ({"composite": lambda x: x ** (1 / 3)}, 1 / 12),
    ],
    ids=["push", "composite"],
)
def test_register_by_the_other_ways(cbrt, rule, slope):
    register(cbrt, **rule)
    assert grad(cbrt)(8.0) == pytest.approx(slope)
    assert jvp(cbrt, (8.0,), (1.0,))[1] == pytest.approx(slope)


def test_register_by_a_transpose(cbrt):
    register(cbrt, transpose=lambda u, x: 5 * u)  # of a function that is not linear
    with pytest.raises(ValueError, match="register cbrt: transpose= is not the transpose"):
        grad(cbrt)(8.0)


def test_register_a_function_of_numpy_that_is_no_ufunc():
    row = OPS.pop(np.trapezoid, None)
    try:
        register(np.trapezoid, push=lambda t, y, a: np.sum(t[1:] + t[:-1]) / 2)
        np.testing.assert_array_equal(grad(lambda x: np.trapezoid(x))(np.ones(4)), [0.5, 1, 1, 0.5])
    finally:
        OPS.pop(np.trapezoid)
        if row is not None:
            OPS[np.trapezoid] = row


# Errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "got"),
    [({}, "none"), ({"partial": 1.0, "push": lambda t, y, x: t}, "partial, push")],
)
def test_exactly_one_way(rules, got):
    with pytest.raises(TypeError, match=rf"custom_op: state the derivative of sin in exactly one way.* got {got}"):
        custom_op(np.sin, **rules)
    with pytest.raises(TypeError, match=rf"register: .* in exactly one way.* got {got}"):
        register(np.sin, **rules)
    assert OPS[np.sin].name == "sin"


def test_register_refuses_what_does_not_dispatch():
    def mine(x):
        return x

    with pytest.raises(TypeError, match=r"'mine' is neither a ufunc nor .*custom_op"):
        register(mine, partial=1.0)
    with pytest.raises(TypeError, match="custom_op"):
        register(math.sin, partial=1.0)


def test_a_traced_argument_without_a_stated_derivative():
    op = custom_op(lambda a, b: a * b, push=lambda t, y, a, b: t * b)
    np.testing.assert_array_equal(grad(lambda a: np.sum(op(a, Y)))(Y), Y)
    for run in (lambda: grad(lambda b: np.sum(op(Y, b)))(Y), lambda: jvp(lambda b: op(Y, b), (Y,), (Y,))):
        with pytest.raises(admodes.errors.MissingRule, match="argument 1"):
            run()


def test_errors_of_the_function_itself_come_through():
    def fails(x):
        raise ZeroDivisionError("mine")

    op = custom_op(fails, partial=1.0)
    for run in (lambda: op(1.0), lambda: grad(op)(1.0), lambda: jvp(op, (1.0,), (1.0,))):
        with pytest.raises(ZeroDivisionError, match="mine"):
            run()


def test_a_function_that_reuses_its_buffer_is_recorded_as_it_was():
    buffer = np.zeros(3)

    def into(x):
        np.exp(x, out=buffer)
        return buffer

    op = custom_op(into, partial=lambda y, x: y)
    _, pullback = vjp(lambda x: op(x) * 1.0, Y)
    op(np.zeros(3))
    np.testing.assert_allclose(pullback(np.ones(3))[0], np.exp(Y))
    np.testing.assert_allclose(jacrev(lambda x: op(x) * op(2 * x))(Y), np.diag(3 * np.exp(3 * Y)))
    np.testing.assert_allclose(jacfwd(lambda x: op(x) * op(2 * x))(Y), np.diag(3 * np.exp(3 * Y)))


def test_a_python_number_is_a_result():
    op = custom_op(lambda x: float(x.sum()), push=lambda t, y, x: t.sum())
    np.testing.assert_array_equal(grad(op)(Y), np.ones(3))
    value, tangent = jvp(op, (Y,), (Y,))
    assert (value, tangent) == (Y.sum(), Y.sum())
    np.testing.assert_array_equal(admodes.compile(grad(op))(Y), np.ones(3))


# Rules that are wrong ------------------------------------------------------------------------------------

M = rng.normal(size=(2, 3))
WRONG = {
    "a transpose of a wrong shape": (
        {"fn": lambda x: M @ x, "transpose": lambda u, x: u},
        r"transpose gives shape \(2,\)",
    ),
    "a transpose of a scalar": (
        {"fn": lambda x: M @ x, "transpose": lambda u, x: u.sum()},
        r"transpose gives shape \(\)",
    ),
    "another transpose": ({"fn": lambda x: M @ x, "transpose": lambda u, x: 2 * u @ M}, "not the transpose"),
    "an affine function": ({"fn": lambda x: M @ x + 1.0, "transpose": lambda u, x: u @ M}, "not linear"),
    "no linear function": ({"fn": lambda x: x**2, "transpose": lambda u, x: 2 * x * u}, "not linear"),
    "a partial of a reduction": ({"fn": np.sum, "partial": lambda y, x: 1.0}, "element by element"),
    "a number for a reduction": ({"fn": np.sum, "partial": 1.0}, "element by element"),
    "a partial of a wrong shape": (
        {"fn": np.sin, "partial": lambda y, x: np.ones((2, 3))},
        r"partial 0 has shape \(2, 3\)",
    ),
    "a push of a wrong shape": ({"fn": np.sum, "push": lambda t, y, x: t}, r"push 0 gives shape \(3,\)"),
    "a push of a scalar": ({"fn": np.sin, "push": lambda t, y, x: t.sum()}, r"push 0 gives shape \(\)"),
    "a push that squares": ({"fn": np.sin, "push": lambda t, y, x: np.cos(x) * t**2}, "push 0 is not linear"),
    "a push of the size": ({"fn": np.sin, "push": lambda t, y, x: np.cos(x) * np.abs(t)}, "push 0 is not linear"),
    "a push with a constant": ({"fn": np.sin, "push": lambda t, y, x: np.cos(x) * t + 1}, "push 0 is not linear"),
}
USES = {
    "jvp": lambda op: jvp(op, (Y,), (Y,)),
    "vjp": lambda op: vjp(op, Y)[1](np.ones(np.shape(op(Y)))),
    "jacfwd": lambda op: jacfwd(op)(Y),
    "jacrev": lambda op: jacrev(op)(Y),
    "hessian": lambda op: hessian(lambda x: np.sum(op(x)))(Y),
    "compiled": lambda op: admodes.compile(grad(lambda x: np.sum(op(x))))(Y),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_rule_is_named(wrong, use):
    rule, message = WRONG[wrong]
    fn = rule["fn"]

    def measured(x):
        return fn(x)

    with pytest.raises(ValueError, match=f"custom_op measured: .*{message}"):
        USES[use](custom_op(measured, **{k: v for k, v in rule.items() if k != "fn"}))


def test_a_rule_is_tried_once():
    seen = []
    op = custom_op(lambda x: M @ x, transpose=lambda u, x: seen.append(1) or u @ M)
    for _ in range(3):
        np.testing.assert_allclose(grad(lambda x: np.sum(op(x)))(Y), M.sum(axis=0))
    assert len(seen) == 4


def test_a_traced_argument_by_keyword():
    op = custom_op(lambda x, k=2.0: x * k, partial=lambda y, x, k=2.0: k)
    np.testing.assert_array_equal(grad(lambda x: op(x=x).sum())(Y), np.full(3, 2.0))
    several = custom_op(lambda a, b: a * b, partial=[lambda y, a, b: b, lambda y, a, b: a])
    for call in (lambda x: several(a=x, b=2 * x), lambda x: several(x, b=2 * x), lambda x: several(b=2 * x, a=x)):
        np.testing.assert_allclose(grad(lambda x, call=call: call(x).sum())(Y), 4 * Y)
    hidden = custom_op(lambda x, *, k: x * k, partial=lambda y, x: 1.0)
    with pytest.raises(TypeError, match="the argument k= is traced, and was given by keyword"):
        grad(lambda x: hidden(Y, k=x).sum())(Y)
