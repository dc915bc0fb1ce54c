"""What plans of rooms below the cost model would take: they ask here, and the package, whose `__init__` sees both, has
put in who answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Of a SparsePlan, a record a way to its matrix: its own and the dense ones.
sparse_ways: Callable[[Any], list[dict[str, Any]]]
