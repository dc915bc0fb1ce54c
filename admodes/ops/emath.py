"""np.emath: roots, logarithms, powers and inverse functions that are complex where their arguments are out of the real
domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dispatch import canonical
from ..core.domain import POSITIVE, UNIT, A, case
from ..core.registry import Composite, add


def _array(x: Any) -> Any:
    """As np.asarray has it: numbers without a dtype are double precision here."""
    return canonical(x) if isinstance(x, list | tuple) else x if hasattr(x, "dtype") else np.asarray(x)


def _within(x: Any, outside: Callable[[Any], Any]) -> Any:
    """x, as complex numbers where one of the elements is outside the real domain."""
    x = _array(x)
    if x.dtype.kind == "c" or not np.any(outside(x)):
        return x
    return x.astype(np.csingle if x.dtype == np.single else np.cdouble)


def _negative(x: Any) -> Any:
    return x < 0


def _above_one(x: Any) -> Any:
    return np.abs(x) > 1


def _logn(n: Any, x: Any) -> Any:
    return np.log(_within(x, _negative)) / np.log(_within(n, _negative))


def _power(x: Any, p: Any) -> Any:
    p = _array(p)
    if p.dtype.kind != "c" and np.any(p < 0):
        p = p * 1.0
    return np.power(_within(x, _negative), p)


def _row(name: str, outside: Callable[[Any], Any], within: Any) -> None:
    fn = getattr(np, name)
    domain = [case(A(3, within=within)), case(A(within=within))]
    add(Composite(getattr(np.emath, name), lambda x: fn(_within(x, outside)), domain=domain))


for _name in ("sqrt", "log", "log2", "log10"):
    _row(_name, _negative, POSITIVE)
for _name in ("arcsin", "arccos", "arctanh"):
    _row(_name, _above_one, UNIT)
add(
    Composite(
        np.emath.logn, _logn, arrays=2, domain=[case(2, A(3, within=POSITIVE)), case(A(3, within=((1.2, 3.0),)), 3.0)]
    )
)
add(
    Composite(
        np.emath.power, _power, arrays=2, domain=[case(A(3, within=POSITIVE), A(3)), case(A(3, within=POSITIVE), -2)]
    )
)
