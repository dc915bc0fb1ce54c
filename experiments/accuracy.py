"""How far off is a derivative by differences, at every step, and how far off is one by forward or reverse mode?

The function: Σᵢ exp(xᵢ sin xᵢ), whose gradient exp(x sin x)(sin x + x cos x) is known, and is computed here with more
digits than a double has.  One-sided and central differences and the complex step, Im f(x + ih)/h, move one xᵢ at a
time, by h from 0.1 to 1e-16.

How it is measured.  The largest error of the gradient's numbers, relative to the largest of them; where a difference is
right to the last bit of the reference, half a rounding unit is shown.  `admodes.check` chooses a step for each
direction: shown is the error of its differences at the middle one of these steps.

What to expect, and why.  One-sided differences leave out h f″/2 and central ones h² f‴/6: lines of slope 1 and 2 in
logarithmic axes (the lecture's O(ε) and O(ε²)).  Values are rounded to ε = 2.2e-16 of their size, so that their
difference is off by ε |f| and the quotient by ε |f|/h: a line of slope −1.  The sum is a V, lowest at about √ε for
one-sided and ∛ε for central differences: half of the digits are lost, or a third.  The complex step subtracts nothing:
its error falls as h² until no digit is wrong.  Forward and reverse mode have no step, and an error of a few roundings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import admodes
from admodes.checking.ladder import Ladder
from admodes.checking.point import point

from . import style
from .frame import Row, Study
from .timing import power_law

NUMBERS = 8
EPSILON = float(np.finfo(float).eps)

ONE_SIDED, CENTRAL, COMPLEX = "one-sided differences", "central differences", "complex step"
FORWARD, REVERSE, CHECKED = "forward mode", "reverse mode", "central differences at the step of check"
DIFFERENCES = (ONE_SIDED, CENTRAL, COMPLEX)
ORDERS = {ONE_SIDED: 1, CENTRAL: 2, COMPLEX: 2}

LOOKS: Mapping[str, Mapping[str, Any]] = {
    ONE_SIDED: {"color": style.ORANGE, "marker": "v"},
    CENTRAL: {"color": style.GREEN, "marker": "^", "zorder": 4},
    COMPLEX: {"color": style.PURPLE, "marker": "D", "linestyle": "--"},
    FORWARD: {"color": style.VERMILION, "linestyle": "-"},
    REVERSE: {"color": style.BLUE, "linestyle": (0, (4, 3))},
    CHECKED: {"color": style.BLACK, "marker": "*", "markersize": 16, "linestyle": ""},
}


def f(x: Any) -> Any:
    return np.sum(np.exp(x * np.sin(x)))


def exact(x: Any) -> Any:
    """Its gradient, with the digits of a long double."""
    z = x.astype(np.longdouble)
    return np.exp(z * np.sin(z)) * (np.sin(z) + z * np.cos(z))


def gradient(x: Any, h: float, method: str) -> Any:
    """By differences at a step h, one number of x after the other."""
    found = []
    for e in np.eye(x.size):
        if method == COMPLEX:
            found.append(np.imag(f(x + 1j * h * e)) / h)
        elif method == CENTRAL:
            found.append((f(x + h * e) - f(x - h * e)) / (2 * h))
        else:
            found.append((f(x + h * e) - f(x)) / h)
    return np.array(found)


def error(found: Any, right: Any) -> float:
    """Relative to the largest number; half a rounding unit at least."""
    return max(float(np.max(np.abs(found - right)) / np.max(np.abs(right))), EPSILON / 2)


def measure(x: Any, steps: Sequence[float]) -> list[dict[str, Any]]:
    """One row a method and step."""
    right = exact(x)
    modes: dict[str, Callable[..., Any]] = {FORWARD: admodes.jacfwd(f), REVERSE: admodes.grad(f)}
    rows = [{"method": m, "step": None, "error": error(derivative(x), right)} for m, derivative in modes.items()]
    at = point(f, (x,))
    chosen = [Ladder(at, e).central for e in np.eye(x.size)]
    step = float(np.median([estimate.relative[0] for estimate in chosen]))
    rows.append({"method": CHECKED, "step": step, "error": error([estimate.value[0] for estimate in chosen], right)})
    for method in DIFFERENCES:
        rows += [{"method": method, "step": h, "error": error(gradient(x, h, method), right)} for h in steps]
    return rows


def of(rows: Sequence[Row], method: str) -> tuple[list[float], list[float]]:
    """Steps and errors of a method."""
    mine = [row for row in rows if row["method"] == method]
    return [row["step"] for row in mine], [row["error"] for row in mine]


def best(rows: Sequence[Row], method: str) -> tuple[float, float]:
    """The smallest error, and its step."""
    steps, errors = of(rows, method)
    k = int(np.argmin(errors))
    return errors[k], steps[k]


def slope(rows: Sequence[Row], method: str) -> float:
    """How the error grows with the step where truncation makes it: above ten times the best step, and below 0.02."""
    steps, errors = of(rows, method)
    low = best(rows, method)[1] * 10
    used = [(h, e) for h, e in zip(steps, errors, strict=True) if low <= h <= 0.02]
    law = power_law(*zip(*used, strict=True))
    assert law is not None, f"too few steps for a slope: {used}"
    return law.slope


def finding(rows: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    lowest = {method: best(rows, method) for method in DIFFERENCES}
    fixed = {method: of(rows, method)[1][0] for method in (FORWARD, REVERSE, CHECKED)}
    law = {method: slope(rows, method) for method in (ONE_SIDED, CENTRAL)}
    return (
        f"at the best of all steps one-sided differences are off by {lowest[ONE_SIDED][0]:.0e} (h = "
        f"{lowest[ONE_SIDED][1]:.0e}), central ones by {lowest[CENTRAL][0]:.0e} (h = {lowest[CENTRAL][1]:.0e}); above, "
        f"the errors grow as h^{law[ONE_SIDED]:.2f} and h^{law[CENTRAL]:.2f}, and below, as ε/h. The step that check "
        f"chooses from the values alone gives {fixed[CHECKED]:.0e}; the complex step reaches {lowest[COMPLEX][0]:.0e}; "
        f"forward mode is off by {fixed[FORWARD]:.0e}, reverse mode by {fixed[REVERSE]:.0e}, without a step"
    )


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """Error over step, in logarithmic axes, with the slopes that theory gives."""
    lost = best(rows, ONE_SIDED)[0], best(rows, CENTRAL)[0]
    modes = max(of(rows, method)[1][0] for method in (FORWARD, REVERSE))
    title = (
        f"Differences are off by {lost[0]:.0e} (one-sided) or {lost[1]:.0e} (central) at the best step;\n"
        f"forward and reverse mode have no step, and are off by {modes:.0e}"
    )
    made = style.figure(style.WIDE, 6.2, title)
    ax = made.subplots()
    for method in DIFFERENCES:
        ax.plot(*of(rows, method), label=method, markersize=4.5, **LOOKS[method])
    ax.plot(*of(rows, CHECKED), label=CHECKED, zorder=5, **LOOKS[CHECKED])
    for method in (FORWARD, REVERSE):
        ax.axhline(of(rows, method)[1][0], label=method, linewidth=2.2, **LOOKS[method])
    _theory(ax, rows)
    ax.set(
        xscale="log", yscale="log", ylim=(5e-17, 30), xlabel="step h",
        ylabel="largest error of the gradient, relative to its largest number",
    )  # fmt: skip
    ax.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.57, 1.0))
    return made


def _theory(ax: Any, rows: Sequence[Row]) -> None:
    """The slopes through the data where each rules, a little beside them."""
    for method, near, order, text in (
        (ONE_SIDED, 1e-4, 1, "O(h)"),
        (CENTRAL, 1e-3, 2, "O(h²)"),
        (ONE_SIDED, 1e-12, -1, "ε/h"),
    ):
        steps, errors = of(rows, method)
        k = int(np.argmin(np.abs(np.log(np.array(steps) / near))))
        h = steps[k] * np.array([1e-3, 1e2] if order > 0 else [1e-3, 1e4])
        line = 3 * errors[k] * (h / steps[k]) ** order
        ax.plot(h, line, linestyle=":", **style.THEORY)
        at, shift = (steps[k], 3 * errors[k]), (8, 4) if order < 0 else (-34, 6)
        ax.annotate(text, at, shift, textcoords="offset points", color=style.GREY, fontsize=13)


def run(study: Study) -> str:
    per_decade = 6 if study.full else 3
    steps = np.logspace(-1, -16, 15 * per_decade + 1).tolist()
    x = study.rng().uniform(0.5, 2.0, NUMBERS)
    rows = measure(x, steps)
    study.table(rows)
    study.picture(draw(rows))
    return finding(rows)
