"""Where in the user's code a traced value was asked for its plain one, as the error says it in its last line."""

from __future__ import annotations

import ast
import itertools
import linecache
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from .errors import Detached


def explained(error: Exception, is_users: Callable[[FrameType], bool]) -> Exception:
    """The error with the line of the user's code and the array that a traced value was stored into.

    is_users : whether a frame runs the user's own code.
    """
    found = None
    last = traceback = error.__traceback__
    while traceback is not None:
        if is_users(traceback.tb_frame):
            found = traceback
        last, traceback = traceback, traceback.tb_next
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and not isinstance(cause, Detached):
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
        if any(cause is other for other in seen):
            cause = None
    if found is None or getattr(error, "explained", False):
        return error
    place, statement = _statement(found)
    array = _stored_into(statement)
    if cause is None and not (found is last and array and isinstance(error, TypeError | ValueError)):
        return error
    if array:
        new = Detached(
            f"{place}: {statement}: storing a traced value into {array}, a plain array that does not come from a "
            "creation function of NumPy called in this function,",
            f"Copy it there first, {array} = np.copy({array}), or make a new one: np.zeros_like({array}).",
        )
    else:
        new = Detached.told(f"{place}: {statement}: {cause}")
    new.explained = True
    return new


def _statement(traceback: TracebackType) -> tuple[str, str]:
    """'model.py, line 3' and the source of the statement there, on one line."""
    code: CodeType = traceback.tb_frame.f_code
    first = traceback.tb_lineno
    positions = next(itertools.islice(code.co_positions(), traceback.tb_lasti // 2, None), (first, first, 0, 0))
    end = max(positions[1] or first, first)
    lines = [linecache.getline(code.co_filename, n, traceback.tb_frame.f_globals) for n in range(first, end + 1)]
    text = textwrap.dedent("".join(lines)).strip()
    return f"{Path(code.co_filename).name}, line {first}", " ".join(text.split())


def _stored_into(statement: str) -> str:
    """The array that a statement stores into, as it is written; empty where none is recognised."""
    try:
        body = ast.parse(statement).body
    except SyntaxError:
        return ""
    for node in body:
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Subscript):
                    base = target.value
                    if isinstance(base, ast.Attribute) and base.attr in ("flat", "T", "real"):
                        base = base.value
                    return ast.unparse(base)
                if isinstance(node, ast.AugAssign):
                    return ast.unparse(target)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                for keyword in inner.keywords:
                    if keyword.arg == "out":
                        return ast.unparse(keyword.value)
                if isinstance(inner.func, ast.Attribute) and inner.func.attr in ("fill", "put", "itemset"):
                    return ast.unparse(inner.func.value)
    return ""
