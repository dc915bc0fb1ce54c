"""The names of parameters, which are read off a function's code, are those of its signature."""

import functools
import inspect

import numpy as np
import pytest

from admodes.core.names import parameter_names
from admodes.core.registry import OPS


def several(a, /, b, *rest, c=1, **more): ...


def named(a, *, c=1, **more): ...


FUNCTIONS = [fn for fn in OPS if not isinstance(fn, np.ufunc)]
FUNCTIONS += [several, named, functools.wraps(named)(lambda *args, **kwargs: None), functools.partial(several, 1)]


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: getattr(fn, "__name__", "partial"))
def test_names_are_those_of_the_signature(fn):
    try:
        expected = tuple(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        expected = ()
    assert parameter_names(fn) == expected
