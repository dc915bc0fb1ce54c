"""Tables as text: all that the library prints in rows is put into columns here."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of text as lines, in columns two spaces apart; sides: one of "<" (left) and ">" (right) a column.

    >>> print(*columns([("order", "flops"), ("reverse", "12"), ("forward", "144")], "<>"), sep="\\n")
    order    flops
    reverse     12
    forward    144
    """
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(len(sides))]
    return ["  ".join(f"{x:{s}{w}}" for x, s, w in zip(row, sides, widths, strict=True)).rstrip() for row in rows]
