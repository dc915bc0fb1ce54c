"""Operations of a user's own: `custom_op` and `register`, by each way to state a derivative."""

import collections
import dataclasses
import math

import numpy as np
import pytest
from checks import NESTINGS
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import admodes
from admodes import custom_op, grad, hessian, jacfwd, jacrev, jvp, register, vjp
from admodes.core import pytree
from admodes.core.registry import OPS
from admodes.program import cost

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(2, 3)), rng.normal(size=3)


def plain(fn):
    """fn, refusing anything but plain arrays: an operation's own code never sees traced values."""

    def checked(*args, **params):
        assert all(type(a) in (np.ndarray, np.float64, np.float32, float) for a in args)
        return fn(*args, **params)

    return checked


def agrees(op, like, *args):
    """Values, both modes, K directions and second order of an operation against those of a function in NumPy."""
    np.testing.assert_allclose(op(*args), like(*args), rtol=1e-14)
    for i, x in enumerate(args):
        for jac in (jacfwd, jacrev):
            expected = jac(like, argnums=i)(*args)
            for chunk in (None, 1, 2):
                np.testing.assert_allclose(jac(op, argnums=i, chunk=chunk)(*args), expected, rtol=1e-12, atol=1e-14)
        for mode in NESTINGS:
            np.testing.assert_allclose(
                hessian(lambda *a: np.sum(np.sin(op(*a))), argnums=i, mode=mode)(*args),
                hessian(lambda *a: np.sum(np.sin(like(*a))), argnums=i, mode=mode)(*args),
                rtol=1e-11,
                atol=1e-13,
            )
        T = rng.normal(size=(4, *np.shape(x)))
        tangents = [np.zeros((4, *np.shape(a))) for a in args]
        tangents[i] = T
        pushed = jvp(op, args, tuple(tangents))[1]
        np.testing.assert_allclose(pushed, jvp(like, args, tuple(tangents))[1], rtol=1e-12, atol=1e-14)


# By a partial -------------------------------------------------------------------------------------------


def test_partial():
    agrees(custom_op(plain(np.sin), partial=lambda y, x: np.cos(x)), np.sin, X)
    agrees(custom_op(plain(np.exp), partial=lambda y, x: y), np.exp, X)  # of the result


def test_partial_that_is_a_number():
    agrees(custom_op(plain(lambda x: 3.0 * x), partial=3.0), lambda x: 3.0 * x, X)


def test_partials_of_several_arguments_that_broadcast():
    op = custom_op(plain(lambda a, b: a * b * b), partial=[lambda y, a, b: b * b, lambda y, a, b: 2 * a * b])
    agrees(op, lambda a, b: a * b * b, X, Y)
    agrees(op, lambda a, b: a * b * b, Y, X)
    agrees(op, lambda a, b: a * b * b, X, np.float64(0.7))


def test_partial_none_means_derivative_zero():
    op = custom_op(lambda a, b: a * np.sign(b), partial=[lambda y, a, b: np.sign(b), None])
    ga, gb = grad(lambda a, b: np.sum(op(a, b)), argnums=(0, 1))(Y, Y + 5)
    np.testing.assert_array_equal(ga, np.ones(3))
    np.testing.assert_array_equal(gb, np.zeros(3))
    np.testing.assert_array_equal(jvp(lambda b: op(Y, b), (Y,), (Y,))[1], np.zeros(3))


def test_what_is_stated_is_what_is_used():
    op = custom_op(np.sin, partial=7.0)
    assert grad(op)(1.0) == 7
    assert jvp(op, (1.0,), (2.0,))[1] == 14


def test_function_that_is_no_numpy():
    """math.erf knows nothing of arrays or tracers."""
    erf = custom_op(lambda x: np.vectorize(math.erf)(x), partial=lambda y, x: 2 / np.sqrt(np.pi) * np.exp(-(x * x)))
    np.testing.assert_allclose(grad(lambda x: np.sum(erf(x)))(Y), 2 / np.sqrt(np.pi) * np.exp(-(Y**2)), rtol=1e-14)
    np.testing.assert_allclose(
        hessian(lambda x: np.sum(erf(x)))(Y), np.diag(-4 * Y / np.sqrt(np.pi) * np.exp(-(Y**2))), rtol=1e-13, atol=1e-16
    )


# By a transpose -----------------------------------------------------------------------------------------


def test_transpose():
    op = custom_op(
        plain(lambda x: np.cumsum(x, axis=-1)), transpose=lambda u, x: np.flip(np.cumsum(np.flip(u, -1), -1), -1)
    )
    agrees(op, lambda x: np.cumsum(x, axis=-1), X)


def test_transpose_with_parameters():
    op = custom_op(lambda x, k: k * x[::-1], transpose=lambda u, x, k: k * u[::-1])
    agrees(lambda x: op(x, 3.0), lambda x: 3.0 * x[::-1], Y)
    by_name = custom_op(lambda x, *, k: k * x[::-1], transpose=lambda u, x, *, k: k * u[::-1])
    agrees(lambda x: by_name(x, k=3.0), lambda x: 3.0 * x[::-1], Y)


def test_transpose_that_changes_the_shape_and_works_on_k_at_once():
    A = rng.normal(size=(4, 3))
    seen = []

    def transpose(u, x):
        seen.append(u.ndim)
        return u @ A

    op = custom_op(plain(lambda x: x @ A.T), transpose=transpose, batched=True)
    agrees(op, lambda x: x @ A.T, Y)
    assert 2 in seen  # K directions in one call


def test_a_transpose_is_tried_at_random_directions_and_not_at_the_point():
    """At 0 every linear function is 0, and x² looks like its own transpose with u x."""
    M = rng.normal(size=(2, 3))
    op = custom_op(lambda x: M @ x, transpose=lambda u, x: 2 * u @ M)
    with pytest.raises(ValueError, match="not the transpose"):
        grad(lambda x: np.sum(op(x)))(np.zeros(3))
    cheating = custom_op(lambda x: x**2, transpose=lambda u, x: x * u)
    with pytest.raises(ValueError, match="not linear"):
        grad(lambda x: np.sum(cheating(x)))(Y)


# By a matrix, or a pair of functions ----------------------------------------------------------------------

DENSE = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0], [4.0, 0.0, 5.0]])
MATRICES = {
    "dense": DENSE,
    "csr": sparse.csr_array(DENSE),
    "coo": sparse.coo_matrix(DENSE),
    "operator": aslinearoperator(sparse.csc_array(DENSE)),
    "functions": LinearOperator((4, 3), matvec=lambda v: DENSE @ v, rmatvec=lambda u: DENSE.T @ u, dtype=float),
    "pair": (lambda x: DENSE @ x, lambda u: DENSE.T @ u),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_linear(kind):
    op = custom_op(linear=MATRICES[kind])
    agrees(op, lambda x: DENSE @ x, Y)
    np.testing.assert_allclose(admodes.compile(jacrev(op))(Y), DENSE)
    np.testing.assert_allclose(admodes.jacobian(op)(Y), DENSE)


@pytest.mark.parametrize("kind", [kind for kind in MATRICES if kind != "pair"])
def test_linear_of_columns(kind):
    agrees(custom_op(linear=MATRICES[kind]), lambda x: DENSE @ x, X.T)


def test_the_pattern_of_a_sparse_linear_map_is_that_of_its_matrix():
    pattern = admodes.jacobian_pattern(custom_op(linear=MATRICES["csr"]), Y)
    np.testing.assert_array_equal(pattern.toarray() != 0, DENSE != 0)


def test_linear_that_is_none():
    wrong = LinearOperator((4, 3), matvec=lambda v: DENSE @ v, rmatvec=lambda u: u[:3], dtype=float)
    with pytest.raises(ValueError, match="rmatvec of the LinearOperator is not the transpose"):
        custom_op(linear=wrong)
    with pytest.raises(TypeError, match="no rmatvec"):
        custom_op(linear=LinearOperator((4, 3), matvec=lambda v: DENSE @ v, dtype=float))
    for other in (3.0, np.ones(3), "A", np.sin):
        with pytest.raises(TypeError, match="must be a matrix"):
            custom_op(linear=other)
    with pytest.raises(TypeError, match="no function beside it"):
        custom_op(np.sin, linear=DENSE)
    with pytest.raises(ValueError, match="not the transpose"):
        grad(lambda x: np.sum(custom_op(linear=(np.cumsum, np.cumsum))(x)))(Y)


# By a push ----------------------------------------------------------------------------------------------


def test_push():
    op = custom_op(plain(np.linalg.inv), push=lambda t, y, a: -y @ t @ y)
    agrees(op, np.linalg.inv, rng.normal(size=(3, 3)) + 3 * np.eye(3))


def test_push_is_called_a_direction_at_a_time_unless_batched():
    seen = []

    def push(t, y, x):
        seen.append(np.shape(t))
        return 2 * x * t

    for batched, shapes in ((False, [(3,)] * 5), (True, [(5, 3)])):
        op = custom_op(lambda x: x * x, push=push, batched=batched)
        jvp(op, (Y,), (Y,))  # the first use, when it is tried for being linear
        seen.clear()
        np.testing.assert_allclose(jvp(op, (Y,), (np.ones((5, 3)),))[1], np.tile(2 * Y, (5, 1)))
        assert seen == shapes
        agrees(op, lambda x: x * x, Y)


def test_pushes_of_several_arguments():
    op = custom_op(plain(np.matmul), push=[lambda t, y, a, b: t @ b, lambda t, y, a, b: a @ t])
    agrees(op, np.matmul, rng.normal(size=(2, 3)), rng.normal(size=(3, 4)))
    only_first = custom_op(plain(np.matmul), push=[lambda t, y, a, b: t @ b, None])
    np.testing.assert_array_equal(grad(lambda b: np.sum(only_first(X, b)))(np.ones((3, 2))), np.zeros((3, 2)))


def test_pull_is_the_transpose_of_the_push_stated():
    """⟨u, J t⟩ = ⟨Jᵀ u, t⟩ for a push that is no gradient of anything."""
    M = rng.normal(size=(3, 3))
    op = custom_op(lambda x: x**2, push=lambda t, y, x: M @ t)
    t, u = rng.normal(size=3), rng.normal(size=3)
    assert u @ jvp(op, (Y,), (t,))[1] == pytest.approx(vjp(op, Y)[1](u)[0] @ t, rel=1e-13)


# By a pull ----------------------------------------------------------------------------------------------


def softmax(a):
    y = np.exp(a)
    return y / y.sum()


def softmax_pull(u, y, a):
    return y * u - y * (y @ u)


def test_pull_alone():
    """The push is the pull transposed once more; of a softmax both are the same symmetric map."""
    agrees(custom_op(plain(softmax), pull=softmax_pull), softmax, Y)
    batched = custom_op(
        plain(softmax), pull=lambda u, y, a: y * u - y * np.sum(y * u, axis=-1, keepdims=True), batched=True
    )
    agrees(batched, softmax, Y)


def test_pulls_of_several_arguments():
    op = custom_op(plain(np.matmul), pull=[lambda u, y, a, b: u @ b.T, lambda u, y, a, b: a.T @ u])
    agrees(op, np.matmul, rng.normal(size=(2, 3)), rng.normal(size=(3, 4)))
    only_first = custom_op(plain(np.matmul), pull=[lambda u, y, a, b: u @ b.T, None])
    np.testing.assert_array_equal(grad(lambda b: np.sum(only_first(X, b)))(np.ones((3, 2))), np.zeros((3, 2)))
    np.testing.assert_array_equal(jvp(lambda b: only_first(X, b), (X.T,), (X.T,))[1], np.zeros((2, 2)))


def test_push_is_the_transpose_of_the_pull_stated():
    A = rng.normal(size=(3, 3))
    op = custom_op(lambda x: x**2, pull=lambda u, y, x: u @ A)
    t, u = rng.normal(size=3), rng.normal(size=3)
    assert u @ jvp(op, (Y,), (t,))[1] == pytest.approx(vjp(op, Y)[1](u)[0] @ t, rel=1e-13)


def test_push_and_pull_are_each_used_as_stated():
    seen = []
    op = custom_op(
        softmax,
        push=lambda t, y, a: seen.append("push") or softmax_pull(t, y, a),
        pull=lambda u, y, a: seen.append("pull") or softmax_pull(u, y, a),
    )
    agrees(op, softmax, Y)
    for run, name in ((lambda: jvp(op, (Y,), (Y,)), "push"), (lambda: vjp(op, Y)[1](Y), "pull")):
        seen.clear()
        run()
        assert seen == [name]


def test_push_and_pull_in_foreign_code():
    """Neither can be taped, and neither has to be."""

    def foreign(v):
        assert type(v) is np.ndarray
        return np.array([math.exp(x) for x in v])

    op = custom_op(foreign, push=lambda t, y, x: foreign(x) * t, pull=lambda u, y, x: foreign(x) * u)
    np.testing.assert_allclose(jacfwd(op)(Y), np.diag(np.exp(Y)))
    np.testing.assert_allclose(jacrev(op)(Y), np.diag(np.exp(Y)))
    alone = custom_op(foreign, pull=lambda u, y, x: foreign(u))
    with pytest.raises(ValueError, match="pull 0 is not linear"):
        jvp(alone, (Y,), (Y,))
    alone = custom_op(foreign, pull=lambda u, y, x: np.array([float(v) for v in u]) * y)
    with pytest.raises(admodes.Detached, match=r"derived by taping pull 0.* state push= beside it.*float"):
        jvp(alone, (Y,), (Y,))
    np.testing.assert_allclose(jacrev(alone)(Y), np.diag(np.exp(Y)))


def test_decorator_with_push_and_pull():
    @custom_op(push=softmax_pull, pull=softmax_pull)
    def decorated(a):
        return softmax(a)

    agrees(decorated, softmax, Y)
    assert decorated.__wrapped__(Y) == pytest.approx(softmax(Y))


# Results that are trees, and constants -------------------------------------------------------------------


@dataclasses.dataclass
class Moments:
    squares: object
    total: object


Pair = collections.namedtuple("Pair", "squares total")
SHAPES = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "named tuple": Pair,
    "dict": lambda a, b: {"squares": a, "total": b},
    "dataclass": Moments,
}


def both_parts(tree):
    if isinstance(tree, tuple | list):
        return tree
    return tuple(tree.values()) if isinstance(tree, dict) else (tree.squares, tree.total)


@pytest.mark.parametrize("rule", ["push", "pull", "both"])
@pytest.mark.parametrize("kind", SHAPES)
def test_results_that_are_trees(kind, rule):
    make = SHAPES[kind]

    def pull(u, y, x):
        assert type(y) is type(make(0, 0))
        assert type(u) is type(make(0, 0))
        a, b = both_parts(u)
        return 2 * x * a + b

    stated = {"push": lambda t, y, x: make(2 * x * t, np.sum(t)), "pull": pull}
    op = custom_op(lambda x: make(x**2, x.sum()), **{k: stated[k] for k in stated if rule in (k, "both")})
    assert type(op(Y)) is type(make(0, 0))

    def loss(f):
        return lambda x: np.sum(both_parts(f(x))[0] * both_parts(f(x))[1])

    like = loss(lambda x: (x**2, np.sum(x)))
    for way in (grad, jacfwd, hessian, lambda f: admodes.compile(grad(f))):
        np.testing.assert_allclose(way(loss(op))(Y), way(like)(Y), rtol=1e-12)
    for jac in (jacfwd, jacrev):
        squares, total = both_parts(jac(op)(Y))
        np.testing.assert_allclose(squares, np.diag(2 * Y))
        np.testing.assert_allclose(total, np.ones(3))


@pytest.mark.parametrize(
    ("result", "message"),
    [(None, "holds no array"), ("text", "returns a str"), ({"a": Y, "b": "text"}, "returns a str")],
)
def test_results_that_are_no_numbers(result, message):
    def f(x):
        return result

    with pytest.raises(TypeError, match=f"custom_op f: .*{message}"):
        jvp(custom_op(f, push=lambda t, y, x: t), (Y,), (Y,))


def test_constants_behind_the_arrays_and_by_keyword():
    scaled = custom_op(lambda x, k=2.0, *, kind="a": x * k, partial=lambda y, x, k=2.0, kind="a": k)
    two = custom_op(lambda x, z, k: x * z * k, partial=[lambda y, x, z, k: z * k, lambda y, x, z, k: x * k])
    pushed = custom_op(lambda x, k, *, b=0.0: k * x + b, push=lambda t, y, x, k, *, b=0.0: k * t)
    pulled = custom_op(lambda x, k, *, b=0.0: k * x + b, pull=lambda u, y, x, k, *, b=0.0: k * u)
    for call in (
        lambda x: scaled(x, 3.0),
        lambda x: scaled(x, k=3.0, kind="b"),
        lambda x: two(x, 1.0, 3.0),
        lambda x: two(1.0, x, 3),
        lambda x: pushed(x, 3.0, b=1.0),
        lambda x: pulled(x, 3, b=1.0),
    ):
        agrees(call, lambda x: 3.0 * x + call(np.zeros(3)), Y)
        np.testing.assert_allclose(admodes.compile(jacrev(call))(Y), 3 * np.eye(3))
        np.testing.assert_allclose(admodes.jacobian(call)(Y), 3 * np.eye(3))
    varying = admodes.compile(lambda x, k: grad(lambda x: np.sum(scaled(x, k) + scaled(x, k=k)))(x))
    for k in (2.0, 5.0):
        np.testing.assert_array_equal(varying(Y, k), np.full(3, 2 * k))


def test_a_traced_value_from_around():
    """What the rule says nothing of is refused, unless the trace around differentiates it as it is."""

    def times(c):
        return custom_op(lambda x: c * x, partial=lambda y, x: c)

    for run in (
        lambda: grad(lambda c: np.sum(times(c)(Y * c)))(2.0),
        lambda: jvp(lambda c: times(c)(c), (2.0,), (1.0,)),
    ):
        with pytest.raises(admodes.Detached, match="a traced value that is none of its arguments"):
            run()
    assert grad(lambda c: grad(times(c))(3.0))(2.0) == 1.0


# Arguments that are trees ---------------------------------------------------------------------------------


@dataclasses.dataclass
class Affine:
    w: object
    b: object


POINT, WEIGHTS = Affine(rng.normal(size=(2, 3)), rng.normal(size=2)), rng.normal(size=2)
AFFINE = {
    "push": {"push": [lambda t, y, p, x: t.w @ x + t.b, lambda t, y, p, x: p.w @ t]},
    "pull": {"pull": [lambda u, y, p, x: Affine(np.outer(u, x), u), lambda u, y, p, x: u @ p.w]},
    "difference": {"difference": "complex"},
    "composite": {"composite": lambda p, x: p.w @ x + p.b},
}
AFFINE["both"] = AFFINE["push"] | AFFINE["pull"]


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in pytree.flatten(tree)[0]])


@pytest.mark.parametrize("argnum", [0, 1])
@pytest.mark.parametrize("rule", AFFINE)
def test_arguments_that_are_trees(rule, argnum):
    def like(p, x):
        return p.w @ x + p.b

    op = custom_op(lambda p, x: plain(np.matmul)(p.w, x) + p.b if rule != "difference" else like(p, x), **AFFINE[rule])

    def loss(f):
        return lambda p, x: WEIGHTS @ np.sin(f(p, x))

    for way in (
        grad,
        jacfwd,
        lambda f, a: admodes.compile(grad(f, a)),
        lambda f, a: grad(lambda p, x: f(p, x) ** 2, a),
    ):
        np.testing.assert_allclose(
            flat(way(loss(op), argnum)(POINT, Y)), flat(way(loss(like), argnum)(POINT, Y)), rtol=1e-12
        )
    for mode in ("forward-over-reverse", "reverse-over-forward"):
        np.testing.assert_allclose(
            flat(hessian(loss(op), argnum, mode=mode)(POINT, Y)), flat(hessian(loss(like), argnum)(POINT, Y)), atol=1e-9
        )
    for jac in (jacfwd, jacrev):
        np.testing.assert_allclose(flat(jac(op, argnum)(POINT, Y)), flat(jacfwd(like, argnum)(POINT, Y)), atol=1e-14)


def test_a_tree_by_which_the_derivative_is_zero():
    op = custom_op(lambda p, x: np.sign(p["k"]) * x, push=[None, lambda t, y, p, x: np.sign(p["k"]) * t])
    for way in (grad, jacfwd):
        np.testing.assert_array_equal(way(lambda k: np.sum(op({"k": k}, Y)))(2.0), 0.0)
    np.testing.assert_array_equal(jvp(lambda k: op({"k": k}, Y), (2.0,), (np.ones(4),))[1], np.zeros((4, 3)))


def test_trees_where_there_is_no_rule_for_them():
    by_partial = custom_op(lambda p: p["x"] ** 2, partial=lambda y, p: 2 * p["x"])
    with pytest.raises(TypeError, match="partial= is for a function of arrays"):
        grad(lambda x: np.sum(by_partial({"x": x})))(Y)
    one = custom_op(lambda x, p: x * p["k"], push=lambda t, y, x, p: t * p["k"])
    np.testing.assert_array_equal(grad(lambda x: np.sum(one(x, {"k": 2.0})))(Y), np.full(3, 2.0))
    with pytest.raises(admodes.MissingRule, match="argument 1 is traced"):
        grad(lambda x: np.sum(one(Y, {"k": x})))(Y)


# As a composite -----------------------------------------------------------------------------------------


def test_composite():
    op = custom_op(lambda x: np.log1p(np.exp(x)), composite=lambda x: np.logaddexp(0.0, x))
    agrees(op, lambda x: np.logaddexp(0.0, x), X)


def test_composite_of_two_arguments_and_a_parameter():
    op = custom_op(lambda a, b, n=2: (a * b) ** n, composite=lambda a, b, n=2: (a * b) ** n)
    agrees(op, lambda a, b: (a * b) ** 2, X, Y)
    agrees(lambda a: op(a, Y, n=3), lambda a: (a * Y) ** 3, X)


# The decorator, the function and its count ----------------------------------------------------------------


def test_decorator():
    @custom_op(partial=lambda y, x: 2 * x)
    def square(x):
        """x²"""
        return x * x

    assert square.__name__ == "square"
    assert square.__doc__ == "x²"
    assert square(3.0) == 9
    assert grad(square)(3.0) == 6
    agrees(square, np.square, X)


def test_nested_levels():
    op = custom_op(lambda x: x**3, partial=lambda y, x: 3 * x * x)
    assert grad(grad(grad(op)))(2.0) == 6
    assert jvp(lambda x: grad(op)(x), (2.0,), (1.0,))[1] == 12
    assert grad(lambda x: jvp(op, (x,), (1.0,))[1])(2.0) == 12


def test_lists_of_traced_scalars_reach_it():
    op = custom_op(plain(lambda x: x**2), partial=lambda y, x: 2 * x)
    np.testing.assert_allclose(
        jacrev(lambda x: op(np.array([x[0], x[0] * x[1]])))(np.array([2.0, 3.0])), [[4, 0], [36, 24]]
    )


def test_flops_are_counted():
    op = custom_op(lambda x: np.exp(x), partial=lambda y, x: y, flops=12.0)
    assert cost(op, np.ones(5)).flops == 60


def test_float32_stays():
    op = custom_op(lambda x: np.sin(x), partial=lambda y, x: np.cos(x).astype(np.float64))
    x = X.astype(np.float32)
    assert jvp(op, (x,), (x,))[1].dtype == np.float32
    assert vjp(op, x)[1](x)[0].dtype == np.float32


# register -----------------------------------------------------------------------------------------------


@pytest.fixture
def cbrt():
    """np.cbrt without its row, which is put back at the end."""
    row = OPS.pop(np.cbrt)
    yield np.cbrt
    OPS[np.cbrt] = row


def test_register_a_ufunc(cbrt):
    for run in (lambda: grad(cbrt)(8.0), lambda: jvp(cbrt, (8.0,), (1.0,))):
        with pytest.raises(admodes.errors.MissingRule, match=r"np\.cbrt .*admodes\.register\(np\.cbrt"):
            run()
    register(cbrt, partial=lambda y, x: 1 / (3 * y * y))
    assert grad(cbrt)(8.0) == pytest.approx(1 / 12)
    agrees(cbrt, lambda x: x ** (1 / 3), np.abs(X) + 0.1)


@pytest.mark.parametrize(
    ("rule", "slope"),
    [
        ({"push": lambda t, y, x: t / (3 * y * y)}, 1 / 12),
        ({"composite": lambda x: x ** (1 / 3)}, 1 / 12),
    ],
    ids=["push", "composite"],
)
def test_register_by_the_other_ways(cbrt, rule, slope):
    register(cbrt, **rule)
    assert grad(cbrt)(8.0) == pytest.approx(slope)
    assert jvp(cbrt, (8.0,), (1.0,))[1] == pytest.approx(slope)


def test_register_by_a_transpose(cbrt):
    register(cbrt, transpose=lambda u, x: 5 * u)  # of a function that is not linear
    with pytest.raises(ValueError, match="register cbrt: transpose= is for a linear function"):
        grad(cbrt)(8.0)


def test_register_a_function_of_numpy_that_is_no_ufunc():
    row = OPS.pop(np.trapezoid, None)
    try:
        register(np.trapezoid, push=lambda t, y, a: np.sum(t[1:] + t[:-1]) / 2)
        np.testing.assert_array_equal(grad(lambda x: np.trapezoid(x))(np.ones(4)), [0.5, 1, 1, 0.5])
    finally:
        OPS.pop(np.trapezoid)
        if row is not None:
            OPS[np.trapezoid] = row
