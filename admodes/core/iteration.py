"""np.nditer over traced arrays and arrays that f makes, the elements in NumPy's order, each a view without axes; and
np.vectorize, a function of Python of each element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .blank import given, traced
from .dispatch import canonical, gathered
from .errors import Detached
from .views import Cell, ground, laid_in_memory, relaid

_KNOWN = frozenset({"multi_index", "c_index", "f_index", "refs_ok", "zerosize_ok"})


class Elements:
    """What np.nditer(op, …) is where an array among the operands is traced, or may become so.

    NumPy's own iterator runs beside, over what lies below, and says which element comes next.
    """

    def __init__(
        self, op: Any, flags: Sequence[str] = (), op_flags: Any = None, op_dtypes: Any = None, order: Any = "K",
    ) -> None:  # fmt: skip
        unknown = sorted({*flags} - _KNOWN)
        if unknown or op_dtypes is not None:
            raise Detached(
                f"np.nditer with {', '.join(unknown) or 'op_dtypes='}, which hands on copies of the elements,",
                "Write the loop without it, or over np.ndindex(x.shape).",
            )
        listed = isinstance(op, list | tuple)
        operands = [
            None if x is None else canonical(x) if not isinstance(x, Cell) else x for x in (op if listed else [op])
        ]
        shape = np.broadcast_shapes(*(np.shape(x) for x in operands if x is not None))
        kind = np.result_type(*(x for x in operands if x is not None))
        self.operands = tuple(given(np.zeros(shape, kind), []) if x is None else x for x in operands)
        self.listed = listed
        asked = [name for name in flags if name != "multi_index"]
        self._places = np.nditer(
            [laid_in_memory(x) if isinstance(x, Cell) else np.asarray(x) for x in self.operands],
            ["multi_index", *asked],
            [["readonly"]] * len(self.operands),
            order=order,
        )
        self._begun = False

    def __enter__(self) -> Elements:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Elements:
        return self

    def __next__(self) -> Any:
        if self._begun:
            self._places.iternext()
        self._begun = True
        if self._places.finished:
            raise StopIteration
        return self.value if self.listed else self.value[0]

    @property
    def value(self) -> tuple[Any, ...]:
        """The elements at which it is, of all operands."""
        return tuple(self[k] for k in range(len(self.operands)))

    def __getitem__(self, k: int) -> Any:
        x: Any = self.operands[k]
        at = self._places.multi_index
        own = at[len(at) - np.ndim(x) :]
        return x[(*(0 if n == 1 else i for i, n in zip(own, np.shape(x), strict=True)), ...)]

    def __setitem__(self, k: int, value: Any) -> None:
        self[k][...] = value

    def __len__(self) -> int:
        return len(self.operands)

    def iternext(self) -> bool:
        """On to the next element; whether there is one."""
        return bool(self._places.iternext())

    def __getattr__(self, name: str) -> Any:
        """finished, multi_index, index, itersize … of NumPy's iterator."""
        return getattr(self._places, name)


def nditer(op: Any, *args: Any, **params: Any) -> Any:
    """np.nditer, in a watched run."""
    traced = any(isinstance(x, Cell) for x in (op if isinstance(op, list | tuple) else [op]))
    return Elements(op, *args, **params) if traced else np.nditer(op, *args, **params)


class Vectorized(np.vectorize):
    """np.vectorize, of which traced results make traced arrays of the dtypes that NumPy would give them."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or self.signature is not None or self.excluded or not args:
            return super().__call__(*args, **kwargs)
        arrays = np.broadcast_arrays(*map(canonical, args))
        flat = [np.ravel(a) if traced(a) else np.ravel(a).astype(object) for a in arrays]
        results = [self.pyfunc(*elements) for elements in zip(*flat, strict=True)]
        if not traced(results):
            once = iter(results)
            return np.vectorize(lambda *_: next(once), self.otypes, cache=True)(*map(ground, args))
        several = isinstance(results[0], tuple)
        kinds = self.otypes or [np.asarray(ground(y)).dtype for y in (results[0] if several else results[:1])]
        columns = zip(*results, strict=True) if several else [results]
        numpys = np.frompyfunc(lambda *_: 0.0, len(args), 1)(
            *(np.asanyarray(ground(a), dtype=object) for a in args)
        )  # in this order it lies in memory
        made = []
        for column, kind in zip(columns, kinds, strict=True):
            y = np.astype(np.reshape(gathered([*column]), arrays[0].shape), np.dtype(kind))
            made.append(relaid(y, numpys.astype(y.dtype)) if y.ndim else y)
        return tuple(made) if several else made[0]
