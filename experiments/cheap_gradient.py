"""Does a gradient cost no more than four to five times its function, whatever the function and its number of inputs?

A dozen functions: sums of elementwise work, products of matrices, a solution, a determinant, a transform, loops.

How it is measured.  Flops of `grad(f)` over those of f, counted from the traced programs (`admodes.cost`: exact, and
the same on every machine; + − × ÷ √ are 1 flop an element, transcendental functions 10).  And seconds, medians of
interleaved calls on one thread: of `grad(f)` over f, and of `compile(grad(f))` over `compile(f)`, prepared before.

What to expect, and why.  Reverse mode walks through f once and back once, and each step back is as simple as the step
was: the gradient, which includes the value, costs at most 4 to 5 times f (Griewank & Walther, "Evaluating Derivatives",
2nd ed., 2008, ch. 4; Baur & Strassen, "The complexity of partial derivatives", 1983), not n times.  In flops, a product
of which both factors vary costs 2 more (3 in all), one with a constant factor 1 more; a function such as exp, whose
value gives its slope, nearly nothing more; Π x multiplies in pairs, where f is one loop, and adds up what comes back to
either half: 5 in all, and a hundred small operations where f is one.  By the clock a function of few or small arrays is
all overhead: a tape adds to each of its operations what the counts do not show, and compiling takes most of that away.
"""

from __future__ import annotations

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
from .workloads import chain_sum, elementwise, mixture, perceptron, places, recurrent, recurrent_arguments, rosenbrock

Array = Any

LOW, BOUND = 4, 5

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "flops": {"color": style.BLACK, "marker": "|", "markersize": 15, "markeredgewidth": 3, "label": "flops (counted)"},
    "eager": {"color": style.BLUE, "marker": "o", "markersize": 9, "label": "seconds, on the tape"},
    "compiled": {"color": style.VERMILION, "marker": "D", "markersize": 8, "label": "seconds, compiled"},
}


@dataclass(frozen=True)
class Case:
    """A function of arrays; its gradient is by all of them."""

    name: str
    f: Callable[..., Any]
    arguments: tuple[Array, ...]

    @property
    def inputs(self) -> int:
        """The number of partial derivatives."""
        return sum(np.size(x) for x in self.arguments)

    @property
    def gradient(self) -> Callable[..., Any]:
        """By every argument."""
        return admodes.grad(self.f, argnums=tuple(range(len(self.arguments))))


def _fixed(f: Callable[..., Any], by: int, arguments: Sequence[Array]) -> tuple[Callable[..., Any], tuple[Array, ...]]:
    """A workload as a function of its first arguments; the others are data."""
    data = arguments[by:]
    return lambda *chosen: f(np, *chosen, *data), tuple(arguments[:by])


def _network(rng: np.random.Generator, n: int, layers: int = 8) -> Case:
    weights = [rng.normal(size=(n, n)) / np.sqrt(n) for _ in range(layers)]
    return Case(f"tanh chain, {layers} layers, n = {n}", *_fixed(chain_sum, 1, (rng.normal(size=n), *weights)))


def _perceptron(rng: np.random.Generator, n: int, batch: int) -> Case:
    layers = [a for _ in range(3) for a in (rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n))]
    data = rng.normal(size=(batch, n)), rng.normal(size=(batch, n))
    return Case(f"perceptron weights, batch {batch}, width {n}", *_fixed(perceptron, 6, (*layers, *data)))


def _mixture(rng: np.random.Generator, d: int, K: int, N: int) -> Case:
    parameters = rng.normal(size=K), rng.uniform(size=(K, d)), rng.normal(size=(K, d))
    data = rng.normal(size=(N, d)), places(d), np.eye(d)
    arguments = (*parameters, rng.normal(size=(K, d * (d - 1) // 2)), *data)
    return Case(f"Gaussian mixture, d = {d}, K = {K}, N = {N}", *_fixed(mixture, 4, arguments))


def logistic(labels: Array, X: Array) -> Callable[[Array], Array]:
    """The mean loss of logistic regression, labels ±1."""
    return lambda w: np.mean(np.logaddexp(0.0, -labels * (X @ w)))


def log_determinant(A: Array) -> Array:
    return np.linalg.slogdet(A)[1]


def log_sum_exp(x: Array) -> Array:
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def spectrum(window: Array) -> Callable[[Array], Array]:
    """Σ |FFT(window·x)|⁴: a real transform, and what is made of it."""

    def f(x: Array) -> Array:
        X = np.fft.rfft(window * x)
        power = X.real**2 + X.imag**2
        return np.sum(power * power)

    return f


def cases(rng: np.random.Generator, scale: int = 1) -> list[Case]:
    """The functions; `scale` divides their sizes."""
    n = 240 // scale
    A, B, C = (rng.normal(size=(n, n)) / np.sqrt(n) for _ in range(3))
    tall, labels = rng.normal(size=(4 * n, n)), np.sign(rng.normal(size=4 * n))
    x, b = rng.normal(size=n), rng.normal(size=n)
    long, short = 24_000 // scale, 24 // min(scale, 6)
    steps = 60 // min(scale, 10)
    W, U, bias, xs = recurrent_arguments(steps, short, rng)
    return [
        Case(f"Rosenbrock, n = {long:,}", *_fixed(rosenbrock, 1, (rng.normal(size=long),))),
        Case(f"elementwise, n = {long:,}", *_fixed(elementwise, 1, (rng.normal(size=long),))),
        Case(f"log Σ exp x, n = {long:,}", log_sum_exp, (rng.normal(size=long),)),
        Case(f"Π x, n = {long:,}", np.prod, (rng.uniform(0.999, 1.001, size=long),)),
        Case(f"Σ |FFT x|⁴, n = {long:,}", spectrum(np.hanning(long)), (rng.normal(size=long),)),
        Case(f"logistic regression, {4 * n}×{n}", logistic(labels, tall), (x,)),
        Case(f"xᵀA x, n = {n}", lambda x, A: x @ A @ x, (x, A)),
        Case(f"Σ (A B C)², n = {n}", lambda A, B, C: np.sum((A @ B @ C) ** 2), (A, B, C)),
        Case(f"bᵀA⁻¹b, n = {n}", lambda A, b: b @ np.linalg.solve(A, b), (A + 3 * np.eye(n), b)),
        Case(f"log |det A|, n = {n}", log_determinant, (A + 3 * np.eye(n),)),
        _network(rng, n),
        _perceptron(rng, short, 4 * short),
        _mixture(rng, 10 // min(scale, 3), 25 // min(scale, 5), 400 // scale),
        Case(f"recurrent net, {steps} steps, n = {short}", *_fixed(recurrent, 3, (W, U, bias, xs))),
    ]


def measure(case: Case, rounds: int, seconds: float) -> dict[str, Any]:
    """One function, as a row."""
    f, gradient, x = case.f, case.gradient, case.arguments
    fast, fast_gradient = admodes.compile(f), admodes.compile(gradient)
    for found, expected in zip(fast_gradient(*x), gradient(*x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10 * np.max(np.abs(expected)), err_msg=case.name)
    work = admodes.cost(f, *x), admodes.cost(gradient, *x)
    calls = {"f": f, "gradient": gradient, "f_compiled": fast, "gradient_compiled": fast_gradient}
    taken = interleaved({name: partial(call, *x) for name, call in calls.items()}, rounds, seconds)
    return {
        "function": case.name,
        "inputs": case.inputs,
        "flops_f": work[0].flops,
        "flops_gradient": work[1].flops,
        **{f"seconds_{name}": s for name, s in taken.items()},
        "flops": work[1].flops / work[0].flops,
        "eager": taken["gradient"] / taken["f"],
        "compiled": taken["gradient_compiled"] / taken["f_compiled"],
    }


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    n = max(row["inputs"] for row in rows)
    parts = [_extent(rows, "flops", "flops"), *(_extent(rows, way, f"seconds {way}") for way in ("eager", "compiled"))]
    return f"A gradient of up to {n:,} inputs over its function, geometric mean and most: {', '.join(parts)}"


def _extent(rows: Sequence[Row], quantity: str, text: str) -> str:
    ratios = [row[quantity] for row in rows]
    return f"{text} {np.exp(np.mean(np.log(ratios))):.1f}× and {max(ratios):.1f}×"


def heading(rows: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    eager, compiled = (np.exp(np.mean([np.log(row[way]) for row in rows])) for way in ("eager", "compiled"))
    return (
        f"A gradient takes at most {max(row['flops'] for row in rows):.1f}× the flops of its function; by the clock\n"
        f"the tape's overhead exceeds that ({eager:.1f}× in the mean), compiled code takes {compiled:.1f}×"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """One line a function, one marker a way to count, the bound as a band."""
    made = style.figure(style.WIDE, 2.4 + 0.3 * len(rows), heading(rows))
    ax = made.subplots()
    ax.axvspan(LOW, BOUND, color=style.YELLOW, alpha=0.45, zorder=0, label="bound of the flops: 4 to 5")
    for y, row in enumerate(rows):
        ax.plot([1, row["flops"]], [y, y], color="#BBBBBB", linewidth=5, solid_capstyle="butt", zorder=1)
        ax.annotate(f"{row['inputs']:,}", (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=10)
    for quantity, look in LOOKS.items():
        ax.plot([row[quantity] for row in rows], range(len(rows)), linestyle="", zorder=3, **look)
    ax.annotate("inputs", (1.01, -0.9), xycoords=("axes fraction", "data"), va="bottom", fontsize=10, weight="bold")
    ax.set_yticks(range(len(rows)), [row["function"] for row in rows])
    ax.set(xscale="log", xlabel="cost of the gradient (value included) over the cost of f")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ticks = [t for t in (0.5, 1, 2, 3, 4, 5, 7, 10, 20, 50, 100) if t <= 1.1 * max(ax.get_xlim()[1], BOUND)]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    made.legend(loc="outside lower center", ncols=4)
    return made


def run(study: Study) -> str:
    rounds, seconds = (51, 2.0) if study.full else (7, 0.08)
    rows = [measure(case, rounds, seconds) for case in study.track(cases(study.rng()), "functions")]
    study.table(rows)
    study.picture(draw(rows))
    return finding(rows)
