"""How fast is this library beside derivative code written by hand in NumPy, and beside its peers?

The workloads are in `workloads.py`, the tools in `tools.py`: autograd, torch (eager) and JAX (jit), each where it is
installed (`pip install -e ".[peers]"`); "admodes compiled" is `admodes.compile` of the derivative, and of the Hessian a
coloured plan (`sparse_hessian_plan`, as an array), which finds by itself that it is banded.  All differentiate the same
function, given the tool's namespace; for JAX a loop is written as lax.scan, without which it would be compiled
step by step.  The scalar loop by hand computes with Python floats and `math`.

How it is measured. One process on one core, one thread, float64. Answers are compared with the hand-written ones
before anything is timed. Tools take turns within a workload, and the median of their samples of processor time
counts; the first call, which may compile, is timed apart, on the wall: what it took beyond a later call is
preparation. What compiles has run for a while before it is timed: native kernels come when they have paid. The
preparation of a program without loops is compared on the recurrent net, unrolled, and tracing is timed on it too.
Freed memory stays with the process (`timing.keep_memory`). The cost of one a·b is the slope of the seconds over the
length of a loop.

What to expect, and why.  Where arrays are small the time goes to carrying out each operation in Python, and the tools
differ by what they add to NumPy's own cost: a tape's entry and the call of a rule, here; more in autograd.  Where
arrays are large the arithmetic dominates, and all come near to code written by hand.  Flat code has neither tape nor
rules left and should equal code written by hand.  JAX's compiler removes the cost of operations
altogether, and temporary arrays with it, so it may be faster than NumPy written by hand; compiling takes its time.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

import admodes
from admodes.program.program import record

from . import style
from .frame import Row, Study
from .timing import CLOCK_STEP, interleaved
from .tools import Task, Tool, installed
from .workloads import PREPARING, STEPS, Workload, one_product, unrolled, workloads

# Loop lengths between which the cost of one product is fitted.
LENGTHS = (200, 600, 1000)

# Steps of the recurrent net whose preparation is timed: JAX compiles a thousand for minutes.
UNROLLED, UNROLLED_FULL = 30, 200

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "admodes": {"color": style.BLUE, "marker": "o", "zorder": 3},
    "compiled": {"color": style.BLACK, "marker": "*", "zorder": 4, "markersize": 13},
    "autograd": {"color": style.ORANGE, "marker": "s"},
    "torch": {"color": style.VERMILION, "marker": "^"},
    "jax": {"color": style.GREEN, "marker": "D"},
    "mygrad": {"color": style.PURPLE, "marker": "v"},
}


@dataclass(frozen=True)
class Target:
    """The seconds of `tool` are to be at most `ratio` times those of another tool."""

    workload: str
    against: str
    ratio: float
    tool: str = "admodes"

    def reached(self, rows: Sequence[Row]) -> float | None:
        """The ratio in these rows, or None where it was not measured."""
        return ratio(rows, self.workload, self.tool, self.against)


@dataclass(frozen=True)
class Over(Target):
    """The same for several workloads: their ratios taken together, once those of both tools are there."""

    workloads: tuple[str, ...] = ()  # all, if none are named
    together: Callable[[list[float]], float] = max

    def reached(self, rows: Sequence[Row]) -> float | None:
        names = self.workloads or tuple(dict.fromkeys(row["workload"] for row in rows if row["workload"] != PREPARING))
        ratios = [ratio(rows, name, self.tool, self.against) for name in names]
        known = [r for r in ratios if r is not None]
        complete = known and (len(known) == len(ratios) or not self.workloads)
        return self.together(known) if complete else None


def geometric_mean(ratios: Sequence[float]) -> float:
    """The ratio that is as much above the smaller ones as below the larger."""
    return float(np.exp(np.mean(np.log(ratios))))


# What compiled code is held against code written by hand on.
HELD = (
    *(f"tanh chain, gradient, n = {n}" for n in (8, 64, 512)),
    *(f"perceptron weights, batch 128, width {width}" for width in (64, 256)),
    *(f"tanh chain, Jacobian {kind}, n = {n}" for kind in ("forward", "reverse") for n in (8, 64, 256)),
    *(f"Rosenbrock, gradient, n = {n:,}" for n in (10, 1_000, 100_000)),
    "Gaussian mixture, d = 10, K = 25, N = 1000",
    f"recurrent net, {STEPS} steps, n = 32",
    f"{STEPS}-step scalar loop",
    *(f"elementwise, n = {n:,}" for n in (1_000, 1_000_000)),
)

# Written for a tool that stands for a budget, so that a number of seconds is a target like any other.
BUDGET, TRACING = "20 µs", "tracing, one operation"

# Where loops are fused into machine code: the ratios wanted to what is written by hand, and to JAX.
PAIR = ("hand", "jax")
FUSED = (
    ("tanh chain, gradient, n = 8", 0.8, 0.7),
    ("Rosenbrock, gradient, n = 100,000", 0.25, 0.6),
    ("Rosenbrock, H·v, n = 100,000", 0.2, 0.6),
    ("Gaussian mixture, d = 10, K = 25, N = 1000", 0.5, 0.8),
    (f"{STEPS}-step scalar loop", 0.1, 0.8),
    (f"recurrent net, {STEPS} steps, n = 32", 0.25, 0.9),
    ("elementwise, n = 1,000", 0.25, 0.3),
    ("elementwise, n = 1,000,000", 0.15, 0.25),
)

TARGETS: tuple[Target, ...] = (
    Target("tanh chain, gradient, n = 8", "autograd", 1 / 4),
    Target(f"{STEPS}-step scalar loop", "autograd", 1 / 4),
    Target("tanh chain, gradient, n = 8", "torch", 1.0),
    Target(f"{STEPS}-step scalar loop", "torch", 1.0),
    Target("tanh chain, Jacobian forward, n = 64", "hand", 2.0),
    Target("tanh chain, Jacobian reverse, n = 64", "hand", 2.0),
    Target("Rosenbrock, gradient, n = 100,000", "hand", 4.0),
    Over(f"{len(HELD)} rows, geometric mean", "hand", 1.1, "compiled", HELD, geometric_mean),
    Over(f"{len(HELD)} rows, the slowest", "hand", 1.25, "compiled", HELD, max),
    Over(f"{len(HELD)} rows, geometric mean", "jax", 1.0, "compiled", HELD, geometric_mean),
    Over("all rows, geometric mean", "jax", 0.5, "compiled", (), geometric_mean),
    *(Target(row, tool, at_most, "compiled") for row, *both in FUSED for tool, at_most in zip(PAIR, both, strict=True)),
    Target(PREPARING, "jax", 1 / 10, "compiled"),
    Target(TRACING, BUDGET, 1.0, "compiled"),
)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep the process on one core, where the system can: JAX cannot be told by a variable to use one thread."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def prepare(workload: Workload, tools: Sequence[Tool]) -> tuple[dict[str, Task], dict[str, float]]:
    """The calls to time, by tool, and the seconds of each one's first call; all answers agree with the hand-written."""
    tasks: dict[str, Task] = {}
    first: dict[str, float] = {}
    answers = {}
    for tool in tools:
        if tool.name in workload.absent or not tool.offers(workload.kind):
            continue
        start = time.perf_counter()
        tasks[tool.name] = tool.prepare(workload)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a peer's own code
            answer = tasks[tool.name]()
        first[tool.name] = time.perf_counter() - start
        answers[tool.name] = tool.numpy(answer)
    for name, answer in answers.items():
        compare(answer, answers["hand"], f"{name}: {workload.name}")
    return tasks, first


def compare(found: Any, expected: Any, what: str, within: float = 1e-8) -> None:
    """Raise unless two derivatives agree to rounding, or within a part of the largest number."""
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for a, b in pairs:
        scale = float(np.max(np.abs(b), initial=0.0))
        np.testing.assert_allclose(a, b, rtol=within, atol=max(1e-10, within * 1e-2) * scale, err_msg=what)


def settle(task: Task, seconds: float = 0.2) -> None:
    """Call so long that what is compiled once it has paid is."""
    start = time.process_time()
    while time.process_time() < start + seconds:
        task()


def rows_of(workload: Workload, tools: Sequence[Tool], taken: Row, first: Mapping[str, float]) -> list[dict[str, Any]]:
    """One row a tool that has the workload."""
    return [
        {
            "workload": workload.name,
            "unit": workload.unit,
            "tool": tool.name,
            "library": tool.library,
            "version": tool.version,
            "seconds": taken[tool.name],
            "ratio_to_by_hand": taken[tool.name] / taken["hand"],
            "seconds_first_call": first.get(tool.name),
            "seconds_preparing": _preparing(tool, taken, first),
            "python": platform.python_version(),
        }
        for tool in tools
        if tool.name in taken
    ]


def _preparing(tool: Tool, taken: Row, first: Mapping[str, float]) -> float | None:
    """What the first call of a tool that compiles took beyond a later one."""
    return max(0.0, first[tool.name] - taken[tool.name]) if tool.prepares and tool.name in first else None


def measure_preparing(tools: Sequence[Tool], steps: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The seconds of the first gradient of the unrolled net, for each tool that compiles; and those of our tracing."""
    workload = unrolled(steps, rng)
    chosen = [tool for tool in tools if tool.prepares or tool.name == "hand"]
    _, first = prepare(workload, chosen)
    rows = [_preparing_row(PREPARING, tool.name, steps, first[tool.name]) for tool in chosen if tool.prepares]
    gradient = admodes.grad(lambda *x: workload.function(np, *x), argnums=tuple(range(workload.by)))
    operations = len(record(gradient, workload.arguments, {}).instructions)
    taken = interleaved({TRACING: lambda: record(gradient, workload.arguments, {})}, rounds=9, seconds=1.0)
    one = taken[TRACING] / operations
    return [*rows, *(_preparing_row(TRACING, tool, steps, s) for tool, s in (("compiled", one), (BUDGET, 20e-6)))]


def _preparing_row(workload: str, tool: str, steps: int, seconds: float) -> dict[str, Any]:
    return {"workload": workload, "tool": tool, "steps": steps, "seconds": seconds}


def measure(workload: Workload, tools: Sequence[Tool], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Compare the answers, then time all tools in turns, those that compile once they have run for a while."""
    tasks, first = prepare(workload, tools)
    for tool in tools:
        if tool.prepares and tool.name in tasks:
            settle(tasks[tool.name])
    return rows_of(workload, tools, interleaved(tasks, rounds, seconds), first)


def measure_product(
    loops: Mapping[int, Workload], tools: Sequence[Tool], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """The cost of one a·b: the slope of the median seconds over the lengths of loops."""
    tasks = {(length, name): task for length, loop in loops.items() for name, task in prepare(loop, tools)[0].items()}
    taken = interleaved(tasks, rounds, seconds)
    names = {name for _, name in tasks}
    lines = {name: np.polyfit(list(loops), [taken[k, name] for k in loops], 1) for name in names}
    slopes = {name: max(float(line[0]), CLOCK_STEP) for name, line in lines.items()}  # a line that falls is noise
    return rows_of(loops[min(loops)], tools, slopes, {})


def ratio(rows: Sequence[Row], workload: str, tool: str, against: str = "hand") -> float | None:
    """Seconds of a tool over those of another, or None where one of them was not measured."""
    seconds = {row["tool"]: row["seconds"] for row in rows if row["workload"] == workload}
    return seconds[tool] / seconds[against] if tool in seconds and against in seconds else None


def target_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What was aimed at and what was reached; "not measured" without the peer."""
    table = []
    for target in TARGETS:
        reached = target.reached(rows)
        verdict = "not measured" if reached is None else "met" if reached <= target.ratio else "missed"
        table.append(
            {
                "workload": target.workload,
                "tool": target.tool,
                "against": target.against,
                "ratio_wanted": target.ratio,
                "ratio_reached": reached,
                "verdict": verdict,
            }
        )
    return table


def geometric_means(rows: Sequence[Row]) -> dict[str, float]:
    """Of each tool's ratios to the hand-written code, over the workloads that all tools have."""
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    names = dict.fromkeys(row["workload"] for row in rows)
    shared = [name for name in names if all(ratio(rows, name, tool) is not None for tool in tools)]
    return {
        tool: geometric_mean([ratio(rows, name, tool) or np.nan for name in shared]) for tool in tools if tool != "hand"
    }


def finding(rows: Sequence[Row], labels: Mapping[str, str]) -> str:
    """The answer, in one line, from the data."""
    means = geometric_means(rows)
    beside = ", ".join(f"{labels[tool]} {mean:.1f}×" for tool, mean in means.items())
    slowest = "; ".join(
        f"{labels[tool]} is slowest on {name}, {r:.1f}×"
        for tool in ("admodes", "compiled")
        if tool in means
        for r, name in [_slowest(rows, tool)]
    )
    return f"Time over that of code written by hand, geometric mean: {beside}; {slowest}"


def _slowest(rows: Sequence[Row], tool: str) -> tuple[float, str]:
    """The largest ratio to the hand-written code, and of which workload."""
    names = dict.fromkeys(row["workload"] for row in rows)
    return max((r, name) for name in names if (r := ratio(rows, name, tool)) is not None)


def table(rows: Sequence[Row], tools: Sequence[Tool]) -> Table:
    """Ratios to the hand-written code, one line a workload."""
    shown = Table("workload", title="Seconds over those of hand-written NumPy (lower is better)")
    for heading in ("by hand", *(tool.label for tool in tools if tool.name != "hand")):
        shown.add_column(heading, justify="right")
    for name in dict.fromkeys(row["workload"] for row in rows):
        by_hand = next(row["seconds"] for row in rows if row["workload"] == name and row["tool"] == "hand")
        ratios = [ratio(rows, name, tool.name) for tool in tools if tool.name != "hand"]
        shown.add_row(name, _seconds(by_hand), *("–" if r is None else f"{r:.2f}" for r in ratios))
    return shown


def target_table(rows: Sequence[Row], labels: Mapping[str, str]) -> Table:
    """The targets, and whether they were met."""
    shown = Table("workload", "tool", "against", "wanted at most", "reached", "verdict", title="Targets")
    for row in target_rows(rows):
        reached = "–" if row["ratio_reached"] is None else f"{row['ratio_reached']:.2f}"
        against = labels.get(row["against"], row["against"])
        tool = labels.get(row["tool"], row["tool"])
        shown.add_row(row["workload"], tool, against, f"{row['ratio_wanted']:.2f}", reached, row["verdict"])
    return shown


def _seconds(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def heading(rows: Sequence[Row]) -> str:
    """What the slide shows, in two lines."""
    means = geometric_means(rows)
    return (
        f"Compiled derivatives take {means['compiled']:.1f}× the time of code by hand,\n"
        f"the tape {means['admodes']:.1f}× (geometric mean over workloads)"
    )


@style.styled
def draw(rows: Sequence[Row], tools: Sequence[Tool]) -> Any:
    """One line a tool: a dot a workload, the geometric mean as a bar with its number."""
    made = style.figure(style.WIDE, 5.2, heading(rows))
    ax = made.subplots()
    means = geometric_means(rows)
    names = list(dict.fromkeys(row["workload"] for row in rows))
    compared = sorted((tool for tool in tools if tool.name in means), key=lambda tool: means[tool.name])
    for y, tool in enumerate(compared):
        look = LOOKS.get(tool.name, {})
        found = [r for name in names if (r := ratio(rows, name, tool.name)) is not None]
        marks = {"color": look.get("color", style.GREY), "marker": look.get("marker", "o"), "linestyle": ""}
        ax.plot(found, [y] * len(found), markersize=7, alpha=0.55, markeredgewidth=0, **marks)
        ax.plot([means[tool.name]] * 2, [y - 0.32, y + 0.32], color=style.BLACK, linewidth=3)
        ax.annotate(f"{means[tool.name]:.1f}×", (means[tool.name], y - 0.36), ha="center", va="bottom", fontsize=11)
    ax.axvline(1.0, color=style.GREY, linewidth=1.4)
    ax.annotate(" by hand", (1.0, len(compared) - 0.45), ha="left", va="top", color=style.GREY)
    ax.set(xscale="log", xlabel="seconds over those of NumPy written by hand (lower is better)")
    ax.set_yticks(range(len(compared)), [tool.label for tool in compared])
    ax.set_ylim(len(compared) - 0.2, -0.8)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return made


@style.styled
def detail(rows: Sequence[Row], tools: Sequence[Tool]) -> Any:
    """One line a workload, one marker a tool, on a logarithmic axis of ratios."""
    names = list(dict.fromkeys(row["workload"] for row in rows))
    made = style.figure(12, 2.4 + 0.36 * len(names), "Every workload: time over that of code by hand")
    ax = made.subplots()
    compared = [tool for tool in tools if tool.name != "hand"]
    for place, tool in enumerate(compared):
        shift = 0.14 * (place - (len(compared) - 1) / 2)  # so that equal ratios hide no marker
        points = [(r, y + shift) for y, name in enumerate(names) if (r := ratio(rows, name, tool.name)) is not None]
        look = {"markersize": 9, "markeredgecolor": "white", "linestyle": "", **LOOKS.get(tool.name, {})}
        ax.plot(*zip(*points, strict=True), label=f"{tool.label} {tool.version}", **look)
    ax.axvline(1.0, color=style.BLACK, linewidth=1.6, label="by hand")
    for y, name in enumerate(names):
        by_hand = next(row["seconds"] for row in rows if row["workload"] == name and row["tool"] == "hand")
        ax.annotate(_seconds(by_hand), (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=10)
    ax.annotate("by hand", (1.01, -0.9), xycoords=("axes fraction", "data"), va="bottom", fontsize=10, weight="bold")
    ax.set(xscale="log", xlabel="seconds over those of NumPy written by hand (lower is better)")
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    made.legend(loc="outside lower center", ncols=(len(tools) + 1) // 2)
    return made


def run(study: Study) -> str:
    rounds, seconds = (99, 4.0) if study.full else (9, 0.12)
    with one_core():
        tools, missing = installed()
        if missing:
            study.show(f"speed: not installed, so absent: {', '.join(missing)}")
        rng = study.rng()
        rows: list[dict[str, Any]] = []
        for workload in study.track(workloads(rng), "workloads"):
            rows += measure(workload, tools, rounds, seconds)
        for kind in study.track(("push", "gradient"), "one a·b"):
            loops = {length: one_product(kind, length, rng) for length in LENGTHS}
            rows += measure_product(loops, tools, rounds, seconds / len(loops))
        preparing = measure_preparing(tools, UNROLLED_FULL if study.full else UNROLLED, rng)
    labels = {tool.name: tool.label for tool in tools}
    study.show(table(rows, tools))
    study.show(target_table([*rows, *preparing], labels))
    study.table(rows)
    study.table(preparing, "preparing")
    study.table(target_rows([*rows, *preparing]), "targets")
    study.picture(draw(rows, tools))
    study.picture(detail(rows, tools), "detail")
    return finding(rows, labels)
