"""The experiments: one module a question.  `python -m experiments --help` says how to run them.

Everything here runs on one thread: the clock is compared with counted work, and one library with another.  The number
of threads is read when NumPy (or torch) loads, so it is set here, before any module imports it; where NumPy is there
already, as in an installed package, `LATE` says so.
"""

import os
import sys

ALONE = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
LATE = "numpy" in sys.modules and not ALONE.items() <= os.environ.items()

os.environ.update(ALONE)
