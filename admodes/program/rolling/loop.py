"""A loop as data: a body, what it reads as it moves on, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...core.indices import as_tuple
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
    inner = program.with_(inputs=inputs, instructions=loop.body, outputs=loop.made, numbers=())
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


class _Spread:
    """Instructions of the body whose arguments each iteration only reads, for all iterations at once."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.moving = {m.inside: m for m in loop.moving}
        self.makers: dict[Value, Instruction] = {}  # of values that can be had at once
        self.before: list[Instruction] = []
        self.known: dict[Value, Value] = {}
        fixed = {v for v in loop.fixed if isinstance(v, Value)}
        for i in loop.body:
            if i.op is INDEX:
                if self._rows(i) is not None:
                    self.makers[i.outs[0]] = i
            elif self._is_alike(i) and all(
                v in fixed or (v in self.makers and v.ndim == i.outs[0].ndim) for v in i.uses
            ):
                self.makers[i.outs[0]] = i

    def _is_alike(self, i: Instruction) -> bool:
        """Whether stacks of rows give the results of the rows, of the same dtype too."""
        dtypes = {x.dtype for x in i.args if isinstance(x, Value | np.ndarray | np.generic)}
        return isinstance(i.op.fn, np.ufunc) and i.op.fn.signature is None and not i.params and len(dtypes) == 1

    def _rows(self, i: Instruction) -> tuple[Any, ...] | None:
        """Where x[…] of all iterations is: in which array, and at which index."""
        m, index = self.moving.get(i.args[0]), as_tuple(i.args[1])
        if m is None or not m.step or not index or type(index[0]) is not int:
            return None
        step, rest = divmod(m.step, m.inside.size // m.inside.shape[0])
        if rest:
            return None
        first = index[0] % m.inside.shape[0]
        stop = first + step * self.loop.steps
        return m.source, (slice(first, stop if stop >= 0 else None, step), *index[1:])

    def whole(self, v: Value) -> Value:
        """What a value is in all iterations."""
        if v not in self.known:
            i = self.makers[v]
            args = self._rows(i) if i.op is INDEX else tuple(map(self._whole, i.args))
            assert args is not None
            self.known[v] = Value((self.loop.steps, *v.shape), v.dtype)
            self.before.append(replace(i, args=args, out=self.known[v], view=i.op is INDEX))
        return self.known[v]

    def _whole(self, x: Any) -> Any:
        return self.whole(x) if isinstance(x, Value) and x in self.makers else x


def spread(loop: Loop, costly: Callable[[Instruction], bool]) -> tuple[list[Instruction], Loop]:
    """Costly operations on what each iteration only reads, done before for all of them at once; and the rest."""
    of = _Spread(loop)
    body: list[Instruction] = []
    moving = list(loop.moving)
    for i in loop.body:
        v = i.outs[0]
        if i.op is INDEX or v not in of.makers or v in loop.made or not costly(i):
            body.append(i)
            continue
        stack = of.whole(v)
        moving.append(Moving(Value(stack.shape, stack.dtype), stack, v.size))
        body.append(Instruction(INDEX, (moving[-1].inside, (0,)), {}, v, i.backward, view=bool(v.ndim)))
    if len(moving) == len(loop.moving):
        return [], loop
    needed, kept = set(loop.made), []
    for i in reversed(body):
        if needed.intersection(i.outs):
            needed.update(i.uses)
            kept.append(i)
    rest = replace(
        loop,
        body=tuple(reversed(kept)),
        fixed=tuple(v for v in loop.fixed if v in needed),
        moving=tuple(m for m in moving if m.inside in needed),
    )
    return of.before, rest


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
