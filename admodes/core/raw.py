"""Writes that NumPy does not refuse: np.add.at and its kin write to arrays that are marked as not to be written to, and
so does what is given their address (ctypes, C and Fortran).

A function that is met for the first time has copies of its large arguments, which are looked at when it is done: has it
changed them?  A way to write so that is named in its code makes copies the rule.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from types import CodeType
from typing import Any

from .fingerprint import fingerprint

# Attributes by which read-only memory is written to.
RAW = frozenset({"at", "setflags", "ctypes", "__array_interface__"})

# Code that ran with copies, and left them as they were.
TRIED: dict[int, CodeType] = {}


def writes_raw(f: Any, code: CodeType) -> bool:
    """Whether f, or a function that it reads from around it, names such a way to write."""
    return any(RAW.intersection(one.co_names) or any(_overwrites(c) for c in one.co_consts) for one in _codes(f, code))


def _overwrites(constant: Any) -> bool:
    """The names of keywords, SciPy's overwrite_a among them."""
    return isinstance(constant, tuple) and any(isinstance(k, str) and k.startswith("overwrite_") for k in constant)


def _codes(f: Any, code: CodeType) -> Iterator[CodeType]:
    """The code of f, of the functions defined in it, and of those that are read by name from around it."""
    waiting: list[tuple[Any, CodeType]] = [(f, code)]
    seen = set()
    while waiting:
        f, code = waiting.pop()
        if id(code) in seen:
            continue
        seen.add(id(code))
        yield code
        waiting += [(f, c) for c in code.co_consts if isinstance(c, CodeType)]
        around = [getattr(f, "__globals__", {}).get(name) for name in code.co_names]
        around += [cell.cell_contents for cell in getattr(f, "__closure__", None) or () if _filled(cell)]
        waiting += [(x, x.__code__) for x in around if isinstance(x, types.FunctionType)]


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that has no value yet
        return False


def left(loans: list[tuple[bytes, Any]]) -> bool:
    """Whether all copies still have the fingerprints that they were made with."""
    return all(mark == fingerprint(copy) for mark, copy in loans)
