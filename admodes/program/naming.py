"""What the user's variables are called: a recorder that looks, at each statement, at what the variables hold.

A value takes the name of a variable that holds that very value.  The last values of a function are held no more when it
has returned: a result takes the name under which the statement that made it stores what it made.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from ..core.creation import in_users_code
from ..core.registry import Op
from ..core.tracing import Tracer
from ..core.views import Cell
from .recording import SEED, Recorder, Symbol, Value


class NamingRecorder(Recorder):
    """A recorder that names values by the user's variables."""

    __slots__ = ("_before", "_stored", "_top", "_users")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._before: tuple[Any, int, int] = (None, 0, 0)  # the frame, line and instruction that were looked at
        self._stored: dict[Value, str] = {}
        self._users: dict[CodeType, bool] = {}
        self._top = sys._getframe(1).f_code  # who traces; no variable of interest is held above

    def record(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        frame = None if self.pulling else self._frame()
        if frame is not None:
            self._look(frame)
        y = super().record(op, args, params)
        name = stores(frame.f_code).get(frame.f_lasti) if frame is not None else None
        if name is not None and type(y) is Symbol:
            self._stored[y.node] = name
        return y

    def _frame(self) -> FrameType | None:
        """The innermost frame of the user's code."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and (code := frame.f_code) is not self._top:
            users = self._users.get(code)
            if users is None:
                users = self._users[code] = in_users_code(frame)
            if users:
                return frame
            frame = frame.f_back
        return None

    def _look(self, frame: FrameType) -> None:
        """Name what the variables hold, once a statement: its values are in them from the next one on."""
        known, line, instruction = self._before
        self._before = here = frame, frame.f_lineno, frame.f_lasti
        if frame is known and here[1] == line and here[2] >= instruction:
            return
        for name, x in frame.f_locals.items():
            if isinstance(x, Tracer):
                symbol = _seen_under(x)
                if type(symbol) is Symbol and symbol.transform is self:
                    self._call(symbol.node, name)

    def _call(self, v: Value, name: str) -> None:
        if not (v.name or v.called or name.startswith("_")):
            v.called = name

    def results(self, values: Sequence[Any]) -> None:
        """Name the results, and what a backward part begins at; tangents and cotangents have their names from these."""
        seeded = [v.adjoint_of for i in self.instructions if i.op is SEED for v in i.outs]
        for v in (*values, *seeded):
            if isinstance(v, Value) and v.tangent_of is None and v.adjoint_of is None and v in self._stored:
                self._call(v, self._stored[v])


# Reads the slot alone: an array whose value is still to come (stores gathered, a view grown stale) is not brought up to
# date by being looked at.
_value = Cell.__dict__["value"].__get__


def _seen_under(x: Any) -> Any:
    """The traced value of the lowest transform under x, if it has one by now."""
    try:
        while isinstance(inner := _value(x), Tracer):
            x = inner
    except AttributeError:
        return None
    return x


@functools.lru_cache(maxsize=256)
def stores(code: CodeType) -> dict[int, str]:
    """For the instructions whose result the next one stores in a variable: where they are, and the variable."""
    found, before = {}, None
    for instruction in dis.get_instructions(code):
        if before is not None and instruction.opname.startswith("STORE_FAST"):
            stored = instruction.argval
            found[before] = stored if isinstance(stored, str) else stored[0]
        before = instruction.offset
    return found
