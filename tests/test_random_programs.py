"""Forward mode, reverse mode and finite differences agree on random programs; so does compiled code."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import random_program

from admodes import hvp, jvp, vjp
from admodes.program import compile

PROGRAMS = st.tuples(st.integers(0, 2**32 - 1), st.integers(5, 30))
QUICK = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(max_examples=20000, deadline=None, suppress_health_check=list(HealthCheck))


def directional_difference(f, x, t, h=2e-4):
    """A fourth-order central difference along t, and how far the second-order one is from it."""
    one, two = (f(x + h * t) - f(x - h * t)) / (2 * h), (f(x + 2 * h * t) - f(x - 2 * h * t)) / (4 * h)
    return (4 * one - two) / 3, np.abs(one - two)


def check(seed, length):
    f, x = random_program(seed, length)
    rng = np.random.default_rng(seed + 1)
    t = rng.normal(size=x.shape)
    y, ty = jvp(f, (x,), (t,))
    np.testing.assert_allclose(y, f(x), rtol=1e-12, atol=1e-12)
    y, pullback = vjp(f, x)
    u = rng.normal(size=np.shape(y))
    (xbar,) = pullback(u)
    scale = 1 + np.abs(np.sum(u * ty))
    assert abs(np.sum(u * ty) - np.sum(xbar * t)) < 1e-9 * scale, "forward and reverse disagree"
    numeric, spread = directional_difference(f, x, t)
    smooth = spread < 1e-4 * (1 + np.abs(numeric))  # elsewhere a kink lies within the step
    fine = (f(x + 1e-6 * t) - f(x - 1e-6 * t)) / 2e-6  # a weak kink may lie within the step, too, and not within this
    numeric = np.where(np.abs(ty - fine) < np.abs(ty - numeric), fine, numeric)
    np.testing.assert_allclose(np.where(smooth, ty, 0), np.where(smooth, numeric, 0), rtol=2e-5, atol=2e-5)
    return f, x, t


def test_a_weak_kink_within_the_wide_step():
    check(9534, 29)


@QUICK
@given(PROGRAMS)
def test_modes_agree(program):
    check(*program)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@LONG
@given(PROGRAMS)
def test_modes_agree_on_many(program):
    check(*program)


@settings(QUICK, max_examples=200)
@given(PROGRAMS)
def test_second_order_and_compiled(program):
    f, x, t = check(*program)

    def scalar(x):
        return np.sum(np.sin(f(x)))

    product = hvp(scalar, (x,), (t,))
    backwards = vjp(lambda x: jvp(scalar, (x,), (t,))[1], x)[1](1.0)[0]
    # At a jump a pull is nan throughout, where a push knows of directions that do not cross it.
    backwards = np.where(np.isnan(backwards), product, backwards)
    np.testing.assert_allclose(product, backwards, rtol=1e-7, atol=1e-7)
    compiled = compile(lambda x: vjp(f, x)[1](np.ones(np.shape(f(x))))[0])
    expected = vjp(f, x)[1](np.ones(np.shape(f(x))))[0]
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-9, atol=1e-11)
