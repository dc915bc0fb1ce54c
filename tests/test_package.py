"""What others get: the wheel in an empty environment outside the checkout, the sdist by its own tests, and the editable
install as type checkers see it."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

import admodes

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Outside the checkout nothing says where it is, nor how many threads NumPy has.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "MYPY")) and not name.endswith("_NUM_THREADS")
}


def done(*command, cwd, **kwargs):
    """What a command printed; the test fails with what it said where it failed."""
    ended = subprocess.run(list(map(str, command)), cwd=cwd, env=CLEAN, capture_output=True, text=True, **kwargs)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that is built from it."""
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="module")
def environment(tmp_path_factory, built):
    """A folder outside the checkout with an environment that holds the wheel and nothing else of ours."""
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "env", with_pip=True)
    (wheel,) = built.glob("*.whl")
    done(folder / "env" / "bin" / "python", "-m", "pip", "install", "-q", wheel, cwd=folder)
    return folder


def test_metadata(built):
    """The version is one, in the wheel, in the sdist and in the citation."""
    assert {path.name for path in built.iterdir()} == {
        f"admodes-{admodes.__version__}.tar.gz",
        f"admodes-{admodes.__version__}-py3-none-any.whl",
    }
    assert f"\nversion: {admodes.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_wheel_in_an_empty_environment(environment):
    """A first session: a gradient, the command line, and the experiments with their data."""
    python = environment / "env" / "bin" / "python"
    code = (
        "import admodes, numpy as np; print(admodes.__file__); print(admodes.grad(lambda x: np.sum(x**2))(np.ones(2)))"
    )
    where, value = done(python, "-c", code, cwd=environment).splitlines()
    assert Path(where).is_relative_to(environment)
    assert value == "[2. 2.]"
    command = environment / "env" / "bin" / "admodes"
    assert done(command, "--version", cwd=environment) == f"admodes {admodes.__version__}\n"
    done(command, "explain", "numpy:linalg.norm", "--shape", "x=3", "--out", "walk.html", cwd=environment)
    assert "dagre" in (environment / "walk.html").read_text(encoding="utf-8")
    listed = json.loads(done(command, "experiments", "--list", "--json", cwd=environment))
    assert set(listed) == {path.stem for path in ROOT.glob("experiments/*.py") if "\ndef run(study" in path.read_text()}
    (report,) = json.loads(done(command, "experiments", "bracketing", "--json", cwd=environment))
    assert report["error"] is None
    assert all(Path(path).parent == environment / "figures" / "short" for path in report["files"])
    assert json.loads(done(python, "-m", "admodes.experiments", "--list", "--json", cwd=environment)) == listed
    alone = "import os, sys, admodes.experiments as e; print(e.LATE, *(os.environ[name] for name in e.ALONE))"
    assert done(python, "-c", alone, cwd=environment) == "True 1 1 1 1\n"


def test_the_sdist_holds_what_its_tests_need(built, tmp_path):
    """Those of its tests that read files beside them; all of them are collected."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    collected = done(sys.executable, "-m", "pytest", "-q", "-n0", "--collect-only", cwd=source)
    assert re.search(r"\d+/\d+ tests collected", collected)
    files = ("chains/test_bracketing.py", "elimination/test_annealing.py", "test_readme.py", "test_layers.py")
    found = done(sys.executable, "-m", "pytest", "-q", "-n0", *(f"tests/{name}" for name in files), cwd=source)
    assert re.search(r"\d+ passed", found)


def test_type_checkers_find_an_editable_install(tmp_path):
    """It is a line in a .pth file, not an import hook; and mypy reads the package through it, from outside."""
    pytest.importorskip("mypy")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    done(python, "-m", "pip", "install", "-q", "--no-deps", "-e", ROOT, cwd=tmp_path)
    (line,) = tmp_path.glob("env/lib/*/site-packages/*admodes*.pth")
    assert line.read_text().strip() == str(ROOT)
    (tmp_path / "user.py").write_text("import admodes\nreveal_type(admodes.cost(abs, 1.0).flops)\n")
    options = ("--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--python-executable", python)
    assert 'Revealed type is "float"' in done(sys.executable, "-m", "mypy", *options, "user.py", cwd=tmp_path).replace(
        "builtins.", ""
    )
