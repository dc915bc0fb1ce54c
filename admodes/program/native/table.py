"""Tables: long runs of short instructions, which differ too much for a loop and are too many for a kernel.

What flat code does line by line, machine code does from a table: record by record it calls the word of an operation,
which is compiled once for all programs, with places and extents.  Values are where flat code has them: views show the
memory of others, assignments write in place.

Source: J. R. Bell, "Threaded code", Communications of the ACM 16(6), 1973.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from ...core.registry import Op
from ..primitives import KERNELS, KernelFacts
from ..recording import GUARD, Instruction, Value
from ..straightline import StraightLine
from .affine import strides_of
from .calls import enclosed, function, made
from .machine import machine
from .records import FIRST, Lives, Refused, Writing, may_be_written
from .spots import Memory, Spot
from .text import Text
from .words import addresses, walker

P = TypeVar("P", bound=StraightLine)

# Instructions from which on a table is worth a call.
LEAST = 48

# Arrays that a table reads, at most, and leaves: each takes code of its own.
MOST_READ, MOST_LEFT = 128, 512


class Table:
    """Instructions as what `calls` makes a function of: inputs, outputs, and memory for the meantime."""

    checked: ClassVar[dict[int, int]] = {}  # no index arrays that may be out of range
    flag: ClassVar[None] = None  # nor is a nan told of
    told: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, instructions: tuple[Instruction, ...], outputs: tuple[Value, ...], writing: Writing) -> None:
        self.instructions = instructions
        self.inputs = self.given = tuple(writing.inputs)
        self.outputs = self.results = outputs
        self.work = writing.work
        self.scratch = (Value((-(-writing.top // 8) or 1,), np.dtype(float)),)
        self.constants = np.frombuffer(bytes(writing.constants) or bytes(8), np.uint8).copy()
        self.records = writing.records

    def filled(self) -> np.ndarray:
        """The records, with the addresses of their words."""
        found = addresses(dict(word for word, _ in self.records))
        whole: list[int] = []
        for (word, _), fields in self.records:
            address, length = found[word]
            assert length == 1 + len(fields), word
            whole.append(address)
            whole += fields
        return np.array(whole, np.int64)


def compiled(table: Table) -> Any:
    """The function of a table."""
    records, text = table.filled(), Text(machine())
    count = len(table.inputs) + len(table.outputs) + 1
    bases = [_pointer(table.constants), f"%p{count - 1}", *(f"%p{k}" for k in range(count - 1))]
    lines = [f"  %bases = alloca [{len(bases)} x ptr]"]
    for k, pointer in enumerate(bases):
        lines.append(f"  %base{k} = getelementptr ptr, ptr %bases, i64 {k}")
        lines.append(f"  store ptr {pointer}, ptr %base{k}")
    if len(records):
        end = f"inttoptr (i64 {records.ctypes.data + records.nbytes} to ptr)"
        walk = f"inttoptr (i64 {walker()} to ptr)"
        lines.append(f"  call void {walk}(ptr {_pointer(records)}, ptr {end}, ptr %bases)")
    lines.append("  ret i1 true")
    ir = enclosed(function("kernel", len(table.inputs), count, lines), table, text)
    run = made(table, ir, straight=True)
    run.native.held = records, table.constants
    return run


def _pointer(x: np.ndarray) -> str:
    return f"inttoptr (i64 {x.ctypes.data} to ptr)"


def runs_of_words(program: StraightLine) -> list[range]:
    """Where so many instructions follow one another that look like ones for a table."""
    found = []
    k = 0
    for looks, group in itertools.groupby(program.instructions, may_be_written):
        length = sum(1 for _ in group)
        if looks and length >= LEAST:
            found.append(range(k, k + length))
        k += length
    return found


def tables(program: P, make: Callable[[Table], Any] = compiled) -> P:
    """The program with tables in place of long runs of short instructions."""
    found = runs_of_words(program)
    if not found:
        return program
    body, lives = program.instructions, Lives(program)
    new: list[Instruction] = []
    done = 0
    for run in found:
        k = run.start
        new += body[done:k]
        while k < run.stop:
            writing = Writing(body, lives)
            stop = writing.written(k, run.stop)
            new += body[k:stop] if stop - k < LEAST else _instructions(body[k:stop], writing, stop, make)
            new += body[stop : min(stop + 1, run.stop)]
            k = stop + 1
        done = run.stop
    return program.with_(instructions=(*new, *body[done:]))


def _instructions(
    body: tuple[Instruction, ...], writing: Writing, stop: int, make: Callable[[Table], Any]
) -> list[Instruction]:
    """A table of instructions that end at `stop`, and the guards among them as one."""
    read = [v for i in body for v in i.outs if writing.lives.used.get(v, -1) >= stop]
    holds = Value((), np.dtype(bool))
    outputs = (*read, holds) if writing.guards else tuple(read)
    if not outputs:
        return []
    if len(outputs) > MOST_LEFT or len(writing.inputs) > MOST_READ:
        return list(body)
    try:
        for n, v in enumerate(outputs):
            spot = writing.holds if v is holds else writing.spots[v]
            assert spot is not None
            memory = Memory(FIRST + len(writing.inputs) + n, 0, v.nbytes)
            writing.copy(spot, Spot(memory, spot.kind, v.shape, strides_of(v.shape)))
    except Refused:  # a result that no word copies
        return list(body)
    inner = tuple(i for i in body if i.op is not GUARD)
    table = Table(inner, outputs, writing)
    run = make(table)
    op = Op(run, name="table", arrays=None, flops=lambda y, *args, **places: _flops(inner))
    KERNELS[op] = KernelFacts(inner, run.native.ir, run.results, run.scratch, table=True)
    out: Any = outputs if len(outputs) > 1 else outputs[0]
    new = [Instruction(op, table.inputs, {}, out, all(i.backward for i in inner))]
    if writing.guards:
        new.append(replace(writing.guards[0], args=(holds, np.True_)))
    return new


def _flops(instructions: tuple[Instruction, ...]) -> float:
    return float(sum(i.op.count(i.out, i.args, i.params) for i in instructions))
