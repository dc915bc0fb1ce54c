"""The cost of programs: closed forms, the table, and the peak against what the memory allocator sees."""

import gc
import tracemalloc

import numpy as np
import pytest

from admodes import Cost, cost, custom_op, grad, jacfwd, jacrev, jvp, trace
from admodes.program.passes import optimise

rng = np.random.default_rng(9)


def matrix(*shape):
    return rng.normal(size=shape)


# ---------------------------------------------------------------------------------------------------
# Flops
# ---------------------------------------------------------------------------------------------------

m, n, k, p, b = 3, 4, 5, 6, 7
x = matrix(m, n)
FLOPS = {
    "matmul 2mnk": (lambda A, B: A @ B, (matrix(m, k), matrix(k, n)), 2 * m * n * k),
    "dot": (np.dot, (matrix(k), matrix(k)), 2 * k),
    "matrix and vector": (np.matmul, (matrix(m, k), matrix(k)), 2 * m * k),
    "vector and matrix": (np.matmul, (matrix(k), matrix(k, m)), 2 * m * k),
    "a batch of matmuls": (np.matmul, (matrix(b, m, k), matrix(b, k, n)), 2 * b * m * n * k),
    "a batch and one matrix": (np.matmul, (matrix(b, m, k), matrix(k, n)), 2 * b * m * n * k),
    "inner": (np.inner, (matrix(m, k), matrix(n, k)), 2 * m * n * k),
    "outer": (np.outer, (matrix(m), matrix(n)), m * n),
    "tensordot": (lambda A, B: np.tensordot(A, B, 2), (matrix(m, k, p), matrix(k, p, n)), 2 * m * n * k * p),
    "einsum": (lambda A, B: np.einsum("bij,bjk->bik", A, B), (matrix(b, m, k), matrix(b, k, n)), 2 * b * m * n * k),
    "einsum, a trace": (lambda A: np.einsum("ii->", A), (matrix(n, n),), 2 * n),
    "solve of a vector": (np.linalg.solve, (matrix(n, n), matrix(n)), 2 / 3 * n**3 + 2 * n**2),
    "solve of p columns": (np.linalg.solve, (matrix(n, n), matrix(n, p)), 2 / 3 * n**3 + 2 * n**2 * p),
    "a batch of solves": (np.linalg.solve, (matrix(b, n, n), matrix(b, n, p)), b * (2 / 3 * n**3 + 2 * n**2 * p)),
    "inv 2n³": (np.linalg.inv, (matrix(n, n),), 2 * n**3),
    "det": (np.linalg.det, (matrix(n, n),), 2 / 3 * n**3),
    "elementwise": (lambda x: x + 2 * x - x / 3, (x,), 4 * m * n),
    "a broadcast": (np.add, (matrix(m, 1), matrix(n)), m * n),
    "transcendental functions": (lambda x: np.sin(np.exp(x)), (x,), 20 * m * n),
    "square root": (np.sqrt, (x**2,), m * n),
    "comparison": (lambda x: x > 0, (x,), m * n),
    "sum": (lambda x: np.sum(x, axis=0), (x,), m * n),
    "max": (np.max, (x,), m * n),
    "views": (lambda x: x.T[1:, None].reshape(-1), (x,), 0),
    "a user's own": (custom_op(np.cbrt, partial=lambda y, x: y, flops=7), (x,), 7 * m * n),
}


@pytest.mark.parametrize(("f", "args", "flops"), FLOPS.values(), ids=FLOPS)
def test_flops_in_closed_form(f, args, flops):
    assert cost(f, *args).flops == pytest.approx(flops, rel=1e-14)


def test_multiply_adds():
    A, B = matrix(m, k), matrix(k, n)
    assert cost(np.matmul, A, B).multiply_adds == m * n * k
    assert cost(lambda x: x * x + x, x).multiply_adds == m * n
    assert cost(lambda x: x + x, x).multiply_adds == 0


def test_the_gradient_of_a_chain_of_layers():
    """Seed 000: O(L n²) in reverse, O(L n³) forward, for a scalar loss of L layers of n units."""
    for n, L in ((8, 3), (16, 6)):
        Ws = [matrix(n, n) for _ in range(L)]

        def loss(x, Ws=Ws):
            for W in Ws:
                x = W @ x
            return np.sum(x)

        def products(f, n=n, loss=loss):
            rows = cost(f(loss), np.ones(n)).by_operation
            return sum(rows[name].multiply_adds for name in ("matmul", "dot") if name in rows)

        assert products(grad) == 2 * L * n**2
        assert products(jacfwd) == L * n**2 * (1 + n)


def test_work_on_seeds_counts():
    """A linear function has a constant Jacobian; finding it by columns or by rows is work all the same."""
    A = matrix(30, 4)
    for jacobian, directions in ((jacfwd, 4), (jacrev, 30)):
        assert cost(jacobian(lambda x: A @ x), np.ones(4)).multiply_adds == A.size * (1 + directions)


def test_guards_and_seeds_are_no_operations():
    work = cost(lambda x: x * 2 if x[0] > 0 else x, np.ones(4))
    assert set(work.by_operation) == {"getitem", "greater", "multiply"}
    assert "seed" not in cost(grad(np.sum), np.ones(4)).by_operation


def test_a_cost_under_another_transform():
    """Counting inside a function that is being differentiated: traced values count as what they are."""
    seen = []

    def f(x):
        seen.append(cost(lambda y: y * x, x).flops)
        seen.append(cost(lambda y: y * x, np.ones(3)).flops)
        return np.sum(x * x)

    np.testing.assert_array_equal(grad(f)(np.ones(3)), [2.0, 2.0, 2.0])
    jvp(f, (np.ones(3),), (np.ones(3),))
    assert seen == [3.0] * 4


# ---------------------------------------------------------------------------------------------------
# Bytes and operations
# ---------------------------------------------------------------------------------------------------


def test_bytes_are_those_read_and_written():
    A, B = matrix(m, k), matrix(k, n)
    assert cost(np.matmul, A, B).bytes == 8 * (m * k + k * n + m * n)
    assert cost(lambda x: x * 2.0, x).bytes == 8 * 2 * m * n
    assert cost(lambda x: x * 2, x.astype(np.float32)).bytes == 4 * 2 * m * n
    assert cost(lambda x: x.T[1:], x).bytes == 0
    assert cost(lambda x: x > 0, x).bytes == (8 + 1) * m * n


def test_operations_and_intensity():
    work = cost(lambda A, B: np.sin(A @ B) + 1, matrix(m, k), matrix(k, n))
    assert work.operations == 3
    assert {name: row.times for name, row in work.by_operation.items()} == {"matmul": 1, "sin": 1, "add": 1}
    assert work.intensity == work.flops / work.bytes
    for field in ("flops", "multiply_adds", "bytes"):
        assert getattr(work, field) == sum(getattr(row, field) for row in work.by_operation.values())
    assert work.operations == sum(row.times for row in work.by_operation.values())


def test_an_empty_cost():
    assert cost(lambda x: x, 1.0).operations == 0
    assert Cost().intensity == 0
    assert "total" in str(Cost())


def test_the_cost_is_from_shapes_alone():
    f = grad(lambda x: np.sum(np.tanh(x) * np.exp(x)))
    assert cost(f, matrix(9)) == cost(f, 100 * matrix(9))


def test_the_table():
    table = str(cost(lambda A, B: np.sum(np.sin(A @ B)), matrix(100, 50), matrix(50, 20)))
    lines = table.splitlines()
    assert lines[0].split() == ["operation", "times", "flops", "multiply-adds", "bytes", "share"]
    assert lines[2].split() == ["matmul", "1", "200,000", "100,000", "64,000", "90%"]
    assert lines[3].split() == ["sin", "1", "20,000", "0", "32,000", "9%"]
    assert lines[4].split() == ["sum", "1", "2,000", "0", "16,008", "1%"]
    assert lines[6].split() == ["total", "3", "222,000", "100,000", "112,008"]
    assert lines[7] == "peak 80,000 bytes (arguments 48,000, working memory 32,000); 1.98 flops a byte"
    assert repr(cost(lambda x: x, 1.0)) == str(cost(lambda x: x, 1.0))


# ---------------------------------------------------------------------------------------------------
# Peak
# ---------------------------------------------------------------------------------------------------

N = 150_000
A = matrix(400, 400)
B = matrix(400, 400)
V = matrix(N)
LAYERS = [matrix(400, 400) / 20 for _ in range(4)]


def perceptron(x):
    for W in LAYERS:
        x = np.tanh(x @ W)
    return np.sum(x * x)


PEAKS = {
    "elementwise": (lambda x: np.sum(np.exp(np.sin(x) * np.cos(x) + np.tanh(x) ** 2) / (1 + x * x)), V),
    "perceptron": (perceptron, A),
    "Rosenbrock": (lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), V),
    "solve": (lambda A: np.sum(np.linalg.solve(A @ A.T + np.eye(400), B) ** 2), A),
    "softmax": (lambda A: np.sum(np.log(np.sum(np.exp(A - np.max(A, axis=1, keepdims=True)), axis=1))), A),
    "where": (lambda x: np.sum(np.where(x > 0, x, 0.1 * x) ** 3), V),
    "concatenate": (lambda x: np.sum(np.concatenate([x[: N // 2], x[N // 2 :] * 2]) ** 2), V),
    "a reshape that copies": (lambda A: np.sum(np.sin(A.T.reshape(-1)) * np.arange(160_000.0)), A),
    "a reshape that does not": (lambda A: np.sum(np.sin(A.reshape(-1)) * np.arange(160_000.0)), A),
    "maximum": (lambda A: np.sum(np.maximum(A, B) * np.minimum(A, B)), A),
    "cumsum": (lambda x: np.sum(np.cumsum(x) ** 2), V),
    "variance": (lambda A: np.sum(np.var(A, axis=0)), A),
}


def measured_peak(program, x):
    """What tracemalloc sees while the flat code runs, with its input, its workspace and its constants."""
    run = program.flat
    run(x, *(np.empty(v.shape, v.dtype) for v in program.workspace))  # what is made once is made
    constants = {id(c): c.nbytes for c in program.namespace.values() if isinstance(c, np.ndarray)}
    gc.collect()
    tracemalloc.start()
    try:
        given = x.copy(), *(np.empty(v.shape, v.dtype) for v in program.workspace)
        out = run(*given)
        return tracemalloc.get_traced_memory()[1] + sum(constants.values()), out
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("improve", [lambda p: p, optimise], ids=["as traced", "optimised"])
@pytest.mark.parametrize("of", [lambda f: f, grad], ids=["f", "gradient"])
@pytest.mark.parametrize(("f", "x"), PEAKS.values(), ids=PEAKS)
def test_the_peak_is_what_tracemalloc_sees(f, x, of, improve):
    program = improve(trace(of(f), x))
    measured, _ = measured_peak(program, x)
    assert measured > 1e6
    assert program.cost.peak_bytes == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x, x),
        lambda x: (x[1:], np.sin(x)),
        lambda x: np.broadcast_to(np.sum(x), x.shape),
        lambda x: (V, np.sum(x)),
    ],
)
def test_copies_of_results_count(f):
    program = trace(f, V)
    assert program.cost.peak_bytes == pytest.approx(measured_peak(program, V)[0], rel=0.01)


def test_dead_values_are_deleted_by_name():
    """A view keeps its array alive: y is needed until its last view is read."""

    def f(x):
        y = np.sin(x)
        z = y[1:]
        w = np.exp(x) * 2
        return np.sum(w) + np.sum(z)

    program = trace(f, V)
    assert program.cost.peak_bytes == pytest.approx(measured_peak(program, V)[0], rel=0.01)
    assert "del t0" in program.source
    assert program.cost.peak_bytes == 8 * 4 * N  # x, y, exp x and w


def test_a_reverse_sweep_holds_what_the_forward_sweep_kept():
    """n layers: the forward pass alone needs a constant number of arrays, the gradient one an activation more each."""

    def deep(layers):
        def f(x):
            for _ in range(layers):
                x = np.tanh(x)
            return np.sum(x)

        return f

    bytes_of = [[cost(of(deep(L)), V).peak_bytes / V.nbytes for L in (4, 8, 16)] for of in (lambda f: f, grad)]
    assert bytes_of[0] == [3.0, 3.0, 3.0]
    np.testing.assert_allclose(np.diff(bytes_of[1]), [4, 8], atol=0.01)
