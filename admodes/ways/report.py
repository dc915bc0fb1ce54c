"""A comparison as a table on the screen and in a notebook, as CSV, JSON and an HTML page."""

from __future__ import annotations

import html
import io
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..core import tables
from ..core.words import count, number, seconds, size
from .findings import Findings
from .row import UNFIT, Row
from .sweep import Sweep

CONTRACT = (
    "way", "applies", "why_not", "passes", "flops", "multiply_adds", "bytes", "operations", "predicted_seconds",
    "seconds", "spread", "predicted_peak_bytes", "peak_bytes", "first_call_seconds", "error",
)  # fmt: skip
FIELDS = (*CONTRACT, "code", "note")

HEAD = ("way", "passes", "flops", "predicted", "median", "±", "first call", "peak", "error")


def title(c: Findings) -> str:
    """The question in a line."""
    q = c.question
    what = {"jacobian": f"{q.m:,} × {q.n:,}", "hessian": f"{q.n:,} × {q.n:,}"}.get(q.target, f"{q.n:,} → {q.m:,}")
    return f"{q.target} of {q.name}, {what}; {q.name} itself takes {seconds(q.seconds)}"


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Those that ran, the fastest first; then those that were left, by what is predicted."""
    never = math.inf
    return sorted(
        rows,
        key=lambda r: (
            r.seconds is None,
            never if r.seconds is None else r.seconds,
            r.left == UNFIT,
            never if r.predicted_seconds is None else r.predicted_seconds,
        ),
    )


def cells(row: Row) -> tuple[str, ...]:
    """The numbers of a row as words."""
    passes = "" if row.passes is None else f"{row.passes:,}"
    counted = (row.way, passes, count(row.flops), seconds(row.predicted_seconds))
    spread = "" if row.spread is None else seconds(row.spread / 2)
    peak = row.peak_bytes if row.peak_bytes is not None else row.predicted_peak_bytes
    about = "~" if row.peak_bytes is None and peak is not None else ""
    clock = ("~" if row.estimated else "") + seconds(row.seconds)
    return (*counted, clock, spread, seconds(row.first_call_seconds), about + size(peak), _error(row))


def _error(row: Row) -> str:
    if row.error is None:
        return ""
    return "0" if row.error == 0 else f"{row.error:.0e}"


def remarks(c: Findings) -> list[str]:
    """What else is to be known of the rows."""
    rows = [f"{row.way}: {row.note}" for row in c.rows if row.note]
    return [*c.remarks, *rows]


def renderable(c: Findings) -> Any:
    """For rich: the table, and the advice below it."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title(c), title_justify="left", show_edge=False, pad_edge=False, box=box.SIMPLE_HEAD)
    for name in HEAD:
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=name == "way")
    best = c.best
    shown = ranked(c.rows)
    for row in shown:
        if row.seconds is not None:
            style = "bold green" if row is best else "" if row.agrees or row.estimated else "red"
            table.add_row(*cells(row), style=style)
    left = [row for row in shown if row.seconds is None]
    parts: list[Any] = [table, Text()]
    if left:
        others = Table(show_header=False, show_edge=False, pad_edge=False, box=None)
        others.add_column(no_wrap=True)
        others.add_column()
        for row in left:
            others.add_row(row.way, Text(row.why_not), style="dim")
        parts += [Text("not run", style="bold"), others, Text()]
    parts += [Text(text, style="dim") for text in remarks(c)]
    first, *rest = c.advice.split("\n")
    return Group(*parts, Text(first, style="bold"), *map(Text, rest))


def text(c: Findings) -> str:
    """The table as it is printed, in colours where the output is a terminal's."""
    import sys

    from rich.console import Console

    terminal = sys.stdout.isatty()
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=terminal, width=None if terminal else 120)
    console.print(renderable(c))
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())


# ---------------------------------------------------------------------------------------------------
# Data
# ---------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A number as JSON knows it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def plain_row(row: Row) -> dict[str, Any]:
    return {name: plain(getattr(row, name)) for name in FIELDS}


def as_dict(c: Findings) -> dict[str, Any]:
    """All of it as plain numbers and strings."""
    q = c.question
    return {
        "function": q.name,
        "target": q.target,
        "n": q.n,
        "m": q.m,
        "function_seconds": q.seconds,
        "max_bytes": plain(q.max_bytes),
        "machine": machine(),
        "best": c.best.way if c.best else None,
        "advice": c.advice.split("\n"),
        "remarks": remarks(c),
        "interrupted": c.interrupted,
        "rows": [plain_row(row) for row in c.rows],
    }


def machine() -> str:
    """Where it was measured."""
    return f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()} {platform.system()}"


def as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False)


def sweep_dict(sweep: Sweep) -> dict[str, Any]:
    """The rows at every size, and the exponents that they show."""
    laws = {way: {name: sweep.exponent(way, name) for name in ("flops", "seconds")} for way in sweep.ways}
    return {
        "name": sweep.name,
        "sizes": list(sweep.sizes),
        "exponents": {way: {k: asdict(law) for k, law in found.items() if law} for way, found in laws.items()},
        "crossovers": [{"before": a, "after": b, "at": n} for a, b, n in sweep.crossovers],
        "rows": [[plain_row(row) for row in c.rows] for c in sweep.comparisons],
    }


def as_csv(c: Findings) -> str:
    return tables.as_csv([plain_row(row) for row in c.rows], FIELDS)


def frame(c: Findings) -> Any:
    return tables.as_frame([row.record() for row in c.rows], FIELDS)


# ---------------------------------------------------------------------------------------------------
# HTML
# ---------------------------------------------------------------------------------------------------


def table_html(c: Findings) -> str:
    """The table with a bar for the median of each way, on a logarithmic scale, and the advice."""
    shown = ranked(c.rows)
    times = [row.seconds for row in shown if row.seconds]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in (*HEAD, ""))
    rows = [_row_html(row, row is c.best, times) for row in shown]
    advised = "".join(f"<p>{html.escape(line)}</p>" for line in [*remarks(c), *c.advice.split("\n")])
    return (
        f'<div class="admodes"><style>{tables.STYLE}</style><p><b>{html.escape(title(c))}</b></p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{advised}</div>"
    )


def _row_html(row: Row, best: bool, times: Sequence[float]) -> str:
    name, *numbers = (html.escape(cell) for cell in cells(row))
    if row.seconds is None:
        return f'<tr class="left"><td>{name}</td><td class="why" colspan="9">{html.escape(row.why_not)}</td></tr>'
    decades = math.log10(max(times) / min(times)) or 1.0
    width = 1 + 11 * math.log10(row.seconds / min(times)) / decades
    kind = "best" if best else "" if row.agrees or row.estimated else "wrong"
    bar = f'<td class="why"><span class="bar" style="width:{number(width)}em"></span></td>'
    return f'<tr class="{kind}"><td>{name}</td>{"".join(f"<td>{cell}</td>" for cell in numbers)}{bar}</tr>'


def page(c: Findings) -> str:
    """One page that needs nothing else."""
    codes = "".join(
        f"<tr><td>{html.escape(row.way)}</td><td class='why'><code>{html.escape(row.code)}</code></td></tr>"
        for row in ranked(c.rows)
        if row.seconds is not None
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(title(c))}</title></head><body>{table_html(c)}"
        f"<div class='admodes'><h3>The line to write</h3><table>{codes}</table>"
        f"<p>{html.escape(machine())}</p></div></body></html>\n"
    )
