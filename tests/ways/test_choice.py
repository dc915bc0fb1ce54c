"""What `jacobian(mode="auto")` chooses, and what it remembers: by everything that the choice depends on."""

import itertools

import numpy as np
import pytest

from admodes import jacobian
from admodes.core.forward import Dual
from admodes.core.reverse import Var
from admodes.transforms import directions


def layered(x):
    for _ in range(4):
        x = np.tanh(x * x[::-1] + 1.0)
    return x


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_plan_counts_a_pass_for_every_chunk(mode):
    """Ten directions: one pass, two, four, ten. What a pass takes to start is taken that often."""
    x = np.linspace(0.1, 1.0, 10)
    seconds = [jacobian(layered, chunk=chunk).plan(x)[mode].seconds for chunk in (None, 10, 5, 3, 1)]
    assert seconds[0] == seconds[1]
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(seconds[1:]))
    assert seconds[-1] > 5 * seconds[0]


def test_a_plan_counts_the_chunks_that_memory_takes(monkeypatch):
    x = np.linspace(0.1, 1.0, 10)
    given = jacobian(layered, chunk=3).plan(x)
    monkeypatch.setattr(directions, "CHUNK_ELEMENTS", 30)
    bounded = jacobian(layered).plan(x)
    for mode in ("forward", "reverse"):
        assert bounded[mode].seconds == given[mode].seconds


def test_a_choice_for_one_dtype_is_not_used_for_another():
    """Forward mode is cheaper for a real argument of a tall function; of complex numbers it has no meaning."""
    spread = np.arange(1.0, 41.0)
    J = jacobian(lambda z: np.abs(z[0]) * spread + np.abs(z[1]))
    z = np.array([3.0, 4.0])
    assert J.plan(z).choice == "forward"
    expected = np.stack([spread, np.ones(40)], axis=1)
    np.testing.assert_allclose(J(z), expected)
    np.testing.assert_allclose(J(z * 1j), expected * -1j)  # ∂f/∂x − i ∂f/∂y at x = 0
    np.testing.assert_allclose(J(z.astype(np.float32)), expected)


def test_a_choice_for_one_shape_is_not_used_for_another():
    ran = []

    def f(x, w):
        ran.append(type(x))
        return np.tanh(w @ x)

    J = jacobian(f)
    for _ in range(2):  # once with the counting of work, once as learnt
        for m, n, tracer in ((2, 300, Var), (300, 2, Dual)):
            x, w = np.ones(n), np.full((m, n), 0.01)
            np.testing.assert_allclose(J(x, w), w * (1 - np.tanh(w @ x) ** 2)[:, None])
            assert ran[-1] is tracer
