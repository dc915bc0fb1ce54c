"""The record of one way in a comparison."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

# Why a way was not run: it is not for this question, it raised, or a limit was in its way.
UNFIT, FAILED, MEMORY, TIME = "unfit", "failed", "memory", "time"

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """One way: what it would cost, and what it cost.

    Counted: passes (directions carried through f, or calls of f), flops, multiply_adds, bytes (read and written) and
    operations of one evaluation.  Predicted: predicted_seconds, predicted_peak_bytes (alive at once beyond the
    arguments).  Measured: seconds (median; of a slow way from a part of its passes, as note then says) and spread (the
    distance between the quartiles), peak_bytes (allocated at once), first_call_seconds (preparing included).  error is
    the largest difference from the best answer, relative to the largest number in that.  None stands where a number is
    not known.  Where the way was not run, applies is False and why_not says why; note says what else is to be known of
    the numbers; code is the line to write.
    """

    way: str
    applies: bool = True
    why_not: str = ""
    passes: int | None = None
    flops: float | None = None
    multiply_adds: float | None = None
    bytes: float | None = None
    operations: float | None = None
    predicted_seconds: float | None = None
    seconds: float | None = None
    spread: float | None = None
    predicted_peak_bytes: float | None = None
    peak_bytes: int | None = None
    first_call_seconds: float | None = None
    error: float | None = None
    code: str = ""
    note: str = ""
    grows: str = ""  # the size that the passes grow with, "n" or "m"; UNKNOWN where no size tells
    exact: bool = True  # up to rounding, for any function
    peer: bool = False  # another library
    estimated: bool = False  # seconds are those of a part of the passes, times their number
    agrees: bool = False  # with the best answer
    left: str = ""  # why it was not run: UNFIT, FAILED, MEMORY or TIME

    def record(self) -> dict[str, Any]:
        """The row as a dict."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
