"""The cheapest order of a Jacobian chain: the literature's table, and the definition on small chains."""

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from admodes import optimal_bracketing

DATA = Path(__file__).parent / "data" / "jacobian_chains"
# Naumann, arXiv 2003.05755, reference implementation: tangent, adjoint, preaccumulation, optimal.
TABLE = {
    "p_3_3.1": (150, 100, 123, 56),
    "p2.1": (400, 1600, 664, 400),
    "p2.2": (800, 6400, 656, 600),
    "p2.3": (1600, 400, 664, 400),
    "p2.4": (6400, 800, 656, 600),
    "p2.5": (800, 800, 432, 432),
    "p_10_10.1": (3_708, 5_562, 2_618, 1_344),
    "p_50_50.1": (1_283_868, 1_355_194, 1_687_575, 71_668),
    "p_100_100.1": (3_677_565, 44_866_293, 40_880_996, 1_471_636),
    "p_250_250.1": (585_023_794, 1_496_126_424, 1_196_618_622, 9_600_070),
    "p_500_500.1": (21_306_718_862, 19_518_742_454, 18_207_565_409, 149_147_898),
}


def instance(name):
    numbers = [int(word) for word in (DATA / f"{name}.txt").read_text().split()]
    return [tuple(numbers[1 + 3 * i : 4 + 3 * i]) for i in range(numbers[0])]


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_the_literature(name):
    b = optimal_bracketing(instance(name))
    assert (b.tangent, b.adjoint, b.preaccumulation, b.cost) == TABLE[name]
    assert price(b.tree, instance(name))[2] == b.cost


def price(tree, factors):
    """Columns, rows and multiply-adds of a plan, by its definition, without recursion limits."""
    done = {}
    stack = [tree]
    while stack:
        node = stack[-1]
        parts = [p for p in node[1:] if isinstance(p, tuple) and isinstance(p[0], str)]
        missing = [p for p in parts if id(p) not in done]
        if missing:
            stack += missing
            continue
        stack.pop()
        kind = node[0]
        if kind == "accumulate":
            m, n, e = factors[node[1]]
            done[id(node)] = (m, n, e * (n if node[2] == "tangent" else m))
        elif kind == "multiply":
            (m, k, a), (_, n, b) = (done[id(p)] for p in parts)
            done[id(node)] = (m, n, a + b + m * k * n)
        else:
            m, n, cost = done[id(parts[0])]
            first, last = node[2]
            edges = sum(e for _, _, e in factors[first : last + 1])
            done[id(node)] = (
                (factors[last][0], n, cost + n * edges)
                if kind == "tangent"
                else (m, factors[first][1], cost + m * edges)
            )
    return done[id(tree)]


def brute(factors, matrix_free, memory, workers):
    """The definition: every split of every sub-chain, every way, every share of the workers."""

    @cache
    def best(i, j, w):
        if i == j:
            m, n, e = factors[i]
            return e * (min(m, n) if e <= memory else n) if matrix_free else 0
        options = []
        for k in range(i, j):
            product = factors[j][0] * factors[k][0] * factors[i][1]
            options.append(best(k + 1, j, w) + best(i, k, w) + product)
            options += [max(best(k + 1, j, v), best(i, k, w - v)) + product for v in range(1, w)]
            if matrix_free:
                options.append(best(i, k, w) + factors[i][1] * sum(f[2] for f in factors[k + 1 : j + 1]))
                passed = sum(f[2] for f in factors[i : k + 1])
                if passed <= memory:
                    options.append(best(k + 1, j, w) + factors[j][0] * passed)
        return min(options)

    return best(0, len(factors) - 1, workers)


@pytest.mark.parametrize("seed", range(40))
def test_small_chains_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    q = int(rng.integers(1, 8))
    sizes = [int(n) for n in rng.integers(1, 12, size=q + 1)]
    factors = [(m, n, int(rng.integers(1, 2 * m * n + 2))) for n, m in itertools.pairwise(sizes)]
    for matrix_free, workers, memory in itertools.product((True, False), (1, 2, 3), (None, 0, 30, 100)):
        b = optimal_bracketing(factors, matrix_free=matrix_free, workers=workers, memory=memory)
        assert b.cost == brute(tuple(factors), matrix_free, np.inf if memory is None else memory, workers)
        if workers == 1 and matrix_free:
            assert price(b.tree, factors)[2] == b.cost


def test_the_classical_matrix_chain():
    # Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", 15.2: six matrices, 15125 multiplications.
    sizes = [30, 35, 15, 5, 10, 20, 25]
    factors = [(m, n, 1) for m, n in itertools.pairwise(sizes)][::-1]
    assert optimal_bracketing(factors, matrix_free=False).cost == 15_125


def test_printing():
    text = str(optimal_bracketing(instance("p_3_3.1")))
    for word in ("homogeneous tangent", "150", "100", "123", "56", "F0"):
        assert word in text
    assert optimal_bracketing(instance("p_3_3.1")).draw().axes


@pytest.mark.parametrize(
    ("factors", "options", "message"),
    [
        ([], {}, "no factor"),
        ([(3, 3, 9), (2, 4, 8)], {}, "factor 0 is 3 × 3 and factor 1 is 2 × 4"),
        ([(3, 0, 9)], {}, "at least 1"),
        ([(3, -1, 9)], {}, "at least 1"),
        ([(3, 2.5, 9)], {}, "three integers"),
        ([(3, 2)], {}, "three integers"),
        ([(3, 3, 9)], {"memory": -1}, "memory=-1"),
        ([(3, 3, 9)], {"workers": 0}, "workers=0"),
    ],
)
def test_bad_input(factors, options, message):
    with pytest.raises(ValueError, match=message):
        optimal_bracketing(factors, **options)
