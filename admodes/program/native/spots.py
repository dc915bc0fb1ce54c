"""Where the values of a table are: memory behind a base, and views of it; and how nests of loops walk over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..recording import Instruction
from .affine import strides_of
from .text import SIZES


@dataclass(eq=False)
class Memory:
    """So many bytes, from byte `at` behind a base; `own`: the table's, to be written to."""

    base: int
    at: int
    nbytes: int
    own: bool = False


class Spot(NamedTuple):
    """An array in memory: of its first element the place, in elements, and the strides, in elements."""

    memory: Memory
    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    start: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def place(self) -> list[int]:
        """Its base, and how many bytes behind that it begins."""
        return [8 * self.memory.base, self.memory.at + self.start * SIZES[self.kind]]

    @property
    def whole(self) -> bool:
        """Whether its elements are one behind the other."""
        return all(n == 1 or s == t for n, s, t in zip(self.shape, self.strides, strides_of(self.shape), strict=True))

    def at(self, start: int, strides: tuple[int, ...], shape: tuple[int, ...]) -> Spot:
        """Others of its elements, beginning so many behind its first."""
        return Spot(self.memory, self.kind, shape, strides, self.start + start)

    def broadcast(self, shape: tuple[int, ...]) -> Spot:
        """Itself, in a larger shape."""
        if shape == self.shape:
            return self
        more = len(shape) - len(self.shape)
        strides = tuple(0 if n == 1 else s for n, s in zip(self.shape, self.strides, strict=True))
        return self.at(0, (0,) * more + strides, shape)

    def indexed(self, index: tuple[Any, ...]) -> Spot:
        """x[index], of whole numbers, slices, None and an ellipsis."""
        shape: list[int] = []
        strides: list[int] = []
        start = axis = 0
        for x in index:
            if type(x) is slice:
                first, stop, step = x.indices(self.shape[axis])
                shape.append(len(range(first, stop, step)))
                start += first * self.strides[axis] if shape[-1] else 0
                strides.append(step * self.strides[axis])
                axis += 1
            elif x is None:
                shape.append(1)
                strides.append(0)
            elif x is Ellipsis:
                rest = len(self.shape) - axis - sum(y is not None for y in index[index.index(Ellipsis) + 1 :])
                shape += self.shape[axis : axis + rest]
                strides += self.strides[axis : axis + rest]
                axis += rest
            else:
                start += (x + self.shape[axis] if x < 0 else x) * self.strides[axis]
                axis += 1
        return self.at(start, (*strides, *self.strides[axis:]), (*shape, *self.shape[axis:]))

    def seen(self, i: Instruction) -> Spot | None:
        """What a view of NumPy's shows of it; None where that would copy."""
        first = sum(min(0, (n - 1) * s) for n, s in zip(self.shape, self.strides, strict=True))
        span = 1 - first + sum(max(0, (n - 1) * s) for n, s in zip(self.shape, self.strides, strict=True))
        untouched = np.ndarray(self.shape, np.int8, np.empty(span, np.int8), -first, self.strides)
        view = i.op.fn(untouched, *i.args[1:], **i.params)
        if not np.may_share_memory(view, untouched) or view.shape != i.outs[0].shape:
            return None
        moved = view.__array_interface__["data"][0] - untouched.__array_interface__["data"][0]
        return self.at(moved, view.strides, view.shape)


@dataclass(frozen=True)
class Walk:
    """Loops over an index space: the two inner extents, of each operand its strides along them, and of each operand
    where it begins in turn, in the loops around."""

    extents: tuple[int, int]
    strides: tuple[tuple[int, int], ...]
    starts: tuple[tuple[int, ...], ...]


# Turns of the two inner loops, at most.
MOST_TURNS = 64


@cache
def walk(shape: tuple[int, ...], operands: tuple[tuple[int, ...], ...]) -> Walk | None:
    """How to go over operands of a shape with these strides; None where that takes too many turns."""
    axes: list[tuple[int, list[int]]] = []
    for k, n in enumerate(shape):
        strides = [of[k] for of in operands]
        if n == 1:
            continue
        if axes and all(s == n * t for s, t in zip(axes[-1][1], strides, strict=True)):
            axes[-1] = (axes[-1][0] * n, strides)
        else:
            axes.append((n, strides))
    while len(axes) < 2:
        axes.insert(0, (1, [0] * len(operands)))
    *outer, (rows, down), (columns, right) = axes
    if prod(n for n, _ in outer) > MOST_TURNS:
        return None
    turns = list(np.ndindex(*(n for n, _ in outer)))
    starts = tuple(
        tuple(sum(k * s[x] for k, (_, s) in zip(turn, outer, strict=True)) for turn in turns)
        for x in range(len(operands))
    )
    return Walk((rows, columns), tuple(zip(down, right, strict=True)), starts)
