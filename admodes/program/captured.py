"""What arrays from outside are called in the user's code: in closures and among globals, for listings and pictures."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType
from typing import Any

from ..core.creation import is_users
from ..core.dispatch import is_memory

_MOST_FUNCTIONS = 50


def captured_by(f: Any) -> list[tuple[str, Any]]:
    """Name and array, of the arrays that f, or a function of the user's that it names, takes from outside.

    >>> import numpy as np
    >>> W = np.ones(2)
    >>> def layer(x):
    ...     return W * x
    >>> captured_by(lambda x: layer(x))
    [('W', array([1., 1.]))]
    """
    found: dict[int, tuple[str, Any]] = {}
    waiting: list[Any] = [f]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_FUNCTIONS:
        g = waiting.pop()
        if id(g) in seen:
            continue
        seen.add(id(g))
        for name, x in _outside(g):
            if is_memory(x):
                found.setdefault(id(x), (name, x))
            elif callable(x) and (hasattr(x, "__code__") or isinstance(x, functools.partial)):
                waiting.append(x)
    return list(found.values())


def _outside(g: Any) -> Iterator[tuple[str, Any]]:
    """Names and values that a function takes from outside its arguments."""
    for attribute in ("_of", "__wrapped__", "__func__", "func"):
        inner = getattr(g, attribute, None)
        if inner is not None:
            yield attribute, inner
    code = getattr(g, "__code__", None)
    if not isinstance(code, CodeType):
        return
    for name, cell in zip(code.co_freevars, g.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    if is_users(g.__globals__.get("__name__", "")) or code.co_filename.startswith("<doctest"):
        yield from ((name, g.__globals__[name]) for name in _named(code) if name in g.__globals__)


def _named(code: CodeType) -> set[str]:
    """The names that code, and the functions that it defines, may look up in its globals."""
    return {*code.co_names}.union(*(_named(c) for c in code.co_consts if isinstance(c, CodeType)))
