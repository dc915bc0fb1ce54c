"""What the rules share: transposes, triangles, quotients by gaps, counts, and where the rows are sampled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.directions import align, cast, gather
from ...core.dispatch import primitive
from ...core.domain import NONZERO, A, case, positive_definite, well_conditioned
from ...core.registry import Via, add, size_of
from ...core.zeros import undetermined

# Where the rows below are sampled.


def well(*shape: int) -> A:
    return A(*shape, within=well_conditioned)


SQUARE = [case(well(3, 3)), case(well(1, 1)), case(well(2, 3, 3)), case(well(0, 2, 2)), case(well(2, 2, 2, 2))]
SOLVE = [
    case(well(3, 3), A(3)), case(well(3, 3), A(3, 2)), case(well(3, 3), A(2, 3, 2)),
    case(well(2, 3, 3), A(3)), case(well(2, 3, 3), A(3, 2)), case(well(2, 3, 3), A(2, 3, 1)),
    case(well(2, 1, 2, 2), A(3, 2, 2)), case(well(0, 2, 2), A(0, 2, 1)), case(well(2, 2), A(2, 0)),
]  # fmt: skip
DEFINITE = [case(A(*shape, within=positive_definite)) for shape in ((3, 3), (1, 1), (2, 3, 3))]
TALL_AND_WIDE = [case(A(3, 3)), case(A(4, 2)), case(A(2, 3)), case(A(2, 3, 2))]
NORMS = [
    case(A(3)), case(A(2, 3)), case(A(2, 3), keepdims=True), case(A(2, 3), axis=-1),
    *(case(A(4), ord) for ord in (1, 2, 3, 0.5, -1, np.inf, -np.inf)),
    *(case(A(3, 2), ord) for ord in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")),
    case(A(2, 3, 2), 2, axis=(0, -1), keepdims=True), case(A(2, 3), 3, axis=0), case(A(0, 3), axis=1), case(A()),
]  # fmt: skip


def T(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def H(x: Any) -> Any:
    return np.conjugate(T(x)) if x.dtype.kind == "c" else T(x)


def real_part(x: Any) -> Any:
    return np.real(x) if x.dtype.kind == "c" else x


def diagonal(x: Any) -> Any:
    return np.diagonal(x, axis1=-2, axis2=-1)


def as_columns(z: Any, b: Any) -> Any:
    """A vector right-hand side (NumPy: b of one axis) as a matrix of one column."""
    return z[..., None] if b.ndim == 1 else z


def as_given(z: Any, b: Any) -> Any:
    return z[..., 0] if b.ndim == 1 else z


def trace_of_product(x: Any, t: Any) -> Any:
    """tr(x t), a matrix at a time."""
    return np.sum(T(x) * t, axis=(-2, -1))


def from_triangle(t: Any, uplo: str) -> Any:
    """The Hermitian matrix that LAPACK sees in one triangle of t."""
    s = np.tril(t, -1) if uplo.upper() == "L" else np.triu(t, 1)
    return s + H(s) + np.where(np.eye(t.shape[-1], dtype=bool), real_part(t), 0)


def rounding(s: Any) -> Any:
    """Differences of eigenvalues or singular values s up to this are rounding."""
    largest = np.max(np.abs(s), axis=-1, keepdims=True, initial=0)
    return 4 * s.shape[-1] * np.finfo(s.dtype).eps * largest


# x / gap, in which a gap of zero does not count where x is 0, and gives nan elsewhere -------------------


def _over(x: Any, gap: Any, singular: Any) -> Any:
    """x / gap; where `singular`, 0 for x = 0 and nan for any other x.  gap broadcasts to x."""
    if not np.any(singular):
        return x / gap
    if np.any(singular & (x != 0)):
        undetermined()
    y = np.where(singular, np.where(x == 0, 0, np.nan), x / np.where(singular, 1, gap))
    return y.astype(np.result_type(x, gap), copy=False)


def _over_push_gap(t: Any, y: Any, x: Any, gap: Any, singular: Any) -> Any:
    return -over(y * align(t, np.ndim(gap), y.ndim), gap, singular)


def _over_pull_gap(u: Any, y: Any, x: Any, gap: Any, singular: Any) -> Any:
    return cast(gather(-over(y * u, gap, singular), gap.shape, u.ndim - y.ndim), gap.dtype)


OVER = Via(
    _over,
    [lambda t, y, x, gap, singular: over(t, gap, singular), _over_push_gap, None],
    [lambda u, y, x, gap, singular: cast(over(u, gap, singular), x.dtype), _over_pull_gap, None],
    name="over",
    domain=[case(A(2, 3), A(*shape, within=NONZERO), np.zeros(shape, bool)) for shape in ((2, 3), (3,))],
    flops=lambda y, x, gap, singular: size_of(y),
)
over: Any = primitive(add(OVER))


def cube(a: Any) -> float:
    return float(np.size(a)) * np.shape(a)[-1]


def svd_flops(a: Any, full: bool = False) -> float:
    n, m = sorted(np.shape(a)[-2:])
    stack = np.size(a) / max(m * n, 1)
    return stack * (4 * m * m * n + 8 * m * n * n + 9 * n**3 if full else 14 * m * n * n + 8 * n**3)
