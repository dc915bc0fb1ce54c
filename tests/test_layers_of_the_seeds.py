"""The layers of the seeds: values, both modes, second order, K directions, nesting, extremes, cost."""

import numpy as np
import pytest
from checks import jacobian_by_differences

from admodes import custom_op, grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, layers, vjp
from admodes.program import cost

rng = np.random.default_rng(7)
SCORES = rng.normal(size=(3, 4))
TARGET = np.exp(SCORES[::-1]) / np.exp(SCORES[::-1]).sum(axis=1, keepdims=True)
LABELS = np.array([2, 0, 3])
# Clear of the kinks at 0.
AWAY = np.array([-2.0, -0.7, 0.4, 1.9])

W1, B1, W2, B2 = rng.normal(size=(2, 4)), rng.normal(size=2), rng.normal(size=(2, 4)), rng.normal(size=2)

CASES = {
    "sigmoid": (layers.sigmoid, AWAY),
    "tanh": (layers.tanh, AWAY),
    "relu": (layers.relu, AWAY),
    "leaky_relu": (layers.leaky_relu, AWAY),
    "leaky_relu slope": (lambda x: layers.leaky_relu(x, slope=0.3), AWAY),
    "elu": (layers.elu, AWAY),
    "elu alpha": (lambda x: layers.elu(x, alpha=0.5), AWAY),
    "linear by x": (lambda x: layers.linear(x, W1, B1), AWAY),
    "linear by W": (lambda W: layers.linear(AWAY, W, B1), W1),
    "linear batch by W": (lambda W: layers.linear(SCORES, W, B1), W1),
    "linear batch by b": (lambda b: layers.linear(SCORES, W1, b), B1),
    "maxout": (lambda x: layers.maxout(x, W1, B1, W2, B2), AWAY),
    "maxout batch by w2": (lambda w: layers.maxout(SCORES, W1, B1, w, B2), W2),
    "correlation by x": (lambda x: layers.correlation(x, B1, 0.5), AWAY),
    "correlation by w": (lambda w: layers.correlation(AWAY, w, 0.5), B1),
    "softmax": (layers.softmax, SCORES),
    "softmax axis 0": (lambda a: layers.softmax(a, axis=0), SCORES),
    "softmax axis by position": (lambda a: layers.softmax(a, 0), SCORES),
    "softmax both axes": (lambda a: layers.softmax(a, axis=(0, 1)), SCORES),
    "softmax_composed": (layers.softmax_composed, SCORES),
    "log_softmax": (layers.log_softmax, SCORES),
    "log_softmax axis 0": (lambda a: layers.log_softmax(a, axis=0), SCORES),
    "cross_entropy": (lambda a: layers.cross_entropy(a, TARGET), SCORES),
    "cross_entropy by target": (lambda t: layers.cross_entropy(SCORES, t), TARGET),
    "cross_entropy labels": (lambda a: layers.cross_entropy(a, LABELS), SCORES),
    "cross_entropy axis 0": (lambda a: layers.cross_entropy(a, np.array([0, 2, 1, 1]), axis=0), SCORES),
    "cross_entropy_composed": (lambda a: layers.cross_entropy_composed(a, TARGET), SCORES),
    "logistic_loss": (lambda a: layers.logistic_loss(a, LABELS), SCORES),
    "quadratic_loss": (lambda y: layers.quadratic_loss(y, TARGET), SCORES),
    "quadratic_loss by nu": (lambda nu: layers.quadratic_loss(SCORES, nu), TARGET),
    "l2_penalty": (layers.l2_penalty, SCORES),
}


@pytest.mark.parametrize("name", CASES)
def test_first_derivative_in_both_modes_is_that_of_differences(name):
    f, x = CASES[name]
    expected = jacobian_by_differences(f, x)
    np.testing.assert_allclose(jacfwd(f)(x), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jacrev(f)(x), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "mode", ["forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"]
)
def test_second_derivative_in_all_nestings_is_that_of_differences(name, mode):
    f, x = CASES[name]

    def scalar(x):
        y = f(x)
        return np.sum(y * np.cos(y))

    expected = jacobian_by_differences(lambda z: jacfwd(scalar)(z), x)
    np.testing.assert_allclose(hessian(scalar, mode=mode)(x), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_k_directions_are_k_single_ones(name):
    f, x = CASES[name]
    y, pullback = vjp(f, x)
    ts, us = rng.normal(size=(3, *x.shape)), rng.normal(size=(3, *np.shape(y)))
    pushed, pulled = jvp(f, (x,), (ts,))[1], pullback(us)[0]
    for k in range(3):
        np.testing.assert_allclose(pushed[k], jvp(f, (x,), (ts[k],))[1], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(pulled[k], pullback(us[k])[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_gradient_by_float32_is_float32_whatever_the_other_operands(name):
    f, x = CASES[name]
    x = x.astype(np.float32)
    y, pullback = vjp(f, x)
    assert pullback(np.ones(y.shape, y.dtype))[0].dtype == np.float32


def test_results_of_float32_layers_are_float32():
    x, target = SCORES.astype(np.float32), TARGET.astype(np.float32)
    elementwise = [layers.sigmoid, layers.tanh, layers.relu, layers.leaky_relu, layers.elu]
    losses = [layers.cross_entropy, layers.cross_entropy_composed]
    for f in (
        *elementwise,
        layers.softmax,
        layers.softmax_composed,
        layers.log_softmax,
        *[lambda a, loss=loss: loss(a, target) for loss in (*losses, layers.quadratic_loss)],
        *[lambda a, loss=loss: loss(a, LABELS) for loss in (*losses, layers.logistic_loss)],
        layers.l2_penalty,
    ):
        assert f(x).dtype == np.float32
        y, t = jvp(f, (x,), (x,))
        assert y.dtype == t.dtype == np.float32
        assert vjp(f, x)[1](y)[0].dtype == np.float32


# Sigmoid --------------------------------------------------------------------------------------------


def test_sigmoid_far_out_is_exact_and_warns_of_nothing():
    x = np.array([-1000.0, -745.0, -40.0, 0.0, 40.0, 1000.0])
    np.testing.assert_allclose(layers.sigmoid(x), [0, np.exp(-745.0), np.exp(-40.0), 0.5, 1, 1], rtol=1e-14)
    # σ′ = e^{−|x|}/(1 + e^{−|x|})², on both sides to full precision
    slope = grad(lambda x: layers.sigmoid(x).sum())(x)
    np.testing.assert_allclose(slope, [0, np.exp(-745.0), np.exp(-40.0), 0.25, np.exp(-40.0), 0], rtol=1e-14)
    assert np.isfinite(hessian(lambda x: layers.sigmoid(x).sum())(x)).all()


def test_derivatives_of_sigmoid_at_0_to_third_order():
    # σ(x) = 1/2 + x/4 − x³/48 + …
    d1 = grad(layers.sigmoid)
    assert d1(0.0) == 0.25
    assert grad(d1)(0.0) == 0.0
    assert grad(grad(d1))(0.0) == -0.125


# Kinks ----------------------------------------------------------------------------------------------


def test_kinks_are_as_documented():
    zero = np.array([0.0])
    for f, slope in ((layers.relu, 0.0), (layers.leaky_relu, 0.1), (layers.elu, 1.0)):
        assert jacfwd(f)(zero).item() == slope
        assert jacrev(f)(zero).item() == slope
    # maxout shares a tie: half of w₁ and half of w₂
    g = grad(lambda x: layers.maxout(x, np.array([1.0, 0.0]), 0.0, np.array([0.0, 3.0]), 0.0))(np.zeros(2))
    np.testing.assert_array_equal(g, [0.5, 1.5])


def test_nan_is_not_swallowed():
    for f in (layers.sigmoid, layers.relu, layers.leaky_relu, layers.elu):
        assert np.isnan(f(np.array([np.nan, 1.0]))[0])


def test_elu_does_not_overflow():
    x = np.array([-1e4, 1e4])
    np.testing.assert_array_equal(layers.elu(x), [-1.0, 1e4])
    np.testing.assert_array_equal(grad(lambda x: layers.elu(x).sum())(x), [0.0, 1.0])


# Softmax and its losses -----------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 1)])
def test_fused_and_composed_softmax_agree(axis):
    np.testing.assert_allclose(layers.softmax(SCORES, axis), layers.softmax_composed(SCORES, axis), rtol=1e-14)
    np.testing.assert_allclose(layers.softmax(SCORES, axis).sum(axis=axis), 1.0, rtol=1e-14)
    np.testing.assert_allclose(layers.log_softmax(SCORES, axis), np.log(layers.softmax(SCORES, axis)), rtol=1e-13)
    for jac in (jacfwd, jacrev):
        fused = jac(lambda a: layers.softmax(a, axis))(SCORES)
        np.testing.assert_allclose(fused, jac(lambda a: layers.softmax_composed(a, axis))(SCORES), atol=1e-15)


@pytest.mark.parametrize("target", [TARGET, LABELS], ids=["probabilities", "labels"])
def test_fused_and_composed_cross_entropy_agree(target):
    fused, composed = (
        lambda a: layers.cross_entropy(a, target).mean(),
        lambda a: layers.cross_entropy_composed(a, target).mean(),
    )
    np.testing.assert_allclose(fused(SCORES), composed(SCORES), rtol=1e-14)
    np.testing.assert_allclose(grad(fused)(SCORES), grad(composed)(SCORES), atol=1e-15)
    np.testing.assert_allclose(hessian(fused)(SCORES), hessian(composed)(SCORES), atol=1e-15)
    t = rng.normal(size=(2, *SCORES.shape))
    np.testing.assert_allclose(hvp(fused, (SCORES,), (t,)), hvp(composed, (SCORES,), (t,)), atol=1e-15)


def test_hessian_of_cross_entropy_is_that_of_softmax():
    """∂²z/∂a² = Diag(p) − p pᵀ."""
    a, p = SCORES[0], layers.softmax(SCORES[0])
    np.testing.assert_allclose(
        hessian(lambda a: layers.cross_entropy(a, 1))(a), np.diag(p) - np.outer(p, p), atol=1e-15
    )


def test_target_that_does_not_sum_to_1():
    """z = −Σ y_c log p_c has the gradient (Σy) p − y."""
    y, a = np.array([1.0, 2.0, 0.5]), np.array([0.3, -0.2, 0.9])
    p = layers.softmax(a)
    np.testing.assert_allclose(grad(lambda a: layers.cross_entropy(a, y))(a), 3.5 * p - y, rtol=1e-14)
    np.testing.assert_allclose(grad(lambda y: layers.cross_entropy(a, y))(y), -np.log(p), rtol=1e-14)


def test_mixed_second_derivative_by_scores_and_target():
    """∂²z/∂y∂a = 1 pᵀ − I."""
    a, y = SCORES[0], TARGET[0]
    mixed = jacobian(lambda y: grad(lambda a: layers.cross_entropy(a, y))(a))(y)
    np.testing.assert_allclose(mixed, layers.softmax(a)[:, None] - np.eye(4), atol=1e-15)
    other = jacobian(lambda a: grad(lambda y: layers.cross_entropy(a, y))(y))(a)
    np.testing.assert_allclose(other, mixed.T, atol=1e-15)


def test_scores_far_apart():
    a = np.array([1000.0, 0.0, -1000.0])
    np.testing.assert_array_equal(layers.softmax(a), [1, 0, 0])
    np.testing.assert_array_equal(layers.log_softmax(a), [0, -1000, -2000])
    for f in (layers.cross_entropy, layers.cross_entropy_composed, layers.logistic_loss):
        assert f(a, 2) == 2000
        np.testing.assert_array_equal(grad(lambda a: f(a, 2))(a), [1, 0, -1])


def test_layers_run_on_lists_of_traced_scalars():
    x = np.array([3.2, 5.1, -1.7])
    for f in (layers.softmax, layers.sigmoid, layers.relu, layers.log_softmax):
        built = jacrev(lambda x: f(np.array([x[0], x[1], x[2]])))(x)
        np.testing.assert_allclose(built, jacrev(f)(x), rtol=1e-14)


def test_fused_layers_cost_linear_work():
    """Twice the classes, twice the flops of a gradient; and no more of them than the composition has."""

    def flops(f, n):
        return cost(grad(lambda a: f(a) @ np.ones(n)), np.linspace(0.0, 1.0, n)).flops

    for f in (layers.softmax, layers.softmax_composed, layers.log_softmax):
        assert flops(f, 2000) / flops(f, 1000) == pytest.approx(2, rel=0.01)
    loss = cost(grad(lambda a: layers.cross_entropy(a, 3)), np.zeros(2000)).flops
    assert loss / cost(grad(lambda a: layers.cross_entropy(a, 3)), np.zeros(1000)).flops == pytest.approx(2, rel=0.01)


# Errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [layers.cross_entropy, layers.cross_entropy_composed, layers.logistic_loss])
def test_targets_that_do_not_fit(loss):
    with pytest.raises(ValueError, match=r"target has shape \(2,\) and scores \(3, 4\)"):
        loss(SCORES, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"labels run from -1 to 0, but the scores have the classes 0 … 3"):
        loss(SCORES, np.array([0, -1, 0]))
    with pytest.raises(ValueError, match=r"labels run from 4 to 4"):
        grad(lambda a: loss(a, np.array(4)))(SCORES[0])
    with pytest.raises(ValueError, match="target has shape"):
        loss(SCORES, np.array([0.0, 1.0, 2.0]))  # labels are integers


@pytest.mark.parametrize(("x", "w"), [((2,), (3,)), ((2,), (0,)), ((2, 2), (2,)), ((3,), ())])
def test_correlation_refuses_what_is_no_correlation(x, w):
    with pytest.raises(ValueError, match="correlation: x has shape"):
        layers.correlation(np.ones(x), np.ones(w))


def test_softmax_over_an_axis_that_is_not_there():
    with pytest.raises(np.exceptions.AxisError):
        layers.softmax(SCORES, axis=2)
    with pytest.raises(np.exceptions.AxisError):
        grad(lambda a: layers.softmax(a, axis=2).sum())(SCORES)


# The three forms of softmax (seed 000) as operations of one's own --------------------------------------


def test_softmax_by_custom_op_one_direction_at_a_time():
    """The push as the seed's backward writes it, for a vector: y ⊙ t − y Σ y t."""
    mine = custom_op(layers.softmax_composed, push=lambda t, y, a: y * t - y * np.sum(y * t))
    np.testing.assert_allclose(jacrev(mine)(SCORES[0]), jacrev(layers.softmax)(SCORES[0]), atol=1e-16)
    np.testing.assert_allclose(jacfwd(mine)(SCORES[0]), jacrev(layers.softmax)(SCORES[0]), atol=1e-16)
