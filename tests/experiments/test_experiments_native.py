"""The experiment on native kernels: its programs and its roof.  No clock is asserted on."""

import numpy as np
import pytest

import admodes
from experiments import native

pytest.importorskip("llvmlite")


def near(f, *args):
    """grad of f by its first argument is what central differences give."""
    x, *rest = args
    x = np.asarray(x, float)
    steps = [h.reshape(x.shape) for h in 1e-6 * np.eye(x.size)]
    slopes = [(f((x + h)[()], *rest) - f((x - h)[()], *rest)) / 2e-6 for h in steps]
    np.testing.assert_allclose(np.ravel(admodes.grad(f)(x[()], *rest)), slopes, rtol=1e-4, atol=1e-5)


def test_the_programs_are_differentiable():
    rng = np.random.default_rng(0)
    near(native.cross_entropy, rng.normal(size=(4, 3)), np.array([0, 2, 1, 1]))
    near(native.stencil, rng.normal(size=(5, 5)))
    near(native.stencil_in_space, rng.normal(size=(3, 3, 3)))
    near(native.pair_energy, 3 * rng.normal(size=(4, 3)))
    near(native.log_sum_exp, rng.normal(size=(3, 4)))
    near(native.layer_norm, rng.normal(size=(3, 4)), np.ones(4), np.zeros(4))
    near(native.kalman, 0.9, -1.0, np.array([1.0, -0.5]))
    near(native.markov, rng.normal(size=(3, 3)), rng.normal(size=(4, 3)))


def test_the_roof():
    peak = native.Peaks(((1000, 1e9), (100_000, 5e8)), 1e10)
    assert peak.least(1000, 0, 1000) == 1e-6
    assert peak.least(1000, 0, 3000) == 2e-6
    assert peak.least(1000, 1e6, 10**9) == 1e-4


def test_a_short_run(monkeypatch, study, read):
    rng = np.random.default_rng(0)
    few = [native.Example("stencil", native.stencil, (rng.normal(size=(20, 20)),)),
           native.Example("pairs", native.pair_energy, (rng.normal(size=(9, 3)),))]  # fmt: skip
    monkeypatch.setattr(native, "examples", lambda rng: few)
    monkeypatch.setattr(native, "LENGTHS", (1000,))
    monkeypatch.setattr(native, "exactness", lambda n: [])
    monkeypatch.setattr(native, "_on_jax", lambda *_: None)
    assert "Native kernels take" in native.run(study)
    rows = read(study.out / "trial.csv")
    assert [row["program"] for row in rows] == ["stencil", "pairs"]
    assert all(int(row["kernels"]) == 1 for row in rows)
    assert all(float(row["flops"]) > 0 and float(row["bytes"]) > 0 for row in rows)
