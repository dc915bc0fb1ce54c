"""What a transform returns is the caller's: it may be written to, and shares memory with nothing."""

import numpy as np
import pytest

from admodes import grad, jacfwd, jacobian, jacrev, jvp, linearize, value_and_grad, vjp

N = 20_000  # above the size from which broadcasting is a read-only view

# Functions with sums, broadcasts and identities, of which a sweep hands out views, or the seed itself.
FUNCTIONS = {
    "sum": np.sum,
    "mean of a broadcast": lambda x: np.mean(np.broadcast_to(x, (3, *x.shape))),
    "sum of a view": lambda x: x[::-1].sum(),
    "two sums": lambda x: x.sum() + x.sum(),
}


@pytest.mark.parametrize("size", [3, N])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_may_be_written_to(name, size):
    f, x = FUNCTIONS[name], np.ones(size)
    pullback = vjp(f, x)[1]
    found = [grad(f)(x), value_and_grad(f)(x)[1], pullback(1.0)[0], pullback(np.ones(3))[0], jacrev(f)(x)]
    found += [linearize(f, x)[1].T @ np.ones(1), jacobian(f)(x)]
    for i, g in enumerate(found):
        assert g.flags.writeable
        assert not any(np.shares_memory(g, other) for other in found[:i])
        expected = g.copy()
        g *= 2
        np.testing.assert_array_equal(g, 2 * expected)
        np.testing.assert_array_equal(x, np.ones(size))


@pytest.mark.parametrize("size", [3, N])
def test_two_gradients_share_no_memory(size):
    x, w = np.ones(size), np.ones(size)
    a, b = grad(lambda x, w: np.sum(x + w), argnums=(0, 1))(x, w)
    a[0] = 5.0
    assert b[0] == 1.0
    a, b = vjp(lambda x, w: x + w, x, w)[1](np.ones(size))
    a[0] = 5.0
    assert b[0] == 1.0


@pytest.mark.parametrize("size", [3, N])
def test_tangents_may_be_written_to(size):
    x, t = np.ones(size), np.full(size, 2.0)
    for f in (lambda x: x, lambda x: np.broadcast_to(x[0], x.shape), lambda x: x[::-1], lambda x: (x, x)):
        out = jvp(f, (x,), (t,))
        arrays = [a for part in out for a in (part if isinstance(part, tuple) else (part,))]
        for i, a in enumerate(arrays):
            assert a.flags.writeable
            assert not any(np.shares_memory(a, other) for other in (x, t, *arrays[:i]))
    J = jacfwd(lambda x: np.broadcast_to(x[0], (size,)))(np.ones(1))
    assert J.flags.writeable


@pytest.mark.parametrize("shape", [(), (2,), (0,), (2, 3)])
@pytest.mark.parametrize("dtype", [bool, np.int32, np.int64, np.float16, np.float32, np.float64, np.complex64])
def test_the_tangent_of_a_constant_is_zeros_of_a_dtype_that_tangents_have(dtype, shape):
    """Of a constant of whole numbers too, whether it has axes or not, and in the ways to it alike."""
    constant = np.zeros(shape, dtype)[()]
    t = jvp(lambda x: constant, (1.0,), (np.ones(4),))[1]
    assert t.dtype.kind in "fc"
    assert t.shape == (4, *shape)
    assert not t.any()
    assert t.dtype == constant.dtype or constant.dtype.kind in "bi"
    assert jacfwd(lambda x: constant)(1.0).dtype == t.dtype
    assert (linearize(lambda x: constant, 1.0)[1] @ np.ones(1)).dtype.kind in "fc"


@pytest.mark.parametrize("given", [np.int64, np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_directions_come_out_in_the_dtype_of_what_they_belong_to(dtype, given):
    """Whatever dtype they are given in, and where a function hands them through as they are."""
    x, t = np.ones(3, dtype), np.arange(3).astype(given)
    for f in (lambda x: x, lambda x: x[::-1], lambda x: (x, x * 2), lambda x: x.reshape(3, 1)):
        for found in jvp(f, (x,), (t,)):
            assert all(part.dtype == dtype for part in (found if isinstance(found, tuple) else (found,)))
    assert vjp(lambda x: x, x)[1](t)[0].dtype == dtype
