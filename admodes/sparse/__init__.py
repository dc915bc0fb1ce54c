"""Sparse Jacobians and Hessians: patterns, colourings, decompression, and plans made of them.

What a researcher plugs into: a pattern is any matrix; a colouring takes its vertices in an order by name, by a
permutation or by a function of one's own (`arranged`), or is a function altogether (`colouring=` of
`sparse_jacobian_plan`, `method=` of `sparse_hessian_plan`); `decompress` reads the matrix off the products of any
colouring, wherever these were made; `is_valid` is what a colouring is, by definition, and slow.

>>> import numpy as np
>>> from admodes.sparse import colour_columns, decompress, greedy_bound, lower_bound
>>> A = np.diag([1.0, 2, 3, 4]) + np.diag([5.0, 6, 7], k=1)
>>> colouring = colour_columns(A, order=lambda graph: range(graph.size)[::-1])
>>> lower_bound(A), colouring.count, greedy_bound(A)
(2, 2, 3)
>>> bool(np.all(decompress(colouring, colouring.seeds() @ A.T).toarray() == A))
True
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bounds import greedy_bound, lower_bound
    from .check import is_valid
    from .colouring import (
        BidirectionalColouring,
        Colouring,
        colour_bidirectional,
        colour_columns,
        colour_graph,
        colour_rows,
        colour_symmetric,
        decompress,
    )
    from .decompression import Decompression
    from .order import ORDERS, arranged
    from .pattern import hessian_pattern, jacobian_pattern
    from .plan import SparsePlan, sparse_hessian_plan, sparse_jacobian_plan
    from .spy import Pattern

__all__ = [
    "ORDERS",
    "BidirectionalColouring",
    "Colouring",
    "Decompression",
    "Pattern",
    "SparsePlan",
    "arranged",
    "colour_bidirectional",
    "colour_columns",
    "colour_graph",
    "colour_rows",
    "colour_symmetric",
    "decompress",
    "greedy_bound",
    "hessian_pattern",
    "is_valid",
    "jacobian_pattern",
    "lower_bound",
    "sparse_hessian_plan",
    "sparse_jacobian_plan",
]

# All of it needs scipy.sparse, which `import admodes` does not load.
_PLACES = {
    "bounds": ("greedy_bound", "lower_bound"),
    "check": ("is_valid",),
    "decompression": ("Decompression",),
    "order": ("ORDERS", "arranged"),
    "pattern": ("hessian_pattern", "jacobian_pattern"),
    "spy": ("Pattern",),
    "plan": ("SparsePlan", "sparse_hessian_plan", "sparse_jacobian_plan"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = next((module for module, names in _PLACES.items() if name in names), "colouring")
    return getattr(importlib.import_module(f".{place}", __name__), name)


def __dir__() -> list[str]:
    return __all__
