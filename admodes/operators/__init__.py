"""Linear operators at a point: Jacobian, Hessian, Gauss–Newton matrix, matrix-free."""
