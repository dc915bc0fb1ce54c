"""Random programs of what kernels compute: elementwise operations on views, broadcast arrays, casts and reductions, of
shapes around the width of vectors."""

from __future__ import annotations

import numpy as np

UNARY = [
    np.negative, np.square, np.absolute, np.sign, np.sqrt, np.floor, np.exp, np.sin, np.tanh, np.isfinite,
    lambda a: a.astype(np.float32), lambda a: a.astype(np.float64), lambda a: a > 0.25, lambda a: a * 3,
    lambda a: 1.5 - a, lambda a: np.where(a > 0, a, -0.5), lambda a: a**3, lambda a: np.logical_not(a), np.reciprocal,
]  # fmt: skip


def signed(a, b):
    """np.copysign, but for the sign of nan, which nothing specifies."""
    return np.copysign(a, np.where(np.isnan(b), 1.0, b))


BINARY = [
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.hypot, np.arctan2, signed,
    np.less, np.equal, np.logical_or, np.heaviside, lambda a, b: np.where(a < b, a, b), lambda a, b: a * b + a,
    lambda a, b: np.concatenate([a, b * 2, a], axis=-1), lambda a, b: np.stack([a * b, b + a, a * b], axis=-1),
]  # fmt: skip
REDUCTIONS = [np.sum, np.max, np.min, np.prod, np.any, np.all, np.mean]


def as_number(a):
    """Truths as numbers, which arithmetic takes."""
    return a * 1.0 if a.dtype.kind == "b" else a


def view(rng, a):
    """A function that shows some of a, or all of it otherwise."""
    if not a.ndim:
        return lambda x: x[None, None]
    axis = int(rng.integers(a.ndim))
    n = a.shape[axis]
    before = (slice(None),) * axis
    order = rng.permutation(a.ndim).tolist()
    start, step = int(rng.integers(n)), int(rng.choice([1, 1, 1, 2, -1, -2]))
    stop = int(rng.integers(start, n)) + 1
    cut = slice(start, stop, step) if step > 0 else slice(stop - 1, start - 1 if start else None, step)
    grown = int(rng.integers(1, 4))
    places = rng.integers(-n, n, size=(2, 5))
    choices = [
        lambda x: x[(*before, places)],
        lambda x: x[(*before, cut)],
        lambda x: x[(*before, slice(1, None))] if n > 1 else x,
        lambda x: x[(*before, slice(None, -1))] if n > 1 else x,
        lambda x: x[(*before, start)],
        lambda x: np.transpose(x, order),
        lambda x: np.reshape(x, -1),
        lambda x: np.expand_dims(x, axis),
        lambda x: np.broadcast_to(x, (grown, *x.shape)),
        lambda x: np.flip(x, axis),
        lambda x: np.reshape(x, (x.shape[0], -1)),
    ]
    return choices[rng.integers(len(choices))]


def reduction(rng, a):
    fn, axis, keep = REDUCTIONS[rng.integers(len(REDUCTIONS))], None, bool(rng.integers(2))
    if a.ndim and rng.integers(3):
        axes = rng.choice(a.ndim, size=rng.integers(1, a.ndim + 1), replace=False)
        axis = tuple(int(k) - a.ndim * int(rng.integers(2)) for k in axes)
    return lambda x: fn(x, axis=axis, keepdims=keep)


def random_kernel(seed: int, length: int):
    """A function of two arrays, and arguments."""
    rng = np.random.default_rng(seed)
    shapes = [(), (1,), (7,), (8,), (33,), (5, 9), (3, 17), (16, 3), (2, 3, 11), (1, 12), (40, 1), (4, 1, 9)]
    shape = shapes[rng.integers(len(shapes))]
    dtypes = [np.float64, np.float64, np.float64, np.float32, np.int64, np.bool_]
    first = rng.normal(size=shape) * 2
    second = (rng.normal(size=shape) * 3).astype(dtypes[rng.integers(len(dtypes))])
    if second.dtype.kind == "f" and second.ndim and rng.integers(2):
        second[rng.random(shape) < 0.2] = rng.choice([np.nan, np.inf, -np.inf, -0.0, 1e-40, 1e30])
    pool, steps = [first, second], []
    while len(steps) < length:
        i, j = (int(k) for k in rng.integers(len(pool), size=2))
        kind = rng.integers(5)
        if kind < 2:
            step = (UNARY[rng.integers(len(UNARY))], (i,))
        elif kind == 2:
            step = (BINARY[rng.integers(len(BINARY))], (i, j))
        elif kind == 3:
            step = (view(rng, pool[i]), (i,))
        else:
            step = (reduction(rng, pool[i]), (i,))
        try:
            with np.errstate(all="ignore"):
                y = np.asarray(applied(step, pool))
        except (ValueError, TypeError):  # shapes that do not go together; functions without a loop for truths
            continue
        if 0 < y.size <= 2000 and y.ndim <= 4 and y.dtype.char in "df?ql":
            pool.append(y)
            steps.append(step)
    kept = sorted({int(k) for k in rng.integers(len(pool), size=3)} | {len(pool) - 1})

    def f(x, z):
        values = [x, z]
        for step in steps:
            values.append(applied(step, values))
        return [values[k] for k in kept]

    return f, (first, second)


def applied(step, values):
    fn, places = step
    return fn(*(as_number(values[k]) if len(places) == 1 and fn in NUMERIC else values[k] for k in places))


NUMERIC = {np.negative, np.sign, np.square, np.absolute, np.floor, np.isfinite}
