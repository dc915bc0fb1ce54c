"""Names and literals of flat code: what values, constants and functions are called in it."""

from __future__ import annotations

import itertools
import keyword
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..primitives import Place
from ..recording import Value
from ..straightline import StraightLine

# What flat code reads by these names is not to be hidden behind an argument.
_RESERVED = ("np", "math", "same", "GuardFailed", "float", "slice", *keyword.kwlist)


class Namer:
    """Names for values, literals for constants; what has no literal becomes a named constant."""

    def __init__(self, program: StraightLine, reserved: Iterable[str] = (), direct: bool = False) -> None:
        self.program = program
        self.direct = direct  # exp(x) with `from numpy import exp`, which saves a lookup, for np.exp(x)
        self.imported: dict[str, None] = {}
        if direct:
            reserved = [
                "zeros",
                "empty",
                *(name[3:] for name in {public_name(i.op) for i in program.instructions} if name),
            ]
        self.names: dict[Value, str] = {}
        self.constants: dict[str, Any] = {}
        self._ids: dict[int, str] = {}
        self.taken = {*_RESERVED, *reserved}
        self.helpers: dict[Any, str] = {}  # functions that are not NumPy's public ones
        name = program.name if program.name.isidentifier() else "f"
        self.function = self._free(name)
        self.workspace = [self.take(v, f"w{k}") for k, v in enumerate(program.workspace)]
        for v in program.inputs:
            self.take(v, v.name if v.name.isidentifier() else "x")
        self._counter = itertools.count()

    def _free(self, name: str) -> str:
        """The name, or with a number behind it where it is taken."""
        if name[0].isdigit():
            name = f"_{name}"
        unique, k = name, 1
        while unique in self.taken:
            unique, k = f"{name}_{k}", k + 1
        self.taken.add(unique)
        return unique

    def take(self, v: Value, name: str) -> str:
        """Call a value by a name, with a number behind it where that is taken."""
        self.names[v] = self._free(name)
        return self.names[v]

    def new(self, v: Value) -> str:
        """The name of a value that is about to be computed."""
        if v in self.names:
            return self.names[v]
        for prefix, of in (("grad", v.adjoint_of), ("dot", v.tangent_of)):
            primal = self.names.get(of) if of is not None else None
            if primal is not None and primal.isidentifier():
                return self.take(v, f"{prefix}_{primal}")
        return self.take(v, v.called or f"t{next(self._counter)}")

    def text(self, x: Any, wide: bool = True) -> str:
        """An argument as an expression; wide: every array beside it is of double precision."""
        if isinstance(x, Value):
            return self.names[x]
        if type(x) is Place:
            return self.workspace[x.number]
        if isinstance(x, tuple):
            inner = ", ".join(self.text(e) for e in x)
            return f"({inner},)" if len(x) == 1 else f"({inner})"
        if isinstance(x, list):
            return f"[{', '.join(self.text(e) for e in x)}]"
        if isinstance(x, slice):
            return f"slice({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        if x is Ellipsis:
            return "..."
        if x is None or (isinstance(x, str | bool | int) and not isinstance(x, np.generic)):
            return repr(x)
        if isinstance(x, np.dtype) and getattr(np, x.name, None) is x.type:
            return f"np.{x.name}"
        if isinstance(x, np.float64) and not wide:
            return self.constant(x)
        if isinstance(x, float):  # np.float64 too: beside doubles it promotes as a Python float does
            return repr(float(x)) if math.isfinite(x) else f"float('{float(x)}')"
        return self.constant(x)

    def constant(self, x: Any) -> str:
        """The name of a constant that has no literal."""
        if id(x) not in self._ids:
            name = self.program.captured.get(id(x), "")
            self._ids[id(x)] = name = self._free(name if name.isidentifier() else f"c{len(self.constants)}")
            self.constants[name] = x
        return self._ids[id(x)]

    def called(self, op: Any) -> str:
        """The function of an operation, by its public name or as a helper."""
        name = public_name(op)
        if name is None and op not in self.helpers:
            self.helpers[op] = self._free("".join(c if c.isalnum() else "_" for c in op.name).strip("_") or "op")
        return self.numpy(name) if name else self.helpers[op]

    def numpy(self, name: str) -> str:
        """A function np.… of NumPy as flat code calls it."""
        if not self.direct or name.count(".") > 1:
            return name
        self.imported[name[3:]] = None
        return name[3:]


# Functions that run under another name: np.empty_like is to leave zeros, not whatever is in memory.
_OTHERWISE = {np.empty_like: "np.zeros_like"}


def public_name(op: Any) -> str | None:
    """np.… of a function of NumPy's, else None."""
    fn = op.fn
    if fn in _OTHERWISE:
        return _OTHERWISE[fn]
    for place, prefix in ((np, "np."), (np.linalg, "np.linalg."), (np.fft, "np.fft.")):
        name = getattr(fn, "__name__", "")
        if getattr(place, name, None) is fn:
            return prefix + name
    return None
