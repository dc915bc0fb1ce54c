"""The Jacobian by elimination as flat code: against reverse mode at other points than that of the trace."""

import numpy as np
import pytest

import admodes as ad
from admodes.elimination import accumulation, linearized_graph
from experiments.scalar_functions import EXAMPLES

RNG = np.random.default_rng(0)
M = RNG.standard_normal((3, 4))
SPD = np.eye(3) * 4 + np.ones((3, 3))


def branching(x):
    return x**3 if x[0] > 0 else np.stack([x[1], x[0] * x[1], x[2]])


FUNCTIONS = {
    "elementwise": lambda x: np.sin(x) * np.exp(x[::-1]) / (2 + np.cos(x)),
    "shared": lambda x: np.stack([x[0] * x[0], x[1] ** 2 + x[0]]) * x[:2],
    "layers": lambda x: np.tanh(M @ np.tanh(M.T @ (M @ x))),
    "reductions": lambda x: np.stack([np.sum(x**2), np.prod(x), np.max(x), np.linalg.norm(x)]),
    "where": lambda x: np.where(x > 0.1, x * x, np.sin(x)),
    "moves": lambda x: np.concatenate([np.sort(x)[::-1], np.cumsum(x), x.reshape(2, 2).T.ravel()]),
    "solve": lambda x: np.linalg.solve(SPD * x[0], x[1:] * x[:3]),
    "constant rows": lambda x: np.stack([x[0], np.float64(3.0), x[1] * 0.0 + x[2]]),
    "linear": lambda x: M @ x,
    "branch": branching,
    "gradient": ad.grad(lambda x: np.sum(np.sin(x[1:] * x[:-1]) ** 2)),
    "scalar": lambda x: np.prod(np.cos(x)),
}
POINT = np.array([0.7, -0.4, 0.2, 1.3])


@pytest.mark.parametrize("order", ["forward", "reverse", "markowitz"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_of_any_order_gives_the_jacobian(name, order):
    f = FUNCTIONS[name]
    program = accumulation(f, POINT, order=order)
    for x in (POINT, POINT * 1.1, POINT + np.array([0.05, -0.02, 0.1, -0.1])):
        J = np.atleast_2d(ad.jacrev(f)(x))
        np.testing.assert_allclose(program(x), J, rtol=1e-12, atol=1e-14)
    assert program(POINT).shape == J.shape
    assert program(POINT).dtype == np.float64


def test_several_arguments_single_precision_and_an_order_of_ones_own():
    def f(p, b):
        return p["w"] * np.sin(b) + p["c"]

    p = {"w": np.float32([1, 2]), "c": np.float32([3])}
    b = np.float32([0.5, 0.25])
    program = accumulation(f, p, b, order=lambda graph: sorted(graph.intermediates, reverse=True))
    J = linearized_graph(f, p, b).accumulate("forward")
    found = program(p, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, J, rtol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        branching,
        lambda x: np.median(x) * x,
        lambda x: np.sort(x * x)[1:3],
        lambda x: np.sum(np.where(x > 0, x**2, np.sin(x))),
        lambda x: np.cumsum(np.take_along_axis(x**2, np.argsort(x), 0)),
        lambda x: np.max(x) * x[0] + np.min(x),
    ],
    ids=["if", "median", "sort", "where", "along", "max"],
)
def test_another_branch_is_refused_or_right(f):
    program = accumulation(f, POINT, order="forward")
    x = -POINT
    try:
        found = program(x)
    except ad.GuardFailed:
        return
    np.testing.assert_allclose(found, np.atleast_2d(ad.jacrev(f)(x)), rtol=1e-12)


def test_a_branch_is_a_guard():
    with pytest.raises(ad.GuardFailed):
        accumulation(branching, POINT, order="forward")(-POINT)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.graph)
def test_functions_of_the_literature(example):
    f, x = example.function, example.point
    graph = linearized_graph(f, x)
    sequence = graph.order("annealed")
    program = accumulation(f, x, order=sequence)
    for scale in (1.0, 0.9, 1.1):
        J = ad.jacrev(f)(scale * x)
        np.testing.assert_allclose(program(scale * x), J, rtol=1e-11, atol=1e-13 * np.abs(J).max())
    # Products with ±1 are not written; beside the others stand those of f and of its partials.
    outside = sum(i.op.fn is np.multiply for i in ad.trace(lambda x: ad.jvp(f, (x,), (x,)), x).instructions)
    assert sum(i.op.fn is np.multiply for i in program.instructions) <= graph.count(sequence) + outside
    if example.graph == "HumanHeartDipole":  # written as others wrote it: the same graph
        assert graph.count(sequence) == graph.lower_bound() == 148
