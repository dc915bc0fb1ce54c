"""Arrays that a function reads from around it, and whether it changes them in place: it must not be run again then,
or they must be put back.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .dispatch import is_memory
from .errors import Detached
from .fingerprint import fingerprint


class Captured:
    """The arrays in f's closure, defaults, globals and object, and in those of the functions among these."""

    def __init__(self, f: Callable[..., Any], of_user: Callable[[str], bool]) -> None:
        self.of_user = of_user
        self.seen: set[int] = set()
        self.changed = False
        self.arrays = [(name, a, fingerprint(a)) for name, a in self._arrays("", f)]

    def _arrays(self, name: str, x: Any) -> Iterator[tuple[str, Any]]:
        if id(x) in self.seen:
            return
        self.seen.add(id(x))
        if is_memory(x):
            if x.dtype.kind in "fciub":
                yield name, x
        elif isinstance(x, types.FunctionType):
            if self.of_user(x.__globals__.get("__name__", "")):
                for part in _around(x):
                    yield from self._arrays(*part)
        elif isinstance(x, types.MethodType):
            for inner in (x.__func__, x.__self__):
                yield from self._arrays("", inner)
        elif isinstance(x, functools.partial):
            for part in (x.func, *x.args, *x.keywords.values()):
                yield from self._arrays("", part)
        elif isinstance(x, list | tuple | dict):
            for part in list(x.values() if isinstance(x, dict) else x):
                yield from self._arrays(name, part)
        elif self.of_user(type(x).__module__):
            for part in list(getattr(x, "__dict__", {}).items()):
                yield from self._arrays(*part)

    def unchanged(self) -> None:
        """Raise if one of them holds something else by now."""
        for name, a, mark in self.arrays:
            if fingerprint(a) != mark:
                raise _twice(name, a)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """A run that counts as none: what it changes is put back, and `changed` says whether there was something."""
        before = self.contents()
        try:
            yield
        finally:
            self.put_back(before)

    def contents(self) -> list[Any]:
        """Copies, of small arrays alone: there may be gigabytes of data."""
        return [a.copy() if a.nbytes <= COPIED else None for _, a, _ in self.arrays]

    def put_back(self, contents: list[Any]) -> None:
        """Make the arrays as they were; raise where one without a copy is no longer."""
        for (name, a, mark), content in zip(self.arrays, contents, strict=True):
            if fingerprint(a) != mark:
                if content is None:
                    raise _twice(name, a)
                a[...] = content
                self.changed = True


COPIED = 1 << 20


def _twice(name: str, a: Any) -> Detached:
    name = name or "a"
    return Detached.told(
        f"the function changes an array from outside ({name}, of shape {a.shape}) in place and had to run a second "
        "time (to fill an array that it makes with traced values, to plan, or untraced): the change was made twice, "
        f"and the result would be that of the second. Change a copy in the function: {name} = np.copy({name})."
    )


def _around(f: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a name that is not bound yet
            continue
    yield from zip(f.__code__.co_varnames[: f.__code__.co_argcount][::-1], (f.__defaults__ or ())[::-1], strict=False)
    yield from (f.__kwdefaults__ or {}).items()
    for name in names(f.__code__):
        if name in f.__globals__:
            yield name, f.__globals__[name]


@functools.lru_cache(maxsize=4096)
def names(code: types.CodeType) -> frozenset[str]:
    """The names that code, and the functions written in it, may look up among the globals."""
    return frozenset(code.co_names).union(*(names(c) for c in code.co_consts if isinstance(c, types.CodeType)))
