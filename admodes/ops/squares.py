"""Squares of roots, by rows that no kink touches: (y, what is under it) -> y², whose derivative is that of

sqrt(u)² = u,    |z|² = Re(z̄ z),    hypot(a, b)² = a² + b²,    norm(x)² = Σ Re(x̄ x).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.directions import cast
from ..core.registry import OPS, Elementwise, Via
from ..core.roots import power, product, value
from .linalg.norms import LENGTH
from .linalg.pieces import real_part


class _Square(Elementwise):
    """Of an elementwise root; the partials by what is under it."""

    def __init__(self, *partials: Callable[..., Any]) -> None:
        super().__init__(np.square, [None, *partials], name="square")

    def evaluate(self, y: Any, *xs: Any) -> Any:
        return value(self, y, xs, {})


class _SquaredLength(Via):
    """Of a norm over some axes of x, which the result may have with extent 1 or not at all."""

    any_shape = True

    def __init__(self) -> None:
        super().__init__(np.square, [None, self._push], [None, self._pull], name="square", params=["axes"])

    def evaluate(self, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
        return value(self, y, (x,), {"axes": axes})

    def _push(self, t: Any, z: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
        lead = t.shape[: t.ndim - x.ndim]
        dz = np.sum(2 * real_part(np.conjugate(x) * t), axis=tuple(len(lead) + k for k in axes))
        return cast(np.reshape(dz, (*lead, *np.shape(z))), z.dtype)

    def _pull(self, u: Any, z: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
        lead = u.shape[: u.ndim - np.ndim(z)]
        u = np.reshape(u, (*lead, *(1 if k in axes else n for k, n in enumerate(x.shape))))
        return cast(2 * np.conjugate(x) * u, x.dtype)


def _one(z: Any, y: Any, u: Any) -> Any:
    """1 where there is a root."""
    return np.where(np.isnan(y), np.nan, 1).astype(y.dtype)[()]


def _twice(z: Any, y: Any, a: Any, *_: Any) -> Any:
    return 2 * np.conjugate(a) if a.dtype.kind == "c" else 2 * a


def _twice_second(z: Any, y: Any, a: Any, b: Any) -> Any:
    return 2 * b


ROOTS: dict[Any, Sequence[Callable[..., Any]]] = {
    np.sqrt: [_one],
    np.absolute: [_twice],
    np.fabs: [_twice],
    np.hypot: [_twice, _twice_second],
}
for _root, _partials in ROOTS.items():
    OPS[_root].square = _Square(*_partials)
LENGTH.square = _SquaredLength()
for _fn, _squares in ((np.square, None), (np.multiply, product), (np.power, power)):
    OPS[_fn].squares, OPS[_fn].lane = _squares, 0
