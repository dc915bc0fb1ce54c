"""Stores of single elements are gathered: NumPy's meaning, in any order with reads, at the cost of what is stored."""

import itertools
import operator

import numpy as np
import pytest
from filling import row_operations

from admodes import compile, grad, hvp, jacfwd, jacrev, jvp, trace
from admodes.core.registry import OPS
from admodes.core.tracing import Stale
from admodes.ops.index import ADDED, SCATTER
from admodes.program.passes import optimise

X = np.array([0.5, 1.25, -0.75])


def random_stores(seed, shape, dtype=float):
    """A function that stores elements and reads them, whole rows, views and shapes, in random order."""

    def f(x):
        rng = np.random.default_rng(seed)
        y = np.ones(shape, dtype) if seed % 2 else np.asarray(np.outer(x, np.ones(shape[1])) * 1.0, dtype=dtype)
        total = 0.0
        view = None
        for _ in range(40):
            at = tuple(int(rng.integers(-n, n)) for n in shape)
            step = rng.integers(10)
            if step < 4:
                y[at] = x[rng.integers(3)] * rng.random()
            elif step == 4:
                y[at] = float(rng.random())
            elif step == 5:
                y[at] *= x[1]
            elif step == 6:
                total = total + y[at] * len(y) * y.shape[1]
            elif step == 7:
                y[at[0]] += y[:, at[1]].sum()
            elif step == 8:
                view = y[at[0]]
            elif view is not None:
                view[0] = x[0] * view[-1]
                view = None
        return np.append(np.ravel(y), total)

    return f


@pytest.mark.parametrize("seed", range(12))
def test_random_stores_and_reads(seed):
    f = random_stores(seed, (3, 4))
    expected = np.stack([(f(X + 1e-6 * e) - f(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)], axis=-1)
    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f(X))
    for jac in (jacfwd(f), jacrev(f), compile(jacrev(f)), compile(jacfwd(f)), lambda x: trace(jacrev(f), x)(x)):
        np.testing.assert_allclose(jac(X), expected, rtol=1e-6, atol=1e-7)
    second = jacfwd(jacrev(f))(X)
    np.testing.assert_allclose(second, jacrev(jacfwd(f))(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        second, np.stack([(jacrev(f)(X + 1e-6 * e) - jacrev(f)(X - 1e-6 * e)) / 2e-6 for e in np.eye(3)], -1),
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_single_precision(seed):
    """An element that is read back was rounded to the array's dtype, as in NumPy."""
    f = random_stores(seed, (3, 4), np.float32)
    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f(X))


def test_what_numpy_refuses():
    def out_of_bounds(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[3] = x[0]
        return y

    def complex_into_real(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[1] = x[1] * 1j
        return y

    def vector(x):
        y = np.zeros(3)
        y[0] = x[0]
        y[1] = x
        return y

    for f, error in ((out_of_bounds, IndexError), (complex_into_real, TypeError), (vector, (TypeError, ValueError))):
        with pytest.raises(error):
            jacfwd(f)(X)


def test_an_array_without_axes_that_changes_later():
    def f(x):
        s = np.zeros(())
        s[()] = x[0]
        y = np.zeros(2)
        y[0] = s
        s[()] = x[1]
        y[1] = s * 2
        return y

    np.testing.assert_array_equal(jacrev(f)(X), [[1, 0, 0], [0, 2, 0]])


def counted(monkeypatch, row, tell):
    """Tell of each evaluation of a row on plain arrays."""
    evaluate = row.evaluate

    def told(*args, **params):
        if type(args[0]) is np.ndarray:
            tell(*args)
        return evaluate(*args, **params)

    monkeypatch.setattr(row, "evaluate", told)


@pytest.mark.parametrize("way", ["jvp", "grad", "trace"])
def test_the_cost_of_many_stores(way, monkeypatch):
    """k stores and reads are one operation on the array: counted in elements that setitem writes."""
    sizes = []
    for row in (OPS[operator.setitem], OPS[operator.setitem].own):
        counted(monkeypatch, row, lambda x, *_: sizes.append(np.size(x)))
    k, n = 200, 40

    def f(x):
        y = np.zeros((n, n))
        for i in range(k):
            y[i % n, i // n] = x[i % 3] * 2 + y[i % n, (i + 1) // n]
        assert type(y) is Stale
        return np.sum(y * y)

    f_of = {"jvp": lambda: jvp(f, (X,), (X,)), "grad": lambda: grad(f)(X), "trace": lambda: trace(f, X)}[way]
    with pytest.raises(AssertionError):
        f(X)  # on plain arrays
    f_of()
    sizes.clear()
    f_of()
    assert sizes == [n * n] * (1 if way == "trace" else 2)  # of the value and of the tangent, or the cotangent
    assert sum(i.op.name == "setitem" for i in trace(f, X).instructions) == 1


# ---------------------------------------------------------------------------------------------------
# Stores between reads of slices
# ---------------------------------------------------------------------------------------------------


def elimination(A):
    """LU in the memory of A: multiplications, and elements read in slices, 2n³/3."""
    A = A.copy()
    for i in range(len(A)):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, len(A)):
            A[i, j] -= A[i, :i] @ A[:i, j]
    return A


def cholesky(A):
    A = A.copy()
    for i in range(len(A)):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[j, :j]
            A[i, j] /= A[j, j]
        A[i, i] = np.sqrt(A[i, i] - A[i, :i] @ A[i, :i])
    return np.tril(A)


def substitution(A):
    x = np.zeros(len(A))
    for i in range(len(A)):
        x[i] = (A[0, i] - A[i, :i] @ x[:i]) / A[i, i]
    return x


def orthogonal(A):
    """Gram-Schmidt, as modified."""
    Q, R = A.copy(), np.zeros(A.shape)
    for k in range(len(A)):
        R[k, k] = np.sqrt(Q[:, k] @ Q[:, k])
        Q[:, k] /= R[k, k]
        for j in range(k + 1, len(A)):
            R[k, j] = Q[:, k] @ Q[:, j]
            Q[:, j] -= Q[:, k] * R[k, j]
    return Q + R


def sweeps(A):
    """Gauss-Seidel of a stencil, element after element."""
    A = A.copy()
    for i in range(1, len(A) - 1):
        for j in range(1, len(A) - 1):
            A[i, j] = (A[i - 1 : i + 2, j].sum() + A[i, j - 1 : j + 2].sum()) / 6
    return A


def shortest(A):
    A = A.copy()
    for k in range(len(A)):
        for i in range(len(A)):
            A[i, :] = np.minimum(A[i, :], A[i, k] + A[k, :])
    return A


# With what each reads and writes, of an n × n matrix.
INTERLEAVED = {
    elimination: lambda n: 2 * n**3 / 3 + 2 * n**2,
    cholesky: lambda n: n**3 / 3 + 2 * n**2,
    substitution: lambda n: n**2,
    orthogonal: lambda n: 3 * n**3,
    row_operations: lambda n: n**3 + 2 * n**2,
    sweeps: lambda n: 7 * n**2,
    shortest: lambda n: 3 * n**3,
}


def matrix(n):
    A = np.random.default_rng(n).normal(size=(n, n))
    return A @ A.T + n * np.eye(n)


def loss(f, n):
    weights = np.random.default_rng(1).normal(size=np.shape(f(matrix(n))))
    return lambda A: np.sum(f(A) * weights)


@pytest.mark.parametrize("f", INTERLEAVED)
def test_stores_between_reads_of_slices(f):
    n = 5
    A, L = matrix(n), loss(f, n)
    t = np.random.default_rng(2).normal(size=(n, n))
    y, slope = jvp(L, (A,), (t,))
    np.testing.assert_allclose(y, L(A), rtol=1e-13)
    np.testing.assert_allclose(slope, (L(A + 1e-6 * t) - L(A - 1e-6 * t)) / 2e-6, rtol=1e-7)
    g = grad(L)(A)
    np.testing.assert_allclose(np.sum(g * t), slope, rtol=1e-11)
    np.testing.assert_allclose(compile(grad(L))(A), g, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(trace(grad(L), A)(A), g, rtol=1e-13, atol=1e-13)
    h = (grad(L)(A + 1e-6 * t) - grad(L)(A - 1e-6 * t)) / 2e-6
    scale = np.abs(h).max()
    np.testing.assert_allclose(hvp(L, (A,), (t,)), h, atol=1e-7 * scale)
    np.testing.assert_allclose(grad(lambda A: np.sum(grad(L)(A) * t))(A), h, atol=1e-7 * scale)
    np.testing.assert_allclose(grad(lambda A: jvp(L, (A,), (t,))[1])(A), h, atol=1e-7 * scale)
    np.testing.assert_allclose(jvp(lambda A: jvp(L, (A,), (t,))[1], (A,), (t,))[1], np.sum(h * t), rtol=1e-6)


def elements(monkeypatch, run):
    """The elements that stores and reads of slices copy, write and scatter in a run."""
    moved = []
    setitem, getitem = OPS[operator.setitem], OPS[operator.getitem]
    with monkeypatch.context() as patch:
        counted(patch, setitem, lambda x, index, value: moved.append(np.size(x)))
        counted(patch, setitem.own, lambda x, index, value: moved.append(np.size(x[index])))
        counted(patch, getitem.own, lambda x, index: moved.append(np.size(x[index])))
        counted(patch, ADDED, lambda x, u, index: moved.append(np.size(u)))
        counted(patch, SCATTER, lambda u, index, shape, ndim: moved.append(np.prod(shape)))
        run()
    return sum(moved)


WAYS = {
    "jvp": lambda L, A: jvp(L, (A,), (A,)),
    "grad": lambda L, A: grad(L)(A),
    "hvp": lambda L, A: hvp(L, (A,), (A,)),
    "reverse over reverse": lambda L, A: grad(lambda A: np.sum(grad(L)(A) * A))(A),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("f", INTERLEAVED)
def test_stores_cost_what_is_read_and_written(f, way, monkeypatch):
    """Not the array: counted in elements, in proportion to the work."""
    for n in (10, 20):
        A, L = matrix(n), loss(f, n)
        WAYS[way](L, A)  # f is found to fill arrays of its own
        allowed = 4 if way in ("jvp", "grad") else 12
        assert 0 < elements(monkeypatch, lambda L=L, A=A: WAYS[way](L, A)) < allowed * INTERLEAVED[f](n), n


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("f", [substitution, cholesky])
def test_stores_cost_what_is_read_and_written_in_large_arrays(f, n, monkeypatch):
    A, L = matrix(n), loss(f, n)
    for way in (lambda: jvp(L, (A,), (A,)), lambda: grad(L)(A)):
        assert 0 < elements(monkeypatch, way) < 3 * INTERLEAVED[f](n)


def traffic(program):
    """The elements that the steps of a program write, views aside."""
    return sum(
        np.prod(np.shape(i.args[1]))
        if i.op.name in ("set_at", "add_at", "subtract_at")
        else sum(v.size for v in i.outs)
        for i in program.instructions
        if not i.view
    )


@pytest.mark.parametrize("f", INTERLEAVED)
def test_compiled_stores_are_in_place(f):
    for n in (6, 12):
        A, L = matrix(n), loss(f, n)
        for fn in (L, grad(L)):
            program = optimise(trace(fn, A))
            whole = [i for i in program.instructions if i.into is None and i.outs and i.outs[0].shape == (n, n)]
            assert len(whole) < 16, n
            assert traffic(program) < 12 * INTERLEAVED[f](n) + 16 * n * n


def test_what_overlaps_is_written_in_numpys_order():
    """NumPy copies what it reads but where it takes strides of the same sign, or a mask, for harmless."""
    x = np.arange(1.0, 7.0)
    parts = [slice(a, b, s) for s in (1, 2, 3) for a in range(3) for b in (4, 6)]
    parts += [slice(a, b, s) for s in (-1, -2) for a in (5, 4) for b in (1, None)]
    masks = [np.array([k % 2 == 0 for k in range(6)]), np.array([k % 3 > 0 for k in range(6)])]
    for to, source in itertools.product([*parts, *masks], parts):
        if len(x[to]) != len(x[source]):
            continue

        def f(x, to=to, source=source):
            y = x * 1.0
            y[to] = y[source]
            return y

        value, tangent = jvp(f, (x,), (x * x,))
        np.testing.assert_array_equal(value, f(x), err_msg=f"{to} {source}")
        np.testing.assert_array_equal(tangent, f(x * x), err_msg=f"{to} {source}")


def test_a_store_by_name_of_what_is_read_for_it():
    def f(x):
        y = x * 1.0
        y[0] = x[1]
        y.__setitem__(slice(1, None), np.cumsum(y)[:-1])
        return y

    np.testing.assert_array_equal(jvp(f, (X,), (X,))[1], f(X))
