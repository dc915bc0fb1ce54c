"""The static path: `trace` gives a `Program`, passes improve it, `compile` runs it as flat code, `cost` counts it."""

from .compile import compile
from .cost import Cost, cost
from .program import GuardFailed, Program, trace

__all__ = ["Cost", "GuardFailed", "Program", "compile", "cost", "trace"]
