"""`check`: it finds wrong rules of every kind, says where, and takes no right derivative for a wrong one."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.special

import admodes
from admodes import Check, WrongDerivative, check, custom_op
from admodes.__main__ import main
from admodes.checking.verdict import AGREES, KINK, LEFT_OUT, PARTS, UNCLEAR, UNDEFINED
from admodes.core.views import ground

rng = np.random.default_rng(0)
X, M = np.array([0.5, 2.0, -0.3]), rng.normal(size=(3, 3))
MANY = np.linspace(0.0, 1.0, 1000)
ONE_OF_MANY = 1 + 0.01 * (np.arange(1000) == 737)


def sine(factor):
    return custom_op(lambda x: np.sin(x), partial=lambda y, x: factor * np.cos(x))


# A function with a wrong rule, its arguments, and what the first finding names.
WRONG = {
    "another function": (custom_op(np.sin, partial=lambda y, x: np.sin(x)), (X,), "along x"),
    "the sign": (sine(-1.0), (X,), "along x"),
    "a factor": (sine(1.001), (X,), "along x"),
    "a factor of 1 + 1e-5": (sine(1 + 1e-5), (X,), "along x"),
    "one number": (sine(np.array([1.0, 1.01, 1.0])), (X,), r"result\[1\] along x\[1\]"),
    "one number of a thousand": (sine(ONE_OF_MANY), (MANY,), r"result\[737\] along x\[737\]"),
    "one number of a thousand, summed": (lambda x: np.sum(sine(ONE_OF_MANY)(x)), (MANY,), r"along x\[737\]"),
    "a push": (custom_op(lambda x: M @ x, push=lambda t, y, x: M.T @ t), (X,), "along x"),
    "a pull": (custom_op(lambda x: M @ x, pull=lambda u, y, x: M @ u), (X,), "along x"),
    "a pull beside a push": (
        custom_op(lambda x: M @ x, push=lambda t, y, x: M @ t, pull=lambda u, y, x: M @ u),
        (X,),
        "fails: .*not transposes",
    ),
    "a shape": (custom_op(np.sum, push=lambda t, y, x: t), (X,), "fails: .*gives shape"),
    "the second argument": (
        custom_op(np.matmul, push=[lambda t, y, a, b: t @ b, lambda t, y, a, b: 2 * a @ t]),
        (M, M),
        r"along argument 1\[",
    ),
    "None for the second": (custom_op(np.multiply, partial=[lambda y, a, b: b, None]), (X, X), r"along argument 1\["),
    "not elementwise": (custom_op(np.cumsum, partial=1.0), (X,), "along x"),
    "not for many directions": (
        custom_op(lambda x: x * x.sum(), push=lambda t, y, x: t * x.sum() + x * t.sum(), batched=True),
        (X,),
        "K at once parts",
    ),
    "second order alone": (
        custom_op(lambda x: x**3, partial=lambda y, x: 3 * x * ground(x)),
        (X,),
        "forward over forward parts",
    ),
    "another value": (custom_op(np.sin, composite=lambda x: np.sin(x) + 1), (X,), "value, forward parts"),
    "the smaller result": (
        custom_op(
            lambda p: np.array([1e8 * p[0] ** 2, 1e-8 * p[1] ** 2]),
            push=lambda t, y, p: np.stack([2e8 * p[0] * t[0], 3e-8 * p[1] * t[1]]),
        ),
        (np.ones(2),),
        r"result\[1\] along x\[1\]: 3e-08 for 2e-08",
    ),
    "the smaller term": (
        custom_op(
            lambda p: 1e8 * p[0] ** 2 + 1e-8 * p[1] ** 2,
            push=lambda t, y, p: 2e8 * p[0] * t[0] + 3e-8 * p[1] * t[1],
        ),
        (np.array([1.0, 1e8]),),
        r"along x\[1\]: 3 for 2",
    ),
    "outside of a kink": (
        custom_op(np.abs, partial=lambda y, x: np.where(x == 0, 3.0, np.sign(x))),
        (np.array([0.0, 1.0]),),
        r"result\[0\]",
    ),
    "complex": (custom_op(np.square, partial=lambda y, z: 2 * np.conj(z)), (X + 0.3j,), "along x"),
    "single precision": (sine(1.1), (X.astype(np.float32),), "along x"),
    "a leaf of a tree": (
        lambda p: sine(1.0)(p["a"]) + sine(1.1)(p["b"]),
        ({"a": X, "b": 0.5},),
        "along x b: 0.965341 for 0.877583",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_rules_are_found(case):
    f, args, told = WRONG[case]
    found = check(f, *args)
    assert not found.ok
    assert not found
    with pytest.raises(WrongDerivative, match=told):
        found.raise_()
    with pytest.raises(AssertionError):
        found.raise_()


@dataclasses.dataclass
class Model:
    w: object
    steps: int


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


# A function, its arguments, and the verdicts besides AGREES.
RIGHT = {
    "smooth": (lambda x: np.sum(np.exp(x) * x), (X,), set()),
    "a minimum": (rosenbrock, (np.ones(5),), {UNCLEAR}),
    "a scalar": (lambda x, y: x**y, (2.0, 3.0), set()),
    "kink": (np.abs, (np.array([0.0, 1.0]),), {KINK, UNDEFINED, LEFT_OUT}),
    "tie": (np.max, (np.array([1.0, 1.0, 0.0]),), {KINK, UNDEFINED}),  # which has no second derivative
    "rectifier at 0": (admodes.layers.relu, (np.array([0.0, 1.0, -1.0]),), {KINK, UNCLEAR}),
    "norm at 0": (np.linalg.norm, (np.zeros(3),), {KINK, UNDEFINED}),
    "near a kink": (np.abs, (np.array([1e-7, -1e-9]),), {KINK, LEFT_OUT, UNCLEAR}),
    "beside a kink": (lambda x: np.fmin(x, 1.848), (np.array([1.85, 0.3]),), {LEFT_OUT}),
    "infinite": (np.sqrt, (np.array([0.0, 1.0]),), {UNDEFINED, LEFT_OUT}),
    "not defined": (np.log, (X,), {UNDEFINED, LEFT_OUT}),
    "near the edge": (lambda x: np.sum(np.log(x)), (np.full(3, 1e-8),), {UNCLEAR}),
    "of all sizes": (lambda x: np.sum(np.log(x)), (np.array([1e-8, 1.0, 1e8]),), {UNCLEAR}),
    "large": (lambda x: np.sum(x**2), (np.array([1e8, -2e8]),), set()),
    "small": (lambda x: np.cos(x) + x, (np.array([1e-8, -1e-8]),), set()),
    "terms of 1e8 and 1e-8": (lambda x: 1e8 * x[0] ** 2 + 1e-8 * x[1] ** 2, (np.array([1.0, 1e8]),), set()),
    "results of 1e8 and 1e-8": (lambda x: np.array([1e8 * x[0] ** 2, 1e-8 * x[1] ** 2]), (np.ones(2),), set()),
    "fast": (lambda x: np.sin(1e4 * x), (X,), set()),
    "a length of 1e-8": (lambda x: np.exp(x / 1e-8), (np.array([1e-8]),), set()),
    "tiny results": (lambda x: x * 1e-300, (X,), set()),
    "huge results": (lambda x: x * 1e300, (X,), set()),
    "single precision": (lambda x: np.tanh(M.astype(np.float32) @ x), (X.astype(np.float32),), {UNCLEAR}),
    "integers beside": (lambda x, i, n: np.sum(x[i] ** n), (X, np.array([0, 0, 2]), 3), set()),
    "complex": (lambda z: z * z * np.exp(z), (X + 0.3j,), {LEFT_OUT}),
    "not holomorphic": (lambda z: np.sum(np.abs(z)) + np.conj(z), (X + 0.3j,), {LEFT_OUT}),
    "complex results": (np.fft.fft, (X,), {LEFT_OUT}),
    "trees": (lambda m, p: {"y": np.tanh(m.w @ p["x"]), "n": (m.steps,)}, (Model(M, 3), {"x": X}), set()),
    "jumps": (np.floor, (np.array([1.0, 2.5]),), {LEFT_OUT, UNCLEAR}),
    "noise": (custom_op(lambda x: np.round(np.sin(x), 7), partial=lambda y, x: np.cos(x)), (X,), {UNCLEAR, LEFT_OUT}),
    "no derivative": (lambda x: np.zeros(2) + 0 * x[0], (X,), set()),
    "a sum that is 1": (lambda x: np.sum(admodes.layers.softmax(x)), (X,), {UNCLEAR}),
    "eigenvalues": (lambda a: np.linalg.eigh(a + a.T)[0], (M,), {LEFT_OUT}),
    "ill-conditioned": (
        lambda a: np.linalg.slogdet(a)[1],
        (1 / (np.arange(5)[:, None] + np.arange(5) + 1.0),),
        {LEFT_OUT},
    ),
    "gammaln": (scipy.special.gammaln, (np.array([1e-8, 1.0, 1e8]),), {LEFT_OUT, UNCLEAR}),
    "by differences": (custom_op(lambda x: np.sin(x) * x.sum(), difference="central"), (X,), {UNCLEAR, KINK}),
    "by one-sided differences": (custom_op(lambda x: np.sin(x) * x.sum(), difference="forward"), (X,), {UNCLEAR, KINK}),
    "empty": (np.sin, (np.zeros(0),), set()),
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_derivatives_are_not_taken_for_wrong_ones(case):
    f, args, besides = RIGHT[case]
    with np.errstate(all="ignore"):
        found = check(f, *args).raise_()
    assert {row["verdict"] for row in found.rows} <= besides | {AGREES}
    assert all(finding.note for finding in found.findings if finding.verdict in (KINK, UNCLEAR, LEFT_OUT))


def test_what_is_compared():
    found = check(lambda x: np.sin(x) * x, X)
    rows = {(row["way"], row["against"]): row for row in found.rows}
    assert len(rows) == 20
    for against in ("central differences", "one-sided, ahead", "one-sided, behind", "complex step"):
        assert rows["forward", against]["error"] < 1e-6
    assert rows["forward", "complex step"]["error"] < 1e-14 < rows["forward", "central differences"]["error"]
    assert 1e-7 < rows["forward", "central differences"]["step"] < 1e-3
    for way in ("forward over forward", "reverse over forward", "forward over reverse", "reverse over reverse"):
        assert rows[way, "central differences"]["error"] < 1e-7
    assert rows["reverse", "⟨u, J t⟩ of forward"]["error"] < 1e-14


def test_a_kink_is_explained():
    assert "the slope ahead is 1, behind -1; the modes give 0" in str(check(np.abs, 0.0))


def test_a_function_by_differences_is_named():
    lookup = custom_op(lambda x: np.interp(x, [0, 1, 2], [0, 1, 4]), difference="central", elementwise=True)
    assert any("not exact" in remark and "central differences" in remark for remark in check(lookup, X).remarks)


def test_what_a_mode_raises_is_a_row():
    def f(x):
        return custom_op(lambda x: x * 2, partial=lambda y, x: 1 / 0)(x)

    found = check(f, X)
    assert found.summary.startswith("f: value, forward fails: ZeroDivisionError")
    assert not found.ok


def test_the_function_is_not_at_fault_for_its_arguments():
    with pytest.raises(TypeError, match=r"no argument is a float .*there are: int, str"):
        check(lambda n, s: n, 3, "text")
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 / 0, 1.0)
    x = X.copy()
    check(lambda x: np.sin(x), x)
    np.testing.assert_array_equal(x, X)


def test_functions_that_change_and_that_are_none():
    numbers = np.random.default_rng(0)
    found = check(lambda x: x * numbers.normal(), X)
    assert not found.ok
    assert any("when it is called again" in remark for remark in found.remarks)
    assert check(np.sin, X).remarks == ()
    with pytest.raises(TypeError, match="f is a list, not a function"):
        check([np.sin, np.cos], X)


def test_a_few_dozen_evaluations_are_enough():
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(np.sin(x))

    check(f, MANY)
    assert len(calls) < 200


def test_shown():
    found = check(sine(2.0), X)
    assert isinstance(found, Check)
    for text in (str(found), repr(found), found._repr_html_(), found.raise_.__self__.summary):
        assert "parts from central differences" in text
    assert "PARTS" in found.to_csv()
    data = json.loads(found.to_json())
    assert data["ok"] is False
    assert len(data["rows"]) == len(found.findings)
    assert {row["verdict"] for row in data["rows"]} >= {PARTS, AGREES}
    assert list(found.to_frame()["way"]) == [row["way"] for row in found.rows]


def test_command(tmp_path, capsys):
    path = tmp_path / "rules.py"
    path.write_text(
        "import numpy as np, admodes\n"
        "bad = admodes.custom_op(np.sin, partial=lambda y, x: -np.cos(x))\n"
        "def wrong(x): return bad(x).sum()\n"
        "def right(x): return np.sin(x).sum()\n"
    )
    assert main(["check", f"{path}:right", "--shape", "x=3"]) == 0
    assert "nothing parts" in capsys.readouterr().out
    assert main(["check", f"{path}:wrong", "--shape", "x=3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
