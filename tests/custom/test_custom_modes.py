"""Operations of a user's own in every mode: sparse, mixed, compiled, recomputed, nested, replayed elsewhere."""

import numpy as np
import pytest
from scipy import sparse

import admodes as ad
from admodes import custom_op

X = np.array([0.2, 0.35, 0.5])


def softmax(a):
    y = np.exp(a)
    return y / y.sum()


OPERATIONS = {
    "pull": custom_op(softmax, pull=lambda u, y, a: y * u - y * (y @ u)),
    "differences": custom_op(softmax, difference="central"),
    "elementwise differences": custom_op(np.sin, difference="complex", elementwise=True),
    "linear": custom_op(linear=sparse.csr_array(np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.5, 0.0]]))),
}


def dense(a):
    return a.toarray() if hasattr(a, "toarray") else np.asarray(a)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_every_mode(kind):
    op = OPERATIONS[kind]

    def f(x):
        return np.sin(op(x) * x)

    def loss(x):
        return np.sum(f(x) ** 2)

    J, H = ad.jacfwd(f)(X), ad.hessian(loss)(X)
    for mode in ("forward", "reverse", "sparse", "mixed", "auto"):
        np.testing.assert_allclose(dense(ad.jacobian(f, mode=mode)(X)), J, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ad.linearize(f, X)[1].dense(), J, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ad.gauss_newton(f, X) @ np.eye(3), J.T @ J, rtol=1e-12, atol=1e-15)
    for found in (
        ad.hessian(loss, mode="sparse")(X),
        ad.hvp(loss, (X,), (np.eye(3),)),
        ad.hessian(ad.checkpoint(loss))(X),
        ad.compile(ad.hessian(loss))(X),
        ad.hessian_operator(loss, X) @ np.eye(3),
    ):
        np.testing.assert_allclose(dense(found), H, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(ad.trace(f, X)(X + 0.1), f(X + 0.1))
    assert ad.check(f, X).ok
