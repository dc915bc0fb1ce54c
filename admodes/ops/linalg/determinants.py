"""Determinants: d det A = tr(adj(A) dA), Jacobi's formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.dispatch import primitive
from ...core.registry import Passive, Via, add, size_of
from .pieces import SQUARE, H, T, cube, svd_flops, trace_of_product


def adjugate(a: Any, y: Any) -> Any:
    """adj(A), with A adj(A) = det(A) I, for any square A; y = det A.

    Where A is well conditioned it is det(A) A⁻¹.  Elsewhere A = U B Vᴴ with U and V, of determinant product 1, kept
    constant and B = diag(s) at this point: adj(A) = V adj(B) Uᴴ, a polynomial in A of any order of differentiation.
    """
    if np.all(y != 0):
        x = np.linalg.inv(a)
        if not np.any(ill(a, x)):
            return y[..., None, None] * x
    if a.ndim > 2:
        n, count = a.shape[-1], size_of(y)
        each = zip(np.reshape(a, (count, n, n)), np.reshape(y, (count,)), strict=True)
        return np.reshape(np.stack([adjugate(*pair) for pair in each]), a.shape)
    u, v = frame(a)
    return v @ _graded_adjugate(H(u) @ a @ v) @ H(u)


def _ill(a: Any, x: Any) -> Any:
    """Whether κ₁(a) > ε^(−1/3), with x = a⁻¹: a formula through x would lose a third of the digits an order."""
    norms = [np.max(np.sum(np.abs(z), axis=-2), axis=-1, initial=0) for z in (a, x)]
    return norms[0] * norms[1] > np.finfo(a.dtype).eps ** (-1 / 3)


def _frame(a: Any) -> Any:
    """U and V of a = U diag(s) Vᴴ, the last column of U turned so that det(U) det(Vᴴ) = 1."""
    u, _, vh = np.linalg.svd(a)
    u[:, -1] /= np.linalg.det(u) * np.linalg.det(vh)
    return u, H(vh)


ill = primitive(add(Passive(_ill, name="ill_conditioned", arrays=2)))
frame = primitive(add(Passive(_frame, name="frame", arrays=1, flops=lambda y, a: svd_flops(a))))


sizes = primitive(add(Passive(lambda b: np.abs(np.diagonal(b)), name="sizes", arrays=1)))


def _graded_adjugate(b: Any, floor: Any = None) -> Any:
    """adj(B) for B near diag(s), s descending: block by block, B₁₁ of elements of like size, and a polynomial at last.

    With B₁₁ the elements near the largest, S = B₂₂ − B₂₁ B₁₁⁻¹ B₁₂, d = det B₁₁ and Z = adj(S):
    adj(B) = d [[det(S) B₁₁⁻¹ + B₁₁⁻¹ B₁₂ Z B₂₁ B₁₁⁻¹, −B₁₁⁻¹ B₁₂ Z], [−Z B₂₁ B₁₁⁻¹, Z]].
    """
    n, eps = b.shape[-1], np.finfo(b.dtype).eps
    s = sizes(b)
    floor = 4 * n * eps * s[0] if floor is None else floor
    k = int(np.count_nonzero((s > floor) & (s > 0.01 * s[0])))
    if not k or (n <= 8 and np.prod(s[:-1] / s[0]) > eps**0.25):
        return _small_adjugate(b)
    b11, b12, b21, b22 = b[:k, :k], b[:k, k:], b[k:, :k], b[k:, k:]
    x, d = np.linalg.inv(b11), np.linalg.det(b11)
    if k == n:
        return d * x
    schur = b22 - b21 @ x @ b12
    z = _graded_adjugate(schur, floor)
    left, right = z @ b21 @ x, x @ b12 @ z
    top = trace_of_product(schur, z) / (n - k) * x + right @ b21 @ x
    return d * np.concatenate([np.concatenate([top, -right], axis=1), np.concatenate([-left, z], axis=1)], axis=0)


def _small_adjugate(s: Any) -> Any:
    """adj(S) as a polynomial in S, of error ε|S|^(r−1): Faddeev and LeVerrier, M ← S M − tr(S M)/k · I."""
    r = s.shape[-1]
    m = identity = np.eye(r, dtype=s.dtype)
    for k in range(1, r):
        m = s @ m
        m = m - np.trace(m) / k * identity
    return m if r % 2 else -m


def _det_push(t: Any, y: Any, a: Any) -> Any:
    return trace_of_product(adjugate(a, y), t)


def _det_pull(u: Any, y: Any, a: Any) -> Any:
    return u[..., None, None] * T(adjugate(a, y))


def _slogdet_push(t: Any, y: Any, a: Any) -> Any:
    """d log|det A| = Re tr(A⁻¹ dA), d sign = i sign Im tr(A⁻¹ dA); a singular A raises LinAlgError."""
    trace = trace_of_product(np.linalg.inv(a), t)
    if a.dtype.kind != "c":
        return np.zeros(trace.shape, y[0].dtype), trace
    return 1j * np.imag(trace) * y[0], np.real(trace)


# fmt: off
add(Via(np.linalg.det,     [_det_push], [_det_pull], domain=SQUARE, flops=lambda y, a: cube(a) * 2 / 3))
add(Via(np.linalg.slogdet, [_slogdet_push],          flops=lambda y, a: cube(a) * 2 / 3, domain=SQUARE))
# fmt: on
