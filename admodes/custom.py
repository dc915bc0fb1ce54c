"""Operations of a user's own: a derivative stated once, in one call, gives both modes and every order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core.registry import AnyName, Composite, Elementwise, Op, Via, add, inexact
from .core.tracing import Tracer, highest, primitive
from .core.views import ground

Rule = Callable[..., Any]


def register(
    fn: Callable[..., Any],
    *,
    partial: Rule | float | Sequence[Rule | float | None] | None = None,
    transpose: Rule | None = None,
    push: Rule | Sequence[Rule | None] | None = None,
    composite: Rule | None = None,
    flops: float = 1.0,
    batched: bool = False,
) -> None:
    """State the derivative of a NumPy function or ufunc that has no rule; from then on it may be differentiated.

    Parameters
    ----------
    fn : a function that dispatches, of numpy or a ufunc of any library. For your own Python function use `custom_op`.
    partial : for an elementwise function: p(y, x), or a list of p(y, a, b, …), one an argument, None for an argument
        that only chooses among pieces. y is the result.
    transpose : for a function that is linear in its first argument: transpose(u, x, …) -> cotangent of x.
    push : for any other: push(t, y, x, …) -> tangent of y, in registered NumPy functions; or a list, one an argument.
    composite : the function itself in terms of registered NumPy functions.
    flops : floating-point operations an element of the result, for counts.
    batched : transpose and push work on K directions at once, shape (K, *s); else they are called once a direction.

    Raises
    ------
    TypeError : not exactly one of partial, transpose, push, composite; a function that does not dispatch.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), section 2.2, elemental functions.

    >>> import numpy as np
    >>> from admodes import grad
    >>> from admodes.core import registry
    >>> ours = registry.OPS[np.i0]
    >>> register(np.i0, partial=lambda y, x: np.exp(x))  # not its derivative, but what was stated
    >>> float(grad(np.i0)(0.0))
    1.0
    >>> registry.OPS[np.i0] = ours  # here only, so that the wrong rule is not kept
    """
    if not (isinstance(fn, np.ufunc) or hasattr(fn, "_implementation")):
        raise TypeError(
            f"register: {getattr(fn, '__name__', fn)!r} is neither a ufunc nor a NumPy function that "
            "dispatches, so traced "
            "values would never reach its rule. Make an operation of your own: g = admodes.custom_op(fn, ...)."
        )
    add(_row("register", fn, partial, transpose, push, composite, flops, batched))


def custom_op(
    fn: Callable[..., Any] | None = None,
    *,
    partial: Rule | float | Sequence[Rule | float | None] | None = None,
    transpose: Rule | None = None,
    push: Rule | Sequence[Rule | None] | None = None,
    composite: Rule | None = None,
    flops: float = 1.0,
    batched: bool = False,
) -> Any:
    """A function of your own with a derivative you state, by its partial, its transpose or a push.

    Parameters
    ----------
    fn : the function. It sees plain arrays only, so it may be anything: compiled code, a table, a simulation. None, and
        what is returned is a decorator.
    partial, transpose, push, composite : the derivative, one of the four, as for `register`.
    flops : floating-point operations an element of the result, for counts.
    batched : transpose and push work on K directions at once, shape (K, *s); else they are called once a direction.

    Returns
    -------
    A function that runs `fn` on plain values and is differentiated by the stated rule in both modes.

    Raises
    ------
    TypeError : not exactly one of partial, transpose, push, composite.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), section 2.2, elemental functions.

    >>> import numpy as np
    >>> from admodes import grad, jvp
    >>> softplus = custom_op(lambda x: np.logaddexp(0.0, x), partial=lambda y, x: 1 - np.exp(-y))
    >>> grad(softplus)(0.0), jvp(softplus, (0.0,), (2.0,))[1]
    (np.float64(0.5), np.float64(1.0))
    """
    if fn is None:
        return lambda f: custom_op(
            f, partial=partial, transpose=transpose, push=push, composite=composite, flops=flops, batched=batched
        )
    op = _row("custom_op", fn, partial, transpose, push, composite, flops, batched)
    inner = primitive(op)

    def function(*args: Any, **params: Any) -> Any:
        if params and highest(params) is not None:
            args, params = _by_position(op, args, params)
        return inner(*args, **params)

    function.__name__ = function.__qualname__ = _called(fn)
    function.__doc__ = fn.__doc__
    plain = op.evaluate

    def evaluate(*args: Any, **params: Any) -> Any:
        y = _own(plain(*args, **params))
        if isinstance(op, Elementwise):
            _elementwise(fn, y, args[: op.arrays])
        return y

    op.evaluate = evaluate
    return function


def _elementwise(fn: Any, y: Any, args: tuple[Any, ...]) -> None:
    """Raise if a function with partials is not one of element by element."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    if np.shape(y) != shape:
        raise ValueError(
            f"custom_op {_called(fn)}: partial= is for a function of element by element, whose result would have shape "
            f"{shape}; it has {np.shape(y)}. State the derivative by push= (or transpose=, if it is linear)."
        )


def _by_position(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Traced arguments that were given by keyword in their places, which is where a rule is stated for them."""
    given, rest = list(args), dict(params)
    for name in _positional(op.fn)[len(args) : op.arrays]:
        if name not in rest:
            break
        given.append(rest.pop(name))
    traced = [name for name, x in rest.items() if highest(x) is not None]
    if traced:
        raise TypeError(
            f"custom_op {_called(op.fn)}: the argument {traced[0]}= is traced, and was given by keyword where no rule "
            "can be stated for it: a rule is for an argument by its position. Pass it by position, with a partial or "
            "push for it, or make it constant."
        )
    return tuple(given), rest


def _positional(fn: Any) -> list[str]:
    """The names of the parameters that have a position."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _called(fn: Any) -> str:
    return getattr(fn, "__name__", "custom_op")


def _own(y: Any) -> Any:
    """A result as arrays and NumPy scalars, in memory of its own: the function may give an argument, a global, or a
    buffer that it uses again."""
    if isinstance(y, tuple | list):
        parts = [_own(part) for part in y]
        return y._make(parts) if hasattr(y, "_make") else tuple(parts)
    return y if isinstance(y, Tracer | np.generic) else np.array(y)[()]


def _row(
    caller: str, fn: Any, partial: Any, transpose: Any, push: Any, composite: Any, flops: float, batched: bool
) -> Op:
    rules = {"partial": partial, "transpose": transpose, "push": push, "composite": composite}
    given = [name for name, rule in rules.items() if rule is not None]
    if len(given) != 1:
        raise TypeError(
            f"{caller}: state the derivative of {getattr(fn, '__name__', fn)} in exactly one way, by "
            "partial=, transpose=, "
            f"push= or composite=; got {', '.join(given) or 'none'}."
        )
    stated = _Stated(f"{caller} {_called(fn)}", batched)
    op: Op
    if partial is not None:
        partials = list(partial) if isinstance(partial, list | tuple) else [partial]
        return Elementwise(fn, [stated.partial(p, i) for i, p in enumerate(partials)], flops=flops)
    if transpose is not None:
        op = Via(fn, [stated.function(lambda *args, **params: op.evaluate(*args, **params), transpose)],
                 [stated.transpose(transpose)], flops=flops)  # fmt: skip
        op.params = AnyName()
        return op
    if push is not None:
        pushes = list(push) if isinstance(push, list | tuple) else [push]
        op = Via(fn, [p and stated.push(p, i) for i, p in enumerate(pushes)], flops=flops)
        op.params = AnyName()
        return op
    return Composite(fn, composite, flops=flops)


class _Stated:
    """The rules of a user's own, one direction at a time or K at once, checked: shapes always, what must be linear when
    a rule is first used, at random directions."""

    def __init__(self, name: str, batched: bool) -> None:
        self.name, self.batched = name, batched
        self.tried: set[Any] = set()  # the rules that were found linear

    def partial(self, p: Any, i: int) -> Any:
        if not callable(p):
            return p

        def rule(y: Any, *args: Any) -> Any:
            found = p(y, *args)
            if np.broadcast_shapes(np.shape(found), y.shape) != y.shape:
                raise ValueError(
                    f"{self.name}: partial {i} has shape {np.shape(found)}, the result {y.shape}; a partial is a "
                    "number for each element of the result."
                )
            return found

        return rule

    def push(self, push: Rule, i: int) -> Rule:
        def rule(t: Any, y: Any, *args: Any, **params: Any) -> Any:
            x = args[i]
            self._linear(i, lambda d: push(d, ground(y), *map(ground, args), **params), x)
            return self._each(lambda d: push(d, y, *args, **params), t, x, y, f"push {i}", "the result")

        return rule

    def function(self, evaluate: Rule, transpose: Rule) -> Rule:
        def rule(t: Any, y: Any, x: Any, *args: Any, **params: Any) -> Any:
            self._transposed(transpose, y, x, args, params)
            return self._each(lambda d: evaluate(d, *args, **params), t, x, y, "the function", "the result")

        return rule

    def transpose(self, transpose: Rule) -> Rule:
        def rule(u: Any, y: Any, x: Any, *args: Any, **params: Any) -> Any:
            self._transposed(transpose, y, x, args, params)
            return self._each(lambda d: transpose(d, x, *args, **params), u, y, x, "transpose", "the argument")

        return rule

    def _each(self, rule: Rule, t: Any, of: Any, to: Any, what: str, whose: str) -> Any:
        """rule of a direction of `of`, or of each of K, stacked: directions of `to`."""
        lead = t.shape[: t.ndim - np.ndim(of)]
        if not lead or self.batched:
            found = _own_shape(rule(t))
            self._fits(found, to, lead, what, whose)
            return found
        parts = [_own_shape(rule(t[k])) for k in range(lead[0])]
        for part in parts[:1]:
            self._fits(part, to, (), what, whose)
        if isinstance(to, tuple):
            return tuple(np.stack(column) for column in zip(*parts, strict=True))
        return np.stack(parts)

    def _fits(self, found: Any, to: Any, lead: tuple[int, ...], what: str, whose: str) -> None:
        expected = [lead + np.shape(part) for part in (to if isinstance(to, tuple) else (to,))]
        shapes = [np.shape(part) for part in (found if isinstance(found, tuple) else (found,))]
        if shapes != expected:
            told, wanted = (", ".join(map(str, x)) for x in (shapes, expected))
            raise ValueError(f"{self.name}: {what} gives shape {told} where {whose} has {wanted}.")

    def _linear(self, i: int, push: Rule, x: Any) -> None:
        """push(t + s) = push(t) + push(s), at random t and s."""
        if i in self.tried:
            return
        t, s = (_random(seed, x) for seed in (1, 2))
        a, b, both = (_leaves(push(d)) for d in (t, s, t + s))
        for p, q, r in zip(a, b, both, strict=True):
            scale = np.abs(p) + np.abs(q) + np.abs(r)
            if _far(np.max(np.abs(p + q - r), initial=0.0), np.max(scale, initial=0.0), r):
                raise ValueError(
                    f"{self.name}: push {i} is not linear in t: push(t + s) is not push(t) + push(s). It is to give "
                    "the derivative in the direction t; powers of t or constants do not belong there."
                )
        self.tried.add(i)

    def _transposed(self, transpose: Rule, y: Any, x: Any, args: Any, params: Any) -> None:
        """<u, f(x)> = <transpose(u), x> at a random u: f is linear, and this is its transpose."""
        if self.tried:
            return
        x, y, args = ground(x), ground(y), tuple(map(ground, args))
        u = _random(3, y)
        g = _own_shape(transpose(u, x, *args, **params))
        self._fits(g, x, (), "transpose", "the argument")
        left, right = np.sum(u * y).real, np.sum(g * x).real
        if _far(abs(left - right), np.sum(np.abs(u * y)) + np.sum(np.abs(g * x)), y):
            raise ValueError(
                f"{self.name}: transpose= is not the transpose of the function, or the function is not linear: "
                f"Σ u · f(x) is {left:.6g}, Σ transpose(u) · x is {right:.6g}. A function with a constant, "
                "f(x) = A x + b, is not linear; state it by push= (for this one t ↦ A t)."
            )
        self.tried.add("transpose")


def _random(seed: int, like: Any) -> Any:
    """A random direction of an array, in its precision."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0.5, 1.5, np.shape(like)) * rng.choice([-1.0, 1.0], np.shape(like))
    if like.dtype.kind == "c":
        t = t + 1j * rng.uniform(0.5, 1.5, np.shape(like))
    return np.asarray(t, inexact(like))[()]


def _far(difference: Any, scale: Any, like: Any) -> bool:
    """Whether two numbers differ by more than rounding in a long computation may explain; nan and infinities tell
    nothing."""
    return bool(np.isfinite(scale) and difference > 100 * np.sqrt(np.finfo(inexact(like)).eps) * scale)


def _leaves(y: Any) -> list[Any]:
    return [np.asarray(part) for part in (y if isinstance(y, tuple) else (y,))]


def _own_shape(y: Any) -> Any:
    """What a rule gave, Python's numbers as NumPy's."""
    if isinstance(y, tuple):
        return tuple(map(_own_shape, y))
    return y if hasattr(y, "shape") else np.asarray(y)[()]
