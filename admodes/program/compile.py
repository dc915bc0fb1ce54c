"""`compile`: trace once for each kind of arguments, then run flat code."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import pytree
from ..tracing import Tracer
from .emit import emit, is_scalar
from .passes import optimise
from .program import GuardFailed, Program, trace

# Traces kept of one function; more of them mean that the code branches on values too often to be worth tracing.
TRACES = 64


class Runner:
    """One optimised program with the workspace arrays it owns."""

    __slots__ = ("float_function", "function", "pool", "program", "structure")

    def __init__(self, program: Program) -> None:
        self.float_function = emit(program, scalars=True).function if is_scalar(program) else None
        self.program = optimise(program)
        self.function = self.program.function
        self.structure = program.out_structure
        self.pool: list[list[np.ndarray]] = []

    def __call__(self, arrays: list[Any]) -> Any:
        """The result for input arrays. Threads and recursive calls take workspaces of their own."""
        if self.program.workspace:
            try:
                space = self.pool.pop()
            except IndexError:
                space = [np.empty(v.shape, v.dtype) for v in self.program.workspace]
            out = self.function(*arrays, *space)
            self.pool.append(space)
        elif self.float_function is not None:
            try:
                out = self.float_function(*map(float, arrays))
            except (ValueError, ZeroDivisionError, OverflowError):  # where NumPy gives nan or inf
                out = self.function(*arrays)
        else:
            out = self.function(*arrays)
        return out[0] if self.structure is None else pytree.unflatten(self.structure, out)


def compile(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: f traced on first use for each kind of arguments, then run as flat code.

    One trace serves all arguments of the same shapes, dtypes and tree structure that take the same branches; ints,
    strings and other leaves that are no float arrays are part of the kind. A branch on a traced value becomes a guard,
    and where it goes another way f is traced again; after 64 traces a warning says so, and f runs untraced.
    What f reads beside its arguments (globals, closures) is taken as it was when f was traced.

    Returns
    -------
    A function with the results of f, in arrays of their own. Under grad, jvp and all other transforms, and under trace,
    f itself runs, so a compiled function can be differentiated; compile the derivative to have it flat: compile(grad(f)).

    >>> import numpy as np
    >>> from admodes import grad
    >>> fast = compile(grad(lambda x: np.sum(np.tanh(x) ** 2)))
    >>> fast(np.array([0.0, 1.0]))
    array([0.        , 0.63970001])
    """
    runners: dict[Any, list[Runner]] = {}

    @functools.wraps(f)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        key: list[Any] = []
        arrays: list[Any] = []
        for a in args:
            kind = type(a)
            if kind is np.ndarray:
                key.append(a.shape)
                key.append(a.dtype.char)
            elif kind is float or kind is np.float64:
                key.append("d")
            else:
                break
            arrays.append(a)
        else:
            if not kwargs:
                known = runners.get(tuple(key))
                if known is not None:
                    try:
                        return known[0](arrays)
                    except GuardFailed:
                        return _other_branch(f, known, arrays, args, {})
                if not any(isinstance(a, np.ndarray) and a.dtype.kind not in "fciub" for a in args):
                    runners[tuple(key)] = known = []
                    return _other_branch(f, known, arrays, args, {})
        return _general(f, runners, args, kwargs)

    return compiled


def _general(f: Callable[..., Any], runners: dict[Any, list[Runner]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Trees, keywords, static leaves: the kind of the arguments by their leaves."""
    leaves, structure = pytree.flatten((args, kwargs))
    if any(isinstance(x, Tracer) for x in leaves):
        return f(*args, **kwargs)
    arrays = [x for x in leaves if _is_array(x)]
    key = (structure, tuple(_kind(x) for x in leaves))
    try:
        known = runners.setdefault(key, [])
    except TypeError as error:
        raise TypeError(f"compile: an argument of {f.__name__} that is no array must be hashable: {error}") from None
    for runner in known:
        try:
            return runner(arrays)
        except GuardFailed:
            continue
    return _other_branch(f, known, arrays, args, kwargs)


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic | float | complex) and np.result_type(x).kind in "fciub"


def _kind(x: Any) -> Any:
    return (np.shape(x), np.result_type(x).char) if _is_array(x) else ("static", type(x), x)


def _other_branch(f: Callable[..., Any], known: list[Runner], arrays: list[Any], args: Any, kwargs: Any) -> Any:
    """Try the traces there are; else trace once more."""
    for k, runner in enumerate(known):
        try:
            out = runner(arrays)
        except GuardFailed:
            continue
        known.insert(0, known.pop(k))  # the branch taken last is tried first
        return out
    if len(known) >= TRACES:
        if len(known) == TRACES:
            known.append(known[-1])
            warnings.warn(
                f"{f.__name__} was traced {TRACES} times for arguments of one kind, each time along other branches; it runs "
                "untraced from now on for new ones. Write the branch with np.where, or do not compile it.",
                stacklevel=4,
            )
        return f(*args, **kwargs)
    if kwargs:
        runner = Runner(trace(lambda positional, named: f(*positional, **named), args, kwargs))
    else:
        runner = Runner(trace(f, *args))
    known.insert(0, runner)
    return runner(arrays)
