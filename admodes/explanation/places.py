"""Where in the user's code each value of a program was computed, and what the user calls it there.

A recorder looks up the frames at each operation: the innermost that runs the user's own code is the place.  A value
takes a variable's name where it is all that stands behind the `=`: then the place is that of the whole expression.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import linecache
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import numpy as np

from ..core.creation import is_users
from ..core.registry import Op
from ..program.program import record
from ..program.recording import Recorder, Value


@dataclass(frozen=True)
class Place:
    """An expression in the user's code: its code object, and lines and columns as `ast` counts them."""

    code: CodeType
    line: int
    end_line: int
    column: int
    end_column: int

    @property
    def span(self) -> tuple[int, int, int, int]:
        return self.line, self.end_line, self.column, self.end_column


class Placing(Recorder):
    """A recorder that notes the place of every value."""

    __slots__ = ("places",)

    def __init__(self, strict: bool = True, captured: Sequence[tuple[str, np.ndarray]] = ()) -> None:
        super().__init__(strict, captured)
        self.places: dict[Value, Place] = {}

    def record(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        y = super().record(op, args, params)
        place = _place(sys._getframe(1))
        if place is not None:
            self.places.update(dict.fromkeys(self.instructions[-1].outs, place))
        return y


def _place(frame: FrameType | None) -> Place | None:
    """The innermost expression of the user's that is being evaluated, within the function under tracing."""
    while frame is not None and frame.f_globals.get("__name__") != record.__module__:
        code = frame.f_code
        own = code.co_filename.startswith("<doctest") or is_users(frame.f_globals.get("__name__", ""))
        if own and "admodes" not in frame.f_globals.get("__name__", "").partition("."):
            at = next(itertools.islice(code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
            line = at[0] or frame.f_lineno
            return Place(code, line, at[1] or line, at[2] or 0, at[3] or 0)
        frame = frame.f_back
    return None


@dataclass
class Text:
    """The source of one function of the user's: its name, its first line's number, and its lines."""

    name: str
    file: str
    first: int
    lines: list[str]
    assigned: dict[tuple[int, int, int, int], str] = field(default_factory=dict)  # whole right-hand sides -> names


def texts(places: dict[Value, Place]) -> dict[CodeType, Text]:
    """The source of each function among the places, where Python can find it, in the order in which they ran."""
    found = {}
    for code in dict.fromkeys(place.code for place in places.values()):
        linecache.checkcache(code.co_filename)
        try:
            lines, first = inspect.getsourcelines(code)
        except (OSError, TypeError):  # typed at a prompt, or made by exec: there is no source to show
            continue
        first = max(first, 1)
        indent = len(lines[0]) - len(lines[0].lstrip())
        shown = [line.rstrip("\n") for line in lines]
        found[code] = Text(code.co_name, code.co_filename, first, shown, _assigned("".join(lines), first, indent))
    return found


def _assigned(source: str, first: int, indent: int) -> dict[tuple[int, int, int, int], str]:
    """The places of all that is assigned to one variable as a whole, and the variables."""
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:  # the lines around a lambda are no statement of their own
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            v: Any = node.value
            span = (
                v.lineno + first - 1,
                v.end_lineno + first - 1,
                v.col_offset + indent,
                v.end_col_offset + indent,
            )
            found[span] = node.targets[0].id
    return found


def variables(places: dict[Value, Place], sources: dict[CodeType, Text]) -> dict[Value, str]:
    """The values that are assigned to a variable, and its name: of an expression the value computed last."""
    names = {}
    values = list(places.items())
    for (v, place), after in itertools.zip_longest(values, values[1:]):
        text = sources.get(place.code)
        if text is not None and place.span in text.assigned and (after is None or after[1] != place):
            names[v] = text.assigned[place.span]
    return names


def columns(place: Place, text: Text) -> tuple[int, int]:
    """The columns of a place of one line as characters of that line; Python counts bytes."""
    line = text.lines[place.line - text.first].encode()
    if place.end_line != place.line or place.end_column <= place.column:
        return 0, 0
    return len(line[: place.column].decode(errors="ignore")), len(line[: place.end_column].decode(errors="ignore"))
