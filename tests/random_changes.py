"""Random programs that take views and change arrays in place, written in plain NumPy.

A program is a list of steps on a growing list of arrays; a step adds an array (a view, a copy, a smooth function) or
changes one.  Plain NumPy decides which steps are possible, and what they give.
"""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import numpy as np

_ARRAY = [np.array]  # as functions bound beforehand have it: of traced scalars it makes an array of objects
LIMIT = 40  # elements of an array of a program


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


def _advanced(rng, shape):
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


def _index(rng, shape):
    return _basic(rng, shape) if rng.random() < 0.6 else _advanced(rng, shape)


def _order(rng):
    return str(rng.choice(list("CFAK")))


# ---------------------------------------------------------------------------------------------------
# Steps that add an array: a function of one or two arrays
# ---------------------------------------------------------------------------------------------------


def _view(rng, a):
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


def _ordered(x):
    """x, unless it is complex: parts that are zero but for rounding would decide."""
    if np.iscomplexobj(x):
        raise ValueError("complex")
    return x


def _chance(x):
    """A condition that is another one at many other points."""
    return np.sin(40.0 * np.sum(_ordered(x))) > 0


def _computed(rng):
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
    return lambda x: index(_ordered(x))


def _copy(rng, a):
    computed = _computed(rng)
    order, axis = _order(rng), int(rng.integers(a.ndim)) if a.ndim else 0
    rows, n = _advanced(rng, a.shape), a.shape[0] if a.ndim else 0
    index = _index(rng, a.shape)
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
        lambda x: np.clip(_ordered(x), -90.0, None),
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
        lambda x: _ordered(x)[np.argmax(x, axis=0)],
        lambda x: np.ravel(x)[np.argmax(np.abs(x))],
        lambda x: np.sort(_ordered(x), axis),
        lambda x: _ordered(x)[x > 0],
        lambda x: np.where(_ordered(x) > 0, x, 0.5 * x),
        lambda x: np.take_along_axis(_ordered(x), np.argsort(x, axis), axis),
        lambda x: np.take(x, computed(x), axis=0),
        lambda x: np.max(_ordered(x), axis=axis),
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
        lambda x: np.select([_ordered(x) > 0.2, x < -0.2], [x, x * x], 0.5),
        lambda x: np.choose((_ordered(x) > 0).astype(int), [x, x * x]),
        lambda x: np.extract(_ordered(x) > 0, x),
        lambda x: x[np.nonzero(_ordered(x) > 0)],
        lambda x: np.piecewise(_ordered(x), [x > 0], [np.sin, 0.25]),
        lambda x: np.fromiter((v for v in np.ravel(x)), float) if axis else np.fromiter(np.ravel(x), x.dtype),
        lambda x: np.sum(x, axis=axis, where=_ordered(x) > 0),
        lambda x: _ordered(x) % 0.7,
        lambda x: np.partition(_ordered(x), 0, axis),
        lambda x: np.unique(_ordered(x)),
        lambda x: np.broadcast_arrays(x, np.zeros((2, 1)))[0].copy(),
    ]
    return choices[rng.integers(len(choices))]


def _smooth(rng, a):
    choices = [np.sin, np.tanh, np.square, lambda x: 0.5 * x, lambda x: x * x + 0.25, lambda x: 1 / (2 + x * x)]
    return choices[rng.integers(len(choices))]


def _two(rng, a, b):
    choices = [
        np.add, np.multiply, np.subtract, lambda x, y: x / (2 + y * y), lambda x, y: np.concatenate([x, y]),
        lambda x, y: x + 1j * y, lambda x, y: np.where(_ordered(x) > _ordered(y), x, y), lambda x, y: x @ y,
        lambda x, y: np.sin(x) if _chance(y) else x * x,
    ]  # fmt: skip
    return choices[rng.integers(len(choices))]


# ---------------------------------------------------------------------------------------------------
# Steps that change the first of two arrays
# ---------------------------------------------------------------------------------------------------


def _fit(w, shape):
    """A value of this shape, made of the elements of w, no two alike."""
    return np.resize(w, shape) * np.linspace(0.5, 1.5, math.prod(shape)).reshape(shape)


def _apart(x, w):
    """x, where it shares no memory with w: these functions of NumPy write while they read."""
    if type(x) is np.ndarray and np.shares_memory(x, w):
        raise ValueError("of the same memory")
    return x


def _alike(x, w):
    """x, which NumPy's accumulations fill in part only where it is larger than w."""
    if x.shape != w.shape or not x.ndim:
        raise ValueError("of another shape")
    return x


def _change(rng, a, b):
    computed = _computed(rng)
    index = _index(rng, a.shape)
    number = float(rng.uniform(-1, 1))
    size = max(a.size, 1)
    flat = rng.integers(-size, size, size=int(rng.integers(1, 5)))
    mask = rng.random(a.shape) < 0.5
    rows = _advanced(rng, a.shape)
    axis = int(rng.integers(a.ndim)) if a.ndim else 0
    mode = str(rng.choice(["raise", "wrap", "clip"]))
    ahead, behind = (slice(1, None), slice(None, -1)) if rng.random() < 0.5 else (slice(None, -1), slice(1, None))
    along = rng.integers(
        0, max(a.shape[axis] if a.ndim else 1, 1), size=tuple(1 if k != axis else 2 for k in range(a.ndim))
    )
    where = rng.random(a.shape) < 0.5

    def setitem(x, w):
        x[index] = number

    def setitem_array(x, w):
        x[index] = w

    def setitem_fitted(x, w):
        x[index] = _fit(w, np.shape(x[index]))

    def augmented(x, w):
        x[index] += 0.5 * w

    def augmented_fitted(x, w):
        x[rows] *= _fit(w, np.shape(x[rows]))

    def plus(x, w):
        x += w

    def times(x, w):
        x *= 0.5 * w

    def minus_reversed(x, w):
        x -= x[::-1]

    def divided(x, w):
        x /= 2 + w * w

    def square(x, w):
        x **= 2

    def shifted(x, w):
        x[ahead] = x[behind]

    def shifted_rows(x, w):
        x[..., ahead] += x[..., behind]

    def exchanged(x, w):
        x[[0, -1]] = x[[-1, 0]]

    def swapped(x, w):
        x[0], x[-1] = x[-1], x[0]

    def out(x, w):
        np.add(x, w, out=x)

    def out_of_itself(x, w):
        np.multiply(x[::-1], x, out=x)

    def out_where(x, w):
        np.multiply(x, w, out=x, where=where)

    def copyto(x, w):
        np.copyto(x, w)

    def copyto_where(x, w):
        np.copyto(x, w, where=where)

    def put(x, w):
        np.put(x, flat, w, mode=mode)

    def put_method(x, w):
        x.put(flat, w)

    def put_in_ravel(x, w):
        x.ravel().put([0, 0], w)

    def place(x, w):
        np.place(x, mask, w)

    def place_itself(x, w):
        np.place(x, mask, x)

    def putmask(x, w):
        np.putmask(x, mask, w)

    def fill_diagonal(x, w):
        np.fill_diagonal(x, w)

    def put_along_axis(x, w):
        np.put_along_axis(x, along, _fit(w, np.broadcast_shapes(along.shape)), axis)

    def add_at(x, w):
        np.add.at(x, rows, _fit(w, np.shape(x[rows])))

    def subtract_at(x, w):
        np.subtract.at(x, index, _fit(0.5 * w, np.shape(x[index])))

    def multiply_at(x, w):
        np.multiply.at(x, rows, _fit(w, np.shape(x[rows])))

    def sin_at(x, w):
        np.sin.at(x, rows)

    def flat_slice(x, w):
        x.flat[1::2] = w

    def flat_all(x, w):
        x.flat = w

    def flat_index(x, w):
        x.flat[flat] = np.ravel(w)

    def fill(x, w):
        x.fill(number)

    def real_part(x, w):
        x.real = w

    def everything(x, w):
        x[...] = w

    def masked(x, w):
        x[mask] = number

    def no_axes(x, w):
        x[True] = w

    def no_axes_again(x, w):
        x[np.True_] = w

    def through_flip(x, w):
        np.flip(x)[index] = number

    def through_transpose(x, w):
        x.T[0] = w[0]

    def through_diagonal(x, w):
        n = min(x.shape)
        np.einsum("ii->i", x[:n, :n])[...] = np.ravel(w)[0]

    def reshaped(x, w):
        x.reshape(-1)[::2] = number

    def objects(x, w):
        o = np.array([np.ravel(x)[0], np.ravel(w)[0]])
        np.put(o, [0], o[1:] * 2)
        o[1] += o[0]
        np.add.at(o, [0, 0], np.ravel(w)[:1])
        o *= 0.5
        x[index] = o[1] - o[0]

    def computed_set(x, w):
        i = computed(x)
        x[i] = _fit(w, np.shape(x[i]))

    def computed_augmented(x, w):
        x[computed(x)] *= number

    def computed_at(x, w):
        i = computed(x)
        np.add.at(x, i, _fit(w, np.shape(x[i])))

    def computed_of_another(x, w):
        x[computed(w) % len(x)] += number

    def computed_put(x, w):
        np.put(x, computed(np.ravel(x)), w)

    def positive(x, w):
        x[_ordered(x) > 0] *= number

    def largest(x, w):
        x[np.argmax(_ordered(x), axis=0)] = number

    def sorted_in_place(x, w):
        _ordered(x).sort(axis)

    def sin_out(x, w):
        np.sin(w, out=x)

    def tanh_of_itself(x, w):
        np.tanh(x, x)

    def sum_out(x, w):
        np.sum(w, axis=0, out=x)

    def cumsum_out(x, w):
        np.cumsum(w, axis=axis, out=_alike(_apart(x, w), w))

    def cumsum_of_itself(x, w):
        np.cumsum(x, axis=axis, out=x)

    def clip_out(x, w):
        np.clip(_ordered(w), -0.5, 0.5, out=x)

    def take_out(x, w):
        np.take(w, np.zeros(x.shape, int), out=_apart(x, w), mode="clip")

    def concatenate_out(x, w):
        np.concatenate([w, w], out=_apart(x, w))

    def stack_out(x, w):
        np.stack([w, 2 * w], out=_apart(x, w))

    def matmul_out(x, w):
        if w.ndim <= x.ndim:  # beyond, NumPy drops leading axes of extent 1
            np.matmul(w, w, out=x)

    def einsum_out(x, w):
        np.einsum("i...,i...->i...", w, w, out=_apart(x, w))

    def mean_out(x, w):
        w.mean(axis=-1, out=x)

    def maximum_out(x, w):
        np.maximum(_ordered(x), _ordered(w), out=x)

    def accumulate_out(x, w):
        np.add.accumulate(x, axis=0, out=x)

    def outer_out(x, w):
        np.multiply.outer(np.ravel(w)[: x.shape[0]], np.ravel(w)[: x.shape[-1]], out=x)

    def imaginary_part(x, w):
        x.imag = w

    def imaginary_view(x, w):
        x.imag[...] = w

    def real_view(x, w):
        v = x.real[index]
        v += np.ravel(w)[0]

    def conjugated(x, w):
        np.conjugate(x, out=x)

    def list_of_objects(x, w):
        o = np.array([[np.ravel(x)[0], 1.0], [np.ravel(w)[0], np.ravel(x)[-1]]])
        o[0, 1] *= o[1, 0]
        o[:, 0] = o[::-1, 1]
        np.copyto(o[1], o[0], where=[True, False])
        np.subtract.at(o, (0, [0, 0]), 0.25)
        x[index] = o.sum()

    def objects_of_pairs(x, w):
        o = _ARRAY[0]([np.ravel(x)[0], np.ravel(w)[0], 0.5])
        v = o[:2]
        np.put(v, [1], o[2] * v[0])
        np.copyto(o[1:], o[:2] * 2)
        np.add.at(o, [0, 0], np.ravel(x)[-1:])
        np.put_along_axis(o, np.array([2]), o[:1] * o[1], 0)
        o += o[::-1]
        x[index] = o.sum()

    def masked_objects(x, w):
        o = np.array(list(np.ravel(x)))
        np.place(o, o > 0, [0.5])
        np.putmask(o, o < 0, o[::-1])
        x.flat = o

    def chosen_by_itself(x, w):
        x[_ordered(x) > 0] = _fit(w, x.shape)[x > 0]

    def copyto_by_itself(x, w):
        np.copyto(x, w, where=_ordered(x) < 0.1)

    def own_parts(x, w):
        z = np.zeros(x.shape, complex)
        z.imag = np.sin(_ordered(x))
        z.real = x
        z.real[...] += z.imag
        x[...] = z.real * 0.5 - z.imag

    def own_constants(x, w):
        c = np.ones(x.shape) * 0.5
        x *= c
        c[...] = 2.0
        x += c

    def branched(x, w):
        if _chance(x):
            x *= 0.5
        else:
            x += 0.25

    def counted(x, w):
        for i, v in enumerate(x.flat):
            x.flat[i] = v * 0.5 + i

    def every_element(x, w):
        for i in np.ndindex(x.shape):
            x[i] = 0.5 * x[i] + x[tuple(0 for _ in i)]

    def stored_and_read(x, w):
        n = len(x) - 1
        x[0] = w[0]
        x[n] = x[0] * 0.5
        v = x[::-1]
        x[n] += v[n]
        x[-1] = v[0] * x[0]

    def stored_twice(x, w):
        buffer = np.zeros(4)
        for v in np.ravel(w)[:3]:
            buffer[1] = v
            buffer[2] += buffer[1] * 2
        buffer[1] = buffer[2]
        x[index] = buffer[1] - buffer[3]

    def partitioned(x, w):
        _ordered(x).partition(0, axis)

    def modulo(x, w):
        _ordered(x)[...] %= 0.7

    def exchanged_names(x, w):
        x, w = w, x
        if isinstance(x, np.ndarray) and x.flags.writeable:
            x[...] = x + w

    def aliased(x, w):
        v = x
        v *= 0.5
        v[index] = x[index]
        x += v

    def two_views(x, w):
        u, v = x[1:], x[:-1]
        u *= v
        v -= u

    def view_of_views(x, w):
        v = x
        for _ in range(6):
            v = v[::-1].T
        v[index] = number

    def by_rows(x, w):
        for row in x:
            row *= row[..., ::-1] if row.ndim else 1.0

    def own_array(x, w):
        buffer = np.zeros((2, *x.shape))
        buffer[1] = x
        buffer[0] = w
        x[...] = buffer[::-1][0] * buffer[0]

    def one_after_another(x, w):
        for i in range(1, len(x)):
            x[i] = x[i - 1] * 0.5 + x[i]

    steps = [
        computed_set, computed_set, computed_augmented, computed_at, computed_of_another, computed_put, positive,
        largest, sorted_in_place, sin_out, tanh_of_itself, sum_out, cumsum_out, cumsum_of_itself, clip_out, take_out,
        concatenate_out, stack_out, matmul_out, einsum_out, mean_out, maximum_out, accumulate_out, outer_out,
        imaginary_part, imaginary_view, real_view, conjugated, list_of_objects, masked_objects,
        objects_of_pairs, objects_of_pairs, aliased, two_views, view_of_views, by_rows, own_array, one_after_another,
        setitem, setitem_array, setitem_array, setitem_fitted, setitem_fitted, augmented, augmented_fitted, plus,
        times, minus_reversed, divided, square, shifted, shifted_rows, exchanged, swapped, out, out_of_itself,
        out_where, copyto, copyto_where, put, put_method, put_in_ravel, place, place_itself, putmask, fill_diagonal,
        put_along_axis, add_at, subtract_at, multiply_at, sin_at, flat_slice, flat_all, flat_index, fill, real_part,
        everything, masked, no_axes, no_axes_again, through_flip, through_transpose, through_diagonal, reshaped,
        objects, chosen_by_itself, copyto_by_itself, branched, own_parts, own_constants, counted, every_element,
        stored_and_read, stored_twice, partitioned, modulo, exchanged_names,
    ]  # fmt: skip
    return _on_arrays(steps[rng.integers(len(steps))])


def _on_arrays(step):
    """Not on numbers, which NumPy's functions change to no effect, or read-only arrays, which ufunc.at writes to."""

    def change(x, w):
        if not isinstance(x, np.ndarray) or not x.flags.writeable:
            raise ValueError("to be changed in place")
        step(x, w)

    return change


# ---------------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------------

SHAPES = [(3,), (4,), (2, 3), (3, 3), (2, 1, 3), (1, 2), (), (2, 2, 2), (1,)]


def _argument(rng):
    """An array of one of NumPy's many layouts."""
    shape = SHAPES[rng.integers(len(SHAPES))]
    kind = rng.integers(6)
    if kind == 1:
        return np.asfortranarray(rng.uniform(-1, 1, size=shape))
    if kind == 2:
        return rng.uniform(-1, 1, size=(*shape, 2))[..., 0]
    if kind == 3 and shape:
        return rng.uniform(-1, 1, size=shape)[::-1]
    if kind == 4:
        return rng.uniform(-1, 1, size=shape[::-1]).T
    return rng.uniform(-1, 1, size=shape)


def run(steps, x):
    """The arrays that a program has made, the argument first."""
    values = [x]
    for changes, fn, places in steps:
        y = fn(*(values[k] for k in places))
        if not changes:
            values.append(y)
    return values


def random_changes(seed: int, length: int = 8):
    """A program as a function of one array to one vector, and an argument."""
    rng = np.random.default_rng(seed)
    x = _argument(rng)
    steps = []
    written = rng.random() < 0.3  # whether the argument itself is changed
    if not written:
        steps.append(
            (False, [lambda v: v * 1.0, np.sin, lambda v: v.copy(), lambda v: v.T * 1.0][rng.integers(4)], (0,))
        )
    values = run(steps, same(x))
    tries = 0
    while len(steps) < length and tries < 20 * length:
        tries += 1
        first = 0 if written else 1
        i, j = (int(k) for k in rng.integers(first, len(values), size=2))
        kind = rng.random()
        if kind < 0.35:
            step = (False, _view(rng, values[i]), (i,))
        elif kind < 0.45:
            step = (False, _copy(rng, values[i]), (i,))
        elif kind < 0.5:
            step = (False, _smooth(rng, values[i]), (i,))
        elif kind < 0.55:
            step = (False, _two(rng, values[i], values[j]), (i, j))
        else:
            step = (True, _change(rng, values[i], values[j]), (i, j))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", "Numpy has detected")  # writing to what np.broadcast_arrays gives
                found = run([*steps, step], same(x))
        except (ValueError, IndexError, TypeError, ZeroDivisionError, AttributeError, Warning):
            continue  # NumPy refuses it
        if all(isinstance(v, np.ndarray | np.generic) and v.size <= LIMIT and v.ndim < 5 for v in found) and all(
            np.all(np.abs(v) < 50) for v in found
        ):
            steps.append(step)
            values = found

    def f(x):
        values = [np.reshape(v, -1) for v in run(f.steps, x)]
        parts = [part for v in values for part in ((v.real, v.imag) if np.iscomplexobj(v) else (v,))]
        return np.concatenate(parts)

    f.steps = steps
    f.values = lambda x: tuple(run(steps, x))
    return f, x


def same(x):
    """A copy of an array, laid out as it is."""
    low = sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s < 0)
    high = sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s > 0)
    copy = np.ndarray(x.shape, x.dtype, np.empty(high - low + x.itemsize, np.uint8), -low, x.strides)
    copy[...] = x
    return copy
