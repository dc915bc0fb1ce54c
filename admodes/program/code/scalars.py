"""Flat code on Python floats, with the math module: for programs of scalars, where calls of NumPy would be the cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..recording import GUARD, SEED, Instruction, Value
from ..straightline import StraightLine
from .names import Namer
from .printer import INFIX, Delete, Guard, Printer, Rule, Statement, is_boolean

# Scalars as Python floats: the functions of the math module that agree with NumPy's up to rounding.
MATH = {
    np.sin: "math.sin", np.cos: "math.cos", np.tan: "math.tan", np.arcsin: "math.asin", np.arccos: "math.acos",
    np.arctan: "math.atan", np.arctan2: "math.atan2", np.hypot: "math.hypot", np.exp: "math.exp",
    np.expm1: "math.expm1", np.log: "math.log", np.log1p: "math.log1p", np.log2: "math.log2",
    np.log10: "math.log10", np.sqrt: "math.sqrt",
    np.sinh: "math.sinh", np.cosh: "math.cosh", np.tanh: "math.tanh", np.arcsinh: "math.asinh",
    np.arccosh: "math.acosh", np.arctanh: "math.atanh", np.absolute: "abs", np.fabs: "abs",
    np.deg2rad: "math.radians", np.rad2deg: "math.degrees", np.cbrt: "math.cbrt", np.exp2: "math.exp2",
    np.copysign: "math.copysign", np.fmod: "math.fmod", np.isnan: "math.isnan", np.isinf: "math.isinf",
    np.isfinite: "math.isfinite",
}  # fmt: skip

_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
_ARITHMETIC = {np.add, np.subtract, np.multiply, np.divide}

# Python reaches this many local variables without an extra instruction at each access.
NEAR_LOCALS = 255


class ScalarPrinter(Printer):
    """Python floats: one line a value; a value that is used once stands in the line that uses it."""

    rules: ClassVar[dict[Any, Rule]] = {}
    imports = ("math",)
    reserved = tuple(name.removeprefix("math.") for name in MATH.values())

    def __init__(self, program: StraightLine, direct: bool = False) -> None:
        super().__init__(program, direct)
        self.uses: dict[Value, int] = {}
        for v in (v for i in program.instructions for v in i.uses):
            self.uses[v] = self.uses.get(v, 0) + 1
        for v in (*program.inputs, *program.outputs):  # names that stay
            if isinstance(v, Value):
                self.uses[v] = self.uses.get(v, 0) + 2
        self.registers = Registers(program, self.namer, self.uses)

    def first(self) -> list[str]:
        """The functions under local names."""
        used = dict.fromkeys(MATH[i.op.fn] for i in self.program.instructions if i.op.fn in MATH)
        return [f"{name.removeprefix('math.')} = {name}" for name in used if name != "abs"]

    def statements(self, k: int, instruction: Instruction) -> list[Statement | Guard | Delete]:
        if instruction.op is GUARD:
            return [self.guard(instruction)]
        out, expression = instruction.outs[0], self.expression(instruction)
        assert expression is not None  # `is_scalar` has seen to it
        read = self.registers.names_in(instruction.uses)
        if self.uses.get(out) == 1 and len(expression) < 60:
            self.namer.names[out] = f"({expression})"
            self.registers.within[out] = read
            return []
        return [Statement(self.registers.name(out, read), expression)]

    def operands(self, instruction: Instruction) -> list[str]:
        """The arguments beside an operator or in a call, numbers as floats."""
        return [self.operand(x if isinstance(x, Value) else float(x)) for x in instruction.args]

    def results(self) -> list[str]:
        """The outputs as the scalars that NumPy gives."""
        return [self._result(v, number) for v, number in self.outputs()]

    def _result(self, v: Any, number: bool | None) -> str:
        if not isinstance(v, Value):
            return self.constant(v, number)
        made = "array" if number is False else "float64" if v.dtype.kind == "f" else "bool"
        return f"np.{made}({self.namer.text(v)})"


def _seed(to: ScalarPrinter, i: Instruction) -> str:
    return to.operands(i)[0]


def _call(to: ScalarPrinter, i: Instruction) -> str:
    return f"{MATH[i.op.fn].removeprefix('math.')}({', '.join(to.operands(i))})"


def _infix(to: ScalarPrinter, i: Instruction) -> str:
    a, b = to.operands(i)
    return f"{a} {INFIX[i.op.fn]} {b}"


def _where(to: ScalarPrinter, i: Instruction) -> str:
    condition, a, b = to.operands(i)
    return f"{a} if {condition} else {b}"


def _power(to: ScalarPrinter, i: Instruction) -> str:
    """Whole powers; the square of a name as a product."""
    a, n = to.operands(i)[0], 2 if i.op.fn is np.square else int(float(i.args[1]))
    return f"{a} * {a}" if n == 2 and a.isidentifier() else f"{a} ** {n if n >= 0 else f'({n})'}"


ScalarPrinter.rules |= (
    dict.fromkeys(MATH, _call)
    | dict.fromkeys((*_COMPARISONS, *_ARITHMETIC), _infix)
    | {SEED: _seed, np.where: _where, np.square: _power, np.power: _power}
    | {np.negative: lambda to, i: f"-{to.operands(i)[0]}", np.positive: lambda to, i: to.operands(i)[0]}
    | {np.reciprocal: lambda to, i: f"1.0 / {to.operands(i)[0]}"}
)


def is_scalar(program: StraightLine) -> bool:
    """Whether every value is a 0-d double or boolean, and every operation one of Python's or the math module's."""
    values = [*program.inputs, *(v for i in program.instructions for v in i.outs)]
    if not program.instructions or not all(v.ndim == 0 and v.dtype.char in "d?" for v in values):
        return False
    return all(i.op is GUARD or _is_scalar_operation(i) for i in program.instructions)


def _is_scalar_operation(instruction: Instruction) -> bool:
    fn, args = instruction.op.fn, instruction.args
    if instruction.op is SEED:
        return True
    if instruction.params or not all(isinstance(x, Value | int | float) or np.ndim(x) == 0 for x in args):
        return False
    if all(map(is_boolean, args)) and fn not in _COMPARISONS:  # Python adds True and True to 2, NumPy to True
        return fn is np.where
    if fn is np.power:
        return not isinstance(args[1], Value) and math.isfinite(args[1]) and float(args[1]).is_integer()
    return fn in ScalarPrinter.rules


class Registers:
    """Names of scalars that serve again once their value is not read any more, in programs with more values than
    Python reaches fast."""

    def __init__(self, program: StraightLine, namer: Namer, uses: dict[Value, int]) -> None:
        self.namer = namer
        self.left = dict(uses)  # how often a value is still read
        self.within: dict[Value, list[Value]] = {}  # the values with names in an expression that has none
        self.spare: list[str] = []
        self.few = len(program.instructions) <= NEAR_LOCALS

    def name(self, out: Value, read: Sequence[Value]) -> str:
        """The name of a value about to be computed from others, whose names go where this was their last use."""
        for v in [] if self.few else read:
            self.left[v] -= 1
            if not self.left[v]:
                self.spare.append(self.namer.names[v])
        if self.few or not self.spare:
            return self.namer.new(out)
        self.namer.names[out] = self.spare.pop()
        return self.namer.names[out]

    def names_in(self, values: Sequence[Value]) -> list[Value]:
        """The values with names in an expression of these."""
        return [w for v in values for w in self.within.get(v, [v])]
