"""Coloured Jacobians and Hessians: find the pattern and colour it once, then evaluate by as many passes as colours.

A pattern holds for the branches that f took when it was found.  A plan therefore keeps, with each pattern, the flat
code whose guards tell these branches: where a value sends f another way, that way's pattern is found and coloured too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from ..core import prices, pytree
from ..core.errors import PatternMiss
from ..core.figures import svg
from ..core.tables import PREDICTED, Column, Record, Table, Tabular, whole
from ..program import GuardFailed
from ..program.compile import Branches, kind_of, recorded
from ..program.matching import matcher
from ..program.straightline import as_input, is_input, layout, shown
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.dense import grad
from ..transforms.directions import chunk_for, joined, raveled, unraveled
from ..transforms.recording import Recording, push_forward
from .bounds import lower_bound
from .colouring import (
    BidirectionalColouring,
    Colouring,
    colour_bidirectional,
    colour_columns,
    colour_rows,
    colour_symmetric,
)
from .graph import structure, symmetric_structure
from .order import Order
from .pattern import hessian_pattern, jacobian_pattern, refuse_traced
from .spy import spy

Mode = Literal["sparse", "forward", "reverse", "mixed"]
MODES = get_args(Mode)
Method = Literal["star", "acyclic"]

# A colouring of one's own: of a pattern its colours, or a Colouring.
Colour = Callable[[Any], Any]


# ---------------------------------------------------------------------------------------------------
# Plans
# ---------------------------------------------------------------------------------------------------


def sparse_jacobian_plan(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    mode: Mode = "sparse",
    pattern: Any = None,
    order: Order = "natural",
    verify: bool = False,
    colouring: Colour | None = None,
) -> SparsePlan:
    """A function that evaluates the sparse Jacobian of f at points like args: pattern found and coloured once.

    Parameters
    ----------
    f : a function in plain NumPy, of real arrays (or trees of them).
    *args : arguments of the shapes and dtypes that the plan is for.
    argnums : which of them are differentiated, counted from 0; one, or a tuple of them.
    mode : "forward" (columns that share no row are pushed together), "reverse" (rows that share no column are pulled
        together), "sparse" (the one of the two with fewer passes) or "mixed" (some rows and some columns).
    pattern : where entries may be nonzero: a scipy.sparse matrix or an array of shape (m, n), m and n the sizes of the
        result and of the arguments, raveled. None finds it by `jacobian_pattern`.
    order : "natural", "largest-first", "smallest-last", "incidence-degree", a permutation or a function that gives one
        (see `admodes.sparse.arranged`): in which the colouring takes its vertices.
    verify : after each evaluation compare J·v with one push of a random v.
    colouring : a function of one's own: of the pattern, a boolean csr_array, it gives the colours of its columns (mode
        "forward") or rows ("reverse"), from 0 on, −1 where there is no entry; or a Colouring, or a
        BidirectionalColouring for "mixed". It is checked: every entry must be told apart.

    Returns
    -------
    plan : plan(*args) is a scipy.sparse.csr_array (m, n), plan.dense(*args) an array; plan.passes, plan.pattern and
        plan.colouring say how.
        It runs flat code (see `compile`): what f reads beside its arguments is taken as it was when it was traced.

    Raises
    ------
    ValueError : an unknown mode or order; a pattern of another shape; arguments of another shape than the plan's, or
        objects, masked arrays, ints that hold something else; colours that do not determine every entry.
    PatternMiss : with verify, a pattern that misses a nonzero entry.  TypeError : integer, complex or traced arguments.

    Source: Curtis, Powell and Reid, "On the estimation of sparse Jacobian matrices", 1974; Gebremedhin, Manne and
    Pothen, "What color is your Jacobian?", SIAM Review 47 (2005).

    >>> import numpy as np
    >>> plan = sparse_jacobian_plan(lambda x: x[1:] * x[:-1], np.ones(1000))
    >>> plan.passes
    2
    >>> plan(np.arange(1000.0))[:2, :3].toarray()
    array([[1., 0., 0.],
           [0., 2., 1.]])
    """
    if mode not in MODES:
        raise ValueError(f"sparse_jacobian_plan: mode={mode!r} is not one of {', '.join(map(repr, MODES))}")
    given = None if pattern is None else structure(pattern)

    def scheme(args: tuple[Any, ...]) -> Scheme:
        known = _known(given, f, argnums, args, "jacobian")
        return jacobian_scheme(known, mode, order) if colouring is None else _own_scheme(known, mode, colouring)

    return SparsePlan(f, argnums, args, scheme, verify)


def sparse_hessian_plan(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    method: Method | Colour = "star",
    pattern: Any = None,
    order: Order = "natural",
    verify: bool = False,
) -> SparsePlan:
    """A function that evaluates the sparse Hessian of a scalar f: one product H·s a colour, forward over reverse.

    Parameters
    ----------
    f : a function in plain NumPy, of real arrays (or trees of them), that returns a real scalar.
    *args : arguments of the shapes and dtypes that the plan is for.
    argnums : which of them are differentiated, counted from 0; one, or a tuple of them.
    method : "star" (entries are read directly) or "acyclic" (fewer colours; the entries follow by substitution, which
        may add up rounding errors); or a function of one's own: of the pattern, a boolean csr_array, it gives the
        colours of the columns, by which every entry is read directly, or a Colouring. It is checked.
    pattern : symmetric, (n, n); None finds it by `hessian_pattern`.
    order : "natural", "largest-first", "smallest-last", "incidence-degree", a permutation or a function that gives one:
        in which the colouring takes its vertices.
    verify : after each evaluation compare H·v with one product of a random v.

    Returns
    -------
    plan : plan(*args) is a symmetric scipy.sparse.csr_array of shape (n, n).

    Raises
    ------
    As `sparse_jacobian_plan`; ValueError too for a pattern that is not symmetric, TypeError for an f that is no scalar.

    Source: Coleman and Moré 1984 (star); Coleman and Cai 1986 (acyclic); Gebremedhin, Tarafdar, Manne and Pothen 2007.

    >>> import numpy as np
    >>> def rosenbrock(x):
    ...     return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> plan = sparse_hessian_plan(rosenbrock, np.ones(200))
    >>> plan.passes, plan(np.ones(200))[0, :3].toarray()
    (3, array([ 802., -400.,    0.]))
    """
    given = None if pattern is None else symmetric_structure(pattern)

    def scheme(args: tuple[Any, ...]) -> Scheme:
        known = _known(given, f, argnums, args, "hessian")
        return (
            hessian_scheme(known, method, order) if isinstance(method, str) else _own_scheme(known, "hessian", method)
        )

    return SparsePlan(f, argnums, args, scheme, verify)


class SparsePlan(Tabular):
    """Made by `sparse_jacobian_plan` and `sparse_hessian_plan`; plan(*args) is the matrix as a csr_array."""

    def __init__(
        self,
        f: Callable[..., Any],
        argnums: Argnums,
        args: tuple[Any, ...],
        scheme: Callable[[tuple[Any, ...]], Scheme],
        verify: bool,
    ) -> None:
        self.f, self.argnums, self.args, self.verify = f, argnums, args, verify
        self._scheme = scheme
        refuse_traced(args)
        leaves, structure = pytree.flatten(args)
        self._kind = structure, tuple(map(kind_of, leaves))
        self._orders: dict[Any, Branches] = {}
        self._match = matcher(args, {})
        self._branches = self._first = self._of_order(args, leaves)
        self._add(args, self._branches)

    @property
    def scheme(self) -> Scheme:
        """The scheme of the branch that ran last."""
        return self._branches.taken[0].scheme

    @property
    def pattern(self) -> Any:
        """Where entries may be nonzero: a boolean csr_array (m, n)."""
        return self.scheme.pattern

    @property
    def colouring(self) -> Any:
        """Which columns, or rows, go together."""
        return self.scheme.colouring

    @property
    def passes(self) -> int:
        """Directions carried through f: the number of colours."""
        return self.scheme.passes

    def __call__(self, *args: Any) -> Any:
        return self._checked(args, lambda scheme, compressed: scheme.recover(compressed))

    def dense(self, *args: Any) -> Any:
        """The matrix as an array (m, n)."""
        return self._checked(args, lambda scheme, compressed: scheme.colouring.decompression.dense(*compressed))

    def _checked(self, args: tuple[Any, ...], recover: Callable[[Scheme, list[Any]], Any]) -> Any:
        """The matrix, made by `recover`, at arguments of the plan's kind; verified where that was asked for."""
        arrays = None if self._match is None else self._match(args, {})
        branch, compressed = self._any(args) if arrays is None else self._run(args, self._first, arrays)
        matrix = recover(branch.scheme, compressed)
        if self.verify:
            check_by_probe(branch.scheme.differentiated(self.f, self.argnums), self.argnums, args, matrix)
        return matrix

    def _any(self, args: tuple[Any, ...]) -> tuple[Branch, list[Any]]:
        """The compressed products at arguments in any order of memory; ValueError for those of another kind."""
        leaves, structure = pytree.flatten(args)
        kind = structure, tuple(map(kind_of, leaves))
        if kind != self._kind:
            refuse_traced(args)
            raise ValueError(
                f"the plan was made for arguments {_told(self._kind, self.args)}, called with {_told(kind, args)}; "
                "make another plan for them." + (_HELD if any(k[0] == "static" for k in kind[1]) else "")
            )
        arrays = [as_input(x) for x in leaves if is_input(x)]
        return self._run(args, self._of_order(args, arrays), arrays)

    def _run(self, args: tuple[Any, ...], branches: Branches, arrays: Sequence[Any]) -> tuple[Branch, list[Any]]:
        """The compressed products, by the branch whose guards hold; arrays: the leaves of args that are inputs."""
        self._branches = branches
        found = branches.run(arrays)
        if found is not None:
            return found
        branch = self._add(args, branches)
        try:
            return branch, branch(arrays)
        except GuardFailed:  # rounding in the optimised code went across the edge of a branch
            return branch, branch.scheme.eager(self.f, self.argnums, args)

    def _of_order(self, args: tuple[Any, ...], arrays: Sequence[Any]) -> Branches:
        """The branches for arguments in this order of memory and of keys, which f may see."""
        order = pytree.key_order(args), tuple(layout(x) for x in arrays if is_input(x))
        return self._orders.setdefault(order, Branches())

    def _add(self, args: tuple[Any, ...], branches: Branches) -> Branch:
        branch = Branch(self.f, self.argnums, args, self._scheme(args))
        branches.add(branch)
        return branch

    def table(self) -> Table:
        """A row a way to the matrix: its own, marked, and those without colours; `plan.scheme` shows the passes.

        The columns: passes, counted flops and bytes of one evaluation, the peak of bytes alive at once; of the
        predicted seconds of the flat code the overhead, of which each operation has its part, however small its arrays;
        and all of them.
        """
        records = prices.sparse_ways(self)
        return Table(_WAYS, records, self.scheme.text(), best=0)

    def picture(self) -> str:
        """The pattern, in the colours of the passes."""
        return self.scheme.picture()


class Branch:
    """A scheme and the flat code of its products, for the branches that f took."""

    def __init__(self, f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], scheme: Scheme) -> None:
        self.scheme = scheme
        products, (first, *more) = scheme.products(f, argnums), scheme.batches
        self.constant = not more and sum(seeds.size for seeds in first) <= FOLDED
        run = (lambda args: products(args, *first)) if self.constant else products
        self.runner = recorded(run, (args,) if self.constant else (args, *first), {}, native="auto")

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        if self.constant:
            return self.scheme.gathered([self.runner(arrays)])
        return self.scheme.gathered(self.runner([*arrays, *seeds]) for seeds in self.scheme.batches)


# Seeds of at most this many numbers in all are constants of the flat code, where what depends on them alone is folded.
FOLDED = 1 << 13


def _told(kind: tuple[Any, ...], args: tuple[Any, ...]) -> str:
    leaves = pytree.flatten(args)[0]
    told = [
        shown(x) if k[0] == "static" else f"{np.dtype(k[1])}{list(k[0])}" for k, x in zip(kind[1], leaves, strict=True)
    ]
    return f"({', '.join(told)})"


_HELD = " What is no array of numbers is part of the plan, with all that it holds."


def _known(given: Any, f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kind: str) -> Any:
    """The pattern given, if it has the shape of the matrix; else the one that is found."""
    if given is None:
        return (hessian_pattern if kind == "hessian" else jacobian_pattern)(f, *args, argnums=argnums)
    n = sum(int(x.size) for x in chosen_leaves(f, argnums, args, {})[1])
    m = n if kind == "hessian" else sum(np.size(y) for y in pytree.flatten(f(*args))[0])
    if given.shape != (m, n):
        raise ValueError(
            f"pattern has shape {given.shape}; the matrix has shape {(m, n)}, results by arguments, raveled."
        )
    return given


# ---------------------------------------------------------------------------------------------------
# Schemes: a coloured pattern, and how its products are had
# ---------------------------------------------------------------------------------------------------


_WAYS = (
    Column("mode", side="<"),
    Column("passes", whole),
    Column("flops", whole),
    Column("bytes", whole),
    *PREDICTED,
)

_COLUMNS = (Column("pass", whole), Column("by", side="<"), Column("lines", whole), Column("entries", whole))


@dataclass(frozen=True, eq=False, repr=False)
class Scheme(Tabular):
    """A coloured pattern: the seeds of its passes, and the way back from the products with them."""

    mode: str  # "forward", "reverse", "mixed", or "hessian"
    colouring: Any

    @property
    def pattern(self) -> Any:
        return self.colouring.pattern

    @property
    def passes(self) -> int:
        return int(self.colouring.count)

    @property
    def pushes(self) -> int:
        """How many of the passes are tangents."""
        return self.colouring.columns.count if self.mode == "mixed" else self.passes if self.mode != "reverse" else 0

    @property
    def pulls(self) -> int:
        """How many are cotangents."""
        return self.passes - self.pushes

    @property
    def batches(self) -> Iterator[tuple[Any, ...]]:
        """Tangents (k, n) and cotangents (k, m), those that the mode takes, so many at once as the memory takes.

        Of each there is one row at least, and the last batch is filled up with zeros: all have the same shape.
        """
        step = max(1, chunk_for(self.passes, max(self.pattern.shape)))
        if self.mode == "mixed" or step >= self.passes:
            yield self._whole
            return
        for start in range(0, self.passes, step):
            yield (_rows(self.colouring.seeds(float, start, min(start + step, self.passes)), step),)

    @cached_property
    def _whole(self) -> tuple[Any, ...]:
        """All seeds at once, made once."""
        sides = (self.colouring.columns, self.colouring.rows) if self.mode == "mixed" else (self.colouring,)
        return tuple(_rows(side.seeds(), max(1, side.count)) for side in sides)

    def gathered(self, batches: Any) -> list[Any]:
        """The products of all batches, one array for the pushes and one for the pulls."""
        counts = self.colouring.decompression.shapes
        return [p[: shape[0]] for p, shape in zip(joined(list(batches)), counts, strict=True)]

    def recover(self, compressed: Sequence[Any]) -> Any:
        """The matrix."""
        return self.colouring.decompression.sparse(*compressed)

    def differentiated(self, f: Callable[..., Any], argnums: Argnums) -> Callable[..., Any]:
        """The function whose Jacobian the matrix is."""
        return grad(f, argnums) if self.mode == "hessian" else f

    def products(self, f: Callable[..., Any], argnums: Argnums) -> Callable[..., tuple[Any, ...]]:
        """run(args, *seeds): J·S for tangents, Jᵀ·S for cotangents, as rows."""
        target = self.differentiated(f, argnums)

        def run(args: tuple[Any, ...], *seeds: Any) -> tuple[Any, ...]:
            function, leaves, tree = chosen_leaves(target, argnums, args, {})
            if self.mode in ("forward", "hessian"):
                return (_pushed(function, tree, leaves, seeds[0]),)
            recording = Recording(function, pytree.unflatten(tree, leaves))
            pulled = _pulled(recording, seeds[-1])
            return (pulled,) if self.mode == "reverse" else (_pushed(function, tree, leaves, seeds[0]), pulled)

        return run

    def eager(self, f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...]) -> list[Any]:
        """The products without flat code."""
        run = self.products(f, argnums)
        return self.gathered(run(args, *seeds) for seeds in self.batches)

    def text(self) -> str:
        """The sizes, and what is coloured by how many."""
        m, n = self.pattern.shape
        return f"{m:,} × {n:,} with {self.pattern.nnz:,} entries, {self.mode}: {self.colouring}"

    def table(self) -> Table:
        """A row a pass: how many columns it pushes together, or rows it pulls, and the entries in them."""
        mixed = self.mode == "mixed"
        sides = (self.colouring.columns, self.colouring.rows) if mixed else (self.colouring,)
        records: list[Record] = []
        for side in sides:
            pulled = side.kind == "rows"
            used = np.flatnonzero(side.colours >= 0)
            filled = np.diff(self.pattern.indptr if pulled else self.pattern.tocsc().indptr)[used]
            lines = np.bincount(side.colours[used], minlength=side.count)
            entries = np.bincount(side.colours[used], weights=filled, minlength=side.count)
            by = "pull of rows" if pulled else "product H·s" if self.mode == "hessian" else "push of columns"
            records += [
                {"pass": len(records) + k, "by": by, "lines": int(a), "entries": int(b)}
                for k, (a, b) in enumerate(zip(lines, entries, strict=True), 1)
            ]
        return Table(_COLUMNS, records, self.text())

    def picture(self) -> str:
        """The pattern, each entry in the colour of the pass that carries its column, or its row."""
        return svg(spy(self.pattern, self._of_entries()))

    def _of_entries(self) -> Any:
        """For each entry of the pattern, by rows, the number of a pass that has it."""
        rows, columns = self.pattern.nonzero()
        if self.mode == "mixed":
            by_row = self.colouring.rows.colours[rows]
            by_column = self.colouring.columns.colours[columns]
            return np.where(by_column >= 0, by_column, self.colouring.columns.count + by_row)
        return self.colouring.colours[rows if self.mode == "reverse" else columns]


def _rows(seeds: Any, count: int) -> Any:
    """So many rows, zeros behind those given."""
    return np.pad(seeds, [(0, count - len(seeds)), (0, 0)]) if len(seeds) < count else seeds


def _pushed(f: Callable[..., Any], tree: Any, leaves: list[Any], seeds: Any) -> Any:
    k = seeds.shape[0]
    return raveled(push_forward(f, tree, leaves, unraveled(seeds, leaves), (k,))[2], k)


def _pulled(recording: Recording, seeds: Any) -> Any:
    recording.require_rows()
    k = seeds.shape[0]
    return raveled(recording.pull(unraveled(seeds, recording.values), (k,)), k)


def jacobian_scheme(pattern: Any, mode: str = "sparse", order: Order = "natural") -> Scheme:
    """A pattern coloured for a mode; "sparse" takes columns or rows, whichever need fewer colours."""
    if mode == "mixed":
        return Scheme("mixed", colour_bidirectional(pattern, order))
    if mode != "sparse":
        return Scheme(mode, (colour_columns if mode == "forward" else colour_rows)(pattern, order))
    sides = [
        ("forward", colour_columns, lower_bound(pattern, "columns")),
        ("reverse", colour_rows, lower_bound(pattern, "rows")),
    ]
    sides.sort(key=lambda side: side[2])
    first = Scheme(sides[0][0], sides[0][1](pattern, order))
    if first.passes <= sides[1][2] or not (isinstance(order, str) or callable(order)):  # a permutation is of one side
        return first
    second = Scheme(sides[1][0], sides[1][1](pattern, order))
    return second if second.passes < first.passes else first


def hessian_scheme(pattern: Any, method: str = "star", order: Order = "natural") -> Scheme:
    """A symmetric pattern coloured for products with the Hessian."""
    return Scheme("hessian", colour_symmetric(pattern, method, order))


def _own_scheme(pattern: Any, mode: str, colour: Colour) -> Scheme:
    """A pattern coloured by the caller's function, checked."""
    if mode not in _KINDS:
        raise ValueError(
            f"colouring= needs a mode that says what it colours, one of {', '.join(_KINDS)}; got {mode!r}."
        )
    pattern = structure(pattern)
    found = colour(pattern)
    if not isinstance(found, Colouring | BidirectionalColouring):
        if mode == "mixed":
            raise ValueError("colouring: for mode='mixed' it gives a BidirectionalColouring of columns and rows.")
        found = Colouring(_KINDS[mode][0], pattern, np.asarray(found, dtype=np.intp))
    if found.kind not in _KINDS[mode]:
        raise ValueError(f"colouring: mode={mode!r} needs one of {', '.join(_KINDS[mode])}; it gave {found.kind!r}.")
    if not same_pattern(found.pattern, pattern):
        raise ValueError("colouring: the Colouring that it gave is one of another pattern.")
    _ = found.decompression  # which raises where an entry is not determined
    return Scheme(mode, found)


# The kinds of colouring that a mode takes, the first for bare colours.
_KINDS = {
    "forward": ("columns", "distance-2"),
    "reverse": ("rows",),
    "mixed": ("bidirectional",),
    "hessian": ("star", "acyclic", "columns", "distance-2"),
}


def same_pattern(a: Any, b: Any) -> bool:
    """Whether two boolean csr_arrays, sorted, have their entries at the same places."""
    return a.shape == b.shape and np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices)


# ---------------------------------------------------------------------------------------------------
# In one call, and checked
# ---------------------------------------------------------------------------------------------------


def sparse_matrix(
    f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], mode: str, kept: Scheme | None
) -> tuple[Any, Scheme]:
    """The matrix at args and its scheme: the pattern found anew, since f may read what has changed, the colouring
    that was kept taken where the pattern is still the same."""
    refuse_traced(args)
    detect = hessian_pattern if mode == "hessian" else jacobian_pattern
    pattern = structure(detect(f, *args, argnums=argnums))
    if kept is None or not same_pattern(kept.pattern, pattern):
        kept = hessian_scheme(pattern) if mode == "hessian" else jacobian_scheme(pattern, mode)
    return kept.recover(kept.eager(f, argnums, args)), kept


def check_by_probe(f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], matrix: Any) -> None:
    """Compare the matrix with the Jacobian of f on one random direction v.

    Raises
    ------
    PatternMiss : (J·v)ᵢ differs by more than the square root of the rounding unit, relative to Σⱼ |Jᵢⱼ vⱼ|. An entry
        that was missed and is not that small is found whatever v is, but for a set of measure zero.
    """
    function, leaves, tree = chosen_leaves(f, argnums, args, {})
    v = np.random.default_rng(0).uniform(0.5, 1.5, (1, matrix.shape[1]))
    exact, found = _pushed(function, tree, leaves, v)[0], matrix @ v[0]
    scale = abs(matrix) @ v[0] + np.abs(exact)
    close = np.abs(exact - found) <= np.sqrt(np.finfo(matrix.dtype).eps) * scale
    wrong = ~close & (np.isfinite(exact) | np.isfinite(found))
    if wrong.any():
        raise PatternMiss(np.flatnonzero(wrong))
