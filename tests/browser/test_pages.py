"""Every page, in light and dark, wide and narrow: what each visit to one has found wrong, and what it weighs."""

import re
from collections import Counter

import pytest

from tests.browser.built_site import built_site, pages_of

PAGE = 1_000_000  # bytes transferred on a first visit, with all that is loaded
HOME = 400_000  # bytes of Home's first view, without its fonts
DESCRIPTION = re.compile(r'<meta name="description" content="([^"]*)"')
TITLE = re.compile(r"<title>([^<]*)</title>")


def test_a_page_is_as_it_should_be_in_every_view(findings):
    assert findings.checks > 0
    assert not findings.problems, str(findings)


def test_a_page_stays_within_its_budget(findings):
    assert 0 < findings.bytes() < PAGE


@pytest.mark.parametrize("page", ["index.html"])
def test_the_first_view_of_home_stays_within_its_budget(findings):
    assert 0 < findings.bytes(fonts=False) < HOME


def test_no_two_pages_have_the_same_title_or_description():
    site = built_site()
    pages = [(site / page).read_text(encoding="utf-8") for page in pages_of(site) if page != "404.html"]
    for pattern in (TITLE, DESCRIPTION):
        counted = Counter(pattern.search(page)[1] for page in pages)
        assert [text for text, times in counted.items() if times > 1] == []
