"""The walk through both modes: edges with their local Jacobians, passes with their numbers, steps with their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..program.program import Program
from ..program.recording import GUARD, Instruction, Value, leaves
from .local import Local, Structure, pattern, structure
from .sweeps import BACK, END, FORTH, START, Step, Sweep

# Steps of one mode that a page holds, and numbers that all its passes carry; further passes are told of, not shown.
MOST_STEPS = 240
MOST_CARRIED = 2_000_000


@dataclass(frozen=True)
class Edge:
    """A value going into an operation: its place among what that is given, and the local Jacobian by it there."""

    source: Value
    instruction: int
    local: Local | None  # None: no derivative flows here
    structure: Structure | None


@dataclass(frozen=True)
class Pass:
    """One pass of a mode: its direction, and the numbers that it carries.

    carried : the tangent or adjoint of each value; parts : of each edge the local Jacobian's product with what comes.
    sums : in reverse, of each edge whose source has several uses, the sum after its part was added.
    """

    seed: str
    carried: dict[Value, Any]
    parts: dict[int, Any]
    sums: dict[int, Any]


@dataclass(frozen=True)
class Tick:
    """A step of a mode as it is shown, with the counts at its end.

    at : "value" (the reverse mode's way forward), "seed", "step" or "end".
    """

    at: str
    number: int  # of the pass
    instruction: int
    step: Step
    multiply_adds: float
    flops: float
    memory: int
    peak: int


@dataclass(frozen=True)
class Mode:
    """One mode: its sweep, how many passes the target takes, those that are shown, and its steps."""

    sweep: Sweep
    passes: int
    shown: tuple[Pass, ...]
    ticks: tuple[Tick, ...]
    multiply_adds: float  # of all passes
    flops: float

    @property
    def peak(self) -> int:
        return max(tick.peak for tick in self.ticks)


class Graph:
    """A program at a point: the numbers of all values, the edges, and which values have a derivative."""

    def __init__(self, program: Program, known: dict[Value, Any], active: set[Value]) -> None:
        self.program = program
        self.known = known
        self.active = active
        self.steps = [k for k, i in enumerate(program.instructions) if i.op is not GUARD]
        self.edges: list[Edge] = []
        self.into: dict[int, list[int]] = {}  # instruction -> its edges
        for k in self.steps:
            self._arrive(k, program.instructions[k])
        self.uses: dict[Value, int] = {}
        for edge in self.edges:
            if edge.local is not None:
                self.uses[edge.source] = self.uses.get(edge.source, 0) + 1
        for v in program.outputs:
            if isinstance(v, Value) and v in active:
                self.uses[v] = self.uses.get(v, 0) + 1

    def _arrive(self, k: int, instruction: Instruction) -> None:
        given = leaves((instruction.args, instruction.params))
        numbers = tuple(self.known[x] if isinstance(x, Value) else x for x in given)
        outs = self.outs(k)
        self.into[k] = []
        for place, x in enumerate(given):
            if isinstance(x, Value):
                local = Local(instruction, numbers, place, outs) if x in self.active and outs else None
                self.into[k].append(len(self.edges))
                self.edges.append(Edge(x, k, local, structure(local) if local else None))

    def outs(self, k: int) -> tuple[int, ...]:
        """Which results of an instruction have a derivative."""
        return tuple(j for j, v in enumerate(self.program.instructions[k].outs) if v in self.active)

    @cached_property
    def patterns(self) -> dict[int, str]:
        """The named pattern of each instruction that has one."""
        found = {}
        for k in self.steps:
            locals_ = [edge.local for e in self.into[k] if (edge := self.edges[e]).local is not None]
            name = pattern([local for local in locals_ if local is not None]) if locals_ else None
            if name is not None:
                found[k] = name
        return found

    def shared(self, v: Value) -> bool:
        """Whether several uses send something back to a value."""
        return self.uses.get(v, 0) > 1

    # Passes -------------------------------------------------------------------------------------------

    def forward(self, seed: str, carried: dict[Value, Any]) -> Pass:
        """The parts of a tangent: of each edge J·t."""
        carried = dict(carried)
        parts: dict[int, Any] = {}
        for k in self.steps:
            pushed = []
            for e in self.into[k]:
                local = self.edges[e].local
                if local is not None:
                    pushed.append(local.push(carried[self.edges[e].source]))
                    parts[e] = pushed[-1][0] if len(pushed[-1]) == 1 else pushed[-1]
            for j, v in enumerate(self.program.instructions[k].outs[j] for j in self.outs(k)):
                carried[v] = _kept(carried[v], [part[j] for part in pushed])
        return Pass(seed, carried, parts, {})

    def reverse(self, seed: str, carried: dict[Value, Any], seeds: dict[Value, Any]) -> Pass:
        """The parts of an adjoint: of each edge Jᵀ·u, and the sums where several meet.

        seeds : what the direction itself gives the results.
        """
        carried = dict(carried)
        parts: dict[int, Any] = {}
        sums: dict[int, Any] = {}
        total = dict(seeds)
        for k in reversed(self.steps):
            outs = [self.program.instructions[k].outs[j] for j in self.outs(k)]
            carried.update((v, _kept(carried[v], [total[v]])) for v in outs if v in carried)
            if not any(v in carried for v in outs):
                continue
            us = [carried.get(v, np.zeros(v.shape, v.dtype)) for v in outs]
            for e in self.into[k]:
                edge = self.edges[e]
                if edge.local is not None:
                    parts[e] = edge.local.pull(us)
                    earlier = total.get(edge.source)
                    total[edge.source] = parts[e] if earlier is None else earlier + parts[e]
                    if self.shared(edge.source):
                        sums[e] = total[edge.source]
        carried.update((v, _kept(carried[v], [total[v]])) for v in self.program.inputs if v in carried)
        return Pass(seed, carried, parts, sums)


def _kept(carried: Any, parts: Sequence[Any]) -> Any:
    """What a sweep carries; where that is nan on the way and no part of it is, the parts' sum.

    A sweep that ends without a nan does not keep the zeros between (`core.zeros`): 0 · ∞ may be nan there, and be
    masked later on.  The parts keep them.
    """
    if not parts or not np.isnan(carried).any():
        return carried
    total = sum(parts[1:], parts[0])
    return carried if np.isnan(total).any() else total


# ---------------------------------------------------------------------------------------------------
# The steps of a mode
# ---------------------------------------------------------------------------------------------------


class _Counter:
    """Counts up the work, and the memory, of steps as they are taken."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.ticks: list[Tick] = []
        self.multiply_adds = self.flops = 0.0
        self.peak = 0

    def add(self, at: str, number: int, instruction: int, *steps: Step) -> None:
        """A step as it is shown, with the work of one of the sweep, or of two."""
        self.multiply_adds += sum(self.sweep.multiply_adds.get(step, 0.0) for step in steps)
        self.flops += sum(self.sweep.flops.get(step, 0.0) for step in steps)
        before = self.ticks[-1].memory if self.ticks else self.sweep.memory[START]
        memory = before if at == "seed" else self.sweep.memory.get(steps[0], before)
        self.peak = max(self.peak, memory, *(self.sweep.memory.get(step, 0) for step in steps))
        self._tick(at, number, instruction, steps[0], memory)

    def sweep_through(self, number: int, steps: Sequence[Step]) -> None:
        """One pass: its seed and its steps; what the transform does after the last belongs to that."""
        plan = [("seed", START), *(("step", step) for step in steps)]
        for k, (at, step) in enumerate(plan, 1):
            self.add(at, number, step[1], step, *([END] if k == len(plan) else []))

    def end(self, passes: int, multiply_adds: float, flops: float) -> tuple[Tick, ...]:
        """All steps, the totals of all passes last."""
        self.multiply_adds, self.flops = multiply_adds, flops
        self._tick("end", passes - 1, -1, END, self.ticks[-1].memory)
        return tuple(self.ticks)

    def _tick(self, at: str, number: int, instruction: int, step: Step, memory: int) -> None:
        self.ticks.append(Tick(at, number, instruction, step, self.multiply_adds, self.flops, memory, self.peak))


def forward_mode(graph: Graph, sweep: Sweep, passes: int, shown: Sequence[Pass]) -> Mode:
    """Forward mode: each pass computes values and tangents together."""
    counter = _Counter(sweep)
    for number in range(len(shown)):
        counter.sweep_through(number, [(FORTH, k) for k in graph.steps])
    total = passes * sweep.cost.multiply_adds, passes * sweep.cost.flops
    return Mode(sweep, passes, tuple(shown), counter.end(passes, *total), *total)


def reverse_mode(graph: Graph, sweep: Sweep, passes: int, shown: Sequence[Pass]) -> Mode:
    """Reverse mode: the values once, onto the tape; then each pass carries adjoints back."""
    counter = _Counter(sweep)
    for k in graph.steps:
        counter.add("value", 0, k, (FORTH, k))
    onto_tape = counter.multiply_adds, counter.flops
    for number in range(len(shown)):
        reached = [(BACK, k) for k in reversed(graph.steps) if (BACK, k) in sweep.instructions]
        counter.sweep_through(number, reached)
    whole = sweep.cost.multiply_adds, sweep.cost.flops
    total = [once + passes * (both - once) for once, both in zip(onto_tape, whole, strict=True)]
    return Mode(sweep, passes, tuple(shown), counter.end(passes, *total), *total)


def shown_passes(passes: int, graph: Graph) -> int:
    """How many passes a page shows."""
    carried = sum(v.size for v in graph.active)
    most = min(MOST_STEPS // (len(graph.steps) + 1), MOST_CARRIED // max(carried, 1))
    return max(1, min(passes, most))
