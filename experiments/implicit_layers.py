"""Implicit layers at work: a deep equilibrium network, the pose of a camera, eigenvectors, an oscillator.

Each is solved by a solver of its own, whose steps are not differentiated, and beside it stands what one would do
without: the steps differentiated, or finite differences through the solver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import admodes
from admodes.layers import cross_entropy, l2_penalty, linear

Parameters = dict[str, np.ndarray]

# ---------------------------------------------------------------------------------------------------
# A deep equilibrium layer: z = tanh(W z + U x + b), and the scores V z + c
# ---------------------------------------------------------------------------------------------------


def initial(pixels: int, hidden: int, classes: int, rng: np.random.Generator) -> Parameters:
    """Weights of variance 1/inputs; W smaller, so that the layer contracts at first."""
    return {
        "W": rng.normal(size=(hidden, hidden)) / (4 * np.sqrt(hidden)),
        "U": rng.normal(size=(hidden, pixels)) / np.sqrt(pixels),
        "b": np.zeros(hidden),
        "V": rng.normal(size=(classes, hidden)) / np.sqrt(hidden),
        "c": np.zeros(classes),
    }


def layer(z: Any, W: Any, U: Any, b: Any, x: Any) -> Any:
    """One application, to the rows of z and x."""
    return np.tanh(z @ W.T + x @ U.T + b)


def neumann_series(A: Any, b: Any, tolerance: float = 1e-12, most: int = 300) -> Any:
    """A⁻¹ b = Σ (I − A)ᵏ b where A = I − ∂f/∂z and f contracts; else a least-squares solution of A w = b by LSMR."""
    w = b.copy()
    for _ in range(most):
        change = b - A @ w
        if np.max(np.abs(change)) <= tolerance * np.max(np.abs(b), initial=1e-300):
            return w
        w = w + change
    from scipy.sparse.linalg import lsmr

    return lsmr(A, b, atol=tolerance, btol=tolerance, maxiter=10_000)[0]


def equilibrium(parameters: Any, images: Any, **options: Any) -> Any:
    """The layer at rest, one row an image."""
    start = np.zeros((len(images), parameters["b"].shape[0]))
    weights = (parameters["W"], parameters["U"], parameters["b"])
    return admodes.fixed_point(layer, start, *weights, images, linear_solver=neumann_series, **options)


def unrolled(parameters: Any, images: Any, iterations: int) -> Any:
    """So many applications, one after the other."""
    z = np.zeros((len(images), parameters["b"].shape[0]))
    for _ in range(iterations):
        z = layer(z, parameters["W"], parameters["U"], parameters["b"], images)
    return z


def scores(parameters: Any, z: Any) -> Any:
    return linear(z, parameters["V"], parameters["c"])


def loss(parameters: Any, z: Any, labels: Any, penalty: float) -> Any:
    """Mean cross-entropy at the layer's z, in nats, and the penalty on the weights."""
    data = np.mean(cross_entropy(scores(parameters, z), labels))
    return data + penalty * l2_penalty(parameters["W"], parameters["U"], parameters["V"])


# ---------------------------------------------------------------------------------------------------
# The pose of a camera, from four points
# ---------------------------------------------------------------------------------------------------

POINTS = np.array([[-1.0, -0.8, 0.2], [1.1, -0.9, -0.3], [0.9, 1.0, 0.4], [-1.0, 0.8, -0.2]])
POSE = np.array([0.2, -0.3, 0.1, 0.3, -0.2, 5.0])  # rotation vector, and translation


def project(pose: Any, points: Any = POINTS) -> Any:
    """Images of points in space, (x/z, y/z) each, seen from a pose; rotated by Rodrigues' formula."""
    w, t = pose[:3], pose[3:]
    angle2 = w @ w
    angle = np.sqrt(angle2)
    around = np.cross(w, points)
    rotated = points + np.sin(angle) / angle * around + (1 - np.cos(angle)) / angle2 * np.cross(w, around)
    seen = rotated + t
    return seen[:, :2] / seen[:, 2:]


def pose_of(images: Any, tolerance: float = 1e-14) -> Any:
    """The pose whose projections are nearest to `images`, by Gauss–Newton on the reprojection error."""

    def error(pose: Any, images: Any) -> Any:
        return np.sum((project(pose) - images) ** 2) / 2

    def gauss_newton(gradient: Callable[[Any], Any], pose: Any) -> Any:
        for _ in range(100):
            J = admodes.jacfwd(lambda p: np.ravel(project(p)))(pose)
            step = np.linalg.solve(J.T @ J, gradient(pose))
            pose = pose - step
            if np.max(np.abs(step)) <= tolerance:
                break
        return pose

    return admodes.minimize(error, POSE + 0.1, images, solver=gauss_newton)


def pose_by_steps(images: Any, steps: int = 30) -> Any:
    """The same, as Gauss–Newton steps that can be differentiated, or perturbed, or stopped early."""
    pose = POSE + 0.1
    for _ in range(steps):
        J = admodes.jacfwd(lambda p: np.ravel(project(p)))(pose)
        pose = pose - np.linalg.solve(J.T @ J, J.T @ np.ravel(project(pose) - images))
    return pose


# ---------------------------------------------------------------------------------------------------
# Eigenvectors, X = U S Uᵀ
# ---------------------------------------------------------------------------------------------------


def matrix(k: Any) -> Any:
    """A symmetric matrix that depends on six spring constants: masses on a line, the first fixed."""
    stiff = np.concatenate([k, np.zeros(1)])
    return np.diag(stiff[:-1] + stiff[1:]) - np.diag(stiff[1:-1], 1) - np.diag(stiff[1:-1], -1)


def slowest_by_rule(k: Any) -> Any:
    """The lowest eigenvalue and its vector, by np.linalg.eigh and its rule; the first entry counts as positive."""
    values, vectors = np.linalg.eigh(matrix(k))
    v = vectors[:, 0]
    return np.concatenate([values[:1], v * np.where(v[0] > 0, 1.0, -1.0)])


def slowest_by_root(k: Any) -> Any:
    """The same as a root: X v = λ v and vᵀv = 1."""

    def equations(z: Any, k: Any) -> Any:
        value, v = z[0], z[1:]
        return np.concatenate([matrix(k) @ v - value * v, np.reshape(v @ v - 1, (1,))])

    def search(residual: Callable[[Any], Any], z: Any) -> Any:
        # The search sees plain numbers: the matrix is read off the equations, which are X v for λ = 0.
        X = np.stack([residual(np.concatenate([np.zeros(1), e]))[:-1] for e in np.eye(z.size - 1)], axis=1)
        values, vectors = np.linalg.eigh(X)
        v = vectors[:, 0]
        return np.concatenate([values[:1], v if v[0] > 0 else -v])

    return admodes.root(equations, np.ones(k.shape[0] + 1), k, solver=search)


# ---------------------------------------------------------------------------------------------------
# A differential equation: van der Pol's oscillator
# ---------------------------------------------------------------------------------------------------

SPAN = 5.0


def oscillator(y: Any, t: Any, mu: Any) -> Any:
    return np.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def by_odeint(p: Any, rtol: float, rate: Callable[..., Any] = oscillator) -> Any:
    """y₀ at the end, of p = (y₀, y₀′, μ) at the start, by `odeint`: differentiated, then discretised."""
    return admodes.odeint(rate, p[:2], np.array([0.0, SPAN]), p[2], rtol=rtol, atol=rtol)[-1, 0]


def by_runge_kutta(p: Any, steps: int) -> Any:
    """The same by so many steps of the classical Runge–Kutta method: discretised, then differentiated."""
    y, mu, h = p[:2], p[2], SPAN / steps
    for i in range(steps):
        t = i * h
        a = oscillator(y, t, mu)
        b = oscillator(y + h / 2 * a, t + h / 2, mu)
        c = oscillator(y + h / 2 * b, t + h / 2, mu)
        d = oscillator(y + h * c, t + h, mu)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return y[0]
