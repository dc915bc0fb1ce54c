"""A zero stays zero: at singular points of every elementwise row all ways to a derivative agree, in nan and zero."""

import itertools

import numpy as np
import pytest
import scipy.special

import admodes as ad
from admodes.core import registry
from admodes.core.registry import OPS, Contraction, Elementwise, Linear, LinearAll, Unknown, Via
from admodes.core.zeros import keeping, lost, strong_product

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


LINEAR_ROWS = [
    pytest.param(fn, op, id=op.name)
    for fn, op in OPS.items()
    if isinstance(op, Via | Linear | LinearAll | Contraction)
    and isinstance(op.domain, list)
    and (isinstance(fn, np.ufunc) or hasattr(fn, "_implementation"))  # of NumPy, whoever loaded SciPy's rows
    and op.changes is None
]


def real_parts(y):
    parts = y if isinstance(y, tuple | list) else [y]
    return np.concatenate([np.reshape(v, -1) for v in parts if getattr(v, "dtype", None) == np.float64] or [np.ones(0)])


def kinds(J):
    """0 for a zero, but for rounding, 1 for another number, 2 for inf, 3 for -inf, 4 for nan."""
    return np.select([np.abs(J) < 1e-13, np.isfinite(J), np.inf == J, -np.inf == J], [0, 1, 2, 3], 4)


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
            x.flat[:: x.shape[-1] + 1 if x.ndim > 1 else 3] = 0.0  # no row or column of a matrix is zero
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
# Second derivatives at kinks: those of squares of roots are right, others nan, and none is 0 by a convention
# ---------------------------------------------------------------------------------------------------


def hessians(f, x):
    """By every nesting, as it is, compiled, and compiled elsewhere."""
    for mode in NESTINGS:
        H = ad.hessian(f, mode=mode)
        run = ad.compile(H)
        run(x + 0.3 + 0.2 * np.arange(x.size))
        yield from ((mode, H(x)), (mode + ", compiled", ad.compile(H)(x)), (mode + ", compiled elsewhere", run(x)))


O2, O3 = np.zeros(2), np.zeros(3)
ROOTS = {
    "modulus": (np.abs, O3),
    "fabs": (np.fabs, O3),
    "modulus of complex": (lambda x: np.abs(x[:1] + 1j * x[1:]), O3),
    "modulus of a spectrum": (lambda x: np.abs(np.fft.rfft(x)), np.ones(4)),
    "abs of Python": (lambda x: abs(x[0] - 2 * x[1]), O2),
    "hypot": (lambda x: np.hypot(x[0], x[1:]), O3),
    "hypot of a constant": (lambda x: np.hypot(x, [0.0, 3.0]), O2),
    "norm": (np.linalg.norm, O3),
    "norm of a matrix": (lambda x: np.linalg.norm(np.stack([x, 2 * x]), "fro", keepdims=True), O2),
    "norms along an axis": (lambda x: np.linalg.norm(x * np.array([[1.0], [2.0]]), axis=0), O2),
    "norm of complex": (lambda x: np.linalg.norm(x + 2j * x[::-1]), O2),
    "vector_norm": (np.linalg.vector_norm, O2),
    "root": (lambda x: np.sqrt(x @ x), O2),
    "root of a sum": (lambda x: np.sqrt(np.sum(x**2)), O2),
    "root of a quadratic form": (lambda x: np.sqrt(np.einsum("i,ij,j", x, np.diag([1.0, 3.0]), x)), O2),
    "roots": (lambda x: np.sqrt(x**4), O2),
    "std": (np.std, np.ones(3)),
    "within a condition": (lambda x: np.where(x > -1, np.sqrt(np.sum(x**2)), 0.0) if x[0] > 5 else np.abs(x), O2),
}
SQUARES = {
    "** 2": lambda y: y**2,
    "** 2.0": lambda y: y**2.0,
    "square": np.square,
    "power": lambda y: np.power(y, 2),
    "y * y": lambda y: y * y,
    "multiply": lambda y: np.multiply(y, y),
}


def second_differences(f, x, h=1e-3):
    """Of a function that is a quadratic form near x."""
    E = h * np.eye(x.size)
    return np.array([[(f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4 * h * h) for a in E] for b in E])


@pytest.mark.parametrize("square", SQUARES)
@pytest.mark.parametrize("root", ROOTS)
def test_the_square_of_a_root_has_no_kink(root, square):
    of, x = ROOTS[root]
    weights = 1.0 + np.arange(np.size(of(x)))

    def f(x):
        return np.sum(weights * np.ravel(SQUARES[square](of(x))))

    expected = second_differences(f, x)
    for name, H in hessians(f, x):
        np.testing.assert_allclose(H, expected, atol=1e-4, err_msg=name)
    away = x + 0.3 + 0.2 * np.arange(x.size)
    step = 1e-6 * np.eye(x.size)
    np.testing.assert_allclose(
        ad.grad(f)(away), [(f(away + h) - f(away - h)) / 2e-6 for h in step], rtol=1e-6, atol=1e-8
    )
    for lead in (ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(lead(f)(away), ad.grad(f)(away), atol=1e-12)


@pytest.mark.parametrize("way", [ad.jacfwd, ad.jacrev, lambda f: ad.compile(ad.jacfwd(f))])
def test_the_square_of_a_square_root_is_what_is_under_it(way):
    assert way(lambda x: np.sqrt(x) ** 2)(np.array([0.0, 4.0])).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with np.errstate(invalid="ignore"):
        assert np.isnan(way(lambda x: np.sqrt(x) ** 2)(np.array([-1.0]))).all()


@pytest.mark.parametrize("change", [lambda x, y: x.__setitem__(0, 3.0), lambda x, y: y.__setitem__(0, 3.0)])
def test_a_root_changed_in_place_is_that_root_no_longer(change):
    def f(x):
        x = x * 1.0
        y = np.abs(x)
        change(x, y)
        return np.sum(y**2)

    x = np.array([0.5, -0.25])
    step = 1e-6 * np.eye(2)
    expected = [(f(x + h) - f(x - h)) / 2e-6 for h in step]
    for way in (ad.grad, ad.jacfwd, lambda f: lambda x: ad.grad(lambda t: ad.jvp(f, (x,), (t,))[1])(O2)):
        np.testing.assert_allclose(way(f)(x), expected, atol=1e-8)


# Smooth functions, or none, made of roots in ways that are not recognised: which elements of the Hessian nothing tells.
LOST = {
    "norm of a product": (lambda x: np.linalg.norm(np.outer(x, x)), O2, "all"),
    "root of a fourth power": (lambda x: np.sum(np.sqrt(x**4)), O2, "diagonal"),
    "two equal roots": (lambda x: np.sqrt(x @ x) * np.sqrt(x @ x), O2, "all"),
    "two norms": (lambda x: np.linalg.norm(x) * np.linalg.norm(x), O2, "all"),
    "cube of a norm": (lambda x: np.linalg.norm(x) ** 3, O2, "all"),
    "cosine of a norm": (lambda x: np.cos(np.linalg.norm(x)), O2, "all"),
    "a root times x": (lambda x: np.sum(x * np.sqrt(x)), O2, "diagonal"),
    "norm": (np.linalg.norm, O2, "all"),
    "length": (lambda x: np.sqrt(x @ x), O2, "all"),
    "hypot": (lambda x: np.hypot(x[0], x[1]), O2, "all"),
    "std": (np.std, np.ones(3), "all"),
    "normalised": (lambda x: np.sum(x / (x.std() + 1.0)), np.ones(3), "all"),
    "distances": (lambda x: np.sum(np.sqrt((x[:, None] - x) ** 2)), np.ones(2), "all"),
    "sixth power of a cube root": (lambda x: np.sum(np.cbrt(x) ** 6), O2, "diagonal"),
    "power of itself": (lambda x: np.sum(x**x), np.array([0.0, 0.0]), "diagonal"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_hangs_on_a_convention_is_nan_in_every_nesting(name):
    f, x, where = LOST[name]
    gone = np.eye(x.size, dtype=bool) | (where == "all")
    assert np.isfinite(ad.grad(f)(x)).all()
    for way, H in hessians(f, x):
        np.testing.assert_array_equal(np.isnan(H), gone, err_msg=way)
        assert not H[~gone].any(), way


# Zeros that nothing moves: masks, constants, elements that are not there.
MASKED = {
    "where": (lambda x: np.sum(np.where(x > 0, np.sqrt(x) ** 3, 0.0)), np.array([0.0, 4.0]), np.diag([0.0, 0.375])),
    "triangle": (
        lambda x: np.sum(np.triu(np.sqrt((x[:, None] - x) ** 2), 1)),
        np.array([1.0, 2.0, 4.0]),
        np.zeros((3, 3)),
    ),
    "constant factor": (lambda x: np.sum(np.sqrt(x**4) * [0.0, 1.0]), np.array([0.0, 2.0]), np.diag([0.0, 2.0])),
    "index": (lambda x: np.sum(np.linalg.norm(np.outer(x, x), axis=1)[1:]), np.array([0.0, 2.0]), np.diag([1.0, 2.0])),
    "power": (lambda x: np.sum(np.where(x > 0, x**0.5, x)), np.array([0.0, 4.0]), np.diag([0.0, -1 / 32])),
}


@pytest.mark.parametrize("name", MASKED)
def test_zeros_that_do_not_move_stay_in_every_nesting(name):
    f, x, expected = MASKED[name]
    for way, H in hessians(f, x):
        np.testing.assert_allclose(H, expected, atol=1e-12, err_msg=way)


SINGULAR = {
    "log": np.log,
    "reciprocal": lambda x: 1 / x,
    "sqrt": np.sqrt,
    "power": lambda x: x**-0.5,
    "power of itself": lambda x: x**x,
    "arcsin": lambda x: np.arcsin(1 - x),
    "log1p": lambda x: np.log1p(x - 1),
    "arctan2": lambda x: np.arctan2(x, 0.0),
    "quotient": lambda x: np.sin(x) / x,
    "product": lambda x: x * np.log(x),
    "norm": lambda x: np.linalg.norm(np.stack([x, 0 * x]), axis=0),
}


def by_store(x, y):
    y = y * 1.0
    y[x <= 0] = 0.0
    return y @ x


MASKS = {
    "where": lambda x, y: np.sum(np.where(x > 0, y, 0.0) * x),
    "index": lambda x, y: np.sum(y[x > 0] * x[x > 0]),
    "store": by_store,
    "factor": lambda x, y: np.sum((x > 0) * y * x),
}


@pytest.mark.parametrize(
    ("way", "name"),
    [("where", name) for name in SINGULAR]
    + [("index", "log"), ("store", "log"), ("factor", "sqrt"), ("factor", "norm")],
)
def test_a_branch_that_is_masked_out_has_no_second_derivative(way, name):
    def f(x):
        return MASKS[way](x, SINGULAR[name](x))

    x = np.array([0.0, 0.4])
    expected = np.diag([0.0, ad.hessian(lambda x: f(np.reshape(x, 1)))(0.4)])
    plan = ad.sparse_hessian_plan(f, x + 0.1)
    for how, H in (*hessians(f, x), ("plan", plan(x).toarray())):
        np.testing.assert_allclose(H, expected, atol=1e-12, err_msg=how)


def test_what_has_no_first_derivative_has_no_second():
    for f in (lambda x: np.sum(np.arctan2(x, 0.0)), lambda x: np.sum(np.cbrt(x)), lambda x: np.angle(x[0] + 1j * x[1])):
        for way, H in hessians(f, O2):
            assert np.isnan(np.diag(H)).all(), way


@pytest.mark.parametrize("order", [0.5, -1])
def test_slopes_of_norms_of_low_order(order):
    """Infinite where an element is 0, and 0 where the norm is, which has no second derivative there."""

    def f(x):
        return np.linalg.norm(x, order)

    agree(lambda x: f(x)[None], O2)
    slope = agree(lambda x: f(x)[None], np.array([0.0, 2.0]))
    assert slope.tolist() == [[np.inf, 1.0] if order > 0 else [0.0, 0.0]]
    for way, H in hessians(f, np.array([0.0, 2.0])):
        assert not np.isfinite(H[~np.eye(2, dtype=bool)]).any(), way
        assert np.isnan(H[0, 0]), way


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


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 5), (2, 3, 4)])
def test_a_nan_is_seen_however_an_array_lies_in_memory(order, shape):
    for dtype in (float, np.float32, complex):
        whole = np.ones(shape, dtype, order=order)
        views = [whole, whole.T, whole[::2], whole[..., ::-1]]
        assert not any(lost((view,)) for view in views)
        whole[0, -1] = np.nan
        assert all(lost((view,)) for view in views)
