"""One HTML file of the page's parts: template, style, script, the library that lays out the graph, and the story."""

from __future__ import annotations

import html
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from .numbers import to_json

SCRIPTS = ("numbers.js", "graph.js", "card.js", "chain.js", "page.js")


def page(title: str, data: dict[str, Any]) -> str:
    """The page that shows what `data.data` gives."""
    script = "\n".join(_part(name) for name in SCRIPTS)
    return Template(_part("template.html")).substitute(
        title=html.escape(title),
        style=_part("page.css"),
        library=_part("dagre.min.js"),
        script=script,
        data=to_json(data),
    )


@cache
def _part(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")
