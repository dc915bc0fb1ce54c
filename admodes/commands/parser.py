"""The options of every command, and the examples that its --help shows."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import __version__, coverage
from ..explanation.story import TARGETS as WALKS
from ..ways.question import TARGETS
from . import run
from .function import add_function

# One or more lines a command that can be typed as they stand; a test types them.
EXAMPLES = {
    "compare": (
        "admodes compare numpy:linalg.det --shape a=4,4 --max-seconds 2",
        "admodes compare numpy:tanh --shape x=5 --target jacobian --json --max-seconds 1",
        "admodes compare numpy:dot --shape a=20 --shape b=20 --argnums 0,1 --max-seconds 2",
        "admodes compare numpy:linalg.norm --shape x=50 --scale 1,4,16,64 --max-seconds 3",
    ),
    "trace": ("admodes trace numpy:linalg.norm --shape x=5", "admodes trace numpy:sum --shape a=5 --of gradient"),
    "cost": ("admodes cost numpy:linalg.det --shape a=8,8 --of gradient",),
    "plan": ("admodes plan numpy:diff --arg 'a=np.linspace(0, 1, 50)'",),
    "check": ("admodes check numpy:linalg.det --shape a=4,4", "admodes check numpy:tanh --arg 'x=0.5' --json"),
    "coverage": ("admodes coverage numpy.linalg", "admodes coverage --missing --json"),
    "explain": (
        "admodes explain numpy:linalg.norm --shape x=3",
        "admodes explain numpy:tanh --shape x=4 --target jacobian --json",
    ),
    "calibrate": ("admodes calibrate --dry",),
    "doctor": ("admodes doctor",),
    "experiments": ("admodes experiments --list", "admodes experiments --list --json"),
}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="admodes",
        description="Derivatives of plain NumPy code: every way to them, what each costs, and which to take.",
        epilog="Exit status: 0 done, 1 the function failed, 2 the command line cannot be used, 130 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"admodes {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, action: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        examples = "\n".join(f"  {line}" for line in EXAMPLES[name])
        one: argparse.ArgumentParser = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.set_defaults(action=action)
        one.add_argument("--json", action="store_true", help="print JSON")
        one.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return one

    _compare(add("compare", run.compare, "every way to the derivative of a function: predicted, counted and measured"))
    for name, action, text in (
        ("trace", run.trace, "the flat code of a function, or of a derivative of it"),
        ("cost", run.cost, "the counted work of a function, or of a derivative of it"),
    ):
        one = add(name, action, text)
        add_function(one)
        one.add_argument("--of", choices=list(run.DERIVATIVES), default="function", help="what to write down")
    add_function(add("plan", run.plan, "how jacobian(f) would compute the Jacobian, and why"))
    one = add("explain", run.explain, "forward and reverse mode of a function, step by step, as a table and as a page")
    add_function(one)
    one.add_argument("--target", choices=WALKS, default="gradient", help="what both modes are to give")
    one.add_argument("--out", type=Path, metavar="PAGE.html", help="write the page, one HTML file")
    one = add("check", run.check, "both modes against each other and against differences; status 1 where they part")
    add_function(one)
    one = add("coverage", run.covered, "which functions can be differentiated, and why the others cannot")
    one.add_argument("area", nargs="*", help=f"modules, of {', '.join(coverage.AREAS)}; all unless given")
    one.add_argument("--missing", action="store_true", help="only the functions that raise, with the reasons")
    one = add("calibrate", run.calibrate, "measure the constants of the cost model on this machine, and keep them")
    one.add_argument("--dry", action="store_true", help="measure and print, and keep nothing")
    one = add("experiments", run.experiments, "run the experiments: data, pictures, findings")
    one.add_argument("name", nargs="*", metavar="NAME", help="experiments to run; all unless given")
    one.add_argument("--full", action="store_true", help="larger sizes and more repetitions: takes minutes")
    one.add_argument("--list", action="store_true", help="list them with their questions")
    one.add_argument("--out", type=Path, metavar="DIR", help="where to write; made if it does not exist")
    add("doctor", run.doctor, "versions, threads and optional parts of this installation")
    return whole


def _compare(one: argparse.ArgumentParser) -> None:
    add_function(one)
    one.add_argument("--target", choices=["auto", *TARGETS], default="auto", help="which derivative")
    one.add_argument("--argnums", type=_argnums, default=0, metavar="0,2", help="by which arguments; the first unless "
                     "given")  # fmt: skip
    one.add_argument("--sizes", type=_sizes, metavar="n=16,64,256", help="sweep: the function is a factory, and of "
                     "each size returns (function, x, …)")  # fmt: skip
    one.add_argument("--scale", type=_numbers, metavar="1,4,16", help="sweep: arguments so many times as long")
    one.add_argument("--max-seconds", type=_positive, default=10.0, metavar="S", help="for all of it; 10 unless given")
    one.add_argument("--max-bytes", type=_positive, metavar="B", help="a way that would need more is not run")
    one.add_argument("--html", type=Path, metavar="PATH", help="write one page that holds all it shows")
    one.add_argument("--csv", type=Path, metavar="PATH", help="write the rows as CSV")
    one.add_argument("--plot", type=Path, metavar="PATH", help="write the picture, as PNG, SVG or PDF")


def _argnums(text: str) -> int | tuple[int, ...]:
    places = tuple(_numbers(text))
    if not all(isinstance(place, int) for place in places):
        raise argparse.ArgumentTypeError(f"{text!r}: arguments are counted from 0: write --argnums 0 or 0,2")
    return places[0] if len(places) == 1 else places


def _numbers(text: str) -> list[Any]:
    """Numbers between commas, whole where they are written so."""
    try:
        return [int(part) if part.strip().isdigit() else float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between them, as in 1,4,16") from None


def _sizes(text: str) -> dict[str, list[Any]]:
    name, equals, values = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} names no size: write --sizes n=16,64,256")
    return {name.strip(): _numbers(values)}


def _positive(text: str) -> Any:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value
