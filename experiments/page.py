"""The page beside the figures: what each experiment asked, what its last run found, and its pictures.

A run of some of the experiments writes their sections anew and leaves the others as they are.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .frame import Report

NAME = "README.md"
HEAD = """# What the experiments found

Each finding is computed from the data of the run that drew the pictures beside it.
"""


def write(out: Path, reports: Sequence[Report], questions: Mapping[str, str], full: bool) -> Path:
    """Write out/README.md with a section for each report; sections of other experiments stay as they are."""
    path = out / NAME
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    # A section begins with its heading, at which the page is cut; what precedes the first is the head.
    kept = {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^## ", before, flags=re.M)[1:]}
    new = {report.name: _section(report, questions[report.name], full) for report in reports}
    sections = sorted({**kept, **new}.items())
    out.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEAD, *(f"## {name}\n{text.rstrip()}\n" for name, text in sections)]), encoding="utf-8")
    return path


def _section(report: Report, question: str, full: bool) -> str:
    if report.error:
        said = [f"This run failed: `{type(report.error).__name__}`. What lies here of it is of no use."]
    else:
        pictures = [path.name for path in report.files if path.suffix == ".png"]
        data = [f"[{path.name}]({path.name})" for path in report.files if path.suffix == ".csv"]
        ran = f"a {'full' if full else 'short'} run with NumPy {np.__version__} on {platform.machine()}"
        said = [_plain(report.finding), *(f"![{name}]({name})" for name in pictures), ", ".join([*data, ran]) + "."]
    return "\n" + "\n\n".join([f"*{question}*", *said])


def _plain(text: str) -> str:
    """A finding as a sentence that Markdown shows as it is."""
    return re.sub(r"([\\*_`<|#\[\]])", r"\\\1", text[:1].upper() + text[1:]).replace("\n", " ").rstrip(".") + "."
