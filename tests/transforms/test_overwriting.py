"""Arrays overwritten after a tape recorded them: what was recorded is differentiated, or an error, never another."""

import array
import importlib

import numpy as np
import pytest

from admodes import grad, jacfwd, linearize, value_and_grad, vjp
from admodes.core.errors import OverwrittenValue
from admodes.core.reverse import Guarded
from admodes.transforms.recording import Recording

ones = np.ones

fingerprint = importlib.import_module("admodes.core.fingerprint").fingerprint
SMALL, LARGE = 100, 20_000  # 800 bytes, copied when recorded; 160,000 bytes, hashed


def test_small_inputs_and_constants_may_be_overwritten():
    x, c = np.linspace(1.0, 2.0, SMALL), np.linspace(2.0, 3.0, SMALL)
    _, pullback = vjp(lambda x: x**2 * c, x)
    expected = 2 * x * c
    x[:], c[:] = 7.0, 9.0
    np.testing.assert_array_equal(pullback(ones(SMALL))[0], expected)


def test_small_constants_overwritten_inside_the_function():
    """A buffer used again and again, in vjp and in grad, which pulls at once."""

    def f(x):
        buffer, total = np.zeros(SMALL), 0.0
        for k in (1.0, 2.0, 3.0):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total

    x = ones(SMALL)
    np.testing.assert_array_equal(grad(f)(x), np.full(SMALL, 6.0))
    np.testing.assert_array_equal(vjp(f, x)[1](1.0)[0], np.full(SMALL, 6.0))
    np.testing.assert_array_equal(jacfwd(f)(x), np.full(SMALL, 6.0))


def overwritten_constants():
    c = np.linspace(2.0, 3.0, LARGE)

    def whole():
        c[:] = 0.0

    def one_element():
        c[LARGE // 2] += 1e-12

    def exchange():
        c[[3, 4]] = c[[4, 3]]

    def through_a_view():
        c.reshape(2, -1)[1, 5] = 0.0

    return c, [whole, one_element, exchange, through_a_view]


@pytest.mark.parametrize("which", range(4), ids=["whole", "one element", "two exchanged", "through a view"])
def test_a_large_constant_overwritten_raises(which):
    c, changes = overwritten_constants()
    x = ones(LARGE)
    _, pullback = vjp(lambda x: x * c, x)
    np.testing.assert_array_equal(pullback(ones(LARGE))[0], c)
    changes[which]()
    with pytest.raises(OverwrittenValue, match=r"shape \(20000,\) and dtype float64 was overwritten.*\.copy\(\)"):
        pullback(ones(LARGE))


@pytest.mark.parametrize("which", range(4), ids=["whole", "one element", "two exchanged", "through a view"])
def test_a_large_constant_overwritten_inside_the_function_raises_in_grad(which):
    for transform in (grad, value_and_grad):
        c, changes = overwritten_constants()

        def f(x, c=c, change=changes[which]):
            y = np.sum(x * c)
            change()
            return y

        with pytest.raises(OverwrittenValue, match="overwritten in place"):
            transform(f)(ones(LARGE))


def test_a_large_buffer_used_again_and_again():
    def f(x):
        buffer, total = np.zeros(LARGE), 0.0
        for k in (1.0, 2.0, 3.0):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total

    with pytest.raises(OverwrittenValue):
        grad(f)(ones(LARGE))
    np.testing.assert_array_equal(jacfwd(lambda x: f(x * ones(LARGE)))(1.0), 6.0 * LARGE)  # forward mode is immune


def test_a_large_input_overwritten_after_vjp_raises():
    x = np.linspace(1.0, 2.0, LARGE)
    _, pullback = vjp(lambda x: np.sin(x), x)
    x[17] = 5.0
    with pytest.raises(OverwrittenValue):
        pullback(ones(LARGE))


def test_a_large_view_whose_base_is_overwritten_raises():
    base = np.linspace(1.0, 2.0, 2 * LARGE)
    _, pullback = vjp(lambda x: x * base[::2], ones(LARGE))
    base[4] = 0.0
    with pytest.raises(OverwrittenValue):
        pullback(ones(LARGE))
    base[4] = 1.0
    view = base[:LARGE]
    _, pullback = vjp(np.sin, view)
    base[5] = 9.0
    with pytest.raises(OverwrittenValue):
        pullback(ones(LARGE))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_overwriting_the_value_changes_no_derivative(size):
    """The y of vjp is the user's own, though exp′ is y."""
    x = np.linspace(0.0, 1.0, size)
    for f in (np.exp, lambda x: x, lambda x: x[::-1], lambda x: np.tanh(x).reshape(-1, 2)):
        y, pullback = vjp(f, x)
        u = np.ones(np.shape(y))
        expected = pullback(u)[0]
        y[...] = -1.0
        np.testing.assert_array_equal(pullback(u)[0], expected)
        np.testing.assert_array_equal(x, np.linspace(0.0, 1.0, size))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_overwriting_a_cotangent_changes_no_later_one(size):
    x = np.linspace(0.0, 1.0, size)
    _, pullback = vjp(lambda x: x + np.sin(x), x)
    u = ones(size)
    first = pullback(u)[0]
    expected = first.copy()
    first[:] = 0.0
    np.testing.assert_array_equal(u, ones(size))
    np.testing.assert_array_equal(pullback(u)[0], expected)


def test_a_large_array_of_indices_or_mask_overwritten_raises_or_is_immune():
    x = np.linspace(0.0, 1.0, 10)
    for index in (np.zeros(LARGE, dtype=int), np.arange(LARGE) % 10):
        kept = index.copy()
        _, pullback = vjp(lambda x, index=index: x[index], x)
        index[:] = 9
        try:
            (g,) = pullback(ones(LARGE))
        except OverwrittenValue:
            continue
        np.testing.assert_array_equal(g, np.bincount(kept, minlength=10))
    index = np.array([1, 2, 2])
    _, pullback = vjp(lambda x: x[index], x)
    index[:] = 9
    np.testing.assert_array_equal(pullback(ones(3))[0], np.bincount([1, 2, 2], minlength=10))


def test_a_read_only_array_costs_no_watch_and_serves():
    c = np.linspace(2.0, 3.0, LARGE).copy()  # that owns its memory
    c.flags.writeable = False
    _, pullback = vjp(lambda x: x * c, ones(LARGE))
    np.testing.assert_array_equal(pullback(ones(LARGE))[0], c)
    np.testing.assert_array_equal(grad(lambda x: np.sum(x * c))(ones(LARGE)), c)
    recording = Recording(lambda x: x[:100] * c[:SMALL] + np.sum(c.reshape(100, -1)[::-1] @ x[:200]), (c,))
    assert not recording.tape.kept  # nor do views of it, if nothing that they see can be written to


def test_a_read_only_view_of_a_writeable_base_is_watched():
    base = np.linspace(2.0, 3.0, LARGE)
    view = base.view()
    view.flags.writeable = False
    _, pullback = vjp(lambda x: x * view, ones(LARGE))
    base[0] = 0.0
    with pytest.raises(OverwrittenValue):
        pullback(ones(LARGE))


def test_linear_operators_watch_too():
    c = np.linspace(2.0, 3.0, LARGE)
    _, op = linearize(lambda x: x * c, ones(LARGE))
    c[0] = 0.0
    with pytest.raises(OverwrittenValue):
        op @ ones(LARGE)
    with pytest.raises(OverwrittenValue):
        op.T @ ones(LARGE)


def test_large_integers_floats_and_non_contiguous_arrays_are_watched():
    for dtype in (np.float32, np.complex128, np.int64):
        c = np.arange(LARGE, dtype=dtype).reshape(100, 200)
        for view in (c, c.T, c[::-1]):
            _, pullback = vjp(lambda x, view=view: x * view, np.ones(view.shape))
            keep = c[50, 50]
            c[50, 50] = -1
            with pytest.raises(OverwrittenValue):
                pullback(np.ones(view.shape))
            c[50, 50] = keep


def _negate(w, *places):
    w[list(places)] *= -1


def _exchange(w, i, j):
    w[[i, j]] = w[[j, i]]


def _transfer(w, i, j):
    """What one word loses the other gains."""
    words = w.view(np.uint64)
    words[i] += np.uint64(1)
    words[j] -= np.uint64(1)


def _flip_a_bit(w, i, j):
    """The same bit of two words."""
    w.view(np.uint64)[[i, j]] ^= np.uint64(1) << np.uint64((i + j) % 64)


def _roll(w, i, j):
    low, high = min(i, j), max(i, j)
    w[low:high] = np.roll(w[low:high], 1)


@pytest.mark.parametrize("change", [_negate, _exchange, _transfer, _flip_a_bit, _roll])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_no_change_of_two_words_goes_unseen(change, order):
    """At distances that sums over every so-manyth word are blind to, and at random ones."""
    rng = np.random.default_rng(3)
    base = rng.standard_normal(60_000 * 2)
    w = {"C": base[:60_000].reshape(200, 300), "F": base[:60_000].reshape(200, 300).T, "strided": base[::2]}[order]
    flat = base[::2] if order == "strided" else base[:60_000]
    before = fingerprint(w)
    pairs = [(i, i + d) for i in (0, 17, 8191) for d in (1, 64, 509, 521, 4096, 8192, 16384, 24576, 509 * 64)]
    for i, j in [*pairs, *rng.integers(0, 60_000, (100, 2))]:
        if i == j:
            continue
        kept = flat.copy()
        change(flat, i, j)
        assert fingerprint(w) != before or np.array_equal(flat, kept), (i, j)
        flat[:] = kept
    assert fingerprint(w) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda w: np.negative(w[:1018], out=w[:1018]),
        lambda w: np.negative(w, out=w),
        lambda w: np.negative(w[::2], out=w[::2]),
        lambda w: _exchange(w, 0, 509),
        lambda w: np.multiply(w, 2.0, out=w),
        lambda w: w.sort(axis=0),
        lambda w: w.__setitem__(slice(None), w[::-1].copy()),
        lambda w: w.__setitem__(slice(1, None), w[:-1].copy()),
    ],
)
def test_everyday_lines_that_overwrite_a_large_array_are_seen(change):
    w = np.random.default_rng(1).standard_normal((2048, 64))
    _, pullback = vjp(lambda x: x * w, np.ones(w.shape))
    change(w)
    with pytest.raises(OverwrittenValue):
        pullback(np.ones(w.shape))


@pytest.mark.parametrize("size", [1, 3, 4, 5, 8191, 8192, 8195, 8196, 8197, 40_000])
def test_every_bit_of_every_byte_counts(size):
    """At the ends of rows of words, and in the rest behind them."""
    data = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    before = fingerprint(data)
    for at in {0, 3, 4, 7, 8, size // 2, 8191, 8192, 8195, 8196, size - 9, size - 8, size - 5, size - 4, size - 1}:
        for bit in range(8) if 0 <= at < size else ():
            data[at] ^= 1 << bit
            assert fingerprint(data) != before, (at, bit)
            data[at] ^= 1 << bit
    assert fingerprint(data) == before


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex64, np.float16])
def test_an_antisymmetric_or_chequered_array_negated_is_seen(dtype):
    """As many signs go one way as the other, in every row, column and diagonal."""
    for n in (256, 300):
        chequers = np.where(np.add.outer(np.arange(n), np.arange(n)) % 2, -1, 1)
        for w in (chequers, np.subtract.outer(np.arange(n), np.arange(n)), chequers * np.arange(n)):
            w = w.astype(dtype)
            before = fingerprint(w)
            w *= -1
            assert fingerprint(w) != before


def test_each_large_array_is_compared_just_before_it_is_read(monkeypatch):
    """In the order in which the sweep comes to them, each once; what the sweep does not come to, too."""
    arrays = [np.full((100, 100), float(k)) for k in range(3)]
    recording = Recording(lambda x: arrays[2] @ (arrays[0] @ (arrays[1] @ (arrays[0] @ x))), (ones(100),))
    unused = np.zeros((100, 100))
    recording.tape.keep(unused)
    seen = []
    monkeypatch.setattr(
        Guarded, "compare", lambda one: seen.append(next(k for k, a in enumerate((*arrays, unused)) if a is one.array))
    )
    recording.pullback(ones(100))
    assert seen == [3, 2, 0, 1]


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_what_is_no_plain_array_is_kept_as_one(size, tmp_path):
    """Subclasses, memory maps, buffers: copied or watched by the memory they show."""
    mapped = np.memmap(tmp_path / "w", "f8", "w+", shape=(size,))
    buffer = array.array("d", bytes(8 * size))
    for w in (mapped, np.zeros(size).view(Subclass), buffer, memoryview(buffer)):
        plain = np.asarray(w)
        plain[:] = 1.0
        for f in (lambda x, w=w: x * w, lambda x, w=w: np.where(x > 0, x, 0) * w, lambda x, w=w: np.hypot(x, w)):
            _, pullback = vjp(f, ones(size))
            expected = pullback(ones(size))[0]
            plain[3] = 50.0
            if size == LARGE:
                with pytest.raises(OverwrittenValue):
                    pullback(ones(size))
            else:
                np.testing.assert_array_equal(pullback(ones(size))[0], expected)
            plain[3] = 1.0


def test_an_index_that_is_a_buffer_is_kept():
    for index in (array.array("q", [1, 2, 2]), np.array([1, 2, 2]).view(Subclass)):
        _, pullback = vjp(lambda x, index=index: x[index], ones(4))
        index[0] = 3
        np.testing.assert_array_equal(pullback(ones(3))[0], [0, 1, 2, 0])


def test_large_constants_are_watched_once_however_they_are_met():
    """One memory, one watch: views made anew at each step do not add up."""
    w = ones((200, 100)) + np.zeros((200, 100))
    recording = Recording(lambda x: sum(w.T @ (w @ x) for _ in range(5)), (ones(100),))
    assert len(recording.tape.kept) == 2  # w and its transpose
