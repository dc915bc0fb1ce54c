"""Which answer is right: that on which most exact ways agree, and how far every other answer is from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Answers:
    """Answers as they come, kept once for all ways that agree.

    Two answers agree when no number differs by more than the square root of the rounding unit, relative to the largest
    of them: exact ways differ by rounding alone, which is far less.
    """

    groups: list[Any] = field(default_factory=list)  # one answer of each group
    members: list[list[str]] = field(default_factory=list)  # the exact ways of each
    errors: dict[str, list[float]] = field(default_factory=dict)  # of each way against each group there was
    place: dict[str, int] = field(default_factory=dict)

    def add(self, way: str, answer: Any, exact: bool) -> None:
        """Take an answer, a vector or a sparse matrix."""
        errors = [difference(answer, known) for known in self.groups]
        self.errors[way] = errors
        for i, error in enumerate(errors):
            if error <= tolerance(answer, self.groups[i]):
                self.place[way] = i
                if exact:
                    self.members[i].append(way)
                return
        self.place[way] = len(self.groups)
        self.groups.append(answer.copy())
        self.members.append([way] if exact else [])
        errors.append(0.0)

    @property
    def best(self) -> int | None:
        """The group that most exact ways are in, the first of equals; None where there is no answer."""
        sizes = [len(group) for group in self.members]
        return sizes.index(max(sizes)) if sizes else None

    @property
    def disagreement(self) -> bool:
        """Whether exact ways differ."""
        return sum(bool(group) for group in self.members) > 1

    def agrees(self, way: str) -> bool:
        return self.place.get(way) == self.best

    def error(self, way: str) -> float | None:
        """The largest difference from the best answer, relative to the largest number of that."""
        best = self.best
        if best is None or way not in self.errors:
            return None
        found = self.errors[way]
        if best < len(found):
            return found[best]
        return difference(self.groups[self.place[way]], self.groups[best])


def _sparse_difference(a: Any, b: Any) -> float:
    """Of two matrices of which one at least is sparse; dense ones come raveled."""
    if not hasattr(a, "tocsr") or not hasattr(b, "tocsr"):
        return difference(*(x.toarray().reshape(-1) if hasattr(x, "tocsr") else x for x in (a, b)))
    if a.shape != b.shape:
        return float("inf")
    worst = float(np.max(np.abs((a - b).tocsr().data), initial=0.0))
    return _relative(np.inf if np.isnan(worst) else worst, float(np.max(np.abs(b.data), initial=0.0)))


def _relative(worst: float, scale: float) -> float:
    return worst / scale if scale and np.isfinite(worst) else worst


def tolerance(a: Any, b: Any) -> float:
    kinds = [x.dtype for x in (a, b) if x.dtype.kind in "fc"]
    return float(np.sqrt(max((float(np.finfo(k).eps) for k in kinds), default=np.finfo(float).eps)))


def difference(a: Any, b: Any) -> float:
    """max |a − b| / max |b|; nan where both have it counts as equal, and where only one has it as infinitely far."""
    if hasattr(a, "tocsr") or hasattr(b, "tocsr"):
        return _sparse_difference(a, b)
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    with np.errstate(all="ignore"):
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        apart = np.where(equal, 0.0, np.abs(a - b))
        scale = np.max(np.abs(b[np.isfinite(b)]), initial=0.0)
    return _relative(float(np.max(np.where(np.isnan(apart), np.inf, apart))), float(scale))
