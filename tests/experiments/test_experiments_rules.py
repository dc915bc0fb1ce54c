"""The experiments on rules and differences: accuracy and granularity."""

import numpy as np
import pytest

from experiments import accuracy, granularity


@pytest.fixture(scope="module")
def rows():
    x = np.random.default_rng(0).uniform(0.5, 2.0, 4)
    return accuracy.measure(x, np.logspace(-1, -16, 46).tolist())


def test_the_gradient_is_known():
    """To more digits than a double has: by central differences of long doubles."""
    x, h = np.linspace(0.3, 2.0, 5), np.longdouble(1e-6)
    z = x.astype(np.longdouble)
    slopes = [(accuracy.f(z + h * e) - accuracy.f(z - h * e)) / (2 * h) for e in np.eye(5)]
    np.testing.assert_allclose(accuracy.exact(x).astype(float), np.array(slopes, dtype=float), rtol=1e-10)


def test_slopes_are_those_of_theory(rows):
    assert accuracy.slope(rows, accuracy.ONE_SIDED) == pytest.approx(1, abs=0.05)
    assert accuracy.slope(rows, accuracy.CENTRAL) == pytest.approx(2, abs=0.05)


def test_what_each_can_reach(rows):
    """Half of the digits, two thirds, all of them; and the step of check is not far from the best."""
    assert 1e-9 < accuracy.best(rows, accuracy.ONE_SIDED)[0] < 1e-6
    assert 1e-12 < accuracy.best(rows, accuracy.CENTRAL)[0] < 1e-9
    for method in (accuracy.FORWARD, accuracy.REVERSE):
        assert accuracy.of(rows, method)[1][0] < 1e-14
    assert accuracy.best(rows, accuracy.COMPLEX)[0] < 1e-14
    assert accuracy.of(rows, accuracy.CHECKED)[1][0] < 1e-8


def test_accuracy_is_drawn_and_told(rows):
    assert accuracy.draw(rows) is not None
    assert "h^1.0" in accuracy.finding(rows)


def test_the_three_forms_are_one_softmax():
    a, u = np.array([0.3, -1.0, 2.0]), np.array([1.0, 2.0, -1.0])
    y = np.exp(a) / np.exp(a).sum()
    expected = (np.diag(y) - np.outer(y, y)) @ u
    for form in granularity.FORMS.values():
        np.testing.assert_allclose(granularity.cotangent(form, a, u), expected)
    np.testing.assert_allclose(granularity.by_hand(a, u), expected)


def test_the_tape_of_a_fused_form_holds_one_vector_fewer():
    a = np.linspace(0.0, 1.0, 20_000)
    a.flags.writeable = False
    for form in granularity.FORMS.values():
        granularity.cotangent(form, a, a)
    held = {name: granularity.held(form, a) / a.nbytes for name, form in granularity.FORMS.items()}
    assert held["composed"] == pytest.approx(2, abs=0.1)
    assert held["fused"] == pytest.approx(1, abs=0.1)
    assert held["pull by hand"] == pytest.approx(1, abs=0.1)


def test_granularity_is_drawn_and_told():
    rows = [row for n in (10, 1000) for row in granularity.measure(n, np.random.default_rng(0), 1, 0.001)]
    assert granularity.draw(rows) is not None
    assert "with its pull by hand takes" in granularity.finding(rows)
