"""Tables: what the library shows in rows is one `Table`, as text, in a terminal, in a notebook, as CSV and as a frame.

An object that is best seen as a table is `Tabular`: it says which (`table`), and has the ways to it from here.
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .plain import printable
from .words import seconds, size

Record = dict[str, Any]

MOST_LINES = 60  # of a table as text


def columns(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of text as lines, in columns two spaces apart; sides: one of "<" (left) and ">" (right) a column.

    >>> print(*columns([("order", "flops"), ("reverse", "12"), ("forward", "144")], "<>"), sep="\\n")
    order    flops
    reverse     12
    forward    144
    """
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(len(sides))]
    return ["  ".join(f"{x:{s}{w}}" for x, s, w in zip(row, sides, widths, strict=True)).rstrip() for row in rows]


# ---------------------------------------------------------------------------------------------------
# How a cell is shown
# ---------------------------------------------------------------------------------------------------


def whole(x: float) -> str:
    """A count.

    >>> whole(12345.0)
    '12,345'
    """
    return f"{x:,.0f}"


def share(x: float) -> str:
    return f"{x:.0%}"


# ---------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column: its name in records, how a cell is shown, on which side it stands, and what stands above it."""

    name: str
    shown: Callable[[Any], str] = str
    side: str = ">"
    head: str | None = None

    @property
    def heading(self) -> str:
        return self.name if self.head is None else self.head


# Of every plan: what its ways are predicted to take.
PREDICTED = (
    Column("peak_bytes", size, head="peak"),
    Column("overhead_seconds", seconds, head="overhead"),
    Column("predicted_seconds", seconds, head="predicted"),
)


@dataclass(frozen=True)
class Table:
    """Records under columns.

    columns : what is shown of a record; other entries of it are in `.rows` alone.
    records : a dict a row, of plain values; None where a value is not known.
    title, notes : lines above and below.     best : the row that is marked.
    total : a record under a rule.     drawing : lines below it all whose characters stand below each other.
    """

    columns: Sequence[Column]
    records: Sequence[Record]
    title: str = ""
    notes: Sequence[str] = ()
    best: int | None = None
    total: Record | None = None
    drawing: Sequence[str] = ()

    def cells(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """The values of a record as they are shown."""
        found = ((column, record.get(column.name)) for column in self.columns)
        return tuple("" if value is None else column.shown(value) for column, value in found)

    def text(self) -> str:
        """The table in lines, as many as a screen takes."""
        few = self.records[:MOST_LINES]
        rows = [tuple(column.heading for column in self.columns), *map(self.cells, few)]
        rows += [self.cells(self.total)] if self.total else []
        lines = columns(rows, "".join(column.side for column in self.columns))
        if self.total:
            rule = "-" * max(map(len, lines))
            lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
        if len(self.records) > len(few):
            lines.append(f"… {len(self.records) - len(few):,} more")
        return "\n".join([*filter(None, [self.title]), *lines, *self.notes, *self.drawing])

    def rich(self) -> Any:
        """For rich."""
        from rich import box
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title or None, title_justify="left", show_edge=False, pad_edge=False,
                          box=box.SIMPLE_HEAD)  # fmt: skip
        for column in self.columns:
            table.add_column(column.heading, justify="left" if column.side == "<" else "right")
        for k, record in enumerate(self.records):
            table.add_row(*map(Text, self.cells(record)), style="bold green" if k == self.best else None)
        if self.total:
            table.add_section()
            table.add_row(*map(Text, self.cells(self.total)), style="bold")
        return Group(table, *map(Text, (*self.notes, *self.drawing)))

    def html(self, picture: str = "") -> str:
        """For a notebook; picture: an SVG that stands below."""
        head = "".join(f"<th{_side(column)}>{html.escape(column.heading)}</th>" for column in self.columns)
        few = self.records[:MOST_LINES]
        body = "".join(self._row(record, "best" if k == self.best else "") for k, record in enumerate(few))
        body += self._row(self.total, "total") if self.total else ""
        more = len(self.records) - len(few)
        notes = [*([f"… {more:,} more"] if more else []), *self.notes]
        below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        below += f"<pre>{html.escape(chr(10).join(self.drawing))}</pre>" if self.drawing else ""
        title = f"<p><b>{html.escape(self.title)}</b></p>" if self.title else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="admodes"><style>{STYLE}</style>{title}{table}{below}{picture}</div>'

    def _row(self, record: Record, kind: str) -> str:
        sides = map(_side, self.columns)
        cells = "".join(f"<td{s}>{html.escape(x)}</td>" for s, x in zip(sides, self.cells(record), strict=True))
        return f'<tr class="{kind}">{cells}</tr>'


def _side(column: Column) -> str:
    return "" if column.side == ">" else ' class="why"'


STYLE = """
.admodes { font: 14px/1.45 system-ui, sans-serif; max-width: 78em; overflow-x: auto }
.admodes table { border-collapse: collapse; margin: .6em 0 }
.admodes th, .admodes td { padding: .2em .7em; text-align: right; white-space: nowrap }
.admodes th, .admodes td { border-bottom: 1px solid #8884 }
.admodes table .why, .admodes table td:first-child { text-align: left; white-space: normal }
.admodes tr.best td { font-weight: 600; background: #2a82 }
.admodes tr.total td { font-weight: 600; border-top: 2px solid #8888 }
.admodes tr.wrong td { color: #b00020 }
.admodes tr.left td { color: #777 }
.admodes .bar { display: inline-block; height: .7em; background: #4477aa; vertical-align: baseline }
.admodes code { background: #8882; padding: .1em .3em }
.admodes p { margin: .3em 0 }
.admodes pre { line-height: 1.3; overflow-x: auto }
"""


# ---------------------------------------------------------------------------------------------------
# Out of the library
# ---------------------------------------------------------------------------------------------------


def as_csv(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Records as CSV; nothing where a value is not known."""
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(names), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in record.items()} for record in records)
    return file.getvalue()


def as_frame(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    """Records as a pandas DataFrame."""
    try:
        import pandas
    except ImportError:
        raise ImportError(
            "to_frame needs pandas, which is not installed: pip install pandas; or take .rows or .to_csv()."
        ) from None
    return pandas.DataFrame(list(records), columns=list(names))


def written(content: str, path: str | Path | None) -> str:
    """The content, written to a path where one is given."""
    if path is not None:
        Path(path).write_text(content, encoding="utf-8")
    return content


class Tabular:
    """What is seen as a table: a class says which by `table`, and may have a picture beside it."""

    def table(self) -> Table:
        """All that is shown, as one table."""
        raise NotImplementedError

    def picture(self) -> str:
        """An SVG that says more than the table in a notebook; empty where there is none."""
        return ""

    @property
    def rows(self) -> list[Record]:
        """The rows of the table as dicts of plain values, None where one is not known."""
        return list(self.table().records)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The rows as CSV: returned, and written to a path where one is given."""
        table = self.table()
        return written(as_csv(table.records, _names(table)), path)

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises
        ------
        ImportError : pandas is not installed.
        """
        table = self.table()
        return as_frame(table.records, _names(table))

    def __str__(self) -> str:
        return printable(self.text())

    def text(self) -> str:
        """What is printed, in the characters that it is best seen in."""
        return self.table().text()

    def __repr__(self) -> str:
        return str(self)

    def __rich__(self) -> Any:
        return self.table().rich()

    def _repr_html_(self) -> str:
        return self.table().html(self.picture())


def _names(table: Table) -> list[str]:
    """The names of what records hold; of no records those of the columns."""
    return list(dict.fromkeys(k for r in table.records for k in r)) or [column.name for column in table.columns]
