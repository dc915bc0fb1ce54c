"""Signs that move outwards and sums as products: what goes, what stays, and the zeros, infinities and nans."""

import itertools

import numpy as np
import pytest

from admodes import grad, trace
from admodes.program.algebra import SHORT, WORTH, signs, sums_as_products
from admodes.program.passes import dead_code, optimise

rng = np.random.default_rng(11)
X = rng.normal(size=3)
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -2.5, 5e-324, 1e308])
# Every pair of special values.
PAIRS = tuple(np.array(column) for column in zip(*itertools.product(SPECIAL, SPECIAL), strict=True))


def names(program):
    return [i.op.name for i in program.instructions]


def assert_same(found, expected):
    """Equal to the last bit, but for the sign of nan."""
    np.testing.assert_array_equal(found, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(expected)[known])


SIGNS = {
    "x + (−y)": (lambda x, y: x + (-y), ["subtract"]),
    "(−x) + y": (lambda x, y: (-x) + y, ["subtract"]),
    "x − (−y)": (lambda x, y: x - (-y), ["add"]),
    "(−x) + (−y)": (lambda x, y: (-x) + (-y), ["negative", "subtract"]),
    "(−x) − y": (lambda x, y: (-x) - y, ["negative", "subtract"]),
    "(−x)·y": (lambda x, y: (-x) * y, ["multiply", "negative"]),
    "(−x)·(−y)": (lambda x, y: (-x) * (-y), ["multiply"]),
    "(−x)/(−y)": (lambda x, y: (-x) / (-y), ["divide"]),
    "y − (−x)/y": (lambda x, y: y - (-x) / y, ["divide", "add"]),
    "y + x·(−y)·x": (lambda x, y: y + x * (-y) * x, ["multiply", "multiply", "subtract"]),
    "y + (−x) in another shape": (lambda x, y: y + (-x).reshape(1, -1).reshape(-1), ["reshape", "reshape", "subtract"]),
    "−x used twice": (lambda x, y: (lambda n: y + n * np.exp(n))(-x), ["negative", "exp", "multiply", "add"]),
}


@pytest.mark.parametrize(("f", "left"), SIGNS.values(), ids=SIGNS)
def test_signs_move_outwards(f, left):
    with np.errstate(all="ignore"):
        program = trace(f, *PAIRS)
        after = dead_code(signs(program))
        assert names(after) == left
        assert_same(after(*PAIRS), f(*PAIRS))


def test_a_result_keeps_its_sign():
    program = trace(lambda x, y: (lambda n: (n, y + n))(-x), X, X)
    after = dead_code(signs(program))
    assert names(after) == ["negative", "add"]
    for a, b in zip(after(X, X), program(X, X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sign_stays_on_the_smaller_array():
    program = trace(lambda x, A: (-x) * A, X, np.ones((4, 3)))
    assert names(signs(program)) == ["negative", "multiply"]


def test_signs_of_other_types():
    n = np.array([1, -2, 3])
    for x in (n, X + 1j, X.astype(np.float32)):

        def f(x):
            return (x + (-x) * x, x - (-x))

        program = trace(f, x) if x is not n else trace(lambda x: f(np.round(x).astype(int)), X)
        argument = X if x is n else x
        for a, b in zip(dead_code(signs(program))(argument), program(argument), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_a_gradient_with_fewer_signs():
    def f(x):
        return np.sum(np.cos(x) - np.cos(2 * x) + 1 / x)

    x = rng.uniform(1.0, 2.0, size=5)
    program = trace(grad(f), x)
    after = optimise(program)
    assert names(after).count("negative") < names(program).count("negative")
    np.testing.assert_allclose(after(x), program(x), rtol=1e-14)


# ---------------------------------------------------------------------------------------------------
# Sums
# ---------------------------------------------------------------------------------------------------

TALL = rng.normal(size=(3, 100, 10))


@pytest.mark.parametrize("axis", [2, -1, 1, -2, (1,), (-1,)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_become_products(axis, dtype):
    x = TALL.astype(dtype)
    program = trace(lambda x: np.sum(x, axis=axis), x)
    after = sums_as_products(program)
    assert names(after) == ["sum_by_product"]
    assert "@" in after.source
    assert after(x).dtype == dtype
    np.testing.assert_allclose(after(x), program(x), rtol=1e-4 if dtype is np.float32 else 1e-12, atol=1e-5)
    assert after.cost.flops <= program.cost.flops


@pytest.mark.parametrize(
    "f",
    [
        np.sum,
        lambda x: np.sum(x, axis=0),
        lambda x: np.sum(x, axis=(0, 1)),
        lambda x: np.sum(x, axis=1, keepdims=True),
        lambda x: np.sum(x.reshape(30, 100), axis=1),  # long rows
        lambda x: np.sum(x[0, :10], axis=0),  # few
        lambda x: np.sum(x.reshape(-1), axis=0),
        lambda x: np.sum(x > 0, axis=1),
        lambda x: np.sum(x + 1j, axis=1),
    ],
)
def test_sums_that_stay(f):
    program = trace(f, TALL)
    assert "sum_by_product" not in names(sums_as_products(program))


def test_the_sign_of_what_is_read_again_stays():
    program = trace(lambda x: (lambda n: np.sum(n, axis=1) + np.sum(np.exp(n)))(-x), TALL)
    after = dead_code(sums_as_products(program))
    assert "negative" in names(after)
    np.testing.assert_allclose(after(TALL), program(TALL), rtol=1e-12)


def test_which_rows_are_short():
    for n, m, kind in ((WORTH, SHORT, "sum_by_product"), (WORTH, SHORT + 1, "sum")):
        assert names(sums_as_products(trace(lambda x: np.sum(x, axis=1), np.ones((n, m)))))[0] == kind


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_special_values(axis, sign):
    x = np.full((100, 9), -0.0)
    x[0] = SPECIAL
    x[1, :3] = np.inf
    with np.errstate(all="ignore"):
        program = trace(lambda x: np.sum(x if sign > 0 else -x, axis=axis), x)
        after = dead_code(sums_as_products(program))
        assert names(after) == ["sum_by_product"]
        assert_same(after(x), program(x))


@pytest.mark.parametrize("layout", [lambda A: A, lambda A: A.T, lambda A: A[::2, ::-1], np.asfortranarray])
def test_sums_of_any_layout(layout):
    A = layout(rng.normal(size=(80, 60)))
    for axis in (0, 1):
        program = trace(lambda A, axis=axis: np.sum(A, axis=axis), A)
        np.testing.assert_allclose(optimise(program)(A), program(A), rtol=1e-12, atol=1e-12)
