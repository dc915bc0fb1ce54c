"""What cannot be differentiated as NumPy has it, and why; a traced argument raises an error that gives the reason."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.registry import Passive, Refused, add

FILE = "it writes plain numbers to a file; return the array from the function and save it afterwards"
DATES = "it is for dates, which have no derivative"

# fmt: off
REFUSED: dict[Any, str] = {
    np.save:                FILE,
    np.savez:               FILE,
    np.savez_compressed:    FILE,
    np.savetxt:             FILE,
    np.busday_count:        DATES,
    np.busday_offset:       DATES,
    np.is_busday:           DATES,
    np.datetime_as_string:  DATES,
}
# fmt: on

# Without a row, since NumPy does not dispatch them; they raise by themselves.
FLOAT = "it converts to Python floats, which raises for a traced value"
OWN = "its operations mean something else (products, records); use plain arrays"
OBJECTS = "NumPy hands its loop Python objects only where asked to; use ufuncs, or np.vectorize"
WITHOUT_ROW = {
    "asmatrix": OWN,
    "bmat": OWN,
    "matrix": OWN,
    "recarray": OWN,
    "record": OWN,
    "ndarray": "it lays an array over memory; use np.asarray",
    "flatiter": "it is made by x.flat, which works",
    "fromiter": FLOAT + "; use np.stack(list(...))",
    "format_float_positional": FLOAT,
    "format_float_scientific": FLOAT,
    "frompyfunc": OBJECTS,
    "nested_iters": OBJECTS,
}

for _fn, _reason in REFUSED.items():
    add(Refused(_fn, _reason))

# Text for a person to read, of the value.
for _fn in (np.array2string, np.array_repr, np.array_str):
    add(Passive(_fn, static=True))
