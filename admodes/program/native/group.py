"""The pass that puts instructions into kernels: all that kernels compute and that no other operation stands between.

Views are computed in a kernel where it reads them, and stay as they are for others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ...core.indices import as_tuple
from ...core.registry import OPS, Op
from ...ops.index import INDEX, SCATTER
from ..primitives import KERNELS, KernelFacts
from ..recording import GUARD, SEED, Instruction, Value, leaves
from ..straightline import StraightLine
from .affine import shown
from .calls import function_of
from .complexes import is_complex_native
from .gathers import index_values
from .nodes import is_native, is_number
from .products import product_as_sum

P = TypeVar("P", bound=StraightLine)
Make = Callable[[tuple[Instruction, ...], tuple[Any, ...], tuple[Value, ...]], Any]

# Instructions from which on a kernel is worth a call.
LEAST = 2


@dataclass
class _Part:
    """The instructions that go into one kernel, by their places."""

    places: list[int] = field(default_factory=list)


def kernels(program: P, make: Make = function_of, least: int | None = None, left: frozenset[int] = frozenset()) -> P:
    """The program with native kernels in place of the instructions that they compute, but for those at the places
    `left`."""
    program, left = _lowered(_indices_as_arrays(program), left)
    makers, views, chosen = _parts(program, least or LEAST, left)
    if not chosen:
        return program
    within = {k: n for n, part in chosen.items() for k in part.places}
    outside = _used_outside(program, makers, views, within)
    made = {n: _instruction(program, part.places, makers, views, outside[n], make) for n, part in chosen.items()}
    return program.with_(instructions=tuple(_ordered(program, makers, views, within, made)))


def count(program: StraightLine, left: frozenset[int] = frozenset()) -> tuple[int, int]:
    """How many kernels there would be, and how many different ones, which are compiled once each."""
    program, left = _lowered(program, left)
    body, parts = program.instructions, _parts(program, LEAST, left)[2].values()
    return len(parts), len({tuple((body[k].op, body[k].outs[0].shape) for k in part.places) for part in parts})


def _lowered(program: P, left: frozenset[int]) -> tuple[P, frozenset[int]]:
    """Means and products as sums, but for instructions that are left; and where these are then."""
    body: list[Instruction] = []
    places: list[int] = []
    for k, i in enumerate(program.instructions):
        if k in left:
            places.append(len(body))
            body.append(i)
        else:
            body += lowered((i,))
    return program.with_(instructions=tuple(body)), frozenset(places)


def _parts(
    program: StraightLine, least: int, left: frozenset[int]
) -> tuple[dict[Value, int], set[int], dict[int, _Part]]:
    """The makers of values, the views, and the instructions of each kernel."""
    body = program.instructions
    makers = {v: k for k, i in enumerate(body) for v in i.outs}
    views = {k for k, i in enumerate(body) if i.into is None and shown(i) is not None}
    native = {k for k, i in enumerate(body) if k not in views and k not in left and is_taken(i)}
    level = _sunk(program, makers, views, native, _levels(program, makers, views, native))
    parts: dict[int, _Part] = {}
    for k in sorted(native):
        parts.setdefault(level[k], _Part()).places.append(k)
    return makers, views, {n: part for n, part in parts.items() if len(part.places) >= least}


def is_taken(i: Instruction) -> bool:
    """Whether kernels compute an instruction."""
    return is_native(i) or is_complex_native(i)


def lowered(body: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """Means and products of small matrices as sums."""
    return tuple(k for i in body for j in mean_as_sum(i) for k in product_as_sum(j))


def kernels_on(threads: int) -> Callable[[Any], Any]:
    """The pass, with long kernels on so many threads."""
    return kernels if threads == 1 else partial(kernels, make=partial(function_of, threads=threads))


def mean_as_sum(i: Instruction) -> list[Instruction]:
    """The mean as the sum over the number of elements, as NumPy has it; any other instruction as it is."""
    x = i.args[0] if i.args else None
    if i.op.fn is not np.mean or not isinstance(x, Value) or i.outs[0].dtype != x.dtype or x.dtype.char not in "fdFD":
        return [i]
    total = Value(i.outs[0].shape, i.outs[0].dtype)
    count = x.size // max(1, i.outs[0].size)
    return [
        Instruction(OPS[np.sum], i.args, i.params, total, i.backward),
        Instruction(OPS[np.divide], (total, float(count)), {}, i.out, i.backward),
    ]


def _indices_as_arrays(program: P) -> P:
    """The lists in indices as the arrays that NumPy makes of them."""

    def entry(x: Any) -> Any:
        return x if type(x) is not list or any(isinstance(y, Value) for y in leaves(x)) else as_tuple((x,))[0]

    body = []
    for i in program.instructions:
        if i.op is INDEX or i.op is SCATTER:
            index = i.args[1]
            index = tuple(map(entry, index)) if isinstance(index, tuple) else entry(index)
            i = replace(i, args=(i.args[0], index, *i.args[2:]))
        body.append(i)
    return program.with_(instructions=tuple(body))


def _levels(program: StraightLine, makers: dict[Value, int], views: set[int], native: set[int]) -> dict[int, int]:
    """By instruction how many kernels, one behind the other, there are up to it.

    What is computed outside of kernels behind a guard stays behind it: where the guard fails, NumPy may refuse it.
    """
    body = program.instructions
    level: dict[int, int] = {}
    outside = guarded = 0
    for k, i in enumerate(body):
        before = [makers[v] for v in i.uses if v in makers]
        if k in native:
            sources = [_source(j, body, makers, views) for j in before]
            level[k] = max((level[s] + (s not in native) for s in sources if s is not None), default=0)
            for v in index_values(i):  # which a kernel looks at before it starts
                s = _source(makers[v], body, makers, views) if v in makers else None
                level[k] = max(level[k], 0 if s is None else level[s] + 1)
        else:
            level[k] = max((level[j] for j in before), default=0)
            if k not in views:
                level[k] = max(level[k], guarded)
            outside = max(outside, level[k])
            if i.op is GUARD:
                guarded = outside
    return level


def _sunk(
    program: StraightLine, makers: dict[Value, int], views: set[int], native: set[int], level: dict[int, int]
) -> dict[int, int]:
    """The levels with what kernels compute as late as its uses allow, so that less is left in memory for later."""
    latest: dict[int, int] = {}
    last = max(level.values(), default=0)
    for k in reversed(range(len(program.instructions))):
        own = min(latest.get(k, last), last)
        if k in native:
            level[k] = max(level[k], own)
        indices = index_values(program.instructions[k]) if k in native else []
        for v in program.instructions[k].uses:
            if v in makers:
                bound = own if k in views else level[k] - (v in indices)
                latest[makers[v]] = min(latest.get(makers[v], last), bound)
    return level


def _source(j: int, body: tuple[Instruction, ...], makers: dict[Value, int], views: set[int]) -> int | None:
    """The instruction that makes what a view shows, for a kernel that sees through it; None for inputs."""
    while j in views:
        source = body[j].args[0]
        if source not in makers:
            return None
        j = makers[source]
    return j


def _used_outside(
    program: StraightLine, makers: dict[Value, int], views: set[int], within: dict[int, int]
) -> dict[int, dict[Value, None]]:
    """By kernel the values that are used outside of it, in order."""
    found: dict[int, dict[Value, None]] = {n: {} for n in within.values()}

    def note(v: Value, user: int | None) -> None:
        k = makers.get(v)
        while k in views:  # which a kernel reads through
            v = program.instructions[k].args[0]
            k = makers.get(v)
        if k in within and within[k] != user:
            found[within[k]][v] = None

    for k, i in enumerate(program.instructions):
        if k not in views:
            for v in i.uses:
                note(v, within.get(k))
    for v in program.outputs:
        if isinstance(v, Value):
            note(v, None)
    return found


def _instruction(
    program: StraightLine,
    places: list[int],
    makers: dict[Value, int],
    views: set[int],
    outputs: dict[Value, None],
    make: Make,
) -> Instruction:
    """A kernel of the instructions at these places."""
    body, own = program.instructions, set(places)
    inputs: dict[Any, Any] = {}
    needed = set(places)
    waiting = [x for k in places for x in leaves(body[k].args)]
    while waiting:
        x = waiting.pop()
        if isinstance(x, np.ndarray) and not is_number(x):
            inputs.setdefault(id(x), x)
        elif isinstance(x, Value):
            k = makers.get(x)
            if k in views:
                if k not in needed:
                    needed.add(k)
                    waiting.append(body[k].args[0])
            elif k not in own:
                inputs.setdefault(x, x)
    instructions = tuple(body[k] for k in sorted(needed))
    last = {v: k for k, v in enumerate(program.outputs) if isinstance(v, Value)}
    ordered = tuple(v for k in sorted(own) for v in body[k].outs if v in outputs)
    ordered = tuple(sorted(ordered, key=lambda v: last.get(v, -1)))
    first = {v: k for k, v in enumerate(program.inputs)}
    given = tuple(sorted(inputs.values(), key=lambda x: first.get(x, -1) if isinstance(x, Value) else -1))
    out: Any = ordered if len(ordered) > 1 else ordered[0]
    function = make(instructions, given, ordered)
    op = Op(function, name="kernel", arrays=None, flops=lambda y, *args, **places: _flops(instructions))
    KERNELS[op] = KernelFacts(instructions, function.native.ir, function.results, function.scratch, told=function.told)
    args = tuple(np.ascontiguousarray(x) if isinstance(x, np.ndarray) and x.ndim else x for x in given)
    return Instruction(op, args, {}, out, all(body[k].backward for k in places))


def _flops(instructions: tuple[Instruction, ...]) -> float:
    return float(sum(i.op.count(i.out, i.args, i.params) for i in instructions))


def _ordered(
    program: StraightLine,
    makers: dict[Value, int],
    views: set[int],
    within: dict[int, int],
    made: dict[int, Instruction],
) -> list[Instruction]:
    """The instructions outside of kernels in their order, and each kernel before the first that needs it."""
    body = program.instructions
    by_value = {v: i for i in made.values() for v in i.outs}
    done: set[int] = set()
    new: list[Instruction] = []

    def emit(first: Instruction) -> None:
        waiting = [(first, False)]
        while waiting:
            i, ready = waiting.pop()
            if id(i) in done:
                continue
            if ready:
                done.add(id(i))
                new.append(i)
                continue
            waiting.append((i, True))
            for v in reversed(i.uses):
                k = makers.get(v)
                if v in by_value:
                    waiting.append((by_value[v], False))
                elif k is not None and k not in within:
                    waiting.append((body[k], False))

    read = {v for k, i in enumerate(body) if k not in within for v in i.uses}
    read |= {v for i in made.values() for v in i.uses} | {v for v in program.outputs if isinstance(v, Value)}
    for k, i in enumerate(body):
        if k in within:
            continue
        if i.op is GUARD or i.op is SEED or i.into is not None or any(v in read for v in i.outs):
            emit(i)
    for v in program.outputs:
        if isinstance(v, Value) and v in by_value:
            emit(by_value[v])
    return new
