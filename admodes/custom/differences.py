"""Foreign functions: their derivative by differences of their values, of every order, in both modes.

The k-th derivative of f in k directions, ∂ᵏf(x)[t¹, …, tᵏ], is one operation of x and the directions, evaluated by k
nested differences.  It is linear in each direction, and its derivative by x in a direction s is ∂ᵏ⁺¹f(x)[t¹, …, tᵏ, s];
a pull takes all unit directions.  So the operation is closed under both modes.

With rounding unit ε the step is ε^(1/(k + 2)) for central differences, ε^(1/(k + 1)) for one-sided ones, relative to
max(1, |x|); the complex step, Im f(x + ih)/h, has no rounding error, and central differences are taken of it.

Source: Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.directions import cast, gather, inexact
from ..core.dispatch import primitive
from ..core.forward import plus
from ..core.registry import Each, Elementwise, Op

# What difference= may be, and how reports call it.
SCHEMES = {"central": "central differences", "forward": "one-sided differences", "complex": "complex step"}

# Directions of several arguments at once: the place of each and its array.
Direction = Mapping[int, Any]


class Foreign:
    """A function of so many arrays, and nothing else, whose derivatives are taken by differences.

    value, derivative : the rows of f and of its derivatives in directions; row : the one that is called.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str, scheme: str, step: float | None, elementwise: bool, count: int,
        flops: float,
    ) -> None:  # fmt: skip
        self.fn, self.name, self.scheme, self.step, self.flops = fn, name, scheme, step, flops
        self.tried = scheme != "complex"
        self.partials: dict[tuple[int, ...], Op] = {}
        if elementwise:
            self.row: Op = _Elements(self, count)
        else:
            self.row = _Differenced(self, fn, name, lambda *xs: self.fn(*xs))
            self.derivative = _Differenced(self, _directional, f"derivative of {name}", self.along)
            self.derivative.flops = lambda y, *args, moved: self.calls(len(moved)) * flops * _size(y)
            primitive(self.derivative)

    def calls(self, order: int) -> int:
        """How often f runs for one derivative of an order."""
        return 1 << (order - (self.scheme == "complex"))

    # Values -------------------------------------------------------------------------------------------

    def along(self, *args: Any, moved: tuple[tuple[int, ...], ...]) -> Any:
        """∂ᵏf: the arguments are those of f, then for each of k directions its arrays, at the places in `moved`."""
        xs, groups = split(args, moved)
        lead = np.broadcast_shapes(*(_lead(group, xs) for group in groups))
        groups = [{i: np.broadcast_to(t, lead + np.shape(xs[i])) for i, t in group.items()} for group in groups]
        xs = [np.array(x)[()] for x in xs]
        rows = []
        for index in np.ndindex(*lead):
            rows.append(self.nested(xs, [{i: t[index] for i, t in group.items()} for group in groups]))
        if not rows:  # no direction at all
            rows = [[np.zeros(lead + np.shape(y), inexact(y)) for y in self._values(xs)]]
            return tuple(rows[0]) if self.structured else rows[0][0]
        return _stacked(rows, lead, self.structured)

    def each(self, xs: Sequence[Any], places: Sequence[int]) -> Any:
        """A partial derivative of f of element by element, by the arguments at these places, every element at once."""
        xs = [np.array(x)[()] for x in xs]
        sizes = {i: np.maximum(1.0, np.abs(xs[i])).astype(inexact(xs[i])) for i in places}
        (found,) = self.nested(xs, [{i: sizes[i]} for i in places])
        for i in places:
            found = found / sizes[i]
        return found

    def nested(self, xs: Sequence[Any], directions: Sequence[Direction]) -> list[Any]:
        """The derivative in each of the directions, of every array of the result."""
        eps = float(max(np.finfo(inexact(xs[i])).eps for d in directions for i in d))
        k = len(directions)
        if self.scheme == "complex":
            if not self.tried:
                self._analytic(xs, directions[:1])
            return self._differences(xs, directions, self.step or eps ** (1 / (k + 1)), "complex")
        roots = k + 2 if self.scheme == "central" else k + 1
        return self._differences(xs, directions, self.step or eps ** (1 / roots), self.scheme)

    def _differences(self, xs: Sequence[Any], directions: Sequence[Direction], step: float, scheme: str) -> list[Any]:
        if not directions:
            return self._values(xs)
        *inner, direction = directions
        largest = max(
            float(np.max(np.abs(t) / np.maximum(1.0, np.abs(xs[i])), initial=0.0)) for i, t in direction.items()
        )
        if not 0 < largest < math.inf:
            return [y * largest if largest else np.zeros(np.shape(y), inexact(y)) for y in self._values(xs)]
        if scheme == "complex" and not inner:
            h = 1e-30 / largest
            return [np.imag(y) / h for y in self._values(_moved(xs, direction, 1j * h))]
        h = step / largest

        def at(h: float) -> list[Any]:
            return self._differences(_moved(xs, direction, h), inner, step, scheme)

        if scheme == "forward":
            return [(a - b) / h for a, b in zip(at(h), at(0.0), strict=True)]
        return [(a - b) / (2 * h) for a, b in zip(at(h), at(-h), strict=True)]

    structured = False  # whether the result of f has several arrays

    def _values(self, xs: Sequence[Any]) -> list[Any]:
        try:
            y = self.fn(*xs)
        except TypeError as error:
            if any(np.iscomplexobj(x) for x in xs):
                error.add_note(
                    f'custom_op {self.name}: with difference="complex" the function is called with complex arguments; '
                    'where it takes none, difference="central" is the way.'
                )
            raise
        self.structured = isinstance(y, tuple)
        return [part * 1.0 for part in y] if isinstance(y, tuple) else [y * 1.0]

    def _analytic(self, xs: Sequence[Any], directions: Sequence[Direction]) -> None:
        """Raise where the complex step is far from central differences: f is not analytic (abs, real, a comparison)."""
        eps = float(max(np.finfo(inexact(xs[i])).eps for d in directions for i in d))
        pairs = zip(
            self._differences(xs, directions, 0.0, "complex"),
            self._differences(xs, directions, eps ** (1 / 3), "central"),
            self._values(xs),
            strict=True,
        )
        for ours, central, y in pairs:
            scale = float(np.max(np.abs(central), initial=0.0)), float(np.max(np.abs(y), initial=0.0))
            apart = float(np.max(np.abs(ours - central), initial=0.0))
            if np.isfinite(scale).all() and apart > 100 * eps ** (1 / 3) * scale[0] + eps ** (1 / 2) * scale[1]:
                raise ValueError(
                    f"custom_op {self.name}: the complex step is {apart:.2g} from central differences, of size "
                    f"{scale[0]:.2g}: the function drops or changes imaginary parts (abs, real, float, a comparison), "
                    'and is not analytic. Use difference="central".'
                )
        self.tried = True


def _moved(xs: Sequence[Any], direction: Direction, h: complex) -> list[Any]:
    """x + h t, in the precision of x."""
    moved = list(xs)
    for i, t in direction.items():
        y = xs[i] + h * t
        moved[i] = y if isinstance(h, complex) else y.astype(inexact(xs[i]))
    return moved


def split(args: Sequence[Any], moved: tuple[tuple[int, ...], ...]) -> tuple[list[Any], list[dict[int, Any]]]:
    """The arguments of f, and the directions."""
    count = len(args) - sum(map(len, moved))
    rest = iter(args[count:])
    return list(args[:count]), [{i: next(rest) for i in places} for places in moved]


def _lead(group: Direction, xs: Sequence[Any]) -> tuple[int, ...]:
    """The leading axes of directions, which are those of each of their arrays."""
    return np.broadcast_shapes(*(t.shape[: t.ndim - np.ndim(xs[i])] for i, t in group.items()))


def _stacked(rows: Sequence[Sequence[Any]], lead: tuple[int, ...], several: bool) -> Any:
    parts = [np.reshape(np.stack(column), lead + np.shape(column[0]))[()] for column in zip(*rows, strict=True)]
    return tuple(parts) if several else parts[0]


def _size(y: Any) -> int:
    return sum(int(part.size) for part in y) if isinstance(y, tuple) else int(y.size)


def _directional(*args: Any) -> Any:
    """The name under which programs show a derivative by differences."""


class _Differenced(Op):
    """f, or its derivative in given directions; the rules are the same."""

    def __init__(self, foreign: Foreign, fn: Callable[..., Any], name: str, evaluate: Callable[..., Any]) -> None:
        super().__init__(fn, name=name, arrays=None, evaluate=evaluate, flops=foreign.flops)
        self.foreign = foreign
        self.params = frozenset({"moved"})
        self.approximate = SCHEMES[foreign.scheme]
        self.pushes, self.pulls = Each(), Each(self.pulled)
        self.push_all = self.pushed

    def _at(self, args: Sequence[Any], groups: Sequence[Direction]) -> Any:
        moved = tuple(tuple(group) for group in groups)
        return self.foreign.derivative.evaluate(*args, *(t for group in groups for t in group.values()), moved=moved)

    def pushed(self, given: dict[int, Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        xs, groups = split(args, params.get("moved", ()))
        self._real(xs, given)
        base = np.broadcast_shapes(*(_lead(group, xs) for group in groups)) if groups else ()
        total: Any = None
        point = {i: t for i, t in given.items() if i < len(xs)}
        if point:
            point = {i: _aligned(t, np.ndim(xs[i]), 0, len(base)) for i, t in point.items()}
            total = plus(total, self._at(xs, [*groups, point]))
        for j, (group, places) in enumerate(zip(groups, _places(groups, len(xs)), strict=True)):
            ts = {i: given[place] for i, place in zip(group, places, strict=True) if place in given}
            if ts:
                own = len(_lead(group, xs))
                ts = {i: _aligned(t, np.ndim(xs[i]), own, len(base)) for i, t in ts.items()}
                total = plus(total, self._at(xs, [*groups[:j], ts, *groups[j + 1 :]]))
        if isinstance(y, tuple):
            return tuple(cast(t, inexact(part)) for t, part in zip(total, y, strict=True))
        return cast(total, inexact(y))

    def pulled(self, place: int, u: Any, y: Any, *args: Any, moved: tuple[tuple[int, ...], ...] = ()) -> Any:
        """u · ∂f along each unit direction of one argument: of f, or of a direction, in which ∂f is linear."""
        xs, groups = split(args, moved)
        base = np.broadcast_shapes(*(_lead(group, xs) for group in groups)) if groups else ()
        i, j = place, len(groups)
        own: tuple[int, ...] = ()
        for k, (group, places) in enumerate(zip(groups, _places(groups, len(xs)), strict=True)):
            if place in places:
                i, own, j = tuple(group)[places.index(place)], _lead(group, xs), k
        self._real(xs, [i])
        x = xs[i]
        unit = np.reshape(np.eye(int(x.size), dtype=inexact(x)), (int(x.size), *(1,) * len(base), *x.shape))
        jacobian = self._at(xs, [*groups[:j], {i: unit}, *groups[j + 1 :]])
        pairs = zip(u, jacobian, y, strict=True) if isinstance(y, tuple) else [(u, jacobian, y)]
        total: Any = None
        for v, rows, part in pairs:
            lead, depth = v.ndim - part.ndim, part.ndim - len(base)
            terms = np.expand_dims(v, lead) * rows
            if depth:
                terms = np.sum(terms, axis=tuple(range(-depth, 0)))
            total = plus(total, gather(np.moveaxis(terms, lead, -1), (*own, int(x.size)), lead))
        return cast(np.reshape(total, total.shape[:-1] + x.shape), inexact(x))

    def _real(self, xs: Sequence[Any], places: Iterable[int]) -> None:
        for i in places:
            if i < len(xs) and np.result_type(xs[i]).kind == "c":
                raise TypeError(
                    f"custom_op {self.foreign.name}: argument {i} is complex, and difference= is for real ones. Pass "
                    "its real and imaginary part as two arguments, or state a push or pull."
                )


class _Elements(Elementwise):
    """f of element by element, or a partial derivative of it, `orders` telling how often by which argument."""

    def __init__(self, foreign: Foreign, count: int, orders: tuple[int, ...] = ()) -> None:
        self.orders = orders or (0,) * count
        super().__init__(
            foreign.fn if not orders else _directional,
            [self._partial(i) for i in range(count)],
            name=f"derivative of {foreign.name}" if orders else foreign.name,
            evaluate=self.at,
            flops=foreign.flops * (foreign.calls(sum(orders)) if orders else 1),
        )
        self.foreign = foreign
        self.approximate = SCHEMES[foreign.scheme]
        if orders:
            primitive(self)

    def _partial(self, i: int) -> Callable[..., Any]:
        def partial(y: Any, *xs: Any) -> Any:
            if np.result_type(xs[i]).kind == "c":
                raise TypeError(
                    f"custom_op {self.foreign.name}: argument {i} is complex, and difference= is for real ones."
                )
            orders = tuple(n + (k == i) for k, n in enumerate(self.orders))
            partials = self.foreign.partials
            if orders not in partials:
                partials[orders] = _Elements(self.foreign, len(xs), orders)
            return partials[orders].evaluate(*xs)

        return partial

    def at(self, *xs: Any) -> Any:
        if not any(self.orders):
            return self.foreign.fn(*xs)
        places = [i for i, n in enumerate(self.orders) for _ in range(n)]
        return self.foreign.each(xs, places)


def _aligned(t: Any, ndim: int, own: int, width: int) -> Any:
    """t of shape (*lead, *own leading axes, *x.shape), its own leading axes filled up with ones to `width`."""
    if own == width:
        return t
    head = t.ndim - ndim - own
    return np.reshape(t, t.shape[:head] + (1,) * (width - own) + t.shape[head:])


def _places(groups: Sequence[Direction], first: int) -> list[range]:
    """The places of the arrays of each direction among the arguments."""
    found = []
    for group in groups:
        found.append(range(first, first + len(group)))
        first += len(group)
    return found
