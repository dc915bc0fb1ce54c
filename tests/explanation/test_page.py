"""The pages in a real browser: no errors, no requests, the numbers of `jvp`, `vjp` and `cost`, keys, small screens."""

import json
import re
import warnings

import numpy as np
import pytest

from admodes import cost, explain, jacfwd, jvp, vjp
from experiments import gallery
from experiments.browser import NoBrowser, chromium
from experiments.worked_examples import EXAMPLES

pytestmark = pytest.mark.browser

WIDE, PHONE = {"width": 1280, "height": 720}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser():
    try:
        with chromium() as found:
            yield found
    except NoBrowser as reason:
        pytest.skip(f"no browser: {reason}")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    place = tmp_path_factory.mktemp("gallery")
    gallery.write(place, EXAMPLES)
    return place


@pytest.fixture
def opened(browser, tmp_path):
    """Opens an explanation, or a file, and in the end checks that nothing went wrong and nothing was asked for."""
    contexts, wrong = [], []

    def open_(found, viewport=WIDE, **options):
        path = found
        if not hasattr(found, "exists"):
            path = tmp_path / f"page{len(contexts)}.html"
            found.to_html(path)
        context = browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        own = path.as_uri()
        page.on("request", lambda r: r.url == own or r.url.startswith("data:") or wrong.append(f"request {r.url}"))
        page.goto(own)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not wrong


def story_of(page):
    return json.loads(page.locator("#story").text_content())


def ticks(page):
    return int(page.locator("#slider").get_attribute("max")) + 1


def go(page, step):
    page.locator("#slider").fill(str(step))
    page.evaluate("document.activeElement.blur()")


def counts(page, mode):
    names = page.locator(f"#{mode} .counts dt").all_text_contents()
    return dict(zip(names, page.locator(f"#{mode} .counts dd").all_text_contents(), strict=True))


def shown_numbers(element):
    """All numbers that an element shows, of a text, a table or a heat map."""
    texts = element.evaluate(
        """e => [...e.querySelectorAll("rect title, span.number, td[title]")].map((x) =>
            x.textContent.includes(" = ") ? x.textContent.split(" = ")[1] : x.textContent)"""
    )
    return [float(text.replace("−", "-").replace("∞", "inf")) for text in texts]


def same(shown, expected):
    np.testing.assert_allclose(shown, np.ravel(expected), rtol=1e-3, atol=1e-12)


def plain(number):
    return f"{number:,.0f}"


# ---------------------------------------------------------------------------------------------------
# The gallery
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.name)
def test_a_gallery_page(one, opened, pages):
    """At the end it shows what the transforms return and `cost` counts; no step is wider than a phone."""
    page = opened(pages / f"{one.name}.html", PHONE)
    n = sum(np.size(x) for x in one.args)
    m = sum(np.size(y) for y in leaves(one.f(*one.args)))
    for step in {1, ticks(page) // 3, ticks(page) // 2}:
        go(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#sentence").is_hidden()
    page.keyboard.press("End")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#sentence").is_visible()
    tangent = (
        one.direction if one.target == "jvp" and one.direction is not None else [np.ones_like(x) for x in one.args]
    )
    once = cost(lambda xs, ts: jvp(one.f, xs, ts), one.args, tuple(tangent))
    y, pullback = vjp(one.f, *one.args)
    u = like(y, one.direction if one.target == "vjp" else None)
    back = cost(lambda xs, u: vjp(one.f, *xs)[1](u), one.args, u)
    values = cost(one.f, *one.args)
    n_passes, m_passes = (1 if one.target == "jvp" else n), (1 if one.target in ("vjp", "gradient") else m)
    assert counts(page, "forward")["multiply-adds"] == plain(n_passes * once.multiply_adds)
    reverse = counts(page, "reverse")["multiply-adds"]
    assert reverse == plain(values.multiply_adds + m_passes * (back.multiply_adds - values.multiply_adds))
    found = {mode: [shown_numbers(cell) for cell in page.locator(f"td[data-mode={mode}]").all()]
             for mode in ("forward", "reverse")}  # fmt: skip
    if one.target == "jvp":
        same(np.concatenate(found["forward"]), flat(jvp(one.f, one.args, tuple(tangent))[1]))
    elif one.target == "jacobian":
        J = np.concatenate([np.reshape(block, (m, -1)) for block in blocks(one)], axis=1)
        same(found["forward"][0], J)
        same(found["reverse"][0], J)
    else:
        same(np.concatenate(found["reverse"]), flat(pullback(u)))
        if one.target == "gradient":
            same(np.concatenate(found["forward"]), flat(pullback(u)))


def leaves(tree):
    return [x for part in tree for x in leaves(part)] if isinstance(tree, tuple | list) else [tree]


def flat(tree):
    return np.concatenate([np.ravel(x) for x in leaves(tree)])


def like(y, given):
    if given is not None:
        return given
    return tuple(like(part, None) for part in y) if isinstance(y, tuple) else np.ones(np.shape(y))


def blocks(one):
    """The Jacobian by each argument, the results below each other."""

    def f(*args):
        return np.concatenate([np.ravel(y) for y in leaves(one.f(*args))])

    return jacfwd(f, argnums=tuple(range(len(one.args))))(*one.args)


def test_the_index_links_to_every_page(opened, pages):
    page = opened(pages / "index.html", PHONE)
    links = page.locator("a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert links == [f"{one.name}.html" for one in EXAMPLES]
    assert all((pages / link).is_file() for link in links)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


# ---------------------------------------------------------------------------------------------------
# Walking
# ---------------------------------------------------------------------------------------------------


def product(x, y, z):
    q = x + y
    return q * z


def test_every_step_of_the_lectures_first_example(opened):
    """(x + y)z at (−2, 5, −4): the numbers of the slides, step by step in reverse mode."""
    page = opened(explain(product, -2.0, 5.0, -4.0))
    card = page.locator("#reverse .card")
    seen = []
    for step in range(6):
        go(page, step)
        seen.append(re.sub(r"\s+", " ", card.inner_text()))
    assert "q = x + y, kept on the tape" in seen[0]
    assert seen[0].endswith("value of q 3")
    assert "Seed of pass 1" in seen[2]
    assert "multiply swaps" in seen[3]
    assert "upstream, adjoint of t0 1 × local ∂t0/∂q: one number −4 = to q −4" in seen[3]
    assert "local ∂t0/∂z: one number 3 = to z 3" in seen[3]
    assert "add distributes" in seen[4]
    assert "upstream, adjoint of q −4 × local ∂q/∂x: one number 1 = to x −4" in seen[4]
    labels = page.locator("#reverse .node").evaluate_all("all => all.map((n) => n.getAttribute('aria-label'))")
    assert labels[:4] == [f"{name}, value {value}, carries {u}" for name, value, u in
                          (("x", "−2", "−4"), ("y", "5", "−4"), ("z", "−4", "3"), ("q", "3", "−4"))]  # fmt: skip


def test_the_tangent_after_each_pass_is_that_of_jvp(opened):
    args = (-2.0, 5.0, -4.0)
    page = opened(explain(product, *args))
    for k in range(3):
        go(page, 3 * k + 2)
        unit = tuple(float(i == k) for i in range(3))
        label = page.locator("#forward .node").last.get_attribute("aria-label")
        assert label.endswith(f"carries {int(jvp(product, args, unit)[1])}".replace("-", "−"))
        work = (k + 1) * cost(lambda xs, ts: jvp(product, xs, ts), args, args).multiply_adds
        assert counts(page, "forward")["multiply-adds"] == plain(work)
        assert counts(page, "forward")["passes"] == f"{k + 1} of 3"


def test_memory_is_that_of_cost(opened):
    args = (-2.0, 5.0, -4.0)
    page = opened(explain(product, *args))
    page.keyboard.press("End")
    forward = cost(lambda xs, ts: jvp(product, xs, ts), args, args)
    reverse = cost(lambda xs, u: vjp(product, *xs)[1](u), args, 1.0)
    assert counts(page, "forward")["peak"] == f"{forward.peak_bytes} B"
    assert counts(page, "reverse")["peak"] == f"{reverse.peak_bytes} B"


def test_shared_values_show_what_has_come_so_far(opened):
    page = opened(explain(lambda x: x * (x + 1), 17.0))
    go(page, 3)
    text = re.sub(r"\s+", " ", page.locator("#reverse .card").inner_text())
    assert "copy sums so far at x 18" in text
    go(page, 4)
    assert "copy sums so far at x 35" in re.sub(r"\s+", " ", page.locator("#reverse .card").inner_text())


def test_keys_and_announcements(opened):
    page = opened(explain(product, -2.0, 5.0, -4.0))
    place, told = page.locator("#place"), page.locator("#announcement")
    total = ticks(page)
    for key, step in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", total), ("Home", 1)):
        page.keyboard.press(key)
        assert place.text_content() == f"step {step} of {total}"
        assert told.text_content().startswith(f"Step {step} of {total}. Forward: ")
    go(page, 3)
    assert "back through t0 = multiply: upstream 1; −4 to q, 3 to z" in told.text_content()
    assert told.get_attribute("aria-live") == "polite"
    page.keyboard.press(" ")
    assert page.locator("#play").get_attribute("aria-pressed") == "true"
    page.keyboard.press(" ")
    assert page.locator("#play").get_attribute("aria-pressed") == "false"
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    assert place.text_content() == f"step 5 of {total}"
    node = page.locator("#reverse .node").nth(3)
    node.focus()
    page.keyboard.press("Enter")  # to the step of the value q
    assert "q" in page.locator("#reverse .card .head").inner_text()


def test_playing_goes_on_and_stops_at_the_end(browser, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    page.set_content(explain(lambda x: x * x, 3.0).to_html())
    page.locator("#play").click()
    for _ in range(10):
        page.clock.run_for(1300)
    assert page.locator("#place").text_content() == f"step {ticks(page)} of {ticks(page)}"
    assert page.locator("#play").get_attribute("aria-label") == "Play"
    context.close()


PLACES = """() => {
    const parts = ".graph, .card, .counts, .results, .code, #slider, .chain, g.node";
    const slider = document.getElementById("slider");
    const found = new Set();
    for (let step = 0; step <= slider.max; step++) {
        slider.value = step;
        slider.dispatchEvent(new Event("input"));
        found.add(JSON.stringify([...document.querySelectorAll(parts)].map((e) => {
            const { x, y, width, height } = e.getBoundingClientRect();
            return e.getAttribute("transform") ?? [x, y + scrollY, width, height];
        })));
    }
    return found.size;
}"""


@pytest.mark.parametrize("name", ["logistic_unit", "perceptron", "softmax_loss", "tanh_chain"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_jumps(name, viewport, opened, pages):
    """Over all steps each part of the page, and each node of the graph, stays where it is."""
    assert opened(pages / f"{name}.html", viewport).evaluate(PLACES) == 1


# ---------------------------------------------------------------------------------------------------
# Large and strange
# ---------------------------------------------------------------------------------------------------


def deep(x):
    W = np.full((6, 6), 0.1)
    for _ in range(100):
        x = np.tanh(W @ x) + x
    return np.sum(x)


def test_three_hundred_nodes_open_collapsed(opened, tmp_path):
    found = explain(deep, np.ones(6))
    assert len(found.data["nodes"]) >= 300
    assert len(found.to_html()) < 1_000_000
    page = opened(found)
    boxes = page.locator("#forward .node")
    assert boxes.count() < 10
    group = page.locator("#forward .node.group").first
    before = boxes.count()
    group.focus()
    page.keyboard.press("Enter")
    assert before < boxes.count() <= 80
    page.locator("#grouping").select_option("operation")
    assert "100 operations" in page.locator("#forward .node.group").first.get_attribute("aria-label")
    page.locator("#grouping").select_option("none")
    assert boxes.count() >= len(found.data["nodes"])  # the matrix stands beside each of its uses
    page.keyboard.press("End")
    same(shown_numbers(page.locator("td[data-mode=reverse]")), vjp(deep, np.ones(6))[1](1.0)[0])


def test_long_arrays_are_heat_maps_that_are_read(opened):
    x = np.linspace(-1, 1, 200_000)
    found = explain(lambda x: np.sum(x * x), x)
    assert len(found.to_html()) < 1_000_000
    page = opened(found)
    page.keyboard.press("End")
    heat = page.locator("td[data-mode=reverse] .heat")
    assert "of 200,000 shown" in heat.inner_text()
    heat.focus()
    page.keyboard.press("ArrowRight")
    assert heat.locator(".read").text_content() == "[0] = −2"
    page.keyboard.press("ArrowRight")
    index, value = re.fullmatch(r"\[(\d+)\] = (.*)", heat.locator(".read").text_content()).groups()
    assert float(value.replace("−", "-")) == pytest.approx(2 * x[int(index)], rel=1e-3)
    heat.locator("rect").last.hover()
    assert heat.locator(".read").text_content() == "[199999] = 2"


def test_matrices_are_read_by_row_and_column(opened):
    a = np.arange(56.0).reshape(7, 8)
    page = opened(explain(lambda a: np.sum(a * a), a))
    page.keyboard.press("End")
    heat = page.locator("td[data-mode=reverse] .heat")
    heat.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert heat.locator(".read").text_content() == "[1, 1] = 18"


def test_infinite_and_missing_numbers_are_shown(opened):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = explain(lambda x: np.log(x), np.array([0.0, np.nan, 1.0]), target="jacobian")
    page = opened(found)
    page.keyboard.press("End")
    text = page.locator("#results").inner_text()
    assert "∞" in text
    assert "nan" in text


HOSTILE = "</script><img src=x onerror=alert(1)><b>"


def test_texts_that_look_like_html_are_texts(opened):
    def f(values):
        t = values["<b>x</b>"] * 2.0  # </script><script>alert(2)</script>
        return t * values["&lt;"]

    f.__name__ = HOSTILE
    found = explain(f, {"<b>x</b>": 3.0, "&lt;": 4.0})
    page = opened(found)
    assert HOSTILE in page.title()
    assert HOSTILE in page.locator("h1").inner_text()
    assert "</script><script>alert(2)</script>" in page.locator("#source").inner_text()
    assert page.locator("img").count() == 0
    page.keyboard.press("End")
    assert page.locator("#place").text_content() == f"step {ticks(page)} of {ticks(page)}"


def test_in_a_notebook(browser):
    context = browser.new_context()
    page = context.new_page()
    wrong = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_content(explain(product, -2.0, 5.0, -4.0)._repr_html_())
    frame = page.frame_locator("iframe")
    frame.locator("#last").click()
    assert "reverse mode" in frame.locator("#sentence").inner_text()
    assert not wrong
    context.close()


# ---------------------------------------------------------------------------------------------------
# Questions, chains, colours
# ---------------------------------------------------------------------------------------------------


def test_questions(opened):
    page = opened(explain(product, -2.0, 5.0, -4.0))
    assert not page.locator("#asking").is_checked()
    assert page.locator(".answer").count() == 0
    page.locator("#asking").check()
    go(page, 3)
    card = page.locator("#reverse .card")
    assert card.locator(".answer").count() == 2
    hidden = page.locator("#reverse .node").nth(2)
    assert "carries ?" in hidden.get_attribute("aria-label")
    for answer, said in (("4", "Only the sign is wrong: 1 × −4 = −4"), ("3", "Right: 1 × 3 = 3")):
        card.locator(".answer").first.fill(answer)
        page.keyboard.press("Enter")
        assert said in card.inner_text()
    assert card.locator(".answer").count() == 0
    assert "carries 3" in hidden.get_attribute("aria-label")
    page.locator("#asking").uncheck()
    assert card.locator(".answer").count() == 0


def test_questions_of_arrays(opened):
    """Of an array the largest number is asked for: of a diagonal it is one product, of a matrix a sum of them."""
    A = np.array([[1.0, 2.0], [3.0, -4.0]])
    page = opened(explain(lambda x: np.sum(np.sin(A @ x)), np.array([0.5, 0.25])))
    page.locator("#asking").check()
    card = page.locator("#reverse .card")
    for step, right, said in (
        (5, "0.878", "Right: 1 × 0.8776 = 0.8776"),
        (6, "3.17", "Right: it is 3.173 at [0], a sum of products"),
    ):
        go(page, step)
        assert card.locator(".answer").count() == 1
        card.locator(".answer").fill(right)
        page.keyboard.press("Enter")
        assert card.locator("[role=status]").inner_text() == said
        assert card.locator(".answer").count() == 0


def test_the_chain_forms_block_after_block(opened, pages):
    page = opened(pages / "tanh_chain.html")
    chain = story_of(page)["chain"]
    box = page.locator("#chain")
    assert box.locator(".orders tbody tr").count() == 132
    box.locator(".orders button").nth(5).click()
    for product_ in chain["orders"][5]["products"]:
        box.get_by_label("Form the next block").click()
        assert f"{product_[3]} multiply-adds" in box.locator("[role=status]").inner_text()
    assert f"{chain['orders'][5]['cost']} so far" in box.locator("[role=status]").inner_text()
    same(shown_numbers(box.locator(".block")), jacfwd(EXAMPLES[-1].f)(*EXAMPLES[-1].args))


def test_what_is_no_chain_shows_none(opened):
    assert opened(explain(product, -2.0, 5.0, -4.0)).locator("#chain").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme, opened):
    """WCAG 2.1, 1.4.3: text has a contrast of at least 4.5 to what is behind it."""
    page = opened(explain(product, -2.0, 5.0, -4.0), color_scheme=scheme)
    go(page, 4)
    on_card = [".value", "#reverse .carried", "#forward .carried", ".card small"]
    for selector, ground in [(one, ".card") for one in on_card] + [(".pass", "body"), ("h1", "body")]:
        ink = page.locator(selector).first.evaluate("e => getComputedStyle(e).color")
        paper = page.locator(ground).first.evaluate("e => getComputedStyle(e).backgroundColor")
        assert contrast(ink, paper) >= 4.5, (selector, ink, paper)


def contrast(a, b):
    def luminance(text):
        channels = np.array([float(x) for x in re.findall(r"[\d.]+", text)[:3]]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_in_print(opened):
    page = opened(explain(product, -2.0, 5.0, -4.0), color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator(".controls").is_hidden()
    assert page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
