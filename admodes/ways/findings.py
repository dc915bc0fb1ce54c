"""What came of a comparison: the rows, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .advice import advice, advised
from .question import Question
from .row import Row


@dataclass(frozen=True)
class Findings:
    """The question, the rows, the advised one of them, and the advice."""

    question: Question
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()
    disagreement: bool = False
    interrupted: bool = False

    @property
    def target(self) -> str:
        """The derivative that was asked for."""
        return self.question.target

    @cached_property
    def best(self) -> Row | None:
        """The row that is advised."""
        return advised(self.rows, self.question.max_bytes)

    @cached_property
    def advice(self) -> str:
        """What to take, and why."""
        return advice(self.question, self.rows, self.disagreement, self.interrupted)
