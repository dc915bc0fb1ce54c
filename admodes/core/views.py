"""Memory that traced arrays share, so that a change in place is seen wherever NumPy would show it.

Below every traced value lies a real array of NumPy's, its *ground*, with NumPy's own layout; what is a view of what,
and of which elements, is read off the grounds.  A ground never changes: a write computes new contents for the memory as
a whole, by one rule for every view, and the views are read from it again when they are next used.
"""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy import ndarray

from .errors import LeakedTracer
from .indices import as_tuple, has_ellipsis
from .registry import OPS, Op

# What a change in place replaces.
_STATE = ("value", "transform", "tangent", "index", "node")


class Cell:
    """What a traced value consists of: its value, the transform, what that keeps with it, the memory it shares."""

    # The slots of all kinds stand here, so that a change in place may turn one kind into another.
    # `written`: whether it has no memory yet and was changed once; a second change begins one, which costs a copy too.
    __slots__ = (
        "__weakref__", "index", "memory", "node", "origin", "place", "tangent", "transform", "value", "written",
    )  # fmt: skip
    # The kind of a view whose memory was written to since it was last read: its state is gone, and read when asked for.
    stale: ClassVar[type[Cell]]
    value: Any
    transform: Any
    origin: Any
    memory: Memory
    place: Place
    written: bool

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What an array has, each kind of traced value has."""


class Place(NamedTuple):
    """Where an array lies in memory: the bytes from the first element of another, and what NumPy says of it."""

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    writeable: bool = True


class Memory:
    """What an array and its views share.

    contents: a traced value that no one else holds, for the memory as it is now but for what waits.
    own: whether no one else holds the arrays either that it consists of, no view, no tape that reads them.
    waiting: single elements that were stored since, place to value.
    fresh: the views (and the array itself) that have been read since it last changed; none is kept alive from here.
    Of these, one that was copied from contents of its own has `place`, and else its ground tells where it lies.
    """

    __slots__ = ("contents", "fresh", "own", "waiting")

    def __init__(self, contents: Any) -> None:
        self.contents = contents
        self.own = False
        self.waiting: dict[tuple[int, ...], Any] = {}
        self.fresh: list[weakref.ref[Any]] = []

    def add(self, x: Any) -> None:
        """x is up to date."""
        fresh = self.fresh
        if len(fresh) >= 64 and len(fresh) & (len(fresh) - 1) == 0:
            fresh[:] = [r for r in fresh if r() is not None]
        fresh.append(weakref.ref(x))

    def outdate(self) -> None:
        """Every view is to be read again."""
        for reference in self.fresh:
            x = reference()
            if x is not None and type(x) is not Cell.stale:
                x.place = place_in(x, self)
                forget(x, Cell.stale)
        self.fresh = []

    # Writing --------------------------------------------------------------------------------------

    @property
    def put(self) -> Callable[[Any, Any, Any], Any]:
        """put(contents, index, value) gives the contents with x[index] = value, in place where they are its own."""
        row = OPS[operator.setitem]
        if self.own and self.contents.transform.level:
            assert row.own is not None
            row = row.own
        return row.evaluate

    def change(self, new: Any, given_away: bool = False) -> None:
        """The contents are new; given_away: others hold their arrays."""
        self.outdate()
        base = ground(self.contents)
        self.contents = relaid(new, base)
        if given_away:
            self.own = False
        elif not self.own and not np.may_share_memory(ground(self.contents), base):
            self.own = True

    def take(self, place: Place, index: Any, value: Any) -> bool:
        """Store one number at an element of the view at a place; whether it was that."""
        at = self._element(place, index)
        if at is None:
            return False
        plain = ground(value)
        if type(plain) is ndarray and plain is not value:
            value = clone(value)  # an array without axes may change
        if np.ndim(plain) or (np.iscomplexobj(plain) and ground(self.contents).dtype.kind != "c"):
            return False
        if self.fresh:
            self.outdate()
        self.waiting[at] = value
        return True

    def settle(self) -> None:
        """Carry out all stores that wait, by one operation."""
        if not self.waiting:
            return
        waiting, self.waiting = self.waiting, {}
        values: Any = list(waiting.values())
        if len(values) == 1:
            ((at, value),) = waiting.items()
        else:
            at = tuple(np.array(list(waiting), dtype=np.intp).T)
            value = np.stack(values) if any(isinstance(v, Cell) for v in values) else np.array(values)
        self.change(self.put(self.contents, at, value))

    # Reading --------------------------------------------------------------------------------------

    def read(self, x: Any) -> None:
        """Bring a stale view up to date."""
        self.settle()
        if self.own and not is_whole(x.place, ground(self.contents)):
            become(x, read(self.contents, x.place, copied=True))
            self.add(x)
        else:
            self.lay(x)

    def lay(self, x: Any) -> None:
        """Let x be the view of the contents, which are then given away."""
        self.own = False
        become(x, read(self.contents, x.place))
        del x.place
        self.add(x)

    def view(self, place: Place) -> Any:
        """A new view at a place, while nothing waits."""
        new = read(self.contents, place, copied=self.own)
        if not isinstance(new, Cell):
            return new
        new.memory = self
        if self.own:
            new.place = place
        self.add(new)
        return new

    def part(self, place: Place, index: Any) -> Any:
        """x[index] of the view x at a place, without bringing x up to date; NotImplemented where that is needed."""
        at = self._element(place, index)
        if at is not None:
            if at not in self.waiting:
                contents = self.contents
                return _copied(contents, at) if contents.transform.level else contents.value[at]
            value, dtype = self.waiting[at], place.dtype
            if isinstance(value, Cell):
                return value if value.dtype == dtype else np.astype(value, dtype)
            return dtype.type(value)
        if not _fixed(index):
            return NotImplemented
        self.settle()
        if not self.own:
            return NotImplemented
        base = ground(self.contents)
        whole = is_whole(place, base)
        seen = (base if whole else seated(base, place))[index]
        if type(seen) is not ndarray:
            return NotImplemented
        there = place_of(seen, base)
        if not whole:
            return self.view(there)
        new = _copied(self.contents, index)
        new.memory, new.place = self, there
        self.add(new)
        return new

    def holds(self, value: Any, place: Place, index: Any) -> bool:
        """Whether a value is x[index] itself, of the view x at a place, as x[index] += … stores it once more."""
        if getattr(value, "memory", None) is not self or not hasattr(value, "place") or not _fixed(index):
            return False
        base = ground(self.contents)
        seen = seated(base, place)[index if has_ellipsis(index) else (*as_tuple(index), ...)]
        return bool(value.place == place_of(seen, base))

    def _element(self, place: Place, index: Any) -> tuple[int, ...] | None:
        """The element of the contents that is x[index] of the view x at a place; None where that is not one element."""
        items = index if type(index) is tuple else (index,)
        if len(items) != len(place.shape) or not items:
            return None
        at = []
        for i, n in zip(items, place.shape, strict=True):
            if type(i) is not int:
                if not issubclass(type(i), np.integer):
                    return None
                i = int(i)
            if not -n <= i < n:
                return None
            at.append(i if i >= 0 else i + n)
        base = ground(self.contents)
        if is_whole(place, base):
            return tuple(at)
        if place.dtype != base.dtype:
            return None
        offset = place.offset + sum(i * step for i, step in zip(at, place.strides, strict=True))
        corner, _ = positions(base, place._replace(offset=offset, shape=(), strides=()))
        return tuple(map(int, corner))


def _fixed(index: Any) -> bool:
    """Whether an index takes a view, of plain whole numbers and slices of such."""
    items = index if type(index) is tuple else (index,)
    return all(
        all(e is None or type(e) is int or issubclass(type(e), np.integer) for e in (i.start, i.stop, i.step))
        if type(i) is slice
        else i is None or i is Ellipsis or type(i) is int or issubclass(type(i), np.integer)
        for i in items
    )


# The memory of arguments that overlap in the caller's: a transform takes each by its value, and so cannot show in one
# what is written to another.
OVERLAPPING = Memory(None)


def arguments(xs: Sequence[Any], leaves: Sequence[Any]) -> Sequence[Any]:
    """Traced values as the arguments of a function, made of these leaves of the caller's."""
    if len(leaves) > 1:
        owners = [id(owner(g)) if type(g) is ndarray else 0 for g in map(ground, leaves)]
        for x, held in zip(xs, owners, strict=True):
            if held and owners.count(held) > 1:
                x.memory = OVERLAPPING
    return xs


# ---------------------------------------------------------------------------------------------------
# Values and what lies below
# ---------------------------------------------------------------------------------------------------


def ground(x: Any) -> Any:
    """The plain value under any number of transforms."""
    while isinstance(x, Cell):
        x = x.value
    return x


def clone(x: Any) -> Any:
    """The same traced value in memory of its own; what is not traced as it is."""
    if not isinstance(x, Cell):
        return x
    _ = x.transform  # which brings a stale one up to date
    new: Any = object.__new__(type(x))
    _copy_state(x, new)
    return new


def become(x: Any, new: Any) -> None:
    """Make x the same traced value as `new`."""
    _ = new.transform  # as in `clone`
    _set_class(x, type(new))
    _copy_state(new, x)


def forget(x: Any, kind: type[Cell]) -> None:
    """Drop the state of x, of a kind that finds it when it is asked for."""
    for slot in _STATE:
        if hasattr(x, slot):
            delattr(x, slot)
    _set_class(x, kind)


def _copy_state(x: Any, new: Any) -> None:
    for slot in _STATE:
        if hasattr(x, slot):
            setattr(new, slot, getattr(x, slot))


def _set_class(x: Any, kind: type) -> None:
    object.__dict__["__class__"].__set__(x, kind)  # past the property of tracers, which answers isinstance


def on_ground(x: Any, g: Any) -> Any:
    """The same traced value with another array, or scalar, of the same elements as its ground."""
    if not isinstance(x, Cell):
        return g
    new = clone(x)
    new.value = on_ground(x.value, g)
    if hasattr(x, "origin"):  # the same elements are the root of the same
        new.origin = new.value, *x.origin[1:]
    return new


def relaid(x: Any, like: Any) -> Any:
    """x with its ground laid out as `like` is, an array of its shape; x itself where it is so already."""
    g = ground(x)
    if type(g) is ndarray and g.strides == like.strides:
        return x
    return on_ground(x, laid(g, like.strides))


def laid(a: Any, strides: tuple[int, ...]) -> ndarray:
    """A copy of an array with these strides."""
    a = np.asarray(a)
    spans = [(n - 1) * s for n, s in zip(a.shape, strides, strict=True)]
    before = -sum(span for span in spans if span < 0) if a.size else 0
    length = before + sum(span for span in spans if span > 0) + a.itemsize if a.size else 0
    out: ndarray = ndarray(a.shape, a.dtype, np.empty(length, np.uint8), before, strides)
    out[...] = a
    return out


def duplicate(a: ndarray) -> ndarray:
    """A copy of an array in which NumPy finds the same layout, as long as the gaps in it are no large part."""
    if a.flags.c_contiguous:
        return a.copy()
    span = sum((n - 1) * abs(s) for n, s in zip(a.shape, a.strides, strict=True)) + a.itemsize
    copy = laid(a, a.strides) if span <= 16 * a.nbytes else a.copy(order="K")
    copy.flags.writeable = a.flags.writeable
    return copy


def owner(a: Any) -> Any:
    """What holds the memory of an array."""
    while (base := getattr(a, "base", None)) is not None:
        a = base
    return a


# ---------------------------------------------------------------------------------------------------
# Which results share memory with what
# ---------------------------------------------------------------------------------------------------


def link(y: Any, others: Sequence[Any]) -> Any:
    """Let y share memory with the first of `others` whose ground lies in the same.

    Where that one is a copy of its memory y is not yet what NumPy gives, and it is returned: see `seen_through`.
    """
    g = ground(y)
    if type(g) is not ndarray:
        return None
    held = None if g.base is None else owner(g)
    for x in others:
        if isinstance(x, Cell) and x is not y:
            below = ground(x)
            if below is g if held is None else type(below) is ndarray and owner(below) is held:
                if getattr(x, "place", None) is not None:
                    return x
                share(y, x)
                return None
    return None


def seen_through(x: Any, y: Any, fn: Callable[[ndarray], Any]) -> Any:
    """The view that fn gives of x, a copy of its memory; y, which it gave of the copy, where it is none of the memory.

    NumPy is asked at the place of x: there a reshape may copy that is a view of the copy.
    """
    memory = x.memory
    base = ground(memory.contents)
    seen = fn(seated(base, x.place))
    if type(seen) is not ndarray or not np.may_share_memory(seen, base):
        return y
    return memory.view(place_of(seen, base))


def place_in(x: Any, memory: Memory) -> Place:
    """Where x lies in its memory."""
    place: Place | None = getattr(x, "place", None)
    return place_of(ground(x), ground(memory.contents)) if place is None else place


def laid_in_memory(x: Any) -> Any:
    """The ground of x where it lies in memory, of one that is a copy too."""
    place = getattr(x, "place", None)
    return ground(x) if place is None else seated(ground(x.memory.contents), place)


def share(y: Any, x: Any) -> None:
    """Let y share the memory of x."""
    if getattr(y, "memory", None) is not None:
        return
    y.memory = memory = memory_of(x)
    if memory is not OVERLAPPING:
        memory.add(y)


def memory_of(x: Any) -> Memory:
    """The memory that x shares, or begins to share."""
    memory: Memory | None = getattr(x, "memory", None)
    if memory is None:
        x.memory = memory = Memory(clone(x))
        memory.add(x)
    return memory


def overlapping(place: Any) -> bool:
    """Whether several elements are one in memory: there are more of them than have room."""
    count = math.prod(place.shape)
    span = sum((n - 1) * abs(s) for n, s in zip(place.shape, place.strides, strict=True)) + place.dtype.itemsize
    return count > 1 and count * place.dtype.itemsize > span


def spread_out(y: Any, place: Place) -> Any:
    """A new array, elements of which are one in memory, as a view of an array of its own in which none are."""
    still = tuple(0 if step == 0 and n > 1 else slice(None) for n, step in zip(place.shape, place.strides, strict=True))
    if overlapping(seated(ground(y), place)[still]):
        raise TypeError("an array of its own whose elements overlap in memory, other than by repetition along an axis")
    once = _do(operator.getitem, y, still)
    strides = tuple(s for s, i in zip(place.strides, still, strict=True) if i != 0)
    contents = on_ground(once, laid(ground(once), strides))
    new = on_ground(y, seated(ground(contents), place))
    new.memory = memory = Memory(contents)
    memory.add(new)
    return new


# ---------------------------------------------------------------------------------------------------
# Reading a view
# ---------------------------------------------------------------------------------------------------


def place_of(a: ndarray, base: ndarray) -> Place:
    """Where a lies, seen from base."""
    offset = a.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return Place(offset, a.shape, a.strides, a.dtype, a.flags.writeable)


class _Seat:
    """What numpy.asarray makes an array of: a place in the memory of another array."""

    def __init__(self, base: ndarray, place: Place) -> None:
        self.base = base
        self.__array_interface__ = {
            "data": (base.__array_interface__["data"][0] + place.offset, not place.writeable),
            "shape": place.shape,
            "strides": place.strides,
            "typestr": place.dtype.str,
            "version": 3,
        }


def seated(base: ndarray, place: Place) -> ndarray:
    """The view of base at a place."""
    return np.asarray(_Seat(base, place))


def read(contents: Any, place: Place, copied: bool = False) -> Any:
    """The view at a place of a memory, or a copy of it."""
    base = ground(contents)
    if is_whole(place, base):
        return _copied(contents, ...) if copied else clone(contents)
    if 0 in place.shape:
        rows = contents if base.ndim else _do(np.reshape, contents, (1,))
        none = _do(np.reshape, _copied(rows, (slice(0, 0),) * rows.ndim), place.shape)
        return none if copied else on_ground(none, seated(base, place))
    window = window_on(base, place)
    at = window.at
    x = _flat(contents, window.order)
    x = _copied(x, at) if copied else _do(operator.getitem, x, at)
    axes = window.axes
    if axes is not None:
        kept = [k for k in axes if k is not None]
        if kept != sorted(kept):
            x = _do(np.transpose, x, tuple(sorted(kept).index(k) for k in kept))
        if len(kept) < len(axes):
            x = _do(np.reshape, x, tuple(1 if k is None else n for n, k in zip(place.shape, axes, strict=True)))
    elif x.shape != place.shape:
        x = _do(np.reshape, x, place.shape)
    if x.shape != place.shape:
        x = _do(np.broadcast_to, x, place.shape)
    if window.part is not None:
        x = _do(np.imag if window.part else np.real, x)
    if copied:
        g = ground(x)
        if type(g) is not ndarray:
            return on_ground(x, np.array(g))
        # Gathered by positions it is in the order of C, whatever order NumPy finds in the view.
        return x if window.axes is not None or x.ndim < 2 else relaid(x, np.empty_like(seated(base, place)))
    return on_ground(x, seated(base, place))


def _copied(x: Any, index: Any) -> Any:
    """x[index] as an array of its own."""
    row = OPS[operator.getitem].own
    assert row is not None
    if x.transform.closed:
        raise LeakedTracer
    return row.apply(x.transform, (x, index), {})


def _flat(x: Any, order: str | None) -> Any:
    """All elements in a row, in the order of C or of Fortran."""
    if order is None:
        return x
    return _do(np.reshape, x if order == "C" else _do(np.transpose, x), (x.size,))


def _do(fn: Any, x: Any, *args: Any) -> Any:
    """An operation on the contents of a memory, without regard to what the result shares with them."""
    op: Op = OPS[fn]
    return op.apply(x.transform, (x, *args), {})


def is_whole(place: Place, base: ndarray) -> bool:
    """Whether a place is all of base, as base has it."""
    return place.offset == 0 and place[1:4] == (base.shape, base.strides, base.dtype)


class Window(NamedTuple):
    """A place as an index, `at`, of the array that holds it.

    order: whether the index is of the array with all its elements in a row, and in which order. axes: the axis of that
    array along which each axis of the place runs, None for one along which nothing changes; None for all together where
    the index gives the elements in the order of the place, though maybe in a row. part: of complex elements, 0 for the
    real and 1 for the imaginary parts, else None.
    """

    order: str | None
    at: tuple[Any, ...]
    axes: list[int | None] | None
    part: int | None


def window_on(base: ndarray, place: Place, distinct: bool = False) -> Window:
    """A place as an index of base: slices where there are such, else positions.

    distinct: slices must tell apart elements of the place that are one in memory.
    """
    if distinct and any(n > 1 and step == 0 for n, step in zip(place.shape, place.strides, strict=True)):
        at, part = positions(base, place)
        return Window(None, at, None, part)
    found = slices(base, place)
    if found is not None:
        return Window(None, *found)
    order = "C" if base.flags.c_contiguous else "F" if base.flags.f_contiguous else None
    if order is not None:
        row = base.reshape(-1, order=order)
        found = slices(row, place)
        if found is not None:
            return Window(order, *found)
        size = math.prod(place.shape)
        step = row.strides[0] if size else 0
        if place.strides == tuple(step * math.prod(place.shape[k + 1 :]) for k in range(len(place.shape))):
            found = slices(row, place._replace(shape=(size,), strides=(step,)))
            if found is not None:
                return Window(order, found[0], None, found[2])
    at, part = positions(base, place)
    return Window(None, at, None, part)


def _order(base: ndarray) -> list[int]:
    """The axes of an array along which one moves, the longest step first."""
    moving = [k for k, n in enumerate(base.shape) if n > 1 and base.strides[k]]
    return sorted(moving, key=lambda k: -abs(base.strides[k]))


def positions(base: ndarray, place: Place) -> tuple[tuple[Any, ...], int | None]:
    """An index of base, one integer array an axis, that reads the elements at a place; and of complex ones which part.

    The bytes from the lowest element are written in the mixed base of the strides, the longest first.
    """
    rest = np.full(place.shape, place.offset, dtype=np.intp)
    for axis, (n, step) in enumerate(zip(place.shape, place.strides, strict=True)):
        rest += np.reshape(np.arange(n, dtype=np.intp) * step, (-1,) + (1,) * (len(place.shape) - axis - 1))
    rest -= sum((n - 1) * s for n, s in zip(base.shape, base.strides, strict=True) if s < 0)
    at = [np.zeros(place.shape, dtype=np.intp) for _ in base.shape]
    for k in _order(base):
        step, last = abs(base.strides[k]), base.shape[k] - 1
        digit = np.minimum(rest // step, last)
        rest -= digit * step
        at[k] = digit if base.strides[k] > 0 else last - digit
    return tuple(at), _part(base, place, int(rest.flat[0]) if rest.size else 0)


def _part(base: ndarray, place: Place, rest: int) -> int | None:
    """0 for a view of the real parts, 1 for one of the imaginary parts, None for one of whole elements."""
    return None if place.dtype == base.dtype else int(rest > 0)


def slices(base: ndarray, place: Place) -> tuple[tuple[Any, ...], list[int | None], int | None] | None:
    """A place as integers and slices, with axes and part as a `Window` has them; None where it is no such box."""
    if 0 in place.shape or 0 in base.shape:
        return None
    corner, part = positions(base, place._replace(shape=(), strides=()))
    start = [int(i) for i in corner]
    index: list[Any] = [*start]
    axes: list[int | None] = []
    free = _order(base)
    for n, step in zip(place.shape, place.strides, strict=True):
        if n == 1 or step == 0:
            axes.append(None)
            continue
        for k in free:
            hop, remainder = divmod(step, base.strides[k])
            end = start[k] + (n - 1) * hop
            if not remainder and 0 <= end < base.shape[k]:
                break
        else:
            return None
        free.remove(k)
        axes.append(k)
        stop = end + (1 if hop > 0 else -1)
        index[k] = slice(start[k], stop if stop >= 0 else None, hop)
    return tuple(index), axes, part


# ---------------------------------------------------------------------------------------------------
# Writing through a view
# ---------------------------------------------------------------------------------------------------


def written(contents: Any, place: Place, value: Any, put: Any) -> Any:
    """Contents with a value in the view at a place; put(x, index, value) is x with x[index] = value."""
    base = ground(contents)
    window = window_on(base, place, distinct=True)
    target = _flat(contents, window.order)
    new = _put(target, window.at, window.part, _fitted(value, place, window), put)
    if window.order == "C":
        return np.reshape(new, base.shape)
    return new if window.order is None else np.transpose(np.reshape(new, base.shape[::-1]))


def written_at(contents: Any, at: tuple[Any, ...], part: int | None, value: Any, put: Any) -> Any:
    """Contents with a value at these positions (see `positions`)."""
    return _put(contents, at, part, value, put)


def _put(x: Any, index: Any, part: int | None, value: Any, put: Any) -> Any:
    if not x.ndim and np.ndim(value):
        if not np.size(value):
            return x
        value = np.reshape(value, -1)[-1]  # of several values for the one element the last one stays
    if part is not None:
        old = _copied(x, index)
        value = np.real(old) + 1j * value if part else value + 1j * np.imag(old)
    return put(x, index, value)


def _fitted(value: Any, place: Place, window: Window) -> Any:
    """A value for a place as the value for its window."""
    axes = window.axes
    kept = [k for k in axes or () if k is not None]
    as_it_is = window.order is None if axes is None else kept == sorted(kept) and len(kept) == len(axes)
    extra = np.ndim(value) - len(place.shape)
    if extra > 0 and all(n == 1 for n in np.shape(value)[:extra]):
        value = np.reshape(value, np.shape(value)[extra:])
    if as_it_is or not np.ndim(value):
        return value
    value = np.broadcast_to(value, place.shape)
    if axes is None:
        return np.reshape(value, (-1,))
    value = np.reshape(value, tuple(n for n, k in zip(place.shape, axes, strict=True) if k is not None))
    return np.transpose(value, tuple(kept.index(k) for k in sorted(kept)))
