"""The search finds what the site documents by its name, typed into the box as a reader types it."""

import inspect

import pytest

from rnnkit import errors, hookspecs, list_kinds
from tests.browser.built_site import ON_DISK
from tests.browser.queries import QUERIES
from tests.browser.visit import WIDTHS, View, opened, settled

FIRST = 3
KINDS = [*list_kinds(), "nbrc"]
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "rnnkit_spec")]
ERRORS = [name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)]
PLACES = {
    **{name: f"kinds/{name}.html" for name in KINDS},
    **dict.fromkeys(HOOKS, "reference/hooks.html"),
    **dict.fromkeys(ERRORS, "reference/errors.html"),
}

# Counts questions and answers of the search's worker: what is shown may still be the answer to an earlier question.
COUNT = """
window.asked = window.answered = 0
window.Worker = class extends Worker {
  constructor(...where) {
    super(...where)
    this.addEventListener("message", ({ data }) => { window.answered += data.type === 3 })
  }
  postMessage(message, ...more) {
    window.asked += message.type === 2
    super.postMessage(message, ...more)
  }
}
"""
ANSWERED = "before => asked > before && asked === answered"
BOX = "[data-md-component=search-query]"
RESULT = ".md-search-result__item > a:first-child"


@pytest.fixture
def scripts():
    return []


@pytest.fixture(scope="module")
def searching(browser, site):
    """A tab that is used for one question after another."""
    tab = browser.new_context().new_page()
    tab.add_init_script(COUNT)
    opened(tab, site.address())
    yield tab
    tab.context.close()


def found_by(tab, site, query):
    """The pages among the first results for what is typed into the search box."""
    tab.keyboard.press("/")
    tab.locator(BOX).select_text()
    before = tab.evaluate("asked")
    tab.keyboard.type(query)
    tab.wait_for_function(ANSWERED, arg=before)
    settled(tab)
    assert tab.locator(BOX).input_value() == query
    links = tab.locator(RESULT).evaluate_all("links => links.map(link => link.origin + link.pathname)")
    tab.keyboard.press("Escape")
    return [link.removeprefix(site.address()) for link in links][:FIRST]


def test_there_is_something_to_find():
    assert len(KINDS) > 7
    assert "register_kinds" in HOOKS
    assert "UnknownKindError" in ERRORS


@pytest.mark.parametrize("name", PLACES)
def test_a_name_leads_to_the_page_that_documents_it(searching, site, name):
    assert PLACES[name] in found_by(searching, site, name)


def test_queries_of_readers_lead_to_a_page_that_answers_them(searching, site):
    """At least nine of ten: the order depends on all pages, so that a new page may displace another."""
    assert len(QUERIES) >= 100
    found = {query: found_by(searching, site, query) for query in QUERIES}
    missed = {query: pages for query, pages in found.items() if not {*pages} & {*QUERIES[query]}}
    assert len(missed) <= len(QUERIES) // 10, missed


@pytest.mark.parametrize("query", QUERIES)
def test_pages_of_queries_exist(query):
    assert QUERIES[query]
    assert all((ON_DISK / page).exists() for page in QUERIES[query])


def test_a_word_that_is_nowhere_is_not_found(searching, site):
    assert found_by(searching, site, "xylophone") == []


@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_the_search_is_used_with_the_keyboard(tab, site, view):
    opened(tab, site.address())
    tab.keyboard.press("/")
    tab.keyboard.type("AmbiguousKindError")
    tab.locator(RESULT).first.wait_for()
    assert "reference/errors.html" in tab.locator(RESULT).first.get_attribute("href")
    tab.keyboard.press("ArrowDown")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert tab.url.startswith(site.address("reference/errors.html"))


@pytest.mark.parametrize("view", [View("light", 1280)], ids=str)
def test_the_search_works_from_disk(browser, view):
    with browser.new_context(viewport=view.size) as context:
        tab = context.new_page()
        opened(tab, (ON_DISK / "index.html").as_uri())
        tab.keyboard.press("/")
        tab.keyboard.type("AmbiguousKindError")
        tab.locator(RESULT).first.wait_for()
        assert tab.locator(RESULT).first.get_attribute("href").startswith((ON_DISK / "reference/errors.html").as_uri())
