"""Functions of all kinds, each of one array, on which predictions are put to the test: the suite of `truth`.

Elementwise work, chains of layers, stencils, reductions, loops, scalar programs, linear algebra, gathers and scatters,
index sums, transforms, sorting, special functions; small, where calls cost, and large, where bytes do.  None of them is
among what the cost model's constants are fitted on, which are single operations and chains of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

Array = Any


@dataclass(frozen=True)
class Function:
    """A function of one array, and the array."""

    name: str
    kind: str
    f: Callable[[Array], Array]
    x: Array


def _elementwise(rng: np.random.Generator) -> list[Function]:
    def gelu(x: Array) -> Array:
        return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))

    def softplus(x: Array) -> Array:
        return np.logaddexp(0.0, x) - 0.5 * np.log1p(np.exp(-np.abs(x)))

    def rational(x: Array) -> Array:
        return (1 + x * (2 + x * 3)) / (1 + x * x)

    def mixed(x: Array) -> Array:
        return np.sin(x) * np.exp(-x * x) + np.sqrt(1 + x * x)

    def clipped(x: Array) -> Array:
        return np.where(x > 0, np.minimum(x, 1.0), 0.01 * x)

    made = []
    for n in (5, 300, 40_000):
        x = rng.normal(size=n)
        for f in (gelu, softplus, rational, mixed, clipped):
            made.append(Function(f"{f.__name__}, n = {n:,}", "elementwise", _summed(f) if n > 100 else f, x))
    made.append(Function("mixed, n = 1,000,000", "elementwise", _summed(mixed), rng.normal(size=1_000_000)))
    return made


def _summed(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: np.sum(f(x))


def _layers(rng: np.random.Generator) -> list[Function]:
    def chain(weights: list[Array], last: Callable[[Array], Array]) -> Callable[[Array], Array]:
        def f(x: Array) -> Array:
            for W in weights:
                x = np.tanh(W @ x)
            return last(x)

        return f

    def weights(n: int, layers: int) -> list[Array]:
        return [rng.normal(size=(n, n)) / np.sqrt(n) for _ in range(layers)]

    def batched(W: Array, V: Array) -> Callable[[Array], Array]:
        return lambda X: np.sum(np.maximum(X @ W, 0.0) @ V)

    def attention(x: Array) -> Array:
        scores = x @ x.T / np.sqrt(x.shape[1])
        e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
        return np.sum((e / np.sum(e, axis=1, keepdims=True)) @ x)

    made = [
        Function(f"chain to a number, n = {n}", "layers", chain(weights(n, 4), np.sum), rng.normal(size=n))
        for n in (6, 100, 400)
    ]
    made += [
        Function(f"chain to a vector, n = {n}", "layers", chain(weights(n, 3), lambda y: y), rng.normal(size=n))
        for n in (12, 90)
    ]
    made.append(Function("batch of 64, width 96", "layers", batched(*weights(96, 2)), rng.normal(size=(64, 96))))
    made.append(Function("attention, 48 × 16", "layers", attention, rng.normal(size=(48, 16))))
    return made


def _stencils(rng: np.random.Generator) -> list[Function]:
    def rosenbrock(x: Array) -> Array:
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def heat(u: Array) -> Array:
        for _ in range(6):
            u = u + 0.1 * np.concatenate([[0.0], u[2:] - 2 * u[1:-1] + u[:-2], [0.0]])
        return u

    def laplacian(u: Array) -> Array:
        inner = u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1] - 4 * u[1:-1, 1:-1]
        return np.sum(inner**2)

    def burgers(u: Array) -> Array:
        return -u * (np.roll(u, -1) - np.roll(u, 1)) + 0.01 * (np.roll(u, -1) - 2 * u + np.roll(u, 1))

    return [
        Function("Rosenbrock, n = 8", "stencils", rosenbrock, rng.normal(size=8)),
        Function("Rosenbrock, n = 20,000", "stencils", rosenbrock, rng.normal(size=20_000)),
        Function("heat, n = 50", "stencils", heat, rng.normal(size=50)),
        Function("Laplacian, 24 × 24", "stencils", laplacian, rng.normal(size=(24, 24))),
        Function("Laplacian, 300 × 300", "stencils", laplacian, rng.normal(size=(300, 300))),
        Function("Burgers, n = 64", "stencils", burgers, rng.normal(size=64)),
    ]


def _reductions(rng: np.random.Generator) -> list[Function]:
    def standardised(X: Array) -> Array:
        Z = (X - np.mean(X, axis=0)) / np.std(X, axis=0)
        return np.sum(Z**3)

    def log_sum_exp(x: Array) -> Array:
        top = np.max(x)
        return top + np.log(np.sum(np.exp(x - top)))

    def norms(X: Array) -> Array:
        return np.sqrt(np.sum(X * X, axis=1))

    def running(x: Array) -> Array:
        return np.cumsum(np.sin(x)) * 0.1

    return [
        Function("standardised, 40 × 6", "reductions", standardised, rng.normal(size=(40, 6))),
        Function("standardised, 5,000 × 8", "reductions", standardised, rng.normal(size=(5000, 8))),
        Function("log Σ exp, n = 1,000", "reductions", log_sum_exp, rng.normal(size=1000)),
        Function("row norms, 30 × 10", "reductions", norms, rng.normal(size=(30, 10))),
        Function("running sum, n = 200", "reductions", running, rng.normal(size=200)),
        Function("product, n = 30", "reductions", np.prod, rng.uniform(0.9, 1.1, size=30)),
    ]


def _loops(rng: np.random.Generator) -> list[Function]:
    W, U = rng.normal(size=(10, 10)) / 4, rng.normal(size=(10, 3))

    def recurrent(xs: Array) -> Array:
        h = np.zeros(10)
        for k in range(xs.shape[0]):
            h = np.tanh(W @ h + U @ xs[k])
        return np.sum(h)

    def runge_kutta(y: Array) -> Array:
        def slope(y: Array) -> Array:
            return np.sin(y) - 0.1 * y

        for _ in range(10):
            a = slope(y)
            b = slope(y + 0.05 * a)
            y = y + 0.1 * b
        return y

    def newton(a: Array) -> Array:
        z = np.ones_like(a)
        for _ in range(8):
            z = 0.5 * (z + a / z)
        return np.sum(z)

    return [
        Function("recurrent net, 40 steps", "loops", recurrent, rng.normal(size=(40, 3))),
        Function("Runge–Kutta, n = 6", "loops", runge_kutta, rng.normal(size=6)),
        Function("Runge–Kutta, n = 150", "loops", runge_kutta, rng.normal(size=150)),
        Function("square root by Newton, n = 500", "loops", newton, rng.uniform(1, 2, size=500)),
    ]


def _scalars(rng: np.random.Generator) -> list[Function]:
    def bratu(x: Array) -> Array:
        r = x[0] * x[1] - x[2] / x[3]
        s = np.exp(-r * r) + np.sin(x[0])
        return s * np.log(1 + x[1] ** 2) + r

    def logistic_map(x: Array) -> Array:
        a, z = x[0], x[1]
        for _ in range(30):
            z = a * z * (1 - z)
        return z

    def rotation(q: Array) -> Array:
        w, x, y, z = q[0], q[1], q[2], q[3]
        return np.array([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)])

    def pendulum(s: Array) -> Array:
        a, b, da, db = s[0], s[1], s[2], s[3]
        c = np.cos(a - b)
        e = 2 - c * c
        return np.array([da, db, (np.sin(b) * c - 2 * np.sin(a) - db * db) / e, (2 * np.sin(a) * c - da * da) / e])

    return [
        Function("four numbers", "scalars", bratu, rng.uniform(1, 2, size=4)),
        Function("logistic map, 30 steps", "scalars", logistic_map, np.array([3.2, 0.4])),
        Function("rotation by a quaternion", "scalars", rotation, rng.normal(size=4)),
        Function("double pendulum", "scalars", pendulum, rng.normal(size=4)),
    ]


def _linear_algebra(rng: np.random.Generator) -> list[Function]:
    def spread(n: int) -> Array:
        return rng.normal(size=(n, n)) / np.sqrt(n) + 3 * np.eye(n)

    b = {n: rng.normal(size=n) for n in (7, 80)}

    def energy(n: int) -> Callable[[Array], Array]:
        return lambda A: b[n] @ np.linalg.solve(A, b[n])

    def log_likelihood(A: Array) -> Array:
        S = A @ A.T + np.eye(A.shape[0])
        return np.linalg.slogdet(S)[1] + np.sum(np.diag(np.linalg.inv(S)))

    def cholesky(A: Array) -> Array:
        L = np.linalg.cholesky(A @ A.T + np.eye(A.shape[0]))
        return np.sum(np.log(np.diag(L)))

    def eigenvalues(A: Array) -> Array:
        return np.linalg.eigh(A + A.T)[0]

    made = [Function(f"bᵀA⁻¹b, n = {n}", "linear algebra", energy(n), spread(n)) for n in (7, 80)]
    made += [
        Function("log-likelihood, n = 12", "linear algebra", log_likelihood, spread(12)),
        Function("log-likelihood, n = 120", "linear algebra", log_likelihood, spread(120)),
        Function("Cholesky, n = 30", "linear algebra", cholesky, spread(30)),
        Function("eigenvalues, n = 10", "linear algebra", eigenvalues, spread(10)),
        Function("determinant, n = 5", "linear algebra", np.linalg.det, spread(5)),
        Function("singular values, n = 9", "linear algebra", lambda A: np.linalg.svd(A)[1], spread(9)),
    ]
    return made


def _places(rng: np.random.Generator) -> list[Function]:
    edges = rng.integers(60, size=(2, 240))
    many = rng.integers(5000, size=(2, 30_000))

    def springs(pairs: Array) -> Callable[[Array], Array]:
        return lambda x: np.sum((x[pairs[0]] - x[pairs[1]]) ** 2)

    def looked_up(x: Array) -> Array:
        return np.take(np.sin(x), edges[0] % x.shape[0])

    def assembled(x: Array) -> Array:
        out = np.zeros_like(x)
        out[1:] = x[1:] * x[:-1]
        out[0] = x[0]
        return out

    def positive(x: Array) -> Array:
        return np.sum(np.log(x[x > 0.2]))

    return [
        Function("springs, 240 on 60", "places", springs(edges), rng.normal(size=60)),
        Function("springs, 30,000 on 5,000", "places", springs(many), rng.normal(size=5000)),
        Function("looked up, 240 of 40", "places", looked_up, rng.normal(size=40)),
        Function("assembled, n = 40", "places", assembled, rng.normal(size=40)),
        Function("chosen by a mask, n = 2,000", "places", positive, rng.uniform(size=2000)),
    ]


def _index_sums(rng: np.random.Generator) -> list[Function]:
    T = rng.normal(size=(8, 8, 8))

    def cubic(x: Array) -> Array:
        return np.einsum("ijk,i,j,k->", T, x, x, x)

    def bilinear(X: Array) -> Array:
        return np.einsum("bi,ij,bj->b", X, T[0], X)

    def kronecker(A: Array) -> Array:
        return np.sum(np.kron(A, A) ** 2)

    def distances(X: Array) -> Array:
        return np.sum(np.sqrt(1e-3 + np.sum((X[:, None] - X[None]) ** 2, axis=-1)))

    return [
        Function("cubic form, n = 8", "index sums", cubic, rng.normal(size=8)),
        Function("bilinear forms, 50 × 8", "index sums", bilinear, rng.normal(size=(50, 8))),
        Function("Kronecker square, 5 × 5", "index sums", kronecker, rng.normal(size=(5, 5))),
        Function("distances, 60 points", "index sums", distances, rng.normal(size=(60, 3))),
        Function("distances, 400 points", "index sums", distances, rng.normal(size=(400, 3))),
    ]


def _transforms(rng: np.random.Generator) -> list[Function]:
    def spectrum(x: Array) -> Array:
        X = np.fft.rfft(x)
        return np.sum((X.real**2 + X.imag**2) ** 2)

    def filtered(x: Array) -> Array:
        return np.fft.irfft(np.fft.rfft(x) * np.linspace(1, 0, x.size // 2 + 1), x.size)

    def smoothed(x: Array) -> Array:
        return np.sum(np.convolve(x, np.hanning(9), mode="valid") ** 2)

    return [
        Function("spectrum, n = 64", "transforms", spectrum, rng.normal(size=64)),
        Function("spectrum, n = 16,384", "transforms", spectrum, rng.normal(size=16_384)),
        Function("filtered, n = 96", "transforms", filtered, rng.normal(size=96)),
        Function("smoothed, n = 3,000", "transforms", smoothed, rng.normal(size=3000)),
    ]


def _orders(rng: np.random.Generator) -> list[Function]:
    weights = np.linspace(0, 1, 500)

    def trimmed(x: Array) -> Array:
        return np.sum(np.sort(x)[20:-20] ** 2)

    return [
        Function("weighted ranks, n = 500", "orders", lambda x: weights @ np.sort(x), rng.normal(size=500)),
        Function("trimmed, n = 20,000", "orders", trimmed, rng.normal(size=20_000)),
        Function("median, n = 101", "orders", np.median, rng.normal(size=101)),
        Function("largest of rows, 50 × 20", "orders", lambda X: np.sum(np.max(X, axis=1)), rng.normal(size=(50, 20))),
    ]


def _special(rng: np.random.Generator) -> list[Function]:
    def normal(x: Array) -> Array:
        return np.sum(np.log(0.5 * (1 + scipy.special.erf(x / np.sqrt(2.0)))))

    def gammas(x: Array) -> Array:
        return np.sum(scipy.special.gammaln(x) - x * np.log(x))

    return [
        Function("normal probabilities, n = 50", "special", normal, rng.normal(size=50)),
        Function("normal probabilities, n = 20,000", "special", normal, rng.normal(size=20_000)),
        Function("gammas, n = 1,000", "special", gammas, rng.uniform(1, 5, size=1000)),
        Function("Bessel, n = 200", "special", scipy.special.j0, rng.normal(size=200)),
    ]


KINDS = (
    _elementwise, _layers, _stencils, _reductions, _loops, _scalars, _linear_algebra, _places, _index_sums, _transforms,
    _orders, _special,
)  # fmt: skip


def functions(rng: np.random.Generator) -> list[Function]:
    """The whole suite, kind by kind."""
    return [function for kind in KINDS for function in kind(rng)]
