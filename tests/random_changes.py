"""Random programs that take views and change arrays in place, written in plain NumPy.

A program is a list of steps on a growing list of arrays; a step adds an array (a view, a copy, a smooth function: see
`random_views`) or changes one.  Plain NumPy decides which steps are possible, and what they give.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from random_views import ARRAY, advanced_index, any_index, chance, computed_index, copied, of_two, ordered, smooth, view

LIMIT = 40  # elements of an array of a program


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
    computed = computed_index(rng)
    index = any_index(rng, a.shape)
    number = float(rng.uniform(-1, 1))
    size = max(a.size, 1)
    flat = rng.integers(-size, size, size=int(rng.integers(1, 5)))
    mask = rng.random(a.shape) < 0.5
    rows = advanced_index(rng, a.shape)
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
        x[ordered(x) > 0] *= number

    def largest(x, w):
        x[np.argmax(ordered(x), axis=0)] = number

    def sorted_in_place(x, w):
        ordered(x).sort(axis)

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
        np.clip(ordered(w), -0.5, 0.5, out=x)

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
        np.maximum(ordered(x), ordered(w), out=x)

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
        o = ARRAY[0]([np.ravel(x)[0], np.ravel(w)[0], 0.5])
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
        x[ordered(x) > 0] = _fit(w, x.shape)[x > 0]

    def copyto_by_itself(x, w):
        np.copyto(x, w, where=ordered(x) < 0.1)

    def own_parts(x, w):
        z = np.zeros(x.shape, complex)
        z.imag = np.sin(ordered(x))
        z.real = x
        z.real[...] += z.imag
        x[...] = z.real * 0.5 - z.imag

    def parts_before_the_whole(x, w):
        z = np.full(x.shape, 0.5 - 0.25j)
        real, imag = z.real[..., ::-1], z.T.imag
        real[...] = w
        imag *= x.T
        z *= 1j
        x[...] = real - imag.T

    def own_constants(x, w):
        c = np.ones(x.shape) * 0.5
        x *= c
        c[...] = 2.0
        x += c

    def branched(x, w):
        if chance(x):
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
        ordered(x).partition(0, axis)

    def modulo(x, w):
        ordered(x)[...] %= 0.7

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
        stored_and_read, stored_twice, partitioned, modulo, exchanged_names, parts_before_the_whole,
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
            step = (False, view(rng, values[i]), (i,))
        elif kind < 0.45:
            step = (False, copied(rng, values[i]), (i,))
        elif kind < 0.5:
            step = (False, smooth(rng, values[i]), (i,))
        elif kind < 0.55:
            step = (False, of_two(rng, values[i], values[j]), (i, j))
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
