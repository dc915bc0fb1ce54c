"""Functions that fill arrays of their own run again: how often, nested, and with arrays from outside."""

import contextlib

import numpy as np
import pytest
import scipy.sparse.csgraph
import scipy.spatial
from checks import jacobian_by_differences
from filling import X, check

import admodes
from admodes import Detached, compile, grad, hessian, jacfwd, jacrev, jvp, value_and_grad, vjp

# How often f runs --------------------------------------------------------------------------------------


def test_runs():
    """Once where nothing detaches; twice on the first call that does, then once."""
    runs = []

    def never(x):
        runs.append(type(np.zeros(3)))
        y = np.ones(3)
        y[0] = 2.0
        return np.sum(y * x)

    grad(never)(X)
    grad(never)(X)
    assert runs == [np.ndarray, np.ndarray]
    runs.clear()

    def filling(x):
        runs.append(0)
        y = np.zeros(3)
        y[0] = x[0]
        return np.sum(y)

    counts = []
    for transform in (grad(filling), grad(filling), jacfwd(filling), grad(lambda x: filling(x)), hessian(filling)):
        runs.clear()
        transform(X)
        counts.append(len(runs))
    assert counts == [2, 1, 1, 2, 1]


def test_the_switch():
    def f(x):
        y = np.zeros(3)
        y[0] = x[0]
        return np.sum(y)

    for _ in range(2):
        with admodes.no_rerun(), pytest.raises(Detached, match=r"y\[0\] = x\[0\]"):
            grad(f)(X)
        assert grad(f)(X)[0] == 1.0


def test_a_time_limit_ends_f_and_does_not_run_it_again():
    runs = []

    def f(x):
        runs.append(x)
        with contextlib.suppress(Detached):
            float(x[0])
        raise TimeoutError("ten seconds are over")  # as a handler of signals does, at any line

    with pytest.raises(TimeoutError, match="ten seconds"):
        grad(f)(X)
    assert len(runs) == 1


# Nested transforms -------------------------------------------------------------------------------------


def test_nested():
    def inner(x, s):
        y = np.zeros(3)
        y[0] = x[0] ** 2 * s
        y[1] = x[1] * y[0]
        return np.sum(y)

    def f(x):
        g = np.empty(3)
        g[:] = grad(inner)(x, x[2])
        value, t = jvp(lambda s: inner(x, s), (x[0],), (1.0,))
        g[0] += value * t
        return g

    check(f)


@pytest.mark.parametrize("fill", [lambda y, v: y.__setitem__(slice(None), v), lambda y, v: y.__iadd__(v)])
def test_a_whole_array_of_a_transform_below_is_stored(fill):
    def f(x, y):
        y = np.copy(y)
        fill(y[1:], x[1:])
        return np.sum(y * y * x)

    def both(x):
        return grad(f, 1)(x, X)

    expected = grad(f, 1)(X, X)
    np.testing.assert_array_equal(compile(grad(f, 1))(X, X), expected)
    np.testing.assert_allclose(jacfwd(both)(X), jacobian_by_differences(both, X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jacrev(both)(X), jacobian_by_differences(both, X), rtol=1e-6, atol=1e-8)


def test_a_value_of_the_outer_transform_in_an_array_of_the_outer_function():
    def f(x):
        memo = np.zeros(2)

        def g(s):
            memo[0] = x[1] * x[0]  # none of g's own arrays: it is f that runs again
            return s * s * memo[0]

        return grad(g)(x[2]) + memo[0]

    np.testing.assert_allclose(
        grad(f)(X), jacobian_by_differences(lambda x: 2 * x[2] * x[1] * x[0] + x[1] * x[0], X), rtol=1e-8
    )


def test_arrays_handed_to_transforms_inside():
    def f(x):
        y = np.zeros(3)
        c = np.linspace(0.5, 1.0, 3)
        g = grad(lambda v: np.sum(v**3))(c)  # plain
        y[0] = x[0]
        value, pull = vjp(lambda v: v * y, c)
        return y + g + value + pull(c)[0] + jvp(lambda v: v * v, (c,), (c,))[1] + compile(np.sin)(c)

    check(f)


def test_what_is_returned_beside_the_value():
    def f(x):
        y, z = np.zeros(3), x * 2
        view = z[1:]
        y[0] = x[0] ** 2
        z[2] = x[1]
        return np.sum(x), (y, z, view, np.ones(2))

    _, aux = grad(f, has_aux=True)(X)
    for found, expected in zip(aux, f(X)[1], strict=True):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)


def test_results_are_plain():
    def f(x):
        y, w = np.zeros(3), np.ones(3)
        y[0] = x[0]
        return {"y": y, "w": w, "half": w / 2}

    primal, tangent = jvp(f, (X,), (X,))
    assert {type(v) for v in (*primal.values(), *tangent.values())} == {np.ndarray}
    ((_, aux), _) = value_and_grad(lambda x: (np.sum(f(x)["y"]), (f(x)["w"], np.ones(2))), has_aux=True)(X)
    assert [type(a) for a in aux] == [np.ndarray, np.ndarray]


# Arrays from outside ---------------------------------------------------------------------------------


def test_arrays_from_outside_still_raise():
    outside = np.zeros(3)

    def aliased(x):
        y = np.asarray(outside)
        y[0] = x[0]
        return y

    def reshaped(x):
        y = np.asarray(outside).reshape(1, 3)[0]
        y += x
        return y

    def argument(x, table):
        table[0] = x[0]
        return np.sum(table)

    for f in (aliased, reshaped):
        with pytest.raises(Detached, match=r"test_creation_again\.py, line \d+: y.*np\.copy\(y\)"):
            jacrev(f)(X)
    with pytest.raises(Detached, match=r"line \d+: table\[0\] = x\[0\].*table = np\.copy\(table\)"):
        grad(argument)(X, outside)
    np.testing.assert_array_equal(outside, 0)
    for made in (lambda t: t.copy(), lambda t: t + 0.0, lambda t: np.array(t), lambda t: t.reshape(3, 1)[:, 0].copy()):
        assert grad(lambda x, t, made=made: argument(x, made(t)))(X, outside).tolist() == [1.0, 0.0, 0.0]
        assert grad(lambda x, t, made=made: argument(x, made(t)))(X, t=outside).tolist() == [1.0, 0.0, 0.0]
    y = grad(lambda x, table: argument(x, np.copy(table)))(X, outside)
    assert y.tolist() == [1.0, 0.0, 0.0]


def test_an_array_held_with_another_dtype_raises():
    def f(x):
        z = np.zeros(3, dtype=complex)
        part = z.view(float)
        z[0] = x[0]
        return np.real(z) + part[::2]

    def through_it(x):
        z = np.zeros(3, dtype=complex)
        z.view(float)[0] = x[0]
        return np.real(z)

    with pytest.raises(Detached, match=r"z\[0\] = x\[0\]"):
        jacfwd(f)(X)
    with pytest.raises(Detached, match=r"into z\.view\(float\), the memory .* into z\.real and z\.imag"):
        jacfwd(through_it)(X)


def whole_after_a_part(x):
    z = np.zeros(3, dtype=complex)
    part = z.imag
    z[0] = x[0] + 2j * x[1]
    return np.real(z) + part


def part_in_place(x):
    z = np.ones((2, 3), dtype=complex)
    r, i = z.real, z.T.imag
    r += x
    i[:, 1] = x * x
    return np.abs(z) ** 2 + z[0] * i.T


def elements_of_parts(x):
    z = np.zeros(3, dtype=complex)
    z.real[0], z.imag[::-1][0] = x[1], x[0]
    np.multiply(x, x, out=z[::-1].imag)
    return z * z


def of_one_element(x):
    z = np.zeros((1, 1), dtype=complex)
    z.imag[0, 0] = x[0] * x[1]
    z.real[...] = x[2]
    return z**3


@pytest.mark.parametrize("f", [whole_after_a_part, part_in_place, elements_of_parts, of_one_element])
def test_parts_of_complex_arrays_that_f_makes_show_what_is_stored_and_take_it(f):
    check(lambda x: np.concatenate([np.ravel(f(x).real), np.ravel(f(x).imag)]))


# ---------------------------------------------------------------------------------------------------
# np.r_ and np.c_, and arrays of objects beside lists
# ---------------------------------------------------------------------------------------------------

JOINED = {
    "r_": lambda x: np.r_[x, 1.0, x[0], 0:1:3j],
    "c_": lambda x: np.c_[x, x * x, np.ones(3)],
    "c_ of a matrix": lambda x: np.c_[np.outer(x, x), x],
    "a list": lambda x: np.r_[[x[0], 2.0], x],
    "one": lambda x: np.c_[x],
    "three axes": lambda x: np.c_[np.ones((2, 1, 3)) * x, np.ones((2, 1, 3))],
}


@pytest.mark.parametrize("f", JOINED.values(), ids=JOINED)
def test_what_r_and_c_give_is_an_array_that_can_be_changed(f):
    def changed(x):
        y = f(x)
        v = y.T.reshape(-1)  # a view or a copy, by the order in memory
        v[1:] *= v[:-1]
        return np.concatenate([np.ravel(y), v])

    x = np.array([0.2, 0.35, 0.5])
    right = np.stack([(changed(x + h) - changed(x - h)) / 2e-6 for h in 1e-6 * np.eye(3)], axis=-1)
    assert vjp(f, x)[0].strides == f(x).strides
    for way in (jacfwd, jacrev, lambda f: compile(jacfwd(f))):
        np.testing.assert_allclose(way(changed)(x), right, atol=1e-8)


# By code in C that f calls, which makes arrays of its own and fills them by their addresses.
IN_C = {
    "normal": lambda: np.random.default_rng(3).normal(size=3),
    "normal around": lambda: np.random.default_rng(3).normal(np.zeros(3), 1.0),
    "random": lambda: np.random.default_rng(3).random(3),
    "dirichlet": lambda: np.random.default_rng(3).dirichlet([1.0, 2.0, 3.0]),
    "choice": lambda: np.random.default_rng(3).choice(3, size=3, p=[0.2, 0.3, 0.5]),
    "seeded": lambda: np.random.RandomState(3).uniform(size=3),
    "hull": lambda: [scipy.spatial.ConvexHull(POINTS).volume] * 3,
    "tree": lambda: scipy.spatial.cKDTree(POINTS).query(POINTS[:3] + 0.1)[0],
    "paths": lambda: scipy.sparse.csgraph.dijkstra(np.abs(POINTS @ POINTS.T))[0, :3],
}
POINTS = np.random.default_rng(0).normal(size=(6, 2))


@pytest.mark.parametrize("made", IN_C.values(), ids=IN_C)
@pytest.mark.parametrize("way", [value_and_grad, lambda f: compile(value_and_grad(f))])
def test_arrays_made_in_c_are_numpys(made, way):
    def f(s):
        y = np.zeros(3)
        for k, v in enumerate(made()):
            y[k] = s * v
        return np.sum(y)

    value, slope = way(f)(2.0)
    np.testing.assert_allclose([value, slope], [2 * np.sum(made()), np.sum(made())], rtol=1e-12)


def test_the_base_of_a_view_is_the_array_it_is_of():
    def f(s):
        y = np.zeros(6)
        v = y[1:4]
        assert v[1:].base is y
        v.base[2] = s
        return np.sum(y) + v[1]

    assert value_and_grad(f)(2.0) == (4.0, 2.0)


def test_an_array_whose_memory_f_holds_takes_no_traced_value():
    def f(s):
        y = np.zeros(3)
        data = y.data
        y[0] = s
        data[1] = 5.0
        return np.sum(y)

    with pytest.raises(Detached, match=r"\.data"):
        grad(f)(2.0)


# Of an array of f's own, which a run that is watched traces, and that is written to the whole of an argument.
INTO_AN_ARGUMENT = {
    "sum": lambda w, x: np.add(w, w, out=x),
    "cumsum": lambda w, x: np.cumsum(w, out=x),
    "accumulate": lambda w, x: np.multiply.accumulate(w, out=x),
    "matmul": lambda w, x: np.matmul(np.ones((3, 3)), w, out=x),
    "einsum": lambda w, x: np.einsum("i->i", w, out=x),
    "a view": lambda w, x: np.add(w, w, out=x[:]),
    "assignment": lambda w, x: x.__setitem__(..., w),
}


@pytest.mark.parametrize("write", INTO_AN_ARGUMENT.values(), ids=INTO_AN_ARGUMENT)
def test_what_is_constant_is_written_to_an_argument_of_a_program(write):
    def f(x):
        w = np.arange(3.0)
        write(w, x)
        w[1] = x[2]
        return x, w

    compiled = compile(f)
    for k in range(2):
        mine, numpys = X[:3].copy(), X[:3].copy()
        with contextlib.nullcontext() if k else pytest.warns(UserWarning, match="f changes an argument"):
            both = compiled(mine)
        for found, right in zip(both, f(numpys), strict=True):
            np.testing.assert_array_equal(found, right)
        np.testing.assert_array_equal(mine, numpys)


def test_an_order_in_words_is_refused():
    with pytest.raises(Detached, match=r"np\.concatenate"):
        jacfwd(lambda x: np.r_["0,2", x, x])(np.ones(3))


@pytest.mark.parametrize("change", ["put", "copyto", "place", "put_along_axis"])
def test_an_array_of_objects_is_changed_where_lists_are_gathered_too(change):
    calls = {
        "put": lambda o, v: np.put(o, [0], [v]),
        "copyto": lambda o, v: np.copyto(o[:1], [v]),
        "place": lambda o, v: np.place(o, [True, False], [v]),
        "put_along_axis": lambda o, v: np.put_along_axis(o, np.array([0]), np.array([v], dtype=object), 0),
    }

    def f(x):
        o = np.empty(2, dtype=object)
        o[:] = x[0], x[1]
        calls[change](o, x[1] * 3)
        return np.sum(np.exp([x[0], 1.0])) + o[0] * o[1]

    x = np.array([0.2, 0.35])
    for way in (jacfwd, jacrev, lambda f: compile(grad(f))):
        np.testing.assert_allclose(way(f)(x), [np.exp(0.2), 6 * 0.35])


def test_piecewise_of_no_axes_is_an_array():
    def f(x):
        y = np.piecewise(x, [x > 0], [np.sin, 0.25])
        y[...] = y * 2
        return y

    for x, right in ((np.array(0.3), 2 * np.cos(0.3)), (-0.3, 0.0)):
        assert type(vjp(f, x)[0]) is np.ndarray
        assert all(np.allclose(way(f)(x), right) for way in (jacfwd, jacrev))


def test_what_vectorize_gives_lies_in_memory_as_numpys_does():
    def f(x):
        y = np.vectorize(lambda a, b: a * b)(x, 2.0)
        y.ravel("K")[0] = x[0, 1]
        y.reshape(-1)[1] = 0.5
        return y

    c = np.arange(12.0).reshape(3, 4)
    stretched = [np.broadcast_to(c, (2, 3, 4))[0], np.broadcast_to(c.T[:, :1], (4, 3)), np.fliplr(np.meshgrid(c, c)[0])]
    for x in (c, c.T, np.asfortranarray(c), c[::-1], c[:, ::2], *stretched):
        y, pullback = vjp(f, x)
        assert y.strides == f(x).strides
        np.testing.assert_array_equal(y, f(x))
        np.testing.assert_allclose(pullback(np.ones(y.shape))[0], np.tensordot(np.ones(y.shape), jacfwd(f)(x), 2))


# Arrays of complex traced values --------------------------------------------------------------------------------------

Z = {
    "full": lambda z: np.full(3, z[0]),
    "full of a shape, order and dtype": lambda z: np.full((3, 2), z, complex, order="F"),
    "full of real values": lambda z: np.full(2, z[0].real),
    "full of integers": lambda z: np.full(2, z[0].imag * 3, int),
    "full_like": lambda z: np.full_like([1j, 2.0], z[0]),
    "full_like of integers": lambda z: np.full_like(np.arange(3), z[0].imag * 3),
    "vectorize": lambda z: np.vectorize(lambda t: np.exp(1j * t))(z.imag),
    "vectorize of a plain array": lambda z: np.vectorize(lambda t: z[0] * t)(np.arange(3.0)),
    "vectorize to integers": lambda z: np.vectorize(lambda t: t * 3, [int])(z.imag),
    "vectorize, the first result an integer": lambda z: np.vectorize(lambda t: 0 if t > 0 else t)(z.imag),
    "vectorize with two results": lambda z: np.stack(np.vectorize(lambda t: (t, t * 1j))(z.imag)),
    "a list in a list": lambda z: np.concatenate([[z[0]], [1.0]]),
    "interp": lambda z: np.interp([0.5], [0.0, 1.0], [z[0], 1j]),
    "diag": lambda z: np.diag([z[0], 1.0]),
    "vander": lambda z: np.vander([z[0], 1.0]),
    "copy": lambda z: np.copy([z[0], 1.0]),
    "tril": lambda z: np.tril([[z[0], 1.0]]),
    "require": lambda z: np.require([z[0], 1.0], requirements="CW"),
    "require of its own": lambda z: np.require(z, requirements=["O", "F"]),
    "lists": lambda z: np.cumsum([z[0], 1.0]) + np.ravel([z[0], 1.0]) + np.roll([z[0], 1.0], 1),
    "lists made longer": lambda z: np.tile([z[0]], 2) + np.repeat([z[0]], 2) + np.append([z[0]], 2),
}


@pytest.mark.parametrize("make", Z.values(), ids=Z)
def test_parts_of_arrays_made_of_complex_values(make):
    """NumPy takes an array of objects for real: its .real would be the array, its .imag zeros."""

    def f(x):
        a = np.asarray(make(x[0] * np.exp(1j * x)))
        return np.sum(a.real**2 + 3 * a.imag) + (a.dtype.kind == "c") * np.sum(np.where(a.real > 0.1, a.imag, 2.0))

    x, t = np.array([0.9, 0.4]), np.array([1.0, -2.0])
    slope = (f(x + 1e-5 * t) - f(x - 1e-5 * t)) / 2e-5
    for way in (jvp(f, (x,), (t,)), (vjp(f, x)[0], grad(f)(x) @ t), (compile(f)(x), compile(grad(f))(x) @ t)):
        np.testing.assert_allclose(way, (f(x), slope), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: np.polynomial.polynomial.polyval(np.arange(3.0), np.exp(1j * x)),
        lambda x: np.vectorize(lambda t, by: np.exp(by * t))(x, by=1j),
        lambda x: np.apply_along_axis(lambda r: np.exp(1j * r * x[0]), 0, np.arange(3.0)),
    ],
)
def test_arrays_of_complex_objects_raise(make):
    for way in (jacfwd, jacrev, compile):
        with pytest.raises(Detached, match="makes an array of Python objects"):
            way(lambda x: np.sum(make(x).imag * 2))(X)


# Arrays of integers and truths ----------------------------------------------------------------------------------------


def _truths(x):
    m = np.zeros(3, bool)
    m |= x > 0
    m[1:] ^= x[1:] > 1
    return np.where(m, x * x, x)


def _counts(x):
    n, k = np.zeros(3, int), np.zeros((), int)
    n[1:] += x[1:] > 0
    n -= np.sign(x).astype(int)
    k += np.sum(x > 0)
    return n * x * x + k * x


def _by_out(x):
    m, k = np.zeros(3, bool), np.zeros(3, np.intp)
    np.greater(x, 0, out=m)
    np.logical_or(m, x > 1, out=m)
    np.argmax(np.outer(x, x), axis=0, out=k)
    return np.where(m, x * x, x)[k]


def _by_functions(x):
    n, m = np.zeros(3, int), np.zeros(3, bool)
    np.add.at(n, (x > 0).astype(int), 2)
    np.copyto(m, x > 0)
    np.put(n, [2], np.sum(x > 0))
    return n * x**2 + m * x


def _beside_what_is_filled(x):
    y, m = np.zeros(3), np.ones(3, bool)
    y[:] = x * x[0]
    m &= y > 0
    return y * m


@pytest.mark.parametrize("f", [_truths, _counts, _by_out, _by_functions, _beside_what_is_filled])
def test_integers_and_truths_that_depend_on_traced_values(f):
    """They are constant between their jumps; a program keeps what it took for granted, and is traced again beyond."""
    check(f)
    fast, slope = compile(f), compile(jacrev(f))
    for x in (X, -X, X[::-1], np.array([1.5, 0.25, -2.0])):
        np.testing.assert_allclose(fast(x), f(x))
        np.testing.assert_allclose(slope(x), jacobian_by_differences(f, x), atol=1e-6)


def test_floats_in_arrays_of_integers():
    def add(x):
        n = np.arange(3)
        n += x
        return n

    def store(x):
        n = np.arange(3)
        n[1:] = 3 * x[1:]
        return n

    def in_field(x):
        n = np.zeros(3, [("a", float), ("b", int)])
        n["a"] = x
        return n["a"]

    for way in (jacfwd, jacrev, compile):
        with pytest.raises(np._core._exceptions.UFuncTypeError, match="same_kind"):
            way(add)(X)
        with pytest.raises(Detached, match=r"n\[1:\].* into n, an array of int64, which keeps no fractions, .*floats"):
            way(store)(X)
        with pytest.raises(Detached, match=r"into n, a structured array, .*an array for each field"):
            way(in_field)(X)


@pytest.mark.parametrize("f", [lambda x: np.ma.array(x * 2.0) + x, lambda x: np.ma.array([1.0, 2.0, 3.0]).__iadd__(x)])
def test_masked_arrays_are_refused(f):
    for way in (jacfwd, jacrev, compile):
        with pytest.raises(Detached, match=r"test_creation_again\.py, line"):
            way(f)(X)


def test_of_an_array_like_itself_an_array_is_itself():
    def f(x):
        y = x * 2.0
        v = np.asarray(y, like=y)
        v += x
        return y

    assert jacfwd(f)(X).tolist() == (3 * np.eye(3)).tolist()


def test_programs_keep_the_last_digits_of_long_doubles():
    third = np.longdouble(1) / 3
    x = np.ones(3, np.longdouble) / 7
    for f in (lambda x: x + third, lambda x: np.where(x > third, x, third / x), lambda x: 0.1 * (0.3 * x)):
        np.testing.assert_array_equal(compile(f)(x), f(x))
