"""Copies by ndarray's own method of arrays from around a function, in its closure and among its globals."""

import functools
import threading

import numpy as np
import pytest

import admodes
from admodes import Detached, checkpoint, compile, grad, hessian, jacfwd, jacobian, jacrev, root, trace

X = np.array([0.5, 1.25, -0.75])
TABLE = np.array([1.0, 2.0, 3.0])
STATE = {"table": TABLE, "rows": [TABLE, np.ones(3)]}
CALLS = 0


def filled(v, x):
    v[0] = x[0] * x[1]
    v += x**2
    return v


def of_a_global(x):
    return filled(TABLE.copy(), x)


def computed(x):
    return filled(2.0 * TABLE, x)


def in_a_dict(x):
    return filled(STATE["table"].copy(), x) + sum(filled(row.copy(), x) for row in STATE["rows"])


def by_default(x, table=TABLE, *, rows=(TABLE, TABLE)):
    return filled(table.copy(), x) * filled(rows[0].copy(), x)


def helper():
    return TABLE[::-1].copy()


def in_a_helper(x):
    return filled(helper(), x)


def of_an_argument(x, table):
    return filled(table.copy(), x)


def of_a_closure():
    table = np.arange(3.0)
    return lambda x: of_an_argument(x, table)


def twice(f):
    @functools.wraps(f)
    def both(*args):
        return f(*args) + f(*args)

    return both


@twice
def decorated(x):
    return filled(TABLE.copy(), x)


def recursive(x, k=2):
    v = TABLE.copy()
    v[k] = x[0] * x[k]
    return v if k == 0 else v + recursive(x, k - 1)


def mutual():
    table = np.ones(3)

    def odd(x, k):
        return filled(table.copy(), x) * (even(x, k - 1) if k else 1.0)

    def even(x, k):
        return odd(x, k - 1) if k else x

    return lambda x: odd(x, 1)


def rows(x):
    for k in range(3):
        row = TABLE.copy()
        row[k] = x[k] ** 2
        yield row


def generated(x):
    return sum(rows(x))


def listed(x):
    return np.concatenate([filled(v, x) for v in [TABLE.copy() for _ in range(2)]])


def a_class_inside(x):
    import math

    class Model:
        def run(self):
            return filled(TABLE.copy(), math.pi * x)

    return Model().run()


def a_transform_inside(x):
    def inner(y):
        v = TABLE.copy()
        v[0] = y[0] ** 2
        return np.sum(v * y)

    return grad(inner)(x)


class Model:
    def __call__(self, x):
        return filled(TABLE.copy(), x)

    def method(self, x):
        return filled(TABLE.copy(), x)


def bound_beforehand(x, as_array=np.asarray, *, make=(np.zeros_like,)):
    y = x * 1.0
    as_array(y)[1:] = 3.0 * x[0]
    z = make[0](TABLE)
    z[0] = x[1]
    return y * z + x


def solved(x):
    return root(lambda z, p: z * z - p, np.ones(3), of_a_global(x) ** 2)


def again(x):
    return checkpoint(of_a_global)(x)


def counting():
    calls, table = 0, np.ones(3)

    def f(x):
        nonlocal calls
        calls += 1
        return filled(table.copy(), x) + 0 * calls

    return f


FUNCTIONS = [
    of_a_global, computed, in_a_dict, by_default, bound_beforehand, in_a_helper, of_a_closure(),
    functools.partial(of_an_argument, table=TABLE), decorated, recursive, mutual(), generated, listed, a_class_inside,
    a_transform_inside, Model(), Model().method, solved, again, counting(),
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: getattr(f, "__name__", type(f).__name__))
def test_every_way(f):
    before = TABLE.copy()
    steps = 1e-6 * np.eye(3)
    expected = np.stack([(f(X + h) - f(X - h)) / 2e-6 for h in steps], axis=-1)
    for jac in (jacfwd(f), jacrev(f), compile(jacrev(f)), jacobian(f, mode="sparse"), trace(jacfwd(f), X), jacrev(f)):
        found = jac(X)
        np.testing.assert_allclose(getattr(found, "toarray", lambda y=found: y)(), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(compile(f)(X), f(X), rtol=1e-14)
    if not isinstance(f, Model):  # an object is lent where it is what is differentiated
        nestings = ("forward-over-reverse", "reverse-over-forward")
        one, two = (hessian(lambda x: np.sum(f(x) ** 2), mode=mode)(X) for mode in nestings)
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    assert type(TABLE) is np.ndarray
    assert type(STATE["table"]) is np.ndarray
    np.testing.assert_array_equal(TABLE, before)


def test_an_array_changed_between_calls_is_read_anew():
    table = np.ones(3)

    def f(x):
        v = table.copy()
        v[0] = x[0]
        return v * x

    for factor in (1.0, 2.0, 3.0):
        table[:] = factor
        np.testing.assert_allclose(jacrev(f)(X), np.diag([2 * X[0], factor, factor]))


def test_plain_changes_of_the_array_itself_are_seen_outside():
    """Once for a call, as NumPy has it: the first one is an error, since f had to run again."""
    table = np.zeros(3)

    def f(x):
        v = table.copy()
        v[0] = x[0]
        if changing:
            table[1] += 1.0
        return v * x

    changing = False
    jacrev(f)(X)
    changing = True
    jacrev(f)(X)
    np.testing.assert_array_equal(table, [0.0, 1.0, 0.0])
    np.testing.assert_allclose(jacrev(f)(X), np.diag([2 * X[0], 1.0, 0.0]))


def of_an_attribute(held):
    def f(x):
        v = held.table.copy()
        v[0] = x[0]
        return v * x

    return f


def bound_anew():
    table = np.ones(3)

    def f(x):
        nonlocal table
        v = table.copy()
        v[0] = x[0]
        table = table + 1.0
        return v * x

    return f


def bound_anew_elsewhere():
    table = np.ones(3)

    def change():
        nonlocal table
        table = table + 1.0

    held = Model()
    held.change = change

    def f(x):
        v = table.copy()
        v[0] = x[0]
        held.change()
        return v * x

    return f


def grown():
    tables = [np.ones(3)]

    def f(x):
        v = tables[0].copy()
        v[0] = x[0]
        tables.append(1.0)
        return v * x

    return f


def binds_globals(x):
    global CALLS
    CALLS += 1
    v = TABLE.copy()
    v[0] = x[0]
    return v * x


HELD = Model()
HELD.table = TABLE


@pytest.mark.parametrize(
    "f",
    [of_an_attribute(HELD), bound_anew(), bound_anew_elsewhere(), grown(), binds_globals],
    ids=["attribute", "bound anew", "bound anew elsewhere", "grown", "binds globals"],
)
def test_what_cannot_be_lent_raises(f):
    for jac in (jacfwd, jacrev):
        with pytest.raises(Detached, match=r"test_surroundings\.py, line \d+: v\[0\] = x\[0\]: .*v = np\.copy\(v\)"):
            jac(f)(X)


def test_a_variable_that_is_bound_anew_at_a_later_call():
    table, anew = np.ones(3), False

    def f(x):
        nonlocal table
        v = table.copy()
        v[0] = x[0]
        if anew:
            table = table + 1.0
        return v * x

    jacrev(f)(X)
    anew = True
    with pytest.raises(Detached, match=r"test_surroundings\.py, line \d+: f copies .* table, .*np\.copy\(a\)"):
        jacrev(f)(X)


def test_the_switch():
    def f(x):
        v = TABLE.copy()
        v[0] = x[0]
        return v

    with admodes.no_rerun(), pytest.raises(Detached):
        jacrev(f)(X)


def test_threads_at_once():
    expected, wrong = jacrev(recursive)(X), []

    def work():
        for _ in range(10):
            if not np.array_equal(jacrev(recursive)(X), expected) or type(TABLE) is not np.ndarray:
                wrong.append(threading.get_ident())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
