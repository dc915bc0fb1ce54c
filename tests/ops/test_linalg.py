"""Linear algebra beyond what test_ops.py samples: every order of norm and mode of factorisation, stacks, the vectors
themselves, ties and singular matrices, errors, programs."""

import itertools

import checks
import numpy as np
import pytest

from admodes import grad, hessian, hvp, jacfwd, jacrev, jvp, vjp
from admodes.core.registry import OPS
from admodes.core.reverse import reverse_push
from admodes.program import compile, cost, trace

L = np.linalg
KINDS = pytest.mark.parametrize("kind", ["real", "complex"])


def matrix(*shape, kind="real", seed=0):
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "complex" else x


def H(x):
    return np.conjugate(np.swapaxes(x, -1, -2))


def hermitian(*shape, kind="real", seed=0):
    x = matrix(*shape, kind=kind, seed=seed)
    return x + H(x)


def definite(*shape, kind="real", seed=0):
    x = matrix(*shape, kind=kind, seed=seed)
    return x @ H(x) + np.eye(shape[-1])


def holds(f, *xs):
    """Both modes, differences, second order in all nestings, directions at once."""
    rng = np.random.default_rng(1)
    for check in (checks.first_order, checks.second_order, checks.directions, checks.same_dtypes):
        check(f, xs, rng)


def test_all_of_numpy_linalg_has_a_row():
    assert [name for name in L.__all__ if name != "LinAlgError" and getattr(L, name) not in OPS] == []


# ---------------------------------------------------------------------------------------------------
# Equations and inverses
# ---------------------------------------------------------------------------------------------------

SHAPES = [
    ((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 2)), ((1, 1), (1,)),
    ((2, 1, 3, 3), (4, 3, 2)), ((4, 3, 3), (2, 1, 3, 2)),
    ((0, 3, 3), (3,)), ((0, 3, 3), (0, 3, 2)), ((3, 3), (3, 0)), ((0, 0), (0,)),
]  # fmt: skip


@KINDS
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_solve(a, b, kind):
    holds(L.solve, matrix(*a, kind=kind) + 3 * np.eye(a[-1]), matrix(*b, kind=kind))


def test_solve_by_k_matrices_whose_number_is_that_of_a_stack_of_right_hand_sides():
    a, b, t = matrix(3, 3), matrix(5, 3, 2), matrix(5, 3, 3)
    got = jvp(lambda a: L.solve(a, b), (a,), (t,))[1]
    np.testing.assert_allclose(got, [jvp(lambda a: L.solve(a, b), (a,), (d,))[1] for d in t], rtol=1e-12)


def test_solve_factors_once_for_all_directions():
    a, b, n = matrix(20, 20), matrix(20), 20
    work = cost(lambda a: jvp(lambda a: L.solve(a, b), (a,), (matrix(30, n, n),))[1], a).by_operation["linalg.solve"]
    assert work.times == 2
    assert work.flops == pytest.approx(2 * (2 / 3 * n**3) + 2 * n * n * (1 + 30))


def test_solve_of_mixed_kinds_and_precisions():
    a, b = definite(3, 3), matrix(3, 2, kind="complex")
    holds(L.solve, a, b)
    g = vjp(L.solve, a.astype(np.float32), b.real)[1](b.real)
    assert [x.dtype for x in g] == [np.float32, np.float64]


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4), (2, 4, 3), (0, 3, 2), (1, 1)])
def test_pinv(shape, kind):
    holds(L.pinv, matrix(*shape, kind=kind))


@KINDS
def test_pinv_of_a_hermitian_matrix_reads_the_lower_triangle(kind):
    holds(lambda a: L.pinv(a, hermitian=True), hermitian(3, 3, kind=kind))


def test_pinv_along_a_curve_of_constant_rank():
    b, c = matrix(4, 2), matrix(2, 3)
    holds(lambda b, c: L.pinv(b @ c), b, c)
    holds(lambda b, c: L.pinv(b @ c, rtol=None), b, c)


def test_pinv_that_cuts_off_what_is_not_zero_raises():
    for how in ({"rcond": 0.5}, {"rtol": 0.5}):
        with pytest.raises(L.LinAlgError, match="cuts off"):
            grad(lambda a: np.sum(L.pinv(a, **how)))(np.diag([3.0, 2.0, 1.0]))


@KINDS
@pytest.mark.parametrize(("a", "b"), [((5, 3), (5,)), ((5, 3), (5, 2)), ((3, 3), (3, 2)), ((2, 4), (2, 3))])
def test_lstsq(a, b, kind):
    a, b = matrix(*a, kind=kind), matrix(*b, kind=kind)
    holds(lambda a, b: (lambda x, residuals, rank, s: (x, residuals, s))(*L.lstsq(a, b)), a, b)
    plain = L.lstsq(a, b)
    assert jvp(lambda a: L.lstsq(a, b)[2] * np.sum(a), (a,), (a,))[0] == plain[2] * np.sum(a)


def test_lstsq_of_deficient_rank():
    a, b = np.outer(np.arange(1.0, 5), [1.0, 2.0]), matrix(4)
    with pytest.raises(L.LinAlgError, match="rank 1"):
        jacrev(lambda a: L.lstsq(a, b)[0])(a)
    holds(lambda b: L.lstsq(a, b)[0], b)  # linear in b
    holds(lambda b: L.lstsq(np.diag([1.0, 1e-3]), b, rcond=1e-2)[0], b[:2])


@KINDS
def test_tensorsolve_and_tensorinv(kind):
    a = matrix(2, 3, 6, kind=kind)
    holds(L.tensorsolve, a, matrix(2, 3, kind=kind))
    holds(lambda a, b: L.tensorsolve(a, b, axes=(0, 2)), matrix(2, 6, 3, kind=kind), matrix(6, kind=kind))
    holds(L.tensorinv, a)
    holds(lambda a: L.tensorinv(a, ind=1), matrix(6, 2, 3, kind=kind))
    with pytest.raises(L.LinAlgError, match="no square matrix"):
        grad(lambda a: np.sum(L.tensorsolve(a, np.ones(4))))(matrix(4, 3))
    with pytest.raises(ValueError, match="ind"):
        grad(lambda a: np.sum(L.tensorinv(a, ind=0)))(a.real)


@pytest.mark.parametrize("f", [L.inv, lambda a: L.solve(a, np.ones(2)), lambda a: L.slogdet(a)[1],
                               lambda a: L.matrix_power(a, -1), lambda a: L.cond(a, 1)])  # fmt: skip
def test_a_singular_matrix_raises(f):
    for mode in (jacfwd, jacrev):
        with pytest.raises(L.LinAlgError):
            mode(f)(np.ones((2, 2)))


@KINDS
@pytest.mark.parametrize(("name", "params"), [("inv", {}), ("solve", {}), ("det", {}), ("cholesky", {"upper": False}),
                                              ("cholesky", {"upper": True})])  # fmt: skip
def test_stated_pulls_are_the_derived_ones(name, params, kind):
    op = OPS[getattr(L, name)]
    args = [definite(2, 3, 3, kind=kind), matrix(2, 3, 2, kind=kind)][: op.arrays]
    y = op.evaluate(*args, **params)
    u = matrix(4, *np.shape(y), kind=kind)
    for i, pull in enumerate(op.pulls):
        derived = reverse_push(op, i, u, y, args, params)
        np.testing.assert_allclose(pull(u, y, *args, **params), derived, rtol=1e-11, atol=1e-11)


# ---------------------------------------------------------------------------------------------------
# Determinants
# ---------------------------------------------------------------------------------------------------


def leibniz(a):
    """det A = Σ sign(p) Π a[i, p(i)]: slow, and a polynomial for any A."""
    n, total = a.shape[-1], 0
    for p in itertools.permutations(range(n)):
        term = L.det(np.eye(n)[list(p)])
        for i, j in enumerate(p):
            term = term * a[..., i, j]
        total = total + term
    return total


B = matrix(4, 4, seed=2)
SINGULAR = {
    "regular": B,
    "rank 3": B @ np.diag([1.0, 1, 1, 0]) @ B,
    "rank 2": B @ np.diag([1.0, 1, 0, 0]) @ B,
    "rank 1": B @ np.diag([1.0, 0, 0, 0]) @ B,
    "zero": 0 * B,
    "nearly": B @ np.diag([1.0, 1, 1, 1e-14]) @ B,
    "graded": np.diag([1.0, 1e-4, 1e-8, 1e-12]) @ B,
    "tied": np.eye(4),
    "complex": matrix(4, 4, kind="complex") * [1, 1, 0, 0],
    "counted": np.arange(1.0, 10).reshape(3, 3),
    "one": np.zeros((1, 1)),
    "stack": np.stack([B, B @ np.diag([1.0, 0, 0, 0]), 0 * B]),
}


@pytest.mark.parametrize("a", SINGULAR.values(), ids=SINGULAR)
def test_det_of_any_matrix_at_orders_one_to_four(a):
    def derivative(f, order):
        for k in range(order):
            t = matrix(*a.shape, seed=10 + k).astype(a.dtype)
            f = (lambda f, t: lambda a: jvp(f, (a,), (t,))[1])(f, t)
        return f

    floor = 0 if a is SINGULAR["graded"] else 1e-13
    for order in range(4):
        got, expected = (derivative(f, order) for f in (L.det, leibniz))
        u = np.ones(np.shape(got(a)), a.dtype)
        tolerance = 1e-12 if order < 2 else 1e-9
        for g, e in ((got(a), expected(a)), (vjp(got, a)[1](u)[0], vjp(expected, a)[1](u)[0])):
            scale = np.max(np.abs(e))
            np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * scale + floor)


def test_hessian_of_det_at_a_singular_matrix_in_all_nestings():
    a = SINGULAR["rank 2"]
    expected = hessian(leibniz)(a)
    for mode in ("forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"):
        np.testing.assert_allclose(hessian(L.det, mode=mode)(a), expected, atol=1e-12)


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1), (0, 2, 2), (0, 0)])
def test_det_and_slogdet(shape, kind):
    holds(L.det, matrix(*shape, kind=kind))
    holds(L.slogdet, matrix(*shape, kind=kind))
    assert type(jvp(L.slogdet, (matrix(2, 2),), (matrix(2, 2),))[1]) is type(L.slogdet(np.eye(2)))


# ---------------------------------------------------------------------------------------------------
# Factorisations
# ---------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1), (0, 2, 2)])
def test_cholesky_reads_one_triangle(shape, kind):
    holds(L.cholesky, definite(*shape, kind=kind))
    holds(lambda a: L.cholesky(a, upper=True), definite(*shape, kind=kind))


def test_cholesky_ignores_what_numpy_ignores():
    a = definite(3, 3)
    g = jacrev(L.cholesky)(a + np.triu(np.full((3, 3), np.nan), 1))
    np.testing.assert_array_equal(g, jacrev(L.cholesky)(a))
    assert not np.any(g[..., *np.triu_indices(3, 1)])
    with pytest.raises(L.LinAlgError, match="positive definite"):
        jacrev(L.cholesky)(-a)


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (2, 3), (2, 4, 2), (1, 1), (0, 3, 2)])
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr(shape, mode, kind):
    holds(lambda a: L.qr(a, mode), matrix(*shape, kind=kind))


def test_qr_that_cannot_be():
    with pytest.raises(ValueError, match="raw"):
        jacrev(lambda a: L.qr(a, "raw")[0])(matrix(3, 3))
    for mode in (jacfwd, jacrev):
        with pytest.raises(L.LinAlgError, match="linearly dependent"):
            mode(lambda a: L.qr(a)[1])(np.ones((3, 2)))


# ---------------------------------------------------------------------------------------------------
# Eigenvalues
# ---------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("uplo", ["L", "U", "l"])
def test_eigh_with_the_phase_of_lapack(kind, uplo):
    for shape in ((4, 4), (2, 3, 3), (1, 1), (0, 2, 2)):
        a = hermitian(*shape, kind=kind)
        holds(lambda a: L.eigh(a, UPLO=uplo), a)
        holds(lambda a: L.eigvalsh(a, uplo), a)


@KINDS
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3)])
def test_functions_of_a_hermitian_matrix(shape, kind):
    def function(a):
        w, v = L.eigh(a)
        return (v * np.exp(0.3 * w)[..., None, :]) @ H(v), np.abs(v) ** 2, v[..., :2] @ H(v[..., :2])

    holds(function, hermitian(*shape, kind=kind))


def test_through_a_symmetric_matrix_it_does_not_matter_which_triangle_is_read():
    a = matrix(3, 3)
    lower, upper = (grad(lambda a: np.sum(np.abs(L.eigh(a @ a.T, u)[1]) ** 3))(a) for u in "LU")
    np.testing.assert_allclose(lower, upper, atol=1e-12)


@pytest.mark.parametrize("a", [matrix(4, 4, seed=3), matrix(3, 3, kind="complex"), definite(3, 3) + 0.1 * matrix(3, 3),
                               matrix(2, 3, 3, kind="complex"), matrix(1, 1), np.zeros((0, 2, 2))])  # fmt: skip
def test_eig(a):
    holds(L.eig, a)
    holds(L.eigvals, a)


def test_eigenvalues_of_a_real_matrix_may_be_complex():
    rotation = np.array([[0.0, 2.0], [-2.0, 0.0]])
    np.testing.assert_allclose(jacrev(lambda a: np.imag(L.eigvals(a)))(rotation)[0], [[0, 0.5], [-0.5, 0]], atol=1e-15)
    assert jacrev(lambda a: np.real(L.eigvals(a)))(rotation).dtype == np.float64


@pytest.mark.parametrize("a", [np.array([[1.0, 1], [0, 1]]), np.array([[0.0, 1], [0, 0]]), np.eye(3) + np.eye(3, k=1)])
def test_a_defective_matrix_raises(a):
    for mode in (jacfwd, jacrev):
        with pytest.raises(L.LinAlgError, match="defective"):
            mode(lambda a: np.real(L.eigvals(a)))(a)


# ---------------------------------------------------------------------------------------------------
# Singular values
# ---------------------------------------------------------------------------------------------------

TALL_AND_WIDE = [(3, 3), (5, 3), (2, 9), (2, 3, 4), (1, 1), (0, 3, 2), (3, 1)]


@KINDS
@pytest.mark.parametrize("shape", TALL_AND_WIDE)
def test_thin_svd_with_the_phase_of_lapack(shape, kind):
    holds(lambda a: L.svd(a, full_matrices=False), matrix(*shape, kind=kind))


@KINDS
@pytest.mark.parametrize("shape", TALL_AND_WIDE)
def test_full_svd_by_what_does_not_depend_on_the_extra_columns(shape, kind):
    def function(a):
        u, s, vh = L.svd(a)
        k = s.shape[-1]
        rest = u[..., k:] @ H(u[..., k:]), H(vh[..., k:, :]) @ vh[..., k:, :]
        return u[..., :k], s, vh[..., :k, :], *rest

    holds(function, matrix(*shape, kind=kind))


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_the_one_extra_column_of_a_real_svd(shape):
    holds(lambda a: L.svd(a), matrix(*shape))


@KINDS
@pytest.mark.parametrize("shape", TALL_AND_WIDE)
def test_singular_values(shape, kind):
    holds(L.svdvals, matrix(*shape, kind=kind))
    holds(lambda a: L.svd(a, compute_uv=False), matrix(*shape, kind=kind))


@KINDS
def test_svd_of_a_hermitian_matrix(kind):
    a = hermitian(4, 4, kind=kind)
    assert L.eigvalsh(a)[0] < 0 < L.eigvalsh(a)[-1]
    holds(lambda a: L.svd(a, hermitian=True), a)
    holds(lambda a: L.svd(a, compute_uv=False, hermitian=True), hermitian(2, 3, 3, kind=kind))
    assert type(jvp(lambda a: L.svd(a, hermitian=True), (a,), (a,))[1]) is type(L.svd(a))


# ---------------------------------------------------------------------------------------------------
# Ties, and values of zero
# ---------------------------------------------------------------------------------------------------

TIED = np.eye(3) + np.outer([1.0, 2.0, 2.0], [1.0, 2.0, 2.0]) / 9  # eigenvalues 1, 1, 2
RANK_1 = np.outer([1.0, 2.0, 2.0], [3.0, 4.0])


def both(f, a):
    """The Jacobian in both modes, which must agree, nan with nan."""
    forward, reverse = jacfwd(f)(a), jacrev(f)(a)
    np.testing.assert_allclose(forward, reverse, atol=1e-12)
    return reverse


def test_tied_eigenvalues_share_their_derivative():
    for f in (lambda a: L.eigvalsh(a)[-1], lambda a: L.eigh(a)[0][0], lambda a: L.svdvals(a)[1], lambda a: L.norm(a, 2),
              lambda a: L.norm(a, -2), lambda a: np.real(L.eigvals(a)[0])):  # fmt: skip
        np.testing.assert_allclose(both(f, np.eye(3)), np.eye(3) / 3, atol=1e-15)
    np.testing.assert_allclose(both(lambda a: np.sum(L.eigvalsh(a) ** 2), TIED), 2 * np.tril(TIED + np.tril(TIED, -1)))


def test_what_does_not_mix_tied_vectors_is_known():
    def untied(a):
        return L.eigh(a)[1][:, -1] ** 3

    def leading(a):
        u, s, vh = L.svd(a, full_matrices=False)
        return s[0] * np.outer(u[:, 0], vh[0])

    checks.first_order(untied, (TIED,), np.random.default_rng(0))
    checks.first_order(leading, (RANK_1,), np.random.default_rng(0))


OF_VECTORS = {
    "a function of the matrix": lambda a: (lambda w, v: np.sum((v * w) @ v.T))(*L.eigh(a)),
    "eigh": lambda a: np.sum(L.eigh(a)[1][:, :2] ** 3),
    "eig": lambda a: np.sum(np.real(L.eig(a)[1]) ** 3),
    "u": lambda a: np.sum(L.svd(a)[0] ** 3),
    "v": lambda a: np.sum(L.svd(a)[2][1:] ** 3),
    "the product": lambda a: (lambda u, s, vh: np.sum((u * s) @ vh))(*L.svd(a)),
}


@pytest.mark.parametrize("a", [TIED, np.eye(3), np.diag([3.0, 1, 1]), np.diag([1.0, 0, 0]), np.zeros((3, 3))],
                         ids=["two of three", "three", "diagonal", "rank 1", "zero"])  # fmt: skip
@pytest.mark.parametrize("f", OF_VECTORS.values(), ids=OF_VECTORS)
def test_tied_vectors_have_no_derivative(f, a):
    assert np.isnan(grad(f)(a)).any()
    for kind in (float, complex):
        x, t = a.astype(kind), matrix(3, 3).astype(kind)
        assert np.isnan(jvp(f, (x,), (t,))[1])
        assert np.isnan(vjp(f, x)[1](1.0 + 0 * f(x))[0]).any()


def test_second_derivatives_at_a_tie_are_nan():
    for mode in ("forward-over-reverse", "reverse-over-reverse", "reverse-over-forward"):
        assert np.isnan(hessian(lambda a: L.eigvalsh(a)[0], mode=mode)(TIED)).any()
        assert np.isnan(hessian(lambda a: L.norm(a, "nuc"), mode=mode)(np.eye(2))).any()


def test_a_vanishing_singular_value_has_derivative_zero():
    np.testing.assert_array_equal(both(L.svdvals, np.zeros((3, 2))), np.zeros((2, 3, 2)))
    nuclear = np.outer([1.0, 2.0, 2.0], [3.0, 4.0]) / 15
    np.testing.assert_allclose(both(lambda a: L.norm(a, "nuc"), RANK_1), nuclear, atol=1e-15)
    np.testing.assert_allclose(both(lambda a: np.sum(L.svdvals(a) ** 2), RANK_1), 2 * RANK_1, atol=1e-12)
    assert np.isnan(grad(lambda a: np.sum(L.svd(a)[0][:, 1] ** 3))(RANK_1)).any()


# ---------------------------------------------------------------------------------------------------
# Norms
# ---------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5, 0.5, -1, -2.5, 0, np.inf, -np.inf])
def test_vector_norms(order, kind):
    x = matrix(2, 3, 4, kind=kind)
    holds(lambda x: L.norm(x, order), x[0, 0])
    holds(lambda x: L.norm(x, order, axis=1), x)
    holds(lambda x: L.norm(x, order, axis=-1, keepdims=True), x)
    if order is not None:
        holds(lambda x: L.vector_norm(x, ord=order), x)
        holds(lambda x: L.vector_norm(x, ord=order, axis=(2, 0), keepdims=True), x)


@KINDS
@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_matrix_norms(order, kind):
    x = matrix(2, 3, 4, kind=kind)
    holds(lambda x: L.norm(x, order), x[0])
    holds(lambda x: L.norm(x, order, axis=(2, 0), keepdims=True), x)
    if order is not None:
        holds(lambda x: L.matrix_norm(x, ord=order, keepdims=True), x)
        holds(lambda x: L.norm(x, order, axis=(0, -1)), np.zeros((2, 0, 3), x.dtype))


def test_norms_of_zero_have_derivative_zero_and_no_second_one():
    for order in (None, 1, 2, 3, 1.5, np.inf, -np.inf):
        np.testing.assert_array_equal(both(lambda x: L.norm(x, order), np.zeros(3)), 0)
    for order in (None, "fro", "nuc", 1, 2, -2, np.inf):
        np.testing.assert_array_equal(both(lambda x: L.norm(x, order), np.zeros((3, 2))), 0)
    assert np.isnan(hessian(L.norm)(np.zeros(2))).all()
    assert np.array_equal(hessian(lambda x: L.norm(x) ** 2)(np.zeros(2)), 2 * np.eye(2))


def test_norms_at_a_kink():
    np.testing.assert_allclose(both(lambda x: L.norm(x, np.inf), np.array([2.0, -2.0, 1.0])), [0.5, -0.5, 0])
    np.testing.assert_allclose(both(lambda x: L.norm(x, 1), np.array([2.0, 0.0, -1.0])), [1, 0, -1])
    np.testing.assert_allclose(both(lambda x: L.norm(x, 1), np.array([[1.0, 0], [0, 1]])), np.eye(2) / 2)
    np.testing.assert_allclose(both(lambda x: L.norm(x, 3), np.array([1.0, 0.0])), [1, 0])


def test_errors_of_norm_are_those_of_numpy():
    for order, axis in (("fro", 0), ("bad", (0, 1)), (3, (0, 1)), (2, (0, 1, 2)), (2, (0, 0)), (2, 5), ("fro", None)):
        x = matrix(2, 3, 4)
        with pytest.raises(ValueError) as plain:  # noqa: PT011
            L.norm(x, order, axis=axis)
        with pytest.raises(type(plain.value)):
            grad(lambda x: np.sum(L.norm(x, order, axis=axis)))(x)


@KINDS
@pytest.mark.parametrize("p", [None, 1, -1, 2, -2, np.inf, -np.inf, "fro"])
def test_cond(p, kind):
    holds(lambda a: L.cond(a, p), matrix(3, 3, kind=kind) + 3 * np.eye(3))
    holds(lambda a: L.cond(a, p), matrix(2, 3, 3, kind=kind) + 3 * np.eye(3))
    if p in (None, 2):
        holds(lambda a: L.cond(a, p), matrix(3, 2, kind=kind))


# ---------------------------------------------------------------------------------------------------
# Products and traces
# ---------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 6])
def test_matrix_power(n, kind):
    holds(lambda a: L.matrix_power(a, n), matrix(3, 3, kind=kind))
    holds(lambda a: L.matrix_power(a, n), matrix(2, 2, 2, kind=kind))


def test_matrix_power_that_cannot_be():
    with pytest.raises(TypeError, match="integer"):
        grad(lambda a: np.sum(L.matrix_power(a, 0.5)))(matrix(2, 2))
    with pytest.raises(L.LinAlgError, match="square"):
        grad(lambda a: np.sum(L.matrix_power(a, 2)))(matrix(2, 3))


def test_multi_dot_takes_the_cheapest_order():
    factors = matrix(4, 30), matrix(30, 2), matrix(2, 40), matrix(40, 5)
    holds(lambda *a: L.multi_dot(a), *factors)
    cheapest = 2 * (4 * 30 * 2 + 2 * 40 * 5 + 4 * 2 * 5)
    assert cost(lambda *a: L.multi_dot(a), *factors).flops == cheapest
    holds(lambda *a: L.multi_dot(a), matrix(4), matrix(4, 3), matrix(3))
    with pytest.raises(L.LinAlgError):
        grad(lambda a: np.sum(L.multi_dot([a, matrix(3), a])))(matrix(3, 3))
    with pytest.raises(ValueError, match="two"):
        grad(lambda a: np.sum(L.multi_dot([a])))(matrix(3, 3))


@KINDS
def test_the_rest_of_the_namespace(kind):
    a, b = matrix(2, 3, 4, kind=kind), matrix(2, 3, 4, kind=kind, seed=1)
    for f in (
        lambda a, b: L.trace(a, offset=1) + L.diagonal(b, offset=-1)[:, 0],
        lambda a, b: L.vecdot(a, b, axis=1), lambda a, b: L.outer(a[0, 0], b[0, 1]), lambda a, b: L.cross(a, b, axis=1),
        lambda a, b: L.matmul(a, L.matrix_transpose(b)), lambda a, b: L.tensordot(a, b, axes=([1], [1])),
        lambda a, b: a * L.matrix_rank(b)[:, None, None],
    ):  # fmt: skip
        holds(f, a, b)


# ---------------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------------

PROGRAMS = {
    "inv": lambda a: np.sum(L.inv(a) ** 2),
    "det": L.det,
    "slogdet": lambda a: L.slogdet(a).logabsdet,
    "solve": lambda a: np.sum(L.solve(a, np.arange(3.0)) ** 2),
    "pinv": lambda a: np.sum(L.pinv(a) ** 2),
    "lstsq": lambda a: np.sum(L.lstsq(a[:, :2], np.arange(3.0))[0] ** 2) + L.lstsq(a[:, :2], np.arange(3.0))[1][0],
    "cholesky": lambda a: np.sum(L.cholesky(a) ** 3),
    "qr": lambda a: sum(np.sum(z**3) for z in L.qr(a)),
    "complete qr": lambda a: sum(np.sum(z**3) for z in L.qr(a[:, :2], "complete")),
    "eigh": lambda a: sum(np.sum(z**3) for z in L.eigh(a)),
    "eigvalsh": lambda a: np.sum(L.eigvalsh(a) ** 3),
    "eig": lambda a: sum(np.sum(np.real(z**3)) for z in L.eig(a)),
    "svd": lambda a: sum(np.sum(z**3) for z in L.svd(a)),
    "svdvals": lambda a: np.sum(L.svdvals(a) ** 3),
    "norm": lambda a: L.norm(a) + L.norm(a[0], 3) + L.norm(a, "nuc") + L.norm(a, 2) + L.norm(a, 1),
    "cond": L.cond,
    "powers": lambda a: np.sum(L.matrix_power(a, -2) @ L.multi_dot([a, a, a[0]])),
}


@pytest.mark.parametrize("f", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_give_the_same_numbers(f):
    first, second, t = definite(3, 3), definite(3, 3, seed=1), matrix(3, 3)
    for g in (grad(f), lambda a: hvp(f, (a,), (t,)), jacfwd(f)):
        compiled = compile(g)
        np.testing.assert_allclose(trace(g, first)(second), g(second), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(compiled(first), g(first), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(compiled(second), g(second), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("name", "matrices"), [
    ("det", [B[:3, :3], np.arange(1.0, 10).reshape(3, 3), np.zeros((3, 3)), B[:3, :3]]),
    ("eig", [definite(3, 3), matrix(3, 3, seed=3), definite(3, 3)]),
])  # fmt: skip
def test_programs_notice_when_another_formula_is_due(name, matrices):
    gradient = grad(PROGRAMS[name])
    compiled = compile(gradient)
    for a in matrices:
        np.testing.assert_allclose(compiled(a), gradient(a), rtol=1e-12, atol=1e-12)
