"""admodes: forward mode, reverse mode, and what lies between, for plain NumPy functions.

>>> import numpy as np, admodes
>>> admodes.grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, 1.0]))
array([0.        , 0.90929743])
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import layers, ops, scipy, special
from .core import errors
from .core import prices as _prices
from .core.creation import no_rerun
from .core.errors import (
    Detached,
    IllConditioned,
    LeakedTracer,
    MissingRule,
    NotConverged,
    OverwrittenValue,
    PatternMiss,
    PatternTooDense,
    SingularJacobian,
    WorkerLost,
    WrongDerivative,
)
from .custom import custom_op, register
from .operators.products import gauss_newton, hessian_operator, linearize
from .transforms import grad, jacfwd, jacrev, jvp, value_and_grad, vjp

if TYPE_CHECKING:
    from .chains.bracketing import Bracketing
    from .chains.chain import JacobianChain
    from .chains.search import optimal_bracketing
    from .checking import Check, check
    from .elimination import LinearizedGraph, linearized_graph
    from .explanation.explain import Explanation, explain
    from .implicit import fixed_point, minimize, odeint, root
    from .program import Cost, GuardFailed, Program, compile, cost, trace
    from .sparse.pattern import hessian_pattern, jacobian_pattern
    from .sparse.plan import sparse_hessian_plan, sparse_jacobian_plan
    from .transforms.checkpoint import checkpoint, checkpoint_chain, checkpoint_scan
    from .ways.compare import compare
    from .ways.comparison import Comparison
    from .ways.hessians import hessian, hvp
    from .ways.jacobians import jacobian

__version__ = "0.2.0"

__all__ = [
    "Bracketing",
    "Check",
    "Comparison",
    "Cost",
    "Detached",
    "Explanation",
    "GuardFailed",
    "IllConditioned",
    "JacobianChain",
    "LeakedTracer",
    "LinearizedGraph",
    "MissingRule",
    "NotConverged",
    "OverwrittenValue",
    "PatternMiss",
    "PatternTooDense",
    "Program",
    "SingularJacobian",
    "WorkerLost",
    "WrongDerivative",
    "check",
    "checkpoint",
    "checkpoint_chain",
    "checkpoint_scan",
    "compare",
    "compile",
    "cost",
    "custom_op",
    "errors",
    "explain",
    "fixed_point",
    "gauss_newton",
    "grad",
    "hessian",
    "hessian_operator",
    "hessian_pattern",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacobian_pattern",
    "jacrev",
    "jvp",
    "layers",
    "linearize",
    "linearized_graph",
    "minimize",
    "no_rerun",
    "odeint",
    "ops",
    "optimal_bracketing",
    "register",
    "root",
    "scipy",
    "sparse_hessian_plan",
    "sparse_jacobian_plan",
    "special",
    "trace",
    "value_and_grad",
    "vjp",
]

# Loaded when first used: an eager gradient takes none of them.
_LATE = {
    ".chains.bracketing": ("Bracketing",),
    ".chains.chain": ("JacobianChain",),
    ".chains.search": ("optimal_bracketing",),
    ".checking": ("Check", "check"),
    ".elimination": ("LinearizedGraph", "linearized_graph"),
    ".explanation.explain": ("Explanation", "explain"),
    ".implicit": ("fixed_point", "minimize", "odeint", "root"),
    ".program": ("Cost", "GuardFailed", "Program", "compile", "cost", "trace"),
    ".sparse.pattern": ("hessian_pattern", "jacobian_pattern"),
    ".sparse.plan": ("sparse_hessian_plan", "sparse_jacobian_plan"),
    ".transforms.checkpoint": ("checkpoint", "checkpoint_chain", "checkpoint_scan"),
    ".ways.compare": ("compare",),
    ".ways.comparison": ("Comparison",),
    ".ways.hessians": ("hessian", "hvp"),
    ".ways.jacobians": ("jacobian",),
}
_WHERE = {name: module for module, names in _LATE.items() for name in names}
_ROOMS = {module.split(".")[1] for module in _LATE}


def _sparse_ways(plan: Any) -> list[dict[str, Any]]:
    from .ways.plans import sparse_ways

    return sparse_ways(plan)


_prices.sparse_ways = _sparse_ways


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        found = getattr(importlib.import_module(_WHERE[name], __name__), name)
    elif name in _ROOMS:
        found = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
