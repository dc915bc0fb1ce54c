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
    between: Callable[[Key], None] = lambda _: None,
) -> None:
    """Fill found with samples of every task, until a moment of `time.perf_counter`.

    The tasks take turns, in an order that rotates, so that a machine that slows down does so for all of them.  A task
    has a turn where what it took `once` fits in what is left of the time.
    """
    for name in tasks:
        found.setdefault(name, Samples(max(1, math.ceil(SAMPLE_SECONDS / once[name]))))
    order = list(tasks)
    with _collected_before():
        for _ in range(SAMPLES):
            ran = False
            for name in order:
                left = until - time.perf_counter()
                samples = found[name]
                spent = samples.calls * sum(samples.taken)
                enough = len(samples.taken) >= FEW and spent > SECONDS_A_TASK
                if enough or once[name] * samples.calls > left:
                    continue
                samples.taken.append(_sample(tasks[name], samples.calls))
                between(name)
                ran = True
            if not ran:
                return
            order.append(order.pop(0))


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
