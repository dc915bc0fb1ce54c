"""Loop nests as LLVM IR.

The innermost loop goes over vectors; where its length is no multiple of theirs the last one overlaps the one before,
with lanes that were already counted left out of sums.  A condition on the innermost axis cuts its range into pieces,
in each of which it holds throughout or nowhere; a condition on another axis is a selection.  What does not depend on
an inner index is computed outside that loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ..primitives import contracted
from .affine import Form, Var, strides_of
from .nodes import Apply, Cast, Choose, Constant, Gather, Inside, Load
from .plan import Nest, Root
from .rows import REDUCTIONS
from .series import cos, sin
from .sums import Accumulator, filled
from .text import FLOATING, SIZES, Text, Writer, kind_of, memory_type

# An innermost loop shorter than this is exchanged for a longer one.
SHORT = 8


class Loops:
    """Writes one nest, or the part of it that has a span of the outermost loop."""

    def __init__(self, text: Text, nest: Nest, pointers: dict[int, str], span: tuple[int, int] | None = None) -> None:
        self.text = text
        self.span = span
        self.nest = nest
        self.pointers = pointers
        self.nodes = walk(self._starts())
        self.circular = _circular(self.nodes)
        self.loop, self.tail, self.extent = self._merged()
        self.order = self._ordered()
        self.inner = self.order[-1] if self.order else -1
        self.depth = {axis: k for k, axis in enumerate(self.order)}
        self.level = self._levels()
        self.lanes = text.machine.lanes(max((SIZES[k] for k in self._kinds()), default=8))
        self.heads: list[list[str]] = [[] for _ in range(len(self.order) or 1)]  # before each loop, from outside
        self.known: dict[Any, str] = {}  # what is computed outside the innermost loop
        self.indices: dict[int, str] = {}
        self.nans: dict[tuple[int, str, int], str] = {}  # by flag, kind and lanes: a variable that is nan once one was

    # -- the shape of the nest ----------------------------------------------------------------------

    def _starts(self) -> list[Any]:
        """What the roots need directly."""
        return [node for root in self.nest.roots for node in root.nodes]

    def steps(self, root: Root) -> dict[int, int]:
        """The steps of the axes in the memory of a result."""
        if root.place is not None:
            return _steps(root.place)
        kept = [a for a in range(len(self.nest.shape)) if a not in root.axes]
        extents = tuple(self.nest.shape[a] for a in kept)
        return {a: s for a, s, n in zip(kept, strides_of(extents), extents, strict=True) if n > 1}

    def _merged(self) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """Axes as one loop where every array goes on with the next of the outer where the inner ends: by axis the
        first one of its group and the last, whose step counts; and the extents of the loops."""
        forms = [_steps(x.place) for x in self.nodes if isinstance(x, Load | Gather)]
        forms += [self.steps(root) for root in self.nest.roots]
        tied = {axis for x in self.nodes if isinstance(x, Inside) for axis, _, _ in x.where}
        groups: list[list[int]] = []
        for axis in (a for a, n in enumerate(self.nest.shape) if n > 1):
            before = groups[-1][-1] if groups else axis
            n = self.nest.shape[axis]
            follows = groups and not {before, axis} & tied
            follows = follows and all((before in r.axes) == (axis in r.axes) for r in self.nest.roots)
            if follows and all(f.get(before, 0) == n * f.get(axis, 0) for f in forms):
                groups[-1].append(axis)
            else:
                groups.append([axis])
        loop = {a: group[0] for group in groups for a in group}
        tail = {a: group[-1] for group in groups for a in group}
        extent: dict[int, int] = {}
        for a, first in loop.items():
            extent[first] = extent.get(first, 1) * self.nest.shape[a]
        return loop, tail, extent

    def _ordered(self) -> list[int]:
        """The loops from the outermost to the innermost: the last one, or where that is short the longest; of a product
        of matrices the last of those along which most arrays go on by one element."""
        if not self.extent:
            return []
        if any(root.reduction is REDUCTIONS[contracted] for root in self.nest.roots):
            return self._with_inner(min(self.extent, key=lambda a: (self.extent[a] < SHORT, self._jumps(a), -a)))
        inner, most = list(self.extent)[-1], max(self.extent, key=lambda a: self.extent[a])
        return self._with_inner(most if self.extent[inner] < SHORT <= self.extent[most] else inner)

    def _with_inner(self, inner: int) -> list[int]:
        return [a for a in self.extent if a != inner] + [inner]

    def _jumps(self, axis: int) -> int:
        """Along a loop, how many arrays go on by more than one element."""
        forms = [_steps(x.place) for x in self.nodes if isinstance(x, Load | Gather)]
        forms += [self.steps(root) for root in self.nest.roots]
        return sum(form.get(self.tail[axis], 0) not in (0, 1) for form in forms)

    def _levels(self) -> dict[int, int]:
        """In how many loops each node stands."""
        level: dict[int, int] = {}
        for x in self.nodes:
            own: list[Var] = [v for v, _ in x.place[1]] if isinstance(x, Load | Gather) else []
            own += x.where if isinstance(x, Inside) else ()
            found = [self.depth[self.loop[v[0]]] + 1 for v in own if v[0] in self.loop]
            level[id(x)] = max([*found, *(level[id(part)] for part in parts(x))], default=0)
        return level

    def _kinds(self) -> set[str]:
        found = {x.kind for x in self.nodes} | {x.computed for x in self.nodes if isinstance(x, Apply)}
        return {k for k in found if k != "?"} | {kind_of(root.value.dtype) or "" for root in self.nest.roots} - {"?"}

    # -- addresses ----------------------------------------------------------------------------------

    def head(self, level: int) -> Writer:
        """Where single elements are computed that depend on so many loops."""
        return Writer(self.text, 1, self.heads[level])

    def index(self, var: Var) -> str:
        """The index of a loop outside the innermost, kept in a range."""
        axis, low, high = var
        now = self.indices[self.loop[axis]]
        if (low, high) == (0, self.nest.shape[axis]):
            return now
        if var not in self.known:
            to = self.head(self.depth[axis] + 1)
            self.known[var] = to.intrinsic("smin", "q", to.intrinsic("smax", "q", now, str(low)), str(high - 1))
        return self.known[var]

    def holds(self, var: Var) -> str:
        """Whether the index of a loop outside the innermost is in a range."""
        axis, low, high = var
        if ("holds", var) not in self.known:
            to = self.head(self.depth[axis] + 1)
            moved = to.binary("sub", "q", self.indices[axis], str(low)) if low else self.indices[axis]
            self.known["holds", var] = to.add(f"icmp ult i64 {moved}, {high - low}")
        return self.known["holds", var]

    def base(self, place: Form, innermost: bool) -> tuple[str, int]:
        """Of an address the part outside the innermost loop, and the step of that loop, in elements."""
        terms = [(v, c) for v, c in place[1] if self.tail.get(v[0]) == v[0]]
        step = sum(c for v, c in terms if innermost and self.loop[v[0]] == self.inner)
        outer = [(v, c) for v, c in terms if not (innermost and self.loop[v[0]] == self.inner)]
        key = ("base", place[0], tuple(outer))
        if key not in self.known:
            total = str(place[0])
            for var, c in sorted(outer, key=lambda term: self.depth[self.loop[term[0][0]]]):
                to, i = self.head(self.depth[self.loop[var[0]]] + 1), self.index(var)
                scaled = i if c == 1 else to.binary("mul", "q", i, str(c))
                total = scaled if total == "0" else to.binary("add", "q", scaled, total)
            self.known[key] = total
        return self.known[key], step

    # -- loops --------------------------------------------------------------------------------------

    def emit(self) -> list[str]:
        """The lines of the nest."""
        sums = {id(root): Accumulator(self, root) for root in self.nest.roots if root.reduction is not None}
        counters = [self.counter() for _ in self.order]
        for k, axis in enumerate(self.order[:-1]):
            self.indices[axis] = self.head(k + 1).add(f"load i64, ptr {counters[k]}")
        lines: list[str] = []
        if self.order:
            in_memory = any(not s.registers for s in sums.values())
            for low, high in self._pieces():
                wide = self.lanes if high - low >= self.lanes else 1
                for a, b, lanes in _whole_vectors(low, high, wide) if in_memory else [(low, high, wide)]:
                    lines += self._innermost(a, b, lanes, counters[-1], sums)
        else:
            piece = self.single(self.heads[0])
            self._write(piece, sums)
        behind = {id(s): s.after() for s in sums.values()}
        for k in reversed(range(max(1, len(self.order)))):
            inside = lines if k >= len(self.order) - 1 else self.loop_over(counters[k], *self._range(k), 1, lines)
            here = [s for s in sums.values() if s.level == k]
            before, after = ([x for s in here for x in s.before], [x for s in here for x in behind[id(s)]])
            lines = [*self.heads[k], *before, *inside, *after]
        lines += self._told()
        return lines if self.span is not None else [*self.fills(), *lines]

    def _told(self) -> list[str]:
        """The lines behind the loops that say whether a nan was met."""
        lines: list[str] = []
        one = Writer(self.text, 1, lines)
        for (flag, kind, lanes), variable in self.nans.items():
            to = Writer(self.text, lanes, lines)
            last = to.add(f"load {to.type(kind)}, ptr {variable}")
            lost = to.compare("uno", kind, last, last)
            if lanes > 1:
                mask = one.add(f"bitcast {to.type('?')} {lost} to i{lanes}")
                lost = one.add(f"icmp ne i{lanes} {mask}, 0")
            before = one.add(f"load i8, ptr {self.pointers[flag]}")
            met = one.add(f"zext i1 {lost} to i8")
            after = one.add(f"or i8 {before}, {met}")
            lines.append(f"  store i8 {after}, ptr {self.pointers[flag]}")
        return lines

    def fills(self) -> list[str]:
        """The lines before all loops, for what is added to in memory."""
        sums = [Accumulator(self, root) for root in self.nest.roots if root.reduction is not None]
        added = [root for root in self.nest.roots if root.offset is not None]
        return [*(line for s in sums for line in s.fill()), *(line for root in added for line in filled(self, root, 0))]

    def _range(self, k: int) -> tuple[int, int]:
        """The range of a loop."""
        return (0, self.extent[self.order[k]]) if k or self.span is None else self.span

    def counter(self) -> str:
        """A variable of the function for an index."""
        name = self.text.name()
        self.text.entry.append(f"  {name} = alloca i64")
        return name

    def loop_over(self, counter: str, low: int, high: int, step: int, body: list[str]) -> list[str]:
        """for counter in range(low, high, step): body; at least once."""
        label = self.text.name().removeprefix("%v")
        i, following, more = self.text.name(), self.text.name(), self.text.name()
        return [
            f"  store i64 {low}, ptr {counter}",
            f"  br label %loop{label}",
            f"loop{label}:",
            *body,
            f"  {i} = load i64, ptr {counter}",
            f"  {following} = add nsw i64 {i}, {step}",
            f"  store i64 {following}, ptr {counter}",
            f"  {more} = icmp slt i64 {following}, {high}",
            f"  br i1 {more}, label %loop{label}, label %end{label}",
            f"end{label}:",
        ]

    def _pieces(self) -> list[tuple[int, int]]:
        """The range of the innermost index, cut where a condition on it changes."""
        first, last = self._range(len(self.order) - 1)
        where = [v for x in self.nodes if isinstance(x, Inside) for v in x.where if v[0] == self.inner]
        ends = sorted({first, last, *(c for _, a, b in where for c in (a, b) if first < c < last)})
        return list(itertools.pairwise(ends))

    def _innermost(self, low: int, high: int, lanes: int, counter: str, sums: dict[int, Accumulator]) -> list[str]:
        """One piece of the innermost loop."""
        piece = Piece(self, lanes, [], (low, high))
        to = Writer(self.text, 1, piece.writer.lines)
        piece.index = to.add(f"load i64, ptr {counter}")
        if (high - low) % lanes:
            last = to.intrinsic("smin", "q", piece.index, str(high - lanes))
            piece.done, piece.index = to.binary("sub", "q", piece.index, last), last
        self._write(piece, sums)
        return [*piece.head, *self.loop_over(counter, low, high, lanes, piece.writer.lines)]

    def single(self, lines: list[str]) -> Piece:
        """A place outside of the innermost loop."""
        return Piece(self, 1, lines, (0, 1))

    def _write(self, piece: Piece, sums: dict[int, Accumulator]) -> None:
        """What the roots leave in memory at the indices of a piece, and all that takes."""
        for x in walk(self._starts(), piece.outside):
            piece.compute(x)
        waiting = list(self.nest.roots)[::-1]
        while waiting:
            root = waiting.pop()
            if root.adds:
                piece.add_behind(root)
            elif root.reduction is not None:
                sums[id(root)].add(piece.value(root.node), piece)
            elif waiting and piece.alternate(root, waiting[-1]):
                piece.store_by_turns(root, waiting.pop())
            else:
                piece.store(root, root.node.kind, piece.value(root.node))


class Piece:
    """A range of the innermost loop, on vectors or on single elements; or a place outside of all loops."""

    def __init__(self, loops: Loops, lanes: int, lines: list[str], span: tuple[int, int]) -> None:
        self.loops = loops
        self.writer = Writer(loops.text, lanes, lines)
        self.head: list[str] = []  # lines before this piece's loop
        self.span = span
        self.known: dict[Any, str] = {}
        self.index = ""  # of the first lane
        self.done = ""  # how many of the first lanes were done before, where that may be any

    @property
    def innermost(self) -> bool:
        return self.index != ""

    def outside(self, node: Inside) -> bool:
        """Whether a condition holds nowhere in this piece."""
        return any(
            axis == self.loops.inner and not (a <= self.span[0] and self.span[1] <= b) for axis, a, b in node.where
        )

    def value(self, node: Any) -> str:
        """The name of a node that was computed: as a vector, in the innermost loop."""
        if isinstance(node, Constant):
            return self.writer.constant(node.kind, node.number)
        if not self.innermost:
            return self.loops.known[id(node)]
        if id(node) not in self.known:
            one = self.loops.known[id(node)]
            self.known[id(node)] = Writer(self.loops.text, self.writer.lanes, self.head).splat(node.kind, one)
        return self.known[id(node)]

    def compute(self, node: Any) -> None:
        """Write a node whose arguments were computed: here, or before the innermost loop if it varies with others."""
        loops = self.loops
        level = loops.level[id(node)]
        if isinstance(node, Constant):
            return
        if self.innermost and level == len(loops.order):
            self.known[id(node)] = self._computed(node)
        elif id(node) not in loops.known:
            outer = self if not self.innermost else loops.single(loops.heads[level])
            loops.known[id(node)] = outer._computed(node)

    def _computed(self, node: Any) -> str:
        to = self.writer
        if isinstance(node, Load):
            return self._load(node)
        if isinstance(node, Gather):
            lanes, step = self.behind(node.kind, node.slot, node.place, node.offset)
            return self.read(node.kind, lanes, step)
        if isinstance(node, Cast):
            return to.cast(self.value(node.arg), node.arg.kind, node.kind)
        if isinstance(node, Choose):
            condition = to.cast(self.value(node.condition), node.condition.kind, "?")
            a, b = (to.cast(self.value(x), x.kind, node.kind) for x in (node.a, node.b))
            return to.select(condition, node.kind, a, b)
        if isinstance(node, Inside):
            return self._inside(node)
        args = [to.cast(self.value(x), x.kind, node.computed) for x in node.args]
        if id(node.args[0]) in self.loops.circular:
            to.text.circular.add(args[0])
        y: str = node.write(to, node.computed, *args)
        return y

    def _inside(self, node: Inside) -> str:
        """The argument where the conditions hold, else zero."""
        to, loops = self.writer, self.loops
        if self.innermost and self.outside(node):
            return to.constant(node.kind, 0)
        y = self.value(node.arg)
        for var in node.where:
            if not (self.innermost and var[0] == loops.inner):
                of = to.type(node.kind)
                y = to.add(f"select i1 {loops.holds(var)}, {of} {y}, {of} {to.constant(node.kind, 0)}")
        return y

    # -- memory -------------------------------------------------------------------------------------

    def _load(self, node: Load) -> str:
        base, step = self.loops.base(node.place, self.innermost)
        return self.read(node.kind, self.addresses(node.kind, self.loops.pointers[node.slot], base, step), step)

    def addresses(self, kind: str, pointer: str, base: str, step: int) -> Callable[[int], str]:
        """The address of each lane."""
        to = Writer(self.loops.text, 1, self.writer.lines)
        memory, at = memory_type(kind), base
        if step:
            moved = self.index if step == 1 else to.binary("mul", "q", self.index, str(step))
            at = moved if base == "0" else to.binary("add", "q", moved, base)
        first = pointer if at == "0" else to.add(f"getelementptr {memory}, ptr {pointer}, i64 {at}")
        return lambda k: to.add(f"getelementptr {memory}, ptr {first}, i64 {k * step}") if k * step else first

    def behind(self, kind: str, slot: int, place: Form, offset: Any) -> tuple[Callable[[int], str], int]:
        """The address of each lane so many elements behind a place, and the step between them; 0: any."""
        base, step = self.loops.base(place, self.innermost)
        to = Writer(self.loops.text, 1, self.writer.lines)
        memory, pointer = memory_type(kind), self.loops.pointers[slot]
        if not (self.innermost and self.loops.level[id(offset)] == len(self.loops.order)):
            start = to.add(f"getelementptr {memory}, ptr {pointer}, i64 {self.loops.known[id(offset)]}")
            return self.addresses(kind, start, base, step), step
        lanes, offsets = self.addresses(kind, pointer, base, step), self.value(offset)

        def lane(k: int) -> str:
            one = self.writer.lane("q", offsets, k)
            return to.add(f"getelementptr {memory}, ptr {lanes(k)}, i64 {one}")

        return lane, 0

    def add_behind(self, root: Root) -> None:
        """Add to what index arrays say, lane after lane, for they may say the same twice."""
        to, kind = self.writer, kind_of(root.value.dtype) or ""
        value = to.cast(self.value(root.node), root.node.kind, kind)
        assert root.place is not None
        if root.offset is not None:
            lanes, step = self.behind(kind, root.slot, root.place, root.offset)
        else:
            base, step = self.loops.base(root.place, self.innermost)
            lanes = self.addresses(kind, self.loops.pointers[root.slot], base, step)
        fresh = self.fresh()
        if to.lanes > 1 and step == 1:
            before = self.read(kind, lanes, step)
            total = to.binary("fadd", kind, before, value)
            total = total if fresh is None else to.select(fresh, kind, total, before)
            to.lines.append(f"  store {to.type(kind)} {total}, ptr {lanes(0)}, align {SIZES[kind]}")
            return
        if fresh is not None:
            value = to.select(fresh, kind, value, to.constant(kind, 0))
        one = Writer(self.loops.text, 1, to.lines)
        for k in range(to.lanes):
            address, part = lanes(k), to.lane(kind, value, k)
            before = one.add(f"load {memory_type(kind)}, ptr {address}, align {SIZES[kind]}")
            total = one.binary("fadd", kind, before, part)
            to.lines.append(f"  store {memory_type(kind)} {total}, ptr {address}, align {SIZES[kind]}")

    def read(self, kind: str, lanes: Callable[[int], str], step: int) -> str:
        """What is in memory: of neighbours in one go."""
        to, memory = self.writer, memory_type(kind)
        of = memory if to.lanes == 1 else f"<{to.lanes} x {memory}>"
        if to.lanes == 1 or step in (1, -1):
            x = to.add(f"load {of}, ptr {lanes(to.lanes - 1 if step == -1 else 0)}, align {SIZES[kind]}")
            if step == -1 and to.lanes > 1:
                x = to.shuffle(of, x, "poison", range(to.lanes)[::-1])
        elif step == 2:  # every other one of two vectors, which end where the last lane does
            n, first = to.lanes, lanes(0)
            behind = to.add(f"getelementptr {memory}, ptr {first}, i64 {n - 1}")
            a, b = (to.add(f"load {of}, ptr {p}, align {SIZES[kind]}") for p in (first, behind))
            x = to.shuffle(of, a, b, [k if k < n else k + 1 for k in range(0, 2 * n, 2)])
        else:
            x = "poison"
            for k in range(to.lanes):
                one = to.add(f"load {memory}, ptr {lanes(k)}, align {SIZES[kind]}")
                x = to.add(f"insertelement {of} {x}, {memory} {one}, i32 {k}")
        return to.add(f"trunc {of} {x} to {to.type('?')}") if kind == "?" else x

    def place(self, root: Root, kind: str) -> tuple[Callable[[int], str], int]:
        """The addresses of a result's lanes, and its step."""
        loops = self.loops
        start = 0 if root.place is None else root.place[0]
        place: Form = (start, tuple(((a, 0, loops.nest.shape[a]), s) for a, s in loops.steps(root).items()))
        base, step = loops.base(place, self.innermost)
        return self.addresses(kind, loops.pointers[root.slot], base, step), step

    def store(self, root: Root, kind: str, value: str) -> None:
        """A result to memory."""
        self.look(root, kind, value)
        to, memory = self.writer, memory_type(kind)
        lanes, step = self.place(root, kind)
        of = memory if to.lanes == 1 else f"<{to.lanes} x {memory}>"
        if kind == "?":
            value = to.add(f"zext {to.type('?')} {value} to {of}")
        if to.lanes == 1 or step == 1:
            to.lines.append(f"  store {of} {value}, ptr {lanes(0)}, align {SIZES[kind]}")
            return
        for k in range(to.lanes):
            one = to.add(f"extractelement {of} {value}, i32 {k}")
            to.lines.append(f"  store {memory} {one}, ptr {lanes(k)}, align {SIZES[kind]}")

    def look(self, root: Root, kind: str, value: str) -> None:
        """Note a nan among what is stored."""
        if root.flag is None or kind not in FLOATING:
            return
        to, loops = self.writer, self.loops
        variable = loops.nans.get((root.flag, kind, to.lanes))
        if variable is None:
            variable = loops.nans[root.flag, kind, to.lanes] = loops.text.name()
            loops.text.entry.append(f"  {variable} = alloca {to.type(kind)}")
            loops.text.entry.append(f"  store {to.type(kind)} {to.constant(kind, 0)}, ptr {variable}")
        before = to.add(f"load {to.type(kind)}, ptr {variable}")
        after = to.select(to.compare("uno", kind, value, value), kind, value, before)
        to.lines.append(f"  store {to.type(kind)} {after}, ptr {variable}")

    def alternate(self, a: Root, b: Root) -> bool:
        """Whether two results are every other element of one array, a before b."""
        if a.place is None or b.place is None or a.slot != b.slot or b.reduction is not None or b.adds:
            return False
        step = self.loops.steps(a).get(self.loops.tail.get(self.loops.inner, -1), 0)
        return (b.place[0] - a.place[0], a.place[1], step) == (1, b.place[1], 2) and self.writer.lanes > 1

    def store_by_turns(self, a: Root, b: Root) -> None:
        """Two results to memory that are every other element of one array."""
        to, kind = self.writer, a.node.kind
        n, memory, of = to.lanes, memory_type(kind), f"<{to.lanes} x {memory_type(kind)}>"
        x, y = self.value(a.node), self.value(b.node)
        self.look(a, kind, x)
        self.look(b, kind, y)
        if kind == "?":
            x, y = (to.add(f"zext {to.type('?')} {z} to {of}") for z in (x, y))
        first = self.place(a, kind)[0](0)
        turns = [k // 2 + n * (k % 2) for k in range(2 * n)]
        for start, places in ((0, turns[:n]), (n, turns[n:])):
            address = to.add(f"getelementptr {memory}, ptr {first}, i64 {start}")
            to.lines.append(f"  store {of} {to.shuffle(of, x, y, places)}, ptr {address}, align {SIZES[kind]}")

    def fresh(self) -> str | None:
        """The lanes that were not done before; None where all are new."""
        if not self.done:
            return None
        if "fresh" not in self.known:
            to = self.writer
            places = ", ".join(f"i64 {k}" for k in range(to.lanes))
            done = to.splat("q", self.done)
            self.known["fresh"] = to.add(f"icmp uge {to.type('q')} <{places}>, {done}")
        return self.known["fresh"]


def _whole_vectors(low: int, high: int, lanes: int) -> Iterator[tuple[int, int, int]]:
    """A range in vectors of which none overlaps another, narrower ones at the end: what is added to in memory would
    wait for the one before to be there."""
    while low < high:
        end = low + (high - low) // lanes * lanes
        if end > low:
            yield low, end, lanes
        low, lanes = end, lanes // 2


def _circular(nodes: list[Any]) -> set[int]:
    """The nodes of which both the sine and the cosine are computed."""
    sines, cosines = ({id(x.args[0]) for x in nodes if isinstance(x, Apply) and x.write is one} for one in (sin, cos))
    return sines & cosines


def _steps(place: Form) -> dict[int, int]:
    steps: dict[int, int] = {}
    for var, c in place[1]:
        steps[var[0]] = steps.get(var[0], 0) + c
    return steps


def parts(node: Any) -> tuple[Any, ...]:
    """The nodes that a node is computed from."""
    if isinstance(node, Apply):
        return node.args
    if isinstance(node, Choose):
        return node.condition, node.a, node.b
    if isinstance(node, Gather):
        return (node.offset,)
    return (node.arg,) if isinstance(node, Cast | Inside) else ()


def walk(roots: list[Any], closed: Callable[[Inside], bool] | None = None) -> list[Any]:
    """The nodes that roots are computed from, each once and behind its parts; nothing of what is closed."""
    seen: dict[int, Any] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            if not (closed is not None and isinstance(node, Inside) and closed(node)):
                waiting += parts(node)
    return sorted(seen.values(), key=lambda node: node.serial)
