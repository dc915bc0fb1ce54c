"""Memory: scatters write in place, elementwise runs reuse what dies, the rest goes to a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.registry import OPS
from ..ops.assignment import SETITEM
from ..ops.index import SCATTER
from .algebra import use_counts
from .boxes import Box, box, common, outside
from .cost import last_uses, owners
from .primitives import ADD_AT, COPIED, KERNELS, SCATTERED, SET_AT, SUBTRACT_AT, Place
from .program import Program
from .recording import Instruction, Value, leaves

# Arrays of at least this many bytes get a place in the workspace; below, a fresh array is as fast.
WORKSPACE_BYTES = 1 << 14

_PRODUCTS = {np.matmul, np.dot}


def changes_in_place(program: Program) -> Program:
    """a with v in a[index] as a[index] = v, and a + scatter(u, index) as a[index] += u, and with −u as a[index] -= u,
    where a is an array of the program's own that nothing uses afterwards; views of it that something does use then are
    copied, if that is less than a.

    The zeros of the scatter turn a −0.0 of a into 0.0.  Where a may hold one outside of the index (see `Box`), 0.0 is
    therefore added there too: for overlapping slices, as x[1:] and x[:-1] leave them, at their ends.
    """
    uses, made = use_counts(program), {v: i for i in program.instructions for v in i.outs}
    lives = _Lives(program)
    gone: set[int] = set()
    negative: dict[Value, Box] = {}  # where a value may be −0.0, if that is not everywhere
    body: list[list[Instruction]] = []
    for k, instruction in enumerate(program.instructions):
        written = [instruction]
        if instruction.op is SETITEM:
            a, index, value = instruction.args
            v = instruction.outs[0]
            if isinstance(a, Value) and v.ndim and lives.may_change(a, k, body):
                written = [Instruction(SET_AT, (a, value, index), {}, v, instruction.backward, into=0)]
            if (
                not isinstance(value, Value | np.ndarray)
                and np.isrealobj(value)
                and not np.signbit(value)
                and isinstance(a, Value)
                and a in made
            ):
                negative[v] = _negative_zeros(a, made, negative)
        elif instruction.op.fn is np.add:
            for a, scatter in _scatters_added(instruction, made):
                u, index, _, ndim = scatter.args
                index = (slice(None),) * (u.ndim - ndim) + index
                target, before = box(index, a.shape), _negative_zeros(a, made, negative)
                rest = None if target is None else outside(before, target)
                if target is not None:
                    negative[instruction.outs[0]] = common(before, target)
                if rest is None or target is None or not lives.may_change(a, k, body):
                    continue
                once = uses[scatter.outs[0]] == 1
                if once:
                    gone.add(id(scatter))
                minus, op = made.get(u) if isinstance(u, Value) else None, ADD_AT
                if once and minus is not None and minus.op.fn is np.negative and uses[u] == 1:
                    gone.add(id(minus))
                    op, u = SUBTRACT_AT, minus.args[0]
                written = []
                for piece in rest:
                    v = Value(a.shape, a.dtype)
                    zero = 0.0 if any(isinstance(i, slice) for i in piece) else a.dtype.type(0)
                    written.append(Instruction(ADD_AT, (a, zero, piece), {}, v, instruction.backward, into=0))
                    a = v
                written.append(Instruction(op, (a, u, index), {}, instruction.out, instruction.backward, into=0))
                break
        body.append(written)
    return program.with_(instructions=tuple(i for part in body for i in part if id(i) not in gone))


class _Lives:
    """How long the arrays of a program, and the views of each, are read; `may_change` ends one.

    What is only scattered is read as late as the scatter is, for that is where it may be computed then.
    """

    def __init__(self, program: Program) -> None:
        self.last: dict[Value, int] = {}  # of an array the last instruction that reads it, of a view any view of it too
        self.views: dict[
            Value, dict[Value, int]
        ] = {}  # of an array, with the numbers of the instructions that take them
        self.own = set(_fresh_arrays(program))
        home: dict[Value, Value] = {}
        late = _late(program)
        for k, instruction in enumerate(program.instructions):
            source = instruction.source if instruction.aliases and instruction.args else None
            if isinstance(source, Value):
                for v in instruction.outs:
                    home[v] = home.get(source, v)
                    if home[v] is v:
                        self.views.setdefault(source, {})[v] = k
            for v in instruction.uses:
                v = home.get(v, v)
                self.last[v] = max(self.last.get(v, 0), late[k])
        for v in program.outputs:
            if isinstance(v, Value):
                self.last[home.get(v, v)] = len(program.instructions)

    def may_change(self, a: Value, k: int, body: list[list[Instruction]]) -> bool:
        """Whether instruction k may change the memory of a; views that live on are copied, in `body`, and from then on
        the result, which takes the memory, is asked."""
        if a not in self.own or self.last[a] != k:
            return False
        # Instruction k may count as a view of a itself, where a has no elements.
        living = {v: at for v, at in self.views.get(a, {}).items() if at < k <= self.last.get(v, at)}
        if 2 * sum(v.nbytes for v in living) > a.nbytes or any(len(body[at][-1].outs) > 1 for at in living.values()):
            return False
        for v, at in living.items():
            view = Value(v.shape, v.dtype)
            taken = body[at][-1]
            body[at][-1:] = [
                replace(taken, out=view),
                Instruction(COPIED, (view,), {}, v, taken.backward),
            ]
        return True


def _late(program: Program) -> list[int]:
    """The last place at which each instruction may be carried out once what is only scattered is written in place."""
    late = list(range(len(program.instructions)))
    read: dict[Value, int] = {}
    scattered: dict[Value, int] = {}
    for k in reversed(late[:]):
        instruction = program.instructions[k]
        out = instruction.outs[0] if instruction.outs else None
        if instruction.op is SCATTER:
            late[k] = read.get(instruction.outs[0], k)
            if isinstance(instruction.args[0], Value):
                scattered[instruction.args[0]] = max(late[k], scattered.get(instruction.args[0], 0))
        elif out in scattered and _is_plain_ufunc(instruction):
            late[k] = scattered[out]
        for v in instruction.uses:
            read.setdefault(v, k)
    return late


def _scatters_added(addition: Instruction, made: dict[Value, Instruction]) -> Iterator[tuple[Value, Instruction]]:
    """a and the scatter of a + scatter(u, index), where a may be overwritten."""
    out = addition.outs[0]
    for a, s in (addition.args, addition.args[::-1]):
        scatter = made.get(s) if isinstance(s, Value) else None
        if scatter is None or scatter.op is not SCATTER or not _basic(scatter.args[1]):
            continue
        if isinstance(a, Value) and a in made and a.shape == out.shape == s.shape and a.dtype == out.dtype:
            yield a, scatter


def _negative_zeros(a: Value, made: dict[Value, Instruction], negative: dict[Value, Box]) -> Box:
    """Where a may be −0.0."""
    source, found = made[a], negative.get(a)
    if found is None and source.op is SCATTER and _basic(source.args[1]):
        u, index, _, ndim = source.args
        found = box((slice(None),) * (u.ndim - ndim) + tuple(index), a.shape)
    return tuple(map(range, a.shape)) if found is None else found


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
