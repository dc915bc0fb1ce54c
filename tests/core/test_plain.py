"""Consoles that are not UTF-8 print what the library shows."""

import os
import subprocess
import sys

import pytest

from admodes.core.plain import HANDLER, PLAIN, printable

SESSION = """
import numpy as np, admodes as ad
x, f = np.ones(3), lambda x: np.sum(np.sin(x) ** 2)
for found in (
    ad.cost(ad.grad(f), x), ad.trace(ad.grad(f), x), ad.jacobian(lambda x: x[1:] * x[:-1]).plan(np.ones(300)),
    ad.optimal_bracketing([(3, 3, 29), (1, 3, 14), (2, 1, 7)]), ad.jacobian_pattern(np.cumsum, x),
    ad.sparse_jacobian_plan(np.diff, x), ad.JacobianChain([np.tanh, np.sum], x), ad.linearized_graph(f, x),
    ad.JacobianChain([np.tanh, np.sum], x).plan(), ad.explain(f, x), ad.compare(f, x, max_seconds=0.5),
):
    print(found)
    print(repr(found))
"""


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_a_session(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", SESSION], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-1500:]
    assert "choice:" in done.stdout.decode(encoding)


@pytest.mark.parametrize("arguments", ["plan numpy:diff --shape a=50", "experiments --list", "compare --help"])
def test_the_command_line(arguments):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "admodes", *arguments.split()]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def test_what_stands_for_what():
    assert "x→y, ∂f, é, 漢".encode("ascii", HANDLER) == b"x->y, df, e, ?"
    assert all(text.isascii() for text in PLAIN.values())
    assert "x→y".encode("cp1252", HANDLER).decode("cp1252") == "x->y"
    assert printable("plain") == "plain"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", HANDLER)
