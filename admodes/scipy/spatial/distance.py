"""scipy.spatial.distance: distances between the rows of two matrices, and between those of one.

At distance 0 the derivative is 0 and the second nan, as that of a norm.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ...core.domain import A, OnlyReal, case
from ...core.registry import Composite
from ..rows import mirrors

__all__ = ["cdist", "pdist"]

Metric = Literal["euclidean", "sqeuclidean", "cityblock", "chebyshev", "minkowski", "cosine", "correlation"]


def _distance(name: str, a: Any, b: Any, metric: str, p: float) -> Any:
    """Of two arrays of points, the last axis, which broadcast."""
    if metric in ("cosine", "correlation"):
        if metric == "correlation":
            a, b = (x - np.mean(x, axis=-1, keepdims=True) for x in (a, b))
        lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        return 1 - np.sum(a * b, axis=-1) / lengths
    d = a - b
    if metric == "sqeuclidean":
        return np.sum(d * d, axis=-1)
    orders = {"euclidean": None, "cityblock": 1, "chebyshev": np.inf, "minkowski": p}
    if metric not in orders:
        raise ValueError(
            f"scipy.spatial.distance.{name}: metric={metric!r} has no rule; there are {', '.join(orders)}, "
            "sqeuclidean, cosine and correlation. Write any other as NumPy code of XA[:, None] and XB[None]."
        )
    return np.linalg.norm(d, orders[metric], axis=-1)


def _cases(*arrays: A) -> OnlyReal:
    words = ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation")
    return OnlyReal([*(case(*arrays, word) for word in words), case(*arrays, "minkowski", p=3.0)])


@mirrors(Composite, arrays=2, dtype=lambda *_, **__: float, domain=_cases(A(3, 4), A(2, 4)))
def cdist(XA: Any, XB: Any, metric: Metric = "euclidean", *, p: float = 2.0) -> Any:
    """The distances between every row of XA and every row of XB.

    Parameters
    ----------
    XA : (m, d), m points.
    XB : (n, d), n points.
    metric : "euclidean", "sqeuclidean" (its square), "cityblock" (Σ|x − y|), "chebyshev" (the largest |x − y|),
        "minkowski" of order p, "cosine" or "correlation".
    p : the order of Minkowski's.

    Returns
    -------
    (m, n) distances.

    Raises
    ------
    ValueError : traced points and another metric.

    Source: scipy.spatial.distance.cdist.

    >>> from admodes import grad
    >>> grad(lambda x: cdist(x, np.zeros((1, 2)))[0, 0])(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return _distance("cdist", XA[:, None], XB[None], metric, p)


@mirrors(Composite, arrays=1, dtype=lambda *_, **__: float, domain=_cases(A(4, 3)))
def pdist(X: Any, metric: Metric = "euclidean", *, p: float = 2.0) -> Any:
    """The distances between the rows of X, each pair once: (0, 1), (0, 2), …, (1, 2), ….

    Parameters
    ----------
    X : (m, d), m points.
    metric : "euclidean", "sqeuclidean" (its square), "cityblock" (Σ|x − y|), "chebyshev" (the largest |x − y|),
        "minkowski" of order p, "cosine" or "correlation".
    p : the order of Minkowski's.

    Returns
    -------
    m(m − 1)/2 distances.

    Raises
    ------
    ValueError : traced points and another metric.

    Source: scipy.spatial.distance.pdist.

    >>> from admodes import grad
    >>> grad(lambda x: pdist(x)[0])(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[ 0.6,  0.8],
           [-0.6, -0.8]])
    """
    i, j = np.triu_indices(X.shape[0], 1)
    return _distance("pdist", X[i], X[j], metric, p)
