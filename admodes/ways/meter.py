"""A first estimate of the dense ways to a Jacobian, from one run of f that is only counted: what tells whether exact
counts of every way, and a search for a pattern, can pay at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core import pytree
from ..core.creation import run
from ..core.dispatch import Trace, canonical
from ..core.registry import Op, Via, size_of
from ..core.tracing import Tracer
from ..core.views import ground
from ..program.recording import mapped
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.recording import complex_of_real
from .prediction import NOTHING, Sweep, Work

# What a rule takes beyond its flops and bytes, for any number of directions, in operations of the cost model.
OPERATIONS_A_RULE = 10
# A direction through a rule costs about as much as f itself: once for the product, once for what it is a product with.
WORK_A_DIRECTION = 2
# The five traces, and what is read off them, that exact counts take.
SECONDS_TO_COUNT_AN_OPERATION = 1e-3


@dataclass(frozen=True)
class FirstEstimate:
    """Seconds of the dense ways that there are, and those that counting them exactly would take."""

    seconds: dict[str, float]
    counting: float

    @property
    def choice(self) -> str:
        """The cheaper dense mode."""
        return min(self.seconds, key=self.seconds.__getitem__)

    @property
    def suffices(self) -> bool:
        """Whether the Jacobian is had before other ways to it are counted."""
        return self.seconds[self.choice] <= self.counting


def first_estimate(
    f: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chunk: int | None = None,
    holomorphic: bool = False,
) -> FirstEstimate:
    """f run once, its operations counted."""
    function, chosen, structure = chosen_leaves(f, argnums, args, kwargs)
    meter, results = run(function, _metered, function, chosen, structure)
    n, m = sum(int(x.size) for x in chosen), sum(int(y.size) for y in results)
    rules = Work(0, 0, OPERATIONS_A_RULE * meter.operations)
    direction = NOTHING.plus(Work(meter.flops, meter.bytes, 0), WORK_A_DIRECTION)
    sweep = Sweep(rules, direction, max(n, m, 1))
    seconds = {"forward": sweep(n, chunk).seconds, "reverse": sweep(m, chunk).plus(rules).seconds}
    if any(x.dtype.kind == "c" for x in chosen) and not holomorphic:
        del seconds["forward"]
    elif complex_of_real(chosen, results):
        del seconds["reverse"]
    return FirstEstimate(seconds, meter.operations * SECONDS_TO_COUNT_AN_OPERATION)


def _metered(function: Callable[..., Any], chosen: list[Any], structure: Any) -> tuple[Meter, list[Any]]:
    meter = Meter()
    try:
        given = [Metered(ground(x), meter) for x in chosen]
        out = pytree.flatten(function(*pytree.unflatten(structure, given)))[0]
        return meter, [pytree.result(y, "the result") for y in out]
    finally:
        meter.closed = True


class Metered(Tracer):
    """A value on its way through f."""

    __slots__ = ()

    def __init__(self, value: Any, transform: Meter) -> None:
        self.value = value
        self.transform = transform


class Meter(Trace):
    """The transform that evaluates and counts, and is seen by no transform around it."""

    __slots__ = ("bytes", "flops", "operations")

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.flops, self.bytes = 0, 0.0, 0.0

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        arrays = len(args) if op.arrays is None else op.arrays
        by = [a.value for i, a in enumerate(args) if type(a) is Metered and i < len(op.pushes) and op.pushes[i]]
        values = [ground(canonical(a)) if i < arrays else mapped(a, ground) for i, a in enumerate(args)]
        params = mapped(params, ground) if params else params
        y = op.evaluate(*values, **params)
        if not by:
            return y
        moved = size_of(y) + sum(x.size for x in by)
        self.operations += 1
        self.flops += moved if isinstance(op, Via) else op.count(y, values, params)  # what is factored serves them all
        self.bytes += 8 * moved
        return self._metered(y)

    def strip(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return op.evaluate(*mapped(args, ground), **mapped(params, ground))

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self._metered(self.strip(op, args, params))

    def _metered(self, y: Any) -> Any:
        if isinstance(y, tuple):
            parts = [Metered(part, self) for part in y]
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)
        return Metered(y, self)
