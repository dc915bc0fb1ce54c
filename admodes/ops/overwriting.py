"""Functions that change their first argument: copyto, put, place, putmask, fill_diagonal, put_along_axis.

NumPy itself says which elements go where (see `change`).  A plain argument with traced values to store would detach
them, and raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.calls import store
from ..core.changes import change
from ..core.dispatch import canonical, change_plain
from ..core.domain import A, case
from ..core.registry import Composite, add
from ..core.tracing import Tracer


def _change(name: str, a: Any, fn: Any, source: Any) -> None:
    if isinstance(a, Tracer):
        change(a, fn, source)
    else:
        change_plain(name, fn, 0, (a, source), {})


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    src = canonical(src)
    if not np.can_cast(np.result_type(src), np.result_type(dst), casting):
        raise TypeError(f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} according to the rule {casting!r}")
    if isinstance(where, Tracer):
        shape = np.shape(dst)
        extra = src.ndim - len(shape)
        if extra > 0 and set(src.shape[:extra]) == {1}:  # as an assignment leaves out leading extents of 1
            src = np.reshape(src, src.shape[extra:])
        store(dst, np.where(where, np.broadcast_to(src, shape), dst), "copyto")
    else:
        _change("copyto", dst, lambda a, v: np.copyto(a, v, where=where), src)


def _put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    ind = np.asarray(ind)
    _change("put", a, lambda a, v: np.put(a, ind, v, mode), v)


def _place(arr: Any, mask: Any, vals: Any) -> None:
    mask = np.asarray(mask)
    _change("place", arr, lambda a, v: np.place(a, mask, v), vals)


def _putmask(a: Any, mask: Any, values: Any) -> None:
    mask = np.asarray(mask)
    _change("putmask", a, lambda a, v: np.putmask(a, mask, v), values)


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    _change("fill_diagonal", a, lambda a, v: np.fill_diagonal(a, v, wrap), val)


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    indices = np.asarray(indices)
    _change("put_along_axis", arr, lambda a, v: np.put_along_axis(a, indices, v, axis), values)


# fmt: off
for _row in (
    Composite(np.copyto,  _copyto,  domain=[case(A(2, 3), A(3)), case(A(3), A(), where=[True, False, True])]),
    Composite(np.put,     _put,
        domain=[case(A(4), [0, -1], A(2)), case(A(2, 3), [4, 0, 1], A(2)), case(A(3), [4], A(), mode="wrap")]),
    Composite(np.place,   _place,   domain=[case(A(4), np.array([True, False, True, True]), A(2))]),
    Composite(np.putmask, _putmask,
        domain=[case(A(4), np.array([True, False, True, True]), A(2)), case(A(2, 2), np.eye(2) > 0, A())]),
    Composite(np.fill_diagonal,  _fill_diagonal,
        domain=[case(A(3, 3), A()), case(A(3, 3), A(3)), case(A(4, 2), A(), wrap=True)]),
    Composite(np.put_along_axis, _put_along_axis,
        domain=[case(A(2, 3), np.array([[0], [2]]), A(2, 1), axis=1), case(A(3, 2), np.array([[0, 1]]), A(), axis=0)]),
):
    _row.changes = 0
    add(_row)
# fmt: on
