"""Where in the user's code a traced value was asked for its plain one, as the error says it in its last line, and which
function of SciPy, none of which dispatches, was given it.
"""

from __future__ import annotations

import ast
import itertools
import opcode
import re
import struct
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, ModuleType, TracebackType

import numpy as np

from .dispatch import highest
from .errors import AFTER, HELD, Deferred, Detached, LeakedTracer, MissingRule
from .registry import OPS
from .statements import statement_at
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
    array = _stored_into(statement, found)
    place = _told(place, statement)
    if foreign:
        new = Detached.told(
            f"{place}: {foreign} does not dispatch to other arrays, and a traced value cannot go through "
            f"it. Write {_in_place(foreign)}."
        )
        new.explained = True
        return new
    if refused:
        solver = f"; for lu.solve(b) of splu {_IN_PLACE['scipy.sparse.linalg.splu']}(A, b)"
        taken, more = ("NumPy's own arrays", solver) if "ndarray" in str(error) else ("plain numbers", "")
        new = Detached.told(
            f"{place}: what is called there takes {taken} alone, so that a traced value cannot go through it "
            f"({error}). Write {_OWN_RULE}{more}."
        )
        new.explained = True
        return new
    if cause is None and not (found is last and array and isinstance(error, TypeError | ValueError)):
        return error
    if array:
        why, remedy = _why(array, found.tb_frame, str(cause), steps)
        new = Detached(f"{place}: storing a traced value into {array}, {why},", remedy)
    else:
        new = Detached.told(f"{place}: {cause}")
    new.explained = True
    return new


def _why(array: str, frame: FrameType, cause: str, steps: list[TracebackType]) -> tuple[str, str]:
    """Why an array takes no traced value, and what to write."""
    value = _value(ast.parse(array, mode="eval").body, {**frame.f_globals, **frame.f_locals})
    dtype = getattr(value, "dtype", np.dtype(float))
    if dtype.names:
        return "a structured array", "Make an array for each field: a dict of np.zeros(n)."
    if dtype.kind not in "fcO":
        return (
            f"an array of {dtype}, which keeps no fractions",
            f"Make it one of floats: np.zeros(3), np.arange(3.0), {array} = {array}.astype(float).",
        )
    if HELD in cause:
        return HELD, AFTER
    if ".view(" in array:
        remedy = "Store into the array itself, or into z.real and z.imag of a complex one."
        return "the memory of an array read as other numbers", remedy
    if any(_module(step.tb_frame) in ("threading", "concurrent.futures.thread") for step in steps):
        return "in a thread that the function starts", "Make the array before, by np.zeros_like(x)."
    why = "a plain array that no function of NumPy made when called in this function"
    own = _name_of_copy(array, frame)
    of_view = (
        " (a copy of a view: what it is a view of stays as it is)" if getattr(value, "base", None) is not None else ""
    )
    return why, (
        f"Copy it there first, {own} = np.copy({array}){of_view}, and store into that, or make one: "
        f"np.zeros_like({array})."
    )


def _told(place: str, statement: str) -> str:
    """'model.py, line 3: y[0] = x[0]'; the place alone where the source is not known."""
    return f"{place}: {statement.removesuffix(':')}" if statement else place


def located(error: Exception, is_users: Callable[[FrameType], bool]) -> None:
    """Give the error the line of the user's code where it was raised by a statement of ours; where code that is not
    NumPy's was called with a traced value and did not take it, a note with that line."""
    steps = list(_steps(error.__traceback__))
    found = next((step for step in reversed(steps) if is_users(step.tb_frame)), None)
    if found is None or getattr(error, "explained", False):
        return
    ours = _ours(error, steps[-1])
    foreign = isinstance(error, TypeError | struct.error) and not _module(steps[-1].tb_frame).startswith("admodes.")
    if not ours and not (foreign and "CALL" in _instruction(found.tb_frame.f_code, found.tb_lasti)):
        return
    place, statement = statement_at(found.tb_frame, found.tb_lineno, found.tb_lasti)
    if ours:
        error.args = (f"{_told(place, statement)}: {error}",)
    elif name := _traced_name(statement, found.tb_frame):
        error.add_note(
            f"{_told(place, statement)}: {name} is traced there, and what is called wants plain numbers. Write "
            f'{_OWN_RULE}; to print it, f"{{{name}}}".'
        )
    vars(error)["explained"] = True


def _traced_name(statement: str, frame: FrameType) -> str:
    """A variable with a traced value that a statement reads; "" where there is none."""
    try:
        nodes = list(ast.walk(ast.parse(statement)))
    except SyntaxError:
        return ""
    names = {**frame.f_globals, **frame.f_locals}
    read = (node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return next((name for name in read if highest(names.get(name)) is not None), "")


def _ours(error: Exception, last: TracebackType) -> bool:
    """Whether an error was raised by a statement of ours, and says what a user is to know."""
    ours = _module(last.tb_frame).startswith("admodes.")
    raised = ours and _instruction(last.tb_frame.f_code, last.tb_lasti) in ("RAISE_VARARGS", "RERAISE")
    kinds = (MissingRule, Deferred, LeakedTracer)
    return raised and (type(error) in (TypeError, ValueError, AttributeError) or isinstance(error, kinds))


def refused_class(error: BaseException) -> str:
    """The class of the traced value that code in C refused without asking for its plain one; "" where none was."""
    words = re.findall(r"\w+", str(error)) if isinstance(error, TypeError) else ()
    return next((kind.__name__ for kind in Tracer.__subclasses__() if kind.__name__ in words), "")


def _name_of_copy(array: str, frame: FrameType) -> str:
    """What the copy may be called: a variable of the function, or part of one, can keep its name; a global cannot."""
    return array if re.split(r"\W", array)[0] in frame.f_code.co_varnames else "own"


# Functions and methods of NumPy that change an array: the first argument, or that whose method it is.
_CHANGING = ("at", "copyto", "fill", "fill_diagonal", "itemset", "place", "put", "put_along_axis", "putmask")


def _stored_into(statement: str, step: TracebackType) -> str:
    """The array that a statement was storing into when it failed, as it is written; empty where none is recognised."""
    try:
        body = ast.parse(statement).body
    except SyntaxError:
        return ""
    names = {**step.tb_frame.f_globals, **step.tb_frame.f_locals}
    called = "CALL" in _instruction(step.tb_frame.f_code, step.tb_lasti)
    found = (
        _changed_by_call(node, names) if called else _target(node, names) for top in body for node in ast.walk(top)
    )
    return next(filter(None, found), "")


def _instruction(code: CodeType, at: int) -> str:
    """The name of the one that Python has begun; behind it there may be room for its cache."""
    names = (opcode.opname[code.co_code[k]] for k in range(at, -1, -2))
    return next(name for name in names if name != "CACHE")


def _target(node: ast.AST, names: dict[str, object]) -> str:
    """The array in the target of an assignment."""
    if isinstance(node, ast.AugAssign):
        target, base = node.target, getattr(node.target, "value", None)
        if isinstance(target, ast.Subscript) and not isinstance(_value(base, names), dict | list | tuple):
            return _array(target)
        return ast.unparse(target)  # state["v"] += …: the array is what the container holds
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        return _array(node)
    return ""


def _array(target: ast.Subscript) -> str:
    base = target.value
    return ast.unparse(base.value if isinstance(base, ast.Attribute) and base.attr in ("flat", "T", "real") else base)


def _value(node: ast.AST | None, names: dict[str, object]) -> object:
    return names.get(node.id) if isinstance(node, ast.Name) else None


def _changed_by_call(node: ast.AST, names: dict[str, object]) -> str:
    if not isinstance(node, ast.Call):
        return ""
    out = next((keyword.value for keyword in node.keywords if keyword.arg == "out"), None)
    if out is None and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
        of_module = node.func.attr == "at" or isinstance(_value(node.func.value, names), ModuleType)
        out = (node.args[0] if node.args else None) if of_module else node.func.value
    return "" if out is None else ast.unparse(out)


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
