"""The whole Jacobian: `jacobian`, by the way that counted work says is the cheapest, and its plan, which says why."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import pytree
from .bracketing import Bracketing
from .chain import JacobianChain
from .errors import PatternTooDense
from .executors import check_executor, jacobian_by
from .program import Cost, cost
from .tracing import Tracer
from .transforms import (
    Argnums,
    Recording,
    assemble,
    check_chunk,
    chosen_leaves,
    chunk_for,
    jacfwd,
    jacrev,
    push_forward,
    raveled,
    unit_directions,
    unraveled,
)

if TYPE_CHECKING:
    from .sparse.plan import Scheme

SPARSE = ("sparse", "mixed")
BRACKETING = "bracketing"  # of layers
MODES = ("auto", "forward", "reverse", *SPARSE)

# The cost model: seconds an operation takes to start, a flop, a byte.  Rough figures of one core of today; only their
# ratios matter, and only where two ways are close.
SECONDS_AN_OPERATION = 2e-6
SECONDS_A_FLOP = 1e-10
SECONDS_A_BYTE = 1e-10
# Finding the pattern traces f anew at every call, and walks over what it traced.
SECONDS_TO_DETECT = 1e-3
SECONDS_TO_DETECT_AN_OPERATION = 3e-4

# A layer on a tape of its own, and its part of the order.
PLANNING_SECONDS = 1e-4

# A pattern is looked for where so few rows and columns, drawn at random, are no denser than this in the middle.
SAMPLES = 5
DENSE = 0.25


class Work(NamedTuple):
    """Counted work."""

    flops: float
    bytes: float
    operations: float

    @property
    def seconds(self) -> float:
        """By the cost model."""
        return self.operations * SECONDS_AN_OPERATION + self.flops * SECONDS_A_FLOP + self.bytes * SECONDS_A_BYTE

    @classmethod
    def of(cls, counted: Cost) -> Work:
        return cls(counted.flops, counted.bytes, counted.operations)

    def plus(self, other: Work, times: float = 1) -> Work:
        return Work(*(a + times * b for a, b in zip(self, other, strict=True)))


NOTHING = Work(0, 0, 0)


@dataclass(frozen=True)
class Sweep:
    """The work of a sweep of k directions, a + k·b, from that of one and of two; n and m numbers go in and out."""

    fixed: Work
    each: Work
    width: int

    def __call__(self, k: int, chunk: int | None = None) -> Work:
        """The work of k directions, so many at once as the memory takes."""
        passes = -(-k // max(1, chunk or chunk_for(k, self.width)))
        return NOTHING.plus(self.fixed, passes).plus(self.each, k)

    @classmethod
    def counted(cls, one: Work, two: Work, width: int) -> Sweep:
        each = two.plus(one, -1)
        return cls(one.plus(each, -1), each, width)


@dataclass(frozen=True)
class Candidate:
    """One way to the Jacobian: how many directions it carries, and the work."""

    mode: str
    directions: int
    work: Work
    note: str = ""
    beforehand: float = 0.0  # seconds for finding the pattern

    @property
    def seconds(self) -> float:
        """Predicted by the cost model; only ratios are to be believed."""
        return self.work.seconds + self.beforehand

    def cells(self, best: float) -> tuple[str, ...]:
        """The row of the table."""
        numbers = (self.directions, self.work.flops, self.work.bytes, self.work.operations)
        return self.mode, *(f"{n:,.0f}" for n in numbers), f"{self.seconds / best:.3g}", self.note


@dataclass(frozen=True)
class JacobianPlan:
    """The candidates and the choice of `jacobian(f, mode="auto")`; printing it explains the choice."""

    shape: tuple[int, int]
    candidates: tuple[Candidate, ...]
    remarks: tuple[str, ...] = ()
    scheme: Scheme | None = None  # of the sparse or mixed candidate

    @property
    def best(self) -> Candidate:
        return min(self.candidates, key=lambda c: c.seconds)

    @property
    def choice(self) -> str:
        """The mode of the cheapest candidate."""
        return self.best.mode

    def __getitem__(self, mode: str) -> Candidate:
        """The candidate of a mode."""
        return next(c for c in self.candidates if c.mode == mode)

    def __str__(self) -> str:
        ranked = sorted(self.candidates, key=lambda c: c.seconds)
        best = ranked[0].seconds or 1.0
        head = ("mode", "directions", "flops", "bytes", "operations", "predicted cost", "")
        rows = [head, *(c.cells(best) for c in ranked)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
        m, n = self.shape
        ahead = f", {ranked[1].seconds / best:.3g} times cheaper than {ranked[1].mode}" if len(ranked) > 1 else ""
        lines = [_line(row, widths) for row in rows]
        return "\n".join([f"Jacobian of {m:,} × {n:,}", *lines, *self.remarks, f"choice: {self.choice}{ahead}"])

    __repr__ = __str__


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """A row of the table: words to the left, numbers to the right."""
    first, *numbers, note = row
    cells = [first.ljust(widths[0]), *(x.rjust(w) for x, w in zip(numbers, widths[1:-1], strict=True)), note]
    return "  ".join(cells).rstrip()


# ---------------------------------------------------------------------------------------------------
# The function
# ---------------------------------------------------------------------------------------------------


def jacobian(
    f: Callable[..., Any] | Sequence[Callable[..., Any]],
    argnums: Argnums = 0,
    mode: str = "auto",
    chunk: int | None = None,
    holomorphic: bool = False,
    executor: Executor | None = None,
) -> Jacobian:
    """The Jacobian of f, by forward mode, reverse mode, colouring, or the one that costs least.

    Parameters
    ----------
    f : a function; or a list of layers, the first applied first, each of one array to one array: their composition.
    mode : "forward" (`jacfwd`); "reverse" (`jacrev`);
        "sparse": the pattern is found and coloured, columns (rows) of one colour are pushed (pulled) together;
        "mixed": some rows are pulled and some columns pushed;
        "auto": the work of one and of two directions is counted in both modes on the first call for each set of shapes
        and dtypes, and extrapolated; where that is much and sampled columns are sparse, the pattern is found and
        coloured; of layers, the cheapest bracketing of their Jacobians is weighed too ("bracketing", see
        `JacobianChain`). What is learnt is kept for the next call. `jacobian(f).plan(x)` prints the candidates and
        the choice.
    chunk : how many directions at once, for the dense modes; None bounds the memory.
    executor : a `concurrent.futures.Executor` (process pool, Dask, MPI) whose workers take the chunks of directions of
        the dense modes; f must then be a function that can be pickled.

    Returns
    -------
    A function of f's arguments. For x of shape s and a result of shape r it returns an array of shape (*r, *s); for
    mode="sparse" or "mixed" a scipy.sparse.csr_array of shape (size of the result, size of the arguments).
    "sparse" and "mixed" find the pattern at every call, since f may read what has changed, and keep the colouring;
    `sparse_jacobian_plan` finds both once.

    Raises
    ------
    ValueError : an unknown mode, chunk < 1; chunk, executor or holomorphic where a sparse mode cannot use them.
    TypeError : an integer array to differentiate by; an executor that is none. WorkerLost : a worker's process ended.

    >>> import numpy as np
    >>> jacobian(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    >>> jacobian(lambda x: x[1:] * x[:-1], mode="sparse")(np.arange(3.0)).toarray()
    array([[1., 0., 0.],
           [0., 2., 1.]])
    """
    return Jacobian(f, argnums, mode, chunk, holomorphic, executor)


class Jacobian:
    """What `jacobian` returns: call it with the arguments of f, or ask for its plan."""

    def __init__(
        self,
        f: Callable[..., Any] | Sequence[Callable[..., Any]],
        argnums: Argnums,
        mode: str,
        chunk: int | None,
        holomorphic: bool,
        executor: Executor | None,
    ) -> None:
        self.layers = tuple(f) if isinstance(f, Sequence) else ()
        f = _composed(f) if isinstance(f, Sequence) else f
        modes = (*MODES, BRACKETING) if self.layers else MODES
        if mode not in modes:
            raise ValueError(f"jacobian: mode={mode!r} is not one of {', '.join(map(repr, modes))}")
        check_chunk(chunk)
        if executor is not None:
            check_executor(executor)
        functools.update_wrapper(self, f)
        self.f, self.argnums, self.mode = f, argnums, mode
        self.chunk, self.holomorphic, self.executor = chunk, holomorphic, executor
        for name, value in (("chunk", chunk), ("executor", executor), ("holomorphic", holomorphic or None)):
            if value is not None and mode in SPARSE:
                raise ValueError(f"jacobian: {name}= is for the dense modes; mode={mode!r} makes few passes at once.")
        self._learnt: dict[Any, str] = {}
        self._schemes: dict[Any, Scheme] = {}
        self._bracketings: dict[Any, Bracketing] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = self.mode if self.mode != "auto" else self._choice(args, kwargs)
        if mode == BRACKETING:
            return self._bracketed(*args)
        if mode not in SPARSE:
            return self._dense(mode, args, kwargs)
        matrix = self._sparse(mode, args, kwargs)
        return matrix if self.mode != "auto" else self._unfolded(matrix, args, kwargs)

    def plan(self, *args: Any, **kwargs: Any) -> JacobianPlan:
        """The candidates at these arguments, their counted work, and the choice of mode="auto".

        >>> import numpy as np
        >>> W = np.ones((2, 300))
        >>> jacobian(lambda x: np.tanh(W @ x)).plan(np.ones(300)).choice
        'reverse'
        """
        found = predict(self.f, self.argnums, args, kwargs, self.chunk, self.holomorphic, self.executor is None)
        if self.layers and not kwargs and self.executor is None:
            chain = JacobianChain(self.layers, *args)
            self._bracketings[_shapes(args)] = chain.bracketing()
            found = replace(found, candidates=(*found.candidates, _bracketing(chain, self._bracketings[_shapes(args)])))
        if found.scheme is not None and found.choice in SPARSE:
            self._schemes[found.choice, _shapes(args)] = found.scheme
        self._learnt[_shapes(args)] = found.choice
        return found

    def __repr__(self) -> str:
        return f"<Jacobian of {getattr(self.f, '__name__', self.f)}, mode={self.mode!r}>"

    def _choice(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        key = _shapes(args)
        if key not in self._learnt:
            self.plan(*args, **kwargs)
        return self._learnt[key]

    def _bracketed(self, x: Any) -> Any:
        chain = JacobianChain(self.layers, x)
        order = self._bracketings.setdefault(_shapes((x,)), chain.bracketing())
        return chain.jacobian(order)

    def _dense(self, mode: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.executor is None:
            way = jacfwd if mode == "forward" else jacrev
            return way(self.f, self.argnums, self.chunk, self.holomorphic)(*args, **kwargs)
        return jacobian_by(self.executor, self.f, self.argnums, (mode,), self.chunk, self.holomorphic, args, kwargs)

    def _sparse(self, mode: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from .sparse.plan import sparse_matrix

        f = functools.partial(self.f, **kwargs) if kwargs else self.f
        key = (mode, _shapes(args))
        matrix, self._schemes[key] = sparse_matrix(f, self.argnums, args, mode, self._schemes.get(key))
        return matrix

    def _unfolded(self, matrix: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The blocks (*r, *s) of a sparse matrix, checked by a product, since no one asked for colouring."""
        from .sparse.plan import check_by_probe

        check_by_probe(functools.partial(self.f, **kwargs), self.argnums, args, matrix)
        function, leaves, structure = chosen_leaves(self.f, self.argnums, args, kwargs)
        results, out_structure = pytree.flatten(function(*pytree.unflatten(structure, leaves)))
        blocks = split_matrix(matrix.toarray(), [np.shape(y) for y in results], leaves)
        return assemble(blocks, structure, out_structure, self.argnums)


def _composed(layers: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """The layers as one function, the first applied first."""
    if not layers or not all(map(callable, layers)):
        raise TypeError("jacobian: a list must hold layers, functions of one array, at least one.")

    def composition(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return composition


def split_matrix(matrix: Any, shapes: list[tuple[int, ...]], leaves: list[Any]) -> list[list[Any]]:
    """A matrix (m, n) as blocks (*r, *s), one for each leaf of the result and of the arguments."""
    rows = np.split(matrix, np.cumsum([math.prod(r) for r in shapes])[:-1])
    columns = np.cumsum([int(x.size) for x in leaves])[:-1]
    return [
        [np.reshape(part, (*r, *x.shape)) for part, x in zip(np.split(row, columns, axis=1), leaves, strict=True)]
        for row, r in zip(rows, shapes, strict=True)
    ]


def _shapes(args: tuple[Any, ...]) -> Any:
    """What the choice depends on."""
    return tuple((np.shape(x), getattr(x, "dtype", None)) for x in pytree.flatten(args)[0])


# ---------------------------------------------------------------------------------------------------
# The prediction
# ---------------------------------------------------------------------------------------------------


def predict(
    f: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chunk: int | None = None,
    holomorphic: bool = False,
    sparse: bool = True,
) -> JacobianPlan:
    """The counted work of the full Jacobian by each mode; sparse: by colouring too, where that may pay."""
    function, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    counts = Counts(function, structure, leaves)
    (m, n), complex_in = counts.shape, any(x.dtype.kind == "c" for x in leaves)
    forward = Candidate("forward", n, counts.push(n, chunk))
    reverse = Candidate("reverse", m, counts.tape.plus(counts.pull(m, chunk)))
    if complex_in and not holomorphic:
        return JacobianPlan(counts.shape, (reverse,), ("real results of complex arguments: reverse mode alone",))
    if counts.complex_result and not complex_in:
        return JacobianPlan(counts.shape, (forward,), ("complex results of real arguments: forward mode alone",))
    dense = (forward, reverse)
    if not sparse or complex_in or any(isinstance(x, Tracer) for x in pytree.flatten((args, kwargs))[0]):
        return JacobianPlan(counts.shape, dense)
    return _with_colouring(counts, dense, functools.partial(f, **kwargs), argnums, args)


class Counts:
    """The counted work of one and of two directions in both modes, from which that of any number follows."""

    def __init__(self, f: Any, structure: Any, leaves: list[Any]) -> None:
        self.f, self.structure, self.leaves = f, structure, leaves
        self.results: list[Any] = []
        n = sum(int(x.size) for x in leaves)
        push_one, push_two = self._forward(1), self._forward(2)
        m = sum(y.size for y in self.results)
        self.shape, self.complex_result = (m, n), any(y.dtype.kind == "c" for y in self.results)
        self.tape = self._reverse(0)
        width = max(n, m, 1)
        self.push = Sweep.counted(push_one, push_two, width)
        pull_one, pull_two = (self._reverse(k).plus(self.tape, -1) for k in (1, 2))
        self.pull = Sweep.counted(pull_one, pull_two, width)

    def _forward(self, k: int) -> Work:
        def run(xs: list[Any], ts: list[Any]) -> None:
            found = push_forward(self.f, self.structure, xs, ts, (k,))[0]
            self.results[:] = [np.zeros(np.shape(y), np.result_type(y)) for y in found]

        return Work.of(cost(run, self.leaves, _directions(self.leaves, k)))

    def _reverse(self, k: int) -> Work:
        def run(xs: list[Any], us: list[Any]) -> None:
            recording = Recording(self.f, pytree.unflatten(self.structure, xs))
            if k:
                recording.pull(us, (k,))

        return Work.of(cost(run, self.leaves, _directions(self.results, k)))


def _directions(leaves: list[Any], k: int) -> list[Any]:
    """k directions; work depends on their shape alone."""
    return [np.broadcast_to(d[:1], (k, *d.shape[1:])).copy() for d in unit_directions(leaves, 0, 1)]


def _with_colouring(
    counts: Counts, dense: tuple[Candidate, ...], f: Any, argnums: Argnums, args: tuple[Any, ...]
) -> JacobianPlan:
    """The plan with coloured candidates, where finding the pattern costs less than the cheaper dense mode."""
    beforehand = counts.tape.operations * SECONDS_TO_DETECT_AN_OPERATION + SECONDS_TO_DETECT
    if beforehand >= min(c.seconds for c in dense):
        return JacobianPlan(counts.shape, dense, ("sparse: not looked for; finding a pattern would cost more",))
    density = _sampled_density(counts)
    if density > DENSE:
        remark = f"sparse: not looked for; sampled rows and columns are {density:.0%} nonzero"
        return JacobianPlan(counts.shape, dense, (remark,))
    from .sparse.pattern import jacobian_pattern
    from .sparse.plan import jacobian_scheme

    try:
        pattern = jacobian_pattern(f, *args, argnums=argnums)
    except PatternTooDense as error:
        return JacobianPlan(counts.shape, dense, (f"sparse: {error}",))
    found = {mode: jacobian_scheme(pattern, mode) for mode in SPARSE}
    coloured = [_coloured(counts, mode, scheme, beforehand) for mode, scheme in found.items()]
    plan = JacobianPlan(counts.shape, (*dense, *coloured), (f"pattern: {pattern.nnz:,} entries",))
    return replace(plan, scheme=found.get(plan.choice))


def _coloured(counts: Counts, mode: str, scheme: Scheme, beforehand: float) -> Candidate:
    """The work of a coloured Jacobian, unfolded into an array."""
    pushes, pulls = scheme.pushes, scheme.pulls
    work = Work(0, math.prod(counts.shape) * 8, 1).plus(counts.push(pushes)).plus(counts.pull(pulls))
    note = " and ".join(_several(k, word) for k, word in ((pushes, "push"), (pulls, "pull")) if k)
    return Candidate(mode, scheme.passes, work.plus(counts.tape, times=bool(pulls)), note, beforehand)


def _several(k: int, word: str) -> str:
    return f"1 {word}" if k == 1 else f"{k:,} {word}{'es' if word == 'push' else 's'}"


def _bracketing(chain: JacobianChain, order: Bracketing) -> Candidate:
    """The work of the cheapest order of a chain, as carried out."""
    counted = Work.of(chain.counted(order))
    return Candidate(BRACKETING, 0, counted, f"{order.cost:,} multiply-adds", PLANNING_SECONDS * len(chain))


def _sampled_density(counts: Counts) -> float:
    """The share of nonzeros in a middling row or column, the sparser kind of the two, from a few of each."""
    rng = np.random.default_rng(0)
    recording = Recording(counts.f, pytree.unflatten(counts.structure, counts.leaves))
    columns = recording.push(_sampled(counts.leaves, rng), (SAMPLES,))
    rows = recording.pull(_sampled(recording.values, rng), (SAMPLES,))
    return min(float(np.median(np.mean(raveled(found, SAMPLES) != 0, axis=1))) for found in (columns, rows))


def _sampled(leaves: list[Any], rng: np.random.Generator) -> list[Any]:
    """Unit directions of a few places, drawn at random."""
    n = sum(int(x.size) for x in leaves)
    seeds = np.zeros((SAMPLES, n))
    seeds[np.arange(SAMPLES), rng.integers(n, size=SAMPLES)] = 1
    return unraveled(seeds, leaves)
