"""What every way to a full Jacobian would cost, by the cost model: the candidates of `jacobian` and its choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..chains.bracketing import Bracketing
from ..chains.chain import JacobianChain
from ..core import pytree
from ..core.errors import PatternTooDense
from ..core.progress import PATIENCE, Step, bar
from ..core.tables import PREDICTED, Column, Record, Table, Tabular, whole
from ..core.tracing import Tracer
from ..core.views import ground
from ..program import Cost
from ..program.program import record
from ..sparse.replay import Replay
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.directions import raveled, unraveled
from ..transforms.recording import Recording, complex_of_real
from .estimate import Estimate, Estimator, of_program
from .model import Level, current

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


@dataclass(frozen=True)
class Candidate:
    """One way to the Jacobian: how many directions it carries, and what that takes by the cost model."""

    mode: str
    directions: int
    estimate: Estimate
    note: str = ""
    beforehand: float = 0.0  # seconds for finding the pattern, or for planning

    @property
    def seconds(self) -> float:
        """Predicted by the cost model."""
        return self.estimate.seconds + self.beforehand

    @property
    def overhead(self) -> float:
        """Those of the seconds that no larger array would add to: calls, the tape, finding the pattern."""
        return self.estimate.overhead_seconds + self.beforehand

    @property
    def cost(self) -> Cost:
        """Counted work."""
        return self.estimate.cost

    def record(self) -> Record:
        """The row of the table."""
        return {
            "mode": self.mode,
            "directions": self.directions,
            "flops": self.cost.flops,
            "bytes": self.cost.bytes,
            "operations": self.cost.operations,
            "peak_bytes": self.estimate.peak_bytes,
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

    The columns: directions carried, counted flops, bytes and operations, the peak of bytes alive at once beyond the
    arguments; of the predicted seconds the overhead, of which each operation has its part, however small its arrays;
    and all of them. The prices are those of `compare`, of the same programs.
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
    """What the full Jacobian would take by each mode; sparse: by colouring too, where that may pay."""
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
    primals = pytree.unflatten(structure, [ground(x) for x in leaves])
    ways = Estimator(replay, primals, tuple(range(len(primals))))
    shape, complex_in = (ways.m, ways.n), any(x.dtype.kind == "c" for x in ways.leaves)

    def dense(mode: str) -> Candidate:
        step(f"{mode} mode is counted")
        return Candidate(mode, shape[mode == "forward"], ways.jacobian(mode, chunk))

    if complex_in and not holomorphic:
        return JacobianPlan(shape, (dense("reverse"),), ("real results of complex arguments: reverse mode alone",))
    if complex_of_real(ways.leaves, ways.results):
        return JacobianPlan(shape, (dense("forward"),), ("complex results of real arguments: forward mode alone",))
    both = (dense("forward"), dense("reverse"))
    if not sparse or complex_in or any(isinstance(x, Tracer) for x in pytree.flatten((args, kwargs))[0]):
        return JacobianPlan(shape, both)
    return _with_colouring(ways, both, replay, step)


def _with_colouring(ways: Estimator, dense: tuple[Candidate, ...], replay: Replay, step: Step) -> JacobianPlan:
    """The plan with coloured candidates, where finding the pattern costs less than the cheaper dense mode."""
    shape = (ways.m, ways.n)
    beforehand = len(ways.plain) * SECONDS_TO_DETECT_AN_OPERATION + SECONDS_TO_DETECT
    if beforehand >= min(c.seconds for c in dense):
        return JacobianPlan(shape, dense, ("sparse: not looked for; finding a pattern would cost more",))
    step("rows and columns are sampled")
    density = _sampled_density(ways)
    if density > LARGEST_DENSITY:
        remark = f"sparse: not looked for; sampled rows and columns are {density:.0%} nonzero"
        return JacobianPlan(shape, dense, (remark,))
    from ..sparse.pattern import pattern_of
    from ..sparse.plan import jacobian_scheme

    step("the pattern is found")
    try:
        pattern = pattern_of(replay.program, replay.active, None)
    except PatternTooDense as error:
        return JacobianPlan(shape, dense, (f"sparse: {error}",))
    step("the pattern is coloured")
    found = {mode: jacobian_scheme(pattern, mode) for mode in COLOURED}
    coloured = [_coloured(ways, mode, scheme, beforehand) for mode, scheme in found.items()]
    plan = JacobianPlan(shape, (*dense, *coloured), (f"pattern: {pattern.nnz:,} entries",))
    return replace(plan, scheme=found.get(plan.choice))


def _coloured(ways: Estimator, mode: str, scheme: Scheme, beforehand: float) -> Candidate:
    """A coloured Jacobian, unfolded into an array."""
    counted = {"push": scheme.pushes, "pull": scheme.pulls}
    modes = {"push": "forward", "pull": "reverse"}
    parts = [ways.jacobian(modes[word], directions=k) for word, k in counted.items() if k]
    carried = functools.reduce(Estimate.plus, parts) if parts else ways.function()
    unfolded = ways.m * ways.n * 8
    estimate = replace(
        carried,
        seconds=carried.seconds + ways.model.byte(unfolded) * unfolded,
        cost=replace(carried.cost, bytes=carried.cost.bytes + unfolded, operations=carried.cost.operations + 1),
        peak_bytes=carried.peak_bytes + unfolded,
    )
    note = " and ".join(_several(k, word) for word, k in counted.items() if k)
    return Candidate(mode, scheme.passes, estimate, note, beforehand)


def _several(k: int, word: str) -> str:
    return f"1 {word}" if k == 1 else f"{k:,} {word}{'es' if word == 'push' else 's'}"


def bracketed(f: Callable[..., Any], chain: JacobianChain, order: Bracketing) -> Candidate:
    """The cheapest order of a chain, whose composition f is, as carried out: f on the tapes of its layers, and the
    pushes, pulls and products of the order."""
    model, x = current(), chain.factors[0].x
    plain, products = record(f, (x,), {}, strict=False), chain.traced(order)
    tapes, sweeps = (Level.of(kind, plain) for kind in ("record", "pull"))
    estimate = of_program(plain, [tapes], False, 0.0, model).plus(of_program(products, [sweeps], False, 0.0, model))
    note, planning = f"{order.cost:,} multiply-adds", PLANNING_SECONDS * len(chain)
    return Candidate(BRACKETING, 0, replace(estimate, passes=1), note, planning)


def _sampled_density(ways: Estimator) -> float:
    """The share of nonzeros in a middling row or column, the sparser kind of the two, from a few of each."""
    rng = np.random.default_rng(0)
    recording = Recording(ways.chosen, pytree.unflatten(ways.structure, ways.leaves))
    columns = recording.push(_sampled(ways.leaves, rng), (SAMPLES,))
    rows = recording.pull(_sampled(recording.values, rng), (SAMPLES,))
    return min(float(np.median(np.mean(raveled(found, SAMPLES) != 0, axis=1))) for found in (columns, rows))


def _sampled(leaves: list[Any], rng: np.random.Generator) -> list[Any]:
    """Unit directions of a few places, drawn at random."""
    n = sum(int(x.size) for x in leaves)
    seeds = np.zeros((SAMPLES, n))
    seeds[np.arange(SAMPLES), rng.integers(n, size=SAMPLES)] = 1
    return unraveled(seeds, leaves)
