"""What `check` returns: each comparison a row, and whether any parts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import WrongDerivative
from ..core.tables import Column, Record, Table, Tabular, written

# How a comparison may end.  Only PARTS and FAILS say that something is wrong.
AGREES, PARTS, FAILS, KINK, UNDEFINED, UNCLEAR, LEFT_OUT = (
    "agrees", "PARTS", "FAILS", "at a kink", "not finite", "unclear", "left out",
)  # fmt: skip
WRONG = (PARTS, FAILS)


@dataclass(frozen=True)
class Finding:
    """One comparison.

    order : 0 values, 1 derivatives, 2 second derivatives.      way, against : what is compared with what.
    error : the largest difference found, relative to the numbers compared; allowed : the largest that rounding and the
        differences may explain there.
    step : of the differences, relative to max(1, |x|), there.
    ours, theirs : the two numbers at the place, `where`.
    """

    order: int
    way: str
    against: str
    verdict: str = AGREES
    error: float | None = None
    allowed: float | None = None
    step: float | None = None
    ours: Any = None
    theirs: Any = None
    where: str = ""
    note: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.verdict in WRONG


def _small(x: float) -> str:
    return "0" if x == 0 else f"{x:.0e}"


def _number(x: Any) -> str:
    return f"{x:.6g}"


def _plain(x: Any) -> float | str | None:
    """A number as JSON knows it, a complex one as text."""
    if x is None:
        return None
    return str(complex(x)) if np.iscomplexobj(x) else float(x) if np.isfinite(x) else str(x)


_COLUMNS = (
    Column("way", side="<"),
    Column("against", side="<"),
    Column("error", _small),
    Column("allowed", _small),
    Column("step", _small),
    Column("verdict", side="<", head=""),
)


@dataclass(frozen=True, repr=False)
class Check(Tabular):
    """What `check` found; print it. Made by `check`.

    name : of the function.
    findings : one `Finding` a comparison.
    ok : whether nothing parts; `bool(found)` is the same.
    remarks : what to know of the function beside.

    Source: CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, finite differences "for numerical verification".

    >>> import numpy as np
    >>> from admodes import check
    >>> found = check(np.tanh, np.array([0.3, -1.2]))
    >>> found.ok, len(found.rows) == len(found.findings)
    (True, True)
    """

    name: str
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing parts."""
        return not self.wrong

    def __bool__(self) -> bool:
        return self.ok

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The comparisons that part, or failed."""
        return tuple(finding for finding in self.findings if finding.is_wrong)

    def raise_(self) -> Check:
        """Raise WrongDerivative, an AssertionError, if anything parts; else the check itself.

        >>> import numpy as np
        >>> from admodes import check, custom_op
        >>> wrong = custom_op(np.sin, partial=lambda y, x: np.sin(x))
        >>> check(wrong, 0.3).raise_()
        Traceback (most recent call last):
        admodes.core.errors.WrongDerivative: sin: forward parts from central differences...
        """
        if not self.ok:
            raise WrongDerivative("\n".join([self.summary, "", str(self)]))
        return self

    @property
    def summary(self) -> str:
        """The verdict in a sentence."""
        if self.ok:
            return f"{self.name}: {len(self.findings)} comparisons, nothing parts"
        first = self.wrong[0]
        what = f"parts from {first.against}" if first.verdict == PARTS else f"fails: {first.note}"
        place = f" at {first.where}" if first.where else ""
        numbers = "" if first.ours is None else f": {_number(first.ours)} for {_number(first.theirs)}"
        more = f" (and {len(self.wrong) - 1} more)" if len(self.wrong) > 1 else ""
        return f"{self.name}: {first.way} {what}{place}{numbers}{more}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers and strings."""
        return {
            "function": self.name, "ok": self.ok, "summary": self.summary, "remarks": list(self.remarks),
            "rows": self.rows,
        }  # fmt: skip

    def to_json(self, path: str | Path | None = None) -> str:
        """All of it as JSON: returned, and written to a path where one is given."""
        return written(json.dumps(self.to_dict(), indent=1, ensure_ascii=False), path)

    def table(self) -> Table:
        """A row a comparison, and below what is to be said of those that do not agree."""
        records: list[Record] = [
            asdict(finding) | {"ours": _plain(finding.ours), "theirs": _plain(finding.theirs)}
            for finding in self.findings
        ]
        notes = [self.summary]
        for finding in self.findings:
            numbers = "" if finding.ours is None else f"{_number(finding.ours)} for {_number(finding.theirs)}"
            told = "; ".join(filter(None, [finding.where if numbers else "", numbers, finding.note]))
            if told and finding.verdict != AGREES:
                notes.append(f"{finding.way} against {finding.against}: {told}")
        return Table(_COLUMNS, records, notes=[*notes, *self.remarks])
