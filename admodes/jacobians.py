"""The whole Jacobian: `jacobian`, by the mode that counted work says is the cheaper, and `linearize`, matrix-free."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import pytree
from .program.cost import Cost, cost
from .transforms import (
    Argnums,
    Recording,
    chosen_leaves,
    chunk_for,
    jacfwd,
    jacrev,
    push_forward,
    unit_directions,
)

# The cost model: seconds an operation takes to start, a flop, a byte.  Rough figures of one core of today; only their
# ratios matter, and only where forward and reverse are close.
SECONDS_AN_OPERATION = 2e-6
SECONDS_A_FLOP = 1e-10
SECONDS_A_BYTE = 1e-10


def predicted_seconds(work: Cost) -> float:
    """Counted work by the cost model."""
    return work.operations * SECONDS_AN_OPERATION + work.flops * SECONDS_A_FLOP + work.bytes * SECONDS_A_BYTE


@dataclass(frozen=True)
class Prediction:
    """Predicted seconds of the full Jacobian by each mode."""

    forward: float
    reverse: float
    complex_result: bool = False  # of real arguments: forward mode alone can give it

    @property
    def choice(self) -> str:
        return "forward" if self.forward <= self.reverse or self.complex_result else "reverse"


def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    mode: str = "auto",
    chunk: int | None = None,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of f by forward mode, by reverse mode, or by the one that costs less.

    Parameters
    ----------
    mode : "forward" (`jacfwd`), "reverse" (`jacrev`) or "auto": the work of one and of two directions is counted in
        both modes on the first call for each set of shapes and dtypes, and extrapolated to all n tangents and to all m
        cotangents.
    chunk : how many directions at once; None bounds the memory.

    Returns
    -------
    A function of f's arguments; for x of shape s and a result of shape r an array of shape (*r, *s).

    Raises
    ------
    ValueError : an unknown mode, or chunk < 1.  TypeError : an integer array to differentiate by.

    >>> import numpy as np
    >>> jacobian(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f"jacobian: mode={mode!r} is not one of 'auto', 'forward', 'reverse'")
    ways = {
        "forward": jacfwd(f, argnums, chunk, holomorphic),
        "reverse": jacrev(f, argnums, chunk, holomorphic),
    }
    if mode != "auto":
        return ways[mode]
    learnt: dict[Any, str] = {}

    @functools.wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        key = tuple((np.shape(x), getattr(x, "dtype", None)) for x in pytree.flatten(args)[0])
        if key not in learnt:
            function, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
            if any(x.dtype.kind == "c" for x in leaves) and not holomorphic:
                learnt[key] = "reverse"  # real results of complex arguments are defined there alone
            else:
                learnt[key] = predict(function, structure, leaves, chunk).choice
        return ways[learnt[key]](*args, **kwargs)

    return jacobian_of


def predict(f: Callable[..., Any], structure: Any, leaves: list[Any], chunk: int | None = None) -> Prediction:
    """The cost of the full Jacobian by each mode, from the counted work of one and of two directions."""
    results: list[Any] = []

    def forward(k: int) -> float:
        def run(xs: list[Any], ts: list[Any]) -> None:
            results[:] = [np.zeros(np.shape(y), np.result_type(y)) for y in push_forward(f, structure, xs, ts, (k,))[0]]

        return predicted_seconds(cost(run, leaves, _directions(leaves, k)))

    def reverse(k: int) -> float:
        def run(xs: list[Any], us: list[Any]) -> None:
            recording = Recording(f, pytree.unflatten(structure, xs))
            if k:
                recording.pull(us, (k,))

        return predicted_seconds(cost(run, leaves, _directions(results, k)))

    n = sum(int(x.size) for x in leaves)
    forward_one, forward_two = forward(1), forward(2)
    m = sum(y.size for y in results)
    taping, reverse_one, reverse_two = reverse(0), reverse(1), reverse(2)
    width = max(n, m, 1)
    return Prediction(
        forward=_all(n, chunk or chunk_for(n, width), forward_one, forward_two),
        reverse=taping + _all(m, chunk or chunk_for(m, width), reverse_one - taping, reverse_two - taping),
        complex_result=any(y.dtype.kind == "c" for y in results) and all(x.dtype.kind != "c" for x in leaves),
    )


def _all(directions: int, chunk: int, one: float, two: float) -> float:
    """The cost of all directions: a fixed part a pass and a part a direction."""
    passes = -(-directions // max(chunk, 1))
    each = two - one
    return passes * (one - each) + directions * each


def _directions(leaves: list[Any], k: int) -> list[Any]:
    """k directions; work depends on their shape alone."""
    return [np.broadcast_to(d[:1], (k, *d.shape[1:])).copy() for d in unit_directions(leaves, 0, 1)]
