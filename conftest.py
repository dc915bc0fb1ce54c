"""Tests, docstrings and the README run with the default constants of the cost model, not with those of a machine."""

import gc
import itertools
import time
from pathlib import Path

import pytest

from admodes.ways import measure, model


def pytest_collection_finish():
    """Some 27,000 collected tests stay to the end: no search for garbage is to go through them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def default_constants(tmp_path_factory):
    """Nothing is kept."""
    nowhere = tmp_path_factory.mktemp("cache") / "model.json"
    kept_at, model.kept_at = model.kept_at, lambda: Path(nowhere)
    model.current.cache_clear()
    yield
    model.kept_at = kept_at


@pytest.fixture
def steady_clock(monkeypatch):
    """A clock that goes on by ten microseconds at each reading, whatever is done meanwhile.

    What `compare` counts, runs and skips then is the same on every machine, however slow; which way is fastest is
    nothing that a test may rely on, on this clock as on any other.
    """
    tick = 1e-5
    readings = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings) * tick)
    monkeypatch.setattr(measure, "SAMPLES", 3)
    monkeypatch.setattr(measure, "SAMPLE_SECONDS", tick)


@pytest.fixture(scope="session")
def dask():
    """A client of a real cluster; a task is given up the first time that its worker dies."""
    import dask
    from distributed import Client, LocalCluster

    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": "60s"}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # its web server cannot be left out: any free port, for other runs' sake
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
