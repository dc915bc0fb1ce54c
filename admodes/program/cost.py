"""The cost of a program, exact and the same on every machine: counted from shapes, without a clock.

Conventions: + − × ÷ √ and comparisons are 1 flop an element, transcendental functions 10; a contraction is 2 flops for
each product of its extents (a multiplication and an addition), and half as many multiply-adds; an FFT of n points is
5 n log₂ n; bytes are those of the arrays read and written, none for a view; the peak is that of the values alive at
once, the inputs and constants among them, without what a NumPy function takes for itself while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..core.registry import Op
from ..core.tables import Column, Table, Tabular, share, whole
from .primitives import placed
from .recording import MARKS, Instruction, Value, leaves, trusted
from .straightline import StraightLine


class OperationCost(NamedTuple):
    """The work of all operations of one name."""

    times: int
    flops: float
    multiply_adds: float
    bytes: int


_COLUMNS = (
    Column("operation", side="<"),
    Column("times", whole),
    Column("flops", whole),
    Column("multiply_adds", whole, head="multiply-adds"),
    Column("bytes", whole),
    Column("share", share),
)


@dataclass(frozen=True, repr=False)
class Cost(Tabular):
    """Counted work; printing it gives a table of the operations the work goes to. Made by `cost`.

    flops : floating-point operations; + − × ÷ √ and comparisons are 1 an element, transcendental functions 10, a
        contraction 2 for each product of its extents.
    multiply_adds : multiplications, each with the addition that may follow it: half the flops of a contraction.
    bytes : of the arrays read and written; none for a view.
    peak_bytes : of the values alive at once, inputs and constants among them.
    input_bytes, constant_bytes : those of them that are there from the start, the arguments and the arrays that f
        captures; what is left is `working_bytes`.
    operations : NumPy calls.
    by_operation : {name: (times, flops, multiply-adds, bytes)}.
    approximate : {name: scheme} of the user's functions whose derivative is by differences, and so not exact.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapter 4, "Memory issues and complexity
    bounds".

    >>> import numpy as np
    >>> from admodes import cost
    >>> print(cost(lambda A, x: np.sum(A @ x), np.ones((3, 4)), np.ones(4)))
    operation  times  flops  multiply-adds  bytes  share
    ----------------------------------------------------
    ...
    """

    flops: float = 0.0
    multiply_adds: float = 0.0
    bytes: int = 0
    peak_bytes: int = 0
    operations: int = 0
    by_operation: dict[str, OperationCost] = field(default_factory=dict)
    input_bytes: int = 0
    constant_bytes: int = 0
    approximate: dict[str, str] = field(default_factory=dict)

    @property
    def working_bytes(self) -> int:
        """Of the peak what the computation itself takes, beside its arguments and captured arrays."""
        return self.peak_bytes - self.input_bytes - self.constant_bytes

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: flops a byte."""
        return self.flops / self.bytes if self.bytes else 0.0

    def table(self) -> Table:
        """A row an operation, by flops."""
        total = self.flops or 1.0
        found = sorted(self.by_operation.items(), key=lambda item: (-item[1].flops, -item[1].bytes, item[0]))
        records = [{"operation": name, **row._asdict(), "share": row.flops / total} for name, row in found]
        whole_of_it = OperationCost(self.operations, self.flops, self.multiply_adds, self.bytes)._asdict()
        parts = (("arguments", self.input_bytes), ("captured arrays", self.constant_bytes))
        apart = [f"{name} {n:,}" for name, n in parts if n]
        of = f" ({', '.join([*apart, f'working memory {self.working_bytes:,}'])})" if apart else ""
        tail = f"peak {self.peak_bytes:,} bytes{of}; {self.intensity:.3g} flops a byte"
        marks = [f"not exact: {name}, its derivative by {scheme}" for name, scheme in self.approximate.items()]
        return Table(_COLUMNS, records, notes=[tail, *marks], total={"operation": "total", **whole_of_it})


def cost_of(program: StraightLine) -> Cost:
    """Add up the instructions of a program."""
    table: dict[str, OperationCost] = {}
    approximate: dict[str, str] = {}
    ours = {i.op.name for i in program.instructions if trusted(i.op)}
    for instruction in program.instructions:
        if instruction.op not in MARKS:
            name = _name(instruction.op, ours)
            times, *earlier = table.get(name, OperationCost(0, 0.0, 0.0, 0))
            flops, products, moved = map(sum, zip(earlier, work(instruction), strict=True))
            table[name] = OperationCost(times + 1, flops, products, int(moved))
            if instruction.op.approximate:
                approximate[name] = instruction.op.approximate
    rows = table.values()
    return Cost(
        flops=sum(row.flops for row in rows),
        multiply_adds=sum(row.multiply_adds for row in rows),
        bytes=sum(row.bytes for row in rows),
        peak_bytes=peak_bytes(program),
        operations=sum(row.times for row in rows),
        by_operation=table,
        input_bytes=sum(v.nbytes for v in program.inputs),
        constant_bytes=sum(x.nbytes for x in _captured(program)),
        approximate=approximate,
    )


def _name(op: Op, ours: set[str]) -> str:
    """The name of an operation; with its module where a user's own has the name of another that is there."""
    return op.name if trusted(op) or op.name not in ours else f"{op.fn.__module__}.{op.name}"


def work(instruction: Instruction) -> tuple[float, float, int]:
    """Flops, multiply-adds and bytes of one instruction."""
    op, args, params = instruction.op, instruction.args, instruction.params
    y = instruction.out
    moved = 0
    if not instruction.view:
        arrays = [x for x in leaves((args, params)) if isinstance(x, Value | np.ndarray)]
        moved = sum(int(x.nbytes) for x in arrays) + sum(v.nbytes for v in instruction.outs)
    return op.count(y, args, params), op.multiply_adds(y, args, params), moved


def peak_bytes(program: StraightLine) -> int:
    """Bytes alive at once while the flat code runs: a value lives from its instruction to its last use."""
    return max(bytes_alive(program))


def bytes_alive(program: StraightLine) -> list[int]:
    """Bytes alive before the first instruction, while each runs, and at the end, with the outputs that are copied."""
    owner = owners(program, exactly=True)
    last = last_uses(program, owner)
    alive = sum(v.nbytes for v in (*program.inputs, *program.workspace)) + sum(x.nbytes for x in _captured(program))
    found = [alive]
    freed: dict[int, int] = {}
    for k, instruction in enumerate(program.instructions):
        home = placed(instruction)
        for v in instruction.outs:
            if owner[v] is v and v not in home and instruction.op not in MARKS:
                alive += v.nbytes
                freed[last.get(v, k)] = freed.get(last.get(v, k), 0) + v.nbytes
        found.append(alive)
        alive -= freed.pop(k, 0)
    copied = set(copied_outputs(program))
    copies = [v for v in program.outputs if isinstance(v, np.ndarray) or (isinstance(v, Value) and v in copied)]
    return [*found, alive + sum(int(v.nbytes) for v in copies)]


def _captured(program: StraightLine) -> list[np.ndarray]:
    """The arrays that the program holds, each once."""
    parts = [*program.outputs, *(x for i in program.instructions for x in leaves((i.args, i.params)))]
    return list({id(x): x for x in parts if isinstance(x, np.ndarray)}.values())


def owners(program: StraightLine, exactly: bool = False) -> dict[Value, Value]:
    """For each value the one whose memory it may share, itself or what it is a view of; exactly: as when traced."""
    owner = {v: v for v in program.inputs}
    for instruction in program.instructions:
        source: Any = None
        if instruction.view or (instruction.aliases and not exactly):
            source = instruction.source
        elif instruction.into is not None:
            source = instruction.args[instruction.into]
        for v in instruction.outs:
            owner[v] = owner[source] if isinstance(source, Value) else v
    return owner


def copied_outputs(program: StraightLine) -> list[Value]:
    """The outputs that flat code copies: those which may be memory of an input, a constant, a user's function or
    another output, and read-only arrays."""
    owner = owners(program)
    made = {v: i for i in program.instructions for v in i.outs}
    times: dict[Value, int] = {}
    for v in program.outputs:
        if isinstance(v, Value):
            times[owner[v]] = times.get(owner[v], 0) + 1
    values = dict.fromkeys(v for v in program.outputs if isinstance(v, Value))
    return [v for v in values if _shared(v, owner[v], times, made)]


def _shared(v: Value, owner: Value, times: dict[Value, int], made: dict[Value, Instruction]) -> bool:
    """Whether others may hold the memory of an output; a scalar is memory only where it is a view of an array."""
    if not v.ndim and v in made and made[v].fresh:
        return False
    return times[owner] > 1 or owner not in made or not made[owner].fresh or _read_only(v, made)


def _read_only(v: Value, made: dict[Value, Instruction]) -> bool:
    """Whether a value is a view of a broadcast array."""
    while v in made and made[v].aliases and isinstance(made[v].source, Value):
        if made[v].op.fn is np.broadcast_to:
            return True
        v = made[v].source
    return False


def last_uses(program: StraightLine, owner: dict[Value, Value]) -> dict[Value, int]:
    """The last instruction that reads the memory of each owner; the end for what the program returns."""
    last: dict[Value, int] = {}
    for k, instruction in enumerate(program.instructions):
        for v in (*instruction.uses, *instruction.outs):
            last[owner[v]] = k
    for v in program.outputs:
        if isinstance(v, Value):
            last[owner[v]] = len(program.instructions)
    return last
