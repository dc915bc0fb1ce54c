"""What a function of NumPy is called: in print, by a user, and its parameters."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

import numpy as np

from .errors import MissingRule


def name_of(fn: Any) -> str:
    """The name to print: `np.linalg.solve` -> 'linalg.solve', `np.sin` -> 'sin'."""
    module = getattr(fn, "__module__", None) or ""
    if module.startswith("scipy.special") or (isinstance(fn, np.ufunc) and not hasattr(np, fn.__name__)):
        return f"special.{fn.__name__}"
    for area in ("linalg", "fft"):
        if module.startswith(f"numpy.{area}"):
            return f"{area}.{fn.__name__}"
    if module == "numpy.lib.scimath":
        return f"emath.{fn.__name__}"
    return getattr(fn, "__name__", str(fn))


def public_name(fn: Any) -> str:
    """The name as a user writes it: 'np.linalg.solve', 'scipy.special.jv'."""
    name = name_of(fn)
    return f"scipy.{name}" if name.startswith("special.") else f"np.{name}"


def without_row(ufunc: np.ufunc) -> MissingRule:
    """The error for a ufunc that is in no table; np.frompyfunc makes such, "f (vectorized)" by name."""
    name, made, _ = ufunc.__name__.partition(" (vectorized)")
    if not made:
        return MissingRule(public_name(ufunc))
    name = name if name.isidentifier() else "f"
    return MissingRule.told(
        f"np.frompyfunc({name}, …) makes a ufunc of Python objects, through which no traced value can go. Write "
        f"np.vectorize({name}), or {name} itself with functions of NumPy."
    )


def parameter_names(fn: Any) -> tuple[str, ...]:
    """Names of the parameters that NumPy lets one give by keyword, in order."""
    if isinstance(fn, np.ufunc):
        return ()
    inner = fn
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    if isinstance(inner, FunctionType) and not hasattr(inner, "__signature__"):  # inspect takes ten times as long
        code = inner.__code__
        named = code.co_argcount + code.co_kwonlyargcount
        starred = bool(code.co_flags & inspect.CO_VARARGS)
        names = code.co_varnames
        rest = names[named + starred : named + starred + bool(code.co_flags & inspect.CO_VARKEYWORDS)]
        many = names[named : named + starred]
        return (*names[: code.co_argcount], *many, *names[code.co_argcount : named], *rest)
    try:
        return tuple(inspect.signature(fn).parameters)
    except (TypeError, ValueError):  # builtins without a signature
        return ()
