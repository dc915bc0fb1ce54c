"""The table of derivatives, split by area of NumPy.  Importing this package fills the registry.

The rows of scipy.special are added when one of its functions is first met, so that SciPy is not loaded before.
"""

import importlib

from ..core.operators import define_operators
from ..core.registry import LATE

from . import contraction, elementwise, fft, index, joining, linalg, reduction, resizing, shape  # isort: skip
from . import assignment, emath, functional, histograms, matrices, overwriting, polynomial, refused, squares, statistics

define_operators()
LATE["scipy.special"] = lambda: importlib.import_module(".special", __name__)

__all__ = [
    "assignment",
    "contraction",
    "elementwise",
    "emath",
    "fft",
    "functional",
    "histograms",
    "index",
    "joining",
    "linalg",
    "matrices",
    "overwriting",
    "polynomial",
    "reduction",
    "refused",
    "resizing",
    "shape",
    "squares",
    "statistics",
]
