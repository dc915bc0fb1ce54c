"""Reductions in loop nests: in registers over the innermost loops, in memory over those around them.

Sums have a vector of partial sums and another of what their rounding lost (Knuth's two-sum), put together at the end;
short ones do without.  The error is below that of NumPy's pairwise sum.  Over an outer axis rows are added one after
the other, as NumPy does.

Source: Knuth, "The Art of Computer Programming", volume 2 (3rd ed., 1997), section 4.2.2, theorem B.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .plan import Root
from .rows import REDUCTIONS
from .text import FLOATING, Writer, filling, kind_of

# Terms of a partial sum up to which it is taken without keeping what rounding loses: as many as NumPy's blocks have.
PLAIN = 16


class Accumulator:
    """One reduction of a nest, `loops`."""

    def __init__(self, loops: Any, root: Root) -> None:
        assert root.reduction is not None
        self.loops, self.root, self.reduction = loops, root, root.reduction
        self.kind = kind_of(root.value.dtype) or ""
        reduced = [axis in {loops.loop.get(a) for a in root.axes} for axis in loops.order]
        self.level = len(reduced)  # registers go over the loops from here on
        while self.level and reduced[self.level - 1]:
            self.level -= 1
        self.registers = self.level < len(reduced)
        self.in_memory = any(reduced[: self.level])
        self.before: list[str] = []
        self.totals: dict[int, str] = {}  # lanes -> variable
        self.lost: dict[int, str] = {}
        steps = 1
        for axis in loops.order[self.level :]:
            steps *= loops.extent[axis]
        is_sum = self.reduction is REDUCTIONS[np.sum] and self.kind in FLOATING
        self.keeps = is_sum and steps > PLAIN * loops.lanes

    def combine(self, to: Writer, a: str, b: str) -> str:
        return self.reduction.write(to, self.kind, a, b)

    def neutral(self, to: Writer) -> str:
        return to.constant(self.kind, self.reduction.neutral(self.kind))

    def _variable(self, lanes: int, number: Any) -> str:
        """A variable of the function, set to a number before the loops that it goes over."""
        to, name = Writer(self.loops.text, lanes, self.before), self.loops.text.name()
        self.loops.text.entry.append(f"  {name} = alloca {to.type(self.kind)}")
        self.before.append(f"  store {to.type(self.kind)} {to.constant(self.kind, number)}, ptr {name}")
        return name

    def add(self, value: str, piece: Any) -> None:
        """Take in the value at the indices of a piece."""
        to = piece.writer
        value = to.cast(value, self.root.node.kind, self.kind)
        if not piece.innermost:  # an array of one element
            piece.store(self.root, self.kind, self.combine(to, self.neutral(to), value))
            return
        fresh = piece.fresh()
        if not self.registers:
            lanes, step = piece.place(self.root, self.kind)
            before = piece.read(self.kind, lanes, step)
            total = self.combine(to, before, value)
            total = total if fresh is None else to.select(fresh, self.kind, total, before)
            piece.store(self.root, self.kind, total)
            return
        if fresh is not None:
            value = to.select(fresh, self.kind, value, self.neutral(to))
        if to.lanes not in self.totals:
            self.totals[to.lanes] = self._variable(to.lanes, self.reduction.neutral(self.kind))
            if self.keeps:
                self.lost[to.lanes] = self._variable(to.lanes, 0.0)
        before = self._get(to, self.totals)
        total = self.combine(to, before, value)
        to.lines.append(f"  store {to.type(self.kind)} {total}, ptr {self.totals[to.lanes]}")
        if self.keeps:
            self._note_lost(to, before, value, total)

    def _get(self, to: Writer, variables: dict[int, str]) -> str:
        return to.add(f"load {to.type(self.kind)}, ptr {variables[to.lanes]}")

    def _note_lost(self, to: Writer, a: str, b: str, total: str) -> None:
        """With s = a + b and b′ = s − a the sum loses (a − (s − b′)) + (b − b′), exactly."""
        kind = self.kind
        second = to.binary("fsub", kind, total, a)
        first = to.binary("fsub", kind, total, second)
        rest = to.binary("fadd", kind, to.binary("fsub", kind, a, first), to.binary("fsub", kind, b, second))
        so_far = to.binary("fadd", kind, self._get(to, self.lost), rest)
        to.lines.append(f"  store {to.type(kind)} {so_far}, ptr {self.lost[to.lanes]}")

    def after(self) -> list[str]:
        """The lines behind the loops: lanes put together, and the result to memory."""
        if not self.totals:
            return []
        lines: list[str] = []
        piece = self.loops.single(lines)
        to, total = piece.writer, ""
        for lanes in self.totals:
            one = self._together(lanes, lines)
            total = self.combine(to, total, one) if total else one
        if self.in_memory:
            place, step = piece.place(self.root, self.kind)
            total = self.combine(to, piece.read(self.kind, place, step), total)
        piece.store(self.root, self.kind, total)
        return lines

    def _together(self, lanes: int, lines: list[str]) -> str:
        """The lanes of a partial sum, and what it lost: nothing sensible where it is infinite or nan."""
        wide, to = Writer(self.loops.text, lanes, lines), Writer(self.loops.text, 1, lines)
        total = self._halved(wide, self._get(wide, self.totals))
        if not self.keeps:
            return total
        lost = self._halved(wide, self._get(wide, self.lost))
        full = to.binary("fadd", self.kind, total, lost)
        return to.select(to.compare("uno", self.kind, full, full), self.kind, total, full)

    def _halved(self, to: Writer, x: str) -> str:
        """The lanes of a vector put together by halves."""
        while to.lanes > 1:
            half, of = Writer(to.text, to.lanes // 2, to.lines), to.type(self.kind)
            if half.lanes == 1:
                both = [to.lane(self.kind, x, k) for k in (0, 1)]
            else:
                both = [to.shuffle(of, x, "poison", range(s, s + half.lanes)) for s in (0, half.lanes)]
            x, to = self.combine(half, *both), half
        return x

    def fill(self) -> list[str]:
        """The lines before all loops: the neutral element in the result, where rows are added to it."""
        if not self.loops.order or (self.registers and not self.in_memory):
            return []
        return filled(self.loops, self.root, self.reduction.neutral(self.kind))


def filled(loops: Any, root: Root, number: Any) -> list[str]:
    """The lines that put a number in every element of a result."""
    to, kind = Writer(loops.text, 1, []), kind_of(root.value.dtype) or ""
    if number == 0:  # of every kind the bits are zero
        loops.text.declared["declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"] = None
        pointer = loops.pointers[root.slot]
        return [f"  call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {root.value.nbytes}, i1 false)"]
    counter = loops.counter()
    i = to.add(f"load i64, ptr {counter}")
    body = filling(to, kind, loops.pointers[root.slot], i, number)
    lines: list[str] = loops.loop_over(counter, 0, root.value.size, 1, body)
    return lines
