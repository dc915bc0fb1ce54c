"""Tables: what machine code does word by word is what flat code does line by line."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optree
import pytest
from checks import same
from filling import row_operations
from random_changes import random_changes
from random_kernels import random_kernel
from random_programs import random_program
from recurrences import function

from admodes import compile, grad, hvp, jacfwd, trace
from admodes.core.errors import Detached
from admodes.program.native import group, records, table, words, worth
from admodes.program.native.spots import Memory, Spot, walk
from admodes.program.native.text import SIZES
from admodes.program.passes import PASSES, optimise
from admodes.program.primitives import KERNELS
from admodes.program.straightline import GuardFailed

pytest.importorskip("llvmlite")
TABLES = worth.with_tables(PASSES)
rng = np.random.default_rng(5)


@pytest.fixture
def short(monkeypatch):
    """Tables of a single instruction too."""
    monkeypatch.setattr(table, "LEAST", 1)


@pytest.fixture(autouse=True)
def within_memory(monkeypatch):
    """What a word reads or writes is to lie within its memory."""
    plain = records.Writing.map

    def checked(self, name, write, computed, args, out):
        for x in (*args, out):
            if x.size:
                ends = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
                first, last = (x.start + sum(f(0, e) for e in ends) for f in (min, max))
                size = SIZES[x.kind]
                assert first >= 0
                assert (last + 1) * size <= x.memory.nbytes
        plain(self, name, write, computed, args, out)

    monkeypatch.setattr(records.Writing, "map", checked)


def tabled(f, *args):
    """The program of f with tables, as it is flat, and how many instructions are in tables."""
    with np.errstate(all="ignore"):
        program = trace(f, *args)
        flat, fast = optimise(program), optimise(program, TABLES)
    count = sum(len(KERNELS[i.op].instructions) for i in fast.instructions if i.op in KERNELS)
    return fast, flat, count


def agree(f, *args, within=1e-9):
    """How many instructions of f are in tables, whose results are those of flat code."""
    fast, flat, count = tabled(f, *args)
    with np.errstate(all="ignore"):
        try:
            expected = flat(*args)
        except GuardFailed:  # in a program of a function that changes its argument
            with pytest.raises(GuardFailed):
                fast(*args)
            return count
        for a, b in zip(*map(optree.tree_leaves, (fast(*args), expected)), strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            if b.dtype.kind == "f":
                scale = np.max(np.abs(b[np.isfinite(b)]), initial=0.0)
                np.testing.assert_allclose(a, b, rtol=within, atol=within * scale)
            else:
                np.testing.assert_array_equal(a, b)
    return count


def kernels(seed):
    f, args = random_kernel(seed, 8)
    with np.errstate(all="ignore"):
        single = any(v.dtype == np.float32 for i in trace(f, *args).instructions for v in i.outs)
    return agree(f, *args, within=1e-3 if single else 1e-9)


def programs(seed):
    f, x = random_program(seed, 6)
    return agree(f, x) + agree(jacfwd(f), x) + agree(grad(lambda x: np.sum(np.sin(f(x)))), x)


def changes(seed):
    f, x = random_changes(seed)
    try:
        return agree(f, x) + agree(grad(lambda x: np.sum(np.sin(f(x)))), x)
    except Detached:  # of pickles, and the like
        return 0


def recurrences(seed):
    f, _, args = function(np.random.default_rng(seed), 8)
    return agree(f, *args) + agree(grad(f, (0, 1, 2)), *args)


def test_random_kernels(width, short):
    assert sum(kernels(seed) for seed in range(width, width + 6)) > 15


RANDOM = {"kernels": kernels, "programs": programs, "changes": changes, "recurrences": recurrences}


@pytest.mark.parametrize("name", ["programs", "changes", "recurrences"])
def test_random_programs(name, short):
    assert sum(RANDOM[name](seed) for seed in range(2)) > 15


@pytest.mark.slow
@pytest.mark.parametrize("name", RANDOM)
def test_many_random_programs(name, short):
    assert sum(RANDOM[name](seed) for seed in range(100, 220)) > 600


# ---------------------------------------------------------------------------------------------------
# Loops over elements
# ---------------------------------------------------------------------------------------------------


def triangular(L, b):
    x = np.zeros_like(b)
    for i in range(len(b)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def cholesky(A):
    A = A.copy()
    for i in range(len(A)):
        for j in range(i):
            A[i, j] = (A[i, j] - np.dot(A[i, :j], A[j, :j])) / A[j, j]
        A[i, i] = np.sqrt(A[i, i] - np.dot(A[i, :i], A[i, :i]))
    return np.tril(A)


def gram_schmidt(A):
    Q, R = np.zeros_like(A), np.zeros_like(A)
    for k in range(A.shape[1]):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, A.shape[1]):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] = A[:, j] - Q[:, k] * R[k, j]
    return Q * 2.0 + R


def forward(A, B):
    """A hidden Markov model with an array for the steps."""
    alpha = np.zeros((len(OBSERVED), len(A)))
    alpha[0] = B[:, OBSERVED[0]]
    for t in range(1, len(OBSERVED)):
        alpha[t] = (alpha[t - 1] @ A) * B[:, OBSERVED[t]]
        alpha[t] /= alpha[t].sum()
    return np.log(alpha[-1])


def heat(u, k):
    for _ in range(20):
        un = u.copy()
        un[1:-1] = u[1:-1] + k * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u = un
    return u


def averages(x, a):
    y = np.zeros_like(x)
    y[0] = x[0]
    for t in range(1, len(x)):
        y[t] = a * x[t] + (1.0 - a) * y[t - 1]
    return y


def shifts(x):
    """Assignments to elements that are read, before and behind."""
    x = x * 1.0
    for k in range(12):
        first, view = x[k % 5], x[::2]
        x[1:] = x[:-1] * 0.5
        x[0] = first + view[1]
        x[::-1] += x * 0.25
    return x


def symmetric(x):
    """Elements set at index arrays, some of them twice, and read there."""
    A = np.zeros((5, 5)) + x[:5]
    for i in range(5):
        A[i, i:] = A[i:, i] * x[i]
        A[i:, i] = A[i, i:] + np.sin(x[i])
        A[[i, 0, i], [1, i, 1]] = x[[0, 4, 2]] * A[1, [2, 2, i]]
        A[[[0], [i]], [0, 3]] = x[1]
    return A


def chosen(x):
    """Gathers, arrays put together, comparisons, whole numbers and truths."""
    for k in range(10):
        y = np.where(x > 0.1 * k, x, 0.5 * x[np.array([3, 1, 0, 2])])
        x = np.concatenate([y[2:], np.stack([y[0], y[1] * 1.5])]) + np.max(y) - (y > 0).sum() * 0.1
    return np.sin(x) ** 3 - x**2


OBSERVED = rng.integers(0, 4, 20)
SQUARE = rng.normal(size=(9, 9)) + 6 * np.eye(9)
ELEMENTS = {
    triangular: (np.tril(SQUARE), rng.normal(size=9)),
    cholesky: (SQUARE @ SQUARE.T,),
    row_operations: (SQUARE,),
    gram_schmidt: (SQUARE,),
    forward: (rng.random((3, 3)), rng.random((3, 4))),
    heat: (rng.normal(size=37), 0.2),
    averages: (rng.normal(size=30), 0.3),
    shifts: (rng.normal(size=8),),
    symmetric: (rng.normal(size=6),),
    chosen: (rng.normal(size=4),),
}


@pytest.mark.parametrize("f", ELEMENTS, ids=lambda f: f.__name__)
def test_loops_over_elements(f):
    """One instruction stands for all: no line of Python is left, however long the loop."""
    args = tuple(map(np.copy, ELEMENTS[f]))

    way = grad(lambda *args: np.sum(np.sin(f(*args))), tuple(range(len(args))))
    fast, _, count = tabled(way, *args)
    assert count > 100
    assert len(fast.instructions) < 4
    for a, b in zip(way(*args), fast(*args), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12)


def test_arithmetic_is_exact_to_the_bit():
    for f, args in ((heat, ELEMENTS[heat]), (averages, ELEMENTS[averages]), (row_operations, (SQUARE,))):
        fast, flat, count = tabled(f, *args)
        assert count > 100
        same(fast(*args), flat(*args))


def test_zeros_keep_their_signs():
    """Of terms that are all −0.0 the sum is; and where nothing is added a −0.0 stays."""

    def f(x, y):
        for _ in range(20):
            y = -0.0 * y + np.concatenate([x[1:], y[:1]]) * np.copysign(0.0, y)
        return y

    x, y = np.array([1.0, -1.0, 0.5]), np.array([-1.0, 1.0, -0.0])
    for way in (f, grad(lambda x, y: np.sum(f(x, y)), (0, 1))):
        fast, flat, count = tabled(way, x, y)
        assert count > 50
        for a, b in zip(*(optree.tree_leaves(g(x, y)) for g in (fast, flat)), strict=True):
            same(a, b)


@pytest.mark.parametrize("n", [1, 7, 8, 127, 128, 129, 1000, 4000])
def test_sums_are_as_exact_as_those_of_numpy(n, short):
    x = rng.normal(size=(3, n)) * 10.0 ** rng.integers(-8, 8, size=(3, n))
    fast, _, _ = tabled(lambda x: [np.sum(x), np.sum(x, axis=1), np.sum(x, axis=0), np.mean(x)], x)
    with np.errstate(all="raise"):
        exact = x.astype(np.longdouble)
        bound = 2e-16 * (24 + np.log2(3 * n)) * np.abs(exact)
        found = fast(x)
        for y, axis in zip(found[:3], (None, 1, 0), strict=True):
            assert np.all(np.abs(y - exact.sum(axis=axis)) <= bound.sum(axis=axis))


def test_products_of_all_shapes(width, short):
    """Rows and columns around tiles and vectors, of views too."""

    def f(A, B, C):
        return [A @ B, B.T @ A.T, A @ C.T, A[0] @ B, A @ B[:, -1], B[:, 0] @ A[-1], A[:, ::-1] @ B[:, ::-1], C @ A.T]

    for rows, terms, columns in [(1, 1, 1), (3, 5, 7), (4, 9, 8), (5, 3, 16), (6, 17, 19), (9, 2, 33), (13, 40, 3)]:
        shapes = (rows, terms), (terms, columns), (columns, terms)
        args = [rng.normal(size=shape) for shape in shapes]
        assert agree(f, *args, within=1e-13) > 8
        assert agree(f, *(x.astype(np.float32) for x in args), within=1e-5) > 8


def test_a_branch_that_goes_another_way():
    def f(x):
        y = x[0]
        for k in range(1, len(x)):
            y = 0.5 * y + x[k] * np.sin(y) if y > x[k] else x[k] - 0.25 * y
        return y

    x, other = rng.normal(size=(2, 40))
    fast, _, count = tabled(grad(f), x)
    assert count > 48
    np.testing.assert_allclose(fast(x), grad(f)(x), rtol=1e-12)
    with pytest.raises(GuardFailed):
        fast(other)
    g = compile(grad(f))
    for point in (x, other, x):
        np.testing.assert_allclose(g(point), grad(f)(point), rtol=1e-12)


def test_words_are_compiled_once():
    args = ELEMENTS[cholesky]
    tabled(grad(lambda A: np.sum(cholesky(A))), *args)
    known = len(words._known)
    program = tabled(grad(lambda A: np.sum(cholesky(A[:5, :5]))), *args)[0]
    assert len(words._known) == known
    assert "table(" in str(program)
    assert "np.sqrt(" in str(program)


APART = [
    (0, None, np.array([0, 1])),
    (np.array([0, 1]), slice(None), np.array([1, 0])),
    (0, slice(None), np.array([1, 1])),
    (slice(None), np.array([1, 1]), np.array([0, 1])),
]


@pytest.mark.parametrize("index", APART, ids=repr)
@pytest.mark.parametrize("passes", [TABLES, worth.with_kernels(PASSES, group.kernels_on(1))])
def test_directions_stay_first_where_numpy_puts_index_arrays_that_stand_apart(index, passes, short, every):
    """As many directions as there are indices, so that no shape tells."""
    a, p = rng.normal(size=(2, 2, 2)), np.array([0.3, 0.7])

    def f(p):
        w = np.sin(p[0] * a)
        np.add.at(w, index, np.cos(p[1] * a[index] + p[0]))
        return w

    np.testing.assert_allclose(optimise(trace(jacfwd(f), p), passes)(p), jacfwd(f)(p), rtol=1e-12)


def test_what_walks_a_table_is_one_for_all_threads(monkeypatch):
    monkeypatch.setattr(words, "_walkers", [])
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: words.walker(), range(4)))) == 1


def test_words_of_threads_are_one(monkeypatch):
    """Tables hold the address of a word: it stays where it was first."""
    monkeypatch.setattr(words, "_known", {})
    word = words.Gather("d")
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: words.addresses({word: None})[word], range(8))
        assert len(set(found)) == 1


def test_what_depends_on_nothing():
    """A table without inputs, whose result changes no more than NumPy's would."""

    def f(x):
        y = np.zeros(4)
        for k in range(30):
            y[k % 4] = y[(k + 1) % 4] * 0.5 + 1.0 - np.sum(0.0 * x)
        return np.sum(y * x)

    g = compile(grad(f))
    x = rng.normal(size=4)
    first = g(x)
    np.testing.assert_allclose(first, grad(f)(x), rtol=1e-13)
    first[:] = 0.0
    np.testing.assert_allclose(g(2 * x), grad(f)(2 * x), rtol=1e-13)


def test_arrays_without_elements():
    """A table of which no word is left."""

    def f(x):
        for k in range(60):
            x = x[:0] * 0.5 + k
        return x

    assert agree(f, rng.normal(size=4)) > 48
    assert agree(grad(lambda x: np.sum(f(x)) + x[0]), rng.normal(size=4)) >= 0


def test_second_derivatives_and_results_in_memory_of_their_own():
    x = rng.normal(size=30)
    g = compile(lambda x, v: (averages(x, 0.3), hvp(lambda x: np.sum(averages(np.sin(x), 0.3) ** 3), (x,), (v,))))
    first = g(x, x)
    again = g(2 * x, x)
    np.testing.assert_array_equal(first[0], averages(x, 0.3))
    np.testing.assert_allclose(
        again[1], hvp(lambda x: np.sum(averages(np.sin(x), 0.3) ** 3), (2 * x,), (x,)), rtol=1e-9
    )


def test_walks_go_over_all_elements():
    for _ in range(50):
        shape = tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(0, 5)))
        x = np.arange(10_000)
        strides = [tuple(int(s) for s in rng.integers(0, 40, size=len(shape))) for _ in range(2)]
        found = walk(shape, tuple(strides))
        assert found is not None
        places = [
            tuple(a + i * d + j * r for a, (d, r) in zip(starts, found.strides, strict=True))
            for starts in zip(*found.starts, strict=True)
            for i in range(found.extents[0])
            for j in range(found.extents[1])
        ]
        wanted = [np.lib.stride_tricks.as_strided(x, shape, [8 * n for n in s]).ravel().tolist() for s in strides]
        assert places == list(zip(*wanted, strict=True))
    assert walk((65, 2, 2), ((7, 50, 3),)) is None


def test_spots_are_views_of_numpy():
    x = np.arange(120).reshape(4, 5, 6)
    spot = Spot(Memory(1, 0, 960), "q", x.shape, (30, 6, 1))
    for index in [(0,), (-1, slice(None, None, -2)), (..., 2), (None, slice(3, 0, -1), ..., None), (slice(2, 2),), ()]:
        y, found = x[index], spot.indexed(index)
        assert found.shape == y.shape
        assert tuple(8 * s for s, n in zip(found.strides, y.shape, strict=True) if n > 1) == tuple(
            s for s, n in zip(y.strides, y.shape, strict=True) if n > 1
        )
        assert not y.size or found.start == y.flat[0]
