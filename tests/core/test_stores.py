"""Stores of single elements are gathered: NumPy's meaning, in any order with reads, at the cost of what is stored."""

import numpy as np
import pytest

from admodes import compile, grad, jacfwd, jacrev, jvp, trace
from admodes.core import tracing
from admodes.core.stores import Filling

X = np.array([0.5, 1.25, -0.75])


def random_stores(seed, shape, dtype=float):
    """A function that stores elements and reads them, whole rows, views and shapes, in random order."""

    def f(x):
        rng = np.random.default_rng(seed)
        y = np.ones(shape, dtype) if seed % 2 else np.asarray(np.outer(x, np.ones(shape[1])) * 1.0, dtype=dtype)
        total = 0.0
        view = None
        for _ in range(40):
            at = tuple(int(rng.integers(-n, n)) for n in shape)
            step = rng.integers(10)
            if step < 4:
                y[at] = x[rng.integers(3)] * rng.random()
            elif step == 4:
                y[at] = float(rng.random())
            elif step == 5:
                y[at] *= x[1]
            elif step == 6:
                total = total + y[at] * len(y) * y.shape[1]
            elif step == 7:
                y[at[0]] += y[:, at[1]].sum()
            elif step == 8:
                view = y[at[0]]
            elif view is not None:
                view[0] = x[0] * view[-1]
                view = None
        return np.append(np.ravel(y), total)

    return f


@pytest.mark.parametrize("seed", range(12))
def test_random_stores_and_reads(seed):
    f = random_stores(seed, (3, 4))
    expected = np.stack([(f(X + 1e-6 * e) - f(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)], axis=-1)
    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f(X))
    for jac in (jacfwd(f), jacrev(f), compile(jacrev(f)), compile(jacfwd(f)), lambda x: trace(jacrev(f), x)(x)):
        np.testing.assert_allclose(jac(X), expected, rtol=1e-6, atol=1e-7)
    second = jacfwd(jacrev(f))(X)
    np.testing.assert_allclose(second, jacrev(jacfwd(f))(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        second, np.stack([(jacrev(f)(X + 1e-6 * e) - jacrev(f)(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)], -1),
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_single_precision(seed):
    """An element that is read back was rounded to the array's dtype, as in NumPy."""
    f = random_stores(seed, (3, 4), np.float32)
    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f(X))


def test_what_numpy_refuses():
    def out_of_bounds(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[3] = x[0]
        return y

    def complex_into_real(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[1] = x[1] * 1j
        return y

    def vector(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[1] = x
        return y

    for f, error in ((out_of_bounds, IndexError), (complex_into_real, TypeError), (vector, (TypeError, ValueError))):
        with pytest.raises(error):
            jacfwd(f)(X)


def test_an_array_without_axes_that_changes_later():
    def f(x):
        s = np.zeros(())
        s[()] = x[0]
        y = np.zeros(2)
        y[0] = s
        s[()] = x[1]
        y[1] = s * 2
        return y

    np.testing.assert_array_equal(jacrev(f)(X), [[1, 0, 0], [0, 2, 0]])


@pytest.mark.parametrize("way", ["jvp", "grad", "trace"])
def test_the_cost_of_many_stores(way, monkeypatch):
    """k stores and reads are one operation on the array: counted in elements that setitem writes."""
    sizes = []
    put = tracing.put
    monkeypatch.setattr("admodes.core.stores.put", lambda x, *rest: (sizes.append(x.size), put(x, *rest))[1])
    k, n = 200, 40

    def f(x):
        y = np.zeros((n, n))
        for i in range(k):
            y[i % n, i // n] = x[i % 3] * 2 + y[i % n, (i + 1) // n]
        assert type(y) is Filling
        return np.sum(y * y)

    f_of = {"jvp": lambda: jvp(f, (X,), (X,)), "grad": lambda: grad(f)(X), "trace": lambda: trace(f, X)}[way]
    with pytest.raises(AssertionError):
        f(X)  # on plain arrays
    f_of()
    sizes.clear()
    f_of()
    assert sizes == [n * n]
    assert sum(i.op.name == "setitem" for i in trace(f, X).instructions) == 1
