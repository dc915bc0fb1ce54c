"""One table of operations: a derivative is stated once and serves both modes.

A row (`Op`) states the local Jacobian J of one argument of a NumPy function; from it come the *push*
J·t of forward mode and the *pull* Jᵀ·u of reverse mode.  The five kinds of rule below say how.

Directions lead: a tangent or cotangent of an array of shape s has shape s (one direction) or (K, *s)
(K directions at once).  Every push and pull works for both, and is plain NumPy on possibly traced values.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from .contract import pull_plan, push_plan, split_subscripts
from .directions import align, cast, gather, lead_shape, spread
from .errors import MissingRule
from .names import name_of, parameter_names, public_name
from .types import Shaped
from .zeros import by_columns, strong_product

# NumPy function (or our own primitive) -> its row.
OPS: dict[Any, Op] = {}

NO_VALUE = np._NoValue


# Library -> what adds its rows, called when one of its functions is first met: scipy.special is not loaded before.
LATE: dict[str, Callable[[], Any]] = {}


def lookup(fn: Any) -> Op | None:
    """The row of a NumPy function, or None where there is none."""
    op = OPS.get(fn)
    if op is None and LATE:
        for library, load in list(LATE.items()):
            if library in sys.modules:
                load()  # an import, so that other threads wait here until it is done; only then the entry goes
                LATE.pop(library, None)
        op = OPS.get(fn)
    return op


# ---------------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------------


class Op:
    """A row of the table: a NumPy function with the push and the pull of each array argument.

    pushes[i](t, y, *args, **params) -> tangent of y           from t, the tangent of args[i]
    pulls[i](u, y, *args, **params)  -> cotangent of args[i]   from u, the cotangent of y

    pushes[i] is None where args[i] only chooses among pieces (derivative zero); pulls[i] is None where
    the tape derives the pull by reversing the push.

    What a row may say of its function, each with a default that fits a function of one array:

    name      as it is printed
    arrays    how many leading positional arguments are arrays; None: any number
    sequence  whether NumPy takes these arrays as one sequence, the first argument
    params    the keyword parameters that the rules know; any other is refused
    evaluate  what computes y, where that is not the function itself
    flops     floating-point operations: a number an element of y, or flops(y, *args, **params)
    products  multiplications an element, of an elementwise function; a number, or a function of the arguments
    domain    where its arguments are sampled in tests, in the words of `admodes.core.domain`
    """

    pushes: Sequence[Callable[..., Any] | None] = ()
    pulls: Sequence[Callable[..., Any] | None] = ()
    evaluate: Callable[..., Any]  # may be a method of a class of rows

    # The rest is for the few rows that need it, and stands in their classes.

    # All arguments at once, where that is less work than one after the other (np.concatenate, x[i] = v):
    # push_all({i: t}, y, args, params) -> tangent of y;  pull_all(u, y, args, params) -> [cotangent of each argument].
    push_all: Callable[..., Any] | None = None
    pull_all: Callable[..., Any] | None = None
    # checked(us, y) -> the cotangents of several results, None where there is none, as they may be pulled; it raises
    # where a result has no derivative (the phase of an eigenvector).
    checked: Callable[..., Any] | None = None
    # accumulate(buffer, zeros, u, y, *args) adds the pull of the first argument into a buffer of its shape, so that a
    # thousand reads x[i] share one array of zeros; zeros: whether the buffer holds nothing yet.
    accumulate: Callable[..., Any] | None = None
    # added(buffer, own, u, y, *args) is the sum of both for traced values, in place where the buffer, which may be
    # None, is the sweep's own; pull_in_place(u, y, args, own) is a pull_all that overwrites u, if own, and gives it,
    # or else a new array, as the cotangent of the first argument.
    added: Callable[..., Any] | None = None
    pull_in_place: Callable[..., Any] | None = None
    # The row of the same function where the array in the first place is the caller's own, held by nobody else: it may
    # be changed in place, and what is read from it is copied. `pure` is the way back.
    own: Op | None = None
    pure: Op | None = None
    # Whether elements are only moved: what depends on one element of the arguments is that element.
    moves = False
    # Whether NumPy may give the result of the function of one array as a view of it.
    view = False
    # The function that is asked where its results lie in memory, where the rule does not run it (see `layout`), and
    # whether the values of its arguments may decide that.
    asked: Callable[..., Any] | None = None
    by_values = False
    # The place of the array that the function changes.
    changes: int | None = None
    # 1 or 2 for a function of so many arrays and no parameters, which has a fast lane.
    arity = 0
    # The arity, where a ufunc takes that lane at once; 0 where it may square a root, of which `squares` may tell.
    lane = 0
    # How its derivative is approximated, where it is not exact: a user's function by differences.
    approximate = ""

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str = "",
        arrays: int | None = 1,
        sequence: bool = False,
        params: Iterable[str] = (),
        evaluate: Callable[..., Any] | None = None,
        flops: Callable[..., float] | float = 0.0,
        products: int | Callable[..., int] = 0,
        domain: Any = None,
    ) -> None:
        self.fn = fn
        self.name = name or name_of(fn)
        self.arrays = arrays
        self.sequence = sequence
        self.params = frozenset(params)
        if evaluate is not None or not hasattr(type(self), "evaluate"):
            self.evaluate = evaluate or fn
        self.flops = flops
        self.products = products
        self.domain = domain

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the parameters that may be given by keyword, in order."""
        return parameter_names(self.fn)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def strong(self) -> Op:
        """The row whose products keep zeros (see `zeros`)."""
        return self

    def moved(self, y: Any, args: Sequence[Any]) -> Op:
        """The row that keeps only zeros that do not move (see `moving`); y, args: result and arguments elsewhere."""
        return self.strong

    # Of a root, its square: (y, *what is under it) -> y²; that of a norm takes a y of another shape (see `roots`).
    square: Op | None = None
    any_shape = False
    squares: Callable[..., Any] | None = None

    # Whether its result jumps where it is in doubt, from one piece of a function to another.
    jumps = False

    def piece(self, args: Sequence[Any], params: dict[str, Any]) -> Op:
        """The row of that piece of the function in which `args` lie, arguments near by (see `pieces`)."""
        return self

    # Whether its rules go by the columns of its matrix where they are given inf or nan (see `zeros`).
    by_columns = False

    # doubt(traced, y, *args): whether its strong row keeps a zero that may move; None: never.
    doubt: Callable[..., Any] | None = None

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Carry the operation out under the highest trace among its arguments."""
        return trace.process(self, args, params)

    def underived(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """NumPy's own result, where rules in terms of other functions are not to stand for it: dtype= asks for whole
        numbers or truths, or the trace says so (`Trace.whole`); else NotImplemented."""
        dtype = params.get("dtype")
        if dtype is not None and np.dtype(dtype).kind in "iub":
            return trace.strip(self, args, params)
        return trace.whole(self, args, params)

    def multiply_adds(self, y: Shaped | Sequence[Shaped], args: Sequence[Any], params: dict[str, Any]) -> float:
        """Multiplications, each with the addition that may follow it."""
        each = self.products(*args) if callable(self.products) else self.products
        return float(each) * size_of(y)

    def count(self, y: Shaped | Sequence[Shaped], args: Sequence[Any], params: dict[str, Any]) -> float:
        """Floating-point operations of one evaluation, from shapes alone."""
        if callable(self.flops):
            return float(self.flops(y, *args, **params))
        return self.flops * size_of(y)


def half_the_flops(op: Op, y: Shaped | Sequence[Shaped], args: Sequence[Any], params: dict[str, Any]) -> float:
    """The multiply-adds of a function that consists of these: a product, a factorisation."""
    return op.count(y, args, params) / 2


def size_of(y: Shaped | Sequence[Shaped]) -> int:
    """Number of elements, of a tuple of arrays too."""
    if isinstance(y, tuple | list):
        return sum(size_of(part) for part in y)
    return math.prod(np.shape(y))


# ---------------------------------------------------------------------------------------------------
# The five kinds of rule, and the two that carry no derivative
# ---------------------------------------------------------------------------------------------------


class Unknown:
    """The partial by an argument whose derivative no one has in closed form: differentiating by it raises."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()
Partial = Callable[..., Any] | float | Unknown | None


def refusal(fn: Callable[..., Any], i: int) -> Callable[..., Any]:
    """The push and the pull by an argument without a known derivative."""
    usage = str(fn.__doc__ or name_of(fn)).partition("\n")[0].partition(", /")[0].replace(", out=None", "").rstrip(")")

    def rule(*_: Any, **__: Any) -> Any:
        reason = f"no derivative by argument {i} of {usage}) is known; that argument must be constant"
        raise MissingRule(public_name(fn), reason)

    return rule


class Elementwise(Op):
    """y[i] = f(a[i], b[i], …).  The row states the partials p(y, a, b, …), one an argument.

    push: p · spread(t)        pull: gather(p · u)

    The Jacobian is diagonal, so push and pull are the same product; broadcasting makes the difference.
    A partial may be a number, None where the derivative is zero, or UNKNOWN, which raises when it is asked for.
    A real function of a complex argument states p with dy = Re(p · dz).
    """

    def __init__(self, fn: Callable[..., Any], partials: Sequence[Partial], **row: Any) -> None:
        row.setdefault("flops", 1.0)
        super().__init__(fn, arrays=len(partials), **row)
        self.partials = tuple(partials)
        self.arity = self.lane = len(partials)
        self._state(plainly)

    def _state(self, times: Callable[[Partial], Callable[..., Any]]) -> None:
        """Make pushes and pulls of the partials, by one kind of product."""
        make = _unary_rules if self.arity == 1 else broadcasting_rules
        rules = [
            (None, None) if p is None else (refusal(self.fn, i),) * 2 if isinstance(p, Unknown) else make(i, p, times)
            for i, p in enumerate(self.partials)
        ]
        self.pushes = tuple(push for push, _ in rules)
        self.pulls = tuple(pull for _, pull in rules)

    @cached_property
    def strong(self) -> Op:
        return self.with_products(strongly)

    def moved(self, y: Any, args: Sequence[Any]) -> Op:
        return self.with_products(lambda p: strongly(unless_constant(p, y, args) if callable(p) else p))

    def with_products(self, times: Callable[[Partial], Callable[..., Any]]) -> Op:
        """The row that multiplies partials otherwise."""
        twin = copy.copy(self)
        twin._state(times)
        return twin


def in_place_of_zeros(other: Any, x: Any) -> Any:
    """x, and where it is 0 what stands in another array."""
    return x if _is_constant(other, x) else np.where(np.equal(x, 0), other, x)[()]


def _towards(other: Any, x: Any) -> Any:
    """A point near x on the way to another."""
    return x if _is_constant(other, x) else x + 1e-6 * (other - x)


def _is_constant(other: Any, x: Any) -> bool:
    """Whether an argument is one that does not move: a mode in a word, a mask."""
    return other is x or type(x) is str or (x if hasattr(x, "dtype") else np.asarray(x)).dtype.kind == "b"


def unless_constant(p: Callable[..., Any], y: Any, args: Sequence[Any]) -> Callable[..., Any]:
    """A partial, and where it is 0 its value at y, args, another point, unless it stays 0 on the way there: a mask."""

    def partial(*here: Any) -> Any:
        g, there = p(*here), p(y, *args)
        near = p(*map(_towards, (y, *args), here))
        moves = np.logical_and(np.equal(g, 0), np.not_equal(near, 0))
        return np.where(moves, np.where(np.equal(there, 0) | ~np.isfinite(there), 1, there), g)

    return partial


def strongly(p: Partial) -> Callable[..., Any]:
    """`plainly`, with products that keep zeros."""
    if not callable(p):
        return plainly(p)

    def scale(t: Any, y: Any, *x: Any) -> Any:
        with np.errstate(all="ignore"):
            return OPS[strong_product].evaluate(p(y, *x), t)

    return scale


def plainly(p: Partial) -> Callable[..., Any]:
    """scale(t, y, *x) = p(y, *x) · t, without the product where p is ±1."""
    if callable(p):
        return lambda t, y, *x: p(y, *x) * t
    if p == 1:
        return lambda t, y, *x: t
    if p == -1:
        return lambda t, y, *x: -t
    return lambda t, y, *x: p * t


def _unary_rules(
    _: int, p: Partial, times: Callable[[Partial], Callable[..., Any]]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    scale, of = times(p), p if callable(p) and times is plainly else None

    def push(t: Any, y: Any, x: Any) -> Any:
        t = scale(t, y, x) if of is None else of(y, x) * t
        return t if t.dtype is y.dtype else cast(t, y.dtype)

    def pull(u: Any, y: Any, x: Any) -> Any:
        u = scale(u, y, x) if of is None else of(y, x) * u
        return u if u.dtype is x.dtype else cast(u, x.dtype)

    return push, pull


def broadcasting_rules(
    i: int, p: Partial, times: Callable[[Partial], Callable[..., Any]]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    scale, of = times(p), p if callable(p) and times is plainly else None

    def push(t: Any, y: Any, *args: Any) -> Any:
        x = args[i]
        lead = t.shape[: t.ndim - x.ndim]
        if lead:
            t = align(t, x.ndim, y.ndim)
        t = scale(t, y, *args) if of is None else of(y, *args) * t
        if t.shape != lead + y.shape:
            t = spread(t, y.shape, lead)
        return t if t.dtype is y.dtype else cast(t, y.dtype)

    def pull(u: Any, y: Any, *args: Any) -> Any:
        x = args[i]
        g = scale(u, y, *args) if of is None else of(y, *args) * u
        if g.shape != x.shape:
            g = gather(g, x.shape, u.ndim - y.ndim)
        return g if g.dtype is x.dtype else cast(g, x.dtype)

    return push, pull


class Linear(Op):
    """A linear function of its first argument.  The row states the function on directions, and its transpose.

    push: function(t, x, …)        pull: transpose(u, x, …)

    Both take the primal x for its shape only, and count axes from the end (`trailing`), so that the
    leading direction axis stays out of their way.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        function: Callable[..., Any],
        transpose: Callable[..., Any],
        *,
        moves: bool = False,
        **row: Any,
    ) -> None:
        row.setdefault("params", parameter_names(function)[2:])
        super().__init__(fn, **row)
        self.arity = self.lane = 1
        self.moves = moves

        def push(t: Any, y: Any, *args: Any, **params: Any) -> Any:
            return function(t, *args, **params)

        def pull(u: Any, y: Any, *args: Any, **params: Any) -> Any:
            g = transpose(u, *args, **params)
            return g if g.dtype is args[0].dtype else cast(g, args[0].dtype)

        self.pushes, self.pulls = (push,), (pull,)

    @cached_property
    def strong(self) -> Op:
        return self if self.moves else _by_columns(self)


def _by_columns(op: Op) -> Op:
    """The row with pushes and pulls `by_columns`, those too that are derived (see `reverse`)."""
    twin, product = copy.copy(op), OPS[strong_product].evaluate
    twin.by_columns = True
    twin.pushes, twin.pulls = (
        tuple(rule and by_columns(rule, i, pulls, product) for i, rule in enumerate(rules))
        for pulls, rules in ((False, op.pushes), (True, op.pulls))
    )
    return twin


class LinearAll(Op):
    """A linear function of any number of arrays at once (concatenate, stack): y = Σᵢ Lᵢ xᵢ.

    push: function(ts, xs, …) on all tangents, zeros where an argument has none
    pull: transpose(u, xs, …) gives the cotangents of all arguments
    """

    def __init__(
        self, fn: Callable[..., Any], function: Callable[..., Any], transpose: Callable[..., Any], **row: Any
    ) -> None:
        row.setdefault("params", parameter_names(function)[2:])
        super().__init__(fn, arrays=None, **row)

        def push_all(tangents: dict[int, Any], y: Any, xs: Sequence[Any], params: dict[str, Any]) -> Any:
            i, t = next(iter(tangents.items()))
            lead = lead_shape(t, xs[i])
            ts = [tangents[i] if i in tangents else np.zeros(lead + np.shape(x), y.dtype) for i, x in enumerate(xs)]
            return cast(function(ts, xs, **params), y.dtype)

        def pull_all(u: Any, y: Any, xs: Sequence[Any], params: dict[str, Any]) -> list[Any]:
            return [cast(g, np.result_type(x)) for g, x in zip(transpose(u, xs, **params), xs, strict=True)]

        self.push_all, self.pull_all = push_all, pull_all
        self.pushes = self.pulls = Each()


class Each(Sequence[Callable[..., Any]]):
    """Rules for any number of arguments: rule(i, t, y, *args, **params)."""

    def __init__(self, rule: Callable[..., Any] | None = None) -> None:
        self.rule = rule

    def __getitem__(self, i: Any) -> Any:
        return partial(self.rule, i) if self.rule else _jointly

    def __len__(self) -> int:
        return 1 << 30


def _jointly(*_: Any, **__: Any) -> Any:
    raise AssertionError("the arguments of this operation are pushed and pulled together")


def broadcast(u: Any, shape: tuple[int, ...]) -> Any:
    """np.broadcast_to, but a fresh array where that is faster than a view."""
    if type(u) is np.ndarray or type(u) is np.float64:
        if math.prod(shape) > 16384:
            return np.broadcast_to(u, shape)
        out = np.empty(shape, u.dtype)
        out[...] = u
        return out
    return np.broadcast_to(u, shape)


class Contraction(Op):
    """A sum of products over repeated indices.  The row states nothing but its index sets.

    subscripts(*args, **params) -> 'ij,jk->ik'.  With z the direction axis:
    push of argument 1:  'ij,zjk->zik'        pull of argument 1:  'zik,ij->zjk'
    """

    multiply_adds = half_the_flops

    def __init__(self, fn: Callable[..., Any], subscripts: Callable[..., str], **row: Any) -> None:
        row.setdefault("flops", self._flops)
        row.setdefault("arrays", 2)
        super().__init__(fn, **row)
        self.subscripts = subscripts
        self.product: Callable[..., Any] | None = None
        self.pushes, self.pulls = Each(self._push), Each(self._pull)

    @cached_property
    def strong(self) -> Op:
        return self.with_operands(lambda i, x: x)

    def moved(self, y: Any, args: Sequence[Any]) -> Op:
        return self.with_operands(lambda i, x: in_place_of_zeros(args[i], x))

    def with_operands(self, prepared: Callable[[int, Any], Any]) -> Op:
        """The row whose products keep zeros and take other operands: prepared(i, operand i)."""
        twin = copy.copy(self)
        twin.product = product = OPS[strong_product].evaluate

        def rule(of: Callable[..., Any]) -> Callable[..., Any]:
            return lambda i, t, y, *args, **params: of(
                i, t, y, *(x if k == i else prepared(k, x) for k, x in enumerate(args)), **params
            )

        def each(pulls: bool, of: Callable[..., Any]) -> Each:
            """By columns too, since inf and -inf may meet in a sum that comes before another factor."""
            one = rule(of)
            return Each(lambda i, *given, **params: by_columns(partial(one, i), i, pulls, product)(*given, **params))

        twin.pushes, twin.pulls = each(False, twin._push), each(True, twin._pull)
        return twin

    def _push(self, i: int, t: Any, y: Any, *args: Any, **params: Any) -> Any:
        text = self.subscripts(*args, **params)
        skip = len(args) - 1 - text.count(",")  # einsum's subscripts stand before its operands
        lead = t.shape[: t.ndim - args[i].ndim]
        t = push_plan(text, i - skip, bool(lead), self.product)(*args[skip:i], t, *args[i + 1 :])
        return self._fitted(t, y, lead)

    def _pull(self, i: int, u: Any, y: Any, *args: Any, **params: Any) -> Any:
        text = self.subscripts(*args, **params)
        skip = len(args) - 1 - text.count(",")
        x, lead = args[i], u.ndim - y.ndim
        run, expand = pull_plan(text, i - skip, bool(lead), self.product)
        g = run(u, *args[skip:i], *args[i + 1 :])
        if expand is not None:
            g = expand(g, x.shape)
        if g.shape[lead:] != x.shape:
            g = gather(g, x.shape, lead)
        return g if g.dtype is x.dtype else cast(g, x.dtype)

    @staticmethod
    def _fitted(t: Any, y: Any, lead: tuple[int, ...]) -> Any:
        if t.shape != lead + y.shape:
            t = spread(align(t, t.ndim - len(lead), y.ndim), y.shape, lead)
        return t if t.dtype is y.dtype else cast(t, y.dtype)

    def _flops(self, y: Any, *args: Any, **params: Any) -> float:
        """2 · (the product of all extents), a multiplication and an addition each."""
        sets = split_subscripts(self.subscripts(*args, **params))
        extent: dict[str, int] = {}
        for letters, x in zip(sets.inputs, args[-len(sets.inputs) :], strict=True):
            for letter, n in zip(letters, np.shape(x), strict=True):
                extent[letter] = n if extent.get(letter, 1) == 1 else extent[letter]
        return 2.0 * math.prod(extent.values())


def _ndim(x: Any) -> int:
    """np.ndim, which takes a quarter of a microsecond."""
    return x.ndim if type(x) is np.ndarray else np.ndim(x)


class Product(Contraction):
    """A contraction of two arrays and no parameters (matmul, dot, inner): its index sets follow from the
    numbers of axes, so its plans are kept by these.

    subscripts(a.ndim, b.ndim) -> 'ij,jk->ik'
    """

    def __init__(self, fn: Callable[..., Any], subscripts: Callable[[int, int], str], **row: Any) -> None:
        super().__init__(fn, lambda a, b: subscripts(np.ndim(a), np.ndim(b)), **row)
        self.arity = self.lane = 2
        self.pushes = (self._rule_push(0), self._rule_push(1))
        self.pulls = (self._rule_pull(0), self._rule_pull(1))

    def _rule_push(self, i: int) -> Callable[..., Any]:
        plans: dict[tuple[int, int, int], Callable[..., Any]] = {}

        def push(t: Any, y: Any, a: Any, b: Any) -> Any:
            x = b if i else a
            key = (t.ndim, _ndim(a), _ndim(b))
            run = plans.get(key)
            if run is None:
                run = plans[key] = push_plan(self.subscripts(a, b), i, t.ndim > x.ndim)
            return self._fitted(run(a, t) if i else run(t, b), y, t.shape[: t.ndim - x.ndim])

        return push

    def _rule_pull(self, i: int) -> Callable[..., Any]:
        plans: dict[tuple[int, int, int], tuple[Any, Any]] = {}

        def pull(u: Any, y: Any, a: Any, b: Any) -> Any:
            x = b if i else a
            key = (u.ndim, _ndim(a), _ndim(b))
            plan = plans.get(key)
            if plan is None:
                plan = plans[key] = pull_plan(self.subscripts(a, b), i, u.ndim > y.ndim)
            g = plan[0](u, a if i else b)
            if plan[1] is not None:
                g = plan[1](g, x.shape)
            lead = u.ndim - y.ndim
            if (g.shape[lead:] if lead else g.shape) != x.shape:
                g = gather(g, x.shape, lead)
            return g if g.dtype is x.dtype else cast(g, x.dtype)

        return pull


class Via(Op):
    """A push composed of registered linear operations; the pull is derived: the push, taped and reversed.

    pushes are push(t, y, *args, **params), one an argument.  A faster pull may be stated beside it; the
    tests then hold it against the derived one.
    """

    multiply_adds = half_the_flops

    def __init__(
        self,
        fn: Callable[..., Any],
        pushes: Sequence[Callable[..., Any] | None],
        pulls: Sequence[Callable[..., Any] | None] | None = None,
        **row: Any,
    ) -> None:
        row.setdefault("params", [n for push in pushes if push for n in parameter_names(push)[2 + len(pushes) :]])
        super().__init__(fn, arrays=len(pushes), **row)
        self.pushes = tuple(pushes)
        self.pulls = tuple(pulls) if pulls is not None else (None,) * len(self.pushes)

    @cached_property
    def strong(self) -> Op:
        return _by_columns(self)


class Composite(Op):
    """A function in terms of other registered NumPy calls: its derivatives follow from theirs."""

    def __init__(self, fn: Callable[..., Any], body: Callable[..., Any], **row: Any) -> None:
        super().__init__(fn, params=parameter_names(body), **row)
        self.body = body
        self.pushes = self.pulls = ()
        self.asked = fn if (getattr(fn, "__module__", None) or "").partition(".")[0] == "numpy" else None

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        y = self.underived(trace, args, params)
        return self.body(*args, **params) if y is NotImplemented else y


class Passive(Op):
    """A function whose derivative is zero or has no meaning (floor, comparisons, argmax, shape …).

    It is evaluated on the values; its result carries no derivative.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        static: bool = False,
        shape_from_values: bool = False,
        zero: bool = False,
        **row: Any,
    ) -> None:
        self.zero = zero  # floating results, constant between jumps: the derivative is zero, not meaningless
        self.static = static  # the result follows from shapes and dtypes
        self.shape_from_values = shape_from_values  # the shape of the result depends on the values
        row.setdefault("arrays", None)
        row.setdefault("flops", float(isinstance(fn, np.ufunc)))
        super().__init__(fn, **row)
        self.pushes = self.pulls = ()

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return trace.strip(self, args, params)


class Refused(Op):
    """A function that cannot be differentiated as NumPy has it; the row says why, and so does the error."""

    def __init__(self, fn: Callable[..., Any], reason: str, **row: Any) -> None:
        super().__init__(fn, arrays=None, **row)
        self.reason = reason
        self.params = AnyName()
        self.pushes = self.pulls = ()

    def apply(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        area = "scipy" if self.name.startswith("special.") else "np"
        raise MissingRule(f"{area}.{self.name}", self.reason)


class AnyName(frozenset[str]):
    """The parameters of a rule that takes whatever the function takes."""

    def __contains__(self, _: object) -> bool:
        return True


# ---------------------------------------------------------------------------------------------------
# Adding rows
# ---------------------------------------------------------------------------------------------------


def add(op: Op, *aliases: Any) -> Op:
    """Put a row into the table, under its function and any aliases of it."""
    for fn in (op.fn, *aliases):
        OPS[fn] = op
    return op
