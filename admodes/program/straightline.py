"""Straight-line code as data: what one run of a function did, instruction by instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ..core import pytree
from ..core.contents import CONSTANTS, Opaque, contents
from ..core.dispatch import apply, is_memory, ordinary
from ..core.errors import Travelling
from ..core.tracing import Tracer
from .recording import GUARD, Instruction, Value, mapped


class GuardFailed(Travelling, RuntimeError):
    """A branch that a program took for granted goes the other way for these inputs; `compile` then traces again.

    >>> from admodes import trace
    >>> program = trace(lambda x: x * x if x > 0 else -x, 3.0)
    >>> program(-3.0)
    Traceback (most recent call last):
    admodes.program.straightline.GuardFailed: a branch goes another way than when the program was traced...
    """

    def __init__(self, where: str = "") -> None:
        super().__init__(
            f"a branch goes another way than when the program was traced: "
            f"{where or 'an `if` on a traced value, a mask, an index'}. "
            "Trace again for these inputs, or use admodes.compile, which does so by itself; np.where has no branch."
        )


@dataclass(frozen=True)
class StraightLine:
    """Inputs, instructions and outputs; `Program` adds what is made of them: its listing, source, cost and picture."""

    name: str
    inputs: tuple[Value, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Any, ...]  # values, or constants
    in_structure: Any
    static: tuple[Any, ...]  # the leaves of the arguments that are no arrays, None where there is an input
    held: tuple[Any, ...]  # the keys of what these leaves held when the program was traced
    out_structure: Any
    numbers: tuple[bool, ...] = ()  # which outputs are scalars of NumPy, not arrays; empty where that does not matter
    workspace: tuple[Value, ...] = field(default=())
    captured: Mapping[int, str] = field(default_factory=dict)  # the id of a constant array -> its name in f
    layouts: tuple[Any, ...] | None = None  # of the inputs, where f may see them

    def with_(self, **changes: Any) -> Self:
        """The program with some fields changed: changes are the new ones, by name."""
        return replace(self, **changes)

    def checked(self, args: tuple[Any, ...]) -> list[Any]:
        """The arrays and scalars of the arguments args, in the order of the inputs; raises TypeError as a call does."""
        leaves, structure = pytree.flatten(args)
        if structure != self.in_structure or len(leaves) != len(self.static):
            traced, called = _tree(self.in_structure), _tree(structure)
            raise TypeError(f"{self.name}: traced for arguments {traced}, called with {called}; trace again.")
        chosen = [self._checked(x, v) for x, v in zip(self.given(leaves), self.inputs, strict=True)]
        if self.layouts is not None and self.layouts != tuple(map(layout, chosen)):
            raise GuardFailed(
                "the function sees the order in memory of its arguments (by .flags, order='K', a view that is written "
                "to), and it is another here"
            )
        return chosen

    def given(self, leaves: list[Any]) -> list[Any]:
        """Of the leaves of arguments those that are inputs; TypeError where another one holds something else."""
        held = iter(self.held)
        for x, constant in zip(leaves, self.static, strict=True):
            if constant is not None and key_of(x) != next(held):
                raise TypeError(
                    f"{self.name}: traced for the argument {shown(constant)}, called with {shown(x)}, which is part of "
                    "the program, being no array of numbers, and is another or holds something else; trace again."
                )
        return [x for x, constant in zip(leaves, self.static, strict=True) if constant is None]

    def values(self, inputs: Mapping[Value, Any]) -> dict[Value, Any]:
        """Every value of a run, from those of the `inputs`, in the branches that were taken; they may be traced."""
        known = dict(inputs)

        def of(x: Any) -> Any:
            return known[x] if isinstance(x, Value) else x

        for instruction in self.instructions:
            if instruction.op is not GUARD:
                y = apply(instruction.op, mapped(instruction.args, of), mapped(instruction.params, of))
                known.update(zip(instruction.outs, y if isinstance(y, tuple | list) else (y,), strict=True))
        return known

    def _checked(self, x: Any, v: Value) -> Any:
        """The argument for an input as an array or scalar; else an error."""
        known = isinstance(x, Tracer) or is_input(x)
        x = as_input(x) if known and not isinstance(x, Tracer) else x
        if not known or (x.shape, x.dtype) != (v.shape, v.dtype):
            kind = f"{x.dtype}{list(x.shape)}" if known else f"a {type(x).__name__}"
            raise TypeError(
                f"{self.name}: the argument {v.name} was traced as {v.dtype}{list(v.shape)}, called with {kind}; "
                "trace again, or use admodes.compile."
            )
        return x


def is_input(x: Any) -> bool:
    """Whether a leaf of the arguments becomes an input: arrays and scalars of numbers, Python floats and complexes."""
    kind = type(x)
    if issubclass(kind, np.ndarray):
        return x.dtype.kind in "fciub" and ordinary(kind)
    return x.dtype.kind in "fciub" if issubclass(kind, np.generic) else kind in (float, complex)


def key_of(x: Any) -> Any:
    """The key of what a leaf holds that is no input; where that cannot be known, of the object itself."""
    try:
        return contents(x)
    except Opaque:
        return Opaque, id(x)


def shown(x: Any) -> str:
    """A leaf that is no input, as messages name it."""
    return repr(x) if type(x) in CONSTANTS or type(x) is slice else f"a {type(x).__name__}"


def shared(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
    """Of arguments that are arrays the place of the first that is the same one, which f can tell (a is b); empty where
    they are as many arrays."""
    arrays = [id(a) for a in (*args, *kwargs.values()) if type(a) is np.ndarray]
    return tuple(map(arrays.index, arrays)) if len({*arrays}) < len(arrays) else ()


def as_input(x: Any) -> Any:
    """An input as a plain array or a scalar of NumPy."""
    return x if type(x) is np.ndarray else np.asarray(x) if is_memory(x) else np.asarray(x)[()]


def layout(x: Any) -> Any:
    """The order in which the elements of an array lie, which f may see (by order="K", by a reshape): None where
    it is C's; else the axes from the outermost on, which run backwards, and which go on where the next one ends."""
    if not is_memory(x) or x.flags.c_contiguous:
        return None
    axes = sorted(range(x.ndim), key=lambda a: -abs(x.strides[a]))
    steps = [x.strides[a] for a in axes] + [x.itemsize]
    extents = [x.shape[a] for a in axes[1:]] + [1]
    return (
        tuple(axes),
        tuple(step < 0 for step in steps),
        tuple(step == n * inner for step, n, inner in zip(steps, extents, steps[1:], strict=False)),
    )


def _tree(structure: Any) -> str:
    """The structure of arguments, an asterisk a leaf: (*, {'a': *})."""
    return str(structure).removeprefix("PyTreeSpec(").partition(", namespace=")[0].removesuffix(")")
