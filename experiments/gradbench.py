"""The objectives by which GradBench and ADBench compare tools across languages, in plain NumPy, with golden answers.

A function takes the namespace first, as the workloads of `speed` do, then the arrays that it is differentiated by, then
other arrays.  The data is in `data/`, with its source.

Source: Šrajer, Kukelova, Fitzgibbon, A benchmark of selected algorithmic differentiation tools (2018), and GradBench.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .workloads import mixture, places

Array = Any
DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Objective:
    """A scalar function(np, *arguments) of its first `by` arguments, its golden value, and its golden gradient."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Array, ...]
    by: int
    value: float
    gradient: tuple[Array, ...]


def load(name: str) -> dict[str, Array]:
    """The arrays of one file."""
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


# ---------------------------------------------------------------------------------------------------
# Sums and small systems
# ---------------------------------------------------------------------------------------------------


def log_sum_exp(np: Any, x: Array) -> Array:
    top = np.max(x, axis=0)
    return top + np.log(np.sum(np.exp(x - top)))


def least_squares(np: Any, x: Array, powers: Array, signs: Array) -> Array:
    """½ Σᵢ (sign tᵢ − Σⱼ xⱼ tᵢʲ)²"""
    residuals = signs - powers @ x
    return 0.5 * np.sum(residuals * residuals)


def k_means(np: Any, centroids: Array, points: Array) -> Array:
    k, d = centroids.shape
    differences = points.reshape((-1, 1, d)) - centroids.reshape((1, k, d))
    return np.sum(np.min(np.sum(differences * differences, axis=2), axis=1))


def determinant(np: Any, A: Array) -> Array:
    """By expansion along the first row, number by number."""
    n = A.shape[0]

    def minor(row: int, columns: tuple[int, ...]) -> Any:
        if len(columns) == 1:
            return A[row, columns[0]]
        total = 0.0
        for k, column in enumerate(columns):
            rest = columns[:k] + columns[k + 1 :]
            total = total + (-1.0) ** k * A[row, column] * minor(row + 1, rest)
        return total

    return minor(0, tuple(range(n)))


def runge_kutta(np: Any, x: Array, steps: int) -> Array:
    """The last component of y at t = 2, where y₀′ = x₀ and yᵢ′ = xᵢ yᵢ₋₁."""
    one = np.ones(1)
    h = 2.0 / steps

    def slope(y: Array) -> Array:
        return x * np.concatenate([one, y[:-1]])

    y = np.zeros(x.shape[0])
    for _ in range(steps):
        a = slope(y)
        b = slope(y + 0.5 * h * a)
        c = slope(y + 0.5 * h * b)
        d = slope(y + h * c)
        y = y + (h / 6.0) * (a + 2.0 * b + 2.0 * c + d)
    return y[-1]


# ---------------------------------------------------------------------------------------------------
# A character LSTM with diagonal weights
# ---------------------------------------------------------------------------------------------------


def _gate(np: Any, z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))


def lstm(np: Any, main: Array, extra: Array, state: Array, sequence: Array) -> Array:
    h = extra.shape[1]
    layers = main.shape[0] // 2
    hidden = [state[2 * k] for k in range(layers)]
    cells = [state[2 * k + 1] for k in range(layers)]
    total = 0.0
    steps = sequence.shape[0] - 1
    for t in range(steps):
        x = sequence[t] * extra[0]
        for k in range(layers):
            w, b = main[2 * k], main[2 * k + 1]
            forget = _gate(np, x * w[:h] + b[:h])
            taken = _gate(np, hidden[k] * w[h : 2 * h] + b[h : 2 * h])
            given = _gate(np, x * w[2 * h : 3 * h] + b[2 * h : 3 * h])
            change = np.tanh(hidden[k] * w[3 * h :] + b[3 * h :])
            cells[k] = cells[k] * forget + taken * change
            hidden[k] = given * np.tanh(cells[k])
            x = hidden[k]
        predicted = x * extra[1] + extra[2]
        predicted = predicted - np.log(2.0 + np.sum(np.exp(predicted)))
        total = total + np.sum(sequence[t + 1] * predicted)
    return -total / (steps * h)


# ---------------------------------------------------------------------------------------------------
# Bundle adjustment
# ---------------------------------------------------------------------------------------------------


def _crossed(np: Any, a: Array, b: Array) -> Array:
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        1,
    )


def project(np: Any, cameras: Array, points: Array) -> Array:
    """Points seen by cameras: Rodrigues rotation about the centre, radial distortion, focal length, principal point."""
    r = cameras[:, :3]
    X = points - cameras[:, 3:6]
    angle = np.sqrt(np.sum(r * r, axis=1)).reshape((-1, 1))
    axis = r / angle
    along = np.sum(axis * X, axis=1).reshape((-1, 1))
    X = X * np.cos(angle) + _crossed(np, axis, X) * np.sin(angle) + axis * along * (1.0 - np.cos(angle))
    plane = X[:, :2] / X[:, 2:3]
    square = np.sum(plane * plane, axis=1).reshape((-1, 1))
    bent = plane * (1.0 + cameras[:, 9:10] * square + cameras[:, 10:11] * square * square)
    return bent * cameras[:, 6:7] + cameras[:, 7:9]


def bundle(np: Any, cameras: Array, points: Array, w: Array, features: Array, observed: Array) -> Array:
    """Half the squares of the residuals w·(projection − feature) and 1 − w²."""
    seen = project(np, cameras[observed[:, 0]], points[observed[:, 1]])
    errors = w.reshape((-1, 1)) * (seen - features)
    beside = 1.0 - w * w
    return 0.5 * np.sum(errors * errors) + 0.5 * np.sum(beside * beside)


# ---------------------------------------------------------------------------------------------------
# Hand tracking: linear blend skinning
# ---------------------------------------------------------------------------------------------------

# Where the angles of five fingers stand among those of the bones, three a bone.
ANGLES = [
    place
    for finger in range(5)
    for place in (3 * (4 * finger + 2), 3 * (4 * finger + 2) + 1, 3 * (4 * finger + 3), 3 * (4 * finger + 4))
]


def _turned(np: Any, pose: Array) -> list[Array]:
    """Of each bone the rotation Rz·Ry·Rx by its angles (x, z, y), with its twelve entries by rows."""
    c, s = np.cos(pose), np.sin(pose)
    made = []
    for k in range(pose.shape[0]):
        cx, cz, cy, sx, sz, sy = c[k, 0], c[k, 1], c[k, 2], s[k, 0], s[k, 1], s[k, 2]
        nothing = 0.0 * cx
        made.append(
            np.stack(
                [
                    np.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx, nothing]),
                    np.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx, nothing]),
                    np.stack([-sy, cy * sx, cy * cx, nothing]),
                    np.stack([nothing, nothing, nothing, nothing + 1.0]),
                ]
            )
        )
    return made


def _about(np: Any, r: Array) -> Array:
    """The rotation about an axis by its length."""
    n = np.sqrt(np.sum(r * r))
    x, y, z = r[0] / n, r[1] / n, r[2] / n
    c, s = np.cos(n), np.sin(n)
    return np.stack(
        [
            np.stack([x * x + (1.0 - x * x) * c, x * y * (1.0 - c) - z * s, x * z * (1.0 - c) + y * s]),
            np.stack([x * y * (1.0 - c) + z * s, y * y + (1.0 - y * y) * c, y * z * (1.0 - c) - x * s]),
            np.stack([x * z * (1.0 - c) - y * s, z * y * (1.0 - c) + x * s, z * z + (1.0 - z * z) * c]),
        ]
    )


def hand(np: Any, theta: Array, parents: list[int], data: tuple[Array, ...]) -> Array:
    """The positions of the vertices of a hand with these angles."""
    relatives, inverses, positions, weights, spread = data
    pose = (theta[6:] @ spread).reshape((relatives.shape[0], 3))
    turned = _turned(np, pose)
    absolutes: list[Array] = []
    for k, parent in enumerate(parents):
        own = relatives[k] @ turned[k]
        absolutes.append(own if parent < 0 else absolutes[parent] @ own)
    skinned = 0.0
    for k, absolute in enumerate(absolutes):
        moved = positions @ (absolute @ inverses[k])[:3].T
        skinned = skinned + moved * weights[:, k].reshape((-1, 1))
    return skinned @ _about(np, theta[:3]).T + theta[3:6]


def tracking(np: Any, theta: Array, points: Array, *data: Array, parents: list[int], at: Array) -> Array:
    """Half the squares of the distances of points from their vertices."""
    found = hand(np, theta, parents, data)
    errors = points - found[at]
    return 0.5 * np.sum(errors * errors)


def tracking_on_faces(
    np: Any, theta: Array, us: Array, points: Array, *data: Array, parents: list[int], at: Array
) -> Array:
    """The same from places on triangles, each with two barycentric coordinates."""
    found = hand(np, theta, parents, data)
    u, v = us[:, 0:1], us[:, 1:2]
    errors = points - (u * found[at[:, 0]] + v * found[at[:, 1]] + (1.0 - u - v) * found[at[:, 2]])
    return 0.5 * np.sum(errors * errors)


# ---------------------------------------------------------------------------------------------------
# A charged particle, and a saddle
# ---------------------------------------------------------------------------------------------------


def particle(np: Any, w: Array) -> Array:
    """The square of where a particle among two charges meets the ground, as a function of the place of one charge."""
    x, y, dx, dy, h = 0.0, 8.0, 0.75, 0.0, 0.1
    while True:
        ax, ay = 0.0, 0.0
        for charge in (10.0 - w, 0.0):  # −∇ of 1/distance
            cube = ((x - 10.0) ** 2 + (y - charge) ** 2) ** 1.5
            ax, ay = ax + (x - 10.0) / cube, ay + (y - charge) / cube
        if not y + h * dy > 0.0:
            late = -y / dy
            return (x + late * dx) ** 2
        x, y, dx, dy = x + h * dx, y + h * dy, dx + h * ax, dy + h * ay


def payoff(np: Any, mine: Array, other: Array) -> Array:
    """What one player pays the other: x₁² + y₁² − x₂² − y₂²."""
    return np.sum(mine * mine) - np.sum(other * other)


def saddle(np: Any, mine: Array, start: Array) -> Array:
    """The most that the other player can make of a choice, by descent; its slope −2 other written out."""
    other = descent(lambda z: -payoff(np, mine, z), lambda z: 2.0 * z, start)
    return payoff(np, mine, other)


# Descent ends where the slope or a step is no longer than this.
SHORT = 1e-5


def descent(f: Callable[[Any], Any], slope: Callable[[Any], Any], x: Any) -> Any:
    """Where f is smallest near x: a step that does not pay is halved, and after ten that do is doubled."""
    y, g, step, paid = f(x), slope(x), 1e-5, 0
    while np.sum(g * g) ** 0.5 > SHORT:
        if paid == 10:
            step, paid = 2.0 * step, 0
            continue
        ahead = x - step * g
        if np.sum((ahead - x) ** 2) ** 0.5 <= SHORT:
            break
        below = f(ahead)
        if below < y:
            x, y, g, paid = ahead, below, slope(ahead), paid + 1
        else:
            step, paid = step / 2.0, 0
    return x


def saddle_point(grad: Callable[..., Any], start: Array) -> tuple[Array, Array]:
    """min over one player's choices of the max over the other's: descent in the value of a descent, and the slopes of
    both by grad, one inside the other."""

    def answer(mine: Array) -> Array:
        def loss(z: Array) -> Array:
            return -payoff(np, mine, z)

        return descent(loss, grad(loss), start)

    def value(mine: Array) -> Array:
        return payoff(np, mine, answer(mine))

    mine = descent(value, grad(value), start)
    return mine, answer(mine)


# ---------------------------------------------------------------------------------------------------
# With their data
# ---------------------------------------------------------------------------------------------------


def _bundle() -> Objective:
    d = load("ba")
    cameras, points, w = np.zeros_like(d["cams"]), np.zeros_like(d["X"]), d["wd"] * d["werr"]
    for k, (camera, point) in enumerate(d["obs"]):
        g = d["err"][k] @ d["blocks"][k]
        cameras[camera] += g[:11]
        points[point] += g[11:14]
        w[k] += g[14]
    value = 0.5 * np.sum(d["err"] ** 2) + 0.5 * np.sum(d["werr"] ** 2)
    function = functools.partial(_observed, d["obs"])
    return Objective(
        "bundle adjustment", function, (d["cams"], d["X"], d["w"], d["feats"]), 3, value, (cameras, points, w)
    )


def _observed(observed: Array, np: Any, *arguments: Array) -> Array:
    cameras, points, w, features = arguments
    return bundle(np, cameras, points, w, features, observed)


def _tracking(kind: str) -> Objective:
    model, d = load("ht_model"), load(f"ht_{kind}")
    spread = np.zeros((20, 3 * len(model["parents"])))
    spread[np.arange(20), ANGLES] = 1.0
    parents = [int(p) for p in model["parents"]]
    data = (model["base_relatives"], model["inverse_base_absolutes"], model["base_positions"], model["weights"], spread)
    g = d["value"].ravel()
    value = 0.5 * float(g @ g)
    if kind == "simple":
        f = functools.partial(tracking, parents=parents, at=d["correspondences"])
        return Objective("hand tracking", f, (d["theta"], d["points"], *data), 1, value, (g @ d["jac"],))
    at = model["triangles"][d["correspondences"]]
    f = functools.partial(tracking_on_faces, parents=parents, at=at)
    u = np.einsum("ia,iab->ib", d["value"], d["jac"][:, :2].reshape(-1, 3, 2))
    arguments = (d["theta"], d["us"], d["points"], *data)
    return Objective("hand tracking on faces", f, arguments, 2, value, (g @ d["jac"][:, 2:], u))


def objectives() -> list[Objective]:
    """All of them."""
    lse, llsq, means, det = (load(name) for name in ("lse_n2500", "llsq_n64_m128", "kmeans_k10", "det_6"))
    ode, net, gmm, nested = (load(name) for name in ("ode_n20_s50", "lstm_l2_c60", "gmm_d10_k5", "particle_saddle"))
    t = np.linspace(-1.0, 1.0, int(llsq["n"]))
    powers = t[:, None] ** np.arange(llsq["x"].size)
    d = gmm["x"].shape[1]
    parameters = tuple(gmm[name] for name in ("alpha", "mu", "q", "l"))
    start, end = nested["saddle_start"], nested["saddle_end"]
    best = payoff(np, start, end[2:])
    steps = int(ode["s"])
    posterior = functools.partial(mixture, gamma=float(gmm["gamma"]), m=int(gmm["m"]))
    slopes = tuple(gmm[f"g_{name}"] for name in ("alpha", "mu", "q", "l"))
    parts = tuple(net[name] for name in ("main_params", "extra_params", "state", "sequence"))
    mixed = (*parameters, gmm["x"], places(d), np.eye(d))
    return [
        Objective("log-sum-exp", log_sum_exp, (lse["x"],), 1, lse["value"], (lse["grad"],)),
        Objective("least squares", least_squares, (llsq["x"], powers, np.sign(t)), 1, llsq["value"], (llsq["grad"],)),
        Objective("k-means", k_means, (means["centroids"], means["points"]), 1, means["value"], (means["grad"],)),
        Objective("determinant", determinant, (det["A"],), 1, det["value"], (det["grad"],)),
        Objective("ODE", lambda np, x: runge_kutta(np, x, steps), (ode["x"],), 1, ode["y"][-1], (ode["grad"],)),
        Objective("LSTM", lstm, parts, 2, net["value"], (net["g_main"], net["g_extra"])),
        Objective("Gaussian mixture", posterior, mixed, 4, gmm["value"], slopes),
        _bundle(),
        _tracking("simple"),
        _tracking("complicated"),
        Objective("particle", particle, (nested["ws"][0],), 1, nested["value"][0], (nested["deriv"][0],)),
        Objective("saddle", saddle, (start, start), 1, best, (2.0 * start,)),
    ]
