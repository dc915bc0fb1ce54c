"""What the ways to a sparse matrix would take: the passes of its plan, and one for each number in or out.

All as the flat code that a plan runs, so that the choice follows from what is shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.tables import Record
from ..transforms.directions import chunk_for
from .estimate import Estimate, Estimator

if TYPE_CHECKING:
    from ..sparse.plan import SparsePlan

# Making a csr_array, and putting a number of the products in its place.
SECONDS_OF_A_MATRIX = 2e-5
SECONDS_OF_AN_ENTRY = 2e-9
BYTES_OF_AN_ENTRY = 12


def sparse_ways(plan: SparsePlan) -> list[Record]:
    """A record a way: passes, counted flops and bytes, the peak of bytes, and the seconds with the overhead in them."""
    scheme = plan.scheme
    passes = Estimator(scheme.differentiated(plan.f, plan.argnums), plan.args, plan.argnums)
    nested = scheme.mode == "hessian"
    own = f"{'forward-over-reverse' if nested else scheme.mode}, coloured"
    dense = {"forward-over-reverse": "forward", "reverse-over-reverse": "reverse"} if nested else None
    found = {own: _coloured(plan, passes)}
    for name, mode in (dense or {"forward": "forward", "reverse": "reverse"}).items():
        whole = passes.jacobian(mode, compiled=True)
        found[name] = replace(whole, passes=passes.n if mode == "forward" else passes.m)
    return [_record(name, estimate) for name, estimate in found.items()]


def _coloured(plan: SparsePlan, passes: Estimator) -> Estimate:
    """The passes of the colouring, as many at once as the memory takes, and the matrix made of their products."""
    scheme, entries = plan.scheme, int(plan.pattern.nnz)
    step = scheme.passes if scheme.mode == "mixed" else max(1, chunk_for(scheme.passes, max(scheme.pattern.shape)))
    parts = [
        way(min(count, step) or 1, compiled=True).times(-(-count // step) or 1)
        for way, count in ((passes.forward, scheme.pushes), (passes.reverse, scheme.pulls))
        if count or (way == passes.forward and not scheme.passes)
    ]
    carried = parts[0] if len(parts) == 1 else parts[0].plus(parts[1])
    return replace(
        carried,
        seconds=carried.seconds + SECONDS_OF_A_MATRIX + SECONDS_OF_AN_ENTRY * entries,
        overhead_seconds=carried.overhead_seconds + SECONDS_OF_A_MATRIX,
        peak_bytes=carried.peak_bytes + BYTES_OF_AN_ENTRY * entries,
        passes=scheme.passes,
    )


def _record(name: str, estimate: Estimate) -> Record:
    return {
        "mode": name,
        "passes": estimate.passes,
        "flops": estimate.cost.flops,
        "bytes": estimate.cost.bytes,
        "peak_bytes": estimate.peak_bytes,
        "overhead_seconds": estimate.overhead_seconds,
        "predicted_seconds": estimate.seconds,
    }
