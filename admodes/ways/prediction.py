"""What every way to a full Jacobian would cost, from counted work: the candidates of `jacobian` and its choice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..chains.bracketing import Bracketing
from ..chains.chain import JacobianChain
from ..core import pytree
from ..core.errors import PatternTooDense
from ..core.tables import columns
from ..core.tracing import Tracer
from ..program import Cost, cost
from ..sparse.replay import Replay
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.directions import chunk_for, raveled, unit_directions, unraveled
from ..transforms.recording import Recording, complex_of_real, push_forward
from .model import current

if TYPE_CHECKING:
    from ..sparse.plan import Scheme

COLOURED = ("sparse", "mixed")  # modes
BRACKETING = "bracketing"  # of layers

# Finding the pattern traces f anew at every call, and walks over what it traced.
SECONDS_TO_DETECT = 1e-3
SECONDS_TO_DETECT_AN_OPERATION = 3e-4

# A layer on a tape of its own, and its part of the order.
PLANNING_SECONDS = 1e-4

# A pattern is looked for where so few rows and columns, drawn at random, are no denser than this in the middle.
SAMPLES = 5
LARGEST_DENSITY = 0.25


class Work(NamedTuple):
    """Counted work."""

    flops: float
    bytes: float
    operations: float

    @property
    def seconds(self) -> float:
        """By the cost model, from counts alone."""
        operation, flop, byte = current().rates
        return self.operations * operation + self.flops * flop + self.bytes * byte

    @classmethod
    def of(cls, counted: Cost) -> Work:
        return cls(counted.flops, counted.bytes, counted.operations)

    def plus(self, other: Work, times: float = 1) -> Work:
        return Work(*(a + times * b for a, b in zip(self, other, strict=True)))


NOTHING = Work(0, 0, 0)


def tape_seconds() -> float:
    """Making a tape, and reading back from it, beyond the operations on it."""
    entry = current().entry
    return max(0.0, entry["jacrev"] - entry["jacfwd"])


@dataclass(frozen=True)
class Sweep:
    """The work of a sweep of k directions, a + k·b, from that of one and of two; n and m numbers go in and out."""

    fixed: Work
    each: Work
    width: int

    def __call__(self, k: int, chunk: int | None = None) -> Work:
        """The work of k directions, so many at once as the memory takes."""
        passes = -(-k // max(1, chunk or chunk_for(k, self.width)))
        return NOTHING.plus(self.fixed, passes).plus(self.each, k)

    @classmethod
    def counted(cls, one: Work, two: Work, width: int) -> Sweep:
        each = two.plus(one, -1)
        return cls(one.plus(each, -1), each, width)


@dataclass(frozen=True)
class Candidate:
    """One way to the Jacobian: how many directions it carries, and the work."""

    mode: str
    directions: int
    work: Work
    note: str = ""
    beforehand: float = 0.0  # seconds for the tape, or for finding the pattern

    @property
    def seconds(self) -> float:
        """Predicted by the cost model; only ratios are to be believed."""
        return self.work.seconds + self.beforehand

    def cells(self, best: float) -> tuple[str, ...]:
        """The row of the table."""
        numbers = (self.directions, self.work.flops, self.work.bytes, self.work.operations)
        return self.mode, *(f"{n:,.0f}" for n in numbers), f"{self.seconds / best:.3g}", self.note


@dataclass(frozen=True)
class JacobianPlan:
    """The candidates and the choice of `jacobian(f, mode="auto")`; printing it explains the choice."""

    shape: tuple[int, int]
    candidates: tuple[Candidate, ...]
    remarks: tuple[str, ...] = ()
    scheme: Scheme | None = None  # of the sparse or mixed candidate

    @property
    def best(self) -> Candidate:
        return min(self.candidates, key=lambda c: c.seconds)

    @property
    def choice(self) -> str:
        """The mode of the cheapest candidate."""
        return self.best.mode

    def __getitem__(self, mode: str) -> Candidate:
        """The candidate of a mode."""
        return next(c for c in self.candidates if c.mode == mode)

    def __str__(self) -> str:
        ranked = sorted(self.candidates, key=lambda c: c.seconds)
        best = ranked[0].seconds or 1.0
        head = ("mode", "directions", "flops", "bytes", "operations", "predicted cost", "")
        rows = [head, *(c.cells(best) for c in ranked)]
        m, n = self.shape
        ahead = f", {ranked[1].seconds / best:.3g} times cheaper than {ranked[1].mode}" if len(ranked) > 1 else ""
        table = columns(rows, "<>>>>><")
        return "\n".join([f"Jacobian of {m:,} × {n:,}", *table, *self.remarks, f"choice: {self.choice}{ahead}"])

    __repr__ = __str__


# ---------------------------------------------------------------------------------------------------
# The prediction
# ---------------------------------------------------------------------------------------------------


def predict(
    f: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chunk: int | None = None,
    holomorphic: bool = False,
    sparse: bool = True,
) -> JacobianPlan:
    """The counted work of the full Jacobian by each mode; sparse: by colouring too, where that may pay."""
    _, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    replay = Replay(f, argnums, args, kwargs, strict=False)
    counts = Counts(replay, structure, leaves)
    (m, n), complex_in = counts.shape, any(x.dtype.kind == "c" for x in leaves)
    forward = Candidate("forward", n, counts.push(n, chunk))
    reverse = Candidate("reverse", m, counts.tape.plus(counts.pull(m, chunk)), beforehand=tape_seconds())
    if complex_in and not holomorphic:
        return JacobianPlan(counts.shape, (reverse,), ("real results of complex arguments: reverse mode alone",))
    if complex_of_real(leaves, counts.results):
        return JacobianPlan(counts.shape, (forward,), ("complex results of real arguments: forward mode alone",))
    dense = (forward, reverse)
    if not sparse or complex_in or any(isinstance(x, Tracer) for x in pytree.flatten((args, kwargs))[0]):
        return JacobianPlan(counts.shape, dense)
    return _with_colouring(counts, dense, replay)


class Counts:
    """The counted work of one and of two directions in both modes, from which that of any number follows."""

    def __init__(self, f: Any, structure: Any, leaves: list[Any]) -> None:
        self.f, self.structure, self.leaves = f, structure, leaves
        self.results: list[Any] = []
        n = sum(int(x.size) for x in leaves)
        push_one, push_two = self._forward(1), self._forward(2)
        m = sum(y.size for y in self.results)
        self.shape = (m, n)
        self.tape = self._reverse(0)
        width = max(n, m, 1)
        self.push = Sweep.counted(push_one, push_two, width)
        pull_one, pull_two = (self._reverse(k).plus(self.tape, -1) for k in (1, 2))
        self.pull = Sweep.counted(pull_one, pull_two, width)

    def _forward(self, k: int) -> Work:
        def run(xs: list[Any], ts: list[Any]) -> None:
            found = push_forward(self.f, self.structure, xs, ts, (k,))[0]
            self.results[:] = [np.zeros(np.shape(y), np.result_type(y)) for y in found]

        return Work.of(cost(run, self.leaves, _directions(self.leaves, k)))

    def _reverse(self, k: int) -> Work:
        def run(xs: list[Any], us: list[Any]) -> None:
            recording = Recording(self.f, pytree.unflatten(self.structure, xs))
            if k:
                recording.pull(us, (k,))

        return Work.of(cost(run, self.leaves, _directions(self.results, k)))


def _directions(leaves: list[Any], k: int) -> list[Any]:
    """k directions; work depends on their shape alone."""
    return [np.broadcast_to(d[:1], (k, *d.shape[1:])).copy() for d in unit_directions(leaves, 0, 1)]


def _with_colouring(counts: Counts, dense: tuple[Candidate, ...], replay: Replay) -> JacobianPlan:
    """The plan with coloured candidates, where finding the pattern costs less than the cheaper dense mode."""
    beforehand = counts.tape.operations * SECONDS_TO_DETECT_AN_OPERATION + SECONDS_TO_DETECT
    if beforehand >= min(c.seconds for c in dense):
        return JacobianPlan(counts.shape, dense, ("sparse: not looked for; finding a pattern would cost more",))
    density = _sampled_density(counts)
    if density > LARGEST_DENSITY:
        remark = f"sparse: not looked for; sampled rows and columns are {density:.0%} nonzero"
        return JacobianPlan(counts.shape, dense, (remark,))
    from ..sparse.pattern import pattern_of
    from ..sparse.plan import jacobian_scheme

    try:
        pattern = pattern_of(replay.program, replay.active, None)
    except PatternTooDense as error:
        return JacobianPlan(counts.shape, dense, (f"sparse: {error}",))
    found = {mode: jacobian_scheme(pattern, mode) for mode in COLOURED}
    coloured = [_coloured(counts, mode, scheme, beforehand) for mode, scheme in found.items()]
    plan = JacobianPlan(counts.shape, (*dense, *coloured), (f"pattern: {pattern.nnz:,} entries",))
    return replace(plan, scheme=found.get(plan.choice))


def _coloured(counts: Counts, mode: str, scheme: Scheme, beforehand: float) -> Candidate:
    """The work of a coloured Jacobian, unfolded into an array."""
    pushes, pulls = scheme.pushes, scheme.pulls
    work = Work(0, math.prod(counts.shape) * 8, 1).plus(counts.push(pushes)).plus(counts.pull(pulls))
    note = " and ".join(_several(k, word) for k, word in ((pushes, "push"), (pulls, "pull")) if k)
    return Candidate(mode, scheme.passes, work.plus(counts.tape, times=bool(pulls)), note, beforehand)


def _several(k: int, word: str) -> str:
    return f"1 {word}" if k == 1 else f"{k:,} {word}{'es' if word == 'push' else 's'}"


def bracketed(chain: JacobianChain, order: Bracketing) -> Candidate:
    """The work of the cheapest order of a chain, as carried out."""
    counted = Work.of(chain.counted(order))
    return Candidate(BRACKETING, 0, counted, f"{order.cost:,} multiply-adds", PLANNING_SECONDS * len(chain))


def _sampled_density(counts: Counts) -> float:
    """The share of nonzeros in a middling row or column, the sparser kind of the two, from a few of each."""
    rng = np.random.default_rng(0)
    recording = Recording(counts.f, pytree.unflatten(counts.structure, counts.leaves))
    columns = recording.push(_sampled(counts.leaves, rng), (SAMPLES,))
    rows = recording.pull(_sampled(recording.values, rng), (SAMPLES,))
    return min(float(np.median(np.mean(raveled(found, SAMPLES) != 0, axis=1))) for found in (columns, rows))


def _sampled(leaves: list[Any], rng: np.random.Generator) -> list[Any]:
    """Unit directions of a few places, drawn at random."""
    n = sum(int(x.size) for x in leaves)
    seeds = np.zeros((SAMPLES, n))
    seeds[np.arange(SAMPLES), rng.integers(n, size=SAMPLES)] = 1
    return unraveled(seeds, leaves)
