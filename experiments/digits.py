"""Can a network learn handwritten digits with these gradients, and what would they cost by another mode?

The network: 64 pixels, one hidden layer of 64 ReLU units, 10 classes; the loss is the mean softmax cross-entropy plus
λ·(‖W₁‖² + ‖W₂‖²) (seed lecture 002).  The digits are the 1797 of scikit-learn, 8×8 pixels; a quarter is held out.
Training is stochastic gradient descent with mini-batches of 32 (seed lecture 001), the gradient by reverse mode.

How it is measured.  After every epoch: the mean loss of its batches, and the share of held-out digits that are right; a
full run trains from five initialisations.  Beside it the cost of one gradient on one batch: multiply-adds counted by
carrying the derivative out (for finite differences: evaluations times the count of one), and the median seconds.
Forward mode needs one tangent for each of the p parameters and finite differences p + 1 evaluations: a short run times
only so many of them as the table says, and multiplies; a full run times them all.

What to expect, and why.  At least 95 % of the held-out digits.  By reverse mode a gradient costs between 2 and 3 times
the loss itself, whatever p is: beside the two products of the forward pass, one for W₁ and two for W₂ and what is
before it.  Forward mode and finite differences cost about p times the loss: with p = 4,810 parameters, thousands of
times more multiply-adds.  The clock is kinder to forward mode, whose p tangents share large matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MultipleLocator

import admodes
from admodes.layers import cross_entropy, l2_penalty, linear, relu
from admodes.program import cost as count

from . import style
from .frame import Row, Study
from .timing import interleaved

HIDDEN = 64
BATCH = 32
EPOCHS = 30
STEP = 0.3
PENALTY = 1e-4
GOAL = 0.95

Parameters = dict[str, np.ndarray]

LOOKS = {"reverse": style.REVERSE, "forward": style.FORWARD, "finite differences": style.DIFFERENCES}


@dataclass(frozen=True)
class Split:
    """Images (N, pixels) in 0 … 1 and their labels (N,), to learn from or held out."""

    images: np.ndarray
    labels: np.ndarray


def load(rng: np.random.Generator) -> tuple[Split, Split]:
    """The digits: three quarters to learn from, and the rest held out, at random."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = rng.permutation(len(data.target))
    held_out = len(order) // 4
    images, labels = data.data[order] / 16.0, data.target[order]
    return Split(images[held_out:], labels[held_out:]), Split(images[:held_out], labels[:held_out])


def initial(pixels: int, hidden: int, classes: int, rng: np.random.Generator) -> Parameters:
    """Weights of variance 2/inputs, which ReLU keeps (He et al. 2015); biases zero."""
    return {
        "W1": rng.normal(size=(hidden, pixels)) * np.sqrt(2 / pixels),
        "b1": np.zeros(hidden),
        "W2": rng.normal(size=(classes, hidden)) * np.sqrt(2 / hidden),
        "b2": np.zeros(classes),
    }


def scores(parameters: Any, images: Any) -> Any:
    """W₂ relu(W₁ x + b₁) + b₂ for each image."""
    hidden = relu(linear(images, parameters["W1"], parameters["b1"]))
    return linear(hidden, parameters["W2"], parameters["b2"])


def loss(parameters: Any, images: Any, labels: Any) -> Any:
    """Mean cross-entropy, in nats, and the penalty on the weights."""
    data = np.mean(cross_entropy(scores(parameters, images), labels))
    return data + PENALTY * l2_penalty(parameters["W1"], parameters["W2"])


def accuracy(parameters: Parameters, split: Split) -> float:
    """The share of images whose highest score is that of their label."""
    return float(np.mean(np.argmax(scores(parameters, split.images), axis=1) == split.labels))


def epoch(parameters: Parameters, split: Split, rng: np.random.Generator) -> tuple[Parameters, float]:
    """θ ← θ − η ∇L over the batches of one pass through the images; the new parameters and the mean loss."""
    step = admodes.value_and_grad(loss)
    order, losses = rng.permutation(len(split.labels)), []
    for start in range(0, len(order) - BATCH + 1, BATCH):
        batch = order[start : start + BATCH]
        value, gradient = step(parameters, split.images[batch], split.labels[batch])
        parameters = {name: w - STEP * gradient[name] for name, w in parameters.items()}
        losses.append(float(value))
    return parameters, float(np.mean(losses))


def finite_differences(f: Callable[[Any], Any], parameters: Parameters, parts: int) -> np.ndarray:
    """The first `parts` entries of the gradient, in the order of the parameters: parts + 1 evaluations."""
    h = np.sqrt(np.finfo(float).eps)
    slopes: list[float] = []
    base = f(parameters)
    for w in parameters.values():
        flat = w.reshape(-1)
        for i in range(min(flat.size, parts - len(slopes))):
            kept = flat[i]
            flat[i] = kept + h
            slopes.append((f(parameters) - base) / h)
            flat[i] = kept
    return np.array(slopes)


def unit_tangents(parameters: Parameters, parts: int) -> Parameters:
    """The first `parts` unit directions of the parameters, (parts, *shape) each."""
    tangents, offset = {}, 0
    for name, w in parameters.items():
        unit = np.zeros((parts, w.size))
        places = np.arange(max(0, min(w.size, parts - offset)))
        unit[places + offset, places] = 1.0
        tangents[name], offset = unit.reshape(parts, *w.shape), offset + w.size
    return tangents


def ways(f: Callable[[Any], Any], parameters: Parameters, parts: int | None) -> dict[str, Callable[[], Any]]:
    """The gradient by each mode; by forward mode and by differences only its first parts, or all of it."""
    size = sum(w.size for w in parameters.values())
    forward = admodes.jacfwd(f)
    tangents = unit_tangents(parameters, parts) if parts else {}
    return {
        "reverse": lambda: admodes.grad(f)(parameters),
        "forward": lambda: admodes.jvp(f, (parameters,), (tangents,))[1] if parts else forward(parameters),
        "finite differences": lambda: finite_differences(f, parameters, parts or size),
    }


def flat(gradient: Any) -> np.ndarray:
    """A gradient as one vector, in the order of the parameters."""
    if isinstance(gradient, dict):
        return np.concatenate([g.ravel() for g in gradient.values()])
    return np.asarray(gradient)


def costs(parameters: Parameters, batch: Split, parts: int | None, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row a mode: the work and the time of one gradient on one batch."""

    def f(p: Any) -> Any:
        return loss(p, batch.images, batch.labels)

    p = sum(w.size for w in parameters.values())
    tasks = ways(f, parameters, parts)
    exact = flat(tasks["reverse"]())
    for mode, tolerance in (("forward", 1e-9), ("finite differences", 1e-4)):
        found = flat(tasks[mode]())
        np.testing.assert_allclose(found, exact[: found.size], rtol=tolerance, atol=tolerance)
    evaluation = count(f, parameters).multiply_adds
    work = {
        "reverse": count(admodes.grad(f), parameters).multiply_adds,
        "forward": count(admodes.jacfwd(f), parameters).multiply_adds,
        "finite differences": (p + 1) * evaluation,
    }
    taken = interleaved({**tasks, "loss": lambda: f(parameters)}, rounds, seconds, least=2)
    directions = {"reverse": (1, 1), "forward": (p, parts or p), "finite differences": (p + 1, (parts or p) + 1)}
    return [
        {
            "mode": mode,
            "parameters": p,
            "multiply_adds": work[mode],
            "multiply_adds_of_loss": evaluation,
            "passes": passes,
            "passes_timed": timed,
            "seconds_timed": taken[mode],
            "seconds": taken[mode] * passes / timed,
            "seconds_of_loss": taken["loss"],
            "extrapolated": int(timed < passes),
        }
        for mode, (passes, timed) in directions.items()
    ]


def train(learn: Split, held_out: Split, seeds: Sequence[int], epochs: int, track: Any) -> list[dict[str, Any]]:
    """One row an epoch and initialisation."""
    rows = []
    states = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        states[seed] = (initial(learn.images.shape[1], HIDDEN, int(learn.labels.max()) + 1, rng), rng)
    for number in track(range(1, epochs + 1), "epochs"):
        for seed, (parameters, rng) in states.items():
            parameters, mean_loss = epoch(parameters, learn, rng)
            states[seed] = (parameters, rng)
            row = {"initialisation": seed, "epoch": number, "loss": mean_loss}
            rows.append({**row, "held_out": accuracy(parameters, held_out), "learnt": accuracy(parameters, learn)})
    return rows


def finding(curve: Sequence[Row], cost: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    last = max(row["epoch"] for row in curve)
    worst = min(row["held_out"] for row in curve if row["epoch"] == last)
    by = {row["mode"]: row for row in cost}
    reverse, forward = by["reverse"], by["forward"]
    runs = len({row["initialisation"] for row in curve})
    of = f" (the least of {runs} runs)" if runs > 1 else ""
    over_loss = reverse["multiply_adds"] / reverse["multiply_adds_of_loss"]
    work, clock = (forward[quantity] / reverse[quantity] for quantity in ("multiply_adds", "seconds"))
    return (
        f"{worst:.1%} of the held-out digits right{of}; one gradient by reverse mode costs {over_loss:.1f}× the loss "
        f"in multiply-adds, forward mode {work:,.0f}× that and {clock:,.0f}× the time"
    )


def heading(curve: Sequence[Row], cost: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    last = max(row["epoch"] for row in curve)
    worst = min(row["held_out"] for row in curve if row["epoch"] == last)
    by = {row["mode"]: row for row in cost}
    work, clock = (by["forward"][quantity] / by["reverse"][quantity] for quantity in ("multiply_adds", "seconds"))
    return (
        f"Reverse mode trains a network that reads {worst:.1%} of the digits held out;\n"
        f"forward mode takes {work:,.0f}× its multiply-adds and {clock:,.0f}× its time"
    )


@style.styled
def draw(curve: Sequence[Row], cost: Sequence[Row]) -> Any:
    """Training on the left, the cost of a gradient by each mode on the right."""
    made = style.figure(style.WIDE, 5.2, heading(curve, cost))
    left, right = made.subplots(1, 2)
    seeds = list(dict.fromkeys(row["initialisation"] for row in curve))
    for seed in seeds:
        mine = [row for row in curve if row["initialisation"] == seed]
        left.plot([r["epoch"] for r in mine], [r["held_out"] for r in mine], color=style.BLUE, linewidth=1.4)
    left.axhline(GOAL, color=style.BLACK, linestyle="--", linewidth=1.3)
    left.yaxis.set_major_locator(MultipleLocator(0.05))
    left.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    runs = f"{len(seeds)} initialisations" if len(seeds) > 1 else "one initialisation"
    left.set(xlabel="epoch", ylabel="held-out digits right", title=f"Training by reverse mode, {runs}")
    _bars(right, cost)
    right.set_title(f"One gradient by {cost[0]['parameters']:,} parameters, over the loss")
    return made


BARS = (
    ("multiply_adds", "multiply-adds, counted", {"hatch": "", "alpha": 1.0}),
    ("seconds", "seconds", {"hatch": "///", "alpha": 0.6}),
)


def _bars(ax: Any, cost: Sequence[Row]) -> None:
    """Of each mode the multiply-adds and the seconds, as multiples of the loss's."""
    for side, (quantity, label, look) in enumerate(BARS):
        for place, row in enumerate(cost):
            y, times = place + 0.2 * (2 * side - 1), row[quantity] / row[f"{quantity}_of_loss"]
            ax.barh(y, times, 0.36, color=LOOKS[row["mode"]]["color"], edgecolor="white", **look)
            part = f" ({row['passes_timed']:,} timed)" if side and row["extrapolated"] else ""
            ax.annotate(f"{times:,.3g}×{part}" if times < 100 else f"{times:,.0f}×{part}", (times, y), xytext=(4, 0),
                        textcoords="offset points", va="center", fontsize=10.5)  # fmt: skip
        ax.bar([1], [0], color=style.GREY, edgecolor="white", label=label, **look)
    ax.axvline(1, color=style.BLACK, linestyle="--", linewidth=1.3, label="the loss alone")
    high = max(row[quantity] / row[f"{quantity}_of_loss"] for row in cost for quantity, _, _ in BARS)
    ax.set(xscale="log", xlim=(0.5, high * 60), xlabel="over those of the loss itself")
    ax.set_yticks(range(len(cost)), [row["mode"].replace(" ", "\n") for row in cost])
    ax.set_ylim(len(cost) - 0.4, -1.55)
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper right")


def run(study: Study) -> str:
    learn, held_out = load(study.rng())
    curve = train(learn, held_out, range(5) if study.full else range(1), EPOCHS, study.track)
    reached = min(row["held_out"] for row in curve if row["epoch"] == EPOCHS)
    if reached < GOAL:
        raise RuntimeError(f"only {reached:.1%} of the held-out digits are right; the goal is {GOAL:.0%}")
    batch = Split(learn.images[:BATCH], learn.labels[:BATCH])
    parameters = initial(learn.images.shape[1], HIDDEN, 10, study.rng())
    cost = costs(parameters, batch, *((None, 15, 10.0) if study.full else (256, 5, 0.5)))
    study.table(curve)
    study.table(cost, "cost")
    study.picture(draw(curve, cost))
    return finding(curve, cost)
