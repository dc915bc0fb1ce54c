"""Functions that move elements about: reshape and transpose, joining and splitting, padding, broadcasting."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..registry import Composite, Linear, LinearAll, Op, Passive, add, align, cast, gather, lead_shape, trailing, trailing_axis
from ..tracing import canonical

# ---------------------------------------------------------------------------------------------------
# One array
# ---------------------------------------------------------------------------------------------------


def as_shape(shape: Any) -> tuple[int, ...]:
    return (operator.index(shape),) if not isinstance(shape, tuple | list) else tuple(operator.index(n) for n in shape)


def _back(u: Any, x: Any, y_ndim: int) -> Any:
    """u in the shape of x, behind its directions."""
    return np.reshape(u, u.shape[: u.ndim - y_ndim] + x.shape)


def _reshape(t: Any, x: Any, shape: Any = None, order: str = "C") -> Any:
    lead = lead_shape(t, x)
    if order == "F":
        flipped = np.transpose(t, (*range(len(lead)), *range(t.ndim - 1, len(lead) - 1, -1)))
        out = np.reshape(flipped, lead + as_shape(shape)[::-1])
        return np.transpose(out, (*range(len(lead)), *range(out.ndim - 1, len(lead) - 1, -1)))
    return np.reshape(t, lead + _resolved(x, shape))


def _resolved(x: Any, shape: Any) -> tuple[int, ...]:
    """The shape with −1 filled in (with directions in front NumPy could not tell it for an empty array)."""
    shape = as_shape(shape)
    if -1 not in shape:
        return shape
    known = 1
    for n in shape:
        known *= n if n != -1 else 1
    return tuple(x.size // max(known, 1) if n == -1 else n for n in shape)


def _reshape_transpose(u: Any, x: Any, shape: Any = None, order: str = "C") -> Any:
    n = len(as_shape(shape))
    if order == "F":
        k = u.ndim - n
        flipped = np.reshape(np.transpose(u, (*range(k), *range(u.ndim - 1, k - 1, -1))), u.shape[:k] + x.shape[::-1])
        return np.transpose(flipped, (*range(k), *range(flipped.ndim - 1, k - 1, -1)))
    return _back(u, x, n)


def _transpose(t: Any, x: Any, axes: Any = None) -> Any:
    order = trailing(tuple(axes) if axes is not None else tuple(range(x.ndim))[::-1], x.ndim)
    return np.transpose(t, (*range(t.ndim - x.ndim), *order))


def _transpose_back(u: Any, x: Any, axes: Any = None) -> Any:
    if axes is None:
        return _transpose(u, x)
    inverse = np.argsort([a % x.ndim for a in axes])
    return _transpose(u, x, tuple(int(i) for i in inverse))


def _moveaxis(t: Any, x: Any, source: Any, destination: Any) -> Any:
    return np.moveaxis(t, trailing(source, x.ndim), trailing(destination, x.ndim))


def _swapaxes(t: Any, x: Any, axis1: int, axis2: int) -> Any:
    return np.swapaxes(t, trailing_axis(axis1, x.ndim), trailing_axis(axis2, x.ndim))


def _expand_dims(t: Any, x: Any, axis: Any) -> Any:
    n = x.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)
    return np.expand_dims(t, trailing(axis, n))


def _squeezed(x: Any, axis: Any) -> tuple[int, ...]:
    gone = [a + x.ndim for a in trailing(axis, x.ndim)] if axis is not None else [i for i, n in enumerate(x.shape) if n == 1]
    return tuple(n for i, n in enumerate(x.shape) if i not in gone)


def _broadcast_to(t: Any, x: Any, shape: Any) -> Any:
    shape = as_shape(shape)
    return np.broadcast_to(align(t, x.ndim, len(shape)), lead_shape(t, x) + shape)


def _roll(t: Any, x: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(np.roll(np.reshape(t, (*lead_shape(t, x), x.size)), shift, axis=-1), t.shape)
    return np.roll(t, shift, axis=trailing(axis, x.ndim))


def _minus(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, tuple | list) else -shift


# fmt: off
add(Linear(np.reshape, _reshape, _reshape_transpose))
add(Linear(np.transpose,    _transpose, _transpose_back), np.permute_dims)
add(Linear(np.moveaxis,     _moveaxis,  lambda u, x, source, destination: _moveaxis(u, x, destination, source)))
add(Linear(np.swapaxes,     _swapaxes,  _swapaxes))
add(Linear(np.expand_dims,  _expand_dims, lambda u, x, axis: _back(u, x, x.ndim + (len(axis) if isinstance(axis, tuple | list) else 1))))
add(Linear(np.squeeze,      lambda t, x, axis=None: np.reshape(t, lead_shape(t, x) + _squeezed(x, axis)),
                            lambda u, x, axis=None: _back(u, x, len(_squeezed(x, axis)))))
add(Linear(np.broadcast_to, _broadcast_to, lambda u, x, shape: gather(u, x.shape, u.ndim - len(as_shape(shape)))))
add(Linear(np.flip,         lambda t, x, axis=None: np.flip(t, trailing(axis, x.ndim)),
                            lambda u, x, axis=None: np.flip(u, trailing(axis, x.ndim))))
add(Linear(np.roll,         _roll, lambda u, x, shift, axis=None: _roll(u, x, _minus(shift), axis)))
# fmt: on


class _Astype(Op):
    """A change of precision, or of real to complex; a cast to integers or booleans has derivative zero."""

    def __init__(self) -> None:
        super().__init__(np.astype, evaluate=lambda x, dtype: x.astype(dtype), params=["dtype"])
        self.pushes = (lambda t, y, x, dtype: cast(t, y.dtype),)
        self.pulls = (lambda u, y, x, dtype: cast(u, x.dtype),)

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        dtype = np.dtype(params["dtype"])
        return (trace.process if dtype.kind in "fc" else trace.strip)(self, args, {"dtype": dtype})


add(_Astype())


def _ravel(a: Any, order: str = "C") -> Any:
    return np.reshape(a, (a.size,), order="F" if order == "F" else "C")


def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis, start = axis % a.ndim, start if start >= 0 else start + a.ndim
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    k %= 4
    if k == 2:
        return np.flip(m, axes)
    if k == 1:
        return np.swapaxes(np.flip(m, axes[1]), *axes)
    return np.flip(np.swapaxes(m, *axes), axes[1]) if k == 3 else np.positive(m)


def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis=axis)


def _tile(A: Any, reps: Any) -> Any:
    reps = as_shape(reps)
    n = max(len(reps), A.ndim)
    reps, shape = (1,) * (n - len(reps)) + reps, (1,) * (n - A.ndim) + A.shape
    spaced = np.reshape(A, tuple(m for s in shape for m in (1, s)))
    return np.reshape(
        np.broadcast_to(spaced, tuple(m for r, s in zip(reps, shape, strict=True) for m in (r, s))),
        tuple(r * s for r, s in zip(reps, shape, strict=True)),
    )


def _atleast(n: int, place: Any) -> Any:
    def body(*arys: Any) -> Any:
        out = [a if a.ndim >= n else np.reshape(a, place(a.shape)) for a in map(canonical, arys)]
        return out[0] if len(out) == 1 else tuple(out)

    return body


def _triangle(keep: Any) -> Any:
    def body(m: Any, k: int = 0) -> Any:
        return np.where(keep(m.shape[-2], m.shape[-1], k), m, 0)

    return body


def _at3(s: tuple[int, ...]) -> tuple[int, ...]:
    return (1, 1, 1) if not s else (1, s[0], 1) if len(s) == 1 else (*s, 1)


# fmt: off
add(Composite(np.ravel,       _ravel))
add(Composite(np.rollaxis,    _rollaxis))
add(Composite(np.rot90,       _rot90))
add(Composite(np.repeat,      _repeat))
add(Composite(np.tile,        _tile))
add(Composite(np.copy,        lambda a, order="K", subok=False: np.positive(a)))
add(Composite(np.fliplr,      lambda m: np.flip(m, 1)))
add(Composite(np.flipud,      lambda m: np.flip(m, 0)))
add(Composite(np.matrix_transpose, lambda x: np.swapaxes(x, -1, -2)), np.linalg.matrix_transpose)
add(Composite(np.atleast_1d,  _atleast(1, lambda s: (1,))))
add(Composite(np.atleast_2d,  _atleast(2, lambda s: (1, s[0]) if s else (1, 1))))
add(Composite(np.atleast_3d,  _atleast(3, _at3)))
add(Composite(np.tril,        _triangle(lambda n, m, k: np.tri(n, m, k, dtype=bool))))
add(Composite(np.triu,        _triangle(lambda n, m, k: ~np.tri(n, m, k - 1, dtype=bool))))
add(Composite(np.trace,       lambda a, offset=0, axis1=0, axis2=1: np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)))
# fmt: on


def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    n = len(xi)
    place = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [np.reshape(x, [-1 if k == place[i] else 1 for k in range(n)]) for i, x in enumerate(xi)]
    return tuple(grids) if sparse else _broadcast_arrays(*grids)


add(Composite(np.broadcast_arrays, _broadcast_arrays))
add(Composite(np.meshgrid, _meshgrid))


# ---------------------------------------------------------------------------------------------------
# where: linear in both branches
# ---------------------------------------------------------------------------------------------------


def _where_rule(branch: int) -> tuple[Any, Any]:
    def push(t: Any, y: Any, condition: Any, *xs: Any) -> Any:
        t = align(t, np.ndim(xs[branch - 1]), y.ndim)
        return cast(np.where(condition, *((t, 0) if branch == 1 else (0, t))), y.dtype)

    def pull(u: Any, y: Any, condition: Any, *xs: Any) -> Any:
        g = np.where(condition, *((u, 0) if branch == 1 else (0, u)))
        return cast(gather(g, xs[branch - 1].shape, u.ndim - y.ndim), xs[branch - 1].dtype)

    return push, pull


class _Where(Op):
    """np.where(condition, x, y): each branch takes the directions where it was chosen."""

    def __init__(self) -> None:
        super().__init__(np.where, arrays=3)
        first, second = _where_rule(1), _where_rule(2)
        self.pushes = (None, first[0], second[0])
        self.pulls = (None, first[1], second[1])

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return trace.process(self, args, params) if len(args) == 3 else np.nonzero(args[0])


add(_Where())


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    out = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        out = np.where(condition, choice, out)
    return out


add(Composite(np.select, _select))

# ---------------------------------------------------------------------------------------------------
# Several arrays: joining and splitting
# ---------------------------------------------------------------------------------------------------


def _concatenate(ts: Any, xs: Any, axis: int | None = 0) -> Any:
    if axis is None:
        return np.concatenate([np.reshape(t, (*lead_shape(t, x), -1)) for t, x in zip(ts, xs, strict=True)], axis=-1)
    return np.concatenate(ts, axis=trailing_axis(axis, np.ndim(xs[0])))


def _concatenate_transpose(u: Any, xs: Any, axis: int | None = 0) -> list[Any]:
    k = -1 if axis is None else trailing_axis(axis, np.ndim(xs[0]))
    out, start = [], 0
    rest = (slice(None),) * (-1 - k)
    for x in xs:
        n = x.size if axis is None else np.shape(x)[k]
        g = u[(..., slice(start, start + n), *rest)]
        out.append(np.reshape(g, (*u.shape[:-1], *x.shape)) if axis is None else g)
        start += n
    return out


def _stack(ts: Any, xs: Any, axis: int = 0) -> Any:
    return np.stack(ts, axis=trailing_axis(axis, np.ndim(xs[0]) + 1))


def _stack_transpose(u: Any, xs: Any, axis: int = 0) -> list[Any]:
    k = trailing_axis(axis, np.ndim(xs[0]) + 1)
    rest = (slice(None),) * (-1 - k)
    return [u[(..., i, *rest)] for i in range(len(xs))]


add(
    LinearAll(
        np.concatenate, _concatenate, _concatenate_transpose, sequence=True,
        evaluate=lambda *xs, axis=0: np.concatenate(xs, axis=axis),
    ),
    np.concat,
)  # fmt: skip
add(
    LinearAll(np.stack, _stack, _stack_transpose, sequence=True, evaluate=lambda *xs, axis=0: np.stack(xs, axis=axis))
)


def _joined(lift: Any, axis: int) -> Any:
    return lambda tup: np.concatenate([lift(canonical(a)) for a in tup], axis=axis)


def _hstack(tup: Any) -> Any:
    arrays = [np.atleast_1d(canonical(a)) for a in tup]
    return np.concatenate(arrays, axis=0 if arrays[0].ndim == 1 else 1)


def _column(a: Any) -> Any:
    return np.reshape(a, (-1, 1)) if a.ndim < 2 else a


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, values, axis = np.ravel(canonical(arr)), np.ravel(canonical(values)), 0
    return np.concatenate([arr, values], axis=axis)


def _block(arrays: Any) -> Any:
    """Blocks of the innermost lists are joined along the last axis, those around them along the one before."""
    depth, inner = 0, arrays
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]

    def dimensions(a: Any) -> int:
        return max(map(dimensions, a)) if isinstance(a, list) else np.ndim(a)

    n = max(depth, dimensions(arrays))

    def join(a: Any, level: int) -> Any:
        if not isinstance(a, list):
            a = canonical(a)
            return np.reshape(a, (1,) * (n - a.ndim) + a.shape)
        return np.concatenate([join(b, level + 1) for b in a], axis=-(depth - level))

    return join(arrays, 0)


add(Composite(np.vstack, _joined(np.atleast_2d, 0)))
add(Composite(np.hstack, _hstack))
add(Composite(np.dstack, _joined(np.atleast_3d, 2)))
add(Composite(np.column_stack, _joined(_column, 1)))
add(Composite(np.append, _append))
add(Composite(np.block, _block))


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        each, extra = divmod(n, operator.index(indices_or_sections))
        sizes = [each + 1] * extra + [each] * (operator.index(indices_or_sections) - extra)
        cuts = [0, *np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *indices_or_sections, n]
    front = (slice(None),) * (axis % ary.ndim)
    return [ary[(*front, slice(a, b))] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if np.ndim(indices_or_sections) == 0 and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return _array_split(ary, indices_or_sections, axis)


add(Composite(np.array_split, _array_split))
add(Composite(np.split, _split))
add(Composite(np.vsplit, lambda ary, indices_or_sections: _split(ary, indices_or_sections, 0)))
add(Composite(np.hsplit, lambda ary, indices_or_sections: _split(ary, indices_or_sections, min(ary.ndim - 1, 1))))
add(Composite(np.dsplit, lambda ary, indices_or_sections: _split(ary, indices_or_sections, 2)))
add(Composite(np.unstack, lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)[i] for i in range(x.shape[axis]))))


def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if mode != "constant":
        raise TypeError(f"np.pad has a derivative rule for mode='constant' only, not for mode={mode!r}")
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2))
    values = np.broadcast_to(np.asarray(constant_values), (array.ndim, 2))
    for axis in range(array.ndim):
        shape = list(array.shape)
        ends = []
        for side in (0, 1):
            shape[axis] = int(widths[axis, side])
            ends.append(np.full(shape, values[axis, side], dtype=array.dtype))
        array = np.concatenate([ends[0], array, ends[1]], axis=axis)
    return array


add(Composite(np.pad, _pad))


def _windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Sliding windows, by indexing; the windows are last."""
    sizes = as_shape(window_shape)
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in as_shape(axis)]
    for a, m in zip(axes, sizes, strict=True):
        starts = np.arange(x.shape[a] - m + 1)
        x = np.moveaxis(x[(slice(None),) * a + (starts[:, None] + np.arange(m),)], a + 1, -1)
    return x


add(Composite(np.lib.stride_tricks.sliding_window_view, _windows))

# ---------------------------------------------------------------------------------------------------
# Shapes, dtypes, and arrays that take only these from their argument
# ---------------------------------------------------------------------------------------------------


def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    return np.broadcast_to(fill_value if dtype is None else canonical(fill_value).astype(dtype), np.shape(a))


add(Composite(np.full_like, _full_like))
for _fn in (
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.can_cast,
    np.min_scalar_type, np.common_type, np.iterable,
):  # fmt: skip
    add(Passive(_fn, static=True))

