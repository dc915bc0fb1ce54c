"""Figures of matplotlib that a notebook shows, whether or not pyplot has been imported there."""

from __future__ import annotations

import functools
import io
from typing import Any


def figure(**options: Any) -> Any:
    """A matplotlib.figure.Figure, made with these options.

    >>> figure(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """
    return _kind()(**options)


@functools.cache
def _kind() -> Any:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that shows itself."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=100)
            return file.getvalue()

    Picture.__name__ = Picture.__qualname__ = "Figure"
    return Picture


def svg(drawn: Any) -> str:
    """A figure as an SVG element, the same for the same figure."""
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context({"svg.hashsalt": "admodes"}):
        drawn.savefig(file, format="svg", metadata={"Date": None})
    content = file.getvalue()
    return content[content.index("<svg") :]
