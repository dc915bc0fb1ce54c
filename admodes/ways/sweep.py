"""A comparison over sizes: exponents with their intervals, where one way overtakes another, and where arithmetic begins
to cost more than overhead."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import pytree
from ..core.words import number
from ..transforms.arguments import SEVERAL, Argnums
from .findings import Findings
from .row import Row

# Points that a power law is fitted to, at least: of three, an interval would say nothing.
POINTS = 4


@dataclass(frozen=True)
class PowerLaw:
    """y = c·n^slope fitted on logarithms; the slope's 95 % confidence interval is (low, high)."""

    slope: float
    low: float
    high: float
    points: int
    first: float  # the smallest n fitted

    def __str__(self) -> str:
        return f"{self.slope:.2f} [{self.low:.2f}, {self.high:.2f}]"


def power_law(n: Sequence[float], y: Sequence[float]) -> PowerLaw | None:
    """The power law by least squares on logarithms; None for fewer than four points.

    The interval is Student's, with points − 2 degrees of freedom.

    >>> print(power_law([1, 2, 4, 8], [3, 12, 48, 192]))
    2.00 [2.00, 2.00]
    """
    if len(n) < POINTS:
        return None
    from scipy import stats

    fit = stats.linregress(np.log(n), np.log(y))
    half = float(stats.t.ppf(0.975, len(n) - 2)) * float(fit.stderr)
    slope = float(fit.slope)
    return PowerLaw(slope, slope - half, slope + half, len(n), float(min(n)))


@dataclass(frozen=True)
class Sweep:
    """Comparisons over sizes, the smallest first.

    exponent(way, field) is the power law of a field of the rows; crossovers are the sizes at which the fastest way
    changes; arithmetic(way) is the size from which arithmetic takes more than overhead.
    """

    name: str
    sizes: tuple[float, ...]
    comparisons: tuple[Findings, ...]

    @property
    def ways(self) -> list[str]:
        """The ways that ran at two sizes or more."""
        return [row.way for row in self.comparisons[-1].rows if len(self.series(row.way, "seconds")[0]) > 1]

    def series(self, way: str, field: str) -> tuple[list[float], list[float]]:
        """The sizes at which a field of a way is known and positive, and its values."""
        points = [(n, getattr(row, field)) for n, row in self._rows(way)]
        known = [(n, y) for n, y in points if y is not None and y > 0]
        return [n for n, _ in known], [y for _, y in known]

    def _rows(self, way: str) -> Iterator[tuple[float, Row]]:
        for n, c in zip(self.sizes, self.comparisons, strict=True):
            yield from ((n, row) for row in c.rows if row.way == way)

    def exponent(self, way: str, field: str) -> PowerLaw | None:
        """The power law of a field; of seconds over the larger half of the sizes, where overhead no longer hides it."""
        n, y = self.series(way, field)
        late = max(POINTS, len(n) // 2) if field == "seconds" else len(n)
        return power_law(n[-late:], y[-late:])

    @cached_property
    def crossovers(self) -> list[tuple[str, str, float]]:
        """(way before, way after, size) wherever the advised way changes to one of another kind of passes."""
        found = []
        for i in range(1, len(self.sizes)):
            before, after = self.comparisons[i - 1].best, self.comparisons[i].best
            if before is None or after is None or before.way == after.way:
                continue
            a = [self._at(i + j, before.way) for j in (-1, 0)]
            b = [self._at(i + j, after.way) for j in (-1, 0)]
            if None not in a and None not in b:
                found.append((before.way, after.way, _meeting(self.sizes[i - 1 : i + 1], a, b)))
        return found

    def _at(self, i: int, way: str) -> Any:
        return next((row.seconds for row in self.comparisons[i].rows if row.way == way), None)

    def arithmetic(self, way: str) -> float | None:
        """The size from which arithmetic takes more than overhead: seconds = a + b·flops, and b·flops > a.

        None where that is nowhere among the sizes.
        """
        n, t = self.series(way, "seconds")
        flops = dict(zip(*self.series(way, "flops"), strict=True))
        known = [(flops[x], y, x) for x, y in zip(n, t, strict=True) if x in flops]
        if len(known) < 3:
            return None
        work, seconds, sizes = (np.array(column) for column in zip(*known, strict=True))
        weights = 1 / seconds  # every size counts the same, small ones too
        overhead, slope = np.linalg.lstsq(np.stack([weights, weights * work], 1), np.ones(len(work)), rcond=None)[0]
        if slope <= 0 or not slope * work[0] < overhead < slope * work[-1]:
            return None
        return float(np.exp(np.interp(np.log(overhead / slope), np.log(work), np.log(sizes))))

    def sentences(self) -> list[str]:
        """What the sweep says, a sentence each."""
        said = [f"From {a} to {b} at {self.name} = {number(n)}." for a, b, n in self.crossovers]
        best = self.comparisons[-1].best
        if best is not None:
            counts, clock = self.exponent(best.way, "flops"), self.exponent(best.way, "seconds")
            laws = [(law, what) for law, what in ((counts, "flops"), (clock, "seconds")) if law is not None]
            if laws:
                grow = " and ".join(f"{what} as {self.name}^{law}" for law, what in laws)
                said.append(f"{best.way} grows in {grow} (95 % intervals).")
            where = self.arithmetic(best.way)
            if where is not None:
                said.append(f"Arithmetic takes more than overhead from {self.name} = {number(where)} on.")
        return said


def _meeting(sizes: Sequence[float], a: Sequence[float], b: Sequence[float]) -> float:
    """Where two power laws through two points each meet; between the sizes."""
    first, second = (math.log(y / x) for x, y in zip(a, b, strict=True))
    share = 0.5 if first == second else min(1.0, max(0.0, first / (first - second)))
    return float(math.exp(math.log(sizes[0]) + share * math.log(sizes[1] / sizes[0])))


# ---------------------------------------------------------------------------------------------------
# Cases: the function and its arguments at each size
# ---------------------------------------------------------------------------------------------------

Case = tuple[Any, tuple[Any, ...]]


def made(factory: Callable[..., Any], sizes: Mapping[str, Sequence[float]]) -> tuple[str, list[tuple[float, Case]]]:
    """The name of the size, and for each value of it what the factory makes: f, or (f, x, …)."""
    if len(sizes) != 1:
        raise ValueError(f"compare: sizes= names one size and its values, {{'n': [16, 64, 256]}}; got {sizes!r}")
    ((name, values),) = sizes.items()
    if len(values) < 2:
        raise ValueError(f"compare: sizes= {name!r} needs two values or more, the smallest first")
    cases = []
    for value in sorted(values):
        found = factory(**{name: value})
        if not isinstance(found, tuple) or len(found) < 2 or not callable(found[0]):
            raise TypeError(
                f"compare: with sizes=, f is a factory of one argument, {name}, that returns (function, x, …), the "
                f"function and its arguments; for {name}={value} it returned a {type(found).__name__}."
            )
        cases.append((value, (found[0], found[1:])))
    return name, cases


def scaled(f: Any, args: tuple[Any, ...], argnums: Argnums, scale: Sequence[float]) -> list[tuple[float, Case]]:
    """f at arguments whose first axis is so many times as long, their numbers repeated; the sizes are n."""
    if len(scale) < 2 or min(scale) <= 0:
        raise ValueError(f"compare: scale= needs two factors or more, above 0; got {scale!r}")
    places = set(argnums if isinstance(argnums, SEVERAL) else (argnums,))
    cases = []
    for factor in sorted(scale):
        grow = functools.partial(_longer, factor=factor)
        longer = tuple(pytree.tree_map(grow, a) if i in places else a for i, a in enumerate(args))
        n = sum(int(np.size(x)) for i in places for x in pytree.flatten(longer[i])[0])
        cases.append((float(n), (f, longer)))
    return cases


def _longer(x: Any, factor: float) -> Any:
    if not isinstance(x, np.ndarray) or not x.ndim:
        return x
    return np.resize(x, (max(1, round(x.shape[0] * factor)), *x.shape[1:]))
