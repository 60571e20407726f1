"""The HTML report: one file, escaped, with everything in it."""

import re
from html.parser import HTMLParser

import pytest

from rnnkit.compare import Comparison, Environment
from rnnkit.compare.report import report_html
from tests.compare.results import HOSTILE, MACHINE, failed, large, result, seeds

pytestmark = pytest.mark.slow

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """The elements of a page, its text, and whether each end tag closes the last open element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open, self.headings = [], "", [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    def values(self, *names):
        return [value for _, attrs in self.elements for name, value in attrs.items() if name in names]


HOSTILE_RESULTS = [
    *seeds(HOSTILE, 0.5, None, spec={"kind": "lstm", "options": {"note": HOSTILE}}, task=HOSTILE, metric=HOSTILE),
    failed("broken", error=HOSTILE),
    result(environment=Environment(processor=HOSTILE, cores=1, system=HOSTILE, versions={HOSTILE: HOSTILE})),
]
COMPARISONS = {
    "usual": large(4),
    "hostile": HOSTILE_RESULTS,
    "large": large(),
    "failures only": [failed(), failed(seed=1)],
    "one seed": [result()],
    "empty": [],
}


@pytest.fixture(params=COMPARISONS, scope="module")
def report(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    comparison = Comparison(COMPARISONS[request.param])
    comparison.to_html(path)
    return comparison, path.read_text("utf-8")


def test_the_report_needs_no_other_file(report):
    _, text = report
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in page.elements
    }
    references = page.values("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    assert all(each.startswith("#") for each in references)
    assert not re.search(r"url\((?!['\"]?#)|@import", text)
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]


def test_every_reference_inside_leads_to_one_element(report):
    _, text = report
    page = Page(text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    references = [each.removeprefix("#") for each in page.values("href")]
    references += re.findall(r"url\(#([^)]+)\)", text)
    assert set(references) <= set(ids)


def test_every_label_task_and_error_is_in_the_report(report):
    comparison, text = report
    shown = " ".join(Page(text).text.split())
    for each in comparison.results:
        for fact in (each.label, each.task, each.error, each.environment.processor):
            assert " ".join(fact.replace("\x1b", "\\x1b").split()) in shown


def test_figures_have_references_to_their_marks():
    uses = [attrs for tag, attrs in Page(report_html(large(3))).elements if tag == "use"]
    assert len(uses) > 20
    assert all(each["href"].startswith("#") for each in uses)


def test_colors_follow_the_theme(report):
    _, text = report
    assert "prefers-color-scheme: dark" in text
    assert "#010101" not in text
    assert "#6b6b6c" not in text
    assert not re.search(r"\bstyle=\"[^\"]*#000000", text)


def test_sections_are_those_that_have_content(tmp_path):
    def headings(results):
        Comparison(results).to_html(tmp_path / "a.html")
        return Page((tmp_path / "a.html").read_text("utf-8")).headings

    always = ["Scores", "Limitations", "Training", "Machine and versions", "Specs"]
    figures = ["Scores against the time of training", "Learning curves"]
    assert headings([failed()]) == [*always[:2], "Runs with problems", *always[2:]]
    assert headings([result()]) == [*always[:2], *figures, *always[2:]]


def test_limitations_follow_from_the_results(tmp_path):
    def text(results):
        Comparison(results).to_html(tmp_path / "a.html")
        return (tmp_path / "a.html").read_text("utf-8")

    few, many = text(seeds("a", 0.1, 0.2)), text(seeds("a", *[0.1] * 5))
    assert "fewer than five seeds" in few
    assert "fewer than five seeds" not in many
    assert "stopped by the limit" in text([result(status="stopped")])
    assert "those that diverged, failed or were skipped" in text(seeds("a", 0.1, None))


def test_every_environment_is_listed(tmp_path):
    other = Environment(processor="Other 1", cores=2, system="Darwin", versions={**MACHINE.versions, "plugin": "3.1"})
    Comparison([result(), result("b", environment=other)]).to_html(tmp_path / "a.html")
    text = Page((tmp_path / "a.html").read_text("utf-8")).text
    for fact in ("Processor 9000", "Other 1", "Darwin", "3.1"):
        assert fact in text
