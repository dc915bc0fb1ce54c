"""Numbers as one reads them: seconds, bytes and counts with a unit and three digits."""

from __future__ import annotations


def seconds(t: float | None) -> str:
    """Seconds with the unit that fits.

    >>> seconds(0.0001234), seconds(75.2), seconds(7200), seconds(None)
    ('123 µs', '75.2 s', '2 h', '')
    """
    if t is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if t >= 0.9995 * size and t < 300:
            return f"{t / size:.3g} {unit}"
    for unit, size in (("years", 31_557_600), ("days", 86400), ("h", 3600), ("min", 60)):
        if t >= 2 * size:
            return f"{number(t / size)} {unit}"
    return f"{t / 1e-9:.3g} ns"


def size(b: float | None) -> str:
    """Bytes with the unit that fits, in powers of 1000.

    >>> size(812), size(77e12), size(None)
    ('812 B', '77 TB', '')
    """
    return "" if b is None else _scaled(b, ("B", "kB", "MB", "GB", "TB", "PB", "EB"))


def count(n: float | None) -> str:
    """A count with a letter for its thousands.

    >>> count(950), count(1_038_000), count(2.5e12)
    ('950', '1.04 M', '2.5 T')
    """
    return "" if n is None else _scaled(n, ("", "k", "M", "G", "T", "P", "E")).strip()


def _scaled(x: float, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if x < 999.5:
            return f"{x:.3g} {unit}"
        x /= 1000
    return f"{number(x)} {units[-1]}"


def number(x: float) -> str:
    """Three digits, or all of a number above a thousand.

    >>> number(0.03217), number(12345.6)
    ('0.0322', '12,346')
    """
    return f"{x:,.0f}" if x >= 999.5 else f"{x:.3g}"


def several(n: int, word: str) -> str:
    """A number and its noun.

    >>> several(1, "pass"), several(1200, "pass"), several(2, "flop")
    ('1 pass', '1,200 passes', '2 flops')
    """
    return f"1 {word}" if n == 1 else f"{n:,} {word}{'es' if word.endswith('s') else 's'}"
