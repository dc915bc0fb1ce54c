"""Matrices made of vectors and blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.dispatch import canonical
from ...core.domain import A, case
from ...core.registry import Composite
from ..rows import mirrors


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
