"""Patterns hold every nonzero of the derivative, for every row of the registry; and no more, for typical codes."""

import numpy as np
import pytest
import test_ops
from hypothesis import given
from random_programs import random_program
from scipy import sparse
from test_random_programs import LONG, PROGRAMS, QUICK, settings

from admodes import (
    GuardFailed,
    custom_op,
    hessian,
    hessian_pattern,
    jacfwd,
    jacobian_pattern,
    sparse_jacobian_plan,
    trace,
)
from admodes.core.registry import OPS, Composite, Linear, Passive, Refused
from admodes.sparse.dependence import FILLS, rule_of
from admodes.sparse.pattern import pattern_of

pytestmark = pytest.mark.filterwarnings("ignore:`row_stack` alias is deprecated:DeprecationWarning")
rng = np.random.default_rng(11)
N = 8


def covers(pattern, J):
    """Every entry that is not zero stands in the pattern."""
    missing = (np.nan_to_num(J, nan=0.0) != 0) & ~pattern.toarray()  # nan outside of the domain tells nothing
    assert not missing.any(), np.argwhere(missing)


def raveled(f, xs):
    """f as a function of one vector of reals, of the parts of complex arguments too; and the vector."""
    flat = [np.ravel(x) for x in xs]
    parts = [p for x in flat for p in ((x.real, x.imag) if x.dtype.kind == "c" else (x,))]
    ends = np.cumsum([p.size for p in parts])[:-1]

    def function(v):
        pieces = iter(np.split(v, ends))
        given = [_joined(pieces, x) for x in xs]
        return tuple(p for y in test_ops.checks.leaves(f)(*given) for p in _real_parts(y))

    return function, np.concatenate(parts)


def _joined(pieces, x):
    one = next(pieces)
    one = one + 1j * next(pieces) if np.iscomplexobj(x) else one
    return one.reshape(np.shape(x))


def _real_parts(y):
    return (np.real(y), np.imag(y)) if np.result_type(y).kind == "c" else (y,)


def covered(f, xs, rng):
    """The global pattern covers the Jacobian here and at other points on the same branch; the local one, here."""
    if any(np.size(x) > 40 or not np.size(x) for x in xs):
        return
    g, v = raveled(f, xs)
    pattern, local, program = jacobian_pattern(g, v), jacobian_pattern(g, v, local=True), trace(g, v)
    covers(local, dense(g, v))
    covers(pattern, local.toarray())
    for other in (v, rng.permutation(v), v * rng.uniform(0.9, 1.1, v.shape)):
        try:
            program(other)
            there = dense(g, other)
        except (GuardFailed, np.linalg.LinAlgError, ValueError):  # outside of the domain
            continue
        covers(pattern, there)


def dense(g, v):
    rows = [np.reshape(block, (block.size // max(1, v.size), v.size)) for block in jacfwd(g)(v)]
    return np.concatenate(rows) if rows else np.zeros((0, v.size))


@test_ops.every_row
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # other points may leave the domain
def test_patterns_of_every_row(key):
    test_ops.hold(covered, key, at_most=4 if key not in test_ops.FEW else 1)


@test_ops.every_complex_row
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_patterns_of_complex_rows(key):
    test_ops.hold(covered, key, "c", at_most=2 if key not in test_ops.FEW else 1)


def cover_random_program(program):
    f, x = random_program(*program)
    covered(f, (x,), np.random.default_rng(0))


@settings(QUICK, max_examples=60)
@given(PROGRAMS)
def test_patterns_of_random_programs(program):
    cover_random_program(program)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(LONG, max_examples=2000)
@given(PROGRAMS)
def test_patterns_of_many_random_programs(program):
    cover_random_program(program)


@settings(QUICK, max_examples=15)
@given(PROGRAMS)
def test_hessian_patterns_of_random_programs(program):
    f, x = random_program(*program)

    def scalar(x):
        return np.sum(np.sin(f(x)))

    covers(hessian_pattern(scalar, x), np.reshape(hessian(scalar)(x), (x.size, x.size)))
    covers(hessian_pattern(scalar, x, local=True), np.reshape(hessian(scalar)(x), (x.size, x.size)))


# Tight for typical codes ----------------------------------------------------------------------------

BAND = np.diag(np.ones(N)) + np.diag(np.ones(N - 1), 1)
SHIFT = np.roll(np.eye(N), 1, axis=0)
BLOCKS = np.kron(np.eye(N // 2), np.ones((2, 2)))
ARROW = np.eye(N)
ARROW[0] = ARROW[:, 0] = 1


def assigned(x):
    y = np.zeros_like(x)
    y[1:] = x[:-1] ** 2
    return y


def arrow(x):
    y = x**2
    y[0] = np.sum(x)
    y[1:] += x[0]
    return y


def unrolled(x):
    y = [x[0]]
    for k in range(1, N):
        y.append(np.sin(x[k]) * x[k - 1])
    return np.array(y)


TIGHT = {
    "diagonal": (np.tanh, np.eye(N)),
    "slices": (lambda x: x[1:] * x[:-1], BAND[:-1]),
    "diff": (np.diff, BAND[:-1]),
    "roll": (lambda x: np.roll(x, 1) * 3, SHIFT),
    "stencil": (lambda x: np.roll(x, 1) + np.roll(x, -1) - 2 * x, np.eye(N) + SHIFT + SHIFT.T),
    "pad": (lambda x: np.pad(x, 1)[:-2] * np.pad(x, 1)[2:], np.eye(N, k=1) + np.eye(N, k=-1)),
    "gradient": (np.gradient, np.eye(N, k=1) + np.eye(N, k=-1) + np.diag([1] + [0] * (N - 2) + [1])),
    "constant matrix": (lambda x: np.tanh(BAND @ x), BAND),
    "constant mask": (lambda x: x * (np.arange(N) % 2), np.diag(np.arange(N) % 2)),
    "blocks": (lambda x: np.einsum("bij,bj->bi", np.ones((N // 2, 2, 2)), x.reshape(-1, 2)).ravel(), BLOCKS),
    "batched matmul": (lambda x: (x.reshape(-1, 2) @ np.ones((2, 2))).ravel(), BLOCKS),
    "batched norm": (lambda x: np.linalg.norm(x.reshape(-1, 2), axis=1), BLOCKS[::2]),
    "batched max": (lambda x: x.reshape(-1, 2).max(axis=1), BLOCKS[::2]),
    "cumsum": (np.cumsum, np.tri(N)),
    "sum": (np.sum, np.ones((1, N))),
    "transpose": (lambda x: x.reshape(2, -1).T, np.eye(N)[np.arange(N).reshape(2, -1).T.ravel()]),
    "gather": (lambda x: x[[1, 1, 5]] ** 2, np.eye(N)[[1, 1, 5]]),
    "concatenate": (lambda x: np.concatenate([x[:2], np.ones(2), x[5:]]), np.eye(N + 1, N)[[0, 1, 8, 8, 5, 6, 7]]),
    "assignment": (assigned, np.eye(N, k=-1)),
    "arrow": (arrow, ARROW),
    "scalars": (unrolled, np.eye(N) + np.eye(N, k=-1)),
    "constant": (lambda x: np.ones(3), np.zeros((3, N))),
    "convolution": (lambda x: np.convolve(x, np.ones(3), "same"), np.tri(N, k=1) * np.tri(N, k=1).T),
    "where on a constant": (lambda x: np.where(np.arange(N) < 4, x, x[::-1]), np.eye(N)[[0, 1, 2, 3, 3, 2, 1, 0]]),
    "where on a value": (lambda x: np.where(x > 0, x, x[::-1]), np.eye(N) + np.eye(N)[::-1]),
    "sort": (np.sort, np.ones((N, N))),
    "maximum": (lambda x: np.maximum(x, x[::-1]), np.eye(N) + np.eye(N)[::-1]),
    "outer sum": (lambda x: x[:2, None] + x[None, 2:4], np.eye(N)[[0, 0, 1, 1]] + np.eye(N)[[2, 3, 2, 3]]),
    "stacked inverse": (lambda x: np.linalg.inv(x.reshape(2, 2, 2)).ravel(), np.kron(np.eye(2), np.ones((4, 4)))),
}  # fmt: skip


@pytest.mark.parametrize("name", TIGHT)
def test_typical_codes_have_no_entry_too_many(name):
    f, expected = TIGHT[name]
    np.testing.assert_array_equal(jacobian_pattern(f, rng.normal(size=N)).toarray(), expected != 0)
    np.testing.assert_array_equal(jacobian_pattern(f, np.arange(N) / 4).toarray(), expected != 0)


@pytest.mark.parametrize("name", ["where on a value", "sort", "maximum", "batched max"])
def test_local_patterns_hold_what_is_taken_at_the_point(name):
    f, _ = TIGHT[name]
    x = rng.normal(size=N)
    np.testing.assert_array_equal(jacobian_pattern(f, x, local=True).toarray(), jacfwd(f)(x) != 0)


def test_a_local_pattern_leaves_out_partials_that_are_zero_here():
    x = np.array([0.0, 1.0, 2.0])
    for f in (lambda x: x * x[::-1], lambda x: x**2, np.square, np.prod):
        np.testing.assert_array_equal(
            jacobian_pattern(f, x, local=True).toarray(), np.atleast_2d(jacfwd(f)(x)) != 0
        )  # fmt: skip


COUPLED = np.zeros((N, N))
COUPLED[0, 3] = COUPLED[3, 0] = COUPLED[5, 5] = 1


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (rosenbrock, np.tri(N, k=1) * np.tri(N, k=1).T),
        (lambda x: np.sum(np.sin(x)), np.eye(N)),
        (lambda x: np.sum((BAND @ x) ** 2), BAND.T @ BAND),
        (lambda x: np.sum(x[:-1] * x[1:] ** 2), BAND + BAND.T - np.diag([2.0] + [0] * (N - 1))),
        (np.prod, 1 - np.eye(N)),
        (np.sum, np.zeros((N, N))),
        (lambda x: x[0] * x[3] + np.exp(x[5]), COUPLED),
    ],
)  # fmt: skip
def test_hessian_patterns(f, expected):
    x = rng.normal(size=N)
    found = hessian_pattern(f, x)
    covers(found, hessian(f)(x))
    assert (found != found.T).nnz == 0
    np.testing.assert_array_equal(found.toarray(), expected != 0)


def test_large_patterns_are_never_dense():
    n = 100_000

    def f(x):
        y = np.convolve(x, np.ones(5), "same") + np.roll(x, 3)
        return y.reshape(-1, 10).sum(axis=1) * np.mean(x.reshape(-1, 10), axis=1)

    found = jacobian_pattern(f, np.ones(n))
    assert found.shape == (n // 10, n)
    assert found.nnz <= 18 * n // 10


def test_a_pattern_too_large_to_hold_is_an_error():
    with pytest.raises(ValueError, match=r"entries: the Jacobian is dense"):
        jacobian_pattern(np.sort, np.ones(100_000))


# What is taken for granted, and what not -----------------------------------------------------------


def test_arguments_that_are_not_differentiated_may_change():
    """A zero in an argument is no zero of the program; a zero in a constant is."""
    x, w = np.ones(3), np.array([1.0, 0.0, 1.0])
    assert jacobian_pattern(lambda x, w: x * w, x, w).nnz == 3
    assert jacobian_pattern(lambda x, w: x * w, x, w, local=True).nnz == 2
    assert jacobian_pattern(lambda x: x * w, x).nnz == 2
    assert jacobian_pattern(lambda x, W: W @ x, x, np.eye(3)).nnz == 9
    assert jacobian_pattern(lambda x, i: x[i], x, np.array([0, 1])).nnz == 6
    assert jacobian_pattern(lambda x, i: x[i], x, np.array([0, 1]), local=True).nnz == 2
    assert jacobian_pattern(lambda x, w: x * w, x, w, argnums=1).nnz == 3
    assert jacobian_pattern(lambda x, w: x * w, x, w, argnums=(0, 1)).shape == (3, 6)
    assert jacobian_pattern(lambda x, w: x * w, x, w, argnums=-1).nnz == 3


def test_a_pattern_is_that_of_the_branch_taken():
    def f(x):
        return x[1:] if x[0] > 0 else x[:-1] * x[-1]

    assert jacobian_pattern(f, np.ones(4)).nnz == 3
    assert jacobian_pattern(f, -np.ones(4)).nnz == 6


def test_a_function_of_ones_own_may_depend_on_all():
    mine = custom_op(lambda x: x * 2, push=lambda t, y, x: 2 * t)
    found = jacobian_pattern(lambda x: np.concatenate([mine(x), x[:1]]), np.ones(3))
    np.testing.assert_array_equal(found.toarray(), [[1, 1, 1]] * 3 + [[1, 0, 0]])
    each = custom_op(lambda x: x * 2, partial=2.0)
    np.testing.assert_array_equal(jacobian_pattern(each, np.ones(3)).toarray(), np.eye(3))


def test_every_row_that_is_recorded_has_a_rule():
    """Without one a row would count as dense, silently.  Not recorded: what is put in terms of others, or refused."""
    recorded = [op for op in OPS.values() if not isinstance(op, Passive | Composite | Refused) and len(op.pushes)]
    assert len(set(recorded)) > 300
    assert [op.name for op in recorded if rule_of(op) is None and op not in FILLS] == []
    assert rule_of(Linear(np.flip, lambda t, x: t, lambda u, x: u)) is None  # one that is not stated


def test_trees_are_raveled():
    found = jacobian_pattern(lambda p: {"b": p["w"] * 2, "a": np.sum(p["v"])}, {"v": np.ones(2), "w": np.ones(3)})
    expected = np.zeros((4, 5), bool)
    expected[0, :2], expected[1:, 2:] = True, np.eye(3)
    np.testing.assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize("shape", [(0,), (0, 3), ()])
def test_empty_and_scalar_arguments(shape):
    x = np.ones(shape)
    found = jacobian_pattern(lambda x: x * 2, x)
    assert isinstance(found, sparse.csr_array)
    assert found.shape == (x.size, x.size)
    assert jacobian_pattern(np.sum, x).shape == (1, x.size)
    assert jacobian_pattern(lambda x: x[:0] if x.ndim else np.ones(0), x).shape[0] == 0
    assert jacobian_pattern(lambda x: 2 * x, 3).toarray().tolist() == [[True]]


def test_bad_arguments():
    with pytest.raises(TypeError, match="int64"):
        jacobian_pattern(np.sin, np.ones(3, int))
    with pytest.raises(TypeError, match="complex"):
        jacobian_pattern(np.sin, np.ones(3, complex))
    with pytest.raises(TypeError, match="argnums"):
        jacobian_pattern(np.sin, np.ones(3), argnums=1)
    with pytest.raises(TypeError, match="traced"):
        jacfwd(lambda x: jacobian_pattern(np.sin, x).sum())(np.ones(3))
    with pytest.raises(TypeError, match="returns one number"):
        hessian_pattern(np.sin, np.ones(3))


# Rule by rule ---------------------------------------------------------------------------------------


def seen(f, x, count=60):
    """Where the Jacobian is nonzero at any of many points."""
    points = np.random.default_rng(2).normal(size=(count, *x.shape))
    return sum(np.reshape(jacfwd(f)(p) != 0, (-1, x.size)).astype(int) for p in points) > 0


def masked(x):
    y = x**2
    y[x > 0] = 0
    return y


def masked_by_rows(x):
    y = np.zeros_like(x)
    y[x < 0] = x[x < 0] ** 2
    return y


def placed(x):
    y = x.reshape(2, 4) * 1
    y[:, np.argmax(x) % 4] = x[:2] ** 2
    return y


def largest_first(x):
    rows = x.reshape(2, 4)
    return np.take_along_axis(rows, np.argsort(-rows, axis=1), axis=1)


def filled(x):
    mask = np.zeros_like(x)
    mask[2:4] = 1
    return mask * x[::-1]


PAIRS = np.kron(np.eye(N // 2), np.ones((2, 2)))
ROWS = np.kron(np.eye(2), np.ones((4, 4)))
APART = np.kron(np.ones((4, 4)), np.eye(2))
SOLVED = np.stack([np.eye(2) + 1] * 2)
EXACT = {
    "a mask of values": (masked, np.eye(N)),
    "a place of values": (placed, np.eye(N) + np.kron(np.eye(2), np.ones((4, 1))) @ np.eye(2, N)),
    "rows sorted": (lambda x: np.sort(x.reshape(2, 4), axis=1), ROWS),
    "rows by argsort": (largest_first, ROWS),
    "medians": (lambda x: np.median(x.reshape(2, 4), axis=1), ROWS[::4]),
    "a constant made of zeros_like": (filled, np.diag([0, 0, 1, 1, 0, 0, 0, 0])[:, ::-1]),
    "columns of solve": (lambda x: np.linalg.solve(np.eye(4) + 1, x.reshape(4, 2)), APART),
    "solve of a stack": (lambda x: np.linalg.solve(SOLVED, x.reshape(2, 2, 2)), np.kron(np.eye(2), APART[:4, :4])),
    "rows of rfft": (lambda x: np.fft.rfft(x.reshape(4, 2), axis=1).real, PAIRS),
    "fft2": (lambda x: np.fft.fft2(x.reshape(2, 2, 2), axes=(0, 1)).real, APART),
    "stacked eigenvalues": (lambda x: np.linalg.eigvalsh(x.reshape(2, 2, 2) + 3 * np.eye(2)), ROWS[::2]),
    "running sums of rows": (lambda x: np.cumsum(x.reshape(2, 4), axis=1), np.kron(np.eye(2), np.tri(4))),
    "running sums of columns": (lambda x: np.cumsum(x.reshape(4, 2), axis=0), np.kron(np.tri(4), np.eye(2))),
    "a sparse kernel": (lambda x: np.convolve(x, [1.0, 0, 2.0])[:N], np.eye(N) + np.eye(N, k=-2)),
    "matrix of the argument": (lambda x: x.reshape(2, 4) @ np.eye(4, 3), np.eye(N)[[0, 1, 2, 4, 5, 6]]),
    "a zero power": (lambda x: x ** (np.arange(N) > 2), np.diag(np.arange(N) > 2)),
    "Legendre": (lambda x: x[:, None] ** np.arange(2), np.kron(np.eye(N), [[0], [1]])),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_rules_are_exact(name):
    f, expected = EXACT[name]
    found = jacobian_pattern(f, rng.normal(size=N))
    np.testing.assert_array_equal(found.toarray(), expected != 0)
    covers(found, seen(f, np.ones(N)))


CHOICES = [
    np.sort, largest_first, masked, placed, lambda x: x[np.argmax(x)] * x, lambda x: np.max(x.reshape(2, 4), axis=0),
]  # fmt: skip


@pytest.mark.parametrize("f", CHOICES)
def test_choices_of_values_are_covered_everywhere(f):
    for second in (f, lambda x: np.sin(f(x))):
        covers(jacobian_pattern(second, np.arange(N) / 3.0), seen(second, np.ones(N)))
    found = hessian_pattern(lambda x: np.sum(f(x) ** 2), np.arange(N) / 3.0)
    points = np.random.default_rng(3).normal(size=(40, N))
    for x in points:
        covers(found, hessian(lambda x: np.sum(f(x) ** 2))(x))


def test_a_mask_that_reads_too_is_that_of_the_branch():
    x = np.array([-1.0, 2.0, -3.0, 4.0])
    np.testing.assert_array_equal(jacobian_pattern(masked_by_rows, x).toarray(), np.diag(x < 0))


def test_a_guard_holds_for_its_own_value_alone():
    def f(x, k, i, j):
        y = x * 2 if k[i] > 1 else x
        return np.where(k[j] > 1, y, x[::-1])

    both = jacobian_pattern(f, np.ones(2), np.array([0, 2]), np.array(1), np.array(0))
    np.testing.assert_array_equal(both.toarray(), np.ones((2, 2)))


def test_a_zero_before_an_infinite_partial_is_kept():
    """x is (x³)^(1/3), also at 0, where the partials are 0 and ∞."""
    x = np.array([0.0, 1.0])
    assert jacobian_pattern(lambda x: x**3, x, local=True).nnz == 1
    assert jacobian_pattern(lambda x: np.cbrt(x**3), x, local=True).nnz == 2
    assert jacobian_pattern(lambda x: np.linalg.norm(x**3), x, local=True).nnz == 2
    # Of branches alone it stays certain.
    assert jacobian_pattern(lambda x: np.cbrt(np.where(x > 0, x, 0.0)), x, local=True).nnz == 1


SUBSCRIPTS = [
    "ij,j->i", "ij,jk->ik", "ij,jk->ki", "bij,bjk->bik", "bij,jk->bik", "ij,ij->i", "ij,ij->", "ij,kj->ik", "ii,i->i",
    "ij,jj->i", "i,j->ij", "ij,k->i", "ij,ji->j", "iij,jk->k", "ij,ij->ij", "ab,bc,cd->ad", "ij,j,i->j", "i,->i",
]  # fmt: skip


@pytest.mark.parametrize("text", SUBSCRIPTS)
@pytest.mark.parametrize("seed", range(3))
def test_contractions_with_sparse_constants(text, seed):
    """Where nothing is negative nothing cancels: the nonzeros at one point are the pattern."""
    rng = np.random.default_rng(seed)
    sets = text.split("->")[0].split(",")
    extent = {c: int(rng.integers(1, 4)) for c in text if c.isalpha()}
    constants = [rng.uniform(1, 2, [extent[c] for c in s]) * (rng.random([extent[c] for c in s]) < 0.5) for s in sets]
    for i in range(len(sets)):

        def f(x):
            return np.einsum(text, *constants[:i], x, *constants[i + 1 :])

        x = np.ones_like(constants[i])
        found, J = jacobian_pattern(f, x), np.reshape(jacfwd(f)(x), (-1, x.size))
        covers(found, J)
        if len(sets) == 2:
            np.testing.assert_array_equal(found.toarray(), J != 0)
    if sets[0] == sets[-1] and len(sets) == 2:
        found, J = jacobian_pattern(lambda x: np.einsum(text, x, x), x), jacfwd(lambda x: np.einsum(text, x, x))(x)
        np.testing.assert_array_equal(found.toarray(), np.reshape(J, (-1, x.size)) != 0)


LARGE = {
    "maxima of pairs": (lambda x: x.reshape(-1, 2).max(axis=1), 2),
    "norms of pairs": (lambda x: np.linalg.norm(x.reshape(-1, 2), axis=1), 2),
    "sorted pairs": (lambda x: np.sort(x.reshape(-1, 2), axis=1), 2),
    "inverses": (lambda x: np.linalg.inv(x.reshape(-1, 2, 2) + np.eye(2)), 4),
    "products": (lambda x: np.eye(2, 2, 1) @ x.reshape(-1, 2, 2), 1),
    "lines of fft": (lambda x: np.fft.fft(x.reshape(-1, 4)).imag, 4),
    "a mask": (masked, 1),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_stacks_stay_apart(name):
    f, width = LARGE[name]
    x = np.random.default_rng(0).normal(size=20_000)
    found = jacobian_pattern(f, x)
    assert np.diff(found.indptr).max() == width
    assert found.nnz <= width * x.size


def test_running_sums_of_few_inputs_are_small():
    found = jacobian_pattern(lambda p: np.cumsum(p[0] + p[1] * np.arange(50_000)), np.ones(2))
    assert found.nnz == 2 * 50_000 - 1


def test_what_the_result_does_not_need_is_not_carried():
    """The sum over all pairs would be too large to hold; its value is not used."""

    def f(x):
        np.sort(x)
        return x**2

    assert jacobian_pattern(f, np.ones(50_000)).nnz == 50_000


def test_argnums_in_any_order_name_each_argument_once():
    def f(a, b):
        return b[:2] * a[0]

    a, b = np.ones(2), np.ones(3)
    np.testing.assert_array_equal(
        jacobian_pattern(f, a, b, argnums=(1, 0)).toarray(), [[1, 0, 0, 1, 0], [0, 1, 0, 1, 0]]
    )
    assert hessian_pattern(lambda a, b: np.sum(f(a, b)), a, b, argnums=(1, 0)).nnz == 4
    for argnums in ((), (0, 0), (0, -2)):
        with pytest.raises(ValueError, match="each once"):
            jacobian_pattern(f, a, b, argnums=argnums)


def test_pattern_of_a_program():
    program = trace(lambda x, w: x * w, np.ones(3), np.zeros(3))
    for active in (program.inputs[:1], program.inputs[1:]):
        np.testing.assert_array_equal(pattern_of(program, active, None).toarray(), np.eye(3))
    assert pattern_of(program, program.inputs[:1], (np.ones(3), np.array([0.0, 1, 0])), local=True).nnz == 1
    with pytest.raises(TypeError, match="traced as"):
        pattern_of(program, program.inputs, (np.ones(2), np.ones(3)), local=True)


@pytest.mark.parametrize(
    ("f", "n"),
    [(lambda A, x: A @ np.sin(x), 8), (lambda A, x: x @ A, 6), (lambda A, x: x.reshape(2, 6) @ A, 12),
     (lambda A, x: A @ x.reshape(8, 2), 16), (lambda A, x: A.T @ (A @ x), 8)],
)  # fmt: skip
def test_sparse_matrices_keep_their_pattern(f, n):
    A = sparse.random_array((6, 8), density=0.2, rng=np.random.default_rng(0)).tocsr()
    A.data[0] = 0.0  # stored, and none the less zero
    x = np.random.default_rng(1).normal(size=n)
    for local in (False, True):
        found = jacobian_pattern(lambda x: np.ravel(f(A, x)), x, local=local)
        np.testing.assert_array_equal(found.toarray(), jacfwd(lambda x: np.ravel(f(A, x)))(x) != 0)
    A.data[1] = np.inf  # what is left out as zero may count after all
    with np.errstate(all="ignore"):
        covers(jacobian_pattern(lambda x: np.ravel(f(A, x)), x, local=True), jacfwd(lambda x: np.ravel(f(A, x)))(x))


@pytest.mark.parametrize("f", [lambda x: (), lambda x: {"a": []}, lambda x: np.zeros(0), lambda x: x[:0]])
def test_the_pattern_of_no_result_has_no_rows(f):
    assert jacobian_pattern(f, np.ones(3)).shape == (0, 3)


@pytest.mark.parametrize("mode", ["forward", "reverse", "sparse"])
@pytest.mark.parametrize(
    "f",
    [lambda x: x * len(x.astype(str)[0]), lambda x: x * len(f"{x[0]:.0f}")],
    ids=["astype", "format"],
)
def test_a_float_whose_text_is_taken_for_granted_is_no_constant(f, mode):
    plan = sparse_jacobian_plan(f, np.array([1.5, 2.0, 3.0]), mode=mode)
    for x in (np.array([1.5, 2.0, 3.0]), np.array([1000.25, 12.5, 3.0])):
        np.testing.assert_array_equal(plan(x).toarray(), jacfwd(f)(x))


def test_what_is_written_at_a_computed_index_leaves_the_rest():
    def f(x):
        y = x * x
        y[np.argsort(x)[:1]] = x[0]
        return y

    x = np.array([0.3, 0.1, 0.7])
    plan = sparse_jacobian_plan(f, x)
    for z in (x, x[::-1].copy()):
        np.testing.assert_array_equal(plan(z).toarray(), jacfwd(f)(z))


def test_an_index_in_a_list_of_computed_numbers():
    def f(x):
        return x[[np.argmax(x), 0, np.argmin(x)]] ** 2

    x = np.array([0.2, 1.3, -0.4])
    for mode in ("forward", "reverse"):
        plan = sparse_jacobian_plan(f, x, mode=mode)
        for y in (x, x[::-1].copy()):
            np.testing.assert_allclose(plan(y).toarray(), jacfwd(f)(y))
