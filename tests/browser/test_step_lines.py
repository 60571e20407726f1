"""A line of an equation and its elements in the drawing of the step highlight each other, by pointer and keyboard."""

import re

import pytest

from rnnkit import get_kind
from rnnkit.equation import Equation
from tests.browser.visit import VIEWS, WIDTHS, accessibility, opened

LINES = "button.rnnkit-line"
LIT_LINES = "marks => marks.flatMap((mark, line) => mark.classList.contains('rnnkit-lit') ? [line] : [])"
LIT_TEXTS = (
    """() => [...document.querySelectorAll("svg.rnnkit-step > text.rnnkit-lit")].map(text => text.textContent)"""
)
LIT_BLOCKS = (
    """() => [...document.querySelectorAll(".rnnkit-step-block.rnnkit-lit title")].map(title => title.textContent)"""
)
HEIGHT = "document.documentElement.scrollHeight"


@pytest.fixture(params=WIDTHS, ids=str)
def view(request):
    return request.param


@pytest.fixture
def card(tab, site):
    opened(tab, site.address("kinds/gru.html"))
    tab.evaluate("document.fonts.ready")
    return tab


def lit_lines(card):
    return card.locator(LINES).evaluate_all(LIT_LINES)


def plain(texts):
    """Texts without spaces and subscript marks, with ASCII signs."""
    return {re.sub(r"[\s_()]", "", text).replace("\N{MINUS SIGN}", "-") for text in texts}


def middle_of(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_each_line_of_every_equation_has_a_mark(tab, site):
    marked = 0
    for kind in ("gru", "lstm", "slstm", "gated_deltanet", "cornn", "rnn"):
        opened(tab, site.address(f"kinds/{kind}.html"))
        assert tab.locator(LINES).count() == len(Equation(get_kind(kind).equation).lines)
        heights = tab.locator(LINES).evaluate_all("marks => marks.map(mark => mark.offsetHeight)")
        assert min(heights) >= 20
        marked += len(heights)
    assert marked > 20


def test_pointing_at_a_line_highlights_its_wires_and_operators(card):
    before = card.evaluate(HEIGHT)
    line = card.locator(LINES).nth(2)
    line.scroll_into_view_if_needed()
    card.mouse.move(*middle_of(line.bounding_box()))
    assert lit_lines(card) == [2]
    assert plain(card.evaluate(LIT_TEXTS)) == {"xt", "ht-1", "rt", "nt"}
    assert {title.partition(" = ")[0] for title in card.evaluate(LIT_BLOCKS)} >= {
        "n_t",
        "r_t ⊙ (W_hn h_(t\N{MINUS SIGN}1) + b_hn)",
    }
    assert card.evaluate(HEIGHT) == before
    card.mouse.move(1, 1)
    assert lit_lines(card) == []
    assert card.evaluate(LIT_TEXTS) == []


def test_pointing_at_an_operator_highlights_its_line(card):
    blocks = card.locator(".rnnkit-step-block")
    blocks.first.scroll_into_view_if_needed()
    titles = blocks.locator("title").all_text_contents()
    for start, line in (("r_t =", 0), ("z_t =", 1), ("n_t =", 2), ("h_t =", 3), ("1 \N{MINUS SIGN}", 3)):
        [at] = [at for at, title in enumerate(titles) if title.startswith(start)]
        card.mouse.move(*middle_of(blocks.nth(at).bounding_box()))
        assert lit_lines(card) == [line]


def test_pointing_near_a_wire_highlights_the_lines_that_compute_and_use_it(card):
    wires = card.locator(".rnnkit-step-wire > path:not(.rnnkit-reach)")
    wires.first.scroll_into_view_if_needed()
    [at] = wires.evaluate_all(
        "wires => wires.flatMap((wire, at) => wire.dataset.lines === '0 2' ? [at] : [])"
    )  # of the reset gate
    end = wires.nth(at).evaluate("""wire => {
      const end = wire.getPointAtLength(wire.getTotalLength() / 2)
      const {x, y} = new DOMPoint(end.x, end.y).matrixTransform(wire.getScreenCTM())
      return [x, y]
    }""")
    card.mouse.move(end[0], end[1] - 2)
    assert lit_lines(card) == [0, 2]


def test_lines_are_reached_and_pinned_by_the_keyboard(card):
    line = card.locator(LINES).first
    for _ in range(200):
        card.keyboard.press("Tab")
        if line.evaluate("line => line === document.activeElement"):
            break
    assert lit_lines(card) == [0]
    card.keyboard.press("Tab")
    assert lit_lines(card) == [1]
    card.keyboard.press("Enter")
    assert card.locator(LINES).nth(1).get_attribute("aria-pressed") == "true"
    card.keyboard.press("Shift+Tab")
    assert lit_lines(card) == [0]
    card.evaluate("document.activeElement.blur()")
    assert lit_lines(card) == [1]
    card.locator(LINES).nth(1).focus()
    card.keyboard.press("Escape")
    assert lit_lines(card) == []


def test_a_click_pins_a_line_until_the_next(card):
    line = card.locator(LINES).nth(3)
    line.scroll_into_view_if_needed()
    at = middle_of(line.bounding_box())
    card.mouse.click(*at)
    card.mouse.move(1, 1)
    assert lit_lines(card) == [3]
    card.mouse.click(*at)
    card.mouse.move(1, 1)
    assert lit_lines(card) == []


def test_the_text_of_an_equation_can_be_selected(card):
    line = card.locator(LINES).nth(1)
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    card.mouse.move(box["x"] + 12, box["y"] + box["height"] / 2)
    card.mouse.down()
    card.mouse.move(box["x"] + 150, box["y"] + box["height"] / 2)
    card.mouse.up()
    assert "=" in card.evaluate("String(getSelection())")
    card.mouse.move(1, 1)
    assert lit_lines(card) == []


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_marks_are_accessible(card, view):
    problems, made = accessibility(card, view)
    assert made > 10
    assert not problems, problems


def test_motion_is_reduced(card):
    duration = "getComputedStyle(document.querySelector('.rnnkit-step-block')).transitionDuration"
    assert card.evaluate(duration) == "0.15s"
    card.emulate_media(reduced_motion="reduce")
    assert card.evaluate(duration) == "0s"
