"""Arguments that are trees (dicts, dataclasses, tuples of arrays): a row whose arrays are their leaves."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import pytree
from ..core.directions import inexact
from ..core.dispatch import primitive
from ..core.forward import plus
from ..core.registry import AnyName, Each, Op
from ..core.reverse import transposed
from .stated import Argument, Parts, as_tree, enclosed, parts_of, unstated

# Whether arguments of a type are trees, by what was found when the first was met; of a tuple its elements decide.
_TREES: dict[type, bool] = {dict: True}


def has_tree(args: tuple[Any, ...]) -> bool:
    """Whether one of the arguments is a tree."""
    for a in args:
        kind = type(a)
        found = _TREES.get(kind)
        if found is None and kind is not tuple:
            found = _TREES[kind] = hasattr(kind, "_fields") or dataclasses.is_dataclass(kind)
        if found or (found is None and is_tree(a)):
            return True
    return False


def is_tree(a: Any) -> bool:
    """Whether an argument is a tree, and no array or what NumPy makes one of (a list, a tuple of numbers)."""
    if type(a) is tuple:
        return any(hasattr(x, "shape") and np.ndim(x) for x in a) or has_tree(a)
    return has_tree((a,))


class OfTrees(Op):
    """A user's function of arguments of one structure; `spans` says which leaves each argument has."""

    def __init__(
        self, op: Op, rules: Sequence[Argument | None], structures: Sequence[Any], counts: Sequence[int]
    ) -> None:
        super().__init__(op.fn, name=op.name, arrays=None, evaluate=self._at, flops=op.flops)
        self.plain, self.rules, self.structures, self.params = op.evaluate, rules, structures, AnyName()
        ends = np.cumsum([0, *counts]).tolist()
        self.spans = [range(a, b) for a, b in itertools.pairwise(ends)]
        self.pushes = self.pulls = Each()
        self.push_all, self.pull_all = self._push_all, self._pull_all
        primitive(self)

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        for i, span in enumerate(self.spans[len(self.rules) :], len(self.rules)):
            unstated(self.name, i, [args[k] for k in span], trace)
        y = super().apply(trace, args, params)
        enclosed(self.name, y, trace)
        return y

    def given(self, leaves: Sequence[Any]) -> list[Any]:
        """The arguments, those that are trees as their leaves with a structure."""
        found = []
        for structure, span in zip(self.structures, self.spans, strict=True):
            if structure is None:
                found.append(leaves[span.start])
            else:
                found.append(Parts(leaves[k] for k in span))
                found[-1].structure = structure
        return found

    def _at(self, *leaves: Any, **params: Any) -> Any:
        return self.plain(*map(as_tree, self.given(leaves)), **params)

    def _push_all(self, given: dict[int, Any], y: Any, leaves: Sequence[Any], params: dict[str, Any]) -> Any:
        args, total = self.given(leaves), None
        for i, span in enumerate(self.spans):
            first = next((k for k in span if k in given), None)
            rule = None if first is None else self.rules[i]
            if first is None or rule is None:
                continue
            lead = given[first].shape[: given[first].ndim - np.ndim(leaves[first])]
            ts = tuple(
                given[k] if k in given else np.zeros(lead + np.shape(leaves[k]), inexact(leaves[k])) for k in span
            )
            total = plus(total, rule.pushed(ts if type(args[i]) is Parts else ts[0], y, *args, **params))
        if total is None:  # each stated as None: the derivative is zero
            x, t = next((leaves[k], t) for k, t in given.items())
            lead = t.shape[: t.ndim - np.ndim(x)]
            zeros = tuple(np.zeros(lead + np.shape(part), inexact(part)) for part in parts_of(y))
            return zeros if isinstance(y, tuple) else zeros[0]
        return total

    def _pull_all(self, u: Any, y: Any, leaves: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        args: list[Any] = self.given(leaves)
        first, whole = (u[0], y[0]) if isinstance(y, tuple) else (u, y)
        lead = first.shape[: first.ndim - whole.ndim]
        found: list[Any] = [np.zeros(lead + np.shape(x), inexact(x)) for x in leaves]
        for i, span in enumerate(self.spans):
            rule = self.rules[i] if i < len(self.rules) else None
            if rule is not None:
                for k, g in zip(span, parts_of(self._pulled(rule, i, u, y, args, params)), strict=True):
                    found[k] = g
        return found

    def _pulled(self, rule: Argument, i: int, u: Any, y: Any, args: list[Any], params: dict[str, Any]) -> Any:
        if not rule.derived:
            return rule.pulled(u, y, *args, **params)

        def push(*ts: Any) -> Any:
            return rule.pushed(ts if type(args[i]) is Parts else ts[0], y, *args, **params)

        return tuple(transposed(push, parts_of(args[i]), u, y))


class ByStructure:
    """Calls of a function some arguments of which are trees: a row for each structure that is met."""

    def __init__(self, op: Op, rules: Sequence[Argument | None]) -> None:
        self.op, self.rules = op, rules
        self.rows: dict[Any, OfTrees] = {}

    def __call__(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        flat = [pytree.flatten(a) if is_tree(a) else ([a], None) for a in args]
        key = tuple(structure for _, structure in flat)
        if key not in self.rows:
            self.rows[key] = OfTrees(self.op, self.rules, key, [len(leaves) for leaves, _ in flat])
        return self.rows[key].evaluate(*(x for leaves, _ in flat for x in leaves), **params)
