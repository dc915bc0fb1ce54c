"""What does a Hessian cost by four nestings of the modes, by colouring, and its product with one vector?

The functions: Rosenbrock's (tridiagonal Hessian) and the logarithm of a sum of exponentials of A x (dense Hessian).

How it is measured.  Flops are counted from the traced programs; of a coloured Hessian those of its compressed products.
Seconds are medians of interleaved calls, one thread.  "star" and "acyclic" are plans (`sparse_hessian_plan`): the
pattern is found, coloured and compiled before; "in one call" is `hessian(f, mode="sparse")`, which finds the pattern
each time.  By hand, for Rosenbrock's: three diagonals as a scipy.sparse matrix.

What to expect, and why.  A gradient costs a few times the function, whatever n, and a nesting takes n directions
through it: n times a gradient.  Forward over reverse keeps one tape and pushes; two reverse sweeps tape the tape.
Forward over forward carries n² numbers for each value, n times more than the others, where values are n numbers.  A
tridiagonal Hessian takes three products H·s by a star colouring and two by an acyclic one (Coleman and Moré 1984), so
that it costs as few H·v as that, at any n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

import admodes
from admodes.program import cost
from admodes.ways.hessians import Mode

from . import style
from .frame import SEED, Row, Study
from .timing import interleaved, keep_memory

SIZES = (10, 20, 50)
FULL_SIZES = (10, 20, 50, 100, 200, 400)
SPARSE_SIZES = (10_000, 100_000)  # of the full run, beyond the nestings
FORWARD_TWICE_UP_TO = 50
REVERSE_TWICE_UP_TO = 200

NESTINGS: tuple[Mode, ...] = (
    "forward-over-reverse",
    "reverse-over-forward",
    "reverse-over-reverse",
    "forward-over-forward",
)
WAYS = (*NESTINGS, "star", "acyclic", "in one call", "H·v", "by hand")
LOOKS: dict[str, dict[str, Any]] = {
    "forward-over-reverse": {"color": style.VERMILION, "marker": "s"},
    "reverse-over-forward": {"color": style.BLUE, "marker": "o"},
    "reverse-over-reverse": {"color": style.SKY, "marker": "v"},
    "forward-over-forward": {"color": style.ORANGE, "marker": "P"},
    "star": {"color": style.GREEN, "marker": "D"},
    "acyclic": {"color": style.PURPLE, "marker": "^"},
    "in one call": {"color": style.GREEN, "marker": "D", "linestyle": ":", "markerfacecolor": "none"},
    "H·v": {"color": style.GREY, "marker": "*"},
    "by hand": {"color": style.BLACK, "marker": "+"},
}
KINDS = ("Rosenbrock", "log-sum-exp")
TOLD = 200


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_by_hand(x: np.ndarray) -> Any:
    """The Hessian of `rosenbrock`, as one writes it."""
    main = np.zeros(x.size)
    main[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    main[1:] += 200
    side = -400 * x[:-1]
    return sparse.diags_array([side, main, side], offsets=[-1, 0, 1]).tocsr()


def log_sum_exp(A: np.ndarray, x: Any) -> Any:
    """Its Hessian is dense: Aᵀ (diag p − p pᵀ) A."""
    return np.log(np.sum(np.exp(A @ x)))


def problem(kind: str, n: int) -> tuple[Callable[[Any], Any], np.ndarray]:
    """A scalar function of n numbers, and a point."""
    rng = np.random.default_rng(SEED)
    x = rng.uniform(0.5, 1.5, n)
    if kind == "Rosenbrock":
        return rosenbrock, x
    A = rng.normal(size=(n, n)) / np.sqrt(n)
    A.flags.writeable = False
    return partial(log_sum_exp, A), x


def product(f: Callable[[Any], Any], x: Any) -> Any:
    """H·v for one v."""
    return admodes.hvp(f, (x,), (np.ones(x.shape),))


def calls(kind: str, f: Callable[[Any], Any], x: np.ndarray) -> dict[str, tuple[Callable[[Any], Any], int, Any]]:
    """For each way to the Hessian the call, its products with the Hessian, and what is to be counted."""
    n, found = x.size, dict[str, tuple[Callable[[Any], Any], int, Any]]()
    limits = {"forward-over-forward": FORWARD_TWICE_UP_TO, "reverse-over-reverse": REVERSE_TWICE_UP_TO}
    for mode in NESTINGS:
        if n <= min(FULL_SIZES[-1], limits.get(mode, n)):
            found[mode] = (H := admodes.hessian(f, mode=mode)), n, partial(cost, H, x)
    if kind == "Rosenbrock":
        for method in ("star", "acyclic"):
            plan = admodes.sparse_hessian_plan(f, x, method=method)
            found[method] = (
                plan,
                plan.passes,
                partial(cost, plan.scheme.products(f, 0), (x,), *next(plan.scheme.batches)),
            )
        found["in one call"] = admodes.hessian(f, mode="sparse"), found["star"][1], found["star"][2]
        found["by hand"] = rosenbrock_by_hand, 0, partial(cost, _diagonals_by_hand, x)
    found["H·v"] = partial(product, f), 1, partial(cost, partial(product, f), x)
    return found


def _diagonals_by_hand(x: Any) -> Any:
    """What `rosenbrock_by_hand` computes, without SciPy's matrix around it."""
    return 1200 * x[:-1] ** 2 - 400 * x[1:] + 2, -400 * x[:-1]


def measure(kind: str, n: int, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a way."""
    f, x = problem(kind, n)
    found = calls(kind, f, x)
    _agree({way: call(x) for way, (call, _, _) in found.items() if way != "H·v"}, product(f, x), kind)
    taken = interleaved({way: partial(call, x) for way, (call, _, _) in found.items()}, rounds, seconds)
    return [
        {
            "kind": kind,
            "n": n,
            "way": way,
            "products": products,
            "flops": count().flops,
            "seconds": taken[way],
            "over_by_hand": taken[way] / taken["by hand"] if "by hand" in taken else "",
        }
        for way, (_, products, count) in found.items()
    ]


def _agree(matrices: dict[str, Any], along: Any, kind: str) -> None:
    """All Hessians give the product H·1 that hvp gives."""
    for way, H in matrices.items():
        np.testing.assert_allclose(H @ np.ones(len(along)), along, rtol=1e-8, atol=1e-8, err_msg=f"{kind}, {way}")


def _only(rows: Sequence[Row], kind: str, way: str, n: int) -> Row:
    return next(r for r in rows if (r["kind"], r["way"], r["n"]) == (kind, way, n))


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    reached = sorted({r["n"] for r in rows if r["way"] == "forward-over-reverse"})
    n = TOLD if TOLD in reached else reached[-1]
    star, best = _only(rows, "Rosenbrock", "star", n), _only(rows, "Rosenbrock", "forward-over-reverse", n)
    ratio = star["over_by_hand"]
    dense = {mode: _only(rows, "log-sum-exp", mode, reached[-1])["flops"] for mode in NESTINGS[:2]}
    cheapest = min(dense, key=lambda mode: dense[mode])
    Hv = _only(rows, "log-sum-exp", "H·v", reached[-1])["flops"]
    return (
        f"Tridiagonal, n = {n}: {star['products']} products H·s, {ratio:.2g}× the time of code by hand, "
        f"and {best['seconds'] / star['seconds']:,.0f}× faster than forward-over-reverse; dense, n = {reached[-1]:,}: "
        f"{cheapest} takes fewest flops, {dense[cheapest] / Hv:,.0f} times one H·v"
    )


# On the slide: what one would take, and what it is held against.
SHOWN = ("forward-over-reverse", "reverse-over-forward", "star", "in one call", "H·v", "by hand")


def heading(rows: Sequence[Row]) -> str:
    """What the slide shows, in two lines."""
    reached = sorted({r["n"] for r in rows if r["way"] == "forward-over-reverse"})
    star, best = (_only(rows, "Rosenbrock", way, reached[-1]) for way in ("star", "forward-over-reverse"))
    return (
        f"A tridiagonal Hessian takes {star['products']} products H·s at any n:\n"
        f"{best['seconds'] / star['seconds']:,.0f}× faster than n of them at n = {reached[-1]:,}"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Seconds over n, one panel a function."""
    made = style.figure(style.WIDE, 5.4, heading(rows))
    axes = made.subplots(1, 2)
    for ax, kind in zip(axes, KINDS, strict=True):
        _panel(ax, [r for r in rows if r["kind"] == kind], "seconds", SHOWN)
        ax.set(xlabel="n, numbers in", title=TITLES[kind])
    axes[0].set_ylabel("seconds (median)")
    _below(made, axes[0], SHOWN, ncols=3)
    return made


@style.styled
def detail(rows: Sequence[Row]) -> Any:
    """Flops above and seconds below, over n, one column a function, every way."""
    made = style.figure(12, 8, "Every way to a Hessian: counts and the clock")
    axes = made.subplots(2, 2, sharex="col")
    for column, kind in enumerate(KINDS):
        for row, quantity in enumerate(("flops", "seconds")):
            _panel(axes[row, column], [r for r in rows if r["kind"] == kind], quantity, WAYS)
            axes[row, column].set_ylabel({"flops": "flops, counted", "seconds": "seconds (median)"}[quantity])
        axes[0, column].set_title(TITLES[kind])
        axes[1, column].set_xlabel("n, numbers in")
    axes[0, 0].plot([], [], linestyle="--", **style.THEORY, label="theory: n · H·v")
    _below(made, axes[0, 0], WAYS, ncols=5)
    return made


TITLES = {"Rosenbrock": "Rosenbrock: tridiagonal", "log-sum-exp": "log-sum-exp: dense"}


def _below(made: Any, ax: Any, ways: Sequence[str], ncols: int) -> None:
    """The legend of these ways, and of what else is labelled."""
    for way in ways:
        ax.plot([], [], label=LABELS.get(way, way), **LOOKS[way])
    made.legend(loc="outside lower center", ncols=ncols)


LABELS = {"star": "3 products, star colouring", "in one call": "the same, pattern found anew", "H·v": "one product H·v"}


def _panel(ax: Any, rows: Sequence[Row], quantity: str, ways: Sequence[str]) -> None:
    for way in ways:
        mine = [r for r in rows if r["way"] == way]
        ax.plot([r["n"] for r in mine], [r[quantity] for r in mine], **LOOKS[way])
    reached = {r["n"] for r in rows if r["way"] == "forward-over-reverse"}
    one = [r for r in rows if r["way"] == "H·v" and r["n"] in reached]
    if quantity == "flops":
        ax.plot([r["n"] for r in one], [r["n"] * r[quantity] for r in one], linestyle="--", zorder=0, **style.THEORY)
    ax.set(xscale="log", yscale="log")


def run(study: Study) -> str:
    keep_memory()
    rows: list[dict[str, Any]] = []
    problems = [(kind, n) for kind in KINDS for n in (FULL_SIZES if study.full else SIZES)]
    problems += [("Rosenbrock", n) for n in SPARSE_SIZES if study.full]
    for kind, n in study.track(problems, "problems"):
        rows += measure(kind, n, 15 if study.full else 5, 0.5 if study.full else 0.05)
    study.table(rows)
    study.picture(draw(rows))
    study.picture(detail(rows), "detail")
    return finding(rows)
