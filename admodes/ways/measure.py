"""The clock and the memory of ways that are ready to run: turns taken one after another, medians, allocated peaks."""

from __future__ import annotations

import gc
import math
import statistics
import time
import tracemalloc
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

Task = Callable[[], Any]
Key = TypeVar("Key", bound=Hashable)

# A sample takes at least so long, by calling the task several times: the clock's own cost then does not show.
SAMPLE_SECONDS = 1e-3
CLOCK_STEP = time.get_clock_info("perf_counter").resolution

# More samples of one task than this tell nothing new; and after so many seconds a few are enough.
SAMPLES = 31
FEW, SECONDS_A_TASK = 3, 0.4

# Which of several tasks is the fastest is decided when no other can be so much faster, by twice the error of medians;
# after so many samples they are taken for equal.
TELLING, SAMPLES_OF_A_RACE = 0.01, 301


@dataclass
class Samples:
    """Seconds of one call, sample by sample."""

    calls: int
    taken: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.taken)

    @property
    def spread(self) -> float:
        """The distance between the quartiles, in seconds: half of all samples lie within it."""
        if len(self.taken) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.taken, n=4, method="inclusive")
        return high - low

    @property
    def error(self) -> float:
        """The standard error of the median, √(π/2)·σ/√n with σ = spread/1.35, as of a normal distribution."""
        return math.sqrt(math.pi / 2) * self.spread / 1.35 / math.sqrt(len(self.taken))


def timed(task: Task) -> tuple[Any, float]:
    """What a task returns, and its seconds."""
    start = time.perf_counter()
    result = task()
    return result, max(time.perf_counter() - start, CLOCK_STEP)


def interleaved(
    tasks: Mapping[Key, Task],
    once: Mapping[Key, float],
    until: float,
    found: dict[Key, Samples],
    samples: float = math.inf,
) -> None:
    """Fill found with so many samples of every task, `SAMPLES` at most, until a moment of `time.perf_counter`.

    The tasks take turns, in an order that rotates, so that a machine that slows down does so for all of them.  A task
    has a turn where what it took `once` fits in what is left of the time.
    """
    for name in tasks:
        found.setdefault(name, Samples(max(1, math.ceil(SAMPLE_SECONDS / once[name]))))

    def wanted(order: list[Key]) -> list[Key]:
        return [name for name in order if len(found[name].taken) < min(samples, SAMPLES) and not _enough(found[name])]

    _in_turns(tasks, once, until, found, wanted)


def race(tasks: Mapping[Key, Task], once: Mapping[Key, float], until: float, found: dict[Key, Samples]) -> None:
    """Take more samples of those tasks, sampled already, that may be the fastest, until it is decided which one is."""

    def undecided(order: list[Key]) -> list[Key]:
        ran = [name for name in order if name in found and found[name].taken]
        if not ran:
            return []
        first = min(ran, key=lambda name: found[name].median)
        best = found[first]

        def close(name: Key) -> bool:
            error = 2 * math.hypot(found[name].error, best.error)
            return found[name].median - error < (1 - TELLING) * best.median

        rivals = [name for name in ran if name != first and close(name) and len(found[name].taken) < SAMPLES_OF_A_RACE]
        return [name for name in ran if name == first or name in rivals] if rivals else []

    _in_turns(tasks, once, until, found, undecided)


def _in_turns(
    tasks: Mapping[Key, Task],
    once: Mapping[Key, float],
    until: float,
    found: dict[Key, Samples],
    wanted: Callable[[list[Key]], list[Key]],
) -> None:
    """A sample of each task that is wanted, round after round."""
    order = list(tasks)
    with _collected_before():
        while True:
            ran = False
            for name in wanted(order):
                if once[name] * found[name].calls > until - time.perf_counter():
                    continue
                found[name].taken.append(_sample(tasks[name], found[name].calls))
                ran = True
            if not ran:
                return
            order.append(order.pop(0))


def _enough(samples: Samples) -> bool:
    return len(samples.taken) >= FEW and samples.calls * sum(samples.taken) > SECONDS_A_TASK


def _sample(task: Task, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        task()
    return max(time.perf_counter() - start, CLOCK_STEP) / calls


@contextmanager
def _collected_before() -> Iterator[None]:
    """Without the collector of cycles, which would run in some samples and not in others."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def allocated_peak(task: Task) -> int:
    """The most bytes that a task holds at once beyond what there was before it, its result among them."""
    if tracemalloc.is_tracing():  # someone else's, whose peak is not to be reset
        before = tracemalloc.get_traced_memory()[0]
        task()
        return max(0, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.start(1)
    try:
        before = tracemalloc.get_traced_memory()[0]
        task()
        return max(0, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
