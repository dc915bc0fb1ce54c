"""scipy.linalg: equations with a structure, factorisations that are used again, functions of matrices.

A function that reads one triangle is differentiated as it computes: the other triangle has derivative zero.  The pull
g of a complex function is what df = Re(Σ g·dz) makes of it.  The one argument of a function of matrices may be a stack
where SciPy's may.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
import scipy.linalg as sl

from ..core.directions import align, gather, spread
from ..core.directions import lead_shape as leading
from ..core.dispatch import canonical, primitive
from ..core.domain import A, case, positive_definite, well_conditioned
from ..core.registry import Composite, Passive, Via
from ..ops.linalg.pieces import H, T, cube, from_triangle
from ..sparse.dependence import opaque, solved, stacked
from .rows import as_argument, as_result, common, computed, mirrors, one_by_one, own

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "circulant",
    "expm",
    "logm",
    "lu_factor",
    "lu_solve",
    "solve",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "toeplitz",
]

Structure = Literal[
    None, "general", "symmetric", "hermitian", "positive definite", "diagonal", "tridiagonal", "upper triangular",
    "lower triangular", "gen", "sym", "her", "pos",
]  # fmt: skip


def _well(*shape: int) -> A:
    return A(*shape, within=well_conditioned)


def _definite(*shape: int) -> A:
    return A(*shape, within=positive_definite)


_REAL = A(3, 3, within=well_conditioned, dtype="f")  # SciPy transposes real matrices alone


# ---------------------------------------------------------------------------------------------------
# Equations:  M y = b  →  dy = M⁻¹ (db − dM y);  b̄ = M⁻ᵀ ȳ,  M̄ = −b̄ yᵀ
# ---------------------------------------------------------------------------------------------------


def _columns(solve: Any, r: Any, b: Any) -> Any:
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


_TURNED = {"upper triangular": "lower triangular", "lower triangular": "upper triangular"}


def _solve(a: Any, b: Any, structure: Any = None) -> Any:
    """The whole matrix has the structure, so that it does not matter which part of it is read."""
    return sl.solve(a, b, **({} if structure is None else {"assume_a": _LONG.get(structure, structure)}))


def _solve_push_matrix(t: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return -_columns(lambda r: whole(a, r, structure=structure), _times(t, y), b)


def _solve_push_rhs(t: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return _columns(lambda r: whole(a, r, structure=structure), t, b)


def _solve_pull_rhs(u: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return _columns(lambda r: whole(T(a), r, structure=_TURNED.get(structure, structure)), u, b)


def _solve_pull_matrix(u: Any, y: Any, a: Any, b: Any, structure: Any = None) -> Any:
    return -_outer(_solve_pull_rhs(u, y, a, b, structure), y)


whole: Any = primitive(
    own(
        Via(
            _solve,
            [as_result(_solve_push_matrix), as_result(_solve_push_rhs)],
            [as_argument(0, _solve_pull_matrix), as_argument(1, _solve_pull_rhs)],
            name="scipy.linalg.solve-whole",
            domain=[case(_well(3, 3), A(3)), case(_well(3, 3), A(3, 2)), case(_well(1, 1), A(1, 1))],
            flops=lambda y, a, b, structure=None: cube(a) * 2 / 3 + 2 * np.size(y) * np.shape(a)[-1],
        ),
        solved,
    )
)

_SHORT = {"gen": "general", "sym": "symmetric", "her": "hermitian", "pos": "positive definite"}
_LONG = {name: short for short, name in _SHORT.items()}
_STRUCTURED = {
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


def _square(name: str, a: Any) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(
            f"{name}: a traced matrix of shape {a.shape}; the rule is for one square matrix. For stacks of matrices "
            "take np.linalg.solve, np.linalg.inv or np.linalg.cholesky."
        )


@mirrors(
    Composite,
    arrays=2,
    domain=[
        case(_well(3, 3), A(3)), case(_well(3, 3), A(3, 2)), case(_REAL, A(3, dtype="f"), transposed=True),
        case(_definite(3, 3), A(3), assume_a="pos"), case(_definite(3, 3), A(3, 2), lower=True, assume_a="her"),
        case(_well(3, 3), A(3), assume_a="sym"), case(_well(3, 3), A(3), assume_a="upper triangular"),
        case(_REAL, A(3, dtype="f"), assume_a="lower triangular", transposed=True),
        case(_well(4, 4), A(4), assume_a="tridiagonal"), case(_well(3, 3), A(3, 2), assume_a="diagonal"),
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
    structure = _SHORT.get(assume_a, assume_a)  # type: ignore[arg-type]
    _square("scipy.linalg.solve", a)
    if structure not in _STRUCTURED:
        raise ValueError(f"scipy.linalg.solve: assume_a={assume_a!r} has no rule; leave it out, and a is looked at.")
    m = _STRUCTURED[structure](a, "L" if lower else "U")  # type: ignore[no-untyped-call]
    turned = _TURNED.get(structure, structure)  # type: ignore[arg-type]
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
    return -_columns(lambda r: triangular(a, r, transposed=transposed, lower=lower, unit=unit), _times(t, y), b)


def _triangular_push_rhs(
    t: Any, y: Any, a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False
) -> Any:
    return _columns(lambda r: triangular(a, r, transposed=transposed, lower=lower, unit=unit), t, b)


def _triangular_pull_rhs(
    u: Any, y: Any, a: Any, b: Any, transposed: bool = False, lower: bool = False, unit: bool = False
) -> Any:
    return _columns(lambda r: triangular(a, r, transposed=not transposed, lower=lower, unit=unit), u, b)


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
                case(_well(3, 3), A(3)), case(_well(3, 3), A(3, 2), transposed=True),
                case(_well(3, 3), A(3), lower=True), case(_well(3, 3), A(3, 2), transposed=True, lower=True, unit=True),
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
        case(_well(3, 3), A(3)), case(_well(3, 3), A(3, 2), lower=True), case(_well(3, 3), A(3), trans="T"),
        case(_well(3, 3), A(3), trans=2, unit_diagonal=True), case(_well(3, 3), A(3, 2), trans="N", lower=True),
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
    _square("scipy.linalg.solve_triangular", a)
    if trans in (2, "C"):
        a = np.conjugate(a)
    return triangular(a, b, transposed=trans not in (0, "N"), lower=lower, unit=unit_diagonal)


# ---------------------------------------------------------------------------------------------------
# Factorisations to be used again
# ---------------------------------------------------------------------------------------------------


@mirrors(Composite, arrays=1, domain=[case(_definite(3, 3)), case(_definite(3, 3), lower=True), case(_definite(1, 1))])
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The Cholesky factor of a positive definite matrix, for `cho_solve`.

    Parameters
    ----------
    a : Hermitian positive definite matrix, of which one triangle is read.
    lower : whether the lower triangle is read and written; else the upper one.
    overwrite_a, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    (c, lower): c holds the factor in its triangle; the other one is that of a, as LAPACK leaves it, or zero where SciPy
        makes it so (from 1.18 on).

    Source: scipy.linalg.cho_factor; Murray, "Differentiation of the Cholesky decomposition" (2016).

    >>> from admodes import grad
    >>> grad(lambda a: np.log(np.diagonal(cho_factor(a)[0])).sum())(2 * np.eye(2))  # ½ log det
    array([[0.25, 0.  ],
           [0.  , 0.25]])
    """
    _square("scipy.linalg.cho_factor", a)
    a = np.astype(a, computed(a.dtype))
    factor = np.linalg.cholesky(from_triangle(a, "L" if lower else "U"))
    read = np.tri(a.shape[0], dtype=bool)
    other = a if _leaves_the_other_triangle() else np.zeros(a.shape, a.dtype)
    return np.where(read if lower else T(read), factor if lower else H(factor), other), lower


@functools.cache
def _leaves_the_other_triangle() -> bool:
    return bool(sl.cho_factor(np.array([[2.0, 1.0], [1.0, 2.0]]))[0][1, 0])


@mirrors(
    Composite,
    arrays=0,
    domain=[
        case((_well(3, 3), False), A(3)), case((_well(3, 3), True), A(3, 2)), case((_well(1, 1), False), A(1)),
    ],
)  # fmt: skip
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """The solution x of a x = b from the Cholesky factor of a: two triangular solves.

    Parameters
    ----------
    c_and_lower : (c, lower), as `cho_factor` gives them.
    b : right-hand side, a vector (n,) or columns (n, p).
    overwrite_b, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    x, of the shape of b.

    Source: scipy.linalg.cho_solve; Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), A.4.

    >>> from admodes import grad
    >>> y = np.array([1.0, 2.0])
    >>> grad(lambda s: y @ cho_solve(cho_factor(s * np.eye(2)), y))(2.0).round(12)  # −|y|²/s²
    np.float64(-1.25)
    """
    c, lower = c_and_lower
    c, b = canonical(c), canonical(b)
    _square("scipy.linalg.cho_solve", c)
    first, second = (c, np.conjugate(c)) if lower else (np.conjugate(c), c)
    z = triangular(first, b, transposed=not lower, lower=lower)
    return triangular(second, z, transposed=lower, lower=lower)


# P A = L U  →  L⁻¹ P dA U⁻¹ = L⁻¹ dL + dU U⁻¹: strictly lower and upper triangular


def _lu(a: Any) -> Any:
    """The factors in one matrix, and the exchanges of rows, as numbers of its dtype."""
    lu, exchanges = sl.lu_factor(a)
    return lu, exchanges.astype(lu.dtype)


def _lu_push(t: Any, y: Any, a: Any) -> Any:
    lu, exchanges = y
    t = np.take(t, order(exchanges), axis=-2)
    left = _columns(lambda r: triangular(lu, r, lower=True, unit=True), t, a)
    f = T(_columns(lambda r: triangular(lu, r, transposed=True), T(left), a))
    unit = np.tril(lu, -1) + np.eye(a.shape[0], dtype=lu.dtype)
    return unit @ np.tril(f, -1) + np.triu(f) @ np.triu(lu), np.zeros(t.shape[:-1], lu.dtype)


def _order(exchanges: Any) -> Any:
    """The rows of P: what exchanging row i with row exchanges[i], one after the other, makes of 0, 1, 2, …"""
    rows = np.arange(len(exchanges))
    for i, j in enumerate(np.real(exchanges).astype(int)):
        rows[[i, j]] = rows[[j, i]]
    return rows


order: Any = primitive(Passive(_order, name="scipy.linalg.lu-order", arrays=1))
_whole_numbers: Any = primitive(
    Passive(lambda p: np.real(p).astype(np.int32), name="scipy.linalg.lu-exchanges", arrays=1)
)
factors: Any = primitive(
    own(
        Via(
            _lu,
            [_lu_push],
            name="scipy.linalg.lu_factor-1",
            domain=[case(_well(3, 3)), case(_well(1, 1))],
            flops=lambda y, a: cube(a) * 2 / 3,
        ),
        opaque,
    )
)


@mirrors(
    Composite, arrays=1, domain=[case(_well(3, 3)), case(A(3, 3, within=lambda x: np.flip(well_conditioned(x), 0)))]
)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The LU factorisation of a square matrix with exchanges of rows, for `lu_solve`.

    Parameters
    ----------
    a : square matrix.
    overwrite_a, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    (lu, piv): U in the upper triangle, L below it; row i was exchanged with row piv[i].  piv is plain.

    Source: scipy.linalg.lu_factor; Golub and Van Loan, "Matrix Computations" (4th ed., 2013), section 3.4.

    >>> from admodes import grad
    >>> grad(lambda a: lu_factor(a)[0][1, 1])(np.array([[2.0, 1.0], [1.0, 3.0]]))
    array([[ 0.25, -0.5 ],
           [-0.5 ,  1.  ]])
    """
    _square("scipy.linalg.lu_factor", a)
    lu, exchanges = factors(a)
    return lu, _whole_numbers(exchanges)


_PIVOTS = np.array([2, 1, 2], dtype=np.int32)


@mirrors(
    Composite,
    arrays=0,
    domain=[
        case((_well(3, 3), _PIVOTS), A(3)), case((_well(3, 3), _PIVOTS), A(3, 2), 1),
        case((_well(3, 3), _PIVOTS), A(3), 2),
    ],
)  # fmt: skip
def lu_solve(
    lu_and_piv: Any, b: Any, trans: Literal[0, 1, 2] = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution x of a x = b from the LU factorisation of a: two triangular solves.

    Parameters
    ----------
    lu_and_piv : (lu, piv), as `lu_factor` gives them.
    b : right-hand side, a vector (n,) or columns (n, p).
    trans : 0 for a x = b, 1 for aᵀ x = b, 2 for aᴴ x = b.
    overwrite_b, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    x, of the shape of b.

    Source: scipy.linalg.lu_solve; Golub and Van Loan, "Matrix Computations" (4th ed., 2013), section 3.4.

    >>> from admodes import grad
    >>> kept = lu_factor(np.array([[2.0, 1.0], [1.0, 3.0]]))
    >>> grad(lambda b: lu_solve(kept, b)[0])(np.ones(2))
    array([ 0.6, -0.2])
    """
    lu, exchanges = lu_and_piv
    lu, b = canonical(lu), canonical(b)
    _square("scipy.linalg.lu_solve", lu)
    rows = order(exchanges)
    if trans == 0:
        return triangular(lu, triangular(lu, b[rows], lower=True, unit=True))
    lu = np.conjugate(lu) if trans == 2 else lu
    z = triangular(lu, triangular(lu, b, transposed=True), transposed=True, lower=True, unit=True)
    return z[np.argsort(rows)]


# ---------------------------------------------------------------------------------------------------
# Functions of matrices
# ---------------------------------------------------------------------------------------------------

# The derivative L of f in direction E stands in f([[A, E], [0, A]]) = [[f(A), L(A, E)], [0, f(A)]] (Higham, "Functions
# of Matrices", 2008, theorem 3.6), and its transpose is L(Aᵀ, U).  By A, L is a corner of the L of the block matrix.


def _beside(a: Any, e: Any) -> Any:
    """[[a, e], [0, a]], for each of the directions e."""
    a = np.broadcast_to(a, e.shape)
    zero = np.zeros_like(a)
    return np.concatenate([np.concatenate([a, e], axis=-1), np.concatenate([zero, a], axis=-1)], axis=-2)


def _corner(x: Any) -> Any:
    n = x.shape[-1] // 2
    return x[..., :n, n:]


class _Derivative(Via):
    """The derivative L(A, E) of a function of matrices, linear in E."""

    def __init__(self, name: str, at: Any, domain: Any, flops: float) -> None:
        super().__init__(
            at,
            [as_result(self._by_matrix), as_result(lambda t, y, a, e: self.of(a, t))],
            [None, as_argument(1, lambda u, y, a, e: self.of(T(a), u))],
            name=name,
            domain=domain,
            flops=lambda y, a, e: flops * cube(e),
        )
        self.of: Any = primitive(own(self, stacked))

    def _by_matrix(self, t: Any, y: Any, a: Any, e: Any) -> Any:
        lead = leading(t, a)
        t = spread(align(t, a.ndim, y.ndim), y.shape, lead)
        e = np.broadcast_to(e, t.shape)
        zero = np.zeros_like(t)
        twice = np.concatenate([np.concatenate([t, zero], axis=-1), np.concatenate([zero, t], axis=-1)], axis=-2)
        return _corner(self.of(_beside(a, e), twice))


def _exponential_derivative(a: Any, e: Any) -> Any:
    dtype = computed(np.result_type(a, e))
    a, e = a.astype(dtype), e.astype(dtype)
    if a.ndim == e.ndim == 2:
        y = sl.expm_frechet(a, e, compute_expm=False)
    else:
        y = _corner(sl.expm(_beside(a, np.broadcast_to(e, np.broadcast_shapes(a.shape, e.shape)))))
    return y.astype(dtype, copy=False)


_EXPM = _Derivative(
    "scipy.linalg.expm_frechet",
    _exponential_derivative,
    [case(A(3, 3), A(3, 3)), case(A(2, 2), A(2, 2, 2)), case(A(2, 2, 2), A(2, 2, 2))],
    60.0,
)


@mirrors(
    Via,
    [as_result(lambda t, y, a: _EXPM.of(a, t))],
    [as_argument(0, lambda u, y, a: _EXPM.of(T(a), u))],
    domain=[case(A(3, 3)), case(A(2, 2, 2)), case(A(1, 1))],
    flops=lambda y, a: 20 * cube(a),
    pattern=stacked,
)
def expm(A: Any) -> Any:
    """The exponential of a matrix, Σ Aᵏ/k!; its derivative by the algorithm of Al-Mohy and Higham.

    Parameters
    ----------
    A : square matrix, or a stack of them.

    Returns
    -------
    e^A, of the shape of A.

    Source: scipy.linalg.expm and expm_frechet; Al-Mohy and Higham, "Computing the Fréchet derivative of the matrix
    exponential", SIAM J. Matrix Anal. Appl. 30 (2009), algorithm 6.4.

    >>> from admodes import grad
    >>> grad(lambda w: expm(w * np.array([[0.0, -1.0], [1.0, 0.0]]))[1, 0])(0.0)  # sin w
    np.float64(1.0)
    """
    return sl.expm(A)


def _no_wider(name: str, a: Any, y: Any) -> Any:
    """An error where the result is complex of a real matrix: what is traced, or compiled, cannot change its dtype."""
    if y.dtype.kind == "c" and np.result_type(a).kind != "c":
        raise ValueError(
            f"scipy.linalg.{name}: a traced real matrix with eigenvalues on the negative real axis has a complex "
            f"result. Give a complex matrix: {name}(A.astype(complex))."
        )
    return y


def _log(a: Any) -> Any:
    return one_by_one(sl.logm, a)


def _logarithm_derivative(a: Any, e: Any) -> Any:
    """In double precision, of which SciPy's algorithm loses half."""
    block = _beside(a, np.broadcast_to(e, np.broadcast_shapes(a.shape, e.shape)))
    y = _no_wider("logm", block, _corner(_log(block.astype(np.result_type(block, float)))))
    return y.astype(block.dtype, copy=False)


_LOGM = _Derivative(
    "scipy.linalg.logm-derivative",
    _logarithm_derivative,
    [case(_definite(3, 3), A(3, 3)), case(_definite(2, 2), A(2, 2, 2))],
    200.0,
)


@mirrors(
    Via,
    [as_result(lambda t, y, a: _LOGM.of(a, t))],
    [as_argument(0, lambda u, y, a: _LOGM.of(T(a), u))],
    domain=[case(_definite(3, 3)), case(_definite(1, 1))],
    flops=lambda y, a: 60 * cube(a),
    pattern=stacked,
)
def logm(A: Any) -> Any:
    """The logarithm of a matrix: the principal solution Y of e^Y = A.

    Parameters
    ----------
    A : square matrix without eigenvalues on the negative real axis.

    Returns
    -------
    log A, of the shape of A.

    Raises
    ------
    ValueError : a traced real matrix whose logarithm is complex.

    Source: scipy.linalg.logm; Al-Mohy, Higham and Relton, "Computing the Fréchet derivative of the matrix logarithm
    and estimating the condition number", SIAM J. Sci. Comput. 35 (2013).

    >>> from admodes import grad
    >>> grad(lambda s: logm(s * np.eye(2))[0, 0])(2.0).round(6)
    np.float64(0.5)
    """
    return _no_wider("logm", A, sl.logm(A))


# ---------------------------------------------------------------------------------------------------
# Matrix equations
# ---------------------------------------------------------------------------------------------------

# A X + X B = Q  →  A dX + dX B = dQ − dA X − X dB;  Q̄ solves the same with Aᵀ and Bᵀ


def _sylvester(a: Any, b: Any, q: Any) -> Any:
    """SciPy's; of a stack of right-hand sides the Schur forms serve all.  (SciPy's is wrong of real beside complex.)"""
    if np.ndim(q) == 2:
        a, b, q = common(a, b, q)
        return sl.solve_sylvester(a, b, q)
    kind = "complex" if np.result_type(a, b, q).kind == "c" else "real"
    (r, u), (s, v) = sl.schur(a, output=kind), sl.schur(np.conj(T(b)), output=kind)
    (trsyl,) = sl.get_lapack_funcs(("trsyl",), (r, s, q))
    f = np.conj(T(u)) @ q @ v
    turned = "C" if kind == "complex" else "T"

    def one(f: Any) -> Any:
        y, scale, _ = trsyl(r, s, f, tranb=turned)
        return y / scale

    return u @ one_by_one(one, f) @ np.conj(T(v))


def _sylvester_push_left(t: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return -solve_sylvester(a, b, align(t, 2, y.ndim) @ y)


def _sylvester_push_right(t: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return -solve_sylvester(a, b, y @ align(t, 2, y.ndim))


def _sylvester_pull_left(u: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return gather(-(solve_sylvester(T(a), T(b), u) @ T(y)), a.shape, u.ndim - y.ndim)


def _sylvester_pull_right(u: Any, y: Any, a: Any, b: Any, q: Any) -> Any:
    return gather(-(T(y) @ solve_sylvester(T(a), T(b), u)), b.shape, u.ndim - y.ndim)


@mirrors(
    Via,
    [
        as_result(_sylvester_push_left),
        as_result(_sylvester_push_right),
        as_result(lambda t, y, a, b, q: solve_sylvester(a, b, t)),
    ],
    [
        as_argument(0, _sylvester_pull_left),
        as_argument(1, _sylvester_pull_right),
        as_argument(2, lambda u, y, a, b, q: solve_sylvester(T(a), T(b), u)),
    ],
    arrays=3,
    domain=[
        case(_well(3, 3), _well(2, 2), A(3, 2)), case(_well(1, 1), _well(2, 2), A(1, 2)),
        case(_well(2, 2), _well(2, 2), A(2, 1, 2, 2)),
    ],
    corrected=True,
    flops=lambda y, a, b, q: 25 * (cube(a) + cube(b)) + 5 * np.size(q) * (np.shape(a)[0] + np.shape(b)[0]),
)  # fmt: skip
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution X of a X + X b = q.

    Parameters
    ----------
    a : square matrix (m, m).
    b : square matrix (n, n); no eigenvalue of a is minus one of b.
    q : right-hand side (m, n), or a stack of them.

    Returns
    -------
    X, of the shape of q.  (SciPy's own is wrong where a is real with complex eigenvalues and b or q complex; here all
    are taken for complex then.)

    Source: scipy.linalg.solve_sylvester; Bartels and Stewart, "Solution of the matrix equation AX + XB = C",
    Communications of the ACM 15 (1972), algorithm 432.

    >>> from admodes import grad
    >>> grad(lambda q: solve_sylvester(np.eye(2), 3 * np.eye(2), q).sum())(np.ones((2, 2)))
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return _sylvester(a, b, q)


# Y² = A  →  Y dY + dY Y = dA


@mirrors(
    Via,
    [as_result(lambda t, y, a: solve_sylvester(y, y, t))],
    [as_argument(0, lambda u, y, a: solve_sylvester(T(y), T(y), u))],
    domain=[case(_definite(3, 3)), case(_definite(1, 1))],
    flops=lambda y, a: 28 * cube(a),
)
def sqrtm(A: Any) -> Any:
    """The square root of a matrix: the principal solution Y of Y Y = A.

    Parameters
    ----------
    A : square matrix without eigenvalues on the negative real axis.

    Returns
    -------
    Y, of the shape of A.

    Raises
    ------
    ValueError : a traced real matrix whose root is complex.

    Source: scipy.linalg.sqrtm; Higham, "Functions of Matrices" (2008), section 6.1.

    >>> from admodes import grad
    >>> grad(lambda s: sqrtm(s * np.eye(2))[0, 0])(4.0)
    np.float64(0.25)
    """
    _square("scipy.linalg.sqrtm", A)
    return _no_wider("sqrtm", A, sl.sqrtm(A))


# A X Aᴴ − X + Q = 0  →  A dX Aᴴ − dX + (dQ + dA X Aᴴ + A X dAᴴ) = 0;  Q̄ solves Aᵀ Q̄ Ā − Q̄ + X̄ = 0


def _lyapunov_push(t: Any, y: Any, a: Any, q: Any, method: Any = None) -> Any:
    t = align(t, 2, y.ndim)
    return solve_discrete_lyapunov(a, t @ y @ H(a) + a @ y @ H(t), method)


@mirrors(
    Via,
    [as_result(_lyapunov_push), as_result(lambda t, y, a, q, method=None: solve_discrete_lyapunov(a, t, method))],
    [None, as_argument(1, lambda u, y, a, q, method=None: solve_discrete_lyapunov(T(a), u, method))],
    arrays=2,
    domain=[
        case(A(3, 3, within=lambda x: x / 8), A(3, 3)),
        case(A(2, 2, within=lambda x: x / 6), A(2, 2, 2), method="bilinear"),
    ],
    corrected=True,
    flops=lambda y, a, q, method=None: 2 / 3 * float(np.size(a)) ** 3 if np.shape(a)[0] < 10 else 60 * cube(a),
)
def solve_discrete_lyapunov(a: Any, q: Any, method: Literal[None, "direct", "bilinear"] = None) -> Any:
    """The solution X of a X aᴴ − X + q = 0: the steady state of a covariance that a carries and q feeds.

    Parameters
    ----------
    a : square matrix (n, n), with no two eigenvalues λ μ̄ = 1.
    q : matrix (n, n), or a stack of them.
    method : "direct", as one linear system of n² unknowns, "bilinear", as a continuous equation, or None, the first
        for n < 10.

    Returns
    -------
    X, of the shape of q.

    Source: scipy.linalg.solve_discrete_lyapunov; Gajić and Qureshi, "Lyapunov Matrix Equation in System Stability and
    Control" (1995), chapter 3.

    >>> from admodes import grad
    >>> grad(lambda r: solve_discrete_lyapunov(r * np.eye(1), np.eye(1))[0, 0])(0.5).round(4)  # 1/(1 − r²)
    np.float64(1.7778)
    """
    a, q = common(a, q)
    return one_by_one(lambda q: sl.solve_discrete_lyapunov(a, q, method=method), q)


# ---------------------------------------------------------------------------------------------------
# Matrices made of vectors and blocks
# ---------------------------------------------------------------------------------------------------


@mirrors(
    Composite,
    arrays=None,
    domain=[case(A(2, 2), A(1, 3)), case(A(2), A(3, 1), A()), case(A(2, 3)), case(A(0, 2), A(1, 1))],
)
def block_diag(*arrs: Any) -> Any:
    """A matrix with the given ones along its diagonal, and zeros elsewhere.

    Parameters
    ----------
    *arrs : matrices; a vector counts as one row, a number as a matrix of one element.

    Returns
    -------
    The matrix, with all their rows and all their columns.

    Source: scipy.linalg.block_diag.

    >>> from admodes import grad
    >>> grad(lambda a: (block_diag(a, 5.0) ** 2).sum())(np.ones((2, 2)))
    array([[2., 2.],
           [2., 2.]])
    """
    blocks = [np.atleast_2d(canonical(a)) for a in arrs]
    widths = [b.shape[1] for b in blocks]
    rows = [np.pad(b, ((0, 0), (sum(widths[:i]), sum(widths[i + 1 :])))) for i, b in enumerate(blocks)]
    return np.concatenate(rows)


@mirrors(Composite, arrays=2, domain=[case(A(3)), case(A(3), A(4)), case(A(1), A(3)), case(A(2), A(1))])
def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix with constant diagonals: c is its first column, r its first row.

    Parameters
    ----------
    c : vector (m,).
    r : vector (n,), of which r[0] is not read; the conjugate of c where it is left out.

    Returns
    -------
    The matrix (m, n).

    Raises
    ------
    ValueError : traced arrays that are no vectors.

    Source: scipy.linalg.toeplitz.

    >>> from admodes import jacfwd
    >>> toeplitz(np.array([1.0, 2.0]), np.array([1.0, 3.0, 4.0]))
    array([[1., 3., 4.],
           [2., 1., 3.]])
    >>> jacfwd(lambda c: toeplitz(c).sum())(np.ones(3))
    array([3., 4., 2.])
    """
    c = _vector("toeplitz", c)
    r = np.conjugate(c) if r is None else _vector("toeplitz", r)
    m, n = c.size, r.size
    return np.concatenate([c[::-1], r[1:]])[m - 1 - np.arange(m)[:, None] + np.arange(n)]


@mirrors(Composite, arrays=1, domain=[case(A(3)), case(A(1))])
def circulant(c: Any) -> Any:
    """The circulant matrix of which c is the first column: C[i, j] = c[i − j].

    Parameters
    ----------
    c : vector (n,).

    Returns
    -------
    The matrix (n, n).

    Raises
    ------
    ValueError : a traced array that is no vector.

    Source: scipy.linalg.circulant.

    >>> from admodes import jacfwd
    >>> jacfwd(lambda c: circulant(c) @ np.array([1.0, 0.0, 0.0]))(np.ones(3))
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    c = _vector("circulant", c)
    i = np.arange(c.size)
    return c[i[:, None] - i]


def _vector(name: str, x: Any) -> Any:
    if x.ndim != 1:
        raise ValueError(f"scipy.linalg.{name}: a traced array of shape {x.shape}; the rule is for vectors.")
    return x
