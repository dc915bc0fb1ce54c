"""Products of small matrices as kernels compute them: Σₖ a[…, i, k, None] b[…, None, k, j]."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.registry import OPS
from ...ops.index import INDEX
from ..primitives import CONTRACTED
from ..recording import Instruction, Value
from .text import kind_of

# Multiply-adds up to which a product is part of a kernel: BLAS does as well on larger ones.
MOST_PRODUCTS = 1 << 13

PRODUCTS = {np.matmul, np.dot}


def is_small_product(i: Instruction, most: int = MOST_PRODUCTS) -> bool:
    """Whether an instruction is a product of matrices and vectors of few elements, of so many multiply-adds at most."""
    if i.op.fn not in PRODUCTS or i.params or len(i.args) > 2 or i.into is not None or i.buffer is not None:
        return False
    a, b = i.args
    out = i.outs[0]
    if not all(isinstance(x, Value | np.ndarray) for x in (a, b)):
        return False
    kinds = {kind_of(x.dtype) for x in (a, b, out)}
    if len(kinds) > 1 or not kinds <= {"d", "f"} or not a.size or not b.size or not a.ndim or not b.ndim:
        return False
    if i.op.fn is np.dot and max(a.ndim, b.ndim) > 2:
        return False
    return bool(out.size * a.shape[-1] <= most)


def product_as_sum(i: Instruction) -> list[Instruction]:
    """A small product as the sum of the products of elements; any other instruction as it is."""
    if not is_small_product(i):
        return [i]
    a, b = i.args
    out = i.outs[0]
    new: list[Instruction] = []

    def spread(x: Any, index: tuple[Any, ...]) -> Any:
        if isinstance(x, np.ndarray):
            return x[index]
        v = Value(np.empty(x.shape, np.int8)[index].shape, x.dtype)
        new.append(Instruction(INDEX, (x, index), {}, v, i.backward, view=True))
        return v

    axis = -1
    if b.ndim > 1:  # behind the axes of a the one of the columns
        a, axis = spread(a, (..., None)), -2
        if a.ndim > 2:
            b = spread(b, (..., None, slice(None), slice(None)))
    terms = Value(np.broadcast_shapes(a.shape, b.shape), out.dtype)
    new.append(Instruction(OPS[np.multiply], (a, b), {}, terms, i.backward))
    new.append(Instruction(CONTRACTED, (terms,), {"axis": axis % terms.ndim}, out, i.backward))
    return new
