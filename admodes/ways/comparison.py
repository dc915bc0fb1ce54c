"""What `compare` returns: the findings, and their ways to the screen and to files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core.plain import printable
from ..core.tables import written
from . import plots, report
from .findings import Findings
from .row import Row
from .sweep import Sweep


@dataclass(frozen=True)
class Comparison(Findings):
    """What `compare` found; print it.

    question : what was asked: the function, its arguments, the derivative, the limits.
    rows : one `Row` a way, with the fields way, applies, why_not, passes, flops, multiply_adds, bytes, operations,
        predicted_seconds, seconds, spread, predicted_peak_bytes, peak_bytes, first_call_seconds, error; None where a
        number is not known.
    best : the row that is advised; None where no way works.
    advice : what to take, why, and where it would change, a sentence a line.
    remarks : what to know of the rows beside.
    sweep : the comparisons at all sizes, where sizes= or scale= asked for them.
    disagreement : whether two ways gave different derivatives.
    interrupted : whether the comparison was broken off; what had been found is there.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapter 4, for the counted work.

    >>> import numpy as np
    >>> from admodes import compare
    >>> found = compare(np.sum, np.ones(3), max_seconds=1)
    >>> found.target, found["reverse"].passes, found.best in found.rows
    ('gradient', 1, True)
    """

    sweep: Sweep | None = None

    @cached_property
    def advice(self) -> str:
        """What to take, why, and where it would change, a sentence a line."""
        return "\n".join([super().advice, *(self.sweep.sentences() if self.sweep else [])])

    def __getitem__(self, way: str) -> Row:
        """The row of a way by its name."""
        for row in self.rows:
            if row.way == way:
                return row
        raise KeyError(f"no way is called {way!r}; there are: {', '.join(row.way for row in self.rows)}")

    @property
    def title(self) -> str:
        """The question in a line."""
        return report.title(self)

    def __str__(self) -> str:
        return printable(report.text(self))

    def __repr__(self) -> str:
        return printable(f"<Comparison of {len(self.rows)} ways: {self.title}>")

    def __rich__(self) -> Any:
        return report.renderable(self)

    def _repr_html_(self) -> str:
        return report.table_html(self)

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises
        ------
        ImportError : pandas is not installed.
        """
        return report.frame(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers and strings."""
        found = report.as_dict(self)
        return found | {"sweep": report.sweep_dict(self.sweep)} if self.sweep else found

    def to_csv(self, path: str | Path | None = None) -> str:
        """The rows as CSV: returned, and written to a path where one is given."""
        return written(report.as_csv(self), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """All of it as JSON: returned, and written to a path where one is given."""
        return written(report.as_json(self.to_dict()), path)

    def save(self, folder: str | Path) -> Path:
        """Write comparison.csv, .json, .html and .png into a folder, which is made if it is not there.

        Where nothing was measured or predicted there is no picture.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.to_csv(folder / "comparison.csv")
        self.to_json(folder / "comparison.json")
        self.to_html(folder / "comparison.html")
        if any(row.seconds or row.predicted_seconds for row in self.rows):
            self.plot(folder / "comparison.png")
        return folder

    def plot(self, path: str | Path | None = None) -> Any:
        """A matplotlib Figure: seconds and peak memory, predicted beside measured; the roofline; of a sweep, scaling.

        Parameters
        ----------
        path : where to write it too, in the format of its suffix.

        Raises
        ------
        ValueError : no way was measured or predicted.
        """
        made = plots.draw(self, self.sweep)
        if path is not None:
            made.savefig(path)
        return made

    def to_html(self, path: str | Path | None = None) -> str:
        """One page that holds all it shows: returned, and written to a path where one is given."""
        return written(report.page(self), path)
