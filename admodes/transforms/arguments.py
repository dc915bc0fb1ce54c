"""Which arguments a transform is taken by: `argnums`, and f as a function of these alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..core import pytree
from ..core.creation import known_by
from ..core.dispatch import apply, is_memory
from ..core.lending import lent
from ..core.registry import Elementwise

Argnums = int | Sequence[int]


SEVERAL = (tuple, list)  # the kinds of argnums that name several arguments

Made = TypeVar("Made", bound=Callable[..., Any])


def check_asked(transform: str, f: Any, argnums: Any) -> None:
    """Raise where a transform was asked for as if it were its result: grad(f, x) in place of grad(f)(x)."""
    if not callable(f):
        raise TypeError(
            f"{transform}(f) takes a function, and got {_a(f)}: write {transform}(f)(x), where f is the function and x "
            "what it is called with."
        )
    places = argnums if isinstance(argnums, SEVERAL) else (argnums,)
    for i in places:
        if not isinstance(i, int | np.integer):
            raise TypeError(
                f"{transform}(f, argnums): got {_a(argnums)} where the numbers of arguments stand (0 for the first). "
                f"{transform}(f) is a function of f's arguments: write {transform}(f)(x)."
            )


def _a(x: Any) -> str:
    shape = f" of shape {x.shape}" if is_memory(x) else ""
    return f"the {type(x).__name__} {x!r}" if isinstance(x, int | float | complex) else f"a {type(x).__name__}{shape}"


def presented(what: str, f: Callable[..., Any], argnums: Argnums) -> Callable[[Made], Made]:
    """As functools.wraps(f), but the docstring says first what it is that f's arguments are given to."""

    def decorated(made: Made) -> Made:
        functools.update_wrapper(made, f)
        name = getattr(f, "__name__", type(f).__name__)
        several = f"arguments {tuple(argnums)}" if isinstance(argnums, SEVERAL) else f"argument {argnums}"
        told = f"{what} of {name} by its {several}; it takes the arguments of {name}."
        made.__doc__ = f"{told}\n\n{name}: {f.__doc__}" if f.__doc__ else told
        return made

    return decorated


def partial_at(
    f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """f as a function of the chosen arguments alone, and their values."""
    if len(args) == 1 and type(argnums) is int and -1 <= argnums <= 0 and not kwargs:
        return f, args
    places = tuple(argnums) if isinstance(argnums, SEVERAL) else (argnums,)
    for i in places:
        if not -len(args) <= i < len(args):
            raise TypeError(
                f"argnums={argnums} names argument {i}, but the function was called with {len(args)} "
                "positional arguments. "
                "Arguments to differentiate by are given by position."
            )
    if len(args) == len(places) == 1 and not kwargs:
        return f, args
    again = False

    def function(*chosen: Any) -> Any:
        nonlocal again
        if again:
            refuse_iterators((*args, *kwargs.values()))
        again = True
        full, named, loans = lent(f, args, kwargs)
        given = set()
        for i, x in zip(places, chosen, strict=True):
            i %= len(args)
            full[i] = x if i not in given else _both(full[i], x)
            given.add(i)
        y = f(*full, **named)
        if loans is not None:
            loans.returned()
        return y

    return known_by(function, f), tuple(args[i] for i in places)


def refuse_iterators(arguments: Iterable[Any]) -> None:
    """Raise where one of the arguments of a function that runs several times can be read once."""
    for a in arguments:
        if hasattr(type(a), "__next__"):
            raise TypeError(
                f"an argument is a {type(a).__name__}, which is read once, and the function runs several times until "
                "its derivative is known. Pass a list: list(it)."
            )


# An argument that is named twice, (0, 0) or (0, -2): y = a = b, and the derivative by each name is that by it.
# For the transforms below there is one of them, a: this is what `evaluate` gives, traced by them or not.
_SAME = Elementwise(lambda a, b: a, [1.0, 1.0], name="same_argument")


def _both(a: Any, b: Any) -> Any:
    (xs, structure), (ys, _) = pytree.flatten(a), pytree.flatten(b)
    return pytree.unflatten(structure, [apply(_SAME, (x, y), {}) for x, y in zip(xs, ys, strict=True)])


def chosen_leaves(
    f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], list[Any], Any]:
    """f as a function of the chosen arguments, their leaves, checked, and the structure of their tuple."""
    function, chosen = partial_at(f, argnums, args, kwargs)
    leaves, structure = pytree.flatten(chosen)
    return (
        function,
        [pytree.differentiable(x, _argument, argnums, i, len(leaves)) for i, x in enumerate(leaves)],
        structure,
    )


def _argument(argnums: Argnums, i: int, count: int) -> str:
    one = not isinstance(argnums, SEVERAL)
    return f"argument {argnums}" if one and count == 1 else f"leaf {i} of the arguments {argnums}"


def replaced(flat: Sequence[Any], places: Sequence[int], new: Sequence[Any]) -> list[Any]:
    """flat with other values at some places."""
    full = list(flat)
    for k, x in zip(places, new, strict=True):
        full[k] = x
    return full
