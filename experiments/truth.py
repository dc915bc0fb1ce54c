"""How near are predicted seconds and bytes to measured ones, and is the way advised the fastest?

Functions of all kinds (`experiments.functions`), each differentiated in every way that applies: f itself, one tangent,
one cotangent, the whole gradient or Jacobian in both modes, eager and compiled, products with the Hessian and the
Hessian in four nestings.  The constants of the cost model are calibrated first, in this run.

How it is measured.  Seconds: medians of interleaved calls on one thread.  Bytes: the most that `tracemalloc` sees alive
in one call.  Predictions come from traced programs and the constants alone (`admodes.ways.estimate`).  The way advised
is that of least predicted seconds among those that give the same derivative; what it costs is its measured time over
that of the fastest.

What to expect, and why.  A NumPy call is a microsecond of overhead and then bytes or flops; both are regular, so that a
prediction should be within a quarter mostly.  It is worst where the time depends on what the model does not see: the
values (sorting sorted numbers, subnormal numbers), the strides of an operand, what NumPy's Python layers do with an
argument's kind.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import admodes
from admodes.ways.calibrate import calibrate
from admodes.ways.estimate import Estimate, Estimator
from admodes.ways.hessians import hessian, hvp
from admodes.ways.model import CostModel

from . import style
from .frame import Row, Study
from .functions import Function, functions
from .timing import interleaved

# Directions at once, numbers in the result: above these a whole Jacobian, or Hessian, is not made.
MOST_DIRECTIONS = 400
MOST_NUMBERS = 2_000_000
MOST_HESSIAN = 24

GOAL_MIDDLE, GOAL_TENTH, GOAL_ADVICE, GOAL_BYTES = 1.25, 2.0, 1.05, 1.10
FEW_BYTES = 1_000_000


@dataclass(frozen=True)
class Way:
    """A way to a derivative: what it gives, its call, and what it is predicted to take."""

    name: str
    gives: str
    call: Callable[[], Any]
    predicted: Estimate


def ways(function: Function, model: CostModel) -> list[Way]:
    """The ways that apply to a function."""
    f, x = function.f, function.x
    ways = Estimator(f, (x,), model=model)
    n, m = ways.n, ways.m
    t, u = np.ones_like(x), np.ones(np.shape(f(x)))
    grad, vjp = admodes.grad(f), lambda x: admodes.vjp(f, x)[1](u)
    found = [
        Way("f", "value", lambda: f(x), ways.function()),
        Way("push", "tangent", lambda: admodes.jvp(f, (x,), (t,)), ways.forward()),
    ]

    def add(name: str, gives: str, derivative: Callable[..., Any], predicted: Any, args: tuple[Any, ...] = (x,)) -> None:
        flat = admodes.compile(derivative)
        found.append(Way(name, gives, lambda: derivative(*args), predicted(compiled=False)))
        found.append(Way(f"{name}, compiled", gives, lambda: flat(*args), predicted(compiled=True)))

    if m == 1 and not u.ndim:
        add("reverse", "gradient", grad, ways.gradient)
    else:
        found.append(Way("pull", "cotangent", lambda: vjp(x), ways.reverse()))
    gives = "gradient" if m == 1 else "Jacobian"
    for mode, derivative, directions in (("forward", admodes.jacfwd(f), n), ("reverse", admodes.jacrev(f), m)):
        if directions <= MOST_DIRECTIONS and n * m <= MOST_NUMBERS and not (mode == "reverse" and m == 1):
            add(mode, gives, derivative, lambda compiled: ways.jacobian(mode, compiled=compiled))
    if m == 1 and not u.ndim:
        add("product", "Hessian product", lambda x, t: hvp(f, (x,), (t,)), ways.hvp, (x, t))
        if n <= MOST_HESSIAN:
            for mode in ("forward-over-reverse", "reverse-over-forward", "forward-over-forward"):
                add(mode, "Hessian", hessian(f, mode=mode), lambda compiled: ways.hessian(mode, compiled=compiled))
    return found


def peak(call: Callable[[], Any]) -> int:
    """The most bytes that tracemalloc sees alive at once in one call, beyond those before it."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def measure(function: Function, model: CostModel, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a way."""
    found = ways(function, model)
    taken = interleaved({way.name: way.call for way in found}, rounds, seconds)
    best: dict[str, float] = {}
    for way in found:
        best[way.gives] = min(taken[way.name], best.get(way.gives, np.inf))
    advised = {}
    for way in sorted(found, key=lambda way: -way.predicted.seconds):
        advised[way.gives] = way.name
    return [
        {
            "function": function.name,
            "kind": function.kind,
            "gives": way.gives,
            "way": way.name,
            "seconds": taken[way.name],
            "predicted_seconds": way.predicted.seconds,
            "ratio": way.predicted.seconds / taken[way.name],
            "bytes": peak(way.call) if way.predicted.peak_bytes > FEW_BYTES / 2 else None,
            "predicted_bytes": way.predicted.peak_bytes,
            "advised": int(advised[way.gives] == way.name),
            "over_best": taken[way.name] / best[way.gives],
            "blame": next(iter(way.predicted.by_operation), ""),
        }
        for way in found
    ]
