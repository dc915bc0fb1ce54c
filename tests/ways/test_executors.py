"""Chunks of directions through thread pools, process pools and Dask: the serial result to the last bit, or an error."""

import concurrent.futures
import copy
import functools
import multiprocessing
import os
import pickle
import threading
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import admodes
from admodes import jacfwd, jacrev
from admodes.core import errors
from admodes.ways import executors
from admodes.ways.executors import jacobian_by

SERIAL = {"forward": jacfwd, "reverse": jacrev}
WIDE = np.random.default_rng(0).normal(size=(7, 5))
TALL = np.random.default_rng(1).normal(size=(5, 7))

# Functions that travel by name: a spawned process imports this module.


def layered(x):
    return np.tanh(WIDE @ np.tanh(TALL @ x))


def scalar(x, power=2):
    return np.sum(np.tanh(TALL @ x) ** power) * x[0]


def of_two(x, w, *, scale):
    return {"a": scale * w @ x, "b": [np.sum(x) ** 2, w.T * 2.0]}


Pair = namedtuple("Pair", ["first", "second"])


@dataclass
class Parts:
    left: Any
    right: Any


def of_a_dataclass(p):
    return Pair(Parts(p.left * p.right, p.left), p.right**2)


def twice(x):
    return x, x


def complex_square(z):
    return z * z * (1 + 2j)


def complex_of_real(x):
    return x * 1j


def float32s(x):
    return np.sin(x) * x[::-1]


def dies(x):
    os._exit(3)


def dies_late(x):
    """Not in the first run, which is with one direction, but in any with two."""
    if x.tangent.shape[0] > 1:
        os._exit(3)
    return x * x


def raises_late(x):
    if x.tangent.shape[0] > 1 and x.tangent[:, 4].any():
        raise np.linalg.LinAlgError("singular, as it were")
    return x * x


class Awkward(Exception):
    """It cannot be made again from its own args."""

    def __init__(self, a, b):
        self.a = a
        super().__init__(f"{a} and {b}")


def raises_awkward(x):
    raise Awkward("this", "that")


def raises_local(x):
    class Local(KeyError):
        pass

    raise Local("of no module")


def raises_detached(x):
    return float(x[0])


class Unsendable(tuple):
    """A pytree that refuses to travel."""

    __slots__ = ()

    def __new__(cls, *x):
        return tuple.__new__(cls, x)

    def __reduce__(self):
        raise TypeError("cannot pickle this result")


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(params=["threads", "processes"])
def pool(request):
    return request.getfixturevalue(request.param)


def jacobian(executor, f, mode, *args, argnums=0, chunk=None, holomorphic=False, **kwargs):
    nesting = (mode,) if isinstance(mode, str) else mode
    return jacobian_by(executor, f, argnums, nesting, chunk, holomorphic, args, kwargs)


def serial(f, mode, *args, argnums=0, chunk=None, holomorphic=False, **kwargs):
    nesting = (mode,) if isinstance(mode, str) else mode
    for inner in reversed(nesting[1:]):
        f = SERIAL[inner](f, argnums, None, holomorphic)
    return SERIAL[nesting[0]](f, argnums, chunk, holomorphic)(*args, **kwargs)


def same(found, expected):
    """Same tree, shapes and dtypes, and the same bits."""
    leaves, structure = admodes.core.pytree.flatten(found)
    wanted, wanted_structure = admodes.core.pytree.flatten(expected)
    assert structure == wanted_structure
    for a, b in zip(leaves, wanted, strict=True):
        assert (np.shape(a), a.dtype, type(a)) == (np.shape(b), b.dtype, type(b))
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


X = np.linspace(-1.0, 1.0, 7)


# ---------------------------------------------------------------------------------------------------
# The result
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("mode", SERIAL)
def test_jacobian_is_the_serial_one(pool, mode, chunk):
    same(jacobian(pool, layered, mode, X, chunk=chunk), serial(layered, mode, X, chunk=chunk))


@pytest.mark.parametrize("chunk", [2, None])
@pytest.mark.parametrize("outer", SERIAL)
@pytest.mark.parametrize("inner", SERIAL)
def test_hessian_is_the_serial_one(pool, outer, inner, chunk):
    found = jacobian(pool, scalar, (outer, inner), X, chunk=chunk, power=3)
    if chunk:
        same(found, serial(scalar, (outer, inner), X, chunk=chunk, power=3))
    np.testing.assert_allclose(found, admodes.hessian(scalar)(X, power=3), rtol=1e-12)


def test_the_inner_chunk_of_a_hessian(threads, monkeypatch):
    made, seen = [], []

    def jacobian_forward(f, argnums, chunk, holomorphic):
        made.append(chunk)
        return jacfwd(f, argnums, chunk, holomorphic)

    monkeypatch.setitem(executors.FUNCTIONS, "forward", jacobian_forward)
    monkeypatch.setattr(executors, "chunk_by", lambda total, width, count: seen.append(width) or 3)
    H = jacobian_by(threads, scalar, 0, ("forward", "forward"), None, False, (X,), {}, inner_chunk=2)
    same(H, jacfwd(jacfwd(scalar, 0, 2), 0, 3)(X))
    assert made == [2] * 4
    assert seen == [2 * 7]


@pytest.mark.parametrize("mode", SERIAL)
def test_trees_of_arguments_and_results(pool, mode):
    x, w = X[:3], np.random.default_rng(2).normal(size=(2, 3))
    for argnums in (0, 1, -1, (0, 1), [1]):
        same(
            jacobian(pool, of_two, mode, x, w, argnums=argnums, chunk=2, scale=1.5),
            serial(of_two, mode, x, w, argnums=argnums, chunk=2, scale=1.5),
        )
    p = Parts(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]))
    same(jacobian(pool, of_a_dataclass, mode, p, chunk=3), serial(of_a_dataclass, mode, p, chunk=3))


@pytest.mark.parametrize("mode", SERIAL)
def test_dtypes_numbers_and_nothing(threads, mode):
    same(*(run(float32s, mode, X.astype(np.float32), chunk=2) for run in (on(threads), serial)))
    same(*(run(np.sin, mode, 2.0) for run in (on(threads), serial)))
    same(*(run(np.sin, mode, 2) for run in (on(threads), serial)))
    same(*(run(np.sin, mode, np.zeros((0, 3))) for run in (on(threads), serial)))
    same(*(run(lambda x: (), mode, X) for run in (on(threads), serial)))


def on(executor):
    return functools.partial(jacobian, executor)


def test_complex_arguments(threads):
    z = np.array([1 + 2j, 3 - 1j])
    for mode in SERIAL:
        same(*(run(complex_square, mode, z, chunk=1, holomorphic=True) for run in (on(threads), serial)))
    same(*(run(lambda z: np.abs(z) ** 2, "reverse", z, chunk=1) for run in (on(threads), serial)))
    same(*(run(complex_of_real, "forward", X, chunk=2) for run in (on(threads), serial)))
    for f, mode, x in ((complex_square, "forward", z), (complex_square, "reverse", z), (complex_of_real, "reverse", X)):
        with pytest.raises(TypeError) as expected:
            serial(f, mode, x)
        with pytest.raises(TypeError) as found:
            jacobian(threads, f, mode, x)
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("mode", SERIAL)
def test_blocks_share_no_memory(threads, mode):
    blocks = jacobian(threads, twice, mode, X, chunk=14)  # one task: nothing is put together, and so copied
    assert not np.shares_memory(*blocks)
    blocks[0][...] = 7.0
    np.testing.assert_array_equal(blocks[1], np.eye(7))


def test_an_argument_that_f_overwrites_stays_as_it_was(threads):
    def overwrites(x):
        x[0] = x[1] ** 2
        return x * 1.0

    x = X.copy()
    for mode in SERIAL:
        same(*(run(overwrites, mode, x, chunk=2) for run in (on(threads), serial)))
        np.testing.assert_array_equal(x, X)


# ---------------------------------------------------------------------------------------------------
# What a task is: counts, no clock
# ---------------------------------------------------------------------------------------------------


class Counting(ThreadPoolExecutor):
    """Counts tasks under way and the directions of each."""

    num_workers = 2

    def __init__(self, threads=2):
        super().__init__(threads)
        self.lock, self.under_way, self.most, self.items = threading.Lock(), 0, 0, []

    def submit(self, fn, /, *args):
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.items.append(args)
        future = super().submit(fn, *args)
        future.add_done_callback(self.ended)
        return future

    def ended(self, future):
        with self.lock:
            self.under_way -= 1

    @property
    def chunks(self):
        return [args[2:] for args in self.items if args[0] is executors.take_chunk]


@pytest.mark.parametrize("mode", SERIAL)
def test_a_task_has_a_chunk_and_few_are_under_way(mode, monkeypatch):
    made = []

    def unit_directions(leaves, first, k):
        found = admodes.transforms.directions.unit_directions(leaves, first, k)
        made.append(max(d.size for d in found))
        return found

    monkeypatch.setattr(executors, "unit_directions", unit_directions)
    x = np.linspace(0.1, 2.0, 100)
    with Counting() as pool:
        J = jacobian(pool, np.sin, mode, x, chunk=3)
    np.testing.assert_array_equal(J, np.diag(np.cos(x)))
    assert sorted(pool.chunks) == [(first, min(3, 100 - first)) for first in range(0, 100, 3)]
    assert max(made) == 3 * 100
    assert pool.most <= executors.TASKS_A_WORKER * 2


def test_the_window_is_filled_and_held():
    """Tasks that end only when as many as may be are under way."""
    gate, high = threading.Barrier(4, timeout=30), []

    def task(i):
        if i < 4:
            gate.wait()
        return i

    with Counting(4) as pool:
        for i, result in executors.completed(pool, task, [(i,) for i in range(40)], str):
            assert i == result
            high.append(pool.under_way)
    assert pool.most == executors.TASKS_A_WORKER * 2 == 4
    assert len(high) == 40


@pytest.mark.parametrize(("mode", "shape"), [("forward", (90, 4)), ("reverse", (4, 90))])
def test_the_default_chunk_bounds_memory_by_the_larger_side(mode, shape, monkeypatch):
    """4 directions of arrays of 90 numbers, 180 numbers at once: two directions; shape alone would allow all four."""
    monkeypatch.setattr(admodes.transforms.directions, "CHUNK_ELEMENTS", 180)
    monkeypatch.setattr(executors, "CHUNKS_A_WORKER", 1)
    A = np.random.default_rng(3).normal(size=shape)
    with Counting() as pool:
        pool.num_workers = 1
        np.testing.assert_allclose(jacobian(pool, lambda x: A @ x, mode, np.ones(shape[1])), A, rtol=1e-12)
    assert sorted(pool.chunks) == [(0, 2), (2, 2)]


def test_forward_over_forward_counts_the_inner_directions(monkeypatch):
    """An inner tangent of 7·7 numbers for each outer direction: 3 of them are within 150."""
    monkeypatch.setattr(admodes.transforms.directions, "CHUNK_ELEMENTS", 150)
    with Counting() as pool:
        pool.num_workers = 1
        jacobian(pool, scalar, ("forward", "forward"), X)
        assert sorted(pool.chunks) == [(0, 3), (3, 3), (6, 1)]


def test_the_default_chunk_leaves_every_worker_some():
    with Counting() as pool:
        jacobian(pool, np.sin, "forward", np.ones(20))
    assert sorted(pool.chunks) == [(0, 5), (5, 5), (10, 5), (15, 5)]
    assert executors.chunk_by(3, 3, 8) == 1
    assert executors.chunk_by(0, 0, 8) >= 1


def test_number_of_workers():
    with Counting() as pool, ThreadPoolExecutor(1) as plain:
        assert executors.workers(pool) == 2
        assert executors.workers(plain) == os.cpu_count()


def test_a_process_records_once_a_job():
    runs = []

    def f(x):
        runs.append(1)
        return np.sin(x)

    with ThreadPoolExecutor(2) as pool:
        jacobian(pool, f, "reverse", X, chunk=1)
        assert len(runs) == 1
        jacobian(pool, f, "reverse", 2 * X, chunk=1)
        assert len(runs) == 2
    assert executors._last == ("", None)


def test_another_job_in_between_does_not_mix_the_recordings():
    job, other = (executors.Job(np.sin, 0, ("reverse",), False, (x,), {}) for x in (X, 2 * X))
    for _ in range(2):
        for each in (job, other):
            (rows,) = executors.take_chunk(each, 0, 7)
            np.testing.assert_array_equal(rows, np.diag(np.cos(each.args[0])))
    executors.forget(other.token)


# ---------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", [None, 4, "threads", multiprocessing, object()])
def test_no_executor(executor):
    with pytest.raises(TypeError, match=r"executor is a .*, not a concurrent\.futures\.Executor"):
        jacobian(executor, np.sin, "forward", X)


def test_what_only_has_an_executor():
    class Client:
        def get_executor(self):
            """As Dask's."""

    with pytest.raises(TypeError, match=r"client\.get_executor\(\)\.$"):
        jacobian(Client(), np.sin, "forward", X)


def test_bad_arguments_are_found_before_any_task():
    with Counting() as pool:
        for chunk in (0, -1, 1.5, True):
            with pytest.raises(ValueError, match="chunk="):
                jacobian(pool, np.sin, "forward", X, chunk=chunk)
        with pytest.raises(TypeError, match="integer"):
            jacobian(pool, np.sin, "forward", np.arange(3))
        with pytest.raises(TypeError, match="argnums=1"):
            jacobian(pool, np.sin, "forward", X, argnums=1)
    assert not pool.items


@pytest.mark.parametrize("mode", SERIAL)
def test_another_transform_around_it(threads, mode):
    with pytest.raises(TypeError, match="an argument is a traced value of a transform around"):
        admodes.grad(lambda x: np.sum(jacobian(threads, np.sin, mode, x)))(X)
    with pytest.raises(TypeError, match="an argument is a traced value of a transform around"):
        admodes.grad(lambda a: np.sum(jacobian(threads, lambda x, a: a * x, mode, X, a=a)))(2.0)
    with pytest.raises(TypeError, match="uses, from outside, what is a traced value"):
        admodes.grad(lambda a: np.sum(jacobian(threads, lambda x: a * x, mode, X)))(2.0)


@pytest.mark.parametrize("mode", SERIAL)
def test_what_cannot_be_pickled(processes, mode):
    def local(x):
        return x * 2.0

    for f in (lambda x: x, local, functools.partial(layered, lock=threading.Lock())):
        with pytest.raises(TypeError, match=r"(?s)cannot send the first run.*top of a module.*cloudpickle"):
            jacobian(processes, f, mode, X)
    with pytest.raises(TypeError, match="ProcessPoolExecutor cannot send"):
        jacobian(processes, scalar, mode, X, power=threading.Lock())
    same(jacobian(processes, layered, mode, X, chunk=4), serial(layered, mode, X, chunk=4))  # the pool still works


def test_a_result_that_cannot_be_pickled(processes):
    with pytest.raises(TypeError, match=r"and back .*cannot pickle this result"):
        executors.in_order(processes, Unsendable, [(1,)], str)


@pytest.mark.parametrize("f", [dies, dies_late])
def test_a_worker_that_dies(f):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        where = "the first run" if f is dies else r"chunk 1 of 4 \(directions 0:2 of 7\)"
        with pytest.raises(errors.WorkerLost, match=f"ProcessPoolExecutor lost a worker; under way: {where}") as lost:
            jacobian(pool, f, "forward", X, chunk=2)
        assert isinstance(lost.value.__cause__, concurrent.futures.BrokenExecutor)
        with pytest.raises(errors.WorkerLost, match="make a new one"):
            jacobian(pool, layered, "forward", X)


def test_a_pool_that_was_shut_down():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown") as failed:
        jacobian(pool, layered, "forward", X)
    assert "could not carry out the first run" in failed.value.__notes__[0]


def test_a_task_cancelled_from_outside():
    class Cancelling(ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            future = concurrent.futures.Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with Cancelling(1) as pool, pytest.raises(errors.WorkerLost, match="cancelled from outside"):
        jacobian(pool, layered, "forward", X)


def test_an_exception_in_a_chunk(pool):
    with pytest.raises(np.linalg.LinAlgError, match="singular, as it were") as failed:
        jacobian(pool, raises_late, "forward", X, chunk=2)
    notes = "\n".join(failed.value.__notes__)
    assert f"raised in chunk 3 of 4 (directions 4:6 of 7), by a worker of {type(pool).__name__}" in notes
    assert ("In the worker:" in notes) == isinstance(pool, ProcessPoolExecutor)
    if isinstance(pool, ProcessPoolExecutor):
        assert "in raises_late" in notes


def test_an_exception_cancels_the_other_tasks():
    begun, gate = [], threading.Event()

    def task(i):
        begun.append(i)
        if i == 0:
            raise ValueError("the first")
        gate.wait(30)

    with Counting() as pool:
        pool.num_workers = 10
        with pytest.raises(ValueError, match="the first"):
            executors.in_order(pool, task, [(i,) for i in range(30)], "task {}".format)
        assert len(pool.items) == 20
        gate.set()
    assert len(begun) <= 3  # the one that failed and one more a worker


@pytest.mark.parametrize(
    ("f", "kind", "text"),
    [
        (raises_awkward, Awkward, "this and that"),
        (raises_local, KeyError, "Local: 'of no module'"),
        (raises_detached, errors.Detached, "would detach"),
    ],
)
def test_exceptions_that_travel_badly(processes, f, kind, text):
    with pytest.raises(kind) as failed:
        jacobian(processes, f, "forward", X)
    assert text in str(failed.value)
    assert str(failed.value).count("Convert") <= 1  # the message is not made of the message
    assert "raised in the first run" in failed.value.__notes__[0]
    if kind is Awkward:
        assert failed.value.a == "this"
    same(jacobian(processes, layered, "forward", X, chunk=4), serial(layered, "forward", X, chunk=4))


@pytest.mark.parametrize(
    "error",
    [
        errors.MissingRule("np.f", "why"),
        errors.LeakedTracer(),
        errors.OverwrittenValue(np.zeros(3)),
        errors.Detached("float(x)", "Do not."),
        errors.WorkerLost("Pool", "chunk 1", "It ended."),
    ],
)
def test_errors_of_the_house_can_be_pickled_and_copied(error):
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), again.__notes__) == (str(error), ["a note"])


def test_leaving_early_cancels():
    with Counting() as pool:
        tasks = executors.completed(pool, np.sin, [(0.0,)] * 100, str)
        next(tasks)
        tasks.close()
        assert len(pool.items) == 4


# ---------------------------------------------------------------------------------------------------
# Dask: a scheduler and two worker processes on this machine
# ---------------------------------------------------------------------------------------------------


def test_dask(dask):
    """Jacobians and Hessians, of closures too, and the errors, on one cluster: to start it takes the most time."""
    executor, A = dask.get_executor(), np.random.default_rng(4).normal(size=(6, 7))
    assert executors.workers(executor) == 2
    for mode in SERIAL:
        same(jacobian(executor, layered, mode, X, chunk=3), serial(layered, mode, X, chunk=3))
        same(jacobian(executor, lambda x: A @ np.sin(x), mode, X), serial(lambda x: A @ np.sin(x), mode, X, chunk=2))
    nesting = ("forward", "reverse")
    same(jacobian(executor, scalar, nesting, X, chunk=2), serial(scalar, nesting, X, chunk=2))
    with pytest.raises(TypeError, match=r"client\.get_executor\(\)"):
        jacobian(dask, layered, "forward", X)
    with pytest.raises(np.linalg.LinAlgError, match="singular") as failed:
        jacobian(executor, raises_late, "forward", X, chunk=2)
    assert "chunk 3 of 4 (directions 4:6 of 7), by a worker of ClientExecutor" in failed.value.__notes__[0]
    with pytest.raises(TypeError, match="ClientExecutor cannot send the first run"):
        jacobian(executor, scalar, "forward", X, power=threading.Lock())


def test_a_dask_worker_that_dies(dask):
    executor = dask.get_executor()
    with pytest.raises(errors.WorkerLost, match="ClientExecutor lost a worker; under way: the first run"):
        jacobian(executor, dies, "reverse", X)
    with pytest.raises(errors.WorkerLost, match=r"ClientExecutor lost a worker; under way: chunk \d of 4"):
        jacobian(executor, dies_late, "forward", X, chunk=2)
    same(jacobian(executor, layered, "forward", X, chunk=3), serial(layered, "forward", X, chunk=3))


# As people call it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian_takes_an_executor(pool, mode):
    np.testing.assert_allclose(admodes.jacobian(layered, mode=mode, executor=pool)(X), jacfwd(layered)(X), rtol=1e-12)


@pytest.mark.parametrize("mode", ["forward-over-reverse", "reverse-over-forward"])
def test_hessian_takes_an_executor(pool, mode):
    found = admodes.hessian(scalar, mode=mode, executor=pool, chunk=2)(X, power=3)
    np.testing.assert_allclose(found, admodes.hessian(scalar, mode=mode)(X, power=3), rtol=1e-12)


def test_sparse_modes_take_no_executor_and_an_executor_must_be_one(pool):
    with pytest.raises(ValueError, match="executor= is for the dense modes"):
        admodes.jacobian(layered, mode="sparse", executor=pool)
    with pytest.raises(ValueError, match="for the dense modes"):
        admodes.hessian(scalar, mode="sparse", executor=pool)
    for transform in (admodes.jacobian, admodes.hessian):
        with pytest.raises(TypeError, match=r"not a concurrent\.futures\.Executor"):
            transform(layered, executor=2)


def test_a_lambda_and_a_process_pool(processes):
    with pytest.raises(TypeError, match="needs a function defined at the top of a module"):
        admodes.jacobian(lambda x: x**2, executor=processes)(X)
