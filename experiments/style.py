"""How the pictures look: ten inches wide, so that 12 points are 16 on a slide; colours that the colour-blind tell
apart, shapes for grey print.

Pictures are the same, byte for byte, for the same data: the SVG carries no date and its names come from a fixed salt.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe & Ito, "Color universal design" (2008), told apart with every common colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#767676"

# The three ways to a derivative look the same in every picture.
FORWARD = {"color": VERMILION, "marker": "s", "linestyle": "-", "label": "forward"}
REVERSE = {"color": BLUE, "marker": "o", "linestyle": "-", "label": "reverse"}
DIFFERENCES = {"color": GREEN, "marker": "^", "linestyle": "-", "label": "finite differences"}
THEORY = {"color": GREY, "linewidth": 1.3}

WIDE = 10.0  # inches: what fills a slide

RC: Any = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "figure.titlesize": 14,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
    "svg.hashsalt": "admodes",
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


# A function that draws runs with these settings: `@styled`.
styled = mpl.rc_context(RC)


def figure(width: float, height: float, title: str) -> Figure:
    """An empty figure, sizes in inches, with the finding as its title; n^2.9 in it becomes a superscript."""
    made = Figure(figsize=(width, height), layout="constrained")
    made.suptitle(re.sub(r"n\^([\d.]*\d)", r"n$^{\\mathbf{\1}}$", title), fontweight="bold")
    return made


def plain_numbers(*axes: Any, unit: str = "") -> None:
    """Ticks of logarithmic axes as plain numbers; the shorter the range, which must be known by now, the more."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axis in axes:
        low, high = axis.get_view_interval()
        subs = (1, 1.2, 1.5, 2, 3, 4, 5, 6, 7, 8) if high < 10 * low else (1, 2, 5) if high < 200 * low else (1,)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(lambda value, _: f"{value:,g}{unit}")
        axis.set_minor_formatter(NullFormatter())


@styled
def save(made: Figure, path: Path) -> None:
    """Write the figure in the format of the path's suffix."""
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    made.savefig(path, metadata=metadata)
