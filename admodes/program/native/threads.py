"""Long nests on several threads: each part of the outermost loop is a function of its own; the first runs where the
kernel was called, threads of the system run the others, and the kernel goes on when all are done.

The parts follow from shapes and the number of threads alone, and what they sum is put together in their order: results
do not depend on what runs when.
"""

from __future__ import annotations

import ctypes
from functools import cache
from math import prod
from typing import Any

from .loops import Loops
from .machine import address_of
from .plan import Nest, Root
from .text import Text, Writer, kind_of, memory_type

# Elements times operations from which a nest is split: a thread takes as long to start as some 10⁵ of them.
WORTH_SPLITTING = 1 << 18

# Parts of a loop over single elements begin at multiples of so many: two threads then write to no line of a cache.
ALIGNED = 64


@cache
def _library() -> Any:
    """The functions of POSIX threads; None where the system has none."""
    try:
        library = ctypes.CDLL(None)
        return library.pthread_create, library.pthread_join
    except (AttributeError, OSError, TypeError):
        return None


def spans(loops: Loops, threads: int) -> list[tuple[int, int]]:
    """The ranges of the outermost loop that are parts; none where the nest stays whole."""
    nest = loops.nest
    if threads < 2 or not loops.order or prod(nest.shape) * len(loops.nodes) < WORTH_SPLITTING or _library() is None:
        return []
    if any(root.adds or (_is_split(loops, root) and not _is_whole(loops, root)) for root in nest.roots):
        return []
    n = loops.extent[loops.order[0]]
    step = -(-n // threads)
    if len(loops.order) == 1:
        step = -(-step // ALIGNED) * ALIGNED
    found = [(low, min(low + step, n)) for low in range(0, n, step)]
    return found if len(found) > 1 else []


def _reduced(loops: Loops, root: Root) -> list[bool]:
    return [axis in {loops.loop.get(a) for a in root.axes} for axis in loops.order] if root.reduction else [False]


def _is_split(loops: Loops, root: Root) -> bool:
    """Whether a part has only a part of what a result is put together from."""
    return _reduced(loops, root)[0]


def _is_whole(loops: Loops, root: Root) -> bool:
    """Whether that is one number, which the parts leave for the end."""
    return all(_reduced(loops, root)) and kind_of(root.value.dtype) != "?"


def split(text: Text, nest: Nest, pointers: dict[int, str], threads: int) -> tuple[list[str], list[str]]:
    """The functions of the parts of a nest, and the lines that run them; no functions where it stays whole."""
    loops = Loops(text, nest, pointers)
    parts = spans(loops, threads)
    if not parts:
        return [], loops.emit()
    name = text.name().removeprefix("%")
    totals = [root for root in nest.roots if _is_split(loops, root)]
    buffers = {}
    for root in totals:
        buffers[root.slot] = text.name()
        of = memory_type(kind_of(root.value.dtype) or "")
        text.entry.append(f"  {buffers[root.slot]} = alloca [{len(parts)} x {of}]")
    functions, lines = [], loops.fills()
    frames = [_frame(text, lines, pointers, totals, buffers, p) for p in range(len(parts))]
    for p, span in enumerate(parts):
        functions += _part(f"@{name}.{p}", text, nest, pointers, span)
    started = [_start(text, lines, f"@{name}.{p}", frames[p]) for p in range(1, len(parts))]
    lines.append(f"  call ptr @{name}.0(ptr {frames[0]})")
    for one in started:
        _join(text, lines, *one)
    for root in totals:
        lines += _together(text, root, buffers[root.slot], pointers[root.slot], len(parts))
    return functions, lines


def _frame(
    text: Text, lines: list[str], pointers: dict[int, str], totals: list[Root], buffers: dict[int, str], p: int
) -> str:
    """What a part is given: where all values are, and its own place for what it sums."""
    frame = text.name()
    text.entry.append(f"  {frame} = alloca [{len(pointers)} x ptr]")
    own = {r.slot: kind_of(r.value.dtype) or "" for r in totals}
    to = Writer(text, 1, lines)
    for slot, pointer in pointers.items():
        if slot in own:
            pointer = to.add(f"getelementptr {memory_type(own[slot])}, ptr {buffers[slot]}, i64 {p}")
        place = to.add(f"getelementptr ptr, ptr {frame}, i64 {slot}")
        lines.append(f"  store ptr {pointer}, ptr {place}")
    return frame


def _part(name: str, text: Text, nest: Nest, pointers: dict[int, str], span: tuple[int, int]) -> list[str]:
    """The function of one part."""
    around, text.entry = text.entry, []
    given = [f"  %f{k} = getelementptr ptr, ptr %frame, i64 {k}\n  %p{k} = load ptr, ptr %f{k}" for k in pointers]
    body = Loops(text, nest, {k: f"%p{k}" for k in pointers}, span).emit()
    entry, text.entry = text.entry, around
    return [f"define internal ptr {name}(ptr %frame) #0 {{", "entry:", *given, *entry, *body, "  ret ptr null", "}"]


def _start(text: Text, lines: list[str], part: str, frame: str) -> tuple[str, str]:
    """Run a part in a thread, or here where none can be had: its handle, and whether there is one."""
    create, _ = _library()
    handle, to = text.name(), Writer(text, 1, lines)
    text.entry.append(f"  {handle} = alloca i64")
    failed = to.add(f"call i32 {address_of(create)}(ptr {handle}, ptr null, ptr {part}, ptr {frame})")
    runs = to.add(f"icmp eq i32 {failed}, 0")
    label = text.name().removeprefix("%")
    lines += [
        f"  br i1 {runs}, label %started{label}, label %alone{label}",
        f"alone{label}:",
        f"  call ptr {part}(ptr {frame})",
        f"  br label %started{label}",
        f"started{label}:",
    ]
    return handle, runs


def _join(text: Text, lines: list[str], handle: str, runs: str) -> None:
    """Wait for a thread, where there is one."""
    _, join = _library()
    label, thread = text.name().removeprefix("%"), text.name()
    lines += [
        f"  br i1 {runs}, label %join{label}, label %joined{label}",
        f"join{label}:",
        f"  {thread} = load i64, ptr {handle}",
        f"  call i32 {address_of(join)}(i64 {thread}, ptr null)",
        f"  br label %joined{label}",
        f"joined{label}:",
    ]


def _together(text: Text, root: Root, buffer: str, pointer: str, parts: int) -> list[str]:
    """What the parts left of a result, put together in their order."""
    assert root.reduction is not None
    kind, lines = kind_of(root.value.dtype) or "", [""]
    to = Writer(text, 1, lines)
    total = ""
    for p in range(parts):
        place = to.add(f"getelementptr {memory_type(kind)}, ptr {buffer}, i64 {p}")
        one = to.add(f"load {memory_type(kind)}, ptr {place}")
        total = root.reduction.write(to, kind, total, one) if total else one
    return [*lines[1:], f"  store {memory_type(kind)} {total}, ptr {pointer}"]
