"""The counts of `admodes.program.cost` by their earlier names."""

from .program.cost import Cost as Tally
from .program.cost import cost as count

__all__ = ["Tally", "count"]
