"""`check`: the derivatives of a function by every way that needs no trust, against each other."""

from .check import check
from .verdict import Check

__all__ = ["Check", "check"]
