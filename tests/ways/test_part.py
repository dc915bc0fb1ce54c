"""Slow ways are timed on a part of their passes, of the same kind as all of them, and say so."""

import numpy as np
import pytest

import admodes
from admodes.ways import table
from admodes.ways.differences import CENTRAL, COMPLEX, ONE_SIDED
from admodes.ways.part import RUNS, FlatPart, Part, flat, of_differences, of_pulls, of_pushes
from admodes.ways.question import ask

pytestmark = pytest.mark.usefixtures("steady_clock")

X = np.linspace(0.1, 1, 12)


def field(x):
    return np.sin(x) * x[0]


def question(f=field, target="jacobian"):
    return ask(f, (X,), 0, target, None, 10, None)


@pytest.fixture(autouse=True)
def no_peers(monkeypatch):
    monkeypatch.setattr("admodes.ways.table.PEERS", ())


@pytest.mark.parametrize("k", [1, 5])
def test_a_part_is_columns_and_rows_of_the_jacobian(k):
    J = admodes.jacrev(field)(X)
    pushes, pulls = of_pushes(question(), k), of_pulls(question(), k)
    assert pushes.passes == pulls.passes == 12 / k
    (columns,) = pushes.each(pushes.once())[2]
    np.testing.assert_allclose(columns, J[:, :k].T, rtol=1e-12)
    (rows,) = pulls.each(pulls.once())
    np.testing.assert_allclose(rows, J[:k], rtol=1e-12)
    assert f"{k} of 12" in pushes.said


@pytest.mark.parametrize(("scheme", "passes"), [(ONE_SIDED, 6.5), (CENTRAL, 12), (COMPLEX, 12)])
def test_a_part_of_divided_differences_is_a_column(scheme, passes):
    part = of_differences(question(), scheme)
    assert part.passes == passes
    np.testing.assert_allclose(part.each(part.once()), admodes.jacfwd(field)(X)[:, 0], rtol=1e-6, atol=1e-7)


def curved(x):
    return np.sum(np.sin(x) * x[0])


@pytest.mark.parametrize("mode", ["forward-over-reverse", "reverse-over-forward", "forward-over-forward",
                                  "reverse-over-reverse"])  # fmt: skip
def test_a_part_is_columns_or_rows_of_the_hessian(mode):
    H = admodes.hessian(curved)(X)
    part = table._of_nesting(question(curved, "hessian"), mode)
    found = part.each(part.once())
    (some,) = found[2] if mode.startswith("forward") else found
    np.testing.assert_allclose(some, H[:, : len(some)].T, rtol=1e-12, atol=1e-15)
    assert part.passes == 12 / len(some)


def test_a_part_of_a_hessian_by_differences_is_one_of_the_gradient():
    part = of_differences(question(curved, "hessian"), CENTRAL)
    np.testing.assert_allclose(part.each(part.once()), admodes.hessian(curved)(X)[:, 0], rtol=1e-6, atol=1e-7)


def test_every_way_of_passes_to_a_matrix_has_a_part():
    for target in ("jacobian", "hessian"):
        for way in table.ways(target):
            alike = way.grows in ("n", "m") and "checkpointed" not in way.name
            assert (way.part is not None) == alike, (target, way.name)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_part_of_flat_code_is_that_of_the_way(mode):
    J, q = admodes.jacrev(field)(X), question()
    part = of_pushes(q, 5) if mode == "forward" else of_pulls(q, 5)
    made = flat(part, q, admodes.compile)
    assert made.passes == part.passes
    assert made.said == part.said
    np.testing.assert_allclose(made.once(), field(X))
    (found,) = made.each(None)
    np.testing.assert_allclose(found, J[:, :5].T if mode == "forward" else J[:5], rtol=1e-12)


def test_flat_code_goes_through_f_once(monkeypatch):
    """f takes 2, a pass with f in it 5: ten passes take 2 + 10 · 3."""
    takes = {"f": 2.0, "pass": 5.0}
    monkeypatch.setattr("admodes.ways.part.timed", lambda task: (None, takes[task()]))
    made = FlatPart(lambda: "f", lambda _: "pass", 10.0, "")
    assert made.seconds() == 32.0


def test_once_is_done_once():
    done = []
    part = Part(lambda: done.append("once"), lambda _: done.append("each"), 100.0, "")
    assert part.seconds() > 0
    assert done == ["once", *["each"] * (1 + RUNS)]


def test_slow_ways_are_estimated():
    """A million passes, of which no more than a few are run."""
    runs = 0

    def loss(x):
        nonlocal runs
        runs += 1
        return np.sum(np.sin(x))

    found = admodes.compare(loss, np.ones(1_000_000), max_seconds=20)
    row = found["forward, one at a time"]
    assert row.applies
    assert row.estimated
    assert row.seconds >= 10  # a million passes of at least one reading of the clock
    assert row.note == "seconds estimated from 1 of 1,000,000 directions"
    assert row.error is None
    assert not row.agrees
    for way in ("finite differences", "forward, K at once, compiled"):
        assert found[way].estimated, way
    assert found.best.way.startswith("reverse")
    assert not found.best.estimated
    assert "~" in str(found).split(row.way)[1].splitlines()[0]
    assert 0 < runs < 100_000
