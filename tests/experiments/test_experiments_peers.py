"""The objectives of GradBench against their golden derivatives, the kernels, and the two experiments that use them.

No clock is asserted on.
"""

import numpy as np
import pytest

import admodes
from admodes.ways.model import current
from experiments import functions, gradbench, kernels, peers, tools, truth
from experiments.workloads import Workload

OBJECTIVES = {objective.name: objective for objective in gradbench.objectives()}


def chosen(objective):
    rest = objective.arguments[objective.by :]
    return lambda *x: objective.function(np, *x, *rest), objective.arguments[: objective.by]


def agree(found, expected):
    for g, golden in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, golden, rtol=1e-9, atol=1e-9 * np.max(np.abs(golden), initial=1e-300))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_have_their_golden_value_and_gradient_in_both_modes(name):
    objective = OBJECTIVES[name]
    f, x = chosen(objective)
    argnums = tuple(range(objective.by))
    value, gradient = admodes.value_and_grad(f, argnums)(*x)
    np.testing.assert_allclose(value, objective.value, rtol=1e-11, atol=1e-12)
    agree(gradient, objective.gradient)
    rng = np.random.default_rng(1)
    t = tuple(rng.normal(size=np.shape(a))[()] for a in x)
    along = sum(np.sum(g * d) for g, d in zip(objective.gradient, t, strict=True))
    np.testing.assert_allclose(admodes.jvp(f, x, t)[1], along, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in ("determinant", "particle")])
def test_objectives_have_their_golden_gradient_compiled(name):
    objective = OBJECTIVES[name]
    f, x = chosen(objective)
    agree(admodes.compile(admodes.grad(f, tuple(range(objective.by))))(*x), objective.gradient)


def test_the_particle_with_its_force_as_a_derivative_inside():
    """The benchmark's own point: the acceleration is the gradient of a potential, inside what is differentiated."""
    golden = gradbench.load("particle_saddle")

    def meets(w):
        def potential(x):
            return sum(1 / np.sqrt((x[0] - 10.0) ** 2 + (x[1] - c) ** 2) for c in (10.0 - w, 0.0))

        x, v = np.array([0.0, 8.0]), np.array([0.75, 0.0])
        while True:
            a = -admodes.grad(potential)(x)
            ahead = x + 0.1 * v
            if not ahead[1] > 0:
                return (x[0] - x[1] / v[1] * v[0]) ** 2
            x, v = ahead, v + 0.1 * a

    w = golden["ws"][0]
    np.testing.assert_allclose(meets(w), golden["value"][0], rtol=1e-11)
    np.testing.assert_allclose(admodes.grad(meets)(w), golden["deriv"][0], rtol=1e-9)
    np.testing.assert_allclose(admodes.jvp(meets, (w,), (1.0,))[1], golden["deriv"][0], rtol=1e-9)


def test_the_saddle_by_derivatives_inside_derivatives():
    """The whole benchmark: every slope of the descent in the other player's descent is a gradient of ours."""
    golden = gradbench.load("particle_saddle")
    found = np.concatenate(gradbench.saddle_point(admodes.grad, golden["saddle_start"]))
    np.testing.assert_allclose(found, golden["saddle_end"], rtol=1e-8)


@pytest.mark.parametrize("kernel", kernels.KERNELS, ids=lambda kernel: kernel.name)
def test_kernels_agree_in_both_modes_compiled_and_with_differences(kernel):
    rng = np.random.default_rng(2)
    items = [item for item in peers.items(rng) if item.workload.name == kernel.name]
    assert [item.workload.kind for item in items] == ["gradient", "push"]
    for item in items:
        tasks, absent = peers.prepare(item, [tools.Eager(), tools.Compiled()], 1)
        assert list(tasks) == ["admodes", "compiled"]
        assert not absent


def test_there_are_fifteen_kernels_and_all_objectives():
    assert len(kernels.KERNELS) >= 15
    assert len(OBJECTIVES) >= 11


class Refusing(tools.Tool):
    name, label = "refusing", "one that refuses"

    def gradient(self, f, x, _):
        raise TypeError("item assignment is not supported")


class Wrong(tools.Tool):
    name, label = "wrong", "one that errs"

    def gradient(self, f, x, _):
        return lambda: np.zeros(2)


SQUARE = Workload("square", "gradient", lambda np, x: np.sum(x * x), (np.array([1.0, 2.0]),), peers._by_hand)


def test_a_peer_that_cannot_run_the_code_has_no_entry_and_says_why():
    found = [tools.Eager(), tools.Compiled(), Refusing()]
    rows = peers.measure(peers.Item("kernels", SQUARE, np.array([2.0, 4.0])), found, 1, 0.001)
    assert [bool(row["seconds"]) for row in rows] == [True, True, False]
    assert rows[2]["absent"] == "TypeError: item assignment is not supported"
    assert "is slowest" in rows[0]["commentary"]
    assert rows[0]["machine"]
    labels = {tool.name: tool.label for tool in found}
    assert "1 derivatives" in peers.finding(rows, labels)
    assert peers.draw(rows, found) is not None
    assert peers.table(rows, found).row_count == 1


def test_a_wrong_answer_of_a_peer_is_not_timed_and_one_of_ours_stops_the_run():
    rows = peers.measure(peers.Item("kernels", SQUARE), [tools.Eager(), Wrong()], 1, 0.001)
    assert [row["absent"] for row in rows] == ["", "gives another answer, silently"]
    assert rows[1]["seconds"] is None
    with pytest.raises(AssertionError, match="golden"):
        peers.measure(peers.Item("GradBench", SQUARE, np.array([2.0, 4.1])), [tools.Eager()], 1, 0.001)


# ---------------------------------------------------------------------------------------------------
# truth
# ---------------------------------------------------------------------------------------------------


def test_the_suite_is_of_many_functions_of_all_kinds():
    suite = functions.functions(np.random.default_rng(0))
    assert len(suite) >= 60
    assert len({function.kind for function in suite}) >= 12
    assert len({function.name for function in suite}) == len(suite)


def test_a_function_is_predicted_and_measured_in_every_way(steady_clock):
    def f(x):
        return np.sum(np.tanh(x) ** 2)

    rows = truth.measure(functions.Function("small", "kind", f, np.linspace(0, 1, 5)), current(), 1, 0.001)
    names = [row["way"] for row in rows]
    assert {"f", "push", "reverse", "reverse, compiled", "forward", "product"} < set(names)
    assert all(row["predicted_seconds"] > 0 and row["seconds"] > 0 for row in rows)
    advised = [row for row in rows if row["advised"]]
    assert len(advised) == len({row["gives"] for row in rows})
    for row in advised:
        same = [other for other in rows if other["gives"] == row["gives"]]
        assert row["predicted_seconds"] == min(other["predicted_seconds"] for other in same)
    advised = [truth.chosen(functions.Function("small", "kind", f, np.linspace(0, 1, 5)), 2, 1, 0.001)]
    assert advised[0]["over_best"] >= 1
    assert advised[0]["seconds"] > 0
    assert advised[0]["measured_again"] >= 1
    assert "predictions of seconds" in truth.finding(rows, advised)
    assert {row["name"] for row in truth.by_kind(rows)} >= {"kind", "f"}
    assert truth.draw(rows, advised) is not None


def test_how_far_off_is_a_factor_either_way():
    assert truth.off([0.5, 1.0, 2.0], 0.5) == pytest.approx(2.0)
    assert truth.off([1.0, 1.0, 1.0], 0.9) == 1.0
