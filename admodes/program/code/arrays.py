"""Flat code on NumPy arrays: operators and methods where they do what a function does, in place where that may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ...core.registry import OPS
from ...ops.index import INDEX, SCATTER
from ..boxes import box, outside
from ..cost import copied_outputs, owners
from ..primitives import ADD_AT, COPIED, KERNELS, ROWS, SCATTERED, SET_AT, SUBTRACT_AT
from ..recording import GUARD, SEED, Instruction, Value, leaves
from ..straightline import StraightLine
from .names import public_name
from .printer import INFIX, Delete, Guard, Printer, Rule, Statement, is_boolean

# From this size on it pays to make an array empty and set the few elements to zero that are not written anyway.
EMPTY_BYTES = 1 << 14

_AT = {ADD_AT: "+=", SUBTRACT_AT: "-=", SET_AT: "="}
_AUGMENTED = {np.add: "+=", np.subtract: "-=", np.multiply: "*=", np.divide: "/="}


class ArrayPrinter(Printer):
    """NumPy arrays; direct: NumPy's functions by their bare names, to run, not to read."""

    rules: ClassVar[dict[Any, Rule]] = {}
    imports = ("numpy",)

    def __init__(self, program: StraightLine, direct: bool = False) -> None:
        super().__init__(program, direct)
        self.plain = _plain_seeds(program)
        self.dies = _deaths(program)

    def first(self) -> list[str]:
        return ["# forward"] if any(i.backward for i in self.program.instructions) else []

    def statements(self, k: int, instruction: Instruction) -> list[Statement | Guard | Delete]:
        written = self.written(instruction)
        return [*written, Delete(tuple(self.namer.names[v] for v in self.dies[k]))] if k in self.dies else written

    def written(self, instruction: Instruction) -> list[Statement | Guard | Delete]:
        """The statements of an instruction itself."""
        if instruction.op is GUARD:
            return [self.guard(instruction)]
        if instruction.into is not None:
            return [self._in_place(instruction)]
        if instruction.op is SCATTERED:
            return self._scattered(instruction)
        expression = self._written(instruction)
        names = ", ".join(self.namer.new(v) for v in instruction.outs)
        names += "," if isinstance(instruction.out, tuple) and len(instruction.out) == 1 else ""
        made: list[Statement | Guard | Delete] = [Statement(names, expression)]
        if instruction.op is SCATTER and _zeros_first(instruction):
            index = _behind(instruction)
            made.append(Statement(f"{names}[{self.index(index)}]", self.namer.text(instruction.args[0])))
            made += self._rest(instruction.outs[0], index)
        return made

    def _written(self, instruction: Instruction) -> str:
        """The expression of an operation: into the workspace, as its rule has it, or as a call."""
        if instruction.buffer is not None:
            place = self.namer.workspace[instruction.buffer]
            return f"{self.namer.called(instruction.op)}({self.arguments(instruction)}, out={place})"
        found = self.expression(instruction)
        return f"{self.namer.called(instruction.op)}({self.arguments(instruction)})" if found is None else found

    def _in_place(self, instruction: Instruction) -> Statement:
        """A ufunc in the memory of one of its arguments, t += x or np.exp(t, out=t); or a change of a part of it."""
        assert instruction.into is not None
        target = self.namer.names[instruction.args[instruction.into]]
        self.namer.names[instruction.outs[0]] = target
        if instruction.op in _AT:
            a, u, index = instruction.args
            return Statement(f"{self.namer.text(a)}[{self.index(index)}]", self.namer.text(u), _AT[instruction.op])
        sign = _AUGMENTED.get(instruction.op.fn, "")
        if sign and (instruction.into == 0 or sign in ("+=", "*=")):
            other = instruction.args[1 if instruction.into == 0 else 0]
            return Statement(target, self.namer.text(other, is_wide(instruction)), sign)
        call = f"{self.namer.called(instruction.op)}({self.arguments(instruction)}, out={target})"
        return Statement("", call, "")

    def _scattered(self, instruction: Instruction) -> list[Statement | Guard | Delete]:
        """Zeros, and the result of a ufunc written to a part of them."""
        fn, index = instruction.params["op"], instruction.params["index"]
        arguments = self.arguments(replace(instruction, params={}))
        out = instruction.outs[0]
        name = self.namer.new(out)
        computed = f"{self.namer.called(OPS[fn])}({arguments}, out={name}[{self.index(index)}])"
        return [Statement(name, self.zeros(out, index)), Statement("", computed, ""), *self._rest(out, index)]

    def zeros(self, v: Value, index: Any) -> str:
        """An array of zeros, or, where `_rest` sets these, an empty one."""
        made = "np.zeros" if _few_zeros(v, index) is None else "np.empty"
        dtype = "" if v.dtype == np.float64 else f", dtype=np.{v.dtype.name}"
        return f"{self.namer.numpy(made)}({self.namer.text(v.shape)}{dtype})"

    def _rest(self, v: Value, index: Any) -> list[Statement]:
        """The statements that set what is left of an empty array to zero."""
        return [Statement(f"{self.namer.names[v]}[{self.index(piece)}]", "0") for piece in _few_zeros(v, index) or ()]

    def arguments(self, instruction: Instruction) -> str:
        """The arguments of a call."""
        wide = is_wide(instruction) and public_name(instruction.op) is not None  # a helper may ask for a number's shape
        args = (tuple(instruction.args),) if instruction.op.sequence else instruction.args
        parts = [self.namer.text(a, wide) for a in args]
        parts += [f"{k}={self.namer.text(v)}" for k, v in instruction.params.items()]
        return ", ".join(parts)

    def index(self, index: Any) -> str:
        """An index as one writes it: 1:, ..., None, i."""
        if not isinstance(index, tuple):
            return self._entry(index)
        if len(index) == 1 and not isinstance(index[0], tuple | list):
            return self._entry(index[0])
        return ", ".join(map(self._entry, index)) + ("," if len(index) == 1 else "") if index else "()"

    def _entry(self, i: Any) -> str:
        if not isinstance(i, slice):
            return self.namer.text(i)
        start, stop, step = ("" if e is None else self.namer.text(e) for e in (i.start, i.stop, i.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")

    def results(self) -> list[str]:
        """The outputs: arrays of the caller's own, never an input, a constant or a workspace array."""
        copied = set(copied_outputs(self.program))
        made = {v: i for i in self.program.instructions for v in i.outs}
        return [
            self._result(v, made.get(v), v in copied, number) if isinstance(v, Value) else self.constant(v, number)
            for v, number in self.outputs()
        ]

    def _result(self, v: Value, made: Instruction | None, copied: bool, number: bool | None) -> str:
        text = self.namer.text(v)
        if v.ndim:
            return f"{text}.copy()" if copied else text
        if number is False:
            return f"np.array({text})"
        if number is None or made is None or _gives_scalars(made):
            return f"{text}[()]" if copied else text
        return f"{text}[()]" if public_name(made.op) is not None else f"np.asarray({text})[()]"


# ---------------------------------------------------------------------------------------------------
# How operations are written that are not written as calls
# ---------------------------------------------------------------------------------------------------


def _seed(to: ArrayPrinter, i: Instruction) -> str:
    return to.namer.text(i.args[0], i.out in to.plain)


def _rows(to: ArrayPrinter, i: Instruction) -> str:  # a, b, … = stack
    return to.namer.text(i.args[0])


def _copy(to: ArrayPrinter, i: Instruction) -> str:
    return f"{to.namer.text(i.args[0])}.copy()"


def _product(to: ArrayPrinter, i: Instruction) -> str | None:
    if all(isinstance(x, Value | np.ndarray) and 0 < x.ndim < 3 for x in i.args):
        return f"{to.namer.text(i.args[0])}.dot({to.namer.text(i.args[1])})"
    return _infix(to, i) if i.op.fn in INFIX else None


def _infix(to: ArrayPrinter, i: Instruction) -> str | None:
    if i.params:
        return None
    a, b = (to.operand(x, is_wide(i)) for x in i.args)
    return f"{a} {INFIX[i.op.fn]} {b}"


def _logical(to: ArrayPrinter, i: Instruction) -> str | None:
    return _infix(to, i) if all(map(is_boolean, i.args)) else None


def _negative(to: ArrayPrinter, i: Instruction) -> str | None:
    return None if i.params else f"-{to.operand(i.args[0], is_wide(i))}"


def _scatter(to: ArrayPrinter, i: Instruction) -> str | None:
    return to.zeros(i.outs[0], _behind(i)) if _zeros_first(i) else None


def _getitem(to: ArrayPrinter, i: Instruction) -> str:
    x = i.args[0]  # a number is subscripted as NumPy's scalar
    return f"{to.namer.text(np.float64(x) if type(x) is float else x, wide=False)}[{to.index(i.args[1])}]"


def _reshape(to: ArrayPrinter, i: Instruction) -> str | None:
    if i.params.get("order", "C") != "C" or not isinstance(i.args[0], Value):
        return None
    shape = i.params.get("shape", i.args[1] if len(i.args) > 1 else None)
    return f"{to.namer.text(i.args[0])}.reshape({to.namer.text(shape)})"


def _astype(to: ArrayPrinter, i: Instruction) -> str | None:
    if not isinstance(i.args[0], Value):
        return None
    return f"{to.namer.text(i.args[0])}.astype(np.{np.dtype(i.params['dtype']).name})"


def _transpose(to: ArrayPrinter, i: Instruction) -> str | None:
    """Of transpose, swapaxes and moveaxis: the order in which they take the axes, read off extents 2, 3, …"""
    if not isinstance(i.args[0], Value):
        return None
    shown = i.op.fn(np.broadcast_to(0, tuple(range(2, i.args[0].ndim + 2))), *i.args[1:], **i.params)
    return f"{to.namer.text(i.args[0])}.transpose({to.namer.text(tuple(n - 2 for n in shown.shape))})"


def _method(to: ArrayPrinter, i: Instruction) -> str | None:
    """Methods do what these functions of NumPy's do, without a layer of Python."""
    if not isinstance(i.args[0], Value):
        return None
    return f"{to.namer.text(i.args[0])}.{_METHODS[i.op.fn]}({to.arguments(replace(i, args=i.args[1:]))})"


def _sum(to: ArrayPrinter, i: Instruction) -> str | None:
    if not isinstance(i.args[0], Value):
        return None
    given = {k: v for k, v in i.params.items() if (k, v) not in (("axis", None), ("keepdims", False))}
    return f"{to.namer.text(i.args[0])}.sum({', '.join(f'{k}={to.namer.text(v)}' for k, v in given.items())})"


_METHODS = {np.max: "max", np.min: "min", np.any: "any", np.all: "all", np.prod: "prod"}
ArrayPrinter.rules |= (
    dict.fromkeys(INFIX, _infix)
    | {np.logical_and: _logical, np.logical_or: _logical, np.matmul: _product, np.dot: _product}
    | {SEED: _seed, ROWS: _rows, COPIED: _copy, SCATTER: _scatter, INDEX: _getitem, np.negative: _negative}
    | {np.reshape: _reshape, np.astype: _astype, np.sum: _sum}
    | dict.fromkeys((np.transpose, np.swapaxes, np.moveaxis), _transpose)
    | dict.fromkeys(_METHODS, _method)
)


# ---------------------------------------------------------------------------------------------------
# What is read off a program
# ---------------------------------------------------------------------------------------------------


def is_wide(instruction: Instruction) -> bool:
    """Whether every array among the arguments is of double precision, so that a Python number promotes as a double."""
    return all(x.dtype.char in "dD?lqi" for x in leaves(instruction.args) if isinstance(x, Value | np.ndarray))


def _gives_scalars(instruction: Instruction) -> bool:
    """Whether what has no axes is a scalar, whatever the arguments are."""
    if instruction.buffer is not None or instruction.into is not None:
        return False
    fn = instruction.op.fn
    return isinstance(fn, np.ufunc) or fn in _TO_SCALARS or instruction.op in KERNELS


_TO_SCALARS = {np.sum, np.mean, np.max, np.min, np.any, np.all, np.prod, np.dot, np.vdot}


def _plain_seeds(program: StraightLine) -> set[Any]:
    """Seeds that may stand as Python numbers, grad_L = 1.0: all that uses them promotes them as it does np.float64."""
    seeds = {i.out for i in program.instructions if i.op is SEED and isinstance(i.args[0], np.float64)}
    seeds -= {v for v in program.outputs if isinstance(v, Value)}
    for i in program.instructions if seeds else ():
        others = [x for x in i.args if isinstance(x, Value) and x not in seeds]
        if not (i.op.fn is np.broadcast_to or (i.op.fn in INFIX and others and is_wide(i))):
            seeds -= set(i.uses)
    return seeds


def _deaths(program: StraightLine) -> dict[int, list[Value]]:
    """For an instruction the arrays it is the last to read, so that their names, and with them the memory, may go.

    Not the inputs and the workspace, which others hold.
    """
    owner = owners(program, exactly=True)
    named: dict[Value, Value] = {}  # a value computed in place goes by the name of the array that it took
    last: dict[Value, int] = {}
    own = set()
    for k, instruction in enumerate(program.instructions):
        for v in instruction.outs:
            named[v] = named.get(instruction.args[instruction.into], v) if instruction.into is not None else v
            if v.ndim and named[v] is v and instruction.buffer is None and instruction.op is not SEED:
                own.add(v)
        for v in (*instruction.uses, *instruction.outs):
            last[named.get(v, v)] = k
    own -= {named.get(v, v) for v in program.outputs if isinstance(v, Value)}
    dies: dict[int, list[Value]] = {}
    for v, k in last.items():
        if v in own and owner[v] not in program.inputs:
            dies.setdefault(k, []).append(v)
    return dies


def _few_zeros(v: Value, index: Any) -> list[tuple[int | slice, ...]] | None:
    """Where a large array is zero that is written to at an index; None where np.zeros does as well."""
    written = box(index, v.shape) if v.nbytes >= EMPTY_BYTES else None
    return None if written is None else outside(tuple(map(range, v.shape)), written)


def _zeros_first(instruction: Instruction) -> bool:
    """Whether a scatter is zeros and one assignment: no index repeats, and NumPy keeps the axes in place."""
    return all(
        i is None or i is Ellipsis or (isinstance(i, int | np.integer) and not isinstance(i, bool))
        for i in leaves(instruction.args[1])
    )


def _behind(instruction: Instruction) -> tuple[Any, ...]:
    """The index of a scatter behind the direction axes."""
    u, index, _, ndim = instruction.args
    return (slice(None),) * (u.ndim - ndim) + tuple(index)
