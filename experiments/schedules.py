"""Chains on several workers, for experiment `bracketing`: schedules beside the published dynamic program's.

Chains of 3, 5 and 8 factors with the shortest schedules known (data/jacobian_chains/scheduled).  The dynamic program of
Märtens and Naumann ("Scheduled Jacobian chaining", 2025) splits the workers of a sub-chain between its two parts, so
that a third part waits; `optimal_bracketing` schedules the steps of all trees on all workers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from admodes import optimal_bracketing
from admodes.chains.bracketing import Link, Step, span
from admodes.chains.search import Table

from . import style
from .frame import Row

Chain = list[tuple[int, int, int]]

SCHEDULED = Path(__file__).resolve().parent / "data" / "jacobian_chains" / "scheduled"
LENGTHS = (3, 5, 8)
# Every so many of the 200 chains of each length.
EVERY, FULL_EVERY = {3: 20, 5: 20, 8: 100}, {3: 1, 5: 2, 8: 8}
SMALLEST: Chain = [(21, 19, 3674), (35, 21, 6973), (22, 35, 3390)]

LOOKS = {3: (style.SKY, (0, (1, 1))), 5: (style.GREEN, (0, (6, 1.5))), 8: (style.BLACK, "-")}
BARS = {"tangent": (style.VERMILION, "//"), "adjoint": (style.BLUE, ".."), "multiply": (style.YELLOW, "")}


def published(length: int) -> Iterator[tuple[int, Chain, dict[int, tuple[int, bool]]]]:
    """Of each chain its number, its factors, and by workers the best makespan known and whether it is proven."""
    with (SCHEDULED / f"instances_length_{length}.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            factors = [(int(row[f"m{i}"]), int(row[f"n{i}"]), int(row[f"edges{i}"])) for i in range(length)]
            known = {k: (int(row[f"optimum_{k}"]), row[f"proven_{k}"] == "1") for k in range(2, length + 1)}
            yield number, factors, known


def dynamic_program(chain: Chain, workers: int) -> Table:
    """The published search, whose workers are split along the tree."""
    return Table([Link(m, n, edges, edges) for m, n, edges in chain], True, None, workers)


def schedules(instance: tuple[int, int, Chain, dict[int, tuple[int, bool]]]) -> list[dict[str, Any]]:
    """One row a number of workers, of one chain."""
    length, number, chain, known = instance
    rows = []
    for workers, (best, proven) in known.items():
        plan = optimal_bracketing(chain, workers=workers)
        table = dynamic_program(chain, workers)
        program = table.least(table.whole)
        rows.append(
            {
                "factors": length,
                "chain": number,
                "workers": workers,
                "makespan": plan.cost,
                "bound": plan.bound,
                "proven": int(plan.proven),
                "published": best,
                "published_proven": int(proven),
                "dynamic_program": program,
                "gain": program / plan.cost,
            }
        )
    return rows


def jobs(full: bool) -> list[tuple[int, int, Chain, dict[int, tuple[int, bool]]]]:
    """The chains to schedule."""
    every = FULL_EVERY if full else EVERY
    return [(length, *one) for length in LENGTHS for one in list(published(length))[:: every[length]]]


def found(rows: Sequence[Row]) -> str:
    """The gain over the dynamic program, and the distance to the best known."""
    gains = np.array([row["gain"] for row in rows])
    proven = [row for row in rows if row["published_proven"]]
    met = sum(row["makespan"] == row["published"] for row in proven)
    ratios = [row["makespan"] / row["published"] for row in rows]
    return (
        f"scheduled on several workers: shorter than the published dynamic program's in {np.mean(gains > 1):.0%} of "
        f"{len(rows):,} cases, by up to {gains.max():.2f}×; {met:,} of {len(proven):,} proven optima reached; over the "
        f"best known the mean is {np.mean(ratios):.4f}×, the worst {max(ratios):.2f}×"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """The distribution of the gain on the left; on the right the smallest example by both, as Gantt charts."""
    gains = np.array([row["gain"] for row in rows])
    made = style.figure(
        style.WIDE,
        5.6,
        f"A list on all workers is shorter than the published schedule in {np.mean(gains > 1):.0%} of "
        f"{len(rows):,} cases,\nby up to {gains.max():.2f}×: workers split along the tree wait for each other",
    )
    grid = made.add_gridspec(2, 2, width_ratios=(1, 1.15))
    _distribution(made.add_subplot(grid[:, 0]), rows)
    table = dynamic_program(SMALLEST, 2)
    plan = optimal_bracketing(SMALLEST, workers=2)
    end = max(table.least(table.whole), plan.cost)
    above, below = made.add_subplot(grid[0, 1]), made.add_subplot(grid[1, 1])
    _gantt(above, table.steps(2), end, f"Published dynamic program: {table.least(table.whole):,}")
    _gantt(below, plan.steps, end, f"List on both workers: {plan.cost:,}" + ", optimal" * plan.proven)
    below.set_xlabel("time in multiply-adds, three factors")
    handles = [_patch(kind) for kind in BARS]
    below.legend(handles=handles, loc="lower right", fontsize=10)
    return made


def _distribution(ax: Any, rows: Sequence[Row]) -> None:
    for length, (colour, dashes) in LOOKS.items():
        values = np.sort([row["gain"] for row in rows if row["factors"] == length])
        share = np.arange(1, len(values) + 1) / len(values)
        ax.step([1, *values], [0, *share], where="post", color=colour, linestyle=dashes, label=f"{length} factors")
    ax.set(xlabel="makespan of the dynamic program / ours", ylabel="share of cases with at most this gain")
    ax.set(title="Gain, 2 to 8 workers", ylim=(0, 1.02))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    ax.legend(loc="lower right")


def _gantt(ax: Any, steps: Sequence[Step], end: int, title: str) -> None:
    for step in steps:
        colour, hatch = BARS[_kind(step)]
        ax.barh(step.worker, step.cost, 0.75, left=step.start, color=colour, hatch=hatch, edgecolor="black", alpha=0.85)
        if step.cost > 0.08 * end:
            first, last = span(step.node)
            text = f"F{first}" if first == last else f"F{last}…F{first}"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            middle = (step.start + step.cost / 2, step.worker)
            ax.annotate(text, middle, ha="center", va="center", fontsize=10, bbox=box)
    ax.set(title=title, xlim=(0, 1.03 * end), ylim=(1.6, -0.6), ylabel="worker")
    ax.set_yticks([0, 1], ["1", "2"])
    ax.set_xticks(range(0, end, 50_000))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k" if value else "0")
    ax.grid(visible=False, axis="y")


def _kind(step: Step) -> str:
    node = step.node
    return str(node[2] if node[0] == "accumulate" else node[0])


def _patch(kind: str) -> Any:
    from matplotlib.patches import Patch

    colour, hatch = BARS[kind]
    return Patch(
        facecolor=colour,
        hatch=hatch,
        edgecolor="black",
        alpha=0.85,
        label=kind if kind == "multiply" else f"by {kind}s",
    )
