"""What the printers of all targets share: statements, guards, operands, and the forward and backward lines."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..recording import Instruction, Value
from ..straightline import StraightLine
from .names import Namer

INFIX = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**", np.remainder: "%",
    np.floor_divide: "//", np.matmul: "@", np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
    np.equal: "==", np.not_equal: "!=", np.logical_and: "&", np.logical_or: "|", np.bitwise_and: "&",
    np.bitwise_or: "|", np.bitwise_xor: "^", np.left_shift: "<<", np.right_shift: ">>", operator.matmul: "@",
}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A statement of flat code: target = expression, target += expression, …; without a sign, the expression alone."""

    target: str
    expression: str
    sign: str = "="

    @property
    def lines(self) -> list[str]:
        return [f"{self.target} {self.sign} {self.expression}" if self.sign else self.expression]


@dataclass(frozen=True)
class Guard:
    """What the program takes for granted: that a condition is false."""

    condition: str
    where: str  # the statement that took it for granted, of the user's code

    @property
    def lines(self) -> list[str]:
        return [f"if {self.condition}:", f"    raise GuardFailed({self.where!r})"]


@dataclass(frozen=True)
class Delete:
    """Names that go, and the memory with them."""

    names: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        return [f"del {', '.join(self.names)}"]


# A way to write one operation: its expression, or None where the operation is not written so here.
Rule = Callable[[Any, Instruction], str | None]


class Printer:
    """One target's way to write a program. A target says how an operation is written (`statements`), what the results
    are made of, and which lines come first; new targets are new classes."""

    # How operations are written, by their function or their row.
    rules: ClassVar[dict[Any, Rule]]
    imports: ClassVar[tuple[str, ...]]
    reserved: ClassVar[tuple[str, ...]] = ()

    def __init__(self, program: StraightLine, direct: bool = False) -> None:
        self.program = program
        self.namer = Namer(program, self.reserved, direct)

    def statements(self, k: int, instruction: Instruction) -> list[Statement | Guard | Delete]:
        """Instruction k of the program."""
        raise NotImplementedError

    def results(self) -> list[str]:
        """The outputs as expressions."""
        raise NotImplementedError

    def outputs(self) -> Iterator[tuple[Any, bool | None]]:
        """Each, and whether it is a scalar; None where that does not matter."""
        return zip(self.program.outputs, self.program.numbers or itertools.repeat(None), strict=False)

    def constant(self, v: Any, number: bool | None) -> str:
        """An output that is the same in every run: an array as a copy, which is the caller's."""
        if isinstance(v, np.ndarray) and not number:
            return f"{self.namer.text(v)}.copy()"
        return f"np.asarray({self.namer.text(v, False)}){'[()]' if number is not False else ''}"

    def first(self) -> list[str]:
        """Lines before the instructions."""
        return []

    def body(self) -> list[str]:
        """The lines of the function but for the last, which returns the results."""
        lines, backward = self.first(), False
        for k, instruction in enumerate(self.program.instructions):
            if instruction.backward and not backward:
                backward = True
                lines.append("# backward")
            for statement in self.statements(k, instruction):
                lines += statement.lines
        return lines

    def expression(self, instruction: Instruction) -> str | None:
        """An operation as the rules write it; None where they do not."""
        rule = self.rules.get(instruction.op) or self.rules.get(instruction.op.fn)
        return None if rule is None else rule(self, instruction)

    def guard(self, instruction: Instruction) -> Guard:
        value, assumed = instruction.args
        name, where = self.namer.text(value), instruction.params["where"]
        if isinstance(assumed, bool | np.bool_):
            return Guard(f"not {name}" if assumed else name, where)
        if np.ndim(assumed) == 0:
            return Guard(f"{name} != {self.namer.text(assumed.item())}", where)
        return Guard(f"not same({name}, {self.namer.constant(assumed)})", where)

    def operand(self, x: Any, wide: bool = True) -> str:
        """An argument beside an operator."""
        text = self.namer.text(x, wide)
        return f"({text})" if text.startswith("-") else text


def is_boolean(x: Any) -> bool:
    return isinstance(x, Value) and x.dtype.kind == "b"
