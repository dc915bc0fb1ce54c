"""Results lie in memory as NumPy's own: where that was asked of numbers of another size, they are left as they are."""

import numpy as np
import pytest

from admodes import jvp, vjp
from admodes.core.layout import Answer, _moved


@pytest.mark.parametrize("asked", [np.ones(3), np.ones(6)[::2], np.ones(3, np.float32)])
def test_strides_of_other_numbers_are_not_taken(asked):
    y = np.array([1 + 4j, 2 + 5j, 3 + 6j])
    np.testing.assert_array_equal(_moved(y, Answer(asked, []), []), [1 + 4j, 2 + 5j, 3 + 6j])


def test_roots_are_real_where_numpys_are():
    p = np.array([1.0, 0.0, -16.0, 1.0])
    for found in (jvp(np.roots, (p,), (p,))[0], vjp(np.roots, p)[0]):
        np.testing.assert_allclose(found, np.roots(p), rtol=1e-12)
        assert found.dtype == np.roots(p).dtype == np.float64
