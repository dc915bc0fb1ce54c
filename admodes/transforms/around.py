"""What a function reads from around it, as it is at one time: variables, attributes, lists and dicts, arrays.

What is run again later (a checkpoint, in its pull) must find what it found the first time, though a loop has gone on to
the next index or a buffer is used again; and what it stores outside of itself, where no derivative follows, is found.
Looked into are closures, defaults, globals, `functools.partial`, bound methods, the functions of the user's among
these, the attributes of objects of the user's classes, and lists, dicts, sets and tuples.  Modules and objects of other
libraries are not.
"""

from __future__ import annotations

import collections
import functools
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.blank import LENT, Blank
from ..core.captured import COPIED, names
from ..core.creation import is_users
from ..core.dispatch import is_memory
from ..core.errors import Detached, OverwrittenValue
from ..core.fingerprint import fingerprint
from ..core.reverse import COPIED_BYTES, may_change
from ..core.tracing import Tracer
from ..core.views import OVERLAPPING, Cell, become, clone
from .closures import Rebuild, Search, renewed
from .spoilt import REMEDY, SPOILED, spoil, unspoil

_SIMPLE = frozenset({int, float, complex, bool, str, bytes, type(None), types.ModuleType, type, np.ufunc, np.float64})
_PLAIN = _SIMPLE | {np.ndarray}
_CONTAINERS = (list, dict, set, collections.deque)


class Stores(Exception):
    """What is to be run again later stores something outside of itself."""


class Around:
    """The surroundings of functions, as they are when it is made; `values`: what else these are given.

    left : where runs `alone` stored what may have a derivative.
    """

    def __init__(self, functions: Sequence[Any], values: Sequence[Any] = (), earlier: Around | None = None) -> None:
        self.boxes: list[_Box] = []
        self.left: dict[int, _Box] = {}
        self._arrays = {id(box.holder): box for box in earlier.boxes if type(box) is _Array} if earlier else {}
        self.looking = bool(functions)  # until the first run is over
        self._met: dict[int, Any] = {}
        self._waiting = [*values, *functions]
        while self._waiting:
            self._look(self._waiting.pop())
        self._met = self._arrays = {}

    def _look(self, x: Any) -> None:
        kind = type(x)
        if kind in _SIMPLE or id(x) in self._met:
            return
        self._met[id(x)] = x
        if kind is not np.ndarray and isinstance(x, Tracer):
            if x.transform is SPOILED:
                unspoil(x)
                kind = Blank
            self.boxes.append(_Traced(x))
            if kind is Blank:
                self._waiting.append(x.value)
        elif kind is np.ndarray or is_memory(x):
            if x.dtype.kind in "fciub" and may_change(x):
                known = self._arrays.get(id(x))
                self.boxes.append(_Array(x) if known is None or known.changed() else known)
        elif kind is types.FunctionType:
            if is_users(x.__globals__.get("__name__", "")) or hasattr(x, "_of") or hasattr(x, "__wrapped__"):
                for cell in x.__closure__ or ():
                    self._box(_Cell(cell))
                self._box(_Names(x.__globals__, names(x.__code__)))
                self._waiting.extend((*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()))
            elif x.__globals__.get("__name__", "").startswith("admodes."):
                self._waiting.extend(content for cell in x.__closure__ or () for content in _Cell(cell).then.values())
        elif kind is types.MethodType:
            self._waiting.extend((x.__func__, x.__self__))
        elif isinstance(x, functools.partial):
            self._waiting.extend((x.func, *x.args, *x.keywords.values()))
        elif isinstance(x, _CONTAINERS):
            self._box(_Items(x))
        elif isinstance(x, tuple):
            self._waiting.extend(x)
        elif is_users(kind.__module__) and not isinstance(x, type):
            self._box(_Attributes(x))
            for parent in kind.__mro__:
                if is_users(parent.__module__):
                    self._waiting.extend([part for part in vars(parent).values() if type(part) not in _SIMPLE])

    def _box(self, box: _Parts) -> None:
        self.boxes.append(box)
        parts = box.then.values()
        if not _SIMPLE.issuperset(map(type, parts)):
            self._waiting.extend(parts)

    def stored(self) -> bool:
        """Whether something is there now that was not, and that a derivative may hang on.

        From now on this holds what is read alone: what the functions changed themselves (counters) they go on to.
        """
        self.looking = False
        changed = [box for box in self.boxes if box.changed()]
        if any(box.carries() for box in changed):
            return True
        self._settle()
        return False

    def _settle(self) -> None:
        holds = Search().look
        self.boxes = [box for box in self.boxes if box.settle(holds)]

    def put_back(self) -> None:
        """Make all as it was."""
        for box in self.boxes:
            if box.changed():
                if not box.restorable():
                    raise TypeError(
                        f"a checkpointed function stores in an array from outside of shape {box.holder.shape}, which "
                        f"is too large to be made as it was. {REMEDY}"
                    )
                box.write(box.then)

    @contextmanager
    def searching(self, caller: str) -> Iterator[None]:
        """The first run of what runs too often to be recorded in its place.

        Arrays that it stored something in may be no more than room to work in: from then on they may not be read. What
        it stored elsewhere is an error.
        """
        stores = TypeError(
            f"{caller}: the function stores something outside of itself (in a list, a dict, an attribute, a variable), "
            f"where no derivative can follow it. {REMEDY}"
        )
        try:
            yield
        except Stores:
            raise stores from None
        self.looking = False
        changed = [box for box in self.boxes if box.changed()]
        left = [*self.left.values(), *(box for box in changed if box.carries())]
        traced = [box for box in self.boxes if isinstance(box, _Traced)]
        blanks = {id(box.then[0].value): box for box in traced if type(box.then[0]) is Blank}
        for box in left:
            if type(box) is _Array:
                blank = blanks.get(id(box.holder))
                if blank is None:
                    raise Detached(
                        f"{caller}: storing into an array from outside, in the function given to it,", REMEDY
                    )
                self.left[id(blank)] = blank
            elif not isinstance(box, _Traced):
                raise stores
        self._settle()
        for box in self.left.values():
            if box.holder.index is LENT:
                raise stores
            spoil(box.holder)

    @contextmanager
    def again(self) -> Iterator[None]:
        """A time in which all is as it was."""
        others = [(box, box.now()) for box in self.boxes if box.changed()]
        try:
            for box, _ in others:
                box.write(box.then)
            yield
        finally:
            for box, now in others:
                box.write(now)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A time after which nothing around the functions holds a traced value that it did not: transforms inside are
        over then."""
        try:
            yield
        finally:
            for box in self.boxes:
                if type(box) is not _Array and box.changed() and box.carries():
                    self.left[id(box)] = box
                    box.write(box.then)

    def call(self, rebuild: Rebuild, values: list[Any], body: Callable[[Any], Any]) -> Any:
        """body(f) for a function (or several) with the values that it closes over: see `closures`."""
        f, made = renewed(rebuild, values)
        if not self.looking or not made:
            return body(f)
        boxes = [box for x in made for box in _boxes_of(x)]
        y = body(f)
        if any(box.changed() and box.carries() for box in boxes):
            raise Stores
        return y


def _boxes_of(x: Any) -> list[_Parts]:
    """Those of what was made anew, with traced values in it."""
    if type(x) is types.FunctionType:
        return [_Cell(cell) for cell in x.__closure__ or ()]
    return [_Items(x)] if isinstance(x, _CONTAINERS) else []


class _Box(ABC):
    """What may hold something else later; `then`: what it held."""

    then: Any

    def __init__(self, holder: Any) -> None:
        self.holder = holder
        self.then = self.now()

    @abstractmethod
    def now(self) -> Any:
        """What it holds."""

    @abstractmethod
    def write(self, content: Any) -> None:
        """Let it hold what `now` gave."""

    @abstractmethod
    def changed(self) -> bool:
        """Whether it holds something else than then."""

    @abstractmethod
    def carries(self) -> bool:
        """Whether there is something new that may have a derivative."""

    @abstractmethod
    def settle(self, holds: Callable[[Any], bool]) -> bool:
        """From now on this is what the functions read alone; whether that is anything.

        What they changed themselves (counters) they go on to. Traced values, which `holds` finds, are arguments: who
        keeps this is not to keep their tapes.
        """

    def restorable(self) -> bool:
        return True


class _Parts(_Box):
    """What holds parts, each by its key; `keys`: those that are looked at, None for all."""

    keys: frozenset[Any] | None = None

    @abstractmethod
    def parts(self) -> dict[Any, Any]:
        """All that it holds."""

    def now(self) -> Any:
        parts = self.parts()
        return parts if self.keys is None else {k: parts[k] for k in self.keys if k in parts}

    def changed(self) -> bool:
        now = self.now()
        return len(now) != len(self.then) or any(k not in self.then or self.then[k] is not x for k, x in now.items())

    def carries(self) -> bool:
        return any(_carries(x) for k, x in self.now().items() if k not in self.then or self.then[k] is not x)

    def settle(self, holds: Callable[[Any], bool]) -> bool:
        now = self.now()
        kept = {k: x for k, x in self.then.items() if k in now and now[k] is x and (type(x) in _PLAIN or not holds(x))}
        if len(kept) != len(now):
            self.keys = frozenset(kept)
        self.then = kept
        return bool(kept) or self.keys is None


class _Named(_Parts):
    """What holds its parts under names."""

    @abstractmethod
    def put(self, key: Any, part: Any) -> None:
        """Let a name stand for a part."""

    @abstractmethod
    def drop(self, key: Any) -> None:
        """Take a name away."""

    def write(self, content: Any) -> None:
        now = self.now()
        for key in now.keys() - content.keys():
            self.drop(key)
        for key, part in content.items():
            if key not in now or now[key] is not part:
                self.put(key, part)


def _carries(x: Any) -> bool:
    if isinstance(x, dict):
        x = tuple(x.values())
    if isinstance(x, tuple | list | set | collections.deque):
        return any(map(_carries, x))
    if isinstance(x, Tracer | float | complex | np.inexact):
        return True
    if hasattr(x, "dtype"):
        return getattr(x.dtype, "kind", "O") in "fcO"
    return not isinstance(x, type) and is_users(type(x).__module__) and any(map(_carries, _attributes(x).values()))


class _Cell(_Named):
    """A variable of a closure."""

    def parts(self) -> dict[Any, Any]:
        try:
            return {"": self.holder.cell_contents}
        except ValueError:  # a name that is not bound yet
            return {}

    def put(self, key: Any, part: Any) -> None:
        self.holder.cell_contents = part

    def drop(self, key: Any) -> None:
        del self.holder.cell_contents


class _Names(_Named):
    """Global variables."""

    def __init__(self, holder: dict[str, Any], some: frozenset[str]) -> None:
        self.names = some
        super().__init__(holder)

    def parts(self) -> dict[Any, Any]:
        holder = self.holder
        return {name: holder[name] for name in self.names if name in holder}

    def put(self, key: Any, part: Any) -> None:
        self.holder[key] = part

    def drop(self, key: Any) -> None:
        del self.holder[key]


class _Items(_Parts):
    """A list, a dict, a set."""

    def parts(self) -> dict[Any, Any]:
        x = self.holder
        return dict(x) if isinstance(x, dict) else {id(e): e for e in x} if type(x) is set else dict(enumerate(x))

    def write(self, content: Any) -> None:
        x = self.holder
        if self.keys is not None and isinstance(x, set):
            x.update(content.values())
        elif self.keys is not None:
            for key in content.keys() & self.parts().keys():
                x[key] = content[key]
        elif isinstance(x, dict):
            x.clear()
            x.update(content)
        else:
            x.clear()
            (x.update if isinstance(x, set) else x.extend)(content.values())


class _Attributes(_Named):
    """An object."""

    def parts(self) -> dict[Any, Any]:
        return _attributes(self.holder)

    def put(self, key: Any, part: Any) -> None:
        object.__setattr__(self.holder, key, part)

    def drop(self, key: Any) -> None:
        object.__delattr__(self.holder, key)


def _attributes(x: Any) -> dict[str, Any]:
    found = dict(getattr(x, "__dict__", ()))
    for kind in type(x).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                found[name] = getattr(x, name)
    return found


class _Array(_Box):
    """A plain array: its bytes, or the fingerprint of a large one."""

    def __init__(self, holder: Any) -> None:
        self.large = holder.nbytes > COPIED
        super().__init__(holder)

    def now(self) -> Any:
        return fingerprint(self.holder) if self.large else self.holder.tobytes()

    def write(self, content: Any) -> None:
        a = self.holder
        if self.large:
            raise OverwrittenValue(a)
        a[...] = np.frombuffer(content, a.dtype).reshape(a.shape)

    def restorable(self) -> bool:
        return not self.large

    def settle(self, holds: Callable[[Any], bool]) -> bool:
        if self.changed():
            return False
        if not self.large and self.holder.nbytes > COPIED_BYTES:  # for long no copy is held of these
            self.large = True
            self.then = self.now()
        return True

    def changed(self) -> bool:
        return bool(self.now() != self.then)

    def carries(self) -> bool:
        return bool(self.holder.dtype.kind in "fc")


class _Traced(_Box):
    """A traced value, and the memory that it shares."""

    then: tuple[Any, Any]

    def now(self) -> Any:
        x = clone(self.holder)
        memory = getattr(self.holder, "memory", None)
        if memory is None or memory is OVERLAPPING:
            return x, None
        memory.settle()
        memory.own = False  # its contents are held here, too
        return x, clone(memory.contents)

    def write(self, content: Any) -> None:
        x, whole = content
        holder, memory = self.holder, getattr(self.holder, "memory", None)
        if memory is not None and memory is not OVERLAPPING:
            memory.waiting.clear()
            memory.change(x if whole is None else whole, given_away=True)
            if hasattr(holder, "place"):
                del holder.place
            memory.add(holder)
        become(holder, x)

    def changed(self) -> bool:
        x, then = self.holder, self.then[0]
        return type(x) is Cell.stale or x.transform is not then.transform or x.value is not then.value

    def carries(self) -> bool:
        return True

    def settle(self, holds: Callable[[Any], bool]) -> bool:
        return type(self.then[0]) is Blank


NOTHING = Around([])
