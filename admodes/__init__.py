"""admodes: forward mode, reverse mode, and what lies between, for plain NumPy functions.

>>> import numpy as np, admodes
>>> admodes.grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, 1.0]))
array([0.        , 0.90929743])
"""

from . import layers, ops, special
from .bracketing import Bracketing, optimal_bracketing
from .chain import JacobianChain
from .custom import custom_op, register
from .hessians import hessian, hvp
from .jacobians import jacobian
from .operators import gauss_newton, hessian_operator, linearize
from .program import Cost, GuardFailed, Program, compile, cost, trace
from .transforms import grad, jacfwd, jacrev, jvp, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "Bracketing",
    "Cost",
    "GuardFailed",
    "JacobianChain",
    "Program",
    "compile",
    "cost",
    "custom_op",
    "gauss_newton",
    "grad",
    "hessian",
    "hessian_operator",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "layers",
    "linearize",
    "ops",
    "optimal_bracketing",
    "register",
    "special",
    "trace",
    "value_and_grad",
    "vjp",
]
