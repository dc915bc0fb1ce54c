"""The walk that the page and the text tell: these compute nothing, so every number and sentence comes from here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from ..core import pytree
from ..core.zeros import strong_product
from ..program.program import Program, record
from ..program.recording import Value
from ..program.straightline import as_input, is_input
from ..transforms.dense import jvp, vjp
from ..transforms.directions import direction, unit_directions
from .listing import names
from .places import Place, Placing, Text, texts, variables
from .sweeps import forward, numbers_of, result_leaves, reverse, unit
from .walk import Graph, Mode, forward_mode, reverse_mode, shown_passes

TARGETS = ("gradient", "jvp", "vjp", "jacobian")

# Numbers that a page holds: about half of a megabyte.
MOST_NUMBERS = 60_000
# Whole Jacobians of at most so many entries are shown beside the walk.
MOST_ENTRIES = 1 << 14


@dataclass(frozen=True)
class Problem:
    """A function at a point, as a program, and what is asked of it."""

    name: str
    target: str
    program: Program
    inputs: list[Any]
    active: list[int]  # the inputs to differentiate by
    results: list[Any]
    places: dict[Value, Place]

    @property
    def xs(self) -> list[Any]:
        return [self.inputs[i] for i in self.active]

    @property
    def n(self) -> int:
        return sum(int(np.size(x)) for x in self.xs)

    @property
    def m(self) -> int:
        return sum(int(np.size(y)) for y in self.results)

    def __call__(self, *xs: Any) -> list[Any]:
        """The function of the active inputs alone."""
        given = dict(zip(self.program.inputs, self.inputs, strict=True))
        given.update((self.program.inputs[i], x) for i, x in zip(self.active, xs, strict=True))
        known = self.program.values(given)
        return [known[v] if isinstance(v, Value) else v for v in self.program.outputs]


def problem(f: Callable[..., Any], args: tuple[Any, ...], target: str) -> Problem:
    """Record f with the places of the user's code; raise where the target makes no sense."""
    if target not in TARGETS:
        raise ValueError(f"explain: target={target!r} is not one of {', '.join(TARGETS)}")
    made: list[Placing] = []

    def recorder(strict: bool, captured: Any) -> Placing:
        made.append(Placing(strict, captured))
        return made[-1]

    program = record(f, args, {}, strict=False, recorder=recorder)
    inputs = [as_input(x) for x in pytree.flatten(args)[0] if is_input(x)]
    active = [i for i, x in enumerate(inputs) if x.dtype.kind == "f" and x.size]
    if any(x.dtype.kind == "c" for x in inputs):
        raise TypeError(
            "explain: an argument is complex, and the walk shows real functions. Pass real and imaginary part as two "
            "arguments, and put them together in the function: z = x + 1j * y."
        )
    if not active:
        raise TypeError(
            f"explain: no argument of {program.name} is a float or an array of floats, so there is nothing to "
            "differentiate by. Write 3.0 for 3, and x.astype(float) for an array of integers."
        )
    with np.errstate(all="ignore"):
        results = result_leaves(program, numbers_of(program, inputs))
    if any(y.dtype.kind == "c" for y in results):
        raise TypeError("explain: the result is complex; return np.real(z), np.imag(z) or np.abs(z) ** 2.")
    if not sum(y.size for y in results):
        raise ValueError("explain: the function returns no number")
    if target == "gradient" and sum(y.size for y in results) != 1:
        raise ValueError(
            f"explain: {program.name} returns {sum(y.size for y in results)} numbers, and a gradient is of one. Reduce "
            'the result to a scalar (y.sum()), or write target="jacobian", or "vjp" with one cotangent.'
        )
    return Problem(program.name, target, program, inputs, active, results, made[-1].places)


def _direction(p: Problem, given: Any, args: tuple[Any, ...]) -> list[Any]:
    """The tangents of a jvp, or the cotangents of a vjp, by leaf: ones unless given."""
    like, what, owner = (p.xs, "tangent", "argument") if p.target == "jvp" else (p.results, "cotangent", "result")
    if given is None:
        return [np.ones_like(x, dtype=x.dtype if x.dtype.kind == "f" else float) for x in like]
    found, structure = pytree.flatten(given)
    if p.target == "jvp":
        whole, wanted = pytree.flatten(args)
        kept = [i for i, x in enumerate(whole) if is_input(x) and as_input(x).dtype.kind == "f" and np.size(x)]
        found = [found[i] for i in kept] if structure == wanted else []
    elif structure != p.program.out_structure:
        found = []
    checked = [direction(x, t, what, owner) for x, t in zip(like, found, strict=False)]
    if len(found) != len(like) or any(np.shape(t) != np.shape(x) for x, t in zip(like, checked, strict=True)):
        of = "a tuple, one tangent an argument" if p.target == "jvp" else "a cotangent of the structure of the result"
        raise ValueError(f"explain: direction must be {of}, each with the shape of its {owner}: {_shapes(like)}")
    return checked


def _shapes(xs: Sequence[Any]) -> str:
    return ", ".join(str(np.shape(x)) for x in xs)


# ---------------------------------------------------------------------------------------------------
# Telling
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """All that is told: the problem, the graph, both modes, and their texts."""

    problem: Problem
    graph: Graph
    forward: Mode
    reverse: Mode
    names: dict[Value, str]
    sources: dict[CodeType, Text]
    by_forward: list[Any] | None
    by_reverse: list[Any] | None
    seeds: list[Any]  # of a jvp or vjp
    variables: dict[Value, str]  # the values that the user's code gives a name

    @property
    def title(self) -> str:
        p = self.problem
        return f"{p.target} of {p.name}: n = {_count(p.n, 'input')}, m = {_count(p.m, 'result')}"

    @property
    def sentence(self) -> str:
        """What follows from the counts."""
        p, f, r = self.problem, self.forward, self.reverse
        first = (
            f"For n = {_count(p.n, 'input')} and m = {_count(p.m, 'result')} the {p.target} takes forward mode "
            f"{_count(f.passes, 'pass', 'passes')}, {f.multiply_adds:,.0f} multiply-adds in all, and reverse mode "
            f"{_count(r.passes, 'pass', 'passes')}, {r.multiply_adds:,.0f} multiply-adds"
        )
        memory = f"at most {f.peak:,} bytes are alive in forward mode, {r.peak:,} in reverse mode"
        if f.multiply_adds == r.multiply_adds:
            return f"{first}: as many; {memory}."
        fewer, more, which = (r, f, "reverse") if r.multiply_adds < f.multiply_adds else (f, r, "forward")
        if not fewer.multiply_adds:
            return f"{first}: {which} mode needs none; {memory}."
        times = more.multiply_adds / fewer.multiply_adds
        return f"{first}: {times:,.{0 if times >= 10 else 1}f} times fewer by {which} mode; {memory}."


def tell(f: Callable[..., Any], args: tuple[Any, ...], target: str, given: Any) -> Story:
    """Both modes on f at args."""
    p = problem(f, args, target)
    with np.errstate(all="ignore"):  # what NumPy has to say of f, it said when f ran
        return _told(p, args, given)


def _told(p: Problem, args: tuple[Any, ...], given: Any) -> Story:
    target = p.target
    if given is not None and target not in ("jvp", "vjp"):
        raise ValueError(f'explain: a direction belongs to target="jvp" or "vjp"; a {target} takes unit ones')
    seeds = _direction(p, given, args) if target in ("jvp", "vjp") else []
    one_tangent, one_cotangent = target == "jvp", target == "vjp"
    tangents = seeds if one_tangent else unit(p.xs, 0)
    cotangents = seeds if one_cotangent else unit(p.results, 0)
    pushed = forward(p.program, p.inputs, p.active, tangents)
    pulled = reverse(p.program, p.inputs, p.active, cotangents)
    known = numbers_of(p.program, p.inputs)
    graph = Graph(p.program, known, set(pushed.carried))
    sources = texts(p.places)
    variables_ = variables(p.places, sources)
    called = names(p.program, variables_)
    n_passes, m_passes = (1 if one_tangent else p.n), (1 if one_cotangent else p.m)
    forth = [
        graph.forward(_seed_of(p, k, one_tangent, called), pushed.run(seeds if one_tangent else unit(p.xs, k)))
        for k in range(shown_passes(n_passes, graph))
    ]
    back = []
    for k in range(shown_passes(m_passes, graph)):
        us = seeds if one_cotangent else unit(p.results, k)
        given_results = _given(p, us)
        back.append(graph.reverse(_result_seed(p, k, one_cotangent), pulled.run(us), given_results))
    by_forward, by_reverse = _results(p, seeds)
    return Story(
        p, graph, forward_mode(graph, pushed, n_passes, forth), reverse_mode(graph, pulled, m_passes, back),
        called, sources, by_forward, by_reverse, seeds, variables_,
    )  # fmt: skip


def _given(p: Problem, us: Sequence[Any]) -> dict[Value, Any]:
    """What the cotangents give the values that are results, several places of one added up."""
    found: dict[Value, Any] = {}
    for v, u in zip(p.program.outputs, us, strict=True):
        if isinstance(v, Value):
            found[v] = found[v] + u if v in found else u
    return found


def _seed_of(p: Problem, k: int, one: bool, called: dict[Value, str]) -> str:
    """The direction of a pass in words: an input's name, with its index."""
    if one:
        return "the given tangent"
    for i, x in zip(p.active, p.xs, strict=True):
        if k < x.size:
            return called[p.program.inputs[i]] + _indexed(x, k)
        k -= x.size
    raise AssertionError("there are as many passes as inputs")


def _result_seed(p: Problem, k: int, one: bool) -> str:
    if one:
        return "the given cotangent"
    for i, y in enumerate(p.results):
        if k < y.size:
            return (f"result {i}" if len(p.results) > 1 else "the result") + _indexed(y, k)
        k -= y.size
    raise AssertionError("there are as many passes as results")


def _indexed(x: Any, k: int) -> str:
    return f"[{', '.join(map(str, np.unravel_index(k, x.shape)))}]" if x.ndim else ""


def _results(p: Problem, seeds: Sequence[Any]) -> tuple[list[Any] | None, list[Any] | None]:
    """What each mode gives in the end, by the transforms themselves; None where it takes too many passes to be shown.

    Forward mode gives columns of J, reverse mode rows; where one pass is enough it is that pass.
    """
    xs = tuple(p.xs)
    columns, rows = _by_columns(p), _by_rows(p)
    if p.target == "jvp":
        t = _raveled(seeds)
        return list(jvp(p, xs, tuple(seeds))[1]), None if rows is None else _parted(
            strong_product(rows, t).sum(1), p.results
        )
    if p.target in ("vjp", "gradient"):
        us = list(seeds) if p.target == "vjp" else unit(p.results, 0)
        by_reverse = list(vjp(p, *xs)[1](us))
        u = _raveled(us)[:, None]
        return None if columns is None else _parted(strong_product(u, columns).sum(0), p.xs), by_reverse
    return None if columns is None else [columns], None if rows is None else [rows]


def _by_columns(p: Problem) -> Any:
    """The Jacobian of the raveled function by n pushes; None where it is too large."""
    if p.n * p.m > MOST_ENTRIES:
        return None
    pushed = jvp(p, tuple(p.xs), tuple(unit_directions(p.xs, 0, p.n)))[1]
    return np.concatenate([np.reshape(t, (p.n, -1)) for t in pushed], axis=1).T


def _by_rows(p: Problem) -> Any:
    """The same by m pulls."""
    if p.n * p.m > MOST_ENTRIES:
        return None
    pulled = vjp(p, *p.xs)[1](unit_directions([np.asarray(y) for y in p.results], 0, p.m))
    return np.concatenate([np.reshape(u, (p.m, -1)) for u in pulled], axis=1)


def _raveled(parts: Sequence[Any]) -> Any:
    return np.concatenate([np.ravel(part) for part in parts])


def _parted(whole: Any, like: Sequence[Any]) -> list[Any]:
    """A vector as arrays of the shapes of others."""
    ends = np.cumsum([np.size(x) for x in like])[:-1]
    return [part.reshape(np.shape(x))[()] for part, x in zip(np.split(whole, ends), like, strict=True)]


def _count(k: int, one: str, several: str = "") -> str:
    return f"{k:,} {one if k == 1 else several or one + 's'}"
