"""A transform takes all arguments by value, and what had to run twice counts once."""

import contextlib
import ctypes
import functools

import numpy as np
import pytest
import scipy.linalg

import admodes as ad
from admodes.core import creation, lending
from admodes.core.errors import Detached
from admodes.ways.differences import CENTRAL, ONE_SIDED, columns

X = np.array([0.5, 0.7, 0.9])
SMALL, LARGE = 3, 5_000  # an array that is lent as a copy, one that is lent as a view which cannot be written to


def total(f):
    return lambda x, *args, **kwargs: np.sum(f(x, *args, **kwargs) ** 2)


WAYS = {
    "grad": lambda f: ad.grad(total(f)),
    "value_and_grad": lambda f: lambda *a, **k: ad.value_and_grad(total(f))(*a, **k)[1],
    "jacfwd": ad.jacfwd,
    "jacrev": ad.jacrev,
    "jacobian": ad.jacobian,
    "one at a time": lambda f: ad.jacfwd(f, chunk=1),
    "hessian": lambda f: ad.hessian(total(f)),
    "compiled": lambda f: ad.compile(ad.jacfwd(f)),
    "nested": lambda f: lambda x, a: ad.grad(lambda x: np.sum(ad.grad(total(f))(x, a) ** 2))(x),
    "sparse": lambda f: lambda *a, **k: ad.jacobian(f, mode="sparse")(*a, **k).toarray(),
    "checkpoint, reverse": lambda f: ad.jacrev(ad.checkpoint(f)),
    "checkpoint, forward": lambda f: ad.jacfwd(ad.checkpoint(f)),
    "plan": lambda f: lambda *a: ad.sparse_jacobian_plan(f, *a).dense(*a),
}

# vjp and its kin differentiate by all arguments, which are traced then.
OF_ALL = {
    "vjp": lambda f: lambda *a: ad.vjp(f, *a)[1](np.ones(3))[0],
    "jvp": lambda f: lambda *a: ad.jvp(f, a, (np.ones(3), np.zeros_like(a[1])))[1],
    "trace": lambda f: lambda *a: ad.trace(f, *a)(*a),
    "checkpoint of both": lambda f: lambda *a: ad.grad(total(ad.checkpoint(f)), argnums=(0, 1))(*a)[0],
}

CHANGES = {
    "+=": lambda a: a.__iadd__(1),
    "a[...] = b": lambda a: a.__setitem__(..., a * a + 1),
    "a[0] = b": lambda a: a.__setitem__(0, 7),
    "sort": lambda a: a.sort(),
    "fill": lambda a: a.fill(2),
    "out=": lambda a: np.multiply(a, 2, out=a),
    "copyto": lambda a: np.copyto(a, a[::-1].copy()),
    "put": lambda a: np.put(a, [0, 1], [5, 6]),
    "a view": lambda a: a[1:].__iadd__(3),
    "place": lambda a: np.place(a, a > 1, [9]),
}


def changing(change):
    def f(x, a):
        y = x * a[:3]
        change(a)
        return np.sin(y) * a[:3]

    return f


def arrays(size):
    base = np.random.default_rng(1).permutation(2 * size).astype(float)
    return {"C": base[:size].copy(), "strided": base[::2], "reversed": base[:size][::-1], "integers": base.astype(int)}


def expected(way, f, a):
    """By a function that changes a copy of its own."""
    return WAYS[way](lambda x, _: f(x, a.copy()))(X, 0.0)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("way", WAYS)
def test_what_f_writes_to_another_argument_stays_in_f(way, size):
    for name, change in CHANGES.items():
        f = changing(change)
        derivative = WAYS[way](f)
        for kind, a in arrays(size).items():
            before = a.copy()
            for _ in range(2):
                found = derivative(X, a)
                np.testing.assert_array_equal(a, before, err_msg=f"{name}, {kind}")
                np.testing.assert_allclose(found, expected(way, f, a), rtol=1e-12, err_msg=f"{name}, {kind}")


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("way", OF_ALL)
def test_what_f_writes_to_an_argument_stays_in_f(way, size):
    for name, change in CHANGES.items():
        f = changing(change)
        for kind, a in arrays(size).items():
            a = a.astype(float)
            before = a.copy()
            found = OF_ALL[way](f)(X, a)
            np.testing.assert_array_equal(a, before, err_msg=f"{name}, {kind}")
            wanted = OF_ALL[way](lambda x, a: f(x, a * 1.0))(X, a)
            np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=f"{name}, {kind}")


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("way", ["grad", "jacfwd", "jacrev", "jacobian"])
def test_arrays_in_containers_and_keywords_are_lent_too(way, size):
    def f(x, tree, *, k):
        tree["b"][0] += 1
        tree["a"] *= 2
        k[1] -= 3
        return x * tree["a"][:3] + tree["b"][0][:3] * k[:3] * x**2

    def make():
        a = np.arange(1.0, size + 1)
        return {"a": a, "b": [a + 1, 2.0]}, a + 2

    def alone(x):
        tree, k = make()
        return f(x, tree, k=k)

    tree, k = make()
    wanted = WAYS[way](lambda x, _: alone(x))(X, 0.0)
    derivative = WAYS[way](f)
    for _ in range(2):
        np.testing.assert_allclose(derivative(X, tree, k=k), wanted, rtol=1e-12)
    again, k_again = make()
    np.testing.assert_array_equal(tree["a"], again["a"])
    np.testing.assert_array_equal(tree["b"][0], again["b"][0])
    np.testing.assert_array_equal(k, k_again)


def test_a_record_that_the_caller_hands_in_is_the_callers():
    """A list that holds no arrays, or something else too, is no argument of numbers: f may write to it."""
    for record in ([], ["values", np.ones(2), object()], {"log": set()}):

        def f(x, record):
            (record.append if isinstance(record, list) else record["log"].add)("seen")
            return np.sum(x**2)

        ad.grad(f)(X, record)
        assert (record[-1] == "seen") if isinstance(record, list) else "seen" in record["log"]


# Every way by which NumPy writes to an array, and what writes past NumPy.  np.ufunc.at does not look whether it may.
AT = np.array([0, 0, 1])
IN_PLACE = {
    "add.at": lambda a: np.add.at(a, AT, 1.0),
    "add.at, mask": lambda a: np.add.at(a, a > 4, 1.0),
    "add.at, slice": lambda a: np.add.at(a, slice(3), 1.0),
    "add.at, cast": lambda a: np.add.at(a, (AT,), np.ones(3, np.float32)),
    "multiply.at": lambda a: np.multiply.at(a, AT, 2.0),
    "negative.at": lambda a: np.negative.at(a, AT),
    "sin.at": lambda a: np.sin.at(a, AT),
    "ldexp.at": lambda a: np.ldexp.at(a, AT, 2),
    "frompyfunc.at": lambda a: np.frompyfunc(lambda x, y: x + y, 2, 1).at(a, AT, 1.0),
    "flat": lambda a: a.flat.__setitem__(0, 9),
    "flat = ": lambda a: setattr(a, "flat", 2.0),
    "real = ": lambda a: setattr(a, "real", 2.0),
    "putmask": lambda a: np.putmask(a, a > 3, 1),
    "put_along_axis": lambda a: np.put_along_axis(a, AT, 5.0, 0),
    "partition": lambda a: a.partition(3),
    "nditer": lambda a: [x.__setitem__(..., 2) for x in np.nditer(a, op_flags=["readwrite"])],
    "byteswap": lambda a: (a.byteswap(True), a.byteswap(True), a.__setitem__(0, 3)),
    "out of a reduction": lambda a: np.add.reduce(np.ones((2, a.size)), axis=0, out=a),
    "out of accumulate": lambda a: np.add.accumulate(a, out=a),
    "out of take": lambda a: np.take(np.ones(9), np.zeros(a.size, int), out=a, mode="clip"),
    "out of choose": lambda a: np.choose(np.zeros(a.size, int), [np.ones(a.size)], out=a),
    "out of compress": lambda a: np.compress(np.ones(a.size, bool), np.ones(a.size), out=a),
    "out of dot": lambda a: np.dot(np.ones((a.size, 2)), np.ones(2), out=a),
    "out of matmul": lambda a: np.matmul(np.ones((a.size, 2)), np.ones(2), out=a),
    "out of einsum": lambda a: np.einsum("ij->i", np.ones((a.size, 2)), out=a),
    "out of clip": lambda a: np.clip(a, 1, 2, out=a),
    "out of median": lambda a: np.median(np.ones((2, a.size)), 0, out=a),
    "out where": lambda a: np.add(a, 1, out=a, where=a > 3),
    "two outs": lambda a: np.modf(a, a.copy(), a),
    "overwrite_input": lambda a: np.median(a[::-1], overwrite_input=True),
    "random numbers": lambda a: np.random.default_rng(0).random(out=a),
    "shuffle": lambda a: np.random.default_rng(0).shuffle(a),
    "permuted": lambda a: np.random.default_rng(0).permuted(a, out=a),
    "nan_to_num": lambda a: np.nan_to_num(np.add(a, np.nan, out=a), copy=False, nan=2.0),
    "setfield": lambda a: a.setfield(2, np.float64),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3,), (8,)).__setitem__(0, 9),
    "setflags": lambda a: (a.setflags(write=True), a.__setitem__(0, 9)),
    "ctypes": lambda a: ctypes.memset(a.ctypes.data, 0, 8),
    "overwrite_a": lambda a: scipy.linalg.lu_factor(a[:9].reshape(3, 3), overwrite_a=True),
}


@pytest.mark.parametrize("way", ["grad", "jacfwd", "checkpoint, reverse"])
@pytest.mark.parametrize("first", [X, X - 0.2], ids=["changed at once", "changed at the second call"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_every_way_to_write_in_place(name, first, way, monkeypatch):
    monkeypatch.setattr(creation, "_WRITING", {})  # f has one code for all names
    monkeypatch.setattr(lending, "TRIED", {})
    change = IN_PLACE[name]

    def f(x, a):
        y = x * a[:3]
        if x[0] > 0.4:
            change(a)
        return np.sin(y) * a[:3]

    a = 1.0 + np.random.default_rng(1).permutation(LARGE).astype(float)
    before = a.copy()
    derivative, direct = WAYS[way](f), WAYS[way](lambda x, _: f(x, before.copy()))
    for x in (first, X, X):
        found = derivative(x, a)
        np.testing.assert_array_equal(a, before)
        np.testing.assert_allclose(found, direct(x, 0.0), rtol=1e-12)


def test_a_function_that_was_tried_has_views():
    bases = []

    def f(x, a):
        bases.append(a.base)
        return np.sum(x * a[:3])

    a = np.ones(LARGE)
    for _ in range(3):
        ad.grad(f)(X, a)
    assert [base is a for base in bases] == [False, True, True]


def test_runs():
    """Once with a small array, and with a large one that is only read; of copies where one is written to."""
    runs = []

    def reads(x, a):
        runs.append(1)
        return x * a[:3]

    def writes(x, a):
        runs.append(1)
        a += 1
        return x * a[:3]

    for f, size, counts in ((reads, LARGE, (1, 1)), (writes, SMALL, (1, 1)), (writes, LARGE, (1, 1))):
        for count in counts:
            runs.clear()
            ad.jacfwd(f)(X, np.ones(size))
            assert len(runs) == count


def test_within_no_rerun_f_runs_once_with_copies():
    runs = []

    def f(x, a):
        runs.append(1)
        a += 1
        return x * a[:3]

    a = np.ones(LARGE)
    with ad.no_rerun():
        np.testing.assert_array_equal(ad.jacfwd(f)(X, a), 2 * np.eye(3))
    assert len(runs) == 1
    assert a.max() == 1


def test_an_array_that_the_caller_made_read_only_refuses_as_ever():
    def f(x, a):
        a += 1
        return x * a[:3]

    for size in (SMALL, LARGE):
        a = np.ones(size)
        a.flags.writeable = False
        for _ in range(2):
            with pytest.raises(ValueError, match="read-only"):
                ad.jacfwd(f)(X, a)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("way", ["grad", "jacfwd", "jacrev", "jacobian", "hessian"])
def test_a_change_counts_once_where_f_fills_an_array_that_it_makes(way, size):
    """Then f runs two or three times at its first call."""

    def f(x, B, n):
        B += 1
        n[0] += 1
        y = np.zeros(3)
        for i in range(3):
            y[i] = x[i] ** 2 * B[i] * n[0]
        return y

    B, n = np.zeros(size), np.zeros(size, dtype=int)
    wanted = WAYS[way](lambda x: x**2)(X)
    for _ in range(2):
        np.testing.assert_allclose(WAYS[way](f)(X, B, n), wanted)
    assert not B.any()
    assert not n.any()


def test_a_traced_value_stored_in_another_argument_raises_as_ever():
    for size in (SMALL, LARGE):

        def f(x, table):
            table[0] = x[0]
            return np.sum(table[:3] * x)

        with pytest.raises(Detached, match=r"np\.copy"):
            ad.grad(f)(X, np.ones(size))


# ---------------------------------------------------------------------------------------------------
# Arrays from around the function, which are handed to it as they are
# ---------------------------------------------------------------------------------------------------

GLOBAL = np.zeros(3)


class Model:
    def __init__(self):
        self.count = np.zeros(3)

    def __call__(self, x):
        self.count += 1
        y = np.zeros(3)
        y[:] = x * self.count
        return y

    def method(self, x):
        return self(x)


def filling():
    def of_a_global(x):
        GLOBAL[:] += 1
        y = np.zeros(3)
        y[:] = x * GLOBAL
        return y

    cell = np.zeros(3)

    def of_a_closure(x):
        return helper(x)

    def helper(x):
        cell[:] = cell + 1
        y = np.empty(3)
        y[:] = x * cell
        return y

    def default(x, c=cell):
        c += 1
        y = np.zeros(3)
        y[:] = x * c
        return y

    return [of_a_global, of_a_closure, default, Model(), Model().method, functools.partial(Model().method)]


@pytest.mark.parametrize("which", range(6))
def test_a_change_from_around_that_would_count_twice_raises(which):
    f = filling()[which]
    with pytest.raises(Detached, match=r"changes an array from outside.*twice.*np\.copy"):
        ad.jacfwd(f)(X)


def counting(count):
    def f(x):
        count[:] += 1
        return x * count

    return f


def test_a_run_to_plan_counts_as_none():
    count = np.zeros(3)
    for k in (1, 2):
        np.testing.assert_array_equal(ad.jacobian(counting(count))(X), k * np.eye(3))
        np.testing.assert_array_equal(count, k)


def test_a_trace_that_is_given_up_counts_as_none():
    count = np.zeros(3)

    def f(x):
        count[:] += 1
        x *= count  # compiled code changes no argument: f runs untraced
        return x * 1.0

    fast = ad.compile(f)
    for k in (1, 2):
        x = X.copy()
        with pytest.warns(UserWarning, match="f changes an argument") if k == 1 else contextlib.nullcontext():
            found = fast(x)
        np.testing.assert_array_equal(found, k * X)
        np.testing.assert_array_equal(x, k * X)
        np.testing.assert_array_equal(count, k)


def test_a_second_look_at_a_nan_does_not_see_other_values():
    """Forward mode runs f again where a tangent is nan; at other values that is another function."""
    count = np.zeros(3)

    def f(x):
        count[:] += 1
        return np.sqrt(x) * 0.0 + count * x

    with np.errstate(all="ignore"):
        found = ad.jacfwd(f)(np.array([0.0, 1.0, 4.0]))
    np.testing.assert_array_equal(np.diag(found)[1:], 1.0)
    assert np.isnan(found[0, 0])
    np.testing.assert_array_equal(count, 1)


def test_divided_differences_are_of_the_point():
    def f(x):
        y = x**2
        x += 1
        return y * x

    for scheme in (ONE_SIDED, CENTRAL):
        x = X.copy()
        np.testing.assert_allclose(columns(f, (x,), scheme), np.diag(3 * X**2 + 2 * X), rtol=1e-5)
        np.testing.assert_array_equal(x, X)
