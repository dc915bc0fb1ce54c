"""The sweeps of the experiments, here, in processes and on Dask: the same counts, and no worker left behind."""

import csv
import os
import pickle
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

import admodes
from experiments import full_jacobian, gradient_cost
from experiments.__main__ import main
from experiments.frame import Study


def counted(n):
    """The process that counted, and an exact count."""
    if n == 13:
        raise ValueError("thirteen")
    return os.getpid(), n, admodes.cost(np.sin, np.zeros(n)).flops


def sweep(study):
    """An experiment of counts alone."""
    rows = study.map(counted, [5, 1, 4, 2, 3], "sizes")
    study.table([{"process": process, "n": n, "flops": flops} for process, n, flops in rows])
    return "counted"


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Runs the command line on that experiment; the rows that it wrote."""
    made = types.ModuleType("sweep", "What does it count?")
    made.run = sweep
    monkeypatch.setattr("experiments.__main__.discover", lambda: {"sweep": made})
    monkeypatch.setattr("experiments.__main__.keep_memory", lambda: None)

    def run(*options):
        assert main(["sweep", "--out", str(tmp_path), *options]) == 0
        with (tmp_path / "sweep.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return run


def counts(rows):
    return [(row["n"], row["flops"]) for row in rows]


def test_sweeps_count_the_same_here_and_in_processes(command):
    here, there = command(), command("--workers", "2")
    assert {row["process"] for row in here} == {str(os.getpid())}
    assert str(os.getpid()) not in {row["process"] for row in there}
    assert counts(here) == counts(there) == [(str(n), str(10 * n)) for n in (5, 1, 4, 2, 3)]


def test_sweeps_count_the_same_on_dask(dask, command):
    there = command("--dask", dask.scheduler.address)
    assert str(os.getpid()) not in {row["process"] for row in there}
    assert counts(there) == counts(command())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "at least 1"),
        (["--workers", "two"], "invalid"),
        (["--workers", "2", "--dask", "tcp://host:1"], "not allowed with"),
    ],
)
def test_bad_options(command, options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        command(*options)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


class Watched(ThreadPoolExecutor):
    """Says whether it has ended."""

    ended = False

    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait, cancel_futures=cancel_futures)
        self.ended = True


def test_no_worker_is_left_when_a_sweep_returns(tmp_path):
    """So that what is timed after it runs alone."""
    made = []

    def workers():
        made.append(Watched(2))
        return made[-1]

    console = Console(quiet=True)
    study = Study("trial", tmp_path, False, Progress(console=console, auto_refresh=False), console, workers=workers)
    assert study.map(len, ["a", "", "abc"], "words") == [1, 0, 3]
    with pytest.raises(ValueError, match="thirteen") as failed:
        study.map(counted, [1, 13, 2], "sizes")
    assert "raised in sizes [1], by a worker of Watched" in failed.value.__notes__[0]
    assert [pool.ended for pool in made] == [True, True]
    assert study.map(counted, [], "sizes") == []


def test_what_an_experiment_counts_can_travel():
    """The counted parts of the experiments and what they find, by pickle."""
    for function, item in ((gradient_cost.counted_at, 8), (full_jacobian.counted, (64, 1))):
        sent = pickle.loads(pickle.dumps((function, item)))
        assert sent == (function, item)
        found = function(item)
        assert pickle.loads(pickle.dumps(found)) == found
    assert found[1] == "reverse"
