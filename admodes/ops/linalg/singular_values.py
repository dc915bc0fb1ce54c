"""Singular values and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.dispatch import primitive
from ...core.domain import A, case
from ...core.registry import Passive, Via, add, size_of
from .eigenvalues import Spectral, known, over_gaps, phase, several_tied, shared, tied
from .pieces import TALL_AND_WIDE, H, diagonal, over, real_part, rounding, svd_flops

# A = U diag(s) Vᴴ, C = Uᴴ dA V  →  ds = Re diag C, and with dU = U Ω + …, dV = V Ψ + …:
# C = Ω S + dS − S Ψ, so that  (Ω + Ψ)_ij = (C + Cᴴ)_ij / (s_j − s_i)  and  (Ω − Ψ)_ij = (C − Cᴴ)_ij / (s_i + s_j).
# For complex A both have diag(iβ) besides: LAPACK's first row of V (of U, for m < n) is real.
# Across the columns: dU has (I − U Uᴴ) dA V S⁻¹ besides, dV has (I − V Vᴴ) dAᴴ U S⁻¹.


def _vanishing(s: Any) -> Any:
    """Which singular values are rounding."""
    return s <= rounding(s)


vanishing = primitive(add(Passive(_vanishing, name="vanishing", arrays=1)))


def _values_push(c: Any, tie: Any, null: Any) -> Any:
    return shared(real_part(diagonal(c)), tie) * np.logical_not(null)


def _svd_push(t: Any, y: Any, a: Any, full_matrices: bool = True) -> Any:
    u, s, v = y[0], y[1], H(y[2])
    k = s.shape[-1]
    av, au = t @ v[..., :k], H(t) @ u[..., :k]
    c, tie, null = H(u[..., :k]) @ av, tied(s), vanishing(s)
    both = np.logical_and(null[..., None, :], null[..., :, None])
    total = np.where(both, 1, s[..., None, :] + s[..., :, None])
    if c.dtype.kind != "c":  # the diagonal of C − Cᴴ is zero
        both = np.logical_and(both, ~np.eye(k, dtype=bool))
    plus, minus = over_gaps(c + H(c), s, tie), over(c - H(c), total, both)
    du, dv = _turned(u, (plus + minus) / 2, av, s, null), _turned(v, (plus - minus) / 2, au, s, null)
    if c.dtype.kind == "c" and k:
        q, dq = (v, dv) if v.shape[-2] <= u.shape[-2] else (u, du)
        turn = phase(q[..., :k], dq[..., :k], 0)
        du, dv = _add_to_columns(du, u[..., :k] * turn), _add_to_columns(dv, v[..., :k] * turn)
    d = real_part(diagonal(c))
    du, dv = known(du, u, d, _undetermined(u, tie, null)), known(dv, v, d, _undetermined(v, tie, null))
    return du, _values_push(c, tie, null), H(dv)


def _turned(q: Any, omega: Any, z: Any, s: Any, null: Any) -> Any:
    """The tangent of the columns q: q₁ Ω and, across them, z / s; extra columns q₂ turn with q₁ alone."""
    m, k = z.shape[-2:]
    q1, q2 = q[..., :k], q[..., k:]
    dq, null = q1 @ omega, null[..., None, :]
    if m == k:
        return dq
    z = over(z, s[..., None, :], null)
    if q.shape[-1] == k:
        return dq + z - q1 @ (H(q1) @ z)
    across = H(q2) @ z
    return np.concatenate([dq + q2 @ across, -(q1 @ H(across))], axis=-1)


def _undetermined(q: Any, tie: Any, null: Any) -> Any:
    """Which columns of q a tie, or a singular value of zero, leaves undetermined; the latter the extra ones too."""
    columns, k = q.shape[-1], null.shape[-1]
    several = np.logical_or(several_tied(tie), null)
    if columns == k:
        return several
    rest = np.broadcast_to(np.any(null, axis=-1, keepdims=True), (*null.shape[:-1], columns - k))
    return np.concatenate([several, rest], axis=-1)


def _add_to_columns(dq: Any, turn: Any) -> Any:
    """turn added to the first columns of dq."""
    k = turn.shape[-1]
    return dq + turn if dq.shape[-1] == k else np.concatenate([dq[..., :k] + turn, dq[..., k:]], axis=-1)


def _svdvals_push(t: Any, y: Any, a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return _values_push(H(u) @ t @ H(vh), tied(s), vanishing(s))


def _hermitian_svd(a: Any) -> Any:
    """The svd of a Hermitian matrix by its eigenvalues: U, |w| descending, (U sign w)ᴴ."""
    w, u = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w, u = np.take_along_axis(w, order, axis=-1), np.take_along_axis(u, order[..., None, :], axis=-1)
    return _SVD_RESULT(u, np.abs(w), H(u * np.copysign(1.0, w).astype(w.dtype)[..., None, :]))


_SVD_RESULT = type(np.linalg.svd(np.eye(1)))


class _SVD(Spectral):
    """np.linalg.svd, thin or full; by np.linalg.svdvals without vectors, by np.linalg.eigh where hermitian=True."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if params.get("hermitian"):
            y = _hermitian_svd(args[0])
            return y if params.get("compute_uv", True) else y[1]
        if not params.get("compute_uv", True):
            return np.linalg.svdvals(args[0])
        return trace.process(self, args, {"full_matrices": bool(params.get("full_matrices", True))})


# fmt: off
add(_SVD(np.linalg.svd, [_svd_push], lambda y: np.logical_or(several_tied(tied(y[1])), vanishing(y[1])),
    params=["full_matrices", "compute_uv", "hermitian"],
    flops=lambda y, a, full_matrices=True: svd_flops(a, full_matrices),
    domain=[case(a, full_matrices=False) for a in (A(3, 3), A(4, 2), A(2, 3), A(2, 3, 2))]))
add(Via(np.linalg.svdvals, [_svdvals_push],
    flops=lambda y, a: 4 * np.size(a) * min(a.shape[-2:]) - 4 / 3 * size_of(y) * min(a.shape[-2:]) ** 2,
    domain=TALL_AND_WIDE))
# fmt: on
