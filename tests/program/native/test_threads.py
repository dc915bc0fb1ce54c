"""Kernels on several threads: parts that cover the loop, the same results whatever runs when, and nothing split that is
put together from all of it."""

import threading

import numpy as np
import pytest

from admodes import compile, grad, jacfwd, trace, value_and_grad
from admodes.program.native import calls, group, threads
from admodes.program.native.worth import with_kernels
from admodes.program.passes import PASSES, optimise
from admodes.program.primitives import KERNELS

pytestmark = pytest.mark.skipif(
    not calls.usable() or threads._library() is None, reason="llvmlite is not installed, or there are no POSIX threads"
)
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Nests of any length are worth splitting."""
    monkeypatch.setattr(threads, "WORTH_SPLITTING", 1)
    monkeypatch.setattr(calls, "_known", {})


def parts(f, *args, k):
    """How many functions of parts there are in the kernels of f on k threads."""
    program = optimise(trace(f, *args), with_kernels(PASSES, group.kernels_on(k)))
    return sum(KERNELS[i.op].ir.count("define internal ptr @v") for i in program.instructions if i.op in KERNELS)


X, U = RNG.normal(size=1000), RNG.normal(size=(37, 53))
I = RNG.integers(0, 37, 200)
SPLIT = {
    "elementwise": (lambda x, u: np.tanh(x) * np.exp(-x * x), 3),
    "remainder": (lambda x, u: np.sin(x[:997]) + 1, 3),
    "a sum": (lambda x, u: np.sum(np.sin(x) * x), 3),
    "sums and maxima": (lambda x, u: (np.sum(x * x), np.max(x), np.min(x), np.prod(1 + x / 1e3), 2 * x), 4),
    "rows": (lambda x, u: np.sum(u * u, axis=1), 3),
    "broadcast": (lambda x, u: u * x[:53] + x[:37, None], 3),
    "a stencil": (lambda x, u: np.sqrt(1 + (u[1:, 1:] - u[:-1, :-1]) ** 2), 3),
    "reversed": (lambda x, u: x[::-1] * 2 + x, 3),
    "gathered": (lambda x, u: u[I] * 2 + 1, 3),
    "truths": (lambda x, u: np.where(x > 0, x, 0.1 * x) + 1, 3),
}
WHOLE = {
    "columns": lambda x, u: np.sum(u * u, axis=0),
    "scatter": lambda x, u: grad(lambda u: np.sum(u[I] ** 2))(u),
    "all": lambda x, u: np.all(x * 2 > -100),
}


def same(f, k, exact):
    found = compile(f, native=True, threads=k)
    one, again, other = found(X, U), found(X, U), compile(f, native=True)(X, U)
    for a, b, c in zip(*(y if isinstance(y, tuple) else (y,) for y in (one, again, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        if exact or np.ndim(a):
            np.testing.assert_array_equal(a, c)
        else:
            np.testing.assert_allclose(a, c, rtol=1e-14)


@pytest.mark.parametrize("name", SPLIT)
def test_what_is_split_gives_the_same(name):
    f, most = SPLIT[name]
    assert parts(f, X, U, k=1) == 0
    assert 2 <= parts(f, X, U, k=3) <= 3 * most
    for k in (2, 7):
        same(f, k, exact=False)


@pytest.mark.parametrize("name", WHOLE)
def test_what_all_of_a_loop_adds_to_stays_whole(name):
    compiled = compile(WHOLE[name], native=True, threads=3)
    np.testing.assert_array_equal(compiled(X, U), compile(WHOLE[name], native=True)(X, U))


def test_columns_are_not_split():
    assert parts(WHOLE["columns"], X, U, k=3) == 0


def test_derivatives_on_threads():
    def loss(u):
        d, e = u[1:] - u[:-1], u[:, 1:] - u[:, :-1]
        return np.sum(d * d) + np.sum(np.sqrt(1 + e * e))

    for f in (value_and_grad(loss), lambda u: (jacfwd(lambda u: np.sum(np.tanh(u) * u, axis=1))(u),)):
        found = compile(f, native=True, threads=3)(U)
        for a, b in zip(found, compile(f, native=True)(U), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_threads_run_where_the_system_gives_none(monkeypatch):
    _, join = threads._library()
    refuse = threads.ctypes.CFUNCTYPE(threads.ctypes.c_int, *[threads.ctypes.c_void_p] * 4)(lambda *_: 11)
    monkeypatch.setattr(threads, "_library", lambda: (refuse, join))
    f = SPLIT["sums and maxima"][0]
    assert parts(f, X, U, k=3) >= 3
    same(f, 3, exact=False)


def test_short_nests_stay_whole(monkeypatch):
    monkeypatch.undo()
    assert parts(SPLIT["elementwise"][0], X, U, k=3) == 0
    assert parts(SPLIT["elementwise"][0], RNG.normal(size=300_000), U, k=3) == 3


def test_kernels_of_several_python_threads_at_once():
    f = compile(SPLIT["sums and maxima"][0], native=True, threads=3)
    expected, found = f(X, U), []
    callers = [threading.Thread(target=lambda: found.append([f(X, U) for _ in range(50)])) for _ in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    for results in found:
        for y in results:
            for a, b in zip(y, expected, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2"])
def test_numbers_of_threads(k):
    with pytest.raises(ValueError, match="threads"):
        compile(np.sin, threads=k)
