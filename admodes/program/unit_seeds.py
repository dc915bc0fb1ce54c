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
_COMBINING = {np.multiply, np.add, np.subtract}


def unit_seeds(program: P) -> P:
    """Products by diagonal directions as scaled rows."""
    if not any(i.op is SEED and _is_identity(i.args[0]) for i in program.instructions):
        return program
    diagonals: dict[Value, Any] = {}  # the numbers on the diagonal of a value, as a vector or one for all
    kept: list[Instruction] = []
    for i in program.instructions:
        if i.op is SEED and _is_identity(i.args[0]):
            diagonals[i.outs[0]] = 1.0
        elif i.op.fn in _COMBINING and not i.params:
            pair = _on_diagonals(i, diagonals)
            combined = None if pair is None else _combined(kept, i, *pair)
            if combined is not None:
                diagonals[i.outs[0]] = combined
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


def _on_diagonals(i: Instruction, diagonals: dict[Value, Any]) -> tuple[Any, Any] | None:
    """The operands of an operation on diagonal matrices, as numbers on diagonals."""
    a, b = (diagonals.get(x) if isinstance(x, Value) else None for x in i.args)
    if i.op.fn is not np.multiply:
        return None if a is None or b is None else (a, b)
    for d, unit, other in ((i.args[0], i.args[1], b), (i.args[1], i.args[0], a)):
        if other is not None and (_is_number(d) or (isinstance(d, Value | np.ndarray) and d.shape == unit.shape[1:])):
            return d, other
    return None


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) or (isinstance(x, Value | np.ndarray) and x.shape == ())


def _is_scaling(i: Instruction, diagonals: dict[Value, Any]) -> bool:
    """Whether a product is of a diagonal matrix and one of the dtype of the result, which it keeps."""
    a, b = i.args
    known = isinstance(a, Value) and a in diagonals and isinstance(b, Value | np.ndarray)
    return bool(known and b.ndim == 2 and b.dtype == i.outs[0].dtype)


def _combined(kept: list[Instruction], i: Instruction, a: Any, b: Any) -> Any:
    """What an operation makes of the numbers on two diagonals; None where they would be of less precision there."""
    if i.op.fn is np.multiply and type(b) is float and b == 1:
        return a
    if np.result_type(*(x.dtype if isinstance(x, Value) else x for x in (a, b))) != i.outs[0].dtype:
        return None
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
