"""Programs with loops in place of their iterations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ...core.indices import as_tuple
from ...core.registry import OPS
from ...ops.index import INDEX, SCATTER
from ..recording import GUARD, Instruction, Value
from ..straightline import StraightLine
from .iterations import Constants, Iterations, Other, Own, Place, Same, Scattered, Shown, Steps
from .kinds import frozen, variables_of, varied
from .loop import Carried, Loop, Moving, hoisted, simplified

P = TypeVar("P", bound=StraightLine)


Make = Callable[[Loop, bool], list[Instruction]]
Passes = Sequence[Callable[[Any], Any]]

# Fewer instructions are no loop worth the name; nor are these where most are on arrays of so many elements: written out
# they are one kernel, which keeps in registers what a loop hands on from step to step through memory.
SHORTEST, SHORTEST_WIDE, WIDE = 48, 500, 256

# Loops of fewer instructions than LONG, at most: each takes time to make, and these run well from a table.
MOST_SHORT, LONG = 8, 500


def roll(program: P, accepts: Callable[[Instruction], bool], make: Make, passes: Passes = ()) -> P:
    """The program with loops in place of their iterations.

    accepts : whether a body may hold an instruction
    make : the instructions of a loop, given whether it is of the backward part
    passes : what makes bodies simpler
    """
    count = len(program.instructions)
    wide = sum(v.size > WIDE for i in program.instructions for v in i.outs)
    if count < (SHORTEST_WIDE if 2 * wide > count else SHORTEST):
        return program
    return _Rolling(program, accepts).carried_out(make, passes)


class _Rolling(Iterations):
    """The program with loops in place of the iterations that were found."""

    def carried_out(self, make: Make, passes: Passes) -> Any:
        """The program with loops in place of their iterations."""
        short = [steps for steps in self.loops if steps.times * steps.period < LONG]
        for one in sorted(short, key=lambda one: -one.times * one.period)[MOST_SHORT:]:
            if any(one is kept for kept in self.loops):
                self._dropped(one)
        while (unfit := self._read()) is not None:
            self._dropped(unfit)
        starts = {steps.start: steps for steps in self.loops}
        if not starts:
            return self.program
        body: list[Instruction] = []
        k = 0
        while k < len(self.body):
            steps = starts.get(k)
            if steps is None:
                body.append(self.body[k])
                k += 1
            else:
                body += self._instructions(steps, make, passes)
                k = steps.stop
        return self.program.with_(instructions=tuple(body))

    def _dropped(self, steps: Steps) -> None:
        """Leave a loop as it stands in the program, and those that read it."""
        gone = [steps]
        for other in self.loops:
            read = {id(c.loop) for columns in other.columns for c in columns if isinstance(c, Other)}
            if any(id(one) in read for one in gone):
                gone.append(other)
        kept = [other for other in self.loops if not any(other is one for one in gone)]
        self.home[:] = -1
        for n, other in enumerate(kept):
            self.home[other.first : other.first + other.count * other.times] = n
        self.loops = kept

    def _read(self) -> Steps | None:
        """Note what is read of each loop outside of it; a loop of which what it has not is read."""
        self.rows: dict[int, dict[int, Value]] = {}  # by number of a value that is read alone
        inside = np.zeros(len(self.body), bool)
        for steps in self.loops:
            steps.stacks, steps.finals = {}, {}
            inside[steps.start : steps.stop] = True
        for v in self.program.outputs:
            self._one_read(v)
        for k in np.flatnonzero(~inside):
            for v in self.body[k].uses:
                self._one_read(v)
        for steps in self.loops:
            for k, columns in enumerate(steps.columns):
                for j, c in enumerate(columns):
                    if isinstance(c, Other):
                        self._stack(c.loop, c.place)
                    elif isinstance(c, Own):
                        if c.lag:
                            self._one_read(self.variables[steps.start + k][j])
                        elif self.body[steps.start + k].op is GUARD:
                            self._stack(steps, c.place)
                    elif isinstance(c, Same | Shown):
                        self._one_read(c.x if isinstance(c, Same) else c.source)
            for one in steps.sums:
                for k in one.scatters:
                    self._stack(steps, steps.columns[k][0].place)
        for steps in self.loops:
            summed = {self.place_of(steps, k) for one in steps.sums for k in (*one.scatters, *one.additions)}
            totals = {one.total for one in steps.sums}
            if summed & steps.stacks.keys() or (summed - totals) & steps.finals.keys():
                return steps
        return None

    def _stack(self, steps: Steps, place: int) -> Value:
        """The array of what a value of the body is in all iterations."""
        if place not in steps.stacks:
            v = self.value_of(steps, place)
            steps.stacks[place] = Value((steps.times, *v.shape), v.dtype)
        return steps.stacks[place]

    def value_of(self, steps: Steps, place: int) -> Value:
        """A value of the last iteration."""
        n = steps.first + steps.count * (steps.times - 1) + place
        k = self.maker[n]
        return self.body[k].outs[n - self.first_value[k]]

    def _one_read(self, v: Any) -> None:
        """Note that one value is read outside of its loop."""
        home = int(self.home[self.number[v]]) if isinstance(v, Value) else -1
        if home < 0:
            return
        steps = self.loops[home]
        iteration, place = divmod(self.number[v] - steps.first, steps.count)
        if iteration == steps.times - 1:
            steps.finals[place] = v
        else:
            self._stack(steps, place)
            self.rows.setdefault(home, {})[self.number[v]] = v

    def _instructions(self, steps: Steps, make: Make, passes: Passes) -> list[Instruction]:
        """The instruction of a loop, and those that go with it."""
        backward = self.body[steps.start].backward
        rows = dict(self.rows.get(self.loops.index(steps), {}))
        rows |= {self.number[v]: v for place, v in steps.finals.items() if place in steps.stacks}
        guards = [
            (self.body[steps.last + k], c[0].place)
            for k, c in enumerate(steps.columns)
            if c and self._is_guard(steps, k)
        ]
        alone = {place for _, place in guards} | {steps.columns[k][0].place for one in steps.sums for k in one.scatters}
        whole = {v: place for place, v in steps.stacks.items() if place not in alone}
        loop = simplified(Body(self, steps).loop, self.program, passes, self.accepts)
        new, loop, outside = hoisted(loop, set(whole))
        steps.hoisted = {whole[stack]: v for stack, v in outside.items()}
        if loop.made:
            new += make(loop, backward)
        there = {v for i in new for v in i.outs}
        for n, v in rows.items():
            iteration, place = divmod(n - steps.first, steps.count)
            shown: Any = (steps.hoisted[place], ()) if place in steps.hoisted else (steps.stacks[place], iteration)
            if v not in there:
                new.append(Instruction(INDEX, shown, {}, v, backward, view=bool(v.ndim)))
        for i, place in guards:
            new += _guarded(i, steps.stacks[place])
        for one in steps.sums:
            new += self._summed(steps, one, backward)
        return new

    def _is_guard(self, steps: Steps, k: int) -> bool:
        return self.body[steps.start + k].op is GUARD

    def _summed(self, steps: Steps, one: Scattered, backward: bool) -> list[Instruction]:
        """A sum of scatters, of all iterations at once: the zeros of the others make 0.0 of −0.0 everywhere."""
        first = next(
            self.variables[steps.start + k][j]
            for k in one.additions
            for j, c in enumerate(steps.columns[k])
            if isinstance(c, Own) and c.lag
        )
        total = self.value_of(steps, one.total)

        so_far = Value(total.shape, total.dtype)
        new = [Instruction(OPS[np.add], (first, 0.0), {}, so_far, backward)]
        for k in one.scatters:
            u, _, shape, ndim = self.body[steps.start + k].args
            index, axis = self.slice_of(steps, k)
            stack, lead = steps.stacks[steps.columns[k][0].place], u.ndim - ndim + axis
            if lead:
                order = (*range(1, lead + 1), 0, *range(lead + 1, stack.ndim))
                turned = Value(tuple(stack.shape[a] for a in order), stack.dtype)
                new.append(Instruction(OPS[np.transpose], (stack, order), {}, turned, backward, view=True))
                stack = turned
            scattered, out = (Value(total.shape, total.dtype) for _ in range(2))
            out = total if k == one.scatters[-1] else out
            new.append(Instruction(SCATTER, (stack, index, shape, ndim + 1), {}, scattered, backward))
            new.append(Instruction(OPS[np.add], (so_far, scattered), {}, out, backward))
            so_far = out
        return new


def _guarded(i: Instruction, stack: Value) -> list[Instruction]:
    """The guard of all iterations at once."""
    known = bool(i.args[1])
    v = Value((), np.dtype(bool))
    one = Instruction(OPS[np.all if known else np.any], (stack,), {}, v, i.backward)
    return [one, replace(i, args=(v, i.args[1]))]


class Body:
    """Makes the body of a loop, from its last iteration."""

    def __init__(self, of: _Rolling, steps: Steps) -> None:
        self.of, self.steps = of, steps
        self.fixed: dict[int, Any] = {}
        self.moving: dict[Any, Moving] = {}
        self.carried: dict[Any, Carried] = {}
        self.body: list[Instruction] = []
        self.known: dict[Any, Value] = {}
        gone = {k for one in steps.sums for k in (*one.scatters, *one.additions)}
        for k in range(steps.period):
            if k not in gone and of.body[steps.last + k].op is not GUARD:
                self.body.append(self._instruction(k))
        apart = {*(one.total for one in steps.sums), *steps.stacks}
        self.loop = Loop(
            steps.times, tuple(self.body), tuple(self.fixed.values()), tuple(self.moving.values()),
            tuple(self.carried.values()),
            {of.value_of(steps, place): v for place, v in steps.stacks.items()},
            {v: v for place, v in steps.finals.items() if place not in apart},
        )  # fmt: skip

    def _instruction(self, k: int) -> Instruction:
        columns = self.steps.columns[k]
        if any(isinstance(c, Place) and c.step for c in columns):
            first, second = (self.of.body[self.steps.start + n * self.steps.period + k] for n in (0, 1))
            marker = self._marker(columns[0].x, *(_offset(columns[0].x.shape, i.args[1]) for i in (first, second)))
            return replace(self.of.body[self.steps.last + k], args=(marker, first.args[1]))
        i = self.of.body[self.steps.last + k]
        given = iter(zip(columns, self.of.variables[self.steps.start + k], variables_of(i), strict=True))
        args, params = varied(i, lambda _: self._argument(*next(given)))
        return replace(i, args=args, params=params)

    def _argument(self, column: Any, first: Any, last: Any) -> Any:
        """An argument as the body reads it."""
        if isinstance(column, Own):
            return last if not column.lag else self._before(column, first)
        if isinstance(column, Same):
            if isinstance(column.x, Value):
                self.fixed[id(column.x)] = column.x
            return column.x
        if isinstance(column, Other) and column.place in column.loop.hoisted:
            v = column.loop.hoisted[column.place]
            self.fixed[id(v)] = v
            return v
        if isinstance(column, Other):
            stack = column.loop.stacks[column.place]
            at, size = column.first, last.size
            return self._read(stack, (at,), at * size, (at + column.step) * size, last)
        if isinstance(column, Shown):
            where = (_offset(column.source.shape, index) for index in (column.index, column.following))
            return self._read(column.source, column.index, next(where), next(where), last)
        if isinstance(column, Constants):
            size = column.stack.size // len(column.stack)
            return self._read(column.stack, (0,), 0, size, Value(column.stack.shape[1:], column.stack.dtype))
        return last  # a place that stays

    def _before(self, column: Own, first: Any) -> Value:
        key = column.place, id(first)
        if key not in self.carried:
            after = self.of.value_of(self.steps, column.place)
            self.carried[key] = Carried(Value(after.shape, after.dtype), first, after)
        return self.carried[key].before

    def _marker(self, source: Any, here: int, there: int) -> Value:
        """What stands for an array that moves on by so many elements."""
        key = id(source), there - here
        if key not in self.moving:
            self.moving[key] = Moving(Value(source.shape, source.dtype), source, there - here)
        return self.moving[key].inside

    def _read(self, source: Any, index: Any, here: int, there: int, like: Any) -> Value:
        marker = self._marker(source, here, there)
        key = marker, frozen(index)
        if key not in self.known:
            v = self.known[key] = Value(like.shape, like.dtype)
            self.body.append(Instruction(INDEX, (marker, index), {}, v, view=bool(v.ndim)))
        return self.known[key]


def _offset(shape: tuple[int, ...], index: Any) -> int:
    """Where the first element of x[index] is in x, in the order of C."""
    untouched = np.empty(shape, np.int8)
    index = as_tuple(index)
    view = untouched[index if any(i is Ellipsis for i in index) else (*index, ...)]
    return int(view.__array_interface__["data"][0] - untouched.__array_interface__["data"][0])
