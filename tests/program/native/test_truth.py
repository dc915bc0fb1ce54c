"""Native functions against the exact result, in mpmath: at most 4 ulp over their domains, of vectors and alone."""

import dataclasses

import numpy as np
import pytest

from admodes.program.native import calls
from experiments.native import DOMAINS, ulps_off

pytest.importorskip("llvmlite")
pytest.importorskip("mpmath")
MOST = 4.0  # ulp


@pytest.fixture
def narrow(monkeypatch):
    """The narrowest vectors there are."""
    machine = dataclasses.replace(calls.machine(), bytes=16)
    monkeypatch.setattr(calls, "_known", {})
    monkeypatch.setattr(calls, "machine", lambda: machine)


DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@pytest.mark.slow
@DTYPES
@pytest.mark.parametrize("alone", [False, True], ids=["vectors", "alone"])
@pytest.mark.parametrize("fn", DOMAINS, ids=lambda fn: fn.__name__)
def test_functions_are_within_four_ulp(fn, alone, dtype):
    worst, where = ulps_off(fn, 300 if alone else 3000, alone, dtype)
    assert worst <= MOST, where


@pytest.mark.slow
@DTYPES
@pytest.mark.parametrize("fn", DOMAINS, ids=lambda fn: fn.__name__)
def test_so_they_are_of_narrow_vectors(fn, narrow, dtype):
    worst, where = ulps_off(fn, 600, dtype=dtype)
    assert worst <= MOST, where


@DTYPES
@pytest.mark.parametrize("fn", [np.exp, np.sin, np.tanh, np.log1p, np.power, np.log])
def test_a_few_points_of_the_commonest(fn, dtype):
    worst, where = ulps_off(fn, 64, dtype=dtype)
    assert worst <= MOST, where
