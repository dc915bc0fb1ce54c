"""Every row of the registry, over the domain it states: both modes, finite differences, second order, K directions
at once, single precision, complex arguments.  A row without a domain fails."""

import functools
import importlib
import operator
import zlib

import checks
import numpy as np
import pytest
import scipy.special  # so that its rows are in the table

import admodes
import admodes.scipy
from admodes.core import dispatch, registry
from admodes.core.domain import A, Apart, OnlyReal, case, uniform
from admodes.core.registry import OPS, Linear, Passive, Refused, Via
from admodes.core.reverse import reverse_push
from admodes.program import cost

registry.lookup(scipy.special.gamma)
for _module in admodes.scipy.MODULES:
    importlib.import_module(f"admodes.scipy.{_module}")
pytestmark = pytest.mark.filterwarnings(  # one mark, which other modules take over
    "ignore:`row_stack` alias is deprecated:DeprecationWarning",
    "ignore:logm result may be inaccurate:RuntimeWarning",  # in single precision
)


# ---------------------------------------------------------------------------------------------------
# The rows, and how each is called
# ---------------------------------------------------------------------------------------------------

FILLED = {np.zeros_like, np.ones_like, np.empty_like}
CHANGING = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}
# Functions that take the dtype of their first array: a complex number does not go into a real one.
INTO = {"setitem", "full_like", "insert", "ediff1d"}
# Functions that dispatch on some of their arrays alone: NumPy ignores that the others are traced.
TOGETHER = {np.full_like}


def keys_of_rows():
    """One key for each distinct row that has a derivative: the first it stands under."""
    keys = {}
    for key, op in OPS.items():
        if not isinstance(op, Passive | Refused):
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
    if key in CHANGING:
        return functools.partial(_changed, key)
    if not isinstance(key, tuple):
        return key if dispatches(key) else OPS[key].evaluate
    ufunc, method = key
    if method == "at":
        return functools.partial(_changed, ufunc.at) if ufunc else lambda ufunc, *args: _changed(ufunc.at, *args)
    return getattr(ufunc, method) if ufunc else lambda ufunc, *args, **params: getattr(ufunc, method)(*args, **params)


def _changed(change, a, *args, **params):
    """What a function that changes its first argument leaves there; it must be traced where any other is."""
    a = a + sum(0 * np.sum(b) for b in args if getattr(b, "dtype", np.dtype(int)).kind in "fc")
    change(a, *args, **params)
    return a


def _filled(like, x):
    """zeros_like and its kin give an array to be filled; their own content has no derivative, or no meaning."""
    y = like(x)
    y[...] = x * x
    return y


def rows_without_domain(rows):
    return [op.name for op in rows if not isinstance(op, Passive | Refused) and not op.domain]


SHAPES = {
    1: [((3,),), ((2, 3),), ((),), ((0, 3),)],
    2: [((3,), (2, 3)), ((2, 1), (1, 3)), ((), (3,)), ((2,), ()), ((0, 3), (3,)), ((), ()), ((2, 2), (2, 2))],
    3: [((2, 3), (3,), ()), ((2, 1), (1, 3), (3,)), ((), (2,), (2, 1)), ((0, 3), (3,), ())],
    4: [((), (2, 1), (3,), (2, 3)), ((2,), (), (), ()), ((), (), (3,), (0, 3))],
    5: [((), (), (2, 1), (3,), (2, 3)), ((2,), (), (), (), ())],
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
    calls = [case(*(_argument(rng, shape, within) for shape, within in arguments)) for arguments in found]
    return [one for one in calls if one.arrays]


def _argument(rng, shape, within):
    if isinstance(within[0], int | float):
        return rng.choice(within, size=shape or ())
    return A(*shape, within=within) if shape is not None else float(uniform(rng, (), within))


def takes_complex(key, op):
    """A ufunc says so in its loops, a list of calls in its kind; the few others with intervals all do."""
    if isinstance(op.domain, list):
        return not isinstance(op.domain, OnlyReal)
    return any("D" in loop.split("->")[0] for loop in key.types) if isinstance(key, np.ufunc) else key is not np.i0


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


def samples(op, one, kind, rng):
    """The arrays of a call: real ('f'), complex ('c'), or complex but one, for each in turn ('m')."""
    n = len(one.arrays)
    if kind != "m":
        return [[a.sample(rng, kind) for a in one.arrays]]
    return [
        [a.sample(rng, "f" if i == j else "c") for j, a in enumerate(one.arrays)]
        for i in range(op.name in INTO, n if n > 1 else 0)
    ]


def hold(check, key, kind="f", at_most=None):
    """A check over every call of a row and every choice of arrays to differentiate by."""
    op = OPS[key]
    for number, one in enumerate(cases(op)[:at_most]):
        rng = np.random.default_rng(zlib.crc32(f"{op.name} {number}".encode()))
        for values in samples(op, one, kind, rng):
            for f, xs in functions(key, one, values):
                try:
                    check(f, xs, rng)
                except Exception as error:
                    error.add_note(f"in {op.name}({one}) at {xs}")
                    raise


SAMPLED = [k for k in keys_of_rows() if OPS[k].domain and not isinstance(OPS[k].domain, Apart)]
every_row = pytest.mark.parametrize("key", SAMPLED, ids=name_of_row)
COMPLEX = [k for k in SAMPLED if takes_complex(k, OPS[k])]
every_complex_row = pytest.mark.parametrize("key", COMPLEX, ids=name_of_row)


def test_every_row_states_where_it_is_sampled():
    assert rows_without_domain(OPS.values()) == []


def test_at_least_120_numpy_functions_have_a_derivative():
    own = [OPS[key] for key in OPS if dispatches(key) and key not in FILLED]
    names = {op.name for op in own if not isinstance(op, Passive | Refused)}
    assert sum(not name.startswith("special.") for name in names) >= 120


@every_row
def test_first_order(key):
    hold(checks.first_order, key)


# The many functions of scipy.special are elementwise rows like others: shapes are not tried again at second order.
FEW = {key: 2 for key in SAMPLED if OPS[key].name.startswith(("special.", "scipy.stats."))}


@every_row
def test_second_order(key):
    hold(checks.second_order, key, at_most=FEW.get(key))


@pytest.mark.slow
@pytest.mark.parametrize("key", FEW, ids=name_of_row)
def test_second_order_of_special_functions_in_every_shape(key):
    hold(checks.second_order, key)


@every_row
def test_directions_at_once(key):
    hold(checks.directions, key)


@every_row
def test_single_precision(key):
    hold(checks.precision, key)


@every_complex_row
def test_complex_arguments(key):
    hold(checks.first_order, key, "c", at_most=FEW.get(key))
    hold(checks.same_dtypes, key, "c", at_most=FEW.get(key))


@every_complex_row
def test_a_real_argument_among_complex_ones(key):
    hold(checks.adjoint, key, "m")
    hold(checks.same_dtypes, key, "m")


@pytest.mark.slow
@every_complex_row
def test_complex_arguments_at_length(key):
    for check in (checks.first_order, checks.second_order, checks.directions, checks.precision):
        hold(check, key, "c")


def test_a_change_to_single_precision_carries_the_derivative():
    x = np.array([0.1, 2.0])
    y, t = admodes.jvp(lambda x: np.astype(x, np.float32), (x,), (np.array([3.0, 4.0]),))
    (g,) = admodes.vjp(lambda x: np.astype(x, np.float32), x)[1](np.float32([5.0, 6.0]))
    assert (y.dtype, t.dtype, g.dtype) == (np.float32, np.float32, np.float64)
    assert t.tolist() == [3.0, 4.0]
    assert g.tolist() == [5.0, 6.0]


# ---------------------------------------------------------------------------------------------------
# Fast pulls against those derived from the push
# ---------------------------------------------------------------------------------------------------

HAND_WRITTEN = [k for k in SAMPLED if isinstance(OPS[k], Via) and any(pull is not None for pull in OPS[k].pulls)]


def against_derived(op, f, xs, rng):
    """The pulls of a row are those that reverse_push makes of its pushes.  (It reverses whatever the push calls, which
    may be the row itself, as in solve: the stated pulls are back in place meanwhile.)"""
    us = checks.like(rng, checks.push(f, xs, xs))
    stated, rules = checks.pull(f, xs, us), op.pulls

    def derived(i):
        def pull(u, y, *args, **params):
            op.pulls = rules
            try:
                return reverse_push(op, i, u, y, args, params)
            finally:
                op.pulls = replaced

        return pull

    op.pulls = replaced = tuple(derived(i) for i in range(len(rules)))
    try:
        checks.near(stated, checks.pull(f, xs, us), checks.EXACT, "stated pull against the derived one")
    finally:
        op.pulls = rules


@pytest.mark.parametrize("key", HAND_WRITTEN, ids=name_of_row)
def test_stated_pulls_are_the_derived_ones(key):
    for kind in "fc" if takes_complex(key, OPS[key]) else "f":
        hold(functools.partial(against_derived, OPS[key]), key, kind)


def test_the_rows_with_a_pull_beside_their_push_are_found():
    names = {OPS[key].name for key in HAND_WRITTEN}
    assert names >= {"linalg.inv", "linalg.solve", "linalg.det", "max", "min", "convolve"}


# ---------------------------------------------------------------------------------------------------
# Flop counts in closed form
# ---------------------------------------------------------------------------------------------------

M, K, N = 5, 7, 3
A_MK, B_KN, SQUARE, RIGHT = np.ones((M, K)), np.ones((K, N)), 4 * np.eye(K), np.ones((K, N))
FLOPS = {
    "matmul": (np.matmul, (A_MK, B_KN), 2 * M * K * N),
    "matrix times vector": (np.matmul, (A_MK, np.ones(K)), 2 * M * K),
    "matmul of a stack": (np.matmul, (np.ones((4, M, K)), B_KN), 4 * 2 * M * K * N),
    "dot": (np.dot, (np.ones(K), np.ones(K)), 2 * K),
    "inner": (np.inner, (A_MK, np.ones((N, K))), 2 * M * N * K),
    "tensordot": (np.tensordot, (np.ones((2, M, K)), np.ones((M, K, N))), 2 * 2 * M * K * N),
    "einsum": (lambda a, b: np.einsum("ij,jk->ik", a, b), (A_MK, B_KN), 2 * M * K * N),
    "convolve": (np.convolve, (np.ones(K), np.ones(N)), 2 * K * N),
    "solve": (np.linalg.solve, (SQUARE, RIGHT), 2 / 3 * K**3 + 2 * K * K * N),
    "inv": (np.linalg.inv, (SQUARE,), 2 * K**3),
    "det": (np.linalg.det, (SQUARE,), 2 / 3 * K**3),
    "add, broadcast": (np.add, (np.ones((M, 1)), np.ones(K)), M * K),
    "multiply": (np.multiply, (A_MK, A_MK), M * K),
    "sqrt": (np.sqrt, (A_MK,), M * K),
    "sin": (np.sin, (A_MK,), 10 * M * K),
    "exp": (np.exp, (A_MK,), 10 * M * K),
    "sum": (np.sum, (A_MK,), M * K),
    "comparison": (np.greater, (A_MK, A_MK), M * K),
    "reshape": (lambda a: np.reshape(a, -1), (A_MK,), 0),
}


@pytest.mark.parametrize(("f", "xs", "flops"), FLOPS.values(), ids=FLOPS)
def test_flops_in_closed_form(f, xs, flops):
    assert cost(f, *xs).flops == pytest.approx(flops, rel=1e-12)


def test_a_pull_of_a_matrix_product_costs_two_products():
    forward = cost(np.matmul, A_MK, B_KN)
    both = cost(lambda a, b: admodes.vjp(np.matmul, a, b)[1](np.ones((M, N))), A_MK, B_KN)
    assert both.flops == 3 * forward.flops == 3 * 2 * M * K * N


# ---------------------------------------------------------------------------------------------------
# The checks can fail: each rejects a row that is wrong in its way, and that others let pass
# ---------------------------------------------------------------------------------------------------

X = np.array([0.3, -0.8, 1.1])


def rng():
    return np.random.default_rng(3)


def sine(x):
    return admodes.custom_op(np.sin, partial=lambda y, x: np.cos(x))(x)


def constant(x):
    """The value of a traced number: what a rule that detaches its argument sees."""
    while hasattr(x, "transform"):
        x = x.value
    return x


ALL = [checks.values, checks.adjoint, checks.differences, checks.directions, checks.second_order, checks.precision]
WRONG = {
    "wrong sign": ({"partial": lambda y, x: -np.cos(x)}, {checks.differences}),
    "wrong at second order only": ({"partial": lambda y, x: np.cos(constant(x))}, {checks.second_order}),
    "wrong for K directions only": (
        {"push": lambda t, y, x: np.cos(x) * t * (1.0 if t.ndim == x.ndim else 1.5), "batched": True},
        {checks.directions},
    ),
    "directions mixed up": (
        {"push": lambda t, y, x: np.cos(x) * (t if t.ndim == x.ndim else t[::-1]), "batched": True},
        {checks.directions},
    ),
    "double precision of single": (
        {"push": lambda t, y, x: np.cos(x) * t * np.ones(()), "batched": True}, {checks.precision},
    ),
}  # fmt: skip


@pytest.mark.parametrize("check", ALL)
def test_a_right_row_passes_every_check(check):
    check(sine, (X,), rng())


@pytest.mark.parametrize(("row", "rejecting"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_rejected_by_the_checks_that_can_see_it(row, rejecting):
    wrong = admodes.custom_op(**{"fn": np.sin, **row})
    assert {check for check in ALL if rejects(check, wrong)} == rejecting


def test_a_wrong_transpose_is_rejected():
    """By the checks; of a `custom_op` at its first use already."""
    op = Linear(np.cumsum, lambda t, x: np.cumsum(t, axis=-1), lambda u, x: np.cumsum(u, axis=-1))
    wrong = dispatch.primitive(op)
    assert {check for check in ALL if rejects(check, wrong)} >= {checks.adjoint, checks.differences}
    stated = admodes.custom_op(np.cumsum, transpose=lambda u, x: np.cumsum(u))
    with pytest.raises(ValueError, match="is not the transpose of the function"):
        admodes.grad(lambda x: np.sum(stated(x)))(X)


def rejects(check, f):
    try:
        check(f, (X,), rng())
    except AssertionError:
        return True
    return False


def test_a_complex_conjugate_in_the_wrong_place_is_rejected():
    wrong = admodes.custom_op(np.square, partial=lambda y, x: 2 * np.conjugate(x))
    checks.differences(wrong, (X,), rng())
    with pytest.raises(AssertionError, match="differences"):
        checks.differences(wrong, (X + 1j,), rng())


def test_a_wrong_pull_beside_a_right_push_is_rejected():
    op = Via(np.sin, [lambda t, y, x: np.cos(x) * t], [lambda u, y, x: np.sin(x) * u])
    with pytest.raises(AssertionError, match="derived"):
        against_derived(op, dispatch.primitive(op), (X,), rng())


def test_a_row_without_a_domain_is_named():
    bare = registry.Elementwise(np.sin, [lambda y, x: np.cos(x)])
    assert rows_without_domain([*OPS.values(), bare]) == [*rows_without_domain(OPS.values()), "sin"]
