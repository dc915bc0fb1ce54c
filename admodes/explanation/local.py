"""The local Jacobian of one operation by one of its arguments: its structure, and the pattern that it makes.

Both are found by asking the operation, never by its name: a tangent and a cotangent of random numbers tell structures
apart with probability one, and the same operation at other points tells what depends on the point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..core.registry import Elementwise
from ..program.recording import Instruction, mapped, trusted
from ..transforms.dense import jvp, vjp
from ..transforms.directions import unit_directions
from .sweeps import carried_out

# Local Jacobians of at most so many entries are shown as matrices.
SHOWN = 4096

NUMBER, ZERO, IDENTITY, DIAGONAL = "number", "zero", "identity", "diagonal"
PERMUTATION, SELECTION, COPY, SUM = "permutation", "selection", "copy", "sum"
OUTER, ROW, COLUMN, MATRIX = "outer product", "row", "column", "matrix"

# Structures of ones and zeros alone, which only move numbers, or add them up.
WITHOUT_NUMBERS = {ZERO, IDENTITY, PERMUTATION, SELECTION, COPY, SUM}


@dataclass(frozen=True)
class Local:
    """An operation as a function of one of its arguments, all else held at the point.

    leaves : the numbers of all that the operation is given, as `recording.leaves` counts them; place : that of the
    argument among them; outs : those of its results that are to be differentiated.
    """

    instruction: Instruction
    leaves: tuple[Any, ...]
    place: int
    outs: tuple[int, ...] = (0,)

    def __call__(self, x: Any) -> list[Any]:
        given = iter([*self.leaves[: self.place], x, *self.leaves[self.place + 1 :]])
        args = mapped(self.instruction.args, lambda _: next(given))
        y = carried_out(self.instruction, args, mapped(self.instruction.params, lambda _: next(given)))
        parts = y if isinstance(y, tuple | list) else (y,)
        return [parts[k] for k in self.outs]

    @property
    def x(self) -> Any:
        return self.leaves[self.place]

    def push(self, t: Any) -> list[Any]:
        """J·t for each result."""
        return list(jvp(self, (self.x,), (t,))[1])

    @cached_property
    def _pullback(self) -> Callable[[Any], Any]:
        return vjp(self, self.x)[1]

    def pull(self, us: Sequence[Any]) -> Any:
        """Jᵀ·u, summed over the results."""
        return self._pullback(list(us))[0]

    def at(self, x: Any) -> Local:
        """The same at another value of its argument."""
        return self.given({self.place: x})

    def given(self, leaves: dict[int, Any]) -> Local:
        """The same at other values of some of what the operation is given."""
        return replace(self, leaves=tuple(leaves.get(k, x) for k, x in enumerate(self.leaves)))


@dataclass(frozen=True)
class Structure:
    """What a local Jacobian of m × n is, and the numbers that say it: a diagonal, a factor, the matrix itself."""

    kind: str
    m: int
    n: int
    numbers: Any = None


def structure(local: Local) -> Structure:
    """The structure of the Jacobian of all results by the argument."""
    x = local.x
    ys = [np.asarray(y) for y in local(x)]
    m, n = sum(y.size for y in ys), int(np.size(x))
    if not m or not n:
        return Structure(ZERO, m, n)
    if m == n == 1:
        return Structure(NUMBER, 1, 1, _first(local.push(np.ones_like(x))))
    rng = np.random.default_rng(0)
    t, u = _random(rng, x), [_random(rng, y) for y in ys]
    Jt = np.concatenate([np.ravel(part) for part in local.push(t)])
    Ju = np.ravel(local.pull(u))
    if not Jt.any() and not Ju.any():
        return Structure(ZERO, m, n)
    if len(ys) == 1 and ys[0].shape == np.shape(x):
        d = np.asarray(local.push(np.ones_like(x))[0])
        if _close(Jt, np.ravel(d * t)) and _close(Ju, np.ravel(d * u[0])):
            return Structure(IDENTITY, m, n) if np.all(d == 1) else Structure(DIAGONAL, m, n, d)
    one_a_row, one_a_column = _copies(Jt, t), _copies(Ju, np.concatenate([np.ravel(part) for part in u]))
    if one_a_row or one_a_column:
        return Structure(_moving(Jt, t, one_a_row, one_a_column), m, n)
    factor = _outer(local, ys, m, n)
    if factor is not None:
        return Structure(OUTER, m, n, factor)
    kind = ROW if m == 1 else COLUMN if n == 1 else MATRIX
    return Structure(kind, m, n, dense(local) if m * n <= SHOWN else None)


def dense(local: Local) -> Any:
    """The Jacobian of the raveled results by the raveled argument, (m, n), by unit tangents."""
    x = np.asarray(local.x)
    rows = local.push(unit_directions([x], 0, x.size)[0])
    return np.concatenate([np.reshape(part, (x.size, -1)) for part in rows], axis=1).T


def _random(rng: np.random.Generator, x: Any) -> Any:
    """A direction of x in which no two numbers are equal, and none is 0."""
    direction = rng.uniform(1, 2, np.shape(x))
    return direction.astype(x.dtype) if np.asarray(x).dtype.kind in "fc" else direction


def _first(parts: Sequence[Any]) -> Any:
    return np.ravel(np.asarray(parts[0]))[0]


def _close(a: Any, b: Any) -> bool:
    """Whether numbers agree to the precision of the coarser of them."""
    kinds = [np.asarray(x).dtype for x in (a, b)]
    rtol = max([1e-9, *(50 * float(np.finfo(kind).eps) for kind in kinds if kind.kind in "fc")])
    return bool(np.allclose(a, b, rtol=rtol, atol=1e-12, equal_nan=True))


def _copies(product: Any, direction: Any) -> bool:
    """Whether each entry of the product is one entry of the direction, or 0 (not all): ones and zeros, one a row."""
    nonzero = product[product != 0]
    return bool(nonzero.size and np.isin(nonzero, direction).all())


def _moving(Jt: Any, t: Any, one_a_row: bool, one_a_column: bool) -> str:
    """The name of a Jacobian of ones and zeros, at most one a row or at most one a column."""
    if one_a_row and one_a_column:
        if Jt.size == np.size(t) and np.array_equal(Jt, np.ravel(t)):
            return IDENTITY
        whole = Jt.size == np.size(t) and Jt.all() and np.isin(np.ravel(t), Jt).all()
        return PERMUTATION if whole else SELECTION
    return COPY if one_a_row else SUM


def _outer(local: Local, ys: Sequence[Any], m: int, n: int) -> Any:
    """The vector a of a Jacobian I ⊗ aᵀ by a matrix, whose pull is u aᵀ (or a uᵀ); None where it is no such thing.

    It is one if the pull of every u has rank one, and so the pull of one with no zero: (Jᵀu)[i, j] = u_i a_j.
    """
    x = local.x
    if np.ndim(x) != 2 or len(ys) != 1 or min(x.shape) < 2 or m not in x.shape or n == m:
        return None
    rng = np.random.default_rng(1)
    u, w = rng.uniform(1, 2, (2, *ys[0].shape))
    g, h = local.pull([u]), local.pull([w])
    for turned in (False, True):
        G, H = (g.T, h.T) if turned else (g, h)
        if G.shape[0] == m:
            a = G[0] / np.ravel(u)[0]
            if _close(G, np.outer(u, a)) and _close(H, np.outer(w, a)):
                return a
    return None


# ---------------------------------------------------------------------------------------------------
# Patterns
# ---------------------------------------------------------------------------------------------------

DISTRIBUTES = "add distributes"
SWAPS = "multiply swaps"
COPY_SUMS = "copy sums"
ROUTES = "max routes"
GATES = "relu gates"

SAID = {
    DISTRIBUTES: "an addition hands its upstream to every term as it is",
    SWAPS: "a product hands each factor the upstream times the other factor",
    COPY_SUMS: "a value that is used several times adds up what comes back from each use",
    ROUTES: "a maximum hands its upstream to the argument that won, and 0 to the others",
    GATES: "the gate lets its upstream through where it is open, and holds it back elsewhere",
}


def pattern(locals_: Sequence[Local]) -> str | None:
    """The pattern of an operation, by its local Jacobians by every active argument; None where it has no name."""
    # A function of the user's own is not tried at other points: it may do anything there.
    if not trusted(locals_[0].instruction.op):
        return None
    with np.errstate(all="ignore"):
        return _pattern(locals_)


def _pattern(locals_: Sequence[Local]) -> str | None:
    first = locals_[0]
    y = first(first.x)
    if len(y) != 1 or not np.size(y[0]) or not np.all(np.isfinite(np.asarray(y[0], dtype=complex))):
        return None
    y = np.asarray(y[0])
    if len(locals_) == 1:
        return _gate_or_route(first, y)
    if len(locals_) != 2:
        same = [np.shape(one.x) == y.shape for one in locals_]
        return DISTRIBUTES if all(same) and all(_is(one, 1.0) for one in locals_) else None
    one, other = locals_
    if not isinstance(one.instruction.op, Elementwise):
        return None
    if any(np.shape(part.x) not in (y.shape, ()) for part in (one, other)):
        return None
    d, e = _partial(one, y), _partial(other, y)
    if d is None or e is None:
        return None
    if np.all(d == 1) and np.all(np.abs(e) == 1):
        elsewhere = {one.place: one.x + 1, other.place: other.x + 2}
        still = _is(one.given(elsewhere), d) and _is(other.given(elsewhere), e)
        if still:
            return DISTRIBUTES
    swaps = _close(d, other.x + 0 * y) and _close(e, one.x + 0 * y) and _close(y, one.x * other.x)
    if swaps:
        return SWAPS
    shares = np.isin(d, (0, 0.5, 1)).all() and _close(d + e, 1)
    if shares and _close(y, np.where(d >= e, one.x, other.x)):
        exchanged = one.given({one.place: other.x + 0 * one.x, other.place: one.x + 0 * other.x})
        turned = _partial(exchanged, y)
        return ROUTES if turned is not None and _close(turned, e) else None
    return None


def _gate_or_route(local: Local, y: Any) -> str | None:
    """Of one argument: a diagonal of zeros and ones that depends on the point gates; a selection that does routes."""
    x = np.asarray(local.x)
    if x.dtype.kind != "f" or not np.isfinite(x).all():
        return None
    if y.shape == x.shape:
        d = _partial(local, y)
        if d is not None and np.isin(d, (0, 1)).all() and _close(y, d * x):
            turned = _partial(local.at(-x - (x == 0)), y)
            return GATES if turned is not None and np.isin(turned, (0, 1)).all() and (turned != d).any() else None
        return None
    if not y.size < x.size or not np.isin(y, x).all():
        return None
    t = _random(np.random.default_rng(2), x)
    here, there = np.ravel(local.push(t)[0]), np.ravel(local.at(-x)(-x)[0])
    if not np.isin(here, t).all():
        return None
    elsewhere = np.ravel(local.at(-x).push(t)[0])
    return ROUTES if np.isin(there, -x).all() and (here != elsewhere).any() else None


def _partial(local: Local, y: Any) -> Any:
    """∂y/∂x element by element, of the shape of the result; None where the Jacobian is not diagonal."""
    t = _random(np.random.default_rng(3), local.x)
    d = local.push(np.ones_like(local.x))[0]
    s = local.push(t)[0]
    return d if np.shape(d) == y.shape and _close(s, d * (t + 0 * y)) else None


def _is(local: Local, d: Any) -> bool:
    y = np.asarray(local(local.x)[0])
    found = _partial(local, y)
    return found is not None and bool(np.all(found == d))
