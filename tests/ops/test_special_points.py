"""Derivatives of the ufuncs at the points where a rule may take another formula: zeros, ones, halves, signs.

At random points, where rules are tried too, a formula for one number alone is never met: ∂²(aᵇ)/∂a∂b at b = 0.
"""

import importlib
import itertools

import numpy as np
import pytest
import scipy.special as sc

from admodes import compile, grad, jvp, vjp
from admodes.core.registry import OPS, UNKNOWN, Elementwise

importlib.import_module("admodes.ops.special")
VALUES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
H = 1e-5
# Of complex numbers and integers; at |r| = δ another piece begins; for |λ| < 1e-4 SciPy's values are those at λ = 0.
APART = {"special._lambertw", "special.wofz", "ldexp", "special.huber", "special.tklmbda"}
EVERY = [op for op in OPS.values() if isinstance(op, Elementwise) and isinstance(op.fn, np.ufunc) and op.fn.nout == 1]
ROWS = [op for op in EVERY if UNKNOWN not in op.partials]


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


SEVERAL = [op for op in EVERY if op.fn.nin > 1 and op.name not in {"ldexp", "special._lambertw"}]


def of_whole_numbers(dtype, op, i):
    """Where the slope by argument i is taken: the others are 0, 1, 2 and the largest int8, of this dtype."""
    whole = np.array(list(itertools.product((0, 1, 2, 127), repeat=op.fn.nin - 1)))[:16].T
    args = [*whole.astype(dtype)]
    args.insert(i, np.full(whole.shape[1], 0.3))
    return args


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", SEVERAL, ids=lambda op: op.name)
def test_beside_whole_numbers(op):
    """The slope by one argument is the same whatever kind of whole numbers the others are."""
    for i in range(op.fn.nin):
        if op.partials[i] is not UNKNOWN:
            expected = pushed(op.fn, i)(*of_whole_numbers("i8", op, i))
            for dtype in ("i1", "u1", "i4", "u4"):
                found = pushed(op.fn, i)(*of_whole_numbers(dtype, op, i))
                np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=dtype)


A = np.arange(1.0, 7.0).reshape(2, 3)
K = np.array([50_000, 50_000], "i4")
# What the digits, the range or the kind of numbers decided.
SCALES = {
    "arctan2 of a short integer": (lambda x: np.arctan2(x, np.array([50_000], "i4"))[0], 1.0, 1 / 50_000),
    "arctan2 of float16": (lambda x: np.arctan2(x, np.array([300], "f2"))[0], 1.0, 300 / 90_001),
    "arctan2 near 0": (lambda x: np.arctan2(x, 1e-170), 1e-170, 5e169),
    "arctan2 far away": (lambda x: np.arctan2(x, np.float32(1e20)), np.float32(1e20), 5e-21),
    "angle": (lambda x: np.angle(x + 4e-200j), 3e-200, -1.6e199),
    "arcsinh": (np.arcsinh, np.float32(1e20), 1e-20),
    "expm1": (np.expm1, -40.0, np.exp(-40.0)),
    "logaddexp": (lambda x: np.logaddexp(x, np.float32(1e7)), np.float32(1e7), 0.5),
    "logaddexp2": (lambda x: np.logaddexp2(x, 1e17), 1e17, 0.5),
    "logaddexp of nothing": (lambda x: np.logaddexp(x, -np.inf), -np.inf, 0.0),
    "a small weight": (lambda x: np.logaddexp(x, 40.0), 0.0, np.exp(-40.0)),
    "fmax beside nan": (lambda x: np.fmax(x, np.nan), -1.0, 1.0),
    "fmin beside nan": (lambda x: np.fmin(np.nan, x), -1.0, 1.0),
    "a power of short integers": (lambda x: (x ** np.array([-128], "i1"))[0], 1.1, -128 * 1.1**-129),
    "an exponent of a short integer": (lambda x: (np.array([3], "i1") ** x)[0], 2.0, 9 * np.log(3.0)),
    "einsum of short integers": (lambda x: np.einsum("i,j,j->", x * np.ones(1), K, K), 1.0, 5e9),
    "gradient of integers": (lambda h: np.gradient(np.array([0, 1, 4]), h)[0], 0.25, -16.0),
    "kron with a number": (lambda x: np.sum(np.kron(x * np.ones(3), 2.0)), 1.0, 6.0),
    "clip from below": (lambda x: x.clip(1.0), 2.0, 1.0),
    "item by its number": (lambda x: (A * x * x).item(1), 3.0, 12.0),
    "item by a tuple": (lambda x: (A * x * x).item((1, 0)), 3.0, 24.0),
    "the last item": (lambda x: (A * x * x).item(-1), 3.0, 36.0),
    "remainder": (lambda x: 1.0 % x, 0.1, -9.0),
    "fmod": (lambda x: np.fmod(-1.0, x), 0.1, 9.0),
    "kolmogorov below 0": (sc.kolmogorov, -1.0, 0.0),
}


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("case", SCALES.values(), ids=SCALES)
def test_scales_and_kinds_of_numbers(case):
    f, x, expected = case
    for way in (grad(f), compile(grad(f)), lambda x: jvp(f, (x,), (np.ones_like(x),))[1]):
        np.testing.assert_allclose(way(x), expected, rtol=1e-6, atol=1e-300)
