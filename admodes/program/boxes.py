"""Boxes: the elements of an array whose index on each axis is in a range of step 1, as basic slices name them."""

from __future__ import annotations

from typing import Any

Box = tuple[range, ...]


def box(index: Any, shape: tuple[int, ...]) -> Box | None:
    """The elements at an index of whole numbers and slices; None where they are not neighbours.

    >>> box((slice(1, None),), (4,)), box((..., 0), (4, 5))
    ((range(1, 4),), (range(0, 4), range(0, 1)))
    """
    entries = [i for i in (index if isinstance(index, tuple) else (index,)) if i is not None]
    at = next((k for k, i in enumerate(entries) if i is Ellipsis), len(entries))
    named = sum(i is not Ellipsis for i in entries)
    entries[at : at + 1] = [slice(None)] * (len(shape) - named)
    ranges = []
    for i, n in zip(entries, shape, strict=True):
        if not isinstance(i, slice):
            ranges.append(range(int(i) % n, int(i) % n + 1))
            continue
        start, stop, step = i.indices(n)
        if step != 1:
            return None
        ranges.append(range(start, max(start, stop)))
    return tuple(ranges)


def common(a: Box, b: Box) -> Box:
    """The elements of both boxes."""
    return tuple(_meet(r, s) for r, s in zip(a, b, strict=True))


def _meet(r: range, s: range) -> range:
    start = max(r.start, s.start)
    return range(start, max(start, min(r.stop, s.stop)))


def outside(a: Box, b: Box) -> list[tuple[int | slice, ...]] | None:
    """Indices of the elements of a that are not in b; None where they are more than the two ends of one axis.

    >>> outside((range(0, 3),), (range(1, 4),)), outside((range(0, 3),), (range(1, 2),))
    ([(0,)], [(0,), (2,)])
    """
    if not all(a):
        return []
    both = common(a, b)
    if not all(both):
        return [tuple(map(_entry, a))]
    shorter = [k for k, (r, s) in enumerate(zip(a, both, strict=True)) if r != s]
    if len(shorter) > 1:
        return None
    pieces = []
    for k in shorter:
        for r in (range(a[k].start, both[k].start), range(both[k].stop, a[k].stop)):
            if r:
                pieces.append(tuple(map(_entry, (*a[:k], r, *a[k + 1 :]))))
    return pieces


def _entry(r: range) -> int | slice:
    """A range as an entry of an index."""
    return r.start if len(r) == 1 else slice(r.start, r.stop)
