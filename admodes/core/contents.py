"""What an object holds, as a key: equal for objects in which a function finds the same.

A program is for the objects that it was traced with, and an object may hold something else at the next call.  What it
holds is read as `copy` and `pickle` read it, part by part; functions, modules and the classes of libraries are known by
identity, and the user's own classes by their attributes too.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from .creation import is_users
from .dispatch import is_memory
from .fingerprint import fingerprint
from .pytree import follows
from .views import Cell

# Values that never change, equal where they mean the same.
CONSTANTS = frozenset({int, bool, str, bytes, range, type(None), type(...)})
_BY_IDENTITY = (type, types.FunctionType, types.ModuleType, np.ufunc)


class Opaque(TypeError):
    """What an object holds cannot be known: it is read once, or stands for something outside of Python."""

    def __init__(self, x: Any) -> None:
        kind = type(x)
        once = " is read once, and" if isinstance(x, Iterator) else ""
        super().__init__(
            f"a {kind.__module__}.{kind.__qualname__}{once} does not tell what it holds. Give arrays, numbers, lists, "
            "dicts or dataclasses of them (list(it) of an iterator); what stays as it is, f can read from its closure."
        )


def contents(x: Any) -> Any:
    """The key of what x holds; raises `Opaque` where that cannot be known.

    >>> class Model:
    ...     def __init__(self, k):
    ...         self.k = k
    >>> contents(Model(1)) == contents(Model(1)), contents(Model(1)) == contents(Model(2))
    (True, False)
    """
    try:
        return (type(x), x) if type(x) in CONSTANTS else _Reader()(x)
    except RecursionError:
        raise Opaque(x) from None


def duplicates(objects: list[Any]) -> list[Any]:
    """Copies of objects with all that they hold; what they share, their copies share."""
    reader = _Reader()
    reader(objects)
    return copy.deepcopy(objects, {id(x): x for x in reader.fixed})


class _Reader:
    def __init__(self) -> None:
        self.seen: dict[int, tuple[int, Any]] = {}  # by identity: the number of an object, which is held meanwhile
        self.fixed: list[Any] = []

    def __call__(self, x: Any) -> Any:
        kind = type(x)
        if kind in CONSTANTS:
            return kind, x
        if kind is float or kind is complex:
            return kind, repr(x)  # −0.0 is not 0.0, and nan is nan
        if kind is slice:
            return kind, *[part if type(part) in CONSTANTS else self(part) for part in (x.start, x.stop, x.step)]
        if issubclass(kind, Cell):
            return kind, id(x)
        if id(x) in self.seen:
            return self.seen[id(x)][0]
        self.seen[id(x)] = len(self.seen), x
        if issubclass(kind, _BY_IDENTITY):
            self.fixed.append(x)
            return kind, x, self._class(x) if kind is type and is_users(x.__module__) else ()
        if kind is list or kind is tuple:
            return kind, tuple([self(part) for part in x])
        if kind is set or kind is frozenset:
            return kind, frozenset(map(self, x))
        if kind is dict:
            return kind, tuple([(self(name), self(part)) for name, part in x.items()])
        if is_memory(x) and kind.__reduce__ is np.ndarray.__reduce__:
            beside = None if issubclass(kind, np.memmap) else getattr(x, "__dict__", None)
            return kind, self._array(np.asarray(x)), self(beside)
        return kind, self._object(x, kind)

    def _class(self, kind: type) -> Any:
        """The attributes of the user's own among a class and its bases, but for functions and properties."""
        return tuple(
            (name, self._attribute(part))
            for base in kind.__mro__
            if is_users(base.__module__)
            for name, part in vars(base).items()
            if name[:2] != "__" and not callable(part) and not hasattr(type(part), "__get__")
        )

    def _attribute(self, part: Any) -> Any:
        """An attribute of a class, of which one that does not tell what it holds (a lock) is known by identity."""
        try:
            return self(part)
        except Opaque:
            return id(part)

    def _array(self, x: Any) -> Any:
        if x.dtype.hasobject:
            return x.shape, self(x.ravel().tolist())
        return x.shape, x.strides, x.dtype, fingerprint(x)

    def _object(self, x: Any, kind: type) -> Any:
        if isinstance(x, Iterator):
            raise Opaque(x)
        try:
            made = x.__reduce_ex__(4)
        except Exception as error:  # a lock, a file, what a class of its own forbids
            raise Opaque(x) from error
        if isinstance(made, str):  # the name of something that is there once
            return made
        function, args, state, *items = (*made, None, None, None)[:5]
        if type(state) is dict:
            state = {name: part for name, part in state.items() if not follows(kind, name)}
        parts = [tuple([self(part) for part in found or ()]) for found in items]
        return self(function), self(args), self(state), *parts
