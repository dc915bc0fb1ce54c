"""Every way to a derivative, what it costs, and which is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.tables import Record
from ..program import prices

if TYPE_CHECKING:
    from ..sparse.plan import SparsePlan


def _sparse_ways(plan: SparsePlan) -> list[Record]:
    from .plans import sparse_ways

    return sparse_ways(plan)


prices.sparse_ways = _sparse_ways
