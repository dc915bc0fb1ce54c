"""Steps of random programs that add an array: a view, a copy, a smooth function of one array or two."""

from __future__ import annotations

import copy
import pickle

import numpy as np

ARRAY = [np.array]  # as functions bound beforehand have it: of traced scalars it makes an array of objects


def _slice(rng, n):
    step = int(rng.choice([1, 1, 1, -1, 2, -2, 3]))
    a, b = (None if rng.random() < 0.5 else int(rng.integers(-n, n + 1)) for _ in range(2))
    return slice(a, b, step)


def _basic(rng, shape):
    """An index that takes a view."""
    index = []
    for n in shape[: int(rng.integers(1, len(shape) + 1))] if shape else ():
        index.append(_slice(rng, n) if rng.random() < 0.7 or not n else int(rng.integers(-n, n)))
    if rng.random() < 0.3:
        index.insert(int(rng.integers(len(index) + 1)), None)
    if rng.random() < 0.4:
        index.insert(int(rng.integers(len(index) + 1)), ...)
    return tuple(index) if len(index) != 1 or rng.random() < 0.5 else index[0]


def advanced_index(rng, shape):
    """An index by integers, maybe repeated, or by a mask."""
    if not shape or not np.prod(shape):
        return True if rng.random() < 0.5 else np.True_
    n, kind = shape[0], rng.integers(10)
    rows = rng.integers(-n, n, size=tuple(rng.integers(1, 4, size=rng.integers(1, 3))))
    if kind == 0:
        return rows
    if kind == 1:
        return rows.tolist()
    if kind == 2:
        return rng.random(n) < 0.6
    if kind == 3:
        return rng.random(shape) < 0.5
    if kind == 4 and len(shape) > 1:
        return (rows, rng.integers(0, shape[1], size=rows.shape[-1:]))
    if kind == 5 and len(shape) > 1:
        return (slice(None), rng.integers(0, shape[1], size=2))
    if kind > 5 and len(shape) > 1:  # apart from each other, their axis leads
        apart, axis = [(..., -1), (None, 1), (slice(None), 2), (slice(None, None, -1), 2)][
            rng.integers(4 if len(shape) > 2 else 2)
        ]
        return (rows if kind > 6 else int(rows.flat[0]), apart, rng.integers(0, shape[axis], size=rows.shape[-1:]))
    if kind == 9:
        return (None, rows)
    return [True, False] if n == 2 else rows[..., :1]


def any_index(rng, shape):
    return _basic(rng, shape) if rng.random() < 0.6 else advanced_index(rng, shape)


def _order(rng):
    return str(rng.choice(list("CFAK")))


# ---------------------------------------------------------------------------------------------------
# Steps that add an array: a function of one or two arrays
# ---------------------------------------------------------------------------------------------------


def view(rng, a):
    axes = rng.permutation(a.ndim).tolist()
    order, k, n = _order(rng), int(rng.integers(-4, 5)), a.shape[0] if a.ndim else 0
    index = _basic(rng, a.shape)
    axis = int(rng.integers(a.ndim)) if a.ndim else 0
    pieces, piece = int(rng.integers(1, 4)), int(rng.integers(3))
    shapes = [(-1,), (1, -1), (-1, 1), (2, -1), (-1, 2), a.shape, a.shape[::-1], (a.size, 1)]
    shape = shapes[rng.integers(len(shapes))]
    choices = [
        lambda x: x[index],
        lambda x: x[index],
        lambda x: x[...],
        lambda x: x.T,
        lambda x: np.transpose(x, axes),
        lambda x: x.reshape(shape, order="C" if order == "K" else order),
        lambda x: np.reshape(x, shape),
        lambda x: x.ravel(order),
        lambda x: np.ravel(x),
        lambda x: np.flip(x),
        lambda x: np.flip(x, axis),
        lambda x: np.fliplr(x),
        lambda x: np.flipud(x),
        lambda x: np.rot90(x, k),
        lambda x: np.swapaxes(x, 0, axis),
        lambda x: np.moveaxis(x, axis, 0),
        lambda x: np.rollaxis(x, axis),
        lambda x: np.expand_dims(x, axis),
        lambda x: np.squeeze(x),
        lambda x: x.squeeze(),
        lambda x: np.atleast_2d(x),
        lambda x: np.atleast_3d(x),
        lambda x: np.array_split(x, pieces, axis)[piece % pieces],
        lambda x: np.split(x, n)[piece % n],
        lambda x: np.diagonal(x, k % 2),
        lambda x: np.diag(x),
        lambda x: np.einsum("ii->i", x[: x.shape[1], : x.shape[0]]),
        lambda x: np.einsum("ij->ji", x),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis),
        lambda x: np.broadcast_to(x, (2, *x.shape)),
        lambda x: np.broadcast_arrays(x, np.zeros((2, 1)))[0],
        lambda x: x.real,
        lambda x: np.real(x),
        lambda x: x.conj(),
        lambda x: np.ix_(x)[0],
        lambda x: np.meshgrid(x, x, copy=False)[piece % 2],
        lambda x: np.meshgrid(x, x, sparse=True)[piece % 2],
        lambda x: np.unstack(x)[piece % n],
        lambda x: list(x)[piece % n],
        lambda x: np.permute_dims(x),
        lambda x: np.astype(x, x.dtype, copy=False),
        lambda x: x.astype(x.dtype, copy=False),
        lambda x: np.trim_zeros(x),
        lambda x: np.asarray(x),
        lambda x: np.asanyarray(x),
        lambda x: np.ascontiguousarray(x),
        lambda x: np.asfortranarray(x),
        lambda x: x.mT,
        lambda x: np.matrix_transpose(x),
        lambda x: x.T.T,
        lambda x: x.transpose(axes),
        lambda x: x.swapaxes(0, axis),
        lambda x: x.diagonal(),
        lambda x: x.view(),
        lambda x: np.hsplit(x, n)[piece % n],
        lambda x: x[index][..., ::-1],
        lambda x: x[()],
        lambda x: x.imag,
        lambda x: x.real[..., :1],
    ]
    return choices[rng.integers(len(choices))]


def _filled(buffer, x):
    """An array of the function's own, filled."""
    buffer[...] = x
    return buffer


def _one_by_one(x):
    buffer = np.zeros(2 * len(x))
    for i in range(len(x)):
        buffer[i] = np.sum(x[i])
        buffer[-i - 1] = buffer[i] * 0.5
    return buffer


def ordered(x):
    """x, unless it is complex: parts that are zero but for rounding would decide."""
    if np.iscomplexobj(x):
        raise ValueError("complex")
    return x


def chance(x):
    """A condition that is another one at many other points."""
    return np.sin(40.0 * np.sum(ordered(x))) > 0


def computed_index(rng):
    """An index that is computed from the array, with repetitions or without."""
    index = [
        lambda x: np.argsort(x, axis=0) // 2,
        lambda x: np.argsort(x, axis=0),
        lambda x: np.argsort(np.ravel(x)[: len(x)]),
        lambda x: np.searchsorted([-0.5, 0.0, 0.5], x) % len(x),
        lambda x: np.where(x > 0)[0],
        lambda x: np.argmin(x, axis=0) * np.ones(2, int),
        lambda x: (x > 0.1).astype(int) % len(x),
        lambda x: np.floor(2 * np.abs(x)).astype(int) % len(x),
        lambda x: np.flatnonzero(x[:, ...] < 0.2) % len(x),
    ][rng.integers(9)]
    return lambda x: index(ordered(x))


def copied(rng, a):
    computed = computed_index(rng)
    order, axis = _order(rng), int(rng.integers(a.ndim)) if a.ndim else 0
    rows, n = advanced_index(rng, a.shape), a.shape[0] if a.ndim else 0
    index = any_index(rng, a.shape)
    places = rng.integers(0, max(a.shape[axis] if a.ndim else 1, 1), size=2)
    choices = [
        lambda x: x.copy(order),
        lambda x: np.copy(x),
        lambda x: np.copy(x, order=order),
        lambda x: x.flatten(order),
        *[lambda x: x[rows]] * 4,
        lambda x: x.flat[:],
        lambda x: x.flat[index if isinstance(index, slice) else slice(None, None, 2)],
        lambda x: np.tile(x, 1),
        lambda x: np.tile(x, (1, 2)),
        lambda x: np.repeat(x, 1, axis),
        lambda x: np.repeat(x, 2, axis),
        lambda x: np.take(x, places, axis),
        lambda x: np.take(x, 0, axis),
        lambda x: np.meshgrid(x, x)[int(n) % 2],
        lambda x: np.block([x]),
        lambda x: np.concatenate([x]),
        lambda x: np.stack([x, x], axis),
        lambda x: np.vstack([x]),
        lambda x: np.clip(x, None, None),
        lambda x: np.clip(ordered(x), -90.0, None),
        lambda x: np.prod(x, axis=axis),
        lambda x: np.sum(x, axis=axis, keepdims=True),
        lambda x: np.cumprod(x, axis=axis),
        lambda x: np.cumsum(x, axis=axis),
        lambda x: np.multiply.reduce(x),
        lambda x: np.add.accumulate(x),
        lambda x: np.multiply.outer(x, x[:1] if x.ndim else x),
        lambda x: np.vander(x, 3).ravel(),
        lambda x: np.roll(x, 1, axis),
        lambda x: np.compress([True, False, True], x, axis),
        lambda x: np.zeros_like(x),
        lambda x: np.full_like(x, 0.5),
        lambda x: np.diag(x[:2]) if x.ndim == 1 else np.triu(x),
        lambda x: np.delete(x, 0, axis),
        lambda x: np.insert(x, 0, 0.5, axis),
        lambda x: np.pad(x, 1),
        lambda x: np.array([x[0], x[-1]]) if x.ndim == 1 else np.stack([x]),
        lambda x: +x,
        lambda x: np.positive(x),
        lambda x: x[computed(x)],
        lambda x: x[..., computed(x.T)],
        lambda x: ordered(x)[np.argmax(x, axis=0)],
        lambda x: np.ravel(x)[np.argmax(np.abs(x))],
        lambda x: np.sort(ordered(x), axis),
        lambda x: ordered(x)[x > 0],
        lambda x: np.where(ordered(x) > 0, x, 0.5 * x),
        lambda x: np.take_along_axis(ordered(x), np.argsort(x, axis), axis),
        lambda x: np.take(x, computed(x), axis=0),
        lambda x: np.max(ordered(x), axis=axis),
        lambda x: _filled(np.zeros(x.shape), x),
        lambda x: _filled(np.empty(x.shape[::-1]).T, x),
        lambda x: _filled(np.ones((2, *x.shape)), x),
        lambda x: _one_by_one(x),
        lambda x: np.array([[v, v * v] for v in x]),
        lambda x: np.array(x),
        lambda x: np.array(x, order=order),
        lambda x: np.array(x, copy=None, ndmin=2),
        lambda x: np.asarray(x, order="F"),
        lambda x: np.zeros(x.shape),
        lambda x: np.ones((2, x.size), order="F").T,
        lambda x: np.arange(6.0).reshape(2, 3),
        lambda x: np.asarray([x[0], 0.5, x[-1]]),
        lambda x: np.matmul(x, x.T),
        lambda x: copy.deepcopy(x),
        lambda x: np.array(pickle.loads(pickle.dumps(x))),
        lambda x: np.lib.stride_tricks.as_strided(x, x.shape[::-1], x.strides[::-1]),
        lambda x: np.einsum("i...,j...->ij...", x, x),
        lambda x: np.r_[x, x[:1]],
        lambda x: np.c_[x, x],
        lambda x: np.array([v * 0.5 for v in x.flat]),
        lambda x: np.array([v * sum(i) for i, v in np.ndenumerate(x)]),
        lambda x: np.array(x.tolist()),
        lambda x: np.apply_along_axis(lambda v: v * v[0], axis, x),
        lambda x: np.vectorize(lambda v: v * v)(x),
        lambda x: np.select([ordered(x) > 0.2, x < -0.2], [x, x * x], 0.5),
        lambda x: np.choose((ordered(x) > 0).astype(int), [x, x * x]),
        lambda x: np.extract(ordered(x) > 0, x),
        lambda x: x[np.nonzero(ordered(x) > 0)],
        lambda x: np.piecewise(ordered(x), [x > 0], [np.sin, 0.25]),
        lambda x: np.fromiter((v for v in np.ravel(x)), float) if axis else np.fromiter(np.ravel(x), x.dtype),
        lambda x: np.sum(x, axis=axis, where=ordered(x) > 0),
        lambda x: ordered(x) % 0.7,
        lambda x: np.partition(ordered(x), 0, axis),
        lambda x: np.unique(ordered(x)),
        lambda x: np.broadcast_arrays(x, np.zeros((2, 1)))[0].copy(),
    ]
    return choices[rng.integers(len(choices))]


def smooth(rng, a):
    choices = [np.sin, np.tanh, np.square, lambda x: 0.5 * x, lambda x: x * x + 0.25, lambda x: 1 / (2 + x * x)]
    return choices[rng.integers(len(choices))]


def of_two(rng, a, b):
    choices = [
        np.add, np.multiply, np.subtract, lambda x, y: x / (2 + y * y), lambda x, y: np.concatenate([x, y]),
        lambda x, y: x + 1j * y, lambda x, y: np.where(ordered(x) > ordered(y), x, y), lambda x, y: x @ y,
        lambda x, y: np.sin(x) if chance(y) else x * x,
    ]  # fmt: skip
    return choices[rng.integers(len(choices))]
