"""The transforms: products with the Jacobian, gradients and Jacobians of plain NumPy functions.

Shapes: x of shape s, f(x) of shape r.  A tangent has shape s and a cotangent shape r; K of them at once have
shapes (K, *s) and (K, *r), the directions leading.  J[i, j] = ∂f_i/∂x_j, so a Jacobian has shape (*r, *s).
Arguments and results may be trees (dicts, lists, tuples, named tuples, dataclasses).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import pytree
from .forward import Dual, Forward
from .registry import cast
from .reverse import Tape, Var
from .tracing import Tracer, pack

Argnums = int | Sequence[int]
SEVERAL = (tuple, list)  # the kinds of argnums that name several arguments

# ---------------------------------------------------------------------------------------------------
# Products: J·t and Jᵀ·u
# ---------------------------------------------------------------------------------------------------


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f and its directional derivative J·t, in one forward pass.

    Parameters
    ----------
    f : a function in plain NumPy.
    primals : tuple of arguments, arrays or trees of arrays.
    tangents : tuple of the same structure; each leaf has the shape of its primal, or (K, *shape) for K
        directions at once.

    Returns
    -------
    (f(*primals), tangent) : the tangent has the structure of the result, its leaves (K, *shape) for K directions.

    Raises
    ------
    TypeError, ValueError : a tangent whose tree, shape or dtype does not fit; an integer array to differentiate by.

    Source: dual numbers, seed lecture 4 (CS4787); algorithm 5 (JVP) of section 13.3.1 in seed 003.

    >>> import numpy as np
    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    primals, tangents = _pair(primals, tangents, "primals", "tangents")
    leaves, structure = pytree.flatten(primals)
    leaves = [pytree.differentiable(x, "primal {}".format, i) for i, x in enumerate(leaves)]
    ts, t_structure = pytree.flatten(tangents)
    if t_structure != structure:
        raise TypeError(
            f"jvp: the tangents have the structure {t_structure}, the primals {structure}; they must agree."
        )
    ts, lead = directions(leaves, ts, "tangent", "primal")
    out, out_structure, tangents_out = push_forward(f, structure, leaves, ts, lead)
    both = private([*out, *tangents_out], taken=[*leaves, *ts])
    out, tangents_out = both[: len(out)], both[len(out) :]
    return pytree.unflatten(out_structure, out), pytree.unflatten(out_structure, tangents_out)


def push_forward(
    f: Callable[..., Any], structure: Any, leaves: list[Any], ts: list[Any], lead: tuple[int, ...]
) -> tuple[list[Any], Any, list[Any]]:
    """Run f on dual numbers: the leaves of the result, its structure, and their tangents."""
    trace = Forward(lead)
    try:
        duals = [Dual(x, t, trace) for x, t in zip(leaves, ts, strict=True)]
        out, out_structure = pytree.flatten(f(*pytree.unflatten(structure, duals)))
        out = [pytree.result(y, "the result") for y in out]
        values = [y.value if type(y) is Dual and y.transform is trace else y for y in out]
        return values, out_structure, [trace.tangent_of(y) for y in out]
    finally:
        trace.closed = True


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """f and its pullback u ↦ Jᵀ·u, which may be called again and again.

    Parameters
    ----------
    f : a function in plain NumPy.
    *primals : its arguments, arrays or trees of arrays.

    Returns
    -------
    (y, pullback) : pullback(u) takes a cotangent of the structure of y, leaves of the same shapes or (K, *shape) for
        K at once, and returns a tuple, one cotangent a primal.

    Raises
    ------
    TypeError, ValueError : an integer array to differentiate by; pullback: a cotangent whose tree, shape or dtype
        does not fit.

    Arrays that f meets are copied when they are recorded, so that overwriting them later changes nothing.
    Source: algorithm 6 (VJP) of section 13.3.1 in seed 003; backpropagation, seeds 000 and 004.

    >>> import numpy as np
    >>> y, pullback = vjp(lambda x, w: (x * w).sum(), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pullback(1.0)
    (array([3., 4.]), array([1., 2.]))
    """
    recording = Recording(f, primals)
    return recording.value(), recording.pullback


class Recording:
    """One run of f on a tape, ready to pull cotangents back and to push tangents forward, any number of times."""

    def __init__(self, f: Callable[..., Any], primals: tuple[Any, ...]) -> None:
        leaves, self.in_structure = pytree.flatten_arguments(tuple(primals))
        self.leaves = [pytree.differentiable(x, "argument {}".format, i) for i, x in enumerate(leaves)]
        self.tape = Tape()
        try:
            inputs = [self.tape.input(x) for x in self.leaves]
            out, self.out_structure = pytree.flatten(f(*pytree.unflatten(self.in_structure, inputs)))
            self.outputs = [pytree.result(y, "the result") for y in out]
        finally:
            self.tape.closed = True
        self.leaves = [x.value for x in inputs]  # as recorded: immune to later overwriting

    def traced(self, y: Any) -> bool:
        return type(y) is Var and y.transform is self.tape

    @property
    def values(self) -> list[Any]:
        return [y.value if self.traced(y) else y for y in self.outputs]

    def value(self) -> Any:
        """The result, in arrays of its own: the tape still needs its values."""
        return pytree.unflatten(self.out_structure, [y.copy() if type(y) is np.ndarray else y for y in self.values])

    def pullback(self, cotangent: Any) -> tuple[Any, ...]:
        """One cotangent a primal, from a cotangent of the result."""
        us, structure = pytree.flatten(cotangent)
        if structure != self.out_structure:
            raise TypeError(
                f"pullback: the cotangent has the structure {structure}, the result {self.out_structure}; "
                "they must agree."
            )
        us, lead = directions(self.values, us, "cotangent", "result")
        return pytree.unflatten(self.in_structure, [own(g) for g in private(self.pull(us, lead), taken=us)])

    def pull(self, us: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Cotangents of the leaves of the arguments, zeros where the result does not depend on them."""
        seeds = [(y.index, cast(u, y.dtype)) for y, u in zip(self.outputs, us, strict=True) if self.traced(y)]
        found = self.tape.pull(seeds, len(self.leaves))
        return [
            np.zeros(lead + x.shape, x.dtype)[()] if g is None else g for g, x in zip(found, self.leaves, strict=True)
        ]

    def push(self, ts: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Tangents of the leaves of the result."""
        found = iter(self.tape.push(ts, [y.index for y in self.outputs if self.traced(y)]))
        pushed = [next(found) if self.traced(y) else None for y in self.outputs]
        return [
            np.zeros(lead + np.shape(y), np.result_type(y, np.float32)) if t is None else t
            for t, y in zip(pushed, self.values, strict=True)
        ]


# ---------------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------------


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a scalar function, by one reverse sweep.

    Parameters
    ----------
    f : a function in plain NumPy that returns a real scalar (has_aux: a pair of it and anything else).
    argnums : which positional arguments to differentiate by; a tuple gives a tuple of gradients.
    has_aux : f returns (scalar, aux); the gradient function returns (gradient, aux).

    Returns
    -------
    A function of f's arguments; the gradient has the shape, tree and dtype of its argument. For complex z = x + iy it
    is ∂f/∂x − i ∂f/∂y.

    Raises
    ------
    TypeError : f returns no real scalar; an integer array to differentiate by.

    Source: seed 002, "backpropagation"; seed 000, J_x read from the left: O(L·n²) for L layers of n units.

    >>> import numpy as np
    >>> grad(lambda x: (x**2).sum())(np.array([1.0, 2.0, 3.0]))
    array([2., 4., 6.])
    """

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = _value_and_gradient(f, argnums, has_aux, args, kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Like `grad`, but returns (value, gradient), or ((value, aux), gradient) with has_aux.

    >>> import numpy as np
    >>> value_and_grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        return _value_and_gradient(f, argnums, has_aux, args, kwargs)

    return value_and_gradient


def _value_and_gradient(
    f: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    function, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    tape = Tape()
    try:
        inputs = [tape.input(x) for x in leaves]
        y = function(*pytree.unflatten(structure, inputs))
        aux = None
        if has_aux:
            if not (isinstance(y, tuple) and len(y) == 2):
                raise TypeError("has_aux=True: the function must return a pair (scalar, aux)")
            y, aux = y
        y = _scalar(y)
        traced = type(y) is Var and y.transform is tape
        found = tape.pull([(y.index, lifted(y.dtype.type(1), y.value))] if traced else [], len(leaves))
    finally:
        tape.closed = True
    gradient = [np.zeros(x.shape, x.dtype)[()] if g is None else g for g, x in zip(found, leaves, strict=True)]
    g = pytree.unflatten(structure, private(gradient))
    value = y.value if traced else y
    if has_aux:
        value = (
            value,
            pytree.tree_map(lambda a: own(a.value) if type(a) is Var and a.transform is tape else a, aux),
        )
    return value, g if isinstance(argnums, SEVERAL) else g[0]


def _scalar(y: Any) -> Any:
    """The result of a function to take the gradient of; anything but one real number is an error."""
    if y is None or (not isinstance(y, Tracer) and isinstance(y, tuple | list | dict)):
        raise TypeError(
            f"grad needs a function that returns one number; it returned a {type(y).__name__}. "
            "For (scalar, extra) use has_aux=True; for several results use jacrev or vjp."
        )
    y = pytree.result(y, "the result")
    if y.shape:
        raise TypeError(
            f"grad needs a function that returns one number; it returned an array of shape {y.shape}. "
            "Reduce it to a scalar (y.sum()), or use jacobian(f) for all derivatives or vjp(f, x) for a weighted sum."
        )
    if y.dtype.kind == "c":
        raise TypeError(
            "grad needs a real result; the function returned a complex number. Take np.real, np.imag or np.abs of it, "
            "or use jacrev or vjp."
        )
    return y if y.dtype.kind == "f" else np.float64(y) if not isinstance(y, Tracer) else y


def partial_at(
    f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """f as a function of the chosen arguments alone, and their values."""
    places = tuple(argnums) if isinstance(argnums, SEVERAL) else (argnums,)
    for i in places:
        if not -len(args) <= i < len(args):
            raise TypeError(
                f"argnums={argnums} names argument {i}, but the function was called with {len(args)} "
                "positional arguments. "
                "Arguments to differentiate by are given by position."
            )
    if len(args) == 1 and not kwargs:
        return f, args

    def function(*chosen: Any) -> Any:
        full = list(args)
        for i, x in zip(places, chosen, strict=True):
            full[i] = x
        return f(*full, **kwargs)

    return function, tuple(args[i] for i in places)


def chosen_leaves(
    f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], list[Any], Any]:
    """f as a function of the chosen arguments, their leaves, checked, and the structure of their tuple."""
    function, chosen = partial_at(f, argnums, args, kwargs)
    leaves, structure = pytree.flatten_arguments(chosen)
    return (
        function,
        [pytree.differentiable(x, _argument, argnums, i, len(leaves)) for i, x in enumerate(leaves)],
        structure,
    )


def _argument(argnums: Argnums, i: int, count: int) -> str:
    one = not isinstance(argnums, SEVERAL)
    return f"argument {argnums}" if one and count == 1 else f"leaf {i} of the arguments {argnums}"


# ---------------------------------------------------------------------------------------------------
# Jacobians
# ---------------------------------------------------------------------------------------------------

# Without `chunk`, directions are taken so many at once that one array of them has at most this many numbers.
CHUNK_ELEMENTS = 1 << 22


def jacfwd(
    f: Callable[..., Any], argnums: Argnums = 0, chunk: int | None = None, holomorphic: bool = False
) -> Callable[..., Any]:
    """The Jacobian by forward mode: all n unit tangents at once, or `chunk` of them at a time.

    Parameters
    ----------
    argnums : which positional arguments to differentiate by.
    chunk : how many directions at once; None bounds the memory.
    holomorphic : f is a complex-differentiable function of complex arguments; the Jacobian is then df/dz.

    Returns
    -------
    A function of f's arguments. For x of shape s and a result of shape r the Jacobian has shape (*r, *s),
    J[i, j] = ∂f_i/∂x_j. A tuple of argnums gives a tuple; a tree of results a tree of (trees of) blocks.

    Raises
    ------
    ValueError : chunk < 1.  TypeError : an integer array to differentiate by; complex arguments without holomorphic.

    Work: n pushes. Cheaper than `jacrev` where f has fewer inputs than outputs (seed 003, 13.3.1).

    >>> import numpy as np
    >>> jacfwd(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """
    return _jacobian_function(f, argnums, chunk, jacobian_forward, holomorphic)


def jacrev(
    f: Callable[..., Any], argnums: Argnums = 0, chunk: int | None = None, holomorphic: bool = False
) -> Callable[..., Any]:
    """The Jacobian by reverse mode: all m unit cotangents at once, or `chunk` of them at a time.

    Like `jacfwd` in all but the work: one taped run of f and m pulls. Cheaper where f has fewer outputs than inputs.
    A complex result needs holomorphic=True; for a real result of complex z = x + iy the rows are ∂f/∂x − i ∂f/∂y.

    >>> import numpy as np
    >>> jacrev(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """
    return _jacobian_function(f, argnums, chunk, jacobian_reverse, holomorphic)


def _jacobian_function(
    f: Callable[..., Any], argnums: Argnums, chunk: int | None, method: Any, holomorphic: bool
) -> Callable[..., Any]:
    check_chunk(chunk)

    @functools.wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        function, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
        if holomorphic or any(x.dtype.kind == "c" for x in leaves):
            function = complex_checked(function, leaves, holomorphic, method is jacobian_forward)
        blocks, out_structure = method(function, structure, leaves, chunk)
        return assemble(blocks, structure, out_structure, argnums)

    return jacobian_of


def complex_checked(f: Callable[..., Any], leaves: list[Any], holomorphic: bool, forward: bool) -> Callable[..., Any]:
    """f, with an error where one complex number an entry cannot say what the derivative is."""
    if holomorphic and any(x.dtype.kind != "c" for x in leaves):
        raise TypeError("holomorphic=True is for complex arguments; convert them, x.astype(complex), or leave it out.")
    if forward and not holomorphic:
        raise TypeError(
            "jacfwd of complex arguments: for a complex-differentiable function say holomorphic=True; else "
            "take the real "
            "and the imaginary part as separate real arguments. (jacrev handles real results of complex arguments.)"
        )

    def function(*args: Any) -> Any:
        out = f(*args)
        real = [np.result_type(y).kind != "c" for y in pytree.flatten(out)[0]]
        if holomorphic and any(real):
            raise TypeError("holomorphic=True, but the function returned a real result; leave it out and use jacrev.")
        if not holomorphic and not all(real):
            raise TypeError(
                "jacrev of complex arguments and a complex result: for a complex-differentiable function say "
                "holomorphic=True; "
                "else take np.real and np.imag of the result."
            )
        return out

    return function


def check_chunk(chunk: int | None) -> None:
    if chunk is not None and (not isinstance(chunk, int | np.integer) or isinstance(chunk, bool) or chunk < 1):
        raise ValueError(f"chunk={chunk!r}: the number of directions at once (K) is an integer of at least 1, or None.")


def assemble(blocks: list[list[Any]], structure: Any, out_structure: Any, argnums: Argnums) -> Any:
    """Blocks[i][j] = ∂(result leaf i)/∂(argument leaf j) as a tree of results of trees of arguments."""
    rows = [pytree.unflatten(structure, row) for row in blocks]
    return pytree.unflatten(out_structure, [row if isinstance(argnums, SEVERAL) else row[0] for row in rows])


def jacobian_forward(f: Any, structure: Any, leaves: list[Any], chunk: int | None) -> tuple[list[list[Any]], Any]:
    """Blocks of the Jacobian from pushes of unit tangents, chunk by chunk."""
    sizes = [int(x.size) for x in leaves]
    total = sum(sizes)
    step = chunk or chunk_for(total, total)
    parts, out, out_structure, start = [], None, None, 0
    while out is None or start < total:
        k = min(step, total - start)
        ts = unit_directions(leaves, start, k)
        out, out_structure, tangents = push_forward(f, structure, leaves, ts, (k,))
        parts.append(tangents)
        start += k
        step = chunk or chunk_for(total, max([total, *(int(y.size) for y in out)]))
    columns = [np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
    return _own_blocks([split_columns(c, y.shape, leaves) for c, y in zip(columns, out, strict=True)]), out_structure


def jacobian_reverse(f: Any, structure: Any, leaves: list[Any], chunk: int | None) -> tuple[list[list[Any]], Any]:
    """Blocks of the Jacobian from pulls of unit cotangents, chunk by chunk, over one tape."""
    recording = Recording(f, pytree.unflatten(structure, leaves))
    if any(y.dtype.kind == "c" for y in recording.values) and any(x.dtype.kind != "c" for x in leaves):
        raise TypeError(
            "jacrev of a function with real arguments and a complex result: use jacfwd, or take np.real and "
            "np.imag of the "
            "result as two real results."
        )
    return blocks_by_pulls(recording, chunk), recording.out_structure


def blocks_by_pulls(recording: Recording, chunk: int | None) -> list[list[Any]]:
    leaves, values = recording.leaves, recording.values
    total = sum(int(y.size) for y in values)
    step = chunk or chunk_for(total, max([total, *(int(x.size) for x in leaves)]))
    parts = []
    for start in range(0, total, step) if total else [0]:
        k = min(step, total - start)
        parts.append(recording.pull(unit_directions(values, start, k), (k,)))
    rows = [np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
    blocks, start = [], 0
    for y in values:
        size = int(y.size)
        parts = [r if size == total else r[start : start + size] for r in rows]
        blocks.append([np.reshape(r, y.shape + x.shape) for r, x in zip(parts, leaves, strict=True)])
        start += size
    return _own_blocks(blocks)


def _own_blocks(blocks: list[list[Any]]) -> list[list[Any]]:
    """Blocks that share no memory: two results may have one tangent."""
    found = iter(private([block for row in blocks for block in row]))
    return [[next(found) for _ in row] for row in blocks]


def blocks_by_pushes(recording: Recording, chunk: int | None) -> list[list[Any]]:
    """The blocks again, from pushes over the same tape."""
    leaves, values = recording.leaves, recording.values
    total = sum(int(x.size) for x in leaves)
    step = chunk or chunk_for(total, max([total, *(int(y.size) for y in values)]))
    parts = []
    for start in range(0, total, step) if total else [0]:
        k = min(step, total - start)
        parts.append(recording.push(unit_directions(leaves, start, k), (k,)))
    columns = [np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
    return _own_blocks([split_columns(c, y.shape, leaves) for c, y in zip(columns, values, strict=True)])


def chunk_for(directions: int, width: int) -> int:
    """How many directions at once keep an array of them within CHUNK_ELEMENTS numbers."""
    return max(1, min(directions, CHUNK_ELEMENTS // max(width, 1)))


def unit_directions(leaves: Sequence[Any], start: int, k: int) -> list[Any]:
    """Rows start … start+k of the identity on the raveled leaves, one array (k, *shape) a leaf."""
    out, offset = [], 0
    for x in leaves:
        size = int(x.size)
        unit = np.zeros((k, size), dtype=x.dtype if x.dtype.kind in "fc" else np.float64)
        first, last = max(start, offset), min(start + k, offset + size)
        if first < last:  # a diagonal: every (size + 1)th number of the rows one behind the other
            at = (first - start) * size + first - offset
            unit.reshape(-1)[at : at + (last - first - 1) * (size + 1) + 1 : size + 1] = 1
        out.append(lifted(np.reshape(unit, (k, *x.shape)), x))
        offset += size
    return out


def lifted(seed: Any, x: Any) -> Any:
    """A seed for x as a value of the lowest transform under x, which is to see the work done on it (see `program`)."""
    trace = None
    while isinstance(x, Tracer):
        trace, x = x.transform, x.value
    return seed if trace is None else trace.lift(seed)


def unraveled(rows: Any, leaves: Sequence[Any]) -> list[Any]:
    """Directions of all leaves raveled and concatenated, (k, n), as one array (k, *shape) a leaf, in its dtype."""
    out, start = [], 0
    for x in leaves:
        part = rows[:, start : start + int(x.size)]
        part = cast(part, x.dtype if x.dtype.kind in "fc" else np.dtype(float))
        out.append(np.reshape(part, (rows.shape[0], *x.shape)))
        start += int(x.size)
    return out


def raveled(parts: Sequence[Any], k: int) -> Any:
    """The inverse of `unraveled`: (k, n)."""
    rows = [np.reshape(p, (k, -1)) for p in parts]
    return rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)


def split_columns(tangents: Any, shape: tuple[int, ...], leaves: Sequence[Any]) -> list[Any]:
    """Tangents (n, *shape) of all unit directions as one block (*shape, *x.shape) an argument leaf."""
    blocks, start = [], 0
    last = (*range(1, tangents.ndim), 0)
    for x in leaves:
        size = int(x.size)
        part = tangents if len(leaves) == 1 else tangents[start : start + size]
        blocks.append(np.reshape(np.transpose(part, last), shape + x.shape))
        start += size
    return blocks


# ---------------------------------------------------------------------------------------------------
# Checks of what comes in, and arrays of their own for what goes out
# ---------------------------------------------------------------------------------------------------


def _pair(primals: Any, tangents: Any, first: str, second: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    for name, value in ((first, primals), (second, tangents)):
        if not isinstance(value, tuple | list):
            raise TypeError(
                f"{name} must be a tuple, one entry an argument of the function; got a {type(value).__name__}."
            )
    if len(primals) != len(tangents):
        raise TypeError(f"there are {len(primals)} {first} but {len(tangents)} {second}; there must be one for each.")
    return tuple(primals), tuple(tangents)


def directions(leaves: Sequence[Any], ts: Sequence[Any], name: str, owner: str) -> tuple[list[Any], tuple[int, ...]]:
    """Checked tangents or cotangents, each of its leaf's shape behind a common lead () or (K,)."""
    out, lead = [], None
    for i, (x, t) in enumerate(zip(leaves, ts, strict=True)):
        t = direction(x, t, f"{name} {i}", f"{owner} {i}")
        this = t.shape[: t.ndim - x.ndim]
        if lead is None:
            lead = this
        if t.ndim - x.ndim not in (0, 1) or t.shape[len(this) :] != x.shape:
            raise ValueError(
                f"{name} {i} has shape {t.shape}, {owner} {i} has shape {x.shape}: one direction has the same shape, "
                f"K at once have shape (K, *{x.shape})."
            )
        if this != lead:
            raise ValueError(f"the {name}s do not agree on the number of directions: {this} after {lead}.")
        if 0 in this:
            raise ValueError(f"{name} {i} has shape {t.shape}: no direction at all (K = 0); K must be at least 1.")
        out.append(t)
    return out, lead or ()


def direction(x: Any, t: Any, name: str, owner: str) -> Any:
    """One tangent or cotangent in the dtype of its array; whole numbers, as some solvers pass, count as floats."""
    pytree.live(t)
    if not isinstance(t, Tracer):
        if type(t) in (int, float, complex):
            t = np.asarray(t, dtype=complex if type(t) is complex else float)[()]
        elif isinstance(t, np.ndarray | np.generic):
            t = _as_array(t)
        else:
            raise TypeError(f"{name} is a {type(t).__name__}; it must be an array of floats like {owner}.")
    if isinstance(t, Tracer) or t.dtype.kind in "fciu":
        wanted = x.dtype if x.dtype.kind in "fc" else np.dtype(float)
        if t.dtype.kind == "c" and wanted.kind != "c":
            raise TypeError(f"{name} is complex ({t.dtype}), but {owner} is real ({x.dtype}). Pass its real part.")
        return t if t.dtype == wanted else t.astype(wanted)
    raise TypeError(
        f"{name} has dtype {t.dtype}; it must be floating, like {owner} ({x.dtype}). Convert it: t.astype(float)."
    )


def _as_array(t: Any) -> Any:
    t = np.asarray(t) if t.ndim else t[()]
    return pack(t)


def own(g: Any) -> Any:
    """An array that shares no memory with the caller's: a copy of what may be a view."""
    return g.copy() if type(g) is np.ndarray and g.base is not None else g


def private(arrays: Sequence[Any], taken: Sequence[Any] = ()) -> list[Any]:
    """Results of a sweep as arrays that may be written to and share no memory with each other or with those taken."""
    out: list[Any] = []
    seen = {_memory(a) for a in taken if type(a) is np.ndarray}
    for g in arrays:
        if type(g) is np.ndarray:
            memory = _memory(g)
            if memory in seen or not g.flags.writeable:
                g = g.copy()
            seen.add(memory)
        out.append(g)
    return out


def _memory(a: np.ndarray) -> int:
    return id(a if a.base is None else a.base)
