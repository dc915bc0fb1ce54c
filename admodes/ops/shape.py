"""Functions that move the elements of one array about: reshape and transpose, flips, padding, broadcasting."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..core.directions import align, cast, gather, lead_shape, trailing, trailing_axis
from ..core.dispatch import canonical, elements
from ..core.domain import A, OnlyReal, case
from ..core.errors import Detached
from ..core.registry import Composite, Linear, Op, Passive, add
from ..core.tracing import Tracer
from ..core.views import laid


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


class _Reshape(Linear):
    """np.reshape; order="A" is that of the array's layout."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if params.get("order") == "A":
            params = {**params, "order": "F" if args[0].flags.fnc else "C"}
        return trace.process(self, args, params)


# fmt: off
add(_Reshape(np.reshape, _reshape, _reshape_transpose,
                            moves=True, domain=[
                                case(A(2, 3), (3, 2)), case(A(2, 3), -1), case(A(2, 3), (-1, 2), order="F"),
                                case(A(), (1, 1)), case(A(0, 3), (3, 0, 2)), case(A(1), ()),
                            ]))
add(Linear(np.transpose,    _transpose, _transpose_back,
                            moves=True, domain=[
                                case(A(2, 3)), case(A(2, 3, 4), axes=(1, 2, 0)), case(A(2, 3, 4), (-1, 0, 1)),
                                case(A()), case(A(0, 3)),
                            ]), np.permute_dims)
add(Linear(np.moveaxis,     _moveaxis,  lambda u, x, source, destination: _moveaxis(u, x, destination, source),
                            moves=True, domain=[
                                case(A(2, 3, 4), 0, -1), case(A(2, 3, 4), -1, 0), case(A(2, 3, 4), [0, 1], [-1, -2]),
                            ]))
add(Linear(np.swapaxes,     _swapaxes,  _swapaxes,
                            moves=True, domain=[case(A(2, 3), 0, 1), case(A(2, 3, 4), -1, 0), case(A(0, 3), 0, -1)]))
add(Linear(np.expand_dims,  _expand_dims, lambda u, x, axis: _back(u, x, x.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)),
                            moves=True, domain=[case(A(2, 3), 0), case(A(2, 3), -1), case(A(2, 3), (0, -2)), case(A(), 0)]))
add(Linear(np.squeeze,      lambda t, x, axis=None: np.reshape(t, lead_shape(t, x) + _squeezed(x, axis)),
                            lambda u, x, axis=None: _back(u, x, len(_squeezed(x, axis))),
                            moves=True, domain=[
                                case(A(1, 3, 1)), case(A(1, 3, 1), axis=-1), case(A(1, 3, 1), axis=(0, 2)),
                                case(A(1)), case(A(0, 1)),
                            ]))
add(Linear(np.broadcast_to, _broadcast_to, lambda u, x, shape: gather(u, x.shape, u.ndim - len(as_shape(shape))),
                            moves=True, domain=[
                                case(A(3), (2, 3)), case(A(2, 1), (4, 2, 3)), case(A(), (2, 2)), case(A(1), 3),
                                case(A(1), (0,)), case(A(2), (2,)),
                            ]))
add(Linear(np.flip,         lambda t, x, axis=None: np.flip(t, trailing(axis, x.ndim)),
                            lambda u, x, axis=None: np.flip(u, trailing(axis, x.ndim)),
                            moves=True, domain=[
                                case(A(2, 3)), case(A(2, 3), axis=0), case(A(2, 3, 2), axis=(0, -1)), case(A()),
                                case(A(0, 2)),
                            ]))
add(Linear(np.roll,         _roll, lambda u, x, shift, axis=None: _roll(u, x, _minus(shift), axis),
                            moves=True, domain=[
                                case(A(4), 1), case(A(2, 3), -2), case(A(2, 3), 1, axis=-1),
                                case(A(2, 3), (1, 2), axis=(0, 1)), case(A(0, 2), 1, axis=0),
                            ]))
# fmt: on


CASTS = OnlyReal([case(A(3), np.float64), case(A(2, 3), np.complex128), case(A(), np.complex128)])


def objects(x: Tracer) -> Any:
    """x.astype(object): the traced elements."""
    if x.dtype.kind == "c":  # whose parts are out of reach in an array of objects
        raise Detached("a conversion to complex Python objects", "Leave out dtype=object: arrays take traced values.")
    return elements(x)


class _Astype(Op):
    """A change of precision, or of real to complex; a cast to integers or booleans has derivative zero."""

    moves = True

    def __init__(self) -> None:
        params = ["dtype", "copy", "device"]
        super().__init__(np.astype, evaluate=lambda x, dtype: x.astype(dtype), domain=CASTS, params=params)
        self.pushes = (lambda t, y, x, dtype: cast(t, y.dtype),)
        self.pulls = (lambda u, y, x, dtype: cast(u, x.dtype),)

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        dtype = np.dtype(params["dtype"])
        if params.get("copy", True) is False and dtype == args[0].dtype:
            return args[0]
        if dtype.kind == "O":
            return objects(args[0])
        return (trace.process if dtype.kind in "fc" else trace.strip)(self, args, {"dtype": dtype})


add(_Astype())


def _as_it_lies(a: Any) -> Any:
    """The elements in the order of memory, the axis of the longest stride first."""
    if 0 not in a.strides:
        return np.reshape(np.transpose(a, sorted(range(a.ndim), key=lambda k: -abs(a.strides[k]))), (a.size,))
    numbers = np.arange(a.size).reshape(a.shape)  # where places share memory NumPy is asked
    order = np.ravel(laid(numbers, tuple(s // a.itemsize * numbers.itemsize for s in a.strides)), order="K")
    return np.reshape(a, (a.size,))[order]


def _ravel(a: Any, order: str = "C") -> Any:
    if order == "K":
        return _as_it_lies(a)
    if order == "A":
        order = "F" if a.flags.fnc else "C"
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
    return np.flip(np.swapaxes(m, *axes), axes[1]) if k == 3 else m[:]


def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    a = np.atleast_1d(a)
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
# Shapes, dtypes, and arrays that take only these from their argument
# ---------------------------------------------------------------------------------------------------

for _fn in (
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type,
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.einsum_path, np.shares_memory,
    np.may_share_memory,
):  # fmt: skip
    add(Passive(_fn, static=True))
