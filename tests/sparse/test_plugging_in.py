"""What a researcher plugs in: orders and colourings by name, as permutation or as function; decompression."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

import admodes.sparse
from admodes import hessian_pattern, jacfwd, jacobian_pattern, sparse_hessian_plan, sparse_jacobian_plan
from admodes.sparse import (
    BidirectionalColouring,
    Colouring,
    arranged,
    colour_bidirectional,
    colour_columns,
    colour_graph,
    colour_rows,
    colour_symmetric,
    decompress,
    is_valid,
)
from admodes.sparse.graph import Intersection, structure

rng = np.random.default_rng(5)
X = rng.normal(size=12)


def banded(x):
    return x[2:] * x[1:-1] + np.sin(x[:-2])


def energy(x):
    return np.sum(x[1:] ** 2 * x[:-1]) + x[0] * x[-1]


def arrow(x):
    return np.concatenate([np.sum(x**2)[None], x[1:] * x[0]])


def most_first(graph):
    """Largest degree first, of equals the last."""
    return sorted(range(graph.size), key=lambda v: (-graph.degrees[v], -v))


def test_every_name_is_there_and_loads_late():
    for name in admodes.sparse.__all__:
        assert getattr(admodes.sparse, name) is not None
        assert name in dir(admodes.sparse)
    with pytest.raises(AttributeError, match="no attribute 'colour_all'"):
        _ = admodes.sparse.colour_all
    code = "import sys, admodes.sparse; assert 'scipy.sparse' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Orders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [colour_columns, colour_rows, colour_symmetric, colour_graph, colour_bidirectional])
def test_an_order_is_a_function(colour):
    for density in (0.1, 0.4):
        A = rng.random((15, 15)) < density
        A = A | A.T | np.eye(15, dtype=bool)
        asked = []

        def order(graph, asked=asked):
            asked.append(graph)
            return most_first(graph)

        found = colour(A, order=order)
        assert is_valid(found)
        assert asked
        if colour is not colour_bidirectional:
            same = colour(A, order=most_first(asked[0]))
            np.testing.assert_array_equal(found.colours, same.colours)


def test_what_an_order_sees():
    graph = Intersection(structure([[1, 1, 0], [0, 1, 1]]))
    assert (graph.size, graph.degrees.tolist(), sorted(graph.neighbours(1).tolist())) == (3, [1, 2, 1], [0, 2])
    assert arranged(most_first, graph) == [1, 2, 0]


@pytest.mark.parametrize("bad", [lambda graph: [0] * graph.size, lambda graph: range(graph.size - 1), lambda graph: 3])
def test_an_order_that_is_no_permutation_is_an_error(bad):
    with pytest.raises(ValueError, match=r"permutation|neither a name"):
        colour_columns(np.eye(4), order=bad)


def test_plans_take_an_order_as_function():
    for mode in ("sparse", "forward", "reverse", "mixed"):
        plan = sparse_jacobian_plan(banded, X, mode=mode, order=most_first)
        np.testing.assert_allclose(plan(X).toarray(), jacfwd(banded)(X))
    plan = sparse_hessian_plan(energy, X, order=most_first)
    np.testing.assert_allclose(plan(X).toarray(), jacfwd(jacfwd(energy))(X), atol=1e-12)


# Colourings -------------------------------------------------------------------------------------------------


def one_each(pattern):
    return np.arange(pattern.shape[1])


def by_three(pattern):
    return np.arange(pattern.shape[1]) % 3


def test_a_colouring_is_a_function():
    expected = jacfwd(banded)(X)
    for colouring, passes in ((one_each, 12), (by_three, 3), (colour_columns, 3)):
        plan = sparse_jacobian_plan(banded, X, mode="forward", colouring=colouring)
        assert plan.passes == passes
        np.testing.assert_allclose(plan(X).toarray(), expected)
        np.testing.assert_allclose(plan.dense(X), expected)
    by_rows = sparse_jacobian_plan(banded, X, mode="reverse", colouring=lambda A: np.arange(A.shape[0]) % 3)
    np.testing.assert_allclose(by_rows(X).toarray(), expected)


def test_a_colouring_of_rows_and_columns_is_a_function():
    def first_row_apart(pattern):
        rows = np.full(pattern.shape[0], -1)
        rows[0] = 0
        columns = np.zeros(pattern.shape[1], int)
        columns[0] = 1
        return BidirectionalColouring(pattern, Colouring("columns", pattern, columns), Colouring("rows", pattern, rows))

    plan = sparse_jacobian_plan(arrow, X, mode="mixed", colouring=first_row_apart)
    assert plan.passes == 3
    np.testing.assert_allclose(plan(X).toarray(), jacfwd(arrow)(X))


def test_a_colouring_of_a_hessian_is_a_function():
    expected = jacfwd(jacfwd(energy))(X)

    def acyclic(pattern):
        return colour_symmetric(pattern, "acyclic")

    for method in (one_each, acyclic, lambda pattern: colour_symmetric(pattern).colours, colour_columns):
        np.testing.assert_allclose(sparse_hessian_plan(energy, X, method=method)(X).toarray(), expected, atol=1e-12)


def too_few(pattern):
    return np.zeros(pattern.shape[1], int)


@pytest.mark.parametrize(
    ("mode", "colouring", "says"),
    [
        ("forward", too_few, "share"),
        ("forward", lambda A: np.zeros(3, int), "shape"),
        ("forward", colour_rows, "needs one of columns"),
        ("forward", lambda A: colour_columns(np.eye(*A.shape)), "another pattern"),
        ("sparse", one_each, "needs a mode"),
        ("mixed", one_each, "BidirectionalColouring"),
        ("forward", lambda A: np.arange(A.shape[1]) - 1, "colour"),
    ],
)
def test_colourings_that_determine_nothing_are_errors(mode, colouring, says):
    with pytest.raises(ValueError, match=says):
        sparse_jacobian_plan(banded, X, mode=mode, colouring=colouring)


def test_a_colouring_that_does_not_determine_a_hessian_is_an_error():
    with pytest.raises(ValueError, match="colour"):
        sparse_hessian_plan(energy, X, method=too_few)


# Products made elsewhere ------------------------------------------------------------------------------------


def test_products_made_elsewhere_are_decompressed():
    """By finite differences, say: seeds and decompression need nothing of this library's transforms."""
    A = jacobian_pattern(banded, X)
    colouring = colour_columns(A)
    step = 1e-6
    products = [(banded(X + step * s) - banded(X - step * s)) / (2 * step) for s in colouring.seeds()]
    found = decompress(colouring, np.stack(products))
    assert isinstance(found, scipy_sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), jacfwd(banded)(X), atol=1e-8)
    H = hessian_pattern(energy, X)
    symmetric = colour_symmetric(H)
    full = jacfwd(jacfwd(energy))(X)
    np.testing.assert_allclose(decompress(symmetric, symmetric.seeds() @ full).toarray(), full, atol=1e-12)
