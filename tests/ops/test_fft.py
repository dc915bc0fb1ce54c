"""Fourier transforms against their definition: Jacobians of both modes are the matrices of sums of exponentials.

The checks that every row of the registry passes (test_ops.py) are not repeated here.
"""

import numpy as np
import pytest

import admodes
from admodes.program import cost

NORMS = [None, "backward", "ortho", "forward"]
ONE_AXIS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
GRIDS = ["fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn"]


def scale(name, norm, n):
    backward = name in ("ifft", "irfft", "ihfft")
    if norm == "ortho":
        return 1 / np.sqrt(n)
    return 1 / n if (norm == "forward") != backward else 1.0


def definition(name, m, n, norm):
    """The matrix of a transform of m elements to n: the slow sum, written out; for irfft and hfft on the real part of x
    and on its imaginary part."""
    sign = -1 if name in ("fft", "rfft", "hfft") else 1
    F = np.exp(sign * 2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) * scale(name, norm, n)
    if name in ("irfft", "hfft"):
        half = n // 2 + 1
        full = np.zeros((n, half), complex), np.zeros((n, half), complex)  # by Re x, by Im x: x_(n−k) = conj(x_k)
        for k in range(half):
            mirror = (n - k) % n
            if mirror == k:
                full[0][:, k] = F[:, k]
                continue
            full[0][:, k] = F[:, k] + F[:, mirror]
            full[1][:, k] = 1j * (F[:, k] - F[:, mirror])
        fit = np.eye(half, m)
        return (full[0] @ fit).real, (full[1] @ fit).real
    F = F @ np.eye(n, m)
    return F[: n // 2 + 1] if name in ("rfft", "ihfft") else F


def complex_jacobians(f, x):
    """∂f/∂Re x and ∂f/∂Im x of a complex argument, by pushing the unit vectors and i times them."""
    eye = np.eye(x.size).reshape(x.size, *x.shape)
    return [np.moveaxis(admodes.jvp(f, (x,), (unit * eye,))[1], 0, -1) for unit in (1 + 0j, 1j)]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 2, 3, 6, 7])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "ihfft"])
def test_real_argument_is_the_definition(name, n, norm):
    """Both modes, for truncation, no change and padding, n odd and even."""
    fn, x = getattr(np.fft, name), np.linspace(-1, 2, 5)
    expected = definition(name, 5, n or 5, norm)
    parts = [lambda x: np.real(fn(x, n, norm=norm)), lambda x: np.imag(fn(x, n, norm=norm))]
    for f, J in zip(parts, (expected.real, expected.imag), strict=True):
        np.testing.assert_allclose(admodes.jacfwd(f)(x), J, atol=1e-14)
        np.testing.assert_allclose(admodes.jacrev(f)(x), J, atol=1e-14)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 2, 5, 6, 9, 10])
@pytest.mark.parametrize("name", ["irfft", "hfft"])
def test_transforms_to_real_numbers_are_the_definition(name, n, norm):
    """Weights 1 at k = 0 and n/2, else 2; there the imaginary part of x is ignored, and its derivative is zero."""
    fn = getattr(np.fft, name)
    rng = np.random.default_rng(0)
    x = rng.normal(size=4) + 1j * rng.normal(size=4)
    by_real, by_imaginary = definition(name, 4, n or 6, norm)

    def f(x):
        return fn(x, n, norm=norm)

    np.testing.assert_allclose(fn(x, n, norm=norm), by_real @ x.real + by_imaginary @ x.imag, atol=1e-14)
    forward = complex_jacobians(f, x)
    np.testing.assert_allclose(forward[0], by_real, atol=1e-14)
    np.testing.assert_allclose(forward[1], by_imaginary, atol=1e-14)
    y, pullback = admodes.vjp(f, x)
    (g,) = pullback(np.eye(y.size))  # the gradient of a real function of z is ∂f/∂x − i ∂f/∂y
    np.testing.assert_allclose(g, by_real - 1j * by_imaginary, atol=1e-14)
    np.testing.assert_allclose(admodes.jacrev(f)(x.real), by_real, atol=1e-14)


@pytest.mark.parametrize("name", ["fft", "ifft"])
def test_complex_argument_is_holomorphic(name):
    fn = getattr(np.fft, name)
    x = np.array([1 + 2j, 0.5, -1j, 2])
    J = definition(name, 4, 6, "ortho")

    def f(x):
        return fn(x, 6, norm="ortho")

    np.testing.assert_allclose(admodes.jacfwd(f, holomorphic=True)(x), J, atol=1e-14)
    np.testing.assert_allclose(admodes.jacrev(f, holomorphic=True)(x), J, atol=1e-14)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(
    ("s", "axes"), [(None, (0, 1)), ((4, 3), (1, 0)), ((2, 6), (0, 2)), ((-1, 5), (2, 1)), (None, (1, 2, 0))]
)
def test_several_axes_are_one_after_the_other(name, norm, s, axes):
    """The row of a transform of several axes against the rows of those of one axis, in NumPy's order."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 4, 5))
    first, rest = {"f": ("fft", "fft"), "i": ("ifft", "ifft"), "r": ("rfft", "fft")}[name[0]]
    sizes = [None if n == -1 else n for n in (s or [None] * len(axes))]

    def stepwise(x):
        if name.startswith("irfft"):
            for n, axis in list(zip(sizes, axes, strict=True))[:-1]:
                x = np.fft.ifft(x, n, axis, norm)
            last = sizes[-1] if s is None or sizes[-1] is not None else x.shape[axes[-1]]
            return np.fft.irfft(x, last, axes[-1], norm)
        x = getattr(np.fft, first)(x, sizes[-1], axes[-1], norm)
        for n, axis in reversed(list(zip(sizes, axes, strict=True))[:-1]):
            x = getattr(np.fft, rest)(x, n, axis, norm)
        return x

    def whole(x):
        return getattr(np.fft, name)(x, s, axes, norm)

    if not name.startswith("r"):
        x = x + 1j * rng.normal(size=x.shape)
    t = rng.normal(size=(2, *x.shape))
    y, pushed = admodes.jvp(whole, (x,), (t.astype(x.dtype),))
    np.testing.assert_allclose(y, stepwise(x), atol=1e-12)
    np.testing.assert_allclose(pushed, admodes.jvp(stepwise, (x,), (t.astype(x.dtype),))[1], atol=1e-12)
    u = rng.normal(size=(2, *y.shape)).astype(y.dtype)
    np.testing.assert_allclose(admodes.vjp(whole, x)[1](u)[0], admodes.vjp(stepwise, x)[1](u)[0], atol=1e-12)


def test_power_spectrum_to_second_order():
    """Parseval: Σ|fft x|² = n Σ x², so the gradient is 2n x and the Hessian 2n I, in all nestings."""
    x = np.array([1.0, -2.0, 0.5, 3.0, 1.5])

    def power(x):
        return np.sum(np.abs(np.fft.fft(x)) ** 2)

    np.testing.assert_allclose(admodes.grad(power)(x), 10 * x)
    for mode in ("forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"):
        np.testing.assert_allclose(admodes.hessian(power, mode=mode)(x), 10 * np.eye(5), atol=1e-12)


def test_convolution_theorem():
    """irfft(rfft(a) rfft(b)) is the circular convolution: its Jacobian by a is the circulant matrix of b."""
    a, b = np.random.default_rng(2).normal(size=(2, 7))

    def f(a):
        return np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b), 7)

    circulant = np.stack([np.roll(b, k) for k in range(7)], axis=1)
    np.testing.assert_allclose(admodes.jacfwd(f)(a), circulant, atol=1e-13)
    np.testing.assert_allclose(admodes.jacrev(f)(a), circulant, atol=1e-13)


@pytest.mark.parametrize("name", ONE_AXIS)
def test_single_precision_is_numpys(name):
    fn = getattr(np.fft, name)
    x = np.ones(4, np.float32 if name in ("rfft", "ihfft") else np.complex64)
    y, t = admodes.jvp(fn, (x,), (x,))
    assert y.dtype == t.dtype == fn(x).dtype
    assert admodes.vjp(fn, x)[1](y)[0].dtype == x.dtype


def test_errors_are_numpys():
    with pytest.raises(ValueError, match="Invalid number of FFT data points"):
        admodes.grad(lambda x: np.sum(np.abs(np.fft.fft(x, 0))))(np.ones(3))
    with pytest.raises(IndexError):
        admodes.grad(lambda x: np.sum(np.abs(np.fft.fft(x, axis=1))))(np.ones(3))
    with pytest.raises(ValueError, match="norm"):
        admodes.grad(lambda x: np.sum(np.abs(np.fft.fft(x, norm="half"))))(np.ones(3))


def test_frequencies_of_a_traced_spacing():
    """np.fft.fftfreq is plain arithmetic, so the spacing may be differentiated by."""
    np.testing.assert_allclose(admodes.jacfwd(lambda d: np.fft.fftfreq(4, d))(0.5), [0, -1, 2, 1])


def test_flops():
    """5 n log₂ n for each complex line, half of it for a real one."""
    assert cost(lambda x: np.fft.fft(x, axis=0), np.ones((8, 3), complex)).flops == 3 * 5 * 8 * 3
    assert cost(np.fft.rfft, np.ones((3, 8))).flops == 3 * 2.5 * 8 * 3
    assert cost(np.fft.irfft, np.ones((3, 5), complex)).flops == 3 * 2.5 * 8 * 3
    assert cost(np.fft.fft2, np.ones((2, 4, 8), complex)).flops == 2 * 5 * 32 * 5
