"""Random programs of views and changes in place, with kernels of native code: as NumPy has them, at two points."""

import numpy as np
import pytest
from random_changes import same
from test_random_changes import count, moved, near, on_program, runs

import admodes as ad

pytestmark = pytest.mark.filterwarnings(
    "ignore:Numpy has detected", "ignore:future versions will not create", "ignore:.* changes an argument"
)


def natively(seed, length):
    """The kind of refusal of a program, whose values, tangents or cotangents, by the seed, are compiled."""
    return on_program(in_kernels, seed, length)


def in_kernels(f, x, t, seed):
    def push(x):
        return ad.jvp(f, (x,), (t,))[1]

    def pull(x):
        y, pullback = ad.vjp(f, x)
        return pullback(np.ones(np.shape(y)))[0]

    way = (f, push, pull)[seed % 3]
    compiled = ad.compile(way, native=True)
    for z in (x, moved(x)):
        if not runs(f, z):
            continue
        right = way(same(z))
        for _ in range(2):
            found = compiled(same(z))
            near(found, right)
            if isinstance(found, np.ndarray):
                found[...] = 7.0  # a result is the caller's


def test_programs(width):
    count(natively, range(24), 8)


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.parametrize("chunk", range(8))
def test_many_programs(chunk, width):
    count(natively, range(5 * 10**6 + chunk * 1000, 5 * 10**6 + (chunk + 1) * 1000), 14)
