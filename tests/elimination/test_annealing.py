"""Annealed orders: the best known counts of graphs of the literature, in machine code and in Python; lower bounds."""

import itertools

import numpy as np
import pytest

from admodes.elimination import LinearizedGraph
from admodes.elimination.annealing import search_in_python, search_natively
from experiments.elimination import graph_of

# Multiplications: forward, reverse and Markowitz order, AlphaGrad (Lohoff and Neftci, 2024), the fewest known.
KNOWN = {
    "HumanHeartDipole": (240, 172, 194, 148, 148),
    "PropaneCombustion": (151, 90, 111, 88, 88),
    "RoeFlux_1d": (620, 364, 407, 320, 295),
    "RobotArm_6DOF": (397, 301, 288, 231, 221),
    "random_g": (632, 566, 451, 417, 409),
    "BlackScholes_Jacobian": (None, None, 350, 312, 297),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_best_known_counts(name):
    pytest.importorskip("llvmlite")
    graph = graph_of(name)
    forward, reverse, markowitz, _, best = KNOWN[name]
    if forward:
        assert (graph.count("forward"), graph.count("reverse")) == (forward, reverse)
    assert graph.count("markowitz") == markowitz
    order = graph.order("annealed")
    assert graph.count(order) == best
    assert sorted(order) == sorted(graph.intermediates)
    assert graph.order("annealed") == order
    assert 0.4 * best < graph.lower_bound() <= best


@pytest.mark.parametrize("search", [search_natively, search_in_python])
@pytest.mark.parametrize("seed", range(8))
def test_small_graphs_against_all_sequences(search, seed):
    """Outputs that have successors among them: their rows stay."""
    if search is search_natively:
        pytest.importorskip("llvmlite")
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i, j in itertools.combinations(range(9), 2) if rng.random() < 0.35 and j > 1]
    graph = LinearizedGraph.from_edges(pairs, inputs=[0, 1], outputs=sorted({5, 8} & {v for p in pairs for v in p}))
    least = min((graph.count(order) for order in itertools.permutations(graph.intermediates)), default=0)
    total, order = search(graph, graph.order("forward"), seed, 2000)
    assert total == graph.count(order) == least
    assert graph.lower_bound() <= least


def test_more_vertices_than_bits_in_a_word():
    """Chains side by side, 150 vertices: every order that ends with the branching vertices is as good."""
    edges = [(f"x{k}", f"a{k}") for k in range(50)] + [(f"a{k}", f"b{k}") for k in range(50)]
    edges += [(f"b{k}", "y") for k in range(50)]
    graph = LinearizedGraph.from_edges(edges)
    assert graph.count("annealed") == graph.lower_bound() == 100
