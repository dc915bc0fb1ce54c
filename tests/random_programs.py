"""Random programs of registered operations on random shapes: smooth, bounded, and written in plain NumPy."""

from __future__ import annotations

import numpy as np

UNARY = [
    np.tanh, np.sin, np.cos, np.arctan, np.expm1, np.square, np.negative, np.sinc, np.arcsinh, np.cosh,
    lambda a: np.exp(-a * a), lambda a: np.sqrt(1 + a * a), lambda a: np.log1p(a * a), lambda a: 1 / (2 + np.sin(a)),
    lambda a: np.logaddexp(a, 0.0), lambda a: np.cbrt(2 + np.cos(a)), lambda a: np.abs(a) * a, lambda a: a**3 / 5,
]  # fmt: skip
BINARY = [
    np.add, np.subtract, np.multiply, np.logaddexp, np.maximum, np.minimum, np.hypot,
    lambda a, b: a / (2 + b * b), lambda a, b: np.arctan2(a, 1 + b * b), lambda a, b: (1.5 + np.sin(a)) ** b,
    lambda a, b: np.where(a > b, a * b, a - b), lambda a, b: np.copysign(a, b) + b,
]  # fmt: skip


def _axis(rng, a):
    return int(rng.integers(-a.ndim, a.ndim)) if a.ndim else None


def _reduction(rng, a):
    fn = [np.sum, np.mean, np.max, np.min, np.var, np.prod][rng.integers(6)]
    axis, keepdims = _axis(rng, a), bool(rng.integers(2))
    return lambda x: fn(x, axis=axis, keepdims=keepdims)


def _running(rng, a):
    fn, axis = [np.cumsum, np.cumprod, np.sort, np.flip][rng.integers(4)], _axis(rng, a)
    return (lambda x: fn(x, axis=axis)) if a.ndim else np.sin


def _shape(rng, a):
    order = rng.permutation(a.ndim).tolist()
    axis = int(rng.integers(a.ndim + 1))
    shift = int(rng.integers(-2, 3))
    return [
        lambda x: np.transpose(x, order),
        lambda x: np.reshape(x, -1),
        lambda x: np.expand_dims(x, axis),
        lambda x: np.roll(x, shift),
        np.squeeze,
        lambda x: np.atleast_1d(x)[::-1],
    ][rng.integers(6)]


def _index(rng, a):
    if not a.ndim or not a.shape[0]:
        return np.cos
    n = a.shape[0]
    rows = rng.integers(-n, n, size=rng.integers(1, 4))
    mask = rng.random(n) < 0.6
    i = int(rng.integers(n))
    return [
        lambda x: x[rows],
        lambda x: x[mask] if mask.any() else x,
        lambda x: x[i],
        lambda x: x[i:],
        lambda x: x[::-1][..., None],
        lambda x: np.concatenate([x, x[rows] * 2]),
    ][rng.integers(6)]


def _assignment(rng, a):
    if not a.ndim or not a.shape[0]:
        return np.sin
    n = a.shape[0]
    i, rows = int(rng.integers(n)), rng.integers(0, n, size=2)

    def set_row(x):
        y = x * 1.0
        y[i] = np.sin(y[0]) * 2
        return y

    def add_rows(x):
        y = np.zeros_like(x)
        y += x
        np.add.at(y, rows, x[rows] * x[0])
        return y

    def through_view(x):
        y = x.copy()
        v = y.T
        v *= 1.5
        y[rows] = y[i]
        return y + v.T

    return [set_row, add_rows, through_view][rng.integers(3)]


def _contraction(rng, a, b):
    def product(x, y):
        x, y = np.atleast_1d(x), np.atleast_1d(y)
        return np.tensordot(np.reshape(x, (-1, x.shape[-1]))[:3], np.reshape(y, (-1, y.shape[-1]))[:2], axes=0)[
            ..., 0, :, :1
        ]

    return [
        product,
        lambda x, y: np.einsum("i,j->ij", np.ravel(x)[:4], np.ravel(y)[:3]),
        lambda x, y: np.outer(np.ravel(x)[:3], np.ravel(y)[:3]) @ np.ravel(y)[:3] if np.size(y) >= 3 else np.sum(x) * y,
        lambda x, y: np.convolve(np.ravel(x)[:4], np.ravel(y)[:3]) if np.size(x) and np.size(y) else np.sum(x) + y,
        lambda x, y: (
            np.linalg.solve(np.outer(np.ravel(x)[:3], np.ravel(x)[:3]) + 3 * np.eye(3), np.ravel(y)[:3])
            if np.size(x) >= 3 and np.size(y) >= 3
            else np.sum(x) * np.sum(y)
        ),
    ][rng.integers(5)]


def random_program(seed: int, length: int):
    """A function of one array, and a point: `length` operations, each on values made before, soft-bounded."""
    rng = np.random.default_rng(seed)
    shape = [(3,), (2, 3), (), (4, 1), (2, 1, 3), (1,), (5,)][rng.integers(7)]
    x = rng.uniform(-1.5, 1.5, size=shape)
    pool, steps = [x], []
    while len(steps) < length:
        i, j = rng.integers(len(pool), size=2)
        kind = rng.integers(7)
        if kind == 0:
            step = (UNARY[rng.integers(len(UNARY))], (i,))
        elif kind == 1:
            step = (BINARY[rng.integers(len(BINARY))], (i, j))
            try:
                np.broadcast_shapes(pool[i].shape, pool[j].shape)
            except ValueError:
                step = (_contraction(rng, pool[i], pool[j]), (i, j))
        elif kind == 2:
            step = (_contraction(rng, pool[i], pool[j]), (i, j))
        else:
            make = (_reduction, _running, _shape, _index, _assignment)
            step = (make[rng.integers(5)](rng, pool[i]), (i,))
        y = np.asarray(_bounded(step[0](*(pool[k] for k in step[1]))))
        if 0 < y.size <= 60 and y.ndim <= 4:
            pool.append(y)
            steps.append(step)

    def f(x):
        values = [x]
        for fn, places in steps:
            values.append(_bounded(fn(*(values[k] for k in places))))
        return sum(np.sum(v) * (k + 1) for k, v in enumerate(values[-4:])) + np.reshape(values[-1], -1)

    return f, x


def _bounded(y):
    """Keep values of order one, so that finite differences mean something."""
    return 2 * np.tanh(y / 2)
