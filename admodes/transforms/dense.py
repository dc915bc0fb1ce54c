"""The transforms: products with the Jacobian, gradients and Jacobians of plain NumPy functions.

Shapes: x of shape s, f(x) of shape r.  A tangent has shape s and a cotangent shape r; K of them at once have
shapes (K, *s) and (K, *r), the directions leading.  J[i, j] = ∂f_i/∂x_j, so a Jacobian has shape (*r, *s).
Arguments and results may be trees (dicts, lists, tuples, named tuples, dataclasses).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, overload

import numpy as np

from ..core import pytree
from ..core.blank import settled
from ..core.creation import known_by, run
from ..core.reverse import Tape, Var
from ..core.tracing import Tracer
from ..core.types import Cotangent, Tangent, Tree
from ..core.views import arguments
from .arguments import SEVERAL, Argnums, check_asked, chosen_leaves, presented
from .directions import (
    check_chunk,
    chunk_for,
    directions,
    in_chunks,
    joined,
    lifted,
    observer,
    own,
    paired,
    private,
    split_columns,
    unit_directions,
)
from .recording import Recording, push_forward

P = ParamSpec("P")  # the parameters of f, which its derivatives take too
Y = TypeVar("Y")  # its result
Aux = TypeVar("Aux")


def jvp(f: Callable[..., Y], primals: Sequence[Tree], tangents: Sequence[Tangent]) -> tuple[Y, Y]:
    """f and its directional derivative J·t, in one forward pass.

    Parameters
    ----------
    f : a function in plain NumPy. All its arguments are taken by value: what it writes to them stays in it.
    primals : tuple of arguments, arrays or trees of arrays.
    tangents : tuple of the same structure; each leaf has the shape of its primal, or (K, *shape) for K
        directions at once.

    Returns
    -------
    (f(*primals), tangent) : the tangent has the structure of the result, its leaves (K, *shape) for K directions.

    Raises
    ------
    TypeError, ValueError : a tangent whose tree, shape or dtype does not fit; an integer array to differentiate by.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.1, algorithm 5 (JVP); dual
    numbers: Cornell CS4787, "Principles of Large-Scale Machine Learning Systems", lecture 4, forward mode AD.

    >>> import numpy as np
    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    primals, tangents = paired(primals, tangents, "primals", "tangents")
    leaves, structure = pytree.flatten(primals)
    leaves = [pytree.differentiable(x, "primal {}".format, i) for i, x in enumerate(leaves)]
    ts, t_structure = pytree.flatten(tangents)
    if t_structure is not structure and t_structure != structure:
        raise TypeError(
            f"jvp: the tangents have the structure {t_structure}, the primals {structure}; they must agree."
        )
    ts, lead = directions(leaves, ts, "tangent", "primal")
    out, out_structure, tangents_out = push_forward(f, structure, leaves, ts, lead)
    both = private([*out, *tangents_out], taken=[*leaves, *ts])
    out, tangents_out = both[: len(out)], both[len(out) :]
    return pytree.unflatten(out_structure, out), pytree.unflatten(out_structure, tangents_out)


def vjp(f: Callable[..., Y], *primals: Tree) -> tuple[Y, Callable[[Cotangent], tuple[Cotangent, ...]]]:
    """f and its pullback u ↦ Jᵀ·u, which may be called again and again.

    Parameters
    ----------
    f : a function in plain NumPy. All its arguments are taken by value: what it writes to them stays in it.
    *primals : its arguments, arrays or trees of arrays.

    Returns
    -------
    (y, pullback) : pullback(u) takes a cotangent of the structure of y, leaves of the same shapes or (K, *shape) for
        K at once, and returns a tuple, one cotangent a primal.

    Raises
    ------
    TypeError, ValueError : an integer array to differentiate by; pullback: a cotangent whose tree, shape or dtype
        does not fit.
    OverwrittenValue : pullback, where a large array that f met has been overwritten since. Arrays of at most 64 KiB are
        copied when they are recorded, so overwriting them changes nothing; larger ones are hashed, and compared before
        each pull. `a.flags.writeable = False` saves both.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.1, algorithm 6 (VJP);
    Cornell CS4787, "Principles of Large-Scale Machine Learning Systems", lecture 4, "Backpropagation".

    >>> import numpy as np
    >>> y, pullback = vjp(lambda x, w: (x * w).sum(), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pullback(1.0)
    (array([3., 4.]), array([1., 2.]))
    """
    recording = Recording(f, primals)
    return recording.value(), recording.pullback


@overload
def grad(f: Callable[P, Any], argnums: int = 0, has_aux: Literal[False] = False) -> Callable[P, Tree]: ...
@overload
def grad(
    f: Callable[P, Any], argnums: Sequence[int], has_aux: Literal[False] = False
) -> Callable[P, tuple[Tree, ...]]: ...
@overload
def grad(
    f: Callable[P, tuple[Any, Aux]], argnums: Argnums = 0, *, has_aux: Literal[True]
) -> Callable[P, tuple[Tree, Aux]]: ...
@overload
def grad(f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, Any]: ...
def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a scalar function, by one reverse sweep.

    Parameters
    ----------
    f : a function in plain NumPy that returns a real scalar (has_aux: a pair of it and anything else).
        All its arguments are taken by value: what it writes to them stays in it.
    argnums : which positional argument to differentiate by, counted from 0; a tuple of them gives a tuple of gradients.
    has_aux : f returns (scalar, aux), aux being anything; the gradient function returns (gradient, aux).

    Returns
    -------
    A function of f's arguments; the gradient has the shape, tree and dtype of its argument. For complex z = x + iy it
    is ∂f/∂x − i ∂f/∂y.

    Raises
    ------
    TypeError : f returns no real scalar; an integer array to differentiate by.
    OverwrittenValue : f overwrites a large array after using it (see `vjp`).

    Source: Galasso, "Neural Networks and Backpropagation" (Fundamentals of Data Science, 2023), "Backpropagation"; CTU
    Prague, "Deep Learning" (BEV033DLA), lecture 2, J_x read from the left: O(L·n²) for L layers of n units.

    >>> import numpy as np
    >>> grad(lambda x: (x**2).sum())(np.array([1.0, 2.0, 3.0]))
    array([2., 4., 6.])
    """

    check_asked("grad", f, argnums)

    @presented("The gradient", f, argnums)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = _value_and_gradient(f, argnums, has_aux, args, kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


@overload
def value_and_grad(f: Callable[P, Y], argnums: int = 0, has_aux: bool = False) -> Callable[P, tuple[Y, Tree]]: ...
@overload
def value_and_grad(
    f: Callable[P, Y], argnums: Sequence[int], has_aux: bool = False
) -> Callable[P, tuple[Y, tuple[Tree, ...]]]: ...
def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The value of a scalar function and its gradient, from one run of f and one reverse sweep.

    Parameters
    ----------
    f : a function in plain NumPy that returns a real scalar (has_aux: a pair of it and anything else).
        All its arguments are taken by value: what it writes to them stays in it.
    argnums : which positional argument to differentiate by, counted from 0; a tuple of them gives a tuple of gradients.
    has_aux : f returns (scalar, aux), aux being anything.

    Returns
    -------
    A function of f's arguments that returns (value, gradient), with has_aux ((value, aux), gradient). The gradient is
    that of `grad`. It serves `scipy.optimize.minimize(..., jac=True)`.

    Raises
    ------
    TypeError, OverwrittenValue : as `grad`.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapter 4: value and gradient cost a small
    multiple of the value, whatever the number of arguments.

    >>> import numpy as np
    >>> value_and_grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    check_asked("value_and_grad", f, argnums)

    @presented("The value and the gradient", f, argnums)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        return _value_and_gradient(f, argnums, has_aux, args, kwargs)

    return value_and_gradient


def _value_and_gradient(
    f: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    function, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    return run(function, _taped_gradient, function, argnums, has_aux, leaves, structure)


ONE = np.float64(1)


def _taped_gradient(
    function: Callable[..., Any], argnums: Argnums, has_aux: bool, leaves: list[Any], structure: Any
) -> tuple[Any, Any]:
    tape = Tape()
    try:
        inputs = arguments([tape.input(x) for x in leaves], leaves)
        y = function(inputs[0]) if structure is pytree.ONE_ARGUMENT else function(*pytree.unflatten(structure, inputs))
        aux = None
        if has_aux:
            if not (isinstance(y, tuple) and len(y) == 2):
                raise TypeError("has_aux=True: the function must return a pair (scalar, aux)")
            y, aux = y
            aux = pytree.tree_map(lambda a: _plain(a, tape), aux)
        traced = type(y) is Var and y.transform is tape
        if traced and type(y.value) is np.float64:  # a plain number, below which no transform is to be told
            found = tape.pull([(y.index, ONE)], len(leaves))
        else:
            y = _scalar(y)
            traced = type(y) is Var and y.transform is tape
            seeds = [(y.index, lifted(y.dtype.type(1), y.value))] if traced else []
            found = tape.pull(seeds, len(leaves), observer([y.value] if traced else []))
    finally:
        tape.closed = True
    gradient = [np.zeros(x.shape, x.dtype)[()] if g is None else g for g, x in zip(found, leaves, strict=True)]
    g = pytree.unflatten(structure, private(gradient))
    value = y.value if traced else y
    if has_aux:
        value = (value, aux)
    return value, g if isinstance(argnums, SEVERAL) else g[0]


def _plain(a: Any, tape: Tape) -> Any:
    """A leaf of what f returns beside its value, without this transform."""
    if isinstance(a, Tracer) and a.transform is tape:
        return own(a.value)
    return settled(a)


def _scalar(y: Any) -> Any:
    """The result of a function to take the gradient of; anything but one real number is an error."""
    if y is None or (not isinstance(y, Tracer) and isinstance(y, tuple | list | dict)):
        raise TypeError(
            f"a gradient needs a function that returns one number; it returned a {type(y).__name__}. "
            "For (scalar, extra) use has_aux=True; for several results use jacrev or vjp."
        )
    y = pytree.result(y, "the result")
    if y.shape:
        raise TypeError(
            f"a gradient needs a function that returns one number; it returned an array of shape {y.shape}. "
            "Reduce it to a scalar (y.sum()), or use jacobian(f) for all derivatives or vjp(f, x) for a weighted sum."
        )
    if y.dtype.kind == "c":
        raise TypeError(
            "a gradient needs a real result; the function returned a complex number. Take np.real, np.imag or np.abs "
            "of it, or use jacrev or vjp."
        )
    return y if y.dtype.kind == "f" else np.float64(y) if not isinstance(y, Tracer) else y


def jacfwd(
    f: Callable[P, Any], argnums: Argnums = 0, chunk: int | None = None, holomorphic: bool = False
) -> Callable[P, Tree]:
    """The Jacobian by forward mode: all n unit tangents at once, or `chunk` of them at a time.

    Parameters
    ----------
    f : a function in plain NumPy of arrays, or trees of them, to an array or a tree.
        All its arguments are taken by value: what it writes to them stays in it.
    argnums : which positional argument to differentiate by, counted from 0, or a tuple of them.
    chunk : how many directions are pushed at once; None takes so many that an array of them has at most 2²² numbers.
    holomorphic : f is a complex-differentiable function of complex arguments; the Jacobian is then df/dz.

    Returns
    -------
    A function of f's arguments. For x of shape s and a result of shape r the Jacobian has shape (*r, *s),
    J[i, j] = ∂f_i/∂x_j. A tuple of argnums gives a tuple; a tree of results a tree of (trees of) blocks.

    Raises
    ------
    ValueError : chunk < 1.  TypeError : an integer array to differentiate by; complex arguments without holomorphic.

    Work: n pushes, in n/chunk runs of f. Cheaper than `jacrev` where f has fewer inputs than outputs.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.1: a column at a time.

    >>> import numpy as np
    >>> jacfwd(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """
    return _jacobian_function("jacfwd", f, argnums, chunk, jacobian_forward, holomorphic)


def jacrev(
    f: Callable[P, Any], argnums: Argnums = 0, chunk: int | None = None, holomorphic: bool = False
) -> Callable[P, Tree]:
    """The Jacobian by reverse mode: all m unit cotangents at once, or `chunk` of them at a time.

    Parameters
    ----------
    f : a function in plain NumPy of arrays, or trees of them, to an array or a tree.
        All its arguments are taken by value: what it writes to them stays in it.
    argnums : which positional argument to differentiate by, counted from 0, or a tuple of them.
    chunk : how many directions are pulled at once; None takes so many that an array of them has at most 2²² numbers.
    holomorphic : f is a complex-differentiable function of complex arguments; the Jacobian is then df/dz.

    Returns
    -------
    A function of f's arguments. For x of shape s and a result of shape r the Jacobian has shape (*r, *s),
    J[i, j] = ∂f_i/∂x_j; for a real result of complex z = x + iy its entries are ∂f_i/∂x_j − i ∂f_i/∂y_j. A tuple of
    argnums gives a tuple; a tree of results a tree of (trees of) blocks.

    Raises
    ------
    ValueError : chunk < 1.  TypeError : an integer array to differentiate by; complex arguments and a complex result
        without holomorphic.
    OverwrittenValue : f overwrites a large array after using it (see `vjp`).

    Work: one taped run of f and m pulls. Cheaper than `jacfwd` where f has fewer outputs than inputs.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.1: a row at a time.

    >>> import numpy as np
    >>> jacrev(lambda x: np.array([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    """
    return _jacobian_function("jacrev", f, argnums, chunk, jacobian_reverse, holomorphic)


def _jacobian_function(
    transform: str, f: Callable[..., Any], argnums: Argnums, chunk: int | None, method: Any, holomorphic: bool
) -> Callable[..., Any]:
    check_asked(transform, f, argnums)
    check_chunk(chunk)

    @presented("The Jacobian", f, argnums)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        return dense_jacobian(f, argnums, chunk, method, holomorphic, args, kwargs)

    return jacobian_of


def dense_jacobian(
    f: Callable[..., Any],
    argnums: Argnums,
    chunk: int | None,
    method: Any,
    holomorphic: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """The Jacobian at the arguments, by `jacobian_forward` or `jacobian_reverse`."""
    function, leaves, structure = chosen_leaves(f, argnums, args, kwargs)
    if holomorphic or any(x.dtype.kind == "c" for x in leaves):
        function = complex_checked(function, leaves, holomorphic, method is jacobian_forward)
    blocks, out_structure = method(function, structure, leaves, chunk)
    return assemble(blocks, structure, out_structure, argnums)


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

    return known_by(function, f)


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
    columns = zip(joined(parts), out, strict=True)
    return _own_blocks([split_columns(c, y.shape, leaves) for c, y in columns]), out_structure


def jacobian_reverse(f: Any, structure: Any, leaves: list[Any], chunk: int | None) -> tuple[list[list[Any]], Any]:
    """Blocks of the Jacobian from pulls of unit cotangents, chunk by chunk, over one tape."""
    recording = Recording(f, pytree.unflatten(structure, leaves))
    return blocks_by_pulls(recording, chunk), recording.out_structure


def blocks_by_pulls(recording: Recording, chunk: int | None) -> list[list[Any]]:
    """The blocks from pulls over a tape."""
    recording.require_rows()
    leaves, values = recording.leaves, recording.values
    total = sum(int(y.size) for y in values)
    step = chunk or chunk_for(total, max([total, *(int(x.size) for x in leaves)]))
    rows = in_chunks(total, step, lambda first, k: recording.pull(unit_directions(values, first, k), (k,)))
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
    """The blocks from pushes over a tape."""
    leaves, values = recording.leaves, recording.values
    total = sum(int(x.size) for x in leaves)
    step = chunk or chunk_for(total, max([total, *(int(y.size) for y in values)]))
    columns = in_chunks(total, step, lambda first, k: recording.push(unit_directions(leaves, first, k), (k,)))
    return _own_blocks([split_columns(c, y.shape, leaves) for c, y in zip(columns, values, strict=True)])
