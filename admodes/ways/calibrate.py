"""`calibrate`: the constants of the cost model, measured on this machine.

Each row of the table is timed where its own domain says it is sampled; matrix products on shapes thick and thin; the
levels of cache by one product over growing arrays; the transforms by chains of operations, less what the NumPy calls
in them take.  Medians of a few samples, on the clock of the process.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.domain import REAL, uniform
from ..core.registry import OPS, Elementwise, Op, Passive, lookup
from ..program.compile import Runner
from ..program.passes import PASSES, optimise
from ..program.program import Program, record
from ..program.recording import Instruction
from ..transforms.dense import grad, jacfwd, jacrev, jvp, vjp
from .model import LANES, CostModel, Curve, Level, keep_model, machine
from .work import units

Task = Callable[[], Any]
Progress = Callable[[str, float], None]
Call = tuple[tuple[Any, ...], dict[str, Any]]

SAMPLE_SECONDS = 5e-4
SAMPLES = 5
ELEMENTS = (8, 512, 16384)
SIDES = (2, 16, 64, 160)
WORKING_SETS = tuple(1 << k for k in range(14, 27))


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
        model = CostModel(machine=machine(), calibrated=True)
        tell("operations", 0.0)
        calls, scalars = _rows()
        tell("large operations", 0.4)
        calls |= _bulk(calls)
        model = replace(model, calls=calls, scalars=scalars)
        tell("levels of cache", 0.6)
        model = replace(model, levels=_levels(), loop=_loops())
        tell("matrix products", 0.7)
        model = replace(model, **_products(calls))
        tell("transforms", 0.8)
        model = _transforms(model)
        tell("compiled code", 0.9)
        model = replace(model, line=_lines(model))
    tell("done", 1.0)
    if keep:
        keep_model(model)
    return model


def seconds_of(task: Task, samples: int = SAMPLES, least: float = SAMPLE_SECONDS) -> float:
    """Median seconds of one call."""
    clock = time.process_time
    task()
    start = clock()
    task()
    times = max(1, math.ceil(least / max(clock() - start, 2e-8)))
    taken = []
    for _ in range(samples):
        start = clock()
        for _ in range(times):
            task()
        taken.append((clock() - start) / times)
    return statistics.median(taken) - EMPTY


EMPTY = 0.0


# ---------------------------------------------------------------------------------------------------
# NumPy
# ---------------------------------------------------------------------------------------------------


def _rows() -> tuple[dict[str, Curve], dict[str, float]]:
    """Every row of the table, on small arrays and numbers; ufuncs on larger arrays too."""
    rng = np.random.default_rng(0)
    calls: dict[str, Curve] = {}
    scalars: dict[str, float] = {}
    for op in dict.fromkeys(OPS.values()):
        if isinstance(op.fn, np.ufunc) and isinstance(op, Elementwise | Passive) and op.fn.signature is None:
            found = _ufunc(op, rng)
            if found:
                calls[op.name], scalars[op.name] = found
        elif op.name not in calls:
            small = _small(op, rng)
            if small:
                calls[op.name] = ((1.0, small),)
    middle = [
        c[0][1] for name, c in calls.items() if name in {op.name for op in OPS.values() if isinstance(op.fn, np.ufunc)}
    ]
    others = [c[0][1] for name, c in calls.items() if len(c) == 1]
    calls["ufunc"] = ((8.0, statistics.median(middle)), (1e6, 1e-2))
    calls["other"] = ((8.0, statistics.median(others)), (1e6, 1e-3))
    return calls, scalars


def _ufunc(op: Op, rng: np.random.Generator) -> tuple[Curve, float] | None:
    """A ufunc on arrays of several sizes, and on numbers."""
    given = int(getattr(op.fn, "nin", 0))
    domain = op.domain if op.domain is not None else (REAL,) * given
    if len(domain) != given or not all(_intervals(part) for part in domain):
        return None
    points = []
    try:
        for n in ELEMENTS:
            args = [uniform(rng, (n,), part) for part in domain]
            points.append((float(n), seconds_of(lambda: op.evaluate(*args), 3)))
            if points[-1][1] > 1e-3:
                break
        numbers = [x[0] for x in args]
        scalar = seconds_of(lambda: op.evaluate(*numbers), 3)
    except TypeError:  # of integers alone
        return None
    return increasing(points), scalar


def _intervals(part: Any) -> bool:
    return isinstance(part, tuple) and all(isinstance(p, tuple) for p in part)


def increasing(points: Sequence[tuple[float, float]]) -> Curve:
    """A curve that never falls: a larger array does not take less."""
    out, floor = [], 0.0
    for x, s in points:
        floor = max(floor, s)
        out.append((x, floor))
    return tuple(out)


def _small(op: Op, rng: np.random.Generator) -> float | None:
    """The first example of a row that runs, which is small."""
    for case in op.domain if isinstance(op.domain, list) else ():
        args, params = case.fill([a.sample(rng) for a in case.arrays])
        if any(0 in np.shape(x) for x in args if isinstance(x, np.ndarray)):
            continue
        if op.sequence:
            args = (*args[0], *args[1:])
        try:
            return seconds_of(lambda: op.evaluate(*args, **params), 3)
        except (TypeError, ValueError, np.linalg.LinAlgError):
            continue
    return None


def _examples(
    rng: np.random.Generator,
) -> Iterator[tuple[Any, Callable[[int], tuple[tuple[Any, ...], dict[str, Any]]], Sequence[int]]]:
    """Functions whose time goes by something else than their result's elements: (function, call of a size, sizes)."""

    def x(*shape: int) -> Any:
        return rng.random(shape) + 0.5

    def spd(n: int) -> Any:
        a = x(n, n)
        return a @ a.T + n * np.eye(n)

    def one(n: int, **params: Any) -> Any:
        return (x(n),), params

    def matrix(n: int, **params: Any) -> Any:
        return (x(n, n) + n * np.eye(n),), params

    sizes = (8, 1024, 16384)
    for fn in (
        np.sum,
        np.max,
        np.min,
        np.prod,
        np.cumsum,
        np.cumprod,
        np.argmax,
        np.argmin,
        np.sort,
        np.argsort,
        np.copy,
        np.zeros_like,
        np.ones_like,
        np.diff,
        np.any,
        np.all,
        np.flip,
        np.unique,
        np.isfinite,
        np.round,
        np.sign,
    ):
        yield fn, one, sizes
    yield np.partition, lambda n: ((x(n), n // 2), {}), sizes
    yield np.where, lambda n: ((x(n) > 1, x(n), x(n)), {}), sizes
    yield np.clip, lambda n: ((x(n), 0.7, 1.2), {}), sizes
    yield np.full_like, lambda n: ((x(n), 1.0), {}), sizes
    yield np.concatenate, lambda n: ((x(n // 2), x(n // 2)), {}), sizes
    yield np.stack, lambda n: (tuple(x(n // 4) for _ in range(4)), {}), sizes
    yield np.repeat, lambda n: ((x(n // 4), 4), {}), sizes
    yield np.tile, lambda n: ((x(n // 4), 4), {}), sizes
    yield np.roll, lambda n: ((x(n), 3), {}), sizes
    yield np.pad, lambda n: ((x(n), 1), {}), sizes
    yield np.diag, lambda n: ((x(math.isqrt(n)),), {}), sizes
    yield np.tril, lambda n: ((x(math.isqrt(n), math.isqrt(n)),), {}), sizes
    yield np.triu, lambda n: ((x(math.isqrt(n), math.isqrt(n)),), {}), sizes
    yield np.astype, lambda n: ((x(n), np.dtype(np.float32)), {}), sizes
    yield np.interp, lambda n: ((x(n), np.linspace(0, 2, 64), x(64)), {}), sizes
    yield np.searchsorted, lambda n: ((np.linspace(0, 2, 64), x(n)), {}), sizes
    yield np.convolve, lambda n: ((x(n), x(16)), {}), sizes
    yield np.einsum, lambda n: (("ij,jk->ik", x(n, n), x(n, n)), {}), (2, 16, 48)
    for fn in (
        np.linalg.inv,
        np.linalg.det,
        np.linalg.slogdet,
        np.linalg.qr,
        np.linalg.svd,
        np.linalg.eig,
        np.linalg.eigvals,
    ):
        yield fn, matrix, SIDES[:3]
    for fn in (np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh):
        yield fn, lambda n: ((spd(n),), {}), SIDES[:3]
    yield np.linalg.solve, lambda n: ((spd(n), x(n, n)), {}), SIDES
    for fn in (np.fft.fft, np.fft.ifft, np.fft.rfft):
        yield fn, one, (8, 256, 4096)
    yield np.fft.irfft, lambda n: ((x(n // 2 + 1) + 0j,), {}), (8, 256, 4096)
    for fn in (np.fft.fft2, np.fft.ifft2):
        yield fn, lambda n: ((x(n, n),), {}), (4, 16, 64)


def _bulk(calls: dict[str, Curve]) -> dict[str, Curve]:
    """Curves of functions other than ufuncs."""
    rng = np.random.default_rng(1)
    found: dict[str, Curve] = {}
    for fn, call, sizes in _examples(rng):
        op = lookup(fn)
        assert op is not None
        found[op.name] = _curve(op, [call(n) for n in sizes])
    for n_of, name in ((_places, "places"), (_mask, "mask")):
        indices = [n_of(rng, n) for n in (8, 1024, 16384)]
        found[f"getitem[{name}]"] = _curve(OPS_BY["getitem"], [((rng.random(i.size), i), {}) for i in indices])
        scattered: list[Call] = [((rng.random(np.arange(i.size)[i].size), (i,), (i.size,), 1), {}) for i in indices]
        found[f"scatter[{name}]"] = _curve(OPS_BY["scatter"], scattered)
    shifted: list[Call] = [((rng.random(n - 1), (slice(1, None),), (n,), 1), {}) for n in (8, 1024, 16384)]
    found["scatter"] = _curve(OPS_BY["scatter"], shifted)
    return found


def _places(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(n, size=n)


def _mask(rng: np.random.Generator, n: int) -> Any:
    return rng.random(n) > 0.5


OPS_BY = {op.name: op for op in OPS.values()}


def _curve(op: Op, calls: Sequence[Call]) -> Curve:
    points = []
    for args, params in calls:
        y = op.evaluate(*args, **params)
        i = Instruction(op, args, params, y)
        points.append((max(1.0, units(i)), seconds_of(lambda: op.evaluate(*args, **params), 3)))
    return increasing(points)


def _levels() -> Curve:
    """Seconds a byte of a product of arrays, over the bytes of its working set."""
    points = []
    for size in WORKING_SETS:
        n = size // 24
        a, b, out = np.ones(n), np.ones(n), np.empty(n)
        points.append((float(size), seconds_of(lambda: np.multiply(a, b, out=out), 5, 5e-4) / size))
    floor = [s - points[0][1] * 0 for _, s in points]
    for k in range(len(floor) - 2, -1, -1):  # the smallest are all call
        floor[k] = min(floor[k], floor[k + 1])
    return tuple((size, s) for (size, _), s in zip(points, floor, strict=True))


def _loops() -> tuple[float, float]:
    """An inner loop beyond the first, of a product and of a sum."""
    a, row, flat = np.ones((4096, 4)), np.ones(4), np.ones(16384)
    product = seconds_of(lambda: a * row) - seconds_of(lambda: flat * flat)
    total = seconds_of(lambda: np.sum(a, axis=-1)) - seconds_of(lambda: np.sum(flat))
    return max(product, 0.0) / 4096, max(total, 0.0) / 4096


PRODUCTS = (
    (8, 8, 8),
    (32, 32, 32),
    (128, 128, 128),
    (320, 320, 320),
    (256, 4, 256),
    (4, 256, 4),
    (256, 256, 4),
    (4, 256, 256),
    (64, 8, 64),
)
VECTORS = ((8, 8), (64, 64), (256, 256), (16, 1024), (1024, 16))


def _products(calls: dict[str, Curve]) -> dict[str, Any]:
    """The constants of products, of matrices and of vectors, by least squares of relative errors."""
    x = np.random.default_rng(2).random
    call = calls["dot"][0][1]
    thick, thin = [], []
    for m, k, n in PRODUCTS:
        a, b = x((m, k)), x((k, n))
        thick.append((m * k * n, m * k + k * n + m * n, seconds_of(lambda: a @ b) - call))
    for m, k in VECTORS:
        a, b = x((m, k)), x(k)
        thin.append((m * k, m * k + k + m, seconds_of(lambda: a @ b) - call))
    stack, one = (x((256, 4, 4)), x((256, 4, 4))), x((256, 4, 1))
    return {
        "product": (
            seconds_of(lambda: stack[0] @ stack[1]) / 256,
            *_fit([t[:2] for t in thick], [t[2] for t in thick]),
        ),
        "vector": (seconds_of(lambda: stack[0] @ one) / 256, *_fit([t[:2] for t in thin], [t[2] for t in thin])),
    }


def _fit(columns: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[float, ...]:
    """Constants ≥ 0 that the seconds are sums of, by least squares of relative errors."""
    from scipy.optimize import nnls

    weights = 1 / np.maximum(np.asarray(seconds), 1e-8)
    found, _ = nnls(np.asarray(columns, float) * weights[:, None], np.asarray(seconds) * weights)
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
        (lambda x: x + x, 24),
        (lambda x: 0.5 * x, 24),
        (lambda x: x[::-1], 24),
        (lambda x: np.reshape(x, (8,)), 16),
        (lambda x: np.tanh(x) * c + 0.1, 12),
        (lambda x: np.where(c > 0, x, c), 16),
        (lambda x: np.concatenate([x[4:], x[:4]]), 8),
        (lambda x: x * np.sum(x, axis=-1, keepdims=True), 12),
        (lambda x: x, 1),
        (lambda x: np.exp(x) / 3.0, 12),
    ]
    return [repeated(step, times) for step, times in steps]


def _transforms(model: CostModel) -> CostModel:
    """What a transform takes beside the NumPy calls: an operation of each lane, and a call of the public function."""
    x = np.linspace(0.1, 0.5, 8)
    u = np.ones(8)
    rows: dict[str, tuple[list[Any], list[float]]] = {kind: ([], []) for kind in ("forward", "record", "pull")}
    for f in _chains():
        program = record(f, (x,), {}, strict=False)
        counts = Level.of("", program).operations
        _, pullback = vjp(f, x)
        forward = record(lambda x, u: jvp(f, (x,), (u,)), (x, u), {}, strict=False)
        whole = record(lambda x, u: vjp(f, x)[1](u), (x, u), {}, strict=False)
        there, back = _halves(model, whole)
        measured = {
            "forward": (lambda: jvp(f, (x,), (u,)), model.seconds(forward)),
            "record": (lambda: vjp(f, x), there),
            "pull": (lambda: pullback(u), back),
        }
        for kind, (task, made) in measured.items():
            rows[kind][0].append((*counts, 1))
            rows[kind][1].append(seconds_of(task) - made)
    fitted = {kind: _fit_shifted(columns, seconds) for kind, (columns, seconds) in rows.items()}
    model = replace(model, transforms={kind: c[: len(LANES)] for kind, c in fitted.items()})
    entry = {name: fitted[kind][-1] for name, kind in (("jvp", "forward"), ("vjp", "record"), ("pull", "pull"))}
    return replace(model, entry=entry | _entries(model, x))


def _fit_shifted(columns: Sequence[Any], seconds: Sequence[float]) -> tuple[float, ...]:
    return _fit(columns, [max(s, 1e-7) for s in seconds])


def _halves(model: CostModel, program: Program) -> tuple[float, float]:
    """Seconds of the NumPy calls of the forward and of the backward part."""
    priced = list(model.priced(program, held=True))
    return sum(s for i, s in priced if not i.backward), sum(s for i, s in priced if i.backward)


def _entries(model: CostModel, x: Any) -> dict[str, float]:
    """Calls of derivatives of next to nothing."""

    def total(x: Any) -> Any:
        return np.sum(x)

    def double(x: Any) -> Any:
        return x * 2.0

    found = {}
    small: list[tuple[str, Any, Any, tuple[str, ...]]] = [
        ("grad", grad, total, ("record", "pull")),
        ("jacfwd", jacfwd, double, ("forward",)),
        ("jacrev", jacrev, double, ("record", "pull")),
    ]
    for name, derivative, f, kinds in small:
        call = derivative(f)
        made = record(call, (x,), {}, strict=False)
        levels = [Level.of(kind, record(f, (x,), {}, strict=False)) for kind in kinds]
        found[name] = max(0.0, seconds_of(lambda: call(x)) - model.seconds(made, levels))
    return found


def _lines(model: CostModel) -> dict[str, float]:
    """A line of flat code beside the same NumPy call, a call of the whole, and making the code of an instruction."""
    x = np.linspace(0.1, 0.5, 8)
    columns, seconds, making = [], [], []
    for f in _chains():
        program = record(f, (x,), {}, strict=False)
        runner = Runner(program, PASSES)
        made = optimise(program, PASSES)
        columns.append((len(made.instructions), 1))
        seconds.append(seconds_of(lambda: runner((x,))) - model.seconds(made))
        making.append(
            seconds_of(lambda: Runner(record(f, (x,), {}, strict=False), PASSES), 3) / max(1, len(program.instructions))
        )
    line, call = np.linalg.lstsq(np.asarray(columns, float), np.asarray(seconds), rcond=None)[0]
    return {"line": float(line), "call": float(max(call, 1e-7)), "compile": statistics.median(making)}
