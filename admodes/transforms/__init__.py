"""The transforms: products with the Jacobian, gradients, dense Jacobians."""

from .dense import grad, jacfwd, jacrev, jvp, value_and_grad, vjp

__all__ = ["grad", "jacfwd", "jacrev", "jvp", "value_and_grad", "vjp"]
