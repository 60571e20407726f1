"""Each check finds its fault: a page with one fault is visited as those of the site are, and only that is found."""

import random

import pytest

from tests.browser.serving import serving
from tests.browser.visit import LOADS, VIEWS, View, Visitor

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="description" content="A description.">
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 sans-serif; margin: 8px }}
a {{ color: inherit }}
</style>{head}</head><body><main class="md-content"><h1>A page</h1>{body}</main></body></html>"""
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
DRAWING = '<figure class="rnnkit-drawing"><svg viewBox="0 0 200 60" role="img" aria-label="A drawing">{}</svg></figure>'
SCRIPT = "<script>{}</script>"
WIDE = '<div style="width: 2000px; height: 20px; background: red"></div>'


def random_text(size):
    """Text that is half as large when it is compressed."""
    return random.Random(0).randbytes(size // 2).hex()  # noqa: S311  # no secret


ONE_VIEW = [[View("light", 390)]]

# name: the rule that finds it, what is in the head, what is in the body
FAULTS = {
    "a request to another host": ("outside", "", SCRIPT.format("fetch('https://example.com/x').catch(() => 0)")),
    "an image of another host": (
        "hosts outside pictures",
        "",
        '<img src="https://example.com/x.png" alt="x" width="40" height="40">',
    ),
    "a link that would connect to another host": ("hosts", '<link rel="preconnect" href="https://example.com">', ""),
    "an error on the console": ("console", "", SCRIPT.format("console.error('oh')")),
    "a warning on the console": ("console", "", SCRIPT.format("console.warn('oh')")),
    "an uncaught error": ("error", "", SCRIPT.format("setTimeout(() => { throw new Error('oh') })")),
    "a promise that was rejected": ("error", "", SCRIPT.format("Promise.reject(new Error('oh'))")),
    "a script that is not there": ("request", "", '<script src="missing.js"></script>'),
    "an image that is not there": ("request pictures", "", '<img src="missing.png" alt="x" width="40" height="40">'),
    "a request that is given up": (
        "request",
        "",
        SCRIPT.format("const stop = new AbortController(); fetch('page.html', stop).catch(() => 0); stop.abort()"),
    ),
    "no title": ("title document-title", "<script>document.title = ''</script>", ""),
    "no description": ("description", "<script>document.querySelector('[name=description]').remove()</script>", ""),
    "two h1": ("headings", "", "<h1>Another</h1>"),
    "a level of headings left out": ("headings heading-order", "", "<h3>Too deep</h3>"),
    "an empty heading": ("headings empty-heading", "", "<h2></h2>"),
    "Markdown left as text": ("leftovers", "", "<p>See [the page](page.md) for **more**.</p>"),
    "a template left as text": ("leftovers", "", "<p>It is {{ page.title }}.</p>"),
    "math that was not typeset": ("math", "", '<span class="arithmatex">x</span>'),
    "math that was left as text": ("math", "", r"<p>Let \(x_t\) be the input.</p>"),
    "math that KaTeX cannot read": (
        "math",
        "",
        '<span class="arithmatex"><span class="katex"><span class="katex-error" title="no">x</span></span></span>',
    ),
    "math without a size": (
        "math",
        "<style>.katex-html { display: inline-block; width: 0 }</style>",
        '<span class="arithmatex"><span class="katex"><span class="katex-html"></span></span></span>',
    ),
    "an image without alt": ("pictures image-alt", "", f'<img src="{PIXEL}" width="40" height="40">'),
    "an image with an empty alt": ("pictures", "", f'<img src="{PIXEL}" alt="" width="40" height="40">'),
    "an image without a size": ("pictures", "", f'<img src="{PIXEL}" alt="x">'),
    "an SVG image whose text is too small": ("pictures", "", '<img src="small.svg" alt="x" width="100">'),
    "a drawing that is not there": ("drawings", "", '<figure class="rnnkit-drawing"></figure>'),
    "a drawing without a size": ("drawings", "<style>svg { width: 8px }</style>", DRAWING.format("")),
    "a drawing without a name": (
        "drawings",
        "<style>svg { width: 200px }</style>",
        DRAWING.format("").replace('role="img" aria-label="A drawing"', ""),
    ),
    "text in a drawing that is too small": (
        "drawings",
        "<style>svg { width: 100px }</style>",
        DRAWING.format('<text x="20" y="30" font-size="14" fill="#767676">x</text>'),
    ),
    "text in a drawing that is cut off": (
        "drawings",
        "<style>svg { width: 200px }</style>",
        DRAWING.format('<text x="180" y="30" font-size="14" fill="#767676">too long</text>'),
    ),
    "a drawing that is wider than the screen": (
        "inView",
        "<style>figure { overflow-x: auto } svg { width: 600px }</style>",
        DRAWING.format("").replace("<figure", '<figure tabindex="0"'),
    ),
    "a name that is broken into lines": (
        "brokenNames",
        "<style>code { overflow-wrap: anywhere }</style>",
        '<table><tr><td style="width: 20px; max-width: 20px"><code>lstm_cell</code></td></tr></table>',
    ),
    "a page that is too heavy": ("weight", "", f"<!-- {random_text(2_000_000)} -->"),
    "faint text in a drawing": (
        "drawingContrast",
        "<style>svg { width: 200px }</style>",
        DRAWING.format(
            '<rect width="200" height="60" fill="#eee"/><text x="20" y="30" font-size="14" fill="#aaa">x</text>'
        ),
    ),
    "code without a copy button": ("copying", "", '<div class="highlight"><pre><code>x = 1</code></pre></div>'),
    "a page that is too wide": ("overflow", "", WIDE),
    "an element that sticks out on the left": (
        "overflow",
        "",
        '<p style="position: absolute; left: -50px; top: 50px">This text begins too early.</p>',
    ),
    "text that is cut off": (
        "cutOff",
        "",
        '<p style="overflow: hidden; width: 50px; white-space: nowrap">A text that does not fit.</p>',
    ),
    "a link to a page that is not there": ("link", "", '<p><a href="nowhere.html">Somewhere</a></p>'),
    "a link to an anchor that is not there": ("link", "", '<p><a href="page.html#nowhere">Somewhere</a></p>'),
    "faint text": ("color-contrast", "", '<p style="color: #aaa; background: #fff">Who can read this?</p>'),
    "a control without a name": ("button-name", "", "<button></button>"),
    "content outside of landmarks": (
        "region",
        SCRIPT.format("onload = () => document.body.insertAdjacentHTML('beforeend', '<p>x</p>')"),
        "",
    ),
}


@pytest.fixture
def visitor(browser, tmp_path):
    (tmp_path / "404.html").write_text("not here")
    (tmp_path / "small.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 60" width="200" height="60">'
        '<text x="20" y="30" font-size="14">x</text></svg>'
    )
    with serving(tmp_path, "/project/") as server:
        yield Visitor(browser, server)


def visited(visitor, head="", body="", loads=LOADS):
    (visitor.server.folder / "page.html").write_text(PAGE.format(head=head, body=body), encoding="utf-8")
    return visitor.visit("page.html", loads)


def test_a_good_page_has_no_problems(visitor):
    drawing = DRAWING.format('<text x="20" y="30" font-size="14" fill="#767676">x</text>')
    scrolling = f'<div style="overflow-x: auto" tabindex="0">{WIDE}</div>'
    findings = visited(
        visitor, "<style>svg { width: 200px }</style>", drawing + scrolling + '<a href="page.html">x</a>'
    )
    assert findings.problems == []
    assert findings.checks > 4 * 20


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(visitor, fault):
    rules, head, body = FAULTS[fault]
    findings = visited(visitor, head, body, ONE_VIEW)
    assert findings.checks > 20
    assert {problem.rule for problem in findings.problems} == set(rules.split()), str(findings)


@pytest.mark.parametrize("seen_in", VIEWS, ids=str)
def test_a_fault_of_one_view_is_found_in_it(visitor, seen_in):
    wide = "min" if seen_in.width > 500 else "max"
    media = f"(prefers-color-scheme: {seen_in.scheme}) and ({wide}-width: 500px)"
    findings = visited(visitor, f"<style>@media {media} {{ p {{ width: 3000px }} }}</style>", "<p>A text.</p>")
    assert {(problem.view, problem.rule) for problem in findings.problems} == {(seen_in, "overflow")}


def test_bytes_are_counted_as_they_are_sent_and_as_they_are_unpacked(visitor):
    text = "<p>" + "again and " * 10_000 + "</p>"
    findings = visited(visitor, "", text, ONE_VIEW)
    assert len(text) < findings.bytes(compressed=False) < len(text) + 2_000
    assert 200 < findings.bytes() < 3_000


def test_a_problem_tells_its_view_its_rule_and_its_element(visitor):
    findings = visited(visitor, "", '<p id="faint" style="color: #aaa; background: #fff">Who can read this?</p>')
    reported = str(findings)
    assert str(View("dark", 390)) in reported
    assert "color-contrast" in reported
    assert "#faint" in reported
    assert "foreground color: #aaaaaa, background color: #ffffff" in reported
