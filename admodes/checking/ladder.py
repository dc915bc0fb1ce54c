"""Divided differences along a direction, at a ladder of steps, and how far each can be trusted.

The error of a difference is not known, but it shows: where two steps beside each other give the same to so many digits,
neither the truncation, which falls with the step, nor the rounding, which grows as ε/h, reaches these digits.  For each
result the step is taken at which this is best, relative to the difference (a step far too large gives a difference that
falls as 1/h, so that neighbours share no digit); where it is bad for some, more steps are tried.

Source: Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4 (1982), for the
estimate of the error from differences at neighbouring steps.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .point import Point

# Relative to max(1, |x|): around the best of central differences, ∛ε, and of one-sided ones, √ε; and all there are.
WIDE = 10.0 ** np.arange(-1, -15, -1)

# Differences that are worse than this, relative to what they give, call for more steps.
GOOD = 1e-6

# Below this all numbers are alike.
TINY = 1e-300


@dataclass(frozen=True)
class Estimate:
    """A derivative along a direction, number by number of the results: values, how far each may be off, the steps.

    steps are those of the direction, h in f(x + h t); the relative ones, h max |t|/max(1, |x|), are in `relative`.
    """

    value: Any
    doubt: Any
    relative: Any


class Ladder:
    """f(x ± h t) at steps h, and the estimates that come of it."""

    def __init__(self, at: Point, t: Any) -> None:
        self.at, self.t = at, t
        self.largest = float(np.max(np.abs(t) / np.maximum(1.0, np.abs(at.x)), initial=0.0))
        self.steps: list[float] = []
        self.ahead: dict[float, Any] = {}
        self.behind: dict[float, Any] = {}
        eps = at.eps
        self.climb([10 * eps ** (1 / 3), eps ** (1 / 3), 0.1 * eps ** (1 / 3), eps**0.5])
        if not self.is_good():
            self.widen()

    def climb(self, steps: Any) -> None:
        for c in map(float, steps):
            if c not in self.ahead and c > 4 * self.at.eps:
                h = c / self.largest
                self.ahead[c], self.behind[c] = (self.at.at(self.at.moved(self.t, s * h)) for s in (1, -1))
        self.steps = sorted(self.ahead, reverse=True)

    def widen(self) -> None:
        """All steps there are."""
        self.climb(WIDE)

    def is_good(self) -> bool:
        found = self.central
        with np.errstate(all="ignore"):
            return bool(np.all(found.doubt <= GOOD * np.abs(found.value) + self.floor))

    @property
    def floor(self) -> Any:
        """What rounding makes of the derivative of a function that changes by its own size where x does."""
        return 1e3 * self.at.eps * self.at.size * self.largest + TINY

    @property
    def reach(self) -> Any:
        """How fast the function changes where it is moved far: the scale of a derivative that is zero here."""
        with np.errstate(all="ignore"):
            found = np.stack(
                [
                    np.abs(side[c] - self.at.y) * self.largest / c
                    for c in self.steps
                    for side in (self.ahead, self.behind)
                ]
            )
        return np.max(np.where(np.isfinite(found), found, 0.0), axis=0)

    @property
    def is_staircase(self) -> Any:
        """Where the function changes at larger steps and not at the smallest: it has steps of its own."""
        changes = np.stack([self.ahead[c] != self.behind[c] for c in self.steps])
        return ~changes[-2:].any(axis=0) & changes.any(axis=0)

    @property
    def central(self) -> Estimate:
        """(f(x + h t) − f(x − h t))/2h."""
        return self._best(lambda c: (self.ahead[c] - self.behind[c]) / 2)

    @property
    def right(self) -> Estimate:
        """(f(x + h t) − f(x))/h."""
        return self._best(lambda c: self.ahead[c] - self.at.y)

    @property
    def left(self) -> Estimate:
        """(f(x) − f(x − h t))/h."""
        return self._best(lambda c: self.at.y - self.behind[c])

    def all(self) -> tuple[Any, Any]:
        """Central differences at all steps but the outermost, and their doubts, one row a step."""
        return self._rows(lambda c: (self.ahead[c] - self.behind[c]) / 2)

    def _rows(self, difference: Any) -> tuple[Any, Any]:
        with np.errstate(all="ignore"):
            relative = np.array(self.steps)[:, None]
            steps = relative / self.largest
            values = np.stack([difference(c) for c in self.steps]) / steps
            apart = np.abs(np.diff(values, axis=0))
            sizes = np.stack([np.maximum(np.abs(self.ahead[c]), np.abs(self.behind[c])) for c in self.steps])
            rounding = self.at.eps * (sizes / steps + np.abs(values) / relative)
            doubts = np.maximum(apart[:-1], apart[1:]) + rounding[1:-1]
        return values[1:-1], np.where(np.isfinite(values[1:-1]) & np.isfinite(doubts), doubts, np.inf)

    def _best(self, difference: Any) -> Estimate:
        values, doubts = self._rows(difference)
        with np.errstate(all="ignore"):
            relative = np.where(np.isfinite(doubts), doubts / (np.abs(values) + self.floor), np.inf)
        alike = (values == 0) & (np.roll(values, 1, axis=0) == 0) & (np.roll(values, -1, axis=0) == 0)
        relative[1:-1][alike[1:-1] & np.isfinite(relative[1:-1])] = (
            0.0  # a plateau of zeros has no size to compare with
        )
        best = np.argmin(relative, axis=0)[None]
        value, doubt = (np.take_along_axis(a, best, axis=0)[0] for a in (values, doubts))
        return Estimate(value, doubt, np.array(self.steps[1:-1])[best[0]])


def complex_step(at: Point, t: Any) -> Any:
    """Im f(x + i h t)/h; raises what f raises, and TypeError where f gives real numbers."""
    largest = float(np.max(np.abs(t), initial=0.0)) or 1.0
    h = (1e-30 if at.eps > 1e-10 else 1e-100) / largest
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # what drops imaginary parts takes none
        found = at.at(at.moved(t, 1j * h))
    return np.imag(found) / h if np.iscomplexobj(found) else np.zeros(found.shape)
