"""Sums of products over repeated indices: matmul, dot, einsum and their kin; convolution.

A row says only which index sets the arguments have; pushes and pulls are the same contraction with the
sets exchanged.
"""

from __future__ import annotations

import math
import string
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from ..core.contract import split_subscripts
from ..core.directions import cast
from ..core.dispatch import canonical, primitive
from ..core.domain import A, case
from ..core.registry import Composite, Contraction, Op, Product, Via, add
from ..core.tracing import Tracer

LETTERS = string.ascii_letters

# Products of vectors, matrices and stacks of them, which broadcast, with empty ones.
VECTORS = [case(A(3), A(3)), case(A(2, 3), A(3)), case(A(2, 3), A(2, 1, 3)), case(A(0, 3), A(3)), case(A(0), A(0))]
MATRIX_VECTOR = [case(A(2, 3), A(3)), case(A(2, 2, 3), A(3)), case(A(2, 3), A(2, 3)), case(A(0, 3), A(3))]
MATRICES = [
    case(A(2, 3), A(3, 4)), case(A(2, 2, 3), A(2, 3, 2)), case(A(2, 1, 2, 3), A(3, 3, 2)), case(A(2, 3), A(2, 3, 1)),
    case(A(2, 0), A(0, 3)), case(A(0, 2), A(2, 3)),
]  # fmt: skip
MATMUL = [
    case(A(3), A(3)),
    case(A(2, 3), A(3)),
    case(A(3), A(3, 2)),
    case(A(3), A(2, 3, 2)),
    case(A(2, 2, 3), A(3)),
    *MATRICES,
]
DOT = [
    case(A(3), A(3)), case(A(2, 3), A(3)), case(A(3), A(3, 2)), case(A(2, 3), A(3, 2)), case(A(2, 3), A(2, 3, 2)),
    case(A(2, 2, 3), A(3)), case(A(), A(2, 3)), case(A(3), A()), case(A(), A()), case(A(2, 0), A(0, 3)),
]  # fmt: skip
INNER = [
    case(A(3), A(3)), case(A(2, 3), A(3)), case(A(2, 3), A(4, 3)), case(A(2, 2, 3), A(4, 3)), case(A(), A(2, 3)),
    case(A(), A()), case(A(2, 0), A(3, 0)),
]  # fmt: skip
TENSORDOT = [
    case(A(2, 3, 4), A(3, 4, 2)), case(A(2, 3), A(3, 2), axes=1), case(A(2, 3), A(2, 3), axes=0),
    case(A(2, 3), A(3, 2), 1), case(A(2, 3, 4), A(4, 3, 2), axes=([1, 2], [1, 0])),
    case(A(2, 3), A(4, 3), axes=(-1, -1)), case(A(2, 0), A(0, 3), axes=1),
    case(A(2, 3, 4), A(4, 2), axes=((0, -1), (1, 0))),
]  # fmt: skip
EINSUM = [
    case("ij,jk->ik", A(2, 3), A(3, 2)), case("ij,jk", A(2, 3), A(3, 2)), case("ij->ji", A(2, 3)),
    case("ij->j", A(2, 3)), case("ii->i", A(3, 3)), case("ii", A(3, 3)), case("ii,i->i", A(3, 3), A(3)),
    case("iji,j->i", A(2, 3, 2), A(3)), case("...ij,...j->...i", A(2, 2, 3), A(3)),
    case("...i,...i", A(2, 1, 3), A(4, 3)), case("i,j,k->kij", A(2), A(3), A(2)),
    case("ij,jk,kl->il", A(2, 3), A(3, 2), A(2, 2), optimize=True), case("ij,kl->i", A(2, 3), A(2, 2)),
    case("bij,bjk->bik", A(2, 2, 3), A(2, 3, 2)), case("ijk,lkj->il", A(2, 3, 2), A(2, 2, 3)),
    case("ij,j->i", A(2, 3), A(1)), case("ij,ij->", A(0, 3), A(0, 3)), case("i,->i", A(3), A()),
    case("ij,ij->ij", A(2, 1), A(1, 3)), case(A(2, 3), [0, 1], A(3, 2), [1, 2], [0, 2]),
    case(A(2, 3), [0, 1], A(3), [1]), case("iij->j", A(2, 2, 3)),
]  # fmt: skip
CROSS = [
    case(A(3), A(3)), case(A(2, 3), A(3)), case(A(2, 3), A(2, 3)), case(A(3, 2), A(3, 2), axis=0),
    case(A(3, 2), A(2, 3), axisa=0, axisc=0), case(A(0, 3), A(3)),
]  # fmt: skip
PAIRS = ((A(5), A(3)), (A(2), A(5)), (A(4), A(2)), (A(1), A(1)))
CONVOLVE = [case(a, v, mode=mode) for mode in ("full", "same", "valid") for a, v in PAIRS]


def _matmul(a: Any, b: Any) -> Any:
    """np.matmul; for vectors and matrices np.dot, which is the same and starts faster."""
    if type(a) is ndarray and type(b) is ndarray and 0 < a.ndim < 3 and 0 < b.ndim < 3:
        return a.dot(b)
    return np.matmul(a, b)


@lru_cache(maxsize=256)
def _matmul_text(m: int, n: int) -> str:
    """'…ij,…jk->…ik'; a vector has no row or column; batch axes align from the right."""
    batch = LETTERS[3 : 3 + max(m - 2, n - 2, 0)]
    a = "b" if m == 1 else batch[len(batch) - m + 2 :] + "ab"
    b = "b" if n == 1 else batch[len(batch) - n + 2 :] + "bc"
    return f"{a},{b}->{batch}{'a' if m > 1 else ''}{'c' if n > 1 else ''}"


@lru_cache(maxsize=256)
def _dot_text(m: int, n: int) -> str:
    """The last axis of a with the last but one of b."""
    a = LETTERS[:m]
    b = LETTERS[m : m + n]
    if m and n:
        k = max(n - 2, 0)
        b = b[:k] + a[-1] + b[k + 1 :]
        return f"{a},{b}->{a[:-1]}{b[:k]}{b[k + 1 :]}"
    return f"{a},{b}->{a}{b}"


@lru_cache(maxsize=256)
def _inner_text(m: int, n: int) -> str:
    """The last axes of both."""
    a, b = LETTERS[:m], LETTERS[m : m + n]
    return f"{a},{b[:-1]}{a[-1]}->{a[:-1]}{b[:-1]}" if m and n else f"{a},{b}->{a}{b}"


def _tensordot_text(a: Any, b: Any, axes: Any = 2) -> str:
    m, n = np.ndim(a), np.ndim(b)
    if isinstance(axes, int | np.integer):
        left, right = list(range(m - int(axes), m)), list(range(int(axes)))
    else:
        left, right = ([*x] if isinstance(x, tuple | list | np.ndarray) else [x] for x in axes)
    letters_a, letters_b = LETTERS[:m], list(LETTERS[m : m + n])
    for i, j in zip(left, right, strict=True):
        letters_b[j] = letters_a[i]
    joined = {letters_a[i] for i in left}
    out = [c for c in (*letters_a, *letters_b) if c not in joined]
    return f"{letters_a},{''.join(letters_b)}->{''.join(out)}"


def _einsum_text(text: str, *operands: Any, optimize: Any = False) -> str:
    """The index sets of np.einsum."""
    return _written_out(text, *(np.shape(x) for x in operands))


@lru_cache(maxsize=1024)
def _written_out(text: str, *shapes: tuple[int, ...]) -> str:
    """The subscripts with letters for the ellipsis and the implicit result written out.

    Where an operand has extent 1 along an index that is longer elsewhere, it gets an index of its own:
    einsum broadcasts it.
    """
    text = text.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        raise ValueError(f"np.einsum: {len(inputs)} index sets in {text!r} for {len(shapes)} operands")
    spare = [c for c in LETTERS if c not in text]
    named = [len(s.replace("...", "")) for s in inputs]
    depth = max([len(x) - k for s, k, x in zip(inputs, named, shapes, strict=True) if "..." in s], default=0)
    ellipsis = "".join(spare[:depth])
    spare = spare[depth:]
    if not arrow:
        flat = left.replace(",", "").replace(".", "")
        output = ("..." if "..." in left else "") + "".join(sorted(c for c in set(flat) if flat.count(c) == 1))
    full = [
        s.replace("...", ellipsis[len(ellipsis) - len(x) + k :]) for s, k, x in zip(inputs, named, shapes, strict=True)
    ]
    output = output.replace("...", ellipsis)
    extent: dict[str, int] = {}
    for s, x in zip(full, shapes, strict=True):
        for c, n in zip(s, x, strict=True):
            extent[c] = n if extent.get(c, 1) == 1 else extent[c]
    for j, (s, x) in enumerate(zip(full, shapes, strict=True)):
        letters = list(s)
        for place, (c, n) in enumerate(zip(s, x, strict=True)):
            if n == 1 and extent[c] != 1:
                letters[place] = spare.pop(0)
        full[j] = "".join(letters)
    return f"{','.join(full)}->{output}"


class _Einsum(Contraction):
    """np.einsum: its subscripts stand before the operands, or operands and index lists alternate."""

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if not isinstance(args[0], str):
            args = _from_lists(args)
        operands = [canonical(x) for x in args[1:]]
        if len(operands) > 2:  # the product of two of them, which a derivative takes by itself, is of the dtype of all
            dtype = np.result_type(*operands)
            operands = [np.astype(x, dtype) if hasattr(x, "astype") and x.dtype.kind in "iub" else x for x in operands]
        if params.get("dtype") is not None:
            return np.einsum(
                args[0],
                *(
                    np.astype(np.asarray(x) if not isinstance(x, Tracer) else x, np.dtype(params["dtype"]))
                    for x in operands
                ),
            )
        optimize = params.get("optimize", False)
        return trace.process(self, (args[0], *operands), {} if optimize is False else {"optimize": optimize})

    def _flops(self, y: Any, *args: Any, optimize: Any = False, **params: Any) -> float:
        """Without optimize one loop over all indices, k − 1 multiplications and an addition for k operands; with it the
        same for each step of the path that NumPy takes."""
        sets = split_subscripts(self.subscripts(*args))
        if len(sets.inputs) < 3:
            return super()._flops(y, *args)
        shapes = [np.shape(x) for x in args[1:]]
        extent: dict[str, int] = {}
        for letters, shape in zip(sets.inputs, shapes, strict=True):
            extent.update({c: n for c, n in zip(letters, shape, strict=True) if extent.get(c, 1) == 1})
        path: list[Any] = [tuple(range(len(shapes)))]
        if optimize is not False:
            text = f"{','.join(sets.inputs)}->{sets.output}"
            path = np.einsum_path(text, *(np.broadcast_to(0.0, shape) for shape in shapes), optimize=optimize)[0][1:]
        terms, total = [set(letters) for letters in sets.inputs], 0.0
        for step in path:
            taken = [terms.pop(i) for i in sorted(step, reverse=True)]
            met = set().union(*taken)
            total += max(2, len(taken)) * math.prod(extent[c] for c in met)
            terms.append(met & set(sets.output).union(*terms))
        return total


def _from_lists(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) as einsum('ab,bc->ac', x, y)."""
    pairs, out = (args[:-1], args[-1]) if len(args) % 2 else (args, None)

    def letters(numbers: Any) -> str:
        return "".join("..." if n is Ellipsis else LETTERS[n] for n in numbers)

    text = ",".join(letters(s) for s in pairs[1::2])
    return (text if out is None else f"{text}->{letters(out)}", *pairs[::2])


# fmt: off
add(Product(np.matmul,        _matmul_text, evaluate=_matmul, domain=MATMUL))
add(Product(np.dot,           _dot_text, domain=DOT))
add(Product(np.inner,         _inner_text, domain=INNER))
add(Contraction(np.tensordot, _tensordot_text, params=["axes"], domain=TENSORDOT), np.linalg.tensordot)
add(_Einsum(np.einsum,        _einsum_text, domain=EINSUM, arrays=None,
            params=["optimize", "dtype", "casting", "order"]))
# fmt: on


def _conjugate(x: Any) -> Any:
    return np.conjugate(x) if x.dtype.kind == "c" else x


def _outer(a: Any, b: Any) -> Any:
    a, b = canonical(a), canonical(b)
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


def _vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    x1, x2 = np.moveaxis(canonical(x1), axis, -1), np.moveaxis(canonical(x2), axis, -1)
    return np.einsum("...i,...i->...", _conjugate(x1), x2)


def _kron(a: Any, b: Any) -> Any:
    n = max(np.ndim(a), np.ndim(b))
    a, b = (np.reshape(x, (1,) * (n - np.ndim(x)) + np.shape(x)) for x in (canonical(a), canonical(b)))
    apart = np.reshape(a, [m for s in a.shape for m in (s, 1)]) * np.reshape(b, [m for s in b.shape for m in (1, s)])
    return np.reshape(apart, [p * q for p, q in zip(a.shape, b.shape, strict=True)])


# fmt: off
add(Composite(np.outer,   _outer, arrays=2, domain=[
    case(A(3), A(2)), case(A(2, 2), A(3)), case(A(), A(2)), case(A(0), A(2)),
]), np.linalg.outer)
add(Composite(np.vdot,    lambda a, b: np.dot(_conjugate(np.ravel(a)), np.ravel(b)), arrays=2,
              domain=[case(A(3), A(3)), case(A(2, 3), A(3, 2)), case(A(), A())]))
add(Composite(np.kron,    _kron, arrays=2, domain=[
    case(A(2), A(3)), case(A(2, 3), A(2, 2)), case(A(2, 1, 2), A(3)), case(A(), A(2)), case(A(0), A(2)),
]))
add(Composite(np.vecdot,  _vecdot, arrays=2, domain=[*VECTORS, case(A(3, 2), A(3, 2), axis=0)]), np.linalg.vecdot)
add(Composite(np.matvec,  lambda x1, x2: np.einsum("...ij,...j->...i", x1, x2), arrays=2, domain=MATRIX_VECTOR))
add(Composite(np.vecmat,  lambda x1, x2: np.einsum("...i,...ij->...j", _conjugate(x1), x2), arrays=2,
              domain=[case(A(3), A(3, 2)), case(A(2, 3), A(3, 2)), case(A(3), A(2, 3, 2)), case(A(0, 3), A(3, 2))]))
add(Composite(np.linalg.matmul, lambda x1, x2: np.matmul(x1, x2), arrays=2, domain=MATRICES))
# fmt: on


def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(canonical(a), axisa, -1), np.moveaxis(canonical(b), axisb, -1)
    if not {a.shape[-1], b.shape[-1]} <= {2, 3}:
        raise ValueError(
            f"incompatible dimensions for cross product (dimension must be 2 or 3), got {a.shape[-1]} and {b.shape[-1]}"
        )
    a0, a1, b0, b1 = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        message = "Arrays of 2-dimensional vectors are deprecated. Use arrays of 3-dimensional vectors instead."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    if a.shape[-1] == b.shape[-1] == 2:
        return a0 * b1 - a1 * b0
    a2, b2 = (x[..., 2] if x.shape[-1] == 3 else np.zeros(x.shape[:-1], x.dtype) for x in (a, b))
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axisc)


def _cross3(x1: Any, x2: Any, axis: int = -1) -> Any:
    x1, x2 = canonical(x1), canonical(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            f"Both input arrays must be (arrays of) 3-dimensional vectors, but they are {x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    return _cross(x1, x2, axis=axis)


add(Composite(np.cross, _cross, arrays=2, domain=CROSS))
add(
    Composite(
        np.linalg.cross,
        _cross3,
        arrays=2,
        domain=[
            case(A(3), A(3)),
            case(A(2, 3), A(3)),
            case(A(3, 2), A(3, 2), axis=0),
        ],
    )
)


# ---------------------------------------------------------------------------------------------------
# Convolution: y_k = Σ_i a_i v_{k−i}, linear in both
# ---------------------------------------------------------------------------------------------------


def _convolve_full(a: Any, v: Any) -> Any:
    """np.convolve(a, v, 'full'): n + m − 1 values; the primitive behind every mode."""
    return np.convolve(a, v)


def _convolve_rows(t: Any, v: Any) -> Any:
    """Each row of t convolved with v: windows of the padded rows against v turned round."""
    if t.ndim == 1:
        return np.convolve(t, v)
    m = v.shape[0]
    padded = np.pad(t, [(0, 0)] * (t.ndim - 1) + [(m - 1, m - 1)])
    return np.lib.stride_tricks.sliding_window_view(padded, m, axis=-1) @ np.flip(v)


def _correlate_rows(u: Any, v: Any) -> Any:
    """g_i = Σ_j u_{i+j} v_j, the transpose of convolving with v."""
    if u.ndim == 1:
        return np.convolve(u, np.flip(v), mode="valid")
    return np.lib.stride_tricks.sliding_window_view(u, v.shape[0], axis=-1) @ v


CONVOLVE_FULL = add(
    Via(
        _convolve_full,
        [
            lambda t, y, a, v: cast(_convolve_rows(t, v), y.dtype),
            lambda t, y, a, v: cast(_convolve_rows(t, a), y.dtype),
        ],
        [
            lambda u, y, a, v: cast(_correlate_rows(u, v), a.dtype),
            lambda u, y, a, v: cast(_correlate_rows(u, a), v.dtype),
        ],
        name="convolve",
        domain=[case(A(5), A(3)), case(A(2), A(4)), case(A(1), A(1))],
        flops=lambda y, a, v: 2 * np.size(a) * np.size(v),
    )
)
convolve_full = primitive(CONVOLVE_FULL)


class _Convolve(Op):
    """np.convolve and np.correlate: a part of the full convolution."""

    def __init__(self, fn: Any, correlate: bool, default: str) -> None:
        super().__init__(fn, arrays=2, params=["mode"], domain=CONVOLVE if correlate else [*CONVOLVE, case(A(), A(3))])
        self.correlate = correlate
        self.default = default
        self.pushes = self.pulls = ()

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        a, v = canonical(args[0]), canonical(args[1])
        if not self.correlate:
            a, v = np.atleast_1d(a), np.atleast_1d(v)
        mode = params.get("mode", self.default)
        n, m = max(a.shape[0], v.shape[0]), min(a.shape[0], v.shape[0])
        first = (m - 1) // 2
        if self.correlate:  # y_k = Σ_i a_{i+k} conj(v_i); NumPy turns the result round where v is the longer
            first = m // 2 if a.shape[0] < v.shape[0] else first
            v = np.flip(_conjugate(v))
        full = convolve_full(a, v)
        if mode == "full":
            return full
        return full[first : first + n] if mode == "same" else full[m - 1 : n]


add(_Convolve(np.convolve, correlate=False, default="full"))
add(_Convolve(np.correlate, correlate=True, default="valid"))
