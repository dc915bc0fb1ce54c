"""The words of public signatures.

A tree is what `optree` takes for one: an array or a number, or a dict, list, tuple, named tuple or dataclass of trees.
No type of today says that the tangent of a tree is a tree of the same shape with K directions before each leaf, so
trees and their directions are names for the reader; a type checker takes them for Any.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Tree: TypeAlias = Any
Tangent: TypeAlias = Tree  # of a tree: its leaves have the shapes of those of the tree, or (K, *shape)
Cotangent: TypeAlias = Tree  # likewise


class Shaped(Protocol):
    """What tells its shape and dtype: an array, a scalar of NumPy, a traced value, a value of a program."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...
