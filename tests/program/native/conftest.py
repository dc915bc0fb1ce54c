import dataclasses

import pytest

from admodes.program.native import calls, group, words

WIDTHS = [width for width in (64, 32, 16) if calls.usable() and width <= calls.machine().bytes]
OTHERS = [pytest.param(width, marks=pytest.mark.slow) for width in WIDTHS[1:]]


@pytest.fixture(params=[*WIDTHS[:1], *OTHERS])
def width(request, monkeypatch):
    """Vectors of so many bytes, of those that this machine has: quickly of the longest alone."""
    machine = dataclasses.replace(calls.machine(), bytes=request.param)
    for room in (calls, words):
        monkeypatch.setattr(room, "machine", lambda: machine)
    monkeypatch.setattr(calls, "_known", {})
    return request.param


@pytest.fixture
def every(monkeypatch):
    """Kernels of a single instruction too."""
    monkeypatch.setattr(group, "LEAST", 1)
