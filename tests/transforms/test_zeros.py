"""A zero stays zero: at singular points of every elementwise row all ways to a derivative agree, in nan and zero."""

import itertools

import numpy as np
import pytest
import scipy.special

import admodes as ad
from admodes.core import registry
from admodes.core.registry import OPS, Contraction, Elementwise, Linear, LinearAll, Unknown, Via
from admodes.core.zeros import keeping, strong_product

registry.lookup(scipy.special.gamma)
pytestmark = [pytest.mark.filterwarnings("ignore::RuntimeWarning")]

REGULAR = 0.5
POINTS = (0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, -0.0)
ROWS = {op.name: op for op in OPS.values() if isinstance(op, Elementwise) and isinstance(op.fn, np.ufunc)}


def compiled_elsewhere(f, x, way):
    """Traced at a regular point, run at a singular one."""
    run = ad.compile(way(f))
    run(np.full_like(x, REGULAR))
    return run(x)


WAYS = {
    "reverse": lambda f, x: ad.jacrev(f)(x),
    "one by one": lambda f, x: np.stack([ad.jvp(f, (x,), (e,))[1] for e in np.eye(x.size)], axis=-1),
    "pulls": lambda f, x: np.stack([ad.vjp(f, x)[1](e)[0] for e in np.eye(f(x).size)]),
    "compiled": lambda f, x: ad.compile(ad.jacfwd(f))(x),
    "compiled elsewhere, forward": lambda f, x: compiled_elsewhere(f, x, ad.jacfwd),
    "compiled elsewhere, reverse": lambda f, x: compiled_elsewhere(f, x, ad.jacrev),
    "plan": lambda f, x: ad.sparse_jacobian_plan(f, np.full_like(x, REGULAR), mode="forward")(x).toarray(),
    "plan, reverse": lambda f, x: ad.sparse_jacobian_plan(f, np.full_like(x, REGULAR), mode="reverse")(x).toarray(),
    "linearized": lambda f, x: ad.linearize(f, x)[1].dense(),
}


def agree(f, x):
    expected = ad.jacfwd(f)(x)
    for name, way in WAYS.items():
        if name.startswith("plan") and expected.ravel()[0] == 0:  # 0/x is 0 by its pattern, at x = 0 too
            continue
        np.testing.assert_allclose(way(f, x), expected, rtol=1e-9, atol=1e-12, err_msg=f"{name} against jacfwd at {x}")
    return expected


def beside(op, i):
    """What stands beside argument i: of NumPy's functions singular numbers too, of special ones a regular one."""
    if isinstance(op.domain, list):
        return [(1.0,)] * (len(op.partials) - 1)
    singular = hasattr(np, op.fn.__name__) and len(op.partials) < 3
    return [
        within[:2] if np.ndim(within) == 1 else (0.0, 1.0, -1.0) if singular else (sum(within[0]) / 2,)
        for k, within in enumerate(op.domain)
        if k != i
    ]


@pytest.mark.parametrize("op", ROWS.values(), ids=ROWS)
def test_ways_agree_at_singular_points_of_every_row(op):
    """f(x)_k is the row at x_k alone, so all but the diagonal of its Jacobian is 0, whatever the partial is."""
    x = np.array([REGULAR, *(POINTS if hasattr(np, op.fn.__name__) else POINTS[:3])])  # some of SciPy's search at inf
    for i in [i for i, p in enumerate(op.partials) if p is not None and not isinstance(p, Unknown)]:
        for others in itertools.product(*beside(op, i)):

            def f(x, i=i, others=others):
                return np.real(op.fn(*others[:i], x, *others[i:]))

            assert not agree(f, x)[~np.eye(x.size, dtype=bool)].any()


# Sums in several steps, or of complex numbers, lose a singular part among others: nan, in one mode alone.
IN_STEPS = {"einsum", "linalg.svd", "linalg.eigh", "linalg.eig", "linalg.pinv"}
RAISES = {"linalg.qr"}  # where a column is zero
LINEAR_ROWS = [
    pytest.param(fn, op, id=op.name)
    for fn, op in OPS.items()
    if isinstance(op, Via | Linear | LinearAll | Contraction)
    and isinstance(op.domain, list)
    and hasattr(fn, "__name__")
    and op.changes is None
    and op.name not in IN_STEPS | RAISES
    and not op.name.startswith("fft.")
]


def real_parts(y):
    parts = y if isinstance(y, tuple | list) else [y]
    return np.concatenate([np.reshape(v, -1) for v in parts if getattr(v, "dtype", None) == np.float64] or [np.ones(0)])


def kinds(J):
    """0 for a zero, 1 for another number, 2 for inf, 3 for -inf, 4 for nan."""
    return np.select([J == 0, np.isfinite(J), np.inf == J, -np.inf == J], [0, 1, 2, 3], 4)


@pytest.mark.parametrize(("fn", "op"), LINEAR_ROWS)
@pytest.mark.parametrize("behind", [False, True])
def test_every_other_row_keeps_zeros_beside_singular_ones(fn, op, behind):
    """In front of it, or behind it, stands a cube root, whose slope at 0 is infinite."""
    for n, case in enumerate(op.domain):
        values = [a.sample(np.random.default_rng(n), "f") for a in case.arrays]
        for k in [k for k, v in enumerate(values) if np.ndim(v) and 0 < np.size(v) <= 12]:

            def f(x, case=case, values=values, k=k):
                x = x if behind else np.cbrt(x)
                args, params = case.fill([x if i == k else v for i, v in enumerate(values)])
                y = real_parts(fn(*args, **params))
                return np.cbrt(y) if behind else y

            x = values[k].copy()
            x.flat[::3] = 0.0
            x = x if behind else x**3
            try:
                if not np.isfinite(f(x)).all():
                    continue
            except (np.linalg.LinAlgError, TypeError, ValueError):
                continue
            right = ad.jacfwd(f)(x)
            for way in (ad.jacrev, lambda f: ad.compile(ad.jacrev(f)), lambda f: ad.compile(ad.jacfwd(f))):
                found = way(f)(x)
                np.testing.assert_array_equal(kinds(found), kinds(right))
                np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-10)


COMPOSED = {
    "root of a square": (
        lambda x: np.sum(np.triu(np.sqrt((x[:, None] - x) ** 2), 1)),
        [1.0, 2.0, 4.0],
        [-2.0, 0.0, 2.0],
    ),
    "root where positive": (lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)), [0.0, 1.0], [0.0, 0.5]),
    "deviation of constants": (np.std, [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
    "normalisation of constants": (lambda x: np.sum((x - x.mean()) / (x.std() + 1e-3)), [2.0, 2.0], [0.0, 0.0]),
    "length": (lambda x: np.sqrt(np.sum(x**2)), [0.0, 0.0], [0.0, 0.0]),
    "length by a product": (lambda x: np.sqrt(x @ x), [0.0, 0.0], [0.0, 0.0]),
    "length by einsum": (lambda x: np.sqrt(np.einsum("i,i", x, x)), [0.0, 0.0], [0.0, 0.0]),
    "lengths of rows": (lambda x: np.sum(np.sqrt(np.vecdot(x * np.eye(2), x * np.eye(2)))), [0.0, 2.0], [0.0, 1.0]),
    "length by matrices": (lambda x: np.sqrt(x[None] @ np.diag([2.0, 3.0]) @ x[:, None])[0, 0], [0.0, 0.0], [0.0, 0.0]),
    "root of a product": (lambda x: np.sum(np.sqrt(np.eye(2) @ x) * [0.0, 1.0]), [0.0, 4.0], [0.0, 0.25]),
    "entropy": (lambda x: np.sum(np.where(x > 0, x * np.log(x), 0.0)), [0.0, 1.0], [0.0, 1.0]),
    "power": (lambda x: np.sum(np.where(x > 0, x**0.5, x)), [0.0, 4.0], [1.0, 0.25]),
    "angle": (lambda x: np.sum(np.where(x > 0, np.arctan2(x, x * 0), 0.0)), [0.0, 1.0], [0.0, 0.0]),
    "arcsine": (lambda x: np.sum(np.where(x < 1, np.arcsin(x), 0.0)), [1.0, 0.0], [0.0, 1.0]),
    "overflow": (lambda x: np.sum(np.where(x < 700, np.exp(x), 1.0)), [1000.0, 0.0], [0.0, 1.0]),
    "quotient": (lambda x: np.sum(np.where(x != 0, np.sin(x) / x, 1.0)), [0.0, np.pi], [0.0, -1 / np.pi]),
    "Python's zero": (lambda x: np.sum(np.where(x > 9, x / 0.0, x)), [1.0, 2.0], [1.0, 1.0]),
}


@pytest.mark.parametrize(("f", "x", "right"), COMPOSED.values(), ids=COMPOSED)
def test_zeros_of_composed_functions(f, x, right):
    assert np.allclose(agree(lambda x: f(x)[None], np.array(x)), [right])


NESTINGS = ["forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"]


@pytest.mark.parametrize("mode", NESTINGS)
def test_second_derivatives_keep_zeros(mode):
    def f(x):
        return np.sum(np.where(x > 0, np.sqrt(x) ** 3, 0.0))

    assert np.allclose(ad.hessian(f, mode=mode)(np.array([0.0, 4.0])), np.diag([0.0, 0.375]))
    assert np.allclose(ad.compile(ad.hessian(f, mode=mode))(np.array([0.0, 4.0])), np.diag([0.0, 0.375]))


def test_the_strong_product_is_bilinear_where_it_is_finite():
    """Its partial by a factor is the other factor, at zeros too: a kept zero is not a constant."""
    a, b = np.array([0.0, 2.0, 0.0]), np.array([3.0, 0.0, 0.0])
    for way in (ad.jacfwd, ad.jacrev):
        assert np.array_equal(way(lambda a: OPS[strong_product].evaluate(a, b))(a), np.diag(b))
    with np.errstate(all="ignore"):
        assert strong_product(np.array([0.0, np.inf, np.nan, 2.0]), np.array([np.inf, 0.0, 0.0, 3.0])).tolist() == [
            0,
            0,
            0,
            6,
        ]


def test_a_nan_of_the_function_stays():
    x = np.array([np.nan, 1.0])
    for way in (ad.jacfwd, ad.jacrev, lambda f: ad.compile(ad.jacrev(f))):
        J = way(lambda x: x**3)(x)
        assert np.isnan(J[0, 0])
        assert J[1].tolist() == [0.0, 3.0]


def test_a_regular_sweep_takes_plain_products():
    """The twin rows are made, and f is run again, only where a nan came out."""
    runs = []

    def f(x):
        runs.append(1)
        return np.sqrt(x)

    ad.jacfwd(f)(np.ones(2))
    ad.jacrev(f)(np.zeros(1))  # infinite, and no zero lost
    assert len(runs) == 2
    ad.jacrev(f)(np.zeros(2))  # a tape needs no second run
    assert len(runs) == 3
    ad.jacfwd(f)(np.zeros(2))
    assert len(runs) == 5


def test_keeping_from_the_start():
    with keeping():
        assert ad.jacfwd(np.sqrt)(np.zeros(2)).tolist() == [[np.inf, 0.0], [0.0, np.inf]]


# ---------------------------------------------------------------------------------------------------
# Tips of cones: |z|, hypot and norm at 0 have no second derivative, and smooth functions of them none either
# ---------------------------------------------------------------------------------------------------

TIPS = {
    "spectrum": (lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 2), np.ones(4)),
    "hypot": (lambda x: np.hypot(x[0], x[1]) ** 2, np.zeros(2)),
    "norm": (lambda x: np.linalg.norm(x) ** 2, np.zeros(2)),
    "square of a norm": (lambda x: np.square(np.linalg.norm(x, axis=0)), np.zeros(2)),
    "modulus": (lambda x: np.abs(x[0] + 1j * x[1]) ** 2, np.zeros(2)),
}


@pytest.mark.parametrize("mode", NESTINGS)
@pytest.mark.parametrize(("f", "x"), TIPS.values(), ids=TIPS)
def test_at_a_tip_the_second_derivative_is_nan_and_never_zero(f, x, mode):
    """A mask that is constant would give 0 for |z|², whose Hessian is 2 I."""
    assert np.isfinite(ad.grad(f)(x)).all()
    for way in (ad.hessian(f, mode=mode), ad.compile(ad.hessian(f, mode=mode))):
        assert np.isnan(np.diag(way(x))).all()
    away = x + [0.3, -0.2, 0.5, 0.1][: x.size]
    smooth = {2: lambda x: np.sum(x**2), 4: lambda x: np.sum(np.real(np.fft.rfft(x) * np.conj(np.fft.rfft(x))))}[x.size]
    assert np.allclose(ad.hessian(f, mode=mode)(away), ad.hessian(smooth)(away))


@pytest.mark.parametrize("mode", NESTINGS)
@pytest.mark.parametrize("order", [1.5, 3, 4])
def test_at_the_tip_of_a_norm_of_any_order(order, mode):
    def f(x):
        return np.linalg.norm(x, order)

    assert np.isnan(np.diag(ad.hessian(f, mode=mode)(np.zeros(2)))).all()
    x, steps = np.array([0.3, -0.2]), 1e-6 * np.eye(2)
    slopes = [(ad.grad(f)(x + h) - ad.grad(f)(x - h)) / 2e-6 for h in steps]
    assert np.allclose(ad.hessian(f, mode=mode)(x), slopes, atol=1e-7)
    if order > 2:
        assert np.allclose(ad.hessian(f, mode=mode)(np.array([0.0, 2.0])), 0)  # smooth where one element is 0


NOTHING = np.array([-np.inf, -np.inf])
CONVENTIONS = {
    "logaddexp": (lambda x: np.logaddexp(x[0], x[1]), NOTHING),
    "logaddexp2": (lambda x: np.logaddexp2(x[0], x[1]), NOTHING),
    "logsumexp": (ad.special.logsumexp, NOTHING),
    "std": (np.std, np.ones(3)),
    "norm": (np.linalg.norm, np.zeros(3)),
    "std along an axis": (lambda x: np.std(x[None] * np.ones((2, 1)), axis=0).sum(), np.ones(3)),
}


@pytest.mark.parametrize(("f", "x"), CONVENTIONS.values(), ids=CONVENTIONS)
def test_one_convention_where_a_slope_is_undetermined(f, x):
    assert np.array_equal(agree(lambda x: np.reshape(f(x), 1), x), np.zeros((1, x.size)))
