"""Linear algebra: what numpy.linalg offers, on stacks of matrices too.

Conventions.  A function that reads one triangle (cholesky, eigh, eigvalsh, hermitian=True) is differentiated as NumPy
computes it: the other triangle and the imaginary part of the diagonal have derivative zero, and an element below the
diagonal stands for its mirror image too.  Functions that are not holomorphic state the real-linear push; the pull g is
what df = Re(Σ g·dz) makes of it.

Where values alone are used, equal eigenvalues and singular values share their derivative equally, as the elements of
a maximum do, and a singular value of 0 has derivative 0, as |x| at 0.  Vectors that such a tie leaves undetermined have
the derivative nan; where any vectors are used, so have the tied values; and so have second derivatives at a tie.  The
phase of a complex vector is LAPACK's: one element of it is real.  Extra columns of a full svd do not turn among
themselves: differentiate only functions of the space they span.  A norm of 0 has derivative 0 and second derivative nan.

Flops (Golub and Van Loan, Matrix Computations, 4th ed.), n the smaller and m the larger extent: LU 2n³/3, inverse 2n³,
Cholesky n³/3, QR 4mn² − 4n³/3 with Q, symmetric eigenvalues and vectors 9n³, general 25n³, svd 14mn² + 8n³ with
vectors, 4m²n + 8mn² + 9n³ with all of them, 4mn² − 4n³/3 without.
"""

from . import determinants, eigenvalues, equations, factorisations, norms, pieces, products, singular_values

__all__ = [
    "determinants",
    "eigenvalues",
    "equations",
    "factorisations",
    "norms",
    "pieces",
    "products",
    "singular_values",
]
