"""Every way to a derivative gives the same answer, is counted, and is told of; what cannot be compared is told too."""

import functools
import json
import re
import types
import warnings

import numpy as np
import pytest

import admodes
from admodes.ways.agreement import Answers, difference
from admodes.ways.findings import Findings
from admodes.ways.foreign import PEERS
from admodes.ways.measure import allocated_peak
from admodes.ways.question import ask
from admodes.ways.row import Row
from admodes.ways.substitute import substituted
from admodes.ways.sweep import Sweep
from admodes.ways.table import OWN, ways

pytestmark = pytest.mark.usefixtures("steady_clock")

W = np.random.default_rng(0).normal(size=(6, 6)) / 3
SECONDS = 2  # on the steady clock; ways that are predicted to take longer are left out

CONTRACT = {
    "way", "applies", "why_not", "passes", "flops", "multiply_adds", "bytes", "operations", "predicted_seconds",
    "seconds", "spread", "predicted_peak_bytes", "peak_bytes", "first_call_seconds", "error",
}  # fmt: skip


def loss(x):
    return np.sum(np.tanh(W @ x) ** 2 * x)


def field(x):
    return np.concatenate([np.sin(x[1:]) * x[:-1], np.exp(-x[:2])])


def energy(x):
    return np.sum((x[1:] - x[:-1] ** 2) ** 2)


X = np.linspace(0.3, 1.1, 6)
QUESTIONS = [
    ("gradient", loss), ("jacobian", field), ("hessian", energy), ("jvp", field), ("vjp", field), ("hvp", loss),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_peers(monkeypatch):
    """Other libraries take seconds to import and to compile; their own tests name them."""
    monkeypatch.setattr("admodes.ways.table.PEERS", ())


def compared(f, *args, **options):
    return admodes.compare(f, *args, **({"max_seconds": SECONDS} | options))


@pytest.mark.parametrize(("target", "f"), QUESTIONS)
def test_all_ways_agree(target, f):
    found = compared(f, X, target=target)
    assert {row.way for row in found.rows} == {way.name for way in ways(target)}
    ran = [row for row in found.rows if row.seconds is not None]
    assert len(ran) >= 5
    for row in ran:
        assert row.applies
        assert not row.why_not
        assert row.error < (1e-5 if not row.exact else 1e-12), row.way
        assert row.first_call_seconds > 0
        assert row.spread >= 0
    for row in found.rows:
        assert set(row.record()) >= CONTRACT
        assert row.applies or row.why_not
    assert found.best.exact
    assert found.best.agrees
    assert found.best.seconds == min(row.seconds for row in ran if row.exact and not row.peer)
    assert found.best.code in found.advice


@pytest.mark.parametrize(("target", "f"), QUESTIONS)
def test_the_line_of_code_is_what_ran(target, f):
    """Each line, typed as it stands, gives the answer of its row."""
    found = compared(f, X, target=target)
    q = found.question
    want = {
        "gradient": lambda: admodes.grad(f)(X),
        "jacobian": lambda: admodes.jacrev(f)(X),
        "hessian": lambda: admodes.hessian(f)(X),
        "jvp": lambda: admodes.jacrev(f)(X) @ q.direction,
        "vjp": lambda: q.direction @ admodes.jacrev(f)(X),
        "hvp": lambda: admodes.hessian(f)(X) @ q.direction,
    }[target]()
    u = q.direction if target == "vjp" else np.ones(q.m)  # reverse twice is linear in u: any will do
    names = {"admodes": admodes, "np": np, f.__name__: f, "x": X, "v": q.direction, "u": u}
    lines = [row for row in found.rows if row.code.startswith("admodes.") and row.applies]
    assert len(lines) >= 2
    for row in lines:
        got = eval(row.code, names)
        np.testing.assert_allclose(q.flat(got), np.ravel(want), rtol=1e-9, atol=1e-12, err_msg=row.way)


def test_counts_are_those_of_cost():
    rows = {row.way: row for row in compared(loss, X).rows}
    for way, derivative in (("reverse", admodes.grad(loss)), ("forward, K at once", admodes.jacfwd(loss))):
        counted = admodes.cost(derivative, X)
        assert rows[way].flops == counted.flops
        assert rows[way].multiply_adds == counted.multiply_adds
    for name in ("reverse", "forward, K at once"):
        flat, native = rows[f"{name}, compiled"], rows[f"{name}, natively compiled"]
        counts = ("passes", "flops", "multiply_adds", "bytes", "operations")
        if native.applies:
            assert [getattr(native, c) for c in counts] == [getattr(flat, c) for c in counts]
            assert native.predicted_seconds > 0
            assert native.predicted_peak_bytes is not None
    assert rows["forward, K at once"].passes == 6
    assert rows["reverse"].passes == 1
    assert rows["finite differences"].passes == 7
    assert rows["central differences"].passes == 12


def test_several_arguments_and_trees():
    def f(p, scale, y):
        return np.sum((p["a"] * scale - y) ** 2) + p["b"]

    args = ({"a": np.ones(3), "b": 2.0}, np.arange(3.0), np.ones(3))
    found = compared(f, *args)
    assert found.question.n == 4
    assert found.best.error < 1e-12
    found = compared(f, *args, argnums=(0, 1), target="hessian")
    assert found.question.n == 7
    assert found["forward-over-reverse"].error < 1e-12
    assert "argnums=(0, 1)" in found["forward-over-reverse"].code


@pytest.mark.parametrize(
    ("n", "last", "derivative"),
    [pytest.param(2000, [np.sum], admodes.grad, marks=pytest.mark.slow), (6, [], admodes.jacrev)],
)
def test_layers_are_checkpointed(n, last, derivative):
    """States are computed again: up to twice the flops of the pass through f, and less at once."""
    layers, x = [*[lambda x: np.sin(x) * np.cos(x)] * 25, *last], np.linspace(0, 1, n)
    found = compared(layers, x, max_seconds=0.5)
    row = found["reverse, checkpointed"]
    names = {"admodes": admodes, "functools": functools, "layers": layers, "x": x}
    want = np.ravel(derivative(found.question.f)(x))
    assert row.applies
    for other in found.rows:  # each line is about the list
        if other.applies and other.exact and (other.predicted_seconds or 0) < 0.1:
            got = found.question.flat(eval(other.code, names))
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, err_msg=other.way)
    assert row.error < 1e-12
    assert row.passes == found.question.m
    if last:
        whole = found["reverse"]
        assert 1.2 * whole.flops < row.flops < 2.5 * whole.flops
        assert row.peak_bytes < 0.6 * whole.peak_bytes
        assert row.predicted_peak_bytes < 0.6 * whole.predicted_peak_bytes
    else:
        assert "list of layers" in compared(loss, X)["reverse, checkpointed"].why_not


def test_layers_are_bracketed():
    layers = [np.tanh, lambda x: W @ x, np.sin]
    found = compared(layers, X)
    row = found["chain bracketing"]
    assert row.applies
    assert row.error < 1e-12
    assert "list of layers" in compared(field, X)["chain bracketing"].why_not


def test_a_way_above_the_memory_is_a_row():
    found = compared(energy, np.ones(3_100_000), target="hessian", max_bytes=1e9)
    dense = found["forward-over-reverse"]
    assert not dense.applies
    assert dense.predicted_peak_bytes > 76e12
    assert "max_bytes" in dense.why_not
    assert "TB" in dense.why_not
    assert found.best is None or found.best.predicted_peak_bytes is None or found.best.predicted_peak_bytes <= 1e9
    assert "max_bytes" in found.advice


def test_the_best_fits():
    n = 300
    free = compared(field, np.ones(n))
    tight = compared(field, np.ones(n), max_bytes=1e5)
    over = [row for row in tight.rows if row.left == "memory"]
    assert over
    assert all(row.predicted_peak_bytes > 1e5 for row in over)
    assert tight.best.way not in {row.way for row in over}
    assert free.best.seconds is not None


def test_a_wrong_way_is_not_advised():
    """The answer on which most exact ways agree is the best one."""
    answers = Answers()
    answers.add("wrong", np.array([1.0, 2.5]), True)
    answers.add("right", np.array([1.0, 2.0]), True)
    answers.add("also right", np.array([1.0, 2.0 + 1e-13]), True)
    answers.add("near", np.array([1.0, 2.0 + 1e-3]), False)
    assert answers.disagreement
    assert answers.agrees("right")
    assert answers.agrees("also right")
    assert not answers.agrees("wrong")
    assert answers.error("wrong") == pytest.approx(0.25)
    assert answers.error("right") == 0
    assert answers.error("near") == pytest.approx(5e-4)


def test_difference():
    nan, inf = np.nan, np.inf
    assert difference(np.array([1.0, nan, inf]), np.array([1.0, nan, inf])) == 0
    assert difference(np.array([1.0, nan]), np.array([1.0, 2.0])) == inf
    assert difference(np.array([1.0]), np.array([1.0, 2.0])) == inf
    assert difference(np.array([3e-3]), np.array([0.0])) == 3e-3
    assert difference(np.zeros(0), np.zeros(0)) == 0


def test_a_function_without_a_rule():
    """No exact way works: differences are advised, and the row of every other says why."""

    def f(x):
        return float(np.asarray(x, float)[0]) ** 2

    found = compared(f, np.ones(2))
    assert not found["reverse"].applies
    assert "Detached" in found["reverse"].why_not
    assert not found.best.exact
    assert "No exact way" in found.advice


def test_reports(tmp_path):
    found = compared(loss, X)
    assert str(found).startswith("gradient of loss, 6 → 1")
    assert "forward, one at a time" in str(found)
    data = json.loads(found.to_json(tmp_path / "a.json"))
    assert data == json.loads((tmp_path / "a.json").read_text())
    assert [row["way"] for row in data["rows"]] == [row.way for row in found.rows]
    assert data["best"] == found.best.way
    lines = found.to_csv(tmp_path / "a.csv").splitlines()
    assert len(lines) == len(found.rows) + 1
    assert lines[0].startswith("way,applies,why_not,passes,flops,multiply_adds,bytes,operations,predicted_seconds,")
    page = found.to_html(tmp_path / "a.html")
    assert "<table>" in page
    assert not re.search(r'(src|href)="', page)  # self-contained
    assert "<table>" in found._repr_html_()
    frame = found.to_frame()
    assert set(frame.columns) >= CONTRACT
    assert len(frame) == len(found.rows)
    saved = found.save(tmp_path / "made" / "here")
    assert sorted(p.name for p in saved.iterdir()) == [f"comparison.{s}" for s in ("csv", "html", "json", "png")]
    with pytest.raises(OSError, match="nowhere"):
        found.to_csv(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(KeyError, match="no way is called 'backward'"):
        found["backward"]


# ---------------------------------------------------------------------------------------------------
# What cannot be compared
# ---------------------------------------------------------------------------------------------------


def test_randomness_is_seen():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"different results.*random"):
        compared(lambda x: np.sum(x * rng.normal(size=x.shape)), X)


def test_arguments_that_are_changed():
    def f(x):
        x *= 2
        return np.sum(x)

    x = X.copy()
    with pytest.raises(ValueError, match=r"changes its arguments in place"):
        compared(f, x)
    np.testing.assert_array_equal(x, X)


def test_printing_is_held_back(capsys):
    def f(x):
        print("here")
        return np.sum(x**2)

    found = compared(f, X)
    assert capsys.readouterr().out == ""
    assert "prints (5 characters a call)" in str(found)


@pytest.mark.parametrize(
    ("f", "options", "error", "message"),
    [
        (lambda x: None, {}, TypeError, "returns nothing"),
        (3.0, {}, TypeError, "not a function"),
        ([], {}, TypeError, "must hold layers"),
        (field, {"target": "gradient"}, TypeError, "one real number.*shape \\(7,\\)"),
        (field, {"target": "hessian"}, TypeError, "one real number"),
        (field, {"target": "slope"}, ValueError, "target='slope' is not one of"),
        (loss, {"max_seconds": 0}, ValueError, "max_seconds=0"),
        (loss, {"max_seconds": 1e-9}, ValueError, "one run of loss alone took"),
        (loss, {"direction": X}, ValueError, "direction= is for"),
        (loss, {"target": "hvp", "direction": np.ones(2)}, ValueError, "holds 2 numbers; the arguments hold 6"),
        (lambda x: "text", {}, TypeError, "returns arrays"),
    ],
)
def test_bad_questions(f, options, error, message):
    with pytest.raises(error, match=message):
        compared(f, X, **options)


def test_what_f_raises_is_raised():
    def f(x):
        if x[0] < 1:
            raise ArithmeticError("half way")
        return np.sum(x)

    with pytest.raises(ArithmeticError, match="half way") as caught:
        compared(f, X)
    assert "before any derivative" in caught.value.__notes__[0]


def test_integers_and_nothing():
    with pytest.raises(TypeError, match="int64"):
        compared(np.sum, np.arange(3))
    with pytest.raises(ValueError, match="hold no numbers"):
        compared(np.sum, np.zeros(0))
    with pytest.raises(TypeError, match="no arguments"):
        compared(np.sum)


def test_an_interrupt_gives_the_rows_so_far(monkeypatch):
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) > 25:
            raise KeyboardInterrupt
        return np.sum(np.tanh(x) ** 2)

    found = compared(f, X)
    assert found.interrupted
    assert "Interrupted" in found.advice
    assert any(row.why_not == "interrupted" for row in found.rows)


def test_allocated_peak():
    assert 8_000_000 <= allocated_peak(lambda: np.ones(1_000_000)) < 8_100_000


def test_the_table_is_whole():
    """Names are the keys of rows: no target has one twice."""
    for target in ("gradient", "jacobian", "hessian", "jvp", "vjp", "hvp"):
        names = [way.name for way in ways(target)]
        assert len(names) == len(set(names))
    assert all(way.targets for way in OWN)


# ---------------------------------------------------------------------------------------------------
# Other libraries
# ---------------------------------------------------------------------------------------------------


def helper(x):
    return np.tanh(W @ x)


def through_helpers(x):
    inner = lambda z: np.sin(helper(z))  # noqa: E731
    return np.sum(inner(x) ** 2) + np.linalg.norm(x)


@pytest.mark.parametrize(("target", "f"), [*QUESTIONS, ("gradient", through_helpers)])
@pytest.mark.parametrize("label", [peer.label for peer in PEERS])
def test_peers(label, target, f):
    """On the same code, their NumPy in the place of ours, the answer is the same; the code itself is left as it was."""
    peer = next(p for p in PEERS if p.label == label)
    imported(peer.library)
    q = ask(f, (X,), 0, target, None, 10, None)
    assert peer.why_not(q) == ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = q.flat(peer.derivative(q)(X))
    way = next(way for way in ways(target) if way.exact and not way.peer)
    np.testing.assert_allclose(got, q.flat(way.derivative(q)(X)), rtol=1e-9, atol=1e-12)
    assert f(X) is not None
    assert f.__globals__["np"] is np


def imported(library):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(library)


def test_a_peer_that_cannot_follow_is_a_row(monkeypatch):
    imported("autograd")
    monkeypatch.setattr("admodes.ways.table.PEERS", PEERS[:1])

    def f(x):
        y = np.zeros_like(x)
        y[0] = x[0] ** 2  # which autograd cannot differentiate
        return np.sum(y * x)

    row = compared(f, X)["autograd"]
    assert not row.applies
    assert row.left == "failed"
    assert "Error" in row.why_not
    assert "trees" in compared(lambda p: np.sum(p["a"] ** 2), {"a": X})["autograd"].why_not


def test_jax_keeps_its_setting():
    jax = imported("jax")
    before = jax.config.jax_enable_x64
    peer = next(p for p in PEERS if p.library == "jax")
    q = ask(loss, (X,), 0, "gradient", None, 10, None)
    answer = peer.derivative(q)(X)
    assert answer.dtype == np.float64
    assert jax.config.jax_enable_x64 == before


def test_a_library_that_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    q = ask(loss, (X,), 0, "gradient", None, 10, None)
    assert all("is not installed" in peer.why_not(q) for peer in PEERS)


def test_the_copy_knows_closures_partials_and_defaults():
    seen = types.SimpleNamespace(sin=lambda x: ("sin", x), linalg=types.SimpleNamespace(norm=lambda x: ("norm", x)))
    norm, sin = np.linalg.norm, np.sin

    def f(x, g=np.sin):
        return norm(x), sin(x), g(x), np.linalg.norm(x), np.sin(x)

    copy = substituted(f, seen)
    assert copy(2) == (("norm", 2), ("sin", 2), ("sin", 2), ("norm", 2), ("sin", 2))
    assert substituted(functools.partial(f, 3), seen)()[0] == ("norm", 3)
    assert f(2.0)[1] == np.sin(2.0)


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def test_functions_that_call_each_other_are_copied_once():
    assert substituted(even, np)(4)


# ---------------------------------------------------------------------------------------------------
# Sweeps
# ---------------------------------------------------------------------------------------------------


def chain(n):
    V = np.random.default_rng(0).normal(size=(n, n)) / np.sqrt(n)
    return lambda x: np.sum(np.tanh(V @ np.tanh(V @ x)) ** 2), np.ones(n)


def test_a_sweep_tells_the_exponents():
    """The lecture's claim: forward accumulation costs O(n³), reverse O(n²), counted."""
    found = compared(chain, sizes={"n": [64, 128, 256, 512]}, max_seconds=0.5)
    forward = found.sweep.exponent("forward, K at once", "flops")
    reverse = found.sweep.exponent("reverse", "flops")
    assert forward.low <= forward.slope <= forward.high
    assert forward.slope == pytest.approx(3, abs=0.15)
    assert reverse.slope == pytest.approx(2, abs=0.15)
    assert found.question.n == 512
    assert len(found.sweep.comparisons) == 4
    told = [found.sweep.exponent(found.best.way, of) for of in ("flops", "seconds")]
    assert any(told)
    assert all(f"n^{exponent}" in found.advice for exponent in told if exponent)
    data = json.loads(found.to_json())["sweep"]
    assert data["sizes"] == [64, 128, 256, 512]
    assert data["exponents"]["reverse"]["flops"]["slope"] == reverse.slope


def test_scale_makes_arguments_longer():
    found = compared(field, X, scale=[1, 3])
    assert found.sweep.sizes == (6, 18)
    assert found.question.n == 18


def test_a_sweep_finds_crossovers_and_arithmetic():
    """Of made-up rows: t_a = n·1e-6 and t_b = 1e-4 meet at n = 100."""
    question = ask(loss, (X,), 0, "gradient", None, 10, None)

    def findings(n):
        rows = [Row("a", seconds=n * 1e-6, agrees=True), Row("b", seconds=1e-4, agrees=True)]
        return Findings(question, tuple(rows))

    sizes = (10.0, 1000.0)
    ((before, after, n),) = Sweep("n", sizes, tuple(map(findings, sizes))).crossovers
    assert (before, after) == ("a", "b")
    assert n == pytest.approx(100)

    def line(n):
        return Findings(question, (Row("a", seconds=1e-5 + 1e-9 * n**2, flops=n**2, agrees=True),))

    sizes = (10.0, 100.0, 1000.0, 10000.0)
    assert Sweep("n", sizes, tuple(map(line, sizes))).arithmetic("a") == pytest.approx(100)


@pytest.mark.parametrize(
    ("f", "args", "options", "error", "message"),
    [
        (chain, (X,), {"sizes": {"n": [2, 4]}}, TypeError, "give no others"),
        (chain, (), {"sizes": {"n": [2]}}, ValueError, "needs two values"),
        (chain, (), {"sizes": {"n": [2], "m": [3]}}, ValueError, "names one size"),
        (lambda n: np.ones(n), (), {"sizes": {"n": [2, 4]}}, TypeError, "returns \\(function, x, …\\)"),
        (loss, (X,), {"scale": [1]}, ValueError, "two factors"),
        (loss, (X,), {"scale": [1, -1]}, ValueError, "above 0"),
    ],
)
def test_bad_sweeps(f, args, options, error, message):
    with pytest.raises(error, match=message):
        compared(f, *args, **options)


def test_a_function_that_raises_at_a_later_call():
    """Not a row among others: what it raises reaches the user, with what compare asks of a function."""
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) > 40:
            raise OSError("the disk is gone")
        return np.sum(x**2)

    with pytest.raises(OSError, match="the disk is gone") as raised:
        admodes.compare(f, np.ones(3), max_seconds=2)
    assert "f must do at every call what it did at the first" in raised.value.__notes__[-1]


@pytest.mark.parametrize("limit", [{"max_seconds": "3"}, {"max_seconds": 0}, {"max_bytes": -1}], ids=str)
def test_limits_are_numbers_above_zero(limit):
    (name,) = limit
    with pytest.raises(ValueError, match=rf"compare: {name}=.* a number above 0"):
        admodes.compare(np.sum, np.ones(3), **limit)


def test_that_a_function_is_not_finite_is_told():
    with np.errstate(all="ignore"):
        found = admodes.compare(lambda x: np.sum(x / 0.0), np.ones(2), max_seconds=1)
    assert any("not finite" in remark for remark in found.remarks)
