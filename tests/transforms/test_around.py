"""What functions given to checkpoints and implicit functions read from around them, and what they store there."""

import numpy as np
import pytest

import admodes as ad
from admodes.core.errors import LeakedTracer, OverwrittenValue

X = np.array([0.3, 0.7])
GLOBAL = {}


class Layer:
    def __init__(self):
        self.w, self.last, self.cache = 2.0, None, {}

    def __call__(self, a):
        self.last = self.cache["a"] = np.sin(a) * self.w
        return a * 3


# Each takes a way of applying a function, and gives a function that reads what that function stores.
def array(applied):
    def f(x):
        y = np.zeros(2)

        def body(a):
            y[0] = a[0] ** 2
            return a * 3

        return np.sum(applied(body, x)) + y[0]

    return f


def filled_array(applied):
    def f(x):
        w, y = np.zeros(3), np.zeros(2)
        w[:2] = x

        def body(a):
            y[0], w[2] = a[0] ** 2, a[1]
            return a * 3

        return np.sum(applied(body, x)) + y[0] * w[2]

    return f


def traced_array(applied):
    def f(x):
        w = x * 2

        def body(a):
            w[0] = a[1] * 5
            return a * w

        return np.sum(applied(body, x)) + np.sum(w)

    return f


def attributes(applied):
    def f(x):
        layer = Layer()
        return np.sum(applied(layer, x)) + layer.last[0] * layer.cache["a"][1]

    return f


def an_item(applied):
    def f(x):
        n = [0.0]

        def body(a):
            n[0] = n[0] + a[0] ** 2
            return a * 3

        return np.sum(applied(body, x)) + n[0]

    return f


def a_list(applied):
    def f(x):
        past = [x * 2]

        def body(a):
            past.append(a * a)
            return a * past[0]

        return np.sum(applied(body, x)) + np.sum(past[-1])

    return f


def a_variable(applied):
    def f(x):
        last, w = 0.0, x * 2

        def body(a):
            nonlocal last
            last = a[0] * w[1]
            return a * 3

        return np.sum(applied(body, x)) + last

    return f


def a_global(applied):
    def f(x):
        def body(a):
            GLOBAL["norm"] = np.linalg.norm(a)
            return a * 3

        return np.sum(applied(body, x)) + GLOBAL["norm"]

    return f


# What is read, and is another when the function runs again.
def of_a_loop(applied):
    def f(x):
        w, d = np.ones(2), {}
        for i in range(1, 4):
            w *= i
            d["i"] = w * i
            x = applied(lambda a: a * a * w * i + d["i"], x)
        return np.sum(x)

    return f


def counted(applied):
    def f(x):
        n = [0]

        def body(a):
            n[0] += 1
            return a * a

        return np.sum(applied(body, x)) * 2.0

    return f


def counted_beside(applied):
    """A counter in the object and the list that also hold what is another later."""

    def f(x):
        layer, n = Layer(), [0, 2.0]

        def body(a):
            layer.runs = n[0] = n[0] + 1
            return a * a * layer.w * n[1]

        for k in range(2):
            layer.w, n[1] = k + 1.0, k + 3.0
            x = applied(body, x)
        return np.sum(x)

    return f


def scratch(applied):
    def f(x):
        room = np.empty(2)

        def body(a):
            np.multiply(a, a, out=room)
            return room * a

        return np.sum(applied(body, x))

    return f


ONES = np.ones(2)


def copied_default(applied):
    def body(a, d=ONES):
        e = d.copy()
        e *= a
        return e * a

    return lambda x: np.sum(applied(body, x))


STORES = [array, filled_array, traced_array, attributes, an_item, a_list, a_variable, a_global]
READS = [of_a_loop, counted, counted_beside, scratch, copied_default]


def times(count):
    def applied(f, x):
        for _ in range(count):
            x = f(x)
        return x

    return applied


CHECKPOINTS = {
    "checkpoint": (1, lambda f, x: ad.checkpoint(f)(x)),
    "chain of one": (1, lambda f, x: ad.checkpoint_chain([f], x)),
    "chain": (3, lambda f, x: ad.checkpoint_chain([f] * 3, x, snapshots=2)),
    "scan": (3, lambda f, x: ad.checkpoint_scan(lambda a, _: (f(a), None), x, np.ones(3), snapshots=2)[0]),
    "iterator": (3, lambda f, x: ad.checkpoint_chain(iter([f] * 3), x, snapshots=2)),
}
WAYS = {
    "vjp": lambda f: lambda x: ad.vjp(f, x)[0],
    "grad": ad.grad,
    "compiled": lambda f: ad.compile(ad.grad(f)),
    "hessian": ad.hessian,
    "reverse twice": lambda f: ad.hessian(f, mode="reverse-over-reverse"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("case", STORES + READS)
def test_checkpoints_and_what_is_around_the_function(name, case):
    count, applied = CHECKPOINTS[name]
    f, plain = case(applied), case(times(count))
    np.testing.assert_array_equal(f(X), plain(X))
    for way in WAYS.values():
        if name == "iterator" and case in (*STORES, scratch):
            with pytest.raises(TypeError, match="a step from an iterator stores something outside of itself"):
                way(f)(X)
        else:
            np.testing.assert_allclose(way(f)(X), way(plain)(X), rtol=1e-12)


def test_constants_are_as_they_were_when_the_function_ran():
    def f(x, size):
        c = np.full(size, 2.0)
        y = ad.checkpoint(lambda a, c: a * c[:2] * a)(x, c)
        c *= 3
        return np.sum(y)

    np.testing.assert_allclose(ad.grad(f)(X, 2), 4 * X)
    with pytest.raises(OverwrittenValue):
        ad.grad(f)(X, 50_000)


def test_a_large_array_that_is_stored_to_is_refused():
    """It cannot be made as it was, to run the function once more."""
    past = np.zeros(200_000)

    def body(a):
        past[:2] = a
        return a * 3

    with pytest.raises(TypeError, match="too large to be made as it was"):
        ad.grad(lambda x: np.sum(ad.checkpoint(body)(x)))(X)


T = np.array([0.0, 1.0])
IMPLICIT = {
    "root": lambda f, x: ad.root(lambda z, p: z - p - 0.1 * f(z * p), np.zeros(2), x),
    "fixed_point": lambda f, x: ad.fixed_point(lambda z, p: p + 0.1 * f(z * p), np.zeros(2), x),
    "minimize": lambda f, x: ad.minimize(lambda z, p: np.sum((z - p) ** 2 + 0.1 * f(z * p)), np.zeros(2), x),
    "odeint": lambda f, x: ad.odeint(lambda y, t, p: -y * p + 0.1 * f(y * p), np.ones(2), T, x, rtol=1e-4, atol=1e-6)[
        -1
    ],
}


@pytest.mark.parametrize("name", IMPLICIT)
def test_implicit_functions_and_what_is_around_the_function(name):
    applied = IMPLICIT[name]
    ways = [ad.grad, ad.jacfwd, lambda f: ad.compile(ad.grad(f))]
    for case in STORES[:-1]:
        for way in ways if case is array else ways[:1]:
            with pytest.raises((TypeError, LeakedTracer), match=r"given to|stores something outside|detach|returned"):
                way(case(applied))(X)

    def of_a_loop(x):
        return sum(np.sum(applied(lambda a: a * a * i, x)) for i in (1.0, 2.0))

    def apart(x):
        return np.sum(applied(lambda a: a * a, x)) + np.sum(applied(lambda a: a * a * 2.0, x))

    def scratch_twice(x):
        room = np.empty(2)

        def body(a):
            np.multiply(a, a, out=room)
            return room * a

        return np.sum(applied(body, x)) + np.sum(applied(body, x))

    pairs = [(scratch_twice, lambda x: 2 * np.sum(applied(lambda a: a * a * a, x))), (of_a_loop, apart)]
    for f, plain in pairs:
        for way in (*ways, ad.compile):
            np.testing.assert_allclose(way(f)(X), way(plain)(X), rtol=1e-3)
