"""The seams to Python and to other libraries: what traced values are to isinstance, pickle, copy, foreign operands."""

import copy
import functools
import numbers
import pickle

import numpy as np
import pytest

import admodes as ad
from admodes.core.errors import Detached

X = np.array([0.2, 0.35])

# Every way to run a function under tracers, by the derivative of its sum.
WAYS = {
    "forward": lambda f, x: ad.jacfwd(lambda x: np.sum(f(x)))(x),
    "reverse": lambda f, x: ad.grad(lambda x: np.sum(f(x)))(x),
    "compiled": lambda f, x: ad.compile(ad.grad(lambda x: np.sum(f(x))))(x),
    "nested": lambda f, x: ad.grad(lambda s: ad.jvp(lambda x: np.sum(f(x)), (x,), (s,))[1])(x),
}
every_way = pytest.mark.parametrize("derivative", WAYS.values(), ids=WAYS)


# ---------------------------------------------------------------------------------------------------
# What kind of thing a traced value is
# ---------------------------------------------------------------------------------------------------

KINDS = (np.ndarray, np.generic, np.floating, float, int, complex, numbers.Number, numbers.Real, np.float32, list)


@every_way
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_isinstance_says_of_a_traced_value_what_it_says_of_the_plain_one(derivative, dtype):
    def kinds(x):
        return [[isinstance(v, kind) for kind in KINDS] + [np.isscalar(v)] for v in (x, x[0], x.sum(), x[:0], x * 1j)]

    seen = []
    derivative(lambda x: (seen.append(kinds(x)), x * x)[1], X.astype(dtype))
    assert seen
    assert all(of == kinds(X.astype(dtype)) for of in seen)


@every_way
def test_a_branch_on_the_kind_goes_the_way_of_arrays(derivative):
    def f(x):
        return x**2 if isinstance(x, np.ndarray) else x * 0

    @functools.singledispatch
    def g(x):
        raise TypeError

    g.register(np.ndarray, lambda x: x**2)
    for function in (f, g):
        assert np.allclose(derivative(function, X), 2 * X)


def test_the_class_of_a_traced_array_makes_no_array():
    with pytest.raises(TypeError, match="zeros_like"):
        ad.grad(lambda x: np.sum(x.__class__((2,))))(X)


# ---------------------------------------------------------------------------------------------------
# Copies, near and far
# ---------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("carry", [lambda x: x, lambda x: [x], lambda x: {"a": x[0]}, lambda x: np.array([x[0], x[1]])])
def test_pickle_would_detach(derivative, carry):
    with pytest.raises(Detached, match=r"pickling x.*inside the function that is sent"):
        derivative(lambda x: pickle.loads(pickle.dumps(carry(x))), X)


@every_way
def test_deepcopy_is_a_copy(derivative):
    def f(x):
        y, (z, w), a = copy.copy(x), copy.deepcopy([x, {"b": x[0]}]), copy.deepcopy(np.array([x[0], x[1]]))
        x *= 3.0
        return y * z * w["b"] * a

    assert np.allclose(derivative(f, X), [4 * X[0] ** 3 + X[1] ** 3, 3 * X[0] * X[1] ** 2])
