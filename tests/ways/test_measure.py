"""Samples in turns, and the race of those that may be the fastest, on a clock that the tasks themselves move on."""

import itertools
import math
import time

import pytest

from admodes.ways import measure
from admodes.ways.measure import SAMPLES, SAMPLES_OF_A_RACE, Samples, interleaved, race


@pytest.fixture
def lasting(monkeypatch):
    """Makes tasks that take given seconds, one after another and over again, by a clock of their own."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(measure, "SAMPLE_SECONDS", 1e-9)

    def task(*seconds):
        left = itertools.cycle(seconds)

        def run():
            now[0] += next(left)

        return run

    return task


def taken(tasks, *steps, until=math.inf):
    found, once = {}, dict.fromkeys(tasks, 1e-6)
    for step in steps:
        step(tasks, once, until, found)
    return {name: len(samples.taken) for name, samples in found.items()}


def first_few(tasks, once, until, found):
    interleaved(tasks, once, until, found, samples=7)


def test_those_that_may_be_the_fastest_are_measured_again(lasting):
    """a and b differ by less than either from itself; c is far behind."""
    tasks = {"a": lasting(9e-6, 10e-6, 11e-6), "b": lasting(11e-6, 10.02e-6, 9e-6), "c": lasting(30e-6, 33e-6)}
    found = taken(tasks, first_few, race)
    assert found["a"] == found["b"] > 7
    assert found["c"] == 7


def test_a_race_that_is_decided_takes_no_more(lasting):
    assert taken({"a": lasting(1e-5), "b": lasting(1.1e-5)}, first_few, race) == {"a": 7, "b": 7}
    assert taken({"a": lasting(1e-5)}, first_few, race) == {"a": 7}
    assert taken({}, race) == {}


def test_equal_ones_end_after_so_many_samples(lasting):
    noisy = [lasting(9e-6, 11e-6, 10e-6), lasting(10e-6, 9e-6, 11e-6)]
    found = taken(dict(enumerate(noisy)), first_few, race)
    assert max(found.values()) <= SAMPLES_OF_A_RACE


def test_neither_goes_on_beyond_its_time(lasting):
    tasks = {"a": lasting(9e-6, 10e-6, 11e-6), "b": lasting(11e-6, 10e-6, 9e-6)}
    found = taken(tasks, first_few, race, until=3e-4)
    assert 7 < found["a"] <= 15
    assert time.perf_counter() <= 3e-4 + 1e-5


def test_all_have_their_samples_in_the_end(lasting):
    tasks = {"a": lasting(1e-5), "c": lasting(3e-5)}
    assert taken(tasks, first_few, race, interleaved) == {"a": SAMPLES, "c": SAMPLES}


def test_the_error_of_a_median():
    samples = Samples(1, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert samples.median == 3
    assert samples.spread == 2
    assert samples.error == pytest.approx(math.sqrt(math.pi / 2) * 2 / 1.35 / math.sqrt(5))
