"""Arrays that f made and that may not be read any more: a function that runs too often to be recorded, given to `root`,
`fixed_point`, `minimize` or `odeint`, has stored something in them, where no derivative can follow it.

It may have been no more than room to work in; so only reading is an error, and the function may work in it again.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from ..core.blank import Blank
from ..core.dispatch import Trace
from ..core.registry import Op
from ..core.tracing import Tracer
from ..core.views import become, clone

REMEDY = "Return it as a result, or compute it afterwards from the result."


class Spoilt(Trace):
    """The transform, above all others, of arrays that may not be read any more."""

    __slots__ = ()

    def __init__(self) -> None:
        self.level = sys.maxsize
        self.closed = self.second = False

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> NoReturn:
        raise TypeError(
            "reading an array in which a function given to root, fixed_point, minimize or odeint has stored something, "
            f"where no derivative can follow it. {REMEDY}"
        )

    strip = constant = process


class Spoiled(Tracer):
    """An array that f made, `index`, and that may not be read any more."""

    __slots__ = ()

    def __init__(self, x: Any) -> None:
        self.value, self.transform, self.index = x.value, SPOILED, clone(x)


def spoil(x: Blank) -> None:
    """Let nobody read x, or what it is a view of, or another view of that."""
    if x.transform is SPOILED:
        return
    root = x.index if type(x.index) is Blank else x
    memory = getattr(root, "memory", None)
    views = [] if memory is None else [reference() for reference in memory.fresh]
    if memory is not None:  # of which stale views are read
        memory.contents = Spoiled(memory.contents)
    for view in {id(one): one for one in (x, root, *views) if type(one) is Blank}.values():
        become(view, Spoiled(view))


def unspoil(x: Any) -> None:
    """Let x be as it was, for a function to work in it again."""
    memory = getattr(x, "memory", None)
    if memory is not None and memory.contents.transform is SPOILED:
        memory.contents = memory.contents.index
    become(x, x.index)


SPOILED = Spoilt()
