"""No confusion of levels: a value of a transform around counts as constant, on whichever side of an operation it is."""

import itertools

import numpy as np
import pytest

from admodes import grad, jacfwd, jacrev

MODES = {"forward": jacfwd, "reverse": jacrev, "grad": grad}
# Of the inner y and the outer x: the function, and ∂²/∂x∂y of it at y = 3, x = 2.
CASES = {
    "y * x": (lambda y, x: y * x, 1.0),
    "x * y": (lambda y, x: x * y, 1.0),
    "y / x": (lambda y, x: y / x, -0.25),
    "where": (lambda y, x: np.where(True, y * x, x), 1.0),
    "matmul": (lambda y, x: np.reshape(y, (1,)) @ np.reshape(x, (1,)), 1.0),
    "einsum": (lambda y, x: np.einsum(",,->", y, x, x), 4.0),
    "stack": (lambda y, x: np.sum(np.stack([y, x]) * np.stack([x, y])), 2.0),
    "clip": (lambda y, x: np.clip(y * x, -100.0, 100.0 * x), 1.0),
}


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(MODES, MODES)))
@pytest.mark.parametrize("name", CASES)
def test_a_value_from_around_is_constant(name, outer, inner):
    f, expected = CASES[name]
    assert MODES[outer](lambda x: MODES[inner](lambda y: f(y, x))(3.0))(2.0) == pytest.approx(expected)
