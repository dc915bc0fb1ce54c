"""Arguments and results as trees of arrays: dicts, lists, tuples, named tuples and dataclasses, by `optree`."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from .blank import Blank
from .dispatch import is_memory, ordinary, pack, plain
from .errors import LeakedTracer
from .tracing import Tracer

NAMESPACE = "admodes"
_REGISTERED: set[type] = set()  # the dataclasses that are nodes; optree takes each once
_REGISTERING = threading.Lock()
_PLAIN = frozenset({np.ndarray, float, int, np.float64, np.float32})


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of a tree and its structure; None where the tree is one plain leaf."""
    kind = type(tree)
    if kind in _PLAIN or isinstance(tree, Tracer):
        return [tree], None
    if kind is tuple:  # the arguments of a function, most often
        if len(tree) == 1 and type(tree[0]) in _PLAIN:
            return [tree[0]], ONE_ARGUMENT
        for x in tree:
            if type(x) not in _PLAIN and not isinstance(x, Tracer):
                break
        else:
            return [*tree], _of_tuple(len(tree))
    leaves, structure = optree.tree_flatten(tree, namespace=NAMESPACE)
    unknown = {kind for kind in {*map(type, leaves)} - _PLAIN if hasattr(kind, "__dataclass_fields__")}
    if unknown:
        with _REGISTERING:
            for kind in unknown - _REGISTERED:
                _register(kind)
                _REGISTERED.add(kind)
        return flatten(tree)
    return leaves, None if len(leaves) == 1 and leaves[0] is tree else structure


@functools.lru_cache
def _of_tuple(n: int) -> Any:
    """The structure of a tuple of n leaves."""
    return optree.tree_structure((0,) * n, namespace=NAMESPACE)


ONE_ARGUMENT = _of_tuple(1)


def is_tuple(structure: Any) -> bool:
    """Whether a structure is that of a tuple of leaves."""
    return structure is not None and bool(structure == _of_tuple(structure.num_leaves))


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """The tree of a structure with these leaves."""
    if structure is ONE_ARGUMENT:
        return (leaves[0],)
    return leaves[0] if structure is None else optree.tree_unflatten(structure, leaves)


def key_order(tree: Any) -> Any:
    """The keys of the dictionaries in a tree as they were inserted, and what dataclasses have beside their fields:
    structures are equal without, functions see it."""
    if isinstance(tree, dict):
        return tuple(tree), tuple(map(key_order, tree.values()))
    if isinstance(tree, tuple | list):
        return tuple(map(key_order, tree))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [f.name for f in dataclasses.fields(tree)]
        beside = [k for k in getattr(tree, "__dict__", ()) if k not in names and not follows(type(tree), k)]
        return tuple(beside), tuple(key_order(getattr(tree, name)) for name in names)
    return None


def follows(kind: type, name: str) -> bool:
    """Whether an attribute is what a cached property of the class found: it follows from the rest."""
    return isinstance(getattr(kind, name, None), functools.cached_property)


def tree_map(fn: Callable[[Any], Any], tree: Any) -> Any:
    """fn of every leaf, in the same structure."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [fn(x) for x in leaves])


def _register(kind: type) -> None:
    """Make a dataclass a node of the tree: its fields are the children."""
    names = [f.name for f in dataclasses.fields(kind)]
    optree.register_pytree_node(
        kind,
        lambda x: ([getattr(x, n) for n in names], None, names),
        lambda _, children: rebuilt(kind, dict(zip(names, children, strict=True))),
        namespace=NAMESPACE,
    )


def rebuilt(kind: type, values: dict[str, Any]) -> Any:
    """An instance with these fields, without running __init__ again on derivatives."""
    new: Any = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(new, name, value)
    return new


# ---------------------------------------------------------------------------------------------------
# Checked leaves
# ---------------------------------------------------------------------------------------------------


def differentiable(x: Any, name: Callable[..., str], *of: Any) -> Any:
    """A leaf to differentiate by, as a float or complex array or scalar; else an error that calls it name(*of)."""
    kind: str
    if type(x) is np.ndarray and x.dtype.kind in "fc":
        return x
    if type(x) is Blank:
        x = x.value
    live(x)
    if type(x) is np.ndarray or isinstance(x, np.generic | Tracer):
        kind = x.dtype.kind
        if kind == "O":
            packed = pack(x)
            if packed is not x:
                return packed
    elif type(x) in (int, float, complex):
        return np.complex128(x) if type(x) is complex else np.float64(x)
    elif is_memory(x):
        if not ordinary(type(x)):
            raise TypeError(
                f"{name(*of)} is a {type(x).__name__}, an array with operations of its own, for which there are no "
                "derivative rules. Pass np.asarray(x); of a masked array x.filled(0.0), and give the mask beside it."
            )
        x = np.asarray(x)
        kind = x.dtype.kind
    else:
        raise TypeError(
            f"{name(*of)} is a {type(x).__name__}, not an array of floats. Arguments to differentiate by are "
            "NumPy arrays, "
            "Python numbers, or dicts, lists, tuples and dataclasses of them; name the others with argnums."
        )
    if kind not in "fc":
        raise TypeError(
            f"{name(*of)} has dtype {x.dtype}: a derivative with regard to {_KINDS.get(kind, 'such')} values "
            "has no meaning. "
            "Convert it, x.astype(float), or choose the arguments to differentiate by with argnums."
        )
    return x


def live(x: Any) -> None:
    """Raise if x is a traced value whose transform has returned."""
    if isinstance(x, Tracer) and x.transform.closed:
        raise LeakedTracer


_KINDS = {"i": "integer", "u": "integer", "b": "boolean", "O": "object"}


def result(y: Any, where: str) -> Any:
    """A leaf of a function's result as array, scalar or tracer; else an error that names it."""
    if isinstance(y, Tracer) or type(y) is np.float64:
        live(y)
        return y.value if type(y) is Blank else y
    if type(y) is np.ndarray:
        y = pack(y)
        if not isinstance(y, Tracer) and y.dtype.kind not in "fciub":
            raise TypeError(f"{where} is an array of dtype {y.dtype}; a function to differentiate returns numbers.")
        return y
    if is_memory(y):
        return result(plain(y), where)
    if isinstance(y, np.generic | int | float | complex):
        return np.asarray(y)[()]
    raise TypeError(f"{where} is a {type(y).__name__}; a function to differentiate returns arrays or trees of arrays.")


def labels(tree: Any) -> list[str]:
    """A short identifier for every leaf, from the keys and places that lead to it."""
    flatten(tree)  # makes dataclasses known
    paths = optree.tree_paths(tree, namespace=NAMESPACE)
    return ["".join(c if c.isalnum() else "_" for c in "_".join(map(str, path))) for path in paths]
