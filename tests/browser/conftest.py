"""The built site, and a browser to read it with. `make docs-test` builds the one and finds the other.

A test that takes `page` runs for every page of the site. One that takes `tab` gets an empty tab of a browser, and
fails if anything that it opens complains: an error or a warning on the console, a request that fails or goes elsewhere.
`site.address("kinds/lstm.html")` is where the tab finds a page.
"""

import pytest

from tests.browser.built_site import FOLDER, built_site, pages_of, prefix_of
from tests.browser.serving import serving
from tests.browser.summary import Summary
from tests.browser.visit import PATIENCE, Recorder, View, a_browser
from tests.browser.visits import Visits

SUMMARY = pytest.StashKey[Summary]()
PAGES = pytest.StashKey[set]()


def pytest_configure(config):
    config.stash[SUMMARY] = Summary(FOLDER)
    config.stash[PAGES] = set()


def pytest_generate_tests(metafunc):
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "page" in metafunc.fixturenames and "page" not in given:
        metafunc.parametrize("page", pages_of(built_site()))


def pytest_collection_finish(session):
    """Only the pages that are to be tested are visited."""
    parameters = [item.callspec.params for item in session.items if "findings" in getattr(item, "fixturenames", ())]
    session.config.stash[PAGES] |= {parameter["page"] for parameter in parameters}


def pytest_terminal_summary(terminalreporter, config):
    config.stash[SUMMARY].write(terminalreporter)


@pytest.fixture(scope="session")
def summary(pytestconfig):
    return pytestconfig.stash[SUMMARY]


@pytest.fixture(scope="session", autouse=True)
def visits(pytestconfig):
    """Each page that a test asks for is visited from the start, while other tests run."""
    with Visits(FOLDER, sorted(pytestconfig.stash[PAGES])) as visits:
        yield visits


@pytest.fixture
def findings(page, visits, summary):
    """The findings of a visit to a page, in each of its views."""
    found = visits.of(page)
    summary.add(found)
    return found


@pytest.fixture(scope="session")
def site():
    """The server of the site, which GitHub Pages would serve as it does."""
    site = built_site()
    with serving(site, prefix_of(site)) as server:
        yield server


@pytest.fixture(scope="session")
def browser():
    with a_browser() as browser:
        yield browser


@pytest.fixture
def view():
    """The view in which a tab is opened, unless a test says otherwise: `@pytest.mark.parametrize("view", VIEWS)`."""
    return View("light", 1280)


@pytest.fixture
def tab(browser, site, view):
    context = browser.new_context(
        viewport=view.size, color_scheme=view.scheme, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE)
    recorder = Recorder(context, f"127.0.0.1:{site.server_port}", leaves_pages=True)
    yield context.new_page()
    context.close()
    assert recorder.noted == []
