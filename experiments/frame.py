"""The frame around an experiment: finding it, running it, writing its data and pictures, and the table at the end.

An experiment is a module of this package with a function `run(study) -> finding`.  Its docstring opens with the
question, in one line, and goes on with how it is measured, what to expect, and why.
"""

from __future__ import annotations

import csv
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from admodes.ways.executors import completed

from . import style

ROOT = Path(__file__).resolve().parent.parent
FIGURES = (ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd()) / "figures"
SHORT = FIGURES / "short"

SEED = 20191203

Row = Mapping[str, Any]
T = TypeVar("T")
R = TypeVar("R")

# Starts the workers of one sweep, and ends them.
Workers = Callable[[], AbstractContextManager[Executor]]


@dataclass
class Study:
    """One run of one experiment: how thorough it is, and where its results go."""

    name: str
    out: Path
    full: bool
    progress: Progress
    console: Console
    files: list[Path] = field(default_factory=list)
    workers: Workers | None = None

    def rng(self) -> np.random.Generator:
        """Random numbers that are the same in every run."""
        return np.random.default_rng(SEED)

    def track(self, items: Sequence[T], unit: str) -> Iterator[T]:
        """The items, with a progress bar.

        The bar is drawn between items and by no thread of its own, so that it takes no time from what is measured.
        """
        task = self.progress.add_task(f"{self.name}: {unit}", total=len(items))
        for item in items:
            yield item
            self.progress.advance(task)
            self.progress.refresh()

    def map(self, function: Callable[[T], R], items: Sequence[T], unit: str) -> list[R]:
        """function(item) of every item, in their order; with --workers or --dask side by side.

        For what is counted, and the same on every machine; what is timed goes through `track`, one after another.  The
        workers are gone when this returns, so that no timing has company.  The function, defined at the top of a
        module, the items and the results travel by pickle.
        """
        if self.workers is None:
            return [function(item) for item in self.track(items, unit)]
        task = self.progress.add_task(f"{self.name}: {unit}", total=len(items))
        found = {}
        with self.workers() as executor:
            for i, result in completed(executor, function, [(item,) for item in items], f"{unit} [{{}}]".format):
                found[i] = result
                self.progress.advance(task)
                self.progress.refresh()
        return [found[i] for i in range(len(items))]

    def table(self, rows: Sequence[Row], part: str = "") -> None:
        """Write rows to NAME.csv, or NAME_PART.csv; the keys of the first row are the columns."""
        path = self.file("csv", part)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)

    def picture(self, figure: Figure, part: str = "") -> None:
        """Write a figure as SVG and as PNG."""
        for kind in ("svg", "png"):
            style.save(figure, self.file(kind, part))

    def show(self, table: Table | str) -> None:
        """Print above the progress bars."""
        self.console.print(table)

    def file(self, kind: str, part: str = "") -> Path:
        """The path of NAME.kind, or NAME_PART.kind, which is then among the files of this run."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{self.name}{'_' * bool(part)}{part}.{kind}"
        self.files.append(path)
        return path


def _cell(value: Any) -> Any:
    """Counts in full, measured numbers to six digits, nothing for what was not measured."""
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else f"{value:.6g}"
    return value


@dataclass(frozen=True)
class Report:
    """What came of one experiment."""

    name: str
    finding: str
    seconds: float
    files: tuple[Path, ...]
    error: Exception | None = None

    def record(self) -> dict[str, Any]:
        """The report in words that JSON knows."""
        error = f"{type(self.error).__name__}: {self.error}" if self.error else None
        files = [str(path) for path in self.files]
        return {"name": self.name, "finding": self.finding, "seconds": self.seconds, "files": files, "error": error}


def discover() -> dict[str, ModuleType]:
    """The experiments by name: the modules of this package that have `run`."""
    package = importlib.import_module(__package__)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))
    modules = {name: importlib.import_module(f"{__package__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def question(module: ModuleType) -> str:
    """The first line of an experiment's docstring."""
    return (module.__doc__ or "").strip().partition("\n")[0]


def run_all(
    experiments: Mapping[str, ModuleType], out: Path, full: bool, console: Console, workers: Workers | None = None
) -> list[Report]:
    """Run the experiments one after another; one that fails is reported and the others still run."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        studies = {name: Study(name, out, full, progress, console, workers=workers) for name in experiments}
        return [run_one(module, studies[name]) for name, module in experiments.items()]


def run_one(module: ModuleType, study: Study) -> Report:
    """Run one experiment; its traceback is printed if it fails."""
    start = time.perf_counter()
    finding, error = "", None
    try:
        finding = module.run(study)
    except Exception as failure:
        study.console.print_exception()
        error = failure
    return Report(study.name, finding, time.perf_counter() - start, tuple(study.files), error)


def summary(reports: Sequence[Report]) -> Table:
    """The table at the end."""
    table = Table("experiment", "finding", title="Experiments", show_lines=True)
    table.add_column("seconds", justify="right")
    table.add_column("files", no_wrap=True)
    for report in reports:
        error = report.error
        finding = Text(f"failed: {type(error).__name__}: {error}", "bold red") if error else Text(report.finding)
        table.add_row(report.name, finding, f"{report.seconds:.1f}", "\n".join(path.name for path in report.files))
    folders = sorted({str(path.parent) for report in reports for path in report.files})
    table.caption = f"files in {', '.join(folders)}" if folders else None
    return table


def listing(questions: Mapping[str, str]) -> Table:
    """What --list shows."""
    table = Table("experiment", "question")
    for name, asked in questions.items():
        table.add_row(name, asked)
    return table
