"""Arrays put together, by np.concatenate and np.stack: a kernel computes each part straight at its place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..recording import Instruction, Value
from .affine import ZERO, Form, Map, bounds, combined, strides_of
from .text import castable, kind_of

JOINS = {np.concatenate, np.stack}

# Arrays that a kernel puts together, at most: each is code of its own.
MOST_JOINED = 32


def is_join(i: Instruction) -> bool:
    """Whether an instruction puts together arrays that kernels know."""
    if i.op.fn not in JOINS or i.params.keys() - {"axis"} or type(i.params.get("axis", 0)) is not int:
        return False
    kind = kind_of(i.outs[0].dtype)
    if kind is None or not 1 <= len(i.args) <= MOST_JOINED:
        return False
    return all(
        isinstance(x, Value | np.ndarray) and x.size > 0 and castable(kind_of(x.dtype) or "", kind) for x in i.args
    )


def axis_of(i: Instruction) -> int:
    return int(i.params.get("axis", 0)) % i.outs[0].ndim


def parts_of(i: Instruction) -> list[tuple[Any, int, int]]:
    """Each array, and where on the axis of the join it begins and ends."""
    axis, start = axis_of(i), 0
    found = []
    for x in i.args:
        end = start + (1 if i.op.fn is np.stack else x.shape[axis])
        found.append((x, start, end))
        start = end
    return found


def spaces_of(i: Instruction) -> list[tuple[int, ...]]:
    """The shapes of the arrays, each once."""
    return list(dict.fromkeys(x.shape for x in i.args))


def place_of(i: Instruction, start: int, space: Map) -> Form:
    """Where in the memory of the result the elements of a part are, which has the indices `space`."""
    axis, strides = axis_of(i), strides_of(i.outs[0].shape)
    own = strides[:axis] + strides[axis + 1 :] if i.op.fn is np.stack else strides
    return combined(start * strides[axis], list(zip(space, own, strict=True)))


def part_at(i: Instruction, at: Map) -> tuple[Any, Map] | None:
    """The part that the result shows at these indices, and its own indices; None where they are in several."""
    axis = axis_of(i)
    low, high = bounds(at[axis])
    for x, start, end in parts_of(i):
        if start <= low and high < end:
            own = () if i.op.fn is np.stack else (combined(-start, [(at[axis], 1)]),)
            inner = (*at[:axis], *own, *at[axis + 1 :])
            return x, tuple(ZERO if n == 1 else form for form, n in zip(inner, x.shape, strict=True))
    return None
