"""Patterns that show themselves: as blocks of text, as a picture, as rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..core.figures import figure, svg
from ..core.tables import Column, Record, Table, Tabular, whole

# Lines and columns of a pattern as text; a larger one is shown in tiles.
TALL, WIDE = 24, 72


class Pattern(Tabular, sparse.csr_array):
    """A sparsity pattern: a scipy.sparse.csr_array of booleans that prints where its entries are.

    `.rows` and `.to_frame()` name row and column of each entry; in a notebook it is drawn.

    >>> import numpy as np
    >>> from admodes import jacobian_pattern
    >>> jacobian_pattern(lambda x: x[1:] * x[:-1], np.zeros(4))
    pattern of 3 × 4, 6 entries, 0.5 dense
    ■■··
    ·■■·
    ··■■
    """

    def table(self) -> Table:
        """A row an entry."""
        found = zip(*(index.tolist() for index in self.nonzero()), strict=True)
        records: list[Record] = [{"row": i, "column": j} for i, j in found]
        return Table((Column("row", whole), Column("column", whole)), records, self._title())

    def picture(self) -> str:
        """The pattern, drawn."""
        return svg(spy(self))

    def text(self) -> str:
        """Where the entries are."""
        return "\n".join([self._title(), *blocks(self)])

    __str__, __repr__ = Tabular.__str__, Tabular.__repr__

    def _repr_html_(self) -> str:
        return Table((), (), self._title()).html(self.picture())

    def _title(self) -> str:
        m, n = self.shape
        kind = "" if self.dtype == bool else f" of {self.dtype}"
        return f"pattern{kind} of {m:,} × {n:,}, {self.nnz:,} entries, {self.nnz / max(1, m * n):.3g} dense"


def blocks(pattern: Any) -> list[str]:
    """Lines of text: ■ an entry, · none; of a large pattern a tile that has one."""
    m, n = pattern.shape
    tall, wide = max(1, -(-m // TALL)), max(1, -(-n // WIDE))
    rows, columns = pattern.nonzero()
    filled = np.zeros((-(-m // tall), -(-n // wide)), bool)
    filled[rows // tall, columns // wide] = True
    lines = ["".join("■" if x else "·" for x in line) for line in filled]
    return lines if tall == wide == 1 else [*lines, f"a place stands for {tall:,} × {wide:,}"]


def spy(pattern: Any, colours: Any = None) -> Any:
    """A figure of matplotlib with the entries of a pattern; colours: a number for each, by rows."""
    from matplotlib.colors import ListedColormap

    m, n = pattern.shape
    rows, columns = pattern.nonzero()
    side, longest = 4.5, max(m, n, 1)
    drawn = figure(figsize=(side * n / longest + 1, side * m / longest + 0.8), layout="constrained")
    axes = drawn.add_subplot()
    marker = max(0.5, 0.7 * 72 * side / longest)
    style: dict[str, Any] = {"s": marker**2, "marker": "s", "linewidths": 0, "rasterized": len(rows) > 5000}
    if colours is None:
        axes.scatter(columns, rows, color="#4477aa", **style)
    else:
        axes.scatter(columns, rows, c=np.asarray(colours) % len(COLOURS), cmap=ListedColormap(COLOURS), vmin=-0.5,
                     vmax=len(COLOURS) - 0.5, **style)  # fmt: skip
    axes.set(xlim=(-0.5, n - 0.5), ylim=(m - 0.5, -0.5), aspect="equal", xlabel=f"{n:,} columns", ylabel=f"{m:,} rows")
    axes.set(xticks=[], yticks=[])
    return drawn


# Colours that are told apart by most eyes, after Paul Tol's bright scheme.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
