"""Kernels tell of nan among their results, wherever it is: what they do not tell of is looked at."""

import numpy as np
import pytest

from admodes import compile, grad, jacfwd, trace
from admodes.program.compile import Runner
from admodes.program.native import calls, threads

pytest.importorskip("llvmlite")

N = 37  # of elements, no multiple of a vector
RESULTS = {
    "elements": (lambda x: x * 2 + 1, True),
    "several": (lambda x: (x * 2, np.sin(x), np.sum(x * 3), x > 0), True),
    "numbers": (lambda x: (x[3] * 2, x[36] + 1, np.max(x * 1.0)), True),
    "rows": (lambda x: x[:36].reshape(4, 9) * x[1:].reshape(4, 9)[:, :1], True),
    "views": (lambda x: (x * 2).reshape(1, N).T, True),
    "joined": (lambda x: (np.concatenate([x, x[:5] * 2, x[::-1]]), np.stack([x, x + 1], axis=-1)), True),
    "single": (lambda x: x.astype(np.float32) * 2, True),
    "complex": (lambda x: (x * (1 + 2j), np.sum(x * 1j)), True),
    "strided": (lambda x: x[::2] * x[::-2], True),
    "shifted": (lambda x: np.pad(x * 2, 2) + np.pad(x[:5], (0, 36)), True),
    "sums of rows": (lambda x: np.sum(x[:36].reshape(6, 6) * 2, axis=0), False),
    "added": (lambda x: grad(lambda y: np.sum(y[np.arange(N) % 5] * x))(np.ones(5)), False),
    "beside NumPy's": (lambda x: (np.cumsum(x * 2 + 1), np.exp(x) * 2), False),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_nan_is_told_of_or_looked_for(name, width, every, monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SPLITTING", 1)
    monkeypatch.setattr(threads, "ALIGNED", 8)
    f, told = RESULTS[name]
    x = np.random.default_rng(0).normal(size=N)
    runner = Runner(trace(f, x), native=True, threads=1 if width > 16 else 3)
    assert (runner.asked == ()) == told
    for place in (None, 0, 3, 8, 31, 33, 36):
        given = x.copy()
        if place is not None:
            given[place] = np.nan
        before = calls.NANS[0]
        with np.errstate(all="ignore"):
            out = runner._run([given])
        noted = calls.NANS[0] is not before
        assert not (place is None and noted)
        assert noted or not any(np.isnan(y).any() for k, y in enumerate(out) if k not in runner.asked)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_zeros_are_kept_where_kernels_tell(bad, width):
    """0 · inf in a gradient is nan in the first run, and what no derivative leads to stays 0."""

    def f(x):
        return np.sum(np.where(x > 0, np.sqrt(x) * x, 0.0) * np.exp(x[::-1]))

    x = np.linspace(-1, 2, N)
    x[20] = bad
    for g in (grad(f), jacfwd(f), lambda x: grad(lambda y: np.sum(y * np.exp(y)))(x)):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(compile(g, native=True)(x), g(x), rtol=1e-12)


def test_arguments_that_are_copied_first_are_told_of_too(every):
    runner = Runner(trace(lambda x: x * 2 + 1, np.ones(N)), native=True)
    x = np.full(2 * N, np.nan)[::2]
    before = calls.NANS[0]
    runner._run([x])
    assert calls.NANS[0] is not before
