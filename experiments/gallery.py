"""Which mode takes fewer multiply-adds on the worked examples of the lectures, operation by operation?

Every worked example of `worked_examples` is explained by `admodes.explain`: a page for each, which steps through both
modes, and an index.  The pages stand in figures/gallery/, or in gallery/ of --out.

How it is measured: it is counted, as `cost` counts, one pass after the other.

What to expect, and why.  A gradient takes forward mode one pass an input, reverse mode one in all; a Jacobian takes
reverse mode one pass a result.  So reverse mode is the cheaper one for losses, forward mode where there is one input.

The picture shows one page, some steps into its walk.  It is taken in a headless Chromium where one is installed, with
Playwright (extra `browser`), and left as it is elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from admodes import explain

from .browser import NoBrowser, chromium
from .frame import FIGURES, SHORT, Row, Study
from .worked_examples import EXAMPLES, Example

PICTURED, STEPS = "logistic_unit", 12

INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Worked examples, in both modes</title>
<style>
body {{ max-width: 60rem; margin: auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ padding: .3rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #8886; }}
.number {{ text-align: right; white-space: nowrap; }}
td {{ overflow-wrap: anywhere; }}
@media (max-width: 40rem) {{ .wide {{ display: none; }} td, th {{ padding: .3rem .2rem; }} }}
</style>
<h1>Worked examples, in both modes</h1>
<p>Each page steps through forward and reverse mode of one function. Multiply-adds are of the whole derivative.</p>
<table>
<thead><tr><th>example<th>what it shows<th class="wide">lecture<th class="number">forward<th class="number">reverse</tr>
<tbody>
{rows}
</table>
</html>
"""


def run(study: Study) -> str:
    place = (FIGURES if study.out in (FIGURES, SHORT) else study.out) / "gallery"
    rows = write(place, list(study.track(EXAMPLES, "examples")))
    study.table(rows)
    try:
        screenshot(place / f"{PICTURED}.html", study.file("png"))
    except NoBrowser as reason:
        study.show(f"gallery: no picture: {reason}")
    reverse = sum(row["reverse_multiply_adds"] < row["forward_multiply_adds"] for row in rows)
    forward = sum(row["reverse_multiply_adds"] > row["forward_multiply_adds"] for row in rows)
    return (
        f"of {len(rows)} worked examples {reverse} take fewer multiply-adds by reverse mode and {forward} by forward "
        f"mode; the other {len(rows) - reverse - forward} take as many by either"
    )


def write(place: Path, examples: Sequence[Example]) -> list[Row]:
    """The pages of the examples and the index; what each mode takes."""
    place.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for one in examples:
        found = explain(one.f, *one.args, target=one.target, direction=one.direction)
        found.to_html(place / f"{one.name}.html")
        story = found.story
        rows.append(
            {
                "example": one.name, "target": one.target, "n": story.problem.n, "m": story.problem.m,
                "forward_passes": story.forward.passes, "reverse_passes": story.reverse.passes,
                "forward_multiply_adds": story.forward.multiply_adds,
                "reverse_multiply_adds": story.reverse.multiply_adds,
            }
        )  # fmt: skip
    lines = [_line(one, row) for one, row in zip(examples, rows, strict=True)]
    (place / "index.html").write_text(INDEX.format(rows="\n".join(lines)), encoding="utf-8")
    return rows


def _line(one: Example, row: Row) -> str:
    cells = [f'<a href="{one.name}.html">{html.escape(one.name.replace("_", " "))}</a>', html.escape(one.note)]
    numbers = [f"{row[f'{mode}_multiply_adds']:,.0f}" for mode in ("forward", "reverse")]
    shown = [f"<td>{cell}" for cell in cells] + [f'<td class="wide">{html.escape(one.source)}']
    return "<tr>" + "".join([*shown, *(f'<td class="number">{number}' for number in numbers)])


def screenshot(path: Path, picture: Path) -> None:
    """A picture of a page, some steps into its walk."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(path.resolve().as_uri())
        for _ in range(STEPS):
            page.keyboard.press("ArrowRight")
        page.screenshot(path=picture)
