"""The sine and the cosine of one value, together: as exact as apart, up to 10²²."""

import numpy as np
import pytest

from admodes import compile, grad
from admodes.program.native import calls

mp = pytest.importorskip("mpmath")
pytestmark = pytest.mark.skipif(not calls.usable(), reason="llvmlite is not installed")
RNG = np.random.default_rng(9)
POINTS = np.concatenate(
    [
        RNG.uniform(-10, 10, 300),
        10.0 ** RNG.uniform(-300, 22, 300),
        np.arange(-60, 60) * (np.pi / 2),
        np.arange(-60, 60) * (np.pi / 4),
        2.0**30 * RNG.uniform(0.99, 1.01, 40),
        [5e-324, 1e-310],
    ]
)


def test_both_are_within_four_ulp(width):
    found = compile(lambda x: (np.sin(x), np.cos(x)), native=True)(POINTS)
    with mp.workprec(1400):
        for exact, values in zip((mp.sin, mp.cos), found, strict=True):
            for x, y in zip(POINTS, values, strict=True):
                right = exact(mp.mpf(float(x)))
                assert abs(mp.mpf(float(y)) - right) <= 4 * mp.mpf(float(np.spacing(abs(float(right)) or 5e-324))), x


def test_special_values(width):
    f = compile(lambda x: (np.sin(x), np.cos(x)), native=True)
    with np.errstate(invalid="ignore"):
        for x in (np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e300, 0.0, -0.0, 1.0]), np.full(8, -0.0)):
            for a, b in zip(f(np.resize(x, 16)), (np.sin(np.resize(x, 16)), np.cos(np.resize(x, 16))), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-15)
                zero = b == 0
                np.testing.assert_array_equal(np.signbit(a[zero]), np.signbit(b[zero]))


@pytest.mark.parametrize("n", [3, 8, 40, 1001])
def test_in_loops_of_every_length(n, width):
    x, u = RNG.normal(size=n), RNG.normal(size=(5, n)) * 1e9
    f = grad(lambda x: np.sum(np.sin(x) * np.cos(x) * np.sin(2 * x) + np.cos(2 * x)))
    np.testing.assert_allclose(compile(f, native=True)(x), f(x), rtol=1e-12, atol=1e-14)
    for y in (u, u.astype(np.float32), (u / 1e8).astype(np.int64)):

        def h(y):
            moved = y[:, None] + x[0]
            return np.sin(moved) * np.cos(moved), np.cos(y) - np.sin(y)

        atol = 1e-13 if y.dtype != np.float32 else 3e-6
        for a, b in zip(compile(h, native=True)(y), h(y), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol)
