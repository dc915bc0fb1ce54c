"""Which entries of a Jacobian or Hessian may be nonzero: index sets carried through a recorded program.

For every value of the program a boolean matrix tells on which inputs each element depends.  An instruction has a local
pattern L, from its row in the registry: the broadcasting of an elementwise function; else what unit directions through
the row's own push or pull show.  The result depends on L · (the patterns of the arguments).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from .. import pytree
from ..errors import PatternTooDense
from ..program.program import Program, record
from ..program.recording import MARKS, Instruction, Value, leaves, mapped, trusted
from ..registry import Contraction, Elementwise, Linear, LinearAll, Passive
from ..tracing import Tracer, apply
from ..transforms import Argnums, Recording, chosen_leaves, grad, push_forward, raveled, unit_directions, unraveled

# The kinds of row, and the names of rows of no kind, that are linear in each array, so that their local Jacobian does
# not depend on it; it may depend on the other arrays.
_LINEAR = (Linear, LinearAll, Contraction)
_LINEAR_NAMES = frozenset({"getitem", "scatter", "setitem", "astype", "convolve", "correlate"})

# Numbers that a local Jacobian is read from at most, and those held at once; beyond, all is taken to depend on all.
_MOST_NUMBERS = 1 << 28
_CHUNK = 1 << 22
# A direction of the complex plane that is neither the real nor the imaginary axis.
_GENERIC = complex(np.exp(0.7j))
# Entries of the pattern of one value at most.
_MOST_ENTRIES = 1 << 28


def jacobian_pattern(f: Callable[..., Any], *args: Any, argnums: Argnums = 0, local: bool = False) -> Any:
    """Where the Jacobian of f may be nonzero.

    Parameters
    ----------
    f : a function in plain NumPy, of real arrays or trees of them.
    *args : its arguments; for a global pattern their values only decide the branches that f takes.
    argnums : which of them are differentiated.
    local : the pattern at this point alone: of `np.where`, `maximum`, `sort` … what is taken here, and no partial that
        is zero here. Else the pattern of all points at which f takes the same branches, no values assumed.

    Returns
    -------
    scipy.sparse.csr_array of booleans, shape (m, n): the result by the differentiated arguments, raveled and, where
    there are several leaves, concatenated. Constants of f are looked at: W @ x has the pattern of W.

    Raises
    ------
    TypeError : an integer or complex array to differentiate by, a traced value.  PatternTooDense : more than 2²⁸
        entries on the way.

    Source: index domains, Griewank and Walther, "Evaluating Derivatives", 2nd ed., section 7.1.

    >>> import numpy as np
    >>> jacobian_pattern(lambda x: x[1:] * x[:-1], np.zeros(3)).astype(int).toarray()
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    refuse_traced(args)
    floats, program, active = _recorded(f, args, argnums)
    return pattern_of(program, active, floats, local)


def hessian_pattern(f: Callable[..., Any], *args: Any, argnums: Argnums = 0, local: bool = False) -> Any:
    """Where the Hessian of a scalar f may be nonzero: the pattern of its gradient's Jacobian, made symmetric.

    Parameters, Raises : as for `jacobian_pattern`; TypeError too where f returns no real scalar.

    Returns
    -------
    Symmetric scipy.sparse.csr_array of booleans, shape (n, n).

    >>> import numpy as np
    >>> hessian_pattern(lambda x: np.sum(x[1:] * x[:-1] ** 2), np.zeros(3)).astype(int).toarray()
    array([[1, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])
    """
    found = jacobian_pattern(grad(f, argnums), *args, argnums=argnums, local=local)
    return sparse.csr_array(found + found.T)


def refuse_traced(args: Any) -> None:
    """A sparse matrix of SciPy holds no traced values: raise for them."""
    if any(isinstance(x, Tracer) for x in pytree.flatten(args)[0]):
        raise TypeError(
            "a sparse Jacobian of traced values: its scipy.sparse matrix cannot carry a derivative further. Inside "
            "another transform take mode='forward' or 'reverse', or J·t and Jᵀ·u by jvp and vjp."
        )


def _recorded(
    f: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums
) -> tuple[tuple[Any, ...], Program, list[Value]]:
    """The arguments with Python's whole numbers as floats where f is differentiated, the program of f, and its inputs
    that are differentiated."""
    places = argnums if isinstance(argnums, tuple | list) else (argnums,)
    _, chosen, _ = chosen_leaves(f, argnums, args, {})
    if any(x.dtype.kind == "c" for x in chosen):
        raise TypeError("the pattern of a function of complex arguments: pass their real and imaginary parts instead.")
    floats = tuple(_as_floats(a) if i in {p % len(args) for p in places} else a for i, a in enumerate(args))
    program = record(f, floats, {})
    inputs = iter(program.inputs)
    given = [None if constant is not None else next(inputs) for constant in program.static]
    active: list[Value] = []
    for p in places:
        first = len(pytree.flatten(args[: p % len(args)])[0])
        active += [v for v in given[first : first + len(pytree.flatten((args[p],))[0])] if v is not None]
    return floats, program, active


def _as_floats(tree: Any) -> Any:
    return pytree.tree_map(lambda x: float(x) if type(x) is int else x, tree)


def pattern_of(program: Program, active: Sequence[Value], args: tuple[Any, ...], local: bool = False) -> Any:
    """The pattern of a program's outputs by some of its inputs, the program run at args; see `jacobian_pattern`."""
    run = _Run(program, active, program.checked(args), local)
    for instruction in program.instructions:
        if instruction.op not in MARKS:
            run.carry(instruction)
        elif instruction.outs:
            run.values[instruction.outs[0]] = instruction.args[0]
    rows = [run.of_output(y) for y in program.outputs]
    found = sparse.csr_array(sparse.vstack(rows)) if rows else run.nothing(0)
    found.sum_duplicates()
    return found


class _Run:
    """A program run instruction by instruction, with the pattern of every value that depends on the active inputs."""

    def __init__(self, program: Program, active: Sequence[Value], given: Sequence[Any], local: bool) -> None:
        self.local = local
        self.n = sum(v.size for v in active)
        self.values: dict[Value, Any] = dict(zip(program.inputs, given, strict=True))
        self.varying = set(program.inputs)  # whose values a global pattern must not assume
        self.patterns: dict[Value, Any] = {}
        self.rng = np.random.default_rng(0)
        first = 0
        for v in active:
            self.patterns[v] = sparse.eye_array(v.size, self.n, k=first, dtype=bool, format="csr")
            first += v.size

    def nothing(self, size: int) -> Any:
        """The pattern of what depends on no input."""
        return sparse.csr_array((size, self.n), dtype=bool)

    def of_output(self, y: Any) -> Any:
        found = self.patterns.get(y) if isinstance(y, Value) else None
        return self.nothing(int(np.size(y)) if not isinstance(y, Value) else y.size) if found is None else found

    def plain(self, tree: Any) -> Any:
        """Values of the program as they are at this point."""
        return mapped(tree, lambda x: self.values[x] if isinstance(x, Value) else x)

    def carry(self, instruction: Instruction) -> None:
        """Evaluate an instruction and find the patterns of its results."""
        op, args, params = instruction.op, self.plain(instruction.args), self.plain(instruction.params)
        results = op.evaluate(*args, **params)
        for v, y in zip(instruction.outs, results if isinstance(results, tuple | list) else [results], strict=True):
            self.values[v] = y
            if any(x in self.varying for x in instruction.uses):
                self.varying.add(v)
        sources = [v for v in dict.fromkeys(instruction.uses) if v in self.patterns]
        outs = [v for v in instruction.outs if v.dtype.kind in "fc"]
        if not sources or not outs or isinstance(op, Passive):
            return
        if isinstance(op, Elementwise) or op.name == "where":
            self.patterns[outs[0]] = self._elementwise(instruction, outs[0])
        else:
            self._otherwise(instruction, sources)

    # Elementwise: y[i] depends on the elements that broadcasting puts beside it -----------------------

    def _elementwise(self, instruction: Instruction, y: Value) -> Any:
        found = self.nothing(y.size)
        for i, x in enumerate(instruction.args):
            if isinstance(x, Value) and x in self.patterns and not self._passive(instruction, i):
                rows = self._rows(x, y)
                taken = self._taken(instruction, i, y)
                part = self.patterns[x] if rows is None else self.patterns[x][rows]
                found = found + (part if taken is None else _kept(part, taken))
        return found

    @staticmethod
    def _passive(instruction: Instruction, i: int) -> bool:
        """Whether an argument has the derivative zero."""
        return isinstance(instruction.op, Elementwise) and instruction.op.partials[i] is None

    @staticmethod
    def _rows(x: Value, y: Value) -> Any:
        """For each element of y the element of x beside it; None where they are the same."""
        if x.shape == y.shape:
            return None
        return np.broadcast_to(np.arange(x.size).reshape(x.shape), y.shape).ravel()

    def _taken(self, instruction: Instruction, i: int, y: Value) -> Any:
        """Where y depends on argument i: not where a factor is a constant zero, or the condition a constant."""
        op, args = instruction.op, instruction.args
        if op.name == "where":
            if not self._assumed(args[0]):
                return None
            return np.broadcast_to(np.equal(self.plain(args[0]), i == 1), y.shape).ravel()
        if self.local:
            x = args[i]
            values = self.plain(args)
            t = np.full(x.shape, _GENERIC if x.dtype.kind == "c" else 1, x.dtype)[()]
            push: Any = op.pushes[i]
            with np.errstate(all="ignore"):
                p = push(t, self.values[y], *map(_array, values), **self.plain(instruction.params))
            return np.broadcast_to(p != 0, y.shape).ravel()
        other = args[1 - i] if op.fn is np.multiply else None
        if op.fn is np.multiply and self._assumed(other):
            return np.broadcast_to(np.not_equal(self.plain(other), 0), y.shape).ravel()
        return None

    def _assumed(self, x: Any) -> bool:
        """Whether the value of an argument may be relied upon."""
        return self.local or not any(v in self.varying for v in leaves(x) if isinstance(v, Value))

    # All other rows: the local Jacobian from its own push or pull ---------------------------------------

    def _otherwise(self, instruction: Instruction, sources: list[Value]) -> None:
        reached = _stacked([self.patterns[v] for v in sources], self.n)
        local = self._local_pattern(instruction, sources)
        start = 0
        for v in instruction.outs:
            if v.dtype.kind in "fc":
                self.patterns[v] = self._through(local, reached, start, v.size)
                start += v.size

    def _through(self, local: Any, reached: Any, start: int, size: int) -> Any:
        """The pattern of a result: its rows of the local pattern times the patterns of the arguments."""
        if local is None:  # every element depends on all that the arguments depend on
            columns = np.unique(reached.indices)
            _refuse_dense(size * columns.size)
            indices = np.tile(columns, size)
            indptr = np.arange(size + 1) * columns.size
            return sparse.csr_array((np.ones(indices.size, dtype=bool), indices, indptr), shape=(size, self.n))
        if isinstance(local, np.ndarray):  # which element each one is, −1 for none
            rows = local[start : start + size]
            return _kept(reached[np.maximum(rows, 0)], rows >= 0) if reached.shape[0] else self.nothing(size)
        return sparse.csr_array(local[start : start + size] @ reached)

    def _local_pattern(self, instruction: Instruction, sources: list[Value]) -> Any:
        """The pattern of an instruction's results by its sources: moves as an array of places, else a csr_array; None
        where every element depends on every one, or may."""
        if not trusted(instruction.op) or not self._fixed_places(instruction):
            return None
        linear = isinstance(instruction.op, _LINEAR) or instruction.op.name in _LINEAR_NAMES
        inside = sum(v.size for v in sources)
        outside = sum(v.size for v in instruction.outs if v.dtype.kind in "fc")
        if not inside or not outside:
            return sparse.csr_array((outside, inside), dtype=bool)
        function, primals = self._function(instruction, sources, generic=linear and not self.local)
        if linear:
            moves = _moves(function, primals, self.rng)
            if moves is not None:
                return moves
        marked = not linear and not self.local
        if inside * (inside + outside) <= _MOST_NUMBERS and (inside <= outside or not linear):
            return _by_pushes(function, primals, marked)
        if linear and outside * (inside + outside) <= _MOST_NUMBERS:
            return _by_pulls(function, primals)
        return _banded(function, primals, inside, outside, self.rng) if linear else None

    def _fixed_places(self, instruction: Instruction) -> bool:
        """Whether places that are read or written are the same at all points that the pattern is for."""
        return self.local or not any(v in self.varying and v.dtype.kind in "iub" for v in instruction.uses)

    def _function(self, instruction: Instruction, sources: list[Value], generic: bool) -> tuple[Any, list[Any]]:
        """The instruction as a function of its sources, and their values: random ones where none may be assumed."""
        stand = dict(self.values)
        for v in instruction.uses:
            if generic and v in self.varying and v.dtype.kind in "fc":
                stand[v] = self.rng.uniform(0.5, 1.5, v.shape).astype(v.dtype)[()]

        def function(*given: Any) -> Any:
            now = dict(zip(sources, given, strict=True))
            args, params = (mapped(t, lambda x: _in(now, stand, x)) for t in (instruction.args, instruction.params))
            found = apply(instruction.op, args, params)
            found = found if isinstance(found, tuple | list) else [found]
            return tuple(y for y, v in zip(found, instruction.outs, strict=True) if v.dtype.kind in "fc")

        return function, [_array(stand[v]) for v in sources]


def _in(now: dict[Any, Any], stand: dict[Any, Any], x: Any) -> Any:
    """A value of the program: given now, or what stands for it."""
    return (now[x] if x in now else stand[x]) if isinstance(x, Value) else x


def _array(x: Any) -> Any:
    return x if isinstance(x, np.ndarray | np.generic) else np.asarray(x)[()]


def _stacked(patterns: list[Any], n: int) -> Any:
    return patterns[0] if len(patterns) == 1 else sparse.csr_array(sparse.vstack(patterns))


def _kept(pattern: Any, taken: Any) -> Any:
    """The pattern with the rows emptied that are not taken."""
    if taken.all():
        return pattern
    counts = np.where(taken, np.diff(pattern.indptr), 0)
    indices = pattern.indices[np.repeat(taken, np.diff(pattern.indptr))]
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return sparse.csr_array((np.ones(indices.size, dtype=bool), indices, indptr), shape=pattern.shape)


def _refuse_dense(entries: int) -> None:
    if entries > _MOST_ENTRIES:
        raise PatternTooDense(entries)


# ---------------------------------------------------------------------------------------------------
# Local patterns
# ---------------------------------------------------------------------------------------------------


def _seeds(rows: Any, primals: list[Any]) -> list[Any]:
    """Directions (k, n) for all primals; of complex ones in a direction of the plane that no rule treats apart."""
    return [t * _GENERIC if x.dtype.kind == "c" else t for t, x in zip(unraveled(rows, primals), primals, strict=True)]


def _push(function: Any, primals: list[Any], seeds: list[Any]) -> Any:
    """Directions of all primals through a function: (k, m)."""
    structure, k = pytree.flatten(tuple(primals))[1], len(seeds[0])
    with np.errstate(all="ignore"):
        return raveled(push_forward(function, structure, primals, seeds, (k,))[2], k)


def _moves(function: Any, primals: list[Any], rng: np.random.Generator) -> Any:
    """Of a linear function that only moves elements, for each result the place it comes from, −1 for a zero.

    Random numbers tell: each result is one of them, or zero, and with other random numbers it is the same one.
    """
    n = sum(x.size for x in primals)
    # Distinct also in float32, where the whole parts leave few digits for the random ones.
    rows = [rng.permutation(n) + 1 + rng.integers(64, size=n) / 64 for _ in range(2)]
    seeds = _seeds(np.stack(rows), primals)
    first, second = raveled(seeds, 2)
    seen, again = _push(function, primals, seeds)
    order = np.argsort(first)
    places = order[np.minimum(np.searchsorted(first[order], seen), n - 1)]
    zero = (seen == 0) & (again == 0)
    moved = zero | ((first[places] == seen) & (second[places] == again))
    return np.where(zero, -1, places) if moved.all() else None


def _by_pushes(function: Any, primals: list[Any], marked: bool) -> Any:
    """Column by column, by unit tangents; marked: by nan in place of 1, which spreads to all that depends on it."""
    n = sum(x.size for x in primals)
    parts, step = [], max(1, _CHUNK // n)
    for start in range(0, n, step):
        k = min(step, n - start)
        seeds = _seeds(raveled(unit_directions(primals, start, k), k).real, primals)
        found = _push(function, primals, seeds) != 0
        if marked:
            found |= np.isnan(_push(function, primals, [_with_nan(t) for t in seeds]))
        parts.append(sparse.csr_array(found))
    return sparse.csr_array(sparse.vstack(parts).T)


def _with_nan(t: Any) -> Any:
    return np.where(t != 0, t.dtype.type(complex(np.nan, np.nan) if t.dtype.kind == "c" else np.nan), t)


def _by_pulls(function: Any, primals: list[Any]) -> Any:
    """Row by row, by unit cotangents."""
    recording = Recording(function, tuple(primals))
    values = recording.values
    m = sum(y.size for y in values)
    parts, step = [], max(1, _CHUNK // max(m, sum(x.size for x in primals)))
    for start in range(0, m, step):
        k = min(step, m - start)
        seeds = _seeds(raveled(unit_directions(values, start, k), k).real, values)
        parts.append(sparse.csr_array(raveled(recording.pull(seeds, (k,)), k) != 0))
    return sparse.csr_array(sparse.vstack(parts))


def _banded(function: Any, primals: list[Any], inside: int, outside: int, rng: np.random.Generator) -> Any:
    """The pattern of a large linear function whose results depend on elements near their own place; None if it is not.

    Unit directions p apart are pushed together; what comes out at i is taken to stem from the one of them nearest to
    i · n/m. A random direction tells whether that was right.
    """
    p = max(1, min(inside, _CHUNK // (inside + outside), 256))
    seeds = (np.arange(inside) % p == np.arange(p)[:, None]).astype(float)
    found = _push(function, primals, _seeds(seeds, primals))
    colours, rows = np.nonzero(found)
    centre = np.round(rows * ((inside - 1) / max(outside - 1, 1))).astype(np.intp)
    columns = centre + (colours - centre + p // 2) % p - p // 2
    columns += np.where(columns < 0, p, 0) - np.where(columns >= inside, p, 0)
    guess = sparse.csr_array((found[colours, rows], (rows, columns)), shape=(outside, inside))
    v = rng.uniform(0.5, 1.5, (1, inside))
    right = np.allclose(guess @ v[0], _push(function, primals, _seeds(v, primals))[0], rtol=1e-9, atol=0)
    return guess.astype(bool) if right else None
