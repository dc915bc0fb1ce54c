"""`calibrate`: the constants of the cost model, measured on this machine.

Each row of the table is timed where its own domain says it is sampled; matrix products on shapes thick and thin; the
levels of cache by one product over growing arrays; the transforms by chains of operations, less what the NumPy calls
in them take.  All probes take turns, round after round, on the clock of the process: a machine that slows down for a
while then does so for all of them, and the medians are of its usual speed.
"""

from __future__ import annotations

import math
import mmap
import random
import statistics
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..core.fingerprint import fingerprint
from ..program.compile import Runner, compile
from ..program.native.calls import usable
from ..program.passes import PASSES, optimise
from ..program.program import record
from ..transforms.dense import grad, jacfwd, jacrev, jvp, vjp
from .hessians import hvp
from .model import LANES, TRANSFORMS, CostModel, Curve, Level, defaults, keep_model, machine
from .probes import (
    CHAIN,
    KERNEL_ELEMENTS,
    KERNELS_OF_ALL,
    LONG_CHAIN,
    Call,
    bulk,
    differentiable,
    natively,
    rows,
    units_of,
)

Task = Callable[[], Any]
Progress = Callable[[str, float], None]

SAMPLE_SECONDS = 3e-4
# Different calls that take turns, each of less than so many seconds; and how often they are drawn.
MIXES, QUICK, DRAWS = (4, 8, 16, 32, 64, 128), 6e-6, 9
ROUNDS = 15
WORKING_SETS = tuple(1 << k for k in range(14, 27))
# Extents (m, k, n) of products of matrices, and (m, k) of matrices and vectors.
THICK = (
    (8, 8, 8),
    (32, 32, 32),
    (128, 128, 128),
    (256, 256, 256),
    (256, 4, 256),
    (4, 256, 4),
    (256, 256, 4),
    (64, 8, 64),
)
THIN = ((8, 8), (64, 64), (200, 200), (16, 1024), (1024, 16))


def calibrate(keep: bool = True, progress: Progress | None = None) -> CostModel:
    """Measure the constants of the cost model on this machine, in less than 20 seconds on one thread.

    Parameters
    ----------
    keep : whether to write them to `kept_at()`, from where this and later processes read them.
    progress : called with what is being measured and the share that is done, 0 to 1.

    Returns
    -------
    The model; printing it gives the constants.
    """
    tell = progress or (lambda what, share: None)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of functions at the edge of their domain
        tell("preparing", 0.0)
        probes = Probes()
        plans = [plan(probes) for plan in (_calls, _memory, _products, _transforms, _rules, _lines, _kernels)]
        probes.run(tell)
        model = CostModel(machine=machine(), calibrated=True)
        for fit in plans:
            model = fit(model)
    tell("done", 1.0)
    if keep:
        keep_model(model)
    return model


class Probes:
    """Tasks that are timed in turns; calling it with a name gives the median seconds of one call."""

    def __init__(self) -> None:
        self.tasks: dict[Hashable, Task] = {}
        self.times: dict[Hashable, int] = {}
        self.taken: dict[Hashable, list[float]] = {}

    def once(self, name: Hashable) -> float:
        """Seconds of one call, roughly, before the rounds."""
        return _sample(self.tasks[name], self.times[name])

    def add(self, name: Hashable, task: Task) -> None:
        task()
        once = _sample(task, 2)
        self.times[name] = max(1, math.ceil(SAMPLE_SECONDS / max(once, 2e-8)))
        self.tasks[name], self.taken[name] = task, []

    def run(self, tell: Progress, rounds: int = ROUNDS) -> None:
        for turn in range(rounds):
            tell(f"round {turn + 1} of {rounds}, {len(self.tasks):,} probes", (turn + 0.5) / (rounds + 1))
            for name, task in self.tasks.items():
                self.taken[name].append(_sample(task, self.times[name]))

    def __call__(self, name: Hashable) -> float:
        return statistics.median(self.taken[name])


def _sample(task: Task, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        task()
    return (time.process_time() - start) / times


Fit = Callable[[CostModel], CostModel]


# ---------------------------------------------------------------------------------------------------
# NumPy
# ---------------------------------------------------------------------------------------------------


def _calls(probes: Probes) -> Fit:
    """Every row of the table."""
    small, numbers = rows(np.random.default_rng(0))
    large = bulk(np.random.default_rng(1))
    found = {**small, **large}
    for name, calls in found.items():
        for k, call in enumerate(calls):
            probes.add(("call", name, k), call.task)
    for name, call in numbers.items():
        probes.add(("number", name), call.task)
    quick = [name for name, calls in found.items() if probes.once(("call", name, 0)) < QUICK]
    sample = random.Random(0).sample
    mixes = {(d, k): sample(quick, d) for d in MIXES for k in range(DRAWS)}
    for mix, names in mixes.items():
        probes.add(("mix", mix), partial(_in_turn, [found[name][0].task for name in names]))
    vector, number = np.full(8, 0.7), 0.3
    probes.add("beside an array", lambda: vector * vector)
    probes.add("beside a float", lambda: vector * number)

    def slower(mix: tuple[int, int]) -> float:
        return probes(("mix", mix)) / sum(probes(("call", name, 0)) for name in mixes[mix])

    def mixed(d: int) -> tuple[float, float]:
        return float(d), max(1.0, statistics.median(slower((d, k)) for k in range(DRAWS)))

    def fit(model: CostModel) -> CostModel:
        curves = {
            name: increasing([(units_of(call), probes(("call", name, k))) for k, call in enumerate(calls)])
            for name, calls in found.items()
        }
        return replace(
            model,
            calls=curves | _middling(curves),
            scalars={name: probes(("number", name)) for name in numbers},
            literal=max(0.0, probes("beside a float") - probes("beside an array")),
            mixing=increasing([(1.0, 1.0), *map(mixed, MIXES)]),
        )

    return fit


def _in_turn(tasks: Sequence[Task]) -> None:
    for task in tasks:
        task()


def _middling(curves: dict[str, Curve]) -> dict[str, Curve]:
    """What stands for a row that was not measured."""
    firsts = [curve[0][1] for curve in curves.values()]
    long = [curve for curve in curves.values() if len(curve) > 1]
    slopes = [(c[-1][1] - c[0][1]) / (c[-1][0] - c[0][0]) for c in long]
    call, slope = statistics.median(firsts), statistics.median(slopes)
    return {"other": ((1.0, call), (1e6, call + slope * 1e6))}


def increasing(points: Sequence[tuple[float, float]]) -> Curve:
    """A curve that never falls: a larger array does not take less."""
    out: list[tuple[float, float]] = []
    floor = 0.0
    for x, s in points:
        floor = max(floor, s)
        if not out or x > out[-1][0]:
            out.append((x, floor))
    return tuple(out)


def _memory(probes: Probes) -> Fit:
    """Seconds a byte over the working set; an inner loop beyond the first; a fingerprint, by the byte."""
    for size in WORKING_SETS:
        n = size // 24
        a, b, out = np.ones(n), np.ones(n), np.empty(n)
        probes.add(("level", size), partial(np.multiply, a, b, out=out))
    rows, row, flat = np.ones((4096, 4)), np.ones(4), np.ones(16384)
    probes.add("product of rows", lambda: rows * row)
    probes.add("product at once", lambda: flat * flat)
    probes.add("sums of rows", lambda: np.sum(rows, axis=-1))
    probes.add("sum at once", lambda: np.sum(flat))
    pieces, large = [np.empty(PIECE) for _ in range(PIECES)], np.empty(LARGE)
    probes.add("small pages again", lambda: [a.fill(1.0) for a in pieces])
    probes.add("large pages again", lambda: large.fill(1.0))
    probes.add("small pages", _anew)
    probes.add("large pages", lambda: np.empty(LARGE).fill(1.0))
    watched = np.ones(9000), np.ones(1 << 17)
    for k, array in enumerate(watched):
        probes.add(("fingerprint", k), partial(fingerprint, array))

    def fit(model: CostModel) -> CostModel:
        call = probes(("level", WORKING_SETS[0]))
        each = [max(probes(("level", size)) - call, 0.0) / (size - WORKING_SETS[0]) for size in WORKING_SETS[1:]]
        for k in range(len(each) - 2, -1, -1):
            each[k] = min(each[k], each[k + 1])

        def beyond(size: str, numbers: int) -> float:
            return max(0.0, probes(f"{size} pages") - probes(f"{size} pages again")) / (8 * numbers)

        loops = [max(probes(a) - probes(b), 0.0) / 4096 for a, b in (_PRODUCT, _SUM)]
        return replace(
            model,
            levels=tuple(zip(map(float, WORKING_SETS[1:]), each, strict=True)),
            loop=(loops[0], loops[1]),
            paged=(beyond("small", PIECE * PIECES), beyond("large", LARGE)),
            fingerprint=straight([(float(a.nbytes), probes(("fingerprint", k))) for k, a in enumerate(watched)]),
        )

    return fit


def straight(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The line through two points: its height at 0, and its slope."""
    (a, s), (b, t) = points
    slope = max((t - s) / (b - a), 0.0)
    return max(s - a * slope, 0.0), slope


def _anew() -> None:
    """Pages asked of the system, written and given back, as a heap does that shrinks and grows; whether this process's
    own heap does goes by what lies at its end."""
    with mmap.mmap(-1, 8 * PIECE * PIECES, **PRIVATE) as pages:
        a = np.frombuffer(pages)
        a.fill(1.0)
        del a  # before they are given back


# How much slower a number alone can be than one of a vector of eight, each of a chain waiting for the one before it.
MOST_ALONE = 40.0

# Numbers of an array of 2 MiB, arrays of them; and of one that malloc always asks the system for, which is 40 MiB.
PIECE, PIECES, LARGE = 1 << 18, 4, 5 << 20
# Pages of this process alone, where the system asks for a word on that.
PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}

_PRODUCT, _SUM = ("product of rows", "product at once"), ("sums of rows", "sum at once")


def _products(probes: Probes) -> Fit:
    """The constants of products, of matrices and of vectors, by least squares of relative errors."""
    x = np.random.default_rng(2).random
    for m, k, n in THICK:
        probes.add(("product", m, k, n), partial(np.dot, x((m, k)), x((k, n))))
    for m, k in THIN:
        probes.add(("product", m, k, 1), partial(np.dot, x((m, k)), x(k)))
    for n in (4, 1):
        probes.add(("stack", n), partial(np.matmul, x((256, 4, 4)), x((256, 4, n))))

    def constants(shapes: Sequence[tuple[int, int, int]], stack: int) -> tuple[float, float, float]:
        columns = [(1.0, m * k * n, m * k + k * n + m * n) for m, k, n in shapes]
        seconds = [probes(("product", *shape)) for shape in shapes]
        _, product, element = fitted(columns, seconds, seconds)
        return probes(("stack", stack)) / 256, product, element

    def fit(model: CostModel) -> CostModel:
        return replace(model, product=constants(THICK, 4), vector=constants([(m, k, 1) for m, k in THIN], 1))

    return fit


def fitted(columns: Sequence[Sequence[float]], seconds: Sequence[float], of: Sequence[float]) -> tuple[float, ...]:
    """Constants ≥ 0 that the seconds are sums of, by least squares of errors in parts of `of`."""
    from scipy.optimize import nnls

    weights = 1 / np.maximum(np.asarray(of), 1e-8)
    found, _ = nnls(np.asarray(columns, float) * weights[:, None], np.maximum(np.asarray(seconds), 0.0) * weights)
    return tuple(map(float, found))


# ---------------------------------------------------------------------------------------------------
# Transforms and compiled code
# ---------------------------------------------------------------------------------------------------


def _chains() -> list[Callable[[Any], Any]]:
    """Functions of one array of 8 that go through one lane or several, in numbers that tell them apart."""

    def repeated(step: Callable[[Any], Any], times: int) -> Callable[[Any], Any]:
        def chain(x: Any) -> Any:
            for _ in range(times):
                x = step(x)
            return x

        return chain

    c = np.full(8, 0.9)
    steps: list[tuple[Callable[[Any], Any], int]] = [
        (np.sin, 24),
        (np.negative, 24),
        (lambda x: x * c, 24),
        (lambda x: x - x * x, 12),
        (lambda x: 0.5 * x, 24),
        (lambda x: x[::-1], 24),
        (lambda x: np.reshape(x, (8,)), 16),
        (lambda x: np.tanh(x) * c + 0.1, 12),
        (lambda x: np.where(c > 0, x, c), 16),
        (lambda x: np.concatenate([x[4:], x[:4]]), 8),
        (lambda x: x - 0.01 * np.sum(x, axis=-1, keepdims=True), 12),
        (lambda x: x, 1),
        (lambda x: np.exp(x) / 3.0, 12),
        (lambda x: np.stack([x[0], x[1]] * 4) * 0.9, 3),
    ]
    return [repeated(step, times) for step, times in steps]


def _transforms(probes: Probes) -> Fit:
    """What a transform takes beside the NumPy calls: an operation of each lane, and a call of the public function."""
    x, u = np.linspace(0.1, 0.5, 8), np.ones(8)
    chains = _chains()
    for k, f in enumerate(chains):
        _, pullback = vjp(f, x)
        probes.add(("forward", k), partial(jvp, f, (x,), (u,)))
        probes.add(("record", k), partial(vjp, f, x))
        probes.add(("pull", k), partial(pullback, u))
    small: list[tuple[str, Any, Any, tuple[str, ...]]] = [
        ("grad", grad, np.sum, ("record", "pull")),
        ("jacfwd", jacfwd, np.negative, ("forward",)),
        ("jacrev", jacrev, np.negative, ("record", "pull")),
    ]
    for name, derivative, f, _ in small:
        probes.add(("entry", name), partial(derivative(f), x))
    totals = [_total(f) for f in chains]
    for k, total in enumerate(totals):
        probes.add(("nested", k), partial(hvp, total, (x,), (u,)))

    def fit(model: CostModel) -> CostModel:
        found: dict[str, tuple[float, ...]] = {}
        counts = [Level.of("", record(f, (x,), {}, strict=False)) for f in chains]
        pushed = [record(lambda x, u, f=f: jvp(f, (x,), (u,)), (x, u), {}, strict=False) for f in chains]
        pulled = [record(lambda x, u, f=f: vjp(f, x)[1](u), (x, u), {}, strict=False) for f in chains]
        calls: dict[str, Sequence[float]] = {"forward": [model.seconds(p) for p in pushed]}
        calls["record"], calls["pull"] = zip(*(_halves(model, p) for p in pulled), strict=True)
        for kind, spent in calls.items():
            taken = [probes((kind, k)) for k in range(len(chains))]
            beside = [t - s for t, s in zip(taken, spent, strict=True)]
            found[kind] = fitted([(*level.lanes, 1.0) for level in counts], beside, taken)
        model = replace(model, transforms={kind: each[: len(LANES)] for kind, each in found.items()})
        entry = {name: found[kind][-1] for name, kind in (("jvp", "forward"), ("vjp", "record"), ("pull", "pull"))}
        for name, derivative, f, kinds in small:
            made = record(derivative(f), (x,), {}, strict=False)
            levels = [Level.of(kind, record(f, (x,), {}, strict=False)) for kind in kinds]
            entry[name] = max(0.0, probes(("entry", name)) - model.seconds(made, levels))
        model = replace(model, entry=entry)
        return replace(
            model,
            nested=statistics.median(_nested(model, f, x, u, probes(("nested", k))) for k, f in enumerate(totals)),
        )

    return fit


# Times that an operation is done in a probe of its rule.
REPEATED = 4


def _rules(probes: Probes) -> Fit:
    """What an operation takes each transform beside its NumPy calls, row by row: several at once, less an entry."""
    found = differentiable(np.random.default_rng(3))
    made = {}
    for name, (f, xs) in found.items():
        made[name] = many = _several(f)
        us = [np.ones_like(y) for y in many(*xs)]
        _, pullback = vjp(many, *xs)
        probes.add(("rule", name, "forward"), partial(jvp, many, xs, xs))
        probes.add(("rule", name, "record"), partial(vjp, many, *xs))
        probes.add(("rule", name, "pull"), partial(pullback, us))

    def fit(model: CostModel) -> CostModel:
        rules = {}
        for name, (_, xs) in found.items():
            many = made[name]
            pushed = record(lambda *xs, f=many: jvp(f, xs, xs), xs, {}, strict=False)
            pulled = record(lambda *xs, f=many: vjp(f, *xs)[1](f(*xs)), xs, {}, strict=False)
            calls = (model.seconds(pushed), *_halves(model, pulled))
            entries = (model.entry[kind] for kind in ("jvp", "vjp", "pull"))
            taken = (probes(("rule", name, kind)) for kind in TRANSFORMS)
            rules[name] = tuple(max(0.0, t - e - s) / REPEATED for t, e, s in zip(taken, entries, calls, strict=True))
        return replace(model, rules=rules)

    return fit


def _several(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: [f(*xs) for _ in range(REPEATED)]


def _total(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.sum(f(x))


def _nested(model: CostModel, f: Any, x: Any, u: Any, seconds: float) -> float:
    """What a transform around another takes an operation, over what it takes around none."""
    gradient = Level.of("forward", record(grad(f), (x,), {}, strict=False))
    inside = [Level.of(kind, record(f, (x,), {}, strict=False)) for kind in ("record", "pull")]
    made = record(lambda x, u: hvp(f, (x,), (u,)), (x, u), {}, strict=False)
    left = seconds - model.seconds(made, inside) - model.entry["jvp"] - model.entry["grad"]
    return max(1.0, left / model.overhead(gradient))


def _halves(model: CostModel, program: Any) -> tuple[float, float]:
    """Seconds of the NumPy calls of the forward and of the backward part."""
    priced = list(model.priced(program, held="tape"))
    return sum(s for i, s in priced if not i.backward), sum(s for i, s in priced if i.backward)


def _lines(probes: Probes) -> Fit:
    """A line of flat code beside the same NumPy call, a call of the whole, and making the code of an instruction."""
    x = np.linspace(0.1, 0.5, 8)
    chains = _chains()
    programs = [record(f, (x,), {}, strict=False) for f in chains]
    for k, f in enumerate(chains):
        probes.add(("line", k), partial(compile(f), x))
    for k in (1, 4):
        probes.add(("arguments", k), partial(compile(_negated), *[x] * k))
    long = max(range(len(chains)), key=lambda k: len(programs[k].instructions))
    probes.add("compile", lambda: Runner(record(chains[long], (x,), {}, strict=False), PASSES))
    probes.add("numbers", partial(compile(_of_numbers), x))

    def fit(model: CostModel) -> CostModel:
        made = [optimise(program, PASSES) for program in programs]
        taken = np.array([probes(("line", k)) for k in range(len(chains))])
        spent = np.array([sum(s for _, s in model.priced(program)) for program in made])
        counts = np.array([len(program.instructions) for program in made])
        negated, numbers = (optimise(record(f, (x,), {}, strict=False), PASSES) for f in (_negated, _of_numbers))
        call = max(1e-7, probes(("arguments", 1)) - sum(s for _, s in model.priced(negated)))
        argument = max(0.0, probes(("arguments", 4)) - probes(("arguments", 1))) / 3
        return replace(
            model,
            line={
                "line": fitted([(n,) for n in counts], taken - spent - call, taken)[0],
                "call": call - argument,
                "argument": argument,
                "number": max(0.0, probes("numbers") - call) / len(numbers.instructions),
                "compile": probes("compile") / len(programs[long].instructions),
            },
        )

    return fit


def _kernels(probes: Probes) -> Fit:
    """Native kernels; where none can be made here, as the defaults have them."""
    if not usable():
        return lambda model: replace(model, native=defaults().native)
    made = natively(np.random.default_rng(4))
    for name, (f, args) in made.items():
        probes.add(("kernel", name), partial(compile(f, native=True), *args))
    sizes = {"short": 2, "long": 2 * CHAIN}  # in instructions, of programs that were not compiled before
    preparing = {name: _preparing(count) for name, count in sizes.items()}

    def fit(model: CostModel) -> CostModel:
        call = probes(("kernel", "call"))

        def beyond(name: str, units: float, less: str = "call") -> float:
            return max(0.0, probes(("kernel", name)) - probes(("kernel", less))) / units

        cheap = beyond("cheap", 2 * CHAIN * KERNEL_ELEMENTS)
        slow = {name: max(cheap, beyond(name, KERNEL_ELEMENTS) - cheap) for name in set(made) - {*KERNELS_OF_ALL}}
        each = (preparing["long"] - preparing["short"]) / (sizes["long"] - sizes["short"])
        known = {
            "call": max(1e-7, call - model.line["call"] - model.line["argument"]),
            "array": beyond("arrays", 3),
            "cheap": cheap,
            "sum": max(cheap, beyond("sum", KERNEL_ELEMENTS) - cheap),
            "place": max(cheap, beyond("place", KERNEL_ELEMENTS) - cheap),
            "number": beyond("number", 2 * (LONG_CHAIN - 1), "one"),
            "alone": min(max(1.0, beyond("sine", LONG_CHAIN, "one") / slow["sin"]), MOST_ALONE),
            "compile": max(0.0, preparing["short"] - sizes["short"] * each),
            "instruction": max(0.0, each),
        }
        return replace(model, native=known | slow)

    return fit


def _preparing(count: int) -> float:
    """Seconds from a program to its kernel, over those to flat code, of so many instructions."""

    def f(x: Any) -> Any:
        for k in range(count // 2):
            x = x * (0.9 + 1e-3 * k) + 0.05
        return x

    program = record(f, (np.ones(17),), {}, strict=False)
    native, flat = (_sample(partial(Runner, program, PASSES, native=native), 1) for native in (True, False))
    return native - flat


def _negated(x: Any, *_: Any) -> Any:
    return np.negative(x)


def _of_numbers(x: Any) -> Any:
    a, z = x[0], x[1]
    for _ in range(20):
        z = a * z - 0.5 * z * z
    return z


__all__ = ["Call", "Probes", "calibrate"]
