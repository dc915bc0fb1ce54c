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
from ..program.native.calls import unmade
from ..program.native.group import kernels
from ..program.native.worth import with_kernels
from ..program.passes import PASSES, optimise
from ..program.program import Program, record
from ..program.recording import NESTED, Instruction, Value
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.dense import grad
from ..transforms.directions import chunk_for, unit_directions
from ..transforms.recording import Recording, push_forward
from .model import CostModel, Level, current, holding
from .work import steps

# Whether a way runs as flat code; "native": with kernels of machine code in it.
Compiled = bool | Literal["native"]

# The passes of native code, whose kernels are planned and not compiled; and how many of them come before these.
_planned = functools.partial(kernels, make=unmade)
PLANNED = with_kernels(PASSES, _planned)
BEFORE = PLANNED.index(_planned)


@dataclass(frozen=True)
class Estimate:
    """What a way would take, predicted.

    seconds : of one call.            first_call_seconds : of the first, which traces and compiles where the way does.
    peak_bytes : alive at once beyond the arguments.
    kept_bytes : those of them that compiled code keeps from call to call, its workspace.
    passes : sweeps over the function.   cost : counted work.   by_operation : seconds by operation.
    overhead_seconds : those that compiled code takes for its calls, however small the arrays.
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
    if compiled:
        return of_flat(optimise(program, PLANNED if compiled == "native" else PASSES), program, model, passes)
    held = holding(levels)
    seconds = entry + model.seconds(program, levels)
    return Estimate(seconds, peak(program, held), passes, cost_of(program), seconds, model.by_operation(program, held))


def of_flat(flat: Program, program: Program, model: CostModel, passes: int = 1) -> Estimate:
    """What compiled code would take, and the program that it was made of."""
    seconds = model.compiled(flat)
    first = seconds + model.line["compile"] * len(program.instructions) + model.compiling(flat)
    kept = sum(v.nbytes for v in flat.workspace)
    calls = model.calls_of(flat)
    return Estimate(seconds, peak(flat), passes, cost_of(program), first, model.by_operation(flat), kept, calls)


def peak(program: Program, held: str = "") -> int:
    """Bytes alive at once beyond the arguments; held: with all that a tape keeps."""
    space = sum(v.nbytes for v in program.workspace)
    return space + max((step.alive for step in steps(program, held)), default=0)


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

    @property
    def m(self) -> int:
        """Numbers in the result."""
        return sum(int(np.size(y)) if not isinstance(y, Value) else y.size for y in self.plain.outputs)

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
        back = [(i, s) for i, s in self.model.priced(program, held="tape") if i.backward]
        (pull,) = self._levels("pull")
        each = self.model.entry["pull"] + self.model.overhead(pull) + sum(s for _, s in back)
        there = tuple(v for i in program.instructions if not i.backward for v in i.outs)
        tail = program.with_(inputs=(*program.inputs, *there), instructions=tuple(i for i, _ in back), outputs=())
        counted = cost_of(tail)
        return replace(
            one,
            seconds=one.seconds + (passes - 1) * each,
            passes=passes,
            cost=_sum(one.cost, _multiple(counted, passes - 1)),
            first_call_seconds=one.first_call_seconds + (passes - 1) * each,
        )

    def gradient(self, compiled: Compiled = False) -> Estimate:
        """`grad` of a scalar f."""
        program = self._program("grad", lambda: record(grad(self.f, self.argnums), self.args, self.kwargs, False))
        return of_program(program, self._levels("record", "pull"), compiled, self.model.entry["grad"], self.model)

    def jacobian(self, mode: str, chunk: int | None = None, compiled: Compiled = False) -> Estimate:
        """The whole Jacobian as `jacfwd` (mode "forward") or `jacrev` ("reverse") makes it, chunk by chunk."""
        n, m = self.n, self.m
        directions, kinds = (n, _LEVELS["forward"]) if mode == "forward" else (m, _LEVELS["reverse"])
        k = min(directions, chunk or chunk_for(directions, max(n, m, 1))) or 1
        passes = -(-directions // k)
        traced = self._columns if mode == "forward" else self._rows
        if compiled:
            before, after = (PLANNED[:BEFORE], PLANNED[BEFORE:]) if compiled == "native" else (PASSES, ())
            flat = optimise(with_directions(lambda k: optimise(traced(k), before), k), after)
            one = of_flat(flat, with_directions(traced, k), self.model).times(passes)
        else:
            program = with_directions(traced, k)
            entry = self.model.entry["jacfwd" if mode == "forward" else "jacrev"]
            one = of_program(program, self._levels(*kinds), False, entry, self.model)
            if passes > 1:
                one = one.times(passes) if mode == "forward" else self._more(one, program, passes, False)
        seeds, made = k * directions * 8, n * m * 8
        written = 0.0 if compiled else self.model.byte(seeds) * seeds * passes
        joined = 2 * self.model.byte(made) * made if passes > 1 else 0.0
        return replace(
            one,
            seconds=one.seconds + written + joined,
            first_call_seconds=one.first_call_seconds + written + joined,
            peak_bytes=one.peak_bytes + (0 if compiled else seeds) + (2 * made if passes > 1 else 0),
        )

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
        results = [np.zeros(v.shape, v.dtype) if isinstance(v, Value) else v for v in self.plain.outputs]

        def run(xs: list[Any], us: list[Any]) -> Any:
            recording = Recording(self.chosen, pytree.unflatten(self.structure, xs))
            return recording.pull(us, (k,) if k > 1 else ())

        return self._program(("pull", k), lambda: record(run, (self.leaves, _some(results, k)), {}, False))


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
