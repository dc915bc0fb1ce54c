"""The workloads of `speed`: a function, its arguments, and its derivative written by hand in NumPy.

A function takes the namespace first (`np`, or a peer's stand-in for it), then its arguments, so that every tool
differentiates the same code.  By hand means: what one writes after deriving line by line, forward lines followed by
backward lines, without changing the algorithm.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import gammaln

Array = Any


@dataclass(frozen=True)
class Workload:
    """One row: `kind` of derivative of function(np, *arguments) by its first `by` arguments."""

    name: str
    kind: str  # gradient, forward (Jacobian), reverse (Jacobian), hessian, hvp, push
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    by_hand: Callable[..., Any]  # the same arguments, without the namespace
    by: int = 1
    direction: Any = None  # of hvp and push
    adapted: Mapping[str, Callable[..., Any]] = field(default_factory=dict)  # tool -> the function its way
    absent: Mapping[str, str] = field(default_factory=dict)  # tool -> why it has no entry
    unit: str = "one derivative"


# ---------------------------------------------------------------------------------------------------
# A chain of layers
# ---------------------------------------------------------------------------------------------------

LAYERS = 8


def chain(np: Any, x: Array, *weights: Array) -> Array:
    for W in weights:
        x = np.tanh(W @ x)
    return x


def chain_sum(np: Any, x: Array, *weights: Array) -> Array:
    return np.sum(chain(np, x, *weights))


def _activations(x: Array, weights: tuple[Array, ...]) -> list[Array]:
    ys = []
    for W in weights:
        x = np.tanh(W @ x)
        ys.append(x)
    return ys


def chain_gradient(x: Array, *weights: Array) -> Array:
    u = np.ones_like(x)
    for W, y in zip(reversed(weights), reversed(_activations(x, weights)), strict=True):
        u = ((1 - y * y) * u) @ W
    return u


def chain_forward(x: Array, *weights: Array) -> Array:
    J = None
    for W in weights:
        x = np.tanh(W @ x)
        J = (1 - x * x)[:, None] * (W if J is None else W @ J)
    return J


def chain_reverse(x: Array, *weights: Array) -> Array:
    J = None
    for W, y in zip(reversed(weights), reversed(_activations(x, weights)), strict=True):
        d = 1 - y * y
        J = d[:, None] * W if J is None else (J * d) @ W
    return J


def _chain(kind: str, n: int, rng: np.random.Generator) -> Workload:
    arguments = (rng.normal(size=n), *(rng.normal(size=(n, n)) / np.sqrt(n) for _ in range(LAYERS)))
    if kind == "gradient":
        return Workload(f"tanh chain, gradient, n = {n}", kind, chain_sum, arguments, chain_gradient)
    by_hand = chain_forward if kind == "forward" else chain_reverse
    return Workload(f"tanh chain, Jacobian {kind}, n = {n}", kind, chain, arguments, by_hand)


# ---------------------------------------------------------------------------------------------------
# A batched perceptron: two hidden layers, quadratic loss
# ---------------------------------------------------------------------------------------------------


def perceptron(np: Any, W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array, X: Array, Y: Array) -> Array:
    H = np.tanh(X @ W1 + b1)
    H = np.tanh(H @ W2 + b2)
    error = H @ W3 + b3 - Y
    return np.sum(error * error) / X.shape[0]


def perceptron_gradient(
    W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array, X: Array, Y: Array
) -> tuple[Array, ...]:
    H1 = np.tanh(X @ W1 + b1)
    H2 = np.tanh(H1 @ W2 + b2)
    U3 = (H2 @ W3 + b3 - Y) * (2 / X.shape[0])
    U2 = (U3 @ W3.T) * (1 - H2 * H2)
    U1 = (U2 @ W2.T) * (1 - H1 * H1)
    return X.T @ U1, U1.sum(0), H1.T @ U2, U2.sum(0), H2.T @ U3, U3.sum(0)


def _perceptron(width: int, rng: np.random.Generator, batch: int = 128) -> Workload:
    layers = [a for _ in range(3) for a in (rng.normal(size=(width, width)) / np.sqrt(width), rng.normal(size=width))]
    arguments = (*layers, rng.normal(size=(batch, width)), rng.normal(size=(batch, width)))
    name = f"perceptron weights, batch {batch}, width {width}"
    return Workload(name, "gradient", perceptron, arguments, perceptron_gradient, by=6)


# ---------------------------------------------------------------------------------------------------
# Rosenbrock
# ---------------------------------------------------------------------------------------------------


def rosenbrock(np: Any, x: Array) -> Array:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_gradient(x: Array) -> Array:
    rest = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[1:] = 200.0 * rest
    g[:-1] += -400.0 * x[:-1] * rest - 2.0 * (1.0 - x[:-1])
    return g


def rosenbrock_hessian(x: Array) -> Array:
    H = np.zeros((x.size, x.size))
    i = np.arange(x.size - 1)
    H[i, i] = 2.0 + 1200.0 * x[:-1] ** 2 - 400.0 * x[1:]
    H[i + 1, i + 1] += 200.0
    H[i, i + 1] = H[i + 1, i] = -400.0 * x[:-1]
    return H


def rosenbrock_product(x: Array, v: Array) -> Array:
    head, off = 2.0 + 1200.0 * x[:-1] ** 2 - 400.0 * x[1:], -400.0 * x[:-1]
    p = np.zeros_like(x)
    p[:-1] = head * v[:-1] + off * v[1:]
    p[1:] += 200.0 * v[1:] + off * v[:-1]
    return p


def _rosenbrock(kind: str, n: int, rng: np.random.Generator) -> Workload:
    x = rng.normal(size=n)
    if kind == "gradient":
        return Workload(f"Rosenbrock, gradient, n = {n:,}", kind, rosenbrock, (x,), rosenbrock_gradient)
    if kind == "hessian":
        return Workload(f"Rosenbrock, Hessian, n = {n:,}", kind, rosenbrock, (x,), rosenbrock_hessian)
    v = rng.normal(size=n)
    by_hand = functools.partial(rosenbrock_product, v=v)
    return Workload(f"Rosenbrock, H·v, n = {n:,}", kind, rosenbrock, (x,), by_hand, direction=v)


# ---------------------------------------------------------------------------------------------------
# Gaussian mixture with a Wishart prior: the objective GMM of ADBench, with the prior's sign as in GradBench
# ---------------------------------------------------------------------------------------------------

GAMMA, WISHART_M = 1.0, 0


def places(d: int) -> Array:
    """S with (l @ S) the d×d matrix, raveled, whose strict lower triangle by columns is l."""
    S = np.zeros((d * (d - 1) // 2, d * d))
    columns = [(i, j) for j in range(d) for i in range(j + 1, d)]
    for k, (i, j) in enumerate(columns):
        S[k, i * d + j] = 1.0
    return S


def mixture(
    np: Any,
    alpha: Array,
    mu: Array,
    q: Array,
    l: Array,
    x: Array,
    S: Array,
    eye: Array,
    gamma: float = GAMMA,
    m: int = WISHART_M,
) -> Array:
    """The logarithm of the posterior.  Q_k: lower triangular, exp(q_k) on its diagonal and l_k below it."""
    N, d = x.shape
    K = alpha.shape[0]
    diagonal = np.exp(q)
    Q = (l @ S).reshape((K, d, d)) + diagonal.reshape((K, d, 1)) * eye
    z = (x - mu.reshape((K, 1, d))) @ np.swapaxes(Q, 1, 2)
    logs = (alpha + np.sum(q, axis=1)).reshape((K, 1)) - 0.5 * np.sum(z * z, axis=2)
    top = np.max(logs, axis=0)
    likelihood = np.sum(top + np.log(np.sum(np.exp(logs - top), axis=0)))
    highest = np.max(alpha, axis=0)
    normaliser = N * (highest + np.log(np.sum(np.exp(alpha - highest))))
    prior = m * np.sum(q) - 0.5 * gamma**2 * (np.sum(diagonal * diagonal) + np.sum(l * l))
    return likelihood - normaliser + prior + mixture_constant(N, d, K, gamma, m)


def mixture_constant(N: int, d: int, K: int, gamma: float = GAMMA, m: int = WISHART_M) -> float:
    """What does not depend on the parameters."""
    n = d + m + 1
    logs = 0.25 * d * (d - 1) * math.log(math.pi) + float(np.sum(gammaln(0.5 * (n - np.arange(d)))))
    return -N * d * 0.5 * math.log(2 * math.pi) + K * (n * d * (math.log(gamma) - 0.5 * math.log(2)) - logs)


def mixture_gradient(alpha: Array, mu: Array, q: Array, l: Array, x: Array, S: Array, eye: Array) -> tuple[Array, ...]:
    """With w_ki the responsibilities: ā = Σᵢ w − N softmax(α), z̄ = −w z, Q̄_k = z̄ₖᵀ(x − μₖ), and so on."""
    (N, d), K = x.shape, alpha.size
    diagonal = np.exp(q)
    Q = (l @ S).reshape(K, d, d) + diagonal[:, :, None] * eye
    differences = x - mu[:, None, :]
    z = differences @ Q.swapaxes(1, 2)
    logs = (alpha + q.sum(1))[:, None] - 0.5 * (z * z).sum(2)
    w = np.exp(logs - logs.max(0))
    w /= w.sum(0)
    share = np.exp(alpha - alpha.max())
    weight = w.sum(1)
    uz = -w[:, :, None] * z
    uQ = uz.swapaxes(1, 2) @ differences
    u_mu = -(uz @ Q).sum(1)
    u_q = weight[:, None] + np.einsum("kii->ki", uQ) * diagonal - GAMMA**2 * diagonal**2 + WISHART_M
    u_l = uQ.reshape(K, d * d) @ S.T - GAMMA**2 * l
    return weight - N * share / share.sum(), u_mu, u_q, u_l


def _mixture(rng: np.random.Generator, d: int = 10, K: int = 25, N: int = 1000) -> Workload:
    alpha, mu, q = rng.normal(size=K), rng.uniform(size=(K, d)), rng.normal(size=(K, d))
    l = rng.normal(size=(K, d * (d - 1) // 2))
    arguments = (alpha, mu, q, l, rng.normal(size=(N, d)), places(d), np.eye(d))
    name = f"Gaussian mixture, d = {d}, K = {K}, N = {N}"
    return Workload(name, "gradient", mixture, arguments, mixture_gradient, by=4)


# ---------------------------------------------------------------------------------------------------
# Loops: scalars, and a recurrent net
# ---------------------------------------------------------------------------------------------------

STEPS = 1000


def scalar_loop(np: Any, x: Array, a: Array) -> Array:
    for _ in range(STEPS):
        x = 0.9 * x + 0.5 * np.sin(a * x)
    return x


def scalar_loop_gradient(x: float, a: float) -> tuple[float, float]:
    """On Python floats, which are several times as fast as NumPy's scalars."""
    xs = []
    for _ in range(STEPS):
        xs.append(x)
        x = 0.9 * x + 0.5 * math.sin(a * x)
    u, ua = 1.0, 0.0
    for x in reversed(xs):
        slope = 0.5 * math.cos(a * x) * u
        ua += slope * x
        u = 0.9 * u + slope * a
    return u, ua


def scalar_scan(jnp: Any, x: Array, a: Array) -> Array:
    from jax import lax

    return lax.fori_loop(0, STEPS, lambda _, x: 0.9 * x + 0.5 * jnp.sin(a * x), x)


def recurrent(np: Any, W: Array, U: Array, b: Array, xs: Array) -> Array:
    h = b * 0.0
    for t in range(len(xs)):
        h = np.tanh(W @ h + U @ xs[t] + b)
    return np.sum(h * h)


def recurrent_gradient(W: Array, U: Array, b: Array, xs: Array) -> tuple[Array, Array, Array]:
    hs = [np.zeros_like(b)]
    for x in xs:
        hs.append(np.tanh(W @ hs[-1] + U @ x + b))
    u, uW, uU, ub = 2 * hs[-1], np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    for t in range(len(xs) - 1, -1, -1):
        z = (1 - hs[t + 1] * hs[t + 1]) * u
        uW += z[:, None] * hs[t]
        uU += z[:, None] * xs[t]
        ub += z
        u = z @ W
    return uW, uU, ub


def recurrent_scan(jnp: Any, W: Array, U: Array, b: Array, xs: Array) -> Array:
    from jax import lax

    last, _ = lax.scan(lambda h, x: (jnp.tanh(W @ h + U @ x + b), None), jnp.zeros_like(b), xs)
    return jnp.sum(last * last)


def _scalar_loop() -> Workload:
    name = f"{STEPS}-step scalar loop"
    return Workload(name, "gradient", scalar_loop, (0.3, 0.7), scalar_loop_gradient, by=2, adapted={"jax": scalar_scan})


def recurrent_arguments(steps: int, n: int, rng: np.random.Generator) -> tuple[Array, ...]:
    """W, U, b and the inputs; W and U shrink what passes through them a little."""
    matrices = [0.9 * np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2)]
    return (*matrices, rng.normal(size=n), rng.normal(size=(steps, n)))


# Preparing a derivative for its first call, without a loop that the tool knows of: the steps are unrolled.
PREPARING = "preparing the unrolled recurrent net"


def unrolled(steps: int, rng: np.random.Generator, n: int = 32) -> Workload:
    """The recurrent net as it stands, for every tool."""
    return Workload(PREPARING, "gradient", recurrent, recurrent_arguments(steps, n, rng), recurrent_gradient, by=3)


def _recurrent(rng: np.random.Generator, n: int = 32) -> Workload:
    arguments = recurrent_arguments(STEPS, n, rng)
    name = f"recurrent net, {STEPS} steps, n = {n}"
    return Workload(name, "gradient", recurrent, arguments, recurrent_gradient, by=3, adapted={"jax": recurrent_scan})


# ---------------------------------------------------------------------------------------------------
# Elementwise work, and one multiplication
# ---------------------------------------------------------------------------------------------------


def elementwise(np: Any, x: Array) -> Array:
    return np.sum(np.exp(np.sin(x) * np.cos(x) + np.tanh(x) ** 2) / (1.0 + x**2))


def elementwise_gradient(x: Array) -> Array:
    s, c, t = np.sin(x), np.cos(x), np.tanh(x)
    d = 1.0 + x * x
    y = np.exp(s * c + t * t) / d
    return y * (c * c - s * s + 2.0 * t * (1.0 - t * t) - 2.0 * x / d)


def _elementwise(n: int, rng: np.random.Generator) -> Workload:
    return Workload(f"elementwise, n = {n:,}", "gradient", elementwise, (rng.normal(size=n),), elementwise_gradient)


# A vector so short that a product of two is all overhead.
SHORT_VECTOR = 8


def products(length: int) -> Callable[..., Any]:
    """y ← y·x, `length` times."""

    def function(np: Any, x: Array) -> Array:
        y = x
        for _ in range(length):
            y = y * x
        return np.sum(y)

    return function


def products_push(length: int, t: Array) -> Callable[[Array], Array]:
    def push(x: Array) -> Array:
        y, yt = x, t
        for _ in range(length):
            y, yt = y * x, yt * x + y * t
        return yt.sum()

    return push


def products_pull(length: int) -> Callable[[Array], Array]:
    def pull(x: Array) -> Array:
        ys = [x]
        for _ in range(length):
            ys.append(ys[-1] * x)
        u, ux = np.ones_like(x), np.zeros_like(x)
        for y in reversed(ys[:-1]):
            ux += u * y
            u = u * x
        return ux + u

    return pull


def one_product(kind: str, length: int, rng: np.random.Generator) -> Workload:
    """A loop of products; the slope of its seconds over lengths is the cost of one."""
    x, t = rng.uniform(0.99, 1.01, size=SHORT_VECTOR), rng.normal(size=SHORT_VECTOR)
    mode = "forward" if kind == "push" else "reverse"
    return Workload(
        f"one a·b, {mode}",
        kind,
        products(length),
        (x,),
        products_push(length, t) if kind == "push" else products_pull(length),
        direction=t,
        absent={"jax": "its compiler fuses the loop away"},
        unit="one product, from the slope over loop lengths",
    )


def workloads(rng: np.random.Generator) -> list[Workload]:
    """The rows of the table, in order; the two of a single product are made apart, by `one_product`."""
    return [
        *(_chain("gradient", n, rng) for n in (8, 64, 512)),
        *(_perceptron(width, rng) for width in (64, 256)),
        *(_chain(kind, n, rng) for kind in ("forward", "reverse") for n in (8, 64, 256)),
        *(_rosenbrock("gradient", n, rng) for n in (10, 1_000, 100_000)),
        _rosenbrock("hessian", 200, rng),
        _rosenbrock("hvp", 100_000, rng),
        _mixture(rng),
        _scalar_loop(),
        _recurrent(rng),
        *(_elementwise(n, rng) for n in (1_000, 1_000_000)),
    ]
