"""What the tests of the experiments share."""

import csv

import pytest
from rich.console import Console
from rich.progress import Progress

from experiments import frame


@pytest.fixture
def study(tmp_path):
    """A short run of an experiment named "trial", which writes to a folder of its own."""
    console = Console(quiet=True)
    return frame.Study("trial", tmp_path / "out", False, Progress(console=console, auto_refresh=False), console)


@pytest.fixture
def read():
    """The rows of a CSV file."""

    def rows(path):
        with path.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return rows
