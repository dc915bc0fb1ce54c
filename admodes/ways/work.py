"""What one NumPy call of a program does, in units that constants can be measured for, and where its bytes are.

Units are elements, multiply-adds, flops or comparisons: whichever the time of the operation goes by.  The bytes of an
operand come from the level of cache that still holds them, which the *reuse distance* tells: the bytes that went
through the processor since it last touched them.

Source of the distance: Mattson, Gecsei, Slutz, Traiger, Evaluation techniques for storage hierarchies (1970).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..core.registry import OPS, Contraction, Op, size_of
from ..program.cost import last_uses, owners
from ..program.factorisations import LIKE
from ..program.primitives import KERNELS, placed
from ..program.recording import MARKS, NESTED, Instruction, Value, leaves
from ..program.straightline import StraightLine

EINSUM = OPS[np.einsum]
SCATTER = next(op for op in OPS.values() if op.name == "scatter")
POWER = OPS[np.power]
FAST_POWERS = (2.0, 0.5, -1.0)  # NumPy squares, takes the root or the reciprocal; any other goes through pow
INDEXING = (OPS[operator.getitem], SCATTER)
ASSIGNMENTS = frozenset({OPS[operator.setitem]})
GATHERED = (OPS[np.stack], OPS[np.reshape])  # what np.array([x[0], x[1]]) is recorded as
SORTS = frozenset(OPS[fn] for fn in (np.sort, np.argsort, np.partition, np.argpartition))
REDUCTIONS = frozenset(
    OPS[fn] for fn in (np.sum, np.mean, np.max, np.min, np.prod, np.any, np.all, np.argmax, np.argmin)
)


# Keys of what goes element by element at index arrays.
PLACES = frozenset({"getitem[places]", "scatter[places]"})


def key(i: Instruction) -> str:
    """What the seconds of an operation are kept under: the name of its row, and what kind of argument decides them."""
    name = i.op.name
    if i.op in INDEXING:
        parts = i.args[1] if type(i.args[1]) is tuple else (i.args[1],)
        kinds = {np.asarray(x).dtype.kind if type(x) is list else x.dtype.kind for x in parts if _is_places(x)}
        return f"{name}[{'mask' if 'b' in kinds else 'places'}]" if kinds else name
    if i.op is POWER and isinstance(i.args[1], int | float):
        return f"{name}[{'other' if float(i.args[1]) not in FAST_POWERS else f'{float(i.args[1]):g}'}]"
    if i.op is EINSUM:
        return f"{name}[{len(i.args) - 1}]"
    return name


def _is_places(x: Any) -> bool:
    return type(x) is list or (isinstance(x, Value | np.ndarray) and x.ndim > 0)


def is_ufunc(op: Op) -> bool:
    """Whether the row stands for a ufunc, which goes element by element."""
    return isinstance(op.fn, np.ufunc) and not isinstance(op, Contraction)


def is_product(op: Op) -> bool:
    """Whether BLAS does it."""
    return isinstance(op, Contraction) and op is not EINSUM


def arrays_of(i: Instruction) -> list[Any]:
    """The arrays among the arguments."""
    found: list[Any] = []
    for x in (*i.args, *i.params.values()) if i.params else i.args:
        if type(x) in NESTED:
            found += [part for part in leaves(x) if isinstance(part, Value | np.ndarray) and part.ndim]
        elif isinstance(x, Value | np.ndarray) and x.ndim:
            found.append(x)
    return found


def units(i: Instruction) -> float:
    """How many units of work: what the seconds of a row are measured by."""
    op, y = i.op, i.out
    if is_ufunc(op):
        return size_of(y)
    if isinstance(op, Contraction):
        return op.multiply_adds(y, i.args, i.params)
    if (op.name.startswith(("linalg.", "fft.")) or op in LIKE) and op.flops:
        return op.count(y, i.args, i.params)
    if key(i) in PLACES:  # goes by the places, however many there are in the whole
        return max(1.0, size_of(y) if op is not SCATTER else size_of(i.args[0]))
    largest = max([size_of(y), *(x.size for x in arrays_of(i))])
    return largest * math.log2(largest + 2) if op in SORTS else largest


def derives(op: Op) -> bool:
    """Whether the pull by the first argument is the push, run on a tape and reversed."""
    return bool(op.pushes) and op.pull_all is None and op.accumulate is None and not (op.pulls and op.pulls[0])


def lane(i: Instruction) -> str:
    """How an operation goes through a transform."""
    if i.view:
        return "view"
    if i.op.arity == len(i.args) and not i.params and i.op.arity:
        return "unary" if i.op.arity == 1 else "binary"
    return "general"


class Extents(NamedTuple):
    """A stack of matrix products: (m, k) by (k, n), so many times."""

    stack: float
    m: float
    k: float
    n: float


def extents(i: Instruction) -> Extents:
    """The extents of a product, from the sizes of its factors and of its result."""
    a, b = (np.shape(x) for x in i.args[:2])
    products = units(i)
    out = np.shape(i.out)
    stack = math.prod(out[:-2]) if i.op.name in ("matmul", "linalg.matmul") and max(len(a), len(b)) > 2 else 1
    size_a, size_b, size_y = (max(1, math.prod(s)) for s in (a, b, out))
    k = max(1.0, products / size_y)
    m = max(1.0, size_y / stack / max(1.0, size_b / (k * (stack if len(b) > 2 else 1))))
    if stack > 1 and len(a) <= 2:
        m = max(1.0, size_a / k)
    return Extents(stack, m, k, max(1.0, size_y / stack / m))


def inner_loops(i: Instruction) -> float:
    """How many inner loops NumPy runs: it joins trailing axes as long as every operand has them in full."""
    if isinstance(i.op.fn, np.ufunc):
        shape = np.shape(i.out)
        others = [x.shape for x in arrays_of(i)]
        return _loops(shape, lambda axis: tuple(_extent(s, axis, len(shape)) == shape[axis] for s in others))
    arrays = arrays_of(i)
    if not arrays:
        return 1
    shape, out = arrays[0].shape, np.shape(i.out)
    axes = i.params.get("axis", None if len(out) == 0 else ())
    reduced = range(len(shape)) if axes is None else {a % len(shape) for a in np.atleast_1d(axes).tolist()}
    return _loops(shape, lambda axis: axis in reduced)


def _extent(shape: tuple[int, ...], axis: int, ndim: int) -> int:
    """The extent of an operand along an axis of the result."""
    place = axis - ndim + len(shape)
    return shape[place] if place >= 0 else 1


def _loops(shape: tuple[int, ...], kind: Any) -> float:
    loops, joined = 1, None
    for axis in range(len(shape) - 1, -1, -1):
        if shape[axis] == 1:
            continue
        if joined is None:
            joined = kind(axis)
        elif loops > 1 or kind(axis) != joined:
            loops *= shape[axis]
    return loops


# ---------------------------------------------------------------------------------------------------
# Where the bytes are
# ---------------------------------------------------------------------------------------------------


class Touch(NamedTuple):
    """Bytes that an instruction reads or writes, and those that passed by since they were last touched."""

    nbytes: int
    distance: float


class Step(NamedTuple):
    """One instruction with what it touches, and the bytes alive when it is done, the inputs not among them."""

    instruction: Instruction
    touches: list[Touch]
    alive: int


def steps(program: StraightLine, held: str = "") -> Iterator[Step]:
    """The instructions of a program that is run again and again, in order.

    held: what lives on beyond its last use: nothing; on a "tape" all that the forward part computes; on a tape of
    "duals" that but for what the next instruction alone reads, the partial of a push; of "dual" numbers the value as
    long as the tangent.  Memory that a value leaves is taken by the next one of its size, the youngest first, as
    allocators do.
    """
    owner = owners(program, exactly=True)
    last = last_uses(program, owner)
    end = len(program.instructions)
    _hold(program, held, owner, last, end)
    memory = _Memory()
    plain = not held and not any(i.backward for i in program.instructions)
    walk = [_Planned(i, owner, last, plain and _elided(i, k, owner, last)) for k, i in enumerate(program.instructions)]
    for round_ in range(2):  # the second finds the memory as the first left it
        yield from (step for step in memory.run(walk, owner, last, end) if round_)


def _hold(program: StraightLine, held: str, owner: dict[Value, Value], last: dict[Value, int], end: int) -> None:
    """Put off the last uses."""
    for k, i in enumerate(program.instructions):
        for v in i.outs if not i.backward else ():
            used = last[owner[v]]
            if held == "tape" or (held == "duals" and used > k + 1):
                last[owner[v]] = end
            elif held == "dual" and used > k + 1:
                last[owner[v]] = min(end, used + DUAL)


# From so many bytes on NumPy computes an operator in the memory of a left operand that no one else holds.
ELIDED_BYTES = 1 << 18
OPERATORS = frozenset(OPS[fn] for fn in (np.add, np.subtract, np.multiply, np.divide))


def _elided(i: Instruction, k: int, owner: dict[Value, Value], last: dict[Value, int]) -> bool:
    """Whether the result is computed in the memory of the first argument, a temporary array."""
    if i.op not in OPERATORS or not isinstance(i.args[0], Value) or not isinstance(i.out, Value):
        return False
    x, y = i.args[0], i.out
    same = x.shape == y.shape and x.dtype == y.dtype and y.nbytes >= ELIDED_BYTES
    return same and i.buffer is None and i.into is None and owner.get(x) is x and last[x] == k


# Instructions for which a dual number outlives the last use of its value: the one that makes the tangent.
DUAL = 1


class _Planned:
    """An instruction with its operands by their memory."""

    __slots__ = ("elided", "instruction", "reads", "writes")

    def __init__(self, i: Instruction, owner: dict[Value, Value], last: dict[Value, int], elided: bool) -> None:
        self.instruction = i
        self.elided = elided  # the result takes the memory of the first argument
        self.reads: list[tuple[Any, int]] = []
        self.writes: list[tuple[Any, int, bool]] = []
        if i.view or i.op in MARKS:
            return
        for x in arrays_of(i):
            self.reads.append((owner.get(x, x) if isinstance(x, Value) else id(x), int(x.nbytes)))
        kept = placed(i)
        for n, v in enumerate(i.outs):
            key: Any = owner[v] if v not in kept else ("workspace", i.buffer if i.buffer is not None else _place(i, n))
            self.writes.append((key, v.nbytes, owner[v] is v and v not in kept))


def _place(i: Instruction, n: int) -> int:
    """The array of the workspace that a kernel leaves its result n in."""
    return next(int(i.params[name].number) for name, k in KERNELS[i.op].results.items() if k == n)


class _Memory:
    """Bytes that passed by, when each piece of memory was last touched, and what is free."""

    def __init__(self) -> None:
        self.clock = 0
        self.seen: dict[Any, int] = {}
        self.free: dict[int, list[int]] = {}

    def run(self, walk: list[_Planned], owner: Any, last: dict[Value, int], end: int) -> Iterator[Step]:
        alive = 0
        dying: dict[int, list[tuple[Any, int]]] = {}
        for k, planned in enumerate(walk):
            touches = [self._touch(key, n) for key, n in planned.reads]
            if planned.elided and planned.reads[0] in dying.get(k, ()):
                first = planned.reads[0]
                dying[k].remove(first)
                alive -= first[1]
                self._release(*first)
            for key, n, new in planned.writes:
                if new:
                    alive += n
                    dying.setdefault(last.get(key, k), []).append((key, n))
                    pool = self.free.get(n)
                    if pool:
                        self.seen[key] = pool.pop()
                touches.append(self._touch(key, n))
            yield Step(planned.instruction, touches, alive)
            for key, n in dying.pop(k, ()):
                alive -= n
                self._release(key, n)
        for left in dying.values():
            for key, n in left:
                self._release(key, n)

    def _touch(self, key: Any, nbytes: int) -> Touch:
        distance = self.clock - self.seen[key] if key in self.seen else math.inf
        self.clock += nbytes
        self.seen[key] = self.clock
        return Touch(nbytes, distance)

    def _release(self, key: Any, nbytes: int) -> None:
        self.free.setdefault(nbytes, []).append(self.seen.pop(key))
