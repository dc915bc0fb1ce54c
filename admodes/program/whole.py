"""Rules that hold for arrays of any dtype.

The rule of a `Composite` is for numbers that carry derivatives.  Of whole numbers and truths NumPy's function may be
another: a median is a float, a product of bytes is of long integers.  So a program calls the function itself where
nothing traced may carry a derivative (`Recorder.whole`), but for these rows, whose rules only move, choose or count
elements: of them it keeps what their rules know of shapes that values decide, and of views.
"""

from __future__ import annotations

import numpy as np

from ..core.registry import OPS

EXACT = {
    OPS[fn]
    for fn in (
        # moved
        np.atleast_1d, np.atleast_2d, np.atleast_3d, np.ravel, np.rollaxis, np.matrix_transpose, np.rot90, np.flipud,
        np.fliplr, np.diagonal, np.linalg.diagonal, np.diag, np.diagflat, np.tile, np.repeat, np.resize,
        np.broadcast_arrays, np.ix_, np.vstack, np.hstack, np.dstack, np.column_stack, np.append, np.block,
        np.array_split, np.split, np.vsplit, np.hsplit, np.dsplit, np.unstack,
        np.lib.stride_tricks.sliding_window_view,
        # chosen
        np.take, np.take_along_axis, np.compress, np.extract, np.delete, np.insert, np.trim_zeros, np.clip,
        np.sort, np.partition, np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values,
        np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.bincount,
        # of a dtype that values decide
        np.real_if_close, np.roots, np.linalg.eigvals,
    )
}  # fmt: skip
