"""The experiment on bracketing: its numbers against the literature's and the definitions.  No clock is asserted on."""

import itertools
import pickle

import numpy as np
import pytest

from admodes import optimal_bracketing
from experiments import bracketing, schedules, style

# Naumann, arXiv 2003.05755, reference implementation: tangent, adjoint, preaccumulation, optimal.
PARTS = ("", "_detail", "_random", "_executed", "_scheduled")
SMALL = {
    "p_3_3.1": (150, 100, 123, 56),
    "p2.2": (800, 6400, 656, 600),
    "p_10_10.1": (3_708, 5_562, 2_618, 1_344),
    "p_50_50.1": (1_283_868, 1_355_194, 1_687_575, 71_668),
}
COLUMNS = ("tangent", "adjoint", "preaccumulation", "optimal")


# ---------------------------------------------------------------------------------------------------
# The instances of the literature
# ---------------------------------------------------------------------------------------------------


def test_all_instances_are_read_the_shortest_first():
    chains = bracketing.instances()
    assert len(chains) == 11
    assert chains["p_3_3.1"] == [(3, 3, 29), (1, 3, 14), (2, 1, 7)]
    lengths = [len(chain) for chain in chains.values()]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 500
    assert {*bracketing.FULL_LIMITED, bracketing.SHARED, bracketing.FULL_SHARED} <= set(chains)


def test_without_the_data_the_error_tells_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(bracketing, "INSTANCES", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"nowhere.*checkout"):
        bracketing.instances()


@pytest.mark.parametrize("name", SMALL)
def test_the_rows_are_the_literature(name):
    row = bracketing.priced(name, bracketing.instances()[name])
    assert tuple(row[key] for key in COLUMNS) == SMALL[name]
    assert row["gain"] == min(SMALL[name][:3]) / SMALL[name][3]


@pytest.mark.parametrize("name", ["p_3_3.1", "p_10_10.1", "p2.3"])
def test_the_least_memory_is_the_least_of_all(name):
    """By trying every limit up to the edges of the whole chain."""
    chain = bracketing.instances()[name]
    whole = sum(e for *_, e in chain)
    costs = [optimal_bracketing(chain, memory=limit).cost for limit in range(whole + 1)]
    rows = bracketing.limited(name, chain, 6)
    assert [row["cost"] for row in rows] == [costs[row["memory"]] for row in rows]
    assert [row["memory"] for row in rows if row["least_that_loses_nothing"]] == [costs.index(costs[-1])]
    assert costs[max(e for *_, e in chain)] == costs[-1]
    assert rows[0]["memory"] == 0
    assert (rows[-1]["share_of_edges"], rows[-1]["over_unlimited"]) == (1, 1)


def test_makespans_lie_above_their_bound_and_meet_it_at_both_ends():
    chain = bracketing.instances()["p_10_10.1"]
    counts = [*range(1, 10), len(chain)]
    rows = bracketing.shared("p_10_10.1", counts, [bracketing.makespan((chain, w)) for w in counts])
    assert all(row["over_one_worker"] >= row["bound"] for row in rows)
    assert all(rows[k]["over_one_worker"] == rows[k]["bound"] for k in (0, -1))
    assert rows[0]["makespan"] == SMALL["p_10_10.1"][3]


# ---------------------------------------------------------------------------------------------------
# Random chains
# ---------------------------------------------------------------------------------------------------


def test_random_chains_fit_together_and_keep_to_their_ranges():
    chain = bracketing.random_chain(400, np.random.default_rng(0))
    assert all(before[0] == after[1] for before, after in itertools.pairwise(chain))
    assert {1, bracketing.WIDEST} <= {m for m, _, _ in chain}
    assert all(1 <= m <= bracketing.WIDEST and m + n <= e <= (m + n) ** 2 for m, n, e in chain)


def test_random_chains_are_the_same_in_every_run_and_differ_between_blocks():
    assert bracketing.gains((5, 0)) == bracketing.gains((5, 0))
    assert bracketing.gains((5, 0)) != bracketing.gains((5, 1))
    assert len(bracketing.gains((5, 0))) == bracketing.BLOCK


@pytest.mark.parametrize("length", [1, 2, 5, 20])
def test_no_gain_is_larger_than_the_narrowest_place_allows(length):
    for row in bracketing.gains((length, 7)):
        assert 1 <= row["gain"] <= row["bound"]
        assert row["gain"] == row[row["best_plain"]] / row["optimal"]


def test_the_gain_of_a_chain_with_a_narrow_middle():
    """9 → 1 → 9: the adjoint of the first and the tangent of the second, and their outer product."""
    row = bracketing.gain([(1, 9, 20), (9, 1, 30)])
    assert (row["tangent"], row["adjoint"], row["preaccumulation"], row["optimal"]) == (450, 450, 131, 131)
    assert (row["narrowest"], row["bound"], row["gain"], row["best_plain"]) == (1, 9, 1, "preaccumulation")


# ---------------------------------------------------------------------------------------------------
# Chains of real functions
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_executed_chains_cost_what_is_predicted(number):
    chain = bracketing.layered(number, 40)
    rows = {row["order"]: row for row in bracketing.executed((number, 40))}
    assert all(row["predicted"] == row["counted"] for row in rows.values())
    dense, m, n = chain.factors[::2], *chain.shape
    edges = sum(f.m * f.n for f in dense) + sum(f.m for f in dense[:-1])
    assert rows["forward"]["counted"] == n * edges
    assert rows["reverse"]["counted"] == m * edges
    assert rows["optimal"]["counted"] <= min(m, n) * edges


def test_the_timed_orders_agree_and_stand_beside_their_counts():
    rows = bracketing.timed((1, 20), bracketing.executed((1, 20)), 1, 0.0)
    assert [row["order"] for row in rows] == list(bracketing.ORDERS)
    assert [row["counted_over_optimal"] for row in rows] == [row["counted"] / rows[-1]["counted"] for row in rows]
    assert all(row["seconds"] > 0 for row in rows)
    assert rows[-1]["seconds_over_optimal"] == 1


def test_a_wrong_jacobian_is_not_timed(monkeypatch):
    counted = bracketing.executed((1, 20))
    right = bracketing.JacobianChain.jacobian
    wrong = {"forward": 1.01}
    monkeypatch.setattr(
        bracketing.JacobianChain,
        "jacobian",
        lambda chain, order: right(chain, order) * (wrong.get(order, 1) if isinstance(order, str) else 1),
    )
    with pytest.raises(AssertionError):
        bracketing.timed((1, 20), counted, 1, 0.0)


def test_what_is_counted_elsewhere_travels_by_pickle():
    chain = bracketing.instances()["p_3_3.1"]
    jobs = ((bracketing.makespan, (chain, 2)), (bracketing.gains, (5, 0)), (bracketing.executed, (0, 20)))
    for function, job in jobs:
        assert pickle.loads(pickle.dumps(function(job))) == pickle.loads(pickle.dumps(function))(job)


# ---------------------------------------------------------------------------------------------------
# What is said and drawn
# ---------------------------------------------------------------------------------------------------


def invented(chain, order, seconds, predicted=5, counted=5, optimum=1.0):
    ratios = {"counted_over_optimal": 2.0, "seconds_over_optimal": seconds / optimum}
    return {"chain": chain, "order": order, "predicted": predicted, "counted": counted, "seconds": seconds, **ratios}


def test_the_finding_tells_where_count_and_clock_disagree():
    tiny = bracketing.SHORT_CALL / 2
    rows = [
        *(invented(0, order, s) for order, s in (("forward", 4.0), ("reverse", 0.95), ("optimal", 1.0))),
        *(invented(1, order, s) for order, s in (("forward", 0.5), ("reverse", 3.0), ("optimal", 1.0))),
        *(invented(2, order, s, optimum=tiny) for order, s in (("forward", 1.0), ("optimal", tiny))),
    ]
    assert bracketing.slowdowns(rows) == {0: 1 / 0.95, 1: 2.0, 2: 1.0}
    said = bracketing.found_in_executed(rows)
    assert "as predicted in 8 of 8 runs" in said
    assert "in 1 of 2 chains above 1 ms (at most 2.00× slower), in 1 of 1 chains below 1 ms" in said
    assert "7 of 8" in bracketing.found_in_executed([*rows[:-1], invented(2, "optimal", tiny, 5, 6, tiny)])


def random_row(length, gained, bound):
    return {"length": length, "gain": gained, "bound": bound}


def test_the_finding_of_random_chains_is_of_their_medians():
    rows = [
        *(random_row(5, gained, 4.0) for gained in (1.0, 2.0, 4.0)),
        *(random_row(9, gained, 40.0) for gained in (1.0, 39.0, 40.0)),
    ]
    assert bracketing.medians(rows) == {5: 2.0, 9: 39.0}
    said = bracketing.found_in_random(rows)
    assert "from 2× for 5 factors to 39× for 9" in said
    assert "50% of all are within 10%" in said
    assert "optimal in 33% of the chains of 5" in said


def test_the_experiment_writes_its_data_and_pictures(study, monkeypatch, read):
    monkeypatch.setattr(bracketing, "LENGTHS", (2, 5))
    monkeypatch.setattr(bracketing, "WORKERS", (1, 2))
    some = {name: bracketing.instances()[name] for name in SMALL}
    monkeypatch.setattr(bracketing, "instances", lambda: some)
    layered = bracketing.layered
    monkeypatch.setattr(bracketing, "layered", lambda number, _: layered(number, 20))
    monkeypatch.setattr(schedules, "EVERY", {3: 50, 5: 200, 8: 200})
    said = bracketing.run(study)
    assert f"p_50_50.1 is {1283868 / 71668:.0f}× cheaper" in said
    assert all(path.stat().st_size for path in study.files)
    pictures = {f"trial{part}.{kind}" for part in PARTS for kind in ("svg", "png")}
    assert {path.name for path in study.files if path.suffix != ".csv"} == pictures
    rows = read(study.out / "trial.csv")
    assert {row["instance"]: tuple(int(row[key]) for key in COLUMNS) for row in rows} == SMALL
    memory = read(study.out / "trial_memory.csv")
    assert {row["instance"] for row in memory} == set(bracketing.LIMITED)
    assert [row["workers"] for row in read(study.out / "trial_workers.csv")] == ["1", "2", "50"]
    assert len(read(study.out / "trial_random.csv")) == 2 * 3 * bracketing.BLOCK
    executed = read(study.out / "trial_executed.csv")
    assert [row["order"] for row in executed] == list(bracketing.ORDERS) * 8
    assert all(row["predicted"] == row["counted"] for row in executed)
    scheduled = read(study.out / "trial_scheduled.csv")
    assert [int(row["factors"]) for row in scheduled] == [3] * 8 + [5] * 4 + [8] * 7


def test_schedules_are_no_longer_than_the_dynamic_program_and_not_below_their_bound():
    smallest = next(job for job in schedules.jobs(True) if job[2] == schedules.SMALLEST)
    (first, *rest) = schedules.schedules(smallest)
    assert (first["workers"], first["makespan"], first["dynamic_program"]) == (2, 171_381, 216_923)
    for row in (first, *rest):
        assert row["bound"] <= row["makespan"] <= row["dynamic_program"]
        assert row["published"] == row["makespan"] or not row["published_proven"]
    said = schedules.found([first])
    assert "shorter than the published dynamic program's in 100% of 1 cases, by up to 1.27×; 1 of 1 proven" in said


def test_the_pictures_are_the_same_for_the_same_data(tmp_path):
    rows = [row for number in range(2) for row in bracketing.gains((5, number))]
    for name in ("a.svg", "b.svg"):
        style.save(bracketing.draw_random(rows), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
