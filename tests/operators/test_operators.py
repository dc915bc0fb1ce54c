"""The matrix-free operators, in SciPy's solvers and optimisers."""

import numpy as np
import pytest
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, cg, eigsh, gmres, lsqr, svds

from admodes import gauss_newton, grad, hessian, hessian_operator, hvp, jacobian, linearize, value_and_grad

rng = np.random.default_rng(7)
A = rng.normal(size=(12, 12)) / 4 + 2 * np.eye(12)
X = rng.normal(size=12)


def square_system(x):
    return np.tanh(A @ x) + x


def residuals(x):
    return np.concatenate([np.sin(x) * x[::-1], x**2 - 1, A[:3] @ x])


def energy(x):
    return np.sum(np.cosh(A @ x / 4)) + x @ x


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_gmres_takes_a_newton_step():
    y, J = linearize(square_system, X)
    step, status = gmres(J, -y, rtol=1e-12)
    assert status == 0
    np.testing.assert_allclose(step, np.linalg.solve(jacobian(square_system)(X), -y), rtol=1e-8)


def test_cg_solves_with_the_hessian():
    H = hessian_operator(energy, X)
    step, status = cg(H, -H.gradient, rtol=1e-12)
    assert status == 0
    np.testing.assert_allclose(step, np.linalg.solve(hessian(energy)(X), -grad(energy)(X)), rtol=1e-8)


def test_cg_solves_the_normal_equations_with_gauss_newton():
    G = gauss_newton(residuals, X)
    J = jacobian(residuals)(X)
    step, status = cg(G, -J.T @ residuals(X), rtol=1e-13)
    assert status == 0
    np.testing.assert_allclose(step, np.linalg.lstsq(J, -residuals(X))[0], rtol=1e-6)


def test_lsqr_needs_pushes_and_pulls():
    y, J = linearize(residuals, X)
    found = lsqr(J, -y, atol=1e-14, btol=1e-14)[0]
    np.testing.assert_allclose(found, np.linalg.lstsq(jacobian(residuals)(X), -y)[0], rtol=1e-7)


def test_svds_finds_the_largest_singular_values():
    J = linearize(residuals, X)[1]
    found = svds(J, k=3, return_singular_vectors=False, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(found)[::-1], np.linalg.svd(J.dense())[1][:3], rtol=1e-8)


def test_eigsh_finds_the_largest_curvature():
    H = hessian_operator(rosenbrock, X)
    found = eigsh(H, k=2, return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(found), np.linalg.eigvalsh(hessian(rosenbrock)(X))[-2:], rtol=1e-9)


@pytest.mark.parametrize("jac", [jacobian(residuals), lambda x: linearize(residuals, x)[1]])
def test_least_squares_takes_arrays_and_operators(jac):
    found = optimize.least_squares(residuals, X, jac=jac, tr_solver="lsmr", xtol=1e-13, ftol=1e-13, gtol=1e-13)
    assert np.linalg.norm(grad(lambda x: residuals(x) @ residuals(x))(found.x)) < 1e-5


@pytest.mark.parametrize(
    ("method", "second"),
    [
        ("trust-constr", {"hess": lambda x: hessian_operator(rosenbrock, x)}),
        ("trust-constr", {"hessp": lambda x, v: hvp(rosenbrock, (x,), (v,))}),
        ("Newton-CG", {"hessp": lambda x, v: hvp(rosenbrock, (x,), (v,))}),
        ("trust-krylov", {"hessp": lambda x, v: hvp(rosenbrock, (x,), (v,))}),
        ("trust-exact", {"hess": hessian(rosenbrock)}),
    ],
)
def test_minimize_takes_gradients_hessians_and_products(method, second):
    start = np.array([0.7, 0.6, 0.8, 1.2])  # in the valley of the minimum at 1, not of the local one
    found = optimize.minimize(value_and_grad(rosenbrock), start, jac=True, method=method, **second)
    np.testing.assert_allclose(found.x, 1, atol=1e-3)


def test_the_hessian_operator_is_the_hessian():
    H = hessian_operator(energy, X)
    expected = hessian(energy)(X)
    assert isinstance(H, LinearOperator)
    assert H.shape == (12, 12)
    np.testing.assert_allclose(H.gradient, grad(energy)(X))
    np.testing.assert_allclose(H.dense(), expected, rtol=1e-10)
    np.testing.assert_allclose(H @ A, expected @ A, rtol=1e-10)
    np.testing.assert_allclose(H.T @ X, expected @ X, rtol=1e-10)
    np.testing.assert_allclose(H.H @ A, expected @ A, rtol=1e-10)


def test_the_hessian_operator_of_two_arguments_is_one_matrix_of_both():
    x, w = X[:3], A[:2, :3]

    def f(x, w):
        return np.sum(np.tanh(w @ x) ** 2)

    H = hessian_operator(f, x, w)
    joined = hessian(lambda z: f(z[:3], z[3:].reshape(2, 3)))(np.concatenate([x, w.ravel()]))
    np.testing.assert_allclose(H.dense(), joined, rtol=1e-9, atol=1e-12)
    assert [g.shape for g in H.gradient] == [(3,), (2, 3)]


def test_gauss_newton_with_a_loss_weighs_by_its_hessian():
    def log_loss(y):
        return np.log(np.sum(np.exp(y))) - y[2]

    G = gauss_newton(residuals, X, loss=log_loss)
    J, W = jacobian(residuals)(X), hessian(log_loss)(residuals(X))
    np.testing.assert_allclose(G @ np.eye(12), J.T @ W @ J, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(G.T @ X, J.T @ W @ J @ X, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gauss_newton(residuals, X) @ X, J.T @ J @ X, rtol=1e-9)


@pytest.mark.parametrize("make", [hessian_operator, gauss_newton])
def test_complex_and_integer_arguments_are_errors(make):
    with pytest.raises(TypeError, match="complex"):
        make(lambda x: x, np.ones(3, complex))
    with pytest.raises(TypeError, match=r"integer|int64"):
        make(lambda x: x, np.ones(3, int))


def test_a_hessian_of_no_scalar_is_an_error():
    with pytest.raises(TypeError, match="returns one number"):
        hessian_operator(residuals, X)


def test_a_product_with_a_vector_of_the_wrong_length_is_an_error():
    with pytest.raises(ValueError, match="mismatch"):
        hessian_operator(energy, X) @ np.ones(5)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("f", [lambda x: x, lambda x: x + 0.0, lambda x: x.reshape(2, 2), lambda x: (x, x)])
def test_products_share_no_memory_with_what_they_were_given(f, order):
    """A push or pull of the identity hands its direction through; what comes out is the caller's all the same."""
    _, J = linearize(f, np.arange(1.0, 5.0))
    for operator in (J, J.T, J.H):
        V = np.asarray(np.arange(operator.shape[1] * 3.0).reshape(-1, 3), order=order)
        for v in (V, V[:, 0], V[:, :1]):
            given, product = v.copy(), operator @ v
            assert not np.shares_memory(product, v)
            product[...] = -1.0
            np.testing.assert_array_equal(v, given)


def test_curvature_of_complex_numbers_is_an_error():
    """Real results of complex arguments, and complex results of real ones: neither matrix would be a linear map."""
    with pytest.raises(TypeError, match="gauss_newton: an array is complex"):
        gauss_newton(lambda z: np.abs(z), np.ones(3, complex))
    with pytest.raises(TypeError, match="gauss_newton: an array is complex"):
        gauss_newton(lambda x: x * (1 + 2j), np.ones(3))
    with pytest.raises(TypeError, match="gauss_newton: an array is complex"):
        gauss_newton(lambda x: x * (1 + 2j), np.ones(3), loss=lambda y: np.sum(np.abs(y) ** 2))
    with pytest.raises(TypeError, match="hessian_operator: an array is complex"):
        hessian_operator(lambda z: np.sum(np.abs(z) ** 2), np.ones(3, complex))


@pytest.mark.parametrize(
    "operator",
    [linearize(residuals, X)[1], hessian_operator(energy, X), gauss_newton(residuals, X, loss=lambda y: np.sum(y**4))],
    ids=["Jacobian", "Hessian", "Gauss–Newton"],
)
def test_complex_numbers_where_arrays_are_real(operator):
    for one, V in ((operator, rng.normal(size=(2, 12, 3))), (operator.T, rng.normal(size=(2, operator.shape[0], 3)))):
        np.testing.assert_allclose(one @ (V[0] + 1j * V[1]), one @ V[0] + 1j * (one @ V[1]), rtol=1e-12)
        np.testing.assert_allclose(one.H @ (one @ (1j * V[1])), 1j * (one.H @ (one @ V[1])), rtol=1e-12)


def test_a_matrix_of_complex_numbers_is_that_of_a_complex_differentiable_function():
    z, v = np.array([1 + 2j, 3 - 1j]), np.array([1j, 2.0])
    _, J = linearize(lambda z: z**2 * z[::-1], z)
    np.testing.assert_allclose(J @ v, J.dense() @ v)
    np.testing.assert_allclose(J.T @ v, J.dense().T @ v)
    for f in (np.conj, np.abs, lambda z: np.sum(np.abs(z) ** 2), lambda z: z * np.abs(z)):
        _, J = linearize(f, z)
        with pytest.raises(TypeError, match=r"J\.dense\(\): the function is not complex-differentiable"):
            J.dense()
    with pytest.raises(TypeError, match=r"J\.T @ u.*: the function is not complex-differentiable"):
        J.T @ v
    _, J = linearize(lambda x, z: x * z, np.ones(2), z)
    np.testing.assert_allclose(J @ np.array([1, 0, 1j, 0]), [1 + 3j, 0])
    with pytest.raises(TypeError, match="an array that is real"):
        J @ np.array([1j, 0, 1j, 0])
