"""What a way to a derivative would take: seconds, peak memory and counted work, from traced programs, without a clock.

A program of K directions at once is not run: it is made from those of two and of three, whose shapes differ where K
stands.  So a Jacobian of any size costs no more to estimate than a few single passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core import pytree
from ..program import Cost
from ..program.cost import cost_of
from ..program.passes import PASSES, optimise
from ..program.program import Program, record
from ..program.recording import NESTED, Instruction, Value
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.dense import grad
from ..transforms.directions import chunk_for, unit_directions
from ..transforms.recording import Recording, push_forward
from .model import CostModel, Level, current
from .work import steps


@dataclass(frozen=True)
class Estimate:
    """What a way would take, predicted.

    seconds : of one call.            first_call_seconds : of the first, which traces and compiles where the way does.
    peak_bytes : alive at once beyond the arguments.
    passes : sweeps over the function.   cost : counted work.   by_operation : seconds by operation.
    """

    seconds: float
    peak_bytes: int
    passes: int
    cost: Cost
    first_call_seconds: float
    by_operation: dict[str, float] = field(default_factory=dict)

    def times(self, n: int) -> Estimate:
        """So many of them, one after another."""
        return replace(
            self,
            seconds=n * self.seconds,
            passes=n * self.passes,
            cost=_multiple(self.cost, n),
            first_call_seconds=self.first_call_seconds + (n - 1) * self.seconds,
            by_operation={name: n * s for name, s in self.by_operation.items()},
        )


def _multiple(cost: Cost, n: int) -> Cost:
    return Cost(
        flops=n * cost.flops,
        multiply_adds=n * cost.multiply_adds,
        bytes=n * cost.bytes,
        peak_bytes=cost.peak_bytes,
        operations=n * cost.operations,
    )


def estimate(
    derivative: Callable[..., Any],
    args: tuple[Any, ...],
    levels: Sequence[Level] = (),
    compiled: bool = False,
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
    program: Program, levels: Sequence[Level], compiled: bool, entry: float, model: CostModel, passes: int = 1
) -> Estimate:
    """What a traced derivative would take."""
    if compiled:
        flat = optimise(program, PASSES)
        seconds = model.compiled(flat)
        first = seconds + model.line["compile"] * len(program.instructions)
        return Estimate(seconds, peak(flat), passes, cost_of(program), first, model.by_operation(flat))
    held = any(level.kind == "record" for level in levels)
    seconds = entry + model.seconds(program, levels)
    return Estimate(seconds, peak(program, held), passes, cost_of(program), seconds, model.by_operation(program, held))


def peak(program: Program, held: bool = False) -> int:
    """Bytes alive at once beyond the arguments; held: with all that a tape keeps."""
    space = sum(v.nbytes for v in program.workspace)
    return space + max((step.alive for step in steps(program, held)), default=0)


# ---------------------------------------------------------------------------------------------------
# Directions
# ---------------------------------------------------------------------------------------------------


def with_directions(traced: Callable[[int], Program], k: int) -> Program:
    """The program of k directions: where those of two and three differ, extents and numbers go on in the same steps."""
    if k < 4:
        return traced(k)
    two, three = traced(2), traced(3)
    if [i.op for i in two.instructions] != [i.op for i in three.instructions]:
        return traced(k)
    made: dict[Value, Value] = {}

    def value(a: Value, b: Value) -> Value:
        if a not in made:
            made[a] = a if a.shape == b.shape else Value(_further(a.shape, b.shape, k), a.dtype, a.name)
        return made[a]

    def part(a: Any, b: Any) -> Any:
        return _part(a, b, k, value)

    return two.with_(
        instructions=tuple(_instruction(a, b, part) for a, b in zip(two.instructions, three.instructions, strict=True)),
        inputs=part(two.inputs, three.inputs),
        outputs=part(two.outputs, three.outputs),
    )


def _further(a: tuple[int, ...], b: tuple[int, ...], k: int) -> tuple[int, ...]:
    return tuple(m + (n - m) * (k - 2) for m, n in zip(a, b, strict=True))


def _instruction(a: Instruction, b: Instruction, part: Any) -> Instruction:
    return replace(a, args=part(a.args, b.args), params=part(a.params, b.params), out=part(a.out, b.out))


def _part(a: Any, b: Any, k: int, value: Any) -> Any:
    """An argument of the program of k directions, from those of two and of three."""
    kind = type(a)
    if kind is Value:
        return value(a, b)
    if kind is slice:
        return slice(*(_part(getattr(a, e), getattr(b, e), k, value) for e in ("start", "stop", "step")))
    if kind is dict:
        return {name: _part(x, b[name], k, value) for name, x in a.items()}
    if kind in NESTED:
        return kind(_part(x, y, k, value) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a if a.shape == b.shape else Value(_further(a.shape, b.shape, k), a.dtype)
    if kind is int and type(b) is int and a != b:
        return a + (b - a) * (k - 2)
    return a


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

    def forward(self, k: int = 1, passes: int = 1, compiled: bool = False) -> Estimate:
        """`jvp` of k directions at once, so many times."""
        program = with_directions(self._pushed, k)
        entry = self.model.entry["jvp"]
        return of_program(program, self._levels("forward"), compiled, entry, self.model).times(passes)

    def reverse(self, k: int = 1, passes: int = 1, compiled: bool = False) -> Estimate:
        """`vjp` and so many pulls of k cotangents at once."""
        program = with_directions(self._pulled, k)
        entry = self.model.entry["vjp"] + self.model.entry["pull"]
        one = of_program(program, self._levels("record", "pull"), compiled, entry, self.model)
        return one if passes == 1 else self._more(one, program, passes, compiled)

    def _more(self, one: Estimate, program: Program, passes: int, compiled: bool) -> Estimate:
        """More pulls over the same tape; compiled code goes forward every time."""
        if compiled:
            return one.times(passes)
        back = [(i, s) for i, s in self.model.priced(program, held=True) if i.backward]
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

    def gradient(self, compiled: bool = False) -> Estimate:
        """`grad` of a scalar f."""
        program = self._program("grad", lambda: record(grad(self.f, self.argnums), self.args, self.kwargs, False))
        return of_program(program, self._levels("record", "pull"), compiled, self.model.entry["grad"], self.model)

    def jacobian(self, mode: str, chunk: int | None = None, compiled: bool = False) -> Estimate:
        """The whole Jacobian as `jacfwd` (mode "forward") or `jacrev` ("reverse") makes it, chunk by chunk."""
        n, m = self.n, self.m
        directions = n if mode == "forward" else m
        k = min(directions, chunk or chunk_for(directions, max(n, m, 1))) or 1
        passes = -(-directions // k)
        one = self.forward(k, passes, compiled) if mode == "forward" else self.reverse(k, passes, compiled)
        made = n * m * 8
        extra = self._assembly(made, directions * (n if mode == "forward" else m) * 8, mode, passes)
        entry = "jacfwd" if mode == "forward" else "jacrev"
        spent = ("jvp",) if mode == "forward" else ("vjp", "pull")
        beside = 0.0 if compiled else self.model.entry[entry] - sum(self.model.entry[name] for name in spent)
        return replace(
            one,
            seconds=one.seconds + extra + beside,
            first_call_seconds=one.first_call_seconds + extra + beside,
            peak_bytes=one.peak_bytes + k * max(n if mode == "forward" else m, 0) * 8 + (made if passes > 1 else 0),
        )

    def _assembly(self, made: int, seeds: int, mode: str, passes: int) -> float:
        """Writing the unit directions; and joining the chunks."""
        byte = self.model.byte(made)
        return byte * seeds / max(1, passes) * passes + (2 * byte * made if passes > 1 else 0.0)

    # Programs ----------------------------------------------------------------------------------------

    def _program(self, name: Any, make: Callable[[], Program]) -> Program:
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def _levels(self, *kinds: str) -> list[Level]:
        return [Level.of(kind, self.plain) for kind in kinds]

    def _pushed(self, k: int) -> Program:
        def run(xs: list[Any], ts: list[Any]) -> Any:
            lead = (k,) if k > 1 else ()
            values, _, tangents = push_forward(self.chosen, self.structure, xs, ts, lead)
            return values, tangents

        return self._program(("push", k), lambda: record(run, (self.leaves, _some(self.leaves, k)), {}, False))

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
