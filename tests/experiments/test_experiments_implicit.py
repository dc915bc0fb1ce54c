"""implicit: that its networks learn, what it says of memory and of errors."""

import numpy as np
import pytest

from experiments import digits, implicit


def made_up(count, rng, pixels=64, classes=10):
    labels = rng.integers(classes, size=count)
    return digits.Split(np.eye(classes, pixels)[labels] * 2 + 0.1 * rng.normal(size=(count, pixels)), labels)


def test_the_experiment_writes_its_data_and_pictures(study, read, monkeypatch):
    rng = np.random.default_rng(0)
    split = made_up(320, rng), made_up(60, rng)
    monkeypatch.setattr(digits, "load", lambda rng: split)
    monkeypatch.setattr(implicit, "EPOCHS", 3)
    monkeypatch.setattr(implicit, "ITERATIONS", (5, 80))
    monkeypatch.setattr(implicit, "TOLERANCES", (1e-4, 1e-10))
    monkeypatch.setattr(implicit, "STEPS_TO_TRY", np.array([1e-6, 1e-2]))
    monkeypatch.setattr(implicit, "RUNGE_KUTTA", (10, 20, 40))
    said = implicit.run(study)
    assert "the least of 1 runs" in said
    assert len(read(study.out / "trial.csv")) == 2 * 3
    kept = read(study.out / "trial_memory.csv")
    assert [row["way"] for row in kept] == ["fixed point", "unrolled"] * 2
    fixed, unrolled = ([int(r["bytes"]) for r in kept if r["way"] == way] for way in ("fixed point", "unrolled"))
    assert fixed[1] < 1.1 * fixed[0]
    assert unrolled[1] > 5 * unrolled[0]
    apart = {row["function"]: float(row["apart"]) for row in read(study.out / "trial_other_ways.csv")}
    assert apart.keys() == {"pose", "eigenvector"}
    assert max(apart.values()) < 1e-10
    errors = read(study.out / "trial_differences.csv")
    early = min(float(row["error"]) for row in errors if "stopped" in row["function"])
    assert early > 1e3 * min(float(row["error"]) for row in errors)
    ode = read(study.out / "trial_oscillator.csv")
    assert min(float(row["error"]) for row in ode if row["method"] == "odeint, reverse") < 1e-8
    names = {path.name for path in study.files if path.suffix == ".png"}
    assert names == {"trial.png", "trial_solvers.png"}


def test_a_network_that_does_not_learn_is_an_error(study, monkeypatch):
    rng = np.random.default_rng(0)
    split = made_up(64, rng), made_up(60, rng)
    monkeypatch.setattr(digits, "load", lambda rng: split)
    monkeypatch.setattr(implicit, "EPOCHS", 1)
    monkeypatch.setattr(implicit, "STEP", 0.0)
    with pytest.raises(RuntimeError, match="held-out digits right"):
        implicit.run(study)
