"""Every object that is seen as a table: its rows, its text, and what it gives to notebooks, files and pandas."""

import csv
import io
import re

import numpy as np
import pytest
from rich.console import Console

import admodes as ad
from admodes.core.tables import MOST_LINES, Column, Table, Tabular, whole
from admodes.ways.measure import allocated_peak

W = np.arange(6.0).reshape(2, 3)


def arrow(x):
    y = x**2
    y[0] = np.sum(x**3)
    y[1:] += x[0]
    return y


def objects():
    x = np.ones(3)
    gradient = ad.grad(lambda x: np.sum(np.tanh(W @ x) ** 2))
    graph = ad.linearized_graph(lambda x: np.array([x[0] * x[1], np.sin(x[0] * x[1])]), np.ones(2))
    chain = ad.JacobianChain([np.tanh, lambda x: W @ x, np.sum], x)
    factors = [(21, 19, 3674), (35, 21, 6973), (22, 35, 3390)]
    return {
        "Cost": ad.cost(gradient, x),
        "Program": ad.trace(gradient, x),
        "JacobianPlan": ad.jacobian(arrow).plan(np.ones(200)),
        "Bracketing": ad.optimal_bracketing(factors),
        "schedule": ad.optimal_bracketing(factors, workers=2),
        "ChainPlan": chain.plan(),
        "SparsePlan": ad.sparse_jacobian_plan(arrow, np.ones(9)),
        "mixed": ad.sparse_jacobian_plan(arrow, np.ones(9), mode="mixed"),
        "hessian": ad.sparse_hessian_plan(lambda x: np.sum(x[1:] * x[:-1] ** 2), np.ones(9)),
        "pattern": ad.jacobian_pattern(arrow, np.ones(9)),
        "LinearizedGraph": graph,
        "Orders": graph.compare(),
    }


FOUND = objects()
DRAWN = {"Program", "Bracketing", "schedule", "SparsePlan", "mixed", "hessian", "pattern", "LinearizedGraph"}


@pytest.mark.parametrize("name", FOUND)
def test_one_table_behind_each(name):
    found = FOUND[name]
    assert isinstance(found, Tabular)
    rows = found.rows
    assert rows
    assert all(set(row) == set(rows[0]) for row in rows)
    assert str(found) == repr(found)
    page = found._repr_html_()
    assert ("<svg" in page) == (name in DRAWN)
    assert page.count("<div") == page.count("</div>")
    frame = found.to_frame()
    assert frame.shape == (len(rows), len(rows[0]))
    printed = io.StringIO()
    Console(file=printed, width=200).print(found)
    assert found.table().columns[0].heading in printed.getvalue()


@pytest.mark.parametrize("name", sorted(set(FOUND) - {"LinearizedGraph"}))
def test_csv_holds_the_rows(name, tmp_path):
    found = FOUND[name]
    text = found.to_csv(tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [list(line.values()) for line in lines] == [
        ["" if v is None else str(v) for v in row.values()] for row in found.rows
    ]


def test_long_tables_are_cut_on_the_screen_alone():
    table = Table((Column("k", whole),), [{"k": k} for k in range(MOST_LINES + 5)], "numbers")
    assert table.text().splitlines()[0] == "numbers"
    assert table.text().splitlines()[-1] == "… 5 more"
    assert "5 more" in table.html()
    assert table.html().count("<tr") == 1 + MOST_LINES


def test_what_is_not_known_is_left_empty():
    table = Table((Column("a", side="<"), Column("b", whole)), [{"a": "x", "b": None}, {"a": "y <", "b": 1000}])
    assert table.text().splitlines() == ["a        b", "x", "y <  1,000"]
    assert "y &lt;" in table.html()


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match=r"take \.rows or \.to_csv"):
        FOUND["Cost"].to_frame()


# ---------------------------------------------------------------------------------------------------
# What the tables say
# ---------------------------------------------------------------------------------------------------


def test_captured_arrays_are_not_working_memory():
    big = np.ones((100, 100))
    captured = ad.cost(lambda x: np.sum(big @ x), np.ones(100))
    given = ad.cost(lambda A, x: np.sum(A @ x), big, np.ones(100))
    assert (captured.constant_bytes, captured.input_bytes) == (80_000, 800)
    assert (given.constant_bytes, given.input_bytes) == (0, 80_800)
    assert captured.working_bytes == given.working_bytes == 808
    assert "captured arrays 80,000" in str(captured)
    assert "captured" not in str(given)


@pytest.mark.parametrize("f", [lambda x: x**2, lambda x: x**2.0, lambda x: np.power(x, 2), np.square])
def test_a_square_counts_like_a_product(f):
    """Of arrays, of numbers, and in programs that were traced."""
    for x in (np.ones(10), 2.0):
        square, product = ad.cost(f, x), ad.cost(lambda x: x * x, x)
        assert (square.flops, square.multiply_adds) == (product.flops, product.multiply_adds)
    assert ad.cost(lambda x: x**3, np.ones(10)).multiply_adds == 0


def test_the_choice_follows_from_the_columns():
    """The seconds are the sum of overhead and work, and the least of them is the choice."""
    V, U = np.ones((40, 30)), np.ones((1, 40))
    plan = ad.jacobian(lambda x: U @ np.tanh(V @ x)).plan(np.ones(30))
    rows = plan.rows
    assert rows[0]["mode"] == plan.choice == min(rows, key=lambda row: row["predicted_seconds"])["mode"]
    for row in rows:
        assert 0 < row["overhead_seconds"] < row["predicted_seconds"]
        assert row["peak_bytes"] > row["directions"] * 30 * 8
    assert "overhead" in str(plan)
    assert "predicted" in str(plan)


def test_the_peak_of_a_plan_is_that_of_its_passes():
    """What is extrapolated from a few directions is what all of them take, beyond the arguments."""
    f, x = lambda x: np.sin(np.cumsum(x)), np.ones(300)
    row = next(row for row in ad.jacobian(f).plan(x).rows if row["mode"] == "forward")
    J = ad.jacfwd(f)
    assert row["peak_bytes"] == pytest.approx(allocated_peak(lambda: J(x)), rel=0.1)


def test_passes_of_a_sparse_plan():
    rows = FOUND["mixed"].scheme.rows
    assert [row["by"] for row in rows] == ["push of columns"] * 2 + ["pull of rows"]
    assert sum(row["lines"] for row in rows if row["by"] == "push of columns") == 9
    assert rows[-1] == {"pass": 3, "by": "pull of rows", "lines": 1, "entries": 9}


def test_a_sparse_plan_shows_what_else_there_is():
    """Its own way first, then the dense ones, each with what it takes; the least bytes where there are few passes."""
    plan = ad.sparse_jacobian_plan(lambda x: x[1:] * x[:-1], np.ones(500))
    own, forward, reverse = plan.rows
    assert [row["mode"] for row in plan.rows] == ["forward, coloured", "forward", "reverse"]
    assert [row["passes"] for row in plan.rows] == [plan.passes, 500, 499] == [2, 500, 499]
    assert 100 * own["flops"] < min(forward["flops"], reverse["flops"])
    assert 10 * own["peak_bytes"] < min(forward["peak_bytes"], reverse["peak_bytes"])
    assert all(0 < row["overhead_seconds"] < row["predicted_seconds"] for row in plan.rows)
    assert {"overhead", "predicted", "peak"} <= set(str(plan).splitlines()[1].split())


@pytest.mark.parametrize("mode", ["forward", "reverse", "mixed"])
def test_a_plan_of_trees_and_of_several_arguments_is_priced(mode):
    def f(d, y):
        return {"a": d["x"] * y, "b": np.sum(d["x"])}

    plan = ad.sparse_jacobian_plan(f, {"x": np.ones(4)}, np.ones(4), argnums=(0, 1), mode=mode)
    assert [row["passes"] for row in plan.rows[1:]] == [8, 5]


def test_a_plan_without_entries_is_priced():
    assert ad.sparse_jacobian_plan(lambda x: np.ones(4), np.ones(3)).rows[0]["passes"] == 0


def test_the_overhead_of_compiled_code_does_not_depend_on_the_arrays():
    """A number for each line and argument, whatever their size."""
    small, large = (ad.sparse_jacobian_plan(np.sin, np.ones(n)).rows for n in (100, 100_000))
    assert small[0]["overhead_seconds"] == pytest.approx(large[0]["overhead_seconds"])
    assert small[0]["predicted_seconds"] < large[0]["predicted_seconds"]


def test_a_pattern_prints_where_its_entries_are():
    pattern = ad.jacobian_pattern(arrow, np.ones(4))
    assert str(pattern).splitlines()[1:] == ["■■■■", "■■··", "■·■·", "■··■"]
    assert {(row["row"], row["column"]) for row in pattern.rows} == set(
        zip(*np.nonzero(pattern.toarray()), strict=True)
    )
    large = str(ad.jacobian_pattern(lambda x: x**2, np.ones(500))).splitlines()
    assert all(len(line) <= 72 for line in large)
    assert large[-1].startswith("a place stands for")


def test_every_entry_is_in_the_colour_of_a_pass_that_has_it():
    plan = FOUND["mixed"]
    colours = plan.scheme._of_entries()
    assert len(colours) == plan.pattern.nnz
    assert set(colours) <= set(range(plan.passes))


def test_the_graph_is_drawn_with_its_partials():
    figure = FOUND["LinearizedGraph"].draw()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"x[0]", "x[1]", "multiply", "sin"} <= set(texts)
    assert f"{np.cos(1.0):.3g}" in texts


# ---------------------------------------------------------------------------------------------------
# Programs: tangents, and the user's names
# ---------------------------------------------------------------------------------------------------


def test_a_push_is_drawn_with_its_tangents():
    def push(x, y, z):
        return ad.jvp(lambda x, y, z: (x + y) * z, (x, y, z), (1.0, 0.0, 0.0))

    program = ad.trace(push, -2.0, 5.0, -4.0)
    texts = [text.get_text() for text in program.draw(-2.0, 5.0, -4.0).axes[0].texts]
    assert "tangent below" in texts
    assert texts.count("−4.00") == 2  # z, and the tangent of the result
    assert {"x", "y", "z", "3.00", "−12.00"} <= set(texts)
    assert program(-2.0, 5.0, -4.0) == (-12.0, -4.0)


def test_tangents_have_the_names_of_their_values():
    program = ad.trace(lambda x, dx: ad.jvp(lambda x: np.sin(x) * x, (x,), (dx,)), 1.0, 2.0)
    assert re.search(r"dot_t0 = \w+ \* dx", program.source)
    assert program(0.5, 2.0)[1] == pytest.approx(2.0 * (np.cos(0.5) * 0.5 + np.sin(0.5)))


def test_tangents_of_second_derivatives():
    """The tangent of a cotangent has both names, and the program is right."""
    f = lambda x: np.sum(np.sin(x) * x**2)  # noqa: E731
    x, t = np.linspace(0.1, 1, 3), np.ones(3)
    program = ad.trace(lambda x: ad.hvp(f, (x,), (t,)), x)
    assert "dot_grad_" in program.source
    np.testing.assert_allclose(program(x), ad.hessian(f)(x) @ t)


def test_zeros_are_kept_where_tangents_are_told():
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))  # noqa: E731
    x = np.array([0.0, 4.0])
    with np.errstate(all="ignore"):
        program = ad.trace(lambda x: ad.jvp(f, (x,), (np.eye(2),))[1], x)
        np.testing.assert_array_equal(program(x), [0.0, 0.25])


def test_captured_arrays_keep_their_names():
    """Of closures and globals, of functions that f calls, and under a tape, which copies small arrays."""
    V, b = np.eye(3), np.full(3, 0.5)
    large = np.ones((100, 100))

    def layer(x):
        return np.tanh(V @ x + b)

    source = ad.trace(ad.grad(lambda x: np.sum(layer(x)) + np.sum(large) * x[0] + (large @ large @ np.ones(100))[0]),
                      np.ones(3)).source  # fmt: skip
    assert "# V: float64[3, 3]" in source
    assert "b = np.array([0.5, 0.5, 0.5]" in source
    assert "W.dot(x)" in ad.trace(lambda x: W @ x, np.ones(3)).source


def test_a_captured_name_hides_nothing():
    x = t0 = np.full(3, 2.0)
    program = ad.trace(lambda y: np.sin(y) * x + t0, np.ones(3))
    np.testing.assert_allclose(program(np.ones(3)), np.sin(1.0) * x + t0)
    np_ = np.arange(3.0)
    np.testing.assert_allclose(ad.trace(eval("lambda x, np=None: x * c", {"c": np_}), np.ones(3))(np.ones(3)), np_)
