"""scipy.special: the functions that are no ufuncs, as `admodes.special` composes them, whose docstrings they have.

The ufuncs (gamma, erf, jv …) need no counterpart: call SciPy's own on traced values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import special
from ..core.domain import POSITIVE, A, OnlyReal, case
from ..core.registry import Composite
from ..special import Axis  # noqa: F401 - a word of the signatures, which are read in this module
from .rows import mirrors

__all__ = [
    "log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax", "spherical_in", "spherical_jn", "spherical_kn",
    "spherical_yn",
]  # fmt: skip

_ALONG = OnlyReal([case(A(3)), case(A(2, 3), axis=0), case(A(2, 3), axis=(0, 1)), case(A(2, 3, 2), axis=-2)])
_ORDERS = OnlyReal([case(1, A(3, within=POSITIVE)), case(np.array([[0], [2]]), A(3, within=POSITIVE), derivative=True)])
_WEIGHTED = [
    case(A(2, 3), 1, A(2, 3, within=POSITIVE)),
    case(A(2, 3), axis=0, keepdims=True),
    case(A(3), b=np.array([1.0, -3.0, 1.0]), return_sign=True),
]


def _row(composition: Callable[..., Any], **row: Any) -> Any:
    """The mirror of a composition, called, signed and explained as that is."""

    @functools.wraps(composition)
    def body(*args: Any, **params: Any) -> Any:
        return composition(*args, **params)

    body.__module__ = __name__
    return mirrors(Composite, **row)(body)


logsumexp = _row(special.logsumexp, domain=OnlyReal([*_ALONG, *_WEIGHTED]))
softmax = _row(special.softmax, domain=_ALONG)
log_softmax = _row(special.log_softmax, domain=_ALONG)
polygamma = _row(
    special.polygamma,
    arrays=2,
    domain=OnlyReal([case(1, A(3, within=POSITIVE)), case(np.array([[0], [2]]), A(3, within=POSITIVE))]),
)
multigammaln = _row(
    special.multigammaln,
    dtype=lambda *_, **__: float,
    domain=OnlyReal([case(A(3, within=((2.2, 4.0),)), 3), case(A(within=POSITIVE), 1)]),
)
spherical_jn = _row(special.spherical_jn, arrays=2, domain=_ORDERS)
spherical_yn = _row(special.spherical_yn, arrays=2, domain=_ORDERS)
spherical_in = _row(special.spherical_in, arrays=2, domain=_ORDERS)
spherical_kn = _row(special.spherical_kn, arrays=2, domain=_ORDERS)
