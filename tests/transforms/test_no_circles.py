"""What a derivative took is free when it is done: nothing waits for the garbage collector, and no tape ever does."""

import gc

import numpy as np
import pytest

import admodes as ad
from admodes.core.dispatch import Trace
from admodes.core.tracing import Tracer

X = np.linspace(0.1, 0.9, 5)
TIMES = np.array([0.0, 1.0])


def halved(z, x):
    return np.tanh(z) / 2 + x


FUNCTIONS = {
    "plain": lambda x: np.sum(np.sin(x) * x),
    "checkpoint": lambda x: np.sum(ad.checkpoint(lambda y: np.sin(y) * y)(x)),
    "checkpoint of a closure": lambda x: np.sum(ad.checkpoint(lambda y: np.sin(y) * x)(2.0)),
    "chain": lambda x: np.sum(ad.checkpoint_chain([np.sin, lambda y: y * x] * 4, x)),
    "scan": lambda x: np.sum(ad.checkpoint_scan(lambda c, t: (np.sin(c) * t + x, None), x, X)[0]),
    "root": lambda x: np.sum(ad.root(lambda z: halved(z, x) - z, np.zeros(5))),
    "fixed_point": lambda x: np.sum(ad.fixed_point(halved, np.zeros(5), x)),
    "matrix-free": lambda x: np.sum(ad.fixed_point(halved, np.zeros(5), x, linear_solver="gmres")),
    "sparse": lambda x: np.sum(ad.fixed_point(halved, np.zeros(5), x, linear_solver="sparse")),
    "minimize": lambda x: np.sum(ad.minimize(lambda z, x: np.sum((z - x) ** 2), np.zeros(5), x)),
    "constrained": lambda x: np.sum(
        ad.minimize(lambda z: np.sum((z - x) ** 2), np.zeros(5), equality=lambda z: np.sum(z) - x[0]) ** 2
    ),
    "odeint": lambda x: np.sum(ad.odeint(lambda y, t: -x * y, np.ones(5), TIMES)),
}
WAYS = {
    "grad": ad.grad,
    "jacfwd": ad.jacfwd,
    "hessian": ad.hessian,
    "linearize": lambda f: lambda x: ad.linearize(f, x)[1] @ x,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_tape_is_left_to_the_garbage_collector(name, way):
    derivative = WAYS[way](FUNCTIONS[name])
    derivative(X)
    gc.collect()
    before = {id(x) for x in gc.get_objects() if isinstance(x, Trace | Tracer)}
    gc.disable()
    try:
        derivative(X)
        left = [x for x in gc.get_objects() if isinstance(x, Trace | Tracer) and id(x) not in before]
        assert not left
    finally:
        gc.enable()
