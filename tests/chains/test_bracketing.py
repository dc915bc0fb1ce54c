"""The cheapest order of a Jacobian chain: the literature's table, and the definition on small chains."""

import csv
import itertools
import math
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from admodes import optimal_bracketing
from admodes.chains.bracketing import Link
from admodes.chains.search import StructuredTable, Table, cheapest
from admodes.chains.structure import Structure
from admodes.sparse.colouring import colour_columns, colour_rows

DATA = Path(__file__).parents[2] / "experiments" / "data" / "jacobian_chains"
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
        parts = parts_of(node)
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


def brute(links, matrix_free, memory, workers):
    """The definition: every split of every sub-chain, every way, every share of the workers.

    A sub-chain of diagonals alone is a diagonal: one direction carries it, and products with it cost one number each.
    """

    def diagonal(i, j):
        return all(link.diagonal for link in links[i : j + 1])

    def single(link):
        n, m = (1, 1) if link.diagonal else (link.n, link.m)
        return min(n * link.push, m * link.pull if link.pull <= memory else math.inf) if matrix_free else 0

    def product(i, k, j):
        a, b = diagonal(k + 1, j), diagonal(i, k)
        m, inner, n = links[j].m, links[k].m, links[i].n
        return n if a and b else m * n if a or b else m * inner * n

    @cache
    def best(i, j, w):
        if i == j:
            return single(links[i])
        options = []
        columns, rows = (1, 1) if diagonal(i, j) else (links[i].n, links[j].m)
        for k in range(i, j):
            options.append(best(k + 1, j, w) + best(i, k, w) + product(i, k, j))
            options += [max(best(k + 1, j, v), best(i, k, w - v)) + product(i, k, j) for v in range(1, w)]
            if matrix_free:
                options.append(best(i, k, w) + columns * sum(link.push for link in links[k + 1 : j + 1]))
                passed = sum(link.pull for link in links[i : k + 1])
                if passed <= memory:
                    options.append(best(k + 1, j, w) + rows * passed)
        return min(options)

    return best(0, len(links) - 1, workers)


def random_factors(rng, q, largest=12):
    sizes = [int(n) for n in rng.integers(1, largest, size=q + 1)]
    return [(m, n, int(rng.integers(1, 2 * m * n + 2))) for n, m in itertools.pairwise(sizes)]


def links_of(factors):
    return [Link(m, n, e, e) for m, n, e in factors]


@pytest.mark.parametrize("seed", range(40))
def test_small_chains_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    factors = random_factors(rng, int(rng.integers(1, 8)))
    for matrix_free, workers, memory in itertools.product((True, False), (1, 2, 3), (None, 0, 30, 100)):
        b = optimal_bracketing(factors, matrix_free=matrix_free, workers=workers, memory=memory)
        least = brute(links_of(factors), matrix_free, math.inf if memory is None else memory, workers)
        table = Table(links_of(factors), matrix_free, memory, workers)
        assert table.least(table.whole) == least
        assert b.bound <= b.cost <= least
        assert b.cost == least or workers > 1
        check_schedule(b)
        if workers == 1 and matrix_free:
            assert price(b.tree, factors)[2] == b.cost


@pytest.mark.parametrize("seed", range(40))
def test_chains_with_diagonals_by_brute_force(seed):
    """Tangents and adjoints of different cost, and runs of diagonals."""
    rng = np.random.default_rng(seed)
    links, n = [], int(rng.integers(1, 7))
    for _ in range(int(rng.integers(1, 8))):
        if rng.random() < 0.5:
            links.append(Link(n, n, n, n, True))
        else:
            m = int(rng.integers(1, 7))
            links.append(Link(m, n, *(int(e) for e in rng.integers(0, 3 * m * n, size=2))))
            n = m
    for matrix_free, workers, memory in itertools.product((True, False), (1, 2, 4), (None, 5, 20)):
        b = cheapest(links, matrix_free, memory, workers)
        least = brute(links, matrix_free, math.inf if memory is None else memory, workers)
        assert b.cost == least or (b.cost < least and workers > 1 and not any(link.diagonal for link in links))
        check_schedule(b)


def structured_brute(links, arrays, memory, matrix_free, workers):
    """The definition on boolean arrays: patterns multiplied, what is dense filled, every split and every sweep."""

    def pattern(i, j):
        whole = arrays[i]
        for array in arrays[i + 1 : j + 1]:
            whole = (array.astype(int) @ whole.astype(int)) > 0
        return whole

    def held(i, j):
        found, diagonal = pattern(i, j), all(link.diagonal for link in links[i : j + 1])
        return found if diagonal or 2 * found.sum() <= found.size else np.ones_like(found)

    @cache
    def directions(i, j):
        if all(link.diagonal for link in links[i : j + 1]):
            return 1, 1
        return colour_columns(held(i, j)).count, colour_rows(held(i, j)).count

    @cache
    def best(i, j, w):
        columns, rows = directions(i, j)
        if i == j:
            adjoint = rows * links[i].pull if links[i].pull <= memory else math.inf
            return min(columns * links[i].push, adjoint) if matrix_free else 0
        options = []
        for k in range(i, j):
            product = int((held(k + 1, j).sum(axis=0) * held(i, k).sum(axis=1)).sum())
            options.append(best(k + 1, j, w) + best(i, k, w) + product)
            options += [max(best(k + 1, j, v), best(i, k, w - v)) + product for v in range(1, w)]
            passed = sum(link.pull for link in links[i : k + 1])
            if matrix_free:
                options.append(best(i, k, w) + columns * sum(link.push for link in links[k + 1 : j + 1]))
                options.append(best(k + 1, j, w) + rows * passed if passed <= memory else math.inf)
        return min(options)

    return best(0, len(links) - 1, workers)


@pytest.mark.parametrize("seed", range(25))
def test_sparse_chains_by_brute_force(seed):
    """Patterns of every density, with diagonals and dense factors among them."""
    rng = np.random.default_rng(seed)
    links, arrays, n = [], [], int(rng.integers(1, 8))
    for _ in range(int(rng.integers(1, 7))):
        diagonal, m = bool(rng.random() < 0.25), int(rng.integers(1, 8))
        array = np.eye(n, dtype=bool) if diagonal else rng.random((m, n)) < rng.choice([0.15, 0.3, 1])
        push, pull = (n, n) if diagonal else (int(e) for e in rng.integers(0, 2 * m * n, size=2))
        form = Structure(*array.shape, diagonal=diagonal, pattern=None if diagonal else sparse.csr_array(array))
        if form.kind == "dense":
            form, array = Structure(*array.shape), np.ones_like(array)
        links.append(Link(*array.shape, push, pull, diagonal, form if form.kind == "sparse" else None))
        arrays.append(array)
        n = array.shape[0]
    for matrix_free, workers, memory in itertools.product((True, False), (1, 2, 3), (None, 5, 20)):
        b = cheapest(links, matrix_free, memory, workers)
        least = structured_brute(links, arrays, math.inf if memory is None else memory, matrix_free, workers)
        plain = not any(link.diagonal or link.sparse for link in links)
        assert b.cost == least or (b.cost < least and workers > 1 and plain)
        check_schedule(b)


@pytest.mark.parametrize("seed", range(20))
def test_the_structured_search_agrees_with_the_fast_one(seed):
    rng = np.random.default_rng(seed)
    links = links_of(random_factors(rng, int(rng.integers(1, 8)), largest=7))
    for matrix_free, workers, memory in itertools.product((True, False), (1, 3), (None, 5, 40)):
        slow = StructuredTable(links, matrix_free, memory, workers)
        fast = Table(links, matrix_free, memory, workers)
        assert slow.least(slow.whole) == fast.least(fast.whole)


def parts_of(node):
    return [p for p in node[1:] if isinstance(p, tuple) and isinstance(p[0], str)]


def check_schedule(b):
    """Parts end before what is made of them begins, no worker does two things at once, the last ends at the cost."""
    end = {}
    busy = {}
    for step in b.steps:
        assert all(end[id(part)] <= step.start for part in parts_of(step.node))
        assert 0 <= step.worker < b.workers
        end[id(step.node)] = step.start + step.cost
        busy.setdefault(step.worker, []).append((step.start, step.start + step.cost))
    for spans in busy.values():
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(spans)))
    assert b.steps[-1].node is b.tree
    assert max(end.values()) == end[id(b.tree)] == b.cost
    if b.workers == 1:
        assert sum(step.cost for step in b.steps) == b.cost


def plans(factors, memory):
    """Every plan as its operations in a list, (cost, the operations it waits for), the root last."""

    def sub(i, j):
        m, n, e = factors[j][0], factors[i][1], [f[2] for f in factors]
        if i == j:
            yield [(e[i] * n, ())]
            if e[i] <= memory:
                yield [(e[i] * m, ())]
        for k in range(i, j):
            for right in sub(i, k):
                yield [*right, (n * sum(e[k + 1 : j + 1]), (len(right) - 1,))]
                for left in sub(k + 1, j):
                    moved = [(c, tuple(p + len(right) for p in parts)) for c, parts in left]
                    both = [*right, *moved]
                    yield [*both, (m * factors[k][0] * n, (len(right) - 1, len(both) - 1))]
            if sum(e[i : k + 1]) <= memory:
                for left in sub(k + 1, j):
                    yield [*left, (m * sum(e[i : k + 1]), (len(left) - 1,))]

    return sub(0, len(factors) - 1)


def shortest(plan, workers):
    """The least makespan of a plan's operations: each order that respects the waits, each on the first free worker."""

    def search(ends, free):
        if len(ends) == len(plan):
            return max(ends.values())
        found = math.inf
        for k, (c, parts) in enumerate(plan):
            if k not in ends and all(p in ends for p in parts):
                start = max([free[0], *(ends[p] for p in parts)])
                found = min(found, search({**ends, k: start + c}, sorted([*free[1:], start + c])))
        return found

    return search({}, [0] * workers)


@pytest.mark.parametrize("seed", range(6))
def test_schedules_against_all_plans_and_all_schedules(seed):
    """The optimum over everything, for one worker, for q and between them, and known to be it."""
    rng = np.random.default_rng(seed)
    factors = random_factors(rng, 3, largest=6)
    for memory in (math.inf, 10):
        every = list(plans(factors, memory))
        limit = None if memory == math.inf else memory
        for workers in (1, 2, 3):
            least = min(shortest(plan, workers) for plan in every)
            b = optimal_bracketing(factors, memory=limit, workers=workers)
            assert b.cost == b.bound == least
            assert b.proven


def test_more_memory_and_more_workers_never_cost_more():
    factors = instance("p_10_10.1")
    memories = [optimal_bracketing(factors, memory=m).cost for m in (0, 10, 50, 100, 10**6)]
    workers = [optimal_bracketing(factors, workers=w).cost for w in (1, 2, 3, 10, 10**6)]
    assert memories == sorted(memories, reverse=True)
    assert workers == sorted(workers, reverse=True)
    assert memories[0] > memories[-1] == workers[0] == TABLE["p_10_10.1"][3] > workers[-1]


def test_adjoints_fit_into_the_memory():
    factors = instance("p_50_50.1")
    kinds = set()
    for memory in (0, 200, 1000, 5000):
        b = optimal_bracketing(factors, memory=memory)
        for step in b.steps:
            kind, *rest = step.node
            kinds.add(kind)
            if kind == "adjoint" or rest[-1] == "adjoint":
                first, last = rest[1] if kind == "adjoint" else (rest[0], rest[0])
                assert sum(e for _, _, e in factors[first : last + 1]) <= memory
        assert price(b.tree, factors)[2] == b.cost
        assert (b.adjoint is None) == (sum(e for _, _, e in factors) > memory)
    assert kinds == {"accumulate", "tangent", "adjoint", "multiply"}
    assert "larger than the memory" in str(b)


def test_a_tape_too_large_is_not_chosen_even_where_its_cost_would_fit():
    # Product: 10 + 6·2 + 3·1·2 = 28; the adjoint through factor 0 would cost 10 + 3·6 = 28 too, but holds 6 edges.
    b = optimal_bracketing([(1, 2, 6), (3, 1, 10)], memory=5)
    assert b.cost == 28
    assert b.tree == ("multiply", ("accumulate", 1, "tangent"), ("accumulate", 0, "tangent"))


def test_adjoints_go_one_tape_at_a_time_where_both_do_not_fit():
    factors = [(5, 5, 25), (5, 5, 25), (1, 5, 5)]
    row = ("accumulate", 2, "adjoint")
    assert optimal_bracketing(factors, memory=50).tree == ("adjoint", row, (0, 1))
    assert optimal_bracketing(factors, memory=49).tree == ("adjoint", ("adjoint", row, (1, 1)), (0, 0))
    assert optimal_bracketing(factors, memory=49).cost == optimal_bracketing(factors).cost == 55


@pytest.mark.parametrize("unit", [1, 10**3, 10**7, 10**30])
def test_numbers_of_any_size_are_exact(unit):
    """Floats, 64-bit and Python integers: edges scaled by a unit, dimensions kept; then all dimensions huge."""
    factors = [(m, n, unit * e) for m, n, e in random_factors(np.random.default_rng(1), 5)]
    assert optimal_bracketing(factors).cost == brute(links_of(factors), True, math.inf, 1)
    factors = [(unit + 1, unit + 2, unit), (unit + 3, unit + 1, unit**2), (unit + 5, unit + 3, unit + 7)]
    for options in ({}, {"memory": unit}, {"workers": 2}, {"matrix_free": False}):
        b = optimal_bracketing(factors, **options)
        want = {"matrix_free": True, "memory": math.inf, "workers": 1, **options}
        assert b.cost == brute(links_of(factors), **want)
        assert isinstance(b.cost, int)


def test_a_long_chain_needs_no_recursion():
    """Growing matrices: the products nest as deep as the chain is long."""
    q = sys.getrecursionlimit() + 100
    b = optimal_bracketing([(i + 2, i + 1, 1) for i in range(q)], matrix_free=False)
    assert b.cost == b.tangent  # Σ m_i n_i n_0, the least: every product has the smallest extent in it
    assert len(b.steps) == 2 * q - 1
    assert str(b).endswith(f"… {len(b.steps) - 60} steps more")


def test_the_classical_matrix_chain():
    # Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", 15.2: six matrices, 15125 multiplications.
    sizes = [30, 35, 15, 5, 10, 20, 25]
    factors = [(m, n, 1) for m, n in itertools.pairwise(sizes)][::-1]
    assert optimal_bracketing(factors, matrix_free=False).cost == 15_125


def test_of_matrices_the_plain_sweeps_are_products_too():
    sizes = [4, 6, 2, 5]
    factors = [(m, n, 1) for n, m in itertools.pairwise(sizes)]
    b = optimal_bracketing(factors, matrix_free=False)
    assert (b.tangent, b.adjoint) == (2 * 6 * 4 + 5 * 2 * 4, 5 * 2 * 6 + 5 * 6 * 4)
    assert b.cost == b.preaccumulation == min(b.tangent, b.adjoint)


def test_printing():
    b = optimal_bracketing(instance("p_3_3.1"))
    assert str(b) == repr(b)
    assert str(b).splitlines() == [
        "Bracketing of 3 factors, 2 × 3",
        "order                multiply-adds  times the best",
        "homogeneous tangent            150            2.68",
        "homogeneous adjoint            100            1.79",
        "preaccumulation                123             2.2",
        "optimal                         56               1",
        "F2·F1·F0  multiply  6",
        "├─ F2  accumulate by tangents  7",
        "└─ F1·F0  carry F1 by adjoints through F0  29",
        "   └─ F1  accumulate by adjoints  14",
    ]
    assert b.tree == (
        "multiply",
        ("accumulate", 2, "tangent"),
        ("adjoint", ("accumulate", 1, "adjoint"), (0, 0)),
    )
    with pytest.raises(AttributeError):
        b.cost = 0
    scheduled = str(optimal_bracketing(instance("p_3_3.1"), workers=2))
    assert "makespan on 2 workers" in scheduled
    assert "worker 1 from 14" in scheduled


def test_drawing(tmp_path):
    b = optimal_bracketing(instance("p_10_10.1"))
    figure = b.draw(tmp_path / "tree.svg")
    (axes,) = figure.axes
    assert len(axes.patches) == len(b.steps)
    widths = sorted(round(p.get_width() + 0.1) for p in axes.patches)
    assert widths[-1] == 10
    assert {t.get_text() for t in axes.texts} == {f"{step.cost:,}" for step in b.steps}
    assert (tmp_path / "tree.svg").read_text().startswith("<?xml")


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
        ([(3, 3, 9)], {"memory": 2.5}, "memory=2.5"),
        ([(3, 3, 0)], {}, "at least 1"),
        ([(3, 3, 9)], {"workers": 0}, "workers=0"),
        ([(3, 3, 9)], {"workers": True}, "workers=True"),
    ],
)
def test_bad_input(factors, options, message):
    with pytest.raises(ValueError, match=message):
        optimal_bracketing(factors, **options)


def test_factors_that_are_no_sequence():
    with pytest.raises(TypeError, match="factors is a NoneType"):
        optimal_bracketing(None)


# ---------------------------------------------------------------------------------------------------
# Published schedules
# ---------------------------------------------------------------------------------------------------


def published(length):
    """Of each chain its factors, and for every number of workers the best makespan known and whether it is proven."""
    with (DATA / "scheduled" / f"instances_length_{length}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            factors = [tuple(int(row[f"{name}{i}"]) for name in ("m", "n", "edges")) for i in range(length)]
            yield factors, {k: (int(row[f"optimum_{k}"]), row[f"proven_{k}"] == "1") for k in range(1, length + 1)}


@pytest.mark.parametrize(
    ("length", "every"),
    [(3, 1), (5, 4), (8, 50), pytest.param(5, 1, marks=pytest.mark.slow), pytest.param(8, 1, marks=pytest.mark.slow)],
)
def test_published_schedules(length, every):
    """Every proven optimum of 3 to 5 factors; of 8 a mean ratio of at most 1.01 and 1.08 at worst."""
    ratios = []
    for factors, known in list(published(length))[::every]:
        for workers, (optimum, proven) in known.items():
            b = optimal_bracketing(factors, workers=workers)
            check_schedule(b)
            assert b.bound <= optimum
            assert b.cost >= optimum or not proven
            if length <= 5:
                assert b.cost <= optimum
                assert b.proven
            ratios.append(b.cost / optimum)
    assert np.mean(ratios) <= 1.01
    assert max(ratios) <= 1.08


@pytest.mark.parametrize("q", [12, 30])
@pytest.mark.parametrize("workers", [2, 3, 40])
def test_long_chains_on_workers(q, workers):
    factors = random_factors(np.random.default_rng(q), q, largest=40)
    table = Table(links_of(factors), True, None, workers)
    b = optimal_bracketing(factors, workers=workers)
    check_schedule(b)
    assert b.bound <= b.cost <= table.least(table.whole)


def test_gantt(tmp_path):
    b = optimal_bracketing([(21, 19, 3674), (35, 21, 6973), (22, 35, 3390)], workers=2)
    assert (b.cost, b.proven) == (171381, True)
    assert "no schedule is shorter" in str(b)
    figure = b.gantt(tmp_path / "schedule.png")
    assert (tmp_path / "schedule.png").stat().st_size > 10_000
    assert [bar.get_width() for bar in figure.axes[0].patches] == [step.cost for step in b.steps]
    with pytest.raises(ValueError, match="seconds=-1"):
        optimal_bracketing([(3, 3, 9)], workers=2, seconds=-1)
