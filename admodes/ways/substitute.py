"""A copy of a function in which another library's namespace stands where NumPy stood.

autograd.numpy, jax.numpy and torch have functions of the same names, but must be called by their own: so `np` in the
globals of the function, and of the functions of its own that it calls, is another module in the copy.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

_MISSING = object()


def substituted(f: Callable[..., Any], namespace: Any, array: Callable[[np.ndarray], Any] | None = None) -> Any:
    """A copy of f that calls a namespace where f calls NumPy.

    Parameters
    ----------
    namespace : what stands for the module numpy. A function or submodule that it lacks stays NumPy's.
    array : makes the library's own of the arrays that f reads from globals, closures and defaults; None leaves them.

    >>> import types
    >>> loud = types.SimpleNamespace(sin=lambda x: f"sin of {x}")
    >>> def f(x):
    ...     return np.sin(x)
    >>> substituted(f, loud)(1)
    'sin of 1'
    """
    return _Copier(namespace, array).value(f)


class _Copier:
    """Copies functions once each, so that those that call each other still do."""

    def __init__(self, namespace: Any, array: Callable[[np.ndarray], Any] | None) -> None:
        self.namespace, self.array = namespace, array
        self.known: dict[int, Any] = {}

    def value(self, x: Any) -> Any:
        """What stands for a value that a function reads."""
        if isinstance(x, types.FunctionType):
            return self.function(x) if _own(x) else self.counterpart(x)
        if isinstance(x, types.ModuleType | np.ufunc) or (callable(x) and _of_numpy(x)):
            return self.counterpart(x)
        if isinstance(x, functools.partial):
            keywords = {name: self.value(v) for name, v in x.keywords.items()}
            return functools.partial(self.value(x.func), *map(self.value, x.args), **keywords)
        if type(x) is np.ndarray and self.array is not None and x.dtype.kind in "fc":
            return self.array(x)
        if type(x) in (list, tuple) and any(callable(part) for part in x):  # layers
            return type(x)(map(self.value, x))
        return x

    def counterpart(self, x: Any) -> Any:
        """The namespace's own of a module or function of NumPy; itself where there is none."""
        if x is np:
            return self.namespace
        name = getattr(x, "__name__", "")
        if isinstance(x, types.ModuleType):
            parts = name.removeprefix("numpy.").split(".") if name.startswith("numpy.") else []
        elif _of_numpy(x):
            inside = (getattr(x, "__module__", None) or "numpy").removeprefix("numpy").strip(".")
            public = inside if inside in ("linalg", "fft") else ""
            parts = [*filter(None, [public]), name]
        else:
            parts = []
        found = self.namespace if parts else x
        for part in parts:
            found = getattr(found, part, _MISSING)
            if found is _MISSING:
                return x
        return found

    def function(self, f: types.FunctionType) -> Any:
        if id(f) in self.known:
            return self.known[id(f)]
        space: dict[str, Any] = dict(f.__globals__)
        cells = tuple(types.CellType() for _ in f.__closure__ or ())
        copy = types.FunctionType(f.__code__, space, f.__name__, None, cells or None)
        self.known[id(f)] = copy
        for name in _names(f.__code__):
            if name in space:
                space[name] = self.value(space[name])
        for cell, old in zip(cells, f.__closure__ or (), strict=True):
            try:
                cell.cell_contents = self.value(old.cell_contents)
            except ValueError:  # not assigned yet
                continue
        copy.__defaults__ = None if f.__defaults__ is None else tuple(map(self.value, f.__defaults__))
        copy.__kwdefaults__ = f.__kwdefaults__ and {k: self.value(v) for k, v in f.__kwdefaults__.items()}
        return copy


def _names(code: types.CodeType) -> set[str]:
    """The global names that code reads, functions inside of it among them."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _own(f: types.FunctionType) -> bool:
    """Whether a function is the user's: not one of NumPy, of the standard library or of an installed package."""
    if inspect.isbuiltin(f) or _of_numpy(f):
        return False
    root = (f.__module__ or "").partition(".")[0]
    file = f.__code__.co_filename
    return root not in sys.stdlib_module_names and "site-packages" not in file


def _of_numpy(x: Any) -> bool:
    return isinstance(x, np.ufunc) or (getattr(x, "__module__", None) or "").partition(".")[0] == "numpy"
