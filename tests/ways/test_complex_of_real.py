"""Complex results of real arguments: by every way the right matrix, or an error that says why not."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from admodes import hessian, jacfwd, jacobian, jacrev, linearize, sparse_jacobian_plan, trace
from admodes.transforms.recording import Recording

X = np.array([1.0, 2.0, 3.0])
FUNCTIONS = {
    "square": lambda x: x * np.exp(1j * x),
    "wide": lambda x: np.sum(x) * (1 + 2j),
    "tall": lambda x: np.concatenate([x * 1j, x, x**2 * (1 - 1j)]),
    "two results": lambda x: (x * 2.0, x[:1] * 1j),
}
every_function = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
BY_ROWS = {
    "jacrev": lambda f: jacrev(f)(X),
    "jacrev in chunks": lambda f: jacrev(f, chunk=1)(X),
    "jacobian": lambda f: jacobian(f, mode="reverse")(X),
    "traced": lambda f: trace(jacrev(f), X),
    "workers": lambda f: jacobian(f, mode="reverse", executor=ThreadPoolExecutor(1))(X),
    "coloured": lambda f: sparse_jacobian_plan(f, X, mode="reverse")(X),
    "transpose": lambda f: linearize(f, X)[1].T @ np.ones(linearize(f, X)[1].shape[0]),
    "adjoint": lambda f: linearize(f, X)[1].H @ np.ones(linearize(f, X)[1].shape[0]),
    "hessian": lambda f: hessian(f, mode="reverse-over-forward")(X),
}


def matrix(blocks):
    blocks = blocks if isinstance(blocks, tuple) else (blocks,)
    return np.concatenate([np.reshape(b, (-1, X.size)) for b in blocks])


def right(f):
    step = 1e-6

    def flat(x):
        return np.concatenate([np.ravel(y) for y in (f(x) if isinstance(f(x), tuple) else (f(x),))])

    return np.stack([(flat(X + e) - flat(X - e)) / (2 * step) for e in step * np.eye(3)], axis=1)


@every_function
def test_forward_ways_are_right(f):
    for way in (jacfwd(f), jacfwd(f, chunk=2), jacobian(f), jacobian(f, mode="forward")):
        np.testing.assert_allclose(matrix(way(X)), right(f), atol=1e-8)
    np.testing.assert_allclose(linearize(f, X)[1].dense(), right(f), atol=1e-8)
    np.testing.assert_allclose(linearize(f, X)[1] @ np.eye(3), right(f), atol=1e-8)


@every_function
def test_coloured_columns_are_right(f):
    if f is not FUNCTIONS["two results"]:
        np.testing.assert_allclose(sparse_jacobian_plan(f, X, mode="forward")(X).toarray(), right(f), atol=1e-8)


@every_function
@pytest.mark.parametrize("way", BY_ROWS.values(), ids=BY_ROWS)
def test_rows_are_refused(f, way):
    with pytest.raises(TypeError, match="real arguments and a complex result"):
        way(f)


def test_holomorphic_functions_have_rows():
    z = X + 0.5j
    np.testing.assert_allclose(jacrev(np.exp, holomorphic=True)(z), np.diag(np.exp(z)))
    assert Recording(np.exp, (z,)).has_rows
    assert not Recording(lambda x: x * 1j, (X,)).has_rows
