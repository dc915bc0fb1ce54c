"""`custom_op` and `register`: what a user states, as a row of the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ..core import pytree
from ..core.dispatch import highest, primitive
from ..core.forward import Forward
from ..core.lending import by_value, owned
from ..core.registry import AnyName, Composite, Elementwise, Op, Via, add, broadcasting_rules
from ..core.reverse import Tape
from ..core.tracing import Tracer
from ..ops.matrices import product
from .differences import SCHEMES, Foreign
from .stated import Argument, Parts, Rule, as_tree, called_as, enclosed, same, unstated
from .trees import ByStructure, has_tree

Rules = Rule | Sequence[Rule | None] | None
Partials = Rule | float | Sequence[Rule | float | None] | None


def register(
    fn: Callable[..., Any],
    *,
    partial: Partials = None,
    transpose: Rule | None = None,
    push: Rules = None,
    pull: Rules = None,
    composite: Rule | None = None,
    flops: float = 1.0,
    batched: bool = False,
) -> None:
    """State the derivative of a NumPy function or ufunc that has no rule; from then on it may be differentiated.

    Parameters
    ----------
    fn : a function that dispatches, of numpy or a ufunc of any library. For your own Python function use `custom_op`.
    partial : for an elementwise function: p(y, x), or a list of p(y, a, b, …), one an argument, None for an argument
        that only chooses among pieces. y is the result.
    transpose : for a function that is linear in its first argument: transpose(u, x, …) -> cotangent of x.
    push, pull : for any other: push(t, y, x, …) -> tangent of y, or pull(u, y, x, …) -> cotangent of x, or both; or
        lists, one rule an argument.
    composite : the function itself in terms of registered NumPy functions.
    flops : floating-point operations an element of the result, for counts.
    batched : transpose, push and pull work on K directions at once, shape (K, *s); else they are called once a
        direction.

    Raises
    ------
    TypeError : not exactly one of partial, transpose, push and pull, composite; a function that does not dispatch.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), section 2.2, elemental functions.

    >>> import numpy as np
    >>> from admodes import grad
    >>> from admodes.core import registry
    >>> ours = registry.OPS[np.i0]
    >>> register(np.i0, partial=lambda y, x: np.exp(x))  # not its derivative, but what was stated
    >>> float(grad(np.i0)(0.0))
    1.0
    >>> registry.OPS[np.i0] = ours  # here only, so that the wrong rule is not kept
    """
    if not (isinstance(fn, np.ufunc) or hasattr(fn, "_implementation")):
        raise TypeError(
            f"register: {getattr(fn, '__name__', fn)!r} is neither a ufunc nor a NumPy function that "
            "dispatches, so traced values would never reach its rule. Make an operation of your own: "
            "g = admodes.custom_op(fn, ...)."
        )
    add(_row("register", fn, partial, transpose, push, pull, composite, flops, batched))


def custom_op(
    fn: Callable[..., Any] | None = None,
    *,
    partial: Partials = None,
    push: Rules = None,
    pull: Rules = None,
    transpose: Rule | None = None,
    linear: Any = None,
    composite: Rule | None = None,
    difference: Literal["central", "forward", "complex"] | None = None,
    elementwise: bool = False,
    step: float | None = None,
    flops: float = 1.0,
    batched: bool = False,
) -> Any:
    """A function of your own with a derivative you state: by a partial, a push, a pull, a transpose, or differences.

    One statement serves forward and reverse mode, K directions at once, every order, programs and counts.

    Parameters
    ----------
    fn : the function. It sees plain arrays only, so it may be anything: compiled code, a table, a simulation. Its
        result is an array, or a tree of arrays. None, and what is returned is a decorator.
    partial : for an elementwise function: p(y, x), or a list of p(y, a, b, …), one an argument; a number, or None where
        the derivative is zero. y is the result. Arguments broadcast as in NumPy.
    push : push(t, y, x, …) -> tangent of y from t, the tangent of x; or a list, one an argument (None: derivative
        zero). The pull is derived from it by transposition. Written with NumPy functions.
    pull : pull(u, y, x, …) -> cotangent of x from u, that of y; or a list. The push is derived from it by double
        transposition. With push= beside it both are used as they stand, and either may be foreign code.
    transpose : for a function that is linear in its first argument: transpose(u, x, …) -> cotangent of x.
    linear : a constant linear map and no fn: a matrix (dense, scipy.sparse or LinearOperator) for x ↦ A @ x, or a pair
        of functions, x ↦ A x and u ↦ Aᵀ u.
    composite : the function in terms of NumPy functions, for derivatives alone.
    difference : the derivative by differences of fn, for foreign code of few variables whose derivative is not known:
        "central" (two thirds of the digits are right), "forward" (half, half as many calls), "complex" (all; fn takes
        complex arguments and is analytic). A push calls fn twice, a pull twice for every number of the arguments. Not
        exact, and marked so in `cost` and `compare`.
    elementwise : with difference=, that fn acts element by element: a pull then costs what a push does.
    step : with difference=, the step relative to max(1, |x|), where fn has noise of its own, such as a tolerance.
    flops : floating-point operations an element of the result, for counts.
    batched : push, pull and transpose work on K directions at once, shape (K, *s); else they are called once a
        direction.

    Returns
    -------
    A function that runs `fn` on plain values and is differentiated by the stated rule in both modes. Its results are
    arrays of their own. What fn stores elsewhere (in an attribute, a list) are plain numbers, without a derivative; and
    fn and rules, which run again in pulls and programs, find around them what is there then: in a loop over i write
    `lambda a, *, i=i: …`.

    Raises
    ------
    TypeError : not exactly one way to state the derivative. Later, by an error that names the function: a traced
        argument for which nothing was stated, or that was given by keyword.
    ValueError : when the rule is used: it gives a wrong shape, is not linear in the direction, or push and pull are not
        transposes of each other; or fn changes an argument in place. `check` tells whether it is the derivative.

    Source: Griewank and Walther, "Evaluating Derivatives" (2nd ed., 2008), section 2.2, elemental functions; of the
    softmax, CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, whose three forms follow: composed of NumPy calls,
    fused into one operation, and with the pull by hand, ā = ȳ ⊙ y − (ȳ·y) y.

    >>> import numpy as np
    >>> from admodes import grad, jvp
    >>> def softmax(a):
    ...     y = np.exp(a)
    ...     return y / y.sum()
    >>> fused = custom_op(softmax, push=lambda t, y, a: y * t - y * (y @ t))
    >>> @custom_op(pull=lambda u, y, a: y * u - y * (y @ u))
    ... def by_hand(a):
    ...     y = np.exp(a)
    ...     y /= y.sum()
    ...     return y
    >>> a = np.log([1.0, 2.0, 5.0])
    >>> for form in (softmax, fused, by_hand):
    ...     grad(lambda a: form(a)[0])(a).round(4), jvp(form, (a,), (np.ones(3),))[1].round(4) + 0.0
    (array([ 0.1094, -0.0313, -0.0781]), array([0., 0., 0.]))
    (array([ 0.1094, -0.0313, -0.0781]), array([0., 0., 0.]))
    (array([ 0.1094, -0.0313, -0.0781]), array([0., 0., 0.]))

    An elementwise function, a linear map, and code that NumPy does not know:

    >>> import math
    >>> softplus = custom_op(lambda x: np.logaddexp(0.0, x), partial=lambda y, x: 1 - np.exp(-y))
    >>> grad(softplus)(0.0)
    np.float64(0.5)
    >>> A = custom_op(linear=np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> grad(lambda x: A(x).sum())(np.ones(2))
    array([1., 5.])
    >>> grad(custom_op(lambda x: math.sin(x), difference="central"))(0.0).round(9)
    np.float64(1.0)
    """
    if linear is not None:
        if fn is not None or any(rule is not None for rule in (partial, push, pull, transpose, composite, difference)):
            raise TypeError("custom_op: linear= is the function and its derivative in one; give no function beside it.")
        return _linear(linear, flops, batched)
    if difference is None and (elementwise or step is not None):
        raise TypeError("custom_op: elementwise= and step= say how differences are taken; they belong to difference=.")
    if fn is None:
        return lambda f: custom_op(
            f, partial=partial, push=push, pull=pull, transpose=transpose, composite=composite, difference=difference,
            elementwise=elementwise, step=step, flops=flops, batched=batched,
        )  # fmt: skip
    if difference is not None:
        _exactly_one("custom_op", fn, partial, transpose, push, pull, composite, difference)
        if difference not in SCHEMES:
            raise ValueError(f"custom_op {called(fn)}: difference={difference!r}; it is one of {', '.join(SCHEMES)}.")
        return _foreign(fn, difference, step, elementwise, flops)
    return _function(_row("custom_op", fn, partial, transpose, push, pull, composite, flops, batched), fn)


def _function(op: Op, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The row as a function that dispatches, named as the user's."""
    untraced = op.evaluate
    plain = primitive(op)
    op.evaluate = lambda *args, **params: owned(untraced(*args, **params))
    inner = primitive(op)
    tried = False

    def evaluate(*args: Any, **params: Any) -> Any:
        nonlocal tried
        before = None if tried else [pytree.tree_map(_as_it_is, a) for a in args]
        y = own(plain(*args, **params), called(fn))
        if before is not None:
            _unchanged(fn, args, before)
            tried = True
        if isinstance(op, Elementwise):
            _elementwise(fn, y, args[: op.arrays])
        return y

    op.evaluate = evaluate
    if not isinstance(op, Composite):
        process = op.apply

        def apply(trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
            for i in range(op.arrays or len(args), len(args)):
                unstated(called(fn), i, [args[i]], trace)
            y = process(trace, args, params)
            enclosed(called(fn), y, trace)
            return y

        op.apply = apply  # type: ignore[method-assign]
    of_trees = ByStructure(op, op.rules) if isinstance(op, _Ruled) else None

    def function(*args: Any, **params: Any) -> Any:
        if params and highest(params) is not None:
            args, params = _by_position(fn, op.arrays, args, params)
        if has_tree(args):
            if of_trees is not None:
                return as_tree(of_trees(args, params))
            if highest(pytree.flatten(args)[0]) is not None:
                return _of_trees(op, args, params)
        return as_tree(inner(*args, **params))

    return _named(function, fn)


def _unchanged(fn: Any, args: Sequence[Any], before: Sequence[Any]) -> None:
    """Raise if the function, when it is first differentiated, changed an argument: no rule could say so."""
    for i, (tree, then) in enumerate(zip(args, before, strict=True)):
        now, old = pytree.flatten(tree)[0], pytree.flatten(then)[0]
        if len(now) != len(old) or not all(
            type(a) is not np.ndarray or same(a, b) for a, b in zip(now, old, strict=True)
        ):
            raise ValueError(
                f"custom_op {called(fn)}: the function changes its argument {i} in place, which its rule cannot tell "
                "of. Let it work on a copy, or return what it computes."
            )


def _as_it_is(a: Any) -> Any:
    return a.copy() if type(a) is np.ndarray else a


def _of_trees(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """A composite of trees with traced values."""
    if isinstance(op, Composite):
        return op.body(*args, **params)
    raise TypeError(
        f"custom_op {called(op.fn)}: an argument is a dict, a dataclass or a tuple of arrays, and partial= is for a "
        "function of arrays, element by element. Pass its arrays one by one, or state a push or pull."
    )


def _foreign(fn: Any, scheme: str, step: float | None, elementwise: bool, flops: float) -> Callable[..., Any]:
    """fn with its derivatives by differences: arrays are its arguments, and whatever else it takes belongs to it."""
    kept = _Kept()

    def function(*args: Any, **params: Any) -> Any:
        if params and highest(params) is not None:
            args, params = _by_position(fn, None, args, params)
        leaves, structure = pytree.flatten(args)
        places = [i for i, a in enumerate(leaves) if isinstance(a, np.ndarray | np.generic) or highest(a) is not None]
        constants = [(i, a) for i, a in enumerate(leaves) if i not in places]

        def make() -> Any:
            bound = _bound(fn, structure, places, constants, params)
            foreign = Foreign(
                lambda *xs: own(bound(*xs), called(fn)), called(fn), scheme, step, elementwise, len(places), flops
            )
            foreign.row.fn = bound
            return _function(foreign.row, bound)

        return kept.get((structure, *places), constants, params, make)(*(leaves[i] for i in places))

    return _named(function, fn)


def _bound(
    fn: Any, structure: Any, places: Sequence[int], constants: Sequence[tuple[int, Any]], params: dict[str, Any]
) -> Any:
    """fn as a function of those leaves of its arguments alone that are at some places."""

    def bound(*arrays: Any) -> Any:
        given = dict(zip(places, arrays, strict=True)) | dict(constants)
        return fn(*pytree.unflatten(structure, [given[i] for i in range(len(given))]), **params)

    bound.__module__ = getattr(fn, "__module__", None) or ""
    return _named(bound, fn)


class _Kept:
    """What was made of constants, kept by them where they can be keys."""

    def __init__(self) -> None:
        self.made: dict[Any, Any] = {}

    def get(
        self, shape: Any, constants: Sequence[tuple[int, Any]], params: dict[str, Any], make: Callable[[], Any]
    ) -> Any:
        key = (
            shape,
            tuple(  # 1, 1.0 and True are equal, and so are 0.0 and −0.0
                (i, type(a), a, repr(a) if isinstance(a, float | tuple) else None)
                for i, a in (*constants, *sorted(params.items()))
            ),
        )
        try:
            found = self.made.get(key)
        except TypeError:  # what cannot be a key: a list, an array, an object of the user's
            return make()
        if found is None:
            if len(self.made) >= 64:
                self.made.clear()
            found = self.made[key] = make()
        return found


def _named(function: Any, fn: Any) -> Any:
    """The function under the name, and with the docstring, of the user's."""
    function.__name__ = called(fn)
    function.__qualname__ = getattr(fn, "__qualname__", called(fn))
    function.__module__ = getattr(fn, "__module__", None) or function.__module__  # by which it is pickled
    function.__doc__, function.__wrapped__ = fn.__doc__, fn
    return function


def _linear(linear: Any, flops: float, batched: bool) -> Any:
    """custom_op(linear=…): a pair of functions, or a matrix."""
    if isinstance(linear, tuple | list) and len(linear) == 2 and all(map(callable, linear)):
        forward, transpose = linear
        return custom_op(forward, transpose=lambda u, x: transpose(u), flops=flops, batched=batched)
    if not hasattr(linear, "shape"):
        linear = np.asarray(linear, float) if isinstance(linear, list) else linear
    if len(getattr(linear, "shape", ())) != 2:
        raise TypeError(
            f"custom_op: linear= is a {type(linear).__name__}; it must be a matrix (an array, of scipy.sparse, a "
            "LinearOperator), or a pair of functions, x ↦ A x and u ↦ Aᵀ u."
        )
    if isinstance(linear, Tracer):
        raise TypeError("custom_op: linear= is a traced matrix, and here it is a constant one. Write A @ x.")
    if callable(getattr(linear, "rmatvec", None)):
        _transposable(linear)

    def linear_map(x: Any) -> Any:
        return linear @ np.asarray(x)

    def traced(x: Any) -> Any:
        return np.matmul(linear, x) if isinstance(linear, np.ndarray) else product(linear, x)

    return _function(Composite(linear_map, traced, flops=flops), linear_map)


def _transposable(operator: Any) -> None:
    """⟨u, A t⟩ = ⟨Aᵀ u, t⟩ of a LinearOperator, at random u and t: a wrong rmatvec is found before it is used."""
    rng, (m, n) = np.random.default_rng(0), operator.shape
    t, u = rng.normal(size=n), rng.normal(size=m)
    try:
        pulled = operator.T @ u
    except NotImplementedError:
        raise TypeError(
            "custom_op: the LinearOperator given as linear= has no rmatvec, its transposed product, by which reverse "
            "mode goes. Make it with LinearOperator(shape, matvec=…, rmatvec=…)."
        ) from None
    pushed = operator @ t
    left, right = np.sum(u * pushed), np.sum(pulled * t)
    if abs(left - right) > 1e-6 * (np.sum(np.abs(u * pushed)) + np.sum(np.abs(pulled * t))):
        raise ValueError(
            f"custom_op: rmatvec of the LinearOperator is not the transpose of its matvec: for random u and t, "
            f"Σ u · (A t) is {left:.6g}, Σ (Aᵀ u) · t is {right:.6g}."
        )


def _elementwise(fn: Any, y: Any, args: tuple[Any, ...]) -> None:
    """Raise if a function with partials is not one of element by element."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    if isinstance(y, tuple) or np.shape(y) != shape:
        told = f"it is a tuple of {len(y)}" if isinstance(y, tuple) else f"it has {np.shape(y)}"
        raise ValueError(
            f"custom_op {called(fn)}: partial= is for a function of element by element, whose result would have shape "
            f"{shape}; {told}. State the derivative by push= or pull= (or transpose=, if it is linear)."
        )


def _by_position(
    fn: Any, arrays: int | None, args: tuple[Any, ...], params: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Traced arguments that were given by keyword in their places, which is where a rule is stated for them."""
    given, rest = list(args), dict(params)
    for name in _positional(fn)[len(args) : arrays]:
        if name not in rest:
            break
        given.append(rest.pop(name))
    traced = [name for name, x in rest.items() if isinstance(highest(x), Forward | Tape)]
    if traced:
        raise TypeError(
            f"custom_op {called(fn)}: the argument {traced[0]}= is traced, and was given by keyword where no rule "
            "can be stated for it: a rule is for an argument by its position. Pass it by position, with a rule for it, "
            "or make it constant."
        )
    return tuple(given), rest


def _positional(fn: Any) -> list[str]:
    """The names of the parameters that have a position."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def called(fn: Any) -> str:
    return getattr(fn, "__name__", "custom_op")


def own(y: Any, name: str) -> Any:
    """A result as arrays and NumPy scalars, in memory of its own: the function may give an argument, a global, or a
    buffer that it uses again.  A tree is its leaves."""
    if type(y) is np.ndarray and y.ndim and y.dtype.kind in "fciub":
        return np.array(y)
    if isinstance(y, Tracer | np.generic | Parts):
        return y
    if isinstance(y, tuple | list | dict) or not hasattr(y, "__array__"):
        leaves, structure = pytree.flatten(y)
        if structure is not None:
            if not leaves:
                raise TypeError(f"custom_op {name}: the function returns {y!r}, which holds no array.")
            parts = Parts(_number(leaf, name) for leaf in leaves)
            parts.structure = structure
            return parts
    return _number(y, name)


def _number(y: Any, name: str) -> Any:
    if isinstance(y, Tracer | np.generic):
        return y
    made = np.array(y)[()]
    if made.dtype.kind not in "fciub":
        raise TypeError(
            f"custom_op {name}: the function returns a {type(y).__name__}; its result is an array of numbers, or a "
            "tuple, dict or dataclass of such. Leave out what is none, or return it from a function around this one."
        )
    return made


def _exactly_one(
    caller: str, fn: Any, partial: Any, transpose: Any, push: Any, pull: Any, composite: Any, difference: Any = None
) -> None:
    rules = {
        "partial": partial, "transpose": transpose, "push": push, "pull": pull, "composite": composite,
        "difference": difference,
    }  # fmt: skip
    given = [name for name, rule in rules.items() if rule is not None]
    if len(given) != 1 and given != ["push", "pull"]:
        others = "" if caller == "register" else ", difference="
        raise TypeError(
            f"{caller}: state the derivative of {getattr(fn, '__name__', fn)} in exactly one way, by partial=, push= "
            f"or pull= (or both), transpose=, composite={others}; got {', '.join(given) or 'none'}."
        )


def _row(
    caller: str, fn: Any, partial: Any, transpose: Any, push: Any, pull: Any, composite: Any, flops: float,
    batched: bool,
) -> Op:  # fmt: skip
    _exactly_one(caller, fn, partial, transpose, push, pull, composite)
    name = f"{caller} {called(fn)}"
    for word, rules_of in {"partial": partial, "transpose": transpose, "push": push, "pull": pull}.items():
        _rules_only(name, word, rules_of)
    if composite is not None and not callable(composite):
        raise TypeError(f"{name}: composite= is a {type(composite).__name__}; it must be a function.")
    op: Op
    if composite is not None:
        return Composite(fn, lambda *args, **params: owned(by_value(composite, args, params)), flops=flops)
    if partial is not None:
        partials = list(partial) if isinstance(partial, list | tuple) else [partial]
        return _Elements(fn, [_partial(name, p, i) for i, p in enumerate(partials)], flops=flops)
    if transpose is not None:
        told = ("the function", "transpose")
        rules: list[Argument | None] = [
            Argument(
                name, 0, lambda t, y, x, *args, **params: op.evaluate(t, *args, **params),
                lambda u, y, x, *args, **params: transpose(u, x, *args, **params), batched, told,
            )
        ]  # fmt: skip
    else:
        rules = _arguments(name, push, pull, batched)
    op = _Ruled(fn, rules, flops)
    return op


class _Ruled(Via):
    """A user's function with a push or a pull, or both, for each argument."""

    def __init__(self, fn: Any, rules: Sequence[Argument | None], flops: float) -> None:
        pushes = [None if rule is None else rule.pushed for rule in rules]
        super().__init__(fn, pushes, [None if r is None or r.derived else r.pulled for r in rules], flops=flops)
        self.rules, self.params = rules, AnyName()


def _rules_only(name: str, word: str, rules: Any) -> None:
    """Raise if something among the rules is none."""
    several = isinstance(rules, list | tuple)
    if several and (not rules or word == "transpose"):
        raise TypeError(
            f"{name}: {word}={rules!r}; it must be {'a rule' if word == 'transpose' else 'a rule or more'}."
        )
    for rule in rules if several else [rules]:
        number = word == "partial" and isinstance(rule, int | float | complex | np.number)
        if rule is not None and not callable(rule) and not number:
            wanted = "a function or a number" if word == "partial" else "a function"
            raise TypeError(
                f"{name}: {word}= has a {type(rule).__name__}, {rule!r}, where {wanted} is expected, or None where the "
                "derivative is zero."
            )


def _arguments(name: str, push: Any, pull: Any, batched: bool) -> list[Argument | None]:
    """The rules argument by argument, from a push and a pull or lists of them."""
    pushes, pulls = _listed(push), _listed(pull)
    if pushes and pulls and [p is None for p in pushes] != [p is None for p in pulls]:
        raise TypeError(
            f"{name}: push= and pull= are for the same arguments, each with one rule an argument; here are "
            f"{len(pushes)} and {len(pulls)}, or None stands at different places."
        )
    nothing = [None] * max(len(pushes), len(pulls))
    return [
        None if p is None and q is None else Argument(name, i, p, q, batched, (f"push {i}", f"pull {i}"))
        for i, (p, q) in enumerate(zip(pushes or nothing, pulls or nothing, strict=True))
    ]


def _listed(rules: Rules) -> list[Rule | None]:
    """One rule an argument."""
    if rules is None:
        return []
    return [rules] if callable(rules) else [*rules]


class _Elements(Elementwise):
    """A user's elementwise function, which may take constants: behind its arrays, and by keyword."""

    def __init__(self, *args: Any, **row: Any) -> None:
        super().__init__(*args, **row)
        self.params = AnyName()

    def _state(self, times: Callable[[Any], Callable[..., Any]]) -> None:
        super()._state(times)
        self.pushes, self.pulls = (
            tuple(
                None if rule is None else _with_constants(rule, i, p, times, which, len(self.partials))
                for i, (rule, p) in enumerate(zip(rules, self.partials, strict=True))
            )
            for which, rules in enumerate((self.pushes, self.pulls))
        )


def _with_constants(rule: Rule, i: int, p: Any, times: Any, which: int, count: int) -> Rule:
    """The push (0) or pull (1) by argument i, which takes constants too."""

    def general(t: Any, y: Any, *args: Any, **params: Any) -> Any:
        if not params and len(args) == count:
            return rule(t, y, *args)
        given = (lambda y, *xs: p(y, *xs, **params)) if callable(p) else p
        return broadcasting_rules(i, given, times)[which](t, y, *args)

    return general


def _partial(name: str, p: Any, i: int) -> Any:
    if not callable(p):
        return p

    tried = False

    def rule(y: Any, *args: Any, **params: Any) -> Any:
        nonlocal tried
        if not tried:
            called_as(p, f"{name}: partial {i}", ("y",), args, params)
            tried = True
        found = p(y, *args, **params)
        if np.broadcast_shapes(np.shape(found), y.shape) != y.shape:
            raise ValueError(
                f"{name}: partial {i} has shape {np.shape(found)}, the result {y.shape}; a partial is a "
                "number for each element of the result."
            )
        return found

    return rule
