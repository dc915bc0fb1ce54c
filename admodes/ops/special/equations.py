"""Functions stated by their differential equations: Mathieu's and the spheroidal wave functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sc

from ...core.domain import POSITIVE, REAL, SMALL_INTEGERS, UNIT, A, OnlyReal, case
from ...core.registry import UNKNOWN, Refused, add
from .rows import DEGREE, several, ufunc

# ---------------------------------------------------------------------------------------------------
# Mathieu functions: y″ + (a − 2q cos 2x) y = 0, x in degrees; the modified ones with cosh and −, x as it is
# ---------------------------------------------------------------------------------------------------


def _mathieu(eigenvalue: Any) -> Callable[..., Any]:
    """Results y and dy/dx with x in radians, though the argument is in degrees."""

    def partial(y: Any, m: Any, q: Any, x: Any) -> tuple[Any, Any]:
        return DEGREE * y[1], DEGREE * (2 * q * np.cos(2 * DEGREE * x) - eigenvalue(m, q)) * y[0]

    return partial


def _modified_mathieu(eigenvalue: Any) -> Callable[..., Any]:
    return lambda y, m, q, x: (y[1], (eigenvalue(m, q) - 2 * q * np.cosh(2 * x)) * y[0])


# fmt: off
several("mathieu_cem",     [UNKNOWN, UNKNOWN, _mathieu(sc.mathieu_a)],                   SMALL_INTEGERS, POSITIVE, REAL)
several("mathieu_sem",     [UNKNOWN, UNKNOWN, _mathieu(sc.mathieu_b)],                   SMALL_INTEGERS, POSITIVE, REAL)
several("mathieu_modcem1", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_a)], SMALL_INTEGERS, POSITIVE, POSITIVE)
several("mathieu_modcem2", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_a)], SMALL_INTEGERS, POSITIVE, POSITIVE)
several("mathieu_modsem1", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_b)], SMALL_INTEGERS, POSITIVE, POSITIVE)
several("mathieu_modsem2", [UNKNOWN, UNKNOWN, _modified_mathieu(sc.mathieu_b)], SMALL_INTEGERS, POSITIVE, POSITIVE)
# fmt: on

# ---------------------------------------------------------------------------------------------------
# Spheroidal wave functions: (1 − x²) s″ − 2x s′ + (λ − c²x² − m²/(1 − x²)) s = 0; oblate radial: x → ix, c → −ic
# ---------------------------------------------------------------------------------------------------


def _prolate(y: Any, m: Any, c: Any, value: Any, x: Any, square: float = 1.0) -> tuple[Any, Any]:
    """s′ and s″ from s, s′ and the characteristic value λ; square −1: c² counts as −c² (oblate, angular)."""
    w = 1 - x * x
    return y[1], (2 * x * y[1] - (value - square * c * c * x * x - m * m / w) * y[0]) / w


def _oblate_radial(y: Any, m: Any, c: Any, value: Any, x: Any) -> tuple[Any, Any]:
    """(x² + 1) R″ + 2x R′ − (λ − c²x² − m²/(x² + 1)) R = 0."""
    w = 1 + x * x
    return y[1], ((value - c * c * x * x - m * m / w) * y[0] - 2 * x * y[1]) / w


def _oblate_angular(y: Any, m: Any, c: Any, value: Any, x: Any) -> tuple[Any, Any]:
    return _prolate(y, m, c, value, x, -1.0)


def _spheroidal(name: str, equation: Callable[..., Any], characteristic: Any, where: Any) -> None:
    """Two rows: the function that finds λ itself and the one that is given it."""
    several(name, [*(UNKNOWN,) * 3, lambda y, m, n, c, x: equation(y, m, c, characteristic(m, n, c), x)],
            (0, 1), SMALL_INTEGERS, POSITIVE, where)  # fmt: skip
    calls = [case(m, n, c, characteristic(m, n, c), A(3, within=where)) for m, n, c in ((0, 2, 0.5), (1, 3, 1.5))]
    several(f"{name}_cv", [*(UNKNOWN,) * 4, lambda y, m, n, c, value, x: equation(y, m, c, value, x)], OnlyReal(calls))


_spheroidal("pro_ang1", _prolate, sc.pro_cv, UNIT)
_spheroidal("pro_rad1", _prolate, sc.pro_cv, ((1.2, 3.0),))
_spheroidal("obl_ang1", _oblate_angular, sc.obl_cv, UNIT)
_spheroidal("obl_rad1", _oblate_radial, sc.obl_cv, POSITIVE)
for _name in ("pro_rad2", "pro_rad2_cv", "obl_rad2", "obl_rad2_cv"):
    add(Refused(ufunc(_name), "SciPy's value and derivative of it contradict each other"))
