"""A function at a point as `check` sees it: of a vector of real or complex numbers, with a vector of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import pytree
from ..core.dispatch import pack
from ..core.tracing import Tracer
from ..core.views import ground
from ..transforms import jvp, vjp

Arrays = Sequence[Any]


@dataclass(frozen=True)
class Point:
    """g(*xs), a tuple of arrays, at arrays xs; `names` tell where each comes from in the arguments, or in the result.

    around : the size of what g is a derivative of, if it is one: the terms that may have cancelled in it.
    """

    g: Callable[..., tuple[Any, ...]]
    xs: tuple[Any, ...]
    names: tuple[str, ...]
    around: float = 0.0

    # What is asked of it ----------------------------------------------------------------------------

    @cached_property
    def y(self) -> Any:
        """The results in one vector."""
        return self.at(self.xs)

    @cached_property
    def n(self) -> int:
        return sum(np.size(x) for x in self.xs)

    @cached_property
    def x(self) -> Any:
        return flat(self.xs)

    @cached_property
    def eps(self) -> float:
        """The rounding unit of the least precise of the arrays."""
        kinds = [np.result_type(x) for x in (*self.xs, *self.values)]
        return max(float(np.finfo(kind).eps) for kind in kinds if kind.kind in "fc")

    @cached_property
    def values(self) -> tuple[Any, ...]:
        return self.g(*(np.array(x)[()] for x in self.xs))

    @cached_property
    def size(self) -> Any:
        """How large the results are, or what they were computed from."""
        return np.abs(self.y) + self.around

    @property
    def largest(self) -> float:
        """The largest of the results."""
        return float(np.max(np.abs(self.y[np.isfinite(self.y)]), initial=0.0))

    def at(self, xs: Arrays) -> Any:
        """The results elsewhere; nan and infinities where f is not defined."""
        with np.errstate(all="ignore"):
            return flat(self.g(*xs))

    def split(self, v: Any) -> tuple[Any, ...]:
        """A vector as arrays of the shapes and dtypes of xs."""
        return unflat(v, self.xs)

    def push(self, t: Any) -> Any:
        """J t."""
        return flat(jvp(self.g, self.xs, self.split(t))[1])

    @cached_property
    def _pull(self) -> Any:
        return vjp(self.g, *self.xs)

    def pull(self, u: Any) -> Any:
        """Jᵀ u."""
        return flat(self._pull[1](unflat(u, self.values)))

    def moved(self, t: Any, h: complex) -> tuple[Any, ...]:
        """xs + h t, in the precision of xs."""
        found = []
        for x, d in zip(self.xs, self.split(t), strict=True):
            y = np.asarray(x) + h * d
            found.append(y[()] if isinstance(h, complex) else y.astype(np.result_type(x))[()])
        return tuple(found)

    def label(self, k: int) -> str:
        """The name of number k of the arguments."""
        return _label(k, self.xs, self.names)

    def result_label(self, k: int) -> str:
        """The name of number k of the results."""
        names = ["result"] if len(self.values) == 1 else [f"result {i}" for i in range(len(self.values))]
        return _label(k, self.values, names)

    # Derivatives of it -------------------------------------------------------------------------------

    def pushed_along(self, t: Any) -> Point:
        """x ↦ J(x) t."""
        ts = self.split(t)
        return Point(lambda *xs: jvp(self.g, xs, ts)[1], self.xs, self.names, self.largest)

    def pulled_from(self, u: Any) -> Point:
        """x ↦ J(x)ᵀ u."""
        us = unflat(u, self.values)
        return Point(lambda *xs: vjp(self.g, *xs)[1](us), self.xs, self.names, self.largest)


def point(f: Callable[..., Any], args: tuple[Any, ...]) -> Point:
    """f at its arguments, as a function of those of their leaves that are real or complex numbers."""
    leaves, structure = pytree.flatten(args)
    labels = pytree.labels(args)
    chosen = [i for i, x in enumerate(leaves) if _floating(x)]
    if not chosen:
        kinds = ", ".join(sorted({type(x).__name__ for x in leaves})) or "none"
        raise TypeError(f"check: no argument is a float or complex number or array of such (there are: {kinds}).")

    def g(*xs: Any) -> tuple[Any, ...]:
        given = list(leaves)
        for i, x in zip(chosen, xs, strict=True):
            given[i] = x
        return tuple(filter(_differentiable, map(pack, pytree.flatten(f(*pytree.unflatten(structure, given)))[0])))

    xs = tuple(np.array(leaves[i])[()] for i in chosen)
    return Point(g, xs, tuple(_name(args, labels[i]) for i in chosen))


def _floating(x: Any) -> bool:
    if isinstance(x, float | complex):
        return True
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"


def _differentiable(y: Any) -> bool:
    return np.asarray(ground(y)).dtype.kind in "fc" if isinstance(y, Tracer) else np.asarray(y).dtype.kind in "fc"


def _name(args: tuple[Any, ...], label: str) -> str:
    """x where there is one argument, else its place and what leads to it."""
    place, _, rest = label.partition("_")
    return (f"argument {place}" if len(args) > 1 else "x") + (f" {rest}" if rest else "")


def _label(k: int, arrays: Arrays, names: Sequence[str]) -> str:
    for a, name in zip(arrays, names, strict=True):
        if k < np.size(a):
            place = np.unravel_index(k, np.shape(a)) if np.shape(a) else ()
            return f"{name}[{', '.join(str(int(i)) for i in place)}]" if place else name
        k -= int(np.size(a))
    raise IndexError(k)


def flat(arrays: Arrays) -> Any:
    """Arrays in one vector of doubles, complex where one is."""
    parts = [np.reshape(a, -1) for a in arrays]
    if not parts:
        return np.zeros(0)
    kind = np.result_type(np.float64, *parts)
    return np.concatenate([part.astype(kind) for part in parts])


def unflat(v: Any, like: Arrays) -> tuple[Any, ...]:
    """A vector as arrays of these shapes and dtypes."""
    found, start = [], 0
    for x in like:
        part = np.reshape(v[start : start + np.size(x)], np.shape(x))
        kind = np.result_type(x)
        found.append((part if kind.kind == "c" else np.real(part)).astype(kind)[()])
        start += int(np.size(x))
    return tuple(found)
