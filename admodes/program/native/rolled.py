"""Loops in machine code: the nests of a kernel, the body, within a loop that moves the places of their arrays on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ...core.registry import Op
from ..primitives import KERNELS, KernelFacts
from ..recording import GUARD, Instruction, Value
from ..rolling import Loop, spread, with_arrays_outside
from .affine import shown
from .calls import enclosed, function, made
from .gathers import gathering
from .group import lowered, mean_as_sum
from .joins import JOINS
from .loops import Loops
from .machine import machine
from .nodes import entry_of, is_native
from .plan import Kernel
from .products import PRODUCTS, is_small_product
from .text import Text, kind_of, memory_type

# Elements of an array up to which an operation is part of a body: NumPy does as well on larger ones, one by one.
MOST_ELEMENTS = 1 << 12

# A function, in additions; and elements which make no vector.
COSTLY, FEW = 10.0, 8

# Arrays put together, at most.
MOST_JOINED = 8


def accepts(i: Instruction) -> bool:
    """Whether the body of a loop may hold an instruction."""
    if i.op is GUARD:
        return isinstance(i.args[0], Value) and i.args[0].shape == () and isinstance(i.args[1], bool | np.bool_)
    if isinstance(i.out, tuple) or i.out.size > MOST_ELEMENTS or kind_of(i.out.dtype) is None:
        return False
    if i.op.fn in PRODUCTS:
        return is_small_product(i)
    if i.op.fn in JOINS and len(i.args) > MOST_JOINED:
        return False
    if i.op.fn is np.mean:
        return len(parts := mean_as_sum(i)) > 1 and all(map(accepts, parts))
    if shown(i) is not None:
        return True
    return is_native(i) and gathering(i) is None and all(x.size <= MOST_ELEMENTS for x in i.uses)


class Rolled:
    """A loop as what `calls` makes a function of: inputs, outputs, and memory for the meantime."""

    checked: ClassVar[dict[int, int]] = {}  # no index arrays
    flag: ClassVar[None] = None  # nor is a nan told of
    told: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.inputs = self.given = loop.inputs
        self.outputs = self.results = (*loop.stacked.values(), *loop.final.values())
        before = (*loop.fixed, *(m.inside for m in loop.moving), *(c.before for c in loop.carried))
        self.body = Kernel(lowered(loop.body), before, loop.made, tells=False)
        carried = {c.after for c in loop.carried} - loop.stacked.keys()
        # arrays that go on in two places in turn, one of which may be the result
        self.turns = {
            v: tuple(Value(v.shape, v.dtype) for _ in range(1 if v in loop.final else 2))
            for v in loop.made if v in carried and v.size != 1
        }  # fmt: skip
        self.scratch = (*self.body.scratch, *(v for pair in self.turns.values() for v in pair))

    @property
    def work(self) -> int:
        """Elements times operations."""
        return self.loop.steps * self.body.work

    @property
    def ir(self) -> str:
        """The module: the loop with its body, and the function that Python calls."""
        text = Text(machine())
        names = {v: f"%p{len(self.inputs) + k}" for k, v in enumerate((*self.outputs, *self.scratch))}
        entry, head, places = self._places(names)
        pointers = dict(enumerate((*places, *(names[v] for v in self.body.scratch))))
        body: list[str] = []
        for nest in self.body.nests:
            body += Loops(text, nest, pointers).emit()
        behind, done = self._behind(names)
        lines = [*entry, *text.entry, *self._around(head, [*body, *behind]), *done, "  ret i1 true"]
        return enclosed(function("kernel", len(self.inputs), len(self.inputs) + len(names), lines), self, text)

    def _places(self, names: dict[Value, str]) -> tuple[list[str], list[str], list[str]]:
        """Where the inputs and outputs of the body are in an iteration, and the lines before the loop and at the
        beginning of an iteration that tell: single numbers stay in variables of the function, to become registers."""
        loop = self.loop
        entry: list[str] = []
        head: list[str] = []
        n, moving = len(loop.fixed), len(loop.fixed) + len(loop.moving)
        places = [f"%p{k}" for k in range(n)]
        for k, m in enumerate(loop.moving):
            places.append(_moved(head, f"%moving{k}", f"%p{n + k}", m.step, m.inside))
        for k, c in enumerate(loop.carried):
            places.append(f"%before{k}")
            if c.before.size == 1:
                entry.append(f"  %before{k} = alloca {_type(c.before)}")
                entry += _copied(f"%p{moving + k}", f"%before{k}", c.before)
        for k, v in enumerate(loop.made):
            places.append(f"%after{k}")
            if v.size == 1:
                entry.append(f"  %after{k} = alloca {_type(v)}")
            elif v in loop.stacked:
                _moved(head, f"%after{k}", names[loop.stacked[v]], v.size, v)
            else:
                pair = [names[x] for x in self.turns.get(v, ())]
                pair = [names[loop.final[v]], *pair] if v in loop.final else pair
                head.append(f"  %after{k} = select i1 %even, ptr {pair[-1]}, ptr {pair[0]}")
        return entry, head, places

    def _around(self, head: list[str], body: list[str]) -> list[str]:
        """The body again and again."""
        loop, n = self.loop, len(self.loop.fixed) + len(self.loop.moving)
        after = {v: f"%after{k}" for k, v in enumerate(loop.made)}
        carried = [
            f"  %before{k} = phi ptr [ %p{n + k}, %start ], [ {after[c.after]}, %next ]"
            for k, c in enumerate(loop.carried)
            if c.before.size != 1
        ]
        return [
            "  br label %start", "start:", "  br label %steps", "steps:",
            "  %t = phi i64 [ 0, %start ], [ %following, %next ]",
            *carried,
            f"  %left = sub i64 {loop.steps - 1}, %t",
            "  %even = trunc i64 %left to i1",
            *head, *body,
            "  br label %next", "next:",
            "  %following = add nsw i64 %t, 1",
            f"  %more = icmp slt i64 %following, {loop.steps}",
            "  br i1 %more, label %steps, label %done", "done:",
        ]  # fmt: skip

    def _behind(self, names: dict[Value, str]) -> tuple[list[str], list[str]]:
        """What is done with single numbers at the end of an iteration, and behind the last."""
        loop = self.loop
        behind: list[str] = []
        done: list[str] = []
        after = {v: f"%after{k}" for k, v in enumerate(loop.made)}
        for v in (v for v in loop.made if v.size == 1):
            if v in loop.stacked:
                row = _moved(behind, f"{after[v]}.row", names[loop.stacked[v]], 1, v)
                behind += _copied(after[v], row, v)
            if v in loop.final:
                done += _copied(after[v], names[loop.final[v]], v)
        for k, c in enumerate(loop.carried):
            if c.before.size == 1:
                behind += _copied(after[c.after], f"%before{k}", c.before)
        return behind, done


def _type(v: Value) -> str:
    return memory_type(kind_of(v.dtype) or "")


def _copied(here: str, there: str, v: Value) -> list[str]:
    """The lines that copy one number."""
    name = f"{there}.{here[1:]}"
    return [f"  {name} = load {_type(v)}, ptr {here}", f"  store {_type(v)} {name}, ptr {there}"]


def _moved(lines: list[str], name: str, pointer: str, step: int, like: Value) -> str:
    """The place in iteration t of what moves on."""
    if not step:
        return pointer
    lines.append(f"  {name}.by = mul nsw i64 %t, {step}")
    lines.append(f"  {name} = getelementptr {_type(like)}, ptr {pointer}, i64 {name}.by")
    return name


def compiled(rolled: Rolled) -> Any:
    """The function of a loop."""
    return made(rolled, rolled.ir)


def instructions_of(loop: Loop, backward: bool, make: Callable[[Rolled], Any] = compiled) -> list[Instruction]:
    """The instruction of a loop, behind those of what is computed for all iterations at once."""
    before, loop = spread(loop, _is_costly)
    read = loop.stacked or loop.final
    return [*before, _instruction(with_arrays_outside(loop), backward, make)] if read else before


def _is_costly(i: Instruction) -> bool:
    """Whether vectors over iterations pay: a function of few elements."""
    entry = entry_of(i)
    return entry is not None and entry.work >= COSTLY and i.outs[0].size < FEW


def _instruction(loop: Loop, backward: bool, make: Callable[[Rolled], Any]) -> Instruction:
    rolled = Rolled(loop)
    run = make(rolled)
    op = Op(run, name="loop", arrays=None, flops=lambda y, *args, **places: _flops(loop))
    KERNELS[op] = KernelFacts(loop.body, run.native.ir, run.results, run.scratch, loop)
    out: Any = rolled.outputs if len(rolled.outputs) > 1 else rolled.outputs[0]
    return Instruction(op, rolled.inputs, {}, out, backward)


def _flops(loop: Loop) -> float:
    return float(loop.steps * sum(i.op.count(i.out, i.args, i.params) for i in loop.body))
