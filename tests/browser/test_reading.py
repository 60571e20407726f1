"""Pages read from disk, copy buttons, and the 404 page."""

import pytest

from tests.browser.built_site import FOLDER
from tests.browser.visit import VIEWS, WIDTHS, Recorder, opened

WITH_CODE = ["index.html", "kinds/lstm.html", "tutorials/write_a_plugin.html", "reference/command.html"]
COPY = "main [data-md-type=copy]"
TEXT_OF = "button => document.querySelector(button.dataset.clipboardTarget).textContent"
IS_SCREEN = "button => Boolean(button.closest('.language-console'))"


def wanted_of(button):
    """Return the text that a button should copy: all of a code block, only the commands of a terminal session."""
    text = button.evaluate(TEXT_OF)
    if not button.evaluate(IS_SCREEN):
        return text.rstrip()
    return "\n".join(line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ "))


@pytest.mark.parametrize("page", WITH_CODE)
def test_a_copy_button_copies_its_code(tab, site, page):
    opened(tab, site.address(page))
    tab.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    buttons = tab.locator(COPY)
    assert buttons.count() > 0
    for button in buttons.all():
        tab.evaluate("navigator.clipboard.writeText('nothing yet')")
        button.click()
        copied = tab.evaluate("navigator.clipboard.readText()")
        assert copied.rstrip() == wanted_of(button)


def test_code_is_copied_with_the_keyboard(tab, site):
    opened(tab, site.address())
    button = tab.locator(COPY).last
    button.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("navigator.clipboard.readText()").rstrip() == wanted_of(button)


@pytest.mark.parametrize("page", ["index.html", "kinds/lstm.html"])
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_page_is_read_from_disk(browser, page, view):
    with browser.new_context(viewport=view.size, color_scheme=view.scheme) as context:
        recorder = Recorder(context, host="")
        tab = context.new_page()
        opened(tab, (FOLDER / page).as_uri())
        assert recorder.noted == []
        assert tab.evaluate("[...document.querySelectorAll('.arithmatex')].every(math => math.querySelector('.katex'))")
        assert tab.evaluate("document.fonts.check('16px Inter')")
        assert tab.evaluate("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[view.scheme]


def test_a_link_is_followed_from_disk(browser):
    with browser.new_context() as context:
        tab = context.new_page()
        opened(tab, (FOLDER / "index.html").as_uri())
        with tab.expect_navigation():
            tab.locator(".md-tabs__link", has_text="Kinds").click()
        assert tab.url == (FOLDER / "kinds/index.html").as_uri()


@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_who_misses_the_way_gets_a_whole_page(browser, site, view):
    assert site.prefix != "/", (
        "build the site for a path, as GitHub Pages has: DOCS_SITE_URL=http://127.0.0.1:8000/rnnkit/"
    )
    with browser.new_context(viewport=view.size, color_scheme=view.scheme) as context:
        recorder = Recorder(context, f"127.0.0.1:{site.server_port}")
        tab = context.new_page()
        missing = site.address("some/where/deep/missing.html")
        opened(tab, missing)
        assert recorder.noted == [("request", missing, "was answered with 404")]
        assert tab.title()
        assert tab.evaluate("document.fonts.check('16px Inter') && document.styleSheets.length > 3")
        home = tab.locator("a.md-logo, a.md-nav__link").first.evaluate("link => link.href")
        assert home in (site.address(), site.address("index.html"))
