"""What does it cost to differentiate a softmax as three NumPy calls, as one operation, and with its pull by hand?

The lecture's three forms of y = eᵃ/Σeᵃ: composed of NumPy calls, each with its own rule on the tape; fused, one
operation (`custom_op`) with a push, y ⊙ t − y (yᵀt), from which the pull is derived; and one operation with the pull
ā = ȳ ⊙ y − (ȳ·y) y by hand.  Beside them the same written in NumPy, with neither tape nor dispatch.

How it is measured.  The cotangent ā for a given ȳ, from a to the end: y and its tape, and the pull.  Seconds: medians
of interleaved calls on one thread.  Memory: what `tracemalloc` sees alive, beyond a and y, while the pull is still to
come: what the tape holds for it.  The first use of a rule, which tries it, is before.

What to expect, and why.  All three are linear in n, as the seed says.  For short vectors the calls count: the composed
form has an entry of the tape and a rule for each of its calls, the fused one tapes its push once more for every pull,
the pull by hand is the formula and no more.  For long vectors memory traffic counts: each call reads and writes whole
vectors, and the composed form keeps eᵃ beside y where the others keep y alone, and a, which is the caller's.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import admodes
from admodes import custom_op

from . import style
from .frame import Row, Study
from .timing import interleaved

SIZES = (10, 100, 1000, 10_000)
FULL_SIZES = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)

# Memory is told at a size where arrays outweigh what Python keeps of them.
LARGE = 10_000


def composed(a: Any) -> Any:
    y = np.exp(a)
    return y / np.sum(y)


def in_place(a: Any) -> Any:
    y = np.exp(a)
    y /= np.sum(y)
    return y


def formula(u: Any, y: Any, a: Any) -> Any:
    """y ⊙ u − y (yᵀu), which is the push and the pull, the Jacobian Diag(y) − y yᵀ being symmetric."""
    return y * u - y * (y @ u)


fused = custom_op(in_place, push=formula, flops=12.0)
hand_pulled = custom_op(in_place, pull=formula, flops=12.0)

FORMS: dict[str, Callable[[Any], Any]] = {"composed": composed, "fused": fused, "pull by hand": hand_pulled}
LABELS = {
    "composed": "composed of NumPy calls", "fused": "fused, a push stated", "pull by hand": "fused, a pull stated",
    "NumPy": "the formulas in NumPy, no tape",
}  # fmt: skip
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "composed": {"color": style.VERMILION, "marker": "s"},
    "fused": {"color": style.BLUE, "marker": "o", "markersize": 10},
    "pull by hand": {"color": style.GREEN, "marker": "D", "linestyle": "--"},
    "NumPy": {"color": style.BLACK, "marker": "+", "linestyle": ":"},
}


def cotangent(form: Callable[[Any], Any], a: Any, u: Any) -> Any:
    return admodes.vjp(form, a)[1](u)[0]


def by_hand(a: Any, u: Any) -> Any:
    y = in_place(a)
    return formula(u, y, a)


def held(form: Callable[[Any], Any], a: Any) -> int:
    """Bytes alive between the forward pass and the pull, beyond y."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        y, pullback = admodes.vjp(form, a)
        now = tracemalloc.get_traced_memory()[0] - before - y.nbytes
        del pullback
        return max(now, 0)
    finally:
        tracemalloc.stop()


def measure(n: int, rng: np.random.Generator, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a form."""
    a, u = rng.normal(size=n), rng.normal(size=n)
    a.flags.writeable = False  # which the tape trusts, and need not copy
    tasks: dict[str, Callable[[], Any]] = {name: partial(cotangent, form, a, u) for name, form in FORMS.items()}
    tasks["NumPy"] = partial(by_hand, a, u)
    right = by_hand(a, u)
    for name, task in tasks.items():
        np.testing.assert_allclose(task(), right, rtol=1e-9, atol=1e-12 * np.max(np.abs(right)), err_msg=name)
    taken = interleaved(tasks, rounds, seconds)
    kept = {name: held(form, a) for name, form in FORMS.items()}
    return [
        {
            "n": n,
            "form": name,
            "seconds": taken[name],
            "over_composed": taken[name] / taken["composed"],
            "tape_bytes": kept.get(name),
            "vectors": kept[name] / (8 * n) if name in kept else None,
        }
        for name in tasks
    ]


def at(rows: Sequence[Row], n: int, form: str) -> Row:
    return next(row for row in rows if row["n"] == n and row["form"] == form)


def large(rows: Sequence[Row]) -> int:
    sizes = [row["n"] for row in rows]
    return LARGE if LARGE in sizes else max(sizes)


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    small, big, most = min(row["n"] for row in rows), large(rows), max(row["n"] for row in rows)
    vectors = {form: at(rows, big, form)["vectors"] for form in FORMS}
    times = {(form, n): at(rows, n, form)["over_composed"] for form in FORMS for n in (small, most)}
    return (
        f"of the seconds of the form composed of NumPy calls that with its pull by hand takes "
        f"{times['pull by hand', small]:.2f}× at n = {small} and {times['pull by hand', most]:.2f}× at n = {most:,}, "
        f"that with a push alone {times['fused', small]:.2f}× and {times['fused', most]:.2f}×. At n = {big:,} the tape "
        f"of the composed form holds {vectors['composed']:.1f} vectors beside y, that of the others "
        f"{vectors['fused']:.1f} and {vectors['pull by hand']:.1f}"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Seconds over n on the left, what the tape holds on the right."""
    small, big, most = min(row["n"] for row in rows), large(rows), max(row["n"] for row in rows)
    ratios = [at(rows, n, "pull by hand")["over_composed"] for n in (small, most)]
    title = (
        f"A softmax with its pull by hand takes {ratios[0]:.2f}× (n = {small}) to {ratios[1]:.2f}× (n = {most:,}) the "
        f"time\nof one composed of NumPy calls; its tape holds {at(rows, big, 'pull by hand')['vectors']:.1f} vectors "
        f"beside the result, not {at(rows, big, 'composed')['vectors']:.1f}"
    )
    made = style.figure(style.WIDE, 5.4, title)
    left, right = made.subplots(1, 2)
    for form, look in LOOKS.items():
        mine = [row for row in rows if row["form"] == form]
        sizes = [row["n"] for row in mine]
        left.plot(sizes, [1e6 * row["seconds"] for row in mine], label=LABELS[form], **look)
        if form in FORMS:
            right.plot(sizes, [row["tape_bytes"] for row in mine], **look)
    sizes = np.array(sorted({row["n"] for row in rows}))
    for count, dashes in ((1, ":"), (2, "--")):
        right.plot(sizes, 8 * count * sizes, linestyle=dashes, label=f"{'2' * (count - 1)}n doubles", **style.THEORY)
    left.set(xscale="log", yscale="log", xlabel="length n of the vector", ylabel="microseconds", title="Tape and pull")
    right.set(xscale="log", yscale="log", xlabel="length n of the vector", ylabel="bytes",
              title="What the tape holds beside the result")  # fmt: skip
    left.legend()
    right.legend()
    return made


def run(study: Study) -> str:
    rounds, seconds = (31, 0.6) if study.full else (5, 0.02)
    rng = study.rng()
    rows: list[dict[str, Any]] = []
    for n in study.track(FULL_SIZES if study.full else SIZES, "lengths"):
        rows += measure(n, rng, rounds, seconds)
    study.table(rows)
    study.picture(draw(rows))
    return finding(rows)
