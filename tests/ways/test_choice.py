"""What `jacobian(mode="auto")` chooses, and what it remembers: by everything that the choice depends on."""

import itertools

import numpy as np
import pytest

from admodes import JacobianChain, jacfwd, jacobian
from admodes.core.forward import Dual
from admodes.core.reverse import Var
from admodes.transforms import directions
from admodes.ways.estimate import Estimator


def layered(x):
    for _ in range(4):
        x = np.tanh(x * x[::-1] + 1.0)
    return x


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_plan_counts_a_pass_for_every_chunk(mode):
    """Ten directions: one pass, two, four, ten. What a pass takes to start is taken that often; there is one tape."""
    x = np.linspace(0.1, 1.0, 10)
    seconds = [jacobian(layered, chunk=chunk).plan(x)[mode].seconds for chunk in (None, 10, 5, 3, 1)]
    assert seconds[0] == seconds[1]
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(seconds[1:]))
    assert seconds[-1] > (5 if mode == "forward" else 4) * seconds[0]


@pytest.mark.parametrize(("f", "n"), [(layered, 10), (lambda x: np.array([np.sum(x**2), x[0]]), 40)])
def test_a_plan_and_a_comparison_price_alike(f, n):
    x = np.linspace(0.1, 1.0, n)
    plan = jacobian(f).plan(x)
    ways = Estimator(f, (x,))
    for mode in ("forward", "reverse"):
        priced = ways.jacobian(mode)
        assert plan[mode].cost.flops == priced.cost.flops
        assert plan[mode].seconds == pytest.approx(priced.seconds)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_last_chunk_has_the_directions_that_are_left(mode):
    """Ten directions by fours: 4, 4, 2. Elementwise work is as much a direction, whatever the chunk."""
    ways = Estimator(lambda x: x * x, (np.ones(10),))
    whole, chunked = (ways.jacobian(mode, chunk).cost.flops for chunk in (None, 4))
    shared = ways.jacobian(mode, directions=2).cost.flops - ways.jacobian(mode, directions=1).cost.flops
    assert whole <= chunked < whole + 2 * shared


def test_a_plan_counts_the_chunks_that_memory_takes(monkeypatch):
    x = np.linspace(0.1, 1.0, 10)
    given = jacobian(layered, chunk=3).plan(x)
    monkeypatch.setattr(directions, "CHUNK_ELEMENTS", 30)
    bounded = jacobian(layered).plan(x)
    for mode in ("forward", "reverse"):
        assert bounded[mode].seconds == given[mode].seconds


def test_a_choice_for_one_dtype_is_not_used_for_another():
    """Forward mode is cheaper for a real argument of a tall function; of complex numbers it has no meaning."""
    spread = np.arange(1.0, 41.0)
    J = jacobian(lambda z: np.abs(z[0]) * spread + np.abs(z[1]))
    z = np.array([3.0, 4.0])
    assert J.plan(z).choice == "forward"
    expected = np.stack([spread, np.ones(40)], axis=1)
    np.testing.assert_allclose(J(z), expected)
    np.testing.assert_allclose(J(z * 1j), expected * -1j)  # ∂f/∂x − i ∂f/∂y at x = 0
    np.testing.assert_allclose(J(z.astype(np.float32)), expected)


def test_a_choice_for_one_shape_is_not_used_for_another():
    ran = []

    def f(x, w):
        ran.append(type(x))
        return np.tanh(w @ x)

    J = jacobian(f)
    for _ in range(2):  # once with the counting of work, once as learnt
        for m, n, tracer in ((2, 300, Var), (300, 2, Dual)):
            x, w = np.ones(n), np.full((m, n), 0.01)
            np.testing.assert_allclose(J(x, w), w * (1 - np.tanh(w @ x) ** 2)[:, None])
            assert ran[-1] is tracer


def test_a_choice_for_one_keyword_or_static_argument_is_not_used_for_another():
    """Which of 2 or 300 results there are is said by an argument that is no array."""

    def f(x, count=300, how="sin"):
        return getattr(np, how)(x[0]) * np.ones(count) + x[1]

    J, x = jacobian(f), np.array([0.3, 0.5])
    wide = jacobian(lambda x, w: np.sum(x[:, None] * w, axis=0)[: w.shape[1]])
    for count, how in ((300, "sin"), (1, "sin"), (300, "cos"), (1, "cos")):
        for found in (J(x, count=count, how=how), J(x, count, how)):
            np.testing.assert_allclose(found[:, 0], np.cos(0.3) if how == "sin" else -np.sin(0.3))
    assert len(J.learnt) == 4  # by keyword and by position alike are 4 kinds: values are shown, names are not
    assert len(J._learnt.kinds) == 8
    assert wide(np.ones(2), np.ones((2, 300))).shape == (300, 2)


def test_trees_of_other_structure_are_other_kinds():
    J = jacobian(lambda p: p[0] * p[1] if isinstance(p, tuple) else p["a"] * p["b"])
    for _ in range(2):
        J((np.ones(2), np.ones(2)))
        J({"a": np.ones(2), "b": np.ones(2)})
    assert len(J._learnt.kinds) == 2


def test_what_is_learnt_is_shown():
    def f(x):
        return layered(x)

    J = jacobian(f)
    assert repr(J) == "<Jacobian of f, mode='auto'>"
    J(np.ones(3))
    J(np.ones(2, np.float32))
    J(2.0 * np.ones(3))
    assert list(J.learnt) == ["float64[3]", "float32[2]"]
    assert repr(J).splitlines()[1].split() == ["float64[3]", J.learnt["float64[3]"]]
    sparse = jacobian(f, mode="sparse")
    sparse(np.ones(4))
    assert "4 × 4" in sparse.learnt["float64[4]"]


class Unhashable:
    __hash__ = None
    scale = 3.0


def test_arguments_that_cannot_be_looked_up_by_are_planned_for_each_time():
    J = jacobian(lambda x, c: x * c.scale)
    for _ in range(2):
        np.testing.assert_allclose(J(np.ones(2), Unhashable()), 3 * np.eye(2))
    assert J.learnt == {}


def test_f_runs_once_for_a_plan_and_its_choice():
    runs = []

    def f(x, w=2.0):
        runs.append(1)
        return np.tanh(x[1:] * x[:-1]) * w

    for n in (3, 1000):  # where no pattern is looked for, and where one is
        runs.clear()
        plan = jacobian(f).plan(np.linspace(0.0, 1.0, n), w=3.0)
        assert len(runs) == 1
    assert {c.mode for c in plan.candidates} == {"forward", "reverse", "sparse", "mixed"}


# Layers --------------------------------------------------------------------------------------------------


def test_the_order_of_layers_is_found_once(monkeypatch):
    rng = np.random.default_rng(1)
    U, V = rng.normal(size=(40, 3)), rng.normal(size=(3, 40))
    layers = [lambda x: np.tanh(V @ x), lambda x: U @ x, np.tanh]
    searched = []
    search = JacobianChain.bracketing
    monkeypatch.setattr(JacobianChain, "bracketing", lambda self, *a, **k: searched.append(1) or search(self, *a, **k))
    for mode in ("auto", "bracketing"):
        searched.clear()
        J = jacobian(layers, mode=mode)
        if mode == "auto":
            J.plan(np.ones(40))
        for x in rng.normal(size=(3, 40)):
            np.testing.assert_allclose(J(x), jacfwd(lambda x: np.tanh(U @ np.tanh(V @ x)))(x), atol=1e-12)
        assert len(searched) == 1
    assert "order of" in J.learnt["float64[40]"]


def test_a_layer_that_branches_otherwise_at_the_next_point_is_no_error():
    """Other branches, other factors: a layer in two parts or in one, and wide or narrow between."""
    W = np.random.default_rng(2).normal(size=(2, 30))

    def narrow(x):
        return W.T @ np.tanh(W @ x) if x[0] > 0 else np.tanh(x)

    def shorter(x):
        return x[:5] * 2 if x[0] > 0 else x * 3

    layers = [narrow, shorter, np.sin, lambda x: np.cumsum(x)]
    J = jacobian(layers, mode="bracketing")
    for sign in (1.0, -1.0, 1.0):
        x = sign * np.linspace(0.1, 1.0, 30)
        composed = jacfwd(lambda x: np.cumsum(np.sin(shorter(narrow(x)))))
        np.testing.assert_allclose(J(x), composed(x), atol=1e-12)
        np.testing.assert_allclose(jacobian(layers)(x), composed(x), atol=1e-12)


def test_layers_that_make_no_chain_have_a_jacobian_all_the_same():
    """Complex numbers between layers: a chain is one of real arrays, and the plan says so."""
    J = jacobian([lambda x: x * 1j, np.abs])
    np.testing.assert_allclose(J(np.array([2.0, -3.0])), np.diag([1.0, -1.0]))
    assert "bracketing: JacobianChain: layer 0 returned complex128" in str(J.plan(np.ones(2)))
