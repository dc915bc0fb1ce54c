"""Every public callable of the installed NumPy, and every ufunc of scipy.special, is in a class: a new release with a
new function fails here.  The classes are what the functions do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import admodes
from admodes import coverage, jacfwd, jacrev, jvp
from admodes.__main__ import main
from admodes.core.errors import Detached, MissingRule
from admodes.core.registry import OPS, Passive
from admodes.ops.refused import REFUSED, WITHOUT_ROW

X = np.array([0.3, 1.7, 2.4])
ENTRIES = coverage.coverage()


@pytest.mark.parametrize("area", coverage.AREAS)
def test_every_name_has_a_class(area):
    entries = [e for e in ENTRIES if e.area == area]
    assert len(entries) > 15
    assert [e.name for e in entries if e.verdict == coverage.UNCLASSIFIED] == []


def test_a_new_name_would_be_seen(monkeypatch):
    monkeypatch.setattr(np, "brand_new", lambda x: x, raising=False)
    assert [e.name for e in coverage.coverage(["numpy"]) if e.verdict == coverage.UNCLASSIFIED] == ["brand_new"]


def test_what_raises_says_why():
    assert all(e.reason for e in ENTRIES if e.verdict == coverage.RAISES)


def test_the_lists_of_names_do_not_overlap():
    lists = [set(coverage.BY_ELEMENT), set(coverage.NO_ARRAY), set(WITHOUT_ROW)]
    assert sum(map(len, lists)) == len(set.union(*lists))
    for name in set.union(*lists):
        fn = getattr(np, name, None) or getattr(np.fft, name, None) or getattr(np.linalg, name, None)
        assert fn is not None, f"{name} is gone from NumPy"
        assert fn not in OPS, f"{name} has a row, and is listed besides"


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("sin", coverage.DIFFERENTIABLE), ("median", coverage.DIFFERENTIABLE), ("copyto", coverage.DIFFERENTIABLE),
        ("array", coverage.DIFFERENTIABLE), ("floor", coverage.ZERO), ("sign", coverage.ZERO),
        ("round", coverage.ZERO), ("argmax", coverage.PASSIVE), ("shape", coverage.PASSIVE),
        ("less", coverage.PASSIVE), ("float64", coverage.PASSIVE), ("busday_count", coverage.RAISES),
        ("save", coverage.RAISES), ("frompyfunc", coverage.RAISES),
    ],
)  # fmt: skip
def test_some_classes(name, verdict):
    assert [e.verdict for e in ENTRIES if (e.area, e.name) == ("numpy", name)] == [verdict]


def test_of_what_is_asked_for_nothing_is_missing():
    """No function of numpy.linalg or numpy.fft raises."""
    assert [e.name for e in ENTRIES if e.area in ("numpy.linalg", "numpy.fft") and e.verdict == coverage.RAISES] == []


# The classes are what the functions do --------------------------------------------------------------------

BINARY = {np.floor_divide}


CONSTANT = [
    fn for name, fn in coverage.public("numpy").items() if isinstance(op := coverage.lookup(fn), Passive) and op.zero
]


@pytest.mark.parametrize("fn", CONSTANT, ids=lambda f: f.__name__)
def test_derivative_zero(fn):
    f = (lambda x: fn(x, 0.7)) if fn in BINARY else fn
    assert np.result_type(f(X)).kind == "f"
    for jacobian in (jacfwd, jacrev):
        np.testing.assert_array_equal(jacobian(f)(X), np.zeros((3, 3)))


CALLS = {
    np.savez: lambda f, x: f("unused", x),
    np.savez_compressed: lambda f, x: f("unused", x),
    np.save: lambda f, x: f("unused", x),
    np.savetxt: lambda f, x: f("unused", x),
    np.busday_count: lambda f, x: f(x, x),
    np.busday_offset: lambda f, x: f(x, 1),
}


@pytest.mark.parametrize("fn", REFUSED, ids=lambda f: f.__name__)
def test_refused_functions_raise_by_name(fn):
    with pytest.raises(MissingRule, match=rf"np\.{fn.__name__} .*{REFUSED[fn][:20]}"):
        jvp(lambda x: CALLS.get(fn, lambda f, x: f(x))(fn, x), (X,), (X,))


UNDISPATCHED = {
    "asmatrix": lambda x: np.asmatrix(x),
    "bmat": lambda x: np.bmat([[x, x]]),
    "matrix": lambda x: np.matrix(x) * np.eye(3),
    "recarray": lambda x: np.recarray(3, float, x),
    "record": lambda x: np.record(x),
    "ndarray": lambda x: np.ndarray((3,), float, x),
    "flatiter": lambda x: np.flatiter(x),
    "fromiter": lambda x: np.fromiter(iter(x), float),
    "format_float_positional": lambda x: np.format_float_positional(x[0]),
    "format_float_scientific": lambda x: np.format_float_scientific(x[0]),
    "frompyfunc": lambda x: np.frompyfunc(lambda v: v, 1, 1)(x),
    "nested_iters": lambda x: np.nested_iters(x[None], [[0], [1]]),
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix
@pytest.mark.parametrize("name", WITHOUT_ROW)
def test_undispatched_functions_raise(name):
    for run in (lambda f: jvp(f, (X,), (X,)), lambda f: admodes.vjp(f, X)):
        with admodes.no_rerun(), pytest.raises((TypeError, ValueError, AttributeError, Detached)):
            run(UNDISPATCHED[name])


def test_of_a_row_there_is_one_kind():
    kinds = ["Elementwise", "Linear", "LinearAll", "Contraction", "Product", "Via", "Composite", "Op", "Several"]
    assert {e.rule for e in ENTRIES if e.verdict == coverage.DIFFERENTIABLE} <= {*kinds, "by element"}


def test_the_readme_shows_the_totals():
    readme = (Path(admodes.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    counts = coverage.totals(ENTRIES)
    for area in coverage.AREAS:
        row = [area, *(str(counts[area][kind]) for kind in coverage.CLASSES), str(counts[area].total())]
        assert f"| {' | '.join(row)} |" in readme


# The command line -----------------------------------------------------------------------------------------


def test_command(capsys):
    main(["coverage"])
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert any(line.split() == ["np.sin", "differentiable", "Elementwise"] for line in lines)
    entries = coverage.coverage()  # other tests may have loaded more of SciPy since
    counts = coverage.totals(entries)
    total = next(line for line in lines if line.startswith("all "))
    assert [int(n) for n in total.split()[1:]] == [
        *(sum(c[kind] for c in counts.values()) for kind in coverage.CLASSES), len(entries),
    ]  # fmt: skip


def test_command_missing(capsys):
    main(["coverage", "--missing", "numpy"])
    out = capsys.readouterr().out
    assert "np.busday_count " in out
    assert "dates, which have no derivative" in out
    assert "np.sin" not in out
    assert "scipy" not in out


def test_command_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    main(["coverage", "numpy.fft"])
    assert "np.fft.fft" in capsys.readouterr().out


def test_command_refuses_an_unknown_area(capsys):
    assert main(["coverage", "pandas"]) == 2
    assert "no such area: pandas" in capsys.readouterr().err


def test_as_a_module():
    out = subprocess.run(
        [sys.executable, "-m", "admodes", "coverage", "numpy.linalg"], capture_output=True, text=True, check=True
    )
    assert "np.linalg.solve" in out.stdout
