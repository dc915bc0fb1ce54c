"""The experiment `speed`: its rows, what is measured beside them, and the picture."""

import os
from pathlib import Path

import numpy as np
import pytest

import admodes
from experiments import frame, speed, workloads
from experiments import tools as tools_of

ROOT = Path(frame.__file__).resolve().parent.parent


def small_workloads():
    """The same functions as in the experiment, smaller."""
    rng = np.random.default_rng(0)
    return [
        *(workloads._chain(kind, 4, rng) for kind in ("gradient", "forward", "reverse")),
        workloads._perceptron(5, rng, batch=6),
        *(workloads._rosenbrock(kind, 7, rng) for kind in ("gradient", "hessian", "hvp")),
        workloads._mixture(rng, d=3, K=4, N=11),
        workloads._scalar_loop(),
        workloads._elementwise(9, rng),
        workloads.one_product("push", 5, rng),
        workloads.one_product("gradient", 5, rng),
    ]


@pytest.mark.parametrize("workload", small_workloads(), ids=lambda workload: workload.name)
def test_code_written_by_hand_agrees_with_this_library(workload):
    tools = [tools_of.ByHand(), tools_of.Eager(), tools_of.Compiled()]
    tasks, first = speed.prepare(workload, tools)
    assert list(tasks) == list(first) == ["hand", "admodes", "compiled"]


def test_the_recurrent_net_agrees(monkeypatch):
    monkeypatch.setattr(workloads, "STEPS", 12)
    tools = [tools_of.ByHand(), tools_of.Eager(), tools_of.Compiled()]
    speed.prepare(workloads._recurrent(np.random.default_rng(0), n=4), tools)


def test_the_scalar_loop_by_hand_is_on_python_floats():
    assert [type(y) for y in workloads.scalar_loop_gradient(0.3, 0.7)] == [float, float]


def test_a_wrong_derivative_is_not_timed():
    workload = small_workloads()[0]
    wrong = workloads.Workload(
        "wrong", "gradient", workload.function, workload.arguments, lambda x, *_: np.ones_like(x)
    )
    with pytest.raises(AssertionError, match="admodes: wrong"):
        speed.prepare(wrong, [tools_of.ByHand(), tools_of.Eager()])


def test_the_mixture_of_two_components_in_one_dimension():
    """The density of the points, written out, and the prior."""
    alpha, mu, q, l = np.array([0.2, -0.4]), np.array([[0.5], [-1.0]]), np.array([[0.1], [0.3]]), np.zeros((2, 0))
    x = np.array([[0.7], [-0.2], [1.5]])
    found = workloads.mixture(np, alpha, mu, q, l, x, workloads.places(1), np.eye(1))
    weights = np.exp(alpha) / np.exp(alpha).sum()
    deviation = np.exp(-q[:, 0])
    density = np.exp(-0.5 * ((x - mu[:, 0]) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    # Wishart: m Σq − ½γ²‖Q‖² + K·C with C = n·d·(log γ − ½ log 2) − log Γ(n/2), n = d + m + 1 = 2.
    prior = -0.5 * np.sum(np.exp(2 * q)) - 2 * np.log(2)
    assert found == pytest.approx(np.sum(np.log(density @ weights)) + prior, rel=1e-12)


def test_the_mixture_has_the_golden_value_and_gradient():
    """Golden values of GradBench's hand-differentiated C++ (gradbench/gradbench, MIT), d = 2, K = 5, N = 1000."""
    golden = np.load(ROOT / "tests" / "data" / "gmm_d2_k5.npz")
    assert (golden["gamma"], golden["m"]) == (workloads.GAMMA, workloads.WISHART_M)
    arguments = (*(golden[name] for name in ("alpha", "mu", "q", "l", "x")), workloads.places(2), np.eye(2))
    assert workloads.mixture(np, *arguments) == pytest.approx(golden["value"], rel=1e-12)
    for name, found in zip(("alpha", "mu", "q", "l"), workloads.mixture_gradient(*arguments), strict=True):
        np.testing.assert_allclose(found, golden[f"g_{name}"], rtol=1e-9, atol=1e-9)


def test_the_lower_triangle_is_filled_by_columns():
    L = (np.arange(1.0, 7.0) @ workloads.places(4)).reshape(4, 4)
    np.testing.assert_array_equal(L, [[0, 0, 0, 0], [1, 0, 0, 0], [2, 4, 0, 0], [3, 5, 6, 0]])


def test_every_workload_and_target_has_a_name_of_its_own():
    names = [workload.name for workload in workloads.workloads(np.random.default_rng(0))]
    assert len(set(names)) == len(names)
    alone = {target.workload for target in speed.TARGETS if not isinstance(target, speed.Over)}
    assert alone <= {*names, workloads.PREPARING, speed.TRACING}
    assert set(speed.HELD) <= set(names)
    assert len(set(speed.HELD)) == 19


def speed_row(workload, tool, seconds):
    return {"workload": workload, "tool": tool, "seconds": seconds}


def test_targets_are_judged_from_the_rows():
    chain, loop = speed.TARGETS[0].workload, speed.TARGETS[1].workload
    rows = [
        *(speed_row(chain, tool, s) for tool, s in (("hand", 1.0), ("admodes", 3.0), ("autograd", 16.0))),
        *(speed_row(loop, tool, s) for tool, s in (("hand", 1.0), ("admodes", 12.0), ("autograd", 30.0))),
    ]
    verdicts = [row["verdict"] for row in speed.target_rows(rows)]
    assert verdicts == ["met", "missed", *["not measured"] * (len(speed.TARGETS) - 2)]
    said = speed.finding(rows, {"hand": "by hand", "admodes": "admodes", "autograd": "autograd"})
    assert "admodes 6.0×" in said
    assert "admodes is slowest on 1000-step scalar loop, 12.0×" in said
    assert speed.geometric_means(rows)["autograd"] == pytest.approx(np.sqrt(480))


def test_targets_over_several_rows_wait_until_all_are_there():
    mean, worst = (speed.Over("", "hand", 1.1, "compiled", ("a", "b"), way) for way in (speed.geometric_mean, max))
    anything = speed.Over("", "hand", 1.1, "compiled", (), max)
    rows = [speed_row("a", "hand", 1.0), speed_row("a", "compiled", 4.0), speed_row("b", "hand", 2.0)]
    assert mean.reached(rows) is None
    assert anything.reached(rows) == 4.0
    assert anything.reached([]) is None
    rows.append(speed_row("b", "compiled", 2.0))
    assert mean.reached(rows) == pytest.approx(2.0)
    assert worst.reached(rows) == 4.0
    prepared = [speed_row(workloads.PREPARING, "hand", 1.0), speed_row(workloads.PREPARING, "compiled", 9.0)]
    assert anything.reached(rows + prepared) == 4.0


def test_preparing_is_timed_for_tools_that_prepare():
    tools = [tools_of.ByHand(), tools_of.Eager(), tools_of.Compiled()]
    rows = speed.measure_preparing(tools, 3, np.random.default_rng(0))
    assert [(row["workload"], row["tool"]) for row in rows] == [
        (workloads.PREPARING, "compiled"),
        (speed.TRACING, "compiled"),
        (speed.TRACING, speed.BUDGET),
    ]
    assert all(row["seconds"] > 0 for row in rows)


def test_speed_measures_with_the_tools_there_are(study, monkeypatch, read):
    """The whole run with this library alone, as on a machine without peers."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        speed, "installed", lambda: ([tools_of.ByHand(), tools_of.Eager(), tools_of.Compiled()], ["autograd"])
    )
    monkeypatch.setattr(
        speed, "workloads", lambda _: [workloads._chain("gradient", 8, rng), workloads._elementwise(9, rng)]
    )
    monkeypatch.setattr(speed, "LENGTHS", (2, 4, 8))
    monkeypatch.setattr(speed, "UNROLLED", 3)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    speed.run(study)
    assert allowed is None or os.sched_getaffinity(0) == allowed
    rows = read(study.out / "trial.csv")
    assert [row["tool"] for row in rows] == ["hand", "admodes", "compiled"] * 4
    assert [bool(row["seconds_preparing"]) for row in rows] == [False, False, True] * 2 + [False] * 6
    assert {row["version"] for row in rows if row["library"] == "admodes"} == {admodes.__version__}
    assert rows[0]["ratio_to_by_hand"] == "1"
    assert len(read(study.out / "trial_targets.csv")) == len(speed.TARGETS)


def test_a_peer_that_is_not_installed_is_absent(monkeypatch):
    class Absent(tools_of.Tool):
        name, label, library = "absent", "absent", "a_library_that_does_not_exist"

    monkeypatch.setattr(tools_of, "TOOLS", (tools_of.ByHand, Absent))
    tools, missing = tools_of.installed()
    assert ([tool.name for tool in tools], missing) == (["hand"], ["absent"])
