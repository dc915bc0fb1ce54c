"""scipy.linalg: equations with a structure, factorisations that are used again, functions of matrices.

A function that reads one triangle is differentiated as it computes: the other triangle has derivative zero.  The pull
g of a complex function is what df = Re(Σ g·dz) makes of it.  The one argument of a function of matrices may be a stack
where SciPy's may.
"""

from __future__ import annotations

from .banded import solve_banded
from .equations import solve, solve_triangular
from .factorisations import cho_factor, cho_solve, lu_factor, lu_solve
from .functions import expm, logm, sqrtm
from .matrices import block_diag, circulant, toeplitz
from .matrix_equations import solve_discrete_lyapunov, solve_sylvester

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "circulant",
    "expm",
    "logm",
    "lu_factor",
    "lu_solve",
    "solve",
    "solve_banded",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "toeplitz",
]
