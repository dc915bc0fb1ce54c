"""Random recurrences: loops of scalars, vectors and matrices with up to three carried values, data for each step,
branches with guards, odd first or last steps, loops in loops and one after the other."""

from __future__ import annotations

import numpy as np


def _vector(rng, names):
    """An expression in vectors of n elements."""
    a, b = rng.choice(names, 2)
    return rng.choice([
        f"np.tanh({a} + 0.5 * {b})", f"0.9 * {a} + 0.1 * np.sin({b})", f"{a} * 0.5 - {b} / (2.0 + {a} * {a})",
        f"np.tanh(M @ {a}) + 0.1 * {b}", f"({a} @ M) * 0.3 + x[t]", f"np.where({a} > {b}, {a}, 0.5 * {b}) * 0.8",
        f"{a} / np.sqrt(1.0 + np.sum({b} * {b}))", f"np.concatenate([{a}[1:], {a}[:1]]) * 0.7",
        f"0.5 * {a} + 0.1 * x[t] * {b}", f"np.maximum({a}, {b}) * 0.9 + c[t] * 0.1", f"{a} * 0.6 + 0.01 * t",
        f"np.mean({a}) * 0.5 + {b} * 0.25", f"np.exp({a} - np.max({a})) * 0.3 - {b} * 0.1",
        f"{a}[::-1] * 0.9 + x[-1 - t]",
        f"0.7 * {a} + y[:, t] * 0.2", f"np.outer({a}, {b})[0] * 0.2 + {b} * 0.5", f"({a} @ {b}) * 0.05 + {a} * 0.5",
        f"np.array([{a}[1], {b}[0], {a}[2] * {b}[1]]) * 0.6", f"np.hstack([{a}[:1], x[t, 1:]]) * 0.5 + 0.1 * {b}",
    ])  # fmt: skip


def _scalar(rng, names):
    a, b = rng.choice(names, 2)
    return rng.choice([
        f"0.9 * {a} + 0.5 * np.sin({b})", f"{a} * {b} * 0.3 + 0.1", f"np.tanh({a}) - 0.2 * {b}", f"x[t, 0] * {a} * 0.5",
        f"np.where({a} < {b}, 0.5 * {a}, 0.3 * {b})", f"{a} / (1.5 + {b} * {b})", f"0.8 * {a} + c[t] * 0.1",
        f"np.sqrt(1.0 + {a} * {a}) - {b} * 0.5", f"0.5 * {a} + x[t, -1] + 0.01 * t", f"np.exp(-{a} * {a}) * {b}",
        f"0.7 * {a} + x[len(x) - 1 - t, 1]", f"np.abs({a}) * 0.9 + 0.05", f"np.tanh({a} - {b}) ** 3 * 0.1 + {a} * 0.5",
    ])  # fmt: skip


def _matrix(rng, names):
    a, b = rng.choice(names, 2)
    return rng.choice([
        f"np.tanh({a} @ M)", f"0.5 * M @ {a} + 0.1 * {b}", f"{a} * 0.8 + np.outer(x[t], x[t]) * 0.1",
        f"{a}.T * 0.5 + {b} * 0.3", f"{a} / (1.0 + np.sum({b} * {b}))", f"({a} @ {b}) * 0.1 + M * 0.5",
        f"0.6 * {a} + c[t]", f"np.sin({a}) + {b}.mean(axis=0)", f"{a} - 0.1 * {a} @ M @ {b}.T",
        f"np.stack([{a}[0], {b}[1], {a}[:, 2]], axis=1) * 0.5", f"np.concatenate([{a}[1:], {b}[:1]]) * 0.6 + 0.1 * M",
    ])  # fmt: skip


KINDS = {"scalar": (_scalar, "x[0, {k}] * 1.0"), "vector": (_vector, "M[{k}] * 0.5"), "matrix": (_matrix, "M * 0.{k}5")}


def recurrence(rng, steps):
    """The source of f(x, y, M); c, of one number a step, is a global of it."""
    kind = str(rng.choice([*KINDS]))
    expression, first = KINDS[kind]
    names = [f"s{k}" for k in range(int(rng.integers(1, 4)))]
    lines = [f"{v} = {first.format(k=k % 3)}" for k, v in enumerate(names)]

    def body(indent, few):
        made = []
        known = list(names)
        for n in range(1 if few else int(rng.integers(1, 4))):
            made.append(f"{indent}u{n} = {expression(rng, known)}")
            known.append(f"u{n}")
        for v in names:
            made.append(f"{indent}{v} = {expression(rng, known)}")
        if rng.random() < 0.25:
            made.append(f"{indent}if np.sum({known[-1]}) > 1e6:")
            made.append(f"{indent}    {names[0]} = {names[0]} * 0.5")
        if rng.random() < 0.2:
            made.append(f"{indent}if t {rng.choice(['== 0', '== len(x) - 1', '% 2', '== 4'])}:")
            made.append(f"{indent}    {names[0]} = {names[0]} * 0.75")
        if rng.random() < 0.3:
            made.append(f"{indent}total = total + np.sum({names[-1]}) * 0.1")
        return made

    lines.append("total = 0.0")
    for _ in range(1 if rng.random() < 0.7 else 2):
        lines.append(f"for t in range({rng.choice(['len(x)', 'len(x) - 1', '1, len(x)', 'len(x) - 1, -1, -1'])}):")
        if rng.random() < 0.2:
            lines.append("    for _ in range(3):")
            lines += body("        ", True)
        else:
            lines += body("    ", False)
    ends = " + ".join(f"np.sum({v} * {v})" for v in names)
    lines.append(f"return total + {ends}")
    return "def f(x, y, M):\n" + "\n".join(f"    {line}" for line in lines)


def function(rng, steps, n=3):
    """A random recurrence, its source, and arguments."""
    source = recurrence(rng, steps)
    scope = {"np": np, "c": rng.normal(size=steps).tolist() if rng.random() < 0.5 else rng.normal(size=steps)}
    exec(source, scope)
    arguments = rng.normal(size=(steps, n)), rng.normal(size=(n, steps)), rng.normal(size=(n, n)) * 0.4
    return scope["f"], source, arguments
