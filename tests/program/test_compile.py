"""`compile`: flat code gives what the function gives, for all kinds of arguments and branches, in memory of its own."""

import dataclasses
import functools
import gc
import linecache
import threading
import traceback
import warnings

import numpy as np
import optree
import pytest
from checks import same

from admodes import (
    compile,
    custom_op,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    trace,
    value_and_grad,
    vjp,
)
from admodes.program import compile as compile_again
from admodes.program.memory import WORKSPACE_BYTES

rng = np.random.default_rng(5)
LARGE = WORKSPACE_BYTES // 8 + 7  # arrays of so many doubles get a place in the workspace


class Marked(np.ndarray):
    """A subclass of arrays."""


def counting(f):
    """f compiled, and a list with an element for every time that f itself ran."""
    runs = []

    def counted(*args, **kwargs):
        runs.append(1)
        return f(*args, **kwargs)

    return compile(counted), runs


# ---------------------------------------------------------------------------------------------------
# Kinds of arguments
# ---------------------------------------------------------------------------------------------------


def test_one_trace_serves_all_values_of_a_shape_and_dtype():
    f, runs = counting(lambda x: np.sin(x) * 2)
    for _ in range(3):
        x = rng.normal(size=4)
        same(f(x), np.sin(x) * 2)
    assert len(runs) == 1
    f(rng.normal(size=5))
    f(rng.normal(size=(4, 1)))
    f(rng.normal(size=4).astype(np.float32))
    assert len(runs) == 4


ARGUMENTS = {
    "a subclass": rng.normal(size=(4, 3)).view(Marked),
    "an empty array": np.ones((0, 3)),
    "every other row": rng.normal(size=(6, 3))[::2],
    "reversed": rng.normal(size=(4, 3))[::-1],
    "in the order of Fortran": np.asfortranarray(rng.normal(size=(4, 3))),
    "0-d": np.array(2.0),
    "a scalar of float32": np.float32(3),
    "float32": rng.normal(size=(2, 2)).astype(np.float32),
    "float16": rng.normal(size=(2, 2)).astype(np.float16),
    "integers": np.arange(6).reshape(3, 2),
    "unsigned": np.arange(6, dtype=np.uint8).reshape(3, 2),
    "complex": rng.normal(size=3) + 1j * rng.normal(size=3),
    "complex64": (rng.normal(size=3) + 1j * rng.normal(size=3)).astype(np.complex64),
    "the other byte order": rng.normal(size=3).astype(">f8"),
    "a Python int": 3,
    "a Python float": 2.5,
    "a Python complex": 1 + 2j,
}


@pytest.mark.parametrize("x", ARGUMENTS.values(), ids=ARGUMENTS)
def test_kinds_of_arguments(x):
    def f(x):
        return np.sum(x * x + 1, axis=0), x

    plain = np.asarray(x) if isinstance(x, Marked) else x
    fast = compile(f)
    for _ in range(2):
        found, given = fast(x)
        same(found, f(plain)[0])
        same(given, plain)
        assert not (isinstance(x, np.ndarray) and np.may_share_memory(given, x))


def test_a_read_only_argument_gives_results_to_write_to():
    x = rng.normal(size=4)
    x.flags.writeable = False
    for f in (lambda x: x, lambda x: x * 2, lambda x: np.broadcast_to(x, (3, 4))):
        y = compile(f)(x)
        y[0] = 5.0
        same(x, x)
        assert np.count_nonzero(y == 5.0) == np.size(y[0])


def test_what_the_strides_decide_is_not_taken_for_granted():
    """Traced where reshape had to copy, run where it gives a view: the argument stays as it was."""

    def f(x):
        y = x.reshape(-1)
        return y * y + np.sin(y), y

    fast = compile(f)
    fast(np.asfortranarray(rng.normal(size=(200, 200))))
    x = rng.normal(size=(200, 200))
    before = x.copy()
    found, flat = fast(x)
    same(found, f(before)[0])
    flat[:] = 0
    same(x, before)


@dataclasses.dataclass
class Model:
    W: np.ndarray
    b: np.ndarray
    power: int = 2


def test_trees_keywords_and_static_arguments():
    @compile
    def f(model, data, *, scale=1.0, mode="plain"):
        y = (model.W @ data["x"] + model.b) ** model.power * scale
        return {"y": y if mode == "plain" else -y, "mode": 1.0 if mode == "plain" else 2.0}

    W, b, x = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=3)
    for power in (2, 3):
        for mode in ("plain", "other"):
            for scale in (2.0, 3.0):
                found = f(Model(W, b, power), {"x": x}, scale=scale, mode=mode)
                sign = 1 if mode == "plain" else -1
                np.testing.assert_allclose(found["y"], sign * (W @ x + b) ** power * scale, rtol=1e-14)
                assert found["mode"] == (1.0 if mode == "plain" else 2.0)


def test_one_and_true_and_one_point_zero_are_kinds_of_their_own():
    f, runs = counting(lambda x, n: x * 2 if n is True else x * 3 if isinstance(n, int) else x * n)
    assert [float(f(np.float64(1.0), n)) for n in (1, True, 1.0)] == [3.0, 2.0, 1.0]
    assert len(runs) == 3


def test_an_argument_that_does_not_tell_what_it_holds():
    def f(x, chosen):
        return x

    for opaque in (iter([1.0]), (k for k in range(3)), threading.Lock()):
        with pytest.raises(TypeError, match=r"compile: an argument of f: a .* does not tell what it holds"):
            compile(f)(np.ones(2), opaque)


def test_a_function_named_like_an_array_of_the_workspace():
    def w0(w1):
        return np.sin(w1) * 2 + np.cos(np.sin(w1))

    x = rng.normal(size=LARGE)
    same(compile(w0)(x), w0(x))


def test_arguments_and_functions_named_as_functions_of_numpy():
    def exp(sin, zeros, multiply):
        return grad(lambda x: np.sum(np.exp(x[1:]) * multiply))(zeros) + np.sin(sin)

    a, b, c = rng.normal(size=4), rng.normal(size=4), rng.normal(size=3)
    same(compile(exp)(a, b, c), exp(a, b, c))


def test_chains_of_products_keep_their_order_unless_told():
    A, B, x = np.array([[np.inf]]), np.array([[0.0, 1.0]]), np.ones(2)

    def f(A, B, x):
        return (A @ B) @ x

    with np.errstate(invalid="ignore"):
        assert np.isnan(f(A, B, x))
        assert np.isnan(compile(f)(A, B, x))
        assert compile(f, reassociate=True)(A, B, x) == np.inf
    W = rng.normal(size=(30, 30))
    np.testing.assert_allclose(compile(f, reassociate=True)(W, W, W[0]), f(W, W, W[0]), rtol=1e-12)


def test_what_is_no_function():
    with pytest.raises(TypeError, match="f is a float, not a function"):
        compile(3.0)


def test_functions_without_a_name():
    same(compile(functools.partial(lambda a, x: a * x, 2.0))(np.ones(2)), np.full(2, 2.0))
    assert compile(np.sum)(np.ones(3)) == 3.0


def test_no_arguments_and_no_results():
    assert compile(lambda: 3.0)() == 3.0
    assert compile(lambda x: None)(np.ones(2)) is None
    assert compile(lambda x: [])(np.ones(2)) == []


# ---------------------------------------------------------------------------------------------------
# Branches and values that decide
# ---------------------------------------------------------------------------------------------------


def test_branches_are_traced_once_each():
    f, runs = counting(lambda x: np.sin(x) if np.sum(x) > 0 else np.cos(x))
    for sign in (1, -1, 1, -1, -1):
        x = sign * np.ones(3)
        same(f(x), np.sin(x) if sign > 0 else np.cos(x))
    assert len(runs) == 2


def halved(x):
    while np.sum(x) > 1:
        x = x / 2
    return x


def test_a_loop_whose_count_depends_on_values():
    fast, runs = counting(halved)
    gradient = grad(lambda x: np.sum(halved(x) ** 2))
    flat = compile(gradient)
    for size in (0.1, 1.0, 10.0, 100.0, 3.0, 10.0):
        x = np.full(3, size)
        same(fast(x), halved(x))
        same(flat(x), gradient(x))
    assert len(runs) == 5  # 10.0 came twice


def bisection(a):
    """√a by bisection, in Python floats where it can."""
    low, high = 0.0 * a, a + 1.0
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        if middle * middle < a:
            low = middle
        else:
            high = middle
    return low


def test_a_loop_on_scalars_with_branches_inside():
    fast = compile(bisection)
    for a in (2.0, 3.0, 2.0):
        assert fast(a) == bisection(np.float64(a))


VALUES_DECIDE = {
    "int": lambda x: x * int(np.sum(np.abs(x)) * 3),
    "index": lambda x: x[int(np.argmax(x))] * x,
    "a traced index": lambda x: x[np.argmax(x)] * x,
    "a slice": lambda x: np.sum(x[: np.argmax(x) + 1].reshape(-1, 1) * np.ones(2)),
    "a mask that decides a shape": lambda x: x[x > 0] * 2,
    "a mask in where": lambda x: np.where(x > 0, x, -x),
    "nonzero": lambda x: x[np.nonzero(np.maximum(x, 0))] * 2,
    "flatnonzero": lambda x: np.flatnonzero(x > 0) * 1.0,
    "argsort": lambda x: x[np.argsort(x)] * np.arange(4.0),
    "sort": lambda x: np.sort(x) * np.arange(4.0),
    "a constant indexed": lambda x: np.arange(4.0)[np.argsort(x)] @ x,
    "a constant taken from": lambda x: np.take(np.arange(4.0), np.argsort(x)) @ x,
    "truth of a number": lambda x: x if np.round(x[0]) else -x,
    "all": lambda x: x if np.all(x > 0) else 2 * x,
    "range": lambda x: sum(x * k for k in range(int(np.sum(x > 0)))) + x,
    "a count of ones": lambda x: np.ones(np.count_nonzero(x > 0)),
    "assignment by a mask": lambda x: _positive_doubled(x),
    "searchsorted": lambda x: x[np.searchsorted(np.sort(x), 0.0) % 4],
}


def _positive_doubled(x):
    y = np.zeros_like(x)
    y[x > 0] = x[x > 0] * 2
    return y


@pytest.mark.parametrize("f", VALUES_DECIDE.values(), ids=VALUES_DECIDE)
def test_nothing_that_depends_on_values_is_baked_in(f):
    fast = compile(f)
    for _ in range(12):
        x = rng.normal(size=4)
        np.testing.assert_allclose(fast(x), f(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, n: np.sum(x[:n]) * n,
        lambda x, n: np.sum(np.reshape(x, (n, -1)), axis=1),
        lambda x, n: np.roll(x, n),
        lambda x, n: np.zeros(n) + np.sum(x),
        lambda x, n: np.argmax(np.reshape(x, (3, 4)), n - 2),
        lambda x, n: np.sum(np.reshape(x, (3, 4)), axis=n - 2),
    ],
)
def test_integers_of_numpy_are_inputs_that_may_decide_shapes(f):
    fast, x = compile(f), np.arange(12.0)
    for n in (np.int64(2), np.int64(3), np.int64(2), 3):
        same(fast(x, n), f(x, n))


def test_more_branches_than_are_kept_warn_once():
    def f(x):
        k = 0
        while x[0] > 0.01 * k:
            k += 1
        return x * k

    fast = compile(f)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for value in np.linspace(0.1, 1.0, 90):
            same(fast(np.array([value])), f(np.array([value])))
    (warning,) = caught
    assert warning.filename == __file__
    assert "f was traced 64 times" in str(warning.message)


def test_nan_in_a_branch():
    fast = compile(lambda x: x * 2 if x[0] > 0 else x * 3)
    same(fast(np.array([np.nan])), np.array([np.nan]))
    same(fast(np.array([1.0])), np.array([2.0]))


# ---------------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------------

ONE = custom_op(lambda x: x, partial=lambda y, x: 1.0)
SECOND = custom_op(lambda a, b: b, partial=[0.0, 1.0])
TABLE = np.arange(float(LARGE))
GLOBAL = custom_op(lambda x: TABLE, partial=lambda y, x: 0.0)

RESULTS = {
    "the argument": lambda x: x,
    "twice the same": lambda x: (x * 2,) * 2,
    "views of one array": lambda x: (lambda y: (y, y[::-1], y.reshape(-1, 1), y[1:]))(np.sin(x)),
    "views of the argument": lambda x: (x[1:], x.reshape(1, -1), np.transpose(x), x[::-1]),
    "a broadcast array": lambda x: np.broadcast_to(np.sum(x), x.shape),
    "a constant": lambda x: (TABLE, x * 1),
    "a part of a constant": lambda x: TABLE[1:],
    "intermediate values": lambda x: (lambda y: (y, np.exp(y), np.exp(y) * y))(np.sin(x)),
    "a user's own": lambda x: (ONE(x), ONE(x * 2), SECOND(x, x)),
    "a user's global": lambda x: (GLOBAL(x), np.sin(GLOBAL(x)) + x),
    "gradient of a sum": grad(np.sum),
    "value and gradient": value_and_grad(lambda x: np.sum(np.tanh(x) * x)),
    "Jacobian of the identity": lambda x: jacfwd(lambda y: y)(x[:9]),
    "Jacobian of a scaling": lambda x: jacrev(lambda y: 3 * y)(x[:9]),
    "jvp": lambda x: jvp(lambda y: y, (x,), (x,)),
    "vjp": lambda x: vjp(lambda y: (y, y), x)[1]((x, x)),
    "assignment": lambda x: _positive_doubled(x),
}


@pytest.mark.parametrize("f", RESULTS.values(), ids=RESULTS)
def test_results_are_memory_of_the_callers_own(f):
    fast = compile(f)
    x = rng.normal(size=LARGE)
    before, table = x.copy(), TABLE.copy()
    expected = [np.array(a) for a in optree.tree_leaves(f(x))]
    first, second = optree.tree_leaves(fast(x)), optree.tree_leaves(fast(x))
    for found in (first, second):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    everything = [x, TABLE, *first, *second]
    for k, a in enumerate(everything):
        assert not any(np.may_share_memory(a, b) for b in everything[:k] if np.size(b) > 1)
    for a in first:
        if np.ndim(a):
            a[...] = np.nan
    for a, b in zip(optree.tree_leaves(fast(x)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    same(x, before)
    same(TABLE, table)


def test_a_0d_array_is_not_given_back():
    x = np.array(3.0)
    y, z = compile(lambda x: (x, np.reshape(x, ())))(x)
    x[...] = 4.0
    assert y == z == 3.0


def test_a_write_to_a_broadcast_result_stays_in_its_place():
    y = compile(lambda x: np.broadcast_to(x, (3, 4)))(np.arange(4.0))
    y[0, 0] = 5.0
    same(y[1], np.arange(4.0))


def test_a_users_operation_that_gives_its_argument_back():
    def f(a, b):
        return np.exp(SECOND(a, b * 2)) + b * 2

    a, b = rng.normal(size=(2, LARGE))
    same(compile(f)(a, b), f(a, b))


def test_constants_are_as_they_were():
    scale = np.ones(3)
    fast = compile(lambda x: x * scale)
    fast(np.ones(3))
    scale[:] = 9.0
    same(fast(np.ones(3)), np.ones(3))
    assert trace(lambda x: x * scale, np.ones(3))(np.ones(3))[0] == 9.0


@pytest.mark.parametrize("x", [0.5, np.float64(0.5), np.array(0.5), np.array([0.5])], ids=repr)
def test_a_constant_among_the_results_is_the_callers(x):
    f = compile(lambda x: (np.sin(x), np.arange(3.0)))
    for _ in range(3):
        _, mine = f(x)
        np.testing.assert_array_equal(mine, np.arange(3.0))
        mine[...] = 7.0


def test_a_large_constant_overwritten_while_the_function_runs():
    buffer = np.zeros(20_000)

    def f(x):
        y = x + buffer
        buffer[:] = -0.0  # equal to 0.0, and yet another constant: −0.0 + 0.0 is 0.0
        z = x + buffer
        buffer[:] = 0.0
        return y, z

    y, z = compile(f)(np.full(20_000, -0.0))
    assert not np.signbit(y).any()
    assert np.signbit(z).all()


def test_a_constant_of_a_subclass_is_copied_too():
    scale = np.ones(3).view(Marked)
    fast = compile(lambda x: x * scale)
    fast(np.ones(3))
    scale[:] = 9.0
    same(fast(np.ones(3)), np.ones(3))


@pytest.mark.parametrize("native", ["yes", None, 1.0])
def test_native_is_auto_or_not(native):
    with pytest.raises(ValueError, match="compile: native="):
        compile(np.sin, native=native)


def test_threads():
    fast = compile(grad(lambda x: np.sum(np.tanh(x) * x + np.exp(-x * x))))
    xs = rng.normal(size=(8, LARGE))
    expected = [fast(x) for x in xs]
    wrong = []

    def work(k):
        for _ in range(60):
            if not np.array_equal(fast(xs[k]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_that_trace_at_once():
    fast = compile(halved)
    found = {}

    def work(k):
        found[k] = [fast(np.full(3, float(k + j))) for j in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, results in found.items():
        for j, y in enumerate(results):
            same(y, halved(np.full(3, float(k + j))))


def test_recursion():
    @compile
    def factorial(n):
        return n if n < 2 else n * factorial(n - 1)

    assert [float(factorial(n)) for n in (5.0, 6.0, 3.0, 5.0)] == [120, 720, 6, 120]


def test_a_call_within_a_call_has_a_workspace_of_its_own():
    def f(x):
        y = np.sin(x) * 2
        return y + callback(y) * 0 + np.cos(y)

    inner = []
    callback = custom_op(lambda y: (inner.append(1), fast(y - 1) if len(inner) < 5 else y)[1], partial=lambda y, x: 0.0)
    fast = compile(f)
    x = rng.normal(size=LARGE)
    expected = np.sin(x) * 2
    same(fast(x), expected + np.zeros(LARGE) + np.cos(expected))
    inner.clear()
    same(fast(x), expected + np.zeros(LARGE) + np.cos(expected))
    assert len(inner) > 1


# ---------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------


def test_an_error_while_tracing_leaves_nothing_behind():
    state = [1]

    @compile
    def f(x):
        if state.pop() if state else False:
            raise ValueError("not yet")
        return x * 2

    with pytest.raises(ValueError, match="not yet"):
        f(np.ones(2))
    same(f(np.ones(2)), np.full(2, 2.0))


def test_an_error_in_flat_code_shows_its_line_and_keeps_the_workspace():
    fast = compile(lambda A, x: np.sin(np.sin(x) * 2) + np.sum(np.linalg.solve(A, np.ones(2))))
    x = rng.normal(size=LARGE)
    expected = fast(np.eye(2), x)
    with pytest.raises(np.linalg.LinAlgError) as error:
        fast(np.zeros((2, 2)), x)
    shown = "".join(traceback.format_exception(error.value))
    assert "<admodes f " in shown
    assert "np.linalg.solve(A, " in shown
    same(fast(np.eye(2), x), expected)


def test_lines_of_programs_that_are_gone_are_forgotten():
    program = trace(lambda x: x * 2, 1.0)
    file = program.flat.__code__.co_filename
    assert file in linecache.cache
    del program
    gc.collect()
    assert file not in linecache.cache


# ---------------------------------------------------------------------------------------------------
# Derivatives of compiled functions, and the other way round
# ---------------------------------------------------------------------------------------------------


def loss(x):
    return np.sum(np.sin(x) ** 2)


@pytest.mark.parametrize(
    "f",
    [
        grad(compile(loss)),
        compile(grad(loss)),
        compile(grad(compile(loss))),
        lambda x: vjp(compile(loss), x)[1](1.0)[0],
        compile(jacobian(loss)),
        jacfwd(compile(loss)),
        jacrev(compile(loss)),
    ],
)
def test_derivatives(f):
    x = rng.normal(size=4)
    np.testing.assert_allclose(f(x), np.sin(2 * x), rtol=1e-12)
    np.testing.assert_allclose(f(-x), np.sin(-2 * x), rtol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        hessian(compile(loss)),
        compile(hessian(loss)),
        jacfwd(compile(grad(loss))),
        jacrev(compile(grad(compile(loss)))),
        compile(jacfwd(compile(grad(compile(loss))))),
    ],
)
def test_second_derivatives(f):
    x = rng.normal(size=4)
    np.testing.assert_allclose(f(x), np.diag(2 * np.cos(2 * x)), rtol=1e-12, atol=1e-14)


def test_a_product_with_the_hessian_of_a_compiled_function():
    x, t = rng.normal(size=(2, 4))
    for f in (lambda x, t: hvp(compile(loss), (x,), (t,)), compile(lambda x, t: hvp(compile(loss), (x,), (t,)))):
        np.testing.assert_allclose(f(x, t), 2 * np.cos(2 * x) * t, rtol=1e-12)


def test_a_compiled_function_in_a_trace():
    program = trace(lambda x: 2 * compile(loss)(x), np.ones(3))
    assert any(i.op.name == "sin" for i in program.instructions)
    x = rng.normal(size=3)
    np.testing.assert_allclose(program(x), 2 * loss(x), rtol=1e-14)


def test_a_closure_over_a_traced_value():
    """Where f reads a traced value that is no argument, it runs untraced: its derivative is not lost."""

    def outer(y):
        inner = compile(lambda x: np.sum(x * y))
        return inner(np.ones(3)) + inner(np.full(3, 2.0)) + compile(lambda x: np.sum(x * y))(y)

    y = rng.normal(size=3)
    np.testing.assert_allclose(grad(outer)(y), 3 + 2 * y, rtol=1e-14)
    np.testing.assert_allclose(compile(grad(outer))(y), 3 + 2 * y, rtol=1e-14)
    np.testing.assert_allclose(jvp(outer, (y,), (np.ones(3),))[1], np.sum(3 + 2 * y), rtol=1e-14)


def test_a_list_of_traced_scalars_as_argument():
    fast = compile(lambda x: np.sum(x * x))
    found = grad(lambda x: fast(np.array([x[0], 2 * x[1]])))(np.array([1.0, 3.0]))
    np.testing.assert_allclose(found, [2.0, 24.0])


def test_compile_is_exported_once():
    assert compile is compile_again
    assert compile(loss).__name__ == "loss"
    assert compile(loss).__wrapped__ is loss
