"""How near are predicted seconds and bytes to measured ones, and is the way advised the fastest?

Functions of all kinds (`experiments.functions`), each differentiated in every way that applies: f itself, one tangent,
one cotangent, the whole gradient or Jacobian in both modes, products with the Hessian and the Hessian in three
nestings, each eager, as flat code and with native kernels.  The constants of the cost model are calibrated first, in
this run.

How it is measured.  Seconds: medians of interleaved calls on one thread.  Bytes: the most that `tracemalloc` sees alive
in one call.  Predictions come from traced programs and the constants alone (`admodes.ways.estimate`).  The way advised
is what `compare` says of each function's gradient or Jacobian, after its own measuring; all its ways that gave the
right answer are then measured anew, and what the advice costs is the time of its way over that of the fastest.  Beside
it stands the way of least predicted seconds, as where nothing could be run.

What to expect, and why.  A NumPy call is a microsecond of overhead and then bytes or flops; both are regular, so that a
prediction should be within a quarter mostly.  It is worst where the time depends on what the model does not see: the
values (sorting sorted numbers, subnormal numbers), the strides of an operand, what NumPy's Python layers do with an
argument's kind.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

import admodes
from admodes.program.native.calls import usable
from admodes.ways import table
from admodes.ways.calibrate import calibrate
from admodes.ways.estimate import Estimate, Estimator
from admodes.ways.hessians import hessian, hvp
from admodes.ways.model import CostModel

from . import style
from .frame import Row, Study
from .functions import Function, functions
from .timing import interleaved

# Directions at once, numbers in the result: above these a whole Jacobian, or Hessian, is not made.
MOST_DIRECTIONS = 400
MOST_NUMBERS = 2_000_000
MOST_HESSIAN = 24

Nesting = Literal["forward-over-reverse", "reverse-over-forward", "forward-over-forward"]
NESTINGS: tuple[Nesting, ...] = get_args(Nesting)

NEAR, FAR = 1.25, 2.0  # the bands of the picture
FEW_BYTES = 1_000_000

# Seconds for each comparison; and rounds and seconds a way in which what it advises is measured anew, many since the
# least of several medians is the smaller the less they are known.
COMPARING, AGAIN = 2.0, (21, 0.1)


@dataclass(frozen=True)
class Way:
    """A way to a derivative: what it gives, its call, and what it is predicted to take."""

    name: str
    gives: str
    call: Callable[[], Any]
    predicted: Estimate


def ways(function: Function, model: CostModel) -> list[Way]:
    """The ways that apply to a function."""
    f, x = function.f, function.x
    ways = Estimator(f, (x,), model=model)
    n, m = ways.n, ways.m
    t, u = np.ones_like(x), np.ones(np.shape(f(x)))
    grad = admodes.grad(f)

    def pull() -> Any:
        return admodes.vjp(f, x)[1](u)

    found = [
        Way("f", "value", lambda: f(x), ways.function()),
        Way("push", "tangent", lambda: admodes.jvp(f, (x,), (t,)), ways.forward()),
    ]

    def add(
        name: str, gives: str, derivative: Callable[..., Any], predicted: Any, args: tuple[Any, ...] = (x,)
    ) -> None:
        found.append(Way(name, gives, lambda: derivative(*args), predicted(compiled=False)))
        flat = admodes.compile(derivative, native=False)
        found.append(Way(f"{name}, compiled", gives, lambda: flat(*args), predicted(compiled=True)))
        if usable():
            native = admodes.compile(derivative, native=True)
            found.append(Way(f"{name}, native", gives, lambda: native(*args), predicted(compiled="native")))

    if m == 1 and not u.ndim:
        add("reverse", "gradient", grad, ways.gradient)
    else:
        found.append(Way("pull", "cotangent", pull, ways.reverse()))
    gives = "gradient" if m == 1 else "Jacobian"
    for mode, derivative, directions in (("forward", admodes.jacfwd(f), n), ("reverse", admodes.jacrev(f), m)):
        if directions <= MOST_DIRECTIONS and n * m <= MOST_NUMBERS and not (mode == "reverse" and m == 1):
            add(mode, gives, derivative, lambda compiled: ways.jacobian(mode, compiled=compiled))
    if m == 1 and not u.ndim:
        add("product", "Hessian product", lambda x, t: hvp(f, (x,), (t,)), ways.hvp, (x, t))
        if n <= MOST_HESSIAN:
            for mode in NESTINGS:
                add(mode, "Hessian", hessian(f, mode=mode), lambda compiled: ways.hessian(mode, compiled=compiled))
    return found


def peak(way: Way) -> int:
    """The most bytes that tracemalloc sees alive at once in one call, beyond those before it; with a workspace."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        way.call()
        return tracemalloc.get_traced_memory()[1] - before + way.predicted.kept_bytes
    finally:
        tracemalloc.stop()


def measure(function: Function, model: CostModel, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a way."""
    found = ways(function, model)
    gc.collect()
    gc.freeze()  # so that what predictions left behind does not slow the collector down
    taken = interleaved({way.name: way.call for way in found}, rounds, seconds)
    best: dict[str, float] = {}
    for way in found:
        best[way.gives] = min(taken[way.name], best.get(way.gives, np.inf))
    gc.unfreeze()
    advised = {}
    for way in sorted(found, key=lambda way: -way.predicted.seconds):
        advised[way.gives] = way.name
    return [
        {
            "function": function.name,
            "kind": function.kind,
            "gives": way.gives,
            "way": way.name,
            "seconds": taken[way.name],
            "predicted_seconds": way.predicted.seconds,
            "ratio": way.predicted.seconds / taken[way.name],
            "bytes": peak(way) if way.predicted.peak_bytes > FEW_BYTES / 2 else None,
            "predicted_bytes": way.predicted.peak_bytes,
            "advised": int(advised[way.gives] == way.name),
            "over_best": taken[way.name] / best[way.gives],
            "blame": next(iter(way.predicted.by_operation), ""),
        }
        for way in found
    ]


# Ways that took so many times as long as the fastest in the comparison are not measured again.
HOPELESS = 5.0


def chosen(function: Function, max_seconds: float, rounds: int, seconds: float) -> dict[str, Any] | None:
    """What `compare` advises, and what that costs beside the fastest of its ways, measured anew."""
    found = admodes.compare(function.f, function.x, max_seconds=max_seconds)
    best, known = found.best, {way.name: way for way in table.ways(found.target)}
    if best is None or best.seconds is None:
        return None
    near = [
        row.way
        for row in found.rows
        if row.seconds and row.agrees and row.exact and not row.peer and row.seconds < HOPELESS * best.seconds
    ]
    calls = {name: partial(known[name].derivative(found.question), function.x) for name in near}
    gc.collect()
    taken = interleaved(calls, rounds, seconds)
    fastest = min(taken, key=lambda name: taken[name])
    return {
        "function": function.name,
        "kind": function.kind,
        "gives": found.target,
        "way": best.way,
        "seconds": taken[best.way],
        "fastest": fastest,
        "over_best": taken[best.way] / taken[fastest],
        "measured_again": len(taken),
    }


# ---------------------------------------------------------------------------------------------------
# What comes of it
# ---------------------------------------------------------------------------------------------------

# What a person chooses among ways for; a value, a tangent and a cotangent have one way each here.
CHOICES = ("gradient", "Jacobian", "Hessian product", "Hessian")


def off(ratios: Sequence[float], share: float) -> float:
    """The factor, at least 1, within which so large a share of predictions is."""
    return float(np.exp(np.quantile(np.abs(np.log(ratios)), share)))


def memory_ratios(rows: Sequence[Row]) -> list[float]:
    """Predicted over measured bytes, where these are many."""
    return [row["predicted_bytes"] / row["bytes"] for row in rows if row["bytes"] and row["bytes"] > FEW_BYTES]


def by_kind(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each kind of function and each way: how far off; and the worst, with the operation to blame."""
    found = []
    for column in ("kind", "way"):
        for name in dict.fromkeys(row[column] for row in rows):
            mine = [row for row in rows if row[column] == name]
            ratios = [row["ratio"] for row in mine]
            worst = max(mine, key=lambda row: abs(np.log(row["ratio"])))
            found.append(
                {
                    "by": column,
                    "name": name,
                    "predictions": len(mine),
                    "middle_ratio": float(np.median(ratios)),
                    "middle_factor": off(ratios, 0.5),
                    "factor_of_nine_in_ten": off(ratios, 0.9),
                    "worst": f"{worst['function']}, {worst['way']}",
                    "worst_ratio": worst["ratio"],
                    "blame": worst["blame"],
                }
            )
    return found


def finding(rows: Sequence[Row], advised: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    ratios = [row["ratio"] for row in rows]
    worst = max(rows, key=lambda row: abs(np.log(row["ratio"])))
    parts = [
        f"{len(rows)} predictions of seconds: half within {off(ratios, 0.5):.2f}×, nine in ten within "
        f"{off(ratios, 0.9):.2f}×",
        f"the way that compare advises costs up to {advice(advised):.2f}× the fastest in 95 of 100 of its "
        f"{len(advised)} choices, that of least predicted seconds {advice(by_prediction(rows)):.2f}×",
    ]
    memory = memory_ratios(rows)
    if memory:
        parts.append(f"peak bytes above 1 MB: half within {off(memory, 0.5):.2f}×")
    parts.append(
        f"worst: {worst['function']}, {worst['way']}, {worst['ratio']:.2g}×, by {worst['blame'] or 'its call'}"
    )
    return "; ".join(parts)


def by_prediction(rows: Sequence[Row]) -> list[Row]:
    """The ways of least predicted seconds."""
    return [row for row in rows if row["advised"] and row["gives"] in CHOICES]


def advice(rows: Sequence[Row]) -> float:
    """What the way advised costs at most, over the fastest, in 95 of 100 choices."""
    return float(np.quantile([row["over_best"] for row in rows], 0.95))


def heading(rows: Sequence[Row], advised: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    ratios = [row["ratio"] for row in rows]
    return (
        f"Half of {len(rows)} predicted times are within {off(ratios, 0.5):.2f}× of the clock, nine in ten within "
        f"{off(ratios, 0.9):.2f}×;\nin 95 of 100 choices the way advised costs at most {advice(advised):.2f}× the "
        "fastest"
    )


LOOKS = {
    "eager": {"color": style.BLUE, "marker": "o", "label": "eager"},
    "compiled": {"color": style.VERMILION, "marker": "D", "label": "compiled", "fillstyle": "none"},
    "native": {"color": style.GREEN, "marker": "^", "label": "native kernels"},
    "f": {"color": style.BLACK, "marker": "+", "label": "the function itself"},
}


@style.styled
def draw(rows: Sequence[Row], advised: Sequence[Row]) -> Any:
    """Predicted over measured seconds on the left; on the right the ratio by kind of function."""
    made = style.figure(style.WIDE, 5.8, heading(rows, advised))
    left, right = made.subplots(1, 2)
    for group, look in LOOKS.items():
        mine = [row for row in rows if _group(row) == group]
        x, y = [row["seconds"] for row in mine], [row["predicted_seconds"] for row in mine]
        left.plot(x, y, linestyle="", markersize=4, alpha=0.7, **look)
    ends = np.array([min(row["seconds"] for row in rows) / 2, max(row["seconds"] for row in rows) * 2])
    left.plot(ends, ends, color=style.GREY, linewidth=1)
    for factor in (NEAR, FAR):
        left.fill_between(ends, ends / factor, ends * factor, color=style.YELLOW, alpha=0.35, linewidth=0)
    left.set(xscale="log", yscale="log", xlabel="measured seconds", ylabel="predicted seconds")
    left.set_title(f"Each prediction (bands: {NEAR:g}×, {FAR:g}×)")
    left.legend(loc="upper left", markerscale=1.5, handletextpad=0.2)
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    for place, kind in enumerate(kinds):
        ratios = [row["ratio"] for row in rows if row["kind"] == kind]
        low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
        right.plot([low, high], [place, place], color=style.BLUE, linewidth=7, alpha=0.35, solid_capstyle="butt")
        right.plot(ratios, [place] * len(ratios), linestyle="", marker="|", markersize=6, color=style.BLUE, alpha=0.6)
        right.plot([middle], [place], linestyle="", marker="o", color=style.BLACK)
    right.axvline(1.0, color=style.GREY, linewidth=1)
    right.axvspan(1 / FAR, FAR, color=style.YELLOW, alpha=0.35, linewidth=0, zorder=0)
    right.set_yticks(range(len(kinds)), kinds)
    right.set(xscale="log", xlabel="predicted over measured seconds")
    right.set_xscale("log", base=2)
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    right.set_title("By kind (bars: all but the outer tenths)")
    right.invert_yaxis()
    return made


def _group(row: Row) -> str:
    if row["way"] == "f":
        return "f"
    return next((how for how in ("compiled", "native") if row["way"].endswith(how)), "eager")


def run(study: Study) -> str:
    rounds, seconds = (7, 0.02) if study.full else (5, 0.01)
    model = replace(calibrate(keep=False), paged=(0.0, 0.0))  # this process keeps the memory it frees
    study.show(str(model))
    rows: list[dict[str, Any]] = []
    advised: list[dict[str, Any]] = []
    suite = functions(study.rng())
    for function in study.track(suite if study.full else suite[::5], "functions"):
        rows += measure(function, model, rounds, seconds)
        made = chosen(function, COMPARING, *AGAIN)
        advised += [made] if made else []
    study.table(rows)
    study.table(by_kind(rows), "kinds")
    study.table(advised, "advice")
    study.picture(draw(rows, advised))
    return finding(rows, advised)
