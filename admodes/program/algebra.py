"""Algebra on elementwise runs: signs and factors move until they meet, and sums over one axis become products.

All rules are exact in floating point, for nan, infinities and signed zeros too, but for the order in which terms are
added.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.registry import OPS, Op
from .program import Program
from .recording import Instruction, Value, leaves

# ---------------------------------------------------------------------------------------------------
# Signs
# ---------------------------------------------------------------------------------------------------


def signs(program: Program) -> Program:
    """Minus signs move outwards, (−a)·b = −(a·b), (−a)/b = −(a/b), until a sum takes them up: x + (−a) = x − a.

    Only signs of arrays that nothing else uses.  (−a) − b = −(a + b) does not hold for zeros.
    """
    uses = use_counts(program)
    plain: dict[Value, Any] = {}  # −a -> a
    body: list[Instruction] = []
    for instruction in program.instructions:
        new = _without_sign(instruction, plain)
        body += new
        last = new[-1]
        if last.op.fn is np.negative and _floating(last) and uses.get(last.outs[0]) == 1:
            plain[last.outs[0]] = last.args[0]
    return program.with_(instructions=tuple(body))


def _without_sign(instruction: Instruction, plain: dict[Value, Any]) -> list[Instruction]:
    """The instruction without minus signs before its arguments, and one behind it where that is needed."""
    fn, args, out = instruction.op.fn, instruction.args, instruction.out
    if isinstance(out, tuple) or not any(isinstance(x, Value) and x in plain for x in args):
        return [instruction]
    inner = tuple(plain.get(x, x) if isinstance(x, Value) else x for x in args)
    signed = [a is not b for a, b in zip(inner, args, strict=True)]
    if fn is np.negative:
        return [instruction]  # −(−x) is the matter of `identities`
    if fn in (np.add, np.subtract) and not instruction.params:
        if signed[1]:
            other = np.subtract if fn is np.add else np.add
            return [_ufunc(instruction, other, (args[0], inner[1]))]
        return [_ufunc(instruction, np.subtract, (args[1], inner[0]))] if fn is np.add else [instruction]
    if fn in (np.multiply, np.divide) and not instruction.params and _floating(instruction):
        if all(signed):
            return [replace(instruction, args=inner)]
        return _negated(instruction, inner) if args[signed.index(True)].shape == out.shape else [instruction]
    if fn is np.reshape and instruction.params.get("order", "C") == "C":
        return _negated(instruction, inner)
    return [instruction]


def _floating(instruction: Instruction) -> bool:
    return not isinstance(instruction.out, tuple) and instruction.out.dtype.kind == "f"


def _ufunc(instruction: Instruction, fn: Any, args: tuple[Any, ...]) -> Instruction:
    return Instruction(OPS[fn], args, {}, instruction.out, instruction.backward)


def _negated(instruction: Instruction, args: tuple[Any, ...]) -> list[Instruction]:
    """The instruction on other arguments, and its negative under its name."""
    v = Value(instruction.outs[0].shape, instruction.outs[0].dtype)
    return [replace(instruction, args=args, out=v), _ufunc(instruction, np.negative, (v,))]


def use_counts(program: Program) -> dict[Value, int]:
    """How often values are read; the caller counts twice, for what it gets must be there in the end."""
    counts: dict[Value, int] = {}
    for instruction in program.instructions:
        for v in instruction.uses:
            counts[v] = counts.get(v, 0) + 1
    for v in program.outputs:
        if isinstance(v, Value):
            counts[v] = counts.get(v, 0) + 2
    return counts


# ---------------------------------------------------------------------------------------------------
# Sums over one axis
# ---------------------------------------------------------------------------------------------------

# Rows up to this length are summed as fast by a matrix product; longer ones faster by np.sum, which sums them pairwise.
SHORT = 64

# Sums of fewer numbers stay as they are.
WORTH = 256

# A product with ones; unlike matmul's its flops are those of the sum.
SUM_BY_PRODUCT = Op(operator.matmul, name="sum_by_product", arrays=2, flops=lambda y, a, b: max(a.size, b.size))


def sums_as_products(program: Program) -> Program:
    """Sums over the last axis, where it is short, and over the one before it, as products with ones: A·1 and 1ᵀA.

    np.sum goes through short rows one by one.  Both give 0.0 for a sum of −0.0 alone.  A sum of −a is a product of a
    with −1: the sum of a with a minus sign would have other zeros.
    """
    ones: dict[Any, np.ndarray] = {}
    uses = use_counts(program)
    minus = {i.outs[0]: i.args[0] for i in program.instructions if i.op.fn is np.negative and uses.get(i.outs[0]) == 1}
    body = [_as_product(i, ones, minus) if i.op.fn is np.sum else i for i in program.instructions]
    return program.with_(instructions=tuple(body))


def _as_product(i: Instruction, ones: dict[Any, np.ndarray], minus: dict[Value, Any]) -> Instruction:
    x = i.args[0]
    axes = leaves(i.params.get("axis", i.args[1] if len(i.args) > 1 else None))
    other = {k: v for k, v in i.params.items() if k != "axis" and not (k == "keepdims" and v is False)}
    if other or len(i.args) > 2 or len(axes) != 1 or axes[0] is None or not isinstance(x, Value) or x.ndim < 2:
        return i
    axis, (n, m) = axes[0] % x.ndim, x.shape[-2:]
    if x.dtype.char not in "fd" or x.size < WORTH or i.outs[0].dtype != x.dtype:
        return i
    last = axis == x.ndim - 1
    if not (m <= SHORT <= n if last else axis == x.ndim - 2 and 1 < n <= SHORT**2 and m > 1):
        return i
    sign = -1.0 if x in minus else 1.0
    vector = ones.setdefault((m if last else n, x.dtype, sign), np.full(m if last else n, sign, x.dtype))
    x = minus.get(x, x)
    args = (x, vector) if last else (vector, x)
    return Instruction(SUM_BY_PRODUCT, args, {}, i.out, i.backward)
