"""Each pass on its own: what it takes away, and what it must not."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import random_program

from admodes import compile, custom_op, grad, hessian, jacfwd, jacrev, trace, vjp
from admodes.program.algebra import sums_as_products
from admodes.program.factorisations import shared_factors
from admodes.program.memory import WORKSPACE_BYTES, changes_in_place, results_in_place, workspace
from admodes.program.passes import (
    REASSOCIATING,
    common_subexpressions,
    constant_folding,
    contraction_order,
    dead_code,
    identities,
    numbers_as_arrays,
    optimise,
    scales,
)
from admodes.program.stacking import early_terms_first, operations_together, sums_of_products
from admodes.program.unit_seeds import unit_seeds

rng = np.random.default_rng(8)
X = rng.normal(size=3)
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -2.5, 5e-324, 1e308])
LARGE = WORKSPACE_BYTES // 8 + 5


def names(program):
    return [i.op.name for i in program.instructions]


def applied(one, f, *args):
    """The names of the operations before and after a pass that leaves the results what they are."""
    program = trace(f, *args)
    after = one(program)
    assert_same(after(*args), program(*args))
    return names(program), names(after)


def assert_same(found, expected):
    for a, b in zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True):
        np.testing.assert_array_equal(a, b)
        known = ~np.isnan(np.asarray(b, complex))
        np.testing.assert_array_equal(np.signbit(np.real(a))[known], np.signbit(np.real(b))[known])


# ---------------------------------------------------------------------------------------------------
# Dead code
# ---------------------------------------------------------------------------------------------------


def test_dead_code_goes():
    before, after = applied(dead_code, lambda x: (np.exp(x), np.sin(np.cos(x)), x * 2)[2], X)
    assert (len(before), after) == (4, ["multiply"])


def test_guards_and_what_they_read_stay():
    _, after = applied(dead_code, lambda x: x * 2 if np.sum(x * x) > 0 else x, X)
    assert after == ["multiply", "sum", "greater", "guard", "multiply"]


def test_dead_code_of_a_gradient():
    """The forward value of a gradient is not returned; what only it needed goes."""
    before, after = applied(dead_code, grad(lambda x: np.sum(np.sin(x))), X)
    assert "sum" in before
    assert "sum" not in after
    assert "sin" not in after


# ---------------------------------------------------------------------------------------------------
# Common subexpressions
# ---------------------------------------------------------------------------------------------------


def test_equal_expressions_are_computed_once():
    _, after = applied(common_subexpressions, lambda x: np.sin(x * 2) + np.sin(x * 2) * np.sin(x * 2), X)
    assert after == ["multiply", "sin", "multiply", "add"]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x * 0.0, x * -0.0),
        lambda x: (x + 1, x + 1.0, x + np.float32(1)),
        lambda x: (x[0], x[1], x[:2], x[:1]),
        lambda x: (np.sum(x), np.sum(x, axis=0), np.sum(x, keepdims=True)),
        lambda x: (x - 2.0, 2.0 - x),
        lambda x: (np.astype(x, np.float32), np.astype(x, np.float16)),
    ],
)
def test_expressions_that_only_look_alike(f):
    program = trace(f, X.reshape(3))
    assert len(common_subexpressions(program)) == len(program)


def test_constants_of_equal_content_are_one():
    _, after = applied(
        common_subexpressions, lambda x: x * np.array([1.0, 2.0, 3.0]) + x * np.array([1.0, 2.0, 3.0]), X
    )
    assert after == ["multiply", "add"]
    zero, minus = np.zeros(3), -np.zeros(3)
    assert len(applied(common_subexpressions, lambda x: (x * zero, x * minus), X)[1]) == 2


class Unlike:
    """Objects that print alike and differ."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return "Unlike()"


def test_parameters_that_print_alike():
    op = custom_op(lambda x, by: x * by.value, transpose=lambda u, x, by: u * by.value)
    _, after = applied(common_subexpressions, lambda x: op(x, Unlike(2.0)) + op(x, Unlike(3.0)), X)
    assert len(after) == 3


def test_several_results_are_shared():
    both = custom_op(lambda x: (x + 1, x * 2), push=lambda t, y, x: (t, 2 * t))
    _, after = applied(common_subexpressions, lambda x: both(x)[0] * both(x)[1], X)
    assert len(after) == 2


# ---------------------------------------------------------------------------------------------------
# Constant folding
# ---------------------------------------------------------------------------------------------------


def test_work_on_seeds_is_done_once():
    A = rng.normal(size=(4, 3))
    before, after = applied(constant_folding, grad(lambda x: np.sum(A @ x)), X)
    assert "seed" in before
    assert after == ["matmul", "sum"]  # the gradient is a constant; dead code goes later
    assert names(optimise(trace(grad(lambda x: np.sum(A @ x)), X))) == []


def test_what_depends_on_an_input_is_not_folded():
    before, after = applied(constant_folding, lambda x: np.sin(x) * np.ones(3), X)
    assert before == after


def test_folded_arrays_are_dense():
    """A broadcast array of stride 0 would be copied by every matrix product."""
    program = constant_folding(trace(grad(lambda W: np.sum(W @ np.ones(3))), rng.normal(size=(4, 3))))
    arrays = [x for x in (*program.outputs, *program.namespace.values()) if isinstance(x, np.ndarray)]
    assert arrays
    assert all(x.flags.c_contiguous for x in arrays)


# ---------------------------------------------------------------------------------------------------
# Identities
# ---------------------------------------------------------------------------------------------------

GONE = {
    "x * 1": lambda x: x * 1,
    "1.0 * x": lambda x: 1.0 * x,
    "x / 1": lambda x: x / 1,
    "x - 0": lambda x: x - 0,
    "x - 0.0": lambda x: x - 0.0,
    "x ** 1": lambda x: x**1,
    "x * ones": lambda x: x * np.ones(x.shape),
    "x - zeros": lambda x: x - np.zeros(x.shape),
    "−(−x)": lambda x: np.negative(-x),
    "reshape to its shape": lambda x: x.reshape(x.shape),
    "astype its type": lambda x: x.astype(float),
    "real of a real": np.real,
    "conjugate of a real": np.conjugate,
    "positive": np.positive,
    "x[:]": lambda x: x[:],
    "x[0:9]": lambda x: x[0:9],
    "x[...]": lambda x: x[...],
    "x[:100]": lambda x: x[:100],
    "broadcast to its shape": lambda x: np.broadcast_to(x, x.shape),
}


@pytest.mark.parametrize("f", GONE.values(), ids=GONE)
def test_neutral_operations_go(f):
    _, after = applied(lambda p: dead_code(identities(p)), f, SPECIAL)
    assert after == []


STAY = {
    "x + 0": lambda x: x + 0,  # turns −0.0 into 0.0
    "x + 0.0": lambda x: x + 0.0,
    "x + zeros": lambda x: x + np.zeros(x.shape),
    "x − (−0.0)": lambda x: x - (-0.0),
    "0 − x": lambda x: 0 - x,
    "x * 0": lambda x: x * 0,  # nan where x is nan or infinite
    "x * zeros": lambda x: x * np.zeros(x.shape),
    "0 * inf": lambda x: (x * 0) * np.inf,
    "x / x": lambda x: x / x,
    "x − x": lambda x: x - x,
    "x[::-1]": lambda x: x[::-1],
    "x[indices]": lambda x: x[np.arange(9)[::-1]],
    "x[mask]": lambda x: x[np.ones(9, dtype=bool)],
    "x ** 0 of integers": lambda x: np.astype(np.isfinite(x), int) ** 0,
    "1 ** x": lambda x: 1**x,
    "1 / x": lambda x: 1 / x,
    "x // 1": lambda x: x // 1,
    "x % 1": lambda x: x % 1,
    "x * True of another shape": lambda x: x * np.ones((2, 1)),
    "x * 1 in double": lambda x: x.astype(np.float32) * np.float64(1),
}


@pytest.mark.parametrize("f", STAY.values(), ids=STAY)
def test_what_is_no_identity_of_floating_point_stays(f):
    with np.errstate(all="ignore"):
        before, after = applied(identities, f, SPECIAL)
        assert len(after) == len(before)
        program = trace(f, SPECIAL)
        optimised = optimise(program)
        assert_same(optimised(SPECIAL), f(SPECIAL))
        assert optimised(SPECIAL).dtype == f(SPECIAL).dtype


def test_one_times_a_complex_infinity():
    """(∞ + 0i)·1 is ∞ + nan i in NumPy."""
    z = np.array([complex(np.inf, 0.0), 1 + 2j])
    with np.errstate(all="ignore"):
        before, after = applied(identities, lambda z: z * 1, z)
    assert before == after


def test_powers_of_two_are_squares():
    assert applied(identities, lambda x: x**2, SPECIAL[:-1])[1] == ["square"]


def test_the_power_zero_is_one_of_nan_too():
    program = dead_code(identities(trace(lambda x: x**0, SPECIAL)))
    assert names(program) == []
    assert_same(program(SPECIAL), SPECIAL**0)


def test_squares_in_two_spellings_are_one():
    assert applied(common_subexpressions, lambda x: np.square(x) + x * x, X)[1] == ["square", "add"]


def test_a_ufunc_broadcasts_by_itself():
    A = rng.normal(size=(4, 3))
    for f in (lambda A, x: A * np.broadcast_to(x, (4, 3)), lambda A, x: np.broadcast_to(x, (4, 3)) - A):
        program = trace(f, A, X)
        after = dead_code(identities(program))
        assert "broadcast_to" not in names(after)
        assert_same(after(A, X), program(A, X))
    both = trace(lambda x: np.broadcast_to(x, (4, 3)) * np.broadcast_to(x, (4, 3)), X)
    assert "broadcast_to" in names(dead_code(identities(both)))
    np.testing.assert_array_equal(dead_code(identities(both))(X), both(X))


@pytest.mark.parametrize(
    ("f", "left"),
    [
        (lambda A: A.T.T, []),
        (lambda A: np.swapaxes(np.swapaxes(A, 0, 2), 2, 0), []),
        (lambda A: np.transpose(np.transpose(A, (1, 2, 0)), (2, 0, 1)), []),
        (lambda A: np.transpose(np.transpose(A, (1, 2, 0)), (1, 2, 0)), ["transpose", "transpose"]),
        (lambda A: np.swapaxes(np.swapaxes(A, 0, 1), 0, 2), ["swapaxes", "swapaxes"]),
        (lambda A: A.reshape(6, 4).reshape(2, 12), ["reshape"]),
        (lambda A: A.reshape(6, 4).reshape(2, 3, 4), []),
        (lambda A: np.reshape(A.reshape(6, 4), (2, 12), order="F"), None),
        (lambda A: A.T.reshape(24).reshape(4, 6), ["transpose", "reshape"]),
    ],
)
def test_changes_of_shape(f, left):
    before, after = applied(lambda p: dead_code(identities(p)), f, rng.normal(size=(2, 3, 4)))
    assert after == (before if left is None else left)


def test_an_array_of_one_number_is_a_number():
    program = identities(trace(lambda x: x * np.full(3, 2.5), X))
    assert "x * 2.5" in program.source
    program = identities(trace(lambda x: x * np.array([0.0, -0.0, 0.0]), X))
    assert "c0" in program.source


# ---------------------------------------------------------------------------------------------------
# Scales
# ---------------------------------------------------------------------------------------------------


def test_factors_are_multiplied_beforehand():
    program = trace(lambda x: -(2.0 * (3.0 * x)), X)
    after = dead_code(scales(program))
    assert "-6.0 * x" in after.source.replace("(-6.0)", "-6.0")
    np.testing.assert_allclose(after(X), -6 * X, rtol=1e-15)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: 1e200 * (1e-200 * x),  # 1e-200·x vanishes where x does
        lambda x: 1e-200 * (1e200 * x),  # overflows
        lambda x: 1e200 * (1e200 * x),  # the product of the factors is no number
        lambda x: 1e-200 * (1e-200 * x),
        lambda x: (lambda y: 2.0 * y + y)(3.0 * x),  # used twice
    ],
)
def test_factors_that_do_not_merge(f):
    with np.errstate(all="ignore"):
        before, after = applied(lambda p: dead_code(scales(p)), f, SPECIAL)
    assert before == after


# Jacobians by the second argument, and the products of matrices that are left in them.
WEIGHTS, OTHER = rng.normal(size=(4, 3)), rng.normal(size=(4, 4))
UNIT = [
    (lambda W, x: W @ x, 0),
    (lambda W, x: np.tanh(W @ (2 * np.exp(x) * x)), 0),
    (lambda W, x: OTHER @ np.sin(W @ x), 1),
    (lambda W, x: x[0] * (W @ x), 0),
    (lambda W, x: OTHER @ W @ x, 1),
    (lambda W, x: np.tanh(W @ x) if x[0] < 1e3 else x, 0),
]


@pytest.mark.parametrize("bad", [1.0, np.inf, np.nan])
@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
@pytest.mark.parametrize(("f", "left"), UNIT)
def test_directions_are_no_factors_of_products(f, left, jacobian, bad):
    """What they are multiplied by may be infinite: a zero direction is nothing of it."""
    g = jacobian(f, 1)
    program = optimise(trace(g, WEIGHTS, X))
    assert sum(i.op.fn in (np.dot, np.matmul) and i.outs[0].ndim == 2 for i in program.instructions) == left
    weights = WEIGHTS.copy()
    weights[1, 2] *= bad
    fast = compile(g)
    for W in (WEIGHTS, weights):
        with np.errstate(all="ignore"):
            found, expected = fast(W, X), g(W, X)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert not np.shares_memory(found, W)


@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
@pytest.mark.parametrize("dtypes", [("f", "d"), ("d", "f"), ("f", "f"), ("D", "d"), ("q", "d")], ids="".join)
def test_directions_leave_the_dtype_of_a_product(dtypes, jacobian):
    W, x = WEIGHTS.astype(dtypes[0]), X.astype(dtypes[1])
    for f in (
        lambda W, x: W @ x,
        lambda W, x: W @ (np.sin(x) * 2),
        lambda W, x: W @ (x * np.float32(3)) * np.cos(x[0]),
    ):
        g = jacobian(lambda W, x, f=f: np.real(f(W, x)), 1)
        found, expected = compile(g)(W, x), g(W, x)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12 if expected.dtype == np.float64 else 1e-5)


def test_directions_of_a_hessian_and_others_stay_what_they_are():

    def f(x):
        return np.sum(np.tanh(WEIGHTS @ x) ** 2) * x[0]

    np.testing.assert_allclose(compile(hessian(f))(X), hessian(f)(X), rtol=1e-12)
    assert "seed" not in names(trace(lambda x: np.eye(3) @ np.outer(x, x), X))
    assert applied(unit_seeds, lambda x: np.eye(3) @ np.outer(x, x), X)[1].count("matmul") == 1


def test_scales_of_special_values():
    with np.errstate(all="ignore"):
        program = trace(lambda x: (-(2.0 * x), 2.0 * (4.0 * x), -(-0.5 * x)), SPECIAL)
        assert_same(scales(program)(SPECIAL), program(SPECIAL))


# ---------------------------------------------------------------------------------------------------
# Contraction order
# ---------------------------------------------------------------------------------------------------


def shapes_of_products(program):
    return [i.outs[0].shape for i in program.instructions if i.op.name in ("matmul", "dot")]


def test_matrices_times_a_vector():
    A, B, C, x = (rng.normal(size=s) for s in ((20, 20), (20, 20), (20, 20), 20))
    program = trace(lambda A, B, C, x: A @ B @ C @ x, A, B, C, x)
    after = contraction_order(program)
    assert shapes_of_products(program) == [(20, 20), (20, 20), (20,)]
    assert shapes_of_products(after) == [(20,)] * 3
    np.testing.assert_allclose(after(A, B, C, x), program(A, B, C, x), rtol=1e-12)
    assert after.cost.multiply_adds == 3 * 20 * 20


def test_a_row_times_matrices_and_inner_extents():
    a, B, C = rng.normal(size=(2, 30)), rng.normal(size=(30, 3)), rng.normal(size=(3, 30))
    program = trace(lambda a, B, C: a @ (B @ C), a, B, C)
    after = contraction_order(program)
    assert shapes_of_products(after) == [(2, 3), (2, 30)]
    np.testing.assert_allclose(after(a, B, C), program(a, B, C), rtol=1e-12)


def test_products_that_stay():
    A, x = rng.normal(size=(5, 5)), rng.normal(size=5)
    for f in (
        lambda A, x: A @ (A @ x),  # the best order already
        lambda A, x: (lambda P: (P @ x, P))(A @ A),  # the product is a result too
        lambda A, x: (lambda P: P @ x + P @ (2 * x))(A @ A),  # used twice
        lambda A, x: (np.stack([A, A]) @ A) @ x,  # a batch
    ):
        program = trace(f, A, x)
        assert contraction_order(program) is program


def test_many_products_in_good_time():
    Ws = [rng.normal(size=(8, 8)) / 3 for _ in range(400)]

    def f(x, *Ws):
        P = Ws[0]
        for W in Ws[1:]:
            P = P @ W
        return P @ x

    x = rng.normal(size=8)
    after = contraction_order(trace(f, x, *Ws))
    assert set(shapes_of_products(after)) == {(8,)}
    np.testing.assert_allclose(after(x, *Ws), f(x, *Ws), rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------------


def test_scatters_add_in_place():
    program = dead_code(common_subexpressions(identities(trace(grad(lambda x: np.sum(x[1:] * x[:-1])), np.ones(9)))))
    after = changes_in_place(program)
    assert names(program).count("scatter") == 2
    assert names(after).count("scatter") == 1
    assert "+=" in after.source
    x = rng.normal(size=9)
    np.testing.assert_array_equal(after(x), program(x))


INDICES = [np.s_[1:], np.s_[:-1], np.s_[2:4], np.s_[0], np.s_[-1], np.s_[:], np.s_[..., 1:], np.s_[::2], np.s_[:0]]
BOXES = [*INDICES, np.s_[:, 1:], np.s_[1:, :2], np.s_[..., 0], np.s_[1:3, 1:2], np.s_[:, ::2]]


@pytest.mark.parametrize("shape", [(5,), (4, 3)])
def test_scatters_in_place_keep_the_sign_of_zeros(shape):
    chosen = np.random.default_rng(3)
    pool = INDICES if len(shape) == 1 else BOXES
    in_place = 0
    for _ in range(60):
        indices = [pool[k] for k in chosen.integers(len(pool), size=3)]
        weights = [chosen.choice([0.0, -0.0, 1.0], size=np.empty(shape)[i].shape) for i in indices]

        def f(x, *ws, indices=indices):
            return sum(np.sum(x[i] * w) for i, w in zip(indices, ws, strict=True))

        program = dead_code(identities(trace(grad(f), np.ones(shape), *weights)))
        after = changes_in_place(program)
        in_place += "add_at" in names(after)
        found, expected = after(np.ones(shape), *weights), program(np.ones(shape), *weights)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected), str(indices))
    assert in_place > 30


@pytest.mark.parametrize("index", BOXES, ids=str)
def test_large_arrays_are_zero_where_nothing_is_scattered(index):
    x = rng.normal(size=(70, 40))
    w = rng.normal(size=x[index].shape)
    f = grad(lambda x, w: np.sum(np.sin(x[index]) * w))
    for program in (trace(f, x, w), optimise(trace(f, x, w))):
        np.testing.assert_array_equal(program(x, w), f(x, w))
        np.testing.assert_array_equal(program(x, w) != 0, grad(lambda x: np.sum(x[index]))(x) != 0)
    assert ("np.zeros" in program.source) == (index in (np.s_[1:, :2], np.s_[1:3, 1:2], np.s_[::2], np.s_[:, ::2]))


def test_a_scatter_into_what_others_read_stays():
    def f(x):
        y = np.sin(x)
        z = np.zeros_like(x)
        z[1:] = x[1:]
        return y, grad(lambda x: np.sum(x[1:] ** 2))(x) + y

    program = trace(f, np.ones(4))
    assert "add_at" not in names(changes_in_place(program))
    x = rng.normal(size=4)
    assert_same(changes_in_place(program)(x), f(x))


def test_scatters_into_no_elements():
    """There each step may be a view of the one before."""

    def f(x):
        y = np.flip(x)
        y[:1] = np.tanh(y[0])
        z = x[None, 4::2][..., ::-1]
        np.add.accumulate(z, axis=0, out=z)
        z[...] %= 0.7
        z[z > 0] *= 0.3
        return np.concatenate([z.ravel(), x])

    x = rng.normal(size=4)
    pull = trace(lambda x: vjp(f, x)[1](np.ones(4))[0], x)
    np.testing.assert_array_equal(optimise(pull)(x), pull(x))


def test_a_complex_number_is_stored():
    def f(x):
        z = x + np.zeros(3, complex)
        z[1] = 2j
        y = z * x
        z[0] = y[1]
        return np.abs(z * x)

    x = rng.normal(size=3)
    for g in (f, lambda x: vjp(f, x)[1](np.ones(3))[0]):
        np.testing.assert_allclose(optimise(trace(g, x))(x), g(x), rtol=1e-12)


def test_a_negative_scatter_subtracts_in_place():
    def f(x):
        return grad(lambda x: np.sum(np.cos(x[1:]) * np.sin(x[:-1])))(x)

    x = rng.normal(size=9)
    program = trace(f, x)
    after = optimise(program)
    assert "-=" in after.source
    np.testing.assert_allclose(after(x), f(x), rtol=1e-14)


def test_results_are_written_where_they_belong():
    program = dead_code(trace(grad(lambda x: np.sum(np.sin(x[2:]))), np.ones(9)))
    after = results_in_place(program)
    assert names(after) == [*names(program)[:-2], "scattered"]
    assert "out=grad_x[2:]" in after.source
    assert after.cost.flops == program.cost.flops
    x = rng.normal(size=9)
    np.testing.assert_array_equal(after(x), program(x))


@pytest.mark.parametrize(
    "f",
    [
        grad(lambda x: np.sin(x[2])),  # a scalar has no memory to write to
        grad(lambda x: np.sum(np.sin(x[np.array([1, 1, 2])]))),  # indices that repeat
        lambda x: (lambda t: (t, vjp(lambda x: x[2:], x)[1](t)[0]))(np.sin(x[2:])),  # the result is read twice
        lambda x: vjp(lambda x: x[2:], x)[1](np.sin(x[2:]).astype(np.float32).astype(float))[0],
    ],
)
def test_results_that_are_scattered_as_before(f):
    x = rng.normal(size=9)
    program = trace(f, x)
    assert "scattered" not in names(results_in_place(program))
    for a, b in zip(arrays(optimise(program)(x)), arrays(f(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_elementwise_runs_take_the_memory_of_what_dies():
    program = trace(lambda x: np.exp(np.cos(np.sin(x) * 2)), np.ones(LARGE))
    after = workspace(program)
    places = [(i.buffer, i.into) for i in after.instructions]
    assert places == [(0, None), (None, 0), (None, 0), (None, None)]  # the result is memory of its own
    assert [v.shape for v in after.workspace] == [(LARGE,)]
    x = rng.normal(size=LARGE)
    np.testing.assert_array_equal(after(x), program(x))


def test_arrays_of_the_workspace_serve_again():
    def f(x):
        total = 0.0
        for k in range(6):
            total = total + np.sum(np.sin(x * k) * np.cos(x))
        return total

    program = workspace(trace(f, np.ones(LARGE)))
    assert 1 <= len(program.workspace) <= 3
    x = rng.normal(size=LARGE)
    assert program(x) == f(x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (lambda y: np.exp(y) + y[::-1])(np.sin(x)),  # a view is read beside what would be overwritten
        lambda x: (lambda y: np.add(y, y[::-1]))(np.sin(x)),
        lambda x: (lambda y: (np.exp(y), y))(np.sin(x)),  # it is a result
        lambda x: (lambda y: (np.exp(y), y[1:]))(np.sin(x)),  # a view of it is
        lambda x: (lambda y: (np.exp(y), y.reshape(1, -1) * 2))(np.sin(x)),
        lambda x: (lambda y: np.exp(y) * y)(np.sin(x)),
        lambda x: (lambda y, v: np.exp(y) + v * 2)(*(lambda y: (y, y.reshape(-1)))(np.sin(x))),
        lambda x: np.sin(x.astype(np.float32)) + x,  # of another precision
        lambda x: (np.sin(x) > 0) * np.cos(x),
        lambda x: np.sin(x) * np.ones((2, 1)),  # of another shape
        lambda x: (lambda A: A @ A + A)(np.sin(x[:10000].reshape(100, 100))),
        lambda x: (lambda A: (A.T @ A).T @ A)(np.sin(x[:10000].reshape(100, 100))),
        lambda x: np.concatenate([np.sin(x), np.cos(x)]) * 2,
    ],
)
def test_nothing_is_overwritten_before_its_last_use(f):
    x = rng.normal(size=20_000)
    before = x.copy()
    program = trace(f, x)
    after = workspace(program)
    for _ in range(2):
        for a, b in zip(arrays(after(x)), arrays(f(x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)
        np.testing.assert_array_equal(x, before)
    for a, b in zip(arrays(after(-x)), arrays(f(-x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def arrays(tree):
    return list(tree) if isinstance(tree, tuple) else [tree]


def test_small_arrays_get_no_place():
    program = trace(lambda x: np.exp(np.sin(x)), np.ones(9))
    assert workspace(program).workspace == ()


# ---------------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------------


def test_numbers_beside_doubles_become_arrays():
    program = trace(lambda x: (1 - x) * 2.0, X)
    after = numbers_as_arrays(program)
    assert "np.array(2.0" in after.source
    assert_same(after(X), program(X))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.astype(np.float32) * 2.0,  # an array of doubles would make it double
        lambda x: np.sum(x) * 2.0,  # a scalar, computed as a Python float
        lambda x: x**3,  # NumPy knows some Python exponents
        lambda x: x * (2**53 + 1),  # rounds
        lambda x: x * True,
        lambda x: x * np.float32(0.1),
        lambda x: (x > 0) * 2,
    ],
)
def test_numbers_that_stay(f):
    program = trace(f, X)
    after = numbers_as_arrays(program)
    assert "np.array(" not in after.source
    assert_same(after(X), program(X))
    assert np.asarray(after(X)).dtype == np.asarray(f(X)).dtype


# ---------------------------------------------------------------------------------------------------
# All together
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", dict.fromkeys(REASSOCIATING), ids=lambda p: p.__name__)
def test_passes_are_pure(one):
    x = rng.normal(size=LARGE)
    program = trace(grad(lambda x: np.sum(np.tanh(x[1:]) * x[:-1] ** 2)), x)
    instructions, text = program.instructions, str(program)
    one(program)
    assert program.instructions is instructions
    assert str(program) == text


# Passes that rebracket, or take other routines of NumPy's.
ROUNDING = (
    scales, contraction_order, shared_factors, sums_as_products, sums_of_products, early_terms_first,
    operations_together,
)  # fmt: skip


@pytest.mark.parametrize("one", dict.fromkeys(REASSOCIATING), ids=lambda p: p.__name__)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.integers(5, 30))
def test_random_programs_before_and_after(one, seed, length):
    """Bit by bit for all but the passes that rebracket, which may round otherwise."""
    f, x = random_program(seed, length)
    program = trace(lambda x: vjp(f, x)[1](np.ones(np.shape(f(x))))[0], x)
    after = one(program)
    if one in ROUNDING:
        np.testing.assert_allclose(after(x), program(x), rtol=1e-10, atol=1e-12)
    else:
        np.testing.assert_array_equal(after(x), program(x))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.integers(5, 30))
def test_random_programs_optimised_are_no_dearer(seed, length):
    f, x = random_program(seed, length)
    program = trace(lambda x: vjp(f, x)[1](np.ones(np.shape(f(x))))[0], x)
    after = optimise(program)
    np.testing.assert_allclose(after(x), program(x), rtol=1e-9, atol=1e-11)
    assert len(after) <= len(program)
    assert after.cost.flops <= program.cost.flops
