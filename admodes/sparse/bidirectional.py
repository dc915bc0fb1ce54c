"""Which rows to pull so that the columns of the rest need few colours: the search behind bidirectional colouring.

A set R of rows is coloured and read row by row; what is left of the matrix is coloured and read by columns.  A few full
rows, which alone would force n colours upon the columns, are so paid with a colour each.  The same with rows and
columns exchanged is tried too.  Both give a star bicolouring: uncoloured lines determine nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from .graph import coordinates

# How many mixed splits are coloured; they come by rising lower bound, so that later ones seldom win.
_TRIALS = 12


def cheapest_split(pattern: Any, colour: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Colours of columns and of rows, −1 where a line is not needed: the least number together that was found.

    R is every set of the rows (or columns) that are longer than some length.  No row and no column are among them, so
    that the result never has more colours than either pure mode.  `colour` colours the columns of a pattern.
    """
    turned = sparse.csr_array(pattern.T)
    splits = [(low, cut, False) for low, cut in _splits(pattern)] + [(low, cut, True) for low, cut in _splits(turned)]
    pure = [split for split in splits if split[1] is None]
    mixed = sorted((split for split in splits if split[1] is not None), key=lambda split: split[0])
    best: tuple[Any, Any] | None = None
    for low, cut, flipped in pure + mixed[:_TRIALS]:
        if best is None or low < _total(best):
            found = _coloured(turned if flipped else pattern, cut, colour)
            found = found[::-1] if flipped else found
            best = found if best is None or _total(found) < _total(best) else best
    assert best is not None  # both pure splits are there, and the first is always coloured
    return best


def _splits(pattern: Any) -> Iterator[tuple[int, int | None]]:
    """Lengths from which on rows go to R (None: no row does), with a lower bound on the colours.

    The columns of the longest row left need that many colours, and the rows of R that meet in a column as many.
    """
    lengths, (rows, columns) = np.diff(pattern.indptr), coordinates(pattern)
    cuts = np.unique(lengths[lengths > 0])[::-1]
    yield (int(cuts[0]) if cuts.size else 0), None
    met = np.zeros(pattern.shape[1], dtype=np.intp)
    for cut, left in pairwise(cuts):
        met += np.bincount(columns[lengths[rows] == cut], minlength=met.size)
        yield int(met.max() + left), int(cut)


def _coloured(pattern: Any, cut: int | None, colour: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Colours of the columns for the rows shorter than `cut`, and of the others as rows."""
    if cut is None:
        return colour(pattern), np.full(pattern.shape[0], -1, dtype=np.intp)
    long = np.repeat(np.diff(pattern.indptr) >= cut, np.diff(pattern.indptr))
    return colour(_entries(pattern, ~long)), colour(sparse.csr_array(_entries(pattern, long).T))


def _entries(pattern: Any, chosen: Any) -> Any:
    """The pattern with only some of its entries."""
    rows, columns = coordinates(pattern)
    return sparse.csr_array((pattern.data[chosen], (rows[chosen], columns[chosen])), shape=pattern.shape)


def _total(colours: tuple[Any, Any]) -> int:
    """How many colours both sides have together."""
    return sum(int(side.max(initial=-1)) + 1 for side in colours)
