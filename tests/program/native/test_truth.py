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


@pytest.mark.slow
@pytest.mark.parametrize("alone", [False, True], ids=["vectors", "alone"])
@pytest.mark.parametrize("fn", DOMAINS, ids=lambda fn: fn.__name__)
def test_functions_are_within_four_ulp(fn, alone):
    worst, where = ulps_off(fn, 300 if alone else 3000, alone)
    assert worst <= MOST, where


@pytest.mark.slow
@pytest.mark.parametrize("fn", DOMAINS, ids=lambda fn: fn.__name__)
def test_so_they_are_of_narrow_vectors(fn, narrow):
    worst, where = ulps_off(fn, 600)
    assert worst <= MOST, where


@pytest.mark.parametrize("fn", [np.exp, np.sin, np.tanh, np.log1p, np.power])
def test_a_few_points_of_the_commonest(fn):
    worst, where = ulps_off(fn, 64)
    assert worst <= MOST, where
