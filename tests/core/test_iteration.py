"""np.nditer over traced arrays and arrays that f makes."""

import numpy as np
import pytest

from admodes import Detached, compile, jacfwd, jacobian, jacrev, jvp

X = np.array([0.7, 1.3, -0.4, 2.1, 0.9, -1.1])


def read(x):
    s = 0.0
    for v in np.nditer(x):
        s = s + v * v
    return s


def written(x):
    y = x.copy()
    with np.nditer(y, op_flags=["readwrite"]) as elements:
        for v in elements:
            v[...] = 2 * v * v
    return y


def together(x):
    out = np.zeros((2, 3))
    for a, b, c in np.nditer([x.reshape(2, 3), x[:3], out], op_flags=[["readonly"], ["readonly"], ["writeonly"]]):
        c[...] = a * b
    return out


def allocated(x):
    with np.nditer([x.reshape(2, 3).T, x[:2], None]) as elements:
        for a, b, c in elements:
            c[...] = a * b
        return elements.operands[2]


def by_hand(x):
    y = np.zeros((3, 2))
    elements = np.nditer(x.reshape(2, 3), flags=["multi_index"])
    while not elements.finished:
        i, j = elements.multi_index
        y[j, i] = elements[0] ** 2
        elements.iternext()
    return y


def in_the_order_of_memory(x):
    return np.array([v * k for k, v in enumerate(np.nditer(x.reshape(2, 3).T))])


def in_the_order_of_fortran(x):
    return np.array([v * k for k, v in enumerate(np.nditer(x.reshape(2, 3), order="F"))])


def of_an_own_array(x):
    y = np.zeros(6)
    for k, v in enumerate(np.nditer(y, op_flags=["writeonly"])):
        v[...] = x[k] * k
    return y


def with_an_index(x):
    elements = np.nditer(x.reshape(2, 3).T, flags=["c_index"])
    return np.array([v * elements.index for v in elements])


FUNCTIONS = [
    read, written, together, allocated, by_hand, in_the_order_of_memory, in_the_order_of_fortran, of_an_own_array,
    with_an_index,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_elements(f):
    columns = [(np.ravel(f(X + h)) - np.ravel(f(X - h))) / 2e-6 for h in 1e-6 * np.eye(6)]
    expected = np.stack(columns, axis=-1)
    for jac in (jacfwd(f), jacrev(f), compile(jacrev(f)), lambda x: jacobian(f, mode="sparse")(x).toarray()):
        np.testing.assert_allclose(np.reshape(jac(X), expected.shape), expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], f(X))


@pytest.mark.parametrize("flag", ["external_loop", "buffered"])
def test_copies_of_elements_are_refused(flag):
    with pytest.raises(Detached, match=rf"np\.nditer\(x, flags=\[flag\]\).*np\.nditer with {flag}.*np\.ndindex"):
        jacrev(lambda x: sum(v.sum() for v in np.nditer(x, flags=[flag])))(X)


def test_plain_arrays_have_numpys_own():
    plain = np.arange(3.0)
    kinds = []

    def f(x):
        y = np.zeros(3)
        kinds.append(type(np.nditer(plain)))
        y[0] = x[0]
        return y

    jacrev(f)(X)
    assert set(kinds) == {np.nditer}
