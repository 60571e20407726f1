"""Cards are short, and tables that scroll sideways show at which edge there is more."""

import pytest

from tests.browser.visit import WIDTHS, View, opened

LONGEST = 3500  # px of the card of a kind without options of its own cells, at a width of 1280 px
SHADOWS = """([box, wanted]) => ["::before", "::after"].every((edge, at) =>
  Number(getComputedStyle(box, edge).opacity) === wanted[at])"""
WIDE = "box => box.scrollWidth > box.clientWidth + 1 && !box.closest('details:not([open])')"
TABLES = ".md-typeset__scrollwrap"


def has_shadows(tab, box, before, after):
    """Wait until a box has these shadows, each 0 or 1."""
    tab.wait_for_function(SHADOWS, arg=[box.element_handle(), [before, after]])


def test_a_card_is_short(tab, site):
    opened(tab, site.address("kinds/gru.html"))
    assert 2500 < tab.evaluate("document.documentElement.scrollHeight") <= LONGEST


@pytest.mark.parametrize("view", [View("light", 390), View("dark", 390)], ids=str)
def test_a_table_has_a_shadow_where_there_is_more(tab, site, view):
    opened(tab, site.address("kinds/gru.html"))
    boxes = tab.locator(TABLES)
    wide = [box for box in boxes.all() if box.evaluate(WIDE)]
    assert wide
    box = wide[0]
    box.scroll_into_view_if_needed()
    has_shadows(tab, box, 0, 1)
    box.evaluate("box => box.scrollBy(30, 0)")
    has_shadows(tab, box, 1, 1)
    box.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
    has_shadows(tab, box, 1, 0)


@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_a_table_that_fits_has_no_shadow(tab, site, view):
    opened(tab, site.address("kinds/gru.html"))
    fitting = [box for box in tab.locator(TABLES).all() if box.evaluate("box => box.scrollWidth <= box.clientWidth")]
    assert fitting
    for box in fitting:
        has_shadows(tab, box, 0, 0)


@pytest.mark.parametrize("view", [View("light", 390)], ids=str)
def test_the_table_of_kinds_has_a_shadow_beside_the_names(tab, site, view):
    opened(tab, site.address("kinds/index.html"))
    box = tab.locator(".rnnkit-kinds")
    tab.wait_for_function("box => getComputedStyle(box, '::after').opacity === '1'", arg=box.element_handle())
    shadow = "box => getComputedStyle(box.querySelector('tbody th')).boxShadow"
    assert box.evaluate(shadow) == "none"
    box.evaluate("box => box.scrollBy(60, 0)")
    tab.wait_for_function(f"box => ({shadow})(box) !== 'none'", arg=box.element_handle())
