"""The calls by which `calibrate` knows a row: small ones where its domain says it is sampled, and larger ones.

Each row of the table brings examples of its own; functions whose time goes by something else than their elements, and
those that the pushes and pulls are made of, are sampled at several sizes here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..core.domain import REAL, uniform
from ..core.registry import OPS, Composite, Elementwise, Op, Passive, Refused, lookup
from ..program.native.nodes import entry_of, is_native
from ..program.primitives import ROWS, SUMMED_ROWS
from ..program.recording import Instruction
from ..transforms.dense import jvp, vjp
from .work import derives, is_ufunc, key, lane, units

ELEMENTS = (8, 512, 16384)
SIDES = (2, 16, 64)


def row(name: str) -> Op:
    """The row of that name."""
    return next(op for op in OPS.values() if op.name == name)


@dataclass(frozen=True)
class Call:
    """A call of a row."""

    op: Op
    args: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> Callable[[], Any]:
        return partial(self.op.evaluate, *self.args, **self.params)

    @property
    def instruction(self) -> Instruction:
        return Instruction(self.op, self.args, self.params, self.task())


def units_of(call: Call) -> float:
    """Its units of work."""
    return max(1.0, units(call.instruction))


def rows(rng: np.random.Generator) -> tuple[dict[str, list[Call]], dict[str, Call]]:
    """Every row at its smallest, ufuncs at several sizes too; and those that take numbers, on numbers."""
    import scipy.special

    lookup(scipy.special.erf)  # whose rows come late
    calls: dict[str, list[Call]] = {}
    numbers: dict[str, Call] = {}
    for op in dict.fromkeys(OPS.values()):
        if is_ufunc(op) and isinstance(op, Elementwise | Passive) and getattr(op.fn, "signature", None) is None:
            for found in _ufunc(op, rng):
                calls[op.name], numbers[op.name] = found
        elif op.name not in calls:
            small = _small(op, rng)
            if small is not None:
                calls[op.name] = [small]
    return calls, numbers


def _ufunc(op: Op, rng: np.random.Generator) -> Iterator[tuple[list[Call], Call]]:
    """A ufunc on arrays of several sizes, and on numbers; nothing where its domain is not of intervals."""
    given = int(getattr(op.fn, "nin", 0))
    domain = op.domain if op.domain is not None else (REAL,) * given
    if len(domain) != given or not all(map(_are_intervals, domain)):
        return
    calls = [Call(op, tuple(uniform(rng, (n,), part) for part in domain)) for n in ELEMENTS]
    try:
        calls[0].task()
    except TypeError:  # of integers alone
        return
    yield calls, Call(op, tuple(x[0] for x in calls[0].args))


def _are_intervals(part: Any) -> bool:
    return isinstance(part, tuple) and all(isinstance(interval, tuple) for interval in part)


def _small(op: Op, rng: np.random.Generator) -> Call | None:
    """The first example of a row that runs, which is small."""
    for case in op.domain if isinstance(op.domain, list) else ():
        args, params = case.fill([a.sample(rng) for a in case.arrays])
        if any(0 in np.shape(x) for x in args if isinstance(x, np.ndarray)):
            continue
        call = Call(op, (*args[0], *args[1:]) if op.sequence else tuple(args), params)
        try:
            units_of(call)
        except (TypeError, ValueError, IndexError, np.linalg.LinAlgError):
            continue
        return call
    return None


def differentiable(rng: np.random.Generator) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Rows whose way through a transform is their own, each as a function of its first array of floats, at a small one.

    Functions of one or two arrays without parameters go through fast lanes, which are alike.
    """
    small, _ = rows(rng)
    found = {}
    for name, calls in (small | bulk(rng)).items():
        call = calls[0]
        i = call.instruction
        if isinstance(call.op, Passive | Composite | Refused) or not (lane(i) == "general" or derives(call.op)):
            continue
        f, x = _of_one(call)
        if f is not None and _has_derivative(f, x):
            found[name] = f, (x,)
    return found


def _of_one(call: Call) -> tuple[Callable[..., Any] | None, Any]:
    """The call as a function of its first array of floats, and that."""
    for place, x in enumerate(call.args):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim:
            before, after = call.args[:place], call.args[place + 1 :]
            if call.op.sequence:
                return lambda x: call.op.fn([*before, x, *after], **call.params), x
            return lambda x: call.op.fn(*before, x, *after, **call.params), x
    return None, None


def _has_derivative(f: Callable[..., Any], x: Any) -> bool:
    """Whether both modes go through f, and to one array of floats: some rows are of NumPy's own arrays alone."""
    try:
        y, pullback = vjp(f, x)
        jvp(f, (x,), (x,))
        pullback(np.ones_like(y))
    except (TypeError, ValueError, RuntimeError, AttributeError):
        return False
    return isinstance(y, np.ndarray) and y.dtype.kind == "f"


def bulk(rng: np.random.Generator) -> dict[str, list[Call]]:
    """Calls at several sizes, by what they are kept under."""
    found: dict[str, list[Call]] = {}
    for fn, make, sizes in _examples(rng):
        op = fn if isinstance(fn, Op) else lookup(fn)
        assert op is not None
        calls = [make(n) for n in sizes]
        made = [Call(op, args, params) for args, params in calls]
        found[key(made[0].instruction)] = made
    for name, index_of in (("places", partial(_places, rng)), ("mask", partial(_mask, rng))):
        indices = [index_of(n) for n in (8, 1024, 16384)]
        found[f"getitem[{name}]"] = [Call(row("getitem"), (rng.random(i.size), i)) for i in indices]
        parts = [rng.random(np.arange(i.size)[i].size) for i in indices]
        found[f"scatter[{name}]"] = [
            Call(row("scatter"), (u, (i,), (i.size,), 1)) for u, i in zip(parts, indices, strict=True)
        ]
    found["scatter"] = [Call(row("scatter"), (rng.random(n - 1), (slice(1, None),), (n,), 1)) for n in ELEMENTS]
    return found


# Numbers in the arrays of a kernel, which stay in the first level of cache; products and sums in a chain of them, and
# in one of a single number, which takes no longer than the call itself.
KERNEL_ELEMENTS, CHAIN, LONG_CHAIN = 1024, 16, 256

# Probes of kernels that are not of one operation.
KERNELS_OF_ALL = ("call", "arrays", "cheap", "sum", "place", "one", "number", "sine")


def natively(rng: np.random.Generator) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """What is to be native, with arguments: `KERNELS_OF_ALL`, and each elementwise operation that takes longer than an
    addition, by its key."""

    def chain(x: Any, length: int = CHAIN) -> Any:
        for _ in range(length):
            x = x * 0.9 + 0.05
        return x

    def sines(x: Any) -> Any:
        for _ in range(LONG_CHAIN):
            x = np.sin(x)
        return x

    x, few = rng.random(KERNEL_ELEMENTS) + 0.5, rng.random(8)
    one = few[0]
    found: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "call": (lambda x: x * 0.9 + 0.05, (few,)),
        "arrays": (lambda x: [x * (0.5 + k) + 0.05 for k in range(4)], (few,)),
        "cheap": (chain, (x,)),
        "sum": (lambda x: np.sum(x * 0.9), (x,)),
        "place": (lambda x, i: x[i] * 0.9, (x, rng.integers(x.size, size=x.size))),
        "one": (lambda x: x * 0.9 + 0.05, (one,)),
        "number": (lambda x: chain(x, LONG_CHAIN), (one,)),
        "sine": (sines, (one,)),
    }
    known, _ = rows(rng)
    for name, calls in known.items():
        i = calls[0].instruction
        entry = entry_of(i)
        if entry is not None and entry.work > 1 and "d" in entry.kinds and len(calls) == len(ELEMENTS) and is_native(i):
            args = tuple(np.resize(a, KERNEL_ELEMENTS) for a in calls[1].args)
            found[name] = (lambda *args, f=i.op.fn: f(*args) * 0.9), args
    return found


def _places(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(n, size=n)


def _mask(rng: np.random.Generator, n: int) -> Any:
    return rng.random(n) > 0.5


Made = tuple[tuple[Any, ...], dict[str, Any]]


def _examples(rng: np.random.Generator) -> Iterator[tuple[Any, Callable[[int], Made], Sequence[int]]]:
    """(function or row, its call of a size, sizes)."""

    def x(*shape: int) -> Any:
        return rng.random(shape) + 0.5

    def definite(n: int) -> Any:
        a = x(n, n)
        return a @ a.T + n * np.eye(n)

    def one(n: int) -> Made:
        return (x(n),), {}

    def square(n: int) -> Made:
        return (x(math.isqrt(n), math.isqrt(n)),), {}

    def of(*args: Any) -> Made:
        return args, {}

    for fn in _ELEMENTWISE:
        yield fn, one, ELEMENTS
    for fn in (np.diag, np.tril, np.triu, np.trace):
        yield fn, square, ELEMENTS
    signed = rng.normal(size=ELEMENTS[-1])
    for exponent in (2, 3, 0.5, -1):
        yield np.power, lambda n: of(signed[:n] if exponent != 0.5 else np.abs(signed[:n]), exponent), ELEMENTS
    for fn in (np.partition, np.argpartition):
        yield fn, lambda n: of(x(n), n // 2), ELEMENTS
    yield np.bitwise_and, lambda n: of(x(n) > 1, x(n) > 1), ELEMENTS
    yield row("over"), lambda n: of(x(n), x(n), np.zeros(n, bool)), ELEMENTS
    yield row("special._zeta"), lambda n: of(2.0, x(n)), ELEMENTS
    yield row("tied"), lambda n: of(x(n)), SIDES
    yield row("ill_conditioned"), lambda n: of(x(n, n), x(n, n)), SIDES
    yield np.where, lambda n: of(x(n) > 1, x(n), x(n)), ELEMENTS
    yield np.clip, lambda n: of(x(n), 0.7, 1.2), ELEMENTS
    yield np.full_like, lambda n: of(x(n), 1.0), ELEMENTS
    yield np.concatenate, lambda n: of(x(n // 2), x(n // 2)), ELEMENTS
    yield np.stack, lambda n: of(*(x(n // 4) for _ in range(4))), ELEMENTS
    yield np.repeat, lambda n: of(x(n // 4), 4), ELEMENTS
    yield np.tile, lambda n: of(x(n // 4), 4), ELEMENTS
    yield np.roll, lambda n: of(x(n), 3), ELEMENTS
    yield np.pad, lambda n: of(x(n), 1), ELEMENTS
    yield np.astype, lambda n: of(x(n), np.dtype(np.float32)), ELEMENTS
    yield np.interp, lambda n: of(x(n), np.linspace(0, 2, 64), x(64)), ELEMENTS
    yield np.searchsorted, lambda n: of(np.linspace(0, 2, 64), x(n)), ELEMENTS
    yield np.convolve, lambda n: of(x(n), x(16)), (16, 1024, 16384)
    yield np.einsum, lambda n: of("ij,jk->ik", x(n, n), x(n, n)), (2, 16, 40)
    yield np.einsum, lambda n: of("bi,ij,bj->b", x(8, n), x(n, n), x(8, n)), (2, 8, 24)
    yield np.einsum, lambda n: of("ijk,i,j,k->", x(n, n, n), x(n), x(n), x(n)), (2, 8, 24)
    for fn in _OF_MATRICES:
        yield fn, lambda n: of(x(n, n) + n * np.eye(n)), SIDES
    for fn in (np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh):
        yield fn, lambda n: of(definite(n)), SIDES
    yield np.linalg.solve, lambda n: of(definite(n), x(n, n)), SIDES
    for fn in (np.fft.fft, np.fft.ifft, np.fft.rfft):
        yield fn, one, (8, 256, 4096)
    yield np.fft.irfft, lambda n: of(x(n // 2 + 1) + 0j), (8, 256, 4096)
    for fn in (np.fft.fft2, np.fft.ifft2):
        yield fn, lambda n: of(x(n, n)), (4, 16, 64)


_ELEMENTWISE = (
    np.sum, np.mean, np.max, np.min, np.prod, np.cumsum, np.cumprod, np.argmax, np.argmin, np.sort, np.argsort, np.copy,
    np.zeros_like, np.ones_like, np.diff, np.any, np.all, np.flip, np.unique, np.round, np.var, np.std, np.real,
    np.imag, np.conjugate, row("vanishing"), ROWS, SUMMED_ROWS,
)  # fmt: skip
_OF_MATRICES = (
    np.linalg.inv, np.linalg.det, np.linalg.slogdet, np.linalg.qr, np.linalg.svd, np.linalg.eig, np.linalg.eigvals,
)  # fmt: skip
