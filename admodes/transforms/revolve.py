"""Where to put s snapshots of a chain of l steps: binomial checkpointing.

Source: Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26 (2000); for chains whose length is not known before
they end, Wang, Moin and Iaccarino, "Minimal repetition dynamic checkpointing algorithm for unsteady adjoint
calculation", SIAM J. Sci. Comput. 31 (2009), algorithm 1.
"""

from __future__ import annotations

import math


def repetitions(l: int, s: int) -> int:
    """r, the most often that a step is run: the least with C(s + r, s) ≥ l."""
    r = 0
    while math.comb(s + r, s) < l:
        r += 1
    return r


def forward_steps(l: int, s: int) -> int:
    """t(l, s) = r·l − C(s + r, s + 1): the least number of steps that are run without a tape to reverse l of them.

    Parameters
    ----------
    l : steps of the chain, each of which is besides run once on a tape.
    s : snapshots that may be held at a time, that of the chain's start among them.

    Raises
    ------
    ValueError : l < 0 or s < 1.

    >>> [forward_steps(l, s) for l, s in ((10, 2), (10, 3), (50, 5), (100, 3), (100, 10), (300, 10))]
    [20, 15, 122, 490, 222, 836]
    """
    if l < 0 or s < 1:
        raise ValueError(f"forward_steps({l}, {s}): a chain has at least no step, and a reversal at least one snapshot")
    if l < 2:
        return 0
    s = min(s, l - 1)
    r = repetitions(l, s)
    return r * l - math.comb(s + r, s + 1)


def split(l: int, s: int) -> int:
    """How far to advance from a snapshot before the next one is taken, of l ≥ 2 steps with s ≥ 2 snapshots in all.

    Any m with t(l, s) = m + t(l − m, s − 1) + t(m, s) would do. With β(s, r) = C(s + r, s), this one leaves the
    right-hand part as short as is optimal, β(s − 1, r − 1), where the left can take the rest, β(s, r − 1) at most.

    >>> split(10, 3)
    4
    """
    r = repetitions(l, s)
    right = math.comb(s + r - 2, s - 1)
    return max(1, min(math.comb(s + r - 1, s), l - right))


class Online:
    """Positions of at most s snapshots while a chain of unknown length runs; `take` is asked at each step.

    A snapshot is dispensable once a later one has a higher level; where none is, the newest moves on, a level up.
    """

    def __init__(self, s: int) -> None:
        self.most = s
        self.levels: list[tuple[int, float]] = [(0, math.inf)]  # (position, level), the start first

    def take(self, position: int) -> int | None:
        """The state at `position` is to be kept: the position to forget for it, or None where there is room."""
        levels = self.levels
        if len(levels) < self.most:
            levels.append((position, 0))
            return None
        highest = -1.0
        for k in range(len(levels) - 1, 0, -1):
            if levels[k][1] < highest:
                forgotten, _ = levels.pop(k)
                levels.append((position, 0))
                return forgotten
            highest = max(highest, levels[k][1])
        if self.most == 1:
            return position
        forgotten, level = levels.pop()
        levels.append((position, level + 1))
        return forgotten
