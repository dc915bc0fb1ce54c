"""Coloured Jacobians and Hessians from end to end: plans, `mode="sparse"` and "mixed", what "auto" makes of them."""

import threading

import numpy as np
import pytest
from scipy import optimize, sparse

import admodes
from admodes import grad, hessian, jacfwd, jacobian, sparse_hessian_plan, sparse_jacobian_plan
from admodes.core.errors import PatternMiss
from admodes.sparse import plan as plan_module

rng = np.random.default_rng(3)
MODES = ["sparse", "forward", "reverse", "mixed"]


def tridiagonal(x):
    y = 2 * x - x**3 / 10
    return np.concatenate([y[:1] - x[1:2], y[1:-1] - x[:-2] * x[2:], y[-1:] - x[-2:-1]])


def arrow(x):
    y = x**2
    y[0] = np.sum(x**3)
    y[1:] += x[0]
    return y


def upwind(x):
    """Depends on other neighbours where the flow turns."""
    return x[1:] - x[:-1] if x[0] > 0 else x[:-1] * x[-1]


def scattered(x):
    return x[PLACES[0]] * np.sin(x[PLACES[1]])


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def spider(x):
    return np.sum(np.exp(x[0] * x[1:] / 4)) + np.sum(x**4)


PLACES = rng.integers(0, 30, size=(2, 45))
FUNCTIONS = [tridiagonal, arrow, upwind, scattered, np.cumsum, np.sin, lambda x: x[:3] * 0 + 1, lambda x: np.ones(4)]


@pytest.mark.parametrize("folded", [0, 1 << 13])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_a_plan_is_the_jacobian_wherever_it_is_evaluated(f, mode, folded, monkeypatch):
    monkeypatch.setattr("admodes.sparse.plan.FOLDED", folded)  # seeds as inputs of the flat code, and as constants
    plan = sparse_jacobian_plan(f, rng.normal(size=30), mode=mode, verify=True)
    for x in rng.normal(size=(4, 30)):
        found = plan(x)
        assert isinstance(found, sparse.csr_array)
        np.testing.assert_allclose(found.toarray(), jacfwd(f)(x), rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(plan.dense(x), found.toarray())


@pytest.mark.parametrize("mode", ["sparse", "mixed"])
@pytest.mark.parametrize("f", FUNCTIONS)
def test_one_call_is_the_jacobian_too(f, mode):
    J = jacobian(f, mode=mode)
    for x in rng.normal(size=(3, 30)):
        np.testing.assert_allclose(J(x).toarray(), jacfwd(f)(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["star", "acyclic"])
@pytest.mark.parametrize("f", [rosenbrock, spider, lambda x: np.sum(x[PLACES[0]] * x[PLACES[1]] ** 2), np.sum])
def test_a_hessian_plan_is_the_hessian(f, method):
    plan = sparse_hessian_plan(f, rng.normal(size=30), method=method, verify=True)
    for x in rng.normal(size=(3, 30)):
        found = plan(x).toarray()
        np.testing.assert_allclose(found, hessian(f)(x), rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_allclose(hessian(f, mode="sparse")(x).toarray(), hessian(f)(x), rtol=1e-9, atol=1e-9)


def test_the_passes_that_the_structure_promises():
    x = np.ones(200)
    assert sparse_jacobian_plan(tridiagonal, x).passes == 3
    assert sparse_jacobian_plan(np.sin, x).passes == 1
    assert sparse_jacobian_plan(lambda x: np.ones(4), x).passes == 0
    assert sparse_jacobian_plan(arrow, x).passes == 200
    assert sparse_jacobian_plan(arrow, x, mode="mixed").passes <= 3
    assert sparse_jacobian_plan(np.sum, x).scheme.mode == "reverse"
    assert sparse_hessian_plan(rosenbrock, x).passes == 3
    assert sparse_hessian_plan(rosenbrock, x, method="acyclic").passes == 2
    assert sparse_hessian_plan(spider, x).passes == 2


def test_a_tridiagonal_jacobian_of_a_hundred_thousand_rows_takes_three_passes():
    n = 100_000
    plan = sparse_jacobian_plan(tridiagonal, np.ones(n))
    assert plan.passes == 3
    x = rng.normal(size=n)
    above, below = np.append(-1, -x[:-2]), np.append(-x[2:], -1)
    found = plan(x)
    assert found.nnz == 3 * n - 2
    np.testing.assert_allclose(found.diagonal(), 2 - 0.3 * x**2, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(found.diagonal(1), above)
    np.testing.assert_array_equal(found.diagonal(-1), below)


def test_another_branch_has_another_pattern():
    plan = sparse_jacobian_plan(upwind, np.ones(6))
    right, left = plan(np.arange(1.0, 7)), plan(-np.arange(1.0, 7))
    assert right.nnz == 10
    np.testing.assert_allclose(left.toarray(), jacfwd(upwind)(-np.arange(1.0, 7)))
    np.testing.assert_array_equal(plan(np.arange(1.0, 7)).toarray(), right.toarray())


def test_a_branch_is_traced_once():
    runs = []

    def f(x):
        runs.append(x)
        return upwind(x)

    plan = sparse_jacobian_plan(f, np.ones(6))
    plan(-np.ones(6))
    met = len(runs)
    for sign in (1, -1, 1, -1):
        plan(sign * np.ones(6))
    assert len(runs) == met


def test_what_f_reads_may_change_between_calls_of_jacobian():
    weights = np.eye(4)
    J = jacobian(lambda x: weights @ x, mode="sparse")
    x = np.ones(4)
    np.testing.assert_array_equal(J(x).toarray(), np.eye(4))
    weights = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(J(x).toarray(), weights)


def test_trees_and_several_arguments_are_raveled():
    def f(p, y):
        return {"a": p["w"][1:] * y, "b": np.sin(p["v"])}

    p, y = {"v": rng.normal(size=(2, 2)), "w": rng.normal(size=4)}, rng.normal(size=3)
    plan = sparse_jacobian_plan(f, p, y, argnums=(0, 1))
    blocks = jacfwd(f, argnums=(0, 1))(p, y)
    sides = [
        np.hstack([b[0]["v"].reshape(k, -1), b[0]["w"].reshape(k, -1), b[1].reshape(k, -1)])
        for b, k in ((blocks["a"], 3), (blocks["b"], 4))
    ]
    np.testing.assert_allclose(plan(p, y).toarray(), np.vstack(sides))


def test_float32_stays_float32():
    plan = sparse_jacobian_plan(tridiagonal, np.ones(9, np.float32), verify=True)
    assert plan(rng.normal(size=9).astype(np.float32)).dtype == np.float32


def test_more_colours_than_the_memory_takes_at_once_go_in_batches(monkeypatch):
    x = rng.normal(size=30)
    for limit in (31, 100, 10_000):
        monkeypatch.setattr("admodes.transforms.directions.CHUNK_ELEMENTS", limit)
        for mode in ("forward", "reverse"):
            plan = sparse_jacobian_plan(arrow, x, mode=mode)
            assert max(len(s) for (s,) in plan.scheme.batches) <= max(1, limit // 30)
            np.testing.assert_allclose(plan(x).toarray(), jacfwd(arrow)(x))


def test_results_are_arrays_of_their_own():
    plan = sparse_jacobian_plan(tridiagonal, np.ones(9))
    first = plan(np.ones(9))
    kept = first.toarray()
    second = plan(np.full(9, 2.0))
    second.data[:] = 7
    second.indices[:] = 0
    np.testing.assert_array_equal(first.toarray(), kept)
    np.testing.assert_array_equal(plan(np.ones(9)).toarray(), kept)


def test_a_plan_serves_threads():
    plan = sparse_jacobian_plan(upwind, np.ones(2000))
    points = rng.normal(size=(8, 2000))
    found = [None] * 8

    def run(k):
        for _ in range(5):
            found[k] = plan(points[k])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, J in zip(points, found, strict=True):
        np.testing.assert_array_equal(J.toarray(), jacfwd(upwind)(x))


# Patterns that are given ---------------------------------------------------------------------------


def test_a_given_pattern_is_taken_at_its_word_or_verified():
    x = rng.normal(size=12)
    full = np.tri(12, k=1) * np.tri(12, k=1).T
    np.testing.assert_allclose(sparse_jacobian_plan(tridiagonal, x, pattern=full)(x).toarray(), jacfwd(tridiagonal)(x))
    missing = full.copy()
    missing[5, 4] = 0
    sparse_jacobian_plan(tridiagonal, x, pattern=missing)(x)
    with pytest.raises(PatternMiss, match="misses a nonzero entry in row"):
        sparse_jacobian_plan(tridiagonal, x, pattern=missing, verify=True)(x)


@pytest.mark.parametrize("mode", MODES)
def test_verifying_finds_any_one_entry_that_is_missing(mode):
    x = rng.normal(size=8) + 3
    full = sparse.coo_array(jacfwd(arrow)(x))
    for k in range(full.nnz):
        keep = np.arange(full.nnz) != k
        pattern = sparse.coo_array((full.data[keep], (full.row[keep], full.col[keep])), shape=full.shape)
        with pytest.raises(PatternMiss):
            sparse_jacobian_plan(arrow, x, pattern=pattern, mode=mode, verify=True)(x)


def test_verifying_a_hessian():
    x = rng.normal(size=8)
    with pytest.raises(PatternMiss):
        sparse_hessian_plan(rosenbrock, x, pattern=np.eye(8), verify=True)(x)


def test_bad_patterns_are_errors():
    x = np.ones(5)
    with pytest.raises(ValueError, match=r"pattern has shape \(5, 4\); the matrix has shape \(5, 5\)"):
        sparse_jacobian_plan(np.sin, x, pattern=np.ones((5, 4)))
    with pytest.raises(ValueError, match="axes"):
        sparse_jacobian_plan(np.sin, x, pattern=np.ones(5))
    with pytest.raises(ValueError, match="not symmetric"):
        sparse_hessian_plan(rosenbrock, x, pattern=np.tri(5))


# What cannot be ------------------------------------------------------------------------------------


def test_a_plan_says_what_it_was_made_for():
    plan = sparse_jacobian_plan(np.sin, np.ones(5))
    with pytest.raises(ValueError, match=r"made for arguments \(float64\[5\]\), called with \(float64\[6\]\)"):
        plan(np.ones(6))
    with pytest.raises(ValueError, match="float32"):
        plan(np.ones(5, np.float32))
    with pytest.raises(TypeError, match="traced values"):
        grad(lambda x: plan(x).sum())(np.ones(5))


def test_one_and_true_are_not_one_kind():
    plan = sparse_jacobian_plan(lambda x, i: np.sum(x[i] ** 3) * np.ones(2), np.ones(3), 1)
    with pytest.raises(ValueError, match=r"made for arguments \(float64\[3\], 1\), called with \(float64\[3\], True\)"):
        plan(np.ones(3), True)


@pytest.mark.parametrize("make", [sparse_jacobian_plan, sparse_hessian_plan])
def test_arguments_that_have_no_sparse_derivative(make):
    with pytest.raises(TypeError, match="int64"):
        make(np.sum, np.ones(3, int))
    with pytest.raises(TypeError, match="complex"):
        make(np.sum, np.ones(3, complex))
    with pytest.raises(TypeError, match="traced"):
        grad(lambda x: make(np.sum, x) and 0.0)(np.ones(3))


def test_a_hessian_of_no_scalar():
    with pytest.raises(TypeError, match="returns one number"):
        sparse_hessian_plan(np.sin, np.ones(3))


def test_unknown_modes_orders_methods():
    with pytest.raises(ValueError, match="mode='diagonal' is not one of"):
        sparse_jacobian_plan(np.sin, np.ones(3), mode="diagonal")
    with pytest.raises(ValueError, match="order"):
        sparse_jacobian_plan(np.sin, np.ones(3), order="random")
    with pytest.raises(ValueError, match="method"):
        sparse_hessian_plan(np.sum, np.ones(3), method="tree")
    for keywords in ({"chunk": 2}, {"holomorphic": True}):
        with pytest.raises(ValueError, match="for the dense modes"):
            jacobian(np.sin, mode="sparse", **keywords)
    with pytest.raises(ValueError, match="for the dense modes"):
        hessian(np.sum, mode="sparse", chunk=3)
    with pytest.raises(TypeError, match="traced"):
        jacfwd(lambda x: jacobian(np.sin, mode="sparse")(x).sum())(np.ones(3))


# "auto" --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "choice"), [(tridiagonal, "sparse"), (arrow, "mixed")])
def test_auto_takes_colours_where_they_are_cheaper(f, choice):
    x = rng.normal(size=1000)
    J = jacobian(f)
    plan = J.plan(x)
    assert plan.choice == choice
    assert plan[choice].directions == 3
    assert plan["forward"].directions == plan["reverse"].directions == 1000
    found = J(x)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, jacfwd(f)(x), rtol=1e-10, atol=1e-12)


def test_auto_unfolds_blocks_of_trees():
    def f(p):
        return {"a": np.sin(p["u"]) * p["v"][0], "b": p["v"] ** 2}

    p = {"u": rng.normal(size=(40, 40)), "v": rng.normal(size=1000)}
    J = jacobian(f)
    assert J.plan(p).choice in ("sparse", "mixed")
    found, expected = J(p), jacfwd(f)(p)
    for result in ("a", "b"):
        for leaf in ("u", "v"):
            np.testing.assert_allclose(found[result][leaf], expected[result][leaf])


def test_auto_does_not_look_for_patterns_where_they_cannot_pay(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("looked for a pattern")

    monkeypatch.setattr("admodes.sparse.pattern.pattern_of", refuse)
    assert "not looked for" in str(jacobian(tridiagonal).plan(np.ones(20)))
    W = rng.normal(size=(600, 600))
    assert "100% nonzero" in str(jacobian(lambda x: np.tanh(W @ np.tanh(W @ x))).plan(np.ones(600) / 600))
    with pytest.raises(AssertionError, match="looked"):
        jacobian(tridiagonal).plan(np.ones(1000))


def test_auto_is_dense_where_a_pattern_is_too_large_to_hold(monkeypatch):
    """At the sampled places the sums are sparse; the pattern that assumes no values is not."""
    monkeypatch.setattr("admodes.sparse.indexsets.MOST_ENTRIES", 1500)
    x = rng.normal(size=1500)
    J = jacobian(np.sort)
    assert "2,250,000 entries" in str(J.plan(x))
    np.testing.assert_array_equal(J(x), jacfwd(np.sort)(x))


def test_auto_checks_a_coloured_jacobian_by_a_product(monkeypatch):
    x = np.ones(1000)
    J = jacobian(arrow)
    J.plan(x)
    wrong = sparse.csr_array(np.eye(1000, dtype=bool))
    monkeypatch.setattr(plan_module, "jacobian_pattern", lambda *_, **__: wrong)
    with pytest.raises(PatternMiss):
        J(x)


def test_auto_keeps_what_it_learnt(monkeypatch):
    x = np.ones(1000)
    J = jacobian(tridiagonal)
    J(x)
    monkeypatch.setattr("admodes.ways.jacobians.predict", lambda *_: pytest.fail("counted again"))
    monkeypatch.setattr(plan_module, "jacobian_scheme", lambda *_: pytest.fail("coloured again"))
    J(2 * x)


def test_under_another_transform_auto_is_dense():
    H = jacfwd(jacobian(lambda x: x[1:] ** 3 * x[0]))(np.ones(300))
    assert H.shape == (299, 300, 300)


def test_a_plan_prints_its_candidates():
    told = str(jacobian(arrow).plan(np.ones(1000)))
    for word in ("forward", "reverse", "sparse", "mixed", "2 pushes and 1 pull", "choice: mixed"):
        assert word in told
    assert "3 colours" in str(sparse_jacobian_plan(tridiagonal, np.ones(50)))


def test_auto_weighs_the_bracketing_of_a_list_of_layers():
    """400 → 3 → 400: neither end is narrow, the middle is."""
    U, V, W = rng.normal(size=(400, 3)), rng.normal(size=(3, 400)), rng.normal(size=(400, 400))
    layers = [lambda x: np.tanh(W @ x), lambda x: V @ x, np.sin, lambda x: U @ x, lambda x: np.tanh(W @ x)]
    x = rng.normal(size=400)
    J = jacobian(layers)
    plan = J.plan(x)
    assert plan.choice == "bracketing"
    assert plan["bracketing"].cost.flops < plan["reverse"].cost.flops / 5
    expected = jacfwd(lambda x: layers[4](U @ np.sin(V @ layers[0](x))))(x)
    for way in (J, jacobian(layers, mode="bracketing"), jacobian(layers, mode="reverse"), jacobian(tuple(layers))):
        np.testing.assert_allclose(way(x), expected, rtol=1e-9, atol=1e-12)
    second = jacobian(jacobian([np.sin, np.tanh]), mode="forward")(x[:4])
    np.testing.assert_allclose(second, jacfwd(jacfwd(lambda x: np.tanh(np.sin(x))))(x[:4]))
    with pytest.raises(TypeError, match="a list must hold layers"):
        jacobian([])
    with pytest.raises(ValueError, match="mode='bracketing' is not one of"):
        jacobian(np.sin, mode="bracketing")


def test_scipy_takes_sparse_jacobians_and_hessians():
    plan = sparse_jacobian_plan(tridiagonal, np.ones(40))
    found = optimize.least_squares(tridiagonal, np.full(40, 0.3), jac=plan, tr_solver="lsmr", xtol=1e-12, ftol=1e-14)
    assert np.abs(tridiagonal(found.x)).max() < 1e-6
    curvature = sparse_hessian_plan(rosenbrock, np.ones(6))
    start = np.linspace(0.7, 1.2, 6)
    found = optimize.minimize(rosenbrock, start, jac=grad(rosenbrock), hess=curvature, method="trust-constr")
    np.testing.assert_allclose(found.x, 1, atol=1e-3)


def test_everything_is_exported():
    for name in ("sparse_jacobian_plan", "sparse_hessian_plan", "jacobian_pattern", "hessian_pattern"):
        assert name in admodes.__all__
        assert callable(getattr(admodes, name))
