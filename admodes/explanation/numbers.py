"""Numbers as JSON for the page: single ones in full, arrays to six digits, large arrays as evenly chosen rows and
columns, and what JSON has no number for as words."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

# A JSON text inside a page's script element: no character there may end it, or begin a comment or an entity.
_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def to_json(data: Any) -> str:
    """JSON that may stand in a script element of HTML, whatever texts are in it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)


def number(x: Any, digits: int | None = None) -> Any:
    """A number of JSON, or a word: "nan", "inf", "-inf", "1+2i", "true"."""
    if isinstance(x, bool | np.bool_):
        return "true" if x else "false"
    if isinstance(x, int | np.integer):
        return int(x)
    if isinstance(x, complex | np.complexfloating):
        return f"{x.real:.4g}{x.imag:+.4g}i"
    value = float(x)
    if not math.isfinite(value):
        return str(value)
    value = value if digits is None else float(f"{value:.{digits}g}")
    return int(value) if value.is_integer() and abs(value) < 1e15 and math.copysign(1, value) > 0 else value


class Arrays:
    """The arrays of a page, each kept once; `add` gives the place of one, or the number where it is single."""

    def __init__(self, most: int) -> None:
        self.most = most  # elements shown of one array
        self.kept: list[dict[str, Any]] = []
        self._places: dict[tuple[Any, ...], int] = {}

    def add(self, x: Any) -> Any:
        """A number, or {"a": place} of an array; None is nothing."""
        if x is None:
            return None
        x = np.asarray(x)
        if not x.ndim:
            return number(x[()])
        key = (x.shape, x.dtype.str, x.tobytes())
        if key not in self._places:
            self._places[key] = len(self.kept)
            self.kept.append(self._kept(x))
        return {"a": self._places[key]}

    def _kept(self, x: Any) -> dict[str, Any]:
        rows = x.reshape(1, -1) if x.ndim == 1 else x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, 0)
        found: dict[str, Any] = {"shape": list(x.shape)}
        i, j = _chosen(rows.shape[0], rows.shape[1], self.most)
        if len(i) < rows.shape[0] or len(j) < rows.shape[1]:
            found |= {"rows": i.tolist(), "columns": j.tolist()}
            found["range"] = [number(e, 6) for e in _range(x)]
        found["numbers"] = [number(e, 6) for e in rows[np.ix_(i, j)].ravel()]
        return found


def _chosen(rows: int, columns: int, most: int) -> tuple[Any, Any]:
    """Rows and columns, evenly spaced, so that no more than `most` elements are shown."""
    if rows * columns <= most:
        return np.arange(rows), np.arange(columns)
    i = min(rows, max(1, math.isqrt(most), most // max(columns, 1)))
    j = max(1, min(columns, most // i))
    return _even(rows, i), _even(columns, j)


def _even(n: int, k: int) -> Any:
    return np.unique(np.linspace(0, n - 1, k).round().astype(int))


def _range(x: Any) -> tuple[Any, ...]:
    """The least and the greatest finite number of an array."""
    real = np.abs(x) if x.dtype.kind == "c" else x.astype(float)
    finite = real[np.isfinite(real)]
    return (finite.min(), finite.max()) if finite.size else ()
