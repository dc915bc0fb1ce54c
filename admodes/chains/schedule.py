"""A chain of Jacobians on several workers: which tree of products, and when each of its steps runs where.

Every step (a factor accumulated, two sub-chains multiplied, one carried through a factor) is a job for one worker, and
the steps of a tree wait for their parts.  All trees of a short chain are enumerated, with two numbers each: its longest
path and its work; the larger of the path and the work a worker bounds its makespan from below.  The trees are then
scheduled as lists, the step with the longest way to the root first, in the order of that bound, and, where the list is
not as short as the bound, by branch and bound.

Source: Märtens and Naumann, "Scheduled Jacobian chaining" (arXiv 2505.06056), whose dynamic program lets the workers of
a sub-chain be split between its parts only; Graham, "Bounds on multiprocessing timing anomalies" (1969), for lists.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .bracketing import ACCUMULATE, ADJOINT, MULTIPLY, TANGENT, Link, Step

# Chains of at most so many factors are searched over all their trees; of longer ones each sub-chain keeps TREES.
ALL_TREES = 8
TREES = 400
# Partial schedules that branch and bound looks at for one tree.
BRANCHES = 1000


@dataclass(frozen=True)
class Schedule:
    """The shortest schedule found: its steps, its makespan, and a lower bound on that of any schedule."""

    steps: tuple[Step, ...]
    makespan: int
    bound: int


class Job(NamedTuple):
    """One step of a tree: its cost, the jobs that it waits for, and its node's kind."""

    cost: int
    parts: tuple[int, ...]
    kind: str
    what: Any


def scheduled(links: Sequence[Link], memory: int | None, workers: int, seconds: float) -> Schedule:
    """A schedule of a chain of dense factors on `workers` machines, found within about `seconds`."""
    until = time.perf_counter() + seconds
    forest = _Forest(links, memory, workers)
    last = len(links) - 1
    paths, works = forest.trees[0, last][:2]
    bounds = np.maximum(paths, -(-works // workers))
    order = np.argsort(bounds, kind="stable")
    best, placed, jobs = int(works[order[0]]) + 1, [], []  # longer than one after the other
    waiting: list[tuple[int, list[Job], list[int]]] = []  # trees whose list is longer than their bound
    complete = forest.complete
    for place in order:
        if bounds[place] >= best:
            break
        if time.perf_counter() > until and jobs:
            complete = False
            break
        tree = forest.jobs(0, last, int(place))
        tails = _tails(tree)
        bound = max(int(bounds[place]), _bound(tree, tails, workers))
        if bound >= best:
            continue
        found, makespan = _listed(tree, tails, workers)
        if makespan < best:
            best, placed, jobs = makespan, found, tree
        if makespan > bound:
            waiting.append((bound, tree, tails))
    unproven = [] if complete else [max(int(bounds[order[0]]), forest.bound)]
    for bound, tree, tails in sorted(waiting, key=lambda entry: entry[0]):
        if bound >= best:
            break
        if time.perf_counter() > until:
            unproven.append(bound)
            break
        better, exhausted = _branched(tree, tails, workers, best)
        if better is not None:
            best, placed, jobs = better[1], better[0], tree
        if not exhausted:
            unproven.append(bound)
    return Schedule(_steps(jobs, placed), best, min([best, *unproven]))


class _Forest:
    """The trees of all sub-chains i … j as arrays: longest path, work, and how each comes about."""

    def __init__(self, links: Sequence[Link], memory: int | None, workers: int) -> None:
        q = len(links)
        self.links, self.workers = links, workers
        self.complete = q <= ALL_TREES
        self.trees: dict[tuple[int, int], tuple[Any, Any, list[tuple[Any, int]]]] = {}
        self.modes = []
        for i, link in enumerate(links):
            mode = link.cheaper() if memory is None or link.pull <= memory else TANGENT
            cost = np.array([link.accumulation(mode)])
            self.modes.append(mode)
            self.trees[i, i] = cost, cost, [((ACCUMULATE,), 1)]
        for d in range(1, q):
            for i in range(q - d):
                self._grow(i, i + d, memory)
        self.bound = self._pareto_bound() if not self.complete else 0

    def _grow(self, i: int, j: int, memory: int | None) -> None:
        links = self.links
        paths, works, made = [], [], []
        for k in range(i, j):
            cost = links[j].m * links[k].m * links[i].n
            right, left = self.trees[i, k], self.trees[k + 1, j]
            paths.append((np.maximum(left[0][:, None], right[0][None]) + cost).ravel())
            works.append((left[1][:, None] + right[1][None] + cost).ravel())
            made.append(((MULTIPLY, k, cost), len(paths[-1])))
        for kind, part, cost in (
            (TANGENT, (i, j - 1), links[i].n * links[j].push),
            (ADJOINT, (i + 1, j), links[j].m * links[i].pull),
        ):
            if kind == ADJOINT and memory is not None and links[i].pull > memory:
                continue
            paths.append(self.trees[part][0] + cost)
            works.append(self.trees[part][1] + cost)
            made.append(((kind, part, cost), len(paths[-1])))
        path, work = np.concatenate(paths), np.concatenate(works)
        if not self.complete and len(path) > TREES:
            self.trees[i, j] = self._thinned(path, work, made)
        else:
            self.trees[i, j] = path, work, made

    def _thinned(self, path: Any, work: Any, made: list[tuple[Any, int]]) -> tuple[Any, Any, Any]:
        """The trees that are best for some number of workers."""
        ranks = [np.maximum(path, work / w) + 1e-9 * work for w in range(1, self.workers + 1)]
        share = TREES // len(ranks)
        kept = np.unique(np.concatenate([np.argpartition(r, min(share, len(r) - 1))[:share] for r in ranks]))
        return path[kept], work[kept], (made, kept)

    def _pareto_bound(self) -> int:
        """max(longest path, work a worker) of no tree is less: each alone, over all trees."""
        links, q = self.links, len(self.links)
        paths, works = np.zeros((2, q, q), object)
        for i in range(q):
            paths[i, i] = works[i, i] = int(self.trees[i, i][0][0])
        for d in range(1, q):
            for i in range(q - d):
                j = i + d
                products = [(k, links[j].m * links[k].m * links[i].n) for k in range(i, j)]
                carried = [((i, j - 1), links[i].n * links[j].push), ((i + 1, j), links[j].m * links[i].pull)]
                paths[i, j] = min([max(paths[i, k], paths[k + 1, j]) + c for k, c in products] + [paths[p] + c for p, c in carried])
                works[i, j] = min([works[i, k] + works[k + 1, j] + c for k, c in products] + [works[p] + c for p, c in carried])
        return int(max(paths[0, q - 1], -(-works[0, q - 1] // self.workers)))

    def jobs(self, i: int, j: int, place: int) -> list[Job]:
        """The steps of a tree, parts before what is made of them; the last is the root."""
        jobs: list[Job] = []

        def add(i: int, j: int, place: int) -> int:
            if i == j:
                jobs.append(Job(int(self.trees[i, i][0][0]), (), ACCUMULATE, (i, self.modes[i])))
                return len(jobs) - 1
            made = self.trees[i, j][2]
            if isinstance(made, tuple):
                made, kept = made
                place = int(kept[place])
            for (kind, where, cost), count in made:
                if place < count:
                    break
                place -= count
            if kind == MULTIPLY:
                width = len(self.trees[i, where][0])
                parts = add(where + 1, j, place // width), add(i, where, place % width)
                jobs.append(Job(cost, parts, MULTIPLY, None))
            else:
                through = (j, j) if kind == TANGENT else (i, i)
                jobs.append(Job(cost, (add(*where, place),), kind, through))
            return len(jobs) - 1

        add(i, j, place)
        return jobs


def _tails(jobs: Sequence[Job]) -> list[int]:
    """From the start of each job to the end of the root, by the one way there is."""
    tails = [0] * len(jobs)
    for k in range(len(jobs) - 1, -1, -1):
        tails[k] += jobs[k].cost
        for part in jobs[k].parts:
            tails[part] = tails[k]
    return tails


def _bound(jobs: Sequence[Job], tails: Sequence[int], workers: int) -> int:
    """What has to be done before the last t units of every way, shared out, and these t."""
    rest = sorted(((tails[k] - jobs[k].cost, jobs[k].cost) for k in range(len(jobs))), reverse=True)
    most, work = tails and max(tails) or 0, 0
    for after, cost in rest:
        work += cost
        most = max(most, -(-work // workers) + after)
    return most


def _listed(jobs: Sequence[Job], tails: Sequence[int], workers: int) -> tuple[list[tuple[int, int]], int]:
    """(start, worker) of every job, whenever a worker is free the one with the longest tail; and the makespan."""
    waits = [len(job.parts) for job in jobs]
    above = {part: k for k, job in enumerate(jobs) for part in job.parts}
    ready = [(-tails[k], k) for k, job in enumerate(jobs) if not job.parts]
    heapq.heapify(ready)
    running: list[tuple[int, int, int]] = []
    free = list(range(workers))
    placed = [(0, 0)] * len(jobs)
    now = 0
    while ready or running:
        while ready and free:
            _, k = heapq.heappop(ready)
            worker = heapq.heappop(free)
            placed[k] = now, worker
            heapq.heappush(running, (now + jobs[k].cost, k, worker))
        now, k, worker = heapq.heappop(running)
        heapq.heappush(free, worker)
        done = [k]
        while running and running[0][0] == now:
            _, k, worker = heapq.heappop(running)
            heapq.heappush(free, worker)
            done.append(k)
        for k in done:
            parent = above.get(k)
            if parent is not None:
                waits[parent] -= 1
                if not waits[parent]:
                    heapq.heappush(ready, (-tails[parent], parent))
    return placed, now


def _branched(
    jobs: Sequence[Job], tails: Sequence[int], workers: int, best: int
) -> tuple[tuple[list[tuple[int, int]], int] | None, bool]:
    """A schedule of less than `best`, if there is one, and whether the search is complete.

    Jobs are started in the order of their starts, each on the worker that is free first.
    """
    above = {part: k for k, job in enumerate(jobs) for part in job.parts}
    count = len(jobs)
    placed: list[tuple[int, int]] = [(0, 0)] * count
    ends = [0] * count
    found: list[tuple[int, int]] | None = None
    looks = 0

    def search(ready: tuple[int, ...], waits: list[int], free: list[int], now: int, left: int) -> None:
        nonlocal best, found, looks
        looks += 1
        if not ready:
            best, found = max(ends), list(placed)
            return
        first = min(free)
        if -(-(sum(max(0, f - first) for f in free) + left) // workers) + first >= best:
            return
        worker = free.index(first)
        for k in sorted(ready, key=lambda k: -tails[k]):
            if looks > BRANCHES:
                return
            start = max([first, now, *(ends[part] for part in jobs[k].parts)])
            if start + tails[k] >= best:
                return  # it cannot start earlier later on, and the others have to wait for it no less
            placed[k], ends[k] = (start, worker), start + jobs[k].cost
            kept = free[worker]
            free[worker] = ends[k]
            parent = above.get(k)
            more = tuple(x for x in ready if x != k)
            if parent is not None:
                waits[parent] -= 1
                if not waits[parent]:
                    more = (*more, parent)
            search(more, waits, free, start, left - jobs[k].cost)
            if parent is not None:
                waits[parent] += 1
            free[worker] = kept
            ends[k] = 0

    leaves = tuple(k for k, job in enumerate(jobs) if not job.parts)
    search(leaves, [len(job.parts) for job in jobs], [0] * workers, 0, sum(job.cost for job in jobs))
    return (None if found is None else (found, best)), looks <= BRANCHES


def _steps(jobs: Sequence[Job], placed: Sequence[tuple[int, int]]) -> tuple[Step, ...]:
    """The jobs as steps of a bracketing."""
    nodes: list[Any] = []
    for job in jobs:
        parts = tuple(nodes[k] for k in job.parts)
        if job.kind == ACCUMULATE:
            nodes.append((ACCUMULATE, *job.what))
        else:
            nodes.append((job.kind, *parts) if job.kind == MULTIPLY else (job.kind, *parts, job.what))
    return tuple(
        Step(node, job.cost, worker, start) for node, job, (start, worker) in zip(nodes, jobs, placed, strict=True)
    )
