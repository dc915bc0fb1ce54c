"""For a function of n inputs and m outputs, which mode gives the full Jacobian sooner, and does mode="auto" know?

The function: f: Rⁿ → Rᵐ, f(x) = V tanh(W x), with h = 64 hidden units, over a grid of n and m.

How it is measured.  For every n and m: `jacfwd`, `jacrev` and `jacobian(mode="auto")`, medians of interleaved calls on
one thread; flops and multiply-adds are counted from the traced program, exactly.  "auto" counts the work of both modes
on its first call for a shape and remembers: its first call, which does that, is timed apart from the later ones.  A
choice is wrong if the other mode was faster by the clock, and costs the ratio of the two times.

What to expect, and why.  Forward mode carries n tangents, n·(n·h + h·m) multiply-adds of two flops each; reverse
carries m cotangents, m·(m·h + h·n).  They cross at n = m.  The clock's crossover lies near it: a reverse sweep also
keeps a tape, and below a few dozen directions the time goes to starting operations, so that all is nearly equal and a
wrong choice nearly free.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

import admodes
from admodes.program import Cost, cost

from . import style
from .frame import SEED, Row, Study
from .timing import interleaved

HIDDEN = 64
SIZES = tuple(2**k for k in range(0, 10, 2)) + (512,)
FULL_SIZES = tuple(2**k for k in range(11))

PLATE = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}

NOISE = 1.1  # a mode that is faster by less than this is not reliably so


def network(n: int, m: int, rng: np.random.Generator) -> tuple[Callable[[Any], Any], np.ndarray]:
    """The function Rⁿ → Rᵐ, and a point."""
    W, V = rng.normal(size=(HIDDEN, n)) / np.sqrt(n), rng.normal(size=(m, HIDDEN)) / np.sqrt(HIDDEN)
    for weights in (W, V):
        weights.flags.writeable = False
    return lambda x: V @ np.tanh(W @ x), rng.normal(size=n)


def ways(f: Callable[[Any], Any]) -> dict[str, Any]:
    """The three Jacobians."""
    return {"forward": admodes.jacfwd(f), "reverse": admodes.jacrev(f), "auto": admodes.jacobian(f)}


def counted(cell: tuple[int, int]) -> tuple[dict[str, Cost], str]:
    """The exact work of each way for (n, m), and what "auto" takes; the values of the weights do not matter to it."""
    f, x = network(*cell, np.random.default_rng(SEED))
    modes = ways(f)
    chosen = modes["auto"].plan(x).choice  # counting is then no part of its call
    return {mode: cost(jacobian, x) for mode, jacobian in modes.items()}, chosen


def measure(
    cell: tuple[int, int], found: tuple[dict[str, Cost], str], rng: np.random.Generator, rounds: int, seconds: float
) -> dict[str, Any]:
    """One cell (n, m) of the grid, as a row, beside what was counted there."""
    n, m = cell
    work, chosen = found
    f, x = network(n, m, rng)
    modes = ways(f)
    start = time.perf_counter()
    J = modes["auto"](x)
    first = time.perf_counter() - start
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(modes[mode](x), J, rtol=1e-9, atol=1e-12)
    taken = interleaved({mode: partial(g, x) for mode, g in modes.items()}, rounds, seconds)
    faster, slower = sorted(("forward", "reverse"), key=lambda mode: taken[mode])
    return {
        "n": n,
        "m": m,
        **{f"flops_{mode}": work[mode].flops for mode in modes},
        **{f"multiply_adds_{mode}": work[mode].multiply_adds for mode in modes},
        **{f"seconds_{mode}": taken[mode] for mode in modes},
        "seconds_auto_first_call": first,
        "auto": chosen,
        "faster": faster,
        "cost_of_choice": 1.0 if chosen == faster else taken[slower] / taken[faster],
    }


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    right = sum(row["auto"] == row["faster"] for row in rows)
    near = sum(row["cost_of_choice"] <= NOISE for row in rows)
    worst = max(row["cost_of_choice"] for row in rows)
    saved = max(_ratio(row) for row in rows)
    cost = "no choice was wrong" if right == len(rows) else f"a wrong choice cost {worst:.2f}× at most"
    return (
        f'"auto" took the faster mode in {right} of {len(rows)} shapes, one within {NOISE - 1:.0%} of it in {near}; '
        f"{cost}, where the modes differ by up to {saved:.0f}×"
    )


def heading(rows: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    near = sum(row["cost_of_choice"] <= NOISE for row in rows)
    saved = max(_ratio(row) for row in rows)
    return (
        f"jacobian(f) takes the faster mode, or one within {NOISE - 1:.0%} of it,\n"
        f"in {near} of {len(rows)} shapes; the modes differ by up to {saved:.0f}×"
    )


def _ratio(row: Row) -> float:
    times = row["seconds_forward"], row["seconds_reverse"]
    return float(max(times) / min(times))


def grid(rows: Sequence[Row], value: Callable[[Row], float]) -> tuple[list[int], list[int], np.ndarray]:
    """The values as an array [m, n], with its n and m."""
    ns, ms = sorted({row["n"] for row in rows}), sorted({row["m"] for row in rows})
    table = np.full((len(ms), len(ns)), np.nan)
    for row in rows:
        table[ms.index(row["m"]), ns.index(row["n"])] = value(row)
    return ns, ms, table


def log_ratio(quantity: str) -> Callable[[Row], float]:
    """log₂(forward / reverse) of a quantity: positive where reverse is the cheaper."""
    return lambda row: math.log2(row[f"{quantity}_forward"] / row[f"{quantity}_reverse"])


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Counted on the left, by the clock on the right, with the crossover of both and auto's choices."""
    made = style.figure(style.WIDE, 5.9, heading(rows))
    left, right = made.subplots(1, 2)
    counts, clock = (grid(rows, log_ratio(quantity)) for quantity in ("flops", "seconds"))
    limit = float(np.nanmax(np.abs(np.stack([counts[2], clock[2]]))))
    _map(left, counts, limit, "Counted: flops")
    image = _map(right, clock, limit, "The clock: seconds")
    _crossover(left, counts, "--")
    _crossover(right, counts, "--")
    _crossover(right, clock, "-")
    _choices(right, rows, clock)
    bar = made.colorbar(image, ax=[left, right], pad=0.01, format=lambda value, _: _power(value))
    bar.set_ticks(range(-4 * int(limit // 4), int(limit) + 1, 4))
    bar.set_label("forward / reverse: dark, reverse is cheaper")
    made.legend(handles=_legend(), loc="outside lower center", ncols=2)
    return made


def _power(value: float) -> str:
    return f"{2**value:g}" if value >= 0 else f"1/{2**-value:g}"


def _map(ax: Any, cells: Any, limit: float, title: str) -> Any:
    ns, ms, table = cells
    # Ever darker from one end to the other, so that it is read in grey too.
    image = ax.imshow(table, origin="lower", cmap="YlGnBu", vmin=-limit, vmax=limit, aspect="equal")
    ax.set(xlabel="inputs n", ylabel="outputs m", title=title)
    ax.set_xticks(range(len(ns)), [str(n) for n in ns], rotation=45)
    ax.set_yticks(range(len(ms)), [str(m) for m in ms])
    ax.grid(visible=False)
    return image


def _crossover(ax: Any, cells: Any, linestyle: Any) -> None:
    """The edges between cells where forward mode is cheaper and cells where it is not: no line crosses a letter."""
    reverse = cells[2] > 0
    m, n = reverse.shape
    edges = [((i + 0.5, i + 0.5), (j - 0.5, j + 0.5)) for j in range(m) for i in range(n - 1)
             if reverse[j, i] != reverse[j, i + 1]]  # fmt: skip
    edges += [((i - 0.5, i + 0.5), (j + 0.5, j + 0.5)) for j in range(m - 1) for i in range(n)
              if reverse[j, i] != reverse[j + 1, i]]  # fmt: skip
    for x, y in edges:
        width, colour = (2.4, style.BLACK) if linestyle == "-" else (2.0, style.VERMILION)
        ax.plot(x, y, color=colour, linestyle=linestyle, linewidth=width, zorder=3 + (linestyle != "-"))


def _choices(ax: Any, rows: Sequence[Row], cells: Any) -> None:
    """A letter a cell: what "auto" took; with a ring and its cost where the other mode was faster."""
    ns, ms, _ = cells
    for row in rows:
        i, j = ns.index(row["n"]), ms.index(row["m"])
        wrong = row["auto"] != row["faster"]
        letter = row["auto"][0].upper()
        text = f"{letter}\n{row['cost_of_choice']:.2f}" if wrong else letter
        ax.text(i, j, text, ha="center", va="center", fontsize=9, linespacing=0.95, zorder=5, bbox=PLATE)


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=style.VERMILION, linestyle="--", label="reverse is cheaper below, by the counts"),
        Line2D([], [], color=style.BLACK, label="and by the clock"),
        Line2D([], [], linestyle="", label="F, R: the mode that was taken"),
        Line2D([], [], linestyle="", label="a number: how many times as long a wrong choice takes"),
    ]


def run(study: Study) -> str:
    rng = study.rng()
    sizes = FULL_SIZES if study.full else SIZES
    cells = [(n, m) for n in sizes for m in sizes]
    found = dict(zip(cells, study.map(counted, cells, "shapes, counted"), strict=True))
    rows = [
        measure(cell, found[cell], rng, rounds=25 if study.full else 5, seconds=0.5 if study.full else 0.05)
        for cell in study.track(cells, "shapes, timed")
    ]
    study.table(rows)
    study.picture(draw(rows))
    return finding(rows)
