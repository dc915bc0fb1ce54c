"""The static path: `trace` gives a `Program`, passes improve it, `compile` runs it as flat code, `cost` counts it."""

from .compile import compile
from .cost import Cost
from .program import Program, cost, trace
from .straightline import GuardFailed

__all__ = ["Cost", "GuardFailed", "Program", "compile", "cost", "trace"]
