"""The experiments: their counts, hand-written derivatives, data files and command line.  No clock is asserted on."""

import itertools
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure

import admodes
from admodes.program import cost
from experiments import (
    cheap_gradient,
    digits,
    frame,
    full_jacobian,
    gradient_cost,
    memory,
    static_vs_dynamic,
    style,
    timing,
    workloads,
)
from experiments.__main__ import main, parser

ROOT = Path(frame.__file__).resolve().parent.parent
EXPERIMENTS = [
    "accuracy",
    "bracketing",
    "cheap_gradient",
    "checkpointing",
    "digits",
    "elimination",
    "full_jacobian",
    "gallery",
    "gradient_cost",
    "granularity",
    "hessian",
    "implicit",
    "memory",
    "native",
    "peers",
    "sparse",
    "speed",
    "static_vs_dynamic",
    "truth",
]


# ---------------------------------------------------------------------------------------------------
# gradient_cost
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 8, 17])
def test_counts_of_the_gradient_have_closed_forms(n):
    work = gradient_cost.counted(*gradient_cost.network(n, np.random.default_rng(0)))
    L = gradient_cost.LAYERS
    # A layer: n² for W x, n for y·y; forward: n tangents through W (n³) and Diag (n²); reverse: one cotangent.
    assert work["forward"].multiply_adds == L * (n**3 + n**2 + n**2 + n)
    assert work["reverse"].multiply_adds == L * (2 * n**2 + 2 * n)
    assert work["finite differences"].multiply_adds == (n + 1) * L * n**2
    # Two flops a multiply-add of a product, 10 a tanh, one an element of the sum.
    once = L * (2 * n**2 + 10 * n) + n
    assert work["finite differences"].flops == (n + 1) * once
    assert once + L * 2 * n**2 < work["reverse"].flops <= once + L * (2 * n**2 + 4 * n)


def test_slopes_of_the_counts_are_near_three_and_two():
    sizes = gradient_cost.SIZES[:6]
    works = [gradient_cost.counted(*gradient_cost.network(n, np.random.default_rng(0))) for n in sizes]
    slopes = {
        method: timing.power_law(sizes, [work[method].multiply_adds for work in works]).slope
        for method in gradient_cost.METHODS
    }
    assert slopes["forward"] == pytest.approx(3, abs=0.08)
    assert slopes["finite differences"] == pytest.approx(3, abs=0.08)
    assert slopes["reverse"] == pytest.approx(2, abs=0.05)


def test_finite_differences_evaluate_n_plus_one_times():
    calls = []
    g = gradient_cost.finite_differences(lambda x: calls.append(1) or np.sum(x**3), np.array([1.0, 2.0, -3.0]))
    assert len(calls) == 4
    np.testing.assert_allclose(g, [3.0, 12.0, 27.0], rtol=1e-6)


def test_all_ways_to_the_gradient_must_agree():
    f, x = gradient_cost.network(5, np.random.default_rng(0))
    gradient_cost.agree(f, x)
    kinked = admodes.custom_op(np.sin, partial=lambda y, x: 2 * np.cos(x))  # a wrong rule
    with pytest.raises(AssertionError):
        gradient_cost.agree(lambda x: np.sum(kinked(x)), x)


def invented(n, method, seconds, operations=10):
    return {"n": n, "method": method, "flops": float(n) ** 3, "operations": operations, "seconds": seconds}


def test_the_fit_of_the_clock_starts_where_overhead_is_small():
    sizes = (2, 4, 8, 16, 32, 64, 128)
    rows = [invented(n, m, 1e-4 + 1e-7 * n**3) for n in sizes for m in gradient_cost.METHODS]
    gradient_cost.mark_fitted(rows)
    forward = [row for row in rows if row["method"] == "forward"]
    assert [row["fitted"] for row in forward] == [0, 0, 0, 1, 1, 1, 1]
    assert forward[0]["overhead"] == 1.0
    law = gradient_cost.fits(rows)["forward", "seconds"]
    assert (law.points, law.first) == (4, 16)
    assert 2.7 < law.slope < 3


def test_a_late_dip_keeps_earlier_points_out_of_the_fit():
    rows = [invented(n, m, s) for n, s in ((2, 1.0), (4, 9.0), (8, 2.0), (16, 99.0)) for m in gradient_cost.METHODS]
    gradient_cost.mark_fitted(rows)
    assert [row["fitted"] for row in rows if row["method"] == "reverse"] == [0, 0, 0, 1]


def test_the_fit_begins_where_the_points_are_on_a_line():
    """An edge between two lines: the points before it are left out, and none of those on one line."""
    edge = [{"n": n, "seconds": n**3.0 if n < 64 else 8.0 * n**2.0} for n in (4, 8, 16, 32, 64, 128, 256, 512, 1024)]
    assert gradient_cost.straight(edge) == 4
    assert gradient_cost.straight(edge[4:]) == 0
    assert gradient_cost.straight(edge[:3]) == 0


def test_wide_networks_are_timed_by_reverse_mode_alone():
    (row,) = gradient_cost.measure_wide(5, np.random.default_rng(0), 1, 1e-3)
    assert (row["n"], row["method"]) == (5, "reverse")
    assert row["flops"] == gradient_cost.counted_at(5)["reverse"].flops
    rows = [invented(n, m, 1e-6 * n**2) for n in (2, 4) for m in gradient_cost.METHODS]
    assert set(gradient_cost.largest([*rows, invented(8, "reverse", 1.0)])) == set(gradient_cost.METHODS)
    assert gradient_cost.largest([*rows, invented(8, "reverse", 1.0)])["forward"]["n"] == 4


def test_the_experiment_writes_its_data_and_pictures(study, monkeypatch, read):
    monkeypatch.setattr(gradient_cost, "SIZES", (2, 3, 4, 6))
    said = gradient_cost.run(study)
    assert "n^2." in said
    assert "at n = 6" in said
    assert {path.suffix for path in study.files} == {".csv", ".svg", ".png"}
    assert all(path.stat().st_size for path in study.files)
    rows = read(study.out / "trial.csv")
    assert len(rows) == 4 * 3
    assert list(rows[0]) == ["n", "method", "flops", "multiply_adds", "operations", "seconds", "overhead", "fitted"]
    fits = read(study.out / "trial_fits.csv")
    assert list(fits[0]) == ["method", "quantity", "slope", "low_95", "high_95", "from_n", "points"]
    assert [row["points"] for row in fits if row["quantity"] == "flops"] == ["4"] * 3


# ---------------------------------------------------------------------------------------------------
# full_jacobian
# ---------------------------------------------------------------------------------------------------


def test_counts_of_the_jacobian_cross_where_inputs_equal_outputs():
    h = full_jacobian.HIDDEN
    for n, m in ((2, 5), (5, 5), (5, 2)):
        f, x = full_jacobian.network(n, m, np.random.default_rng(0))
        forward, reverse = (cost(J(f), x).multiply_adds for J in (admodes.jacfwd, admodes.jacrev))
        primal = h * n + m * h + h
        assert forward == primal + n * (h * n + h + m * h)
        assert reverse == primal + m * (h * m + h + h * n)
        assert np.sign(forward - reverse) == np.sign(n - m)


def test_auto_takes_the_mode_with_fewer_passes_where_they_differ_much():
    rng = np.random.default_rng(0)
    for shape, expected in (((2, 256), "forward"), ((256, 2), "reverse")):
        f, x = full_jacobian.network(*shape, rng)
        assert admodes.jacobian(f).plan(x).choice == expected


def jacobian_row(n, m, forward, reverse, auto):
    faster = "forward" if forward < reverse else "reverse"
    ratio = max(forward, reverse) / min(forward, reverse)
    return {
        "n": n,
        "m": m,
        "flops_forward": n,
        "flops_reverse": m,
        "seconds_forward": forward,
        "seconds_reverse": reverse,
        "auto": auto,
        "faster": faster,
        "cost_of_choice": 1.0 if auto == faster else ratio,
    }


def test_the_finding_counts_wrong_choices_and_what_they_cost():
    rows = [
        jacobian_row(1, 1, 1.0, 1.05, "reverse"),
        jacobian_row(1, 4, 1.0, 8.0, "forward"),
        jacobian_row(4, 1, 4.0, 1.0, "forward"),
        jacobian_row(4, 4, 2.0, 1.0, "reverse"),
    ]
    said = full_jacobian.finding(rows)
    assert "2 of 4 shapes, one within 10% of it in 3; a wrong choice cost 4.00× at most" in said
    assert "differ by up to 8×" in said
    assert "no choice was wrong" in full_jacobian.finding(rows[1:2])


def test_full_jacobian_writes_a_row_a_cell(study, monkeypatch, read):
    monkeypatch.setattr(full_jacobian, "SIZES", (1, 3, 8))
    full_jacobian.run(study)
    rows = read(study.out / "trial.csv")
    assert [(row["n"], row["m"]) for row in rows] == [(n, m) for n in "138" for m in "138"]
    for row in rows:
        assert row["auto"] in ("forward", "reverse")
        assert row["flops_auto"] == row[f"flops_{row['auto']}"]
        assert float(row["cost_of_choice"]) >= 1


# ---------------------------------------------------------------------------------------------------
# digits, on images made up here
# ---------------------------------------------------------------------------------------------------


def made_up(count, rng, pixels=12, classes=3):
    centres = np.eye(classes, pixels)
    labels = rng.integers(classes, size=count)
    return digits.Split(centres[labels] + 0.1 * rng.normal(size=(count, pixels)), labels)


def without_bar(items, unit):
    return items


def test_training_learns_and_is_the_same_every_time():
    rng = np.random.default_rng(0)
    learn, held_out = made_up(96, rng), made_up(30, rng)
    rows = digits.train(learn, held_out, range(2), 8, without_bar)
    assert len(rows) == 16
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["held_out"] >= digits.GOAL
    assert rows == digits.train(learn, held_out, range(2), 8, without_bar)


def test_the_gradient_of_the_network_by_hand():
    rng = np.random.default_rng(0)
    batch, p = made_up(7, rng), digits.initial(12, 5, 3, rng)
    g = admodes.grad(digits.loss)(p, batch.images, batch.labels)
    before = batch.images @ p["W1"].T + p["b1"]
    hidden = np.maximum(before, 0)
    e = np.exp(hidden @ p["W2"].T + p["b2"])
    u2 = (e / e.sum(1, keepdims=True) - np.eye(3)[batch.labels]) / 7  # (p − y)/N
    u1 = (u2 @ p["W2"]) * (before > 0)
    np.testing.assert_allclose(g["W2"], u2.T @ hidden + 2 * digits.PENALTY * p["W2"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(g["W1"], u1.T @ batch.images + 2 * digits.PENALTY * p["W1"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(g["b2"], u2.sum(0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(g["b1"], u1.sum(0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("parts", [7, None])
def test_costs_count_all_passes_whether_timed_or_not(parts):
    rng = np.random.default_rng(0)
    p = digits.initial(12, 4, 3, rng)
    rows = {row["mode"]: row for row in digits.costs(p, made_up(5, rng), parts, rounds=1, seconds=0.0)}
    size = 12 * 4 + 4 + 4 * 3 + 3
    forward, differences = rows["forward"], rows["finite differences"]
    assert forward["parameters"] == forward["passes"] == size
    assert differences["multiply_adds"] == (size + 1) * differences["multiply_adds_of_loss"]
    assert forward["multiply_adds"] > 20 * rows["reverse"]["multiply_adds"]
    assert forward["passes_timed"] == (parts or size)
    assert forward["extrapolated"] == int(parts is not None)
    assert forward["seconds"] == pytest.approx(forward["seconds_timed"] * size / (parts or size))


def test_parts_of_the_gradient_are_taken_in_order():
    p = {"a": np.array([1.0, 2.0]), "b": np.array([[3.0, 4.0]])}
    ways = digits.ways(lambda p: np.sum(p["a"] ** 2) + 2 * np.sum(p["b"] ** 2), p, 3)
    np.testing.assert_allclose(ways["forward"](), [2.0, 4.0, 12.0])
    np.testing.assert_allclose(ways["finite differences"](), [2.0, 4.0, 12.0], rtol=1e-6)
    np.testing.assert_allclose(digits.flat(ways["reverse"]()), [2.0, 4.0, 12.0, 16.0])


def test_digits_draws_and_reports():
    rng = np.random.default_rng(0)
    curve = digits.train(made_up(64, rng), made_up(20, rng), range(1), 2, without_bar)
    cost = digits.costs(digits.initial(12, 4, 3, rng), made_up(5, rng), 7, rounds=1, seconds=0.0)
    assert "of the held-out digits right; one gradient" in digits.finding(curve, cost)
    assert len(digits.draw(curve, cost).axes) == 2


# ---------------------------------------------------------------------------------------------------
# cheap_gradient
# ---------------------------------------------------------------------------------------------------

SMALL_CASES = cheap_gradient.cases(np.random.default_rng(0), scale=20)


@pytest.mark.parametrize("case", SMALL_CASES, ids=lambda case: case.name)
def test_a_gradient_is_right_and_cheap(case):
    """Against a difference along one direction; and within the bound, exactly counted, save lower orders."""
    rng = np.random.default_rng(1)
    v = [rng.normal(size=np.shape(x)) for x in case.arguments]
    slope = sum(np.sum(g * d) for g, d in zip(case.gradient(*case.arguments), v, strict=True))
    h = 1e-6
    ends = [case.f(*(x + s * h * d for x, d in zip(case.arguments, v, strict=True))) for s in (1, -1)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-6 * abs(ends[0]))
    ratio = admodes.cost(case.gradient, *case.arguments).flops / admodes.cost(case.f, *case.arguments).flops
    assert 1 < ratio < 1.05 * cheap_gradient.BOUND


def test_a_dozen_functions_have_names_of_their_own():
    assert len({case.name for case in SMALL_CASES}) == len(SMALL_CASES) >= 12


def test_the_ratio_of_a_product_of_matrices_is_three():
    n = 12
    A, B = np.ones((n, n)), np.ones((n, n))
    row = cheap_gradient.measure(cheap_gradient.Case("AB", lambda A, B: np.sum(A @ B), (A, B)), 1, 0.0)
    assert row["flops_f"] == 2 * n**3 + n**2
    assert row["flops"] == pytest.approx(3, abs=0.1)
    assert row["inputs"] == 2 * n**2


def test_cheap_gradient_writes_a_row_a_function(study, monkeypatch, read):
    monkeypatch.setattr(cheap_gradient, "cases", lambda _: SMALL_CASES[:2])
    said = cheap_gradient.run(study)
    rows = read(study.out / "trial.csv")
    assert [row["function"] for row in rows] == [case.name for case in SMALL_CASES[:2]]
    assert f"{max(case.inputs for case in SMALL_CASES[:2]):,} inputs" in said


# ---------------------------------------------------------------------------------------------------
# static_vs_dynamic
# ---------------------------------------------------------------------------------------------------


def test_preparing_is_paid_by_what_a_call_saves():
    assert static_vs_dynamic.calls_to_pay(1.0, eager=0.5, compiled=0.25) == 4
    assert static_vs_dynamic.calls_to_pay(1.01, eager=0.5, compiled=0.25) == 5
    assert static_vs_dynamic.calls_to_pay(1.0, eager=0.5, compiled=0.5) is None


def static_row(family, size, eager, calls):
    seconds = {"eager": eager, "compiled": 1.0, "by_hand": 1.0, "preparing": 9.0}
    return {"family": family, "size": size, **{f"seconds_{k}": s for k, s in seconds.items()}, "calls_to_pay": calls}


def test_what_never_pays_is_said_and_drawn():
    rows = [static_row("width", 2, 4.0, 3), static_row("width", 4, 1.0, None), static_row("steps", 2, 2.0, 9)]
    said = static_vs_dynamic.finding(rows)
    assert "tape 2.0×, compiled 1.00×; preparing has paid after 3 to 9 calls, at 1 of 3 sizes never" in said
    texts = [text.get_text() for ax in static_vs_dynamic.draw(rows).axes for text in ax.texts]
    assert texts == ["3", "never", "9"]
    assert "has paid never" in static_vs_dynamic.finding(rows[1:2])


def test_static_vs_dynamic_writes_a_row_a_size(study, monkeypatch, read):
    monkeypatch.setattr(static_vs_dynamic, "WIDTHS", (2, 3))
    monkeypatch.setattr(static_vs_dynamic, "LENGTHS", (1, 4))
    static_vs_dynamic.run(study)
    rows = read(study.out / "trial.csv")
    assert [(row["family"], row["size"]) for row in rows] == [
        *(("width", n) for n in "23"),
        *(("steps", n) for n in "14"),
    ]
    assert int(rows[3]["operations"]) > 2 * int(rows[2]["operations"])


# ---------------------------------------------------------------------------------------------------
# memory
# ---------------------------------------------------------------------------------------------------


def test_the_peak_is_that_of_one_call():
    kept = []
    assert memory.peak(lambda n: kept.append(np.ones(n)), [10_000]) == pytest.approx(80_000, rel=0.05)
    assert memory.peak(lambda n: np.ones(n) + np.ones(n), [10_000]) == pytest.approx(240_000, rel=0.05)


def test_code_without_line_numbers_computes_the_same():
    x = workloads.recurrent_arguments(5, 4, np.random.default_rng(0))
    program = memory.optimise(admodes.trace(memory.gradient, *x))
    static_vs_dynamic.agree(memory.flat(program)(*x), workloads.recurrent_gradient(*x), "flat")


def test_counted_memory_grows_with_depth_in_reverse_mode_alone():
    """Compiled code takes 64 steps at once, for which it holds the same few stacks at any depth."""
    rng = np.random.default_rng(0)
    rows = {(row["depth"], row["method"]): row for depth in (192, 256) for row in memory.measure(depth, rng)}
    growth = {m: rows[256, m]["counted_bytes"] - rows[192, m]["counted_bytes"] for m in memory.METHODS}
    state = 8 * memory.WIDTH
    assert growth["forward"] == 0
    assert growth["compiled"] == growth["by hand"] == 64 * state
    assert rows[256, "by hand"]["over_by_hand"] == 1


def test_memory_writes_a_row_a_depth_and_method(study, monkeypatch, read):
    monkeypatch.setattr(memory, "DEPTHS", (2, 5))
    said = memory.run(study)
    assert [row["method"] for row in read(study.out / "trial.csv")] == list(memory.METHODS) * 2
    assert "At depth 5" in said


# ---------------------------------------------------------------------------------------------------
# The clock and the fits
# ---------------------------------------------------------------------------------------------------


def test_a_power_law_is_found_with_its_interval():
    n = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    exact = timing.power_law(n, 3 * n**2.5)
    assert (exact.slope, exact.low, exact.high) == pytest.approx((2.5, 2.5, 2.5))
    noisy = timing.power_law(n, n**2 * np.array([1.0, 1.1, 0.9, 1.1, 1.0]))
    assert noisy.low < 2 < noisy.high
    assert timing.power_law(n[:3], n[:3]) is None


def test_tasks_take_turns():
    order = []
    tasks = {name: lambda name=name: order.append(name) for name in "ab"}
    medians = timing.interleaved(tasks, rounds=3, seconds=1.0)
    assert set(medians) == {"a", "b"}
    assert all(seconds > 0 for seconds in medians.values())
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes == 5  # a b to warm up, then the rounds a b, b a, a b


# ---------------------------------------------------------------------------------------------------
# The frame and the command line
# ---------------------------------------------------------------------------------------------------


def module(name, run, asked="Does it work?"):
    made = ModuleType(name, asked)
    made.run = run
    return made


def fails(study):
    raise ValueError("no [such] luck")


def succeeds(study):
    study.table([{"count": 3.0, "seconds": 0.123456789, "nothing": None, "text": "a"}])
    return "it does"


@pytest.fixture
def two(monkeypatch):
    """The command line with two made-up experiments."""
    made = {"bad": module("bad", fails), "good": module("good", succeeds)}
    monkeypatch.setattr("experiments.__main__.discover", lambda: made)


def test_discovery_finds_the_experiments_with_their_questions():
    found = frame.discover()
    assert list(found) == EXPERIMENTS
    for name, experiment in found.items():
        assert frame.question(experiment).endswith("?"), name
        for part in ("How it is measured", "What to expect, and why"):
            assert part in experiment.__doc__, name


def test_list_shows_names_and_questions_and_runs_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--list", "--out", str(tmp_path / "none")]) == 0
    shown = capsys.readouterr().out
    for name, experiment in frame.discover().items():
        assert name in shown
        assert frame.question(experiment) in shown
    assert not (tmp_path / "none").exists()


def test_an_unknown_name_is_an_error_that_lists_the_names(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["gradient_cost", "nonsense"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "nonsense" in message
    assert all(name in message for name in EXPERIMENTS)


def test_a_failure_is_reported_and_the_others_still_run(two, capsys, tmp_path):
    assert main(["--out", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "Traceback" in shown
    assert "no [such] luck" in shown
    assert "it does" in shown
    assert (tmp_path / "good.csv").exists()


def test_success_is_exit_status_zero(two, tmp_path):
    assert main(["good", "good", "--out", str(tmp_path / "new" / "folder")]) == 0
    assert (tmp_path / "new" / "folder" / "good.csv").read_text() == "count,seconds,nothing,text\n3,0.123457,,a\n"


def test_only_a_full_run_writes_where_the_repository_keeps_figures(two, tmp_path, monkeypatch):
    for name in ("FIGURES", "SHORT"):
        monkeypatch.setattr(f"experiments.__main__.{name}", tmp_path / name)
    main(["good"])
    assert [path.name for path in tmp_path.iterdir()] == ["SHORT"]
    main(["good", "--full"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FIGURES", "SHORT"]


def draws(study):
    study.table([{"count": 3}])
    study.picture(Figure(), "part")
    return f"grows as n^2, {'at full size' if study.full else 'in short'}: a_b*c"


def test_the_page_has_question_finding_and_pictures_of_each(tmp_path, monkeypatch):
    made = {name: module(name, draws, f"Is {name} it?") for name in ("one", "two")}
    monkeypatch.setattr("experiments.__main__.discover", lambda: made)
    assert main(["--out", str(tmp_path)]) == 0
    text = (tmp_path / "README.md").read_text()
    for name in made:
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert f"*Is {name} it?*" in section
        assert "\nGrows as n^2, in short: a\\_b\\*c.\n" in section
        links = re.findall(r"\]\((.*?)\)", section)
        assert links == [f"{name}_part.png", f"{name}.csv"]
        assert all((tmp_path / link).exists() for link in links)
        assert "a short run" in section
    # The same again is the same page.
    main(["--out", str(tmp_path)])
    assert (tmp_path / "README.md").read_text() == text


def test_a_run_of_some_keeps_what_the_page_says_of_the_others(tmp_path, monkeypatch):
    made = {name: module(name, draws, f"Is {name} it?") for name in ("one", "two")}
    monkeypatch.setattr("experiments.__main__.discover", lambda: made)
    main(["--out", str(tmp_path)])
    before = (tmp_path / "README.md").read_text()
    main(["two", "--full", "--out", str(tmp_path)])
    after = (tmp_path / "README.md").read_text()
    assert after.partition("\n## two\n")[0] == before.partition("\n## two\n")[0]
    assert after.count("at full size") == after.count("in short") == 1


def test_the_page_says_of_a_failed_run_that_it_failed(two, tmp_path):
    main(["--out", str(tmp_path)])
    text = (tmp_path / "README.md").read_text()
    bad, _, good = text.partition("\n## good\n")
    assert "This run failed: `ValueError`" in bad
    assert "It does." in good


def test_short_runs_are_not_committed():
    assert frame.SHORT.parent == frame.FIGURES == ROOT / "figures"
    assert "figures/short/" in (ROOT / ".gitignore").read_text().split()


def test_help_says_where_results_go():
    text = " ".join(parser().format_help().split())
    assert "short run writes to figures/short/" in text
    assert "only --full to figures/" in text


def test_the_command_runs_on_one_thread_and_knows_its_experiments():
    script = (
        "import experiments, os, sys; assert 'numpy' not in sys.modules; "
        "print(*(os.environ[v] for v in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "1"]


@pytest.mark.parametrize(("arguments", "status"), [(["--list"], 0), (["nonsense"], 2)])
def test_the_exit_status_reaches_the_shell(arguments, status):
    done = subprocess.run([sys.executable, "-m", "experiments", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status, done.stderr


def test_pictures_are_the_same_for_the_same_data(tmp_path):
    rows = [invented(n, m, 1e-6 * n**3) for n in (2, 4, 8, 16) for m in gradient_cost.METHODS]
    gradient_cost.mark_fitted(rows)
    for name in ("a", "b"):
        for kind in ("svg", "png"):
            style.save(gradient_cost.draw(rows, gradient_cost.fits(rows)), tmp_path / f"{name}.{kind}")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "<dc:date>" not in (tmp_path / "a.svg").read_text()


def test_random_numbers_are_the_same_in_every_run(study):
    assert study.rng().random() == study.rng().random()


def test_experiments_do_not_load_peers_before_they_run():
    script = "import sys; from experiments.frame import discover; discover(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "jax", "autograd", "sklearn"} & set(done.stdout.split())
