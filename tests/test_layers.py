"""The house's own layers: imports run downward only, and `import admodes` loads nothing it does not need.

(The layers of neural networks are in test_layers_of_the_seeds.py.)
"""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import admodes

PACKAGE = Path(admodes.__file__).parent

# From the ground up: a module imports only from its own room and from floors below. Rooms of one floor do not know each
# other.
FLOORS = [
    ["core"],
    ["ops"],
    ["custom"],
    ["layers"],
    ["special"],
    ["transforms", "program"],
    ["sparse", "elimination", "operators"],
    ["chains", "implicit", "checking"],
    ["scipy"],
    ["ways", "explanation"],
    ["coverage"],
    [""],  # admodes/__init__.py
    ["commands"],
    ["__main__"],
]
FLOOR = {room: height for height, floor in enumerate(FLOORS) for room in floor}
MODULES = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in PACKAGE.rglob("*.py")}


def room(parts):
    """The name in ORDER of a module given by the parts of its path below the package."""
    return "" if parts in ((), ("__init__",)) else parts[0]


def imported(path, parts):
    """The modules of the package that a file imports, inside functions too, as parts below the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
            yield from (name[1:] for name in names if name[0] == "admodes")
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = parts[: len(parts) - node.level]
            elif node.module and node.module.split(".")[0] == "admodes":
                base = ()
            else:
                continue
            base += tuple((node.module or "").split(".") if node.level else node.module.split(".")[1:])
            base = tuple(part for part in base if part)
            for alias in node.names:
                yield base if is_module(base) and not is_module((*base, alias.name)) else (*base, alias.name)


def is_module(parts):
    path = PACKAGE.joinpath(*parts)
    return path.with_suffix(".py").is_file() if parts and not path.is_dir() else path.is_dir()


def test_contributing_shows_the_rooms():
    """Its table names each room once, from the top down; and what it names in the repository is there."""
    root = PACKAGE.parent
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    shown = ["" if name == "__init__" else name for name in re.findall(r"^\| `(\w+)/?` \|", table, re.MULTILINE)]
    assert set(shown) == set(FLOOR)
    assert len(shown) == len(FLOOR)
    heights = [FLOOR[name] for name in shown]
    assert heights == sorted(heights, reverse=True)
    rooms = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] != "_")
    for name in re.findall(rf"`((?:admodes|tests|experiments|{rooms})/[\w/.]*)`", text):
        base = root if name.startswith(("admodes", "tests", "experiments")) else PACKAGE
        head, _, member = name.partition(".")
        module = base / f"{head}.py"
        there = (base / name).exists() or module.is_file()
        assert there, f"CONTRIBUTING.md names {name}, which is not there"
        if member and not (base / name).exists():
            assert re.search(rf"\b{member}\b", module.read_text(encoding="utf-8")), f"{head} has no {member}"


def test_every_module_has_a_place():
    places = {room(parts) for parts in MODULES.values()}
    assert places == set(FLOOR), f"FLOORS and the rooms differ by {places ^ set(FLOOR)}"
    assert len(FLOOR) == sum(map(len, FLOORS))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downward(path):
    parts = MODULES[path]
    here = room(parts)
    for target in imported(path, parts):
        there = room(target)
        assert here == there or FLOOR[there] < FLOOR[here], (
            f"{'.'.join(parts)} imports {'.'.join(target)}, which is not below it"
        )


def test_no_circles():
    """Inside a room too: the modules can be read in an order in which each knows only those before it."""
    known = {parts[:-1] if parts[-1] == "__init__" else parts: path for path, parts in MODULES.items()}
    graph = {
        name: {t for t in imported(path, MODULES[path]) if t in known and t != name and t != name[: len(t)]}
        for name, path in known.items()
    }
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_reading_of_imports(tmp_path):
    """The reader itself: relative, absolute and late imports are all seen."""
    text = (
        "from . import directions\nfrom ..core.registry import Op\nimport admodes.chains\n"
        "from admodes.program import Program\n"
        "from admodes import grad\nimport numpy\n\ndef f():\n    from ..ops.index import read\n"
    )
    path = tmp_path / "x.py"
    path.write_text(text)
    assert {room(target) for target in imported(path, ("transforms", "dense"))} == {
        "transforms", "core", "chains", "program", "", "ops",
    }  # fmt: skip
    path.write_text("from ..core.registry import Op\nfrom . import index\nfrom .. import custom\n")
    assert [room(t) for t in imported(path, ("ops", "shape"))] == ["core", "ops", "custom"]


def test_rooms_of_ops_do_not_import_upward():
    """Below `ops` there is no transform: a rule that needed one would tie the table to its users."""
    for path, parts in MODULES.items():
        if parts[0] == "ops":
            assert all(FLOOR[room(t)] <= FLOOR["ops"] for t in imported(path, parts))


# Rooms whose values may be traced, and which must tell these from arrays of NumPy's own.
AMONG_TRACED = [
    path
    for path, parts in MODULES.items()
    if parts[0] in ("core", "transforms") or parts[-1] in ("recording", "straightline")
]


@pytest.mark.parametrize("path", AMONG_TRACED, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_isinstance_is_not_asked_whether_an_array_is_plain(path):
    """isinstance(x, np.ndarray) is true of traced arrays, for the user's code; ours asks tracing.is_memory(x), or
    names Tracer beside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            kinds = ast.unparse(node.args[1])
            assert "ndarray" not in kinds or "Tracer" in kinds, f"line {node.lineno}: {ast.unparse(node)}"


HEAVY = ["matplotlib", "rich", "sklearn", "scipy.special", "scipy.sparse", "scipy.linalg", "asyncio", "tempfile"]
LATE = [
    "admodes.program",
    "admodes.ways",
    "admodes.chains",
    "admodes.elimination",
    "admodes.sparse",
    "admodes.implicit",
]


@pytest.mark.parametrize(
    "statement", ["import admodes", "from admodes import layers", "from admodes import scipy, special"]
)
def test_import_is_light(statement):
    """In a fresh interpreter the import loads none of the heavy packages, nor rooms that eager gradients do without."""
    code = f"""
import sys, scipy, optree, xxhash
before = {{*sys.modules}}
{statement}
print([m for m in {HEAVY + LATE!r} if m in sys.modules and m not in before])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
