"""What several equations with one matrix share: its factors, P A = L U, from which solve, inv, det and slogdet follow.

The factors stand as one array, L and U in its first rows, transposed so that LAPACK finds them in its own order, and
the places of the pivots in the last.

Source: Anderson et al., "LAPACK Users' Guide" (3rd ed., 1999), section 2.4.1, getrf, getrs and getri; NumPy's own
solve is the first two, and its errors are those of a zero pivot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..core.registry import Op
from .program import Program
from .recording import Instruction, Value

# How many columns LAPACK takes at once: its workspace has so many vectors.
BLOCK = 64


@cache
def _lapack(name: str, dtype: np.dtype[Any]) -> Callable[..., Any]:
    from scipy.linalg import get_lapack_funcs

    found: Callable[..., Any] = get_lapack_funcs(name, dtype=dtype)
    return found


def factors(a: Any) -> Any:
    """The factors of a square matrix; zero pivots are left to those who divide by them."""
    n = len(a)
    f = np.empty((n + 1, n), a.dtype)
    lu = f[:n].T
    lu[...] = a
    f[n] = _lapack("getrf", a.dtype)(lu, overwrite_a=True)[1]
    return f


def _parts(f: Any) -> tuple[Any, Any]:
    n = f.shape[1]
    return f[:n].T, f[n].real.astype(np.intc)


def _regular(f: Any) -> None:
    if not f[:-1].diagonal().all():
        raise LinAlgError("Singular matrix")


def solution(f: Any, b: Any, transposed: bool) -> Any:
    """A⁻¹ b, or A⁻ᵀ b."""
    _regular(f)
    lu, places = _parts(f)

    def solved(b: Any) -> Any:
        return _lapack("getrs", f.dtype)(lu, places, b, trans=int(transposed))[0]

    if b.ndim < 2 or b.shape[1] <= BLOCK:
        return np.ascontiguousarray(solved(b))
    x = np.empty(b.shape, b.dtype)  # LAPACK's order is another: a few columns at a time are copied, and not all
    for at in range(0, b.shape[1], BLOCK):
        x[:, at : at + BLOCK] = solved(b[:, at : at + BLOCK])
    return x


def inverse(f: Any) -> Any:
    """A⁻¹."""
    _regular(f)
    x = _lapack("getri", f.dtype)(*_parts(f), lwork=BLOCK * f.shape[1])[0]
    return np.ascontiguousarray(x)


def sign_and_logarithm(f: Any) -> tuple[Any, Any]:
    """The sign of det A, and log |det A|."""
    pivots, places = f[:-1].diagonal(), f[-1].real
    sizes = np.abs(pivots)
    swaps = np.count_nonzero(places != np.arange(len(places)))
    if not sizes.all():
        return f.dtype.type(0), sizes.dtype.type(-np.inf)
    return f.dtype.type(np.prod(pivots / sizes) * (-1) ** swaps), np.sum(np.log(sizes))


def determinant(f: Any) -> Any:
    sign, logarithm = sign_and_logarithm(f)
    return sign * np.exp(logarithm)


FACTORS = Op(factors, name="factors", flops=lambda y, a: 2 / 3 * a.shape[0] ** 3)
SOLUTION = Op(solution, name="solution", arrays=2, flops=lambda y, f, b, transposed: 2 * y.size * f.shape[1])
INVERSE = Op(inverse, name="inverse", flops=lambda y, f: 4 / 3 * f.shape[1] ** 3)
SIGN_AND_LOGARITHM = Op(sign_and_logarithm, name="sign_and_logarithm", flops=lambda y, f: 2 * f.shape[1])
DETERMINANT = Op(determinant, name="determinant", flops=lambda y, f: 2 * f.shape[1])

# What each takes the time of, for the same number of flops.
LIKE = {
    FACTORS: np.linalg.det, SOLUTION: np.linalg.det, INVERSE: np.linalg.inv, SIGN_AND_LOGARITHM: np.linalg.det,
    DETERMINANT: np.linalg.det,
}  # fmt: skip

_BY_FACTORS = {np.linalg.inv: INVERSE, np.linalg.slogdet: SIGN_AND_LOGARITHM, np.linalg.det: DETERMINANT}
_TRANSPOSES = {np.transpose, np.swapaxes, np.matrix_transpose}


def shared_factors(program: Program) -> Program:
    """solve, inv, det and slogdet of one matrix, or its transpose, by the same factors, where there are several."""
    made = {v: i for i in program.instructions for v in i.outs}
    users: dict[Value, int] = {}
    for i in program.instructions:
        a, _ = _matrix(i, made)
        if a is not None:
            users[a] = users.get(a, 0) + 1
    known: dict[Value, Value] = {}
    body: list[Instruction] = []
    for i in program.instructions:
        a, transposed = _matrix(i, made)
        if a is None or users[a] < 2:
            body.append(i)
            continue
        if a not in known:
            known[a] = Value((a.shape[0] + 1, a.shape[0]), a.dtype)
            body.append(Instruction(FACTORS, (a,), {}, known[a], i.backward))
        if i.op.fn is np.linalg.solve:
            body.append(replace(i, op=SOLUTION, args=(known[a], i.args[1], transposed)))
        else:
            body.append(replace(i, op=_BY_FACTORS[i.op.fn], args=(known[a],)))
    return program.with_(instructions=tuple(body))


def _matrix(i: Instruction, made: dict[Value, Instruction]) -> tuple[Value | None, bool]:
    """The one matrix that an instruction factorises, and whether it takes its transpose; None for others."""
    if i.params or i.buffer is not None or not (i.op.fn is np.linalg.solve or i.op.fn in _BY_FACTORS):
        return None, False
    a = i.args[0]
    if not isinstance(a, Value) or a.ndim != 2 or not a.size or a.dtype.char not in "fdFD":
        return None, False
    if i.op.fn is not np.linalg.solve:
        return a, False
    b = i.args[1]
    if not isinstance(b, Value | np.ndarray) or b.ndim > 2 or b.dtype != a.dtype or not b.size:
        return None, False
    source = made.get(a)
    if source is not None and source.op.fn in _TRANSPOSES and isinstance(source.args[0], Value):
        turned = source.op.fn(np.broadcast_to(0, (2, 3)), *source.args[1:], **source.params)
        if turned.shape == (3, 2) and source.args[0].ndim == 2:
            return source.args[0], True
    return a, False
