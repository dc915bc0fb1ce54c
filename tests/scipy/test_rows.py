"""Directions of directions, K at once within K at once, of which whole Hessians are made: each row of admodes.scipy."""

import numpy as np
import pytest
import test_ops

import admodes
from admodes.core.registry import OPS

ROWS = [key for key in test_ops.SAMPLED if OPS[key].name.startswith("scipy.")]


def nested(f, xs, rng):
    """Four ways to second derivatives by all arguments agree."""

    def scalar(*xs):
        ys = test_ops.checks.leaves(f)(*xs)
        return sum(np.sum(np.cos(np.arange(y.size)).reshape(y.shape) * y * y) for y in ys)

    places = tuple(range(len(xs)))
    modes = (admodes.jacfwd, admodes.jacrev)
    found = [outer(inner(scalar, places), places)(*xs) for outer in modes for inner in modes]
    for other in found[1:]:
        for row, same in zip(found[0], other, strict=True):
            test_ops.checks.near(row, same, 1e-7, "second derivatives")


@pytest.mark.parametrize("key", ROWS, ids=test_ops.name_of_row)
def test_hessians_by_four_ways(key):
    test_ops.hold(nested, key)


def compiled(f, xs, rng):
    """The flat code of a value and of its Jacobian, at two points."""
    whole, places = test_ops.checks.leaves(f), tuple(range(len(xs)))
    value, jacobian = admodes.compile(whole), admodes.compile(admodes.jacrev(whole, places))
    for ys in (xs, tuple(x * 1.001 for x in xs)):
        test_ops.checks.near(value(*ys), whole(*ys), 1e-10, "compiled")
        for got, right in zip(jacobian(*ys), admodes.jacfwd(whole, places)(*ys), strict=True):
            test_ops.checks.near(got, right, 1e-8, "compiled Jacobian")


@pytest.mark.parametrize("key", ROWS, ids=test_ops.name_of_row)
def test_flat_code_of_rows(key):
    test_ops.hold(compiled, key)


UNCOUNTED = {"block_diag", "toeplitz", "circulant", "quad"}  # they move, or decide how often they call their function


@pytest.mark.parametrize("key", ROWS, ids=test_ops.name_of_row)
def test_work_of_rows_is_counted(key):
    def counted(f, xs, rng):
        assert admodes.cost(test_ops.checks.leaves(f), *xs).flops > 0

    if OPS[key].name.rpartition(".")[2] not in UNCOUNTED:
        test_ops.hold(counted, key, at_most=1)
