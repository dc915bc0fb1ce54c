"""The function and the arguments that a command line names.

A function is `module:function` or `file.py:function`; arguments are shapes, expressions, or arrays of an .npz file.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SEED = 0


class Unusable(Exception):
    """A command line that names no function, or no arguments, that can be used; its message says what to write."""


def loaded(spec: str) -> Callable[..., Any]:
    """The function of `module:function` or `path/to/file.py:function`; a list of layers may stand in its place.

    Raises
    ------
    Unusable : no such module, file or name; a module that fails when it is imported.

    >>> loaded("math:hypot")(3, 4)
    5.0
    """
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name:
        raise Unusable(f"{spec!r} names no function: write module:function, or path/to/file.py:function")
    module = _module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = sorted(k for k, v in vars(module).items() if callable(v) and not k.startswith("_"))
            raise Unusable(f"{place} has no {name!r}; it has {', '.join(known[:12]) or 'no functions'}")
        found = getattr(found, part)
    layers = isinstance(found, Sequence) and bool(found) and all(map(callable, found))
    if not callable(found) and not layers:
        raise Unusable(f"{spec} is neither a function nor a list of layers, but of type {type(found).__name__}")
    return found


def _module(place: str) -> Any:
    """A module by its name, the working directory among the places searched, or by its file."""
    try:
        if place.endswith(".py"):
            return _from_file(Path(place))
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    except Unusable:
        raise
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise Unusable(f"there is no module {place!r} here or among those installed; a file is named by its path, "
                           f"{place.replace('.', '/')}.py:…") from None  # fmt: skip
        raise Unusable(f"{place} cannot be imported: it needs {error.name}, which is not installed") from None
    except (Exception, SystemExit) as error:
        raise Unusable(f"{place} cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise Unusable(f"there is no file {path}")
    spec: Any = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where pickle and dataclasses look for it
    sys.path.insert(0, str(path.resolve().parent))  # its neighbours, as when it is run
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------


def add_function(parser: argparse.ArgumentParser) -> None:
    """What every command that takes a function has."""
    parser.add_argument("function", help="module:function or path/to/file.py:function")
    parser.add_argument(
        "--shape", action="append", default=[], metavar="x=64,3", help="an argument of standard normal numbers, seeded"
    )
    parser.add_argument(
        "--arg", action="append", default=[], metavar="x=EXPR", help="an argument as Python, np being NumPy"
    )
    parser.add_argument("--args", metavar="FILE.npz", type=Path, help="arguments by name, from a file of np.savez")


def arguments(f: Any, options: argparse.Namespace) -> tuple[Any, ...]:
    """The positional arguments of a function, in its order.

    Raises
    ------
    Unusable : arguments that are missing, unknown, given twice, or cannot be read.
    """
    given: dict[str, Any] = {}
    sources = [*_from_archive(options.args), *map(_shaped, options.shape), *map(_evaluated, options.arg)]
    for name, value in sources:
        if name in given:
            raise Unusable(f"the argument {name!r} is given twice")
        given[name] = value
    if isinstance(f, Sequence):
        if len(given) != 1:
            raise Unusable("a list of layers takes one argument: --shape x=64")
        return tuple(given.values())
    return _in_order(f, given)


def _in_order(f: Callable[..., Any], given: dict[str, Any]) -> tuple[Any, ...]:
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # builtins and ufuncs tell no signature
        return tuple(given.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [p.name for p in positional]
    unknown = [name for name in given if name not in names]
    if unknown and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise Unusable(f"the function has no argument {unknown[0]!r}; it has {', '.join(names) or 'none'}")
    missing = [p.name for p in positional if p.name not in given and p.default is p.empty]
    if missing:
        example = " ".join(f"--shape {name}=64" for name in missing)
        raise Unusable(f"no shape is given for {', '.join(missing)}: add {example}, or --arg '{missing[0]}=2.0'")
    last = max((i for i, name in enumerate(names) if name in given), default=-1)
    chosen = [given.get(p.name, p.default) for p in positional[: last + 1]]
    return (*chosen, *(given[name] for name in unknown))


def _parted(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier() or not value.strip():
        raise Unusable(f"{option} {text!r}: write {option} name={'64,3' if option == '--shape' else 'expression'}")
    return name.strip(), value.strip()


def _shaped(text: str) -> tuple[str, Any]:
    """name=64,3 as an array of that shape; nothing but () behind the equals sign is one number."""
    name, value = _parted(text, "--shape")
    try:
        shape = tuple(int(n) for n in value.strip("()[]").replace("x", ",").split(",") if n.strip())
    except ValueError:
        raise Unusable(f"--shape {text!r}: {value!r} is no shape; write --shape {name}=64 or {name}=64,3") from None
    if any(n < 0 for n in shape):
        raise Unusable(f"--shape {text!r}: a size is negative")
    return name, np.random.default_rng(SEED + sum(map(ord, name))).standard_normal(shape)


def _evaluated(text: str) -> tuple[str, Any]:
    name, value = _parted(text, "--arg")
    try:
        return name, eval(value, {"np": np, "rng": np.random.default_rng(SEED)})
    except Exception as error:
        raise Unusable(f"--arg {text!r}: {value} raises {type(error).__name__}: {error}") from None


def _from_archive(path: Path | None) -> list[tuple[str, Any]]:
    if path is None:
        return []
    try:
        with np.load(path) as archive:
            return [(name, archive[name]) for name in archive.files]
    except (OSError, ValueError, TypeError) as error:
        raise Unusable(f"--args {path}: cannot be read as .npz: {error}") from None
