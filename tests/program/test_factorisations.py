"""Equations with one matrix share its factors: as exact as each by itself, with the errors of NumPy."""

import numpy as np
import pytest

from admodes import compare, compile, grad, hessian, jacfwd, jvp, trace
from admodes.program.factorisations import DETERMINANT, FACTORS, INVERSE, SIGN_AND_LOGARITHM, SOLUTION
from admodes.program.passes import PASSES, optimise

RNG = np.random.default_rng(1)

USES = {
    "solve, vector": lambda a, b, B: np.linalg.solve(a, b),
    "solve, matrix": lambda a, b, B: np.linalg.solve(a, B),
    "solve, transposed": lambda a, b, B: np.linalg.solve(a.T, B),
    "solve, swapped": lambda a, b, B: np.linalg.solve(np.swapaxes(a, 0, 1), b),
    "inv": lambda a, b, B: np.linalg.inv(a),
    "det": lambda a, b, B: np.linalg.det(a),
    "slogdet": lambda a, b, B: np.linalg.slogdet(a),
}


def flat(y):
    return [np.asarray(part) for one in y for part in (one if isinstance(one, tuple) else (one,))]


def given(dtype, n=7):
    a, b, B = (RNG.normal(size=s) for s in ((n, n), (n,), (n, 3)))
    if np.dtype(dtype).kind == "c":
        a, b, B = (x + 1j * RNG.normal(size=x.shape) for x in (a, b, B))
    return tuple(x.astype(dtype) for x in (a, b, B))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.complex64])
@pytest.mark.parametrize("second", USES)
@pytest.mark.parametrize("first", USES)
def test_two_uses_of_one_matrix_share_its_factors(first, second, dtype):
    def f(a, b, B):
        return USES[first](a, b, B), USES[second](a + 0, 2 * b, 2 * B) if first == second else USES[second](a, b, B)

    args = given(dtype)
    program = optimise(trace(f, *args), PASSES)
    assert sum(i.op is FACTORS for i in program.instructions) == (first != second)
    close = 1e-9 if np.dtype(dtype).itemsize // (1 + (np.dtype(dtype).kind == "c")) == 8 else 2e-3
    for found, expected in zip(flat(program(*args)), flat(f(*args)), strict=True):
        assert found.dtype == expected.dtype
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, expected, rtol=close, atol=close)


def test_one_use_and_other_matrices_stay_numpys():
    def f(a, b, B):
        return np.linalg.solve(a, b), np.linalg.inv(a + 1), np.linalg.det(2 * a)

    program = optimise(trace(f, *given(float)), PASSES)
    assert not any(i.op in (FACTORS, SOLUTION, INVERSE, DETERMINANT) for i in program.instructions)


def likelihood(scale, t, y):
    C = np.exp(-scale * (t[:, None] - t) ** 2) + 0.1 * np.eye(len(t))
    return 0.5 * y @ np.linalg.solve(C, y) + 0.5 * np.linalg.slogdet(C)[1]


@pytest.mark.parametrize("native", [False, True])
def test_derivatives_of_a_likelihood_factorise_once(native):
    if native:
        pytest.importorskip("llvmlite")
    t, y = np.linspace(0, 3, 12), RNG.normal(size=12)
    for derivative in (grad(likelihood), grad(likelihood, 2), jacfwd(likelihood), hessian(likelihood)):
        np.testing.assert_allclose(
            compile(derivative, native=native)(0.7, t, y), derivative(0.7, t, y), rtol=1e-9, atol=1e-11
        )
    ops = [i.op for i in optimise(trace(grad(likelihood), 0.7, t, y), PASSES).instructions]
    assert ops.count(FACTORS) == ops.count(INVERSE) == 1
    assert not any(op.fn in (np.linalg.solve, np.linalg.inv) for op in ops)
    pushed = jvp(compile(likelihood), (0.7, t, y), (1.0, 0 * t, 0 * y))[1]
    np.testing.assert_allclose(pushed, grad(likelihood)(0.7, t, y), rtol=1e-9)


@pytest.mark.parametrize("a", [np.zeros((2, 2)), np.array([[1.0, 2.0], [2.0, 4.0]])])
def test_a_singular_matrix_is_what_it_is_to_numpy(a):
    def divides(a, b):
        return np.linalg.solve(a, b), np.linalg.inv(a)

    b = np.ones(2)
    fast = compile(divides)
    fast(np.eye(2), b)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        fast(a, b)
    program = optimise(trace(lambda a: (np.linalg.det(a), np.linalg.slogdet(a)), np.eye(2)), PASSES)
    assert [i.op for i in program.instructions][:2].count(FACTORS) == 1
    assert any(i.op is SIGN_AND_LOGARITHM for i in program.instructions)
    determinant, (sign, logarithm) = program(a)
    assert determinant == sign == 0
    assert logarithm == -np.inf


def test_nan_goes_on():
    fast = compile(lambda a, b: (np.linalg.solve(a, b), np.linalg.inv(a), np.linalg.det(a)))
    fast(np.eye(2), np.ones(2))
    assert all(np.isnan(y).all() for y in fast(np.full((2, 2), np.nan), np.ones(2)))


def test_signs_of_determinants_follow_the_swaps():
    fast = compile(lambda a: (np.linalg.det(a), np.linalg.slogdet(a)))
    for n in range(1, 7):
        for _ in range(20):
            a = np.eye(n)[RNG.permutation(n)] * RNG.choice([-1.0, 2.0], n)
            determinant, (sign, _) = fast(a)
            assert np.sign(determinant) == sign == np.linalg.slogdet(a)[0]


def test_what_shares_factors_has_a_price():
    t, y = np.linspace(0, 3, 12), RNG.normal(size=12)
    text = str(compare(lambda s: likelihood(s, t, y), 0.7, max_seconds=0.01))
    assert "compiled" in text
