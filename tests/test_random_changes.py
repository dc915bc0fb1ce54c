"""Views and changes in place mean in traced programs what they mean in NumPy.

Random programs: the values are plain NumPy's, the derivatives central differences of these.
"""

import contextlib
from collections import Counter

import numpy as np
import pytest
from random_changes import random_changes, same

import admodes as ad

# Of writes to what np.broadcast_arrays gives.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Numpy has detected", "ignore:future versions will not create", "ignore:.* changes an argument"
)

QUICK, CHUNK = 2000, 2500
# What may be refused, by what the error says; all else that NumPy runs is to run.
REFUSED = (
    "pickling x",
    "as_strided, which reads memory where a traced array has none",
    "a plain array that no function of NumPy made",  # but from as_strided
    "an array that f also holds otherwise",  # the same
    ".at of a plain array",  # the same
    "an array of Python objects without a traced value",  # of such a function bound before, where none depends on x
    "would detach a traced value from its derivative",  # a plain array that NumPy made of constants: np.tile(0.5, 2)
    "two views of the parts of a complex array, in one change in place",
    "np.array or np.asarray, which of traced values makes an array of Python objects",  # of complex ones, bound before
)


def numerical(f, x, t):
    """The slope of f along t by central differences, and where to trust it: where two steps agree about it and f does
    not jump, within them, away from its value at x."""

    def at(step):
        y = same(x)
        y[...] = x + step * t
        return f(y)

    try:
        ahead, behind, wide, fine = at(1e-6), at(-1e-6), at(2e-7), at(-2e-7)
        slope, again = (ahead - behind) / 2e-6, (wide - fine) / 4e-7
        smooth = (np.abs(slope - again) < 1e-5 * (1 + np.abs(slope))) & (np.abs(ahead + behind - 2 * at(0)) < 1e-6)
    except ValueError:  # the results have other extents
        return None, False
    return slope, smooth


def runs(f, x):
    """Whether NumPy runs f there: what is computed may have other extents."""
    try:
        f(same(x))
    except (ValueError, IndexError, TypeError, ZeroDivisionError, RuntimeWarning):
        return False
    return True


def moved(x):
    """Another point, in an array of the same layout."""
    y = same(x)
    y[...] = 0.9 * x + 0.05
    return y


def near(found, right, rtol=1e-9):
    assert np.shape(found) == np.shape(right)
    np.testing.assert_allclose(found, right, rtol=rtol, atol=rtol * (1 + np.max(np.abs(right), initial=0)))


def refusal(error):
    """The kind of a refusal; any other error is raised again."""
    kinds = [text for text in REFUSED if text in str(error)]
    if not kinds:
        raise error
    return kinds[0]


def first_order(seed, length):
    """Forward and reverse mode on one program: the kind of refusal, or None, and the program."""
    f, x = random_changes(seed, length)
    t, before = np.random.default_rng(seed).normal(size=x.shape), same(x)
    right, (slope, smooth) = f(same(x)), numerical(f, x, t)
    try:
        y, ty = ad.jvp(f, (x,), (t,))
    except TypeError as error:
        return refusal(error), None
    near(y, right)
    if np.shape(slope) == y.shape:
        near(np.where(smooth, ty, 0), np.where(smooth, slope, 0), 1e-5)
    y, pullback = ad.vjp(f, x)
    near(y, right)
    u = np.random.default_rng(seed + 1).normal(size=y.shape)
    near(np.sum(pullback(u)[0] * t), np.sum(u * ty), 1e-8)
    np.testing.assert_array_equal(x, before)
    return None, (f, x, t)


def first(seed, length):
    return first_order(seed, length)[0]


def every_way(seed, length):
    """A program in every way: K directions at once, compiled, traced, by a sparse plan, each run at a second point."""
    return on_program(in_every_way, seed, length)


def most_ways(seed, length):
    """The same, but compiled and traced are only its values, its tangents or its cotangents, by the seed: thrice as
    many programs in a time."""
    return on_program(in_most_ways, seed, length)


def on_program(ways, seed, length):
    refused, program = first_order(seed, length)
    if program is None:
        return refused
    try:
        ways(*program, seed)
    except TypeError as error:  # what is plain in a run that is watched may be traced in one that is not
        return refusal(error)
    return None


def in_most_ways(f, x, t, seed):
    in_every_way(f, x, t, seed, slice(seed // 4 % 3, seed // 4 % 3 + 1))


def in_every_way(f, x, t, seed, chosen=slice(None)):
    if chosen.start in (None, 0):
        memory_is_numpys(f, x)
    y = moved(x)
    J = ad.jacfwd(f)(x)
    near(ad.jacrev(f)(x), J)
    near(np.tensordot(J, t, x.ndim), ad.jvp(f, (x,), (t,))[1])

    def push(x):
        return ad.jvp(f, (x,), (t,))[1]

    def pull(x):
        y, pullback = ad.vjp(f, x)
        return pullback(np.ones(np.shape(y)))[0]

    ways = (f, push, pull)[chosen]
    compiled = [ad.compile(fn) for fn in ways]
    traced = [ad.trace(fn, x) for fn in ways]
    plan = ad.sparse_jacobian_plan(f, x, mode=("sparse", "forward", "reverse", "mixed")[seed % 4])
    for z in (x, y):
        if not runs(f, z):
            continue
        right = [fn(same(z)) for fn in ways]
        for found, expected in zip(compiled, right, strict=True):
            near(found(same(z)), expected)
        for found, expected in zip(traced, right, strict=True):
            with contextlib.suppress(ad.GuardFailed):
                near(found(same(z)), expected)
        near(plan(z).toarray().ravel(), np.ravel(ad.jacfwd(f)(z)))


def memory_is_numpys(f, x):
    """Compiled, f leaves its argument as NumPy would, and gives none of its memory away unless NumPy would."""
    compiled = ad.compile(f.values)
    for _ in range(2):  # what the first run leaves behind, the second one meets
        mine, numpys = same(x), same(x)
        found, right = compiled(mine), f.values(numpys)
        np.testing.assert_array_equal(mine, numpys)
        for y, expected in zip(found, right, strict=True):
            near(y, expected)
            assert np.may_share_memory(expected, numpys) or not np.may_share_memory(y, mine)
        for y in found:
            if isinstance(y, np.ndarray) and y.flags.writeable:
                y[...] = 7.0  # a result is the caller's


def count(way, seeds, longest):
    """How many programs are refused, by kind; one in thirty at most of each."""
    refused = Counter(way(seed, 4 + seed % longest) for seed in seeds)
    del refused[None]
    assert all(n < 5 + len(seeds) / 30 for n in refused.values())


def test_forward_and_reverse():
    count(first, range(QUICK), 8)


def test_every_way():
    count(most_ways, range(10**6, 10**6 + 150), 8)


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.parametrize("chunk", range(40))
@pytest.mark.parametrize(("way", "start"), [(first, 2 * 10**6), (most_ways, 4 * 10**6)])
def test_on_many(way, start, chunk):
    count(way, range(start + chunk * CHUNK, start + (chunk + 1) * CHUNK), 12)


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.parametrize("chunk", range(8))
def test_every_way_on_many(chunk):
    count(every_way, range(3 * 10**6 + chunk * 1000, 3 * 10**6 + (chunk + 1) * 1000), 12)
