"""Types into the search box of a page, as a reader does, and reads the first results."""

import re

from playwright.sync_api import expect

from tests.browser.visit import settled

FIRST = 3
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


def search(tab, query):
    """Type a query into the search box, and wait for its results, which stay open."""
    tab.keyboard.press("/")
    tab.locator(BOX).select_text()
    before = tab.evaluate("asked")
    tab.keyboard.type(query)
    tab.wait_for_function(ANSWERED, arg=before)
    settled(tab)
    assert tab.locator(BOX).input_value() == query


def found_by(tab, site, query):
    """The pages among the first results of a query."""
    search(tab, query)
    links = tab.locator(RESULT).evaluate_all("links => links.map(link => link.origin + link.pathname)")
    tab.keyboard.press("Escape")
    return [link.removeprefix(site.address()) for link in links][:FIRST]


def expect_first_result(tab, address):
    """Wait until the first result is the page at an address; results of a query that is not typed to its end go by."""
    expect(tab.locator(RESULT).first).to_have_js_property("pathname", re.sub(r"^\w+://[^/]*", "", address))
