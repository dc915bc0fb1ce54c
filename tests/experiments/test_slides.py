"""The pictures as slides, drawn from the data of the last full run: one finding in two lines, large enough to read."""

import csv
from pathlib import Path
from types import SimpleNamespace

import matplotlib.text
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from experiments import (
    accuracy,
    bracketing,
    cheap_gradient,
    checkpointing,
    digits,
    elimination,
    full_jacobian,
    gradient_cost,
    granularity,
    hessian,
    implicit,
    memory,
    native,
    peers,
    schedules,
    sparse,
    speed,
    static_vs_dynamic,
    style,
    truth,
)

FIGURES = Path(__file__).parents[2] / "figures"
HOUSE = {"wanted", "met", "missed", "target", "targets", "goal", "goals"}


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def rows(name):
    with (FIGURES / f"{name}.csv").open(encoding="utf-8") as file:
        return [{k: number(v) for k, v in row.items()} for row in csv.DictReader(file)]


def tools(name):
    versions = {row["tool"]: str(row["version"]) for row in rows(name)}
    return [SimpleNamespace(name=tool, label=tool, version=version) for tool, version in versions.items()]


def implicit_apart():
    return {row["function"]: row["apart"] for row in rows("implicit_other_ways")}


def checkpoints():
    few = next(row for row in rows("checkpointing") if row["seconds_predicted"])
    line = SimpleNamespace(bytes=lambda s: few["bytes_predicted"], seconds=lambda steps, s: few["seconds_predicted"])
    return checkpointing.draw(rows("checkpointing"), rows("checkpointing_online"), line)


def gradients():
    data = rows("gradient_cost")
    return gradient_cost.draw(data, gradient_cost.fits(data))


SLIDES = {
    "accuracy": lambda: accuracy.draw(rows("accuracy")),
    "bracketing": lambda: bracketing.draw(rows("bracketing")),
    "bracketing_detail": lambda: bracketing.detail(rows("bracketing_memory"), rows("bracketing_workers")),
    "bracketing_random": lambda: bracketing.draw_random(rows("bracketing_random")),
    "bracketing_executed": lambda: bracketing.draw_executed(rows("bracketing_executed")),
    "bracketing_scheduled": lambda: schedules.draw(rows("bracketing_scheduled")),
    "cheap_gradient": lambda: cheap_gradient.draw(rows("cheap_gradient")),
    "checkpointing": checkpoints,
    "digits": lambda: digits.draw(rows("digits"), rows("digits_cost")),
    "elimination": lambda: elimination.draw(rows("elimination")),
    "elimination_code": lambda: elimination.draw_code(rows("elimination_code")),
    "full_jacobian": lambda: full_jacobian.draw(rows("full_jacobian")),
    "gradient_cost": gradients,
    "granularity": lambda: granularity.draw(rows("granularity")),
    "hessian": lambda: hessian.draw(rows("hessian")),
    "implicit": lambda: implicit.draw_layer(rows("implicit"), rows("implicit_memory")),
    "implicit_solvers": lambda: implicit.draw_solvers(
        rows("implicit_differences"), implicit_apart(), rows("implicit_oscillator")
    ),
    "memory": lambda: memory.draw(rows("memory")),
    "native": lambda: native.draw(rows("native"), rows("native_exactness")),
    "peers": lambda: peers.draw(rows("peers"), tools("peers")),
    "sparse": lambda: sparse.draw(rows("sparse")),
    "speed": lambda: speed.draw(rows("speed"), tools("speed")),
    "static_vs_dynamic": lambda: static_vs_dynamic.draw(rows("static_vs_dynamic")),
    "truth": lambda: truth.draw(rows("truth"), rows("truth_advice")),
}
DETAILS = {
    "hessian": lambda: hessian.detail(rows("hessian")),
    "peers": lambda: peers.detail(rows("peers"), tools("peers")),
    "sparse": lambda: sparse.detail(rows("sparse")),
    "speed": lambda: speed.detail(rows("speed"), tools("speed")),
}


@pytest.mark.parametrize("draw", SLIDES.values(), ids=SLIDES)
def test_one_finding_in_two_lines(draw):
    figure = draw()
    title = figure.get_suptitle()
    assert 1 <= len(title.split("\n")) <= 2
    assert not HOUSE & set(title.replace(",", " ").split())
    assert figure.get_size_inches()[0] <= style.WIDE
    assert figure.get_size_inches()[1] <= 0.75 * style.WIDE
    box = figure._suptitle.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert box.width <= figure.bbox.width, title


@pytest.mark.parametrize("draw", SLIDES.values(), ids=SLIDES)
def test_no_letter_is_smaller_than_nine_points(draw):
    texts = [text for text in draw().findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 9


@pytest.mark.parametrize("name", DETAILS)
def test_the_rest_is_a_picture_of_its_own(name):
    assert len(DETAILS[name]().axes) >= len(SLIDES[name]().axes)


@pytest.mark.parametrize("draw", SLIDES.values(), ids=SLIDES)
def test_at_most_six_series(draw):
    """Lines of theory, in grey, are not counted."""
    for ax in draw().axes:
        shown = [line for line in ax.lines if not line.get_label().startswith("_")]
        assert len({line.get_label() for line in shown if line.get_color() != style.GREY}) <= 6


def test_the_map_is_read_in_grey():
    """Luminance falls from one end to the other: no two ratios look alike."""
    image = SLIDES["full_jacobian"]().axes[0].images[0]
    luminance = image.cmap(np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) < 0.004)
    assert luminance[0] - luminance[-1] > 0.7


def test_no_line_crosses_a_letter():
    """Lines run along the edges of cells, whose middles carry the letters."""
    for ax in SLIDES["full_jacobian"]().axes[:2]:
        for line in ax.lines:
            x, y = line.get_xdata(), line.get_ydata()
            assert (x[0] == x[1] and x[0] % 1 == 0.5) or (y[0] == y[1] and y[0] % 1 == 0.5)
