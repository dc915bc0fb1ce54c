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
from ..core.registry import OPS, Elementwise, Op, Passive, lookup
from ..program.recording import Instruction
from .work import is_ufunc, key, units

ELEMENTS = (8, 512, 16384)
SIDES = (2, 16, 64)
ROW = {op.name: op for op in OPS.values()}


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


def bulk(rng: np.random.Generator) -> dict[str, list[Call]]:
    """Calls at several sizes, by what they are kept under."""
    found: dict[str, list[Call]] = {}
    for fn, make, sizes in _examples(rng):
        op = lookup(fn)
        assert op is not None
        calls = [make(n) for n in sizes]
        made = [Call(op, args, params) for args, params in calls]
        found[key(made[0].instruction)] = made
    for name, index_of in (("places", partial(_places, rng)), ("mask", partial(_mask, rng))):
        indices = [index_of(n) for n in (8, 1024, 16384)]
        found[f"getitem[{name}]"] = [Call(ROW["getitem"], (rng.random(i.size), i)) for i in indices]
        parts = [rng.random(np.arange(i.size)[i].size) for i in indices]
        found[f"scatter[{name}]"] = [
            Call(ROW["scatter"], (u, (i,), (i.size,), 1)) for u, i in zip(parts, indices, strict=True)
        ]
    found["scatter"] = [Call(ROW["scatter"], (rng.random(n - 1), (slice(1, None),), (n,), 1)) for n in ELEMENTS]
    return found


def _places(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(n, size=n)


def _mask(rng: np.random.Generator, n: int) -> Any:
    return rng.random(n) > 0.5


Made = tuple[tuple[Any, ...], dict[str, Any]]


def _examples(rng: np.random.Generator) -> Iterator[tuple[Any, Callable[[int], Made], Sequence[int]]]:
    """(function, its call of a size, sizes)."""

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
    yield np.partition, lambda n: of(x(n), n // 2), ELEMENTS
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
    np.zeros_like, np.ones_like, np.diff, np.any, np.all, np.flip, np.unique, np.round, np.var, np.std,
)  # fmt: skip
_OF_MATRICES = (
    np.linalg.inv, np.linalg.det, np.linalg.slogdet, np.linalg.qr, np.linalg.svd, np.linalg.eig, np.linalg.eigvals,
)  # fmt: skip
