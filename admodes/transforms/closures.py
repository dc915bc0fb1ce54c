"""Traced values that a function reads from around it, found and made arguments.

An operation that runs f again later (a checkpoint, the solver of an implicit function) must know all that f depends
on.  Weights that stand in f's closure, in a `functools.partial` or in the defaults are as much its arguments as those
it is called with.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import optree

from ..core import pytree
from ..core.tracing import Tracer

Rebuild = Callable[[list[Any]], Any]


def closed_over(f: Any) -> tuple[list[Tracer], Rebuild]:
    """The traced values in f's closure, defaults and `functools.partial`, and f made anew with others in their place.

    f may be a tuple of functions, too.
    Functions inside the closure, and lists, tuples and dicts in it, are looked into too.  Globals and attributes of
    objects are not.

    >>> found, rebuild = closed_over(lambda x: x + 1)
    >>> found, rebuild([])(1)
    ([], 2)
    """
    found: list[Tracer] = []
    known: dict[int, int] = {}  # id of a traced value -> its place
    seen: set[int] = set()
    holding: set[int] = set()  # ids of functions and containers with traced values in them

    def look(x: Any) -> bool:
        """Whether x holds a traced value; those that are new are added to the list."""
        if isinstance(x, Tracer):
            if id(x) not in known:
                known[id(x)] = len(found)
                found.append(x)
            return True
        if id(x) in seen:
            return id(x) in holding
        parts = _parts(x)
        if parts is None:
            return False
        seen.add(id(x))
        for part in parts:
            if look(part):
                holding.add(id(x))
        return id(x) in holding

    look(f)

    def rebuild(values: list[Any]) -> Any:
        made: dict[int, Any] = {}

        def new(x: Any) -> Any:
            if isinstance(x, Tracer) and id(x) in known:
                return values[known[id(x)]]
            if id(x) not in holding:
                return x
            if id(x) not in made:
                made[id(x)] = _remade(x, new, made)
            return made[id(x)]

        return new(f)

    return found, rebuild


def _parts(x: Any) -> list[Any] | None:
    """What x is made of, where it is a function or a container."""
    if isinstance(x, types.FunctionType):
        return [*_contents(x), *(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
    if isinstance(x, functools.partial):
        return [x.func, *x.args, *x.keywords.values()]
    if isinstance(x, list | tuple | dict):
        return [leaf for leaf in pytree.flatten(x)[0] if leaf is not x]
    return None


def _contents(f: types.FunctionType) -> list[Any]:
    found = []
    for cell in f.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that is not bound yet
            found.append(None)
    return found


def _remade(x: Any, new: Callable[[Any], Any], made: dict[int, Any]) -> Any:
    """x with its parts replaced; of a function that refers to itself the new one does too."""
    if isinstance(x, functools.partial):
        return functools.partial(new(x.func), *map(new, x.args), **{k: new(v) for k, v in x.keywords.items()})
    if not isinstance(x, types.FunctionType):
        return optree.tree_map(new, x, namespace=pytree.NAMESPACE)
    cells = tuple(types.CellType() for _ in x.__closure__ or ())
    f = types.FunctionType(
        x.__code__, x.__globals__, x.__name__, x.__defaults__ and tuple(map(new, x.__defaults__)), cells
    )
    made[id(x)] = f
    f.__kwdefaults__ = x.__kwdefaults__ and {k: new(v) for k, v in x.__kwdefaults__.items()}
    for cell, old, content in zip(cells, x.__closure__ or (), _contents(x), strict=True):
        if content is not None or _bound(old):
            cell.cell_contents = new(content)
    return f


def _bound(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
