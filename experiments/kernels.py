"""Kernels of the kind of NPBench, as plain NumPy: stencils, dense linear algebra, learning, physics, loops.

Each is a function(np, *arrays) that gives an array, differentiated by its first `by` arrays as the sum of its result.
Some fill arrays in place, as such code does; tools whose arrays cannot be assigned to have no entry there.

Source: the kinds are those of Ziogas et al., NPBench: a benchmarking suite for high-performance NumPy (2021); the code
is our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Kernel:
    """A function, its arrays for a generator of random numbers, and by how many of them it is differentiated."""

    name: str
    function: Callable[..., Any]
    make: Callable[[np.random.Generator], tuple[Array, ...]]
    by: int = 1


# ---------------------------------------------------------------------------------------------------
# Stencils
# ---------------------------------------------------------------------------------------------------


def jacobi_1d(np: Any, A: Array) -> Array:
    A, B = np.copy(A), np.copy(A)
    for _ in range(20):
        B[1:-1] = (A[:-2] + A[1:-1] + A[2:]) / 3.0
        A[1:-1] = (B[:-2] + B[1:-1] + B[2:]) / 3.0
    return A


def jacobi_2d(np: Any, A: Array) -> Array:
    A, B = np.copy(A), np.copy(A)
    for _ in range(10):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])
    return A


def heat_3d(np: Any, A: Array) -> Array:
    A = np.copy(A)
    for _ in range(6):
        inner = A[1:-1, 1:-1, 1:-1]
        A[1:-1, 1:-1, 1:-1] = (
            0.125 * (A[2:, 1:-1, 1:-1] - 2.0 * inner + A[:-2, 1:-1, 1:-1])
            + 0.125 * (A[1:-1, 2:, 1:-1] - 2.0 * inner + A[1:-1, :-2, 1:-1])
            + 0.125 * (A[1:-1, 1:-1, 2:] - 2.0 * inner + A[1:-1, 1:-1, :-2])
            + inner
        )
    return A


def horizontal_diffusion(np: Any, field: Array, weight: Array) -> Array:
    """A flux limited by the sign of a gradient, as in weather codes."""
    lap = 4.0 * field[1:-1, 1:-1] - (field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2])
    x = lap[1:, 1:-1] - lap[:-1, 1:-1]
    x = np.where(x * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0 * x, x)
    y = lap[1:-1, 1:] - lap[1:-1, :-1]
    y = np.where(y * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0 * y, y)
    return field[2:-2, 2:-2] - weight * (x[1:] - x[:-1] + y[:, 1:] - y[:, :-1])


# ---------------------------------------------------------------------------------------------------
# Dense linear algebra
# ---------------------------------------------------------------------------------------------------


def two_products(np: Any, A: Array, B: Array, C: Array) -> Array:
    return 1.5 * A @ B @ C + 1.2 * A


def atax(np: Any, A: Array, x: Array) -> Array:
    return (A @ x) @ A


def summed_products(np: Any, A: Array, B: Array, x: Array) -> Array:
    return 1.5 * (A @ x) + 1.2 * (B @ x)


def cholesky(np: Any, A: Array) -> Array:
    """Row by row, with loops."""
    n = A.shape[0]
    A = np.copy(A)
    for i in range(n):
        for j in range(i):
            A[i, j] = (A[i, j] - A[i, :j] @ A[j, :j]) / A[j, j]
        A[i, i] = np.sqrt(A[i, i] - A[i, :i] @ A[i, :i])
    return np.tril(A)


def triangular_solve(np: Any, L: Array, b: Array) -> Array:
    x = np.zeros(b.shape[0])
    x = x + 0.0 * b
    for i in range(b.shape[0]):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def covariance(np: Any, X: Array) -> Array:
    Z = X - np.mean(X, axis=0)
    return Z.T @ Z / (X.shape[0] - 1.0)


def spectral_norm(np: Any, A: Array, x: Array) -> Array:
    """The largest singular value, by powers of AᵀA."""
    for _ in range(15):
        x = A.T @ (A @ x)
        x = x / np.sqrt(np.sum(x * x))
    return np.sqrt(np.sum((A @ x) ** 2))


# ---------------------------------------------------------------------------------------------------
# Learning
# ---------------------------------------------------------------------------------------------------


def softmax(np: Any, X: Array) -> Array:
    top = np.max(X, axis=-1)
    e = np.exp(X - top.reshape((*top.shape, 1)))
    y = e / np.sum(e, axis=-1).reshape((*top.shape, 1))
    return y * y


def convolution(np: Any, image: Array, kernels: Array) -> Array:
    """Image (rows, columns, channels), kernels (3, 3, channels, features)."""
    rows, columns, _ = image.shape
    k = kernels.shape[0]
    out = 0.0
    for i in range(k):
        for j in range(k):
            out = out + image[i : rows - k + 1 + i, j : columns - k + 1 + j] @ kernels[i, j]
    return np.maximum(out, 0.0 * out)


def perceptron(np: Any, W1: Array, W2: Array, W3: Array, X: Array) -> Array:
    h = X @ W1
    h = np.maximum(h, 0.0 * h) @ W2
    return softmax(np, np.maximum(h, 0.0 * h) @ W3)


# ---------------------------------------------------------------------------------------------------
# Physics, and loops over numbers
# ---------------------------------------------------------------------------------------------------


def go_fast(np: Any, A: Array) -> Array:
    trace = 0.0
    for i in range(A.shape[0]):
        trace = trace + np.tanh(A[i, i])
    return A + trace


def n_body(np: Any, x: Array, v: Array, mass: Array) -> Array:
    """Positions after ten steps of softened gravity."""
    n = x.shape[0]
    for _ in range(10):
        d = x.reshape((1, n, 3)) - x.reshape((n, 1, 3))
        cube = (np.sum(d * d, axis=2) + 0.01) ** 1.5
        a = np.sum(d * (mass / cube).reshape((n, n, 1)), axis=1)
        v = v + 0.01 * a
        x = x + 0.01 * v
    return x


def arc_distance(np: Any, a: Array, b: Array, c: Array, d: Array) -> Array:
    """Great-circle distances of points (a, b) and (c, d), latitudes and longitudes."""
    half = np.sin((c - a) / 2.0) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2.0) ** 2
    return 2.0 * np.arctan2(np.sqrt(half), np.sqrt(1.0 - half))


def shallow_water(np: Any, h: Array, u: Array) -> Array:
    """Height and velocity on a ring, twenty steps of Lax and Friedrichs."""
    for _ in range(20):
        flux, force = h * u, u * u / 2.0 + h
        h = (np.roll(h, 1) + np.roll(h, -1)) / 2.0 - 0.05 * (np.roll(flux, -1) - np.roll(flux, 1))
        u = (np.roll(u, 1) + np.roll(u, -1)) / 2.0 - 0.05 * (np.roll(force, -1) - np.roll(force, 1))
    return h + u


def _normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Array, ...]]:
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def _definite(n: int) -> Callable[[np.random.Generator], tuple[Array, ...]]:
    def make(rng: np.random.Generator) -> tuple[Array, ...]:
        A = rng.normal(size=(n, n))
        return (A @ A.T + n * np.eye(n),)

    return make


def _triangle(n: int) -> Callable[[np.random.Generator], tuple[Array, ...]]:
    return lambda rng: (np.tril(rng.normal(size=(n, n))) / n + 2.0 * np.eye(n), rng.normal(size=n))


def _uniform(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Array, ...]]:
    return lambda rng: tuple(rng.uniform(0.5, 1.5, size=shape) for shape in shapes)


KERNELS: tuple[Kernel, ...] = (
    Kernel("Jacobi, n = 2,000", jacobi_1d, _normal((2000,))),
    Kernel("Jacobi, 90 × 90", jacobi_2d, _normal((90, 90))),
    Kernel("heat, 24 × 24 × 24", heat_3d, _normal((24, 24, 24))),
    Kernel("horizontal diffusion, 128 × 128", horizontal_diffusion, _normal((132, 132), (128, 128))),
    Kernel("two products, n = 120", two_products, _normal((120, 120), (120, 120), (120, 120)), 3),
    Kernel("AᵀA x, 300 × 200", atax, _normal((300, 200), (200,)), 2),
    Kernel("α A x + β B x, n = 250", summed_products, _normal((250, 250), (250, 250), (250,)), 3),
    Kernel("Cholesky by loops, n = 20", cholesky, _definite(20)),
    Kernel("triangular solve, n = 60", triangular_solve, _triangle(60), 2),
    Kernel("covariance, 400 × 60", covariance, _normal((400, 60))),
    Kernel("spectral norm, n = 120", spectral_norm, _normal((120, 120), (120,))),
    Kernel("softmax, 16 × 8 × 64", softmax, _normal((16, 8, 64))),
    Kernel("convolution, 32 × 32 × 3", convolution, _normal((32, 32, 3), (3, 3, 3, 8)), 2),
    Kernel("perceptron, batch 64", perceptron, _normal((50, 64), (64, 32), (32, 10), (64, 50)), 3),
    Kernel("go fast, n = 100", go_fast, _normal((100, 100))),
    Kernel("n-body, 25 bodies", n_body, lambda rng: (*_normal((25, 3), (25, 3))(rng), *_uniform((25,))(rng)), 2),
    Kernel("arc distance, n = 20,000", arc_distance, lambda rng: tuple(rng.uniform(0.1, 1.0, size=(4, 20_000))), 4),
    Kernel("shallow water, n = 1,000", shallow_water, _uniform((1000,), (1000,)), 2),
)
