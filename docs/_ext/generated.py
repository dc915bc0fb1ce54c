"""Pages that are made in the build: the names of the package, the table of operations, the gallery, the notebooks.

What is listed by hand is checked: a public name in no group, or an edge where the derivative is another than the page
says, ends the build.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

import admodes
from admodes import coverage, grad, layers, sparse, special
from admodes.core.registry import Composite, Op, lookup

ROOT = Path(__file__).resolve().parents[2]

# ---------------------------------------------------------------------------------------------------
# The public names
# ---------------------------------------------------------------------------------------------------

GROUPS = {
    "Products and gradients": ["jvp", "vjp", "grad", "value_and_grad", "hvp", "linearize", "hessian_operator",
                               "gauss_newton"],
    "Jacobians and Hessians": ["jacobian", "jacfwd", "jacrev", "hessian"],
    "Sparse": ["sparse_jacobian_plan", "sparse_hessian_plan", "jacobian_pattern", "hessian_pattern"],
    "Programs and costs": ["trace", "compile", "cost", "Program", "Cost"],
    "Which way": ["compare", "Comparison", "explain", "Explanation"],
    "Chains and graphs": ["JacobianChain", "optimal_bracketing", "Bracketing", "linearized_graph", "LinearizedGraph"],
    "Equations, minima, trajectories": ["root", "fixed_point", "minimize", "odeint"],
    "Memory": ["checkpoint", "checkpoint_chain", "checkpoint_scan"],
    "Your own operations": ["custom_op", "register", "no_rerun"],
}  # fmt: skip
MODULES = {"layers", "special", "errors", "ops", "scipy"}


def is_error(name: str) -> bool:
    found = getattr(admodes, name)
    return inspect.isclass(found) and issubclass(found, Exception)


def names() -> str:
    """The page of all names, by what they are for."""
    errors = [name for name in admodes.__all__ if is_error(name)]
    grouped = {name for group in GROUPS.values() for name in group}
    others = sorted(set(admodes.__all__) - grouped - set(errors) - MODULES)
    lines = ["# Every name", ""]
    for title, group in [*GROUPS.items(), *([("More", others)] if others else [])]:
        lines += [f"## {title}", "", *_summary("admodes", group)]
    own = {name: fn for name, fn in vars(layers).items() if callable(fn) and fn.__module__ == layers.__name__}
    lines += ["## Layers of neural networks: `admodes.layers`", ""]
    lines += _summary("admodes.layers", [name for name in own if not name.startswith("_")])
    own = {name: fn for name, fn in vars(special).items() if callable(fn) and fn.__module__ == special.__name__}
    lines += ["## Functions of SciPy that do not dispatch: `admodes.special`", ""]
    lines += _summary("admodes.special", [name for name in own if not name.startswith("_")])
    for part in admodes.scipy.MODULES:
        module = importlib.import_module(f"admodes.scipy.{part}")
        if part != "special":  # above
            lines += [f"## `admodes.scipy.{part}`", "", *_summary(module.__name__, _documented(module))]
    parts = sorted(set(sparse.__all__) - set(admodes.__all__) - {"ORDERS"})
    lines += ["## Patterns, colourings, decompression: `admodes.sparse`", "", *_summary("admodes.sparse", parts)]
    lines += ["## Errors", "", "Each says what was passed, why it cannot work, and what to write instead.", ""]
    return "\n".join([*lines, *_summary("admodes", errors)])


def _documented(module: Any) -> list[str]:
    """The public functions and classes of a module that have a docstring of ours."""
    found = {name: getattr(module, name) for name in module.__all__}
    return [name for name, x in found.items() if callable(x) and x.__doc__ and x.__module__.startswith("admodes")]


def _summary(module: str, group: list[str]) -> list[str]:
    rows = [f"   {name}" for name in group]
    head = ["```{eval-rst}", f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree: names"]
    return [*head, "", *rows, "```", ""]


# ---------------------------------------------------------------------------------------------------
# The table of operations
# ---------------------------------------------------------------------------------------------------

# What the derivative is where there is none, or more than one: in words, and a function, a point and the gradient
# there, which the build computes.
Edge = tuple[str, Callable[[Any], Any], Any, Any]
NAN = np.nan
EDGES: dict[Any, Edge] = {
    np.absolute: ("0 at 0", np.abs, 0.0, 0.0),
    np.fabs: ("0 at 0", np.fabs, 0.0, 0.0),
    np.maximum: ("ties share equally", lambda x: np.maximum(x[0], x[1]), np.ones(2), [0.5, 0.5]),
    np.minimum: ("ties share equally", lambda x: np.minimum(x[0], x[1]), np.ones(2), [0.5, 0.5]),
    np.fmax: ("ties share equally", lambda x: np.fmax(x[0], x[1]), np.ones(2), [0.5, 0.5]),
    np.fmin: ("ties share equally", lambda x: np.fmin(x[0], x[1]), np.ones(2), [0.5, 0.5]),
    np.max: ("ties share equally", np.max, np.array([1.0, 1.0, 0.0]), [0.5, 0.5, 0.0]),
    np.min: ("ties share equally", np.min, np.array([1.0, 1.0, 2.0]), [0.5, 0.5, 0.0]),
    np.amax: ("ties share equally", np.amax, np.array([1.0, 1.0, 0.0]), [0.5, 0.5, 0.0]),
    np.amin: ("ties share equally", np.amin, np.array([1.0, 1.0, 2.0]), [0.5, 0.5, 0.0]),
    np.nanmax: ("ties share equally", np.nanmax, np.array([1.0, 1.0, 0.0]), [0.5, 0.5, 0.0]),
    np.nanmin: ("ties share equally", np.nanmin, np.array([1.0, 1.0, 2.0]), [0.5, 0.5, 0.0]),
    np.hypot: ("0 at 0", lambda x: np.hypot(x[0], x[1]), np.zeros(2), [0.0, 0.0]),
    np.linalg.norm: ("0 at 0", np.linalg.norm, np.zeros(2), [0.0, 0.0]),
    np.std: ("0 of constants", np.std, np.ones(3), [0.0, 0.0, 0.0]),
    np.sqrt: ("inf at 0; of np.where(x > 0, √x, 0) it is 0", np.sqrt, 0.0, np.inf),
    np.floor: ("0, also at the jumps", np.floor, 1.0, 0.0),
    np.ceil: ("0, also at the jumps", np.ceil, 1.0, 0.0),
    np.trunc: ("0, also at the jumps", np.trunc, 1.0, 0.0),
    np.rint: ("0, also at the jumps", np.rint, 0.5, 0.0),
    np.sign: ("0, also at 0", np.sign, 0.0, 0.0),
    np.clip: ("½ on a bound", lambda x: np.clip(x, 0.0, 1.0), 0.0, 0.5),
    np.median: ("ties share equally", np.median, np.ones(2), [0.5, 0.5]),
    np.sort: ("each value keeps its own; ties in their order", lambda x: np.sort(x)[0], np.ones(2), [1.0, 0.0]),
}


def edge(fn: Any) -> str:
    """What is said of a function at its edge, once it is seen to be so."""
    if not callable(fn) or getattr(fn, "__hash__", None) is None or fn not in EDGES:
        return ""
    text, f, x, expected = EDGES[fn]
    with np.errstate(all="ignore"):
        assert_allclose(grad(f)(x), expected, err_msg=f"{fn.__name__}: the page says {text}")
    return text


def flops(op: Op | None) -> str:
    """Flops an element of the result."""
    if op is None:
        return ""
    if isinstance(op, Composite):
        return "its parts"
    return "by shapes" if callable(op.flops) else f"{op.flops:g}"


def operations() -> str:
    """The page of all functions, by area."""
    lines = [
        "# The table of operations", "",
        "Made from the registry in the build. *Kind* says what a row states, and what the push J·t and the pull Jᵀ·u",
        "follow from: see {doc}`../explanation/registry`. *Flops* are those of an element of the result, where they do",
        "not follow from the shapes of the arguments; + − × ÷ √ are one, transcendental functions ten. *At the edge*",
        "stands what the derivative is where a function has a kink, a tie or a pole; the build computes each.", "",
        "`python -m admodes coverage` prints this table for the versions that you have.", "",
    ]  # fmt: skip
    entries = coverage.coverage()
    counts = coverage.totals(entries)
    lines += [f"| | {' | '.join(coverage.CLASSES)} | all |", "|---" * (len(coverage.CLASSES) + 2) + "|"]
    for area, found in counts.items():
        numbers = " | ".join(str(found[c]) for c in coverage.CLASSES)
        lines.append(f"| {area} | {numbers} | {found.total()} |")
    for area in counts:
        lines += ["", f"## {area}", "", "| function | class | kind | flops | at the edge, or why it raises |",
                  "|---|---|---|---|---|"]  # fmt: skip
        for e, fn in zip([e for e in entries if e.area == area], coverage.public(area).values(), strict=True):
            counted = flops(_row(fn)) if e.verdict == coverage.DIFFERENTIABLE else ""
            why = _plain(e.reason) or edge(fn)
            lines.append(f"| `{e.name}` | {e.verdict} | {e.rule} | {counted} | {why} |")
    return "\n".join(lines)


def _row(fn: Any) -> Op | None:
    try:
        return lookup(fn)
    except TypeError:
        return None


def _plain(text: str) -> str:
    return re.sub(r"([|*_<])", r"\\\1", text)


# ---------------------------------------------------------------------------------------------------
# Gallery and notebooks
# ---------------------------------------------------------------------------------------------------


def gallery() -> str:
    """The findings and the pictures of the last full run, as `figures/README.md` has them."""
    text = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\(([\w.]+\.png)\)", r"](../figures/\1)", text)
    text = re.sub(r"\[([\w.]+\.csv)\]\([\w.]+\.csv\)", r"`figures/\1`", text)
    head = ["# Gallery of the experiments", "", "`python -m experiments --full` draws these pictures and writes these"
            " findings; `python -m experiments NAME` runs one of them, smaller.", ""]  # fmt: skip
    return "\n".join([*head, text.partition("\n")[2]])


def notebooks(folder: Path) -> Iterator[Path]:
    """The notebooks of `examples/`, where Sphinx looks for pages."""
    folder.mkdir(exist_ok=True)
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        yield Path(shutil.copyfile(path, folder / path.name))


def write(app: Any, _: Any) -> None:
    """Write the pages, those alone that are others than they were."""
    here = Path(app.srcdir)
    for name, text in (
        ("reference/names.md", names()),
        ("reference/operations.md", operations()),
        ("gallery.md", gallery()),
    ):
        path = here / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    list(notebooks(here / "examples"))


def setup(app: Any) -> dict[str, Any]:
    app.connect("config-inited", write)  # before pages are looked for
    return {"parallel_read_safe": True}
