"""Solutions of ordinary differential equations as functions of where they start and of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np

from ..core import pytree
from ..core.blank import traced
from ..core.dispatch import apply, highest, pack
from ..core.errors import NotConverged
from ..core.lending import by_value
from ..core.registry import Each, Op
from ..core.tracing import Tracer
from ..core.views import ground
from ..transforms.arguments import replaced
from ..transforms.around import NOTHING, Around
from ..transforms.closures import closed_over
from ..transforms.recording import Recording, push_forward

Method = Literal["RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA"]
METHODS = get_args(Method)


def odeint(
    f: Callable[..., Any],
    y0: Any,
    t: Any,
    *params: Any,
    method: Method = "DOP853",
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Any:
    """y(t) for dy/dt = f(y, t, *params), y(t[0]) = y0, one row a time; differentiable by y0, t and params.

    Parameters
    ----------
    f : a function in plain NumPy; f(y, t, *params) has the shape of y. Traced values in its closure count as params.
    y0 : array (or number) of shape s.
    t : times, shape (T,), rising or falling; t[0] is where y0 holds.
    *params : arrays or trees of arrays.
    method : of `scipy.integrate.solve_ivp`, for the solution and for its derivatives alike: "DOP853", "RK45" or "RK23",
        explicit Runge–Kutta methods of order 8, 5 and 3; "Radau", "BDF" or "LSODA" for stiff problems.
    rtol, atol : its tolerances, relative and absolute.

    Returns
    -------
    y : shape (T, *s).

    Raises
    ------
    NotConverged : the integrator gave up. ValueError : times that do not run one way; f of another shape than y; an
    unknown method. TypeError : complex numbers; what f stores outside of itself, as in `root`.

    Forward mode integrates the sensitivities ∂y/∂(y0, params) beside y. Reverse mode integrates the adjoint equation
    backwards, da/dt = −(∂f/∂y)ᵀ a, along the solution; its memory does not grow with the steps of the integrator,
    but for one interpolant of y. Both solve differential equations of their own, so they agree with each other, and
    with the derivative of the discrete steps, up to the tolerances.

    Source: Pontryagin's adjoint equation; Chen et al., "Neural ordinary differential equations" (2018), algorithm 1,
    with y interpolated where they integrate it backwards, which diverges for stiff problems.

    >>> import numpy as np
    >>> from admodes import grad, odeint
    >>> decay = lambda rate: odeint(lambda y, t, rate: -rate * y, 1.0, np.array([0.0, 2.0]), rate)[-1]
    >>> bool(np.isclose(grad(decay)(0.5), -2 * np.exp(-1)))
    True
    """
    if method not in METHODS:
        raise ValueError(f"odeint: method={method!r} is not one of {', '.join(map(repr, METHODS))}")
    y0, t = _real(y0, "y0"), _real(t, "t")
    steps = np.diff(ground(t))
    if t.ndim != 1 or t.size < 1 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(
            f"odeint: t has shape {t.shape}; it must be times, shape (T,), that rise or that fall throughout"
        )
    captured, rebuild = closed_over(f)
    flat, structure = pytree.flatten((params, captured))
    flat = [pack(x) for x in flat]
    if any(np.iscomplexobj(x) for x in flat):
        raise TypeError("odeint: a parameter is complex; pass its real and imaginary part as two real ones")
    moving = [k for k, x in enumerate(flat) if isinstance(x, Tracer) and x.dtype.kind == "f"]
    shape = y0.shape

    def flow(y: Any, time: Any, *q: Any) -> Any:
        """f on raveled y."""
        full = replaced(rest, moving, q)
        params, captured = pytree.unflatten(structure, full)
        with around.alone():
            rate = around.call(rebuild, captured, lambda f: by_value(f, (np.reshape(y, shape), time, *params), {}))
        if np.shape(rate) != shape:
            raise ValueError(f"odeint: f gives shape {np.shape(rate)} where y has {shape}; they must agree")
        return np.reshape(rate, -1)

    rest = replaced(flat, moving, [None] * len(moving))  # no traced value: see `closures`
    args = np.reshape(y0, -1), t, *(flat[k] for k in moving)
    around = Around([f], [ground(x) for x in captured]) if traced(args) else NOTHING
    row = _Flow(flow, (method, rtol, atol), around)
    with around.searching("odeint"):
        y = row.evaluate(*args)
    return np.reshape(y, (t.size, *shape))


class _Flow(Op):
    """y at the times t; arguments (y0, t, *q), y0 of shape (n,), result (T, n)."""

    def __init__(self, f: Callable[..., Any], how: tuple[str, float, float], around: Around) -> None:
        super().__init__(_rows, name="odeint", arrays=None)
        self.f, self.how, self.around = f, how, around
        self.pushes = self.pulls = Each()

    def evaluate(self, y0: Any, t: Any, *q: Any) -> Any:
        if highest((y0, t, q)) is not None:
            return apply(self, (y0, t, *q), {})
        with self.around.again():
            return self.integrated(y0, t, q).y.T if t.size > 1 else y0[None].copy()

    def integrated(self, y0: Any, t: Any, q: Sequence[Any], dense: bool = False) -> Any:
        from scipy.integrate import solve_ivp

        method, rtol, atol = self.how
        found = solve_ivp(
            lambda time, y: self.f(y, np.float64(time), *q),
            (t[0], t[-1]),
            y0,
            method=method,
            t_eval=None if dense else t,
            dense_output=dense,
            rtol=max(rtol, 2.3e-14),
            atol=atol,
        )
        if not found.success:
            raise NotConverged(
                f"odeint: {method} gave up at t = {found.t[-1]:.6g}: {found.message} For stiff problems take "
                'method="Radau", "BDF" or "LSODA".'
            )
        return found

    def push_all(self, given: dict[int, Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        with self.around.again():
            return self._sensitivities(given, y, args)

    def pull_all(self, u: Any, y: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        with self.around.again():
            return self._adjoints(u, y, args)

    def _sensitivities(self, given: dict[int, Any], y: Any, args: Sequence[Any]) -> Any:
        """The sensitivities S, one row a direction: dS/dt = ∂f/∂y S + ∂f/∂q q̇, and ẏ(tᵢ) = S + f ṫᵢ."""
        y0, t, *q = args
        n = y0.size
        some = given[min(given)]
        lead = some.shape[: some.ndim - np.ndim(args[min(given)])]
        rows = lead or (1,)
        moving = [k for k in given if k > 1]
        tangents = [np.reshape(given[k], (*rows, *np.shape(args[k]))) for k in moving]
        first = np.zeros((*rows, n)) if 0 not in given else np.reshape(given[0], (*rows, n))
        if 1 in given:  # starting later is starting at a point that the flow leaves behind
            t_dot = np.reshape(given[1], (*rows, t.size))
            first = first - t_dot[:, :1] * self.f(y0, t[0], *q)

        def both(s: Any, time: Any, *rest: Any) -> Any:
            q, q_dot = rest[: len(q_now)], rest[len(q_now) :]
            primals = [s[:n], *(q[k - 2] for k in moving)]

            def f(y: Any, *some: Any) -> Any:
                full = list(q)
                for k, x in zip(moving, some, strict=True):
                    full[k - 2] = x
                return self.f(y, time, *full)

            directions = [np.reshape(s[n:], (*rows, n)), *q_dot]
            (rate,), _, (pushed,) = push_forward(f, *_arguments(primals), directions, rows)
            return np.concatenate([rate, np.reshape(pushed, -1)])

        q_now = q
        found = _Flow(both, self.how, self.around).evaluate(
            np.concatenate([y0, np.reshape(first, -1)]), t, *q, *tangents
        )
        S = np.moveaxis(np.reshape(found[:, n:], (t.size, *rows, n)), 0, 1)
        if 1 in given:
            rates = np.stack([self.f(y[i], t[i], *q) for i in range(t.size)])
            S = S + t_dot[:, :, None] * rates
        return np.reshape(S, (*lead, t.size, n))

    def _adjoints(self, u: Any, y: Any, args: Sequence[Any]) -> list[Any]:
        """The adjoint a = ȳ(t), backwards: da/dt = −(∂f/∂y)ᵀ a, dq̄/dt = −(∂f/∂q)ᵀ a, and a += ūᵢ at every time tᵢ."""
        y0, t, *q = args
        n, count = y0.size, t.size
        lead = u.shape[:-2]
        u = np.reshape(u, (*(lead or (1,)), count, n))
        rows = u.shape[:1]
        sizes = [int(np.size(x)) for x in q]
        # Where nothing is traced y comes from an interpolant; else it is integrated backwards beside a, row by row.
        plain = highest((u, y, args)) is None
        path = self.integrated(y0, t, q, dense=True).sol if plain and count > 1 else None

        def back(s: Any, time: Any, *q: Any) -> Any:
            y, s = (path(float(time)), s) if path else (s[:n], s[n:])
            a = np.reshape(s[: rows[0] * n], (*rows, n))
            recording = Recording(lambda y, *q: self.f(y, time, *q), (y, *q))
            pulled = [-np.reshape(g, -1) for g in recording.pull([a], rows)]
            return np.concatenate(pulled if path else [recording.values[0], *pulled])

        flow = _Flow(back, self.how, self.around)
        a, g = u[:, -1], np.zeros(rows[0] * sum(sizes))
        t_bar = [np.sum(u[:, i] * self.f(y[i], t[i], *q), axis=-1) for i in range(count)]
        for i in reversed(range(1, count)):
            start = np.concatenate([*([] if path else [y[i]]), np.reshape(a, -1), g])
            s = flow.evaluate(start, np.stack([t[i], t[i - 1]]), *q)[-1]
            s = s if path else s[n:]
            before, g = np.reshape(s[: rows[0] * n], (*rows, n)), s[rows[0] * n :]
            a = before + u[:, i - 1]
        if count > 1:
            t_bar[0] = -np.sum(before * self.f(y0, t[0], *q), axis=-1)
        else:
            t_bar[0] = np.zeros(rows)
        parts, start = [], 0
        for x, size in zip(q, sizes, strict=True):
            parts.append(np.reshape(g[start : start + rows[0] * size], (*lead, *np.shape(x))))
            start += rows[0] * size
        return [np.reshape(a, (*lead, n)), np.reshape(np.stack(t_bar, axis=-1), (*lead, count)), *parts]


def _rows(y0: Any, t: Any, *q: Any) -> Any:
    """The name under which programs show the solution of a differential equation."""


def _arguments(primals: list[Any]) -> tuple[Any, list[Any]]:
    return pytree.flatten(tuple(primals))[1], primals


def _real(x: Any, name: str) -> Any:
    """An array of floats, traced or not."""
    x = pack(x) if isinstance(x, Tracer) else pack(np.asarray(x))
    if x.dtype.kind not in "fiub":
        raise TypeError(
            f"odeint: {name} has dtype {x.dtype}; it must be real. Pass real and imaginary part beside each other"
        )
    return x if x.dtype.kind == "f" else x.astype(float)
