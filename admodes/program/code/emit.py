"""Flat code: a program as straight-line Python, forward lines and then backward lines, as lectures write it."""

from __future__ import annotations

import itertools
import linecache
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.tables import columns
from ..primitives import KERNELS
from ..recording import Instruction
from ..rolling.loop import Moving
from ..straightline import GuardFailed, StraightLine
from .arrays import ArrayPrinter
from .names import Namer
from .printer import Guard, Printer, Statement
from .scalars import ScalarPrinter

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Code:
    """Flat code, the names it needs, and the function it defines."""

    source: str
    namespace: dict[str, Any]
    function: Callable[..., Any]


def emit(program: StraightLine, scalars: bool = False, direct: bool = False) -> Code:
    """The flat code of a program. scalars: on Python floats with the math module (see `is_scalar`); direct: NumPy's
    functions by their bare names, to run, not to read."""
    printer: Printer = (ScalarPrinter if scalars else ArrayPrinter)(program, direct)
    namer = printer.namer
    arguments = [namer.names[v] for v in (*program.inputs, *program.workspace)]
    lines, results = printer.body(), printer.results()
    lines.append(f"return {', '.join(results)}{',' if len(results) == 1 else ''}" if results else "return ()")
    head = ["import math" if scalars else "import numpy as np", *_definitions(namer)]
    if namer.imported:
        head.insert(1, f"from numpy import {', '.join(namer.imported)}")
    head[0] += "\nimport numpy as np" if scalars and any("np." in line for line in (*head, *lines)) else ""
    body = (f"    {line}" for line in lines)
    source = "\n".join([*head, "", "", f"def {namer.function}({', '.join(arguments)}):", *body, ""])
    helpers = {name: op.evaluate for op, name in namer.helpers.items()}
    namespace = {"GuardFailed": GuardFailed, "same": np.array_equal, **helpers, **namer.constants}
    return Code(source, namespace, _compiled(source, namer.function, namespace))


def _compiled(source: str, name: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    """Execute the source under a file name of its own, so that tracebacks show its lines."""
    filename = f"<admodes {name} {next(_numbers)}>"
    scope = {"np": np, "math": math, **namespace}
    exec(compile(source, filename, "exec"), scope)
    scope.update(namespace)  # the constants themselves, not their printed digits
    function = scope.pop(name)  # no cycle: the function goes when its program does
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function


def _definitions(namer: Namer) -> list[str]:
    """Small constants as literals; the others are told of in a comment and come with `namespace`, as helpers do."""
    lines = [f"# {name}: the function of {op!r}, in program.namespace" for op, name in namer.helpers.items()]
    for name, x in namer.constants.items():
        if isinstance(x, np.ndarray) and x.size <= 8 and x.dtype.kind in "fiub" and np.isfinite(x).all():
            lines.append(f"{name} = np.array({x.tolist()!r}, dtype={x.dtype.name!r})")
        elif isinstance(x, np.ndarray):
            lines.append(f"# {name}: {x.dtype}{list(x.shape)}, in program.namespace")
        elif isinstance(x, np.generic) and x.dtype.kind in "fiub" and np.isfinite(x):
            lines.append(f"{name} = np.{x.dtype.name}({x.item()!r})")
        else:
            lines.append(f"# {name}: {type(x).__name__}, in program.namespace")
    return lines


def listing(program: StraightLine) -> str:
    """One line an instruction: name, dtype and shape, operation."""
    namer, found = listed(program)
    head = ", ".join(f"{namer.names[v]}: {v.dtype}{list(v.shape)}" for v in program.inputs)
    table = iter(columns([row for _, row in found if not isinstance(row, str)], "<<<"))
    lines = []
    backward = False
    for instruction, row in found:
        if instruction.backward and not backward:
            backward = True
            lines.append("  # backward")
        lines.append(f"  {row if isinstance(row, str) else next(table)}")
    outputs = ", ".join(namer.text(v) for v in program.outputs)
    return "\n".join([f"{program.name}({head}):", *lines, f"  return {outputs}"])


def _row(namer: Namer, instruction: Instruction, first: Statement, more: Sequence[Any]) -> tuple[str, str, str]:
    """The result of an instruction, its kind and how it is computed."""
    kinds = " ".join(f"{v.dtype}{list(v.shape)}" for v in instruction.outs)
    text = "; ".join([first.expression, *(line for statement in more for line in statement.lines)])
    return first.target or namer.names[instruction.outs[0]], kinds, f"{first.sign or '='} {text}"


def _within(printer: ArrayPrinter, at: Instruction) -> list[tuple[Instruction, Any]]:
    """The instructions of a kernel; of a loop each once, behind what it carries from step to step."""
    namer, kernel = printer.namer, KERNELS[at.op]
    rows: list[tuple[Instruction, Any]] = []
    indent, loop = "  ", kernel.loop
    if loop is not None:
        rows.append((at, f"  for t in range({loop.steps}):"))
        indent = "    "
        for m in loop.moving:
            namer.names[m.inside] = namer.text(m.source) + _moved(m)
        for c in loop.carried:
            namer.new(c.before)
    for inner in kernel.instructions:
        first, *more = printer.written(inner)
        assert isinstance(first, Statement)
        target, *rest = _row(namer, inner, first, more)
        rows.append((inner, (f"{indent}{target}", *rest)))
    for c in loop.carried if loop is not None else ():
        before, after = (namer.names[v] for v in (c.before, c.after))
        rows.append((at, f"    {before} is {after} of the step before, {namer.text(c.first)} in the first"))
    return rows


def _moved(m: Moving) -> str:
    """An array from which on is read in step t: x[t:], x[:, -t:]."""
    if not m.step:
        return ""
    stride = m.source.size
    for axis, n in enumerate(m.source.shape):
        stride //= n
        if m.step % stride == 0:
            times = {1: "t", -1: "-t"}.get(m.step // stride, f"{m.step // stride} * t")
            return f"[{':, ' * axis}{times}:]"
    raise AssertionError(m)


def listed(program: StraightLine) -> tuple[Namer, list[tuple[Instruction, Any]]]:
    """Of each instruction its result, its kind and how it is computed; of a guard a remark; and the names of values."""
    printer = ArrayPrinter(program)
    namer = printer.namer
    rows: list[tuple[Instruction, Any]] = []
    for instruction in program.instructions:
        first, *more = printer.written(instruction)
        if isinstance(first, Guard):
            rows.append((instruction, f"guard {first.condition} is false"))
            continue
        assert isinstance(first, Statement)
        rows.append((instruction, _row(namer, instruction, first, more)))
        if instruction.op in KERNELS:
            rows += _within(printer, instruction)
    return namer, rows
