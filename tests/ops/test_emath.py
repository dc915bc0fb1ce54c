"""np.emath: values and derivatives as NumPy's, where the results are real and where they are complex."""

import numpy as np
import pytest

from admodes import compile, grad, jacfwd, jvp, vjp


@pytest.mark.parametrize("x", [np.array([0.4, 0.7]), np.array([-0.4, 2.3])], ids=["within", "beyond"])
@pytest.mark.parametrize("fn", [np.emath.sqrt, np.emath.log, np.emath.arccos, lambda x: np.emath.power(x, [1, -2]),
                                lambda x: np.emath.logn(x, 3.0)])  # fmt: skip
def test_emath_within_and_beyond_the_real_domain(fn, x):
    def f(x):
        return np.sum(np.abs(fn(x) - 1j) ** 2)

    for way in (lambda fn, x: jvp(fn, (x,), (x,))[0], lambda fn, x: vjp(fn, x)[0], lambda fn, x: compile(fn)(x)):
        np.testing.assert_array_equal(way(fn, x), fn(x))
        assert way(fn, x).dtype == fn(x).dtype
    slope = [(f(x + h) - f(x - h)) / 2e-6 for h in 1e-6 * np.eye(2)]
    fast = compile(grad(f))
    fast(np.array([0.3, 0.6]))
    for found in (grad(f)(x), jacfwd(f)(x), fast(x)):
        np.testing.assert_allclose(found, slope, rtol=1e-6)
