"""Every row of the table puts its results where NumPy's function puts them: views and copies, C and Fortran order."""

import inspect

import numpy as np
import pytest

import admodes as ad
from admodes.core.registry import OPS

# NumPy's own zeros, not what memory held; the row's function is not the one that is asked; they change an argument.
EXCEPT = {
    np.empty_like, np.full_like, np.outer, np.copyto, np.put, np.place, np.putmask, np.fill_diagonal,
    np.put_along_axis, np.piecewise, np.polyint,
}  # fmt: skip
ROWS = [
    pytest.param(fn, op, id=op.name)
    for fn, op in OPS.items()
    if callable(fn)
    and fn not in EXCEPT
    and isinstance(op.domain, list)
    and (inspect.getmodule(fn) is None or (fn.__module__ or "").partition(".")[0] == "numpy")
]


def parts(y):
    return y if isinstance(y, tuple | list) else (y,)


def floating(y):
    return [v for v in parts(y) if getattr(v, "dtype", np.dtype(int)).kind == "f"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("fn", "op"), ROWS)
def test_a_change_of_the_argument_or_result_is_seen_where_numpy_shows_it(fn, op):
    rng = np.random.default_rng(0)
    for case in op.domain:
        values = [a.sample(rng, "f") for a in case.arrays]
        for k, x in enumerate(values):
            if not isinstance(x, np.ndarray) or not x.size or not x.ndim:
                continue

            def call(y, case=case, values=values, k=k):
                args, params = case.fill([y if i == k else v for i, v in enumerate(values)])
                return fn(*args, **params)

            def read_later(x, call=call):
                y = x * 1.0
                found = call(y)
                y[...] = y * 3.0 + 1.0
                return np.concatenate([np.ravel(v) for v in floating(found)] or [np.zeros(1)])

            def written(x, call=call):
                y = x * 1.0
                for v in floating(call(y)):
                    if v.ndim and v.flags.writeable:
                        v[...] = v * 3.0 + 1.0
                return y * 1.0

            for f in (read_later, written):
                try:
                    right = f(x.copy())
                except (TypeError, ValueError):
                    continue
                found = ad.jvp(f, (x,), (np.ones_like(x),))[0]
                np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-9)


def test_where_a_result_lies_is_not_remembered_where_values_decide_it():
    def trimmed(x):
        y = x * 1.0
        v = np.trim_zeros(y)
        v *= 2
        return np.concatenate([y, v])

    for x in np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]):
        np.testing.assert_array_equal(ad.jvp(trimmed, (x,), (x,))[0], trimmed(x))
    for z in ([1.0 + 1e-16j], [1.0 + 1.0j], [2.0 + 1e-16j]):
        np.testing.assert_array_equal(ad.jvp(np.real_if_close, (np.array(z),), (np.array(z),))[0], np.real_if_close(z))
