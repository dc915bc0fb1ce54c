"""Iterations in a program: runs of instructions of equal kinds whose arguments go on regularly.

Each argument stays the same, is made in the same iteration or in the one before, is a number or an array of its own,
reads x[a + b t], or what iteration a + b t of an earlier loop made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.indices import as_tuple
from ...ops.index import INDEX, SCATTER
from ..recording import GUARD, Instruction, Value, leaves
from .kinds import Kinds, form
from .periods import LEAST, Run, runs

# Multiples of a period that are tried where the arguments go on regularly only over several.
MULTIPLES = (1, 2, 3, 4, 6, 8)


# Bytes that nothing else weighs up.
FAR = 1 << 40


class Irregular(Exception):
    """Instructions that are no loop that can be written."""


@dataclass(frozen=True)
class Own:
    """Made `lag` iterations before, 0 in the same, as value number `place` of it."""

    place: int
    lag: int


@dataclass(frozen=True)
class Same:
    """The same in all iterations."""

    x: Any


@dataclass(frozen=True)
class Other:
    """Value number `place` of iteration first + t · step of an earlier loop."""

    loop: Steps
    place: int
    first: int
    step: int


@dataclass(frozen=True)
class Shown:
    """source[index] in the first iteration, source[following] in the next, and so on."""

    source: Any
    index: Any
    following: Any


@dataclass(frozen=True)
class Constants:
    """A number or an array for each iteration."""

    stack: np.ndarray


@dataclass(frozen=True)
class Place:
    """A whole number in an index: first + t · step."""

    first: int
    step: int


@dataclass(eq=False)
class Steps:
    """Iterations found in a program: `times` of `period` instructions from `start` on.

    first : the number of the first value that they make; count: how many values each makes
    columns : for each argument that may differ, by instruction of the body, how it goes on
    """

    start: int
    period: int
    times: int
    first: int
    count: int
    columns: list[list[Any]] = field(default_factory=list)
    sums: list[Scattered] = field(default_factory=list)
    stacks: dict[int, Value] = field(default_factory=dict)  # by number within the iteration
    finals: dict[int, Value] = field(default_factory=dict)
    hoisted: dict[int, Value] = field(default_factory=dict)  # what is the same in all iterations

    @property
    def stop(self) -> int:
        return self.start + self.period * self.times

    @property
    def last(self) -> int:
        """The place of the last iteration."""
        return self.stop - self.period


@dataclass(frozen=True)
class Scattered:
    """A carried sum to which each iteration adds a scatter at a place of its own: places of the scatters and additions
    in the body, and the numbers of the values that are carried and added."""

    scatters: tuple[int, ...]
    additions: tuple[int, ...]
    total: int


class Iterations:
    def __init__(self, program: Any, accepts: Callable[[Instruction], bool]) -> None:
        self.program, self.accepts = program, accepts
        self.body: tuple[Instruction, ...] = program.instructions
        self.number: dict[Value, int] = {}
        self.maker: list[int] = []  # by number of a value the place of its instruction
        for v in program.inputs:
            self._numbered(v, -1)
        kinds, self.variables, self.first_value = Kinds(), [], []
        symbols = np.empty(len(self.body), np.int64)
        for k, i in enumerate(self.body):
            symbols[k], variables = kinds.of(i)
            self.variables.append(variables)
            self.first_value.append(len(self.maker))
            for v in i.outs:
                self._numbered(v, k)
        self.first_value.append(len(self.maker))
        self.home = np.full(len(self.maker), -1)  # by number of a value the loop that makes it
        self.loops: list[Steps] = []
        for run in runs(symbols):
            self._found(run)

    def _numbered(self, v: Value, k: int) -> None:
        self.number[v] = len(self.maker)
        self.maker.append(k)

    # -- finding iterations -------------------------------------------------------------------------

    def _found(self, run: Run) -> None:
        """Add the loops of a run: over the shortest period over which arguments go on regularly."""
        best: list[Steps] = []
        for multiple in MULTIPLES:
            longer = Run(run.start, run.stop, run.period * multiple)
            if longer.times < LEAST:
                break
            found = self._segments(longer)
            if sum(s.times * s.period for s in found) > 1.2 * sum(s.times * s.period for s in best):
                best = found
            if 2 * sum(s.times * s.period for s in best) > run.stop - run.start:
                break
        for steps in best:
            n = len(self.loops)
            self.loops.append(steps)
            self.home[steps.first : steps.first + steps.count * steps.times] = n

    def _segments(self, run: Run) -> list[Steps]:
        """The iterations of a run, in as many loops as there are places where they do not go on."""
        scattering = [i.op is SCATTER for i in self.body[run.start : run.start + run.period]]
        for i, scatters in zip(self.body[run.start : run.start + run.period], scattering, strict=True):
            if not (scatters or (any(scattering) and i.op.fn is np.add) or self.accepts(i)):
                return []
        run = self._turned(run)
        if run.times < LEAST:
            return []
        base = np.array([self.first_value[run.start + t * run.period] for t in range(run.times + 1)])
        count = int(base[1] - base[0])
        cut, bad = np.zeros(run.times + 1, bool), np.zeros(run.times, bool)
        cut[[0, -1]] = True
        for k in range(run.period):
            for column in self._columns(run, k):
                self._breaks(column, base, count, cut, bad)
                if type(column[0]) is int and self.body[run.start + k].op in (INDEX, SCATTER):
                    cut[1:-1] |= np.diff(np.array(column) < 0)  # from the end, or the beginning
        found = []
        for start, stop in _stretches(cut, bad):
            if stop - start >= LEAST:
                steps = Steps(run.start + start * run.period, run.period, stop - start, int(base[start]), count)
                try:
                    steps.columns = [self._regular(steps, k) for k in range(run.period)]
                    self._check_places(steps)
                    self._check_scatters(steps)
                    self._check_body(steps)
                except Irregular:
                    continue
                found.append(steps)
        return found

    def _columns(self, run: Any, k: int) -> Iterator[list[Any]]:
        """Each argument of instruction k of the body, over the iterations."""
        rows = [self.variables[run.start + t * run.period + k] for t in range(run.times)]
        return (list(column) for column in zip(*rows, strict=True))

    def _turned(self, run: Run) -> Run:
        """The run from the instruction on at which the fewest bytes go from one iteration to the next."""
        at = run.start + run.period
        crossing = np.zeros(run.period + 1)
        last: dict[int, int] = {}
        for k in range(at, at + run.period):
            for x in self.variables[k]:
                made = self.maker[self.number[x]] if isinstance(x, Value) else -1
                if k - run.period < made:
                    last[self.number[x]] = max(last.get(self.number[x], 0), k)
        # cuts in (made, k], by place in the body
        values = [v for i in self.body[at - run.period : at + run.period] for v in i.outs]
        size = {self.number[v]: v.nbytes for v in values}
        for n, k in last.items():
            for c in range(self.maker[n] + 1, k + 1):
                crossing[(c - run.start) % run.period] += size[n]
        for k in range(at, at + run.period):  # what is scattered is made in the same iteration
            u = self.body[k].args[0] if self.body[k].op is SCATTER else None
            made = self.maker[self.number[u]] if isinstance(u, Value) else -1
            for c in range(made + 1, k + 1) if made > k - run.period else ():
                crossing[(c - run.start) % run.period] += FAR
        turn = int(np.argmin(crossing[: run.period]))
        return Run(run.start + turn, run.stop, run.period)

    def _breaks(self, column: list[Any], base: np.ndarray, count: int, cut: np.ndarray, bad: np.ndarray) -> None:
        """Note where an argument does not go on: cut[t] between t − 1 and t, bad[t] where it is none of a loop's."""
        if isinstance(column[0], Value):
            at = np.array([self.number[v] for v in column])
            steps = np.diff(at)
            usual = int(np.median(steps))
            if usual == count:
                behind = at - base[:-1]
                wrong = behind != int(np.median(behind))
                cut[:-1] |= wrong
                cut[1:-1] |= wrong[:-1] & ~(np.median(behind) < 0)
            elif usual == 0:
                cut[1:-1] |= steps != 0
            elif (reads := self._shown(column)) is not None:
                wrong, none = self._shown_breaks(reads)
                cut[1:-1] |= wrong
                bad |= none
            else:
                cut[1:-1] |= steps != usual
                homes = self.home[at]
                bad |= homes < 0
                cut[1:-1] |= homes[1:] != homes[:-1]
        elif type(column[0]) is int:
            steps = np.diff(np.array(column, dtype=float))
            cut[1:-1] |= steps != np.median(steps)

    def _reads(self, v: Any) -> Instruction | None:
        """The instruction x[…] that a value is, where that is a view known by whole numbers."""
        k = self.maker[self.number[v]]
        i = self.body[k] if k >= 0 else None
        return i if i is not None and i.op is INDEX and isinstance(i.args[0], Value) else None

    def _shown(self, column: list[Any]) -> list[Instruction | None] | None:
        """The instructions x[…] of one array that a column shows, None for others; None where it is no such column."""
        middle, neighbour = (self._reads(column[n]) for n in (len(column) // 2, len(column) // 2 - 1))
        if middle is None or neighbour is None or middle.args[0] is not neighbour.args[0]:
            return None
        found = [self._reads(v) for v in column]
        return [i if i is not None and i.args[0] is middle.args[0] else None for i in found]

    def _shown_breaks(self, reads: list[Instruction | None]) -> tuple[np.ndarray, np.ndarray]:
        """Where x[…] does not go on, and where there is none."""
        none = np.array([i is None for i in reads])
        marked = [form(i) if i is not None else (None, ()) for i in reads]
        usual = marked[len(reads) // 2]
        none |= np.array([form != usual[0] or len(places) != len(usual[1]) for form, places in marked])
        places = np.array([usual[1] if gone else p for (_, p), gone in zip(marked, none, strict=True)]).reshape(
            len(reads), -1
        )
        steps = np.diff(places, axis=0)
        wrong = (steps != np.median(steps, axis=0)) | np.diff(places < 0, axis=0)  # from the end, or the beginning
        return wrong.any(axis=1) & ~none[1:] & ~none[:-1], none

    # -- how each argument goes on, to the letter ----------------------------------------------------

    def _regular(self, steps: Steps, k: int) -> list[Any]:
        return [self._goes_on(steps, k, column) for column in self._columns(steps, k)]

    def _goes_on(self, steps: Steps, k: int, column: list[Any]) -> Any:
        """How an argument goes on over these iterations; raises Irregular where it does not."""
        first, i = column[0], self.body[steps.start + k]
        if isinstance(first, Value):
            return self._values(steps, column)
        if (i.op is INDEX or i.op is SCATTER) and type(first) is int:
            step = column[1] - first
            if any(x != first + t * step for t, x in enumerate(column)):
                raise Irregular
            if (min(column) < 0) != (max(column) < 0):  # from the end, and from the beginning
                raise Irregular
            return Place(first, step)
        if isinstance(first, np.ndarray):
            if all(x is first for x in column):
                return Same(first)
            if i.op is INDEX or i.op is SCATTER:
                raise Irregular
            return Constants(np.stack(column))
        if all(type(x) is type(first) and repr(x) == repr(first) for x in column):
            return Same(first)
        return Constants(self._numbers(i, column))

    def _numbers(self, i: Instruction, column: list[Any]) -> np.ndarray:
        """Numbers as an array: beside doubles Python's are doubles."""
        if all(isinstance(x, np.generic) for x in column):
            return np.array(column)
        arrays = [x for x in (*i.args, *i.outs) if isinstance(x, Value | np.ndarray)]
        whole = all(type(x) is float or (type(x) is int and abs(x) < 1 << 53) for x in column)
        if not whole or any(x.dtype.char not in "d?" for x in arrays) or not any(x.dtype.char == "d" for x in arrays):
            raise Irregular
        return np.array(column, dtype=float)

    def _values(self, steps: Steps, column: list[Any]) -> Any:
        at = np.array([self.number[v] for v in column])
        base = steps.first + steps.count * np.arange(steps.times)
        behind = int(at[-1] - base[-1])
        if behind + steps.count * steps.times >= 0 and at[-1] >= steps.first:
            lag = max(0, -(behind // steps.count))
            if 0 <= lag <= 1 and (at[lag:] == base[lag:] + behind).all():
                if lag and (at[0] >= steps.first or column[0].shape != column[1].shape):
                    raise Irregular
                return Own(behind + lag * steps.count, lag)
            raise Irregular
        if at.max() >= steps.first:
            raise Irregular
        if (at == at[0]).all():
            return Same(column[0])
        reads = self._shown(column)
        if reads is not None:
            return self._source(reads)
        homes = self.home[at]
        if homes[0] < 0 or (homes != homes[0]).any():
            raise Irregular
        loop = self.loops[homes[0]]
        iteration, place = np.divmod(at - loop.first, loop.count)
        step = int(iteration[1] - iteration[0])
        if (place != place[0]).any() or (np.diff(iteration) != step).any():
            raise Irregular
        return Other(loop, int(place[0]), int(iteration[0]), step)

    def _source(self, reads: list[Instruction | None]) -> Shown:
        """x[…] that goes on."""
        wrong, none = self._shown_breaks(reads)
        if wrong.any() or none.any():
            raise Irregular
        first, second = (i for i in reads[:2] if i is not None)
        return Shown(first.args[0], first.args[1], second.args[1])

    def _check_places(self, steps: Steps) -> None:
        """Raise Irregular where places move in what is itself another array each time, or a guard looks elsewhere."""
        for k, columns in enumerate(steps.columns):
            i = self.body[steps.start + k]
            if i.op is GUARD and not (isinstance(columns[0], Own) and columns[0].lag == 0):
                raise Irregular
            if any(isinstance(c, Place) and c.step for c in columns):
                wanted = Own if i.op is SCATTER else Same
                if not isinstance(columns[0], wanted) or (isinstance(columns[0], Own) and columns[0].lag):
                    raise Irregular

    # -- sums of scatters ---------------------------------------------------------------------------

    def _check_body(self, steps: Steps) -> None:
        """Raise Irregular where what is left beside sums of scatters may not be in a body."""
        summed = {k for one in steps.sums for k in (*one.scatters, *one.additions)}
        for k in range(steps.period):
            if k not in summed and not self.accepts(self.body[steps.start + k]):
                raise Irregular

    def _check_scatters(self, steps: Steps) -> None:
        """Find the sums that go with scatters at places that move; raises Irregular for any other such scatter."""
        moving = [
            k for k in range(steps.period)
            if self.body[steps.start + k].op is SCATTER
            and any(isinstance(c, Place) and c.step for c in steps.columns[k])
        ]  # fmt: skip
        if not moving:
            return
        makes = {self.place_of(steps, k): k for k in range(steps.period)}
        uses: dict[int, list[tuple[int, int]]] = {}
        for k, columns in enumerate(steps.columns):
            for c in columns:
                if isinstance(c, Own):
                    uses.setdefault(c.place, []).append((k, c.lag))
        open_, found = set(moving), []
        while open_:
            found.append(self._sum_of(steps, min(open_), makes, uses, set(moving)))
            open_ -= set(found[-1].scatters)
        steps.sums = found

    def place_of(self, steps: Steps, k: int) -> int:
        return self.first_value[steps.start + k] - steps.first

    def _sum_of(
        self, steps: Steps, k: int, makes: dict[int, int], uses: dict[int, list[tuple[int, int]]], moving: set[int]
    ) -> Scattered:
        """The chain of additions, from one iteration to the next, that a scatter is part of."""
        scatters, additions = [], []
        at = self._only_addition(steps, self.place_of(steps, k), uses, 0)
        start = at
        while True:
            columns = steps.columns[at]
            scatter = [
                makes[c.place] for c in columns if isinstance(c, Own) and c.lag == 0 and makes[c.place] in moving
            ]
            if len(columns) != 2 or len(scatter) != 1 or scatter[0] in scatters:
                raise Irregular
            self._only_addition(steps, self.place_of(steps, scatter[0]), uses, 0)
            self.slice_of(steps, scatter[0])
            scatters.append(scatter[0])
            additions.append(at)
            (after, lag), *more = uses.get(self.place_of(steps, at), [(-1, 0)])
            if more or after < 0 or self.body[steps.start + after].op.fn is not np.add or (lag == 0) != (after > at):
                raise Irregular
            at = after
            if at == start:
                break
        total = max(additions)
        order = sorted(range(len(additions)), key=lambda n: additions[n])
        return Scattered(
            tuple(scatters[n] for n in order), tuple(additions[n] for n in order), self.place_of(steps, total)
        )

    def _only_addition(self, steps: Steps, place: int, uses: dict[int, list[tuple[int, int]]], lag: int) -> int:
        """The addition that alone reads a value."""
        found = uses.get(place, [])
        if len(found) != 1 or found[0][1] != lag or self.body[steps.start + found[0][0]].op.fn is not np.add:
            raise Irregular
        return found[0][0]

    def slice_of(self, steps: Steps, k: int) -> tuple[tuple[Any, ...], int]:
        """The index of all places that a scatter of the body goes to, and how many axes of one they are behind."""
        i = self.body[steps.start + k]
        places = [c for c in steps.columns[k] if isinstance(c, Place)]
        index = as_tuple(i.args[1])
        if sum(bool(c.step) for c in places) != 1 or any(isinstance(x, np.ndarray | Value) for x in leaves(index)):
            raise Irregular
        given = iter(places)
        new: list[Any] = []
        axis = before = -1
        for x in index:
            moved = [next(given) for e in leaves(x) if type(e) is int]
            if type(x) is int and moved[0].step:
                (c,) = moved
                axis, stop = before + 1, c.first + c.step * steps.times
                new.append(slice(c.first, None if (stop < 0) != (c.first < 0) else stop, c.step))
                continue
            if (x is Ellipsis and axis < 0) or any(c.step for c in moved):
                raise Irregular
            new.append(x)
            before += type(x) is not int
        return tuple(new), axis


def _stretches(cut: np.ndarray, bad: np.ndarray) -> list[tuple[int, int]]:
    """The longest ranges of iterations without a cut or a bad one inside."""
    edges = np.flatnonzero(cut[:-1] | bad | np.concatenate([[False], bad[:-1]]))
    ends = [*edges.tolist(), len(bad)]
    return [(a, b) for a, b in itertools.pairwise(ends) if not bad[a]]
