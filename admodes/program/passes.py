"""Passes: small pure functions Program -> Program.  None changes a result beyond rounding; nan, inf and signed zeros
survive (so x + 0 stays: it turns −0.0 into 0.0; x − 0, x · 1, x / 1 go).  Long sums are taken in another order, as BLAS
does: rounding, but for numbers so large that a partial sum overflows in one order alone.  One pass goes further and is
off unless it is asked for: `contraction_order`, since (A B) x may be nan, by ∞·0, where A (B x) is not.

Constants are arrays and numbers that f met while it was traced; values are `Value`s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.registry import OPS, Op
from ..core.types import Shaped
from .algebra import signs, sums_as_products, use_counts
from .einsums import einsums_as_products
from .factorisations import shared_factors
from .identities import row_major, simplified
from .memory import changes_in_place, results_in_place, workspace
from .primitives import ADD_AT
from .program import Program
from .recording import GUARD, NESTED, Instruction, Value, leaves, mapped
from .stacking import early_terms_first, operations_together, sums_of_products
from .unit_seeds import unit_seeds

Pass = Callable[[Program], Program]


def substitute(program: Program, known: dict[Value, Any], kept: Sequence[Instruction]) -> Program:
    """The kept instructions with values replaced, and the outputs too."""

    def new(x: Any) -> Any:
        while isinstance(x, Value) and x in known:
            x = known[x]
        return x

    instructions = [
        replace(i, args=mapped(i.args, new), params=mapped(i.params, new)) if any(v in known for v in i.uses) else i
        for i in kept
    ]
    return program.with_(instructions=tuple(instructions), outputs=tuple(new(v) for v in program.outputs))


def dead_code(program: Program) -> Program:
    """Drop instructions whose results nothing uses; guards stay."""
    needed = {v for v in program.outputs if isinstance(v, Value)}
    kept = []
    for instruction in reversed(program.instructions):
        if instruction.op is GUARD or instruction.into is not None or any(v in needed for v in instruction.outs):
            needed.update(instruction.uses)
            kept.append(instruction)
    return program.with_(instructions=tuple(reversed(kept)))


def common_subexpressions(program: Program) -> Program:
    """Compute equal expressions once."""
    seen: dict[Any, Instruction] = {}
    known: dict[Value, Any] = {}
    kept = []

    def key(x: Any) -> Any:
        if type(x) is Value:
            return id(known.get(x, x))
        if type(x) in NESTED:
            return _frozen(x, key)
        return (type(x), repr(x)) if isinstance(x, _SCALARS) else id(x)

    for instruction in program.instructions:
        params = _frozen(instruction.params, key) if instruction.params else None
        op, args = _squared(instruction)
        signature = (op, params, *[key(x) for x in args])
        earlier = seen.get(signature)
        if earlier is None:
            seen[signature] = instruction
            kept.append(instruction)
        else:
            known.update(zip(instruction.outs, earlier.outs, strict=True))
    return substitute(program, known, kept)


def _squared(instruction: Instruction) -> tuple[Op, tuple[Any, ...]]:
    """What is computed: x·x is the square of x."""
    op, args = instruction.op, instruction.args
    if op.fn is np.multiply and args[0] is args[1] and instruction.outs[0].dtype.kind == "f":
        return OPS[np.square], args[:1]
    return op, args


# Constants that are equal where their texts are (0.0 and −0.0 are not); all others only where they are one object.
_SCALARS = (int, float, complex, str, np.generic, np.dtype, type(None), type(Ellipsis))


def _frozen(tree: Any, key: Callable[[Any], Any]) -> Any:
    """A container as something to look up by."""
    if type(tree) is dict:
        return ("dict", *((k, key(x)) for k, x in sorted(tree.items())))
    return (type(tree), *map(key, leaves(tree) if type(tree) is slice else tree))


def constant_folding(program: Program) -> Program:
    """Evaluate instructions whose arguments are all constants."""
    known: dict[Value, Any] = {}
    kept = []

    def value(x: Any) -> Any:
        return known.get(x, x) if isinstance(x, Value) else x

    for instruction in program.instructions:
        if instruction.op is GUARD or any(v not in known for v in instruction.uses):
            kept.append(instruction)
            continue
        args, params = mapped(instruction.args, value), mapped(instruction.params, value)
        y = instruction.op.evaluate(*args, **params)
        known.update(zip(instruction.outs, map(_dense, y if isinstance(y, tuple) else (y,)), strict=True))
    return substitute(program, known, kept)


def _dense(y: Any) -> Any:
    """A constant without the strides of a broadcast array, which matrix products would copy each time."""
    return np.ascontiguousarray(y) if isinstance(y, np.ndarray) and y.ndim else y


# ---------------------------------------------------------------------------------------------------
# Algebraic identities
# ---------------------------------------------------------------------------------------------------


def scales(program: Program) -> Program:
    """c · (d · x) as (c·d) · x, and −(d · x) as (−d) · x, where nothing else uses d · x.

    Only where c and d are both at least 1 or both at most 1 in size, and c·d is an ordinary number: then what overflows
    or vanishes does so either way.
    """
    uses = use_counts(program)
    made: dict[Value, Instruction] = {}
    body: list[Instruction] = []
    for instruction in program.instructions:
        new = instruction
        source = instruction.args[0] if instruction.op.fn is np.reshape and row_major(instruction) else None
        inner = made.get(source) if isinstance(source, Value) and uses[source] == 1 else None
        scaled = _scale(inner) if inner is not None else None
        if scaled is not None:  # c · x in another shape is c · (x in that shape)
            v = Value(instruction.outs[0].shape, instruction.outs[0].dtype)
            body.append(replace(instruction, args=(scaled[1], *instruction.args[1:]), out=v))
            new = Instruction(OPS[np.multiply], (scaled[0], v), {}, instruction.out, instruction.backward)
        scaled = _scale(new)
        if scaled is not None:
            c, x = scaled
            within = _scale(made[x]) if x in made and uses.get(x) == 1 else None
            if within is not None and _mergeable(c, within[0]) and within[1].dtype == instruction.outs[0].dtype:
                args = (c * within[0], within[1])
                new = Instruction(OPS[np.multiply], args, {}, instruction.out, instruction.backward)
        made.update(dict.fromkeys(new.outs, new))
        body.append(new)
    return program.with_(instructions=tuple(body))


def _scale(instruction: Instruction) -> tuple[float, Value] | None:
    """(c, x) of an instruction c · x."""
    fn, args = instruction.op.fn, instruction.args
    out = instruction.outs[0] if instruction.outs else None
    if out is not None and out.dtype.char in "efd":  # Python's numbers hold no long double
        if fn is np.negative and isinstance(args[0], Value):
            return -1.0, args[0]
        if fn is np.multiply and not instruction.params:
            for c, x in (args, args[::-1]):
                unlike = not isinstance(x, Value) or (x.shape, x.dtype) != (out.shape, out.dtype)
                if type(c) in (int, float) and not unlike:
                    return float(c), x
    return None


def _mergeable(c: float, d: float) -> bool:
    ordinary = np.isfinite(c * d) and abs(c * d) > np.finfo(float).tiny
    return bool(ordinary and ((abs(c) >= 1) == (abs(d) >= 1) or abs(c) == 1 or abs(d) == 1))


def identities(program: Program) -> Program:
    """x · 1, x / 1, x − 0, x ** 1, x ** 0, −(−x), x ** 2 as a square, transposes and reshapes of each other, changes to
    the same shape or dtype, slices of all of an array, arrays that are broadcast before a ufunc does it, and constant
    arrays of one number throughout as that number."""
    known: dict[Value, Any] = {}
    made: dict[Value, Instruction] = {}
    kept = []

    def value(x: Any) -> Any:
        return known.get(x, x) if isinstance(x, Value) else x

    for instruction in program.instructions:
        args = mapped(instruction.args, value) if known else instruction.args
        simpler = simplified(instruction, args, made)
        if isinstance(simpler, Instruction):
            made.update(dict.fromkeys(simpler.outs, simpler))
            kept.append(simpler)
        elif simpler is not None:
            known[instruction.outs[0]] = simpler
        else:
            made.update(dict.fromkeys(instruction.outs, instruction))
            kept.append(instruction)
    return substitute(program, known, kept)


# ---------------------------------------------------------------------------------------------------
# Contraction order
# ---------------------------------------------------------------------------------------------------

_PRODUCTS = {np.matmul, np.dot}


def contraction_order(program: Program) -> Program:
    """Rebracket chains of matrix products, (A B) x as A (B x), where that takes fewer multiply-adds.

    In `REASSOCIATING` alone: where entries are infinite or nan, the order shows in the result.
    """
    for _ in range(len(program.instructions)):
        changed = _rotate_once(program)
        if changed is None:
            break
        program = changed
    return program


def _rotate_once(program: Program) -> Program | None:
    uses = use_counts(program)
    made: dict[Value, int] = {}
    for k, instruction in enumerate(program.instructions):
        if _is_product(instruction):
            for side in (0, 1):
                factor = instruction.args[side]
                inner_at = made.get(factor) if isinstance(factor, Value) else None
                if inner_at is None or uses[factor] != 1:
                    continue
                inner = program.instructions[inner_at]
                pair = _rotated(instruction, inner, side)
                if pair is not None:
                    body = list(program.instructions)
                    body[k : k + 1] = pair
                    del body[inner_at]
                    return program.with_(instructions=tuple(body))
            made[instruction.outs[0]] = k
    return None


def _is_product(instruction: Instruction) -> bool:
    return (
        instruction.op.fn in _PRODUCTS
        and instruction.buffer is None
        and all(isinstance(x, Value | np.ndarray) and 0 < x.ndim < 3 for x in instruction.args)
    )


def _rotated(outer: Instruction, inner: Instruction, side: int) -> list[Instruction] | None:
    """(A B) C as A (B C), or A (B C) as (A B) C; None where it is not defined or not cheaper."""
    a, b, c = (*inner.args, outer.args[1]) if side == 0 else (outer.args[0], *inner.args)
    if b.ndim != 2:
        return None
    before = _madds(inner.args[0], inner.args[1]) + _madds(*outer.args)
    x, y = (b, c) if side == 0 else (a, b)
    mid = Value(x.shape[:-1] + y.shape[1:], np.result_type(x.dtype, y.dtype))
    first = Instruction(inner.op, (x, y), {}, mid, outer.backward)
    args = (a, mid) if side == 0 else (mid, c)
    after = _madds(x, y) + _madds(*args)
    return [first, Instruction(outer.op, args, {}, outer.out, outer.backward)] if after < before else None


def _madds(a: Shaped, b: Shaped) -> int:
    rows = a.shape[0] if a.ndim == 2 else 1
    return int(rows * a.shape[-1] * (b.shape[1] if b.ndim == 2 else 1))


# ---------------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------------

_WITH_NUMBERS = {np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, ADD_AT.fn}


def numbers_as_arrays(program: Program) -> Program:
    """Numbers beside arrays of doubles as arrays without axes, which NumPy takes as they are: converting a Python
    number costs as much as a short ufunc."""
    known: dict[str, np.ndarray] = {}

    def array(x: Any) -> Any:
        exact = type(x) is float or (type(x) is int and abs(x) < 1 << 53)
        return known.setdefault(repr(float(x)), np.array(float(x))) if exact else x

    body = [
        replace(i, args=tuple(map(array, i.args)))
        if i.params.get("op", i.op.fn) in _WITH_NUMBERS and _doubles(i)
        else i
        for i in program.instructions
    ]
    return program.with_(instructions=tuple(body))


def _doubles(instruction: Instruction) -> bool:
    """Whether a number stands beside arrays of doubles."""
    arrays = [x for x in (*instruction.args, *instruction.outs) if isinstance(x, Value | np.ndarray)]
    return instruction.outs[0].ndim > 0 and len(arrays) == 2 and all(x.dtype == np.float64 for x in arrays)


# In the order in which `admodes.compile` applies them.
PASSES: tuple[Pass, ...] = (
    unit_seeds,
    constant_folding,
    einsums_as_products,
    identities,
    constant_folding,
    dead_code,
    identities,
    scales,
    common_subexpressions,
    shared_factors,
    signs,
    sums_as_products,
    dead_code,
    sums_of_products,
    early_terms_first,
    operations_together,
    dead_code,
    changes_in_place,
    dead_code,
    results_in_place,
    workspace,
    numbers_as_arrays,
)


# With contraction_order, before products are told apart from sums.
_BEFORE = PASSES.index(signs)
REASSOCIATING: tuple[Pass, ...] = (*PASSES[:_BEFORE], contraction_order, *PASSES[_BEFORE:])


def optimise(program: Program, passes: Sequence[Pass] = PASSES) -> Program:
    """All passes, one after the other."""
    for one in passes:
        program = one(program)
    return program
