"""Functions that move elements about: reshape and transpose, joining and splitting, padding, broadcasting."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from ..domain import A, OnlyReal, case
from ..registry import (
    Composite,
    Linear,
    LinearAll,
    Op,
    Passive,
    add,
    align,
    cast,
    gather,
    lead_shape,
    spread,
    trailing,
    trailing_axis,
)
from ..tracing import canonical

# ---------------------------------------------------------------------------------------------------
# One array
# ---------------------------------------------------------------------------------------------------


def as_shape(shape: Any) -> tuple[int, ...]:
    return (operator.index(shape),) if not isinstance(shape, tuple | list) else tuple(operator.index(n) for n in shape)


def sequence(arrays: Any) -> list[Any]:
    """The arrays of a list or tuple, or along the first axis of an array."""
    if not isinstance(arrays, list | tuple) and not np.ndim(arrays):
        raise TypeError('arrays to stack must be passed as a "sequence" type such as list or tuple.')
    return list(arrays)


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
    gone = (
        [a + x.ndim for a in trailing(axis, x.ndim)]
        if axis is not None
        else [i for i, n in enumerate(x.shape) if n == 1]
    )
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
add(Linear(np.reshape, _reshape, _reshape_transpose,
                            domain=[
                                case(A(2, 3), (3, 2)), case(A(2, 3), -1), case(A(2, 3), (-1, 2), order="F"),
                                case(A(), (1, 1)), case(A(0, 3), (3, 0, 2)), case(A(1), ()),
                            ]))
add(Linear(np.transpose,    _transpose, _transpose_back,
                            domain=[
                                case(A(2, 3)), case(A(2, 3, 4), axes=(1, 2, 0)), case(A(2, 3, 4), (-1, 0, 1)),
                                case(A()), case(A(0, 3)),
                            ]), np.permute_dims)
add(Linear(np.moveaxis,     _moveaxis,  lambda u, x, source, destination: _moveaxis(u, x, destination, source),
                            domain=[
                                case(A(2, 3, 4), 0, -1), case(A(2, 3, 4), -1, 0), case(A(2, 3, 4), [0, 1], [-1, -2]),
                            ]))
add(Linear(np.swapaxes,     _swapaxes,  _swapaxes,
                            domain=[case(A(2, 3), 0, 1), case(A(2, 3, 4), -1, 0), case(A(0, 3), 0, -1)]))
add(Linear(np.expand_dims,  _expand_dims, lambda u, x, axis: _back(u, x, x.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)),
                            domain=[case(A(2, 3), 0), case(A(2, 3), -1), case(A(2, 3), (0, -2)), case(A(), 0)]))
add(Linear(np.squeeze,      lambda t, x, axis=None: np.reshape(t, lead_shape(t, x) + _squeezed(x, axis)),
                            lambda u, x, axis=None: _back(u, x, len(_squeezed(x, axis))),
                            domain=[
                                case(A(1, 3, 1)), case(A(1, 3, 1), axis=-1), case(A(1, 3, 1), axis=(0, 2)),
                                case(A(1)), case(A(0, 1)),
                            ]))
add(Linear(np.broadcast_to, _broadcast_to, lambda u, x, shape: gather(u, x.shape, u.ndim - len(as_shape(shape))),
                            domain=[
                                case(A(3), (2, 3)), case(A(2, 1), (4, 2, 3)), case(A(), (2, 2)), case(A(1), 3),
                                case(A(1), (0,)), case(A(2), (2,)),
                            ]))
add(Linear(np.flip,         lambda t, x, axis=None: np.flip(t, trailing(axis, x.ndim)),
                            lambda u, x, axis=None: np.flip(u, trailing(axis, x.ndim)),
                            domain=[
                                case(A(2, 3)), case(A(2, 3), axis=0), case(A(2, 3, 2), axis=(0, -1)), case(A()),
                                case(A(0, 2)),
                            ]))
add(Linear(np.roll,         _roll, lambda u, x, shift, axis=None: _roll(u, x, _minus(shift), axis),
                            domain=[
                                case(A(4), 1), case(A(2, 3), -2), case(A(2, 3), 1, axis=-1),
                                case(A(2, 3), (1, 2), axis=(0, 1)), case(A(0, 2), 1, axis=0),
                            ]))
# fmt: on


CASTS = OnlyReal([case(A(3), np.float64), case(A(2, 3), np.complex128), case(A(), np.complex128)])


class _Astype(Op):
    """A change of precision, or of real to complex; a cast to integers or booleans has derivative zero."""

    def __init__(self) -> None:
        params = ["dtype", "copy", "device"]
        super().__init__(np.astype, evaluate=lambda x, dtype: x.astype(dtype), domain=CASTS, params=params)
        self.pushes = (lambda t, y, x, dtype: cast(t, y.dtype),)
        self.pulls = (lambda u, y, x, dtype: cast(u, x.dtype),)

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        dtype = np.dtype(params["dtype"])
        if params.get("copy", True) is False and dtype == args[0].dtype:
            return args[0]
        return (trace.process if dtype.kind in "fc" else trace.strip)(self, args, {"dtype": dtype})


add(_Astype())


def _ravel(a: Any, order: str = "C") -> Any:
    if order in ("A", "K") and not a.flags.c_contiguous:
        if not a.flags.f_contiguous and order == "K":
            raise TypeError("np.ravel with order='K' of a strided view has no rule; state order='C' or order='F'")
        order = "F" if a.flags.f_contiguous else "C"
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


def _triangle(lower: bool) -> Any:
    def body(m: Any, k: int = 0) -> Any:
        kept = np.tri(*m.shape[-2:], k=k if lower else k - 1, dtype=bool)
        return np.where(kept, m, 0) if lower else np.where(kept, 0, m)

    return body


# An array of each number of axes, and an empty one.
EVERY_RANK = [case(A()), case(A(3)), case(A(2, 3)), case(A(2, 3, 2)), case(A(0, 2))]


def _at3(s: tuple[int, ...]) -> tuple[int, ...]:
    return (1, 1, 1) if not s else (1, s[0], 1) if len(s) == 1 else (*s, 1)


# fmt: off
TRIANGLES = [case(A(3, 3)), case(A(2, 3), k=1), case(A(2, 3, 2), k=-1), case(A(3)), case(A(0, 2))]
add(Composite(np.ravel,       _ravel, domain=[case(A(2, 3)), case(A(2, 3), order="F"), case(A()), case(A(0, 2))]))
add(Composite(np.rollaxis,    _rollaxis,
    domain=[case(A(2, 3, 4), 2), case(A(2, 3, 4), 0, 2), case(A(2, 3, 4), -1, 1), case(A(2, 3), 1, -1)]))
add(Composite(np.rot90,       _rot90,
    domain=[
        case(A(2, 3)), case(A(2, 3), k=2), case(A(2, 3), k=-1), case(A(2, 3, 4), k=3, axes=(2, 0)),
        case(A(2, 2), k=4),
    ]))
add(Composite(np.repeat,      _repeat,
    domain=[
        case(A(2, 3), 2), case(A(3), [2, 0, 1]), case(A(2, 3), [1, 2], axis=0), case(A(2, 3), 2, axis=-1),
        case(A(), 3),
    ]))
add(Composite(np.tile,        _tile,
    domain=[
        case(A(2, 3), 2), case(A(2, 3), (2, 1)), case(A(3), (2, 2)), case(A(), 3), case(A(2, 1, 3), (2, 2)),
        case(A(2), 0),
    ]))
add(Composite(np.copy,        lambda a, order="K", subok=False: np.positive(a), domain=EVERY_RANK))
add(Composite(np.fliplr,      lambda m: np.flip(m, 1), domain=[case(A(2, 3)), case(A(2, 3, 2))]))
add(Composite(np.flipud,      lambda m: np.flip(m, 0), domain=[case(A(3)), case(A(2, 3))]))
add(Composite(np.matrix_transpose, lambda x: np.swapaxes(x, -1, -2),
    domain=[case(A(2, 3)), case(A(2, 3, 4)), case(A(0, 2))]), np.linalg.matrix_transpose)
add(Composite(np.atleast_1d,  arrays=None, body=_atleast(1, lambda s: (1,)), domain=[*EVERY_RANK, case(A(), A(2))]))
add(Composite(np.atleast_2d,  arrays=None, body=_atleast(2, lambda s: (1, s[0]) if s else (1, 1)),
    domain=[*EVERY_RANK, case(A(), A(2), A(2, 3))]))
add(Composite(np.atleast_3d,  arrays=None, body=_atleast(3, _at3), domain=[*EVERY_RANK, case(A(), A(2), A(2, 3))]))
add(Composite(np.tril,        _triangle(lower=True), domain=TRIANGLES))
add(Composite(np.triu,        _triangle(lower=False), domain=TRIANGLES))
add(Composite(np.trace,       lambda a, offset=0, axis1=0, axis2=1, dtype=None: np.sum(np.diagonal(a, offset, axis1, axis2), -1, dtype),
    domain=[case(A(3, 3)), case(A(2, 3), offset=1), case(A(2, 3, 2), axis1=-1, axis2=0), case(A(3, 2), offset=-1)]))
# fmt: on


def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    args = tuple(canonical(a) for a in args)
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _ix(*args: Any) -> tuple[Any, ...]:
    arrays = [canonical(a) for a in args]
    arrays = [np.flatnonzero(a) if a.dtype.kind == "b" else a for a in arrays]
    if any(np.ndim(a) != 1 for a in arrays):
        raise ValueError("Cross index must be 1 dimensional")
    return tuple(np.reshape(a, [-1 if i == k else 1 for k in range(len(arrays))]) for i, a in enumerate(arrays))


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    xi = tuple(np.ravel(canonical(x)) for x in xi)
    n = len(xi)
    place = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [np.reshape(x, [-1 if k == place[i] else 1 for k in range(n)]) for i, x in enumerate(xi)]
    return tuple(grids) if sparse else _broadcast_arrays(*grids)


add(
    Composite(
        np.broadcast_arrays,
        _broadcast_arrays,
        arrays=None,
        domain=[case(A(3), A(2, 1)), case(A(), A(2, 2)), case(A(1), A(0))],
    )
)
add(
    Composite(
        np.meshgrid,
        _meshgrid,
        arrays=None,
        domain=[
            case(A(2), A(3)),
            case(A(2), A(3), A(2), indexing="ij"),
            case(A(2), A(3), sparse=True),
            case(A(3)),
            case(A(), A(2)),
        ],
    )
)
add(Composite(np.ix_, _ix, arrays=None, domain=[case(A(2), A(3)), case(A(2))]))


# ---------------------------------------------------------------------------------------------------
# where: linear in both branches
# ---------------------------------------------------------------------------------------------------


def _where_rule(branch: int) -> tuple[Any, Any]:
    def push(t: Any, y: Any, condition: Any, *xs: Any) -> Any:
        lead = lead_shape(t, xs[branch - 1])
        t = align(t, np.ndim(xs[branch - 1]), y.ndim)
        return cast(spread(np.where(condition, *((t, 0) if branch == 1 else (0, t))), y.shape, lead), y.dtype)

    def pull(u: Any, y: Any, condition: Any, *xs: Any) -> Any:
        g = np.where(condition, *((u, 0) if branch == 1 else (0, u)))
        return cast(gather(g, xs[branch - 1].shape, u.ndim - y.ndim), xs[branch - 1].dtype)

    return push, pull


CHOICE = np.array([[True, False, True], [False, False, True]])
CHOICES = [
    case(CHOICE, A(2, 3), A(2, 3)), case(CHOICE, A(3), A(2, 1)), case(CHOICE[0], A(2, 1), A()),
    case(CHOICE, A(), 1.5), case(True, A(2), A(3, 1)), case(CHOICE, 0, A(1, 3)),
    case(np.zeros((0, 3), bool), A(3), A()), case(CHOICE, A(4, 2, 3), A(3)),
]  # fmt: skip


class _Where(Op):
    """np.where(condition, x, y): each branch takes the directions where it was chosen."""

    def __init__(self) -> None:
        super().__init__(np.where, arrays=3, domain=CHOICES)
        first, second = _where_rule(1), _where_rule(2)
        self.pushes = (None, first[0], second[0])
        self.pulls = (None, first[1], second[1])

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return trace.process(self, args, params) if len(args) == 3 else np.nonzero(args[0])


add(_Where())


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


class _Join(LinearAll):
    """Joining with dtype=: a cast of the joined array."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        axis, dtype = params.get("axis", 0), params.get("dtype")
        if dtype is None:
            return super().apply(trace, args, {"axis": axis})
        return np.astype(self.fn(args, axis=axis), np.dtype(dtype))


add(
    _Join(
        np.concatenate, _concatenate, _concatenate_transpose, sequence=True,
        evaluate=lambda *xs, axis=0: np.concatenate(xs, axis=axis), params=["axis", "dtype", "casting"],
        domain=[
            case([A(2), A(3)]), case((A(2, 3), A(1, 3))), case([A(2, 3), A(2, 1)], axis=-1),
            case([A(2, 1), A(3)], axis=None), case([A(0, 3), A(2, 3)]), case([A(2), [1.0, 2.0], A(1)], axis=0),
            case([A(3)], 0),
        ],
    ),
    np.concat,
).names = ("arrays", "axis", "out", "dtype", "casting")  # fmt: skip
add(
    _Join(
        np.stack, _stack, _stack_transpose, sequence=True,
        evaluate=lambda *xs, axis=0: np.stack(xs, axis=axis), params=["axis", "dtype", "casting"],
        domain=[
            case([A(3), A(3)]), case([A(2, 3), A(2, 3)], axis=1), case((A(2, 3), A(2, 3)), axis=-1), case([A(), A()]),
            case([A(0, 2)]), case([A(2), [1.0, 2.0]], axis=1),
        ],
    )
)  # fmt: skip


def _joined(lift: Any, axis: int) -> Any:
    def body(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
        return np.concatenate([lift(canonical(a)) for a in sequence(tup)], axis=axis, dtype=dtype)

    return body


def _hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    arrays = [np.atleast_1d(canonical(a)) for a in sequence(tup)]
    return np.concatenate(arrays, axis=0 if arrays[0].ndim == 1 else 1, dtype=dtype)


def _column(a: Any) -> Any:
    return np.reshape(a, (-1, 1)) if a.ndim < 2 else a


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, values, axis = np.ravel(canonical(arr)), np.ravel(canonical(values)), 0
    return np.concatenate([canonical(arr), canonical(values)], axis=axis)


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
            return np.reshape(a, (1,) * (n - np.ndim(a)) + np.shape(a))
        return np.concatenate([join(b, level + 1) for b in a], axis=-(depth - level))

    return join(arrays, 0)


add(Composite(np.vstack, _joined(np.atleast_2d, 0), arrays=0, domain=[case([A(3), A(2, 3)]), case((A(), A()))]))
if _row_stack := getattr(np, "row_stack", None):  # the deprecated name, which warns by itself
    add(Composite(_row_stack, _joined(np.atleast_2d, 0), arrays=0, domain=[case([A(3), A(2, 3)]), case((A(), A()))]))
add(Composite(np.hstack, _hstack, arrays=0, domain=[case([A(3), A(2)]), case([A(2, 3), A(2, 1)]), case([A(), A()])]))
add(Composite(np.dstack, _joined(np.atleast_3d, 2), arrays=0, domain=[case([A(3), A(3)]), case([A(2, 3), A(2, 3, 2)])]))
add(
    Composite(
        np.column_stack,
        lambda tup: _joined(_column, 1)(tup),
        arrays=0,
        domain=[case([A(3), A(3, 2)]), case([A(2), A(2)])],
    )
)
add(
    Composite(
        np.append,
        _append,
        domain=[case(A(2, 3), A(2)), case(A(2, 3), A(1, 3), axis=0), case(A(2, 3), A(2, 1), axis=-1), case(A(3), A())],
    )
)
add(
    Composite(
        np.block,
        _block,
        arrays=0,
        domain=[
            case([[A(2, 2), A(2, 1)], [A(1, 2), A(1, 1)]]),
            case([A(2), A(3)]),
            case([A(), A()]),
            case([[A(2)], [A(1, 2)]]),
        ],
    )
)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        each, extra = divmod(n, operator.index(indices_or_sections))
        sizes = [each + 1] * extra + [each] * (operator.index(indices_or_sections) - extra)
        cuts = [0, *np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *indices_or_sections, n]
    front = (slice(None),) * (axis % ary.ndim)
    return [ary[(*front, slice(a, b))] for a, b in itertools.pairwise(cuts)]


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if np.ndim(indices_or_sections) == 0 and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return _array_split(ary, indices_or_sections, axis)


add(
    Composite(
        np.array_split,
        _array_split,
        domain=[case(A(5), 3), case(A(5), [1, 3]), case(A(2, 4), 3, axis=-1), case(A(2), 3)],
    )
)
add(Composite(np.split, _split, domain=[case(A(4), 2), case(A(2, 4), [1, 3], axis=1), case(A(2, 4), 2, axis=-1)]))
add(
    Composite(
        np.vsplit,
        lambda ary, indices_or_sections: _split(ary, indices_or_sections, 0),
        domain=[case(A(4, 2), 2), case(A(3, 2), [1])],
    )
)
add(
    Composite(
        np.hsplit,
        lambda ary, indices_or_sections: _split(ary, indices_or_sections, min(ary.ndim - 1, 1)),
        domain=[case(A(2, 4), 2), case(A(4), [1])],
    )
)
add(
    Composite(
        np.dsplit, lambda ary, indices_or_sections: _split(ary, indices_or_sections, 2), domain=[case(A(2, 2, 4), 2)]
    )
)
add(
    Composite(
        np.unstack,
        lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)[i] for i in range(x.shape[axis])),
        domain=[case(A(2, 3)), case(A(2, 3), axis=-1), case(A(3))],
    )
)


# Rearrangements: NumPy itself, run on the places of the elements, says where each goes --------------------


def places(shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of the elements of an array, in C order."""
    return np.arange(int(np.prod(shape))).reshape(shape)


def rearranged(x: Any, at: Any) -> Any:
    """The array of the elements at these places."""
    return np.ravel(x)[at]


def _resize(a: Any, new_shape: Any) -> Any:
    a = canonical(a)
    if not a.size:
        return np.zeros(new_shape, a.dtype)
    return rearranged(a, np.resize(places(a.shape), new_shape))


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    arr = canonical(arr)
    return rearranged(arr, np.delete(places(arr.shape), obj, axis))


def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, values = canonical(arr), canonical(values)
    if np.result_type(values).kind == "c" and arr.dtype.kind != "c":
        raise TypeError("np.insert: complex values cannot be inserted into a real array; take their real part")
    new = arr.size + places(np.shape(values))
    at = np.insert(places(arr.shape), obj, new, axis)
    return np.concatenate([np.ravel(arr), np.astype(np.ravel(values), arr.dtype)])[at]


def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """The box of the elements that are not zero."""
    filt = canonical(filt)
    axes = {a + filt.ndim for a in trailing(axis, filt.ndim)}
    known = np.argwhere(filt)
    if not len(known):
        return filt[tuple(slice(0, 0) if k in axes else slice(None) for k in range(filt.ndim))]
    low, high = known.min(axis=0), known.max(axis=0) + 1
    ends = trim.lower()
    return filt[
        tuple(
            slice(int(low[k]) if "f" in ends else None, int(high[k]) if "b" in ends else None)
            if k in axes
            else slice(None)
            for k in range(filt.ndim)
        )
    ]


add(Composite(np.resize, _resize, domain=[case(A(2, 3), (2, 4)), case(A(4), 2), case(A(), (2,)), case(A(3), (0,))]))
add(
    Composite(
        np.delete,
        _delete,
        domain=[
            case(A(4), 1),
            case(A(2, 4), [0, -1], axis=1),
            case(A(4, 2), slice(1, 3), axis=0),
            case(A(2, 3), 2),
            case(A(3), [True, False, True]),
        ],
    )
)
add(
    Composite(
        np.insert,
        _insert,
        domain=[
            case(A(4), 1, A()),
            case(A(2, 3), 1, A(2), axis=1),
            case(A(4), [0, 2, 2], A(3)),
            case(A(3, 2), -1, A(2), axis=0),
        ],
    )
)
add(Composite(np.trim_zeros, _trim_zeros, domain=[case(A(3)), case(A(3), "f")]))


# Padding ------------------------------------------------------------------------------------------------


def _pad(
    array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0, end_values: Any = 0,
    stat_length: Any = None, reflect_type: str = "even",
) -> Any:  # fmt: skip
    """Axis by axis, each on the array padded so far."""
    array = canonical(array)
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, (0, 0))) for k in range(array.ndim)]
        pad_width = [(w, w) if np.ndim(w) == 0 else w for w in pad_width]
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    if mode in ("edge", "wrap", "symmetric", "reflect") and (reflect_type == "even" or mode in ("edge", "wrap")):
        return rearranged(array, np.pad(places(array.shape), pad_width, mode))
    if mode in ("symmetric", "reflect"):
        for axis, width in enumerate(widths):
            array = _mapped(np.pad(np.eye(array.shape[axis]), (width, (0, 0)), mode, reflect_type="odd"), array, axis)
        return array
    return _pad_ends(array, widths, mode, constant_values, end_values, stat_length)


def _pad_ends(array: Any, widths: Any, mode: str, constant_values: Any, end_values: Any, stat_length: Any) -> Any:
    """Modes that put something new before and after."""
    pairs = (array.ndim, 2)
    values = np.broadcast_to(canonical(constant_values if mode == "constant" else end_values), pairs)
    lengths = np.broadcast_to(np.asarray(0 if stat_length is None else stat_length), pairs).tolist()
    dtype = array.dtype
    for axis, width in enumerate(widths):
        if mode in _STATISTICS and stat_length is not None and min(lengths[axis]) < 1:
            raise ValueError("stat_length of 0 yields no value for padding")
        ends = []
        for side in (0, 1):
            shape = [width[side] if k == axis else n for k, n in enumerate(array.shape)]
            if mode == "constant":
                end = np.broadcast_to(values[axis, side], shape)
            elif mode == "linear_ramp":
                end = _ramp(values[axis, side], array, axis, side, width[side])
            elif mode in _STATISTICS:
                n = array.shape[axis] if stat_length is None else min(lengths[axis][side], array.shape[axis])
                part = _cut(array, axis, slice(0, n) if side == 0 else slice(array.shape[axis] - n, None))
                end = np.broadcast_to(_STATISTICS[mode](part, axis=axis, keepdims=True), shape)
            else:
                raise TypeError(f"np.pad has no derivative rule for mode={mode!r}")
            ends.append(np.astype(end, dtype))
        array = np.concatenate([ends[0], array, ends[1]], axis=axis)
    return array


_STATISTICS = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}


def _cut(array: Any, axis: int, part: Any) -> Any:
    return array[(slice(None),) * axis + (part,)]


def _ramp(end: Any, array: Any, axis: int, side: int, width: int) -> Any:
    """From the end value to the edge in equal steps, the edge itself left out."""
    edge = _cut(array, axis, slice(0, 1) if side == 0 else slice(array.shape[axis] - 1, None))
    k = np.arange(width) if side == 0 else np.arange(width)[::-1]
    share = np.reshape(k / max(width, 1), [-1 if a == axis else 1 for a in range(array.ndim)])
    return end * (1 - share) + edge * share


def _mapped(matrix: Any, array: Any, axis: int) -> Any:
    """A matrix applied along one axis."""
    return np.moveaxis(np.moveaxis(array, axis, -1) @ np.astype(matrix, array.dtype).T, -1, axis)


add(
    Composite(
        np.pad,
        _pad,
        domain=[
            case(A(3), 2),
            case(A(2, 3), ((1, 0), (0, 2))),
            case(A(2, 3), (1, 2), constant_values=4.0),
            case(A(0, 2), 1),
        ],
    )
)


def _windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Sliding windows, by indexing; the windows are last."""
    sizes = as_shape(window_shape)
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in as_shape(axis)]
    for a, m in zip(axes, sizes, strict=True):
        starts = np.arange(x.shape[a] - m + 1)
        x = np.moveaxis(x[(slice(None),) * a + (starts[:, None] + np.arange(m),)], a + 1, -1)
    return x


add(
    Composite(
        np.lib.stride_tricks.sliding_window_view,
        _windows,
        domain=[case(A(5), 3), case(A(4, 3), (2, 2)), case(A(4, 3), 2, axis=0), case(A(3, 4), 2, axis=-1)],
    )
)

# ---------------------------------------------------------------------------------------------------
# Shapes, dtypes, and arrays that take only these from their argument
# ---------------------------------------------------------------------------------------------------


for _fn in (
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type,
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.einsum_path, np.shares_memory,
    np.may_share_memory,
):  # fmt: skip
    add(Passive(_fn, static=True))
