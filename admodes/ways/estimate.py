"""What a way to a derivative would take: seconds, peak memory and counted work, from traced programs, without a clock.

A program of K directions at once is not run: it is made from those of two and of three, whose shapes differ where K
stands.  So a Jacobian of any size costs no more to estimate than a few single passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ..core import pytree
from ..program import Cost
from ..program.cost import cost_of
from ..program.native.calls import planned, unmade
from ..program.native.group import kernels
from ..program.native.rolled import instructions_of
from ..program.native.table import tables
from ..program.native.worth import with_kernels, with_loops, with_tables
from ..program.passes import PASSES, optimise
from ..program.program import Program, record
from ..program.recording import NESTED, Instruction, Value
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.dense import grad
from ..transforms.directions import chunk_for, unit_directions
from ..transforms.recording import Recording, push_forward
from .model import CostModel, Level, by_operation, current
from .work import steps

# Whether a way runs as flat code; "native": with kernels of machine code in it.
Compiled = bool | Literal["native"]

# The passes of native code, whose kernels are planned and not compiled; and how many of them come before these.
_planned = functools.partial(kernels, make=unmade)
PLANNED = with_tables(with_kernels(PASSES, _planned), functools.partial(tables, make=planned))
BEFORE = next(k for k, one in enumerate(PLANNED) if one not in PASSES)


def _rolled(program: Program) -> Program:
    """The program with its loops, planned and not compiled."""
    return with_loops(program, PASSES, functools.partial(instructions_of, make=planned))


@dataclass(frozen=True)
class Estimate:
    """What a way would take, predicted.

    seconds : of one call.            first_call_seconds : of the first, which traces and compiles where the way does.
    peak_bytes : alive at once beyond the arguments.
    kept_bytes : those of them that compiled code keeps from call to call, its workspace.
    passes : sweeps over the function.   cost : counted work.   by_operation : seconds by operation.
    overhead_seconds : those that calls and transforms take, however small the arrays.
    """

    seconds: float
    peak_bytes: int
    passes: int
    cost: Cost
    first_call_seconds: float
    by_operation: dict[str, float] = field(default_factory=dict)
    kept_bytes: int = 0
    overhead_seconds: float = 0.0

    def times(self, n: int) -> Estimate:
        """So many of them, one after another."""
        return replace(
            self,
            seconds=n * self.seconds,
            passes=n * self.passes,
            cost=_multiple(self.cost, n),
            first_call_seconds=self.first_call_seconds + (n - 1) * self.seconds,
            by_operation={name: n * s for name, s in self.by_operation.items()},
            overhead_seconds=n * self.overhead_seconds,
        )

    def plus(self, other: Estimate) -> Estimate:
        """One after the other."""
        return replace(
            self,
            seconds=self.seconds + other.seconds,
            peak_bytes=max(self.peak_bytes, other.peak_bytes),
            passes=self.passes + other.passes,
            cost=_sum(self.cost, other.cost),
            first_call_seconds=self.first_call_seconds + other.first_call_seconds,
            overhead_seconds=self.overhead_seconds + other.overhead_seconds,
        )


def _multiple(cost: Cost, n: int) -> Cost:
    return Cost(
        flops=n * cost.flops,
        multiply_adds=n * cost.multiply_adds,
        bytes=n * cost.bytes,
        peak_bytes=cost.peak_bytes,
        operations=n * cost.operations,
        approximate=cost.approximate,
    )


def estimate(
    derivative: Callable[..., Any],
    args: tuple[Any, ...],
    levels: Sequence[Level] = (),
    compiled: Compiled = False,
    entry: float = 0.0,
    model: CostModel | None = None,
) -> Estimate:
    """What derivative(*args) would take; it is traced, and so runs once.

    Parameters
    ----------
    levels : the transforms at work in it, where it runs eagerly. compiled : as `compile(derivative)` would run.
    entry : seconds of the call itself.  model : the constants; those of this machine by default.
    """
    return of_program(record(derivative, args, {}, strict=False), levels, compiled, entry, model or current())


def of_program(
    program: Program, levels: Sequence[Level], compiled: Compiled, entry: float, model: CostModel, passes: int = 1
) -> Estimate:
    """What a traced derivative would take."""
    if compiled == "native":
        return of_flat(optimise(_rolled(program), PLANNED), program, model, passes)
    if compiled:
        return of_flat(optimise(program, PASSES), program, model, passes)
    found, calls = model.walked(program, levels), entry + model.calls_of(program, levels)
    seconds, alive = entry + found.seconds, found.alive + _space(program)
    return Estimate(seconds, alive, passes, cost_of(program), seconds, found.by_operation, 0, calls)


def of_flat(flat: Program, program: Program, model: CostModel, passes: int = 1) -> Estimate:
    """What compiled code would take, and the program that it was made of."""
    seconds = model.compiled(flat)
    first = seconds + model.line["compile"] * len(program.instructions) + model.compiling(flat)
    kept, calls, each = _space(flat), model.lines_of(flat), by_operation(model.priced(flat))
    alive = kept + max((step.alive for step in steps(flat)), default=0)
    return Estimate(seconds, alive, passes, cost_of(program), first, each, kept, calls)


def _space(program: Program) -> int:
    """Bytes of the arrays that compiled code keeps from call to call."""
    return sum(v.nbytes for v in program.workspace)


# ---------------------------------------------------------------------------------------------------
# Directions
# ---------------------------------------------------------------------------------------------------


# Programs of so many directions and of one more are compared; more, where passes make other code of small arrays.
_FEW = (2, 20, 160)


def with_directions(traced: Callable[[int], Program], k: int) -> Program:
    """The program of k directions: where those of two and three differ, extents and numbers go on in the same steps."""
    for few in _FEW:
        if k < few + 2:
            break
        a, b = traced(few), traced(few + 1)
        if _alike(a, b):
            return _continued(a, b, k - few)
    return traced(k)


def _alike(a: Program, b: Program) -> bool:
    """Whether two programs differ in extents alone."""
    return [(i.op, i.buffer, i.into) for i in a.instructions] == [
        (i.op, i.buffer, i.into) for i in b.instructions
    ] and (len(a.workspace) == len(b.workspace))


def _continued(two: Program, three: Program, steps: int) -> Program:
    """The program that is so many steps of one direction beyond the first of two."""
    made: dict[Value, Value] = {}

    def value(a: Value, b: Value) -> Value:
        if a not in made:
            made[a] = a if a.shape == b.shape else Value(_further(a.shape, b.shape, steps), a.dtype, a.name)
        return made[a]

    grown: list[Value] = []  # constants that depend on the number of directions

    def part(a: Any, b: Any) -> Any:
        return _part(a, b, steps, value, grown)

    made_of_two = two.with_(
        instructions=tuple(_instruction(a, b, part) for a, b in zip(two.instructions, three.instructions, strict=True)),
        inputs=part(two.inputs, three.inputs),
        outputs=part(two.outputs, three.outputs),
        workspace=part(two.workspace, three.workspace),
    )
    return made_of_two.with_(inputs=(*made_of_two.inputs, *grown))


def _further(a: tuple[int, ...], b: tuple[int, ...], steps: int) -> tuple[int, ...]:
    return tuple(m + (n - m) * steps for m, n in zip(a, b, strict=True))


def _instruction(a: Instruction, b: Instruction, part: Any) -> Instruction:
    return replace(a, args=part(a.args, b.args), params=part(a.params, b.params), out=part(a.out, b.out))


def _part(a: Any, b: Any, steps: int, value: Any, grown: list[Value]) -> Any:
    """An argument of the program so many steps on, from those of the first two."""
    kind = type(a)
    if kind is Value:
        return value(a, b)
    if kind is slice:
        return slice(*(_part(getattr(a, e), getattr(b, e), steps, value, grown) for e in ("start", "stop", "step")))
    if kind is dict:
        return {name: _part(x, b[name], steps, value, grown) for name, x in a.items()}
    if kind in NESTED:
        return kind(_part(x, y, steps, value, grown) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        if a.shape == b.shape:
            return a
        grown.append(Value(_further(a.shape, b.shape, steps), a.dtype))
        return grown[-1]
    if kind is int and type(b) is int and a != b:
        return a + (b - a) * steps
    return a


_LEVELS = {"forward": ("forward",), "reverse": ("record", "pull"), "gradient": ("record", "pull")}


class Estimator:
    """What the ways to derivatives of f at some arguments would take; f is traced once for each kind of pass.

    Parameters
    ----------
    f : a function in plain NumPy.  args, argnums, kwargs : as for `jacobian`.  model : the constants.

    >>> import numpy as np
    >>> ways = Estimator(lambda x: np.tanh(x) * x[0], (np.ones(100),))
    >>> ways.forward(k=100).cost.flops > ways.forward(k=1).cost.flops
    True
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        argnums: Argnums = 0,
        kwargs: dict[str, Any] | None = None,
        model: CostModel | None = None,
    ) -> None:
        self.f, self.args, self.argnums, self.kwargs = f, args, argnums, kwargs or {}
        self.model = model or current()
        self.chosen, self.leaves, self.structure = chosen_leaves(f, argnums, args, self.kwargs)
        self.n = sum(int(x.size) for x in self.leaves)
        self._kept: dict[Any, Program] = {}

    @functools.cached_property
    def plain(self) -> Program:
        """f itself, by the leaves of the chosen arguments."""
        return record(lambda *xs: self.chosen(*pytree.unflatten(self.structure, xs)), tuple(self.leaves), {}, False)

    @functools.cached_property
    def results(self) -> list[Any]:
        """Zeros of the shapes and dtypes of the result's leaves."""
        return [
            np.zeros(np.shape(y), np.result_type(y)) if not isinstance(y, Value) else np.zeros(y.shape, y.dtype)
            for y in self.plain.outputs
        ]

    @property
    def m(self) -> int:
        """Numbers in the result."""
        return sum(int(y.size) for y in self.results)

    def function(self, evaluations: int = 1) -> Estimate:
        """f itself, so many times: finite differences take n + 1 or 2 n."""
        return of_program(self.plain, (), False, 0.0, self.model).times(evaluations)

    def forward(self, k: int = 1, passes: int = 1, compiled: Compiled = False) -> Estimate:
        """`jvp` of k directions at once, so many times."""
        program = with_directions(self._pushed, k)
        entry = self.model.entry["jvp"]
        return of_program(program, self._levels("forward"), compiled, entry, self.model).times(passes)

    def reverse(self, k: int = 1, passes: int = 1, compiled: Compiled = False) -> Estimate:
        """`vjp` and so many pulls of k cotangents at once."""
        program = with_directions(self._pulled, k)
        entry = self.model.entry["vjp"] + self.model.entry["pull"]
        one = of_program(program, self._levels("record", "pull"), compiled, entry, self.model)
        return one if passes == 1 else self._more(one, program, passes, compiled)

    def _more(self, one: Estimate, program: Program, passes: int, compiled: Compiled) -> Estimate:
        """More pulls over the same tape; compiled code goes forward every time."""
        if compiled:
            return one.times(passes)
        return one.plus(self._again(program).times(passes - 1)) if passes > 1 else one

    def _again(self, program: Program) -> Estimate:
        """One more pull over the tape of a program."""
        (pull,) = self._levels("pull")
        back = sum(s for i, s in self.model.priced(program, held="tape") if i.backward)
        overhead = self.model.entry["pull"] + self.model.overhead(pull)
        seconds = overhead + back
        there = tuple(v for i in program.instructions if not i.backward for v in i.outs)
        tail = program.with_(
            inputs=(*program.inputs, *there),
            instructions=tuple(i for i in program.instructions if i.backward),
            outputs=(),
        )
        calls = self.model.entry["pull"] + self.model.calls_of(tail, (pull,))
        return Estimate(seconds, 0, 1, cost_of(tail), seconds, overhead_seconds=calls)

    def gradient(self, compiled: Compiled = False) -> Estimate:
        """`grad` of a scalar f."""
        program = self._program("grad", lambda: record(grad(self.f, self.argnums), self.args, self.kwargs, False))
        return of_program(program, self._levels("record", "pull"), compiled, self.model.entry["grad"], self.model)

    def jacobian(
        self, mode: str, chunk: int | None = None, compiled: Compiled = False, directions: int | None = None
    ) -> Estimate:
        """The whole Jacobian as `jacfwd` (mode "forward") or `jacrev` ("reverse") makes it, chunk by chunk; directions:
        of so many sums of columns, or of rows, as a colouring takes them."""
        n, m = self.n, self.m
        each, others, traced = (n, m, self._columns) if mode == "forward" else (m, n, self._rows)
        total = each if directions is None else directions
        k = min(total, chunk or chunk_for(total, max(n, m, 1))) or 1
        passes, rest = divmod(max(total, 1), k)
        one = self._chunk(mode, traced, k, compiled)
        found = one if passes < 2 else one.plus(self._next(mode, traced, k, compiled).times(passes - 1))
        if rest:
            last = self._next(mode, traced, rest, compiled)
            found = found.plus(replace(last, first_call_seconds=last.seconds))
        seeds, made, several = k * each * 8, total * others * 8, passes > 1 or rest > 0
        written = 0.0 if compiled else self.model.byte(seeds) * seeds * (passes + bool(rest))
        joined = 2 * self.model.byte(made) * made if several else 0.0
        return replace(
            found,
            seconds=found.seconds + written + joined,
            first_call_seconds=found.first_call_seconds + written + joined,
            peak_bytes=found.peak_bytes + (0 if compiled else seeds) + (2 * made if several else 0),
        )

    def _chunk(self, mode: str, traced: Callable[[int], Program], k: int, compiled: Compiled) -> Estimate:
        """The columns or rows of k directions."""
        if compiled:
            before, after = (PLANNED[:BEFORE], PLANNED[BEFORE:]) if compiled == "native" else (PASSES, ())
            whole = with_directions(traced, k)
            loops = _rolled(whole) if compiled == "native" else whole
            if loops is not whole:
                flat = optimise(loops, PLANNED)
            else:
                flat = optimise(with_directions(lambda k: optimise(traced(k), before), k), after)
            return of_flat(flat, whole, self.model)
        entry = self.model.entry["jacfwd" if mode == "forward" else "jacrev"]
        return of_program(with_directions(traced, k), self._levels(*_LEVELS[mode]), False, entry, self.model)

    def _next(self, mode: str, traced: Callable[[int], Program], k: int, compiled: Compiled) -> Estimate:
        """Those of k directions more, in reverse over the same tape."""
        if mode == "reverse" and not compiled:
            return self._again(with_directions(traced, k))
        return self._chunk(mode, traced, k, compiled)

    def hvp(self, compiled: Compiled = False) -> Estimate:
        """H·v of a scalar f: one push through one gradient."""
        return self._nested("forward", "gradient", 1, 1, compiled, self.model.entry["jvp"] + self.model.entry["grad"])

    def hessian(
        self, mode: str = "forward-over-reverse", chunk: int | None = None, compiled: Compiled = False
    ) -> Estimate:
        """The Hessian of a scalar f in one of the four nestings."""
        outer, inner = mode.split("-over-")
        n = self.n
        ki = n if inner == "forward" else 1
        k = min(n, chunk or chunk_for(n, n)) or 1
        passes = -(-n // k)
        entry = sum(self.model.entry["jacfwd" if part == "forward" else "jacrev"] for part in (outer, inner))
        one = self._nested(outer, inner, k, ki, compiled, entry).times(passes)
        return replace(one, peak_bytes=one.peak_bytes + k * n * 8 + (n * n * 8 if passes > 1 else 0))

    def _nested(self, outer: str, inner: str, ko: int, ki: int, compiled: Compiled, entry: float) -> Estimate:
        def traced(ko: int) -> Program:
            return with_directions(lambda ki: self._nested_program(outer, inner, ko, ki), ki)

        below, above = _LEVELS[inner], _LEVELS[outer]
        inside = self._program(
            (inner, "inside"), lambda: record(self._inside(inner, ki=1), tuple(self.leaves), {}, False)
        )
        levels = [*self._levels(*below), *(Level.of(kind, inside)._replace(around=True) for kind in above)]
        return of_program(with_directions(traced, ko), levels, compiled, entry, self.model)

    def _inside(self, mode: str, ki: int) -> Callable[..., Any]:
        """ki rows or columns of the Jacobian, or the gradient, as a function of the leaves."""

        def inside(*xs: Any) -> Any:
            if mode == "gradient":
                recording = Recording(self.chosen, pytree.unflatten(self.structure, xs))
                return recording.pull([y.dtype.type(1) for y in recording.values], ())
            if mode == "forward":
                return push_forward(self.chosen, self.structure, list(xs), unit_directions(xs, 0, ki), (ki,))[2]
            recording = Recording(self.chosen, pytree.unflatten(self.structure, xs))
            return recording.pull(unit_directions(recording.values, 0, ki), (ki,))

        return inside

    def _nested_program(self, outer: str, inner: str, ko: int, ki: int) -> Program:
        inside = self._inside(inner, ki)
        lead = (ko,) if ko > 1 else ()

        def forward(xs: list[Any], ts: list[Any]) -> Any:
            structure = pytree.flatten(tuple(xs))[1]
            return push_forward(inside, structure, xs, ts, lead)[2]

        def reverse(xs: list[Any]) -> Any:
            recording = Recording(inside, tuple(xs))
            return recording.pull(_some(recording.values, ko), lead)

        def make() -> Program:
            if outer == "forward":
                return record(forward, (self.leaves, _some(self.leaves, ko)), {}, False)
            return record(reverse, (self.leaves,), {}, False)

        return self._program((outer, inner, ko, ki), make)

    # Programs ----------------------------------------------------------------------------------------

    def _program(self, name: Any, make: Callable[[], Program]) -> Program:
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def _levels(self, *kinds: str) -> list[Level]:
        return [Level.of(kind, self.plain) for kind in kinds]

    def _pushed(self, k: int) -> Program:
        def run(xs: list[Any], ts: list[Any]) -> Any:
            values, _, tangents = push_forward(self.chosen, self.structure, xs, ts, (k,) if k > 1 else ())
            return values, tangents

        return self._program(("push", k), lambda: record(run, (self.leaves, _some(self.leaves, k)), {}, False))

    def _columns(self, k: int) -> Program:
        """k columns of the Jacobian; the unit directions are constants, which compiled code makes use of."""
        return self._program(("columns", k), lambda: record(self._inside("forward", k), tuple(self.leaves), {}, False))

    def _rows(self, k: int) -> Program:
        """k rows."""

        def run(*xs: Any) -> Any:
            recording = Recording(self.chosen, pytree.unflatten(self.structure, xs))
            return recording.pull(unit_directions(recording.values, 0, k), (k,))

        return self._program(("rows", k), lambda: record(run, tuple(self.leaves), {}, False))

    def _pulled(self, k: int) -> Program:
        def run(xs: list[Any], us: list[Any]) -> Any:
            recording = Recording(self.chosen, pytree.unflatten(self.structure, xs))
            return recording.pull(us, (k,) if k > 1 else ())

        return self._program(("pull", k), lambda: record(run, (self.leaves, _some(self.results, k)), {}, False))


def _some(leaves: Sequence[Any], k: int) -> list[Any]:
    """k directions, one of no axis of its own; work depends on their shape alone."""
    units = unit_directions(leaves, 0, 1)
    return [d[0] if k == 1 else np.broadcast_to(d[:1], (k, *d.shape[1:])).copy() for d in units]


def _sum(a: Cost, b: Cost) -> Cost:
    return replace(
        a,
        flops=a.flops + b.flops,
        multiply_adds=a.multiply_adds + b.multiply_adds,
        bytes=a.bytes + b.bytes,
        operations=a.operations + b.operations,
    )
