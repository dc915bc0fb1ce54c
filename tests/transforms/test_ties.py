"""Second derivatives at ties of smooth functions made of pieces: those of the pieces, in every nesting; else nan."""

import numpy as np
import pytest
from checks import NESTINGS

import admodes as ad

pytestmark = [pytest.mark.filterwarnings("ignore::RuntimeWarning")]


def hessians(f, x):
    """By every nesting, as it is, compiled, compiled where nothing is tied, and through a compiled gradient."""
    for mode in NESTINGS:
        H = ad.hessian(f, mode=mode)
        yield mode, H(x)
    for mode in NESTINGS[:2]:
        run = ad.compile(ad.hessian(f, mode=mode))
        run(x + 0.3 + 0.2 * np.arange(x.size))
        yield mode + ", compiled elsewhere", run(x)
    yield "compiled", ad.compile(ad.hessian(f))(x)
    for outer, inner in ((ad.jacfwd, ad.jacrev), (ad.jacrev, ad.jacfwd)):
        yield f"{outer.__name__} of compiled {inner.__name__}", outer(ad.compile(inner(f)))(x)


O3, ONES = np.array([0.0, 2.0, -1.0]), np.ones(3)


def extreme(x):
    return np.max(np.stack([x, -x]), axis=0)


def log_sum_exp(x):
    m = np.max(x)
    return m + np.log(np.sum(np.exp(x - m)))


def by_rows(x):
    z = np.outer(x, [1.0, 2.0, 3.0]) * 0.0 + x
    m = z.max(axis=1, keepdims=True)
    return np.sum((m + np.log(np.sum(np.exp(z - m), axis=1, keepdims=True))) ** 2)


def filled(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = y[i - 1] + np.maximum(x[i], -x[i]) ** 2
    return y[-1]


def changed_by_slices(x):
    y = np.minimum(x, x * 2.0 - x)
    y[:] = y[::-1] * 1.5
    y[1:2] = y[0]
    y[2] += y[1] * x[2]
    return np.sum(y**2)


def made_and_changed(x):
    y = np.zeros_like(x)
    y[0] = np.maximum(x[0], -x[0])
    y[1:] = x[:2] * y[0]
    y[0:2] += y[1:]
    y[2] = y[0] * y[0]
    return np.sum(y * y)


SMOOTH = {
    "maximum": (lambda x: np.sum(np.maximum(x, -x) ** 2), O3, lambda x: np.sum(x**2)),
    "minimum": (lambda x: np.sum(np.minimum(-x, x) ** 2), O3, lambda x: np.sum(x**2)),
    "fmax, fmin": (lambda x: np.sum(np.fmax(x, -x) * np.fmin(x, -x)), O3, lambda x: -np.sum(x**2)),
    "as a method": (lambda x: np.sum(np.stack([x, -x]).max(0) ** 2), O3, lambda x: np.sum(x**2)),
    "max": (lambda x: extreme(x) @ extreme(x), O3, lambda x: np.sum(x**2)),
    "amin, keepdims": (lambda x: np.sum(np.amin([x, -x], 0, keepdims=True) ** 2), O3, lambda x: np.sum(x**2)),
    "max of equal ones": (lambda x: np.max(x * 0 + x[0]) ** 2 + x[1], ONES, lambda x: x[0] ** 2 + x[1]),
    "abs": (lambda x: np.sum(np.abs(x) * np.fabs(x)), O3, lambda x: np.sum(x**2)),
    "abs cubed": (lambda x: np.sum(np.abs(x) ** 3), O3, lambda x: np.sum(np.sign(O3) * x**3)),
    "fourth power": (lambda x: np.sum(np.abs(x) ** 4), O3, lambda x: np.sum(x**4)),
    "fourth of a norm": (lambda x: np.linalg.norm(x) ** 4, np.zeros(2), lambda x: np.sum(x**2) ** 2),
    "sixth of hypot": (lambda x: np.hypot(x[0], x[1]) ** 6.0, np.zeros(2), lambda x: np.sum(x**2) ** 3),
    "fourth of complex": (lambda x: np.abs(x[0] + 1j * x[1]) ** 4, np.zeros(2), lambda x: np.sum(x**2) ** 2),
    "abs of a square": (lambda x: np.sum(np.abs(x**2)), O3, lambda x: np.sum(x**2)),
    "softplus": (
        lambda x: np.sum(np.maximum(0, x) + np.log1p(np.exp(-np.abs(x)))),
        O3,
        lambda x: np.sum(np.log1p(np.exp(x))),
    ),
    "pieces of three rows": (
        lambda x: np.sum((np.abs(x) - 2 * np.maximum(0, x) + x) ** 2 + np.minimum(x, -x) ** 2),
        O3,
        lambda x: np.sum(x**2),
    ),
    "clipped off": (lambda x: np.sum((np.clip(x, 0, 9) + np.clip(x, -9, 0)) ** 2), O3, lambda x: np.sum(x**2)),
    "cube of positive part": (lambda x: np.sum(np.maximum(x, 0) ** 3), O3, lambda x: x[1] ** 3),
    "logarithm of a sum": (log_sum_exp, ONES, ad.special.logsumexp),
    "by rows": (by_rows, ONES, lambda x: 3 * ad.special.logsumexp(x) ** 2),
    "spread of equals": (lambda x: np.ptp(x * 0 + x[0]), ONES, lambda x: x[0] * 0),
    "tied to second order": (lambda x: np.sum(np.maximum(x**2, -(x**2))), O3, lambda x: np.sum(x**2)),
    "the same twice": (lambda x: np.sum(np.maximum(x, x) ** 2), O3, lambda x: np.sum(x**2)),
    "within where": (lambda x: np.sum(np.where(x > -1, np.maximum(x, -x) ** 2, 0)), O3, lambda x: x[:2] @ x[:2]),
    "stored": (filled, O3, lambda x: np.sum(x * x)),
    "changed by slices": (changed_by_slices, ONES, lambda x: 4.5 * x[2] ** 2 + 2.25 * (x[0] + x[2] ** 2) ** 2),
    "made and changed": (
        made_and_changed,
        O3,
        lambda x: (x[0] * (1 + x[0])) ** 2 + (x[0] * (x[0] + x[1])) ** 2 + (x[0] * (1 + x[0])) ** 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_keep_their_curvature(name):
    f, x, plain = SMOOTH[name]
    expected = ad.hessian(plain)(x)
    for way, H in hessians(f, x):
        np.testing.assert_allclose(H, expected, atol=1e-12, err_msg=way)
    np.testing.assert_allclose(ad.grad(f)(x), ad.grad(plain)(x), atol=1e-12)


KINKS = {
    "abs": lambda x: np.sum(np.abs(x)),
    "positive part": lambda x: np.sum(np.maximum(x, 0)),
    "its square": lambda x: np.sum(np.maximum(x, 0) ** 2),
    "max": lambda x: np.sum(np.max(np.stack([x, 0 * x]), 0)),
    "odd square": lambda x: np.sum(np.abs(x) * x),
    "clip": lambda x: np.sum(np.clip(x, 0, 5)),
    "clipped square": lambda x: np.sum(np.clip(x, 0, 5) ** 2),
    "root of abs": lambda x: np.sum(np.abs(x) ** 1.5),
}


@pytest.mark.parametrize("name", KINKS)
def test_where_the_pieces_differ_is_nan(name):
    for way, H in hessians(KINKS[name], O3):
        assert np.isnan(H[0, 0]), way
        expected = ad.hessian(KINKS[name])(np.array([0.5, 2.0, -1.0]))
        np.testing.assert_allclose(H.ravel()[1:], expected.ravel()[1:], atol=1e-12, err_msg=way)


def test_two_ties_that_hang_together():
    """|x y| is x y on two of the four pieces."""
    for way, H in hessians(lambda x: np.abs(x[0]) * np.abs(x[1]), np.zeros(2)):
        assert np.isnan(H[0, 1]), way
        assert np.isnan(H[1, 0]), way


@pytest.mark.parametrize("mode", NESTINGS)
def test_what_cannot_be_settled_is_nan(mode):
    """A third derivative would be taken within one piece alone."""
    third = ad.jacfwd(ad.hessian(lambda x: np.sum(np.maximum(x, -x) ** 3), mode=mode))(np.array([0.0, 1.0]))
    assert np.isnan(third[0, 0, 0])
    assert third[1, 1, 1] == 6


@pytest.mark.parametrize("order", [1.2, 1.5, 1.9])
@pytest.mark.parametrize("of", [np.linalg.norm, lambda x, p: np.linalg.vector_norm(x, ord=p)])
def test_an_element_of_a_norm_is_zero(of, order):
    """Its curvature is infinite for orders below 2."""
    x = np.array([0.0, 2.0, -1.0])
    away = ad.hessian(lambda x: of(x, order))(np.array([1e-30, 2.0, -1.0]))
    for way, H in hessians(lambda x: of(x, order), x):
        assert H[0, 0] == np.inf, way
        np.testing.assert_allclose(H[1:, 1:], away[1:, 1:], atol=1e-9, err_msg=way)
        assert not H[0, 1:].any(), way


@pytest.mark.parametrize("order", [0.5, 0.8])
@pytest.mark.parametrize("x", [[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
def test_below_order_one_no_curvature_at_zero_is_finite(order, x):
    x = np.array(x)
    for way, H in hessians(lambda x: np.linalg.norm(x, order), x):
        assert not np.isfinite(np.diag(H)[x == 0]).any(), way


def test_first_derivatives_are_of_the_mean():
    for way in (ad.grad, ad.jacfwd, lambda f: ad.compile(ad.grad(f))):
        assert way(lambda x: np.sum(np.abs(x) + np.fabs(x)))(O3).tolist() == [0.0, 2.0, -2.0]
        assert way(lambda x: np.sum(np.maximum(x, 0)))(O3).tolist() == [0.5, 1.0, 0.0]
        assert way(np.max)(ONES).tolist() == [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize("of", [np.maximum, np.minimum])
def test_an_array_beside_itself_is_no_tie(of):
    def f(x):
        return np.sum(of(x, x) ** 3)

    x = np.array([1.0, -2.0])
    for mode in NESTINGS:
        np.testing.assert_allclose(ad.hessian(f, mode=mode)(x), np.diag(6 * x))
