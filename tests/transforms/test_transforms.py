"""The transforms: shapes and values, trees, arguments, directions, chunks, operators."""

import dataclasses
import functools
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from checks import NESTINGS, jacobian_by_differences
from scipy.sparse import linalg

from admodes import grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, linearize, value_and_grad, vjp
from admodes.core.forward import Dual
from admodes.core.reverse import Var
from admodes.program import cost

rng = np.random.default_rng(1)
W = rng.normal(size=(3, 4))
X = rng.normal(size=4)
JACOBIANS = [jacfwd, jacrev, jacobian]
jacobians = pytest.mark.parametrize("jac", JACOBIANS, ids=lambda j: j.__name__)


def f(x):
    return np.tanh(W @ x)


J = (1 - np.tanh(W @ X) ** 2)[:, None] * W  # of f at X


# ---------------------------------------------------------------------------------------------------
# Shapes and values
# ---------------------------------------------------------------------------------------------------


def test_jvp_and_vjp():
    t, u = rng.normal(size=4), rng.normal(size=3)
    y, ydot = jvp(f, (X,), (t,))
    np.testing.assert_array_equal(y, f(X))
    np.testing.assert_allclose(ydot, J @ t, rtol=1e-14)
    y, pullback = vjp(f, X)
    np.testing.assert_array_equal(y, f(X))
    (xbar,) = pullback(u)
    np.testing.assert_allclose(xbar, u @ J, rtol=1e-14)
    np.testing.assert_array_equal(pullback(u)[0], xbar)  # again and again


def test_k_directions():
    T, U = rng.normal(size=(5, 4)), rng.normal(size=(6, 3))
    np.testing.assert_allclose(jvp(f, (X,), (T,))[1], T @ J.T, rtol=1e-13)
    np.testing.assert_allclose(vjp(f, X)[1](U)[0], U @ J, rtol=1e-13)
    assert jvp(f, (X,), (T[:1],))[1].shape == (1, 3)
    assert vjp(f, X)[1](U[:1])[0].shape == (1, 4)


def test_k_directions_of_several_arguments_and_results():
    A, x = rng.normal(size=(2, 3)), rng.normal(size=3)

    def g(A, x):
        return A @ x, np.sum(A)

    dA, dx = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 3))
    _, (first, second) = jvp(g, (A, x), (dA, dx))
    np.testing.assert_allclose(first, dA @ x + dx @ A.T, rtol=1e-13)
    np.testing.assert_allclose(second, dA.sum(axis=(1, 2)), rtol=1e-13)
    u, s = rng.normal(size=(4, 2)), rng.normal(size=4)
    Abar, xbar = vjp(g, A, x)[1]((u, s))
    np.testing.assert_allclose(Abar, u[:, :, None] * x + s[:, None, None], rtol=1e-13)
    np.testing.assert_allclose(xbar, u @ A, rtol=1e-13)


def test_jvp_and_vjp_of_a_scalar_argument():
    assert jvp(np.sin, (0.5,), (2.0,)) == (np.sin(0.5), 2 * np.cos(0.5))
    y, pullback = vjp(np.sin, 0.5)
    assert y == np.sin(0.5)
    assert pullback(2.0) == (2 * np.cos(0.5),)
    np.testing.assert_allclose(jvp(np.sin, (0.5,), (np.array([1.0, 2.0]),))[1], np.cos(0.5) * np.array([1, 2]))


@jacobians
@pytest.mark.parametrize(
    ("g", "shape"),
    [
        (f, (4,)),
        (lambda x: np.sum(x**2), (4,)),  # result ()
        (lambda x: np.sin(x), ()),  # both ()
        (lambda x: x * np.arange(1.0, 4.0), ()),  # argument ()
        (lambda x: np.exp(x)[:, None] * x.T[None, :, :1], (2, 3)),
        (lambda x: np.outer(x, x), (3,)),
        (lambda x: x.reshape(2, 1, 3) ** 2, (3, 2)),
    ],
)
def test_jacobian_has_shape_of_result_then_of_argument(jac, g, shape):
    x = rng.normal(size=shape)
    value = jac(g)(x)
    assert value.shape == np.shape(g(x)) + shape
    np.testing.assert_allclose(value, jacobian_by_differences(g, np.asarray(x)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("mode", NESTINGS)
def test_hessian_in_four_nestings(mode):
    def g(x):
        return np.sum(np.sin(x[0] * x[1]) * np.exp(x))

    x = rng.normal(size=(2, 3))
    H = hessian(g, mode=mode)(x)
    assert H.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(H, jacobian_by_differences(grad(g), x), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(H, hessian(g)(x), rtol=1e-12, atol=1e-14)
    # a vector-valued function has one Hessian a component
    np.testing.assert_allclose(
        hessian(f, mode=mode)(X), jacobian_by_differences(lambda x: jacfwd(f)(x), X), rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("mode", NESTINGS)
def test_hessian_by_several_arguments(mode):
    def g(a, b):
        return np.sum(a * b**2) + a[0] * a[1]

    a, b = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    (aa, ab), (ba, bb) = hessian(g, argnums=(0, 1), mode=mode)(a, b)
    np.testing.assert_allclose(aa, [[0, 1], [1, 0]])
    np.testing.assert_allclose(ab, np.diag(2 * b))
    np.testing.assert_allclose(ba, np.diag(2 * b))
    np.testing.assert_allclose(bb, np.diag(2 * a))
    np.testing.assert_allclose(hessian(g, argnums=1, mode=mode)(a, b), np.diag(2 * a))


def test_hvp():
    def g(x):
        return np.sum(np.cos(x) * x[::-1])

    H, t, T = hessian(g)(X), rng.normal(size=4), rng.normal(size=(3, 4))
    np.testing.assert_allclose(hvp(g, (X,), (t,)), H @ t, rtol=1e-13)
    np.testing.assert_allclose(hvp(g, (X,), (T,)), T @ H, rtol=1e-13)
    a, b = hvp(lambda x, y: np.sum(x * y**2), (X, X + 1), (t, T[0]))
    np.testing.assert_allclose(a, 2 * (X + 1) * T[0], rtol=1e-13)
    np.testing.assert_allclose(b, 2 * (X + 1) * t + 2 * X * T[0], rtol=1e-13)


# ---------------------------------------------------------------------------------------------------
# Which arguments, and what else
# ---------------------------------------------------------------------------------------------------


def poly(x, y, z=1.0):
    return np.sum(x * y**2 * z)


def test_argnums():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(grad(poly)(x, y), y**2)
    np.testing.assert_array_equal(grad(poly, argnums=1)(x, y), 2 * x * y)
    np.testing.assert_array_equal(grad(poly, argnums=-1)(x, y), 2 * x * y)
    by_y, by_x = grad(poly, argnums=(1, 0))(x, y)
    np.testing.assert_array_equal(by_y, 2 * x * y)
    np.testing.assert_array_equal(by_x, y**2)
    (only,) = grad(poly, argnums=[0])(x, y)
    np.testing.assert_array_equal(only, y**2)
    for jac in JACOBIANS:
        a, b = jac(lambda x, y: x * y, argnums=(0, 1))(x, y)
        np.testing.assert_array_equal(a, np.diag(y))
        np.testing.assert_array_equal(b, np.diag(x))


def test_arguments_by_keyword_are_passed_on():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(grad(poly)(x, y, z=10.0), 10 * y**2)
    np.testing.assert_array_equal(grad(poly)(x, y=y, z=10.0), 10 * y**2)
    for jac in JACOBIANS:
        np.testing.assert_array_equal(jac(lambda x, power=1: x**power)(x, power=2), np.diag(2 * x))


def test_arguments_not_chosen_may_be_anything():
    def g(x, how, table, n):
        assert how == "sum"
        assert isinstance(table["k"], np.ndarray)
        return getattr(np, how)(x * table["k"]) * n

    x, k = np.array([1.0, 2.0]), np.array([3, 4])
    np.testing.assert_array_equal(grad(g)(x, "sum", {"k": k}, 2), [6, 8])
    np.testing.assert_array_equal(jacobian(g)(x, "sum", {"k": k}, 2), [6, 8])


def test_has_aux():
    def g(x):
        y = np.sin(x)
        return np.sum(y), {"y": y, "name": "sine", "n": 3}

    gradient, aux = grad(g, has_aux=True)(X)
    np.testing.assert_allclose(gradient, np.cos(X))
    np.testing.assert_array_equal(aux["y"], np.sin(X))
    assert type(aux["y"]) is np.ndarray
    assert (aux["name"], aux["n"]) == ("sine", 3)
    (value, aux), gradient = value_and_grad(g, has_aux=True)(X)
    assert value == np.sin(X).sum()
    np.testing.assert_allclose(gradient, np.cos(X))
    with pytest.raises(TypeError, match="must return a pair"):
        grad(lambda x: np.sum(x), has_aux=True)(X)


def test_value_and_grad():
    value, gradient = value_and_grad(lambda x: np.sum(x**2))(X)
    assert type(value) is np.float64
    assert value == np.sum(X**2)
    np.testing.assert_array_equal(gradient, 2 * X)


def test_name_and_docstring_of_the_function_are_kept():
    def energy(x):
        """Of a spring."""
        return np.sum(x**2)

    for transform in (grad, value_and_grad, jacfwd, jacrev, jacobian, hessian):
        assert transform(energy).__name__ == "energy"
        first, *_, last = transform(energy).__doc__.splitlines()
        assert last == "energy: Of a spring."
        assert transform is jacobian or (first.startswith("The ") and "of energy by its argument 0" in first)


def test_functions_without_a_name():
    class Model:
        def __call__(self, x):
            return np.sum(x**3)

        def method(self, x):
            return np.sum(x**3)

    for g in (Model(), Model().method, functools.partial(lambda p, x: np.sum(x**p), 3)):
        for transform in (grad, jacfwd, jacrev, jacobian):
            np.testing.assert_allclose(transform(g)(X), 3 * X**2, rtol=1e-13)


# ---------------------------------------------------------------------------------------------------
# Trees
# ---------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Layer:
    W: np.ndarray
    b: np.ndarray


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object
    b: object


def test_gradient_of_a_tree_is_such_a_tree():
    params = {
        "list": [np.array([1.0, 2.0]), 3.0],
        "tuple": (np.array(4.0),),
        "named": Pair(np.array([5.0]), None),
        "layer": Layer(np.array([[6.0, 7.0]]), np.array([8.0])),
        "frozen": Frozen(9.0, [np.array([10.0])]),
        "none": None,
        "empty": {},
    }

    def g(p):
        assert isinstance(p["named"], Pair)
        assert isinstance(p["layer"], Layer)
        assert p["named"].b is None
        assert p["none"] is None
        return (
            np.sum(p["list"][0] ** 2)
            + p["list"][1] ** 2
            + p["tuple"][0] ** 2
            + np.sum(p["named"].a ** 2)
            + np.sum(p["layer"].W ** 2)
            + np.sum(p["layer"].b ** 2)
            + p["frozen"].a ** 2
            + np.sum(p["frozen"].b[0] ** 2)
        )

    d = grad(g)(params)
    assert list(d) == list(params)
    np.testing.assert_array_equal(d["list"][0], [2, 4])
    assert d["list"][1] == 6
    assert isinstance(d["tuple"], tuple)
    assert d["tuple"][0] == 8
    assert isinstance(d["named"], Pair)
    assert d["named"].b is None
    np.testing.assert_array_equal(d["named"].a, [10])
    assert isinstance(d["layer"], Layer)
    np.testing.assert_array_equal(d["layer"].W, [[12, 14]])
    np.testing.assert_array_equal(d["layer"].b, [16])
    assert isinstance(d["frozen"], Frozen)
    assert d["frozen"].a == 18
    np.testing.assert_array_equal(d["frozen"].b[0], [20])
    assert d["none"] is None
    assert d["empty"] == {}


def test_trees_as_results():
    def g(x):
        return {"a": x**2, "b": [np.sum(x), Pair(x[0] * x[1], None)]}

    x = np.array([3.0, 5.0])
    y, ydot = jvp(g, (x,), (np.array([1.0, 0.0]),))
    np.testing.assert_array_equal(y["a"], [9, 25])
    np.testing.assert_array_equal(ydot["a"], [6, 0])
    assert (ydot["b"][0], ydot["b"][1]) == (1, Pair(5, None))
    y, pullback = vjp(g, x)
    (xbar,) = pullback({"a": np.array([1.0, 1.0]), "b": [10.0, Pair(100.0, None)]})
    np.testing.assert_array_equal(xbar, [6 + 10 + 500, 10 + 10 + 300])
    for jac in JACOBIANS:
        blocks = jac(g)(x)
        np.testing.assert_array_equal(blocks["a"], np.diag([6, 10]))
        np.testing.assert_array_equal(blocks["b"][0], [1, 1])
        np.testing.assert_array_equal(blocks["b"][1].a, [5, 3])


@jacobians
def test_tree_to_tree_gives_a_tree_of_trees_of_blocks(jac):
    p = {"W": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}
    x = rng.normal(size=3)
    blocks = jac(lambda p: {"y": p["W"] @ x + p["b"], "s": np.sum(p["b"] ** 2)})(p)
    np.testing.assert_allclose(blocks["y"]["W"], np.einsum("ik,j->ikj", np.eye(2), x))
    np.testing.assert_array_equal(blocks["y"]["b"], np.eye(2))
    np.testing.assert_array_equal(blocks["s"]["W"], np.zeros((2, 3)))
    np.testing.assert_array_equal(blocks["s"]["b"], 2 * p["b"])


@pytest.mark.parametrize("mode", NESTINGS)
def test_hessian_of_a_tree(mode):
    H = hessian(lambda p: np.sum(p["a"] ** 2) * p["b"], mode=mode)({"a": np.array([1.0, 2.0]), "b": 3.0})
    np.testing.assert_allclose(H["a"]["a"], 6 * np.eye(2))
    np.testing.assert_allclose(H["a"]["b"], [2, 4])
    np.testing.assert_allclose(H["b"]["a"], [2, 4])
    assert H["b"]["b"] == 0


def test_trees_in_ordered_dicts_and_k_directions():
    p = OrderedDict(b=np.array([1.0, 2.0]), a=np.array(3.0))
    t = OrderedDict(b=np.ones((4, 2)), a=np.arange(4.0))
    _, ydot = jvp(lambda p: p["b"] * p["a"], (p,), (t,))
    np.testing.assert_array_equal(ydot, 3 + np.arange(4.0)[:, None] * p["b"])
    with pytest.raises(TypeError, match="structure"):
        jvp(lambda p: p["b"], (p,), (OrderedDict(b=np.ones(2)),))


# ---------------------------------------------------------------------------------------------------
# Chunks, and the choice of a mode
# ---------------------------------------------------------------------------------------------------


@jacobians
@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 9, None, np.int64(2)])
def test_chunks_do_not_change_the_jacobian(jac, chunk):
    np.testing.assert_allclose(jac(f, chunk=chunk)(X), J, rtol=1e-13)
    blocks = jac(lambda p: (p["a"] @ p["b"], p["a"]), chunk=chunk)({"a": W[:2], "b": X})
    np.testing.assert_allclose(blocks[0]["b"], W[:2])
    np.testing.assert_allclose(blocks[0]["a"], np.einsum("ik,j->ikj", np.eye(2), X))
    np.testing.assert_array_equal(blocks[1]["a"], np.eye(8).reshape(2, 4, 2, 4))
    np.testing.assert_array_equal(blocks[1]["b"], np.zeros((2, 4, 4)))


def test_memory_of_directions_is_bounded(monkeypatch):
    """Without chunk, so many directions at once that an array of them keeps within CHUNK_ELEMENTS."""
    from admodes import transforms

    monkeypatch.setattr(transforms.directions, "CHUNK_ELEMENTS", 8)
    seen = []

    def g(x):
        seen.append(getattr(x, "tangent", np.zeros((0, 4))).shape)
        return np.concatenate([x, x**2])

    expected = np.vstack([np.eye(4), np.diag(2 * X)])
    np.testing.assert_allclose(jacfwd(g)(X), expected)
    assert all(k * 4 <= 8 for k, *_ in seen)
    assert len(seen) > 1
    np.testing.assert_allclose(jacrev(g)(X), expected)


def chosen(function, x):
    """The mode that jacobian(mode="auto") ran once it had chosen, told by the tracer that f met; and the value."""
    ran = set()

    def watched(x):
        ran.add({Dual: "forward", Var: "reverse"}.get(type(x)))  # None while the plan is made
        return function(x)

    J = jacobian(watched)
    J.plan(x)
    ran.clear()
    value = J(x)
    (mode,) = ran
    return mode, value


def test_auto_takes_forward_for_tall_and_reverse_for_wide():
    rows = rng.normal(size=(300, 10))
    for A, expected in ((rows, "forward"), (rows.T, "reverse")):
        mode, value = chosen(lambda x, A=A: np.tanh(A @ x), np.zeros(A.shape[1]))
        assert mode == expected
        np.testing.assert_allclose(value, A, rtol=1e-13)
    assert chosen(lambda x: np.sum(x**2), np.ones(500))[0] == "reverse"
    assert chosen(lambda x: x * np.ones(50), np.float64(2.0))[0] == "forward"


def test_auto_follows_counted_work_where_the_shape_says_otherwise():
    """40 results of 45 arguments, and yet forward is the cheaper: the counts know, the shape does not.

    Each argument is used 400 times: a pull must sum 40 × 45 × 400 cotangents back where a push only copies.
    """

    def embed(x):
        return B @ np.sin(np.repeat(x, 400)).reshape(45, 400).sum(axis=1)

    x, B = rng.normal(size=45), rng.normal(size=(40, 45))
    plan = jacobian(embed).plan(x)
    assert plan["forward"].seconds < plan["reverse"].seconds
    mode, value = chosen(embed, x)
    assert mode == "forward"
    np.testing.assert_allclose(value, B * 400 * np.cos(x), rtol=1e-12)


def test_the_work_on_constants_is_counted():
    """A pull through A @ x meets no traced value but the cotangent; its work counts all the same."""
    A = rng.normal(size=(500, 4))
    plan = jacobian(lambda x: A @ x).plan(np.ones(4))
    assert plan["forward"].cost.flops * 10 < plan["reverse"].cost.flops
    assert chosen(lambda x: A @ x, np.ones(4))[0] == "forward"
    for jac, k in ((jacfwd, 4), (jacrev, 500)):
        work = cost(jac(lambda x: A @ x), np.ones(4)).by_operation
        assert sum(work[name][1] for name in ("matmul", "dot") if name in work) == 2 * A.size * (1 + k)


def tree_of(x):
    from admodes.core import pytree

    leaves, structure = pytree.flatten((x,))
    return structure, leaves


def test_auto_learns_for_each_set_of_shapes():
    derivative = jacobian(lambda x, A: A @ x)
    for shape in ((5, 3), (3, 5), (5, 3), (1, 1)):
        A = rng.normal(size=shape)
        np.testing.assert_allclose(derivative(np.ones(shape[1]), A), A)


# ---------------------------------------------------------------------------------------------------
# linearize: a LinearOperator
# ---------------------------------------------------------------------------------------------------


def test_linearize():
    y, op = linearize(f, X)
    np.testing.assert_array_equal(y, f(X))
    assert op.shape == (3, 4)
    assert op.dtype == np.float64
    v, u, V, U = rng.normal(size=4), rng.normal(size=3), rng.normal(size=(4, 5)), rng.normal(size=(3, 2))
    np.testing.assert_allclose(op @ v, J @ v, rtol=1e-13)
    np.testing.assert_allclose(op.T @ u, J.T @ u, rtol=1e-13)
    np.testing.assert_allclose(op.H @ u, J.T @ u, rtol=1e-13)
    np.testing.assert_allclose(op @ V, J @ V, rtol=1e-13)
    np.testing.assert_allclose(op.T @ U, J.T @ U, rtol=1e-13)
    np.testing.assert_allclose(op.dense(), J, rtol=1e-13)
    np.testing.assert_allclose(op @ v[:, None], (J @ v)[:, None], rtol=1e-13)


def test_linearize_runs_the_function_once():
    calls = []

    def g(x):
        calls.append(1)
        return np.sin(x)

    _, op = linearize(g, X)
    for _ in range(3):
        op @ X
        op.T @ X
        op.dense()
    assert calls == [1]


def test_linearize_in_trees_and_several_arguments():
    def g(p, x):
        return {"y": p["W"] @ x, "s": np.sum(x**2)}

    p, x = {"W": W}, X
    _, op = linearize(g, p, x)
    assert op.shape == (1 + 3, 12 + 4)
    dense = op.dense()
    blocks_p, blocks_x = jacfwd(g, argnums=0)(p, x), jacfwd(g, argnums=1)(p, x)
    rows = np.vstack(
        [
            np.concatenate([blocks_p["s"]["W"].ravel(), blocks_x["s"]])[None],
            np.hstack([blocks_p["y"]["W"].reshape(3, 12), blocks_x["y"]]),
        ]
    )
    np.testing.assert_allclose(dense, rows)
    np.testing.assert_allclose(op @ np.eye(16), rows)
    np.testing.assert_allclose((op.T @ np.eye(4)).T, rows)


def test_linearize_complex():
    z = rng.normal(size=3) + 1j * rng.normal(size=3)
    A = rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3))
    _, op = linearize(lambda z: A @ z**2, z)
    dense = A * 2 * z
    u, v = rng.normal(size=2) + 1j * rng.normal(size=2), rng.normal(size=3) + 1j * rng.normal(size=3)
    assert op.dtype == np.complex128
    np.testing.assert_allclose(op @ v, dense @ v)
    np.testing.assert_allclose(op.T @ u, dense.T @ u)
    np.testing.assert_allclose(op.H @ u, dense.conj().T @ u)
    np.testing.assert_allclose(op.dense(), dense)


def test_linearize_in_scipy_solvers():
    A = rng.normal(size=(6, 6))
    A = A @ A.T + 6 * np.eye(6)
    b = rng.normal(size=6)
    _, op = linearize(lambda x: A @ x + 0.0 * x**2, np.ones(6))
    for solver in (linalg.cg, linalg.gmres, linalg.bicgstab):
        x, info = solver(op, b, rtol=1e-12)
        assert info == 0
        np.testing.assert_allclose(x, np.linalg.solve(A, b), rtol=1e-8)
    _, tall = linearize(f, X)
    u = rng.normal(size=3)
    np.testing.assert_allclose(linalg.lsqr(tall, u, atol=1e-14, btol=1e-14)[0], np.linalg.pinv(J) @ u, rtol=1e-8)


def test_linearize_of_constant_and_empty():
    _, op = linearize(lambda x: np.ones(2), X)
    np.testing.assert_array_equal(op @ X, np.zeros(2))
    np.testing.assert_array_equal(op.T @ np.ones(2), np.zeros(4))
    np.testing.assert_array_equal(op.dense(), np.zeros((2, 4)))
