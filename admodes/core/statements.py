"""The statement of a user's source, over all its lines, in which an instruction stands."""

from __future__ import annotations

import ast
import itertools
import linecache
import os
from collections.abc import Iterator
from types import FrameType

Span = tuple[tuple[int, int], tuple[int, int]]  # line and column, in bytes, of the first character and behind the last


def statement_at(frame: FrameType, line: int, lasti: int) -> tuple[str, str]:
    """'model.py, line 3' and the source of the statement there, on one line; of a lambda its expression."""
    name = frame.f_code.co_filename
    place = next(itertools.islice(frame.f_code.co_positions(), lasti // 2, None), (None,) * 4)
    first, last = place[0] or line, place[1] or line
    span = (first, place[2] or 0), (last, place[3] or 0)
    lines = linecache.getlines(name, frame.f_globals)
    return f"{os.path.basename(name)}, line {line}", _source(name, lines).statement(span)


class _Source:
    """The lines of a file, and where its statements are."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.found: dict[Span, str] = {}
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:  # a cell of a notebook with commands in it
            self.spans: list[Span] = []
        else:
            self.spans = [span for node in ast.walk(tree) for span in _spans(node)]

    def statement(self, place: Span) -> str:
        """The innermost statement around a place; its lines where none is known."""
        if place not in self.found:
            around = [span for span in self.spans if span[0] <= place[0] and place[1] <= span[1]]
            start, stop = max(around, key=lambda span: span[0], default=((place[0][0], 0), (place[1][0], 1 << 30)))
            lines = [line.encode() for line in self.lines[start[0] - 1 : stop[0]]]
            if lines:
                lines[-1] = lines[-1][: stop[1]]
                lines[0] = lines[0][start[1] :]
            self.found[place] = " ".join(b"".join(lines).decode(errors="ignore").split())
        return self.found[place]


_SOURCES: dict[str, _Source] = {}


def _source(name: str, lines: list[str]) -> _Source:
    found = _SOURCES.get(name)
    if found is None or found.lines is not lines:  # linecache gives the same list until the file is another
        found = _SOURCES[name] = _Source(lines)
    return found


def _spans(node: ast.AST) -> Iterator[Span]:
    """Of a statement itself or, where it has a body, what stands before that; of a lambda its expression."""
    if isinstance(node, ast.Lambda):
        yield (node.body.lineno, node.body.col_offset), _stop(node.body)
    elif isinstance(node, ast.stmt | ast.excepthandler):
        body: list[ast.stmt] = getattr(node, "body", [])
        yield (node.lineno, node.col_offset), (body[0].lineno, body[0].col_offset) if body else _stop(node)


def _stop(node: ast.expr | ast.stmt | ast.excepthandler) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0
