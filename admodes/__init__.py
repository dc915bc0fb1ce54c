"""admodes: forward mode, reverse mode, and what lies between, for plain NumPy functions.

>>> import numpy as np, admodes
>>> admodes.grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, 1.0]))
array([0.        , 0.90929743])
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import layers, ops, scipy, special
from .chains.bracketing import Bracketing
from .chains.chain import JacobianChain
from .chains.search import optimal_bracketing
from .core import errors
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
from .elimination import LinearizedGraph, linearized_graph
from .operators.products import gauss_newton, hessian_operator, linearize
from .program import Cost, GuardFailed, Program, compile, cost, trace
from .transforms import grad, jacfwd, jacrev, jvp, value_and_grad, vjp
from .transforms.checkpoint import checkpoint, checkpoint_chain, checkpoint_scan
from .ways.hessians import hessian, hvp
from .ways.jacobians import jacobian

if TYPE_CHECKING:
    from .checking import Check, check
    from .explanation.explain import Explanation, explain
    from .implicit import fixed_point, minimize, odeint, root
    from .sparse.pattern import hessian_pattern, jacobian_pattern
    from .sparse.plan import sparse_hessian_plan, sparse_jacobian_plan
    from .ways.compare import compare
    from .ways.comparison import Comparison

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

# These need what `import admodes` does not load: scipy.sparse, or the table of ways.
_LATE = {
    "Explanation": ".explanation.explain",
    "explain": ".explanation.explain",
    "Check": ".checking",
    "check": ".checking",
    "fixed_point": ".implicit",
    "minimize": ".implicit",
    "odeint": ".implicit",
    "root": ".implicit",
    "Comparison": ".ways.comparison",
    "compare": ".ways.compare",
    "hessian_pattern": ".sparse.pattern",
    "jacobian_pattern": ".sparse.pattern",
    "sparse_hessian_plan": ".sparse.plan",
    "sparse_jacobian_plan": ".sparse.plan",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
