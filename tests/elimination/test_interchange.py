"""Graphs from outside and back, and orders of one's own."""

import itertools

import numpy as np
import pytest

from admodes import LinearizedGraph, jacfwd, linearized_graph
from admodes.elimination import ORDERS, Remaining, lowest_degree

networkx = pytest.importorskip("networkx")
EDGES = {("x", "a"): 3.0, ("a", "b"): 2.0, ("b", "y"): 5.0, ("b", "z"): 7.0, ("w", "b"): -0.1}


def f(x):
    p = x[0] * np.sin(x[1])
    q = p + x[2:] ** 2
    return np.concatenate([q * p, x[:1], q[:1]])


X = np.array([0.3, -0.7, 1.1, 2.0])
GRAPHS = {
    "named": LinearizedGraph(EDGES),
    "columns in another order": LinearizedGraph(EDGES, inputs=("w", "x", "unused"), outputs=("z", "y", "z", "w")),
    "structure": LinearizedGraph([(0, 1), (1, 2), (1, 3)], labels={1: "sin"}),
    "of a program": linearized_graph(f, X),
    "an output used further": LinearizedGraph({(0, 1): 2.0, (1, 2): 1 / 3}, outputs=(1, 2)),
    "no edges": LinearizedGraph({}, inputs=(0,), outputs=(1, 0)),
}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


def equal(a, b):
    assert (a.edges, a.inputs, a.outputs, a.structural) == (b.edges, b.inputs, b.outputs, b.structural)
    if not a.structural:
        np.testing.assert_array_equal(a.accumulate(), b.accumulate())
    assert [a.count(order) for order in ORDERS] == [b.count(order) for order in ORDERS]


@every_graph
def test_there_and_back(graph, tmp_path):
    if graph.edges:
        equal(graph, LinearizedGraph.from_edges(graph.to_edges(), graph.inputs, graph.outputs))
    equal(graph, LinearizedGraph.from_edges(graph.edges if not graph.structural else list(graph.edges),
                                            inputs=graph.inputs, outputs=graph.outputs))  # fmt: skip
    back = LinearizedGraph.from_edges(graph.to_networkx())
    if graph.edges:
        equal(graph, back)
    assert back.labels == graph.labels
    graph.to_csv(tmp_path / "graph.csv")
    if graph.edges:
        equal(graph, LinearizedGraph.from_csv(tmp_path / "graph.csv"))


def test_a_graph_of_networkx_made_elsewhere():
    made = networkx.DiGraph()
    made.add_edge("x", "a", partial=3.0)
    made.add_edge("a", "y", partial=2)
    made.add_edge("x", "y", partial=np.float32(0.5))
    np.testing.assert_array_equal(LinearizedGraph.from_edges(made).accumulate(), [[6.5]])
    assert LinearizedGraph.from_edges(networkx.path_graph(5, create_using=networkx.DiGraph)).count("forward") == 3
    several = networkx.MultiDiGraph([("x", "y", {"partial": 1.0}), ("x", "y", {"partial": 2.0})])
    np.testing.assert_array_equal(LinearizedGraph.from_edges(several).accumulate(), [[3.0]])
    with pytest.raises(ValueError, match="cycle"):
        LinearizedGraph.from_edges(networkx.cycle_graph(3, create_using=networkx.DiGraph))


def test_what_networkx_says_of_a_program():
    """Paths from input to output, weighed by their partials, are the Jacobian: Bauer's formula."""
    graph = linearized_graph(f, X)
    made = graph.to_networkx()
    J = jacfwd(f)(X)
    for (row, y), (column, x) in itertools.product(enumerate(graph.outputs), enumerate(graph.inputs)):
        paths = [[x]] if x == y else networkx.all_simple_paths(made, x, y)
        weights = [np.prod([made.edges[edge]["partial"] for edge in itertools.pairwise(path)]) for path in paths]
        np.testing.assert_allclose(sum(weights), J[row, column], atol=1e-14)


def test_parallel_edges_add_up():
    graph = LinearizedGraph.from_edges([("x", "y", 1.0), ("x", "y", 2.5), ["x", "z", 4.0]])
    assert graph.edges == {("x", "y"): 3.5, ("x", "z"): 4.0}


def test_edges_with_and_without_partials_are_an_error():
    with pytest.raises(TypeError, match=r"\('a', 'y'\) has none"):
        LinearizedGraph.from_edges([("x", "a", 1.0), ("a", "y")])
    with pytest.raises(TypeError, match="no pair"):
        LinearizedGraph.from_edges([("x", "a", 1.0, 2.0)])


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "first line"), ("a,b\n", "first line"), ("kind,from,to,partial\nvertex,1,2,\n", "line 2"),
     ("kind,from,to,partial\nedge,1\n", "line 2"), ("kind,from,to,partial\nedge,1,2,x\n", "could not convert")],
)  # fmt: skip
def test_files_that_are_no_graphs(tmp_path, text, says):
    path = tmp_path / "graph.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        LinearizedGraph.from_csv(path)


# Orders of one's own ----------------------------------------------------------------------------------------


def by_degree(graph):
    """Markowitz as one writes it oneself: always the first of the lowest degree."""
    remaining, left = Remaining(graph), list(graph.intermediates)
    while left:
        v = min(left, key=remaining.degree)
        left.remove(v)
        remaining.eliminate(v)
        yield v


@every_graph
def test_an_order_is_a_name_a_list_or_a_function(graph):
    assert graph.order("markowitz") == graph.order(by_degree) == graph.order(list(by_degree(graph)))
    assert graph.order("markowitz") == graph.order(lambda g: lowest_degree(g, dict.fromkeys(g.intermediates, 0)))
    assert graph.order("reverse") == graph.order(lambda g: reversed(g.intermediates))
    assert graph.count(by_degree) == graph.count("markowitz") == graph.multiplications("markowitz")
    assert graph.sequence("reverse") == graph.order("reverse")
    if not graph.structural:
        np.testing.assert_allclose(graph.accumulate(by_degree), graph.accumulate("reverse"), atol=1e-14)


def test_an_order_of_ones_own_stands_in_the_table():
    graph = linearized_graph(f, X)
    table = graph.compare(by_degree, graph.intermediates)
    assert table["by_degree"].multiplications == table["markowitz"].multiplications
    assert table["given"].multiplications == table["forward"].multiplications
    assert graph.eliminate(by_degree).order == "by_degree"
    assert "by_degree" in repr(table)


def test_an_order_that_leaves_vertices_out_is_an_error():
    with pytest.raises(ValueError, match="missing 'a'"):
        GRAPHS["named"].order(lambda graph: ["b"])
    with pytest.raises(ValueError, match="nor a sequence of vertices or a function"):
        GRAPHS["named"].count("fastest")
