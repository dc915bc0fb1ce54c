"""Arrays that f makes itself take traced values, in every mode; nothing of it is seen outside."""

import contextlib
import functools
import importlib
import math
import pickle
import sys
import threading
import types

import numpy as np
import pytest
from checks import jacobian_by_differences
from filling import X, check
from numpy import zeros as zeros_by_name

from admodes import Detached, compile, grad, hessian, jacfwd, jacrev, jvp, trace, vjp
from admodes.core import creation

# Ways to make an array and to fill it -------------------------------------------------------------

MAKERS = {
    "zeros": lambda: np.zeros(4),
    "ones": lambda: np.ones(4),
    "empty": lambda: np.empty(4),
    "full": lambda: np.full(4, 2.5),
    "eye": lambda: np.eye(4)[1],
    "identity": lambda: np.identity(4)[2],
    "array": lambda: np.array([1.0, 2.0, 3.0, 4.0]),
    "asarray": lambda: np.asarray([1.0, 2.0, 3.0, 4.0]),
    "copy": lambda: np.copy(TABLE),
    "array of an array": lambda: np.array(TABLE),
    "its copy": lambda: np.asarray(TABLE).copy(),
    "zeros_like": lambda: np.zeros_like(TABLE),
    "ones_like": lambda: np.ones_like(TABLE),
    "empty_like": lambda: np.empty_like(TABLE),
    "full_like": lambda: np.full_like(TABLE, 0.5),
    "linspace": lambda: np.linspace(0.0, 1.0, 4),
    "arange": lambda: np.arange(4.0),
    "diag": lambda: np.diag(TABLE)[:, 1],
    "fromiter": lambda: np.fromiter((0.5 * i for i in range(4)), dtype=float),
    "ndarray": lambda: np.ndarray(4, dtype=np.float64),
    "an empty one": lambda: np.ndarray(shape=(4, 2))[:, 1],
    "computed": lambda: 2.0 * np.ones((2, 2)).reshape(-1) + np.arange(4),
    "by name": lambda: zeros_by_name(4),
    "a column": lambda: np.zeros((4, 3))[:, 1],
    "a row of F order": lambda: np.zeros((4, 4), order="F")[1],
    "transposed": lambda: np.zeros((1, 4)).T[:, 0],
    "backwards": lambda: np.zeros(8)[::-2],
    "mgrid": lambda: np.mgrid[0:1:4j],
}
# Those of other functions, which a third run watches.
OTHERS = {
    "hanning": lambda: np.hanning(4),
    "fftfreq": lambda: np.fft.fftfreq(4),
    "tile": lambda: np.tile([0.0, 1.0], 2),
    "a copy of what is read-only": lambda: np.broadcast_to([0.5], 4).copy(),
    "leggauss": lambda: np.polynomial.legendre.leggauss(4)[0],
    "one of several": lambda: np.divmod(TABLE, 2)[0],
    "a copy of a view": lambda: np.reshape(TABLE, (2, 2)).copy().ravel(),
    "of integers": lambda: np.multiply(np.arange(4), 0.5),
    "emath": lambda: np.emath.sqrt(TABLE),
}
VIEWS = {
    "reshape": lambda: np.reshape(TABLE, 4),
    "split": lambda: np.array_split(TABLE, 1)[0],
    "out": lambda: np.add(TABLE, 0.0, out=TABLE),
    "asarray": lambda: np.asarray(TABLE),
    "flip": lambda: np.flip(TABLE),
    "in place": lambda: np.nan_to_num(TABLE, copy=False),
    "a buffer": lambda: np.frombuffer(bytearray(32)),
}
TABLE = np.array([4.0, 3.0, 2.0, 1.0])


def one(y, x):
    y[...] = 1.0
    y[1] = x[0] * x[1]


def several(y, x):
    y[:] = 0.25
    y[1:] = np.sin(x)


def added(y, x):
    y[:] = 2.0
    y += x[0]
    y[2] *= x[1]


def flat(y, x):
    y.flat = 1.5
    y.flat[0] = x[0]
    y.flat[2:] = x[1:]


def filled(y, x):
    y.fill(x[2] ** 2)
    y[3] = 1.0


def out(y, x):
    y[3] = 0.5
    np.multiply(x, x[0], out=y[:3])


def copied(y, x):
    np.copyto(y, x[0])
    np.put(y, [1, 2], x[:2])
    np.add.at(y, [0, 0], x[1])


def by_places(y, x):
    y[...] = 0.0
    y[[3, 1, 0]] = x
    y[y == 0] = x[0]


FILLERS = [one, several, added, flat, filled, out, copied, by_places]


PAIRS = {f"{name}, {fill.__name__}": (make, fill) for name, make in MAKERS.items() for fill in FILLERS}
PAIRS |= {name: (make, several) for name, make in OTHERS.items()}


@pytest.mark.parametrize(("make", "fill"), PAIRS.values(), ids=PAIRS)
def test_every_maker_and_every_filling(make, fill):
    def f(x):
        y = make()
        fill(y, x)
        return y * x[0] + y[::-1]

    check(f)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_what_they_give_of_arrays_from_outside_raises(view):
    def f(x):
        y = view()
        y[0] = x[0]
        return y

    for way in (jacfwd, jacrev, compile):
        with pytest.raises(Detached, match=r"into y, a plain array that no function of NumPy made .*np\.copy\(y\)"):
            way(f)(X)
    assert TABLE.tolist() == [4.0, 3.0, 2.0, 1.0]


def test_matrices():
    def f(x):
        a = np.eye(3)
        a[0, 1] = x[0]
        a[2] += x
        row, column = a[1], a[:, 2]
        row[0] = x[1]  # seen in a and in the column
        column *= 2.0
        return a @ np.array([1.0, 2.0, 3.0]) + np.linalg.inv(a + 4 * np.identity(3)) @ x

    check(f)


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")  # from NumPy 2.5 on
def test_shapes_set_in_place():
    def f(x):
        a = np.zeros((2, 3))
        v = a[1]
        a.shape = (3, 2)  # plain still
        a[0, 1] = x[0]
        a.shape = 6
        a[5] = x[1]
        y = x * 2
        y.shape = (3, 1)
        z = np.ones((2, 2))
        z[1, 0] = x[2]
        z.shape = (4,)
        z[3] += x[0]
        return np.concatenate([a, v, np.ravel(y @ y.T), z])

    check(f)

    def needs_a_copy(x):
        a = np.outer(x, x).T
        a.shape = 9
        return a

    with pytest.raises(AttributeError, match="reshape"):
        jacfwd(needs_a_copy)(X)


def test_views_taken_before_the_first_traced_value():
    def f(x):
        a = np.zeros((2, 3, 2), order="F")
        plain = np.arange(6.0).reshape(2, 3)
        views = [a[1], a.T[0], a[:, ::-1, 1], a[0].reshape(-1), np.swapaxes(a, 0, 2)[1], plain.ravel()]
        for k, v in enumerate(views):
            v[0] += k + 1.0
        a[1, 2, 1] = x[0]
        views[0][1] = x[1]
        views[1][:, 0] = x[2] * x
        views[5][2] = x[0]
        return np.concatenate([np.ravel(v) for v in [a, plain, *views]])

    def f_plain(x):
        return f(x)

    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f_plain(X))
    np.testing.assert_allclose(jacrev(f)(X), jacobian_by_differences(f_plain, X), atol=1e-8)
    np.testing.assert_allclose(jacfwd(f)(X), jacobian_by_differences(f_plain, X), atol=1e-8)


def test_of_traced_values():
    def f(x):
        y = np.array([x[0], 2.0], dtype=float)
        z = np.asarray([[x[1], 1.0], [x[2], x[0]]], dtype=np.float64)
        w = np.full((2,), x[1], dtype=float)
        v = np.asarray(x, dtype=float)
        y[1] = 3.0 * x[0]
        copy = np.array(x, dtype=float)
        copy[0] = 0.0
        return np.linalg.solve(z + np.eye(2), y) + w * v[0] + copy[1] + np.fromiter(iter(x), dtype=float)[1:]

    check(f)


LAYOUTS = [np.ones((2, 3)), np.asfortranarray(np.ones((2, 3))), np.ones((4, 3))[::2], np.ones(3)[::-1], np.ones(())]
CONVERSIONS = {
    "asarray": lambda a: np.asarray(a),
    "asarray F": lambda a: np.asarray(a, order="F"),
    "asanyarray": lambda a: np.asanyarray(a),
    "ascontiguousarray": lambda a: np.ascontiguousarray(a),
    "asfortranarray": lambda a: np.asfortranarray(a),
    "array": lambda a: np.array(a),
    "array C": lambda a: np.array(a, order="C"),
    "array, at least 2-d": lambda a: np.array(a, copy=None, ndmin=2),
    "of a scalar": lambda a: np.asarray(np.sum(a)),
    "of a list": lambda a: np.array(list(np.atleast_1d(a))),
    "full_like": lambda a: np.full_like(a, 0.5),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_conversions_are_copies_and_lie_as_numpys_do(convert):
    for layout in LAYOUTS:

        def f(x, layout=layout):
            a = np.zeros_like(layout)
            a[...] = x
            b = convert(a)
            r = np.reshape(b, -1, copy=None)
            if b.ndim:
                r[:1] = 5.0
            a[...] += 1.0
            b[...] += x
            return np.concatenate([np.reshape(a, -1), np.reshape(b, -1), np.reshape(r, -1)])

        for way in (jvp, lambda f, x, t: (vjp(f, *x)[0],)):
            np.testing.assert_array_equal(way(f, (0.25,), (1.0,))[0], f(0.25))


def test_full_of_a_traced_value():
    check(lambda x: np.full_like(TABLE, x[0]) * x[1])
    check(lambda x: np.full((2, 3), x, dtype=float)[1] * x[1])


# An array that takes no traced value is NumPy's own in all it does ----------------------------------


def test_an_array_without_traced_values_is_plain():
    seen = []

    def f(x):
        y = np.zeros(3)
        w = np.linspace(0.0, 1.0, 3)
        grid = np.arange(3.0)
        z = 1j * grid
        seen[:] = [
            math.sin(w[1]), float(w[2]), int(grid[2]), bool(w[0]), w.tolist(), w.dtype, w.base is None, f"{w[1]:.3f}",
            sorted(w), max(w), w.tobytes() == np.linspace(0.0, 1.0, 3).tobytes(), isinstance(w, np.ndarray),
            np.testing.assert_array_equal(w * 2, [0, 1, 2]), isinstance(w, (np.ndarray, int)),
            issubclass(type(np.array(1)), np.ndarray), np.ndarray.sum(np.arange(3)), w.argmax(),
            pickle.loads(pickle.dumps(w)).sum(),
            z.real.sum(), z.imag[2], z.conj()[1], w.view(np.int64).dtype,
            np.lib.stride_tricks.as_strided(w, (2,)).shape,
            [*map(float, w)], np.interp(0.25, grid, w), np.unwrap(w).sum(), divmod(w, 0.4)[0].sum(), w.ctypes.data > 0,
            w.flags.writeable, len(w), 0.5 in w, list(zip(w, grid, strict=True))[1], memoryview(w.__array__()).nbytes,
        ]  # fmt: skip
        y[0] = x[0] * w[1]
        return np.sum(y * w[1])

    f(X)
    expected = list(seen)
    grad(f)(X)
    assert seen == expected
    assert grad(f)(X).tolist() == [0.25, 0.0, 0.0]


def test_the_program_holds_only_what_takes_part():
    def f(x):
        w = np.linspace(0.0, 1.0, 3) * 2.0 + 1.0  # plain, and so no instruction
        y = np.zeros(3)
        y[:2] = x[:2]
        return np.sum(y * w)

    assert [i.op.name for i in trace(f, X).instructions] == ["getitem", "setitem", "multiply", "sum"]


def test_comparisons_with_arrays_that_f_made():
    def f(x):
        limits = np.linspace(0.0, 1.0, 3)
        y = np.zeros(3)
        y[x > limits] = x[0]
        y[np.less(limits, x)] += 1.0
        y[np.searchsorted(limits, 0.25)] *= x[1]
        return np.where(limits < 0.75, y, x) + np.clip(x, limits, 2.0) + (x <= limits)

    check(f)


def test_integers_stay_plain():
    def f(x):
        order = np.zeros(3, dtype=int)
        order[0], order[1] = 2, 1
        mask = np.ones(3, dtype=bool)
        mask[1] = False
        y = np.zeros(3)
        y[order] = x
        y[mask] *= 2.0
        assert type(order) is type(mask) is np.ndarray or True
        return y[np.arange(3)]

    check(f)


# Where the creation functions are looked up -----------------------------------------------------------


class Model:
    """Methods, static ones and attributes of classes."""

    np = np

    def __init__(self, n):
        self.n = n

    def buffer(self):
        return self.np.zeros(self.n)

    @staticmethod
    def other(n):
        return np.ones(n)

    def __call__(self, x):
        y = self.buffer()
        y[: x.size] = x
        z = self.other(self.n)
        z[0] = x[1]
        return y * z


def decorated(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args)

    return wrapper


@decorated
def recursive(x, depth=2):
    import numpy

    y = numpy.empty(3)
    y[:] = x if depth == 0 else recursive(x * x[0], depth - 1)
    return y


def test_methods_helpers_and_imports_inside():
    check(Model(4))
    check(Model(5).__call__)
    check(lambda x: Model(3)(x) + 1.0)
    check(functools.partial(lambda n, x: Model(n)(x), 3))
    check(recursive)
    check(lambda x: (lambda y: [y.__setitem__(i, x[i] ** 2) for i in range(3)] and y)(np.zeros(3)))


def module(name, text, file):
    """A module of the user's, or of an installed package where the file is in site-packages."""
    new = types.ModuleType(name)
    new.__file__ = file
    sys.modules[name] = new
    exec(text, vars(new))
    return new


HELPER = """
import numpy as np
from numpy import zeros, ones as make_ones
from numpy import *

def fill(x):
    y = zeros(3)
    y[0] = x[0]
    return y

def make():
    return make_ones(3) + np.empty(3) * 0 + eye(3)[0]
"""


@pytest.fixture
def modules():
    made = []

    def make(name, text, file):
        made.append(name)
        return module(name, text, file)

    yield make
    for name in made:
        del sys.modules[name]


def test_names_imported_into_modules_of_the_user(modules):
    user = modules("user_module", HELPER, "/home/user/project/user_module.py")

    def f(x):
        y = user.make()
        y[1] = x[2]
        return y + user.fill(x)

    check(f)
    assert user.zeros is np.zeros
    assert user.make_ones is np.ones
    assert user.eye is np.eye


def test_an_installed_package_is_watched_where_it_stores_traced_values(modules):
    package = modules("installed_package", HELPER, "/venv/lib/python3/site-packages/installed_package/__init__.py")
    check(lambda x: package.fill(x) * x)

    def f(x):  # what it makes and does not fill is none of ours
        y = package.make()
        assert type(y) is np.ndarray
        return y * x

    check(f)


# What others see ---------------------------------------------------------------------------------------


def test_nothing_is_seen_outside(modules):
    """Other threads and other modules get the very functions, at any time; after the run all is as before."""
    functions = {name: getattr(np, name) for name in (*creation.NAMES, "ndarray")}
    library = modules("some_library", HELPER, "/venv/lib/python3/site-packages/some_library/__init__.py")
    user = modules("a_module", HELPER, "/home/user/project/a_module.py")
    inside, proceed, seen = threading.Event(), threading.Event(), []

    def look():
        inside.wait(10)
        seen.extend(getattr(np, name) is fn and vars(np)[name] is fn for name, fn in functions.items())
        seen.append(type(np.zeros(3)) is np.ndarray)
        seen.append(type(user.make()) is np.ndarray)  # through the names it imported
        seen.append(type(user.zeros(2)) is np.ndarray)
        seen.append(pickle.loads(pickle.dumps(user.zeros)) is functions["zeros"])
        seen.append(isinstance(np, types.ModuleType))
        proceed.set()

    thread = threading.Thread(target=look)
    thread.start()

    def f(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[1] = user.fill(x)[0]
        inside.set()  # only the second run comes here
        assert proceed.wait(10)
        assert type(library.make()) is np.ndarray
        assert library.np.zeros is not functions["zeros"]  # looked up by this test, which is watched
        return y.sum()

    assert grad(f)(X).tolist() == [2.0, 0.0, 0.0]
    thread.join()
    assert all(seen)
    assert len(seen) == len(functions) + 5
    assert type(np) is types.ModuleType
    assert all(vars(np)[name] is fn for name, fn in functions.items())
    assert user.zeros is functions["zeros"]


def test_a_module_imported_meanwhile_keeps_the_functions(tmp_path, monkeypatch):
    (tmp_path / "imported_meanwhile.py").write_text(HELPER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def f(x):
        y = np.zeros(3)
        y[0] = x[0]
        late = importlib.import_module("imported_meanwhile")
        return y.sum() + late.make().sum() * x[1]

    grad(f)(X)
    sys.modules.pop("imported_meanwhile", None)
    grad(f)(X)
    late = sys.modules.pop("imported_meanwhile")
    assert late.zeros is np.zeros


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_half_way_leaves_nothing_behind(error):
    def f(x):
        y = np.zeros(3)
        y[0] = x[0]
        raise error("half-way")

    for _ in range(2):
        with pytest.raises(error):
            grad(f)(X)
    assert type(np) is types.ModuleType
    assert type(np.zeros(2)) is np.ndarray


def test_an_error_of_the_users_own_is_raised_as_it_is():
    """Through any number of transforms, though a traced value was asked for its plain one before."""

    def f(x):
        with contextlib.suppress(TypeError):
            float(x[0])
        raise ValueError("of the user")

    for run in (grad(f), grad(lambda x: grad(f)(x)[0]), compile(grad(f)), hessian(f)):
        with pytest.raises(ValueError, match="of the user") as caught:
            run(X)
        assert caught.value.__cause__ is not caught.value


def test_threads_at_once():
    """Every thread gets its own derivative, whoever comes and goes first."""

    def f(x):
        y = np.zeros(50)
        for i in range(50):
            y[i] = x[0] * i
        return y.sum() * x[1]

    results = [None] * 8

    def work(k):
        results[k] = [grad(f)(X * (k + 1)).tolist() for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k, found in enumerate(results):
        expected = [1225 * X[1] * (k + 1), 1225 * X[0] * (k + 1), 0.0]
        np.testing.assert_allclose(found, [expected] * 5)
    assert type(np) is types.ModuleType
