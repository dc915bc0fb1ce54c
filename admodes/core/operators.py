"""The Python operators and the array methods of a traced value, each from its row; `ops` calls `define_operators`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from .calls import call, store
from .dispatch import OPERATORS, apply, binary, ordinary, squared, unary
from .errors import Deferred
from .registry import OPS, Op
from .roots import power
from .tracing import Tracer
from .views import ground

# Row -> what carries it out where the other operand is of another library, (a, b) -> result or NotImplemented.
PARTNERS: dict[Op, Callable[[Any, Any], Any]] = {}


def partner(op: Op, a: Any, b: Any) -> Any:
    """An operator with an operand of another library; NotImplemented leaves it to that."""
    return PARTNERS[op](a, b) if op in PARTNERS else NotImplemented


def _operators(op: Op, symbol: str) -> None:
    """Define x ∘ y, y ∘ x and x ∘= y, which changes an array in place and, like Python, gives a new scalar."""

    def forward(self: Tracer, other: Any) -> Any:
        try:
            return binary(op, self, other)
        except Deferred:
            return partner(op, self, other)

    def reflected(self: Tracer, other: Any) -> Any:
        try:
            return binary(op, other, self)
        except Deferred:
            return partner(op, other, self)

    def in_place(self: Tracer, other: Any) -> Any:
        return _in_place(op, self, binary(op, self, other))

    def forward_of_squares(self: Tracer, other: Any) -> Any:
        try:
            return binary(op, self, other) if other is not self else squared(op, self, other)
        except Deferred:
            return partner(op, self, other)

    def forward_of_powers(self: Tracer, other: Any) -> Any:
        try:
            kind = type(other)
            if (kind is int or kind is float) and other % 2 == 0:
                return squared(op, self, other) if other == 2 else power(op, self, other)
            return binary(op, self, other)
        except Deferred:
            return partner(op, self, other)

    own = {np.multiply: forward_of_squares, np.power: forward_of_powers}.get(op.fn, forward)
    setattr(Tracer, f"__{symbol}__", own)
    setattr(Tracer, f"__r{symbol}__", reflected)
    setattr(Tracer, f"__i{symbol}__", in_place)


def _passive_operators(op: Op, symbol: str, reflected: str = "") -> None:
    """Comparisons and floor division: the result is plain."""

    def forward(self: Tracer, other: Any) -> Any:
        kind = type(other)
        if kind is not ndarray and kind is not float and issubclass(kind, ndarray) and not ordinary(kind):
            return NotImplemented  # Python asks the operators of its own
        return apply(op, (self, other), {})

    setattr(Tracer, f"__{symbol}__", forward)
    if reflected:
        setattr(Tracer, f"__{reflected}__", lambda self, other: apply(op, (other, self), {}))
    if reflected and isinstance(op.fn, np.ufunc) and op.fn.nout == 1:
        setattr(Tracer, f"__i{symbol}__", lambda self, other: _in_place(op, self, apply(op, (self, other), {})))


def _in_place(op: Op, x: Tracer, result: Any) -> Any:
    """What x ∘= y leaves under the name x: the array, changed, or of a scalar the new one."""
    return store(x, result, op.name) if type(ground(x)) is ndarray else result


def _method(op: Op) -> Callable[..., Any]:
    def method(self: Tracer, *args: Any, **params: Any) -> Any:
        if op.arity == 1 and not args and not params:
            return unary(op, self)
        return call(op, (self, *args), params)

    method.__name__ = op.name
    return method


PASSIVE_OPERATORS = {
    ("lt", ""): np.less,
    ("le", ""): np.less_equal,
    ("gt", ""): np.greater,
    ("ge", ""): np.greater_equal,
    ("eq", ""): np.equal,
    ("ne", ""): np.not_equal,
    ("floordiv", "rfloordiv"): np.floor_divide,
    ("and", "rand"): np.bitwise_and,
    ("or", "ror"): np.bitwise_or,
    ("xor", "rxor"): np.bitwise_xor,
    ("lshift", "rlshift"): np.left_shift,
    ("rshift", "rrshift"): np.right_shift,
    ("divmod", "rdivmod"): np.divmod,
}
# Array methods that are NumPy functions of the same parameters.
METHODS = [
    "all", "any", "argmax", "argmin", "argsort", "argpartition", "cumprod", "cumsum", "diagonal",
    "dot", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "round", "searchsorted", "squeeze",
    "std", "sum", "swapaxes", "take", "trace", "var",
]  # fmt: skip


def define_operators() -> None:
    """Give Tracer its operators and methods, once the table is filled."""
    for symbol, fn in OPERATORS.items():
        _operators(OPS[fn], symbol)
    for (symbol, reflected), fn in PASSIVE_OPERATORS.items():
        _passive_operators(OPS[fn], symbol, reflected)
    for symbol, fn in {"neg": np.negative, "pos": np.positive, "abs": np.absolute}.items():
        setattr(Tracer, f"__{symbol}__", lambda self, op=OPS[fn]: unary(op, self))
    # np.sin of an object array calls the method sin of each element: every ufunc is a method too.
    for fn, op in list(OPS.items()):
        if isinstance(fn, np.ufunc) and (fn.nin, fn.nout) in ((1, 1), (2, 1)) and not hasattr(Tracer, fn.__name__):
            setattr(Tracer, fn.__name__, _method(op))
    for name in METHODS:
        row = OPS.get(getattr(np, name))
        if row is not None:
            setattr(Tracer, name, _method(row))
