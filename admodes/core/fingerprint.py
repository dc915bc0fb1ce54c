"""A hash of an array's memory: what a tape knows a large array by, which it neither copies nor lets change unseen.

Every bit counts, and its place.  XXH3 reads as fast as memory gives.  Where there is no xxhash, NumPy alone takes a
hash of the multilinear kind, whose integers wrap around; it is a sixth as fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

try:
    from xxhash import xxh3_128_digest
except ImportError:  # no wheel for this platform
    xxh3_128_digest = None  # type: ignore[assignment]


def fingerprint(a: ndarray) -> Any:
    """Equal for equal bytes in the order in which they lie; for others equal with a chance of less than 2⁻³²."""
    data = a.ravel(order="K").view(np.uint8)
    return multilinear(data) if xxh3_128_digest is None else xxh3_128_digest(data)


# Words with a sum of their own: few enough that they and their weights stay in a fast cache.
_WORDS = 1024
_WEIGHTS = np.random.default_rng(0x9E3779B9).integers(0, 2**64, _WORDS, np.uint64)


def multilinear(data: ndarray) -> int:
    """Σ aₖ·wₖ mod 2⁶⁴ over the words w of each row of bytes, with random weights a, once more over the words that begin
    four bytes later, and the rest, through Python's hash of bytes.

    A change d of the words leaves Σ aₖ·wₖ as it is for a part 2^(v−64) of all weights, 2^v being the highest power of 2
    that divides every dₖ.  That is much where the highest bits alone change (signs): in the words that begin in between
    these are in the middle, and v < 32 in one sum or the other.

    Source: Lemire and Kaser, "Strongly universal string hashing is fast" (The Computer Journal, 2014), section 3.
    """
    whole = (data.size - 4) // (8 * _WORDS) * 8 * _WORDS if data.size >= 4 else 0
    sums = [
        np.einsum("ij,j->i", data[first : first + whole].view(np.uint64).reshape(-1, _WORDS), _WEIGHTS).tobytes()
        for first in (0, 4)
    ]
    return hash((*sums, data[whole:].tobytes()))
