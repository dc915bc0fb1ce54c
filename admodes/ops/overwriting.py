"""Functions that change their first argument: copyto, put, place, putmask, fill_diagonal, put_along_axis.

Each computes the array that NumPy would leave, and the traced argument stands for it from then on (see `views`).  A
plain argument with traced values to store would detach them, and raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.domain import A, case
from ..core.registry import Composite, add
from ..core.tracing import canonical, put, store
from .index import along


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    new = np.broadcast_to(canonical(src), np.shape(dst))
    store(dst, new if where is True else np.where(where, new, dst), "copyto")


def _flat_put(a: Any, places: Any, values: Any, name: str) -> None:
    """Values, repeated as often as needed, to places of the ravelled array."""
    values = np.ravel(canonical(values))
    if values.size and np.size(places):
        new = put(np.ravel(a), places, np.resize(values, (np.size(places),)))
        store(a, np.reshape(new, np.shape(a)), name)


def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    ind = np.ravel(np.asarray(ind))
    if mode != "raise":
        ind = ind % np.size(a) if mode == "wrap" else np.clip(ind, 0, np.size(a) - 1)
    _flat_put(a, ind, v, "put")


def _place(arr: Any, mask: Any, vals: Any) -> None:
    places = np.flatnonzero(np.broadcast_to(mask, np.shape(arr)))
    if len(places) and not np.size(vals):
        raise ValueError("Cannot insert from an empty array!")
    _flat_put(arr, places, vals, "place")


def _putmask(a: Any, mask: Any, values: Any) -> None:
    """Element n takes values[n], the values repeated to the size of the array."""
    places = np.flatnonzero(np.reshape(mask, np.shape(a)))
    _flat_put(a, places, np.resize(canonical(values), (np.size(a),))[places], "putmask")


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    diagonal = np.zeros(np.shape(a), dtype=bool)
    np.fill_diagonal(diagonal, True, wrap)
    _flat_put(a, np.flatnonzero(diagonal), val, "fill_diagonal")


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    if axis is None:
        new = np.reshape(put(np.ravel(arr), canonical(indices), values), np.shape(arr))
    else:
        new = put(canonical(arr), along(np.shape(arr), canonical(indices), axis), values)
    store(arr, new, "put_along_axis")


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
