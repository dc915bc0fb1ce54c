"""Words: machine code for one operation of whatever extents, compiled once for all tables that have it (see `table`).

A word is called with a record (its own address, extents, and of each operand which base, how many bytes behind it, and
its strides in bytes) and the bases; it gives the record that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .machine import Compiled, machine
from .text import FLOATING, SIZES, Text, Writer, memory_type

Write = Callable[..., str]

# Partial sums of a reduction, at least: chains of additions as short as NumPy's.
PARTIAL = 8

# Rows, and vectors of columns, of a product that are summed side by side: one sum waits for its last term.
TILE = (4, 2)


class Map(NamedTuple):
    """out[i, j] = write(to, computed, *args[i, j]).

    name : what tells `write` from others; kinds : of the arguments and of the result, in memory
    chooses : whether the first argument is a condition, which stays as it is
    inner : of the arguments, whether each stays or goes on by one element along j, where out goes on by one; None where
        strides are any; () for a single element
    """

    name: Any
    kinds: str
    computed: str
    inner: tuple[int, ...] | None
    chooses: bool = False


class Fold(NamedTuple):
    """out[i] = x[i, 0] ∘ x[i, 1] ∘ …, begun from the neutral element; near: x goes on by one element along j."""

    name: Any
    neutral: Any
    kinds: str
    near: bool


class Product(NamedTuple):
    """out[i, j] = Σₖ a[i, k] b[k, j]; along j: b and out go on by one element there; else: a and b along k, if near."""

    kind: str
    along: bool
    near: bool
    signed: bool = False  # whether sums begin at −0.0, which they stay where all terms are −0.0

    @property
    def zero(self) -> float:
        return -0.0 if self.signed else 0.0


class Gather(NamedTuple):
    """out[i] = x[places[i]], or with `there` out[places[i]] = x[i] ("set") or += x[i] ("add"); places in bytes."""

    kind: str
    there: str = ""


Word = Map | Fold | Product | Gather

# By word and bytes of a vector: the address, the length of its records, and the code that holds it for good.
_known: dict[tuple[Word, int], tuple[int, int, Compiled]] = {}


def addresses(wanted: dict[Word, Write | None]) -> dict[Word, tuple[int, int]]:
    """Where each word is, and how long its records are; those that are new are compiled together."""
    width = machine().bytes
    new = [word for word in wanted if (word, width) not in _known]
    if new:
        text = Text(machine())
        made = [_made(text, word, wanted[word]) for word in new]
        functions = [line for k, of in enumerate(made) for line in of.function(f"w{k}")]
        bits = 8 * width
        attributes = f'attributes #0 = {{ nounwind "min-legal-vector-width"="{bits}" "prefer-vector-width"="{bits}" }}'
        code = Compiled("\n".join([*functions, *text.declared, attributes, ""]))
        for k, (word, of) in enumerate(zip(new, made, strict=True)):
            _known.setdefault((word, width), (code.address(f"w{k}"), of.at, code))  # others may have it by now
    return {word: _known[word, width][:2] for word in wanted}


# The first is in use, and held for good; of threads that begin at once each may add one.
_walkers: list[Compiled] = []


def walker() -> int:
    """The address of what calls the words of records, from the first to the end."""
    if not _walkers:
        lines = [
            "define void @walk(ptr %first, ptr %end, ptr %bases) {", "entry:", "  br label %walk", "walk:",
            "  %record = phi ptr [ %first, %entry ], [ %following, %walk ]",
            "  %word = load ptr, ptr %record",
            "  %following = call ptr %word(ptr %record, ptr %bases)",
            "  %more = icmp ne ptr %following, %end",
            "  br i1 %more, label %walk, label %done", "done:", "  ret void", "}", "",
        ]  # fmt: skip
        _walkers.append(Compiled("\n".join(lines)))
    return _walkers[0].address("walk")


def _made(text: Text, word: Word, write: Write | None) -> _Function:
    if isinstance(word, Map):
        return _map(text, word, write)
    if isinstance(word, Fold):
        return _fold(text, word, write)
    return _product(text, word) if isinstance(word, Product) else _gather(text, word)


class _Function:
    """The lines of a word, which reads its record field by field."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.lines: list[str] = []
        self.at = 1
        self.block = "entry"
        self.to = Writer(text, 1, self.lines)

    def function(self, name: str) -> list[str]:
        """All of it."""
        following = f"  %following = getelementptr i64, ptr %r, i64 {self.at}"
        head = f"define ptr @{name}(ptr %r, ptr %bases) #0 {{"
        return [head, "entry:", *self.lines, following, "  ret ptr %following", "}"]

    def field(self) -> str:
        """The next whole number of the record."""
        place = self.to.add(f"getelementptr i64, ptr %r, i64 {self.at}")
        self.at += 1
        return self.to.add(f"load i64, ptr {place}")

    def operand(self, strides: int) -> tuple[str, list[str]]:
        """The next operand: a pointer, and its strides."""
        base, offset = self.field(), self.field()
        place = self.to.add(f"getelementptr i8, ptr %bases, i64 {base}")
        pointer = self.moved(self.to.add(f"load ptr, ptr {place}"), offset)
        return pointer, [self.field() for _ in range(strides)]

    def moved(self, pointer: str, by: str) -> str:
        return self.to.add(f"getelementptr i8, ptr {pointer}, i64 {by}")

    def times(self, a: str, b: str | int) -> str:
        return self.to.add(f"mul i64 {a}, {b}")

    def loop(
        self, start: str, stop: str, step: int, body: Callable[[str, list[str]], list[str]],
        carried: Iterable[tuple[str, str]] = (),
    ) -> list[str]:  # fmt: skip
        """for n = start, start + step, …, below stop; what is carried, of types and first values, is given to the body,
        which gives it anew. Its last values."""
        carried = list(carried)
        label, before = self.text.name().removeprefix("%"), self.block
        n, again = self.text.name(), [self.text.name() for _ in carried]
        ahead = self.to.add(f"icmp slt i64 {start}, {stop}")
        self.lines.append(f"  br i1 {ahead}, label %{label}, label %{label}.end")
        self.lines.append(f"{label}:")
        at = len(self.lines)
        self.block = label
        values = body(n, again)
        following = self.to.add(f"add i64 {n}, {step}")
        more = self.to.add(f"icmp slt i64 {following}, {stop}")
        phis = [f"  {n} = phi i64 [ {start}, %{before} ], [ {following}, %{self.block} ]"]
        for (kind, first), name, value in zip(carried, again, values, strict=True):
            phis.append(f"  {name} = phi {kind} [ {first}, %{before} ], [ {value}, %{self.block} ]")
        self.lines[at:at] = phis
        self.lines += [f"  br i1 {more}, label %{label}, label %{label}.end", f"{label}.end:"]
        last = []
        for (kind, first), value in zip(carried, values, strict=True):
            last.append(self.to.add(f"phi {kind} [ {first}, %{before} ], [ {value}, %{self.block} ]"))
        self.block = f"{label}.end"
        return last

    def read(self, kind: str, pointer: str, lanes: int = 1, stride: str | None = None) -> str:
        """Elements one behind the other, or so many bytes apart."""
        if lanes > 1 and stride is not None:
            parts = [self.read(kind, self.moved(pointer, self.times(stride, k))) for k in range(lanes)]
            return Writer(self.text, lanes, self.lines).gathered(kind, parts)
        of = memory_type(kind)
        x = self.to.add(f"load {of if lanes == 1 else f'<{lanes} x {of}>'}, ptr {pointer}, align {SIZES[kind]}")
        if kind != "?":
            return x
        zero = "0" if lanes == 1 else "zeroinitializer"
        return self.to.add(f"icmp ne {of if lanes == 1 else f'<{lanes} x {of}>'} {x}, {zero}")

    def write(self, kind: str, x: str, pointer: str, lanes: int = 1) -> None:
        of = memory_type(kind) if lanes == 1 else f"<{lanes} x {memory_type(kind)}>"
        if kind == "?":
            x = self.to.add(f"zext {'i1' if lanes == 1 else f'<{lanes} x i1>'} {x} to {of}")
        self.lines.append(f"  store {of} {x}, ptr {pointer}, align {SIZES[kind]}")


def _map(text: Text, word: Map, write: Write | None) -> _Function:
    assert write is not None
    of = _Function(text)
    given, made = word.kinds[:-1], word.kinds[-1]

    def element(pointers: Sequence[str], lanes: int, inner: Sequence[int]) -> None:
        to = Writer(text, lanes, of.lines)
        args = []
        for k, (kind, pointer, on) in enumerate(zip(given, pointers, inner, strict=False)):
            x = of.read(kind, pointer, lanes if on else 1)
            x = x if on else to.splat(kind, x)
            args.append(to.cast(x, kind, word.computed if k or not word.chooses else kind))
        y = write(to, word.computed, *args)
        of.write(made, y, pointers[-1], lanes)

    count = len(word.kinds)
    if word.inner == ():
        element([of.operand(0)[0] for _ in word.kinds], 1, (1,) * count)
        return of
    rows, columns = of.field(), of.field()
    operands = [of.operand(2) for _ in word.kinds]
    lanes = machine().lanes(max(SIZES[k] for k in (*word.kinds, word.computed))) if word.inner is not None else 1
    whole = of.to.add(f"and i64 {columns}, {-lanes}") if lanes > 1 else "0"

    def row(i: str, _: list[str]) -> list[str]:
        starts = [of.moved(p, of.times(i, s[0])) for p, s in operands]

        def several(j: str, _: list[str]) -> list[str]:
            inner = (*(word.inner or ()), 1)
            places = [
                of.moved(p, of.times(j, SIZES[k])) if on else p
                for p, k, on in zip(starts, word.kinds, inner, strict=True)
            ]
            element(places, lanes, inner)
            return []

        def one(j: str, _: list[str]) -> list[str]:
            element(
                [of.moved(p, of.times(j, s[1])) for p, (_, s) in zip(starts, operands, strict=True)], 1, (1,) * count
            )
            return []

        if lanes > 1:
            of.loop("0", whole, lanes, several)
        of.loop(whole, columns, 1, one)
        return []

    of.loop("0", rows, 1, row)
    return of


def _folded(of: _Function, word: Fold, write: Write, pointer: str, stride: str, n: str) -> str:
    """A row of a fold: partial ones side by side, which are put together in pairs, and the rest behind."""
    given, made = word.kinds[0], word.kinds[1]
    lanes = max(PARTIAL, machine().lanes(max(SIZES[given], SIZES[made])))
    many, to = Writer(of.text, lanes, of.lines), of.to
    whole = to.add(f"and i64 {n}, {-lanes}")

    def several(j: str, so_far: list[str]) -> list[str]:
        place = of.moved(pointer, of.times(j, stride))
        x = many.cast(of.read(given, place, lanes, None if word.near else stride), given, made)
        return [write(many, made, so_far[0], x)]

    (parts,) = of.loop("0", whole, lanes, several, [(many.type(made), many.constant(made, word.neutral))])
    found = [many.lane(made, parts, k) for k in range(lanes)]
    while len(found) > 1:
        found = [write(to, made, a, b) for a, b in zip(found[::2], found[1::2], strict=True)]

    def one(j: str, so_far: list[str]) -> list[str]:
        x = of.read(given, of.moved(pointer, of.times(j, stride)))
        return [write(to, made, so_far[0], to.cast(x, given, made))]

    return of.loop(whole, n, 1, one, [(to.type(made), found[0])])[0]


def _fold(text: Text, word: Fold, write: Write | None) -> _Function:
    assert write is not None
    of = _Function(text)
    rows, columns = of.field(), of.field()
    x, (down, right) = of.operand(2)
    y, (along,) = of.operand(1)

    def row(i: str, _: list[str]) -> list[str]:
        found = _folded(of, word, write, of.moved(x, of.times(i, down)), right, columns)
        of.write(word.kinds[1], found, of.moved(y, of.times(i, along)))
        return []

    of.loop("0", rows, 1, row)
    return of


def _product(text: Text, word: Product) -> _Function:
    of = _Function(text)
    kind, size = word.kind, SIZES[word.kind]
    rows, columns, terms = of.field(), of.field(), of.field()
    a, (a_row, a_term) = of.operand(2)
    b, (b_term, b_column) = of.operand(2)
    y, (y_row, y_column) = of.operand(2)
    lanes = machine().lanes(size)

    def multiplied(to: Writer, p: str, q: str, so_far: str) -> str:
        if machine().fused:
            return to.intrinsic("fma", kind, p, q, so_far)
        return to.binary("fadd", kind, to.binary("fmul", kind, p, q), so_far)

    def across(i: str, start: str, stop: str, width: int, tile: tuple[int, int]) -> None:
        """Columns side by side: of so many rows from i on so many vectors, each a sum of its own."""
        to, (down, right) = Writer(text, width, of.lines), tile

        def some(j: str, _: list[str]) -> list[str]:
            column = of.moved(b, of.times(j, size))
            left = [of.moved(a, of.times(of.to.add(f"add i64 {i}, {n}"), a_row)) for n in range(down)]

            def term(k: str, so_far: list[str]) -> list[str]:
                ps = [to.splat(kind, of.read(kind, of.moved(x, of.times(k, a_term)))) for x in left]
                start = of.moved(column, of.times(k, b_term))
                qs = [of.read(kind, of.moved(start, str(n * width * size)), width) for n in range(right)]
                pairs = ((p, q) for p in ps for q in qs)
                return [multiplied(to, p, q, x) for (p, q), x in zip(pairs, so_far, strict=True)]

            begun = [(to.type(kind), to.constant(kind, word.zero))] * (down * right)
            for n, total in enumerate(of.loop("0", terms, 1, term, begun)):
                row = of.moved(y, of.times(of.to.add(f"add i64 {i}, {n // right}"), y_row))
                place = of.moved(row, of.times(j, size))
                of.write(kind, total, of.moved(place, str(n % right * width * size)), width)
            return []

        of.loop(start, stop, width * right, some)

    def rows_across(start: str, stop: str, tiles: tuple[tuple[int, int], ...]) -> None:
        """The rows from start on, so many at once."""

        def some(i: str, _: list[str]) -> list[str]:
            done = "0"
            for tile in tiles if lanes > 1 else ():
                whole = of.to.add(f"and i64 {columns}, {-lanes * tile[1]}")
                across(i, done, whole, lanes, tile)
                done = whole
            down = tiles[0][0]
            if lanes > 1:  # the last of them again, with those left
                back = of.to.add(f"sub i64 {columns}, {lanes}")
                enough = of.to.add(f"icmp sge i64 {back}, 0")
                left = of.to.add(f"icmp slt i64 {done}, {columns}")
                both = of.to.add(f"and i1 {enough}, {left}")
                across(i, back, of.to.add(f"select i1 {both}, i64 {columns}, i64 {back}"), lanes, (down, 1))
                done = of.to.add(f"select i1 {enough}, i64 {columns}, i64 {done}")
            across(i, done, columns, 1, (down, 1))
            return []

        of.loop(start, stop, tiles[0][0], some)

    def row(i: str, _: list[str]) -> list[str]:
        left = of.moved(a, of.times(i, a_row))

        def column(j: str, _: list[str]) -> list[str]:
            right = of.moved(b, of.times(j, b_column))
            width = max(lanes, PARTIAL)
            many, to = Writer(text, width, of.lines), of.to
            whole = to.add(f"and i64 {terms}, {-width}")

            def term(to: Writer, k: str, so_far: str) -> str:
                given = []
                for pointer, stride in ((left, a_term), (right, b_term)):
                    place = of.moved(pointer, of.times(k, stride))
                    given.append(of.read(kind, place, to.lanes, None if word.near or to.lanes == 1 else stride))
                return multiplied(to, given[0], given[1], so_far)

            def several(k: str, so_far: list[str]) -> list[str]:
                return [term(many, k, so_far[0])]

            def one(k: str, so_far: list[str]) -> list[str]:
                return [term(to, k, so_far[0])]

            (parts,) = of.loop("0", whole, width, several, [(many.type(kind), many.constant(kind, word.zero))])
            found = [many.lane(kind, parts, k) for k in range(width)]
            while len(found) > 1:
                found = [to.binary("fadd", kind, p, q) for p, q in zip(found[::2], found[1::2], strict=True)]
            (total,) = of.loop(whole, terms, 1, one, [(to.type(kind), found[0])])
            of.write(kind, total, of.moved(of.moved(y, of.times(i, y_row)), of.times(j, y_column)))
            return []

        of.loop("0", columns, 1, column)
        return []

    if not word.along:
        of.loop("0", rows, 1, row)
        return of
    whole = of.to.add(f"and i64 {rows}, {-TILE[0]}")
    rows_across("0", whole, (TILE, (TILE[0], 1)))
    rows_across(whole, rows, ((1, 4), (1, 1)))
    return of


def _gather(text: Text, word: Gather) -> _Function:
    of = _Function(text)
    count = of.field()
    x, (on,) = of.operand(1)
    places, _ = of.operand(0)
    y, _ = of.operand(0)

    def one(i: str, _: list[str]) -> list[str]:
        place = of.read("q", of.moved(places, of.times(i, 8)))
        if not word.there:
            of.write(word.kind, of.read(word.kind, of.moved(x, place)), of.moved(y, of.times(i, on)))
            return []
        there = of.moved(y, place)
        u = of.read(word.kind, of.moved(x, of.times(i, on)))
        if word.there == "add":
            operation = "fadd" if word.kind in FLOATING else "add"
            u = of.to.binary(operation, word.kind, of.read(word.kind, there), u)
        of.write(word.kind, u, there)
        return []

    of.loop("0", count, 1, one)
    return of
