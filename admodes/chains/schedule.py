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
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .bracketing import ACCUMULATE, ADJOINT, MULTIPLY, TANGENT, Link, Step

# Chains of at most so many factors are searched over all their trees; of longer ones each sub-chain keeps TREES.
ALL_TREES = 8
TREES = 24
# Longer chains are scheduled as the dynamic program's trees for each number of workers alone.
SEARCHED = 20
# Chains of at most so many factors are searched to the end, however little time is given.
TO_THE_END = 5
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


def scheduled(links: Sequence[Link], matrix_free: bool, memory: int | None, workers: int, seconds: float) -> Schedule:
    """A schedule of a chain of dense factors on `workers` machines, found within about `seconds`."""
    until = time.thread_time() + (seconds if len(links) > TO_THE_END else math.inf)
    workers = min(workers, len(links))  # q factors keep no more than q workers busy
    forest = _Forest(links, matrix_free, memory, workers)
    last = len(links) - 1
    trees = forest.trees[0, last]
    bounds = np.maximum(trees.paths, -(-trees.works // workers))
    order = np.argsort(bounds, kind="stable")
    best = int(trees.works[order[0]]) + 1  # longer than one after the other
    placed: list[Turn] = []
    jobs: list[Job] = []
    waiting: list[tuple[int, list[Job], list[int]]] = []  # trees whose list is longer than their bound
    complete = forest.complete
    for place in order:
        if bounds[place] >= best:
            break
        if time.thread_time() > until and jobs:
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
        if time.thread_time() > until:
            unproven.append(bound)
            break
        better, exhausted = _branched(tree, tails, workers, best)
        if better is not None:
            best, placed, jobs = better[1], better[0], tree
        if not exhausted:
            unproven.append(bound)
    return Schedule(_steps(jobs, placed), best, min([best, *unproven]))


def listed(steps: Sequence[Step], workers: int) -> tuple[int, tuple[Step, ...]]:
    """The makespan of a tree that is scheduled as a list, and its steps."""
    place = {id(step.node): k for k, step in enumerate(steps)}
    jobs = []
    for step in steps:
        kind = step.node[0]
        parts = tuple(place[id(part)] for part in step.node[1:] if id(part) in place)
        jobs.append(Job(step.cost, parts, kind, step.node[1:] if kind == ACCUMULATE else step.node[-1]))
    placed, makespan = _listed(jobs, _tails(jobs), min(workers, len(jobs)))
    return makespan, _steps(jobs, placed)


class Turn(NamedTuple):
    """When a job starts, and the worker that does it."""

    start: int
    worker: int


class Way(NamedTuple):
    """A last step of trees of a sub-chain: its kind, its parts (left first), its cost, how many trees end with it."""

    kind: str
    parts: tuple[tuple[int, int], ...]
    cost: int
    trees: int


class Trees(NamedTuple):
    """The trees of a sub-chain, an element of the arrays each, in the order of the ways that they come about in.

    paths, works : the longest path and the work of each.
    ways : their last steps.
    kept : the places, among all trees of the ways, of those in the arrays; None where these are all.
    """

    paths: Any
    works: Any
    ways: Sequence[Way] = ()
    kept: Any = None


class _Forest:
    """The trees of all sub-chains i … j."""

    def __init__(self, links: Sequence[Link], matrix_free: bool, memory: int | None, workers: int) -> None:
        q = len(links)
        self.links, self.matrix_free, self.memory, self.workers = links, matrix_free, memory, workers
        self.complete = q <= ALL_TREES
        self.trees: dict[tuple[int, int], Trees] = {}
        self.modes = []
        for i, link in enumerate(links):
            mode = link.cheaper() if memory is None or link.pull <= memory else TANGENT
            cost = np.array([link.accumulation(mode) if matrix_free else 0])
            self.modes.append(mode)
            self.trees[i, i] = Trees(cost, cost)
        for d in range(1, q):
            for i in range(q - d):
                self._grow(i, i + d)
        self.bound = self._least() if not self.complete else 0

    def _grow(self, i: int, j: int) -> None:
        links = self.links
        paths, works, ways = [], [], []
        for k in range(i, j):
            cost = links[j].m * links[k].m * links[i].n
            left, right = self.trees[k + 1, j], self.trees[i, k]
            paths.append((np.maximum(left.paths[:, None], right.paths) + cost).ravel())
            works.append((left.works[:, None] + right.works + cost).ravel())
            ways.append(Way(MULTIPLY, ((k + 1, j), (i, k)), cost, len(paths[-1])))
        for kind, part, cost in self._carried(i, j):
            paths.append(self.trees[part].paths + cost)
            works.append(self.trees[part].works + cost)
            ways.append(Way(kind, (part,), cost, len(paths[-1])))
        path, work, kept = np.concatenate(paths), np.concatenate(works), None
        if not self.complete and len(path) > TREES:
            kept = self._best(path, work)
            path, work = path[kept], work[kept]
        self.trees[i, j] = Trees(path, work, ways, kept)

    def _carried(self, i: int, j: int) -> list[tuple[str, tuple[int, int], int]]:
        """How i … j comes about by tangents through j, or adjoints through i: the kind, the part, the cost."""
        if not self.matrix_free:
            return []
        links = self.links
        tangent = (TANGENT, (i, j - 1), links[i].n * links[j].push)
        adjoint = (ADJOINT, (i + 1, j), links[j].m * links[i].pull)
        return [tangent, adjoint] if self.memory is None or links[i].pull <= self.memory else [tangent]

    def _best(self, path: Any, work: Any) -> Any:
        """The trees that are best for some number of workers."""
        ranks = [np.maximum(path, work / w) + 1e-9 * work for w in range(1, self.workers + 1)]
        share = max(1, TREES // len(ranks))
        return np.unique(np.concatenate([np.argpartition(r, share)[:share] for r in ranks]))

    def _least(self) -> int:
        """max(longest path, work a worker) of no tree is less: each alone, over all trees."""
        links, q = self.links, len(self.links)
        paths, works = np.zeros((2, q, q), object)
        for i in range(q):
            paths[i, i] = works[i, i] = int(self.trees[i, i].paths[0])
        for i, j in ((i, i + d) for d in range(1, q) for i in range(q - d)):
            splits = [(k, links[j].m * links[k].m * links[i].n) for k in range(i, j)]
            carried = [(part, cost) for _, part, cost in self._carried(i, j)]
            longer = [max(paths[i, k], paths[k + 1, j]) + cost for k, cost in splits]
            more = [works[i, k] + works[k + 1, j] + cost for k, cost in splits]
            paths[i, j] = min([*longer, *(paths[part] + cost for part, cost in carried)])
            works[i, j] = min([*more, *(works[part] + cost for part, cost in carried)])
        return int(max(paths[0, q - 1], -(-works[0, q - 1] // self.workers)))

    def jobs(self, i: int, j: int, place: int) -> list[Job]:
        """The steps of a tree, parts before what is made of them; the last is the root."""
        jobs: list[Job] = []

        def add(i: int, j: int, place: int) -> int:
            if i == j:
                jobs.append(Job(int(self.trees[i, i].paths[0]), (), ACCUMULATE, (i, self.modes[i])))
                return len(jobs) - 1
            trees = self.trees[i, j]
            place = place if trees.kept is None else int(trees.kept[place])
            for way in trees.ways:  # the way that the tree comes about in, and its place among those
                if place < way.trees:
                    break
                place -= way.trees
            if way.kind == MULTIPLY:
                width = len(self.trees[way.parts[1]].paths)
                parts = tuple(add(*part, at) for part, at in zip(way.parts, divmod(place, width), strict=True))
                jobs.append(Job(way.cost, parts, MULTIPLY, None))
            else:
                through = (j, j) if way.kind == TANGENT else (i, i)
                jobs.append(Job(way.cost, (add(*way.parts[0], place),), way.kind, through))
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
    most, work = (tails and max(tails)) or 0, 0
    for after, cost in rest:
        work += cost
        most = max(most, -(-work // workers) + after)
    return most


def _listed(jobs: Sequence[Job], tails: Sequence[int], workers: int) -> tuple[list[Turn], int]:
    """Every job's turn, whenever a worker is free the one with the longest tail; and the makespan."""
    waits = [len(job.parts) for job in jobs]
    above = {part: k for k, job in enumerate(jobs) for part in job.parts}
    ready = [(-tails[k], k) for k, job in enumerate(jobs) if not job.parts]
    heapq.heapify(ready)
    running: list[tuple[int, int, int]] = []
    free = list(range(workers))
    placed = [Turn(0, 0)] * len(jobs)
    now = 0
    while ready or running:
        while ready and free:
            _, k = heapq.heappop(ready)
            worker = heapq.heappop(free)
            placed[k] = Turn(now, worker)
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
) -> tuple[tuple[list[Turn], int] | None, bool]:
    """A schedule of less than `best`, if there is one, and whether the search is complete.

    Jobs are started in the order of their starts, each on the worker that is free first.
    """
    above = {part: k for k, job in enumerate(jobs) for part in job.parts}
    count = len(jobs)
    placed: list[Turn] = [Turn(0, 0)] * count
    ends = [0] * count
    found: list[Turn] | None = None
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
            placed[k], ends[k] = Turn(start, worker), start + jobs[k].cost
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


def _steps(jobs: Sequence[Job], placed: Sequence[Turn]) -> tuple[Step, ...]:
    """The jobs as steps of a bracketing."""
    nodes: list[Any] = []
    for job in jobs:
        parts = tuple(nodes[k] for k in job.parts)
        if job.kind == ACCUMULATE:
            nodes.append((ACCUMULATE, *job.what))
        else:
            nodes.append((job.kind, *parts) if job.kind == MULTIPLY else (job.kind, *parts, job.what))
    return tuple(
        Step(node, job.cost, turn.worker, turn.start) for node, job, turn in zip(nodes, jobs, placed, strict=True)
    )
