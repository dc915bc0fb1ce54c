"""Every row of the registry, over the domain it states: both modes, finite differences, second order, K directions
at once, single precision, complex arguments.  A row without a domain fails."""

import functools
import math
import operator
import zlib

import numpy as np
import pytest
import scipy.special  # so that its rows are in the table

import admodes
import checks
from admodes import registry
from admodes.counting import count
from admodes.domain import A, Case, OnlyReal, case, uniform
from admodes.registry import OPS, Passive, Via

registry.lookup(scipy.special.gamma)


# ---------------------------------------------------------------------------------------------------
# The rows, and how each is called
# ---------------------------------------------------------------------------------------------------

FILLED = {np.zeros_like, np.ones_like, np.empty_like}
# Functions that dispatch on some of their arrays alone: NumPy ignores that the others are traced.
TOGETHER = {np.full_like}


def keys_of_rows():
    """One key for each distinct row that has a derivative: the first it stands under."""
    keys = {}
    for key, op in OPS.items():
        if not isinstance(op, Passive):
            keys.setdefault(id(op), key)
    return list(keys.values())


def name_of_row(key):
    if isinstance(key, tuple):
        return OPS[key].name
    op = OPS[key]
    return op.name if dispatches(key) or op.fn is operator.getitem else f"{op.name}-primitive"


def dispatches(fn):
    return isinstance(fn, np.ufunc) or hasattr(fn, "_implementation")


def called(key):
    """The function of a row, as a person calls it."""
    if key in FILLED:
        return functools.partial(_filled, key)
    if not isinstance(key, tuple):
        return key if dispatches(key) else OPS[key].evaluate
    ufunc, method = key
    if method == "at":
        return functools.partial(_at, ufunc) if ufunc else _at
    return getattr(ufunc, method) if ufunc else lambda ufunc, *args, **params: getattr(ufunc, method)(*args, **params)


def _at(ufunc, a, indices, b=None):
    """ufunc.at changes its first argument, which must be traced where the last one is."""
    a = np.positive(a) if b is None else a + 0 * np.sum(b)
    ufunc.at(a, indices, *([] if b is None else [b]))
    return a


def _filled(like, x):
    """zeros_like and its kin give an array to be filled; their own content has no derivative, or no meaning."""
    y = like(x)
    y[...] = x * x
    return y


def rows_without_domain(rows):
    return [op.name for op in rows if not isinstance(op, Passive) and not op.domain]


SHAPES = {
    1: [((3,),), ((2, 3),), ((),), ((0, 3),)],
    2: [((3,), (2, 3)), ((2, 1), (1, 3)), ((), (3,)), ((2,), ()), ((0, 3), (3,)), ((), ()), ((2, 2), (2, 2))],
    3: [((2, 3), (3,), ()), ((2, 1), (1, 3), (3,)), ((), (2,), (2, 1)), ((0, 3), (3,), ())],
}


def cases(op):
    """The calls of a row: those it lists, or its intervals on shapes that broadcast, and on Python numbers."""
    if isinstance(op.domain, list):
        return op.domain
    arguments = len(op.domain)
    found = [[(shape, within) for shape, within in zip(shapes, op.domain, strict=True)] for shapes in SHAPES[arguments]]
    found += [
        [(None if i == plain else (2, 3), within) for i, within in enumerate(op.domain)]
        for plain in range(arguments if arguments > 1 else 0)
    ]
    rng = np.random.default_rng(5)
    return [case(*(_argument(rng, shape, within) for shape, within in arguments)) for arguments in found]


def _argument(rng, shape, within):
    if isinstance(within[0], int):
        return rng.choice(within, size=shape or ())
    return A(*shape, within=within) if shape is not None else float(uniform(rng, (), within))


def takes_complex(key, op):
    """A ufunc says so in its loops, a list of calls in its kind; the few others with intervals all do."""
    if isinstance(op.domain, list):
        return not isinstance(op.domain, OnlyReal)
    return any("D" in loop.split("->")[0] for loop in key.types) if isinstance(key, np.ufunc) else True


def functions(key, one, values):
    """(f, xs) for each array of a call alone, and for all together."""
    fn = called(key)

    def by(chosen):
        def f(*xs):
            full = list(values)
            for i, x in zip(chosen, xs, strict=True):
                full[i] = x
            args, params = one.fill(full)
            return fn(*args, **params)

        return f, tuple(values[i] for i in chosen)

    everything = tuple(range(len(values)))
    alone = [] if key in TOGETHER else [(i,) for i in everything]
    return [by(chosen) for chosen in dict.fromkeys([*alone, everything])]


def hold(check, key, kinds="f"):
    """A check over every call of a row and every choice of arrays to differentiate by."""
    op = OPS[key]
    for number, one in enumerate(cases(op)):
        rng = np.random.default_rng(zlib.crc32(f"{op.name} {number}".encode()))
        for kind in kinds:
            values = [a.sample(rng, kind) for a in one.arrays]
            for f, xs in functions(key, one, values):
                try:
                    check(f, xs, rng)
                except Exception as error:
                    error.add_note(f"in {op.name}({one}) at {xs}")
                    raise


every_row = pytest.mark.parametrize("key", [k for k in keys_of_rows() if OPS[k].domain], ids=name_of_row)
COMPLEX = [k for k in keys_of_rows() if OPS[k].domain and takes_complex(k, OPS[k])]
every_complex_row = pytest.mark.parametrize("key", COMPLEX, ids=name_of_row)


def test_every_row_states_where_it_is_sampled():
    assert rows_without_domain(OPS.values()) == []


def test_at_least_120_numpy_functions_have_a_derivative():
    known = {key for key, op in OPS.items() if dispatches(key) and not isinstance(op, Passive) and key not in FILLED}
    assert len({name_of_row(key) for key in known if not OPS[key].name.startswith("special.")}) >= 120


@every_row
def test_first_order(key):
    hold(checks.first_order, key)


@every_row
def test_second_order(key):
    hold(checks.second_order, key)


@every_row
def test_directions_at_once(key):
    hold(checks.directions, key)


@every_row
def test_single_precision(key):
    hold(checks.precision, key)


@every_complex_row
def test_complex_arguments(key):
    hold(checks.first_order, key, "c")
    hold(checks.same_dtypes, key, "c")
    hold(checks.directions, key, "c")


@pytest.mark.slow
@every_complex_row
def test_complex_arguments_second_order(key):
    hold(checks.second_order, key, "c")
    hold(checks.precision, key, "c")
