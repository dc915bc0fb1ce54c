"""Implicit functions: z(p) is what solves g(z, p) = 0, and its derivative comes from g, not from the solver's steps.

One rule, the implicit function theorem: with A = ∂g/∂z at the solution, 0 = A ż + ∂g/∂p ṗ, so that

    push:  ż = −A⁻¹ (∂g/∂p ṗ)          pull:  p̄ = −(∂g/∂p)ᵀ A⁻ᵀ z̄.
"""

from .fixed_point import fixed_point
from .minimize import minimize
from .odeint import odeint
from .root import root

__all__ = ["fixed_point", "minimize", "odeint", "root"]
