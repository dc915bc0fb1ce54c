"""The pictures as slides, drawn from the data of the last full run: one finding in two lines, large enough to read."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import cheap_gradient, full_jacobian, gradient_cost, hessian, memory, sparse, speed, style

FIGURES = Path(__file__).parents[2] / "figures"


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def rows(module):
    path = FIGURES / f"{module.__name__.rpartition('.')[2]}.csv"
    with path.open(encoding="utf-8") as file:
        return [{k: number(v) for k, v in row.items()} for row in csv.DictReader(file)]


def drawn(module, how="draw"):
    data = rows(module)
    more = []
    if module is speed:
        names = dict.fromkeys(row["tool"] for row in data)
        more = [[SimpleNamespace(name=name, label=name, version="") for name in names]]
    if module is gradient_cost:
        more = [gradient_cost.fits(data)]
    return getattr(module, how)(data, *more)


SLIDES = [cheap_gradient, full_jacobian, gradient_cost, hessian, memory, sparse, speed]


@pytest.mark.parametrize("module", SLIDES, ids=lambda m: m.__name__)
def test_one_finding_in_two_lines(module):
    figure = drawn(module)
    title = figure.get_suptitle()
    assert len(title.split("\n")) <= 2
    assert not {"wanted", "met", "missed", "target", "targets", "goal"} & set(title.replace(",", " ").split())
    assert figure.get_size_inches()[0] <= style.WIDE
    assert figure.get_size_inches()[1] <= 0.75 * style.WIDE


@pytest.mark.parametrize("module", [hessian, sparse, speed], ids=lambda m: m.__name__)
def test_the_rest_is_a_picture_of_its_own(module):
    assert len(drawn(module, "detail").axes) >= len(drawn(module).axes)


def test_at_most_six_series():
    for ax in drawn(hessian).axes:
        assert len({line.get_label() for line in ax.lines if not line.get_label().startswith("_")}) <= 6


def test_the_map_is_read_in_grey():
    """Luminance falls from one end to the other: no two ratios look alike."""
    image = drawn(full_jacobian).axes[0].images[0]
    luminance = image.cmap(np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) < 0.004)
    assert luminance[0] - luminance[-1] > 0.7


def test_no_line_crosses_a_letter():
    """Lines run along the edges of cells, whose middles carry the letters."""
    for ax in drawn(full_jacobian).axes[:2]:
        for line in ax.lines:
            x, y = line.get_xdata(), line.get_ydata()
            assert (x[0] == x[1] and x[0] % 1 == 0.5) or (y[0] == y[1] and y[0] % 1 == 0.5)
