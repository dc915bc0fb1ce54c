"""Rolling: the steps of a loop, which a program has one behind the other, as one instruction again.

What later code reads of an iteration is kept in arrays over the iterations.  Iterations that differ, at the ends or in
between, stay as they are.
"""

from .loop import Carried, Loop, Moving, spread, with_arrays_outside
from .writing import SHORTEST, Make, roll

__all__ = ["SHORTEST", "Carried", "Loop", "Make", "Moving", "roll", "spread", "with_arrays_outside"]
