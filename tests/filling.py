"""What functions that fill arrays of their own are held to."""

import numpy as np
from checks import jacobian_by_differences

from admodes import compile, jacfwd, jacobian, jacrev, jvp, trace, vjp

X = np.array([0.5, 1.25, -0.75])


def check(f, x=X):
    """Every way gives what differences give, and the value that plain NumPy gives."""
    value, expected = f(x), jacobian_by_differences(f, x)
    for jac in (jacfwd, jacrev, jacobian, lambda f: lambda x: jacobian(f, mode="sparse")(x).toarray()):
        np.testing.assert_allclose(jac(f)(x), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(jvp(f, (x,), (x,))[0], value)
    np.testing.assert_array_equal(vjp(f, x)[0], value)
    fast = compile(f)
    for point in (x, x + 0.125):
        np.testing.assert_allclose(fast(point), f(point), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(compile(jacrev(f))(point), jacobian_by_differences(f, point), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(trace(jacfwd(f), x)(x), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        jacfwd(jacrev(f))(x), jacobian_by_differences(lambda x: jacrev(f)(x), x), rtol=1e-5, atol=1e-7
    )


def row_operations(A):
    """Both factors of a matrix by Gauss, element by element, without exchanges."""
    A = A.copy()
    for k in range(len(A)):
        for i in range(k + 1, len(A)):
            A[i, k] /= A[k, k]
            A[i, k + 1 :] -= A[i, k] * A[k, k + 1 :]
    return A
