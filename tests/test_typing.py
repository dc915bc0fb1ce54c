"""What a user's type checker sees: parameters are kept, results have types where they are known, words are checked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import admodes

RIGHT = """
import numpy as np
import numpy.typing as npt
from typing import Any, assert_type
import admodes
from admodes import (
    Cost, Program, compile, cost, grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, linearize, trace, value_and_grad,
    vjp,
)

Vector = npt.NDArray[np.float64]

def loss(params: dict[str, Vector], x: Vector, scale: float = 1.0) -> np.float64:
    return np.float64(np.sum(params["w"] * x) * scale)

def layer(x: Vector) -> Vector:
    return np.tanh(x)

def with_aux(x: Vector) -> tuple[np.float64, str]:
    return np.float64(x[0]), "aux"

x = np.ones(3)
p = {"w": x}
grad(loss)(p, x, scale=2.0)["w"]
assert_type(grad(loss, argnums=(0, 1))(p, x), tuple[Any, ...])
assert_type(grad(with_aux, has_aux=True)(x), tuple[Any, str])
assert_type(value_and_grad(loss)(p, x)[0], np.float64)
assert_type(value_and_grad(with_aux, has_aux=True)(x)[0], tuple[np.float64, str])
assert_type(jvp(layer, (x,), (x,)), tuple[Vector, Vector])
y, pullback = vjp(layer, x)
assert_type(y, Vector)
assert_type(pullback(np.ones((2, 3))), tuple[Any, ...])
assert_type(linearize(layer, x)[0], Vector)
linearize(layer, x)[1].dense().shape
assert_type(compile(layer)(x), Vector)
assert_type(trace(grad(loss), p, x), Program)
assert_type(cost(layer, x), Cost)
assert_type(trace(layer, x).cost.flops, float)
grad(lambda x: np.sum(x**2))(x)
grad(grad(lambda x: x**2))(3.0)
hessian(grad(grad(lambda x: x**2)), mode="reverse-over-forward")(3.0)
jacobian(lambda x, w: np.tanh(w @ x), argnums=(0, 1), mode="reverse")(x, x)
jacfwd(layer, chunk=2)(x) + jacrev(layer)(x)
hvp(lambda x: np.sum(x**3), (x,), (x,)) @ x
admodes.JacobianChain([layer, np.sum], x).jacobian("optimal")
"""

WRONG = """
import numpy as np
from admodes import JacobianChain, grad, hessian, jacobian, sparse_jacobian_plan

def f(x: float, *, scale: float) -> float:
    return x * scale

grad(f)(1.0)  # no scale
grad(f)(1.0, scale="2")
grad(3.0)
jacobian(f, mode="backward")
hessian(f, mode="sparse-ish")
sparse_jacobian_plan(f, 1.0, order="largest")
JacobianChain([np.sum], np.ones(2)).jacobian("best")
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """By file, the lines in which mypy, as strict as it can be, sees an error."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("user")
    for name, text in (("right", RIGHT), ("wrong", WRONG)):
        (folder / f"{name}.py").write_text(text)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "right.py", "wrong.py"],
        capture_output=True, text=True, cwd=folder,
        env={**os.environ, "MYPYPATH": str(Path(admodes.__file__).parents[1])},
    )  # fmt: skip
    assert found.returncode in (0, 1), found.stderr
    seen = re.findall(r"(\w+)\.py:(\d+): error: (.*)", found.stdout)
    return {file: {int(n): text for name, n, text in seen if name == file} for file in ("right", "wrong")}


@pytest.mark.slow
def test_a_program_without_slips_has_no_errors(errors):
    lines = RIGHT.splitlines()
    assert not errors["right"], [f"{lines[n - 1]}  # {message}" for n, message in errors["right"].items()]


@pytest.mark.slow
def test_slips_are_seen(errors):
    lines = WRONG.splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line.startswith("grad(f)"))
    assert {*range(first, len(lines) + 1)} == {*errors["wrong"]}
