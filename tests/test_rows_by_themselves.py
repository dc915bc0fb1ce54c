"""An operation is known by itself, its row: neither its name nor the function it wraps decides what is done with it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admodes import compile, cost, custom_op, grad, jacfwd, jacobian, linearized_graph, sparse_jacobian_plan, trace
from admodes.core.registry import OPS, Op
from admodes.program import primitives, recording

OWN = [value for value in vars(primitives).values() if isinstance(value, Op)]
NAMES = sorted({op.name for op in (*OPS.values(), *OWN, *recording.MARKS)})


def named(fn, name):
    fn.__name__ = name
    return fn


def square_of(name):
    return custom_op(named(lambda x: x * x, name), partial=lambda y, x: 2 * x)


def reversal_of(name):
    return custom_op(named(lambda x: x[::-1] * 2.0, name), transpose=lambda u, x: u[::-1] * 2.0)


def product_of(name):
    """a·b, differentiated as if b were 1 where it counts, as a straight-through rule does."""
    return custom_op(named(lambda a, b: a * b, name), partial=[1.0, lambda y, a, b: a])


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_known_by_itself_not_by_its_name(name):
    """The name of a built-in row on a function of another meaning: compiled, sparse, eliminated and drawn as it is."""
    square, turned, product = square_of(name), reversal_of(name), product_of(name)
    x, mask = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0])

    def f(x):
        return np.stack([square(x), turned(x * 3.0)[::-1], product(x, mask), product(x, x)])[:, ::-1]

    matrices = [np.diag(2 * x), 6 * np.eye(3), np.eye(3), np.diag(1 + x)]
    values = np.array([x * x, 6 * x, x * mask, x * x])[:, ::-1]
    right = np.stack(matrices)[:, ::-1].reshape(12, 3)

    def loss(x):
        return np.sum(f(x) ** 2)

    slope = 2 * values.ravel() @ right
    assert_allclose(grad(loss)(x), slope, rtol=1e-13)
    assert_allclose(compile(f)(x), values, rtol=1e-13)
    assert_allclose(compile(grad(loss))(x), slope, rtol=1e-13)
    assert_allclose(compile(jacfwd(f))(x).reshape(12, 3), right, rtol=1e-13)
    assert_allclose(trace(grad(loss), x)(x), slope, rtol=1e-13)
    assert_allclose(sparse_jacobian_plan(lambda x: f(x).ravel(), x)(x).toarray(), right, rtol=1e-13)
    assert_allclose(linearized_graph(lambda x: f(x).ravel(), x).accumulate("reverse"), right, rtol=1e-13)
    drawn = trace(lambda x: product(square(x), x), x).to_dot()
    assert drawn.count(f'[label="{name}"') == 2
    assert float(compile(lambda a: product(a, 2.0))(3.0)) == 6.0
    assert f'"{name} 2.00"' in trace(lambda a: product(a, 2.0), 3.0).to_dot()


def test_the_functions_of_another_row_bring_none_of_its_rules():
    """np.multiply with a rule of one's own, straight through: its partial is 1 where the other factor is 0."""
    straight = custom_op(np.multiply, partial=[1.0, None])
    highest = custom_op(np.maximum, partial=[1.0, 1.0])
    x, mask = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0])
    assert_allclose(sparse_jacobian_plan(lambda x: straight(x, mask), x)(x).toarray(), np.eye(3))
    assert_allclose(jacobian(lambda x: straight(x, mask), mode="sparse")(x).toarray(), np.eye(3))
    assert_allclose(
        sparse_jacobian_plan(lambda x: highest(x, 2 * x[::-1]), x)(x).toarray(), np.eye(3) + 2 * np.eye(3)[::-1]
    )
    assert_allclose(compile(jacfwd(lambda x: straight(x, mask)))(x), np.eye(3))


def test_work_is_told_apart_from_that_of_a_row_of_the_same_name():
    mine = custom_op(named(lambda a, b: a * b, "add"), partial=[1.0, 1.0], flops=7)
    x = np.ones(5)
    found = cost(lambda x: mine(x, x) + x, x).by_operation
    assert {name: row.flops for name, row in found.items()} == {"add": 5.0, f"{__name__}.add": 35.0}
