"""Which of NumPy's functions can be differentiated: every public callable of numpy, numpy.linalg, numpy.fft and every
ufunc of scipy.special, in one of four classes; and what admodes.scipy has of SciPy's other functions.

The classes are computed from the registry; only functions that NumPy does not dispatch to us, and so have no row, are
listed by name.  What raises, and why, stands in `ops.refused`.  `python -m admodes coverage` prints the table.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from .core.registry import Op, Passive, Refused, lookup
from .core.tables import columns
from .ops.refused import WITHOUT_ROW

DIFFERENTIABLE = "differentiable"
ZERO = "derivative zero"
PASSIVE = "passive"
RAISES = "raises"
UNCLASSIFIED = "unclassified"

AREAS = ("numpy", "numpy.linalg", "numpy.fft", "scipy.special", "admodes.scipy")

# ---------------------------------------------------------------------------------------------------
# Functions without a row: NumPy does not dispatch them
# ---------------------------------------------------------------------------------------------------

# They build an object array of traced scalars, or work through functions that have rows.
# fmt: off
BY_ELEMENT = {
    "array", "nditer", "asarray", "asanyarray", "asarray_chkfinite", "ascontiguousarray", "asfortranarray", "full",
    "fromfunction", "kaiser", "require", "poly1d", "vectorize", "ndenumerate", "broadcast",
}
# fmt: on

# They take no array of floats to differentiate by: constants, files, types, settings.
# fmt: off
NO_ARRAY = {
    "arange", "bartlett", "blackman", "hamming", "hanning", "empty", "ones", "zeros", "eye", "identity", "tri",
    "indices", "diag_indices", "tril_indices", "triu_indices", "mask_indices", "broadcast_shapes", "ndindex",
    "binary_repr", "base_repr", "frombuffer", "fromfile", "fromregex", "fromstring", "from_dlpack", "genfromtxt",
    "loadtxt", "load", "memmap", "datetime_data", "busdaycalendar", "isdtype", "isfortran", "isscalar",
    "issubdtype", "iterable", "mintypecode", "promote_types", "typename", "get_include", "get_printoptions",
    "set_printoptions", "printoptions", "getbufsize", "setbufsize", "geterr", "seterr", "geterrcall", "seterrcall",
    "errstate", "info", "show_config", "show_runtime", "test", "ufunc", "LinAlgError", "finfo", "iinfo", "dtype",
}
# fmt: on

# ---------------------------------------------------------------------------------------------------
# The classes
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One public name: its class, the kind of its row, and why it raises where it does."""

    area: str
    name: str
    verdict: str
    rule: str = ""
    reason: str = ""


def public(area: str) -> dict[str, Any]:
    """The public callables of a module; of scipy.special its ufuncs, of admodes.scipy those of all its modules."""
    module = importlib.import_module(area)
    if area == "admodes.scipy":
        return module.functions()
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    if area == "scipy.special":
        return {name: fn for name, fn in found.items() if isinstance(fn, np.ufunc)}
    return {name: fn for name, fn in found.items() if callable(fn) and not inspect.ismodule(fn)}


def entry(area: str, name: str, fn: Any) -> Entry:
    """The class of one callable."""
    try:
        op = lookup(fn)
    except TypeError:  # what cannot be hashed has no row
        op = None
    if op is not None:
        return _from_row(area, name, op)
    if name in BY_ELEMENT:
        return Entry(area, name, DIFFERENTIABLE, "by element")
    if name in WITHOUT_ROW:
        return Entry(area, name, RAISES, "", WITHOUT_ROW[name])
    if name in NO_ARRAY or (isinstance(fn, type) and issubclass(fn, np.generic)):
        return Entry(area, name, PASSIVE, "takes no array")
    return Entry(area, name, UNCLASSIFIED)


def _from_row(area: str, name: str, op: Op) -> Entry:
    if isinstance(op, Refused):
        return Entry(area, name, RAISES, "", op.reason)
    if isinstance(op, Passive):
        return Entry(area, name, ZERO if op.zero else PASSIVE)
    return Entry(area, name, DIFFERENTIABLE, _kind(op))


def _kind(op: Op) -> str:
    """The kind of rule: the class of the row, or the one that it refines."""
    kinds = [c for c in type(op).__mro__ if c.__module__ == Op.__module__ or Op in c.__bases__]
    return next(c.__name__ for c in kinds if not c.__name__.startswith("_"))


def coverage(areas: Any = AREAS) -> list[Entry]:
    """Every public callable of the areas, in order, with its class.

    Parameters
    ----------
    areas : names of modules, of AREAS.

    Raises
    ------
    ModuleNotFoundError : an area that is not installed.

    >>> [e.verdict for e in coverage(["numpy"]) if e.name in ("floor", "shape", "sin")]
    ['derivative zero', 'passive', 'differentiable']
    """
    return [entry(area, name, fn) for area in areas for name, fn in public(area).items()]


def totals(entries: list[Entry]) -> dict[str, Counter[str]]:
    """How many names of each area are in each class."""
    counts: dict[str, Counter[str]] = {}
    for e in entries:
        counts.setdefault(e.area, Counter())[e.verdict] += 1
    return counts


# ---------------------------------------------------------------------------------------------------
# Printing
# ---------------------------------------------------------------------------------------------------

CLASSES = (DIFFERENTIABLE, ZERO, PASSIVE, RAISES)


def table(missing: bool = False, areas: Any = AREAS) -> None:
    """Print the names with their classes, and the totals; or only those that raise, with the reasons."""
    entries = coverage(areas)
    shown = [e for e in entries if e.verdict in (RAISES, UNCLASSIFIED)] if missing else entries
    _print(("function", "class", "rule or reason"), [(_title(e), e.verdict, e.reason or e.rule) for e in shown])
    counts = totals(entries)
    rows = [(area, *(str(counts[area][c]) for c in CLASSES), str(counts[area].total())) for area in counts]
    every = [str(sum(c[kind] for c in counts.values())) for kind in CLASSES]
    _print(("area", *CLASSES, "all"), [*rows, ("all", *every, str(len(entries)))])


def _title(e: Entry) -> str:
    return f"{e.area.replace('numpy', 'np')}.{e.name}"


def _print(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        print(*columns([head, *rows], "<" * len(head)), sep="\n", end="\n\n")
        return
    from rich.console import Console
    from rich.table import Table

    out = Table(*head)
    for row in rows:
        out.add_row(*row)
    Console().print(out)
