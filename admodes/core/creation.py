"""Arrays that f makes itself and fills with traced values: `y = np.zeros(n); y[i] = x[i]`.

A plain array has no room for a traced value, and `np.zeros` dispatches to nobody.  So f runs as it is, and only where
that ends in an error after a traced value was asked for its plain one (`Detached`), f runs again, *watched*: NumPy's
creation functions then give it a `Blank`, an array that is plain until a traced value is stored in it.  From then on
f, known by its code object, is watched at once.  A function that never detaches runs once, as before, and pays nothing.

Why a Blank and no traced constant: an array that takes no traced value is never recorded, so tapes and programs hold
what they must, and `float(w[0])`, `math.sin(w[0])`, compiled code and whatever else wants plain numbers still works.

Why a class for the module numpy: while a watched run is under way (and no longer), numpy is an instance of a subclass
of ModuleType, as Python's reference has it under "customizing module attribute access".  Its dict is not touched, and
the attribute gives the very function it always gave, unless the look-up is made in the context of that run (a context
variable: other threads never see more) and by code of the user's: not by NumPy, SciPy, the standard library or other
installed packages, but for those in whose frames a traced value was seen to be stored.  The ways not taken: wrapping
np.zeros itself shows in every thread, and stays where another module imports it meanwhile; running f with other globals
misses methods, decorated functions and helpers; a new code object for f would be tied to each version of Python.
`from numpy import zeros` leaves no look-up to answer; the few globals of the user's modules that hold such a function
hold a wrapper of it for the time of the run, which in any other context is the function itself.

Where that does not do, a third run watches all public functions of NumPy: they gather lists of traced values, which do
not dispatch, and what any of them makes for f is a Blank too, but for what lies in the memory of an array from outside.
The methods and operators of plain arrays, generators and SciPy's functions are out of reach: np.copy of their results.
"""

from __future__ import annotations

import dis
import functools
import opcode
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any, NoReturn

import numpy as np

from .blame import explained, located, refused_class
from .blank import Blank, given, traced
from .captured import Captured
from .created import CLASSES, INDEXED, OF_TRACED
from .dispatch import collected_lists
from .errors import Detached, noted
from .registry import OPS
from .statements import statement_at
from .surroundings import BoundAnew, Surroundings
from .tracing import HANDS_ON

# The installed packages whose code is watched beside the user's own; None: nothing is watched in this context.
_WATCHED: ContextVar[frozenset[str] | None] = ContextVar("watched", default=None)
_AS_WRITTEN: ContextVar[bool] = ContextVar("as_written", default=False)
# What was found to fill arrays of its own, and the packages to watch with it.
_FILLING: dict[int, tuple[CodeType, frozenset[str]]] = {}  # by the identity of the code
# What was found to write to arguments that it is not differentiated by.
_WRITING: dict[int, tuple[CodeType, int]] = {}  # by the identity of the code, with a number in the order found


# ---------------------------------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------------------------------


def run(f: Callable[..., Any], body: Callable[..., Any], *args: Any) -> Any:
    """body(*args), which runs f under a transform of its own; again, watched, where f stores into arrays it makes, and
    with copies, where it writes to arguments that were `lent`."""
    as_written = _AS_WRITTEN.get()
    packages = _known(f) if _FILLING and not as_written else None
    before = noted.detached, noted.curable
    noted.detached = False
    known = len(_WRITING)
    try:
        if packages is not None:
            with _watching(packages):
                return _lending_around(f, body, args, packages)
        noted.curable = not as_written and _WATCHED.get() is None
        return body(*args)
    except Exception as error:
        if packages and not packages <= {LISTS, AROUND}:  # another function of this code may not go through these: anew
            _FILLING.pop(id(code_of(f)), None)
        elif not _wrote(f, error, known):
            if not noted.detached or isinstance(error, OSError):  # a file's, or of a time limit set by a signal
                if refused_class(error) or isinstance(error, Detached):  # the latter in a thread that f started
                    _raise(error, frozenset())
                located(error, in_users_code)
                raise
            noted.curable = False
            return _again(f, body, args, error)
    finally:
        noted.detached, noted.curable = noted.detached or before[0], before[1]
    return run(f, body, *args)


@contextmanager
def no_rerun() -> Iterator[None]:
    """Within this context a store of a traced value into an array that f made is an error, and f runs once.

    Without it f is run a second time, on the first call that needs it, and what f does beside returning a result
    (printing, counting, drawing random numbers) happens twice.

    Returns
    -------
    A context manager, which gives None.

    Raises
    ------
    Detached : within it, where f stores a traced value into an array that it made.

    Source: NEP 18, "A dispatch mechanism for NumPy's high level array functions", on its limits: np.zeros and the like,
    which are given no traced value, do not dispatch.

    >>> import numpy as np, admodes
    >>> def f(x):
    ...     y = np.zeros(2)
    ...     y[0] = x * x
    ...     return y[0]
    >>> float(admodes.grad(f)(3.0))
    6.0
    >>> with admodes.no_rerun():
    ...     admodes.grad(f)(3.0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    admodes.core.errors.Detached: ...
    """
    token = _AS_WRITTEN.set(True)
    try:
        yield
    finally:
        _AS_WRITTEN.reset(token)


# What NumPy, Cython, f2py and numba say of arrays that cannot be written to.
_REFUSED = re.compile("read-?only|writ(e)?able|not acceptable", re.IGNORECASE)


def _wrote(f: Any, error: Exception, known: int) -> bool:
    """Whether an error says that f writes to an argument that was lent; from now on it has copies.

    known: how many such functions there were when the run began; f may have been found since, by a run inside this one.
    """
    if not _REFUSED.search(str(error)):
        return False
    code = code_of(f)
    if code is None:
        return False
    _, number = _WRITING.setdefault(id(code), (code, len(_WRITING) + 1))
    return number > known


def _again(f: Callable[..., Any], body: Callable[..., Any], args: tuple[Any, ...], error: Exception) -> Any:
    """Run f watched, until nothing more is found that could be."""
    watched = _WATCHED.get()
    packages = (_known(f) or frozenset()) | (watched or frozenset())
    captured = around(f)
    if _AS_WRITTEN.get():
        _raise(error, packages | _packages(error.__traceback__))
    while True:
        noted.detached = False
        found = _packages(error.__traceback__) - packages
        if watched is not None and LISTS not in packages:
            found |= {LISTS}
        if not (_find_globals(error.__traceback__) or found or watched is None):
            found = frozenset({AROUND}) - packages
            if not found:
                _raise(error, packages)
        watched = packages = packages | found
        try:
            result = _attempt(f, body, args, packages)
        except BoundAnew:
            _raise(error, packages)
        except Exception as once_more:
            if noted.detached:
                error = once_more
                continue
            refused = refused_class(once_more)
            if refused not in ("", Blank.__name__):
                _raise(once_more, packages)
            if refused or _packages(once_more.__traceback__) & found:  # a package that traced values do not go through
                _raise(error, packages)
            located(once_more, in_users_code)
            raise
        captured.unchanged()
        code = code_of(f)
        if code is not None:
            _FILLING[id(code)] = code, packages
        return result


def _attempt(f: Callable[..., Any], body: Callable[..., Any], args: tuple[Any, ...], packages: frozenset[str]) -> Any:
    """A watched run; a second one with copies of the arguments where f writes to these."""
    known = len(_WRITING)
    try:
        with _watching(packages):
            return _lending_around(f, body, args, packages)
    except Exception as error:
        if not _wrote(f, error, known):
            raise
    with _watching(packages):
        return _lending_around(f, body, args, packages)


def _lending_around(f: Any, body: Callable[..., Any], args: tuple[Any, ...], packages: frozenset[str]) -> Any:
    """body(*args), with the arrays around f lent where f is known to need that."""
    if AROUND not in packages:
        return body(*args)
    surroundings = Surroundings(is_users, _originals)
    lent = surroundings.function(f)
    y = body(*(lent if a is f else a for a in args))
    surroundings.check(code_of(f))
    return y


def _raise(error: Exception, packages: frozenset[str]) -> NoReturn:
    new = explained(error, in_users_code)
    if new is error:  # f is of a package itself
        new = explained(error, lambda frame: _is_watched(frame, packages))
    if new is error:  # an error is not to be its own cause
        located(error, in_users_code)
        raise error
    raise new from error


def _known(f: Any) -> frozenset[str] | None:
    code = code_of(f)
    found = _FILLING.get(id(code))
    return None if found is None else found[1]


def around(f: Any) -> Captured:
    """The arrays that the function which a user wrote reads from around it, as they are now."""
    while (inner := getattr(f, "_of", None) or getattr(f, "__wrapped__", None)) is not None:
        f = inner
    return Captured(f, is_users)


def known_by(function: Any, f: Any) -> Any:
    """function, which calls f, as one that is known by the code of f."""
    function._of = f
    return function


def code_of(f: Any) -> CodeType | None:
    """The code of the function that a user wrote."""
    while True:
        inner = getattr(f, "_of", None) or getattr(f, "__wrapped__", None) or getattr(f, "__func__", None)
        if inner is None and isinstance(f, functools.partial):
            inner = f.func
        if inner is None:
            break
        f = inner
    code = getattr(f, "__code__", None) or getattr(vars(type(f)).get("__call__"), "__code__", None)
    return code if isinstance(code, CodeType) and not code.co_filename.startswith(_HERE) else None


# ---------------------------------------------------------------------------------------------------
# Whose code is watched
# ---------------------------------------------------------------------------------------------------

_HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep
_NEVER = ("numpy", "scipy", "admodes")


def _installed(name: str) -> bool:
    """Whether a module belongs to an installed package or the standard library."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return name in sys.builtin_module_names
    return file.startswith(_STANDARD) or "site-packages" in file or "dist-packages" in file


@functools.cache
def is_users(name: str) -> bool:
    """Whether a module is the user's own."""
    return name.partition(".")[0] not in _NEVER and not _installed(name)


def _is_watched(frame: FrameType, packages: frozenset[str]) -> bool:
    code = frame.f_code
    if code.co_filename.startswith(_HERE) or code.co_name == "<module>":  # what a module imports stays after the run
        return False
    name = frame.f_globals.get("__name__", "")
    # The examples of our docstrings run in namespaces of our own name.
    return is_users(name) or name.partition(".")[0] in packages or code.co_filename.startswith("<doctest")


def in_users_code(frame: FrameType) -> bool:
    """Whether a frame runs code that a user wrote."""
    return _is_watched(frame, frozenset())


def users_statement() -> str:
    """'model.py, line 3: if x > 0:', the statement of the user's code that is running; empty where there is none."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if _is_watched(frame, frozenset()):
            return ": ".join(statement_at(frame, frame.f_lineno, frame.f_lasti))
        frame = frame.f_back
    return ""


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _packages(traceback: TracebackType | None) -> frozenset[str]:
    """The installed packages on the way to an error."""
    names = {frame.f_globals.get("__name__", "") for frame in _frames(traceback)}
    found = {name.partition(".")[0] for name in names if not is_users(name)} - {*_NEVER, *sys.stdlib_module_names}
    return frozenset(found)


# ---------------------------------------------------------------------------------------------------
# The creation functions
# ---------------------------------------------------------------------------------------------------

NAMES = (
    "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like", "eye", "identity", "tri",
    "array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "asarray_chkfinite", "copy", "fromiter",
    "require", "linspace", "logspace", "geomspace", "arange", "diag", "diagflat", "tril", "triu", "vander", "meshgrid",
)  # fmt: skip
_WITHOUT_VALUES = {np.empty: np.zeros, np.empty_like: np.zeros_like}  # a program is not to hold what memory held


class Creation:
    """A creation function as f is to have it; elsewhere the function itself."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = fn.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _WATCHED.get() is None:
            return self.fn(*args, **kwargs)
        special = OF_TRACED.get(self.name)
        if self.name == "fromiter" or traced((args, kwargs)):
            if special is not None:
                return special(*args, **kwargs)
            args = collected_lists(OPS[self.fn], args) if self.fn in OPS else args
        y = _WITHOUT_VALUES.get(self.fn, self.fn)(*args, **kwargs)
        return given(y, (args, kwargs))

    def handed_on(self, *args: Any, **kwargs: Any) -> Any:
        """The function as a library has it that hands its arguments on to the user's code: of plain arrays NumPy's."""
        special = OF_TRACED.get(self.name) if traced((args, kwargs)) else None
        return (special or self.fn)(*args, **kwargs)

    def __reduce__(self) -> Any:
        return _function, (self.name,)


def _function(name: str) -> Any:
    return vars(np)[name]


CREATIONS = {name: Creation(getattr(np, name)) for name in NAMES}


class _Attribute:
    """A creation function as an attribute of numpy: as ever, but where code that is watched looks it up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, module: ModuleType, owner: Any = None) -> Any:
        try:
            fn = vars(module)[self.name]
        except KeyError:
            raise AttributeError(f"module 'numpy' has no attribute {self.name!r}") from None
        packages = _WATCHED.get()
        if packages is None:
            return fn
        frame = sys._getframe(1)
        if not _looks_up(frame, self.name):
            return fn
        if not _is_watched(frame, packages):
            handed = self.name in CREATIONS and frame.f_globals.get("__name__") == HANDS_ON
            return CREATIONS[self.name].handed_on if handed else fn
        if frame.f_code.co_name == "__array__":  # of another library's class, which is to give an array of NumPy's own
            return fn
        if self.name in INDEXED:
            return INDEXED[self.name]
        if self.name in CLASSES:  # only where a class is about to be called may a function stand for it
            return CLASSES[self.name] if _is_called(frame.f_code, frame.f_lasti // 2) else fn
        return CREATIONS[self.name] if fn is CREATIONS[self.name].fn else fn

    def __set__(self, module: ModuleType, value: Any) -> None:
        vars(module)[self.name] = value

    def __delete__(self, module: ModuleType) -> None:
        del vars(module)[self.name]


def _looks_up(frame: FrameType, name: str) -> bool:
    """Whether a frame itself is looking up an attribute, not code in C that it calls."""
    return _looked_up(frame.f_code).get(frame.f_lasti // 2) == name


@functools.lru_cache(maxsize=4096)
def _looked_up(code: CodeType) -> dict[int, str]:
    """The attributes that a code looks up, by the number of the instruction."""
    return {
        i.offset // 2: i.argval
        for i in dis.get_instructions(code)
        if i.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")
    }


@functools.lru_cache(maxsize=4096)
def _is_called(code: CodeType, at: int) -> bool:
    """Whether the attribute that a frame is looking up is called: `np.ndarray(3)`, not `isinstance(x, np.ndarray)`.

    The next instruction whose source begins where that of the attribute begins is then the call.
    """
    places = list(code.co_positions())
    line, _, column, _ = places[at]
    for k in range(at + 1, len(places)):
        name = opcode.opname[code.co_code[2 * k]]
        if name not in ("CACHE", "EXTENDED_ARG") and (places[k][0], places[k][2]) == (line, column):
            return column is not None and name in ("PUSH_NULL", "KW_NAMES", "PRECALL", "CALL", "CALL_KW")
    return False


# ---------------------------------------------------------------------------------------------------
# Lists of traced values, which do not dispatch: np.exp([x[0], 1.0])
# ---------------------------------------------------------------------------------------------------

AROUND = "(...)"  # stands among them where the arrays around f are lent (see `surroundings`)
LISTS = "[...]"  # stands among the packages of a run in which NumPy's functions gather such lists


class _Function:
    """A function of NumPy as an attribute: in a run that gathers lists one that does, and f may fill its result."""

    def __init__(self, fn: Any, name: str) -> None:
        self.fn, self.name, self.op = fn, name, OPS.get(fn)

    def __get__(self, module: ModuleType, owner: Any = None) -> Any:
        fn = vars(module)[self.name]
        packages = _WATCHED.get()
        if packages is None or LISTS not in packages or fn is not self.fn:
            return fn
        frame = sys._getframe(1)
        if (
            _looks_up(frame, self.name)
            and _is_watched(frame, packages)
            and _is_called(frame.f_code, frame.f_lasti // 2)
        ):
            return self._gathering
        return fn

    def __set__(self, module: ModuleType, value: Any) -> None:
        vars(module)[self.name] = value

    def __delete__(self, module: ModuleType) -> None:
        del vars(module)[self.name]

    def _gathering(self, *args: Any, **kwargs: Any) -> Any:
        op = self.op
        if op is not None and op.sequence and isinstance(args[0], list | tuple):
            args = collected_lists(op, tuple(args[0])), *args[1:]
        elif op is not None and op.changes is None:  # an array that is changed stays the one it is
            args = collected_lists(op, args)
        return given(self.fn(*args, **kwargs), (args, kwargs))


@functools.cache
def _functions(module: ModuleType) -> dict[str, _Function]:
    """Its public ones, once the table is filled."""
    return {
        name: _Function(fn, name)
        for name, fn in vars(module).items()
        if name[0] != "_" and name not in NAMES and callable(fn) and not isinstance(fn, type)
    }


# ---------------------------------------------------------------------------------------------------
# The time of a watched run
# ---------------------------------------------------------------------------------------------------

_lock = threading.RLock()
_under_way = 0
# Those of NumPy whose functions make arrays; the last ones are loaded when they are first used.
_MODULES = ("numpy", "numpy.linalg", "numpy.fft", "numpy.lib.scimath", "numpy.random", *(
    f"numpy.polynomial.{name}" for name in ("chebyshev", "hermite", "hermite_e", "laguerre", "legendre", "polynomial")
))  # fmt: skip
_plain_classes: dict[ModuleType, type[ModuleType]] = {}
_classes: dict[tuple[Any, ...], type[ModuleType]] = {}
_listing = False
_originals = {id(creation.fn): creation for creation in CREATIONS.values()}
_globals: dict[tuple[int, str], tuple[dict[str, Any], str, Creation]] = {}  # of modules: `from numpy import zeros`


@contextmanager
def _watching(packages: frozenset[str]) -> Iterator[None]:
    token = _WATCHED.set(packages)
    curable, noted.curable = noted.curable, False
    _count(+1, LISTS in packages)
    try:
        yield
    finally:
        _count(-1)
        noted.curable = curable
        _WATCHED.reset(token)


def _count(change: int, lists: bool = False) -> None:
    """The first run brings the attributes and globals in, the last takes them out."""
    global _under_way, _listing
    with _lock:
        before, _under_way = _under_way, _under_way + change
        if not before:
            _bring_in(np, lists=False)
            _exchange(inward=True)
        if lists and not _listing:
            _listing = True
            for name in _MODULES:
                if name in sys.modules:
                    _bring_in(sys.modules[name], lists=True)
        if before and not _under_way:
            _listing = False
            for module, kind in _plain_classes.items():
                module.__class__ = kind
            _plain_classes.clear()
            _exchange(inward=False)


def _bring_in(module: ModuleType, lists: bool) -> None:
    _plain_classes.setdefault(module, type(module))
    key = type(module), module.__name__, lists
    if key not in _classes:  # a class takes long to make, and is a cycle
        attributes = _functions(module) if lists else {name: _Attribute(name) for name in (*NAMES, *CLASSES, *INDEXED)}
        _classes[key] = type(type(module).__name__, (type(module),), attributes)
    module.__class__ = _classes[key]


def _exchange(inward: bool) -> None:
    for names, key, creation in _globals.values():
        old, new = (creation.fn, creation) if inward else (creation, creation.fn)
        if names.get(key) is old:
            names[key] = new


def _find_globals(traceback: TracebackType | None) -> bool:
    """Look for creation functions among the globals of the user's modules; whether there are new ones."""
    packages = _packages(traceback)
    watched = [
        vars(module)
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and (is_users(name) or name.partition(".")[0] in packages)
    ]
    watched += [frame.f_globals for frame in _frames(traceback) if is_users(frame.f_globals.get("__name__", ""))]
    with _lock:
        before = len(_globals)
        for names in watched:
            for key, value in list(names.items()):
                if id(value) in _originals:
                    _globals.setdefault((id(names), key), (names, key, _originals[id(value)]))
        if _under_way:
            _exchange(inward=True)
        return len(_globals) > before


def _after_fork() -> None:
    """A child begins without the runs of other threads, which do not go on in it."""
    global _lock, _under_way
    _lock = threading.RLock()
    if _under_way and _WATCHED.get() is None:
        _under_way = 1
        _count(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
