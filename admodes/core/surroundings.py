"""A function with the arrays around it lent: of those in its closure, defaults and globals, what `a.copy()` and `2 * a`
give may then be filled with traced values, as of arguments.

ndarray's own methods cannot be told of a watched run (see `creation`).  So f is called as a copy of its function, whose
cells hold `Blank`s of these arrays, which share their memory, and whose globals are looked up in a dict that gives
such; NumPy's creation functions, bound there beforehand, are as f is to have them.  The cells and the dict of the
module are left alone: nothing is seen elsewhere.  That f, or what it calls, binds one of these variables anew
meanwhile would be lost on one side; it is found when f is done, and is an error.
Attributes are not lent: an object with other ones would be another object.
"""

from __future__ import annotations

import dis
import functools
import os
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from .blank import LENT, Blank
from .errors import Detached

_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
_NATIVE = frozenset({type(np.asarray), type(np.copy)})
_LENDABLE = frozenset({ndarray, list, tuple, dict, *_FUNCTIONS})
_REPLACED = _LENDABLE | _NATIVE


class Surroundings:
    """Copies of functions, and what stands in them for the arrays around."""

    def __init__(self, of_user: Callable[[str], bool], creations: Mapping[int, Any]) -> None:
        self.of_user = of_user
        self.creations = creations  # id of a creation function of NumPy -> as f is to have it
        self._lent: dict[int, tuple[Any, Any]] = {}  # id -> what is lent, and as what
        self._cells: list[tuple[str, types.CellType, types.CellType, Any, Any]] = []
        self._contents: list[tuple[Any, Any]] = []

    def function(self, f: Any) -> Any:
        """What is called in the place of f, a function or an object with a method for that."""
        if type(f) is types.FunctionType:
            return self._copy(f)
        call = vars(type(f)).get("__call__")
        return self.lend(types.MethodType(call, f) if type(call) is types.FunctionType else f)

    def lend(self, x: Any, arrays: bool = True) -> Any:
        """x, or what stands for it."""
        kind = type(x)
        if kind in _NATIVE and arrays:
            return self.creations.get(id(x), x)
        if kind not in (_LENDABLE if arrays else _FUNCTIONS):
            return x
        if id(x) not in self._lent:
            self._lent[id(x)] = x, x
            new = self._made(x, kind)
            self._lent[id(x)] = x, new
        return self._lent[id(x)][1]

    def _made(self, x: Any, kind: type) -> Any:
        if kind is ndarray:
            return Blank(x, LENT) if x.dtype.kind in "fc" else x
        if kind is types.FunctionType:
            return self._copy(x) if self._is_users(x) or hasattr(x, "_of") else x
        if kind is types.MethodType:
            return types.MethodType(self.lend(x.__func__), x.__self__)
        if kind is functools.partial:
            return functools.partial(
                self.lend(x.func), *map(self.lend, x.args), **{k: self.lend(v) for k, v in x.keywords.items()}
            )
        parts = list(x.values() if kind is dict else x)
        lent = [self.lend(part) for part in parts]
        if all(new is old for new, old in zip(lent, parts, strict=True)):
            return x
        if kind is tuple:
            return tuple(lent)
        new = dict(zip(x, lent, strict=True)) if kind is dict else lent
        self._contents += [(x, x.copy()), (new, new.copy())]
        return new

    def _is_users(self, f: types.FunctionType) -> bool:
        return self.of_user(f.__globals__.get("__name__", ""))

    def _copy(self, f: types.FunctionType) -> types.FunctionType:
        """Of a function of ours only the functions in its closure are lent."""
        users, names = self._is_users(f), f.__globals__
        if users and not _binds_globals(f.__code__):
            names = _Globals(names, self.lend)
        old = f.__closure__ or ()
        cells = tuple(types.CellType() if _lendable(cell) else cell for cell in old)
        new = types.FunctionType(f.__code__, names, f.__name__, None, cells)
        self._lent[id(f)] = f, new  # it may refer to itself
        new.__dict__.update(f.__dict__)
        new.__qualname__, new.__module__ = f.__qualname__, f.__module__
        new.__defaults__ = f.__defaults__ and tuple(map(self.lend, f.__defaults__))
        new.__kwdefaults__ = f.__kwdefaults__ and {k: self.lend(v) for k, v in f.__kwdefaults__.items()}
        for name, cell, theirs in zip(f.__code__.co_freevars, cells, old, strict=True):
            if cell is not theirs:
                content = theirs.cell_contents
                cell.cell_contents = lent = self.lend(content, arrays=users)
                self._cells.append((name, theirs, cell, content, lent))
        return new

    def check(self, code: types.CodeType | None) -> None:
        """Raise if a variable is bound to something else by now, here or there, or a list holds other things."""
        for name, theirs, cell, content, lent in self._cells:
            if theirs.cell_contents is not content or cell.cell_contents is not lent:
                raise BoundAnew(code, name)
        for x, before in self._contents:
            now, then = (list(c.items() if isinstance(c, dict) else enumerate(c)) for c in (x, before))
            if len(now) != len(then) or any(k != j or a is not b for (k, a), (j, b) in zip(now, then, strict=True)):
                raise BoundAnew(code, f"a {type(x).__name__}")


class BoundAnew(Detached):
    """A variable around a function with lent surroundings is bound to something else when the function is done."""

    def __init__(self, code: types.CodeType | None, what: str) -> None:
        where = f"{os.path.basename(code.co_filename)}, line {code.co_firstlineno}: {code.co_name}" if code else "it"
        super().__init__("", "")
        self.args = (
            f"{where} copies an array from outside by its method, a.copy(), and stores traced values in the copy; "
            f"meanwhile {what}, which it reads from around it too, became another. Write np.copy(a) for a.copy().",
        )


class _Globals(dict[str, Any]):
    """The globals of a module, as they are when they are looked up, but for what is lent."""

    def __init__(self, names: dict[str, Any], lend: Callable[[Any], Any]) -> None:
        super().__init__(names)  # for what Python looks up otherwise: __name__, __builtins__, names in class bodies
        self.names, self.lend = names, lend

    def __getitem__(self, name: str) -> Any:
        return self.lend(self.names[name])


def _lendable(cell: types.CellType) -> bool:
    try:
        return type(cell.cell_contents) in _REPLACED
    except ValueError:  # a name that is not bound yet
        return False


@functools.lru_cache(maxsize=1024)
def _binds_globals(code: types.CodeType) -> bool:
    """Whether code, or a function written in it, binds globals or asks for all of them."""
    return (
        not {"globals", "exec", "eval"}.isdisjoint(code.co_names)
        or any(step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for step in dis.get_instructions(code))
        or any(_binds_globals(c) for c in code.co_consts if isinstance(c, types.CodeType))
    )
