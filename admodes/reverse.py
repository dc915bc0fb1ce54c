"""Reverse mode: a tape.  The forward pass appends one entry an operation; pulling walks it backwards.

The tape is immune to later overwriting: plain arrays are copied when they are recorded (one copy of an
array that stands in many operations, as long as it does not change in between).  An array that cannot be
written to is not copied: `w.flags.writeable = False` saves the copy of a large constant.

The same tape pushes tangents forward (`Tape.push`), so that one recording serves J·v and Jᵀ·u.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import MissingRule
from .forward import _plus
from .registry import Op
from .tracing import OBJECT, Trace, Tracer, canonical

# Arrays of at most this many bytes are copied without looking for an earlier copy.
SMALL = 4096
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_FIRST, _SECOND, _BOTH = (0,), (1,), (0, 1)
_NO_PARAMS: dict[str, Any] = {}


class Var(Tracer):
    """A value and the number of the tape's entry that made it."""

    __slots__ = ("index",)

    def __init__(self, value: Any, trace: Tape, index: int) -> None:
        self.value = value
        self.transform = trace
        self.index = index


class Tape(Trace):
    """One reverse-mode transform: the record of its operations, in the order they were carried out.

    An entry is (op, positions, parents, y, args, params): the arguments at `positions` came from the
    entries `parents`.  Inputs stand first, with op None.
    """

    __slots__ = ("copies", "entries")

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[Any, ...]] = []
        self.copies: dict[int, tuple[Any, Any]] = {}

    # Recording ------------------------------------------------------------------------------------

    def input(self, value: Any) -> Var:
        """A new argument of the transform."""
        value = self.keep(value)
        self.entries.append((None, (), (), value, (), _NO_PARAMS))
        return Var(value, self, len(self.entries) - 1)

    def keep(self, a: Any) -> Any:
        """A plain array as it is now, whatever happens to it later."""
        if type(a) is not np.ndarray:
            return canonical(a)
        if a.nbytes <= SMALL:
            return a.copy()
        if not a.flags.writeable and a.base is None:
            return a
        seen = self.copies.get(id(a))
        if seen is not None and _same_bits(seen[1], a):
            return seen[1]
        copy = a.copy()
        self.copies[id(a)] = (a, copy)  # holding a keeps its id from being used again
        return copy

    def unary(self, op: Op, x: Any) -> Any:
        value = x.value
        y = op.evaluate(value)
        if op.pushes[0] is None:
            return y
        entries = self.entries
        entries.append((op, _FIRST, (x.index,), y, (value,), _NO_PARAMS))
        return Var(y, self, len(entries) - 1)

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        if type(a) is Var and a.transform is self:
            if type(b) is Var and b.transform is self:
                positions: tuple[int, ...] = _BOTH
                parents: tuple[int, ...] = (a.index, b.index)
                b = b.value
            else:
                positions, parents = _FIRST, (a.index,)
                if type(b) is not float:
                    b = self.keep(b)
            a = a.value
        else:
            positions, parents = _SECOND, (b.index,)
            b = b.value
            if type(a) is not float:
                a = self.keep(a)
        y = op.evaluate(a, b)
        entries = self.entries
        entries.append((op, positions, parents, y, (a, b), _NO_PARAMS))
        return Var(y, self, len(entries) - 1)

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values, positions, parents = [], [], []
        arrays = len(args) if op.arrays is None else op.arrays
        for i, a in enumerate(args):
            if type(a) is Var and a.transform is self:
                if i >= len(op.pushes):
                    raise MissingRule(f"np.{op.name}", f"argument {i} is traced, and no derivative by it is known")
                if op.pushes[i] is not None:
                    positions.append(i)
                    parents.append(a.index)
                values.append(a.value)
            else:
                values.append(self.keep(a) if i < arrays else self.keep_parameter(a))
        if params:
            params = {k: self.keep_parameter(v) for k, v in params.items()}
        y = op.evaluate(*values, **params)
        if not positions:
            return y
        entries = self.entries
        entries.append((op, tuple(positions), tuple(parents), y, tuple(values), params))
        index = len(entries) - 1
        if isinstance(y, tuple):
            parts = []
            for k, part in enumerate(y):
                entries.append((_PART, _FIRST, (index,), part, (y, k), _NO_PARAMS))
                parts.append(Var(part, self, len(entries) - 1))
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)
        return Var(y, self, index)

    def keep_parameter(self, a: Any) -> Any:
        """`keep` for a parameter, which may be a tuple or list with arrays in it (an index)."""
        kind = type(a)
        if kind is np.ndarray:
            return self.keep(a)
        if kind is tuple or kind is list:
            return kind(self.keep_parameter(x) for x in a)
        return a

    # Sweeping -------------------------------------------------------------------------------------

    def pull(self, seeds: Sequence[tuple[int, Any]], inputs: int) -> list[Any]:
        """Cotangents of the first `inputs` entries, None where nothing reaches them.

        seeds: (entry, cotangent of its value), a cotangent of shape (*lead, *value.shape).
        """
        entries = self.entries
        cotangents: list[Any] = [None] * len(entries)
        owned = bytearray(len(entries))  # whether a cotangent is a buffer of this sweep, to be added into
        for index, u in seeds:
            earlier = cotangents[index]
            cotangents[index] = u if earlier is None else earlier + u
        last = max((index for index, _ in seeds), default=-1)
        for index in range(last, inputs - 1, -1):
            u = cotangents[index]
            if u is None:
                continue
            cotangents[index] = None
            op, positions, parents, y, args, params = entries[index]
            if type(u) is list:
                u = _filled(y, u)
            if op.pull_all is not None:
                all_of_them = op.pull_all(u, y, args, params)
                for i, parent in zip(positions, parents, strict=True):
                    cotangents[parent] = _sum(cotangents[parent], all_of_them[i])
                    owned[parent] = 0
                continue
            for i, parent in zip(positions, parents):  # noqa: B905 (the hot loop; the lengths agree)
                earlier = cotangents[parent]
                if op.accumulate is not None and not (isinstance(u, Tracer) or isinstance(earlier, Tracer)):
                    x = args[0]
                    if earlier is None:
                        cotangents[parent] = earlier = np.zeros(u.shape[: u.ndim - y.ndim] + x.shape, dtype=x.dtype)
                    elif not owned[parent]:
                        cotangents[parent] = earlier = np.array(earlier)
                    owned[parent] = 1
                    op.accumulate(earlier, u, y, *args)
                    continue
                pull = op.pulls[i]
                g = pull(u, y, *args, **params) if pull is not None else reverse_push(op, i, u, y, args, params)
                if earlier is None:
                    cotangents[parent] = g
                elif owned[parent] and type(g) is np.ndarray:
                    earlier += g
                elif type(g) is list:
                    cotangents[parent] = [_sum(a, b) for a, b in zip(earlier, g, strict=True)]
                else:
                    cotangents[parent] = total = earlier + g
                    owned[parent] = type(total) is np.ndarray
        return cotangents[:inputs]

    def push(self, seeds: Sequence[Any], outputs: Sequence[int]) -> list[Any]:
        """Tangents of the entries `outputs`, None where no input reaches them; seeds: one tangent an input."""
        last = max(outputs, default=-1)
        uses = [0] * (last + 1)
        for index in range(len(seeds), last + 1):
            for parent in self.entries[index][2]:
                uses[parent] += 1
        for index in outputs:
            uses[index] += 1
        tangents: list[Any] = [*seeds, *([None] * (last + 1 - len(seeds)))]
        for index in range(len(seeds), last + 1):
            op, positions, parents, y, args, params = self.entries[index]
            given = {i: tangents[parent] for i, parent in zip(positions, parents, strict=True)}
            given = {i: t for i, t in given.items() if t is not None}
            for parent in parents:
                uses[parent] -= 1
                if uses[parent] == 0:
                    tangents[parent] = None
            total = None
            if op.push_all is not None and given:
                total = op.push_all(given, y, args, params)
            else:
                for i, t in given.items():
                    t = op.pushes[i](t, y, *args, **params)
                    total = t if total is None else _plus(total, t)
            tangents[index] = total
        return [tangents[index] for index in outputs]


def reverse_push(op: Op, i: int, u: Any, y: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The pull of argument i derived from its push, which is linear in t: taped at t = 0 and reversed."""
    x, push = args[i], op.pushes[i]
    assert push is not None
    first_u, first_y = (u[0], y[0]) if isinstance(y, tuple) else (u, y)
    lead = first_u.shape[: first_u.ndim - np.ndim(first_y)]
    tape = Tape()
    t = tape.input(np.zeros(lead + x.shape, dtype=x.dtype))
    out = push(t, y, *args, **params)
    pairs = zip(out, u, strict=True) if isinstance(out, tuple) else [(out, u)]
    seeds = [(o.index, s) for o, s in pairs if type(o) is Var and o.transform is tape]
    tape.closed = True
    g = tape.pull(seeds, 1)[0]
    return np.zeros(lead + x.shape, dtype=x.dtype) if g is None else g


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same bits (nan equals nan, 0.0 differs from −0.0)."""
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype == OBJECT:
        return False
    bits = _BITS.get(a.itemsize)
    if bits is None:  # complex: two words an element
        return a.tobytes() == b.tobytes()
    return bool(np.array_equal(a.view(bits), b.view(bits)))


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _filled(y: tuple[Any, ...], cotangents: list[Any]) -> tuple[Any, ...]:
    """Cotangents of an operation with several results, zeros for those that nothing reaches."""
    known, u = next((part, u) for part, u in zip(y, cotangents, strict=True) if u is not None)
    lead = u.shape[: u.ndim - known.ndim]
    return tuple(
        np.zeros(lead + part.shape, dtype=part.dtype) if u is None else u
        for part, u in zip(y, cotangents, strict=True)
    )


def _part(y: tuple[Any, ...], k: int) -> Any:
    return y[k]


def _place(u: Any, _: Any, y: tuple[Any, ...], k: int) -> list[Any]:
    return [u if j == k else None for j in range(len(y))]


class _Part(Op):
    """One result of an operation that has several."""

    def __init__(self) -> None:
        super().__init__(_part)
        self.pushes = (lambda t, _, y, k: t[k],)
        self.pulls = (_place,)


_PART = _Part()
