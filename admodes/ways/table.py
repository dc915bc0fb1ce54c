"""The ways to a derivative, a table: one row a way.  Adding a way is adding a row.

A row says for which targets it is, whether it applies to a question, what it does (a function of f's arguments), what
that would cost, and the line of code that a reader would write for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core import pytree
from ..elimination import linearized_graph
from ..program.compile import compile
from ..program.native.calls import usable
from ..transforms.arguments import SEVERAL, partial_at
from ..transforms.checkpoint import checkpoint_chain, default_snapshots
from ..transforms.dense import grad, jacfwd, jacrev, jvp, vjp
from .differences import CENTRAL, COMPLEX, ONE_SIDED, along, columns, evaluations, raveled_function
from .estimate import Compiled, Estimate
from .forecast import Forecast
from .foreign import PEERS, Peer
from .hessians import Mode as Nesting
from .hessians import hessian, hvp
from .jacobians import jacobian
from .part import Part, flat, of_differences, of_gradient, of_pulls, of_pushes
from .question import Question, argument_names, code_argnums
from .row import UNKNOWN

GRADIENT, JACOBIAN, HESSIAN = "gradient", "jacobian", "hessian"
JVP, VJP, HVP = "jvp", "vjp", "hvp"
FIRST_ORDER = (GRADIENT, JACOBIAN)

COLOURS = "colours"  # as many passes, whatever n and m

Derivative = Callable[..., Any]


def _always(_: Question) -> str:
    return ""


def _unknown(_: Question, __: Forecast) -> Estimate | None:
    return None


def _unflattened(_: Question, __: Forecast, ___: Compiled) -> Estimate | None:
    return None


@dataclass(frozen=True)
class Way:
    """One way to a derivative.

    derivative(q) prepares and returns a function of q.args; estimate(q, e) is what one call of it would cost, None
    where that is not known; why_not(q) is empty where the way applies; grows names the size, n or m, that there are as
    many passes as, COLOURS where that is found while preparing.  An exact way computes the derivative, up to rounding,
    of any function that it takes: only such a one is advised.  A peer is another library.
    """

    name: str
    targets: Sequence[str]
    derivative: Callable[[Question], Derivative]
    code: str
    estimate: Callable[[Question, Forecast], Estimate | None] = _unknown
    flat: Callable[[Question, Forecast, Compiled], Estimate | None] = _unflattened  # of its compiled versions
    why_not: Callable[[Question], str] = _always
    grows: str = ""
    exact: bool = True
    peer: Peer | None = None
    compilable: bool = False
    colours: str = ""  # the mode of the colouring that is found beforehand
    count: Callable[[Question], int] | None = None  # of the passes, where they are neither one nor n nor m
    part: Callable[[Question], Part] | None = None  # of its passes, to be timed where the whole takes too long
    prepares: bool = False  # whether the first call does more than the later ones
    native: bool = False  # whether it compiles kernels, which may take seconds

    def passes(self, q: Question) -> int | None:
        """Directions carried through f, or evaluations of f; None where that is found while preparing."""
        return self.count(q) if self.count else {"n": q.n, "m": q.m, "": 1}.get(self.grows)

    def line(self, q: Question) -> str:
        """The line of code to write for a question: v is the tangent and u the cotangent of a product."""
        names = argument_names(q.f, len(q.args))
        places = q.argnums if isinstance(q.argnums, SEVERAL) else (q.argnums,)
        chosen = [names[i] for i in places]
        args, primals = ", ".join(names), ", ".join(chosen)
        f = f"(lambda {args}: functools.reduce(lambda y, f: f(y), {q.name}, {args}))" if q.layers else q.name
        alone = f if chosen == names else f"lambda {primals}: {f}({args})"
        tangents = ", ".join(f"v[{i}]" for i in range(len(chosen))) if len(chosen) > 1 else "v,"
        return self.code.format(
            f=f, layers=q.name, a=code_argnums(q.argnums), x=f"({args})", args=args,
            g=alone, p=primals, pt=primals + "," * (len(chosen) == 1), v=tangents,
            mode="jacfwd" if q.n <= q.m else "jacrev",
        )  # fmt: skip


# ---------------------------------------------------------------------------------------------------
# What the rows do
# ---------------------------------------------------------------------------------------------------


def _of_primals(run: Callable[[Question, Any, tuple[Any, ...]], Any]) -> Callable[[Question], Derivative]:
    """run(q, g, primals), g being f as a function of the arguments to differentiate by, as a derivative."""

    def derivative(q: Question) -> Derivative:
        return lambda *args: run(q, *partial_at(q.f, q.argnums, args, {}))

    return derivative


Predicted = Callable[[Question, Forecast], Estimate | None]
Flat = Callable[[Question, Forecast, Compiled], Estimate | None]


def _traced(run: Callable[..., Any], *kinds: str) -> tuple[Predicted, Flat]:
    """The estimates of a derivative of a few passes, eager and compiled; kinds: the transforms at work in it."""
    derivative = _of_primals(run)
    return lambda q, e: e.traced(derivative(q), kinds, False), lambda q, e, how: e.traced(derivative(q), (), how)


def _jvp_by_tape(q: Question, g: Any, primals: Any) -> Any:
    """J·v as the pull of the pull, (u ↦ Jᵀu)ᵀ·v: two tapes and no dual number."""
    y, _ = vjp(g, *primals)
    zeros = pytree.tree_map(lambda leaf: np.zeros(np.shape(leaf), np.result_type(leaf, np.float32))[()], y)
    return vjp(lambda u: vjp(g, *primals)[1](u), zeros)[1](q.tangents)[0]


def _vjp_by_pushes(q: Question, g: Any, primals: Any) -> Any:
    """Jᵀ·u as the gradient of ⟨u, f⟩ by n pushes."""
    return jacfwd(lambda *p: _inner(q.cotangent, g(*p)), argnums=tuple(range(len(primals))))(*primals)


def _inner(u: Any, y: Any) -> Any:
    return sum(np.sum(a * b) for a, b in zip(pytree.flatten(u)[0], pytree.flatten(y)[0], strict=True))


def _places(primals: Any) -> tuple[int, ...]:
    return tuple(range(len(primals)))


def _hvp(q: Question, g: Any, primals: Any) -> Any:
    return hvp(g, primals, q.tangents)


def _along(q: Question) -> Derivative:
    """The derivative of f along v, a function of f's arguments."""
    return _of_primals(lambda q, g, p: jvp(g, p, q.tangents)[1])(q)


def _hvp_reverse_forward(q: Question, g: Any, primals: Any) -> Any:
    return grad(lambda *p: jvp(g, p, q.tangents)[1], argnums=_places(primals))(*primals)


def _hvp_reverse_reverse(q: Question, g: Any, primals: Any) -> Any:
    places = _places(primals)
    return grad(lambda *p: _inner(q.tangents, grad(g, argnums=places)(*p)), argnums=places)(*primals)


def _hvp_forward_forward(q: Question, g: Any, primals: Any) -> Any:
    """Entry i is the second derivative along eᵢ and v."""
    return jacfwd(lambda *p: jvp(g, p, q.tangents)[1], argnums=_places(primals))(*primals)


def _gradient_of(q: Question, g: Any, primals: Any) -> Any:
    return grad(g, argnums=_places(primals))


def _differences(scheme: str) -> Callable[[Question], Derivative]:
    def run(q: Question, g: Any, primals: Any) -> Any:
        with np.errstate(all="ignore"):
            return _divided(q, g, primals, scheme)

    return _of_primals(run)


def _divided(q: Question, g: Any, primals: Any, scheme: str) -> Any:
    function = _gradient_of(q, g, primals) if q.target in (HESSIAN, HVP) else g
    if q.target in (JVP, HVP):
        raveled, x = raveled_function(function, primals)
        v = np.asarray(q.direction, x.dtype)
        largest = float(np.max(np.abs(v), initial=0.0)) or 1.0
        size = max(1.0, float(np.max(np.abs(x), initial=0.0)))
        return along(raveled, x, v / largest, scheme, size=size) * largest
    J = columns(function, primals, scheme)
    if q.target == VJP:
        return np.asarray(q.direction, J.dtype) @ J
    return J.reshape(-1) if q.target == GRADIENT else J


def _calls(scheme: str) -> Callable[[Question], int]:
    return lambda q: evaluations(scheme, 1 if q.target in (JVP, HVP) else q.n)


def _difference_cost(scheme: str) -> Callable[[Question, Forecast], Estimate]:
    return lambda q, e: e.evaluations(_calls(scheme)(q), of_gradient=q.target in (HESSIAN, HVP))


def _plan(mode: str) -> Callable[[Question], Derivative]:
    """What `sparse_jacobian_plan` and `sparse_hessian_plan` make, of the pattern and colouring that were found."""

    def derivative(q: Question) -> Derivative:
        from ..sparse.plan import SparsePlan

        return SparsePlan(q.f, q.argnums, q.args, lambda _: q.colourings.scheme(mode), False)

    return derivative


def _checkpointed(q: Question) -> Derivative:
    """Reverse mode of a chain of which few states are kept."""
    f = functools.partial(checkpoint_chain, list(q.layers))
    return grad(f) if q.target == GRADIENT else jacrev(f)


def _checkpointed_cost(q: Question, e: Forecast) -> Estimate | None:
    """All rows go through together. What lives at once are the snapshots, and the tape and the pull of one layer."""
    found = e.traced(_checkpointed(q), ("record", "pull"), False)
    rows = 1 if q.target == GRADIENT else q.m
    states: list[Any] = [q.args[0]]
    for layer in q.layers:
        states.append(layer(states[-1]))
    of_step = {}
    for layer, before, after in zip(q.layers, states, states[1:], strict=False):
        key = (layer, *((np.shape(y), np.result_type(y)) for y in (*_arrays(before), *_arrays(after))))
        if key not in of_step:
            us = pytree.unflatten(pytree.flatten(after)[1], [np.zeros((rows, *np.shape(y))) for y in _arrays(after)])
            one = e.step(layer, before, us).peak_bytes
            of_step[key] = one + _bytes(before) + rows * _bytes(after)
    kept = sum(sorted(map(_bytes, states[:-1]), reverse=True)[: default_snapshots(len(q.layers))])
    return replace(found, passes=q.m, peak_bytes=kept + max(of_step.values()))


def _arrays(tree: Any) -> list[Any]:
    return list(pytree.flatten(tree)[0])


def _bytes(tree: Any) -> int:
    return sum(int(np.asarray(x).nbytes) for x in _arrays(tree))


def _checkpointed_way(target: str, name: str) -> Way:
    return Way(
        "reverse, checkpointed", (target,),
        _checkpointed, f"admodes.{name}(lambda {{p}}: admodes.checkpoint_chain({{layers}}, {{p}})){{x}}",
        _checkpointed_cost, why_not=_keeps_less, grows="m",
    )  # fmt: skip


def _bracketed(q: Question) -> Derivative:
    return jacobian(list(q.layers), mode="bracketing")


# ---------------------------------------------------------------------------------------------------
# Whether they apply
# ---------------------------------------------------------------------------------------------------


def _several_rows(q: Question) -> str:
    return "" if q.m > 1 else "the result is one number: there is one row, and nothing to take together with it"


def _several_columns(q: Question) -> str:
    return "" if q.n > 1 else "there is one column, and nothing to take together with it"


def _a_matrix(q: Question) -> str:
    if min(q.n, q.m) == 1 and q.target == JACOBIAN:
        return "the Jacobian is one row or column, which one pass gives: nothing to colour"
    return _real(q)


def _is_a_chain(q: Question) -> str:
    if not q.layers:
        return "f is one function; given as a list of layers, [f0, f1, …], their Jacobians are multiplied in any order"
    return "" if len(q.layers) > 1 else "there is one layer, and nothing to bracket"


def _keeps_less(q: Question) -> str:
    if not q.layers:
        return (
            "f is one function: its pull would need the whole tape after all; given as a list of layers, [f0, f1, …], "
            "the states between them are kept or computed again"
        )
    return "" if len(q.layers) > 1 else "there is one layer, whose pull would need the whole tape after all"


# Elimination goes scalar by scalar, in Python: beyond so many inputs and results it is not for doing, but for counting.
FEW = 400


def _few_scalars(q: Question) -> str:
    if q.n + q.m > FEW:
        return f"elimination works scalar by scalar, for at most {FEW} inputs and results; here are {q.n + q.m:,}"
    return _real(q)


def _real(q: Question) -> str:
    return "complex arguments" if any(x.dtype.kind == "c" for x in q.leaves) else ""


# ---------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------


def _nesting(mode: Nesting) -> Way:
    return Way(
        mode, (HESSIAN,),
        lambda q: hessian(q.f, q.argnums, mode),
        f"admodes.hessian({{f}}{{a}}, mode={mode!r}){{x}}",
        lambda q, e: e.hessian(mode, False), lambda q, e, how: e.hessian(mode, how),
        grows="n", compilable=True, part=lambda q: _of_nesting(q, mode),
    )  # fmt: skip


def _of_nesting(q: Question, mode: Nesting) -> Part:
    """A chunk of the columns, or of the rows, of the gradient's Jacobian."""
    outer, _, inner = mode.partition("-over-")
    gradient = of_gradient(q, jacfwd if inner == "forward" else jacrev)
    return of_pushes(gradient) if outer == "forward" else of_pulls(gradient)


def _coloured(mode: str) -> Way:
    return Way(
        f"coloured {mode}, compiled", (JACOBIAN,),
        _plan(mode), f"admodes.sparse_jacobian_plan({{f}}, {{args}}{{a}}, mode={mode!r}){{x}}",
        lambda q, e: e.coloured(mode, True), why_not=_a_matrix, grows=COLOURS, prepares=True, colours=mode,
    )  # fmt: skip


# fmt: off
OWN = (
    Way("forward, one at a time", FIRST_ORDER,
        lambda q: jacfwd(q.f, q.argnums, chunk=1), "admodes.jacfwd({f}{a}, chunk=1){x}",
        lambda q, e: e.passes.jacobian("forward", chunk=1), grows="n", part=lambda q: of_pushes(q, 1)),
    Way("forward, K at once", FIRST_ORDER,
        lambda q: jacfwd(q.f, q.argnums), "admodes.jacfwd({f}{a}){x}",
        lambda q, e: e.passes.jacobian("forward"), lambda q, e, how: e.passes.jacobian("forward", compiled=how),
        _several_columns, "n", compilable=True, part=of_pushes),
    Way("reverse", (GRADIENT,),
        lambda q: grad(q.f, q.argnums), "admodes.grad({f}{a}){x}",
        lambda q, e: e.passes.gradient(), lambda q, e, how: e.passes.gradient(compiled=how), compilable=True),
    Way("reverse, one at a time", (JACOBIAN,),
        lambda q: jacrev(q.f, q.argnums, chunk=1), "admodes.jacrev({f}{a}, chunk=1){x}",
        lambda q, e: e.passes.jacobian("reverse", chunk=1), grows="m", part=lambda q: of_pulls(q, 1)),
    Way("reverse, K at once", FIRST_ORDER,
        lambda q: jacrev(q.f, q.argnums), "admodes.jacrev({f}{a}){x}",
        lambda q, e: e.passes.jacobian("reverse"), lambda q, e, how: e.passes.jacobian("reverse", compiled=how),
        _several_rows, "m", compilable=True, part=of_pulls),
    _checkpointed_way(GRADIENT, "grad"),
    _checkpointed_way(JACOBIAN, "jacrev"),
    Way("chain bracketing", FIRST_ORDER,
        _bracketed, 'admodes.jacobian({layers}, mode="bracketing"){x}',
        lambda q, e: e.bracketing(), why_not=_is_a_chain, grows=UNKNOWN),
    Way("elimination", FIRST_ORDER,
        _of_primals(lambda q, g, p: linearized_graph(g, *p).accumulate()),
        "admodes.linearized_graph({g}, {p}).accumulate()",
        lambda q, e: e.elimination(), why_not=_few_scalars, grows=UNKNOWN),
    _nesting("forward-over-reverse"),
    _nesting("reverse-over-forward"),
    _nesting("forward-over-forward"),
    _nesting("reverse-over-reverse"),
    Way("forward", (JVP,),
        _of_primals(lambda q, g, p: jvp(g, p, q.tangents)[1]), "admodes.jvp({g}, ({pt}), ({v}))[1]",
        lambda q, e: e.passes.forward(), lambda q, e, how: e.passes.forward(compiled=how), compilable=True),
    Way("reverse twice", (JVP,),
        _of_primals(_jvp_by_tape), "admodes.vjp(admodes.vjp({g}, {p})[1], u)[1](({v}))[0]",
        *_traced(_jvp_by_tape, "record", "pull", "record", "pull")),
    Way("reverse", (VJP,),
        _of_primals(lambda q, g, p: vjp(g, *p)[1](q.cotangent)), "admodes.vjp({g}, {p})[1](u)",
        lambda q, e: e.passes.reverse(), lambda q, e, how: e.passes.reverse(compiled=how), compilable=True),
    Way("forward, K at once", (VJP,),
        _of_primals(_vjp_by_pushes), "admodes.jacfwd(lambda {args}: np.sum(u * {f}{x}){a}){x}",
        lambda q, e: e.passes.jacobian("forward"), grows="n"),
    Way("forward-over-reverse", (HVP,),
        _of_primals(_hvp), "admodes.hvp({g}, ({pt}), ({v}))",
        *_traced(_hvp, "record", "pull", "forward", "forward"), compilable=True),
    Way("reverse-over-forward", (HVP,),
        _of_primals(_hvp_reverse_forward), "admodes.grad(lambda {p}: admodes.jvp({g}, ({pt}), ({v}))[1])({p})",
        *_traced(_hvp_reverse_forward, "forward", "record", "pull"), compilable=True),
    Way("reverse-over-reverse", (HVP,),
        _of_primals(_hvp_reverse_reverse), "admodes.grad(lambda {p}: np.sum(v * admodes.grad({g})({p})))({p})",
        *_traced(_hvp_reverse_reverse, "record", "pull", "record", "pull"), compilable=True),
    Way("forward-over-forward", (HVP,),
        _of_primals(_hvp_forward_forward), "admodes.jacfwd(lambda {p}: admodes.jvp({g}, ({pt}), ({v}))[1])({p})",
        lambda q, e: e.of(_along(q)).jacobian("forward"), grows="n"),
    Way("coloured", (JACOBIAN,),
        lambda q: lambda *args: jacobian(q.f, q.argnums, mode="sparse")(*args),
        'admodes.jacobian({f}{a}, mode="sparse"){x}',
        lambda q, e: e.coloured("sparse", False), why_not=_a_matrix, grows=COLOURS),
    *(_coloured(mode) for mode in ("forward", "reverse", "mixed")),
    Way("coloured", (HESSIAN,),
        lambda q: lambda *args: hessian(q.f, q.argnums, mode="sparse")(*args),
        'admodes.hessian({f}{a}, mode="sparse"){x}',
        lambda q, e: e.coloured("hessian", False), why_not=_real, grows=COLOURS),
    Way("coloured, compiled", (HESSIAN,),
        _plan("hessian"), "admodes.sparse_hessian_plan({f}, {args}{a}){x}",
        lambda q, e: e.coloured("hessian", True), why_not=_real, grows=COLOURS, prepares=True, colours="hessian"),
    Way("finite differences", (*FIRST_ORDER, HESSIAN, JVP, VJP, HVP),
        _differences(ONE_SIDED), "(f(x + h*e) - f(x)) / h for each unit vector e",
        _difference_cost(ONE_SIDED), why_not=_real, grows="n", exact=False, count=_calls(ONE_SIDED),
        part=lambda q: of_differences(q, ONE_SIDED)),
    Way("central differences", (*FIRST_ORDER, HESSIAN, JVP, VJP, HVP),
        _differences(CENTRAL), "(f(x + h*e) - f(x - h*e)) / (2*h) for each unit vector e",
        _difference_cost(CENTRAL), why_not=_real, grows="n", exact=False, count=_calls(CENTRAL),
        part=lambda q: of_differences(q, CENTRAL)),
    Way("complex step", (*FIRST_ORDER, JVP, VJP),
        _differences(COMPLEX), "np.imag(f(x + 1j*h*e)) / h for each unit vector e",
        _difference_cost(COMPLEX), why_not=_real, grows="n", exact=False, count=_calls(COMPLEX),
        part=lambda q: of_differences(q, COMPLEX)),
)
# fmt: on


def compiled(way: Way, how: Compiled = True) -> Way:
    """The same way, its flat code in the place of eager operations; "native": with kernels of machine code in it."""
    native = how == "native"

    def part(q: Question) -> Part:
        assert way.part is not None
        return flat(way.part(q), q, functools.partial(compile, native=native))

    return replace(
        way,
        name=f"{way.name}, {'natively ' * native}compiled",
        derivative=lambda q: compile(way.derivative(q), native=native),
        code=_compiled_code(way.code, f", native={native}"),
        estimate=lambda q, e: way.flat(q, e, how),
        compilable=False,
        part=part if way.part else None,
        prepares=True,
        native=native,
        why_not=lambda q: way.why_not(q) or (NO_KERNELS if native and not usable() else ""),
    )


NO_KERNELS = "takes llvmlite; pip install 'admodes[native]'"


def _compiled_code(code: str, options: str) -> str:
    for call in ("{x}", "({p})"):
        if code.endswith(f"){call}"):
            return f"admodes.compile({code.removesuffix(call)}{options}){call}"
    return f"admodes.compile(lambda {{args}}: {code}{options}){{x}}"


def ways(target: str) -> list[Way]:
    """The rows of the table for a target, each compiled version behind its eager one, and native ones, which take
    longest to prepare, behind them all."""
    rows = [way for way in OWN if target in way.targets]
    own = [version for way in rows for version in ((way, compiled(way)) if way.compilable else (way,))]
    native = [compiled(way, "native") for way in rows if way.compilable]
    return [*own, *native, *(_foreign(peer, target) for peer in PEERS)]


def _foreign(peer: Peer, target: str) -> Way:
    code = peer.codes[target]
    return Way(
        peer.label, (target,), peer.derivative, code, why_not=peer.why_not, grows=UNKNOWN, peer=peer, prepares=True
    )
