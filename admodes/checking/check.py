"""The comparisons of `check`, and the directions along which they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..program import cost
from ..transforms import jvp, vjp
from .ladder import TINY, Ladder, complex_step
from .point import Point, flat, point, unflat
from .verdict import AGREES, FAILS, KINK, LEFT_OUT, PARTS, UNCLEAR, UNDEFINED, Check, Finding

FORWARD, REVERSE = "forward", "reverse"
CENTRAL, RIGHT, LEFT, COMPLEX = "central differences", "one-sided, ahead", "one-sided, behind", "complex step"
ADJOINT = "⟨u, J t⟩ of forward"

# Up to so many numbers are each moved alone; of more, so many.
EACH, SOME = 8, 4


def check(f: Callable[..., Any], *args: Any) -> Check:
    """Hold forward and reverse mode of f against each other and against differences of its values; print the result.

    It finds a wrong rule of your own (`custom_op`), and tells why a right derivative looks wrong: a kink, a point where
    there is none, a function with noise.

    Parameters
    ----------
    f : a function in plain NumPy, of arrays or trees of arrays.
    *args : its arguments. Those leaves that are real or complex numbers are differentiated by, in their precision.

    Returns
    -------
    Check : print it; `.ok`, `.findings`, `.rows`, `.raise_()` for tests. Compared are: the values; J t and Jᵀ u with
        central and one-sided differences and, where f is analytic, the complex step, at random directions and numbers
        of the arguments moved alone; ⟨u, J t⟩ = ⟨Jᵀ u, t⟩; directions at once with single ones; and second derivatives
        in four nestings with differences of the first. Steps are chosen number by number of the result where two beside
        each other agree best, which also tells how far the difference is to be trusted.

    Raises
    ------
    TypeError : f is no function; no argument is a float, a complex number or an array of such. What f itself raises;
        what a mode raises is a row.

    Source: CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, "can be used for numerical verification"; Griewank and
    Walther, "Evaluating Derivatives" (2nd ed., 2008), section 3.2, for the adjoint identity.

    >>> import numpy as np
    >>> print(check(lambda x: np.sum(np.exp(x) * x), np.array([0.5, 2.0])).summary)
    <lambda>: 20 comparisons, nothing parts
    >>> from admodes import custom_op
    >>> wrong = custom_op(lambda x: x**3, partial=lambda y, x: 3 * x)
    >>> check(lambda x: np.sum(wrong(x)), np.array([0.5, 2.0])).summary
    '<lambda>: forward parts from central differences at result along x[1]: 6 for 12 (and 4 more)'
    """
    if not callable(f):
        raise TypeError(
            f"check: f is a {type(f).__name__}, not a function; of a list of layers check their composition."
        )
    at = point(f, args)
    remarks = []
    if not np.array_equal(at.y, at.at(at.xs), equal_nan=True):
        remarks.append("f gives other values when it is called again: it draws numbers, or changes what it reads")
    approximate = _approximate(f, args)
    if approximate:
        told = ", ".join(f"{name} by {scheme}" for name, scheme in approximate.items())
        remarks.append(f"not exact, and so held to less: {told}")
    rough = bool(approximate)
    rng = np.random.default_rng(0)
    first = Comparison(at, 1, rng, rough)
    findings = [*first.values(), *first.derivatives()]
    if not any(finding.verdict == FAILS for finding in findings):
        findings += list(second(at, rng, rough))
    return Check(getattr(f, "__name__", type(f).__name__), tuple(findings), tuple(remarks))


def _approximate(f: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, str]:
    """The functions in f whose derivative is by differences; none where f cannot be traced, as the rows will say."""
    try:
        return cost(f, *args).approximate
    except (TypeError, ValueError, RuntimeError):
        return {}


@dataclass
class Probe:
    """A direction t, the numbers of the arguments it moves, and differences along it."""

    at: Point
    t: Any
    moves: str
    alone: bool = False

    @cached_property
    def ladder(self) -> Ladder:
        return Ladder(self.at, self.t)

    @cached_property
    def pushed(self) -> Any:
        return self.at.push(self.t)


class Comparison:
    """The comparisons of one order of derivatives at one point."""

    def __init__(self, at: Point, order: int, rng: Any, rough: bool) -> None:
        self.at, self.order, self.rng = at, order, rng
        eps = at.eps
        # Relative differences that are let pass: of differences, beside what they tell of themselves; of two modes; and
        # those that would tell nothing.
        self.rtol, self.exact = (1e-4 * 10**order, 1e-6 * 30**order) if rough else (10 * eps**0.5, 20 * eps**0.6)
        self.useless = 1e-2 if eps < 1e-10 and not rough else 0.2
        self.probes = list(_probes(at, rng) if order == 1 else _few(at, rng)) if at.n else []

    # The parts -----------------------------------------------------------------------------------------

    def values(self) -> Iterator[Finding]:
        """The values of both modes against that of f."""
        forward, reverse = Finding(0, "value, forward", "f itself"), Finding(0, "value, reverse", "f itself")
        yield self._tried(forward, lambda row: self._alike(row, jvp(self.at.g, self.at.xs, self.at.xs)[0]))
        yield self._tried(reverse, lambda row: self._alike(row, vjp(self.at.g, *self.at.xs)[0]))

    def _alike(self, row: Finding, found: Any) -> Finding:
        ours, y = flat(found), self.at.y
        if ours.shape != y.shape:
            return replace(row, verdict=PARTS, note=f"{ours.size} numbers for {y.size}")
        with np.errstate(all="ignore"):
            off = np.where((ours == y) | (np.isnan(ours) & np.isnan(y)), 0.0, np.abs(ours - y))
        allowed = self.exact * np.abs(y) + TINY
        return self._worst(row, off, np.where(np.isfinite(y), allowed, 0.0), ours, y, self.at.result_label)

    def derivatives(self, forward: str = FORWARD, reverse: str = REVERSE) -> Iterator[Finding]:
        """The derivatives of both modes against differences, and against each other."""
        if not self.at.n:
            return
        pushed = self._failure(forward, lambda: [probe.pushed for probe in self.probes])
        pulled = self._failure(reverse, lambda: self.at.pull(np.ones(self.at.y.size, self.at.y.dtype)))
        for failure in (pushed, pulled):
            if failure:
                yield failure
        if not pushed:
            for against in (CENTRAL, RIGHT, LEFT) if self.order == 1 else (CENTRAL,):
                yield self._over_probes(Finding(self.order, forward, against), self._against_differences)
            if self.order == 1:
                yield self._tried(Finding(1, forward, COMPLEX), self._against_complex_step)
        if not pulled:
            yield self._over_probes(Finding(self.order, reverse, CENTRAL), self._against_slopes)
        if not pushed and not pulled:
            yield self._over_probes(Finding(self.order, reverse, ADJOINT), self._against_forward)
        if not pushed:
            yield self._tried(Finding(self.order, f"{forward}, K at once", "one by one"), self._pushes_at_once)
        if not pulled:
            yield self._tried(Finding(self.order, f"{reverse}, K at once", "one by one"), self._pulls_at_once)

    def _failure(self, way: str, run: Callable[[], Any]) -> Finding | None:
        try:
            run()
        except Exception as error:
            told = f"{type(error).__name__}: {error}".partition("\n")[0]
            return Finding(self.order, way, CENTRAL, FAILS, note=told)
        return None

    def _tried(self, row: Finding, compare: Callable[[Finding], Finding]) -> Finding:
        """A comparison; an error in it is one that a wrong rule raises."""
        try:
            return compare(row)
        except Exception as error:
            return replace(row, verdict=FAILS, note=f"{type(error).__name__}: {error}".partition("\n")[0])

    def _over_probes(self, row: Finding, compare: Callable[[Finding, Probe], Finding]) -> Finding:
        """The worst of a comparison over the probes."""
        found = [self._tried(row, partial(_swapped, compare, probe)) for probe in self.probes]
        order = (AGREES, LEFT_OUT, UNDEFINED, UNCLEAR, KINK, PARTS, FAILS)
        return max(found, key=lambda finding: (order.index(finding.verdict), _excess(finding)))

    # Against differences ---------------------------------------------------------------------------------

    def _against_differences(self, row: Finding, probe: Probe) -> Finding:
        """J t against differences along t, number by number of the result."""
        judged = self._judged(probe, row.against)
        if PARTS in judged.kinds and not probe.alone:
            k = int(np.argmax(np.where(judged.kinds == PARTS, judged.off / judged.allowed, -1)))
            probe = _narrowed(probe, lambda part: self._judged(part, row.against).kinds[k] == PARTS)
            judged = self._judged(probe, row.against)
        return judged.finding(row, probe)

    def _judged(self, probe: Probe, against: str) -> Judged:
        ours, ladder = probe.pushed, probe.ladder
        if ours.shape != self.at.y.shape:
            raise ValueError(f"the tangent has {ours.size} numbers, the result {self.at.y.size}")
        judged = self._judge(ladder, ours, against)
        if np.any((judged.kinds == PARTS) | (judged.kinds == UNCLEAR)):
            ladder.widen()
            judged = self._judge(ladder, ours, against)
        return judged

    def _judge(self, ladder: Ladder, ours: Any, against: str) -> Judged:
        estimate = {CENTRAL: ladder.central, RIGHT: ladder.right, LEFT: ladder.left}[against]
        right, left = ladder.right, ladder.left
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(ours), np.abs(estimate.value))
            size = np.where(np.isfinite(size), size, np.abs(estimate.value))
            floor = ladder.floor
            trust = self.rtol if against == CENTRAL else 1e2 * self.rtol
            allowed = 10 * estimate.doubt + trust * size + floor
            far = (1e-2 if against == CENTRAL else 0.1) * ladder.reach  # of a derivative that is zero here
            off = np.abs(ours - estimate.value)
            off, allowed = self._at_some_step(ladder, ours, size, floor, off, allowed)
            kinds = np.where(off <= allowed, AGREES, PARTS).astype(object)
            kinds[(kinds == AGREES) & (allowed > self.useless * np.maximum(size, far) + 1e3 * floor)] = UNCLEAR
            kinds[(kinds == PARTS) & ladder.is_staircase & (estimate.value == 0)] = UNCLEAR
            gap = np.abs(right.value - left.value)
            bend = 10 * (right.doubt + left.doubt) + 1e-3 * np.maximum(np.abs(right.value), np.abs(left.value)) + floor
            between = np.abs(ours - right.value) + np.abs(ours - left.value) <= gap * (1 + 1e-3) + bend
            kinds[(gap > bend) & (between | np.isnan(ours))] = KINK
            converges = np.isfinite(estimate.value) & np.isfinite(estimate.doubt)
            kinds[~converges & np.isfinite(ours)] = UNCLEAR
            kinds[~np.isfinite(ours) & ~(converges & (estimate.doubt <= 1e-3 * np.abs(estimate.value) + floor))] = (
                UNDEFINED
            )
            kinds[~np.isfinite(self.at.y)] = UNDEFINED
        return Judged(kinds.astype(str), off, allowed, size, ours, estimate.value, estimate.relative, self.at)

    def _at_some_step(
        self, ladder: Ladder, ours: Any, size: Any, floor: Any, off: Any, allowed: Any
    ) -> tuple[Any, Any]:
        """Where another step whose difference is good to five digits or more agrees, that one counts."""
        values, doubts = ladder.all()
        within = 10 * doubts + self.rtol * size + floor
        apart = np.where(within <= 1e-5 * size + floor, np.abs(values - ours), np.inf)
        best = np.argmin(apart / within, axis=0)[None]
        apart, within = (np.take_along_axis(a, best, axis=0)[0] for a in (apart, within))
        better = (off > allowed) & (apart <= within)
        return np.where(better, apart, off), np.where(better, within, allowed)

    def _weights(self, probe: Probe) -> tuple[Any, Judged]:
        """A cotangent u to which every result that has a derivative contributes alike along t."""
        judged = self._judged(probe, CENTRAL)
        rng = np.random.default_rng(1)
        u = _random(rng, judged.theirs)
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(judged.theirs), 1e-8 * np.max(np.abs(judged.theirs), initial=0.0))
            u = np.where(size > 0, u / np.where(size > 0, size, 1.0), u)
        counts = np.isin(judged.kinds, [AGREES, PARTS]) & np.isfinite(u)
        return np.where(counts, u, 0.0), judged

    def _against_slopes(self, row: Finding, probe: Probe) -> Finding:
        """⟨Jᵀ u, t⟩ against differences of ⟨u, f⟩ along t."""
        u, judged = self._weights(probe)
        theirs = np.where(u != 0, judged.theirs, 0.0)
        allowed = float(np.sum(np.abs(u) * np.where(u != 0, 10 * judged.allowed, 0.0)))
        return self._inner(row, probe, self.at.pull(u), float(np.sum(u * theirs).real), np.abs(u * theirs), allowed)

    def _against_forward(self, row: Finding, probe: Probe) -> Finding:
        """⟨Jᵀ u, t⟩ against ⟨u, J t⟩."""
        u, _ = self._weights(probe)
        ours = np.where(u != 0, probe.pushed, 0.0)
        g, theirs = self.at.pull(u), float(np.sum(u * ours).real)
        if not np.isfinite(theirs):
            return replace(row, verdict=UNDEFINED)
        floor = float(np.sum(np.abs(u) * np.where(u != 0, probe.ladder.floor, 0.0)))
        allowed = self.exact * float(np.sum(np.abs(g * probe.t)) + np.sum(np.abs(u * ours)))
        return self._inner(row, probe, g, theirs, np.abs(u * ours), allowed + floor)

    def _inner(self, row: Finding, probe: Probe, g: Any, theirs: float, terms: Any, allowed: float) -> Finding:
        terms = float(np.sum(terms))
        ours = float(np.sum(g * probe.t).real)
        if not np.any(terms) and not ours:
            return row if np.all(g * probe.t == 0) else replace(row, error=0.0, allowed=allowed)
        if not np.isfinite(ours):
            return replace(row, verdict=UNDEFINED, note="the cotangent is not finite")
        off, size = abs(ours - theirs), max(abs(ours), abs(theirs), terms)
        found = replace(row, error=off / size, allowed=allowed / size)
        return found if off <= allowed else replace(found, verdict=PARTS, ours=ours, theirs=theirs, where=probe.moves)

    # Against the complex step ------------------------------------------------------------------------------

    def _against_complex_step(self, row: Finding) -> Finding:
        if any(np.iscomplexobj(x) for x in self.at.xs) or np.iscomplexobj(self.at.y):
            return replace(row, verdict=LEFT_OUT, note="it is for real arguments and results")
        found = row
        for probe in self.probes:
            try:
                theirs = complex_step(self.at, probe.t)
            except Exception as error:
                told = f"f does not take complex arguments: {type(error).__name__}: {error}".partition("\n")[0]
                return replace(row, verdict=LEFT_OUT, note=told)
            judged = self._judged(probe, CENTRAL)
            with np.errstate(all="ignore"):
                floor = probe.ladder.floor
                analytic = np.abs(theirs - judged.theirs) <= judged.allowed + 1e-5 * np.abs(judged.theirs)
                off, allowed = np.abs(probe.pushed - theirs), self.rtol * np.abs(theirs) + floor
            clear = np.isin(judged.kinds, [AGREES, PARTS])
            if not np.all(analytic[clear]):
                note = "f is not analytic (abs, real, maximum, a comparison of complex numbers)"
                return replace(row, verdict=LEFT_OUT, note=note)
            if np.any(clear):
                labels = [self.at.result_label(int(k)) for k in np.flatnonzero(clear)]
                one = self._worst(
                    row, off[clear], allowed[clear], probe.pushed[clear], theirs[clear], labels.__getitem__
                )
                one = replace(one, where=f"{one.where} along {probe.moves}" if one.where else "")
                found = max(found, one, key=lambda row: (row.is_wrong, _excess(row)))
        return found

    # At once ---------------------------------------------------------------------------------------------

    def _pushes_at_once(self, row: Finding) -> Finding:
        probes = self.probes[:3] if len(self.probes) > 2 else (self.probes * 3)[:3]
        columns = [self.at.split(probe.t) for probe in probes]
        found = jvp(self.at.g, self.at.xs, tuple(map(np.stack, zip(*columns, strict=True))))[1]
        return self._rows_alike(row, found, self.at.values, np.stack([probe.pushed for probe in probes]))

    def _pulls_at_once(self, row: Finding) -> Finding:
        us = [_random(np.random.default_rng(k), self.at.y) for k in range(3)]
        columns = [unflat(u, self.at.values) for u in us]
        found = vjp(self.at.g, *self.at.xs)[1](tuple(map(np.stack, zip(*columns, strict=True))))
        return self._rows_alike(row, found, self.at.xs, np.stack([self.at.pull(u) for u in us]))

    def _rows_alike(self, row: Finding, found: Any, like: Any, singles: Any) -> Finding:
        for part, x in zip(found, like, strict=True):
            if np.shape(part) != (3, *np.shape(x)):
                return replace(row, verdict=PARTS, note=f"shape {np.shape(part)} for three directions of {np.shape(x)}")
        ours = np.concatenate([np.reshape(part, (3, -1)) for part in found], axis=1)
        with np.errstate(all="ignore"):
            off = np.where((ours == singles) | (np.isnan(ours) & np.isnan(singles)), 0.0, np.abs(ours - singles))
        largest = np.max(np.abs(singles[np.isfinite(singles)]), initial=TINY)
        return self._worst(row, off.reshape(-1), np.full(off.size, self.exact * largest), ours.reshape(-1),
                           singles.reshape(-1), lambda k: f"direction {k // ours.shape[1]}")  # fmt: skip

    def _worst(
        self, row: Finding, off: Any, allowed: Any, ours: Any, theirs: Any, label: Callable[[int], str]
    ) -> Finding:
        if not off.size:
            return row
        with np.errstate(all="ignore"):
            ratio = np.where(off == 0, 0.0, off / allowed)
        k = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
        if not off[k]:
            return replace(row, error=0.0)
        size = max(abs(ours[k]), abs(theirs[k])) or 1.0
        found = replace(row, error=float(off[k] / size), allowed=float(allowed[k] / size))
        if ratio[k] <= 1:
            return found
        return replace(found, verdict=PARTS, ours=ours[k], theirs=theirs[k], where=label(k))


def _swapped(compare: Callable[[Finding, Probe], Finding], probe: Probe, row: Finding) -> Finding:
    return compare(row, probe)


def second(at: Point, rng: Any, rough: bool) -> Iterator[Finding]:
    """The derivatives of x ↦ J(x) t and of x ↦ J(x)ᵀ u: all four nestings of two modes."""
    t, u = _random(rng, at.x), _random(rng, at.y)
    for derived, mode in ((at.pushed_along(t), FORWARD), (at.pulled_from(u), REVERSE)):
        yield from Comparison(derived, 2, rng, rough).derivatives(f"{FORWARD} over {mode}", f"{REVERSE} over {mode}")


@dataclass
class Judged:
    """Of every number of the result: how it compares, how far off it is and may be."""

    kinds: Any
    off: Any
    allowed: Any
    size: Any
    ours: Any
    theirs: Any
    steps: Any
    at: Point

    def finding(self, row: Finding, probe: Probe) -> Finding:
        """The worst of them."""
        if not self.kinds.size:
            return row
        with np.errstate(all="ignore"):
            ratio = np.nan_to_num(self.off / self.allowed, nan=0.0, posinf=np.inf)
        for kind in (PARTS, KINK, UNCLEAR, UNDEFINED, AGREES):
            here = self.kinds == kind
            if np.any(here):
                break
        k = int(np.argmax(np.where(here, ratio, -1.0)))
        size = float(self.size[k]) or 1.0
        found = replace(
            row, verdict=kind, step=float(self.steps[k]), error=_finite(self.off[k] / size),
            allowed=_finite(self.allowed[k] / size),
        )  # fmt: skip
        if kind == AGREES:
            return found
        place = f"{self.at.result_label(k)} along {probe.moves}"
        note = {
            KINK: f"the slope ahead is {probe.ladder.right.value[k]:.6g}, behind {probe.ladder.left.value[k]:.6g}; "
            f"the modes give {self.ours[k]:.6g}",
            UNCLEAR: "the differences are good to few digits: noise, a jump, or a scale out of reach",
            UNDEFINED: "there is no finite derivative here",
        }.get(kind, "")
        shown = kind in (PARTS, UNCLEAR)
        return replace(
            found, where=place, ours=self.ours[k] if shown else None, theirs=self.theirs[k] if shown else None,
            note=note if shown else f"at {place} {note}",
        )  # fmt: skip


def _finite(x: Any) -> float | None:
    return float(x) if np.isfinite(x) else None


def _excess(finding: Finding) -> float:
    return (finding.error or 0.0) / (finding.allowed or 1.0)


# ---------------------------------------------------------------------------------------------------
# Directions
# ---------------------------------------------------------------------------------------------------


def _random(rng: Any, like: Any) -> Any:
    """Neither small nor along an axis."""
    t = rng.uniform(0.5, 1.0, like.shape) * rng.choice([-1.0, 1.0], like.shape)
    return t + 1j * rng.uniform(0.5, 1.0, like.shape) if np.iscomplexobj(like) else t


def _few(at: Point, rng: Any) -> Iterator[Probe]:
    yield Probe(at, _random(rng, at.x), "a random direction")


def _probes(at: Point, rng: Any) -> Iterator[Probe]:
    """All numbers of the arguments together, by as much and in proportion, and some alone."""
    sizes = np.abs(at.x)
    used = sizes[(sizes > 0) & np.isfinite(sizes)]
    if at.n > 1:
        yield from _few(at, rng)
        if used.size and not 0.01 < used.min() <= used.max() < 100:
            yield Probe(
                at, _random(rng, at.x) * np.where(sizes > 0, sizes, used.min()), "a direction in proportion to x"
            )
    order = np.argsort(sizes)
    chosen = range(at.n) if at.n <= EACH else sorted({*order[:1], *order[-1:], *rng.choice(at.n, SOME, replace=False)})
    for k in map(int, chosen):
        unit = np.zeros_like(at.x)
        unit[k] = 1 + 0.7j if np.iscomplexobj(at.x) else 1.0
        yield Probe(at, unit, at.label(k), alone=True)
        if used.size and sizes[k] and not 1e-4 < sizes[k] < 1e4:
            yield Probe(at, unit * sizes[k], at.label(k), alone=True)


def _narrowed(probe: Probe, parts: Callable[[Probe], bool]) -> Probe:
    """A probe that parts along fewer of the arguments' numbers, by halves, one if it can be."""
    places = np.flatnonzero(probe.t)
    while len(places) > 1:
        for half in (places[: len(places) // 2], places[len(places) // 2 :]):
            t = np.zeros_like(probe.t)
            t[half] = probe.t[half] if len(half) > 1 or np.iscomplexobj(probe.t) else 1.0
            part = Probe(probe.at, t, probe.at.label(int(half[0])) if len(half) == 1 else probe.moves, len(half) == 1)
            if parts(part):
                probe, places = part, half
                break
        else:
            return probe
    return probe
