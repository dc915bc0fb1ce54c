"""What the ways to a question would cost: the estimator of passes, and beside it what needs more than passes.

Coloured ways need the pattern, which is looked for once and only where that fits in the time there is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..chains.chain import JacobianChain
from ..core.errors import PatternTooDense
from ..core.words import seconds
from ..program import Cost
from ..transforms.dense import grad, jacfwd, jacrev, vjp
from .estimate import Compiled, Estimate, Estimator, estimate
from .model import Level
from .prediction import SECONDS_TO_DETECT, SECONDS_TO_DETECT_AN_OPERATION, bracketed
from .question import Question

if TYPE_CHECKING:
    from ..sparse.plan import Scheme

# Directions of an inner forward mode that are traced together for an estimate.
MOST_TRACED = 300

# Finding a pattern goes over all numbers of all values that the program makes, colouring it over all columns.
SECONDS_TO_DETECT_A_NUMBER = 4e-8
SECONDS_TO_COLOUR_A_COLUMN = 2e-6


UNCOUNTED = Cost()

# Elimination goes scalar by scalar, in Python.
SECONDS_AN_EDGE = 5e-6
SECONDS_AN_INSTRUCTION = 2e-4


class Forecast:
    """Estimates of the ways to one question."""

    def __init__(self, q: Question) -> None:
        self.q = q
        self.passes = Estimator(q.f, q.args, q.argnums)

    @functools.cached_property
    def slower(self) -> float:
        """How many times slower f itself is than predicted; at least 1."""
        predicted = self.passes.function().seconds
        return max(1.0, self.q.seconds / predicted) if predicted else 1.0

    def hessian(self, mode: str, compiled: Compiled) -> Estimate | None:
        """Of a nesting: the Jacobian of the inner one.

        The passes of an inner forward mode are traced together; where they are too many for that, only its seconds are
        estimated: each outer pass goes through all that the inner ones do, and in reverse back too.
        """
        outer, inner = mode.split("-over-")
        if inner == "forward" and self.q.n > MOST_TRACED:
            whole = self.passes.jacobian("forward").times(self.q.n)
            memory = max(whole.peak_bytes, self.q.entries * self.q.itemsize)
            return replace(whole, peak_bytes=memory, cost=UNCOUNTED)
        first = jacfwd(self.q.f, self.q.argnums) if inner == "forward" else jacrev(self.q.f, self.q.argnums)
        return Estimator(first, self.q.args, self.q.argnums).jacobian(outer, compiled=compiled)

    def traced(self, derivative: Callable[..., Any], kinds: Sequence[str], compiled: Compiled) -> Estimate:
        """Of a derivative that is a few passes, from a run of it; kinds: the transforms at work in it."""
        levels = [Level.of(kind, self.passes.plain) for kind in kinds]
        return estimate(derivative, self.q.args, levels, compiled=compiled)

    def step(self, f: Callable[..., Any], x: Any, u: Any) -> Estimate:
        """Of one step of a chain, on a tape of its own that is pulled at once; u leads with directions."""
        levels = [Level.of(kind, self.passes.plain) for kind in ("record", "pull")]
        return estimate(lambda x, u: vjp(f, x)[1](u), (x, u), levels)

    def of(self, derivative: Callable[..., Any]) -> Estimator:
        """The ways to differentiate a derivative."""
        return Estimator(derivative, self.q.args, self.q.argnums)

    def bracketing(self) -> Estimate:
        """Of the cheapest order of a chain, planned and carried out."""
        chain = JacobianChain(self.q.layers, *self.q.args)
        planned = bracketed(self.q.f, chain, chain.bracketing())
        return replace(planned.estimate, seconds=planned.seconds, first_call_seconds=planned.seconds)

    def elimination(self) -> Estimate:
        """Seconds alone: what a graph takes to build, an edge for each product of a push."""
        one = self.passes.forward()
        spent = SECONDS_AN_EDGE * one.cost.flops + SECONDS_AN_INSTRUCTION * one.cost.operations
        return replace(one, seconds=spent, first_call_seconds=spent, peak_bytes=0, cost=UNCOUNTED)

    def evaluations(self, count: int, of_gradient: bool) -> Estimate:
        """So many runs of f, or of its gradient, one after another, and the matrix they fill."""
        one = self.passes.gradient() if of_gradient else self.passes.function()
        found = one.times(count)
        return replace(found, peak_bytes=found.peak_bytes + self.q.entries * self.q.itemsize)

    # Coloured ------------------------------------------------------------------------------------------

    def preparing(self) -> float:
        """Seconds that finding the pattern and colouring it take, roughly."""
        counted = (self.passes.gradient() if self.q.target == "hessian" else self.passes.function()).cost
        return (
            SECONDS_TO_DETECT
            + counted.operations * SECONDS_TO_DETECT_AN_OPERATION
            + counted.bytes / self.q.itemsize * SECONDS_TO_DETECT_A_NUMBER
            + (self.q.n + self.q.m) * SECONDS_TO_COLOUR_A_COLUMN
        )

    def why_not_coloured(self, left: float) -> str:
        """Why no colouring is made in so many seconds; nothing where one is."""
        if self.q.colourings.pattern is None and self.preparing() > left:
            return f"pattern and colouring would take {seconds(self.preparing())}; {seconds(left)} are left for them"
        try:
            self.q.colourings.find()
        except PatternTooDense as error:
            return f"PatternTooDense: {error}"
        return ""

    def coloured(self, mode: str, compiled: bool) -> Estimate:
        """Of the passes of a colouring; eager ones find the pattern at every call."""
        scheme = self.q.colourings.scheme(mode)
        found = self._carried(mode, scheme, compiled)
        detecting = 0.0 if compiled else self.q.colourings.took("pattern")
        return replace(
            found,
            seconds=found.seconds + detecting,
            first_call_seconds=found.first_call_seconds + detecting,
            peak_bytes=found.peak_bytes + 12 * int(scheme.pattern.nnz),
            passes=scheme.passes,
        )

    def _carried(self, mode: str, scheme: Scheme, compiled: bool) -> Estimate:
        if mode == "hessian":
            gradient = grad(self.q.f, self.q.argnums)
            return Estimator(gradient, self.q.args, self.q.argnums).forward(scheme.passes or 1, compiled=compiled)
        pushes, pulls = scheme.pushes, scheme.pulls
        parts = [self.passes.forward(pushes, compiled=compiled)] if pushes or not pulls else []
        parts += [self.passes.reverse(pulls, compiled=compiled)] if pulls else []
        return parts[0] if len(parts) == 1 else parts[0].plus(parts[1])
