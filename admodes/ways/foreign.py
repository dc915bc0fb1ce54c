"""Other libraries as ways: autograd, JAX and PyTorch on the same code, where they are installed and the code allows it.

f's own NumPy is replaced by theirs in a copy of f (see `substitute`).  A library that is not there, or that cannot
follow the code, is a row that says why.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import pytree
from ..transforms.arguments import SEVERAL, partial_at
from .question import Question
from .substitute import substituted

Task = Callable[[], Any]


@dataclass(frozen=True)
class Peer:
    """Another library: task(q) prepares the derivative and returns the call that is timed."""

    label: str
    library: str
    task: Callable[[Question], Task]
    codes: dict[str, str]  # of each target the line to write, with f's NumPy replaced
    import_seconds: float
    compile_seconds: float = 0.0  # for each operation of f, roughly: a program of thousands takes minutes

    def why_not(self, q: Question) -> str:
        if importlib.util.find_spec(self.library) is None:
            return f"{self.library} is not installed"
        if not all(isinstance(x, np.ndarray | float | np.floating) for x in q.primals):
            return "arguments that are trees of arrays are not handed to other libraries here"
        if len(q.primals) > 1 and q.target in ("jacobian", "hessian", "hvp"):
            return "several arguments are handed to other libraries for gradients and products with J alone"
        return "" if all(x.dtype.kind == "f" for x in q.leaves) else "complex arguments"

    def to_import(self) -> float:
        """Seconds that the import will take, if it is still to be done."""
        return 0.0 if self.library in sys.modules else self.import_seconds

    def derivative(self, q: Question) -> Callable[..., Any]:
        """As a function of f's arguments, which it does not look at: they are the library's own already."""
        task = self.task(q)
        return lambda *_: task()


def _replaced(q: Question, namespace: Any, array: Callable[[Any], Any] | None) -> Any:
    """f, of the arguments to differentiate by, in another namespace."""
    f = substituted(q.f, namespace, array)
    args = q.args if array is None else tuple(array(x) if isinstance(x, np.ndarray) else x for x in q.args)
    return partial_at(f, q.argnums, args, {})[0]


def _one(q: Question, found: Any) -> Any:
    """A tuple of derivatives as q's argnums ask for it."""
    return found if isinstance(q.argnums, SEVERAL) else found[0]


# ---------------------------------------------------------------------------------------------------
# autograd
# ---------------------------------------------------------------------------------------------------


def _autograd(q: Question) -> Task:
    autograd: Any = importlib.import_module("autograd")
    namespace: Any = importlib.import_module("autograd.numpy")
    g, x = _replaced(q, namespace, None), list(q.primals)
    every = list(range(len(x)))
    if q.target == "gradient":
        derivative = autograd.grad(g, every)
        return lambda: _one(q, derivative(*x))
    if q.target in ("jacobian", "hessian"):
        derivative = getattr(autograd, q.target)(g)
        return lambda: derivative(*x)
    if q.target == "jvp":
        push = autograd.make_jvp(g, every)
        return lambda: push(*x)(list(q.tangents))[1]
    if q.target == "vjp":
        pull = autograd.make_vjp(g, every)
        return lambda: pull(*x)[0](q.cotangent)
    product = autograd.make_hvp(g)
    return lambda: product(*x)[0](q.tangents[0])


# ---------------------------------------------------------------------------------------------------
# JAX
# ---------------------------------------------------------------------------------------------------


def _jax(q: Question) -> Task:
    """Compiled ahead of time with float64 where the arguments have it; the setting of the process stays as it is."""
    jax: Any = importlib.import_module("jax")
    with _wide(jax):
        g, x = _replaced(q, jax.numpy, None), [jax.numpy.asarray(p) for p in q.primals]
        every = tuple(range(len(x)))
        v = tuple(map(jax.numpy.asarray, q.tangents)) if q.target in ("jvp", "hvp") else ()

        def vjp(*x: Any) -> Any:
            return jax.vjp(g, *x)[1](pytree.tree_map(jax.numpy.asarray, q.cotangent))

        derivative = {
            "gradient": lambda *x: _one(q, jax.grad(g, every)(*x)),
            "jacobian": jax.jacfwd(g) if q.n <= q.m else jax.jacrev(g),
            "hessian": jax.hessian(g),
            "jvp": lambda *x: jax.jvp(g, x, v)[1],
            "vjp": vjp,
            "hvp": lambda *x: jax.jvp(jax.grad(g), x, v)[1],
        }[q.target]
        compiled = jax.jit(derivative).lower(*x).compile()
    return lambda: jax.block_until_ready(compiled(*x))


def _wide(jax: Any) -> Any:
    """Float64 in JAX, here and not beyond."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64()


# ---------------------------------------------------------------------------------------------------
# PyTorch
# ---------------------------------------------------------------------------------------------------


def _torch(q: Question) -> Task:
    torch: Any = importlib.import_module("torch")
    g = _replaced(q, torch, torch.as_tensor)
    x = [torch.as_tensor(p) for p in q.primals]
    if q.target == "gradient":
        leaves = [a.clone().requires_grad_() for a in x]
        return lambda: _one(q, torch.autograd.grad(g(*leaves), leaves))
    func = torch.func
    if q.target == "jacobian":
        derivative = func.jacfwd(g) if q.n <= q.m else func.jacrev(g)
        return lambda: derivative(*x)
    if q.target == "hessian":
        derivative = func.hessian(g)
        return lambda: derivative(*x)
    if q.target == "vjp":
        u = pytree.tree_map(torch.as_tensor, q.cotangent)
        return lambda: func.vjp(g, *x)[1](u)
    v = tuple(torch.as_tensor(t) for t in q.tangents)
    if q.target == "jvp":
        return lambda: func.jvp(g, tuple(x), v)[1]
    return lambda: func.jvp(func.grad(g), tuple(x), v)[1]


# ---------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------

PEERS = (
    Peer(
        "autograd", "autograd", _autograd,
        {
            "gradient": "autograd.grad({f}{a}){x}",
            "jacobian": "autograd.jacobian({f}{a}){x}",
            "hessian": "autograd.hessian({f}{a}){x}",
            "jvp": "autograd.make_jvp({f})({p})(v)[1]",
            "vjp": "autograd.make_vjp({f})({p})[0](u)",
            "hvp": "autograd.make_hvp({f})({p})[0](v)",
        },
        0.5,
    ),
    Peer(
        "JAX (jit)", "jax", _jax,
        {
            "gradient": "jax.jit(jax.grad({f}{a})){x}",
            "jacobian": "jax.jit(jax.{mode}({f}{a})){x}",
            "hessian": "jax.jit(jax.hessian({f}{a})){x}",
            "jvp": "jax.jit(lambda {p}: jax.jvp({g}, ({pt}), ({v}))[1])({p})",
            "vjp": "jax.jit(lambda {p}: jax.vjp({g}, {p})[1](u))({p})",
            "hvp": "jax.jit(lambda {p}: jax.jvp(jax.grad({g}), ({pt}), ({v}))[1])({p})",
        },
        2.5, compile_seconds=0.02,
    ),
    Peer(
        "PyTorch", "torch", _torch,
        {
            "gradient": "torch.func.grad({f}{a}){x}",
            "jacobian": "torch.func.{mode}({f}{a}){x}",
            "hessian": "torch.func.hessian({f}{a}){x}",
            "jvp": "torch.func.jvp({g}, ({pt}), ({v}))[1]",
            "vjp": "torch.func.vjp({g}, {p})[1](u)",
            "hvp": "torch.func.jvp(torch.func.grad({g}), ({pt}), ({v}))[1]",
        },
        5.0,
    ),
)  # fmt: skip
