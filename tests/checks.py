"""What must hold of any derivative: checks of a function f at arguments xs, a tuple of arrays, in both modes.

Agreement is not correctness: `adjoint` holds where push and pull have the same wrong sign, so it never stands without
`differences`.  Inner products are <a, b> = Re Σ aᵢbᵢ: the pull of a C-linear map is its plain transpose.
"""

import itertools
from dataclasses import replace

import numpy as np
import optree

import admodes
from admodes.checking.check import CENTRAL, Comparison
from admodes.checking.point import point
from admodes.checking.verdict import AGREES

# Steps and tolerances.  Central differences: truncation ε²f‴/6 and rounding 1e-16·f/ε, both below 1e-8 of the scale.
STEP = 1e-5
DIFFERENCE = 2e-7
EXACT = 1e-10
SINGLE = 2e-4
NESTINGS = ["forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"]


def jacobian_by_differences(f, x, h=1e-6):
    """The Jacobian of f at x by central differences, of shape (*result, *x.shape)."""
    steps = (h * np.eye(x.size)).reshape(x.size, *x.shape)
    columns = np.stack([(np.asarray(f(x + step)) - np.asarray(f(x - step))) / (2 * h) for step in steps], axis=-1)
    return columns.reshape(columns.shape[:-1] + x.shape)


def same(found, expected):
    """Equal to the last bit: values, dtype, nan where nan, −0.0 where −0.0."""
    found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    if expected.dtype.kind == "f":
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))


def leaves(f):
    """f with its result as a flat tuple of the arrays of numbers in it, or of traced numbers (kind O)."""

    def function(*xs):
        found = optree.tree_leaves(f(*xs))
        return tuple(y for y in found if getattr(y, "dtype", np.dtype(int)).kind in "fcO")

    return function


def like(rng, xs):
    """A random direction an array, of its shape and dtype, neither small nor along an axis."""
    return tuple(_random(rng, np.shape(x), np.result_type(x)) for x in xs)


def _random(rng, shape, dtype):
    t = rng.uniform(0.2, 1.0, shape) * rng.choice([-1.0, 1.0], shape)
    if dtype.kind == "c":
        t = t + 1j * rng.uniform(-1.0, 1.0, shape)
    return np.asarray(t).astype(dtype)[()]


def inner(a, b):
    return sum(np.real(np.sum(x * y)) for x, y in zip(a, b, strict=True))


def near(got, expected, tolerance, what):
    """Every array of `got` within tolerance of `expected`, relative to the larger of 1 and its size."""
    assert len(got) == len(expected), f"{what}: {len(got)} arrays for {len(expected)}"
    for a, b in zip(got, expected, strict=True):
        assert np.shape(a) == np.shape(b), f"{what}: shape {np.shape(a)}, expected {np.shape(b)}"
        scale = max(1.0, np.max(np.abs(b), initial=0.0))
        error = np.max(np.abs(np.asarray(a) - b), initial=0.0)
        assert error <= tolerance * scale, f"{what}: off by {error:.3g} where the size is {scale:.3g}\n{a}\n{b}"


def push(f, xs, ts):
    return admodes.jvp(leaves(f), xs, ts)[1]


def pull(f, xs, us):
    return admodes.vjp(leaves(f), *xs)[1](us)


# ---------------------------------------------------------------------------------------------------
# First order
# ---------------------------------------------------------------------------------------------------


def values(f, xs, rng=None):
    """Both modes give the value that f gives on plain arrays."""
    plain = leaves(lambda *a: optree.tree_map(np.asarray, f(*a)))(*xs)
    near(admodes.jvp(leaves(f), xs, xs)[0], plain, EXACT, "value, forward")
    near(admodes.vjp(leaves(f), *xs)[0], plain, EXACT, "value, reverse")


def adjoint(f, xs, rng):
    """<u, J t> = <J^T u, t>."""
    ts = like(rng, xs)
    pushed = push(f, xs, ts)
    us = like(rng, pushed)
    pulled = pull(f, xs, us)
    near(pulled, [np.zeros(np.shape(x)) for x in xs], np.inf, "cotangent")
    left, right = inner(us, pushed), inner(pulled, ts)
    scale = max(1.0, sum(float(np.sum(np.abs(u * t))) for u, t in zip(us, pushed, strict=True)))
    assert abs(left - right) <= EXACT * scale, f"adjoint: <u, J t> = {left}, <J^T u, t> = {right}"


def differences(f, xs, rng):
    """J t, and <J^T u, t>, against central differences: at one step, and where that does not do, as `check` does."""
    try:
        at_one_step(f, xs, rng)
    except AssertionError:
        at_the_best_steps(f, xs, rng)


def at_one_step(f, xs, rng):
    ts = like(rng, xs)
    expected = central(f, xs, ts)
    near(push(f, xs, ts), expected, DIFFERENCE, "push against differences")
    us = like(rng, expected)
    along, slope = inner(pull(f, xs, us), ts), inner(us, expected)
    scale = max(1.0, sum(float(np.sum(np.abs(u * t))) for u, t in zip(us, expected, strict=True)))
    assert abs(along - slope) <= DIFFERENCE * scale, f"pull against differences: {along}, expected {slope}"


def central(f, xs, ts):
    """(f(x + εt) − f(x − εt)) / 2ε."""
    plain = leaves(lambda *a: optree.tree_map(np.asarray, f(*a)))
    ahead = plain(*(x + STEP * t for x, t in zip(xs, ts, strict=True)))
    behind = plain(*(x - STEP * t for x, t in zip(xs, ts, strict=True)))
    return [(a - b) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]


def at_the_best_steps(f, xs, rng):
    at = replace(point(f, xs), around=1e3)  # what cancels may have terms of this size
    of_differences = itertools.takewhile(
        lambda finding: finding.against == CENTRAL, Comparison(at, 2, rng, rough=False).derivatives()
    )
    for finding in of_differences:
        told = f"{finding.way} against {finding.against}: {finding.verdict} {finding.note} at {finding.where}"
        assert finding.verdict == AGREES, f"{told}: {finding.ours}, expected {finding.theirs}"


def directions(f, xs, rng, count=3):
    """K directions at once are K single ones, in both modes."""
    ts = [like(rng, xs) for _ in range(count)]
    singles = [push(f, xs, t) for t in ts]
    near(push(f, xs, stacked(ts)), stacked(singles), EXACT, f"{count} tangents at once")
    us = [like(rng, singles[0]) for _ in range(count)]
    near(pull(f, xs, stacked(us)), stacked([pull(f, xs, u) for u in us]), EXACT, f"{count} cotangents at once")


def stacked(rows):
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def first_order(f, xs, rng):
    values(f, xs)
    adjoint(f, xs, rng)
    differences(f, xs, rng)


# ---------------------------------------------------------------------------------------------------
# Second order
# ---------------------------------------------------------------------------------------------------


def pushed_along(f, xs, rng):
    """x -> J(x) s for a fixed s."""
    ss = like(rng, xs)
    return lambda *a: push(f, a, ss)


def pulled_from(f, xs, rng):
    """x -> J(x)^T v for a fixed v."""
    vs = like(rng, leaves(lambda *a: optree.tree_map(np.asarray, f(*a)))(*xs))
    return lambda *a: pull(f, a, vs)


def second_order(f, xs, rng):
    """The first-order checks of x -> J s and of x -> J^T v: all four nestings of two modes."""
    for derivative in (pushed_along(f, xs, rng), pulled_from(f, xs, rng)):
        adjoint(derivative, xs, rng)
        differences(derivative, xs, rng)


# ---------------------------------------------------------------------------------------------------
# Dtypes
# ---------------------------------------------------------------------------------------------------

NARROW = {"f": np.float32, "c": np.complex64}
WIDE = {"f": np.float64, "c": np.complex128}


def precision(f, xs, rng):
    """Single precision stays single, where NumPy's own does, and agrees with double."""
    narrow = tuple(x.astype(NARROW[x.dtype.kind]) for x in map(np.asarray, xs))
    wide = tuple(x.astype(WIDE[x.dtype.kind]) for x in narrow)
    ts = like(rng, narrow)
    y, pushed = admodes.jvp(leaves(f), narrow, ts)
    plain = leaves(lambda *a: optree.tree_map(np.asarray, f(*a)))(*narrow)
    us = like(rng, plain)
    value, pullback = admodes.vjp(leaves(f), *narrow)
    pulled = pullback(us)
    for what, got, expected in (("value", y, plain), ("tangent", pushed, plain), ("value of the tape", value, plain),
                                ("cotangent", pulled, narrow)):  # fmt: skip
        dtypes = [np.result_type(a) for a in got], [np.result_type(a) for a in expected]
        assert dtypes[0] == dtypes[1], f"{what} has dtype {dtypes[0]}, expected {dtypes[1]}"
    near(pushed, push(f, wide, _widened(ts)), SINGLE, "tangent in single precision")
    near(pulled, pull(f, wide, _widened(us)), SINGLE, "cotangent in single precision")


def _widened(arrays):
    return tuple(a.astype(WIDE[a.dtype.kind]) for a in arrays)


def same_dtypes(f, xs, rng):
    """Tangents have the dtypes of the result, cotangents those of the arguments."""
    y, pushed = admodes.jvp(leaves(f), xs, like(rng, xs))
    assert [np.result_type(t) for t in pushed] == [np.result_type(v) for v in y], "dtype of a tangent"
    pulled = pull(f, xs, like(rng, y))
    assert [np.result_type(g) for g in pulled] == [np.result_type(x) for x in xs], "dtype of a cotangent"
