"""The cheapest order of a product of Jacobians, from dimensions and edge counts alone.

The chain is J = F_{q−1} … F_1 F_0, the factor nearest the input first.  Factor i is m_i × n_i, with m_i = n_{i+1}, and
one product of it with a vector costs edges_i multiply-adds.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

ACCUMULATE, MULTIPLY, TANGENT, ADJOINT = "accumulate", "multiply", "tangent", "adjoint"
_NEVER = np.iinfo(np.int64).max // 4


@dataclass(frozen=True)
class Bracketing:
    """An order of a Jacobian chain product, and what it costs beside the plain ones, in multiply-adds.

    tree : (“accumulate”, i, mode) for factor i by mode “tangent” or “adjoint”; (“multiply”, left, right) for a product
        of two sub-chains, left the nearer to the output; (“tangent”, right, (k, j)) for a sub-chain carried forward
        through factors k … j; (“adjoint”, left, (i, k)) for one carried back through factors k … i.
    """

    cost: int
    tree: Any
    factors: tuple[tuple[int, int, int], ...]
    tangent: int | None
    adjoint: int | None
    preaccumulation: int
    workers: int = 1

    def __str__(self) -> str:
        name = "makespan" if self.workers > 1 else "multiply-adds"
        rows = [
            ("homogeneous tangent", self.tangent),
            ("homogeneous adjoint", self.adjoint),
            ("preaccumulation", self.preaccumulation),
            (f"optimal ({name})", self.cost),
        ]
        table = [f"{label:<28}{'–' if value is None else format(value, ','):>20}" for label, value in rows]
        lines = _drawing(self.tree)
        shown = lines if len(lines) <= 60 else [*lines[:60], f"… {len(lines) - 60} lines more"]
        return "\n".join([*table, *shown])

    __repr__ = __str__

    def draw(self) -> Any:
        """The tree as a matplotlib figure."""
        from matplotlib.figure import Figure

        lines = _drawing(self.tree)
        figure = Figure(figsize=(7, 0.28 * len(lines) + 1))
        axes = figure.add_subplot()
        axes.axis("off")
        axes.set_title(f"cheapest order: {self.cost:,} multiply-adds")
        for row, line in enumerate(lines):
            axes.text(0, -row, line, family="monospace", va="top")
        axes.set_ylim(-len(lines), 1)
        axes.set_xlim(0, 1)
        return figure


def optimal_bracketing(
    factors: Sequence[Sequence[int]], matrix_free: bool = True, memory: int | None = None, workers: int = 1
) -> Bracketing:
    """The cheapest way to the product of a chain of Jacobians, by dynamic programming over sub-chains.

    Parameters
    ----------
    factors : (m_i, n_i, edges_i), the factor nearest the input first, m_i = n_{i+1}.
    matrix_free : a factor is accumulated for edges·min(m, n), and a finished sub-chain may be carried through others by
        tangents (n_i · Σ edges) or adjoints (m_j · Σ edges). False: the factors are matrices, and only products of
        sub-chains, m_j·m_k·n_i multiply-adds each, are sought (the classical matrix chain).
    memory : the most edges that the tape of an adjoint may hold; None for no limit.
    workers : machines that evaluate independent sub-chains side by side; the cost is then the makespan.

    Returns
    -------
    Bracketing : print it.

    Raises
    ------
    ValueError : no factor, sizes that are not positive integers, dimensions that do not fit, memory < 0, workers < 1.

    Sources: Naumann, "Optimization of generalized Jacobian chain products without memory constraints"
    (arXiv 2003.05755), eq. 5; "Matrix-free Jacobian chaining" (arXiv 2406.11862); for workers the recurrence of
    "Scheduled Jacobian chaining" (arXiv 2505.06056): two sub-chains share the workers or follow each other.

    >>> optimal_bracketing([(3, 3, 29), (1, 3, 14), (2, 1, 7)]).cost
    56
    """
    checked = _checked(factors, memory, workers)
    free = memory is None
    table = _Table(checked, matrix_free, _NEVER if memory is None else memory, workers)
    m, n, edges = (np.array(column, dtype=np.int64) for column in zip(*checked, strict=True))
    total = int(edges.sum())
    fits = free or total <= (memory or 0)
    best = _Table(checked, False, _NEVER, 1)
    preaccumulated = int(np.sum(edges * np.where(_adjoint_fits(edges, memory), np.minimum(m, n), n)))
    return Bracketing(
        cost=int(table.best[workers][0, -1]),
        tree=table.tree(),
        factors=checked,
        tangent=int(n[0]) * total,
        adjoint=int(m[-1]) * total if fits else None,
        preaccumulation=preaccumulated + int(best.best[1][0, -1]),
        workers=workers,
    )


def _adjoint_fits(edges: Any, memory: int | None) -> Any:
    return edges <= (_NEVER if memory is None else memory)


def _checked(factors: Sequence[Sequence[int]], memory: Any, workers: Any) -> tuple[tuple[int, int, int], ...]:
    if not len(factors):
        raise ValueError("optimal_bracketing: the chain has no factor")
    out: list[tuple[int, int, int]] = []
    for i, factor in enumerate(factors):
        try:
            m, n, edges = (operator.index(x) for x in factor)
        except (TypeError, ValueError):
            raise ValueError(f"factor {i} is {factor!r}; it must be three integers (m, n, edges)") from None
        if min(m, n, edges) < 1:
            raise ValueError(f"factor {i} is {factor!r}; m, n and edges must be at least 1")
        if out and out[-1][0] != n:
            raise ValueError(
                f"factor {i - 1} is {out[-1][0]} × {out[-1][1]} and factor {i} is {m} × {n}: the rows of one "
                "must be the "
                "columns of the next (the factor nearest the input stands first)"
            )
        out.append((m, n, edges))
    if memory is not None and memory < 0:
        raise ValueError(f"memory={memory!r}: a tape holds at least 0 edges; None is no limit")
    if not isinstance(workers, int | np.integer) or workers < 1:
        raise ValueError(f"workers={workers!r}: at least one machine must work")
    return tuple(out)


class _Table:
    """Best costs of all sub-chains, whole diagonals at a time.

    best[w][i, d] is that of the d + 1 factors from i on, on w workers. A sub-chain i … j = i + d is split behind factor
    k = i + s, s < d: its right part stands at best[i, s], its left part, factors k + 1 … j, at ends[j, d − 1 − s],
    the same table by the last factor.  So each diagonal is a few operations on contiguous arrays over (i, s).
    """

    def __init__(self, factors: tuple[tuple[int, int, int], ...], matrix_free: bool, memory: int, workers: int) -> None:
        self.factors, self.memory, self.matrix_free = factors, memory, matrix_free
        self.q = q = len(factors)
        self.m, self.n, e = (np.array(column, dtype=np.int64) for column in zip(*factors, strict=True))
        self.passed = np.concatenate([[0], np.cumsum(e)])  # edges of the factors before one
        single = e * np.where(e <= memory, np.minimum(self.m, self.n), self.n) if matrix_free else np.zeros(q, np.int64)
        self.best = {w: np.full((q, q), _NEVER, dtype=np.int64) for w in range(1, workers + 1)}
        self.ends = {w: np.full((q, q), _NEVER, dtype=np.int64) for w in range(1, workers + 1)}
        for w in self.best:
            self.best[w][:, 0] = self.ends[w][:, 0] = single
        for d in range(1, q):
            starts = np.arange(q - d)
            for w in self.best:
                cost = np.minimum.reduce([np.min(c, axis=1) for c in self._candidates(w, starts, d)])
                self.best[w][: q - d, d] = self.ends[w][d:, d] = cost

    def _candidates(self, w: int, i: Any, d: int) -> list[Any]:
        """Costs of the sub-chains i … i + d by way and by split s, arrays (starts, d)."""
        j, first, last = i + d, i[0], i[-1] + 1
        right = self.best[w][first:last, :d]
        left = self.ends[w][first + d : last + d, d - 1 :: -1] if d > 1 else self.ends[w][first + d : last + d, :1]
        rows = sliding_window_view(self.m, d)[first:last]
        product = (self.m[j] * self.n[i])[:, None] * rows
        ways = [left + right + product]
        if self.matrix_free:
            behind = sliding_window_view(self.passed[1:], d)[first:last]  # edges up to and with factor k
            ways.append(right + self.n[i][:, None] * (self.passed[j + 1][:, None] - behind))
            taped = behind - self.passed[i][:, None]
            adjoint = left + self.m[j][:, None] * taped
            ways.append(adjoint if self.memory >= self.passed[-1] else np.where(taped <= self.memory, adjoint, _NEVER))
        for v in range(1, w):  # side by side: the left part on v workers, the right on the others
            left_v = self.ends[v][first + d : last + d, :d][:, ::-1]
            ways.append(np.maximum(left_v, self.best[w - v][first:last, :d]) + product)
        return ways

    def tree(self) -> Any:
        """The best order of the whole chain, without recursion: chains may be long."""
        workers = max(self.best)
        done: dict[tuple[int, int, int], Any] = {}
        stack = [(workers, 0, len(self.factors) - 1)]
        while stack:
            w, i, j = top = stack[-1]
            node, needed = self._node(w, i, j)
            missing = [part for part in needed if part not in done]
            if missing:
                stack += missing
                continue
            done[top] = node if not needed else (node[0], *(done[part] for part in needed), *node[1:])
            stack.pop()
        return done[(workers, 0, len(self.factors) - 1)]

    def _node(self, w: int, i: int, j: int) -> tuple[Any, list[tuple[int, int, int]]]:
        """A node without its parts, and the sub-chains these are."""
        if i == j:
            m, n, e = self.factors[i]
            return (ACCUMULATE, i, ADJOINT if m < n and e <= self.memory else TANGENT), []
        costs = [c[0] for c in self._candidates(w, np.array([i]), j - i)]
        way = min(range(len(costs)), key=lambda c: int(costs[c].min()))
        k = i + int(costs[way].argmin())
        if self.matrix_free and way == 1:
            return (TANGENT, (k + 1, j)), [(w, i, k)]
        if self.matrix_free and way == 2:
            return (ADJOINT, (i, k)), [(w, k + 1, j)]
        v = way - 2 if way and self.matrix_free else way  # workers of the left part, 0: one part after the other
        return (MULTIPLY,), [(v or w, k + 1, j), (w - v, i, k)]


def _drawing(tree: Any) -> list[str]:
    """One line a node, parts indented below."""
    lines: list[str] = []
    stack = [(tree, 0)]
    while stack:
        (kind, *rest), depth = stack.pop()
        pad = "  " * depth
        if kind == ACCUMULATE:
            lines.append(f"{pad}F{rest[0]} by {rest[1]}s")
        elif kind == MULTIPLY:
            lines.append(f"{pad}product of")
            stack += [(rest[1], depth + 1), (rest[0], depth + 1)]
        else:
            a, b = rest[1]
            lines.append(f"{pad}{kind}s through F{a} … F{b} of" if a != b else f"{pad}{kind}s through F{a} of")
            stack.append((rest[0], depth + 1))
    return lines
