"""Contractions by index sets: 'ij,jk->ik' is planned once and then runs as one call of np.matmul.

`pairwise` turns two index sets into transposes, one matmul and a reshape, so that K directions at once
are BLAS-3 work.  Everything is plain NumPy on possibly traced values.
"""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .zeros import SINGULAR_PRODUCTS, singular


class Subscripts(NamedTuple):
    """The index sets of a contraction: one string of letters an operand, and the result's."""

    inputs: tuple[str, ...]
    output: str

    @property
    def fresh(self) -> str:
        """A letter that the contraction does not use: the direction axis."""
        used = set("".join(self.inputs))
        return next(c for c in string.ascii_letters if c not in used)


@lru_cache(maxsize=4096)
def split_subscripts(text: str) -> Subscripts:
    """'ij,jk->ik' as `Subscripts`."""
    left, output = text.split("->")
    return Subscripts(tuple(left.split(",")), output)


@lru_cache(maxsize=4096)
def push_plan(text: str, i: int, directions: bool, product: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Run the contraction with operand i replaced by its tangent (directions lead): plan(*operands).

    product: what multiplies instead of np.multiply, where an operand is singular (see `by_products`).
    """
    sets = split_subscripts(text)
    z = sets.fresh if directions else ""
    inputs = tuple(z + s if j == i else s for j, s in enumerate(sets.inputs))
    return by_products(Subscripts(inputs, z + sets.output), product)


@lru_cache(maxsize=4096)
def pull_plan(
    text: str, i: int, directions: bool, product: Callable[..., Any] | None = None
) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """The transpose in operand i: run(u, *other operands), then expand(g, shape of operand i) if there is one."""
    sets = split_subscripts(text)
    z = sets.fresh if directions else ""
    others = tuple(s for j, s in enumerate(sets.inputs) if j != i)
    wanted = sets.inputs[i]
    # A letter of operand i that stands nowhere else was summed: its cotangent is constant along it.
    # A letter that it repeats (a diagonal) takes its cotangent on that diagonal alone.
    known = set(sets.output) | set("".join(others))
    reached = "".join(dict.fromkeys(c for c in wanted if c in known))
    run = by_products(Subscripts((z + sets.output, *others), z + reached), product)
    if reached == wanted:
        return run, None
    unique = "".join(dict.fromkeys(wanted))

    def expand(g: Any, shape: tuple[int, ...]) -> Any:
        lead = g.shape[: len(z)]
        sizes = dict(zip(wanted, shape, strict=True))
        present = dict(zip(reached, g.shape[len(z) :], strict=True))
        g = np.reshape(g, lead + tuple(present.get(c, 1) for c in unique))
        g = np.broadcast_to(g, lead + tuple(sizes[c] if present.get(c, 1) == 1 else present[c] for c in unique))
        return _onto_diagonals(g, unique, wanted) if unique != wanted else g

    return run, expand


def _onto_diagonals(g: Any, unique: str, wanted: str) -> Any:
    """Place g, indexed by `unique`, on the diagonals of an array indexed by `wanted` (letters repeat)."""
    lead = g.ndim - len(unique)
    order = []
    for place, c in enumerate(wanted):
        if c not in wanted[:place]:
            order.append(unique.index(c))
            continue
        axis = unique.index(c)  # one more copy of axis c, kept apart by an identity
        n = g.shape[lead + axis]
        g = np.where(np.eye(n, dtype=bool).reshape((n,) + (1,) * (g.ndim - lead - axis - 1) + (n,)), g[..., None], 0.0)
        order.append(g.ndim - lead - 1)
    return np.transpose(g, (*range(lead), *(lead + i for i in order)))


def by_products(sets: Subscripts, product: Callable[..., Any] | None) -> Callable[..., Any]:
    """The contraction; where an operand holds inf or nan, one product after the other by `product`, and their sum."""
    run = contraction(sets)
    if product is None or any(len(set(s)) < len(s) for s in sets.inputs):
        return run
    summed = [c for c in dict.fromkeys("".join(sets.inputs)) if c not in sets.output]
    every = sets.output + "".join(summed)

    def contract(*operands: Any) -> Any:
        spread = [
            np.reshape(
                np.transpose(x, sorted(range(len(s)), key=lambda k: every.index(s[k]))),
                [dict(zip(s, np.shape(x), strict=True)).get(c, 1) for c in every],
            )
            for s, x in zip(sets.inputs, operands, strict=True)
        ]
        size = math.prod(np.broadcast_shapes(*(x.shape for x in spread)))
        if size > SINGULAR_PRODUCTS or not any(map(singular, operands)):
            return run(*operands)
        products = functools.reduce(product, spread)
        return np.sum(products, axis=tuple(range(len(sets.output), len(every))))

    return contract


@lru_cache(maxsize=4096)
def contraction(sets: Subscripts) -> Callable[..., Any]:
    """A function of the operands that contracts them as the index sets say."""
    if len(sets.inputs) == 1:
        return lambda x: _single(sets.inputs[0], sets.output, x)
    if len(sets.inputs) == 2 and all(len(set(s)) == len(s) for s in sets.inputs):
        return pairwise(*sets.inputs, sets.output)
    text = ",".join(sets.inputs) + "->" + sets.output
    if len(sets.inputs) == 2:
        return lambda x, y: np.einsum(text, x, y)
    return lambda *operands: _in_pairs(text, *(np.shape(x) for x in operands))(*operands)


@lru_cache(maxsize=4096)
def _in_pairs(text: str, *shapes: tuple[int, ...]) -> Callable[..., Any]:
    """A contraction of three operands or more as contractions of two, in the order that NumPy finds for the shapes.

    `np.einsum(..., optimize=True)` looks for that order in every call, which takes longer than small products do.
    """
    sets = split_subscripts(text)
    path = np.einsum_path(text, *(np.broadcast_to(0.0, shape) for shape in shapes), optimize=True)[0][1:]
    terms, steps = list(sets.inputs), []
    for step in path:
        places = sorted(step, reverse=True)
        met = [terms.pop(place) for place in places]
        kept = set(sets.output).union(*terms)
        left = sets.output if not terms else "".join(dict.fromkeys(c for c in "".join(met) if c in kept))
        terms.append(left)
        one_by_one = f"{','.join(met)}->{left}"
        run = contraction(Subscripts(tuple(met), left)) if len(met) < 3 else functools.partial(np.einsum, one_by_one)
        steps.append((places, run))

    def contract(*operands: Any) -> Any:
        left = list(operands)
        for places, run in steps:
            left.append(run(*[left.pop(place) for place in places]))
        return left[0]

    return contract


def _single(letters: str, output: str, x: Any) -> Any:
    """Sums, transposes and diagonals of one operand."""
    if letters == output:
        return x
    if len(set(letters)) < len(letters):
        return np.einsum(f"{letters}->{output}", x)
    summed = tuple(i for i, c in enumerate(letters) if c not in output)
    if summed:
        x = np.sum(x, axis=summed)
        letters = "".join(c for c in letters if c in output)
    return x if letters == output else np.transpose(x, [letters.index(c) for c in output])


def pairwise(a: str, b: str, out: str) -> Callable[[Any, Any], Any]:
    """Contract two operands without repeated letters.

    Letters fall into four groups: batch (in a, b and out), contracted (in a and b), left (a and out),
    right (b and out).  With a arranged as (batch, left, contracted) and b as (batch, contracted, right),
    np.matmul gives (batch, left, right).  A letter of one operand alone that is not in out is summed first.
    """
    alone_a = [c for c in a if c not in b and c not in out]
    alone_b = [c for c in b if c not in a and c not in out]
    if alone_a or alone_b:
        a2 = "".join(c for c in a if c not in alone_a)
        b2 = "".join(c for c in b if c not in alone_b)
        inner = pairwise(a2, b2, out)
        return lambda x, y: inner(_single(a, a2, x), _single(b, b2, y))
    batch = "".join(c for c in out if c in a and c in b)
    left = "".join(c for c in out if c in a and c not in b)
    right = "".join(c for c in out if c in b and c not in a)
    common = "".join(c for c in a if c in b and c not in out)
    if right and left and out.index(right[0]) < out.index(left[0]):
        swapped = pairwise(b, a, out)
        return lambda x, y: swapped(y, x)
    if not common:
        return _outer(a, b, out)
    if common == "".join(c for c in b if c in common) and max(len(left), len(right), len(common)) <= 1:
        return _matmul(a, b, out, batch, left, right, common)
    return _grouped(a, b, out, batch, left, right, common)


def _permutation(have: str, want: str) -> Callable[[Any], Any] | None:
    """A function that brings axes into the wanted order; None where they have it."""
    if have == want:
        return None
    if len(have) == 2:
        return lambda x: x.T
    axes = tuple(have.index(c) for c in want)
    return lambda x: x.transpose(axes)


def _permute(x: Any, have: str, want: str) -> Any:
    permutation = _permutation(have, want)
    return x if permutation is None else permutation(x)


def _outer(a: str, b: str, out: str) -> Callable[[Any, Any], Any]:
    """No index is contracted: a product by broadcasting."""
    order_a = "".join(c for c in out if c in a)
    order_b = "".join(c for c in out if c in b)
    index_a = tuple(slice(None) if c in a else None for c in out)
    index_b = tuple(slice(None) if c in b else None for c in out)
    pad_a = None in index_a[next((i for i, c in enumerate(out) if c in a), len(out)) :]
    pad_b = None in index_b[next((i for i, c in enumerate(out) if c in b), len(out)) :]

    def run(x: Any, y: Any) -> Any:
        x, y = _permute(x, a, order_a), _permute(y, b, order_b)
        return (x[index_a] if pad_a else x) * (y[index_b] if pad_b else y)

    return run


def _dot(a: Any, b: Any) -> Any:
    """np.matmul for vectors and matrices: the method dot is the same and starts faster."""
    return a.dot(b) if type(a) is ndarray and type(b) is ndarray else np.dot(a, b)


def _matmul(a: str, b: str, out: str, batch: str, left: str, right: str, common: str) -> Callable[[Any, Any], Any]:
    """Groups of at most one letter: np.matmul without a reshape."""
    want_a, want_b = batch + left + common, batch + common + right
    have = batch + left + right
    if not batch or (left and right):
        if a == want_a and b == want_b and have == out:
            return _dot if len(a) <= 2 and len(b) <= 2 else np.matmul
        return _transposed(_permutation(a, want_a), _permutation(b, want_b), _permutation(have, out), len(a), len(b))

    def run(x: Any, y: Any) -> Any:  # matrix-vector products in a batch: a row or a column of extent 1
        x, y = _permute(x, a, want_a), _permute(y, b, want_b)
        z = np.matmul(x if left else x[..., None, :], y if right else y[..., None])
        z = z if right else z[..., 0]
        return _permute(z if left else (z[..., 0, :] if right else z[..., 0]), have, out)

    return run


def _transposed(first: Any, second: Any, last: Any, m: int, n: int) -> Callable[[Any, Any], Any]:
    """A matrix product of permuted arguments."""
    product = _dot if m <= 2 and n <= 2 else np.matmul
    if last is None and first is None:
        return lambda x, y: product(x, second(y))
    if last is None and second is None:
        return lambda x, y: product(first(x), y)

    def run(x: Any, y: Any) -> Any:
        z = product(x if first is None else first(x), y if second is None else second(y))
        return z if last is None else last(z)

    return run


def _grouped(a: str, b: str, out: str, batch: str, left: str, right: str, common: str) -> Callable[[Any, Any], Any]:
    """Groups of several letters: each is reshaped into one axis.  Extents of 1 broadcast, as in np.einsum."""

    def run(x: Any, y: Any) -> Any:
        x, y = _permute(x, a, batch + left + common), _permute(y, b, batch + common + right)
        n, p = len(batch), len(common)
        inner_x, inner_y = x.shape[x.ndim - p :], y.shape[n : n + p]
        if inner_x != inner_y:
            inner = tuple(max(i, j) if i and j else 0 for i, j in zip(inner_x, inner_y, strict=True))
            x = np.broadcast_to(x, x.shape[: x.ndim - p] + inner)
            y = np.broadcast_to(y, y.shape[:n] + inner + y.shape[n + p :])
        rows, columns = x.shape[n : x.ndim - p], y.shape[n + p :]
        size = _product(y.shape[n : n + p])
        z = np.matmul(
            np.reshape(x, (*x.shape[:n], _product(rows), size)), np.reshape(y, (*y.shape[:n], size, _product(columns)))
        )
        return _permute(np.reshape(z, z.shape[:n] + rows + columns), batch + left + right, out)

    return run


def _product(extents: Sequence[int]) -> int:
    result = 1
    for n in extents:
        result *= n
    return result
