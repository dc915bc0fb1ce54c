"""Arrays that are overwritten between their recording and a sweep: no derivative changes silently."""

import numpy as np
import pytest

from admodes import grad, jacrev, linearize, vjp
from admodes.core.errors import OverwrittenValue
from admodes.core.reverse import COPIED_BYTES

N = COPIED_BYTES // 8 + 1000  # doubles: an array that the tape watches and does not copy


def used_twice(x, buffer):
    """x·1 + x·3, with one buffer for both, which in the end holds what it held at first."""
    buffer[:] = 1.0
    first = x * buffer
    buffer[:] = 3.0
    second = x * buffer
    buffer[:] = 1.0
    return first + second


@pytest.mark.parametrize("size", [100, N])
def test_a_buffer_used_again_and_restored_counts_with_what_it_held(size):
    """At the sweep the buffer is as it was first recorded: only what was seen at the second recording tells."""
    x = np.linspace(1.0, 2.0, size)
    np.testing.assert_array_equal(grad(lambda x: np.sum(used_twice(x, np.empty(size))))(x), np.full(size, 4.0))
    pullback = vjp(lambda x: used_twice(x, np.empty(size)), x)[1]
    np.testing.assert_array_equal(pullback(np.ones(size))[0], np.full(size, 4.0))
    pushed = linearize(lambda x: used_twice(x, np.empty(size)), x)[1] @ np.ones(size)
    np.testing.assert_array_equal(pushed, np.full(size, 4.0))


def test_a_buffer_used_again_is_watched_with_its_later_content_too():
    """The copy of the second content is the tape's own; the buffer itself stays under watch with its first."""
    buffer = np.empty(N)
    pullback = vjp(lambda x: used_twice(x, buffer), np.ones(N))[1]
    np.testing.assert_array_equal(pullback(np.ones(N))[0], np.full(N, 4.0))
    buffer[7] = 2.0
    with pytest.raises(OverwrittenValue):
        pullback(np.ones(N))


@pytest.mark.parametrize(
    "shape", [(40, 509), (509, 40), (40, 1018), (20, 2, 509), (40, 521), (521, 40), (8, 509 * 521)]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_exchanged_rows_or_columns_are_seen(shape, order):
    """Whatever the extents: sums over places that are a period apart would not see rows of that period exchanged."""
    c = np.asarray(np.random.default_rng(0).normal(size=shape), order=order)
    for axis in range(c.ndim):
        pullback = vjp(lambda x: x * c, np.ones(shape))[1]
        np.testing.assert_array_equal(pullback(np.ones(shape))[0], c)
        rows = np.moveaxis(c, axis, 0)
        rows[[0, 1]] = rows[[1, 0]]
        with pytest.raises(OverwrittenValue):
            pullback(np.ones(shape))


def test_an_unchanged_large_array_may_be_met_again_and_again():
    c = np.linspace(1.0, 2.0, N)
    J = jacrev(lambda s: np.array([np.sum(s * c), np.sum(s * s * c)]))(2.0)
    np.testing.assert_allclose(J, [np.sum(c), 4 * np.sum(c)])
