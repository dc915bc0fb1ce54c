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
from ..core.blank import Blank
from ..core.tracing import Tracer
from .spoilt import Spoiled

Rebuild = Callable[[list[Any]], Any]
Closure = tuple[list[Tracer], Rebuild]


def closed_over(f: Any) -> Closure:
    """The traced values in f's closure, defaults and `functools.partial`, and f made anew with others in their place.

    f may be a tuple of functions, too.
    Functions inside the closure, and lists, tuples and dicts in it, are looked into too.  Globals and attributes of
    objects are not.

    >>> found, rebuild = closed_over(lambda x: x + 1)
    >>> found, rebuild([])(1)
    ([], 2)
    """
    search = Search()
    search.look(f)
    if not search.found:
        return as_it_is(f)
    places = [_Place() for _ in search.found]
    renewal = _Renewal(search.known, search.holding, places)
    return search.found, _Pattern(renewal.new(f), places, list(renewal.made.values()))


# Who keeps an operation keeps its function, and a tape keeps operations: a function that held traced values would be in
# a circle with their tape, which lives, with all its arrays, until the garbage collector comes by.  So it holds places
# in their stead; and what follows is classes, where functions that call themselves, which are circles too, would do.


class _Place:
    """Where a traced value stood."""


class Search:
    """The traced values in functions and containers."""

    def __init__(self) -> None:
        self.found: list[Tracer] = []
        self.known: dict[int, int] = {}  # id of a traced value -> its place
        self.holding: set[int] = set()  # ids of functions and containers with traced values in them
        self._seen: set[int] = set()

    def look(self, x: Any) -> bool:
        """Whether x holds a traced value; those that are new are added to the list."""
        if is_traced(x):
            if id(x) not in self.known:
                self.known[id(x)] = len(self.found)
                self.found.append(x)
            return True
        if id(x) in self._seen:
            return id(x) in self.holding
        parts = _parts(x)
        if parts is None:
            return False
        self._seen.add(id(x))
        for part in parts:
            if self.look(part):
                self.holding.add(id(x))
        return id(x) in self.holding


def as_it_is(f: Any) -> Closure:
    """f with what it closes over, in the form that `closed_over` gives."""
    return [], functools.partial(_same, f)


def is_traced(x: Any) -> bool:
    """Whether x is a traced value, and no array that f made and stored none in."""
    return isinstance(x, Tracer) and type(x) is not Blank and type(x) is not Spoiled


def renewed(rebuild: Rebuild, values: list[Any]) -> tuple[Any, list[Any]]:
    """rebuild(values), and all functions and containers that were made anew for it."""
    return rebuild.renewed(values) if isinstance(rebuild, _Pattern) else (rebuild(values), [])


def _same(f: Callable[..., Any], values: list[Any]) -> Any:
    return f


class _Pattern:
    """A function with places, made anew with values by a call."""

    def __init__(self, function: Any, places: list[_Place], parts: list[Any]) -> None:
        self.function = function
        self.known = {id(place): k for k, place in enumerate(places)}
        self.holding = set(map(id, parts))
        self.alive = places, parts  # so that these ids stay theirs

    def __call__(self, values: list[Any]) -> Any:
        return self.renewed(values)[0]

    def renewed(self, values: list[Any]) -> tuple[Any, list[Any]]:
        renewal = _Renewal(self.known, self.holding, values)
        return renewal.new(self.function), list(renewal.made.values())


class _Renewal:
    """Functions and containers with other values in place of the traced ones."""

    def __init__(self, known: dict[int, int], holding: set[int], values: list[Any]) -> None:
        self.known, self.holding, self.values = known, holding, values
        self.made: dict[int, Any] = {}

    def new(self, x: Any) -> Any:
        if id(x) in self.known:
            return self.values[self.known[id(x)]]
        if id(x) not in self.holding:
            return x
        if id(x) not in self.made:
            self.made[id(x)] = _remade(x, self.new, self.made)
        return self.made[id(x)]


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
