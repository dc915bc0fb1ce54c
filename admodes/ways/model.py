"""The cost model: seconds from counted work and constants of one machine.

An instruction takes its call, and then the longer of arithmetic and memory traffic, whose bytes come from the level of
cache that holds them; an eager transform takes so much an operation beside.  `calibrate` measures the constants, which
are kept per machine, NumPy and BLAS; without that, the defaults of the package.

Source of the longer of the two: Williams, Waterman, Patterson, Roofline (2009).
"""

from __future__ import annotations

import bisect
import functools
import json
import platform
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.names import name_of
from ..core.plain import printable
from ..core.reverse import COPIED_BYTES
from ..program.cost import copied_outputs
from ..program.factorisations import LIKE
from ..program.native.rows import MOST_MULTIPLIED
from ..program.primitives import ADD_AT, KERNELS, SCATTERED, SET_AT, SUBTRACT_AT, placed
from ..program.recording import MARKS, Instruction, Value, leaves
from ..program.straightline import StraightLine
from .work import (
    ASSIGNMENTS,
    GATHERED,
    PLACES,
    POWER,
    REDUCTIONS,
    Step,
    arrays_of,
    derives,
    extents,
    inner_loops,
    is_product,
    is_ufunc,
    key,
    lane,
    steps,
    units,
)

# Seconds over units of work, in increasing order; straight between them.
Curve = tuple[tuple[float, float], ...]

# How an operation goes through a transform: the fast lanes for one and two arrays, views, and any other.
# Arrays of at most so many bytes come from a heap that is never given back; for those of so many NumPy asks for large
# pages.
PAGED, HUGE = 1 << 17, 1 << 22

# An instruction of a table, beside an operation on one number within a kernel.
WORD = 10

# Instructions of an ordinary pull: a partial, a product, and a sum or a cast.
ORDINARY_PULL = 3

LANES = ("unary", "binary", "view", "general")
TRANSFORMS = ("forward", "record", "pull")


class Passage(NamedTuple):
    """How an operation goes through a transform.

    key: what its seconds are kept under.  lane: one of LANES.
    derived: whether the pull by its first argument is the push, run on a tape and reversed.
    """

    key: str
    lane: str
    derived: bool

    @property
    def own(self) -> bool:
        """Whether it takes its row's own time: the fast lanes are alike for all rows."""
        return self.derived or self.lane == "general"


class Level(NamedTuple):
    """A transform at work: the operations that go through it once, and how often its function is called.

    kind: "forward" (dual numbers), "record" (onto a tape) or "pull" (back over it).  A tape copies the small plain
    arrays that it meets and takes fingerprints of the large ones, which it takes again before it pulls.
    """

    kind: str
    operations: tuple[tuple[Passage, int], ...]  # and how many of each
    times: float = 1
    copied: int = 0  # bytes
    watched: int = 0
    arrays: int = 0  # that are watched
    around: bool = False  # around another transform, whose values are traced

    @classmethod
    def of(cls, kind: str, program: StraightLine, times: float = 1) -> Level:
        counts: Counter[Passage] = Counter()
        plain: list[Any] = list(program.inputs)
        for i in program.instructions:
            if i.op not in MARKS:
                counts[Passage(key(i), lane(i), derives(i.op))] += 1
                plain += [x for x in leaves((i.args, i.params)) if isinstance(x, np.ndarray)]
        operations = tuple(counts.items())
        small = sum(int(x.nbytes) for x in plain if x.nbytes <= COPIED_BYTES)
        large = [x for x in plain if x.nbytes > COPIED_BYTES]
        if kind == "record":
            return cls(kind, operations, times, small, sum(int(x.nbytes) for x in large), len(large))
        once = {id(x): int(x.nbytes) for x in large} if kind == "pull" else {}
        return cls(kind, operations, times, 0, sum(once.values()), len(once))

    @property
    def lanes(self) -> tuple[int, ...]:
        """The operations of each lane."""
        return tuple(sum(n for passage, n in self.operations if passage.lane == lane) for lane in LANES)


class Walked(NamedTuple):
    """Of a program its seconds, the bytes alive at once beyond its inputs, and the seconds by operation."""

    seconds: float
    alive: int
    by_operation: dict[str, float]


@dataclass(frozen=True)
class CostModel:
    """Constants of one machine, in seconds; printing it gives them.

    calls : a row's name -> seconds of one call on arrays over its units of work (see `ways.work.units`).
    scalars : a row's name -> seconds of one call on numbers.
    product : of a matrix product: an item of a stack, a multiply-add, an element of a factor or of the result.
    vector : of a matrix times a vector, the same.
    levels : bytes of a working set -> seconds a byte.
    loop : an inner loop of NumPy's beyond the first: of an elementwise operation, and of a reduction.
    paged : a byte of memory that the system gives anew, beyond writing to it: in small pages, and in the large ones
        that NumPy asks for.
    literal : a Python number beside an array, more than another array.
    fingerprint : of a large array that a tape watches, a call and a byte.
    transforms : a transform -> seconds an operation of each lane, where the row's own are not known.
    rules : a row's name -> seconds an operation takes each of the transforms in turn, beside its NumPy calls.
    mixing : how much slower calls are where so many different ones take turns, whose code the processor fetches anew.
    nested : what an operation takes a transform around another, over what it takes one around none.
    entry : a public function -> seconds of a call that does nothing.
    line : a line of compiled code beside the same call made eagerly, its own call, an argument of it, a line of
        compiled scalar code, and making the code of an instruction.
    native : of a native kernel its call, an array that it makes, and an element of each operation that takes longer
        than "cheap" ones; how much slower one number alone is; and compiling a kernel, and an instruction of it.
    """

    machine: str = ""
    calibrated: bool = False
    calls: Mapping[str, Curve] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    product: tuple[float, float, float] = (3e-7, 3e-11, 1e-10)
    vector: tuple[float, float, float] = (3e-7, 1e-10, 1e-10)
    levels: Curve = ((1 << 14, 1e-11), (1 << 30, 1e-10))
    loop: tuple[float, float] = (1e-8, 1.5e-8)
    paged: tuple[float, float] = (5e-10, 1.2e-10)
    literal: float = 3e-7
    fingerprint: tuple[float, float] = (1.5e-6, 2e-11)
    transforms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rules: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    mixing: Curve = ((1.0, 1.0),)
    nested: float = 1.0
    entry: Mapping[str, float] = field(default_factory=dict)
    line: Mapping[str, float] = field(default_factory=dict)
    native: Mapping[str, float] = field(default_factory=dict)

    # Pricing -----------------------------------------------------------------------------------------

    def seconds(self, program: StraightLine, levels: Sequence[Level] = ()) -> float:
        """Seconds of a traced program whose calls are made eagerly, under transforms."""
        return self.walked(program, levels).seconds

    def walked(self, program: StraightLine, levels: Sequence[Level] = ()) -> Walked:
        """What such a program takes, from one walk over it."""
        walk = list(steps(program, holding(levels)))
        priced = list(self._priced(program, walk, levels))
        alive = max((step.alive for step in walk), default=0)
        calls = sum(s if levels else self._plainly(i, s) for i, s in priced) + self.anew(*faulted(program, alive))
        beside = sum(map(self.overhead, levels)) + self._derived(program, levels)
        return Walked(calls + self.mixed(program, levels) * beside, alive, by_operation(priced))

    def mixed(self, program: StraightLine, levels: Sequence[Level] = ()) -> float:
        """How much slower a call is than one that is made again and again, by the different ones there are."""
        different = len({key(i) for i in program.instructions}) + sum(len(level.operations) for level in levels)
        return at(self.mixing, different)

    def _plainly(self, i: Instruction, seconds: float) -> float:
        """An instruction as the function itself does it, untraced: in place, and an array of numbers at once."""
        view = self.calls["getitem"][0][1]
        if i.op in ASSIGNMENTS:
            return view + sum(int(x.nbytes) * self.byte(0.0) for x in arrays_of(i)[1:])
        if i.op in GATHERED and not arrays_of(i):
            return view * len(i.args) if i.op is GATHERED[0] else 0.0
        return seconds

    def _derived(self, program: StraightLine, levels: Sequence[Level]) -> float:
        """What the tapes take on which pulls of rows that were not measured are derived from pushes: of a program what
        ordinary pulls leave over."""
        pulls = [item for level in levels if level.kind == "pull" for item in level.operations]
        derived = sum(n for passage, n in pulls if passage.derived and passage.key not in self.rules)
        if not derived:
            return 0.0
        plain = sum(n for _, n in pulls) - derived
        entries = sum(1 for i in program.instructions if i.backward) - ORDINARY_PULL * plain
        return max(0, entries) * sum(statistics.fmean(self.transforms[kind]) for kind in ("record", "pull"))

    def compiled(self, program: StraightLine) -> float:
        """Seconds of one call of optimised flat code, which copies what is not its own to give away, and goes over its
        results once more, for nan."""
        given = [v for v in program.outputs if isinstance(v, np.ndarray)]
        given += [v for v in copied_outputs(program) if v.ndim]
        copies = sum(self.calls["copy"][0][1] + 2 * v.nbytes * self.byte(2 * v.nbytes) for v in given)
        lines = sum(self.line["number"] if _of_numbers(i) else s + self.line["line"] for i, s in self.priced(program))
        results = [v.nbytes for v in program.outputs if isinstance(v, Value)]
        copies += sum(n * self.byte(n) for n in results)
        return copies + self.line["call"] + self.line["argument"] * len(program.inputs) + lines

    def calls_of(self, program: StraightLine, levels: Sequence[Level] = ()) -> float:
        """Those of `seconds` that no larger array would add to."""
        calls = sum(self.call(i) for i in program.instructions if i.op not in MARKS)
        passing = sum(map(self._through, levels)) + self._derived(program, levels)
        return self.mixed(program, levels) * (calls + passing)

    def lines_of(self, flat: StraightLine) -> float:
        """Those of `compiled` that no larger array would add to."""
        mixed = self.mixed(flat)
        own = [i for i in flat.instructions if i.op not in MARKS]
        lines = sum(
            self.line["number"] if _of_numbers(i) else self.line["line"] + mixed * self._curve(i)[0][1] for i in own
        )
        return self.line["call"] + self.line["argument"] * len(flat.inputs) + lines

    def overhead(self, level: Level) -> float:
        """Seconds that a transform takes beside the NumPy calls."""
        call, byte = self.fingerprint
        watched = level.arrays * call + level.watched * byte
        return self._through(level) + level.times * (watched + 2 * level.copied * self.byte(level.copied))

    def _through(self, level: Level) -> float:
        """Those of them that the operations take, whatever arrays a tape meets."""
        each = sum(n * self._passing(level.kind, passage) for passage, n in level.operations)
        return level.times * each * (self.nested if level.around else 1.0)

    def _passing(self, kind: str, passage: Passage) -> float:
        """Seconds that an operation takes a transform beside its NumPy calls."""
        own = self.rules.get(passage.key) if passage.own else None
        return self.transforms[kind][LANES.index(passage.lane)] if own is None else own[TRANSFORMS.index(kind)]

    def priced(self, program: StraightLine, held: str = "") -> Iterator[tuple[Instruction, float]]:
        """Each instruction with its seconds; held: as for `steps`."""
        return self._priced(program, steps(program, held))

    def _priced(
        self, program: StraightLine, walk: Iterable[Step], levels: Sequence[Level] = ()
    ) -> Iterator[tuple[Instruction, float]]:
        mixed = self.mixed(program, levels)
        for step in walk:
            if step.instruction.op not in MARKS:
                yield step.instruction, self.instruction(step, mixed)

    def instruction(self, step: Step, mixed: float = 1.0) -> float:
        """Seconds of one NumPy call, which others that take turns with it make so much slower."""
        i = step.instruction
        if i.op in KERNELS:
            return self._kernel(step)
        curve = self._curve(i)
        call = mixed * curve[0][1]
        if i.view:
            return call
        if i.op in (ADD_AT, SUBTRACT_AT, SCATTERED):
            call += mixed * 2 * self.calls["getitem"][0][1]
        if _of_numbers(i):
            return mixed * self.call(i)
        traffic = sum(t.nbytes * self.byte(t.distance) for t in step.touches)
        if is_product(i.op):
            return call + max(self._product(i), traffic)
        if len(curve) == 1:
            curve = self.calls["other"]
        arithmetic = (at(curve, units(i)) - curve[0][1]) * _width(i)
        if any(type(x) in (int, float) for x in i.args) and is_ufunc(i.op):
            call += self.literal
        return call + max(arithmetic, traffic) + self._loops(i)

    def _kernel(self, step: Step) -> float:
        """Seconds of a native kernel: its call, and the longer of its arithmetic and of moving what it reads and
        leaves; what stands between stays in registers."""
        i, facts = step.instruction, KERNELS[step.instruction.op]
        made = sum(1 for v in i.outs if v.ndim) - len(placed(i))
        scratch = 2 * 8 * facts.scratch
        traffic = sum(t.nbytes * self.byte(t.distance) for t in step.touches) + scratch * self.byte(scratch)
        arithmetic = sum(map(self._natively, facts.instructions)) * (facts.loop.steps if facts.loop is not None else 1)
        if facts.table:  # not under the arithmetic: each waits for the one before
            arithmetic += WORD * self.native["number"] * len(facts.instructions)
        return self.native["call"] + self.native["array"] * made + max(arithmetic, traffic)

    def _natively(self, i: Instruction) -> float:
        """Seconds of the arithmetic of one operation in a kernel."""
        if i.view:
            return 0.0
        if key(i) in PLACES:
            return self.native["place"] * max(units(i), 1.0)
        if is_product(i.op):
            return self.native["sum"] * _width(i) * max(units(i), LANE)
        name, cheap = _native_key(i), self.native["cheap"]
        each = self.native["sum"] if i.op in REDUCTIONS else self.native.get(name, cheap)
        largest = max([v.size for v in i.outs] + [x.size for x in arrays_of(i)])
        if largest > 1:
            return each * _width(i) * max(largest, LANE)
        return self.native["alone"] * each if name in self.native else self.native["number"]

    def compiling(self, program: StraightLine) -> float:
        """Seconds that the machine code of the kernels of a program takes to make."""
        made = [KERNELS[i.op] for i in program.instructions if i.op in KERNELS]
        lines = sum(0 if facts.table else len(facts.instructions) for facts in made)
        return self.native["compile"] * len(made) + self.native["instruction"] * lines

    def anew(self, nbytes: float, largest: float) -> float:
        """Seconds of so many bytes that the system gives anew, in arrays of which the largest decides on the pages."""
        return nbytes * self.paged[largest >= HUGE]

    def byte(self, distance: float) -> float:
        """Seconds a byte, so many bytes after it was last touched."""
        return at(self.levels, min(distance, self.levels[-1][0]))

    def call(self, i: Instruction) -> float:
        """Seconds of its call, on numbers alone or on the smallest arrays."""
        if _of_numbers(i) and i.op.name in self.scalars:
            return self.scalars[i.op.name]
        return self._curve(i)[0][1]

    def _curve(self, i: Instruction) -> Curve:
        if i.op in (ADD_AT, SUBTRACT_AT):
            return self.calls["add"]
        if i.op is SET_AT:
            return self.calls["getitem"]
        if i.op is SCATTERED:
            return self.calls[name_of(i.params["op"])]
        if i.op in LIKE:
            return self.calls[name_of(LIKE[i.op])]
        return self.calls.get(key(i)) or self.calls.get(i.op.name) or self.calls["other"]

    def _product(self, i: Instruction) -> float:
        stack, m, k, n = extents(i)
        item, product, element = self.vector if min(m, n) == 1 else self.product
        each = product * m * k * n + element * (m * k + k * n + m * n)
        return (stack * (item + each) if stack > 1 else each) * _width(i)

    def _loops(self, i: Instruction) -> float:
        if is_ufunc(i.op):
            return self.loop[0] * (inner_loops(i) - 1)
        return self.loop[1] * (inner_loops(i) - 1) if i.op in REDUCTIONS else 0.0

    def __str__(self) -> str:
        each = {name: curve[0][1] for name, curve in sorted(self.calls.items(), key=lambda item: -item[1][0][1])}
        middle, slowest = _time(statistics.median(each.values())), next(iter(each))
        elements = ", ".join(f"{name} {_time(self._slope(name))}" for name in ("add", "exp", "tanh", "sin", "sum"))
        product, vector = (_time(s) for s in (self.product[1], self.vector[2]))
        lines = [
            f"{'calibrated' if self.calibrated else 'defaults, not of this machine'}: {self.machine}",
            f"a NumPy call on a small array: {middle} in the middle of {len(each)} operations; "
            f"add {_time(each['add'])}, sum {_time(each['sum'])}, the slowest, {slowest}, {_time(each[slowest])}",
            f"an element: {elements}",
            f"a multiply-add of two matrices: {product}; an element of a matrix times a vector: {vector}",
            "a byte of a working set: " + ", ".join(f"{int(n) >> 10:,} KiB {_time(s)}" for n, s in self.levels[::3]),
        ]
        for kind, lanes in self.transforms.items():
            words = ", ".join(f"{lane} {_time(s)}" for lane, s in zip(LANES, lanes, strict=True))
            lines.append(f"{kind}, an operation beside its NumPy calls: {words}")
        lines.append("a call of next to nothing: " + ", ".join(f"{name} {_time(s)}" for name, s in self.entry.items()))
        lines.append("compiled: " + ", ".join(f"{name} {_time(s)}" for name, s in self.line.items()))
        if self.native:
            shown = ("call", "cheap", "sum", "exp", "tanh", "place", "compile")
            lines.append("a native kernel: " + ", ".join(f"{name} {_time(self.native[name])}" for name in shown))
        return printable("\n".join(lines))

    def _slope(self, name: str) -> float:
        (a, s), (b, t) = self.calls[name][-2:]
        return (t - s) / (b - a)

    # Keeping -----------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> CostModel:
        data = json.loads(text)
        data["calls"] = {name: tuple(map(tuple, curve)) for name, curve in data["calls"].items()}
        for name in ("product", "vector", "levels", "loop", "paged", "fingerprint", "mixing"):
            data[name] = tuple(tuple(x) if isinstance(x, list) else x for x in data[name])
        for name in ("transforms", "rules"):
            data[name] = {key: tuple(each) for key, each in data[name].items()}
        return cls(**data)


def holding(levels: Sequence[Level]) -> str:
    """What transforms hold on to, in the words of `steps`."""
    if any(level.kind == "record" for level in levels):
        return "duals" if any(level.around and level.kind == "forward" for level in levels) else "tape"
    return "dual" if any(level.kind == "forward" for level in levels) else ""


def by_operation(priced: Iterable[tuple[Instruction, float]]) -> dict[str, float]:
    """Seconds by the operation they go to, the largest first."""
    found: dict[str, float] = {}
    for i, s in priced:
        found[i.op.name] = found.get(i.op.name, 0.0) + s
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def faulted(program: StraightLine, peak: int) -> tuple[int, int]:
    """Bytes that the system gives anew in each run, and those of the largest array: a heap whose free end is larger
    than twice the largest array so far goes back to it (glibc's malloc, by default); arrays of few pages stay.  peak:
    bytes alive at once."""
    largest = max((v.nbytes for i in program.instructions if not i.view for v in i.outs), default=0)
    return (peak if largest > PAGED and peak > 2 * largest else 0), largest


# Elements that a kernel computes at least: those of a vector.
LANE = 8


def _native_key(i: Instruction) -> str:
    """What an operation in a kernel is kept under: whole powers are multiplied out there, and roots are roots."""
    if i.op is not POWER or not isinstance(i.args[1], int | float):
        return i.op.name
    exponent = float(i.args[1])
    if exponent in (0.5, -1.0):
        return "sqrt" if exponent > 0 else "reciprocal"
    return "cheap" if exponent.is_integer() and 0 < exponent <= MOST_MULTIPLIED else i.op.name


def _of_numbers(i: Instruction) -> bool:
    """Whether neither the arguments nor the results are arrays."""
    return not arrays_of(i) and not any(v.ndim for v in i.outs)


def _time(seconds: float) -> str:
    """Seconds with a unit to read: 1.2 µs."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if abs(seconds) >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-12:.3g} ps"


def at(curve: Curve, x: float) -> float:
    """The height of a curve at x: straight between its points, as in the last piece beyond them."""
    if x <= curve[0][0] or len(curve) == 1:
        return curve[0][1]
    right = min(max(1, bisect.bisect_left(curve, (x,))), len(curve) - 1)
    (a, s), (b, t) = curve[right - 1], curve[right]
    return s + (t - s) * (x - a) / (b - a)


def _width(i: Instruction) -> float:
    """Arithmetic beside that in double precision."""
    if not (is_ufunc(i.op) or is_product(i.op)):
        return 1.0
    kinds = {x.dtype.char for x in (*arrays_of(i), *i.outs) if x.dtype.kind in "fc"}
    return 3.5 if kinds & {"D", "F"} else 0.5 if kinds == {"f"} else 1.0


# ---------------------------------------------------------------------------------------------------
# This machine's
# ---------------------------------------------------------------------------------------------------


def machine() -> str:
    """The processor, NumPy and its BLAS, in one line."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{_processor()}; NumPy {np.__version__}; {blas.get('name', 'BLAS')} {blas.get('version', '')}".strip()


def _processor() -> str:
    """The name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()


def kept_at() -> Path:
    """The file of this machine's constants."""
    from hashlib import sha256

    import platformdirs

    constants = [part.name for part in fields(CostModel)]  # a file of other constants is another file
    name = sha256(f"{machine()} {constants}".encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("admodes") / f"model-{name}.json"


def keep_model(model: CostModel) -> None:
    """Write the constants to `kept_at()`, and take them from now on."""
    path = kept_at()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(model.to_json(), encoding="utf-8")
    current.cache_clear()


@functools.cache
def current() -> CostModel:
    """The constants of this machine, if it was calibrated with this NumPy and BLAS; else the defaults."""
    path = kept_at()
    return CostModel.from_json(path.read_text(encoding="utf-8")) if path.is_file() else defaults()


def defaults() -> CostModel:
    """The constants that come with the package: the model of `admodes calibrate --dry --json` on another machine."""
    text = resources.files(__package__).joinpath("defaults.json").read_text(encoding="utf-8")
    return replace(CostModel.from_json(text), calibrated=False)
