"""Programs of numbers alone, whose machine code gives NumPy's scalars itself: for floats, and for nothing else."""

import collections
import sys

import numpy as np
import pytest

from admodes import compile, grad, value_and_grad
from admodes.core import pytree
from admodes.program.matching import builder

pytest.importorskip("llvmlite")
module = sys.modules["admodes.program.compile"]


def f(a, b):
    return np.exp(a) * b + np.sin(a * b)


@pytest.fixture
def calls(monkeypatch):
    """How often arguments were matched, which those of machine code are not."""
    seen = []
    made = module.matcher

    def matcher(args, kwargs):
        match = made(args, kwargs)
        return match and (lambda *given: seen.append(given) or match(*given))

    monkeypatch.setattr(module, "matcher", matcher)
    return seen


@pytest.mark.parametrize("g", [f, grad(f), grad(f, (0, 1)), grad(f, (1, 0))], ids=["f", "one", "both", "turned"])
def test_floats_go_to_the_machine_code_as_they_are(g, calls):
    fast = compile(g, native=True)
    expected = g(0.5, -2.0)
    for args in ((0.5, -2.0), (np.float64(0.5), -2.0), (np.array(0.5), np.float64(-2.0))):
        found = fast(*args)
        assert type(found) is type(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-15)
        assert all(type(y) is np.float64 for y in (found if isinstance(found, tuple) else (found,)))
        assert all(sys.getrefcount(y) <= 3 for y in (found if isinstance(found, tuple) else ()))
    assert not calls


def test_other_arguments_take_the_other_way(calls):
    fast = compile(grad(f, (0, 1)), native=True)
    fast(0.5, -2.0)
    np.testing.assert_allclose(fast(np.float32(0.5), -2.0), grad(f, (0, 1))(np.float32(0.5), -2.0))
    np.testing.assert_allclose(grad(lambda a: fast(a, -2.0)[0] * 1.0)(0.5), grad(lambda a: grad(f)(a, -2.0))(0.5))
    total = compile(lambda a, b: np.sum(f(a, b)), native=True)
    np.testing.assert_allclose(total(0.5, b=-2.0), total(0.5, -2.0))
    x = np.arange(3.0)
    np.testing.assert_allclose(total(x, x), np.sum(f(x, x)))  # not of the first element
    with pytest.raises(TypeError, match="argnums="):
        fast(0.5)


def test_nan_among_the_results_is_looked_into():
    slow = grad(lambda a, b: np.where(a > 0, np.sqrt(a), 0.0) * b)
    fast = compile(slow, native=True)
    with np.errstate(all="ignore"):
        for a in (0.25, 0.0, -1.0, np.nan):
            np.testing.assert_array_equal(fast(a, 3.0), slow(a, 3.0))


def test_programs_become_native_where_they_were_made(calls, monkeypatch):
    monkeypatch.setattr(module, "calls_until_native", lambda program: 3)
    fast = compile(value_and_grad(f), native="auto")
    expected = value_and_grad(f)(0.5, -2.0)
    for _ in range(6):
        np.testing.assert_allclose(fast(0.5, -2.0), expected, rtol=1e-15)
    assert len(calls) == 2  # the first call makes the matcher, the third the kernel


def test_programs_of_more_than_one_kernel_are_not_called_so():
    fast = compile(lambda a, b: (f(a, b), np.float64(1.0)), native=True)
    assert fast(0.5, -2.0) == (f(0.5, -2.0), 1.0)
    assert fast(0.5, -2.0) == (f(0.5, -2.0), 1.0)


Pair = collections.namedtuple("Pair", "a b")
TREES = [
    {"b": 1.0, "a": [2.0, (3.0,)]}, (), [], {}, [1.0], (1.0, [], None), {2: Pair(1.0, None), "x": {}}, 1.0,
    collections.OrderedDict(z=1.0, a=2.0), {(1, 2): 1.0}, [collections.defaultdict(list, k=1.0)],
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_trees_are_made_as_optree_makes_them(tree):
    leaves, structure = pytree.flatten(tree)
    found, expected = builder(structure)(leaves), pytree.unflatten(structure, leaves)
    assert repr(found) == repr(expected) == repr(tree)
    assert type(found) is type(tree)


def test_floats_in_trees_and_results_in_them(calls):
    parameters = {"b": 0.3, "a": [-2.0, 1.5]}
    g = grad(lambda p: np.exp(p["b"]) * p["a"][0] + p["a"][1] ** 2)
    fast = compile(g, native=True)
    for _ in range(2):
        found = fast(parameters)
        assert [*found] == ["b", "a"]
        np.testing.assert_allclose([found["b"], *found["a"]], [np.exp(0.3) * -2.0, np.exp(0.3), 3.0], rtol=1e-15)
    assert len(calls) == 1
    assert np.isnan(fast({"b": np.nan, "a": [1.0, 1.0]})["b"])
