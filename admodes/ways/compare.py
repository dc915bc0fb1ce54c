"""`compare`: every way to a derivative, predicted, counted and measured, and which to take."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Real
from typing import Any

from ..core.progress import Step, bar
from ..core.words import seconds, size
from ..transforms.arguments import Argnums
from .agreement import Answers
from .comparison import Comparison
from .estimate import Estimate
from .forecast import UNCOUNTED, Forecast
from .foreign import Peer
from .measure import Samples, allocated_peak, interleaved, race, timed
from .part import RUNS
from .question import Question, Target, ask, silenced
from .row import FAILED, MEMORY, TIME, UNFIT, Row
from .sweep import Sweep, made, scaled
from .table import COLOURS, Way, ways

# The share of the time that is used up after counting, the pattern and its colourings, the first calls, the clock.
COUNTING, PATTERN, FIRST_CALLS, CLOCK = 0.2, 0.5, 0.7, 0.85

# Of every way, before those are measured again that are nearly as fast as the fastest.
FIRST_SAMPLES = 7

# What a pass takes beside f itself, where nothing was counted.
ROUGHLY = 5.0

# The derivatives that are so many equal passes, and what may go to timing a part of those of one way.
PARTED, PARTLY = ("gradient", "jacobian", "hessian"), 0.1

# Of the time that is left, what the import of another library may take.
IMPORTING = 0.4


def compare(
    f: Callable[..., Any] | Sequence[Callable[..., Any]],
    *args: Any,
    target: Target = "auto",
    argnums: Argnums = 0,
    direction: Any = None,
    max_seconds: float = 10.0,
    max_bytes: float | None = None,
    sizes: Mapping[str, Sequence[float]] | None = None,
    scale: Sequence[float] | None = None,
) -> Comparison:
    """Every way to a derivative of f at its arguments: what it would cost, what it costs, and which to take.

    Parameters
    ----------
    f : a function in plain NumPy; or a list of layers, the first applied first.
    *args : its arguments.
    target : "gradient", "jacobian", "hessian", "jvp", "vjp", "hvp"; "auto" is the gradient of a function that returns
        one number, and else the Jacobian.
    argnums : which positional arguments to differentiate by.
    direction : the tangent of a jvp or hvp, the cotangent of a vjp; None for a random one.
    max_seconds : for the whole comparison. Ways that would take longer are timed on a part of
        their passes, or skipped, and say so.
    max_bytes : a way whose predicted peak is above it is not run; None for half of the memory that is free.
    sizes : {"n": [16, 64, 256]}: f is then a factory, and f(n=16) returns (function, x, …); the comparison is made at
        every size, `.sweep` holds all of them, exponents and crossovers, and the rows are those of the largest.
    scale : [1, 4, 16]: the same with x made so many times as long, for a function of any shape.

    Returns
    -------
    Comparison : print it; `.rows` are the ways, `.best` the one that is advised, `.advice` says why.

    Raises
    ------
    TypeError, ValueError : f is no function, returns nothing, or what the target cannot be had of; it changes its
        arguments, or its result from call to call; one run of it takes more than max_seconds. What f itself raises.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapters 3 and 4, for what each way costs;
    here it is counted, predicted by a cost model of the machine, and measured.

    >>> import numpy as np
    >>> comparison = compare(lambda x: np.sum(np.tanh(x) ** 2), np.ones(50), max_seconds=2)
    >>> comparison.target, next(row.passes for row in comparison.rows if row.way == "forward, K at once")
    ('gradient', 50)
    """
    for name, limit, what in (("max_seconds", max_seconds, "time"), ("max_bytes", max_bytes, "memory")):
        if limit is not None and (not isinstance(limit, Real) or not limit > 0):
            raise ValueError(f"compare: {name}={limit!r} is the {what} there is, a number above 0.")
    if sizes is None and scale is None:
        return _one(f, args, argnums, target, direction, max_seconds, max_bytes)
    if sizes is not None and (args or scale is not None):
        raise TypeError("compare: with sizes=, f returns the function and its arguments: give no others, nor scale=.")
    if sizes is not None:
        name, cases = made(f, sizes)  # type: ignore[arg-type]
    else:
        name, cases = "n", scaled(f, args, argnums, scale or ())
    end, found = time.perf_counter() + max_seconds, []
    for i, (size_, (function, arguments)) in enumerate(cases):
        share = (end - time.perf_counter()) / (len(cases) - i)
        if share <= 0:
            break
        found.append((size_, _one(function, arguments, argnums, target, direction, share, max_bytes)))
        if found[-1][1].interrupted:
            break
    sweep = Sweep(name, tuple(n for n, _ in found), tuple(c for _, c in found))
    return replace(found[-1][1], sweep=sweep)


def _one(
    f: Any, args: tuple[Any, ...], argnums: Argnums, target: Target, direction: Any, max_seconds: float,
    max_bytes: float | None,
) -> Comparison:  # fmt: skip
    """The comparison at one size."""
    end = time.perf_counter() + max_seconds
    q = ask(f, args, argnums, target, direction, max_seconds, max_bytes)
    run = _Run(q, end, max_seconds)
    interrupted = False
    try:
        with bar(f"comparing {q.name}", run.steps) as run.step, _quiet():
            run.all()
    except KeyboardInterrupt:
        interrupted = True
    return run.comparison(interrupted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what f prints, and what it or a peer warns of: its own two runs have said it."""
    with silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Run:
    """One comparison under way."""

    def __init__(self, q: Question, end: float, max_seconds: float) -> None:
        self.q, self.end, self.max_seconds = q, end, max_seconds
        self.ways = ways(q.target)
        self.step: Step = lambda _: None
        self.rows = {
            way.name: Row(way.name, grows=way.grows, exact=way.exact, peer=bool(way.peer)) for way in self.ways
        }
        self.answers = Answers()
        self.remarks = list(q.remarks)
        self.slower = 1.0  # than predicted
        self.operations = 0  # of f
        self.expected: dict[str, float] = {}  # seconds of the first call
        self.tasks: dict[str, Callable[[], Any]] = {}
        self.once: dict[str, float] = {}
        self.samples: dict[str, Samples] = {}

    @property
    def steps(self) -> int:
        """How many steps a comparison has: each way is counted and called, then the clock and memory."""
        return 2 * len(self.ways) + 2

    def at(self, share: float) -> float:
        """The moment at which a share of the time is used up."""
        return self.end - (1 - share) * self.max_seconds

    def set(self, name: str, **changes: Any) -> None:
        self.rows[name] = replace(self.rows[name], **changes)

    def leave(self, name: str, left: str, why: str) -> None:
        """A way that is not run."""
        self.set(name, applies=False, left=left, why_not=why)

    def all(self) -> None:
        """Count and call the ways group by group, so that none waits for what only those behind it need."""
        for way in self.ways:
            self.set(way.name, code=way.line(self.q), passes=way.passes(self.q))
            why = way.why_not(self.q)
            if why:
                self.leave(way.name, UNFIT, why)
        forecast = self.forecast()
        for belongs, before in GROUPS:
            for way in self.of(*before):
                self.step(f"counting {way.name}")
                self.count(way, forecast)
            for way in sorted(self.of(belongs), key=lambda way: self.rows[way.name].predicted_seconds or 0.0):
                self.step(way.name)
                self.first(way)
        self.step("the clock")
        self.time()
        self.step("memory")
        self.weigh()

    def of(self, *groups: Callable[[Way], bool]) -> list[Way]:
        """The ways of some groups that apply."""
        return [way for way in self.ways if self.rows[way.name].applies and any(belongs(way) for belongs in groups)]

    # Counting --------------------------------------------------------------------------------------

    def count(self, way: Way, forecast: Forecast | None) -> None:
        """The estimate of a way, as far as the time allows."""
        left = self.at(PATTERN if way.grows == COLOURS else COUNTING) - time.perf_counter()
        self.expected[way.name] = ROUGHLY * self.q.seconds * (self.rows[way.name].passes or 1)
        if forecast is not None and (left > 0 or way.grows == COLOURS):  # which are left where no time is for a pattern
            self.counted(way, forecast, max(left, 0.0))

    def forecast(self) -> Forecast | None:
        """The estimates; None where f cannot be traced, as the rows will say."""
        try:
            found = Forecast(self.q)
            counted = found.passes.function().cost
            self.slower, self.operations = found.slower, counted.operations
            self.remarks += [
                f"not exact: the derivative of {name} is by {scheme}, in every way that goes through its rule"
                for name, scheme in counted.approximate.items()
            ]
        except Exception as error:
            self.remarks.append(f"not counted: {_told(error)}")
            return None
        return found

    def counted(self, way: Way, forecast: Forecast, left: float) -> None:
        try:
            why = forecast.why_not_coloured(left) if way.grows == COLOURS else ""
            if why:
                self.leave(way.name, UNFIT if why.startswith("Pattern") else TIME, why)
                return
            found = way.estimate(self.q, forecast)
        except Exception as error:
            self.set(way.name, note=f"not counted: {_told(error)}")
            return
        if found is not None:
            self.set(way.name, **_numbers(found))
            chunks = found.passes if way.prepares and way.grows in ("n", "m") else 1  # each is traced and compiled
            preparing = found.first_call_seconds - found.seconds
            self.expected[way.name] = (found.seconds + preparing * chunks) * self.slower
            if way.grows == COLOURS:
                self.set(way.name, passes=found.passes)
        self.weighed(way)

    def weighed(self, way: Way) -> None:
        """Leave a way whose peak would be too large; a dense answer alone is one."""
        predicted = self.rows[way.name].predicted_peak_bytes or 0.0
        least = self.q.entries * self.q.itemsize if way.grows != COLOURS else 0
        if max(predicted, least) > self.q.max_bytes:
            self.set(way.name, predicted_peak_bytes=max(predicted, least))
            limit = f"max_bytes is {size(self.q.max_bytes)}"
            self.leave(way.name, MEMORY, f"would take {size(max(predicted, least))} at once; {limit}")

    # Running ---------------------------------------------------------------------------------------

    def first(self, way: Way) -> None:
        """The first call: whether it works, how long it takes, and its answer."""
        self.weighed(way)
        if not self.rows[way.name].applies:
            return
        left, predicted = self.at(FIRST_CALLS) - time.perf_counter(), self.expected[way.name]
        if predicted > left and self.in_part(way, predicted):
            return
        if predicted > left:
            rest = f"{seconds(left)} of max_seconds were left for it" if left > 0 else "no time was left"
            self.leave(way.name, TIME, f"skipped: its first call would take {seconds(predicted)}; {rest}")
            return
        if way.peer is not None and not self.affordable(way, way.peer, left):
            return
        start = time.perf_counter()
        try:
            derivative = way.derivative(self.q)
            answer = derivative(*self.q.args)
            beforehand = self.q.colourings.took(way.colours) if way.colours else 0.0
            self.set(way.name, first_call_seconds=time.perf_counter() - start + beforehand)
            self.answers.add(way.name, self.q.flat(answer), way.exact)
            once = timed(lambda: derivative(*self.q.args))[1] if way.prepares else time.perf_counter() - start
        except Exception as error:
            self.leave(way.name, FAILED, _told(error))
            return
        self.tasks[way.name] = lambda: derivative(*self.q.args)
        self.once[way.name] = once

    def in_part(self, way: Way, predicted: float) -> bool:
        """Whether a part of the passes told how long all of them take; a tenth of the time at most goes to that."""
        if way.part is None or self.q.target not in PARTED:
            return False
        try:
            part, left = way.part(self.q), self.end - time.perf_counter()
            if (RUNS + 2) * predicted / part.passes > min(left, PARTLY * self.max_seconds):
                return False
            found = part.seconds()
        except Exception as error:
            self.leave(way.name, FAILED, _told(error))
            return True
        self.set(way.name, seconds=found, estimated=True, note=f"seconds estimated from {part.said}")
        return True

    def affordable(self, way: Way, peer: Peer, left: float) -> bool:
        """Whether a library can be imported, and can compile f, in the time that is left; imports it."""
        importing, compiling = peer.to_import(), peer.compile_seconds * self.operations
        if importing > IMPORTING * left or importing + compiling > left:
            what = f"importing {peer.library} takes about {seconds(importing)}" if importing else ""
            what = what if compiling < importing else f"compiling would take about {seconds(compiling)}"
            self.leave(way.name, TIME, f"skipped: {what}; {seconds(left)} of max_seconds were left for it")
            return False
        try:
            importlib.import_module(peer.library)
        except Exception as error:
            self.leave(way.name, FAILED, _told(error))
            return False
        return True

    def time(self) -> None:
        """Samples of all ways; where time is short, of those first that the advice is chosen from."""
        until, advisable = self.at(CLOCK), self.advisable()
        try:
            interleaved(self.tasks, self.once, until, self.samples, samples=FIRST_SAMPLES)
            race(advisable, self.once, until, self.samples)
            interleaved(self.tasks, self.once, until, self.samples)
        except Exception as error:
            error.add_note(
                "compare: raised while the ways were timed; f must do at every call what it did at the first."
            )
            raise

    def advisable(self) -> dict[str, Callable[[], Any]]:
        """The exact ways of this library that gave the right answer."""
        rows = self.rows
        return {
            name: task
            for name, task in self.tasks.items()
            if rows[name].exact and not rows[name].peer and self.answers.agrees(name)
        }

    def weigh(self) -> None:
        """Allocated peaks, each in a run of its own, as far as the time allows."""
        for name, task in self.tasks.items():
            if 3 * self.once[name] < self.end - time.perf_counter():
                self.set(name, peak_bytes=allocated_peak(task))

    # The end ---------------------------------------------------------------------------------------

    def comparison(self, interrupted: bool) -> Comparison:
        for name, once in self.once.items():
            samples = self.samples.get(name)
            if samples is not None and samples.taken:
                self.set(name, seconds=samples.median, spread=samples.spread)
            else:
                self.set(name, seconds=once, note="timed once: no time was left for more")
        for name, row in self.rows.items():
            if row.applies and row.seconds is None:
                self.leave(name, TIME, "interrupted" if interrupted else "skipped: no time was left of max_seconds")
            self.set(name, error=self.answers.error(name), agrees=name in self.once and self.answers.agrees(name))
        rows, remarks = tuple(self.rows.values()), tuple(self.remarks)
        return Comparison(self.q, rows, remarks, self.answers.disagreement, interrupted)


def _by_passes(way: Way) -> bool:
    return way.exact and way.peer is None and way.grows != COLOURS and not way.native


def _coloured(way: Way) -> bool:
    return way.grows == COLOURS


def _inexact(way: Way) -> bool:
    return not way.exact


def _native(way: Way) -> bool:
    return way.native


def _foreign(way: Way) -> bool:
    return way.peer is not None


# What is called together, and what is counted before: native ways, whose kernels take long to make, with the others.
GROUPS = (
    (_by_passes, (_by_passes, _native)),
    (_coloured, (_coloured,)),
    (_inexact, (_inexact,)),
    (_native, ()),
    (_foreign, (_foreign,)),
)


def _numbers(found: Estimate) -> dict[str, Any]:
    if found.cost is UNCOUNTED:
        return {"predicted_seconds": found.seconds, "predicted_peak_bytes": found.peak_bytes or None}
    counts = {name: getattr(found.cost, name) for name in ("flops", "multiply_adds", "bytes", "operations")}
    return counts | {"predicted_seconds": found.seconds, "predicted_peak_bytes": found.peak_bytes}


def _told(error: BaseException) -> str:
    """An error in a line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
