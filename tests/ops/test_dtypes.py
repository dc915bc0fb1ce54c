"""Half and extended precision: what NumPy evaluates may be differentiated; directions keep the dtype they go with."""

import functools

import checks
import numpy as np
import pytest
import test_ops

from admodes import compile, grad, jacfwd, jacrev, jvp, vjp
from admodes.core.registry import OPS

pytestmark = [test_ops.pytestmark, pytest.mark.filterwarnings("ignore::RuntimeWarning")]
DTYPES = {"half": np.float16, "extended": np.longdouble}
# What NumPy's own code for doubles takes of extended numbers only here and there (np.interp a scalar, but no array).
DOUBLES = {OPS[np.polyfit]: "unsupported in linalg", OPS[np.interp]: "Cannot cast"}


def kept(f, xs, _, dtype):
    g = checks.leaves(f)
    xs = tuple(np.asarray(x, dtype)[()] for x in xs)
    try:
        g(*xs)
    except Exception:  # no function of such numbers in NumPy either
        return
    y, tangents = jvp(g, xs, xs)
    assert [t.dtype for t in tangents] == [v.dtype for v in y]
    _, pullback = vjp(g, *xs)
    cotangents = pullback(tuple(np.ones(v.shape, v.dtype)[()] for v in y))
    assert [u.dtype for u in cotangents] == [x.dtype for x in xs]


@pytest.mark.parametrize("dtype", DTYPES)
@test_ops.every_row
def test_directions_keep_their_dtype(key, dtype):
    if dtype == "extended" and OPS[key] in DOUBLES:
        with pytest.raises(TypeError, match=DOUBLES[OPS[key]]):
            test_ops.hold(functools.partial(kept, dtype=DTYPES[dtype]), key)
        return
    test_ops.hold(functools.partial(kept, dtype=DTYPES[dtype]), key, at_most=4)


@pytest.mark.parametrize("dtype", ["e", "f", "d", "g", "F", "D", "G"])
@pytest.mark.parametrize("count", [3, 64, 65, 300])
def test_gathers_of_any_length_and_precision(dtype, count):
    x = np.linspace(1.0, 2.0, 50).astype(dtype)
    index = np.arange(count) * 7 % 50
    u = np.ones(count, dtype)
    for f in (lambda x: x[index], lambda x: np.take(x * x[:1], index)):
        g = vjp(f, x)[1](u)[0]
        assert g.dtype == x.dtype
        if dtype == "g":  # beyond double precision
            right = np.zeros(50, "g")
            np.add.at(right, index, u)
            np.testing.assert_array_equal(vjp(lambda x: x[index], x)[1](u / 3)[0], np.where(right, right / 3, 0))
    np.testing.assert_array_equal(vjp(lambda x: x[index], x)[1](u)[0].real, np.bincount(index, minlength=50))


def test_the_sign_of_a_complex_number():
    z = np.array([1 + 2j, -0.3 + 0.1j, 3j, -2.0 + 0j])

    def loss(sign):
        return lambda z: np.sum(np.abs(sign(z) - 1.0) ** 2 * np.array([1.0, 2.0, 3.0, 4.0]))

    plain = loss(lambda z: z / np.abs(z))
    for way in (grad, lambda f: compile(grad(f))):
        np.testing.assert_allclose(way(loss(np.sign))(z), grad(plain)(z))
    np.testing.assert_allclose(vjp(np.sign, z)[0], np.sign(z))
    t = np.array([1j, 1.0, 1 + 1j, -2.0])
    step = 1e-6
    central = (np.sign(z + step * t) - np.sign(z - step * t)) / (2 * step)
    np.testing.assert_allclose(jvp(np.sign, (z,), (t,))[1], central, atol=1e-8)
    y, tangent = jvp(np.sign, (np.zeros(2, complex),), (np.ones(2, complex),))
    np.testing.assert_array_equal([y, tangent], np.zeros((2, 2)))  # a kink, as that of |z|
    x = np.array([1.0, -2.0])
    np.testing.assert_array_equal(jacfwd(lambda x: np.sign(x) * x)(x), np.diag(np.sign(x)))
    np.testing.assert_allclose(jacrev(lambda x: np.abs(np.sign(x + 1j) - 1.0))(x), jacfwd(
        lambda x: np.abs((x + 1j) / np.abs(x + 1j) - 1.0))(x))  # fmt: skip
