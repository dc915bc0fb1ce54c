"""What is asked of a comparison: a function at its arguments, the derivative that is wanted, and how far it may go.

The function is run twice before anything else: what would make every answer meaningless (arguments that it changes,
randomness, no result) is an error here, and not a riddle later.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..core import pytree
from ..transforms.arguments import SEVERAL, Argnums, chosen_leaves, partial_at

Target = Literal["auto", "gradient", "jacobian", "hessian", "jvp", "vjp", "hvp"]
TARGETS = get_args(Target)[1:]  # what may be asked for; "auto" is one of the first two

# A sparse answer of more numbers than these is not written out.
MOST_DENSE = 1 << 25

# Of the memory that is free, what a way may take where max_bytes is not given.
SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Question:
    """A function at its arguments and the derivative that is asked for.

    n and m are the sizes of the arguments to differentiate by and of the result, raveled; `direction` is the tangent of
    a jvp and hvp and the cotangent of a vjp, raveled; `value` is f's result and `seconds` what f itself took.
    """

    f: Callable[..., Any]
    layers: tuple[Callable[..., Any], ...]
    args: tuple[Any, ...]
    argnums: Argnums
    target: str
    leaves: tuple[Any, ...]
    value: Any
    direction: Any
    seconds: float
    max_bytes: float
    remarks: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return sum(int(x.size) for x in self.leaves)

    @functools.cached_property
    def m(self) -> int:
        return sum(int(np.size(y)) for y in pytree.flatten(self.value)[0])

    @functools.cached_property
    def chosen(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """f as a function of the arguments to differentiate by alone, and these."""
        return partial_at(self.f, self.argnums, self.args, {})

    @property
    def primals(self) -> tuple[Any, ...]:
        """The arguments to differentiate by."""
        return self.chosen[1]

    def like_primals(self, raveled: Any) -> tuple[Any, ...]:
        """A raveled vector of n numbers in the structure of the arguments to differentiate by."""
        return tuple(_folded(raveled, list(self.primals)))

    def like_value(self, raveled: Any) -> Any:
        """A raveled vector of m numbers in the structure of the result."""
        return _folded(raveled, self.value)

    @functools.cached_property
    def tangents(self) -> tuple[Any, ...]:
        return self.like_primals(self.direction)

    @functools.cached_property
    def cotangent(self) -> Any:
        return self.like_value(self.direction)

    @property
    def entries(self) -> int:
        """How many numbers the answer has."""
        return {"jacobian": self.m * self.n, "hessian": self.n**2, "jvp": self.m}.get(self.target, self.n)

    @property
    def itemsize(self) -> int:
        return max((int(x.dtype.itemsize) for x in self.leaves), default=8)

    @property
    def name(self) -> str:
        """What to call f in prose and in code."""
        if self.layers:
            return "layers"
        name = getattr(self.f, "__name__", "f")
        return name if name.isidentifier() else "f"

    @functools.cached_property
    def colourings(self) -> Colourings:
        """What coloured ways share."""
        return Colourings(self.f, self.args, self.argnums, self.target == "hessian")

    def flat(self, answer: Any) -> Any:
        """The numbers of an answer as one vector: a matrix row by row, result leaf by result leaf.

        A sparse matrix of more than MOST_DENSE numbers stays one.
        """
        if hasattr(answer, "toarray"):
            if answer.shape[0] * answer.shape[1] > MOST_DENSE:
                return answer
            answer = answer.toarray()
        parts = [np.asarray(a) for a in pytree.flatten(answer)[0]]
        if len(parts) == 1:
            return parts[0].reshape(-1)
        if self.target == "jacobian":
            return _rows(parts, [np.size(y) for y in pytree.flatten(self.value)[0]], [x.size for x in self.leaves])
        if self.target == "hessian":
            sizes = [x.size for x in self.leaves]
            return _rows(parts, sizes, sizes)
        return np.concatenate([p.reshape(-1) for p in parts])


def _rows(blocks: Sequence[Any], heights: Sequence[int], widths: Sequence[int]) -> Any:
    """Blocks, those of one row one after the other, as the entries of the whole matrix row by row."""
    left = iter(blocks)
    return np.block([[np.reshape(next(left), (h, w)) for w in widths] for h in heights]).reshape(-1)


def _folded(raveled: Any, tree: Any) -> Any:
    leaves, structure = pytree.flatten(tree)
    out, start = [], 0
    for x in leaves:
        size, dtype = int(np.size(x)), np.result_type(x)
        part = np.asarray(raveled[start : start + size], dtype if dtype.kind in "fc" else float)
        out.append(np.reshape(part, np.shape(x))[()])
        start += size
    return pytree.unflatten(structure, out)


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the positional parameters of f, as far as it tells them."""
    try:
        known = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (0, 1)]
    except (TypeError, ValueError):  # builtins and ufuncs tell no signature
        known = []
    return [known[i] if i < len(known) else "x" if count == 1 else f"x{i}" for i in range(count)]


class Colourings:
    """The pattern and its colourings, found once, with the seconds that took."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums, hessian: bool) -> None:
        self.f, self.args, self.argnums, self.hessian = f, args, argnums, hessian
        self.pattern: Any = None
        self.schemes: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    def find(self) -> Any:
        """Where the matrix may be nonzero.

        Raises
        ------
        PatternTooDense : almost everywhere.
        """
        if self.pattern is None:
            from ..sparse.pattern import hessian_pattern, jacobian_pattern

            start = time.perf_counter()
            detect = hessian_pattern if self.hessian else jacobian_pattern
            self.pattern = detect(self.f, *self.args, argnums=self.argnums)
            self.seconds["pattern"] = time.perf_counter() - start
        return self.pattern

    def scheme(self, mode: str) -> Any:
        """The colouring for a mode."""
        if mode not in self.schemes:
            from ..sparse.plan import hessian_scheme, jacobian_scheme

            pattern, start = self.find(), time.perf_counter()
            self.schemes[mode] = hessian_scheme(pattern) if self.hessian else jacobian_scheme(pattern, mode)
            self.seconds[mode] = time.perf_counter() - start
        return self.schemes[mode]

    def took(self, mode: str) -> float:
        """Seconds for the pattern and the colouring."""
        return self.seconds.get("pattern", 0.0) + self.seconds.get(mode, 0.0)


# ---------------------------------------------------------------------------------------------------
# Asking
# ---------------------------------------------------------------------------------------------------


def ask(
    f: Callable[..., Any] | Sequence[Callable[..., Any]],
    args: tuple[Any, ...],
    argnums: Argnums,
    target: str,
    direction: Any,
    max_seconds: float,
    max_bytes: float | None,
) -> Question:
    """The question, checked; f runs twice.

    Raises
    ------
    TypeError, ValueError : see `compare`.
    """
    layers = tuple(f) if isinstance(f, Sequence) else ()
    function = composed(layers) if layers or isinstance(f, Sequence) else f
    if not callable(function):
        raise TypeError(f"compare: f is a {type(function).__name__}, not a function or a list of layers.")
    if not args:
        raise TypeError("compare: there are no arguments to differentiate by; write compare(f, x).")
    if target not in (*TARGETS, "auto"):
        raise ValueError(f"compare: target={target!r} is not one of {', '.join(TARGETS)} or auto")
    _, leaves, _ = chosen_leaves(function, argnums, args, {})
    if not any(x.size for x in leaves):
        raise ValueError("compare: the arguments to differentiate by hold no numbers (size 0).")
    value, seconds, remarks = _tried(function, args, max_seconds)
    target = _target(target, value)
    size = sum(int(np.size(y)) for y in pytree.flatten(value)[0]) if target == "vjp" else sum(x.size for x in leaves)
    return Question(
        f=function,
        layers=layers,
        args=args,
        argnums=argnums,
        target=target,
        leaves=tuple(leaves),
        value=value,
        direction=_direction(direction, target, int(size)),
        seconds=seconds,
        max_bytes=free_memory() * SHARE_OF_MEMORY if max_bytes is None else max_bytes,
        remarks=tuple(remarks),
    )


def composed(layers: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """The layers as one function, the first applied first."""
    if not layers or not all(map(callable, layers)):
        raise TypeError("a list must hold layers, functions of one array, at least one.")

    def composition(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return composition


def _tried(f: Callable[..., Any], args: tuple[Any, ...], max_seconds: float) -> tuple[Any, float, list[str]]:
    """f's result, the seconds of its faster run, and remarks; raises where no comparison can be made of it."""
    before = [np.array(x, copy=True) if isinstance(x, np.ndarray) else x for x in pytree.flatten(args)[0]]
    with silenced() as printed:
        first, slow = _timed(f, args)
        _unchanged(f, args, before)
        if slow > max_seconds:
            raise ValueError(
                f"compare: one run of {_named(f)} alone took {slow:.3g} s, and max_seconds={max_seconds:g} is for the "
                "whole comparison, which runs it many times over. Give smaller arguments (what is counted scales), or "
                f"max_seconds={max(60, round(100 * slow)):g}."
            )
        second, fast = _timed(f, args)
    _same(f, first, second)
    remarks = []
    if not all(np.all(np.isfinite(y)) for y in map(np.asarray, pytree.flatten(first)[0]) if y.dtype.kind in "fc"):
        remarks.append("the result of f is not finite at these arguments: derivatives there say little")
    if printed.getvalue():
        remarks.append(
            f"{_named(f)} prints ({len(printed.getvalue()) // 2:,} characters a call): its output was held back, and "
            "the time it takes is in every row"
        )
    return first, min(slow, fast), remarks


def _timed(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, float]:
    start = time.perf_counter()
    try:
        value = f(*args)
    except Exception as error:
        error.add_note(f"raised by {_named(f)} itself at the given arguments, before any derivative was taken")
        raise
    return value, time.perf_counter() - start


@contextlib.contextmanager
def silenced() -> Iterator[io.StringIO]:
    """What is printed meanwhile goes nowhere but into the buffer."""
    buffer = io.StringIO()
    with contextlib.redirect_stdout(buffer):
        yield buffer


def _unchanged(f: Callable[..., Any], args: tuple[Any, ...], before: list[Any]) -> None:
    changed = []
    for i, (x, old) in enumerate(zip(pytree.flatten(args)[0], before, strict=True)):
        if isinstance(x, np.ndarray) and not np.array_equal(x, old, equal_nan=x.dtype.kind in "fc"):
            x[...] = old
            changed.append(f"leaf {i}, of shape {x.shape}")
    if changed:
        raise ValueError(
            f"compare: {_named(f)} changes its arguments in place ({'; '.join(changed)}), so that no two runs are at "
            "the same point. Work on a copy inside of it: x = x.copy()."
        )


def _same(f: Callable[..., Any], first: Any, second: Any) -> None:
    """Raise where f returns nothing, or something else at every call."""
    (a, structure), (b, other) = pytree.flatten(first), pytree.flatten(second)
    if first is None or not a or any(x is None for x in a):
        raise TypeError(f"compare: {_named(f)} returns nothing to differentiate ({first!r}); is a return missing?")
    a, b = ([pytree.result(y, "the result") for y in parts] for parts in (a, b))
    agree = structure == other and all(
        np.shape(x) == np.shape(y) and np.array_equal(x, y, equal_nan=np.result_type(x).kind in "fc")
        for x, y in zip(a, b, strict=True)
    )
    if not agree:
        raise ValueError(
            f"compare: two runs of {_named(f)} at the same arguments gave different results: it draws random numbers, "
            "or keeps something from call to call. Draw them before, and pass them as an argument; or seed a generator "
            "inside of it: rng = np.random.default_rng(0)."
        )


def _target(target: str, value: Any) -> str:
    leaves, structure = pytree.flatten(value)
    scalar = structure is None and np.shape(leaves[0]) == () and np.result_type(leaves[0]).kind != "c"
    if target == "auto":
        return "gradient" if scalar else "jacobian"
    if target in ("gradient", "hessian", "hvp") and not scalar:
        shapes = ", ".join(str(np.shape(y)) for y in leaves)
        raise TypeError(
            f"compare: target={target!r} is for a function that returns one real number; this one returns "
            f"{'an array' if structure is None else 'arrays'} of shape {shapes}. Ask for target='jacobian', "
            "'jvp' or 'vjp', or reduce the result to a number."
        )
    return target


def _direction(direction: Any, target: str, size: int) -> Any:
    """The direction of a product, raveled: the one given, or a random one that is the same in every run."""
    if target not in ("jvp", "vjp", "hvp"):
        if direction is not None:
            raise ValueError(f"compare: direction= is for the targets jvp, vjp and hvp, not for {target!r}.")
        return None
    if direction is None:
        return np.random.default_rng(0).standard_normal(size)
    parts = [np.reshape(np.asarray(x, float), -1) for x in pytree.flatten(direction)[0]]
    found = np.concatenate(parts) if parts else np.zeros(0)
    if found.size != size:
        whose = "result" if target == "vjp" else "arguments"
        raise ValueError(f"compare: direction= holds {found.size} numbers; the {whose} hold {size}.")
    return found


def free_memory() -> float:
    """Bytes of memory that are free, where the system tells; else no limit."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _named(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "f")


def code_argnums(argnums: Argnums) -> str:
    """The argnums as they stand in a line of code, nothing where it is the first."""
    return "" if argnums == 0 else f", argnums={tuple(argnums) if isinstance(argnums, SEVERAL) else argnums}"
