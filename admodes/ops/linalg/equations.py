"""Equations and inverses: solve, inv, pinv, lstsq and their kin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core.directions import align, cast, gather
from ...core.dispatch import canonical, primitive
from ...core.domain import A, case
from ...core.registry import NO_VALUE, Composite, Passive, Via, add
from ...core.tracing import Tracer
from .pieces import (
    SOLVE,
    SQUARE,
    TALL_AND_WIDE,
    H,
    T,
    as_columns,
    as_given,
    cube,
    from_triangle,
    real_part,
    rounding,
    svd_flops,
)


def solve_directions(a: Any, r: Any) -> Any:
    """a⁻¹ r for right-hand sides r of shape (*lead, *batch, n, p): one factorisation serves all directions."""
    lead = r.ndim - max(a.ndim, 2)
    if lead <= 0:
        return np.linalg.solve(a, r)
    k, p = r.shape[0], r.shape[-1]
    columns = np.reshape(np.moveaxis(r, 0, -1), (*r.shape[1:-1], p * k))
    z = solve_directions(a, columns)
    return np.moveaxis(np.reshape(z, (*z.shape[:-1], p, k)), -1, 0)


# inv:  Y A = I  →  dY = −Y dA Y


def _inv_push(t: Any, y: Any, a: Any) -> Any:
    return -(y @ t @ y)


def _inv_pull(u: Any, y: Any, a: Any) -> Any:
    return -(T(y) @ u @ T(y))


# solve:  A y = b  →  dy = A⁻¹ (db − dA y);  b̄ = A⁻ᵀ ȳ,  Ā = −b̄ yᵀ


def _solve_push_matrix(t: Any, y: Any, a: Any, b: Any) -> Any:
    columns = as_columns(y, b)
    return as_given(-solve_directions(a, align(t, a.ndim, columns.ndim) @ columns), b)


def _solve_push_rhs(t: Any, y: Any, a: Any, b: Any) -> Any:
    columns = as_columns(b, b)
    r = align(as_columns(t, b), columns.ndim, max(a.ndim, columns.ndim))
    return as_given(solve_directions(a, r), b)


def _solve_pull_matrix(u: Any, y: Any, a: Any, b: Any) -> Any:
    g = solve_directions(T(a), as_columns(u, b))
    return cast(gather(-(g @ T(as_columns(y, b))), a.shape, u.ndim - y.ndim), a.dtype)


def _solve_pull_rhs(u: Any, y: Any, a: Any, b: Any) -> Any:
    g = solve_directions(T(a), as_columns(u, b))
    return cast(gather(as_given(g, b), b.shape, u.ndim - y.ndim), b.dtype)


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = canonical(a), canonical(b)
    if axes is not None:
        a = np.moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    shape = a.shape[b.ndim - a.ndim :] if a.ndim > b.ndim else a.shape
    n = math.prod(shape)
    if a.size != n * n:
        raise LinAlgError(f"np.linalg.tensorsolve: a of shape {a.shape} is no square matrix over b of shape {b.shape}")
    return np.reshape(np.linalg.solve(np.reshape(a, (n, n)), np.ravel(b)), shape)


def _tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    n = math.prod(a.shape[ind:])
    return np.reshape(np.linalg.inv(np.reshape(a, (n, -1))), a.shape[ind:] + a.shape[:ind])


# pinv, of constant rank:  dP = −P dA P + P Pᴴ dAᴴ (I − A P) + (I − P A) dAᴴ Pᴴ P
# (Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973), theorem 4.3)


def _pinv_push(t: Any, y: Any, a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = NO_VALUE) -> Any:
    if hermitian:
        a, t = from_triangle(a, "L"), from_triangle(t, "L")
    limit = rcond if rtol is NO_VALUE else rtol
    if (rcond is not None or rtol is not NO_VALUE) and np.any(cuts(a, limit)):
        raise LinAlgError(
            f"np.linalg.pinv: rcond={limit} cuts off singular values that are not zero, and the derivative of that is "
            "not known. Leave rcond out, or form the truncated inverse from np.linalg.svd."
        )
    h, yh = H(t), H(y)
    return y @ (yh @ (h - h @ a @ y)) + (h - y @ (a @ h)) @ yh @ y - y @ t @ y


def _cuts(a: Any, rcond: Any) -> Any:
    """Whether pinv with this rcond drops a singular value that is not rounding."""
    s = np.linalg.svdvals(a)
    rcond = max(a.shape[-2:]) * np.finfo(s.dtype).eps if rcond is None else np.asarray(rcond)[..., None]
    return ((s <= rcond * np.max(s, axis=-1, keepdims=True, initial=0)) & (s > rounding(s))).any(axis=-1)


cuts = primitive(add(Passive(_cuts, name="cuts", arrays=1)))


# lstsq, A of full rank, r = b − A x, P = A⁺:
# dx = P (db − dA x) + P Pᴴ dAᴴ r + (I − P A) dAᴴ Pᴴ x,   d|r|² = 2 Re rᴴ (db − dA x)


def _least_squares(a: Any, b: Any, rcond: Any = None) -> Any:
    return np.linalg.lstsq(a, b, rcond)[:2]


def _residual_push(dr: Any, r: Any, residuals: Any) -> Any:
    if not residuals.size:
        return np.zeros(dr.shape[:-2] + residuals.shape, residuals.dtype)
    return 2 * np.sum(real_part(np.conjugate(r) * dr), axis=-2)


def _lstsq_push_matrix(t: Any, y: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    m, n = a.shape
    x, p = as_columns(y[0], b), np.linalg.pinv(a)
    r, dr = as_columns(b, b) - a @ x, -(t @ x)
    dx = p @ dr
    if m > n:
        dx = dx + p @ (H(p) @ (H(t) @ r))
    if m < n:
        z = H(t) @ (H(p) @ x)
        dx = dx + z - p @ (a @ z)
    return as_given(dx, b), _residual_push(dr, r, y[1])


def _lstsq_push_rhs(t: Any, y: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    dr = as_columns(t, b)
    r = as_columns(b, b) - a @ as_columns(y[0], b)
    return as_given(np.linalg.pinv(a, _rcond(a, y[0].real.dtype, rcond)) @ dr, b), _residual_push(dr, r, y[1])


def _rcond(a: Any, dtype: Any, rcond: Any) -> Any:
    return max(a.shape) * float(np.finfo(dtype).eps) if rcond is None else rcond


LEAST_SQUARES = add(
    Via(
        _least_squares,
        [_lstsq_push_matrix, _lstsq_push_rhs],
        name="linalg.lstsq",
        domain=[case(A(4, 2), A(4)), case(A(4, 2), A(4, 3)), case(A(2, 2), A(2))],
        flops=lambda y, a, b, **_: svd_flops(a) + 4 * np.size(a) * np.size(y[0]) / max(a.shape[1], 1),
    )
)
least_squares = primitive(LEAST_SQUARES)


def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """(x, residuals, rank, s); rank is plain.  A of deficient rank may not be traced: x jumps with the rank."""
    a, b = canonical(a), canonical(b)
    x, residuals = least_squares(a, b, rcond=rcond)
    s = np.astype(np.linalg.svdvals(a), residuals.dtype)
    rank = np.intc(np.count_nonzero(s > _rcond(a, s.dtype, rcond) * s[:1]))
    if isinstance(a, Tracer) and rank < min(a.shape):
        raise LinAlgError(
            f"np.linalg.lstsq: a of shape {a.shape} has rank {rank}, and the solution has no derivative by a matrix "
            "of deficient rank. Append a small multiple of the identity (and zeros to b), or differentiate by b alone."
        )
    return x, residuals, rank, s


# fmt: off
add(Via(np.linalg.inv,   [_inv_push], [_inv_pull], domain=SQUARE, flops=lambda y, a: 2 * cube(a)))
add(Via(np.linalg.solve, [_solve_push_matrix, _solve_push_rhs], [_solve_pull_matrix, _solve_pull_rhs], domain=SOLVE,
        flops=lambda y, a, b: cube(a) * 2 / 3 + 2 * np.size(y) * np.shape(a)[-1]))
add(Via(np.linalg.pinv,  [_pinv_push], flops=lambda y, a, **_: svd_flops(a) + 2 * np.size(a) * min(a.shape[-2:]),
    domain=TALL_AND_WIDE))
add(Composite(np.linalg.lstsq,       _lstsq, arrays=2,
    domain=[case(A(4, 2), A(4)), case(A(4, 2), A(4, 3)), case(A(3, 3), A(3)), case(A(2, 3), A(2))]))
add(Composite(np.linalg.tensorsolve, _tensorsolve, arrays=2,
    domain=[case(A(2, 3, 6), A(2, 3)), case(A(6, 2, 3), A(6), axes=None)]))
add(Composite(np.linalg.tensorinv,   _tensorinv, domain=[case(A(2, 3, 6)), case(A(6, 2, 3), ind=1)]))
# fmt: on
