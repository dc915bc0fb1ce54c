"""A checker of arguments, written for the first ones of a kind: whether later ones are of it too, and their arrays;
and what makes trees of results.

To flatten a tree and compare its structure takes as long as a small program.  The structure known, straight code reads
each container and each leaf once, a fifth of a microsecond each.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import pytree
from .straightline import is_input, shared

Matcher = Callable[[Any, Any], tuple[Any, ...] | None]


def matcher(args: Any, kwargs: dict[str, Any]) -> Matcher | None:
    """match(args, kwargs) -> the leaves that are inputs, None for arguments that are, or may be, of another kind.

    None where these arguments hold what straight code does not tell as `compile` does: other containers than dicts,
    lists, tuples, named tuples and dataclasses, arrays that are not in the order of C, keys and leaves other than
    arrays, floats, strings, ints, bools, slices and None, one array given twice.
    """
    writer = _Writer()
    names = writer.parts(tuple, args, "args"), writer.parts(dict, kwargs, "kwargs") if kwargs else writer.none("kwargs")
    if any(part is None for part in names) or shared(args, kwargs):
        return None
    writer.apart([*zip(args, names[0], strict=True), *((x, names[1][key]) for key, x in kwargs.items())])
    inputs = [name for name in pytree.flatten(names)[0] if name in writer.inputs]
    code = ["def match(args, kwargs):", *writer.lines, f"    return ({''.join(f'{name}, ' for name in inputs)})"]
    space = {"ndarray": np.ndarray, "float64": np.float64, **writer.constants}
    exec(compile("\n".join(code), "<matcher>", "exec"), space)
    found: Matcher = space["match"]
    return found


def builder(structure: Any) -> Callable[[Sequence[Any]], Any]:
    """What makes the tree of a structure of leaves: an expression of dicts, lists and tuples; optree for others."""
    if structure is None:
        return lambda leaves: leaves[0]
    names = [_Leaf(f"x{k}") for k in range(structure.num_leaves)]
    text = _expression(pytree.unflatten(structure, names))
    if text is None or not names:
        return functools.partial(pytree.unflatten, structure)
    space: dict[str, Any] = {}
    exec(f"def build(leaves):\n    {', '.join(names)}, = leaves\n    return {text}", space)
    found: Callable[[Sequence[Any]], Any] = space["build"]
    return found


class _Leaf(str):
    """The name of a leaf."""

    __slots__ = ()


def _expression(tree: Any) -> str | None:
    """Python's for a tree of names; None where it has other containers."""
    kind = type(tree)
    if kind is _Leaf or tree is None:
        return str(tree)
    if kind not in (dict, list, tuple) or (kind is dict and not all(type(key) in (str, int) for key in tree)):
        return None
    parts = [_expression(part) for part in (tree.values() if kind is dict else tree)]
    if kind is dict:
        parts = [part and f"{key!r}: {part}" for key, part in zip(tree, parts, strict=True)]
    if None in parts:
        return None
    inner = ", ".join(map(str, parts))
    if kind is tuple:
        return f"({inner}{',' if parts else ''})"
    return f"{{{inner}}}" if kind is dict else f"[{inner}]"


class _Writer:
    """Lines that leave `match` with None where a container or leaf is another."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.inputs: set[str] = set()
        self.count = 0

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def demand(self, condition: str) -> None:
        self.lines += [f"    if not ({condition}):", "        return None"]

    def apart(self, arguments: list[tuple[Any, Any]]) -> None:
        """Demand that arguments which might be one array are several."""
        alike: dict[Any, list[str]] = {}
        for x, name in arguments:
            if type(x) is np.ndarray:
                alike.setdefault((x.shape, x.dtype), []).append(name)
        for names in alike.values():
            if len(names) in (2, 3):
                self.demand(" and ".join(f"{a} is not {b}" for a, b in itertools.combinations(names, 2)))
            elif len(names) > 3:
                self.demand(f"len({{{', '.join(f'id({name})' for name in names)}}}) == {len(names)}")

    def none(self, name: str) -> dict[str, Any]:
        """No keywords."""
        self.demand(f"not {name}")
        return {}

    def walk(self, x: Any, name: str) -> Any:
        """A tree of the same containers as that of a name, with the names of the leaves; None where there is no
        telling."""
        kind = type(x)
        named = issubclass(kind, tuple) and hasattr(kind, "_fields")
        if kind in (dict, list, tuple) or named or dataclasses.is_dataclass(kind):
            self.demand(f"type({name}) is {self.constant(kind)}")
            return self.parts(kind, x, name)
        if x is None:
            self.demand(f"{name} is None")
            return _NOTHING
        return name if self.leaf(x, name) else None

    def parts(self, kind: Any, x: Any, name: str) -> Any:
        """The same of a container of a kind that is known to be there."""
        keys: list[Any] | None = None
        paths: list[str] = []
        if dataclasses.is_dataclass(kind):
            keys = [f.name for f in dataclasses.fields(x)]
            values, paths = [getattr(x, key) for key in keys], [f"{name}.{key}" for key in keys]
        elif kind is dict:
            keys, values = [*x], [*x.values()]
            if not all(type(key) in (str, int) for key in keys):
                return None
            self.demand(f"[*{name}] == {self.constant(keys)}")
            paths = [f"{name}[{key!r}]" for key in keys]
        else:
            values = [*x]
            self.demand(f"len({name}) == {len(values)}")
        names = [f"x{self.count + k}" for k in range(len(values))]
        self.count += len(names)
        if names:
            self.lines.append(f"    {', '.join(names)}, = {', '.join(paths) + ',' if paths else name}")
        found = [self.walk(value, part) for value, part in zip(values, names, strict=True)]
        if any(part is None for part in found):
            return None
        found = [None if part is _NOTHING else part for part in found]
        if keys is None:
            return kind._make(found) if hasattr(kind, "_make") else kind(found)
        named = dict(zip(keys, found, strict=True))
        return named if kind is dict else pytree.rebuilt(kind, named)

    def leaf(self, x: Any, name: str) -> bool:
        kind = type(x)
        if kind is np.ndarray and x.flags.c_contiguous and is_input(x):
            shape, dtype = self.constant(x.shape), self.constant(x.dtype)
            test = f"type({name}) is ndarray and {name}.shape == {shape} and {name}.dtype is {dtype}"
            self.demand(f"{test} and {name}.flags.c_contiguous")
            self.inputs.add(name)
        elif kind is float or kind is np.float64:
            self.demand(f"type({name}) is float or type({name}) is float64")
            self.inputs.add(name)
        elif kind in (int, bool, str, slice):
            self.demand(f"type({name}) is {kind.__name__} and {name} == {self.constant(x)}")
        else:
            return False
        return True


_NOTHING = object()
