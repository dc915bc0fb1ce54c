"""Where the elements of arrays stand: whole-number forms in the indices of a loop nest, read off NumPy's own views.

A `Form` is an offset plus a sum of coefficient times variable.  A variable (axis, low, high) is the index of one axis
of the nest, kept within a range: under a condition that holds there alone the address then stays inside the array.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...core.indices import as_tuple
from ...ops.index import INDEX, SCATTER
from ..recording import Instruction, Value, leaves

Var = tuple[int, int, int]
Form = tuple[int, tuple[tuple[Var, int], ...]]
Map = tuple[Form, ...]  # of a value: a form for each of its axes

ZERO: Form = (0, ())

VIEWS = {
    np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.reshape, np.ravel, np.expand_dims, np.squeeze,
    np.broadcast_to, np.flip, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.matrix_transpose,
}  # fmt: skip


class Need(Exception):
    """A value must be in memory before it can be read so."""

    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """In elements, in the order of C."""
    return tuple(prod(shape[k + 1 :]) for k in range(len(shape)))


def identity(shape: tuple[int, ...]) -> Map:
    """Each axis of a value at the index of the same axis of the nest."""
    return tuple(ZERO if n == 1 else (0, (((k, 0, n), 1),)) for k, n in enumerate(shape))


def combined(offset: int, parts: list[tuple[Form, int]]) -> Form:
    """offset + Σ factor · form."""
    terms: dict[Var, int] = {}
    for (start, inner), factor in parts:
        offset += factor * start
        for var, c in inner:
            terms[var] = terms.get(var, 0) + factor * c
    return offset, tuple(sorted((v, c) for v, c in terms.items() if c))


def bounds(form: Form) -> tuple[int, int]:
    """The least and the largest value of a form."""
    low = high = form[0]
    for (_, a, b), c in form[1]:
        low += min(c * a, c * (b - 1))
        high += max(c * a, c * (b - 1))
    return low, high


def is_basic(index: Any) -> bool:
    """Whether an index is of whole numbers, slices, None and an ellipsis, all known."""
    return all(
        i is None or i is Ellipsis or (isinstance(i, int | np.integer) and not isinstance(i, bool))
        for i in leaves(as_tuple(index))
    )


def shown(instruction: Instruction) -> tuple[int, tuple[int, ...]] | None:
    """Of a view the offset and the strides in its source, were that in the order of C; None where it is no view."""
    source = instruction.args[0] if instruction.args else None
    if not isinstance(source, Value) or isinstance(instruction.out, tuple) or not source.size:
        return None
    if instruction.op is INDEX:
        if not is_basic(instruction.args[1]):
            return None
    elif instruction.op.fn not in VIEWS or instruction.params.get("order", "C") != "C":
        return None
    if any(isinstance(x, Value) for x in instruction.uses[1:]):
        return None
    untouched = np.empty(source.shape, np.int8)  # of which nothing is read
    if instruction.op is INDEX:
        view = _viewed(untouched, as_tuple(instruction.args[1]))
    else:
        view = instruction.op.fn(untouched, *instruction.args[1:], **instruction.params)
    if not (np.may_share_memory(view, untouched) and view.size and view.shape == instruction.out.shape):
        return None
    return _start(view, untouched), view.strides


def _viewed(x: np.ndarray, index: tuple[Any, ...]) -> np.ndarray:
    """x[index] as a view, of a single element too, which x[0, 0] copies."""
    view: np.ndarray = x[index if any(i is Ellipsis for i in index) else (*index, ...)]
    return view


def _start(view: np.ndarray, source: np.ndarray) -> int:
    """Bytes from where the source begins to where its view does."""
    start: int = view.__array_interface__["data"][0] - source.__array_interface__["data"][0]
    return start


def by_axes(offset: int, strides: tuple[int, ...], shape: tuple[int, ...], source: tuple[int, ...]) -> Map | None:
    """The index of each axis of the source in those of the view (variables number its axes); None where the view runs
    over several axes at once."""
    steps = strides_of(source)
    starts = [offset // s % n for s, n in zip(steps, source, strict=True)]
    terms: list[list[tuple[Var, int]]] = [[] for _ in source]
    for k, (n, stride) in enumerate(zip(shape, strides, strict=True)):
        if n == 1 or not stride:
            continue
        a = next((a for a, s in enumerate(steps) if source[a] > 1 and s <= abs(stride)), None)
        if a is None or stride % steps[a]:
            return None
        terms[a].append(((k, 0, n), stride // steps[a]))
    forms = tuple((start, tuple(t)) for start, t in zip(starts, terms, strict=True))
    inside = all(bounds(f)[0] >= 0 and bounds(f)[1] < n for f, n in zip(forms, source, strict=True))
    return forms if inside else None


def scattered(instruction: Instruction) -> Map | None:
    """Of a scatter the index of each axis of the result in those of its argument, where each of these moves along one
    axis by steps of one; None for others."""
    if instruction.op is not SCATTER or not isinstance(instruction.args[0], Value):
        return None
    u, index, _shape, ndim = instruction.args
    if not is_basic(index) or not u.size:
        return None
    lead = u.ndim - ndim
    out = instruction.outs[0]
    untouched = np.empty(out.shape, np.int8)
    view = _viewed(untouched, (slice(None),) * lead + as_tuple(index))
    if view.shape != u.shape or not view.size:
        return None
    forms = by_axes(_start(view, untouched), view.strides, u.shape, out.shape)
    if forms is None or any(len(t) > 1 or any(abs(c) != 1 for _, c in t) for _, t in forms):
        return None
    return forms


def placed(instruction: Instruction) -> Form | None:
    """Of a scatter where in the memory of its result each element of its argument goes; None where that is no form."""
    places = scattered(instruction)
    if places is None:
        return None
    return combined(0, list(zip(places, strides_of(instruction.outs[0].shape), strict=True)))
