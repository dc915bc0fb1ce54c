"""Equations with a structure:  M y = b  →  dy = M⁻¹ (db − dM y);  b̄ = M⁻ᵀ ȳ,  M̄ = −b̄ yᵀ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy.linalg as sl

from ...core.dispatch import primitive
from ...core.domain import A, case
from ...core.registry import Composite, Via
from ...ops.linalg.pieces import T, cube, from_triangle
from ...sparse.dependence import solved
from ..rows import as_argument, as_result, mirrors, own
from .pieces import REAL, definite, square, well

Structure = Literal[
    None, "general", "symmetric", "hermitian", "positive definite", "diagonal", "tridiagonal", "upper triangular",
    "lower triangular", "gen", "sym", "her", "pos",
]  # fmt: skip


def columns(solve: Any, r: Any, b: Any) -> Any:
    """solve(r) of directions r of b, one vector or matrix: K of them as columns beside each other."""
    if r.ndim == b.ndim:
        return solve(r)
    if b.ndim == 1:
        return T(solve(T(r)))
    k, (n, p) = r.shape[0], b.shape
    z = solve(np.reshape(np.moveaxis(r, 0, -1), (n, p * k)))
    return np.moveaxis(np.reshape(z, (z.shape[0], p, k)), -1, 0)


def _outer(g: Any, y: Any) -> Any:
    """Σ over the columns of g yᵀ."""
    return g[..., :, None] * y[..., None, :] if y.ndim == 1 else g @ T(y)


def _times(t: Any, y: Any) -> Any:
    return t @ y


_TURNED: dict[Any, str] = {"upper triangular": "lower triangular", "lower triangular": "upper triangular"}


def _solve(a: Any, b: Any, structure: Any = None) -> Any:
    """The whole matrix has the structure, so that it does not matter which part of it is read."""
    return sl.solve(a, b, **({} if structure is None else {"assume_a": _LONG.get(structure, structure)}))


def _solve_push_matrix(t: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return -columns(lambda r: whole(a, r, structure=structure), _times(t, y), b)


def _solve_push_rhs(t: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return columns(lambda r: whole(a, r, structure=structure), t, b)


def _solve_pull_rhs(u: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return columns(lambda r: whole(T(a), r, structure=_TURNED.get(structure, structure)), u, b)


def _solve_pull_matrix(u: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return -_outer(_solve_pull_rhs(u, y, a, b, structure), y)


whole: Any = primitive(
    own(
        Via(
            _solve,
            [as_result(_solve_push_matrix), as_result(_solve_push_rhs)],
            [as_argument(0, _solve_pull_matrix), as_argument(1, _solve_pull_rhs)],
            name="scipy.linalg.solve-whole",
            domain=[case(well(3, 3), A(3)), case(well(3, 3), A(3, 2)), case(well(1, 1), A(1, 1))],
            flops=lambda y, a, b, structure=None: cube(a) * 2 / 3 + 2 * np.size(y) * np.shape(a)[-1],
        ),
        solved,
    )
)

_SHORT: dict[Any, str] = {"gen": "general", "sym": "symmetric", "her": "hermitian", "pos": "positive definite"}
_LONG = {name: short for short, name in _SHORT.items()}
_STRUCTURED: dict[Any, Callable[[Any, str], Any]] = {
    None: lambda a, uplo: a,
    "general": lambda a, uplo: a,
    "symmetric": lambda a, uplo: _mirrored(a, uplo),
    "hermitian": from_triangle,
    "positive definite": from_triangle,
    "diagonal": lambda a, uplo: np.diag(np.diagonal(a)),
    "tridiagonal": lambda a, uplo: np.tril(np.triu(a, -1), 1),
    "upper triangular": lambda a, uplo: np.triu(a),
    "lower triangular": lambda a, uplo: np.tril(a),
}


def _mirrored(a: Any, uplo: str) -> Any:
    """The symmetric matrix with this triangle."""
    s = np.tril(a, -1) if uplo == "L" else np.triu(a, 1)
    return s + T(s) + np.diag(np.diagonal(a))


@mirrors(
    Composite,
    arrays=2,
    domain=[
        case(well(3, 3), A(3)), case(well(3, 3), A(3, 2)), case(REAL, A(3, dtype="f"), transposed=True),
        case(definite(3, 3), A(3), assume_a="pos"), case(definite(3, 3), A(3, 2), lower=True, assume_a="her"),
        case(well(3, 3), A(3), assume_a="sym"), case(well(3, 3), A(3), assume_a="upper triangular"),
        case(REAL, A(3, dtype="f"), assume_a="lower triangular", transposed=True),
        case(well(4, 4), A(4), assume_a="tridiagonal"), case(well(3, 3), A(3, 2), assume_a="diagonal"),
    ],
)  # fmt: skip
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Structure = None,
    transposed: bool = False,
) -> Any:
    """The solution x of a x = b, where a may be known to have a structure.

    Parameters
    ----------
    a : square matrix.
    b : right-hand side, a vector (n,) or columns (n, p).
    lower : whether the lower triangle is read where a structure needs one alone; else the upper one.
    overwrite_a, overwrite_b, check_finite : as in SciPy; without effect on traced values.
    assume_a : the structure: None, which looks for one, "general" ("gen"), "symmetric" ("sym"), "hermitian" ("her"),
        "positive definite" ("pos"), "diagonal", "tridiagonal", "upper triangular" or "lower triangular".  The part of
        a that is not read has derivative zero.
    transposed : solve aᵀ x = b.

    Returns
    -------
    x, of the shape of b.

    Raises
    ------
    ValueError : a traced stack of matrices; a structure without a rule ("banded").

    Source: scipy.linalg.solve; Giles, "An extended collection of matrix derivative results" (2008), 2.3.1.

    >>> from admodes import grad
    >>> a = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> grad(lambda b: solve(a, b, assume_a="pos")[0])(np.ones(2))
    array([ 0.6, -0.2])
    """
    structure = _SHORT.get(assume_a, assume_a)
    square("scipy.linalg.solve", a)
    if structure not in _STRUCTURED:
        raise ValueError(f"scipy.linalg.solve: assume_a={assume_a!r} has no rule; leave it out, and a is looked at.")
    m = _STRUCTURED[structure](a, "L" if lower else "U")
    turned = _TURNED.get(structure, structure)
    return whole(T(m), b, structure=turned) if transposed else whole(m, b, structure=structure)


def _triangle(a: Any, lower: bool, unit: bool) -> Any:
    """The part of a matrix, or of directions of one, that is read."""
    return np.tril(a, -1 if unit else 0) if lower else np.triu(a, 1 if unit else 0)


def _triangular(a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False) -> Any:
    return sl.solve_triangular(a, b, trans=int(transposed), lower=lower, unit_diagonal=unit)


def _triangular_push_matrix(
    t: Any, y: Any, a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False
) -> Any:
    t = _triangle(t, lower, unit)
    t = T(t) if transposed else t
    return -columns(lambda r: triangular(a, r, transposed=transposed, lower=lower, unit=unit), _times(t, y), b)


def _triangular_push_rhs(
    t: Any, y: Any, a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False
) -> Any:
    return columns(lambda r: triangular(a, r, transposed=transposed, lower=lower, unit=unit), t, b)


def _triangular_pull_rhs(
    u: Any, y: Any, a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False
) -> Any:
    return columns(lambda r: triangular(a, r, transposed=not transposed, lower=lower, unit=unit), u, b)


def _triangular_pull_matrix(
    u: Any, y: Any, a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False
) -> Any:
    g = -_outer(_triangular_pull_rhs(u, y, a, b, transposed, lower, unit), y)
    return _triangle(T(g) if transposed else g, lower, unit)


triangular: Any = primitive(
    own(
        Via(
            _triangular,
            [as_result(_triangular_push_matrix), as_result(_triangular_push_rhs)],
            [as_argument(0, _triangular_pull_matrix), as_argument(1, _triangular_pull_rhs)],
            name="scipy.linalg.solve_triangular-1",
            domain=[
                case(well(3, 3), A(3)), case(well(3, 3), A(3, 2), transposed=True),
                case(well(3, 3), A(3), lower=True), case(well(3, 3), A(3, 2), transposed=True, lower=True, unit=True),
            ],
            flops=lambda y, a, b, **_: np.size(y) * np.shape(a)[-1],
        ),
        solved,
    )
)  # fmt: skip


@mirrors(
    Composite,
    arrays=2,
    domain=[
        case(well(3, 3), A(3)), case(well(3, 3), A(3, 2), lower=True), case(well(3, 3), A(3), trans="T"),
        case(well(3, 3), A(3), trans=2, unit_diagonal=True), case(well(3, 3), A(3, 2), trans="N", lower=True),
    ],
)  # fmt: skip
def solve_triangular(
    a: Any,
    b: Any,
    trans: Literal[0, 1, 2, "N", "T", "C"] = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution x of a x = b for a triangular matrix, one triangle of a.

    Parameters
    ----------
    a : square matrix, of which one triangle is read.
    b : right-hand side, a vector (n,) or columns (n, p).
    trans : 0 or "N" for a x = b, 1 or "T" for aᵀ x = b, 2 or "C" for aᴴ x = b.
    lower : whether the triangle is the lower one.
    unit_diagonal : the diagonal is taken for 1 and not read.
    overwrite_b, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    x, of the shape of b.

    Source: scipy.linalg.solve_triangular; Giles, "An extended collection of matrix derivative results" (2008), 2.3.1.

    >>> from admodes import grad
    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> grad(lambda a: solve_triangular(a, np.ones(2), lower=True)[1])(a)
    array([[ 0.0625 ,  0.     ],
           [-0.125  , -0.03125]])
    """
    square("scipy.linalg.solve_triangular", a)
    if trans in (2, "C"):
        a = np.conjugate(a)
    return triangular(a, b, transposed=trans not in (0, "N"), lower=lower, unit=unit_diagonal)
