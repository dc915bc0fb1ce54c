"""Tests, docstrings and the README run with the default constants of the cost model, not with those of a machine."""

from pathlib import Path

import pytest

from admodes.ways import model


@pytest.fixture(autouse=True, scope="session")
def default_constants(tmp_path_factory):
    """Nothing is kept."""
    nowhere = tmp_path_factory.mktemp("cache") / "model.json"
    kept_at, model.kept_at = model.kept_at, lambda: Path(nowhere)
    model.current.cache_clear()
    yield
    model.kept_at = kept_at
