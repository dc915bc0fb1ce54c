"""`compile`: trace once for each kind of arguments, then run flat code."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from ..core import pytree
from ..core.contents import Opaque, contents
from ..core.creation import around
from ..core.dispatch import highest, is_memory, next_level
from ..core.registry import OPS
from ..core.tracing import Tracer
from ..core.zeros import keeping, lost, lost_numbers, strong_product
from .code.emit import emit
from .code.scalars import is_scalar
from .matching import Matcher, builder, matcher
from .native.calls import NANS, needed
from .native.group import kernels_on
from .native.numbers import direct
from .native.worth import calls_until_native, on_tables_alone, with_kernels, with_loops, with_tables
from .passes import PASSES, REASSOCIATING, Pass, optimise
from .primitives import KERNELS
from .program import Program, record
from .recording import SAME_TEXT, ChangesArgument, Foreign, Value, uncollected
from .straightline import GuardFailed, as_input, is_input, layout, shared

P = ParamSpec("P")
Y = TypeVar("Y")

# Whether there are native kernels; "auto": from the call on at which they have paid for their compilation.
Native = bool | Literal["auto"]

# Traces of one kind that hold for one text of a value, as what prints does at each call.
TEXTS = 4

# Traces kept for one kind of arguments; where there are more, the code branches on values too often to be worth it.
TRACES = 64


class Runner:
    """One optimised program with the workspace arrays it owns.

    `again` makes the program whose products keep zeros (see `core.zeros`) of the input arrays: that is run where the
    results of this one hold a nan.  After `calls` calls a runner with native kernels takes over, in the `kinds` that
    hold this one; 0: none does.  `strict`, of numbers alone, gives the results or NotImplemented (see
    `native.numbers`); `direct` is the same where arguments and results are no trees.
    """

    __slots__ = (
        "_run", "again", "as_is", "asked", "calls", "direct", "float_function", "function", "keeping", "kinds", "lost",
        "native", "passes", "plain", "pool", "program", "strict", "structure", "threads", "tree", "workspace", "writes",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        passes: Sequence[Pass] = PASSES,
        again: Callable[[Sequence[Any]], Program] | None = None,
        native: Native = False,
        threads: int = 1,
    ) -> None:
        self.writes = any(i.op is SAME_TEXT for i in program.instructions)
        self.again = again
        self.keeping: Runner | None = None
        self.native: Runner | None = None
        self.kinds: weakref.ref[Kinds] | None = None
        if native:
            with uncollected():
                program = with_loops(program, passes)
        self.calls = calls_until_native(program) if native == "auto" else 0
        self.program: Program | None = program if self.calls > 1 else None
        self.passes = passes
        self.threads = threads
        if native is True or self.calls == 1:
            self.calls = 0
            passes = on_tables_alone(program, with_kernels(passes, kernels_on(threads)), True)
        elif native:
            passes = on_tables_alone(program, passes, False)
        if native:
            passes = with_tables(passes)
        with uncollected():
            program = optimise(program, passes)
            self.function = emit(program, direct=True).function
        self.float_function = emit(program, scalars=True).function if is_scalar(program) else None
        self.structure = program.out_structure
        self.as_is = pytree.is_tuple(self.structure)
        self.tree = builder(self.structure)
        one = self.structure is None
        self.strict = direct(program) if one or len(program.outputs) > 1 else None
        self.direct = self.strict if (one or self.as_is) and pytree.is_tuple(program.in_structure) else None
        self.asked = _untold(program)
        numbers = all(isinstance(y, Value) and not y.ndim and y.dtype.kind == "f" for y in program.outputs)
        self.lost = lost_numbers if numbers else lost
        self.workspace = program.workspace
        scalars = _takes_scalars(program)
        self._run: Callable[[Sequence[Any]], Any] = (
            (self._with_workspace_and_scalars if scalars else self._with_workspace)
            if self.workspace
            else self._on_floats
            if self.float_function is not None
            else self._on_scalars
            if scalars
            else self._on_arrays
        )
        self.plain = self._run == self._on_arrays
        self.pool: list[list[np.ndarray]] = []

    def __call__(self, arrays: Sequence[Any]) -> Any:
        """The result for input arrays. Threads and recursive calls take workspaces of their own."""
        if self.calls and self._is_time():
            assert self.native is not None
            return self.native(arrays)
        if self.strict is not None:
            out = self.strict(*arrays)
            if out is not NotImplemented:
                return out if self.as_is or self.structure is None else self.tree(out)
        nans = NANS[0]
        out = self.function(*arrays) if self.plain else self._run(arrays)
        if self.again is not None:
            asked = out if NANS[0] is not nans else [out[k] for k in self.asked] if self.asked else ()
            if asked and self.lost(asked):
                out = self._keeping(self.again, arrays, out)
        if self.as_is:
            return out
        return out[0] if self.structure is None else self.tree(out)

    def _is_time(self) -> bool:
        """Whether native kernels have paid by now; they are compiled where this is the first call with them."""
        if self.native is None:
            self.calls -= 1
            program = self.program
            if self.calls > 0 or program is None:
                return False
            self.native = Runner(program, self.passes, self.again, True, self.threads)
            self.calls, self.program = -1, None
            kinds = None if self.kinds is None else self.kinds()
            if kinds is not None:
                kinds.put(self.native, self)
        return True

    def _keeping(self, again: Callable[[Sequence[Any]], Program], arrays: Sequence[Any], out: Any) -> Any:
        """The results by products that keep zeros."""
        if self.keeping is None:
            with keeping() as this:
                program = again(arrays)
            if this.undetermined:
                return out
            if not any(i.op is STRONG for i in program.instructions):
                self.again = None  # no product of a derivative is among them: the nan are the function's own
                return out
            self.keeping = Runner(program)
        try:
            return self.keeping._run(arrays)
        except GuardFailed:
            self.keeping = None
            return self._keeping(again, arrays, out)

    # One of these is `_run`: the results for input arrays.

    def _on_arrays(self, arrays: Sequence[Any]) -> Any:
        return self.function(*arrays)

    def _on_scalars(self, arrays: Sequence[Any]) -> Any:
        return self.function(*map(as_input, arrays))

    def _on_floats(self, arrays: Sequence[Any]) -> Any:
        try:
            return self.float_function(*map(float, arrays))  # type: ignore[misc]
        except (ValueError, ArithmeticError):  # where NumPy gives nan or inf
            return self.function(*map(as_input, arrays))

    def _with_workspace(self, arrays: Sequence[Any]) -> Any:
        try:
            space = self.pool.pop()
        except IndexError:
            space = [np.empty(v.shape, v.dtype) for v in self.workspace]
        try:
            return self.function(*arrays, *space)
        finally:
            self.pool.append(space)

    def _with_workspace_and_scalars(self, arrays: Sequence[Any]) -> Any:
        return self._with_workspace([*map(as_input, arrays)])


STRONG = OPS[strong_product]


def _untold(program: Program) -> tuple[int, ...]:
    """The outputs that may hold a nan of which no kernel tells."""
    told = {i.outs[k] for i in program.instructions if i.op in KERNELS for k in KERNELS[i.op].told}
    for i in program.instructions:
        if i.aliases and isinstance(i.source, Value) and i.source in told:
            told.update(i.outs)
    return tuple(k for k, v in enumerate(program.outputs) if not (isinstance(v, Value) and v in told))


def _takes_scalars(program: Program) -> bool:
    """Whether inputs without axes must be scalars of NumPy: kernels take Python's floats too."""
    numbers = {v for v in program.inputs if not v.ndim}
    others = [v for i in program.instructions if i.op not in KERNELS for v in i.uses]
    return any(v in numbers for v in (*others, *(y for y in program.outputs if isinstance(y, Value))))


def recorded(
    f: Callable[..., Any],
    args: Any,
    kwargs: dict[str, Any],
    passes: Sequence[Pass] = PASSES,
    native: Native = False,
    threads: int = 1,
) -> Runner:
    """f, traced for these arguments, ready to run."""
    before = next_level()
    program = record(f, args, kwargs, pure=True)
    derived = next_level() > before + 2  # a transform was begun beside the recorder

    def again(arrays: Sequence[Any]) -> Program:
        given = iter(arrays)
        leaves = [next(given) if constant is None else constant for constant in program.static]
        tree = pytree.unflatten(program.in_structure, leaves)
        return record(f, *tree) if kwargs else record(f, tree, {})

    return Runner(program, passes, again if derived else None, native, threads)


class Branches:
    """What was made for the branches that a function took, for one kind of arguments, the one that ran last first."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken: tuple[Any, ...] = ()  # replaced as a whole, so that threads need no lock

    def add(self, one: Any) -> None:
        """A new branch, which is about to run; of more than `TRACES` the one that ran longest ago goes."""
        self.taken = (one, *self.taken[: TRACES - 1])

    def run(self, arrays: Sequence[Any]) -> tuple[Any, Any] | None:
        """The first whose guards hold for these arrays, and its result; None where those of all fail."""
        for one in self.taken:
            try:
                out = one(arrays)
            except GuardFailed:
                continue
            if one is not self.taken[0]:
                self.taken = (one, *(other for other in self.taken if other is not one))
            return one, out
        return None


class Kind(Branches):
    """The traces for one kind of arguments."""

    __slots__ = ("native", "passes", "texts", "threads", "warned")

    def __init__(self, passes: Sequence[Pass], native: Native, threads: int) -> None:
        super().__init__()
        self.passes = passes
        self.native = native
        self.threads = threads
        self.texts = 0  # traces that hold for one text of a value
        self.warned = False


# Checkers tried before the arguments are flattened: those of the kinds met last.
MATCHERS = 4


class Kinds(dict[Any, Kind]):
    """The kinds met, and of each family of kinds, which differ in values that are no arrays, how many."""

    def __init__(self, passes: Sequence[Pass], native: Native, threads: int) -> None:
        super().__init__()
        self.passes = passes
        self.native = native
        self.threads = threads
        self.families: dict[Any, int] = {}
        self.matchers: tuple[tuple[Matcher, Kind], ...] = ()  # replaced as a whole, so that threads need no lock
        self.direct: Callable[..., Any] | None = None  # of the runner made last that has it
        self.warned = False
        self.changes = False  # whether f was seen to change an argument

    def put(self, runner: Runner, before: Runner | None = None) -> None:
        """Note a new runner, maybe in place of one."""
        runner.kinds = weakref.ref(self)
        self.direct = runner.direct or self.direct
        for kind in self.values() if before is not None else ():
            kind.taken = tuple(runner if one is before else one for one in kind.taken)


def compile(f: Callable[P, Y], reassociate: bool = False, native: Native = "auto", threads: int = 1) -> Callable[P, Y]:
    """A decorator: f traced on first use for each kind of arguments, then run as flat code.

    One trace serves all arguments of the same shapes, dtypes, memory order and tree structure (dictionaries in the same
    order) that take the same branches. Ints, strings, slices, objects with all that they hold, masked arrays, matrices
    and other arrays with operations of their own are part of the kind, and which arguments are one array (f(x, x)).
    A branch on a traced value becomes a guard, and where it goes another way f is traced again; after 64 traces, for
    branches or for values of an int, a warning says so, and f runs untraced.
    What f reads beside its arguments (globals, closures) is taken as it was when f was traced, and what it does beside
    returning a result happens only then. The text of a traced value (printed or not) is taken as a branch is: after 4
    of them f runs untraced, with a warning. So does a function that changes an argument: an array in place, what a
    dict, list or object holds.

    Parameters
    ----------
    f : a function in plain NumPy, or any derivative of one.
    reassociate : whether chains of matrix products may be bracketed anew, (A B) x as A (B x), where that takes fewer
        multiply-adds. Beyond rounding that shows where a product is infinite or nan in one bracketing alone.
    native : whether runs of elementwise operations, slices and sums become native loops, which takes llvmlite
        (`pip install admodes[native]`): always, or never, or ("auto") where llvmlite is installed, from the call on at
        which they have paid for their compilation, by an estimate from shapes alone. Results then differ by rounding:
        each function is within 4 ulp, sums are as exact as NumPy's, and nothing warns of overflow or invalid values.
        Loops of eight steps or more on scalars and small arrays become native loops at the first call, and other long
        runs of operations on small arrays, such as loops over elements, tables that native code walks.
    threads : how many threads native loops over large arrays are split over, where the system has POSIX threads. The
        parts are fixed by shapes, so results do not depend on timing; a sum to one number has as many partial sums.
        What NumPy computes (products, FFTs, sorts) stays on the threads that its libraries take.

    Returns
    -------
    A function with the results of f, in arrays of their own. Under grad, jvp and all other transforms, and under trace,
    f itself runs, so it can be differentiated; to have the derivative flat, compile that: compile(grad(f)).

    Raises
    ------
    TypeError : f is no function; in a call, an argument that does not tell what it holds (an iterator, a file).
    ImportError : native=True, and llvmlite is not installed or not for this interpreter.
    ValueError : threads < 1; native that is not "auto", True or False.

    Source: Frostig, Johnson and Leary, "Compiling machine learning programs via high-level tracing" (SysML 2018), for
    tracing by the shapes and dtypes of arguments.

    >>> import numpy as np
    >>> from admodes import grad
    >>> fast = compile(grad(lambda x: np.sum(np.tanh(x) ** 2)))
    >>> fast(np.array([0.0, 1.0]))
    array([0.        , 0.63970001])
    """
    if not callable(f):
        raise TypeError(
            f"compile: f is a {type(f).__name__}, not a function; write compile(grad(f)), or @compile above one."
        )
    if not isinstance(native, bool) and native != "auto":
        raise ValueError(f'compile: native={native!r}: it is "auto", True or False.')
    if native is True:
        needed("compile")
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ValueError(f"compile: threads={threads!r}: the number of threads is an integer of at least 1.")
    kinds = Kinds(REASSOCIATING if reassociate else PASSES, native, threads)

    @functools.wraps(f)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        direct = kinds.direct
        if direct is not None and not kwargs:
            out = direct(*args)
            if out is not NotImplemented:
                return out
        for match, known in kinds.matchers:
            arrays = match(args, kwargs)
            if arrays is not None:
                try:
                    return known.taken[0](arrays)
                except GuardFailed:
                    return _other_branch(f, kinds, known, arrays, args, kwargs)
        return _by_key(f, kinds, args, kwargs)

    return compiled


def _by_key(f: Callable[..., Any], kinds: Kinds, args: Any, kwargs: dict[str, Any]) -> Any:
    """Arrays and floats alone, whose kind needs no flattening; else any arguments."""
    key: list[Any] = []
    for a in args:
        kind = type(a)
        if kind is np.ndarray:
            key.append(a.shape)
            key.append(a.dtype.char)
            if not a.flags.c_contiguous:
                key.append(layout(a))
        elif kind is float or kind is np.float64:
            key.append("d")
        else:
            return _general(f, kinds, args, kwargs)
    if kwargs or (len(args) > 1 and shared(args, kwargs)):
        return _general(f, kinds, args, kwargs)
    known = kinds.get(tuple(key))
    if known is None:
        return _general(f, kinds, args, kwargs, tuple(key))
    return _other_branch(f, kinds, known, args, args, kwargs)


def _general(f: Callable[..., Any], kinds: Kinds, args: Any, kwargs: dict[str, Any], key: Any = None) -> Any:
    """Trees, keywords, static leaves, and what was not met before: the kind of the arguments by their leaves."""
    leaves, structure = pytree.flatten((args, kwargs))
    if any(isinstance(x, Tracer) or highest(x) is not None for x in leaves):
        return f(*args, **kwargs)
    arrays = [as_input(x) for x in leaves if is_input(x)]
    try:
        found = [kind_of(x) for x in leaves]
    except Opaque as error:
        raise TypeError(f"compile: an argument of {_name(f)}: {error}") from None
    shapes = tuple((*kind[:2], layout(x)) for kind, x in zip(found, leaves, strict=True))
    family = structure, pytree.key_order((args, kwargs)), shapes
    if key is None or len(arrays) < len(leaves):
        key = (*family, tuple(kind[2:] for kind in found), shared(args, kwargs))
    known = kinds.get(key)
    if known is not None:
        return _other_branch(f, kinds, known, arrays, args, kwargs)
    if kinds.changes:
        return f(*args, **kwargs)
    if kinds.families.get(family, 0) >= TRACES:
        _warn_of_values(f, kinds)
        return f(*args, **kwargs)
    known = Kind(kinds.passes, kinds.native, kinds.threads)
    out = _other_branch(f, kinds, known, arrays, args, kwargs)
    if known.taken:
        match = matcher(args, kwargs)
        if match is not None:
            kinds.matchers = ((match, known), *kinds.matchers[: MATCHERS - 1])
        kinds[key] = known
        kinds.families[family] = kinds.families.get(family, 0) + 1
    return out


def kind_of(x: Any) -> tuple[Any, ...]:
    """Of a leaf that becomes an input the shape ("" of a number, which is no array without axes) and the dtype; of any
    other what it holds; raises `Opaque`."""
    if is_input(x):
        return np.shape(x) if is_memory(x) else "", np.result_type(x).char
    return "static", type(x), contents(x)


def _other_branch(f: Callable[..., Any], kinds: Kinds, kind: Kind, arrays: Any, args: Any, kwargs: Any) -> Any:
    """Try the traces there are; else trace once more."""
    found = kind.run(arrays)
    if found is not None:
        return found[1]
    if kinds.changes:
        return f(*args, **kwargs)
    if len(kind.taken) >= TRACES or kind.texts >= TEXTS:
        _warn_once(f, kind)
        return f(*args, **kwargs)
    captured = around(f)
    before = captured.contents()
    try:
        runner = recorded(f, args, kwargs, kind.passes, kind.native, kind.threads)
    except (Foreign, ChangesArgument) as error:  # f reads a value of a transform around it, or changes one
        captured.put_back(before)
        if isinstance(error, ChangesArgument):
            _warn_of_changes(f, kinds)
        return f(*args, **kwargs)
    kinds.put(runner)
    kind.add(runner)
    kind.texts += runner.writes
    try:
        return runner(arrays)
    except GuardFailed:  # rounding in the optimised code went across the edge of a branch
        return f(*args, **kwargs)


def _warn_once(f: Callable[..., Any], kind: Kind) -> None:
    if not kind.warned and kind.texts >= TEXTS:
        kind.warned = True
        warnings.warn(
            f"{_name(f)} was traced {TEXTS} times, each time with another text of a traced value (f'{{x:.3f}}', "
            "print(x)), which its program takes for granted; a call with a new text runs untraced from now on. Return "
            "the value, and print it outside of the compiled function.",
            stacklevel=4,
        )
    if not kind.warned:
        kind.warned = True
        warnings.warn(
            f"{_name(f)} was traced {TRACES} times for arguments of one kind, each time along other branches; a call "
            "that takes new ones runs untraced from now on. Write the branch with np.where, or do not compile it.",
            stacklevel=4,
        )


def _warn_of_values(f: Callable[..., Any], kinds: Kinds) -> None:
    if not kinds.warned:
        kinds.warned = True
        warnings.warn(
            f"{_name(f)} was traced {TRACES} times for other values of an argument that is no array (an int, a string, "
            "a slice), which is a constant of the program; a call with a new one runs untraced from now on. Pass a "
            "number that changes as a float or an array, np.asarray(k).",
            stacklevel=4,
        )


def _warn_of_changes(f: Callable[..., Any], kinds: Kinds) -> None:
    kinds.changes = True
    warnings.warn(
        f"{_name(f)} changes an argument (an array in place, or what a dict, a list or an object holds), and a program "
        "only returns results: what was not traced before runs untraced. Return the new value, or do not compile it.",
        stacklevel=6,
    )


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "the compiled function")
