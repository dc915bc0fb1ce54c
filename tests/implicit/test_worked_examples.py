"""Implicit layers of the experiments against other ways to the same derivative: within 1e-8."""

import itertools

import numpy as np
import pytest
from checks import jacobian_by_differences

import admodes as ad
from experiments import implicit_layers as layers

RNG = np.random.default_rng(0)
IMAGES = layers.project(layers.POSE) + 0.01 * RNG.standard_normal((4, 2))
SPRINGS = np.array([1.0, 2.0, 1.5, 3.0, 1.0, 2.0])


def test_pose_of_a_camera():
    """By the implicit function, by differentiating 30 Gauss–Newton steps, and by differences through them."""
    J = ad.jacrev(layers.pose_of)(IMAGES)
    np.testing.assert_allclose(ad.jacfwd(layers.pose_of)(IMAGES), J, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ad.jacfwd(layers.pose_by_steps)(IMAGES), J, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(jacobian_by_differences(layers.pose_by_steps, IMAGES), J, rtol=1e-6, atol=1e-7)
    exact = layers.project(layers.POSE)
    np.testing.assert_allclose(layers.pose_of(exact), layers.POSE, rtol=1e-10)
    # Of exact images the pose moves as the least-squares inverse of the projection.
    inverse = np.linalg.pinv(ad.jacfwd(layers.project)(layers.POSE).reshape(8, 6))
    np.testing.assert_allclose(ad.jacrev(layers.pose_of)(exact).reshape(6, 8), inverse, rtol=1e-8, atol=1e-9)


def test_second_derivative_of_a_pose():
    def depth(u):
        return layers.pose_of(u)[5]

    right = ad.hessian(lambda u: layers.pose_by_steps(u)[5], mode="forward-over-forward")(IMAGES)
    for mode in ("forward-over-reverse", "forward-over-forward"):
        np.testing.assert_allclose(
            ad.hessian(depth, mode=mode)(IMAGES), right, rtol=1e-7, atol=1e-7 * np.abs(right).max()
        )


def test_eigenvector_by_rule_and_by_root():
    by_root, by_rule = layers.slowest_by_root, layers.slowest_by_rule
    np.testing.assert_allclose(by_root(SPRINGS), by_rule(SPRINGS), rtol=1e-12)
    for way in (ad.jacfwd, ad.jacrev):
        J = way(by_rule)(SPRINGS)
        np.testing.assert_allclose(way(by_root)(SPRINGS), J, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(jacobian_by_differences(by_rule, SPRINGS), J, rtol=1e-6, atol=1e-8)
    # dλ/dk_i of springs: (the spring's elongation)².
    v = by_rule(SPRINGS)[1:]
    np.testing.assert_allclose(J[0], np.diff(np.concatenate([np.zeros(1), v])) ** 2, rtol=1e-10)


def test_the_two_ways_through_a_differential_equation_meet():
    p = np.array([2.0, 0.0, 1.5])
    right = ad.grad(layers.by_odeint)(p, 1e-13)
    errors = [np.abs(ad.grad(layers.by_runge_kutta)(p, n) - right).max() for n in (80, 160, 320)]
    for coarse, fine in itertools.pairwise(errors):
        assert 11 < coarse / fine < 22  # fourth order: 16
    np.testing.assert_allclose(ad.grad(layers.by_odeint)(p, 1e-10), right, rtol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_equilibrium_layer_against_its_iterations(scale):
    """In a contraction, and where the Neumann series needs long."""
    p = layers.initial(5, 7, 3, RNG)
    p["W"] = p["W"] * scale / max(1.0, scale * np.linalg.norm(p["W"], 2) / 0.95)
    images, labels = RNG.standard_normal((4, 5)), np.array([0, 2, 1, 2])
    g = ad.grad(lambda p: layers.loss(p, layers.equilibrium(p, images), labels, 1e-3))(p)
    right = ad.grad(lambda p: layers.loss(p, layers.unrolled(p, images, 1500), labels, 1e-3))(p)
    for name in p:
        np.testing.assert_allclose(g[name], right[name], rtol=1e-8, atol=1e-11)


def test_the_linear_solver_where_the_series_diverges():
    from scipy.sparse.linalg import aslinearoperator

    A = np.eye(6) + 3 * RNG.standard_normal((6, 6))
    b = RNG.standard_normal(6)
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_allclose(layers.neumann_series(aslinearoperator(A), b), np.linalg.solve(A, b), rtol=1e-6)
