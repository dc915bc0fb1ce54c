"""Does a layer given by an equation learn as an explicit one does, in memory that its iterations do not touch?

Four implicit layers (implicit_layers.py): a deep equilibrium layer z = tanh(W z + U x + b) between the pixels of the
digits and their scores; the pose of a camera from four points, Gauss–Newton on the reprojection error; the lowest
eigenvalue and eigenvector of a chain of masses; and van der Pol's oscillator, μ = 1.5, over 5 units of time.

How it is measured.  Digits: the split and the batches of experiment `digits`, by SGD with a step that falls as a
cosine, for the equilibrium network and for the explicit one of `digits`, each of 64 hidden units; the share of held-out
digits that are right.  Memory: the most bytes that `tracemalloc` sees in one gradient on a batch, with the layer at
rest after a number of iterations, by `fixed_point` and by differentiating these iterations.  Finite differences:
largest error of central differences through the solver, relative to the largest entry of the Jacobian, with the solver
run to the end, and stopped after four Gauss–Newton steps; the implicit function's derivative is compared with that of
the solver's own steps (pose) and with the rule of `eigh`.  Oscillator: the error of a gradient in (y₀, y₀′, μ) against
`odeint` at 1e-13, by `odeint` (optimise, then discretise) and by differentiating the steps of the classical
Runge–Kutta method (discretise, then optimise), over the evaluations of the right-hand side in the forward solution.

What to expect, and why.  The equilibrium network has a layer of any depth in the parameters of one, and learns as well.
Its derivative is one linear solve at the fixed point, so that memory stays; the unrolled layer keeps each iteration.
Central differences err by O(ε²) above and by rounding, or by what the solver left undone, over ε below.  The
derivative of n Runge–Kutta steps is exact for these steps, and away from that of the solution by O(n⁻⁴), like the
solution itself; the adjoint equation's error follows its tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import admodes

from . import digits, style
from . import implicit_layers as layers
from .frame import SEED, Row, Study
from .memory import peak

HIDDEN, BATCH, STEP = 64, 32, 0.3
EPOCHS, FULL_EPOCHS = 8, 15
PENALTY = 1e-4

ITERATIONS = (5, 10, 20, 50, 100, 200)
STEPS_TO_TRY = 10.0 ** np.arange(-10, -0.5, 0.5)
RUNGE_KUTTA = (10, 20, 40, 80, 160, 320, 640)
TOLERANCES = tuple(10.0 ** -np.arange(3, 13))
EARLY = 4  # Gauss–Newton steps

NETWORKS: dict[str, dict[str, Any]] = {
    "equilibrium": {"color": style.BLUE, "linestyle": "-"},
    "explicit": {"color": style.VERMILION, "linestyle": "--"},
}
DERIVATIVES: dict[str, dict[str, Any]] = {
    "pose, solved": {"color": style.VERMILION, "marker": "s"},
    f"pose, stopped after {EARLY} steps": {"color": style.PURPLE, "marker": "v"},
    "eigenvector": {"color": style.GREEN, "marker": "^"},
}
METHODS: dict[str, dict[str, Any]] = {
    "Runge–Kutta steps": {"color": style.VERMILION, "marker": "s"},
    "odeint, reverse": {"color": style.BLUE, "marker": "o"},
    "odeint, forward": {"color": style.GREEN, "marker": "^"},
}


# ---------------------------------------------------------------------------------------------------
# Digits
# ---------------------------------------------------------------------------------------------------


class Network:
    """A network as the training loop sees it."""

    def __init__(self, name: str, pixels: int, classes: int, rng: np.random.Generator) -> None:
        self.name, self.implicit = name, name == "equilibrium"
        make = layers.initial if self.implicit else digits.initial
        self.parameters: Any = make(pixels, HIDDEN, classes, rng)

    def scores(self, parameters: Any, images: Any) -> Any:
        if self.implicit:
            return layers.scores(parameters, layers.equilibrium(parameters, images))
        return digits.scores(parameters, images)

    def loss(self, parameters: Any, images: Any, labels: Any) -> Any:
        if self.implicit:
            return layers.loss(parameters, layers.equilibrium(parameters, images), labels, PENALTY)
        return digits.loss(parameters, images, labels)

    def right(self, split: digits.Split) -> float:
        """The share of images whose highest score is that of their label."""
        return float(np.mean(np.argmax(self.scores(self.parameters, split.images), axis=1) == split.labels))


def train(learn: digits.Split, held_out: digits.Split, seeds: Sequence[int], epochs: int, track: Any) -> list[Row]:
    """One row an epoch, network and initialisation."""
    networks = {}
    for seed in seeds:
        for name in NETWORKS:
            rng = np.random.default_rng(seed)
            classes = int(learn.labels.max()) + 1
            networks[name, seed] = (Network(name, learn.images.shape[1], classes, rng), rng)
    rows: list[Row] = []
    for epoch in track(range(epochs), "epochs"):
        for (name, seed), (network, rng) in networks.items():
            mean = one_epoch(network, learn, rng, epoch, epochs)
            right = network.right(held_out)
            rows.append({"network": name, "initialisation": seed, "epoch": epoch + 1, "loss": mean, "held_out": right})
    return rows


def one_epoch(network: Network, learn: digits.Split, rng: np.random.Generator, epoch: int, epochs: int) -> float:
    """One pass through the images; the mean loss."""
    step_of = admodes.value_and_grad(network.loss)
    order, losses = rng.permutation(len(learn.labels)), []
    starts = range(0, len(order) - BATCH + 1, BATCH)
    for k, start in enumerate(starts):
        batch = order[start : start + BATCH]
        value, gradient = step_of(network.parameters, learn.images[batch], learn.labels[batch])
        step = STEP * (1 + np.cos(np.pi * (epoch + k / len(starts)) / epochs)) / 2
        network.parameters = {name: w - step * gradient[name] for name, w in network.parameters.items()}
        losses.append(float(value))
    return float(np.mean(losses))


def memory(learn: digits.Split, iterations: Sequence[int], rng: np.random.Generator) -> list[Row]:
    """Bytes of one gradient, by the fixed point and by the iterations themselves, one row each."""
    parameters = layers.initial(learn.images.shape[1], HIDDEN, 10, rng)
    images, labels = learn.images[:BATCH], learn.labels[:BATCH]
    rows: list[Row] = []
    for k in iterations:

        def search(residual: Callable[[Any], Any], z: Any, k: int = k) -> Any:
            for _ in range(k):
                z = z - residual(z)
            return z

        def at_rest(p: Any, search: Any = search) -> Any:
            return layers.loss(p, layers.equilibrium(p, images, solver=search), labels, PENALTY)

        def by_steps(p: Any, k: int = k) -> Any:
            return layers.loss(p, layers.unrolled(p, images, k), labels, PENALTY)

        for way, f in (("fixed point", at_rest), ("unrolled", by_steps)):
            gradient = admodes.grad(f)
            gradient(parameters)
            rows.append({"way": way, "iterations": k, "bytes": peak(gradient, (parameters,))})
    return rows


# ---------------------------------------------------------------------------------------------------
# Finite differences through a solver
# ---------------------------------------------------------------------------------------------------


def central(f: Callable[[Any], Any], x: np.ndarray, h: float) -> np.ndarray:
    """The Jacobian by central differences, 2n evaluations: (m, n)."""
    units = np.eye(x.size).reshape(-1, *x.shape)
    return np.stack([np.ravel(f(x + h * e) - f(x - h * e)) / (2 * h) for e in units], axis=1)


def differences(rng: np.random.Generator) -> tuple[list[Row], dict[str, float]]:
    """One row a function and step; and how far the implicit derivative is from that of another way."""
    images = layers.project(layers.POSE) + 0.01 * rng.normal(size=(4, 2))
    springs = np.array([1.0, 2.0, 1.5, 3.0, 1.0, 2.0])
    pose = admodes.jacrev(layers.pose_of)(images).reshape(6, -1)
    by_steps = admodes.jacfwd(layers.pose_by_steps)(images).reshape(6, -1)
    vector, by_rule = admodes.jacrev(layers.slowest_by_root)(springs), admodes.jacrev(layers.slowest_by_rule)(springs)
    apart = {"pose": _error(pose, by_steps), "eigenvector": _error(vector, by_rule)}
    names = list(DERIVATIVES)
    cases = (
        (names[0], layers.pose_by_steps, images, pose),
        (names[1], lambda u: layers.pose_by_steps(u, EARLY), images, pose),
        (names[2], layers.slowest_by_rule, springs, vector),
    )
    rows: list[Row] = [
        {"function": name, "step": h, "error": _error(central(f, x, h), J)}
        for name, f, x, J in cases
        for h in STEPS_TO_TRY
    ]
    return rows, apart


def _error(found: Any, right: Any) -> float:
    return float(np.max(np.abs(found - right)) / np.max(np.abs(right)))


# ---------------------------------------------------------------------------------------------------
# A differential equation
# ---------------------------------------------------------------------------------------------------


def oscillations() -> list[Row]:
    """One row a method and resolution: evaluations of the right-hand side, and the error of the gradient."""
    p = np.array([2.0, 0.0, 1.5])
    right = admodes.grad(layers.by_odeint)(p, 1e-13)
    rows: list[Row] = []
    for steps in RUNGE_KUTTA:
        g = admodes.grad(layers.by_runge_kutta)(p, steps)
        rows.append({"method": "Runge–Kutta steps", "evaluations": 4 * steps, "error": _error(g, right)})
    for rtol in TOLERANCES:
        calls: list[int] = []

        def counted(y: Any, t: Any, mu: Any, calls: list[int] = calls) -> Any:
            calls.append(1)
            return layers.oscillator(y, t, mu)

        layers.by_odeint(p, rtol, counted)
        for method, way in (("odeint, reverse", admodes.grad), ("odeint, forward", admodes.jacfwd)):
            error = _error(way(layers.by_odeint)(p, rtol), right)
            rows.append({"method": method, "evaluations": len(calls), "error": error})
    return rows


# ---------------------------------------------------------------------------------------------------
# What is found, and pictures
# ---------------------------------------------------------------------------------------------------


def least_right(curve: Sequence[Row]) -> dict[str, float]:
    """Of each network the least share of held-out digits that were right at the end."""
    last = max(row["epoch"] for row in curve)
    return {
        name: min(row["held_out"] for row in curve if row["network"] == name and row["epoch"] == last)
        for name in NETWORKS
    }


def growth(rows: Sequence[Row], way: str) -> float:
    """Bytes of the most iterations over those of the fewest."""
    mine = [row["bytes"] for row in rows if row["way"] == way]
    return float(mine[-1] / mine[0])


def finding(curve: Sequence[Row], kept: Sequence[Row], errors: Sequence[Row], apart: Any, ode: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    right = least_right(curve)
    runs = len({row["initialisation"] for row in curve})
    best = {name: min(row["error"] for row in errors if row["function"] == name) for name in DERIVATIVES}
    solved, stopped, _ = best.values()
    few, many = (min(row["iterations"] for row in kept), max(row["iterations"] for row in kept))
    coarse = next(row["error"] for row in ode if row["evaluations"] == 4 * RUNGE_KUTTA[2])
    adjoint = min(row["error"] for row in ode if row["method"] == "odeint, reverse")
    return (
        f"the equilibrium network gets {right['equilibrium']:.1%} of the held-out digits right, the explicit one "
        f"{right['explicit']:.1%} (the least of {runs} runs); from {few} to {many} iterations its gradient takes "
        f"{growth(kept, 'fixed point'):.2f}× the memory, unrolled {growth(kept, 'unrolled'):.0f}×; a pose is "
        f"differentiated to {apart['pose']:.0e}, by central differences to {solved:.0e} at best and to {stopped:.0e} "
        f"where the solver stops early; the derivative of {RUNGE_KUTTA[2]} Runge–Kutta steps is {coarse:.0e} away, "
        f"odeint's {adjoint:.0e}"
    )


@style.styled
def draw_layer(curve: Sequence[Row], kept: Sequence[Row]) -> Any:
    """Held-out digits over epochs on the left, memory over iterations on the right."""
    right = least_right(curve)
    made = style.figure(
        style.WIDE,
        5.2,
        f"An equilibrium layer learns the digits as an explicit network does ({right['equilibrium']:.1%}, "
        f"{right['explicit']:.1%}),\nand its gradient takes the same memory however long it iterates",
    )
    left, beside = made.subplots(1, 2)
    several = len({row["initialisation"] for row in curve}) > 1
    for name, look in NETWORKS.items():
        for i, seed in enumerate(dict.fromkeys(row["initialisation"] for row in curve)):
            mine = [row for row in curve if row["network"] == name and row["initialisation"] == seed]
            label = name if i == 0 else None
            left.plot([r["epoch"] for r in mine], [r["held_out"] for r in mine], label=label, **look)
    left.set(
        xlabel="epoch",
        ylabel="held-out digits right",
        title="Training, from several initialisations" if several else "Training",
    )
    left.set_ylim(0.8, 1.0)
    left.set_yticks(np.arange(0.8, 1.01, 0.04))
    left.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    left.legend(loc="lower right")
    looks = {"fixed point": style.REVERSE, "unrolled": {**style.FORWARD, "label": "unrolled"}}
    for way, look in looks.items():
        mine = [row for row in kept if row["way"] == way]
        label = {"fixed point": "implicit, fixed_point", "unrolled": "iterations differentiated"}[way]
        x, y = [r["iterations"] for r in mine], [r["bytes"] / 1e6 for r in mine]
        beside.plot(x, y, **{**look, "label": label})
    beside.set(xscale="log", yscale="log", xlabel="iterations of the layer", ylabel="peak memory of one gradient, MB")
    beside.set_title(f"Memory, a batch of {BATCH}")
    style.plain_numbers(beside.xaxis, beside.yaxis)
    beside.legend(loc="upper left")
    return made


@style.styled
def draw_solvers(errors: Sequence[Row], apart: Any, ode: Sequence[Row]) -> Any:
    """Finite differences through solvers on the left; the two ways through a differential equation on the right."""
    solved = min(row["error"] for row in errors if row["function"] == "pose, solved")
    made = style.figure(
        style.WIDE,
        6.0,
        f"Finite differences through a solver reach {solved:.0e} at best, its equation {apart['pose']:.0e};\n"
        "discretise-then-optimise is as far off as its steps, the adjoint equation as its tolerance",
    )
    left, right = made.subplots(1, 2)
    for name, look in DERIVATIVES.items():
        mine = [row for row in errors if row["function"] == name]
        left.plot([r["step"] for r in mine], [r["error"] for r in mine], label=f"differences: {name}", **look)
    steps = np.array([row["step"] for row in errors if row["function"] == "pose, solved"])
    left.plot(steps[8:], 0.3 * steps[8:] ** 2 * 1e0, linestyle="--", label="slope ε²", **style.THEORY)
    left.plot(steps[:10], 1e-16 / steps[:10], linestyle=":", label="slope 1/ε", **style.THEORY)
    left.axhline(apart["pose"], color=style.BLACK, label="implicit function: pose")
    left.set(xscale="log", yscale="log", xlabel="step ε", ylabel="largest error / largest entry")
    left.set(title="Central differences through a solver", ylim=(1e-17, 10))
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize=9.5, ncols=2)
    for method, look in METHODS.items():
        mine = [row for row in ode if row["method"] == method]
        right.plot([r["evaluations"] for r in mine], [r["error"] for r in mine], label=method, **look)
    counts = np.array([row["evaluations"] for row in ode if row["method"] == "Runge–Kutta steps"], float)
    last = [row["error"] for row in ode if row["method"] == "Runge–Kutta steps"][-1]
    right.plot(counts, 3 * last * (counts / counts[-1]) ** -4, linestyle="--", label="slope −4", **style.THEORY)
    right.set(xscale="log", yscale="log", xlabel="evaluations of the right-hand side, forward")
    right.set(ylabel="largest error / largest entry", title="The gradient of an oscillator's end")
    style.plain_numbers(right.xaxis)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize=9.5, ncols=2)
    return made


def run(study: Study) -> str:
    learn, held_out = digits.load(study.rng())
    curve = train(
        learn, held_out, range(3) if study.full else range(1), FULL_EPOCHS if study.full else EPOCHS, study.track
    )
    right = least_right(curve)
    if right["equilibrium"] < digits.GOAL:
        raise RuntimeError(f"the equilibrium network gets only {right['equilibrium']:.1%} of the held-out digits right")
    kept = memory(learn, ITERATIONS, np.random.default_rng(SEED))
    errors, apart = differences(study.rng())
    ode = oscillations()
    study.table(curve)
    study.table(kept, "memory")
    study.table(errors, "differences")
    study.table([{"function": name, "apart": value} for name, value in apart.items()], "other_ways")
    study.table(ode, "oscillator")
    study.picture(draw_layer(curve, kept))
    study.picture(draw_solvers(errors, apart, ode), "solvers")
    return finding(curve, kept, errors, apart, ode)
