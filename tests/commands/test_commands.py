"""The command line: every example that --help shows, every exit status, every way to name a function."""

import json
import shlex

import numpy as np
import pytest

import admodes
from admodes.__main__ import main
from admodes.commands.parser import EXAMPLES, parser

pytestmark = pytest.mark.usefixtures("steady_clock")

MODEL = """
import numpy as np

def loss(x, w=2.0):
    return np.sum(np.tanh(x) ** 2) * w

def failing(x):
    raise ArithmeticError("half way")

def made(n):
    return lambda x, y: np.sum(x * y), np.ones(n), np.ones(n)

layers = [np.tanh, np.sin]
number = 3
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a_model.py"
    path.write_text(MODEL)
    return path


def lines():
    return [line for examples in EXAMPLES.values() for line in examples]


@pytest.mark.parametrize("line", lines())
def test_examples(line, capfd):
    name, *rest = shlex.split(line)
    assert name == "admodes"
    assert main(rest) == 0
    out = capfd.readouterr().out
    assert out.strip()
    if "--json" in rest:
        json.loads(out)


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_shows_the_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(example in text for example in EXAMPLES[command])


def test_every_command_has_examples():
    (choices,) = (a.choices for a in parser()._actions if a.choices and "trace" in a.choices)
    assert set(choices) == set(EXAMPLES)


@pytest.mark.parametrize("command", ["compare", "trace", "cost", "plan"])
def test_json_of_a_file(command, model, capsys):
    extra = ["--max-seconds", "1"] if command == "compare" else []
    assert main([command, f"{model}:loss", "--shape", "x=5", "--json", *extra]) == 0
    data = json.loads(capsys.readouterr().out)
    if command == "compare":
        assert data["target"] == "gradient"
        assert data["n"] == 5
    if command == "cost":
        assert data["flops"] > 0


def test_doctor_and_coverage_as_json(capsys):
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["numpy"] == np.__version__
    assert main(["coverage", "numpy.fft", "--json"]) == 0
    assert {row["area"] for row in json.loads(capsys.readouterr().out)} == {"numpy.fft"}


def test_arguments(model, tmp_path, capsys):
    """By shape, by expression and from a file; what has a default may be left out."""
    np.savez(tmp_path / "a.npz", x=np.arange(4.0))
    assert main(["cost", f"{model}:loss", "--args", str(tmp_path / "a.npz"), "--arg", "w=np.pi", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flops"] == admodes.cost(lambda x: np.sum(np.tanh(x) ** 2) * 2.0,
                                                                       np.ones(4)).flops  # fmt: skip
    assert main(["plan", f"{model}:layers", "--shape", "x=3", "--json"]) == 0
    assert {c["mode"] for c in json.loads(capsys.readouterr().out)["candidates"]} >= {"bracketing"}
    assert main(["trace", f"{model}:layers", "--shape", "x=3"]) == 0
    assert "np.tanh" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spec", "options", "status", "message"),
    [
        ("loss", [], 2, "names no function"),
        ("nowhere_at_all:f", [], 2, "no module 'nowhere_at_all'"),
        ("nowhere.py:f", [], 2, "no file nowhere.py"),
        ("numpy:nothing", [], 2, "has no 'nothing'"),
        ("FILE:number", [], 2, "neither a function nor a list of layers"),
        ("FILE:loss", [], 2, "no shape is given for x: add --shape x=64"),
        ("FILE:loss", ["--shape", "z=3"], 2, "has no argument 'z'; it has x, w"),
        ("FILE:loss", ["--shape", "x=a"], 2, "is no shape"),
        ("FILE:loss", ["--shape", "x"], 2, "write --shape name="),
        ("FILE:loss", ["--shape", "x=-3"], 2, "negative"),
        ("FILE:loss", ["--shape", "x=3", "--arg", "x=3"], 2, "given twice"),
        ("FILE:loss", ["--arg", "x=1/0"], 2, "raises ZeroDivisionError"),
        ("FILE:loss", ["--args", "nowhere.npz"], 2, "cannot be read"),
        ("FILE:failing", ["--shape", "x=3"], 1, "ArithmeticError: half way"),
        ("FILE:loss", ["--shape", "x=3", "--max-seconds", "1e-9"], 1, "one run of loss alone took"),
        ("FILE:loss", ["--shape", "x=3", "--target", "jvp", "--csv", "/nowhere/at/all.csv"], 2, "there is no folder"),
    ],
)
def test_bad_lines(spec, options, status, message, model, capsys):
    options = options if "--max-seconds" in options else [*options, "--max-seconds", "1"]
    assert main(["compare", spec.replace("FILE", str(model)), *options]) == status
    assert message in capsys.readouterr().err


def test_a_sweep(model, tmp_path, capsys):
    line = ["compare", f"{model}:made", "--sizes", "n=4,16", "--argnums", "0,1", "--max-seconds", "3", "--json"]
    assert main([*line, "--plot", str(tmp_path / "a.svg")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["sweep"]["sizes"] == [4, 16]
    assert data["n"] == 32  # both arguments of 16 numbers
    assert "arithmetic intensity" in (tmp_path / "a.svg").read_text()
    assert main([*line, "--shape", "x=3"]) == 2
    assert "makes the arguments itself" in capsys.readouterr().err
    assert main(["compare", f"{model}:loss", "--shape", "x=3", "--scale", "1,2", "--json", "--max-seconds", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["sweep"]["sizes"] == [3, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sizes", "16"], "names no size: write --sizes n=16,64,256"),
        (["--sizes", "n=a"], "'a' is not numbers"),
        (["--scale", "1,b"], "'1,b' is not numbers"),
        (["--argnums", "x"], "'x' is not numbers"),
        (["--argnums", "0.5"], "counted from 0"),
    ],
)
def test_sweeps_that_cannot_be_read(options, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", "numpy:sum", "--shape", "a=3", *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_experiments_run(tmp_path, capfd, monkeypatch):
    """Those of the repository, not a package of that name where the command is typed."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__main__.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    assert main(["experiments", "bracketing", "--json", "--out", "here"]) == 0
    (report,) = json.loads(capfd.readouterr().out)
    assert report["name"] == "bracketing"
    assert report["finding"]
    assert all((tmp_path / path).is_file() for path in report["files"])
    assert report["files"]


def test_an_unknown_experiment(capfd):
    assert main(["experiments", "no_such_one"]) == 2
    assert "no experiment is called no_such_one" in capfd.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"admodes {admodes.__version__}\n"


def test_a_module_that_fails(tmp_path, capsys):
    (tmp_path / "broken_model.py").write_text("import not_installed_at_all\n")
    assert main(["trace", f"{tmp_path / 'broken_model.py'}:f", "--shape", "x=3"]) == 2
    assert "needs not_installed_at_all" in capsys.readouterr().err


def test_debug_raises(model):
    with pytest.raises(ArithmeticError):
        main(["trace", f"{model}:failing", "--shape", "x=3", "--debug"])


def test_an_interrupt_has_its_status(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(admodes, "trace", stop)
    assert main(["trace", "numpy:sum", "--shape", "a=3"]) == 130
    assert "interrupted" in capsys.readouterr().err
