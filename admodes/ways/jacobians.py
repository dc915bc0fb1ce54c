"""The whole Jacobian: `jacobian`, by the way that the cost model says is the cheapest, and its plan, which says why."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..chains.bracketing import Bracketing
from ..chains.chain import JacobianChain
from ..core import pytree
from ..core.creation import around
from ..core.tables import columns
from ..transforms.arguments import SEVERAL, Argnums, check_asked, chosen_leaves, presented, refuse_iterators
from ..transforms.dense import assemble, dense_jacobian, jacobian_forward, jacobian_reverse
from ..transforms.directions import check_chunk
from .meter import first_run
from .prediction import BRACKETING, COLOURED, JacobianPlan, bracketed, predict

if TYPE_CHECKING:
    from ..sparse.plan import Scheme

Mode = Literal["auto", "forward", "reverse", "sparse", "mixed", "bracketing"]
METHODS = {"forward": jacobian_forward, "reverse": jacobian_reverse}  # of the dense modes
MODES_OF_ONE_FUNCTION = tuple(mode for mode in get_args(Mode) if mode != BRACKETING)  # of layers that one too


def jacobian(
    f: Callable[..., Any] | Sequence[Callable[..., Any]],
    argnums: Argnums = 0,
    mode: Mode = "auto",
    chunk: int | None = None,
    holomorphic: bool = False,
    executor: Executor | None = None,
) -> Jacobian:
    """The Jacobian of f, by forward mode, reverse mode, colouring, or the one that costs least.

    Parameters
    ----------
    f : a function; or a list of layers, the first applied first, each of one array to one array: their composition.
    argnums : which positional argument to differentiate by, counted from 0; a tuple of them gives a tuple of blocks.
    mode : "forward" (`jacfwd`); "reverse" (`jacrev`);
        "sparse": the pattern is found and coloured, columns (rows) of one colour are pushed (pulled) together;
        "mixed": some rows are pulled and some columns pushed;
        "bracketing": of layers, their Jacobians multiplied in the cheapest order (see `JacobianChain`);
        "auto": on the first call for each kind of arguments f is run once and its operations are priced by the cost
        model. Where by that estimate a dense mode is done sooner than a plan is made, the cheaper one is taken. Else
        the programs of both modes are priced, those of many directions made from those of two and of three, as
        `compare` does; where that is much and sampled columns are sparse, the pattern is found and coloured; of layers
        "bracketing" is weighed too. What is learnt is kept as long as f is,
        for other calls of `jacobian` too; `jacobian(f).learnt` shows it. `jacobian(f).plan(x)` makes the plan in any
        case and prints the candidates and the choice.
    chunk : how many directions at once, for the dense modes; None takes so many that an array of them has at most 2²²
        numbers.
    holomorphic : f is a complex-differentiable function of complex arguments; the Jacobian is then df/dz.
    executor : a `concurrent.futures.Executor` (process pool, Dask, MPI) whose workers take the chunks of directions of
        the dense modes; f must then be a function that can be pickled.

    Returns
    -------
    A function of f's arguments. For x of shape s and a result of shape r it returns an array of shape (*r, *s); for
    mode="sparse" or "mixed" a scipy.sparse.csr_array of shape (size of the result, size of the arguments).
    "sparse" and "mixed" find the pattern at every call, since f may read what has changed, and keep the colouring;
    `sparse_jacobian_plan` finds both once.

    Raises
    ------
    ValueError : an unknown mode, chunk < 1; chunk, executor or holomorphic where a sparse mode cannot use them.
    TypeError : an integer array to differentiate by; an iterator as an argument of f, which runs more than once; an
        executor that is none. WorkerLost : a worker's process ended.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapters 3, 4, 8 and 10: the two modes,
    their cost, compression by colours, and accumulation in any order.

    >>> import numpy as np
    >>> jacobian(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    >>> jacobian(lambda x: x[1:] * x[:-1], mode="sparse")(np.arange(3.0)).toarray()
    array([[1., 0., 0.],
           [0., 2., 1.]])
    """
    return Jacobian(f, argnums, mode, chunk, holomorphic, executor)


@dataclass
class Known:
    """What is known for one kind of arguments."""

    arguments: str  # as they are shown
    choice: str = ""  # of mode="auto", once it is made
    schemes: dict[str, Scheme] = field(default_factory=dict)  # the colouring of a sparse mode
    order: Bracketing | None = None  # of layers, the one taken last

    def __str__(self) -> str:
        made = [str(scheme) for scheme in self.schemes.values()]
        if self.order is not None:
            made.append(f"order of {len(self.order.factors)} factors, {self.order.cost:,} multiply-adds")
        return ": ".join(part for part in (self.choice, "; ".join(made)) if part)


@dataclass(eq=False)
class Learnt:
    """What was learnt of one function, by the kinds of its arguments; orders by the dimensions of a chain of layers."""

    kinds: dict[Any, Known] = field(default_factory=dict)
    arrays: dict[Any, Known] = field(default_factory=dict)  # of them those of plain arrays alone, by dtypes and shapes
    bracketings: dict[Any, Bracketing] = field(default_factory=dict)


# Function -> what was learnt of it, by what else the choice depends on.
_LEARNT: weakref.WeakKeyDictionary[Any, dict[Any, Learnt]] = weakref.WeakKeyDictionary()


def learnt_of(f: Any, *settings: Any) -> Learnt:
    """What is known of f; of a function that cannot be looked up (a bound method, a ufunc) nothing is kept."""
    try:
        return _LEARNT[f][settings]
    except KeyError:
        return _LEARNT.setdefault(f, {}).setdefault(settings, Learnt())
    except TypeError:  # no weak reference to it, or no hash
        return Learnt()


# What help(jacobian(f)) opens with, before the docstring of f.
_METHODS = """J = jacobian(f): J(*args) is the matrix of ∂f_i/∂x_j; J.plan(*args) shows the candidates and the choice
among them; J.learnt is what is kept for the next call, by the kind of arguments."""


class Jacobian:
    """What `jacobian` returns: call it with the arguments of f, or ask for its plan."""

    def __init__(
        self,
        f: Callable[..., Any] | Sequence[Callable[..., Any]],
        argnums: Argnums,
        mode: str,
        chunk: int | None,
        holomorphic: bool,
        executor: Executor | None,
    ) -> None:
        layers: tuple[Callable[..., Any], ...] = ()
        if not callable(f) and isinstance(f, Sequence):
            layers, f = tuple(f), _composed(f)
        check_asked("jacobian", f, argnums)
        modes = get_args(Mode) if layers else MODES_OF_ONE_FUNCTION
        if mode not in modes:
            raise ValueError(f"jacobian: mode={mode!r} is not one of {', '.join(map(repr, modes))}")
        check_chunk(chunk)
        if executor is not None:
            from .executors import check_executor  # loads asyncio

            check_executor(executor)
        if mode in COLOURED:
            for name, value in (("chunk", chunk), ("executor", executor), ("holomorphic", holomorphic or None)):
                if value is not None:
                    raise ValueError(
                        f"jacobian: {name}= is for the dense modes; mode={mode!r} makes few passes at once."
                    )
        presented(f"The Jacobian, mode={mode!r},", f, argnums)(self)  # with f's attributes, so that ours come after
        self.__doc__ = f"{_METHODS}\n\n{self.__doc__}"
        self.f, self.layers, self.argnums, self.mode = f, layers, argnums, mode
        self.chunk, self.holomorphic, self.executor = chunk, holomorphic, executor
        places = tuple(argnums) if isinstance(argnums, SEVERAL) else argnums
        self._learnt = learnt_of(f, places, chunk, holomorphic, executor is None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = self.mode if self.mode != "auto" else self._choice(args, kwargs)
        if mode in METHODS:
            return self._dense(mode, args, kwargs)
        if mode == BRACKETING:
            return self._bracketed(args, kwargs)
        matrix = self._sparse(mode, args, kwargs)
        return matrix if self.mode != "auto" else self._unfolded(matrix, args, kwargs)

    def plan(self, *args: Any, **kwargs: Any) -> JacobianPlan:
        """The candidates at these arguments, their counted work, and the choice of mode="auto".

        >>> import numpy as np
        >>> W = np.ones((2, 300))
        >>> jacobian(lambda x: np.tanh(W @ x)).plan(np.ones(300)).choice
        'reverse'
        """
        found = predict(self.f, self.argnums, args, kwargs, self.chunk, self.holomorphic, self.executor is None)
        known = self._at(args, kwargs)
        if self.layers and not kwargs and self.executor is None:
            found = self._with_bracketing(found, args, known)
        if found.scheme is not None and found.choice in COLOURED:
            known.schemes[found.choice] = found.scheme
        known.choice = found.choice
        return found

    @property
    def learnt(self) -> dict[str, str]:
        """What is kept for the next call: for each kind of arguments met (shapes, dtypes, other values) the mode, and
        the colouring or the order that goes with it.

        >>> import numpy as np
        >>> J = jacobian(lambda x, k: np.sum(np.tanh(x)) * np.ones(k))
        >>> J(np.ones(500), 2).shape, J(np.ones(2), 500).shape
        ((2, 500), (500, 2))
        >>> J.learnt
        {'float64[500], 2': 'reverse', 'float64[2], 500': 'forward'}
        """
        return {known.arguments: str(known) for known in list(self._learnt.kinds.values()) if str(known)}

    def __repr__(self) -> str:
        head = f"Jacobian of {getattr(self.f, '__name__', self.f)}, mode={self.mode!r}"
        rows = columns(list(self.learnt.items()), "<<")
        return f"<{head}>" if not rows else "\n  ".join([f"<{head}; learnt:", *rows]) + ">"

    def _at(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Known:
        """What is known for arguments of this kind, to be added to; kept unless a leaf cannot be looked up by."""
        if kwargs:
            return self._of_kind(args, kwargs)
        key: list[Any] = []
        for x in args:
            if type(x) is not np.ndarray:
                return self._of_kind(args, kwargs)
            key += (x.dtype, x.shape)
        known = self._learnt.arrays.get(tuple(key))
        if known is None:
            known = self._learnt.arrays[tuple(key)] = self._of_kind(args, kwargs)
        return known

    def _of_kind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Known:
        refuse_iterators((*args, *kwargs.values()))
        places = self.argnums if isinstance(self.argnums, SEVERAL) else (self.argnums,)
        kinds = [_kinds(a, i in places or i - len(args) in places) for i, a in enumerate(args)]
        key = (*kinds, _kinds(kwargs, False)) if kwargs else tuple(kinds)
        try:
            if key not in self._learnt.kinds:
                shown = ", ".join(_shown(kind) for _, leaves in key for kind in leaves)
                self._learnt.kinds[key] = Known(shown)
            return self._learnt.kinds[key]
        except TypeError:  # unhashable
            return Known("")

    def _choice(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        known = self._at(args, kwargs)
        if not known.choice:
            with around(self.f).restored():
                first = first_run(self.f, self.argnums, args, kwargs, self.chunk, self.holomorphic)
                known.choice = first.choice or self.plan(*args, **kwargs).choice
        return known.choice

    def _with_bracketing(self, found: JacobianPlan, args: tuple[Any, ...], known: Known) -> JacobianPlan:
        """The plan with the cheapest order of the layers' Jacobians as one candidate more, where there is a chain."""
        try:
            chain = JacobianChain(self.layers, *args)
        except (TypeError, ValueError) as error:  # complex numbers, trees, empty arrays between layers
            return replace(found, remarks=(*found.remarks, f"bracketing: {error}"))
        return replace(found, candidates=(*found.candidates, bracketed(self.f, chain, self._order(chain, known))))

    def _bracketed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chain = JacobianChain(self.layers, *args, **kwargs)
        return chain.jacobian(self._order(chain, self._at(args, kwargs)))

    def _order(self, chain: JacobianChain, known: Known) -> Bracketing:
        """The cheapest order of a chain; layers may make another chain at another point."""
        orders = self._learnt.bracketings
        if chain.dimensions not in orders:
            orders[chain.dimensions] = chain.bracketing()
        known.order = orders[chain.dimensions]
        return known.order

    def _dense(self, mode: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.executor is None:
            return dense_jacobian(self.f, self.argnums, self.chunk, METHODS[mode], self.holomorphic, args, kwargs)
        from .executors import jacobian_by

        return jacobian_by(self.executor, self.f, self.argnums, (mode,), self.chunk, self.holomorphic, args, kwargs)

    def _sparse(self, mode: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from ..sparse.plan import sparse_matrix

        f = functools.partial(self.f, **kwargs) if kwargs else self.f
        kept = self._at(args, kwargs).schemes
        matrix, kept[mode] = sparse_matrix(f, self.argnums, args, mode, kept.get(mode))
        return matrix

    def _unfolded(self, matrix: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The blocks (*r, *s) of a sparse matrix, checked by a product, since no one asked for colouring."""
        from ..sparse.plan import check_by_probe

        check_by_probe(functools.partial(self.f, **kwargs), self.argnums, args, matrix)
        function, leaves, structure = chosen_leaves(self.f, self.argnums, args, kwargs)
        results, out_structure = pytree.flatten(function(*pytree.unflatten(structure, [x.copy() for x in leaves])))
        blocks = split_matrix(matrix.toarray(), [np.shape(y) for y in results], leaves)
        return assemble(blocks, structure, out_structure, self.argnums)


def _composed(layers: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """The layers as one function, the first applied first."""
    if not layers or not all(map(callable, layers)):
        raise TypeError("jacobian: a list must hold layers, functions of one array, at least one.")

    def composition(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return composition


def split_matrix(matrix: Any, shapes: list[tuple[int, ...]], leaves: list[Any]) -> list[list[Any]]:
    """A matrix (m, n) as blocks (*r, *s), one for each leaf of the result and of the arguments."""
    rows = np.split(matrix, np.cumsum([math.prod(r) for r in shapes])[:-1])
    columns = np.cumsum([int(x.size) for x in leaves])[:-1]
    return [
        [np.reshape(part, (*r, *x.shape)) for part, x in zip(np.split(row, columns, axis=1), leaves, strict=True)]
        for row, r in zip(rows, shapes, strict=True)
    ]


def _kinds(tree: Any, differentiated: bool) -> tuple[Any, tuple[Any, ...]]:
    """What a choice depends on in an argument: its structure, of arrays dtype and shape, of other leaves the value."""
    leaves, structure = pytree.flatten(tree)
    return structure, tuple([_kind(x, differentiated) for x in leaves])


def _kind(x: Any, differentiated: bool) -> Any:
    if hasattr(x, "dtype"):
        return x.dtype, x.shape
    if type(x) in (float, complex) or (differentiated and type(x) is int):
        return _NUMBERS[type(x)], ()
    return type(x), x, None


_NUMBERS = {int: np.dtype(float), float: np.dtype(float), complex: np.dtype(complex)}


def _shown(kind: Any) -> str:
    return repr(kind[1]) if len(kind) == 3 else f"{kind[0]}{list(kind[1]) if kind[1] else ''}"
