"""What does the gradient of a scalar cost by forward mode, by reverse mode and by finite differences, as n grows?

The function: L = 8 layers x ← tanh(W x) of width n, then the sum of the n outputs.

How it is measured.  The gradient by n tangents at once (`jacfwd`), by one reverse sweep (`grad`), and by n + 1
evaluations (one-sided finite differences).  Flops are counted from the traced derivative, exactly; seconds
are medians of interleaved calls on one thread.  Slopes are fitted on logarithms, with Student's 95 % confidence
interval: for the counts over all n; for the clock from the n on where arithmetic dominates.

From where arithmetic dominates.  At the smallest n an operation of NumPy is all overhead; its seconds there, times the
operations counted at n, are the overhead at n.  A point may enter the fit if that is less than a fifth of its seconds,
and all larger n do too.  Where the weights leave a cache the points are on no line: the fit begins at the first n from
which on the interval is within ±0.15 of the slope, or where arithmetic dominates if there is none.  Reverse mode comes
out of the caches last; it goes on to widths at which the other two would take minutes.

What to expect, and why.  A layer's Jacobian is Diag(1 − y²) W.  Forward accumulation carries n tangents through it:
n·n² multiply-adds a layer, of two flops each: 2·L·n³ flops in all.  Reverse carries one cotangent: n² multiply-adds
for the layer and n² for its transpose, 4·L·n² flops in all.  Finite differences evaluate the function n + 1 times,
2·L·n³ again, but by matrix-vector products, which wait for memory where the matrix-matrix products of the n tangents
reuse what is in the cache: the same slope, a larger constant.  The counts' slopes are a little below 3 and 2 because
each layer also has elementwise products, n² and n of them; on the clock finite differences and reverse mode climb
faster while n grows past what the caches hold. (Seed lectures 000 and 003, 13.3.1.)

The weights are read-only arrays: the tape then trusts them, where it would else compare large arrays with what they
were when it recorded them, which would be timed with the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import admodes
from admodes.program import Cost, cost

from . import style
from .frame import SEED, Row, Study
from .timing import PowerLaw, interleaved, power_law

LAYERS = 8
# Half-way sizes too, so that the fits have points enough for a narrow interval.
SIZES = (8, 16, 32, 64, 128, 192, 256, 384, 512)
FULL_SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 640, 768, 896, 1024)
FULL_WIDE = (1280, 1536, 2048, 2560, 3072, 4096)  # reverse mode alone

OVERHEAD = 0.2  # of the seconds, at most, where the clock's fit begins
NARROW = 0.15  # half the interval of a slope

METHODS = ("forward", "reverse", "finite differences")
LOOKS = {"forward": style.FORWARD, "reverse": style.REVERSE, "finite differences": style.DIFFERENCES}
THEORY: dict[str, tuple[str, Callable[[int], int]]] = {
    "forward": ("2·L·n³", lambda n: 2 * LAYERS * n**3),
    "reverse": ("4·L·n²", lambda n: 4 * LAYERS * n**2),
    "finite differences": ("2·L·n³", lambda n: 2 * LAYERS * n**3),
}

Function = Callable[[Any], Any]


def network(n: int, rng: np.random.Generator) -> tuple[Function, np.ndarray]:
    """The function at width n, and a point; the weights keep tanh away from saturation."""
    weights = [rng.normal(size=(n, n)) / np.sqrt(n) for _ in range(LAYERS)]
    for W in weights:
        W.flags.writeable = False

    def f(x: Any) -> Any:
        for W in weights:
            x = np.tanh(W @ x)
        return np.sum(x)

    return f, rng.normal(size=n)


def finite_differences(f: Function, x: np.ndarray) -> np.ndarray:
    """∂f/∂x_i ≈ (f(x + h e_i) − f(x))/h, with h = √ε: n + 1 evaluations."""
    h = np.sqrt(np.finfo(x.dtype).eps)
    base, moved, gradient = f(x), x.copy(), np.empty_like(x)
    for i in range(x.size):
        moved[i] = x[i] + h
        gradient[i] = (f(moved) - base) / h
        moved[i] = x[i]
    return gradient


def gradients(f: Function) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The three ways to the gradient."""
    return {
        "forward": admodes.jacfwd(f),
        "reverse": admodes.grad(f),
        "finite differences": lambda x: finite_differences(f, x),
    }


def counted(f: Function, x: np.ndarray) -> dict[str, Cost]:
    """The exact work of each way; of finite differences, that of their n + 1 evaluations."""
    once, times = cost(f, x), x.size + 1
    differences = Cost(
        flops=times * once.flops, multiply_adds=times * once.multiply_adds, operations=times * once.operations
    )
    return {
        "forward": cost(admodes.jacfwd(f), x),
        "reverse": cost(admodes.grad(f), x),
        "finite differences": differences,
    }


def counted_at(n: int) -> dict[str, Cost]:
    """`counted` at width n; the values of the weights do not matter to it."""
    return counted(*network(n, np.random.default_rng(SEED)))


def agree(f: Function, x: np.ndarray) -> None:
    """All ways must give the same gradient before they are timed."""
    found = {method: gradient(x) for method, gradient in gradients(f).items()}
    np.testing.assert_allclose(found["forward"], found["reverse"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["finite differences"], found["reverse"], rtol=1e-3, atol=1e-5)


def measure(
    n: int, work: dict[str, Cost], rng: np.random.Generator, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """One row a method, at width n, beside the work counted there."""
    f, x = network(n, rng)
    agree(f, x)
    return timed(n, work, {m: partial(g, x) for m, g in gradients(f).items()}, rounds, seconds)


def measure_wide(n: int, rng: np.random.Generator, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Reverse mode alone: its gradient against one tangent, then its work and its time."""
    f, x = network(n, rng)
    reverse, t = admodes.grad(f), rng.normal(size=n)
    np.testing.assert_allclose(reverse(x) @ t, admodes.jvp(f, (x,), (t,))[1], rtol=1e-9, atol=1e-9)
    return timed(n, {"reverse": cost(reverse, x)}, {"reverse": partial(reverse, x)}, rounds, seconds)


def timed(
    n: int, work: dict[str, Cost], tasks: dict[str, Callable[[], Any]], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Rows of the methods that have a task."""
    taken = interleaved(tasks, rounds, seconds)
    return [
        {
            "n": n,
            "method": method,
            "flops": work[method].flops,
            "multiply_adds": work[method].multiply_adds,
            "operations": work[method].operations,
            "seconds": taken[method],
        }
        for method in METHODS
        if method in tasks
    ]


def overhead_share(rows: Sequence[Row], method: str) -> list[float]:
    """The share of each n's seconds that its operations take even when there is no arithmetic in them."""
    mine = [row for row in rows if row["method"] == method]
    smallest = min(mine, key=lambda row: row["n"])
    an_operation = smallest["seconds"] / smallest["operations"]
    return [min(1.0, an_operation * row["operations"] / row["seconds"]) for row in mine]


def mark_fitted(rows: list[dict[str, Any]]) -> None:
    """Add to each row its share of overhead, and whether the clock's fit uses it."""
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        dominated = True
        for row, share in reversed(list(zip(mine, overhead_share(rows, method), strict=True))):
            dominated = dominated and share <= OVERHEAD
            row.update(overhead=share, fitted=int(dominated))
        late = [row for row in mine if row["fitted"]]
        for row in late[: straight(late)]:
            row["fitted"] = 0


def straight(rows: Sequence[Row]) -> int:
    """How many of the first points to leave out, so that the rest are on a line; none, where no end of them is."""
    for first in range(len(rows)):
        law = power_law([row["n"] for row in rows[first:]], [row["seconds"] for row in rows[first:]])
        if law is not None and law.high - law.slope <= NARROW:
            return first
    return 0


def fits(rows: Sequence[Row]) -> dict[tuple[str, str], PowerLaw | None]:
    """(method, quantity) -> the power law: of the counts over all n, of the seconds over the rows marked."""
    found = {}
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        late = [row for row in mine if row["fitted"]]
        found[method, "flops"] = power_law([r["n"] for r in mine], [r["flops"] for r in mine])
        found[method, "seconds"] = power_law([r["n"] for r in late], [r["seconds"] for r in late])
    return found


def fit_rows(found: dict[tuple[str, str], PowerLaw | None]) -> list[dict[str, Any]]:
    """The fits as rows of a table; empty where there were too few points."""
    return [
        {
            "method": method,
            "quantity": quantity,
            "slope": law and law.slope,
            "low_95": law and law.low,
            "high_95": law and law.high,
            "from_n": law and law.first,
            "points": law and law.points,
        }
        for (method, quantity), law in found.items()
    ]


def finding(rows: Sequence[Row], found: dict[tuple[str, str], PowerLaw | None]) -> str:
    """The answer, in one line, from the data."""
    at = largest(rows)
    forward, reverse, n = at["forward"], at["reverse"], at["forward"]["n"]
    counts = [found[method, "flops"] for method in ("forward", "reverse")]
    slopes = " against ".join(f"n^{law.slope:.2f}" for law in counts if law)
    clocks = [f"{method} n^{law} from n = {law.first:g}" for method in METHODS if (law := found[method, "seconds"])]
    clock = f"; the clock, with 95% intervals: {', '.join(clocks)}" * bool(clocks)
    return (
        f"Forward against reverse: counts grow as {slopes}; at n = {n} reverse needs "
        f"{forward['flops'] / reverse['flops']:.0f}× fewer flops and is "
        f"{forward['seconds'] / reverse['seconds']:.0f}× faster{clock}"
    )


def largest(rows: Sequence[Row]) -> dict[str, Row]:
    """The rows at the largest width that all methods have."""
    n = max(row["n"] for row in rows if row["method"] == "forward")
    return {row["method"]: row for row in rows if row["n"] == n}


def heading(rows: Sequence[Row], found: dict[tuple[str, str], PowerLaw | None]) -> str:
    """What the picture shows, in two lines."""
    at = largest(rows)
    times = {quantity: at["forward"][quantity] / at["reverse"][quantity] for quantity in ("flops", "seconds")}
    laws = [found[method, "flops"] for method in ("forward", "reverse")]
    slopes = " by forward mode, ".join(f"n^{law.slope:.2f}" for law in laws if law)
    return (
        f"A gradient's flops grow as {slopes} by reverse mode;\n"
        f"at n = {at['forward']['n']:,}, {times['flops']:.0f}× fewer, and {times['seconds']:.0f}× faster"
    )


@style.styled
def draw(rows: Sequence[Row], found: dict[tuple[str, str], PowerLaw | None]) -> Any:
    """Counts on the left, the clock on the right, theory beside both."""
    made = style.figure(style.WIDE, 7.0, heading(rows, found))
    left, right = made.subplots(1, 2)
    title = f"Counted: {LAYERS} layers tanh(W x)"
    _panel(left, rows, found, "flops", title, "flops for one gradient")
    _panel(right, rows, found, "seconds", "The clock: one thread, processor time", "seconds for one gradient (median)")
    note = (
        "Filled: points of the fit; hollow: calls take more than a fifth of the time, or the weights are leaving a\n"
        "cache. Finite differences read the matrices anew for each input and climb steeper there; reverse mode\n"
        "leaves the last cache at the largest n, where all three begin to take the slope of their counts."
    )
    made.supxlabel(note, fontsize=9.5, color=style.GREY)
    return made


def _panel(ax: Any, rows: Sequence[Row], found: Any, quantity: str, title: str, label: str) -> None:
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        look = {**LOOKS[method], "label": _label(method, found[method, quantity], quantity)}
        line(ax, mine, quantity, **look, markerfacecolor="white", markeredgewidth=1.6)
        used = [r for r in mine if quantity == "flops" or r["fitted"]]
        line(ax, used, quantity, marker=look["marker"], color=look["color"], linestyle="")
    for method, dashes in (("forward", (0, (5, 3))), ("reverse", (0, (1, 2)))):
        _theory(ax, [row for row in rows if row["method"] == method], quantity, method, dashes)
    ax.set(xscale="log", yscale="log", xlabel="width n", ylabel=label, title=title)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize=9.5)


def line(ax: Any, rows: Sequence[Row], quantity: str, **look: Any) -> None:
    """A quantity over n."""
    ax.plot([row["n"] for row in rows], [row[quantity] for row in rows], **look)


def _label(method: str, law: PowerLaw | None, quantity: str) -> str:
    if law is None:
        return f"{method}: too few points for a slope"
    start = "" if quantity == "flops" else f", from n = {law.first:g}"
    return f"{method}: slope {law}{start}"


def _theory(ax: Any, rows: Sequence[Row], quantity: str, method: str, dashes: Any) -> None:
    """The predicted counts; beside the clock, a line of that slope through the last point."""
    name, formula = THEORY[method]
    last = rows[-1]
    scale = 1.0 if quantity == "flops" else last[quantity] / formula(last["n"])
    shown = [row for row in rows if scale == 1.0 or scale * formula(row["n"]) > rows[0][quantity] / 8]
    power = f"O({name.lstrip('24·')})"
    text = f"theory, {name}" if scale == 1.0 else f"slope of {power}"
    ax.plot([r["n"] for r in shown], [scale * formula(r["n"]) for r in shown], ls=dashes, label=text, **style.THEORY)


def run(study: Study) -> str:
    rng = study.rng()
    rows: list[dict[str, Any]] = []
    sizes = FULL_SIZES if study.full else SIZES
    works = dict(zip(sizes, study.map(counted_at, sizes, "widths, counted"), strict=True))
    for n in study.track(sizes, "widths, timed"):
        rows += measure(n, works[n], rng, rounds=25 if study.full else 9, seconds=5.0 if study.full else 0.5)
    for n in study.track(FULL_WIDE if study.full else (), "widths, reverse mode alone"):
        rows += measure_wide(n, rng, rounds=25, seconds=1.5)
    mark_fitted(rows)
    found = fits(rows)
    study.table(rows)
    study.table(fit_rows(found), "fits")
    study.picture(draw(rows, found))
    return finding(rows, found)
