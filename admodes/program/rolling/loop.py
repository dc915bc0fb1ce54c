"""A loop as data: a body, what it reads as it moves on, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...core.registry import OPS
from ...ops.index import INDEX
from ..recording import Instruction, Value


@dataclass(frozen=True)
class Moving:
    """In iteration t the body reads `inside` as what `source` is t · step elements further on."""

    inside: Value
    source: Any
    step: int


@dataclass(frozen=True)
class Carried:
    """`before` in an iteration is `after` in the one before, and `first` in the first."""

    before: Value
    first: Any
    after: Value


@dataclass
class Loop:
    """A body that runs `steps` times.

    fixed : what the body reads from outside, the same each time
    stacked : values of the body, and the array of what they were in all iterations
    final : values of the body, and what they were in the last one
    """

    steps: int
    body: tuple[Instruction, ...]
    fixed: tuple[Any, ...] = ()
    moving: tuple[Moving, ...] = ()
    carried: tuple[Carried, ...] = ()
    stacked: dict[Value, Value] = field(default_factory=dict)
    final: dict[Value, Value] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What it reads from outside."""
        return (*self.fixed, *(m.source for m in self.moving), *(c.first for c in self.carried))

    @property
    def made(self) -> tuple[Value, ...]:
        """The values of the body that leave an iteration."""
        return tuple(dict.fromkeys([*self.stacked, *self.final, *(c.after for c in self.carried)]))


def simplified(
    loop: Loop, program: Any, passes: Sequence[Callable[[Any], Any]], accepts: Callable[[Instruction], bool]
) -> Loop:
    """The loop with passes of its program applied to its body; as it was where that is no body then."""
    inputs = (*loop.fixed, *(m.inside for m in loop.moving), *(c.before for c in loop.carried))
    inner = program.with_(inputs=inputs, instructions=loop.body, outputs=loop.made)
    for one in passes:
        inner = one(inner)
    body = list(inner.instructions)
    own = {v for i in body for v in i.outs}
    new: dict[Value, Value] = {}
    for v, w in zip(loop.made, inner.outputs, strict=True):
        if not isinstance(w, Value) or w not in own:  # one for each, made in the body
            if not isinstance(w, Value) or v.dtype.kind != "f":
                return loop
            w = _copied(w, body)
        own.discard(w)
        new[v] = w
    if not all(map(accepts, body)):
        return loop
    return replace(
        loop,
        body=tuple(body),
        carried=tuple(replace(c, after=new[c.after]) for c in loop.carried),
        stacked={new[v]: stack for v, stack in loop.stacked.items()},
        final={new[v]: final for v, final in loop.final.items()},
    )


def _copied(v: Value, body: list[Instruction]) -> Value:
    """The value again, as one of the body's own."""
    w = Value(v.shape, v.dtype)
    body.append(Instruction(OPS[np.positive], (v,), {}, w))
    return w


def hoisted(loop: Loop, whole: set[Value]) -> tuple[list[Instruction], Loop, dict[Value, Value]]:
    """What is the same in all iterations, computed before; the rest of the loop; and of the stacks in `whole`, those
    that are not needed, with the value that each iteration would repeat in them."""
    known = set(loop.fixed)
    before: list[Instruction] = []
    body: list[Instruction] = []
    for i in loop.body:
        if all(v in known for v in i.uses):
            known.update(i.outs)
            before.append(i)
            if not i.view:
                continue
        body.append(i)
    final = {v: w for v, w in loop.final.items() if v not in known}
    for v in [v for v in loop.final if v not in final]:
        if loop.final[v] not in known:
            before.append(Instruction(INDEX, (v, ()), {}, loop.final[v], loop.body[0].backward, view=bool(v.ndim)))
    outside = {stack: v for v, stack in loop.stacked.items() if v in known and stack in whole}
    new: dict[Value, Value] = {}
    gone = {v for i in before if not i.view for v in i.outs}
    for v in loop.made:
        stays = v in loop.stacked and loop.stacked[v] not in outside
        if v in gone and (stays or any(c.after is v for c in loop.carried)):
            if v.dtype.kind != "f":
                return [], loop, {}
            new[v] = _copied(v, body)
    read = {v for i in body for v in i.uses}
    fixed = tuple(dict.fromkeys(v for v in (*loop.fixed, *gone) if v in read))
    rest = replace(
        loop,
        body=tuple(body),
        fixed=fixed,
        carried=tuple(replace(c, after=new.get(c.after, c.after)) for c in loop.carried),
        stacked={new.get(v, v): stack for v, stack in loop.stacked.items() if stack not in outside},
        final=final,
    )
    return before, rest, outside


def with_arrays_outside(loop: Loop) -> Loop:
    """The loop with constant arrays among what it reads, at a place that stays."""
    known: dict[int, Moving] = {}

    def inside(x: Any) -> Any:
        if not isinstance(x, np.ndarray) or not x.ndim:
            return x
        if id(x) not in known:
            known[id(x)] = Moving(Value(x.shape, x.dtype), x, 0)
        return known[id(x)].inside

    body = tuple(replace(i, args=tuple(map(inside, i.args))) for i in loop.body)
    return replace(loop, body=body, moving=(*loop.moving, *known.values()))
