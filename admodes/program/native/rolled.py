"""Loops in machine code: the body of a loop is a kernel, a function of where its values are in memory, and what runs
it moves these places on.  Products of small matrices are nests of the body, with partial sums in vectors."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...core.registry import OPS, Op
from ...ops.index import INDEX
from ..primitives import CONTRACTED, KERNELS, KernelFacts
from ..recording import GUARD, Instruction, Value
from ..rolling import Loop
from .affine import shown
from .calls import enclosed, function, made
from .gathers import gathering
from .group import mean_as_sum
from .loops import Loops
from .machine import machine
from .nodes import is_native
from .plan import Kernel
from .text import Text, kind_of, memory_type

# Elements of an array, and multiply-adds of a product, up to which an operation is part of a body: NumPy does as well
# on larger ones, one by one.
MOST_ELEMENTS, MOST_PRODUCTS = 1 << 12, 1 << 13

PRODUCTS = {np.matmul, np.dot}


def accepts(i: Instruction) -> bool:
    """Whether the body of a loop may hold an instruction."""
    if i.op is GUARD:
        return isinstance(i.args[0], Value) and i.args[0].shape == () and isinstance(i.args[1], bool | np.bool_)
    if isinstance(i.out, tuple) or i.out.size > MOST_ELEMENTS or kind_of(i.out.dtype) is None:
        return False
    if i.op.fn in PRODUCTS:
        return _is_small_product(i)
    if i.op.fn is np.mean:
        return len(parts := mean_as_sum(i)) > 1 and all(map(accepts, parts))
    if shown(i) is not None:
        return True
    return is_native(i) and gathering(i) is None and all(x.size <= MOST_ELEMENTS for x in i.uses)


def _is_small_product(i: Instruction) -> bool:
    a, b = i.args[:2]
    out = i.outs[0]
    if len(i.args) > 2 or i.params or not all(isinstance(x, Value | np.ndarray) for x in (a, b)):
        return False
    kinds = {kind_of(x.dtype) for x in (a, b, out)}
    if len(kinds) > 1 or not kinds <= {"d", "f"} or not a.size or not b.size or not a.ndim or not b.ndim:
        return False
    if i.op.fn is np.dot and max(a.ndim, b.ndim) > 2:
        return False
    return bool(out.size * a.shape[-1] <= MOST_PRODUCTS)


def lowered(body: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """The body with means as sums, and matrix products too, Σₖ a[…, i, k, None] b[…, None, k, j]."""
    new: list[Instruction] = []
    for i in body:
        new += _product(i) if i.op.fn in PRODUCTS else mean_as_sum(i)
    return tuple(new)


def _product(i: Instruction) -> list[Instruction]:
    a, b = i.args
    out = i.outs[0]
    new: list[Instruction] = []

    def spread(x: Value, index: tuple[Any, ...]) -> Value:
        v = Value(np.empty(x.shape, np.int8)[index].shape, x.dtype)
        new.append(Instruction(INDEX, (x, index), {}, v, i.backward, view=True))
        return v

    axis = -1
    if b.ndim > 1:  # behind the axes of a the one of the columns
        a, axis = spread(a, (..., None)), -2
        if a.ndim > 2:
            b = spread(b, (..., None, slice(None), slice(None)))
    terms = Value(np.broadcast_shapes(a.shape, b.shape), out.dtype)
    new.append(Instruction(OPS[np.multiply], (a, b), {}, terms, i.backward))
    new.append(Instruction(CONTRACTED, (terms,), {"axis": axis % terms.ndim}, out, i.backward))
    return new


class Rolled:
    """A loop as what `calls` makes a function of: inputs, outputs, and memory for the meantime."""

    checked: ClassVar[dict[int, int]] = {}  # no index arrays

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.inputs = loop.inputs
        self.outputs = (*loop.stacked.values(), *loop.final.values())
        before = (*loop.fixed, *(m.inside for m in loop.moving), *(c.before for c in loop.carried))
        self.body = Kernel(lowered(loop.body), before, loop.made)
        carried = {c.after for c in loop.carried} - loop.stacked.keys()
        # values that go on in two places in turn, one of which may be the result
        self.turns = {
            v: tuple(Value(v.shape, v.dtype) for _ in range(1 if v in loop.final else 2))
            for v in loop.made if v in carried
        }  # fmt: skip
        self.scratch = (*self.body.scratch, *(v for pair in self.turns.values() for v in pair))

    @property
    def work(self) -> int:
        """Elements times operations."""
        return self.loop.steps * self.body.work

    @property
    def ir(self) -> str:
        """The module: the body, the loop around it, and the function that Python calls."""
        text = Text(machine())
        count = len(self.body.inputs) + len(self.body.outputs) + len(self.body.scratch)
        pointers = {k: f"%p{k}" for k in range(count)}
        lines: list[str] = []
        for nest in self.body.nests:
            lines += Loops(text, nest, pointers).emit()
        body = function("body", len(self.body.inputs), count, [*text.entry, *lines, "  ret i1 true"])
        return enclosed([*body, *self._around()], self, text)

    def _around(self) -> list[str]:
        """The function that runs the body again and again."""
        loop, names = self.loop, {}
        for k, v in enumerate((*self.outputs, *self.scratch)):
            names[v] = f"%p{len(self.inputs) + k}"
        lines = ["  br label %loop", "loop:", "  %t = phi i64 [ 0, %entry ], [ %following, %loop ]"]
        n, moving = len(loop.fixed), len(loop.fixed) + len(loop.moving)
        after = {v: f"%after{k}" for k, v in enumerate(loop.made)}
        places = [f"%p{k}" for k in range(n)]
        for k, c in enumerate(loop.carried):
            lines.append(f"  %before{k} = phi ptr [ %p{moving + k}, %entry ], [ {after[c.after]}, %loop ]")
        lines.append(f"  %left = sub i64 {loop.steps - 1}, %t")
        lines.append("  %even = trunc i64 %left to i1")
        for k, m in enumerate(loop.moving):
            places.append(_moved(lines, f"%moving{k}", f"%p{n + k}", m.step, m.inside))
        places += [f"%before{k}" for k in range(len(loop.carried))]
        for v in loop.made:
            if v in loop.stacked:
                _moved(lines, after[v], names[loop.stacked[v]], v.size, v)
            else:
                pair = [names[x] for x in self.turns.get(v, ())]
                pair = [names[loop.final[v]], *pair] if v in loop.final else pair
                lines.append(f"  {after[v]} = select i1 %even, ptr {pair[-1]}, ptr {pair[0]}")
            places.append(after[v])
        places += [names[v] for v in self.body.scratch]
        lines += [
            f"  %ran = call i1 @body({', '.join(f'ptr {p}' for p in places)})",
            "  %following = add nsw i64 %t, 1",
            f"  %more = icmp slt i64 %following, {loop.steps}",
            "  br i1 %more, label %loop, label %done",
            "done:",
            "  ret i1 true",
        ]
        count = len(self.inputs) + len(names)
        return function("kernel", len(self.inputs), count, lines)


def _moved(lines: list[str], name: str, pointer: str, step: int, like: Value) -> str:
    """The place in iteration t of what moves on."""
    if not step:
        return pointer
    lines.append(f"  {name}.by = mul nsw i64 %t, {step}")
    lines.append(f"  {name} = getelementptr {memory_type(kind_of(like.dtype) or '')}, ptr {pointer}, i64 {name}.by")
    return name


def instruction_of(loop: Loop, backward: bool) -> Instruction:
    """The instruction of a loop."""
    rolled = Rolled(loop)
    run = made(rolled, rolled.ir)
    op = Op(run, name="loop", arrays=None, flops=lambda y, *args, **places: _flops(loop))
    KERNELS[op] = KernelFacts(loop.body, run.native.ir, run.results, run.scratch, loop)
    out: Any = rolled.outputs if len(rolled.outputs) > 1 else rolled.outputs[0]
    return Instruction(op, rolled.inputs, {}, out, backward)


def _flops(loop: Loop) -> float:
    return float(loop.steps * sum(i.op.count(i.out, i.args, i.params) for i in loop.body))
