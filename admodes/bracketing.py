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

ACCUMULATE, MULTIPLY, TANGENT, ADJOINT = "accumulate", "multiply", "tangent", "adjoint"
_KINDS = (MULTIPLY, TANGENT, ADJOINT)
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
        cost=int(table.best[workers][-1, 0]),
        tree=table.tree(),
        factors=checked,
        tangent=int(n[0]) * total,
        adjoint=int(m[-1]) * total if fits else None,
        preaccumulation=preaccumulated + int(best.best[1][-1, 0]),
        workers=workers,
    )


def _adjoint_fits(edges: Any, memory: int | None) -> Any:
    return edges <= (_NEVER if memory is None else memory)


def _checked(factors: Sequence[Sequence[int]], memory: Any, workers: Any) -> tuple[tuple[int, int, int], ...]:
    if not len(factors):
        raise ValueError("optimal_bracketing: the chain has no factor")
    out = []
    for i, factor in enumerate(factors):
        try:
            m, n, edges = (operator.index(x) for x in factor)
        except (TypeError, ValueError):
            raise ValueError(f"factor {i} is {factor!r}; it must be three integers (m, n, edges)") from None
        if min(m, n, edges) < 1:
            raise ValueError(f"factor {i} is {factor!r}; m, n and edges must be at least 1")
        if out and out[-1][0] != n:
            raise ValueError(
                f"factor {i - 1} is {out[-1][0]} × {out[-1][1]} and factor {i} is {m} × {n}: the rows of one must be the "
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

    best[w][d, i] is that of the d + 1 factors from i on, on w workers. A sub-chain i … j is split behind factor k = i + s:
    its right part (length s + 1, start i) is a column of `best`, its left part (start k + 1, end j) one of `ends`, the
    same table by the last factor. Prefix sums P give Σ edges.
    """

    def __init__(self, factors: tuple[tuple[int, int, int], ...], matrix_free: bool, memory: int, workers: int) -> None:
        self.factors, self.memory = factors, memory
        q = len(factors)
        m, n, e = (np.array(column, dtype=np.int64) for column in zip(*factors, strict=True))
        prefix = np.concatenate([[0], np.cumsum(e)])
        single = e * np.where(e <= memory, np.minimum(m, n), n) if matrix_free else np.zeros(q, np.int64)
        self.best = {w: np.full((q, q), _NEVER, dtype=np.int64) for w in range(1, workers + 1)}
        self.ends = {w: np.full((q, q), _NEVER, dtype=np.int64) for w in range(1, workers + 1)}
        self.choice = {w: np.zeros((q, q), dtype=np.int64) for w in range(1, workers + 1)}
        self.split = {w: np.zeros((q, q), dtype=np.int64) for w in range(1, workers + 1)}
        for w in self.best:
            self.best[w][0] = self.ends[w][0] = single
        for d in range(1, q):
            starts = np.arange(q - d)
            k = starts + np.arange(d)[:, None]
            m_last = m[d:]
            product = m_last * m[k] * n[: q - d]
            behind = prefix[k + 1]
            tangent = n[: q - d] * (prefix[d + 1 :] - behind)
            passed = behind - prefix[: q - d]
            adjoint = np.where(passed <= memory, m_last * passed, _NEVER)
            for w in self.best:
                self._fill(w, d, q, product, tangent, adjoint, matrix_free)

    def _fill(self, w: int, d: int, q: int, product: Any, tangent: Any, adjoint: Any, matrix_free: bool) -> None:
        right, left = self.best[w][:d, : q - d], self.ends[w][:d][::-1, d:]
        candidates = [left + right + product]
        if matrix_free:
            candidates += [right + tangent, left + adjoint]
        for v in range(1, w):  # side by side: the left part on v workers, the right on the others
            parallel = np.maximum(self.ends[v][:d][::-1, d:], self.best[w - v][:d, : q - d])
            candidates.append(parallel + product)
        costs = np.stack(candidates).reshape(-1, q - d)
        chosen = costs.argmin(axis=0)
        self.best[w][d, : q - d] = self.ends[w][d, d:] = costs[chosen, np.arange(q - d)]
        kinds, self.split[w][d, : q - d] = np.divmod(chosen, d)
        self.choice[w][d, : q - d] = kinds if matrix_free else np.where(kinds, kinds + 2, 0)

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
        kind, k = int(self.choice[w][j - i, i]), i + int(self.split[w][j - i, i])
        if kind == 1:
            return (TANGENT, (k + 1, j)), [(w, i, k)]
        if kind == 2:
            return (ADJOINT, (i, k)), [(w, k + 1, j)]
        v = kind - 2 if kind > 2 else 0  # workers of the left part, 0: one part after the other
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
