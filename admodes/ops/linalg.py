"""Linear algebra: what numpy.linalg offers, on stacks of matrices too.

Conventions.  A function that reads one triangle (cholesky, eigh, eigvalsh, hermitian=True) is differentiated as NumPy
computes it: the other triangle and the imaginary part of the diagonal have derivative zero, and an element below the
diagonal stands for its mirror image too.  Functions that are not holomorphic state the real-linear push; the pull g is
what df = Re(Σ g·dz) makes of it.

Where values alone are used, equal eigenvalues and singular values share their derivative equally, as the elements of
a maximum do, and a singular value of 0 has derivative 0, as |x| at 0.  Vectors that such a tie leaves undetermined have
the derivative nan; where any vectors are used, so have the tied values; and so have second derivatives at a tie.  The
phase of a complex vector is LAPACK's: one element of it is real.  Extra columns of a full svd do not turn among
themselves: differentiate only functions of the space they span.  A norm of 0 has derivative 0 and second derivative nan.

Flops (Golub and Van Loan, Matrix Computations, 4th ed.), n the smaller and m the larger extent: LU 2n³/3, inverse 2n³,
Cholesky n³/3, QR 4mn² − 4n³/3 with Q, symmetric eigenvalues and vectors 9n³, general 25n³, svd 14mn² + 8n³ with
vectors, 4m²n + 8mn² + 9n³ with all of them, 4mn² − 4n³/3 without.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..domain import NONZERO, A, case, positive_definite, well_conditioned
from ..registry import NO_VALUE, Composite, Passive, Via, add, align, cast, gather, size_of, trailing
from ..tracing import Tracer, canonical, primitive

# Where the rows below are sampled.


def _m(*shape: int) -> A:
    return A(*shape, within=well_conditioned)


SQUARE = [case(_m(3, 3)), case(_m(1, 1)), case(_m(2, 3, 3)), case(_m(0, 2, 2)), case(_m(2, 2, 2, 2))]
SOLVE = [
    case(_m(3, 3), A(3)), case(_m(3, 3), A(3, 2)), case(_m(3, 3), A(2, 3, 2)),
    case(_m(2, 3, 3), A(3)), case(_m(2, 3, 3), A(3, 2)), case(_m(2, 3, 3), A(2, 3, 1)),
    case(_m(2, 1, 2, 2), A(3, 2, 2)), case(_m(0, 2, 2), A(0, 2, 1)), case(_m(2, 2), A(2, 0)),
]  # fmt: skip
DEFINITE = [case(A(*shape, within=positive_definite)) for shape in ((3, 3), (1, 1), (2, 3, 3))]
TALL_AND_WIDE = [case(A(3, 3)), case(A(4, 2)), case(A(2, 3)), case(A(2, 3, 2))]
NORMS = [
    case(A(3)), case(A(2, 3)), case(A(2, 3), keepdims=True), case(A(2, 3), axis=-1),
    *(case(A(4), ord) for ord in (1, 2, 3, 0.5, -1, np.inf, -np.inf)),
    *(case(A(3, 2), ord) for ord in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")),
    case(A(2, 3, 2), 2, axis=(0, -1), keepdims=True), case(A(2, 3), 3, axis=0), case(A(0, 3), axis=1), case(A()),
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------
# Pieces
# ---------------------------------------------------------------------------------------------------


def _T(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _H(x: Any) -> Any:
    return np.conjugate(_T(x)) if x.dtype.kind == "c" else _T(x)


def _real(x: Any) -> Any:
    return np.real(x) if x.dtype.kind == "c" else x


def _diagonal(x: Any) -> Any:
    return np.diagonal(x, axis1=-2, axis2=-1)


def _as_columns(z: Any, b: Any) -> Any:
    """A vector right-hand side (NumPy: b of one axis) as a matrix of one column."""
    return z[..., None] if b.ndim == 1 else z


def _as_given(z: Any, b: Any) -> Any:
    return z[..., 0] if b.ndim == 1 else z


def _dot(x: Any, t: Any) -> Any:
    """tr(x t), a matrix at a time."""
    return np.sum(_T(x) * t, axis=(-2, -1))


def _from_triangle(t: Any, uplo: str) -> Any:
    """The Hermitian matrix that LAPACK sees in one triangle of t."""
    s = np.tril(t, -1) if uplo.upper() == "L" else np.triu(t, 1)
    return s + _H(s) + np.where(np.eye(t.shape[-1], dtype=bool), _real(t), 0)


def _noise(s: Any) -> Any:
    """Differences of eigenvalues or singular values s up to this are rounding."""
    largest = np.max(np.abs(s), axis=-1, keepdims=True, initial=0)
    return 4 * s.shape[-1] * np.finfo(s.dtype).eps * largest


# x / gap, in which a gap of zero does not count where x is 0, and gives nan elsewhere -------------------


def _over(x: Any, gap: Any, singular: Any) -> Any:
    """x / gap; where `singular`, 0 for x = 0 and nan for any other x.  gap broadcasts to x."""
    if not np.any(singular):
        return x / gap
    y = np.where(singular, np.where(x == 0, 0, np.nan), x / np.where(singular, 1, gap))
    return y.astype(np.result_type(x, gap), copy=False)


def _over_push_gap(t: Any, y: Any, x: Any, gap: Any, singular: Any) -> Any:
    return -over(y * align(t, np.ndim(gap), y.ndim), gap, singular)


def _over_pull_gap(u: Any, y: Any, x: Any, gap: Any, singular: Any) -> Any:
    return cast(gather(-over(y * u, gap, singular), gap.shape, u.ndim - y.ndim), gap.dtype)


_over_row = Via(
    _over,
    [lambda t, y, x, gap, singular: over(t, gap, singular), _over_push_gap, None],
    [lambda u, y, x, gap, singular: cast(over(u, gap, singular), x.dtype), _over_pull_gap, None],
    name="over",
    domain=[case(A(2, 3), A(*shape, within=NONZERO), np.zeros(shape, bool)) for shape in ((2, 3), (3,))],
    flops=lambda y, x, gap, singular: size_of(y),
)
over: Any = primitive(add(_over_row))

# ---------------------------------------------------------------------------------------------------
# Equations and inverses
# ---------------------------------------------------------------------------------------------------


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
    return -(_T(y) @ u @ _T(y))


# solve:  A y = b  →  dy = A⁻¹ (db − dA y);  b̄ = A⁻ᵀ ȳ,  Ā = −b̄ yᵀ


def _solve_push_matrix(t: Any, y: Any, a: Any, b: Any) -> Any:
    columns = _as_columns(y, b)
    return _as_given(-solve_directions(a, align(t, a.ndim, columns.ndim) @ columns), b)


def _solve_push_rhs(t: Any, y: Any, a: Any, b: Any) -> Any:
    columns = _as_columns(b, b)
    r = align(_as_columns(t, b), columns.ndim, max(a.ndim, columns.ndim))
    return _as_given(solve_directions(a, r), b)


def _solve_pull_matrix(u: Any, y: Any, a: Any, b: Any) -> Any:
    g = solve_directions(_T(a), _as_columns(u, b))
    return cast(gather(-(g @ _T(_as_columns(y, b))), a.shape, u.ndim - y.ndim), a.dtype)


def _solve_pull_rhs(u: Any, y: Any, a: Any, b: Any) -> Any:
    g = solve_directions(_T(a), _as_columns(u, b))
    return cast(gather(_as_given(g, b), b.shape, u.ndim - y.ndim), b.dtype)


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
        a, t = _from_triangle(a, "L"), _from_triangle(t, "L")
    limit = rcond if rtol is NO_VALUE else rtol
    if (rcond is not None or rtol is not NO_VALUE) and np.any(cuts(a, limit)):
        raise LinAlgError(
            f"np.linalg.pinv: rcond={limit} cuts off singular values that are not zero, and the derivative of that is "
            "not known. Leave rcond out, or form the truncated inverse from np.linalg.svd."
        )
    h, yh = _H(t), _H(y)
    return y @ (yh @ (h - h @ a @ y)) + (h - y @ (a @ h)) @ yh @ y - y @ t @ y


def _cuts(a: Any, rcond: Any) -> Any:
    """Whether pinv with this rcond drops a singular value that is not rounding."""
    s = np.linalg.svdvals(a)
    rcond = max(a.shape[-2:]) * np.finfo(s.dtype).eps if rcond is None else np.asarray(rcond)[..., None]
    return ((s <= rcond * np.max(s, axis=-1, keepdims=True, initial=0)) & (s > _noise(s))).any(axis=-1)


cuts = primitive(add(Passive(_cuts, name="cuts", arrays=1)))


# lstsq, A of full rank, r = b − A x, P = A⁺:
# dx = P (db − dA x) + P Pᴴ dAᴴ r + (I − P A) dAᴴ Pᴴ x,   d|r|² = 2 Re rᴴ (db − dA x)


def _least_squares(a: Any, b: Any, rcond: Any = None) -> Any:
    return np.linalg.lstsq(a, b, rcond)[:2]


def _residual_push(dr: Any, r: Any, residuals: Any) -> Any:
    if not residuals.size:
        return np.zeros(dr.shape[:-2] + residuals.shape, residuals.dtype)
    return 2 * np.sum(_real(np.conjugate(r) * dr), axis=-2)


def _lstsq_push_matrix(t: Any, y: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    m, n = a.shape
    x, p = _as_columns(y[0], b), np.linalg.pinv(a)
    r, dr = _as_columns(b, b) - a @ x, -(t @ x)
    dx = p @ dr
    if m > n:
        dx = dx + p @ (_H(p) @ (_H(t) @ r))
    if m < n:
        z = _H(t) @ (_H(p) @ x)
        dx = dx + z - p @ (a @ z)
    return _as_given(dx, b), _residual_push(dr, r, y[1])


def _lstsq_push_rhs(t: Any, y: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    dr = _as_columns(t, b)
    r = _as_columns(b, b) - a @ _as_columns(y[0], b)
    return _as_given(np.linalg.pinv(a, _rcond(a, rcond)) @ dr, b), _residual_push(dr, r, y[1])


def _rcond(a: Any, rcond: Any) -> Any:
    return max(a.shape) * float(np.finfo(a.dtype).eps) if rcond is None else rcond


least_squares = primitive(
    add(
        Via(
            _least_squares,
            [_lstsq_push_matrix, _lstsq_push_rhs],
            name="linalg.lstsq",
            domain=[case(A(4, 2), A(4)), case(A(4, 2), A(4, 3)), case(A(2, 2), A(2))],
            flops=lambda y, a, b, **_: _svd_flops(a) + 4 * np.size(a) * np.size(y[0]) / max(a.shape[1], 1),
        )
    )
)


def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """(x, residuals, rank, s); rank is plain.  A of deficient rank may not be traced: x jumps with the rank."""
    a, b = canonical(a), canonical(b)
    x, residuals = least_squares(a, b, rcond=rcond)
    s = np.astype(np.linalg.svdvals(a), residuals.dtype)
    rank = np.intc(np.count_nonzero(s > _rcond(a, rcond) * s[:1]))
    if isinstance(a, Tracer) and rank < min(a.shape):
        raise LinAlgError(
            f"np.linalg.lstsq: a of shape {a.shape} has rank {rank}, and the solution has no derivative by a matrix "
            "of deficient rank. Append a small multiple of the identity (and zeros to b), or differentiate by b alone."
        )
    return x, residuals, rank, s


# fmt: off
add(Via(np.linalg.inv,   [_inv_push], [_inv_pull], domain=SQUARE, flops=lambda y, a: 2 * _cube(a)))
add(Via(np.linalg.solve, [_solve_push_matrix, _solve_push_rhs], [_solve_pull_matrix, _solve_pull_rhs], domain=SOLVE,
        flops=lambda y, a, b: _cube(a) * 2 / 3 + 2 * np.size(y) * np.shape(a)[-1]))
add(Via(np.linalg.pinv,  [_pinv_push], flops=lambda y, a, **_: _svd_flops(a) + 2 * np.size(a) * min(a.shape[-2:]),
    domain=TALL_AND_WIDE))
add(Composite(np.linalg.lstsq,       _lstsq, arrays=2,
    domain=[case(A(4, 2), A(4)), case(A(4, 2), A(4, 3)), case(A(3, 3), A(3)), case(A(2, 3), A(2))]))
add(Composite(np.linalg.tensorsolve, _tensorsolve, arrays=2,
    domain=[case(A(2, 3, 6), A(2, 3)), case(A(6, 2, 3), A(6), axes=None)]))
add(Composite(np.linalg.tensorinv,   _tensorinv, domain=[case(A(2, 3, 6)), case(A(6, 2, 3), ind=1)]))
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Determinants:  d det A = tr(adj(A) dA)  (Jacobi)
# ---------------------------------------------------------------------------------------------------


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
    return v @ _graded_adjugate(_H(u) @ a @ v) @ _H(u)


def _ill(a: Any, x: Any) -> Any:
    """Whether κ₁(a) > ε^(−1/3), with x = a⁻¹: a formula through x would lose a third of the digits an order."""
    norms = [np.max(np.sum(np.abs(z), axis=-2), axis=-1, initial=0) for z in (a, x)]
    return norms[0] * norms[1] > np.finfo(a.dtype).eps ** (-1 / 3)


def _frame(a: Any) -> Any:
    """U and V of a = U diag(s) Vᴴ, the last column of U turned so that det(U) det(Vᴴ) = 1."""
    u, _, vh = np.linalg.svd(a)
    u[:, -1] /= np.linalg.det(u) * np.linalg.det(vh)
    return u, _H(vh)


ill = primitive(add(Passive(_ill, name="ill_conditioned", arrays=2)))
frame = primitive(add(Passive(_frame, name="frame", arrays=1, flops=lambda y, a: _svd_flops(a))))


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
    top = _dot(schur, z) / (n - k) * x + right @ b21 @ x
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
    return _dot(adjugate(a, y), t)


def _det_pull(u: Any, y: Any, a: Any) -> Any:
    return u[..., None, None] * _T(adjugate(a, y))


def _slogdet_push(t: Any, y: Any, a: Any) -> Any:
    """d log|det A| = Re tr(A⁻¹ dA), d sign = i sign Im tr(A⁻¹ dA); a singular A raises LinAlgError."""
    trace = _dot(np.linalg.inv(a), t)
    if a.dtype.kind != "c":
        return np.zeros(trace.shape, y[0].dtype), trace
    return 1j * np.imag(trace) * y[0], np.real(trace)


# fmt: off
add(Via(np.linalg.det,     [_det_push], [_det_pull], domain=SQUARE, flops=lambda y, a: _cube(a) * 2 / 3))
add(Via(np.linalg.slogdet, [_slogdet_push],          flops=lambda y, a: _cube(a) * 2 / 3, domain=SQUARE))
# fmt: on


def _cube(a: Any) -> float:
    return float(np.size(a)) * np.shape(a)[-1]


def _svd_flops(a: Any, full: bool = False) -> float:
    n, m = sorted(np.shape(a)[-2:])
    stack = np.size(a) / max(m * n, 1)
    return stack * (4 * m * m * n + 8 * m * n * n + 9 * n**3 if full else 14 * m * n * n + 8 * n**3)


# ---------------------------------------------------------------------------------------------------
# Factorisations
# ---------------------------------------------------------------------------------------------------

# cholesky:  A = L Lᴴ, X = L⁻¹  →  dL = L Φ(X dA Xᴴ), Φ the lower triangle with half the diagonal;
# G = Xᵀ Φ(Lᵀ L̄) conj(X), Ā = Φ(G + Gᴴ)


def _half(n: int, dtype: Any) -> Any:
    """Φ as weights of the elements."""
    return np.tri(n, dtype=dtype) - np.eye(n, dtype=dtype) / 2


def _cholesky_push(t: Any, y: Any, a: Any, upper: bool = False) -> Any:
    low = _H(y) if upper else y
    x = np.linalg.inv(low)
    dl = low @ (_half(y.shape[-1], y.dtype) * (x @ _from_triangle(t, "U" if upper else "L") @ _H(x)))
    return _H(dl) if upper else dl


def _cholesky_pull(u: Any, y: Any, a: Any, upper: bool = False) -> Any:
    low, u, half = _H(y) if upper else y, _H(u) if upper else u, _half(y.shape[-1], y.dtype)
    x = np.linalg.inv(low)
    g = _T(x) @ (half * (_T(low) @ u)) @ _T(_H(x))
    return cast((g + _H(g)) * (half.T if upper else half), a.dtype)


# qr, A₁ and R₁ the first k = min(m, n) columns:  Ω = Qᴴ dQ is skew-Hermitian, and C = Qᴴ dA₁ R₁⁻¹ = Ω + (upper
# triangular with real diagonal)  →  dR = Qᴴ dA − Ω R,  dQ = (dA₁ − Q dR₁) R₁⁻¹


def _qr_push(t: Any, y: Any, a: Any) -> Any:
    q, r = y
    k = q.shape[-1]
    if np.any(dependent(r)):
        raise LinAlgError(
            f"np.linalg.qr: the first {k} columns of the matrix are linearly dependent, and Q has no derivative there."
        )
    x, qt = np.linalg.inv(r[..., :k]), _H(q) @ t
    c = qt[..., :k] @ x
    low = np.tril(c, -1)
    omega = low - _H(low)
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
        rest = np.eye(m, m - n, -n, dtype=q.dtype) + b @ np.linalg.solve(_H(b[..., :n, :]), _H(q[..., n:, :]))
        zeros = np.zeros((*stack, m - n, n), r.dtype)
        return np.concatenate([q, rest], axis=-1), np.concatenate([r, zeros], axis=-2)


# fmt: off
add(Via(np.linalg.cholesky, [_cholesky_push], [_cholesky_pull], flops=lambda y, a, **_: _cube(a) / 3, domain=DEFINITE))
add(_QR(np.linalg.qr,       [_qr_push], params=["mode"],
        flops=lambda y, a: 4 * np.size(a) * min(a.shape[-2:]) - _cube(y[0][..., :1, :]) * np.shape(y[0])[-1] * 4 / 3,
    domain=[*TALL_AND_WIDE, case(A(3, 2), mode="r"), case(A(3, 3), mode="reduced")]))
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Eigenvalues
# ---------------------------------------------------------------------------------------------------


def _tied(w: Any) -> Any:
    """Which eigenvalues are equal up to rounding: (..., n, n), the diagonal included."""
    return np.abs(w[..., None, :] - w[..., :, None]) <= _noise(w)[..., None]


tied = primitive(add(Passive(_tied, name="tied", arrays=1)))


def _shared(d: Any, tie: Any) -> Any:
    """The mean of d over each set of tied elements."""
    share = tie.astype(d.dtype)
    return (share / np.sum(share, axis=-1, keepdims=True) @ d[..., None])[..., 0]


def _over_gaps(c: Any, w: Any, tie: Any) -> Any:
    """c_ij / (w_j − w_i) off the diagonal, 0 on it."""
    eye = np.eye(w.shape[-1], dtype=bool)
    gap = w[..., None, :] - w[..., :, None]
    return over(np.where(eye, 0, c), np.where(eye, 1, gap), np.logical_and(tie, ~eye))


def _several(tie: Any) -> Any:
    """Which elements are tied to another."""
    return np.sum(tie, axis=-1) > 1


def _known(dq: Any, q: Any, d: Any, undetermined: Any) -> Any:
    """dq, with nan in the columns of q that a tie leaves undetermined, unless nothing moves, d, diag C, included."""
    k = d.shape[-1]
    moved = np.sum(d * np.sqrt(np.arange(2, k + 2)).astype(d.dtype), axis=-1, keepdims=True)
    moved = over(np.where(undetermined, moved, 0), 1, undetermined)
    return over(dq + q * moved[..., None, :], 1, undetermined[..., None, :])


class _Spectral(Via):
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
    c = _H(v) @ _from_triangle(t, UPLO) @ v
    dv = v @ _over_gaps(c, w, tie)
    if v.dtype.kind == "c" and v.shape[-1]:
        dv = dv + v * _phase(v, dv, 0 if UPLO.upper() == "L" else -1)
    d = _real(_diagonal(c))
    return _shared(d, tie), _known(dv, v, d, _several(tie))


def _phase(q: Any, dq: Any, row: int) -> Any:
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
    turn = v @ _over_gaps(c, w, tie)
    scale = -np.sum(_real(np.conjugate(v) * turn), axis=-2, keepdims=True)
    if v.dtype.kind == "c":
        real = real_component(v)
        imaginary = np.sum(real * np.imag(turn), axis=-2, keepdims=True)
        scale = scale - 1j * (imaginary / np.sum(real * np.real(v), axis=-2, keepdims=True))
    d = _diagonal(c)
    return _shared(d, tie), _known(turn + v * scale, v, d, _several(tie))


def _tied_in_basis(w: Any, v: Any) -> Any:
    """`_tied` for eigenvectors v, whose condition magnifies the rounding; a defective matrix raises."""
    condition = np.linalg.cond(v) if v.size else np.ones(w.shape[:-1])
    if np.any(condition > np.finfo(v.dtype).eps ** -0.5):
        raise LinAlgError(
            f"np.linalg.eig: the eigenvectors are linearly dependent or nearly so (condition {np.max(condition):.1e}); "
            "the eigenvalues and eigenvectors of a defective matrix have no derivative."
        )
    return np.abs(w[..., None, :] - w[..., :, None]) <= (_noise(w) * condition[..., None])[..., None]


def _real_component(v: Any) -> Any:
    """1 at the element of each column that LAPACK has made real, 0 elsewhere."""
    size = np.where(v.imag == 0, np.abs(v), -1)
    return (np.arange(v.shape[-2])[:, None] == np.argmax(size, axis=-2, keepdims=True)).astype(v.real.dtype)


tied_in_basis = primitive(add(Passive(_tied_in_basis, name="tied_in_basis", arrays=2)))
real_component = primitive(add(Passive(_real_component, name="real_component", arrays=1)))


class _Eig(_Spectral):
    """np.linalg.eig, whose result for a real matrix is real or complex by the values."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        y = trace.process(self, args, params)
        if args[0].dtype.kind != "c":
            bool(np.any(np.imag(y[0]) != 0))  # a program under recording holds for this kind of result alone
        return y


# fmt: off
add(_Spectral(np.linalg.eigh, [_eigh_push], lambda y: _several(tied(y[0])),
    flops=lambda y, a, **_: 9 * _cube(a),
    domain=[*DEFINITE, case(A(3, 3, within=positive_definite), UPLO="U")]))
add(_Eig(np.linalg.eig, [_eig_push], lambda y: _several(tied_in_basis(*y)),
    flops=lambda y, a: 25 * _cube(a), domain=DEFINITE))
add(Composite(np.linalg.eigvalsh, lambda a, UPLO="L": np.linalg.eigh(a, UPLO)[0], domain=DEFINITE))
add(Composite(np.linalg.eigvals,  lambda a: np.linalg.eig(a)[0], domain=DEFINITE))
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Singular values
# ---------------------------------------------------------------------------------------------------

# A = U diag(s) Vᴴ, C = Uᴴ dA V  →  ds = Re diag C, and with dU = U Ω + …, dV = V Ψ + …:
# C = Ω S + dS − S Ψ, so that  (Ω + Ψ)_ij = (C + Cᴴ)_ij / (s_j − s_i)  and  (Ω − Ψ)_ij = (C − Cᴴ)_ij / (s_i + s_j).
# For complex A both have diag(iβ) besides: LAPACK's first row of V (of U, for m < n) is real.
# Across the columns: dU has (I − U Uᴴ) dA V S⁻¹ besides, dV has (I − V Vᴴ) dAᴴ U S⁻¹.


def _vanishing(s: Any) -> Any:
    """Which singular values are rounding."""
    return s <= _noise(s)


vanishing = primitive(add(Passive(_vanishing, name="vanishing", arrays=1)))


def _values_push(c: Any, tie: Any, null: Any) -> Any:
    return _shared(_real(_diagonal(c)), tie) * np.logical_not(null)


def _svd_push(t: Any, y: Any, a: Any, full_matrices: bool = True) -> Any:
    u, s, v = y[0], y[1], _H(y[2])
    k = s.shape[-1]
    av, au = t @ v[..., :k], _H(t) @ u[..., :k]
    c, tie, null = _H(u[..., :k]) @ av, tied(s), vanishing(s)
    both = np.logical_and(null[..., None, :], null[..., :, None])
    total = np.where(both, 1, s[..., None, :] + s[..., :, None])
    if c.dtype.kind != "c":  # the diagonal of C − Cᴴ is zero
        both = np.logical_and(both, ~np.eye(k, dtype=bool))
    plus, minus = _over_gaps(c + _H(c), s, tie), over(c - _H(c), total, both)
    du, dv = _turned(u, (plus + minus) / 2, av, s, null), _turned(v, (plus - minus) / 2, au, s, null)
    if c.dtype.kind == "c" and k:
        q, dq = (v, dv) if v.shape[-2] <= u.shape[-2] else (u, du)
        turn = _phase(q[..., :k], dq[..., :k], 0)
        du, dv = _add_to_columns(du, u[..., :k] * turn), _add_to_columns(dv, v[..., :k] * turn)
    d = _real(_diagonal(c))
    du, dv = _known(du, u, d, _undetermined(u, tie, null)), _known(dv, v, d, _undetermined(v, tie, null))
    return du, _values_push(c, tie, null), _H(dv)


def _turned(q: Any, omega: Any, z: Any, s: Any, null: Any) -> Any:
    """The tangent of the columns q: q₁ Ω and, across them, z / s; extra columns q₂ turn with q₁ alone."""
    m, k = z.shape[-2:]
    q1, q2 = q[..., :k], q[..., k:]
    dq, null = q1 @ omega, null[..., None, :]
    if m == k:
        return dq
    z = over(z, s[..., None, :], null)
    if q.shape[-1] == k:
        return dq + z - q1 @ (_H(q1) @ z)
    across = _H(q2) @ z
    return np.concatenate([dq + q2 @ across, -(q1 @ _H(across))], axis=-1)


def _undetermined(q: Any, tie: Any, null: Any) -> Any:
    """Which columns of q a tie, or a singular value of zero, leaves undetermined; the latter the extra ones too."""
    columns, k = q.shape[-1], null.shape[-1]
    several = np.logical_or(_several(tie), null)
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
    return _values_push(_H(u) @ t @ _H(vh), tied(s), vanishing(s))


def _hermitian_svd(a: Any) -> Any:
    """The svd of a Hermitian matrix by its eigenvalues: U, |w| descending, (U sign w)ᴴ."""
    w, u = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w, u = np.take_along_axis(w, order, axis=-1), np.take_along_axis(u, order[..., None, :], axis=-1)
    return _SVD_RESULT(u, np.abs(w), _H(u * np.copysign(1.0, w).astype(w.dtype)[..., None, :]))


_SVD_RESULT = type(np.linalg.svd(np.eye(1)))


class _SVD(_Spectral):
    """np.linalg.svd, thin or full; by np.linalg.svdvals without vectors, by np.linalg.eigh where hermitian=True."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if params.get("hermitian"):
            y = _hermitian_svd(args[0])
            return y if params.get("compute_uv", True) else y[1]
        if not params.get("compute_uv", True):
            return np.linalg.svdvals(args[0])
        return trace.process(self, args, {"full_matrices": bool(params.get("full_matrices", True))})


# fmt: off
add(_SVD(np.linalg.svd, [_svd_push], lambda y: np.logical_or(_several(tied(y[1])), vanishing(y[1])),
    params=["full_matrices", "compute_uv", "hermitian"],
    flops=lambda y, a, full_matrices=True: _svd_flops(a, full_matrices),
    domain=[case(a, full_matrices=False) for a in (A(3, 3), A(4, 2), A(2, 3), A(2, 3, 2))]))
add(Via(np.linalg.svdvals, [_svdvals_push],
    flops=lambda y, a: 4 * np.size(a) * min(a.shape[-2:]) - 4 / 3 * size_of(y) * min(a.shape[-2:]) ** 2,
    domain=TALL_AND_WIDE))
# fmt: on


# ---------------------------------------------------------------------------------------------------
# Norms
# ---------------------------------------------------------------------------------------------------

# Of some axes, which stay with extent 1:  y = (Σ |x|ᵖ)^(1/p)  →  dy = Σ Re(g dx),  g = conj(x)/|x| · (|x|/y)^(p−1)


def _length(x: Any, axes: tuple[int, ...]) -> Any:
    if len(axes) == x.ndim:
        return np.linalg.norm(x, keepdims=True)
    squares = (np.conjugate(x) * x).real if x.dtype.kind == "c" else x * x
    return np.sqrt(np.add.reduce(squares, axis=axes, keepdims=True))


def _length_slope(y: Any, x: Any, **_: Any) -> Any:
    return over(np.conjugate(x) if x.dtype.kind == "c" else x, y, y == 0)


def _p_length(x: Any, axes: tuple[int, ...], p: float) -> Any:
    return np.add.reduce(np.abs(x) ** p, axis=axes, keepdims=True) ** (1 / p)


def _p_slope(y: Any, x: Any, p: float, **_: Any) -> Any:
    size = np.abs(x)
    direction = over(np.conjugate(x), size, size == 0) if x.dtype.kind == "c" else np.sign(x)
    return direction * over(size, y, y == 0) ** (p - 1)


def _norm_row(fn: Any, slope: Any, power: float, domain: Any) -> Any:
    def push(t: Any, y: Any, x: Any, **params: Any) -> Any:
        return np.sum(_real(slope(y, x, **params) * t), axis=trailing(params["axes"], x.ndim), keepdims=True)

    def pull(u: Any, y: Any, x: Any, **params: Any) -> Any:
        return cast(slope(y, x, **params) * u, x.dtype)

    def flops(y: Any, x: Any, **_: Any) -> float:
        return power * np.size(x)

    return primitive(add(Via(fn, [push], [pull], name="linalg.norm", params=["axes", "p"], domain=domain, flops=flops)))


LENGTHS = [case(A(2, 3), axes=(0, 1)), case(A(2, 3), axes=(1,)), case(A(), axes=())]
length = _norm_row(_length, _length_slope, 2, LENGTHS)
p_length = _norm_row(_p_length, _p_slope, 12, [case(A(2, 3), axes=(0, 1), p=3), case(A(2, 3), axes=(1,), p=1.5)])


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = canonical(x)
    every = tuple(range(x.ndim))
    if axis is None and ord is None:
        y, axes = length(x, axes=every), every
    else:
        axes = every if axis is None else tuple(k + x.ndim for k in trailing(axis, x.ndim))
        if not 0 < len(axes) < 3:
            raise ValueError("Improper number of dimensions to norm.")
        if len(set(axes)) < len(axes):
            raise ValueError("Duplicate axes given.")
        y = _vector_norm_of(x, ord, axes) if len(axes) == 1 else _matrix_norm_of(x, ord, axes)
    shape = [1 if k in axes else n for k, n in enumerate(x.shape)]
    return np.reshape(y, shape if keepdims else [n for k, n in enumerate(x.shape) if k not in axes])


def _vector_norm_of(x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord is None or ord == 2:
        return length(x, axes=axes)
    if ord == 0:
        return np.sum(np.where(x != 0, 1, np.zeros((), _real(x).dtype)), axis=axes)
    if ord == 1 or (ord == np.inf and not x.shape[axes[0]]):
        return np.sum(np.abs(x), axis=axes)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axes)
    return p_length(x, axes=axes, p=float(ord))


def _matrix_norm_of(x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    if ord in (None, "fro", "f"):
        return length(x, axes=axes)
    if ord not in (1, -1, 2, -2, np.inf, -np.inf, "nuc"):
        raise ValueError("Invalid norm order for matrices.")
    m = np.moveaxis(x, axes, (-2, -1))
    if not (m.shape[-2] and m.shape[-1]) and ord in (1, 2, np.inf, "nuc"):
        return np.sum(np.abs(m), axis=(-2, -1))
    if ord == "nuc":
        return np.sum(np.linalg.svdvals(m), axis=-1)
    parts = np.linalg.svdvals(m) if abs(ord) == 2 else np.sum(np.abs(m), axis=-2 if abs(ord) == 1 else -1)
    return (np.max if ord > 0 else np.min)(parts, axis=-1)


def _vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Of any number of axes, as one vector."""
    x = canonical(x)
    axes = tuple(k + x.ndim for k in trailing(axis, x.ndim))
    rest = tuple(k for k in range(x.ndim) if k not in axes)
    flat = np.reshape(np.transpose(x, rest + axes), [*(x.shape[k] for k in rest), math.prod(x.shape[k] for k in axes)])
    y = _norm(flat, ord, -1)
    return np.reshape(y, [1 if k in axes else n for k, n in enumerate(x.shape)]) if keepdims else y


def _cond(x: Any, p: Any = None) -> Any:
    """s₁/sₙ, or |A| |A⁻¹| in another norm, which for a singular matrix raises LinAlgError."""
    if not (x.shape[-2] and x.shape[-1]):
        raise LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = np.linalg.svdvals(x)
        first, last = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        with np.errstate(all="ignore"):
            return first / last
    return _norm(x, p, (-2, -1)) * _norm(np.linalg.inv(x), p, (-2, -1))


add(Composite(np.linalg.norm, _norm, domain=NORMS))
add(
    Composite(
        np.linalg.vector_norm,
        _vector_norm,
        domain=[
            case(A(3)),
            case(A(2, 3), axis=1, ord=3),
            case(A(2, 3), keepdims=True),
            case(A(2, 3), axis=(0, 1), ord=1),
            case(A(4), ord=np.inf),
        ],
    )
)
add(
    Composite(
        np.linalg.matrix_norm,
        lambda x, keepdims=False, ord="fro": _norm(x, ord, (-2, -1), keepdims),
        domain=[case(A(2, 3)), case(A(2, 3, 3), ord=2), case(A(2, 3), ord="nuc", keepdims=True), case(A(3, 2), ord=1)],
    )
)
add(
    Composite(
        np.linalg.cond, _cond, domain=[case(A(3, 3)), case(A(3, 3), 1), case(A(3, 3), "fro"), case(A(2, 3, 3), -2)]
    )
)
add(Passive(np.linalg.matrix_rank))

# ---------------------------------------------------------------------------------------------------
# Products and traces
# ---------------------------------------------------------------------------------------------------


def _matrix_power(a: Any, n: int) -> Any:
    """By repeated squaring; a⁰ is the identity, of derivative zero."""
    try:
        n = operator.index(n)
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    square, power, n = np.linalg.inv(a) if n < 0 else a, None, abs(n)
    while n:
        if n % 2:
            power = square if power is None else power @ square
        n //= 2
        if n:
            square = square @ square
    return power


def _trace(x: Any, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x if dtype is None else np.astype(x, dtype), offset, -2, -1)


@lru_cache(maxsize=256)
def _cheapest(dims: tuple[int, ...]) -> Any:
    """The bracketing of a product of matrices, dims[i] × dims[i+1], of fewest multiplications, as nested pairs.

    Dynamic programming (Cormen et al., Introduction to Algorithms, section 15.2).
    """
    n = len(dims) - 1
    best: dict[tuple[int, int], tuple[int, Any]] = {(i, i + 1): (0, i) for i in range(n)}
    for width in range(2, n + 1):
        for i in range(n - width + 1):
            j = i + width
            best[i, j] = min(
                (
                    (best[i, k][0] + best[k, j][0] + dims[i] * dims[k] * dims[j], (best[i, k][1], best[k, j][1]))
                    for k in range(i + 1, j)
                ),
                key=lambda choice: choice[0],
            )
    return best[0, n][1]


def _multi_dot(arrays: Any) -> Any:
    """The product of two or more arrays; the first and the last may be vectors."""
    arrays = [canonical(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    row, column = arrays[0].ndim == 1, arrays[-1].ndim == 1
    arrays[0] = arrays[0][None, :] if row else arrays[0]
    arrays[-1] = arrays[-1][:, None] if column else arrays[-1]
    if any(a.ndim != 2 for a in arrays):
        raise LinAlgError("np.linalg.multi_dot takes matrices, and vectors in the first and last place")

    def product(order: Any) -> Any:
        return product(order[0]) @ product(order[1]) if isinstance(order, tuple) else arrays[order]

    y = product(_cheapest((*(a.shape[0] for a in arrays), arrays[-1].shape[1])))
    return y[(0,) * row + (slice(None),) * (not row) + ((0,) if column else ())]


# fmt: off
add(Composite(np.linalg.matrix_power, _matrix_power,
    domain=[case(A(3, 3), 3), case(A(2, 2), 0), case(A(2, 2), 1), case(_m(2, 3, 3), -2), case(A(2, 2), 6)]))
add(Composite(np.linalg.multi_dot,    _multi_dot,
    domain=[case([A(2, 3), A(3, 4), A(4, 2)]), case([A(3), A(3, 2), A(2)]), case([A(2, 3), A(3)])]))
add(Composite(np.linalg.trace,        _trace, domain=[case(A(3, 3)), case(A(2, 2, 3), offset=1)]))
add(Composite(np.linalg.diagonal,     lambda x, offset=0: np.diagonal(x, offset, -2, -1),
    domain=[case(A(3, 3)), case(A(2, 2, 3), offset=1), case(A(2, 3, 2), offset=-1)]))
# fmt: on
