"""How much memory does a derivative take as the depth of a program grows, by forward mode, on a tape, and compiled?

The function: a recurrent net of width 32 over a growing number of steps, h ← tanh(W h + U x + b), differentiated by W,
U and b.

How it is measured.  The most bytes alive at once beyond the arguments, in two ways: seen by `tracemalloc`, which NumPy
tells of every array, while one call runs; and counted from the traced program (`program.cost.peak_bytes`: exact, the
same on every machine; of a tape the arrays alone, without its entries).  Forward mode pushes one tangent.  The
compiled program allocates its workspace within the call, as the others do; what `compile` keeps between calls, its code
and a workspace, is made before.  By hand: the states in a list, then the sweep back.

What to expect, and why.  Forward mode needs the same few vectors at any depth.  Reverse mode must keep what its way
back reads, one state a step by hand: it grows as the depth.  An eager tape keeps more: every operation's entry, which
is a few Python objects of about a hundred bytes each, and results that the way back does not read.  Flat code keeps
only what is read again, but a name for each of it.  `tracemalloc` sees the Python objects and the counts do not: where
arrays are small, as here (256 bytes), an array's own header shows too.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

import admodes
from admodes.program import Program
from admodes.program.passes import optimise

from . import style
from .frame import Row, Study
from .static_vs_dynamic import agree
from .workloads import recurrent, recurrent_arguments, recurrent_gradient

WIDTH = 32
DEPTHS = (10, 30, 100, 300, 1000)
FULL_DEPTHS = (10, 30, 100, 300, 1000, 3000, 10_000)

METHODS = ("forward", "eager", "compiled", "by hand")
LABELS = {"forward": "forward, one tangent", "eager": "reverse, eager tape", "compiled": "reverse, compiled"}
COLOURS = {"forward": style.VERMILION, "eager": style.BLUE, "compiled": style.GREEN, "by hand": style.BLACK}
MARKERS = {"forward": "s", "eager": "o", "compiled": "D", "by hand": "+"}

# Of the bytes by hand, at the largest depth.


def gradient(*x: Any) -> Any:
    """On the tape, by W, U and b."""
    return admodes.grad(partial(recurrent, np), argnums=(0, 1, 2))(*x)


def push(W: Any, U: Any, b: Any, xs: Any) -> Any:
    """One tangent, of ones."""
    tangents = tuple(np.ones(np.shape(x)) for x in (W, U, b))
    return admodes.jvp(lambda W, U, b: recurrent(np, W, U, b, xs), (W, U, b), tangents)


def peak(f: Callable[..., Any], arguments: Sequence[Any]) -> int:
    """The most bytes that tracemalloc sees alive at once in one call, beyond those before it."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        f(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def flat(program: Program) -> Callable[..., Any]:
    """The flat code of a program with a workspace of each call's own.

    Without line numbers: tracemalloc looks up the line of every allocation, a search through all lines of the function,
    which over thousands of steps would take hours.
    """
    code, names = program.flat.__code__, program.flat.__globals__
    function = FunctionType(code.replace(co_linetable=b""), names)
    return lambda *x: function(*x, *(np.empty(v.shape, v.dtype) for v in program.workspace))


def counted(program: Program) -> int:
    """The peak of a program by its shapes, less the arguments."""
    return int(program.cost.peak_bytes) - sum(int(v.nbytes) for v in program.inputs)


def measure(depth: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row a method."""
    x = recurrent_arguments(depth, WIDTH, rng)
    for a in x:
        a.flags.writeable = False  # which the tape trusts, and need not copy
    traced = admodes.trace(gradient, *x)
    compiled = optimise(traced)
    counts = {
        "forward": counted(admodes.trace(push, *x)),
        "eager": counted(traced),
        "compiled": counted(compiled),
        "by hand": counted(admodes.trace(recurrent_gradient, *x)),
    }
    calls = {"forward": push, "eager": gradient, "compiled": flat(compiled), "by hand": recurrent_gradient}
    for method in ("eager", "compiled"):
        agree(calls[method](*x), recurrent_gradient(*x), f"{method}, depth {depth}")
    push(*x)  # what a first call keeps is no part of a call
    seen = {method: peak(call, x) for method, call in calls.items()}
    return [
        {
            "depth": depth,
            "method": method,
            "bytes": seen[method],
            "counted_bytes": counts[method],
            "over_by_hand": seen[method] / seen["by hand"],
        }
        for method in METHODS
    ]


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    depth = max(row["depth"] for row in rows)
    at = {row["method"]: row for row in rows if row["depth"] == depth}
    beside = ", ".join(f"{method} {at[method]['over_by_hand']:.2f}×" for method in ("compiled", "eager"))
    return (
        f"At depth {depth:,} reverse mode takes, of what code by hand does: {beside}; "
        f"forward mode takes {at['forward']['over_by_hand']:.2g}×, at every depth about the same bytes"
    )


def heading(rows: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    depth = max(row["depth"] for row in rows)
    at = {row["method"]: row["over_by_hand"] for row in rows if row["depth"] == depth}
    return (
        "Reverse mode's memory grows with the depth, forward mode's does not:\n"
        f"at {depth:,} steps the tape takes {at['eager']:.1f}× that of code by hand, "
        f"compiled code {at['compiled']:.1f}×"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Bytes over depth on the left, seen and counted; their ratio to code by hand on the right."""
    made = style.figure(style.WIDE, 5.4, heading(rows))
    left, right = made.subplots(1, 2)
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        depths, look = [row["depth"] for row in mine], {"color": COLOURS[method], "marker": MARKERS[method]}
        left.plot(depths, [row["bytes"] for row in mine], label=LABELS.get(method, method), **look)
        left.plot(depths, [row["counted_bytes"] for row in mine], color=COLOURS[method], linestyle=(0, (2, 2)))
        if method != "by hand":
            right.plot(depths, [row["over_by_hand"] for row in mine], **look)
    left.plot([], [], color=style.GREY, linestyle=(0, (2, 2)), label="counted from shapes")
    _linear(left, [row for row in rows if row["method"] == "eager"])
    left.set(
        xscale="log",
        yscale="log",
        xlabel="steps",
        ylabel="bytes beyond the arguments",
        title="Peak bytes seen by tracemalloc",
    )
    right.axhline(1.0, color=style.BLACK, linewidth=1.6)
    right.set(xscale="log", yscale="log", xlabel="steps", title="The same over those by hand")
    right.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    made.legend(loc="outside lower center", ncols=3)
    return made


def _linear(ax: Any, rows: Sequence[Row]) -> None:
    """O(depth), through the last point of the tape."""
    depths, last = [row["depth"] for row in rows], rows[-1]
    line = [0.5 * last["bytes"] * depth / last["depth"] for depth in depths]
    ax.plot(depths, line, linestyle=(0, (6, 2)), zorder=0, label="slope of O(depth)", **style.THEORY)


def run(study: Study) -> str:
    rng = study.rng()
    rows: list[dict[str, Any]] = []
    for depth in study.track(FULL_DEPTHS if study.full else DEPTHS, "depths"):
        rows += measure(depth, rng)
    study.table(rows)
    study.picture(draw(rows))
    return finding(rows)
