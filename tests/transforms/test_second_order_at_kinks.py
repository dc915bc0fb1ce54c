"""The slope of |x| jumps at 0: second derivatives there are nan in every nesting, never a silent 0."""

import numpy as np
import pytest
from checks import NESTINGS

from admodes import compile, grad, hessian, jacfwd

SMOOTH = {
    "the fourth power": lambda x: np.sum(np.abs(x) ** 4),
    "the product": lambda x: np.sum(np.abs(x) * np.fabs(x)),
    "softplus": lambda x: np.sum(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)),
    "|x|": lambda x: np.sum(np.abs(x)),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("mode", NESTINGS)
def test_curvature_at_the_jump_is_not_zero(name, mode):
    x = np.array([0.0, 1.0, -2.0])
    H = hessian(SMOOTH[name], mode=mode)(x)
    assert np.isnan(H[0, 0])
    away = np.array([0.3, 1.0, -2.0])
    np.testing.assert_allclose(H[1:, 1:], hessian(SMOOTH[name], mode=mode)(away)[1:, 1:], atol=1e-15)


@pytest.mark.parametrize("name", SMOOTH)
def test_first_derivatives_and_compiled_code(name):
    f, x = SMOOTH[name], np.array([0.0, 1.0, -2.0])
    g = grad(f)(x)
    assert np.isfinite(g).all()
    np.testing.assert_array_equal(g, jacfwd(f)(x))
    compiled = compile(grad(f))
    np.testing.assert_allclose(compiled(x + 1), grad(f)(x + 1))
    np.testing.assert_array_equal(np.isnan(compile(hessian(f))(x)), np.isnan(hessian(f)(x)))


def test_the_slope_of_a_length_at_zero_is_zero():
    assert grad(lambda x: np.abs(x))(0.0) == 0
    assert jacfwd(lambda x: np.fabs(x))(0.0) == 0
