"""The published site, and a browser to read it with. `make docs-test` publishes the one and finds the other.

A test that takes `tab` gets an empty tab of a browser, and fails if a page that it opens logs an error or a warning, or
if a request fails or goes to another host. `site.address("kinds/lstm.html")` is the address of a page.
"""

import pytest

from tests.browser.built_site import FOLDER, built_site, is_published, prefix_of
from tests.browser.searching import COUNT
from tests.browser.serving import serving
from tests.browser.summary import PROPERTY, lines, of_visit, visits_in
from tests.browser.visit import NO_INDEX, PATIENCE, Recorder, View, a_browser, opened


def pytest_terminal_summary(terminalreporter):
    reports = [report for name in ("passed", "failed") for report in terminalreporter.getreports(name)]
    if visits := visits_in(report for report in reports if report.when == "call"):
        terminalreporter.section(f"the site in {FOLDER}")
        for line in lines(visits):
            terminalreporter.line(line)


@pytest.fixture
def record_visit(record_property):
    """Add a visit to the summary."""
    return lambda findings: record_property(PROPERTY, of_visit(findings))


@pytest.fixture(scope="session")
def site():
    """The server of the site, which GitHub Pages would serve as it does."""
    folder, prefix = built_site(), prefix_of(FOLDER)
    version = f"{folder.name}/" if is_published() else ""
    with serving(folder.parent if version else folder, prefix.removesuffix(version), version) as server:
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
def scripts():
    """The scripts that run before those of a page; the tests of the search have none."""
    return [NO_INDEX]


@pytest.fixture
def tab(browser, site, view, scripts):
    context = browser.new_context(
        viewport=view.size, color_scheme=view.scheme, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE)
    for script in scripts:
        context.add_init_script(script)
    recorder = Recorder(context, f"127.0.0.1:{site.server_port}", leaves_pages=True)
    yield context.new_page()
    context.close()
    assert recorder.noted == []


@pytest.fixture(scope="session")
def searching(browser, site):
    """A tab that is used for one search after another."""
    tab = browser.new_context().new_page()
    tab.add_init_script(COUNT)
    opened(tab, site.address())
    yield tab
    tab.context.close()
