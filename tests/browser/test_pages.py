"""Every page, in light and dark, wide and narrow: the problems that a visit finds, and the titles of all pages."""

import re
from collections import Counter

from tests.browser.built_site import FOLDER, built_site, pages_of
from tests.browser.visit import VIEWS, Visitor

DESCRIPTION = re.compile(r'<meta name="description" content="([^"]*)"')
TITLE = re.compile(r"<title>([^<]*)</title>")


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages_of(built_site()))


def test_a_page_is_as_it_should_be_in_every_view(browser, site, page, record_visit):
    findings = Visitor(browser, site).visit(page)
    record_visit(findings)
    assert findings.checks > 20 * len(VIEWS)
    assert not findings.problems, str(findings)


def test_no_two_pages_have_the_same_title_or_description():
    pages = [(FOLDER / page).read_text(encoding="utf-8") for page in pages_of(built_site()) if page != "404.html"]
    assert len(pages) > 100
    for pattern in (TITLE, DESCRIPTION):
        counted = Counter(pattern.search(page)[1] for page in pages)
        assert [text for text, times in counted.items() if times > 1] == []
