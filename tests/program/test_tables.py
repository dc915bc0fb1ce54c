"""Tables that say of an operation how it is written or drawn: nothing that Python has is missing."""

import math

import numpy as np
import pytest

from admodes import compile, trace
from admodes.core.dispatch import OPERATORS
from admodes.core.operators import PASSIVE_OPERATORS
from admodes.core.registry import OPS, lookup
from admodes.program.code.printer import INFIX
from admodes.program.code.scalars import MATH
from admodes.program.show.draw import SYMBOLS

BINARY = [*OPERATORS.values(), *(fn for fn in PASSIVE_OPERATORS.values() if fn is not np.divmod)]  # no operator: a pair
# Functions of math by another name in NumPy, and those that do something else there, or on whole numbers, or pairs.
RENAMED = {"acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "acosh": "arccosh"}
RENAMED |= {"asinh": "arcsinh", "atanh": "arctanh", "radians": "deg2rad", "degrees": "rad2deg"}
OTHERWISE = {"ceil", "floor", "trunc", "frexp", "modf", "gcd", "lcm", "ldexp", "nextafter", "remainder"}
WRITTEN = {np.power: "**"}  # by an operator


@pytest.mark.parametrize("fn", BINARY, ids=lambda fn: fn.__name__)
def test_every_operator_is_written_and_drawn_as_one(fn):
    whole = fn in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift)
    a = np.array([[6, 3], [2, 5]], int if whole else float)
    program = trace(fn, a, a.T)
    assert fn in SYMBOLS
    assert f"x1 {INFIX[fn]} x2" in program.source or "x1.dot(x2)" in program.source
    np.testing.assert_array_equal(program(a, a.T), fn(a, a.T))


NAMES = [n for n in dir(math) if isinstance(getattr(np, RENAMED.get(n, n), None), np.ufunc) and n not in OTHERWISE]


@pytest.mark.parametrize("name", NAMES)
def test_a_program_of_scalars_calls_the_functions_of_math(name):
    fn = getattr(np, RENAMED.get(name, name))
    assert lookup(fn) is OPS[fn]
    if fn in WRITTEN:
        return
    xs = (1.25, 0.5)[: fn.nin] if name == "acosh" else (0.25, 0.5)[: fn.nin]
    fast = compile(fn)
    np.testing.assert_allclose(fast(*xs), fn(*xs), rtol=1e-15)
    assert MATH[fn].removeprefix("math.") in ("abs", name)
    for bad in (np.nan, np.inf, -np.inf, -0.0, 1e300, -2.0):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(fast(*(bad, 0.0)[: fn.nin]), fn(*(bad, 0.0)[: fn.nin]), rtol=1e-15)
