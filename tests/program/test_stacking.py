"""Loops taken many steps at once: what is stacked, what is not, and that the results are those of the steps."""

import threading

import numpy as np
import pytest

from admodes import compile, grad, jacfwd, jacrev, jvp, trace
from admodes.program.passes import common_subexpressions, dead_code, optimise
from admodes.program.primitives import summed_outer, summed_rows
from admodes.program.stacking import (
    CHUNK,
    LEAST,
    STACKED_BYTES,
    early_terms_first,
    operations_together,
    sums_of_products,
)

rng = np.random.default_rng(12)
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -2.5, 5e-324, 1e308])


def names(program):
    return [i.op.name for i in program.instructions]


def net(W, U, b, xs):
    h = b * 0.0
    for t in range(len(xs)):
        h = np.tanh(W @ h + U @ xs[t] + b)
    return np.sum(h * h)


def arguments(steps, n=4, m=3):
    shapes = ((n, n), (n, m), (n,), (steps, m))
    return tuple(rng.normal(size=s) / np.sqrt(n) for s in shapes)


def leaves(y):
    return y if isinstance(y, tuple) else (y,)


def assert_close(found, expected):
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert (np.shape(a), np.result_type(a)) == (np.shape(b), np.result_type(b))
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("by", [(0,), (0, 1, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("steps", [1, LEAST - 1, LEAST, LEAST + 1, CHUNK, CHUNK + 1, 2 * CHUNK + LEAST + 3])
def test_gradients_of_a_recurrent_net(steps, by):
    x = arguments(steps)
    program = trace(grad(net, argnums=by), *x)
    after = optimise(program)
    assert_close(after(*x), grad(net, argnums=by)(*x))
    assert ("summed_outer" in names(after)) == (steps >= LEAST)
    assert len(after) <= len(program)
    assert after.cost.flops <= program.cost.flops


def test_a_recurrent_net_takes_fewer_operations():
    program = trace(grad(net, argnums=(0, 1, 2)), *arguments(200))
    assert len(optimise(program)) < 0.5 * len(program)


def test_little_more_memory():
    program = trace(grad(net, argnums=(0, 1, 2)), *arguments(300, 32, 32))
    assert optimise(program).cost.peak_bytes < 1.2 * program.cost.peak_bytes


def test_a_net_with_fixed_inputs():
    W, U, b, xs = arguments(3 * CHUNK)
    gradient = grad(lambda W, U, b: net(W, U, b, xs), argnums=(0, 1, 2))
    after = optimise(trace(gradient, W, U, b))
    assert_close(after(W, U, b), gradient(W, U, b))
    assert names(after).count("matmul") < 2 * len(xs)


def test_pushes_of_a_recurrent_net():
    W, U, b, xs = arguments(CHUNK + 9)

    def f(W):
        return jvp(lambda W: net(W, U, b, xs), (W,), (np.ones_like(W),))[1]

    assert_close(optimise(trace(f, W))(W), f(W))


def test_threads_and_results_of_their_own():
    x = arguments(CHUNK + 20)
    gradient = grad(net, argnums=(0, 1, 2))
    fast = compile(gradient)
    others = [tuple(a * s for a in x) for s in (1.0, 0.5, -1.0, 2.0)]
    expected = [gradient(*o) for o in others]
    found = [None] * len(others)

    def work(k):
        for _ in range(5):
            found[k] = fast(*others[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(others))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)


# ---------------------------------------------------------------------------------------------------
# Sums
# ---------------------------------------------------------------------------------------------------


def plain_sum(us, vs):
    total = us[0][:, None] * vs[0]
    for u, v in zip(us[1:], vs[1:], strict=True):
        total = total + u[:, None] * v
    return total


def test_a_sum_of_outer_products():
    us, vs = rng.normal(size=(2, 20, 5))
    program = trace(lambda us, vs: plain_sum(list(us), list(vs)), us, vs)
    after = dead_code(sums_of_products(program))
    assert names(after).count("summed_outer") == 1
    assert not {"multiply", "add"} & set(names(after))
    assert_close(after(us, vs), us.T @ vs)


@pytest.mark.parametrize(
    "entry",
    [
        lambda k: (-0.0, 1.0),  # all terms −0.0
        lambda k: (-1.0, 0.0),
        lambda k: (0.0 if k == 3 else -0.0, 1.0),  # one is +0.0
        lambda k: (-(2.0**-600), 2.0**-600),  # products that vanish
        lambda k: ((-1.0) ** k, 1.0),  # cancels
        lambda k: (np.inf, 1.0),
        lambda k: ((-1.0) ** k * np.inf, 1.0),
        lambda k: (np.nan if k == 5 else 0.0, 1.0),
        lambda k: (np.inf if k == 5 else -0.0, 0.0),
    ],
)
@pytest.mark.parametrize("terms", [LEAST, CHUNK + LEAST + 2])
def test_zeros_infinities_and_nans_of_sums(entry, terms):
    us, vs = np.ones((2, terms, 3))
    for k in range(terms):
        us[k, 1], vs[k, 2] = entry(k)

    def f(us, vs):
        return (plain_sum(list(us), list(vs)), sum_up(list(us)))

    with np.errstate(all="ignore"):
        program = trace(f, us, vs)
        after = sums_of_products(program)
        assert {"summed_outer", "summed_rows"} <= set(names(after))
        for a, b in zip(after(us, vs), f(us, vs), strict=True):
            np.testing.assert_array_equal(a, b)
            known = ~np.isnan(b)
            np.testing.assert_array_equal(np.signbit(a)[known], np.signbit(b)[known])


def sum_up(xs):
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def test_sums_of_special_values():
    for a in SPECIAL:
        for b in SPECIAL:
            us, vs = np.full((LEAST, 2), a), np.full((LEAST, 2), b)
            with np.errstate(all="ignore"):
                expected = plain_sum(list(us), list(vs))
                found = summed_outer(us, vs)
            np.testing.assert_array_equal(found, expected)
            assert np.isnan(expected).all() or np.array_equal(np.signbit(found), np.signbit(expected))
    assert np.signbit(summed_rows(np.full((3, 2), -0.0))).all()


UNLIKE = {
    "a partial sum is a result": lambda xs: (lambda s: (s, s + sum_up(list(xs[:3]))))(sum_up(list(xs))),
    "a partial sum is read again": lambda xs: (lambda s: s * 2 + sum_up([s, *xs]))(sum_up(list(xs))),
    "a term twice": lambda xs: sum_up([xs[0], *xs, xs[0]]),
    "one term many times": lambda xs: sum_up([xs[0]] * (CHUNK + 3)) + sum_up([xs[1]] * (LEAST + 1)),
    "one outer product many times": lambda xs: (lambda o: sum_up([o] * (CHUNK + 3)))(xs[0][:, None] * xs[1]),
    "an addition of another shape": lambda xs: sum_up([*xs, np.ones((2, 5))]),
    "the sum of sums": lambda xs: sum_up(list(xs[:10])) + sum_up(list(xs[10:])),
    "few": lambda xs: sum_up(list(xs[: LEAST - 1])),
    "subtractions between": lambda xs: sum_up(list(xs[:10])) - sum_up(list(xs[10:])),
    "terms made on the way": lambda xs: sum_up([np.sin(x) for x in xs]),
    "terms that wait for the sum": lambda xs: (lambda s: sum_up([np.sin(s * x) for x in xs]))(sum_up(list(xs))),
    "outer products read twice": lambda xs: (lambda o: sum_up(o) + sum_up(o))([x[:, None] * x for x in xs]),
    "rows as columns": lambda xs: sum_up([x[None, :] * x.reshape(-1, 1) for x in xs]),
    "reversed columns": lambda xs: sum_up([x[::-1, None] * x for x in xs]),
    "in Fortran's order": lambda xs: sum_up([np.reshape(x, (-1, 1), order="F") * x for x in xs]),
    "single precision": lambda xs: sum_up([np.astype(x[:, None], np.float32) * np.astype(x, np.float32) for x in xs]),
    "mixed precision": lambda xs: sum_up([np.astype(x[:, None], np.float32) * x for x in xs]),
    "by constants": lambda xs: sum_up([x[:, None] * np.arange(3.0) for x in xs]),
    "of matrices": lambda xs: sum_up([x[:, None] * x + 1.0 for x in xs]),
    "of integers": lambda xs: sum_up([np.astype(x, int) for x in xs]),
    "of scalars": lambda xs: sum_up([np.sum(x) for x in xs]),
    "of scatters": grad(lambda xs: sum_up([np.sum(np.sin(x)) for x in xs])),
}


@pytest.mark.parametrize("f", UNLIKE.values(), ids=UNLIKE)
@pytest.mark.parametrize(
    "passes", [(sums_of_products,), (operations_together,), None], ids=["sums", "operations", "all"]
)
def test_sums_of_all_kinds(f, passes):
    xs = rng.normal(size=(CHUNK + 12, 5))
    program = trace(f, xs)
    before = str(program)
    after = optimise(program) if passes is None else optimise(program, passes)
    tolerance = 1e-5 if "float32" in str(program) else 1e-10
    for _ in range(2):
        for a, b in zip(leaves(after(xs)), leaves(f(xs)), strict=True):
            assert (np.shape(a), np.result_type(a)) == (np.shape(b), np.result_type(b))
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    assert str(program) == before


def loop(x, cs, add):
    for c in cs:
        x = add(np.sin(np.cos(x)), c, x[:1] * 0 + cs[0])
    return x


ORDERS = {
    "(a + b) + c": (lambda a, b, c: (a + b) + b * 2, True),
    "(b + a) + c": (lambda a, b, c: (b + a) + b, True),
    "c + (b + a)": (lambda a, b, c: b * 3 + (b + a), True),
    "a + (b + c)": (lambda a, b, c: a + (b + b * 2), False),
    "c is late too": (lambda a, b, c: (a + b) + c, False),
    "a + b read twice": (lambda a, b, c: (lambda s: (s + b) * s)(a + b), False),
    "((a + b) + c) + d": (lambda a, b, c: ((a + b) + b * 2) + b * 3, True),
}


@pytest.mark.parametrize(("add", "changes"), ORDERS.values(), ids=ORDERS)
def test_early_terms_are_added_first(add, changes):
    x, cs = rng.normal(size=5), rng.normal(size=(20, 5))
    program = trace(lambda x, cs: loop(x, cs, add), x, cs)
    after = early_terms_first(program)
    assert (after is not program) == changes
    assert len(after) == len(program)
    np.testing.assert_allclose(after(x, cs), program(x, cs), rtol=1e-12)
    np.testing.assert_allclose(optimise(program)(x, cs), program(x, cs), rtol=1e-12)


def test_few_early_terms_stay():
    x, cs = rng.normal(size=5), rng.normal(size=(LEAST - 1, 5))
    program = trace(lambda x, cs: loop(x, cs, ORDERS["(a + b) + c"][0]), x, cs)
    assert early_terms_first(program) is program


# ---------------------------------------------------------------------------------------------------
# Operations of one kind
# ---------------------------------------------------------------------------------------------------


def test_operations_that_do_not_wait_are_one():
    xs = rng.normal(size=(20, 5))
    program = trace(lambda xs: tuple(np.exp(x) for x in xs), xs)
    after = dead_code(operations_together(program))
    assert names(after).count("exp") == 1
    np.testing.assert_allclose(after(xs), np.exp(xs), rtol=1e-14)


def test_operations_that_wait_stay():
    def f(x):
        for _ in range(20):
            x = np.sin(x)
        return x

    program = trace(f, np.ones(4))
    assert operations_together(program) is program


def test_a_matrix_meets_many_vectors():
    A, xs = rng.normal(size=(4, 5)), rng.normal(size=(CHUNK + 10, 5))
    for f in (lambda A, xs: tuple(A @ x for x in xs), lambda A, xs: tuple(x @ A.T for x in xs)):
        program = trace(f, A, xs)
        after = dead_code(operations_together(common_subexpressions(program)))
        assert names(after).count("matmul") == 2
        np.testing.assert_allclose(after(A, xs), program(A, xs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        lambda xs: tuple(np.exp(x) for x in xs[: LEAST - 1]),
        lambda xs: tuple(np.sum(x) * 2 for x in xs),  # scalars
        lambda xs: tuple(np.exp(np.ones(STACKED_BYTES // 8 + 1) * x[0]) for x in xs),
        lambda xs: tuple(np.sum(x, axis=0) for x in xs),
    ],
)
def test_operations_that_are_left_alone(f):
    xs = rng.normal(size=(20, 5))
    program = trace(f, xs)
    assert "rows" not in names(operations_together(program))


MIXED = {
    "shared arguments": lambda xs: tuple(x * xs[0] + 2.0 for x in xs),
    "the same throughout": lambda xs: tuple(np.exp(xs) for _ in range(20)),
    "other numbers": lambda xs: tuple(x * k for k, x in enumerate(xs)),
    "broadcast": lambda xs: tuple(x * np.sum(xs) for x in xs),
    "columns": lambda xs: tuple(x[:, None] * x for x in xs),
    "results and what they lead to": lambda xs: (lambda ys: (*ys, *(np.exp(y) for y in ys[1:])))([x * x for x in xs]),
    "other constants": lambda xs: tuple(x * np.full(5, float(k)) for k, x in enumerate(xs)),
    "comparisons": lambda xs: tuple(x > 0 for x in xs),
    "an input itself": lambda xs: (xs, *(np.negative(x) for x in xs)),
    "branches": lambda xs: tuple(np.exp(x) if x[0] > 10 else -x for x in xs),
    "views of views": lambda xs: tuple(np.exp(x[1:][:2]) for x in xs),
    "single precision": lambda xs: tuple(np.astype(x, np.float32) * 2 for x in xs),
}


@pytest.mark.parametrize("f", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize("all_passes", [False, True])
def test_operations_of_all_kinds(f, all_passes):
    xs = rng.normal(size=(20, 5))
    program = trace(f, xs)
    after = optimise(program) if all_passes else operations_together(program)
    found = after(xs)
    for a, b in zip(found, f(xs), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-14)
    found[0][...] = 0  # the results are the caller's
    for a, b in zip(after(xs), f(xs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_special_values_in_stacks():
    with np.errstate(all="ignore"):

        def f(x):
            return tuple((x + k) * x for k in (0.0, -0.0, 1.0) for _ in range(9))

        program = trace(f, SPECIAL)
        for a, b in zip(operations_together(program)(SPECIAL), f(SPECIAL), strict=True):
            np.testing.assert_array_equal(a, b)
            known = ~np.isnan(b)
            np.testing.assert_array_equal(np.signbit(a)[known], np.signbit(b)[known])


# ---------------------------------------------------------------------------------------------------
# Random loops
# ---------------------------------------------------------------------------------------------------


def random_loop(seed):
    """A loop over steps drawn at random: products with matrices, outer products, sums of what came before."""
    draw = np.random.default_rng(seed)
    steps = [[int(k) for k in draw.integers(0, 7, size=draw.integers(1, 5))] for _ in range(draw.integers(1, 4))]
    many = int(draw.choice([LEAST, 21, CHUNK + 3, CHUNK + 11]))

    def f(W, b, xs):
        h, seen, total = b, [], 0.0 * W
        for t in range(many):
            x = xs[t % 5]
            for kind in steps[t % len(steps)]:
                h = (
                    lambda: np.tanh(W @ h + x + b),
                    lambda: h + W @ x,
                    lambda: h * x - b,
                    lambda: np.sin(x) * h,
                    lambda: 0.5 * h + seen[len(seen) // 2] if seen else h,
                    lambda: h @ W + np.cos(x) * np.cos(x),
                    lambda: np.cos(h),
                )[kind]()
            h = np.tanh(h)
            seen.append(h)
            total = total + h[:, None] * x if t % 3 else total + np.sin(h)[:, None] * seen[t // 2]
        return np.sum(total * W) + np.sum(sum_up(seen))

    return f


@pytest.mark.parametrize("seed", range(12))
def test_random_loops(seed):
    args = np.linalg.qr(rng.normal(size=(4, 4)))[0] * 0.5, rng.normal(size=4), rng.normal(size=(5, 4))
    gradient = grad(random_loop(seed), argnums=(0, 1, 2))
    program = trace(gradient, *args)
    assert_close(optimise(program)(*args), gradient(*args))


@pytest.mark.parametrize(
    "places", [range(20), range(19, -1, -1), range(-20, 0), [*range(10), *range(11, 20)], [3] * 20]
)
def test_rows_of_an_array_are_stacked_as_a_slice(places):
    x, W = rng.normal(size=(20, 3)), rng.normal(size=(4, 3))

    def f(x, W):
        return sum(np.sum(np.tanh(W @ x[k])) for k in places)

    gradient = grad(f, argnums=(0, 1))
    program = optimise(trace(gradient, x, W))
    for found, expected in zip(program(x, W), gradient(x, W), strict=True):
        assert_close(found, expected)
    in_order = len(places) == 20 and places[0] != places[1]
    assert any(i.op.name == "getitem" and isinstance(i.args[1], slice) for i in program.instructions) == in_order


def test_sums_of_products_with_places_in_an_array():
    """An index that is an array is no column and no row, though it stands beside one."""
    x, places = np.arange(1.0, 5.0), np.array([[0, 1], [2, 3]])
    for f in (
        lambda x: x[:2, None] * x[places] + x[places],
        lambda x: x[places] * x[None, 2:] + x[:2, None] * x[None, 2:],
        lambda x: x[places] @ x[:2] + x[(places,)] @ x[2:] + x[[0, 1]],
    ):
        np.testing.assert_allclose(compile(f)(x), f(x))
        np.testing.assert_allclose(compile(jacrev(f))(x), jacfwd(f)(x))
