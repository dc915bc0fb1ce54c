"""Slow ways, timed on a part of their passes: all do the same, so that one tells how long they take."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core import pytree
from ..transforms.arguments import chosen_leaves
from ..transforms.dense import jacrev
from ..transforms.directions import chunk_for, unit_directions
from ..transforms.recording import Recording, push_forward
from .differences import along, evaluations, raveled_function
from .measure import timed
from .question import Question

# Runs of a part, the median of which counts.
RUNS = 3


@dataclass(frozen=True)
class Part:
    """What a way does once, and what it does in each of so many passes with what came of that.

    passes need not be whole: the last one may have fewer directions.  said : which part of the whole it is.  run : what
    is done once and in one pass, as a function of f's arguments, where that can be compiled.
    """

    once: Callable[[], Any]
    each: Callable[[Any], Any]
    passes: float
    said: str
    run: Callable[..., Any] | None = None

    def seconds(self) -> float:
        """Seconds of the whole."""
        state, before = timed(self.once)
        self.each(state)
        return before + self.passes * _middle(lambda: self.each(state))


def _middle(task: Callable[[], Any]) -> float:
    return statistics.median(timed(task)[1] for _ in range(RUNS))


@dataclass(frozen=True)
class FlatPart(Part):
    """The same of flat code, which is compiled first and goes through f but once, however many passes it makes."""

    def seconds(self) -> float:
        """Those of f, and for each pass what a part takes beyond them."""
        self.once()
        self.each(None)
        f = _middle(self.once)
        return f + self.passes * max(0.0, _middle(lambda: self.each(None)) - f)


def flat(part: Part, q: Question, compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Part:
    """A part of the way as it is compiled."""
    assert part.run is not None
    f, run = compiled(q.f), compiled(part.run)
    return FlatPart(lambda: f(*q.args), lambda _: run(*q.args), part.passes, part.said)


def of_pushes(q: Question, chunk: int | None = None) -> Part:
    """One chunk of the columns of `jacfwd`."""
    f, leaves, structure = chosen_leaves(q.f, q.argnums, q.args, {})
    k = min(q.n, chunk or chunk_for(q.n, max(q.n, q.m)))

    def each(_: Any) -> Any:
        return push_forward(f, structure, leaves, unit_directions(leaves, 0, k), (k,))

    def run(*args: Any) -> Any:
        g, xs, tree = chosen_leaves(q.f, q.argnums, args, {})
        return push_forward(g, tree, xs, unit_directions(xs, 0, k), (k,))[2]

    return Part(lambda: None, each, q.n / k, f"{k:,} of {q.n:,} directions", run)


def of_pulls(q: Question, chunk: int | None = None) -> Part:
    """The tape, and one chunk of the rows of `jacrev`."""
    f, leaves, structure = chosen_leaves(q.f, q.argnums, q.args, {})
    k = min(q.m, chunk or chunk_for(q.m, max(q.n, q.m)))

    def each(recording: Recording) -> Any:
        return recording.pull(unit_directions(recording.values, 0, k), (k,))

    def run(*args: Any) -> Any:
        g, xs, tree = chosen_leaves(q.f, q.argnums, args, {})
        return each(Recording(g, pytree.unflatten(tree, xs)))

    return Part(lambda: Recording(f, pytree.unflatten(structure, leaves)), each, q.m / k, f"{k:,} of {q.m:,} rows", run)


def of_gradient(q: Question, inner: Callable[..., Any] = jacrev) -> Question:
    """The question whose Jacobian is the Hessian: the gradient, by jacrev or by jacfwd."""
    f, primals = q.chosen
    places = tuple(range(len(primals)))
    return replace(q, f=inner(f, places), layers=(), args=primals, argnums=places, value=primals)


def of_differences(q: Question, scheme: str) -> Part:
    """One column of divided differences."""
    f, primals = (of_gradient(q) if q.target == "hessian" else q).chosen
    raveled, x = raveled_function(f, primals)
    unit = np.zeros_like(x)
    unit[0] = 1
    size = max(1.0, float(np.max(np.abs(x), initial=0.0)))

    def each(_: Any) -> Any:
        with np.errstate(all="ignore"):
            return along(raveled, x, unit, scheme, size=size)

    share = evaluations(scheme, q.n) / evaluations(scheme, 1)
    return Part(lambda: None, each, share, f"1 of {q.n:,} columns")
