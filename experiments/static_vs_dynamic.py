"""When does a static graph pay: after how many calls has tracing and preparing a gradient been earned back?

Two functions: 8 layers tanh(W x) of growing width, and a recurrent net of width 16 over a growing number of steps.

How it is measured.  The same gradient three ways, compared before they are timed: on a tape built anew in every call
(`grad`), as flat code (`compile(grad(f))`), and written by hand.  Seconds of a call are medians of interleaved calls on
one thread.  Preparing is what the first call of the compiled function takes beyond a later one: tracing, the passes,
and Python's own compiler; the median of several functions compiled afresh.  It is paid after preparing / (seconds on
the tape − seconds of flat code) calls, a whole number; where flat code is no faster, never.

What to expect, and why.  A tape adds a nearly fixed cost to every operation, so it weighs most where arrays are small.
Flat code keeps NumPy's cost and no other and should lie on the hand-written line.  Preparing costs a fixed number of
microseconds an operation, whatever the arrays hold: it grows as the number of operations, and so does what a call
saves, so that the number of calls is about the same for any length of a loop.  The width changes neither, until
arithmetic takes so long that what a call saves is lost in its noise.  (Seed lecture 003: the static graph beside the
one built on the fly.)
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

import admodes

from . import style
from .frame import Row, Study
from .timing import interleaved
from .workloads import LAYERS, chain_gradient, chain_sum, recurrent, recurrent_arguments, recurrent_gradient

WIDTHS, LENGTHS = (4, 16, 64, 256), (3, 10, 30, 100, 300)
FULL_WIDTHS, FULL_LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512), (1, 3, 10, 30, 100, 300, 1000, 3000)
NET_WIDTH = 16

FAMILIES = ("width", "steps")
TITLES = {"width": f"{LAYERS} layers tanh(W x)", "steps": f"recurrent net, width {NET_WIDTH}"}
XLABELS = {"width": "width n", "steps": "steps of the loop"}

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "eager": {"color": style.BLUE, "marker": "o", "label": "tape, built in every call"},
    "compiled": {"color": style.VERMILION, "marker": "D", "label": "compiled"},
    "by_hand": {"color": style.BLACK, "marker": "+", "markersize": 11, "label": "by hand"},
    "preparing": {"color": style.GREY, "marker": "v", "linestyle": "--", "label": "preparing, once"},
}


@dataclass(frozen=True)
class Case:
    """A gradient of f by its first argument or several, and by hand."""

    family: str
    size: int
    f: Callable[..., Any]
    arguments: tuple[Any, ...]
    by: int
    by_hand: Callable[..., Any]

    @property
    def gradient(self) -> Callable[..., Any]:
        """On the tape; a new function each time, so that compiling it starts afresh."""
        return admodes.grad(lambda *x: self.f(np, *x), argnums=tuple(range(self.by)) if self.by > 1 else 0)


def case(family: str, size: int, rng: np.random.Generator) -> Case:
    """The function of one size; its arrays are read-only, which the tape trusts."""
    if family == "width":
        weights = (rng.normal(size=(size, size)) / np.sqrt(size) for _ in range(LAYERS))
        made = Case(family, size, chain_sum, (rng.normal(size=size), *weights), 1, chain_gradient)
    else:
        arguments = recurrent_arguments(size, NET_WIDTH, rng)
        made = Case(family, size, recurrent, arguments, 3, recurrent_gradient)
    for x in made.arguments:
        x.flags.writeable = False
    return made


def preparing(made: Case, times: int) -> tuple[Callable[..., Any], float]:
    """The compiled gradient, and the median seconds of its first call beyond those of its second."""
    taken = []
    for _ in range(times):
        fast = admodes.compile(made.gradient)
        first, second = (_seconds(fast, made.arguments) for _ in range(2))
        taken.append(max(0.0, first - second))
    return fast, statistics.median(taken)


def _seconds(f: Callable[..., Any], x: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    f(*x)
    return time.perf_counter() - start


def calls_to_pay(prepared: float, eager: float, compiled: float) -> int | None:
    """The calls after which preparing has been earned back; None where a compiled call saves nothing."""
    return math.ceil(prepared / (eager - compiled)) if compiled < eager else None


def measure(made: Case, rounds: int, seconds: float, times: int) -> dict[str, Any]:
    """One size, as a row."""
    eager, x = made.gradient, made.arguments
    fast, prepared = preparing(made, times)
    calls = {"eager": eager, "compiled": fast, "by_hand": made.by_hand}
    for way in ("eager", "compiled"):
        agree(calls[way](*x), made.by_hand(*x), f"{way}, {made.family} {made.size}")
    taken = interleaved({way: partial(call, *x) for way, call in calls.items()}, rounds, seconds)
    return {
        "family": made.family,
        "size": made.size,
        "operations": admodes.cost(eager, *x).operations,
        **{f"seconds_{way}": s for way, s in taken.items()},
        "seconds_preparing": prepared,
        "calls_to_pay": calls_to_pay(prepared, taken["eager"], taken["compiled"]),
    }


def agree(found: Any, expected: Any, what: str) -> None:
    """Raise unless two gradients agree to rounding."""
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10 * np.max(np.abs(b)), err_msg=what)


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    over = {way: geometric_mean(rows, way, "by_hand") for way in ("eager", "compiled")}
    paid = [row["calls_to_pay"] for row in rows if row["calls_to_pay"] is not None]
    most = f"after {min(paid)} to {max(paid):,} calls" if paid else "never"
    never = f", at {len(rows) - len(paid)} of {len(rows)} sizes never" if 0 < len(paid) < len(rows) else ""
    return (
        f"Over code by hand, geometric mean: tape {over['eager']:.1f}×, compiled {over['compiled']:.2f}×; "
        f"preparing has paid {most}{never}"
    )


def heading(rows: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    paid = [row["calls_to_pay"] for row in rows if row["calls_to_pay"] is not None]
    after = f"has paid after {min(paid)} to {max(paid):,} calls" if paid else "never pays"
    return (
        f"Preparing flat code {after}; a call then takes {geometric_mean(rows, 'compiled', 'by_hand'):.2f}×\n"
        f"the time of code by hand, where a tape takes {geometric_mean(rows, 'eager', 'by_hand'):.1f}×"
    )


def geometric_mean(rows: Sequence[Row], way: str, against: str) -> float:
    """Of the ratios of seconds over all sizes."""
    return float(np.exp(np.mean([np.log(row[f"seconds_{way}"] / row[f"seconds_{against}"]) for row in rows])))


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """A column a family: seconds above, the calls after which preparing has paid below."""
    made = style.figure(style.WIDE, 7.0, heading(rows))
    axes = made.subplots(2, 2, sharex="col", sharey="row", height_ratios=(3, 2))
    for column, family in enumerate(FAMILIES):
        mine = [row for row in rows if row["family"] == family]
        _seconds_panel(axes[0, column], mine, TITLES[family])
        _calls_panel(axes[1, column], mine, XLABELS[family])
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("calls until it has paid")
    axes[1, 0].set_yticks((1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
    axes[1, 0].set_ylim(_limits(rows))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=4)
    return made


def _seconds_panel(ax: Any, rows: Sequence[Row], title: str) -> None:
    for way, look in LOOKS.items():
        ax.plot([row["size"] for row in rows], [row[f"seconds_{way}"] for row in rows], **look)
    ax.set(xscale="log", yscale="log", title=title)


def _calls_panel(ax: Any, rows: Sequence[Row], xlabel: str) -> None:
    """A word at the top stands for a size where it never pays."""
    paid = [row for row in rows if row["calls_to_pay"] is not None]
    ax.plot([row["size"] for row in paid], [row["calls_to_pay"] for row in paid], color=style.VERMILION, marker="D")
    for row in rows:
        known = row["calls_to_pay"] is not None
        place = (row["size"], row["calls_to_pay"]) if known else (row["size"], 0.9)
        frame = "data" if known else ax.get_xaxis_transform()
        ax.annotate(_count(row), place, (0, 9), frame, "offset points", ha="center", fontsize=9.5)
    ax.set(xscale="log", yscale="log", xlabel=xlabel)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks([row["size"] for row in rows], [f"{row['size']:,}" for row in rows], fontsize=9.5)
    ax.xaxis.set_minor_locator(NullLocator())


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Room above and below the numbers of calls."""
    paid = [row["calls_to_pay"] for row in rows if row["calls_to_pay"] is not None] or [1]
    return min(paid) / 2, max(paid) * 2.5


def _count(row: Row) -> str:
    return "never" if row["calls_to_pay"] is None else f"{row['calls_to_pay']:,}"


def run(study: Study) -> str:
    rng = study.rng()
    widths, lengths = (FULL_WIDTHS, FULL_LENGTHS) if study.full else (WIDTHS, LENGTHS)
    sizes = [*(("width", n) for n in widths), *(("steps", n) for n in lengths)]
    rounds, seconds, times = (51, 2.0, 5) if study.full else (7, 0.1, 3)
    rows = [measure(case(*size, rng), rounds, seconds, times) for size in study.track(sizes, "sizes")]
    study.table(rows)
    study.picture(draw(rows))
    return finding(rows)
