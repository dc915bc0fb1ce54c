"""The table of derivatives, split by area of NumPy.  Importing this package fills the registry."""

from ..tracing import define_operators
from . import contraction, elementwise, index, linalg, reduction, shape

define_operators()

__all__ = ["contraction", "elementwise", "index", "linalg", "reduction", "shape"]
