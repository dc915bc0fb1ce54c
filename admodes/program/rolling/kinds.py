"""What instructions of a loop have in common from one iteration to the next, and what may differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.indices import as_tuple
from ...ops.index import INDEX, SCATTER
from ..recording import GUARD, NESTED, Instruction, Value, leaves, mapped


def variables_of(i: Instruction) -> list[Any]:
    """The arguments that may differ from one iteration to the next: values, arrays, numbers, places in an index."""
    found: list[Any] = []

    def noted(x: Any) -> Any:
        found.append(x)
        return x

    varied(i, noted)
    return found


def varied(i: Instruction, fn: Callable[[Any], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments and parameters with fn applied to what may differ."""

    def always(x: Any) -> Any:
        return fn(x) if isinstance(x, Value | np.ndarray) else x

    def number(x: Any) -> Any:
        return fn(x) if isinstance(x, Value | np.ndarray | np.generic) or type(x) in (int, float) else x

    def place(x: Any) -> Any:
        return fn(x) if isinstance(x, Value | np.ndarray) or (isinstance(x, int) and type(x) is not bool) else x

    if i.op is INDEX or i.op is SCATTER:
        args = (always(i.args[0]), mapped(i.args[1], place), *i.args[2:])
    elif isinstance(i.op.fn, np.ufunc) or i.op.fn is np.where:
        args = tuple(number(x) for x in i.args)
    elif i.op is GUARD:
        args = (always(i.args[0]), *i.args[1:])
    else:
        args = mapped(i.args, always)
    return args, mapped(i.params, always) if i.params and i.op is not GUARD else i.params


class Kinds:
    """Numbers for the kinds of instructions: equal where all but what may differ is."""

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}

    def of(self, i: Instruction) -> tuple[int, list[Any]]:
        """The number of an instruction's kind, and what may differ from one of its kind to the next."""
        key = _plain(i)
        if key is not None:
            return self.known.setdefault(key, len(self.known)), [*i.args]
        args, params = varied(i, _kind)
        key = (
            id(i.op), frozen(args), frozen(params) if params else None, i.backward,
            *((v.shape, v.dtype.char) for v in i.outs),
        )  # fmt: skip
        return self.known.setdefault(key, len(self.known)), variables_of(i)


def _plain(i: Instruction) -> Any:
    """The kind of the commonest: a ufunc of values and numbers, x[k]; None for others."""
    out = i.out
    if i.params or type(out) is not Value or not (isinstance(i.op.fn, np.ufunc) or i.op is INDEX):
        return None
    key: list[Any] = [id(i.op), i.backward, out.shape, out.dtype.char]
    for x in i.args:
        kind = type(x)
        if kind is Value:
            key.append(x.shape)
            key.append(x.dtype.char)
        elif kind is int or (kind is float and i.op is not INDEX):
            key.append(None)
        else:
            return None
    return tuple(key)


def form(i: Instruction) -> tuple[Any, list[int]]:
    """An index but for its whole numbers, and these."""
    index = as_tuple(i.args[1])
    return frozen(mapped(index, lambda x: ... if type(x) is int else x)), [x for x in leaves(index) if type(x) is int]


class _Mark(tuple[Any, ...]):
    """The kind of what may differ, in place of it."""

    __slots__ = ()


def _kind(x: Any) -> Any:
    if isinstance(x, Value):
        return _Mark(("value", x.shape, x.dtype.char))
    if isinstance(x, np.ndarray | np.generic):
        return _Mark(("constant", x.shape, x.dtype.char))
    return _Mark(("number",))


def frozen(tree: Any) -> Any:
    if isinstance(tree, _Mark):
        return tree
    if type(tree) is dict:
        return ("dict", *((k, frozen(x)) for k, x in sorted(tree.items())))
    if type(tree) in NESTED:
        return (type(tree), *map(frozen, leaves(tree) if type(tree) is slice else tree))
    return type(tree), repr(tree)
