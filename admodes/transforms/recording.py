"""One run of f: on dual numbers, or on a tape that can be pulled and pushed any number of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import pytree
from ..core.creation import around, run
from ..core.directions import cast, inexact
from ..core.dispatch import differentiated
from ..core.forward import Dual, Forward
from ..core.moving import Careful, Remembering
from ..core.reverse import Tape, Var
from ..core.views import arguments, clone
from ..core.zeros import keeps_zeros, kept, lost, undetermined
from .directions import directions, lowest, observer, own, private


class Pushed(NamedTuple):
    """The leaves of a result, its structure, and their tangents; doubtful: whether a zero was kept that may move."""

    values: list[Any]
    structure: Any
    tangents: list[Any]
    doubtful: bool = False


def push_forward(
    f: Callable[..., Any], structure: Any, leaves: list[Any], ts: list[Any], lead: tuple[int, ...]
) -> tuple[list[Any], Any, list[Any]]:
    """Run f on dual numbers: the leaves of the result, its structure, and their tangents."""
    plain = None if keeps_zeros() else run(f, _push_forward, f, structure, leaves, ts, lead, False)
    if plain is not None and not lost(plain.tangents):
        return plain[:3]
    swept: list[Pushed] = []

    def sweep() -> Pushed:
        swept.append(again(lambda: run(f, _push_forward, f, structure, leaves, ts, lead, True)))
        return swept[-1]

    def again(body: Callable[[], Any]) -> Any:
        captured = around(f)
        with captured.restored():
            result = body()
        if captured.changed:  # the first run was at other values than this one
            undetermined()
        return result

    def settled(found: Pushed) -> Pushed:
        recording = again(lambda: Recording(f, pytree.unflatten(structure, leaves)))
        return found._replace(tangents=recording.push(ts, lead))

    return kept(plain, sweep, lambda: swept[-1].doubtful, settled)[:3]


def _push_forward(
    f: Callable[..., Any], structure: Any, leaves: list[Any], ts: list[Any], lead: tuple[int, ...], strong: bool
) -> Pushed:
    trace = _transform(leaves, lead, strong)
    careful = trace if isinstance(trace, Careful) else None
    try:
        duals: Sequence[Any] = [Dual(clone(x), t, trace) for x, t in zip(leaves, ts, strict=True)]
        if len(duals) > 1:
            duals = arguments(duals, leaves)
        if careful is not None and careful.observer is not None:
            for dual in duals:
                careful.observer(dual.value, dual.tangent)
        out, out_structure = pytree.flatten(f(*pytree.unflatten(structure, duals)))
        out = [pytree.result(y, "the result") for y in out]
        values = [y.value if type(y) is Dual and y.transform is trace else y for y in out]
        doubtful = trace.second or (careful is not None and careful.doubtful)
        return Pushed(values, out_structure, [trace.tangent_of(y) for y in out], doubtful)
    finally:
        trace.closed = True


def _transform(leaves: list[Any], lead: tuple[int, ...], strong: bool) -> Forward:
    """The transform of one run, which is watched where the lowest transform under a leaf wants to know."""
    below = []
    for x in leaves:
        trace = None if type(x) is np.ndarray else lowest(x)
        if trace is not None:
            below.append(trace)
    for x in leaves if below else ():
        differentiated(x)
    if not below and not strong:
        return Forward(lead)
    told = next(filter(None, (trace.observe_tangents() for trace in below)), None)
    if strong or told is not None:
        return Careful(lead, strong, told)
    return Remembering(lead) if below else Forward(lead)


def complex_of_real(leaves: Sequence[Any], results: Sequence[Any]) -> bool:
    """Complex results of real arguments: a cotangent of a real array is real, so that pulls lose the imaginary part."""
    return any(y.dtype.kind == "c" for y in results) and any(x.dtype.kind != "c" for x in leaves)


class Recording:
    """One run of f on a tape, ready to pull cotangents back and to push tangents forward, any number of times."""

    def __init__(self, f: Callable[..., Any], primals: tuple[Any, ...]) -> None:
        leaves, self.in_structure = pytree.flatten(tuple(primals))
        self.leaves = [pytree.differentiable(x, "argument {}".format, i) for i, x in enumerate(leaves)]
        run(f, self._record, f)

    def _record(self, f: Callable[..., Any]) -> None:
        self.tape = Tape()
        try:
            inputs = arguments([self.tape.input(x) for x in self.leaves], self.leaves)
            self.leaves = [x.value for x in inputs]  # as recorded: immune to later overwriting
            out, self.out_structure = pytree.flatten(f(*pytree.unflatten(self.in_structure, inputs)))
            self.outputs = [pytree.result(y, "the result") for y in out]
            self.values = [y.value if self.traced(y) else y for y in self.outputs]
        finally:
            self.tape.closed = True

    @property
    def has_rows(self) -> bool:
        """Whether pulls give rows of the Jacobian: see `complex_of_real`."""
        return not complex_of_real(self.leaves, self.values)

    def require_rows(self) -> None:
        """Raise where pulls give no rows of the Jacobian."""
        if not self.has_rows:
            raise TypeError(
                "reverse mode of a function with real arguments and a complex result: a pull gives the real part of a "
                "row alone. Use forward mode, as jacfwd does, or take np.real and np.imag of the result as two results."
            )

    def traced(self, y: Any) -> bool:
        return type(y) is Var and y.transform is self.tape

    def value(self) -> Any:
        """The result, in arrays of its own: the tape still needs its values."""
        own = [y.copy(order="K") if type(y) is np.ndarray else clone(y) for y in self.values]
        return pytree.unflatten(self.out_structure, own)

    def pullback(self, cotangent: Any) -> tuple[Any, ...]:
        """One cotangent a primal, from a cotangent of the result."""
        us, structure = pytree.flatten(cotangent)
        if structure is not self.out_structure and structure != self.out_structure:
            raise TypeError(
                f"pullback: the cotangent has the structure {structure}, the result {self.out_structure}; "
                "they must agree."
            )
        us, lead = directions(self.values, us, "cotangent", "result")
        return pytree.unflatten(self.in_structure, [own(g) for g in private(self.pull(us, lead), taken=us)])

    def pull(self, us: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Cotangents of the leaves of the arguments, zeros where the result does not depend on them."""
        seeds = [(y.index, cast(u, y.value.dtype)) for y, u in zip(self.outputs, us, strict=True) if self.traced(y)]
        watching = observer([y.value for y in self.outputs if self.traced(y)])
        found = self.tape.pull(seeds, len(self.leaves), watching)
        return [
            np.zeros(lead + x.shape, x.dtype)[()] if g is None else g for g, x in zip(found, self.leaves, strict=True)
        ]

    def push(self, ts: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
        """Tangents of the leaves of the result."""
        found = iter(self.tape.push(ts, [y.index for y in self.outputs if self.traced(y)]))
        pushed = [next(found) if self.traced(y) else None for y in self.outputs]
        return [
            np.zeros(lead + np.shape(y), inexact(y)) if t is None else t
            for t, y in zip(pushed, self.values, strict=True)
        ]
