"""How fast is this library beside its peers on work that is not its own: objectives of GradBench, NPBench's kernels?

Every workload of `speed`, the objectives of GradBench and ADBench (`gradbench.py`, with golden derivatives), and
kernels of the kind of NPBench (`kernels.py`), each the same NumPy code for every tool, given the tool's namespace: the
gradient in reverse mode, and one tangent by the first argument in forward mode, eager and compiled.  A tool that cannot
run the code as it is written has no entry, and its own error says why; JAX has none where it would compile more than a
few hundred operations without a loop of its own.

How it is measured.  One process on one core, one thread, float64.  Answers first: golden derivatives where there are
any, else central differences along a direction, and every tool's against ours; one that differs is not timed.  Then
medians of interleaved calls; the first call, which may compile, is not among them.  All are told as multiples of the
function itself in NumPy.

What to expect, and why.  Where arrays are small an eager tool pays for every operation in Python, and the tools differ
by how much; where they are large all wait for memory and BLAS.  Compiled code has no tape left; JAX fuses elementwise
work besides.  Scalar code and loops are worst for all that trace.
"""

from __future__ import annotations

import functools
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from rich.table import Table

import admodes
from admodes.ways.model import machine

from . import style
from .frame import Row, Study
from .gradbench import objectives
from .kernels import KERNELS
from .speed import compare, one_core
from .timing import interleaved
from .tools import Task, Tool, installed
from .workloads import Workload, workloads

# More operations than these JAX compiles for many seconds.
MOST_FOR_JAX = 350
OURS = ("admodes", "compiled")
DERIVATIVES = {"gradient": "reverse", "push": "forward"}


@dataclass(frozen=True)
class Item:
    """A workload with where it comes from, and its golden derivative if it has one."""

    source: str
    workload: Workload
    golden: Any = None


def _by_hand(*_: Any) -> Any:
    raise NotImplementedError("no derivative is written by hand")


def _summed(function: Any, np: Any, *arguments: Any) -> Any:
    return np.sum(function(np, *arguments))


def pushed(workload: Workload, rng: np.random.Generator) -> Workload:
    """One tangent by the first argument of a workload."""
    direction = rng.normal(size=np.shape(workload.arguments[0]))[()]
    return replace(workload, kind="push", by=1, direction=direction)


def items(rng: np.random.Generator) -> list[Item]:
    """All workloads, source by source, the gradient and a tangent of each."""
    found = [Item("speed", workload) for workload in workloads(rng)]
    for objective in objectives():
        gradient = Workload(
            objective.name, "gradient", objective.function, objective.arguments, _by_hand, by=objective.by
        )
        golden = objective.gradient if objective.by > 1 else objective.gradient[0]
        tangent = pushed(gradient, rng)
        along = float(np.sum(objective.gradient[0] * tangent.direction))
        found += [Item("GradBench", gradient, golden), Item("GradBench", tangent, along)]
    for kernel in KERNELS:
        f = functools.partial(_summed, kernel.function)
        gradient = Workload(kernel.name, "gradient", f, kernel.make(rng), _by_hand, by=kernel.by)
        found += [Item("kernels", gradient), Item("kernels", pushed(gradient, rng))]
    return found


# ---------------------------------------------------------------------------------------------------
# Answers, then times
# ---------------------------------------------------------------------------------------------------


def prepare(item: Item, tools: Sequence[Tool], operations: int) -> tuple[dict[str, Task], dict[str, str]]:
    """The calls to time, all answers being the same, and why the other tools have none."""
    workload = item.workload
    tasks: dict[str, Task] = {}
    absent: dict[str, str] = dict(workload.absent)
    answers: dict[str, Any] = {}
    for tool in tools:
        if tool.name in absent:
            continue
        if not tool.offers(workload.kind):
            absent[tool.name] = f"has no {DERIVATIVES.get(workload.kind, workload.kind)} mode"
        elif tool.name == "jax" and operations > MOST_FOR_JAX and "jax" not in workload.adapted:
            absent[tool.name] = f"would compile {operations:,} operations, no loop among them"
        else:
            _try(tool, workload, tasks, answers, absent)
    expected = answers[OURS[0]]
    if item.golden is not None:
        compare(expected, item.golden, f"{workload.name}, against the golden derivative", 1e-6)
    elif item.source != "speed":
        check_by_differences(workload, expected)
    for name, answer in answers.items():
        try:
            compare(answer, expected, f"{name}: {workload.name}", 1e-7)
        except AssertionError:
            if name in OURS:
                raise
            del tasks[name]
            absent[name] = "gives another answer, silently"
    return tasks, absent


def _try(
    tool: Tool, workload: Workload, tasks: dict[str, Task], answers: dict[str, Any], absent: dict[str, str]
) -> None:
    """The call and the answer of one tool; a peer that cannot run the code gives its error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a peer's own code
            task = tool.prepare(workload)
            answers[tool.name] = tool.numpy(task())
    except Exception as error:
        if tool.name in OURS:
            raise
        answers.pop(tool.name, None)
        absent[tool.name] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:120]}"
    else:
        tasks[tool.name] = task


def check_by_differences(workload: Workload, found: Any) -> None:
    """Raise unless a derivative agrees with central differences of the function along a direction."""
    chosen = [np.asarray(x, float) for x in workload.arguments[: workload.by]]
    rest = workload.arguments[workload.by :]
    if workload.kind == "push":
        directions, slope = [workload.direction], float(found)
    else:
        rng = np.random.default_rng(7)
        directions = [rng.normal(size=x.shape) for x in chosen]
        parts = found if isinstance(found, tuple) else (found,)
        slope = sum(float(np.sum(g * d)) for g, d in zip(parts, directions, strict=True))
    step = 1e-6
    ahead, behind = (
        workload.function(np, *(x + sign * step * d for x, d in zip(chosen, directions, strict=True)), *rest)
        for sign in (1.0, -1.0)
    )
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-4, err_msg=workload.name)


def measure(item: Item, tools: Sequence[Tool], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a tool, those without an entry among them."""
    workload = item.workload
    program = admodes.trace(functools.partial(workload.function, np), *map(np.asarray, workload.arguments))
    operations = len(program.instructions)
    tasks, absent = prepare(item, tools, operations)
    arguments = workload.arguments
    base: dict[str, Task] = {"f": lambda: workload.function(np, *arguments)}
    taken = interleaved({**base, **tasks}, rounds, seconds)
    numbers = program.cost.bytes / 8 / max(1, operations)
    rows = [
        {
            "workload": workload.name,
            "source": item.source,
            "derivative": workload.kind,
            "mode": DERIVATIVES.get(workload.kind, workload.kind),
            "tool": tool.name,
            "version": tool.version,
            "seconds": taken.get(tool.name),
            "seconds_of_function": taken["f"],
            "ratio_to_function": taken[tool.name] / taken["f"] if tool.name in taken else None,
            "ratio_to_fastest": taken[tool.name] / min(taken[name] for name in tasks) if tool.name in taken else None,
            "operations": operations,
            "numbers_an_operation": numbers,
            "absent": absent.get(tool.name, ""),
        }
        for tool in tools
    ]
    said = commentary(rows, {tool.name: tool.label for tool in tools})
    about = {"commentary": said, "python": platform.python_version(), "numpy": np.__version__, "machine": machine()}
    return [{**row, **about} for row in rows]


# ---------------------------------------------------------------------------------------------------
# What comes of it
# ---------------------------------------------------------------------------------------------------


def commentary(rows: Sequence[Row], labels: Mapping[str, str]) -> str:
    """Why the slowest is slow, from the counts."""
    timed = [row for row in rows if row["seconds"] is not None]
    slowest = max(timed, key=lambda row: row["seconds"])
    operations, numbers = max(1, slowest["operations"]), slowest["numbers_an_operation"]
    own, all_ = slowest["seconds_of_function"] / operations, slowest["seconds"] / operations
    head = (
        f"{labels[slowest['tool']]} is slowest, {slowest['ratio_to_function']:.1f}× the function: {operations:,} "
        f"operations on {numbers:,.0f} numbers each take it {all_ * 1e6:.2g} µs, NumPy {own * 1e6:.2g} µs"
    )
    if slowest["tool"] in ("jax", "compiled"):
        return f"{head}; no operation is carried out in Python, what is left is the work itself"
    if numbers < SMALL:
        return f"{head}; on arrays so small that is the recording of each operation and the call of its rule"
    return f"{head}; the arrays are large: it makes and reads more temporary ones"


# Numbers an operation below which NumPy's own call takes longer than the work.
SMALL = 3000


def columns(rows: Sequence[Row], tools: Sequence[Tool]) -> list[str]:
    """The tools that have an entry anywhere."""
    return [tool.name for tool in tools if any(row["tool"] == tool.name and row["seconds"] for row in rows)]


def lines(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The workloads, each with its derivative."""
    return list(dict.fromkeys((row["workload"], row["mode"]) for row in rows))


def ratio(rows: Sequence[Row], line: tuple[str, str], tool: str) -> float | None:
    """Seconds over those of the function; None without an entry."""
    at = (row["ratio_to_function"] for row in rows if (row["workload"], row["mode"], row["tool"]) == (*line, tool))
    return next(at, None)


def beside(rows: Sequence[Row], tool: str, other: str) -> tuple[float, int]:
    """The geometric mean of a tool's seconds over another's, and over how many workloads both have."""
    pairs = [(ratio(rows, line, tool), ratio(rows, line, other)) for line in lines(rows)]
    logs = [np.log(a / b) for a, b in pairs if a is not None and b is not None]
    return (float(np.exp(np.mean(logs))), len(logs)) if logs else (float("nan"), 0)


def finding(rows: Sequence[Row], labels: Mapping[str, str]) -> str:
    """The answer, in one line, from the data."""
    peers = [name for name in dict.fromkeys(row["tool"] for row in rows) if name not in OURS]
    parts = []
    for peer in peers:
        (eager, both), (flat, _) = beside(rows, "admodes", peer), beside(rows, "compiled", peer)
        asked = [row for row in rows if row["tool"] == peer]
        if both:
            times = f"eager {eager:.2g}×, compiled {flat:.2g}× its time"
            parts.append(f"{labels[peer]}: {times}, on the {both} of {len(asked)} it runs")
    every = len(lines(rows))
    head = f"On {every} derivatives of unmodified NumPy code, all of which this library runs, geometric means"
    return f"{head}: {'; '.join(parts)}"


def table(rows: Sequence[Row], tools: Sequence[Tool]) -> Table:
    """Ratios to the function, one line a workload and mode."""
    shown = Table("workload", "mode", title="Seconds over those of the function itself in NumPy (lower is better)")
    names, labels = columns(rows, tools), {tool.name: tool.label for tool in tools}
    for name in names:
        shown.add_column(labels[name], justify="right")
    for line in lines(rows):
        ratios = [ratio(rows, line, name) for name in names]
        shown.add_row(*line, *("–" if r is None else f"{r:.2g}" for r in ratios))
    return shown


def heading(rows: Sequence[Row], labels: Mapping[str, str]) -> str:
    """What the slide shows, in two lines."""
    peers = [name for name in dict.fromkeys(row["tool"] for row in rows) if name not in OURS]
    shared = {peer: times for peer in peers if (times := beside(rows, "compiled", peer))[1]}
    parts = ", ".join(f"{_times(times)} of {labels[peer]}'s" for peer, (times, _) in shared.items())
    return f"Compiled derivatives take, in the geometric mean over the code each runs,\n{parts or 'no peer'} time"


@style.styled
def draw(rows: Sequence[Row], tools: Sequence[Tool]) -> Any:
    """Two lines a peer: a dot a derivative, our time over its time, eager and compiled; the geometric mean as a bar."""
    labels = {tool.name: tool.label for tool in tools}
    peers = [name for name in columns(rows, tools) if name not in OURS and beside(rows, OURS[0], name)[1]]
    made = style.figure(style.WIDE, 2.2 + 0.95 * max(1, len(peers)), heading(rows, labels))
    ax = made.subplots()
    for y, peer in enumerate(peers):
        for ours, shift in zip(OURS, (-0.2, 0.2), strict=True):
            _against(ax, rows, ours, peer, y + shift, "eager" if ours == OURS[0] else ours)
    ax.axvline(1.0, color=style.BLACK, linewidth=1.4)
    ax.set_yticks(
        range(len(peers)), [f"{labels[p]}\nruns {beside(rows, OURS[0], p)[1]} of {len(lines(rows))}" for p in peers]
    )
    ax.set(xscale="log", xlabel="seconds of admodes over those of the peer (left of the line: admodes is faster)")
    ax.set_ylim(max(1, len(peers)) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    style.plain_numbers(ax.xaxis, unit="×")
    handles, names = ax.get_legend_handles_labels()
    if names:
        made.legend(handles[:2], names[:2], loc="outside lower center", ncols=2)
    return made


def _against(ax: Any, rows: Sequence[Row], ours: str, peer: str, y: float, label: str) -> None:
    pairs = [(ratio(rows, line, ours), ratio(rows, line, peer)) for line in lines(rows)]
    times = [a / b for a, b in pairs if a is not None and b is not None]
    look = LOOKS[ours]
    ax.plot(times, [y] * len(times), linestyle="", markersize=6, alpha=0.55, label=label, **look)
    mean = beside(rows, ours, peer)[0]
    ax.plot([mean] * 2, [y - 0.17, y + 0.17], color=style.BLACK, linewidth=3)
    ax.annotate(_times(mean), (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=11)


def _times(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio >= 0.95 else f"{ratio:.2g}×"


LOOKS: Mapping[str, Mapping[str, Any]] = {
    "admodes": {"color": style.BLUE, "marker": "o", "markeredgewidth": 0},
    "compiled": {"color": style.VERMILION, "marker": "D", "fillstyle": "none"},
}


@style.styled
def detail(rows: Sequence[Row], tools: Sequence[Tool]) -> Any:
    """A heat map: workloads down, tools across, colour and number the ratio to the function."""
    names, down = columns(rows, tools), lines(rows)
    labels = {tool.name: f"{tool.label}\n{tool.version.partition('+')[0]}" for tool in tools}
    values = np.array([[ratio(rows, line, name) or np.nan for name in names] for line in down])
    made = style.figure(style.WIDE, 2.0 + 0.26 * len(down), "Every derivative: time over that of the function itself")
    ax = made.subplots()
    image = ax.imshow(values, aspect="auto", cmap="cividis_r", norm=LogNorm(0.5, 200))
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            text = "–" if np.isnan(value) else f"{value:.2g}" if value < 99.5 else f"{value:,.0f}"
            ax.annotate(text, (x, y), ha="center", va="center", fontsize=9, color="white" if value > 20 else "black")
    ax.set_xticks(range(len(names)), [labels[name] for name in names], fontsize=9)
    ax.set_yticks(range(len(down)), [_line(*line) for line in down], fontsize=9)
    ax.grid(visible=False)
    ax.xaxis.tick_top()
    bar = made.colorbar(image, ax=ax, shrink=0.5, label="seconds over those of the function")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    return made


def _line(name: str, mode: str) -> str:
    """A workload with its mode, which some have in their name."""
    return name if mode in name else f"{name}, {mode}"


def run(study: Study) -> str:
    rounds, seconds = (9, 0.06) if study.full else (5, 0.02)
    with one_core():
        tools, missing = installed()
        tools = [tool for tool in tools if tool.name != "hand"]
        if missing:
            study.show(f"peers: not installed, so absent: {', '.join(missing)}")
        rows: list[dict[str, Any]] = []
        chosen = items(study.rng())
        for item in study.track(chosen if study.full else chosen[::6], "workloads"):
            rows += measure(item, tools, rounds, seconds)
    labels = {tool.name: tool.label for tool in tools}
    study.show(table(rows, tools))
    said = {(row["workload"], row["mode"]): row["commentary"] for row in rows}
    study.show("\n".join(f"{name}, {mode}: {text}" for (name, mode), text in said.items()))
    study.table(rows)
    study.picture(draw(rows, tools))
    study.picture(detail(rows, tools), "detail")
    return finding(rows, labels)
