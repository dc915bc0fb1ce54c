"""Linear algebra: solve, inv, det."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import Via, add, cast, gather


def solve_directions(a: Any, r: Any) -> Any:
    """a⁻¹ r for right-hand sides r of shape (*lead, *batch, n, p): one factorisation serves all directions."""
    lead = r.ndim - max(a.ndim, 2)
    if lead <= 0:
        return np.linalg.solve(a, r)
    k, p = r.shape[0], r.shape[-1]
    columns = np.reshape(np.moveaxis(r, 0, -1), (*r.shape[1:-1], p * k))
    z = solve_directions(a, columns)
    return np.moveaxis(np.reshape(z, (*z.shape[:-1], p, k)), -1, 0)


# inv:  Y A = I  →  dY = −Y dA Y ------------------------------------------------------------------------


def _inv_push(t: Any, y: Any, a: Any) -> Any:
    return -(y @ t @ y)


def _inv_pull(u: Any, y: Any, a: Any) -> Any:
    yt = np.swapaxes(y, -1, -2)
    return -(yt @ u @ yt)


# solve:  A y = b  →  dy = A⁻¹ (db − dA y);  b̄ = A⁻ᵀ ȳ,  Ā = −b̄ yᵀ --------------------------------------


def _as_columns(z: Any, b: Any) -> Any:
    """A vector right-hand side (NumPy: b of one axis) as a matrix of one column."""
    return z[..., None] if b.ndim == 1 else z


def _solve_push_matrix(t: Any, y: Any, a: Any, b: Any) -> Any:
    z = -solve_directions(a, t @ _as_columns(y, b))
    return z[..., 0] if b.ndim == 1 else z


def _solve_push_rhs(t: Any, y: Any, a: Any, b: Any) -> Any:
    r = _as_columns(t, b)
    if a.ndim > b.ndim + (b.ndim == 1):  # a stack of matrices with one right-hand side
        extra = a.ndim - b.ndim - (b.ndim == 1)
        lead = t.shape[: t.ndim - b.ndim]
        r = np.broadcast_to(np.reshape(r, lead + (1,) * extra + r.shape[len(lead) :]), lead + a.shape[:-2] + r.shape[-2:])
    z = solve_directions(a, r)
    return z[..., 0] if b.ndim == 1 else z


def _solve_pull_matrix(u: Any, y: Any, a: Any, b: Any) -> Any:
    g = solve_directions(np.swapaxes(a, -1, -2), _as_columns(u, b))
    return cast(gather(-(g @ np.swapaxes(_as_columns(y, b), -1, -2)), a.shape, u.ndim - y.ndim), a.dtype)


def _solve_pull_rhs(u: Any, y: Any, a: Any, b: Any) -> Any:
    g = solve_directions(np.swapaxes(a, -1, -2), _as_columns(u, b))
    return cast(gather(g[..., 0] if b.ndim == 1 else g, b.shape, u.ndim - y.ndim), b.dtype)


# det:  d det A = det A · tr(A⁻¹ dA)  (Jacobi); a singular A raises as np.linalg.solve does -----------------


def _det_push(t: Any, y: Any, a: Any) -> Any:
    return y * np.trace(solve_directions(a, t), axis1=-2, axis2=-1)


def _det_pull(u: Any, y: Any, a: Any) -> Any:
    return (u * y)[..., None, None] * np.swapaxes(np.linalg.inv(a), -1, -2)


def _n(a: Any) -> int:
    return int(np.shape(a)[-1])


# fmt: off
add(Via(np.linalg.inv,   [_inv_push], [_inv_pull], flops=lambda y, a: 2 * np.size(a) * _n(a)))
add(Via(np.linalg.solve, [_solve_push_matrix, _solve_push_rhs], [_solve_pull_matrix, _solve_pull_rhs],
        flops=lambda y, a, b: np.size(a) * _n(a) * 2 / 3 + 2 * np.size(y) * _n(a)))
add(Via(np.linalg.det,   [_det_push], [_det_pull], flops=lambda y, a: np.size(a) * _n(a) * 2 / 3))
# fmt: on
