"""Flat code has the names of the user's variables, and looking for them changes nothing that is written down."""

import numpy as np
import pytest

from admodes import grad, jvp, trace
from admodes.program.program import record

X = np.array([0.3, -0.7, 1.1])
W = np.arange(9.0).reshape(3, 3) / 10


def net(x):
    h = np.tanh(W @ x)
    m = np.mean(h)
    d = h - m
    z = np.sum(d * d)
    return z  # noqa: RET504 - the name is what is tested


def loop(x):
    for _ in range(3):
        h = np.sin(x)
        x = h * x
    return x


def filled(x):
    y = np.zeros(3)
    y[0] = x[0] ** 2
    y[1] = x[1] * 3
    s = np.sin(y)
    return s + y


def in_place(x):
    y = x * 2
    v = y[1:]
    y += 1.0
    v *= 3.0
    return np.sum(y * x)


def helper(x):
    def inner(a):
        b = np.exp(a)
        return b * 2

    y = inner(x)
    return np.sum(y)


def pairs(x):
    s, c = np.sin(x), np.cos(x)
    (t,) = [s * c]
    _hidden = t + 1
    return np.sum(_hidden)


ALL = [net, loop, filled, in_place, helper, pairs]


def names(program):
    return {line.split()[0] for line in str(program).splitlines()[1:] if "=" in line}


def test_values_are_called_as_the_variables_that_hold_them():
    assert {"h", "m", "d", "z"} <= names(trace(net, X))
    assert "return z" in str(trace(net, X))
    assert {"b", "y"} <= names(trace(helper, X))
    assert {"s", "c", "t"} <= names(trace(pairs, X))
    assert not any("hidden" in name for name in names(trace(pairs, X)))


def test_a_variable_that_is_bound_again_gets_a_number():
    assert {"h", "h_1", "h_2", "x_1", "x_2"} <= names(trace(loop, X))


def test_tangents_and_cotangents_have_their_names_from_them():
    assert {"grad_h", "grad_d", "grad_z", "grad_x"} <= names(trace(grad(net), X))
    assert {"dot_h", "dot_m", "dot_z"} <= names(trace(lambda x, t: jvp(net, (x,), (t,)), X, np.ones(3)))


def test_pictures_have_the_names():
    program = trace(lambda x, t: jvp(net, (x,), (t,)), X, np.ones(3))
    shapes = [text.get_text() for text in program.draw().axes[0].texts]
    assert {"h (3)", "m", "d (3)", "z"} <= set(shapes)
    values = [text.get_text() for text in program.draw(X, np.ones(3)).axes[0].texts]
    assert f"m = {np.mean(np.tanh(W @ X)):.2f}" in values
    assert '[label="h: float64[3]"]' in program.to_dot()


@pytest.mark.parametrize("f", ALL, ids=lambda f: f.__name__)
@pytest.mark.parametrize("of", [lambda f: f, lambda f: grad(lambda x: np.sum(f(x))), lambda f: jvp_of(f)],
                         ids=["f", "grad", "jvp"])  # fmt: skip
def test_looking_changes_nothing(f, of):
    """The same instructions as without names, stores gathered and views read as late as ever."""
    derivative = of(f)
    derivative(X)  # after which it is known which functions fill arrays of their own
    named, plain = trace(derivative, X), record(derivative, (X,), {})
    assert [i.op for i in named.instructions] == [i.op for i in plain.instructions]
    np.testing.assert_array_equal(named(X), plain(X))
    np.testing.assert_allclose(named(X), derivative(X), rtol=1e-14)


def jvp_of(f):
    return lambda x: jvp(f, (x,), (np.ones(3),))[1]


def test_every_name_is_given_once():
    for f in ALL:
        lines = [
            line.split()[0] for line in str(trace(grad(lambda x, f=f: np.sum(f(x))), X)).splitlines() if " = " in line
        ]
        assert len(lines) == len(set(lines))
