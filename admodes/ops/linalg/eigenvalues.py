"""Eigenvalues and eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core.dispatch import primitive
from ...core.domain import A, case, positive_definite
from ...core.registry import Composite, Passive, Via, add
from .pieces import DEFINITE, H, cube, diagonal, from_triangle, over, real_part, rounding


def _tied(w: Any) -> Any:
    """Which eigenvalues are equal up to rounding: (..., n, n), the diagonal included."""
    return np.abs(w[..., None, :] - w[..., :, None]) <= rounding(w)[..., None]


tied = primitive(add(Passive(_tied, name="tied", arrays=1)))


def shared(d: Any, tie: Any) -> Any:
    """The mean of d over each set of tied elements."""
    share = tie.astype(d.dtype)
    return (share / np.sum(share, axis=-1, keepdims=True) @ d[..., None])[..., 0]


def over_gaps(c: Any, w: Any, tie: Any) -> Any:
    """c_ij / (w_j − w_i) off the diagonal, 0 on it."""
    eye = np.eye(w.shape[-1], dtype=bool)
    gap = w[..., None, :] - w[..., :, None]
    return over(np.where(eye, 0, c), np.where(eye, 1, gap), np.logical_and(tie, ~eye))


def several_tied(tie: Any) -> Any:
    """Which elements are tied to another."""
    return np.sum(tie, axis=-1) > 1


def known(dq: Any, q: Any, d: Any, undetermined: Any) -> Any:
    """dq, with nan in the columns of q that a tie leaves undetermined, unless nothing moves, d, diag C, included."""
    k = d.shape[-1]
    moved = np.sum(d * np.sqrt(np.arange(2, k + 2)).astype(d.dtype), axis=-1, keepdims=True)
    moved = over(np.where(undetermined, moved, 0), 1, undetermined)
    return over(dq + q * moved[..., None, :], 1, undetermined[..., None, :])


class Spectral(Via):
    """A function that gives eigenvalues, or singular values, and vectors.

    Where vectors are used too, tied values may stand beside theirs, as in V diag(w) Vᴴ, and at w = 0 no cotangent of
    the vectors tells: the cotangent of the values becomes nan at a tie.
    """

    def __init__(self, fn: Any, pushes: Any, undetermined: Any, **row: Any) -> None:
        super().__init__(fn, pushes, **row)
        self.undetermined = undetermined

    def checked(self, u: list[Any], y: Any) -> list[Any]:
        i = 1 if len(y) == 3 else 0
        alone = u[i] is None or sum(part is not None for part in u) == 1
        return u if alone else [*u[:i], over(u[i], 1, self.undetermined(y)), *u[i + 1 :]]


# eigh:  A = V diag(w) Vᴴ, C = Vᴴ dA V  →  dw = diag C,  dV = V Ω + V diag(iβ),  Ω_ij = C_ij / (w_j − w_i);
# LAPACK's first row of V (the last, from the upper triangle) is real, which gives β


def _eigh_push(t: Any, y: Any, a: Any, UPLO: str = "L") -> Any:
    w, v = y
    tie = tied(w)
    c = H(v) @ from_triangle(t, UPLO) @ v
    dv = v @ over_gaps(c, w, tie)
    if v.dtype.kind == "c" and v.shape[-1]:
        dv = dv + v * phase(v, dv, 0 if UPLO.upper() == "L" else -1)
    d = real_part(diagonal(c))
    return shared(d, tie), known(dv, v, d, several_tied(tie))


def phase(q: Any, dq: Any, row: int) -> Any:
    """iβ for which (dq + iβ q) is real in this row; 0 where that element of q is rounding, or not real."""
    q, dq = q[..., row, :], dq[..., row, :]
    fixed = has_phase(q)
    beta = -np.where(fixed, np.imag(dq) / np.where(fixed, np.real(q), 1), 0)
    return 1j * beta[..., None, :]


def _has_phase(q: Any) -> Any:
    eps = np.finfo(q.dtype).eps
    return (np.abs(q.real) > eps**0.5) & (np.abs(q.imag) <= 64 * eps)


has_phase = primitive(add(Passive(_has_phase, name="has_phase", arrays=1)))


# eig:  A V = V diag(w), C = V⁻¹ dA V  →  dw = diag C,  dV = V Ω + V diag(γ), Ω as above; LAPACK's columns have
# length 1, which gives Re γ, and their largest element real, which gives Im γ


def _eig_push(t: Any, y: Any, a: Any) -> Any:
    w, v = y
    tie = tied_in_basis(w, v)
    c = np.linalg.solve(v, np.eye(w.shape[-1], dtype=v.dtype)) @ t @ v
    turn = v @ over_gaps(c, w, tie)
    scale = -np.sum(real_part(np.conjugate(v) * turn), axis=-2, keepdims=True)
    if v.dtype.kind == "c":
        real = real_component(v)
        imaginary = np.sum(real * np.imag(turn), axis=-2, keepdims=True)
        scale = scale - 1j * (imaginary / np.sum(real * np.real(v), axis=-2, keepdims=True))
    d = diagonal(c)
    return shared(d, tie), known(turn + v * scale, v, d, several_tied(tie))


def _tied_in_basis(w: Any, v: Any) -> Any:
    """`_tied` for eigenvectors v, whose condition magnifies the rounding; a defective matrix raises."""
    condition = np.linalg.cond(v) if v.size else np.ones(w.shape[:-1])
    if np.any(condition > np.finfo(v.dtype).eps ** -0.5):
        raise LinAlgError(
            f"np.linalg.eig: the eigenvectors are linearly dependent or nearly so (condition {np.max(condition):.1e}); "
            "the eigenvalues and eigenvectors of a defective matrix have no derivative."
        )
    return np.abs(w[..., None, :] - w[..., :, None]) <= (rounding(w) * condition[..., None])[..., None]


def _real_component(v: Any) -> Any:
    """1 at the element of each column that LAPACK has made real, 0 elsewhere."""
    size = np.where(v.imag == 0, np.abs(v), -1)
    return (np.arange(v.shape[-2])[:, None] == np.argmax(size, axis=-2, keepdims=True)).astype(v.real.dtype)


tied_in_basis = primitive(add(Passive(_tied_in_basis, name="tied_in_basis", arrays=2)))
real_component = primitive(add(Passive(_real_component, name="real_component", arrays=1)))


class _Eig(Spectral):
    """np.linalg.eig, whose result for a real matrix is real or complex by the values."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        y = trace.process(self, args, params)
        if args[0].dtype.kind != "c":
            bool(np.any(np.imag(y[0]) != 0))  # a program under recording holds for this kind of result alone
        return y


# fmt: off
add(Spectral(np.linalg.eigh, [_eigh_push], lambda y: several_tied(tied(y[0])),
    flops=lambda y, a, **_: 9 * cube(a),
    domain=[*DEFINITE, case(A(3, 3, within=positive_definite), UPLO="U")]))
add(_Eig(np.linalg.eig, [_eig_push], lambda y: several_tied(tied_in_basis(*y)),
    flops=lambda y, a: 25 * cube(a), domain=DEFINITE))
add(Composite(np.linalg.eigvalsh, lambda a, UPLO="L": np.linalg.eigh(a, UPLO)[0], domain=DEFINITE))
add(Composite(np.linalg.eigvals,  lambda a: np.linalg.eig(a)[0], domain=DEFINITE))
# fmt: on
