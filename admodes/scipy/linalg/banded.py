"""Banded equations: diagonal by diagonal, A[i, j] = ab[u + i − j, j], at the cost of the band alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from ...core.dispatch import canonical, highest, primitive
from ...core.domain import A, case
from ...core.registry import OPS, Via
from ...sparse.dependence import solved
from ..rows import as_argument, as_result, own
from .equations import columns


def _value(ab: Any, b: Any, lower: int = 0, upper: int = 0) -> Any:
    return sl.solve_banded((lower, upper), ab, b)


def _across(ab: Any, lower: int, upper: int) -> tuple[Any, Any]:
    """The elements of the band by rows of A, r[..., k, i] = A[i, i + k − lower], 0 outside of A, and these columns."""
    at, inside = _opposite(ab, lower)
    return np.where(inside, ab[..., np.arange(lower + upper, -1, -1)[:, None], at], 0), at


def _opposite(ab: Any, before: int) -> tuple[Any, Any]:
    """i + k − before for each diagonal k and each i, and where that is an index of A; 0 where it is none."""
    k, n = ab.shape[-2:]
    at = np.arange(n) + np.arange(k)[:, None] - before
    inside = (at >= 0) & (at < n)
    return np.where(inside, at, 0), inside


def _times(t: Any, y: Any, lower: int, upper: int) -> Any:
    """A y of a band."""
    r, at = _across(t, lower, upper)
    return np.einsum("...ki,ki->...i" if y.ndim == 1 else "...ki,kip->...ip", r, y[at])


def _push_band(t: Any, y: Any, ab: Any, b: Any, lower: int = 0, upper: int = 0) -> Any:
    return -_push_rhs(_times(t, y, lower, upper), y, ab, b, lower, upper)


def _push_rhs(t: Any, y: Any, ab: Any, b: Any, lower: int = 0, upper: int = 0) -> Any:
    return columns(lambda r: banded(ab, r, lower=lower, upper=upper), t, b)


def _pull_band(u: Any, y: Any, ab: Any, b: Any, lower: int = 0, upper: int = 0) -> Any:
    v = _pull_rhs(u, y, ab, b, lower, upper)
    at, inside = _opposite(ab, upper)  # the row of A of ab[k, j]
    if y.ndim == 1:
        return -np.where(inside, v[..., at] * y, 0)
    return -np.where(inside, np.einsum("...kjp,jp->...kj", v[..., at, :], y), 0)


def _pull_rhs(u: Any, y: Any, ab: Any, b: Any, lower: int = 0, upper: int = 0) -> Any:
    turned, _ = _across(ab, lower, upper)
    return columns(lambda r: banded(turned, r, lower=upper, upper=lower), u, b)


def _band(upper: int, *shape: int) -> A:
    """A band that rules the matrix by its diagonal."""
    return A(*shape, within=lambda x: x + 4 * (np.arange(shape[0]) == upper)[:, None])


_BANDED = own(
    Via(
        _value,
        [as_result(_push_band), as_result(_push_rhs)],
        [as_argument(0, _pull_band), as_argument(1, _pull_rhs)],
        name="scipy.linalg.solve_banded",
        domain=[
            case(_band(1, 3, 4), A(4), lower=1, upper=1), case(_band(1, 4, 5), A(5), lower=2, upper=1),
            case(_band(2, 3, 4), A(4, 2), lower=0, upper=2), case(_band(0, 1, 3), A(3), lower=0, upper=0),
        ],
        flops=lambda y, ab, b, lower=0, upper=0: 2 * (lower + 1) * (2 * lower + upper) * np.shape(ab)[-1]
        + 2 * np.size(y) * (2 * lower + upper + 1),
    ),
    solved,
)  # fmt: skip
banded: Any = primitive(_BANDED)


def solve_banded(
    l_and_u: tuple[int, int],
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution x of A x = b, where A has few diagonals, ab[u + i − j, j] = A[i, j].

    Parameters
    ----------
    l_and_u : how many diagonals A has below the main one, and above.
    ab : the diagonals (l + u + 1, n); what lies outside of A is not read and has derivative zero.
    b : right-hand side, a vector (n,) or columns (n, p).
    overwrite_ab, overwrite_b, check_finite : as in SciPy; without effect on traced values.

    Returns
    -------
    x, of the shape of b.

    Raises
    ------
    ValueError : another number of diagonals than l + u + 1.

    Source: scipy.linalg.solve_banded; Giles, "An extended collection of matrix derivative results" (2008), 2.3.1.

    >>> from admodes import grad
    >>> ab = np.array([[0.0, 1.0, 1.0], [4.0, 4.0, 4.0], [1.0, 1.0, 0.0]])
    >>> grad(lambda b: solve_banded((1, 1), ab, b)[0])(np.ones(3)).round(4)
    array([ 0.2679, -0.0714,  0.0179])
    """
    if highest((ab, b)) is None:
        return sl.solve_banded(l_and_u, ab, b, overwrite_ab, overwrite_b, check_finite)
    lower, upper = l_and_u
    ab, b = canonical(ab), canonical(b)
    if ab.ndim != 2 or ab.shape[0] != lower + upper + 1:
        raise ValueError(
            f"scipy.linalg.solve_banded: ab has the shape {ab.shape}; with l_and_u = {tuple(l_and_u)} it has "
            f"{lower + upper + 1} rows, one a diagonal."
        )
    return banded(ab, b, lower=int(lower), upper=int(upper))


OPS[solve_banded] = _BANDED
