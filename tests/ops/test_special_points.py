"""Derivatives of the ufuncs at the points where a rule may take another formula: zeros, ones, halves, signs.

At random points, where rules are tried too, a formula for one number alone is never met: ∂²(aᵇ)/∂a∂b at b = 0.
"""

import importlib
import itertools

import numpy as np
import pytest

from admodes import jvp, vjp
from admodes.core.registry import OPS, UNKNOWN, Elementwise

importlib.import_module("admodes.ops.special")
VALUES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
H = 1e-5
# Of complex numbers and integers; at |r| = δ another piece begins; for |λ| < 1e-4 SciPy's values are those at λ = 0.
APART = {"special._lambertw", "special.wofz", "ldexp", "special.huber", "special.tklmbda"}
ROWS = [
    op
    for op in OPS.values()
    if isinstance(op, Elementwise) and isinstance(op.fn, np.ufunc) and op.fn.nout == 1 and UNKNOWN not in op.partials
]


def points(fn, values=VALUES):
    """Arguments, an array for each; of several arguments a part."""
    found = np.array(list(itertools.product(values, repeat=fn.nin)))
    if len(found) > 200:
        found = np.random.default_rng(0).permutation(found)[:200]
    return list(found.T)


def by(fn, args, i):
    """fn as a function of args[i] alone."""
    return lambda a: fn(*args[:i], a, *args[i + 1 :])


def pushed(fn, i, t=1.0):
    """∂fn/∂args[i] in the direction t of a function that goes element by element."""
    return lambda *args: jvp(by(fn, args, i), (args[i],), (np.full(args[i].shape, t),))[1]


def pulled(fn, i):
    def slope(*args):
        y, pullback = vjp(by(fn, args, i), args[i])
        return pullback(np.ones(y.shape))[0]

    return slope


def differences(g, args, i, t):
    """∂g/∂args[i] by central differences, and where to trust them: one-sided ones agree, and so do two steps."""

    def at(step):
        return g(*[a + step * t * (k == i) for k, a in enumerate(args)])

    wide, fine = (at(H) - at(-H)) / (2 * H), (at(H / 4) - at(-H / 4)) / (H / 2)
    ahead, behind = (at(H) - at(0)) / H, (at(0) - at(-H)) / H
    scale = 1 + np.abs(wide)
    return wide, (np.abs(ahead - behind) < 1e-2 * scale) & (np.abs(wide - fine) < 1e-5 * scale)


def agrees(found, g, args, i, t=1.0):
    """Where differences can be trusted and what was found is a number, it is what they give; how many these are."""
    expected, trusted = differences(g, args, i, t)
    held = trusted & np.isfinite(found)
    np.testing.assert_allclose(found[held], expected[held], rtol=1e-3, atol=1e-3)
    return int(held.sum())


def numbers_agree(a, b, tolerance):
    both = np.isfinite(a) & np.isfinite(b)
    np.testing.assert_allclose(a[both], b[both], rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", [op for op in ROWS if op.name not in APART], ids=lambda op: op.name)
def test_first_and_second_derivatives(op):
    args = points(op.fn)
    compared = 0
    for i in range(op.fn.nin):
        slope = pushed(op.fn, i)
        first = slope(*args)
        numbers_agree(pulled(op.fn, i)(*args), first, 1e-9)
        compared += agrees(first, op.fn, args, i)
        for j in range(op.fn.nin):
            nested = [way(slope, j)(*args) for way in (pushed, pulled)]
            numbers_agree(*nested, 1e-7)
            compared += agrees(nested[0], slope, args, j)
    assert compared


# Not −0, from which a step leaves a branch cut to its other side.
PARTS = (-2.0, -0.5, 0.0, 0.5, 2.0)
COMPLEX = [complex(a, b) for a in PARTS for b in PARTS]
OF_COMPLEX = [op for op in ROWS if op.fn.nin * "D" in {types.partition("->")[0] for types in op.fn.types}]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("t", [1.0, 1j], ids=["along the real axis", "along the imaginary axis"])
@pytest.mark.parametrize("op", OF_COMPLEX, ids=lambda op: op.name)
def test_of_complex_numbers(op, t):
    """On branch cuts too, along which the imaginary axis leads away: there differences are not trusted."""
    args = points(op.fn, COMPLEX)
    compared = 0
    for i in range(op.fn.nin):
        slope = pushed(op.fn, i, t)
        compared += agrees(slope(*args), op.fn, args, i, t)
        for j in range(op.fn.nin):
            compared += agrees(pushed(slope, j, t)(*args), slope, args, j, t)
    assert compared


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("fn", [np.arcsin, np.arccos, np.arcsinh, np.arccosh, np.arctan, np.arctanh, np.sqrt, np.log])
def test_both_sides_of_a_branch_cut(fn):
    z = np.array([2.0 + 0.0j, -2.0 + 0.0j, complex(0.0, 2.0), complex(0.0, -2.0)])
    first = pushed(fn, 0)
    for slope in (first, pushed(first, 0)):
        np.testing.assert_allclose(slope(np.conj(z)), np.conj(slope(z)), rtol=1e-14, atol=1e-14)
