"""The experiments: one module a question.  `python -m experiments --help` says how to run them.

Everything here runs on one thread: the clock is compared with counted work, and one library with another.  The number
of threads is read when NumPy (or torch) loads, so it is set here, before any module imports it.
"""

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_variable] = "1"
