"""The page on what raises: each line of it, the error's last line, and what is to be written instead."""

import concurrent.futures
import copy
import functools
import importlib
import json
import math
import pickle
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg.blas

import admodes
import admodes.scipy.linalg
from admodes import jacfwd, jacrev

PAGE = Path(admodes.__file__).parent.parent / "docs" / "howto" / "what-raises.md"
ROWS = re.findall(r"^\| `(.+?)` \| (.+?) \| `(.+?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
X = np.array([1.5, 2.25, 0.75])


def test_the_whole_table_is_read():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert len(ROWS) == len(lines) - 2
    assert len(ROWS) > 25


class Held:
    def __init__(self):
        self.table = np.ones(3)


def filled(y, x):
    y[:] = x


def magnitude(v):
    return abs(v)


@pytest.fixture
def function(tmp_path, monkeypatch):
    """Makes a function with some code in it, which stands in a file as a user's does; and where its last line is."""
    monkeypatch.syspath_prepend(tmp_path)
    pool = concurrent.futures.ThreadPoolExecutor(1)
    modules = (np, math, copy, json, pickle, struct, scipy, admodes)
    names = {"np": np, **{module.__name__: module for module in modules}, "pool": pool, "filled": filled}
    names["rng"] = np.random.default_rng(0)
    names |= {"table": np.ones(3), "held": Held(), "cache": {}, "cached": functools.lru_cache(magnitude)}

    def make(code):
        lines = code.split("; ")
        name = f"page{len(names)}"
        text = ["def f(x):", *(f"    {line}" for line in lines), "    return np.sum(x)"]
        (tmp_path / f"{name}.py").write_text("\n".join(text), encoding="utf-8")
        module = names[name] = importlib.import_module(name)
        vars(module).update(names)
        return module.f, f"{name}.py, line {len(lines) + 1}: {lines[-1]}: "

    yield make
    pool.shutdown()
    for name in list(names):
        sys.modules.pop(name if name.startswith("page") else "", None)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix
@pytest.mark.parametrize("way", [jacfwd, jacrev], ids=["forward", "reverse"])
@pytest.mark.parametrize(("code", "why", "instead"), ROWS, ids=[row[0] for row in ROWS])
def test_each_line(code, why, instead, way, function):
    f, place = function(code)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        way(f)(X)
    said = [*str(caught.value).splitlines(), *getattr(caught.value, "__notes__", ())][-1]
    if "submit(filled" in code:
        place = f"test_what_raises.py, line {filled.__code__.co_firstlineno + 1}: y[:] = x: "
    assert said.startswith(place)
    assert re.search(r"Write |write |Use |use |Copy |Convert |Take |Make ", said)
    if re.match("own|held|np.add|np.copyto|table|z =", code):
        assert re.search(r"into (table|held\.table|own|z|y), ", said)
    f, _ = function(instead)
    np.testing.assert_array_equal(way(f)(X), np.ones(3))
