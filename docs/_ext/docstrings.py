"""Docstrings as numpydoc reads them.

Ours say `name : what it is` on one line, close a section with a sentence, and name their source in a line of its own;
numpydoc takes what follows the colon for a type, and each line of a section for another entry.  Here entries get their
description below them, sources a section "References", examples one of theirs, and what is prose between is escaped.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

LISTS = ("Parameters", "Attributes", "Raises")
ENTRY = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*) :(?: (.*)|)$")
UNDERLINE = re.compile(r"^-{3,}$")


def blocks(lines: list[str]) -> list[list[str]]:
    """The paragraphs: lines between empty ones."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line.rstrip())
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def escaped(text: str) -> str:
    """Prose in which reStructuredText sees no markup but literals between backticks and *emphasis*."""
    parts = re.split(r"(``?[^`]+``?|(?<![\w*])\*\w[\w ]*\*(?![\w*]))", text)
    return "".join(p if k % 2 else re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", p) for k, p in enumerate(parts))


def dedented(block: list[str]) -> list[str]:
    """Prose at the left margin; what hangs below an item of a list stays there."""
    return [escaped(line) for line in textwrap.dedent("\n".join(block)).split("\n")]


class Sections:
    """The sections of a docstring, in the order in which they are written."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.lists: dict[str, list[tuple[str, list[str]]]] = {}
        self.prose: dict[str, list[str]] = {}

    def paragraph(self, section: str, lines: list[str]) -> None:
        text = self.before if not section else self.prose.setdefault(section, [])
        text += [*lines, ""]

    def lines(self) -> list[str]:
        """Lines for numpydoc."""
        out = list(self.before)
        order = ("Parameters", "Returns", "Attributes", "Raises", "Notes", "References", "Examples")
        for name in order:
            if name in self.lists:
                out += [name, "-" * len(name)]
                for entry, text in self.lists[name]:
                    out += [entry, *(f"    {line}" for line in text)]
                out.append("")
            elif name == "Returns" and name in self.prose:
                out += [name, "-------", "result", *(f"    {line}" for line in self.prose[name]), ""]
            elif name in self.prose:
                out += [name, "-" * len(name), *self.prose[name], ""]
        return out


def parsed(lines: list[str]) -> Sections:
    """A docstring of ours by sections."""
    found, section = Sections(), ""
    for block in blocks(lines):
        if len(block) > 1 and UNDERLINE.match(block[1]):
            section, block = block[0].strip(), block[2:]
        if not block:
            continue
        first = block[0]
        if first.lstrip().startswith(">>>"):
            found.paragraph("Examples", block)
        elif first.startswith("Source: "):
            found.paragraph("References", [escaped(line) for line in [first.removeprefix("Source: "), *block[1:]]])
        elif section in LISTS or (not section and ENTRY.match(first)):
            entries(found, section or "Attributes", block)
        elif "Examples" in found.prose and not section:
            found.paragraph("Examples", [escaped(line) for line in block])
        else:
            found.paragraph(section, dedented(block))
    return found


def entries(found: Sections, section: str, block: list[str]) -> None:
    """Add the entries of a list; a paragraph in it that is none goes to the notes."""
    depth = len(block[0]) - len(block[0].lstrip())
    if not ENTRY.match(block[0].strip()) and depth == 0:
        found.paragraph("Notes", dedented(block))
        return
    current = found.lists.setdefault(section, [])
    for line in block:
        match = ENTRY.match(line)
        if match:
            current.append((match[1].replace("*", r"\*"), [escaped(match[2] or "")]))
        elif current:
            # Several entries on one line, apart by two spaces: TypeError : …  ValueError : …
            current[-1][1].append(escaped(line.strip()))


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite the docstrings of the package in place."""
    if what != "module" and lines:
        lines[:] = parsed(list(lines)).lines()


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", process, priority=100)  # before numpydoc's
    return {"parallel_read_safe": True}
