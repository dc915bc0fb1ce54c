"""Programs: what `trace` writes down, how it prints, that its source runs, and the pictures of it."""

import dataclasses
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

from admodes import (
    GuardFailed,
    custom_op,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    trace,
    value_and_grad,
    vjp,
)
from admodes.core.errors import Detached, LeakedTracer
from admodes.program.passes import optimise
from admodes.program.show import draw as drawing

rng = np.random.default_rng(3)
W = rng.normal(size=(4, 3))
X = rng.normal(size=3)
UNIT = (2.0, -1.0, -3.0, -2.0, -3.0)  # the logistic unit of seed 002: w0, x0, w1, x1, w2


def layer(x):
    return np.tanh(W @ x)


def loss(x):
    return np.sum(layer(x) ** 2)


def unit(w0, x0, w1, x1, w2):
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def run_source(program, *args):
    """The printed source, executed on its own with the namespace beside it."""
    scope = dict(program.namespace)
    exec(program.source, scope)
    (name,) = re.findall(r"^def (\w+)\(", program.source, re.MULTILINE)
    return scope[name](*args)


def agree(program, f, *args):
    """program(*args), its source and f give the same numbers."""
    expected = f(*args)
    for found in (program(*args), optimise(program)(*args)):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(run_source(program, *args)[0], program(*args))


# ---------------------------------------------------------------------------------------------------
# What can be traced
# ---------------------------------------------------------------------------------------------------

DERIVATIVES = {
    "f": loss,
    "value": layer,
    "grad": grad(loss),
    "jacfwd": jacfwd(layer),
    "jacrev": jacrev(layer),
    "jacrev in chunks": jacrev(layer, chunk=2),
    "hessian": hessian(loss),
    "hessian, reverse over forward": hessian(loss, mode="reverse-over-forward"),
    "hessian, reverse over reverse": hessian(loss, mode="reverse-over-reverse"),
    "hessian, forward over forward": hessian(loss, mode="forward-over-forward"),
    "hvp": lambda x: hvp(loss, (x,), (np.ones(3),)),
    "jvp": lambda x: jvp(layer, (x,), (x * x,))[1],
    "vjp": lambda x: vjp(layer, x)[1](np.ones(4))[0],
    "third order": grad(lambda x: np.sum(hessian(loss)(x))),
    "grad of a norm of a gradient": grad(lambda x: np.sum(grad(loss)(x) ** 2)),
}


@pytest.mark.parametrize("f", DERIVATIVES.values(), ids=DERIVATIVES)
def test_trace_of_any_derivative(f):
    program = trace(f, X)
    agree(program, f, X)
    agree(program, f, rng.normal(size=3))  # nothing of X is baked in


def test_a_pullback_is_a_function_too():
    y, pullback = vjp(layer, X)
    program = trace(lambda u: pullback(u)[0], y)
    u = rng.normal(size=4)
    np.testing.assert_allclose(program(u), pullback(u)[0], rtol=1e-14)


def test_a_program_can_be_differentiated_and_traced():
    program = trace(loss, X)
    np.testing.assert_allclose(grad(program)(X), grad(loss)(X), rtol=1e-14)
    np.testing.assert_allclose(trace(lambda x: 2 * program(x), X)(X), 2 * loss(X), rtol=1e-14)


def test_trees_static_arguments_and_several_results():
    @dataclasses.dataclass
    class Model:
        W: np.ndarray
        power: int

    def f(model, data, mode):
        y = model.W @ data["x"]
        return {"y": y**model.power, "pair": (y if mode == "plain" else -y, 2.0)}

    model, data = Model(W, 3), {"x": X}
    program = trace(f, model, data, "plain")
    assert [v.name for v in program.inputs] == ["model_W", "data"]
    found, expected = program(model, data, "plain"), f(model, data, "plain")
    np.testing.assert_array_equal(found["y"], expected["y"])
    np.testing.assert_array_equal(found["pair"][0], expected["pair"][0])
    assert found["pair"][1] == 2.0
    with pytest.raises(TypeError, match="traced for the argument 'plain', called with 'other'"):
        program(model, data, "other")
    with pytest.raises(TypeError, match="traced for the argument 3, called with 2"):
        program(Model(W, 2), data, "plain")


def test_calls_that_do_not_fit():
    program = trace(loss, X)
    with pytest.raises(TypeError, match=r"argument x was traced as float64\[3\], called with float64\[4\]"):
        program(np.ones(4))
    with pytest.raises(TypeError, match=r"called with float32\[3\]"):
        program(X.astype(np.float32))
    with pytest.raises(TypeError, match="called with a str"):
        program("x")
    with pytest.raises(TypeError, match=r"traced for arguments \(\*,.*called with \("):
        program(X, X)


def test_a_branch_is_a_guard():
    def f(x):
        return np.sin(x) if np.sum(x) > 0 else x

    program = trace(f, np.ones(2))
    np.testing.assert_array_equal(program(np.full(2, 0.5)), np.sin(np.full(2, 0.5)))
    assert "raise GuardFailed" in program.source
    with pytest.raises(GuardFailed):
        program(-np.ones(2))


def test_a_symbol_does_not_outlive_its_trace():
    kept = []
    trace(lambda x: kept.append(x) or x * 1.0, X)
    with pytest.raises(LeakedTracer):
        kept[0] * 2


def test_a_traced_value_from_outside_is_no_constant():
    with pytest.raises(Detached, match="which is none of its arguments"):
        grad(lambda y: np.sum(trace(lambda x: x * y, X)(X)))(X)


def test_constants_are_taken_as_they_are():
    scale = np.ones(3)

    def f(x):
        y = x * scale
        scale[:] = 7.0  # overwritten while f runs: both readings are kept
        z = y + scale
        scale[:] = 1.0
        return z

    program = trace(f, X)
    scale[:] = 100.0
    np.testing.assert_array_equal(program(X), X + 7)


def test_equal_small_constants_are_kept_once():
    def f(x):
        for _ in range(20):
            x = np.tanh(W[:3] @ x)
        return np.sum(x)

    program = trace(grad(f), X)  # the tape copies W each time that it meets it
    assert sum(isinstance(x, np.ndarray) for x in program.namespace.values()) == 1


def test_functions_of_the_users_own():
    first = custom_op(lambda x: x + 1, partial=lambda y, x: 1.0)
    second = custom_op(lambda x: x + 2, partial=lambda y, x: 1.0)  # of the same name, "<lambda>"

    def times(x):
        return x * 5

    times_op = custom_op(times, partial=lambda y, x: 5.0)

    def f(x):
        return first(x) * second(x) + times_op(x)

    f.__name__ = "times"  # of the name that its helper has
    agree(trace(f, X), f, X)


# ---------------------------------------------------------------------------------------------------
# The source
# ---------------------------------------------------------------------------------------------------


def test_the_flat_code_of_the_lecture():
    """Seed 002, "Backprop Implementation: Flat code": forward lines, backward lines, gradients by name."""
    gradient = grad(unit, argnums=(0, 1, 2, 3, 4))
    program = trace(gradient, *UNIT)
    assert program.source == (
        "import numpy as np\n"
        "\n"
        "\n"
        "def unit(w0, x0, w1, x1, w2):\n"
        "    # forward\n"
        "    t0 = w0 * x0\n"
        "    t1 = w1 * x1\n"
        "    t2 = t0 + t1\n"
        "    t3 = t2 + w2\n"
        "    t4 = -t3\n"
        "    t5 = np.exp(t4)\n"
        "    t6 = 1 + t5\n"
        "    t7 = 1 / t6\n"
        "    # backward\n"
        "    grad_t7 = 1.0\n"
        "    t8 = -t7\n"
        "    t9 = t8 / t6\n"
        "    grad_t6 = t9 * grad_t7\n"
        "    grad_t4 = t5 * grad_t6\n"
        "    grad_t3 = -grad_t4\n"
        "    grad_w1 = x1 * grad_t3\n"
        "    grad_x1 = w1 * grad_t3\n"
        "    grad_w0 = x0 * grad_t3\n"
        "    grad_x0 = w0 * grad_t3\n"
        "    return grad_w0, grad_x0, grad_w1, grad_x1, grad_t3\n"
    )
    L = unit(*UNIT)  # and its lines, as the lecture writes them
    grad_s = (1 - L) * L
    by_hand = (grad_s * -1.0, grad_s * 2.0, grad_s * -2.0, grad_s * -3.0, grad_s)
    np.testing.assert_allclose(run_source(program, *map(np.float64, UNIT)), by_hand, rtol=1e-14)
    np.testing.assert_allclose(by_hand, [-0.20, 0.39, -0.39, -0.59, 0.20], atol=5e-3)  # the numbers on the slide


def test_arguments_keep_their_names():
    program = trace(lambda weights, x: weights @ x, W, X)
    assert "def f(weights, x):" in program.source
    assert "return t0," in program.source


def test_names_that_flat_code_needs_are_not_hidden():
    def f(np, math, same, GuardFailed, t0, grad_x, c0, scatter):
        y = (np + math) * same - GuardFailed / t0
        return y * float("inf") * grad_x + c0 * W[0] + scatter

    args = [rng.normal(size=3) for _ in range(8)]
    agree(trace(f, *args), f, *args)

    def g(float, slice, setitem):
        z = setitem * float
        z[1:] = slice[:2]
        return z * np.inf

    args = args[:3]
    np.testing.assert_array_equal(run_source(trace(g, *args), *args)[0], g(*args))


def test_large_constants_come_with_the_namespace():
    A = rng.normal(size=(5, 3))
    program = trace(lambda x: A @ x, X)
    assert "# A: float64[5, 3], in program.namespace" in program.source
    np.testing.assert_array_equal(program.namespace["A"], A)
    small = trace(lambda x: x * np.array([1.0, 2.0, 3.0], np.float32), X)
    assert "c0 = np.array([1.0, 2.0, 3.0], dtype='float32')" in small.source


SOURCES = {
    "index": lambda x: x[1:] * x[:-1] + x[-1] + x[None, 1:, ...][0] + x[[0, 2]] + x[np.array([0, 1])],
    "assignment": lambda x: np.where(x > 0, x, -x) + _assigned(x),
    "empty_like": lambda x: _filled(x),
    "joined": lambda x: np.concatenate([x, 2 * x, np.zeros(2)]) + np.stack([x, x]).sum(),
    "shapes": lambda x: x.reshape(1, -1).T @ np.expand_dims(x, 0),
    "reductions": lambda x: np.sum(np.outer(x, x), axis=1, keepdims=True) / np.max(x),
    "infinite": lambda x: np.minimum(x, np.inf) + np.maximum(x, -np.inf),
    "types": lambda x: x.astype(np.float32) * np.float32(2) + x.astype(complex).real,
    "single precision": lambda x: x.astype(np.float32) * np.float64(2.5),
    "linear algebra": lambda x: np.linalg.solve(np.outer(x, x) + np.eye(3), x),
    "einsum": lambda x: np.einsum("i,ij->j", x, W.T),
    "several results": lambda x: np.divmod(x, 0.7),
    "masks": lambda x: x[x > 0] * 2,
    "comparison": lambda x: (x > 0) & (x < 1) | np.isnan(x),
    "nothing": lambda x: (),
}


def _assigned(x):
    y = np.zeros_like(x)
    y[1:] = x[:-1] ** 2
    y[0] = 3.0
    return y


def _filled(x):
    y = np.empty_like(x)
    y[:2] = x[1:]
    return y[:2]


@pytest.mark.parametrize("f", SOURCES.values(), ids=SOURCES)
def test_source_runs_like_the_function(f):
    program = trace(f, X)
    expected = f(X)
    for found in (program(X), f(X), optimise(program)(X)):
        for a, b in zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.asarray(a).dtype == np.asarray(b).dtype
    out = run_source(program, X)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(out) == len(expected)
    for a, b in zip(out, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_seed_keeps_its_dtype_in_the_source():
    """1.0 beside float32 arrays would be single precision where np.float64(1) is double."""

    def f(x):
        return np.sum(x * x) * np.float64(3)

    x = X.astype(np.float32)
    program = trace(value_and_grad(f), x)
    value, g = program(x)
    assert value.dtype == f(x).dtype
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g, grad(f)(x))


def test_forward_and_backward_parts():
    assert "# forward" not in trace(loss, X).source
    for program in (trace(grad(loss), X), trace(hessian(loss), X)):
        head, _, tail = program.source.partition("# backward")
        assert "# forward" in head
        assert "np.tanh" in head
        assert "np.tanh" not in tail


# ---------------------------------------------------------------------------------------------------
# Printing
# ---------------------------------------------------------------------------------------------------


def test_listing():
    program = trace(grad(lambda x: np.sum(x * x)), X)
    assert str(program) == repr(program)
    lines = [line.split() for line in str(program).splitlines()]
    assert lines[0] == ["<lambda>(x:", "float64[3]):"]
    assert lines[1] == ["t0", "float64[3]", "=", "x", "*", "x"]
    assert lines[2] == ["t1", "float64[]", "=", "t0.sum()"]
    assert lines[3] == ["#", "backward"]
    assert lines[4] == ["grad_t1", "float64[]", "=", "1.0"]
    assert lines[-1] == ["return", "grad_x"]
    assert len(program) == len(lines) - 3


def test_listing_shows_guards():
    program = trace(lambda x: x if x[0] > 0 else -x, np.ones(2))
    assert "guard not t1 is false" in str(program)


# ---------------------------------------------------------------------------------------------------
# Adjoints and pictures
# ---------------------------------------------------------------------------------------------------

SIMPLE = trace(grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2)), -2.0, 5.0, -4.0)


def test_every_value_knows_its_adjoint():
    """Seed 002: at x = −2, y = 5, z = −4 the gradients by x, y, z, q, f are −4, −4, 3, −4, 1."""
    known = SIMPLE.values(dict(zip(SIMPLE.inputs, (-2.0, 5.0, -4.0), strict=True)))
    forward = [*SIMPLE.inputs, *(v for i in SIMPLE.instructions if not i.backward for v in i.outs)]
    assert [float(known[v]) for v in forward] == [-2, 5, -4, 3, -12]
    assert [float(known[v.adjoint]) for v in forward] == [-4, -4, 3, -4, 1]


def texts(figure):
    return [t.get_text() for t in figure.axes[0].texts if t.get_text()]


def test_the_picture_of_the_lecture(tmp_path):
    """Values above, gradients below, of the logistic unit, as the slides print them."""
    program = trace(grad(unit, argnums=(0, 1, 2, 3, 4)), *UNIT)
    figure = program.draw(*UNIT, path=tmp_path / "unit.svg")
    shown = texts(figure)
    for number in ("2.00", "−1.00", "−3.00", "−2.00", "6.00", "4.00", "1.00", "0.37", "1.37", "0.73"):
        assert number in shown
    for gradient in ("−0.20", "0.39", "−0.39", "−0.59", "0.20", "−0.53"):
        assert gradient in shown
    assert {"×", "+", "×−1", "exp", "+1", "1/x", "w0", "out"} <= set(shown)
    assert "<svg" in (tmp_path / "unit.svg").read_text()


def test_values_stand_above_and_gradients_below():
    figure = SIMPLE.draw(-2.0, 5.0, -4.0)
    at = {t.get_text(): t for t in figure.axes[0].texts}
    value, gradient = at["−12.00"], at["1.00"]
    assert value.get_position()[1] > gradient.get_position()[1]
    assert value.get_color() != gradient.get_color()
    assert "value above" in at


def test_draw_without_arguments_shows_the_whole_graph(tmp_path):
    figure = trace(grad(loss), X).draw(path=tmp_path / "graph.png")
    assert {"tanh", "×", "∂x", "(3)", "4×3"} & set(texts(figure)) >= {"tanh", "∂x", "(3)"}
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_draw_shows_arrays_by_shape_and_first_values():
    figure = trace(grad(loss), X).draw(X)
    assert any(t.startswith("(4) [") and t.endswith("…]") for t in texts(figure))


def test_draw_of_a_function_without_gradient():
    figure = trace(lambda x: np.sin(x) * 2, 1.0).draw(1.0)
    assert {"sin", "×2", "0.84", "1.68"} <= set(texts(figure))


def test_draw_of_too_much_says_what_to_do():
    def long(x):
        for _ in range(600):
            x = np.sin(x)
        return x

    with pytest.raises(ValueError, match=r"has 602 nodes.*to_dot"):
        trace(long, 1.0).draw()


def test_nodes_of_a_layer_keep_their_distance_and_wires_run_to_the_right():
    program = trace(hessian(lambda x: np.sum(np.sin(x) * x**2)), X)
    layers = drawing.layout(drawing.graph(program, program.instructions, program.outputs))
    for layer in layers:
        heights = [n.y for n in layer]
        assert all(a - b >= 1 - 1e-9 for a, b in itertools.pairwise(heights))
        assert all(s.layer == n.layer - 1 for n in layer for s in n.sources)


def test_barycentres_untangle_wires():
    def f(a, b, c):
        return np.sin(c) + 0, np.cos(b) + 0, np.tan(a) + 0

    program = trace(f, 1.0, 2.0, 3.0)
    layers = drawing.layout(drawing.graph(program, program.instructions, program.outputs))
    assert drawing.crossings(layers) == 0


@pytest.mark.parametrize(
    ("wanted", "found"),
    [([5.0, 1.0], [5, 1]), ([0.0, 0.0], [0.5, -0.5]), ([0.0, 3.0, -1.0], [2.0, 1.0, -1.0]), ([], [])],
)
def test_nearest_heights_with_distance_one(wanted, found):
    np.testing.assert_allclose(drawing._apart(wanted), found)


def test_dot():
    text = trace(grad(loss), X).to_dot()
    assert text.startswith('digraph "loss" {')
    nodes = set(re.findall(r"^  (n\d+) \[", text, re.MULTILINE))
    edges = re.findall(r"^  (n\d+) -> (n\d+) \[label=\"[a-z0-9]+(?:\[[\d, ]*\])?\"\];", text, re.MULTILINE)
    assert edges
    assert {n for edge in edges for n in edge} <= nodes
    assert 'label="tanh"' in text
    assert "#fbe3d0" in text  # the backward part
    quoted = trace(custom_op(lambda x: x + 1, partial=lambda y, x: 1.0), 1.0).to_dot()
    assert quoted.count("{") == quoted.count("}") == 1


def test_matplotlib_loads_when_it_draws():
    code = (
        "import sys, admodes; p = admodes.trace(lambda x: x * 2.0, 1.0); p.to_dot()\n"
        "assert 'matplotlib' not in sys.modules\n"
        "p.draw(1.0)\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_listing_shows_where_a_scatter_writes():
    program = trace(grad(lambda x: np.sum(x[1:] ** 2)), np.ones(3))
    assert "grad_x[1:] = " in str(program)
