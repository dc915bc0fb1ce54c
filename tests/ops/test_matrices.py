"""A @ x and x @ A of SciPy's sparse matrices and LinearOperators: NumPy's product of the dense matrix."""

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, splu

import admodes as ad

rng = np.random.default_rng(3)
DENSE = rng.standard_normal((4, 3)) * (rng.random((4, 3)) < 0.6)
X, U = rng.standard_normal(3), rng.standard_normal(4)
FORMATS = ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]
KINDS = {f: sparse.csr_array(DENSE).asformat(f) for f in FORMATS} | {
    f"{f} matrix": sparse.csr_matrix(DENSE).asformat(f) for f in FORMATS
}
every_kind = pytest.mark.parametrize("A", KINDS.values(), ids=KINDS)
WAYS = {
    "jacfwd": ad.jacfwd,
    "jacrev": ad.jacrev,
    "auto": ad.jacobian,
    "compiled": lambda f: ad.compile(ad.jacrev(f)),
    "compiled f": lambda f: ad.jacfwd(ad.compile(f)),
    "traced": lambda f: lambda x: ad.trace(ad.jacfwd(f), x)(x),
    "nested": lambda f: ad.jacfwd(lambda x: ad.vjp(f, x)[0]),
}
USES = {
    "A @ x": (lambda A, x: A @ (x * x), X),
    "x @ A": (lambda A, x: (x * x) @ A, U),
    "A.dot": (lambda A, x: A.dot(np.sin(x)), X),
    "column": (lambda A, x: A @ (x * x)[:, None], X),
    "matrix": (lambda A, x: A @ np.outer(x, np.sin(x)), X),
    "matrix @ A": (lambda A, x: np.outer(np.sin(x), x) @ A, U),
    "both": (lambda A, x: np.tanh(A @ x) @ A, X),
    "complex": (lambda A, x: np.abs(A @ (x * (1 + 2j))) ** 2, X),
}


@every_kind
@pytest.mark.parametrize(("f", "x"), USES.values(), ids=USES)
def test_products_are_those_of_the_dense_matrix(A, f, x):
    for way in WAYS.values():
        got, right = way(lambda x: f(A, x))(x), ad.jacfwd(lambda x: f(DENSE, x))(x)
        assert got.shape == right.shape
        assert np.allclose(got, right)
    assert np.allclose(ad.hessian(lambda x: np.sum(f(A, x) ** 2))(x), ad.hessian(lambda x: np.sum(f(DENSE, x) ** 2))(x))


@pytest.mark.parametrize("mode", ["sparse", "mixed"])
def test_products_in_coloured_jacobians(mode):
    got = ad.jacobian(lambda x: KINDS["csr"] @ (x * x), mode=mode)(X)
    assert np.allclose(got.toarray(), DENSE * 2 * X)


def test_the_star_of_a_matrix_is_its_product_and_that_of_an_array_is_refused():
    A = KINDS["csr matrix"]
    assert np.allclose(ad.jacrev(lambda x: A * (x * x))(X), DENSE * 2 * X)
    assert np.allclose(ad.jacrev(lambda u: (u * u) * A)(U), DENSE.T * 2 * U)
    with pytest.raises(TypeError):
        ad.jacrev(lambda u: u[:, None] * KINDS["csr"])(U)


A, OPERATOR = KINDS["csr"], aslinearoperator(DENSE.T)


@pytest.mark.parametrize("f", [lambda x: A @ x, lambda x: x[:2] @ OPERATOR, lambda x: A @ x[:3, None, None]])
def test_shapes_that_do_not_fit(f):
    with pytest.raises(ValueError, match=r"do not fit|dimension mismatch"):
        ad.jacfwd(f)(U)


def test_a_linear_operator_pulls_by_its_transpose():
    L = LinearOperator((4, 3), matvec=lambda v: DENSE @ v, rmatvec=lambda v: DENSE.T @ v, dtype=float)
    for way in WAYS.values():
        assert np.allclose(way(lambda u: np.sin(u) @ L)(U), DENSE.T * np.cos(U))
        got, right = (way(lambda u, B=B: np.outer(np.sin(u), u) @ B)(U) for B in (L, DENSE))
        assert np.allclose(got, right)


B = sparse.csr_matrix(DENSE)
OPERATORS = {
    "of a sparse matrix": aslinearoperator(B),
    "of a dense one": aslinearoperator(DENSE),
    "@": LinearOperator((4, 3), matvec=lambda v: B @ v),
    "dot": LinearOperator((4, 3), matvec=B.dot),
    "*": LinearOperator((4, 3), matvec=lambda v: B * v),
    "dense": LinearOperator((4, 3), matvec=lambda v: DENSE @ v),
    "transposed": aslinearoperator(B.T).T,
    "sum": 0.5 * aslinearoperator(B) + 0.5 * aslinearoperator(DENSE),
    "product": aslinearoperator(DENSE) * aslinearoperator(sparse.eye_array(3)),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("way", WAYS)
def test_a_linear_operator_on_the_left(name, way):
    """SciPy converts x there and hands it on to functions of the user's own, which may hold sparse matrices."""
    L = OPERATORS[name]
    for f in (
        lambda x: L @ np.sin(x),
        lambda x: L.dot(np.sin(x)),
        lambda x: L.matvec(np.sin(x)),
        lambda x: L * np.sin(x),
    ):
        assert np.allclose(WAYS[way](f)(X), DENSE * np.cos(X))
    columns, right = (WAYS[way](lambda x, M=M: M @ np.outer(x, x))(X) for M in (L, DENSE))
    assert np.allclose(columns, right)


SQUARE = sparse.csc_array(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0], [4.0, 0.0, 5.0]]))
SOLVED = splu(SQUARE)


@pytest.mark.parametrize(
    "f", [SOLVED.solve, lambda x: SOLVED.solve(x), lambda x: LinearOperator((3, 3), SOLVED.solve) @ x]
)
@pytest.mark.parametrize("transform", [ad.jacfwd, ad.jacrev, ad.compile])
def test_code_in_c_that_takes_plain_arrays_alone_is_named(f, transform):
    with pytest.raises(TypeError, match=r"test_matrices.py.*NumPy's own arrays alone.*spsolve\(A, b\)"):
        transform(lambda x: f(x))(X)


def test_overwriting_the_numbers_of_a_sparse_matrix_changes_no_derivative():
    A = sparse.csr_array(DENSE)
    pull = ad.vjp(lambda x: A @ x, X)[1]
    A.data[:] = 0.0
    assert np.allclose(pull(U)[0], U @ DENSE)
