"""A bar appears where a person looks at a terminal, and not before its time."""

import importlib
import io
from contextlib import contextmanager, redirect_stderr

import numpy as np
import pytest

import admodes
from admodes.core import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@contextmanager
def terminal():
    """What is written to stderr while that is a terminal."""
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(Terminal()) as found:
        patch.setenv("TERM", "xterm")
        yield found


def test_nothing_where_no_terminal_is():
    with redirect_stderr(io.StringIO()) as found, progress.bar("work", 2) as step:
        step("one")
    assert found.getvalue() == ""


def test_a_bar_tells_what_is_done():
    with terminal() as found, progress.bar("work", 3) as step:
        step("first")
        step("second")
    assert "second" in found.getvalue()
    assert "2/3" in found.getvalue()


def test_not_before_its_time(monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress, "clock", lambda: now)
    with terminal() as found, progress.bar("work", 3, after=1.0) as step:
        step("first")
        assert found.getvalue() == ""
        now = 1.5
        step("second")
    assert "2/3" in found.getvalue()


def test_patterns_and_plans_show_that_they_go_on(monkeypatch):
    for module in ("admodes.sparse.pattern", "admodes.ways.prediction"):
        monkeypatch.setattr(importlib.import_module(module), "PATIENCE", 0.0)
    with terminal() as found:
        admodes.jacobian_pattern(lambda x: x[1:] * x[:-1], np.ones(50))
    assert "sparsity pattern" in found.getvalue()
    with terminal() as found:
        admodes.jacobian(lambda x: x[1:] * x[:-1]).plan(np.ones(50))
    assert "plan of the Jacobian" in found.getvalue()
