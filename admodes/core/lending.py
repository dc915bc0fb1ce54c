"""Arguments by value: what a function is given beside the arrays that it is differentiated by, and may write to; and
results that are arrays of their own."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np
from numpy import ndarray

from . import creation
from .blank import LENT, Blank
from .dispatch import is_memory
from .fingerprint import fingerprint
from .pytree import flatten, tree_map, unflatten
from .raw import TRIED, left, writes_raw
from .tracing import Tracer
from .views import clone, duplicate, ground, on_ground


def lent(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any], Loans | None]:
    """The arguments of f that it is not differentiated by, by value: f may run again, and the caller's arrays stay.

    Small arrays are copies, and all are where f was found to write to them; else a large one is a view that cannot be
    written to, and where f tries it runs again.  In a watched run what is made of them may be filled.
    The third result, if any, is to be told when f is done: `Loans.returned`.
    """
    lend = _Lending(_copied(f), creation._WATCHED.get() is not None, f, LENT)
    full, named = [lend(a) for a in args], {name: lend(a) for name, a in kwargs.items()} if kwargs else kwargs
    return full, named, lend.loans


def by_value(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """f(*args, **kwargs) under the transforms there are, for trees that are given to f alone.

    The arrays in them are as those of `lent`, traced ones in memory of their own; f may store traced values in them.
    """
    known = len(creation._WRITING)
    try:
        return _given(f, args, kwargs)
    except Exception as error:
        if not creation._wrote(f, error, known):
            raise
    return _given(f, args, kwargs)


def _given(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    leaves, structure = flatten((args, kwargs))
    lend = _Lending(_copied(f), creation._WATCHED.get() is not None, f, None)
    args, kwargs = unflatten(structure, [lend.leaf(x) for x in leaves])
    y = f(*args, **kwargs)
    if lend.loans is not None:
        lend.loans.returned()
    return y


def owned(tree: Any) -> Any:
    """A result with arrays of its own: none of them, traced or not, shares memory with an argument or another."""
    return tree_map(_owned, tree)


def _owned(x: Any) -> Any:
    if type(x) is Blank:
        return Blank(duplicate(x.value))
    g = ground(x)
    return on_ground(clone(x), duplicate(g)) if type(g) is ndarray else clone(x)


def _copied(f: Any) -> bool:
    """Whether f has copies of large arrays too."""
    return creation._AS_WRITTEN.get() or (bool(creation._WRITING) and id(creation.code_of(f)) in creation._WRITING)


# Arrays of at most this many bytes are copied as fast as viewed.
_SMALL = 1 << 12


class Loans:
    """Copies of large arguments that a function has the first time: does it change them in a way that NumPy allows for
    views that cannot be written to (see `raw`)?"""

    def __init__(self, f: Any, code: CodeType) -> None:
        self.f, self.code = f, code
        self.copies: list[tuple[bytes, Any]] = []

    def returned(self) -> None:
        """f is done: it has views from now on, or copies."""
        if writes_raw(self.f, self.code) or not left(self.copies):
            creation._WRITING.setdefault(id(self.code), (self.code, len(creation._WRITING) + 1))
        else:
            TRIED[id(self.code)] = self.code


class _Lending:
    """owner: of the `Blank`s that are lent in a watched run."""

    def __init__(self, copied: bool, watched: bool, f: Any, owner: Any) -> None:
        self.copied, self.watched, self.f, self.owner = copied, watched, f, owner
        self.loans: Loans | None = None

    def __call__(self, a: Any) -> Any:
        kind = type(a)
        if kind is list or kind is tuple or kind is dict:  # of arrays and numbers; others may be the caller's records
            leaves, structure = flatten(a)
            kinds = {*map(type, leaves)}
            traced = {k for k in kinds if issubclass(k, Tracer)}
            if structure is not None and (traced or ndarray in kinds) and kinds - traced <= _PARTS:
                return unflatten(structure, [self.leaf(x) for x in leaves])
            return a
        return self.leaf(a)

    def leaf(self, a: Any) -> Any:
        kind = type(a)
        if kind is ndarray:
            return self.array(a)
        if kind is float:
            return a
        if kind is Blank:
            return self.array(a.value)
        if isinstance(a, Tracer):
            return clone(a)
        if is_memory(a):
            return self.array(a)
        return a

    def array(self, a: Any) -> Any:
        if a.flags.writeable:
            if self.copied or a.nbytes <= _SMALL:
                a = duplicate(a) if type(a) is ndarray else a.copy(order="K")
            elif (code := creation.code_of(self.f)) is not None and id(code) not in TRIED:
                a = duplicate(a) if type(a) is ndarray else a.copy(order="K")
                self.loans = self.loans or Loans(self.f, code)
                self.loans.copies.append((fingerprint(a), a))
            else:
                a = a.view()
                a.flags.writeable = False
        return Blank(a, self.owner) if self.watched and type(a) is ndarray and a.dtype.kind in "fc" else a


_PARTS = frozenset({ndarray, Blank, int, float, complex, bool, str, np.float64, np.float32, np.int64, type(None)})
