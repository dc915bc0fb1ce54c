"""What a new user writes first, and what the errors say of it."""

import functools
import math

import numpy as np
import pytest

import admodes as ad


def energy(x):
    """Of a spring."""
    return np.sum(x**2)


X = np.array([1.0, 2.5, 3.0])


@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad, ad.jacfwd, ad.jacrev, ad.jacobian, ad.hessian])
@pytest.mark.parametrize("argument", [X, [1.0, 2.0], 1.0, "x", (X,), {"a": X}])
def test_the_argument_beside_the_function(transform, argument):
    name = transform.__name__
    with pytest.raises(TypeError, match=rf"write {name}\(f\)\(x\)"):
        transform(energy, argument)


@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad, ad.jacfwd, ad.jacrev, ad.hessian])
@pytest.mark.parametrize("argument", [X, 3.0, None])
def test_the_argument_in_place_of_the_function(transform, argument):
    with pytest.raises(TypeError, match=rf"{transform.__name__}\(f\) takes a function"):
        transform(argument)


def test_argnums_of_numpy():

    def two(x, y):
        return np.sum(x * y)

    np.testing.assert_array_equal(ad.grad(two, np.int64(1))(X, 2 * X), X)
    assert len(ad.grad(two, [np.int64(0), 1])(X, X)) == 2


def under(f):
    """f under each transform that a user may meet it by; the gradient of a program too."""
    return [lambda: ad.grad(f)(X), lambda: ad.jvp(f, (X,), (np.eye(3),))[1], lambda: ad.trace(ad.grad(f), X)(X),
            lambda: ad.compile(ad.grad(f))(X)]  # fmt: skip


@pytest.mark.parametrize(
    ("f", "gradient"),
    [
        (lambda x: round(x[1], 1) * x[0], [2.5, 0, 0]),
        (lambda x: round(x[1]) * x[0], [2, 0, 0]),
        (lambda x: math.trunc(x[1]) * x[0], [2, 0, 0]),
        (lambda x: math.floor(x[1]) * x[0], [2, 0, 0]),
        (lambda x: math.ceil(x[1]) * x[0], [3, 0, 0]),
        (lambda x: int(x[1]) * x[0], [2, 0, 0]),
        (lambda x: x[0] * len(range(int(x[2]))), [3, 0, 0]),
        (lambda x: (np.testing.assert_allclose(x, X), x[0])[1], [1, 0, 0]),
        (lambda x: (f"{x[0]:.3f} {x}", x[0])[1], [1, 0, 0]),
    ],
)
def test_what_works(f, gradient):
    """Whole numbers made of a traced value are constant between their jumps."""
    for run in under(f):
        np.testing.assert_array_equal(run(), gradient)


@functools.lru_cache
def cached(x):
    return x**2


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda x: x[0] * len(range(x[2])), TypeError, r"Write int\(x\)"),
        (lambda x: x[0] * [1, 2, 3, 4][x[2]], TypeError, r"Write int\(x\)"),
        (lambda x: np.sum(x[: x[2]]), TypeError, "nt"),
        (lambda x: ("%.3f" % x[0], x[0])[1], ad.Detached, r"f'\{x:.3f\}' to print it"),  # noqa: UP031
        (lambda x: math.sin(x[0]), ad.Detached, "functions of numpy"),
        (lambda x: cached(x[0]), TypeError, r"f\.__wrapped__"),
    ],
)
def test_what_raises_says_what_to_write(f, error, message):
    for run in under(f):
        with pytest.raises(error, match=message):
            run()


def test_a_failed_guard_names_the_branch():
    def bend(x):
        if x[0] > 0:
            return np.sum(x)
        return np.sum(x**2)

    program = ad.trace(ad.grad(bend), X)
    with pytest.raises(ad.GuardFailed, match=r"test_first_minutes.py, line \d+: if x\[0\] > 0:") as failed:
        program(-X)
    line = int(str(failed.value).partition("line ")[2].partition(":")[0])
    assert line == bend.__code__.co_firstlineno + 1


def test_a_failed_guard_of_a_count_names_its_line():
    def steps(x):
        y = x[1]
        for _ in range(int(x[0])):
            y = y * x[2]
        return y

    with pytest.raises(ad.GuardFailed, match=r"for _ in range\(int\(x\[0\]\)\)"):
        ad.trace(steps, X)(X + 1)


def test_help_of_a_derivative():
    import pydoc

    text = pydoc.render_doc(ad.jacobian(energy), renderer=pydoc.plaintext)
    assert "J.plan(*args)" in text
    assert "mode='auto', of energy by its argument 0" in text
    assert "Of a spring." in text
    text = pydoc.render_doc(ad.grad(energy, (0,)), renderer=pydoc.plaintext)
    assert "The gradient of energy by its arguments (0,)" in text
