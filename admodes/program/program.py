"""`trace`: a function, or any derivative of one, as straight-line code; `cost`: what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import pytree
from ..core.contents import CONSTANTS, duplicates
from ..core.creation import run
from ..core.dispatch import is_memory
from ..core.figures import svg
from ..core.tables import Column, Record, Table, Tabular, whole
from ..core.tracing import Tracer
from ..core.views import arguments, ground
from .captured import captured_by
from .code.emit import Code, emit, listed, listing
from .cost import Cost, cost_of, work
from .elsewhere import function_on
from .naming import NamingRecorder
from .native.calls import needed
from .native.group import kernels
from .primitives import KERNELS
from .recording import ChangesArgument, Recorder, Symbol, uncollected
from .show.draw import draw, to_dot
from .straightline import StraightLine, as_input, is_input, key_of, layout, shared

_COLUMNS = (
    Column("part", side="<"),
    Column("result", side="<"),
    Column("kind", side="<"),
    Column("operation", side="<"),
    Column("code", side="<"),
    Column("flops", whole),
    Column("bytes", whole),
)

MOST_DRAWN = 60  # instructions, unasked


@dataclass(frozen=True, repr=False)
class Program(Tabular, StraightLine):
    """Straight-line code: what one run of a function did, instruction by instruction. Made by `trace`.

    `print(program)` lists the instructions with shapes, `program.source` is flat Python that runs, `program(*args)`
    runs it, `program.cost` counts it, `program.to_dot()` and `program.draw()` show the graph, `program.native` is
    the code of its native kernels. len(program) is the
    number of instructions.

    name : of the function.
    inputs : a `Value` (shape, dtype, name) for each array or float among the arguments, in order.
    instructions : in the order in which they are carried out; each says its operation, arguments and result.
    outputs : the leaves of the result: values, or constants.
    numbers : which of them are scalars of NumPy, where arrays have no axes.
    in_structure, out_structure : the trees of the arguments and of the result, of optree.
    static : the leaves of the arguments that are no arrays, part of the program; None where there is an input.
    layouts : the orders in memory of the inputs, where f may see them (a view that is written to, .flags), else None.
    held : the keys of what these leaves held when f was traced, by which another one, or a changed one, is told.
    captured : what constant arrays are called in f, by their ids.
    workspace : buffers that a call brings with it, where a pass has planned to use memory again.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), section 2.2, the evaluation procedure;
    Galasso, "Neural Networks and Backpropagation" (2023), "flat code".

    >>> from admodes import trace
    >>> program = trace(lambda x, y: (x + y) * y, 3.0, 4.0)
    >>> len(program), program(1.0, 2.0)
    (2, np.float64(6.0))
    >>> print(program.source[program.source.index("def") :].strip())
    def f(x, y):
        t0 = x + y
        t1 = t0 * y
        return t1,
    """

    def __call__(self, *args: Any) -> Any:
        """Run on arguments of the shapes, dtypes and structure it was traced for.

        Raises
        ------
        TypeError : arguments of another structure, shape or dtype.
        GuardFailed : a branch on a value goes another way than when it was traced.
        """
        space = [np.empty(v.shape, v.dtype) for v in self.workspace]
        return pytree.unflatten(self.out_structure, list(self.flat(*self.checked(args), *space)))

    @cached_property
    def _code(self) -> Code:
        return emit(self)

    @property
    def flat(self) -> Callable[..., Any]:
        """The flat code as a function of the input arrays, returning a tuple of outputs."""
        return self._code.function

    def function(self, xp: Any) -> Callable[..., Any]:
        """The program as a function on the arrays of another namespace, where it may be compiled, sharded or on a GPU.

        Parameters
        ----------
        xp : a namespace with NumPy's names: `jax.numpy`, `cupy`, array-api-compat's `torch`.

        Returns
        -------
        A function of what the program was traced for, of arrays of xp, to arrays of xp: jax.jit(program.function(jnp)).
        Constants of the program go over once, at the first call that needs them. Where a branch goes another way than
        when it was traced it raises `GuardFailed`; under a compiler, where that cannot be known, results are then nan.

        Raises
        ------
        NotImplementedError : an operation, by name, that has no counterpart in xp.
        TypeError : in a call, arguments of another structure or shape.

        Source: "Python array API standard", Consortium for Python Data API Standards, v2023.12.

        >>> import numpy as np
        >>> from admodes import grad, trace
        >>> trace(grad(lambda x: np.sum(np.sin(x))), np.zeros(2)).function(np)(np.array([0.0, np.pi]))
        array([ 1., -1.])
        """
        return function_on(self, xp)

    @property
    def source(self) -> str:
        """The flat code: runnable Python, forward part first, backward part after its comment."""
        return self._code.source

    @property
    def namespace(self) -> dict[str, Any]:
        """What the source needs beside NumPy: large constants and the few helpers that NumPy lacks."""
        return self._code.namespace

    @cached_property
    def native(self) -> str:
        """The code of its native kernels as LLVM has it: of those that `compile(f, native=True)` would make of it.

        Raises
        ------
        ImportError : llvmlite is not installed, or not for this interpreter.
        """
        needed("Program.native")
        program = self if any(i.op in KERNELS for i in self.instructions) else kernels(self)
        return "\n".join(KERNELS[i.op].ir for i in program.instructions if i.op in KERNELS)

    @cached_property
    def cost(self) -> Cost:
        """Flops, multiply-adds, bytes, peak bytes and operations, exact, from shapes alone."""
        return cost_of(self)

    def text(self) -> str:
        """One line an instruction."""
        return listing(self)

    def table(self) -> Table:
        """A row an instruction: the name of its result, its dtype and shape, how it is computed, and its work."""
        records: list[Record] = []
        for instruction, row in listed(self)[1]:
            if not isinstance(row, str):
                flops, _, moved = work(instruction)
                name, kind, code = row
                part = "backward" if instruction.backward else "forward"
                records.append(
                    {"part": part, "result": name, "kind": kind, "operation": instruction.op.name,
                     "code": code.removeprefix("= "), "flops": flops, "bytes": moved}
                )  # fmt: skip
        return Table(_COLUMNS, records, f"{self.name}: {len(self):,} instructions")

    def picture(self) -> str:
        """The graph, as far as it can be looked at."""
        return svg(self.draw()) if 0 < len(self) <= MOST_DRAWN else ""

    def __len__(self) -> int:
        return len(self.instructions)

    def to_dot(self) -> str:
        """The graph in the DOT language of Graphviz: values as edges, operations as nodes."""
        return to_dot(self)

    def draw(self, *args: Any, path: Any = None) -> Any:
        """Draw the graph with matplotlib.

        Parameters
        ----------
        *args : arguments to run it on: wires then carry values, and of a gradient the forward part is drawn with the
            gradients below the values. Without them the whole graph is drawn, and wires carry shapes.
        path : where to save the picture; its suffix says how (.svg, .png, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError : more than 500 nodes.  TypeError : arguments of another shape than it was traced for.
        """
        return draw(self, *args, path=path)


def trace(f: Callable[..., Any], *args: Any) -> Program:
    """Run f once and write down what it does, as a `Program`.

    Parameters
    ----------
    f : a function in plain NumPy, or any derivative of one: grad(f), jacfwd(f), hessian(f), …
    *args : its arguments; float, integer and boolean arrays and Python floats become inputs of the program, all other
        leaves (ints, strings) are part of it.

    Returns
    -------
    Program : print it, run it, count it (`.cost`), read its `.source`.

    Raises
    ------
    Detached : f takes the plain value of a traced one (`float(x)`), or uses a traced value of a transform around it.
    TypeError : f returns what is no array or tree of arrays.

    A branch on a traced value (`if x > 0`) is followed, and a guard keeps what was assumed: see `GuardFailed`.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "flat code"; Murphy, "Probabilistic Machine Learning:
    An Introduction" (2022), section 13.3.4: the static graph beside the one built on the fly.

    >>> import numpy as np
    >>> from admodes import grad
    >>> program = trace(grad(lambda x, y: (x + y) * x), 3.0, 4.0)
    >>> float(program(3.0, 4.0))
    10.0
    """
    made: list[NamingRecorder] = []

    def recorder(*settings: Any) -> NamingRecorder:
        made.append(NamingRecorder(*settings))
        return made[-1]

    program = record(f, args, {}, recorder=recorder)
    made[-1].results(program.outputs)
    return program


def record(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    strict: bool = True,
    pure: bool = False,
    recorder: Callable[..., Recorder] = Recorder,
) -> Program:
    """`trace`, with keyword arguments too: the structure of the inputs is then that of (args, kwargs).

    Not strict: traced values of transforms around, as arguments or in closures, count as the plain values they have.
    pure: raise `ChangesArgument` where f changes one in place.
    recorder: what makes the recorder of a run, for one that notes more than the program.
    """
    return run(f, _record, f, args, kwargs, strict, pure, recorder)


def _record(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    strict: bool,
    pure: bool,
    made: Callable[..., Recorder],
) -> Program:
    leaves, in_structure = pytree.flatten((args, kwargs) if kwargs else args)
    leaves = leaves if strict else [ground(x) for x in leaves]
    recorder = made(strict, captured_by(f))
    symbols = [
        recorder.input(as_input(x), name) if is_input(x) else x
        for x, name in zip(leaves, _names(f, args, kwargs), strict=True)
    ]
    inputs = tuple(s.node for s in symbols if isinstance(s, Symbol) and s.transform is recorder)
    held = [key_of(x) for x in leaves if not is_input(x)]
    given = pytree.unflatten(in_structure, arguments(_lent(symbols) if pure else symbols, leaves))
    if pure and shared(args, kwargs):
        given = _as_shared(given, args, kwargs)
    passed, order = pytree.flatten(given)[0], pytree.key_order(given)
    try:
        with uncollected():
            result = f(*given[0], **given[1]) if kwargs else f(*given)
        if pure:
            after, structure = pytree.flatten(given)
            same = structure == in_structure and pytree.key_order(given) == order and len(after) == len(passed)
            if not same or any(x is not y for x, y in zip(after, passed, strict=True)):
                raise ChangesArgument
            if inputs != tuple(s.node for s in symbols if isinstance(s, Tracer)):
                raise ChangesArgument
            if held != [key_of(x) for x in passed if not isinstance(x, Tracer)]:
                raise ChangesArgument
        out, out_structure = pytree.flatten(result)
        numbers = tuple(not is_memory(ground(y)) for y in out)
        out = [recorder.node(pytree.result(y, "the result")) for y in out]
    finally:
        recorder.closed = True
    return Program(
        name=getattr(f, "__name__", "f"),
        inputs=inputs,
        instructions=tuple(recorder.instructions),
        outputs=tuple(out),
        numbers=numbers,
        in_structure=in_structure,
        static=tuple(None if is_input(x) else x for x in leaves),
        held=tuple(held),
        out_structure=out_structure,
        captured=recorder.captured,
        layouts=tuple(layout(as_input(x)) for x in leaves if is_input(x)) if recorder.seen else None,
    )


def _as_shared(given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Symbols for arguments, one symbol for those that are one array."""
    symbols: dict[int, Any] = {}

    def one(x: Any, a: Any) -> Any:
        return symbols.setdefault(id(a), x) if type(a) is np.ndarray else x

    positional = tuple(map(one, given[0] if kwargs else given, args))
    return (positional, {k: one(x, kwargs[k]) for k, x in given[1].items()}) if kwargs else positional


def _lent(leaves: list[Any]) -> list[Any]:
    """The leaves, with copies of those that f may change: where it does, it runs again, on what the caller has."""
    places = [i for i, x in enumerate(leaves) if not isinstance(x, Tracer) and type(x) not in CONSTANTS]
    copies = dict(zip(places, duplicates([leaves[i] for i in places]) if places else [], strict=True))
    return [copies.get(i, x) for i, x in enumerate(leaves)]


def cost(f: Callable[..., Any], *args: Any) -> Cost:
    """The exact cost of f(*args): counted from shapes, without a clock, the same on every machine.

    Parameters
    ----------
    f : a function in plain NumPy, or any derivative of one: cost(grad(f), x).
    *args : its arguments; f is traced on them, so what is counted is what it does, not what an optimised program would
        (that is `optimise(trace(f, *args)).cost`, from `admodes.program.passes`).

    Returns
    -------
    Cost : flops, multiply-adds, bytes moved, peak bytes and operations, in total and by operation; print it.

    Raises
    ------
    Detached, TypeError : as `trace`.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapter 4, "Memory issues and complexity
    bounds": a count for each kind of operation, arithmetic and moves.

    >>> import numpy as np
    >>> cost(lambda A, x: A @ x, np.ones((3, 4)), np.ones(4)).flops
    24.0
    """
    return record(f, args, {}, strict=False).cost


def _names(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """A name for every leaf of the arguments: the parameter's, with the key or place behind it."""
    try:
        parameters = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (0, 1)]
    except (TypeError, ValueError):  # builtins and ufuncs tell no signature
        parameters = []
    names = []
    given = [(parameters[i] if i < len(parameters) else f"x{i}", arg) for i, arg in enumerate(args)]
    for base, arg in [*given, *sorted(kwargs.items())]:  # a tree has the leaves of a dict in the order of its keys
        count = len(pytree.flatten((arg,))[0])
        names += [base] if count == 1 else [f"{base}_{k}" for k in pytree.labels(arg)]
    return _distinct(names)


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out
