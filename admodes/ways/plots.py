"""Pictures of a comparison: seconds and peak memory, predicted beside measured, the roofline, and how a sweep scales.

Shapes and fillings tell the series apart, so that grey print loses nothing.
Source of the roofline: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.figures import figure
from ..core.words import number, seconds, size
from .findings import Findings
from .model import current
from .row import Row
from .sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTH = 10.0  # inches, as those below
LINE = 0.42  # of a way among the bars
LOWER = 4.6  # the roofline, and the scaling

# Okabe & Ito, "Color universal design" (2008): dark beside light, in grey too.
PREDICTED, MEASURED = "#E69F00", "#0072B2"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
MARKERS, DASHES = "os^Dv", ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

RC: Any = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "figure.titlesize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "savefig.dpi": 150,
}

# Ways whose points are nearer than this, in decades, share a label.
NEAR = 0.09


def draw(c: Findings, sweep: Sweep | None) -> Figure:
    """The picture of a comparison.

    Raises
    ------
    ValueError : nothing was measured or predicted.
    """
    rows = sorted((row for row in c.rows if row.seconds or row.predicted_seconds), key=_time)
    if not rows:
        raise ValueError("plot: no way was measured or predicted, so that there is nothing to draw; print() says why.")
    import matplotlib as mpl

    with mpl.rc_context(RC):
        heights = [1.7 + LINE * len(rows), *[LOWER] * (2 if sweep else 1)]
        made = figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        made.suptitle(finding(c), fontweight="bold", wrap=True)
        parts: Any = made.subfigures(len(heights), 1, height_ratios=heights)
        top, *lower = parts
        _all_bars(top, rows)
        roofline(lower[0], rows)
        if sweep:
            scaling(lower[1], sweep)
        return made


def _all_bars(part: SubFigure, rows: Sequence[Row]) -> None:
    clock, memory = part.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _bars(clock, rows, lambda row: (row.predicted_seconds, row.seconds), seconds)
    _bars(memory, rows, lambda row: (row.predicted_peak_bytes, row.peak_bytes), size)
    partly = "\n(~ estimated from a part of the passes)" if any(row.estimated for row in rows) else ""
    clock.set_xlabel(f"time of one call, s{partly}")
    memory.set_xlabel("peak memory, bytes")
    clock.set_yticks(
        range(len(rows)), [f"{row.way}{' (~)' if row.estimated else ''}  {i}" for i, row in enumerate(rows, 1)]
    )
    clock.invert_yaxis()
    part.legend(*clock.get_legend_handles_labels(), loc="outside upper right", ncols=2)


def finding(c: Findings) -> str:
    """What the picture shows, in a line."""
    q, best = c.question, c.best
    of = f"the {q.target} of {q.name} ({q.n:,} → {q.m:,})"
    if best is None:
        return f"No way to {of} works"
    if best.seconds is None or best.estimated:
        return f"{best.way} would be the cheapest way to {of}: {seconds(best.seconds or best.predicted_seconds)}"
    ratios = sorted(row.seconds / best.seconds for row in c.rows if row.seconds and row is not best)
    span = " to ".join(dict.fromkeys(map(number, [*ratios[:1], *ratios[-1:]])))
    others = f"; the others take {span} times as long" if ratios else ""
    return f"{best.way}: {of} in {seconds(best.seconds)}{others}"


def _time(row: Row) -> tuple[bool, float]:
    """Those that ran first, the fastest first."""
    return row.seconds is None, row.seconds or row.predicted_seconds or math.inf


Pair = tuple[float | None, float | None]


def _bars(ax: Axes, rows: Sequence[Row], pair: Callable[[Row], Pair], told: Callable[[float], str]) -> None:
    """Two bars a way, the predicted one hatched, on a logarithmic scale of whole decades."""
    from matplotlib.ticker import LogLocator, NullFormatter

    pairs = [pair(row) for row in rows]
    known = [x for both in pairs for x in both if x] or [1.0]
    least, most = 10.0 ** math.floor(math.log10(min(known) / 1.5)), 10.0 ** math.ceil(math.log10(max(known)))
    ax.set_xscale("log")
    styles: tuple[tuple[int, float, Any], ...] = (
        (0, -0.2, {"color": PREDICTED, "hatch": "///", "edgecolor": "black", "label": "predicted"}),
        (1, 0.2, {"color": MEASURED, "edgecolor": "black", "label": "measured"}),
    )
    for column, shift, style in styles:
        places = [i + shift for i, both in enumerate(pairs) if both[column]]
        ends = [float(both[column] or 0) for both in pairs if both[column]]
        ax.barh(places, [x - least for x in ends], 0.4, left=least, linewidth=0.6, **style)
    ax.set_xlim(least, most)
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_major_formatter(lambda x, _: told(x))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", visible=False)


def roofline(part: SubFigure, rows: Sequence[Row]) -> None:
    """Each measured way at its flops a byte and flops a second, by its number among the bars, below the roof."""
    ax, model = part.subplots(), current()
    peak, bandwidth = 2 / model.product[1], 1 / model.byte(math.inf)
    points = [
        (row.flops / row.bytes, row.flops / row.seconds, i)
        for i, row in enumerate(rows, 1)
        if row.flops and row.bytes and row.seconds
    ]
    edge = peak / bandwidth
    x = np.array([min([x for x, _, _ in points] + [edge]) / 3, edge, max([x for x, _, _ in points] + [edge]) * 3])
    kind = "calibrated" if model.calibrated else "default constants,\nnot of this machine"
    roof = f"roof, {kind}:\n{_rate(peak)}flop/s,\n{_rate(bandwidth)}B/s from memory"
    ax.loglog(x, np.minimum(peak, bandwidth * x), "k-", label=roof)
    ax.loglog([p[0] for p in points], [p[1] for p in points], "o", color=MEASURED, ms=8, mec="k", ls="",
              label="measured ways,\nnumbered as above")  # fmt: skip
    for at, numbers in _gathered(points):
        ax.annotate(", ".join(map(str, numbers)), at, xytext=(7, -4), textcoords="offset points")
    ax.set(xlabel="arithmetic intensity, flops per byte read or written", ylabel="speed, flop/s")
    ax.set_title(_below_the_roof(points, peak, bandwidth))
    part.legend(loc="outside right center")


def _rate(x: float) -> str:
    """A rate with the prefix of its thousands."""
    power = min(4, max(0, int(math.log10(x) // 3)))
    return f"{x / 1000**power:.3g} {' kMGT'[power].strip()}"


def _below_the_roof(points: Sequence[tuple[float, float, int]], peak: float, bandwidth: float) -> str:
    if not points:
        return "no way that ran was counted"
    shares = [y / min(peak, bandwidth * x) for x, y, _ in points]
    least, most = (f"{number(100 * s)} %" for s in (min(shares), max(shares)))
    return f"Roofline: at {least} of the roof" if least == most else f"Roofline: at {least} to {most} of the roof"


def _gathered(points: Sequence[tuple[float, float, int]]) -> list[tuple[tuple[float, float], list[int]]]:
    """Labels of points: those that lie together have one."""
    groups: list[tuple[tuple[float, float], list[int]]] = []
    for x, y, i in points:
        for (a, b), numbers in groups:
            if abs(math.log10(x / a)) < NEAR and abs(math.log10(y / b)) < NEAR:
                numbers.append(i)
                break
        else:
            groups.append(((x, y), [i]))
    return groups


def scaling(part: SubFigure, sweep: Sweep) -> None:
    """Median seconds over sizes with the fitted exponents, and where the advised way changes."""
    ax, told = part.subplots(), _told(sweep)
    for i, way in enumerate(way for way in sweep.ways if way not in told):
        label = "" if i else "other ways"
        ax.loglog(*sweep.series(way, "seconds"), color="#BBBBBB", linewidth=1, zorder=1, label=label)
    for way, color, marker, dash in zip(told, LINES, MARKERS, DASHES, strict=False):
        law = sweep.exponent(way, "seconds")
        exponent = f":\n{sweep.name}$^{{{law.slope:.2f}}}$, 95 %: {law.low:.2f} to {law.high:.2f}" if law else ""
        ax.loglog(*sweep.series(way, "seconds"), color=color, marker=marker, linestyle=dash, label=way + exponent)
    for _, _, at in sweep.crossovers:
        ax.axvline(at, color="k", linewidth=1, linestyle=":")
    ax.set_title("\n".join(f"From {before}\nto {after} at {sweep.name} = {number(at)}"
                           for before, after, at in sweep.crossovers) or "No crossover among these sizes")  # fmt: skip
    ax.set(xlabel=f"size, {sweep.name}", ylabel="time of one call, s")
    part.legend(loc="outside right center")


def _told(sweep: Sweep) -> list[str]:
    """The ways with a name in the picture: those advised at some size, then the fastest at the last."""
    advised = [c.best.way for c in sweep.comparisons if c.best]
    last = sorted((row for row in sweep.comparisons[-1].rows if row.seconds), key=_time)
    names = dict.fromkeys([*advised, *(row.way for row in last)])
    return [way for way in names if way in sweep.ways][: len(LINES)]
