"""What plans of rooms below the cost model would take: they ask here, and `ways`, which stands above them and which
`import admodes` loads, has put in who answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.tables import Record

# Of a SparsePlan, a record a way to its matrix: its own and the dense ones.
sparse_ways: Callable[[Any], list[Record]]
