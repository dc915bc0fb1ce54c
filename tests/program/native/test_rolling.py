"""Loops rolled: the results are those of the steps one by one, and nothing grows with the steps."""

import numpy as np
import optree
import pytest
from recurrences import function

from admodes import compile, grad, hvp, jacfwd, jacrev, jvp, trace
from admodes.program.native.calls import usable
from admodes.program.native.worth import with_kernels, with_loops
from admodes.program.passes import PASSES, optimise
from admodes.program.primitives import KERNELS
from admodes.program.recording import Value
from admodes.program.rolling.periods import Run, runs
from admodes.program.straightline import GuardFailed

pytestmark = pytest.mark.skipif(not usable(), reason="llvmlite is not installed")

rng = np.random.default_rng(5)
M = 0.3 * rng.normal(size=(4, 4))
XS = rng.normal(size=(60, 4))


def rolled(f, *args):
    """The program with its loops, which must be fewer instructions."""
    program = trace(f, *args)
    found = with_loops(program, PASSES)
    assert len(found) < len(program)
    well_formed(found)
    return found


def well_formed(program):
    """Every value is made once, before it is read."""
    known = set(program.inputs)
    for k, i in enumerate(program.instructions):
        assert known.issuperset(i.uses), (k, i.op)
        assert known.isdisjoint(i.outs), (k, i.op)
        known.update(i.outs)
    assert known.issuperset(v for v in program.outputs if isinstance(v, Value))


def loops_of(program):
    return [KERNELS[i.op] for i in program.instructions if i.op in KERNELS and i.op.name == "loop"]


def close(a, b, rtol=1e-9, atol=1e-11):
    for x, y in zip(optree.tree_leaves(a), optree.tree_leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def agree(f, *args, exact=False):
    """The same from the program as traced, with loops alone, and from what is compiled."""
    expected = f(*args)
    for found in (rolled(f, *args)(*args), compile(f, native="auto")(*args), compile(f, native=True)(*args)):
        for x, y in zip(optree.tree_leaves(expected), optree.tree_leaves(found), strict=True):
            if exact:
                np.testing.assert_array_equal(x, y)
                np.testing.assert_array_equal(np.signbit(x), np.signbit(y))
            else:
                np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-13)


# ---------------------------------------------------------------------------------------------------
# Periods
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ([9, 8] + [1, 2, 3] * 20 + [7], [Run(2, 62, 3)]),
        ([1, 2] * 10 + [5, 5, 6] * 9, [Run(0, 20, 2), Run(20, 47, 3)]),
        ([7] + ([1, 2] * 5 + [3]) * 20 + [7], [Run(1, 221, 11)]),  # a loop in a loop, as one
        ([0] + ([1, 2] * 50 + [3]) * 3, [Run(1, 101, 2), Run(102, 202, 2), Run(203, 303, 2)]),
        ([1, 2] * 7, []),
        (list(range(100)), []),
        ([4] * 30, [Run(0, 30, 1)]),
    ],
)
def test_periods(symbols, expected):
    assert runs(np.array(symbols)) == expected


def test_periods_are_those_of_a_search_through_all():
    for _ in range(200):
        parts = [np.tile(rng.integers(0, 4, rng.integers(1, 9)), rng.integers(1, 14)) for _ in range(4)]
        symbols = np.concatenate(parts)
        saved = max(r.saved for r in [*runs(symbols), Run(0, 1, 1)])
        best = 0
        for period in range(1, len(symbols) // 8 + 1):
            same = 0
            for equal in [*(symbols[period:] == symbols[:-period]), False]:
                same = same + 1 if equal else 0
                times = (same + period) // period
                best = max(best, (times - 1) * period if times >= 8 else 0)
        assert saved == best


# ---------------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------------


def scalar_loop(x, a, steps=50):
    for _ in range(steps):
        x = 0.9 * x + 0.5 * np.sin(a * x)
    return x


def recurrent(W, b, xs):
    h = b * 0.0
    for x in xs:
        h = np.tanh(W @ h + W @ x + b)
    return np.sum(h * h)


def kalman(a, q, ys):
    m, P, loss = 0.0, 1.0, 0.0
    for k in range(len(ys)):
        m, P = a * m, a * a * P + np.exp(q)
        S, e = P + 1.0, ys[k] - m
        loss = loss + 0.5 * (np.log(S) + e * e / S)
        m, P = m + P / S * e, (1 - P / S) * P
    return loss


def kalman_in_four(A, Q, ys):
    m, P, H, loss = np.zeros(4), np.eye(4), np.array([1.0, 0, 0, 0]), 0.0
    for y in ys:
        m, P = A @ m, A @ P @ A.T + Q
        S, e = H @ P @ H + 0.1, y - H @ m
        K = P @ H / S
        m, P = m + K * e, P - np.outer(K, H @ P)
        loss = loss + 0.5 * (np.log(S) + e * e / S)
    return loss


def markov(logits, emissions):
    move = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    alpha = emissions[0]
    for k in range(1, len(emissions)):
        s = alpha[:, None] + move
        top = np.max(s, axis=0)
        alpha = top + np.log(np.sum(np.exp(s - top), axis=0)) + emissions[k]
    return -np.sum(alpha)


def leapfrog(q, p, steps=40):
    for _ in range(steps):
        p = p - 0.05 * (q + q**3)
        q = q + 0.1 * p
        p = p - 0.05 * (q + q**3)
    return np.sum(q * q + p * p)


PROGRAMS = {
    "scalar loop": lambda n: (lambda x, a: scalar_loop(x, a, n), (0.3, 0.7)),
    "recurrent net": lambda n: (recurrent, (M, rng.normal(size=4), rng.normal(size=(n, 4)))),
    "Kalman": lambda n: (kalman, (0.9, -1.0, rng.normal(size=n))),
    "Kalman, four states": lambda n: (kalman_in_four, (0.5 * np.eye(4) + 0.1, 0.1 * np.eye(4), rng.normal(size=n))),
    "hidden Markov": lambda n: (markov, (rng.normal(size=(3, 3)), rng.normal(size=(n, 3)))),
    "leapfrog": lambda n: (lambda q, p: leapfrog(q, p, n), (rng.normal(size=3), rng.normal(size=3))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_grows_with_the_steps(name):
    sizes, code = [], []
    for steps in (30, 90):
        f, args = PROGRAMS[name](steps)
        program = rolled(grad(f, tuple(range(len(args)))), *args)
        facts = loops_of(program)
        assert len(facts) == 2  # forward and backward
        assert {one.loop.steps for one in facts} <= set(range(steps - 4, steps + 1))
        flat = optimise(program).source
        sizes.append((len(program), len(flat.splitlines())))
        code.append([len(one.ir.splitlines()) for one in facts])
    assert sizes[0] == sizes[1]
    for few, many in zip(*code, strict=True):
        assert 0 <= many - few <= 2  # a long call lets go of the interpreter's lock


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    f, args = PROGRAMS[name](25)
    agree(grad(f, tuple(range(len(args)))), *args)


@pytest.mark.parametrize("name", ["scalar loop", "Kalman"])
def test_scalars_are_exact_to_the_bit_but_for_functions(name):
    f, args = PROGRAMS[name](40)
    steps = rolled(grad(f, (0, 1)), *args)
    for x, y in zip(trace(grad(f, (0, 1)), *args)(*args), steps(*args), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13)


@pytest.mark.parametrize("x", [0.5, -0.0, np.inf, np.nan, 1e-320])
def test_arithmetic_is_exact_to_the_bit(x):
    def f(x, a, v):
        for k in range(20):
            x, a = a * x - 0.25 * x, np.where(x > 2.0, a, -a) / 1.5
            v = np.maximum(v * x, -v) + 0.5 * k
        return x, a, v

    with np.errstate(all="ignore"):
        agree(f, x, -0.5, np.array([0.0, -0.0, 1.5, x]), exact=True)


WAYS = {
    "value": lambda f, x, y, M: f(x, y, M),
    "gradient": lambda f, x, y, M: grad(f, (0, 1, 2))(x, y, M),
    "push": lambda f, x, y, M: jvp(f, (x, y, M), (x * 0.5, y + 0.1, M.T)),
    "directions": lambda f, x, y, M: jacfwd(lambda M: f(x, y, M))(M),
    "cotangents": lambda f, x, y, M: jacrev(lambda x: np.stack([f(x, y, M), f(0.5 * x, y, M)]))(x),
    "second order": lambda f, x, y, M: hvp(lambda M: f(x, y, M), (M,), (M.T,)),
}


def check_recurrence(seed, ways):
    r = np.random.default_rng(seed)
    f, source, args = function(r, int(r.choice([13, 20])))
    found = 0
    for way in ways:

        def g(*given, way=way):
            return WAYS[way](f, *given)

        expected = g(*args)
        program = with_loops(trace(g, *args), PASSES)
        well_formed(program)
        found += len(loops_of(program))
        for y in (program(*args), optimise(program, with_kernels(PASSES))(*args)):
            try:
                close(expected, y)
            except AssertionError as error:
                raise AssertionError(f"{way} of seed {seed}\n{source}\n{error}") from error
    return found


@pytest.mark.parametrize("seed", range(12))
def test_random_recurrences(seed):
    check_recurrence(seed, [list(WAYS)[seed % len(WAYS)]])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_random_recurrences(seed):
    check_recurrence(seed, WAYS)


def test_most_random_recurrences_are_rolled():
    found = 0
    for seed in range(20):
        f, _, args = function(np.random.default_rng(seed), 16)
        found += bool(loops_of(with_loops(trace(f, *args), PASSES)))
    assert found >= 14


# ---------------------------------------------------------------------------------------------------
# What is not regular
# ---------------------------------------------------------------------------------------------------


def test_guards_of_all_steps():
    def f(x, xs):
        for t in range(20):
            x = 0.5 * x + xs[t]
            if x > 10.0:
                x = x * 0.5
            x = np.tanh(x) * 2.0
        return x

    xs = np.linspace(-1, 1, 20)
    program = rolled(f, 0.1, xs)
    close(program(0.1, xs), f(0.1, xs))
    high = xs.copy()
    high[13] = 50.0
    with pytest.raises(GuardFailed):
        program(0.1, high)
    fast = compile(grad(f, 1))
    close(fast(0.1, xs), grad(f, 1)(0.1, xs))
    close(fast(0.1, high), grad(f, 1)(0.1, high))


def test_a_step_that_only_looks_equal():
    """The same operations, once on another value, once with another number, once in another order."""

    def f(x, y):
        z = x
        for t in range(40):
            z = np.sin(z) * (x if t != 17 else y) + (0.5 if t != 23 else 0.25)
            z, x = (x, z) if t == 30 else (z, x)
        return z + x

    agree(f, 0.3, 0.7)
    agree(grad(f, (0, 1)), 0.3, 0.7)


def test_steps_that_go_back_further():
    def f(x):
        a, b, c = x, 0.5 * x, 0.25 * x
        for _ in range(40):
            a, b, c = 0.4 * c + np.sin(b), a, b
        return a * b + c

    agree(f, 0.3)
    agree(grad(f), 0.3)


def test_values_of_steps_that_are_read_outside():
    def f(x):
        seen = []
        for _ in range(30):
            x = np.cos(x) * 1.5
            seen.append(x)
        return seen[3], seen[-1], np.sum(np.stack(seen) ** 2), seen[0] * seen[15]

    agree(f, np.array([0.1, 0.4]))
    agree(jacrev(lambda x: np.stack([np.sum(y) for y in f(x)])), np.array([0.1, 0.4]))


def test_the_same_in_every_step_is_computed_before():
    def f(x, q):
        for _ in range(20):
            x = np.sin(x) * np.exp(q) + np.sqrt(q * q + 1.0)
        return x

    program = rolled(f, 0.3, 0.5)
    (facts,) = loops_of(program)
    assert {i.op.name for i in facts.instructions}.isdisjoint({"exp", "sqrt"})
    agree(f, 0.3, 0.5)
    agree(grad(f, (0, 1)), 0.3, 0.5)


def test_zeros_keep_their_signs_in_sums_of_scatters():
    """x[t] in each step, and before and behind the loop: its cotangent is a sum of scatters."""

    def f(x):
        y = x[0] * x[-1]
        for t in range(len(x)):
            y = y * 0.5 - x[t] * 0.0
        return y + x[3]

    agree(grad(f), np.linspace(-1, 1, 12), exact=True)
    agree(grad(f), -np.zeros(12), exact=True)


def test_rows_of_more_axes():
    def f(x):
        y = x[0, :, 1]
        for t in range(x.shape[1]):
            y = np.tanh(y[::-1] * 0.5 + x[1, t, :]) - x[0, t, None, 0] * x[2, -1 - t]
        return np.sum(y)

    x = rng.normal(size=(3, 9, 9))
    agree(grad(f), x)
    agree(jacfwd(lambda a: f(a * x)), 0.7)


JOINED = {
    "a vector of numbers": lambda y, t: np.array([y[1], -np.sin(y[0]), y[2] * 0.5]),
    "vectors": lambda y, t: np.concatenate([0.5 * y[1:], np.cos(y[:1])]),
    "three of them": lambda y, t: np.hstack([y[2:], -0.0 * y[:1], XS[t, :1]]),
    "rows": lambda y, t: np.stack([y, 0.3 * y[::-1]])[t % 2] + 0.1,
    "columns": lambda y, t: np.tanh(np.stack([y, XS[t, :3]], axis=-1).sum(axis=1)),
    "matrices": lambda y, t: np.concatenate([np.outer(y, y), M[:3, :3] * 0.5], axis=1)[1, 2:5] * 0.5,
}


@pytest.mark.parametrize("name", JOINED)
def test_arrays_put_together(name):
    def f(y):
        for t in range(24):
            y = JOINED[name](y, t)
        return y

    y = np.array([0.3, -0.7, 0.2])
    agree(f, y)
    agree(grad(lambda y: np.sum(f(y) ** 2)), y)
    agree(jacfwd(f), y)


def test_zeros_keep_their_signs_where_arrays_are_put_together():
    def f(y):
        for _ in range(24):
            y = np.concatenate([-y[1:], y[:1]])
        return y

    agree(f, np.array([0.0, -0.0, 1.0]), exact=True)


def test_large_bodies_stay_numpy():
    def f(x):
        for _ in range(20):
            x = np.tanh(W @ x) + 0.5 * x
        return np.sum(x)

    W = rng.normal(size=(200, 200)) / 15
    program = trace(grad(f), np.ones(200))
    assert with_loops(program, PASSES) is program


def test_the_listing_shows_loops():
    text = str(rolled(scalar_loop, 0.3, 0.7))
    assert "for t in range(50):" in text
    assert text.count("np.sin") == 1


def test_a_loop_of_which_nothing_is_read():
    """A store through the last of many views goes to the array itself."""

    def f(x):
        y = x * 1.0
        view = y
        for _ in range(1000):
            view = view[::-1]
        view[0] = x[1] * 3.0
        return y * y

    x = np.array([0.2, 0.35, -0.4])
    np.testing.assert_array_equal(compile(f)(x), f(x))
