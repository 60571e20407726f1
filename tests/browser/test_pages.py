"""Every page, in light and dark, wide and narrow: the problems that a visit finds, and the titles of all pages."""

import re
from collections import Counter
from html import unescape

import pytest
from PIL import Image

from docs.site.notebooks import TUTORIALS
from tests.browser.built_site import CANONICAL, FOLDER, built_site, is_published, pages_of
from tests.browser.visit import VIEWS, Visitor, has_own_scripts, loads_of, views_from
from tests.helpers.kinds import BUILT_IN

DESCRIPTION = re.compile(r'<meta name="description" content="([^"]*)"')
TITLE = re.compile(r"<title>([^<]*)</title>")
OPEN_GRAPH = re.compile(r'<meta property="og:(\w+)" content="([^"]*)"')


# These have all views in each run. Other pages without scripts of their own have two, and others of one template have
# one, in which most faults are seen: narrow. Nightly runs have all views of all pages.
STAND_FOR_OTHERS = {
    "changelog.html",
    "explanation/plans.html",
    "how_to/export.html",
    "index.html",
    "kinds/gru.html",
    "kinds/minlstm.html",
    "plugins/cells.html",
    "reference/api/cells.html",
    "reference/errors.html",
    "tutorials/streaming.html",
}


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages_of(built_site()))
    if "page_like_others" in metafunc.fixturenames:
        metafunc.parametrize("page_like_others", [page for page in pages_of(built_site()) if is_one_of_many(page)])


def is_one_of_many(page):
    """Whether a page is of a template, or has no scripts of its own."""
    return page not in STAND_FOR_OTHERS and (is_of_template(page) or not has_own_scripts(FOLDER, page))


def is_of_template(page):
    """Whether a page is the card of a kind, or a part of the API reference."""
    folder, _, name = page.rpartition("/")
    return folder == "reference/api" or (folder == "kinds" and name.removesuffix(".html") in BUILT_IN)


def some_views(page):
    """Two views that have each scheme and each width once, or the narrow one of them for a page of a template."""
    opposite = views_from(page)[::2]
    return [view for view in opposite if view.width < 500] if is_of_template(page) else opposite


def test_pages_of_one_sort_have_each_scheme_and_width():
    views = {page: some_views(page) for page in pages_of(built_site()) if is_one_of_many(page)}
    assert {len(each) for each in views.values()} == {1, 2}
    assert {view for page in views if not is_of_template(page) for view in views[page]} == {*VIEWS}
    assert {view for page in views if is_of_template(page) for view in views[page]} == {*VIEWS[2:]}
    assert all(len({view.scheme for view in each}) == len({view.width for view in each}) for each in views.values())


def test_some_pages_have_all_views():
    pages = set(pages_of(built_site()))
    assert pages >= STAND_FOR_OTHERS
    rest = {page for page in pages - STAND_FOR_OTHERS if not is_one_of_many(page)}
    assert rest >= {"kinds/index.html", "kinds/compare.html", "kinds/spec_builder.html"}


def test_a_page_is_as_it_should_be(browser, site, page, record_visit):
    loads = (some_views(page),) if is_one_of_many(page) else loads_of(site.folder, page)
    findings = Visitor(browser, site).visit(page, loads)
    record_visit(findings)
    assert findings.checks > 20 * findings.views > 0
    assert not findings.problems, str(findings)


def test_a_page_is_as_it_should_be_in_all_views(browser, site, page_like_others):
    findings = Visitor(browser, site).visit(page_like_others)
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
