"""Functions that are given to checkpoints, with trees that they change and arrays that they make and fill.

Random steps in each, and what they give without a checkpoint is what is right.
"""

import numpy as np
import pytest
from checks import NESTINGS

import admodes as ad

X = np.array([0.7, 1.1, 0.4])

# What a step does to its arrays a and b, of one shape, and what stands for them afterwards.
LINES = {
    "a *= b": lambda a, b: (a.__imul__(b), b),
    "b += sin a": lambda a, b: (a, b.__iadd__(np.sin(a))),
    "a[0] = 1": lambda a, b: (a, b, a.__setitem__(0, 1.0))[:2],
    "a[1:] = b[:-1]": lambda a, b: (a, b, a.__setitem__(slice(1, None), b[:-1] * 0.5))[:2],
    "swapped": lambda a, b: (b, a),
    "one for both": lambda a, b: (a, a),
    "reversed": lambda a, b: (a[::-1], b),
    "out=": lambda a, b: (np.multiply(a, 0.5, out=a), b),
    "new": lambda a, b: (np.cos(a) * b, b - a),
    "filled": lambda a, b: (_filled(a, b), b),
    "a constant": lambda a, b: (a, np.ones(3)),
}


def _filled(a, b):
    y = np.zeros(3)
    y[:] = a
    y[1] += b[0]
    return y


def _step(lines, kind):
    def step(state):
        a, b = (state["a"], state["b"]) if kind == "dict" else state
        for line in lines:
            a, b = LINES[line](a, b)
        return {"a": a, "b": b} if kind == "dict" else (a, b)

    return step


def _copied(state):
    return {k: v * 1.0 for k, v in state.items()} if isinstance(state, dict) else tuple(v * 1.0 for v in state)


def _plainly(steps, state):
    for step in steps:
        state = step(_copied(state))
    return state


def _one_by_one(steps, state):
    for step in steps:
        state = ad.checkpoint(step)(state)
    return state


WAYS = {
    "checkpoint": _one_by_one,
    "chain": lambda steps, state: ad.checkpoint_chain(steps, state, snapshots=2),
    "an iterator": lambda steps, state: ad.checkpoint_chain(iter(steps), state, snapshots=2),
    "scan": lambda steps, state: ad.checkpoint_scan(
        lambda state, x: (steps[0](state), None), state, np.ones(len(steps)), snapshots=2
    )[0],
}


def _function(way, steps, kind, fills):
    def f(x):
        a, b = x * 1.0, np.exp(x)
        if fills:
            w = np.zeros(3)
            w[:] = x
            a, b = w[::-1], w
        out = way(steps, {"a": a, "b": b} if kind == "dict" else (a, b))
        a, b = out.values() if kind == "dict" else out
        a *= 2  # a result is an array of its own, for it and for what was given
        return np.sum(a * b) + np.sum(b) ** 2 + np.sum(x)

    return f


@pytest.mark.parametrize("seed", range(12))
def test_random_steps(seed):
    rng = np.random.default_rng(seed)
    name, kind = list(WAYS)[seed % 4], ("dict", "tuple")[seed // 4 % 2]
    drawn = [rng.choice(list(LINES), 3) for _ in range(1 if name == "scan" else 2)] * (3 if name == "scan" else 1)
    steps = [_step(lines, kind) for lines in drawn]
    fills = bool(rng.integers(2))
    f, right = _function(WAYS[name], steps, kind, fills), _function(_owning, steps, kind, fills)
    said = f"{name}, {kind}, {[list(lines) for lines in drawn]}, {fills}"
    for derivative in (lambda f: f, ad.grad, ad.jacfwd, lambda f: ad.compile(ad.grad(f)), lambda f: ad.compile(f)):
        np.testing.assert_allclose(derivative(f)(X), derivative(right)(X), rtol=1e-12, err_msg=said)
    for nesting in NESTINGS[seed % 2 :: 2]:
        found = ad.hessian(f, mode=nesting)(X)
        np.testing.assert_allclose(found, ad.hessian(right)(X), rtol=1e-9, err_msg=said)


def _owning(steps, state):
    return _copied(_plainly(steps, state))


GIVEN = {
    "checkpoint": ad.checkpoint,
    "chain": lambda f: lambda y: ad.checkpoint_chain([f], y),
    "scan": lambda f: lambda y: ad.checkpoint_scan(lambda c, x: (f(c), None), y, np.ones(1))[0],
    "custom_op": lambda f: ad.custom_op(f, push=lambda t, y, x: f(t)),
    "composite": lambda f: ad.custom_op(f, composite=f),
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("f", [lambda a: a, lambda a: a[::-1], lambda a: np.reshape(a, -1)])
def test_a_result_is_an_array_of_its_own(name, f):
    """A view of the argument too, in a plain call as under every transform."""

    def g(x):
        y = x * x
        u = GIVEN[name](f)(y)
        u *= 2
        y += 1
        return np.array([np.sum(y), np.sum(u[:2])])

    right = np.stack([2 * X, 4 * X * f(np.array([1, 1, 0]))])
    for way in (ad.jacfwd, ad.jacrev, lambda g: ad.compile(ad.jacrev(g)), lambda g: ad.jacrev(ad.compile(g))):
        np.testing.assert_allclose(way(g)(X), right, rtol=1e-15)
    for run in (g, ad.compile(g), lambda x: ad.vjp(g, x)[0]):
        np.testing.assert_allclose(run(X), [np.sum(X**2 + 1), 2 * np.sum(f(X**2)[:2])], rtol=1e-15)
    x = X.copy()
    ad.checkpoint(lambda a: a.__imul__(2))(x)
    ad.checkpoint_chain([lambda a: a.__imul__(2)], x)
    np.testing.assert_array_equal(x, X)


def test_parts_of_one_array_are_given_each_by_its_value():
    def step(s):
        a, b = s
        a *= b
        return a, b

    def f(x):
        return np.sum(ad.checkpoint_chain([step], (x[:2], x[1:]))[0])

    np.testing.assert_allclose(ad.grad(f)(X), [X[1], X[0] + X[2], X[1]])
