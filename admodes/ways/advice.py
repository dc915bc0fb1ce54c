"""Which way to take, and why: the advised row of a comparison, and the sentences that name its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from ..core.words import count, number, seconds, several, size
from .question import Question
from .row import FAILED, TIME, UNKNOWN, Row

SIZES = ("n", "m")

# Seconds within this factor are alike: no clock of a machine at work tells them apart again.
ALIKE = 1.01

# A peer that is not this much faster is not worth a word.
FASTER = 1.05


def advised(rows: Sequence[Row], max_bytes: float) -> Row | None:
    """The fastest exact way whose answer is the best one; of ways not run, the one predicted to be the fastest.

    A way of this library comes before any other library, and one that is exact before one that is not; of ways that
    the clock does not tell apart, the one whose first call is over the soonest.
    """
    ran = [row for row in rows if row.seconds is not None and row.agrees]
    for group in (
        [row for row in ran if row.exact and not row.peer],
        [row for row in ran if row.exact],
        ran,
    ):
        if group:
            fastest = min(map(_measured, group))
            return min(
                (row for row in group if _measured(row) <= ALIKE * fastest), key=lambda r: (_first(r), _measured(r))
            )
    return min((r for r in rows if r.exact and not r.peer and _may_fit(r, max_bytes)), key=_predicted, default=None)


def _measured(row: Row) -> float:
    return float("inf") if row.seconds is None else row.seconds


def _predicted(row: Row) -> float:
    return float("inf") if row.predicted_seconds is None else row.predicted_seconds


def _may_fit(row: Row, max_bytes: float) -> bool:
    """Whether a row that was not run was left for want of time alone."""
    within = row.predicted_peak_bytes is None or row.predicted_peak_bytes <= max_bytes
    return within and row.left in ("", TIME)


def advice(q: Question, rows: Sequence[Row], disagreement: bool, interrupted: bool) -> str:
    """The advice, a sentence a line."""
    best = advised(rows, q.max_bytes)
    if best is None:
        said = ["No way to this derivative works here; the rows say why.", *_failures(rows), _memory(q, rows)]
        return "\n".join(s for s in said if s)
    sentences = [
        f"Use {best.way}: {best.code}",
        _why(q, best, rows),
        _preparing(best, rows),
        _crossover(q, best, rows),
        _peers(best, rows),
        _memory(q, rows),
        _failed(rows),
        "Exact ways differ in their answers (column error): one of them has a fault. Check before you rely on any."
        if disagreement
        else "",
        ""
        if best.exact
        else "No exact way works here; the error of this one is not known beyond what the table shows.",
        "Interrupted: these are the rows so far." if interrupted else "",
    ]
    return "\n".join(s for s in sentences if s)


def _failures(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.why_not for row in rows if row.left == FAILED))[:3]


def _failed(rows: Sequence[Row]) -> str:
    """That ways of this library raised, and what the first of them said."""
    failed = [row for row in rows if row.left == FAILED and not row.peer]
    return f"{several(len(failed), 'way')} failed; {failed[0].way}: {failed[0].why_not}" if failed else ""


def _why(q: Question, best: Row, rows: Sequence[Row]) -> str:
    """The numbers of the way beside those of the best of another kind."""
    if best.seconds is None or best.estimated:
        took = seconds(best.seconds or best.predicted_seconds) or "a time that is not known"
        return f"It was not run ({best.why_not or best.note}); it would take {took} ({_work(best)})."
    said = f"It takes {seconds(best.seconds)} ({_work(best)})"
    other = rival(best, rows)
    if other is None:
        besides = [row for row in rows if row.seconds is not None and not row.peer and _family(row) != _family(best)]
        if not besides:
            return f"{said}; no other way was run."
        return f"{said}; of the other ways that ran ({len(besides)}) none is exact and has this answer."
    ratio = _measured(other) / _measured(best)
    longer = "as long" if ratio <= ALIKE else f"{number(ratio)} times as long"
    return f"{said}; {other.way} takes {seconds(other.seconds)}, {longer} ({_work(other)})."


def rival(best: Row, rows: Sequence[Row]) -> Row | None:
    """The fastest way of this library that works otherwise than the one advised; not its own other version."""
    family = _family(best)
    others = [r for r in rows if r.seconds is not None and r.exact and r.agrees and not r.peer and _family(r) != family]
    return min(others, key=_measured, default=None)


def _family(row: Row) -> str:
    """What a way does, however it is run."""
    return row.way.removesuffix(", compiled").partition(",")[0]


def _work(row: Row) -> str:
    parts = [several(row.passes, "pass") if row.passes else "", f"{count(row.flops)} flops" if row.flops else ""]
    if row.predicted_seconds is not None and row.seconds is not None:
        parts.append(f"predicted {seconds(row.predicted_seconds)}")
    return ", ".join(p for p in parts if p) or "not counted"


def _preparing(best: Row, rows: Sequence[Row]) -> str:
    """From how many calls on preparing has paid, and which ways are the cheapest for fewer."""
    stages = envelope([r for r in rows if r.exact and r.agrees and not r.peer])
    places = [k for k, (row, _) in enumerate(stages) if row is best]
    if not places or not places[0]:
        return ""
    stages = stages[: places[0] + 1]
    fewer = [
        f"up to {several(later - 1, 'call')} {row.way} ({seconds(row.seconds)}): {row.code}"
        for (row, _), (_, later) in pairwise(stages)
    ]
    return (
        f"Its first call takes {seconds(best.first_call_seconds)}: it pays from {several(stages[-1][1], 'call')} on; "
        f"for fewer take {'; '.join(fewer)}"
    )


def envelope(rows: Sequence[Row]) -> list[tuple[Row, int]]:
    """The rows that are the cheapest for some number of calls, each with the least such number.

    k calls take first + (k − 1)·later, so that each is cheaper than the one before it, whose first call is quicker,
    from 1 + (first − first before) / (later before − later) calls on.
    """
    ready = [row for row in rows if row.seconds and row.first_call_seconds]
    stages: list[tuple[Row, int]] = []
    row, calls = min(ready, key=_first, default=None), 1
    while row is not None:
        stages = [stage for stage in stages if stage[1] < calls]
        stages.append((row, calls))
        ready = [other for other in ready if _measured(other) < _measured(row)]
        paid = {other.way: 1 + (_first(other) - _first(row)) / (_measured(row) - _measured(other)) for other in ready}
        row = min(ready, key=lambda other: (paid[other.way], _measured(other)), default=None)
        calls = max(1, math.ceil(paid[row.way])) if row is not None else calls
    return stages


def _first(row: Row) -> float:
    return float("inf") if row.first_call_seconds is None else row.first_call_seconds


def _crossover(q: Question, best: Row, rows: Sequence[Row]) -> str:
    """The size at which another way would be as fast, at what a pass of each costs here."""
    others = [
        row
        for row in rows
        if row.seconds and row.exact and row.agrees and not row.peer and _run(row) == _run(best)
        and row.grows != best.grows and UNKNOWN not in (row.grows, best.grows)
    ]  # fmt: skip
    other = min(others, key=_measured, default=None)
    if other is None:
        return ""
    ratio = _measured(best) / _measured(other)
    down = other.grows in SIZES and {"n": q.n, "m": q.m}[other.grows] * ratio >= 1
    where = [f"{other.grows} = {_place(q, other, ratio)} down"] if down else []
    where += [f"{best.grows} = {_place(q, best, 1 / ratio)} up"] if best.grows in SIZES else []
    return f"At what a pass costs here, {other.way} would be as fast from {', or from '.join(where)}." if where else ""


def _place(q: Question, row: Row, ratio: float) -> str:
    here = {"n": q.n, "m": q.m}[row.grows]
    return f"{number(here * ratio)} (here {here:,})"


def _run(row: Row) -> str:
    """How a way is run: eagerly, as flat code, natively."""
    return next((how for how in ("natively compiled", "compiled") if row.way.endswith(how)), "")


def _peers(best: Row, rows: Sequence[Row]) -> str:
    faster = [r for r in rows if r.peer and r.seconds is not None and best.seconds and r.agrees and not best.peer]
    other = min(faster, key=_measured, default=None)
    if other is None or _measured(other) * FASTER > _measured(best):
        return ""
    ratio = number(_measured(best) / _measured(other))
    return (
        f"{other.way} is {ratio} times faster still ({seconds(other.seconds)}; first call "
        f"{seconds(other.first_call_seconds)}), with f written for it: {other.code}"
    )


def _memory(q: Question, rows: Sequence[Row]) -> str:
    over = [row for row in rows if (row.predicted_peak_bytes or 0) > q.max_bytes and not row.applies]
    if not over:
        return ""
    least = min(row.predicted_peak_bytes or 0 for row in over)
    return (
        f"{several(len(over), 'way')} would need {size(least)} or more, above max_bytes = {size(q.max_bytes)}: not run."
    )
