"""elimination: counts of the literature, what the finding says of them."""

import pytest

from experiments import elimination


def test_the_experiment_counts_and_draws(study, read, monkeypatch):
    monkeypatch.setattr(elimination, "ALPHAGRAD", {"PropaneCombustion": 88})
    monkeypatch.setattr(elimination, "EXAMPLES", elimination.EXAMPLES[:1])
    monkeypatch.setattr(elimination, "TIMED", "PropaneCombustion")
    said = elimination.run(study)
    assert "on 0 of 1 graphs (up to 0%), more on 0" in said
    assert "proven optimal are 1 of these and 1 of the 1 functions" in said
    (row,) = read(study.out / "trial.csv")
    orders = ("forward", "reverse", "markowitz", "alphagrad", "annealed", "lower_bound")
    assert [int(row[order]) for order in orders] == [151, 90, 111, 88, 88, 88]
    (code,) = read(study.out / "trial_code.csv")
    assert (code["function"], code["forward"], code["reverse"]) == ("human_heart_dipole", "240", "172")
    assert (study.out / "trial.png").stat().st_size > 10_000


def test_flat_code_that_is_not_the_jacobian_is_an_error(monkeypatch):
    right = elimination.accumulation

    def wrong(f, x, order):
        program = right(f, x, order=order)
        return lambda x: program(x) * 1.001

    monkeypatch.setattr(elimination, "accumulation", wrong)
    with pytest.raises(AssertionError):
        elimination.emitted(elimination.EXAMPLES[0], 1, 0.0)
