"""Forward mode: dual numbers.  Each value carries its tangent, one direction or K of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from .directions import inexact
from .dispatch import Trace, canonical
from .errors import MissingRule
from .registry import Op
from .tracing import Tracer


class Dual(Tracer):
    """A value and its tangent, of shape (*lead, *value.shape) with lead () or (K,)."""

    __slots__ = ()

    def __init__(self, value: Any, tangent: Any, trace: Forward) -> None:
        self.value = value
        self.tangent = tangent
        self.transform = trace


class Forward(Trace):
    """One forward-mode transform.  The tangent of a result is Σᵢ pushᵢ(tangent of argument i)."""

    __slots__ = ("lead",)
    derives = True

    def __init__(self, lead: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.lead = lead

    def unary(self, op: Op, x: Any) -> Any:
        value = x.value
        y = op.evaluate(value)
        push = op.pushes[0]
        return y if push is None else Dual(y, push(x.tangent, y, value), self)

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        t = s = None
        if type(a) is Dual and a.transform is self:
            t, a = a.tangent, a.value
        else:
            a = canonical(a)
        if type(b) is Dual and b.transform is self:
            s, b = b.tangent, b.value
        else:
            b = canonical(b)
        y = op.evaluate(a, b)
        first, second = op.pushes[0], op.pushes[1]
        if t is not None and first is not None:
            t = first(t, y, a, b)
            if s is not None and second is not None:
                t = t + second(s, y, a, b)
        elif s is not None and second is not None:
            t = second(s, y, a, b)
        else:
            return y
        return Dual(y, t, self)

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values, tangents = [], []
        arrays = len(args) if op.arrays is None else op.arrays
        for i, a in enumerate(args):
            if type(a) is Dual and a.transform is self:
                values.append(a.value)
                tangents.append((i, a.tangent))
            else:
                values.append(canonical(a) if i < arrays else a)
        y = op.evaluate(*values, **params)
        if op.push_all is not None:
            return self.wrap(y, op.push_all(dict(tangents), y, values, params))
        total = None
        for i, t in tangents:
            if i >= len(op.pushes):
                raise MissingRule(f"np.{op.name}", f"argument {i} is traced, and no derivative by it is known")
            push = op.pushes[i]
            if push is not None:
                total = plus(total, push(t, y, *values, **params))
        return y if total is None else self.wrap(y, total)

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        y = self.strip(op, args, params)
        return Dual(y, self.tangent_of(y), self)

    def wrap(self, y: Any, t: Any) -> Any:
        """Pair a result, an array or a tuple of arrays, with its tangent."""
        if type(t) is tuple:
            parts = [Dual(a, b, self) for a, b in zip(y, t, strict=True)]
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)
        return Dual(y, t, self)

    def tangent_of(self, y: Any) -> Any:
        """The tangent of a value; zeros where it does not depend on this transform's arguments."""
        if type(y) is Dual and y.transform is self:
            return y.tangent
        return np.zeros(self.lead + np.shape(y), dtype=inexact(y))


def plus(t: Any, s: Any) -> Any:
    """The sum of two tangents, of an array or of each of several results; None is nothing."""
    if t is None:
        return s
    return tuple(a + b for a, b in zip(t, s, strict=True)) if type(t) is tuple else t + s
