"""What happens once, when something is first met, may happen in several threads at once: in a fresh interpreter."""

import subprocess
import sys

import pytest

AT_ONCE = """
import threading, sys
import numpy as np
import admodes
{imports}
sys.setswitchinterval(1e-6)
errors, start = [], threading.Barrier(8)

def work():
    start.wait()
    try:
        {call}
    except Exception as error:
        errors.append(error)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, errors
"""
DATACLASSES = """
import dataclasses
@dataclasses.dataclass
class P:
    a: object
@dataclasses.dataclass
class Q:
    p: P
    b: object
"""
FIRST = {
    "scipy.special": ("import scipy.special as sp", "assert admodes.grad(sp.erf)(0.0) > 1"),
    "several of its functions": (
        "import scipy.special as sp",
        "[admodes.grad(f)(0.3) for f in (sp.expit, sp.gammaln, sp.ndtri, sp.j0, sp.ellipk)]",
    ),
    "dataclass": (DATACLASSES, "admodes.grad(lambda q: (q.p.a * q.b).sum())(Q(P(np.ones(2)), np.ones(2)))"),
    "compile": ("f = admodes.compile(lambda x: np.sin(x) * x)", "f(np.ones(3))"),
    "late modules": ("", "admodes.JacobianChain([np.sin, np.cos], np.ones(2)).jacobian()"),
}


@pytest.mark.parametrize("what", FIRST)
def test_eight_threads_meet_something_first(what):
    imports, call = FIRST[what]
    code = AT_ONCE.format(imports=imports, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
