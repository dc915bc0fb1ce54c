"""Flat code: a program as straight-line Python, forward lines and then backward lines, as lectures write it."""

from __future__ import annotations

import itertools
import keyword
import linecache
import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.registry import OPS
from ...core.tables import columns
from ...ops.index import INDEX, SCATTER
from ..boxes import box, outside
from ..cost import copied_outputs, owners
from ..primitives import ADD_AT, ROWS, SCATTERED, SUBTRACT_AT
from ..recording import GUARD, SEED, Instruction, Value, leaves
from ..straightline import GuardFailed, StraightLine

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Code:
    """Flat code, the names it needs, and the function it defines."""

    source: str
    namespace: dict[str, Any]
    function: Callable[..., Any]


INFIX = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**", np.remainder: "%",
    np.floor_divide: "//", np.matmul: "@", np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
    np.equal: "==", np.not_equal: "!=", np.logical_and: "&", np.logical_or: "|", np.bitwise_and: "&",
    np.bitwise_or: "|", np.bitwise_xor: "^", np.left_shift: "<<", np.right_shift: ">>",
}  # fmt: skip
_BOOLEAN_INFIX = {np.logical_and, np.logical_or}
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


# What flat code reads by these names is not to be hidden behind an argument.
_RESERVED = ("np", "math", "same", "GuardFailed", "float", "slice", *keyword.kwlist)


class Namer:
    """Names for values, literals for constants; what has no literal becomes a named constant."""

    def __init__(self, program: StraightLine, reserved: Iterable[str] = (), direct: bool = False) -> None:
        self.direct = direct  # exp(x) with `from numpy import exp`, which saves a lookup, for np.exp(x)
        self.imported: dict[str, None] = {}
        if direct:
            reserved = ["zeros", "empty", *(name[3:] for name in {_public(i.op) for i in program.instructions} if name)]
        self.names: dict[Value, str] = {}
        self.constants: dict[str, Any] = {}
        self._ids: dict[int, str] = {}
        self.taken = {*_RESERVED, *reserved}
        self.helpers: dict[Any, str] = {}  # functions that are not NumPy's public ones
        name = program.name if program.name.isidentifier() else "f"
        self.function = self._free(name)
        self.workspace = [self._take(v, f"w{k}") for k, v in enumerate(program.workspace)]
        for v in program.inputs:
            self._take(v, v.name if v.name.isidentifier() else "x")
        self._counter = itertools.count()
        self.plain = _plain_seeds(program)

    def _free(self, name: str) -> str:
        """The name, or with a number behind it where it is taken."""
        if name[0].isdigit():
            name = f"_{name}"
        unique, k = name, 1
        while unique in self.taken:
            unique, k = f"{name}_{k}", k + 1
        self.taken.add(unique)
        return unique

    def _take(self, v: Value, name: str) -> str:
        self.names[v] = self._free(name)
        return self.names[v]

    def new(self, v: Value) -> str:
        """The name of a value that is about to be computed."""
        if v in self.names:
            return self.names[v]
        primal = self.names.get(v.adjoint_of) if v.adjoint_of is not None else None
        if primal is not None and primal.isidentifier():
            return self._take(v, f"grad_{primal}")
        return self._take(v, f"t{next(self._counter)}")

    def text(self, x: Any, wide: bool = True) -> str:
        """An argument as an expression; wide: every array beside it is of double precision."""
        if isinstance(x, Value):
            return self.names[x]
        if isinstance(x, tuple):
            inner = ", ".join(self.text(e) for e in x)
            return f"({inner},)" if len(x) == 1 else f"({inner})"
        if isinstance(x, list):
            return f"[{', '.join(self.text(e) for e in x)}]"
        if isinstance(x, slice):
            return f"slice({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        if x is Ellipsis:
            return "..."
        if x is None or (isinstance(x, str | bool | int) and not isinstance(x, np.generic)):
            return repr(x)
        if isinstance(x, np.dtype) and getattr(np, x.name, None) is x.type:
            return f"np.{x.name}"
        if isinstance(x, np.float64) and not wide:
            return self.constant(x)
        if isinstance(x, float):  # np.float64 too: beside doubles it promotes as a Python float does
            return repr(float(x)) if math.isfinite(x) else f"float('{float(x)}')"
        return self.constant(x)

    def constant(self, x: Any) -> str:
        if id(x) not in self._ids:
            self._ids[id(x)] = name = self._free(f"c{len(self.constants)}")
            self.constants[name] = x
        return self._ids[id(x)]

    def called(self, op: Any) -> str:
        """The function of an operation, by its public name or as a helper."""
        name = _public(op)
        if name is None and op not in self.helpers:
            self.helpers[op] = self._free("".join(c if c.isalnum() else "_" for c in op.name).strip("_") or "op")
        return self.numpy(name) if name else self.helpers[op]

    def numpy(self, name: str) -> str:
        """A function np.… of NumPy as flat code calls it."""
        if not self.direct or name.count(".") > 1:
            return name
        self.imported[name[3:]] = None
        return name[3:]


def _plain_seeds(program: StraightLine) -> set[Any]:
    """Seeds that may stand as Python numbers, grad_L = 1.0: all that uses them promotes them as it does np.float64."""
    seeds = {i.out for i in program.instructions if i.op is SEED and isinstance(i.args[0], np.float64)}
    seeds -= {v for v in program.outputs if isinstance(v, Value)}
    for i in program.instructions if seeds else ():
        others = [x for x in i.args if isinstance(x, Value) and x not in seeds]
        if not (i.op.fn is np.broadcast_to or (i.op.fn in INFIX and others and _wide(i))):
            seeds -= set(i.uses)
    return seeds


def emit(program: StraightLine, scalars: bool = False, direct: bool = False) -> Code:
    """The flat code of a program. scalars: on Python floats with the math module (see `is_scalar`); direct: NumPy's
    functions by their bare names, to run, not to read."""
    namer = Namer(program, (name.removeprefix("math.") for name in MATH.values()) if scalars else (), direct)
    arguments = [namer.names[v] for v in (*program.inputs, *program.workspace)]
    lines = _scalar_body(program, namer) if scalars else _body(program, namer)
    results = [_float(v, namer) for v in program.outputs] if scalars else _results(program, namer)
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


# Functions that run under another name: np.empty_like is to leave zeros, not whatever is in memory.
_OTHERWISE = {np.empty_like: "np.zeros_like"}


def _public(op: Any) -> str | None:
    """np.… of a function of NumPy's, else None."""
    fn = op.fn
    if fn in _OTHERWISE:
        return _OTHERWISE[fn]
    for place, prefix in ((np, "np."), (np.linalg, "np.linalg."), (np.fft, "np.fft.")):
        name = getattr(fn, "__name__", "")
        if getattr(place, name, None) is fn:
            return prefix + name
    return None


def _body(program: StraightLine, namer: Namer) -> list[str]:
    dies = _deaths(program)
    lines = []
    backward = False
    if any(i.backward for i in program.instructions):
        lines.append("# forward")
    for k, instruction in enumerate(program.instructions):
        if instruction.backward and not backward:
            backward = True
            lines.append("# backward")
        lines += _statement(instruction, namer)
        if k in dies:
            lines.append(f"del {', '.join(namer.names[v] for v in dies[k])}")
    return lines


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


_AT = {ADD_AT: "+=", SUBTRACT_AT: "-="}


def _statement(instruction: Instruction, namer: Namer) -> list[str]:
    if instruction.op is GUARD:
        return _guard(instruction, namer)
    if instruction.into is not None:
        target = namer.names[instruction.args[instruction.into]]
        namer.names[instruction.outs[0]] = target
        if instruction.op in _AT:
            a, u, index = instruction.args
            return [f"{namer.text(a)}[{_index(index, namer)}] {_AT[instruction.op]} {namer.text(u)}"]
        return [_in_place(instruction, target, namer)]
    if instruction.op is SCATTERED:
        return _scattered(instruction, namer)
    expression = _expression(instruction, namer)
    names = ", ".join(namer.new(v) for v in instruction.outs)
    lines = [f"{names} = {expression}"]
    if instruction.op is SCATTER and _zeros_first(instruction):
        lines.append(f"{names}[{_index(_behind(instruction), namer)}] = {namer.text(instruction.args[0])}")
        lines += _rest(instruction.outs[0], _behind(instruction), namer)
    return lines


_AUGMENTED = {np.add: "+=", np.subtract: "-=", np.multiply: "*=", np.divide: "/="}


def _in_place(instruction: Instruction, target: str, namer: Namer) -> str:
    """A ufunc in the memory of one of its arguments: t += x, or np.exp(t, out=t)."""
    sign = _AUGMENTED.get(instruction.op.fn, "")
    if sign and instruction.into == 0:
        return f"{target} {sign} {namer.text(instruction.args[1], _wide(instruction))}"
    if sign in ("+=", "*="):
        return f"{target} {sign} {namer.text(instruction.args[0], _wide(instruction))}"
    return f"{namer.called(instruction.op)}({_arguments(instruction, namer)}, out={target})"


def _scattered(instruction: Instruction, namer: Namer) -> list[str]:
    """Zeros, and the result of a ufunc written to a part of them."""
    fn, index = instruction.params["op"], instruction.params["index"]
    arguments = _arguments(replace(instruction, params={}), namer)
    out = instruction.outs[0]
    name = namer.new(out)
    computed = f"{namer.called(OPS[fn])}({arguments}, out={name}[{_index(index, namer)}])"
    return [f"{name} = {_zeros(out, index, namer)}", computed, *_rest(out, index, namer)]


# From this size on it pays to make an array empty and set the few elements to zero that are not written anyway.
EMPTY_BYTES = 1 << 14


def _few_zeros(v: Value, index: Any) -> list[tuple[int | slice, ...]] | None:
    """Where a large array is zero that is written to at an index; None where np.zeros does as well."""
    written = box(index, v.shape) if v.nbytes >= EMPTY_BYTES else None
    return None if written is None else outside(tuple(map(range, v.shape)), written)


def _zeros(v: Value, index: Any, namer: Namer) -> str:
    """An array of zeros, or, where `_rest` sets these, an empty one."""
    made = "np.zeros" if _few_zeros(v, index) is None else "np.empty"
    return f"{namer.numpy(made)}({namer.text(v.shape)}{_dtype(v)})"


def _rest(v: Value, index: Any, namer: Namer) -> list[str]:
    """The statements that set what is left of an empty array to zero."""
    return [f"{namer.names[v]}[{_index(piece, namer)}] = 0" for piece in _few_zeros(v, index) or ()]


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


def _dtype(v: Value) -> str:
    return "" if v.dtype == np.float64 else f", dtype=np.{v.dtype.name}"


def _guard(instruction: Instruction, namer: Namer) -> list[str]:
    value, assumed = instruction.args
    name = namer.text(value)
    if isinstance(assumed, bool | np.bool_):
        condition = f"not {name}" if assumed else name
    elif np.ndim(assumed) == 0:
        condition = f"{name} != {namer.text(assumed.item())}"
    else:
        condition = f"not same({name}, {namer.constant(assumed)})"
    return [f"if {condition}:", "    raise GuardFailed"]


def _wide(instruction: Instruction) -> bool:
    return all(x.dtype.char in "dD?lqi" for x in leaves(instruction.args) if isinstance(x, Value | np.ndarray))


def _arguments(instruction: Instruction, namer: Namer) -> str:
    wide = _wide(instruction) and _public(instruction.op) is not None  # a helper may ask a number for its shape
    args = instruction.args
    if instruction.op.sequence:
        args = (tuple(args),)
    parts = [namer.text(a, wide) for a in args] + [f"{k}={namer.text(v)}" for k, v in instruction.params.items()]
    return ", ".join(parts)


def _expression(instruction: Instruction, namer: Namer) -> str:
    fn, args = instruction.op.fn, instruction.args
    wide = _wide(instruction)
    if instruction.buffer is not None:
        place = namer.workspace[instruction.buffer]
        return f"{namer.called(instruction.op)}({_arguments(instruction, namer)}, out={place})"
    if instruction.op is SEED:
        return namer.text(args[0], instruction.out in namer.plain)
    if instruction.op is ROWS:  # a, b, … = stack
        return namer.text(args[0])
    if fn in (np.matmul, np.dot) and all(isinstance(x, Value | np.ndarray) and 0 < x.ndim < 3 for x in args):
        return f"{namer.text(args[0])}.dot({namer.text(args[1])})"
    if fn in INFIX and not instruction.params and (fn not in _BOOLEAN_INFIX or all(_boolean(x) for x in args)):
        a, b = (_operand(x, namer, wide) for x in args)
        return f"{a} {INFIX[fn]} {b}"
    if fn is np.negative and not instruction.params:
        return f"-{_operand(args[0], namer, wide)}"
    if instruction.op is SCATTER and _zeros_first(instruction):
        return _zeros(instruction.outs[0], _behind(instruction), namer)
    if instruction.op is INDEX:
        return f"{namer.text(args[0])}[{_index(args[1], namer)}]"
    if fn is np.reshape and instruction.params.get("order", "C") == "C" and isinstance(args[0], Value):
        shape = instruction.params.get("shape", args[1] if len(args) > 1 else None)
        return f"{namer.text(args[0])}.reshape({namer.text(shape)})"
    if fn is np.astype and isinstance(args[0], Value):
        return f"{namer.text(args[0])}.astype(np.{np.dtype(instruction.params['dtype']).name})"
    if fn in _AXES and isinstance(args[0], Value):
        return f"{namer.text(args[0])}.transpose({namer.text(_axes(instruction))})"
    if fn in _METHODS and isinstance(args[0], Value):
        return f"{namer.text(args[0])}.{_METHODS[fn]}({_arguments(replace(instruction, args=args[1:]), namer)})"
    if fn is np.sum and isinstance(args[0], Value):
        given = {k: v for k, v in instruction.params.items() if (k, v) not in (("axis", None), ("keepdims", False))}
        return f"{namer.text(args[0])}.sum({', '.join(f'{k}={namer.text(v)}' for k, v in given.items())})"
    return f"{namer.called(instruction.op)}({_arguments(instruction, namer)})"


# Methods do what these functions of NumPy's do, without a layer of Python.
_METHODS = {np.max: "max", np.min: "min", np.any: "any", np.all: "all", np.prod: "prod"}
_AXES = {np.transpose, np.swapaxes, np.moveaxis}


def _axes(instruction: Instruction) -> tuple[int, ...]:
    """The order in which a transpose, swapaxes or moveaxis takes the axes."""
    ndim = instruction.args[0].ndim
    shown = instruction.op.fn(
        np.broadcast_to(0, tuple(range(2, ndim + 2))), *instruction.args[1:], **instruction.params
    )
    return tuple(extent - 2 for extent in shown.shape)


def _boolean(x: Any) -> bool:
    return isinstance(x, Value) and x.dtype.kind == "b"


def _operand(x: Any, namer: Namer, wide: bool) -> str:
    text = namer.text(x, wide)
    return f"({text})" if text.startswith("-") else text


def _index(index: Any, namer: Namer) -> str:
    """An index as one writes it: 1:, ..., None, i."""

    def one(i: Any) -> str:
        if isinstance(i, slice):
            start, stop, step = ("" if e is None else namer.text(e) for e in (i.start, i.stop, i.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return namer.text(i)

    if not isinstance(index, tuple):
        return one(index)
    if len(index) == 1 and not isinstance(index[0], tuple | list):
        return one(index[0])
    return ", ".join(map(one, index)) + ("," if len(index) == 1 else "") if index else "()"


def _results(program: StraightLine, namer: Namer) -> list[str]:
    """The outputs: arrays of the caller's own, never an input, a constant or a workspace array."""
    copied = set(copied_outputs(program))
    return [_result(v, v in copied if isinstance(v, Value) else True, namer) for v in program.outputs]


def _result(v: Any, copied: bool, namer: Namer) -> str:
    if isinstance(v, Value):
        return f"{namer.text(v)}{('.copy()' if v.ndim else '[()]') if copied else ''}"
    return f"{namer.text(v)}.copy()" if isinstance(v, np.ndarray) else f"np.asarray({namer.text(v, False)})[()]"


# ---------------------------------------------------------------------------------------------------
# Scalars as Python floats
# ---------------------------------------------------------------------------------------------------


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
    if fn in _COMPARISONS or fn is np.where:
        return True
    if all(_boolean(x) for x in args):  # Python adds True and True to 2, NumPy to True
        return False
    if fn is np.power:
        return not isinstance(args[1], Value) and math.isfinite(args[1]) and float(args[1]).is_integer()
    return fn in MATH or fn in (np.negative, np.positive, np.square, np.reciprocal) or fn in _ARITHMETIC


_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
_ARITHMETIC = {np.add, np.subtract, np.multiply, np.divide}


def _float(v: Any, namer: Namer) -> str:
    """An output as the scalar that NumPy gives."""
    if not isinstance(v, Value):
        return f"np.asarray({namer.text(v, False)})[()]"
    return f"np.{'float64' if v.dtype.kind == 'f' else 'bool'}({namer.text(v)})"


# Python reaches this many local variables without an extra instruction at each access.
NEAR_LOCALS = 255


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


def _scalar_body(program: StraightLine, namer: Namer) -> list[str]:
    """One line a value; a value that is used once stands in the line that uses it."""
    used = [MATH[i.op.fn] for i in program.instructions if i.op.fn in MATH and MATH[i.op.fn] != "abs"]
    lines = [f"{name[5:]} = {name}" for name in dict.fromkeys(used)]
    uses: dict[Value, int] = {}
    for v in (v for i in program.instructions for v in i.uses):
        uses[v] = uses.get(v, 0) + 1
    for v in (*program.inputs, *program.outputs):  # names that stay
        if isinstance(v, Value):
            uses[v] = uses.get(v, 0) + 2
    registers = Registers(program, namer, uses)
    backward = False
    for instruction in program.instructions:
        if instruction.backward and not backward:
            backward = True
            lines.append("# backward")
        if instruction.op is GUARD:
            lines += _guard(instruction, namer)
            continue
        out, expression = instruction.outs[0], _scalar(instruction, namer)
        read = registers.names_in(instruction.uses)
        if uses.get(out) == 1 and len(expression) < 60:
            namer.names[out] = f"({expression})"
            registers.within[out] = read
        else:
            lines.append(f"{registers.name(out, read)} = {expression}")
    return lines


def _scalar(instruction: Instruction, namer: Namer) -> str:
    fn = instruction.op.fn
    a = [_operand(x if isinstance(x, Value) else float(x), namer, True) for x in instruction.args]
    if instruction.op is SEED:
        return a[0]
    if fn in MATH:
        return f"{MATH[fn].removeprefix('math.')}({', '.join(a)})"
    if fn is np.where:
        return f"{a[1]} if {a[0]} else {a[2]}"
    if fn is np.square:
        return f"{a[0]} * {a[0]}" if a[0].isidentifier() else f"{a[0]} ** 2"
    if fn is np.reciprocal:
        return f"1.0 / {a[0]}"
    if fn is np.power:
        n = int(float(instruction.args[1]))
        return f"{a[0]} * {a[0]}" if n == 2 and a[0].isidentifier() else f"{a[0]} ** {n if n >= 0 else f'({n})'}"
    if fn in (np.negative, np.positive):
        return f"{'-' if fn is np.negative else ''}{a[0]}"
    return f"{a[0]} {INFIX[fn]} {a[1]}"


# ---------------------------------------------------------------------------------------------------
# The listing
# ---------------------------------------------------------------------------------------------------


def listing(program: StraightLine) -> str:
    """One line an instruction: name, dtype and shape, operation."""
    namer = Namer(program)
    head = ", ".join(f"{namer.names[v]}: {v.dtype}{list(v.shape)}" for v in program.inputs)
    rows: list[str | tuple[str, str, str]] = []  # a remark, or a result, its kind and how it is computed
    backward = False
    for instruction in program.instructions:
        if instruction.backward and not backward:
            backward = True
            rows.append("# backward")
        text, *more = _statement(instruction, namer)
        if instruction.op is GUARD:
            rows.append(f"guard {text[3:-1]} is false")
            continue
        kinds = " ".join(f"{v.dtype}{list(v.shape)}" for v in instruction.outs)
        name, _, expression = text.partition(" = ")
        rows.append((name, kinds, f"= {'; '.join([expression, *more])}"))
    table = iter(columns([row for row in rows if not isinstance(row, str)], "<<<"))
    lines = [f"  {row if isinstance(row, str) else next(table)}" for row in rows]
    outputs = ", ".join(namer.text(v) for v in program.outputs)
    return "\n".join([f"{program.name}({head}):", *lines, f"  return {outputs}"])
