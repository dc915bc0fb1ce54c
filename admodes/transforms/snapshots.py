"""Snapshots: the states of a chain of steps from which others are computed again."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from ..core import pytree
from ..core.dispatch import primitive
from ..core.registry import Elementwise
from ..core.tracing import Tracer
from .revolve import split

# The arguments of an evaluation that is done again: values of their own, so that a program does not take the second
# evaluation for the first and keep its values.
held = primitive(Elementwise(lambda x: np.array(x)[()], [1.0], flops=0.0, name="held"))


def again(x: Any) -> Any:
    """An argument for a second evaluation."""
    return held(x) if isinstance(x, Tracer) else x


class Stack:
    """Snapshots (position, state), the newest last; the oldest ones may lie on disk."""

    def __init__(self, memory: int, disk: int, start: Any) -> None:
        self.most = memory + disk
        self.disk = disk
        self.on_disk = 0
        self.states: dict[int, Any] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="snapshots-")) if disk else None
        if self.directory:
            weakref.finalize(self, shutil.rmtree, self.directory)
        self.put(0, start)

    def next(self, position: int, end: int) -> int:
        """Where to go from the newest snapshot, at `position`, if the step before `end` is to be reversed next."""
        free, left = self.most - len(self.states), end - position
        if left < 2:
            return position
        return position + (split(left, free + 1) if free else left - 1)

    def put(self, position: int, state: Any) -> None:
        flat, structure = pytree.flatten(state)
        flat = [x.copy() if type(x) is np.ndarray else x for x in flat]  # a step may write into its argument
        if self.directory and self.on_disk < self.disk and not any(isinstance(x, Tracer) for x in flat):
            self.on_disk += 1
            path = self.directory / str(position)
            path.write_bytes(pickle.dumps(flat, protocol=pickle.HIGHEST_PROTOCOL))
            self.states[position] = path, structure
        else:
            self.states[position] = flat, structure

    def newest(self) -> tuple[int, Any]:
        position = next(reversed(self.states))
        kept, structure = self.states[position]
        flat = pickle.loads(kept.read_bytes()) if isinstance(kept, Path) else kept
        return position, pytree.unflatten(structure, [x.copy() if type(x) is np.ndarray else again(x) for x in flat])

    def drop(self, position: int) -> None:
        kept, _ = self.states.pop(position)
        if isinstance(kept, Path):
            kept.unlink()
            self.on_disk -= 1

    def forget(self, i: int) -> None:
        """The snapshots at i and later, of which none is needed once step i is on a tape; the start stays."""
        while (position := next(reversed(self.states))) >= max(i, 1):
            self.drop(position)
