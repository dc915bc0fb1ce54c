"""Memory of compiled programs: no argument is written into or given away, and each call gives what f gives."""

import operator

import checks
import numpy as np
import pytest
import test_ops

from admodes import compile, grad, jacfwd, jacobian, jacrev, jvp, sparse_jacobian_plan, trace, vjp
from admodes.core.dispatch import pack
from admodes.core.registry import OPS

rng = np.random.default_rng(11)

# What a program may do to an argument before an operation that `identities` sees through.
BEFORE = {
    "as it is": lambda x: x,
    "times one": lambda x: x * 1.0,
    "copied": lambda x: x.copy(),
    "its elements": lambda x: x[...].copy(),
}
# What may take the memory of the result, if it is thought to be the program's own.
AFTER = {"returned": lambda y: y, "tanh": np.tanh, "added to": lambda y: (y + 1.0) * 2.0 - y}


def apart(f, xs):
    """f compiled, twice: the same result each time, the arguments untouched, and no memory of theirs in the result."""
    xs = [np.array(x) for x in xs]  # scalars as arrays without axes, which can be overwritten
    kept = [x.copy() for x in xs]
    expected = [np.array(y) for y in f(*xs)]
    flat = compile(f)
    for call in (flat, flat, trace(f, *xs)):
        found = call(*xs)
        for x, was in zip(xs, kept, strict=True):
            np.testing.assert_array_equal(x, was, "an argument was written into")
        for y, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(y, right, 1e-12, 1e-14)
            assert not any(np.may_share_memory(y, x) for x in xs), "memory of an argument is given away"
            if isinstance(y, np.ndarray) and y.flags.writeable and y.size:
                y[...] = 7.0


def around(f, before, after):
    def whole(*xs):
        return tuple(after(pack(y)) for y in checks.leaves(f)(*map(before, xs)))

    return whole


@test_ops.pytestmark
@pytest.mark.parametrize("key", test_ops.SAMPLED, ids=test_ops.name_of_row)
def test_no_row_gives_or_takes_the_memory_of_an_argument(key):
    ufunc = isinstance(OPS[key].fn, np.ufunc)  # whose results are never views
    for before in ["copied"] if ufunc else BEFORE:
        for after in ["added to"] if ufunc else AFTER:

            def check(f, xs, _, before=BEFORE[before], after=AFTER[after]):
                apart(around(f, before, after), xs)

            test_ops.hold(check, key, at_most=1 if ufunc else 3 if before == "copied" else 1)


VIEWS = {
    "none": lambda a: a[None],
    "ellipsis": lambda a: a[...],
    "reshape": lambda a: np.reshape(a, (1, -1)),
    "ravel": np.ravel,
    "atleast_3d": np.atleast_3d,
    "expand_dims": lambda a: np.expand_dims(a, 0),
    "broadcast_to": lambda a: np.broadcast_to(a, (2, *a.shape)),
    "transpose": np.transpose,
    "real": np.real,
    "squeeze": lambda a: np.squeeze(a[None]),
    "flip": lambda a: np.flip(a[None], 0),
    "positive": lambda a: np.positive(a)[None],
    "first": lambda a: a.reshape(-1)[0, ...],
    "split": lambda a: np.split(a.reshape(-1), 1)[0],
    "diagonal": lambda a: np.diagonal(a.reshape(1, -1)),
    "pieces": lambda a: np.broadcast_arrays(a, np.zeros((2, *a.shape)))[0],
}


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (64, 64)])
@pytest.mark.parametrize("view", VIEWS)
def test_views_of_copies_of_arguments(view, shape):
    for before in BEFORE.values():
        for between in (lambda y: y, lambda y: y * 1.0, np.copy):
            for after in AFTER.values():

                def f(a):
                    return (after(between(VIEWS[view](before(a)))),)

                apart(f, [rng.normal(size=shape)])


# ---------------------------------------------------------------------------------------------------
# Scatters
# ---------------------------------------------------------------------------------------------------

X = np.array([0.5, -1.2, 2.0, 0.1])
# Indices that are computed from the argument, and name places twice.
INDICES = {
    "argsort": lambda x: np.argsort(x) // 2,
    "argmax": lambda x: np.argmax(x) * np.ones(3, int),
    "searchsorted": lambda x: np.searchsorted(np.array([0.0, 1.0]), x),
    "rounded": lambda x: np.floor(x).astype(int) % 4,
    "comparison": lambda x: (x > 0) * 1,
    "nearest": lambda x: np.argmin(np.abs(x[:, None] - x[None, :2]), axis=1),
    "column": lambda x: (np.argsort(x) // 2)[:, None],
    "negative": lambda x: np.argsort(x) // 2 - 4,
    "pair": lambda x: (np.stack([np.argsort(x) // 2, np.argsort(x) // 3]),),
    "a mask": lambda x: x > 0,
    "one": lambda x: np.argmax(x),
}
READS = {
    "x[i]": operator.getitem,
    "take": lambda x, i: np.take(x, (i[0] if isinstance(i, tuple) else i) * 1),
    "rows": lambda x, i: np.stack([x, x * x], axis=1)[i],
    "columns": lambda x, i: np.stack([x, x * x])[:, i[0] if isinstance(i, tuple) else i],
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("index", INDICES)
def test_an_index_computed_from_the_argument_may_repeat(index, read):
    def f(x):
        return READS[read](x, INDICES[index](x))

    y, J = f(X), jacfwd(f)(X)
    for u in (np.ones(np.shape(y)), rng.normal(size=np.shape(y))):
        right = np.tensordot(u, J, np.ndim(y))

        def pulled(x):
            return vjp(f, x)[1](u)[0]

        for way in (pulled, compile(pulled), trace(pulled, X), grad(lambda x: np.sum(u * f(x)))):
            np.testing.assert_allclose(way(X), right, 1e-13)
        np.testing.assert_allclose(compile(grad(lambda x: np.sum(u * f(x))))(X), right, 1e-13)
    J = J.reshape(-1, X.size)
    np.testing.assert_allclose(compile(jacrev(lambda x: np.ravel(f(x))))(X), J, 1e-13)
    for mode in ("sparse", "forward", "reverse", "mixed"):
        np.testing.assert_allclose(sparse_jacobian_plan(lambda x: np.ravel(f(x)), X, mode=mode)(X).toarray(), J, 1e-13)
    for mode in ("sparse", "mixed"):
        np.testing.assert_allclose(jacobian(lambda x: np.ravel(f(x)), mode=mode)(X).toarray(), J, 1e-13)


def test_an_index_of_the_program_and_a_plain_array():
    """Only the index is traced."""

    def pulled(i):
        return vjp(lambda x: x[i], X)[1](np.ones(3))[0]

    for i in ([0, 0, 1], [3, 3, 3]):
        np.testing.assert_array_equal(compile(pulled)(np.array(i)), np.bincount(i, minlength=4))


@pytest.mark.parametrize("make", [range, lambda n: memoryview(np.arange(n)), lambda n: list(range(n))])
def test_an_index_that_is_a_sequence_of_another_kind(make):
    index = make(3)
    np.testing.assert_array_equal(vjp(lambda x: x[index], X)[1](np.ones(3))[0], [1, 1, 1, 0])
    twice = memoryview(np.array([1, 1]))
    np.testing.assert_array_equal(vjp(lambda x: x[twice], X)[1](np.ones(2))[0], [0, 2, 0, 0])


def test_an_empty_view_of_what_cannot_be_written_to():
    """Empty arrays share no memory, and yet no instruction may write its result to one."""

    def f(x):
        wide = np.broadcast_arrays(np.sin(x) * 1.0, np.zeros((2, 1)))[0]
        return np.sin(wide[..., :-2:1, -1, None])

    def push(x):
        return jvp(f, (x,), (np.ones_like(x),))[1]

    assert compile(push)(np.array(0.3)).shape == (0, 1)


@pytest.mark.parametrize(("to", "of"), [((1,), (1, 1)), ((2, 3), (1, 2, 3)), ((), (1,)), ((3,), (1, 1, 1))])
def test_copyto_leaves_out_leading_extents_where_its_mask_is_computed(to, of):
    def f(x):
        y = np.resize(np.sin(x), to)
        np.copyto(y, np.resize(x * x, of), where=y < 0.5)
        return y * 2.0

    x = np.array([0.2, 0.4, 1.0])
    np.testing.assert_array_equal(compile(f)(x), f(x))


def test_no_complex_value_is_stored_where_no_element_is_chosen():
    def f(x):
        y, w = np.cos(x), np.sin(x) + 1j * x
        y[y > 5] = w[y > 5]
        return y

    x = np.array([0.1, 0.4])
    for found in (jacfwd(f)(x), jacrev(f)(x), *(plan(x).toarray() for plan in plans(f, x))):
        np.testing.assert_allclose(found, np.diag(-np.sin(x)), atol=1e-15)


def plans(f, x):
    return [sparse_jacobian_plan(f, x, mode=mode) for mode in ("forward", "reverse")]
