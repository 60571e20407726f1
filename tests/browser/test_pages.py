"""Every page, in light and dark, wide and narrow: the problems that a visit finds, and the titles of all pages."""

import re
from collections import Counter
from html import unescape

import pytest
from PIL import Image

from docs.site.notebooks import TUTORIALS
from tests.browser.built_site import CANONICAL, FOLDER, built_site, is_published, pages_of
from tests.browser.visit import VIEWS, Visitor

DESCRIPTION = re.compile(r'<meta name="description" content="([^"]*)"')
TITLE = re.compile(r"<title>([^<]*)</title>")
OPEN_GRAPH = re.compile(r'<meta property="og:(\w+)" content="([^"]*)"')


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


def test_each_page_names_its_image():
    pages = [page for page in pages_of(built_site()) if page != "404.html"]
    home = CANONICAL.search((FOLDER / "index.html").read_text(encoding="utf-8"))[1].removesuffix("index.html")
    assert home.startswith("http")
    images = set()
    for page in pages:
        text = (FOLDER / page).read_text(encoding="utf-8")
        said = {name: unescape(content) for name, content in OPEN_GRAPH.findall(text)}
        assert said["url"] == CANONICAL.search(text)[1]
        assert said["title"].strip(), page
        assert said["description"] == unescape(DESCRIPTION.search(text)[1])
        assert said["image"].startswith(home)
        images.add(said["image"].removeprefix(home))
    assert len(images) == len(pages) > 100
    for path in images:
        with Image.open(FOLDER / path) as image:
            assert image.size == (1200, 630), path


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_links_to_its_notebook(tab, site, name):
    tab.goto(site.address(f"tutorials/{name}.html"))
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Download notebook").click()
    assert started.value.suggested_filename == f"{name}.ipynb"
    assert started.value.path().read_bytes() == (FOLDER / f"tutorials/{name}.ipynb").read_bytes()
    address = f"https://colab.research.google.com/github/example/rnnkit/blob/gh-pages/1.0/tutorials/{name}.ipynb"
    colab = tab.get_by_role("link", name="Open in Colab")
    assert colab.evaluate_all("links => links.map(link => link.href)") == [address] * is_published()
