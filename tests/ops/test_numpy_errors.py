"""What NumPy's functions raise and warn of for traced values: their own errors, or why there is no derivative."""

import warnings

import numpy as np
import pytest

from admodes import jacrev, jvp, no_rerun, vjp
from admodes.core.errors import Detached, MissingRule

V = np.array([0.3, -1.2, 2.5, 0.9, -0.4])
W = np.array([1.1, 0.4, 2.0, 0.7, 1.6])
S = np.random.default_rng(0).normal(size=(3, 3))

ERRORS = {
    "pad empty": (lambda x: np.pad(x, 1, "empty"), TypeError, "np.pad .*'empty'"),
    "pad function": (lambda x: np.pad(x, 1, lambda *a: None), TypeError, "np.pad .*mode="),
    "mean of scalars": (lambda x: np.mean([x[0], x[1]]), Detached, "np.stack"),
    "median of scalars": (lambda x: np.median(np.array([x[0], x[1]])), Detached, "np.stack"),
    "array of floats": (lambda x: np.array(x, dtype=float), Detached, "float64"),
    "asarray of floats": (lambda x: np.asarray(x, float), Detached, "float64"),
    "array of floats of scalars": (lambda x: np.array([x[0]], dtype=float), (Detached, ValueError), "detach|sequence"),
    "fromiter": (lambda x: np.fromiter((v for v in x), float), (Detached, ValueError), "detach|sequence"),
    "full of floats": (lambda x: np.full(2, x[0], dtype=float), (Detached, ValueError), "detach|sequence"),
    "into a plain array": (lambda x: np.zeros(5).__setitem__(0, x[0]), (Detached, ValueError), "detach|sequence"),
    "copyto": (lambda x: np.copyto(np.zeros(5), x), Detached, "np.copyto"),
    "put": (lambda x: np.put(np.zeros(5), [1], x[0]), Detached, "np.put"),
    "place": (lambda x: np.place(np.zeros(5), np.ones(5, bool), x), Detached, "np.place"),
    "putmask": (lambda x: np.putmask(np.zeros(5), np.ones(5, bool), x), Detached, "np.putmask"),
    "put_along_axis": (lambda x: np.put_along_axis(np.zeros(5), np.array([1]), x[:1], 0), Detached, "put_along"),
    "fill_diagonal": (lambda x: np.fill_diagonal(np.zeros((5, 5)), x), (Detached, ValueError), "detach|sequence"),
    "out": (lambda x: np.cumsum(x, out=np.zeros(5)), Detached, "np.cumsum"),
    "imag of scalars": (lambda x: x * np.imag(np.array([v + 0j for v in x])), TypeError, "np.stack"),
    "view": (lambda x: x.view(np.int64), TypeError, r"Convert with x\.astype"),
    "byteswap": (lambda x: x.byteswap(), AttributeError, "'byteswap'"),
    "tobytes": (lambda x: x.tobytes(), AttributeError, "'tobytes'"),
    "reshape copy": (lambda x: np.reshape(x, 5, copy=True), MissingRule, "np.reshape.*copy"),
    "matmul axes": (lambda x: np.matmul(S, S * x[0], axes=[(0, 1)] * 3), MissingRule, "np.matmul.*axes"),
    "add where": (lambda x: np.add(x, x, where=x > 0), MissingRule, "np.add.*where"),
    "max where": (lambda x: np.max(x, where=x > 0), ValueError, "no|initial"),
    "max of none": (lambda x: np.max(x[:0]), ValueError, "zero-size"),
    "median of none": (lambda x: np.median(x[:0]), ValueError, "quantile"),
    "quantile range": (lambda x: np.quantile(x, 1.2), ValueError, "range"),
    "quantile complex": (lambda x: np.quantile(x * 1j, 0.5), TypeError, "real"),
    "quantile method": (lambda x: np.quantile(x, 0.5, method="best"), ValueError, "method"),
    "weights of linear": (lambda x: np.quantile(x, 0.5, weights=W), ValueError, "inverted_cdf"),
    "average zero": (lambda x: np.average(x, weights=x * 0), ZeroDivisionError, "zero"),
    "average shape": (lambda x: np.average(x, weights=W[:3]), TypeError, "Axis"),
    "cross": (lambda x: np.cross(x[:4], x[:4]), ValueError, "2 or 3"),
    "interp": (lambda x: np.interp(x, [0.0, 1.0], x), ValueError, "same length"),
    "take": (lambda x: np.take(x, 7), IndexError, "7"),
    "axis": (lambda x: np.sum(x, axis=3), np.exceptions.AxisError, "3"),
    "choose": (lambda x: np.choose([0, 4], [x[:2], x[:2]]), ValueError, "choice"),
    "select": (lambda x: np.select([x > 0], [x, x]), ValueError, "length"),
    "piecewise": (lambda x: np.piecewise(x, [x > 0], [1, 2, 3]), ValueError, "functions are expected"),
    "diff": (lambda x: np.diff(x, n=-1), ValueError, "non-negative"),
    "gradient": (lambda x: np.gradient(x, 1.0, 2.0), TypeError, "arguments"),
    "gradient short": (lambda x: np.gradient(x[:2], edge_order=2), ValueError, "too small"),
    "delete": (lambda x: np.delete(x, 9), IndexError, "9"),
    "insert": (lambda x: np.insert(x, 9, 1.0), IndexError, "9"),
    "insert complex": (lambda x: np.insert(x, 1, 1j), TypeError, "np.insert"),
    "split": (lambda x: np.split(x, 2), ValueError, "equal division"),
    "sort order": (lambda x: np.sort(x, order="f"), ValueError, "fields"),
    "einsum": (lambda x: np.einsum("ij->i", x), ValueError, "einsum|subscripts|dimension|axes"),
    "polyfit": (lambda x: np.polyfit(x, x[:3], 1), TypeError, "length"),
    "geomspace": (lambda x: np.geomspace(x[0] * 0, 1.0), ValueError, "zero"),
    "too many": (lambda x: np.concatenate([x, x], 0, None, 1), TypeError, "argument"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS.values(), ids=list(ERRORS))
def test_errors(case):
    """Of functions as they are written, without the second run that makes some of them work."""
    f, error, match = case
    for run in (lambda: jvp(f, (V,), (V,)), lambda: vjp(f, V)):
        with no_rerun(), pytest.raises(error, match=match):
            run()


def test_two_dimensional_vectors_are_deprecated_as_in_numpy():
    a, b = V[:2], W[:2]

    def f(a, b):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return np.cross(a, b)

    np.testing.assert_allclose(jacrev(f)(a, b), [b[1], -b[0]])
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        jvp(np.cross, (a, b), (a, b))


def test_all_nan_slices_warn_as_numpy_does():
    hole = np.array([[np.nan, np.nan], [1.0, 2.0]])
    for f in (np.nanmedian, np.nanmax, np.nanmin):
        with pytest.warns(RuntimeWarning, match="All-NaN"):
            y, pull = vjp(lambda x, f=f: f(x, axis=1), hole)
        assert np.isnan(y[0])
        assert np.all(np.isfinite(pull(np.array([0.0, 1.0]))[0][1]))
