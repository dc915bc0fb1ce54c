"""The seams to Python and to other libraries: what traced values are to isinstance, pickle, copy, foreign operands."""

import copy
import functools
import numbers
import operator
import pickle

import numpy as np
import pytest

import admodes as ad
from admodes.core.errors import Detached

X = np.array([0.2, 0.35])

# Every way to run a function under tracers, by the derivative of its sum.
WAYS = {
    "forward": lambda f, x: ad.jacfwd(lambda x: np.sum(f(x)))(x),
    "reverse": lambda f, x: ad.grad(lambda x: np.sum(f(x)))(x),
    "compiled": lambda f, x: ad.compile(ad.grad(lambda x: np.sum(f(x))))(x),
    "nested": lambda f, x: ad.grad(lambda s: ad.jvp(lambda x: np.sum(f(x)), (x,), (s,))[1])(x),
}
every_way = pytest.mark.parametrize("derivative", WAYS.values(), ids=WAYS)


# ---------------------------------------------------------------------------------------------------
# What kind of thing a traced value is
# ---------------------------------------------------------------------------------------------------

KINDS = (np.ndarray, np.generic, np.floating, float, int, complex, numbers.Number, numbers.Real, np.float32, list)


@every_way
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_isinstance_says_of_a_traced_value_what_it_says_of_the_plain_one(derivative, dtype):
    def kinds(x):
        return [[isinstance(v, kind) for kind in KINDS] + [np.isscalar(v)] for v in (x, x[0], x.sum(), x[:0], x * 1j)]

    seen = []
    derivative(lambda x: (seen.append(kinds(x)), x * x)[1], X.astype(dtype))
    assert seen
    assert all(of == kinds(X.astype(dtype)) for of in seen)


@every_way
def test_a_branch_on_the_kind_goes_the_way_of_arrays(derivative):
    def f(x):
        return x**2 if isinstance(x, np.ndarray) else x * 0

    @functools.singledispatch
    def g(x):
        raise TypeError

    g.register(np.ndarray, lambda x: x**2)
    for function in (f, g):
        assert np.allclose(derivative(function, X), 2 * X)


def test_the_class_of_a_traced_array_makes_no_array():
    with pytest.raises(TypeError, match="zeros_like"):
        ad.grad(lambda x: np.sum(x.__class__((2,))))(X)


# ---------------------------------------------------------------------------------------------------
# Copies, near and far
# ---------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("carry", [lambda x: x, lambda x: [x], lambda x: {"a": x[0]}, lambda x: np.array([x[0], x[1]])])
def test_pickle_would_detach(derivative, carry):
    with pytest.raises(Detached, match=r"pickling x.*inside the function that is sent"):
        derivative(lambda x: pickle.loads(pickle.dumps(carry(x))), X)


@every_way
def test_deepcopy_is_a_copy(derivative):
    def f(x):
        y, (z, w), a = copy.copy(x), copy.deepcopy([x, {"b": x[0]}]), copy.deepcopy(np.array([x[0], x[1]]))
        x *= 3.0
        return y * z * w["b"] * a

    assert np.allclose(derivative(f, X), [4 * X[0] ** 3 + X[1] ** 3, 3 * X[0] * X[1] ** 2])


# ---------------------------------------------------------------------------------------------------
# Operands of other libraries
# ---------------------------------------------------------------------------------------------------


class Reflected:
    """Operators, and nothing of NumPy's protocols."""

    def __rmul__(self, other):
        return other * 3.0

    __rmatmul__ = __rmul__


class Aloof(Reflected):
    """Says that ufuncs are not for it."""

    __array_ufunc__ = None


class Ahead(Reflected):
    """A legacy class that goes before arrays."""

    __array_priority__ = 100


class Unit(np.ndarray):
    """An array with a unit: every ufunc is ten times as large."""

    def __array_ufunc__(self, ufunc, method, *inputs, **params):
        return 10.0 * ufunc(*[np.asarray(i) if isinstance(i, Unit) else i for i in inputs])


ONES = np.ones(2).view(Unit)


@every_way
@pytest.mark.parametrize("operand", [Reflected(), Aloof(), Ahead()], ids=["reflected", "aloof", "ahead"])
def test_an_operator_is_left_to_the_other_operand(derivative, operand):
    for f, right in ((lambda x: x * operand, 3), (lambda x: x @ operand, 3), (lambda x: x[0] * operand, [3, 0])):
        assert np.allclose(derivative(f, X), right)
    with pytest.raises(TypeError, match=rf"unsupported operand.*'{type(operand).__name__}'"):
        derivative(lambda x: x - operand, X)
    with pytest.raises(TypeError, match=type(operand).__name__):
        derivative(lambda x: np.multiply(x, operand), X)


@every_way
@pytest.mark.parametrize("f", [lambda x: x * ONES, lambda x: ONES * x, lambda x: np.multiply(x, ONES)])
def test_a_subclass_that_states_its_ufuncs_keeps_them(derivative, f):
    assert np.allclose(derivative(f, X), 10.0)


@every_way
def test_where_no_one_takes_it_the_operand_is_named(derivative):
    for f in (lambda x: np.where(x > 0, x, ONES), lambda x: np.stack([x, ONES]), lambda x: np.dot(x, Reflected())):
        with pytest.raises(TypeError, match=r"(Unit|Reflected) met a traced value.*plain array"):
            derivative(f, X)


SERIES = {
    "of a list": lambda pandas, x, s: pandas.Series([x[0], x[1] ** 2], index=[1, 0])[0],
    "cast": lambda pandas, x, s: pandas.Series([x[0], x[1] ** 2]).astype(object).to_numpy(),
    "times": lambda pandas, x, s: (x * s).to_numpy(),
    "aligned": lambda pandas, x, s: (x * s + pandas.Series([3.0, 4.0], index=[0, 1])).to_numpy(),
    "sum": lambda pandas, x, s: (s * x).sum(),
    "apply": lambda pandas, x, s: (pandas.DataFrame(np.outer(x, x)).iloc[0]).apply(lambda v: v * v).to_numpy(),
    "frame": lambda pandas, x, s: pandas.DataFrame({"a": x, "b": x * x})["b"].to_numpy(),
    "diff": lambda pandas, x, s: pandas.Series([x[0], x[1] ** 2]).diff().to_numpy()[1:],
}


@every_way
@pytest.mark.parametrize("name", SERIES)
def test_a_series_keeps_its_labels_or_refuses(derivative, name):
    pandas = pytest.importorskip("pandas")
    s = pandas.Series([1.0, 2.0], index=[1, 0])

    def f(x):
        return SERIES[name](pandas, x, s)

    steps = 1e-6 * np.eye(2)
    right = [np.sum((f(X + h) - f(X - h)) / 2e-6) for h in steps]
    try:
        found = derivative(f, X)
    except TypeError:
        return
    np.testing.assert_allclose(found, right, atol=1e-8)


# ---------------------------------------------------------------------------------------------------
# Lists in place of arrays
# ---------------------------------------------------------------------------------------------------

LISTS = {
    "operand": lambda x: x * [x[1], 2.0],
    "reflected": lambda x: (x[0], 2.0) - x,
    "nested": lambda x: x @ [[x[0], 1.0], [x[1], x[0]]],
    "rows": lambda x: x.dot([x, 2 * x]),
    "where": lambda x: np.where(x > 0.3, x, [x[1], x[0]]),
    "solve": lambda x: np.linalg.solve([[x[0], 1.0], [2.0, x[1]]], x),
    "stack": lambda x: np.stack([[x[0], x[1]], [1.0, x[0] ** 2]]),
    "concatenate": lambda x: np.concatenate([[x[0], 2.0], x * x]),
    "interp": lambda x: np.interp(x, [0.0, x[0], 1.0], [x[1], 2.0, 3.0]),
    "select": lambda x: np.select([True], [x[0] ** 2]),
    "select of lists": lambda x: np.select([x > 0.3, [True, True]], [[x[0], 1.0], x**2]),
    "einsum": lambda x: np.einsum("i,i", [x[0] ** 2, 1.0], x),
    "comparison": lambda x: x * (x > [x[1], 0.1]),
}


@every_way
@pytest.mark.parametrize("f", LISTS.values(), ids=LISTS)
def test_lists_of_traced_values_are_arrays(derivative, f):
    eps = 1e-6
    differences = [(np.sum(f(X + e)) - np.sum(f(X - e))) / (2 * eps) for e in eps * np.eye(2)]
    assert np.allclose(derivative(f, X), differences, atol=1e-7)


@every_way
def test_a_ragged_list_is_no_array(derivative):
    with pytest.raises(ValueError, match=r"different shapes.*\(\), \(2,\).*concatenate"):
        derivative(lambda x: x * [x[0], x], X)
    with pytest.raises(ValueError, match="nested differently"):
        derivative(lambda x: x * [x[0], [x[1]]], X)


# ---------------------------------------------------------------------------------------------------
# Arrays with labels and with units
# ---------------------------------------------------------------------------------------------------


class Held:
    """What gives its array to who asks by NumPy's protocol."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.a)


@every_way
@pytest.mark.parametrize("convert", [np.asarray, np.array, np.sum, np.sin, lambda a: np.multiply(a, 1.0)])
def test_an_array_asked_of_a_class_of_the_users_own_keeps_its_derivative(derivative, convert):
    found = derivative(lambda x: np.sum(convert(Held(x * x)) * 1.0), X)
    np.testing.assert_allclose(found, derivative(lambda x: np.sum(convert(x * x)), X))


LABELLED = {
    "times": lambda xr, x, a: (x * a).data,
    "under": lambda xr, x, a: (a / (2 + x[0])).values,
    "ufunc": lambda xr, x, a: np.multiply(x, a).to_numpy(),
    "asked": lambda xr, x, a: np.asarray(x * a) * 1.0,
    "reduced": lambda xr, x, a: (a * x).mean("t").data,
    "aligned": lambda xr, x, a: (xr.DataArray(x, dims="t", coords={"t": [1, 2]}) * a).data,
    "outer": lambda xr, x, a: (xr.DataArray(x, dims="s") * a).data,
    "chosen": lambda xr, x, a: (a * x).sel(t=[1, 0]).data,
    "where": lambda xr, x, a: a.where(a > 1.5, x[0]).data,
    "concatenated": lambda xr, x, a: xr.concat([a * x, a], "k").data,
    "dataset": lambda xr, x, a: (xr.Dataset({"v": ("t", x)}).v * 2).data,
    "sorted": lambda xr, x, a: xr.DataArray(x, dims="t").sortby(-a).data,
}
MEASURED = {
    "times": lambda u, x: (x * u.m).magnitude,
    "array": lambda u, x: (x * (np.array([1.0, 2.0]) * u.m)).magnitude,
    "sum of units": lambda u, x: (x * u.m + np.array([1.0, 2.0]) * u.cm).to("mm").magnitude,
    "angle": lambda u, x: np.sin(x * u.deg).magnitude,
    "product": lambda u, x: np.dot(x, np.array([1.0, 2.0]) * u.s).magnitude,
    "branch": lambda u, x: np.where(x * u.m > 30 * u.cm, x * u.m, 0 * u.m).magnitude,
    "in place": lambda u, x: (x * u.m).__iadd__(np.array([1.0, 2.0]) * u.cm).magnitude,
    "power": lambda u, x: ((x * u.km) ** 2).to_base_units().magnitude,
}


REFLECTED = {
    "radd": operator.add, "rsub": operator.sub, "rmul": operator.mul, "rmatmul": operator.matmul,
    "rtruediv": operator.truediv, "rpow": operator.pow, "rmod": operator.mod, "rfloordiv": operator.floordiv,
    "gt": operator.lt, "lt": operator.gt, "ge": operator.le, "le": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


@every_way
@pytest.mark.parametrize("name", REFLECTED)
def test_a_subclass_with_an_operator_of_its_own_is_asked_first(name, derivative):
    """As Python has it of a subclass; where that has another operator of its own, no rule says what x ∘ u is."""
    op = REFLECTED[name]
    own = type("Own", (np.ndarray,), {f"__{name}__": lambda u, x: op(x, np.asarray(u)) * 3.0})
    u = np.array([0.25, 2.0]).view(own)
    agrees_with_differences(lambda x: op(x, u) * x, derivative)
    other = operator.sub if op is operator.add else operator.add
    with pytest.raises(TypeError, match="operators of its own"):
        derivative(lambda x: other(x, u), X)
    with pytest.raises(TypeError, match="argument 0 is a Own, an array with operations of its own"):
        derivative(lambda u: u * 1.0, u)


def test_what_is_read_once_is_for_one_run():
    def f(x, it):
        return x * sum(it)

    for mode in ("auto", "sparse", "mixed"):
        with pytest.raises(TypeError, match=r"list_iterator, which is read once.*list\(it\)"):
            ad.jacobian(f, mode=mode)(X, iter([1.0, 2.0]))
    with pytest.raises(TypeError, match="generator, which is read once"):
        ad.jacfwd(f, chunk=1)(X, (float(k) for k in range(3)))
    for jacobian in (ad.jacrev, ad.jacfwd):
        np.testing.assert_array_equal(jacobian(f)(X, iter([1.0, 2.0])), 3.0 * np.eye(2))


def test_an_error_inside_a_package_names_the_line_that_calls_it():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(Detached, match=r"test_seams\.py, line \d+: .*pandas\.Series\(x\)\.rolling"):
        ad.grad(lambda x: pandas.Series(x).rolling(2).mean().sum())(X)


def test_a_masked_array_in_a_closure():
    m = np.ma.masked_array([1.0, 2.0], [0, 1])
    for take in (ad.compile, ad.grad, ad.jacobian):
        np.testing.assert_array_equal(
            take(lambda x: (x * x)[m.mask].sum())(X), [0.0, 0.7] if take is not ad.compile else X[1] ** 2
        )


@every_way
@pytest.mark.parametrize("use", LABELLED.values(), ids=LABELLED)
def test_labelled_arrays(use, derivative):
    xarray = pytest.importorskip("xarray")
    a = xarray.DataArray([1.0, 2.0], dims="t", coords={"t": [0, 1]})
    agrees_with_differences(lambda x: use(xarray, x, a), derivative)


@every_way
@pytest.mark.parametrize("use", MEASURED.values(), ids=MEASURED)
def test_arrays_with_units(use, derivative):
    u = pytest.importorskip("pint").UnitRegistry()
    agrees_with_differences(lambda x: use(u, x), derivative)


def agrees_with_differences(f, derivative):
    right = [np.sum((f(X + h) - f(X - h)) / 2e-6) for h in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(derivative(f, X), right, rtol=1e-6, atol=1e-8)
