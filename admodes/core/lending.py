"""Arguments by value: what a function is given beside the arrays that it is differentiated by, and may write to."""

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
from .pytree import flatten, unflatten
from .raw import TRIED, left, writes_raw
from .tracing import Tracer
from .views import clone, duplicate


def lent(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any], Loans | None]:
    """The arguments of f that it is not differentiated by, by value: f may run again, and the caller's arrays stay.

    Small arrays are copies, and all are where f was found to write to them; else a large one is a view that cannot be
    written to, and where f tries it runs again.  In a watched run what is made of them may be filled.
    The third result, if any, is to be told when f is done: `Loans.returned`.
    """
    copied = creation._AS_WRITTEN.get() or (bool(creation._WRITING) and id(creation._code(f)) in creation._WRITING)
    lend = _Lending(copied, creation._WATCHED.get() is not None, f)
    full, named = [lend(a) for a in args], {name: lend(a) for name, a in kwargs.items()} if kwargs else kwargs
    return full, named, lend.loans


def by_value(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """f(*args, **kwargs) under the transforms there are, with its arguments `lent`."""
    known = len(creation._WRITING)
    try:
        return lending(f, args, kwargs)
    except Exception as error:
        if not creation._wrote(f, error, known):
            raise
    return lending(f, args, kwargs)


def lending(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """f of `lent` arguments, once."""
    full, named, loans = lent(f, args, kwargs)
    y = f(*full, **named)
    if loans is not None:
        loans.returned()
    return y


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
    def __init__(self, copied: bool, watched: bool, f: Any) -> None:
        self.copied, self.watched, self.f = copied, watched, f
        self.loans: Loans | None = None

    def __call__(self, a: Any) -> Any:
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
        if kind is list or kind is tuple or kind is dict:  # of arrays and numbers; others may be the caller's records
            leaves, structure = flatten(a)
            kinds = {*map(type, leaves)}
            if structure is not None and ndarray in kinds and all(k in _PARTS or issubclass(k, Tracer) for k in kinds):
                return unflatten(structure, [self(x) for x in leaves])
        return a

    def array(self, a: Any) -> Any:
        if a.flags.writeable:
            if self.copied or a.nbytes <= _SMALL:
                a = duplicate(a) if type(a) is ndarray else a.copy(order="K")
            elif (code := creation._code(self.f)) is not None and id(code) not in TRIED:
                a = duplicate(a) if type(a) is ndarray else a.copy(order="K")
                self.loans = self.loans or Loans(self.f, code)
                self.loans.copies.append((fingerprint(a), a))
            else:
                a = a.view()
                a.flags.writeable = False
        return Blank(a, LENT) if self.watched and type(a) is ndarray and a.dtype.kind in "fc" else a


_PARTS = frozenset({ndarray, Blank, int, float, complex, bool, str, np.float64, np.float32, np.int64, type(None)})
