"""Second derivatives: `hessian` in four nestings or coloured, and `hvp`, the Hessian times a direction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, ParamSpec, get_args

import numpy as np

from ..core import pytree
from ..core.types import Tangent, Tree
from ..transforms.arguments import Argnums, check_asked, presented
from ..transforms.dense import grad, jacfwd, jacrev, jvp
from ..transforms.directions import check_chunk

P = ParamSpec("P")
Mode = Literal["forward-over-reverse", "reverse-over-forward", "forward-over-forward", "reverse-over-reverse", "sparse"]
MODES = get_args(Mode)
_NESTINGS = {
    "forward-over-reverse": (jacfwd, jacrev),
    "reverse-over-forward": (jacrev, jacfwd),
    "forward-over-forward": (jacfwd, jacfwd),
    "reverse-over-reverse": (jacrev, jacrev),
}


def hessian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    mode: Mode = "forward-over-reverse",
    chunk: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, Tree]:
    """The Hessian: a Jacobian of the Jacobian, in one of four nestings of the two modes, or coloured.

    Parameters
    ----------
    f : a function in plain NumPy of arrays; for all modes but "sparse" of any result, most often a scalar.
    argnums : which positional argument to differentiate by twice, counted from 0; a tuple of them gives blocks.
    mode : "forward-over-reverse" (n pushes through one gradient: the cheapest for a scalar f of many inputs),
        "reverse-over-forward", "forward-over-forward", "reverse-over-reverse"; or
        "sparse": the pattern is found and star-coloured, and one product H·s is made for each colour.
    chunk : how many directions of the outer mode at once; None bounds the memory.
    executor : a `concurrent.futures.Executor` whose workers take the chunks of outer directions; f must then be a
        function that can be pickled.

    Returns
    -------
    A function of f's arguments; for x of shape s and a result of shape r an array of shape (*r, *s, *s); for
    mode="sparse" and a scalar f a symmetric scipy.sparse.csr_array (n, n) by raveled arguments. That finds the pattern
    at every call and keeps the colouring; `sparse_hessian_plan` finds both once.

    Raises
    ------
    ValueError : an unknown mode, chunk < 1; chunk or executor with mode="sparse".  TypeError : an executor that is
        none; mode="sparse" of an f that is no scalar.  WorkerLost : a worker's process ended.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), chapter 5, second-order adjoints.

    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    >>> hessian(lambda x: np.sum(x[1:] * x[:-1] ** 2), mode="sparse")(np.ones(3)).toarray()
    array([[2., 2., 0.],
           [2., 2., 2.],
           [0., 2., 0.]])
    """
    check_asked("hessian", f, argnums)
    if mode not in MODES:
        raise ValueError(f"hessian: mode={mode!r} is not one of {', '.join(MODES)}")
    check_chunk(chunk)
    if executor is not None:
        from .executors import check_executor

        check_executor(executor)
    if mode == "sparse":
        return _sparse(f, argnums, chunk, executor)
    if executor is not None:
        return _by_workers(f, argnums, mode, chunk, executor)
    outer, inner = _NESTINGS[mode]
    return presented("The Hessian", f, argnums)(outer(inner(f, argnums), argnums, chunk))


def _by_workers(f: Callable[..., Any], argnums: Argnums, mode: str, chunk: int | None, executor: Executor) -> Any:
    nesting = tuple(mode.split("-over-"))

    @presented("The Hessian", f, argnums)
    def hessian_of(*args: Any, **kwargs: Any) -> Any:
        from .executors import jacobian_by

        return jacobian_by(executor, f, argnums, nesting, chunk, False, args, kwargs)

    return hessian_of


def _sparse(f: Callable[..., Any], argnums: Argnums, chunk: int | None, executor: Executor | None) -> Any:
    if chunk is not None or executor is not None:
        raise ValueError("hessian: chunk= and executor= are for the dense modes; mode='sparse' makes few passes.")
    kept: dict[Any, Any] = {}

    @presented("The Hessian", f, argnums)
    def hessian_of(*args: Any, **kwargs: Any) -> Any:
        from ..sparse.plan import sparse_matrix

        key = tuple(np.shape(x) for x in pytree.flatten(args)[0])
        function = functools.partial(f, **kwargs) if kwargs else f
        matrix, kept[key] = sparse_matrix(function, argnums, args, "hessian", kept.get(key))
        return matrix

    return hessian_of


def hvp(f: Callable[..., Any], primals: Sequence[Tree], tangents: Sequence[Tangent]) -> Tree:
    """H·t, the Hessian of a scalar function times a direction, without the Hessian: forward over reverse.

    Parameters
    ----------
    f : a function in plain NumPy that returns a real scalar.
    primals, tangents : tuples, as for `jvp`; a tangent of shape (K, *s) gives K products at once.

    Returns
    -------
    An array (or tree) like the primal; a tuple of them where there are several primals.

    Raises
    ------
    TypeError : f returns no real scalar; tangents that do not fit.

    Source: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).

    >>> import numpy as np
    >>> hvp(lambda x: (x**3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([6., 0.])
    """
    product = jvp(grad(f, argnums=tuple(range(len(primals)))), primals, tangents)[1]
    return product[0] if len(primals) == 1 else product
