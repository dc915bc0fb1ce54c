"""The flat code of a sweep, each line with the step that it belongs to; values are called as they are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..program.code.arrays import ArrayPrinter
from ..program.code.names import Namer
from ..program.program import Program
from ..program.recording import Value
from .sweeps import END, START, Step, Sweep


@dataclass(frozen=True)
class Line:
    """A line of flat code and its step."""

    text: str
    step: Step


def names(program: Program, variables: Mapping[Value, str]) -> dict[Value, str]:
    """A name for every value: the argument's, the variable's of the user, or t0, t1, …"""
    namer = Namer(program)
    for instruction in program.instructions:
        for v in instruction.outs:
            if v in variables:
                namer.take(v, variables[v])
            else:
                namer.new(v)
    return namer.names


def statements(program: Program, called: Mapping[Value, str]) -> dict[int, str]:
    """Each instruction as a line of flat code."""
    printer = ArrayPrinter(program)
    printer.namer.names.update(called)
    found = {}
    for k, instruction in enumerate(program.instructions):
        lines = [line for statement in printer.written(instruction) for line in statement.lines]
        found[k] = "; ".join(line.strip() for line in lines)
    return found


def code(sweep: Sweep, called: Mapping[Value, str], name: str, carried: str) -> list[Line]:
    """The lines of a sweep, by the name of its function; carried : how what goes with a value is called, "dot_{}"."""
    _call_inputs(sweep, called, carried)
    printer = ArrayPrinter(sweep.program.with_(name=name))
    taken = printer.namer.names
    for v, w in sweep.values.items():
        if isinstance(w, Value) and w not in taken:
            printer.namer.take(w, called[v])
    # What several values share goes by the name of the last computed, where a sweep back first meets it.
    for v, w in reversed(sweep.carried.items()):
        if isinstance(w, Value) and w not in taken:
            printer.namer.take(w, carried.format(called[v]))
    step_of = {id(i): step for step, part in sweep.instructions.items() for i in part}
    arguments = ", ".join(taken[v] for v in sweep.program.inputs)
    lines = [Line(f"def {printer.namer.function}({arguments}):", START)]
    for instruction in sweep.program.instructions:
        for statement in printer.written(instruction):
            lines += [Line(f"    {text}", step_of[id(instruction)]) for text in statement.lines]
    results = printer.results()
    lines.append(Line(f"    return {', '.join(results)}", END))
    return lines


def _call_inputs(sweep: Sweep, called: Mapping[Value, str], carried: str) -> None:
    """Name the inputs of a sweep: values as in the function, directions after what they go with."""
    primal = {w: called[v] for v, w in sweep.values.items() if isinstance(w, Value)}
    moved = {w: carried.format(called[v]) for v, w in sweep.carried.items() if isinstance(w, Value)}
    for k, v in enumerate(sweep.program.inputs):
        v.name = primal.get(v) or moved.get(v) or f"u{k}"
