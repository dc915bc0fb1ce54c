"""`explain`: both modes on a function, step by step; `Explanation` holds the walk and shows it."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.plain import printable
from .assembling import page
from .data import data
from .story import Story, tell
from .text import text

Target = Literal["gradient", "jvp", "vjp", "jacobian"]


@dataclass(frozen=True)
class Explanation:
    """Forward and reverse mode on one function, operation by operation. Made by `explain`; print it, or `to_html`.

    story : the numbers and texts of every step.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "Backpropagation: a simple example".

    >>> from admodes import explain
    >>> walk = explain(lambda x, y: (x + y) * y, 3.0, 4.0)
    >>> print(str(walk).splitlines()[0])
    gradient of <lambda>: n = 2 inputs, m = 1 result
    """

    story: Story

    def to_html(self, path: str | Path | None = None) -> str:
        """The page: one HTML file that needs nothing beside it.

        Parameters
        ----------
        path : where to write it; None only returns it.

        Returns
        -------
        str : the text of the page.

        >>> from admodes import explain
        >>> explain(lambda x: x * x, 3.0).to_html()[:15]
        '<!doctype html>'
        """
        whole = page(self.story.title, self.data)
        if path is not None:
            Path(path).write_text(whole, encoding="utf-8")
        return whole

    @property
    def data(self) -> dict[str, Any]:
        """What the page holds, as it is embedded there: nodes, edges, the steps of both modes, texts and numbers."""
        return data(self.story)

    def _repr_html_(self) -> str:
        name, whole = html.escape(self.story.title), html.escape(self.to_html())
        return f'<iframe title="{name}" srcdoc="{whole}" style="width:100%;height:56rem;border:0"></iframe>'

    def __str__(self) -> str:
        return printable(text(self.story))

    __repr__ = __str__


def explain(f: Callable[..., Any], *args: Any, target: Target = "gradient", direction: Any = None) -> Explanation:
    """Forward and reverse mode on f(*args), step by step: print it, show it in a notebook, or write it as a page.

    Parameters
    ----------
    f : a function in plain NumPy, of real arguments.
    *args : its arguments; every float and every array of floats is differentiated by.
    target : "gradient" of one number, "jvp" (J·t), "vjp" (Jᵀ·u) or the whole "jacobian".
    direction : of a jvp t, a tuple with one tangent an argument; of a vjp u, a cotangent like the result; ones unless
        given.

    Returns
    -------
    Explanation : `print` gives the walk as a table, `to_html(path)` the page, and notebooks show it.

    Raises
    ------
    TypeError : no argument is a float, or one is complex.
    ValueError : a target that is none of these; a gradient of several numbers; a direction that does not fit.
    Detached, MissingRule : as `trace` and `jvp`.

    All numbers are those of `jvp`, `vjp` and `cost`, whose work is divided among the operations of f.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "Backpropagation: a simple example" and "Patterns in
    gradient flow"; Cornell CS4787, "Principles of Large-Scale Machine Learning Systems", lecture 4, the dual numbers.

    >>> print(explain(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0))
    gradient of <lambda>: n = 3 inputs, m = 1 result
    ...
    """
    return Explanation(tell(f, args, target, direction))
