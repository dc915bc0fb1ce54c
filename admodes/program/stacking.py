"""Stacking: what a loop does step by step on small arrays, done for many steps at once.

Sums of outer products become matrix products, Σₜ uₜ vₜᵀ = UᵀV; small operations of one kind that do not wait for each
other become one on stacked arrays; and terms that are there early are added first, so that this can be done for them.
At most CHUNK steps are taken together, so that little more memory is alive than without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core.registry import OPS
from ..ops.index import INDEX, SCATTER
from .algebra import use_counts
from .primitives import ROWS, SUMMED_OUTER, SUMMED_ROWS
from .program import Program
from .recording import Instruction, Value

# Steps that are taken together: at least LEAST, for fewer do not pay for the stacking.
LEAST, CHUNK = 8, 64

# Arrays of at most this many bytes are stacked: on larger ones a call costs less than the copy.
STACKED_BYTES = 1 << 11

# Tries at groups without small ones; more would be for programs with little to take together.
ROUNDS = 6

# Groups of one kind that stay open: in one loop there may be several operations of a kind, some of which wait.
OPEN = 4

_PRODUCTS = {np.matmul, np.dot}


class Stacks:
    """The stacks made so far, so that equal ones are made once.

    known: ids of the parts -> stack, place where it is made, and the parts, so that their ids are not used again
    rows: x[k] -> the instruction that reads it, for whole numbers k
    """

    def __init__(self, program: Program) -> None:
        self.known: dict[tuple[int, ...], tuple[Any, int, Any]] = {}
        self.rows = {i.outs[0]: i for i in program.instructions if i.op is INDEX and type(i.args[1]) is int}

    def make(self, parts: Sequence[Any], backward: bool, at: int) -> tuple[Any, list[Instruction]]:
        """Arrays of one shape as rows of one array, and the instructions that are still needed for it there."""
        key = tuple(map(id, parts))
        stack, place, _ = self.known.get(key, (None, at + 1, None))
        if place <= at:
            return stack, []
        if not any(isinstance(x, Value) for x in parts):
            self.known[key] = np.stack(parts), -1, parts
            return self.known[key][0], []
        shape = parts[0].shape
        run = self._run(parts)
        if run is not None:
            stack = Value((len(parts), *shape), parts[0].dtype)
            self.known[key] = stack, at, parts
            return stack, [replace(self.rows[parts[0]], args=run, out=stack, backward=backward)]
        flat = Value((len(parts) * shape[0], *shape[1:]), parts[0].dtype)
        stack = Value((len(parts), *shape), flat.dtype)
        self.known[key] = stack, at, parts
        joined = Instruction(OPS[np.concatenate], tuple(parts), {}, flat, backward)
        shaped = Instruction(OPS[np.reshape], (flat, stack.shape), {}, stack, backward, view=True)
        return stack, [joined, shaped]

    def _run(self, parts: Sequence[Any]) -> tuple[Any, slice] | None:
        """x and the slice of it that the parts are, x[a], x[a + 1], … or x[a], x[a − 1], …; None for any others."""
        if not all(isinstance(x, Value) and x in self.rows for x in parts):
            return None
        sources, places = zip(*(self.rows[x].args for x in parts), strict=True)
        source = sources[0]
        if not isinstance(source, Value) or any(x is not source for x in sources):
            return None
        first, *rest = (k % source.shape[0] for k in places)
        for step in (1, -1):
            if rest == [first + step * k for k in range(1, len(parts))]:
                stop = first + step * len(parts)
                return source, slice(first, None if stop < 0 else stop, None if step == 1 else step)
        return None

    def transposed(self, matrix: Any, backward: bool, at: int) -> tuple[Any, list[Instruction]]:
        """The transpose of a matrix, and the instruction for it where there is none yet."""
        key = (id(matrix),)
        if key in self.known:
            return self.known[key][0], []
        constant = isinstance(matrix, np.ndarray)
        turned = np.ascontiguousarray(matrix.T) if constant else Value(matrix.shape[::-1], matrix.dtype)
        self.known[key] = turned, at, matrix
        return turned, [] if constant else [Instruction(OPS[np.transpose], (matrix,), {}, turned, backward, view=True)]


# ---------------------------------------------------------------------------------------------------
# Sums
# ---------------------------------------------------------------------------------------------------


def sums_of_products(program: Program) -> Program:
    """Long sums of outer products, u₁v₁ᵀ + u₂v₂ᵀ + …, as matrix products, and of small arrays as sums over a stack."""
    body = program.instructions
    uses = use_counts(program)
    made = {v: k for k, i in enumerate(body) for v in i.outs}
    inner: set[Value] = set()  # partial sums that only another sum reads
    for i in body:
        if _is_sum(i):
            inner.update(x for x in i.args if uses[x] == 1 and x in made and _is_sum(body[made[x]]))
    gone: set[int] = set()
    placed: dict[int, list[Instruction]] = {}
    stacks = Stacks(program)
    for k, i in enumerate(body):
        if _is_sum(i) and i.out not in inner:
            _sum_together(_Sum(body, uses, made, inner, k), stacks, gone, placed)
    if not gone:
        return program
    new = list(placed.get(-1, ()))
    for k, i in enumerate(body):
        new += [*(() if k in gone else (i,)), *placed.get(k, ())]
    return program.with_(instructions=tuple(new))


def _is_sum(i: Instruction) -> bool:
    out = i.outs[0] if i.outs else None
    return (
        i.op.fn is np.add
        and not i.params
        and out is not None
        and out.ndim > 0
        and out.dtype.char in "fd"
        and all(isinstance(x, Value) and x.shape == out.shape and x.dtype == out.dtype for x in i.args)
    )


class _Sum:
    """A sum of many terms: its additions, by place, and its terms."""

    def __init__(
        self, body: Sequence[Instruction], uses: dict[Value, int], made: dict[Value, int], inner: set[Value], root: int
    ) -> None:
        self.body, self.made, self.root = body, made, root
        self.additions: list[int] = []
        self.terms: list[Value] = []
        waiting: list[Value] = [body[root].outs[0]]
        while waiting:
            v = waiting.pop()
            if v in inner or v is body[root].out:
                self.additions.append(made[v])
                waiting += body[made[v]].args
            else:
                self.terms.append(v)
        self.terms.sort(key=self.place)
        self.outer = {v: pair for v in self.terms if uses[v] == 1 and (pair := self._factors(v))}

    def place(self, x: Any) -> int:
        """Where a value is there: the instruction that makes it, −1 for inputs and constants."""
        return self.made.get(x, -1) if isinstance(x, Value) else -1

    def _factors(self, v: Value) -> tuple[Any, Any] | None:
        """u and v of a term u vᵀ."""
        i = self.body[self.made[v]] if v in self.made else None
        if i is None or i.op.fn is not np.multiply or i.params or v.ndim != 2:
            return None
        n, m = v.shape
        if min(n, m) < 2 or CHUNK * (n + m) > max(4 * n * m, 1 << 14):
            return None
        for a, b in (i.args, i.args[::-1]):
            if all(isinstance(x, Value | np.ndarray) and x.dtype == v.dtype for x in i.args) and a.shape == (n, 1):
                pair = self._vector(a), self._vector(b)
                return pair if b.size == m and pair[0] is not None and pair[1] is not None else None
        return None

    def _vector(self, x: Any) -> Any:
        """The vector that a column or a row shows, or None."""
        if x.ndim == 1 or isinstance(x, np.ndarray):
            return x.reshape(-1) if x.ndim > 1 else x
        i = self.body[self.made[x]] if x in self.made else None
        source = i.args[0] if i is not None and i.args else None
        if i is None or not isinstance(source, Value) or source.shape != (x.size,):
            return None
        shown = i.op is INDEX and isinstance(i.args[1], tuple) and all(map(_keeps_order, i.args[1]))
        return source if shown or (i.op.fn is np.reshape and i.params.get("order", "C") == "C") else None


def _keeps_order(i: Any) -> bool:
    """Whether an entry of an index takes an axis as it is, or adds one."""
    return i is None or (type(i) is slice and i == slice(None))


def _sum_together(total: _Sum, stacks: Stacks, gone: set[int], placed: dict[int, list[Instruction]]) -> None:
    """Replace the additions of a sum where enough of its terms can be taken together."""
    outer = [v for v in total.terms if v in total.outer]
    small = [v for v in total.terms if v not in total.outer and _is_small(v, total)]
    single = [v for v in total.terms if v not in total.outer and not _is_small(v, total)]
    chunks = [*_chunks(outer), *_chunks(small)]
    if not chunks:
        return
    single += [*outer[_taken(outer) :], *small[_taken(small) :]]
    root = total.body[total.root]
    parts: list[tuple[int, Value]] = [(total.place(v), v) for v in single]
    for chunk in chunks:
        whole = len(chunks) == 1 and not parts
        out = root.outs[0] if whole else Value(root.outs[0].shape, root.outs[0].dtype)
        parts.append((_one_sum(total, chunk, out, stacks, placed), out))
    gone.update(total.additions, (total.made[v] for v in outer[: _taken(outer)]))
    _add_up(sorted(parts, key=lambda part: part[0]), root, placed)


def _one_sum(total: _Sum, chunk: list[Value], out: Value, stacks: Stacks, placed: dict[int, list[Instruction]]) -> int:
    """The sum of a chunk of terms; the place where it is made."""
    outer = chunk[0] in total.outer
    factors = list(zip(*(total.outer[v] for v in chunk), strict=True)) if outer else [chunk]
    backward = total.body[total.root].backward
    at = max(total.place(x) for factor in factors for x in factor)  # not before, for a stack is memory
    made = []
    for factor in factors:
        stack, new = stacks.make(factor, backward, at)
        placed.setdefault(at, []).extend(new)
        made.append(stack)
    op = SUMMED_OUTER if outer else SUMMED_ROWS
    placed.setdefault(at, []).append(Instruction(op, tuple(made), {}, out, backward))
    return at


def _add_up(parts: Sequence[tuple[int, Value]], root: Instruction, placed: dict[int, list[Instruction]]) -> None:
    """Add the parts in the order in which they come."""
    (_, so_far), *rest = parts
    for k, (at, part) in enumerate(rest):
        last = k == len(rest) - 1
        out = root.outs[0] if last else Value(so_far.shape, so_far.dtype)
        placed.setdefault(at, []).append(Instruction(root.op, (so_far, part), {}, out, root.backward))
        so_far = out


def _taken(terms: Sequence[Value]) -> int:
    """How many terms are taken in chunks: all, unless the last chunk would have fewer than LEAST."""
    return len(terms) - (len(terms) % CHUNK if len(terms) % CHUNK < LEAST else 0)


def _chunks(terms: Sequence[Value]) -> list[list[Value]]:
    """The terms that are taken, in groups of at most CHUNK."""
    taken = terms[: _taken(terms)]
    return [list(taken[k : k + CHUNK]) for k in range(0, len(taken), CHUNK)]


def _is_small(v: Value, total: _Sum) -> bool:
    """Whether a term is a small array that is there anyway; a scatter adds in place better."""
    i = total.body[total.made[v]] if v in total.made else None
    return v.nbytes <= STACKED_BYTES and (i is None or i.op is not SCATTER)


def early_terms_first(program: Program) -> Program:
    """(a + b) + c as a + (b + c), where b and c are there long before a: they can be added for many steps at once.

    Only small arrays, and where this happens at least LEAST times.  Not scatters, which are added in place.
    """
    body, uses = program.instructions, use_counts(program)
    made: dict[Value, int] = {}
    depth: dict[Any, int] = {}  # the longest chain of instructions that leads to a value
    found: dict[int, tuple[int, list[Value]]] = {}  # outer addition -> inner one, terms from the earliest on
    scattered = {i.outs[0] for i in body if i.op is SCATTER}
    for k, i in enumerate(body):
        depth.update(dict.fromkeys(i.outs, 1 + max((depth.get(v, 0) for v in i.uses), default=0)))
        made.update(dict.fromkeys(i.outs, k))
        for x, other in (i.args, i.args[::-1]) if _is_sum(i) and i.outs[0].nbytes <= STACKED_BYTES else ():
            inner = made.get(x, -1) if isinstance(x, Value) else -1
            if inner >= 0 and uses[x] == 1 and inner not in found and _is_sum(body[inner]):
                *early, late = sorted((*body[inner].args, other), key=lambda v: depth.get(v, 0))
                spread = not scattered.isdisjoint((*early, late))
                if late is not other and depth.get(late, 0) > depth.get(early[1], 0) + 1 and not spread:
                    found[k] = inner, [*early, late]
    if len(found) < LEAST:
        return program
    gone = {inner for inner, _ in found.values()}
    new: list[Instruction] = []
    for k, i in enumerate(body):
        if k in found:
            b, c, a = found[k][1]
            both = Value(b.shape, b.dtype)
            new.append(Instruction(i.op, (b, c), {}, both, i.backward))
            new.append(Instruction(i.op, (a, both), {}, i.out, i.backward))
        elif k not in gone:
            new.append(i)
    return program.with_(instructions=tuple(new))


# ---------------------------------------------------------------------------------------------------
# Operations of one kind
# ---------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Group:
    """Operations of one kind whose arguments are all there before the first of them."""

    place: int
    members: list[int] = field(default_factory=list)


def operations_together(program: Program) -> Program:
    """Small operations of one kind that do not wait for each other as one on stacked arrays, and products of one matrix
    with many vectors as a product of two matrices."""
    body = program.instructions
    kinds = {k: kind for k, i in enumerate(body) if (kind := _kind(i)) is not None}
    kinds = _frequent(kinds)
    for _ in range(ROUNDS):
        groups = _grouped(program, kinds)
        few = {k for g in groups if 1 < len(g.members) < LEAST for k in g.members}
        if not few:
            return _carried_out(program, [g for g in groups if len(g.members) >= LEAST])
        kinds = _frequent({k: kind for k, kind in kinds.items() if k not in few})
    return program


def _frequent(kinds: dict[int, Any]) -> dict[int, Any]:
    times: dict[Any, int] = {}
    for kind in kinds.values():
        times[kind] = times.get(kind, 0) + 1
    return {k: kind for k, kind in kinds.items() if times[kind] >= LEAST}


def _kind(i: Instruction) -> Any:
    """What operations have in common that may be taken together; None for those that may not."""
    fn, out = i.op.fn, i.out
    if isinstance(out, tuple) or i.params or not out.ndim or not out.size or out.nbytes > STACKED_BYTES:
        return None
    if fn in _PRODUCTS:
        a, b = i.args
        if not all(isinstance(x, Value | np.ndarray) and x.dtype == out.dtype for x in i.args) or out.ndim != 1:
            return None
        return (i.op, 0, id(a), b.shape) if a.ndim == 2 else (i.op, 1, id(b), a.shape)
    if not isinstance(fn, np.ufunc) or fn.signature is not None or OPS.get(fn) is not i.op:
        return None
    square = len(i.args) == 2 and i.args[0] is i.args[1]
    return (i.op, out.shape, out.dtype.char, square, *(_role(x, out) for x in i.args))


def _role(x: Any, out: Value) -> Any:
    """An argument of the result's shape is stacked, any other is shared."""
    if isinstance(x, Value | np.ndarray):
        return ("stacked", x.dtype.char) if x.shape == out.shape else id(x)
    return (type(x), repr(x))


def _grouped(program: Program, kinds: dict[int, Any]) -> list[Group]:
    """The operations in groups, each as early as its first member, none of which waits for another."""
    there = _input_views(program)
    current: dict[Any, list[Group]] = {}
    groups = []
    for k, i in enumerate(program.instructions):
        if k not in kinds:
            there.update((v, k) for v in i.outs if v not in there)
            continue
        ready = max((there[v] for v in i.uses if v in there), default=-1)
        chosen = current.setdefault(kinds[k], [])
        fitting = [g for g in chosen if ready < g.place and len(g.members) < CHUNK]
        group = max(fitting, key=lambda g: (len(g.members), -g.place), default=None)
        if group is None:
            groups.append(group := Group(k))
        else:
            chosen.remove(group)
        chosen[:] = [group, *chosen[: OPEN - 1]]  # the one joined last first
        group.members.append(k)
        there[i.outs[0]] = group.place
    return groups


def _input_views(program: Program) -> dict[Value, int]:
    """Views of inputs, which can be taken at any time."""
    views: dict[Value, int] = {}
    known = set(program.inputs)
    for i in program.instructions:
        if i.view and i.op is INDEX and i.uses and i.uses[0] is i.args[0] and known.issuperset(i.uses):
            known.update(i.outs)
            views[i.outs[0]] = -1
    return views


def _carried_out(program: Program, groups: Sequence[Group]) -> Program:
    if not groups:
        return program
    body = program.instructions
    starts = {g.place: g for g in groups}
    members = {k for g in groups for k in g.members}
    views = _input_views(program)
    made = {v: i for i in body for v in i.outs if v in views}
    taken: set[Value] = set()
    stacks = Stacks(program)
    new: list[Instruction] = []

    def take(v: Value) -> None:
        if v in views and v not in taken:
            for source in made[v].uses:
                take(source)
            taken.add(v)
            new.append(made[v])

    for k, i in enumerate(body):
        if k in starts:
            chosen = [body[m] for m in starts[k].members]
            for v in (v for c in chosen for v in c.uses):
                take(v)
            new += _together(chosen, stacks, k)
        elif k not in members and i.outs and i.outs[0] in views:
            take(i.outs[0])
        elif k not in members:
            new.append(i)
    return program.with_(instructions=tuple(new))


def _together(chosen: Sequence[Instruction], stacks: Stacks, at: int) -> list[Instruction]:
    """One instruction on stacks in place of the chosen ones, and its rows under their names."""
    first = chosen[0]
    made: list[Instruction] = []
    args = []
    for j, x in enumerate(first.args):
        if any(c.args[j] is not x for c in chosen) and isinstance(x, Value | np.ndarray):
            x, new = stacks.make([c.args[j] for c in chosen], first.backward, at)
            made += new
        args.append(x)
    if all(c.args[j] is x for c in chosen for j, x in enumerate(first.args)):  # nothing to stack
        return list(chosen)
    if first.op.fn in _PRODUCTS and first.args[0].ndim == 2:  # the rows of V Mᵀ are M v
        matrix, new = stacks.transposed(first.args[0], first.backward, at)
        made += new
        args = [args[1], matrix]
    out = Value((len(chosen), *first.outs[0].shape), first.outs[0].dtype)
    names = tuple(c.outs[0] for c in chosen)
    stacks.known[tuple(map(id, names))] = out, at, names
    one = Instruction(first.op, tuple(args), {}, out, first.backward)
    return [*made, one, Instruction(ROWS, (out,), {}, names, first.backward, view=True)]
