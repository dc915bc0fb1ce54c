"""Jacobians and Hessians by many workers: chunks of unit directions as tasks of any `concurrent.futures.Executor`.

Row or column i of J needs one direction and none of the others, so that the chunks are independent.  A task is
(`push_chunk` or `pull_chunk`, job, first direction, how many): it travels by pickle, and the worker builds the
transforms, which are closures, itself.  What a worker holds is bounded by its chunk, and in reverse by one tape.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import os
import pickle
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core import pytree
from ..core.errors import WorkerLost, revived
from ..core.tracing import Tracer
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.dense import assemble, complex_checked, jacfwd, jacrev
from ..transforms.directions import check_chunk, chunk_for, joined, private, split_columns, unit_directions
from ..transforms.recording import Recording, push_forward

FUNCTIONS = {"forward": jacfwd, "reverse": jacrev}

# Without `chunk` there are at least so many chunks a worker: one that is slow, or starts late, then delays few.
CHUNKS_A_WORKER = 2

# At most so many tasks a worker are submitted and not yet taken back: one to work on, one to go on with.
TASKS_A_WORKER = 2


def jacobian_by(
    executor: Executor,
    f: Callable[..., Any],
    argnums: Argnums,
    nesting: Sequence[str],
    chunk: int | None,
    holomorphic: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    inner_chunk: int | None = None,
) -> Any:
    """The Jacobian of f at args, or of its Jacobian, by the workers of an executor.

    Parameters
    ----------
    executor : a `concurrent.futures.Executor`: a thread or process pool, `distributed.Client(...).get_executor()`,
        `mpi4py.futures.MPIPoolExecutor`.
    nesting : ("forward",) or ("reverse",) for the Jacobian; two modes, the outer first, for the Hessian.
    chunk : how many directions of the outer mode a task takes; None bounds the memory of a task as `jacfwd` and
        `jacrev` do, and makes at least `CHUNKS_A_WORKER` tasks a worker. How many workers there are is asked of Dask
        and of mpi4py; of other executors it is taken to be the number of this machine's cores.
    inner_chunk : the chunk of the inner mode of a Hessian, which each task carries out in full.

    Returns
    -------
    What jacfwd or jacrev(f, argnums, chunk)(*args, **kwargs) returns, nested as `nesting` says: to the last bit the
    same where the chunk is the same.

    Raises
    ------
    TypeError : the executor is none; f, its arguments or its result cannot be sent to another process; an argument
        is a traced value.
    WorkerLost : a worker's process ended. (Dask tries a task on other workers first; where none is left and none is
        started again, it waits for one as long as its setting distributed.scheduler.no-workers-timeout says.)
    Whatever f raises, with a note that says in which chunk. The tasks not begun are then cancelled.

    f runs once more than there are chunks, to learn the shape of its result; in reverse once a worker, or little more.

    >>> import numpy as np
    >>> with concurrent.futures.ThreadPoolExecutor(2) as pool:
    ...     jacobian_by(pool, np.sin, 0, ("forward",), 1, False, (np.zeros(2),), {})
    array([[1., 0.],
           [0., 1.]])
    """
    check_executor(executor)
    check_chunk(chunk)
    _, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    _refuse_traced(args, kwargs)
    job = Job(f, argnums, tuple(nesting), holomorphic, args, kwargs, inner_chunk)
    try:
        (described,) = in_order(executor, describe, [(job,)], "the first run, for the shape of the result".format)
        _, out_structure = pytree.flatten(described.tree)
        ends = leaves if job.forward else described.outputs  # what the directions belong to
        total = sum(int(x.size) for x in ends)
        step = chunk or chunk_by(total, job.width(leaves, described.outputs), workers(executor))
        ranges = [(first, min(step, total - first)) for first in range(0, total, step)] or [(0, 0)]
        parts = in_order(executor, take_chunk, [(job, *r) for r in ranges], _Names(ranges, total))
    finally:
        forget(job.token)
    directions = joined(parts)
    if job.forward:
        split = [split_columns(t, y.shape, leaves) for t, y in zip(directions, described.outputs, strict=True)]
    else:
        split = split_rows(directions, [y.shape for y in described.outputs], leaves)
    blocks = iter(private([block for row in split for block in row]))
    return assemble([list(itertools.islice(blocks, len(leaves))) for _ in split], structure, out_structure, argnums)


def chunk_by(total: int, width: int, count: int) -> int:
    """How many directions a task takes: within the bound of memory, and enough tasks for so many workers."""
    return min(chunk_for(total, width), max(1, -(-total // (CHUNKS_A_WORKER * count))))


def split_rows(cotangents: Sequence[Any], shapes: Sequence[tuple[int, ...]], leaves: Sequence[Any]) -> list[list[Any]]:
    """Cotangents (m, *x.shape) of all unit directions as one row of blocks (*shape, *x.shape) a result leaf."""
    rows, start = [], 0
    for shape in shapes:
        stop = start + int(np.prod(shape))
        rows.append([np.reshape(u[start:stop], shape + x.shape) for u, x in zip(cotangents, leaves, strict=True)])
        start = stop
    return rows


def _refuse_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if any(isinstance(x, Tracer) for x in pytree.flatten([list(args), kwargs])[0]):
        raise _traced("an argument")


def _traced(what: str) -> TypeError:
    return TypeError(
        f"executor=: {what} is a traced value of a transform around this one (grad, jvp, trace, compile …), "
        "which cannot be followed into other workers. Leave executor= to the outermost transform."
    )


@dataclass(frozen=True)
class _Names:
    """What to call chunk i in an error."""

    ranges: Sequence[tuple[int, int]]
    total: int

    def __call__(self, i: int) -> str:
        first, k = self.ranges[i]
        return f"chunk {i + 1} of {len(self.ranges)} (directions {first}:{first + k} of {self.total})"


# ---------------------------------------------------------------------------------------------------
# What a worker does
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What to differentiate, and how: all that a worker must know."""

    f: Callable[..., Any]
    argnums: Argnums
    nesting: tuple[str, ...]
    holomorphic: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inner_chunk: int | None = None
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def forward(self) -> bool:
        return self.nesting[0] == "forward"

    def built(self) -> tuple[Callable[..., Any], list[Any], Any]:
        """The function under the outer mode, with the leaves of its arguments and their structure."""
        function = self.f
        for mode in reversed(self.nesting[1:]):
            function = FUNCTIONS[mode](function, self.argnums, self.inner_chunk, self.holomorphic)
        function, leaves, structure = chosen_leaves(function, self.argnums, self.args, self.kwargs)
        if self.holomorphic or any(x.dtype.kind == "c" for x in leaves):
            function = complex_checked(function, leaves, self.holomorphic, self.forward)
        return function, leaves, structure

    def width(self, leaves: Sequence[Any], outputs: Sequence[Any]) -> int:
        """The numbers of the largest array that is known, for one direction of the outer mode."""
        n = sum(int(x.size) for x in leaves)
        wide = max([n, *(int(y.size) for y in outputs)])
        if "forward" in self.nesting[1:]:  # the inner tangents, each with its own tangent
            wide = max(wide, n * (self.inner_chunk or chunk_for(n, n)))
        return wide


@dataclass(frozen=True)
class Leaf:
    """An array's shape and dtype without its values."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Described:
    """The result of the function under the outer mode: its leaves, and its tree with numbers in their place."""

    outputs: list[Leaf]
    tree: Any


def describe(job: Job) -> Described:
    """The shape of the result, from a run with one direction; in reverse the run is the recording that is needed."""
    if job.forward:
        function, leaves, structure = job.built()
        k = min(1, sum(int(x.size) for x in leaves))
        values, out_structure, _ = push_forward(function, structure, leaves, unit_directions(leaves, 0, k), (k,))
    else:
        recording = taped(job)
        values, out_structure = recording.values, recording.out_structure
    if any(isinstance(y, Tracer) for y in values):
        raise _traced("the function uses, from outside, what")
    outputs = [Leaf(np.shape(y), np.result_type(y)) for y in values]
    return Described(outputs, pytree.unflatten(out_structure, list(range(len(outputs)))))


def take_chunk(job: Job, first: int, k: int) -> list[Any]:
    """k directions from `first` on: their tangents, one array a result leaf, or cotangents, one an argument leaf."""
    if job.forward:
        function, leaves, structure = job.built()
        return push_forward(function, structure, leaves, unit_directions(leaves, first, k), (k,))[2]
    recording = taped(job)
    return recording.pull(unit_directions(recording.values, first, k), (k,))


# The last recording of this process: the chunks of one job that come to one worker share it.
_last: tuple[str, Recording | None] = ("", None)


def taped(job: Job) -> Recording:
    """The tape of a job: recorded once a process, while no other job comes between."""
    global _last
    token, recording = _last
    if token != job.token or recording is None:
        function, leaves, structure = job.built()
        recording = Recording(function, pytree.unflatten(structure, leaves))
        recording.require_rows()
        _last = (job.token, recording)
    return recording


def forget(token: str) -> None:
    """Let go of a job's recording in this process, where threads have made one."""
    global _last
    if _last[0] == token:
        _last = ("", None)


# ---------------------------------------------------------------------------------------------------
# Tasks on an executor
# ---------------------------------------------------------------------------------------------------


def in_order(
    executor: Executor, function: Callable[..., Any], items: Sequence[tuple[Any, ...]], name: Callable[[int], str]
) -> list[Any]:
    """function(*item) of every item, by an executor; the errors are those of `completed`."""
    found = dict(completed(executor, function, items, name))
    return [found[i] for i in range(len(items))]


def completed(
    executor: Executor, function: Callable[..., Any], items: Iterable[tuple[Any, ...]], name: Callable[[int], str]
) -> Iterator[tuple[int, Any]]:
    """(i, function(*item i)) as they come, with at most `TASKS_A_WORKER` tasks a worker submitted and not yielded.

    Raises
    ------
    TypeError : no executor; a function, an item or a result that cannot be pickled.  WorkerLost : a process ended.
    What the function raises, with a note that names the item by name(i). Tasks not begun are then cancelled.
    """
    check_executor(executor)
    window = TASKS_A_WORKER * workers(executor)
    queue = enumerate(items)
    running: dict[Future[Any], int] = {}
    try:
        while True:
            for i, item in itertools.islice(queue, window - len(running)):
                running[_submitted(executor, function, item, [*running.values(), i], name)] = i
            if not running:
                return
            done = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done
            for future in sorted(done, key=running.__getitem__):
                result = _result(future, executor, running, name)
                yield running.pop(future), result
    finally:
        for future in running:
            future.cancel()


def check_executor(executor: Any) -> None:
    """Raise where something else was given for an executor."""
    if not isinstance(executor, Executor):
        hint = " Take its executor: client.get_executor()." if hasattr(executor, "get_executor") else ""
        raise TypeError(
            f"executor is a {type(executor).__name__}, not a concurrent.futures.Executor such as "
            f"ProcessPoolExecutor(), a Dask client.get_executor() or mpi4py.futures.MPIPoolExecutor().{hint}"
        )


def workers(executor: Executor) -> int:
    """How many tasks run at once, where an executor says so in public; else the number of this machine's cores."""
    count = getattr(executor, "num_workers", None)  # mpi4py
    if count is None and type(executor).__module__.startswith("distributed."):
        from distributed import Client

        with contextlib.suppress(ValueError):  # the client is closed, which submitting will say
            count = sum(Client.current().nthreads().values())
    return count or os.cpu_count() or 1


def _submitted(
    executor: Executor, function: Callable[..., Any], item: tuple[Any, ...], under_way: list[int], name: Any
) -> Future[Any]:
    try:
        return executor.submit(attempt, function, *item)
    except Exception as error:
        raise _transport(error, executor, under_way, under_way[-1], name) from error


def _result(future: Future[Any], executor: Executor, running: dict[Future[Any], int], name: Any) -> Any:
    """The result of a task that is done; else the error that says why there is none."""
    i = running[future]
    try:
        result = future.result()
    except (Exception, asyncio.CancelledError) as error:
        raise _transport(error, executor, list(running.values()), i, name) from error
    if isinstance(result, Failure):
        raise result.noted(f"raised in {name(i)}, by a worker of {type(executor).__name__}")
    return result


def _transport(error: BaseException, executor: Executor, under_way: list[int], i: int, name: Any) -> BaseException:
    """The error for a task that was not carried out.  What the function itself raises never comes this way."""
    by = type(executor).__name__
    if _is_of_pickling(error):
        return TypeError(
            f"{by} cannot send {name(i)} to its workers and back ({type(error).__name__}: {error}). A process pool "
            "needs a function defined at the top of a module (no lambda, no function inside another), and arguments "
            "and a result that pickle. Or use a ThreadPoolExecutor, or Dask, whose cloudpickle sends closures."
        )
    if isinstance(error, concurrent.futures.BrokenExecutor):  # which of its tasks did it, the pool does not say
        return WorkerLost(by, ", ".join(map(name, sorted(under_way))), f"{error}")
    if isinstance(error, concurrent.futures.CancelledError | asyncio.CancelledError):
        return WorkerLost(by, name(i), "The task was cancelled from outside.")
    if any(kind.__name__ == "KilledWorker" for kind in type(error).__mro__):  # of Dask, which need not be installed
        return WorkerLost(by, name(i), f"{error}")
    error.add_note(f"admodes: {by} could not carry out {name(i)}")
    return error


def _is_of_pickling(error: BaseException) -> bool:
    """Pickle says PicklingError, AttributeError or TypeError, as it happens; Dask TypeError."""
    if isinstance(error, pickle.PicklingError):
        return True
    text = str(error).lower()
    said = ("pickle", "serialize", "get local object")  # the last from Python 3.12 on
    return isinstance(error, AttributeError | TypeError) and any(word in text for word in said)


# ---------------------------------------------------------------------------------------------------
# Errors on their way
# ---------------------------------------------------------------------------------------------------


def attempt(function: Callable[..., Any], *item: Any) -> Any:
    """function(*item), or the `Failure` of it: what an executor raises is then its own."""
    try:
        return function(*item)
    except BaseException as error:
        return Failure(error)


@dataclass
class Failure:
    """An exception as a result.

    An exception whose __init__ has other arguments than it hands on breaks a process pool when it is unpickled there,
    and one of a local class cannot be pickled: what travels is the exception itself where that comes out the same, else
    one of its class without __init__, else the nearest of its base classes.
    """

    error: BaseException
    traceback: str = ""

    def noted(self, where: str) -> BaseException:
        self.error.add_note(f"admodes: {where}")
        if self.traceback:
            self.error.add_note(f"In the worker:\n{self.traceback}")
        return self.error

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (_packed(self.error), "".join(traceback.format_exception(self.error)))


def _arrived(packed: bytes, text: str) -> Failure:
    return Failure(pickle.loads(packed), text)


def _packed(error: BaseException) -> bytes:
    """A pickle that will be an exception as much like this one as can be."""
    for candidate in (error, _Rebuilt(type(error), error.args, error.__dict__)):
        with contextlib.suppress(Exception):  # whatever this class does when it is pickled: the next one will do
            packed = pickle.dumps(candidate)
            again = pickle.loads(packed)
            if type(again) is type(error) and str(again) == str(error):
                return packed
    for kind in type(error).__mro__:
        with contextlib.suppress(Exception):
            packed = pickle.dumps(_Rebuilt(kind, (f"{type(error).__name__}: {error}",), {}))
            if isinstance(pickle.loads(packed), kind):
                return packed
    return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


@dataclass(frozen=True)
class _Rebuilt:
    """Unpickles as an exception made without its __init__."""

    kind: Any
    args: tuple[Any, ...]
    state: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return revived, (self.kind, self.args, self.state)
