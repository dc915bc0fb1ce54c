"""`trace`: a function, or any derivative of one, as straight-line code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import pytree
from ..tracing import Tracer
from .cost import Cost, cost_of
from .recording import Instruction, Recorder, Symbol, Value, ground, uncollected


class GuardFailed(RuntimeError):
    """A branch that the program took for granted goes the other way for these inputs."""


@dataclass(frozen=True)
class Program:
    """Straight-line code: what one run of a function did, instruction by instruction.

    `print(program)` lists the instructions with shapes, `program.source` is flat Python that runs, `program(*args)`
    runs it, `program.cost` counts it, `program.to_dot()` and `program.draw()` show the graph. Made by `trace`.
    """

    name: str
    inputs: tuple[Value, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Any, ...]  # values, or constants
    in_structure: Any
    static: tuple[Any, ...]  # the leaves of the arguments that are no arrays, None where there is an input
    out_structure: Any
    workspace: tuple[Value, ...] = field(default=())

    def with_(self, **changes: Any) -> Program:
        """The program with some fields changed."""
        return replace(self, **changes)

    def __call__(self, *args: Any) -> Any:
        """Run on arguments of the shapes, dtypes and structure it was traced for.

        Raises
        ------
        TypeError : arguments of another structure, shape or dtype.
        GuardFailed : a branch on a value goes another way than when it was traced.
        """
        space = [np.empty(v.shape, v.dtype) for v in self.workspace]
        return pytree.unflatten(self.out_structure, list(self.function(*self.checked(args), *space)))

    def checked(self, args: tuple[Any, ...]) -> list[Any]:
        """The arrays and scalars of the arguments, in the order of the inputs; raises as a call does."""
        leaves, structure = pytree.flatten(args)
        if structure != self.in_structure or len(leaves) != len(self.static):
            raise TypeError(f"{self.name}: traced for arguments {self.in_structure}, called with {structure}")
        given = iter(self.inputs)
        chosen = []
        for x, constant in zip(leaves, self.static, strict=True):
            if constant is None:
                chosen.append(self._checked(x, next(given)))
            elif type(x) is not type(constant) or x != constant:
                raise TypeError(f"{self.name}: traced for the argument {constant!r}, called with {x!r}")
        return chosen

    def _checked(self, x: Any, v: Value) -> Any:
        """The argument for an input as an array or scalar; else an error."""
        x = as_input(x) if is_input(x) else x
        if not isinstance(x, np.ndarray | np.generic | Tracer) or (x.shape, x.dtype) != (v.shape, v.dtype):
            kind = f"{x.dtype}{list(x.shape)}" if hasattr(x, "dtype") else f"a {type(x).__name__}"
            raise TypeError(
                f"{self.name}: the argument {v.name} was traced as {v.dtype}{list(v.shape)}, called with {kind}; "
                "trace again, or use admodes.compile."
            )
        return x

    @cached_property
    def _code(self) -> Any:
        from .emit import emit

        return emit(self)

    @property
    def function(self) -> Callable[..., Any]:
        """The flat code as a function of the input arrays, returning a tuple of outputs."""
        return self._code.function

    @property
    def source(self) -> str:
        """The flat code: runnable Python, forward part first, backward part after its comment."""
        return self._code.source

    @property
    def namespace(self) -> dict[str, Any]:
        """What the source needs beside NumPy: large constants and the few helpers that NumPy lacks."""
        return self._code.namespace

    @cached_property
    def cost(self) -> Cost:
        """Flops, multiply-adds, bytes, peak bytes and operations, exact, from shapes alone."""
        return cost_of(self)

    def __str__(self) -> str:
        from .emit import listing

        return listing(self)

    __repr__ = __str__

    def __len__(self) -> int:
        return len(self.instructions)

    def to_dot(self) -> str:
        """The graph in the DOT language."""
        from .draw import to_dot

        return to_dot(self)

    def draw(self, *args: Any, path: Any = None) -> Any:
        """Draw the graph with matplotlib; see `admodes.program.draw.draw`."""
        from .draw import draw

        return draw(self, *args, path=path)


def trace(f: Callable[..., Any], *args: Any) -> Program:
    """Run f once and write down what it does, as a `Program`.

    Parameters
    ----------
    f : a function in plain NumPy, or any derivative of one: grad(f), jacfwd(f), hessian(f), …
    *args : its arguments; float, integer and boolean arrays and Python floats become inputs of the program, all other
        leaves (ints, strings) are part of it.

    Returns
    -------
    Program : print it, run it, count it (`.cost`), read its `.source`.

    Source: seed 002, "flat code"; seed 003, 13.3.4: the static graph beside the one built on the fly.

    >>> import numpy as np
    >>> from admodes import grad
    >>> program = trace(grad(lambda x, y: (x + y) * x), 3.0, 4.0)
    >>> float(program(3.0, 4.0))
    10.0
    """
    return record(f, args, {})


def record(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], strict: bool = True) -> Program:
    """`trace`, with keyword arguments too: the structure of the inputs is then that of (args, kwargs).

    Not strict: traced values of transforms around, as arguments or in closures, count as the plain values they have.
    """
    leaves, in_structure = pytree.flatten((args, kwargs) if kwargs else args)
    leaves = leaves if strict else [ground(x) for x in leaves]
    recorder = Recorder(strict)
    symbols = [
        recorder.input(as_input(x), name) if is_input(x) else x
        for x, name in zip(leaves, _names(f, args, kwargs), strict=True)
    ]
    given = pytree.unflatten(in_structure, symbols)
    try:
        with uncollected():
            result = f(*given[0], **given[1]) if kwargs else f(*given)
        out, out_structure = pytree.flatten(result)
        out = [recorder.node(pytree.result(y, "the result")) for y in out]
    finally:
        recorder.closed = True
    return Program(
        name=getattr(f, "__name__", "f"),
        inputs=tuple(s.node for s in symbols if isinstance(s, Symbol) and s.transform is recorder),
        instructions=tuple(recorder.instructions),
        outputs=tuple(out),
        in_structure=in_structure,
        static=tuple(None if is_input(x) else x for x in leaves),
        out_structure=out_structure,
    )


def is_input(x: Any) -> bool:
    """Whether a leaf of the arguments becomes an input: arrays and scalars of numbers, Python floats and complexes."""
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype.kind in "fciub"
    return type(x) in (float, complex)


def as_input(x: Any) -> Any:
    """An input as a plain array or a scalar of NumPy."""
    return x if type(x) is np.ndarray else np.asarray(x) if isinstance(x, np.ndarray) else np.asarray(x)[()]


def _names(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """A name for every leaf of the arguments: the parameter's, with the key or place behind it."""
    try:
        parameters = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (0, 1)]
    except (TypeError, ValueError):  # builtins and ufuncs tell no signature
        parameters = []
    names = []
    given = [(parameters[i] if i < len(parameters) else f"x{i}", arg) for i, arg in enumerate(args)]
    for base, arg in [*given, *sorted(kwargs.items())]:  # a tree has the leaves of a dict in the order of its keys
        count = len(pytree.flatten((arg,))[0])
        names += [base] if count == 1 else [f"{base}_{k}" for k in pytree.labels(arg)]
    return _distinct(names)


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out
