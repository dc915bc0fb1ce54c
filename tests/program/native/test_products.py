"""Products of small matrices in kernels: as exact as sums one by one, and a small program is one kernel."""

import numpy as np
import pytest

from admodes import compile, grad, hessian, jacfwd, jacrev, trace
from admodes.program.native import calls
from admodes.program.native.products import MOST_PRODUCTS, is_small_product
from admodes.program.native.worth import calls_until_native, with_kernels
from admodes.program.passes import PASSES, optimise
from admodes.program.primitives import KERNELS

pytestmark = pytest.mark.skipif(not calls.usable(), reason="llvmlite is not installed")
NATIVE = with_kernels(PASSES)


SHAPES = [
    ((5,), (5,)),
    ((8, 8), (8,)),
    ((8,), (8, 8)),
    ((7, 13), (13,)),
    ((13,), (13, 7)),
    ((3, 17), (17, 9)),
    ((17, 2), (2, 19)),
    ((1, 6), (6, 1)),
    ((4, 1), (1, 4)),
    ((2, 5, 6), (6,)),
    ((6,), (3, 6, 5)),
    ((2, 5, 6), (2, 6, 3)),
    ((5, 6), (3, 6, 4)),
    ((3, 5, 6), (6, 4)),
    ((2, 1, 5, 6), (3, 6, 4)),
    ((1000,), (1000,)),
]


def kernels_of(program):
    return [i for i in program.instructions if i.op in KERNELS]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_products_are_as_exact_as_sums(a, b, dtype, width):
    rng = np.random.default_rng(3)
    A, B = rng.normal(size=a).astype(dtype), rng.normal(size=b).astype(dtype)

    def f(A, B):
        return 2 * (A @ B)

    program = optimise(trace(f, A, B), NATIVE)
    assert len(program.instructions) == len(kernels_of(program)) == 1
    found, exact = program(A, B), 2 * (A.astype(float) @ B.astype(float))
    assert found.dtype == dtype
    assert np.shape(found) == np.shape(exact)
    bound = 2 * a[-1] * np.finfo(dtype).eps * (np.abs(A).astype(float) @ np.abs(B).astype(float))
    assert np.all(np.abs(found - exact) <= bound + np.finfo(dtype).tiny)


@pytest.mark.parametrize("order", ["ab", "aTb", "abT", "aTbT"])
@pytest.mark.parametrize("n", [3, 8, 13])
def test_products_of_transposed_matrices(order, n, width):
    rng = np.random.default_rng(4)
    A, B = rng.normal(size=(2, n, n))

    def f(A, B):
        A, B = (A.T if "aT" in order else A), (B.T if "bT" in order else B)
        return np.tanh(A.dot(B)) @ A[0]

    program = optimise(trace(f, A, B), NATIVE)
    assert len(program.instructions) == len(kernels_of(program)) == 1
    np.testing.assert_allclose(program(A, B), f(A, B), rtol=1e-12)


def chain(x, weights):
    for W in weights:
        x = np.tanh(W @ x)
    return x


def squares(x, weights):
    return np.sum(chain(x, weights) ** 2)


@pytest.mark.parametrize("n", [2, 8, 11])
def test_derivatives_of_a_chain_are_one_kernel(n, width):
    rng = np.random.default_rng(6)
    weights, x = list(rng.normal(size=(3, n, n)) / np.sqrt(n)), rng.normal(size=n)
    derivatives = (
        lambda x, weights: grad(squares, argnums=(0, 1))(x, weights),
        lambda x, weights: jacfwd(chain)(x, weights),
        lambda x, weights: jacrev(chain)(x, weights),
    )
    for f in derivatives:
        program = optimise(trace(f, x, weights), NATIVE)
        assert len(kernels_of(program)) == 1
        assert not any(i.op.fn in (np.dot, np.matmul) for i in program.instructions)
        found, expected = compile(f, native=True)(x, weights), f(x, weights)
        for y, z in zip(np.ravel(_flat(found)), np.ravel(_flat(expected)), strict=True):
            assert abs(y - z) <= 1e-12 * (1 + abs(z))
    np.testing.assert_allclose(
        compile(hessian(squares), native=True)(x, weights), hessian(squares)(x, weights), rtol=1e-10, atol=1e-13
    )


def _flat(y):
    return np.concatenate([np.ravel(part) for part in ([y[0], *y[1]] if isinstance(y, tuple) else [y])])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_where_numpys_products_take_it(bad, width):
    rng = np.random.default_rng(7)

    def f(A, B, x):
        return A @ B, A.T @ x, x @ A

    found = compile(f, native=True)
    found(np.ones((9, 9)), np.ones((9, 9)), np.ones(9))
    for place in np.ndindex(9, 9):
        A, B, x = rng.normal(size=(9, 9)), rng.normal(size=(9, 9)), rng.normal(size=9)
        A[place], x[place[0]] = bad, 0.0
        with np.errstate(invalid="ignore"):
            expected = f(A, B, x)
        for y, z in zip(found(A, B, x), expected, strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-11)


def test_large_products_stay_numpys_and_count_for_when_kernels_pay():
    n = int(MOST_PRODUCTS**0.5)
    small, large = (trace(lambda A, x: np.tanh(A @ x), np.ones((k, k)), np.ones(k)) for k in (n, n + 1))
    assert [sum(map(is_small_product, p.instructions)) for p in (small, large)] == [1, 0]
    assert calls_until_native(small) > 0 == calls_until_native(large)
    assert any(i.op.fn in (np.dot, np.matmul) for i in optimise(large, NATIVE).instructions)


def test_constant_factors_lie_in_memory_as_kernels_read_them():
    W = np.asfortranarray(np.random.default_rng(8).normal(size=(6, 6)))
    program = optimise(trace(lambda x: np.tanh(W @ x) @ W.T, np.ones(6)), NATIVE)
    (kernel,) = kernels_of(program)
    assert all(x.flags.c_contiguous for x in kernel.args if isinstance(x, np.ndarray))
    np.testing.assert_allclose(program(np.ones(6)), np.tanh(W @ np.ones(6)) @ W.T, rtol=1e-12)
