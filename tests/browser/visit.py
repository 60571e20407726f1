"""Opens a page as readers do, in four views, and gathers what is wrong with it."""

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urlsplit
from zlib import crc32

from playwright.sync_api import sync_playwright

from docs.site.chromium import FLAGS, chromium
from tests.browser.anchors import anchors_of

HERE = Path(__file__).parent
CHECKS = (HERE / "checks.js").read_text(encoding="utf-8")
AXE = (HERE / "vendor/axe.min.js").read_text(encoding="utf-8")
RUN_AXE = """async options => {
  const found = await axe.run(document, {resultTypes: ["violations"], ...options})
  return {violations: found.violations, made: found.violations.length + found.passes.length}
}"""
# The rules of axe that depend on colors; no other rule is run again in other colors.
RULES_OF_COLOR = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
PATIENCE = 30_000  # ms: more than anything takes on a machine that is busy
WEIGHT = 1_000_000  # bytes transferred on a first visit, with all that is loaded
WEIGHTS_WITHOUT_FONTS = {"index.html": 400_000}

# The index of the search is fetched but not built, which would take a second of each load: the search finds nothing.
# Its own tests build it.
NO_INDEX = """
window.Worker = class extends Worker {
  postMessage({ type, data }) {
    const [SETUP, READY, QUERY, RESULT] = [0, 1, 2, 3]  // Material's types of messages
    if (type === SETUP && !data.docs.length) throw new Error("the index of the search is empty")
    if (type === SETUP) this.answer({ type: READY })
    if (type === QUERY) this.answer({ type: RESULT, data: { items: [] } })
  }
  answer(data) {
    setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })))
  }
}
"""

# That the page has come, its search and the index of that included (from disk it waits until somebody searches); then
# its fonts, and that nothing is moving any more.
COME = """() => {
  const meta = document.querySelector(".md-search-result__meta")
  const waiting = meta && meta.textContent.trim() === "Initializing search"
  return document.readyState === "complete" && (!waiting || location.protocol === "file:")
}"""
SETTLED = """async () => {
  await document.fonts.ready
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame)
  document.getAnimations().forEach(animation => animation.finish())
}"""
SCHEME = """scheme => !document.body.hasAttribute("data-md-color-scheme")
  || document.body.getAttribute("data-md-color-scheme") === {light: "default", dark: "slate"}[scheme]"""


class View(NamedTuple):
    scheme: str
    width: int

    def __str__(self):
        return f"{self.scheme} {self.width}"

    @property
    def size(self):
        return {"width": self.width, "height": 900 if self.width > 500 else 844}


# A page with scripts of its own is loaded twice, wide and narrow, and turned to the other colours: a load and a turn
# must both come out right.
LOADS = ((View("light", 1280), View("dark", 1280)), (View("dark", 390), View("light", 390)))
VIEWS = [view for views in LOADS for view in views]
WIDTHS = [views[0] for views in LOADS]  # for what colours do not change
SCRIPT = re.compile(r'<script[^>]* src="[^"]*assets/javascripts/([^"]+)"')
TYPESETTING = {"math.js"}


def loads_of(folder, page):
    """The loads of a page: two if it has scripts of its own, otherwise one."""
    return LOADS if has_own_scripts(folder, page) else (views_from(page),)


def views_from(page):
    """All views; which of them is the first depends on the page."""
    first = crc32(page.encode()) % len(VIEWS)
    return VIEWS[first:] + VIEWS[:first]


def has_own_scripts(folder, page):
    return bool(scripts_of(folder / page) - scripts_of(folder / "index.html") - TYPESETTING)


def scripts_of(file):
    return set(SCRIPT.findall(file.read_text(encoding="utf-8")))


class Problem(NamedTuple):
    view: View
    rule: str
    element: str
    text: str

    def __str__(self):
        return f"{self.view!s:10} {self.rule}: {self.text}\n{'':11}{self.element}"


@dataclass
class Findings:
    """The result of one visit to a page: problems, number of checks, and the responses for the first view."""

    page: str
    problems: list = field(default_factory=list)
    checks: int = 0
    views: int = 0
    answers: list = field(default_factory=list)

    def bytes(self, *, fonts=True, compressed=True):
        counted = [answer for answer in self.answers if fonts or not answer.is_font]
        return sum(answer.sent if compressed else answer.uncompressed for answer in counted)

    def __str__(self):
        return f"{len(self.problems)} problems of {self.page}\n" + "\n".join(map(str, self.problems))


@contextmanager
def a_browser():
    """Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


class Recorder:
    """Notes what a page of a browser complains of, and what it asks of the network.

    With `leaves_pages`, requests that the browser cancels are not noted: it does so when a test leaves a page early.
    """

    def __init__(self, context, host, *, leaves_pages=False):
        self.host = host
        self.leaves_pages = leaves_pages
        self.noted = []
        context.on("request", self.request)
        context.on("requestfailed", self.failed)
        context.on("response", self.response)
        context.on("console", self.console)
        context.on("weberror", lambda error: self.note("error", "", f"uncaught: {error.error}"))

    def note(self, rule, element, text):
        self.noted.append((rule, element, text))

    def is_outside(self, address):
        parts = urlsplit(address)
        return parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host

    def request(self, request):
        if self.is_outside(request.url):
            self.note("outside", request.url, "a request to another host")

    def failed(self, request):
        if self.leaves_pages and request.failure == "net::ERR_ABORTED":
            return
        known = any(element == request.url for _, element, _ in self.noted)
        if not known and not self.is_outside(request.url):
            self.note("request", request.url, f"failed: {request.failure}")

    def response(self, response):
        if response.status >= 400:
            self.note("request", response.url, f"was answered with {response.status}")

    def console(self, message):
        # of a request that failed the note above says more
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.note("console", message.location.get("url", ""), f"{message.type}: {message.text}")


class Visitor:
    """One browser that visits the pages of one folder."""

    def __init__(self, browser, server):
        self.browser = browser
        self.server = server

    def visit(self, page, loads=None):
        findings = Findings(page)
        for views in loads or loads_of(self.server.folder, page):
            self.load(page, views, findings)
        return findings

    def load(self, page, views, findings):
        """Load a page with an empty cache in the first of some views, and turn it to the others."""
        first = views[0]
        self.server.answers.clear()
        context = self.browser.new_context(viewport=first.size, color_scheme=first.scheme)
        context.set_default_timeout(PATIENCE)
        recorder = Recorder(context, f"127.0.0.1:{self.server.server_port}")
        tab = context.new_page()
        tab.add_init_script(NO_INDEX)
        tab.goto(self.server.address(page), wait_until="load")
        seen = set()
        for view in views:
            findings.views += 1
            turn(tab, view)
            if not findings.answers:
                self.weigh(view, findings)
            self.look(tab, view, findings, {} if view.width not in seen else RULES_OF_COLOR)
            self.take(recorder, view, findings)
            seen.add(view.width)
        self.follow(tab, first, findings)
        context.close()

    def weigh(self, view, findings):
        """Compare the bytes of a first visit with the budget of the page."""
        findings.answers = list(self.server.answers)
        budgets = {True: WEIGHT, False: WEIGHTS_WITHOUT_FONTS.get(findings.page, WEIGHT)}
        findings.checks += len(budgets)
        for fonts, budget in budgets.items():
            if not 0 < findings.bytes(fonts=fonts) < budget:
                text = f"{findings.bytes(fonts=fonts):,} bytes {'' if fonts else 'without fonts '}of {budget:,}"
                findings.problems.append(Problem(view, "weight", findings.page, text))

    def look(self, tab, view, findings, options):
        for problems, checks in (own_checks(tab, view), accessibility(tab, view, options)):
            findings.problems += problems
            findings.checks += checks

    def take(self, recorder, view, findings):
        """Move the problems of the recorder, which has five checks, to the findings."""
        findings.checks += 5
        findings.problems += [Problem(view, *noted) for noted in recorder.noted]
        recorder.noted.clear()

    def follow(self, tab, view, findings):
        """Whether each link to the site itself, those that scripts have made included, leads to what is there."""
        links = tab.evaluate("() => rnnkitChecks.links()")
        own = [link for link in links if link.startswith(self.server.address())]
        dead = [link for link in own if not self.leads_somewhere(link)]
        findings.checks += len(own)
        findings.problems += [Problem(view, "link", link, "leads nowhere") for link in dead]

    def leads_somewhere(self, link):
        address, anchor = urldefrag(link)
        path = unquote(urlsplit(address).path).removeprefix(self.server.prefix)
        file = self.server.folder / path
        file = file / "index.html" if file.is_dir() else file
        return file.is_file() and (not anchor or file.suffix != ".html" or unquote(anchor) in anchors_of(file))


def opened(tab, address):
    """Open a page in a tab, and wait until all of it has come."""
    tab.goto(address, wait_until="load")
    settled(tab)


def settled(tab):
    """Wait until a page is loaded and its layout is stable. (The script of `wait_for_function` must be synchronous.)"""
    tab.wait_for_function(COME)
    tab.evaluate(SETTLED)


def turn(tab, view):
    """Give a page the width and the colours of a view, and wait until it has them."""
    tab.set_viewport_size(view.size)
    tab.emulate_media(color_scheme=view.scheme)
    tab.wait_for_function(SCHEME, arg=view.scheme)
    settled(tab)


def own_checks(tab, view):
    """The problems that our own checks find in a view of a page, and how many checks those were."""
    tab.evaluate(f"() => {{ if (!window.rnnkitChecks) {{ {CHECKS} }} }}")
    found = tab.evaluate("() => rnnkitChecks.run()")
    return [Problem(view, *map(problem.get, Problem._fields[1:])) for problem in found["problems"]], found["made"]


def accessibility(tab, view, options=None):
    """The problems that axe finds in a view of a page, and how many of its rules had something to judge."""
    tab.evaluate(f"() => {{ if (!window.axe) {{ {AXE} }} }}")
    found = tab.evaluate(RUN_AXE, options or {})
    return [problem for violation in found["violations"] for problem in of_axe(view, violation)], found["made"]


def of_axe(view, violation):
    for node in violation["nodes"]:
        faults = [check["message"] for check in node["any"] + node["all"] + node["none"]]
        start = node["html"][:100].replace("\n", " ")
        yield Problem(view, violation["id"], f"{node['target'][-1]}  {start}", "; ".join(faults) or violation["help"])
