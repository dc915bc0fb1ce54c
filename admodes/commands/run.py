"""What each command does with its options; the exit status is returned.

0: done.  1: the function, or what was asked of it, failed.  2: the command line cannot be used.  130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import admodes

from .. import coverage
from .function import Unusable, arguments, loaded

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# What `trace` and `cost` write down: the function, or a derivative of it.
DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "function": lambda f: f,
    "gradient": admodes.grad,
    "forward": admodes.jacfwd,
    "reverse": admodes.jacrev,
    "hessian": admodes.hessian,
}


def compare(options: argparse.Namespace) -> int:
    f = loaded(options.function)
    if options.sizes and (options.shape or options.arg or options.args or options.scale):
        raise Unusable(
            "with --sizes the function makes the arguments itself: give no --shape, --arg, --args or --scale"
        )
    args = () if options.sizes else arguments(f, options)
    for path in (options.html, options.csv, options.plot):
        _writable(path)
    found = admodes.compare(
        f, *args, target=options.target, argnums=options.argnums, max_seconds=options.max_seconds,
        max_bytes=options.max_bytes, sizes=options.sizes, scale=options.scale,
    )  # fmt: skip
    print(found.to_json() if options.json else found)
    for path, write in ((options.html, found.to_html), (options.csv, found.to_csv), (options.plot, found.plot)):
        if path is not None:
            write(path)
    return INTERRUPTED if found.interrupted else DONE if found.best is not None else FAILED


def _writable(path: Path | None) -> None:
    """Raise where nothing can be written to a path, before the work whose results are to go there."""
    if path is None:
        return
    if path.is_dir():
        raise Unusable(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise Unusable(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Unusable(f"{path} cannot be written: you may not write there")


def trace(options: argparse.Namespace) -> int:
    program = _traced(options)
    if options.json:
        listing = [str(line) for line in program.instructions]
        _say({"source": program.source, "instructions": listing, "cost": _counts(program.cost)})
    else:
        print(program.source)
    return DONE


def cost(options: argparse.Namespace) -> int:
    counted = _traced(options).cost
    if options.json:
        _say(_counts(counted) | {"by_operation": {k: row._asdict() for k, row in counted.by_operation.items()}})
    else:
        print(counted)
    return DONE


def _traced(options: argparse.Namespace) -> Any:
    f = _one(loaded(options.function))
    return admodes.trace(DERIVATIVES[options.of](f), *arguments(f, options))


def _one(f: Any) -> Any:
    """One function, where a list of layers may have been named."""
    from ..ways.question import composed

    return f if callable(f) else composed(f)


def _counts(counted: Any) -> dict[str, Any]:
    names = ("flops", "multiply_adds", "bytes", "peak_bytes", "operations", "intensity", "approximate")
    return {name: getattr(counted, name) for name in names}


def plan(options: argparse.Namespace) -> int:
    f = loaded(options.function)
    found = admodes.jacobian(f).plan(*arguments(f, options))
    if options.json:
        rows = [c.record() for c in found.candidates]
        _say({"shape": list(found.shape), "choice": found.choice, "candidates": rows, "remarks": list(found.remarks)})
    else:
        print(found)
    return DONE


def explain(options: argparse.Namespace) -> int:
    f = _one(loaded(options.function))
    _writable(options.out)
    found = admodes.explain(f, *arguments(f, options), target=options.target)
    if options.out is not None:
        found.to_html(options.out)
    if options.json:
        _say(found.data)
    else:
        print(found if options.out is None else f"{found.story.sentence}\nwritten to {options.out}")
    return DONE


def check(options: argparse.Namespace) -> int:
    f = _one(loaded(options.function))
    found = admodes.check(f, *arguments(f, options))
    print(found.to_json() if options.json else found)
    return DONE if found.ok else FAILED


def covered(options: argparse.Namespace) -> int:
    unknown = sorted(set(options.area) - set(coverage.AREAS))
    if unknown:
        raise Unusable(f"no such area: {', '.join(unknown)}; there are {', '.join(coverage.AREAS)}")
    areas = options.area or coverage.AREAS
    if not options.json:
        coverage.table(missing=options.missing, areas=areas)
        return DONE
    entries = [e for e in coverage.coverage(areas) if not options.missing or e.verdict == coverage.RAISES]
    _say([{"area": e.area, "name": e.name, "class": e.verdict, "rule": e.rule, "reason": e.reason} for e in entries])
    return DONE


def doctor(options: argparse.Namespace) -> int:
    from .doctor import report, shown

    found = report()
    if options.json:
        _say(found)
    else:
        print(shown(found))
    return DONE


def calibrate(options: argparse.Namespace) -> int:
    """The constants of this machine, measured and kept."""
    from ..core.progress import bar
    from ..ways.calibrate import calibrate as measured
    from ..ways.model import kept_at

    with bar("calibrating", 100) as step:
        model = measured(keep=not options.dry, progress=lambda what, _: step(what))
    if options.json:
        _say({"kept_at": None if options.dry else str(kept_at()), "model": asdict(model)})
    else:
        print(model if options.dry else f"{model}\nkept at {kept_at()}")
    return DONE


def experiments(options: argparse.Namespace) -> int:
    """Run the experiments in a process of its own: they set the threads of NumPy before it loads."""
    package = Path(admodes.__file__).resolve().parent
    flags = [f"--{name}" for name in ("full", "list", "json") if getattr(options, name)]
    out = ["--out", str(options.out)] if options.out else []
    # Installed, they are a part of the package; in a checkout they stand beside it.
    module = "admodes.experiments" if (package / "experiments").is_dir() else "experiments"
    path = os.pathsep.join(filter(None, (str(package.parent), os.environ.get("PYTHONPATH"))))
    # -P: an `experiments` of the working directory is another one.
    command = [sys.executable, "-P", "-m", module, *options.name, *flags, *out]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False).returncode


def _say(found: Any) -> None:
    print(json.dumps(found, indent=1, ensure_ascii=False, default=float))


def guarded(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; an error is a line on stderr, with the traceback where --debug asks for it."""
    try:
        return command(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if options.debug:
            raise
        usage = isinstance(error, Unusable)
        print(f"admodes {options.command}: {_line(error)}", file=sys.stderr)
        return USAGE if usage else FAILED


def _line(error: BaseException) -> str:
    kind = "" if isinstance(error, Unusable) else f"{type(error).__name__}: "
    return kind + "\n".join([str(error), *getattr(error, "__notes__", [])])
