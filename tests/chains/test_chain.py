"""JacobianChain: products of local Jacobians in every order agree, and cost what the dimensions say."""

import itertools
import sys

import numpy as np
import pytest

from admodes import JacobianChain, jacfwd, jacrev, optimal_bracketing, trace
from admodes.core.errors import MissingRule, OverwrittenValue

rng = np.random.default_rng(0)
SIZES = (4, 3, 5, 2)
WEIGHTS = [rng.normal(size=(m, n)) for n, m in itertools.pairwise(SIZES)]
LAYERS = [f for W in WEIGHTS for f in (lambda x, W=W: W @ x, np.tanh)]
X = rng.normal(size=SIZES[0])


def composed(x):
    for f in LAYERS:
        x = f(x)
    return x


@pytest.fixture
def chain():
    return JacobianChain(LAYERS, X)


def brackets(first, last):
    """Every bracketing of the layers first … last."""
    if first == last:
        yield first
    for k in range(first, last):
        yield from itertools.product(brackets(first, k), brackets(k + 1, last))


def test_every_order_gives_the_jacobian(chain):
    J = jacfwd(composed)(X)
    for order in ("forward", "reverse", "optimal", *brackets(0, len(LAYERS) - 1)):
        np.testing.assert_allclose(chain.jacobian(order), J, rtol=1e-12, atol=1e-14, err_msg=str(order))


def test_products_with_one_vector_and_with_a_collection(chain):
    J = jacfwd(composed)(X)
    v, u = rng.normal(size=4), rng.normal(size=2)
    np.testing.assert_allclose(chain.jvp(v), J @ v)
    np.testing.assert_allclose(chain.vjp(u), u @ J)
    V, U = rng.normal(size=(3, 4)), rng.normal(size=(5, 2))
    np.testing.assert_allclose(chain.jvp(V), V @ J.T)
    np.testing.assert_allclose(chain.vjp(U), U @ J)
    np.testing.assert_allclose(chain.value, composed(X))


def test_layers_of_any_shape():
    A = rng.normal(size=(3, 2))
    chain = JacobianChain([lambda x: np.sin(x) @ A.T, lambda x: x.sum(axis=0), np.exp], rng.normal(size=(4, 2)))
    J = chain.jacobian("forward")
    assert J.shape == (3, 4, 2)
    np.testing.assert_allclose(chain.jacobian((0, (1, 2))), J)
    np.testing.assert_allclose(chain.jvp(np.ones((4, 2))), J.sum(axis=(1, 2)))


def test_elementwise_layers_are_diagonals(chain):
    assert [f.diagonal for f in chain.factors] == [False, True] * 3
    assert repr(chain).splitlines()[:3] == [
        "JacobianChain 2 × 4",
        "layer  m  n  structure  edges",
        "    0  3  4  dense         12",
    ]


def unused(x):
    np.cumsum(x).sum()
    return np.sin(x)


C = np.array([1.0, -2.0, 0.5, 3.0])
DIAGONAL = {
    "sin": np.sin,
    "identity": lambda x: x,
    "two paths": lambda x: np.sin(x) * 2 + x**2,
    "where": lambda x: x * np.where(x > 0, x, C * x),
    "clip": lambda x: np.clip(x, -0.5, 0.5) + np.maximum(x, C),
    "a vector of weights": lambda x: C * x / (1 + x * x),
    "a sum nobody uses": unused,
    "a function of the values": lambda x: x * float(C.sum()) + np.floor(x),
}
DENSE = {
    "reversed": lambda x: x[::-1],
    "cumsum": np.cumsum,
    "a sum in a factor": lambda x: x * x.sum(),
    "one element for all": lambda x: np.sin(x) + x[0],
    "where, all from one": lambda x: np.where(x > 0, x, x[0]),
    "matrix": lambda x: np.diag(C) @ x,
    "broadcast": lambda x: (x + np.zeros((1, 4)))[0],
    "there and back": lambda x: np.reshape(x, (2, 2)).T.ravel(),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "constant": lambda x: C,
    "sorted": np.sort,
}


@pytest.mark.parametrize(("name", "diagonal"), [*((n, True) for n in DIAGONAL), *((n, False) for n in DENSE)])
def test_structure_is_read_off_the_tape(name, diagonal):
    f = (DIAGONAL if diagonal else DENSE)[name]
    chain = JacobianChain([f], X)
    assert chain.factors[0].diagonal == diagonal
    for order in ("forward", "reverse", "optimal", 0):
        np.testing.assert_allclose(chain.jacobian(order), jacfwd(f)(X), rtol=1e-13, atol=1e-15)
        assert chain.counted(order).multiply_adds == chain.cost(order)


def test_costs_in_closed_form(chain):
    edges = 4 * 3 + 3 + 3 * 5 + 5 + 5 * 2 + 2
    assert chain.cost("forward") == 4 * edges
    assert chain.cost("reverse") == 2 * edges
    square = JacobianChain([lambda x: np.ones((6, 6)) @ x, np.tanh, lambda x: np.ones(6) @ x], np.ones(6))
    assert square.cost("forward") == 6 * (36 + 6 + 6)
    assert square.cost("reverse") == 36 + 6 + 6
    # factors: 36·6, 6 and 6·1; tanh·W scales 36 numbers; the row times that 1·6·6
    assert square.cost(((0, 1), 2)) == 216 + 6 + 6 + 36 + 36
    assert square.cost((0, (1, 2))) == 216 + 6 + 6 + 6 + 36


def test_the_optimal_plan_costs_no_more_than_any_bracketing(chain):
    plan = chain.bracketing()
    assert chain.cost("optimal") == plan.cost
    assert plan.cost <= min(chain.cost(order) for order in ("forward", "reverse", *brackets(0, len(LAYERS) - 1)))
    assert (plan.tangent, plan.adjoint) == (chain.cost("forward"), chain.cost("reverse"))


def test_what_is_counted_is_what_was_predicted(chain):
    for order in ("forward", "reverse", "optimal", *brackets(0, len(LAYERS) - 1)):
        assert chain.counted(order).multiply_adds == chain.cost(order), order


def random_layer(rng, n):
    """A layer of n inputs and its number of outputs."""
    m = int(rng.integers(1, 7))
    W, V = rng.normal(size=(m, n)), rng.normal(size=(n, n))
    return [
        (lambda x: W @ x, m),
        (lambda x: np.tanh(W @ np.sin(V @ x)), m),
        (lambda x: W @ np.tanh(x) + 1, m),
        (np.sin, n),
        (lambda x: x / (1 + x * x), n),
        (lambda x: np.where(x > 0, x, 0.1 * x), n),
        (lambda x: np.concatenate([x[1:], x[:1] * x[-1]]), n),
        (lambda x: np.cumsum(x) * x.mean(), n),
        (lambda x: np.einsum("ij,j->i", W, x * x), m),
    ][rng.integers(9)]


@pytest.mark.parametrize("seed", range(25))
def test_random_chains(seed):
    """All orders agree with forward mode, the plan with the best of all it could be, and the counts with the plan."""
    rng = np.random.default_rng(seed)
    layers, n = [], int(rng.integers(1, 7))
    x = rng.normal(size=n)
    for _ in range(int(rng.integers(1, 6))):
        f, n = random_layer(rng, n)
        layers.append(f)

    def composed(x):
        for f in layers:
            x = f(x)
        return x

    chain, J = JacobianChain(layers, x), jacfwd(composed)(x)
    limited = [chain.bracketing(memory=memory) for memory in (0, 5, 20)]
    plans = [*limited, chain.bracketing(workers=2)]
    for order in ("forward", "reverse", "optimal", *plans, *brackets(0, len(layers) - 1)):
        np.testing.assert_allclose(chain.jacobian(order), J, rtol=1e-11, atol=1e-13)
        assert chain.counted(order).multiply_adds == chain.cost(order)
        assert chain.cost(order) >= chain.cost("optimal")
    for plan in limited:
        assert chain.cost(plan) == plan.cost


def test_a_plan_without_diagonals_is_that_of_the_bare_dimensions():
    chain = JacobianChain([lambda x, W=W: np.sin(W @ x) for W in WEIGHTS], X)
    factors = [(m, n, m * n + m) for n, m in itertools.pairwise(SIZES)]
    plan = chain.bracketing()
    assert (plan.cost, plan.tree) == (optimal_bracketing(factors).cost, optimal_bracketing(factors).tree)


def test_the_perceptron_of_the_seed():
    """Seed 003, 13.3.2: L = ½‖y − W₂ φ(W₁ x)‖² as f₄ ∘ f₃ ∘ f₂ ∘ f₁, and u₁, u₂ on the way."""
    D, K, M = 5, 4, 3
    W1, W2, y, x = rng.normal(size=(K, D)), rng.normal(size=(M, K)), rng.normal(size=M), rng.normal(size=D)
    layers = [
        lambda x: W1 @ x,
        lambda x: np.maximum(x, 0),
        lambda x: W2 @ x,
        lambda x: 0.5 * np.sum((y - x) ** 2),
    ]
    chain = JacobianChain(layers, x)
    u2 = W2 @ np.maximum(W1 @ x, 0) - y
    u1 = (W2.T @ u2) * (W1 @ x > 0)
    np.testing.assert_allclose(chain.vjp(1.0), u1 @ W1)
    np.testing.assert_allclose(JacobianChain(layers[1:], W1 @ x).vjp(1.0), u1)
    np.testing.assert_allclose(JacobianChain(layers[3:], u2 + y).vjp(1.0), u2)
    assert [f.structure for f in chain.factors] == ["dense", "diagonal", "dense", "dense"]
    # Reverse: K·D + K + M·K and the loss's products; forward D times that: O(n³) against O(n²) in the seed's words.
    loss = chain.factors[3].pull_edges
    assert chain.cost("reverse") == K * D + K + M * K + loss
    assert chain.cost("forward") == D * (K * D + K + M * K + loss)
    assert chain.cost("optimal") == chain.cost("reverse")


def test_diagonal_chains_stay_diagonal():
    chain = JacobianChain([np.sin, np.exp, np.tanh], X)
    assert chain.cost(((0, 1), 2)) == 3 * 4 + 2 * 4
    J = chain.jacobian(((0, 1), 2))
    np.testing.assert_allclose(J, chain.jacobian("forward"))
    np.testing.assert_allclose(J, chain.jacobian("optimal"))
    assert chain.bracketing().cost == 3 * 4  # one direction of ones through all three
    assert np.array_equal(J, np.diag(np.diag(J)))


def test_a_bracketing_of_another_chain(chain):
    with pytest.raises(ValueError, match="another chain"):
        chain.jacobian(JacobianChain([np.sin], X).bracketing())
    with pytest.raises(ValueError, match="memory=-1"):
        chain.bracketing(memory=-1)


def test_a_long_chain_needs_no_recursion():
    q = sys.getrecursionlimit() + 50
    chain = JacobianChain([np.sin] * q, np.ones(2))
    order = 0
    for i in range(1, q):
        order = (order, i)
    np.testing.assert_allclose(chain.jacobian(order), chain.jacobian("forward"))
    assert chain.cost(order) == 2 * (2 * q - 1)


def test_many_directions_go_in_chunks(monkeypatch):
    monkeypatch.setattr("admodes.transforms.directions.CHUNK_ELEMENTS", 10)
    chain = JacobianChain(LAYERS, X)
    for order in ("forward", "reverse", "optimal", (((0, 1), 2), (3, (4, 5)))):
        np.testing.assert_allclose(chain.jacobian(order), jacfwd(composed)(X))
        assert chain.counted(order).multiply_adds == chain.cost(order)


def test_a_chain_inside_a_derivative():
    """x may itself be traced: derivatives of the Jacobian in all nestings."""

    def by_chain(order):
        return lambda x: JacobianChain(LAYERS, x).jacobian(order)

    H = jacfwd(jacfwd(composed))(X)
    for order in ("forward", "reverse", "optimal", (((0, 1), 2), (3, (4, 5)))):
        for outer in (jacfwd, jacrev):
            np.testing.assert_allclose(outer(by_chain(order))(X), H, rtol=1e-11, atol=1e-13)


def test_single_precision_and_scalars():
    x = np.ones(3, np.float32)
    chain = JacobianChain([np.sin, lambda x: x * x.sum(), np.cos], x)
    for order in ("forward", "reverse", "optimal", (0, (1, 2))):
        assert chain.jacobian(order).dtype == np.float32
    assert chain.jvp(np.ones(3)).dtype == chain.vjp(np.ones(3)).dtype == np.float32
    wider = JacobianChain([lambda x: x * C[:3], np.cumsum], x)  # float32 to float64
    assert wider.jvp(x).dtype == np.float64
    assert wider.vjp(np.ones(3)).dtype == np.float32
    scalar = JacobianChain([np.sin, np.exp], 1.0)
    for order in ("forward", "reverse", "optimal", (0, 1)):
        np.testing.assert_allclose(scalar.jacobian(order), np.exp(np.sin(1.0)) * np.cos(1.0))
        assert np.shape(scalar.jacobian(order)) == ()


def test_work_that_does_not_grow_with_the_directions_is_counted_apart():
    """One factorisation serves all directions: the edges of x ↦ A⁻¹x are the n² of a back-substitution."""
    A = np.eye(4) + 1
    chain = JacobianChain([lambda x: np.linalg.solve(A, x), np.tanh], X)
    assert [f.push_edges for f in chain.factors] == [16, 4]
    assert chain.cost("forward") == 4 * 20 < chain.counted("forward").multiply_adds < 4 * 20 + 4**3
    np.testing.assert_allclose(chain.jacobian("forward"), chain.jacobian((0, 1)))


def test_tangents_and_adjoints_may_cost_differently():
    w = np.array([1.0, -2.0, 3.0])
    chain = JacobianChain([lambda x: np.convolve(x, w), np.tanh, lambda x: np.linalg.norm(np.outer(x, w), axis=1)], X)
    convolution = chain.factors[0]
    assert convolution.push_edges != convolution.pull_edges
    assert f"{convolution.push_edges}  adjoint {convolution.pull_edges}" in repr(chain)
    for order in ("forward", "reverse", "optimal", chain.bracketing(memory=30), ((0, 1), 2), (0, (1, 2))):
        assert chain.counted(order).multiply_adds == chain.cost(order) >= chain.bracketing().cost
        np.testing.assert_allclose(chain.jacobian(order), chain.jacobian(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ("sideways", "sideways"),
        ((0, 1), "brackets"),
        (((1, 0), 2), "in order"),
        ((0, (1, 2, 3)), "none"),
        (((0, 1), 3), r"brackets the layers \[0, 1, 3\]"),
        (((0, 1), (1, 2)), "each once"),
        (1.5, "none"),
        (True, "True is none"),
        ((), "none"),
    ],
)
def test_an_order_that_is_no_bracketing(order, word):
    chain = JacobianChain([np.sin, np.cos, np.exp], X)
    with pytest.raises(ValueError, match=word):
        chain.jacobian(order)
    with pytest.raises(ValueError, match=word):
        chain.cost(order)


def test_a_mismatched_chain():
    with pytest.raises(ValueError, match=r"layer 1 does not take an array of shape \(3,\)"):
        JacobianChain([lambda x: WEIGHTS[0] @ x, lambda x: WEIGHTS[0] @ x], X)
    with pytest.raises(TypeError, match="layer 1 is a float"):
        JacobianChain([np.sin, 2.0], X)
    with pytest.raises(TypeError, match="layer 0 returned a tree"):
        JacobianChain([lambda x: (x, x)], X)
    with pytest.raises(ValueError, match="no layer"):
        JacobianChain([], X)
    with pytest.raises(ValueError, match="which layer 0 returned"):
        JacobianChain([np.sin, lambda x: x.reshape(2, 3)], X)
    with pytest.raises(TypeError, match="integer"):
        JacobianChain([np.sin], np.arange(3))
    with pytest.raises(TypeError, match=r"layer 1 returned int64.*astype"):
        JacobianChain([np.sin, lambda x: np.argsort(x)], X)
    with pytest.raises(TypeError, match="layer 0 returned complex128"):
        JacobianChain([np.fft.fft, np.abs], X)
    with pytest.raises(TypeError, match="layer 0 took complex128"):
        JacobianChain([np.abs], X + 1j)
    with pytest.raises(TypeError, match="x is a dict, a tree"):
        JacobianChain([np.sin], {"a": X})
    with pytest.raises(ValueError, match=r"empty array, of shape \(0,\)"):
        JacobianChain([lambda x: x[:0]], X)
    with pytest.raises(MissingRule, match="busday_count") as caught:
        JacobianChain([np.sin, lambda x: np.busday_count(x, x)], X)
    assert "layer 1 was given an array of shape (4,)" in caught.value.__notes__[0]


def test_vectors_that_do_not_fit(chain):
    for bad in (np.ones(3), np.ones((0, 4)), np.ones((2, 2, 4))):
        with pytest.raises(ValueError, match="shape"):
            chain.jvp(bad)
    with pytest.raises(ValueError, match="shape"):
        chain.vjp(np.ones(4))
    with pytest.raises(TypeError, match="Pass its real part"):
        chain.jvp(np.ones(4, dtype=complex))


def test_results_are_of_their_own(chain):
    v = np.ones(4)
    JacobianChain([lambda x: x], X).jvp(v)[0] = 7
    assert v[0] == 1
    long = JacobianChain([np.sum], np.ones(20_000)).jacobian("reverse")
    long[0] = 7  # not a read-only view of one number
    assert long[1] == 1
    chain.jacobian("reverse")[0] = 7
    np.testing.assert_allclose(chain.jacobian("reverse"), jacfwd(composed)(X))


# ---------------------------------------------------------------------------------------------------
# Structure
# ---------------------------------------------------------------------------------------------------


def tridiagonal(x):
    y = 2 * x
    return np.concatenate([y[:1] - x[1:2], y[1:-1] - x[:-2] * x[2:], y[-1:] - x[-2:-1]])


def structured_layer(rng, n):
    """A layer of n inputs, mostly with a sparse Jacobian, and its number of outputs."""
    m = int(rng.integers(2, 9))
    W, U, V = rng.normal(size=(m, n)), rng.normal(size=(m, 1)), rng.normal(size=(1, n))
    i, j, half = rng.integers(0, n, size=m), rng.integers(0, n, size=m), (n + 1) // 2
    return [
        (lambda x: x[i] * np.sin(x[j]), m),
        (lambda x: np.concatenate([x[:1], x[1:] - x[:-1] ** 2]), n),
        (lambda x: x[::-1], n),
        (lambda x: np.exp(x[:half]), half),
        (lambda x: np.concatenate([np.ones(m), x[half - 1 :]]), m + n - half + 1),
        (lambda x: np.where(x > 0, x, np.roll(x, 1)), n),
        (lambda x: W @ x, m),
        (lambda x: U @ np.sin(V @ x), m),
        (np.tanh, n),
        (np.cumsum, n),
        (lambda x: np.ones(m), m),
    ][rng.integers(11)]


def structured_chain(rng, length, widest):
    n = int(rng.integers(3, widest))
    x, layers = rng.normal(size=n), []
    for _ in range(length):
        f, n = structured_layer(rng, n)
        layers.append(f)
    return layers, x


@pytest.mark.parametrize("seed", range(25))
def test_random_structured_chains(seed):
    """Every bracketing is the Jacobian, costs what was predicted, and no less than the optimum."""
    rng = np.random.default_rng(seed)
    layers, x = structured_chain(rng, int(rng.integers(1, 4)), 12)

    def composed(x):
        for f in layers:
            x = f(x)
        return x

    chain, J = JacobianChain(layers, x), jacfwd(composed)(x)
    limited = [chain.bracketing(memory=memory) for memory in (0, 12)]
    plans = [*limited, chain.bracketing(workers=2)]
    for order in ("forward", "reverse", "optimal", "auto", *plans, *brackets(0, len(chain) - 1)):
        np.testing.assert_allclose(chain.jacobian(order), J, rtol=1e-10, atol=1e-12)
        found = chain.jacobian(order, sparse=True)
        np.testing.assert_allclose(found.toarray(), np.reshape(J, chain.shape), rtol=1e-10, atol=1e-12)
        assert chain.counted(order).multiply_adds == chain.cost(order) >= chain.cost("optimal")
    for plan in limited:
        assert chain.cost(plan) == plan.cost
    assert chain.bracketing().cost == chain.cost("optimal") == chain.cost("auto")


def test_sparse_products_stay_sparse():
    """Three tridiagonal layers: 3 colours each, products of entries alone, and seven diagonals at the end."""
    n = 60
    chain = JacobianChain([tridiagonal] * 3, np.linspace(0, 1, n))
    edges, entries = chain.factors[0].push_edges, 3 * n - 2
    assert [f.structure for f in chain.factors] == ["sparse"] * 3
    assert all(f.form.size == entries for f in chain.factors)
    assert f"{entries} entries" in repr(chain)
    # A column of the second holds 3 entries, 2 at the ends, and meets a row of the first of as many: 9·(n − 2) + 4 + 4.
    # The product has 5 diagonals; its rows hold 3, 4, 5 … 5, 4, 3 entries, and the columns of the third 2, 3 … 3, 2.
    first, second = 9 * (n - 2) + 8, 15 * (n - 4) + 2 * (2 * 3 + 3 * 4)
    assert chain.cost(((0, 1), 2)) == chain.cost((0, (1, 2))) == 3 * 3 * edges + first + second
    assert chain.counted(((0, 1), 2)).multiply_adds == chain.cost(((0, 1), 2))
    J = chain.jacobian("optimal", sparse=True)
    assert J.nnz == 7 * n - 12
    np.testing.assert_allclose(J.toarray(), chain.jacobian("reverse"), rtol=1e-12, atol=1e-14)
    assert chain.cost("forward") == n * 3 * edges > 5 * chain.cost("optimal")


def test_a_dense_layer_behind_sparse_ones():
    """m·nnz for the dense layer's product with the three tridiagonal ones, where without structure m·n² stood."""
    n, m = 40, 10
    W = rng.normal(size=(m, n))
    chain = JacobianChain([tridiagonal, tridiagonal, lambda x: W @ x], np.ones(n))
    entries, edges = 3 * n - 2, chain.factors[0].pull_edges
    # W formed by 10 adjoints of m·n edges, then times each tridiagonal matrix
    assert chain.cost((0, (1, 2))) == 2 * 3 * edges + m * m * n + 2 * m * entries
    assert chain.cost("optimal") == chain.cost("reverse") == m * (2 * edges + m * n)


def test_zero_jacobians_cost_nothing():
    chain = JacobianChain([np.sin, lambda x: np.ones(5), lambda x: x[1:] - x[:-1]], np.ones(8))
    assert chain.factors[1].form.size == 0
    assert chain.cost((0, (1, 2))) == chain.counted((0, (1, 2))).multiply_adds == 8 + 2 * chain.factors[2].push_edges
    assert chain.jacobian("optimal", sparse=True).nnz == 0
    assert np.array_equal(chain.jacobian("optimal"), np.zeros((4, 8)))


def test_a_layer_of_low_rank_is_two_factors():
    """U·V is kept apart: carrying U costs r directions, where U·V multiplied out costs m·r·n and then n directions."""
    n, r, k = 30, 2, 25
    U, V, W = rng.normal(size=(n, r)), rng.normal(size=(r, n)), rng.normal(size=(k, n))
    chain = JacobianChain([lambda x: U @ np.tanh(V @ x), lambda x: W @ x, np.sin], rng.normal(size=n))
    apart = JacobianChain([lambda x: V @ x, lambda h: U @ np.tanh(h), lambda x: W @ x, np.sin], chain.factors[0].x)
    for each in (chain, apart):
        assert [(f.m, f.n) for f in each.factors] == [(r, n), (n, r), (k, n), (k, k)]
    assert [f.layer for f in chain.factors] == [0, 0, 1, 2]
    assert repr(chain).count("of layer 0") == 2
    assert repr(chain).splitlines()[1].startswith("factor")
    for order in ("forward", "reverse", "optimal", ((0, 1), (2, 3)), (0, ((1, 2), 3))):
        assert chain.cost(order) == apart.cost(order) == chain.counted(order).multiply_adds
        np.testing.assert_allclose(chain.jacobian(order), apart.jacobian(order), rtol=1e-12, atol=1e-14)
    # U∘tanh by r tangents, which go on through W and sin; then k adjoints through V.
    assert chain.cost("optimal") == r * ((r + n * r) + k * n + k) + k * r * n
    assert chain.cost(((0, 1), (2, 3))) > 5 * chain.cost("optimal")
    with pytest.raises(ValueError, match=r"brackets the factors \[0, 1, 2\]"):
        chain.jacobian(((0, 1), 2))


def test_a_bottleneck_is_a_place_that_all_paths_pass():
    n = 6
    A, B = rng.normal(size=(n, n)), rng.normal(size=n)

    def lengths(f):
        return [(part.m, part.n) for part in JacobianChain([f], np.ones(n)).factors]

    assert lengths(lambda x: B * np.sin(x.sum())) == [(1, n), (n, 1)]
    assert lengths(lambda x: B * np.sin(x.sum()) + x) == [(n, n)]  # past it
    assert lengths(lambda x: A @ (B[:2] * x[:2].sum())[[0, 1, 0, 1, 0, 1]]) == [(1, n), (n, 1)]
    assert lengths(lambda x: np.split(A @ x[:3].repeat(2), 2)[0][[0, 1, 2, 0, 1, 2]]) == [(3, n), (n, 3)]
    assert lengths(lambda x: np.linalg.qr(np.outer(h := x[:2], h) + np.eye(2))[0].ravel()[[0, 1, 2, 3, 0, 1]]) == [
        (2, n), (n, 2)
    ]  # fmt: skip
    assert lengths(lambda x: np.real(np.fft.ifft(np.fft.fft(x)[:1] * np.ones(n)))) == [(n, n)]  # complex numbers


def test_structure_inside_a_derivative():
    """Under another transform a layer is diagonal or dense; a zero of a constant may have a derivative there."""
    layers = [tridiagonal, lambda x: x[1:] * x[:-1], lambda x: np.sin(x.sum()) * np.ones(4)]
    x = np.linspace(0.5, 1, 5)
    H = jacfwd(jacfwd(lambda x: layers[2](layers[1](layers[0](x)))))(x)
    for order in ("optimal", "auto", ((0, 1), (2, 3))):
        np.testing.assert_allclose(jacfwd(lambda x, o=order: JacobianChain(layers, x).jacobian(o))(x), H, atol=1e-12)
        np.testing.assert_allclose(jacrev(lambda x, o=order: JacobianChain(layers, x).jacobian(o))(x), H, atol=1e-12)
    with pytest.raises(TypeError, match="sparse=False"):
        jacfwd(lambda x: JacobianChain(layers, x).jacobian("optimal", sparse=True))(x)


def test_the_plan_says_what_is_cheapest_and_why():
    W = rng.normal(size=(3, 40))
    plan = JacobianChain([tridiagonal, tridiagonal, lambda x: W[:, 5:] @ x[5:]], np.ones(40)).plan()
    assert plan.choice == min(plan.multiply_adds, key=plan.multiply_adds.get)
    assert {name: work.multiply_adds for name, work in plan.counted.items()} == plan.multiply_adds
    assert str(plan).splitlines()[-1].startswith(f"{plan.choice}: {min(plan.multiply_adds.values()):,} multiply-adds")
    chain = JacobianChain([tridiagonal, tridiagonal], np.ones(40))
    assert chain.plan().choice == "optimal"
    assert chain.cost("auto") == chain.cost("optimal") < chain.cost("reverse")
    np.testing.assert_allclose(chain.jacobian("auto"), chain.jacobian("forward"), atol=1e-13)
    alone = JacobianChain([np.square], np.ones(3)).plan()
    assert set(alone.multiply_adds) == {"forward", "reverse", "optimal"}


def test_structured_single_precision():
    chain = JacobianChain([tridiagonal, lambda x: x[1:] * x[:-1]], np.ones(9, np.float32))
    for order in ("optimal", (0, 1)):
        assert chain.jacobian(order).dtype == chain.jacobian(order, sparse=True).dtype == np.float32


def test_structured_products_go_in_chunks(monkeypatch):
    monkeypatch.setattr("admodes.transforms.directions.CHUNK_ELEMENTS", 7)
    W = rng.normal(size=(5, 8))
    chain = JacobianChain([tridiagonal, tridiagonal, lambda x: W @ x], np.ones(8))
    J = jacfwd(lambda x: W @ tridiagonal(tridiagonal(x)))(np.ones(8))
    for order in ("optimal", ((0, 1), 2), (0, (1, 2))):
        np.testing.assert_allclose(chain.jacobian(order), J, atol=1e-12)
        assert chain.counted(order).multiply_adds == chain.cost(order)


def test_an_overwritten_constant_shows_in_the_parts_of_a_layer_too():
    V, b = np.ones((2, 5000)), np.ones((5000, 2))
    chain = JacobianChain([lambda x: b @ np.sin(V @ x)], np.ones(5000))
    assert len(chain) == 2
    V[0, 0] = 7
    with pytest.raises(OverwrittenValue):
        chain.vjp(np.ones(5000))


def test_structure_in_a_recorded_program():
    """A program runs at other points too: its layers are diagonal or dense, split where they are narrow."""
    layers = [tridiagonal, lambda x: np.sin(x.sum()) * np.ones(4), np.square]
    x, y = np.linspace(0, 1, 6), np.linspace(2, -1, 6)
    for order in ("reverse", "optimal", "auto"):
        program = trace(lambda x, o=order: JacobianChain(layers, x).jacobian(o), x)
        np.testing.assert_allclose(program(y), JacobianChain(layers, y).jacobian("forward"), atol=1e-12)


@pytest.mark.parametrize("constant", [np.zeros_like, lambda x: np.ones_like(x[:2]), lambda x: np.zeros(3)])
def test_a_layer_that_does_not_depend_on_its_argument(constant):
    for layers in ([constant], [np.sin, constant], [np.sin, constant, np.cos]):
        chain = JacobianChain(layers, np.linspace(0.0, 1.0, 4))
        for order in ("forward", "reverse", "optimal", "auto"):
            np.testing.assert_array_equal(chain.jacobian(order), np.zeros(chain.shape))
        np.testing.assert_array_equal(chain.vjp(np.ones(chain.shape[0])), np.zeros(4))
        np.testing.assert_array_equal(chain.jvp(np.ones(4)), np.zeros(chain.shape[0]))
