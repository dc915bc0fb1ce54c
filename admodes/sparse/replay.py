"""A function written down once, by some of its arguments: its pattern is read off, and it is run again without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import pytree
from ..core.views import ground
from ..program.program import record
from ..program.recording import Value
from ..program.straightline import as_input, is_input
from ..transforms.arguments import Argnums


class Replay:
    """The program of f at some arguments, and which of its inputs are differentiated.

    Calling it with other values for the arguments that argnums names runs the program, in the branches that f took:
    of traced values a derivative, or what another one costs, without a run of f.

    program : of all arguments.    active : those of its inputs that are differentiated, in their order.
    args : the arguments, with whole numbers to differentiate by as floats.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        argnums: Argnums,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        strict: bool = True,
    ) -> None:
        places = [p % len(args) for p in (argnums if isinstance(argnums, tuple | list) else (argnums,))]
        self.args = tuple(_as_floats(a) if i in places else a for i, a in enumerate(args))
        self.program = record(f, self.args, kwargs, strict)
        leaves = [x if strict else ground(x) for x in pytree.flatten((self.args, kwargs) if kwargs else self.args)[0]]
        self._given = [as_input(x) for x in leaves if is_input(x)]
        inputs = iter(self.program.inputs)
        found = [next(inputs) if is_input(x) else None for x in leaves]
        self.active: list[Value] = []
        for p in places:
            first = len(pytree.flatten(args[:p])[0])
            self.active += [v for v in found[first : first + len(pytree.flatten((args[p],))[0])] if v is not None]

    def __call__(self, *chosen: Any) -> Any:
        """The result for these values of the differentiated arguments."""
        known = dict(zip(self.program.inputs, self._given, strict=True))
        known.update(zip(self.active, pytree.flatten(chosen)[0], strict=True))
        values = self.program.values(known)
        outputs = [values[y] if isinstance(y, Value) else y for y in self.program.outputs]
        return pytree.unflatten(self.program.out_structure, outputs)


def _as_floats(tree: Any) -> Any:
    return pytree.tree_map(lambda x: float(x) if type(x) is int else x, tree)
