"""The search finds what the site documents by its name, typed into the box as a reader types it."""

import inspect

import pytest

from rnnkit import errors, hookspecs, list_kinds
from tests.browser.built_site import ON_DISK
from tests.browser.forum_queries import FORUM_QUERIES
from tests.browser.queries import QUERIES
from tests.browser.searching import expect_first_result, found_by
from tests.browser.visit import WIDTHS, View, opened

KINDS = [*list_kinds(), "nbrc"]
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "rnnkit_spec")]
ERRORS = [name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)]
PLACES = {
    **{name: f"kinds/{name}.html" for name in KINDS},
    **dict.fromkeys(HOOKS, "reference/hooks.html"),
    **dict.fromkeys(ERRORS, "reference/errors.html"),
}


@pytest.fixture
def scripts():
    return []


def test_there_is_something_to_find():
    assert len(KINDS) > 7
    assert "register_kinds" in HOOKS
    assert "UnknownKindError" in ERRORS


@pytest.mark.parametrize("name", PLACES)
def test_a_name_leads_to_the_page_that_documents_it(searching, site, name):
    assert PLACES[name] in found_by(searching, site, name)


@pytest.mark.parametrize(("queries", "number"), [(QUERIES, 100), (FORUM_QUERIES, 60)], ids=["words", "forums"])
def test_queries_of_readers_lead_to_a_page_that_answers_them(searching, site, queries, number):
    """At least nine of ten: the order depends on all pages, so that a new page may displace another."""
    assert len(queries) >= number
    found = {query: found_by(searching, site, query) for query in queries}
    missed = {query: pages for query, pages in found.items() if not {*pages} & {*queries[query]}}
    assert len(missed) <= len(queries) // 10, missed


@pytest.mark.parametrize("query", QUERIES | FORUM_QUERIES)
def test_pages_of_queries_exist(query):
    pages = (QUERIES | FORUM_QUERIES)[query]
    assert pages
    assert all((ON_DISK / page).exists() for page in pages)


def test_no_query_is_in_both_sets():
    assert not {*QUERIES} & {*FORUM_QUERIES}


def test_words_that_stand_on_every_page_do_not_change_what_is_found(searching, site):
    assert found_by(searching, site, "how to use the padding_idx") == found_by(searching, site, "padding_idx")


def test_a_single_word_is_searched_even_if_it_stands_on_every_page(searching, site):
    assert found_by(searching, site, "is")


def test_a_word_that_is_nowhere_is_not_found(searching, site):
    assert found_by(searching, site, "xylophone") == []


@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_the_search_is_used_with_the_keyboard(tab, site, view):
    opened(tab, site.address())
    tab.keyboard.press("/")
    tab.keyboard.type("AmbiguousKindError")
    expect_first_result(tab, site.address("reference/errors.html"))
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
        expect_first_result(tab, (ON_DISK / "reference/errors.html").as_uri())
