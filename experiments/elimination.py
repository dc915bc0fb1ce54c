"""How few multiplications does a Jacobian take by vertex elimination, and is its flat code any faster for it?

The graphs: six of the literature on optimal accumulation, in data/elimination, as AlphaGrad (Lohoff and Neftci,
2024) counted them; and four functions of these, written as plain NumPy in scalar_functions.py.

How it is measured.  Multiplications of an order: the sum of |predecessors| · |successors| of the vertices, when each is
eliminated.  Orders: forward and reverse (topological), Markowitz, annealed (`LinearizedGraph.order("annealed")`), and
what AlphaGrad's reinforcement learning reached, as published.  Beside them the lower bound by vertex cuts, which no
order undercuts.  The search's moves a second are counted on one graph of 120 vertices.  Of the four functions the
Jacobian in the annealed order is emitted as flat code (`elimination.accumulation`), compared with `jacrev` at three
points, and timed beside compiled `jacfwd` and `jacrev`: medians of interleaved calls on one thread.

What to expect, and why.  The choice is NP-complete (Naumann 2008).  Markowitz' rule looks one step ahead, forward and
reverse not at all; annealing counts the whole order again for each vertex that it moves, which costs microseconds for a
hundred vertices.  In flat code a multiplication by ±1 or 0 is not written, and a call costs what its scalar operations
cost in Python: elimination does each once, where forward and reverse mode do one for every direction, but in arrays.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import admodes
from admodes.elimination import LinearizedGraph, accumulation, linearized_graph
from admodes.elimination.annealing import search_in_python, search_natively

from . import style
from .frame import Row, Study
from .scalar_functions import EXAMPLES, Example
from .timing import interleaved

GRAPHS = Path(__file__).resolve().parent / "data" / "elimination"

# Multiplications that reinforcement learning reached: Lohoff and Neftci, "Optimizing automatic differentiation with
# deep reinforcement learning" (2024), table 1.
ALPHAGRAD = {
    "HumanHeartDipole": 148,
    "PropaneCombustion": 88,
    "RoeFlux_1d": 320,
    "RobotArm_6DOF": 231,
    "random_g": 417,
    "BlackScholes_Jacobian": 312,
}
TIMED = "random_g"  # 120 vertices, for the speed of the search

LOOKS: dict[str, dict[str, Any]] = {
    "forward": {"color": style.VERMILION, "marker": "s"},
    "reverse": {"color": style.BLUE, "marker": "o"},
    "markowitz": {"color": style.GREEN, "marker": "^"},
    "alphagrad": {"color": style.PURPLE, "marker": "P"},
    "annealed": {"color": style.BLACK, "marker": "D"},
    "lower_bound": {"color": style.GREY, "marker": "|", "markeredgewidth": 2.5},
}
NAMES = {"markowitz": "Markowitz", "alphagrad": "AlphaGrad, published", "lower_bound": "lower bound"}
WAYS = ("eliminated", "compiled jacfwd", "compiled jacrev", "eager jacrev")
WAY_LOOKS = {
    "eliminated": {"color": style.BLACK, "hatch": ""},
    "compiled jacfwd": {"color": style.VERMILION, "hatch": "//"},
    "compiled jacrev": {"color": style.BLUE, "hatch": ".."},
    "eager jacrev": {"color": style.SKY, "hatch": "xx"},
}


def graph_of(name: str) -> LinearizedGraph:
    """A published graph. Vertices that the file names as inputs and as intermediates are constants of the function."""
    _, inputs, outputs, intermediates, *edges = (GRAPHS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    into, out, inner = ([int(v) for v in line.split()[1:]] for line in (inputs, outputs, intermediates))
    pairs = [tuple(map(int, edge.split())) for edge in edges if edge]
    return LinearizedGraph.from_edges(pairs, inputs=[v for v in into if v not in inner], outputs=out)


def counted(name: str, graph: LinearizedGraph, alphagrad: int | None) -> dict[str, Any]:
    """Multiplications of every order of one graph."""
    start = time.process_time()
    annealed = graph.count("annealed")
    seconds = time.process_time() - start
    bound = graph.lower_bound()
    return {
        "graph": name,
        "vertices": len(graph.vertices),
        "edges": len(graph.edges),
        **{order: graph.count(order) for order in ("forward", "reverse", "markowitz")},
        "alphagrad": alphagrad,
        "annealed": annealed,
        "lower_bound": bound,
        "seconds_of_annealing": seconds,
    }


def moves(graph: LinearizedGraph, rounds: int) -> tuple[str, float]:
    """In what the search runs, and its moves a second, the median of some runs."""
    native = importlib.util.find_spec("llvmlite") is not None
    search, count = (search_natively, 100_000) if native else (search_in_python, 1000)
    start = graph.order("relative-markowitz")
    search(graph, start, 0, 10)  # makes its code
    seconds = []
    for seed in range(rounds):
        began = time.process_time()
        search(graph, start, seed, count)
        seconds.append(time.process_time() - began)
    return ("machine code" if native else "Python"), count / float(np.median(seconds))


def emitted(example: Example, rounds: int, seconds: float) -> dict[str, Any]:
    """One function: its graph's count, and its flat code, checked and timed beside the modes."""
    f, x = example.function, example.point
    graph = linearized_graph(f, x)
    sequence = graph.order("annealed")
    program = accumulation(f, x, order=sequence)
    for scale in (1.0, 0.97, 1.05):
        J = admodes.jacrev(f)(scale * x)
        np.testing.assert_allclose(program(scale * x), J, rtol=1e-10, atol=1e-12 * float(np.max(np.abs(J))))
    forward, reverse = admodes.compile(admodes.jacfwd(f)), admodes.compile(admodes.jacrev(f))
    eager = admodes.jacrev(f)
    calls: tuple[Callable[[Any], Any], ...] = (program, forward, reverse, eager)
    tasks = {way: partial(call, x) for way, call in zip(WAYS, calls, strict=True)}
    taken = interleaved(tasks, rounds, seconds)
    return {
        "function": f.__name__,
        "n": x.size,
        "m": len(graph.outputs),
        **{order: graph.count(order) for order in ("forward", "reverse", "markowitz")},
        "annealed": graph.count(sequence),
        "lower_bound": graph.lower_bound(),
        "instructions": len(program),
        **{f"seconds {way}": taken[way] for way in WAYS},
    }


def fewer(rows: Sequence[Row], order: str) -> float:
    """The largest share of an order's multiplications that the annealed one does without."""
    return max(1 - row["annealed"] / row[order] for row in rows)


def speed_up(row: Row) -> float:
    """Of the flat code over the faster of the compiled modes."""
    return float(min(row["seconds compiled jacfwd"], row["seconds compiled jacrev"]) / row["seconds eliminated"])


def finding(rows: Sequence[Row], code: Sequence[Row], search: Row) -> str:
    """The answer, in one line, from the data."""
    better = sum(row["annealed"] < row["alphagrad"] for row in rows)
    worse = sum(row["annealed"] > row["alphagrad"] for row in rows)
    proven = sum(row["annealed"] == row["lower_bound"] for row in rows)
    proven_code = sum(row["annealed"] == row["lower_bound"] for row in code)
    gains = [speed_up(row) for row in code]
    return (
        f"the annealed order takes fewer multiplications than AlphaGrad's on {better} of {len(rows)} graphs "
        f"(up to {fewer(rows, 'alphagrad'):.0%}), more on {worse}, and up to {fewer(rows, 'markowitz'):.0%} fewer than "
        f"Markowitz'; proven optimal are {proven} of these and {proven_code} of the {len(code)} functions; the flat "
        f"code of the functions is {min(gains):.2f}× to {max(gains):.2f}× as fast as the faster compiled mode; "
        f"{search['moves_a_second']:,.0f} moves a second in {search['search']} on {search['vertices']} vertices"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Multiplications over those of the annealed order."""
    proven = sum(row["annealed"] == row["lower_bound"] for row in rows)
    title = (
        f"Annealed orders take up to {fewer(rows, 'alphagrad'):.0%} fewer multiplications than those of\n"
        f"reinforcement learning, and {proven} of {len(rows)} are proven optimal"
    )
    made = style.figure(style.WIDE, 7.4, title)
    _counts(made.subplots(), rows)
    return made


@style.styled
def draw_code(code: Sequence[Row]) -> Any:
    """Seconds of the four functions."""
    faster = sum(speed_up(row) > 1 for row in code)
    title = (
        f"As flat code the annealed order is up to {max(map(speed_up, code)):.1f}× as fast as the best compiled mode,\n"
        f"and faster in {faster} of {len(code)} functions"
    )
    made = style.figure(style.WIDE, 6.0, title)
    _seconds(made.subplots(), code)
    return made


def _counts(ax: Any, rows: Sequence[Row]) -> None:
    places = np.arange(len(rows))[::-1]
    for k, (order, look) in enumerate(LOOKS.items()):
        ratios = [row[order] / row["annealed"] for row in rows]
        shift = 0.38 - 0.155 * k
        size = 13 if order == "lower_bound" else 8
        ax.plot(ratios, places + shift, linestyle="", markersize=size, label=NAMES.get(order, order), **look)
        for x, y, row in zip(ratios, places + shift, rows, strict=True):
            ax.annotate(f"{row[order]:,}", (x, y), (8, 0), textcoords="offset points", va="center", fontsize=9.5)
    ax.axvline(1, color=style.BLACK, linewidth=1.2, zorder=0)
    ax.set_yticks(places, [f"{row['graph']}\n{row['edges']} edges" for row in rows], fontsize=10.5)
    ax.grid(visible=False, axis="y")
    ax.set(
        xlabel="multiplications / those of the annealed order", title="Multiplications, of six graphs of the literature"
    )
    ax.set_xlim(0.6, 2.65)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    ax.legend(loc="upper right")


def _seconds(ax: Any, code: Sequence[Row]) -> None:
    places, width = np.arange(len(code))[::-1], 0.19
    for k, way in enumerate(WAYS):
        look = WAY_LOOKS[way]
        values = [1e6 * row[f"seconds {way}"] for row in code]
        label = "flat code, annealed order" if way == "eliminated" else way
        bars = ax.barh(places + (1.5 - k) * width, values, width, label=label, edgecolor="white", **look)
        ax.bar_label(bars, [f" {value:,.0f}" for value in values], fontsize=9.5)
    ax.set_yticks(
        places,
        [f"{row['function'].replace('_', ' ')}\n{row['m']} × {row['n']}, {row['annealed']} mult." for row in code],
        fontsize=10.5,
    )
    ax.set(xscale="log", xlabel="microseconds for one Jacobian", title="Four functions in plain NumPy")
    high = max(1e6 * row["seconds eager jacrev"] for row in code)
    ax.set_xlim(10, high * 30)
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper right")


def run(study: Study) -> str:
    rows = [counted(name, graph_of(name), known) for name, known in study.track(list(ALPHAGRAD.items()), "graphs")]
    rounds, seconds = (25, 1.0) if study.full else (5, 0.05)
    code = [emitted(example, rounds, seconds) for example in study.track(EXAMPLES, "functions")]
    where, speed = moves(graph_of(TIMED), 9 if study.full else 3)
    search = {"graph": TIMED, "vertices": 120, "search": where, "moves_a_second": speed}
    study.table(rows)
    study.table(code, "code")
    study.table([search], "moves")
    study.picture(draw(rows))
    study.picture(draw_code(code), "code")
    return finding(rows, code, search)
