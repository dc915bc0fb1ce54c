"""Directions, K at once: unit ones, raveled ones, chunks of them; checks of what comes in, copies of what goes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..core import pytree
from ..core.blank import settled
from ..core.directions import cast
from ..core.dispatch import Trace, is_memory, pack
from ..core.tracing import Tracer
from ..core.types import Shaped
from ..core.views import clone

# Without `chunk`, directions are taken so many at once that one array of them has at most this many numbers.
CHUNK_ELEMENTS = 1 << 22


def check_chunk(chunk: int | None) -> None:
    if chunk is not None and (not isinstance(chunk, int | np.integer) or isinstance(chunk, bool) or chunk < 1):
        raise ValueError(f"chunk={chunk!r}: the number of directions at once (K) is an integer of at least 1, or None.")


def chunk_for(directions: int, width: int) -> int:
    """How many directions at once keep an array of them within CHUNK_ELEMENTS numbers."""
    return max(1, min(directions, CHUNK_ELEMENTS // max(width, 1)))


def in_chunks(total: int, step: int, sweep: Callable[[int, int], Sequence[Any]]) -> list[Any]:
    """The arrays of sweep(first, k) for all directions, at most `step` at once, joined along these."""
    return joined([sweep(first, min(step, total - first)) for first in range(0, total, step) or [0]])


def joined(chunks: Sequence[Sequence[Any]], axis: int = 0) -> list[Any]:
    """Of each array its chunks, one behind the other; without a copy where there is one."""
    return [np.concatenate(p, axis=axis) if len(p) > 1 else p[0] for p in zip(*chunks, strict=True)]


def unit_directions(leaves: Sequence[Shaped], start: int, k: int) -> list[Any]:
    """Rows start … start+k of the identity on the raveled leaves, one array (k, *shape) a leaf."""
    out, offset = [], 0
    for x in leaves:
        size = int(x.size)
        unit = np.zeros((k, size), dtype=x.dtype if x.dtype.kind in "fc" else np.float64)
        first, last = max(start, offset), min(start + k, offset + size)
        if first < last:  # a diagonal: every (size + 1)th number of the rows one behind the other
            at = (first - start) * size + first - offset
            unit.reshape(-1)[at : at + (last - first - 1) * (size + 1) + 1 : size + 1] = 1
        out.append(lifted(np.reshape(unit, (k, *x.shape)), x))
        offset += size
    return out


def lifted(seed: Any, x: Any) -> Any:
    """A seed for x as a value of the lowest transform under x, which is to see the work done on it (see `program`)."""
    trace = lowest(x)
    return seed if trace is None else trace.lift(seed)


def observer(values: Iterable[Any]) -> Callable[[Any, Any], None] | None:
    """What the lowest transform under the results of a tape wants to be told of a sweep, which begins now."""
    found = None
    for x in values:
        trace = lowest(x)
        if trace is not None:
            found = trace.observe()
    return found


def lowest(x: Any) -> Trace | None:
    """The lowest transform under a value, None for a plain one."""
    trace = None
    while isinstance(x, Tracer):
        trace, x = x.transform, x.value
    return trace


def unraveled(rows: Any, leaves: Sequence[Shaped]) -> list[Any]:
    """Directions of all leaves raveled and concatenated, (k, n), as one array (k, *shape) a leaf, in its dtype."""
    out, start = [], 0
    for x in leaves:
        part = rows[:, start : start + int(x.size)]
        part = cast(part, x.dtype if x.dtype.kind in "fc" else np.dtype(float))
        out.append(np.reshape(part, (rows.shape[0], *x.shape)))
        start += int(x.size)
    return out


def raveled(parts: Sequence[Any], k: int) -> Any:
    """The inverse of `unraveled`: (k, n)."""
    rows = [np.reshape(p, (k, -1)) for p in parts]
    return rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)


def split_columns(tangents: Any, shape: tuple[int, ...], leaves: Sequence[Shaped]) -> list[Any]:
    """Tangents (n, *shape) of all unit directions as one block (*shape, *x.shape) an argument leaf."""
    blocks, start = [], 0
    last = (*range(1, tangents.ndim), 0)
    for x in leaves:
        size = int(x.size)
        part = tangents if len(leaves) == 1 else tangents[start : start + size]
        blocks.append(np.reshape(np.transpose(part, last), shape + x.shape))
        start += size
    return blocks


def paired(primals: Any, tangents: Any, first: str, second: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    if type(primals) is tuple and type(tangents) is tuple and len(primals) == len(tangents):
        return primals, tangents
    for name, value in ((first, primals), (second, tangents)):
        if not isinstance(value, tuple | list):
            raise TypeError(
                f"{name} must be a tuple, one entry an argument of the function; got a {type(value).__name__}."
            )
    if len(primals) != len(tangents):
        raise TypeError(f"there are {len(primals)} {first} but {len(tangents)} {second}; there must be one for each.")
    return tuple(primals), tuple(tangents)


def directions(leaves: Sequence[Shaped], ts: Sequence[Any], name: str, owner: str) -> tuple[list[Any], tuple[int, ...]]:
    """Checked tangents or cotangents, each of its leaf's shape behind a common lead () or (K,)."""
    out, lead = [], None
    for i, (x, t) in enumerate(zip(leaves, ts, strict=True)):
        if type(t) is np.ndarray and t.ndim and not lead and t.shape == x.shape and t.dtype == x.dtype:
            lead = ()
            out.append(t)
            continue
        if type(t) is not np.ndarray or t.dtype != x.dtype:
            t = direction(x, t, f"{name} {i}", f"{owner} {i}")
        elif not t.ndim:
            t = t[()]
        this = t.shape[: t.ndim - x.ndim]
        if lead is None:
            lead = this
        if t.ndim - x.ndim not in (0, 1) or t.shape[len(this) :] != x.shape:
            raise ValueError(
                f"{name} {i} has shape {t.shape}, {owner} {i} has shape {x.shape}: one direction has the same shape, "
                f"K at once have shape (K, *{x.shape})."
            )
        if this != lead:
            raise ValueError(f"the {name}s do not agree on the number of directions: {this} after {lead}.")
        if 0 in this:
            raise ValueError(f"{name} {i} has shape {t.shape}: no direction at all (K = 0); K must be at least 1.")
        out.append(t)
    return out, lead or ()


def direction(x: Shaped, t: Any, name: str, owner: str) -> Any:
    """One tangent or cotangent in the dtype of its array; whole numbers, as some solvers pass, count as floats."""
    t = settled(t)
    pytree.live(t)
    if not isinstance(t, Tracer):
        if type(t) in (int, float, complex):
            t = np.asarray(t, dtype=complex if type(t) is complex else float)[()]
        elif is_memory(t) or isinstance(t, np.generic):
            t = _as_array(t)
        else:
            raise TypeError(f"{name} is a {type(t).__name__}; it must be an array of floats like {owner}.")
    if isinstance(t, Tracer) or t.dtype.kind in "fciu":
        wanted = x.dtype if x.dtype.kind in "fc" else np.dtype(float)
        if t.dtype.kind == "c" and wanted.kind != "c":
            raise TypeError(f"{name} is complex ({t.dtype}), but {owner} is real ({x.dtype}). Pass its real part.")
        return t if t.dtype == wanted else t.astype(wanted)
    raise TypeError(
        f"{name} has dtype {t.dtype}; it must be floating, like {owner} ({x.dtype}). Convert it: t.astype(float)."
    )


def _as_array(t: Any) -> Any:
    t = np.asarray(t) if t.ndim else t[()]
    return pack(t)


def own(g: Any) -> Any:
    """An array that shares no memory with the caller's: a copy of what may be a view."""
    return g.copy() if type(g) is np.ndarray and g.base is not None else clone(g)


def private(arrays: Sequence[Any], taken: Sequence[Any] = ()) -> list[Any]:
    """Results of a sweep as arrays that may be written to and share no memory with each other or with those taken."""
    out: list[Any] = []
    seen: set[int] = set()
    for a in taken:
        if type(a) is np.ndarray:
            seen.add(id(a if a.base is None else a.base))
    for g in arrays:
        if type(g) is np.ndarray:
            memory = id(g if g.base is None else g.base)
            if memory in seen or not g.flags.writeable:
                g = g.copy()
            seen.add(memory)
            out.append(g)
        else:
            out.append(clone(g))
    return out
