"""The worked examples of five lectures on backpropagation, as plain NumPy functions with the lectures' own numbers.

The names of the lectures: "CTU" is Deep Learning (BEV033DLA), lecture 2, CTU Prague; "Zhang" is Yao Zhang,
Backpropagation, after Hofmann's lecture at ETH; "Galasso" is Neural Networks and Backpropagation, Fundamentals of Data
Science; "Murphy" is Probabilistic Machine Learning, section 13.3; "CS4787" is lecture 4 of Cornell's CS4787.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from admodes import layers, root


@dataclass(frozen=True)
class Example:
    """One worked example: where it is from, the function, its arguments, and what is asked for.

    note : a sentence for the index: what the lecture shows by it, and where its slide slips.
    """

    source: str
    note: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    target: Literal["gradient", "jvp", "vjp", "jacobian"] = "gradient"
    direction: Any = None

    @property
    def name(self) -> str:
        return self.f.__name__


# ---------------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------------


def sum_times_z(x, y, z):
    q = x + y
    return q * z


def logistic_unit(w0, x0, w1, x1, w2):
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def flat_code(w0, x0, w1, x1, w2):
    s0 = w0 * x0
    s1 = w1 * x1
    s2 = s0 + s1
    s3 = s2 + w2
    L = layers.sigmoid(s3)
    return L


def elementary(x):
    return np.array([np.exp(x), 1 / x, -0.53 * x, 2.0 + x])


def add_gate(x, y):
    return x + y


def multiply_gate(x, y):
    return x * y


def copy_gate(x):
    return 1 * x, 1 * x


def max_gate(x, y):
    return np.maximum(x, y)


def root_of_logarithm(x):
    y = x**2
    z = np.log(y)
    return np.sqrt(z)


def dual_number(x):
    return x * x + 1.0


def linear_unit(W, x, b):
    U1 = W * x
    U2 = U1 + b
    return np.maximum(0, U2)


def no_tree(x):
    u = x + 1
    y = x * u
    return y


def product_with_itself(x):
    return x * x


def total_derivative(b):
    y = np.exp(b)
    return b * np.sin(y)


def implicit_layer(x):
    z = root(lambda z, x: x**2 + z**2 - 1, 0.8, x)
    return z


# ---------------------------------------------------------------------------------------------------
# Vectors and matrices
# ---------------------------------------------------------------------------------------------------

rng = np.random.default_rng(7)


def _numbers(*shape: int) -> Any:
    """Standard normal numbers to one decimal, as on a slide."""
    return np.round(rng.normal(size=shape), 1)


def relu_of_a_vector(x):
    return np.maximum(0, x)


def product_of_matrices(x, w):
    y = x @ w
    return y


A, B = _numbers(2, 3), _numbers(3, 4)


def linear_composition(x):
    return A @ (B @ x)


def composition(x):
    z = np.tanh(B @ x)
    return np.exp(A @ z)


V4, nu3 = [_numbers(3, 3) for _ in range(4)], _numbers(3)


def activity_backpropagation(x):
    for V in V4:
        x = np.tanh(V @ x)
    return layers.quadratic_loss(x, nu3)


x4 = _numbers(4)


def weights(W, b):
    x = np.tanh(W @ x4 + b)
    return layers.quadratic_loss(x, nu3)


W53, b5 = _numbers(5, 3), _numbers(5)


def ridge(x):
    return np.maximum(0, W53 @ x + b5)


def elementwise_layer(x):
    return np.tanh(x)


def linear_layer(x, W, b):
    return W @ x + b


def correlation_layer(x, w, b):
    return layers.correlation(x, w, b)


X4 = [_numbers(2, 3), _numbers(4, 3)]


def children(x4):
    x5 = X4[0] @ x4
    x7 = X4[1] @ x4
    return np.sum(np.sin(x5)) * np.sum(x7**2)


# ---------------------------------------------------------------------------------------------------
# Softmax, losses, networks
# ---------------------------------------------------------------------------------------------------


def softmax_loss(s):
    e = np.exp(s)
    p = e / np.sum(e)
    return -np.log(p[0])


def softmax_composed(a):
    y = np.exp(a)
    return y / np.sum(y)


def softmax(a):
    return layers.softmax(a)


t4 = np.array([0.1, 0.2, 0.3, 0.4])


def linear_softmax(x, W, b):
    a = W @ x + b
    y = layers.softmax(a)
    return -np.sum(t4 * np.log(y))


def quadratic_loss(y, nu):
    r = y - nu
    return np.sum(r**2) / 2


def logistic_loss(z):
    return np.log(np.sum(np.exp(z))) - z[2]


W1 = np.array([[1.0, 0.5, -1.0], [-1.0, 0.2, 0.3], [0.3, 0.8, 0.1], [-0.5, -1.0, 0.4]])
W2 = np.array([[0.2, -0.4, 1.0, 0.3], [0.7, 0.1, -0.6, 0.2], [-0.3, 0.5, 0.4, -0.9]])
x1 = np.array([0.8, 1.2, -0.5])


def perceptron(W1, W2):
    x2 = W1 @ x1
    x3 = np.maximum(0, x2)
    x4 = W2 @ x3
    return layers.cross_entropy(x4, np.array([0.0, 1.0, 0.0]))


def perceptron_quadratic(W1, W2):
    x3 = np.tanh(W1 @ x1)
    r = np.array([0.5, -1.0, 2.0]) - W2 @ x3
    return np.sum(r**2) / 2


X53, labels = _numbers(5, 3), np.array([0, 2, 1, 1, 0])


def total_loss(W1, W2):
    hidden = np.maximum(0, X53 @ W1.T)
    scores = hidden @ W2.T
    data = np.mean(layers.cross_entropy(scores, labels))
    return data + 0.1 * (np.sum(W1**2) + np.sum(W2**2))


def regularisation(w1, w2):
    return np.sum(w1**2), np.sum(w2**2)


def activations(x):
    return layers.sigmoid(x), np.tanh(x), np.maximum(0, x), np.maximum(0.1 * x, x), layers.elu(x)


def maxout(x, w1, b1, w2, b2):
    return np.maximum(w1 @ x + b1, w2 @ x + b2)


def steepest_ascent(x):
    return np.sum(np.sin(x) * np.exp(-(x**2)))


def linear_approximation(x):
    return np.tanh(B @ x)


V1, V2, V3 = (_numbers(3, 3) for _ in range(3))


def tanh_chain(x):
    h = np.tanh(V1 @ x)
    h = np.tanh(V2 @ h)
    h = np.tanh(V3 @ h)
    return np.sum(h)


# ---------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------

EXAMPLES = [
    Example("Galasso", "q = x + y = 3; the gradient is (−4, −4, 3).", sum_times_z, (-2.0, 5.0, -4.0)),
    Example(
        "Galasso",
        "A logistic unit, node by node: 0.73 forward, and back 1.00, −0.53, −0.53, −0.20, 0.20.",
        logistic_unit,
        (2.0, -1.0, -3.0, -2.0, -3.0),
    ),
    Example(
        "Galasso",
        "The flat code, with the sigmoid as one node: σ′ = (1 − σ)σ.",
        flat_code,
        (2.0, -1.0, -3.0, -2.0, -3.0),
    ),
    Example("Galasso", "Local gradients: eˣ, −1/x², a, 1.", elementary, (1.37,), target="jacobian"),
    Example("Galasso", "An addition distributes what comes back.", add_gate, (3.0, 4.0), target="vjp", direction=2.0),
    Example("Galasso", "A multiplication swaps the factors.", multiply_gate, (2.0, 3.0), target="vjp", direction=5.0),
    Example(
        "Galasso",
        "What comes back from two copies adds up: 4 + 2.",
        copy_gate,
        (7.0,),
        target="vjp",
        direction=(4.0, 2.0),
    ),
    Example(
        "Galasso", "A maximum routes what comes back to the larger.", max_gate, (4.0, 5.0), target="vjp", direction=9.0
    ),
    Example("CTU", "√(log x²): three factors, ½ z^(−½) · 1/y · 2x.", root_of_logarithm, (2.0,)),
    Example("CS4787", "x·x + 1.0 on a dual number: (x² + 1, 2x).", dual_number, (3.0,), target="jvp"),
    Example(
        "CS4787", "H = max(0, Wx + b): U₁ = 6, U₂ = 7, H = 7, and back 1, 1, 1, 3, 2.", linear_unit, (2.0, 3.0, 1.0)
    ),
    Example(
        "CS4787",
        "A graph that is no tree: at x = 17, 18 comes back from the product and 17 from u, 35 in all.",
        no_tree,
        (17.0,),
    ),
    Example("CS4787", "ℓ = F(x, x) with F(u, v) = uv: dℓ/dx = v + u = 2x.", product_with_itself, (3.0,)),
    Example("CTU", "An input used twice: the total derivative is ∂f/∂b + ∂f/∂y · dy/db.", total_derivative, (0.7,)),
    Example(
        "CTU", "An implicit layer, x² + z² = 1: dz/dx = −x/z; the slide drops the minus sign.", implicit_layer, (0.6,)
    ),
    Example(
        "Galasso",
        "relu of a vector with its upstream: (4, 0, 5, 0).",
        relu_of_a_vector,
        (np.array([1.0, -2.0, 3.0, -1.0]),),
        target="vjp",
        direction=np.array([4.0, -1.0, 5.0, 9.0]),
    ),
    Example(
        "Galasso",
        "dL/dx = (dL/dy) wᵀ and dL/dw = xᵀ (dL/dy); the slide prints a y that is not x·w.",
        product_of_matrices,
        (np.array([[2.0, 1, -3], [-3, 4, 2]]), np.array([[3.0, 2, 1, -1], [2, 1, 3, 2], [3, 2, 1, -2]])),
        target="vjp",
        direction=np.array([[2.0, 3, -3, 9], [-8, 1, 4, 6]]),
    ),
    Example("CTU", "f(x) = ABx: the Jacobian is AB.", linear_composition, (_numbers(4),), target="jacobian"),
    Example("Zhang", "J of H∘G is J_H · J_G.", composition, (_numbers(4),), target="jacobian"),
    Example(
        "Zhang",
        "Activity backpropagation: e at a layer is e of the next times its Jacobian.",
        activity_backpropagation,
        (_numbers(3),),
    ),
    Example("Zhang", "From activations to weights: (∂ℓ/∂x_i) σ′ x_j.", weights, (_numbers(3, 4), _numbers(3))),
    Example(
        "Zhang",
        "A ridge function with relu: the Jacobian is W with the rows of closed units 0.",
        ridge,
        (_numbers(3),),
        target="jacobian",
    ),
    Example(
        "Murphy",
        "An elementwise layer: J = diag(φ′(x)).",
        elementwise_layer,
        (np.array([-1.0, 0.5, 2.0]),),
        target="jacobian",
    ),
    Example(
        "Murphy",
        "A linear layer: uᵀW to x, u xᵀ to W, u to b.",
        linear_layer,
        (_numbers(4), _numbers(3, 4), _numbers(3)),
        target="vjp",
        direction=np.array([1.0, -2.0, 0.5]),
    ),
    Example(
        "CTU",
        "A correlation layer: each gradient is a correlation or convolution again.",
        correlation_layer,
        (_numbers(7), _numbers(3), _numbers(5)),
        target="vjp",
        direction=np.array([1.0, 2.0, -1.0, 0.5, 3.0]),
    ),
    Example("Murphy", "The adjoint of x₄ is a sum over its children.", children, (_numbers(3),)),
    Example(
        "Galasso",
        "Scores of cat, car and frog: probabilities 0.13, 0.87, 0.00, loss 2.04.",
        softmax_loss,
        (np.array([3.2, 5.1, -1.7]),),
    ),
    Example(
        "CTU",
        "Softmax as composed of other operations: Diag(y) − y yᵀ.",
        softmax_composed,
        (np.array([0.5, -1.0, 2.0, 0.0]),),
        target="jacobian",
    ),
    Example("CTU", "Softmax as one operation.", softmax, (np.array([0.5, -1.0, 2.0, 0.0]),), target="jacobian"),
    Example(
        "CTU",
        "A linear layer, softmax and −tᵀ log y, back to x, W and b.",
        linear_softmax,
        (_numbers(3), _numbers(4, 3), _numbers(4)),
    ),
    Example(
        "Zhang",
        "The quadratic loss ½‖y − ν‖²: its negative gradient by ν is y − ν.",
        quadratic_loss,
        (np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 2.0])),
    ),
    Example(
        "Zhang",
        "The logistic loss; its gradient is p − δ, where the slide has the sign and an index wrong.",
        logistic_loss,
        (np.array([0.2, -1.0, 1.5]),),
    ),
    Example("Murphy", "A perceptron with cross-entropy: u₂ = p − y, u₁ = (W₂ᵀu₂) ⊙ H(x₂).", perceptron, (W1, W2)),
    Example("Murphy", "L = ½‖y − W₂φ(W₁x)‖² by both weights.", perceptron_quadratic, (W1, W2)),
    Example(
        "Galasso",
        "The total loss of two layers: the mean of softmax losses, and λ times the sums of squares.",
        total_loss,
        (W1, W2),
    ),
    Example(
        "Galasso",
        "L2 regularisation prefers spread-out weights: R = 1 and R = 0.25, gradients 2w.",
        regularisation,
        (np.array([1.0, 0, 0, 0]), np.full(4, 0.25)),
        target="jacobian",
    ),
    Example(
        "Galasso",
        "Activation functions left and right of 0: sigmoid, tanh, relu, leaky relu, ELU.",
        activations,
        (np.array([-2.0, 3.0]),),
        target="jvp",
    ),
    Example(
        "Galasso",
        "Maxout: the gradient goes to the larger alone.",
        maxout,
        (np.array([1.0, 2.0]), np.array([1.0, 1.0]), 0.0, np.array([-1.0, 0.5]), 1.0),
    ),
    Example(
        "CTU",
        "Steepest ascent: the gradient is the step that raises the linear approximation most.",
        steepest_ascent,
        (np.array([0.3, -0.8, 0.5]),),
    ),
    Example(
        "CTU",
        "The local linear approximation f(x₀) + JΔx.",
        linear_approximation,
        (_numbers(4),),
        target="jvp",
        direction=(np.array([0.1, -0.2, 0.1, 0.3]),),
    ),
    Example(
        "CTU and Murphy",
        "The tanh chain at n = 3: reverse mode takes O(L n²), forward mode O(L n³).",
        tanh_chain,
        (np.array([0.5, -1.0, 2.0]),),
    ),
]
