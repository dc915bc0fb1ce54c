"""Functions as people write them (tests/everyday.py), unmodified: each argument alone and all together, every way,
against differences."""

import numpy as np
import pytest
from everyday import EVERYDAY

import admodes as ad

CASES = [(name, (i,)) for name, (_, args) in EVERYDAY.items() for i in range(len(args))]
CASES += [(name, tuple(range(len(args)))) for name, (_, args) in EVERYDAY.items() if len(args) > 1]


def slope(g, xs, ts, h=1e-3):
    """Along a direction, by differences of sixth order."""

    def at(s):
        return g(*(x + s * t for x, t in zip(xs, ts, strict=True)))

    return (45 * (at(h) - at(-h)) - 9 * (at(2 * h) - at(-2 * h)) + at(3 * h) - at(-3 * h)) / (60 * h)


def near(found, right, rtol=1e-7):
    np.testing.assert_allclose(found, right, rtol=rtol, atol=rtol * (1 + np.max(np.abs(right), initial=0)))


def flat(blocks, xs):
    """The blocks of a derivative side by side."""
    if hasattr(blocks, "toarray"):
        return blocks.toarray()
    blocks = blocks if isinstance(blocks, tuple) else (blocks,)
    return np.concatenate([np.reshape(b, (-1, np.size(x))) for b, x in zip(blocks, xs, strict=True)], axis=1)


@pytest.mark.parametrize(("name", "nums"), CASES, ids=[f"{n}-{'-'.join(map(str, i))}" for n, i in CASES])
def test_every_way(name, nums):
    f, args = EVERYDAY[name]
    draw = np.random.default_rng(3)
    ts = [draw.normal(size=np.shape(x)) * (i in nums) for i, x in enumerate(args)]
    ts = tuple(t if np.ndim(x) else float(t) for x, t in zip(args, ts, strict=True))
    xs, t = [args[i] for i in nums], np.concatenate([np.ravel(ts[i]) for i in nums])
    places = nums if len(nums) > 1 else nums[0]
    before = [np.copy(x) for x in args]

    def g(*args):
        return np.ravel(f(*args))

    y, dy = ad.jvp(g, args, ts)
    near(y, g(*args), 1e-13)
    near(dy, slope(g, args, ts), 2e-7)
    J = flat(ad.jacfwd(g, argnums=places)(*args), xs)
    near(J @ t, dy, 1e-11)
    near(flat(ad.jacrev(g, argnums=places)(*args), xs), J, 1e-11)
    near(flat(ad.jacobian(g, argnums=places, mode="sparse")(*args), xs), J, 1e-11)
    w = draw.normal(size=y.shape)

    def loss(*args):
        return np.sum(g(*args) * w)

    gradient = ad.grad(loss, argnums=places)
    found = flat(gradient(*args), xs)
    near(found, w @ J[None], 1e-11)
    near(flat(ad.compile(gradient)(*args), xs), found, 1e-11)
    near(flat(ad.trace(gradient, *args)(*args), xs), found, 1e-11)
    if len(nums) == 1 and np.ndim(xs[0]):
        change = np.reshape(slope(gradient, args, ts, 3e-4), -1)
        H = np.reshape(ad.hessian(loss, argnums=places)(*args), (t.size, t.size))
        near(H @ t, change, 3e-6)
        near(np.reshape(ad.hessian(loss, argnums=places, mode="reverse-over-reverse")(*args), H.shape), H, 1e-9)
    for x, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(x, old)
