"""Factorisations: Cholesky and QR."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core.directions import cast
from ...core.dispatch import primitive
from ...core.domain import A, case
from ...core.registry import Passive, Via, add
from .pieces import DEFINITE, TALL_AND_WIDE, H, T, cube, from_triangle

# cholesky:  A = L Lᴴ, X = L⁻¹  →  dL = L Φ(X dA Xᴴ), Φ the lower triangle with half the diagonal;
# G = Xᵀ Φ(Lᵀ L̄) conj(X), Ā = Φ(G + Gᴴ)


def _half(n: int, dtype: Any) -> Any:
    """Φ as weights of the elements."""
    return np.tri(n, dtype=dtype) - np.eye(n, dtype=dtype) / 2


def _cholesky_push(t: Any, y: Any, a: Any, upper: bool = False) -> Any:
    low = H(y) if upper else y
    x = np.linalg.inv(low)
    dl = low @ (_half(y.shape[-1], y.dtype) * (x @ from_triangle(t, "U" if upper else "L") @ H(x)))
    return H(dl) if upper else dl


def _cholesky_pull(u: Any, y: Any, a: Any, upper: bool = False) -> Any:
    low, u, half = H(y) if upper else y, H(u) if upper else u, _half(y.shape[-1], y.dtype)
    x = np.linalg.inv(low)
    g = T(x) @ (half * (T(low) @ u)) @ T(H(x))
    return cast((g + H(g)) * (half.T if upper else half), a.dtype)


# qr, A₁ and R₁ the first k = min(m, n) columns:  Ω = Qᴴ dQ is skew-Hermitian, and C = Qᴴ dA₁ R₁⁻¹ = Ω + (upper
# triangular with real diagonal)  →  dR = Qᴴ dA − Ω R,  dQ = (dA₁ − Q dR₁) R₁⁻¹


def _qr_push(t: Any, y: Any, a: Any) -> Any:
    q, r = y
    k = q.shape[-1]
    if np.any(dependent(r)):
        raise LinAlgError(
            f"np.linalg.qr: the first {k} columns of the matrix are linearly dependent, and Q has no derivative there."
        )
    x, qt = np.linalg.inv(r[..., :k]), H(q) @ t
    c = qt[..., :k] @ x
    low = np.tril(c, -1)
    omega = low - H(low)
    if c.dtype.kind == "c":
        omega = omega + 1j * np.where(np.eye(k, dtype=bool), np.imag(c), 0)
    dr = np.triu(qt - omega @ r)
    return (t[..., :k] - q @ dr[..., :k]) @ x, dr


def _dependent(r: Any) -> Any:
    """Whether a diagonal element of R is rounding."""
    d = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    noise = max(r.shape[-2:]) * np.finfo(d.dtype).eps * np.max(d, axis=-1, initial=0)
    return np.min(d, axis=-1, initial=np.inf) <= noise


dependent = primitive(add(Passive(_dependent, name="dependent", arrays=1)))


class _QR(Via):
    """np.linalg.qr; mode 'complete' by the rows of 'reduced'.

    LAPACK's Q is a product of n reflections.  With Q₁ its first n columns and B = [I; 0] − Q₁, B₁ the first n rows of
    B, it is I − B B₁⁻ᴴ Bᴴ, so that the other columns are [0; I] + B B₁⁻ᴴ (lower rows of Q₁)ᴴ
    (Ballard et al., Reconstructing Householder vectors from tall-skinny QR, 2014).
    """

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        mode = params.get("mode", "reduced")
        if mode == "reduced":
            return trace.process(self, args, {})
        if mode not in ("r", "complete"):
            raise ValueError(f"np.linalg.qr: mode={mode!r} has no derivative; take 'reduced', 'complete' or 'r'")
        y = np.linalg.qr(args[0])
        if mode == "r":
            return y[1]
        m, n = args[0].shape[-2:]
        return y if m <= n else y._make(self._complete(y[0], y[1], m, n))

    @staticmethod
    def _complete(q: Any, r: Any, m: int, n: int) -> tuple[Any, Any]:
        stack = q.shape[:-2]
        b = np.eye(m, n, dtype=q.dtype) - q
        rest = np.eye(m, m - n, -n, dtype=q.dtype) + b @ np.linalg.solve(H(b[..., :n, :]), H(q[..., n:, :]))
        zeros = np.zeros((*stack, m - n, n), r.dtype)
        return np.concatenate([q, rest], axis=-1), np.concatenate([r, zeros], axis=-2)


def _qr_flops(_: Any, a: Any, **__: Any) -> float:
    """Householder's: 4 (m n k − k³/3) for m × n, k the smaller."""
    m, n = np.shape(a)[-2:]
    k = min(m, n)
    return np.size(a) / max(m * n, 1) * 4 * (m * n * k - k**3 / 3)


# fmt: off
add(Via(np.linalg.cholesky, [_cholesky_push], [_cholesky_pull], flops=lambda y, a, **_: cube(a) / 3, domain=DEFINITE))
add(_QR(np.linalg.qr,       [_qr_push], params=["mode"],
        flops=_qr_flops,
    domain=[*TALL_AND_WIDE, case(A(3, 2), mode="r"), case(A(3, 3), mode="reduced")]))
# fmt: on
