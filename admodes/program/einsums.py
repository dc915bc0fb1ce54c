"""Contractions by np.einsum as matrix products, which BLAS carries out; as written they are loops over all indices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..core.contract import contraction, split_subscripts
from ..core.registry import OPS, Contraction
from .program import Program, record
from .recording import Instruction, Value


def einsums_as_products(program: Program) -> Program:
    """Two operands, each index once in each, with indices of the first alone, of the second alone, and of both summed:
    a batch of matrix products, the axes in their order."""
    body: list[Instruction] = []
    for i in program.instructions:
        body += _products(i) if i.op is OPS[np.einsum] and not i.params else [i]
    return program.with_(instructions=tuple(body))


def _products(i: Instruction) -> list[Instruction]:
    operands = i.args[1:]
    if (
        not isinstance(i.op, Contraction)
        or len(operands) != 2
        or not all(isinstance(x, Value | np.ndarray) and x.dtype.char in "fdFD" for x in operands)
    ):
        return [i]
    sets = split_subscripts(i.op.subscripts(*i.args))
    (a, b), out = sets.inputs, sets.output
    repeated = any(len(set(s)) < len(s) for s in (a, b, out))
    left, right = set(a) & set(out) - set(b), set(b) & set(out) - set(a)
    if repeated or not left or not right or not set(a) & set(b) - set(out):
        return [i]
    made = record(contraction(sets), tuple(np.zeros(x.shape, x.dtype) for x in operands), {})
    known: dict[Any, Any] = dict(zip(made.inputs, operands, strict=True))
    if not made.instructions or made.outputs[0] is not made.instructions[-1].out:
        return [i]
    found = [
        replace(j, args=tuple(known.get(x, x) if isinstance(x, Value) else x for x in j.args), backward=i.backward)
        for j in made.instructions
    ]
    return [*found[:-1], replace(found[-1], out=i.out)]
