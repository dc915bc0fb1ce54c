"""Elimination on the linearised computational graph: known counts, definitions by brute force, and every rule."""

import itertools

import numpy as np
import optree
import pytest
import test_ops
from checks import leaves
from random_programs import random_program
from test_seeds import UNIT, logistic_unit

from admodes import grad, jacfwd, jacrev, layers, optimal_bracketing
from admodes.elimination import ORDERS, LinearizedGraph, linearized_graph, orders, scalars

HEURISTICS = ORDERS[:4]

# ---------------------------------------------------------------------------------------------------
# The slow definitions
# ---------------------------------------------------------------------------------------------------


def by_definition(graph, sequence):
    """Eliminate on a plain set of edges: the multiplications."""
    edges = {(i, j) for i, j in graph.edges if i in graph.live and j in graph.live}
    cost = 0
    for v in sequence:
        preds, succs = [i for i, j in edges if j == v], [j for i, j in edges if i == v]
        cost += len(preds) * len(succs)
        edges -= {(v, k) for k in succs}
        if v not in graph.outputs:
            edges -= {(i, v) for i in preds}
        edges |= {(i, k) for i in preds for k in succs}
    return cost


def greedy_by_definition(graph, relative):
    """The vertex of the lowest (relative) degree, found anew each time; the first of equals."""
    edges = {(i, j) for i, j in graph.edges if i in graph.live and j in graph.live}
    above, below = reachable(edges, graph.inputs, 1), reachable(edges, graph.outputs, -1)
    left, sequence = list(graph.intermediates), []
    while left:
        preds = {v: {i for i, j in edges if j == v} for v in left}
        succs = {v: {j for i, j in edges if i == v} for v in left}
        last = {v: len(above[v]) * len(below[v]) if relative else 0 for v in left}
        v = min(left, key=lambda v: len(preds[v]) * len(succs[v]) - last[v])
        edges = {e for e in edges if e[0] != v and (e[1] != v or v in graph.outputs)}
        edges |= {(i, k) for i in preds[v] for k in succs[v]}
        left.remove(v)
        sequence.append(v)
    return tuple(sequence)


def reachable(edges, marks, way):
    """For each vertex the marks among itself and all that come before it (way 1) or after it (−1)."""
    found = {v: {v} & set(marks) for e in edges for v in e}
    for _ in found:
        for i, j in edges:
            near, far = (i, j)[::way]
            found[far] |= found[near]
    return found


def jacobian_by_paths(graph):
    """Bauer's formula: over all paths from input to output, the sum of the products of partials."""

    def paths(i, y):
        return (i == y) + sum(c * paths(j, y) for (a, j), c in graph.edges.items() if a == i)

    return np.array([[paths(x, y) for x in graph.inputs] for y in graph.outputs], float)


def edge_optimum_by_definition(edges, inputs, outputs):
    """All sequences of front and back eliminations, one after the other."""
    if all(i in inputs for i, _ in edges):
        return 0
    costs = []
    for i, j in edges:
        for front in (True, False):
            v = j if front else i
            if v in inputs or v in outputs:
                continue
            preds, succs = {a for a, b in edges if b == v}, {b for a, b in edges if a == v}
            new = {(i, k) for k in succs} if front else {(k, j) for k in preds}
            rest = (edges - {(i, j)}) | new
            if (front and len(preds) == 1) or (not front and len(succs) == 1):
                rest = {e for e in rest if v not in e}
            costs.append(len(new) + edge_optimum_by_definition(frozenset(rest), inputs, outputs))
    return min(costs)


def random_graph(seed, inputs=2, inner=5, last=2, density=0.5, used_outputs=False):
    """A random directed acyclic graph; perhaps with outputs that are used further."""
    rng = np.random.default_rng(seed)
    n = inputs + inner + last
    edges = {
        (i, j): float(rng.uniform(-2, 2))
        for j in range(inputs, n)
        for i in range(min(j, n - last))
        if rng.random() < density
    }
    outputs = [*range(n - last, n), *(rng.choice(inputs + inner, 2) if used_outputs else [])]
    return LinearizedGraph(edges, inputs=range(inputs), outputs=[int(v) for v in outputs])


def everything(f, *args):
    """The Jacobian of all raveled results by all raveled arguments, by forward mode."""
    blocks = jacfwd(leaves(f), argnums=tuple(range(len(args))))(*args)
    rows = []
    for row in blocks:
        parts = [(b, x) for b, x in zip(optree.tree_leaves(row), optree.tree_leaves(args), strict=True)]
        rows.append(np.concatenate([np.reshape(b, (-1, np.size(x))) for b, x in parts if np.size(x)], axis=1))
    return np.concatenate(rows)


def agree(f, *args, orders=HEURISTICS, rtol=1e-11):
    graph = linearized_graph(f, *args)
    want = everything(f, *args)
    for order in orders:
        np.testing.assert_allclose(graph.accumulate(order), want, rtol=rtol, atol=1e-12)
    return graph


# ---------------------------------------------------------------------------------------------------
# Known counts
# ---------------------------------------------------------------------------------------------------

# The Lion graph (Naumann 2004; Griewank & Walther, chapter 10). Published: at best 12 multiplications by vertices and
# 11 by edges. The drawing was not at hand: sizes and edges are a reconstruction for which both hold. v1 depends on both
# inputs, v2 on v1, all four outputs on v2, and one of them on v1 besides.
LION = [("x1", "v1"), ("x2", "v1"), ("v1", "v2"), ("v2", "y1"), ("v2", "y2"), ("v2", "y3"), ("v2", "y4"), ("v1", "y4")]


def test_lion_graph():
    graph = LinearizedGraph(LION)
    assert (graph.inputs, graph.intermediates, len(graph.outputs)) == (("x1", "x2"), ("v1", "v2"), 4)
    assert graph.multiplications("exhaustive") == 12
    assert graph.multiplications(["v1", "v2"]) == graph.multiplications(["v2", "v1"]) == 12
    assert graph.optimal_edge_multiplications() == 11


def test_lion_graph_of_a_program():
    """The same graph from NumPy code, and its Jacobian in each order."""

    def f(x):
        v1 = x[0] * x[1]
        v2 = np.sin(v1)
        return np.array([np.exp(v2), np.cos(v2), np.tanh(v2), v1 * v2])

    graph = agree(f, np.array([0.7, -1.3]), orders=ORDERS)
    assert len(graph.edges) == 8
    assert {order: graph.multiplications(order) for order in ORDERS} == dict.fromkeys(ORDERS, 12)
    assert graph.optimal_edge_multiplications() == 11


@pytest.mark.parametrize("n", [1, 2, 7])
def test_chain(n):
    """n links, a multiplication for each but one, in any order."""
    graph = LinearizedGraph({(i, i + 1): 2.0 for i in range(n)})
    for order in (*ORDERS, np.random.default_rng(n).permutation(graph.intermediates).tolist()):
        assert graph.multiplications(order) == n - 1
        assert graph.accumulate(order) == 2.0**n


@pytest.mark.parametrize("n", [2, 3, 6, 10])
def test_speelpenning(n):
    """x₁⋯xₙ from the left: the product up to k has 2 predecessors in the program and k inputs above it.

    Reverse: 2 for each of the n − 2 partial products. Forward: k for each, Σₖ₌₂ⁿ⁻¹ k = n(n − 1)/2 − 1.
    """

    def product(x):
        y = x[0]
        for k in range(1, n):
            y = y * x[k]
        return y

    graph = agree(product, np.linspace(0.5, 2, n), orders=ORDERS)
    assert graph.multiplications("reverse") == 2 * (n - 2)
    assert graph.multiplications("forward") == n * (n - 1) // 2 - 1
    assert graph.multiplications("exhaustive") == 2 * (n - 2)


def layered(sizes):
    vertices = [[(k, i) for i in range(n)] for k, n in enumerate(sizes)]
    return LinearizedGraph([e for a, b in itertools.pairwise(vertices) for e in itertools.product(a, b)])


@pytest.mark.parametrize("sizes", [(2, 3, 4), (1, 4, 2, 3), (4, 1, 5, 2), (3, 4, 1, 4, 3), (2, 3, 4, 3, 1)])
def test_complete_layers_count_as_a_matrix_chain(sizes):
    """To eliminate a layer is to multiply the two matrices beside it."""
    graph = layered(sizes)
    forward = sum(sizes[0] * b * c for b, c in itertools.pairwise(sizes[1:]))
    reverse = sum(a * b * sizes[-1] for a, b in itertools.pairwise(sizes[:-1]))
    plan = optimal_bracketing([(m, n, m * n) for n, m in itertools.pairwise(sizes)], matrix_free=False)
    assert (graph.multiplications("forward"), graph.multiplications("reverse")) == (forward, reverse)
    assert graph.multiplications("exhaustive") == plan.cost


def test_orders_in_between_can_be_cheaper():
    """t = x sin(x y); cos(t), t/y: the statements of Naumann's slides "Jacobians, Graphs, Combinatorics".

    Vertices in order: a = x y, b = sin a, t = x b. Forward 2·1 + 2·1 + 2·2 = 8; reverse 2·2 + 1·2 + 2·2 = 10; b first,
    then a, then t: 1·1 + 2·1 + 2·2 = 7, and no sequence takes fewer.
    """

    def f(x, y):
        t = x * np.sin(x * y)
        return np.cos(t), t / y

    graph = agree(f, 1.2, 0.7, orders=ORDERS)
    counts = {order: graph.multiplications(order) for order in ORDERS}
    assert counts == {
        "forward": 8,
        "reverse": 10,
        "markowitz": 7,
        "relative-markowitz": 7,
        "annealed": 7,
        "exhaustive": 7,
    }


def test_logistic_unit_of_the_seeds():
    """002: 12 edges; reverse meets each once but for the one into the result, as every vertex is on one path to it."""
    graph = agree(logistic_unit, *UNIT, orders=ORDERS)
    assert (len(graph.inputs), len(graph.intermediates), len(graph.edges)) == (5, 7, 12)
    assert graph.multiplications("reverse") == graph.multiplications("exhaustive") == 11
    assert np.round(graph.accumulate(), 2).tolist() == [[-0.20, 0.39, -0.39, -0.59, 0.20]]


# ---------------------------------------------------------------------------------------------------
# Against the definitions
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("used_outputs", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_small_graphs_by_brute_force(seed, used_outputs):
    graph = random_graph(seed, inner=4 + seed % 2, density=0.4 + 0.05 * (seed % 5), used_outputs=used_outputs)
    sequences = list(itertools.permutations(graph.intermediates))
    counts = [graph.multiplications(s) for s in sequences]
    assert counts == [by_definition(graph, s) for s in sequences]
    assert graph.multiplications("exhaustive") == min(counts)
    want = jacobian_by_paths(graph)
    for s in sequences[:: max(1, len(sequences) // 12)]:
        np.testing.assert_allclose(graph.accumulate(s), want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("used_outputs", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_orders_by_definition(seed, used_outputs):
    graph = random_graph(100 + seed, 3, 11, 3, 0.3, used_outputs)
    assert graph.sequence("forward") == graph.intermediates == graph.sequence("reverse")[::-1]
    assert graph.sequence("markowitz") == greedy_by_definition(graph, relative=False)
    assert graph.sequence("relative-markowitz") == greedy_by_definition(graph, relative=True)
    want = jacobian_by_paths(graph)
    optimum = graph.multiplications("exhaustive")
    for order in ORDERS:
        result = graph.eliminate(order)
        assert result.multiplications == by_definition(graph, result.sequence) >= optimum
        assert result.multiplications == result.additions + result.fill_in
        np.testing.assert_allclose(result.jacobian, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_one_output_or_one_input(seed):
    """m = 1: in reverse each vertex has one successor left, and costs its predecessors. n = 1: mirrored."""
    one_output = random_graph(seed, 3, 7, 1)
    inner = set(one_output.intermediates)
    live = [e for e in one_output.edges if set(e) <= one_output.live]
    assert one_output.multiplications("reverse") == sum(j in inner for _, j in live)
    one_input = random_graph(seed, 1, 7, 3)
    inner = set(one_input.intermediates)
    live = [e for e in one_input.edges if set(e) <= one_input.live]
    assert one_input.multiplications("forward") == sum(i in inner for i, _ in live)


def test_many_neighbours_outside():
    """More inputs and outputs than the bits of a word, shared and not, in parts that the search takes one by one."""
    edges = [(f"x{i}", v) for i in range(70) for v in "ab" if i % 3 or v == "a"]
    edges += [("a", "b"), ("c", "d"), *((f"x{i}", "c") for i in range(40)), *(("d", f"y{k}") for k in range(35))]
    edges += [(v, f"y{k}") for k in range(65) for v in "ab" if k % 2 or v == "b"]
    graph = LinearizedGraph(edges)
    assert sorted(map(sorted, orders.components(graph))) == [["a", "b"], ["c", "d"]]
    best = min(by_definition(graph, s) for s in itertools.permutations("abcd"))
    assert graph.multiplications("exhaustive") == best


@pytest.mark.parametrize("seed", range(6))
def test_edge_eliminations_by_brute_force(seed):
    graph = random_graph(seed, 2, 2, 2, 0.6)
    edges = frozenset(e for e in graph.edges if set(e) <= graph.live)
    found = graph.optimal_edge_multiplications()
    assert found == edge_optimum_by_definition(edges, set(graph.inputs), set(graph.outputs))
    assert found <= graph.multiplications("exhaustive")


def test_edge_eliminations_with_an_output_that_is_used():
    graph = LinearizedGraph([("x", "a"), ("a", "b"), ("b", "y")], outputs=["a", "y"])
    assert graph.optimal_edge_multiplications() == graph.multiplications("exhaustive") == 2


# ---------------------------------------------------------------------------------------------------
# Graphs of programs
# ---------------------------------------------------------------------------------------------------


def compare_with_forward_mode(f, xs, rng):
    f = leaves(f)
    if not any(np.size(x) for x in xs) or any(np.iscomplexobj(y) for y in f(*xs)):
        return
    agree(f, *xs, orders=("reverse", "relative-markowitz"), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:`row_stack` alias is deprecated:DeprecationWarning")
@test_ops.every_row
def test_every_row_of_the_registry(key):
    """The local partials of every rule, by the orders that differ most."""
    test_ops.hold(compare_with_forward_mode, key, at_most=2)


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed):
    f, x = random_program(seed, 8)
    agree(f, x, orders=("forward", "markowitz"), rtol=1e-9)


A = np.array([[1.0, -2.0, 0.5], [0.3, 0.7, -1.1]])
FUNCTIONS = {
    "dot": lambda x: x @ np.cos(x),
    "x·x": lambda x: x[:1] * x[:1] + np.dot(x, x),
    "matmul": lambda x: (A @ np.outer(x, x[::-1])) @ x,
    "array": lambda x: np.array([[x[0] * x[1], 3.0], [np.sin(x[2]), x[1]]]),
    "assignment": lambda x: _assigned(x),
    "where": lambda x: np.where(x > 0, x**2, np.sin(x)),
    "reduction": lambda x: np.mean(x) * np.max(x) - np.var(x),
    "softmax": lambda x: layers.softmax(A @ x),
    "tree": lambda x: {"a": x * 2.0, "b": (np.sum(x), x[0])},
    "broadcast": lambda x: x[:, None] * np.arange(1.0, 3) + x[:2],
    "solve": lambda x: np.linalg.solve(np.diag(x) + np.ones((3, 3)), x),
    "gradient": grad(lambda x: np.sum(np.tanh(A @ x) ** 2)),
    "norm": lambda x: x / np.linalg.norm(x),
}


def _assigned(x):
    y = np.zeros(4, dtype=object)
    y[:3] = x * x
    y[3] = y[0] * x[2]
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    x = np.array([0.7, -1.2, 2.1])
    agree(FUNCTIONS[name], x)
    want = np.concatenate([np.reshape(b, (-1, 3)) for b in optree.tree_leaves(jacrev(FUNCTIONS[name])(x))])
    np.testing.assert_allclose(linearized_graph(FUNCTIONS[name], x).accumulate(), want, rtol=1e-10, atol=1e-12)


def test_several_arguments():
    agree(lambda p, x: (p["W"] @ x + p["b"], x * 2.0), {"b": np.ones(2), "W": A}, np.array([1.0, 2.0, 3.0]))
    assert linearized_graph(lambda x, y: x * y, 2, 3).accumulate().tolist() == [[3, 2]]


def test_moved_elements_keep_their_vertex():
    def f(x):
        y = np.concatenate([x.reshape(2, 2).T[::-1].ravel(), np.zeros(1)]).copy()
        y = np.array([y[0], y[1], y[2]])
        return np.sin(y)

    graph = agree(f, np.arange(4.0))
    assert len(graph.edges) == 3
    assert graph.intermediates == ()


def test_zero_partials():
    """A dependence stays where its partial happens to be zero; the zeros of a constant matrix are no dependences."""
    assert len(linearized_graph(lambda x: x**2, 0.0).edges) == 1
    assert len(linearized_graph(lambda x: np.dot(x, x), np.zeros(3)).edges) == 3
    assert len(linearized_graph(np.max, np.arange(40.0)).edges) == 40
    assert len(linearized_graph(np.linalg.inv, np.tril(np.ones((6, 6)))).edges) == 36**2
    # The 21 elements of a Cholesky factor, each by all 36; the 15 above its diagonal depend on nothing.
    assert len(linearized_graph(np.linalg.cholesky, np.eye(6)).edges) == 756
    assert len(linearized_graph(lambda x: np.diag([2.0, 0.0, 3.0]) @ x, np.ones(3)).edges) == 2
    assert len(linearized_graph(lambda x: np.where(x > 0, np.sin(x), 0.0), np.array([1.0, -1.0])).edges) == 2


def test_infinite_partials_times_zero_are_not_zero():
    """√(x²) at 0: ∞ · 0 has no value in a product of partials; a tangent that is zero stays zero (see `core.zeros`)."""
    with np.errstate(all="ignore"):
        assert jacfwd(lambda x: np.sqrt(x * x))(0.0) == 0
        assert np.isnan(linearized_graph(lambda x: np.sqrt(x * x), 0.0).accumulate()).all()


def test_results_that_are_inputs_constants_or_used_further():
    def f(x):
        a = x[0] * x[1]
        return x[1], a, np.sin(a), a, np.floor(x)

    x = np.array([0.5, 2.0])
    graph = agree(f, x, orders=ORDERS)
    assert len(graph.outputs) == 6
    assert graph.intermediates == (1,)
    assert graph.multiplications() == 2
    assert graph.accumulate()[:4, 0].tolist() == [0, 2.0, 2.0 * np.cos(1.0), 2.0]
    constant = linearized_graph(lambda x: (7.0, np.sum(x > 0), x[0]), x)
    assert constant.accumulate().tolist() == [[0, 0], [0, 0], [1, 0]]


def test_dead_code_costs_nothing():
    def f(x):
        np.exp(np.sin(x) * x)
        return np.cos(x * 2.0)

    graph = agree(f, 1.0)
    assert graph.multiplications() == 1
    assert len(graph.intermediates) == 1


def test_dtype():
    assert linearized_graph(np.sin, np.ones(2, np.float32)).accumulate().dtype == np.float32
    third = np.longdouble(1) / 3
    found = linearized_graph(lambda x: np.exp(x * third), third).accumulate()
    assert found.dtype == np.longdouble
    assert found[0, 0] == jacfwd(lambda x: np.exp(x * third))(third)
    assert LinearizedGraph({(0, 1): third, (1, 2): 1.0}).accumulate()[0, 0] == third


def test_arrays_in_several_chunks(monkeypatch):
    monkeypatch.setattr("admodes.transforms.directions.CHUNK_ELEMENTS", 64)
    agree(lambda x: np.cumsum(x) @ np.outer(x, x), np.linspace(0.5, 2, 20), orders=("reverse",))


def test_nothing_to_differentiate_by():
    graph = linearized_graph(lambda x: np.sum(x) + 1.0, np.zeros(0))
    assert graph.accumulate().shape == (1, 0)
    assert linearized_graph(lambda x: np.sin(x)[:0], np.ones(3)).accumulate().shape == (0, 3)


# ---------------------------------------------------------------------------------------------------
# What is said, and refused
# ---------------------------------------------------------------------------------------------------


def test_printing():
    graph = LinearizedGraph({("x", "a"): 3.0, ("a", "y"): 0.5}, labels={"a": "sin"})
    assert repr(graph).splitlines() == [
        "LinearizedGraph: 1 input, 1 intermediate, 1 output, 2 edges",
        "vertex  kind    operation  predecessors",
        "x       input",
        "a               sin        x: 3",
        "y       output             a: 0.5",
    ]
    assert "x, w" in repr(LinearizedGraph([("x", "a"), ("w", "a")]))
    table = graph.compare()
    assert [line.split()[:2] for line in repr(table).splitlines()[1:]] == [
        [order, "1"] for order in (*HEURISTICS, "exhaustive")
    ]
    assert table["reverse"].jacobian == 1.5
    long = linearized_graph(lambda x: np.sum(np.sin(x) * x), np.ones(50))
    assert "… 91 more" in repr(long)
    assert list(long.compare().by_order) == [*HEURISTICS, "exhaustive"]  # parts of one vertex each
    assert repr(long.eliminate("reverse")).startswith("Elimination(order='reverse', sequence=<100 vertices>")


def test_a_large_graph_is_compared_without_the_search():
    graph = layered((1, 11, 11, 1))
    assert list(graph.compare().by_order) == list(HEURISTICS)
    with pytest.raises(ValueError, match="at most 20 that are connected; this graph has 22"):
        graph.accumulate("exhaustive")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearizedGraph([(1, 2), (2, 3), (3, 2)]), "cycle through 2, 3"),
        (lambda: LinearizedGraph([(1, 1)]), "cycle"),
        (lambda: LinearizedGraph([(1, 2), (2, 3)], inputs=[2]), "the input 2 has predecessors"),
        (lambda: LinearizedGraph([(1, 2)], inputs=[1, 1]), "inputs named twice: 1"),
        (lambda: LinearizedGraph([(1, 2)]).accumulate(), "without partials"),
        (lambda: LinearizedGraph([(1, 2)]).eliminate("cheapest"), "order='cheapest' is none of 'forward', 'reverse'"),
        (lambda: LinearizedGraph([(1, 2), (2, 3)]).eliminate([2, 2]), "missing none, too many 2"),
        (lambda: LinearizedGraph([(1, 2), (2, 3)]).eliminate([3]), "missing 2, too many 3"),
        (lambda: linearized_graph(lambda x: x[:, None] * x, np.ones(150)), "more than 20,000 scalar vertices"),
        (lambda: linearized_graph(np.sin, np.ones(20_001)), "more than 20,000 scalar vertices"),
    ],
)
def test_value_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearizedGraph([1, 2]), "the edge 1 is no pair"),
        (lambda: LinearizedGraph([(1, [2])]), "no pair"),
        (lambda: LinearizedGraph({(1, 2): 1j}), "partials are real numbers"),
        (lambda: LinearizedGraph({(1, 2): None}), "partials are real numbers"),
        (lambda: LinearizedGraph({(1, 2): np.ones(2)}), "partials are real numbers"),
        (lambda: linearized_graph(np.sin, np.arange(3)), "argument leaf 0 has dtype int64"),
        (lambda: linearized_graph(np.sin, 1j), "argument leaf 0 is complex"),
        (lambda: linearized_graph(lambda x: np.abs(np.fft.fft(x)), np.ones(3)), "fft.fft gives a complex value"),
        (lambda: grad(lambda x: linearized_graph(np.sin, x).accumulate()[0, 0])(1.0), "traced by a transform"),
    ],
)
def test_type_errors(build, message):
    with pytest.raises(TypeError, match=message):
        build()


def test_limits(monkeypatch):
    monkeypatch.setattr(scalars, "MOST_EDGES", 50)
    with pytest.raises(ValueError, match="more than 50 edges"):
        linearized_graph(lambda x: np.ones((8, 8)) @ x, np.ones(8))
    monkeypatch.setattr(scalars, "MOST_VERTICES", 100)
    with pytest.raises(ValueError, match="pairs of elements in one operation, matmul"):
        linearized_graph(lambda x: np.ones((5000, 8)) @ x, np.ones(8))
    monkeypatch.setattr(orders, "MOST_STATES", 3)
    with pytest.raises(ValueError, match="more than 3 graphs"):
        LinearizedGraph(LION).optimal_edge_multiplications()
