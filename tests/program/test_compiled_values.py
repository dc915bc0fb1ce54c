"""`compile`: numbers as they are: scalars as Python floats, special values, every row, names and texts of values."""

import functools
import math
import operator

import numpy as np
import optree
import pytest
import test_ops
from checks import same
from hypothesis import given, settings
from hypothesis import strategies as st

import admodes
from admodes import compile, grad, jvp, trace, vjp
from admodes.program.code.emit import emit
from admodes.program.code.scalars import is_scalar
from admodes.program.memory import WORKSPACE_BYTES

rng = np.random.default_rng(5)
LARGE = WORKSPACE_BYTES // 8 + 7  # arrays of so many doubles get a place in the workspace


# ---------------------------------------------------------------------------------------------------
# Scalars as Python floats
# ---------------------------------------------------------------------------------------------------

FUNCTIONS = [
    *("log", "log1p", "log2", "log10", "sqrt", "exp", "expm1", "sin", "cos", "tan", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "abs", "square", "reciprocal"),
]
SCALAR = {name: getattr(np, name) for name in FUNCTIONS} | {
    "1/x": lambda x: 1 / x,
    "x/0": lambda x: x / (x - x),
    "x**3": lambda x: x**3,
    "x**-2": lambda x: x**-2,
    "x**0": lambda x: x**0,
    "x**0.5": lambda x: x**0.5,
    "x**inf": lambda x: np.power(x, np.inf),
    "x**x": lambda x: x**x,
    "overflow": lambda x: x * 1e300 * 1e300,
    "x-inf": lambda x: x - np.inf,
    "where": lambda x: np.where(x > 0, x, -x),
    "zeros of where": lambda x: -np.where(x > 0, 0, x),
    "zeros by a product": lambda x: np.where(x > 0, 0, x) * -1.0,
    "truths added": lambda x: (x > 0) + (x > 1),
    "a truth times": lambda x: (x > 0) * x,
    "a comparison": lambda x: x > 0,
    "a large integer": lambda x: x < 2**53 + 1,
    "arctan2": lambda x: np.arctan2(x, -1.0),
    "hypot": lambda x: np.hypot(x, x),
    "constants": lambda x: (x, 3, 2.5),
}
POINTS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -3.0, 1e308, -1e308, 5e-324, 800.0, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("f", SCALAR.values(), ids=SCALAR)
def test_scalars_equal_numpy_at_every_edge(f):
    fast = compile(f)
    with np.errstate(all="ignore"):
        for x in POINTS:
            found, expected = fast(x), f(np.float64(x))
            for a, b in zip(optree.tree_leaves(found), optree.tree_leaves(expected), strict=True):
                np.testing.assert_allclose(a, b, rtol=4e-15)
                assert np.isnan(b) or np.signbit(a) == np.signbit(b)
                assert np.asarray(a).dtype == np.asarray(b).dtype
                assert isinstance(a, np.ndarray if isinstance(b, np.ndarray) else np.generic)


def test_scalar_programs_run_on_floats_with_math():
    program = trace(grad(lambda x: np.sin(x) * np.exp(-x)), 1.0)
    assert is_scalar(program)
    code = emit(program, scalars=True)
    assert "import math" in code.source
    assert "sin = math.sin" in code.source
    assert "np." not in code.source.partition("return")[0]
    (value,) = code.function(1.0)
    assert value == pytest.approx(math.exp(-1) * (math.cos(1) - math.sin(1)), rel=1e-14)


def test_not_everything_of_one_element_is_a_scalar_program():
    assert not is_scalar(trace(lambda x: x * 2, np.ones(1)))
    assert not is_scalar(trace(lambda x: x * 2, np.float32(1)))
    assert not is_scalar(trace(lambda x: np.floor(x), 1.0))
    assert not is_scalar(trace(lambda x: x * 2, 1 + 0j))


def test_a_division_by_zero_warns_as_numpy_does():
    fast = compile(lambda x: 1 / x)
    fast(2.0)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert fast(0.0) == np.inf


# ---------------------------------------------------------------------------------------------------
# Precision and special values of arrays
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * np.float64(2),
        lambda x: x * 2.0,
        lambda x: np.exp(x) * np.float32(0.5) + x,
        lambda x: x / np.float64(3) * x,
        lambda x: x.astype(np.float64) * x,
        lambda x: np.where(x > 0, x, 0.0),
        grad(lambda x: np.sum(np.tanh(x) ** 2)),
    ],
)
@pytest.mark.parametrize("size", [5, LARGE * 2])
def test_single_precision_stays_where_numpy_keeps_it(f, size):
    x = rng.normal(size=size).astype(np.float32)
    found, expected = compile(f)(x), f(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_complex_arrays():
    z = rng.normal(size=LARGE) + 1j * rng.normal(size=LARGE)
    for f in (lambda z: np.abs(z) ** 2, lambda z: np.exp(1j * z) * np.conj(z), lambda z: z.real * 2 + z.imag):
        same(compile(f)(z), f(z))


# ---------------------------------------------------------------------------------------------------
# Every row of the registry
# ---------------------------------------------------------------------------------------------------


def as_compiled(f, xs, rng):
    """Compiled, f and both its derivatives are what they are otherwise."""
    function = test_ops.checks.leaves(f)
    plain = function(*xs)
    ts, us = ([np.stack([x, 0 * x]) for x in values] for values in (xs, plain))  # constants of the flat code
    for found, expected in (
        (compile(lambda *a: jvp(function, a, ts))(*xs), jvp(function, xs, ts)),
        (compile(lambda *a: vjp(function, *a)[1](tuple(us)))(*xs), vjp(function, *xs)[1](tuple(us))),
        (compile(function)(*xs), plain),
        (compile(lambda *a: jvp(function, a, a))(*xs), jvp(function, xs, xs)),
        (compile(lambda *a: vjp(function, *a)[1](plain))(*xs), vjp(function, *xs)[1](plain)),
    ):
        for a, b in zip(optree.tree_leaves(found), optree.tree_leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
            assert np.asarray(a).dtype == np.asarray(b).dtype


@test_ops.pytestmark
@pytest.mark.parametrize("key", test_ops.SAMPLED, ids=test_ops.name_of_row)
def test_every_row(key):
    test_ops.hold(as_compiled, key, at_most=2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=25), st.sampled_from([3, LARGE]), st.integers(0, 99))
def test_random_elementwise_code(steps, size, seed):
    """Runs of elementwise operations, some of them in place of what dies, with several values alive."""
    unary = [np.sin, np.tanh, np.negative, np.square, lambda a: a * 1, lambda a: 2.0 * (3.0 * a), np.cos, np.abs]

    def f(x):
        alive = [x, x * 0.5]
        for k, step in enumerate(steps):
            a, b = alive[-1], alive[(k * 7 + step) % len(alive)]
            alive.append(unary[step](a) + b if k % 2 else np.maximum(a, b) * unary[step](b) * 0.5)
            alive = alive[-4:]
        return alive[-1], alive[-2]

    x = np.random.default_rng(seed).normal(size=size)
    before = x.copy()
    fast = compile(f)
    fast(x[::-1].copy())
    for a, b in zip(fast(x), f(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    same(x, before)
    gradient = grad(lambda x: np.sum(f(x)[0]))
    np.testing.assert_allclose(compile(gradient)(x), gradient(x), rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------------------------------------------
# Names of scalars
# ---------------------------------------------------------------------------------------------------


def test_arguments_named_as_functions_of_math():
    def f(sin, abs):
        return np.sin(sin) * np.absolute(abs)

    assert compile(f)(0.3, -2.0) == f(0.3, -2.0)


def long_scalar_program(x, a):
    """More values than Python reaches fast: some read late, some twice in a line, some by branches."""
    kept = [x]
    for k in range(120):
        y = np.sin(a * kept[-1]) + kept[k // 2] * 0.25
        z = y * y + np.cos(y) / (1.0 + k)
        kept.append(z - 0.5 * kept[-1] if y > -3.0 else z)
    return kept[-1] + kept[3] * kept[60], kept[7]


@pytest.mark.parametrize(
    "f", [long_scalar_program, lambda x, a: grad(lambda x, a: long_scalar_program(x, a)[0], (0, 1))(x, a)]
)
def test_names_of_scalars_serve_again(f):
    fast = compile(f)
    for x, a in ((0.3, 0.7), (-1.2, 0.4), (0.0, 2.0)):
        for found, expected in zip(fast(x, a), f(x, a), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_long_scalar_programs_have_few_names():
    program = trace(lambda x: functools.reduce(lambda y, _: np.sin(y) * y, range(400), x), 0.3)
    source = emit(program, scalars=True).source
    assert len({line.split(" = ")[0].strip() for line in source.splitlines() if " = " in line}) < 20


# ---------------------------------------------------------------------------------------------------
# The text of a traced value
# ---------------------------------------------------------------------------------------------------

TEXTS = {
    "format": lambda x: x * len(f"{x[0]:.0f}"),
    "format, no spec": lambda x: x * len(f"{x[0]}"),
    "str": lambda x: x * len(str(x[0] * 1)),
    "repr": lambda x: x * len(repr(x)),
    "percent": lambda x: x * len(operator.mod("%s", x[0])),
    "int": lambda x: x * int(f"{x[0]:.0f}"),
    "astype": lambda x: x * len(x.astype(str)[0]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_taken_as_a_branch_is(name):
    f = TEXTS[name]
    x, other = np.array([3.0, 40.0]), np.array([300.0, 40.0])
    fast, program = compile(f), trace(f, x)
    for point in (x, other, x, other):
        np.testing.assert_array_equal(fast(point), f(point))
    np.testing.assert_array_equal(program(x), f(x))
    with pytest.raises(admodes.GuardFailed):
        program(other)


def test_what_prints_at_each_call_is_traced_a_few_times(capsys):
    runs = []

    @compile
    def f(x):
        runs.append(type(x))
        print(f"{x:.1f}")
        return x * x

    with pytest.warns(UserWarning, match="another text"):
        assert [f(float(k)) for k in range(8)] == [k * k for k in range(8)]
    assert capsys.readouterr().out.split() == [f"{k}.0" for k in range(8)]
    assert runs.count(float) + runs.count(np.float64) <= 8
    assert len(runs) == 8
