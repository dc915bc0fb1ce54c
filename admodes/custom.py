"""Operations of a user's own: a derivative stated once, in one call, gives both modes and every order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core.registry import AnyName, Composite, Elementwise, Op, Via, add, lead_shape
from .core.tracing import Tracer, primitive

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
    function = primitive(op)
    function.__name__ = function.__qualname__ = getattr(fn, "__name__", "custom_op")
    function.__doc__ = fn.__doc__
    plain = op.evaluate
    op.evaluate = lambda *args, **params: _own(plain(*args, **params))
    return function


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
    lead = (lambda t, x: ()) if batched else lead_shape
    op: Op
    if partial is not None:
        partials = list(partial) if isinstance(partial, list | tuple) else [partial]
        return Elementwise(fn, partials, flops=flops)
    if transpose is not None:
        op = Via(fn, [lambda t, y, x, *args, **params: _each(lambda d: op.evaluate(d, *args, **params), t, lead(t, x))],
                 [lambda u, y, x, *args, **params: _each(lambda d: transpose(d, x, *args, **params), u, lead(u, y))],
                 flops=flops)  # fmt: skip
        op.params = AnyName()
        return op
    if push is not None:
        pushes = list(push) if isinstance(push, list | tuple) else [push]
        op = Via(fn, [p and _each_push(p, i, lead) for i, p in enumerate(pushes)], flops=flops)
        op.params = AnyName()
        return op
    return Composite(fn, composite, flops=flops)


def _each(rule: Callable[[Any], Any], t: Any, lead: tuple[int, ...]) -> Any:
    """rule of a direction, or of each of K, stacked."""
    return np.stack([rule(t[k]) for k in range(lead[0])]) if lead else rule(t)


def _each_push(push: Rule, i: int, lead: Rule) -> Rule:
    def rule(t: Any, y: Any, *args: Any, **params: Any) -> Any:
        return _each(lambda d: push(d, y, *args, **params), t, lead(t, args[i]))

    return rule
