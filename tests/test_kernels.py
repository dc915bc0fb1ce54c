"""Every kernel passes as it is written, by each of its floating arguments alone and by all together, in every way."""

import numpy as np
import pytest
from kernels import KERNELS

from admodes import compile, grad, jacfwd, jacobian, jacrev

CASES = []
for name, (_, args) in KERNELS.items():
    floating = [i for i, a in enumerate(args) if np.asarray(a).dtype.kind == "f"]
    CASES += [(name, (i,)) for i in floating] + ([(name, tuple(floating))] if len(floating) > 1 else [])


def flat(name):
    """The kernel with all its results in one vector."""
    kernel = KERNELS[name][0]

    def f(*args):
        out = kernel(*args)
        return np.concatenate([np.ravel(y) for y in (out if isinstance(out, tuple) else (out,))])

    return f


def differences(f, args, argnums):
    """The Jacobian by central differences of fourth order, the columns of all arguments side by side."""
    columns = []
    for i in argnums:
        x = np.asarray(args[i], dtype=float)
        for k in range(x.size):
            parts = []
            for h, weight in ((1e-3, 8 / 12e-3), (2e-3, -1 / 12e-3)):
                step = np.zeros(x.size)
                step[k] = h
                ahead, behind = ([*args[:i], x + s * step.reshape(x.shape), *args[i + 1 :]] for s in (1, -1))
                parts.append(weight * (f(*ahead) - f(*behind)))
            columns.append(sum(parts))
    return np.stack(columns, axis=-1)


def beside(blocks, m):
    return np.hstack([np.reshape(b, (m, -1)) for b in blocks])


@pytest.mark.parametrize(("name", "argnums"), CASES, ids=lambda v: v if isinstance(v, str) else "".join(map(str, v)))
def test_kernel(name, argnums):
    f, args = flat(name), KERNELS[name][1]
    kept = [np.array(a) for a in args]
    value = f(*args)
    m = value.size
    expected = differences(f, args, argnums)
    forward = beside(jacfwd(f, argnums)(*args), m)
    np.testing.assert_allclose(forward, expected, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(beside(jacrev(f, argnums)(*args), m), forward, rtol=1e-10, atol=1e-11)
    u = np.linspace(0.5, 1.0, m)

    def weighted(*args):
        return np.sum(u * f(*args))

    for fast in (compile(grad(weighted, argnums)), grad(compile(weighted), argnums)):
        for _ in range(2):
            found = np.concatenate([np.ravel(g) for g in fast(*args)])
            np.testing.assert_allclose(found, u @ forward, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(compile(f)(*args), value, rtol=1e-12, atol=1e-13)
    if len(argnums) == 1:
        sparse = jacobian(f, argnums[0], mode="sparse")(*args)
        np.testing.assert_allclose(sparse.toarray(), forward, rtol=1e-10, atol=1e-11)
    for a, before in zip(args, kept, strict=True):
        np.testing.assert_array_equal(a, before)
