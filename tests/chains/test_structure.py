"""Structured matrices: products, costs and directions against dense arrays."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from admodes import cost, jacfwd
from admodes.chains.structure import Matrix, Structure, SubChains, from_adjoints, from_tangents


def random_matrix(rng, m, n, kind):
    """A matrix and the dense array it stands for."""
    if kind == "diagonal":
        entries = rng.normal(size=n)
        return Matrix(Structure(n, n, diagonal=True), entries), np.diag(entries)
    share = {"empty": 0, "sparse": 0.25, "half": 0.6, "dense": 1}[kind]
    array = rng.normal(size=(m, n)) * (rng.random((m, n)) < share)
    pattern = None if kind == "dense" else sparse.csr_array(array != 0)
    return Matrix(Structure(m, n), array).held_as(Structure(m, n, pattern=pattern)), array


KINDS = ("diagonal", "empty", "sparse", "half", "dense")


@pytest.mark.parametrize("chunk", [3, 1 << 20])
@pytest.mark.parametrize("kinds", list(itertools.product(KINDS, KINDS)), ids="-".join)
def test_products(kinds, chunk, monkeypatch):
    """The values, the structure by boolean product, and the multiply-adds: counted, predicted and by definition."""
    monkeypatch.setattr("admodes.transforms.directions.CHUNK_ELEMENTS", chunk)
    rng = np.random.default_rng(0)
    for m, k, n in rng.integers(1, 9, size=(6, 3)):
        m, n = (k if kinds[0] == "diagonal" else m), (k if kinds[1] == "diagonal" else n)
        (a, A), (b, B) = random_matrix(rng, m, k, kinds[0]), random_matrix(rng, k, n, kinds[1])
        made = a.structure @ b.structure
        product = a.times(b, made)
        np.testing.assert_allclose(product.full(), A @ B, atol=1e-13)
        np.testing.assert_allclose(product.csr().toarray(), A @ B, atol=1e-13)

        def run(x, y, a=a, b=b, made=made):
            return Matrix(a.structure, x).times(Matrix(b.structure, y), made).entries

        held = [np.zeros(part.structure.shape, int) for part in (a, b)]
        for array, part in zip(held, (a, b), strict=True):
            array[part.structure.coordinates] = 1
        defined = (held[0].sum(axis=0) * held[1].sum(axis=1)).sum()
        assert cost(run, a.entries, b.entries).multiply_adds == a.structure.cost(b.structure) == defined
        J = jacfwd(run)(a.entries, b.entries)  # the product differentiates, too
        np.testing.assert_allclose(np.tensordot(J, a.entries, a.entries.ndim), product.entries, atol=1e-13)


def test_the_pattern_of_a_product_does_not_depend_on_its_bracketing():
    rng = np.random.default_rng(1)
    for _ in range(50):
        kinds, sizes = rng.choice(KINDS[1:], size=3), rng.integers(1, 9, size=4)
        shapes = zip(kinds, sizes[1:], sizes, strict=False)
        c, b, a = (random_matrix(rng, m, n, kind)[0].structure for kind, m, n in shapes)
        left, right = (a @ b) @ c, a @ (b @ c)
        assert left.kind == right.kind
        assert np.array_equal(left.coordinates, right.coordinates)
        assert (left.columns, left.rows) == (right.columns, right.rows)
        assert np.array_equal(SubChains([c, b, a])(0, 2).coordinates, left.coordinates)


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_directions_as_colours_make_a_matrix(kind):
    rng = np.random.default_rng(2)
    for m, n in rng.integers(1, 9, size=(8, 2)):
        matrix, array = random_matrix(rng, m, n, kind)
        made = matrix.structure
        tangents, adjoints = matrix.tangents(made), matrix.adjoints(made)
        assert (tangents.shape, adjoints.shape) == ((made.columns, array.shape[0]), (made.rows, array.shape[1]))
        assert made.least[0] <= made.columns <= array.shape[1]
        assert made.least[1] <= made.rows <= array.shape[0]
        np.testing.assert_array_equal(from_tangents(tangents, made).full(), array)
        np.testing.assert_array_equal(from_adjoints(adjoints, made).full(), array)


def test_half_of_the_entries_is_the_most_that_is_sparse():
    pattern = sparse.csr_array(np.tril(np.ones((4, 4), bool)))  # 10 of 16
    assert Structure(4, 4, pattern=pattern).kind == "dense"
    assert Structure(4, 4, pattern=sparse.csr_array(np.tril(np.ones((4, 4), bool), -1))).kind == "sparse"
    assert Structure(2, 2, pattern=sparse.csr_array(np.eye(2, dtype=bool))).kind == "sparse"
    assert repr(Structure(4, 4, pattern=pattern)) == "<dense 4 × 4, 16 entries>"
