"""Where a row of the table is sampled in tests: the words in which it says so.

An elementwise row names an interval an argument; shapes that broadcast are the tests' own choice.  Any other row
lists calls: `[case(A(3, 4)), case(A(2, 3), axis=1, keepdims=True)]`, where A(*shape) stands for a random array, by
which the call is differentiated.  All else in a call is passed on as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

Intervals = Sequence[tuple[float, float]]

# Unions of intervals that stay clear of kinks and poles.
REAL = ((-3.0, 3.0),)
POSITIVE = ((0.3, 3.0),)
NONZERO = ((-3.0, -0.3), (0.3, 3.0))
UNIT = ((-0.9, 0.9),)
ABOVE_ONE = ((1.2, 3.0),)
SMALL_INTEGERS = (2, 3)  # a tuple of numbers: sampled from these, not differentiated

# Imaginary parts of complex samples, clear of the branch cuts on the axes.
IMAGINARY = ((-0.9, -0.3), (0.3, 0.9))


def well_conditioned(x: Any) -> Any:
    """A random matrix, or a stack, made diagonally dominant."""
    return x + 4 * x.shape[-1] * np.eye(x.shape[-1])


def positive_definite(x: Any) -> Any:
    """A random matrix, or a stack, made Hermitian with its eigenvalues above 1 and apart."""
    n = x.shape[-1]
    return x @ np.conjugate(np.swapaxes(x, -1, -2)) / n + np.diag(np.arange(1.0, n + 1))


def spaced(n: int) -> A:
    """n random numbers in increasing order, at least 0.5 apart."""
    return A(n, within=lambda x: np.arange(n) + x / 12, dtype="f")


class A:
    """A random array of a shape in a call that a row gives as an example.

    within : intervals, or a function that makes a random array fit, of those above.
    dtype : "c" or "f" where the argument is complex or real in every test; else tests choose.
    """

    def __init__(self, *shape: int, within: Intervals | Callable[[Any], Any] = REAL, dtype: str | None = None) -> None:
        self.shape = shape
        self.within = within
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"A{self.shape if len(self.shape) != 1 else f'({self.shape[0]})'}"

    def sample(self, rng: np.random.Generator, kind: str = "f") -> Any:
        """One array of double precision, real for kind 'f' and complex for 'c'."""
        fits = callable(self.within)
        x = uniform(rng, self.shape, REAL if callable(self.within) else self.within)
        if (self.dtype or kind) == "c":
            x = x + 1j * uniform(rng, self.shape, IMAGINARY)
        return self.within(x) if fits and callable(self.within) else x


def uniform(rng: np.random.Generator, shape: tuple[int, ...], intervals: Intervals) -> Any:
    """Numbers drawn evenly from a union of intervals."""
    ends = np.array(intervals)
    low, high = np.moveaxis(ends[rng.integers(len(ends), size=shape)], -1, 0)
    return low + (high - low) * rng.random(shape)


class Case:
    """One call: arguments and parameters, random arrays among them, in lists and tuples too."""

    def __init__(self, args: tuple[Any, ...], params: dict[str, Any]) -> None:
        self.args = args
        self.params = params

    @cached_property
    def arrays(self) -> list[A]:
        """The random arrays, in order."""
        return list(_arrays((self.args, self.params)))

    def __repr__(self) -> str:
        return ", ".join([*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.params.items())])

    def fill(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments and parameters with `values` in place of the random arrays, in order."""
        remaining = iter(values)
        filled: tuple[tuple[Any, ...], dict[str, Any]] = _filled((self.args, self.params), remaining)
        return filled


def case(*args: Any, **params: Any) -> Case:
    """A call of the row's function, to be tested."""
    return Case(args, params)


class OnlyReal(list[Case]):
    """Calls of a function that has no meaning, or no derivative, for complex arguments."""


class Apart(tuple[Any, ...]):
    """Intervals of a function whose values have too few digits for short differences: it has tests of its own."""


def along_axes(*extra: Case, **params: Any) -> list[Case]:
    """Calls of a function with axis= and keepdims= that takes several axes: every way to name them, empty, 0-d."""
    return [
        case(A(4), **params),
        case(A(), **params),
        case(A(2, 3), axis=None, keepdims=True, **params),
        case(A(2, 3), axis=0, **params),
        case(A(2, 3, 2), axis=(0, -1), **params),
        case(A(2, 3, 2), axis=(-2,), keepdims=True, **params),
        case(A(0, 3), axis=1, **params),
        *extra,
    ]


def along_one(*extra: Case, **params: Any) -> list[Case]:
    """Calls of a function of one axis."""
    return [
        case(A(4), **params),
        case(A(2, 3), axis=0, **params),
        case(A(2, 3, 2), axis=-2, **params),
        case(A(0, 3), axis=1, **params),
        *extra,
    ]


def _arrays(tree: Any) -> Iterator[A]:
    if isinstance(tree, A):
        yield tree
    elif isinstance(tree, tuple | list):
        for branch in tree:
            yield from _arrays(branch)
    elif isinstance(tree, dict):
        yield from _arrays(list(tree.values()))


def _filled(tree: Any, values: Iterator[Any]) -> Any:
    if isinstance(tree, A):
        return next(values)
    if isinstance(tree, tuple | list):
        return type(tree)(_filled(branch, values) for branch in tree)
    if isinstance(tree, dict):
        return {k: _filled(branch, values) for k, branch in tree.items()}
    return tree
