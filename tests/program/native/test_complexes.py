"""Complex numbers in kernels: every rule against NumPy, nan and infinities included, and programs of them."""

import numpy as np
import pytest
from checks import same

from admodes import compile, grad, jacfwd, trace
from admodes.ops.elementwise import SLOPE, slope
from admodes.program.native import complexes, group
from admodes.program.native.worth import with_kernels
from admodes.program.passes import PASSES, optimise

pytest.importorskip("llvmlite")
NATIVE = with_kernels(PASSES)

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-310, 1.0, -1.0, 2.5, -3.5, 1e308, 0.5, 709.5, -745.0, 1500.0]
ORDINARY = np.random.default_rng(0).normal(size=6) * 3
UNARY = [
    np.negative, np.positive, np.conjugate, np.square, np.reciprocal, np.exp, np.absolute, np.real, np.imag, np.isnan,
    np.isinf, np.isfinite,
]  # fmt: skip
BINARY = [np.add, np.subtract, np.multiply, np.divide, np.equal, np.not_equal, slope]


@pytest.fixture
def width(width, every):
    return width


def native(f, *args, kernels=1):
    """f as a program of one kernel."""
    program = optimise(trace(f, *args), NATIVE)
    assert sum(i.op in group.KERNELS for i in program.instructions) == kernels
    assert len(program.instructions) == kernels
    return program


def plain_product(a, b):
    """As NumPy has it, whose vector code may fuse a product and a sum."""
    y = np.empty(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    y.real, y.imag = a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real
    return y


def test_every_rule_is_tested():
    assert complexes.RULES.keys() == {*UNARY, *BINARY} - {slope} | {SLOPE}


@pytest.mark.parametrize("single", [False, True], ids=["D", "F"])
def test_every_rule_gives_what_numpy_gives(single, width):
    """To the bit but for exp and absolute: 8 ulp, NumPy's own being up to 4 off."""
    numbers = np.array([*SPECIAL, *ORDINARY])
    with np.errstate(all="ignore"):
        z = (numbers[:, None] + np.zeros(len(numbers))).astype(np.complex64 if single else np.complex128)
        z.imag = numbers
        z = z.ravel()
        x = numbers.astype(z.real.dtype)
        a, b = (m.ravel() for m in np.meshgrid(z, z[::7]))
        c, d = (m.ravel() for m in np.meshgrid(z, x))
        pairs = [(a, b), (c, d), (d, c)]
        args = (z, *(m for pair in pairs for m in pair))

        def f(z, *rest):
            return *(fn(z) for fn in UNARY), *(fn(*rest[k : k + 2]) for k in (0, 2, 4) for fn in BINARY)

        found = native(f, *args)(*args)
        exact = {np.multiply: plain_product, np.square: lambda z: plain_product(z, z)}
        calls = [(fn, (z,)) for fn in UNARY] + [(fn, pair) for pair in pairs for fn in BINARY]
        for (fn, given), y in zip(calls, found, strict=True):
            expected = exact.get(fn, fn)(*given)
            assert y.dtype == expected.dtype
            for part in (np.real, np.imag):
                if fn in (np.exp, np.absolute):
                    np.testing.assert_array_equal(np.isfinite(part(y)), np.isfinite(part(expected)))
                    np.testing.assert_array_max_ulp(part(y), part(expected), 8)
                    np.testing.assert_array_equal(np.signbit(part(y)) & ~np.isnan(part(y)),
                                                  np.signbit(part(expected)) & ~np.isnan(part(expected)))  # fmt: skip
                else:
                    same(part(y), part(expected))


Z = np.random.default_rng(1).normal(size=(5, 17, 2)) @ [1, 1j]
X = np.random.default_rng(2).normal(size=(5, 17))
KEPT = np.linspace(-1, 1, 17) * (1 - 0.5j)

PROGRAMS = {
    "views": lambda z, x: np.conj(z[:, ::-1].T)[1:] * z.T[:-1] + np.reshape(z, (17, 5))[1:, :] ** 2,
    "sums": lambda z, x: (np.sum(z * x), np.sum(z * z, axis=0), np.mean(z + 1, axis=1, keepdims=True)),
    "joins": lambda z, x: (np.concatenate([z * 2, x, z[:, :1]], axis=1), np.stack([z, x * z], axis=1) + 1j),
    "selections": lambda z, x: np.where(x > 0, z, x) / np.where(z == z[0], 1.0, z * x),
    "casts": lambda z, x: (z.astype(np.complex64) * np.complex64(2j), (x > 0).astype(complex) - z),
    "constants": lambda z, x: (z * KEPT - 1j, np.exp(1j * x) * np.complex128(1 - 2j)),
    "numbers": lambda z, x: (z[1, 2] * x[0, 0] + 1j, np.abs(z[0, 0]), z[2, 3].astype(np.complex64) / 3),
    "scatters": lambda z, x: written(z * x),
    "rolled": lambda z, x: np.roll(z, 1, axis=1) * np.conj(z) - np.roll(z, -1, axis=0),
}


def written(z):
    y = np.zeros((5, 19), complex)
    y[:, 1:-1] = z * 2
    return y * y


def flat(y):
    return [np.asarray(part) for part in (y if isinstance(y, tuple) else (y,))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_and_their_derivatives(name, width):
    f, made = PROGRAMS[name], 0

    def size(x):
        return sum(np.sum(np.abs(part) ** 2 + np.real(part) * np.imag(part)) for part in flat(f(Z * x, x)))

    for g, args in ((f, (Z, X)), (grad(size), (X,)), (jacfwd(lambda t: f(Z * t, X * t)), (np.float64(0.7),))):
        traced = trace(g, *args)
        program, plain = optimise(traced, NATIVE), optimise(traced)
        made += any(i.op in group.KERNELS for i in program.instructions)
        for found, expected in zip(flat(program(*args)), flat(plain(*args)), strict=True):
            assert found.dtype == expected.dtype
            within = 1e-5 if name in ("casts", "numbers") else 1e-12
            np.testing.assert_allclose(found, expected, rtol=within, atol=within)
    assert made >= 2  # the derivative of a linear function is a constant


@pytest.mark.parametrize(
    "z", [np.asfortranarray(Z), Z[:, ::-1], Z.astype(">c16"), np.repeat(Z, 2, 1)[:, ::2]], ids=["F", "-1", ">", "2"]
)
def test_arguments_of_every_layout(z, width):
    point = np.array(2j, np.complex64)
    fast = compile(lambda z: np.conj(z) * z[::-1] + point, native=True)
    np.testing.assert_allclose(fast(z), np.conj(z) * z[::-1] + 2j, rtol=1e-14)


def test_numbers(width):
    fast = compile(lambda z, w: (z * w + 1, np.abs(z) + np.real(w)), native=True)
    for kind in (complex, np.complex128, np.asarray):
        y, size = fast(kind(1 + 2j), kind(3 - 1j))
        assert type(y) is np.complex128
        assert y == (1 + 2j) * (3 - 1j) + 1
        assert size == np.abs(1 + 2j) + 3
