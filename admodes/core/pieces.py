"""Second derivatives at ties: those of the smooth pieces that meet there, where they agree.

At a tie, a maximum of equal arguments or |x| at 0, f is made of pieces.  If f is smooth all the same, each piece has
its derivatives: max(x, −x)² is x² on either side of 0.  The mean slopes of a first derivative have not.  So where a tie
in the work of another transform leaves a nan, the tape is evaluated at points near by; all rows that are tied take the
piece in which such a point lies, one for all of them; and the sweep is made within each.  A derivative on which all
those pieces agree is that of f.  Where they differ, in it or in what it is a derivative of, it is nan.

Source: Y. Nesterov, "Lexicographic differentiation of nonsmooth functions" (Math. Programming 2005), for one direction
that decides among the pieces of all operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

DIRECTIONS = 3  # and their negatives: independent ties lie on 2ᵗ pieces


def derived(xs: Sequence[Any]) -> bool:
    """Whether one is a value of a transform that differentiates."""
    for x in xs:
        while hasattr(x, "transform"):
            if x.transform.derives:
                return True
            x = x.value
    return False


def points_near(xs: Sequence[Any]) -> Iterator[list[Any]]:
    """Points around one, on opposite sides of it."""
    rng = np.random.default_rng(len(xs))
    for _ in range(DIRECTIONS):
        steps = [_step(x, rng) for x in xs]
        for sign in (1, -1):
            yield [x + sign * h for x, h in zip(xs, steps, strict=True)]


def _step(x: Any, rng: np.random.Generator) -> Any:
    dtype, shape = np.result_type(x), np.shape(x)
    h = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
    if dtype.kind == "c":
        h = h + 1j * rng.uniform(-1.5, 1.5, shape)
    return (h * np.cbrt(np.finfo(dtype).eps) * np.maximum(np.abs(x), 1)).astype(dtype)


def differ(x: Any, others: Sequence[Any]) -> Any:
    """Where one of the others is not x, but for rounding."""
    dtype = np.result_type(x)
    size = np.max(np.where(np.isfinite(x), np.abs(x), 0), initial=0)
    near = np.sqrt(np.finfo(dtype).eps) * size
    agree: Any = True
    for y in others:
        agree = np.logical_and(agree, np.logical_or(np.equal(x, y), np.less_equal(np.abs(x - y), near)))
    return np.logical_not(agree)


def agreed(found: Sequence[Any]) -> Any:
    """Of results in lists of lists the first, and nan where another differs."""
    first = found[0]
    if first is None:
        return None
    if type(first) is list or type(first) is tuple:
        return [agreed(parts) for parts in zip(*found, strict=True)]
    return np.where(differ(first, found[1:]), np.nan, first).astype(np.result_type(first), copy=False)[()]


def only(wanted: Any, x: Any) -> Any:
    """x, and 0 where it is not wanted; None wants all."""
    if x is None or wanted is None:
        return x
    return np.where(wanted, x, 0).astype(np.result_type(x), copy=False)[()]
