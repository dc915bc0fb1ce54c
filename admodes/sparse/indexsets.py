"""Index sets as boolean sparse matrices: row i holds the inputs that element i of a raveled value may depend on.

All that pattern detection does with them is here: rows moved about, joined one below the other, united, and united in
groups (a boolean product), at the cost of the entries they have, never of rows times columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from ..core.errors import PatternTooDense

# More entries than this are no sparse matrix: with an index each they would take more than a gigabyte.
MOST_ENTRIES = 1 << 28


def check_size(entries: int) -> None:
    """Raise before so many entries are laid out."""
    if entries > MOST_ENTRIES:
        raise PatternTooDense(entries)


def matrix(indices: Any, indptr: Any, columns: int) -> Any:
    """The boolean csr_array of given rows."""
    return sparse.csr_array((np.ones(len(indices), bool), indices, indptr), shape=(len(indptr) - 1, columns))


def block(start: int, size: int, columns: int) -> Any:
    """Each of `size` rows depends on the one input that stands in its place, from `start` on."""
    return matrix(np.arange(start, start + size, dtype=np.int32), np.arange(size + 1, dtype=np.int32), columns)


def nothing(count: int, columns: int) -> Any:
    """Rows that depend on no input."""
    return matrix(np.zeros(0, np.int32), np.zeros(count + 1, np.int32), columns)


def take(rows: Any, places: Any) -> Any:
    """rows[places], an empty row where a place is −1; places of any shape, raveled."""
    places = np.ravel(places)
    if places.size and places.min() < 0:
        # One more row, which is empty, is the last.
        rows = matrix(rows.indices, np.append(rows.indptr, rows.indptr[-1]), rows.shape[1])
    check_size(int(np.diff(rows.indptr)[places].sum(dtype=np.int64)))
    return rows[places]


def union(parts: Iterable[Any]) -> Any:
    """Row by row; None where there is nothing to unite."""
    total = None
    for rows in parts:
        if total is None or rows is total:
            total = rows
        elif rows is not None:
            check_size(total.nnz + rows.nnz)
            total = total + rows
    return total


def below(parts: Sequence[Any]) -> Any:
    """All rows of the first, then all rows of the second, …"""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([0, *(rows.nnz for rows in parts)])
    check_size(int(ends[-1]))
    pointers = [rows.indptr[1:] + end for rows, end in zip(parts, ends[:-1], strict=True)]
    indices = np.concatenate([rows.indices for rows in parts])
    return matrix(indices, np.concatenate([[0], *pointers]), parts[0].shape[1])


def grouped(rows: Any, heads: Any, tails: Any, count: int) -> Any:
    """`count` rows: row heads[k] unites all rows tails[k].  heads and tails broadcast against each other."""
    heads, tails = (np.ravel(a) for a in np.broadcast_arrays(heads, tails))
    check_size(int(np.diff(rows.indptr)[tails].sum(dtype=np.int64)))
    links = sparse.coo_array((np.ones(heads.size, bool), (heads, tails)), shape=(count, rows.shape[0]))
    found = sparse.csr_array(links) @ rows
    found.sort_indices()
    return found


# ---------------------------------------------------------------------------------------------------
# Numbers of elements
# ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _numbers(shape: tuple[int, ...]) -> Any:
    found = np.arange(math.prod(shape)).reshape(shape)
    found.flags.writeable = False
    return found


def numbers(shape: tuple[int, ...]) -> Any:
    """The place of each element of an array of a shape in raveled order; not to be written to."""
    return _numbers(shape)


def outside(shape: tuple[int, ...], axes: Iterable[int]) -> tuple[int, ...]:
    """The shape with extent 1 along `axes`."""
    gone = {k % len(shape) for k in axes}
    return tuple(1 if k in gone else n for k, n in enumerate(shape))


def cells(shape: tuple[int, ...], axes: Iterable[int]) -> Any:
    """Numbers, of `shape`, that run over all axes but `axes`: elements that differ along these alone share one."""
    return np.broadcast_to(numbers(outside(shape, axes)), shape)


def spread(rows: Any, shape: tuple[int, ...], result: tuple[int, ...], chosen: Any = None) -> Any:
    """The rows of an array broadcast to the shape of a result; empty where not `chosen`."""
    if shape == result and chosen is None:
        return rows
    places = np.broadcast_to(numbers(shape), result)
    return take(rows, places if chosen is None else np.where(chosen, places, -1))


def united(rows: Any, shape: tuple[int, ...], axes: Iterable[int]) -> Any:
    """A row for each cell: all elements that differ along `axes` alone."""
    axes = tuple(axes)
    return grouped(rows, cells(shape, axes), numbers(shape), math.prod(outside(shape, axes)))


def mixed(rows: Any, shape: tuple[int, ...], result: tuple[int, ...], axes: Iterable[int]) -> Any:
    """Each element of a result depends on all elements along `axes`; the other axes stay apart."""
    axes = tuple(axes)
    return take(united(rows, shape, axes), cells(result, axes))


def everything(rows: Any, count: int) -> Any:
    """`count` rows that each depend on all that any of `rows` depends on."""
    columns = np.unique(rows.indices)
    check_size(count * columns.size)
    return matrix(np.tile(columns, count), np.arange(count + 1) * columns.size, rows.shape[1])
