"""Changes in place: x[index] = v, ufunc.at, arrays to be filled (zeros_like), and the methods of ufuncs.

`put` is the array that an assignment leaves; Tracer.__setitem__ lets the tracer stand for it (see `views`).
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from ..core.changes import numbered, put, replace, write
from ..core.directions import cast, gather, inexact, trailing
from ..core.dispatch import apply, canonical, change_plain, highest, primitive
from ..core.domain import NONZERO, A, case
from ..core.indices import as_tuple
from ..core.registry import OPS, Composite, Op, add
from ..core.tracing import Tracer
from ..core.views import ground
from .index import COPY, advanced_axes, is_array, read, scatter


def _put(x: Any, index: Any, value: Any) -> Any:
    return _assigned(np.array(x), index, value)


def _assigned(y: Any, index: Any, value: Any) -> Any:
    if np.result_type(value).kind == "c" and y.dtype.kind != "c":
        if not np.size(y[index]):
            return y
        raise TypeError(
            "a complex value cannot be assigned into a real array; take its real part, or x.astype(complex)"
        )
    y[index] = value
    return y


def _behind(index: Any, lead: int) -> tuple[Any, ...]:
    return (slice(None),) * lead + as_tuple(index)


def _aligned(value: Any, index: tuple[Any, ...], lead: int, ndim: int) -> Any:
    """Directions of an assigned value in the shape of t[:, index], where `ndim` axes follow the directions."""
    own = value.shape[lead:]
    value = np.reshape(value, value.shape[:lead] + (1,) * (ndim - len(own)) + own[max(len(own) - ndim, 0) :])
    first = advanced_axes(index)
    return np.moveaxis(value, range(lead), range(first, first + lead)) if lead and first else value


I = np.array([2, 0, -1])
PUTS = [
    case(A(4), 1, A()), case(A(4), slice(None, None, -2), A(2)), case(A(4), slice(1, None), A()),
    case(A(4, 3), 0, A(3)), case(A(4, 3), (slice(None), [0, 2]), A(2)), case(A(2, 3), ..., A(3)),
    case(A(2, 3), (slice(None), slice(None)), A(1, 2, 3)), case(A(4), I, A(3)), case(A(4), I, A()),
    case(A(4), [1, 1, 2], A(3)), case(A(4, 4), (I, I), A(3)), case(A(4, 3, 4), (I, slice(None), I), A(3, 3)),
    case(A(4, 3, 4), (I, slice(None), 0), A(3, 1)), case(A(4, 3, 4), (I, slice(None), I), A(3)),
    case(A(2, 3), np.array([False, True]), A(3)),
    case(A(2, 3), np.array([[True, False, True], [False, False, True]]), A(3)),
    case(A(2, 3), np.ones((2, 3), bool), A()), case(A(), (), A()), case(A(0, 3), 0 * I[:0], A(3)),
    case(A(4), slice(0, 2), 1.5), case(A(4, 2), (I, None, 0), A(3, 1)),
]  # fmt: skip


class _Put(Op):
    """y = x with y[index] = v: linear in x and v together.

    push: ẏ = ẋ with ẏ[index] = v̇        pull: x̄ = ȳ with x̄[index] = 0, v̄ = gather(ȳ[index])
    """

    moves = True

    def __init__(self) -> None:
        super().__init__(_put, name="setitem", arrays=1, domain=PUTS)
        self.pushes = self.pulls = (_put, None, _put)  # pushed and pulled together, below
        self.pull_all = lambda u, y, args, _: self.pull_in_place(u, y, args, False)

    def push_all(self, tangents: dict[int, Any], y: Any, args: Any, params: dict[str, Any]) -> Any:
        x, index, _ = args
        i, t = next(iter(tangents.items()))
        lead = t.shape[: t.ndim - np.ndim(args[i])]
        base = tangents[0] if 0 in tangents else np.zeros(lead + x.shape, y.dtype)
        new: Any = 0.0
        if 2 in tangents:
            new = _aligned(tangents[2], as_tuple(index), len(lead), read(y, as_tuple(index), 0).ndim)
            new = cast(new, y.dtype)  # complex ones may stand in a real array where no element is chosen
        return self.evaluate(base, _behind(index, len(lead)), new)

    @staticmethod
    def pull_in_place(u: Any, y: Any, args: Any, own: bool) -> list[Any]:
        x, index, value = args
        lead = u.ndim - y.ndim
        at = as_tuple(index)
        there = COPY.evaluate(u, _behind(index, lead)) if own and not any(map(is_array, at)) else read(u, at, lead)
        if any(is_array(i) and i.dtype != bool for i in at) and not _distinct(at, x.ndim):
            there = there * _last_writer(x.shape, at)
        kept = (OWN if own else SETITEM).evaluate(u, _behind(index, lead), 0.0)
        return [
            cast(kept, x.dtype),
            None,
            cast(_fitted(there, np.shape(value), lead), inexact(value)),
        ]


def _fitted(there: Any, shape: tuple[int, ...], lead: int) -> Any:
    """Sum the cotangent of the assigned elements back to the value's shape, which may have had leading ones."""
    extra = len(shape) - (there.ndim - lead)
    if extra > 0:
        there = np.reshape(there, there.shape[:lead] + (1,) * extra + there.shape[lead:])
    return gather(there, shape, lead)


def _distinct(index: tuple[Any, ...], ndim: int) -> bool:
    """Whether plain places, one number an axis, are known to be different ones, at the cost of looking at them alone."""
    if len(index) != ndim or not all(type(i) is np.ndarray and i.ndim == 1 and i.dtype.kind == "i" for i in index):
        return False
    if len({len(i) for i in index}) > 1 or min(i.min(initial=0) for i in index) < 0:
        return False
    return len(set(zip(*(i.tolist() for i in index), strict=True))) == len(index[0])


def _last_writer(shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """1 where an element of the value is the last that is written to its place, else 0."""
    places = np.zeros(shape, dtype=int)
    numbers = np.arange(places[index].size).reshape(places[index].shape)
    places[index] = numbers
    return (places[index] == numbers) * 1.0


class _PutOwn(_Put):
    """x[index] = v of an array that nobody else holds: y is x, changed."""

    def __init__(self) -> None:
        super().__init__()
        self.evaluate, self.pure = self._changed, SETITEM

    def _changed(self, x: Any, index: Any, value: Any) -> Any:
        if isinstance(x, Tracer):
            return apply(self, (x, index, value), {})
        if type(x) is not np.ndarray or highest((index, value)) is not None:
            return setitem(x, index, value)
        return _assigned(x, index, value)


SETITEM = add(_Put(), operator.setitem)
setitem = primitive(SETITEM)
SETITEM.own = OWN = _PutOwn()

# Rows of one array that may give a view of it, or the array itself.
for _fn in (
    np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.flip, np.broadcast_to, np.real,
    np.imag,
):  # fmt: skip
    OPS[_fn].view = True


# ---------------------------------------------------------------------------------------------------
# Arrays to be filled
# ---------------------------------------------------------------------------------------------------


class _Like(Op):
    """zeros_like and its kin: a traced constant, so that traced values may be assigned into it."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        dtype = params.get("dtype", args[1] if len(args) > 1 else None)
        if dtype is not None and np.dtype(dtype).kind == "O":
            return self.evaluate(ground(args[0]), *args[1:], **params)
        if (np.dtype(dtype) if dtype is not None else args[0].dtype).kind not in "fc":
            return trace.strip(self, args, params)
        return trace.constant(self, args, params)


def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    return put(np.zeros_like(a, dtype=dtype), ..., fill_value)


for _fn in (np.zeros_like, np.ones_like, np.empty_like):
    add(
        _Like(
            _fn,
            evaluate=np.zeros_like if _fn is np.empty_like else _fn,
            params=["dtype", "shape", "order", "subok"],
            domain=[case(A(2, 3)), case(A()), case(A(0, 2))],
        )
    )
add(
    Composite(
        np.full_like,
        _full_like,
        domain=[
            case(A(2, 3), 1.5),
            case(A(2, 3), A()),
            case(A(2, 3), A(3)),
            case(A(0, 2), A()),
        ],
    )
)


# ---------------------------------------------------------------------------------------------------
# Methods of ufuncs: rows under (ufunc, method), or (None, method) for any ufunc
# ---------------------------------------------------------------------------------------------------


def _method(ufunc: np.ufunc | None, method: str, body: Any, domain: Any) -> None:
    name = f"{ufunc.__name__ if ufunc else 'ufunc'}.{method}"

    def itself(ufunc: np.ufunc, *args: Any, **params: Any) -> Any:
        """NumPy's method, which takes its arrays by position alone."""
        arrays = [params.pop(name) for name in ("a", "array", "indices", "b") if name in params]
        return getattr(ufunc, method)(*args, *arrays, **params)

    numpys = functools.partial(itself, ufunc) if ufunc else itself
    arrays = {"at": 1, "outer": 3}.get(method, 2)  # the ufunc is the first
    OPS[(ufunc, method)] = row = Composite(body, body, name=name, arrays=arrays, domain=domain)
    row.evaluate = numpys
    if method == "at":
        row.changes = 0 if ufunc else 1
    else:
        row.asked = numpys


def _add_at(a: Any, indices: Any, b: Any) -> None:
    if not isinstance(a, Tracer):
        change_plain("add.at", np.add.at, 0, (a, indices, b), {})
    elif a.ndim and 0 in a.strides:
        _at(np.add, a, indices, b)
    else:
        there = np.broadcast_to(_promoted(b, a), read(a, as_tuple(indices), 0).shape)
        replace(a, a + scatter(there, as_tuple(indices), a.shape, there.ndim))


def _promoted(b: Any, a: Any) -> Any:
    """What is added to elements of a, in the dtype of the sum: bytes would overflow where an index repeats."""
    b = canonical(b)
    dtype = np.result_type(a, b)
    if np.result_type(b) == dtype:
        return b
    return np.astype(b, dtype) if isinstance(b, Tracer) else np.asarray(b, dtype)


def _at(ufunc: np.ufunc, a: Any, indices: Any, b: Any = None) -> None:
    """a[indices] = ufunc(a[indices], b), one occurrence of an index after the other."""
    if not isinstance(a, Tracer):
        change_plain(f"{ufunc.__name__}.at", ufunc.at, 0, (a, indices) if b is None else (a, indices, b), {})
        return
    index = as_tuple(indices)
    places = np.asarray(numbered(a, 0)[index])  # one number for elements that are one in memory
    values = None if b is None else np.ravel(np.broadcast_to(canonical(b), places.shape))
    flat, rank = places.ravel(), _occurrence(places.ravel())
    for k in range(int(rank.max(initial=-1)) + 1):
        at = np.unravel_index(flat[rank == k], a.shape) if a.ndim else ...
        new = ufunc(a[at]) if values is None else ufunc(a[at], values[rank == k])
        write(a, at, new if a.ndim else np.reshape(new, ()))


def _occurrence(places: np.ndarray) -> np.ndarray:
    """How often each place has stood before."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if places.size else np.zeros(0, int)
    rank = np.empty(places.size, dtype=int)
    rank[order] = np.arange(places.size) - np.repeat(starts, np.diff(np.r_[starts, places.size]))
    return rank


def _outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    a, b = canonical(a), canonical(b)
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)


def _reduce(ufunc: np.ufunc, array: Any, axis: Any = 0, keepdims: bool = False, initial: Any = None) -> Any:
    """Element by element from the first, along one axis or several."""
    axes = [k + array.ndim for k in trailing(axis, array.ndim)]
    kept = [k for k in range(array.ndim) if k not in axes]
    moved = np.transpose(array, axes + kept)
    rows = np.reshape(moved, (-1, *(array.shape[k] for k in kept)))
    items = [rows[i] for i in range(rows.shape[0])]
    y = functools.reduce(ufunc, items if initial is None else [initial, *items])
    return np.reshape(y, tuple(1 if k in axes else n for k, n in enumerate(array.shape))) if keepdims else y


def _accumulate(ufunc: np.ufunc, array: Any, axis: int = 0) -> Any:
    rows = np.moveaxis(array, axis, 0)
    if not rows.shape[0]:
        return np.positive(array)
    items = [rows[0]]
    for i in range(1, rows.shape[0]):
        items.append(ufunc(items[-1], rows[i]))
    return np.stack(items, axis=axis)


def _reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0) -> Any:
    rows = np.moveaxis(array, axis, 0)
    starts = [operator.index(i) for i in np.asarray(indices)]
    ends = [*starts[1:], rows.shape[0]]
    parts = [ufunc.reduce(rows[a:b], axis=0) if a < b else rows[a] for a, b in zip(starts, ends, strict=True)]
    return np.stack(parts, axis=axis)


SCATTERED = [
    case(A(4), [1, 0, 1], A(3)), case(A(4), slice(1, None), A()), case(A(4, 2), ([0, 0], [1, 1]), A(2)),
    case(A(3, 2), [2, 2], A(2)), case(A(3, 2), np.array([True, False, True]), A(2, 2)), case(A(2, 3), 1, A(3)),
]  # fmt: skip
# Of ufuncs that have no row of their own for the method.
AT = [
    case(np.multiply, A(4), [1, 0, 1, 1], A(4)), case(np.divide, A(4, 2), ([0, 0], [1, 1]), A(within=NONZERO)),
    case(np.maximum, A(4), [2, 2], A(2)), case(np.exp, A(4), [1, 1]), case(np.multiply, A(3), slice(1, None), A(2)),
]  # fmt: skip
OUTER = [case(np.multiply, A(2), A(3)), case(np.subtract, A(2, 2), A(3)), case(np.multiply, A(), A(2))]
FOLDED = [
    case(np.subtract, A(3)), case(np.subtract, A(2, 3), axis=-1),
    case(np.divide, A(3, 2, within=NONZERO), axis=0, keepdims=True), case(np.multiply, A(2, 3, 2), axis=1),
    case(np.divide, A(1, 2, within=NONZERO)),
]  # fmt: skip
RUNNING = [case(np.subtract, A(3)), case(np.divide, A(2, 3, within=NONZERO), axis=-1), case(np.subtract, A(0, 2))]
PIECES = [
    case(np.add, A(5), [0, 3, 1]), case(np.multiply, A(2, 4), [0, 2], axis=1), case(np.subtract, A(4, 2), [0, 2, 2, 3]),
]  # fmt: skip

_method(np.add, "at", _add_at, SCATTERED)
_method(np.subtract, "at", lambda a, indices, b: _add_at(a, indices, -_promoted(b, a)), SCATTERED)
_method(None, "at", _at, AT)
_method(None, "outer", _outer, OUTER)
_method(None, "reduce", _reduce, FOLDED)
_method(None, "accumulate", _accumulate, RUNNING)
_method(None, "reduceat", _reduceat, PIECES)
