"""einsum with many operands, empty ones and optimize=; what products cost."""

import itertools

import numpy as np
import pytest

from admodes import compile, cost, grad, jacfwd, jacrev, trace, vjp

rng = np.random.default_rng(12)
A, B, C, D = (rng.normal(size=shape) for shape in ((3, 4), (4, 5), (5, 2), (2,)))


@pytest.mark.parametrize("optimize", [False, True, "greedy", "optimal", ["einsum_path", (1, 2), (0, 1)]], ids=str)
def test_optimize_is_passed_on_counted_and_differentiated(optimize):

    def f(a, b, c):
        return np.einsum("ij,jk,kl->il", a, b, c, optimize=optimize)

    np.testing.assert_allclose(vjp(f, A, B, C)[0], A @ B @ C)
    for i in range(3):
        expected = jacfwd(lambda a, b, c: a @ b @ c, argnums=i)(A, B, C)
        for jac in (jacfwd, jacrev):
            np.testing.assert_allclose(jac(f, argnums=i)(A, B, C), expected, rtol=1e-12)
            np.testing.assert_allclose(compile(jac(f, argnums=i))(A, B, C), expected, rtol=1e-12)
    program = trace(f, A, B, C)
    assert ("optimize" in program.source) == (optimize is not False)
    np.testing.assert_allclose(program(A, B, C), A @ B @ C)
    if optimize is False:
        assert program.cost.flops == 3 * 3 * 4 * 5 * 2  # two multiplications and an addition each
    elif isinstance(optimize, list):
        assert program.cost.flops == 2 * (4 * 5 * 2 + 3 * 4 * 2)
    else:
        best = min(3 * 4 * 5 + 3 * 5 * 2, 4 * 5 * 2 + 3 * 4 * 2)
        assert program.cost.flops == 2 * best


def test_the_cost_of_three_operands():
    a, b, c = np.ones((60, 60)), np.ones((60, 60)), np.ones((60, 60))
    text = "ij,jk,kl->il"
    assert cost(lambda a: np.einsum(text, a, b, c), a).flops == 3 * 60**4
    assert cost(lambda a: np.einsum(text, a, b, c, optimize=True), a).flops == 4 * 60**3
    assert cost(lambda a: np.einsum("ij,jk->ik", a, b), a).flops == 2 * 60**3
    assert cost(grad(lambda a: np.einsum("ij,jk,kl->", a, b, c, optimize=True)), a).flops < 20 * 60**3
    assert cost(lambda x: np.einsum("bi,bj,ij->b", x, x, a), np.ones((7, 60))).flops == 3 * 7 * 60 * 60


@pytest.mark.parametrize("traced", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_the_cost_of_a_product_of_several_matrices(traced):
    """Products of the constants among them are work too."""
    factors = [rng.normal(size=shape) for shape in ((5, 6), (6, 7), (7, 2))]

    def f(*given):
        full = list(factors)
        for i, x in zip(traced, given, strict=True):
            full[i] = x
        return np.linalg.multi_dot(full)

    given = [factors[i] for i in traced]
    assert cost(f, *given).flops == 2 * (6 * 7 * 2 + 5 * 6 * 2)
    np.testing.assert_allclose(compile(f)(*given), np.linalg.multi_dot(factors))
    slope = grad(lambda *given: np.sum(f(*given)))
    np.testing.assert_allclose(compile(slope)(*given), slope(*given))
    J = jacfwd(f)(*given)
    np.testing.assert_allclose(J, jacrev(f)(*given), rtol=1e-12)


@pytest.mark.parametrize("exponent", [2, 2.0, 0.5, -1, 1])
def test_a_power_that_numpy_takes_as_one_operation(exponent):
    x = np.arange(1.0, 5.0)
    assert cost(lambda x: x**exponent, x).flops == 4
    assert cost(lambda x: x**1.7, x).flops == cost(lambda x: x**3, x).flops == 40
    assert cost(lambda x: x * x, x).flops == cost(np.square, x).flops == 4


EXTENTS = [(3, 0, 2), (3, 1, 2), (3, 2, 2), (0, 1, 2), (3, 0, 0), (1, 1, 1)]


@pytest.mark.parametrize(("text", "axes"), [
    ("ijk,jk->i", (1, 2)), ("ijk,jk->ik", (1, 2)), ("ijk,k->ij", (2,)), ("ijk,ij->", (0, 1)), ("ijk,jk->j", (1, 2)),
    ("ijk,->ij", ()),
])  # fmt: skip
def test_extents_of_nothing_and_of_one(text, axes):
    """All that NumPy evaluates: an extent of 1 beside any other, 0 too."""
    evaluated = 0
    for shape, others in itertools.product(EXTENTS, EXTENTS):
        a, b = rng.normal(size=shape), rng.normal(size=tuple(others[k] for k in axes))
        try:
            y = np.einsum(text, a, b)
        except ValueError:
            continue
        evaluated += 1
        value, pullback = vjp(lambda a, b: np.einsum(text, a, b), a, b)
        np.testing.assert_allclose(value, y)
        ga, gb = pullback(np.ones(y.shape))
        assert (ga.shape, gb.shape) == (a.shape, b.shape)
        for i, g in enumerate((ga, gb)):
            J = jacfwd(lambda a, b: np.einsum(text, a, b), argnums=i)(a, b)
            np.testing.assert_allclose(g, np.sum(J, axis=tuple(range(y.ndim))))
    assert evaluated >= 6
