"""Counting work: a transform that evaluates and tallies every operation, from shapes alone.

It is the lowest level, so that whatever runs on its values is counted: the function, the pushes and pulls of the
transforms above it, their second derivatives.  The counts are the same on every machine.

Conventions: + − × ÷ √ and comparisons are 1 flop an element, transcendental functions 10; a contraction is 2 flops
for each product of its extents (a multiplication and an addition), and half as many multiply-adds; bytes are those of
the arrays read and written, none for a view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import pytree
from .registry import Op, Passive
from .tracing import Trace, Tracer, canonical


@dataclass
class Tally:
    """Work counted so far."""

    flops: float = 0.0
    multiply_adds: float = 0.0
    bytes: float = 0.0
    operations: int = 0
    by_operation: dict[str, tuple[int, float]] = field(default_factory=dict)  # name -> (times, flops)

    def add(self, op: Op, y: Any, args: Any, params: dict[str, Any]) -> None:
        flops = op.count(y, args, params)
        self.flops += flops
        self.multiply_adds += op.multiply_adds(y, args, params)
        self.operations += 1
        self.bytes += _traffic(y, args)
        times, earlier = self.by_operation.get(op.name, (0, 0.0))
        self.by_operation[op.name] = (times + 1, earlier + flops)


def _traffic(y: Any, args: Any) -> int:
    """Bytes read and written; none where the result is a view of an argument."""
    results = y if isinstance(y, tuple | list) else (y,)
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    if all(isinstance(r, np.ndarray) and any(np.may_share_memory(r, a) for a in arrays) for r in results):
        return 0
    return sum(a.nbytes for a in arrays) + sum(np.asarray(r).nbytes for r in results)


class Counted(Tracer):
    """A value whose operations are counted."""

    __slots__ = ()

    def __init__(self, value: Any, transform: Counter) -> None:
        self.value = value
        self.transform = transform


class Counter(Trace):
    """The transform that evaluates and tallies."""

    __slots__ = ("tally",)

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values = [self.values(a) if isinstance(a, Tracer) else canonical(a) if self._is_array(op, i) else a
                  for i, a in enumerate(args)]  # fmt: skip
        y = op.evaluate(*values, **self.values(params))
        self.tally.add(op, y, values, params)
        if isinstance(y, tuple):
            parts = [Counted(part, self) for part in y]
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)
        return Counted(y, self)

    @staticmethod
    def _is_array(op: Op, i: int) -> bool:
        return op.arrays is None or i < op.arrays

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return Counted(self.strip(op, args, params), self)

    def lift(self, seed: Any) -> Any:
        return Counted(seed, self)

    def strip(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        y = super().strip(op, args, params)
        if not (isinstance(op, Passive) and op.static):  # asking for a shape is no work
            self.tally.add(op, y, self.values(args), params)
        return y


def count(f: Callable[..., Any], *args: Any) -> Tally:
    """The work of f(*args), where args are trees of arrays; f may itself be a transform.

    >>> import numpy as np
    >>> count(lambda A, x: A @ x, np.ones((3, 4)), np.ones(4)).flops
    24.0
    """
    counter = Counter()
    try:
        f(*(pytree.tree_map(lambda x: _counted(x, counter), a) for a in args))
    finally:
        counter.closed = True
    return counter.tally


def _counted(x: Any, counter: Counter) -> Any:
    numeric = isinstance(x, np.ndarray | np.generic | float | complex) and np.asarray(x).dtype.kind in "fc"
    return Counted(np.asarray(x)[()], counter) if numeric else x
