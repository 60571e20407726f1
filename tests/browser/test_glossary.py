"""A term of the glossary shows its explanation to the pointer and to the keyboard."""

import pytest

from tests.browser.visit import VIEWS, View, accessibility, opened

PAGE = "how_to/choose_a_readout.html"
TERM = ".md-content abbr"


@pytest.mark.parametrize("view", [View("light", 1280), View("dark", 390)], ids=str)
def test_a_term_shows_its_explanation(tab, site, view):
    opened(tab, site.address(PAGE))
    term = tab.locator(TERM).first
    term.scroll_into_view_if_needed()
    term.hover()
    tooltip = tab.get_by_role("tooltip")
    tooltip.wait_for()
    assert len(tooltip.inner_text()) > 30
    # Material puts the tooltip, which the term refers to, at the end of the page
    found = [problem for problem in accessibility(tab, view)[0] if "md-tooltip2" not in problem.element]
    assert found == []


def test_the_keyboard_shows_it_too(tab, site):
    opened(tab, site.address(PAGE))
    for _ in range(100):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.localName === 'abbr'"):
            break
    tooltip = tab.locator(".md-tooltip2--active", has_text="recurrent part")
    tooltip.wait_for()
    assert tab.locator(TERM).first.get_attribute("aria-describedby") == tooltip.get_attribute("id")


def test_terms_are_not_in_headings_links_or_code(tab, site):
    opened(tab, site.address(PAGE))
    assert tab.locator(TERM).count() >= 2
    assert tab.locator(":is(h1, h2, h3, a, code, pre, .katex) abbr").count() == 0


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_pages_with_terms_are_accessible(tab, site, view):
    opened(tab, site.address(PAGE))
    problems, made = accessibility(tab, view)
    assert made > 10
    assert not problems, problems
