"""Where NumPy's own function puts its results.

A rule in terms of other calls gives the values of a function of NumPy, but not its memory: NumPy may copy where the
rule takes a view, view where it gathers, and lay out in another order.  So NumPy is asked: the function itself runs on
the grounds once for each kind of call, and the result of the rule is brought where NumPy's lies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .registry import Op
from .views import Cell, Place, ground, laid, on_ground, overlapping, owner, place_of, read, share, spread_out

# What NumPy answered, by the kind of call.
_ANSWERS: dict[Any, list[Answer]] = {}
ANSWERS = 4096

# Arguments of at most this many bytes are part of the kind of a call by their content, where that may decide shapes.
CONTENT_BYTES = 1024


class Answer:
    """Where one result of NumPy's lies: a number, an array of its own, or one in the memory of a traced argument."""

    __slots__ = ("of", "place", "same")

    def __init__(self, y: Any, arguments: Sequence[Any]) -> None:
        self.of: int | None = None  # the argument whose memory it shares
        self.same = False  # whether it is that argument
        self.place: Place | None = None  # in that memory, or, of an array of its own, with offset 0; None for a number
        if type(y) is not ndarray:
            return
        self.place = place_of(y, y)
        held = owner(y)
        for k, x in enumerate(arguments):
            if x is y:
                self.of, self.same = k, True
                return
            if type(x) is ndarray and owner(x) is held:
                self.of, self.place = k, place_of(y, x)
                return


class Unkind(Exception):
    """A call has no kind that could be remembered."""


def placed(op: Op, result: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The result of a rule, in memory as NumPy's own function would give it."""
    if result is None or op.asked is None:
        return result
    several = isinstance(result, tuple | list) and not isinstance(result, Cell)
    parts = list(result) if several else [result]
    cells = list(_cells((args, params)))
    if any(x is None for x in cells):  # an array of traced scalars
        return result
    answers = _answers(op, op.asked, args, params, cells, [np.shape(y) for y in parts])
    if len(answers) != len(parts):
        return result
    moved = [_moved(y, a, cells) for y, a in zip(parts, answers, strict=True)]
    if not several:
        return moved[0]
    return result._make(moved) if hasattr(result, "_make") else type(result)(moved)


def _answers(
    op: Op, fn: Callable[..., Any], args: tuple[Any, ...], params: dict[str, Any], cells: list[Any], shapes: list[Any]
) -> list[Answer]:
    try:
        key = None if op.by_values else (op, _kind(args), _kind(params))
        known = _ANSWERS.get(key)
    except (Unkind, TypeError):  # TypeError: unhashable
        key = known = None
    if known is None or not _fits(known, shapes):
        known = _ask(fn, args, params)
        if not _fits(known, shapes):
            return []
        if key is not None:
            if len(_ANSWERS) >= ANSWERS:
                _ANSWERS.clear()
            _ANSWERS[key] = known
    return known


def _fits(answers: list[Answer], shapes: list[Any]) -> bool:
    return len(answers) == len(shapes) and all(
        (() if a.place is None else a.place.shape) == s for a, s in zip(answers, shapes, strict=True)
    )


def _ask(fn: Callable[..., Any], args: Any, params: Any) -> list[Answer]:
    """Run NumPy's function, on copies: it may be one that writes to its argument."""
    copies: list[Any] = []
    args = _copied(args, copies)
    params = {k: v for k, v in _copied(params, copies).items() if v is not None or k != "initial"}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        y = fn(*args, **params)
        return [Answer(part, copies) for part in (y if isinstance(y, tuple | list) else [y])]


def _moved(y: Any, answer: Answer, cells: list[Any]) -> Any:
    """One result where NumPy has it."""
    g, place = ground(y), answer.place
    if place is None:
        return on_ground(y, g[()]) if type(g) is ndarray else y
    if answer.of is None:
        if type(g) is ndarray and g.itemsize != place.dtype.itemsize:  # of numbers of another size
            return y
        own = type(g) is ndarray and getattr(y, "memory", None) is None and not any(y is x for x in cells)
        if own and g.strides == place.strides and g.flags.writeable == place.writeable:
            return y
        if overlapping(place) and isinstance(y, Cell):
            return spread_out(y, place)
        copy = laid(g, place.strides)
        copy.flags.writeable = place.writeable
        return on_ground(y, copy)
    x = cells[answer.of]
    if answer.same:
        return x
    shared = type(g) is ndarray and isinstance(y, Cell) and getattr(y, "memory", None) is getattr(x, "memory", 0)
    if shared and place_of(g, ground(x)) == place:
        return y
    view = read(x, place)
    share(view, x)
    return view


# ---------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------


def _copied(tree: Any, copies: list[Any]) -> Any:
    """A tree of arguments with the traced ones as plain copies, which are appended to a list."""
    if isinstance(tree, Cell):
        g = ground(tree)
        if type(g) is ndarray:
            writeable = g.flags.writeable
            g = laid(g, g.strides)
            g.flags.writeable = writeable
        copies.append(g)
        return g
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([_copied(x, copies) for x in tree])
    if kind is dict:
        return {k: _copied(x, copies) for k, x in tree.items()}
    return tree


def _cells(tree: Any) -> Iterator[Any]:
    kind = type(tree)
    if isinstance(tree, Cell):
        yield tree
    elif kind is tuple or kind is list:
        for x in tree:
            yield from _cells(x)
    elif kind is dict:
        for x in tree.values():
            yield from _cells(x)
    elif kind is ndarray and tree.dtype.hasobject:
        yield None


def _kind(x: Any) -> Any:
    """What of an argument decides where the results lie: the layout of an array, the value of a whole number."""
    kind = type(x)
    if isinstance(x, Cell):
        x = ground(x)
        writeable = x.flags.writeable if type(x) is ndarray else None
        return ("traced", x.shape, x.strides, x.dtype.char, writeable)
    if kind is ndarray:
        if x.dtype.kind not in "fc":
            if x.nbytes > CONTENT_BYTES:
                raise Unkind
            return (x.shape, x.strides, x.dtype.char, x.tobytes())
        return (x.shape, x.strides, x.dtype.char)
    if kind is tuple or kind is list:
        return (kind, *map(_kind, x))
    if kind is dict:
        return tuple((k, _kind(v)) for k, v in x.items())
    return kind if kind in (float, complex) or issubclass(kind, np.inexact) else (kind, x)
