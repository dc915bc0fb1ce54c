"""Fancy indices in kernels: which element is read or added to, out of range as NumPy says, and nothing beyond."""

import numpy as np
import pytest

from admodes import compile, grad, jacfwd, trace
from admodes.ops.index import INDEX, SCATTER, scatter
from admodes.program.native import group
from admodes.program.native.worth import with_kernels
from admodes.program.passes import PASSES, optimise

pytest.importorskip("llvmlite")
NATIVE = with_kernels(PASSES)


@pytest.fixture
def width(width, every):
    return width


def native(f, *args):
    """f as a program whose indices by arrays are all in kernels."""
    program = optimise(trace(f, *args), NATIVE)
    assert any(i.op in group.KERNELS for i in program.instructions)
    assert not any(i.op in (INDEX, SCATTER) and np.ndim(i.args[0]) for i in program.instructions)
    return program


RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 7, 5))
X[1, 2] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
I, J, K = RNG.integers(-6, 6, 19), RNG.integers(-7, 7, 19), RNG.integers(-5, 5, (4, 1))
READS = {
    "rows": lambda x, i, j, k: x[i],
    "two": lambda x, i, j, k: x[i, j],
    "three": lambda x, i, j, k: x[i[:3], j[:3], k],
    "apart": lambda x, i, j, k: x[i, :, j % 5],
    "apart by an ellipsis of nothing": lambda x, i, j, k: x[i, j, ..., k[:, 0][0]],
    "one and slices": lambda x, i, j, k: x[::-2, j, 1:],
    "lists": lambda x, i, j, k: x[[0, -1, 3], 2:, [[1], [2]]],
    "new axes": lambda x, i, j, k: x[None, i, None, 2],
    "behind": lambda x, i, j, k: x[..., k],
    "of a view": lambda x, i, j, k: np.transpose(x)[:, j, i],
    "taken": lambda x, i, j, k: np.take(x, i, axis=0),
    "along": lambda x, i, j, k: np.take_along_axis(x, np.reshape(i[:6], (6, 1, 1)) % 7, axis=1),
}


@pytest.mark.parametrize(
    ("dtype", "whole"),
    [
        (np.float64, np.int64),
        (np.float64, np.int32),
        (np.float32, np.int64),
        (np.int64, np.int64),
        (np.bool_, np.int32),
    ],
)
@pytest.mark.parametrize("name", READS)
def test_what_is_read(name, whole, dtype, width):
    with np.errstate(all="ignore"):
        x = X.astype(dtype)
    indices = [a.astype(whole) for a in (I, J, K)]

    def f(x, *indices):
        return np.positive(READS[name](x, *indices)) if dtype != np.bool_ else READS[name](x, *indices)

    found, expected = optimise(trace(f, x, *indices), NATIVE)(x, *indices), f(x, *indices)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if expected.dtype.kind == "f":
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))


@pytest.mark.parametrize("name", READS)
def test_what_is_added(name, width):
    x = np.nan_to_num(X, posinf=2.0, neginf=-3.0)

    def f(x, *indices):
        return np.sum(np.sin(READS[name](x, *indices)) * 1.5)

    for g in (grad(f), jacfwd(lambda x, *indices: np.sum(READS[name](x * x, *indices), axis=0))):
        found, expected = optimise(trace(g, x, I, J, K), NATIVE)(x, I, J, K), g(x, I, J, K)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_repeated_indices_add_up_in_order(dtype, width):
    """As np.add.at has it, to the last bit."""
    u = (RNG.normal(size=1003) * 10 ** RNG.uniform(-8, 8, 1003)).astype(dtype)
    u[::97] = [np.inf, -0.0, 1e30, -np.inf, 0.0, 5e-324, -0.0, 1.0, 2.0, -1.0, 3.0][: len(u[::97])]
    where = RNG.integers(-11, 11, 1003)
    expected = np.zeros(11, dtype)
    with np.errstate(all="ignore"):
        np.add.at(expected, where, u)
    found = native(lambda u, i: scatter(u * 1, (i,), (11,), 1), u, where)(u, where)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    wide = np.zeros((11, 20), dtype)
    rows = RNG.normal(size=(1003, 20)).astype(dtype)
    np.add.at(wide, where, rows)
    np.testing.assert_array_equal(
        native(lambda u, i: scatter(u * 1, (i,), (11, 20), 2), rows, where)(rows, where), wide
    )


def test_a_number_goes_where_an_index_that_is_an_argument_says(width):
    one = np.array(1.0)

    def f(i, x):
        return scatter(one, (i,), (8,), 0) * x + 1

    x = np.arange(8.0)
    np.testing.assert_array_equal(native(f, np.array(3), x)(np.array(3), x), f(np.array(3), x))


@pytest.mark.parametrize("bad", [7, -8, 2**62, -(2**63)])
@pytest.mark.parametrize("place", [0, 30])
def test_an_index_out_of_range_raises_as_numpys(bad, place, width):
    x, good = np.arange(7.0), np.arange(31) % 7
    wrong = good.copy()
    wrong[place] = bad
    message = f"index {bad} is out of bounds for axis 0 with size 7"
    read, add = (lambda x, i: np.sin(x[i]) * 2), grad(lambda x, i: np.sum(np.sin(x[i])))
    for f in (read, add):
        fast = compile(f, native=True)
        np.testing.assert_allclose(fast(x, good), f(x, good))
        with pytest.raises(IndexError, match=message):
            fast(x, wrong)
        np.testing.assert_allclose(fast(x, good), f(x, good))


def test_an_index_out_of_range_that_is_not_used_does_not_raise(width):
    x, where = np.arange(7.0), np.arange(12) % 7

    def f(x, i):
        return (np.sin(x[i[:5]]) * 2, np.sum(x * 2))

    fast = compile(f, native=True)
    fast(x, where)
    where[8] = 100
    for found, expected in zip(fast(x, where), f(x, where), strict=True):
        np.testing.assert_allclose(found, expected)
        assert type(found) is type(expected)


def test_indices_that_a_kernel_computes_are_looked_at_too(width):
    x, where = np.arange(7.0), np.arange(6)

    def f(x, i):
        return np.sin(x[i + 1]) * 2

    fast = compile(f, native=True)
    np.testing.assert_allclose(fast(x, where), f(x, where))
    with pytest.raises(IndexError, match="index 7 is out of bounds"):
        fast(x, where + 1)
