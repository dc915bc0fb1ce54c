"""The advice on preparing: which way is the cheapest for how many calls, of made-up rows."""

import numpy as np

from admodes.ways.advice import envelope
from admodes.ways.findings import Findings
from admodes.ways.question import ask
from admodes.ways.row import Row


def row(way, first, seconds, **rest):
    return Row(way, first_call_seconds=first, seconds=seconds, agrees=True, code=f"{way}()", **rest)


def advice(*rows):
    question = ask(np.sum, (np.ones(3),), 0, "gradient", None, 10, None)
    return Findings(question, rows).advice


def test_each_stage_is_the_cheapest_from_its_number_of_calls_on():
    """Against the sum of all calls, for every number of them, of random rows."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        later = rng.integers(1, 40, size=6) * 1e-6
        rows = [row(str(k), s + rng.integers(0, 300) * 1e-6, s) for k, s in enumerate(later)]
        stages = envelope(rows)
        for calls in range(1, 400):
            (taken,) = [r for (r, start), end in zip(stages, [*(s for _, s in stages[1:]), 10**9], strict=True)
                        if start <= calls < end]  # fmt: skip
            sums = [r.first_call_seconds + (calls - 1) * r.seconds for r in rows]
            assert taken.first_call_seconds + (calls - 1) * taken.seconds <= min(sums) + 1e-12
    assert envelope([]) == []
    assert envelope([Row("not run")]) == []


def test_the_sentence_names_the_ways_between():
    quick, middle, best = row("eager", 2e-4, 161e-6), row("flat", 8e-3, 17.4e-6), row("native", 191e-3, 14.6e-6)
    said = advice(best, quick, middle)
    first, second = (stage for _, stage in envelope([quick, middle, best])[1:])
    assert f"Its first call takes 191 ms: it pays from {second:,} calls on" in said
    assert f"up to {first - 1} calls eager (161 µs): eager(); up to {second - 1:,} calls flat (17.4 µs): flat()" in said


def test_nothing_is_said_where_the_best_is_the_quickest_to_prepare():
    assert "first call" not in advice(row("a", 1e-3, 1e-6), row("b", 2e-3, 2e-6))
    assert "first call" not in advice(row("a", 1e-3, 1e-6))


def test_ways_that_are_wrong_or_foreign_have_no_stage():
    wrong = Row("wrong", first_call_seconds=1e-6, seconds=2e-6, agrees=False)
    said = advice(row("best", 1.0, 1e-6), row("slow", 1e-3, 1e-3), wrong, row("peer", 1e-6, 2e-6, peer=True))
    assert "slow()" in said
    assert "wrong" not in said.partition("first call")[2]
    assert "peer" not in said
