"""Functions of several arrays that move elements about: choosing, joining, splitting."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from ..core.directions import align, cast, gather, lead_shape, spread, trailing_axis
from ..core.dispatch import canonical
from ..core.domain import A, case
from ..core.registry import Composite, LinearAll, Op, add
from .shape import sequence

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

    moves = True

    def __init__(self) -> None:
        super().__init__(np.where, arrays=3, domain=CHOICES)
        first, second = _where_rule(1), _where_rule(2)
        self.pushes = (None, first[0], second[0])
        self.pulls = (None, first[1], second[1])

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return trace.process(self, args, params) if len(args) == 3 else np.nonzero(args[0])


add(_Where())


# ---------------------------------------------------------------------------------------------------
# Joining and splitting
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

    moves = True

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
