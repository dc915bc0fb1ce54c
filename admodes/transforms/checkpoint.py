"""Checkpoints: what the reverse sweep needs is computed again instead of being kept.

A tape of l steps keeps all that the steps computed.  A checkpointed function keeps its arguments alone, and a
checkpointed chain of l steps keeps s states, between which steps are run again: as few of them as can be, by the
binomial schedule of `revolve`.  In forward mode nothing is kept anyhow, and these functions are plain calls.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType
from typing import Any

import numpy as np

from ..core import pytree
from ..core.creation import code_of, known_by
from ..core.directions import lead_shape
from ..core.dispatch import apply, highest, pack
from ..core.lending import by_value, owned
from ..core.registry import Each, Op
from ..core.reverse import Tape, Var
from ..core.tracing import Tracer
from .arguments import replaced
from .around import NOTHING, Around, Stores
from .closures import Closure, as_it_is, closed_over, is_traced
from .recording import Recording, push_forward
from .revolve import Online
from .snapshots import Stack, again

Function = Callable[..., Any]


def checkpoint(f: Function) -> Function:
    """f, whose intermediate values reverse mode computes again inside the pull instead of keeping them.

    Parameters
    ----------
    f : a function in plain NumPy, of arrays or trees of arrays. It is run once forward and once in each pull, so what
        it does besides (printing, counting, drawing random numbers) happens each time: let random numbers be arguments.

    Returns
    -------
    A function of the same arguments and results. A tape keeps the arguments of f and its result, nothing in between;
    a pull costs one more evaluation of f. Traced values in f's closure count as arguments.

    Arguments are taken by value, and results are arrays of their own, in plain calls as under every transform: what f
    writes to its arguments stays in it, and a result shares no memory with an argument or with another result.

    In the pull f finds its closure, the globals that it names, lists, dicts, arrays of up to 64 KiB and attributes of
    objects of your classes as they were, though they have changed since. Where f stores numbers or arrays in them, f is
    recorded step by step, as if there were no checkpoint: right, but for the memory; return what f makes instead. What
    objects of other libraries and modules hold is not looked into.

    Raises
    ------
    TypeError : f reads a traced value from where it is not seen (a global, an attribute of an object), or stores in an
    array from outside of more than 1 MiB. OverwrittenValue : a larger array that f reads was changed before the pull;
    `w.flags.writeable = False` says that none is, and saves a look at it.

    Source: Griewank and Walther, "Evaluating Derivatives" (2008), chapter 12, on the reversal of calls.

    >>> import numpy as np
    >>> from admodes import checkpoint, grad
    >>> float(grad(checkpoint(lambda x: np.sin(np.sin(x))))(0.0))
    1.0
    """

    @functools.wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        captured, rebuild = closed_over(f)
        flat, structure = pytree.flatten((args, kwargs, captured))
        flat = [pack(x) for x in flat]
        moving = [k for k, x in enumerate(flat) if is_traced(x)]
        tape = _tape([flat[k] for k in moving], [f])
        if tape is None:
            return owned(by_value(f, args, kwargs))

        def run(*leaves: Any) -> Any:
            args, kwargs, captured = pytree.unflatten(structure, replaced(rest, moving, leaves))
            return around.call(rebuild, captured, lambda f: by_value(f, args, kwargs))

        # No traced value: see `closures`.
        rest = [None if is_traced(x) else tape.keep_parameter(x) for x in flat]
        around = Around([f], tape.values(captured))
        try:
            return _Again(run, around).call([flat[k] for k in moving])
        except Stores:
            around.put_back()
            _remember([f])
        return owned(by_value(f, args, kwargs))

    return known_by(checkpointed, f)


# The code of functions that were found to do so, which are recorded as any others.
_STORING: dict[int, CodeType] = {}


def _remember(functions: Sequence[Function]) -> None:
    _STORING.update({id(code): code for code in map(code_of, functions) if code is not None})


def _tape(leaves: Sequence[Any], functions: Sequence[Function]) -> Tape | None:
    """The tape on which functions of these traced values are one entry; None where they are called as they are."""
    trace = highest(list(leaves))
    if not isinstance(trace, Tape) or (_STORING and any(id(code_of(f)) in _STORING for f in functions)):
        return None
    return trace


def _checkpoint(*leaves: Any) -> Any:
    """The name under which a tape shows a checkpoint."""


class _Later(Op):
    """An operation of one call, whose pull runs a function again: `run`, which gives a tree; `around`: what that reads
    besides its arguments."""

    out_structure: Any = None
    several = False
    level = 0

    def __init__(self, around: Around) -> None:
        super().__init__(_checkpoint, name="checkpoint", arrays=None)
        self.around = around
        self.pushes = self.pulls = Each()

    def run(self, *leaves: Any) -> Any:
        """The function, of traced values."""
        raise NotImplementedError

    def call(self, leaves: Sequence[Any]) -> Any:
        """The tree of results for these arguments."""
        y = self.parts(apply(self, tuple(leaves), {}))
        # Whole numbers among the results (a counter that is carried along) have no derivative.
        return pytree.unflatten(
            self.out_structure, [x.value if type(x) is Var and x.dtype.kind in "iub" else x for x in y]
        )

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        self.level = trace.level
        return trace.process(self, args, params)

    def ended(self, tree: Any) -> Any:
        """The result of the first run, which is one of its arguments alone, and all that the run leaves."""
        if self.around.stored():
            raise Stores
        return self.inside(self.packed(tree))

    def packed(self, tree: Any) -> Any:
        """The leaves of a result, as a tuple where they are several."""
        out, self.out_structure = pytree.flatten(tree)
        out = [owned(pytree.result(y, "the result of a checkpointed function")) for y in out]
        self.several = len(out) != 1
        return tuple(out) if self.several else out[0]

    def parts(self, y: Any) -> list[Any]:
        return list(y) if self.several else [y]

    def inside(self, y: Any) -> Any:
        """y, unless it depends on the tape by other ways than the arguments: that derivative would be lost."""
        trace = highest(pytree.flatten(y)[0])
        if trace is not None and trace.level >= self.level:
            raise TypeError(
                "a checkpointed function reads a traced value that is neither an argument nor in its closure (a "
                "global, an attribute of an object, or a step from an iterator), so that its pull could not reach it. "
                "Pass it as an argument, checkpoint(f)(x, w), or carry it along with the state."
            )
        return y

    def push_all(self, given: dict[int, Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        moving = sorted(given)
        primals = [args[k] for k in moving]
        lead = lead_shape(given[moving[0]], primals[0])
        with self.around.again():
            _, _, tangents = push_forward(
                lambda *leaves: self.run(*replaced(args, moving, leaves)),
                pytree.flatten(tuple(primals))[1],
                primals,
                [given[k] for k in moving],
                lead,
            )
        return tuple(tangents) if self.several else tangents[0]


class _Again(_Later):
    """One function, run again."""

    def __init__(self, f: Function, around: Around) -> None:
        super().__init__(around)
        self.f = f

    def run(self, *leaves: Any) -> Any:
        return self.f(*leaves)

    def evaluate(self, *leaves: Any) -> Any:
        return self.ended(self.f(*leaves))

    def pull_all(self, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        us = self.parts(u)
        with self.around.again():
            recording = Recording(self.f, tuple(map(again, args)))
        return recording.pull(us, lead_shape(us[0], self.parts(y)[0]))


# ---------------------------------------------------------------------------------------------------
# Chains of steps
# ---------------------------------------------------------------------------------------------------


def checkpoint_chain(
    steps: Iterable[Function],
    x: Any,
    *,
    snapshots: int | None = None,
    max_bytes: int | None = None,
    disk: int = 0,
) -> Any:
    """steps[-1](… steps[1](steps[0](x))), reversed with few states kept and the others computed again.

    Parameters
    ----------
    steps : callables, applied in turn; traced values in their closures count as arguments. An iterator is run to its
        end, however long, with snapshots placed online; its steps are kept, and close over no traced values.
    x : what the first step takes: an array or a tree of arrays.
    snapshots : states that are held at a time, x among them; at least 1. None: as many as `max_bytes` allows, or √l.
    max_bytes : bytes that the snapshots and the tape of one step may take together.
    disk : so many more snapshots, in a temporary directory; the ones that are read least often go there.

    Returns
    -------
    The last step's result. Until it is pulled the tape holds `snapshots` states and the tape of one step. Reversing l
    steps runs `revolve.forward_steps(l, snapshots + disk)` steps without a tape, those of the first sweep among them,
    and each step once on a tape.

    Raises
    ------
    ValueError : no room for one snapshot in max_bytes; numbers out of range. TypeError : as `checkpoint`.

    Steps take the state by value, and what they do besides and store outside of themselves is as in `checkpoint`; a
    step from an iterator that stores so is an error.

    Source: Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26 (2000).

    >>> import numpy as np
    >>> from admodes import checkpoint_chain, grad
    >>> float(grad(lambda x: checkpoint_chain([lambda x: x * x] * 5, x, snapshots=2))(1.0))
    32.0
    """
    limits = snapshots, max_bytes, disk
    if isinstance(steps, Sequence):
        return _run(lambda closed: _Steps([*map(closed, steps)]), [*steps], x, limits, ys=False)[0]
    streamed = _Streamed((step, ()) for step in steps)
    return _run(lambda _: streamed, [], x, limits, ys=False)[0]


def checkpoint_scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any,
    *,
    snapshots: int | None = None,
    max_bytes: int | None = None,
    disk: int = 0,
) -> tuple[Any, Any]:
    """One step over and over, carry, y = step(carry, xs[i]), reversed with few of the carries kept.

    Parameters
    ----------
    step : step(carry, x) -> (carry, y), y an array, a tree of arrays or None; traced values in its closure count as
        arguments.
    carry : an array or a tree of arrays, to start with.
    xs : an array or a tree of arrays, over whose first axis the steps go; or an iterator, run to its end with
        snapshots placed online.
    snapshots, max_bytes, disk : as in `checkpoint_chain`.

    Returns
    -------
    (carry, ys) : the last carry, and the y of every step stacked (None where they are None). Arguments and results are
    by value, and what step stores outside of itself is as in `checkpoint_chain`.

    Raises
    ------
    TypeError : step returns no pair. ValueError : leaves of xs of different lengths; else as `checkpoint_chain`.

    Source: Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26 (2000); for an iterator, whose end is not known:
    Stumm and Walther, "New algorithms for optimal online checkpointing", SIAM J. Sci. Comput. 32 (2010).

    >>> import numpy as np
    >>> from admodes import checkpoint_scan, grad
    >>> xs = np.array([1.0, 2.0, 3.0])
    >>> carry, ys = checkpoint_scan(lambda c, x: (c * x, c), 2.0, xs, snapshots=2)
    >>> float(carry), ys
    (12.0, array([2., 2., 4.]))
    >>> grad(lambda xs: checkpoint_scan(lambda c, x: (c * x, None), 2.0, xs, snapshots=2)[0])(xs)
    array([12.,  6.,  4.])
    """
    limits = snapshots, max_bytes, disk
    if isinstance(xs, Iterator):
        streamed = _Streamed((step, (x,)) for x in xs)
        return _run(lambda _: streamed, [], carry, limits, ys=True)
    return _run(lambda closed: _Scanned(*closed(step), xs), [step], carry, limits, ys=True)


Limits = tuple[int | None, int | None, int]


def _run(
    make: Callable[[Callable[[Any], Closure]], _Steps], functions: Sequence[Function], x: Any, limits: Limits, ys: bool
) -> tuple[Any, Any]:
    """The last state and the stacked ys (None without them); make(closed_over) gives the steps, of these functions."""
    for name, value, least in zip(("snapshots", "max_bytes", "disk"), limits, (1, 0, 0), strict=True):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least):
            raise ValueError(f"{name}={value!r}: it must be an integer of at least {least}")
    if limits[0] is not None and limits[1] is not None:
        raise ValueError("snapshots= and max_bytes= both say how many states are kept; give one of them")
    op = _Chain(make(closed_over), x, limits, ys)
    tape = _tape([op.flat[k] for k in op.moving], functions)
    if tape is not None:
        op.hold(tape, functions)
        try:
            found: tuple[Any, Any] = op.call(op.leaves())
            return found
        except Stores:
            op.around.put_back()
            _remember(functions)
    op = _Chain(make(as_it_is), x, limits, ys)
    found = op.run(*op.leaves())
    return owned(found[0]), owned(found[1])


class _Steps:
    """Steps given as a sequence: what each depends on besides the state (a part of `rest`), and how it is run."""

    def __init__(self, closures: Sequence[Closure]) -> None:
        captured, self._rebuilds = [found for found, _ in closures], [rebuild for _, rebuild in closures]
        self.length: int | None = len(closures)
        # What several steps close over stands there once, so that its cotangents are added as they come.
        shared = {id(x): x for one in captured for x in one}
        place = {key: k for k, key in enumerate(shared)}
        self.rest: list[Any] = list(shared.values())
        self.shared = len(self.rest)  # as many of `rest` are closed over
        self.around = NOTHING
        self._places = [[place[id(x)] for x in one] for one in captured]

    def exists(self, i: int) -> bool:
        return self.length is not None and i < self.length

    def places(self, i: int) -> Sequence[int]:
        """Where in `rest` that is which step i takes."""
        return self._places[i]

    def leaves(self, i: int, rest: Sequence[Any]) -> list[Any]:
        """What step i takes of `rest`."""
        return [rest[k] for k in self._places[i]]

    def run(self, i: int, state: Any, leaves: list[Any]) -> Any:
        return self.around.call(self._rebuilds[i], leaves, lambda step: by_value(step, (state,), {}))

    def totals(self) -> list[Any]:
        """What gathers the cotangents of `rest`, from the last step to the first."""
        return [_Sum() for _ in self.rest]


class _Streamed(_Steps):
    """Steps from an iterator, kept as they come, each with what it takes beside the state; they close over no traced
    values."""

    def __init__(self, source: Iterable[tuple[Function, tuple[Any, ...]]]) -> None:
        super().__init__([])
        self.length = None
        self._source = iter(source)
        self._functions: list[tuple[Function, tuple[Any, ...]]] = []
        self.looking = False  # whether steps will run again
        self._each: list[Around] = []  # around the steps that were run

    def exists(self, i: int) -> bool:
        self._functions += itertools.islice(self._source, max(0, i + 1 - len(self._functions)))
        return i < len(self._functions)

    def places(self, i: int) -> Sequence[int]:
        return ()

    def leaves(self, i: int, rest: Sequence[Any]) -> list[Any]:
        return []

    def run(self, i: int, state: Any, leaves: list[Any]) -> Any:
        step, more = self._functions[i]
        if i < len(self._each):
            with self._each[i].again():
                return by_value(step, (state, *more), {})
        if not self.looking:
            return by_value(step, (state, *more), {})
        around = Around([step], earlier=self._each[-1] if self._each else None)
        y = by_value(step, (state, *more), {})
        if around.stored():
            raise TypeError(
                "a step from an iterator stores something outside of itself (in an array, a list, an attribute, a "
                "variable), whose derivative would be lost. Carry it along with the state, or give the steps as a list."
            )
        self._each.append(around)
        return y


class _Scanned(_Steps):
    """One step over the first axis of xs; `rest` is what it closes over, and the leaves of xs."""

    def __init__(self, captured: Sequence[Any], rebuild: Function, xs: Any) -> None:
        super().__init__([])
        arrays, self._structure = pytree.flatten(xs)
        arrays = [pack(x) if isinstance(x, Tracer) else pack(np.asarray(x)) for x in arrays]
        lengths = {x.shape[:1] for x in arrays}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(
                f"checkpoint_scan: the leaves of xs have shapes {[x.shape for x in arrays]}; they need one common "
                "first axis, over which the steps go."
            )
        self.length = lengths.pop()[0]
        self._rebuild, self.shared = rebuild, len(captured)
        self.rest = [*captured, *arrays]

    def places(self, i: int) -> Sequence[int]:
        return range(len(self.rest))

    def leaves(self, i: int, rest: Sequence[Any]) -> list[Any]:
        return [*rest[: self.shared], *(x[i] for x in rest[self.shared :])]

    def run(self, i: int, state: Any, leaves: list[Any]) -> Any:
        x = pytree.unflatten(self._structure, leaves[self.shared :])
        return self.around.call(self._rebuild, leaves[: self.shared], lambda step: by_value(step, (state, x), {}))

    def totals(self) -> list[Any]:
        return [_Sum() if k < self.shared else _Rows() for k in range(len(self.rest))]


class _Sum:
    """Cotangents added as they come: of all steps they would take more memory than the states."""

    def __init__(self) -> None:
        self._total: Any = None
        self._own = False  # not memory of a step's

    def add(self, g: Any) -> None:
        if self._total is None:
            self._total = g
        elif self._own and type(g) is np.ndarray:
            self._total += g
        else:
            self._total = self._total + g
            self._own = type(self._total) is np.ndarray

    def result(self, lead: tuple[int, ...]) -> Any:
        return self._total


class _Rows:
    """Cotangents of rows, the last row's first."""

    def __init__(self) -> None:
        self._rows: list[Any] = []

    def add(self, g: Any) -> None:
        self._rows.append(g)

    def result(self, lead: tuple[int, ...]) -> Any:
        return np.stack(self._rows[::-1], axis=len(lead)) if self._rows else None


def default_snapshots(l: int) -> int:
    """How many states of l steps are kept unless one says so."""
    return math.isqrt(l) + 1


class _Chain(_Later):
    """A chain of steps, reversed from snapshots. Its arguments are the traced ones of `flat`, state first."""

    def __init__(self, steps: _Steps, x: Any, limits: Limits, ys: bool) -> None:
        super().__init__(NOTHING)
        self.steps, self.ys = steps, ys
        self.snapshots, self.max_bytes, self.disk = limits
        state, self.structure = pytree.flatten(x)
        self.states = len(state)
        self.flat = [pack(leaf) for leaf in (*state, *steps.rest)]
        self.moving = [k for k, leaf in enumerate(self.flat) if is_traced(leaf)]
        self._traced = frozenset(self.moving)
        self.total = 0  # the steps there were
        self.plain_steps = 0  # how many were run without a tape
        self.kept: tuple[Stack, _Taped] | None = None  # from the first sweep, until it is pulled

    def hold(self, tape: Tape, functions: Sequence[Function]) -> None:
        """Hold what will be read again: constants as they are now, and what is around the functions."""
        self.flat = [x if is_traced(x) else tape.keep_parameter(x) for x in self.flat]
        self.around = self.steps.around = Around(functions, tape.values(self.steps.rest[: self.steps.shared]))
        if isinstance(self.steps, _Streamed):
            self.steps.looking = True

    def full(self, leaves: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The first state, and what the steps depend on besides."""
        flat = replaced(self.flat, self.moving, leaves)
        return pytree.unflatten(self.structure, flat[: self.states]), flat[self.states :]

    def leaves(self) -> list[Any]:
        """The traced values, which stay with the caller: see `closures`."""
        found = [self.flat[k] for k in self.moving]
        self.flat = replaced(self.flat, self.moving, [None] * len(found))
        self.steps.rest = [None] * len(self.steps.rest)
        return found

    def run(self, *leaves: Any) -> tuple[Any, Any]:
        """All steps, nothing kept."""
        state, rest = self.full(leaves)
        ys: list[Any] = []
        i = 0
        while self.steps.exists(i):
            state, y = self.step(i, state, self.steps.leaves(i, rest))
            self.collect(i, ys, y)
            i += 1
        return state, self.stacked(ys)

    def step(self, i: int, state: Any, leaves: list[Any]) -> tuple[Any, Any]:
        out = self.steps.run(i, state, leaves)
        if not self.ys:
            return out, None
        if type(out) is not tuple or len(out) != 2:
            raise TypeError(
                "checkpoint_scan: step must return a pair (carry, y), with y None where there is nothing to collect; "
                f"it returned a {type(out).__name__}. Write: return carry, None"
            )
        return out

    def collect(self, i: int, ys: list[Any], y: Any) -> None:
        """Add the y of step i, unless they are None."""
        if i and (y is None) == bool(ys):
            raise TypeError(
                f"checkpoint_scan: step returned {'a y' if y is None else 'None for y'} at first, and at step {i} "
                f"{'None' if y is None else 'a y'}; it must return one or the other throughout"
            )
        if y is not None:
            ys.append(y)

    def stacked(self, ys: list[Any]) -> Any:
        if not ys:
            return None
        leaves = [pytree.flatten(y)[0] for y in ys]
        return pytree.unflatten(pytree.flatten(ys[0])[1], [np.stack(parts) for parts in zip(*leaves, strict=True)])

    def evaluate(self, *leaves: Any) -> Any:
        """All steps: snapshots are taken on the way, and the last step goes on a tape."""
        state, rest = self.full(leaves)
        if not self.steps.exists(0):
            return self.ended((state, None))
        stack = Stack(self.room(state, rest), self.disk, state)
        length = self.steps.length
        online = Online(stack.most) if length is None else None
        ys: list[Any] = []
        i = 0
        target = 0 if length is None else stack.next(0, length)
        while self.steps.exists(i + 1):
            state, y = self.advance(i, state, rest)
            self.collect(i, ys, y)
            i += 1
            forgotten = online.take(i) if online else None
            if forgotten is not None and forgotten != i:
                stack.drop(forgotten)
            if i == target or (online and forgotten != i):
                stack.put(i, state)
                target = 0 if length is None else stack.next(i, length)
        self.total = i + 1
        taped = self.taped(i, state, rest)
        self.kept = stack, taped
        state, y = taped.recording.value()
        self.collect(i, ys, y)
        return self.ended((state, self.stacked(ys)))

    def advance(self, i: int, state: Any, rest: list[Any]) -> tuple[Any, Any]:
        self.plain_steps += 1
        state, y = self.step(i, state, self.steps.leaves(i, rest))
        return self.inside(state), y

    def taped(self, i: int, state: Any, rest: list[Any]) -> _Taped:
        wanted = [k + self.states in self._traced for k in self.steps.places(i)]
        return _Taped(functools.partial(self.step, i), state, self.steps.leaves(i, rest), wanted)

    def room(self, state: Any, rest: list[Any]) -> int:
        """How many snapshots are kept in memory."""
        if self.snapshots is not None:
            return int(self.snapshots)
        if self.max_bytes is None:
            return default_snapshots(self.steps.length or 1024)
        tape = self.taped(0, state, rest).nbytes
        one = sum(int(x.nbytes) for x in pytree.flatten(state)[0] if (isinstance(x, Tracer) or type(x) is np.ndarray))
        if tape + one > self.max_bytes:
            raise ValueError(
                f"max_bytes={self.max_bytes:,} leaves no room for one snapshot of {one:,} bytes beside the tape of one "
                f"step, {tape:,} bytes; the least is {tape + one:,}"
            )
        return int((self.max_bytes - tape) // max(one, 1))

    def pull_all(self, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        us = self.parts(u)
        lead = lead_shape(us[0], self.parts(y)[0])
        start, rest = self.full([again(x) for x in args])
        with self.around.again():
            return self._pulled(us, lead, start, rest)

    def _pulled(self, us: list[Any], lead: tuple[int, ...], start: Any, rest: list[Any]) -> list[Any]:
        stack, taped = self.kept or (Stack(self.room(start, rest), self.disk, start), None)
        self.kept = None  # a second pull begins with the start alone
        totals = self.steps.totals()
        u_ys = us[(size := len(us) if not self.ys else self._states_out(us)) :]
        u_state = us[:size]
        for i in reversed(range(self.total)):
            if taped is None:
                taped = self.taped(i, self.state_before(i, stack, rest), rest)
            stack.forget(i)
            u_state, gs = taped.pull([*u_state, *(np.take(part, i, axis=len(lead)) for part in u_ys)], lead)
            for k, g in zip(self.steps.places(i), gs, strict=True):
                if g is not None:
                    totals[k].add(g)
            taped = None
        gs = [*u_state, *(total.result(lead) for total in totals)]
        return [gs[k] for k in self.moving]

    def _states_out(self, us: list[Any]) -> int:
        """How many of the results' leaves are the last state's."""
        state, _ = pytree.unflatten(self.out_structure, us)
        return len(pytree.flatten(state)[0])

    def state_before(self, i: int, stack: Stack, rest: list[Any]) -> Any:
        """The state that step i takes, from the newest snapshot, with new ones on the way where there is room."""
        position, state = stack.newest()
        while position < i:
            target = stack.next(position, i + 1)
            while position < target:
                state, _ = self.advance(position, state, rest)
                position += 1
            if position < i:
                stack.put(position, state)
        return state


class _Taped:
    """One step on a tape, with the cotangents of its state and of what is wanted of its other leaves."""

    def __init__(self, step: Function, state: Any, leaves: list[Any], wanted: Sequence[bool]) -> None:
        flat, structure = pytree.flatten((state, leaves))
        self.shapes = [np.shape(x) for x in flat]
        self.states = len(flat) - len(leaves)
        kinds = [True] * self.states + list(wanted)
        self.moving = [k for k, x in enumerate(flat) if kinds[k] and np.result_type(x).kind in "fc"]

        def f(*moving: Any) -> Any:
            return step(*pytree.unflatten(structure, replaced(flat, self.moving, moving)))

        self.recording = Recording(f, tuple(flat[k] for k in self.moving))

    def pull(self, us: Sequence[Any], lead: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
        us = [
            np.zeros(lead + y.shape, y.dtype) if u is None else u
            for u, y in zip(us, self.recording.values, strict=True)
        ]
        found: list[Any] = [None] * len(self.shapes)
        for k, g in zip(self.moving, self.recording.pull(us, lead), strict=True):
            found[k] = g
        return found[: self.states], found[self.states :]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that the tape holds."""
        entries = self.recording.tape.entries
        held = {id(x): x.nbytes for entry in entries for x in pytree.flatten(entry)[0] if type(x) is np.ndarray}
        return sum(held.values())
