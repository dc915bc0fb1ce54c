"""The gallery: a page for every worked example, an index, and what is committed is what the code gives."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from experiments import gallery
from experiments.browser import NoBrowser
from experiments.worked_examples import EXAMPLES

ROOT = Path(gallery.__file__).resolve().parent.parent
COMMITTED = ROOT / "figures" / "gallery"


def story(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="story">(.*?)</script>', text, re.DOTALL)[1])


def test_a_run_writes_pages_index_and_table(study, monkeypatch):
    few = [one for one in EXAMPLES if one.name in ("sum_times_z", "elementary")]
    monkeypatch.setattr(gallery, "EXAMPLES", few)

    def none(*_):
        raise NoBrowser("there is none")

    monkeypatch.setattr(gallery, "screenshot", none)
    assert gallery.run(study) == (
        "of 2 worked examples 1 take fewer multiply-adds by reverse mode and 1 by forward mode; the other 0 take as "
        "many by either"
    )
    place = study.out / "gallery"
    assert {path.name for path in place.iterdir()} == {"index.html", "sum_times_z.html", "elementary.html"}
    index = (place / "index.html").read_text(encoding="utf-8")
    for one in few:
        assert f'href="{one.name}.html"' in index
        assert html.escape(one.note) in index
    rows = (study.out / "trial.csv").read_text().splitlines()
    assert rows[1].startswith("sum_times_z,gradient,3,1,3,1,9,3")
    assert len(rows) == 3


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.name)
def test_the_committed_page_is_of_this_example(one, tmp_path):
    gallery.write(tmp_path, [one])
    new, committed = story(tmp_path / f"{one.name}.html"), story(COMMITTED / f"{one.name}.html")
    for key in ("title", "sentence", "sources"):
        assert committed[key] == new[key], "python -m experiments gallery --full writes it again"


def test_the_committed_gallery_is_whole():
    assert {path.name for path in COMMITTED.iterdir()} == {"index.html", *(f"{one.name}.html" for one in EXAMPLES)}
    assert (ROOT / "figures" / "gallery.png").is_file()


def test_the_examples_have_the_lectures_numbers():
    """Those that the slides print."""
    by_name = {one.name: one for one in EXAMPLES}

    def value(name):
        one = by_name[name]
        return one.f(*one.args)

    assert value("sum_times_z") == -12
    assert value("logistic_unit") == pytest.approx(0.73, abs=0.005)
    assert value("no_tree") == 306
    assert value("linear_unit") == 7
    assert value("dual_number") == 10
    assert value("softmax_loss") == pytest.approx(2.04, abs=0.005)
    assert value("implicit_layer") == pytest.approx(0.8)
    np.testing.assert_array_equal(value("product_of_matrices"), [[-1, -1, 2, 6], [5, 2, 11, 7]])
    assert value("regularisation") == (1, 0.25)
    assert value("maxout") == 3
