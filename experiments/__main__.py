"""The command: `python -m experiments [names …] [--full] [--list] [--json] [--out DIR] [--workers N | --dask URL]`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from admodes.core.plain import speak

from . import LATE, page
from .frame import FIGURES, SHORT, Workers, discover, listing, question, run_all, summary
from .timing import keep_memory


def parser() -> argparse.ArgumentParser:
    """What --help shows."""
    described = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Run experiments: each answers one question, and writes its data (CSV) and pictures (SVG, PNG); "
        f"what they found is gathered in {page.NAME} beside them.",
        epilog=f"A short run writes to {_shown(SHORT)}, which git ignores, and only --full to {_shown(FIGURES)}: what "
        "the repository shows always comes from a full run. --out DIR overrides both. Seeds are fixed. What is timed "
        "runs on one thread of this process, with or without --workers and --dask: only what is counted, and the same "
        "on every machine, goes to them. Exit status: 0, or 1 when an experiment failed (the others still run), or 2 "
        "for an unknown name.",
    )
    described.add_argument("names", nargs="*", metavar="name", help="experiments to run; all of them without names")
    described.add_argument("--full", action="store_true", help="larger sizes and more repetitions: takes minutes")
    described.add_argument("--list", action="store_true", help="list the experiments with their questions, and stop")
    described.add_argument("--json", action="store_true", help="print JSON; progress goes to stderr")
    described.add_argument("--out", type=Path, metavar="DIR", help="where to write; made if it does not exist")
    others = described.add_mutually_exclusive_group()
    others.add_argument("--workers", type=_positive, metavar="N", help="count in N processes side by side")
    others.add_argument("--dask", metavar="ADDRESS", help="count on the workers of a Dask scheduler, tcp://host:port")
    return described


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} workers: there must be at least 1")
    return number


def _workers(options: argparse.Namespace) -> Workers | None:
    """Where the counting goes; None for this process."""
    if options.dask:
        return partial(_cluster, options.dask)
    if options.workers:
        return partial(ProcessPoolExecutor, options.workers, mp_context=multiprocessing.get_context("spawn"))
    return None


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    from distributed import Client

    with Client(address) as client:
        yield client.get_executor()


def _shown(path: Path) -> str:
    return f"{path.relative_to(FIGURES.parent).as_posix()}/"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    speak(sys.stdout)
    described = parser()
    options = described.parse_args(arguments)
    experiments = discover()
    console = Console(stderr=options.json)
    if options.list:
        questions = {name: question(module) for name, module in experiments.items()}
        if options.json:
            print(json.dumps(questions, indent=1, ensure_ascii=False))
        else:
            console.print(listing(questions))
        return 0
    unknown = [name for name in options.names if name not in experiments]
    if unknown:
        described.error(f"no experiment is called {', '.join(unknown)}; there are: {', '.join(experiments)}")
    chosen = {name: experiments[name] for name in dict.fromkeys(options.names or experiments)}
    keep_memory()
    out = options.out or (FIGURES if options.full else SHORT)
    reports = run_all(chosen, out, options.full, console, _workers(options))
    page.write(out, reports, {name: question(module) for name, module in chosen.items()}, options.full)
    if options.json:
        print(json.dumps([report.record() for report in reports], indent=1, ensure_ascii=False))
    else:
        console.print(summary(reports))
    return int(any(report.error for report in reports))


if __name__ == "__main__":
    # What NumPy has read it does not read again: another process does, in the environment that this one has set.
    sys.exit(subprocess.call([sys.executable, "-m", str(__package__), *sys.argv[1:]]) if LATE else main())
