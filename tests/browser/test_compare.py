"""Two kinds side by side: chosen by keyboard and by address, with the figures of the cards; also from disk."""

import re

import pytest

from tests.browser.built_site import ON_DISK
from tests.browser.visit import VIEWS, View, accessibility, opened

PAGE = "kinds/compare.html"
CELLS = """table => Object.fromEntries([...table.tBodies[0].rows].map(row =>
  [row.cells[0].textContent, [row.cells[1].textContent, row.cells[2].textContent]]))"""


def compared(tab):
    return tab.locator(".rnnkit-compare-table").evaluate(CELLS)


def shown(tab):
    return tab.locator(".rnnkit-compare-cards h2").all_inner_texts()


def test_the_page_begins_with_gru_and_lstm(tab, site):
    opened(tab, site.address(PAGE))
    assert shown(tab) == ["gru", "lstm"]
    assert tab.locator(".rnnkit-compare-cards svg.rnnkit-step").count() == 2
    assert tab.locator(".rnnkit-compare-cards .katex-html").count() == 2
    assert tab.url == site.address(PAGE)


def test_figures_are_those_of_the_cards(tab, site):
    opened(tab, site.address(f"{PAGE}?a=mgu&b=lru"))
    figures = compared(tab)
    for side, kind in enumerate(("mgu", "lru")):
        opened(tab, site.address(f"kinds/{kind}.html"))
        for quantity, name in (
            ("parameters", "Parameters"),
            ("weights", "Weights"),
            ("state of one sequence", "State of one sequence"),
        ):
            row = tab.locator("tr", has=tab.get_by_role("cell", name=quantity, exact=True))
            assert figures[name][side].startswith(row.locator("td").nth(1).inner_text())
        speed = tab.locator("#speed ~ .md-typeset__scrollwrap td strong").all_inner_texts()
        times = [
            figures[f"{what}, {shape}; nn.LSTM = 1"][side]
            for shape in ("medium", "long")
            for what in ("Forward", "Training")
        ]
        ratios = [text for text in speed if re.fullmatch(r"[\d.]+", text)]
        assert len(ratios) == 4
        assert all(time.startswith(ratio) for time, ratio in zip(times, ratios, strict=True))


def test_the_second_kind_has_ratios_to_the_first(tab, site):
    opened(tab, site.address(f"{PAGE}?a=gru&b=lstm"))
    assert compared(tab)["Parameters"] == ["74,496", "99,328 1.33 \N{MULTIPLICATION SIGN}"]
    assert compared(tab)["State of one sequence"] == ["512 bytes", "1,024 bytes 2.00 \N{MULTIPLICATION SIGN}"]


def test_kinds_are_selected_with_the_keyboard_and_the_address_follows(tab, site):
    opened(tab, site.address(PAGE))
    tab.get_by_role("combobox", name="First kind").focus()
    tab.keyboard.type("mgu")
    tab.keyboard.press("Enter")
    assert shown(tab) == ["mgu", "lstm"]
    assert tab.evaluate("location.search") == "?a=mgu&b=lstm"
    tab.get_by_role("button", name="Swap").press("Enter")
    assert shown(tab) == ["lstm", "mgu"]
    assert "lstm and mgu" in tab.locator(".rnnkit-compare-status").inner_text()
    tab.reload()
    assert shown(tab) == ["lstm", "mgu"]


def test_an_unknown_kind_is_reported(tab, site):
    opened(tab, site.address(f"{PAGE}?a=xylophone&b=rnn"))
    assert shown(tab) == ["gru", "rnn"]
    assert "no kind xylophone" in tab.locator(".rnnkit-compare-status").inner_text()


def test_every_card_leads_here(tab, site):
    for kind, other in (("gru", "lstm"), ("lstm", "gru"), ("nbrc", "lstm")):
        opened(tab, site.address(f"kinds/{kind}.html"))
        with tab.expect_navigation():
            tab.get_by_role("link", name=f"with {other}").click()
        assert shown(tab) == [kind, other]


def test_a_kind_without_an_equation_is_compared(tab, site):
    opened(tab, site.address(f"{PAGE}?a=mixed&b=gru"))
    assert "no equation" in tab.locator(".rnnkit-compare-cards section").first.inner_text()
    assert compared(tab)["Parameters"][0]


def test_lines_are_highlighted_here_too(tab, site):
    opened(tab, site.address(PAGE))
    assert tab.locator("button.rnnkit-line").count() == 4 + 6
    tab.get_by_role("combobox", name="Second kind").select_option("rnn")
    assert tab.locator("button.rnnkit-line").count() == 4 + 1


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_page_is_accessible_and_fits(tab, site, view):
    opened(tab, site.address(f"{PAGE}?a=lstm&b=gla"))
    problems, made = accessibility(tab, view)
    assert made > 10
    assert not problems, problems
    assert tab.evaluate("document.documentElement.scrollWidth") <= view.width
    tops = tab.locator(".rnnkit-compare-cards > section").evaluate_all(
        "sections => sections.map(section => section.getBoundingClientRect().top)"
    )
    assert (tops[0] == tops[1]) == (view.width > 500)


@pytest.mark.parametrize("view", [View("light", 1280)], ids=str)
def test_it_works_from_disk(tab):
    opened(tab, f"{(ON_DISK / PAGE).as_uri()}?a=rnn&b=esn")
    assert shown(tab) == ["rnn", "esn"]
    tab.get_by_role("combobox", name="Second kind").select_option("gru")
    assert shown(tab) == ["rnn", "gru"]


def test_without_javascript_it_leads_to_the_table(site):
    html = (site.folder / PAGE).read_text(encoding="utf-8")
    [inside] = re.findall(r"<noscript>(.*?)</noscript>", html, flags=re.DOTALL)
    assert "requires JavaScript" in inside
    assert 'href="index.html#all-kinds"' in inside
