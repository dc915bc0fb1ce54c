"""Text for consoles that cannot show all of it: arrows, brackets and letters in the characters that they have."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from typing import Any

PLAIN = {
    "→": "->", "←": "<-", "↦": "->", "─": "-", "│": "|", "├": "|", "└": "`", "■": "#", "−": "-", "∂": "d", "ẋ": "x'",
    "√": "sqrt", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∝": "~", "Σ": "sum", "Π": "prod", "⟨": "<", "⟩": ">",
    "∘": "o", "∈": "in", "∞": "inf", "′": "'", "✓": "ok", "λ": "lambda", "σ": "sigma", "θ": "theta", "×": "x", "·": ".",
    "µ": "u", "±": "+-", "…": "...", "“": '"', "”": '"', "–": "-", "‖": "||",
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The handler of what an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or _nearest(c) for c in lacking), error.end


def _nearest(c: str) -> str:
    """The letter or digit that a character is a form of; a question mark where it is of none."""
    return unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode() or "?"


HANDLER = "admodes.plain"
codecs.register_error(HANDLER, _plain)


def printable(text: str) -> str:
    """The text in characters that stdout can show.

    >>> print(printable("J·t → y").encode("ascii", HANDLER).decode())
    J.t -> y
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return text.encode(encoding, HANDLER).decode(encoding)


def speak(stream: Any) -> None:
    """Let a stream print what it has no characters for."""
    if hasattr(stream, "reconfigure") and stream.errors == "strict":
        stream.reconfigure(errors=HANDLER)
