"""Both modes on one program, operation by operation: the numbers, and what each step costs.

The program is run again under `jvp` and under `vjp` themselves, on the symbols of a recorder that notes which
instructions each operation gives rise to.  So the derivative programs, their values and their costs are those of the
transforms, only divided among the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import pytree
from ..core.dispatch import apply
from ..core.forward import Dual
from ..core.registry import lookup
from ..core.tracing import Tracer
from ..program.cost import Cost, bytes_alive, work
from ..program.program import Program, record
from ..program.recording import GUARD, MARKS, Instruction, Recorder, Symbol, Value, leaves, mapped
from ..transforms.dense import jvp, vjp
from ..transforms.directions import lowest

# A step of a walk: an instruction of the program forwards, or backwards; before the first and after the last.
FORTH, BACK = "forth", "back"
Step = tuple[str, int]
START, END = (FORTH, -1), (BACK, -1)


class Marking(Recorder):
    """A recorder that knows which step of a walk each of its instructions belongs to."""

    __slots__ = ("adjoints", "makers", "marks")

    def __init__(self, strict: bool = True, captured: Sequence[tuple[str, np.ndarray]] = ()) -> None:
        super().__init__(strict, captured)
        self.marks: list[tuple[int, Step]] = [(0, START)]
        self.makers: dict[Value, int] = {}  # the instruction of the program that made a value
        self.adjoints: dict[Value, Any] = {}

    def begin(self, step: Step) -> None:
        self.marks.append((len(self.instructions), step))

    def observe(self) -> Callable[[Any, Any], None]:
        told = super().observe()

        def noted(y: Any, u: Any) -> None:
            # Of an operation with several results each part is told of first, and then all of them.
            node = node_of(y[0] if isinstance(y, tuple) else y)
            self.begin((BACK, self.makers[node]) if node in self.makers else END)
            if not isinstance(y, tuple) and u is not None:
                self.adjoints[node] = node_of(u)
            told(y, u)

        return noted


def node_of(x: Any) -> Any:
    """The value of the program that a traced one stands for, under whatever transforms; a constant as it is."""
    while isinstance(x, Tracer) and not isinstance(x, Symbol):
        x = x.value
    return x.node if isinstance(x, Symbol) else x


@dataclass(frozen=True)
class Sweep:
    """One mode as a program of its own: inputs and directions go in, results and products come out.

    values, carried : the values of the function's program -> those of this one that are the value, and its tangent or
        adjoint (constants where they are that).
    marks : (place, step): from this instruction on, the work is that of the step.
    """

    program: Program
    values: dict[Value, Any]
    carried: dict[Value, Any]
    marks: list[tuple[int, Step]]

    @property
    def cost(self) -> Cost:
        return self.program.cost

    @cached_property
    def instructions(self) -> dict[Step, list[Instruction]]:
        """The instructions of each step, in the order of the steps."""
        found: dict[Step, list[Instruction]] = {}
        for (begin, step), end in zip(self.marks, self._ends, strict=True):
            found.setdefault(step, []).extend(self.program.instructions[begin:end])
        return found

    @cached_property
    def multiply_adds(self) -> dict[Step, float]:
        """Multiply-adds of each step; they add up to the cost's."""
        return {step: sum(work(i)[1] for i in part if i.op not in MARKS) for step, part in self.instructions.items()}

    @cached_property
    def flops(self) -> dict[Step, float]:
        """Floating-point operations of each step; they add up to the cost's."""
        return {step: sum(work(i)[0] for i in part if i.op not in MARKS) for step, part in self.instructions.items()}

    @cached_property
    def memory(self) -> dict[Step, int]:
        """The most bytes alive at once within each step."""
        alive = bytes_alive(self.program)
        found: dict[Step, int] = {}
        for k, ((begin, step), end) in enumerate(zip(self.marks, self._ends, strict=True)):
            last = k + 1 == len(self.marks)
            first = begin if k == 0 else begin + 1
            part = alive[first : end + 1] + (alive[-1:] if last else [])
            found[step] = max([found.get(step, 0), *(part or [alive[begin]])])
        return found

    @property
    def _ends(self) -> list[int]:
        return [*(begin for begin, _ in self.marks[1:]), len(self.program.instructions)]

    def run(self, directions: Sequence[Any]) -> dict[Value, Any]:
        """The numbers carried for each value of the function's program, for other directions."""
        given = dict(zip(self.program.inputs, [*self._primals, *directions], strict=True))
        known = self.program.values(given)
        return {v: known[t] if isinstance(t, Value) else t for v, t in self.carried.items()}

    _primals: tuple[Any, ...] = ()


class Replay:
    """A program as a function of its active inputs, which tells a `Marking` recorder of each of its operations."""

    def __init__(self, program: Program, inputs: Sequence[Any], active: Sequence[int]) -> None:
        self.program = program
        self.inputs = inputs
        self.active = active
        self.made: dict[Value, Any] = {}

    def __call__(self, *xs: Any) -> list[Any]:
        program = self.program
        recorder = lowest(xs[0])
        assert isinstance(recorder, Marking)
        known = dict(zip(program.inputs, self.inputs, strict=True))
        known.update((program.inputs[i], x) for i, x in zip(self.active, xs, strict=True))

        def of(x: Any) -> Any:
            return known[x] if isinstance(x, Value) else x

        for k, instruction in enumerate(program.instructions):
            if instruction.op is GUARD:
                continue
            recorder.begin((FORTH, k))
            y = carried_out(instruction, mapped(instruction.args, of), mapped(instruction.params, of))
            parts = y if isinstance(y, tuple | list) else (y,)
            known.update(zip(instruction.outs, parts, strict=True))
            recorder.makers.update((node_of(part), k) for part in parts if isinstance(part, Tracer))
        recorder.begin(END)
        self.made = known
        return [of(v) for v in program.outputs]


def carried_out(instruction: Instruction, args: Any, params: Any) -> Any:
    """The operation on other arguments, in the lane that the user's call of it took."""
    op = instruction.op
    if isinstance(op.fn, np.ufunc) and not params and lookup(op.fn) is op:
        return op.fn(*args)
    return apply(op, args, params)


def _swept(replay: Replay, transform: Callable[..., Any], directions: Sequence[Any]) -> tuple[Program, Marking]:
    made: list[Marking] = []
    program = replay.program
    constants = [x for i in program.instructions for x in leaves((i.args, i.params)) if id(x) in program.captured]

    def recorder(strict: bool, _: Any) -> Marking:
        made.append(Marking(strict, [(program.captured[id(x)], x) for x in constants]))
        return made[-1]

    xs = [replay.inputs[i] for i in replay.active]
    return record(transform, (xs, list(directions)), {}, strict=False, recorder=recorder), made[-1]


def forward(program: Program, inputs: Sequence[Any], active: Sequence[int], tangents: Sequence[Any]) -> Sweep:
    """The program on dual numbers.

    inputs : a number or array for each input of the program; active : those to differentiate by; tangents : theirs.
    """
    replay = Replay(program, inputs, active)

    def push(xs: Sequence[Any], ts: Sequence[Any]) -> Any:
        return jvp(replay, tuple(xs), tuple(ts))

    swept, recorder = _swept(replay, push, tangents)
    duals = {v: y for v, y in replay.made.items() if isinstance(y, Dual)}
    return Sweep(
        swept,
        {v: node_of(y) for v, y in replay.made.items()},
        {v: node_of(y.tangent) for v, y in duals.items()},
        recorder.marks,
        tuple(inputs[i] for i in active),
    )


def reverse(program: Program, inputs: Sequence[Any], active: Sequence[int], cotangents: Sequence[Any]) -> Sweep:
    """The program on a tape, which is pulled; cotangents : one for each leaf of the result."""
    replay = Replay(program, inputs, active)

    def pull(xs: Sequence[Any], us: Sequence[Any]) -> Any:
        return vjp(replay, *xs)[1](list(us))

    swept, recorder = _swept(replay, pull, cotangents)
    values = {v: node_of(y) for v, y in replay.made.items()}
    adjoints = {v: recorder.adjoints[node] for v, node in values.items() if isinstance(node, Value) and
                node in recorder.adjoints}  # fmt: skip
    return Sweep(swept, values, adjoints, recorder.marks, tuple(inputs[i] for i in active))


def numbers_of(program: Program, inputs: Sequence[Any]) -> dict[Value, Any]:
    """Every value of the program at these inputs."""
    return program.values(dict(zip(program.inputs, inputs, strict=True)))


def result_leaves(program: Program, known: dict[Value, Any]) -> list[Any]:
    """The leaves of the result as numbers."""
    return [pytree.result(known[v] if isinstance(v, Value) else v, "the result") for v in program.outputs]


def unit(leaves: Sequence[Any], k: int) -> list[Any]:
    """The kth unit direction of all leaves raveled, one array a leaf."""
    found = []
    for x in leaves:
        e = np.zeros(np.size(x), dtype=x.dtype if x.dtype.kind in "fc" else float)
        if 0 <= k < e.size:
            e[k] = 1
        found.append(e.reshape(np.shape(x))[()])
        k -= e.size
    return found
