"""How a function of SciPy is mirrored: one definition gives its name, options, docstring, value and row of the table.

On plain values SciPy's own function runs.  On traced ones the call goes to the row: of a `Composite` the definition's
body says how it is made of operations that have rules, of any other kind it computes the value.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.directions import cast
from ..core.dispatch import apply, canonical, highest, primitive
from ..core.registry import OPS, Composite, Op, Passive, add
from ..sparse.dependence import RULES, Rule, opaque
from . import MODULES


def mirrors(
    kind: type[Op],
    *rules: Any,
    arrays: int | None = 1,
    dtype: Any = None,
    corrected: bool = False,
    pattern: Rule = opaque,
    **row: Any,
) -> Any:
    """Make a definition the mirror of SciPy's function of the same name, with a row of this kind.

    rules : what the row states, before its keywords.
    arrays : how many of the leading parameters are arrays to differentiate by; None: any number.
    dtype : dtype(*args, **params), the dtype of SciPy's result, where a composition gives another.
    corrected : the definition runs on plain values too, since SciPy's function is wrong of some.
    pattern : what a result depends on, in the words of `sparse.dependence`.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        area = body.__module__.removeprefix("admodes.")
        while area.removeprefix("scipy.") not in MODULES:
            area = area.rpartition(".")[0]
        name, theirs = f"{area}.{body.__name__}", getattr(importlib.import_module(area), body.__name__)
        if kind is Composite:
            rule = (
                body if dtype is None else _of_dtype(body, dtype, primitive(Passive(theirs, name=name, arrays=arrays)))
            )
            plain = body if corrected else theirs
            op: Op = Composite(body, rule, name=name, arrays=arrays, evaluate=plain, **row)
        else:
            op = own(kind(body, *rules, name=name, **row), pattern)
            op.arrays = arrays
        return mirror(op, body, body if corrected else theirs)

    return decorate


def _of_dtype(body: Callable[..., Any], dtype: Callable[..., Any], constant: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def rule(*args: Any, **params: Any) -> Any:
        wanted = np.dtype(dtype(*args, **params))
        if wanted.kind in "iub":  # rounded, or cut off, as SciPy does
            return constant(*args, **params)
        y = body(*args, **params)
        return y if y.dtype == wanted else np.astype(y, wanted)

    return rule


def own(op: Op, pattern: Rule = opaque) -> Op:
    """Put a row into the table and into that of patterns."""
    RULES[op] = pattern
    return add(op)


def mirror(op: Op, body: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    """The public function of a row: called as its definition says, with SciPy's options refused by name."""
    signature = inspect.signature(body)
    primitive(add(op))
    names = tuple(signature.parameters)

    @functools.wraps(body)
    def function(*args: Any, **params: Any) -> Any:
        for option in params:
            if option not in names:
                raise TypeError(_refusal(op.name, option, theirs, names))
        given = signature.bind(*args, **params)
        if highest((args, params)) is None:
            return theirs(*args, **params)
        if op.arrays is None:
            return apply(op, tuple(map(canonical, args)), params)
        given.apply_defaults()
        found = given.arguments
        chosen = [canonical(found.pop(n)) for n in names[: op.arrays]]
        while chosen and chosen[-1] is None:
            chosen.pop()
        return apply(op, tuple(chosen), dict(found))

    OPS[function] = op
    return function


def _refusal(name: str, option: str, theirs: Callable[..., Any], names: tuple[str, ...]) -> str:
    takes = f"It takes {', '.join(names)}."
    try:
        known = option in inspect.signature(theirs).parameters
    except (TypeError, ValueError):
        known = False
    if known:
        return f"{name} has an option {option}=, of which admodes.{name} knows no derivative. {takes}"
    return f"admodes.{name} has no parameter {option}=. {takes}"


def as_result(push: Callable[..., Any]) -> Callable[..., Any]:
    """A push whose tangent is brought to the dtype of the result."""

    @functools.wraps(push)
    def rule(t: Any, y: Any, *args: Any, **params: Any) -> Any:
        return cast(push(t, y, *args, **params), y.dtype)

    return rule


def as_argument(i: int, pull: Callable[..., Any]) -> Callable[..., Any]:
    """A pull whose cotangent is brought to the dtype of argument i."""

    @functools.wraps(pull)
    def rule(u: Any, y: Any, *args: Any, **params: Any) -> Any:
        return cast(pull(u, y, *args, **params), args[i].dtype)

    return rule


def one_by_one(fn: Callable[..., Any], x: Any) -> Any:
    """fn of a matrix, or of each of a stack."""
    if x.ndim == 2:
        return fn(x)
    parts = [fn(part) for part in np.reshape(x, (-1, *x.shape[-2:]))]
    return np.reshape(parts, x.shape[:-2] + np.shape(parts[0])) if parts else x


def common(*arrays: Any) -> list[Any]:
    """Plain arrays, all complex where one of them is."""
    arrays = tuple(map(np.asarray, arrays))
    if len({x.dtype.kind == "c" for x in arrays}) == 1:
        return list(arrays)
    return [x.astype(np.result_type(x, np.complex64), copy=False) for x in arrays]


def computed(dtype: Any) -> np.dtype[Any]:
    """The precision in which LAPACK computes with arrays of a dtype: single of half, double of extended."""
    dtype = np.dtype(dtype)
    if dtype.char in "fdFD":
        return dtype
    wide = dtype.char not in "e"
    return np.dtype(("complex128" if wide else "complex64") if dtype.kind == "c" else "float64" if wide else "float32")
