"""JacobianChain: products of local Jacobians in every order agree, and cost what the dimensions say."""

import itertools
import sys

import numpy as np
import pytest

from admodes import JacobianChain, jacfwd, jacrev, optimal_bracketing
from admodes.errors import MissingRule

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
        "layer       m ×       n  structure        edges",
        "    0       3 ×       4  dense               12",
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
    square = JacobianChain([lambda x: np.eye(6) @ x, np.tanh, lambda x: np.ones(6) @ x], np.ones(6))
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
        (lambda x: np.einsum("ij,j,j->i", W, x, x), m),
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
    monkeypatch.setattr("admodes.transforms.CHUNK_ELEMENTS", 10)
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
    assert f"{convolution.push_edges} (adjoint {convolution.pull_edges})" in repr(chain)
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
    with pytest.raises(MissingRule, match="histogram") as caught:
        JacobianChain([np.sin, lambda x: np.histogram(x)], X)
    assert "layer 1 was given an array of shape (4,)" in caught.value.__notes__[0]


def test_vectors_that_do_not_fit(chain):
    for bad in (np.ones(3), np.ones((0, 4)), np.ones((2, 2, 4))):
        with pytest.raises(ValueError, match="shape"):
            chain.jvp(bad)
    with pytest.raises(ValueError, match="shape"):
        chain.vjp(np.ones(4))
    with pytest.raises(TypeError, match="dtype"):
        chain.jvp(np.ones(4, dtype=int))


def test_results_are_of_their_own(chain):
    v = np.ones(4)
    JacobianChain([lambda x: x], X).jvp(v)[0] = 7
    assert v[0] == 1
    long = JacobianChain([np.sum], np.ones(20_000)).jacobian("reverse")
    long[0] = 7  # not a read-only view of one number
    assert long[1] == 1
    chain.jacobian("reverse")[0] = 7
    np.testing.assert_allclose(chain.jacobian("reverse"), jacfwd(composed)(X))
