"""Views and changes in place mean in traced programs what they mean in NumPy.

Random programs: the values are plain NumPy's, the derivatives central differences of these.
"""

import numpy as np
import pytest
from random_changes import random_changes, same

import admodes as ad

# Of writes to what np.broadcast_arrays gives.
pytestmark = pytest.mark.filterwarnings("ignore:Numpy has detected", "ignore:future versions will not create")

QUICK, CHUNK = 2000, 2500
# What may be refused, by what the error says; all else that NumPy runs is to run.
REFUSED = (
    "an array of Python objects without a traced value",
    "is out of bounds for array of dimension 0",
)


def difference(f, x, t, h=1e-6):
    """A central difference of f at x along t."""

    def at(step):
        y = same(x)
        y[...] = x + step * t
        return f(y)

    return (at(h) - at(-h)) / (2 * h)


def moved(x):
    """Another point, in an array of the same layout."""
    y = same(x)
    y[...] = 0.9 * x + 0.05
    return y


def near(found, right, rtol=1e-9):
    assert np.shape(found) == np.shape(right)
    np.testing.assert_allclose(found, right, rtol=rtol, atol=rtol * (1 + np.max(np.abs(right), initial=0)))


def numerical(f, x, t):
    """The slope of f along t, and where two steps agree about it: elsewhere a kink or a jump lies within them."""
    slope, fine = difference(f, x, t), difference(f, x, t, 2e-7)
    return slope, np.abs(slope - fine) < 1e-5 * (1 + np.abs(slope))


def first_order(seed, length):
    """Forward and reverse mode on one program; None where it is refused, else the program."""
    f, x = random_changes(seed, length)
    t, before = np.random.default_rng(seed).normal(size=x.shape), same(x)
    right, (slope, smooth) = f(same(x)), numerical(f, x, t)
    try:
        y, ty = ad.jvp(f, (x,), (t,))
        near(y, right)
        near(np.where(smooth, ty, 0), np.where(smooth, slope, 0), 1e-5)
        y, pullback = ad.vjp(f, x)
        near(y, right)
        u = np.random.default_rng(seed + 1).normal(size=y.shape)
        near(np.sum(pullback(u)[0] * t), np.sum(u * ty), 1e-8)
    except (TypeError, ValueError) as error:
        if not any(text in str(error) for text in REFUSED):
            raise
        return None
    np.testing.assert_array_equal(x, before)
    return f, x, t


def every_way(seed, length):
    """A program in every way: K directions at once, compiled and run at a second point, by a sparse plan."""
    program = first_order(seed, length)
    if program is None:
        return
    f, x, t = program
    y = moved(x)
    J = ad.jacfwd(f)(x)
    near(ad.jacrev(f)(x), J)
    near(np.tensordot(J, t, x.ndim), ad.jvp(f, (x,), (t,))[1])
    plain, tangent = ad.compile(f), ad.compile(lambda x: ad.jvp(f, (x,), (t,))[1])
    cotangent = ad.compile(lambda x: ad.vjp(f, x)[1](np.ones(len(J)))[0])
    plan = ad.sparse_jacobian_plan(f, x)
    for z in (x, y):
        near(plain(same(z)), f(same(z)))
        near(tangent(same(z)), ad.jvp(f, (z,), (t,))[1])
        near(cotangent(same(z)), ad.vjp(f, z)[1](np.ones(len(J)))[0])
        near(plan(z).toarray().ravel(), np.ravel(ad.jacfwd(f)(z)))


def test_forward_and_reverse():
    refused = sum(first_order(seed, 4 + seed % 8) is None for seed in range(QUICK))
    assert refused < QUICK / 100


def test_every_way():
    for seed in range(10**6, 10**6 + 150):
        every_way(seed, 4 + seed % 8)


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.parametrize("chunk", range(40))
def test_forward_and_reverse_on_many(chunk):
    for seed in range(2 * 10**6 + chunk * CHUNK, 2 * 10**6 + (chunk + 1) * CHUNK):
        first_order(seed, 4 + seed % 12)


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.parametrize("chunk", range(4))
def test_every_way_on_many(chunk):
    for seed in range(3 * 10**6 + chunk * 1500, 3 * 10**6 + (chunk + 1) * 1500):
        every_way(seed, 4 + seed % 12)
