"""checkpointing: counts, gradients, memory; no clock is asserted on."""

import numpy as np
import pytest

from admodes.transforms.revolve import forward_steps
from experiments import checkpointing


def test_the_experiment_counts_and_draws(study, read, monkeypatch):
    monkeypatch.setattr(checkpointing, "STEPS", 60)
    monkeypatch.setattr(checkpointing, "SITES", 1000)
    monkeypatch.setattr(checkpointing, "CALIBRATED", 40)
    monkeypatch.setattr(checkpointing, "SNAPSHOTS", (2, 5, 50, 60))
    monkeypatch.setattr(checkpointing, "DISK", (3,))
    said = checkpointing.run(study)
    assert "of 60 steps 50 snapshots take" in said
    assert "steps run as few as can be in 6 of 6 runs" in said
    rows = read(study.out / "trial.csv")
    kept = [(r["kept"], int(r["snapshots"]), int(r["on_disk"])) for r in rows]
    assert kept == [*(("snapshots", s, 0) for s in (2, 5, 50, 60)), ("disk", 2, 3), ("tape", 60, 0)]
    run = [int(r["steps_run"]) for r in rows]
    assert run == [*(forward_steps(60, s) + 60 for s in (2, 5, 50, 60, 5)), 60]
    assert int(rows[0]["bytes"]) < int(rows[2]["bytes"]) < int(rows[-1]["bytes"])
    for row in read(study.out / "trial_online.csv"):
        assert int(row["steps_offline"]) <= int(row["steps_run"]) <= 1.35 * int(row["steps_offline"])
    assert (study.out / "trial.png").stat().st_size > 10_000


def test_a_wrong_gradient_is_no_row():
    recurrence = checkpointing.Recurrence(20, 10, np.random.default_rng(0))
    h, strength = recurrence.gradient(recurrence.plain)
    with pytest.raises(AssertionError):
        checkpointing.measured(recurrence, None, 3, 0, (h * (1 + 1e-6), strength))
