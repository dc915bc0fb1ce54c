"""Checkpoints: the counts of the papers, derivatives against those of the plain function, memory."""

import functools
import tracemalloc

import numpy as np
import pytest
from checks import NESTINGS

import admodes as ad
from admodes.transforms.closures import closed_over
from admodes.transforms.revolve import Online, forward_steps, split

RNG = np.random.default_rng(0)
W = RNG.standard_normal((4, 4)) / 2
X = RNG.standard_normal(4)

# ---------------------------------------------------------------------------------------------------
# Where snapshots go
# ---------------------------------------------------------------------------------------------------


@functools.cache
def least(l, s):
    """By definition: advance m steps, take a snapshot, reverse the right part, then the left."""
    if l < 2:
        return 0
    if s == 1:
        return l * (l - 1) // 2
    return min(m + least(l - m, s - 1) + least(m, s) for m in range(1, l))


@pytest.mark.parametrize("s", range(1, 8))
def test_forward_steps_are_the_least(s):
    for l in range(1, 60):
        assert forward_steps(l, s) == least(l, s)
        if l > 1 and s > 1:
            m = split(l, s)
            assert m + least(l - m, s - 1) + least(m, s) == least(l, s)


COUNTS = {(10, 2): 20, (10, 3): 15, (50, 5): 122, (100, 3): 490, (100, 5): 316, (100, 10): 222}
COUNTS |= {(250, 5): 1040, (300, 10): 836}


def steps_run(steps, calls, **options):
    """How many steps without a tape a first and a second pull take, the forward sweep counted with the first."""
    _, pull = ad.vjp(lambda x: ad.checkpoint_chain(steps, x, **options), 1.0)
    derivative = pull(1.0)[0]
    first = len(calls)
    assert pull(1.0)[0] == derivative
    return first, len(calls) - first


@pytest.mark.parametrize(("l", "s"), COUNTS)
@pytest.mark.parametrize("disk", [0, 1])
def test_the_counts_of_the_papers(l, s, disk):
    calls = []
    steps = [lambda x: calls.append(1) or np.sin(x)] * l  # each step runs once more, on the tape
    assert steps_run(steps, calls, snapshots=s - disk, disk=disk) == (COUNTS[l, s] + l, COUNTS[l, s] + l)
    assert forward_steps(l, s) == COUNTS[l, s]


@pytest.mark.parametrize(("l", "s"), [*COUNTS, (1, 1), (2, 1), (7, 1), (30, 2)])
def test_online(l, s):
    """Of a chain whose length is not known: no more repetitions of a step than offline, and one for the look ahead."""
    calls = []
    steps = [lambda x: calls.append(1) or np.sin(x)] * l
    first, _ = steps_run(iter(steps), calls, snapshots=s)
    assert COUNTS.get((l, s), 0) + l <= first <= 1.35 * (forward_steps(l, s) + l) + 1
    online = Online(s)
    kept = {0}
    for i in range(1, l):
        forgotten = online.take(i)
        kept = (kept | {i}) - {forgotten}
        assert len(kept) <= s
        assert 0 in kept


# ---------------------------------------------------------------------------------------------------
# Derivatives
# ---------------------------------------------------------------------------------------------------


def plain(x, W, l=7):
    for k in range(l):
        x = np.tanh(W @ x) + k * x
    return x


def chain(x, W, l=7, s=3, **options):
    return ad.checkpoint_chain([lambda h, k=k: np.tanh(W @ h) + k * h for k in range(l)], x, snapshots=s, **options)


@pytest.mark.parametrize("s", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("argument", [0, 1])
def test_chain(s, argument):
    right = ad.jacrev(plain, argument)(X, W)
    np.testing.assert_allclose(ad.jacrev(chain, argument)(X, W, s=s), right, rtol=1e-12)
    np.testing.assert_allclose(ad.jacfwd(chain, argument)(X, W, s=s), right, rtol=1e-12)
    np.testing.assert_allclose(ad.jacrev(chain, argument)(X, W, s=s, disk=2), right, rtol=1e-12)


@pytest.mark.parametrize("mode", NESTINGS)
@pytest.mark.parametrize("argument", [0, 1])
def test_second_order(mode, argument):
    def energy(f):
        return lambda x, W: np.sum(f(x, W) ** 2)

    right = ad.hessian(energy(plain), argument)(X, W)
    np.testing.assert_allclose(ad.hessian(energy(chain), argument, mode=mode)(X, W), right, rtol=1e-9)
    again = ad.checkpoint(energy(plain))
    np.testing.assert_allclose(ad.hessian(again, argument, mode=mode)(X, W), right, rtol=1e-9)


def test_linearized_once_pushed_and_pulled():
    _, J = ad.linearize(lambda x: chain(x, W), X)
    right = ad.jacfwd(plain)(X, W)
    np.testing.assert_allclose(J @ np.eye(4), right, rtol=1e-12)
    np.testing.assert_allclose(J.T @ np.eye(4), right.T, rtol=1e-12)
    np.testing.assert_allclose(J.T @ np.eye(4), right.T, rtol=1e-12)


def test_compiled_code_computes_again_too():
    f, again = (lambda x: np.sum(plain(x, W, 40) ** 2)), (lambda x: np.sum(chain(x, W, 40, 3) ** 2))
    compiled = ad.compile(ad.grad(again))
    for x in (X, X + 1):
        np.testing.assert_allclose(compiled(x), ad.grad(f)(x), rtol=1e-9)
    assert ad.cost(ad.grad(again), X).peak_bytes < 0.4 * ad.cost(ad.grad(f), X).peak_bytes
    assert ad.cost(ad.grad(again), X).flops > ad.cost(ad.grad(f), X).flops


def test_scan_with_trees_a_counter_and_collected_results():
    xs = RNG.standard_normal((6, 4))

    def step(carry, x):
        h, count = carry["h"], carry["count"]
        h = np.tanh(W_ @ h + x) * (1 + count)
        return {"h": h, "count": count + 1}, (h[0], x * count)

    def scanned(xs, W, h, s=2):
        nonlocal W_
        W_ = W
        carry, (first, scaled) = ad.checkpoint_scan(step, {"h": h, "count": 0}, xs, snapshots=s)
        assert carry["count"] == 6
        return np.concatenate([carry["h"], first, scaled.ravel()])

    def looped(xs, W, h):
        first, scaled = [], []
        for count, x in enumerate(xs):
            h = np.tanh(W @ h + x) * (1 + count)
            first.append(h[0])
            scaled.append(x * count)
        return np.concatenate([h, np.stack(first), np.stack(scaled).ravel()])

    W_ = W
    for argument in (0, 1, 2):
        right = ad.jacrev(looped, argument)(xs, W, X)
        np.testing.assert_allclose(ad.jacrev(scanned, argument)(xs, W, X), right, rtol=1e-12)
        np.testing.assert_allclose(ad.jacfwd(scanned, argument)(xs, W, X), right, rtol=1e-12)


def test_scan_over_an_iterator():
    xs = RNG.standard_normal((9, 4))

    def f(h, xs):
        return ad.checkpoint_scan(lambda h, x: (np.sin(h) * x, None), h, xs, snapshots=3)[0]

    np.testing.assert_allclose(ad.jacrev(f)(X, iter(xs)), ad.jacfwd(f)(X, xs), rtol=1e-12)


def test_a_step_that_writes_into_its_state():
    def step(h):
        h *= 2.0
        return np.sin(h)

    x = X.copy()
    found = ad.jacrev(lambda x: ad.checkpoint_chain([step] * 5, x, snapshots=2))(x)
    right = ad.jacfwd(lambda x: ad.checkpoint_chain([lambda h: np.sin(2 * h)] * 5, x))(X)
    np.testing.assert_allclose(found, right, rtol=1e-12)
    np.testing.assert_array_equal(x, X)


def test_no_step_and_no_derivative():
    assert ad.checkpoint_chain([], 3.0) == 3.0
    assert ad.grad(lambda x: ad.checkpoint_chain([], x))(3.0) == 1.0
    assert ad.checkpoint(lambda a, b=1: a + b)(1, b=2) == 3
    np.testing.assert_array_equal(ad.grad(lambda x: ad.checkpoint(lambda x: (np.sum(x[:2]), 7))(x)[0])(X), [1, 1, 0, 0])


# ---------------------------------------------------------------------------------------------------
# What is found in closures
# ---------------------------------------------------------------------------------------------------


def test_closures():
    """Arrays in cells, defaults, partials, containers and functions inside; a function that calls itself."""

    def f(w):
        weights = {"a": [w, 2 * w]}

        def inner(x):
            return weights["a"][1] * x

        def countdown(x, k=2):
            return inner(x) if k == 0 else countdown(x * w, k - 1)

        partial = functools.partial(lambda a, x, b: a * x * b, w, b=w)
        return ad.checkpoint(lambda x: countdown(x) + partial(x) + inner(x))(3.0)

    w = np.float64(1.5)
    g = ad.grad(f)(w)
    assert g == pytest.approx(3 * 2 * 3 * w**2 + 3 * 2 * w + 3 * 2)  # d/dw of 2w³x + w²x + 2wx at x = 3
    assert closed_over(len)[0] == []


def test_what_is_not_found_is_refused():
    class Model:
        w = None

    model = Model()

    def f(w):
        model.w = w
        return ad.checkpoint(lambda x: model.w * x)(w)

    with pytest.raises(TypeError, match=r"neither an argument nor in its closure .*checkpoint\(f\)\(x, w\)"):
        ad.grad(f)(2.0)
    with pytest.raises(TypeError, match="neither an argument nor in its closure"):
        ad.grad(lambda w: ad.checkpoint_chain(iter([lambda x: w * x]), w))(2.0)


# ---------------------------------------------------------------------------------------------------
# Memory, and what comes in
# ---------------------------------------------------------------------------------------------------


def peak(f):
    tracemalloc.start()
    f()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top


def test_memory_is_that_of_the_snapshots():
    x = RNG.standard_normal(10_000)
    steps = [lambda h: np.sin(h) * h] * 64
    size = x.nbytes
    few = peak(lambda: ad.grad(lambda x: np.sum(ad.checkpoint_chain(steps, x, snapshots=4)))(x))
    every = peak(lambda: ad.grad(lambda x: np.sum(ad.checkpoint_chain(steps, x, snapshots=64)))(x))
    assert few < 20 * size < 60 * size < every


@pytest.mark.parametrize("over", ["chain", "scan"])
def test_cotangents_of_what_all_steps_share_are_added_as_they_come(over):
    W = RNG.standard_normal((100, 100)) / 10
    xs = RNG.standard_normal((50, 100))

    def f(W):
        if over == "chain":
            h = ad.checkpoint_chain([lambda h, x=x: np.tanh(W @ h + x) for x in xs], np.zeros(100), snapshots=4)
        else:
            h = ad.checkpoint_scan(lambda h, x: (np.tanh(W @ h + x), None), np.zeros(100), xs, snapshots=4)[0]
        return np.sum(h)

    def plain(W):
        h = np.zeros(100)
        for x in xs:
            h = np.tanh(W @ h + x)
        return np.sum(h)

    np.testing.assert_allclose(ad.grad(f)(W), ad.grad(plain)(W), rtol=1e-10, atol=1e-12)
    assert peak(lambda: ad.grad(f)(W)) < 12 * W.nbytes  # 50 would be one a step


def test_what_compare_predicts_is_what_is_held():
    """Of large states, where the interpreter's own memory is small: within a tenth."""
    from admodes.ways import forecast, table
    from admodes.ways.question import ask

    W = RNG.standard_normal((100, 100)) / 10
    total = [lambda x: np.sum(x**2)]
    chains = (
        ([lambda x: np.sin(x) * x] * 20 + total, RNG.standard_normal(60_000)),
        ([lambda x: x @ W, np.tanh] * 10 + total, RNG.standard_normal((500, 100))),
        ([lambda x: np.sin(x)] * 20 + [lambda x: x[:100]], RNG.standard_normal(4000)),
    )
    for layers, x in chains:
        q = ask(layers, (x,), 0, "auto", None, 60, None)
        derivative = table._checkpointed(q)
        derivative(x)
        predicted = table._checkpointed_cost(q, forecast.Forecast(q)).peak_bytes
        assert predicted == pytest.approx(peak(lambda f=derivative, x=x: f(x)), rel=0.1)


def test_max_bytes():
    x = RNG.standard_normal(10_000)
    steps = [lambda h: np.sin(h) * h] * 64
    for bytes_ in (1_000_000, 3_000_000):
        held = peak(lambda most=bytes_: ad.vjp(lambda x: ad.checkpoint_chain(steps, x, max_bytes=most), x))
        assert 0.5 * bytes_ < held < bytes_ + 6 * x.nbytes
    with pytest.raises(ValueError, match=r"leaves no room for one snapshot of 80,000 bytes .* the least is"):
        ad.grad(lambda x: np.sum(ad.checkpoint_chain(steps, x, max_bytes=1000)))(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ad.checkpoint_chain([np.sin], x, snapshots=0), "snapshots=0: it must be an integer of at least 1"),
        (lambda x: ad.checkpoint_chain([np.sin], x, snapshots=1, max_bytes=9), "give one of them"),
        (lambda x: ad.checkpoint_chain([np.sin], x, disk=-1), "disk=-1"),
        (lambda x: ad.checkpoint_scan(lambda c, x: (c, x), x, np.float64(3.0)), "one common first axis"),
        (lambda x: ad.checkpoint_scan(lambda c, x: c, x, np.ones(3))[0], r"must return a pair \(carry, y\)"),
        (lambda x: ad.checkpoint_scan(lambda c, x: (c, c if x else None), x, np.arange(3.0))[0], "None for y at first"),
        (lambda x: ad.checkpoint_scan(lambda c, x: (c, None if x else c), x, np.arange(3.0))[0], "a y at first"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ad.grad(call)(1.0)
    with pytest.raises(ValueError, match="at least"):
        forward_steps(3, 0)


def _changing(c, x):
    x *= 2
    c *= 1.5
    return c + x[0] * x[1], x[:1] * c[:1]


def _squaring(c):
    c[0] *= 2
    c += 1
    return c * c * 0.1


CHECKPOINTED = {
    "scan": lambda c, xs, step: ad.checkpoint_scan(step, c, xs, snapshots=2),
    "scan of an iterator": lambda c, xs, step: ad.checkpoint_scan(step, c, iter([np.ones(3)] * 4), snapshots=2),
    "chain": lambda c, xs, step: ad.checkpoint_chain([step] * 3, c, snapshots=2),
}


@pytest.mark.parametrize("size", [3, 5000])
@pytest.mark.parametrize("name", CHECKPOINTED)
def test_what_a_step_writes_to_its_arguments_stays_in_it(name, size):
    """The carry, a row of xs, the state: each step has them by value, and so has each run of it again."""
    c, xs = np.full(size, 0.5), np.ones((4, size))
    first = _squaring if name == "chain" else _changing

    def copying(*args):
        return first(*(x * 1.0 for x in args))

    def total(step):
        return lambda c, xs: sum(np.sum(y) for y in (CHECKPOINTED[name](c, xs, step)))

    for derivative in (lambda f: f, ad.grad, lambda f: ad.grad(f, argnums=(0, 1)), ad.hessian):
        if derivative is ad.hessian and size > 3:
            continue
        for _ in range(2):
            found, wanted = derivative(total(first))(c, xs), derivative(total(copying))(c, xs)
            several = isinstance(found, tuple)
            for one, other in zip(found, wanted, strict=True) if several else [(found, wanted)]:
                np.testing.assert_allclose(one, other, rtol=1e-10)
            assert np.array_equal(c, np.full(size, 0.5))
            assert np.array_equal(xs, np.ones((4, size)))
