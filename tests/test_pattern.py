"""Patterns hold every nonzero of the derivative, for every row of the registry; and no more, for typical codes."""

import numpy as np
import pytest
import test_ops
from hypothesis import given
from random_programs import random_program
from scipy import sparse
from test_random_programs import PROGRAMS, QUICK, settings

from admodes import GuardFailed, custom_op, hessian, hessian_pattern, jacfwd, jacobian_pattern, trace

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
        except (GuardFailed, np.linalg.LinAlgError):
            continue
        covers(pattern, dense(g, other))


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


@settings(QUICK, max_examples=150)
@given(PROGRAMS)
def test_patterns_of_random_programs(program):
    f, x = random_program(*program)
    covered(f, (x,), np.random.default_rng(0))


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
