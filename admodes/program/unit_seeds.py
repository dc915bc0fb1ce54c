"""The first products of a whole Jacobian: its directions are the rows of the identity, and stay a diagonal matrix until
something mixes them.  I B is B, and with D = diag(d) the product D B is the rows of B scaled.

What is left out are products by the zeros of directions, which are nothing whatever the other factor is (see
`core.zeros`).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ..core.registry import OPS
from ..ops.index import INDEX
from .recording import SEED, Instruction, Value
from .straightline import StraightLine

P = TypeVar("P", bound=StraightLine)

_PRODUCTS = {np.matmul, np.dot}


def unit_seeds(program: P) -> P:
    """Products by diagonal directions as scaled rows."""
    if not any(i.op is SEED and _is_identity(i.args[0]) for i in program.instructions):
        return program
    diagonals: dict[Value, Any] = {}  # the numbers on the diagonal of a value, as a vector or one for all
    kept: list[Instruction] = []
    for i in program.instructions:
        if i.op is SEED and _is_identity(i.args[0]):
            diagonals[i.outs[0]] = 1.0
        elif i.op.fn is np.multiply and not i.params:
            for d, unit in (i.args, i.args[::-1]):
                if (
                    isinstance(unit, Value)
                    and unit in diagonals
                    and _is_scale(d, unit)
                    and i.outs[0].shape == unit.shape
                ):
                    diagonals[i.outs[0]] = _combined(kept, i, d, diagonals[unit])
                    break
        elif i.op.fn in (np.add, np.subtract) and all(isinstance(x, Value) and x in diagonals for x in i.args):
            diagonals[i.outs[0]] = _combined(kept, i, *(diagonals[x] for x in i.args))
        elif i.op.fn in _PRODUCTS and not i.params and _is_scaling(i, diagonals):
            kept += _scaled(i, diagonals[i.args[0]])
            continue
        kept.append(i)
    return program.with_(instructions=tuple(kept))


def _is_identity(x: Any) -> bool:
    return (
        isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[0] == x.shape[1] > 1 and x.dtype.kind == "f"
        and np.count_nonzero(x) == len(x) and bool((x.diagonal() == 1).all())
    )  # fmt: skip


def _is_scale(d: Any, unit: Value) -> bool:
    """Whether what a diagonal matrix is multiplied by, element by element, scales its columns."""
    return isinstance(d, int | float) or (isinstance(d, Value | np.ndarray) and d.shape in ((), unit.shape[1:]))


def _is_scaling(i: Instruction, diagonals: dict[Value, Any]) -> bool:
    a, b = i.args
    return isinstance(a, Value) and a in diagonals and isinstance(b, Value | np.ndarray) and b.ndim == 2


def _combined(kept: list[Instruction], i: Instruction, a: Any, b: Any) -> Any:
    """What an operation makes of the numbers on two diagonals."""
    if i.op.fn is np.multiply and isinstance(b, float) and b == 1:
        return a
    both = Value(np.broadcast_shapes(np.shape(a), np.shape(b)), i.outs[0].dtype)
    kept.append(Instruction(i.op, (a, b), {}, both, i.backward))
    return both


def _scaled(i: Instruction, d: Any) -> list[Instruction]:
    """diag(d) B."""
    rows: list[Instruction] = []
    if np.ndim(d):
        column = Value((*d.shape, 1), d.dtype)
        rows.append(Instruction(INDEX, (d, (slice(None), None)), {}, column, i.backward, view=True))
        d = column
    return [*rows, Instruction(OPS[np.multiply], (d, i.args[1]), {}, i.outs[0], i.backward)]
