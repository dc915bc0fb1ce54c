"""Where a list of symbols repeats: runs of equal periods, found in O(n log n) whatever the periods are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Repetitions from which on a run counts, and distances that are looked at for each length of window.
LEAST, DISTANCES = 8, 6


class Run(NamedTuple):
    """symbols[k] == symbols[k + period] for start ≤ k < stop − period."""

    start: int
    stop: int
    period: int

    @property
    def times(self) -> int:
        """Whole periods."""
        return (self.stop - self.start) // self.period

    @property
    def saved(self) -> int:
        """Symbols that one period spares."""
        return (self.times - 1) * self.period


def runs(symbols: np.ndarray) -> list[Run]:
    """Runs that do not overlap, the one that spares most chosen first, in order.

    Windows of 1, 2, 4, … symbols have numbers, equal for equal ones (the doubling of Karp, Miller and Rosenberg); the
    frequent distances between a window and the equal one before it are the periods that are tried.

    Source: Karp, Miller and Rosenberg, "Rapid identification of repeated patterns in strings, trees and arrays", STOC
    1972.
    """
    found: list[Run] = []
    for period in _periods(symbols):
        equal = np.concatenate([[False], symbols[period:] == symbols[:-period], [False]])
        edges = np.flatnonzero(equal[1:] != equal[:-1])
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            found.append(Run(start, stop + period, period))
    taken = np.zeros(len(symbols), bool)
    chosen: list[Run] = []
    for run in sorted((r for r in found if r.times >= LEAST), key=lambda r: (-r.saved, r.period)):
        for start, stop in _free(taken, run):
            part = Run(start, stop, run.period)
            if part.times >= LEAST:
                taken[start:stop] = True
                chosen.append(part)
    return sorted(chosen)


def _periods(symbols: np.ndarray) -> list[int]:
    """Distances at which windows of some length often come again."""
    tried: dict[int, None] = {}
    number, width = symbols.astype(np.int64), 1
    while width * LEAST <= len(symbols):
        order = np.argsort(number, kind="stable")
        again = number[order][1:] == number[order][:-1]
        distances, times = np.unique((order[1:] - order[:-1])[again], return_counts=True)
        if not len(distances):
            break
        often = np.argsort(-times, kind="stable")[:DISTANCES]
        tried |= dict.fromkeys(int(d) for d, n in zip(distances[often], times[often], strict=True) if n >= LEAST - 1)
        pairs = number[:-width] * (int(number.max()) + 1) + number[width:]
        number, width = np.unique(pairs, return_inverse=True)[1].reshape(-1), 2 * width
    return [*tried]


def _free(taken: np.ndarray, run: Run) -> list[tuple[int, int]]:
    """The parts of a run that no other has."""
    free = np.concatenate([[False], ~taken[run.start : run.stop], [False]])
    edges = np.flatnonzero(free[1:] != free[:-1]) + run.start
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
