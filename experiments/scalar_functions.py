"""Four functions on which orders of elimination are compared in the literature, as plain NumPy on a vector.

Each comes with a point at which it is smooth.  Parameters that the sources leave open are set to 1, or as they suggest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

GAMMA = 1.4  # ratio of specific heats of air


class Example(NamedTuple):
    """A function, a point of its domain, and the file that holds its graph as others counted it."""

    function: Callable[[Any], Any]
    point: np.ndarray
    graph: str


def human_heart_dipole(x: Any) -> Any:
    """Moments of two dipoles of strengths (a, b) and (c, d), at complex places t + iv and u + iw, less measured ones.

    Source: Averick, Carter, Moré and Xue, "The MINPACK-2 test problem collection" (1992), human heart dipole.
    """
    a, b, c, d, t, u, v, w = x
    tv, uw = t**2 - v**2, u**2 - w**2
    ttt, vvv = t * (t**2 - 3 * v**2), v * (v**2 - 3 * t**2)
    uuu, www = u * (u**2 - 3 * w**2), w * (w**2 - 3 * u**2)
    return np.stack(
        [
            a + b - 1.0,
            c + d - 1.0,
            t * a + u * b - v * c - w * d - 1.0,
            v * a + w * b + t * c + u * d - 1.0,
            a * tv - 2 * c * t * v + b * uw - 2 * d * u * w - 1.0,
            c * tv + 2 * a * t * v + d * uw + 2 * b * u * w - 1.0,
            a * ttt + c * vvv + b * uuu + d * www - 1.0,
            c * ttt - a * vvv + d * uuu - b * www - 1.0,
        ]
    )


def propane_combustion(x: Any, p: float = 40.0, air: float = 10.0) -> Any:
    """Balances of propane burning in air at the pressure p (atmospheres): moles of ten products, and their sum.

    Source: Averick, Carter, Moré and Xue, "The MINPACK-2 test problem collection" (1992), full formulation.
    """
    n = x[10]
    share = np.sqrt(p / n)
    return np.stack(
        [
            x[0] + x[3] - 3.0,
            2 * x[0] + x[1] + x[3] + x[6] + x[7] + x[8] + 2 * x[9] - air,
            2 * x[1] + 2 * x[4] + x[5] + x[6] - 8.0,
            2 * x[2] + x[8] - 4 * air,
            x[1] * x[3] - x[0] * x[4],
            np.sqrt(x[1] * x[3]) - np.sqrt(x[0]) * share * x[5],
            np.sqrt(x[0] * x[1]) - np.sqrt(x[3]) * share * x[6],
            x[0] - x[3] * x[7] * p / n,
            x[0] * np.sqrt(x[2]) - x[3] * x[8] * share,
            x[0] ** 2 - x[3] ** 2 * x[9] * p / n,
            n - np.sum(x[:10]),
        ]
    )


def roe_flux(x: Any) -> Any:
    """The flux of gas between two cells, from density, momentum and energy (ρ, ρv, ρE) left and right.

    The mean of both sides' fluxes, less half the jump, split along the eigenvectors of Roe's mean state, each part
    times the size of its speed: u − a, u, u + a.

    Source: Roe, "Approximate Riemann solvers, parameter vectors, and difference schemes", J. Comput. Phys. 43 (1981).
    """
    left, right = x[:3], x[3:]
    (flux_l, v_l, h_l, p_l), (flux_r, v_r, h_r, p_r) = _gas(left), _gas(right)
    root_l, root_r = np.sqrt(left[0]), np.sqrt(right[0])
    density = root_l * root_r
    total = root_l + root_r
    u, h = (root_l * v_l + root_r * v_r) / total, (root_l * h_l + root_r * h_r) / total
    a2 = (GAMMA - 1) * (h - u**2 / 2)
    a = np.sqrt(a2)
    dp, dv = p_r - p_l, v_r - v_l
    middle = (right[0] - left[0] - dp / a2) * np.abs(u)
    faster = (dp / a2 + density * dv / a) / 2 * np.abs(u + a)
    slower = (dp / a2 - density * dv / a) / 2 * np.abs(u - a)
    jump = (
        middle + faster + slower,
        middle * u + faster * (u + a) + slower * (u - a),
        middle * u**2 / 2 + faster * (h + u * a) + slower * (h - u * a),
    )
    return np.stack([(l + r - j) / 2 for l, r, j in zip(flux_l, flux_r, jump, strict=True)])


def _gas(state: Any) -> tuple[tuple[Any, ...], Any, Any, Any]:
    """Flux, velocity, enthalpy and pressure of an ideal gas."""
    density, momentum, energy = state
    v = momentum / density
    p = (GAMMA - 1) * (energy - momentum * v / 2)
    return (momentum, momentum * v + p, v * (energy + p)), v, (energy + p) / density, p


def robot_arm(angles: Any) -> Any:
    """Place (mm) and orientation (rad) of the hand of a robot with six joints and a spherical wrist, from their angles.

    Source: Siciliano et al., "Robotics" (2009), chapter 2, for the anthropomorphic arm with a spherical wrist; lengths
    as of an industrial one.
    """
    a1, a2, a3, d1, d4, d6 = 175.0, 890.0, 50.0, 575.0, 1035.0, 185.0
    c1, c2, _, c4, c5, c6 = np.cos(angles)
    s1, s2, _, s4, s5, s6 = np.sin(angles)
    elbow = angles[1] + angles[2]
    c23, s23 = np.cos(elbow), np.sin(elbow)
    # The direction in which the hand points, and where its wrist is.
    ax = s5 * (c1 * c23 * c4 + s1 * s4) + c1 * s23 * c5
    ay = s5 * (s1 * c23 * c4 - c1 * s4) + s1 * s23 * c5
    az = s23 * c4 * s5 - c23 * c5
    reach = a1 + a2 * c2 + a3 * c23 + d4 * s23
    height = d1 + a2 * s2 + a3 * s23 - d4 * c23
    # The last row of the rotation, for the turn about that direction.
    tilt = c23 * s5 + s23 * c4 * c5
    nz, oz = c6 * tilt - s23 * s4 * s6, -s6 * tilt - s23 * s4 * c6
    return np.stack(
        [
            c1 * reach + d6 * ax,
            s1 * reach + d6 * ay,
            height + d6 * az,
            np.arctan2(ay, ax),
            np.arctan2(np.sqrt(1 - az**2), az),
            np.arctan2(oz, -nz),
        ]
    )


EXAMPLES = (
    Example(human_heart_dipole, np.array([0.3, 0.7, 0.6, 0.4, 1.2, -0.8, 0.5, 1.5]), "HumanHeartDipole"),
    Example(propane_combustion, np.linspace(1.0, 3.0, 11), "PropaneCombustion"),
    Example(roe_flux, np.array([1.0, 0.3, 2.5, 0.6, 0.1, 1.8]), "RoeFlux_1d"),
    Example(robot_arm, np.array([0.3, 0.7, -0.4, 0.9, 0.5, -0.6]), "RobotArm_6DOF"),
)
