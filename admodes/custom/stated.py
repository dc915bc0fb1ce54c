"""The rules that a user states for one argument: one direction at a time or K at once, and checked.

Shapes are checked always; what must be linear, and what must be the transpose of the other, when it is first used, at
random directions and at the point where it was called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import pytree
from ..core.directions import inexact
from ..core.errors import Detached, MissingRule
from ..core.forward import Forward
from ..core.reverse import Tape, transposed
from ..core.tracing import Tracer
from ..core.views import ground

Rule = Callable[..., Any]


class Parts(tuple[Any, ...]):
    """The leaves of a result that is a tree: a dict, a tuple, a dataclass of arrays."""

    structure: Any

    def _make(self, parts: Any) -> Parts:
        new = Parts(parts)
        new.structure = self.structure
        return new

    def like(self, parts: Any) -> Any:
        """Directions of the leaves as directions of the tree."""
        return pytree.unflatten(self.structure, list(parts))


def as_tree(y: Any) -> Any:
    """A result, or directions of it, as the user's function has it."""
    return y.like(y) if type(y) is Parts else y


def enclosed(name: str, y: Any, trace: Any) -> None:
    """Raise if the function used a traced value that is none of its arguments: the rule says nothing of it."""
    for part in y if isinstance(y, tuple) else (y,):
        below = getattr(part, "value", None)
        if isinstance(part, Tracer) and isinstance(below, Tracer) and below.transform.level >= trace.level:
            raise Detached.told(
                f"custom_op {name}: the function uses a traced value that is none of its arguments (from a "
                "closure, a global, an object), of which its rule says nothing. Pass it as an argument, with a rule."
            )


def unstated(name: str, place: int, values: Sequence[Any], trace: Any) -> None:
    """Raise if a transform is to differentiate by an argument for which there is no rule; values: its arrays."""
    if isinstance(trace, Forward | Tape) and any(getattr(x, "transform", None) is trace for x in values):
        raise MissingRule.told(
            f"custom_op {name}: argument {place} is traced, and its derivative was not stated. Give a list of rules, "
            "one an argument (None where the derivative is zero), or pass a constant."
        )


class Argument:
    """push(t, y, *args) and pull(u, y, *args) of one argument; where one is not stated it is derived from the other.

    told : how errors call the push and the pull; `name` is the user's function.
    """

    def __init__(
        self, name: str, place: int, push: Rule | None, pull: Rule | None, batched: bool, told: tuple[str, str]
    ) -> None:
        self.name, self.place, self.push, self.pull, self.batched, self.told = name, place, push, pull, batched, told
        self.tried = False

    def pushed(self, t: Any, y: Any, *args: Any, **params: Any) -> Any:
        if not self.tried:
            self._try(y, args, params)
        x = args[self.place]
        if self.push is not None:
            return self._each(self._push, t, x, y, args, params, y)

        def pull(*us: Any) -> Any:
            return self.pulled(us if isinstance(y, tuple) else us[0], y, *args, **params)

        try:
            found = tuple(transposed(pull, parts_of(y), t, x))
        except Detached as error:
            new = Detached.told(
                f"{self.name}: the push is derived by taping {self.told[1]}, which is to be written with NumPy "
                f"functions; where it cannot be, state push= beside it. {error}"
            )
            new.explained = True
            raise new from error
        return found if isinstance(y, tuple) else found[0]

    def pulled(self, u: Any, y: Any, *args: Any, **params: Any) -> Any:
        if not self.tried:
            self._try(y, args, params)
        return self._each(self._pull, u, y, args[self.place], args, params, y)

    @property
    def derived(self) -> bool:
        """Whether the tape derives the pull, by reversing the push."""
        return self.pull is None

    # One direction ----------------------------------------------------------------------------------

    def _push(self, t: Any, y: Any, args: Any, params: Any) -> Any:
        assert self.push is not None
        x = args[self.place]
        found = self.push(x.like(t) if type(x) is Parts else t, as_tree(y), *map(as_tree, args), **params)
        return self._fitting(found, y, self._lead(t, x), self.told[0])

    def _pull(self, u: Any, y: Any, args: Any, params: Any) -> Any:
        assert self.pull is not None
        found = self.pull(y.like(u) if type(y) is Parts else u, as_tree(y), *map(as_tree, args), **params)
        return self._fitting(found, args[self.place], self._lead(u, y), self.told[1])

    @staticmethod
    def _lead(t: Any, x: Any) -> tuple[int, ...]:
        """The leading axes of directions t of x, which may be a tuple of arrays."""
        if isinstance(x, tuple):
            t, x = t[0], x[0]
        lead: tuple[int, ...] = t.shape[: t.ndim - np.ndim(x)]
        return lead

    def _fitting(self, found: Any, to: Any, lead: tuple[int, ...], what: str) -> Any:
        """What a rule gave as arrays of the shapes that directions of `to` have."""
        if type(found) is np.ndarray and type(to) is np.ndarray and found.shape == lead + to.shape:
            return found
        if type(to) is Parts:
            leaves, structure = pytree.flatten(found)
            if structure != to.structure and not (_is_row(found) and _is_row(to.like(to)) and len(leaves) == len(to)):
                raise ValueError(f"{self.name}: {what} gives {_kind(found)} where {_kind(to.like(to))} is expected.")
            found = tuple(map(_array, leaves))
        elif found is None or isinstance(found, tuple | list | dict):
            raise ValueError(f"{self.name}: {what} gives {_kind(found)} where one array is expected.")
        else:
            found = _array(found)
        pairs = list(zip(parts_of(found), parts_of(to), strict=True))
        if any(np.shape(part) != lead + np.shape(x) for part, x in pairs):
            told, wanted = (
                ", ".join(map(str, shapes))
                for shapes in ([np.shape(part) for part, _ in pairs], [lead + np.shape(x) for _, x in pairs])
            )
            whose = "the argument" if what == self.told[1] else "the result"
            raise ValueError(f"{self.name}: {what} gives shape {told} where {whose} has {wanted}.")
        return found

    def _each(self, rule: Rule, t: Any, of: Any, to: Any, args: Any, params: Any, y: Any) -> Any:
        """rule of a direction of `of`, or of each of K, stacked: directions of `to`."""
        lead = self._lead(t, of)
        if not lead or self.batched:
            return rule(t, y, args, params)
        rows = [rule(tuple(p[k] for p in t) if isinstance(t, tuple) else t[k], y, args, params) for k in range(lead[0])]
        return tuple(map(np.stack, zip(*rows, strict=True))) if isinstance(to, tuple) else np.stack(rows)

    # On the first use ---------------------------------------------------------------------------------

    def _try(self, y: Any, args: Any, params: Any) -> None:
        y, *args = (a._make(map(ground, a)) if type(a) is Parts else ground(a) for a in (y, *args))
        x = args[self.place]
        for rule, what, d in ((self.push, self.told[0], "t"), (self.pull, self.told[1], "u")):
            if rule is not None:
                called_as(rule, f"{self.name}: {what}", (d, "y"), args, params)
        told = self._linear(self._push, x, y, args, params, self.told[0]) if self.push else True
        if self.pull and self.push:
            told &= self._adjoint(x, y, args, params)
        elif self.pull:
            told &= self._linear(self._pull, y, y, args, params, self.told[1])
        self.tried = told

    def _unchanged(self, rule: Rule, d: Any, y: Any, args: Any, params: Any) -> Any:
        """What a rule gives; an error if it changes what it is given, which others hold too."""
        given = [*parts_of(d), *parts_of(y), *(part for a in args for part in parts_of(a))]
        before = [a.copy() if type(a) is np.ndarray else a for a in given]
        found = rule(d, y, args, params)
        if any(type(a) is np.ndarray and not same(a, b) for a, b in zip(given, before, strict=True)):
            what = self.told[1] if rule == self._pull else self.told[0]
            raise ValueError(f"{self.name}: {what} changes its arguments in place; let it work on a copy, t = t * y.")
        return found

    def _linear(self, rule: Rule, of: Any, y: Any, args: Any, params: Any, what: str) -> bool:
        """rule(t + s) = rule(t) + rule(s) at random t and s of opposite signs; False where that tells nothing."""
        t = _random(1, of)
        s = _zip(lambda p, q: -p * (1.5 + np.abs(q)), t, _random(2, of))
        a, b, both = (parts_of(self._unchanged(rule, d, y, args, params)) for d in (t, s, _zip(np.add, t, s)))
        informative = False
        for p, q, r in zip(a, b, both, strict=True):
            scale = float(np.max(np.abs(p) + np.abs(q) + np.abs(r), initial=0.0))
            informative |= bool(np.isfinite(scale) and scale > 0)
            if _far(np.max(np.abs(p + q - r), initial=0.0), scale, r):
                if what == "the function":
                    raise ValueError(
                        f"{self.name}: transpose= is for a linear function, and this one is not linear: f(t + s) is "
                        "not f(t) + f(s). One with a constant, f(x) = A x + b, is none; state it by push= (t ↦ A t)."
                    )
                d = "u" if rule == self._pull else "t"
                raise ValueError(
                    f"{self.name}: {what} is not linear in {d}: {what}({d} + s) is not {what}({d}) + {what}(s). It is "
                    "to give the derivative in that direction; powers of it or constants do not belong there."
                )
        return informative

    def _adjoint(self, x: Any, y: Any, args: Any, params: Any) -> bool:
        """⟨u, push(t)⟩ = ⟨pull(u), t⟩ at random t and u; False where that tells nothing."""
        t, u = _random(1, x), _random(3, y)
        pushed = self._unchanged(self._push, t, y, args, params)
        pulled = self._unchanged(self._pull, u, y, args, params)
        terms = [p * q for p, q in zip(parts_of(u), parts_of(pushed), strict=True)]
        others = [p * q for p, q in zip(parts_of(pulled), parts_of(t), strict=True)]
        left, right = (sum(np.sum(term).real for term in products) for products in (terms, others))
        scale = float(sum(np.sum(np.abs(term)) for term in (*terms, *others)))
        if _far(abs(left - right), scale, others[0]):
            if self.told[1] == "transpose":
                raise ValueError(
                    f"{self.name}: transpose= is not the transpose of the function: for random u and t, "
                    f"Σ u · f(t) is {left:.6g}, Σ transpose(u) · t is {right:.6g}."
                )
            raise ValueError(
                f"{self.name}: {self.told[0]} and {self.told[1]} are not transposes of each other: for random t and u, "
                f"Σ u · push(t) is {left:.6g}, Σ pull(u) · t is {right:.6g}. admodes.check tells which is wrong."
            )
        return bool(np.isfinite(scale) and scale > 0)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same, nan included."""
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


def called_as(rule: Rule, what: str, first: tuple[str, ...], args: Sequence[Any], params: dict[str, Any]) -> None:
    """Raise if a rule cannot be called with what it will be called with."""
    try:
        signature = inspect.signature(rule)
    except (TypeError, ValueError):  # builtins without a signature
        return
    try:
        signature.bind(*first, *args, **params)
    except TypeError as error:
        places = [*first, *(f"argument {i}" for i in range(len(args))), *(f"{name}=…" for name in params)]
        raise TypeError(
            f"{what} is called with ({', '.join(places)}), all that the function was called with behind "
            f"{' and '.join(first)}, and takes {signature}: {error}. What it does not need it may take as *_, **_."
        ) from None


def parts_of(y: Any) -> tuple[Any, ...]:
    """The arrays of a result or an argument, or of directions of it."""
    return y if isinstance(y, tuple) else (y,)


def _zip(fn: Callable[..., Any], *trees: Any) -> Any:
    """fn of arrays, or of the parts of tuples of them."""
    return tuple(map(fn, *trees)) if isinstance(trees[0], tuple) else fn(*trees)


def _random(seed: int, like: Any) -> Any:
    """A random direction of an array, in its precision, or of each of a tuple of arrays."""
    if isinstance(like, tuple):
        return tuple(_random(seed + 10 * k, part) for k, part in enumerate(like))
    rng = np.random.default_rng(seed)
    t = rng.uniform(0.5, 1.5, np.shape(like)) * rng.choice([-1.0, 1.0], np.shape(like))
    if np.result_type(like).kind == "c":
        t = t + 1j * rng.uniform(0.5, 1.5, np.shape(like))
    return np.asarray(t, inexact(like))[()]


def _far(difference: Any, scale: Any, like: Any) -> bool:
    """Whether two numbers differ by more than rounding in a long computation may explain; nan and infinities tell
    nothing."""
    return bool(np.isfinite(scale) and difference > 100 * np.sqrt(np.finfo(inexact(like)).eps) * scale)


def _array(y: Any) -> Any:
    """What a rule gave, Python's numbers as NumPy's."""
    return y if hasattr(y, "shape") else np.asarray(y)[()]


def _is_row(tree: Any) -> bool:
    """Whether a tree is a tuple, named or not, or a list."""
    return isinstance(tree, tuple | list)


def _kind(y: Any) -> str:
    if y is None:
        return "None"
    if isinstance(y, tuple | list) and type(y) in (tuple, list):
        return f"a {type(y).__name__} of {len(y)}"
    return f"a {type(y).__name__}"
