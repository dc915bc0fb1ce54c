"""How near to the machine's limits do native kernels come, and how exact are they?

How it is measured.  A kernel reads and writes so many bytes and does so many flops (as `cost` counts them: 10 for a
transcendental function); the machine moves so many bytes a second from its memory or its caches, and does so many
flops.  The larger of the two times is the least that a kernel can take: the roofline.  Both peaks are measured by
kernels of our own: x + 3 y over arrays of 24 kB to 120 MB, and polynomials.  The programs are gradients, most of them
of no other experiment: stencils, a loss with an index array, pairwise forces, log-sum-exp, a Kalman filter and a hidden
Markov model as loops.  Beside each stand the same program as flat NumPy code, and compiled by JAX, where that is
installed and the program is not too long for it.  How exact each function is mpmath says, in units of the last place.

What to expect, and why.  Stencils and sums come near the speed of memory or cache, and above it where an array is read
several times but counted once.  Functions of libmvec take 1 to 3 ns an element on 8 lanes, near what is counted for
them.  Programs whose time is in matrix products or in thousands of small steps gain little; loops over single numbers
gain most, for there a step was a line of Python.

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52 (2009).
"""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from rich.table import Table

import admodes
from admodes.program.compile import Runner
from admodes.program.cost import work
from admodes.program.native.calls import usable
from admodes.program.native.group import kernels
from admodes.program.native.worth import with_kernels, with_tables
from admodes.program.passes import PASSES, optimise
from admodes.program.primitives import KERNELS

from . import style
from .frame import Row, Study
from .speed import geometric_mean, one_core
from .timing import interleaved
from .workloads import elementwise, mixture, places, rosenbrock

Array = Any


# ---------------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """A function of arrays to a number, and arguments; it is differentiated by the first `by`."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Array, ...]
    by: int = 1


def stencil(u: Array) -> Array:
    """The energy of a five-point stencil."""
    r = 4 * u[1:-1, 1:-1] - u[2:, 1:-1] - u[:-2, 1:-1] - u[1:-1, 2:] - u[1:-1, :-2]
    return np.sum(r * r)


def stencil_in_space(u: Array) -> Array:
    dx, dy, dz = u[1:] - u[:-1], u[:, 1:] - u[:, :-1], u[:, :, 1:] - u[:, :, :-1]
    return np.sum(dx**2) + np.sum(dy**2) + np.sum(np.sqrt(1 + dz**2))


def cross_entropy(logits: Array, labels: Array) -> Array:
    z = logits - np.max(logits, axis=1, keepdims=True)
    logs = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logs[np.arange(len(labels)), labels])


def pair_energy(p: Array) -> Array:
    d = p[:, None] - p[None]
    r = np.sum(d * d, axis=-1) + 1.0
    return np.sum(1 / r**6 - 1 / r**3)


def log_sum_exp(x: Array) -> Array:
    top = np.max(x, axis=0)
    return np.sum(top + np.log(np.sum(np.exp(x - top), axis=0)))


def kalman(a: Array, q: Array, y: Array) -> Array:
    """Minus the log-likelihood of a scalar random walk with slope a, noise e^q, seen with noise 1."""
    m, P, loss = 0.0, 1.0, 0.0
    for k in range(len(y)):
        m, P = a * m, a * a * P + np.exp(q)
        S = P + 1.0
        e = y[k] - m
        loss = loss + 0.5 * (np.log(S) + e * e / S)
        gain = P / S
        m, P = m + gain * e, (1 - gain) * P
    return loss


def markov(logits: Array, emissions: Array) -> Array:
    """Minus the log-likelihood of a hidden Markov model, forwards in logarithms."""
    move = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    alpha = emissions[0]
    for k in range(1, len(emissions)):
        s = alpha[:, None] + move
        top = np.max(s, axis=0)
        alpha = top + np.log(np.sum(np.exp(s - top), axis=0)) + emissions[k]
    top = np.max(alpha)
    return -(top + np.log(np.sum(np.exp(alpha - top))))


def layer_norm(x: Array, g: Array, b: Array) -> Array:
    mean = np.mean(x, axis=-1, keepdims=True)
    d = x - mean
    return np.sum(np.tanh(d / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + 1e-5) * g + b) ** 2)


def examples(rng: np.random.Generator) -> list[Example]:
    """The programs, in the order of the table."""
    d, K, N = 10, 25, 1000
    gaussian = (
        rng.normal(size=K), rng.uniform(size=(K, d)), rng.normal(size=(K, d)), rng.normal(size=(K, d * (d - 1) // 2)),
        rng.normal(size=(N, d)), places(d), np.eye(d),
    )  # fmt: skip
    return [
        Example("elementwise, n = 1,000", lambda x: elementwise(np, x), (rng.normal(size=1000),)),
        Example("elementwise, n = 1,000,000", lambda x: elementwise(np, x), (rng.normal(size=1_000_000),)),
        Example("Rosenbrock, n = 100,000", lambda x: rosenbrock(np, x), (rng.normal(size=100_000),)),
        Example("stencil, 500 × 500", stencil, (rng.normal(size=(500, 500)),)),
        Example("stencil, 60 × 60 × 60", stencil_in_space, (rng.normal(size=(60, 60, 60)),)),
        Example("cross-entropy, 2,000 × 50", cross_entropy, (rng.normal(size=(2000, 50)), rng.integers(0, 50, 2000))),
        Example("pairs of 300 bodies", pair_energy, (rng.normal(size=(300, 3)),)),
        Example("log-sum-exp, 100 × 2,000", log_sum_exp, (rng.normal(size=(100, 2000)),)),
        Example("layer norm, 256 × 512", layer_norm, (rng.normal(size=(256, 512)), np.ones(512), np.zeros(512)), 3),
        Example("Gaussian mixture", lambda *a: mixture(np, *a), gaussian, 4),
        Example("Kalman, 200 steps", kalman, (0.9, -1.0, rng.normal(size=200)), 2),
        Example("hidden Markov, 8 states, 100 steps", markov, (rng.normal(size=(8, 8)), rng.normal(size=(100, 8))), 2),
    ]


# ---------------------------------------------------------------------------------------------------
# The machine
# ---------------------------------------------------------------------------------------------------


# Doubles of each of three arrays that are read and written to find how fast that goes.
LENGTHS = (1_000, 10_000, 100_000, 5_000_000)


@dataclass(frozen=True)
class Peaks:
    """Bytes a second by footprint, from the smallest on: (bytes of the arrays, speed); and flops a second."""

    speeds: tuple[tuple[int, float], ...]
    flops: float

    def least(self, moved: float, flops: float, footprint: float) -> float:
        """Seconds that so much work takes at least, on arrays of so many bytes in all."""
        speed = next((s for size, s in self.speeds if footprint <= 2 * size), self.speeds[-1][1])
        return max(moved / speed, flops / self.flops)


def peaks() -> Peaks:
    """What this machine does, measured."""

    def polynomials(x: Array) -> Array:
        ys = [x + k for k in range(8)]  # eight at once, so that none waits for its own last step
        for k in range(16):
            ys = [y * x + (1.0 + k) for y in ys]
        return sum(ys)

    tasks: dict[Any, Callable[[], Any]] = {}
    for n in LENGTHS:
        x = np.ones(n)
        tasks[24 * n] = functools.partial(_runner(lambda x, y: x + 3.0 * y, (x, x.copy())), (x, x.copy()))
    wide = np.linspace(0, 1, 4096)
    tasks["flops"] = functools.partial(_runner(polynomials, (wide,)), (wide,))
    taken = interleaved(tasks, 25, 1.0)
    speeds = tuple((24 * n, 24 * n / taken[24 * n]) for n in LENGTHS)
    return Peaks(speeds, (8 * 33 + 8) * wide.size / taken["flops"])


def _runner(f: Callable[..., Any], arguments: tuple[Any, ...]) -> Runner:
    return Runner(admodes.trace(f, *arguments), native=True)


# ---------------------------------------------------------------------------------------------------
# Measuring
# ---------------------------------------------------------------------------------------------------


def measured(example: Example, peak: Peaks, rounds: int, seconds: float) -> dict[str, Any]:
    """One row: seconds as kernels, as flat code and on JAX, and where that is under the roof."""
    by = tuple(range(example.by)) if example.by > 1 else 0
    traced = admodes.trace(admodes.grad(example.function, argnums=by), *example.arguments)
    flat = Runner(traced)
    start = time.perf_counter()
    fast = Runner(traced, native=True)
    preparing = time.perf_counter() - start
    _same(fast(example.arguments), flat(example.arguments))
    tasks: dict[str, Callable[[], Any]] = {
        "native": lambda: fast(example.arguments),
        "flat": lambda: flat(example.arguments),
    }
    compiled = _on_jax(traced, example)
    if compiled is not None:
        tasks["jax"] = compiled
    taken = interleaved(tasks, rounds, seconds)
    program = optimise(traced, with_tables(with_kernels(PASSES)))
    found = [i for i in program.instructions if i.op in KERNELS]
    flops, moved = (sum(part) for part in zip(*((work(i)[0], work(i)[2]) for i in found), strict=True))
    share = sum(work(i)[0] for i in found) / max(1.0, program.cost.flops)
    least = peak.least(moved, flops, moved)
    return {
        "program": example.name,
        "kernels": len(found),
        "other_calls": len(program) - len(found),
        "flops": flops,
        "bytes": moved,
        "share_of_flops": share,
        "seconds_native": taken["native"],
        "seconds_flat": taken["flat"],
        "seconds_jax": taken.get("jax"),
        "native_over_flat": taken["native"] / taken["flat"],
        "native_over_jax": taken["native"] / taken["jax"] if "jax" in taken else None,
        "seconds_least": least,
        "of_the_roof": least / taken["native"],
        "seconds_preparing": preparing,
    }


def _same(found: Any, expected: Any) -> None:
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * float(np.max(np.abs(b), initial=0.0)))


def _on_jax(program: Any, example: Example) -> Callable[[], Any] | None:
    """The same program compiled by JAX."""
    if importlib.util.find_spec("jax") is None or len(program) > 2000:
        return None
    import jax

    jax.config.update("jax_enable_x64", True)
    run = jax.jit(program.function(jax.numpy))
    arguments = tuple(jax.numpy.asarray(x) for x in example.arguments)
    jax.block_until_ready(run(*arguments))
    return lambda: jax.block_until_ready(run(*arguments))


# ---------------------------------------------------------------------------------------------------
# Exactness
# ---------------------------------------------------------------------------------------------------

Sample = Callable[[np.random.Generator, int, Any], Array]


def sizes(low: float, high: float, signed: bool = True) -> Sample:
    """Numbers of every size between two powers of ten, as far as the dtype goes."""

    def sample(rng: np.random.Generator, n: int, dtype: Any) -> Array:
        most = np.log10(float(np.finfo(dtype).max)) - 1
        x = 10.0 ** rng.uniform(max(low, -most), min(high, most), n)
        return x * rng.choice([-1.0, 1.0], n) if signed else x

    return sample


def between(low: float, high: float, single: tuple[float, float] | None = None) -> Sample:
    """Numbers in a range, a third of them small; in float32 those of another one where that is given."""

    def sample(rng: np.random.Generator, n: int, dtype: Any) -> Array:
        a, b = single if single is not None and dtype == np.float32 else (low, high)
        small = np.clip(sizes(-9, 0)(rng, n // 3, dtype), a, b)
        return np.concatenate([rng.uniform(a, b, n - n // 3), small])

    return sample


# Where each function is held against the exact result, and what it is in mpmath.
DOMAINS: dict[Any, tuple[str, Sample]] = {
    np.exp: ("exp", between(-708, 709, (-87, 88))),
    np.exp2: ("exp2", between(-1022, 1023, (-126, 127))),
    np.expm1: ("expm1", between(-50, 709, (-50, 88))),
    np.log: ("log", sizes(-307, 308, False)),
    np.log2: ("log2", sizes(-307, 308, False)),
    np.log10: ("log10", sizes(-307, 308, False)),
    np.log1p: ("log1p", sizes(-300, 300, False)),
    np.sin: ("sin", sizes(-300, 22)),
    np.cos: ("cos", sizes(-300, 22)),
    np.tan: ("tan", sizes(-300, 22)),
    np.arcsin: ("asin", between(-1, 1)),
    np.arccos: ("acos", between(-1, 1)),
    np.arctan: ("atan", sizes(-300, 300)),
    np.sinh: ("sinh", between(-709, 709, (-88, 88))),
    np.cosh: ("cosh", between(-709, 709, (-88, 88))),
    np.tanh: ("tanh", between(-30, 30)),
    np.arcsinh: ("asinh", sizes(-300, 300)),
    np.arccosh: ("acosh", lambda rng, n, dtype: 1 + sizes(-15, 300, False)(rng, n, dtype)),
    np.arctanh: ("atanh", between(-1, 1)),
    np.cbrt: ("cbrt", sizes(-307, 308)),
    np.arctan2: ("atan2", sizes(-100, 100)),
    np.hypot: ("hypot", sizes(-150, 150)),
    np.power: ("power", lambda rng, n, dtype: rng.uniform(0.05, 40, n)),
}


def exactly(name: str, args: Sequence[Any]) -> Any:
    """A function in mpmath."""
    import mpmath

    own = {
        "exp2": lambda x: mpmath.power(2, x),
        "log2": lambda x: mpmath.log(x) / mpmath.log(2),
        "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    }
    return (own.get(name) or getattr(mpmath, name))(*args)


def ulps_off(fn: Any, n: int, alone: bool = False, dtype: Any = np.float64) -> tuple[float, list[float]]:
    """The largest distance of a kernel's result from the exact one, in units of the last place, and where that is.

    alone: the function of single numbers, else that of vectors. The exact result is not rounded first.
    """
    import mpmath

    name, sample = DOMAINS[fn]
    rng = np.random.default_rng(12)
    args = [sample(rng, n, dtype).astype(dtype) for _ in range(fn.nin)]
    with np.errstate(over="ignore"):
        run = kernels(admodes.trace(fn, *((a[0] for a in args) if alone else args)), least=1)
    assert any(i.op in KERNELS for i in run.instructions)
    found = np.array([run(*(a[k] for a in args)) for k in range(n)]) if alone else run(*args)
    worst, where = 0.0, [float(a[0]) for a in args]
    limit = float(np.finfo(dtype).max)
    with mpmath.workprec(400):
        for k in range(n):
            truth = exactly(name, [mpmath.mpf(float(a[k])) for a in args])
            if abs(truth) > limit:
                off = 0.0 if np.isinf(found[k]) or abs(found[k]) == limit else np.inf
            else:
                spacing = float(np.spacing(max(abs(dtype(float(truth))), np.finfo(dtype).tiny)))
                off = abs(float((mpmath.mpf(float(found[k])) - truth) / spacing))
            if not off <= worst:
                worst, where = off, [float(a[k]) for a in args]
    return worst, where


# ---------------------------------------------------------------------------------------------------
# The experiment
# ---------------------------------------------------------------------------------------------------


def finding(rows: Sequence[Row], exact: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    over = [row["native_over_flat"] for row in rows]
    worst = max(rows, key=lambda row: row["native_over_flat"])
    text = (
        f"Native kernels take {geometric_mean(over):.2f} of flat code's time (geometric mean of {len(rows)} programs), "
        f"at worst {worst['native_over_flat']:.2f} ({worst['program']}), and reach "
        f"{min(row['of_the_roof'] for row in rows):.0%} to {max(row['of_the_roof'] for row in rows):.0%} of the roof"
    )
    beside = [row["native_over_jax"] for row in rows if row["native_over_jax"]]
    if beside:
        text += f"; {geometric_mean(beside):.2f} of JAX's"
    if exact:
        text += f"; functions are within {max(row['ulp_vectors'] for row in exact):.1f} ulp"
    return text


def heading(rows: Sequence[Row], exact: Sequence[Row]) -> str:
    """What the picture shows, in two lines."""
    beside = [row["native_over_jax"] for row in rows if row["native_over_jax"]]
    jax = f" and {geometric_mean(beside):.2f} of JAX's" if beside else ""
    within = f"; functions within {max(row['ulp_vectors'] for row in exact):.1f} ulp" if exact else ""
    over = geometric_mean([row["native_over_flat"] for row in rows])
    return f"Native kernels take {over:.2f} of flat code's time{jax}\n(geometric means of {len(rows)} programs){within}"


BESIDE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("native_over_flat", "flat NumPy code", {"color": style.BLUE, "marker": "o"}),
    ("native_over_jax", "JAX jit", {"color": style.VERMILION, "marker": "D", "fillstyle": "none"}),
)


@style.styled
def draw(rows: Sequence[Row], exact: Sequence[Row] = ()) -> Any:
    """A line a program: the time over flat code's and JAX's on the left, how near to the roof on the right."""
    made = style.figure(style.WIDE, 2.6 + 0.32 * len(rows), heading(rows, exact))
    left, right = made.subplots(1, 2, sharey=True, width_ratios=(1.3, 1))
    for quantity, label, look in BESIDE:
        points = [(row[quantity], y) for y, row in enumerate(rows) if row[quantity]]
        if points:
            left.plot(*zip(*points, strict=True), linestyle="", markersize=8, label=label, **look)
    left.axvline(1.0, color=style.BLACK, linewidth=1.4)
    left.set(xscale="log", xlabel="time of native kernels over the other's", title="Beside flat code and JAX")
    left.set_yticks(range(len(rows)), [row["program"] for row in rows], fontsize=10.5)
    left.set_ylim(len(rows) - 0.4, -0.6)
    style.plain_numbers(left.xaxis, unit="×")
    shares = [row["of_the_roof"] for row in rows]
    bars = right.barh(range(len(rows)), shares, 0.6, color=style.SKY, edgecolor="white")
    right.bar_label(bars, [f" {share:.0%}" for share in shares], fontsize=10)
    right.axvline(1.0, color=style.BLACK, linewidth=1.4)
    right.set(xlim=(0, 1.3 * max(1.0, *shares)), title="Share of the roof")
    right.set_xlabel("least time that memory and\narithmetic allow / time taken")
    right.xaxis.set_major_locator(MaxNLocator(4))
    right.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    made.legend(loc="outside lower center", ncols=2)
    return made


def table(rows: Sequence[Row]) -> Table:
    """One line a program."""
    shown = Table("program", title="Native kernels")
    for heading in ("kernels", "native", "over flat", "over JAX", "of the roof", "preparing"):
        shown.add_column(heading, justify="right")
    for row in rows:
        jax = "–" if row["native_over_jax"] is None else f"{row['native_over_jax']:.2f}"
        shown.add_row(
            row["program"], str(row["kernels"]), f"{1e6 * row['seconds_native']:.4g} µs",
            f"{row['native_over_flat']:.2f}", jax, f"{row['of_the_roof']:.0%}", f"{row['seconds_preparing']:.2f} s",
        )  # fmt: skip
    return shown


def exactness(n: int) -> list[dict[str, Any]]:
    """Of each function the largest error, in ulp, of vectors and of single numbers, in float64 and in float32."""
    rows = []
    for fn in DOMAINS:
        row: dict[str, Any] = {"function": fn.__name__}
        for dtype, behind in ((np.float64, ""), (np.float32, "_float32")):
            vectors, at = ulps_off(fn, n, dtype=dtype)
            row |= {f"ulp_vectors{behind}": vectors, f"worst_at{behind}": " ".join(f"{x!r}" for x in at)}
            row[f"ulp_alone{behind}"] = ulps_off(fn, n // 8, True, dtype)[0]
        rows.append(row)
    return rows


def run(study: Study) -> str:
    if not usable():
        raise RuntimeError("native: this experiment takes llvmlite; pip install 'admodes[native]'")
    rounds, seconds = (51, 1.5) if study.full else (7, 0.1)
    with one_core():
        peak = peaks()
        rows = [measured(e, peak, rounds, seconds) for e in study.track(examples(study.rng()), "programs")]
    exact = exactness(4000 if study.full else 200) if importlib.util.find_spec("mpmath") else []
    study.show(table(rows))
    study.table(rows)
    if exact:
        study.table(exact, "exactness")
    study.picture(draw(rows, exact))
    return finding(rows, exact)
