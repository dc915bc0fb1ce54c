"""Which entries of a Jacobian or Hessian may be nonzero: index sets carried through a recorded program.

For every value of the program a boolean matrix tells on which inputs each element depends; `dependence` has the rules
by which an instruction makes the index sets of its results from those of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import pytree
from ..core.progress import PATIENCE, bar
from ..core.registry import Passive
from ..core.tracing import Tracer
from ..program.program import Program
from ..program.recording import GUARD, NESTED, Instruction, Value
from ..transforms.arguments import Argnums, chosen_leaves
from ..transforms.dense import grad
from .dependence import Unbounded, Walk
from .indexsets import below, block, nothing
from .replay import Replay
from .spy import Pattern


def jacobian_pattern(f: Callable[..., Any], *args: Any, argnums: Argnums = 0, local: bool = False) -> Any:
    """Where the Jacobian of f may be nonzero.

    Parameters
    ----------
    f : a function in plain NumPy, of real arrays or trees of them.
    *args : its arguments; for a global pattern their values only decide the branches that f takes.
    argnums : which of them are differentiated, counted from 0; one, or a tuple of them.
    local : the pattern at this point alone: of `np.where`, `maximum`, `sort` … what is taken here, and no partial that
        is zero here. Else the pattern of all points at which f takes the same branches, no values assumed.

    Returns
    -------
    Pattern : a scipy.sparse.csr_array of booleans that shows itself, shape (m, n): the result by the differentiated
    arguments, raveled and, where there are several leaves, concatenated. Constants of f are looked at: W @ x has the
    pattern of W.

    Raises
    ------
    TypeError : an integer or complex array to differentiate by, a traced value, argnums out of range.
    ValueError : argnums that name no argument, or one twice.  PatternTooDense : more than 2²⁸ entries on the way.

    Source: index domains, Griewank and Walther, "Evaluating Derivatives", 2nd ed., section 7.1.

    >>> import numpy as np
    >>> jacobian_pattern(lambda x: x[1:] * x[:-1], np.zeros(3)).astype(int).toarray()
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    refuse_traced(args)
    found = _replay(f, args, argnums)
    return Pattern(pattern_of(found.program, found.active, found.args, local))


def hessian_pattern(f: Callable[..., Any], *args: Any, argnums: Argnums = 0, local: bool = False) -> Any:
    """Where the Hessian of a scalar f may be nonzero: the pattern of its gradient's Jacobian, made symmetric.

    Parameters
    ----------
    f : a function in plain NumPy, of real arrays or trees of them, that returns a real scalar.
    *args : its arguments; for a global pattern their values only decide the branches that f takes.
    argnums : which of them are differentiated, counted from 0; one, or a tuple of them.
    local : the pattern at this point alone, else that of all points at which f takes the same branches.

    Returns
    -------
    Pattern : a symmetric scipy.sparse.csr_array of booleans that shows itself, shape (n, n).

    Raises
    ------
    TypeError, ValueError, PatternTooDense : as `jacobian_pattern`; TypeError too where f returns no real scalar.

    Source: Walther, "Computing sparse Hessians with automatic differentiation", ACM TOMS 34 (2008); here the pattern of
    the gradient's Jacobian by index domains.

    >>> import numpy as np
    >>> hessian_pattern(lambda x: np.sum(x[1:] * x[:-1] ** 2), np.zeros(3)).astype(int).toarray()
    array([[1, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])
    """
    found = jacobian_pattern(grad(f, argnums), *args, argnums=argnums, local=local)
    return Pattern(found + found.T)


def refuse_traced(args: Any) -> None:
    """A sparse matrix of SciPy holds no traced values: raise for them."""
    if any(isinstance(x, Tracer) for x in pytree.flatten(args)[0]):
        raise TypeError(
            "a sparse Jacobian of traced values: its scipy.sparse matrix cannot carry a derivative further. Inside "
            "another transform take mode='forward' or 'reverse', or J·t and Jᵀ·u by jvp and vjp."
        )


def _replay(f: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums) -> Replay:
    """f at its arguments, by those that argnums names, which are real."""
    places = tuple(argnums) if isinstance(argnums, tuple | list) else (argnums,)
    _, chosen, _ = chosen_leaves(f, argnums, args, {})
    if len({p % len(args) for p in places}) < max(1, len(places)):
        raise ValueError(f"argnums={argnums}: name one or more arguments, each once.")
    if any(x.dtype.kind == "c" for x in chosen):
        raise TypeError("the pattern of a function of complex arguments: pass their real and imaginary parts instead.")
    return Replay(f, argnums, args, {})


def pattern_of(program: Program, active: Sequence[Value], args: tuple[Any, ...] | None, local: bool = False) -> Any:
    """The pattern of a program's outputs by some of its inputs; see `jacobian_pattern`.

    Parameters
    ----------
    program : made by `trace`.
    active : those of program.inputs to differentiate by, in the order of the columns.
    args : arguments as program(*args) takes them, of which a local pattern is that; a global one needs none.
    """
    if local:
        point = dict(zip(program.inputs, program.checked(args or ()), strict=True))
        try:
            return _carried(program, active, point, dropping=True)
        except Unbounded:
            return _carried(program, active, point, dropping=False)
    return _carried(program, active, {}, dropping=False)


def _carried(program: Program, active: Sequence[Value], point: dict[Value, Any], dropping: bool) -> Any:
    """The index sets of the outputs, from those of the active inputs, through every instruction that they need."""
    walk = Walk(sum(v.size for v in active), point, dropping)
    first = 0
    for v in active:
        walk.sets[v] = block(first, v.size, walk.columns)
        first += v.size
    for x, known in _guarded(program):
        walk.guard(x, known)
    needed = _needed(program)
    with bar("sparsity pattern", len(needed), PATIENCE) as step:
        for instruction, gone in needed:
            step(instruction.op.name)
            walk.carry(instruction)
            for v in gone:
                walk.sets.pop(v, None)
    return _finished([_of_output(walk, y) for y in program.outputs], walk.columns)


def _guarded(program: Program) -> list[tuple[Value, Any]]:
    """What the program takes for granted, also of a value that is computed again: x[x > 0] guards the other x > 0."""
    known = {i.args[0]: i.args[1] for i in program.instructions if i.op is GUARD and i.args[0].dtype.kind in "iub"}
    if not known:
        return []
    tests = [i for i in program.instructions if isinstance(i.op, Passive) and isinstance(i.out, Value)]
    alike = {_key(i): known[i.out] for i in tests if i.out in known}
    return [*known.items(), *((i.out, alike[_key(i)]) for i in tests if i.out not in known and _key(i) in alike)]


def _key(instruction: Instruction) -> Any:
    """Equal for instructions that compute the same: constants of equal content are one in a program."""
    names = sorted(instruction.params)
    named = [*instruction.args, *names, *(instruction.params[k] for k in names)]
    if any(type(x) in NESTED for x in named):
        return instruction
    return instruction.op, tuple(id(x) if isinstance(x, Value | np.ndarray) else repr(x) for x in named)


def _needed(program: Program) -> list[tuple[Instruction, list[Value]]]:
    """The instructions that the outputs need, each with the values that none behind it needs."""
    wanted = {y for y in program.outputs if isinstance(y, Value)}
    found = []
    for instruction in reversed(program.instructions):
        if instruction.op is not GUARD and not wanted.isdisjoint(instruction.outs):
            last = [v for v in dict.fromkeys(instruction.uses) if v not in wanted]
            wanted.update(last)
            found.append((instruction, last))
    return found[::-1]


def _of_output(walk: Walk, y: Any) -> Any:
    rows = walk.rows(y)
    return nothing(y.size if isinstance(y, Value) else int(np.size(y)), walk.columns) if rows is None else rows


def _finished(parts: list[Any], columns: int) -> Any:
    found = below(parts).copy() if parts else nothing(0, columns)
    found.sort_indices()
    return found
