"""Contractions by np.einsum as matrix products: which become some, and that they are the same."""

import numpy as np
import pytest

from admodes import compile, grad, trace
from admodes.core.registry import OPS
from admodes.program.passes import optimise

SIZES = {"i": 3, "j": 4, "k": 5, "n": 6, "o": 1}


def arrays(text, dtype=np.float64):
    rng = np.random.default_rng(2)
    return [rng.normal(size=[SIZES[c] for c in s]).astype(dtype) for s in text.split("->")[0].split(",")]


def einsums(program):
    return sum(i.op is OPS[np.einsum] for i in program.instructions)


PRODUCTS = [
    "kij,nkj->nki", "ij,jk->ki", "nij,njk->nik", "nkj,kij->ink", "ijk,nkj->in", "oij,njo->in", "ijo,nj->ni", "ij,kj",
]  # fmt: skip
OTHERS = ["ij,ij->i", "i,j->ij", "ij,j->i", "ii,ij->j", "ij,jk->", "ij->ji"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("text", PRODUCTS)
def test_contractions_that_are_products(text, dtype):
    a, b = arrays(text, dtype)

    def f(a, b):
        return np.einsum(text, a, b) * 2

    program = optimise(trace(f, a, b))
    assert einsums(program) == 0
    found, expected = program(a, b), f(a, b)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == np.float32 else 1e-13)
    if dtype == np.float64:
        g = grad(lambda a, b: np.sum(np.sin(np.einsum(text, a, b))), argnums=(0, 1))
        for x, y in zip(compile(g, native=False)(a, b), g(a, b), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("text", OTHERS)
def test_contractions_that_stay(text):
    given = [np.random.default_rng(0).normal(size=(4,) * len(s)) for s in text.split("->")[0].split(",")]

    def f(*given):
        return np.einsum(text, *given) * 2

    program = optimise(trace(f, *given))
    assert einsums(program) == 1
    np.testing.assert_array_equal(program(*given), f(*given))


def test_random_contractions():
    rng = np.random.default_rng(6)
    letters = "ijkn"
    for _ in range(60):
        a, b = ("".join(rng.permutation(list(letters))[: rng.integers(1, 4)]) for _ in range(2))
        both = sorted(set(a + b))
        out = "".join(rng.permutation([c for c in both if rng.integers(2)]))
        text = f"{a},{b}->{out}"
        given = arrays(text)

        def f(*given, text=text):
            return np.einsum(text, *given)

        np.testing.assert_allclose(compile(f, native=False)(*given), f(*given), rtol=1e-12, atol=1e-13)


def test_whole_numbers_stay():
    a = np.arange(6).reshape(2, 3)

    def f(x):
        return x * np.sum(np.einsum("ij,kj->ik", a, a))

    assert compile(f, native=False)(2.0) == f(2.0)
