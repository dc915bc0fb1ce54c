"""Native kernels against flat code: every row, random programs, all kinds of arguments; bits where NumPy is exact."""

import math

import numpy as np
import pytest
from checks import same
from random_kernels import random_kernel
from random_programs import random_program

from admodes import compile, grad, jacfwd, trace
from admodes.core.registry import OPS, Elementwise, Passive
from admodes.ops.index import scatter
from admodes.program.native import group, rows
from admodes.program.native.worth import with_kernels
from admodes.program.passes import PASSES, optimise

pytest.importorskip("llvmlite")
NATIVE = with_kernels(PASSES)


@pytest.fixture
def width(width, every):
    return width


def native(f, *args):
    """f as a program with kernels, which has at least one."""
    program = optimise(trace(f, *args), NATIVE)
    assert any(i.op in group.KERNELS for i in program.instructions)
    return program


def close(found, expected, within=1e-10):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    scale = np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=within, atol=within * scale)


def compare_random_kernels(seeds):
    made = 0
    for seed in seeds:
        f, args = random_kernel(seed, 8)
        with np.errstate(all="ignore"):
            traced = trace(f, *args)
            flat, fast = optimise(traced), optimise(traced, NATIVE)
            made += sum(i.op in group.KERNELS for i in fast.instructions)
            single = any(v.dtype == np.float32 for i in traced.instructions for v in i.outs)
            for a, b in zip(fast(*args), flat(*args), strict=True):
                close(a, b, 1e-3 if single else 1e-10)
    assert made > len(seeds) / 2


def test_random_kernels_give_what_flat_code_gives(width):
    compare_random_kernels(range(40 * width, 40 * width + 15))


@pytest.mark.slow
def test_many_random_kernels_give_what_flat_code_gives(width):
    compare_random_kernels(range(10_000 + width, 10_700 + width))


def compare_random_programs(seeds):
    for seed in seeds:
        f, x = random_program(seed, 6)
        for g in (f, jacfwd(f), grad(lambda x, f=f: np.sum(np.sin(f(x))) * np.reshape(x, -1)[0])):
            with np.errstate(all="ignore"):
                traced = trace(g, x)
                close(optimise(traced, NATIVE)(x), optimise(traced)(x), 1e-8)


def test_random_programs_and_their_derivatives(width):
    compare_random_programs(range(width, width + 4))


@pytest.mark.slow
def test_many_random_programs_and_their_derivatives(width):
    compare_random_programs(range(1000 + width, 1400 + width))


# ---------------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------------

# Elementwise functions that stay NumPy's, and why.
NOT_NATIVE = {
    "of complex numbers": {np.real, np.imag, np.conjugate, np.iscomplex, np.isreal, np.angle},
    "of whole numbers": {np.ldexp, np.left_shift, np.right_shift, np.bitwise_count, np.gcd, np.lcm},
    "of the bits": {np.nextafter, np.spacing},
    "of several steps in NumPy": {np.sinc, np.i0, np.round, np.around, np.floor_divide},
    "no elementwise function, or of objects": {
        np.isclose, np.allclose, np.array_equal, np.array_equiv, np.isnat, np.packbits, np.unpackbits,
        np.iscomplexobj, np.isrealobj,
    },
}  # fmt: skip
UFUNCS = [
    fn
    for fn, op in OPS.items()
    if isinstance(op, Elementwise | Passive) and isinstance(fn, np.ufunc) and fn.signature is None and fn.nout == 1
]


# Those of scipy.special are rows where something has loaded them; there is no vector library of them.
NOT_NATIVE["of scipy.special"] = {fn for fn in UFUNCS if getattr(np, fn.__name__, None) is not fn}


@pytest.mark.parametrize("fn", UFUNCS, ids=lambda fn: fn.__name__)
def test_every_elementwise_row_is_native_or_listed_as_not(fn):
    listed = any(fn in functions for functions in NOT_NATIVE.values())
    assert (fn in rows.ROWS or OPS[fn].fn in rows.ROWS) != listed


SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-310, 1.0, -1.0, 2.5, -3.5, 1e308, -1e308, 0.5]
)
EXACT = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.absolute, np.fabs, np.square, np.sqrt,
    np.reciprocal, np.copysign, np.sign, np.heaviside, np.floor, np.ceil, np.trunc, np.rint, np.fmod, np.remainder,
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.logical_and, np.logical_or,
    np.logical_xor, np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit, np.bitwise_and, np.bitwise_or,
    np.bitwise_xor, np.invert, np.deg2rad, np.rad2deg,
}  # fmt: skip
EXTREMES = {np.maximum, np.minimum, np.fmax, np.fmin}  # of 0.0 and −0.0 NumPy gives either
DTYPES = {"d": np.float64, "f": np.float32, "q": np.int64, "i": np.int32, "?": np.bool_}
NATIVE_UFUNCS = [fn for fn in UFUNCS if fn in rows.ROWS and fn is not np.positive]  # which a pass drops


def samples(fn, kind):
    """Arguments: every pair of special values, and ordinary ones."""
    rng = np.random.default_rng(3)
    with np.errstate(all="ignore"):
        if kind in "df":
            few = np.concatenate([SPECIAL, rng.normal(size=30) * 3, 10 ** rng.uniform(-12, 12, size=12)])
        elif kind == "?":
            few = np.array([True, False])
        else:
            few = np.array([0, 1, -1, 7, -8, 2**31 - 1, -(2**31)])
        few = few.astype(DTYPES[kind])
    if fn.nin == 1:
        return (few,)
    a, b = np.meshgrid(few, few, indexing="ij")
    return a.ravel(), b.ravel()


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("fn", NATIVE_UFUNCS, ids=lambda fn: fn.__name__)
def test_every_row_gives_what_numpy_gives(fn, kind, width):
    args = samples(fn, kind)
    with np.errstate(all="ignore"):
        try:
            expected = fn(*args)
        except (TypeError, ValueError):
            pytest.skip("NumPy has no loop for it, or raises for some of these numbers")
        program = optimise(trace(fn, *args), NATIVE)
        if not any(i.op in group.KERNELS for i in program.instructions):
            assert kind not in rows.ROWS[fn].kinds or expected.dtype.char == "e"
            return
        found = program(*args)
        alone = native(fn, *(a[0] for a in args))  # the same without axes: of scalar functions
        one = [np.asarray(alone(*(a[k] for a in args))) for k in range(0, args[0].size, 7)]
    assert found.dtype == expected.dtype
    if fn in EXACT:
        same(found, expected)
        same(np.stack(one), expected[::7])
    elif fn in EXTREMES:
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.stack(one), expected[::7])
    else:
        # log(e^a + e^b) near zero is the difference of numbers of the size of a
        size = np.abs(args[0]) if fn in (np.logaddexp, np.logaddexp2) else np.zeros(1)
        ulps(found, expected, 8, size)
        ulps(np.stack(one), expected[::7], 8, size[::7])


def ulps(found, expected, most, size):
    """Both nan, both the same infinity, or so near: NumPy's own functions are up to 4 ulp from the truth."""
    size = np.where(np.isfinite(size), size, 0).astype(expected.dtype) * np.ones(expected.shape, expected.dtype)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    known = np.isfinite(expected)
    other = ~known & ~np.isnan(expected)
    np.testing.assert_array_equal(found[other], expected[other])
    off = np.abs(found[known].astype(np.float64) - expected[known]) / np.spacing(
        np.maximum(np.abs(expected[known]), size[known])
    )
    assert off.size == 0 or off.max() <= most


# ---------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------

A = np.random.default_rng(1).normal(size=(6, 34))
UNALIGNED = np.frombuffer(b"\0" + A.tobytes(), np.uint8)[1:].view(np.float64).reshape(A.shape)


def stencil(x):
    y = np.tanh(x[1:] * x[:-1]) - np.exp(-x[1:])
    return np.sum(y, axis=1) + np.max(x[1:], axis=1), y[:, ::-1] * 2


class Marked(np.ndarray):
    """A subclass of arrays."""


@pytest.mark.parametrize(
    "x",
    [
        A, np.asfortranarray(A), A[:, ::-1], np.repeat(A, 2, 1)[:, ::2], A.view(Marked), A.astype(">f8"),
        np.broadcast_to(A[:1], A.shape), UNALIGNED, A.T.copy().T,
    ],
    ids=["C", "Fortran", "backwards", "strided", "subclass", "swapped", "broadcast", "unaligned", "turned"],
)  # fmt: skip
def test_arguments_of_every_layout(x, width):
    program = native(stencil, A)
    for found, expected in zip(program.flat(x), stencil(np.array(x, float)), strict=True):
        close(found, expected)
    fast = compile(stencil, native=True)
    for found, expected in zip(fast(x), stencil(x), strict=True):
        close(found, np.asarray(expected))


def test_results_are_memory_of_their_own_and_arguments_stay(width):
    x = A.copy()
    x.flags.writeable = False
    fast = compile(grad(lambda x: np.sum(np.sin(x[1:]) * x[:-1] ** 2)), native=True)
    first = fast(x)
    kept = first.copy()
    second = fast(x * 2)
    same(x, A)
    same(first, kept)
    assert not np.shares_memory(first, second)
    first[:] = 0
    same(fast(x), kept)


def test_numbers_arrays_without_axes_and_empty_ones(width):
    f = grad(lambda x: np.sin(x) * x + np.exp(-x))
    fast = compile(f, native=True)
    for x in (0.3, np.float64(0.3), np.array(0.3)):
        found = fast(x)
        assert type(found) is np.float64
        np.testing.assert_allclose(found, f(x), rtol=1e-15)
    none = np.zeros((0, 4))
    same(compile(lambda x: np.sum(np.exp(x) * x) + 1.0, native=True)(none), np.float64(1.0))


# One element of an array, which NumPy copies where it shows a longer part.
ELEMENTS = [
    ((5,), 3), ((5,), -1), ((2, 3), (1, 2)), ((2, 3), (-1, 0)), ((3, 1, 4), (2, 0, -2)), ((2, 3), (0, slice(1, 2))),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "index"), ELEMENTS)
def test_cotangents_of_single_elements_go_where_they_belong(shape, index, width):
    x = np.random.default_rng(4).normal(size=shape)
    f = lambda x: np.sum(np.sin(x[index]) * np.sum(x * x) + x[index])  # noqa: E731
    gradient, rows = grad(f), jacfwd(lambda x: np.sin(x[index]) * x[index])
    close(native(gradient, x)(x), gradient(x))
    close(native(rows, x)(x), rows(x))
    alone = np.zeros(shape)
    alone[index] = np.cos(x[index]) + 1
    same(native(grad(lambda x: np.sum(np.sin(x[index]) + x[index])), x)(x), alone)


SCATTERED = {
    "elements of a row": ((40,), [(3,), (-1,), (0,), (3,), (20,)]),
    "elements of a matrix": ((6, 9), [(1, 2), (-1, 0), (5, 8), (1, 2)]),
    "rows and columns": ((20, 30), [(slice(None), 3), (4,), (2, slice(5, 20)), (slice(3, 9, 2), 29), (-1, -1)]),
    "backwards": ((5, 40), [(0, slice(20, 10, -1)), (2, slice(7, None, -1)), (4, slice(1, 3))]),
}


@pytest.mark.parametrize("first", [True, False], ids=["dense first", "nothing first"])
@pytest.mark.parametrize("name", SCATTERED)
def test_sums_of_many_scatters_of_few_elements(name, first, width):
    """To the bit: 0.0 and −0.0 too, nan and infinities."""
    shape, indices = SCATTERED[name]
    rng = np.random.default_rng(9)
    x = rng.choice([-0.0, 0.0, 1.5, np.nan, np.inf, -2.0], size=shape)

    def f(x):
        y = x * -1.0 if first else 0.0
        for index in indices:
            u = x[index] * 3.0
            y = y + scatter(u, index, shape, u.ndim)
        return y, np.sum(np.where(np.isfinite(y), y, 1.0)) + y[(0,) * len(shape)]

    with np.errstate(all="ignore"):
        for found, expected in zip(native(f, x)(x), f(x), strict=True):
            same(found, expected)


def test_gradients_by_many_elements(width):
    def f(x):
        total = 0.0
        for k in range(12):
            total = total + np.tanh(x[k, k]) * x[k, 0]
        return np.sum(x * x) * total

    x = np.random.default_rng(2).normal(size=(12, 18))
    close(native(grad(f), x)(x), grad(f)(x))


def test_a_guard_that_fails_traces_again(width):
    fast = compile(lambda x: np.sin(x) * x + 1 if np.sum(x * x) > 1 else -np.cos(x) * x, native=True)
    x = np.linspace(0, 1, 20)
    close(fast(x), np.sin(x) * x + 1)
    close(fast(x / 10), -np.cos(x / 10) * x / 10)
    close(fast(x), np.sin(x) * x + 1)


def test_what_numpy_may_refuse_stays_behind_its_guard():
    """Elsewhere there are other numbers of elements above 0 than the index that is constant chooses."""

    def f(x):
        y = np.sin(x) * 2
        u = x * 1.0
        u[1:3] = np.sort(np.sin(u[2:4]) * u[3:5])
        u[0:2] = np.sort((u[1] * u[2:4]) * u[3:5])
        z = y.copy()
        z[y > 0] *= 0.5
        return np.concatenate([np.sort(z * 2 + z), u, np.sort(y)])

    fast, x = compile(f, native=True), np.linspace(-1, 1, 6)
    for shift in (0.0, 0.5, -0.5):
        close(fast(x + shift), f(x + shift))


@pytest.mark.parametrize("shape", [(1_000_003,), (1000, 33), (33, 1000), (7, 11, 130)])
def test_sums_are_at_least_as_exact_as_numpys(shape, every):
    rng = np.random.default_rng(7)
    x = rng.normal(size=shape) * 10 ** rng.uniform(-6, 6, size=shape)
    f = lambda x: np.sum(x * 1.5)  # noqa: E731
    truth = math.fsum((x * 1.5).ravel())
    error, numpys = (abs(float(y) - truth) for y in (native(f, x)(x), f(x)))
    assert error <= max(numpys, 2 * np.spacing(abs(truth)))
    for axis in range(len(shape)):

        def g(x, axis=axis):
            return np.sum(x * 1.5, axis=axis)

        exact = np.apply_along_axis(math.fsum, axis, x * 1.5)
        error, numpys = (np.max(np.abs(y - exact)) for y in (native(g, x)(x), g(x)))
        assert error <= max(1.5 * numpys, 2 * np.max(np.spacing(np.abs(exact))))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e308])
@pytest.mark.parametrize("size", [5, 40, 3000])
def test_sums_of_infinities(bad, size, every):
    x = np.ones(size)
    x[size // 2] = bad
    f = lambda x: (np.sum(x * 1.0), np.sum(x * -1.0), np.max(x + 0.5), np.min(x + 0.5), np.prod(x * 1.0))  # noqa: E731
    for found, expected in zip(native(f, x)(x), f(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-15)
    zeros = np.full(size, -0.0)
    same(native(lambda x: np.sum(x * 1.0), zeros)(zeros), np.sum(zeros))
