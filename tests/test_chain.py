"""JacobianChain: products of local Jacobians in every order agree, and cost what the dimensions say."""

import itertools

import numpy as np
import pytest

from admodes import JacobianChain, jacfwd

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
    assert "layer 1: 3 × 3, diagonal, 3 multiply-adds a product" in repr(chain)
    mixed = JacobianChain([lambda x: x * x + np.where(x > 0, x, 0), np.cumsum, lambda x: x[::-1]], X)
    assert [f.diagonal for f in mixed.factors] == [
        False,
        False,
        False,
    ]  # np.where chooses: told apart only if elementwise
    assert JacobianChain([lambda x: np.sin(x) * 2 + x**2], X).factors[0].diagonal
    assert not JacobianChain([lambda x: x * x.sum()], X).factors[0].diagonal


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
    assert chain.cost("optimal") <= plan.cost
    assert plan.cost <= min(chain.cost("forward"), chain.cost("reverse"))
    assert (plan.tangent, plan.adjoint) == (chain.cost("forward"), chain.cost("reverse"))


def test_diagonal_chains_stay_diagonal():
    chain = JacobianChain([np.sin, np.exp, np.tanh], X)
    assert chain.cost(((0, 1), 2)) == 3 * 4 + 2 * 4
    J = chain.jacobian(((0, 1), 2))
    np.testing.assert_allclose(J, chain.jacobian("forward"))
    np.testing.assert_allclose(J, chain.jacobian("optimal"))


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ("sideways", "sideways"),
        ((0, 1), "brackets"),
        (((1, 0), 2), "in order"),
        ((0, (1, 2, 3)), "none"),
        (1.5, "none"),
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
    with pytest.raises(TypeError, match="integer"):
        JacobianChain([np.sin], np.arange(3))


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
    chain.jacobian("reverse")[0] = 7
    np.testing.assert_allclose(chain.jacobian("reverse"), jacfwd(composed)(X))
