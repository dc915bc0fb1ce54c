"""Where in the user's code a traced value was asked for its plain one, as the error says it in its last line, and which
function of SciPy, none of which dispatches, was given it.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType

import numpy as np

from .dispatch import highest
from .errors import Detached
from .registry import OPS
from .tracing import Tracer

# The public name of a function of SciPy -> what is to be called in its place; None where nothing has that name.
MIRROR: list[Callable[[str], str | None]] = []

# What stands in place of solvers and transforms, by the module and the name of SciPy's function.
_ROOTS = (
    "anderson", "bisect", "brenth", "brentq", "broyden1", "broyden2", "fsolve", "newton", "newton_krylov", "ridder",
    "root", "root_scalar", "toms748",
)  # fmt: skip
_SPARSE = ("bicg", "bicgstab", "cg", "cgs", "factorized", "gmres", "lgmres", "minres", "splu")
_IN_PLACE = {
    **{f"scipy.sparse.linalg.{name}": "admodes.scipy.sparse.linalg.spsolve" for name in _SPARSE},
    **{f"scipy.integrate.{name}": "admodes.scipy.integrate.quad" for name in ("dblquad", "fixed_quad", "quad_vec")},
    **{f"scipy.optimize.{name}": "admodes.root, which differentiates the solution" for name in _ROOTS},
    "scipy.optimize.fixed_point": "admodes.fixed_point, which differentiates the solution",
    "scipy.integrate.solve_ivp": "admodes.odeint, which differentiates the solution",
    "scipy.integrate.odeint": "admodes.odeint, which differentiates the solution",
    "scipy.interpolate.interp1d": "np.interp, or admodes.scipy.interpolate.make_interp_spline",
}
_OWN_RULE = "NumPy functions, or state its derivative with admodes.custom_op"


def explained(error: Exception, is_users: Callable[[FrameType], bool]) -> Exception:
    """The error with the line of the user's code and the array that a traced value was stored into.

    is_users : whether a frame runs the user's own code.
    """
    steps = list(_steps(error.__traceback__))
    if _out_of_place(steps):
        steps = list(itertools.takewhile(lambda step: not _is_scipys(step.tb_frame), steps))
    found = next((step for step in reversed(steps) if is_users(step.tb_frame)), None)
    last = steps[-1] if steps else None
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and not isinstance(cause, Detached):
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
        if any(cause is other for other in seen):
            cause = None
    if found is None or getattr(error, "explained", False):
        return error
    refused = refused_class(error)
    foreign = "" if refused else _of_scipy(found, cause)
    place, statement = statement_at(found.tb_frame, found.tb_lineno, found.tb_lasti)
    array = _stored_into(statement, found.tb_frame)
    if foreign:
        new = Detached.told(
            f"{place}: {statement}: {foreign} does not dispatch to other arrays, and a traced value cannot go through "
            f"it. Write {_in_place(foreign)}."
        )
        new.explained = True
        return new
    if refused:
        new = Detached.told(
            f"{place}: {statement}: what is called there is written in C and takes NumPy's own arrays alone, so that a "
            f"traced value cannot go through it ({error}). Write {_OWN_RULE}; for lu.solve(b) of splu "
            f"{_IN_PLACE['scipy.sparse.linalg.splu']}(A, b)."
        )
        new.explained = True
        return new
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


def refused_class(error: BaseException) -> str:
    """The class of the traced value that code in C refused without asking for its plain one; "" where none was."""
    words = re.findall(r"\w+", str(error)) if isinstance(error, TypeError) else ()
    return next((kind.__name__ for kind in Tracer.__subclasses__() if kind.__name__ in words), "")


def statement_at(frame: FrameType, first: int, lasti: int) -> tuple[str, str]:
    """'model.py, line 3' and the source of the statement there, on one line."""
    code: CodeType = frame.f_code
    positions = next(itertools.islice(code.co_positions(), lasti // 2, None), (first, first, 0, 0))
    end = max(positions[1] or first, first)
    lines = [linecache.getline(code.co_filename, n, frame.f_globals) for n in range(first, end + 1)]
    text = textwrap.dedent("".join(lines)).strip()
    return f"{os.path.basename(code.co_filename)}, line {first}", " ".join(text.split())


def _stored_into(statement: str, frame: FrameType) -> str:
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
                    held = {**frame.f_globals, **frame.f_locals}.get(base.id) if isinstance(base, ast.Name) else None
                    if isinstance(node, ast.AugAssign) and isinstance(held, dict | list | tuple):
                        return ast.unparse(target)  # state["v"] += …: the array is what the container holds
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


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _out_of_place(steps: list[TracebackType]) -> bool:
    """Whether a number was asked for in our own code, which never does: a solver in C asked, and went on calling f."""
    frames = [step.tb_frame for step in steps[-2:]]
    return [f.f_code.co_name for f in frames[1:]] == ["__float__"] and _module(frames[0]).startswith("admodes.")


def _is_scipys(frame: FrameType) -> bool:
    return _module(frame).partition(".")[0] == "scipy"


def _of_scipy(traceback: TracebackType, cause: BaseException | None) -> str:
    """The public name of the function of SciPy that was called here with a traced value, "" where none was."""
    frames = [step.tb_frame for step in _steps(traceback.tb_next) if _is_scipys(step.tb_frame)]
    if cause is None and not any(_holds(x) for frame in frames for x in frame.f_locals.values()):
        return ""
    return next(filter(None, map(_public_name, frames)), "")


def _holds(x: object) -> bool:
    """Whether an argument is, or a function reads, a traced value."""
    cells = getattr(x, "__closure__", None) or ()
    return highest(x) is not None or any(highest(cell.cell_contents) is not None for cell in cells)


def _module(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name


def _public_name(frame: FrameType) -> str:
    """scipy.linalg.expm of a frame of it; "" of one that is not public."""
    parts = list(itertools.takewhile(lambda part: part[0] != "_", _module(frame).split(".")))
    for count in range(len(parts), 0, -1):
        area = ".".join(parts[:count])
        names, me = vars(sys.modules[area]), frame.f_locals.get("self")
        if me is None:
            name = frame.f_code.co_name
            if name in names and name[0] != "_":
                return f"{area}.{name}"
            continue
        shown = {id(v): n for n, v in names.items() if n[0] != "_"}
        owner = next((shown[id(x)] for x in (me, getattr(me, "dist", None), type(me)) if id(x) in shown), None)
        if owner is not None:
            method = frame.f_code.co_name
            return f"{area}.{owner}" + (f".{method}" if method[0] != "_" else "")
    return ""


def _in_place(name: str) -> str:
    """What to write for a function of SciPy."""
    mirrored = next(filter(None, (find(name) for find in MIRROR)), None) or _IN_PLACE.get(name)
    if mirrored:
        return mirrored
    area, _, last = name.rpartition(".")
    for ours, prefix in ((np.linalg, "np.linalg"), (np.fft, "np.fft")):
        if area == prefix.replace("np", "scipy") and getattr(ours, last, None) in OPS:
            return f"{prefix}.{last}"
    if area == "scipy.optimize":
        return "admodes.minimize (admodes.root for equations), which differentiates the solution"
    return _OWN_RULE
