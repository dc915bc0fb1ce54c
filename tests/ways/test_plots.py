"""The pictures of a comparison show its rows: bars of their lengths, ways under the roof, exponents, crossovers."""

import subprocess
import sys

import numpy as np
import pytest

from admodes.ways.comparison import Comparison
from admodes.ways.model import current
from admodes.ways.question import ask
from admodes.ways.row import UNFIT, Row
from admodes.ways.sweep import Sweep

pytestmark = pytest.mark.usefixtures("steady_clock")


def loss(x):
    return np.sum(x**2)


def comparison(rows, sweep=None):
    return Comparison(ask(loss, (np.ones(3),), 0, "gradient", None, 10, None), tuple(rows), sweep=sweep)


FAST = Row("fast", seconds=1e-4, predicted_seconds=2e-4, peak_bytes=3000, predicted_peak_bytes=2000.0, flops=1e4,
           bytes=2e4, agrees=True)  # fmt: skip
SLOW = Row("slow", seconds=7e-4, predicted_seconds=5e-4, flops=8e4, bytes=2e4, agrees=True)
LEFT = Row("left", applies=False, why_not="too slow", predicted_seconds=3.0, predicted_peak_bytes=1e9)
UNLIKE = Row("unlike", applies=False, why_not="complex arguments", left=UNFIT)


def axes(figure):
    """By what their x axis shows."""
    return {ax.get_xlabel().split(",")[0]: ax for ax in figure.axes}


def ends(container):
    return [patch.get_x() + patch.get_width() for patch in container]


def test_bars_are_the_rows():
    figure = comparison([LEFT, SLOW, UNLIKE, FAST]).plot()
    found = axes(figure)
    predicted, measured = found["time of one call"].containers
    np.testing.assert_allclose(ends(measured), [1e-4, 7e-4])
    np.testing.assert_allclose(ends(predicted), [2e-4, 5e-4, 3.0])
    names = [t.get_text() for t in found["time of one call"].get_yticklabels()]
    assert names == ["fast  1", "slow  2", "left  3"]
    predicted, measured = found["peak memory"].containers
    np.testing.assert_allclose(ends(predicted), [2000, 1e9])
    np.testing.assert_allclose(ends(measured), [3000])
    assert {patch.get_hatch() for patch in predicted} != {patch.get_hatch() for patch in measured}
    assert figure.get_suptitle() == "fast: the gradient of loss (3 → 1) in 100 µs; the others take 7 times as long"


def test_the_roofline_has_each_way_that_was_counted():
    ax = axes(comparison([FAST, SLOW, LEFT]).plot())["arithmetic intensity"]
    roof, ways = ax.get_lines()
    np.testing.assert_allclose(ways.get_xydata(), [[0.5, 1e8], [4.0, 8e4 / 7e-4]])
    assert max(roof.get_ydata()) == pytest.approx(2 / current().product[1])
    assert [t.get_text() for t in ax.texts] == ["1", "2"]


def test_a_sweep_shows_exponents_and_the_crossover():
    sizes = (10.0, 40.0, 160.0, 1000.0)
    at = [
        comparison([Row("a", seconds=n * 1e-6, agrees=True), Row("b", seconds=1e-5 * n**0.5, agrees=True)])
        for n in sizes
    ]
    figure = comparison(at[-1].rows, Sweep("n", sizes, tuple(at))).plot()
    ax = axes(figure)["size"]
    a, b, crossover = ax.get_lines()
    assert "n$^{1.00}$, 95 %: 1.00 to 1.00" in a.get_label()
    assert "n$^{0.50}$" in b.get_label()
    assert crossover.get_xdata()[0] == pytest.approx(100)
    assert ax.get_title() == "From a\nto b at n = 100"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_it_is_written_where_asked(suffix, tmp_path):
    comparison([FAST]).plot(tmp_path / f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").stat().st_size > 1000


def test_estimates_are_marked():
    part = Row("part", seconds=2.0, estimated=True, predicted_seconds=3.0)
    ax = axes(comparison([FAST, part]).plot())["time of one call"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["fast  1", "part (~)  2"]
    assert "estimated from a part" in ax.get_xlabel()
    assert "estimated" not in axes(comparison([FAST]).plot())["time of one call"].get_xlabel()


def test_nothing_to_draw(tmp_path):
    nothing = comparison([UNLIKE])
    with pytest.raises(ValueError, match="no way was measured or predicted"):
        nothing.plot()
    assert not (nothing.save(tmp_path) / "comparison.png").exists()


def test_matplotlib_loads_when_it_draws():
    code = "import sys, admodes.ways.comparison; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
