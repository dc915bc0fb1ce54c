"""Colourings against their definitions, known optima, figures and theorems; decompression against the matrix itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from admodes.sparse import bidirectional
from admodes.sparse.bounds import KINDS, greedy_bound, lower_bound
from admodes.sparse.check import is_acyclic, is_proper, is_star, is_symmetrically_orthogonal, is_valid
from admodes.sparse.colouring import (
    BidirectionalColouring,
    Colouring,
    colour_bidirectional,
    colour_columns,
    colour_graph,
    colour_rows,
    colour_symmetric,
    decompress,
)
from admodes.sparse.graph import Adjacency, Intersection, structure
from admodes.sparse.order import ORDERS, arranged

COLOUR = {
    "columns": colour_columns,
    "rows": colour_rows,
    "bidirectional": colour_bidirectional,
    "star": lambda pattern, order="natural": colour_symmetric(pattern, "star", order),
    "acyclic": lambda pattern, order="natural": colour_symmetric(pattern, "acyclic", order),
    "distance-1": lambda pattern, order="natural": colour_graph(pattern, 1, order),
    "distance-2": lambda pattern, order="natural": colour_graph(pattern, 2, order),
}
SYMMETRIC = ("star", "acyclic", "distance-1", "distance-2")


def banded(n, half):
    return sparse.diags_array([np.ones(n - abs(k)) for k in range(-half, half + 1)], offsets=range(-half, half + 1))


def arrow(n):
    A = np.eye(n, dtype=bool)
    A[0] = A[:, 0] = True
    return A


def stencil(side):
    """The 5-point Laplacian of a square grid."""
    one, line = sparse.eye_array(side), banded(side, 1)
    return sparse.kron(one, line) + sparse.kron(line, one)


def figure(*rows):
    return np.array([[int(c) for c in row] for row in rows])


# Gebremedhin, Manne and Pothen 2005, figures 4.1 and 6.1, with the colours drawn there.
FIGURE_41 = figure("110000", "111011", "011100", "001101", "010010", "010101")
FIGURE_61 = figure(
    "1100001000", "1110100000", "0111010000", "0011000001", "0100110100",
    "0010110010", "1000001100", "0000101110", "0000010111", "0001000011",
)  # fmt: skip
STAR_OF_FIGURE_41 = [0, 1, 0, 2, 0, 0]
ACYCLIC_OF_FIGURE_61 = [0, 1, 0, 1, 0, 2, 1, 2, 1, 2]
# Gebremedhin, Pothen, Tarafdar and Walther 2009, figure 1: a star colouring of the same matrix.
STAR_OF_FIGURE_61 = [0, 1, 0, 2, 0, 3, 2, 4, 0, 1]


# Products by definition ----------------------------------------------------------------------------


def compressed(colouring, A):
    """The products of a matrix with the seeds, directions leading."""
    if isinstance(colouring, BidirectionalColouring):
        return (colouring.columns.seeds(A.dtype) @ A.T, colouring.rows.seeds(A.dtype) @ A)
    return (colouring.seeds(A.dtype) @ (A if colouring.kind == "rows" else A.T),)


def filled(pattern, seed=0, symmetric=False, dtype=np.int64):
    """Integers, none of them zero, at the entries of a pattern."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 1000, pattern.shape) * rng.choice([-1, 1], pattern.shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.integers(1, 1000, pattern.shape)
    values = np.tril(values) + np.tril(values, -1).T if symmetric else values
    return np.where(pattern != 0, values, 0).astype(dtype)


def assert_right(kind, pattern, order="natural", dtype=np.int64):
    """Valid by definition, within the bounds, and exact."""
    colouring = COLOUR[kind](pattern, order=order)
    assert is_valid(colouring)
    assert lower_bound(pattern, kind) <= colouring.count <= greedy_bound(pattern, kind)
    if kind != "distance-1":
        A = filled(pattern, symmetric=kind in SYMMETRIC, dtype=dtype)
        found = decompress(colouring, *compressed(colouring, A))
        assert found.dtype == A.dtype
        assert isinstance(found, sparse.csr_array)
        assert found.nnz == np.count_nonzero(pattern)
        assert (found.toarray() == A).all()
        assert (colouring.decompression.dense(*compressed(colouring, A)) == A).all()
    return colouring


# Random patterns -----------------------------------------------------------------------------------


@st.composite
def patterns(draw, square=False):
    m = draw(st.integers(0, 9))
    n = m if square else draw(st.integers(0, 9))
    density = draw(st.sampled_from([0.1, 0.25, 0.5, 0.9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random((m, n)) < density


ANY_ORDER = st.sampled_from(ORDERS)


@settings(max_examples=150, deadline=None)
@given(patterns(), ANY_ORDER, st.sampled_from(["columns", "rows", "bidirectional"]))
def test_any_pattern(pattern, order, kind):
    assert_right(kind, pattern, order)


@settings(max_examples=200, deadline=None)
@given(patterns(square=True), ANY_ORDER, st.sampled_from(SYMMETRIC))
def test_any_symmetric_pattern(pattern, order, kind):
    colouring = assert_right(kind, pattern | pattern.T, order)
    if kind == "star":
        assert is_symmetrically_orthogonal(colouring.pattern.toarray(), colouring.colours)


@settings(max_examples=60, deadline=None)
@given(patterns(), ANY_ORDER)
def test_both_modes_never_need_more_than_one(pattern, order):
    one = min(colour_columns(pattern, order).count, colour_rows(pattern, order).count)
    assert colour_bidirectional(pattern, order).count <= one


@settings(max_examples=60, deadline=None)
@given(patterns(), st.randoms(use_true_random=False))
def test_any_permutation(pattern, random):
    order = list(range(pattern.shape[1]))
    random.shuffle(order)
    assert_right("columns", pattern, order)
    assert_right("rows", pattern.T, np.array(order, dtype=int))


@settings(max_examples=60, deadline=None)
@given(patterns(square=True), st.integers(0, 2**32 - 1))
def test_decompression_accepts_exactly_the_colours_that_determine_the_matrix(pattern, seed):
    """Any colours at all: those that the oracle refuses are refused, never read wrongly."""
    pattern = pattern | pattern.T
    colours = np.random.default_rng(seed).integers(0, 4, len(pattern))
    for kind, oracle in {"star": is_symmetrically_orthogonal, "acyclic": is_acyclic}.items():
        colouring = Colouring(kind, structure(pattern), colours)
        if oracle(pattern, colours):
            A = filled(pattern, symmetric=True)
            assert (decompress(colouring, *compressed(colouring, A)).toarray() == A).all()
        else:
            with pytest.raises(ValueError, match=r"do not determine|not acyclic|share a colour"):
                _ = colouring.decompression


@settings(max_examples=60, deadline=None)
@given(patterns())
def test_the_lower_bounds_of_the_search(pattern):
    """A bound above what a split needs would make the search pass it by."""
    found = structure(pattern)
    for low, cut in bidirectional._splits(found):
        columns, rows = bidirectional._coloured(found, cut, lambda part: colour_columns(part).colours)
        assert low <= bidirectional._total((columns, rows))


# Known numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [4, 5, 50])
def test_tridiagonal(order, n):
    pattern = banded(n, 1)
    assert colour_columns(pattern, order).count == 3
    assert colour_symmetric(pattern, "acyclic", order).count == 2
    assert colour_symmetric(pattern, "star", order).count == 3


@pytest.mark.parametrize("half", [0, 1, 2, 5])
def test_banded(half):
    """Efficient computation of sparse Hessians (2009): ρ + 1 colours for a star colouring with ρ bands off the diagonal
    (ρ even), ρ/2 + 1 for an acyclic one."""
    pattern = banded(40, half)
    counts = {kind: COLOUR[kind](pattern).count for kind in KINDS}
    wide = 2 * half + 1
    assert counts == {
        "columns": wide, "rows": wide, "bidirectional": wide, "star": wide, "acyclic": half + 1,
        "distance-1": half + 1, "distance-2": wide,
    }  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [5, 60])
def test_arrow(n, order):
    assert colour_columns(arrow(n), order).count == colour_rows(arrow(n), order).count == n
    assert assert_right("bidirectional", arrow(n), order).count == 3
    assert assert_right("star", arrow(n), order).count == 2
    assert assert_right("acyclic", arrow(n), order).count == 2
    assert assert_right("bidirectional", arrow(n)[::-1], order).count == 3


def test_dense_lines_among_a_band():
    """Two full rows and three full columns in a tridiagonal matrix: a colour each, and three."""
    pattern = banded(60, 1).toarray() != 0
    pattern[[10, 40]] = pattern[:, [5, 20, 50]] = True
    assert assert_right("bidirectional", pattern).count <= 2 + 3 + 3
    assert colour_columns(pattern).count == colour_rows(pattern).count == 60


@pytest.mark.parametrize("kind", KINDS)
def test_diagonal_and_dense(kind):
    assert assert_right(kind, np.eye(7)).count == 1
    assert assert_right(kind, np.ones((7, 7))).count == 7


def test_five_point_stencil():
    """Five colours suffice for the columns (colour i + 2j mod 5) and a row of five forbids fewer; two for the graph."""
    pattern = stencil(12)
    counts = {
        kind: assert_right(kind, pattern.toarray()).count for kind in ("columns", "distance-1", "star", "acyclic")
    }
    assert 5 <= counts["columns"] <= 8
    assert counts["distance-1"] == 2
    assert 3 <= counts["acyclic"] <= counts["star"] <= 6


def test_figures():
    star = Colouring("star", structure(FIGURE_41), np.array(STAR_OF_FIGURE_41))
    other = Colouring("star", structure(FIGURE_61), np.array(STAR_OF_FIGURE_61))
    acyclic = Colouring("acyclic", structure(FIGURE_61), np.array(ACYCLIC_OF_FIGURE_61))
    for colouring in (star, other, acyclic):
        assert is_valid(colouring)
        A = filled(colouring.pattern.toarray(), symmetric=True)
        assert (decompress(colouring, *compressed(colouring, A)).toarray() == A).all()
    assert not is_star(FIGURE_61, ACYCLIC_OF_FIGURE_61)
    assert assert_right("star", FIGURE_41).count == 3
    assert assert_right("acyclic", FIGURE_61).count == 3
    assert assert_right("star", FIGURE_61).count <= 5


def test_a_kind_holds_those_below_it():
    """Distance-2 ⊂ star ⊂ acyclic ⊂ distance-1, by the oracles."""
    square = (np.random.default_rng(5).random((12, 12)) < 0.2) | np.eye(12, dtype=bool)
    graph = square | square.T
    assert is_star(graph, colour_graph(graph, 2).colours)
    assert is_acyclic(graph, colour_symmetric(graph, "star").colours)
    assert is_proper(graph, colour_symmetric(graph, "acyclic").colours)


def test_the_oracles_refuse():
    path, square = banded(4, 1).toarray(), np.roll(np.eye(4), 1, axis=0) + np.roll(np.eye(4), -1, axis=0)
    assert is_acyclic(path, [0, 1, 0, 1])
    assert not is_star(path, [0, 1, 0, 1])
    assert not is_acyclic(square, [0, 1, 0, 1])
    assert not is_proper(path, [0, 0, 1, 2])
    for kind, colours in {"columns": [0, 1, 0, 1], "rows": [0, -1, 1, 2], "distance-2": [0, 1, 0, 1]}.items():
        assert not is_valid(Colouring(kind, structure(path), np.array(colours)))
    found = structure(path)
    neither = np.array([-1, -1, -1, -1])
    assert not is_valid(
        BidirectionalColouring(found, Colouring("columns", found, neither), Colouring("rows", found, neither))
    )


# Orders --------------------------------------------------------------------------------------------


def graphs():
    rng = np.random.default_rng(3)
    for density in (0.05, 0.2):
        pattern = structure(rng.random((30, 25)) < density)
        yield Intersection(pattern), (pattern.T @ pattern).toarray()
        square = rng.random((25, 25)) < density
        yield Adjacency(structure(square | square.T)), square | square.T
    wide = Intersection(structure(rng.random((30, 25)) < 0.2))
    edges = (wide._rows.T @ wide._rows).toarray()
    wide.wide = True
    yield wide, edges


@pytest.mark.parametrize(("graph", "edges"), list(graphs()))
def test_orders_by_definition(graph, edges):
    edges = edges.astype(bool) & ~np.eye(len(edges), dtype=bool)
    assert (graph.degrees == edges.sum(axis=1)).all()
    first = edges.sum(axis=1)[arranged("largest-first", graph)]
    assert (np.diff(first) <= 0).all()
    last = arranged("smallest-last", graph)
    for k in range(1, len(last) + 1):
        left = edges[np.ix_(last[:k], last[:k])].sum(axis=1)
        assert left[-1] == left.min()
    incident = arranged("incidence-degree", graph)
    for k in range(len(incident)):
        taken = edges[np.ix_(incident[k:], incident[:k])].sum(axis=1)
        assert taken[0] == taken.max()


def test_smallest_last_keeps_to_the_degeneracy():
    """Coleman and Moré 1983: 1 + the largest least degree of what remains bounds smallest-last, here below 1 + Δ."""
    pattern = structure(np.random.default_rng(1).random((60, 40)) < 0.08)
    edges = (pattern.T @ pattern).toarray() & ~np.eye(40, dtype=bool)
    order = arranged("smallest-last", Intersection(pattern))
    bound = 1 + max(int(edges[v, order[:k]].sum()) for k, v in enumerate(order))
    assert colour_columns(pattern, "smallest-last").count <= bound < greedy_bound(pattern)


def test_a_full_row_costs_no_conflicts():
    """A complete graph of 10⁸ edges is neither stored nor walked, in any order."""
    n = 10_000
    ends = np.arange(n)
    rows, columns = np.concatenate([ends, 0 * ends, ends]), np.concatenate([ends, ends, 0 * ends])
    pattern = sparse.coo_array((np.ones(3 * n), (rows, columns)), shape=(n, n))
    for order in ORDERS:
        assert colour_columns(pattern, order).count == n
    assert colour_bidirectional(pattern, "smallest-last").count == 3
    assert colour_symmetric(pattern, "star", "smallest-last").count == 2


# Shapes, types, edges ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128, np.int32, np.int64])
@pytest.mark.parametrize("kind", ["columns", "rows", "bidirectional", "star", "acyclic"])
def test_dtypes_are_kept(kind, dtype):
    assert_right(kind, banded(12, 2).toarray() != 0, dtype=dtype)
    assert_right(kind, arrow(90), dtype=dtype)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (3, 4)])
def test_empty_matrices(shape):
    for kind in ("columns", "rows", "bidirectional"):
        assert assert_right(kind, np.zeros(shape, dtype=bool)).count == 0
    for kind in SYMMETRIC:
        COLOUR[kind](np.zeros((shape[0], shape[0])))


def test_empty_lines_have_no_colour():
    pattern = np.array([[1, 0, 1], [0, 0, 0]])
    assert colour_columns(pattern).colours.tolist() == [0, -1, 1]
    assert colour_rows(pattern).colours.tolist() == [0, -1]
    assert [group.tolist() for group in colour_columns(pattern).groups] == [[0], [2]]
    assert colour_columns(pattern).seeds().tolist() == [[1, 0, 0], [0, 0, 1]]


def test_stored_zeros_count():
    stored = sparse.csr_array((np.array([0.0, 1.0, 2.0]), np.array([1, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    colouring = colour_columns(stored)
    assert colouring.count == 2
    assert colouring.pattern.toarray().tolist() == [[True, True], [False, True]]
    assert stored.indices.tolist() == [1, 0, 1]
    twice = sparse.coo_array((np.array([1, -1, 1]), (np.array([0, 0, 0]), np.array([0, 0, 1]))), shape=(1, 2))
    assert colour_columns(twice).count == 2


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array, sparse.lil_array, list])
def test_any_container(container):
    pattern = banded(5, 1).toarray()
    given_as = pattern.tolist() if container is list else container(pattern)
    assert colour_columns(given_as).count == 3
    assert colour_symmetric(given_as).count == 3


def test_results_do_not_share_structure():
    colouring = colour_columns(banded(6, 1))
    products = compressed(colouring, filled(banded(6, 1).toarray()))
    first = decompress(colouring, *products)
    first.data[:] = 0
    first.eliminate_zeros()
    assert (decompress(colouring, *products).toarray() == filled(banded(6, 1).toarray())).all()


def test_dense_into_an_array():
    A = filled(banded(6, 1).toarray(), dtype=float)
    colouring = colour_columns(A)
    out = np.zeros((6, 6))
    assert colouring.decompression.dense(*compressed(colouring, A), out=out) is out
    assert (out == A).all()
    with pytest.raises(ValueError, match=r"out of shape \(5, 6\) must be C-contiguous and of shape \(6, 6\)"):
        colouring.decompression.dense(*compressed(colouring, A), out=np.zeros((5, 6)))
    with pytest.raises(ValueError, match="C-contiguous"):
        colouring.decompression.dense(*compressed(colouring, A), out=np.zeros((6, 6), order="F"))


@pytest.mark.parametrize("n", [2, 31, 120])
def test_substitution_both_ways(n):
    """A path is solved one unknown after the other, many short trees a level at a time; both give the same."""
    rng = np.random.default_rng(n)
    square = rng.random((n, n)) < 2 / n
    for pattern in (banded(n, 1).toarray() != 0, arrow(n), square | square.T | np.eye(n, dtype=bool)):
        colouring = colour_symmetric(pattern, "acyclic")
        products = compressed(colouring, filled(pattern, symmetric=True))[0]
        solution = colouring.decompression.substitution
        values = products.ravel().take(solution.sums)
        assert (solution._by_levels(values.copy()) == solution._one_by_one(values.copy())).all()
        assert_right("acyclic", pattern)


def test_a_nan_stays_in_its_tree():
    pattern = np.kron(np.eye(2), np.ones((2, 2)))
    A = filled(pattern, symmetric=True, dtype=float)
    A[0, 1] = A[1, 0] = np.nan
    colouring = colour_symmetric(pattern, "acyclic")
    found = decompress(colouring, colouring.seeds() @ np.nan_to_num(A)).toarray()
    products = np.stack([[sum(A[i, j] for j in g if pattern[i, j]) for i in range(4)] for g in colouring.groups])
    found = decompress(colouring, products).toarray()
    assert np.array_equal(found, A, equal_nan=True)


def test_star_results_are_exactly_symmetric():
    pattern = (np.random.default_rng(8).random((30, 30)) < 0.1) | np.eye(30, dtype=bool)
    colouring = colour_symmetric(pattern | pattern.T)
    products = np.random.default_rng(9).random((colouring.count, 30))
    found = decompress(colouring, products).toarray()
    assert (found == found.T).all()


def test_seeds_in_parts():
    colouring = colour_columns(banded(9, 2))
    parts = [colouring.seeds(np.float32, k, min(k + 2, 5)) for k in range(0, 5, 2)]
    assert parts[0].dtype == np.float32
    assert (np.concatenate(parts) == colouring.seeds()).all()
    with pytest.raises(ValueError, match="start=3, stop=6 are no range of the 5 colours"):
        colouring.seeds(start=3, stop=6)


def test_what_it_prints():
    assert str(colour_columns(banded(100_000, 1))) == "3 colours for 100,000 columns (at least 3, greedy at most 5)"
    assert repr(colour_symmetric(banded(5, 1))) == "3 colours for 5 vertices, star (at least 2, greedy at most 5)"
    assert str(colour_graph(np.eye(1))) == "1 colour for 1 vertices, distance-1 (at least 1, greedy at most 1)"


# Errors --------------------------------------------------------------------------------------------


def test_bad_patterns():
    for colour in COLOUR.values():
        with pytest.raises(ValueError, match="1 axes, not two"):
            colour(np.ones(3))
        with pytest.raises(ValueError, match="1 axes, not two"):
            colour(sparse.coo_array(np.ones(3)))
        with pytest.raises(TypeError, match=r"give a scipy\.sparse matrix or an array of booleans"):
            colour("tridiagonal")


@pytest.mark.parametrize("kind", SYMMETRIC)
def test_symmetry_is_asked_for(kind):
    with pytest.raises(ValueError, match="pattern is 2 × 3: a symmetric colouring needs a square pattern"):
        COLOUR[kind](np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"entry at \(0, 2\) and none at \(2, 0\) \(1 such entries\)"):
        COLOUR[kind](np.eye(3) + np.eye(3, k=2))
    with pytest.raises(ValueError, match=r"entry at \(2, 0\) and none at \(0, 2\)"):
        greedy_bound(np.eye(3) + np.eye(3, k=-2), kind)


def test_bad_choices():
    with pytest.raises(ValueError, match="method='tree' is unknown: use “star”"):
        colour_symmetric(np.eye(2), "tree")
    with pytest.raises(ValueError, match="distance=3"):
        colour_graph(np.eye(2), 3)
    with pytest.raises(ValueError, match="kind='row' is unknown"):
        greedy_bound(np.eye(2), "row")
    with pytest.raises(ValueError, match="kind='row' is unknown"):
        lower_bound(np.eye(2), "row")


@pytest.mark.parametrize("kind", KINDS)
def test_bad_orders(kind):
    with pytest.raises(ValueError, match=r"order='random' (is unknown|must name)"):
        COLOUR[kind](np.eye(3), order="random")
    for order in ([0, 1], [0, 1, 1], [0, 1, 3], [0.5, 1, 2], 3):
        with pytest.raises(ValueError, match="order"):
            COLOUR[kind](np.eye(3), order=order)
    if kind != "bidirectional":
        with pytest.raises(ValueError, match=r"no permutation of the 3 vertices 0 … 2: \[2\] missing"):
            COLOUR[kind](np.eye(3), order=[0, 1, 1])


def test_bad_products():
    colouring = colour_columns(banded(6, 1))
    with pytest.raises(ValueError, match=r"compressed has shape \(6, 3\), the colouring needs \(3, 6\)"):
        decompress(colouring, np.ones((6, 3)))
    with pytest.raises(ValueError, match="compressed has shape nothing"):
        decompress(colouring)
    both = colour_bidirectional(arrow(6))
    with pytest.raises(ValueError, match=r"the colouring needs \(2, 6\) and \(1, 6\)"):
        decompress(both, np.ones((2, 6)))
    with pytest.raises(ValueError, match="a distance-1 colouring determines no matrix"):
        decompress(colour_graph(np.eye(2)), np.ones((1, 2)))


def test_colours_of_ones_own_are_checked():
    found = structure(banded(4, 1))
    with pytest.raises(ValueError, match=r"colours has shape \(3,\): a pattern \(4, 4\) needs \(4,\)"):
        Colouring("columns", found, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"do not determine the entry \(1, 0\)"):
        decompress(Colouring("columns", found, np.array([0, 1, 0, 1])), np.ones((2, 4)))
    with pytest.raises(ValueError, match="do not determine the entry"):
        decompress(Colouring("columns", found, np.array([0, 1, -1, 2])), np.ones((3, 4)))
    ring = structure(np.roll(np.eye(4), 1, axis=0) + np.roll(np.eye(4), -1, axis=0))
    with pytest.raises(ValueError, match="not acyclic"):
        decompress(Colouring("acyclic", ring, np.array([0, 1, 0, 1])), np.ones((2, 4)))
    with pytest.raises(ValueError, match="no colour"):
        decompress(Colouring("acyclic", ring, np.array([0, 1, 0, -1])), np.ones((2, 4)))
