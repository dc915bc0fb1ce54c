"""Operations of a user's own that are stated wrongly, or used in ways that surprise: errors that name the rule."""

import math
import pickle

import numpy as np
import pytest

import admodes
from admodes import custom_op, grad, hessian, jacfwd, jacrev, jvp, register, vjp
from admodes.core import pytree
from admodes.core.registry import OPS

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(2, 3)), rng.normal(size=3)


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
    "a pull of a wrong shape": ({"fn": np.sum, "pull": lambda u, y, x: u}, r"pull 0 gives shape \(\)"),
    "a pull that squares": ({"fn": np.sin, "pull": lambda u, y, x: np.cos(x) * u**2}, "pull 0 is not linear in u"),
    "a pull with a constant": ({"fn": np.sin, "pull": lambda u, y, x: np.cos(x) * u + 1}, "pull 0 is not linear in u"),
    "a pull that is a tuple": ({"fn": np.sin, "pull": lambda u, y, x: (u,)}, "pull 0 gives a tuple of 1"),
    "a push of a kind of size": ({"fn": np.sin, "push": lambda t, y, x: np.maximum(t, 0)}, "push 0 is not linear in t"),
    "a pull that is not the transpose": (
        {"fn": lambda x: M @ x, "push": lambda t, y, x: M @ t, "pull": lambda u, y, x: 2 * u @ M},
        "push 0 and pull 0 are not transposes",
    ),
    "a push of fewer results": ({"fn": np.modf, "push": lambda t, y, x: (t,)}, "push 0 gives a tuple of 1"),
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
    "vjp": lambda op: vjp(op, Y)[1](pytree.tree_map(np.ones_like, op(Y))),
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


# Surprises -----------------------------------------------------------------------------------------------


def doubled(x):
    x *= 2
    return x


def doubled_in_a_tree(pair):
    return doubled(pair[0])


IN_PLACE = {
    "push": (np.exp, {"push": lambda t, y, x: np.multiply(t, y, out=t)}, r"push 0 changes its arguments in place"),
    "pull": (np.exp, {"pull": lambda u, y, x: np.multiply(u, y, out=u)}, r"pull 0 changes its arguments in place"),
    "result": (np.exp, {"pull": lambda u, y, x: np.multiply(y, u, out=y)}, r"pull 0 changes its arguments in place"),
    "function": (doubled, {"push": lambda t, y, x: 2 * t}, r"the function changes its argument 0 in place"),
}


@pytest.mark.parametrize("case", IN_PLACE)
def test_what_changes_its_arguments_is_refused(case):
    """exp(x) + x by a push that works on t itself would be exp(x) t + exp(x) t."""
    fn, rules, message = IN_PLACE[case]
    for run in (lambda f: jvp(f, (Y.copy(),), (Y.copy(),)), lambda f: vjp(f, Y.copy())[1](Y.copy())):
        with pytest.raises(ValueError, match=message):
            run(lambda x: custom_op(fn, **rules)(x) + x)
    if case == "function":
        with pytest.raises(ValueError, match=message):
            grad(lambda x: np.sum(custom_op(doubled_in_a_tree, push=lambda t, y, s: 2 * t[0])((x, 2 * x))))(Y)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"push": lambda t, x: t}, r"push 0 is called with \(t, y, argument 0\).* takes \(t, x\)"),
        ({"pull": lambda u: u}, r"pull 0 is called with \(u, y, argument 0\)"),
        ({"partial": lambda x: x}, r"partial 0 is called with \(y, argument 0\)"),
    ],
)
def test_rules_of_other_arguments(rules, message):
    with pytest.raises(TypeError, match=message):
        grad(lambda x: np.sum(custom_op(np.sin, **rules)(x)))(Y)


@pytest.mark.parametrize(
    "rules",
    [{"push": []}, {"push": 3.0}, {"pull": [None, "text"]}, {"partial": "central"}, {"transpose": [np.sin]},
     {"composite": 1}],
)  # fmt: skip
def test_rules_that_are_none(rules):
    with pytest.raises(TypeError, match=next(iter(rules))):
        custom_op(np.sin, **rules)


@custom_op(partial=lambda y, x: y)
def exponential(x):
    return np.exp(x)


def test_it_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(exponential)) is exponential
