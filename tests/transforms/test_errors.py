"""What bad input gets: an error that names the function or argument and the way out, never a wrong number."""

import math
import re
import threading

import numpy as np
import pytest

from admodes import grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, linearize, value_and_grad, vjp
from admodes.core.errors import Detached, LeakedTracer, MissingRule
from admodes.core.registry import OPS

X = np.array([1.0, 2.0, 3.0])
ones = np.ones


def f(x):
    return np.sin(x)


# Every way to run a function of one array under tracers; each passes traced values of another kind.
WAYS = {
    "jvp": lambda f, x: jvp(f, (x,), (np.ones(np.shape(x)),)),
    "vjp": lambda f, x: vjp(f, x),
    "grad": lambda f, x: grad(lambda x: np.sum(f(x)))(x),
    "jacfwd": lambda f, x: jacfwd(f)(x),
    "jacrev": lambda f, x: jacrev(f)(x),
    "jacobian": lambda f, x: jacobian(f)(x),
    "hessian": lambda f, x: hessian(lambda x: np.sum(f(x)))(x),
    "hvp": lambda f, x: hvp(lambda x: np.sum(f(x)), (x,), (np.ones(np.shape(x)),)),
    "linearize": lambda f, x: linearize(f, x),
}
every_way = pytest.mark.parametrize("run", WAYS.values(), ids=WAYS)


# ---------------------------------------------------------------------------------------------------
# Results that have no gradient
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [grad, value_and_grad])
def test_gradient_of_what_is_no_scalar(transform):
    with pytest.raises(TypeError, match=r"one number; it returned an array of shape \(3,\).*y\.sum\(\).*jacobian"):
        transform(f)(X)
    with pytest.raises(TypeError, match=r"array of shape \(1,\)"):
        transform(lambda x: np.sum(x, keepdims=True))(X)
    with pytest.raises(TypeError, match=r"returned a tuple.*has_aux=True"):
        transform(lambda x: (np.sum(x), x))(X)
    with pytest.raises(TypeError, match="returned a dict"):
        transform(lambda x: {"loss": np.sum(x)})(X)
    with pytest.raises(TypeError, match="returned a NoneType"):
        transform(lambda x: None)(X)
    with pytest.raises(TypeError, match=r"complex number.*np\.real"):
        transform(lambda x: np.sum(x) * 1j)(X)
    with pytest.raises(TypeError, match="array of shape"):
        transform(lambda x: np.array([x[0], x[1]]))(X)


def test_hvp_of_what_is_no_scalar():
    with pytest.raises(TypeError, match="one number"):
        hvp(f, (X,), (X,))


@pytest.mark.parametrize("name", ["jvp", "vjp", "jacfwd", "jacrev", "jacobian", "linearize", "grad"])
@pytest.mark.parametrize("result", ["text", object(), {1, 2}], ids=["str", "object", "set"])
def test_results_that_are_no_arrays(name, result):
    run = WAYS[name] if name != "grad" else lambda f, x: grad(f)(x)
    with pytest.raises(TypeError, match=rf"the result is a {type(result).__name__}; .*returns arrays"):
        run(lambda x: result, X)


# ---------------------------------------------------------------------------------------------------
# Arguments to differentiate by
# ---------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (np.array([1, 2, 3]), "integer"),
        (np.array([1, 2], dtype=np.uint8), "integer"),
        (np.array([True, False]), "boolean"),
        (np.array([1.0, None], dtype=object), "object"),
        (np.int64(3), "integer"),
        (np.bool_(True), "boolean"),
    ],
    ids=["int64", "uint8", "bool", "object", "int scalar", "bool scalar"],
)
def test_arrays_that_are_not_of_floats(run, x, kind):
    with pytest.raises(TypeError, match=rf"(argument|primal) 0 has dtype {x.dtype}.*{kind} values.*x\.astype\(float\)"):
        run(f, x)


@every_way
@pytest.mark.parametrize("x", ["text", True, b"x", object()], ids=["str", "bool", "bytes", "object"])
def test_arguments_that_are_no_arrays(run, x):
    with pytest.raises(TypeError, match=rf"(argument|primal) 0 is a {type(x).__name__}"):
        run(f, x)


def test_the_leaf_and_the_argument_are_named():
    with pytest.raises(TypeError, match=r"leaf 1 of the arguments 0 has dtype int64"):
        grad(lambda p: p["a"])({"a": 1.0, "b": np.arange(3)})
    with pytest.raises(TypeError, match=r"argument 1 has dtype int64"):
        grad(lambda x, n: np.sum(x) * n[0], argnums=1)(X, np.arange(3))
    with pytest.raises(TypeError, match=r"primal 1 has dtype int64"):
        jvp(lambda x, n: x, (X, np.arange(3)), (X, X))
    with pytest.raises(TypeError, match=r"argument 1 has dtype int64"):
        vjp(lambda x, n: x, X, np.arange(3))


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacfwd, jacrev, jacobian, hessian])
def test_argnums_that_name_no_argument(transform):
    for argnums in (1, -2, (0, 3)):
        with pytest.raises(TypeError, match=r"argnums=.* called with 1 positional arguments"):
            transform(lambda x: np.sum(x), argnums)(X)
    with pytest.raises(TypeError, match="called with 0 positional arguments"):
        transform(lambda x: np.sum(x))(x=X)


def test_unknown_modes():
    with pytest.raises(ValueError, match=r"hessian: mode='sideways' is not one of forward-over-reverse"):
        hessian(np.sum, mode="sideways")
    with pytest.raises(ValueError, match=r"mode='both' is not one of 'auto', 'forward', 'reverse'"):
        jacobian(np.sum, mode="both")


@pytest.mark.parametrize("jac", [jacfwd, jacrev, jacobian], ids=lambda j: j.__name__)
@pytest.mark.parametrize("chunk", [0, -1, 2.0, "2", True])
def test_chunk_below_1(jac, chunk):
    with pytest.raises(ValueError, match=rf"chunk={chunk!r}: .*at least 1"):
        jac(f, chunk=chunk)


# ---------------------------------------------------------------------------------------------------
# Tangents and cotangents
# ---------------------------------------------------------------------------------------------------


def push(t):
    return jvp(f, (X,), (t,))


def pull(u):
    return vjp(f, X)[1](u)


both = pytest.mark.parametrize(("run", "name", "owner"), [(push, "tangent", "primal"), (pull, "cotangent", "result")])


@both
@pytest.mark.parametrize("shape", [(2,), (4,), (), (1, 1, 3), (3, 1), (3, 3, 3)])
def test_directions_of_the_wrong_shape(run, name, owner, shape):
    with pytest.raises(ValueError, match=rf"{name} 0 has shape .*{owner} 0 has shape \(3,\).*\(K, \*\(3,\)\)|{name} 0"):
        run(ones(shape))


@both
def test_no_direction_at_all(run, name, owner):
    with pytest.raises(ValueError, match=rf"{name} 0 has shape \(0, 3\): .*K = 0.*at least 1"):
        run(ones((0, 3)))


@both
@pytest.mark.parametrize("dtype", [bool, object])
def test_directions_of_a_dtype_that_holds_no_numbers(run, name, owner, dtype):
    with pytest.raises(TypeError, match=rf"{name} 0 has dtype .*must be floating.*t\.astype\(float\)"):
        run(ones(3).astype(dtype))


@both
def test_complex_directions_of_real_arrays(run, name, owner):
    with pytest.raises(TypeError, match=rf"{name} 0 is complex .*{owner} 0 is real .*real part"):
        run(ones(3) * 1j)


@both
def test_directions_that_are_no_arrays(run, name, owner):
    with pytest.raises(TypeError, match=rf"{name} 0 is a str"):
        run("text")
    for tree in ([1.0, 1.0, 1.0], {"x": X}, None, (X,)):
        with pytest.raises(TypeError, match=r"structure .*must agree"):
            run(tree)


def test_number_of_tangents():
    with pytest.raises(TypeError, match=r"2 primals but 1 tangents"):
        jvp(lambda x, y: x + y, (X, X), (X,))
    with pytest.raises(TypeError, match=r"primals must be a tuple.*got a ndarray"):
        jvp(f, X, (X,))
    with pytest.raises(TypeError, match=r"tangents must be a tuple.*got a ndarray"):
        jvp(f, (X,), X)


def test_directions_that_do_not_agree_on_their_number():
    with pytest.raises(ValueError, match=r"number of directions: \(3,\) after \(2,\)"):
        jvp(lambda x, y: x + y, (X, X), (ones((2, 3)), ones((3, 3))))
    with pytest.raises(ValueError, match="number of directions"):
        jvp(lambda x, y: x + y, (X, X), (ones((2, 3)), ones(3)))
    with pytest.raises(ValueError, match="number of directions"):
        vjp(lambda x: (x, x), X)[1]((ones(3), ones((2, 3))))


def test_cotangent_of_another_tree():
    _, pullback = vjp(lambda x: {"a": x, "b": x}, X)
    with pytest.raises(TypeError, match=r"pullback: the cotangent has the structure"):
        pullback({"a": X})
    with pytest.raises(ValueError, match="cotangent 1 has shape"):
        pullback({"a": X, "b": ones(2)})


def test_linear_operator_of_the_wrong_size():
    _, op = linearize(f, X)
    with pytest.raises(ValueError, match=r"[Dd]imension mismatch"):
        op @ ones(2)


# ---------------------------------------------------------------------------------------------------
# Functions without a rule
# ---------------------------------------------------------------------------------------------------


@every_way
def test_a_function_without_a_rule(run, monkeypatch):
    monkeypatch.delitem(OPS, np.cbrt)
    with pytest.raises(MissingRule, match=r"np\.cbrt has no derivative rule.*admodes\.register\(np\.cbrt"):
        run(lambda x: np.cbrt(x), X)


@every_way
def test_an_array_function_without_a_rule(run, monkeypatch):
    monkeypatch.delitem(OPS, np.unwrap)
    with pytest.raises(MissingRule, match=r"np\.unwrap has no derivative rule.*admodes\.register"):
        run(lambda x: np.unwrap(x), X)


@every_way
def test_a_parameter_that_a_rule_does_not_know(run):
    with pytest.raises((MissingRule, TypeError), match=r"np\.matmul .*axes=|unexpected"):
        run(lambda x: np.matmul(x, ones((3, 3)), axes=[(0,), (0, 1), (0,)]), X)


# ---------------------------------------------------------------------------------------------------
# What would cut a value off from its derivative
# ---------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize(
    "detach",
    [
        lambda x: float(x[0]) * x,
        lambda x: math.sin(x[0]) * x,
        lambda x: complex(x[0]).real * x,
    ],
    ids=["float", "math.sin", "complex"],
)
def test_conversions_that_would_detach(run, detach):
    with pytest.raises(Detached, match=r"would detach a traced value from its derivative.*Use x itself"):
        run(detach, X)


# Arrays that f makes itself take traced values (see tests/core/test_creation.py); arrays from outside do not. ---------


@every_way
@pytest.mark.parametrize("dtype", [float, np.float32, complex])
def test_storing_into_a_plain_array(run, dtype):
    """NumPy makes a ValueError of the conversion's error; what is raised names the array, the line and the remedy."""
    table = np.zeros(3, dtype)

    def store(x):
        table[0] = x[0]
        return table

    with pytest.raises(Detached, match=r"line \d+: table\[0\] = x\[0\]: .* into table, .*own = np\.copy\(table\)"):
        run(store, X)
    np.testing.assert_array_equal(table, 0)


@every_way
def test_storing_an_array_into_a_slice_of_a_plain_array(run):
    table = np.zeros(4)

    def store(x):
        table[1:] = x
        return table

    with pytest.raises(Detached, match=r"line \d+: table\[1:\] = x: .* into table, .*own = np\.copy\(table\)"):
        run(store, X)


@every_way
def test_in_place_operators_on_plain_arrays(run):
    table = np.zeros(3)

    def add(x, table=table):
        table += x
        return table

    def out(x):
        np.multiply(x, 2.0, out=table)
        return table

    for change in (add, out):
        with pytest.raises(Detached, match=r"line \d+: .*into table, .*(own|table) = np\.copy\(table\)"):
            run(change, X)

    def held(x, state={"speed": table}):  # noqa: B006
        state["speed"] += x
        return state["speed"]

    with pytest.raises(Detached, match=r"line \d+: .*state\['speed'\] = np\.copy\(state\['speed'\]\)"):
        run(held, X)


@every_way
def test_filling_plain_arrays_by_functions(run):
    table = np.zeros(3)
    for fill in (
        lambda x: np.copyto(table, x),
        lambda x: np.put(table, [0], x[:1]),
        lambda x: np.add.at(table, [0], x[:1]),
        lambda x: table.fill(x[0]),
        lambda x: table.put([0], x[0]),
    ):
        with pytest.raises(Detached, match=r"test_errors\.py, line \d+: .*table"):
            run(lambda x, fill=fill: fill(x) if fill(x) is not None else np.zeros(3), X)


# In place on traced values: an error now, or the right derivative once it is supported; never a wrong number. --------


def in_place(run):
    """The result of run, or None where it raises the error about changes in place."""
    try:
        return run()
    except TypeError as error:
        if "in place" not in str(error):
            raise
        return None


def raises_or_is_right(change, jacobian_of_it):
    for jac in (jacfwd, jacrev):
        value = in_place(lambda jac=jac: jac(change)(X))
        if value is not None:
            np.testing.assert_array_equal(value, jacobian_of_it)


def test_assignment_into_a_traced_array():
    def change(x):
        y = x * 2.0
        y[0] = x[1]
        return y

    raises_or_is_right(change, [[0, 1, 0], [0, 2, 0], [0, 0, 2]])


def test_in_place_operator_on_a_traced_array():
    def change(x):
        y = x * 2.0
        y += x[0]
        return y

    raises_or_is_right(change, [[3, 0, 0], [1, 2, 0], [1, 0, 2]])


def test_arguments_are_never_changed():
    def change(x):
        x += 1.0
        return x

    x = X.copy()
    for run in WAYS.values():
        in_place(lambda run=run: run(change, x))
        np.testing.assert_array_equal(x, X)


# ---------------------------------------------------------------------------------------------------
# Traced values that have left their transform
# ---------------------------------------------------------------------------------------------------


@every_way
def test_a_traced_value_kept_in_a_list(run):
    kept = []

    def leak(x):
        kept.append(x)
        return x * 2.0

    run(leak, X)
    uses = (
        lambda v: v + 1.0,
        lambda v: 1.0 - v,
        lambda v: np.sin(v),
        lambda v: v[0],
        lambda v: v @ X,
        lambda v: X @ v,
        lambda v: np.sum(v),
        lambda v: np.concatenate([X, v]),
        lambda v: v.reshape(1, 3),
        lambda v: np.array([v[0], 1.0]),
        lambda v: v > 0,
        lambda v: np.einsum("i,i->", v, X),
    )
    for v in kept:
        for use in uses:
            with pytest.raises(LeakedTracer, match=r"after its transform had returned.*has_aux=True"):
                use(v)


def test_a_leaked_value_in_a_later_transform():
    kept = []

    def leak(x):
        kept.append(x)
        return np.sum(x)

    grad(leak)(X)
    for transform in (grad, jacfwd, jacrev):
        with pytest.raises(LeakedTracer):
            transform(lambda x: np.sum(x * kept[0]))(X)
        with pytest.raises(LeakedTracer):
            transform(lambda x: np.sum(kept[0] * x))(X)
        with pytest.raises(LeakedTracer):
            transform(lambda x: kept[0][0] * 2.0)(X)


def test_a_leaked_value_as_a_result_or_an_argument():
    """Returned as it is, without any operation on it."""
    kept = []

    def leak(x):
        kept.append(x)
        return np.sum(x)

    for way in (grad, jacfwd):
        kept.clear()
        way(leak)(X)
        stale = kept[0]
        for run in (
            lambda: jacfwd(lambda x: stale)(X),
            lambda: jacrev(lambda x: stale)(X),
            lambda: jvp(lambda x: stale, (X,), (X,)),
            lambda: vjp(lambda x: stale, X),
            lambda: grad(lambda x: np.sum(x))(stale),
            lambda: jvp(np.sin, (stale,), (X,)),
            lambda: jvp(np.sin, (X,), (stale,)),
            lambda: vjp(np.sin, X)[1](stale),
        ):
            with pytest.raises(LeakedTracer):
                run()


def test_a_value_leaked_by_an_exception():
    kept = []

    def leak(x):
        kept.append(np.sin(x))
        raise ArithmeticError

    for run in WAYS.values():
        kept.clear()
        with pytest.raises(ArithmeticError):
            run(leak, X)
        with pytest.raises(LeakedTracer):
            kept[0] + 1.0


def test_a_value_of_an_inner_transform_used_in_the_outer():
    def f(x):
        kept = []

        def inner(y):
            kept.append(y * y)
            return np.sum(y * y)

        grad(inner)(x)
        return np.sum(kept[0])

    for transform in (grad, jacfwd, jacrev):
        with pytest.raises(LeakedTracer):
            transform(f)(X)


def test_a_value_used_by_a_thread_that_outlives_the_transform():
    go, failed = threading.Event(), []
    threads = []

    def f(x):
        def later():
            go.wait()
            try:
                x + 1.0
            except LeakedTracer as error:
                failed.append(error)

        threads.append(threading.Thread(target=later))
        threads[0].start()
        return np.sum(x)

    grad(f)(X)
    go.set()
    threads[0].join()
    assert len(failed) == 1


def test_aux_is_not_leaked():
    """What has_aux hands out is plain, whatever tree it is in."""
    _, aux = grad(lambda x: (np.sum(x), {"y": [x * 2.0, (x,)]}), has_aux=True)(X)
    np.testing.assert_array_equal(aux["y"][0] + 1.0, 2 * X + 1)
    np.testing.assert_array_equal(aux["y"][1][0] + 1.0, X + 1)


# Where a statement stands ---------------------------------------------------------------------------------------------

table, tables = np.zeros((4, 4)), {"a": np.zeros(3)}


def over_lines(x):
    table[1:-1, 1:-1] = (((x[0]
        + x[1]) * 2.0)
        + np.ones((2, 2)))  # fmt: skip


def in_a_call(x):
    np.multiply(
        x,
        2.0,
        out=tables["a"],
    )


def one_of_several(x):
    a = 1; table[0, 0] = x[0]; return a  # noqa: E702 # fmt: skip


def behind_a_condition(x):
    if x[0] != 0: table[0, 0] = x[0]  # noqa: E701 # fmt: skip


def in_a_tuple(x):
    _, tables["a"][0] = 1.0, x[0]


def as_a_loop_variable(x):
    for tables["a"][0] in x:
        pass


def with_a_number(x):
    y = np.zeros(3)
    y[0] = float(
        x[0]
    )  # fmt: skip


STATEMENTS = {
    over_lines: "table[1:-1, 1:-1] = (((x[0] + x[1]) * 2.0) + np.ones((2, 2))): storing a traced value into table,",
    in_a_call: "np.multiply( x, 2.0, out=tables['a'], ): storing a traced value into tables['a'],",
    one_of_several: "table[0, 0] = x[0]: storing a traced value into table,",
    behind_a_condition: "table[0, 0] = x[0]: storing a traced value into table,",
    in_a_tuple: "_, tables['a'][0] = 1.0, x[0]: storing a traced value into tables['a'],",
    as_a_loop_variable: "for tables['a'][0] in x: storing a traced value into an array from outside",
    with_a_number: "y[0] = float( x[0] ): float(x),",
}


@pytest.mark.parametrize("f", STATEMENTS, ids=lambda f: f.__name__)
def test_the_whole_statement_is_shown_and_the_array_that_it_stores_into(f):
    with pytest.raises(Detached) as caught:
        jacrev(f)(X)
    said = str(caught.value).replace('"', "'")
    assert re.match(rf"test_errors\.py, line \d+: {re.escape(STATEMENTS[f])}", said)


def test_errors_of_ours_begin_with_the_line():
    for f, kind in [
        (lambda x: x.tobytes(), AttributeError),
        (lambda x: {x[0]: 1.0}, TypeError),
        (lambda x: x.view(np.int64), TypeError),
        (lambda x: np.busday_count(x, x), MissingRule),
    ]:
        with pytest.raises(kind, match=r"^test_errors\.py, line \d+: .*x") as caught:
            jacrev(f)(X)
        assert not isinstance(caught.value, Detached)


def test_errors_of_the_users_own_stay_as_they_are():
    def f(x):
        raise ValueError("no such model")

    with pytest.raises(ValueError, match=r"^no such model$"):
        jacrev(f)(X)
