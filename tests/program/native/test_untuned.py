"""Whole programs as native kernels against their gradients by hand."""

import functools

import numpy as np
import pytest
from untuned import PROGRAMS

from admodes import compile, value_and_grad

pytest.importorskip("llvmlite")


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_by_hand(name):
    f, by_hand, arguments, by = PROGRAMS[name]
    f = functools.partial(f, np)
    y, found = compile(value_and_grad(f, argnums=tuple(range(by)) if by > 1 else 0), native=True)(*arguments)
    np.testing.assert_allclose(y, f(*arguments), rtol=1e-10)
    for a, b in zip(found, by_hand(*arguments), strict=True) if by > 1 else [(found, by_hand(*arguments))]:
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10 * np.max(np.abs(b)))
