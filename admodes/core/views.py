"""Views of traced arrays, so that a change in place is seen wherever NumPy would show it.

A traced value never changes: `x[i] = v` computes a new array and lets the tracer x stand for it from then on.  A view
(x[1:], x.T, x.reshape(…)) remembers what it is a view of; where either changes, the root is computed anew and every
living view is read from it again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np


class View:
    """How a tracer came to be a view: its base, how to read it from there, how to write it back (None: read-only).

    read() is the view; write(new, view) the base in which it is new. Neither holds the view: that would be a cycle,
    which keeps every array of a transform until the garbage collector comes by.
    """

    __slots__ = ("base", "read", "write")

    def __init__(self, base: Any, read: Callable[[], Any], write: Callable[[Any, Any], Any] | None) -> None:
        self.base = base
        self.read = read
        self.write = write


def link(view: Any, base: Any, read: Callable[[], Any], write: Callable[[Any, Any], Any] | None) -> None:
    """Remember that `view` shares memory with `base`, where NumPy's arrays would."""
    if not shares_memory(view, base):
        return
    view.view_of = View(base, read, write)
    views = getattr(base, "views", None)
    if views is None:
        base.views = views = []
    elif len(views) >= 64 and len(views) & (len(views) - 1) == 0:
        views[:] = [r for r in views if r() is not None]
    views.append(weakref.ref(view))


def shares_memory(view: Any, base: Any) -> bool:
    """Whether the values, at the lowest level arrays of NumPy, overlap."""
    v, b = view.value, base.value
    if issubclass(type(v), np.ndarray) and issubclass(type(b), np.ndarray):
        return bool(np.may_share_memory(v, b))
    below = getattr(v, "view_of", None)
    return below is not None and below.base is b


def overwrite(x: Any, new: Any) -> None:
    """Let x stand for `new`, and its base and every view of either for what follows from that."""
    link_of_x = getattr(x, "view_of", None)
    if link_of_x is None:
        if not x.transform.level:
            x.transform.overwritten(x, new)
        become(x, new)
        refresh(x)
        return
    if link_of_x.write is None:
        raise ValueError("assignment destination is read-only")
    overwrite(link_of_x.base, link_of_x.write(new, x))


def refresh(base: Any) -> None:
    """Read every living view of a changed array again."""
    living = [(r, v) for r in getattr(base, "views", None) or [] if (v := r()) is not None]
    base.views = [r for r, _ in living]
    for _, v in living:
        become(v, v.view_of.read())
        refresh(v)


def become(x: Any, new: Any) -> None:
    """Make x the same traced value as `new`."""
    object.__dict__["__class__"].__set__(x, type(new))  # past the property of tracers, which answers isinstance
    for slot in ("value", "transform", "tangent", "index", "node"):
        if hasattr(new, slot):
            setattr(x, slot, getattr(new, slot))
