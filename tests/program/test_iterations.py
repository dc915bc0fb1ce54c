"""Loops as data, run step by step by NumPy: each argument of each step is the one that the program had, to the bit.

What a loop reads beyond the arrays that it moves over is nan here.
"""

import functools

import numpy as np
import optree
import pytest

from admodes import grad, jacfwd, trace
from admodes.core.dispatch import apply
from admodes.core.registry import Op
from admodes.ops.index import scatter
from admodes.program.algebra import signs
from admodes.program.native.rolled import accepts
from admodes.program.passes import PASSES
from admodes.program.recording import Instruction, Value, mapped
from admodes.program.rolling import roll, spread, with_arrays_outside
from admodes.program.straightline import GuardFailed

# What is done for all steps at once, where that can be.
SPREAD = {"sin", "cos", "multiply", "true_divide", "divide"}

rng = np.random.default_rng(3)
X = rng.normal(size=(40, 3))
C = rng.normal(size=40).tolist()
ROWS = [rng.normal(size=3) for _ in range(40)]


def stepped(loop, backward):
    """A loop whose body NumPy runs, but for what is computed for all steps at once."""
    assert all(map(accepts, loop.body))
    before, loop = spread(loop, lambda i: i.op.name in SPREAD)
    return [*before, one_by_one(with_arrays_outside(loop), backward)]


def one_by_one(loop, backward):
    outputs = (*loop.stacked.values(), *loop.final.values())

    def run(*given):
        given = iter(given)
        fixed = {v: next(given) for v in loop.fixed}
        moving = {m.inside: moved_over(next(given), m) for m in loop.moving}
        carried = {c.before: np.asarray(next(given)) for c in loop.carried}
        assert all(x.shape == v.shape for v, x in carried.items())
        stacks = {v: np.empty(v.shape, v.dtype) for v in loop.stacked.values()}
        for t in range(loop.steps):
            known = {**fixed, **{v: x(t) for v, x in moving.items()}, **carried}
            for i in loop.body:
                y = apply(i.op, *(mapped(x, lambda x: known.get(x, x) if isinstance(x, Value) else x)
                                  for x in (i.args, i.params)))  # fmt: skip
                known.update(zip(i.outs, y if isinstance(y, tuple) else (y,), strict=True))
            for v, stack in loop.stacked.items():
                stacks[stack][t] = known[v]
            carried = {c.before: np.array(known[c.after]) for c in loop.carried}
        found = (*stacks.values(), *(np.array(known[v])[()] for v in loop.final))
        return found if len(found) > 1 else found[0]

    op = Op(run, name="loop", arrays=None)
    return Instruction(op, loop.inputs, {}, outputs if len(outputs) > 1 else outputs[0], backward)


def moved_over(x, m):
    """x by step, further on by m.step elements each time."""
    x = np.asarray(x)
    flat, far = np.ravel(x), np.full(x.size, np.nan if x.dtype.kind == "f" else 77).astype(x.dtype)
    around = np.concatenate([far, flat, far])

    def at(t):
        start = min(max(x.size + t * m.step, 0), 2 * x.size)
        return around[start : start + x.size].reshape(x.shape)

    return at


def rolled(f, *args):
    return roll(trace(f, *args), accepts, stepped)


def loops(program):
    return [i for i in program.instructions if i.op.name == "loop"]


def same(a, b):
    for x, y in zip(optree.tree_leaves(a), optree.tree_leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(np.signbit(x), np.signbit(y))
        assert np.asarray(x).dtype == np.asarray(y).dtype


def agree(f, *args, least=1, gradient=True):
    """Equal, in every step, to the program as it was traced; f's result to that of f."""
    ways = [f] if not gradient else [f, grad(lambda *a: np.sum(f(*a)), tuple(range(len(args))))]
    for way in ways:
        program = rolled(way, *args)
        assert len(loops(program)) >= least, str(program)
        same(trace(way, *args)(*args), program(*args))
        simpler = roll(trace(way, *args), accepts, stepped, PASSES[: PASSES.index(signs) + 1])
        for x, y in zip(*map(optree.tree_leaves, (way(*args), simpler(*args))), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-13)
    same(f(*args), rolled(f, *args)(*args))


# ---------------------------------------------------------------------------------------------------
# Steps of which one differs from the others: each program is a loop but for one argument of one step
# ---------------------------------------------------------------------------------------------------

STEPS = 40


def alone(one, other):
    """A recurrence whose step 19 is written another way."""

    def f(x):
        s = [x[0] * 1.0, x[1] * 2.0, x[2] * 0.5]
        for t in range(STEPS):
            (other if t == 19 else one)(s, x, t)
        return s[0] + s[1] * s[2]

    return f


def step(expression):
    """A step that sets the first carried value, in source."""
    scope = {"np": np, "C": C, "ROWS": ROWS}
    exec(f"def step(s, x, t):\n    s[0] = {expression}", scope)
    return scope["step"]


ALONE = {
    "a place": ("0.5 * s[0] + x[t]", "0.5 * s[0] + x[t + 1]"),
    "a place of two": ("0.5 * s[0] + x[t, 0]", "0.5 * s[0] + x[t, 1]"),
    "a place from the end": ("0.5 * s[0] + x[t - 20]", "0.5 * s[0] + x[t - 20]"),
    "another array": ("0.5 * s[0] + x[t]", "0.5 * s[0] + (2.0 * x)[t]"),
    "no place": ("0.5 * s[0] + x[t]", "0.5 * s[0] + s[1]"),
    "a carried value": ("0.5 * s[0] + 0.1 * s[1]", "0.5 * s[0] + 0.1 * s[2]"),
    "the first of it": ("np.sin(s[0]) * 0.9", "np.sin(s[1]) * 0.9"),
    "a number": ("0.5 * s[0] + 0.25", "0.5 * s[0] + 0.26"),
    "a sign of zero": ("s[0] + 1 / np.copysign(9, s[0] ** 2 * 0.0)", "s[0] + 1 / np.copysign(9, s[0] ** 2 * -0.0)"),
    "a number of steps": ("0.5 * s[0] + C[t]", "0.5 * s[0] + C[0]"),
    "an array of steps": ("0.5 * s[0] + ROWS[t]", "0.5 * s[0] + ROWS[3]"),
    "one array": ("0.5 * s[0] + ROWS[0]", "0.5 * s[0] + ROWS[1]"),
    "an operation": ("0.5 * np.sin(s[0])", "0.5 * np.cos(s[0])"),
    "a shape": ("0.5 * s[0] + x[t]", "0.5 * s[0] + x[t, :1]"),
    "an order": ("s[0] - 0.5 * s[1]", "0.5 * s[1] - s[0]"),
    "a slice": ("0.5 * s[0] + x[t : t + 1]", "0.5 * s[0] + x[t : t + 2][:1]"),
    "an axis": ("s[0] / np.sum(np.outer(s[0], s[1]) + 9, axis=0)", "s[0] / np.sum(np.outer(s[0], s[1]) + 9, axis=1)"),
    "whole numbers beside": ("0.5 * s[0] + t", "0.5 * s[0] + (t + 1)"),
    "whole numbers and others": ("0.5 * s[0] + t", "0.5 * s[0] + float(t)"),
    "a power": ("np.tanh(s[0]) ** 3", "np.tanh(s[0]) ** 2"),
    "a whole power": ("np.tanh(s[0]) ** 3", "np.tanh(s[0]) ** 3.0"),
    "a number and a scalar": ("0.5 * s[0] + 0.25", "0.5 * s[0] + np.float64(0.25)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_one_step_differs(name):
    one, other = map(step, ALONE[name])
    x = rng.normal(size=(STEPS + 2, 3))
    f = alone(one, other)
    agree(f, x, least=0)
    agree(alone(one, one), x)


@pytest.mark.parametrize("kind", ["float32", "mixed"])
def test_numbers_beside_single_precision(kind):
    def f(x):
        y = x[0]
        for t in range(20):
            y = y * (0.1 * t if kind == "float32" else np.float32(0.1) * t) + x[t]
        return y

    agree(f, X.astype(np.float32), least=0)
    agree(f, X, least=0)


# ---------------------------------------------------------------------------------------------------
# What is carried and what is read of other loops
# ---------------------------------------------------------------------------------------------------


def turning(x):
    a, b, c = x[0], 0.5 * x[1], 0.25 * x[2]
    for _ in range(24):
        a, b, c = 0.4 * c + np.sin(b), a, b
    return a * b + c


def two_firsts(x):
    """One value of the step before is carried under two names, which begin differently."""
    a, b = x[0], x[1]
    for t in range(20):
        y = 0.5 * a + np.sin(b) * x[t]
        a = b = y
    return a


def shape_of_the_first(x):
    y = x[0, 0]
    for t in range(20):
        y = np.tanh(y + x[t])
    return y


def _sines(x):
    seen = [x[0]]
    for t in range(24):
        seen.append(np.sin(seen[-1]) + x[t])
    return seen


def every_second(x):
    seen, y = _sines(x), x[0]
    for t in range(12):
        y = y * 0.5 + seen[2 * t + 1]
    for t in range(12):
        y = y * 0.5 + seen[24 - 2 * t]
    return y


def every_second_but_one(x):
    seen, y = _sines(x), x[0]
    for t in range(12):
        y = y * 0.5 + seen[2 * t + 1 if t != 7 else 3]
    return y


def one_or_the_other(x):
    """Of an earlier loop one of two values of a step, the other in step 9."""
    seen, more = [], []
    y = x[0]
    for t in range(24):
        z = np.sin(y)
        y = np.cos(z) + x[t]
        seen.append(z)
        more.append(y)
    for t in range(24):
        y = y * 0.5 + (more if t == 9 else seen)[t]
    return y


def of_two_loops(x):
    """Half from one earlier loop, half from another."""
    seen = []
    y = x[0]
    for t in range(12):
        y = np.sin(y) + x[t]
        seen.append(y)
    y = y * 0.5 - x[1]
    for t in range(12):
        y = np.sin(y) + x[t + 12]
        seen.append(y)
    for z in seen:
        y = 0.5 * y + z * z
    return y


def of_what_is_no_loop(x):
    seen = [x[k] * float(k) if k % 2 else np.tanh(x[k]) for k in range(6)] + [np.cosh(x[k] / (k + 1)) for k in (6, 7)]
    seen += [np.sinh(x[8]), x[9] - 1.0, np.arctan(x[10]), np.exp(-(x[11] ** 2))]
    y = x[0]
    for z in seen:
        y = 0.5 * y + z * z
    return y


def read_of_a_sum(x):
    """The cotangent of x is a sum of scatters, and read in between."""
    y = x[0] * x[-1]
    for t in range(20):
        y = y * 0.5 - x[t] * np.sin(x[t + 1])
    return y * x[3]


def in_turn_and_back(x):
    y = x[0]
    for t in range(30):
        y = np.where(y > 0, 0.5 * y, -0.25 * y) + x[29 - t]
    return y


def both_ways(x):
    y = x[0]
    for t in range(30):
        y = 0.5 * y + np.sin(x[t]) * x[29 - t]
    return y


def rows_around_the_end(x):
    """Rows that were read before the loop, the first from the end: x[-3], x[-2], x[-1], x[0], …"""
    rows = [x[k - 3] for k in range(24)]
    y = x[0]
    for z in rows:
        y = 0.5 * y + z * z
    return y


def rows_before(x):
    """Rows that were read before the loop, one of them another, one of another array, one from the end."""
    y, w = x[0], x * 2.0
    for odd in (x[3], w[9], x[-31]):
        rows = [x[k] for k in range(24)]
        rows[9] = odd
        for z in rows:
            y = 0.5 * y + z * z
    return y


def diagonal(x):
    y = x[0, 0]
    for t in range(20):
        y = np.sin(y) * x[t, t]
    return y


def means(x):
    y = x[0]
    for t in range(12):
        y = y - np.mean(y) * x[t] / np.max(np.abs(y))
    return y


CARRIED = [
    turning, two_firsts, shape_of_the_first, every_second, every_second_but_one, one_or_the_other, of_two_loops,
    of_what_is_no_loop, read_of_a_sum, in_turn_and_back, both_ways, rows_around_the_end, rows_before, diagonal, means,
]  # fmt: skip


@pytest.mark.parametrize("f", CARRIED, ids=lambda f: f.__name__)
def test_carried(f):
    x = rng.normal(size=(40, 40 if f is diagonal else 3))
    agree(f, x, least=f is not of_what_is_no_loop)
    way = jacfwd(lambda a: f(a * x))
    same(trace(way, 0.7)(0.7), rolled(way, 0.7)(0.7))


def test_zeros_of_sums_of_scatters():
    def f(x):
        y = x[0] * x[-1]
        for t in range(len(x)):
            y = y * 0.5 - x[t] * 0.0
        return y + x[3]

    for x in (np.linspace(-1, 1, 12), -np.zeros(12), np.zeros(12)):
        agree(f, x)


@pytest.mark.parametrize("assumed", [True, False])
def test_guards_of_all_steps(assumed):
    def f(xs):
        y = 0.1
        for t in range(20):
            y = 0.5 * y + xs[t]
            if y > 10.0:
                y = y * 0.5
        return y

    xs = np.linspace(-1, 1, 20) + (100 if assumed else 0)
    program = rolled(f, xs)
    assert loops(program)
    same(f(xs), program(xs))
    other = xs.copy()
    other[13] = -500.0 if assumed else 500.0
    with pytest.raises(GuardFailed):
        program(other)


def of_before(xs):
    """The same condition in each step, of a value before the loop."""
    y, holds = 0.1, xs[0] > 0
    for t in range(20):
        if holds:
            y = 0.5 * y + xs[t]
    return y


def of_the_step_before(xs):
    y, holds = 0.1, xs[0] > 0
    for t in range(20):
        if holds:
            y = 0.5 * y + xs[t]
        holds = y > -xs[t]
    return y


@pytest.mark.parametrize("f", [of_before, of_the_step_before])
def test_guards_on_what_is_not_of_the_step(f):
    xs = np.linspace(0.5, 1, 20)
    program = rolled(f, xs)
    same(f(xs), program(xs))
    with pytest.raises(GuardFailed):
        program(-xs)


# ---------------------------------------------------------------------------------------------------
# Scatters at places that move: sums of them are done at once, and nothing else
# ---------------------------------------------------------------------------------------------------


def at(u, t):
    """24 numbers: u, and zeros."""
    return scatter(u, (t,), (24,), 0)


def added(s, total, other, y, t):
    return total + s, other, y


def added_to(s, total, other, y, t):
    return s + total, other, y


def subtracted(s, total, other, y, t):
    return total - s, other, y


def greatest(s, total, other, y, t):
    return np.maximum(total, s), other, y


def scaled(s, total, other, y, t):
    return (total + s) * 0.5, other, y


def read_in_the_step(s, total, other, y, t):
    return total + s, other, 0.5 * y + total[3]


def read_after_the_step(s, total, other, y, t):
    total = total + s
    return total, other, 0.5 * y + total[3]


def added_twice(s, total, other, y, t):
    return total + s, other + s, y


def read_itself(s, total, other, y, t):
    return total + s, other, y + np.sum(s)


def to_itself(s, total, other, y, t):
    return total + (s + s), other, y


def in_turn(s, total, other, y, t):
    return other + s, total, y


def doubled(s, total, other, y, t):
    return (total + s) + total, other, y


def two_sums(s, total, other, y, t):
    return total + s, other + at(y * 0.5, 23 - t), y


def two_in_one(s, total, other, y, t):
    return (total + s) + at(y * 0.5, 23 - t), other, y


def more_than_scatters(s, total, other, y, t):
    return (total + s) + other, other, y


def started_again(s, total, other, y, t):
    return total + s if t != 11 else other + s, other, y


def second_read(s, total, other, y, t):
    more = at(y * 0.5, 23 - t)
    return (total + s) + more, other, y + np.sum(more)


def greatest_behind(s, total, other, y, t):
    return np.maximum(total + s, at(y * 0.5, 23 - t)), other, y


def subtracted_behind(s, total, other, y, t):
    return (total + s) - at(y * 0.5, 23 - t), other, y


def crossed(s, total, other, y, t):
    return other + s, total + at(y * 0.5, 23 - t), y


def both_at_once(s, total, other, y, t):
    return total + (s + at(y * 0.5, 23 - t)), other, y


def large_beside(s, total, other, y, t):
    return total + s, other + LARGE, y


LARGE = rng.normal(size=(300, 24))

SUMS = [
    added, added_to, subtracted, greatest, scaled, read_in_the_step, read_after_the_step, added_twice, read_itself,
    to_itself, in_turn, doubled, two_sums, two_in_one, more_than_scatters, started_again,
    second_read, greatest_behind, subtracted_behind, crossed, both_at_once, large_beside,
]  # fmt: skip


def summing(one):
    def f(x):
        total, other, y = x * 0.0, x * 0.5, x[0]
        for t in range(24):
            y = np.sin(y) + 0.5
            total, other, y = one(at(y, t), total, other, y, t)
        return total, other, y

    return f


@pytest.mark.parametrize("one", SUMS, ids=lambda f: f.__name__)
def test_sums_of_scatters(one):
    x = rng.normal(size=24)
    f = summing(one)
    expected, found = trace(f, x)(x), rolled(f, x)(x)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_sums_of_zeros_with_signs():
    def f(x):
        total, y = x * 0.0, x[0] * 0.0
        for t in range(24):
            y = y * 1.0
            total = total + at(y, t)
        return total

    for x in (np.ones(24), -np.ones(24)):
        same(trace(f, x)(x), rolled(f, x)(x))


def test_sums_read_in_between():
    """The sum of the first few, of all but the last, and of all."""

    def sums(x):
        total, y = x * 0.0, x[0]
        for t in range(24):
            y = np.sin(y) + 0.5
            total = total + at(y, t)
            yield total

    x = rng.normal(size=24)
    for few in (slice(5, 6), slice(22, 23), slice(23, 24), slice(5, 24, 18)):
        f = functools.partial(lambda few, x: [*sums(x)][few], few)
        same(trace(f, x)(x), rolled(f, x)(x))


def test_of_crossed_sums_one():
    x = rng.normal(size=24)
    f = summing(crossed)
    for few in (slice(0, 1), slice(1, 2)):
        way = functools.partial(lambda few, x: f(x)[few], few)
        (a,), (b,) = trace(way, x)(x), rolled(way, x)(x)
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_half_a_step_of_a_sum_is_read():
    def f(x):
        total, y = x * 0.0, x[0]
        for t in range(24):
            y = np.sin(y) + 0.5
            half = total + at(y, t)
            total = half + at(y * 0.5, 23 - t)
        return half, total

    x = rng.normal(size=24)
    for a, b in zip(trace(f, x)(x), rolled(f, x)(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_a_loop_that_reads_one_that_cannot_be():
    """The first is none, for a sum is read in between; the second reads what its steps made."""

    def f(x):
        total, y, seen, sums = x * 0.0, x[0], [], []
        for t in range(24):
            y = np.sin(y) + 0.5
            total = total + at(y, t)
            seen.append(y)
            sums.append(total)
        for t in range(24):
            y = np.cos(y) * seen[t]
        return y, sums[5]

    x = rng.normal(size=24)
    same(trace(f, x)(x), rolled(f, x)(x))


def maxima(x):
    """What is scattered is made where the loop would be cut, were it not for the scatter."""
    total, best = 0.0, -1e9
    for t in range(len(x)):
        total = np.maximum(total + x[t], x[t])
        best = np.maximum(best, total)
    return best


def test_what_is_scattered_is_made_in_the_same_step():
    x = rng.normal(size=30)
    program = rolled(grad(maxima), x)
    assert len(loops(program)) == 2
    same(trace(grad(maxima), x)(x), program(x))


WHERE = {
    "a row": lambda x, t: x[t],
    "a column": lambda x, t: x[:, t],
    "backwards": lambda x, t: x[23 - t],
    "from the end": lambda x, t: x[-1 - t],
    "behind an ellipsis": lambda x, t: x[..., t],
    "behind an ellipsis of two axes": lambda x, t: x.reshape(2, 13, 26)[..., t],
    "before an ellipsis": lambda x, t: x[t, ...],
    "a slice": lambda x, t: x[t : t + 3],
    "a slice of a slice": lambda x, t: x[t : t + 3, t],
    "a new axis": lambda x, t: x[None, t, :, None],
    "every second": lambda x, t: x[t, ::2],
    "a diagonal": lambda x, t: x[t, t],
    "an array": lambda x, t: x[t, [0, 2, 2]],
    "an element": lambda x, t: x[t, 3],
    "an element of the last": lambda x, t: x[3, -2 - t],
    "the whole beside": lambda x, t: x[t] * np.sum(x),
}


@pytest.mark.parametrize("name", WHERE)
def test_places_of_cotangents(name):
    def f(x):
        y = 0.5
        for t in range(24):
            y = np.sin(y) + 0.1 * np.sum(WHERE[name](x, t) ** 2)
        return y

    x = rng.normal(size=(26, 26))
    for way in (f, grad(f)):
        for a, b in zip([trace(way, x)(x)], [rolled(way, x)(x)], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)
