"""What `compile` and plans tell apart: all that a function can see of its arguments beside their values."""

import dataclasses
import functools
import threading
import warnings

import numpy as np
import pytest
import scipy.sparse

from admodes import GuardFailed, compile, grad, jacfwd, sparse_jacobian_plan, trace, vjp
from admodes.core.contents import contents
from admodes.program.compile import TRACES

rng = np.random.default_rng(8)
X = rng.normal(size=4)


@dataclasses.dataclass
class Pair:
    first: object
    second: object


NESTS = {
    "dict": lambda d: d,
    "in a list": lambda d: [X, d],
    "in a dict": lambda d: {"z": d},
    "in a dataclass": lambda d: Pair(d, X),
    "in a tuple": lambda d: (d, 2),
}


def stacked(tree):
    """The leaves of dictionaries in the order in which they were inserted."""
    if isinstance(tree, Pair):
        tree = [tree.first, tree.second]
    if isinstance(tree, dict | list | tuple):
        return [x for part in (tree.values() if isinstance(tree, dict) else tree) for x in stacked(part)]
    return [tree * np.ones(4)]


@pytest.mark.parametrize("nest", NESTS)
def test_the_order_in_which_keys_were_inserted(nest):
    def f(tree):
        return np.concatenate(stacked(tree))

    flat = compile(f)
    for keys in ("abc", "cab", "bca", "abc"):
        tree = NESTS[nest]({k: X * "abc".index(k) for k in keys})
        np.testing.assert_array_equal(flat(tree), f(tree))
    keywords = compile(lambda **given: np.concatenate(stacked(given)))
    for keys in ("ab", "ba"):
        given = {k: X * "xab".index(k) for k in keys}
        np.testing.assert_array_equal(keywords(**given), np.concatenate(list(given.values())))


def test_a_plan_knows_the_order_of_keys():
    def f(p):
        return np.concatenate([x**2 for x in p.values()])

    plan = sparse_jacobian_plan(f, {"a": X, "b": 2 * X})
    for p in ({"a": X, "b": 2 * X}, {"b": 2 * X, "a": X}):
        right = np.zeros((8, 8))
        for i, k in enumerate(p):
            j = 4 * "ab".index(k)
            right[4 * i : 4 * i + 4, j : j + 4] = np.diag(2 * p[k])
        np.testing.assert_allclose(plan(p).toarray(), right)


BASE = rng.normal(size=(6, 8, 5))
LAYOUTS = {
    "C": BASE[:2, :3, 0].copy(),
    "F": np.asfortranarray(BASE[:2, :3, 0]),
    "transposed": BASE[:3, :2, 0].copy().T,
    "strided": BASE[:2, :3, 0],
    "every other": BASE[:4:2, :6:2, 1],
    "reversed": BASE[:2, :3, 2].copy()[::-1, ::-1],
    "columns reversed": BASE[:2, :3, 2].copy()[:, ::-1],
    "broadcast": np.broadcast_to(BASE[0, :3, 0], (2, 3)),
    "rows apart": BASE[:4, :3, 0].copy()[::2],
}


def by_views(x):
    y = x + 0.0
    y.reshape(-1)[1] = 99.0
    return y


def by_ravel(x):
    y = x * 1.0
    y.ravel()[2] = -7.0
    return y * x


SEEN = {
    "ravel K": lambda x: np.ravel(x, order="K"),
    "ravel A": lambda x: np.ravel(x, order="A"),
    "reshape A": lambda x: np.reshape(x * 1.0, -1, order="A"),
    "flags": lambda x: x * 2 if x.flags.f_contiguous else x * 3,
    "strides": lambda x: x * (1.0 if x.strides[0] > x.strides[1] else -1.0),
    "written through": by_views,
    "written through a ravel": by_ravel,
}


@pytest.mark.parametrize("seen", SEEN)
def test_the_memory_order_of_an_argument(seen):
    f = SEEN[seen]
    flat, pulled = compile(f), compile(lambda x: vjp(f, x)[1](np.ones(np.shape(f(x))))[0])
    dense = ("C", "F", "transposed")  # a tape keeps other arrays as copies without gaps
    for name in (*LAYOUTS, *reversed(LAYOUTS)):
        x = LAYOUTS[name]
        if name in dense or seen != "ravel K":
            np.testing.assert_array_equal(flat(x), f(x), name)
        if name in dense:
            np.testing.assert_array_equal(pulled(x), vjp(f, x)[1](np.ones(np.shape(f(x))))[0], name)


def test_a_plan_knows_the_memory_order():
    f = lambda x: np.ravel(x, order="K") ** 2  # noqa: E731
    plan = sparse_jacobian_plan(f, LAYOUTS["C"])
    for name, places in (("C", np.arange(6)), ("F", [0, 3, 1, 4, 2, 5]), ("transposed", [0, 3, 1, 4, 2, 5])):
        right = np.zeros((6, 6))
        right[np.arange(6), places] = 2 * np.ravel(LAYOUTS[name])[places]
        for x in (LAYOUTS[name], LAYOUTS[name].copy(order="K")):
            np.testing.assert_allclose(plan(x).toarray(), right)
    assert len(plan._orders) == 2


def test_one_trace_serves_slices_of_one_array():
    runs = []

    def f(x):
        runs.append(1)
        return x * 2.0

    flat = compile(f)
    for k in range(4):
        flat(BASE[k])  # rows of a C array lie in the order of C
        flat(BASE[:, k])
        flat(BASE[:, :, k].T)
    assert len(runs) == 3


def test_slices_and_whole_numbers_as_arguments():
    flat = compile(lambda x, s: x[s] * 2)
    for s in (slice(0, 2), slice(1, None), slice(None, None, -1), slice(0, 2), 1, -1, None, Ellipsis):
        np.testing.assert_array_equal(flat(X, s), X[s] * 2)
    both = compile(lambda p: p["x"][p["where"]])
    for s in (slice(0, 2), slice(2, 4)):
        np.testing.assert_array_equal(both({"x": X, "where": s}), X[s])


@pytest.mark.parametrize("kind", [np.int64, np.array, np.int32], ids=["scalar", "array", "short"])
def test_an_integer_that_sizes_an_array(kind):
    for f in (
        lambda x, n: np.arange(n) * x[0],
        lambda x, n: np.arange(1, 2 * n, 2) * x[1],
        lambda x, n: x[0] * np.ones(n),
        lambda x, n: np.linspace(0.0, 1.0, n) * x[0],
        lambda x, n: x[: n // 2] * np.arange(n - n % 2).reshape(-1, n // 2 or 1).sum(axis=0),
        lambda x, n: sum(x * k for k in range(n)),
    ):
        flat, slope = compile(f), compile(grad(lambda x, n, f=f: np.sum(f(x, n))))
        for n in (3, 4, 3, 5):
            np.testing.assert_allclose(flat(X, kind(n)), f(X, n))
            np.testing.assert_allclose(slope(X, kind(n)), grad(lambda x, n=n, f=f: np.sum(f(x, n)))(X))


def test_a_traced_float_is_no_size():
    with pytest.raises(TypeError, match="float"):
        compile(lambda x: np.arange(x[0] * 10))(X)


def test_a_whole_number_that_changes_is_traced_so_often_and_no_more():
    runs = []

    def f(x, n):
        runs.append(n)
        return x * n

    flat = compile(f)
    for n in range(TRACES):
        flat(X, n)
    with pytest.warns(UserWarning, match="values of an argument that is no array"):
        np.testing.assert_array_equal(flat(X, TRACES), X * TRACES)
    assert len(runs) == TRACES + 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(flat(X, TRACES + 1), X * (TRACES + 1))  # untraced, and told once
        flat(X, 3)  # traced before
    assert len(runs) == TRACES + 2
    flat(X[:2], 3)  # another shape is another family
    assert len(runs) == TRACES + 3
    flat(X[:2], 3)
    assert len(runs) == TRACES + 3


def _through_a_view(x):
    y = x * 1.0
    y.reshape(-1)[0] = 100.0
    return y


SEES = {
    "order K": lambda x: np.ravel(x, order="K") * np.arange(6.0),
    "order A": lambda x: x.reshape(-1, order="A") * np.arange(6.0),
    "flags": lambda x: x * 2 if x.flags.c_contiguous else x * 3,
    "strides": lambda x: x * x.strides[0],
    "a view written to": _through_a_view,
}


@pytest.mark.parametrize("f", SEES.values(), ids=SEES)
def test_a_program_is_not_for_another_order_in_memory_that_its_function_sees(f):
    C = np.arange(6.0).reshape(2, 3) + 1
    F = np.asfortranarray(C)
    for traced_at, other in ((C, F), (F, C), (C, C[:, ::-1])):
        program = trace(f, traced_at)
        np.testing.assert_array_equal(program(traced_at + 1), f(traced_at + 1))
        with pytest.raises(GuardFailed, match="order in memory"):
            program(other)


def test_a_program_is_for_every_order_in_memory_that_its_function_does_not_see():
    C = np.arange(6.0).reshape(2, 3) + 1
    program = trace(lambda x: np.sum(np.sin(x) @ x.T), C)
    for x in (np.asfortranarray(C), C[:, ::-1], np.repeat(C, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(program(x), np.sum(np.sin(x) @ x.T))


class Model:
    def __init__(self, k):
        self.k = k

    @functools.cached_property
    def twice(self):
        return 2 * self.k


class Sevenfold(np.ndarray):
    def __mul__(self, other):
        return np.asarray(self) * other * 7


class Named(np.ndarray):
    def __array_finalize__(self, other):
        self.name = "named"


def _ones(kind):
    return np.ones(4).view(kind)


HOLDING = {
    "masked": (lambda x, m: x * m.sum(), [np.ma.masked_array([1.0, 2.0], mask) for mask in ([0, 1], [0, 0], [1, 0])]),
    "filled": (lambda x, m: x * m.filled(0.0).sum(), [np.ma.masked_array([1.0, 2.0], [0, 1])]),
    "operators": (lambda x, s: x + s * 2, [_ones(Sevenfold), 3 * np.asarray(_ones(Sevenfold))]),
    "an object": (lambda x, p: x * p.k, [Model(2), Model(5), Model(np.ones(4))]),
    "a property of it": (lambda x, p: x * p.twice, [Model(2), Model(5)]),
    "in a list": (lambda x, ps: x * sum(p.k for p in ps), [[Model(2)], [Model(5)], [Model(1), Model(4)]]),
    "itself in it": (lambda x, p: x * p.k.k[1], [Model(Model([1, 3])), Model(Model([1, 2]))]),
    "zeros": (lambda x, p: x * np.copysign(1.0, p.k), [Model(0.0), Model(-0.0)]),
    "sparse": (lambda x, A: A @ x, [scipy.sparse.csr_matrix(np.eye(4)), scipy.sparse.csr_matrix(2 * np.eye(4))]),
    "a set": (lambda x, chosen: x * len(chosen), [{1, 2}, {1}]),
    "texts": (lambda x, a: x * (a == "a").sum(), [np.array(["a", "b"]), np.array(["a", "a"])]),
}


@pytest.mark.parametrize("case", HOLDING)
def test_what_arguments_hold_that_are_no_arrays_of_numbers(case):
    f, held = HOLDING[case]
    flat, slope = compile(f), compile(grad(lambda x, p: np.sum(f(x, p))))
    plan, program = sparse_jacobian_plan(f, X, held[0]), trace(f, X, held[0])
    for p in (*held, held[0]):
        np.testing.assert_allclose(flat(X, p), f(X, p))
        np.testing.assert_allclose(slope(X, p), grad(lambda x, p=p: np.sum(f(x, p)))(X))
        if p is held[0]:
            np.testing.assert_allclose(plan(X, p).toarray(), jacfwd(f)(X, p))
            np.testing.assert_allclose(program(X, p), f(X, p))
        else:
            with pytest.raises(ValueError, match="the plan was made for arguments"):
                plan(X, p)
            with pytest.raises(TypeError, match=r"holds something else|traced for arguments"):
                program(X, p)


def test_an_object_that_holds_something_else():
    def f(x, p):
        return x * np.roll(x, p.k)

    p, other = Model(1), Model(1)
    flat, plan, program = compile(f), sparse_jacobian_plan(f, X, p), trace(f, X, p)
    np.testing.assert_allclose(flat(X, p), f(X, p))
    p.k = 2
    np.testing.assert_allclose(flat(X, p), f(X, p))
    np.testing.assert_allclose(plan(X, other).toarray(), jacfwd(f)(X, other))
    with pytest.raises(ValueError, match="part of the plan, with all that it holds"):
        plan(X, p)
    with pytest.raises(TypeError, match="holds something else"):
        program(X, p)


def test_attributes_of_a_class():
    class Settings:
        k = 1.0
        lock = threading.Lock()

    class Inheriting(Settings):
        pass

    flat = compile(lambda x, c: x * c.k)
    for k in (1.0, 2.0):
        Settings.k = k
        for c in (Settings, Inheriting, Settings(), Inheriting()):
            np.testing.assert_allclose(flat(X, c), X * k)


def test_subclasses_that_do_what_arrays_do_are_inputs():
    runs = []
    flat = compile(lambda x: (runs.append(1), x * 2.0)[1])
    for scale in (1.0, 3.0):
        np.testing.assert_array_equal(flat(scale * _ones(Named)), 2 * scale * np.ones(4))
    assert len(runs) == 1
    with pytest.raises(TypeError, match="traced as float64"):
        trace(lambda x: x * 2.0, np.ones(4))(np.ma.masked_array(np.ones(4), [0, 1, 0, 0]))


def _assigned(s, g):
    s["m"] = 0.9 * s["m"] + g
    return s["m"] * 0.1


def _appended(s, g):
    s.append(g)
    return sum(s) * g


def _counted(s, g):
    s.first = s.first + g
    return s.first * 2.0


def _beside_the_fields(s, g):
    s.third = g
    return s.first * g


def _of_object(s, g):
    s.k += 1
    return s.k * g


CHANGING = {
    "a dict": (_assigned, lambda: {"m": 0.0}),
    "a list": (_appended, lambda: [1.0]),
    "a dataclass": (_counted, lambda: Pair(1.0, X)),
    "an attribute that is no field": (_beside_the_fields, lambda: Pair(1.0, X)),
    "an object": (_of_object, lambda: Model(1)),
    "inside": (lambda s, g: _assigned(s[0], g), lambda: [{"m": np.ones(2)}]),
    "a generator of random numbers": (lambda s, g: s.normal() * g, lambda: np.random.default_rng(1)),
}


@pytest.mark.parametrize("case", CHANGING)
def test_a_function_that_changes_what_its_argument_holds_runs_untraced(case):
    f, made = CHANGING[case]
    flat, given, right = compile(f), made(), made()
    with pytest.warns(UserWarning, match="changes an argument"):
        found = [flat(given, 1.5)]
    found += [flat(given, 1.5) for _ in range(2)]
    np.testing.assert_allclose(found, [f(right, 1.5) for _ in range(3)])
    assert contents(given) == contents(right)


def test_a_truth_as_a_number():
    def f(x):
        return np.sum(x * (1.0 + float(np.isnan(x).any())))

    for g in (f, grad(f)):
        flat = compile(g)
        for x in (X, np.where(X > 0, X, np.nan)):
            np.testing.assert_array_equal(flat(x), g(x))


def test_one_array_given_twice():
    runs = []

    def f(a, b, c=None):
        runs.append(1)
        return np.sum(a * b) + (10.0 if a is b else 0.0) + (100.0 if c is a else 0.0)

    flat, (x, y, z) = compile(f), (X, X + 1, X + 2)
    calls = [((x, y), {}), ((x, x), {}), ((x, y), {"c": x}), ((x, x), {"c": z}), ((x, y, x), {}), ((x, y, z), {})]
    for args, named in [*calls, *calls, *calls]:
        np.testing.assert_allclose(flat(*args, **named), f(*args, **named))
    assert len(runs) == 4 * len(calls)
    many = compile(lambda *xs: sum(xs) + sum(x is xs[0] for x in xs))
    for xs in ([X, X + 1, X + 2, X + 3], [X] * 4, [X, X + 1, X, X + 3], [X + 3, X + 2, X + 1, X]):
        np.testing.assert_allclose(many(*xs), sum(xs) + sum(x is xs[0] for x in xs))
    assert compile(np.multiply)(2.5, 2.5) == 6.25
