"""Pages read from disk, copy buttons, the 404 page, and what only a published site has."""

import pytest

from tests.browser.built_site import GIVEN, ON_DISK, built_site, is_published
from tests.browser.searching import expect_first_result
from tests.browser.visit import VIEWS, WIDTHS, Recorder, opened

PROMPT = "$ "
SESSIONS = {  # the least number of terminal sessions on a page with code
    "index.html": 1,
    "get_started.html": 1,
    "kinds/lstm.html": 0,
    "tutorials/write_a_plugin.html": 3,
    "reference/command.html": 3,
}
COPY = "main [data-md-type=copy]"
TEXT_OF = "button => document.querySelector(button.dataset.clipboardTarget).textContent"
needs_versions = pytest.mark.skipif(bool(GIVEN) and not is_published(), reason="this site is not published")


def is_session(text):
    return text.startswith(PROMPT)


def wanted_of(text):
    """Return the text that should be copied: all of a code block, only the commands of a terminal session."""
    if not is_session(text):
        return text.rstrip()
    return "\n".join(line.removeprefix(PROMPT) for line in text.splitlines() if line.startswith(PROMPT))


@pytest.mark.parametrize("page", SESSIONS)
def test_a_copy_button_copies_its_code(tab, site, page):
    opened(tab, site.address(page))
    tab.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    buttons = tab.locator(COPY).all()
    texts = [button.evaluate(TEXT_OF) for button in buttons]
    assert len(texts) > sum(map(is_session, texts)) >= SESSIONS[page]
    for button, text in zip(buttons, texts, strict=True):
        tab.evaluate("navigator.clipboard.writeText('nothing yet')")
        button.click()
        assert tab.evaluate("navigator.clipboard.readText()").rstrip() == wanted_of(text)


def test_code_is_copied_with_the_keyboard(tab, site):
    opened(tab, site.address())
    button = tab.locator(COPY).last
    button.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("navigator.clipboard.readText()").rstrip() == wanted_of(button.evaluate(TEXT_OF))


MATH = {"index.html": 0, "kinds/lstm.html": 10}  # the least number of formulas on a page


@pytest.mark.parametrize("page", MATH)
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_page_is_read_from_disk(browser, page, view):
    with browser.new_context(viewport=view.size, color_scheme=view.scheme) as context:
        recorder = Recorder(context, host="")
        tab = context.new_page()
        opened(tab, (built_site(ON_DISK) / page).as_uri())
        assert recorder.noted == []
        formulas = tab.locator(".arithmatex")
        assert formulas.count() == formulas.filter(has=tab.locator(".katex")).count() >= MATH[page]
        assert tab.evaluate("document.fonts.check('16px Inter')")
        assert tab.evaluate("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[view.scheme]


def test_a_link_is_followed_from_disk(browser):
    with browser.new_context() as context:
        tab = context.new_page()
        opened(tab, (ON_DISK / "index.html").as_uri())
        with tab.expect_navigation():
            tab.locator(".md-tabs__link", has_text="Models").click()
        assert tab.url == (ON_DISK / "kinds/index.html").as_uri()


@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_the_404_page_works_at_any_address(browser, site, view):
    assert site.prefix != "/", (
        "build the site for a path, as GitHub Pages has: DOCS_SITE_URL=http://127.0.0.1:8000/rnnkit/"
    )
    with browser.new_context(viewport=view.size, color_scheme=view.scheme) as context:
        recorder = Recorder(context, f"127.0.0.1:{site.server_port}")
        tab = context.new_page()
        missing = site.address("some/where/deep/missing.html")
        opened(tab, missing)
        assert tab.title()
        assert tab.evaluate("document.fonts.check('16px Inter') && document.styleSheets.length > 3")
        home = tab.locator("a.md-logo, a.md-nav__link").first.evaluate("link => link.href")
        assert home in (site.address(), site.address("index.html"))
        tab.keyboard.press("/")
        tab.keyboard.type("AmbiguousKindError")
        expect_first_result(tab, site.address("reference/errors.html"))
        assert recorder.noted == [("request", missing, "was answered with 404")]


@needs_versions
def test_the_root_redirects_to_the_default_version(tab, site):
    root = site.address("").removesuffix(site.prefix) + site.root_prefix
    assert root != site.address()
    tab.goto(f"{root}?from=a#why")
    tab.wait_for_url(f"{site.address()}?from=a#why")


@needs_versions
def test_a_version_is_chosen_with_the_keyboard(tab, site):
    opened(tab, site.address("kinds/lstm.html"))
    button = tab.get_by_role("button", name="1.0 latest: select version")
    button.focus()
    tab.keyboard.press("Tab")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert tab.url.startswith(site.address().replace("/latest/", "/1.0/"))


@needs_versions
def test_a_page_links_to_the_repository_and_to_its_source(tab, site):
    opened(tab, site.address("get_started.html"))
    assert tab.locator(".md-header .md-source").get_attribute("href") == "https://github.com/example/rnnkit"
    edit = tab.locator("a[rel=edit]").get_attribute("href")
    assert edit == "https://github.com/example/rnnkit/edit/main/docs/get_started.md"


@needs_versions
def test_a_generated_page_is_not_offered_for_editing(tab, site):
    opened(tab, site.address("kinds/lstm.html"))
    assert tab.locator("main h1").count() == 1
    assert tab.locator("a[rel=edit]").count() == 0
