"""Functions of SciPy that do not let NumPy dispatch, under SciPy's names: `admodes.scipy.linalg.expm`.

Each is a row of the table like any of NumPy's.  On plain values SciPy's own function runs.  A module is loaded when it
is first asked for, and SciPy's with it.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from ..core.blame import MIRROR

# The modules of SciPy that have a mirror here; its names are in its __all__.
MODULES = (
    "integrate",
    "interpolate",
    "linalg",
    "ndimage",
    "signal",
    "sparse",
    "sparse.linalg",
    "spatial.distance",
    "special",
    "stats",
)
__all__ = [*dict.fromkeys(m.partition(".")[0] for m in MODULES)]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(__all__)}")
    return importlib.import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def functions() -> dict[str, Any]:
    """All that is mirrored, by its name below `admodes.scipy`: "linalg.expm", "stats.norm.logpdf"."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f".{name}", __name__)
        for public in module.__all__:
            thing = getattr(module, public)
            if inspect.ismodule(thing):
                continue
            parts = {f".{method}": getattr(thing, method) for method in getattr(thing, "methods", ())} or {"": thing}
            found.update({f"{name}.{public}{part}": function for part, function in parts.items()})
    return found


def counterpart(name: str) -> str | None:
    """The name here of a function of SciPy, "scipy.linalg.expm"; None where it is not mirrored."""
    mirrored = functions()
    parts = name.split(".")[1:]
    ours = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in mirrored), None)
    return None if ours is None else f"admodes.scipy.{'.'.join(parts)}"


MIRROR.append(counterpart)
