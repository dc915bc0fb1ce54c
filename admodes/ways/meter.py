"""A first estimate of the dense ways to a Jacobian, from one run of f whose operations are priced by the cost model:
what tells whether the programs of every way, and a search for a pattern, can pay at all."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..core import pytree
from ..core.creation import run
from ..core.dispatch import Trace, canonical
from ..core.registry import OPS, Contraction, Elementwise, Op, Via
from ..core.tracing import Tracer
from ..core.views import ground
from ..program.recording import Instruction, Value, mapped
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.directions import chunk_for
from ..transforms.recording import complex_of_real
from .model import PAGED, CostModel, Level, Passage, current
from .work import INDEXING, SCATTER, Step, Touch, arrays_of, derives, is_product, key, lane, units

# What a rule that factors is made of, in products of its result's size; derived backwards, each goes over a tape.
PRODUCTS_OF_A_FACTORISATION = 30
# Of modes whose estimates are within this factor neither is known to be the cheaper one.
ABOUT = 1.15
# Arrays that are alive at a time.
ALIVE = 4
# Elements of all directions in the largest array, up to which the calls of a pass outweigh its arithmetic.
SMALL = 2048
# Passes, beside which a single one of the other mode is the cheaper way.
MANY = 16
# The five traces, and what is read off them, that exact counts take.
SECONDS_TO_COUNT_AN_OPERATION = 1e-3


@dataclass(frozen=True)
class FirstEstimate:
    """Seconds of the dense ways that there are, and those that counting them exactly would take."""

    seconds: dict[str, float]
    counting: float

    @property
    def choice(self) -> str:
        """The cheaper dense mode; of two about as cheap forward mode, which holds on to less."""
        return min(self.seconds, key=lambda mode: self.seconds[mode] * (ABOUT if mode == "reverse" else 1))

    @property
    def suffices(self) -> bool:
        """Whether the Jacobian is had before other ways to it are counted."""
        return self.seconds[self.choice] <= self.counting


@dataclass(frozen=True)
class FirstRun:
    """f run once, its operations counted. missing: the dense mode that there is not, for f of complex numbers."""

    meter: Meter
    n: int
    m: int
    chunk: int | None
    missing: str

    @property
    def plain(self) -> str:
        """The mode that is known to be the cheapest way without a look at prices, which takes longer than a small
        Jacobian; "" where none is: forward mode, which has fewer calls, where these are what a pass takes, and one pass
        beside many."""
        if self.missing:
            return ""
        if self.n <= (self.chunk or self.n) and self.n * self.meter.largest <= SMALL:
            return "forward"
        if min(self.n, self.m) == 1 and max(self.n, self.m) >= MANY:
            return "forward" if self.n == 1 else "reverse"
        return ""

    @property
    def choice(self) -> str:
        """The dense mode to take; "" where counting other ways exactly takes less than either."""
        if self.plain:
            return self.plain
        estimate = self.estimate()
        return estimate.choice if estimate.suffices else ""

    def estimate(self) -> FirstEstimate:
        """The operations priced."""
        meter, n, m, model = self.meter, self.n, self.m, current()
        pushed, taped, pulled = (model.overhead(meter.through(kind)) for kind in ("forward", "record", "pull"))

        def sweep(directions: int, rule: Rule, beside: float) -> float:
            """So many directions; beside: seconds of a pass for what is not in its rules."""
            k = max(1, min(directions, self.chunk or chunk_for(directions, max(n, m, 1))))
            once, each = meter.rules(model, rule, k)
            return -(-directions // k) * (once + beside) + directions * each

        own = meter.own(model)
        seconds = {
            "forward": sweep(n, _pushes, own + pushed) + model.entry["jacfwd"],
            "reverse": sweep(m, _pulls, pulled) + own + taped + model.entry["jacrev"],
        }
        seconds.pop(self.missing, None)
        return FirstEstimate(seconds, meter.operations * SECONDS_TO_COUNT_AN_OPERATION)


def first_run(
    f: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chunk: int | None = None,
    holomorphic: bool = False,
) -> FirstRun:
    """f run once, its operations counted."""
    function, chosen, structure = chosen_leaves(f, argnums, args, kwargs)
    meter, results = run(function, _metered, function, chosen, structure)
    missing = ""
    if any(x.dtype.kind == "c" for x in chosen) and not holomorphic:
        missing = "forward"
    elif complex_of_real(chosen, results):
        missing = "reverse"
    return FirstRun(meter, sum(int(x.size) for x in chosen), sum(int(y.size) for y in results), chunk, missing)


def _metered(function: Callable[..., Any], chosen: list[Any], structure: Any) -> tuple[Meter, list[Any]]:
    meter = Meter()
    try:
        given = [Metered(ground(x), meter) for x in chosen]
        out = pytree.flatten(function(*pytree.unflatten(structure, given)))[0]
        return meter, [pytree.result(y, "the result") for y in out]
    finally:
        meter.closed = True


class Rules(NamedTuple):
    """Seconds of the rules of a pass: those of calls, once for all directions, and those of the elements of each."""

    once: float
    each: float

    @classmethod
    def of(cls, model: CostModel, i: Instruction, k: int) -> Rules:
        """Of an operation done to each of k directions."""
        call = model.call(i)
        return cls(call, _price(model, i, k) - call)

    def plus(self, other: Rules, times: float = 1) -> Rules:
        return Rules(self.once + times * other.once, self.each + times * other.each)

    def times(self, n: float) -> Rules:
        return Rules(n * self.once, n * self.each)


Rule = Callable[[CostModel, "Met", int], Rules]


class Met:
    """An operation that was met, how many of its arguments were differentiated, and how many times."""

    def __init__(self, call: tuple[Op, list[Any], dict[str, Any], Any], traced: int) -> None:
        self._call = call
        self.traced = traced
        self.times = 0

    @cached_property
    def instruction(self) -> Instruction:
        return _written(*self._call)

    def settle(self) -> None:
        """Let go of the arrays that it was met with."""
        _ = self.instruction
        del self._call


class Metered(Tracer):
    """A value on its way through f."""

    __slots__ = ()

    def __init__(self, value: Any, transform: Meter) -> None:
        self.value = value
        self.transform = transform


class Meter(Trace):
    """The transform that evaluates and counts, and is seen by no transform around it.

    met : the operations, by what their price goes by: the row and the shapes.
    largest : elements of the largest array among them.
    """

    __slots__ = ("largest", "met")

    def __init__(self) -> None:
        super().__init__()
        self.met: dict[Any, Met] = {}
        self.largest = 1

    @property
    def operations(self) -> int:
        return sum(each.times for each in self.met.values())

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        arrays = len(args) if op.arrays is None else op.arrays
        by = sum(1 for i, a in enumerate(args) if type(a) is Metered and i < len(op.pushes) and op.pushes[i])
        values = [ground(canonical(a)) if i < arrays else mapped(a, ground) for i, a in enumerate(args)]
        params = mapped(params, ground) if params else params
        y = op.evaluate(*values, **params)
        if not by:
            return y
        self._meet((op, by, _extents(y), *map(_extents, values)), op, values, params, y)
        return self._metered(y)

    def unary(self, op: Op, x: Any) -> Any:
        """`process` in as little time as a pass takes: programs of scalars consist of these."""
        value = ground(x.value)
        y = op.evaluate(value)
        if not op.pushes[0]:
            return y
        self._meet((op, 1, y.shape, value.shape), op, [value], {}, y)
        return Metered(y, self)

    def binary(self, op: Op, a: Any, b: Any) -> Any:
        by = 0
        if type(a) is Metered:
            a, by = ground(a.value), 1 if op.pushes[0] else 0
        else:
            a = ground(canonical(a))
        if type(b) is Metered:
            b, by = ground(b.value), by + 1 if op.pushes[1] else by
        else:
            b = ground(canonical(b))
        y = op.evaluate(a, b)
        if not by:
            return y
        self._meet((op, by, y.shape, _extents(a), _extents(b)), op, [a, b], {}, y)
        return Metered(y, self)

    def _meet(self, kind: Any, op: Op, values: list[Any], params: dict[str, Any], y: Any) -> None:
        known = self.met.get(kind)
        if known is None:
            known = self.met[kind] = Met((op, values, params, y), kind[1])
            largest = max([x.size for x in (y, *values) if isinstance(x, np.ndarray)], default=1)
            self.largest = max(self.largest, largest)
            if largest > SMALL:
                known.settle()
        known.times += 1

    def through(self, kind: str) -> Level:
        """A transform through which all of them go."""
        met = [(each.instruction, each.times) for each in self.met.values()]
        return Level(kind, tuple((Passage(key(i), lane(i), derives(i.op)), n) for i, n in met))

    def own(self, model: CostModel) -> float:
        """Seconds of f itself."""
        return sum(each.times * _price(model, each.instruction, 1) for each in self.met.values())

    def rules(self, model: CostModel, rule: Rule, k: int) -> Rules:
        """Those of a pass of k directions at once."""
        found = Rules(0.0, 0.0)
        for each in self.met.values():
            found = found.plus(rule(model, each, k), each.times)
        largest = max((x.nbytes for each in self.met.values() for x in each.instruction.outs), default=0)
        anew = model.anew(ALIVE * largest, k * largest) if k * largest > PAGED else 0.0
        return found.plus(Rules(0.0, anew))

    def strip(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return op.evaluate(*mapped(args, ground), **mapped(params, ground))

    def constant(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self._metered(self.strip(op, args, params))

    def _metered(self, y: Any) -> Any:
        if isinstance(y, tuple):
            parts = [Metered(part, self) for part in y]
            return y._make(parts) if hasattr(y, "_make") else tuple(parts)
        return Metered(y, self)


def _touched(i: Instruction) -> list[Any]:
    return [] if i.view else [*arrays_of(i), *i.outs]


def _price(model: CostModel, i: Instruction, k: int) -> float:
    """Seconds of an operation where its arrays come from k times as many bytes as it touches, some alive beside."""
    arrays = _touched(i)
    distance = ALIVE * k * sum(x.nbytes for x in arrays)
    return model.instruction(Step(i, [Touch(x.nbytes, distance) for x in arrays], 0))


def _pushes(model: CostModel, met: Met, k: int) -> Rules:
    """The push of an operation: of a linear one itself, of an elementwise one a partial and products with it."""
    i = met.instruction
    if isinstance(i.op, Elementwise | Via):
        return _products(model, met, k)
    if is_product(i.op):  # of the directions together with the other factor
        return Rules(model.call(i), model.product[1] * units(i)).times(met.traced)
    return Rules.of(model, i, k).times(met.traced if isinstance(i.op, Contraction) else 1)


def _pulls(model: CostModel, met: Met, k: int) -> Rules:
    """The pull: of elements their cotangents among zeros, added to what there is; else what the push takes, and where
    it is derived what the push takes on a tape and back."""
    i = met.instruction
    if i.op in INDEXING:
        source = i.source
        scattered = Instruction(SCATTER, (i.out, (), np.shape(source), 1), {}, source)
        return Rules.of(model, scattered, k).plus(_product(model, source, k))
    push = _pushes(model, met, k)
    if not derives(i.op):
        return push
    taped = sum(statistics.fmean(model.transforms[kind]) for kind in ("record", "pull"))
    return push.times(3).plus(Rules(PRODUCTS_OF_A_FACTORISATION * taped, 0.0))


def _products(model: CostModel, met: Met, k: int) -> Rules:
    """One of a direction with each partial, and their sum; the partials themselves are as many, made once."""
    one = _product(model, max(met.instruction.outs, key=lambda y: y.size), k)
    if isinstance(met.instruction.op, Via):
        return one.times(PRODUCTS_OF_A_FACTORISATION)
    return Rules((3 * met.traced - 1) * one.once + met.traced * one.each, (2 * met.traced - 1) * one.each)


def _product(model: CostModel, y: Any, k: int) -> Rules:
    """Of an array and another of its shape."""
    return Rules.of(model, Instruction(OPS[np.multiply], (y, y), {}, y), k)


def _extents(x: Any) -> Any:
    """What a price goes by in an argument or a result."""
    return x.shape if isinstance(x, np.ndarray) else len(x) if type(x) is tuple or type(x) is list else type(x)


def _written(op: Op, values: list[Any], params: dict[str, Any], y: Any) -> Instruction:
    """An operation without its numbers."""
    out = tuple(map(_value, y)) if isinstance(y, tuple) else _value(y)
    source = values[0] if values else None
    view = isinstance(y, np.ndarray) and isinstance(source, np.ndarray) and np.may_share_memory(y, source)
    return Instruction(op, tuple(mapped(x, _value) for x in values), mapped(params, _value), out, view=view)


def _value(x: Any) -> Any:
    """The shape and dtype of an array or a number of NumPy's; anything else as it is."""
    return Value(x.shape, x.dtype) if isinstance(x, np.ndarray | np.generic) else x
