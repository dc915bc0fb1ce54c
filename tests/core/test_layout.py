"""Results lie in memory as NumPy's own: where that was asked of numbers of another size, they are left as they are."""

import numpy as np
import pytest

from admodes import Detached, jacfwd, jacrev, jvp, vjp
from admodes.core.layout import Answer, _moved


@pytest.mark.parametrize("asked", [np.ones(3), np.ones(6)[::2], np.ones(3, np.float32)])
def test_strides_of_other_numbers_are_not_taken(asked):
    y = np.array([1 + 4j, 2 + 5j, 3 + 6j])
    np.testing.assert_array_equal(_moved(y, Answer(asked, []), []), [1 + 4j, 2 + 5j, 3 + 6j])


def test_roots_are_real_where_numpys_are():
    p = np.array([1.0, 0.0, -16.0, 1.0])
    for found in (jvp(np.roots, (p,), (p,))[0], vjp(np.roots, p)[0]):
        np.testing.assert_allclose(found, np.roots(p), rtol=1e-12)
        assert found.dtype == np.roots(p).dtype == np.float64


def _read_after_a_store(z, x):
    v = z.imag
    z[0] = x[1] * (1 + 2j)
    return v * 1.0


def _read_after_a_product(z, x):
    v = z[::-1].imag
    z *= z
    return v * v


def _read_part_of_a_part(z, x):
    v = z.imag
    v[0] = x[1]
    w = v[::-1]
    z[1] = 3j * x[0]
    return w * z.real


@pytest.mark.parametrize("read", [_read_after_a_store, _read_after_a_product, _read_part_of_a_part])
def test_the_imaginary_part_shows_what_is_changed_later(read):
    def f(x):
        return read(x + 1j * x**2, x)

    x = np.array([0.2, 0.5])
    slopes = np.stack([(f(x + h) - f(x - h)) / 2e-6 for h in 1e-6 * np.eye(2)], axis=-1)
    np.testing.assert_array_equal(jvp(f, (x,), (x,))[0], f(x))
    np.testing.assert_allclose(jacfwd(f)(x), slopes, atol=1e-8)
    np.testing.assert_allclose(jacrev(f)(x), slopes, atol=1e-8)


def test_what_f_holds_with_another_dtype_takes_no_traced_values():
    """What is stored afterwards would not be seen in it."""

    def f(x):
        z = np.zeros(2, complex)
        parts = z.view(np.float64)
        z[:] = x
        return np.sum(parts)

    for way in (jacfwd, jacrev):
        with pytest.raises(Detached, match="an array that f also holds otherwise"):
            way(f)(np.ones(2))


@pytest.mark.filterwarnings("ignore:Numpy has detected", "ignore:future versions will not create")
def test_of_values_for_one_element_the_last_stays():
    def f(x):
        x = x * 1.0
        rows = np.broadcast_arrays(x, np.zeros((2, 1)))[0]
        rows[:, 1:] = np.stack([x[:1], 3 * x[1:]])
        return x

    x = np.array([1.0, 2.0])
    for way in (jacfwd, jacrev):
        np.testing.assert_array_equal(way(f)(x), np.diag([1.0, 3.0]))


# Those that slices show, and that only positions do.
VIEWS = [
    lambda y: y.T,
    lambda y: y.swapaxes(0, 2)[0],
    lambda y: y.diagonal(),
    lambda y: np.diagonal(y, axis1=0, axis2=2).T,
]
RESULTS = [np.square, lambda v: v + v, lambda v: np.where(v > 0, v, 2 * v), np.zeros_like, lambda v: v.copy("K")]


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_computed_of_a_view_of_changed_memory_lies_as_numpys_does(view):
    x, found = np.random.default_rng(0).normal(size=(2, 3, 2)), []

    def strides(x):
        y = np.sin(x)
        v = view(y)
        y[0] = 1.0
        found.append([np.shape(v), *(result(v).strides for result in RESULTS)])
        return v

    strides(x)
    jvp(strides, (x,), (x,))
    vjp(strides, x)
    assert found[1:] == found[:1] * 2
