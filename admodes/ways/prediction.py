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
from ..core.progress import PATIENCE, Step, bar
from ..core.tables import PREDICTED, Column, Record, Table, Tabular, whole
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

STEPS = 6  # of a plan, at most

# A pattern is looked for where so few rows and columns, drawn at random, are no denser than this in the middle.
SAMPLES = 5
LARGEST_DENSITY = 0.25


class Work(NamedTuple):
    """Counted work."""

    flops: float
    bytes: float
    operations: float

    @property
    def calls(self) -> float:
        """Seconds of the calls of NumPy and of what records them, whatever the arrays hold."""
        return self.operations * current().rates[0]

    @property
    def seconds(self) -> float:
        """By the cost model, from counts alone."""
        _, flop, byte = current().rates
        return self.calls + self.flops * flop + self.bytes * byte

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
    peaks: tuple[int, int] = (0, 0)  # bytes alive at once of one direction and of two, where they are counted

    def peak(self, k: int, chunk: int | None = None) -> float:
        """Bytes alive at once."""
        one, two = self.peaks
        return one + (two - one) * (min(k, chunk or chunk_for(k, self.width)) - 1) if k else 0

    def __call__(self, k: int, chunk: int | None = None) -> Work:
        """The work of k directions, so many at once as the memory takes."""
        passes = -(-k // max(1, chunk or chunk_for(k, self.width)))
        return NOTHING.plus(self.fixed, passes).plus(self.each, k)

    @classmethod
    def counted(cls, one: Cost, two: Cost, width: int, without: Work = NOTHING) -> Sweep:
        """From the counts of one and of two directions; without what they share and is counted elsewhere."""
        first = Work.of(one).plus(without, -1)
        each = Work.of(two).plus(Work.of(one), -1)
        return cls(first.plus(each, -1), each, width, (one.peak_bytes, two.peak_bytes))


@dataclass(frozen=True)
class Candidate:
    """One way to the Jacobian: how many directions it carries, and the work."""

    mode: str
    directions: int
    work: Work
    note: str = ""
    beforehand: float = 0.0  # seconds for the tape, or for finding the pattern
    peak_bytes: float = 0.0  # alive at once, the Jacobian among them

    @property
    def seconds(self) -> float:
        """Predicted by the cost model; only ratios are to be believed."""
        return self.work.seconds + self.beforehand

    @property
    def overhead(self) -> float:
        """Those of the seconds that no larger array would add to: calls, the tape, finding the pattern."""
        return self.work.calls + self.beforehand

    def record(self) -> Record:
        """The row of the table."""
        return {
            "mode": self.mode,
            "directions": self.directions,
            **self.work._asdict(),
            "peak_bytes": self.peak_bytes,
            "overhead_seconds": self.overhead,
            "predicted_seconds": self.seconds,
            "note": self.note,
        }


_COLUMNS = (
    Column("mode", side="<"),
    Column("directions", whole),
    Column("flops", whole),
    Column("bytes", whole),
    Column("operations", whole),
    *PREDICTED,
    Column("note", side="<", head=""),
)


@dataclass(frozen=True, repr=False)
class JacobianPlan(Tabular):
    """The candidates and the choice of `jacobian(f, mode="auto")`; printing it explains the choice.

    The columns: directions carried, counted flops, bytes and operations, the peak of bytes alive at once; of the
    predicted seconds the overhead, of which each operation has its part, however small its arrays; and all of them.
    """

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

    def table(self) -> Table:
        """The candidates, the cheapest first."""
        ranked = sorted(self.candidates, key=lambda c: c.seconds)
        best = ranked[0].seconds or 1.0
        m, n = self.shape
        ahead = f", {ranked[1].seconds / best:.3g} times cheaper than {ranked[1].mode}" if len(ranked) > 1 else ""
        title, notes = f"Jacobian of {m:,} × {n:,}", (*self.remarks, f"choice: {self.choice}{ahead}")
        return Table(_COLUMNS, [c.record() for c in ranked], title, notes, best=0)


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
    with bar("plan of the Jacobian", STEPS, PATIENCE) as step:
        return _predicted(f, argnums, args, kwargs, chunk, holomorphic, sparse, step)


def _predicted(
    f: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chunk: int | None,
    holomorphic: bool,
    sparse: bool,
    step: Step,
) -> JacobianPlan:
    _, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    step("f is written down")
    replay = Replay(f, argnums, args, kwargs, strict=False)
    counts = Counts(replay, structure, leaves, step)
    (m, n), complex_in = counts.shape, any(x.dtype.kind == "c" for x in leaves)
    forward = Candidate("forward", n, counts.push(n, chunk), peak_bytes=counts.push.peak(n, chunk) + counts.dense)
    pulled = counts.tape.plus(counts.pull(m, chunk))
    reverse = Candidate("reverse", m, pulled, "", tape_seconds(), counts.pull.peak(m, chunk) + counts.dense)
    if complex_in and not holomorphic:
        return JacobianPlan(counts.shape, (reverse,), ("real results of complex arguments: reverse mode alone",))
    if complex_of_real(leaves, counts.results):
        return JacobianPlan(counts.shape, (forward,), ("complex results of real arguments: forward mode alone",))
    dense = (forward, reverse)
    if not sparse or complex_in or any(isinstance(x, Tracer) for x in pytree.flatten((args, kwargs))[0]):
        return JacobianPlan(counts.shape, dense)
    return _with_colouring(counts, dense, replay, step)


class Counts:
    """The counted work of one and of two directions in both modes, from which that of any number follows."""

    def __init__(self, f: Any, structure: Any, leaves: list[Any], step: Step) -> None:
        self.f, self.structure, self.leaves = f, structure, leaves
        step("forward mode is counted")
        self.results: list[Any] = []
        n = sum(int(x.size) for x in leaves)
        push_one, push_two = self._forward(1), self._forward(2)
        m = sum(y.size for y in self.results)
        self.shape = (m, n)
        step("reverse mode is counted")
        self.dense = m * n * 8  # bytes of the Jacobian itself
        self.tape = Work.of(self._reverse(0))
        width = max(n, m, 1)
        self.push = Sweep.counted(push_one, push_two, width)
        self.pull = Sweep.counted(self._reverse(1), self._reverse(2), width, self.tape)

    def _forward(self, k: int) -> Cost:
        def run(xs: list[Any], ts: list[Any]) -> None:
            found = push_forward(self.f, self.structure, xs, ts, (k,))[0]
            self.results[:] = [np.zeros(np.shape(y), np.result_type(y)) for y in found]

        return cost(run, self.leaves, _directions(self.leaves, k))

    def _reverse(self, k: int) -> Cost:
        def run(xs: list[Any], us: list[Any]) -> None:
            recording = Recording(self.f, pytree.unflatten(self.structure, xs))
            if k:
                recording.pull(us, (k,))

        return cost(run, self.leaves, _directions(self.results, k))


def _directions(leaves: list[Any], k: int) -> list[Any]:
    """k directions; work depends on their shape alone."""
    return [np.broadcast_to(d[:1], (k, *d.shape[1:])).copy() for d in unit_directions(leaves, 0, 1)]


def _with_colouring(counts: Counts, dense: tuple[Candidate, ...], replay: Replay, step: Step) -> JacobianPlan:
    """The plan with coloured candidates, where finding the pattern costs less than the cheaper dense mode."""
    beforehand = counts.tape.operations * SECONDS_TO_DETECT_AN_OPERATION + SECONDS_TO_DETECT
    if beforehand >= min(c.seconds for c in dense):
        return JacobianPlan(counts.shape, dense, ("sparse: not looked for; finding a pattern would cost more",))
    step("rows and columns are sampled")
    density = _sampled_density(counts)
    if density > LARGEST_DENSITY:
        remark = f"sparse: not looked for; sampled rows and columns are {density:.0%} nonzero"
        return JacobianPlan(counts.shape, dense, (remark,))
    from ..sparse.pattern import pattern_of
    from ..sparse.plan import jacobian_scheme

    step("the pattern is found")
    try:
        pattern = pattern_of(replay.program, replay.active, None)
    except PatternTooDense as error:
        return JacobianPlan(counts.shape, dense, (f"sparse: {error}",))
    step("the pattern is coloured")
    found = {mode: jacobian_scheme(pattern, mode) for mode in COLOURED}
    coloured = [_coloured(counts, mode, scheme, beforehand) for mode, scheme in found.items()]
    plan = JacobianPlan(counts.shape, (*dense, *coloured), (f"pattern: {pattern.nnz:,} entries",))
    return replace(plan, scheme=found.get(plan.choice))


def _coloured(counts: Counts, mode: str, scheme: Scheme, beforehand: float) -> Candidate:
    """The work of a coloured Jacobian, unfolded into an array."""
    pushes, pulls = scheme.pushes, scheme.pulls
    work = Work(0, math.prod(counts.shape) * 8, 1).plus(counts.push(pushes)).plus(counts.pull(pulls))
    note = " and ".join(_several(k, word) for k, word in ((pushes, "push"), (pulls, "pull")) if k)
    peak = max(counts.push.peak(pushes), counts.pull.peak(pulls)) + counts.dense
    return Candidate(mode, scheme.passes, work.plus(counts.tape, times=bool(pulls)), note, beforehand, peak)


def _several(k: int, word: str) -> str:
    return f"1 {word}" if k == 1 else f"{k:,} {word}{'es' if word == 'push' else 's'}"


def bracketed(chain: JacobianChain, order: Bracketing) -> Candidate:
    """The work of the cheapest order of a chain, as carried out."""
    counted = chain.counted(order)
    note, planning = f"{order.cost:,} multiply-adds", PLANNING_SECONDS * len(chain)
    return Candidate(BRACKETING, 0, Work.of(counted), note, planning, counted.peak_bytes)


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
