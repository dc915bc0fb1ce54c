"""The experiments on sparse Jacobians and on Hessians: their counts against definitions.  No clock is asserted on."""

import numpy as np
import pytest

import admodes
from experiments import hessian, sparse


@pytest.mark.parametrize("kind", sparse.KINDS)
def test_the_problems_have_the_structure_they_are_named_for(kind):
    f, x = sparse.problem(kind, 36)
    J = admodes.jacfwd(f)(x)
    np.testing.assert_array_equal(J != 0, admodes.jacobian_pattern(f, x).toarray())
    longest = np.count_nonzero(J, axis=1)[1:].max()
    assert longest == {"banded": 3, "arrow": 2}.get(kind, longest) <= 5


def test_the_references_by_hand_are_the_derivatives():
    f, x = sparse.problem("banded", 20)
    np.testing.assert_allclose(sparse.tridiagonal_by_hand(x).toarray(), admodes.jacfwd(f)(x))
    f, x = hessian.problem("Rosenbrock", 20)
    np.testing.assert_allclose(hessian.rosenbrock_by_hand(x).toarray(), admodes.hessian(f)(x), rtol=1e-12, atol=1e-9)


def test_passes_are_as_theory_says(monkeypatch, study, read):
    monkeypatch.setattr(sparse, "SIZES", (16, 49))
    finding = sparse.run(study)
    rows = read(study.out / "trial.csv")
    directions = {(r["kind"], int(r["n"]), r["way"]): int(r["directions"]) for r in rows}
    for n in (16, 49):
        for kind in sparse.KINDS:
            assert directions[kind, n, "forward"] == directions[kind, n, "reverse"] == n
            assert sparse.LEAST[kind] <= directions[kind, n, "mixed"] <= directions[kind, n, "coloured"] <= n
        assert directions["banded", n, "coloured"] == directions["arrow", n, "mixed"] == 3
        assert directions["arrow", n, "coloured"] == n
    assert "3 passes" in finding
    assert (study.out / "trial.png").exists()


def test_ways_that_disagree_are_an_error():
    with pytest.raises(AssertionError, match="banded: coloured differs from mixed by 1"):
        sparse._agree({"mixed": np.eye(2), "coloured": np.diag([1.0, 2.0])}, "banded")


def test_hessians_are_counted(monkeypatch, study, read):
    monkeypatch.setattr(hessian, "SIZES", (8, 16))
    finding = hessian.run(study)
    rows = read(study.out / "trial.csv")
    flops = {(r["kind"], int(r["n"]), r["way"]): float(r["flops"]) for r in rows}
    products = {(r["kind"], int(r["n"]), r["way"]): int(r["products"]) for r in rows}
    assert [products["Rosenbrock", 16, way] for way in ("star", "acyclic", "H·v")] == [3, 2, 1]
    for kind in hessian.KINDS:
        f, x = hessian.problem(kind, 16)
        for mode in hessian.NESTINGS:
            assert flops[kind, 16, mode] == admodes.cost(admodes.hessian(f, mode=mode), x).flops
        assert flops[kind, 16, "H·v"] == admodes.cost(lambda x, f=f: hessian.product(f, x), x).flops
    assert flops["Rosenbrock", 16, "star"] < 3 * flops["Rosenbrock", 16, "H·v"]
    assert flops["log-sum-exp", 16, "forward-over-reverse"] < 16 * flops["log-sum-exp", 16, "H·v"]
    assert "3 products" in finding
