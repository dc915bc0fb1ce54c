"""The tools that `speed` and `peers` compare: this library, and whichever of autograd, torch, JAX and MyGrad is there.

A tool turns a workload into a call without arguments that computes the derivative, its arguments already in the tool's
own arrays: what is timed is the derivative alone.  To add one, subclass `Tool` and name it in `TOOLS`.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import admodes

from .workloads import Workload

Task = Callable[[], Any]


class Tool:
    """One way to a derivative; each kind of derivative is a method (f, arguments, workload) -> call."""

    name = ""
    label = ""
    library = "numpy"
    prepares = False  # whether the first call compiles

    def __init__(self) -> None:
        self.version = str(importlib.import_module(self.library).__version__)

    namespace: Any = np

    def offers(self, kind: str) -> bool:
        """Whether it has this kind of derivative."""
        return hasattr(self, kind)

    def array(self, x: Any) -> Any:
        """An argument as the tool's own array."""
        return x

    def numpy(self, y: Any) -> Any:
        """A result as NumPy arrays, a tuple of them where there are several."""
        return tuple(self.numpy(part) for part in y) if isinstance(y, tuple | list) else np.asarray(y)

    def prepare(self, workload: Workload) -> Task:
        """The call that is timed."""
        function = workload.adapted.get(self.name, workload.function)
        arguments = [self.array(x) for x in workload.arguments]
        by, namespace = workload.by, self.namespace
        fixed = arguments[by:]

        def f(*chosen: Any) -> Any:
            return function(namespace, *chosen, *fixed)

        return getattr(self, workload.kind)(f, arguments[:by], workload)


class ByHand(Tool):
    """Derivative code written by hand."""

    name, label = "hand", "by hand"

    def offers(self, kind: str) -> bool:
        return True

    def prepare(self, workload: Workload) -> Task:
        return lambda: workload.by_hand(*workload.arguments)


class Eager(Tool):
    """This library, run as it is."""

    name, label, library = "admodes", "admodes", "admodes"

    def made(self, derivative: Callable[..., Any], x: list[Any]) -> Task:
        """The call of a derivative."""
        return _call(derivative, x)

    def gradient(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self.made(admodes.grad(f, argnums=tuple(range(len(x))) if len(x) > 1 else 0), x)

    def forward(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self.made(admodes.jacfwd(f), x)

    def reverse(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self.made(admodes.jacrev(f), x)

    def hessian(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self.made(admodes.hessian(f, mode="forward-over-reverse"), x)

    def hvp(self, f: Any, x: list[Any], workload: Workload) -> Task:
        return self.made(lambda *x: admodes.hvp(f, x, (workload.direction,)), x)

    def push(self, f: Any, x: list[Any], workload: Workload) -> Task:
        return self.made(lambda v, *x: admodes.jvp(f, x, (v,))[1], [workload.direction, *x])


class Compiled(Eager):
    """This library, the derivative compiled to flat code."""

    name, label, prepares = "compiled", "admodes compiled", True

    def made(self, derivative: Callable[..., Any], x: list[Any]) -> Task:
        return _call(admodes.compile(derivative), x)

    def hessian(self, f: Any, x: list[Any], _: Workload) -> Task:
        """Coloured: the pattern, found at the first call, tells that it is banded."""
        plans: list[Any] = []

        def dense(*x: Any) -> Any:
            if not plans:
                plans.append(admodes.sparse_hessian_plan(f, *x))
            return plans[0].dense(*x)

        return _call(dense, x)


class Autograd(Tool):
    """HIPS autograd."""

    name, label, library = "autograd", "autograd", "autograd"

    def __init__(self) -> None:
        from importlib.metadata import version

        import autograd
        import autograd.numpy

        self.autograd, self.namespace, self.version = autograd, autograd.numpy, version("autograd")

    def gradient(self, f: Any, x: list[Any], _: Workload) -> Task:
        return _call(self.autograd.grad(f, argnum=list(range(len(x))) if len(x) > 1 else 0), x)

    def forward(self, f: Any, x: list[Any], _: Workload) -> Task:
        push = self.autograd.make_jvp(f)
        return lambda: np.stack([push(*x)(e)[1] for e in np.eye(x[0].size)], axis=-1)

    def reverse(self, f: Any, x: list[Any], _: Workload) -> Task:
        return _call(self.autograd.jacobian(f), x)

    def hessian(self, f: Any, x: list[Any], _: Workload) -> Task:
        return _call(self.autograd.hessian(f), x)

    def hvp(self, f: Any, x: list[Any], workload: Workload) -> Task:
        product = self.autograd.make_hvp(f)
        return lambda: product(*x)[0](workload.direction)

    def push(self, f: Any, x: list[Any], workload: Workload) -> Task:
        push = self.autograd.make_jvp(f)
        return lambda: push(*x)(workload.direction)[1]


class TorchAsNumPy:
    """torch's functions under NumPy's names, where the two differ."""

    newaxis = None

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.torch, name)

    def max(self, a: Any, axis: int) -> Any:
        return self.torch.amax(a, dim=axis)

    def min(self, a: Any, axis: int) -> Any:
        return self.torch.amin(a, dim=axis)

    def copy(self, a: Any) -> Any:
        return self.torch.clone(a)

    def zeros(self, shape: Any) -> Any:
        return self.torch.zeros(shape, dtype=self.torch.float64)

    def ones(self, shape: Any) -> Any:
        return self.torch.ones(shape, dtype=self.torch.float64)


class Torch(Tool):
    """PyTorch, eager."""

    name, label, library = "torch", "torch eager", "torch"

    def __init__(self) -> None:
        super().__init__()
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        self.namespace = TorchAsNumPy(torch)

    def array(self, x: Any) -> Any:
        return self.torch.tensor(x, dtype=self.torch.float64) if np.result_type(x).kind == "f" else x

    def numpy(self, y: Any) -> Any:
        return tuple(self.numpy(part) for part in y) if isinstance(y, tuple | list) else y.detach().numpy()

    def gradient(self, f: Any, x: list[Any], _: Workload) -> Task:
        leaves = [a.clone().requires_grad_() for a in x]
        several = len(x) > 1

        def gradient() -> Any:
            found = self.torch.autograd.grad(f(*leaves), leaves)
            return found if several else found[0]

        return gradient

    def forward(self, f: Any, x: list[Any], _: Workload) -> Task:
        return _call(self.torch.func.jacfwd(f), x)

    def reverse(self, f: Any, x: list[Any], _: Workload) -> Task:
        return _call(self.torch.func.jacrev(f), x)

    def hessian(self, f: Any, x: list[Any], _: Workload) -> Task:
        return _call(self.torch.func.hessian(f), x)

    def hvp(self, f: Any, x: list[Any], workload: Workload) -> Task:
        """Reverse over reverse, which is eager torch's fastest."""
        leaf, v, grad = x[0].clone().requires_grad_(), self.array(workload.direction), self.torch.autograd.grad

        def product() -> Any:
            (g,) = grad(f(leaf), leaf, create_graph=True)
            return grad(g, leaf, v)[0]

        return product

    def push(self, f: Any, x: list[Any], workload: Workload) -> Task:
        v, dual = self.array(workload.direction), self.torch.autograd.forward_ad

        def push() -> Any:
            with dual.dual_level():
                return dual.unpack_dual(f(dual.make_dual(x[0], v))).tangent

        return push


class Jax(Tool):
    """JAX, compiled; a loop as lax.scan."""

    name, label, library = "jax", "JAX jit", "jax"
    prepares = True

    def __init__(self) -> None:
        super().__init__()
        jax: Any = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cpu")
        self.jax, self.namespace = jax, jax.numpy

    def array(self, x: Any) -> Any:
        return self.jax.numpy.asarray(x)

    def _compiled(self, derivative: Any, x: list[Any]) -> Task:
        compiled, ready = self.jax.jit(derivative), self.jax.block_until_ready
        return lambda: ready(compiled(*x))

    def gradient(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self._compiled(self.jax.grad(f, argnums=tuple(range(len(x))) if len(x) > 1 else 0), x)

    def forward(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self._compiled(self.jax.jacfwd(f), x)

    def reverse(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self._compiled(self.jax.jacrev(f), x)

    def hessian(self, f: Any, x: list[Any], _: Workload) -> Task:
        return self._compiled(self.jax.hessian(f), x)

    def push(self, f: Any, x: list[Any], workload: Workload) -> Task:
        jax, v = self.jax, self.array(workload.direction)
        return self._compiled(lambda v, *x: jax.jvp(f, x, (v,))[1], [v, *x])

    def hvp(self, f: Any, x: list[Any], workload: Workload) -> Task:
        jax, v = self.jax, self.array(workload.direction)
        return self._compiled(lambda x: jax.jvp(jax.grad(f), (x,), (v,))[1], x)


class MyGrad(Tool):
    """MyGrad, which has reverse mode alone."""

    name, label, library = "mygrad", "MyGrad", "mygrad"

    def __init__(self) -> None:
        super().__init__()
        self.mygrad: Any = importlib.import_module("mygrad")

    def gradient(self, f: Any, x: list[Any], _: Workload) -> Task:
        def gradient() -> Any:
            leaves = [self.mygrad.tensor(a) for a in x]
            f(*leaves).backward()
            found = tuple(leaf.grad for leaf in leaves)
            return found if len(found) > 1 else found[0]

        return gradient


def _call(derivative: Callable[..., Any], x: list[Any]) -> Task:
    return lambda: derivative(*x)


# The first is what all are compared with.
TOOLS: tuple[type[Tool], ...] = (ByHand, Eager, Compiled, Autograd, Torch, Jax, MyGrad)


def installed() -> tuple[list[Tool], list[str]]:
    """The tools that can be imported, and the names of those that cannot."""
    tools, missing = [], []
    for kind in TOOLS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a peer's own imports
            try:
                tools.append(kind())
            except ImportError:
                missing.append(kind.label)
    return tools, missing
