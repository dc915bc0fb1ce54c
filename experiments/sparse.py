"""How many passes, and how many seconds, does a sparse Jacobian take: dense, coloured, and by both modes together?

The functions: Rⁿ → Rⁿ with Jacobians of four kinds: *banded* (tridiagonal), *arrow* (a full row and a full column),
*random* (four neighbours of each, drawn once) and *stencil* (a reaction and diffusion on a square grid, five points).

How it is measured.  Directions carried through the function are counted: n by dense forward or reverse mode, the
number of colours by a plan (`sparse_jacobian_plan`), of columns or rows ("coloured") or of both ("mixed").  Seconds are
medians of interleaved calls, one thread; what a plan prepares once, pattern, colouring and code, is timed apart.  The
dense modes stop where a Jacobian would take gigabytes.  By hand, for the tridiagonal one: three diagonals as a
scipy.sparse matrix.

What to expect, and why.  Columns that meet in no row can share a direction (Curtis, Powell and Reid 1974), so that a
banded Jacobian takes its bandwidth, whatever n; a full row makes every column meet every other, and then n are needed,
unless that one row is pulled.  Seconds grow as n² for the dense modes and as n for the coloured ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

import admodes
from admodes.sparse.plan import Mode

from . import style
from .frame import SEED, Row, Study
from .timing import interleaved, keep_memory

SIZES = (10, 32, 100, 316)
FULL_SIZES = (10, 32, 100, 316, 1000, 3162, 10_000, 31_623, 100_000)
DENSE_UP_TO = 3200
COLOURED_UP_TO = 3200  # of the arrow, whose colours are n

WAYS = ("forward", "reverse", "coloured", "mixed", "by hand")
LOOKS: dict[str, dict[str, Any]] = {
    "forward": {"color": style.VERMILION, "marker": "s", "label": "dense forward"},
    "reverse": {"color": style.BLUE, "marker": "o", "label": "dense reverse"},
    "coloured": {"color": style.GREEN, "marker": "D", "label": "coloured columns or rows"},
    "mixed": {"color": style.PURPLE, "marker": "^", "label": "mixed: some of both"},
    "by hand": {"color": style.BLACK, "marker": "+", "label": "by hand, scipy.sparse"},
}


def banded(x: Any) -> Any:
    """A tridiagonal system: diffusion with a cubic sink."""
    y = 2 * x - x**3 / 10
    return np.concatenate([y[:1] - x[1:2], y[1:-1] - x[:-2] - x[2:], y[-1:] - x[-2:-1]])


def arrow(x: Any) -> Any:
    """Every result depends on the first number, and the first result on all."""
    y = x**2
    y[0] = np.sum(x**3)
    y[1:] += x[0]
    return y


def scattered(places: np.ndarray, x: Any) -> Any:
    """Each result depends on itself and on four numbers drawn at random."""
    return x * np.sum(np.sin(x[places]), axis=0)


def stencil(x: Any) -> Any:
    """Reaction and diffusion on a square grid with a zero border."""
    k = int(np.sqrt(x.size))
    u = np.pad(x.reshape(k, k), 1)
    centre = u[1:-1, 1:-1]
    return (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * centre + centre - centre**3).ravel()


def problem(kind: str, n: int) -> tuple[Callable[[Any], Any], np.ndarray]:
    """A function of about n numbers with a Jacobian of a kind, and a point."""
    rng = np.random.default_rng(SEED)
    n = int(np.sqrt(n)) ** 2 if kind == "stencil" else n
    x = rng.uniform(0.5, 1.5, n)
    if kind == "random":
        return partial(scattered, rng.integers(n, size=(4, n))), x
    return {"banded": banded, "arrow": arrow, "stencil": stencil}[kind], x


TITLES = {
    "banded": "tridiagonal",
    "arrow": "arrow: full row and column",
    "random": "random: four neighbours",
    "stencil": "stencil: five points of a grid",
}
KINDS = tuple(TITLES)
# No fewer passes: the entries of a row; of the arrow, whose one full row is pulled, those of another row and one.
LEAST = {"banded": 3, "arrow": 3, "random": 5, "stencil": 5}


def tridiagonal_by_hand(x: np.ndarray) -> Any:
    """The Jacobian of `banded`, as one writes it."""
    side = np.full(x.size - 1, -1.0)
    return sparse.diags_array([side, 2 - 0.3 * x**2, side], offsets=[-1, 0, 1]).tocsr()


def ways(kind: str, f: Callable[[Any], Any], x: np.ndarray) -> dict[str, tuple[Callable[[Any], Any], int, float]]:
    """For each way to the Jacobian the call, its directions, and the seconds that preparing it took."""
    found: dict[str, tuple[Callable[[Any], Any], int, float]] = {}
    if x.size <= DENSE_UP_TO:
        for mode in ("forward", "reverse"):
            found[mode] = admodes.jacobian(f, mode=mode), x.size, 0.0
    colourings: tuple[tuple[str, Mode], ...] = (("coloured", "sparse"), ("mixed", "mixed"))
    for way, mode in colourings:
        if mode == "mixed" or kind != "arrow" or x.size <= COLOURED_UP_TO:
            start = time.process_time()
            plan = admodes.sparse_jacobian_plan(f, x, mode=mode)
            found[way] = plan, plan.passes, time.process_time() - start
    if kind == "banded":
        found["by hand"] = tridiagonal_by_hand, 0, 0.0
    return found


def measure(kind: str, n: int, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a way."""
    f, x = problem(kind, n)
    found = ways(kind, f, x)
    _agree({way: call(x) for way, (call, _, _) in found.items()}, kind)
    taken = interleaved({way: partial(call, x) for way, (call, _, _) in found.items()}, rounds, seconds)
    return [
        {
            "kind": kind,
            "n": x.size,
            "way": way,
            "directions": directions,
            "seconds": taken[way],
            "seconds_to_prepare": prepared,
        }
        for way, (_, directions, prepared) in found.items()
    ]


def _agree(matrices: dict[str, Any], kind: str) -> None:
    """All ways give one matrix."""
    first = sparse.csr_array(matrices["mixed"])
    for way, matrix in matrices.items():
        off = abs(first - sparse.csr_array(matrix)).max()
        if off > 1e-10:
            raise AssertionError(f"{kind}: {way} differs from mixed by {off:g}")


def _at(rows: Sequence[Row], kind: str, way: str) -> Row:
    """The row of a way at the largest n it reached."""
    return max((r for r in rows if r["kind"] == kind and r["way"] == way), key=lambda r: r["n"])


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    band, hand, bow = _at(rows, "banded", "coloured"), _at(rows, "banded", "by hand"), _at(rows, "arrow", "mixed")
    dense = _at(rows, "banded", "forward")
    same = next(r for r in rows if (r["kind"], r["way"], r["n"]) == ("banded", "coloured", dense["n"]))
    return (
        f"Tridiagonal, n = {band['n']:,}: {band['directions']} passes, {band['seconds'] / hand['seconds']:.1f}× the "
        f"time of code by hand; at n = {dense['n']:,} "
        f"{dense['seconds'] / same['seconds']:,.0f}× faster than dense; arrow, n = {bow['n']:,}: "
        f"{bow['directions']} passes by both modes, {bow['n']:,} by either alone"
    )


def heading(rows: Sequence[Row]) -> str:
    """What the slide shows, in two lines."""
    band, bow = _at(rows, "banded", "coloured"), _at(rows, "arrow", "mixed")
    return (
        f"A tridiagonal Jacobian takes {band['directions']} passes at any n;\n"
        f"a full row and column {bow['directions']} by both modes, n by either alone"
    )


SLIDE = ("banded", "arrow")
NAMES = {"random": "random, four neighbours", "stencil": "stencil, five points"}


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Directions above and seconds below, over n, of two kinds."""
    return _drawn(rows, SLIDE, style.WIDE, 7.2, heading(rows))


@style.styled
def detail(rows: Sequence[Row]) -> Any:
    """The same of every kind."""
    return _drawn(rows, KINDS, 16, 8.4, "Directions and seconds of four kinds of sparse Jacobians")


def _drawn(rows: Sequence[Row], kinds: Sequence[str], width: float, height: float, title: str) -> Any:
    made = style.figure(width, height, title)
    axes = made.subplots(2, len(kinds), sharex=True, sharey="row")
    for column, kind in enumerate(kinds):
        for row, quantity in enumerate(("directions", "seconds")):
            _panel(axes[row, column], [r for r in rows if r["kind"] == kind], kind, quantity)
        axes[0, column].set_title(NAMES.get(kind, kind))
        axes[1, column].set_xlabel("n, numbers in and out")
    axes[0, 0].set_ylabel("passes")
    axes[1, 0].set_ylabel("seconds (median)")
    handles = [axes[1, 0].plot([], [], **LOOKS[way])[0] for way in WAYS]
    made.legend(handles=handles, loc="outside lower center", ncols=3 if len(kinds) == 2 else 5)
    return made


def _panel(ax: Any, rows: Sequence[Row], kind: str, quantity: str) -> None:
    for way in WAYS:
        mine = [r for r in rows if r["way"] == way and r[quantity] > 0]
        ax.plot([r["n"] for r in mine], [r[quantity] for r in mine], **LOOKS[way])
    ax.set(xscale="log", yscale="log")
    ns = np.array(sorted({r["n"] for r in rows}), float)
    if quantity == "directions":
        _theory(ax, ns, ns, "n")
        _theory(ax, ns, np.full(len(ns), LEAST[kind]), "no fewer")
        return
    for way, slope in (("forward", 2), ("mixed", 1)):
        last = max((r for r in rows if r["way"] == way), key=lambda r: r["n"])
        reach = ns[(ns >= last["n"] / 40) & (ns <= last["n"])]
        _theory(ax, reach, last["seconds"] * (reach / last["n"]) ** slope, "∝ n²" if slope == 2 else "∝ n")


def _theory(ax: Any, x: Any, y: Any, says: str) -> None:
    """A dashed line, with what it is at its end."""
    ax.plot(x, y, linestyle="--", zorder=0, **style.THEORY)
    ax.annotate(says, (x[-1], y[-1]), (-3, 5), textcoords="offset points", ha="right", color=style.GREY)


def run(study: Study) -> str:
    keep_memory()
    rows: list[dict[str, Any]] = []
    sizes = FULL_SIZES if study.full else SIZES
    for kind, n in study.track([(kind, n) for kind in KINDS for n in sizes], "problems"):
        rows += measure(kind, n, 15 if study.full else 5, 0.4 if study.full else 0.05)
    study.table(rows)
    study.picture(draw(rows))
    study.picture(detail(rows), "detail")
    return finding(rows)
