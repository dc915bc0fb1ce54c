"""Memory: scatters write in place, elementwise runs reuse what dies, the rest goes to a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..core.registry import OPS
from ..ops.index import SCATTER
from .algebra import use_counts
from .boxes import Box, box, common, outside
from .cost import last_uses, owners
from .primitives import ADD_AT, KERNELS, SCATTERED, SUBTRACT_AT, Place
from .program import Program
from .recording import Instruction, Value, leaves

# Arrays of at least this many bytes get a place in the workspace; below, a fresh array is as fast.
WORKSPACE_BYTES = 1 << 14

_PRODUCTS = {np.matmul, np.dot}


def scatters_in_place(program: Program) -> Program:
    """a + scatter(u, index) as a[index] += u, and with −u as a[index] -= u, where a is an array of the program's own
    that nothing else uses.

    The zeros of the scatter turn a −0.0 of a into 0.0.  Where a may hold one outside of the index (see `Box`), 0.0 is
    therefore added there too: for overlapping slices, as x[1:] and x[:-1] leave them, at their ends.
    """
    uses, made = use_counts(program), {v: i for i in program.instructions for v in i.outs}
    free = set(_own_arrays(program))
    gone: set[int] = set()
    negative: dict[Value, Box] = {}  # where a value may be −0.0, if that is not everywhere
    body: list[Instruction] = []
    for instruction in program.instructions:
        found = _scatter_added(instruction, made, uses, free) if instruction.op.fn is np.add else None
        if found is not None:
            a, scatter = found
            u, index, _, ndim = scatter.args
            index = (slice(None),) * (u.ndim - ndim) + index
            target, before = box(index, a.shape), _negative_zeros(a, made, negative)
            rest = None if target is None or before is None else outside(before, target)
            if rest is not None and target is not None and before is not None:
                gone.add(id(scatter))
                minus, op = made.get(u) if isinstance(u, Value) else None, ADD_AT
                if minus is not None and minus.op.fn is np.negative and uses[u] == 1:
                    gone.add(id(minus))
                    op, u = SUBTRACT_AT, minus.args[0]
                for piece in rest:
                    v = Value(a.shape, a.dtype)
                    zero = 0.0 if any(isinstance(i, slice) for i in piece) else a.dtype.type(0)
                    body.append(Instruction(ADD_AT, (a, zero, piece), {}, v, instruction.backward, into=0))
                    a = v
                instruction = Instruction(op, (a, u, index), {}, instruction.out, instruction.backward, into=0)
                negative[instruction.outs[0]] = common(before, target)
        body.append(instruction)
    return program.with_(instructions=tuple(i for i in body if id(i) not in gone))


def _scatter_added(
    addition: Instruction, made: dict[Value, Instruction], uses: dict[Value, int], free: set[Value]
) -> tuple[Value, Instruction] | None:
    """a and the scatter of a + scatter(u, index), where a may be overwritten."""
    out = addition.outs[0]
    for a, s in (addition.args, addition.args[::-1]):
        scatter = made.get(s) if isinstance(s, Value) else None
        if scatter is None or scatter.op is not SCATTER or uses[s] != 1 or not _basic(scatter.args[1]):
            continue
        own = isinstance(a, Value) and a in free and uses[a] == 1
        if own and a.shape == out.shape == s.shape and a.dtype == out.dtype:
            return a, scatter
    return None


def _negative_zeros(a: Value, made: dict[Value, Instruction], negative: dict[Value, Box]) -> Box | None:
    """Where a may be −0.0; None where that is not known as a box."""
    source = made[a]
    if a not in negative and source.op is SCATTER and _basic(source.args[1]):
        u, index, _, ndim = source.args
        return box((slice(None),) * (u.ndim - ndim) + tuple(index), a.shape)
    return negative.get(a, tuple(map(range, a.shape)))


def _own_arrays(program: Program) -> list[Value]:
    """Arrays with memory of their own, and no view of it taken."""
    viewed = {i.source for i in program.instructions if i.aliases and isinstance(i.source, Value)}
    return [v for v in _fresh_arrays(program) if v not in viewed]


def _fresh_arrays(program: Program) -> list[Value]:
    return [i.out for i in program.instructions if not isinstance(i.out, tuple) and i.fresh and i.out.ndim]


def _basic(index: Any) -> bool:
    plain = (int, np.integer, type(None), type(Ellipsis))
    return all(isinstance(x, plain) and not isinstance(x, bool) for x in leaves(index))


def results_in_place(program: Program) -> Program:
    """A ufunc whose result is only scattered over zeros writes it there."""
    uses = use_counts(program)
    made = {i.outs[0]: i for i in program.instructions if _is_plain_ufunc(i)}
    gone: set[int] = set()
    body: list[Instruction] = []
    for instruction in program.instructions:
        moved = instruction.args[0] if instruction.op is SCATTER else None
        source = made.get(moved) if isinstance(moved, Value) else None
        if source is not None and uses[source.outs[0]] == 1 and _basic(instruction.args[1]):
            u, index, _, ndim = instruction.args
            out = instruction.outs[0]
            if u.ndim and u.dtype == out.dtype:
                index = (slice(None),) * (u.ndim - ndim) + tuple(index)
                params = {"op": source.op.fn, "index": index, "shape": out.shape, "dtype": out.dtype}
                gone.add(id(source))
                instruction = Instruction(SCATTERED, source.args, params, out, instruction.backward)
        body.append(instruction)
    return program.with_(instructions=tuple(i for i in body if id(i) not in gone))


def _is_plain_ufunc(i: Instruction) -> bool:
    plain = isinstance(i.op.fn, np.ufunc) and i.op.fn.signature is None and OPS.get(i.op.fn) is i.op
    return plain and not isinstance(i.out, tuple) and not i.params and i.into is None


def workspace(program: Program) -> Program:
    """Give large results of ufuncs and matrix products a place: the memory of an argument that dies, or an array of the
    workspace."""
    owner = owners(program)
    last = last_uses(program, owner)
    escaping = {owner[v] for v in program.outputs if isinstance(v, Value)}
    place: dict[Value, int] = {}  # owner -> workspace array
    own = set(_fresh_arrays(program))
    spare: dict[tuple[Any, ...], list[int]] = {}
    arrays: list[Value] = list(program.workspace)
    body = []
    for k, instruction in enumerate(program.instructions):
        new = instruction
        if instruction.op in KERNELS:
            new = _kernel_placed(instruction, escaping, place, spare, arrays)
        elif _can_take_out(instruction):
            out = instruction.outs[0]
            into = _dying_argument(instruction, k, owner, last, own, place, out in escaping)
            if into is not None:
                new = _placed(instruction, into=into)
                source = owner[instruction.args[into]]
                if source in place:
                    place[out] = place.pop(source)
            elif out not in escaping and out.nbytes >= WORKSPACE_BYTES:
                place[out] = _taken(out, spare, arrays)
                new = _placed(instruction, buffer=place[out])
        elif instruction.into is not None:  # a scatter in place: the memory goes on under a new name
            source, out = owner[instruction.args[instruction.into]], instruction.outs[0]
            place.update({out: place[source]} if source in place and owner[out] is out else {})
        body.append(new)
        for v in [v for v in place if last.get(v, k) <= k]:
            array = arrays[place.pop(v)]
            spare.setdefault((array.shape, array.dtype), []).append(int(array.name[1:]))
    return program.with_(instructions=tuple(body), workspace=tuple(arrays))


def _taken(v: Value, spare: dict[tuple[Any, ...], list[int]], arrays: list[Value]) -> int:
    """The number of an array of the workspace that is free for a value."""
    kind = (v.shape, v.dtype)
    if not spare.get(kind):
        spare[kind] = [len(arrays)]
        arrays.append(Value(v.shape, v.dtype, f"w{len(arrays)}"))
    return spare[kind].pop()


def _kernel_placed(
    i: Instruction,
    escaping: set[Value],
    place: dict[Value, int],
    spare: dict[tuple[Any, ...], list[int]],
    arrays: list[Value],
) -> Instruction:
    """A kernel with the large ones of its results, and what it needs meanwhile, in the workspace."""
    params: dict[str, Any] = {}
    facts = KERNELS[i.op]
    for name, n in facts.results.items():
        v = i.outs[n]
        if v not in escaping and v.nbytes >= WORKSPACE_BYTES:
            place[v] = _taken(v, spare, arrays)
            params[name] = Place(place[v])
    if facts.scratch * 8 >= WORKSPACE_BYTES:
        scratch = Value((facts.scratch,), np.dtype(float))
        number = _taken(scratch, spare, arrays)
        params["w"] = Place(number)
        spare[scratch.shape, scratch.dtype].append(number)
    return replace(i, params=params) if params else i


def _placed(i: Instruction, buffer: int | None = None, into: int | None = None) -> Instruction:
    return replace(i, buffer=buffer, into=into)


def _can_take_out(instruction: Instruction) -> bool:
    fn = instruction.op.fn
    if isinstance(instruction.out, tuple) or instruction.view or instruction.params or instruction.into is not None:
        return False
    if not instruction.out.ndim:
        return False
    if isinstance(fn, np.ufunc) and fn.signature is None:
        return OPS.get(fn) is instruction.op
    extents = [x.ndim for x in instruction.args if isinstance(x, Value | np.ndarray)]
    return (fn is np.matmul and min(extents, default=0) > 1) or (fn is np.dot and extents == [2, 2])


def _dying_argument(
    instruction: Instruction,
    k: int,
    owner: dict[Value, Value],
    last: dict[Value, int],
    own: set[Value],
    place: dict[Value, int],
    escapes: bool,
) -> int | None:
    """An elementwise argument of the result's shape whose memory nothing needs afterwards."""
    if instruction.op.fn in _PRODUCTS:
        return None
    out = instruction.outs[0]
    for j, a in enumerate(instruction.args):
        if not (isinstance(a, Value) and a in own and a.shape == out.shape and a.dtype == out.dtype and last[a] == k):
            continue
        others = [b for b in instruction.args if isinstance(b, Value) and b is not a]
        if any(owner[b] is a for b in others) or (escapes and a in place):
            continue
        return j
    return None
