"""The clock: tasks taken in turns and their medians; and power laws fitted to what it and the counts say.

Seconds are those the process had the processor for, which on one thread is the time on the wall less what other
processes took: a busy machine then blurs a comparison far less.
"""

from __future__ import annotations

import ctypes
import math
import platform
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from admodes.ways.sweep import PowerLaw, power_law

__all__ = ["PowerLaw", "interleaved", "keep_memory", "power_law"]

Task = Callable[[], Any]
Key = TypeVar("Key", bound=Hashable)

# A sample takes at least so long, by calling the task several times: the clock's own cost then does not show.
SAMPLE_SECONDS = 2e-3

# What a task takes at least: less than the clock can tell is not nothing.
CLOCK_STEP = time.get_clock_info("process_time").resolution


# mallopt's parameters in glibc's malloc.h, and the most that it takes for the second.
TRIM_THRESHOLD, MMAP_THRESHOLD, MOST_MMAP = -1, -3, 32 << 20


def keep_memory() -> None:
    """Let the process keep the memory it frees, where the C library is glibc.

    Otherwise it goes back to the system and returns page by page whenever the heap happens to end in a freed array: the
    same code then takes ten times as long in one process as in another.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(TRIM_THRESHOLD, 1 << 30)
        libc.mallopt(MMAP_THRESHOLD, MOST_MMAP)


def interleaved(tasks: Mapping[Key, Task], rounds: int, seconds: float, least: int = 3) -> dict[Key, float]:
    """Median seconds of one call of each task.

    The tasks take turns, in an order that rotates, so that a machine that slows down does so for all of them.  A task
    has at most `rounds` turns, and as many fewer as keep it to about `seconds` in all, but at least `least`.
    """
    calls, turns = {}, {}
    for name, task in tasks.items():
        task()  # fills caches
        once = _sample(task, 1)
        calls[name] = max(1, math.ceil(SAMPLE_SECONDS / once))
        turns[name] = max(least, min(rounds, int(seconds / (once * calls[name]))))
    samples: dict[Key, list[float]] = {name: [] for name in tasks}
    order = list(tasks)
    for turn in range(max(turns.values(), default=0)):
        for name in order:
            if turn < turns[name]:
                samples[name].append(_sample(tasks[name], calls[name]))
        order.append(order.pop(0))
    return {name: statistics.median(taken) for name, taken in samples.items()}


def _sample(task: Task, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        task()
    return max(time.process_time() - start, CLOCK_STEP) / calls
