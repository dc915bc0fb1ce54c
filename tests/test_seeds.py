"""Every worked example of the five seed lectures, with its numbers, in both modes.

000 Deep Learning, lecture 2 (CTU Prague)      001 Backpropagation (after Hofmann, ETH)
002 Neural networks and backpropagation        003 Section 13.3, backpropagation
004 Lecture 4, backpropagation (CS4787)

Where a slide slips, the test says so and holds what is right.  J[i, j] = ∂f_i/∂x_j throughout; 002 prints transposes.
"""

import numpy as np
import pytest

from admodes import custom_op, grad, jacfwd, jacrev, jvp, layers, value_and_grad, vjp
from admodes.program import cost

rng = np.random.default_rng(0)


def both_modes(f, *args):
    """The gradient of a scalar f by every argument: by pulls, after checking each entry against a push."""
    _, pullback = vjp(f, *args)
    gradient = pullback(1.0)
    for i, (x, g) in enumerate(zip(args, gradient, strict=True)):
        for index in np.ndindex(np.shape(x)):
            tangents = [np.zeros(np.shape(a)) for a in args]
            tangents[i][index] = 1.0
            assert jvp(f, args, tuple(tangents))[1] == pytest.approx(g[index], rel=1e-12, abs=1e-14)
    return gradient


def jacobian_both(f, x):
    """The Jacobian by forward mode, after checking it against reverse mode."""
    J = jacfwd(f)(x)
    np.testing.assert_allclose(J, jacrev(f)(x), rtol=1e-12, atol=1e-14)
    return J


# ---------------------------------------------------------------------------------------------------
# Scalars
# ---------------------------------------------------------------------------------------------------


def test_sum_times_z():
    """002: f = (x + y)z at (−2, 5, −4); q = x + y = 3, ∂f/∂q = z = −4, ∂f/∂(x, y, z) = (−4, −4, 3)."""

    def f(x, y, z):
        q = x + y
        return q * z

    assert f(-2.0, 5.0, -4.0) == -12
    assert both_modes(f, -2.0, 5.0, -4.0) == (-4, -4, 3)
    assert both_modes(lambda q, z: q * z, 3.0, -4.0) == (-4, 3)
    # local gradients: ∂q/∂x = ∂q/∂y = 1
    assert both_modes(lambda x, y: x + y, -2.0, 5.0) == (1, 1)


def logistic_unit(w0, x0, w1, x1, w2):
    """002: f(w, x) = 1/(1 + e^{−(w₀x₀ + w₁x₁ + w₂)}), node by node."""
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


UNIT = (2.0, -1.0, -3.0, -2.0, -3.0)  # w₀, x₀, w₁, x₁, w₂


def test_logistic_unit():
    """002: w = (2, −3, −3), x = (−1, −2): f = 0.73; each gradient as printed, to the digits printed."""
    assert logistic_unit(*UNIT) == pytest.approx(0.73, abs=0.005)
    gradient = both_modes(logistic_unit, *UNIT)
    # w₀: 0.2 × −1 = −0.2, x₀: 0.2 × 2 = 0.4 (0.39 unrounded), w₁: −0.4 (−0.39), x₁: −0.6 (−0.59), w₂: 0.2
    for g, printed, unrounded in zip(
        gradient, (-0.2, 0.4, -0.4, -0.6, 0.2), (-0.20, 0.39, -0.39, -0.59, 0.20), strict=True
    ):
        assert g == pytest.approx(printed, abs=0.05)
        assert round(float(g), 2) == unrounded


def test_logistic_unit_along_its_graph():
    """002: the chain *−1, exp, +1, 1/x backwards from 1.00: −0.53, −0.53, −0.20, 0.20."""
    s = 2.0 * -1.0 + -3.0 * -2.0 + -3.0
    assert s == 1
    nodes = [-s, np.exp(-s), 1 + np.exp(-s)]
    rest = [lambda a: 1 / (1 + np.exp(a)), lambda b: 1 / (1 + b), lambda c: 1 / c]
    backward = [both_modes(f, v)[0] for f, v in zip(rest, nodes, strict=True)]
    assert [round(float(g), 2) for g in backward] == [-0.20, -0.53, -0.53]
    assert round(float(both_modes(lambda s: rest[0](-s), s)[0]), 2) == 0.20


def test_sigmoid_local_gradient():
    """002: σ′ = (1 − σ)σ; [1.00] × [(1 − 0.73)(0.73)] = 0.2; and the graph with σ as one node is the same function."""
    y = layers.sigmoid(1.0)
    (g,) = both_modes(layers.sigmoid, 1.0)
    assert g == pytest.approx((1 - y) * y, rel=1e-15)
    assert round(float(g), 1) == 0.2

    def fused(w0, x0, w1, x1, w2):
        return layers.sigmoid(w0 * x0 + w1 * x1 + w2)

    np.testing.assert_allclose(both_modes(fused, *UNIT), both_modes(logistic_unit, *UNIT), rtol=1e-14)


def test_elementary_local_gradients():
    """002: (eˣ)′ = eˣ, (1/x)′ = −1/x², (ax)′ = a, (c + x)′ = 1."""
    x, a, c = 1.37, -0.53, 2.0
    assert both_modes(np.exp, x)[0] == pytest.approx(np.exp(x), rel=1e-15)
    assert both_modes(lambda x: 1 / x, x)[0] == pytest.approx(-1 / x**2, rel=1e-15)
    assert both_modes(lambda x: a * x, x) == (a,)
    assert both_modes(lambda x: c + x, x) == (1,)


def test_flat_code():
    """002, "flat code": forward pass, then grads in the slide's order, line by line; compared with admodes."""

    def flat(w0, x0, w1, x1, w2):
        s0 = w0 * x0
        s1 = w1 * x1
        s2 = s0 + s1
        s3 = s2 + w2
        L = layers.sigmoid(s3)
        grad_L = 1.0
        grad_s3 = grad_L * (1 - L) * L
        grad_w2 = grad_s3
        grad_s2 = grad_s3
        grad_s0 = grad_s2
        grad_s1 = grad_s2
        grad_w1 = grad_s1 * x1
        grad_x1 = grad_s1 * w1
        grad_w0 = grad_s0 * x0
        grad_x0 = grad_s0 * w0
        return L, (grad_w2, grad_w1, grad_x1, grad_w0, grad_x0)

    def f(w0, x0, w1, x1, w2):
        s0 = w0 * x0
        s1 = w1 * x1
        s2 = s0 + s1
        s3 = s2 + w2
        return layers.sigmoid(s3)

    L, grads = flat(*UNIT)
    value, (w0, x0, w1, x1, w2) = value_and_grad(f, argnums=(0, 1, 2, 3, 4))(*UNIT)
    assert value == L
    np.testing.assert_allclose((w2, w1, x1, w0, x0), grads, rtol=1e-14)
    np.testing.assert_allclose(both_modes(f, *UNIT), (w0, x0, w1, x1, w2), rtol=1e-14)


def test_multiply_gate():
    """002, the Multiply function: grad_x = y · grad_z, grad_y = x · grad_z."""
    _, pullback = vjp(lambda x, y: x * y, 3.0, -4.0)
    assert pullback(2.0) == (-8, 6)
    multiply = custom_op(lambda x, y: x * y, partial=[lambda z, x, y: y, lambda z, x, y: x])
    assert both_modes(multiply, 3.0, -4.0) == (-4, 3)


def test_patterns_in_gradient_flow():
    """002: add distributes, mul swaps, copy adds, max routes."""
    u = 7.0
    assert vjp(lambda x, y: x + y, 3.0, 4.0)[1](u) == (7, 7)
    assert vjp(lambda x, y: x * y, 2.0, 3.0)[1](u) == (21, 14)
    assert vjp(np.maximum, 4.0, 5.0)[1](u) == (0, 7)
    _, copied = vjp(lambda x: (x, x), 7.0)
    assert copied((4.0, 2.0)) == (6,)
    # and forwards: the copies share the tangent, the sum adds, the maximum takes one
    assert jvp(lambda x: (x, x), (7.0,), (3.0,))[1] == (3, 3)
    assert jvp(lambda x, y: x + y, (3.0, 4.0), (5.0, 6.0))[1] == 11
    assert jvp(lambda x, y: x * y, (2.0, 3.0), (5.0, 7.0))[1] == 29
    assert jvp(np.maximum, (4.0, 5.0), (8.0, 9.0))[1] == 9


def test_root_of_logarithm_of_square():
    """000: f = √(log x²); J = (½ z^{−1/2})(y^{−1})(2x) with y = x², z = log y: the three factors and their product."""
    x = 2.0
    y = x**2
    z = np.log(y)
    factors = [both_modes(np.sqrt, z)[0], both_modes(np.log, y)[0], both_modes(lambda x: x**2, x)[0]]
    np.testing.assert_allclose(factors, [0.5 * z**-0.5, 1 / y, 2 * x], rtol=1e-15)
    (derivative,) = both_modes(lambda x: np.sqrt(np.log(x**2)), x)
    assert derivative == pytest.approx(np.prod(factors), rel=1e-14)
    assert derivative == pytest.approx(1 / (x * np.sqrt(np.log(x**2))), rel=1e-14)


def test_dual_number():
    """004: def f(x): return x*x + 1.0, run on a dual number (x, 1): (x² + 1, 2x)."""

    def f(x):
        return x * x + 1.0

    for x in (3.0, -0.5, 0.0):
        assert jvp(f, (x,), (1.0,)) == (x * x + 1, 2 * x)
        assert both_modes(f, x) == (2 * x,)
    # "easy to extend to higher-order derivatives"
    assert jvp(lambda x: jvp(f, (x,), (1.0,))[1], (3.0,), (1.0,)) == (6, 2)


def test_relu_of_a_linear_unit():
    """004: H = max(0, Wx + b) at W = 2, x = 3, b = 1: U₁ = 6, U₂ = 7, H = 7, and every step back."""
    W, x, b = 2.0, 3.0, 1.0
    U1 = W * x
    U2 = U1 + b
    assert (U1, U2, layers.relu(U2)) == (6, 7, 7)
    assert both_modes(lambda H: H, 7.0) == (1,)
    assert both_modes(layers.relu, U2) == (1,)
    assert both_modes(lambda U1, b: layers.relu(U1 + b), U1, b) == (1, 1)
    assert both_modes(lambda W, x, b: layers.relu(W * x + b), W, x, b) == (3, 2, 1)
    # the same as the layer of 1 × 1, with np.maximum as the lecture writes it
    gW, gx, gb = both_modes(
        lambda W, x, b: np.maximum(0, W @ x + b).sum(), np.array([[W]]), np.array([x]), np.array([b])
    )
    assert (gW.item(), gx.item(), gb.item()) == (3, 2, 1)


def test_graph_that_is_no_tree():
    """004: u = x + 1, y = xu at x = 17: y = 306; dy/du = 17, dy/dx = 18 from the product, and 35 in all."""

    def f(x):
        u = x + 1
        return x * u

    assert f(17.0) == 306
    # the product's own contributions, before u passes its part on to x
    assert both_modes(lambda x, u: x * u, 17.0, 18.0) == (18, 17)
    assert both_modes(f, 17.0) == (35,)


def test_product_with_itself():
    """004: ℓ = F(x, x) with F(u, v) = uv: dℓ/dx = v + u = 2x."""

    def F(u, v):
        return u * v

    for x in (3.0, -1.5):
        assert both_modes(F, x, x) == (x, x)
        assert both_modes(lambda x: F(x, x), x) == (2 * x,)


def test_total_derivative_of_a_shared_input():
    """000: d/db f(b, y(b)) = ∂f/∂b + ∂f/∂y · dy/db; as copies b¹ = b² = b: J_b = J_b¹ + J_b²."""

    def f(b, y):
        return b * np.sin(y)

    b = 0.7
    y = np.exp(b)
    by_b, by_y = both_modes(f, b, y)
    (dy,) = both_modes(np.exp, b)
    (total,) = both_modes(lambda b: f(b, np.exp(b)), b)
    assert total == pytest.approx(by_b + by_y * dy, rel=1e-14)
    assert total == pytest.approx(sum(both_modes(lambda b1, b2: f(b1, np.exp(b2)), b, b)), rel=1e-14)


def test_adjoints_add_over_the_children():
    """003, 13.3.4 and 004: ∂o/∂x₄ = ∂o/∂x₅ ∂x₅/∂x₄ + ∂o/∂x₇ ∂x₇/∂x₄, here for vectors: Σ Dgᵢᵀ ∇ᵢ."""
    x4, A, B = rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=(4, 3))

    def o(x5, x7):
        return np.sum(np.sin(x5)) * np.sum(x7**2)

    by5, by7 = both_modes(o, A @ x4, B @ x4)
    (total,) = both_modes(lambda x4: o(A @ x4, B @ x4), x4)
    np.testing.assert_allclose(total, A.T @ by5 + B.T @ by7, rtol=1e-13)


def test_implicit_function_on_the_circle():
    """000: g(x, z) = x² + z² − 1 = 0: dz/dx = −(∂g/∂z)⁻¹ ∂g/∂x = −x/z (the slide drops the minus sign)."""
    x = 0.6
    z = 0.8
    by_x, by_z = both_modes(lambda x, z: x**2 + z**2 - 1, x, z)
    assert (by_x, by_z) == pytest.approx((2 * x, 2 * z))
    (explicit,) = both_modes(lambda x: np.sqrt(1 - x**2), x)
    assert -by_x / by_z == pytest.approx(explicit, rel=1e-14)
    assert explicit == pytest.approx(-x / z, rel=1e-14)
    # backpropagation of a loss L(z): one solve with (∂g/∂z)ᵀ
    (by_loss,) = both_modes(lambda x: np.exp(np.sqrt(1 - x**2)), x)
    assert by_loss == pytest.approx(-np.exp(z) / by_z * by_x, rel=1e-14)


# ---------------------------------------------------------------------------------------------------
# Vectors and matrices
# ---------------------------------------------------------------------------------------------------


def test_relu_of_a_vector():
    """002: relu of (1, −2, 3, −1) with upstream (4, −1, 5, 9): y, the Jacobian, dL/dx = (4, 0, 5, 0)."""
    x, upstream = np.array([1.0, -2.0, 3.0, -1.0]), np.array([4.0, -1.0, 5.0, 9.0])
    for f in (layers.relu, lambda x: np.maximum(0, x)):
        y, pullback = vjp(f, x)
        np.testing.assert_array_equal(y, [1, 0, 3, 0])
        np.testing.assert_array_equal(jacobian_both(f, x), np.diag([1, 0, 1, 0]))
        np.testing.assert_array_equal(pullback(upstream)[0], [4, 0, 5, 0])
        np.testing.assert_array_equal(jvp(f, (x,), (upstream,))[1], [4, 0, 5, 0])


def test_product_of_matrices():
    """002: x (2 × 3) by w (3 × 4) with dL/dy: dL/dx = (dL/dy) wᵀ, dL/dw = xᵀ (dL/dy).

    The slide prints a y that is not x·w (in its columns 3 and 4); the product decides.
    """
    x = np.array([[2.0, 1, -3], [-3, 4, 2]])
    w = np.array([[3.0, 2, 1, -1], [2, 1, 3, 2], [3, 2, 1, -2]])
    g = np.array([[2.0, 3, -3, 9], [-8, 1, 4, 6]])
    y, pullback = vjp(np.matmul, x, w)
    np.testing.assert_array_equal(y, [[-1, -1, 2, 6], [5, 2, 11, 7]])
    by_x, by_w = pullback(g)
    np.testing.assert_array_equal(by_x, [[0, 16, -9], [-24, 9, -30]])
    np.testing.assert_array_equal(by_w, [[28, 3, -18, 0], [-30, 7, 13, 33], [-22, -7, 17, -15]])
    by_x_and_w = both_modes(lambda x, w: np.sum((x @ w) * g), x, w)
    np.testing.assert_allclose(by_x_and_w[0], g @ w.T, rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(by_x_and_w[1], x.T @ g, rtol=1e-14, atol=1e-13)
    # "x_{n,d} affects the whole row y_n", by w_{d,m}
    J = jacobian_both(lambda x: x @ w, x)
    np.testing.assert_array_equal(J, np.einsum("np,dm->nmpd", np.eye(2), w))


def test_jacobian_of_a_composition():
    """000, 001 eq. 6 and 7, 003: J_{H∘G} = J_H · J_G; for linear functions f(x) = ABx it is AB."""
    A, B, x = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
    np.testing.assert_allclose(jacobian_both(lambda x: A @ x, B @ x), A, rtol=1e-14)
    np.testing.assert_allclose(jacobian_both(lambda x: A @ (B @ x), x), A @ B, rtol=1e-13)

    def G(x):
        return np.tanh(B @ x)

    def H(z):
        return np.exp(A @ z)

    np.testing.assert_allclose(
        jacobian_both(lambda x: H(G(x)), x), jacobian_both(H, G(x)) @ jacobian_both(G, x), rtol=1e-12
    )


def test_activity_backpropagation():
    """001, eq. 13: e^l = e^{l+1} J_{F^{l+1}}, from e^L = ∇ᵀR backwards to the input."""
    weights = [rng.normal(size=(3, 3)) for _ in range(4)]
    x, nu = rng.normal(size=3), rng.normal(size=3)
    activities = [x]
    for W in weights:
        activities.append(np.tanh(W @ activities[-1]))
    (e,) = both_modes(lambda y: layers.quadratic_loss(y, nu), activities[-1])
    for W, a in zip(reversed(weights), reversed(activities[:-1]), strict=True):
        e = e @ jacobian_both(lambda a: np.tanh(W @ a), a)

    def loss(x):
        for W in weights:
            x = np.tanh(W @ x)
        return layers.quadratic_loss(x, nu)

    np.testing.assert_allclose(both_modes(loss, x)[0], e, rtol=1e-12)


def test_from_activations_to_weights():
    """001, eq. 19: ∂ℓ/∂w_ij = ∂ℓ/∂x_i · σ′(⟨w_i, x⟩ + b_i) · x_j, and the same without x_j for b_i."""
    W, b, x, nu = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=4), rng.normal(size=3)
    by_W, by_b = both_modes(lambda W, b: layers.quadratic_loss(np.tanh(W @ x + b), nu), W, b)
    y = np.tanh(W @ x + b)
    sensitivity = (y - nu) * (1 - y**2)
    np.testing.assert_allclose(by_W, np.outer(sensitivity, x), rtol=1e-13)
    np.testing.assert_allclose(by_b, sensitivity, rtol=1e-13)


@pytest.mark.parametrize("sigma", [np.tanh, layers.sigmoid, layers.relu], ids=["tanh", "sigmoid", "relu"])
def test_ridge_function(sigma):
    """001, eq. 15: ∂x_i/∂x_j = σ′(⟨w_i, x⟩ + b_i) w_ij; for ReLU each is 0 or w_ij: a sparsified W."""
    W, b, x = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3)
    slope = np.diag(jacobian_both(sigma, W @ x + b))
    J = jacobian_both(lambda x: sigma(W @ x + b), x)
    np.testing.assert_allclose(J, slope[:, None] * W, rtol=1e-13)
    if sigma is layers.relu:
        on = W @ x + b > 0
        assert 0 < on.sum() < 5
        np.testing.assert_array_equal(J, np.where(on[:, None], W, 0))


def test_elementwise_layer():
    """003, 13.3.3.2: J = diag(φ′(x)), uᵀJ = u ⊙ φ′(x); ReLU′ is the step H, 0 at 0."""
    x, u = np.array([-1.0, 0.0, 2.0]), np.array([3.0, 4.0, 5.0])
    np.testing.assert_array_equal(jacobian_both(layers.relu, x), np.diag([0, 0, 1]))
    np.testing.assert_array_equal(vjp(layers.relu, x)[1](u)[0], [0, 0, 5])
    np.testing.assert_allclose(jacobian_both(np.tanh, x), np.diag(1 - np.tanh(x) ** 2), rtol=1e-14)


def test_linear_layer():
    """003, 13.3.3.3 and 000: J_x = W, uᵀJ_x = uᵀW; ∂z_k/∂W_ij = x_j [i = k], uᵀJ_W = u xᵀ; J_b = J_a.

    (000 transposes the index of W in J_x once; J_x = J_a W, its next line, is right.)
    """
    W, b, x, u = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=4), rng.normal(size=3)
    np.testing.assert_allclose(jacobian_both(lambda x: layers.linear(x, W, b), x), W, rtol=1e-14)
    np.testing.assert_allclose(
        jacobian_both(lambda W: layers.linear(x, W, b), W), np.einsum("ki,j->kij", np.eye(3), x), rtol=1e-14
    )
    np.testing.assert_array_equal(jacobian_both(lambda b: layers.linear(x, W, b), b), np.eye(3))
    by_x, by_W, by_b = vjp(layers.linear, x, W, b)[1](u)
    np.testing.assert_allclose(by_x, u @ W, rtol=1e-14)
    np.testing.assert_allclose(by_x, W.T @ u, rtol=1e-14)
    np.testing.assert_allclose(by_W, np.outer(u, x), rtol=1e-14)
    np.testing.assert_array_equal(by_b, u)


def test_correlation_layer():
    """000: y_j = Σ_k w_k x_{j+k} + b_j: dL/dx_i = Σ_j g_j w_{i−j}, dL/dw_k = Σ_j g_j x_{j+k}, dL/db = g."""
    n, m = 7, 3
    x, w, b, g = rng.normal(size=n), rng.normal(size=m), rng.normal(size=n - m + 1), rng.normal(size=n - m + 1)
    y, pullback = vjp(layers.correlation, x, w, b)
    rows = range(n - m + 1)
    np.testing.assert_allclose(y, [sum(w[k] * x[j + k] for k in range(m)) + b[j] for j in rows], rtol=1e-13)
    by_x, by_w, by_b = pullback(g)
    np.testing.assert_allclose(
        by_x, [sum(g[j] * w[i - j] for j in rows if 0 <= i - j < m) for i in range(n)], rtol=1e-13
    )
    np.testing.assert_allclose(by_w, [sum(g[j] * x[j + k] for j in rows) for k in range(m)], rtol=1e-13)
    np.testing.assert_array_equal(by_b, g)
    both_modes(lambda x, w, b: layers.correlation(x, w, b) @ g, x, w, b)


# ---------------------------------------------------------------------------------------------------
# Softmax and losses
# ---------------------------------------------------------------------------------------------------


def test_softmax_loss_of_cat_car_frog():
    """002: scores (3.2, 5.1, −1.7): exp 24.5, 164.0, 0.18; normalised 0.13, 0.87, 0.00; L = −log 0.13 = 2.04."""
    scores = np.array([3.2, 5.1, -1.7])
    np.testing.assert_allclose(np.exp(scores), [24.5, 164.0, 0.18], atol=0.05)
    p = layers.softmax(scores)
    np.testing.assert_allclose(p, [0.13, 0.87, 0.00], atol=0.005)
    target = np.array([1.0, 0.0, 0.0])
    for loss in (
        lambda s: layers.cross_entropy(s, 0),
        lambda s: layers.cross_entropy(s, target),
        lambda s: layers.cross_entropy_composed(s, 0),
        lambda s: layers.logistic_loss(s, 0),
        lambda s: -np.log(np.exp(s[0]) / np.sum(np.exp(s))),
    ):
        assert loss(scores) == pytest.approx(2.04, abs=0.005)
        # 003, 13.3.3.1: J = (p − y)ᵀ
        np.testing.assert_allclose(both_modes(loss, scores)[0], p - target, rtol=1e-12)
    # entropy of a certain target is 0, so cross entropy is the divergence
    assert layers.cross_entropy(scores, target) == pytest.approx(-np.log(p[0]), rel=1e-14)


def three_softmaxes():
    """000: the three ways to write softmax, the third with the seed's own backward."""

    def composed(a):
        y = np.exp(a)
        return y / np.sum(y)

    stated = custom_op(lambda a: np.exp(a) / np.sum(np.exp(a)), push=lambda t, y, a: y * t - y * np.sum(y * t))
    return [layers.softmax, composed, stated]


@pytest.mark.parametrize("form", [0, 1, 2], ids=["built in", "composed", "stated backward"])
def test_three_forms_of_softmax(form):
    """000: J_a = J_y (Diag(y) − y yᵀ) = J_y ⊙ y − (J_y y) yᵀ, whichever way softmax is written."""
    f, a, J_y = three_softmaxes()[form], np.array([0.5, -1.0, 2.0, 0.0]), np.array([1.0, 3.0, -2.0, 0.5])
    y = layers.softmax_composed(a)
    np.testing.assert_allclose(f(a), y, rtol=1e-14)
    np.testing.assert_allclose(jacobian_both(f, a), np.diag(y) - np.outer(y, y), rtol=1e-13, atol=1e-16)
    (J_a,) = vjp(f, a)[1](J_y)
    np.testing.assert_allclose(J_a, J_y * y - (J_y @ y) * y, rtol=1e-13)
    # the elements: J_{a_i} = y_i (J_{y_i} − Σ_j y_j J_{y_j})
    np.testing.assert_allclose(J_a, [y[i] * (J_y[i] - sum(y * J_y)) for i in range(4)], rtol=1e-12)


def test_linear_softmax_loss_back_to_the_weights():
    """000: a = Wx + b, y = softmax(a), L = −tᵀ log y: J_y = −t/y, J_a, then J_x = J_a W, J_W = J_a ⊗ x, J_b = J_a."""
    W, b, x = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    t = np.array([0.1, 0.2, 0.3, 0.4])
    a = W @ x + b
    y = layers.softmax(a)
    (J_y,) = both_modes(lambda y: -np.sum(t * np.log(y)), y)
    np.testing.assert_allclose(J_y, -t / y, rtol=1e-14)
    J_a = vjp(layers.softmax, a)[1](J_y)[0]
    np.testing.assert_allclose(J_a, y - t, rtol=1e-12)
    by_W, by_x, by_b = both_modes(lambda W, x, b: -np.sum(t * np.log(layers.softmax(layers.linear(x, W, b)))), W, x, b)
    np.testing.assert_allclose(by_x, J_a @ W, rtol=1e-12)
    np.testing.assert_allclose(by_W, np.outer(J_a, x), rtol=1e-12)
    np.testing.assert_allclose(by_b, J_a, rtol=1e-12)


def test_quadratic_loss():
    """001, eq. 17: the gradient of ½‖y − ν‖² by ν is ν − y, so its negative is y − ν."""
    y, nu = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 2.0])
    by_y, by_nu = both_modes(layers.quadratic_loss, y, nu)
    np.testing.assert_array_equal(-by_nu, y - nu)
    np.testing.assert_array_equal(by_y, y - nu)


def test_logistic_loss():
    """001, eq. 18: ℓ = log Σ e^{z_i} − z_{y*} has the gradient p(y|x) − δ_{yy*}; its negative is δ − p."""
    z = np.array([0.2, -1.0, 1.5])
    p = np.exp(z) / np.exp(z).sum()
    (g,) = both_modes(lambda z: layers.logistic_loss(z, 2), z)
    np.testing.assert_allclose(-g, np.array([0, 0, 1]) - p, rtol=1e-13)
    assert layers.logistic_loss(z, 2) == pytest.approx(-(z[2] - np.log(np.exp(z).sum())), rel=1e-14)


def perceptron():
    """003: D = 3 inputs, K = 4 hidden units, C = 3 classes; some hidden units on, some off."""
    W1 = np.array([[1.0, 0.5, -1.0], [-1.0, 0.2, 0.3], [0.3, 0.8, 0.1], [-0.5, -1.0, 0.4]])
    W2 = np.array([[0.2, -0.4, 1.0, 0.3], [0.7, 0.1, -0.6, 0.2], [-0.3, 0.5, 0.4, -0.9]])
    return W1, W2, np.array([0.8, 1.2, -0.5])


def test_perceptron_with_cross_entropy():
    """003, 13.3.3.4: u₂ = p − y, u₁ = (W₂ᵀu₂) ⊙ H(x₂), ∂L/∂W₂ = u₂x₃ᵀ, ∂L/∂W₁ = u₁x₁ᵀ."""
    W1, W2, x1 = perceptron()
    y = np.array([0.0, 1.0, 0.0])
    x2 = W1 @ x1
    x3 = layers.relu(x2)
    x4 = W2 @ x3
    H = (x2 > 0).astype(float)
    assert 0 < H.sum() < 4
    u2 = layers.softmax(x4) - y
    u1 = (W2.T @ u2) * H
    np.testing.assert_allclose(both_modes(lambda x4: layers.cross_entropy(x4, y), x4)[0], u2, rtol=1e-12)
    np.testing.assert_allclose(
        both_modes(lambda x2: layers.cross_entropy(W2 @ layers.relu(x2), y), x2)[0], u1, rtol=1e-12
    )
    by_W1, by_W2 = both_modes(lambda W1, W2: layers.cross_entropy(W2 @ layers.relu(W1 @ x1), y), W1, W2)
    np.testing.assert_allclose(by_W2, np.outer(u2, x3), rtol=1e-12)
    np.testing.assert_allclose(by_W1, np.outer(u1, x1), rtol=1e-12)


def test_perceptron_with_quadratic_loss():
    """003, 13.3.2: L = ½‖y − W₂φ(W₁x)‖²; x₂, x₃, x₄ and both weight gradients by the product of Jacobians."""
    W1, W2, x1 = perceptron()
    y = np.array([0.5, -1.0, 2.0])
    x2 = W1 @ x1
    x3 = np.tanh(x2)
    x4 = W2 @ x3
    (e,) = both_modes(lambda x4: layers.quadratic_loss(y, x4), x4)
    np.testing.assert_allclose(e, x4 - y, rtol=1e-14)
    by_W1, by_W2 = both_modes(lambda W1, W2: layers.quadratic_loss(y, W2 @ np.tanh(W1 @ x1)), W1, W2)
    dx4_dW2 = jacobian_both(lambda W2: W2 @ x3, W2)
    dx4_dx3 = jacobian_both(lambda x3: W2 @ x3, x3)
    dx3_dx2 = jacobian_both(np.tanh, x2)
    dx2_dW1 = jacobian_both(lambda W1: W1 @ x1, W1)
    np.testing.assert_allclose(by_W2, np.tensordot(e, dx4_dW2, 1), rtol=1e-12)
    np.testing.assert_allclose(by_W1, np.tensordot(e @ dx4_dx3 @ dx3_dx2, dx2_dW1, 1), rtol=1e-12)


def test_total_loss_of_the_two_layer_network():
    """002: L = mean of softmax losses of W₂ max(0, W₁x) + λR(W₁) + λR(W₂); the data part as 003 has it, plus 2λW."""
    W1, W2, _ = perceptron()
    X, labels, lam = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0]), 0.1

    def loss(W1, W2):
        scores = layers.linear(layers.relu(layers.linear(X, W1)), W2)
        return np.mean(layers.cross_entropy(scores, labels)) + lam * layers.l2_penalty(W1, W2)

    by_W1, by_W2 = both_modes(loss, W1, W2)
    hidden = layers.relu(X @ W1.T)
    u2 = (layers.softmax(hidden @ W2.T) - np.eye(3)[labels]) / 5
    u1 = (u2 @ W2) * (hidden > 0)
    np.testing.assert_allclose(by_W2, u2.T @ hidden + 2 * lam * W2, rtol=1e-12)
    np.testing.assert_allclose(by_W1, u1.T @ X + 2 * lam * W1, rtol=1e-12)


def test_l2_regularisation():
    """002: x = (1, 1, 1, 1), w₁ = (1, 0, 0, 0), w₂ = ¼(1, 1, 1, 1): w₁ᵀx = w₂ᵀx = 1, R(w₁) = 1, R(w₂) = 0.25."""
    x, w1, w2 = np.ones(4), np.array([1.0, 0, 0, 0]), np.full(4, 0.25)
    assert w1 @ x == w2 @ x == 1
    assert layers.l2_penalty(w1) == 1
    assert layers.l2_penalty(w2) == 0.25
    assert layers.l2_penalty(w1, w2) == 1.25
    np.testing.assert_array_equal(both_modes(layers.l2_penalty, w1)[0], 2 * w1)
    np.testing.assert_array_equal(both_modes(layers.l2_penalty, w2)[0], 2 * w2)


def test_activation_functions():
    """002: sigmoid, tanh, ReLU, leaky ReLU max(0.1x, x), maxout, ELU: values and slopes on both sides of 0."""
    x = np.array([-2.0, 3.0])
    cases = {
        layers.sigmoid: (1 / (1 + np.exp(-x)), np.exp(-x) / (1 + np.exp(-x)) ** 2),
        layers.tanh: (np.tanh(x), 1 - np.tanh(x) ** 2),
        layers.relu: ([0, 3], [0, 1]),
        layers.leaky_relu: (np.maximum(0.1 * x, x), [0.1, 1]),
        layers.elu: ([np.exp(-2) - 1, 3], [np.exp(-2), 1]),
    }
    for f, (value, slope) in cases.items():
        np.testing.assert_allclose(f(x), value, rtol=1e-14)
        np.testing.assert_allclose(jacobian_both(f, x), np.diag(slope), rtol=1e-13)
    assert layers.elu(-1.0, alpha=2.0) == pytest.approx(2 * (np.exp(-1) - 1), rel=1e-15)


def test_maxout():
    """002: max(w₁ᵀx + b₁, w₂ᵀx + b₂): the gradient goes to the larger alone."""
    x, w1, b1, w2, b2 = np.array([1.0, 2.0]), np.array([1.0, 1.0]), 0.0, np.array([-1.0, 0.5]), 1.0
    assert layers.maxout(x, w1, b1, w2, b2) == 3
    gradient = both_modes(layers.maxout, x, w1, b1, w2, b2)
    for g, expected in zip(gradient, (w1, x, 1, np.zeros(2), 0), strict=True):
        np.testing.assert_array_equal(g, expected)


# ---------------------------------------------------------------------------------------------------
# Approximation and cost
# ---------------------------------------------------------------------------------------------------


def test_finite_differences_and_their_orders():
    """000: (L(x + ε) − L(x))/ε errs by O(ε), (L(x + ε) − L(x − ε))/2ε by O(ε²): halving ε halves, and quarters."""

    def L(x):
        return np.exp(np.sin(x))

    x = 0.8
    (exact,) = both_modes(L, x)
    epsilon = 2.0 ** -np.arange(4, 10)
    one_sided = np.abs((L(x + epsilon) - L(x)) / epsilon - exact)
    symmetric = np.abs((L(x + epsilon) - L(x - epsilon)) / (2 * epsilon) - exact)
    np.testing.assert_allclose(one_sided[:-1] / one_sided[1:], 2, rtol=0.1)
    np.testing.assert_allclose(symmetric[:-1] / symmetric[1:], 4, rtol=0.1)


def test_local_linear_approximation():
    """000: f(x₀ + Δx) = f(x₀) + JΔx + o(‖Δx‖): the remainder falls as ‖Δx‖² for a smooth f."""
    W, x, dx = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=4)

    def f(x):
        return np.tanh(W @ x)

    J = jacobian_both(f, x)
    remainders = [np.linalg.norm(f(x + h * dx) - f(x) - J @ (h * dx)) for h in (1e-2, 5e-3, 2.5e-3)]
    np.testing.assert_allclose([remainders[0] / remainders[1], remainders[1] / remainders[2]], 4, rtol=0.15)


def test_steepest_ascent():
    """000: of all unit steps, Δx = Jᵀ/‖J‖ raises the linear approximation most, and by ‖J‖."""

    def f(x):
        return np.sum(np.sin(x) * np.exp(-(x**2)))

    x = np.array([0.3, -0.8, 0.5])
    g = both_modes(f, x)[0]
    steepest = jvp(f, (x,), (g / np.linalg.norm(g),))[1]
    assert steepest == pytest.approx(np.linalg.norm(g), rel=1e-13)
    others = rng.normal(size=(200, 3))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert (jvp(f, (x,), (others,))[1] <= steepest).all()


def chain_loss(weights):
    def loss(x):
        for W in weights:
            x = np.tanh(W @ x)
        return np.sum(x)

    return loss


def product_flops(f, *args):
    """Counted flops of the products of matrices and vectors alone, however they are written."""
    work = cost(f, *args).by_operation
    return sum(work[name][1] for name in ("matmul", "dot", "tensordot", "einsum") if name in work)


def test_left_to_right_is_cheaper():
    """000 and 003: the gradient of L layers of n units costs O(L n²) in reverse and O(L n³) forward.

    The matrix products, counted: reverse has L of n² multiply-adds forward and L back, 4 L n² flops in all; forward has
    the same L forward and L with n tangents, 2 L n² (n + 1).  (003 says "O(n³)" of the gradient by n tangents; one JVP
    is O(L n²).)
    """
    for n, L in ((8, 3), (16, 3), (16, 6), (32, 3)):
        loss = chain_loss([rng.normal(size=(n, n)) / n for _ in range(L)])
        assert product_flops(grad(loss), np.ones(n)) == 4 * L * n**2
        by_tangents = product_flops(lambda x, T: jvp(loss, (x,), (T,)), np.ones(n), np.eye(n))
        assert by_tangents == 2 * L * n**2 * (n + 1)


def test_one_directional_derivative_costs_like_the_function():
    """004: each operation is replaced by two, so a JVP costs O(C): here exactly twice the products."""
    W, x = rng.normal(size=(16, 16)), np.ones(16)

    loss = chain_loss([W, W, W])
    assert product_flops(lambda x, t: jvp(loss, (x,), (t,)), x, x) == 2 * product_flops(loss, x)
