"""Programs of whole numbers, truths and short floats: what NumPy gives, in value, dtype and kind, for every row."""

import numpy as np
import pytest
import test_ops

from admodes import compile, grad, jvp, sparse_jacobian_plan, trace, vjp
from admodes.core.domain import A, Apart, case
from admodes.core.registry import OPS, Passive, Refused
from admodes.scipy import ndimage

pytestmark = [test_ops.pytestmark, pytest.mark.filterwarnings("ignore")]
QUICK = ("i1", "?", "i8")
ALL = ("?", "i1", "u1", "i4", "i8", "f2", "f4")
CLOSE = {"f2": 3e-2, "f4": 1e-3, "mixed": 1e-6}
# Of numbers near the largest these ask for as much memory, or take as long.
SMALL_ALONE = {OPS[fn] for fn in (np.bincount, np.repeat, np.resize)}


# Of doubles near these the rules lose digits that NumPy keeps, or keep some that it loses.
CANCELLING = (np.gradient, np.geomspace)


def keys_of_rows():
    """One key for each function of NumPy's."""
    keys = {}
    for key, op in OPS.items():
        numpys = (getattr(op.fn, "__module__", None) or "numpy").startswith("numpy") or isinstance(key, tuple)
        if numpys and not isinstance(op, Refused) and (op.domain or isinstance(op, Passive)):
            keys.setdefault(id(op), key)
    return [key for key in keys.values() if not OPS[key].name.startswith("special.")]


def calls(key):
    op = OPS[key]
    if op.domain and not isinstance(op.domain, Apart):
        return test_ops.cases(op)
    if isinstance(key, np.ufunc):
        return [case(*[A(2, 3)] * key.nin), case(*[A()] * key.nin)]
    return [case(A(4)), case(A(2, 3)), case(A(4), A(4)), case(A(3, 3))]


def sampled(a, dtype, rng, near_the_largest):
    x = np.asarray(a.sample(rng, "f")).real
    if dtype[0] == "f":
        return x.astype(dtype)[()]
    if dtype == "?":
        return (x > (0.5 if near_the_largest else 0))[()]
    info = np.iinfo(dtype)
    if near_the_largest:
        return rng.choice(np.array([info.max, info.max // 2, info.min, info.min + 1, 3, 0], dtype), size=a.shape)[()]
    x = np.round(3 * x)
    return (np.abs(x) if info.min == 0 else x).astype(dtype)[()]


def assert_same(got, right, dtype):
    if isinstance(right, tuple | list):
        assert type(got) is type(right)
        for a, b in zip(got, right, strict=True):
            assert_same(a, b, dtype)
        return
    assert type(got) is type(right)
    assert (got.dtype, got.shape) == (right.dtype, right.shape)
    if dtype in CLOSE:
        np.testing.assert_allclose(got, right, rtol=CLOSE[dtype], atol=CLOSE[dtype])
    else:
        np.testing.assert_array_equal(got, right)


def try_out(key, dtypes, native, at_most=None, whole=None):
    """Compile each call and run it at two points; `whole`: the argument that takes the dtype, if others are doubles."""
    fn = test_ops.called(key)
    for number, one in enumerate(calls(key)[:at_most]):
        for dtype in dtypes:
            rng = np.random.default_rng([number, ord(dtype[0])])

            def f(*xs, one=one):
                args, params = one.fill(xs)
                return fn(*args, **params)

            compiled = compile(f, native=native)
            for near in (False, True)[: 1 if OPS[key] in SMALL_ALONE else 2]:
                xs = [sampled(a, dtype if whole in (None, i) else "f8", rng, near) for i, a in enumerate(one.arrays)]
                try:
                    right = f(*[np.array(x)[()] for x in xs])
                except (
                    ArithmeticError,
                    LookupError,
                    TypeError,
                    ValueError,
                ):  # of NumPy itself
                    continue
                parts = right if isinstance(right, tuple | list) else [right]
                if all(isinstance(y, np.ndarray | np.generic) for y in parts):
                    got = compiled(*xs)
                    if key in (np.unique_values, np.partition):  # in any order
                        got, right = np.sort(got), np.sort(right)
                    assert_same(got, right, dtype if whole is None else "mixed")


ROWS = keys_of_rows()
every_row = pytest.mark.parametrize("key", ROWS, ids=test_ops.name_of_row)


@every_row
def test_every_row(key):
    try_out(key, QUICK, False, at_most=2)


@pytest.mark.slow
@pytest.mark.parametrize("native", [False, True])
@every_row
def test_every_row_at_length(key, native):
    try_out(key, ALL, native)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [0, 1])
@pytest.mark.parametrize("key", [k for k in ROWS if k not in CANCELLING], ids=test_ops.name_of_row)
def test_whole_numbers_beside_doubles(key, whole):
    try_out(key, ("i1", "i8"), False, whole=whole)


# ---------------------------------------------------------------------------------------------------
# What passes and kernels make of them
# ---------------------------------------------------------------------------------------------------

BYTES, LONGS = np.array([100, 100], "i1"), np.array([2**32, 3])
CASES = {
    "a power": (lambda a: a**2.0, LONGS),
    "a power in a quotient": (lambda a: (a**2.0) / 7, LONGS),
    "no power": (lambda a: a**0.0 + a**1.0, BYTES),
    "a square": (lambda a: a * a + np.square(a), BYTES),
    "a number times a number of bytes": (lambda a: 2.5 * np.reshape(1.5 * a, (2, 1)), BYTES),
    "a number times bytes in another shape": (lambda a: 2.5 * (2.0 * np.reshape(a, (2, 1))), BYTES),
    "a sum in bytes": (lambda a: np.sum(a, dtype=np.int8), np.array([100, 100])),
    "a mean in floats": (lambda a: np.mean(a, dtype=np.float32), BYTES),
    "bytes times a double": (lambda a, x: a * x + a, BYTES, np.float64(1e300)),
    "a mask": (lambda b, x: x[np.tril(b)].sum(), np.tri(3, dtype=bool), np.arange(9.0).reshape(3, 3)),
    "edges in two dimensions": (lambda a: np.histogramdd(a, bins=3)[1][1], np.array([[1, 2], [3, 100], [5, 6]], "i1")),
    "edges beside weights": (lambda a, w: np.histogram(a, 3, weights=w)[1], BYTES // [1, 25], np.ones(2)),
    "repeated bytes added": (lambda a, b: np.add.at(a := a.copy(), [0, 0], b) or a, LONGS, BYTES),
}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("f", "xs"), [(f, xs) for f, *xs in CASES.values()], ids=CASES)
def test_passes_and_kernels(f, xs, native):
    got, right = compile(f, native=native)(*xs), f(*xs)
    assert got.dtype == right.dtype
    np.testing.assert_array_equal(got, right)


def _with_constants(x, k):
    return x * np.median(k) + x**2 * np.sum(k**2.0) + np.percentile(k, 30) * x


@pytest.mark.parametrize("k", [np.array([1, 2]), np.array([70000, 3], "i4"), BYTES], ids=str)
def test_derivatives_beside_them(k):
    x = np.array([1.5, -0.5])
    right = np.diag(np.median(k) + 2 * x * np.sum(k**2.0) + np.percentile(k, 30))
    np.testing.assert_allclose(sparse_jacobian_plan(_with_constants, x, k)(x, k).toarray(), right)
    for native in (False, True):
        derivative = compile(grad(lambda x, k: np.sum(_with_constants(x, k))), native=native)
        np.testing.assert_allclose(derivative(x, k), np.diag(right))


def test_one_call_stands_for_a_rule():
    k = np.array([3, 1, 2])
    assert [i.op.fn for i in trace(np.median, k).instructions] == [np.median]
    assert [i.op.fn for i in trace(lambda x, k: x * np.prod(k), 2.0, k).instructions] == [np.prod, np.multiply]
    assert np.median not in [i.op.fn for i in trace(np.median, 1.0 * k).instructions]


# ---------------------------------------------------------------------------------------------------
# Whole numbers that are made of floats
# ---------------------------------------------------------------------------------------------------

ROUNDED = {
    "mean": lambda x: np.mean(3 * x, dtype=int),
    "sum in bytes": lambda x: np.sum(300 * x, dtype=np.int16),
    "prod": lambda x: np.prod(3 * x, dtype=int),
    "running sum": lambda x: np.cumsum(3 * x, dtype=int),
    "var": lambda x: np.var(3 * x, dtype=int),
    "reduce": lambda x: np.add.reduce(3 * x, dtype=int),
    "linspace": lambda x: np.linspace(x[0], 9 * x[1], 4, dtype=int),
    "comparison": lambda x: np.greater(x, 0.3 * x, dtype=bool),
    "image": lambda x: ndimage.map_coordinates(np.array([1, 4, 2]), x[None], order=1),
}


@pytest.mark.parametrize("f", ROUNDED.values(), ids=ROUNDED)
def test_whole_numbers_made_of_floats_are_constant(f):
    x = np.array([0.4, 1.2, 1.9])
    right = f(x)
    for way in (lambda f: f, lambda f: compile(f)):
        y, t = way(lambda x: jvp(f, (x,), (x,)))(x)
        (g,) = way(lambda x: vjp(f, x)[1](np.ones(np.shape(right))))(x)
        assert_same(y, right, "i8")
        assert not np.any(t)
        assert not np.any(g)


@pytest.mark.parametrize("way", [lambda f, x: f(x), lambda f, x: vjp(f, x), lambda f, x: compile(f)(x)])
def test_a_ufunc_of_floats_in_integers_is_numpys_error(way):
    with pytest.raises(TypeError, match="Cannot cast ufunc 'add'"):
        way(lambda x: np.add(x, x, dtype=int), np.ones(2))


def test_numbers_and_arrays_without_axes_are_told_apart():
    g = compile(lambda x, a: x * 3 if isinstance(a, np.ndarray) else x * 4)
    assert [g(np.float32(1), a) for a in (np.float64(2), np.array(2.0), np.float64(2))] == [4, 3, 4]
    for f in (np.prod, np.linalg.norm, np.multiply.reduce, lambda x: np.where(x[0] > 0, x[0], 0.0), lambda x: x[0]):
        for native in (False, True):
            assert_same(compile(f, native=native)(np.array([2.0])), f(np.array([2.0])), "f4")
