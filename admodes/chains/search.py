"""The cheapest order of a product of Jacobians, from dimensions and edge counts alone.

The chain is J = F_{q−1} … F_1 F_0, the factor nearest the input first.  Factor i is m_i × n_i with m_i = n_{i+1}, and
one product of it with a vector, from either side, costs edges_i multiply-adds.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence, Sized
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .bracketing import ACCUMULATE, ADJOINT, MULTIPLY, TANGENT, Bracketing, Link, Step
from .schedule import SEARCHED, listed, scheduled
from .structure import SubChains

# How long better schedules on several workers are sought, unless one says so.
SECONDS = 0.04


def optimal_bracketing(
    factors: Sequence[Sequence[int]],
    matrix_free: bool = True,
    memory: int | None = None,
    workers: int = 1,
    seconds: float = SECONDS,
) -> Bracketing:
    """The cheapest way to the product of a chain of Jacobians, by dynamic programming over its sub-chains.

    Parameters
    ----------
    factors : (m_i, n_i, edges_i), the factor nearest the input first, m_i = n_{i+1}.
    matrix_free : a factor is accumulated for edges·min(m, n), and a finished sub-chain may be carried through others by
        tangents (its n columns, n · Σ edges) or by adjoints (its m rows, m · Σ edges). False: the factors are matrices,
        and only products of sub-chains, m·k·n multiply-adds each, are sought (the classical matrix chain).
    memory : the most edges that the tape of one adjoint may hold (each worker has so much); None for no limit.
        Tangents need no tape, so that 0 is a limit too: it leaves tangents and products.
    workers : machines that work side by side, each on one step at a time; the cost is then the makespan of a schedule.
        The problem is NP-complete: `proven` says whether no schedule is shorter, `bound` is what none can undercut.
    seconds : about how long, with several workers, better schedules are sought.

    Returns
    -------
    Bracketing : print it.

    Raises
    ------
    ValueError : no factor, sizes that are not positive integers, dimensions that do not fit, memory that is no integer
        ≥ 0, workers < 1.

    Source: Naumann, "Optimization of generalized Jacobian chain products without memory constraints"
    (arXiv 2003.05755); "Matrix-free Jacobian chaining" (arXiv 2406.11862), section 3, and section 4 for limited memory;
    Märtens and Naumann, "Scheduled Jacobian chaining" (arXiv 2505.06056), for workers (see `chains.schedule`). The
    recurrences are
    those of the authors' reference implementation (STCE-at-RWTH/Jacobian-Chaining); that tangents and adjoints need one
    candidate each, not one a split, and the treatment of diagonal and sparse factors in a `JacobianChain`, are derived
    here. A product of low rank, m × r by r × n, is two factors, of which the search sees the narrow place between.

    >>> plan = optimal_bracketing([(3, 3, 29), (1, 3, 14), (2, 1, 7)])
    >>> plan.cost
    56
    >>> print(plan)
    Bracketing of 3 factors, 2 × 3
    order                multiply-adds  times the best
    homogeneous tangent            150            2.68
    homogeneous adjoint            100            1.79
    preaccumulation                123             2.2
    optimal                         56               1
    F2·F1·F0  multiply  6
    ├─ F2  accumulate by tangents  7
    └─ F1·F0  carry F1 by adjoints through F0  29
       └─ F1  accumulate by adjoints  14
    """
    links = [Link(m, n, edges, edges) for m, n, edges in _checked(factors)]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValueError(f"seconds={seconds!r}: it must be a number of at least 0, the time for the search")
    return cheapest(links, matrix_free, *limits(memory, workers), seconds)


def _checked(factors: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    if not isinstance(factors, Sized):
        raise TypeError(f"factors is a {type(factors).__name__}; it must be a sequence of (m, n, edges)")
    if not len(factors):
        raise ValueError("optimal_bracketing: the chain has no factor; give at least one (m, n, edges)")
    out: list[tuple[int, int, int]] = []
    for i, factor in enumerate(factors):
        m, n, edges = _sizes(i, factor)
        if out and out[-1][0] != n:
            raise ValueError(
                f"factor {i - 1} is {out[-1][0]} × {out[-1][1]} and factor {i} is {m} × {n}: the rows of one must be "
                "the columns of the next (the factor nearest the input stands first)"
            )
        out.append((m, n, edges))
    return out


def _sizes(i: int, factor: Any) -> tuple[int, int, int]:
    try:
        m, n, edges = (operator.index(x) for x in factor)
    except (TypeError, ValueError):
        raise ValueError(f"factor {i} is {factor!r}; it must be three integers (m, n, edges)") from None
    if min(m, n, edges) < 1:
        raise ValueError(f"factor {i} is {factor!r}; m, n and edges must be at least 1")
    return m, n, edges


def limits(memory: Any, workers: Any) -> tuple[int | None, int]:
    """Both as plain integers; an error for any other value."""
    edges = "the edges that a tape may hold (tangents need none), or None for no limit"
    return None if memory is None else _integer("memory", memory, 0, edges), _integer("workers", workers, 1, "machines")


def _integer(name: str, value: Any, least: int, meaning: str) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r}: it must be an integer of at least {least}, {meaning}")
    return int(value)


def cheapest(
    links: Sequence[Link], matrix_free: bool, memory: int | None, workers: int, seconds: float = SECONDS
) -> Bracketing:
    """`optimal_bracketing` of factors whose tangents and adjoints may differ in cost and which may be diagonals."""
    kind = StructuredTable if any(link.sparse for link in links) else Table
    table = kind(links, matrix_free, memory, workers)
    steps = table.steps()
    products = kind(links, False, None, 1) if matrix_free else table
    tangent, adjoint = (_swept if matrix_free else _multiplied)(links)
    fits = not matrix_free or table.tape_fits(0, len(links) - 1)
    cost = table.least(table.whole)
    bound: int | None = cost if workers == 1 else None
    if workers > 1 and not any(link.sparse or link.diagonal for link in links):
        found = [(cost, steps)]
        if len(links) <= SEARCHED and table.never < 2**62:
            schedule = scheduled(links, matrix_free, memory, workers, seconds)
            bound = schedule.bound
            found.append((schedule.makespan, schedule.steps))
        else:
            found += [listed(table.steps(w), workers) for w in range(1, table.workers + 1)]
            bound = -(-table.least(table.whole._replace(workers=1)) // workers)
        cost, steps = min(found, key=operator.itemgetter(0))
    return Bracketing(
        cost=cost,
        tree=steps[-1].node,
        steps=steps,
        factors=tuple((link.m, link.n, link.push) for link in links),
        tangent=tangent,
        adjoint=adjoint if fits else None,
        preaccumulation=sum(table.single) + products.least(products.whole._replace(workers=1)),
        workers=workers,
        bound=bound,
    )


def _swept(links: Sequence[Link]) -> tuple[int, int]:
    """Unit tangents or unit cotangents through the whole chain."""
    return links[0].n * sum(link.push for link in links), links[-1].m * sum(link.pull for link in links)


def _multiplied(links: Sequence[Link]) -> tuple[int, int]:
    """Matrices multiplied from the input's side, and from the output's."""
    parts = [link.structure for link in links]
    rights = accumulate(parts, lambda done, part: part @ done)
    lefts = accumulate(parts[::-1], lambda done, part: done @ part)
    return (
        sum(part.cost(done) for part, done in zip(parts[1:], rights, strict=False)),
        sum(done.cost(part) for part, done in zip(parts[-2::-1], lefts, strict=False)),
    )


class Part(NamedTuple):
    """A sub-chain first … last on some workers, as a part of a larger one.

    workers : how many it has.
    skipped : how many of the larger one's workers stand before its own.
    waits : it starts when the parts before it have ended, not beside them.
    """

    workers: int
    first: int
    last: int
    skipped: int = 0
    waits: bool = False


class Choice(NamedTuple):
    """How a sub-chain comes about: its cost, its node without the parts, and these."""

    cost: int
    node: tuple[Any, ...]
    parts: tuple[Part, ...]


class Table:
    """The least cost of every sub-chain i … j of the factors, on every number w of workers.

    A sub-chain comes about in one of three ways:

        product, split behind k    cost(i … k) + cost(k+1 … j) + m_j·m_k·n_i
        tangents through j         cost(i … j−1) + n_i·edges_j
        adjoints through i         cost(i+1 … j) + m_j·edges_i            where edges_i fits into the memory

    Tangents through several factors cost as much as through one after the other, and adjoints too, where the smaller
    tapes fit even better; so these two have one candidate each, and only the product has one a split.

    All chains of one length are one array operation, because each cost is held twice:

        by_first[w, i, j − i]           a row has the chains that start with i, the shortest first
        by_last[w, j, q − 1 − (j − i)]  a row has the chains that end with j, the longest first

    so that the parts of i … j, split behind k = i … j − 1, lie side by side in both: those nearer to the input,
    i … k, are the first j − i of row i, those nearer to the output, k+1 … j, are the last j − i of row j.

    The numbers are whole: floats where all fit into 53 bits (they are fastest), else 64-bit or Python integers.
    """

    def __init__(self, links: Sequence[Link], matrix_free: bool, memory: int | None, workers: int) -> None:
        self.links, self.matrix_free, self.memory = links, matrix_free, memory
        self.workers = min(workers, len(links))  # q factors keep no more than q workers busy
        q = len(links)
        self.whole = Part(self.workers, 0, q - 1)
        dtype, self.never = _number(links)
        self.m, self.n = (np.array(sizes, dtype) for sizes in ([link.m for link in links], [link.n for link in links]))
        self.push = np.array([link.push for link in links], dtype)
        self.pull = np.array([link.pull for link in links], dtype)
        self.inner = sliding_window_view(np.concatenate([self.m, self.m]), q)  # m_k at [i, k − i]
        self.tape = [0, *accumulate(link.pull for link in links)]
        self.fits = np.array([self.tape_fits(i, i) for i in range(q)])
        self.diagonals = any(link.diagonal for link in links)
        self.diagonal_to = _runs([link.diagonal for link in links])
        self.single = [link.accumulation(self.mode(i)) if matrix_free else 0 for i, link in enumerate(links)]
        self.by_first, self.by_last = (np.zeros((self.workers + 1, q, q), dtype) for _ in range(2))
        self.by_first[1:, :, 0] = self.by_last[1:, :, -1] = np.array(self.single, dtype)
        self.space = np.empty((2, (q + 1) ** 2 // 4 + 1), dtype)
        for d in range(1, q):
            self._fill(d)

    def tape_fits(self, first: int, last: int) -> bool:
        """Whether adjoints through factors first … last fit into the memory."""
        return self.memory is None or self.tape[last + 1] - self.tape[first] <= self.memory

    def mode(self, i: int) -> str:
        """How factor i is accumulated."""
        return self.links[i].cheaper() if self.tape_fits(i, i) else TANGENT

    def least(self, part: Part) -> int:
        """What a sub-chain costs at least on its workers."""
        return int(self.by_first[part.workers, part.first, part.last - part.first])

    def _fill(self, d: int) -> None:
        """All sub-chains of d + 1 factors, in the order of their first ones i; an array has a row for each."""
        q, count = len(self.links), len(self.links) - d
        i, j = slice(0, count), slice(d, q)
        diagonal = self.diagonal_to[i] >= np.arange(d, q)
        tangents, adjoints = np.where(diagonal, 1, self.n[i]), np.where(diagonal, 1, self.m[j])
        products, sums = (space[: count * d].reshape(count, d) for space in self.space)
        np.multiply(np.where(diagonal, self.n[i], adjoints * tangents)[:, None], self._inner(d), out=products)
        right, left = self.by_first[:, i, :d], self.by_last[:, j, q - d :]
        for w in range(1, self.workers + 1):
            np.add(products, right[w], out=sums)
            low = np.add(sums, left[w], out=sums).min(axis=1)
            for v in range(1, w):  # side by side: the left part on v workers, the right on the others
                np.maximum(left[v], right[w - v], out=sums)
                low = np.minimum(low, np.add(sums, products, out=sums).min(axis=1))
            if self.matrix_free:
                shorter = self.by_first[w, : count + 1, d - 1]
                forward = shorter[:-1] + tangents * self.push[j]
                back = np.where(self.fits[i], shorter[1:] + adjoints * self.pull[i], self.never)
                low = np.minimum(low, np.minimum(forward, back))
            self.by_first[w, i, d] = self.by_last[w, j, q - 1 - d] = low

    def _inner(self, d: int) -> Any:
        """m_k at [i, k − i], the inner extent of a product; 1 where one of the parts is a diagonal."""
        extents = self.inner[: len(self.links) - d, :d]
        if not self.diagonals:
            return extents
        i = np.arange(len(extents))[:, None]
        k = i + np.arange(d)
        return np.where((self.diagonal_to[i] >= k) | (self.diagonal_to[k + 1] >= i + d), 1, extents)

    # The way there ---------------------------------------------------------------------------------

    def steps(self, workers: int | None = None) -> tuple[Step, ...]:
        """The best order on so many workers (all) as steps, parts before what is made of them; without recursion.

        Walked from the whole chain down: a sub-chain that starts at time s ends at s + its cost on its workers.
        """
        found: list[Step] = []
        stack = [(self.whole._replace(workers=workers or self.workers), 0, 0)]
        while stack:
            whole, worker, start = stack.pop()
            choice = self._choice(whole)
            end = start  # of the parts
            for part in choice.parts:
                begin = end if part.waits else start
                stack.append((part, worker + part.skipped, begin))
                end = max(end, begin + self.least(part))
            found.append(Step(choice.node, start + choice.cost - end, worker, end))
        return _assembled(found)

    def _choice(self, whole: Part) -> Choice:
        """The best way to a sub-chain, read off the costs."""
        (w, i, j), cost = whole[:3], self.least(whole)
        if i == j:
            return Choice(cost, (ACCUMULATE, i, self.mode(i)), ())
        if self._carried(TANGENT, w, i, j):
            k = j - 1
            while self._same(TANGENT, (i, k), (i, j)) and self._carried(TANGENT, w, i, k):
                k -= 1
            return Choice(cost, (TANGENT, (k + 1, j)), (Part(w, i, k),))
        if self._carried(ADJOINT, w, i, j):
            k = i + 1
            while self.tape_fits(i, k) and self._same(ADJOINT, (k, j), (i, j)) and self._carried(ADJOINT, w, k, j):
                k += 1
            return Choice(cost, (ADJOINT, (i, k - 1)), (Part(w, k, j),))
        return Choice(cost, (MULTIPLY,), self._split(w, i, j))

    def _same(self, mode: str, part: tuple[int, int], whole: tuple[int, int]) -> bool:
        """Whether as many directions make a part as the whole, so that one sweep does both."""
        return self._directions(*part, mode) == self._directions(*whole, mode)

    def _directions(self, i: int, j: int, mode: str) -> int:
        """How many tangents or adjoints carry a sub-chain that becomes i … j."""
        if self.diagonal_to[i] >= j:
            return 1
        return self.links[i].n if mode == TANGENT else self.links[j].m

    def _carried(self, mode: str, w: int, i: int, j: int) -> bool:
        """Whether i … j comes about best by tangents through j, or adjoints through i."""
        if i == j or not self.matrix_free:
            return False
        cost, directions = self.least(Part(w, i, j)), self._directions(i, j, mode)
        if mode == TANGENT:
            return cost == self.least(Part(w, i, j - 1)) + directions * self.links[j].push
        return bool(self.fits[i]) and cost == self.least(Part(w, i + 1, j)) + directions * self.links[i].pull

    def _split(self, w: int, i: int, j: int) -> tuple[Part, Part]:
        """The two parts of the best product, one after the other or side by side."""
        k = np.arange(i, j)
        thin = (self.diagonal_to[i] >= k) | (self.diagonal_to[k + 1] >= j)
        outer = self.n[i] * (1 if self.diagonal_to[i] >= j else self.m[j])
        products = outer * np.where(thin, 1, self.m[i:j])
        for v in range(w):
            left, right = self.by_last[v or w, j, i - j :], self.by_first[w - v, i, : j - i]
            costs = (np.maximum(left, right) if v else left + right) + products
            split = int(costs.argmin())
            if costs[split] == self.by_first[w, i, j - i]:
                break
        return _parts_of_product(w, v, i, i + split, j)


class StructuredTable(Table):
    """The same table where factors are sparse, by plain loops: for chains of tens of factors, not of hundreds.

    What a product costs, and how many directions carry a sub-chain, follows from the patterns.  The pattern of a
    sub-chain is the boolean product of those of its factors in any bracketing, so that each of its parts may be made in
    its own best way.  Carrying is different here: as many directions as colours of the *result* go through all factors
    of one sweep, and one sweep through two factors may cost more or less than two: there is a candidate for each split.
    """

    def __init__(self, links: Sequence[Link], matrix_free: bool, memory: int | None, workers: int) -> None:
        self.sub = SubChains([link.structure for link in links])
        self.pushes = [0, *accumulate(link.push for link in links)]
        self.chosen: dict[tuple[int, int, int], Choice] = {}
        super().__init__(links, matrix_free, memory, workers)

    def _fill(self, d: int) -> None:
        for i in range(len(self.links) - d):
            j = i + d
            products = [self.sub(k + 1, j).cost(self.sub(i, k)) for k in range(i, j)]
            for w in range(1, self.workers + 1):
                best = min(self._products(w, i, j, products), key=lambda choice: choice.cost)
                for choice in self._sweeps(w, i, j, best.cost) if self.matrix_free else ():
                    best = choice if choice.cost <= best.cost else best
                self.chosen[w, i, j] = best
                self.by_first[w, i, d] = self.by_last[w, j, len(self.links) - 1 - d] = best.cost

    def _products(self, w: int, i: int, j: int, products: Sequence[int]) -> Iterator[Choice]:
        """The parts of each split one after the other on all workers, or side by side."""
        for k, product in zip(range(i, j), products, strict=True):
            for v in range(w):
                parts = _parts_of_product(w, v, i, k, j)
                right, left = map(self.least, parts)
                yield Choice((max(left, right) if v else left + right) + product, (MULTIPLY,), parts)

    def _sweeps(self, w: int, i: int, j: int, bound: int) -> Iterator[Choice]:
        """A part carried through the others in one sweep; colours are sought only where they could beat the bound."""
        made = self.sub(i, j)
        fewest_tangents, fewest_adjoints = made.least
        for k in range(i, j):
            part, edges = Part(w, i, k), self.pushes[j + 1] - self.pushes[k + 1]
            if self.least(part) + fewest_tangents * edges <= bound:
                yield Choice(self.least(part) + made.columns * edges, (TANGENT, (k + 1, j)), (part,))
            part, edges = Part(w, k + 1, j), self.tape[k + 1] - self.tape[i]
            if self.least(part) + fewest_adjoints * edges <= bound and self.tape_fits(i, k):
                yield Choice(self.least(part) + made.rows * edges, (ADJOINT, (i, k)), (part,))

    def _choice(self, whole: Part) -> Choice:
        return super()._choice(whole) if whole.first == whole.last else self.chosen[whole[:3]]


def _parts_of_product(w: int, v: int, i: int, k: int, j: int) -> tuple[Part, Part]:
    """Of w workers v make the left part k+1 … j, and beside them the others i … k; v = 0: all w one after the other."""
    return Part(w - v, i, k, skipped=v), Part(v or w, k + 1, j, waits=not v)


def _assembled(found: list[Step]) -> tuple[Step, ...]:
    """Steps from the whole chain down, the part nearer to the output first, as steps from the parts up."""
    steps: list[Step] = []
    done: list[Any] = []
    for step in reversed(found):
        node = step.node
        if node[0] == MULTIPLY:
            node = (MULTIPLY, done.pop(), done.pop())
        elif node[0] != ACCUMULATE:
            node = (node[0], done.pop(), node[1])
        done.append(node)
        steps.append(step._replace(node=node))
    return tuple(steps)


def _number(links: Sequence[Link]) -> tuple[Any, int]:
    """A type of number that holds every cost exactly, and one that is larger than all of them."""
    size = max(max(link.m, link.n) for link in links)
    edges = sum(max(link.push, link.pull) for link in links)
    bound = 4 * (size * edges + len(links) * size**3) + 1
    return (np.float64 if bound < 2**53 else np.int64 if bound < 2**62 else object), bound


def _runs(diagonal: Sequence[bool]) -> Any:
    """For each factor the last one of the run of diagonals that starts with it; the one before it if it is none."""
    last = np.arange(-1, len(diagonal) - 1)
    for i in reversed(range(len(diagonal))):
        if diagonal[i]:
            last[i] = last[i + 1] if i + 1 < len(diagonal) and diagonal[i + 1] else i
    return last
